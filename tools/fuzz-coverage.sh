#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# How many of the lines of each fuzzed file fuzzers reach, from their seeds on: the same inputs each
# time. A file that several of them share counts once. Fails where a file has fewer than 90 %.
#
#   fuzz-coverage.sh RUNS NAME...    NAME_fuzz in build/cover, NAME_seeds in build/fuzz
#   fuzz-coverage.sh --lines FILE RUNS NAME...
#                                    prints FILE with how often each line was reached instead
set -eu

LEAST=90
lines=
if [ "${1-}" = --lines ]; then
    lines=$2
    shift 2
fi
[ $# -ge 2 ] || { echo "usage: fuzz-coverage.sh [--lines FILE] RUNS NAME..." >&2; exit 1; }
runs=$1
shift
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in "$@"; do
    mkdir "$work/corpus-$name"
    LLVM_PROFILE_FILE="$work/$name.raw" "build/cover/${name}_fuzz" -seed=1 -runs="$runs" \
        -max_len=4096 -timeout=60 -artifact_prefix="build/cover/$name-" \
        "$work/corpus-$name" "build/fuzz/${name}_seeds" >"$work/output" 2>&1 ||
        { tail -40 "$work/output"; exit 1; }
done
llvm-profdata merge -sparse "$work"/*.raw -o "$work/profile"
first=build/cover/$1_fuzz
shift
for name in "$@"; do
    set -- "$@" -object "build/cover/${name}_fuzz"
    shift
done
if [ -n "$lines" ]; then
    llvm-cov show "$first" "$@" -instr-profile="$work/profile" "$lines"
    exit 0
fi
# Columns 8 to 10: lines, those missed, and the part that was reached.
llvm-cov report "$first" "$@" -instr-profile="$work/profile" \
    -ignore-filename-regex='(^|/)(tests|kernel)/' |
    awk -v least=$LEAST '
        $1 ~ /\.c$/ {
            name = $1
            sub(/^.*\//, "", name)
            printf "%7s %5d lines of %s\n", $10, $8, name
            files++
            if ($10 + 0 < least)
                few = few " " name
        }
        END {
            if (files == 0)
                few = " every file: nothing was measured"
            if (few != "") {
                print "fewer than " least " % of" few
                exit 1
            }
        }'
