#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes a disk image that UEFI firmware boots: a FAT file system with /EFI/BOOT/BOOTX64.EFI,
# /reprise.ini and further files.
#
#   mkesp.sh [--gpt] [--size MIB] OUT EFI CONFIG [PATH=FILE...]
#
#   --gpt       a partition table and an EFI system partition around it: copied to a USB stick,
#               as with `dd if=OUT of=/dev/sdX bs=4M`, it boots a PC
#   --size MIB  of the file system; by default the files, a quarter more, and 8 MiB
#
# The image depends on its contents and size alone. $SOURCE_DATE_EPOCH, by default 2024-01-01, is
# the date of everything in it.
set -eu

die() {
    echo "mkesp: error: $*" >&2
    exit 1
}

usage() {
    die "usage: mkesp.sh [--gpt] [--size MIB] OUT EFI CONFIG [PATH=FILE...]"
}

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || die "$1: not found (install $2)"
}

sector=512
start=2048      # of the partition, in sectors: 1 MiB
serial=52455052 # of the file system
disk_uuid=52455052-4953-4500-8000-000000000001
part_uuid=52455052-4953-4500-8000-000000000002
gpt=
size=
while [ $# -gt 0 ]; do
    case $1 in
    --gpt) gpt=1 ;;
    --size)
        [ $# -ge 2 ] || usage
        size=$2
        shift
        ;;
    -*) usage ;;
    *) break ;;
    esac
    shift
done
[ $# -ge 3 ] || usage
out=$1 efi=$2 config=$3
shift 3
PATH=$PATH:/usr/sbin:/sbin
need mformat mtools
[ -z "$gpt" ] || need sfdisk fdisk

work=$(mktemp -d)
trap 'rm -rf "$work" "$out.new"' EXIT
trap 'exit 1' HUP INT TERM

# A copy of everything, with dates of our own: mcopy -m keeps them.
stage() { # PATH FILE
    [ -f "$2" ] || die "$2: no such file"
    case /$1/ in
    *//* | */../* | */./*) die "$1: not a path on the image" ;;
    esac
    mkdir -p "$work/esp/$(dirname "$1")"
    cp "$2" "$work/esp/$1"
}

stage EFI/BOOT/BOOTX64.EFI "$efi"
stage reprise.ini "$config"
for pair in "$@"; do
    case $pair in
    ?*=?*) stage "${pair%%=*}" "${pair#*=}" ;;
    *) die "$pair: expected PATH=FILE" ;;
    esac
done

# FAT32, which every firmware reads, has at least 65525 clusters: hence 34 MiB at the least.
if [ -z "$size" ]; then
    bytes=$(find "$work/esp" -type f -exec cat {} + | wc -c)
    size=$((bytes * 5 / 4 / 1048576 + 8))
    [ $size -ge 40 ] || size=40
fi
case $size in
'' | *[!0-9]*) die "--size: expected a number of MiB, got \"$size\"" ;;
esac
[ "$size" -ge 34 ] || die "--size: at least 34 MiB, for FAT32"

TZ=UTC
MTOOLS_SKIP_CHECK=1
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1704067200}
export TZ MTOOLS_SKIP_CHECK SOURCE_DATE_EPOCH
find "$work/esp" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

fat=$work/fat
truncate -s "${size}M" "$fat"
mformat -i "$fat" -F -N "$serial" -v REPRISE -H $((start * (${gpt:-0} > 0))) ::
(
    cd "$work/esp"
    find . -mindepth 1 -type d | LC_ALL=C sort | while read -r path; do
        mmd -i "$fat" "::${path#.}"
    done
    find . -type f | LC_ALL=C sort | while read -r path; do
        mcopy -m -i "$fat" "$path" "::${path#.}" || die "$path does not fit into $size MiB"
    done
)

if [ -z "$gpt" ]; then
    mv "$fat" "$out.new"
else
    # The second copy of the table takes 33 sectors behind the partition.
    truncate -s $(((start + 2048) * sector + size * 1048576)) "$out.new"
    sfdisk -q "$out.new" <<TABLE
label: gpt
label-id: $disk_uuid
first-lba: $start
start=$start, size=$((size * 2048)), type=uefi, uuid=$part_uuid, name="EFI system partition"
TABLE
    dd if="$fat" of="$out.new" bs=1M seek=1 conv=notrunc status=none
fi
mv "$out.new" "$out"
