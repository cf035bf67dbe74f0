# SPDX-License-Identifier: BSD-2-Clause
"""Recordable machines repeat: payloads det_* print all that a machine tells them, absolute times
included, and each runs twice, under circumstances that differ in all that a host may decide.

  first    alone on a host
  second   on a host of another size, with other random numbers, on another day; another machine has
           the same core in turns, and whatever ends the guest's runs comes late, as on hardware

Both transcripts must be the same. Where they cannot be, the case tells what was different.
"""

import os
import re

import engines
import payloads
import qemu

TIMEOUT = 120
VCPUS = {"det_turns": 4}
SHAPE_SEED = 5
# What the emulators cannot keep from a guest, and why: docs/replay_determinism.md.
LEAKS = {
    ("svm", "det_tlb"): "what the TLB still has",
    ("vmx", "det_tlb"): "what the TLB still has",
    ("svm", "det_access"): "flags that the TLB holds back",
    ("vmx", "det_access"): "flags that the TLB holds back",
    ("svm", "det_pointers"): "QEMU's XSAVE stores no x87 pointers",
}
# Lines that a transcript must have, by payload and engine (None: any).
NEEDED = {
    ("det_cpuid", None): [r"the same everywhere = ok", r"7\.0 = .*"],
    ("det_devices", None): [r"pci 0\.0 = .*", r"cmos d = .*", r"port 3fd = 0x[0-9a-f]+ at \d+",
                            r"lapic 30 = .*"],
    ("det_memory", None): [r"pages in use = \d+, .*", r"beyond = 0xffffffffffffffff .*"],
    ("det_turns", None): [rf"{what} = ok" for what in ("race", "locks", "interrupts", "halts")],
    ("det_time", None): [r"it grows = ok", r"user = \d+, traps 0", r"user with TSD = 1 #13"],
    ("det_random", None): [r"cpuid\.rdrand = 0", r"cpuid\.rdseed = 0"],
    ("det_random", "vmx"): [rf"{ring}\.rd{kind}{bits} = #6 error 0x0 at"
                            for ring in ("kernel", "user") for kind in ("rand", "seed")
                            for bits in (16, 32, 64)],
    ("det_instructions", None): [r"monitor pdcm = 00", r"clzero rdpru mcommit invlpgb = 0000",
                                 r"kernel\.rdpmc_0 = #13 error 0x0 at",
                                 r"kernel\.mwait = #6 error 0x0 at",
                                 r"pt ptwrite waitpkg pku cet = 00000"],
    ("det_instructions", "vmx"): [rf"kernel\.{name} = #6 error 0x0 at"
                                  for name in ("umonitor", "umwait", "tpause", "vmfunc")],
    ("det_msrs", None): [r"again 0 to 200 = .*"],
    ("det_xsave", None): [r"offered = 0x7 0x0", r"x87\.xsave = in use .*"],
}


def names(top):
    folder = os.path.join(top, "tests", "guest")
    return sorted(entry[:-2] for entry in os.listdir(folder)
                  if entry.startswith("det_") and entry.endswith(".c"))


def cases(options, engine):
    """(name, function that runs it, its notes)"""
    for name in names(options.top):
        notes = []
        yield name, lambda directory, n=name, into=notes: run(options, engine, n, directory,
                                                              into), notes


def section(name, kernel, memory, keys):
    return "\n".join([f"[vm {name}]", f"memory = {memory}M", f"kernel = {kernel}", *keys, ""])


def transcript(options, engine, name, directory, elsewhere):
    """(lines of the payload, text of a failure or None)"""
    emulator = engines.EMULATORS[engine]
    keys = ["recordable = on", "rtc_base = 1704067200", f"vcpus = {VCPUS.get(name, 1)}"]
    config = f"[reprise]\nlog = error\ndebug_exit = {emulator.DEBUG_EXIT}\n"
    if elsewhere:
        keys.append(f"hardware_shaped = {SHAPE_SEED}")
    config += section("t", name, payloads.memory_mib(name), keys)
    kernels = [name]
    if elsewhere:
        config += section("other", "neighbour", 16, [])
        kernels.append("neighbour")
    members = [("reprise.ini", config.encode())]
    for kernel in kernels:
        with open(os.path.join(options.build, "guest", kernel + ".elf"), "rb") as file:
            members.append((kernel, file.read()))
    os.makedirs(directory)
    command = emulator.reprise_command(options, directory, qemu.cpio_newc(members),
                                       elsewhere=elsewhere)
    last = f"{name}: done"
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          TIMEOUT * options.timeout_scale, until=last.encode())
    lines = result.guest_lines()
    if last in lines:
        return lines[:lines.index(last)], None
    return lines, "\n".join([f"elsewhere: {elsewhere}", result.describe(), *lines[-5:],
                             *result.log_lines()[-10:]])


def run(options, engine, name, directory, notes):
    found = []
    for elsewhere in (False, True):
        lines, failure = transcript(options, engine, name,
                                    os.path.join(directory, str(elsewhere)), elsewhere)
        if failure is not None:
            return failure
        found.append(lines)
    for key in ((name, None), (name, engine)):
        for pattern in NEEDED.get(key, []):
            if not any(re.fullmatch(f"{name}: {pattern}", line) for line in found[0]):
                return f"no line like {pattern!r}\n" + "\n".join(found[0])
    difference = payloads.compare(*found, [])
    if (engine, name) not in LEAKS or difference is None:
        return difference
    notes.append(f"differs, by {LEAKS[engine, name]}:")
    notes += [line for line in difference.splitlines()
              if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return None
