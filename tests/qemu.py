# SPDX-License-Identifier: BSD-2-Clause
"""QEMU as the machine that tests run on: deterministic flags, boot archives, bounded runs."""

import os
import shutil
import signal
import socket
import subprocess
import time

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
# Reprise's own lines on the serial console: its log, and whose console it is.
LOG_PREFIX = (b"reprise: ", b"[guest ", b"[monitor: ")
HOST_EXIT_PORT = 0xf4        # of Reprise, below it
GUEST_EXIT_PORT = 0x501      # of a payload
DEBUG_EXIT = f"{HOST_EXIT_PORT:#x}"  # the value of reprise.ini's debug_exit
DMESG_ALLOWED = None  # Linux's warnings, beside dmesg.allow
CAN_POWER_OFF = True
ELSEWHERE = 7              # a seed's distance
THREADS_MAX = 8            # of an emulator that runs several CPUs at once
OUTPUT_MAX = 64 << 20      # of serial output, before a run counts as gone wild


class MissingTool(Exception):
    """A program that the tests need is not installed."""


def require(program, remedy="install qemu-system-x86 or set QEMU"):
    path = shutil.which(program)
    if path is None:
        raise MissingTool(f"{program}: not found ({remedy})")
    return path


def cpio_parts(files):
    """The parts of a newc cpio archive of (name, bytes) pairs, as Linux and Reprise read it."""

    def member(name, data, mode, inode):
        name = name.encode() + b"\0"
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        return header + b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)

    count = 0
    members = [(name, data, 0o100644, inode) for inode, (name, data) in enumerate(files, 1)]
    for arguments in [*members, ("TRAILER!!!", b"", 0, 0)]:
        for part in member(*arguments):
            count += len(part)
            yield part
    yield b"\0" * (-count % 512)


def cpio_newc(files):
    return b"".join(cpio_parts(files))


def base_command(memory="512", cpu="EPYC,+svm", icount=True, cpus=1, features="",
                 elsewhere=False):
    """With icount two runs are byte-identical and the TSC counts instructions. Without it several
    CPUs run at once, each in a thread of its own. `features`: more of the CPU's, as in ",+la57".
    `elsewhere`: another machine, with other memory and random numbers, on another day."""
    seed = int(os.environ.get("QEMU_SEED", "0"))  # other circumstances: memory layout, RDRAND
    seed += ELSEWHERE if elsewhere else 0
    accel = "tcg" if icount or cpus == 1 else "tcg,thread=multi"
    if cpus > THREADS_MAX:  # they would wait for each other's turn longer than they run
        accel = "tcg,thread=single"
    command = [require(QEMU), "-accel", accel, "-smp", str(cpus), "-cpu", cpu + features,
               "-m", str(int(memory) + 18 * seed),
               "-nodefaults", "-no-user-config", "-display", "none", "-seed", str(42 + seed)]
    if icount:
        command += ["-icount", "shift=0,sleep=off"]
    base = "2031-05-06T07:08:09" if elsewhere else "2024-01-01"
    return command + ["-rtc", "clock=vm,base=" + base]


def debug_exit(port):
    return ["-device", f"isa-debug-exit,iobase={port:#x},iosize=4"]


def reprise_command(options, directory, archive, memory=512, icount=True, cpus=1, features="",
                    elsewhere=False):
    """Reprise by PVH with `archive` (bytes) as its module, or None."""
    if not os.path.exists(options.image):
        raise FileNotFoundError(2, "no such image", options.image)
    command = (base_command(memory=memory, icount=icount, cpus=cpus, features=features,
                            elsewhere=elsewhere) +
               debug_exit(HOST_EXIT_PORT) + ["-kernel", options.image])
    if archive is not None:
        path = os.path.join(directory, "esp.cpio")
        with open(path, "wb") as file:
            file.write(archive)
        command += ["-initrd", path]
    return command


def bare_command(options, directory, image, memory=64, icount=True, cpus=1, features="",
                 vga=False, devices=()):
    del options, directory
    if not os.path.exists(image):
        raise FileNotFoundError(2, "no such payload", image)
    return (base_command(memory=memory, icount=icount, cpus=cpus, features=features) +
            debug_exit(GUEST_EXIT_PORT) + ["-kernel", image] + (
                ["-vga", "std"] if vga else []) +
            [word for device in devices for word in ("-device", device)])


class Result:
    """What a run left behind. `status` is isa-debug-exit's value, or None."""

    def __init__(self, serial, code, timed_out, seconds, errors):
        self.serial = serial
        self.timed_out = timed_out
        self.seconds = seconds
        self.errors = errors
        odd = code is not None and code > 0 and code % 2 == 1
        self.status = code >> 1 if odd and not timed_out else None
        self.code = code

    def guest_lines(self):
        """The guest's transcript: every line that is not Reprise's own."""
        lines = self.serial.replace(b"\r\n", b"\n").split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        return [line.decode("ascii", "backslashreplace") for line in lines
                if not line.startswith(LOG_PREFIX)]

    def log_lines(self):
        """Reprise's own lines."""
        lines = self.serial.replace(b"\r\n", b"\n").split(b"\n")
        return [line.decode("ascii", "backslashreplace") for line in lines
                if line.startswith(LOG_PREFIX)]

    def describe(self):
        if self.timed_out:
            return f"timed out after {self.seconds:.0f} s"
        return f"exit code {self.code}"


def spawn_with_socket(command, output):
    """(process, socket): the other end of COM1 is the socket."""
    connection, other = socket.socketpair()
    with other:
        extra = ["-chardev", f"socket,id=console,fd={other.fileno()}",
                 "-serial", "chardev:console"]
        process = subprocess.Popen(command + extra, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, pass_fds=[other.fileno()],
                                   start_new_session=True)
    return process, connection


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def left_cleanly(code, output):
    """Whether Reprise left with status 0, from QEMU's exit code and COM1's output."""
    del output
    return code == 1  # isa-debug-exit's answer to 0


def run(command, serial_path, timeout, until=None):
    """Runs QEMU with COM1 to a file. `until`: bytes whose appearance ends the run early."""
    start = time.monotonic()
    open(serial_path, "wb").close()
    error_path = serial_path + ".stderr"
    with open(error_path, "wb") as errors:
        process = subprocess.Popen(command + ["-serial", f"file:{serial_path}"],
                                   stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                   start_new_session=True)
        timed_out, ended = watch(process, serial_path, start + timeout, until)
    with open(serial_path, "rb") as file:
        serial = file.read()
    with open(error_path, "rb") as file:
        lines = file.read().decode(errors="replace").splitlines()
    lines = [line for line in lines if "TCG doesn't support requested feature" not in line]
    code = None if ended else process.returncode
    return Result(serial, code, timed_out, time.monotonic() - start, lines)


def watch(process, serial_path, deadline, until):
    """(timed out, ended by `until`). The process is gone on return, whatever happens."""
    try:
        while process.poll() is None:
            if time.monotonic() > deadline or os.path.getsize(serial_path) > OUTPUT_MAX:
                return True, False
            if until is not None:
                with open(serial_path, "rb") as file:
                    if until in file.read():
                        return False, True
            time.sleep(0.02)
        return False, False
    finally:
        end(process)
