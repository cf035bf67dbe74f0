# SPDX-License-Identifier: BSD-2-Clause
"""The log's form as docs/replay.md has it, read once more: independently of the C sources."""

import struct

MAGIC = b"RLog"
HEADER, SNAPSHOT, RECORDS, INDEX, POINTER = 1, 2, 3, 4, 5
CHUNK = struct.Struct("<4sHHIIQQII")
EVENT_LAST = 15
MASK = (1 << 64) - 1


class Malformed(Exception):
    """The bytes are no log."""


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Bytes:
    """Numbers and texts, one behind the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed("cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self):
        folded = self.number()
        return folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1

    def text(self):
        return self.take(self.number()).decode()

    def is_empty(self):
        return self.at == len(self.data)


class Chunk:
    def __init__(self, log, offset):
        if offset + CHUNK.size > len(log):
            raise Malformed("the store ends")
        (magic, self.type, self.reserved, self.sequence, size, self.log_id, self.first_ticks,
         self.records, crc) = CHUNK.unpack_from(log, offset)
        self.offset = offset
        self.payload = log[offset + CHUNK.size:offset + CHUNK.size + size]
        if magic != MAGIC or len(self.payload) != size:
            raise Malformed("no chunk")
        if crc32c(log[offset:offset + 36] + bytes(4) + self.payload) != crc:
            raise Malformed("a wrong CRC")


def header_read(chunk):
    data = Bytes(chunk.payload)
    header = {name: data.number() for name in ("version", "needs", "alignment", "part")}
    header["tick source"] = data.text()
    header["scale"], header["tsc_hz"] = data.number(), data.number()
    header["start"] = data.byte()
    header["start_rip"], header["start_rcx"] = data.number(), data.number()
    header["start_time"] = data.number()
    header["settings"] = {}
    for _ in range(data.number()):
        name = data.text()
        header["settings"][name] = data.text() if data.byte() == 1 else data.number()
    header["hashes"] = {}
    for _ in range(data.number()):
        name = data.text()
        header["hashes"][name] = int.from_bytes(data.take(8), "little")
    header["leaves"] = []
    leaf = 0
    for _ in range(data.number()):
        leaf += data.number()
        subleaf, widths = data.number(), data.byte()
        registers = [int.from_bytes(data.take((0, 1, 2, 4)[widths >> 2 * i & 3]), "little")
                     for i in range(4)]
        header["leaves"].append((leaf, subleaf, registers))
    assert data.is_empty()
    return header


def records_read(chunk):
    """Yields dictionaries."""
    data = Bytes(chunk.payload)
    ticks, rip, rcx, time, vcpu = chunk.first_ticks, 0, 0, 0, 0
    last_device, expected = 0, {}
    for _ in range(chunk.records):
        tag = data.byte()
        kind = tag & 0x1f
        ticks += data.number()
        rip = rip + (data.signed() if tag & 0x20 else 0) & MASK
        rcx = rcx + (data.signed() if tag & 0x40 else 0) & MASK
        if tag & 0x80:
            time += data.number()
        form = data.byte()
        is_event = kind <= EVENT_LAST
        vcpu = data.number() if form & 16 else vcpu
        device = data.number() if form & 1 else last_device if is_event else 0
        index, sequence = expected.get(device % 16, (0, 0)) if is_event else (0, 0)
        index = data.number() if form & 2 else index
        sequence = sequence + (data.signed() if form & 4 else 0) & MASK
        value = data.number() if form & 8 else 0
        count = data.number() if form >> 5 == 7 else form >> 5
        if is_event:
            last_device = device
            expected[device % 16] = index, sequence + 1
        yield {"kind": kind, "ticks": ticks, "vcpu": vcpu, "rip": rip, "rcx": rcx,
               "time": time if tag & 0x80 else None, "device": device, "index": index,
               "sequence": sequence, "value": value, "payload": data.take(count)}
    if not data.is_empty():
        raise Malformed("bytes behind the last record")


def index_read(chunk, alignment):
    data = Bytes(chunk.payload)
    index = {"reason": data.number(), "halted": data.byte(), "vcpu": data.number(),
             "rip": data.number(), "rcx": data.number(), "time": data.number(),
             "records": data.number(), "text": data.text(), "chunks": data.number(),
             "stride": data.number()}
    offset = ticks = sequence = 0
    index["entries"] = []
    for _ in range(data.number()):
        offset += data.number() * alignment
        ticks += data.number()
        sequence += data.number()
        index["entries"].append((offset, ticks, sequence))
    assert data.is_empty()
    return index


def aligned(size, alignment):
    return (size + alignment - 1) // alignment * alignment


class Log:
    """A good log: `header`, `chunks`, `records`, `snapshot`, `index` and `end`, its length."""

    def __init__(self, log):
        first = Chunk(log, 0)
        assert first.type == HEADER and first.sequence == 0
        self.header = header_read(first)
        alignment = self.header["alignment"]
        self.chunks, self.records, self.snapshot, self.index = [first], [], b"", None
        self.pointer = aligned(CHUNK.size + len(first.payload), alignment)
        offset = self.pointer + aligned(CHUNK.size + 8, alignment)
        while self.index is None:
            try:
                chunk = Chunk(log, offset)
            except Malformed:
                break
            assert chunk.log_id == first.log_id and chunk.sequence == len(self.chunks)
            assert chunk.reserved == 0
            self.chunks.append(chunk)
            if chunk.type == RECORDS:
                self.records += records_read(chunk)
            elif chunk.type == SNAPSHOT:
                self.snapshot += chunk.payload
            elif chunk.type == INDEX:
                self.index = index_read(chunk, alignment)
            offset += aligned(CHUNK.size + len(chunk.payload), alignment)
        self.end = offset
        if self.index is not None:
            pointer = Chunk(log, self.pointer)
            assert pointer.type == POINTER and pointer.sequence == self.chunks[-1].sequence
            assert pointer.payload == struct.pack("<Q", self.chunks[-1].offset)
