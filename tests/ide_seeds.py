#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/ide_fuzz.c: what drivers of IDE disks do.

    tests/ide_seeds.py FOLDER
"""

import os
import struct
import sys

CONFIG, MASTER, COMMAND, COMMAND_2, CONTROL, CONTROL_2 = range(6)
SIZES = {1: 0, 2: 1, 4: 2}
WRITE = 0x40
LBA, SECOND = 0x40, 0x10
TABLE, MEMORY = 0x400, 0x1000
IDENTIFY, SMART, SET_FEATURES, TRIM = 0xec, 0xb0, 0xef, 0x06
DONE, FAILED, RANGE = 0xb2, 0xb1, 0xb0
LATER, SAVE, RESET = b"\xe0\xff\xff\xff", b"\xf0", b"\xfe"


def access(region, size, offset, value=None):
    kind = (WRITE if value is not None else 0) | SIZES[size] << 3
    while (kind & 0x7f) % 6 != region:  # its low bits are free
        kind += 1
    assert kind >> 3 & 3 == SIZES[size] and bool(kind & WRITE) == (value is not None)
    data = b"" if value is None else value.to_bytes(size, "big")
    return bytes([kind, offset]) + data


def memory(at, data):
    return b"".join(b"\xd0" + struct.pack(">HB", at + i, len(data[i:i + 31])) + data[i:i + 31]
                    for i in range(0, len(data), 31))


def command(value, lba=0, count=1, features=0, device=LBA, channel=0):
    low, middle, high = lba.to_bytes(3, "little")
    return bytes([0x80 + channel, value, features, count, low, middle, high, device])


def long_command(value, lba=0, count=1, features=0):
    """The previous contents of the registers first, by a command that is not there."""
    return command(0xff, lba >> 24, count >> 8, features >> 8) + \
        command(value, lba & 0xffffff, count & 0xff, features & 0xff)


def data(words, write=False, channel=0):
    return b"".join(bytes([0xa0 | channel | (2 if write else 0), min(255, left // 16)])
                    for left in range(words, 0, -255 * 16))


def master(value, channel=0):
    return access(MASTER, 4, 4 + 8 * channel, TABLE) + access(MASTER, 1, 8 * channel, value)


def table(*entries):
    return memory(TABLE, b"".join(struct.pack("<II", at, count) for at, count in entries))


LAST = 1 << 31
BEGIN = b"\x03" + access(CONFIG, 4, 0x20, 0xc000) + access(CONFIG, 2, 4, 5) + \
    access(CONFIG, 4, 0x40, 0x80008000)
BUSY = b"\x00" + BEGIN[1:]
ENTRIES = table((MEMORY, 512), (MEMORY + 0x1000, 1024 | LAST))
SIGNATURE = 0xc24f00

SEEDS = {
    "identify": BEGIN + command(IDENTIFY) + data(256) + command(IDENTIFY, device=SECOND) +
                data(256) + command(IDENTIFY, channel=1) + data(256, channel=1),
    "pio_read": BEGIN + command(0x20, 7, 2) + bytes([DONE]) + data(256) + SAVE + bytes([DONE]) +
                data(256) + command(0xc4, 0, 9) + bytes([DONE]) + data(2048) + bytes([FAILED]),
    "pio_write": BEGIN + command(0x30, 7, 2) + data(256, True) + bytes([DONE]) + data(256, True) +
                 bytes([DONE]) + command(0xc5, 0, 9) + data(2048, True) + bytes([DONE, RANGE]),
    "durable": BEGIN + command(SET_FEATURES, features=0x82) + bytes([DONE]) + command(0x30) +
               data(256, True) + bytes([DONE, DONE]) + command(0xe7) + bytes([FAILED]),
    "dma": BEGIN + ENTRIES + command(0xc8, 1, 3) + master(9) + SAVE + bytes([DONE]) +
           access(MASTER, 1, 2) + access(MASTER, 1, 2, 0x66) + master(0) + command(0xca, 1, 3) +
           master(1) + bytes([FAILED]) + access(COMMAND, 1, 7),
    "dma_long": BEGIN + table((0, 0), (0, LAST)) + long_command(0x25, 0, 129) + master(9) +
                bytes([DONE] * 3) + long_command(0x35, 0, 300) + master(0) + master(1) +
                bytes([DONE]) + master(0) + master(1) + bytes([DONE] * 9),
    "dma_bad": BEGIN + table((0xffff0000, LAST)) + command(0xc8) + master(9) +
               access(MASTER, 4, 4, 0xfffffff8) + command(0xc8) + access(MASTER, 1, 0, 0) +
               access(MASTER, 1, 0, 9) + table((MEMORY, LAST | 2)) + command(0xc8) + master(0) +
               master(9) + bytes([DONE]) + access(CONTROL, 1, 0, 4) + access(CONTROL, 1, 0, 0),
    "busy": BUSY + ENTRIES + command(0x20) + command(0x20, channel=1) + LATER + bytes([DONE]) +
            LATER + command(0xe7) + SAVE + bytes([DONE]) + LATER + bytes([DONE, DONE]),
    "busy_dma": BUSY + ENTRIES + command(0x20, channel=1) + command(0xc8, 1, 3) + master(9) +
                SAVE + LATER + bytes([DONE]) + LATER + bytes([DONE]) + master(0),
    "busy_write": BUSY + command(0x20, channel=1) + command(0x30) + data(256, True) + LATER +
                  bytes([DONE]) + LATER + bytes([DONE]),
    "busy_trim": BUSY + memory(MEMORY, struct.pack("<Q", 3 << 48)) + table((MEMORY, 512 | LAST)) +
                 command(0x20, channel=1) + long_command(TRIM, features=1) + master(1) + LATER +
                 bytes([DONE]) + LATER + bytes([DONE]),
    "trim": BEGIN + memory(MEMORY, struct.pack("<QQ", 3 << 48 | 100, 1 << 48 | 4999)) +
            table((MEMORY, 256), (MEMORY + 256, 256 | LAST)) +
            long_command(TRIM, features=1) + master(1) + bytes([DONE, DONE]) + master(0) +
            memory(MEMORY, struct.pack("<Q", 9 << 48 | 4999)) +
            long_command(TRIM, features=1) + master(1) + command(TRIM),
    "smart": BEGIN + b"".join(command(SMART, SIGNATURE | low, features=feature) + data(256)
                              for feature, low in ((0xd0, 0), (0xd1, 0), (0xd2, 0), (0xd4, 1),
                                                   (0xd4, 9), (0xd5, 0), (0xd5, 1), (0xd5, 6),
                                                   (0xd5, 9), (0xda, 0), (0xd9, 0), (0xd8, 0),
                                                   (0xdf, 0))) +
             long_command(0x2f, 0) + data(256) + long_command(0x2f, 7) + data(256) +
             long_command(0x2f, 1),
    "features": BEGIN + b"".join(command(SET_FEATURES, count=count, features=feature)
                                 for feature, count in ((3, 0), (3, 8), (3, 0x22), (3, 0x45),
                                                        (3, 0x77), (2, 0), (0x55, 0), (0xaa, 0),
                                                        (0x66, 0), (0xcc, 0), (9, 0))) +
                command(IDENTIFY) + data(256),
    "old": BEGIN + command(0x91, count=17, device=3) + command(0x91, count=0) +
           command(0x20, 0x203, device=2) + bytes([FAILED]) + command(0x70, 0x203, device=2) +
           command(0x70, 0x263, device=9) + command(0xc6, count=4) + command(0xc6, count=5) +
           command(0xc6, count=0) + command(0xc4) + command(0x10) + command(0x90) +
           command(0x20, 4999, 2),
    "rests": BEGIN + command(0xe0) + bytes([DONE]) + command(0xe5) + command(0xe1) +
             command(0xe5) + command(0xe6) + bytes([DONE]) + command(0x40, 0, 0) + bytes([DONE]) +
             SAVE + bytes([DONE, DONE, DONE]) + command(0x42) + bytes([FAILED]),
    "registers": BEGIN + b"".join(access(COMMAND, 1, reg, 0x5a) + access(COMMAND, 1, reg)
                                  for reg in range(1, 7)) +
                 access(CONTROL, 1, 0, 0x80) + b"".join(access(COMMAND, 1, reg)
                                                        for reg in range(1, 8)) +
                 access(COMMAND, 1, 7, 0x20) + access(CONTROL, 1, 0, 2) + bytes([DONE]) +
                 access(CONTROL, 1, 0, 0) + access(COMMAND, 4, 0) + access(COMMAND, 4, 2) +
                 access(MASTER, 4, 0) + access(MASTER, 4, 4) + access(CONTROL, 1, 0) + RESET,
    "stopped": BEGIN + ENTRIES + command(0xc8, 1, 3) + master(9) + master(0) + bytes([DONE]) +
               master(9) + RESET + bytes([DONE, DONE]),
    "nobody": BEGIN + access(COMMAND_2, 1, 6, SECOND) + access(CONTROL_2, 1, 0) +
              access(COMMAND_2, 1, 7, IDENTIFY) + access(COMMAND_2, 2, 0),
    "loaded": b"\x83" + bytes(range(1, 256)),
    "loaded_zeros": b"\x83" + bytes(300) + BEGIN[1:],
}


def main():
    for name, content in SEEDS.items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
