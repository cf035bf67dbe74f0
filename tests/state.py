# SPDX-License-Identifier: BSD-2-Clause
"""Saving and loading whole machines: while payloads run, and beside a Linux guest.

state/NAME   the payload's transcript is the same when the machine is saved after every Nth exit,
             loaded into a fresh instance, compared, and goes on as that. Which exits these are is
             random, but the same each time. N is such that the machine is saved TIMES times: one
             save and load takes the emulators 2 to 20 ms. EVERY_EXIT are saved after every exit.
             STATE_EVERY=1 in the environment: all are, but for those that have more exits than
             TIMES_MOST.
state/step-NAME, state/shaped-NAME  the same of a machine whose position is kept
state/landing  one that is stopped at random positions has the same registers there
state/linux  savevm and loadvm at several moments of a Linux guest, which passes its self-test
"""

import os
import re

import console
import engines
import monitor
import payloads
import qemu
import system

TIMES = {"svm": 60, "vmx": 20}
TIMES_OF = {"smp_many": 20, "msr": 1250, "nmi": 1000}  # 64 vcpus; what only few exits have
TIMES_MOST = {"svm": 30000, "vmx": 5000}  # minutes for each
EVERY_EXIT = {"svm": ("hlt", "modes", "nmi", "reset_cf9"), "vmx": ()}
# A storm of NMIs meets a CPU that starts, and has no interrupt table yet: where the storm strikes
# depends on the time between exits, and a triple fault is right.
NOT_SAVED = ("smp_hostile",)
# Exits in thousands, about, on AMD-V and on VT-x; others have at most FEW.
THOUSANDS = {"bench": (17, 17), "cpu_debug": (13, 13), "cpu_delivery": (21, 22),
             "cpu_exceptions": (27, 28), "cpu_exceptions32": (21, 21), "cpu_io_rights": (52, 51),
             "cpu_msrs": (55, 55), "cpu_paging": (19, 20), "cpu_paging32": (19, 18),
             "cpu_policy": (14, 14), "cpu_strings": (18, 18), "cpu_syscalls": (11, 11),
             "cpu_tasks": (14, 14), "cpu_xsave": (5, 5), "dev_ioapic": (10, 6), "dev_kbd": (14, 8),
             "dev_lapic": (12, 12), "dev_lapic_modes": (9, 9), "dev_lapic_timer": (156, 21),
             "dev_pic": (12, 6), "dev_pit": (70, 15), "dev_pm": (109, 21),
             "dev_priority": (65, 13), "dev_rtc": (196, 33), "dev_uart": (113, 14),
             "hostile": (42, 42), "isolate": (15, 17), "mmio": (5, 5), "smp_atomic": (8, 6),
             "smp_bench": (6, 1), "smp_idle": (14, 5), "smp_ipi": (19, 7), "smp_many": (25, 26),
             "smp_start": (48, 7), "timers": (84, 9), "uart_flood": (131, 131)}
FEW = 5
# Clocks are compared to 1 %, and a fresh instance's first exit is slow: its caches are empty.
AT_LEAST = {"timers": {"svm": 53, "vmx": 2100}}
# A vcpu that waits for another exits at each PAUSE, however little time it gets in between: saved
# after each exit, none of them would get on.
AT_LEAST_SMP = 50
MEMORY = {"svm": 100, "vmx": 1000}  # every how many of these times with memory's contents
TIMEOUT_SCALE = 8  # over a plain run's
LINUX_TIMEOUT = 400
POSITION = {"step": "step = all", "shaped": "hardware_shaped = 11"}
POSITION_NAMES = ("hlt", "step")
POSITION_EVERY = {"step": 200, "shaped": 5}  # every instruction is a step, and exits
LANDINGS = 20
COST = re.compile(r"save_load: saved in (\d+) TSC ticks, loaded in (\d+)")


def every(name, engine):
    exits = THOUSANDS.get(name, (FEW, FEW))[engine == "vmx"] * 1000
    if "STATE_EVERY" in os.environ:
        wanted = max(int(os.environ["STATE_EVERY"]), -(-exits // TIMES_MOST[engine]))
    elif name in EVERY_EXIT[engine]:
        wanted = 1
    else:
        wanted = -(-exits // TIMES_OF.get(name, TIMES[engine]))
    if payloads.vcpus(name) > 1:
        wanted = max(wanted, AT_LEAST_SMP)
    return max(wanted, AT_LEAST.get(name, {}).get(engine, 1))


def keys(name, engine):
    # A second instance must fit into the machine below.
    memory = 0 if name in payloads.GUEST_MEMORY_MIB else MEMORY[engine]
    return (f"test_save_load = {every(name, engine)}", f"test_save_load_memory = {memory}")


def run_payload(options, name, directory, engine, disk=()):
    scale = TIMEOUT_SCALE * (4 if "STATE_EVERY" in os.environ else 1)
    return payloads.run(options, name, "reprise", directory, engine=engine,
                        keys=keys(name, engine), timeout_scale=scale, log_needs=COST,
                        disk=disk)


def run_position(options, name, directory, key):
    return payloads.run(options, name, "reprise", directory, timeout_scale=TIMEOUT_SCALE,
                        keys=(f"test_save_load = {POSITION_EVERY[key]}",
                              "test_save_load_memory = 0", POSITION[key]),
                        log_needs=COST)


def landings(options, directory, keys):
    os.makedirs(directory)
    command = payloads.guest_command(options, "timers", directory, log="info",
                                     keys=(f"landing_test = 7:{LANDINGS}", *keys))
    result = qemu.run(command, os.path.join(directory, "serial.log"),
                      240 * options.timeout_scale)
    lines = result.log_lines()
    found = [line for line in lines if f"landing {LANDINGS}:" in line]
    return found, "\n".join(lines[-10:]), any(map(COST.search, lines))


def run_landing(options, directory):
    plain, text, _ = landings(options, os.path.join(directory, "plain"), ())
    if not plain:
        return "no landings:\n" + text
    found, text, saved = landings(options, os.path.join(directory, "saved"),
                                  ("test_save_load = 5", "test_save_load_memory = 0"))
    if found != plain or not saved:
        return "\n".join(["expected:", *plain, "got:", *found, text])
    return None


def costs(options, directory, engine):
    """For the benchmarks: what saving and loading cost beside memory, in instructions."""
    command = payloads.guest_command(options, "reset_cf9", directory, log="info", engine=engine,
                                     keys=("test_save_load = 1", "test_save_load_memory = 0"))
    result = engines.EMULATORS[engine].run(command, os.path.join(directory, "state.log"), 120)
    match = COST.search("\n".join(result.log_lines()))
    if match is None:
        raise ValueError("no line about saving in the log")
    return int(match.group(1)), int(match.group(2))


def talk(terminal, notes):
    terminal.expect(monitor.SHELL, monitor.BOOT_SECONDS)
    monitor.shell(terminal, "x=1; echo $((x + 40))", r"^41\r")
    monitor.to_monitor(terminal)
    monitor.command(terminal, "info snapshots", r"There is no snapshot available")
    monitor.command(terminal, "savevm first")
    monitor.command(terminal, "info status", r"running")
    monitor.to_guest(terminal)
    monitor.shell(terminal, "x=100; touch /tmp/later; echo $((x + 40))", r"^140\r")
    monitor.to_monitor(terminal)
    monitor.command(terminal, "savevm second")
    notes += monitor.command(terminal, "info snapshots", r"second").strip().splitlines()
    monitor.command(terminal, "loadvm third", r"Error: .*third")
    monitor.command(terminal, "loadvm first")
    monitor.command(terminal, "info status", r"running")
    monitor.to_guest(terminal)
    monitor.shell(terminal, "ls /tmp/later; echo $((x + 50))", r"^51\r")
    monitor.to_monitor(terminal)
    monitor.command(terminal, "stop")
    monitor.command(terminal, "loadvm second")
    monitor.command(terminal, "info status", r"paused")
    monitor.command(terminal, "cont")
    monitor.to_guest(terminal)
    monitor.shell(terminal, "ls /tmp/later; echo $((x + 50))", r"^150\r")
    monitor.to_monitor(terminal)
    monitor.command(terminal, "delvm first")
    monitor.command(terminal, "loadvm first", r"Error: ")
    monitor.to_guest(terminal)
    terminal.send("/scripts/selftest\r")
    terminal.expect(r"reprise-selftest: ok", 120)
    monitor.to_monitor(terminal)
    terminal.send("quit\r")
    code = terminal.wait_exit()
    if code != 1:  # isa-debug-exit's answer to 0
        terminal.fail(f"quit: QEMU ended with {code}, expected 1")


def run_linux(options, directory, notes):
    files = system.linux_files(options, directory)
    config = system.configuration("console=ttyS0 cryptomgr.notests quiet",
                                  host=[f"debug_exit = {qemu.DEBUG_EXIT}"])
    command = system.pvh_command(options, directory, config, files, qemu, icount=False)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             LINUX_TIMEOUT * options.timeout_scale, qemu) as terminal:
            talk(terminal, notes)
    except console.ConsoleError as error:
        return str(error)
    return None


def cases(options, engine):
    """(name, run, notes) of each case."""
    for name in payloads.names(options.top):
        if payloads.runs(name, "reprise", engine) and name not in NOT_SAVED:
            yield (f"state/{name}",
                   lambda directory, n=name: run_payload(options, n, directory, engine), [])
    yield "state/virtio_disk-overlay", lambda directory: run_payload(
        options, "virtio_disk", directory, engine, ("snapshot = on",)), []
    if engine != "svm":
        return  # no exact source of positions; and one Linux guest will do
    for key in POSITION:
        for name in POSITION_NAMES:
            yield (f"state/{key}-{name}", lambda directory, k=key, n=name: run_position(
                options, n, directory, k), [])
    yield "state/landing", lambda directory: run_landing(options, directory), []
    notes = []
    yield "state/linux", lambda directory: run_linux(options, directory, notes), notes
