# SPDX-License-Identifier: BSD-2-Clause
"""A guest that loops in exceptions, and a crash of Reprise itself.

storm  #DB whose delivery raises #DB: the guest never leaves by itself; the monitor answers
crash  the machine's NMI button: registers, names of functions, and the last exits
refused  the CPU refuses an entry: what is wrong is named, this machine stops, another runs on, and
         a reset mends it
beside   a machine works to its end beside one whose vcpus misbehave (smp_hostile)
"""

import json
import os
import re
import socket
import time

import console
import engines
import machines
import monitor
import payloads
import qemu

# Bochs has no NMI button.
CASES = {"svm": ("storm", "crash", "refused", "beside"), "vmx": ("storm", "refused", "beside")}
TIMEOUT = 60
BESIDE_TIMEOUT = 120


def guest(options, directory, engine, extra=()):
    command = payloads.guest_command(options, "hostile_storm", directory, engine=engine)
    return console.Console(command + list(extra), os.path.join(directory, "serial.log"),
                           TIMEOUT * options.timeout_scale, engines.EMULATORS[engine])


def storm(options, directory, engine):
    with guest(options, directory, engine) as terminal:
        terminal.expect(r"hostile_storm: begins = ok")
        time.sleep(0.5)  # into the loop
        monitor.to_monitor(terminal)
        monitor.command(terminal, "info status", r"running")
        before = monitor.command(terminal, "info exits", r"^exception +[1-9]")
        time.sleep(0.2)
        if monitor.command(terminal, "info exits", r"^exception +[1-9]") == before:
            terminal.fail("the guest does not run on")
        monitor.command(terminal, "system_reset")
        terminal.send(console.ESCAPE)
        terminal.expect(r"hostile_storm: begins = ok")
        monitor.to_monitor(terminal)
        terminal.send("quit\r")
        terminal.wait_exit(10)


def qmp_execute(path, name):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        lines = connection.makefile("rw")
        lines.readline()
        for command in ("qmp_capabilities", name):
            lines.write(json.dumps({"execute": command}) + "\n")
            lines.flush()
            lines.readline()


def crash(options, directory, engine):
    path = os.path.join(directory, "qmp")
    with guest(options, directory, engine, ["-qmp", f"unix:{path},server=on,wait=off"]) as terminal:
        terminal.expect(r"hostile_storm: begins = ok")
        time.sleep(0.3)  # into the loop
        qmp_execute(path, "inject-nmi")
        terminal.expect(r"crash: NMI \(vector 2")
        terminal.expect(r"rax [0-9a-f]{16}")
        terminal.expect(r"backtrace:")
        terminal.expect(r"[0-9a-f]{16} boot_main\+0x")
        terminal.expect(r"machine t, vcpu 0: running, [1-9][0-9]* exits")
        terminal.expect(r"rip [0-9a-f]{16}  exception")


def machine(name, kernel, *lines):
    return "\n".join([f"[vm {name}]", "memory = 16M", f"kernel = {kernel}", "isa_debug_exit = on",
                      *lines, ""])


def several(options, directory, engine, *sections):
    """The monitor has the console, and nothing but errors moves its prompt."""
    emulator = engines.EMULATORS[engine]
    config = "\n".join(["[reprise]", f"debug_exit = {emulator.DEBUG_EXIT}", "console = monitor",
                        "log = error", *sections])
    members = [("reprise.ini", config.encode())]
    for kernel in sorted(set(re.findall(r"^kernel = (\w+)$", config, re.MULTILINE))):
        with open(os.path.join(options.build, "guest", kernel + ".elf"), "rb") as file:
            members.append((kernel, file.read()))
    command = emulator.reprise_command(options, directory, qemu.cpio_newc(members))
    return console.Console(command, os.path.join(directory, "serial.log"),
                           BESIDE_TIMEOUT * options.timeout_scale, emulator)


def transcript(terminal, name, kernel, options):
    """What an ended machine has written must be what its payload shall write."""
    base = os.path.join(options.top, "tests", "guest", kernel)
    terminal.send(f"console {name}\r")
    terminal.expect(rf"\[guest {name}: [^\n]*\n")
    text = terminal.expect(rf"(?s)(.*?{kernel}: done)\r?\n").group(1)
    lines = text.decode("ascii", "backslashreplace").replace("\r", "").splitlines()
    difference = payloads.compare(payloads.read_expectation(base), lines, [])
    if difference is not None:
        terminal.fail(f"{name}: {difference}")
    terminal.send(console.ESCAPE)
    terminal.expect(monitor.PROMPT)


def refused(options, directory, engine):
    sections = (machine("bad", "hostile_storm"),
                machine("work", "isolate", "cmdline = seed=1"))
    with several(options, directory, engine, *sections) as terminal:
        terminal.expect(monitor.PROMPT)
        monitor.command(terminal, "info status", r"running")
        terminal.send("spoil_entry\r")
        terminal.expect(r"reprise: error: bad: the CPU refused to enter the guest; this machine "
                        r"stops\r$")
        terminal.expect(REFUSALS[engine])
        terminal.expect(monitor.PROMPT)
        machines.wait_state(terminal, "bad", "internal-error")
        machines.wait_state(terminal, "work", "debug exit")
        transcript(terminal, "work", "isolate", options)
        monitor.command(terminal, "system_reset")
        machines.wait_state(terminal, "bad", "running")
        before = monitor.command(terminal, "info exits", r"^exception +[1-9]")
        time.sleep(0.2)
        if monitor.command(terminal, "info exits", r"^exception +[1-9]") == before:
            terminal.fail("the guest does not run after its reset")
        terminal.send("quit\r")
        terminal.check_left()


# Exit code and reason; field and value.
REFUSALS = {
    "svm": r"(?s)^reprise: error: AMD-V exit code ffffffff[^\n]*\n"
           r"reprise: error:   violated: DR7: upper half is not zero: DR7 is 1[0-9a-f]{8}\r\n"
           r"(?!.*violated).*reprise: error:   DR7 +00000001[0-9a-f]{8}\r$",
    "vmx": r"(?s)^reprise: error: VT-x exit reason 33 \(failed entry\)[^\n]*\n"
           r"reprise: error:   violated: DR7: upper half is not zero: "
           r"GUEST_DR7 is 1[0-9a-f]{8}\r\n"
           r"(?!.*violated).*reprise: error:   GUEST_DR7 +00000001[0-9a-f]{8}\r$",
}


def beside(options, directory, engine):
    sections = (machine("work", "isolate", "cmdline = seed=1"),
                machine("hostile", "smp_hostile", "vcpus = 4"))
    with several(options, directory, engine, *sections) as terminal:
        terminal.expect(monitor.PROMPT)
        for name, kernel in (("hostile", "smp_hostile"), ("work", "isolate")):
            machines.wait_state(terminal, name, "debug exit")
            transcript(terminal, name, kernel, options)
        terminal.send("quit\r")
        terminal.check_left()


FUNCTIONS = {"storm": storm, "crash": crash, "refused": refused, "beside": beside}


def run(options, name, directory, engine="svm"):
    try:
        FUNCTIONS[name](options, directory, engine)
    except (console.ConsoleError, OSError) as error:
        return str(error)
    return None
