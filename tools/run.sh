#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Boots a disk image with Reprise in QEMU, by UEFI firmware, with this terminal as the serial
# console.
#
#   run.sh [IMAGE [QEMU-OPTION...]]       IMAGE: build/esp.img by default
#
# Environment: MEMORY (MiB of the machine, 1024), QEMU, CPU (QEMU's model and features), OVMF.
set -eu

die() {
    echo "run: error: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd)
image=${1:-$here/build/esp.img}
[ $# = 0 ] || shift
qemu=${QEMU:-qemu-system-x86_64}
firmware=${OVMF:-/usr/share/ovmf/OVMF.fd}
memory=${MEMORY:-1024}
# What the model has and software emulation lacks is taken out: QEMU would warn about each.
lacking=-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec
cpu=${CPU:-EPYC,+svm,$lacking}

command -v "$qemu" >/dev/null || die "$qemu: not found (install qemu-system-x86 or set QEMU)"
[ -r "$firmware" ] || die "$firmware: not found (install ovmf or set OVMF)"
[ -r "$image" ] || die "$image: not found ('make run' builds it)"
case $memory in
'' | *[!0-9]*) die "MEMORY: expected a number of MiB, got \"$memory\"" ;;
esac

settings=
finish() {
    [ -z "$settings" ] || stty "$settings"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM
[ ! -t 0 ] || settings=$(stty -g)

cat <<'TEXT'
Booting Reprise by UEFI firmware in QEMU; this terminal is its serial console.
  Ctrl-]           to the monitor, and back to the guest; 'help' lists the monitor's commands
  poweroff         in the guest: leaves
  quit             in the monitor: leaves
  Ctrl-A x         kills QEMU, whatever the state
TEXT

# The drive is a snapshot: nothing is written to the image.
"$qemu" -accel tcg,thread=multi -cpu "$cpu" -smp 1 -m "$memory" -nodefaults -no-user-config \
    -bios "$firmware" -display none -net none \
    -drive file="$image",format=raw,if=none,id=stick,snapshot=on \
    -device ide-hd,drive=stick,bootindex=0 \
    -chardev stdio,id=console,mux=on,signal=off -serial chardev:console \
    -mon chardev=console,mode=readline "$@"
