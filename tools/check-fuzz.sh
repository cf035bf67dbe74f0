#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs a fuzzer on so many inputs, from its seeds on: the same ones each time. An input that it
# fails on is kept beside it.
#
#   check-fuzz.sh NAME RUNS          NAME_fuzz and NAME_seeds in build/fuzz
set -eu

[ $# = 2 ] || { echo "usage: check-fuzz.sh NAME RUNS" >&2; exit 1; }
fuzz=$(dirname "$0")/../build/fuzz
seeds=$fuzz/$1_seeds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/new"
# The bytes of a log's chunk, at most.
"$fuzz/$1_fuzz" -seed=1 -runs="$2" -max_len=4096 -timeout=60 -artifact_prefix="$fuzz/$1-" \
    -print_final_stats=1 "$work/new" "$seeds" >"$work/log" 2>&1 ||
    { tail -40 "$work/log"; exit 1; }
# More than none is to be left of it.
covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/log" | tail -1)
[ "${covered:-0}" -ge 100 ] || { tail -20 "$work/log"; echo "it has covered nothing"; exit 1; }
echo "fuzz: $2 inputs, $covered edges"
