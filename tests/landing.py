# SPDX-License-Identifier: BSD-2-Clause
"""Exact positions: single steps that the guest cannot see, and stops where they were asked for.

step/NAME    a payload of which every instruction is a single step: the plain run's transcript
shaped/NAME  the same with a hardware's skid
turns/NAME   a payload of several vcpus, which take turns at exact positions
linux        a Linux boot is stopped at random positions, and registers are hashed there: the same
             in a plain run, in one with skid, and where whole spans are single-stepped; none is
             missed. LANDINGS=N: how many (100,000 nightly)
refused      without an exact source there is no such machine
"""

import os
import re

import engines
import payloads
import system

# Not these, which measure long times or never end: a step takes a thousand instructions.
STEPPED = ("exceptions", "hlt", "mmio", "modes", "msr", "nmi", "ports", "reset_cf9", "reset_kbd",
           "reset_triple", "step")
SHAPED = ("exceptions", "hlt", "interrupts", "mmio", "modes", "msr", "nmi", "ports",
          "step")
TURNS = ("smp_atomic", "smp_idle", "smp_ipi", "smp_reset", "smp_start", "smp_tlb", "smp_xsave")
STEP_TIMEOUT = 120
LANDINGS = {engine: int(os.environ.get("LANDINGS", default))
            for engine, default in (("svm", "4000"), ("vmx", "2000"))}
SEED = 7
# Without CMPXCHG16B, whose flags QEMU gets wrong (docs/replay_determinism.md).
LINUX_CMDLINE = "console=ttyS0 cryptomgr.notests quiet clearcpuid=cx16"
# Spans of ticks to be single-stepped: the entry with its REP STOS, and the decompressor.
SPANS = {"svm": ("0:60000", "2000000:60000", "13000000:60000"),
         "vmx": ("0:30000", "6000000:30000")}
LANDINGS_PER_SECOND = 20  # at least
STEPS = re.compile(r"landing: (\d+) single steps of (\d+) TSC ticks$")
BENCH_LANDINGS = 1000
LINE = re.compile(r"landing (\d+): ticks (\d+) rip .* (\d+) off, hash [0-9a-f]{16}$")


def cases(options, engine):
    for name in STEPPED:
        yield "step/" + name, lambda directory, n=name: run_payload(
            options, engine, n, directory, "step = all")
    for name in SHAPED:
        yield "shaped/" + name, lambda directory, n=name: run_payload(
            options, engine, n, directory, "hardware_shaped = 11")
    for name in TURNS:
        yield "turns/" + name, lambda directory, n=name: payloads.run(
            options, n, "reprise", directory, engine=engine, keys=("step = 0:1",))
    yield "linux", lambda directory: run_linux(options, engine, directory)
    if engine == "svm":  # the other emulator always counts
        yield "refused", lambda directory: run_refused(options, directory)


def payload_lines(options, engine, name, directory, key, icount=True):
    os.makedirs(directory, exist_ok=True)
    command = payloads.guest_command(options, name, directory, log="info", engine=engine,
                                     icount=icount, keys=[key] if key else [])
    return engines.EMULATORS[engine].run(command, os.path.join(directory, "serial.log"),
                                         STEP_TIMEOUT * options.timeout_scale,
                                         until=b"[monitor: ")


def run_payload(options, engine, name, directory, key):
    plain = payload_lines(options, engine, name, os.path.join(directory, "plain"), None)
    other = payload_lines(options, engine, name, os.path.join(directory, "other"), key)
    if other.status != 0:
        return "\n".join([other.describe()] + other.log_lines()[-10:])
    return payloads.compare(plain.guest_lines(), other.guest_lines(), [])


def run_refused(options, directory):
    result = payload_lines(options, "svm", "ports", directory, "step = all", icount=False)
    text = "\n".join(result.log_lines())
    if "no exact source" not in text or "cannot create the machine" not in text:
        return "not refused without icount:\n" + text
    return None


def linux_run(options, engine, directory, files, keys, count):
    """(result, landings) of a run that missed none, or raises ValueError."""
    os.makedirs(directory, exist_ok=True)
    emulator = engines.EMULATORS[engine]
    config = system.configuration(
        LINUX_CMDLINE, rtc_base=1704067200, host=[
            f"debug_exit = {emulator.DEBUG_EXIT}", "quit_on_exit = on"], machine=[
                f"landing_test = {SEED}:{count}", *keys])
    command = system.pvh_command(options, directory, config, files, emulator)
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          (120 + count // LANDINGS_PER_SECOND) * options.timeout_scale)
    found = [LINE.search(line) for line in result.log_lines()]
    found = [match for match in found if match]
    if result.timed_out or not found or int(found[-1].group(1)) != count:
        raise ValueError("\n".join([f"{keys}: " + result.describe()] +
                                   result.log_lines()[-10:]))
    if int(found[-1].group(3)) != 0:
        raise ValueError(f"{keys}: missed positions: {found[-1].group(0)}")
    return result, [match.group(0) for match in found]


def linux_lines(options, engine, directory, files, keys):
    return linux_run(options, engine, directory, files, keys, LANDINGS[engine])[1]


def figures(options, engine, directory):
    """(name, value, unit) of a plain run: single steps for a thousand landings, and what one step
    takes from the decision to the end of its exit."""
    files = system.linux_files(options, directory)
    result, _ = linux_run(options, engine, directory, files, [], BENCH_LANDINGS)
    steps, ticks = next(filter(None, map(STEPS.search, result.log_lines()))).groups()
    yield "position.landing_steps", int(steps), "steps/1000"
    yield "position.step", int(ticks), "instructions"


def run_linux(options, engine, directory):
    os.makedirs(directory, exist_ok=True)
    files = system.linux_files(options, directory)
    runs = [["hardware_shaped = 3"]] + [[f"step = {span}"] for span in SPANS[engine]]
    try:
        expected = linux_lines(options, engine, os.path.join(directory, "plain"), files, [])
        for number, keys in enumerate(runs):
            actual = linux_lines(options, engine, os.path.join(directory, str(number)), files,
                                 keys)
            if actual != expected:
                different = [(a, b) for a, b in zip(expected, actual) if a != b]
                return f"{keys}: not as the plain run:\n" + "\n".join(different[0])
    except ValueError as error:
        return str(error)
    return None
