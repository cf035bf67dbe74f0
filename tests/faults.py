# SPDX-License-Identifier: BSD-2-Clause
"""A guest that loops in exceptions, and a crash of Reprise itself.

storm  #DB whose delivery raises #DB: the guest never leaves by itself; the monitor answers
crash  the machine's NMI button: registers, names of functions, and the last exits
"""

import json
import os
import socket
import time

import console
import engines
import monitor
import payloads

# Bochs has no NMI button.
CASES = {"svm": ("storm", "crash"), "vmx": ("storm",)}
TIMEOUT = 60


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


def run(options, name, directory, engine="svm"):
    try:
        {"storm": storm, "crash": crash}[name](options, directory, engine)
    except (console.ConsoleError, OSError) as error:
        return str(error)
    return None
