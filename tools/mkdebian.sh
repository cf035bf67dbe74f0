#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes a disk image with a Debian on it, which PC BIOS and UEFI firmware both boot by GRUB:
#
#   mkdebian.sh OUT
#
#   sector 0, the gap behind it   GRUB for a BIOS
#   partition 1, FAT              GRUB for UEFI: /EFI/BOOT/BOOTX64.EFI
#   partition 2, ext4             Debian: minbase, systemd, the cloud kernel; tools/debian/ has its
#                                 configuration. GRUB's menu also has iPXE and memtest86+
#
# Root's password is "reprise". The packages come from the archive in this machine's apt sources;
# they are kept in a folder beside OUT, so that a run that was interrupted goes on from there. It
# needs root or sudo, and neither loop devices nor mounts.
set -eu

suite=bookworm
packages=systemd-sysv,dbus,udev,kmod,e2fsprogs,initramfs-tools,linux-image-cloud-amd64
packages=$packages,hdparm,smartmontools
efi_start=2048        # in sectors
efi_sectors=8192      # 4 MiB
root_start=10240
uuid=52455052-4953-4500-8000-000000000003 # of the root file system
label=reprise-root
spare_mib=96 # of the root file system, for what a test writes

say() {
    echo "mkdebian: $*" >&2
}

die() {
    say "error: $*"
    exit 1
}

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || die "$1: not found (install $2)"
}

[ $# = 1 ] || die "usage: mkdebian.sh OUT"
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" != 0 ]; then
    need sudo sudo
    sudo "$here/mkdebian.sh" "$1"
    sudo chown -R "$(id -u):$(id -g)" "$(dirname "$1")"
    exit
fi
mkdir -p "$(dirname "$1")"
folder=$(cd "$(dirname "$1")" && pwd)
out=$folder/$(basename "$1")
need debootstrap debootstrap
need grub-mkimage grub-common
need mke2fs e2fsprogs
need mformat mtools
need sfdisk fdisk
for file in /usr/lib/grub/i386-pc/kernel.img /usr/lib/grub/x86_64-efi/kernel.img \
    /boot/ipxe.lkrn /boot/memtest86+x64.bin; do
    [ -r "$file" ] || die "$file: not found (tools/deps.sh install)"
done

exec 9>"$folder/lock"
flock 9 # two at once would write the same packages
# What a fresh checkout of the same files has made stays.
inputs=$(cd "$here" && find mkdebian.sh debian -type f -exec sha256sum {} + | sort | sha256sum)
if [ -s "$out" ] && [ "$(cat "$out.inputs" 2>/dev/null)" = "$inputs" ]; then
    touch "$out"
    exit
fi
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
log=$work/log
export TZ=UTC LC_ALL=C SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1704067200}"

run() { # WHAT COMMAND...: its output is shown if it fails
    what=$1
    shift
    "$@" >"$log" 2>&1 9>&- </dev/null || {
        tail -20 "$log" >&2
        die "$what failed"
    }
}

# The archive, and how to reach it, as this machine's apt has it.
find_archive() {
    archive=$(apt-get indextargets --format "\$(RELEASE) \$(COMPONENT) \$(REPO_URI)" \
        'Created-By: Packages' | sed -n "s/^$suite main //p" | head -n 1)
}
find_archive
if [ -z "$archive" ]; then # as before the first update
    run "apt-get update" apt-get -q update
    find_archive
fi
[ -n "$archive" ] || die "no Debian 12 ($suite) archive in this machine's apt sources"
for scheme in http https; do
    proxy=
    eval "$(apt-config shell proxy "Acquire::$scheme::Proxy")"
    [ -z "$proxy" ] || [ "$proxy" = DIRECT ] || export "${scheme}_proxy=$proxy"
done

say "installing Debian $suite into a folder: some minutes"
mkdir -p "$folder/packages" "$root"
debootstrap --variant=minbase --cache-dir="$folder/packages" --include="$packages" \
    "$suite" "$root" "$archive" 9>&- </dev/null 2>&1 | tee "$log" |
    awk '/^I: (Retrieving|Unpacking|Configuring) / && ++n % 40 == 0 { print "mkdebian: " n " steps"
        fflush() }' >&2
if [ ! -e "$root/sbin/init" ] || [ -e "$root/debootstrap" ]; then
    grep -v '^I: \(Validating\|Extracting\|Unpacking\|Configuring\)' "$log" | tail -20 >&2
    [ ! -e "$root/debootstrap/debootstrap.log" ] ||
        tail -20 "$root/debootstrap/debootstrap.log" >&2
    die "debootstrap failed: is $archive to be reached? What was loaded is kept: try again"
fi

say "configuring it"
cp -r "$here/debian/files/." "$root/"
chmod -R go=u-w "$root/etc/fstab" "$root/etc/initramfs-tools" "$root/usr/local/sbin"
run "setting the password" chroot "$root" sh -c 'echo root:reprise | chpasswd'
echo 52455052495345000000000000000003 >"$root/etc/machine-id"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer; do
    rm -f "$root"/etc/systemd/system/*.wants/$unit
done
# What is large and what no test needs.
(
    cd "$root"
    rm -rf usr/share/doc/* usr/share/man/* usr/share/locale/* usr/share/info/* \
        usr/share/zoneinfo/* usr/lib/x86_64-linux-gnu/gconv usr/lib/udev/hwdb.* \
        var/cache/apt/*.bin var/cache/apt/archives/*.deb var/lib/apt/lists/* \
        var/cache/debconf/*-old var/log/*
    cd usr/lib/modules/*/kernel
    rm -rf arch/x86/kvm drivers/comedi drivers/infiniband drivers/md drivers/target \
        fs/btrfs fs/nfs fs/smb fs/xfs
)
kernel=$(basename "$root"/usr/lib/modules/*)
run "depmod" chroot "$root" depmod "$kernel"
run "making the initramfs" chroot "$root" update-initramfs -u -k "$kernel"
mkdir -p "$root/boot/grub"
cp "$here/debian/grub.cfg" "$root/boot/grub/"
cp -L /boot/ipxe.lkrn /boot/memtest86+x64.bin "$root/boot/"
find "$root" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

say "writing the image"
image=$work/image
modules="boot echo ext2 fat halt linux minicmd normal part_msdos reboot search search_fs_file
    search_label serial sleep terminal test"
# shellcheck disable=SC2086
run "making GRUB for a BIOS" grub-mkimage -O i386-pc -o "$work/core.img" -p /boot/grub \
    -c "$here/debian/grub-early.cfg" $modules biosdisk linux16
# shellcheck disable=SC2086
run "making GRUB for UEFI" grub-mkimage -O x86_64-efi -o "$work/BOOTX64.EFI" -p /boot/grub \
    -c "$here/debian/grub-early.cfg" $modules
[ "$(wc -c <"$work/core.img")" -le $(((efi_start - 1) * 512)) ] || die "GRUB is too large"

used_kib=$(du -sk --apparent-size "$root" | cut -f 1)
root_mib=$(((used_kib * 9 / 8 / 1024 + spare_mib + 15) / 16 * 16))
truncate -s $((root_start * 512 + root_mib * 1048576)) "$image"
printf '%s\n' "label: dos" "label-id: 0x52455052" \
    "start=$efi_start, size=$efi_sectors, type=ef" "start=$root_start, type=83, bootable" |
    sfdisk -q "$image" || die "sfdisk failed"
# The code in sector 0 reads sectors from 1 on, as many as core.img's own head says.
dd if=/usr/lib/grub/i386-pc/boot.img of="$image" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$image" bs=512 seek=1 conv=notrunc status=none
truncate -s $((efi_sectors * 512)) "$work/fat"
run "mkfs.fat" mkfs.fat --invariant -i 52455053 -n ESP -h $efi_start "$work/fat"
run "mmd" mmd -i "$work/fat" ::/EFI ::/EFI/BOOT
run "mcopy" mcopy -m -i "$work/fat" "$work/BOOTX64.EFI" ::/EFI/BOOT/
dd if="$work/fat" of="$image" bs=512 seek=$efi_start conv=notrunc status=none
run "mke2fs" env E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH" mke2fs -q -F -t ext4 -d "$root" \
    -L "$label" -U "$uuid" -m 0 -J size=8 \
    -E "offset=$((root_start * 512)),hash_seed=$uuid,root_owner=0:0,lazy_itable_init=0" \
    "$image" "${root_mib}M"
rm -f "$out.inputs"
mv "$image" "$out"
echo "$inputs" >"$out.inputs"
say "$out: $(($(wc -c <"$out") / 1048576)) MiB, $(du -m "$out" | cut -f 1) of them not zero"
