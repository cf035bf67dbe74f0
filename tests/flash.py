# SPDX-License-Identifier: BSD-2-Clause
"""OVMF's variables in a region of a host disk: UEFI's shell sets them, and they are there when
Reprise is started anew.

flash        restart   both chips answer to commands by hand; an empty partition becomes a flash; a
                       variable is on it when the shell has its prompt again, and there after a
                       restart; loadvm takes one back; UEFI powers the machine off
             refused   regions that cannot be it, each with what is wrong
flash-more   (nightly) cut: power goes at a random moment, while OVMF begins and while variables
             are set; replay: a recording of a machine whose variables were set before
"""

import os
import random
import re
import struct
import time

import console
import disk_image
import monitor
import qemu
import replay
from disk_image import Partition

TIMEOUT = 1200
BOOT_SECONDS = 600
FIRMWARE = ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
FOLDER = os.environ.get("OVMF_FOLDER", "/usr/share/OVMF")
PROMPT = r"Shell> "
GUID = "6a1f3c52-0d4b-4e7a-9c35-2b8e7f104d69"
KIB = 1 << 10
MIB = 1 << 20
FLASH_BYTES = 528 * KIB
BLOCK_BYTES = 4 * KIB
CODE_BASE = (4 << 30) - 3568 * KIB
VARIABLE_BYTES = 60  # of a header
ADDED = 0x3f


def cases(options, suite):
    """(name, function that runs it, its notes)"""
    for name, run in {"flash": (("restart", run_restart), ("refused", run_refused)),
                      "flash-more": (("cut", run_cut), ("replay", run_replay))}[suite]:
        notes = []
        yield f"{suite}/{name}", lambda directory, r=run, n=notes: r(options, directory, n), notes


def firmware(name):
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise qemu.MissingTool(f"{path}: not found (install ovmf)")
    with open(path, "rb") as file:
        return file.read()


def configuration(region, keys=(), names=("guest",)):
    lines = ["[reprise]", f"debug_exit = {qemu.DEBUG_EXIT}"]
    for name in names:
        lines += [f"[vm {name}]", "memory = 128M", "firmware = ovmf", f"pflash = {region}",
                  "rtc_base = 1704067200", *keys]
    return "\n".join([*lines, ""])


def drive(name, path):
    return ["-drive", f"file={path},format=raw,if=none,id={name},cache=unsafe",
            "-device", f"virtio-blk-pci,drive={name}"]


def command(options, directory, config, disks, exact=False, elsewhere=False):
    """OVMF waits for whole seconds: but where a machine is recorded, an instruction takes some
    nanoseconds."""
    os.makedirs(directory, exist_ok=True)
    archive = qemu.cpio_newc([("reprise.ini", config.encode()),
                              *(("firmware/" + name, firmware(name)) for name in FIRMWARE)])
    text = qemu.reprise_command(options, directory, archive, elsewhere=elsewhere)
    if not exact:
        text[text.index("shift=0,sleep=off")] = "shift=4,sleep=off"
    return text + [part for i, disk in enumerate(disks) for part in drive(f"d{i}", disk)]


def terminal(options, directory, text):
    return console.Console(text, os.path.join(directory, "serial.log"),
                           TIMEOUT * options.timeout_scale)


def disk_make(directory, partition_bytes=MIB):
    """A disk with a partition for the variables, between two that nobody may touch."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "disk.img")
    sectors = partition_bytes // 512
    with open(path, "wb") as file:
        file.write(b"\xee" * (4 * MIB))
    disk_image.write_gpt(path, 4 * MIB // 512, [Partition("before", 64, 1000),
                                                Partition("vars", 1064, sectors),
                                                Partition("behind", 1064 + sectors, 1000)])
    with open(path, "r+b") as file:
        file.seek(1064 * 512)
        file.write(bytes(partition_bytes))
    return path, 1064 * 512, partition_bytes


def region_read(disk):
    path, start, count = disk
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(count)


def others_read(disk):
    path, start, count = disk
    with open(path, "rb") as file:
        data = file.read()
    return data[:start] + data[start + FLASH_BYTES:]


def variables(data):
    """{name: value} of this GUID, as edk2's store of authenticated variables has them. Raises
    ValueError where it is none."""
    length, = struct.unpack_from("<Q", data, 32)
    if data[40:44] != b"_FVH" or length != FLASH_BYTES:
        raise ValueError("no firmware volume")
    at, = struct.unpack_from("<H", data, 48)
    size, form, state = struct.unpack_from("<IBB", data, at + 16)
    if (form, state) != (0x5a, 0xfe):
        raise ValueError("no store of variables")
    end, at, found = at + size, at + 28, {}
    fields = GUID.split("-")
    guid = struct.pack("<IHH", *(int(field, 16) for field in fields[:3])) + \
        bytes.fromhex("".join(fields[3:]))
    while at + VARIABLE_BYTES <= end and data[at:at + 2] == b"\xaa\x55":
        name_bytes, value_bytes = struct.unpack_from("<II", data, at + 36)
        if name_bytes != 0xffffffff and data[at + 2] == ADDED and data[at + 44:at + 60] == guid:
            name = data[at + 60:at + 60 + name_bytes].decode("utf-16-le").rstrip("\0")
            value = at + 60 + name_bytes
            found[name] = data[value:value + value_bytes]
        if 0xffffffff in (name_bytes, value_bytes):
            name_bytes = value_bytes = 0  # a header that was not finished
        at = (at + VARIABLE_BYTES + name_bytes + value_bytes + 3) & ~3
    return found


def variable_set(line, name, value):
    line.send(f'setvar {name} -guid {GUID} -nv -bs ="{value}"\r')
    line.expect(PROMPT, 120)


def expect_variable(line, name, value):
    line.send(f"setvar {name} -guid {GUID}\r")
    text = " ".join(f"{byte:02X}" for byte in value.encode())
    line.expect(re.escape(text) + r"[^\0]*?" + PROMPT, 120)


def expect_none(line, name):
    line.send(f"setvar {name} -guid {GUID}\r")
    line.expect(r"Unable to get[^\0]*?" + PROMPT, 120)


def memory_write(line, address, value):
    line.send(f"mm {address:X} {value:X} -w 1 -MMIO -n\r")
    line.expect(PROMPT, 60)


def memory_read(line, address):
    line.send(f"mm {address:X} -w 1 -MMIO -n\r")
    return int(line.expect(r" : 0x([0-9A-F]{2})[^\0]*?" + PROMPT, 60).group(1), 16)


def check_chips(line):
    """Both chips by hand: the code's, which nothing is executed from by now, and the variables'."""
    code, image = firmware(FIRMWARE[0]), firmware(FIRMWARE[1])
    for base, content, blocks in ((CODE_BASE, code, len(code) // BLOCK_BYTES),
                                  (CODE_BASE - FLASH_BYTES, image, FLASH_BYTES // BLOCK_BYTES)):
        memory_write(line, base, 0x98)
        seen = [memory_read(line, base + offset) for offset in (0x10, 0x2d, 0x2e)]
        if seen != [ord("Q"), blocks - 1 & 0xff, blocks - 1 >> 8]:
            line.fail(f"the chip at {base:x} answers {seen} to a query")
        memory_write(line, base, 0xff)
        for offset in (0x28, 0x10):
            if memory_read(line, base + offset) != content[offset]:
                line.fail(f"the chip at {base:x} does not show its contents again")
    memory_write(line, CODE_BASE, 0x20)
    memory_write(line, CODE_BASE, 0xd0)
    if memory_read(line, 0xfffffff0) & 0x20 == 0:
        line.fail("a chip that cannot be written was erased")
    memory_write(line, 0xfffffff0, 0x50)
    if memory_read(line, 0xfffffff0) != code[-16]:
        line.fail("the reset vector is not there any more")


def leave(line):
    monitor.to_monitor(line)
    line.send("quit\r")
    line.check_left()


def demand_kept(disk, name, value):
    found = variables(region_read(disk))
    if found.get(name) != value.encode():
        raise console.ConsoleError(f"{name} ought to be {value}; the partition has {found}")


def run_restart(options, directory, notes):
    disk = disk_make(directory)
    before = others_read(disk)
    text = command(options, directory, configuration("partition:vars"), [disk[0]])
    begun = time.monotonic()
    with terminal(options, directory, text) as line:
        line.expect(r"partition:vars is new", 60)
        line.expect(PROMPT, BOOT_SECONDS)
        check_chips(line)
        variable_set(line, "First", "one")
        demand_kept(disk, "First", "one")
        monitor.to_monitor(line)
        monitor.command(line, "savevm here", timeout=120)
        line.send(console.ESCAPE)
        variable_set(line, "Second", "two")
        demand_kept(disk, "Second", "two")
        monitor.to_monitor(line)
        monitor.command(line, "loadvm here", timeout=120)
        if "Second" in variables(region_read(disk)):
            line.fail("a variable that loadvm took back is on the partition still")
        line.send(console.ESCAPE)
        line.send("\r")
        line.expect(PROMPT, 60)
        expect_none(line, "Second")
        variable_set(line, "Third", "three")
        leave(line)
    with terminal(options, directory, text) as line:
        line.expect(PROMPT, BOOT_SECONDS)
        expect_variable(line, "First", "one")
        expect_variable(line, "Third", "three")
        expect_none(line, "Second")
        if b"partition:vars is new" in line.output:
            line.fail("the variables were thrown away")
        line.send("reset -s\r")
        line.expect(r"guest: ended: shutdown", 60)
        line.expect(monitor.PROMPT)  # the last guest has ended
        line.send("quit\r")
        line.check_left()
    notes.append(f"two boots in {time.monotonic() - begun:.0f} s")
    if others_read(disk) != before:
        return "something else on the disk has changed"
    return None


def run_refused(options, directory, notes):
    disk = disk_make(directory)
    table = [("no-partition", "partition:none", ("guest",), r"pflash: .*none"),
             ("no-disk", "disk:vdz", ("guest",), r"pflash: .*vdz"),
             ("whole-disk", "disk:vda", ("guest",), r"pflash: disk:vda has something else than "
              r"firmware's variables: write zeros to its start"),
             ("small", "partition:behind", ("guest",),
              r"pflash: partition:behind has 512000 bytes, expected at least 540672"),
             ("twice", "partition:vars", ("one", "two"),
              r"\[vm two\].*pflash: expected a region that no other machine has")]
    with open(disk[0], "rb") as file:
        before = file.read()
    for name, region, names, pattern in table:
        here = os.path.join(directory, name)
        text = command(options, here, configuration(region, names=names), [disk[0]])
        with terminal(options, here, text) as line:
            line.expect(pattern, 60)
            line.expect(monitor.PROMPT, 60)
            line.send("quit\r")
            line.check_left()
    with open(disk[0], "rb") as file:
        if file.read() != before:
            return "a region that was refused has changed"
    notes.append(f"{len(table)} regions")
    return None


def run_cut(options, directory, notes):
    """QEMU ends without a word. What the shell had said yes to is there, and OVMF begins."""
    rng = random.Random(f"flash {os.environ.get('QEMU_SEED', '0')}")
    disk = disk_make(directory)
    text = command(options, directory, configuration("partition:vars"), [disk[0]])
    image = firmware(FIRMWARE[1])
    with terminal(options, directory, text) as line:
        line.expect(r"started \d+ TSC ticks", 60)
        while region_read(disk)[:FLASH_BYTES] in (bytes(FLASH_BYTES), image):
            line.expect(r"[^\0]|\Z", 5)
            time.sleep(0.05)
        time.sleep(rng.random())
    promised = {}
    for turn in range(2):
        with terminal(options, directory, text) as line:
            line.expect(PROMPT, BOOT_SECONDS)
            for name, value in promised.items():
                expect_variable(line, name, value)
            for number in range(rng.randint(2, 6)):
                name, value = f"Cut{turn}x{number}", f"cut-{rng.getrandbits(64):x}"
                variable_set(line, name, value)
                promised[name] = value
            line.send(f'setvar Last -guid {GUID} -nv -bs ="{turn}"\r')
            time.sleep(rng.random() / 2)
        found = variables(region_read(disk))
        lost = {name: value for name, value in promised.items()
                if found.get(name) != value.encode()}
        if lost:
            return f"{lost} had been set, and the partition has {found}"
    notes.append(f"{len(promised)} variables, three cuts")
    return None


def run_replay(options, directory, notes):
    """The variables that were set before come from the log: the replay's partition has none."""
    disk = disk_make(directory)
    text = command(options, directory, configuration("partition:vars"), [disk[0]])
    with terminal(options, directory, text) as line:
        line.expect(PROMPT, BOOT_SECONDS)
        check_chips(line)
        variable_set(line, "First", "one")
        leave(line)
    log = replay.empty_disk(directory)
    keys = ["rrfile = disk:1"]
    here = os.path.join(directory, "record")
    text = command(options, here, configuration("partition:vars", ["rr = record", *keys]),
                   [disk[0], log], exact=True)
    with terminal(options, here, text) as line:
        line.expect(r"BdsDxe", TIMEOUT)
        monitor.to_monitor(line)
        recorded = re.search(replay.RECORDED + "as asked for",
                             monitor.command(line, "record stop", "recorded", 120))
        line.send("quit\r")
        line.check_left()
    failure = replay.verify(options, log)
    if failure is not None:
        return failure
    empty = disk_make(os.path.join(directory, "empty"))
    before = region_read(empty)
    here = os.path.join(directory, "replay")
    text = command(options, here, configuration("partition:vars", ["rr = replay", *keys]),
                   [empty[0], log], exact=True, elsewhere=True)
    with terminal(options, here, text) as line:
        line.expect(replay.REPLAYED + "|the last beacon that matched[^\r]*", TIMEOUT)
        match = re.search(replay.REPLAYED, line.output.decode("ascii", "replace"))
        if match is None or match.groups()[:2] != recorded.groups()[1:3]:
            line.fail(f"it was not replayed; recorded {recorded.group(0)}")
        monitor.to_monitor(line)
        line.send("quit\r")
        line.check_left()
    if region_read(empty) != before:
        return "the replay has written to the partition"
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, "
                 f"{recorded.group(4)} bytes")
    return None
