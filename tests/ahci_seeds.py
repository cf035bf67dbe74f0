#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/ahci_fuzz.c: what drivers of AHCI disks do.

    tests/ahci_seeds.py FOLDER
"""

import os
import struct
import sys

REGISTERS, INDEX, CONFIG = 0, 2, 3
WRITE, SIZED = 0x40, 0x20
SIZES = {1: 0, 2: 1, 4: 2, 8: 3}
PORT = 0x100
CLB, FB, IS, IE, CMD, SCTL, SERR, SACT = 0, 8, 0x10, 0x14, 0x18, 0x2c, 0x30, 0x34
RUNS, START, OVERRIDE = 0x13, 1, 8
WORDS, CLEARS = 5, 1 << 10
READ, WRITES, PIO_READ, PIO_WRITE, READ_QUEUED, WRITE_QUEUED = 0x25, 0x35, 0x24, 0x34, 0x60, 0x61
IDENTIFY, SMART, SET_FEATURES, TRIM, FLUSH, READ_LOG = 0xec, 0xb0, 0xef, 0x06, 0xe7, 0x2f
MEMORY, NOWHERE = 0x8000, 0xfff0
DONE, FAILED, RANGE = 0xa2, 0xa1, 0xa0
LATER, SAVE, RESET, POWER = b"\xe0\xff\xff\xff", b"\xf0", b"\xfe", b"\xff"
SIGNATURE = 0xc24f00


def access(region, offset, value=None, size=4, odd=0):
    kind = region | (WRITE if value is not None else 0)
    if size != 4 or odd:
        kind |= SIZED | SIZES[size] << 2 | odd << 4
    at = offset // 4 if region == REGISTERS else offset
    data = b"" if value is None else value.to_bytes(size, "big")
    return bytes([kind, at]) + data


def port(reg, value=None, number=0):
    return access(REGISTERS, PORT + number * 0x80 + reg, value)


def memory(at, data):
    return b"".join(b"\xd0" + struct.pack(">HB", at + i, len(data[i:i + 31])) + data[i:i + 31]
                    for i in range(0, len(data), 31))


def command(value, lba=0, count=1, features=0, slot=0, entries=None, flags=WORDS, frame=0x80,
            high=None, device=0x40, active=False):
    if entries is None:
        entries = [(MEMORY, count * 512)]
    kind = 0x80 | (2 if high is not None or device != 0x40 else 0) | (4 if active else 0)
    data = bytes([kind, slot]) + struct.pack(">HB", flags, len(entries)) + \
        bytes([frame, value, features, count]) + lba.to_bytes(3, "little")
    if kind & 2:
        data += bytes([high or 0, device])
    return data + b"".join(struct.pack(">HH", at, max(0, size - 1) & 0xffff)
                           for at, size in entries[:8])


def queued(value, lba=0, count=1, slot=0, entries=None, **more):
    if entries is None:
        entries = [(MEMORY, count * 512)]
    return command(value, lba, slot << 3, count, slot, entries, active=True, **more)


def control(value, flags=WORDS):
    return command(0, frame=0, flags=flags, entries=[], high=0, device=value)


# The saved form of a state (emul/ahci_state.c): fields with their widths, of ports and slots.
BEFORE = 256 + 8 + 4 * 3
OF_PORTS = "sectors 8 disk 9 lba 8 registers 8 work.lba 8 work.sectors 4 work.kind 1 work.rest 8 " \
    "list 8 frames 8 sequence 8 failed_lba 8 interrupts 4 enabled 4 command 4 signature 4 " \
    "control 4 errors 4 active 4 issued 4 taken 4 queued 4".split()
PORT_BYTES_AFTER = 2 + 2 + 4 + 4
OF_SLOTS = "lba 8 table 8 name 8 bytes 4 done 4 part 4 entry_done 4 entry 2 entries 2 state 1 " \
    "kind 1 asked 1".split()
PORTS, SLOTS = 6, 192


def offset_of(name, fields, count, begin):
    for field, width in zip(fields[::2], map(int, fields[1::2])):
        if field == name:
            return begin
        begin += width * count
    raise KeyError(name)


def alteration(at, change):
    """env_load_altered: clang takes what stands to the right first."""
    return b"\xf8" + struct.pack(">BH", change, at)


def altered(name, change, of_slot=False, byte=0):
    """Loads a state in which a byte of a field, of the first port or slot, is another one."""
    slots = BEFORE + PORTS * (sum(map(int, OF_PORTS[1::2])) + PORT_BYTES_AFTER)
    at = offset_of(name, OF_SLOTS, SLOTS, slots) if of_slot else \
        offset_of(name, OF_PORTS, PORTS, BEFORE)
    return alteration(at + byte, change)


RESTART = port(CMD, RUNS & ~START) + port(CMD, RUNS)
BEGIN, BUSY = b"\x7f", b"\x40"
LOG = command(READ_LOG, 0x10)

SEEDS = {
    "identify": BEGIN + command(IDENTIFY) + command(IDENTIFY, entries=[]) +
                command(IDENTIFY, entries=[(MEMORY, 2)] * 8) +
                command(IDENTIFY, entries=[(NOWHERE, 512)]) + RESTART,
    "read": BEGIN + command(READ, 5, 2, entries=[(MEMORY, 510), (MEMORY + 0x800, 514)]) + SAVE +
            bytes([DONE]) + port(IS) + port(IS, 0xffffffff) + access(REGISTERS, 8, 1) +
            command(READ, 5, 2, entries=[(MEMORY, 512)]) + bytes([DONE]) +
            command(READ, 5, 200, entries=[(0, 0x10000)] * 2) + bytes([DONE] * 3 + [FAILED]),
    "write": BEGIN + command(WRITES, 5, 2) + bytes([DONE]) + command(WRITES, 5, 2, entries=[]) +
             SAVE + port(CMD, RUNS & ~START) + port(CMD, (RUNS & ~START) | OVERRIDE) +
             port(CMD, RUNS) + command(WRITES, 5, 2) + bytes([RANGE]),
    "pio": BEGIN + command(PIO_READ, 1, 2) + bytes([DONE]) + command(PIO_WRITE, 1, 2) +
           bytes([DONE]) + command(PIO_WRITE, 4999, 2) + RESTART,
    "durable": BEGIN + command(SET_FEATURES, features=0x82) + bytes([DONE]) + command(WRITES) +
               bytes([DONE, DONE]) + command(FLUSH) + bytes([FAILED]) + RESTART +
               queued(WRITE_QUEUED, 3, slot=2) + bytes([DONE]) + SAVE + bytes([DONE]),
    "queue": BEGIN + b"".join(queued(READ_QUEUED + i % 2, 8 * i, 2, i) for i in range(32)) + SAVE +
             bytes([DONE + 4 * (i % 8) for i in range(32)]) + port(SACT) + LATER,
    "queue_fails": BEGIN + b"".join(queued(READ_QUEUED, 8 * i, 2, i) for i in range(4)) +
                   bytes([DONE, FAILED]) + port(SERR) + RESTART + queued(READ_QUEUED, 1) +
                   RESTART + LOG + queued(READ_QUEUED, 1) + bytes([DONE]) +
                   queued(READ_QUEUED, 4999, 2, 1) + RESTART + LOG +
                   command(READ_QUEUED, 1, 7, 1, active=True) + RESTART + LOG +
                   command(READ_QUEUED, 1, 0, 1, high=0, device=0x01) + RESTART + LOG +
                   queued(READ_QUEUED, 1, 0, 3, entries=[(MEMORY, 0x4000)], high=0, device=0x40) +
                   bytes([DONE]) + RESTART,
    "queue_mixed": BEGIN + queued(READ_QUEUED, 1) + command(READ, 1, slot=1) + RESTART + LOG +
                   queued(READ_QUEUED, 1) + queued(READ_QUEUED, 2) + RESTART + LOG,
    "busy": BUSY + queued(READ_QUEUED, 1) + queued(WRITE_QUEUED, 1, slot=1) +
            queued(WRITE_QUEUED, 1, slot=2) + SAVE + LATER + bytes([DONE]) + LATER +
            bytes([DONE]) + LATER + bytes([DONE]),
    "busy_flush": BUSY + queued(READ_QUEUED, 1) + port(CMD, RUNS & ~START) + port(CMD, RUNS) +
                  command(FLUSH) + SAVE + LATER + bytes([DONE]) + LATER + bytes([DONE]),
    "busy_trim": BUSY + memory(MEMORY, struct.pack("<Q", 3 << 48 | 9)) + queued(READ_QUEUED, 1) +
                 port(CMD, RUNS & ~START) + port(CMD, RUNS) + command(TRIM, features=1) + SAVE +
                 LATER + bytes([DONE]) + LATER + bytes([DONE]) + LATER,
    "trim": BEGIN + memory(MEMORY, struct.pack("<QQQ", 3 << 48 | 100, 0, 1 << 48 | 4999)) +
            command(TRIM, features=1, entries=[(MEMORY, 4), (MEMORY + 4, 508)]) +
            bytes([DONE, DONE]) + memory(MEMORY, struct.pack("<Q", 9 << 48 | 4999)) +
            command(TRIM, features=1) + RESTART + command(TRIM, features=1, entries=[]) + RESTART,
    "nowhere": BEGIN + command(READ, entries=[(NOWHERE, 512)]) + RESTART +
               port(SCTL, 1) + port(SCTL, 0) + port(CLB, 0xffffff00) + command(READ) + RESTART +
               port(CLB, 0x400) + port(FB, 0xffffff00) + command(0xe3) + RESTART +
               queued(READ_QUEUED, 1) + RESTART + port(FB, 0x800) + command(READ) +
               port(CLB + 4, 1) + bytes([DONE]) + RESTART + port(CLB + 4, 0) +
               memory(0x408, b"\x80\xff") + port(0x38, 1) + RESTART,
    "frames": BEGIN + command(0xe3, flags=2) + RESTART + port(CMD, RUNS & ~START) +
              port(CMD, OVERRIDE | 0x12) + port(CMD, RUNS) + command(0xe3, flags=0x3005) +
              port(SCTL, 1) + port(SCTL, 0x10) + RESTART + command(0xe3, frame=0x83),
    "soft_reset": BEGIN + command(READ) + port(CMD, 0x12) + port(CMD, RUNS | OVERRIDE) +
                  control(4, WORDS | CLEARS) + SAVE + control(0) + control(4, WORDS | CLEARS) +
                  command(0xe3) + port(CMD, 0x12) + port(CMD, RUNS | OVERRIDE) + control(0) +
                  command(0x90) + command(0xff) + RESTART + control(0) + control(2),
    "links": BEGIN + command(READ) + port(SCTL, 1) + SAVE + bytes([DONE]) + port(SCTL, 0) +
             port(SERR, 0xffffffff) + port(SCTL, 4) + port(0x28) + port(SCTL, 0x10) + port(0x28) +
             port(CMD, 0x10) + port(CMD, 2, 2) + port(0x28, number=2) + RESTART +
             b"".join(port(reg) for reg in range(0, 0x44, 4)),
    "controller": BEGIN + command(READ) + access(REGISTERS, 4, 1) + bytes([DONE]) + SAVE +
                  b"".join(access(REGISTERS, reg) for reg in range(0, 0x30, 4)) +
                  access(REGISTERS, 0x3fc) + access(REGISTERS, 4, 2) + port(CMD, 3, 5),
    "index": BEGIN + access(INDEX, 0x10, 0x118) + access(INDEX, 0x10) + access(INDEX, 0x14) +
             access(INDEX, 0x14, RUNS) + access(INDEX, 0) + access(INDEX, 0x14, 1, 2),
    "widths": BEGIN + access(REGISTERS, 0, size=8) + access(REGISTERS, 0, size=2, odd=1) +
              access(REGISTERS, PORT, 0x400, 8) + access(REGISTERS, PORT, 1, 1, 1) +
              access(REGISTERS, 0, size=4, odd=1),
    "messages": BEGIN + access(CONFIG, 0xb4, 0xfee00000) + access(CONFIG, 0xbc, 0x41, 2) +
                access(CONFIG, 0xb2, 1, 2) + command(0xe3) + access(REGISTERS, 8, 1) +
                port(IS, 0xffffffff) + access(REGISTERS, 8, 1) + access(CONFIG, 0xc0, 1) +
                command(0xe3) + access(CONFIG, 0xc0, 0) + access(CONFIG, 0xb2, 0, 2),
    "no_master": BEGIN + access(CONFIG, 4, 2, 2) + command(READ) + access(CONFIG, 4, 6, 2) +
                 command(READ, 1, 100, entries=[(0, 0x10000)]) + access(CONFIG, 4, 2, 2) +
                 bytes([DONE]) + LATER + access(CONFIG, 4, 6, 2) + LATER + bytes([DONE]),
    "verify": BEGIN + command(0x42, 1, 100) + bytes([DONE]) + SAVE + bytes([DONE]) +
              command(0x42, 1) + bytes([RANGE]) + RESTART,
    "smart": BEGIN + b"".join(command(SMART, SIGNATURE | low, features=feature) + RESTART
                              for feature, low in ((0xd0, 0), (0xd1, 0), (0xd2, 0), (0xd4, 1),
                                                   (0xd4, 9), (0xd5, 0), (0xd5, 1), (0xd5, 6),
                                                   (0xd5, 9), (0xda, 0), (0xd9, 0), (0xd8, 0),
                                                   (0xdf, 0))) +
             command(READ_LOG, 0) + command(READ_LOG, 7) + command(READ_LOG, 1) + RESTART,
    "features": BEGIN + b"".join(command(SET_FEATURES, count=count, features=feature) + RESTART
                                 for feature, count in ((3, 0), (3, 8), (3, 0x22), (3, 0x45),
                                                        (3, 0x77), (2, 0), (0x55, 0), (0xaa, 0),
                                                        (0x66, 0), (0xcc, 0), (9, 0))),
    "old": BEGIN + command(0x91, count=17) + command(0x91, count=0) + RESTART +
           command(0x20, 0x203, high=0, device=2) + bytes([FAILED]) + RESTART +
           command(0x70, 0x203, high=0, device=2) + command(0x70, 0x263, high=0, device=9) +
           RESTART + command(0xc6, count=4) + command(0xc6, count=5) + RESTART +
           command(0xc6, count=0) + command(0xc4) + RESTART + command(0x10) + command(0xe0) +
           bytes([DONE]) + command(0xe5) + command(0xe1) + command(0xe5) +
           command(0x24, 4999, 2, high=1, device=0x40),
    "altered": BEGIN + queued(READ_QUEUED, 1) + altered("done", 0xff, True, 3) +
               altered("lba", 0xff, True, 5) + altered("kind", 7, True) +
               altered("asked", 1, True) + altered("name", 1, True) + altered("state", 3, True) +
               altered("state", 1, True) + altered("entry", 0x80, True, 1) +
               altered("taken", 1) + altered("command", START) + altered("queued", 1) +
               alteration(256 + 8 + 3, 0x80),
    "altered_trim": BEGIN + memory(MEMORY, struct.pack("<Q", 3 << 48 | 9)) +
                    command(TRIM, features=1) + altered("bytes", 0x20, True, 1) +
                    altered("queued", 2) + altered("work.kind", 2),
    "altered_queue": BEGIN + queued(READ_QUEUED, 1) + altered("kind", 1, True) +
                     altered("kind", 6, True) + command(0x42, 1, slot=3) + RESTART,
    "resets": BEGIN + command(READ) + RESET + command(READ) + POWER,
    "loaded": b"\xff" + bytes(range(1, 256)),
    "loaded_zeros": b"\xff" + bytes(300) + command(READ) + bytes([DONE]),
}


def main():
    for name, content in SEEDS.items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
