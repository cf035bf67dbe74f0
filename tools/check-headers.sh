#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that each header compiles alone, and twice in one file, with every compiler.
#
#   check-headers.sh HEADER...          run from the top of the tree
#
# Environment: COMPILERS ("gcc clang"), FLAGS (for all of them).
set -eu

[ $# -gt 0 ] || { echo "check-headers: error: no headers" >&2; exit 1; }
for compiler in ${COMPILERS:-gcc clang}; do
    command -v "$compiler" >/dev/null ||
        { echo "check-headers: error: $compiler: not found" >&2; exit 1; }
done

# The compiler's own messages name the header; one job per header.
# shellcheck disable=SC2016
FLAGS=${FLAGS:-} COMPILERS=${COMPILERS:-gcc clang} \
    xargs -P "$(nproc)" -n 1 sh -c '
        status=0
        for compiler in $COMPILERS; do
            printf "#include \"%s\"\n#include \"%s\"\n" "$0" "$0" |
                $compiler $FLAGS -fsyntax-only -x c - || {
                    echo "check-headers: $0 does not compile alone with $compiler" >&2
                    status=1
                }
        done
        exit $status' <<LIST
$(printf '%s\n' "$@")
LIST
echo "headers: $#"
