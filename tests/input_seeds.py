#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/input_fuzz.c: what is done with keyboards and mice.

    tests/input_seeds.py FOLDER
"""

import os
import struct
import sys

BEGIN = b"\0"
STATUS, READ, DRAIN, SAVE, RESET = b"\x01", b"\0", b"\xd0", b"\xf0", b"\xfe"


def commands(*values):
    return b"".join(bytes([0x30, value]) for value in values)


def data(*values):
    return b"".join(bytes([0x50, value]) for value in values)


def asked(*values):
    """Each byte to the keyboard, and its answer."""
    return b"".join(data(value) + DRAIN for value in values)


def mouse(*values):
    return b"".join(bytes([0x70, value]) + DRAIN for value in values)


def key(usage, down):
    return bytes([0x90 | down, usage])


def named(*codes):
    return b"".join(bytes([0xa1, code, 0xa0, code]) for code in codes)


def stroke(*usages):
    return b"".join(key(usage, 1) + key(usage, 0) for usage in usages)


def move(x, y, wheel=0):
    return b"\xb2" + struct.pack(">hhB", x, -y, wheel + 0x80)


def button(number, down):
    return bytes([0xb1 | number << 1 | down << 3])


def later(ms):
    return b"\xd8" + struct.pack(">I", ms * 1000000)


def plugged(command_byte):
    return BEGIN + commands(0x60) + data(command_byte)


PRINT, PAUSE, CONTROL, ALT = 0x46, 0x48, 0xe0, 0xe2
WHEEL = mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2, 0xf4)
SEEDS = {
    "controller": BEGIN + commands(0xaa, 0xab, 0xa9, 0xc0, 0xd0, 0xe0, 0x20, 0x3f, 0xa7, 0xa8,
                                   0xad, 0xae, 0xff, 0xf0, 0x01) + READ + SAVE +
                  commands(0xd1) + data(0xfe) + commands(0xd2) + data(1) + commands(0xd3) +
                  data(2) + READ + commands(0x7f) + data(3) + STATUS + RESET,
    "aside": plugged(0x43) + key(4, 1) + commands(0x20, 0xaa) + SAVE + READ + READ +
             mouse(0xf4) + move(1, 1) + commands(0x20) + SAVE + DRAIN,
    "keyboard": plugged(3) + asked(0xff, 0xf2, 0xee, 0xed, 8, 7, 0xf3, 0xff, 0xf3, 0x80, 0x20,
                                   0xf0, 0, 0xf0, 4, 1, 0xf4, 0xf5, 0xf6, 0xfe, 0xef),
    "keys": b"".join(plugged(byte) + stroke(*range(4, 0x40)) + DRAIN + stroke(0x52, PAUSE) +
                     DRAIN + stroke(PRINT) + SAVE + DRAIN + key(CONTROL, 1) + stroke(PAUSE, PRINT) +
                     DRAIN + key(CONTROL, 0) + key(ALT, 1) + stroke(PRINT) + DRAIN + key(ALT, 0)
                     for byte in (3, 0x43)),
    "named": plugged(3) + named(0x1e, 0x54, 0xc6, 0xcb, 0xff) + DRAIN,
    "set1": plugged(3) + asked(0xf0, 1) + stroke(4, 0x52, 3) + DRAIN + stroke(PAUSE) + DRAIN +
            stroke(PRINT),
    "set3": plugged(3) + asked(0xf0, 3) + stroke(4, 0x29, 0xe1, 0x68) + DRAIN +
            b"".join(asked(command) + stroke(4) + DRAIN for command in range(0xf7, 0xfb)) +
            asked(0xfb, 0x1c, 0xfc, 0x12, 0xfd, 8, 0x90) + key(4, 1) + later(900),
    "repeat": plugged(0x43) + key(4, 1) + later(500) + SAVE + later(92) + key(4, 0) + later(900) +
              asked(0xf3, 0) + key(PRINT, 1) + later(251) + DRAIN + commands(0xad) + later(4000),
    "mouse": plugged(3) + mouse(0xff, 0xf2, 0xe9, 0xe8, 3, 0xe8, 9, 9, 0xe7, 0xf4) + move(3, -3) +
             DRAIN + move(5, 300) + SAVE + button(1, 1) + button(2, 1) + DRAIN +
             mouse(0xe6, 0xf0, 0xeb, 0xe9, 0xfe, 0xea, 0xee, 0xf4, 0xec, 0xf5, 0xf6, 0xe1, 0xe1),
    "wheel": plugged(3) + WHEEL + move(1, 2, 20) + DRAIN + move(32767, -32767, -9) +
             move(32767, -32767) + DRAIN + button(0, 1) + b"".join(
                 button(0, i & 1) for i in range(8)) + DRAIN + mouse(0xeb, 0xfe, 0xff),
    "loaded": b"\x80" + bytes(range(1, 200)),
    "loaded_zeros": b"\x80" + bytes(200) + plugged(3)[1:],
}


def main():
    for name, content in SEEDS.items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
