# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest whose disk is a region of a disk of the host.

guest-virtio, guest-ide  what it has written and synced is on the image when the power is cut, and
                         nothing else is; what is read-only stays so
guest-overlay            with snapshot = on nothing is written there before `commit`, not when the
                         power is cut nor when there is no room for more; snapshots have all of it
guest-refused            what one writes no other has, and what a replay would miss is not recorded
guest-plane              a disk with a CPU of its own, on a host with two
guest-errors             what the host's disk cannot do is an I/O error to the guest, no more
"""

import os

import console
import disk_image
import engines
import monitor
import qemu
import system
from disk_image import Partition

TIMEOUT = 240
MIB = 1 << 20
DISK_BYTES = 24 * MIB
DATA = Partition("data", 2048, 16384)
KEPT = Partition("kept", 20480, 64, attributes=1 << 60)
BLOCK = 65536

VIRTIO = ["-device", "virtio-blk-pci,drive=a"]
IDE = ["-device", "ide-hd,drive=a,bus=ide.0,unit=0"]


def drive(path):
    return ["-drive", f"file={path},format=raw,if=none,id=a"]


def guest_data():
    """The guest's /data: see tools/mkinitramfs.sh."""
    return b"".join(b"%d\n" % i for i in range(1, 180001))


def image(directory):
    """(path, bytes): a disk of the host."""
    path = os.path.join(directory, "host.img")
    disk_image.create(path, DISK_BYTES)
    disk_image.write_gpt(path, DISK_BYTES // 512, [DATA, KEPT])
    return path, disk_image.read(path)


def section(name, medium, *keys):
    return system.disk_section(medium, name, keys=keys)


def start(options, directory, sections, arguments, emulator=qemu, cpus=1):
    """A console at Reprise with a Linux guest that has a shell. `arguments`: of QEMU; for Bochs,
    the path of its disk."""
    config = system.configuration("console=ttyS0 cryptomgr.notests quiet",
                                  host=[f"debug_exit = {emulator.DEBUG_EXIT}"],
                                  rtc_base=1704067200) + "".join(sections)
    members = [("reprise.ini", config.encode())]
    for name, path in system.linux_files(options, directory).items():
        members.append((name, disk_image.read(path)))
    archive = qemu.cpio_newc(members)
    if emulator is qemu:
        command = qemu.reprise_command(options, directory, archive, memory=1024,
                                       icount=False, cpus=cpus) + arguments
    else:
        command = emulator.reprise_command(options, directory, archive, memory=1024,
                                           disks={"ata0-master": (arguments, "flat")})
    return console.Console(command, os.path.join(directory, "serial.log"),
                           TIMEOUT * options.timeout_scale, emulator)


def write_data(terminal, block, disk="vda", said="good", timeout=60):
    """The guest writes /data at the block of 64 KiB, and has it synced."""
    monitor.shell(terminal, f"dd if=/data of=/dev/{disk} bs=64k seek={block} conv=fsync && "
                  "echo go''od || echo b''ad", rf"^{said}\r", timeout)


def read_data(terminal, block, disk="vda", blocks=17):
    """And it is what the guest reads from there."""
    monitor.shell(terminal, "echo 3 >/proc/sys/vm/drop_caches; dd if=/data of=/tmp/x bs=64k "
                  f"count={blocks}; dd if=/dev/{disk} bs=64k skip={block} count={blocks} | "
                  "cmp - /tmp/x && echo sa''me", r"^same\r", 60)


def check_image(path, before, *blocks):
    """The problems of an image of which the partition ought to have /data at these blocks."""
    expected = bytearray(before)
    data = guest_data()
    for block in blocks:
        at = DATA.first * 512 + block * BLOCK
        expected[at:at + len(data)] = data
    after = disk_image.read(path)
    if after == bytes(expected):
        return []
    wrong = next(i for i, (a, b) in enumerate(zip(after, expected)) if a != b)
    return [f"{os.path.basename(path)}: wrong from byte {wrong} on, {len(after)} bytes"]


def run(options, directory, sections, arguments, talk, engine="svm", cpus=1):
    """The problems of a conversation."""
    emulator = engines.EMULATORS[engine]
    try:
        with start(options, directory, sections, arguments, emulator, cpus) as terminal:
            terminal.expect(monitor.SHELL, monitor.BOOT_SECONDS)
            talk(terminal)
    except console.ConsoleError as error:
        return [str(error)]
    return []


def check_refusals(terminal):
    """What the machine's disks cannot do."""
    monitor.to_monitor(terminal)
    monitor.command(terminal, "block_resize d 1M", "Error: the size of disk 'd' is that of")
    monitor.command(terminal, "savevm a", "Error: disk d is written to partition:data")
    monitor.command(terminal, "info block", r"^d: linux, partition:data, 8 MiB, "
                    r"bps=16777216, iops=500 iops_max=2000 iops_max_length=1\n"
                    r"k: linux, partition:kept, 0 MiB, read-only\n")
    monitor.to_guest(terminal)


def run_write(options, directory, device, engine):
    path, before = image(directory)

    def talk(terminal):
        monitor.shell(terminal, "cat /sys/block/vda/size /sys/block/vdb/size /sys/block/vdb/ro",
                      r"^16384\r\n64\r\n1\r")
        write_data(terminal, 1)
        if engine == "svm":
            check_refusals(terminal)
        write_data(terminal, 40)
        monitor.shell(terminal, "dd if=/data of=/dev/vdb && echo go''od || echo b''ad", r"^bad\r")
        read_data(terminal, 40, blocks=17 if engine == "svm" else 1)  # Bochs' disk is slow
        # The power is cut here.

    sections = [section("d", "partition:data", "bps = 16M", "iops = 500", "iops_max = 2000"),
                section("k", "partition:kept")]
    arguments = drive(path) + device if engine == "svm" else path
    problems = run(options, directory, sections, arguments, talk, engine)
    return "\n".join(problems + check_image(path, before, 1, 40)) or None


def run_plane(options, directory):
    """Its CPU is the back end's alone."""
    path, before = image(directory)

    def talk(terminal):
        write_data(terminal, 1)
        read_data(terminal, 1)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "system_reset")
        terminal.send(console.ESCAPE)
        terminal.expect(monitor.SHELL, monitor.BOOT_SECONDS)
        read_data(terminal, 1)

    problems = run(options, directory, [section("d", "partition:data", "dataplane = 1")],
                   drive(path) + VIRTIO, talk, cpus=2)
    return "\n".join(problems + check_image(path, before, 1)) or None


def run_errors(options, directory):
    """One flush fails, one sector cannot be read and one not be written."""
    path, before = image(directory)
    bad = DATA.first + 80 * BLOCK // 512
    arguments = ["-blockdev", "driver=blkdebug,node-name=a,image.driver=file,"
                 f"image.filename={path},inject-error.0.event=none,inject-error.0.iotype=read,"
                 f"inject-error.0.sector={bad + 8},inject-error.1.event=none,"
                 f"inject-error.1.iotype=write,inject-error.1.sector={bad + 300},"
                 "inject-error.2.event=none,inject-error.2.iotype=flush,"
                 "inject-error.2.once=on", *VIRTIO]

    def talk(terminal):
        # The one flush that fails.
        write_data(terminal, 1, said="bad")
        write_data(terminal, 1)
        for block, said in ((1280, "good"), (1281, "bad"), (1282, "good")):
            monitor.shell(terminal, f"dd if=/dev/vda of=/tmp/x bs=4k skip={block} count=1 && "
                          "echo go''od || echo b''ad", rf"^{said}\r")
        write_data(terminal, 78, said="bad")
        write_data(terminal, 40)

    problems = run(options, directory, [section("d", "partition:data")], arguments, talk)
    after = disk_image.read(path)
    first = (DATA.first * 512 + 78 * BLOCK) // BLOCK * BLOCK
    if after[:first] != bytes(before[:first]) and not problems:
        data = guest_data()
        for block in (1, 40):
            at = DATA.first * 512 + block * BLOCK
            if after[at:at + len(data)] != data:
                problems.append(f"what was written at block {block} is not there")
    elif not problems:
        problems.append("nothing was written")
    return "\n".join(problems) or None


def run_overlay(options, directory):
    path, before = image(directory)
    problems = []

    def fill(terminal):
        write_data(terminal, 1)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info block",
                        r"^d: linux, partition:data, 8 MiB, snapshot \(1\d\d\d of 2048 KiB\), "
                        r"iops=300\n"
                        r"k: linux, partition:kept, 4 MiB, snapshot \(0 of 262144 KiB\)\n"
                        r"r: linux, RAM, 4 MiB, snapshot \(0 of 262144 KiB\)\n")
        monitor.command(terminal, "savevm one", timeout=120)
        monitor.to_guest(terminal)
        # The second one finds no room.
        write_data(terminal, 40, said="bad")
        read_data(terminal, 1)
        write_data(terminal, 1)

    def commit(terminal):
        fill(terminal)
        problems.extend(check_image(path, before))
        monitor.to_monitor(terminal)
        monitor.command(terminal, "loadvm one", timeout=120)
        monitor.command(terminal, "info block", r"snapshot \(1\d\d\d of 2048 KiB\)")
        monitor.command(terminal, "commit x", "Error: there is no disk 'x' with snapshot = on")
        monitor.command(terminal, "commit k", "Error: disk k: partition:kept cannot be written")
        monitor.command(terminal, "commit d", r"^$", timeout=60)
        monitor.command(terminal, "info block", r"^d: .*, snapshot \(0 of 2048 KiB\)")
        monitor.command(terminal, "loadvm one", "Error: what is below its disks is not what it was")
        monitor.to_guest(terminal)
        read_data(terminal, 1)
        write_data(terminal, 80)  # for which there is room again
        read_data(terminal, 80)
        write_data(terminal, 0, "vdb")
        write_data(terminal, 0, "vdc")
        monitor.to_monitor(terminal)
        monitor.command(terminal, "commit r", r"^$")
        monitor.to_guest(terminal)
        read_data(terminal, 0, "vdc")

    large = Partition("kept", KEPT.first, 8192, attributes=KEPT.attributes)
    disk_image.write_gpt(path, DISK_BYTES // 512, [DATA, large])
    before = disk_image.read(path)
    sections = [section("d", "partition:data", "snapshot = on", "snapshot_memory = 2M",
                        "iops = 300"),
                section("k", "partition:kept", "snapshot = on"),
                section("r", "ram:4M", "snapshot = on")]
    problems += run(options, directory, sections, drive(path) + VIRTIO, fill)
    problems += check_image(path, before)
    if not problems:
        problems += run(options, directory, sections, drive(path) + VIRTIO, commit)
        problems += check_image(path, before, 1)
    return "\n".join(problems) or None


# keys of the machine, disks (name, medium, keys), what the log says then
REFUSED = [
    ("", [("d", "partition:data"), ("e", "partition:data")],
     r"\[disk e\].*: medium: partition:data: some of it is written by disk d"),
    ("", [("d", "disk:0", "readonly = on"), ("e", "partition:data")],
     r"\[disk e\].*: medium: partition:data: some of it is read by disk d"),
    ("", [("d", "disk:vdz")], r"\[disk d\].*: medium: disk:vdz: there is no disk 'vdz'"),
    ("", [("d", "file:x")], r"\[disk d\].*: medium: file:x: booted from no volume"),
    ("rr = record\nrrfile = ram:1M\n", [("d", "partition:data")],
     r"\[vm linux\].*: disk d is written to partition:data: a replay would not find there"),
    ("rr = record\nrrfile = disk:0\n", [("d", "partition:data", "readonly = on")],
     r"\[vm linux\].*: rrfile: some of it is read by disk d"),
]


def run_refused(options, directory):
    path, before = image(directory)
    payload = disk_image.read(os.path.join(options.build, "guest", "cpuid.elf"))
    problems = []
    for number, (keys, disks, said) in enumerate(REFUSED):
        text = (f"[reprise]\ndebug_exit = {qemu.DEBUG_EXIT}\n[vm linux]\nmemory = 16M\n"
                f"kernel = payload.elf\n{keys}" +
                "".join(section(name, medium, *more) for name, medium, *more in disks))
        archive = qemu.cpio_newc([("reprise.ini", text.encode()), ("payload.elf", payload)])
        command = qemu.reprise_command(options, directory, archive) + drive(path) + VIRTIO
        log = os.path.join(directory, f"serial{number}.log")
        try:
            with console.Console(command, log, TIMEOUT * options.timeout_scale) as terminal:
                terminal.expect(f"^reprise: .*{said}")
                terminal.expect(monitor.PROMPT)
                if "started" in terminal.output.decode("ascii", "replace"):
                    terminal.fail("a machine was started")
                terminal.send("quit\r")
                terminal.check_left()
        except console.ConsoleError as error:
            problems.append(str(error))
    return "\n".join(problems + check_image(path, before)) or None


def cases(options, engine):
    """(name, run) of each case."""
    if engine == "vmx":
        yield "guest-ide", lambda directory: run_write(options, directory, IDE, engine)
        return
    for name, device in (("guest-virtio", VIRTIO), ("guest-ide", IDE)):
        yield name, lambda directory, d=device: run_write(options, directory, d, engine)
    yield "guest-plane", lambda directory: run_plane(options, directory)
    yield "guest-overlay", lambda directory: run_overlay(options, directory)
    yield "guest-refused", lambda directory: run_refused(options, directory)
    yield "guest-errors", lambda directory: run_errors(options, directory)
