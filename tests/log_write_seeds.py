#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes seeds for tests/fuzz/log_write_fuzz.c: recorders and stores that do as they should, and
some that do not.

    tests/log_write_seeds.py FOLDER
"""

import sys

sys.dont_write_bytecode = True

from seed_steps import write_seeds  # noqa: E402

READ_ONLY, PROBLEM, OPEN = 16, 32, 128
APPEND, APPEND_ALL, PUMP, FLUSH, PUMP_ALL = b"\x00", b"\xf8", b"\x03", b"\x04", b"\x07"
MANY, MEANWHILE = b"\x85", b"\x1d"
SNAPSHOT, WRONG, FAIL_NEXT, FAIL_THIRD, CLOSE = b"\x06", b"\x46", b"\x86", b"\x96", b"\xc6"
LARGE, SMALL, TINY = b"\xff\xff", b"\x06\x00", b"\x00\x80"


def seeds():
    for alignment in (0, 6, 9):
        start = bytes([alignment])
        yield start + LARGE + APPEND * 3 + PUMP + APPEND + FLUSH + APPEND_ALL * 20
        yield start + LARGE + APPEND_ALL * 12 + MEANWHILE + PUMP_ALL + APPEND_ALL * 12
        yield start + LARGE + SNAPSHOT * 3 + FLUSH + SNAPSHOT + APPEND + SNAPSHOT + WRONG
        yield start + LARGE + SNAPSHOT * 80 + PUMP_ALL + SNAPSHOT * 80
        yield start + LARGE + WRONG + MANY * 6 + APPEND
        yield start + LARGE + SNAPSHOT
        yield start + SMALL + (APPEND_ALL + PUMP_ALL) * 40
        yield start + TINY
        yield start + LARGE + APPEND * 4 + CLOSE + APPEND + FLUSH + CLOSE + PUMP + SNAPSHOT
        for fails in (FAIL_NEXT, FAIL_THIRD):
            yield start + LARGE + fails + APPEND_ALL + FLUSH + APPEND + SNAPSHOT + PUMP
            yield start + LARGE + APPEND * 4 + PUMP_ALL + fails + CLOSE + PUMP_ALL
        yield bytes([alignment | OPEN]) + LARGE + APPEND_ALL + FLUSH + APPEND
    yield bytes([READ_ONLY]) + LARGE
    yield bytes([PROBLEM]) + LARGE


def main():
    write_seeds(sys.argv[1], seeds())


if __name__ == "__main__":
    main()
