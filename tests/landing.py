# SPDX-License-Identifier: BSD-2-Clause
"""Exact positions: single steps that the guest cannot see, and stops where they were asked for.

step/NAME    a payload of which every instruction is a single step: the plain run's transcript
shaped/NAME  the same with a hardware's skid
linux        a Linux boot is stopped at random positions, and registers are hashed there: the same
             in a plain run, in one with skid, and where whole spans are single-stepped; none is
             missed. LANDINGS=N: how many (100,000 nightly)
refused      without an exact source there is no such machine
"""

import os
import re

import payloads
import qemu
import system

# Not these, which measure long times or never end: a step takes a thousand instructions.
STEPPED = ("exceptions", "hlt", "mmio", "modes", "msr", "nmi", "ports", "reset_cf9", "reset_kbd",
           "reset_triple", "step")
SHAPED = ("exceptions", "hlt", "interrupts", "mmio", "modes", "msr", "nmi", "ports",
          "step")
STEP_TIMEOUT = 120
LANDINGS = int(os.environ.get("LANDINGS", "4000"))
LANDING_TIMEOUT = 120 + LANDINGS // 20
SEED = 7
# Spans of ticks to be single-stepped: the entry with its REP STOS, and the decompressor.
SPANS = ("0:60000", "2000000:60000", "13000000:60000")
LINE = re.compile(r"landing (\d+): ticks (\d+) rip .* (\d+) off, hash [0-9a-f]{16}$")


def cases(options):
    for name in STEPPED:
        yield "step/" + name, lambda directory, n=name: run_payload(
            options, n, directory, "step = all")
    for name in SHAPED:
        yield "shaped/" + name, lambda directory, n=name: run_payload(
            options, n, directory, "hardware_shaped = 11")
    yield "linux", lambda directory: run_linux(options, directory)
    yield "refused", lambda directory: run_refused(options, directory)


def payload_lines(options, name, directory, key, icount=True):
    os.makedirs(directory, exist_ok=True)
    command = payloads.guest_command(options, name, directory, log="info", icount=icount,
                                     keys=[key] if key else [])
    return qemu.run(command, os.path.join(directory, "serial.log"),
                    STEP_TIMEOUT * options.timeout_scale, until=b"[monitor: ")


def run_payload(options, name, directory, key):
    plain = payload_lines(options, name, os.path.join(directory, "plain"), None)
    other = payload_lines(options, name, os.path.join(directory, "other"), key)
    if other.status != 0:
        return "\n".join([other.describe()] + other.log_lines()[-10:])
    return payloads.compare(plain.guest_lines(), other.guest_lines(), [])


def run_refused(options, directory):
    result = payload_lines(options, "ports", directory, "step = all", icount=False)
    text = "\n".join(result.log_lines())
    if "no exact source" not in text or "cannot create the machine" not in text:
        return "not refused without icount:\n" + text
    return None


def linux_lines(options, directory, files, keys):
    """The lines of a run, or raises ValueError."""
    os.makedirs(directory, exist_ok=True)
    config = system.configuration(
        "console=ttyS0 cryptomgr.notests quiet", rtc_base=1704067200, host=[
            f"debug_exit = {qemu.DEBUG_EXIT}", "quit_on_exit = on"], machine=[
                f"landing_test = {SEED}:{LANDINGS}", *keys])
    command = system.pvh_command(options, directory, config, files, qemu)
    result = qemu.run(command, os.path.join(directory, "serial.log"),
                      LANDING_TIMEOUT * options.timeout_scale)
    found = [LINE.search(line) for line in result.log_lines()]
    found = [match for match in found if match]
    if result.timed_out or not found or int(found[-1].group(1)) != LANDINGS:
        raise ValueError("\n".join([f"{keys}: " + result.describe()] +
                                   result.log_lines()[-10:]))
    if int(found[-1].group(3)) != 0:
        raise ValueError(f"{keys}: missed positions: {found[-1].group(0)}")
    return [match.group(0) for match in found]


def run_linux(options, directory):
    os.makedirs(directory, exist_ok=True)
    files = system.linux_files(options, directory)
    runs = [["hardware_shaped = 3"]] + [[f"step = {span}"] for span in SPANS]
    try:
        expected = linux_lines(options, os.path.join(directory, "plain"), files, [])
        for number, keys in enumerate(runs):
            actual = linux_lines(options, os.path.join(directory, str(number)), files, keys)
            if actual != expected:
                different = [(a, b) for a, b in zip(expected, actual) if a != b]
                return f"{keys}: not as the plain run:\n" + "\n".join(different[0])
    except ValueError as error:
        return str(error)
    return None
