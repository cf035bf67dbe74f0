# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest whose second disk is plugged in, unplugged, also while it reads, and plugged in
again; the same recorded and replayed.

  linux          by device_add and device_del; saved, loaded and reset in between, but in Bochs,
                 where that takes minutes
  linux-plane    with a data plane, on several CPUs
  linux-replay   recorded; replayed on a host that differs, its requests taking other times
"""

import os
import re

import console
import engines
import monitor
import replay
import system

TIMEOUT = 300
GONE = r"linux: disk extra is unplugged"
ADD = "device_add virtio-blk-pci,drive=extra"


def cases(options, engine):
    """(name, function that runs it, its notes)"""
    yield "linux", lambda directory: run(options, engine, directory, 1), []
    if engine == "svm":  # QEMU alone has CPUs that run at once
        yield "linux-plane", lambda directory: run(options, engine, directory, 2), []
        notes = []
        yield "linux-replay", lambda directory, into=notes: run_replay(options, engine, directory,
                                                                       into), notes


def disks(keys=()):
    return system.disk_section(keys=keys) + \
        system.disk_section(name="extra", keys=["plugged = off", *keys])


def run(options, engine, directory, cpus):
    emulator = engines.EMULATORS[engine]
    keys = ["dataplane = 1"] if cpus > 1 else []
    config = system.configuration(
        "console=ttyS0 cryptomgr.notests quiet",
        host=[f"debug_exit = {emulator.DEBUG_EXIT}"]) + disks(keys)
    command = system.pvh_command(options, directory, config,
                                 system.linux_files(options, directory), emulator, icount=False,
                                 cpus=cpus)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(monitor.SHELL, monitor.BOOT_SECONDS)
            talk(terminal)
            if engine == "svm":
                again(terminal)
            monitor.to_monitor(terminal)
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def at_monitor(terminal, text, pattern=None):
    monitor.to_monitor(terminal)
    output = monitor.command(terminal, text, pattern)
    terminal.send(console.ESCAPE)
    return output


def plug(terminal):
    at_monitor(terminal, ADD)
    monitor.shell(terminal, "until [ -e /dev/vdb ] && cat /sys/block/vdb/size 2>/dev/null; "
                  "do :; done", r"^8192\r", 60)


def unplug(terminal):
    """The guest gives it up, and the monitor is told."""
    monitor.to_monitor(terminal)
    monitor.command(terminal, "device_del extra")
    terminal.expect(GONE, 60)
    terminal.expect(monitor.PROMPT, 10)
    terminal.send(console.ESCAPE)


def expect_empty(terminal):
    monitor.shell(terminal, "ls /dev/vdb; ls /sys/bus/pci/devices | grep -c :04.0",
                  r"No such file(?s:.*)^0\r", 30)


def talk(terminal):
    expect_empty(terminal)
    plug(terminal)
    monitor.shell(terminal, "dmesg | grep -c 'virtio_blk.*vdb'", r"^[1-9]\r")
    monitor.shell(terminal, "dd if=/data of=/dev/vdb conv=fsync; echo 3 >/proc/sys/vm/drop_caches; "
                  "cmp -n 99999 /data /dev/vdb; echo sa''me $?", r"^same 0\r", 60)
    unplug(terminal)
    expect_empty(terminal)
    plug(terminal)  # with what was written
    monitor.shell(terminal, "cmp -n 99999 /data /dev/vdb; echo sa''me $?", r"^same 0\r", 60)
    # While it reads.
    monitor.shell(terminal, "while dd if=/dev/vdb of=/dev/null bs=64k iflag=direct; do :; done "
                  ">/dev/null 2>&1 & echo go''es", r"^goes\r")
    unplug(terminal)
    expect_empty(terminal)
    plug(terminal)
    monitor.shell(terminal, "cmp -n 99999 /data /dev/vdb; echo sa''me $?", r"^same 0\r", 60)


def again(terminal):
    """What the slot has is part of the machine's state; a reset does what the guest has yet to."""
    monitor.to_monitor(terminal)
    monitor.command(terminal, ADD, "Error: Duplicate device ID 'extra'")
    monitor.command(terminal, "savevm there", timeout=120)
    terminal.send(console.ESCAPE)
    unplug(terminal)
    monitor.to_monitor(terminal)
    monitor.command(terminal, "device_del extra", "Error: Device 'extra' not found")
    monitor.command(terminal, "info devices", r"virtio block device\n    unplugged\n")
    monitor.command(terminal, "savevm gone", timeout=120)
    monitor.command(terminal, "loadvm there", timeout=120)
    terminal.send(console.ESCAPE)
    monitor.shell(terminal, "cmp -n 99999 /data /dev/vdb; echo sa''me $?", r"^same 0\r", 60)
    monitor.to_monitor(terminal)
    monitor.command(terminal, "loadvm gone", timeout=120)
    terminal.send(console.ESCAPE)
    expect_empty(terminal)
    plug(terminal)
    monitor.shell(terminal, "echo disable >/sys/firmware/acpi/interrupts/gpe01; echo de''af",
                  r"^deaf\r")
    monitor.to_monitor(terminal)
    monitor.command(terminal, "device_del extra")
    monitor.command(terminal, "system_reset")
    terminal.send(console.ESCAPE)
    terminal.expect(r"Welcome to the Linux guest", monitor.BOOT_SECONDS)
    terminal.expect(monitor.SHELL, 20)
    expect_empty(terminal)


def members(options, directory, engine, mode, elsewhere):
    base = replay.linux_members(options, engine, directory, mode, elsewhere)
    config = base[0][1].decode()
    extra = disks(["test_delay = 2"] if elsewhere else ["test_delay = 1"])
    config = extra + config[config.index("[reprise]"):]
    return [("reprise.ini", config.encode()), *base[1:]]


def run_replay(options, engine, directory, notes):
    disk = replay.empty_disk(directory)
    emulator = engines.EMULATORS[engine]
    record = os.path.join(directory, "record")
    os.makedirs(record)
    try:
        with console.Console(
                replay.command(options, engine, record,
                               members(options, record, engine, "record", False), disk, False,
                               memory=1024),
                os.path.join(record, "serial.log"), 3 * TIMEOUT * options.timeout_scale,
                emulator) as terminal:
            terminal.expect(monitor.SHELL, 2 * monitor.BOOT_SECONDS)
            talk(terminal)
            recorded = re.search(replay.RECORDED + "as asked for",
                                 at_monitor(terminal, "record stop", "recorded"))
    except console.ConsoleError as error:
        return str(error)
    failure = replay.verify(options, disk)
    if failure is not None:
        return failure
    there = os.path.join(directory, "replay")
    os.makedirs(there)
    lines, failure = replay.run_once(options, engine, there,
                                     members(options, there, engine, "replay", True), disk, True,
                                     "were the same", 3 * TIMEOUT)
    if failure is not None:
        return failure
    match = replay.found(lines, replay.REPLAYED)
    if match is None or match.groups()[:2] != recorded.groups()[1:3]:
        return "\n".join(["it was not replayed to its end", *lines[-20:]])
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, "
                 f"{recorded.group(4)} bytes; {match.group(3)} equal full hashes")
    return None
