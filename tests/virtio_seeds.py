#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/virtio_fuzz.c and virtio_devices_fuzz.c: drivers that do as they
should, and some that do not.

    tests/virtio_seeds.py FOLDER DEVICES-FOLDER
"""

import struct
import sys

sys.dont_write_bytecode = True

from seed_steps import (  # noqa: E402
    AVAILABLE, DESCRIPTORS, DEVICE_AT, EVENTS, INDIRECT, LEGACY, LEGACY_ENTRIES, MESSAGES, NEXT,
    NOWHERE, ORDER, OWN, PACKED, QUEUE_ENABLE, QUEUE_SELECT, QUEUE_SIZE, READY, SAVE, TIME, USED,
    WRITE, descriptor, driver_reset, legacy, many, masked, modern, notify, queue_reset, ram,
    registers, write_seeds)

RING, DRIVER, DEVICE, TABLE, HEADER, ANSWER, DATA = (
    0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x5800, 0x6000)
READONLY, PLANE = 8, 128
IN, OUT, FLUSH, GET_ID, DISCARD, ZEROES = 0, 1, 4, 8, 11, 13
COMPLETE, FAIL, SERVE, SERVE_LAST = OWN + b"\x00", OWN + b"\x03", b"\x16", b"\x36"
PARTS_MAX = 16


def begin(how, requests=64):
    return bytes([how, requests])


def header(kind, sector=0):
    return ram(HEADER, struct.pack("<IIQ", kind, 0, sector))


def body(kind, count):
    """What a request consists of: address, bytes, whether the device writes."""
    written = WRITE if kind in (IN, GET_ID) else 0
    return [(HEADER, 16, 0), (DATA, count, written), (ANSWER, 1, WRITE)]


def split(parts, index=1, head=0):
    """The chain that begins with the descriptor `head` is the `index`th of queue 0."""
    table = b""
    for number, (address, count, flags) in enumerate(parts):
        last = number + 1 == len(parts)
        table += descriptor(address, count, flags | (0 if last else NEXT), head + number + 1)
    return (ram(RING + 16 * head, table) +
            ram(DRIVER + 4 + 2 * ((index - 1) % 8), struct.pack("<H", head)) +
            ram(DRIVER + 2, struct.pack("<H", index)) + notify(0))


def packed(parts, place=0, wrap=True):
    """In a ring of 8; what goes beyond its end goes on at its start."""
    steps = b""
    for number, (address, count, flags) in enumerate(parts):
        at, turned = (place + number) % 8, place + number >= 8
        flags |= AVAILABLE if wrap != turned else USED
        flags |= NEXT if number + 1 < len(parts) else 0
        steps = ram(RING + 16 * at, descriptor(address, count, place % 8, flags)) + steps
    return steps + notify(0)


def chain(how, parts, index=1):
    """Chains of 3 descriptors one behind the other, two at a time in a split ring."""
    if how & PACKED:
        place = 3 * (index - 1)
        return packed(parts, place % 8, place // 8 % 2 == 0)
    return split(parts, index, (index - 1) % 2 * 3)


def indirect(how, parts):
    table = b""
    if how & PACKED:
        for address, count, flags in parts:
            table += descriptor(address, count, 0, flags)
        return ram(TABLE, table) + packed([(TABLE, len(table), INDIRECT)])
    for number, (address, count, flags) in enumerate(parts):
        following = 0 if number + 1 == len(parts) else NEXT
        table += descriptor(address, count, flags | following, number + 1)
    return ram(TABLE, table) + split([(TABLE, len(table), INDIRECT)])


def good_requests(how):
    ranges = ram(DATA, struct.pack("<QII", 8, 8, 0))
    for kind, count in ((IN, 1024), (OUT, 512), (FLUSH, 1), (GET_ID, 20), (99, 1)):
        yield header(kind, 3) + chain(how, body(kind, count)) + SAVE + COMPLETE + TIME
    for kind in (DISCARD, ZEROES):
        yield header(kind) + ranges + chain(how, body(kind, 16)) + COMPLETE
    yield header(IN, 3) + b"".join(chain(how, body(IN, 512), i) + COMPLETE for i in range(1, 8))
    yield header(IN, 3) + chain(how, body(IN, 512)) + chain(how, body(IN, 512), 2) + \
        OWN + b"\x04" + FAIL
    yield header(IN) + chain(how, body(IN, 40000)) + COMPLETE + SAVE + COMPLETE
    yield header(IN) + indirect(how, [(HEADER, 16, 0)] + [(DATA, 512, WRITE)] * PARTS_MAX * 4 +
                                [(ANSWER, 1, WRITE)]) + COMPLETE
    yield header(OUT) + indirect(how, [(HEADER, 16, 0)] + [(DATA, 4096, 0)] * PARTS_MAX +
                                 [(ANSWER, 1, WRITE)]) + COMPLETE + COMPLETE
    # What is in flight when the driver, or a queue, is reset.
    for reset in (driver_reset(), queue_reset(0)):
        yield header(IN) + chain(how, body(IN, 512)) + reset + SAVE + COMPLETE + TIME


def bad_requests(how):
    for parts in ([(HEADER, 16, 0)], [(HEADER, 5, 0), (ANSWER, 1, WRITE)],
                  [(HEADER, 16, 0), (NOWHERE, 512, WRITE), (ANSWER, 1, WRITE)],
                  [(HEADER, 16, 0), (DATA, 512, WRITE), (NOWHERE, 1, WRITE)],
                  [(NOWHERE, 16, 0), (ANSWER, 1, WRITE)], [(HEADER, 0, 0), (ANSWER, 1, WRITE)],
                  [(HEADER, 16, WRITE), (DATA, 512, 0), (ANSWER, 1, WRITE)],
                  [(TABLE, 16, INDIRECT), (DATA, 512, 0)], [(TABLE, 7, INDIRECT)],
                  [(NOWHERE, 48, INDIRECT)]):
        yield header(IN) + chain(how, parts) + COMPLETE
    yield header(IN, 4096) + chain(how, body(IN, 512))
    yield header(DISCARD) + ram(DATA, struct.pack("<QII", 8, 8, 2)) + chain(how, body(DISCARD, 16))
    yield header(ZEROES) + ram(DATA, struct.pack("<QII", 8, 1 << 23, 1)) + \
        chain(how, body(ZEROES, 16))
    yield header(IN) + indirect(how, [(TABLE, 16, INDIRECT)])
    # Rings that are not in memory, or that jump; a chain without an end.
    for at in range(3):
        place = NOWHERE.to_bytes(4, "big")
        yield queue_reset(0) + b"\x09\x03" + struct.pack(">H", DESCRIPTORS + 8 * at) + place + \
            modern(QUEUE_ENABLE, 2, 1) + header(IN) + chain(how, body(IN, 512)) + COMPLETE
    yield queue_reset(0) + modern(QUEUE_SIZE, 2, 3) + modern(QUEUE_ENABLE, 2, 1) + \
        chain(how, body(FLUSH, 1))
    yield ram(DRIVER + 2, b"\xff\xff") + notify(0)
    yield b"".join(ram(RING + 16 * i, descriptor(DATA, 8, AVAILABLE | NEXT, (i + 1) % 8))
                   for i in range(8)) + ram(DRIVER + 2, b"\x01\x00") + notify(0)


def suppressed(how):
    """Interrupts when the driver says: 2.8.10 of packed rings, 2.7.7 of split ones."""
    several = [header(GET_ID) + chain(how, body(GET_ID, 20), i) for i in range(1, 7)]
    for at in (0, 3, 5, 0x8003, 0x8006):
        place = ram(DRIVER, struct.pack("<HH", at, 2)) if how & PACKED else \
            ram(DRIVER + 4 + 2 * 8, struct.pack("<H", at))
        yield place + b"".join(several) + SAVE
    yield ram(DRIVER, struct.pack("<HH", 1, 1)) + several[0]


def busy(how):
    """A back end that takes one request, and a driver that has more."""
    two = header(IN) + chain(how, body(IN, 512)) + chain(how, body(IN, 512), 2)
    yield two + SAVE + COMPLETE + TIME + COMPLETE + TIME
    yield two + driver_reset() + COMPLETE
    yield header(IN) + chain(how, body(NOWHERE, 512)) + TIME


def plane(how):
    """Another core serves the queue, looks for the last time, and is kicked again."""
    request = header(IN) + chain(how, body(IN, 512))
    again = chain(how, body(IN, 512), 2)
    yield request + SERVE + COMPLETE + SERVE_LAST + again + SERVE + COMPLETE + SAVE
    yield notify(0) + SERVE_LAST + request + SERVE + SAVE + COMPLETE + SERVE
    yield request + SERVE + driver_reset() + COMPLETE
    yield request + SERVE + again + SERVE + modern(0x1000, 1) + SERVE + COMPLETE
    yield notify(0) + ram(DRIVER + 2, b"\xff\xff") + ram(RING + 14, b"\x84\x00") + SERVE + SERVE
    yield header(IN) + chain(how, [(HEADER, 16, 0)]) + SERVE + SERVE
    yield request + SERVE + b"\x46" + struct.pack(">I", 8192) + SERVE + COMPLETE


def disk_seeds():
    for how in (READY, READY | EVENTS, READY | MESSAGES, READY | READONLY, READY | ORDER,
                READY | PACKED, READY | PACKED | EVENTS | MESSAGES, READY | PACKED | ORDER):
        yield from (begin(how) + steps for steps in good_requests(how))
    for how in (READY, READY | EVENTS, READY | PACKED, READY | PACKED | EVENTS, READY | ORDER):
        yield from (begin(how) + steps for steps in bad_requests(how))
        yield from (begin(how, 1) + steps for steps in busy(how))
        yield from (begin(how) + steps for steps in suppressed(how))
    for how in (READY, READY | EVENTS, READY | MESSAGES, READY | PACKED, READY | PACKED | EVENTS):
        yield from (begin(how | PLANE) + steps for steps in plane(how | PLANE))
    mask, unmask = masked(0)
    yield begin(READY | MESSAGES) + mask + header(GET_ID) + chain(READY, body(GET_ID, 20)) + unmask
    for count, kind in ((100, 99), (60, FLUSH)):
        yield begin(READY | LEGACY) + header(kind) + \
            many(RING, count, [(HEADER, 16, 0), (ANSWER, 1, WRITE)]) + notify(0) + TIME + COMPLETE
    # Chains of their own, more than the device has in flight.
    yield begin(READY | LEGACY) + header(FLUSH) + \
        ram(RING, b"".join(descriptor(HEADER, 16, NEXT, 2 * i + 1) +
                           descriptor(ANSWER, 1, WRITE, 0) for i in range(64))) + \
        ram(RING + 16 * LEGACY_ENTRIES + 4, struct.pack("<64H", *range(0, 128, 2))) + \
        ram(RING + 16 * LEGACY_ENTRIES + 2, struct.pack("<H", 64)) + notify(0) + COMPLETE * 4 + SAVE
    for how in (0, READY, READY | MESSAGES, READY | LEGACY, READY | LEGACY | MESSAGES):
        yield from (begin(how) + steps for steps in registers())
    yield begin(READY | LEGACY | MESSAGES) + legacy(0x14, 2, 1) + legacy(0x16, 2, 0) + \
        legacy(0x14, 2) + legacy(0x16, 2) + legacy(8, 4, 0)


def one(queue, place, address, count, flags, how):
    """A chain of one descriptor in a queue of virtio_devices_fuzz.c."""
    at = queue * 0x100
    if how & PACKED:
        steps = ram(RING + at + 16 * place, descriptor(address, count, place, AVAILABLE | flags))
    else:
        steps = ram(RING + at + 16 * place, descriptor(address, count, flags, 0)) + \
            ram(DRIVER + at + 4 + 2 * place, struct.pack("<H", place)) + \
            ram(DRIVER + at + 2, struct.pack("<H", place + 1))
    return steps + notify(queue)


def ring_of(queue):
    """A legacy queue's."""
    return RING + 0x3000 * queue


def rng_seeds(how):
    for place in range(3):
        yield b"".join(one(0, i, DATA, 3000, WRITE, how) for i in range(place + 1)) + SAVE + TIME
    yield one(0, 0, DATA, 4, 0, how)
    yield one(0, 0, NOWHERE, 4, WRITE, how)
    yield one(0, 0, DATA, 4, WRITE, how) + queue_reset(0)


def console_seeds(how):
    operate = OWN + struct.pack(">IB", 0x1234, 7)
    yield one(0, 0, DATA, 5, WRITE, how) + operate + operate + SAVE
    yield operate * 12 + one(0, 0, DATA, 50, WRITE, how)
    yield operate + one(0, 0, DATA, 5, 0, how)
    yield operate + one(0, 0, NOWHERE, 5, WRITE, how)
    yield one(1, 0, DATA, 9000, 0, how) + TIME + SAVE + TIME + TIME
    yield one(1, 0, DATA, 9000, 0, how) + operate + queue_reset(0) + queue_reset(1) + TIME
    yield one(1, 0, DATA, 9, WRITE, how)
    yield one(1, 0, NOWHERE, 9, 0, how)
    yield modern(DEVICE_AT + 8, 4, 0x41000000)


def balloon_seeds(how):
    frames = ram(DATA, struct.pack("<4I", 8, 9, 10, 99))
    stats = ram(TABLE, struct.pack("<HQHQ", 4, 1 << 30, 5, 1 << 31))
    operate = OWN + struct.pack(">IB", 0x1234, 7)
    yield frames + one(0, 0, DATA, 12, 0, how) + one(1, 0, DATA, 12, 0, how)
    yield frames + one(0, 0, DATA, 16, 0, how)
    yield one(0, 0, 0x8000, 1200, 0, how) + TIME + SAVE + TIME * 4
    yield one(0, 0, 0x8000, 1200, 0, how) + queue_reset(0) + TIME
    yield stats + one(2, 0, TABLE, 20, 0, how) + operate + one(2, 1, TABLE, 20, 0, how) + SAVE + \
        operate + queue_reset(2)
    for queue in range(3):
        yield one(queue, 0, DATA, 12, WRITE, how)
        yield one(queue, 0, NOWHERE, 20, 0, how)
        yield one(queue, 0, DATA, 11, 0, how)
    yield operate + modern(DEVICE_AT, 4) + modern(DEVICE_AT + 4, 4, 0x34120000)


def device_seeds():
    kinds = (rng_seeds, console_seeds, balloon_seeds)
    for kind, seeds_of in enumerate(kinds):
        for how in (READY, READY | EVENTS, READY | PACKED, READY | PACKED | ORDER, READY | ORDER,
                    READY | MESSAGES):
            yield from (bytes([kind, how]) + steps for steps in seeds_of(how))
        for how in (0, READY, READY | LEGACY):
            yield from (bytes([kind, how]) + steps for steps in registers())
        entries = 64 if kind == 0 else LEGACY_ENTRIES
        for queue, flags in ((0, WRITE if kind < 2 else 0), (1, 0)):
            yield bytes([kind, READY | LEGACY]) + \
                many(ring_of(queue), 40, [(DATA, 4, flags)], entries) + notify(queue) + \
                (OWN + struct.pack(">IB", 0x1234, 7)) * 3 + (TIME + SAVE) * 6


def main():
    write_seeds(sys.argv[1], disk_seeds())
    write_seeds(sys.argv[2], device_seeds())


if __name__ == "__main__":
    main()
