# SPDX-License-Identifier: BSD-2-Clause
"""Keyboard and mouse by the monitor: sendkey, mouse_move, mouse_button.

typed   a payload tells what its keyboard and its mouse send, and when. It is recorded and replayed
        under other circumstances; a log that lacks a key is said to
grub-F  GRUB's menu and its command line, by firmware F
linux   what is typed is read from a console of a Linux, recorded and replayed
"""

import os
import random
import re
import subprocess
import time

import console
import debian
import engines
import guests
import monitor
import replay

SAID = re.compile(rb"ps2_typed: (?:key 0x[0-9a-f]+|mouse(?: 0x[0-9a-f]+){4}) in round \d+")
# What is typed, and what the payload gets: make and break codes of set 1, and packets.
TYPED = (
    ("sendkey a 5", ("key 0x1e", "key 0x9e")),
    ("sendkey shift-b 5", ("key 0x2a", "key 0x30", "key 0xb0", "key 0xaa")),
    ("sendkey up 0", ("key 0xe0", "key 0x48", "key 0xe0", "key 0xc8")),
    ("sendkey 0x1c 1", ("key 0x1c", "key 0x9c")),
    ("sendkey pause 1", ("key 0xe1", "key 0x1d", "key 0x45", "key 0xe1", "key 0x9d", "key 0xc5")),
    ("mouse_move 3 -4", ("mouse 0x8 0x3 0x4 0x0",)),
    ("mouse_button 1", ("mouse 0x9 0x0 0x0 0x0",)),
    ("mouse_button 4", ("mouse 0x8 0x0 0x0 0x0", "mouse 0xa 0x0 0x0 0x0")),
    ("mouse_button 0", ("mouse 0x8 0x0 0x0 0x0",)),
    ("mouse_move -300 0 1", ("mouse 0x18 0x1 0x0 0xff", "mouse 0x18 0xd3 0x0 0x0")),
    # Held for so long that it repeats, after a quarter of a second.
    ("sendkey z 265", ("key 0x2c", "key 0x2c", "key 0xac")),
)
ESCAPE = ("sendkey esc 1", ("key 0x1", "key 0x81"))


def cases(options, engine):
    """(name, function that runs it, its notes)"""
    notes = []
    yield "typed", lambda directory, into=notes: run_typed(options, engine, directory, into), notes
    if engine == "svm":
        for firmware in ("seabios", "ovmf"):
            yield f"grub-{firmware}", lambda directory, of=firmware: run_grub(
                options, directory, of), []
    if engine == "svm" or "REPLAY_ALL" in os.environ:
        notes = []
        yield "linux", lambda directory, into=notes: run_linux(options, engine, directory,
                                                               into), notes


def members(options, engine, mode, elsewhere):
    with open(os.path.join(options.build, "guest", "ps2_typed.elf"), "rb") as file:
        content = file.read()
    config = replay.configuration(engine, "t", mode, ["kernel = payload.elf",
                                                      "isa_debug_exit = on"], elsewhere=elsewhere)
    return [("reprise.ini", config.encode()), ("payload.elf", content)]


def type_one(terminal, text, expected):
    """In the monitor; what the payload got is shown when the guest has the console again."""
    time.sleep(random.random() / 20)
    monitor.to_monitor(terminal)
    if monitor.command(terminal, text, timeout=90).strip():
        terminal.fail(f"{text}: an error")
    terminal.send(console.ESCAPE)
    for line in expected:
        terminal.expect(rf"ps2_typed: {line} in round \d+[\r\n]", 60)


def said(path):
    with open(path, "rb") as file:
        return SAID.findall(file.read())


def record(options, engine, directory, disk):
    """What the payload said, and how many events were recorded."""
    directory = os.path.join(directory, "record")
    serial = os.path.join(directory, "serial.log")
    command = replay.command(options, engine, directory,
                             members(options, engine, "record", False), disk, False)
    with console.Console(command, serial, replay.TIMEOUT * options.timeout_scale,
                         engines.EMULATORS[engine]) as terminal:
        terminal.expect("ps2_typed: ready", 60)
        for text, expected in TYPED:
            type_one(terminal, text, expected)
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info mice", r"^\* Mouse #\d+: i8042$")
        monitor.command(terminal, "sendkey a-b-nothing", r"^Error: invalid parameter: nothing$")
        monitor.command(terminal, "stop")
        monitor.command(terminal, "sendkey a", r"^Error: the machine is not running \(paused\)$")
        monitor.command(terminal, "cont")
        terminal.send(console.ESCAPE)
        type_one(terminal, *ESCAPE)
        recorded = terminal.expect(replay.RECORDED + "the machine ended", 60)
    return said(serial), int(recorded.group(2))


def run_typed(options, engine, directory, notes):
    random.seed()
    disk = replay.empty_disk(directory)
    lines, events = record(options, engine, directory, disk)
    expected = [line for _, part in (*TYPED, ESCAPE) for line in part]
    if [line.split(b" in ")[0].decode() for line in lines] != ["ps2_typed: " + line
                                                                for line in expected]:
        return "\n".join(["the payload got something else", *map(str, lines)])
    failure = replay.verify(options, disk)
    if failure is not None:
        return failure
    text, failure = replay.run_once(options, engine, os.path.join(directory, "replay"),
                                    members(options, engine, "replay", True), disk, True,
                                    "were the same")
    if failure is not None:
        return failure
    again = said(os.path.join(directory, "replay", "serial.log"))
    if replay.found(text, replay.REPLAYED) is None or again != lines:
        return "\n".join(["it was not replayed:", *text[-20:], *map(str, lines), "again:",
                          *map(str, again)])
    notes.append(f"{events} events, {len(lines)} keys and packets")
    return run_without(options, engine, directory, disk)


def run_without(options, engine, directory, disk):
    """A key is missing in the log: it does not go on as it did then."""
    changed = os.path.join(directory, "changed.img")
    subprocess.run([os.path.join(options.build, "log_edit"), "drop", "3", disk, changed],
                   check=True)
    lines, failure = replay.run_once(options, engine, os.path.join(directory, "dropped"),
                                     members(options, engine, "replay", True), changed, True,
                                     "the last beacon that matched")
    if failure is None and replay.found(lines, r"replay diverged .*the log has key") is None:
        failure = "\n".join(["the key is not missed", *lines[-20:]])
    return failure


def press(terminal, keys):
    """From the guest's console, and back to it."""
    monitor.to_monitor(terminal)
    for key in keys:
        monitor.command(terminal, f"sendkey {key} 10")
    terminal.send(console.ESCAPE)


def run_grub(options, directory, firmware):
    """What firmware makes of keys. The menu is at the serial port, which nobody types at."""
    with debian.terminal(options, directory,
                         debian.command(options, directory, firmware, shift=3)) as terminal:
        titles = guests.TITLES[firmware]
        terminal.expect(r"\*" + titles[0] + " ", debian.BOOT_SECONDS)
        terminal.expect(debian.MENU)
        press(terminal, ["down"])
        terminal.expect(r"\*" + titles[1] + " ")
        press(terminal, ["down", "up", "up"])
        terminal.expect(r"\*" + titles[2].replace("+", r"\+") + " ")
        terminal.expect(r"\*" + titles[0] + " ")
        press(terminal, ["c"])
        terminal.expect("grub> ", 60)
        press(terminal, ["e", "c", "h", "o", "spc", "shift-a", "shift-minus", "1", "kp_add", "2",
                         "shift-equal", "ret"])
        terminal.expect(r"[\r\n]A_1\+2\+[\r\n]", 60)
        press(terminal, ["h", "a", "l", "t"])
        monitor.to_monitor(terminal)
        monitor.command(terminal, "sendkey ret 0")
        terminal.expect(r"ended: shutdown", 60)
        terminal.expect(monitor.PROMPT)
        terminal.send("quit\r")
        terminal.check_left()
    return None


def run_linux(options, engine, directory, notes):
    """The keyboard's console, tty1, is nobody's but ours; the shell is at the serial one."""
    random.seed()
    disk = replay.empty_disk(directory)
    with replay.linux_console(options, engine, os.path.join(directory, "record"), "record", disk,
                              False) as terminal:
        terminal.expect(monitor.SHELL, 2 * monitor.BOOT_SECONDS)
        replay.shell_slowly(terminal, "cat /proc/bus/input/devices",
                            r"AT Translated Set 2 keyboard")
        replay.shell_slowly(terminal, "head -n 1 </dev/tty1 >/typed & echo rea''dy", "^ready")
        monitor.to_monitor(terminal)
        for key in ("shift-h", "e", "l", "l", "o", "spc", "2", "minus", "kp_multiply", "x",
                    "backspace", "ret"):
            monitor.command(terminal, "sendkey " + key + " 20")
        terminal.send(console.ESCAPE)
        replay.shell_slowly(terminal, "wait; cat -v /typed", r"^Hello 2-\*\r")
        monitor.to_monitor(terminal)
        recorded = re.search(replay.RECORDED + "as asked for",
                             monitor.command(terminal, "record stop", "recorded", 60))
    failure = replay.verify(options, disk)
    if failure is not None:
        return failure
    lines, failure = replay.run_once(
        options, engine, os.path.join(directory, "replay"),
        replay.linux_members(options, engine, directory, "replay", True), disk, True,
        "were the same", 3 * replay.TIMEOUT)
    again = replay.found(lines, replay.REPLAYED)
    if failure is None and (again is None or again.groups()[:2] != recorded.groups()[1:3]):
        failure = "\n".join(["it was not replayed to its end", *lines[-20:]])
    notes.append(f"{recorded.group(2)} events, {recorded.group(3)} beacons")
    return failure
