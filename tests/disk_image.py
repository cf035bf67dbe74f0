# SPDX-License-Identifier: BSD-2-Clause
"""Disk images for tests: partition tables, sound and damaged; what a run ought to have changed."""

import os
import struct
import uuid
import zlib

SECTOR = 512  # of the pattern, whatever the disk has
FACTOR = 0x9e3779b97f4a7c15  # of tests/kernel/disk.c
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ENTRY_BYTES, ENTRY_COUNT = 128, 128
ARRAY_BYTES = ENTRY_BYTES * ENTRY_COUNT
DISK_BYTES = 3 << 20
GUID = "6f1c9d54-43ab-4d5c-9b8f-2f0d1c5e7a01"


def pattern(size):
    """What `write` leaves in a region of this many bytes."""
    sectors = (struct.pack("<Q", (i + 1) * FACTOR & 0xffffffffffffffff) * (SECTOR // 8)
               for i in range((size + SECTOR - 1) // SECTOR))
    return b"".join(sectors)[:size]


def filler(size):
    """Bytes that are nowhere those of a pattern's same place."""
    return bytes(byte ^ 0xff for byte in pattern(size)) if size <= 1 << 20 else b"\xee" * size


class Partition:
    def __init__(self, name, first, count, guid=None, attributes=0):
        self.name, self.first, self.count = name, first, count
        self.guid = uuid.UUID(guid) if guid else uuid.uuid5(LINUX_DATA, name)
        self.attributes = attributes

    def entry(self):
        return struct.pack("<16s16sQQQ72s", LINUX_DATA.bytes_le, self.guid.bytes_le, self.first,
                           self.first + self.count - 1, self.attributes,
                           self.name.encode("utf-16-le"))


def header(sectors, sector_bytes, array, is_primary):
    array_sectors = ARRAY_BYTES // sector_bytes
    last = sectors - 1
    here, there = (1, last) if is_primary else (last, 1)
    array_at = 2 if is_primary else last - array_sectors

    def fields(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, there,
                           2 + array_sectors, last - array_sectors - 1, LINUX_DATA.bytes_le,
                           array_at, ENTRY_COUNT, ENTRY_BYTES, zlib.crc32(array))

    return fields(zlib.crc32(fields(0)))


def protective_mbr(sectors):
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xee, b"\xff\xff\xff", 1,
                        min(sectors - 1, 0xffffffff))
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def write_gpt(path, sectors, partitions, sector_bytes=512):
    """Writes both tables to the file; the rest of it stays."""
    array = b"".join(partition.entry() for partition in partitions).ljust(ARRAY_BYTES, b"\0")
    with open(path, "r+b") as file:
        file.truncate(sectors * sector_bytes)
        file.write(protective_mbr(sectors))
        file.seek(sector_bytes)
        file.write(header(sectors, sector_bytes, array, True))
        file.seek(2 * sector_bytes)
        file.write(array)
        file.seek((sectors - 1) * sector_bytes - ARRAY_BYTES)
        file.write(array)
        file.seek((sectors - 1) * sector_bytes)
        file.write(header(sectors, sector_bytes, array, False))


def create(path, size):
    """A file of so many bytes, none of them what a test writes."""
    with open(path, "wb") as file:
        file.write(filler(size))


def create_sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)


def flip(path, offset):
    """Damages a byte."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def check_changed(path, before, start, size):
    """The problems of an image of which just these bytes ought to have got the pattern."""
    after = read(path)
    expected = before[:start] + pattern(size) + before[start + size:]
    if after == expected:
        return []
    wrong = next((i for i, (a, b) in enumerate(zip(after, expected)) if a != b), None)
    return [f"{os.path.basename(path)}: wrong from byte {wrong} on, in a pattern from byte {start} "
            f"to {start + size}; {len(after)} bytes, expected {len(expected)}"]


def data_blocks(file):
    """(offset, bytes) of what is not a hole."""
    end = os.fstat(file.fileno()).st_size
    at = 0
    while at < end:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        while at < stop:
            file.seek(at)
            block = file.read(min(SECTOR, stop - at))
            yield at, block
            at += len(block)


def check_sparse(path, start, size, tables):
    """The same of an image of holes: data is allowed there, and in the tables at both ends."""
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        file.seek(start)
        problems = [] if file.read(size) == pattern(size) else ["the pattern is not there"]
        for at, block in data_blocks(file):
            inside = start <= at < start + size or at < tables or at >= end - tables
            if not inside and any(block):
                return problems + [f"written at byte {at}"]
    return problems


PARTITIONS = [Partition("first", 64, 100), Partition("log", 200, 2001, GUID),
              Partition("twice", 2300, 10, "00000000-0000-0000-0000-000000000001"),
              Partition("twice", 2310, 10, "00000000-0000-0000-0000-000000000002"),
              Partition("kept", 2320, 10, attributes=1 << 60)]
LOG = PARTITIONS[1]


def gpt_disk(directory, name="a.img", partitions=tuple(PARTITIONS), sector_bytes=512):
    path = os.path.join(directory, name)
    create(path, DISK_BYTES * sector_bytes // 512)
    write_gpt(path, DISK_BYTES // 512, partitions, sector_bytes)
    return path


# name, byte of the image to be damaged, what `write partition:log` then says
LAST = DISK_BYTES - 512
DAMAGES = [
    ("first-header", [512 + 60], "ok"),
    ("first-array", [1024 + 4000], "ok"),
    ("second-header", [LAST + 60], "ok"),
    ("second-array", [LAST - 9000], "ok"),
    ("both", [512 + 60, LAST - 9000], "the partition table of disk hda: bad format"),
    ("mbr", [450], "there is no partition 'log'"),
    ("signatures", [512, LAST], "there is no partition 'log'"),
]


def two_tables(directory):
    """Each is sound."""
    path = gpt_disk(directory)
    other = read(gpt_disk(directory, "other.img", [Partition("log", 300, 50)]))
    tail = 512 + ARRAY_BYTES
    with open(path, "r+b") as file:
        file.seek(DISK_BYTES - tail)
        file.write(other[-tail:])
    return path


def overlapping(directory):
    return gpt_disk(directory, "a.img", [Partition("log", 300, 50), Partition("lap", 349, 9)])
