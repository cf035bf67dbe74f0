#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/net_fuzz.c: drivers and networks that do as they should, and some
that do not.

    tests/net_seeds.py FOLDER
"""

import struct
import sys

sys.dont_write_bytecode = True

from seed_steps import (  # noqa: E402
    AVAILABLE, EVENTS, LEGACY, LEGACY_ENTRIES, MESSAGES, NEXT, NOWHERE, OWN, PACKED, READY, SAVE,
    TIME, WRITE, descriptor, driver_reset, many, notify, queue_reset, ram, registers, write_seeds)

RINGS, QUEUE_BYTES, HEADER, DATA, BUFFER, ANSWER = 0x1000, 0x3000, 0xa000, 0xa100, 0xc000, 0xf000
MERGE, OFFLOAD = 8, 128
RECEIVE, SEND, CONTROL = 0, 1, 2
MAC = bytes([2, 0, 0, 0, 0, 1])
OTHER, GROUP, ALL = bytes([2, 0, 0, 0, 0, 9]), bytes([3, 0, 0, 0, 0, 1]), b"\xff" * 6


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


def header(flags=0, start=0, offset=0, gso=0):
    return ram(HEADER, struct.pack("<BBHHHHH", flags, gso, 0, 0, start, offset, 0))


def send(how, count, at=DATA):
    return chain(how, SEND, [(HEADER, 12, 0), (at, count, 0)]) + notify(SEND)


def arrive(count, start=0, offset=0, to=MAC, kind=b"\x08\x00\x00\x00"):
    first = (to + MAC + kind + bytes(2))[:min(18, count)]
    return OWN + struct.pack(">H", count - 14) + first + bytes([start, offset])


def buffers(how, sizes):
    return b"".join(chain(how, RECEIVE, [(BUFFER + 0x200 * i, size, WRITE)], i + 1, i)
                    for i, size in enumerate(sizes))


def command(how, kind, code, data, index=1, place=0):
    return ram(HEADER, bytes([kind, code]) + data) + \
        chain(how, CONTROL, [(HEADER, 2 + len(data), 0), (ANSWER, 1, WRITE)], index, place) + \
        notify(CONTROL)


def commands(how, *several):
    """Each (kind, code, data). In a ring of 8, with two descriptors each."""
    return b"".join(command(how, *one, i + 1, 2 * i) for i, one in enumerate(several))


def table(unicast, multicast):
    return struct.pack("<I", len(unicast)) + b"".join(unicast) + \
        struct.pack("<I", len(multicast)) + b"".join(multicast)


def sent(how):
    yield header() + send(how, 60) + SAVE
    yield header(1, 34, 16) + send(how, 100)
    yield header(1, 0, 16) + send(how, 100)
    yield header(1, 98, 16) + send(how, 100)
    yield header(gso=1) + send(how, 100)
    for count in (13, 14, 1518, 1519, 4000, 60000):
        yield header() + send(how, count)
    yield header() + send(how, 60, NOWHERE)
    yield chain(how, SEND, [(NOWHERE, 12, 0), (DATA, 60, 0)]) + notify(SEND)
    yield chain(how, SEND, [(HEADER, 5, 0)]) + notify(SEND)
    yield chain(how, SEND, [(HEADER, 12, WRITE)]) + notify(SEND)
    yield header() + send(how, 60) + queue_reset(SEND) + driver_reset()


def received(how):
    yield buffers(how, [300] * 6) + arrive(60) + SAVE + arrive(200, 34, 6) + arrive(1000) + \
        arrive(1514)
    yield buffers(how, [2000] * 3) + arrive(1514) + arrive(70, 34, 16) + arrive(14)
    # A checksum of zeros but for its own field, which makes it none.
    yield buffers(how, [2000]) + arrive(16, 14, 0, kind=b"\x08\x00\xff\xff")
    yield chain(how, RECEIVE, [(BUFFER, 5, WRITE), (BUFFER + 64, 300, WRITE)]) + arrive(60)
    for parts in ([(BUFFER, 5, WRITE)], [(BUFFER, 500, 0)], [(NOWHERE, 500, WRITE)],
                  [(BUFFER, 20, WRITE), (NOWHERE, 500, WRITE)]):
        yield chain(how, RECEIVE, parts) + arrive(60) + SAVE
    yield arrive(60) + buffers(how, [300]) + queue_reset(RECEIVE) + arrive(60)


def controlled(how):
    promiscuous, vlan = (0, 0, b"\x00"), (2, 0, struct.pack("<H", 5))
    filters = (1, 0, table([MAC], [GROUP]))
    incoming = buffers(how, [300] * 6) + b"".join(
        arrive(60, to=to) for to in (MAC, OTHER, GROUP, ALL)) + \
        arrive(60, kind=b"\x81\x00\x00\x05") + arrive(60, kind=b"\x81\x00\x00\x06")
    yield commands(how, promiscuous, filters, vlan) + incoming + SAVE
    yield commands(how, promiscuous, (1, 0, table([OTHER], []))) + incoming
    yield commands(how, promiscuous, (0, 1, b"\x01")) + incoming
    yield commands(how, promiscuous, (1, 0, table([MAC] * 80, [GROUP] * 80))) + incoming
    yield commands(how, vlan, (2, 1, struct.pack("<H", 5)), promiscuous) + incoming
    for wrong in ((0, 9, b"\x01"), (0, 0, b"\x02"), (0, 0, b""), (1, 0, b"\x01\x00"),
                  (1, 0, struct.pack("<I", 3)), (1, 1, GROUP), (1, 7, MAC), (1, 1, b"\x02"),
                  (2, 0, b"\xff\xff"), (2, 5, b"\x05\x00"), (9, 0, b"")):
        yield commands(how, wrong, (1, 1, OTHER))
    yield chain(how, CONTROL, [(HEADER, 3, 0)]) + notify(CONTROL)
    yield chain(how, CONTROL, [(HEADER, 1, 0), (ANSWER, 1, WRITE)]) + notify(CONTROL)
    yield chain(how, CONTROL, [(HEADER, 3, 0), (NOWHERE, 1, WRITE)]) + notify(CONTROL)


def seeds():
    for how in (READY, READY | EVENTS, READY | PACKED, READY | MERGE, READY | PACKED | MERGE,
                READY | OFFLOAD, READY | MESSAGES | EVENTS, READY | PACKED | EVENTS):
        for kind in (sent, received, controlled):
            yield from (bytes([how]) + steps for steps in kind(how))
    ring = RINGS + SEND * QUEUE_BYTES
    yield bytes([READY | LEGACY]) + header() + many(ring, 1, [(HEADER, 70, 0)]) + notify(SEND)
    yield bytes([READY | LEGACY]) + header() + many(ring, 100, [(HEADER, 70, 0)]) + \
        notify(SEND) + SAVE + TIME + TIME
    # Two hundred bytes in many small buffers, and in more than a frame may have.
    small = ram(RINGS, b"".join(descriptor(BUFFER + 16 * i, 15, WRITE, 0) for i in range(40))) + \
        ram(RINGS + 16 * LEGACY_ENTRIES + 4, struct.pack("<40H", *range(40))) + \
        ram(RINGS + 16 * LEGACY_ENTRIES + 2, struct.pack("<H", 40))
    yield bytes([READY | LEGACY]) + small + arrive(150) + arrive(400) + SAVE
    for how in (0, READY, READY | LEGACY):
        yield from (bytes([how]) + steps for steps in registers())


def main():
    write_seeds(sys.argv[1], seeds())


if __name__ == "__main__":
    main()
