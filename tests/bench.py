# SPDX-License-Identifier: BSD-2-Clause
"""Benchmarks: `bench ENGINE NAME VALUE UNIT`, one line a figure, held against tests/bench.baseline.

Instructions are exact: the emulator's counter advances once an instruction. A figure that grew by
more than GROWTH over the baseline fails, and so does one over its limit. What several CPUs do at
once, and what people wait for, is reported and held against nothing: units `ticks` and `ms`.
"""

import os
import re

import bench_replay
import engines
import landing
import payloads
import state

GROWTH = 0.02
NOT_HELD = ("ticks", "ms")
BOOT_MEMORY_MIB = 128
STARTED = re.compile(r"started (\d+) TSC ticks after the image; (\d+) KiB in use")
# Payload names to ours: with x2APIC where both are measured.
NAMES = {"exit.hlt_timer.x2apic": "exit.hlt_timer", "exit.self_ipi.x2apic": "exit.self_ipi"}


HANDLED = re.compile(r"; (\d+) exits, and events, took (\d+)")
SERVED = re.compile(r"in \d+ rounds, (\d+) TSC ticks")
CPUS_STARTED = re.compile(r"smp: (\d+) CPUs .*, (\d+) TSC ticks")


def payload(options, directory, name, place, engine):
    """(figure, value) as the payload prints them."""
    notes = []
    failure = payloads.run(options, name, place, directory, notes, engine)
    if failure is not None:
        raise ValueError(failure)
    for note in notes:
        _, figure, value = note.split()
        yield figure, int(value)


def exits(options, directory, engine):
    for name, value in payload(options, directory, "bench", "reprise", engine):
        yield NAMES.get(name, name), value, "instructions"


def smp(options, directory, engine):
    """Two vcpus on one CPU; on several CPUs; and how long those take to start."""
    for name, value in payload(options, directory, "smp_bench", "reprise", engine):
        yield name, value, "instructions"
    for name, value in payload(options, directory, "smp_bench", "cpus", engine):
        yield f"{name}.{payloads.HOST_CPUS}_cpus", value, "ticks"
    command = payloads.guest_command(options, "smp_bench", directory, log="info", engine=engine,
                                     cpus=payloads.HOST_CPUS, icount=False)
    result = engines.EMULATORS[engine].run(command, os.path.join(directory, "start.log"), 60)
    match = CPUS_STARTED.search("\n".join(result.log_lines()))
    if match is None or int(match.group(1)) != payloads.HOST_CPUS:
        raise ValueError("no line about the CPUs in the log")
    yield f"smp.start.{payloads.HOST_CPUS}_cpus", int(match.group(2)), "ticks"


def boot(options, directory, engine):
    """Entry to guest, and memory, with 128 MiB of guest RAM."""
    command = payloads.guest_command(options, "cpuid", directory, memory=BOOT_MEMORY_MIB,
                                     log="info", engine=engine)
    result = engines.EMULATORS[engine].run(command, os.path.join(directory, "boot.log"), 60)
    match = STARTED.search("\n".join(result.log_lines()))
    if match is None:
        raise ValueError("no line about the start in the log")
    yield "boot.entry_to_guest", int(match.group(1)), "instructions"
    yield "memory.overhead", int(match.group(2)) * 1024, "bytes"


def disk_totals(options, directory, engine, name, end, cmdline, keys=(), cpus=1):
    """(exits, ticks) of a whole run of the payload, which says `end`; those of the core that serves
    the disk too. `keys`: of the disk."""
    command = payloads.guest_command(
        options, name, directory, log="info", engine=engine, cpus=cpus, icount=True,
        keys=["cmdline = " + cmdline, "[disk tests]", "vm = t", "medium = ram:256K", *keys])
    result = engines.EMULATORS[engine].run(command, os.path.join(directory, name + ".log"), 60)
    lines = "\n".join(result.log_lines())
    match = HANDLED.search(lines)
    if match is None or f"{name}: status = {end}" not in result.guest_lines():
        raise ValueError(f"{name}: " + result.describe())
    served = SERVED.search(lines)
    return int(match.group(1)), int(match.group(2)) + (int(served.group(1)) if served else 0)


def virtio(options, directory, engine):
    """Requests of 4 KiB, so many at once: what one costs, by what 3,200 or 100 more of them do.
    `dataplane`: another core serves the queue; `polled`: and the driver looks for answers."""
    kinds = {"virtio": (1, [""]), "dataplane": (2, ["", "dataplane = 1"]),
             "polled": (2, ["poll=1", "dataplane = 1"])}
    for kind, (cpus, keys) in kinds.items():
        for option, depth in ((1, 1), (2, 32)):
            totals = [disk_totals(options, directory, engine, "virtio_bench", "0",
                                  f"depth={option} rounds={rounds} {keys[0]}", keys[1:], cpus)
                      for rounds in (1, 2)]
            count, ticks = (after - before for before, after in zip(*totals))
            yield f"io.{kind}.{depth}.exits", count * 1000 // (100 * depth), "thousandths"
            yield f"io.{kind}.{depth}.instructions", ticks // (100 * depth), "instructions"


def ide(options, directory, engine):
    """The same from an IDE disk, as Linux's driver asks for them."""
    totals = [disk_totals(options, directory, engine, "ide_bench", "0x50", f"rounds={rounds}",
                          ["interface = ide"]) for rounds in (1, 2)]
    count, ticks = (after - before for before, after in zip(*totals))
    yield "io.ide.1.exits", count * 10, "thousandths"
    yield "io.ide.1.instructions", ticks // 100, "instructions"


def ahci(options, directory, engine):
    """The same from an AHCI disk: with the accesses of Linux's driver, and with one for all."""
    for kind, option, depth, batch in (("", 1, 1, 0), ("", 2, 32, 0), (".batch", 2, 32, 1)):
        totals = [disk_totals(options, directory, engine, "ahci_bench", "0x50",
                              f"depth={option} rounds={rounds} batch={batch}",
                              ["interface = ahci"]) for rounds in (1, 2)]
        count, ticks = (after - before for before, after in zip(*totals))
        yield f"io.ahci{kind}.{depth}.exits", count * 1000 // (100 * depth), "thousandths"
        yield f"io.ahci{kind}.{depth}.instructions", ticks // (100 * depth), "instructions"


def usb(options, directory, engine):
    """A keyboard that nobody uses, by what a tenth of a second more of it costs: while the
    controller runs, for each frame; and of a second in which it is suspended."""
    for kind, suspend, parts in (("frame", 0, 100), ("idle", 1, 0.1)):
        totals = []
        for rounds in (1, 3):
            command = payloads.guest_command(
                options, "uhci_bench", directory, log="info", engine=engine,
                keys=[f"cmdline = rounds={rounds} halted={suspend}", "usb = usb-kbd"])
            result = engines.EMULATORS[engine].run(
                command, os.path.join(directory, "uhci_bench.log"), 60)
            match = HANDLED.search("\n".join(result.log_lines()))
            if match is None or "uhci_bench: status = 0x88" not in result.guest_lines():
                raise ValueError("uhci_bench: " + result.describe())
            totals.append(int(match.group(2)))
        yield f"usb.{kind}", int((totals[1] - totals[0]) / 2 / parts), "instructions"


def measure(options, directory, engine):
    yield from exits(options, directory, engine)
    yield from virtio(options, directory, engine)
    yield from ide(options, directory, engine)
    yield from ahci(options, directory, engine)
    yield from usb(options, directory, engine)
    yield from boot(options, directory, engine)
    saved, loaded = state.costs(options, directory, engine)
    yield "state.save", saved, "instructions"
    yield "state.load", loaded, "instructions"
    yield from landing.figures(options, engine, directory)
    if engine != "svm":
        return  # there is one image for all, and QEMU alone has several CPUs
    yield from smp(options, directory, engine)
    efi = os.path.join(options.build, "BOOTX64.EFI")
    yield "image.size", os.path.getsize(efi), "bytes"


def read_baseline(path, engine):
    """{name: (value, limit or None)} of one engine"""
    found = {}
    for line in payloads.read_lines(path):
        if line.startswith(f"bench {engine} "):
            words = line.split()
            limit = int(words[6]) if len(words) == 7 else None
            found[words[2]] = (int(words[3]), limit)
    return found


def hold(options, notes, engine, figures, mine):
    """None, or the failure's text: of figures, and of those in the baseline whose names `mine`
    matches. `notes` receives the lines."""
    baseline = read_baseline(os.path.join(options.top, "tests", "bench.baseline"), engine)
    problems = []
    measured = set()
    for name, value, unit in figures:
        notes.append(f"bench {engine} {name} {value} {unit}")
        if unit in NOT_HELD:
            continue
        measured.add(name)
        if name not in baseline:
            problems.append(f"{name}: not in tests/bench.baseline")
            continue
        before, limit = baseline[name]
        if value > before * (1 + GROWTH):
            problems.append(f"{name}: {value}, over the baseline's {before} by more than "
                            f"{GROWTH:.0%}")
        if limit is not None and value > limit:
            problems.append(f"{name}: {value}, over the limit of {limit}")
    problems += [f"{name}: not measured" for name in baseline
                 if mine(name) and name not in measured]
    if problems:
        return "\n".join(notes + problems)
    return None


def run(options, directory, notes, engine):
    return hold(options, notes, engine, measure(options, directory, engine),
                lambda name: not name.startswith("replay."))


def run_replay(options, directory, notes, engine):
    return hold(options, notes, engine, bench_replay.figures(options, directory, engine),
                lambda name: name.startswith("replay."))
