#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/vga_fuzz.c: modes as firmware sets them, drawn to and shown.

    tests/vga_seeds.py FOLDER
"""

import struct
import sys

sys.dont_write_bytecode = True

from seed_steps import write_seeds  # noqa: E402

MISC = b"\x45\x12"  # a byte to port 0x3c2
SEQUENCER, GRAPHICS, CRTC, ATTRIBUTE = range(0x80, 0x84)
DISPI, SHOW, TIME = b"\xa8", b"\xd0", b"\xf0"
STATUS = b"\x03\x2a"  # a read of port 0x3da

MODES = {  # miscellaneous output, sequencer, CRTC, graphics, attribute mode
    "text": (0x67, "0300030002", "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff",
             "0000000000100e00ff", 0x0c),
    "planar": (0xe3, "03010f0006", "5f4f508254800b3e0040000000000000ea8cdf2800e704e3ff",
               "000000000000050fff", 1),
    "bytes": (0x63, "03010f000e", "5f4f50825480bf1f00410000000000009c8e8f284096b9a3ff",
              "000000000040050fff", 0x41),
    "pairs": (0x63, "0309030002", "2d2728902b80bf1f00c10000000000009c8e8f140096b9a2ff",
              "0000000000300f00ff", 1),
}


def mode(name):
    misc, sequencer, crtc, graphics, attribute = MODES[name]
    steps = MISC + bytes([misc])
    for what, values in ((SEQUENCER, sequencer), (CRTC, crtc), (GRAPHICS, graphics)):
        for index, value in enumerate(bytes.fromhex(values)):
            steps += bytes([what, index, value])
    steps += STATUS
    for index in range(16):
        steps += bytes([ATTRIBUTE, index, index])
    return steps + bytes([ATTRIBUTE, 0x30, attribute, ATTRIBUTE, 0x32, 0x0f])


def window(offset, value):
    return b"\x41" + offset.to_bytes(3, "big") + bytes([value])


def draw():
    steps = b""
    for at in (0, 1, 0x100, 0x8000, 0x10000, 0x18000, 0x18001, 0x1fff0):
        steps += window(at, 0x5a) + b"\x05" + at.to_bytes(3, "big")
    return steps + SHOW + struct.pack(">HH", 3, 5) + TIME + b"\x00\x10\x00\x00" + STATUS


def dispi(*values):
    return b"".join(DISPI + struct.pack(">BH", index, value) for index, value in values)


def seeds():
    for name in MODES:
        yield b"\x00" + mode(name) + draw()
        for write in range(4):
            yield b"\x00" + mode(name) + bytes([GRAPHICS, 5, write | 8]) + draw()
    for bits in (4, 8, 15, 16, 24, 32):
        size = dispi((4, 0), (1, 640), (2, 480), (3, bits), (4, 0xc1))
        yield b"\x00" + mode("planar") + size + draw()
        yield b"\x00" + mode("text") + size + dispi((6, 1024), (8, 16), (9, 50), (5, 3)) + draw()
        yield b"\x00" + mode("text") + size + dispi((6, 16000), (9, 12000), (4, 2)) + draw()
    yield b"\x00" + b"".join(b"\x20" + at.to_bytes(3, "big") for at in range(0, 0x700, 4))
    yield b"\x00" + b"".join(b"\x60" + struct.pack(">BI", at, 0xffffffff) + b"\x24" + bytes([at])
                             for at in range(0, 64, 4))
    yield b"\x01" + bytes(200) + draw()


def main():
    write_seeds(sys.argv[1], seeds())


if __name__ == "__main__":
    main()
