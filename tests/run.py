#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the test suites: checks, unit tests, payloads, real guests, benchmarks.

    tests/run.py SUITE... [--filter REGEX] [--on reprise|cpus|bare] [--keep]

A suite is a function that yields Case objects; see SUITES. Each case prints `ok NAME` or
`FAIL NAME` with its reason. The exit status is 0 only if every case passed and at least one ran.
"""

import argparse
import concurrent.futures
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402
import cd  # noqa: E402
import console  # noqa: E402
import debian  # noqa: E402
import det  # noqa: E402
import disk  # noqa: E402
import display  # noqa: E402
import engines  # noqa: E402
import faults  # noqa: E402
import flash  # noqa: E402
import guests  # noqa: E402
import hotplug  # noqa: E402
import host_disk  # noqa: E402
import keys  # noqa: E402
import landing  # noqa: E402
import log_tool  # noqa: E402
import machines  # noqa: E402
import net  # noqa: E402
import payloads  # noqa: E402
import plane  # noqa: E402
import qemu  # noqa: E402
import replay  # noqa: E402
import replay_places  # noqa: E402
import smp  # noqa: E402
import state  # noqa: E402
import system  # noqa: E402


class Case:
    """One test: `run(directory)` returns None, or the text of its failure."""

    def __init__(self, name, run, notes=None):
        self.name = name
        self.run = run
        self.notes = notes if notes is not None else []  # printed after `ok`


def suite_payloads(options, engine):
    names = payloads.names(options.top)
    if not names:
        raise ValueError("no payloads found in tests/guest")
    for name in names:
        for place in options.places:
            if not payloads.runs(name, place, engine):
                continue
            yield Case(f"{engines.prefix(engine)}{place}/{name}",
                       lambda directory, n=name, p=place: payloads.run(options, n, p, directory,
                                                                       engine=engine))


def suite_bench(options, engine):
    parts = [("bench", bench.run)]
    if engine == "svm":  # a Linux boots in seconds there
        parts.append(("bench-replay", bench.run_replay))
    for name, run in parts:
        notes = []
        yield Case(engines.prefix(engine) + name, lambda directory, run=run, notes=notes: run(
            options, directory, notes, engine), notes)


def suite_unit(options):
    """The unit tests that make has built."""
    folder = os.path.join(options.build, "unit")
    for program in sorted(entry for entry in os.listdir(folder) if entry.endswith("_test")):
        yield Case("unit/" + program.removesuffix("_test"),
                   lambda directory, p=os.path.join(folder, program): command_run([p], 300))


def suite_check(options):
    """What `make checks` lists: NAME<tab>COMMAND lines in build/checks."""
    for line in open(os.path.join(options.build, "checks"), encoding="utf-8"):
        name, command = line.rstrip("\n").split("\t", 1)
        yield Case("check/" + name,
                   lambda directory, c=command: command_run(["sh", "-c", c], 600, options.top))


def suite_log_tool(options):
    for name, run in log_tool.cases(options):
        yield Case("log-tool/" + name, run)


def suite_faults(options, engine):
    for name in faults.CASES[engine]:
        yield Case(engines.prefix(engine) + "faults/" + name,
                   lambda directory, n=name: faults.run(options, n, directory, engine))


def suite_machines(options):
    for name, run in machines.cases(options):
        if not name.endswith("-cores"):
            yield Case("machines/" + name, run)


def suite_machines_cores(options):
    for name, run in machines.cases(options):
        if name.endswith("-cores"):
            yield Case("machines/" + name, run)


def suite_net(options, engine):
    for name, run, notes in net.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}net/{name}", run, notes)


def suite_debian(name, options):
    for case, run, notes in debian.cases(options, name):
        yield Case(case, run, notes)


def suite_plane(name, options):
    for case, run, notes in plane.cases(options, name):
        yield Case(case, run, notes)


def suite_flash(name, options):
    for case, run, notes in flash.cases(options, name):
        yield Case(case, run, notes)


def suite_guests(options):
    for name, run, notes in guests.cases(options):
        yield Case("guests/" + name, run, notes)


def suite_smp(options, engine):
    for name, run in smp.cases(options, engine):
        yield Case(engines.prefix(engine) + "smp/" + name, run)


def suite_disk(options, engine):
    for cases in (disk.cases, host_disk.cases):
        for name, run in cases(options, engine):
            yield Case(f"{engines.prefix(engine)}disk/{name}", run)


def suite_cd(options, engine):
    for name, run in cd.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}cd/{name}", run)


def suite_display(options, engine):
    for name, run in display.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}display/{name}", run)


def suite_hotplug(options, engine):
    for name, run, notes in hotplug.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}hotplug/{name}", run, notes)


def suite_input(options, engine):
    for name, run, notes in keys.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}input/{name}", run, notes)


def suite_landing(options, engine):
    for name, run in landing.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}landing/{name}", run)


def suite_replay(options, engine):
    for cases in (replay.cases, replay_places.cases):
        for name, run, notes in cases(options, engine):
            yield Case(f"{engines.prefix(engine)}replay/{name}", run, notes)


def suite_det(options, engine):
    for name, run, notes in det.cases(options, engine):
        yield Case(f"{engines.prefix(engine)}det/{name}", run, notes)


def suite_system(name, options, engine):
    for case, run, notes in system.cases(options, name, engine):
        yield Case(engines.prefix(engine) + case, run, notes)


def suite_state(options, engine):
    for case, run, notes in state.cases(options, engine):
        yield Case(engines.prefix(engine) + case, run, notes)


def command_run(command, timeout, directory=None):
    """None, or the last lines of what the command printed."""
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=timeout, cwd=directory,
                                check=False)
    except subprocess.TimeoutExpired:
        return f"timed out after {timeout} s"
    if result.returncode == 0:
        return None
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-40:] + [f"exit status {result.returncode}"])


def suites_of_engine(engine):
    """{name: function}: payloads, bench and so on, or payloads-vmx, bench-vmx and so on."""
    found = {"payloads": suite_payloads, "bench": suite_bench, "faults": suite_faults,
             "smp": suite_smp, "landing": suite_landing, "det": suite_det, "state": suite_state,
             "cd": suite_cd, "disk": suite_disk, "display": suite_display, "hotplug": suite_hotplug,
             "input": suite_input, "net": suite_net, "replay": suite_replay}
    for name in system.SUITES[engine]:
        found[name] = functools.partial(suite_system, name)
    return {name + engines.suffix(engine): functools.partial(suite, engine=engine)
            for name, suite in found.items()}


SUITES = {"unit": suite_unit, "check": suite_check, "log-tool": suite_log_tool,
          "machines": suite_machines, "machines-cores": suite_machines_cores,
          "debian": functools.partial(suite_debian, "debian"),
          "debian-more": functools.partial(suite_debian, "debian-more"),
          "plane": functools.partial(suite_plane, "plane"),
          "plane-more": functools.partial(suite_plane, "plane-more"),
          "flash": functools.partial(suite_flash, "flash"),
          "flash-more": functools.partial(suite_flash, "flash-more"),
          "guests": suite_guests}
for ENGINE in engines.EMULATORS:
    SUITES.update(suites_of_engine(ENGINE))


def attempt(case, directory):
    """None, or the text of the failure."""
    try:
        return case.run(directory)
    except (qemu.MissingTool, console.ConsoleError) as error:
        return str(error)
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    except Exception:  # a defect of the test: the others shall run all the same
        return traceback.format_exc()


def emulator_defect(directory, failure):
    """None, or which of QEMU's defects with several CPUs at once ended the run
    (docs/folders/tests.md). A run on one CPU is repeatable: it would fail again."""
    try:
        with open(os.path.join(directory, "serial.log"), "rb") as file:
            serial = file.read()
    except OSError:
        return None
    if serial.count(b"reprise: Reprise ") > 1 and b"reprise: crash" not in serial:
        return "the emulated host has reset itself"
    if re.search(rf"exit code -{signal.SIGSEGV:d}$", failure, re.MULTILINE):
        return "the emulator ended by a segmentation fault"
    return None


def run_case(case, options):
    start = time.monotonic()
    for repeated in (False, True):
        directory = tempfile.mkdtemp(prefix=case.name.replace("/", "-") + "-", dir=options.work)
        failure = attempt(case, directory)
        defect = emulator_defect(directory, failure) if failure is not None else None
        if defect is None or repeated:
            break
        case.notes.append(f"repeated once: {defect} (kept: {directory})")
    if failure is not None:
        failure += f"\nkept: {directory}"
    elif not options.keep:
        shutil.rmtree(directory)
    return failure, time.monotonic() - start


def report(case, failure, seconds, count):
    verdict = "ok" if failure is None else "FAIL"
    print(f"{verdict} {case.name}  {count} {seconds:.1f} s")
    for note in case.notes:
        print(f"   {note}")
    if failure is not None:
        print("   " + failure.replace("\n", "\n   "))
    sys.stdout.flush()


def run_all(cases, options):
    """(passed, failed). Suites are not waited for: a long case keeps nobody idle but the last."""
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_case, case, options): case for case in cases}
        for future in concurrent.futures.as_completed(futures):
            failure, seconds = future.result()
            passed += failure is None
            failed += failure is not None
            report(futures[future], failure, seconds, f"[{passed + failed}/{len(cases)}]")
    return passed, failed


def parse_arguments(arguments):
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description="Runs the tests that need an emulator.")
    parser.add_argument("suites", nargs="+", choices=sorted(SUITES), metavar="SUITE",
                        help=", ".join(sorted(SUITES)))
    parser.add_argument("--filter", default="", metavar="REGEX", help="of the cases' names")
    parser.add_argument("--on", choices=payloads.PLACES, help="payloads: there alone")
    parser.add_argument("--keep", action="store_true", help="keep the files of passed cases too")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout-scale", type=float, default=1.0)
    parser.add_argument("--build", default=os.path.join(top, "build"))
    parser.add_argument("--image", help="default: BUILD/reprise.elf")
    options = parser.parse_args(arguments)
    options.top = top
    options.places = [options.on] if options.on else list(payloads.PLACES)
    options.image = options.image or os.path.join(options.build, "reprise.elf")
    options.work = os.path.join(options.build, "tests")
    os.makedirs(options.work, exist_ok=True)
    return options


def main(arguments):
    options = parse_arguments(arguments)
    cases = [case for name in options.suites for case in SUITES[name](options)
             if re.search(options.filter, case.name)]
    passed, failed = run_all(cases, options)
    print(f"{passed} passed, {failed} failed")
    if passed + failed == 0:
        print("nothing matched: that is a failure")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
