#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that the objects of emul/ keep the device contract as far as an object file shows it:
#   - they refer to nothing but the symbols of tests/emul_symbols.txt and those of their own device,
#     whose objects have the same name up to the first `_` or `.`, and those of what several
#     devices are made of: `shared` below;
#   - they keep no writable data;
#   - they use no instruction that reads a clock, a random number or the machine below.
#
#   check-contract.sh OBJECT...
set -eu

allowed=$(dirname "$0")/../tests/emul_symbols.txt
[ $# -gt 0 ] || { echo "check-contract: error: no objects" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

device_of() { # OBJECT
    name=${1##*/}
    name=${name%%.*}
    echo "${name%%_*}"
}

shared='acpi pcidev ata atapi ps2 scsi usb'
instructions='rdtsc rdtscp rdrand rdseed rdpmc rdpru cpuid rdmsr wrmsr in inb inw inl ins insb insw
    insl out outb outw outl outs outsb outsw outsl hlt cli sti pause invlpg syscall int int3'

for object in "$@"; do
    device=$(device_of "$object")
    nm -g --defined-only -f posix "$object" | awk '{ print $1 }' >>"$work/defined.$device"
done
grep -v '^#' "$allowed" | grep . >"$work/allowed"
for part in $shared; do
    cat "$work/defined.$part" >>"$work/allowed"
done

for object in "$@"; do
    device=$(device_of "$object")
    nm -u -f posix "$object" | awk '{ print $1 }' >"$work/undefined"
    grep -vxF -f "$work/allowed" "$work/undefined" >"$work/others" || true
    grep -vxF -f "$work/defined.$device" "$work/others" |
        sed "s,.*,$object: refers to &: not in tests/emul_symbols.txt," || true
    # Writable, and neither constant after relocation nor the table of models.
    readelf -SW "$object" | sed -n 's/^ *\[ *[0-9]*\] //p' | awk -v object="$object" '
        $7 ~ /W/ && $5 !~ /^0+$/ && $1 !~ /^\.data\.rel\.ro/ && $1 !~ /^device_models\./ {
            print object ": has writable data: section " $1 }'
    nm -f posix "$object" | awk -v object="$object" '
        $2 == "C" { print object ": has writable data: " $1 }'
    objdump -d --no-show-raw-insn "$object" | awk -F '\t' -v object="$object" \
        -v list="$instructions" '
        BEGIN { split(list, names, /[ \n]+/); for (i in names) forbidden[names[i]] = 1 }
        /^[0-9a-f]+ <.*>:$/ { function_name = $1; sub(/^[0-9a-f]+ /, "", function_name) }
        NF >= 2 {
            split($2, words, " ")
            word = words[1] ~ /^(lock|repn?[ez]*|data16)$/ ? words[2] : words[1]
            if (word in forbidden)
                print object ": " function_name " uses " word
        }'
done >"$work/problems"

if [ -s "$work/problems" ]; then
    cat "$work/problems" >&2
    exit 1
fi
echo "contract: $# objects"
