#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes what the fuzzers of partition tables and file systems start from.

  disk_seeds.py FOLDER        FOLDER/gpt_seeds and FOLDER/fat_seeds, anew

Offsets of FAT are those of Microsoft's specification 1.03.
"""

import os
import shutil
import struct
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disk_image  # noqa: E402
from disk_image import Partition  # noqa: E402

SECTORS, RAW, LAST = 1 << 20, 1, 2  # of tests/fuzz/gpt_fuzz.c
ENTRIES = 8
BOOT, DIRECTORY = 512, 512  # bytes of the boot sector, and of the root of FAT12 and FAT16
ENTRY = 32
CLUSTERS = {12: 1000, 16: 5000, 32: 70000}  # so many say how wide the FAT is
# What an input is long; the volume is the same again and again.
PERIOD = 7
ROOT = 3  # the sector of the period in which the root begins
END = {12: 0xfff, 16: 0xffff, 32: 0x0fffffff}


def gpt_seed(partitions, entry_bytes=128, how=0):
    """How, a header's sector and its array, which is shorter than usual."""
    array = b"".join(partition.entry().ljust(entry_bytes, b"\0") for partition in partitions)
    array = array.ljust(ENTRIES * entry_bytes, b"\0")
    sector = bytearray(disk_image.header(SECTORS, 512, array, how & LAST == 0).ljust(512, b"\0"))
    struct.pack_into("<II", sector, 80, ENTRIES, entry_bytes)
    if how & RAW:
        struct.pack_into("<I", sector, 16, 0)
        struct.pack_into("<I", sector, 16, zlib.crc32(sector[:92]))
    return bytes([how]) + bytes(sector) + array


def gpt_seeds():
    a, b = Partition("first", 64, 100), Partition("log", 200, 2001, attributes=1 << 60)
    yield gpt_seed([a, b])
    yield gpt_seed([a, b], how=RAW)
    yield gpt_seed([a, b], how=LAST)
    yield gpt_seed([a, b], 256)
    yield gpt_seed([Partition("6f1c9d54-43ab-4d5c-9b8f-2f0d1c5e7a01", 64, 1)])
    yield gpt_seed([a, Partition("lap", 163, 9)])


def boot_sector(bits, fat_sectors):
    reserved, clusters = 1, CLUSTERS[bits]
    root = DIRECTORY // ENTRY if bits != 32 else 0
    sectors = reserved + fat_sectors + root * ENTRY // 512 + clusters
    data = bytearray(BOOT)
    struct.pack_into("<HBHBH", data, 11, 512, 1, reserved, 1, root)
    struct.pack_into("<I", data, 32, sectors)
    if bits == 32:
        struct.pack_into("<I", data, 36, fat_sectors)
        struct.pack_into("<I", data, 44, 2)
    else:
        struct.pack_into("<H", data, 22, fat_sectors)
    struct.pack_into("<H", data, 510, 0xaa55)
    return bytes(data)


def fat_table(bits, values):
    """(its sectors, the first of them): a FAT whose first entries have values."""
    table = sum(value << bits * i for i, value in enumerate(values))
    used = table.to_bytes((len(values) * bits + 7) // 8, "little")
    sectors = (CLUSTERS[bits] + 2) * bits // 8 // 512 + 1
    while (1 + sectors) % PERIOD != ROOT:
        sectors += 1
    return sectors, used.ljust(512, b"\0")


def entry(name, attributes, cluster, size):
    return struct.pack("<11sBxxIIHHHI", name, attributes, 0, 0, cluster >> 16, 0,
                       cluster & 0xffff, size)


def long_entry(name, short):
    """One, for a name of at most 12 characters."""
    checksum = 0
    for byte in short:
        checksum = ((checksum >> 1 | checksum << 7) + byte) & 0xff
    text = (name + "\0").encode("utf-16-le").ljust(26, b"\xff")
    return struct.pack("<B10sBBB12sH4s", 0x41, text[:10], 0x0f, 0, checksum, text[10:22], 0,
                       text[22:])


def fat_seed(bits, path, chain=None, first=4, size=1100, folder=3, more=b""):
    """The root, a directory with `more` in it, and a file of three clusters in two pieces; or one
    that begins elsewhere, in a directory that does, with what the FAT says of clusters (or of what
    it does not have) other than usual."""
    short = b"ALONGN~1LOG"
    root = (entry(b"LABEL      ", 0x08, 0, 0) + entry(b"LOGS       ", 0x10, folder, 0) +
            entry(b"\xe5OGS       ", 0x20, 9, 9))
    logs = more + long_entry("A long name", short) + entry(short, 0x21, first, size)
    values = [END[bits] & ~7, END[bits], END[bits], END[bits], 5, 7, 0, END[bits]]
    for cluster, value in (chain or {}).items():
        values[cluster] = value
    sectors, table = fat_table(bits, values)
    volume = (boot_sector(bits, sectors) + table).ljust(ROOT * 512, b"\0")
    volume += root.ljust(DIRECTORY if bits == 32 else DIRECTORY + 512, b"\0") + logs
    return bytes([len(path)]) + path.encode() + volume.ljust(PERIOD * 512, b"\0")


def fat_seeds():
    name = "LOGS/A long name"
    for path in (name, "logs\\alongn~1.log", "LOGS", "none", "LOGS/none", "LOGS/A long name/more"):
        yield fat_seed(12, path)
    for bits in (12, 16, 32):
        beyond = CLUSTERS[bits] + 2
        yield fat_seed(bits, name)
        for chain in ({4: beyond}, {5: 0}, {5: 1}, {4: 4}, {4: END[bits]}, {5: END[bits] & ~8}):
            yield fat_seed(bits, name, chain)
        for first in (0, 1, beyond, beyond - 1):
            yield fat_seed(bits, name, first=first)
            yield fat_seed(bits, name, folder=first)
        for size in (0, 1, 512, 4000, 0xffffffff):
            yield fat_seed(bits, name, size=size)
        yield fat_seed(bits, name, {4: 6, 6: 4, 5: 7, 7: 5}, size=20000)
        # A directory of more than one cluster.
        deleted = entry(b"\xe5OGS       ", 0x20, 9, 9) * 14
        for following in (END[bits], 4, beyond):
            yield fat_seed(bits, "LOGS/none", {3: following}, more=deleted)


def write(folder, seeds):
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    for i, seed in enumerate(seeds):
        with open(os.path.join(folder, str(i)), "wb") as file:
            file.write(seed)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(os.path.join(sys.argv[1], "gpt_seeds"), gpt_seeds())
    write(os.path.join(sys.argv[1], "fat_seeds"), fat_seeds())


main()
