#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/net_fuzz.c: drivers and networks that do as they should, and some
that do not.

    tests/net_seeds.py FOLDER
"""

import os
import struct
import sys

sys.dont_write_bytecode = True

from virtio_seeds import AVAILABLE, NEXT, WRITE, descriptor, ram  # noqa: E402

RINGS, QUEUE_BYTES, HEADER, DATA, BUFFER, ANSWER = 0x1000, 0x3000, 0xa000, 0xa100, 0xc000, 0xf000
READY, PACKED, EVENTS, MERGE, LEGACY, MESSAGES, ORDER, OFFLOAD = 1, 2, 4, 8, 16, 32, 64, 128
RECEIVE, SEND, CONTROL = 0, 1, 2
SAVE = b"\x0e"
MAC = bytes([2, 0, 0, 0, 0, 1])


def notify(queue):
    return bytes([queue * 16 + 4])


def chain(how, queue, parts, index=1, place=0):
    """parts: (address, bytes, flags); the first chain of the queue, or the `index`th."""
    ring = RINGS + queue * QUEUE_BYTES
    content = b""
    for number, (address, count, flags) in enumerate(parts):
        last = number + 1 == len(parts)
        flags |= 0 if last else NEXT
        if how & PACKED:
            content += descriptor(address, count, index - 1, flags | AVAILABLE)
        else:
            content += descriptor(address, count, flags, place + number + 1)
    steps = ram(ring + 16 * place, content)
    if not how & PACKED:
        steps += ram(ring + 0x1000 + 4 + 2 * (index - 1), struct.pack("<H", place)) + \
            ram(ring + 0x1002, struct.pack("<H", index))
    return steps


def header(flags=0, start=0, offset=0):
    return ram(HEADER, struct.pack("<BBHHHHH", flags, 0, 0, 0, start, offset, 0))


def arrive(count, start=0, offset=0, to=MAC, kind=b"\x08\x00\x00\x00"):
    first = (to + MAC + kind + bytes(2))[:min(18, count)]
    return b"\x06" + struct.pack(">H", count - 14) + first + bytes([start, offset])


def command(how, kind, code, data, index=1, place=0):
    return ram(HEADER, bytes([kind, code]) + data) + \
        chain(how, CONTROL, [(HEADER, 2 + len(data), 0), (ANSWER, 1, WRITE)], index, place) + \
        notify(CONTROL)


def seeds():
    for how in (READY, READY | EVENTS, READY | PACKED, READY | MERGE, READY | PACKED | MERGE,
                READY | OFFLOAD, READY | MESSAGES | EVENTS, READY | PACKED | EVENTS):
        start = bytes([how])
        yield start + header() + chain(how, SEND, [(HEADER, 12, 0), (DATA, 60, 0)]) + \
            notify(SEND) + SAVE
        yield start + header(1, 34, 16) + chain(how, SEND, [(HEADER, 12, 0), (DATA, 100, 0)]) + \
            notify(SEND)
        buffers = b"".join(chain(how, RECEIVE, [(BUFFER + 0x200 * i, 300, WRITE)], i + 1, i)
                           for i in range(6))
        yield start + buffers + arrive(60) + SAVE + arrive(200, 34, 6) + arrive(1000) + arrive(1514)
        table = struct.pack("<I", 1) + MAC + struct.pack("<I", 1) + b"\x01" + MAC[1:]
        commands = command(how, 0, 0, b"\x00") + command(how, 1, 0, table, 2, 2) + \
            command(how, 2, 0, struct.pack("<H", 5), 3, 4)
        yield start + commands + buffers + arrive(60) + arrive(60, kind=b"\x81\x00\x00\x05") + SAVE
        yield start + command(how, 1, 1, MAC)
        yield start + chain(how, SEND, [(HEADER, 5, 0)]) + notify(SEND)
        yield start + chain(how, RECEIVE, [(BUFFER, 5, WRITE)]) + arrive(60)
        yield start + chain(how, RECEIVE, [(HEADER, 500, 0)]) + arrive(60)
        yield start + chain(how, CONTROL, [(HEADER, 3, 0)]) + notify(CONTROL)
    ring = RINGS + 3 * 0x1000
    yield bytes([READY | LEGACY]) + header() + ram(ring, descriptor(HEADER, 70, 0, 0)) + \
        ram(ring + 16 * 128 + 2, b"\x01\x00") + notify(SEND)
    yield b"\x00" + b"".join(b"\x08\x02" + struct.pack(">H", at) for at in range(0, 0x3c, 4))


def main():
    for number, seed in enumerate(seeds()):
        with open(os.path.join(sys.argv[1], f"{number:03}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main()
