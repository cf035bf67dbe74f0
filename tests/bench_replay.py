# SPDX-License-Identifier: BSD-2-Clause
"""What recording and replaying cost: a Linux that boots and powers off.

Instructions are those of the host's CPU while it was not asleep, the guest's among them, from the
machine's start to its end; what is done when a recording is ended, the last beacon, comes later.
Replaying is measured in the same run of the emulator, from the disk that the log was written to.
"""

import os
import re
import subprocess
import time

import console
import monitor
import qemu
import replay
import system

TIMEOUT = 400
IDLE_SECONDS = 60
WORKED = r"linux: its CPU worked for (\d+) TSC ticks meanwhile"
RECORDED = replay.RECORDED + "the machine ended"
BEACONS = r"a beacon: (\d+) TSC ticks, a full one (\d+)"


def start(options, directory, mode, script="boot", keys=(), sleeps=False):
    """Reprise with a Linux, and a disk for its log."""
    os.makedirs(directory, exist_ok=True)
    cmdline = f"console=ttyS0 quiet cryptomgr.notests reprise.script={script}"
    machine = [f"rr = {mode}", *(["rrfile = disk:0"] if mode != "none" else []), *keys]
    config = system.configuration(cmdline, host=["debug_exit = 0xf4"], machine=machine,
                                  rtc_base=replay.EPOCH)
    command = system.pvh_command(options, directory, config,
                                 system.linux_files(options, directory), qemu)
    if sleeps:
        command[command.index("shift=0,sleep=off")] = "shift=0,sleep=on"
    disk = replay.empty_disk(directory)
    command += ["-drive", f"file={disk},format=raw,if=none,id=log,cache=unsafe",
                "-device", "virtio-blk-pci,drive=log"]
    return console.Console(command, os.path.join(directory, "serial.log"),
                           TIMEOUT * options.timeout_scale), disk


def number(terminal, pattern):
    return int(terminal.expect(pattern, TIMEOUT).group(1))


def boot(options, directory, mode, keys=()):
    """Instructions of a boot."""
    terminal, _ = start(options, os.path.join(directory, mode), mode, keys=keys)
    with terminal:
        return number(terminal, WORKED)


def recorded_and_replayed(options, directory):
    """(instructions of the recorded boot, of its replay, the log's bytes, a beacon, a full one)"""
    terminal, _ = start(options, os.path.join(directory, "both"), "record")
    with terminal:
        length = int(terminal.expect(RECORDED, TIMEOUT).group(4))
        recorded = number(terminal, WORKED)
        terminal.expect(monitor.PROMPT, 10)
        beacons = re.search(BEACONS, monitor.command(terminal, "info replay", r"^mode: none"))
        monitor.command(terminal, "replay start")
        terminal.expect(replay.REPLAYED, TIMEOUT)
        replayed = number(terminal, WORKED)
    return recorded, replayed, length, int(beacons.group(1)), int(beacons.group(2))


def log_bytes(options, disk):
    """Of the log's records, but for beacons."""
    text = subprocess.run([os.path.join(options.build, "reprise-log"), "stats", disk], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    rows = re.findall(r"^(\w+) +\d+ +(\d+)", text.split("\n\n")[0], re.MULTILINE)
    sizes = {name: int(size) for name, size in rows}
    return sizes["all"] - sizes.get("beacon", 0)


def idle(options, directory):
    """(bytes a second of idleness, wall milliseconds of recording it, of replaying it)"""
    sizes = {}
    for script in ("boot", "idle"):
        terminal, disk = start(options, os.path.join(directory, "idle-" + script), "record", script,
                               sleeps=script == "idle")
        with terminal:
            terminal.expect(r"idle now|recorded", TIMEOUT)
            began = time.monotonic()
            if script == "idle":
                terminal.expect(r"idle no more", TIMEOUT)
                waited = time.monotonic() - began
            terminal.expect(monitor.PROMPT, TIMEOUT)
            sizes[script] = log_bytes(options, disk)
            if script == "idle":
                monitor.command(terminal, "replay start")
                terminal.send(console.ESCAPE)
                terminal.expect(r"idle now", TIMEOUT)
                began = time.monotonic()
                terminal.expect(r"idle no more", TIMEOUT)
                skipped = time.monotonic() - began
    return (max(0, sizes["idle"] - sizes["boot"]) / IDLE_SECONDS, waited * 1000, skipped * 1000)


def figures(options, directory, engine):
    """(name, value, unit)"""
    del engine  # QEMU alone counts what is not asleep, and boots a Linux in seconds
    plain = boot(options, directory, "none")
    shaped = boot(options, directory, "record", [replay.SHAPED.strip()])
    recorded, replayed, length, beacon, full = recorded_and_replayed(options, directory)
    yield "replay.boot_log", length, "bytes"
    yield "replay.record_ratio", round(recorded * 1000 / plain), "thousandths"
    yield "replay.record_ratio_shaped", round(shaped * 1000 / plain), "thousandths"
    yield "replay.replay_ratio", round(replayed * 1000 / recorded), "thousandths"
    yield "replay.beacon", beacon, "instructions"
    yield "replay.beacon_full", full, "instructions"
    rate, waited, skipped = idle(options, directory)
    yield "replay.idle_log", round(rate * 1000), "bytes/1000s"
    yield "replay.idle_recorded", round(waited), "ms"
    yield "replay.idle_replayed", round(skipped), "ms"
