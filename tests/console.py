# SPDX-License-Identifier: BSD-2-Clause
"""An emulator whose serial console a test types at."""

import re
import select
import subprocess
import time

import qemu

ESCAPE = b"\x1d"  # Ctrl-]: between the guest and the monitor
TAIL_BYTES = 1500  # of the output, in the text of a failure


class ConsoleError(Exception):
    """What was waited for did not come."""


class Console:
    """Use it with `with`: the process is gone at the end, whatever happens."""

    def __init__(self, command, log_path, timeout, emulator=qemu):
        self.emulator = emulator  # qemu or bochs: what the command is for
        self.deadline = time.monotonic() + timeout
        self.output = b""
        self.position = 0  # of what has been waited for
        self.log_path = log_path
        self.command = command

    def __enter__(self):
        self.log = open(self.log_path, "wb")
        self.errors = open(self.log_path + ".stderr", "w+b")
        try:
            self.process, self.socket = self.emulator.spawn_with_socket(self.command, self.errors)
        except TimeoutError as error:
            raise ConsoleError("the emulator did not open its serial port") from error
        return self

    def __exit__(self, *_):
        self.emulator.end(self.process)
        self.socket.close()
        self.log.close()
        self.errors.close()

    def _receive(self, until):
        """Reads what is there, or waits for it until `until`. False: nothing will come."""
        wait = max(0, until - time.monotonic())
        ready, _, _ = select.select([self.socket], [], [], wait)
        if not ready:
            return False
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.output += data
        self.log.write(data)
        self.log.flush()
        return bool(data)

    def fail(self, reason):
        tail = self.output[-TAIL_BYTES:].decode("ascii", "backslashreplace")
        raise ConsoleError(f"{reason}; the console ends with:\n" + tail.replace("\r", ""))

    def expect(self, pattern, timeout=30):
        """The match of `pattern`, searched in what came since the last match."""
        regex = re.compile(pattern.encode(), re.MULTILINE)
        until = min(self.deadline, time.monotonic() + timeout)
        while True:
            match = regex.search(self.output, self.position)
            if match is not None:
                self.position = match.end()
                return match
            if not self._receive(until):
                self.fail(f"expected {pattern!r}")

    def send(self, data):
        try:
            self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        except ConnectionError:
            self.fail(f"the emulator has ended before {data!r} was typed")

    def check_left(self, timeout=30):
        """Reprise leaves, with status 0."""
        code = self.wait_exit(timeout)
        if not self.emulator.left_cleanly(code, self.output):
            self.fail(f"quit: the emulator ended with {code}, not as by a debug exit of 0")

    def wait_exit(self, timeout=30):
        """The emulator's exit code."""
        until = min(self.deadline, time.monotonic() + timeout)
        while self._receive(until):
            pass
        try:
            return self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.fail("the emulator did not end")
