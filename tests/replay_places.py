# SPDX-License-Identifier: BSD-2-Clause
"""Where a recording may be, and what may be wrong with it: on a machine, beside the tests of the
reader (tests/unit/log_*), which alone see a log cut at every byte.

  partition  a log in a GPT partition, whose disk has other data too
  overlay    beside a disk that is a partition with snapshot = on, which must be as it was
  file       recorded into a file of the boot volume, by UEFI (REPLAY_ALL=1)
  midway     from wherever a guest is whose disk is at work, in the monitor
  ring       a log in RAM that goes round; what is left of it is replayed (in Bochs: REPLAY_ALL=1)
  bisect     a replay that diverges in what it does, and where that begins (REPLAY_ALL=1)
  shaped     on a host where RDTSC exits, and replayed on one where it does not
  rate       time that follows the host's by another rate, and the same of a replay
  full       a disk too small for it: the machine runs on, and what is there can be replayed
  spoiled    a log that ends early, has a bit flipped, or is of a later version
"""

import os
import random
import re
import struct
import subprocess
import time

import console
import disk as disk_images
import disk_image
import engines
import log_form
import monitor
import qemu
import replay
import system

PAYLOAD = "interrupts"
LEAKY = "det_tlb"
# Of a log that was tampered with: below all rates, above all, and another one.
IMPOSSIBLE = r"replay diverged .*: a rate of time that no machine here has; the log has rate"
OTHER_RATES = (("255", IMPOSSIBLE), ("5000", IMPOSSIBLE),
               ("2000", r"replay diverged .*the log has (beacon|characters)"))
MIDWAY_TICKS = (350000, 3000000)  # its disk is at work then
OFTEN = "rrbeacon = 10000"
ENDED = r"the log ends here, at offset (\d+), without a word: (.*); \d+ events and (\d+) beacons"


def cases(options, engine):
    """(name, function that runs it, its notes)"""
    for name, run in (("partition", run_partition), ("overlay", run_overlay),
                      ("midway", run_midway), ("ring", run_ring),
                      ("shaped", run_shaped), ("rate", run_rate), ("full", run_full),
                      ("spoiled", run_spoiled)):
        if name == "ring" and engine == "vmx" and "REPLAY_ALL" not in os.environ:
            continue  # minutes: what is of the engine in it, the others have
        yield name, lambda directory, r=run: r(options, engine, directory), []
    if engine == "svm":
        yield "named", lambda directory: run_named(options, engine, directory), []
    if engine == "svm" and "REPLAY_ALL" in os.environ:  # OVMF takes minutes where ticks are exact
        yield "file", lambda directory: run_file(options, engine, directory), []
        yield "bisect", lambda directory: run_bisect(options, engine, directory), []


def members(options, engine, mode, elsewhere, place="disk:0", keys=(), files=()):
    with open(os.path.join(options.build, "guest", PAYLOAD + ".elf"), "rb") as file:
        content = file.read()
    config = replay.configuration(engine, "t", mode, [
        "kernel = payload.elf", "isa_debug_exit = on", *keys], elsewhere=elsewhere, place=place)
    return [("reprise.ini", config.encode()), ("payload.elf", content), *files]


def record(options, engine, directory, disk, place="disk:0", keys=(), end="the machine ended"):
    """(the match of what was recorded, a failure or None)"""
    lines, failure = replay.run_once(
        options, engine, os.path.join(directory, "record"),
        members(options, engine, "record", False, place, keys), disk, False, "its CPU worked")
    recorded = replay.found(lines, replay.RECORDED + end)
    if failure is None and recorded is None:
        failure = "\n".join([f"not recorded until {end}", *lines[-20:]])
    return recorded, failure


def again(options, engine, directory, disk, expected, place="disk:0", files=()):
    """(the match of what the replay is expected to say, a failure or None)"""
    lines, failure = replay.run_once(
        options, engine, directory,
        members(options, engine, "replay", True, place, files=files), disk, True, "were the same")
    match = replay.found(lines, expected)
    if failure is None and match is None:
        failure = "\n".join([f"expected {expected!r}", *lines[-20:]])
    return match, failure


def overlay_members(options, mode, engine, elsewhere):
    config = "\n".join(["[disk tests]", "vm = t", "medium = partition:tests", "snapshot = on",
                        f"test_delay = {2 if elsewhere else 1}", ""])
    config += replay.configuration(engine, "t", mode, ["kernel = payload.elf",
                                                       "isa_debug_exit = on"],
                                   elsewhere=elsewhere, place="partition:log")
    payload = disk_image.read(os.path.join(options.build, "guest", "virtio_disk.elf"))
    return [("reprise.ini", config.encode()), ("payload.elf", payload)]


def run_overlay(options, engine, directory):
    disk = os.path.join(directory, "gpt.img")
    parts = [disk_image.Partition("tests", 64, 128), disk_image.Partition("log", 200, 2000)]
    disk_image.create_sparse(disk, 2 << 20)
    disk_image.write_gpt(disk, 4096, parts)
    before = disk_image.read(disk)

    def run(name, mode, elsewhere, until, expected):
        lines, failure = replay.run_once(
            options, engine, os.path.join(directory, name),
            overlay_members(options, mode, engine, elsewhere), disk, elsewhere, until)
        if failure is None and replay.found(lines, expected) is None:
            failure = "\n".join([f"expected {expected!r}", *lines[-20:]])
        return failure

    failure = run("record", "record", False, "its CPU worked",
                  replay.RECORDED + "the machine ended")
    if failure is None:
        failure = run("replay", "replay", True, "were the same", replay.REPLAYED)
    if failure is None and disk_image.read(disk)[:200 * 512] != before[:200 * 512]:
        failure = "the partition has been written"
    if failure is None:
        disk_image.flip(disk, 64 * 512 + 1000)
        failure = run("changed", "replay", True, "[monitor: ", r"disk0_base")
    return failure


def run_partition(options, engine, directory):
    disk = os.path.join(directory, "gpt.img")
    parts = [disk_image.Partition("other", 64, 100), disk_image.Partition("log", 200, 2000)]
    disk_image.create(disk, 2 << 20)
    disk_image.write_gpt(disk, 4096, parts)
    before = disk_image.read(disk)
    # What is there is no log, and is not to go.
    lines, failure = replay.run_once(
        options, engine, os.path.join(directory, "refused"),
        members(options, engine, "record", False, "partition:other"), disk, False, "[monitor: ")
    if failure is None and replay.found(lines, r"rrfile: .* something else than a log") is None:
        failure = "\n".join(["a partition with other data was not refused", *lines[-20:]])
    if failure is not None:
        return failure
    with open(disk, "r+b") as file:
        file.seek(200 * 512)
        file.write(bytes(2000 * 512))
    _, failure = record(options, engine, directory, disk, "partition:log")
    if failure is None:
        _, failure = again(options, engine, os.path.join(directory, "replay"), disk,
                           replay.REPLAYED, "partition:log")
    if failure is None:
        failure = run_loaded(options, engine, directory, disk)
    after = disk_image.read(disk)
    if failure is None and (after[:200 * 512] != before[:200 * 512] or
                            after[2200 * 512:] != before[2200 * 512:]):
        failure = "the disk has changed outside of the partition"
    return failure


def run_loaded(options, engine, directory, disk):
    """The partition's content, as a file of the archive."""
    with open(disk, "rb") as file:
        file.seek(200 * 512)
        log = file.read(2000 * 512)
    none = replay.empty_disk(os.path.join(directory, "none"))
    _, failure = again(options, engine, os.path.join(directory, "loaded"), none, replay.REPLAYED,
                       "file:log.rr", [("log.rr", log)])
    return failure


def run_named(options, engine, directory):
    """By the disk's name: recorded on an NVMe disk, and replayed from there as a SATA disk."""
    disk = replay.empty_disk(directory)
    failure = None
    for mode, place, device, expected in (
            ("record", "disk:nvme0n1", ["-device", "nvme,drive=log,serial=1"], replay.RECORDED),
            ("replay", "disk:sda", ["-device", "ich9-ahci,id=ahci", "-device",
                                    "ide-hd,drive=log,bus=ahci.2"], replay.REPLAYED)):
        if failure is None:
            lines, failure = replay.run_once(
                options, engine, os.path.join(directory, mode),
                members(options, engine, mode, mode == "replay", place), disk, mode == "replay",
                "its CPU worked" if mode == "record" else "were the same", device=device)
        if failure is None and replay.found(lines, expected) is None:
            failure = "\n".join([mode, *lines[-20:]])
    return failure


def run_file(options, engine, directory):
    """By UEFI, which tells where the file lies before it leaves."""
    disk = os.path.join(directory, "esp.img")
    ini = os.path.join(directory, "reprise.ini")
    log = os.path.join(directory, "log.rr")
    disk_image.create(log, 1 << 20)
    with open(log, "r+b") as file:
        file.write(bytes(1 << 20))
    for mode, expected in (("record", replay.RECORDED + "the machine ended"),
                           ("replay", replay.REPLAYED)):
        parts = members(options, engine, mode, mode == "replay", "file:log.rr")
        for name, content in parts:
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
        if mode == "record":
            system.run_tool([os.path.join(options.top, "tools", "mkesp.sh"), disk,
                             os.path.join(options.build, "BOOTX64.EFI"), ini,
                             "payload.elf=" + os.path.join(directory, "payload.elf"),
                             "log.rr=" + log])
        else:
            disk_images.mtools("mcopy", disk, "-o", ini, "::/reprise.ini")
        result = qemu.run(
            qemu.base_command(elsewhere=mode == "replay") +
            qemu.debug_exit(qemu.HOST_EXIT_PORT) +
            ["-bios", system.FIRMWARE, "-drive", f"file={disk},format=raw,if=none,id=esp",
             "-device", "virtio-blk-pci,drive=esp"],
            os.path.join(directory, mode + ".log"), 3 * replay.TIMEOUT * options.timeout_scale,
            until=expected.rsplit(" ", 1)[1].encode())
        if replay.found(result.log_lines(), expected) is None:
            return "\n".join([mode, result.describe(), *result.log_lines()[-20:]])
    disk_images.mtools("mcopy", disk, "-n", "-o", "::/log.rr", log)
    return replay.verify(options, log)


def run_midway(options, engine, directory):
    """What its back end was at comes with the state that the log begins with."""
    disk = replay.empty_disk(directory)
    config = replay.configuration(engine, "t", "none", [
        "kernel = payload.elf", "isa_debug_exit = on", "recordable = on", "autostart = off",
        "test_disk = 64K", "test_disk_delay = 3", "rrbeacon = 500000"])
    with open(os.path.join(options.build, "guest", "test_disk.elf"), "rb") as file:
        members = [("reprise.ini", config.encode()), ("payload.elf", file.read())]
    with console.Console(replay.command(options, engine, directory, members, disk, False),
                         os.path.join(directory, "serial.log"),
                         replay.TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("for the monitor", 60)
        monitor.to_monitor(terminal)
        ticks, wanted = 0, random.randrange(*MIDWAY_TICKS)
        while ticks < wanted:
            monitor.command(terminal, "cont")
            monitor.command(terminal, "stop")
            monitor.command(terminal, "info status", "paused")
            ticks = int(re.search(r"ticks (\d+)",
                                  monitor.command(terminal, "info replay")).group(1))
        monitor.command(terminal, "record start")
        monitor.command(terminal, "cont")
        recorded = terminal.expect(replay.RECORDED + "the machine ended", 60)
        terminal.expect(monitor.PROMPT, 10)
        monitor.command(terminal, "replay start")
        replayed = terminal.expect(replay.REPLAYED + "|replay diverged.*", 120)
        terminal.expect(monitor.PROMPT, 10)
    if replayed.group(1) != recorded.group(2) or replayed.group(2) != recorded.group(3):
        return f"recorded {recorded.group(0)}, replayed {replayed.group(0)}"
    return replay.verify(options, disk)


def run_ring(options, engine, directory):
    """From the middle of a run on, in the monitor, for the log is gone with the host."""
    disk = replay.empty_disk(directory)
    parts = replay.typed_members(options, engine, "none", False, [OFTEN, "recordable = on"])
    config = parts[0][1].replace(b"rrfile = disk:0", b"rrfile = ram:256K")
    command = replay.command(options, engine, directory, [("reprise.ini", config), *parts[1:]],
                             disk, False)
    with console.Console(command, os.path.join(directory, "serial.log"),
                         2 * replay.TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("typed: ready", 60)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "record start")
        for part in range(3):
            terminal.send(console.ESCAPE)
            replay.type_at(terminal, b"abc")
            monitor.to_monitor(terminal)
            while f"part: {part}" not in monitor.command(terminal, "info replay", "^mode: record"):
                time.sleep(0.5)
        terminal.send(console.ESCAPE)
        terminal.send(".")
        recorded = terminal.expect(replay.RECORDED + "the machine ended", 60)
        terminal.expect(monitor.PROMPT, 10)
        said = replay.typed_lines(os.path.join(directory, "serial.log"))
        monitor.command(terminal, "replay start")
        terminal.send(console.ESCAPE)
        replayed = terminal.expect(replay.REPLAYED, 120)
        terminal.expect(monitor.PROMPT, 10)
        if not 10 < int(replayed.group(2)) < int(recorded.group(3)):
            return f"recorded {recorded.group(0)}, replayed {replayed.group(0)}"
    again_said = replay.typed_lines(os.path.join(directory, "serial.log"))[len(said):]
    if not again_said or said[-len(again_said):] != again_said:
        return "\n".join(["said:", *said, "again:", *again_said])
    return None


def run_shaped(options, engine, directory):
    """RDTSC exits where it is recorded, and takes time; where it is replayed, it would not exit."""
    disk = replay.empty_disk(directory)
    failures = []
    for mode, expected in (("record", replay.RECORDED), ("replay", replay.REPLAYED)):
        parts = replay.payload_members(options, engine, "tsc", mode, False)
        if mode == "record":
            parts[0] = ("reprise.ini", parts[0][1] + replay.SHAPED.encode())
        lines, failure = replay.run_once(
            options, engine, os.path.join(directory, mode), parts, disk, mode == "replay",
            "its CPU worked")
        if failure is None and replay.found(lines, expected) is None:
            failure = "\n".join([mode, *lines[-20:]])
        failures += [failure] if failure is not None else []
    return "\n".join(failures) or None


def record_rate(options, engine, directory, disk):
    """A guest that polls a device is done sooner than its time says: it goes slower."""
    members_ = replay.typed_members(options, engine, "record", False, [replay.SHAPED.strip()])
    with console.Console(replay.command(options, engine, directory, members_, disk, False),
                         os.path.join(directory, "serial.log"),
                         2 * replay.TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("typed: ready", 60)
        replay.type_at(terminal, b"before")
        monitor.to_monitor(terminal)
        rate = None
        while rate is None or rate.group(1) == rate.group(2):
            time.sleep(0.5)
            rate = re.search(r"rate: (\d+)/(\d+)",
                             monitor.command(terminal, "info replay", "^mode: record"))
        terminal.send(console.ESCAPE)
        replay.type_at(terminal, b"after")
        terminal.send(".")
        terminal.expect(replay.RECORDED + "the machine ended", 60)


def run_rate(options, engine, directory):
    disk = replay.empty_disk(directory)
    path = os.path.join(directory, "record")
    record_rate(options, engine, path, disk)
    failure = replay.verify(options, disk)
    if failure is not None:
        return failure
    dump = subprocess.run([os.path.join(options.build, "reprise-log"), "dump", disk], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    if re.search(r" rate value \d+$", dump, re.MULTILINE) is None:
        return "no rate in the log:\n" + dump
    again_path = os.path.join(directory, "replay")
    lines, failure = replay.run_once(
        options, engine, again_path, replay.typed_members(options, engine, "replay", False), disk,
        True, "were the same")
    said, again_said = (replay.typed_lines(os.path.join(where, "serial.log"))
                        for where in (path, again_path))
    if failure is None and (replay.found(lines, replay.REPLAYED) is None or said != again_said):
        failure = "\n".join(["it was not replayed:", *lines[-20:], *said, "again:", *again_said])
    for rate, expected in OTHER_RATES:
        if failure is None:
            failure = replay.run_edited(options, engine, directory, disk, ("rate", rate), expected)
    return failure


def run_bisect(options, engine, directory):
    """What the TLB still has is not deterministic; where that shows is found."""
    disk = replay.empty_disk(directory)
    lines, failure = replay.run_once(
        options, engine, os.path.join(directory, "record"),
        replay.payload_members(options, engine, LEAKY, "record", False), disk, False,
        "its CPU worked")
    if failure is not None:
        return failure
    command = replay.command(options, engine, os.path.join(directory, "replay"),
                             replay.payload_members(options, engine, LEAKY, "replay", True),
                             disk, True)
    with console.Console(command, os.path.join(directory, "replay", "serial.log"),
                         4 * replay.TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("replay diverged at ticks", 60)
        terminal.expect(monitor.PROMPT, 10)
        monitor.command(terminal, "replay bisect",
                        r"two replays differ first at ticks \d+ rip [0-9a-f]+ rcx [0-9a-f]+: \w+",
                        4 * replay.TIMEOUT)
        monitor.command(terminal, "info replay", "^mode: play")
    return None


def run_full(options, engine, directory):
    disk = replay.empty_disk(directory)
    with open(disk, "r+b") as file:
        file.truncate(5120)
    recorded, failure = record(options, engine, directory, disk, keys=[OFTEN],
                               end="the log is full")
    if failure is None:
        failure = replay.verify(options, disk)
    if failure is not None:
        return failure
    replayed, failure = again(options, engine, os.path.join(directory, "replay"), disk,
                              r"replayed all of it: (\d+) events, (\d+) beacons")
    if failure is None and replayed.group(2) != recorded.group(3):
        failure = f"recorded {recorded.group(0)}, replayed {replayed.group(0)}"
    return failure


def spoil(disk, path, change):
    with open(disk, "rb") as file:
        content = bytearray(file.read())
    log = log_form.Log(bytes(content))
    records = [chunk for chunk in log.chunks if chunk.type == log_form.RECORDS]
    change(content, records)
    with open(path, "wb") as file:
        file.write(content)
    return len(records)


def cut(content, records):
    """In the middle of the second chunk."""
    middle = records[1].offset + len(records[1].payload) // 2
    content[middle:] = bytes(len(content) - middle)


def flip(content, records):
    content[records[1].offset + 1000] ^= 4


def age(content, _):
    """The header says that a reader of version 9 is needed; its CRC is right."""
    chunk = log_form.Chunk(bytes(content), 0)
    start = log_form.CHUNK.size
    content[start:start + 2] = bytes([9, 9])
    content[36:40] = struct.pack("<I", log_form.crc32c(
        bytes(content[:36]) + bytes(4) + bytes(content[start:start + len(chunk.payload)])))


def run_spoiled(options, engine, directory):
    disk = replay.empty_disk(directory)
    recorded, failure = record(options, engine, directory, disk, keys=[OFTEN])
    if failure is not None:
        return failure
    path = os.path.join(directory, "spoiled.img")
    for change in (cut, flip):
        count = spoil(disk, path, change)
        if count < 3:
            return f"{count} chunks: too few for this"
        match, failure = again(options, engine, os.path.join(directory, change.__name__), path,
                               ENDED)
        if failure is not None:
            return failure
        if not 0 < int(match.group(3)) < int(recorded.group(3)):
            return f"{change.__name__}: recorded {recorded.group(0)}, {match.group(0)}"
    spoil(disk, path, age)
    lines, failure = replay.run_once(
        options, engine, os.path.join(directory, "age"),
        members(options, engine, "replay", True), path, True, "[monitor: ")
    if failure is None and replay.found(lines, r"rrfile: .*version") is None:
        failure = "\n".join(["a later version was not refused", *lines[-20:]])
    return failure
