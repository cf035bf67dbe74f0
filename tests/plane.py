# SPDX-License-Identifier: BSD-2-Clause
"""A disk whose queues another CPU serves, in a machine that is saved, loaded, stopped, reset and
whose disk is resized while it works: by the monitor, at moments that a seed chooses.

io     a payload that reads and writes all the time, and checks all that comes back
       (tests/guest/plane_io.c)
linux  Linux with two vcpus, its disk checked by its self-test (tests/system.py); nothing else is
       done to it

The CPUs of the host run at once. QEMU_SEED chooses other moments.
"""

import os
import random
import re
import time

import console
import machines
import monitor
import qemu
import system

TIMEOUT = 300
STEPS = {"plane": 40, "plane-more": 300}
SNAPSHOTS = ("one", "two")
PROGRESS = 0x9000  # LOW_DATA of tests/guest/lib/layout.h
WRONG = ("", "no disk", "a block that nobody wrote", "a block that was not written last",
         "a status", "a chain that came back twice, or another one", "a length", "NEEDS_RESET")
# By suite: where the machine and its disk are (host CPUs; None: as they come), with how many.
PLACES = {
    "plane": [("1", 2, 3)],
    "plane-more": [("0", 1, 2), ("1", 0, 2), ("1", 2, 3), ("1", None, 3), ("2", 1, 4)],
}
DELAYS = {"plane": [False], "plane-more": [False, True]}  # of the back end


def progress(terminal):
    """Rounds and chains that the payload has done."""
    text = monitor.command(terminal, f"xp /3xw {PROGRESS:#x}", r"( 0x[0-9a-f]{8}){3}")
    rounds, chains, wrong = (int(word, 16) for word in re.findall(r" 0x([0-9a-f]{8})", text))
    if wrong != 0:
        terminal.fail(f"{WRONG[wrong]} is wrong, in round {rounds}, behind {chains} chains")
    return rounds, chains


def check_moves(terminal):
    """The payload goes on from where it is."""
    before = progress(terminal)
    until = time.monotonic() + 30
    while progress(terminal) == before:
        if time.monotonic() > until:
            terminal.fail(f"nothing has come back since round {before[0]}, chain {before[1]}")


def check_stands(terminal):
    before = progress(terminal)
    if progress(terminal) != before:
        terminal.fail("the payload goes on in a machine that is stopped")


def stop(terminal, choice):
    monitor.command(terminal, "stop")
    check_stands(terminal)
    if choice.random() < 0.3:
        monitor.command(terminal, f"savevm {choice.choice(SNAPSHOTS)}", r"^$", 60)
        check_stands(terminal)
    monitor.command(terminal, "cont", r"^$")


def step(terminal, choice):
    what = choice.randrange(8)
    if what < 2:
        monitor.command(terminal, f"savevm {choice.choice(SNAPSHOTS)}", r"^$", 60)
    elif what < 4:
        monitor.command(terminal, f"loadvm {choice.choice(SNAPSHOTS)}", r"^$", 60)
    elif what < 6:
        stop(terminal, choice)
    elif what == 6:
        monitor.command(terminal, f"block_resize data {choice.randrange(2, 7)}M", r"^$")
    else:
        monitor.command(terminal, "system_reset", r"^$")


def talk(terminal, steps):
    seed = int(os.environ.get("QEMU_SEED", "1"))
    choice = random.Random(seed)
    terminal.expect(monitor.PROMPT)
    check_moves(terminal)
    for tag in SNAPSHOTS:
        monitor.command(terminal, f"savevm {tag}", r"^$", 60)
    for _ in range(steps):
        step(terminal, choice)
        if choice.random() < 0.7:  # else the next one comes at once
            check_moves(terminal)
        time.sleep(choice.random() * 0.03)
    check_moves(terminal)


def run_io(options, directory, place, steps, delays):
    pin, plane, cpus = place
    disk = ["[disk data]", "vm = t", "medium = ram:4M"]
    disk += [] if plane is None else [f"dataplane = {plane}"]
    disk += ["test_delay = 7"] if delays else []
    sections = ["\n".join(disk + [""]), machines.section("t", "plane_io", f"pin = {pin}")]
    command = machines.command(options, directory, sections, cpus)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             (TIMEOUT + steps) * options.timeout_scale) as terminal:
            talk(terminal, steps)
            terminal.send("quit\r")
            terminal.check_left()
            if re.search(rb"reprise: (error|warning|crash)", terminal.output):
                terminal.fail("the log has errors")
    except console.ConsoleError as error:
        return str(error)
    return None


def run_linux(options, directory, notes):
    return system.run_smp(options, directory, 3, notes, "svm", vcpus=2, plane=2)


def cases(options, suite):
    """(name, run, notes) of each case."""
    for place in PLACES[suite]:
        for delays in DELAYS[suite]:
            pin, plane, cpus = place
            name = f"io-{pin}-by-{'none' if plane is None else plane}-of-{cpus}"
            yield (f"{suite}/{name}{'-late' if delays else ''}",
                   lambda directory, p=place, d=delays: run_io(options, directory, p,
                                                                STEPS[suite], d), [])
    if suite == "plane":
        notes = []
        yield "plane/linux", lambda directory: run_linux(options, directory, notes), notes
