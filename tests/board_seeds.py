#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/board_fuzz.c: what firmware does first.

    tests/board_seeds.py FOLDER
"""

import os
import struct
import sys

FW_CFG, PCI_HOST, PIIX3, ACPI_PM, HOTPLUG, PFLASH, HPET, MCH, LPC = range(9)
SIZES = {1: 0, 2: 1, 4: 2, 8: 3}
WRITE = 0x40


def access(count, region, size, offset, value=None):
    """A step: `count` is how many regions the device has."""
    kind = (WRITE if value is not None else 0) | SIZES[size] << 3
    while (kind & 0x7f) % count != region:  # its low bits are free
        kind += 1
    data = b"" if value is None else value.to_bytes(size, "big")
    return bytes([kind, offset]) + data


def memory(at, data):
    return bytes([0xe0]) + struct.pack(">HB", at, len(data)) + data


def transfer(control, count, to):
    """A description at 0x100, and its address in little-endian ports, big-endian in them."""
    swapped = int.from_bytes((0x100).to_bytes(4, "big"), "little")
    return (memory(0x100, struct.pack(">IIQ", control, count, to)) +
            access(2, 1, 4, 0, 0) + access(2, 1, 4, 4, swapped) + b"\xd0" * 4)


def config(count, values):
    return b"".join(access(count, 0, size, offset, value) + access(count, 0, size, offset)
                    for size, offset, value in values)


def hpet(size, register, value=None):
    return access(1, 0, size, register // 4, value)


def hpet_timer(number, config, comparator, period=None):
    at = 0x100 + 0x20 * number
    steps = hpet(4, at, config) + hpet(8, at + 8, comparator)
    return steps if period is None else steps + hpet(8, at + 8, period)


WAIT = b"\xf0\x00\x01\x00\x00"  # 65,536 ns
EDGE, LEVEL, PERIODIC, NARROW, PIN_16 = 0x4, 0x6, 0x48, 0x100, 16 << 9

SEEDS = {
    "fw_cfg_ports": bytes([FW_CFG]) + access(2, 0, 2, 0, 0) + access(2, 0, 1, 1) * 5 +
                    access(2, 0, 2, 0, 0x20) + access(2, 0, 1, 1) * 5,
    "fw_cfg_dma": bytes([FW_CFG]) + transfer(0x20000a, 40000, 0x1000) +
                  transfer(0x4, 7, 0) + transfer(0x10, 7, 0) + transfer(0x2, 1 << 20, 0x1000),
    "fw_cfg_loaded": bytes([FW_CFG | 0x80]) + bytes(range(1, 64)),
    "pci_host": bytes([PCI_HOST]) + access(2, 1, 4, 0, 0x80000059) + access(2, 1, 4, 0) +
                config(2, [(1, offset, 0x33) for offset in range(0x59, 0x60)] +
                       [(2, 4, 0xffff), (4, 0x10, 0xffffffff), (1, 0x72, 0x7a)]),
    "pci_host_loaded": bytes([PCI_HOST | 0x80]) + b"\x80\x00\x00\xfc" + bytes(40),
    "piix3": bytes([PIIX3]) + config(1, [(4, 0x60, 0x0b0b0a0a), (1, 0x60, 0x80)]) +
             b"".join(bytes([0xc0 | level, line]) for level in (1, 0) for line in (3, 40, 99)),
    "acpi_pm": bytes([ACPI_PM]) + config(3, [(4, 0x40, 0x601), (1, 0x80, 1), (4, 0x58, 0)]) +
               access(3, 1, 2, 2, 0x0121) + access(3, 1, 2, 4, 0x2001) + access(3, 2, 1, 0, 0xf1) +
               access(3, 1, 4, 8) + b"\xf0\xff\xff\xff\xff\xd8" + access(3, 1, 2, 0, 0xffff),
    "hotplug": bytes([HOTPLUG]) + b"\xd9\x06\xd8\x04" + access(1, 0, 4, 0) + access(1, 0, 4, 4) +
               access(1, 0, 4, 8, 0x10) + b"\xd9\x04" + access(1, 0, 4, 16, 1) + access(1, 0, 4, 0),
    "pflash": bytes([PFLASH]) + b"".join(
        access(1, 0, 1, offset, value) for offset, value in (
            (1, 0x10), (1, 0x12), (99, 0x20), (99, 0xd0), (8, 0xe8), (8, 1), (8, 5), (8, 6),
            (8, 0xd0), (0, 0x98))) + access(1, 0, 1, 16) + access(1, 0, 1, 0, 0xff) +
              bytes([0xc0, 0xc2]) + access(1, 0, 1, 0, 0x70) + access(1, 0, 4, 0),
    "pflash_loaded": bytes([PFLASH | 0x80]) + bytes(300),
    "mch": bytes([MCH]) + access(2, 1, 4, 0, 0x80000060) + config(2, [
        (4, 0x60, 0xb0000001), (4, 0x60, 0xd0000005), (4, 0x60, 0xd0000007), (4, 0x64, 1),
        (1, 0x60, 1), (1, 0x91, 0x33), (4, 0x9c, 0xffffffff)]),
    "mch_loaded": bytes([MCH | 0x80]) + bytes(range(60)),
    "lpc": bytes([LPC]) + config(4, [(4, 0x40, 0x601), (1, 0x44, 0x80), (4, 0x60, 0x0b0b0a0a),
                                     (4, 0x68, 0x0b0b0a0a), (4, 0xf0, 0xfed1c001)]) +
           b"".join(bytes([0xc0 | level, line]) for level in (1, 0) for line in (0, 1, 5, 9, 33)) +
           access(4, 1, 2, 2, 0x0121) + access(4, 1, 2, 0x28, 2) + bytes([0xc1, 1]) +
           access(4, 1, 2, 0x20, 2) + access(4, 1, 4, 8) + access(4, 1, 4, 0x30, 0x21) +
           access(4, 1, 4, 0x30) + access(4, 1, 2, 4, 0x2001) + access(4, 2, 1, 0, 0xf1) +
           access(4, 2, 2, 0) + access(4, 3, 4, 0xc5) + access(4, 3, 4, 0, 1) +
           b"\xf0\xff\xff\xff\xff\xd8" + config(4, [(1, 0x44, 0), (4, 0xf0, 0)]),
    "lpc_loaded": bytes([LPC | 0x80]) + bytes(range(120)),
    "hpet": bytes([HPET]) + hpet_timer(0, LEVEL | PIN_16, 100) +
            hpet_timer(1, EDGE | PERIODIC | PIN_16, 200, 7) +
            hpet_timer(2, EDGE | NARROW | 2 << 9, 300) + hpet(4, 0x10, 1) + WAIT +
            b"".join(hpet(8, at) for at in (0, 0x10, 0x20, 0xf0, 0x100, 0x108, 0x110, 0x180)) +
            hpet(4, 0x20, 1) + hpet(2, 0xf0) + hpet(2, 0xf0, 1) + hpet(8, 0xf4) + WAIT +
            hpet(4, 0x10, 3) + bytes([0xc0, 0, 0xc1, 1]) + WAIT + hpet(4, 0x10, 0),
    "hpet_wrap": bytes([HPET]) + hpet(8, 0xf0, 0xfffffffffffffff0) +
                 hpet_timer(0, EDGE | NARROW | PERIODIC | PIN_16, 0xfffffff8, 1) +
                 hpet_timer(1, EDGE | NARROW | 3 << 9, 0x10) + hpet(4, 0xf4, 1) +
                 hpet(4, 0x10, 3) + WAIT * 3 + hpet(8, 0xf0, 0),
    "hpet_loaded": bytes([HPET | 0x80]) + bytes(range(200)),
    "acpi_pm_loaded": bytes([ACPI_PM | 0x80]) + bytes(range(100)),
}


def main():
    for name, data in SEEDS.items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
