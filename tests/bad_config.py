# SPDX-License-Identifier: BSD-2-Clause
"""Configurations that Reprise must refuse: with a message that names what is wrong, and with the
monitor at hand afterwards."""

import os

import console
import monitor
import qemu

HOST_EXIT_PORT = 0xf4
TIMEOUT = 60
HOST = f"[reprise]\ndebug_exit = {HOST_EXIT_PORT:#x}\n"
VM = "[vm a]\nmemory = 64M\nkernel = kernel\n"
MIB = 1 << 20
KERNEL = r"\[vm a\].* kernel: "


def elf(program_header_offset):
    """An ELF executable's header that promises program headers, at the offset given."""
    header = bytearray(64)
    header[:8] = b"\x7fELF\x02\x01\x01\0"
    header[16:24] = b"\x02\0\x3e\0\x01\0\0\0"
    header[32:40] = program_header_offset.to_bytes(8, "little")
    header[52:58] = b"\x40\0\x38\0\x04\0"
    return bytes(header)


def linux(path, count):
    with open(path, "rb") as file:
        return file.read(count)


# name, text of reprise.ini (None: no such file), files {name: content, or a function of the path
# of Linux's kernel}, pattern that the console must show
TABLE = [
    ("no-ini", None, {}, r"reprise\.ini"),
    ("empty-ini", "", {}, r"reprise\.ini:1: .*\[vm NAME\]"),
    ("no-vm", HOST, {}, r"reprise\.ini:2: .*\[vm NAME\]"),
    ("not-ini", HOST + "memory 64M\n", {}, r"reprise\.ini:3: .*memory 64M"),
    ("binary-ini", HOST + "[vm a]\nkernel = a\x01b\n", {}, r"reprise\.ini:4: "),
    ("section", HOST + "[virtual a]\n", {}, r"reprise\.ini:3: section: .*virtual"),
    ("unknown-key", HOST + VM + "colour = red\n", {}, r"reprise\.ini:6: key: .*colour"),
    ("key-twice", HOST + VM + "memory = 32M\n", {}, r"reprise\.ini:6: memory: "),
    ("vm-twice", HOST + VM + VM, {}, r"reprise\.ini:6: \[vm\]: .*\"a\""),
    ("no-memory-key", HOST + "[vm a]\nkernel = kernel\n", {}, r"reprise\.ini:3: memory: "),
    ("no-kernel-key", HOST + "[vm a]\nmemory = 64M\n", {}, r"reprise\.ini:3: kernel: "),
    ("bad-size", HOST + "[vm a]\nmemory = lots\n", {}, r"reprise\.ini:4: memory: .*lots"),
    ("odd-size", HOST + "[vm a]\nmemory = 3M\n", {}, r"reprise\.ini:4: memory: .*3M"),
    ("huge-size", HOST + "[vm a]\nmemory = 99999999999G\n", {}, r"reprise\.ini:4: memory: "),
    ("too-many-vcpus", HOST + VM + "vcpus = 65\n", {}, r"reprise\.ini:6: vcpus: "),
    ("bad-switch", HOST + VM + "x2apic = maybe\n", {}, r"reprise\.ini:6: x2apic: .*maybe"),
    ("no-cpus", HOST + "cpus = 0\n" + VM, {}, r"reprise\.ini:3: cpus: .*\"0\""),
    ("cpus-from", HOST + "cpus_from = smbios\n" + VM, {},
     r"reprise\.ini:3: cpus_from: .*smbios"),
    ("path-outside", HOST + "[vm a]\nkernel = ../k\n", {}, r"reprise\.ini:4: kernel: "),
    ("missing-kernel", HOST + VM, {}, r"\[vm a\].*kernel: no such file: kernel"),
    ("missing-initrd", HOST + VM + "initrd = ramdisk\n",
     {"kernel": lambda path: linux(path, -1)}, r"\[vm a\].* initrd: no such file: ramdisk"),
    ("empty-kernel", HOST + VM, {"kernel": b""}, KERNEL),
    ("wrong-magic", HOST + VM, {"kernel": b"\0" * MIB}, KERNEL),
    ("text-kernel", HOST + VM, {"kernel": b"#!/bin/sh\necho no kernel\n"}, KERNEL),
    ("truncated-header", HOST + VM, {"kernel": lambda path: linux(path, 600)}, KERNEL),
    ("truncated-kernel", HOST + VM, {"kernel": lambda path: linux(path, MIB)}, KERNEL),
    ("elf-header-alone", HOST + VM, {"kernel": elf(64)}, KERNEL),
    ("elf-far-headers", HOST + VM, {"kernel": elf((1 << 64) - 64)}, KERNEL),
    ("kernel-too-large", HOST + VM.replace("64M", "16M"),
     {"kernel": lambda path: linux(path, -1)}, r"\[vm a\].* (memory|kernel): "),
    ("initrd-too-large", HOST + VM.replace("64M", "128M") + "initrd = ramdisk\n",
     {"kernel": lambda path: linux(path, -1), "ramdisk": b"\0" * (80 * MIB)},
     r"\[vm a\].* initrd: "),
    ("too-much-memory", HOST + VM.replace("64M", "8G"),
     {"kernel": lambda path: linux(path, -1)}, r"\[vm a\].* memory: "),
]


def members(config, files, kernel):
    found = [] if config is None else [("reprise.ini", config.encode("latin-1"))]
    for name, content in files.items():
        found.append((name, content(kernel) if callable(content) else content))
    return found


def table_archive(config, files):
    return lambda kernel: qemu.cpio_newc(members(config, files, kernel))


def damaged_archives():
    """(name, function that makes the archive, None for no module at all; pattern)"""
    whole = members(HOST + VM, {"kernel": b"\0" * 8192}, None)
    yield "no-module", None, r"reprise\.ini|module"
    yield "truncated-archive", lambda _: qemu.cpio_newc(whole)[:4096], r"archive|cpio"
    yield "no-archive", lambda _: b"\xa5" * 4096, r"archive|cpio"
    yield "empty-archive", lambda _: qemu.cpio_newc([]), r"reprise\.ini"


def cases(options, kernel):
    """(name, run); `kernel` is the path of Linux's."""
    rows = [(name, table_archive(config, files), pattern) for name, config, files, pattern in TABLE]
    for name, make, pattern in rows + list(damaged_archives()):
        yield name, lambda directory, m=make, p=pattern: run(options, kernel, directory, m, p)


def run(options, kernel, directory, make, pattern):
    if not os.path.exists(kernel):
        raise qemu.MissingTool(f"{kernel}: not found (run tools/deps.sh guest)")
    command = qemu.base_command(icount=False) + qemu.debug_exit(HOST_EXIT_PORT)
    command += ["-kernel", options.image]
    if make is not None:
        archive = os.path.join(directory, "esp.cpio")
        with open(archive, "wb") as file:
            file.write(make(kernel))
        command += ["-initrd", archive]
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale) as terminal:
            terminal.expect(f"^reprise: .*({pattern})")
            terminal.expect(monitor.PROMPT, 10)
            monitor.command(terminal, "info version", r"Reprise")
            terminal.send("quit\r")
            code = terminal.wait_exit(10)
            if code not in (0, 1):  # powered off, or debug exit 0: it may not know of the port
                terminal.fail(f"quit: QEMU ended with {code}")
    except console.ConsoleError as error:
        return str(error)
    return None
