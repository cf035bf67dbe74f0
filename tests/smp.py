# SPDX-License-Identifier: BSD-2-Clause
"""All CPUs of the machine below: found in three ways, at work, and in a crash.

The image is build/smp_test.elf (tests/kernel/smp.c), which tests what the kernel offers to several
CPUs, but for `guest`, where Reprise itself runs a guest while its other CPUs sleep.
"""

import os
import re

import bochs
import console
import engines
import faults
import payloads
import qemu
import system

EXIT_PORT = 0xf4
TIMEOUT = 60
CRASH_STATUS = 0x7f  # of kernel/crash.c
TESTS = ("calls before the loop", "state", "calls from a fiber", "wakes", "messages", "timers",
         "memory", "tasks", "idle", "lines")
LINE = re.compile(r"reprise: smp_test: line (\d+) of CPU (\d+), the quick brown fox jumps over the "
                  r"lazy dog")
LINES = 40  # of each CPU

# name, CPUs, CPUs that must run, how they are found, lines of [reprise], with icount
STARTS = [
    ("one", 1, 1, "ACPI", [], False),
    ("two", 2, 2, "ACPI", [], False),
    ("four", 4, 4, "ACPI", [], False),
    ("eight", 8, 8, "ACPI", [], False),
    ("limit", 8, 3, "ACPI", ["cpus = 3"], False),
    ("limit-one", 4, 1, "by configuration", ["cpus = 1"], False),
    ("probe-one", 1, 1, "probe", ["cpus_from = probe"], False),
    ("probe-two", 2, 2, "probe", ["cpus_from = probe"], False),
    ("probe-eight", 8, 8, "probe", ["cpus_from = probe"], False),
    ("no-mp", 4, 1, "MP Services", ["cpus_from = mp"], False),
    ("in-turns", 3, 3, "ACPI", [], True),
    ("probe-in-turns", 3, 3, "probe", ["cpus_from = probe"], True),
]

# In Bochs, where nobody names the CPUs.
BOCHS_STARTS = [
    ("one", 1, 1, "probe", [], False),
    ("two", 2, 2, "probe", [], False),
    ("four", 4, 4, "probe", [], False),
    ("limit", 4, 3, "probe", ["cpus = 3"], False),
]

# name, what the report must begin with (CPU 3 is the last of four)
CRASHES = [
    ("assert", r"crash: assertion failed .* \(CPU 3\)"),
    ("locked", r"crash: assertion failed .* \(CPU 3\)"),
    ("stack", r"crash: #DF double fault .* on CPU 3"),
    ("all", r"crash: assertion failed .* \(CPU [0-3]\)"),
]


def configuration(lines):
    return "\n".join(["[reprise]", *lines, "[vm none]", "memory = 2M", "kernel = none", ""])


def command(options, directory, cpus, lines=(), command_line="", icount=False, engine="svm"):
    if engine == "vmx":
        lines = [*lines, f"debug_exit = {bochs.DEBUG_EXIT}"]
        archive = qemu.cpio_newc([("reprise.ini", configuration(lines).encode())])
        return bochs.pvh_command(options, directory, os.path.join(options.build, "smp_test.elf"),
                                 archive, 512, bochs.INSTRUCTIONS_PER_SECOND, cpus,
                                 command_line=command_line)
    archive = os.path.join(directory, "esp.cpio")
    with open(archive, "wb") as file:
        file.write(qemu.cpio_newc([("reprise.ini", configuration(lines).encode())]))
    return (qemu.base_command(icount=icount) + qemu.debug_exit(EXIT_PORT) +
            ["-smp", str(cpus), "-kernel", os.path.join(options.build, "smp_test.elf"),
             "-initrd", archive, "-append", command_line])


def run(options, directory, arguments, engine="svm"):
    return engines.EMULATORS[engine].run(arguments, os.path.join(directory, "serial.log"),
                                         TIMEOUT * options.timeout_scale)


def check_lines(log, cpus):
    """Lines of all CPUs, whole, each CPU's in order."""
    seen = {}
    for line in log:
        if ": line " in line:
            match = LINE.fullmatch(line)
            if match is None:
                return [f"a line is not whole: {line}"]
            seen.setdefault(int(match.group(2)), []).append(int(match.group(1)))
    wanted = {cpu: list(range(LINES)) for cpu in range(cpus)}
    return [] if seen == wanted else [f"lines by CPU: {seen}"]


def check(result, cpus, found_by):
    """The problems of a run that ought to have passed."""
    log = result.log_lines()
    problems = result.errors + check_lines(log, cpus)
    if result.timed_out or result.status != 0:
        problems.append(result.describe() + ", expected debug exit 0")
    start = f"reprise: smp: {cpus} CPU{'s' if cpus > 1 else ''} ({found_by}), "
    if sum(line.startswith(start) for line in log) != 1:
        problems.append(f"no line {start!r}")
    for name in TESTS:
        said = [line for line in log if line.startswith(f"reprise: smp_test: {name} = ")]
        if said != [f"reprise: smp_test: {name} = ok"]:
            problems.append(f"{name}: {said}")
    return problems


def report(result, problems):
    if not problems:
        return None
    log = [line for line in result.log_lines() if ": line " not in line]
    return "\n".join(problems + ["the log ends with:"] + log[-20:])


def run_start(options, directory, row, engine):
    _, cpus, running, found_by, lines, icount = row
    result = run(options, directory, command(options, directory, cpus, lines, icount=icount,
                                             engine=engine), engine)
    problems = check(result, running, found_by)
    problems += [f"not a line of the log: {line}" for line in result.guest_lines()]
    return report(result, problems)


def run_ghost(options, directory):
    """ACPI names a CPU that is not there: it is reported, and the others go on."""
    result = run(options, directory, command(options, directory, 3, command_line="ghost"))
    problems = check(result, 3, "ACPI")
    if "reprise: warning: smp: the CPU with APIC id 77 does not start" not in result.log_lines():
        problems.append("the missing CPU is not reported")
    return report(result, problems)


def run_uefi(options, directory, source, found_by):
    if not os.path.exists(system.FIRMWARE):
        raise qemu.MissingTool(f"{system.FIRMWARE}: not found (install ovmf or set OVMF)")
    config = os.path.join(directory, "reprise.ini")
    with open(config, "w", encoding="ascii") as file:
        file.write(configuration([f"cpus_from = {source}"]))
    disk = os.path.join(directory, "esp.img")
    system.run_tool([os.path.join(options.top, "tools", "mkesp.sh"), "--gpt", disk,
                     os.path.join(options.build, "smp_test.efi"), config])
    result = run(options, directory, qemu.base_command(icount=False) +
                 qemu.debug_exit(EXIT_PORT) +
                 ["-smp", "4", "-bios", system.FIRMWARE,
                  "-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on",
                  "-device", "ide-hd,drive=disk,bootindex=0"])
    return report(result, check(result, 4, found_by))


def run_la57(options, directory):
    """Five-level paging is on when the image is entered, and off on every CPU afterwards."""
    arguments = command(options, directory, 3)
    arguments[arguments.index("-cpu") + 1] += ",+la57"
    arguments[arguments.index("-kernel") + 1] = os.path.join(options.build, "la57_test.elf")
    result = run(options, directory, arguments)
    return report(result, check(result, 3, "ACPI"))


def check_crash(log, pattern):
    """One report, of the last CPU, with nothing of other CPUs in between."""
    begins = [i for i, line in enumerate(log) if "crash: " in line]
    if len(begins) != 1:
        return [f"{len(begins)} reports, expected one"]
    problems = []
    if re.fullmatch(f"reprise: error: {pattern}.*", log[begins[0]]) is None:
        problems.append(f"expected {pattern}, got {log[begins[0]]}")
    rest = log[begins[0]:]
    problems += [f"in the middle of the report: {line}" for line in rest
                 if not line.startswith(("reprise: error: ", "reprise: exit status "))]
    if "reprise: error: backtrace:" not in rest:
        problems.append("no backtrace")
    if any("cannot be stopped" in line for line in log):
        problems.append("a CPU could not be stopped")
    return problems


def run_crash(options, directory, kind, pattern, engine):
    result = run(options, directory, command(options, directory, 4, command_line=kind,
                                             engine=engine), engine)
    problems = check_crash(result.log_lines(), pattern)
    if result.timed_out or result.status != CRASH_STATUS:
        problems.append(result.describe() + f", expected debug exit {CRASH_STATUS}")
    return report(result, problems)


def run_nmi(options, directory):
    """The NMI button reaches all CPUs at once: one reports."""
    path = os.path.join(directory, "qmp")
    arguments = command(options, directory, 4, command_line="wait")
    log_path = os.path.join(directory, "serial.log")
    try:
        with console.Console(arguments + ["-qmp", f"unix:{path},server=on,wait=off"], log_path,
                             TIMEOUT * options.timeout_scale) as terminal:
            terminal.expect("smp_test: waiting")
            faults.qmp_execute(path, "inject-nmi")
            terminal.wait_exit(20)
            text = terminal.output.decode("ascii", "backslashreplace")
    except console.ConsoleError as error:
        return str(error)
    problems = check_crash(text.replace("\r", "").splitlines(), r"crash: NMI .* on CPU [0-3]")
    return "\n".join(problems) or None


def run_guest(options, directory):
    arguments = payloads.guest_command(options, "hlt", directory, log="info")
    at = arguments.index("-icount")
    del arguments[at:at + 2]
    result = run(options, directory, arguments + ["-smp", "4"])
    problems = list(result.errors)
    if not any(line.startswith("reprise: smp: 4 CPUs (ACPI)") for line in result.log_lines()):
        problems.append("the log does not name four CPUs")
    if "hlt: done" not in result.guest_lines() or result.status != 0:
        problems.append(f"the guest did not come to its end: {result.describe()}")
    return report(result, problems)


def cases(options, engine):
    """(name, run) of each case."""
    for row in STARTS if engine == "svm" else BOCHS_STARTS:
        yield row[0], lambda directory, r=row: run_start(options, directory, r, engine)
    for kind, pattern in CRASHES:
        yield f"crash-{kind}", lambda directory, k=kind, p=pattern: run_crash(
            options, directory, k, p, engine)
    if engine != "svm":  # no ACPI to name a CPU that is not there, no button
        return
    for source, found_by in (("mp", "MP Services"), ("probe", "probe")):
        yield f"uefi-{source}", lambda directory, s=source, f=found_by: run_uefi(
            options, directory, s, f)
    yield "la57", lambda directory: run_la57(options, directory)
    yield "ghost", lambda directory: run_ghost(options, directory)
    yield "crash-nmi", lambda directory: run_nmi(options, directory)
    yield "guest", lambda directory: run_guest(options, directory)
