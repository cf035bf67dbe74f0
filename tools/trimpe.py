#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Leaves the zeroes at the ends of a PE image's sections out of the file.

    trimpe.py IMAGE

Where a section has more bytes in memory (VirtualSize) than in the file (SizeOfRawData), whoever
loads it fills the rest with zeroes: "PE Format", section table. No section becomes empty, since
firmware disagrees about sections that have nothing in the file.
"""

import struct
import sys

PE32_PLUS = 0x20b
INITIALIZED_DATA = 0x40
OPTIONAL_HEADER = 24  # behind the signature
FIELDS = {"initialized": 8, "alignment": 36, "headers": 60, "checksum": 64}
SECTION_BYTES = 40
VIRTUAL_SIZE, RAW_SIZE, RAW_AT, FLAGS = 8, 16, 20, 36  # within a section's header


def fail(text):
    sys.exit(f"trimpe: error: {text}")


class Image:
    """A PE image with its sections in the file one behind the other, and nothing else there."""

    def __init__(self, data):
        self.data = bytearray(data)
        start, = struct.unpack_from("<I", data, 60)
        if data[start:start + 4] != b"PE\0\0":
            fail("no signature")
        count, optional_bytes = struct.unpack_from("<2xH12xH", data, start + 4)
        self.optional = start + OPTIONAL_HEADER
        if struct.unpack_from("<H", data, self.optional) != (PE32_PLUS,):
            fail("not for 64 bits")
        table = self.optional + optional_bytes
        self.sections = range(table, table + count * SECTION_BYTES, SECTION_BYTES)
        end = self.get("headers")
        for section in self.sections:
            if self.word(section + RAW_AT) != end:
                fail("a section does not follow the one before it")
            end += self.word(section + RAW_SIZE)
        if end != len(data):
            fail("something follows the last section")

    def word(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def set_word(self, at, value):
        struct.pack_into("<I", self.data, at, value)

    def get(self, field):
        return self.word(self.optional + FIELDS[field])

    def put(self, field, value):
        self.set_word(self.optional + FIELDS[field], value)

    def raw(self, section):
        at = self.word(section + RAW_AT)
        return self.data[at:at + self.word(section + RAW_SIZE)]

    def in_memory(self):
        """What the sections are once they are loaded."""
        sizes = [self.word(section + VIRTUAL_SIZE) for section in self.sections]
        return [self.raw(section)[:size].ljust(size, b"\0")
                for section, size in zip(self.sections, sizes)]


def checksum(data):
    """Of an image whose checksum is 0: 16-bit words with carries back in, plus the length."""
    total = sum(struct.unpack(f"<{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total + len(data)


def trim(image):
    alignment = image.get("alignment")
    bodies = []
    at = image.get("headers")
    initialized = 0
    for section in image.sections:
        body = image.raw(section)
        kept = max(len(body.rstrip(b"\0")), 1)
        bodies.append(body[:kept + -kept % alignment])
        image.set_word(section + RAW_AT, at)
        image.set_word(section + RAW_SIZE, len(bodies[-1]))
        at += len(bodies[-1])
        if image.word(section + FLAGS) & INITIALIZED_DATA:
            initialized += len(bodies[-1])
    image.put("initialized", initialized)
    image.put("checksum", 0)
    image.data = image.data[:image.get("headers")] + b"".join(bodies)
    image.put("checksum", checksum(image.data))


def main(arguments):
    if len(arguments) != 1:
        sys.exit("usage: trimpe.py IMAGE")
    try:
        with open(arguments[0], "rb") as file:
            image = Image(file.read())
        before = image.in_memory()
        trim(image)
        if Image(image.data).in_memory() != before:
            fail("the image changed")
        with open(arguments[0], "wb") as file:
            file.write(image.data)
    except (OSError, struct.error) as error:
        fail(f"{arguments[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
