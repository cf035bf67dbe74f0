# SPDX-License-Identifier: BSD-2-Clause
"""A guest's display: what the monitor says that it shows.

seabios   SeaBIOS' banner, by the VGA BIOS of the ESP: as text, and as a picture
"""

import os
import re
import sys

import console
import monitor
import qemu
import system

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import screendump  # noqa: E402

TIMEOUT = 120
SEABIOS = "/usr/share/seabios"
FIRMWARE = ("bios-256k.bin", "vgabios-stdvga.bin")
BANNER = r"^SeaBIOS \(version "
PICTURE = r"(?s)screendump begin.*?screendump end\r?\n"


def cases(options, engine):
    for name, run in (("seabios", run_seabios),):
        yield name, lambda directory, r=run: talk(options, directory, engine, r)


def configuration(emulator, keys=()):
    return "\n".join(["[reprise]", f"debug_exit = {emulator.DEBUG_EXIT}", "console = monitor",
                      "[vm t]", "memory = 32M", "firmware = seabios", "display = vga",
                      "rtc_base = 1704067200", *keys, ""])


def firmware_members():
    for name in FIRMWARE:
        path = os.path.join(SEABIOS, name)
        if not os.path.exists(path):
            raise qemu.MissingTool(f"{path}: not found (install seabios)")
        with open(path, "rb") as file:
            yield "firmware/" + name, file.read()


def talk(options, directory, engine, run):
    emulator = system.engines.EMULATORS[engine]
    archive = qemu.cpio_newc([("reprise.ini", configuration(emulator).encode()),
                              *firmware_members()])
    command = emulator.reprise_command(options, directory, archive)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(monitor.PROMPT)
            run(terminal)
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def wait_for_text(terminal, pattern, tries=60):
    """The display's text, in which `pattern` is to be found in the end."""
    for _ in range(tries):
        text = monitor.command(terminal, "info screen")
        if re.search(pattern, text, re.MULTILINE):
            return text
    return terminal.fail(f"the display never showed {pattern!r}, but {text!r}")


def picture(terminal):
    terminal.send("screendump\r")
    match = terminal.expect(PICTURE, TIMEOUT)
    terminal.expect(monitor.PROMPT)
    return list(screendump.pictures(match.group(0)))[0]


def run_seabios(terminal):
    text = wait_for_text(terminal, "No bootable device")
    if not text.lstrip().startswith("text, 80x25\n") or not re.search(BANNER, text, re.MULTILINE):
        terminal.fail(f"expected SeaBIOS' banner in {text!r}")
    width, height, pixels = picture(terminal)
    colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
    if (width, height) != (720, 400) or colours != {b"\0\0\0", b"\xaa\xaa\xaa"}:
        terminal.fail(f"expected grey text on black, got {width}x{height} with {colours}")
