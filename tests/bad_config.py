# SPDX-License-Identifier: BSD-2-Clause
"""Configurations that Reprise must refuse: with a message that names what is wrong, and with the
monitor at hand afterwards."""

import os

import console
import engines
import monitor
import qemu

TIMEOUT = 60
HOST = "[reprise]\ndebug_exit = @DEBUG_EXIT@\n"
DISK = "[disk d]\nvm = a\n"
VM = "[vm a]\nmemory = 64M\nkernel = kernel\n"
OVMF = "[vm a]\nmemory = 64M\nfirmware = ovmf\npflash = disk:0\n"
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
    ("tsc-too-slow", HOST + VM + "tsc_khz = 999\n", {}, r"reprise\.ini:6: tsc_khz: .*999"),
    ("pin-no-list", HOST + VM + "pin = all\n", {}, r"reprise\.ini:6: pin: .*all"),
    ("pin-too-long", HOST + VM + "pin = 0-1\n", {}, r"reprise\.ini:6: pin: .*1 host CPU.*0-1"),
    ("pin-no-such-cpu", HOST + VM + "vcpus = 2\npin = 0,7\n", {"kernel": b""},
     r"reprise\.ini:7: pin: expected host CPUs below 1, .*got 7"),
    ("second-vm", HOST + VM + VM.replace("vm a", "vm b").replace("= kernel", "= other"),
     {"kernel": lambda path: linux(path, -1)}, r"\[vm b\].*kernel: no such file: other"),
    ("second-kernel", HOST + VM.replace("64M", "128M") +
     VM.replace("vm a", "vm b").replace("= kernel", "= other"),
     {"kernel": lambda path: linux(path, -1), "other": b""}, r"\[vm b\].* kernel: "),
    ("too-many-vms", HOST + "".join(VM.replace("vm a", f"vm v{i}") for i in range(17)), {},
     r"reprise\.ini:51: \[vm\]: .*16 VMs.*v16"),
    ("bad-switch", HOST + VM + "x2apic = maybe\n", {}, r"reprise\.ini:6: x2apic: .*maybe"),
    ("rr-without-file", HOST + VM + "rr = record\n", {}, r"reprise\.ini:6: rr: .*rrfile"),
    ("rr-no-sink", HOST + VM + "recordable = on\nrrfile = log\n", {},
     r"reprise\.ini:7: rrfile: .*\"log\""),
    ("no-cpus", HOST + "cpus = 0\n" + VM, {}, r"reprise\.ini:3: cpus: .*\"0\""),
    ("cpus-from", HOST + "cpus_from = smbios\n" + VM, {},
     r"reprise\.ini:3: cpus_from: .*smbios"),
    ("pflash-alone", HOST + VM + "pflash = disk:0\n", {},
     r"reprise\.ini:6: pflash: expected firmware = ovmf"),
    ("no-flash-image", HOST + OVMF, {"firmware/OVMF_CODE_4M.fd": bytes(256 << 10)},
     r"\[vm a\].*pflash: no such file: firmware/OVMF_VARS_4M\.fd"),
    ("odd-flash-image", HOST + OVMF, {"firmware/OVMF_CODE_4M.fd": bytes(256 << 10),
                                      "firmware/OVMF_VARS_4M.fd": bytes(128 << 10)},
     r"\[vm a\].*pflash: firmware/OVMF_VARS_4M\.fd: expected a firmware volume"),
    ("no-display-rom", HOST + "[vm a]\nmemory = 64M\nfirmware = seabios\ndisplay = vga\n",
     {"firmware/bios-256k.bin": bytes(256 << 10)},
     r"\[vm a\].*display: no such file: firmware/vgabios-stdvga\.bin"),
    ("large-display-rom", HOST + "[vm a]\nmemory = 64M\nfirmware = seabios\ndisplay = vga\n",
     {"firmware/bios-256k.bin": bytes(256 << 10),
      "firmware/vgabios-stdvga.bin": bytes(65 << 10)},
     r"\[vm a\].*display: .*expected at most 64 KiB, got 66560 bytes"),
    ("no-such-region", HOST + VM + DISK + "medium = partition:none\n",
     {"kernel": lambda path: linux(path, -1)},
     r"\[disk d\] \(line 6\): medium: partition:none: there is no partition 'none'"),
    ("region-kind", HOST + VM + DISK + "medium = lvm:none\n", {},
     r"reprise\.ini:8: medium: expected ram:SIZE, .*file:PATH, got \"lvm:none\""),
    ("snapshot-readonly", HOST + VM + DISK + "medium = ram:1M\nreadonly = on\nsnapshot = on\n", {},
     r"reprise\.ini:6: snapshot: expected off where readonly = on"),
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


def members(config, files, kernel, emulator):
    found = []
    if config is not None:
        config = config.replace("@DEBUG_EXIT@", emulator.DEBUG_EXIT)
        found.append(("reprise.ini", config.encode("latin-1")))
    for name, content in files.items():
        found.append((name, content(kernel) if callable(content) else content))
    return found


def table_archive(config, files):
    return lambda kernel, emulator: qemu.cpio_newc(members(config, files, kernel, emulator))

# What QEMU's CPU cannot do, and Bochs' can.
SVM_TABLE = [
    ("tsc-not-scaled", HOST + VM + "tsc_khz = 2000000\n", {"kernel": lambda path: linux(path, -1)},
     r"\[vm a\].* tsc_khz: this CPU does not scale the TSC from \d+ to 2000000 kHz"),
]


def damaged_archives():
    """(name, function that makes the archive, None for no module at all; pattern)"""
    def whole(emulator):
        return qemu.cpio_newc(members(HOST + VM, {"kernel": b"\0" * 8192}, None, emulator))

    yield "no-module", None, r"reprise\.ini|module"
    yield "truncated-archive", lambda _, emulator: whole(emulator)[:4096], r"archive|cpio"
    yield "no-archive", lambda *_: b"\xa5" * 4096, r"archive|cpio"
    yield "empty-archive", lambda *_: qemu.cpio_newc([]), r"reprise\.ini"


def cases(options, kernel, engine="svm"):
    """(name, run); `kernel` is the path of Linux's."""
    table = TABLE + (SVM_TABLE if engine == "svm" else [])
    rows = [(name, table_archive(config, files), pattern) for name, config, files, pattern in table]
    for name, make, pattern in rows + list(damaged_archives()):
        yield name, lambda directory, m=make, p=pattern: run(
            options, kernel, directory, m, p, engines.EMULATORS[engine])


def run(options, kernel, directory, make, pattern, emulator):
    if not os.path.exists(kernel):
        raise qemu.MissingTool(f"{kernel}: not found (run tools/deps.sh guest)")
    archive = None if make is None else make(kernel, emulator)
    command = emulator.reprise_command(options, directory, archive, icount=False)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(f"^reprise: .*({pattern})")
            terminal.expect(monitor.PROMPT, 10)
            if "started" in terminal.output.decode("ascii", "replace"):
                terminal.fail("a machine was started")
            monitor.command(terminal, "info version", r"Reprise")
            terminal.send("quit\r")
            # It may not know of the debug exit: then it powers off, where the machine can.
            if emulator.CAN_POWER_OFF:
                code = terminal.wait_exit(10)
                if code not in (0, 1):
                    terminal.fail(f"quit: the emulator ended with {code}")
            else:
                terminal.expect(r"^reprise: (exit status 0|.*cannot be powered off.*halted)", 10)
    except console.ConsoleError as error:
        return str(error)
    return None
