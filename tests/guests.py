# SPDX-License-Identifier: BSD-2-Clause
"""Guests that firmware loads, beside Linux (nightly).

grub-seabios, grub-ovmf  GRUB's menu: its cursor moves, and Enter takes the last entry, which powers
                         the machine off by ACPI, or by UEFI's services
ipxe, ipxe-disk          iPXE, as a kernel that GRUB loads, and from its own disk image, to its
                         prompt, and out again
memtest                  memtest86+ finds nothing wrong in one pass
"""

import time

import console
import debian
import monitor

IPXE_DISK = "/usr/lib/ipxe/ipxe.iso"  # has a partition table, too
DOWN = b"\x0e"  # Ctrl-N; an arrow key's three bytes may reach GRUB by two ways
CTRL_B = b"\x02"
TITLES = {"seabios": ("Debian", "Debian, its file system checked", "iPXE", "memtest86+",
                      "Power off"),
          "ovmf": ("Debian", "Debian, its file system checked", "Power off")}
BANNER = r"iPXE \S+ -- Open Source Network Boot Firmware"
MEMTEST_MIB = 32
MEMTEST_SECONDS = 1200


def cases(options):
    """(name, function that runs it, its notes)"""
    for firmware in TITLES:
        yield f"grub-{firmware}", lambda directory, f=firmware: run_grub(options, directory, f), []
    yield "ipxe", lambda directory: run_ipxe(options, directory, None), []
    yield "ipxe-disk", lambda directory: run_ipxe(options, directory, IPXE_DISK), []
    notes = []
    yield "memtest", lambda directory: run_memtest(options, directory, notes), notes


def leave(line):
    line.send("quit\r")
    line.check_left()


def run_grub(options, directory, firmware):
    text = debian.command(options, directory, firmware)
    with debian.terminal(options, directory, text) as line:
        titles = TITLES[firmware]
        line.expect(r"\*" + titles[0] + " ", debian.BOOT_SECONDS)
        line.expect(debian.MENU)
        for title in titles[1:]:
            line.send(DOWN)
            line.expect(r"\*" + title.replace("+", r"\+") + " ")
        line.send("\r")
        line.expect(monitor.PROMPT, 60)  # the last guest has ended
        monitor.command(line, "info status", r"shutdown|powered off")
        leave(line)
    return None


def run_ipxe(options, directory, image):
    text = debian.command(options, directory, "seabios", image=image)
    with debian.terminal(options, directory, text) as line:
        if image is None:
            line.expect(debian.MENU, debian.BOOT_SECONDS)
            line.send("i")
        line.expect(BANNER, debian.BOOT_SECONDS)
        line.expect(r"Press Ctrl-B for the iPXE command line", 60)
        line.send(CTRL_B)
        line.expect(r"iPXE> ", 60)
        line.send("show version\r")
        line.expect(r"builtin/version:\S+ = 1\.", 60)
        line.expect(r"iPXE> ", 60)
        line.send("reboot\r")
        line.expect(r"SeaBIOS \(version", 60)
        monitor.to_monitor(line)
        leave(line)
    return None


def run_memtest(options, directory, notes):
    text = debian.command(options, directory, "seabios", memory=MEMTEST_MIB)
    with debian.terminal(options, directory, text, 2 * MEMTEST_SECONDS) as line:
        line.expect(debian.MENU, debian.BOOT_SECONDS)
        line.send("m")
        line.expect(r"Memtest86\+", 60)
        start = time.monotonic()
        match = line.expect(r"Pass: +1 +Errors: (\d+)", MEMTEST_SECONDS)
        if match.group(1) != b"0":
            raise console.ConsoleError(f"{match.group(1).decode()} errors")
        notes.append(f"one pass of {MEMTEST_MIB} MiB in {time.monotonic() - start:.0f} s")
        monitor.to_monitor(line)
        leave(line)
    return None
