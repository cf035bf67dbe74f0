# SPDX-License-Identifier: BSD-2-Clause
"""Several machines at once: what one does is nothing to another, and none leaves anything behind.

isolate   machines and vcpus that share a core keep registers and memory (tests/guest/isolate.c)
others    a machine runs on while others reset, fault, loop, end and are destroyed beside it
destroy   machines created and destroyed again and again: host memory is as before
sixteen   as many machines as there can be
pin       a vcpu is where the configuration wants it
status    the last machine that ends leaves, with its status
"""

import os
import re
import time

import console
import monitor
import payloads
import qemu

TIMEOUT = 150
ISOLATED = ["memory.fresh = ok", "vcpu0.wrong = 0x0", "memory.kept = ok", "done"]


def section(name, kernel, *lines, memory=16):
    return "\n".join([f"[vm {name}]", f"memory = {memory}M", f"kernel = {kernel}",
                      "isa_debug_exit = on", *lines, ""])


# Nothing but what is typed at it moves the monitor's prompt.
QUIET = ("console = monitor", "log = error")


def command(options, directory, sections, cpus=1, host=QUIET):
    """With one CPU runs are repeatable to the instruction."""
    config = "\n".join(["[reprise]", f"debug_exit = {qemu.HOST_EXIT_PORT:#x}", *host, *sections])
    members = [("reprise.ini", config.encode())]
    for kernel in sorted(set(re.findall(r"^kernel = (\w+)$", config, re.MULTILINE))):
        with open(os.path.join(options.build, "guest", kernel + ".elf"), "rb") as file:
            members.append((kernel, file.read()))
    return qemu.reprise_command(options, directory, qemu.cpio_newc(members), icount=cpus == 1,
                                cpus=cpus)


def wait_state(terminal, name, state):
    """Looks until the machine is in the state."""
    for _ in range(400):
        terminal.send("vm list\r")
        terminal.expect(r"seconds run +exits")
        text = terminal.expect(rf"[* ] {name} +(\S+( \S+)*?)  ").group(1).decode()
        terminal.expect(monitor.PROMPT)
        if text == state:
            return
        time.sleep(0.1)
    terminal.fail(f"{name} is not {state}")


def output(terminal, name):
    """What a machine that has ended has written: its console is looked at."""
    terminal.send(f"console {name}\r")
    terminal.expect(rf"\[guest {name}: ")
    match = terminal.expect(r"(?s)(.*?: done)\r?\n")
    terminal.send(console.ESCAPE)
    terminal.expect(monitor.PROMPT)
    return match.group(1).decode("ascii", "backslashreplace").replace("\r", "")


def check_isolated(terminal, name, vcpus=1):
    text = output(terminal, name)
    for wanted in ISOLATED + [f"vcpu{i}.wrong = 0x0" for i in range(1, vcpus)]:
        if f"isolate: {wanted}\n" not in text + "\n":
            terminal.fail(f"{name}: no {wanted!r} in {text!r}")


def isolate(rows, cpus):
    """rows: (vcpus, lines of the section) of each machine"""
    def talk(terminal):
        terminal.expect(monitor.PROMPT)
        for index in range(len(rows)):
            wait_state(terminal, f"m{index}", "debug exit")
        for index, (vcpus, _) in enumerate(rows):
            check_isolated(terminal, f"m{index}", vcpus)

    sections = [section(f"m{index}", "isolate", f"vcpus = {vcpus}",
                        f"cmdline = seed={index + 1} vcpus={vcpus}", *lines)
                for index, (vcpus, lines) in enumerate(rows)]
    return sections, cpus, talk


def others(cpus):
    """One machine does its work; beside it one loops in exceptions, one resets itself by a triple
    fault and ends, one waits for its start, and they are destroyed and made again."""
    def talk(terminal):
        terminal.expect(monitor.PROMPT)
        for _ in range(10):
            for name in ("storm", "triple", "halts"):
                monitor.command(terminal, f"vm destroy {name}")
                monitor.command(terminal, f"vm create {name}")
                monitor.command(terminal, f"vm start {name}")
        wait_state(terminal, "work", "debug exit")
        wait_state(terminal, "triple", "debug exit")
        wait_state(terminal, "storm", "running")
        check_isolated(terminal, "work")

    return [section("work", "isolate", "cmdline = seed=1"), section("storm", "hostile_storm"),
            section("triple", "reset_triple"), section("halts", "hlt")], cpus, talk


def free_memory(terminal):
    """What host memory there is, and how far the heap reaches; no machine is created."""
    text = monitor.command(terminal, "info memory", r"^heap ")
    if "machine" in text:
        terminal.fail(f"there is a machine: {text!r}")
    return text


def destroy(rounds, cpus, vcpus, running):
    """The first round is for the heap, which grows to its full size then."""
    def one_round(terminal):
        monitor.command(terminal, "vm create m")
        if running:
            monitor.command(terminal, "vm start m")
            monitor.command(terminal, "info cpus", r"CPU #0: (running|halted)")
        monitor.command(terminal, "vm destroy m")

    def talk(terminal):
        terminal.expect(monitor.PROMPT)
        monitor.command(terminal, "vm destroy m")
        one_round(terminal)
        before = free_memory(terminal)
        for _ in range(rounds):
            one_round(terminal)
        after = free_memory(terminal)
        if after != before:
            terminal.fail(f"memory before: {before!r}, after {rounds} rounds: {after!r}")

    lines = [f"vcpus = {vcpus}", f"cmdline = seed=1 vcpus={vcpus}", "autostart = off"]
    return [section("m", "isolate" if vcpus > 1 else "hostile_storm", *lines)], cpus, talk


def sixteen(cpus):
    def talk(terminal):
        terminal.expect(monitor.PROMPT)
        for index in range(16):
            wait_state(terminal, f"m{index}", "debug exit")
        for index in range(16):
            output(terminal, f"m{index}")

    sections = [section(f"m{index}", "hlt" if index % 2 else "cpuid") for index in range(16)]
    return sections, cpus, talk


def pin():
    def talk(terminal):
        terminal.expect(monitor.PROMPT)
        monitor.command(terminal, "info cpus",
                        r"\* CPU #0: .*, host CPU 2\n  CPU #1: .*, host CPU 0\n"
                        r"  CPU #2: .*, host CPU 1\n$")
        monitor.command(terminal, "vm select b")
        # Spread: the only CPU that has none.
        monitor.command(terminal, "info cpus", r"\* CPU #0: .*, host CPU 3\n$")

    return [section("a", "hostile_storm", "vcpus = 3", "pin = 2,0-1"),
            section("b", "hostile_storm")], 4, talk


TALKS = {
    "isolate": isolate([(1, []), (1, []), (1, [])], 1),
    "isolate-vcpus": isolate([(3, []), (2, [])], 1),
    "isolate-cores": isolate([(2, ["pin = 1,0"]), (2, ["pin = 1,1"]), (2, ["pin = 0,1"])], 2),
    "others": others(1),
    "others-cores": others(3),
    "destroy": destroy(1000, 1, 1, False),
    "destroy-running": destroy(200, 1, 1, True),
    "destroy-cores": destroy(60, 3, 4, True),
    "sixteen": sixteen(1),
    "sixteen-cores": sixteen(3),
    "pin": pin(),
}


def run_talk(options, name, directory):
    sections, cpus, talk = TALKS[name]
    arguments = command(options, directory, sections, cpus)
    try:
        with console.Console(arguments, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale) as terminal:
            talk(terminal)
            terminal.send("quit\r")
            code = terminal.wait_exit(10)
            if code != 1:  # debug exit 0
                terminal.fail(f"quit: QEMU ended with {code}")
            if re.search(rb"reprise: (error|warning|crash)", terminal.output):
                terminal.fail("the log has errors")
    except console.ConsoleError as error:
        return str(error)
    return None


def run_status(options, directory, cpus):
    """All end by themselves; what the one that is shown has written is there to the last byte."""
    sections = [section("a", "cpuid", f"pin = {cpus - 1}"), section("b", "hlt"),
                section("c", "isolate", "cmdline = seed=1")]
    arguments = command(options, directory, sections, cpus, host=("quit_on_exit = on",))
    result = qemu.run(arguments, os.path.join(directory, "serial.log"),
                      60 * options.timeout_scale)
    problems = list(result.errors)
    if result.timed_out or result.status != 0:
        problems.append(result.describe() + ", expected debug exit 0")
    ended = re.findall(rb"reprise: (\w): ended: debug exit\r\n", result.serial)
    if sorted(ended) != [b"a", b"b", b"c"]:
        problems.append(f"ended: {ended}")
    wanted = payloads.read_lines(os.path.join(options.top, "tests", "guest", "cpuid.expect"))
    lines = [line for line in result.guest_lines() if "(reprise) " not in line]
    # Time is compared with clocks of the emulator's, which are not exact without icount.
    lines = [line.replace("khz = WRONG", "khz = ok") for line in lines]
    # The log's lines may have come in the middle of one.
    difference = None
    if "".join(lines) != "".join(wanted):
        difference = payloads.compare(wanted, lines, [])
    return "\n".join(problems + ([difference] if difference else [])) or None


def cases(options):
    """(name, run) of each case."""
    for name in TALKS:
        yield name, lambda directory, n=name: run_talk(options, n, directory)
    for name, cpus in (("status", 1), ("status-cores", 2)):
        yield name, lambda directory, c=cpus: run_status(options, directory, c)
