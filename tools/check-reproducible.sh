#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that two builds, in two folders, are byte-identical.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for copy in one two; do
    mkdir -p "$work/$copy"
    (cd "$top" && git ls-files -z | tar --null -T - -cf -) | tar -xf - -C "$work/$copy"
    make -s -C "$work/$copy" -j"$(nproc)" all >"$work/$copy.log" 2>&1 ||
        { tail -20 "$work/$copy.log"; exit 1; }
done
for file in reprise.elf BOOTX64.EFI; do
    cmp "$work/one/build/$file" "$work/two/build/$file"
done
