#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Brings what Reprise is built from and tested with, all of it from the machine's own Debian
# archive:
#   deps.sh install          the binary packages of tools/packages.txt that are missing
#   deps.sh fetch            library sources, verified against pinned hashes, unpacked
#   deps.sh guest            Debian's cloud kernel, unpacked
# Downloads and sources live in $REPRISE_CACHE (default ~/.cache/reprise). apt runs with state and
# sources of its own there: the machine's apt configuration is read and never changed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${REPRISE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reprise}

say() {
    echo "deps: $*" >&2
}

die() {
    say "error: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root or sudo: $*"
    fi
}

install_packages() {
    missing=
    while read -r package; do
        case $package in '#'*) continue ;; esac
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed$' ||
            missing="$missing $package"
    done <"$here/packages.txt"
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    as_root apt-get -q update
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        install $missing
}

# The machine's Debian sources, binary and source packages both.
write_sources() {
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        awk 'BEGIN { RS = ""; ORS = "\n\n" } /(^|\n)Suites:[^\n]*bookworm/ &&
            /(^|\n)Components:[^\n]*main/' "$file" |
            sed 's/^Types:.*/Types: deb deb-src/'
    done >"$apt/etc/debian.sources"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$file" ] || continue
        sed -n 's/^deb \(.*bookworm.*main.*\)/deb \1\ndeb-src \1/p' "$file"
    done | sort -u >"$apt/etc/debian.list"
    [ -s "$apt/etc/debian.sources" ] || [ -s "$apt/etc/debian.list" ] ||
        die "no Debian 12 (bookworm) archive in this machine's apt sources"
}

apt_private() {
    if [ -z "${apt_ready:-}" ]; then
        apt=$cache/apt
        mkdir -p "$apt/etc" "$apt/lists/partial" "$apt/archives/partial"
        write_sources
        cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "-";
Dir::Etc::sourceparts "$apt/etc/";
Dir::State::lists "$apt/lists/";
Dir::Cache "$apt/";
APT::Sandbox::User "";
CONF
        say "reading the package lists"
        apt-get -q -c "$apt/apt.conf" update >"$apt/update.log" 2>&1 ||
            { cat "$apt/update.log" >&2; die "apt-get update failed"; }
        apt_ready=1
    fi
    apt-get -q -c "$apt/apt.conf" "$@" >"$apt/last.log" 2>&1 ||
        { cat "$apt/last.log" >&2; die "apt-get $* failed"; }
}

verify() { # FILE SHA256
    echo "$2  $1" | sha256sum --check --status || die "$1 does not have the pinned hash $2"
}

# unpack NAME TARBALL SHA256: into $cache/src/NAME, once.
unpack() {
    [ -e "$cache/src/$1/.complete" ] && return 0
    verify "$2" "$3"
    say "unpacking $1"
    rm -rf "$cache/src/$1"
    mkdir -p "$cache/src/$1"
    tar -xf "$2" -C "$cache/src/$1" --strip-components=1
    echo "$3" >"$cache/src/$1/.complete"
}

fetch_source() { # NAME SOURCE-PACKAGE TARBALL SHA256
    [ -e "$cache/src/$1/.complete" ] && return 0
    mkdir -p "$cache/download"
    if [ ! -e "$cache/download/$3" ]; then
        say "downloading the source of $2"
        (cd "$cache/download" && apt_private source --download-only "$2")
    fi
    unpack "$1" "$cache/download/$3" "$4"
}

fetch() {
    unpack newlib /usr/src/newlib/newlib-3.3.0.tar.xz \
        c6f3a88b9d93420904241b231ca8647303be3bfb3cfef6adc8d1ea9207291033
    fetch_source zydis zydis zydis_4.0.0.orig.tar.gz \
        e990107f80c62afc1deb51de230023a1098db801b8ea6bf483e296d45459e234
    fetch_source xxhash xxhash xxhash_0.8.1.orig.tar.gz \
        3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c
}

guest() {
    [ -e "$cache/linux/modules/virtio-6-rng.ko" ] && [ -e "$cache/linux/net/virtio-9-net.ko" ] &&
        [ -e "$cache/linux/vmlinuz" ] && return 0
    rm -rf "$cache/linux.new"
    mkdir -p "$cache/linux.new"
    (
        cd "$cache/linux.new"
        apt_private download linux-image-cloud-amd64
        kernel=$(dpkg-deb -f linux-image-cloud-amd64_*.deb Depends | sed 's/[ ,(].*//')
        say "downloading $kernel"
        apt_private download "$kernel"
        dpkg-deb -x "$kernel"_*.deb root
        mv root/boot/vmlinuz-* vmlinuz
        # The power button, and input events to hear of it; virtio devices, in the order in which
        # the parts need each other.
        mkdir modules
        mv root/lib/modules/*/kernel/drivers drivers
        mv drivers/acpi/button.ko drivers/input/evdev.ko modules/
        mv drivers/virtio/virtio.ko modules/virtio-2-core.ko
        mv drivers/virtio/virtio_ring.ko modules/virtio-1-ring.ko
        mv drivers/virtio/virtio_pci_legacy_dev.ko modules/virtio-3-legacy.ko
        mv drivers/virtio/virtio_pci_modern_dev.ko modules/virtio-4-modern.ko
        mv drivers/virtio/virtio_pci.ko modules/virtio-5-pci.ko
        mv drivers/block/virtio_blk.ko modules/virtio-6-blk.ko
        mv drivers/char/virtio_console.ko modules/virtio-6-console.ko
        mv drivers/virtio/virtio_balloon.ko modules/virtio-6-balloon.ko
        mv drivers/char/hw_random/virtio-rng.ko modules/virtio-6-rng.ko
        # Of guests with a network.
        mkdir net
        mv root/lib/modules/*/kernel/net/core/failover.ko net/virtio-7-failover.ko
        mv drivers/net/net_failover.ko net/virtio-8-net_failover.ko
        mv drivers/net/virtio_net.ko net/virtio-9-net.ko
        rm -rf drivers
        rm -rf root ./*.deb
    )
    rm -rf "$cache/linux"
    mv "$cache/linux.new" "$cache/linux"
}

case ${1:-} in
install) install_packages ;;
fetch) fetch ;;
guest) guest ;;
*) die "usage: deps.sh install|fetch|guest" ;;
esac
