#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plants faults, one at a time, in a copy of the built tree, and demands that a suite fails.

    tests/planted.py [--filter REGEX] [--suite REGEX] [--texts]

tests/planted_devices.py and tests/planted_machine.py have them. Each names the suite, and the
filter of its cases, that must notice. With --texts no fault is planted: each one's text must be in
its file, once.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import planted_devices  # noqa: E402
import planted_machine  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

FAULTS = planted_devices.FAULTS + planted_machine.FAULTS


def text_problem(tree, file, old):
    """None where there is one place, and no more, that the fault may mean."""
    try:
        with open(os.path.join(tree, file), encoding="utf-8") as source:
            count = source.read().count(old)
    except OSError as error:
        return str(error)
    return None if count == 1 else f"the text is {count} times in {file}: {old!r}"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def planted(tree, file, old, new):
    path = os.path.join(tree, file)
    with open(path, encoding="utf-8") as source:
        text = source.read()
    write(path, text.replace(old, new, 1))
    try:
        yield
    finally:
        write(path, text)


def check_texts():
    """Faults that no longer fit the tree, a line each."""
    problems = [f"{name}: {problem}" for name, file, old, *_ in FAULTS
                if (problem := text_problem(TOP, file, old)) is not None]
    names = [fault[0] for fault in FAULTS]
    problems += [f"{name}: named twice" for name in sorted(set(names)) if names.count(name) > 1]
    return problems


def left_out(folder, names):
    """Not copied: what runs of the tests have left."""
    return [name for name in names if name == ".git" or
            (os.path.basename(folder) == "build" and name in ("tests", "nightly"))]


def run(command, tree):
    return subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


def targets(tree, suite, names):
    """What make builds for that suite."""
    if suite == "check":
        return ["all", "build/checks", "fuzzers"]
    if suite != "unit":
        return ["all", "build/reprise-log"]
    programs = sorted(os.listdir(os.path.join(tree, "build/unit")))
    return [f"build/unit/{program}" for program in programs if program.endswith("_test") and
            re.search(names, "unit/" + program.removesuffix("_test"))]


def build(tree, suite, names):
    return run(["make", "-j2", *targets(tree, suite, names)], tree)


def verdict(tree, file, old, new, suite, names):
    """None where the suite failed, as it must."""
    problem = text_problem(tree, file, old)
    if problem is not None:
        return problem
    command = ["tests/run.py", suite, "--filter", names, "--timeout-scale", "0.5"]
    if suite in ("check", "unit"):  # they take seconds; others have runs of their own
        sound = build(tree, suite, names)
        if sound.returncode == 0:
            sound = run(command, tree)
        if sound.returncode != 0:
            return "fails without it:\n" + sound.stdout.decode()[-1500:]
    with planted(tree, file, old, new):
        built = build(tree, suite, names)
        if built.returncode != 0 and suite != "check":
            return "does not build:\n" + built.stdout.decode()[-1500:]
        result = run(command, tree)
    if result.returncode == 0:
        return f"{suite} {names} passed"
    if b"nothing matched" in result.stdout:
        return f"no case of {suite} matches {names}"
    return None


def main():
    parser = argparse.ArgumentParser(description="Plants faults; the suites must fail.")
    parser.add_argument("--filter", default="", metavar="REGEX", help="of their names")
    parser.add_argument("--suite", default="", metavar="REGEX", help="those that it notices")
    parser.add_argument("--texts", action="store_true")
    options = parser.parse_args()
    if options.texts:
        problems = check_texts()
        print("\n".join(problems) or f"{len(FAULTS)} faults fit the tree")
        return 1 if problems else 0
    faults = [fault for fault in FAULTS
              if re.search(options.filter, fault[0]) and re.search(options.suite, fault[4])]
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        tree = os.path.join(work, "tree")
        shutil.copytree(TOP, tree, symlinks=True, ignore=left_out)
        for name, *fault in faults:
            problem = verdict(tree, *fault)
            failed += problem is not None
            print(f"ok planted/{name}: noticed" if problem is None
                  else f"FAIL planted/{name}: {problem}", flush=True)
    print(f"{len(faults) - failed} passed, {failed} failed")
    return 0 if failed == 0 and faults else 1


if __name__ == "__main__":
    sys.exit(main())
