#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/uhci_fuzz.c: what drivers of UHCI and of USB devices do.

    tests/uhci_seeds.py FOLDER
"""

import os
import struct
import sys

SIZES = {1: 0, 2: 1, 4: 2}
COMMAND, STATUS, ENABLES, FRAME, BASE, SOF, PORT = 0, 2, 4, 6, 8, 12, 16
LIST, QUEUE, TDS = 0x1000, 0x2000, 0x2010
RESET, ENABLED, SUSPENDED, RESUME = 0x200, 4, 0x1000, 0x40
IN, OUT, SETUP = 0x69, 0xe1, 0x2d
ACTIVE, SHORT, ISOCHRONOUS, LOW = 1 << 23, 1 << 29, 1 << 25, 1 << 26
KEY, BUTTON, MOVE, PLACE = range(4)
KEYBOARD, TABLET, MOUSE, HUB = range(4)  # as settings have them
SAVE, DESCRIBE, LINE = b"\xe8", b"\xf8", b"\xfc"


def access(config, size, offset, value=None):
    kind = (0x10 if value is not None else 0) | SIZES[size] << 1 | config
    data = b"" if value is None else value.to_bytes(size, "big")
    return bytes([kind, offset]) + data


def out(offset, value, size=2):
    return access(0, size, offset, value)


def config(offset, value, size=2):
    return access(1, size, offset, value)


def control(address, kind, request, value=0, index=0, length=0, data=b""):
    return bytes([0x40 | address, kind, request, value & 0xff, value >> 8, index, length]) + data


def command(address, flags, length, *cdb, size=10):
    return bytes([0x50 | address, flags]) + struct.pack(">HB", length, size) + \
        bytes((list(cdb) + [0] * 10)[:10])


def go_on(address, out=False, fails=False):
    return bytes([0x60 | address | (8 if out else 0) | (16 if fails else 0)])


def interrupt(address, endpoint=1, count=8, pid=IN):
    token = address | endpoint << 7 | (0x8000 if pid == OUT else 0)
    return b"\x80" + struct.pack(">HB", token, count)


def happens(kind, code=0, x=0, wheel=0):
    return b"\x90" + struct.pack(">BBhb", kind, code, x, wheel)


def plug(which, there):
    return bytes([0xa1 if there else 0xa0, which])


def memory(at, data):
    return b"".join(b"\xb0" + struct.pack(">HB", at + i, len(data[i:i + 31])) + data[i:i + 31]
                    for i in range(0, len(data), 31))


def later(milliseconds=1):
    return b"\xd0" + (milliseconds * 1000000).to_bytes(3, "big")


def td(index, link, flags, token, buffer=0x3000):
    return memory(TDS + 16 * index, struct.pack("<IIII", link, flags, token, buffer))


def frames(link):
    return memory(LIST, struct.pack("<I", link) * 8)


def port(number):
    at = PORT + 2 * number
    return out(at, RESET) + out(at, 0) + out(at, ENABLED | 10)


def device(address):
    return control(0, 0, 5, address) + control(address, 0, 9, 1)


def hub_port(number):
    return control(2, 0x23, 3, 4, number)


MASTER = config(0x20, 0xc000, 4) + config(4, 5)
BEGIN = b"\x01" + MASTER
ALL = BEGIN + port(0) + device(1) + port(1) + device(2) + hub_port(1) + device(3) + hub_port(8) + \
    device(4)
DISK = b"\x07" + ALL[1:] + hub_port(3) + device(5) + hub_port(4) + device(6) + \
    command(5, 0x80, 0, 0) + go_on(5) + command(6, 0x80, 0, 0) + go_on(6)
RUN = out(BASE, LIST, 4) + out(FRAME, 0) + out(COMMAND, 1)
ADDRESS_0 = 0

SEEDS = {
    "registers": BEGIN + b"".join(access(0, 2, at) for at in range(0, 32, 2)) +
                 out(SOF, 0x7f, 1) + out(BASE + 2, 0x1234) + out(0x1e, 5) + access(0, 4, 6) +
                 out(ENABLES, 15) + out(PORT + 1, 2, 1) + b"\x16\x00" + bytes(8),
    "enumerate": ALL + DESCRIBE + SAVE,
    "descriptors": ALL + b"".join(control(address, 0x80, 6, value, 0, 32)
                                  for address in (1, 2) for value in
                                  (0x100, 0x200, 0x201, 0x300, 0x301, 0x302, 0x303, 0x304, 0x600)) +
                   b"".join(control(address, 0x81, 6, value, 0, 32)
                            for address in (1, 3, 4) for value in (0x2100, 0x2200, 0x2300)) +
                   control(1, 0x80, 6, 0x100, 0, 4) + control(2, 0xa0, 6, 0x2900, 0, 16) +
                   control(2, 0xa0, 6, 0x2a00, 0, 16),
    "standard": ALL + b"".join(control(1, kind, 0, 0, index, 2)
                               for kind, index in ((0x80, 0), (0x81, 0), (0x81, 1), (0x82, 0),
                                                   (0x82, 0x81), (0x82, 1), (0x83, 0))) +
                control(1, 0x80, 8, 0, 0, 1) + control(1, 0x81, 10, 0, 0, 1) +
                control(1, 0x81, 10, 0, 1, 1) + control(1, 1, 11) + control(1, 1, 11, 1) +
                control(1, 0, 3, 1) + control(1, 0, 1, 1) + control(1, 0, 3, 2) +
                control(1, 2, 3, 0, 0x81) + interrupt(1) + SAVE + control(1, 2, 1, 0, 0x81) +
                control(1, 2, 3, 0, 0) + control(1, 2, 3, 0, 5) + control(1, 1, 3) +
                control(1, 0, 5, 200) + control(1, 0, 9, 2) + control(1, 0, 7) +
                control(1, 0x40, 1) + control(1, 0xc0, 1, 0, 0, 8),
    "hid": ALL + control(1, 0x21, 9, 0x200, 0, 1, b"\x1f") + control(1, 0xa1, 1, 0x200, 0, 1) +
           control(1, 0xa1, 1, 0x100, 0, 8) + control(1, 0xa1, 1, 0x300, 0, 8) +
           control(1, 0x21, 9, 0x100, 0, 1, b"\x1f") + control(1, 0x21, 10, 0x100) +
           control(1, 0xa1, 2, 0, 0, 1) + later(10) + interrupt(1) + control(1, 0x21, 11, 0) +
           control(1, 0xa1, 3, 0, 0, 1) + control(1, 0x21, 11, 2) + control(3, 0x21, 11, 0) +
           control(3, 0xa1, 3, 0, 0, 1) + control(1, 0x21, 0x33) + control(1, 0xa1, 0x33, 0, 0, 1) +
           control(1, 0xa1, 2, 0, 1, 1) + control(4, 0xa1, 1, 0x100, 0, 4) +
           control(1, 0x21, 10, 0, 1),
    "keys": ALL + b"".join(happens(KEY, code) + interrupt(1) for code in
                           (5, 7, 9, 11, 13, 15, 17, 0xe1, 4, 6)) +
            b"".join(happens(KEY, code) for code in range(4, 24)) + SAVE + interrupt(1) * 5,
    "pointers": ALL + happens(PLACE, 0, 100) + happens(PLACE, 0, 200, 3) + happens(BUTTON, 1) +
                interrupt(3) + interrupt(3) + happens(MOVE, 0, 1000, -5) +
                happens(MOVE, 0, 32767) + happens(MOVE, 0, 32767) + happens(BUTTON, 7) +
                interrupt(4) * 3 + SAVE + interrupt(4) + control(4, 0x21, 11, 0) +
                interrupt(4) + happens(MOVE, 0, 0) + happens(MOVE, 0, -300, -120) +
                happens(MOVE, 0, -32768) + happens(PLACE, 0, -5, 0) + interrupt(3) * 4 +
                plug(TABLET, False) + happens(BUTTON, 1) + interrupt(4) * 3,
    "pointers_alone": b"\x00" + MASTER + port(0) + device(1) + port(1) + device(2) +
                      happens(PLACE, 0, 7) + happens(MOVE, 0, 9) + interrupt(1) + interrupt(2) +
                      DESCRIBE + plug(KEYBOARD, True) + plug(MOUSE, False),
    "hub": ALL + interrupt(2, 1, 2) + control(2, 0xa3, 0, 0, 1, 4) + control(2, 0xa3, 0, 0, 9, 4) +
           control(2, 0xa0, 0, 0, 0, 4) + control(2, 0x23, 3, 2, 1) + SAVE + interrupt(3) +
           control(2, 0x23, 1, 2, 1) + control(2, 0x23, 1, 16, 1) + control(2, 0x23, 1, 18, 1) +
           control(2, 0x23, 1, 20, 1) + control(2, 0x23, 1, 16, 8) + control(2, 0x23, 1, 20, 8) +
           interrupt(2, 1, 2) + control(2, 0x23, 1, 1, 1) + control(2, 0x23, 3, 2, 1) +
           control(2, 0x23, 3, 8, 1) + control(2, 0x23, 1, 8, 1) + control(2, 0x23, 3, 22, 1) +
           control(2, 0x23, 3, 4, 5) + control(2, 0x20, 1, 1) + control(2, 0x20, 3, 2) +
           control(2, 0x20, 5) + control(2, 0x23, 3, 4, 9) + control(2, 0xa0, 0x33, 0, 0, 1),
    "wake": ALL + control(1, 0, 3, 1) + control(3, 0, 3, 1) + control(2, 0, 3, 1) +
            out(ENABLES, 15) + out(COMMAND, 8) + happens(KEY, 5) + out(COMMAND, 0) +
            out(STATUS, 0x3f) + out(PORT, ENABLED | SUSPENDED) + happens(KEY, 4) + SAVE +
            access(0, 2, PORT) + out(PORT, ENABLED | SUSPENDED) + control(2, 0x23, 3, 2, 1) +
            out(PORT + 2, ENABLED | SUSPENDED) + happens(PLACE, 0, 5) + plug(MOUSE, False) +
            plug(MOUSE, True) + control(2, 0x23, 1, 1, 1) + happens(PLACE, 0, 6) +
            plug(KEYBOARD, False) + plug(KEYBOARD, True) + config(0xc0, 0),
    "plug": ALL + plug(HUB, False) + interrupt(3) + plug(TABLET, False) + SAVE + plug(HUB, True) +
            plug(TABLET, True) + port(1) + plug(KEYBOARD, False) + LINE + access(0, 2, PORT) +
            DESCRIBE + b"\xfd",
    "resets": ALL + out(COMMAND, 2) + out(PORT, ENABLED) + interrupt(1) + out(COMMAND, 4) +
              out(COMMAND, 0) + out(STATUS, 0x3f) + out(COMMAND, 0x21) + later() + out(COMMAND, 9),
    "errors": BEGIN + port(0) + frames(TDS) + td(0, TDS + 16, ACTIVE | 1 << 27, IN | 9 << 8) +
              td(1, TDS + 32, ACTIVE | 3 << 27, IN) +
              td(2, TDS + 48, ACTIVE | ISOCHRONOUS, IN | 5 << 8) +
              td(3, TDS + 64, ACTIVE | LOW, IN) + td(4, 1, 1 << 24, IN) + RUN + later() + later() +
              SAVE + td(0, 1, ACTIVE, 0xa5) + later() + RUN + td(0, 1, ACTIVE, OUT | 0x5ff << 21) +
              later() + td(0, 1, ACTIVE, SETUP | 7 << 21, 0xffff0000) + RUN + later() +
              frames(0xfffff002) + RUN + later() + out(BASE, 0xffff0000, 4) + out(COMMAND, 1) +
              later() + config(4, 1) + RUN + later(),
    "babble": ALL + happens(KEY, 5) + interrupt(1, 1, 4) + interrupt(1, 2) +
              interrupt(1, 1, 8, OUT) + control(1, 0x80, 6, 0x100, 0, 18) + interrupt(1, 0, 8) +
              interrupt(1, 0, 0, OUT) + interrupt(1, 0, 70, OUT),
    "isochronous": ALL + frames(TDS) +
                   td(0, TDS + 16, ACTIVE | ISOCHRONOUS, IN | 1 << 8 | 1 << 15 | 7 << 21) +
                   td(1, TDS + 16, ACTIVE | SHORT, IN | 2 << 8 | 1 << 15 | 7 << 21) + RUN +
                   later() + SAVE,
    "circles": BEGIN + port(0) + memory(QUEUE, struct.pack("<II", QUEUE | 2, TDS)) +
               td(0, TDS | 4, ACTIVE, SETUP | 7 << 21) + frames(QUEUE | 2) + RUN + later() +
               memory(QUEUE, struct.pack("<II", QUEUE | 2, 1)) + later(2),
    "short": BEGIN + port(0) + control(0, 0x80, 6, 0x100, 0, 8) +
             memory(QUEUE, struct.pack("<II", 1, TDS)) +
             td(0, TDS + 16 | 4, ACTIVE, SETUP | 7 << 21) +
             memory(0x3000, bytes([0x80, 6, 0, 1, 0, 0, 4, 0])) +
             td(1, 1, ACTIVE | SHORT | 1 << 24, IN | 7 << 21, 0x3100) + frames(QUEUE | 2) +
             out(ENABLES, 8) + RUN + later() + out(STATUS, 1),
    "behind": BEGIN + out(COMMAND, 1) + b"\xd0\xff\xff\xff" * 8 + SAVE + later(),
    "disk": DISK + command(5, 0x81, 36, 0x12, 0, 0, 0, 36) + go_on(5) +
            command(5, 0x81, 2560, 0x28, 0, 0, 0, 0, 7, 0, 0, 5) + go_on(5) * 9 + SAVE +
            command(5, 0x80, 512, 0x28, 0, 0, 0, 0, 7, 0, 0, 1) + SAVE + go_on(5) * 3 +
            command(5, 0x80, 512, 0x28, 0, 0, 0, 0, 70, 0, 0, 1) + go_on(5) +
            control(5, 2, 1, 0, 0x81) + go_on(5),
    "disk_write": DISK + command(5, 0x1c, 2560, 0x2a, 8, 0, 0, 0, 7, 0, 0, 5) +
                  go_on(5, True) * 5 + SAVE + go_on(5) + go_on(5) +
                  command(5, 0x1c, 512, 0x2a, 0, 0, 0, 0, 7, 0, 0, 1) + go_on(5, True, True) +
                  go_on(5) + command(5, 0x00, 0, 0x35) + SAVE + go_on(5) + go_on(5) +
                  command(5, 0x00, 0, 0x2f, 0, 0, 0, 0, 0, 0, 0, 64) + SAVE + go_on(5) + go_on(5) +
                  command(6, 0x00, 512, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1) + go_on(6),
    "disk_wrong": DISK + command(5, 0x80, 0, 0x28, 0, 0, 0, 0, 7, 0, 0, 1) + go_on(5) +
                  command(5, 0x00, 512, 0x28, 0, 0, 0, 0, 7, 0, 0, 1) +
                  control(5, 2, 1, 0, 2) + go_on(5) + command(5, 0, 0, 0, size=17) + go_on(5) +
                  control(5, 2, 1, 0, 0x81) + control(5, 2, 1, 0, 2) + go_on(5) + go_on(5, True) +
                  control(5, 0x21, 0xff) + control(5, 0xa1, 0xfe, 0, 0, 1) +
                  control(5, 0x21, 0xfe) + control(5, 0xa1, 0xfd, 0, 0, 1) +
                  control(5, 0x80, 6, 0x303, 0, 32) + control(5, 0x80, 6, 0x304, 0, 32),
    "disk_busy": b"\x01" + DISK[1:] + command(6, 0x80, 512, 0x28, 0, 0, 0, 0, 1, 0, 0, 1) +
                 command(5, 0x80, 512, 0x28, 0, 0, 0, 0, 7, 0, 0, 1) + SAVE + go_on(5) +
                 go_on(5) + go_on(5) + go_on(6) + plug(4, False) + plug(4, True) +
                 command(6, 0x80, 512, 0x28, 0, 0, 0, 0, 1, 0, 0, 1) + control(6, 0x21, 0xff),
    "disk_altered": DISK + command(5, 0x80, 2560, 0x28, 0, 0, 0, 0, 7, 0, 0, 5) +
                    b"".join(b"\xf0" + struct.pack(">HB", at, value)
                             for at in range(1000, 1700, 3) for value in (0x01, 0x80)),
    "altered": ALL + b"".join(b"\xf0" + struct.pack(">HB", at, value)
                              for at in range(0, 1400, 7) for value in (0x01, 0xff)),
    "loaded": b"\x81" + bytes(range(1, 256)),
    "loaded_zeros": b"\x81" + bytes(600) + MASTER,
}


def main():
    for name, content in SEEDS.items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
