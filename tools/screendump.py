#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pictures out of a console's log: what the monitor's `screendump` printed.

screendump.py LOG FILE.ppm    writes the last picture of the log ("-": standard input)
"""

import base64
import re
import sys

PICTURE = re.compile(rb"screendump begin (\d+) (\d+)\r?\n(.*?)screendump end", re.DOTALL)


class BadPicture(Exception):
    """What is between the markers is no whole picture."""


def decode(width, height, text):
    """The pixels as bytes (red, green, blue): vm/screen_code.h has the form."""
    data = base64.b64decode(b"".join(text.split()), validate=True)
    pixels = bytearray()
    row = 3 * width
    at = 0
    while at < len(data):
        number = shift = 0
        while True:
            if at == len(data):
                raise BadPicture("it ends within a number")
            number |= (data[at] & 0x7f) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
        count = number >> 1
        if number & 1:
            if len(pixels) < row or len(pixels) % row:
                raise BadPicture("it repeats a row that is not there")
            pixels += pixels[-row:] * count
        else:
            pixels += data[at:at + 3] * count
            at += 3
        if len(pixels) > row * height:
            raise BadPicture("it has more pixels than it should")
    if len(pixels) != row * height:
        raise BadPicture(f"it has {len(pixels) // 3} pixels of {width}x{height}")
    return bytes(pixels)


def pictures(log):
    """(width, height, pixels) of each in a log."""
    for match in PICTURE.finditer(log):
        width, height = int(match.group(1)), int(match.group(2))
        yield width, height, decode(width, height, match.group(3))


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__.strip())
    source, target = arguments
    if source == "-":
        log = sys.stdin.buffer.read()
    else:
        with open(source, "rb") as file:
            log = file.read()
    try:
        found = list(pictures(log))
    except (BadPicture, ValueError) as error:
        sys.exit(f"screendump: error: {source}: {error}")
    if not found:
        sys.exit(f"screendump: error: {source}: no picture")
    width, height, pixels = found[-1]
    with open(target, "wb") as file:
        file.write(b"P6\n%d %d\n255\n" % (width, height) + pixels)


if __name__ == "__main__":
    main(sys.argv[1:])
