# SPDX-License-Identifier: BSD-2-Clause
"""Guests that firmware loads, beside Linux (nightly). Each is also recorded and replayed, and its
machine saved and loaded all the time.

grub-seabios, grub-ovmf  GRUB's menu: its cursor moves, and Enter takes the last entry, which powers
                         the machine off by ACPI, or by UEFI's services
ipxe, ipxe-disk          iPXE, as a kernel that GRUB loads, and from its own disk image, to its
                         prompt, and out again
memtest                  memtest86+ finds nothing wrong in one pass (recorded: but for its last
                         test, which waits for minutes)
"""

import functools
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
MEMTEST_MIB = 16
MEMTEST_SECONDS = 1200
# It waits for minutes in the end, looking at the clock: an instruction takes 64 nanoseconds, where
# it is not recorded.
MEMTEST_SHIFT = 6
SAVE_LOAD = ("test_save_load = 300", "test_save_load_memory = 100")
SAVE_LOAD_MIB = 2300  # of the host, for it


# What is said to each: with the guest from its power-on, and whether it is off in the end.


def talk_grub(line, firmware, notes):
    del notes
    titles = TITLES[firmware]
    line.expect(r"\*" + titles[0] + " ", debian.BOOT_SECONDS)
    line.expect(debian.MENU)
    for title in titles[1:]:
        line.send(DOWN)
        line.expect(r"\*" + title.replace("+", r"\+") + " ")
    line.send("\r")
    return True


def talk_ipxe(line, image, notes):
    del notes
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
    return False


def talk_memtest(line, notes, waits=True):
    line.expect(debian.MENU, debian.BOOT_SECONDS)
    line.send("m")
    line.expect(r"Memtest86\+", 60)
    start = time.monotonic()
    if not waits:
        line.expect(r"#10 \[Bit fade test", MEMTEST_SECONDS)
        line.send("1")
        line.expect(r"<F5> +Skip current test", 300)
        line.send("5")
    match = line.expect(r"Pass: +1 +Errors: (\d+)", MEMTEST_SECONDS)
    if match.group(1) != b"0":
        raise console.ConsoleError(f"{match.group(1).decode()} errors")
    notes.append(f"one pass of {MEMTEST_MIB} MiB in {time.monotonic() - start:.0f} s")
    return False


def guests():
    """(name, firmware, what is said, what its machine has)"""
    for firmware in TITLES:
        yield f"grub-{firmware}", firmware, functools.partial(talk_grub, firmware=firmware), {}
    for name, image in (("ipxe", None), ("ipxe-disk", IPXE_DISK)):
        yield name, "seabios", functools.partial(talk_ipxe, image=image), {"image": image}
    yield "memtest", "seabios", talk_memtest, {"memory": MEMTEST_MIB}


def cases(options):
    """(name, function that runs it, its notes)"""

    def case(name, run, firmware, talk, keys):
        notes = []
        talk = functools.partial(talk, notes=notes)
        return name, lambda directory: run(options, directory, notes, firmware, talk, **keys), notes

    for name, firmware, talk, keys in guests():
        plain, recorded = keys, talk
        if talk is talk_memtest:
            plain = keys | {"shift": MEMTEST_SHIFT}
            recorded = functools.partial(talk, waits=False)
        yield case(name, run_plain, firmware, talk, plain)
        yield case(f"{name}-replay", debian.record_and_replay, firmware, recorded, keys)
        yield case(f"{name}-save-load", run_plain, firmware, talk,
                   plain | {"machine": SAVE_LOAD, "host_mib": SAVE_LOAD_MIB})


def run_plain(options, directory, notes, firmware, talk, **keys):
    del notes
    text = debian.command(options, directory, firmware, **keys)
    with debian.terminal(options, directory, text, 2 * MEMTEST_SECONDS) as line:
        if talk(line):
            line.expect(monitor.PROMPT, 60)  # the last guest has ended
            monitor.command(line, "info status", r"shutdown|powered off")
        else:
            monitor.to_monitor(line)
        line.send("quit\r")
        line.check_left()
    return None
