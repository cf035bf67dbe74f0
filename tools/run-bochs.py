#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boots a disk image in Bochs, with this terminal as its serial console.

    run-bochs.py IMAGE [MEMORY-IN-MIB]

Ctrl-A x ends Bochs; Ctrl-A Ctrl-A types one Ctrl-A. Without a terminal, input is what is typed.
Environment: FIRMWARE (u-boot or ovmf), IPS (instructions in a second of the machine's time).
"""

import os
import select
import signal
import sys
import tempfile
import termios
import tty
import types

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))
import bochs  # noqa: E402
import qemu  # noqa: E402

PREFIX, END = b"\x01", b"x"


class Keys:
    """What is typed, without the commands behind Ctrl-A."""

    def __init__(self):
        self.after_prefix = False
        self.ended = False

    def filter(self, typed):
        passed = b""
        for i in range(len(typed)):
            key = typed[i:i + 1]
            if self.after_prefix:
                self.after_prefix = False
                self.ended = self.ended or key == END
                passed += key if key == PREFIX else b""
            elif key == PREFIX:
                self.after_prefix = True
            else:
                passed += key
        return passed


def relay(connection):
    """Until the machine ends or the person ends it."""
    keys = Keys()
    sources = [connection, sys.stdin]
    while not keys.ended:
        ready, _, _ = select.select(sources, [], [])
        if sys.stdin in ready:
            typed = os.read(sys.stdin.fileno(), 4096)
            if not typed:
                sources.remove(sys.stdin)
            connection.sendall(keys.filter(typed))
        if connection in ready:
            shown = connection.recv(65536)
            if not shown:
                return
            sys.stdout.buffer.write(shown)
            sys.stdout.buffer.flush()


def talk(command, output):
    process, connection = bochs.spawn_with_socket(command, output)
    settings = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        if settings is not None:
            tty.setraw(sys.stdin)
        relay(connection)
    except ConnectionError:
        pass  # Bochs has ended
    finally:
        if settings is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        connection.close()
        bochs.end(process)


def main(arguments):
    if len(arguments) not in (1, 2) or not arguments[-1].strip():
        sys.exit(__doc__)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))  # by way of every `finally`
    options = types.SimpleNamespace(build=os.path.join(TOP, "build"))
    with tempfile.TemporaryDirectory() as directory:
        try:
            command = bochs.disk_command(
                options, directory, os.path.abspath(arguments[0]),
                os.environ.get("FIRMWARE", "u-boot"), (arguments + ["1024"])[1],
                int(os.environ.get("IPS", bochs.LINUX_IPS)))
            with open(os.path.join(directory, "output"), "wb") as output:
                talk(command, output)
        except (qemu.MissingTool, TimeoutError) as error:
            sys.exit(f"run-bochs: error: {error}")
        unexpected = [text for text in bochs.read_panics(directory) if text != bochs.LEFT]
    print("".join(f"\nrun-bochs: Bochs: {text}" for text in unexpected))
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
