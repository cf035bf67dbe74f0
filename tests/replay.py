# SPDX-License-Identifier: BSD-2-Clause
"""Recorded machines are replayed under other circumstances: on a host of another size, with other
random numbers, on another day, with the host's ends of runs as late as hardware's.

Each recording lies on a disk of the host that both runs have. The replay compares itself with the
recording's beacons, a full hash of the machine at its end among them; `reprise-log verify` reads
the log as well. In between nothing is looked at that could hide a difference: a control changes the
log by one event or one position and must be reported.

  payload/NAME  every payload, to its end; but for those that see what the emulator leaks (det.py).
                With REPLAY_ALL=1 in Bochs too, and each is replayed twice
  slow-disk     one from a disk so slow that the machine ends while the log is still being read
  typed         a payload is typed at, and looked at with the monitor, which changes nothing; then
                the log, or the machine, is changed, and each time it is said what is wrong
  linux         the same with a Linux and its shell; the replay is left in the middle and goes live.
                With REPLAY_ALL=1 it is replayed once more before
  linux-N       a Linux with N vcpus, all of them busy, to its end
"""

import os
import random
import re
import subprocess
import time

import console
import det
import engines
import landing
import monitor
import payloads
import qemu
import system

TIMEOUT = 180
PAYLOAD_TIMEOUT = TIMEOUT * (4 if "REPLAY_ALL" in os.environ else 1)  # NOT_SHAPED
SMP_TIMEOUT = 1800  # shaped
MIB = 1 << 20
LOG_BYTES = 4 * MIB
SHAPED = "hardware_shaped = 7\n"
EPOCH = 1704067200
EPOCH_ELSEWHERE = 1800000000
RECORDED = r"recorded (\d+) ticks: (\d+) events, (\d+) beacons, (\d+) bytes: "
REPLAYED = r"replayed .*: (\d+) events, (\d+) beacons \((\d+) of them full\) were the same"
# Payloads with so many timers or looks at the clock that landing on each of them as hardware would
# takes minutes; `timers` in any case.
NOT_SHAPED = ("timers",) if "REPLAY_ALL" in os.environ else ("timers", "cpuid", "tsc")
# In Bochs a few stand for the others, which run with the other long tests.
FEW = {"vmx": re.compile("cpu_debug|cpu_delivery|cpu_shadows|cpu_tasks|hlt|interrupts|mmio|nmi|"
                         "reset_cf9|smp_ipi$")}


def cases(options, engine):
    """(name, function that runs it, its notes)"""
    for name in payloads.names(options.top) + det.names(options.top):
        if (engine, name) in det.LEAKS:
            continue
        if engine in FEW and not FEW[engine].match(name) and "REPLAY_ALL" not in os.environ:
            continue
        notes = []
        yield f"payload/{name}", lambda directory, n=name, into=notes: run_payload(
            options, engine, n, directory, into), notes
    if engine == "svm":
        notes = []
        yield "slow-disk", lambda directory, into=notes: run_payload(
            options, engine, "hlt", directory, into, SLOW), notes
    yield "typed", lambda directory: run_typed(options, engine, directory), []
    notes = []
    if engine == "svm" or "REPLAY_ALL" in os.environ:
        yield "linux", lambda directory, into=notes: run_linux(options, engine, directory,
                                                               into), notes
    for vcpus in LINUX_VCPUS[engine]:
        notes = []
        yield f"linux-{vcpus}", lambda directory, n=vcpus, into=notes: run_linux_smp(
            options, engine, directory, n, into), notes


VIRTIO = ("-device", "virtio-blk-pci,drive=log")
SLOW = (*VIRTIO, "-set", "drive.log.throttling.iops-read=5")


def command(options, engine, directory, members, disk, elsewhere, memory=512, device=VIRTIO):
    """Reprise with these files, and the log's disk; in QEMU that is a `device`."""
    os.makedirs(directory, exist_ok=True)
    emulator = engines.EMULATORS[engine]
    archive = qemu.cpio_newc(members)
    if engine == "vmx":
        return emulator.reprise_command(options, directory, archive, memory=memory,
                                        elsewhere=elsewhere,
                                        disks={"ata0-master": (disk, "flat")})
    return emulator.reprise_command(options, directory, archive, memory=memory,
                                    elsewhere=elsewhere) + [
        "-drive", f"file={disk},format=raw,if=none,id=log,cache=unsafe",
        *device]


def configuration(engine, name, mode, keys=(), memory=payloads.MEMORY_MIB, elsewhere=False,
                  place="disk:0"):
    lines = ["[reprise]", "log = info", f"debug_exit = {engines.EMULATORS[engine].DEBUG_EXIT}",
             f"[vm {name}]", f"memory = {memory}M", f"rr = {mode}", f"rrfile = {place}",
             f"rtc_base = {EPOCH_ELSEWHERE if elsewhere else EPOCH}", *keys]
    return "\n".join([*lines, ""]) + (SHAPED if elsewhere else "")


def empty_disk(directory):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "log.img")
    with open(path, "wb") as file:
        file.truncate(LOG_BYTES)
    return path


def run_once(options, engine, directory, members, disk, elsewhere, until, timeout=TIMEOUT,
             device=VIRTIO):
    """(the log's lines, a failure or None)"""
    result = engines.EMULATORS[engine].run(
        command(options, engine, directory, members, disk, elsewhere, device=device),
        os.path.join(directory, "serial.log"), timeout * options.timeout_scale,
        until=until.encode())
    lines = result.log_lines()
    if result.timed_out or result.errors:
        return lines, "\n".join([f"elsewhere: {elsewhere}", result.describe(), *lines[-20:]])
    return lines, None


def verify(options, disk):
    """None, or what reprise-log does not like about the log."""
    result = subprocess.run([os.path.join(options.build, "reprise-log"), "verify", disk],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return None if result.returncode == 0 else result.stdout.decode(errors="replace")


def found(lines, regex):
    for line in lines:
        match = re.search(regex, line)
        if match is not None:
            return match
    return None


def payload_members(options, engine, name, mode, elsewhere):
    vcpus = det.VCPUS.get(name, payloads.vcpus(name))
    keys = ["kernel = payload.elf", "isa_debug_exit = on", f"vcpus = {vcpus}",
            *payloads.DEVICES.get(name, [])]
    if name == "test_disk":  # whose requests take other times then
        keys += ["test_disk = 64K", f"test_disk_delay = {2 if elsewhere else 1}"]
    with open(os.path.join(options.build, "guest", name + ".elf"), "rb") as file:
        content = file.read()
    config = payloads.disk_section(name, "t", 2 if elsewhere else 1) + \
        configuration(engine, "t", mode, keys, payloads.memory_mib(name), elsewhere)
    if name in NOT_SHAPED:
        config = config.replace(SHAPED, "")
    return [("reprise.ini", config.encode()), ("payload.elf", content)]


def run_payload(options, engine, name, directory, notes, device=VIRTIO):
    """`device`: what the replays read the log from."""
    disk = empty_disk(directory)
    lines, failure = run_once(options, engine, os.path.join(directory, "record"),
                              payload_members(options, engine, name, "record", False), disk,
                              False, "the machine ended", PAYLOAD_TIMEOUT)
    recorded = found(lines, RECORDED + "the machine ended")
    if failure is not None or recorded is None:
        return failure or "\n".join(["it was not recorded to its end", *lines[-20:]])
    failure = verify(options, disk)
    if failure is not None:
        return failure
    full = 0
    for again in range(2 if "REPLAY_ALL" in os.environ else 1):
        lines, failure = run_once(
            options, engine, os.path.join(directory, f"replay{again}"),
            payload_members(options, engine, name, "replay", again == 0), disk, again == 0,
            "were the same", PAYLOAD_TIMEOUT, device)
        if failure is not None:
            return failure
        match = found(lines, REPLAYED)
        if match is None or match.group(1) != recorded.group(2) or \
                match.group(2) != recorded.group(3) or int(match.group(3)) == 0:
            return "\n".join(["it was not replayed to its end", *lines[-20:]])
        full += int(match.group(3))
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, "
                 f"{recorded.group(4)} bytes; {full} equal full hashes")
    return None


TYPED = b"the quick/brown fox"  # "/" altered is "."
BURST = "0123456789" * 4  # more than one event carries, at one position
# How a log is changed (tests/log/edit.c), and what the replay must say then.
EDITS = (
    (("drop", "3"), r"replay diverged .*; the log has characters"),
    (("drop", "last"), r"replay diverged .*the log has (beacon|stop)"),
    (("shift", "2"), r"replay diverged .*: it never was at the next place; the log has characters"),
    (("alter", "10"), r"replay diverged .*: the machine ended"),
)


def typed_members(options, engine, mode, elsewhere, keys=()):
    with open(os.path.join(options.build, "guest", "typed.elf"), "rb") as file:
        content = file.read()
    config = configuration(engine, "t", mode, [
        "kernel = payload.elf", "isa_debug_exit = on", *keys], elsewhere=elsewhere)
    return [("reprise.ini", config.encode()), ("payload.elf", content)]


def expect_typed(terminal, character):
    terminal.expect(rf"typed: 0x{character:x} in round \d+, sum 0x[0-9a-f]+[\r\n]", 60)


def type_at(terminal, characters):
    """One at a time, at times that nobody could repeat."""
    for character in characters:
        time.sleep(random.random() / 20)
        terminal.send(chr(character))
        expect_typed(terminal, character)


def record_typed(options, engine, directory, disk):
    emulator = engines.EMULATORS[engine]
    serial = os.path.join(directory, "record", "serial.log")
    with console.Console(
            command(options, engine, os.path.join(directory, "record"),
                    typed_members(options, engine, "record", False), disk, False),
            serial, TIMEOUT * options.timeout_scale, emulator) as terminal:
        terminal.expect("typed: ready", 60)
        type_at(terminal, TYPED[:9])
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info replay", r"^mode: record")
        monitor.command(terminal, "stop")
        monitor.command(terminal, "info registers", r"RIP=")
        monitor.command(terminal, "cont")
        monitor.command(terminal, "savevm here")
        monitor.command(terminal, "loadvm here", r"Error: the machine is being recorded")
        monitor.command(terminal, "replay_break 100", r"Error: nothing is being replayed")
        terminal.send(console.ESCAPE)
        type_at(terminal, TYPED[9:])
        terminal.send(BURST)
        for character in BURST:
            expect_typed(terminal, ord(character))
        terminal.send(".")
        recorded = terminal.expect(RECORDED + "the machine ended", 60)
    return typed_lines(serial), recorded.group(2).decode()


def typed_lines(path):
    """What the payload has said; the monitor's and Reprise's own words aside."""
    with open(path, "rb") as file:
        text = file.read().decode("ascii", "replace")
    return re.findall(r"typed: 0x[0-9a-f]+ in round \d+, sum 0x[0-9a-f]+", text)


def run_typed(options, engine, directory):
    random.seed()
    disk = empty_disk(directory)
    said, last = record_typed(options, engine, directory, disk)
    failure = verify(options, disk)
    if failure is not None:
        return failure
    lines, failure = run_once(options, engine, os.path.join(directory, "replay"),
                              typed_members(options, engine, "replay", True), disk, True,
                              "were the same")
    if failure is not None:
        return failure
    again = typed_lines(os.path.join(directory, "replay", "serial.log"))
    if found(lines, REPLAYED) is None or again != said or \
            len(said) != len(TYPED) + len(BURST) + 1:
        return "\n".join(["it was not replayed:", *lines[-20:], *said, "again:", *again])
    for (how, number), expected in EDITS:
        edit = (how, last if number == "last" else number)
        failure = run_edited(options, engine, directory, disk, edit, expected)
        if failure is not None:
            return failure
    return run_other_machine(options, engine, directory, disk) or \
        run_bisect(options, engine, directory, os.path.join(directory, "changed.img"))


def run_bisect(options, engine, directory, disk):
    """The last of EDITS: replays are alike, and the recording is not."""
    directory = os.path.join(directory, "bisect")
    members = typed_members(options, engine, "replay", False)
    with console.Console(command(options, engine, directory, members, disk, True),
                         os.path.join(directory, "serial.log"), 2 * TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("replay diverged at ticks", TIMEOUT)
        terminal.expect(monitor.PROMPT, 10)
        monitor.command(terminal, "replay bisect", "two replays are the same up to there: "
                        "the recording is not", TIMEOUT)
    return None


def run_edited(options, engine, directory, disk, edit, expected):
    changed = os.path.join(directory, "changed.img")
    subprocess.run([os.path.join(options.build, "log_edit"), *edit, disk, changed], check=True)
    failure = verify(options, changed)
    if failure is not None:
        return failure
    lines, failure = run_once(options, engine, os.path.join(directory, "-".join(edit)),
                              typed_members(options, engine, "replay", True), changed, True,
                              "the last beacon that matched")
    if failure is None and found(lines, expected) is None:
        failure = "\n".join([f"{edit}: expected {expected!r}", *lines[-20:]])
    return failure


def run_other_machine(options, engine, directory, disk):
    """The log is of another machine, or is none: the machine is refused, and is not there."""
    torn = os.path.join(directory, "torn.img")
    with open(disk, "rb") as file:
        content = bytearray(file.read())
    cases_ = [("memory", disk, ["memory = 128M"], r"memory: \d+ in the log, \d+ here"),
              ("vcpus", disk, ["vcpus = 2"], r"vcpus: 1 in the log, 2 here"),
              ("none", torn, [], r"rrfile: ")]
    content[16] ^= 1
    with open(torn, "wb") as file:
        file.write(content)
    for name, path, keys, expected in cases_:
        members = typed_members(options, engine, "replay", True, keys)
        config = members[0][1].decode()
        if name == "memory":
            config = config.replace(f"memory = {payloads.MEMORY_MIB}M\n", "", 1)
        members[0] = ("reprise.ini", config.encode())
        lines, failure = run_once(options, engine, os.path.join(directory, "other-" + name),
                                  members, path, True, "[monitor: ")
        if failure is None and found(lines, expected) is None:
            failure = "\n".join([f"{name}: expected {expected!r}", *lines[-20:]])
        if failure is not None:
            return failure
    return None


LINUX_VCPUS = {"svm": (2, 4), "vmx": (2,)} if "REPLAY_ALL" in os.environ else \
    {"svm": (4,), "vmx": ()}
LINUX_MEMORY_MIB = 128
LINUX_COMMANDS = (("echo $((6 * 7))", r"^42\r"), ("ls /", r"proc"),
                  ("cat /proc/interrupts", r"LOC:"),
                  ("sleep 1; echo slept", r"^slept"),
                  ("dd if=/data of=/dev/vda conv=fsync; echo wr''ote", r"^wrote"),
                  ("echo 3 >/proc/sys/vm/drop_caches; cmp -n 99999 /data /dev/vda; echo $?",
                   r"^0\r"),
                  ("i=300; while [ $i -gt 0 ]; do i=$((i - 1)); done; echo $i", r"^0\r"))


def linux_members(options, engine, directory, mode, elsewhere, vcpus=1):
    keys = ["kernel = vmlinuz", "initrd = initramfs.cpio", f"vcpus = {vcpus}",
            f"cmdline = {landing.LINUX_CMDLINE}"]
    # Its requests are answered at once, and take random times elsewhere.
    config = system.disk_section(keys=["test_delay = 2"] if elsewhere else []) + \
        configuration(engine, "linux", mode, keys, LINUX_MEMORY_MIB, elsewhere)
    members = [("reprise.ini", config.encode())]
    for name, path in system.linux_files(options, directory).items():
        with open(path, "rb") as file:
            members.append((name, file.read()))
    return members


def linux_console(options, engine, directory, mode, disk, elsewhere, vcpus=1):
    os.makedirs(directory, exist_ok=True)
    members = linux_members(options, engine, directory, mode, elsewhere, vcpus)
    return console.Console(
        command(options, engine, directory, members, disk, elsewhere, memory=1024),
        os.path.join(directory, "serial.log"), 3 * TIMEOUT * options.timeout_scale,
        engines.EMULATORS[engine])


def shell_slowly(terminal, text, pattern):
    for character in text:
        terminal.send(character)
        time.sleep(random.random() / 20)
    monitor.shell(terminal, "", pattern, 60)


def run_linux(options, engine, directory, notes):
    random.seed()
    disk = empty_disk(directory)
    with linux_console(options, engine, os.path.join(directory, "record"), "record", disk,
                       False) as terminal:
        terminal.expect(monitor.SHELL, 2 * monitor.BOOT_SECONDS)
        for text, pattern in LINUX_COMMANDS:
            shell_slowly(terminal, text, pattern)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info replay", r"^mode: record")
        monitor.check_stopped(terminal)
        monitor.command(terminal, "nmi")
        terminal.send(console.ESCAPE)
        terminal.expect(r"NMI received for unknown reason", 20)
        shell_slowly(terminal, "echo $((9 * 9))", r"^81\r")
        monitor.to_monitor(terminal)
        monitor.command(terminal, "block_resize data 7M")
        terminal.send(console.ESCAPE)
        shell_slowly(terminal, "cat /sys/block/vda/size", r"^14336\r")
        shell_slowly(terminal, "dd if=/data of=/dev/vda seek=12288 conv=fsync; echo wr''ote",
                     r"^wrote")
        monitor.to_monitor(terminal)
        recorded = re.search(RECORDED + "as asked for",
                             monitor.command(terminal, "record stop", "recorded", 60))
        monitor.command(terminal, "info replay", r"^mode: none")
    failure = verify(options, disk)
    full = 0
    if failure is None and "REPLAY_ALL" in os.environ:
        lines, failure = run_once(
            options, engine, os.path.join(directory, "again"),
            linux_members(options, engine, directory, "replay", False), disk, False,
            "were the same", 3 * TIMEOUT)
        again = found(lines, REPLAYED)
        if failure is None and (again is None or again.groups()[:2] != recorded.groups()[1:3]):
            failure = "\n".join(["it was not replayed to its end", *lines[-20:]])
        full = 0 if again is None else int(again.group(3))
    if failure is not None:
        return failure
    return replay_linux(options, engine, directory, disk, recorded, full, notes)


def run_linux_smp(options, engine, directory, vcpus, notes):
    random.seed()
    disk = empty_disk(directory)
    with linux_console(options, engine, os.path.join(directory, "record"), "record", disk,
                       False, vcpus) as terminal:
        terminal.expect(monitor.SHELL, 4 * monitor.BOOT_SECONDS)
        shell_slowly(terminal, "nproc", rf"^{vcpus}\r")
        busy = "i=200; while [ $i -gt 0 ]; do i=$((i - 1)); done"
        shell_slowly(terminal, f"for n in 1 2 3 4; do ({busy}) & done; wait; echo do''ne", "^done")
        shell_slowly(terminal, "cat /proc/interrupts", r"RES:")
        terminal.send("poweroff -f\r")
        recorded = terminal.expect(RECORDED + "the machine ended", 60)
    failure = verify(options, disk)
    if failure is not None:
        return failure
    ticks, events, beacons, count = (part.decode() for part in recorded.groups())
    members = linux_members(options, engine, directory, "replay", True, vcpus)
    if "REPLAY_ALL" not in os.environ:  # each end of a turn costs steps then: minutes
        members[0] = ("reprise.ini", members[0][1].replace(SHAPED.encode(), b""))
    lines, failure = run_once(options, engine, os.path.join(directory, "replay"), members, disk,
                              True, "were the same", SMP_TIMEOUT)
    replayed = found(lines, REPLAYED)
    if failure is None and (replayed is None or replayed.groups()[:2] != (events, beacons)):
        failure = "\n".join([f"it was not replayed: {ticks} ticks, {events} events, {beacons} "
                             "beacons", *lines[-20:]])
    notes.append(f"{ticks} ticks, {events} events, {count} bytes")
    return failure


def answer_live(terminal):
    """A shell that is interrupted at whatever it was at may end, and the next one throws away what
    was typed before its prompt."""
    terminal.send("\x03")
    for seconds in (5, 10, 20, 60):
        time.sleep(3)
        terminal.send("echo $((7 * 8))\r")
        try:
            terminal.expect(r"^56\r", seconds)
            return
        except console.ConsoleError:
            if seconds == 60:
                raise


def replay_linux(options, engine, directory, disk, recorded, full, notes):
    """To its end, with looks at it in between; back to its middle; and live from there on. `full`:
    hashes that were equal in replays before."""
    ticks = int(recorded.group(1))
    with linux_console(options, engine, os.path.join(directory, "replay"), "replay", disk,
                       True) as terminal:
        terminal.expect(r"Welcome to the Linux guest", 2 * monitor.BOOT_SECONDS)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info replay", r"^mode: play")
        monitor.command(terminal, "stop")
        monitor.command(terminal, "info registers", r"RIP=")
        monitor.command(terminal, "cont")
        match = terminal.expect(REPLAYED, 4 * monitor.BOOT_SECONDS)
        terminal.expect(monitor.PROMPT, 10)
        if match.group(1).decode() != recorded.group(2) or \
                match.group(2).decode() != recorded.group(3):
            return f"recorded {recorded.group(0)}, replayed {match.group(0).decode()}"
        monitor.command(terminal, f"replay_seek {ticks - ticks // 8}")
        terminal.expect(r"paused at ticks \d+ rip", 4 * monitor.BOOT_SECONDS)
        terminal.expect(monitor.PROMPT, 10)
        monitor.command(terminal, "info replay", r"^mode: play")
        monitor.command(terminal, "replay stop")
        monitor.command(terminal, "info replay", r"^mode: none")
        monitor.command(terminal, "cont")
        terminal.send(console.ESCAPE)
        answer_live(terminal)
        full += int(match.group(3))
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, "
                 f"{recorded.group(4)} bytes; {full} equal full hashes")
    return None
