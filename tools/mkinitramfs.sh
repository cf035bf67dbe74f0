#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes the Linux guest's initial file system, a newc cpio archive: busybox, /init, /scripts.
#
#   mkinitramfs.sh OUT [MODULE.ko...]
#
# The modules, of the kernel that the archive is for, are loaded in the order of their names;
# button.ko and evdev.ko make the guest power off at `system_powerdown`.
#
# The archive depends on its contents alone: owners, times, inodes and the order are fixed, and no
# privilege is needed for the device nodes. It is not compressed, since unpacking it would cost
# the guest more than reading it.
set -eu

die() {
    echo "mkinitramfs: error: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: mkinitramfs.sh OUT [MODULE.ko...]"
out=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
busybox=${BUSYBOX:-/bin/busybox}
[ -x "$busybox" ] || die "$busybox: not found (install busybox-static or set BUSYBOX)"

work=$(mktemp -d)
trap 'rm -rf "$work" "$out.new"' EXIT
trap 'exit 1' HUP INT TERM
inode=0

pad() { # BYTES: up to the next multiple of four
    head -c $(((4 - $1 % 4) % 4)) /dev/zero
}

# One member to standard output. FILE is its content; MAJOR and MINOR are those of a device node.
member() { # NAME MODE FILE [MAJOR MINOR]
    inode=$((inode + 1))
    size=$(wc -c <"$3")
    printf '070701'
    printf '%08X' $inode $(($2)) 0 0 1 0 "$size" 0 0 "${4:-0}" "${5:-0}" $((${#1} + 1)) 0
    printf '%s\000' "$1"
    pad $((110 + ${#1} + 1))
    cat "$3"
    pad "$size"
}

directory() { # NAME
    member "$1" 040755 /dev/null
}

link() { # NAME TARGET
    printf '%s' "$2" >"$work/target"
    member "$1" 0120777 "$work/target"
}

# What the self-test reads back and compares: 1.2 MB, none of it like another part.
seq 1 180000 >"$work/data"
{
    sha256sum <"$work/data" | sed 's,-$,/data,'
    sha256sum <"$busybox" | sed 's,-$,/bin/busybox,'
} >"$work/sums"
printf 'root:x:0:0:root:/:/bin/sh\n' >"$work/passwd"
printf 'root:x:0:\n' >"$work/group"

{
    for name in bin dev etc etc/acpi lib lib/modules proc root scripts sys tmp; do
        directory $name
    done
    member dev/console 020600 /dev/null 5 1
    member dev/null 020666 /dev/null 1 3
    member bin/busybox 0100755 "$busybox"
    link bin/sh busybox
    member etc/passwd 0100644 "$work/passwd"
    member etc/group 0100644 "$work/group"
    member etc/profile 0100644 "$here/initramfs/profile"
    member etc/sums 0100644 "$work/sums"
    member data 0100644 "$work/data"
    member init 0100755 "$here/initramfs/init"
    for script in boot hvc idle nettest selftest; do
        member "scripts/$script" 0100755 "$here/initramfs/$script"
    done
    member etc/acpi/poweroff 0100755 "$here/initramfs/poweroff"
    member etc/acpid.conf 0100644 "$here/initramfs/acpid.conf"
    for module in "$@"; do
        member "lib/modules/${module##*/}" 0100644 "$module"
    done
    inode=-1
    member 'TRAILER!!!' 0 /dev/null
} >"$out.new"
mv "$out.new" "$out"
