#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Boots a disk image with Reprise by UEFI firmware, with this terminal as the serial console: in
# QEMU, whose CPU has AMD-V, or in Bochs, whose CPU has VMX.
#
#   run.sh [IMAGE [QEMU-OPTION...]]       IMAGE: build/esp.img by default, of `make run`
#
# Environment: ENGINE (svm or vmx), MEMORY (MiB of the machine, 1024), QEMU, CPU (QEMU's model and
# features), OVMF, LOG (a disk for a recording: QEMU then counts instructions, slowly). With
# ENGINE=vmx: FIRMWARE (u-boot or ovmf), IPS (instructions a second).
set -eu

die() {
    echo "run: error: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd)
engine=${ENGINE:-svm}
case $engine in
svm) image=$here/build/esp.img ;;
vmx) image=$here/build/esp-bochs.img ;; # with debug_exit = bochs: there is no ACPI
*) die "ENGINE: expected svm or vmx, got \"$engine\"" ;;
esac
image=${1:-$image}
[ $# = 0 ] || shift
qemu=${QEMU:-qemu-system-x86_64}
firmware=${OVMF:-/usr/share/ovmf/OVMF.fd}
memory=${MEMORY:-1024}
# What the model has and software emulation lacks is taken out: QEMU would warn about each.
lacking=-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec
cpu=${CPU:-EPYC,+svm,$lacking}

[ -r "$image" ] || die "$image: not found ('make run' builds it)"
case $memory in
'' | *[!0-9]*) die "MEMORY: expected a number of MiB, got \"$memory\"" ;;
esac

keys() { # EMULATOR
    cat <<TEXT
Booting Reprise by UEFI firmware in $1; this terminal is its serial console.
  Ctrl-]           to the monitor, and back to the guest; 'help' lists the monitor's commands
  poweroff         in the guest: leaves
  quit             in the monitor: leaves
  Ctrl-A x         kills $1, whatever the state
TEXT
}

if [ "$engine" = vmx ]; then
    keys Bochs
    exec "$here/tools/run-bochs.py" "$image" "$memory"
fi
counted=tcg,thread=multi
if [ -n "${LOG:-}" ]; then
    [ -w "$LOG" ] || die "LOG: $LOG: not found, or not to be written"
    counted=tcg,thread=single
    set -- -icount shift=0 -drive "file=$LOG,format=raw,if=none,id=log" \
        -device virtio-blk-pci,drive=log "$@"
fi
command -v "$qemu" >/dev/null || die "$qemu: not found (install qemu-system-x86 or set QEMU)"
[ -r "$firmware" ] || die "$firmware: not found (install ovmf or set OVMF)"

settings=
finish() {
    [ -z "$settings" ] || stty "$settings"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM
[ ! -t 0 ] || settings=$(stty -g)

keys QEMU

# The drive is a snapshot: nothing is written to the image.
"$qemu" -accel "$counted" -cpu "$cpu" -smp 1 -m "$memory" -nodefaults -no-user-config \
    -bios "$firmware" -display none -net none \
    -drive file="$image",format=raw,if=none,id=stick,snapshot=on \
    -device ide-hd,drive=stick,bootindex=0 \
    -chardev stdio,id=console,mux=on,signal=off -serial chardev:console \
    -mon chardev=console,mode=readline "$@"
