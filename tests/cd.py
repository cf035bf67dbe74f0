# SPDX-License-Identifier: BSD-2-Clause
"""CD drives: SeaBIOS boots from the disc that is in one, which the monitor changes.

discs    memtest86+ from its disc; then iPXE from another one; then nothing, from no disc; then
         memtest86+ again
"""

import os
import re

import console
import display
import engines
import monitor
import qemu

TIMEOUT = 300
DISCS = {"cd": "/usr/lib/memtest86+/memtest86+x64.iso", "second": "/usr/lib/ipxe/ipxe.iso"}
MEMTEST = r"Memtest86\+"
TRIES = 3000  # looks at the screen


def cases(options, engine):
    yield "discs", lambda directory: talk(options, directory, engine)


def configuration(emulator):
    return "\n".join(["[reprise]", f"debug_exit = {emulator.DEBUG_EXIT}", "console = monitor",
                      "[vm t]", "memory = 64M", "firmware = seabios", "display = vga",
                      "rtc_base = 1704067200",
                      "[disk cd]", "vm = t", "media = cdrom", "interface = ide",
                      "medium = image:cd.iso",
                      "[disk second]", "vm = t", "media = cdrom", "drive = cd",
                      "medium = image:second.iso", ""])


def members(emulator):
    yield "reprise.ini", configuration(emulator).encode()
    yield from display.firmware_members("seabios")
    for name, path in DISCS.items():
        if not os.path.exists(path):
            raise qemu.MissingTool(f"{path}: not found (run tools/deps.sh install)")
        with open(path, "rb") as file:
            yield name + ".iso", file.read()


def drive(terminal, pattern):
    """The change may have to wait for the guest."""
    for _ in range(TRIES):
        text = monitor.command(terminal, "info block")
        if re.search("^cd: t, .*, removable: " + pattern + "$", text, re.MULTILINE):
            return
    terminal.fail(f"the drive never was {pattern!r}, but {text!r}")


def change_discs(terminal):
    display.wait_for_text(terminal, MEMTEST, TRIES)
    drive(terminal, "cd, not locked, tray closed")
    monitor.command(terminal, "change cd second")
    drive(terminal, "second, not locked, tray closed")
    monitor.command(terminal, "system_reset")
    display.wait_for_text(terminal, "^iPXE ", TRIES)
    monitor.command(terminal, "eject cd")
    drive(terminal, "not inserted, not locked, tray open")
    monitor.command(terminal, "system_reset")
    display.wait_for_text(terminal, "No bootable device", TRIES)
    monitor.command(terminal, "change cd cd")
    monitor.command(terminal, "system_reset")
    display.wait_for_text(terminal, MEMTEST, TRIES)


def talk(options, directory, engine):
    emulator = engines.EMULATORS[engine]
    archive = qemu.cpio_newc(list(members(emulator)))
    command = emulator.reprise_command(options, directory, archive)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(monitor.PROMPT)
            change_discs(terminal)
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None
