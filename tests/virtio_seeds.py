#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/virtio_fuzz.c and virtio_devices_fuzz.c: drivers that do as they
should, and some that do not.

    tests/virtio_seeds.py FOLDER DEVICES-FOLDER
"""

import os
import struct
import sys

RING, DRIVER, DEVICE, TABLE, HEADER, STATUS, DATA = (
    0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x5800, 0x6000)
READY, PACKED, EVENTS, READONLY, LEGACY, MESSAGES, ORDER = 1, 2, 4, 8, 16, 32, 64
NEXT, WRITE, INDIRECT = 1, 2, 4
AVAILABLE, USED = 1 << 7, 1 << 15
IN, OUT, FLUSH, GET_ID, DISCARD, ZEROES = 0, 1, 4, 8, 11, 13
NOTIFY, COMPLETE, TIME, SAVE = b"\x04", b"\x06\x00", b"\x07", b"\x0e"


def ram(address, content):
    """As steps of at most 31 bytes."""
    steps = b""
    for at in range(0, len(content), 31):
        part = content[at:at + 31]
        steps += b"\x00" + struct.pack(">HB", address + at, len(part)) + part
    return steps


def descriptor(address, count, flags, last):
    return struct.pack("<QIHH", address, count, flags, last)


def header(kind, sector=0):
    return ram(HEADER, struct.pack("<IIQ", kind, 0, sector))


def split(kind, count, index, ring=RING, driver=DRIVER):
    written = WRITE if kind in (IN, GET_ID) else 0
    return (header(kind, 3) +
            ram(ring, descriptor(HEADER, 16, NEXT, 1) +
                descriptor(DATA, count, NEXT | written, 2) + descriptor(STATUS, 1, WRITE, 0)) +
            ram(driver + 2, struct.pack("<HH", index, 0) * 1) + NOTIFY)


def packed(kind, count, place, wrap=True):
    flag = AVAILABLE if wrap else USED
    written = WRITE if kind in (IN, GET_ID) else 0
    return (header(kind, 3) +
            ram(RING + 16 * place, descriptor(HEADER, 16, 0, flag | NEXT) +
                descriptor(DATA, count, 0, flag | NEXT | written) +
                descriptor(STATUS, 1, 0, flag | WRITE)) + NOTIFY)


def indirect(kind, how):
    table = ram(TABLE, descriptor(HEADER, 16, NEXT, 1) + descriptor(DATA, 512, NEXT | WRITE, 2) +
                descriptor(STATUS, 1, WRITE, 0))
    ring = descriptor(TABLE, 48, 0, AVAILABLE | INDIRECT) if how & PACKED else \
        descriptor(TABLE, 48, INDIRECT, 0)
    return header(kind) + table + ram(RING, ring) + ram(DRIVER + 2, b"\x01\x00\x00\x00") + NOTIFY


def seeds():
    ranges = ram(DATA, struct.pack("<QII", 8, 8, 0))
    for how in (READY, READY | EVENTS, READY | MESSAGES, READY | READONLY, READY | ORDER):
        for kind, count in ((IN, 1024), (OUT, 512), (FLUSH, 1), (GET_ID, 20), (99, 1)):
            yield bytes([how]) + split(kind, count, 1) + SAVE + COMPLETE + TIME
        for kind in (DISCARD, ZEROES):
            yield bytes([how]) + ranges + split(kind, 16, 1) + COMPLETE
        yield bytes([how]) + b"".join(split(IN, 512, i) + COMPLETE for i in range(1, 5))
        yield bytes([how]) + indirect(IN, how) + COMPLETE
    for how in (READY | PACKED, READY | PACKED | EVENTS | MESSAGES, READY | PACKED | ORDER):
        yield bytes([how]) + packed(IN, 512, 0) + COMPLETE + packed(GET_ID, 20, 3) + SAVE
        yield bytes([how]) + indirect(GET_ID, how)
    yield bytes([READY]) + split(IN, 40000, 1) + COMPLETE + COMPLETE
    yield bytes([READY | LEGACY]) + split(IN, 512, 1, RING, RING + 16 * 128) + COMPLETE
    yield b"\x00" + b"".join(b"\x09\x00" + struct.pack(">HB", at, 1) for at in range(0x3c))
    yield b"\x00" + b"".join(b"\x08\x02" + struct.pack(">H", at) for at in range(0, 0x3c, 4))
    yield b"\x00" + b"".join(b"\x8d\x02" + struct.pack(">HI", at, 0xffffffff)
                             for at in range(0, 256, 4))


def one(queue, place, address, count, flags, how):
    """A chain of one descriptor in a queue of virtio_devices_fuzz.c."""
    at = queue * 0x100
    if how & PACKED:
        steps = ram(RING + at + 16 * place, descriptor(address, count, place, AVAILABLE | flags))
    else:
        steps = ram(RING + at + 16 * place, descriptor(address, count, flags, 0)) + \
            ram(DRIVER + at + 4 + 2 * place, struct.pack("<H", place)) + \
            ram(DRIVER + at + 2, struct.pack("<H", place + 1))
    return steps + bytes([queue * 16 + 4])


def device_seeds():
    rng, console, balloon = range(3)
    frames = ram(DATA, struct.pack("<4I", 8, 9, 10, 99))
    stats = ram(TABLE, struct.pack("<HQHQ", 4, 1 << 30, 5, 1 << 31))
    operate = b"\x06" + struct.pack(">IB", 0x1234, 7)
    for how in (READY, READY | EVENTS, READY | PACKED, READY | PACKED | ORDER, READY | ORDER):
        for place in range(3):
            yield bytes([rng, how]) + b"".join(
                one(0, i, DATA, 3000, WRITE, how) for i in range(place + 1)) + SAVE + TIME
        yield bytes([rng, how]) + one(0, 0, DATA, 4, 0, how)
        yield bytes([console, how]) + one(0, 0, DATA, 5, WRITE, how) + operate + operate + SAVE
        yield bytes([console, how]) + operate * 12 + one(0, 0, DATA, 50, WRITE, how)
        yield bytes([console, how]) + one(1, 0, DATA, 9000, 0, how) + TIME + SAVE + TIME + TIME
        yield bytes([balloon, how]) + frames + one(0, 0, DATA, 12, 0, how) + \
            one(1, 0, DATA, 12, 0, how)
        yield bytes([balloon, how]) + frames + one(0, 0, DATA, 16, 0, how)
        yield bytes([balloon, how]) + one(0, 0, 0x8000, 1200, 0, how) + TIME + SAVE + TIME * 4
        yield bytes([balloon, how]) + stats + one(2, 0, TABLE, 20, 0, how) + operate + \
            one(2, 1, TABLE, 20, 0, how) + SAVE + operate


def main():
    for folder, made in ((sys.argv[1], seeds()), (sys.argv[2], device_seeds())):
        for number, seed in enumerate(made):
            with open(os.path.join(folder, f"{number:03}"), "wb") as file:
                file.write(seed)


if __name__ == "__main__":
    main()
