#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks that arrows point down: which folder may include headers of which. Vendors' names stay in
# vmx/.
set -eu

cd "$(dirname "$0")/.."
status=0

allow() { # FOLDER FOLDERS-IT-MAY-INCLUDE
    folder=$1
    shift
    pattern=$(printf '%s|' "$folder" "$@" | sed 's/|$//')
    if grep -nE '^#include "' "$folder"/*.c "$folder"/*.h 2>/dev/null |
        grep -vE "\"(build/)?($pattern)/[a-z0-9_.]+\""; then
        echo "check-folders: $folder/ may include headers of $folder $* alone"
        status=1
    fi
}

allow kernel/base
allow kernel kernel/base
allow emul kernel/base
allow drivers kernel kernel/base
allow vmx kernel kernel/base
allow vm vmx emul drivers kernel kernel/base
allow replay vm vmx emul drivers kernel kernel/base
allow net vm vmx emul drivers kernel kernel/base

if grep -nwE 'VMCB|VMCS|vmcb|vmcs' boot/* drivers/*.[ch] emul/*.[ch] kernel/*.[ch] replay/*.[ch] \
    vm/*.[ch] |
    grep -v 'vmx/vcpu.h'; then
    echo "check-folders: vendors' words outside vmx/"
    status=1
fi
exit $status
