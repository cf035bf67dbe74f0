# SPDX-License-Identifier: BSD-2-Clause
"""Payloads of tests/guest: run as a guest of Reprise and bare, compared with what is expected.

NAME.expect   the exact transcript; a line that starts with `~` is a regular expression
NAME.expect.py  instead of it: a script that leaves the transcript in LINES
NAME.bare     permitted differences on the bare emulator, one a line: REGEX  # REASON
              Each line that differs, missing or extra, must match one; each must be used.
NAME.guest    the same for the run under Reprise: defects of the emulator below it
NAME.vmx.bare, NAME.vmx.guest  instead of the two for the engine vmx, which has another emulator
"""

import difflib
import os
import re
import runpy

import engines
import qemu

# Where a payload runs. "cpus": as a guest on several CPUs that run at once, for those that have
# several vcpus, and for the one whose back end then has a CPU of its own.
# "plane": as a guest with a disk whose queue has a CPU of its own; "planes": with CPUs that run at
# once.
PLACES = ("reprise", "cpus", "plane", "planes", "bare")
TIMEOUT_SECONDS = 30
TIMEOUTS = {"bench": 120, "dev_uhci": 90, "uart_flood": 90, "timers": 60, "dev_rtc": 90}
MEMORY_MIB = 16  # a boot clears it
# bench wants many untouched blocks, det_memory looks at all of 64 MiB, and in less det_tlb tells
# nothing of what QEMU leaks.
GUEST_MEMORY_MIB = {"bench": 256, "det_memory": 64, "det_tlb": 64}
# What says little in a bare emulator, or ends it: expressions of names.
NOT_BARE = {
    "svm": r".*_disk|ide_cd|hot_unplug|q35_.*|virtio_.*",  # Reprise alone has it, or is given one
    "vmx": r"dev_.*"         # Bochs' devices differ in much, and Reprise does not use them
           r"|interrupts"    # its I/O APIC has no level-triggered interrupts that repeat
           r"|.*_disk|ide_cd|hot_unplug|q35_.*|virtio_.*"
           r"|mmio"          # it stops at an unaligned access to its local APIC
           r"|smp_.*",       # nothing names the CPUs: there is no ACPI
}
# Of devices that a payload is about.
DEVICES = {"usb_disk": ["usb = usb-hub"], "dev_uhci": ["usb = usb-kbd, usb-tablet, usb-hub"],
           "dev_vga": ["display = vga"],
           "q35_board": ["machine = q35", "test_disk = 4K"],
           "virtio_balloon": ["balloon = on"],
           "virtio_console": ["console_device = virtio"],
           "virtio_rng": ["rng = on"]}
# The same of QEMU's.
BARE_DEVICES = {"dev_uhci": ["piix3-usb-uhci,id=usb,addr=1.2", "usb-kbd,bus=usb.0,port=1",
                             "usb-hub,bus=usb.0,port=2", "usb-tablet,bus=usb.0,port=2.1"]}
# Of the configuration. QEMU's CPU cannot scale.
KEYS = {("vmx", "tsc"): ["tsc_khz = 150000"],
        **{(engine, "test_disk"): ["test_disk = 64K", "test_disk_delay = 1"]
           for engine in ("svm", "vmx")}}
FEATURES = {"cpu_la57": ",+la57"}  # of QEMU's CPU; all others see its model as it is
DISK = ["[disk tests]", "vm = {vm}", "medium = ram:64K", "test_delay = {seed}", ""]
IDE = [line for name in ("first", "second", "third")
       for line in (f"[disk {name}]", "vm = {vm}", "medium = ram:64K", "interface = ide",
                    "test_delay = {seed}", "")]
CD = ["[disk cd]", "vm = {vm}", "media = cdrom", "medium = ram:64K", "interface = ide",
      "test_delay = {seed}", ""]
AHCI = [line for name in ("first", "second")
        for line in (f"[disk {name}]", "vm = {vm}", "medium = ram:64K", "interface = ahci",
                     "test_delay = {seed}", "")]
USB = [line for name, keys in (("first", []), ("second", ["readonly = on"]))
       for line in (f"[disk {name}]", "vm = {vm}", "medium = ram:64K", "interface = usb",
                    "test_delay = {seed}", *keys, "")]
NICS = ["[nic a]", "vm = {vm}", "[nic b]", "vm = {vm}", ""]
VCPUS = {"smp_bench": 2, "smp_many": 64}  # the others that are named so have SMP_VCPUS
SMP_VCPUS = 4
HOST_CPUS = 4  # of the place "cpus"
CPUS = {"cpus": HOST_CPUS, "plane": 2, "planes": 2}
THREADS_TIMEOUT_SECONDS = 150  # where the emulator's CPUs run at once, and share this machine's
# Those that never end: for tests that stop them from outside. det_*: tests/det.py has them.
NOT_RUN = {"ahci_bench", "hostile_storm", "ide_bench", "neighbour", "net_pair", "plane_io",
           "ps2_typed", "typed", "uhci_bench",
           "virtio_bench"}
DIFFERENCE = re.compile(r"^(.*?)\s+# (\S.*)$")


def names(top):
    folder = os.path.join(top, "tests", "guest")
    found = {entry[:-2] for entry in os.listdir(folder) if entry.endswith(".c")}
    return sorted(name for name in found - NOT_RUN if not name.startswith("det_"))


def vcpus(name):
    return VCPUS.get(name, SMP_VCPUS if name.startswith("smp_") else 1)


def features(name, engine):
    return {"features": FEATURES[name]} if engine == "svm" and name in FEATURES else {}


def runs(name, place, engine):
    """Whether the payload says something there. QEMU alone is given several CPUs."""
    if place == "bare":
        return not re.fullmatch(NOT_BARE[engine], name)
    if place.startswith("plane"):
        return name in ("virtio_disk", "hot_unplug")
    return place != "cpus" or vcpus(name) > 1 or name in (
        "test_disk", "hot_unplug", "virtio_net")


def disk_section(name, machine, seed=1, plane=None, disk=()):
    """For the beginning of a payload's configuration. `plane`: the CPU that serves the disk.
    `disk`: more of its keys."""
    sections = {"ahci_disk": AHCI, "hot_unplug": DISK, "ide_cd": CD, "ide_disk": IDE,
                "usb_disk": USB, "virtio_disk": DISK,
                "virtio_net": NICS}.get(name, [])
    keys = [*disk] if plane is None else [f"dataplane = {plane}", *disk]
    return "\n".join(sections[:-1] + keys + sections[-1:]).format(vm=machine, seed=seed)


def read_lines(path):
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def read_expectation(base):
    if os.path.exists(base + ".expect.py"):
        return runpy.run_path(base + ".expect.py")["LINES"]
    return read_lines(base + ".expect")


def read_differences(path):
    """[(compiled regex, reason)]; a line without a reason is an error."""
    if not os.path.exists(path):
        return []
    found = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = DIFFERENCE.match(line)
        if match is None:
            raise ValueError(f"{path}:{number}: expected REGEX  # REASON")
        found.append((re.compile(match.group(1)), match.group(2)))
    return found


def match_patterns(expected, actual):
    """The actual lines, those that match an expected pattern replaced by it."""
    patterns = [(line, re.compile(line[1:])) for line in expected if line.startswith("~")]

    def canonical(line):
        for text, pattern in patterns:
            if pattern.fullmatch(line):
                return text
        return line

    return [canonical(line) for line in actual]


def compare(expected, actual, differences):
    """None, or why the transcript is not as expected."""
    actual = match_patterns(expected, actual)
    used = set()
    wrong = False
    for line in difflib.ndiff(expected, actual):
        if line[:2] not in ("- ", "+ "):
            continue
        hits = [i for i, (regex, _) in enumerate(differences) if regex.fullmatch(line[2:])]
        used.update(hits)
        wrong = wrong or not hits
    if wrong:
        return "\n".join(difflib.unified_diff(expected, actual, "expected", "actual", "", "", 2,
                                              lineterm=""))
    stale = [regex.pattern for i, (regex, _) in enumerate(differences) if i not in used]
    if stale:
        return "\n".join("listed difference did not occur: " + text for text in stale)
    return None


def memory_mib(name):
    return GUEST_MEMORY_MIB.get(name, MEMORY_MIB)


def guest_command(options, name, directory, memory=None, log="error", engine="svm", cpus=1,
                  keys=(), icount=True, plane=None, disk=()):
    emulator = engines.EMULATORS[engine]
    with open(os.path.join(options.build, "guest", name + ".elf"), "rb") as file:
        payload = file.read()
    config = (disk_section(name, "t", plane=plane, disk=disk) + "[reprise]\n"
              f"log = {log}\n"
              f"debug_exit = {emulator.DEBUG_EXIT}\n"
              "quit_on_exit = on\n"
              "[vm t]\n"
              f"memory = {memory or memory_mib(name)}M\n"
              f"vcpus = {vcpus(name)}\n"
              "kernel = payload.elf\n"
              "isa_debug_exit = on\n"
              "rtc_base = 1704067200\n")
    config += "".join(key + "\n" for key in [*KEYS.get((engine, name), []),
                                         *DEVICES.get(name, []), *keys])
    archive = qemu.cpio_newc([("reprise.ini", config.encode()), ("payload.elf", payload)])
    circumstances = {} if cpus == 1 and icount else {"icount": icount, "cpus": cpus}
    circumstances.update(features(name, engine))
    return emulator.reprise_command(options, directory, archive, **circumstances)


def bare_command(options, name, directory, engine):
    payload = os.path.join(options.build, "guest", name + ".elf")
    several = {"icount": False, "cpus": vcpus(name)} if vcpus(name) > 1 else {}
    several.update(features(name, engine))
    if "display = vga" in DEVICES.get(name, []):
        several["vga"] = True
    if name in BARE_DEVICES:
        several["devices"] = BARE_DEVICES[name]
    return engines.EMULATORS[engine].bare_command(options, directory, payload,
                                                  memory_mib(name), **several)


def run(options, name, place, directory, notes=None, engine="svm", keys=(),
        timeout_scale=1, log_needs=None, disk=()):
    """None, or the failure's text. `notes` receives the transcript's benchmark lines. `log_needs`:
    a regular expression that Reprise's log must match; it is at level info then."""
    base = os.path.join(options.top, "tests", "guest", name)
    vendor = "" if engine == "svm" else "." + engine
    if place != "bare":
        at_once = place in ("cpus", "planes")
        command = guest_command(options, name, directory, engine=engine, keys=keys,
                                log="info" if log_needs or at_once else "error",
                                cpus=CPUS.get(place, 1), icount=not at_once,
                                plane=1 if place.startswith("plane") else None, disk=disk)
        differences = read_differences(f"{base}{vendor}.guest")
    else:
        command = bare_command(options, name, directory, engine)
        differences = read_differences(f"{base}{vendor}.bare")
    timeout = TIMEOUTS.get(name, TIMEOUT_SECONDS)
    if vcpus(name) > 1 and place != "reprise":
        timeout = THREADS_TIMEOUT_SECONDS
    timeout *= options.timeout_scale * timeout_scale
    result = engines.EMULATORS[engine].run(command, os.path.join(directory, "serial.log"), timeout)
    lines = result.guest_lines()
    if notes is not None:
        notes += [line for line in lines if line.startswith("bench ")]
    problems = list(result.errors)
    if result.timed_out or result.status != 0:
        problems.append(result.describe())
    difference = compare(read_expectation(base), lines, differences)
    if difference is not None:
        problems.append(difference)
    if log_needs is not None and not any(map(log_needs.search, result.log_lines())):
        problems.append("not in the log: " + log_needs.pattern)
    if problems:
        problems += result.log_lines()[-10:]
    return "\n".join(problems) if problems else None
