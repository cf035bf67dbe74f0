# SPDX-License-Identifier: BSD-2-Clause
"""Steps of the fuzzers of virtio devices (tests/fuzz/virtio_env.c), for what writes their seeds."""

import os
import struct

READY, PACKED, EVENTS, LEGACY, MESSAGES, ORDER = 1, 2, 4, 16, 32, 64
NEXT, WRITE, INDIRECT = 1, 2, 4
AVAILABLE, USED = 1 << 7, 1 << 15
OWN, TIME, SAVE = b"\x06", b"\x07", b"\x0e"
NOWHERE = 0xfff0000  # no memory is there

# The modern interface's registers, and the device's own configuration.
STATUS, QUEUE_SELECT, QUEUE_SIZE, QUEUE_ENABLE, DESCRIPTORS, QUEUE_RESET = (
    0x14, 0x16, 0x18, 0x1c, 0x20, 0x3a)
DEVICE_AT = 0x2000
LEGACY_ENTRIES = 128  # of a legacy queue

_SIZES = {1: 0, 2: 1, 4: 2, 8: 3}


def write_seeds(folder, seeds):
    for number, seed in enumerate(seeds):
        with open(os.path.join(folder, f"{number:03}"), "wb") as file:
            file.write(seed)


def ram(address, content):
    """As steps of at most 31 bytes."""
    steps = b""
    for at in range(0, len(content), 31):
        part = content[at:at + 31]
        steps += b"\x00" + struct.pack(">HB", address + at, len(part)) + part
    return steps


def descriptor(address, count, flags, last):
    return struct.pack("<QIHH", address, count, flags, last)


def notify(queue):
    return bytes([queue * 16 + 4])


def _access(what, offset, size, value):
    steps = bytes([what + (value is not None), _SIZES[size]]) + struct.pack(">H", offset)
    return steps if value is None else steps + value.to_bytes(min(size, 4), "big")


def modern(offset, size, value=None):
    return _access(8 if offset < 0x3c else 0x88, offset, size, value)


def legacy(offset, size, value=None):
    return _access(10, offset, size, value)


def msix(offset, size, value=None):
    return _access(12, offset, size, value)


def config(offset, size, value=None):
    return _access(0x4c, offset, size, value)


def queue_reset(queue):
    return modern(QUEUE_SELECT, 2, queue) + modern(QUEUE_RESET, 2, 1) + modern(QUEUE_RESET, 2)


def driver_reset():
    return modern(STATUS, 1, 0) + modern(STATUS, 1)


def access_capability():
    """VIRTIO 1.2, 4.1.4.9: registers by way of configuration space."""
    bar = config(0x98 + 4, 1, 4)
    return (bar + config(0x98 + 8, 4, STATUS) + config(0x98 + 12, 4, 1) + config(0x98 + 16, 1) +
            config(0x98 + 8, 4, QUEUE_SELECT) + config(0x98 + 12, 4, 2) +
            config(0x98 + 16, 2, 1) + config(0x98 + 16, 4))


def registers():
    """All of the interfaces', read and written, whether a driver is ready or not."""
    yield b"".join(modern(at, 1, 1) for at in range(0x3c))
    yield b"".join(modern(at, 4) for at in range(0, 0x3c, 4))
    yield b"".join(modern(DEVICE_AT + at, 1, at & 1) + modern(DEVICE_AT + at, 1)
                   for at in range(64))
    yield b"".join(config(at, 4, 0xffffffff) for at in range(0, 256, 4))
    yield b"".join(legacy(at, 2, 1) + legacy(at, 2) for at in range(0, 0x1a, 2))
    yield access_capability()


def masked(queue):
    """A vector that is masked while it is used, and no more afterwards."""
    return msix(queue * 16 + 12, 4, 1), msix(0x800, 8) + msix(queue * 16 + 12, 4, 0)


def many(ring, count, parts, entries=LEGACY_ENTRIES):
    """A legacy queue's ring with one chain, so many times."""
    table = b""
    for number, (address, size, flags) in enumerate(parts):
        last = number + 1 == len(parts)
        table += descriptor(address, size, flags | (0 if last else NEXT), number + 1)
    return (ram(ring, table) + ram(ring + 16 * entries + 2, struct.pack("<H", count)))
