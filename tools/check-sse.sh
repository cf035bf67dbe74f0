#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that an image uses general registers only: a guest's x87, MMX, SSE and AVX state stays in
# the registers while the hypervisor runs. Instructions that save, restore or size that state as a
# whole are the exception.
#
#   check-sse.sh IMAGE
set -eu

die() {
    echo "check-sse: error: $*" >&2
    exit 1
}

[ $# = 1 ] || die "usage: check-sse.sh IMAGE"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
objdump -d --no-show-raw-insn "$1" >"$work/code" 2>"$work/errors" ||
    { cat "$work/errors" >&2; die "$1: objdump failed"; }

awk -F '\t' -v image="$1" '
    BEGIN {
        split("lock rep repz repnz repe repne data16 addr32 rex rex.W cs ds es fs gs ss bnd " \
            "notrack xacquire xrelease", names, " ")
        for (i in names)
            prefix[names[i]] = 1
        split("fxsave fxsave64 fxrstor fxrstor64 xsave64 xrstor64", names, " ")
        for (i in names)
            permitted[names[i]] = 1
        split("emms vzeroupper vzeroall ldmxcsr stmxcsr vldmxcsr vstmxcsr wait", names, " ")
        for (i in names)
            forbidden[names[i]] = 1
    }
    /^[0-9a-f]+ <.*>:$/ { place = $1; sub(/^[0-9a-f]+ /, "", place); sub(/:$/, "", place) }
    NF >= 2 {
        count++
        text = $2
        sub(/[ ]*(#|<).*/, "", text)
        words = split(text, word, " ")
        for (i = 1; i < words && word[i] in prefix; i++)
            ;
        if (word[i] in permitted)
            next
        if (word[i] in forbidden || word[i] ~ /^f/ ||
            text ~ /%([xyz]mm[0-9]|mm[0-7]|st([^a-z]|$)|k[0-7]([^0-9a-z]|$))/) {
            print image ": " place ": " $2
            found++
        }
    }
    END {
        if (count < 1000) {
            print image ": only " count + 0 " instructions: not an image"
            found++
        }
        if (!found)
            print "sse: " count " instructions of " image > "/dev/stderr"
        exit found > 0
    }' "$work/code" >"$work/problems" || { cat "$work/problems" >&2; exit 1; }
