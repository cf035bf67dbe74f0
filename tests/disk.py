# SPDX-License-Identifier: BSD-2-Clause
"""The host's disks: what is written through a region is on the disk image, and nothing else is.

The image is build/disk_test.elf (tests/kernel/disk.c), which is told what to do by the
configuration; `info` talks with the monitor of Reprise itself.
"""

import os
import re
import shutil
import subprocess

import bochs
import console
import disk_image
import engines
import monitor
import qemu
import system
from disk_image import DAMAGES, DISK_BYTES, GUID, LOG, PARTITIONS, Partition, gpt_disk

TIMEOUT = 180
FIRMWARE_TIMEOUT = 240
MIB = 1 << 20
LOG_BYTES = 300 * 1024  # of the file on the ESP
FAT_NEXT_FREE = 512 + 492  # of FAT32's FSInfo
LOG_PATH = "Logs of Reprise/The log of this machine.bin"

VIRTIO = ["-device", "virtio-blk-pci,drive=a"]
IDE = ["-device", "ide-hd,drive=a,bus=ide.0,unit=0"]
NVME = ["-device", "nvme,drive=a,serial=1"]
NVME_SMALL = ["-device", "nvme,drive=a,serial=1,mdts=1"]  # 8 KiB a command
AHCI = ["-device", "ich9-ahci,id=ahci", "-device", "ide-hd,drive=a,bus=ahci.0"]


def configuration(commands, host=()):
    return "\n".join(["[reprise]", *host, "[vm none]", "memory = 2M", "kernel = none",
                      f"cmdline = {'|'.join(commands)}", ""])


def drive(name, path, more=""):
    return ["-drive", f"file={path},format=raw,if=none,id={name},cache=unsafe{more}"]


def image(options, extension="elf"):
    path = os.path.join(options.build, "disk_test." + extension)
    if not os.path.exists(path):
        raise FileNotFoundError(2, "no such image", path)
    return path


def run_qemu(options, directory, commands, arguments, icount=True, cpus=1):
    archive = os.path.join(directory, "esp.cpio")
    with open(archive, "wb") as file:
        file.write(qemu.cpio_newc([("reprise.ini", configuration(commands).encode())]))
    return qemu.run(qemu.base_command(icount=icount, cpus=cpus) +
                    qemu.debug_exit(qemu.HOST_EXIT_PORT) +
                    ["-kernel", image(options), "-initrd", archive, *arguments],
                    os.path.join(directory, "serial.log"), TIMEOUT * options.timeout_scale)


def check(result, wanted):
    """The problems of a run whose results must match these expressions, {command: regex}."""
    problems = list(result.errors)
    if result.timed_out or result.status != 0:
        problems.append(result.describe() + ", expected debug exit 0")
    log = result.log_lines()
    for command, regex in {"before the loop": "ok", **wanted}.items():
        start = f"reprise: disk_test: {command} = "
        said = [line[len(start):] for line in log if line.startswith(start)]
        if len(said) != 1 or re.fullmatch(regex, said[0]) is None:
            problems.append(f"{command}: {said}, expected {regex!r}")
    if "reprise: disk_test: done" not in log:
        problems.append("it did not come to its end")
    return problems


def report(result, problems):
    if not problems:
        return None
    return "\n".join(problems + ["the log ends with:"] + result.log_lines()[-20:])


def run_whole(options, directory, name, device, icount, cpus):
    """A whole disk, on one CPU whose instructions are counted and on two at once."""
    path = os.path.join(directory, "a.img")
    disk_image.create(path, DISK_BYTES)
    before = disk_image.read(path)
    result = run_qemu(options, directory, [f"write disk:{name}", "refuse disk:vdz", "refuse disk:7",
                                           "refuse hda", "refuse file:none"],
                      drive("a", path) + device, icount, cpus)
    problems = check(result, {
        f"write disk:{name}": "ok", "refuse disk:vdz": "there is no disk 'vdz'",
        "refuse disk:7": "there is no disk '7'", "refuse hda": "expected disk:.*, got 'hda'",
        "refuse file:none": "booted from no volume.*"})
    return report(result, problems + disk_image.check_changed(path, before, 0, DISK_BYTES))


def run_several(options, directory):
    """Names are by place: four IDE drives, one of which is no disk, and virtio in PCI order."""
    paths = [os.path.join(directory, f"{i}.img") for i in range(5)]
    arguments = []
    for i, path in enumerate(paths):
        disk_image.create(path, (i + 1) * 65536)
        arguments += drive(f"d{i}", path)
    before = [disk_image.read(path) for path in paths]
    arguments += ["-device", "ide-hd,drive=d0,bus=ide.0,unit=1",
                  "-device", "ide-cd,drive=d1,bus=ide.1,unit=0",
                  "-device", "ide-hd,drive=d2,bus=ide.1,unit=1",
                  "-device", "virtio-blk-pci,drive=d3,addr=9",
                  "-device", "virtio-blk-pci,drive=d4,addr=8,disable-legacy=on"]
    result = run_qemu(options, directory, ["write disk:hdb", "write disk:1", "write disk:vdb",
                                           "write disk:vda", "refuse disk:hda", "refuse disk:hdc"],
                      arguments)
    problems = check(result, {"write disk:hdb": "ok", "write disk:1": "ok", "write disk:vdb": "ok",
                              "write disk:vda": "ok", "refuse disk:hda": "there is no disk .*",
                              "refuse disk:hdc": "there is no disk .*"})
    for i, path in enumerate(paths):
        problems += disk_image.check_changed(path, before[i], 0, 0 if i == 1 else len(before[i]))
    return report(result, problems)


def run_namespaces(options, directory):
    """Two NVMe controllers: names are by number of controller and namespace; of one namespace the
    blocks have metadata. And two of AHCI, whose names are by order."""
    paths = [os.path.join(directory, f"{i}.img") for i in range(8)]
    arguments = []
    for i, path in enumerate(paths):
        disk_image.create(path, (i + 1) * 65536)
        arguments += drive(f"d{i}", path)
    before = [disk_image.read(path) for path in paths]
    large = "logical_block_size=4096,physical_block_size=4096"
    arguments += ["-device", "nvme,id=n0,serial=1,addr=8", "-device", "nvme,id=n1,serial=2,addr=9",
                  "-device", "nvme-ns,drive=d0,bus=n0,nsid=1",
                  "-device", f"nvme-ns,drive=d1,bus=n0,nsid=30,{large}",
                  "-device", "nvme-ns,drive=d2,bus=n0,nsid=31,ms=8",
                  "-device", "nvme-ns,drive=d3,bus=n1,nsid=2",
                  "-device", "ich9-ahci,id=a0,addr=a", "-device", "ich9-ahci,id=a1,addr=b",
                  "-device", "ide-hd,drive=d4,bus=a0.5", "-device", "ide-hd,drive=d5,bus=a1.0",
                  "-device", "ide-cd,drive=d6,bus=a1.1", "-device", "ide-hd,drive=d7,bus=a1.2"]
    written = ["nvme0n1", "nvme0n30", "nvme1n2", "sda", "sdb", "sdc"]
    absent = ["nvme0n31", "nvme1n1", "sdd"]
    result = run_qemu(options, directory, [f"write disk:{name}" for name in written] +
                      [f"refuse disk:{name}" for name in absent], arguments)
    problems = check(result, {
        **{f"write disk:{name}": "ok" for name in written},
        **{f"refuse disk:{name}": f"there is no disk '{name}'" for name in absent}})
    for text in ("warning: disk: nvme0n31: its blocks have metadata",
                 "disk: AHCI at 00:0b.0, port 1: an ATAPI device, left alone"):
        if not any(text in line for line in result.log_lines()):
            problems.append(f"not in the log: {text}")
    for i, path in enumerate(paths):
        problems += disk_image.check_changed(path, before[i], 0,
                                             0 if i in (2, 6) else len(before[i]))
    return report(result, problems)


def run_partition(options, directory):
    """By label and by GUID; what does not name one partition is refused."""
    path = gpt_disk(directory)
    before = disk_image.read(path)
    absent = "9c0e0a5e-3bd5-4ea4-8f4c-3d0e3f8b2a77"
    result = run_qemu(options, directory, [
        "write partition:log", f"write partition:{GUID.upper()}", "refuse partition:Log",
        "refuse partition:twice", f"refuse partition:{absent}", "refuse partition:",
        "read_only partition:kept"], drive("a", path) + VIRTIO)
    problems = check(result, {
        "write partition:log": "ok", f"write partition:{GUID.upper()}": "ok",
        "refuse partition:Log": "there is no partition 'Log'",
        "refuse partition:twice": "there is more than one partition 'twice'",
        f"refuse partition:{absent}": "there is no partition .*",
        "refuse partition:": "there is no partition ''", "read_only partition:kept": "ok"})
    return report(result, problems + disk_image.check_changed(path, before, LOG.first * 512,
                                                              LOG.count * 512))


def run_damaged(options, directory, damage):
    _, places, said = damage
    path = gpt_disk(directory)
    for place in places:
        disk_image.flip(path, place)
    before = disk_image.read(path)
    result = run_qemu(options, directory, ["write partition:log"], drive("a", path) + IDE)
    problems = check(result, {"write partition:log": said})
    size = LOG.count * 512 if said == "ok" else 0
    warned = [line for line in result.log_lines() if "warning: disk: hda:" in line]
    if len(warned) != int(said == "ok"):
        problems.append(f"warnings: {warned}")
    return report(result, problems + disk_image.check_changed(path, before, LOG.first * 512, size))


def run_refused(options, directory, make, said):
    """A table that contradicts another, or itself: what one entry says is in use must not be
    written to because of another."""
    path = make(directory)
    before = disk_image.read(path)
    result = run_qemu(options, directory, ["refuse partition:log"], drive("a", path) + IDE)
    problems = check(result, {"refuse partition:log": said})
    return report(result, problems + disk_image.check_changed(path, before, 0, 0))


def run_large_sectors(options, directory, device):
    path = gpt_disk(directory, sector_bytes=4096)
    before = disk_image.read(path)
    result = run_qemu(options, directory, ["write partition:log"], drive("a", path) + [
        *device[:-1], device[-1] + ",logical_block_size=4096,physical_block_size=4096"])
    problems = check(result, {"write partition:log": "ok"})
    return report(result, problems + disk_image.check_changed(path, before, LOG.first * 4096,
                                                              LOG.count * 4096))


def run_lba48(options, directory, device):
    """Behind what 28 bits reach, and across it."""
    sectors = 1 << 29
    edge = Partition("edge", (1 << 28) - 100, 300)
    end = Partition("end", sectors - 400, 300)
    path = os.path.join(directory, "a.img")
    disk_image.create_sparse(path, sectors * 512)
    disk_image.write_gpt(path, sectors, [edge, end])
    result = run_qemu(options, directory, ["write partition:edge"], drive("a", path) + device)
    problems = check(result, {"write partition:edge": "ok"})
    problems += disk_image.check_sparse(path, edge.first * 512, edge.count * 512, 40 * 512)
    with open(path, "r+b") as file:
        file.seek(edge.first * 512)
        file.write(bytes(edge.count * 512))
    result = run_qemu(options, directory, ["write partition:end"], drive("a", path) + device)
    problems += check(result, {"write partition:end": "ok"})
    problems += disk_image.check_sparse(path, end.first * 512, end.count * 512, 40 * 512)
    return report(result, problems)


def run_errors(options, directory, name, device):
    """A sector that cannot be read: an error, and the disk goes on."""
    path = os.path.join(directory, "a.img")
    disk_image.create(path, MIB)
    result = run_qemu(options, directory, [f"error disk:{name} 51200"], [
        "-blockdev", "driver=blkdebug,node-name=a,image.driver=file,"
        f"image.filename={path},inject-error.0.event=none,inject-error.0.iotype=read,"
        "inject-error.0.sector=100", *device])
    # QEMU's NVMe tells so itself.
    result.errors = [error for error in result.errors if "aio failed: Input/output" not in error]
    problems = check(result, {f"error disk:{name}": "ok"})
    told = [line for line in result.log_lines() if f"error: disk: {name}: " in line]
    if len(told) != 4 or "sector 1" not in told[0]:
        problems.append(f"errors in the log: {told}")
    return report(result, problems)


def run_read_only(options, directory):
    path = os.path.join(directory, "a.img")
    disk_image.create(path, MIB)
    before = disk_image.read(path)
    result = run_qemu(options, directory, ["read_only disk:vda"],
                      drive("a", path, ",readonly=on") + VIRTIO)
    problems = check(result, {"read_only disk:vda": "ok"})
    return report(result, problems + disk_image.check_changed(path, before, 0, 0))


def run_unassigned(options, directory):
    """Firmware that gives PCI devices no addresses: the disks are named, and IDE works."""
    path, other = (os.path.join(directory, name) for name in ("a.img", "b.img"))
    disk_image.create(path, MIB)
    disk_image.create(other, MIB)
    result = run_qemu(options, directory, ["write disk:hda", "refuse disk:vda"],
                      drive("a", path) + drive("b", other) + IDE +
                      ["-device", "virtio-blk-pci,drive=b", "-device", "nvme,serial=1",
                       "-device", "ich9-ahci", "-bios", "qboot.rom"])
    problems = check(result, {"write disk:hda": "ok", "refuse disk:vda": "there is no disk 'vda'"})
    for text in ("virtio at 00:02.0: ", "NVMe at 00:03.0: firmware gave it no addresses",
                 "AHCI at 00:04.0: firmware gave it no addresses"):
        if sum(f"warning: disk: {text}" in line for line in result.log_lines()) != 1:
            problems.append(f"the log has not {text}")
    return report(result, problems)


def mtools(program, disk, *arguments):
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run([program, "-i", disk, *arguments], env=environment, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise qemu.MissingTool(f"{program}: {done.stdout.decode(errors='replace').strip()}")


def esp_image(options, directory, commands, table, host=()):
    """(image, its file system as mtools names it): a boot disk with a file in several pieces."""
    config = os.path.join(directory, "reprise.ini")
    with open(config, "w", encoding="ascii") as file:
        file.write(configuration(commands, host))
    disk = os.path.join(directory, "esp.img")
    system.run_tool([os.path.join(options.top, "tools", "mkesp.sh"), *table, disk,
                     image(options, "efi"), config])
    volume = disk + ("@@1M" if table else "")
    small = os.path.join(directory, "small")
    log = os.path.join(directory, "log")
    disk_image.create(small, 20000)
    disk_image.create(log, LOG_BYTES)
    empty = os.path.join(directory, "empty")
    disk_image.create(empty, 0)
    mtools("mcopy", volume, empty, "::/empty")
    mtools("mmd", volume, "::/" + os.path.dirname(LOG_PATH))
    # Holes for its first pieces, and mtools is to look for free clusters from the start on.
    for i in range(8):
        mtools("mcopy", volume, small, f"::/small{i}")
    for i in range(0, 8, 2):
        mtools("mdel", volume, f"::/small{i}")
    with open(disk, "r+b") as file:
        file.seek((MIB if table else 0) + FAT_NEXT_FREE)
        file.write(b"\xff" * 4)
    mtools("mcopy", volume, log, "::/" + LOG_PATH)
    return disk, volume


FILE_COMMANDS = [f"write file:{LOG_PATH}", "refuse file:absent", "refuse file:EFI/boot",
                 "refuse file:empty", "refuse file:reprise.ini/x"]
FILE_RESULTS = {
    f"write file:{LOG_PATH}": "ok", "refuse file:absent": "absent: not found",
    "refuse file:EFI/boot": "EFI/boot: is a directory", "refuse file:empty": "empty: is empty",
    "refuse file:reprise.ini/x": "reprise.ini/x: not found"}


def check_file(result, directory, disk, volume, before):
    """The file has the pattern, in several pieces, and no other sector has changed."""
    out = os.path.join(directory, "out")
    mtools("mcopy", volume, "-n", "::/" + LOG_PATH, out)
    problems = []
    if disk_image.read(out) != disk_image.pattern(LOG_BYTES):
        problems.append("the file has not got the pattern")
    after = disk_image.read(disk)
    changed = sum(before[i:i + 512] != after[i:i + 512] for i in range(0, len(after), 512))
    if len(after) != len(before) or changed != LOG_BYTES // 512:
        problems.append(f"{changed} sectors changed, expected {LOG_BYTES // 512}")
    pieces = re.search(rf"file:{LOG_PATH}: {LOG_BYTES} bytes in (\d+) pieces",
                       "\n".join(result.log_lines()))
    if pieces is None or int(pieces.group(1)) < 3:
        problems.append("the file does not lie in several pieces")
    return problems


def run_uefi(options, directory, table, devices):
    """By OVMF, which names the controller: a copy of the disk behind another one is left alone."""
    if not os.path.exists(system.FIRMWARE):
        raise qemu.MissingTool(f"{system.FIRMWARE}: not found (install ovmf or set OVMF)")
    disk, volume = esp_image(options, directory, FILE_COMMANDS, table)
    before = disk_image.read(disk)
    copy = os.path.join(directory, "copy.img")
    shutil.copyfile(disk, copy)
    boot, other = devices
    controllers = ["-device", "ich9-ahci,id=ahci"] if "ahci" in boot + other else []
    result = qemu.run(
        qemu.base_command(icount=False) + qemu.debug_exit(qemu.HOST_EXIT_PORT) +
        ["-bios", system.FIRMWARE, *drive("a", disk), *drive("b", copy), *controllers,
         "-device", f"{boot},drive=a,bootindex=0", "-device", f"{other},drive=b"],
        os.path.join(directory, "serial.log"), FIRMWARE_TIMEOUT * options.timeout_scale)
    problems = check(result, FILE_RESULTS)
    problems += check_file(result, directory, disk, volume, before)
    return report(result, problems + disk_image.check_changed(copy, before, 0, 0))


def run_bochs_pvh(options, directory):
    """Without firmware: the second disks of both channels."""
    paths = [os.path.join(directory, name) for name in ("a.img", "b.img")]
    for path in paths:
        disk_image.create(path, MIB)
    before = disk_image.read(paths[0])
    text = configuration(["write disk:hdb", "write disk:hdd"],
                         [f"debug_exit = {bochs.DEBUG_EXIT}"])
    command = bochs.pvh_command(
        options, directory, image(options), qemu.cpio_newc([("reprise.ini", text.encode())]), 512,
        bochs.INSTRUCTIONS_PER_SECOND,
        disks={"ata0-slave": (paths[0], "flat"), "ata1-slave": (paths[1], "flat")})
    result = bochs.run(command, os.path.join(directory, "serial.log"),
                       TIMEOUT * options.timeout_scale)
    problems = check(result, {"write disk:hdb": "ok", "write disk:hdd": "ok"})
    for path in paths:
        problems += disk_image.check_changed(path, before, 0, MIB)
    return report(result, problems)


def run_bochs_uefi(options, directory, has_copy):
    """By U-Boot, which does not name the controller: where there is a copy, nothing is written."""
    host = [f"debug_exit = {bochs.DEBUG_EXIT}"]
    commands = ["refuse file:reprise.ini"] if has_copy else FILE_COMMANDS
    disk, volume = esp_image(options, directory, commands, [], host)
    before = disk_image.read(disk)
    disks = {"ata0-master": (disk, "flat")}
    if has_copy:
        copy = os.path.join(directory, "copy.img")
        shutil.copyfile(disk, copy)
        disks["ata1-master"] = (copy, "flat")
    command = bochs.disk_command(options, directory, disk, disks=disks)
    result = bochs.run(command, os.path.join(directory, "serial.log"),
                       FIRMWARE_TIMEOUT * options.timeout_scale)
    if has_copy:
        problems = check(result, {
            "refuse file:reprise.ini": "both hda and hdc look like the disk .*"})
        for path in (disk, copy):
            problems += disk_image.check_changed(path, before, 0, 0)
    else:
        problems = check(result, FILE_RESULTS)
        problems += check_file(result, directory, disk, volume, before)
    return report(result, problems)


def run_info(options, directory, engine, device, name, model, place):
    """What the monitor of Reprise itself tells."""
    emulator = engines.EMULATORS[engine]
    path = gpt_disk(directory)
    text = (f"[reprise]\ndebug_exit = {emulator.DEBUG_EXIT}\nconsole = monitor\n[vm t]\n"
            "memory = 64M\nkernel = payload.elf\nautostart = off\n")
    payload = disk_image.read(os.path.join(options.build, "guest", "cpuid.elf"))
    archive = qemu.cpio_newc([("reprise.ini", text.encode()), ("payload.elf", payload)])
    if engine == "vmx":
        command = bochs.reprise_command(options, directory, archive,
                                        disks={"ata0-master": (path, "flat")})
    else:
        command = qemu.reprise_command(options, directory, archive) + drive("a", path) + device
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(rf"^reprise: disk: {name}: 3 MiB, {model} at {place}")
            terminal.expect(monitor.PROMPT)
            output = monitor.command(
                terminal, "info block",
                rf"{name}: {model} at {place}, 6144 sectors of 512 bytes \(3 MiB\)\n")
            for part in PARTITIONS:
                if f'    {part.guid} "{part.name}", ' not in output:
                    terminal.fail(f"info block does not list partition {part.name}")
            monitor.command(terminal, "info pci",
                            r"  Bus  0, device   0, function 0:\n"
                            r"    Host bridge: PCI device 8086:1237\n(.*\n)*"
                            r"  Bus  0, device   1, function 1:\n"
                            r"    IDE controller: PCI device 8086:7010\n"
                            r"      BAR4: I/O at 0x")
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def cases(options, engine):
    """(name, run) of each case."""
    def case(function, *arguments):
        return lambda directory: function(options, directory, *arguments)

    if engine == "vmx":
        yield "info", case(run_info, engine, None, "hda", "Generic 1234", r"00:01\.1")
        yield "ide", case(run_bochs_pvh)
        yield "file", case(run_bochs_uefi, False)
        yield "file-copy", case(run_bochs_uefi, True)
        return
    for name, device, disk in (("virtio", VIRTIO, "vda"), ("ide", IDE, "hda"),
                               ("nvme", NVME, "nvme0n1"), ("ahci", AHCI, "sda")):
        yield name, case(run_whole, disk, device, True, 1)
        yield f"{name}-cpus", case(run_whole, disk, device, False, 2)
        yield f"{name}-errors", case(run_errors, disk, device)
    for name, *expected in (("info", IDE, "hda", "QEMU HARDDISK", r"00:01\.1"),
                            ("info-nvme", NVME, "nvme0n1", "QEMU NVMe Ctrl", r"00:02\.0"),
                            ("info-ahci", AHCI, "sda", "QEMU HARDDISK", r"00:02\.0")):
        yield name, case(run_info, engine, *expected)
    yield "nvme-small", case(run_whole, "nvme0n1", NVME_SMALL, True, 1)
    yield "several", case(run_several)
    yield "namespaces", case(run_namespaces)
    yield "partition", case(run_partition)
    for damage in DAMAGES:
        yield f"damaged-{damage[0]}", case(run_damaged, damage)
    bad = "the partition table of disk hda: bad format"
    yield "two-tables", case(run_refused, disk_image.two_tables, bad)
    yield "overlap", case(run_refused, disk_image.overlapping, bad)
    for name, device in (("", VIRTIO), ("-nvme", ["-device", "nvme,id=n,serial=1", "-device",
                                                 "nvme-ns,bus=n,drive=a"])):
        yield f"large-sectors{name}", case(run_large_sectors, device)
    yield "lba48", case(run_lba48, IDE)
    yield "lba48-ahci", case(run_lba48, AHCI)
    yield "read-only", case(run_read_only)
    yield "unassigned", case(run_unassigned)
    yield "file-ide", case(run_uefi, ["--gpt"], ("ide-hd", "virtio-blk-pci"))
    yield "file-virtio", case(run_uefi, [], ("virtio-blk-pci", "ide-hd"))
    yield "file-nvme", case(run_uefi, ["--gpt"], ("nvme,serial=1", "ide-hd,bus=ahci.3"))
    yield "file-ahci", case(run_uefi, [], ("ide-hd,bus=ahci.3", "nvme,serial=1"))
