# SPDX-License-Identifier: BSD-2-Clause
"""Machines in one network: what they send each other arrives, and whoever goes harms nobody.

linux        two Linux guests ping each other, and fetch files from each other by HTTP and nc
linux-cores  the same, on three host CPUs: one for each guest, one for the switch
linux-recorded  one of the two is recorded, and replayed alone; with REPLAY_ALL=1
pair         two machines with the payload net_pair; pair-cores: on three host CPUs
recorded     one of the two payloads is recorded, and replayed alone: without the switch
goes         one of them is stopped, saved, loaded, destroyed and made again meanwhile: the other
             gets its answers all the same; goes-cores: on three host CPUs, without snapshots
"""

import os
import re

import console
import engines
import machines
import monitor
import qemu
import replay
import system

TIMEOUT = 240
LINUX_LOG_BYTES = 32 << 20  # all frames are in it
CMDLINE = "console=ttyS0 cryptomgr.notests quiet reprise.script=nettest"
NAMES = ("a", "b")
HOST = ("log = info", "console = monitor")


def nics(names=NAMES):
    return [line for name in names for line in (f"[nic {name}]", f"vm = {name}")]


def members(config, files):
    found = [("reprise.ini", "\n".join([*config, ""]).encode())]
    for name, path in files.items():
        with open(path, "rb") as file:
            found.append((name, file.read()))
    return found


def net_modules():
    folder = os.path.join(system.cache_directory(), "linux", "net")
    if not os.path.isdir(folder):
        raise qemu.MissingTool(f"{folder}: not found (run tools/deps.sh guest)")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def linux_files(options, directory):
    files = system.linux_files(options, directory)
    system.run_tool([os.path.join(options.top, "tools", "mkinitramfs.sh"),
                     files["initramfs.cpio"]] + system.module_paths() + net_modules())
    return files


def linux_config(cpus=1, host=HOST, names=NAMES, keys=()):
    """`keys`: of machine a."""
    config = ["[reprise]", f"debug_exit = {qemu.HOST_EXIT_PORT:#x}", *host, *nics(names)]
    for index, name in enumerate(names):
        config += [f"[vm {name}]", "memory = 128M", "kernel = vmlinuz", "initrd = initramfs.cpio",
                   f"cmdline = {CMDLINE} reprise.address={1 + index} reprise.peer={2 - index}",
                   *(keys if name == "a" else ())]
        if cpus > 1:
            config.append(f"pin = {index}")
    return config


def lines_of(terminal, name):
    """What a guest that has ended has said about the network."""
    terminal.send(f"console {name}\r")
    terminal.expect(rf"\[guest {name}: ")
    text = terminal.expect(r"(?s)(.*?net: (ok|failed: .*?))\r?\n", 30)
    terminal.send(console.ESCAPE)
    terminal.expect(monitor.PROMPT)
    return re.findall(r"net: ([^\r\n]*)", text.group(1).decode("ascii", "replace"))


def counters(terminal, name):
    """(sent, received, lost) of a machine's NIC."""
    monitor.command(terminal, f"vm select {name}")
    text = monitor.command(terminal, "info network", r"type=switch")
    match = re.search(r"sent=(\d+),received=(\d+),lost=(\d+)/(\d+)", text)
    return tuple(int(part) for part in match.groups())


def run_linux(options, directory, cpus, notes):
    files = linux_files(options, directory)
    command = qemu.reprise_command(options, directory,
                                   qemu.cpio_newc(members(linux_config(cpus), files)),
                                   memory=1024, icount=cpus == 1, cpus=cpus)
    with console.Console(command, os.path.join(directory, "serial.log"),
                         TIMEOUT * options.timeout_scale) as terminal:
        terminal.expect(monitor.PROMPT)
        for name in NAMES:
            machines.wait_state(terminal, name, "shutdown")
        said = {name: lines_of(terminal, name) for name in NAMES}
        counts = {name: counters(terminal, name) for name in NAMES}
        terminal.send("quit\r")
        terminal.wait_exit(10)
    for name in NAMES:
        if "ok" not in said[name] or "ping: 0% lost" not in said[name]:
            return f"{name} said: {said[name]}"
        if not any(line.startswith("nc: ") for line in said[name]) or \
                [line for line in said[name] if "errors" in line and not line.endswith(": 0")]:
            return f"{name} said: {said[name]}"
        notes.append(f"{name}: {counts[name][0]} frames sent, {counts[name][1]} received, "
                     f"{counts[name][2] + counts[name][3]} lost")
    if said["a"] != said["b"]:
        return f"a said: {said['a']}\nb said: {said['b']}"
    return None


def run_linux_recorded(options, directory, notes):
    files = linux_files(options, directory)
    disk = os.path.join(directory, "log.img")
    with open(disk, "wb") as file:
        file.truncate(LINUX_LOG_BYTES)
    results = []
    for mode, names, until, wanted in (
            ("record", NAMES, "the machine ended", replay.RECORDED + "the machine ended"),
            ("replay", ("a",), "were the same", replay.REPLAYED)):
        keys = (f"rr = {mode}", "rrfile = disk:0", f"rtc_base = {replay.EPOCH}")
        config = linux_config(host=("log = info",), names=names, keys=keys)
        lines, failure = replay.run_once(options, "svm", os.path.join(directory, mode),
                                         members(config, files), disk, mode == "replay",
                                         until, TIMEOUT)
        match = replay.found(lines, wanted)
        if failure is not None or match is None:
            return failure or "\n".join([f"{mode}: not to its end", *lines[-20:]])
        results.append(match)
    recorded, replayed = results
    if replayed.groups()[:2] != recorded.groups()[1:3]:
        return f"recorded {recorded.group(0)}, replayed {replayed.group(0)}"
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, {recorded.group(4)} "
                 f"bytes; {replayed.group(3)} equal full hashes")
    return replay.verify(options, disk)


def pair_config(engine, pins=(), lone=(), keys=None):
    """`lone`: machines that are not there. `keys`: of machines, by name."""
    config = ["[reprise]", f"debug_exit = {engines.EMULATORS[engine].DEBUG_EXIT}", "log = info"]
    if not keys:  # a recording has still to be closed
        config.append("quit_on_exit = on")
    # The first one is shown: where the monitor is, the log's lines begin behind its prompt.
    for name in sorted(NAMES, key=lambda name: name not in (keys or {})):
        index = NAMES.index(name)
        if name in lone:
            continue
        config += [f"[nic {name}]", f"vm = {name}", f"mac = 02:00:00:00:00:0{index}",
                   f"[vm {name}]", "memory = 16M", "kernel = payload.elf", "isa_debug_exit = on",
                   f"rtc_base = {replay.EPOCH}", *(keys or {}).get(name, [])]
        if pins:
            config.append(f"pin = {pins[index]}")
    return config


def pair_members(options, config):
    return members(config, {"payload.elf": os.path.join(options.build, "guest", "net_pair.elf")})


ASKED = ["net_pair: asks = 1", "net_pair: answered = 320", "net_pair: done"]


def run_pair(options, engine, directory, pins):
    emulator = engines.EMULATORS[engine]
    archive = qemu.cpio_newc(pair_members(options, pair_config(engine, pins)))
    several = {"icount": False, "cpus": len(pins) + 1} if pins else {}
    command = emulator.reprise_command(options, directory, archive, **several)
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          TIMEOUT * options.timeout_scale)
    problems = list(result.errors)
    if result.timed_out or result.status != 0:
        problems.append(result.describe())
    # A line of the log may have come in the middle of one of the guest's, or behind a prompt.
    said = "".join(line.strip() for line in result.guest_lines())
    if "".join(ASKED) not in said:
        problems.append(f"a said {said!r}, not {ASKED}")
    problems += [f"{name} did not end" for name in NAMES
                 if f"reprise: {name}: ended: debug exit".encode() not in result.serial]
    return "\n".join(problems + result.log_lines()[-10:]) if problems else None


def run_recorded(options, engine, directory, notes):
    """Each of the two in turn; its replay has no other machine."""
    for index, name in enumerate(NAMES):
        place = os.path.join(directory, name)
        disk = replay.empty_disk(place)
        lines, failure = replay.run_once(
            options, engine, os.path.join(place, "record"),
            pair_members(options, pair_config(engine, keys={
                name: ["rr = record", "rrfile = disk:0"]})), disk, False, "the machine ended")
        recorded = replay.found(lines, replay.RECORDED + "the machine ended")
        if failure is not None or recorded is None:
            return failure or "\n".join([f"{name} was not recorded to its end", *lines[-20:]])
        failure = replay.verify(options, disk)
        if failure is not None:
            return failure
        keys = {name: ["rr = replay", "rrfile = disk:0"]}
        config = pair_config(engine, lone=NAMES[1 - index], keys=keys)
        lines, failure = replay.run_once(options, engine, os.path.join(place, "replay"),
                                         pair_members(options, config), disk, True,
                                         "were the same")
        replayed = replay.found(lines, replay.REPLAYED)
        if failure is not None or replayed is None or \
                replayed.groups()[:2] != recorded.groups()[1:3]:
            return failure or "\n".join([f"{name} was not replayed", *lines[-20:]])
        notes.append(f"{name}: {recorded.group(1)} ticks, {recorded.group(2)} events, "
                     f"{recorded.group(4)} bytes; {replayed.group(3)} equal full hashes")
    return None


def run_goes(options, directory, cpus):
    pins = (0, 1) if cpus > 1 else ()
    keys = {"a": ["cmdline = rounds=9"], "b": ["cmdline = rounds=9"]}
    config = pair_config("svm", pins, keys=keys)
    config[config.index("log = info")] = "log = error\nconsole = monitor"
    command = qemu.reprise_command(options, directory,
                                   qemu.cpio_newc(pair_members(options, config)), memory=512,
                                   icount=cpus == 1, cpus=cpus)
    with console.Console(command, os.path.join(directory, "serial.log"),
                         TIMEOUT * options.timeout_scale) as terminal:
        terminal.expect(monitor.PROMPT)
        snapshot = ("savevm s", "loadvm s", "delvm s") if cpus == 1 else ()
        for _ in range(2):
            for line in ("vm select b", "stop", "cont", *snapshot, "info network",
                         "vm destroy b", "vm create b", "vm start b", "vm select a", "stop", "cont",
                         *snapshot, "info network"):
                monitor.command(terminal, line, timeout=60)
        machines.wait_state(terminal, "a", "debug exit")
        said = machines.output(terminal, "a")
        terminal.send("quit\r")
        terminal.wait_exit(10)
        if re.search(rb"reprise: (error|warning|crash)", terminal.output):
            terminal.fail("the log has errors")
    return None if "net_pair: answered = 2880" in said else said


def cases(options, engine):
    """(name, run, notes)"""
    yield "pair", lambda directory: run_pair(options, engine, directory, ()), []
    notes = []
    yield "recorded", lambda directory, n=notes: run_recorded(options, engine, directory, n), notes
    if engine == "vmx":
        return
    for name, cpus in (("goes", 1), ("goes-cores", 3)):
        yield name, lambda directory, c=cpus: run_goes(options, directory, c), []
    yield "pair-cores", lambda directory: run_pair(options, engine, directory, (0, 1)), []
    for name, cpus in (("linux", 1), ("linux-cores", 3)):
        notes = []
        yield name, lambda directory, c=cpus, n=notes: run_linux(options, directory, c, n), notes
    if "REPLAY_ALL" not in os.environ:
        return
    notes = []
    yield "linux-recorded", lambda directory, n=notes: run_linux_recorded(options, directory, n), \
        notes
