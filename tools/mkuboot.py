#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes Debian's U-Boot for QEMU (u-boot-qemu) boot in Bochs, ten times faster than OVMF.

    mkuboot.py IN OUT

- Its device tree lets PCI interrupts use IRQ 6, which Bochs keeps for the floppy controller: the
  bit is taken out of each `intel,pirq-mask`.
- It waits two seconds for a key: it does not any more.
"""

import re
import sys

PROPERTY = bytes.fromhex("00000003 00000004 0000")  # FDT_PROP, four bytes, an early name
PIRQ_MASK, WITHOUT_6 = bytes.fromhex("00000e40"), bytes.fromhex("00000e00")
MASKS = 3
DELAY, NO_DELAY = b"bootdelay=2\0", b"bootdelay=0\0"


def fail(text):
    sys.exit(f"mkuboot: error: {text}; this U-Boot is not the one of Debian 12")


def convert(rom):
    pattern = re.escape(PROPERTY) + b".." + re.escape(PIRQ_MASK)
    rom, masks = re.subn(pattern, lambda match: match[0][:-4] + WITHOUT_6, rom, flags=re.DOTALL)
    if masks != MASKS:
        fail(f"found {masks} masks of PCI interrupts, expected {MASKS}")
    if DELAY not in rom:
        fail("found no boot delay of two seconds")
    return rom.replace(DELAY, NO_DELAY)


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: mkuboot.py IN OUT")
    try:
        with open(arguments[0], "rb") as file:
            rom = file.read()
    except FileNotFoundError:
        sys.exit(f"mkuboot: error: {arguments[0]}: not found (install u-boot-qemu)")
    rom = convert(rom)
    with open(arguments[1], "wb") as file:
        file.write(rom)


if __name__ == "__main__":
    main(sys.argv[1:])
