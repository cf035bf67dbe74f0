#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks what of the house style a text search can see, in every file of the tree.
#
#   check-style.sh [FILE...]
set -eu

cd "$(dirname "$0")/.."

# Files that may be longer than 500 lines: "FILE  # reason", one a line.
long_files='
tests/unit/i8259_test.c  # one device, register by register
tests/unit/svm_state_test.c  # every register and MSR
tests/unit/svm_event_test.c  # one state machine: injection, windows, steps
'
export long_files

list_files() {
    if [ -d .git ]; then
        git ls-files --cached --others --exclude-standard
    else
        find . -type f -not -path './build/*' | sed 's,^\./,,'
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -gt 0 ]; then
    printf '%s\n' "$@"
else
    list_files
fi | LC_ALL=C sort >"$work/files"

# Binary files have no style; this file names the words that it looks for.
while read -r file; do
    if ! [ -f "$file" ] || ! grep -Iq . "$file"; then
        continue
    fi
    [ -z "$(tail -c 1 "$file")" ] || echo "$file: the last line has no end"
    LC_ALL=C awk -v file="$file" '
        function problem(text) {
            print file ":" FNR ": " text
        }
        function columns(line,   i, at, parts, n) {
            n = split(line, parts, "\t")
            at = 0
            for (i = 1; i <= n; i++) {
                gsub(/[\200-\277]/, "", parts[i]) # a character of UTF-8 counts once
                at += length(parts[i])
                if (i < n)
                    at += 8 - at % 8
            }
            return at
        }
        BEGIN {
            is_c = file ~ /\.([chS]|ld|asl)$/
            is_script = file ~ /\.(sh|py|awk)$/
            is_source = is_c || is_script || file ~ /(^|\/)Makefile$/
            is_prose = file ~ /\.(md|expect|guest|bare|allow)$/ || file == "LICENSE"
            count = split(ENVIRON["long_files"], lines, "\n")
            for (i = 1; i <= count; i++)
                if (lines[i] ~ /  # ./ && index(lines[i], file "  #") == 1)
                    may_be_long = 1
            words = "/root/|/home/[a-z]|(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)"
        }
        FNR == 1 && /^#!/ { is_script = is_source = 1; has_interpreter = 1 }
        FNR <= 1 + has_interpreter && /SPDX-License-Identifier: BSD-2-Clause/ { has_license = 1 }
        /[ \t]$/ { problem("trailing space") }
        /\r/ { problem("carriage return") }
        is_c && /^(\t* {8}| +[^ *])/ { problem("indented by spaces") }
        is_script && /\t/ { problem("a tab") }
        !is_prose && columns($0) > 100 { problem(columns($0) " columns, at most 100") }
        file != "tools/check-style.sh" && match($0, words) {
            problem("not in the tree: \"" substr($0, RSTART, RLENGTH) "\"")
        }
        END {
            if (is_source && !has_license)
                print file ":1: no SPDX-License-Identifier line"
            if (is_source && FNR > 500 && !may_be_long)
                print file ": " FNR " lines, at most 500"
        }' "$file"
done <"$work/files" >"$work/problems"

if [ -s "$work/problems" ]; then
    cat "$work/problems" >&2
    exit 1
fi
echo "style: $(wc -l <"$work/files") files"
