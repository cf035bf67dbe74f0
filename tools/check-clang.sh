#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that clang compiles every source without a warning, and that clang-tidy (.clang-tidy) has
# nothing to say about it.
#
#   check-clang.sh SOURCE...        run from the top of the tree
#
# Environment: FLAGS.
set -eu

[ $# -gt 0 ] || { echo "check-clang: error: no sources" >&2; exit 1; }
for program in clang clang-tidy; do
    command -v "$program" >/dev/null ||
        { echo "check-clang: error: $program: not found" >&2; exit 1; }
done

# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P "$(nproc)" -I SOURCE sh -c '
    clang $FLAGS -fsyntax-only SOURCE || exit 1
    clang-tidy --quiet SOURCE -- $FLAGS >/tmp/tidy.$$ 2>&1 ||
        { grep -v "warnings generated" /tmp/tidy.$$; rm -f /tmp/tidy.$$; exit 1; }
    rm -f /tmp/tidy.$$'
