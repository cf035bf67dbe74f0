# SPDX-License-Identifier: BSD-2-Clause
# Turns `nm -n IMAGE` into the assembly of section .ksyms: see kernel/symbols.c. Without input it
# writes an empty table, for the first link.
function hex(s,   i, v) {
    v = 0
    for (i = 1; i <= length(s); i++)
        v = v * 16 + index("0123456789abcdef", tolower(substr(s, i, 1))) - 1
    return v
}
$2 ~ /^[tT]$/ && $3 !~ /^\./ && $1 != last {
    last = $1
    address[count] = hex($1)
    name[count++] = $3
}
$3 == "image_start" { base = hex($1) }
END {
    print "\t.section .ksyms, \"a\"\n\t.balign 4\n\t.globl ksyms_count, ksyms_table, ksyms_names"
    printf "ksyms_count:\n\t.long %d\nksyms_table:\n", count
    offset = 0
    for (i = 0; i < count; i++) {
        printf "\t.long %d, %d\n", address[i] - base, offset
        offset += length(name[i]) + 1
    }
    print "ksyms_names:"
    for (i = 0; i < count; i++)
        printf "\t.asciz \"%s\"\n", name[i]
    print "\t.byte 0\n\t.section .note.GNU-stack, \"\", @progbits"
}
