# SPDX-License-Identifier: BSD-2-Clause
"""Real guests, the monitor, and configurations that must be refused.

boot        every way in ends in the monitor, and the monitor's `quit` leaves
linux-pvh   Linux boots by PVH, tests the machine, reboots, tests again, powers off; the same on a
            Q35 (linux-q35), where PCI's interrupts have inputs of the I/O APIC
linux-uefi  the same from a disk by UEFI firmware
linux-smp   the same by PVH with four vcpus, on one CPU
linux-smp-more  on two CPUs, and on four
monitor     a Linux with a shell, and the monitor typed at; another with a virtio console
bad-config  every bad configuration is named, and the monitor is there afterwards

Linux's warnings must be listed in tests/system/dmesg.allow, those of several vcpus in
dmesg.smp.allow, those in Bochs in dmesg.vmx.allow, those of a slow host in dmesg.uefi.allow:
REGEX  # REASON.
"""

import glob
import os
import re
import subprocess

import bad_config
import bochs
import console
import engines
import monitor
import payloads
import qemu

FIRMWARE = os.environ.get("OVMF", "/usr/share/ovmf/OVMF.fd")
LINUX_TIMEOUT = 300
LINUX_SLOW_TIMEOUT = 1500  # several vcpus, or firmware in Bochs
MONITOR_TIMEOUT = 240
BOOT_TIMEOUT = 120
SELFTEST = "reprise-selftest: "
DMESG_LINE = re.compile(r"<(\d+)>\[ *\d+\.\d+\] (.*)")
WARNING = 4  # KERN_WARNING; smaller is worse
DATE = "2024-01-01"  # of qemu.base_command()
CMDLINE = ("console=ttyS0 cryptomgr.notests reprise.script=selftest reprise.reboot_once "
           f"reprise.date={DATE}")


def cases(options, suite, engine):
    """(name, run, notes) of each case of a suite: the arguments of Case."""
    if suite == "bad-config":
        for name, run in bad_config.cases(options, kernel_path(), engine):
            yield f"bad-config/{name}", run, []
        return
    if suite in SMP_CPUS[engine]:
        for cpus in SMP_CPUS[engine][suite]:
            notes = []
            yield (f"linux-smp/4-on-{cpus}",
                   lambda directory, c=cpus, n=notes: run_smp(options, directory, c, n, engine),
                   notes)
        return
    if suite == "boot":
        for way in ("pvh", "u-boot", "ovmf"):
            yield f"boot/{way}", lambda directory, w=way: run_boot(options, directory, w), []
        return
    notes = []
    emulator = engines.EMULATORS[engine]
    if suite == "monitor":
        yield "hvc", lambda directory: run_hvc(options, directory, emulator), []
    uefi = run_uefi if engine == "svm" else run_uefi_bochs
    if suite == "linux-pvh":
        yield "linux-q35", lambda directory, into=[]: run_pvh(
            options, directory, into, emulator, Q35, " pci=nomsi reprise.gsi=20"), []
    run = {"linux-pvh": run_pvh, "linux-uefi": uefi, "monitor": run_monitor}[suite]
    yield suite, lambda directory: run(options, directory, notes, emulator), notes


SMP_VCPUS = 4
Q35 = ("machine = q35",)
SMP_CPUS = {"svm": {"linux-smp": (1,), "linux-smp-more": (2, 4)},  # by suite
            "vmx": {"linux-smp": (1,), "linux-smp-more": (2,)}}  # whose CPUs take turns: slow
SUITES = {"svm": ("linux-pvh", "linux-uefi", *SMP_CPUS["svm"], "monitor", "bad-config"),
          "vmx": ("boot", "linux-pvh", "linux-uefi", *SMP_CPUS["vmx"], "monitor", "bad-config")}


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("REPRISE_CACHE") or os.path.join(base, "reprise")


def kernel_path():
    return os.path.join(cache_directory(), "linux", "vmlinuz")


def module_paths():
    return sorted(glob.glob(os.path.join(cache_directory(), "linux", "modules", "*.ko")))


def linux_files(options, directory):
    """{name: path} of the kernel and a fresh initramfs."""
    kernel = kernel_path()
    if not os.path.exists(kernel):
        raise qemu.MissingTool(f"{kernel}: not found (run tools/deps.sh guest)")
    initramfs = os.path.join(directory, "initramfs.cpio")
    run_tool([os.path.join(options.top, "tools", "mkinitramfs.sh"), initramfs] +
             module_paths())
    return {"vmlinuz": kernel, "initramfs.cpio": initramfs}


def run_tool(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        text = done.stdout.decode(errors="replace").strip()
        raise qemu.MissingTool(f"{os.path.basename(command[0])} failed: {text}")


def configuration(cmdline, host=(), rtc_base="host", machine=()):
    return "\n".join(["[reprise]", "log = info", *host, "[vm linux]", "memory = 256M", *machine,
                      "kernel = vmlinuz", "initrd = initramfs.cpio", f"rtc_base = {rtc_base}",
                      f"cmdline = {cmdline}", ""])


def disk_section(medium="ram:4M", name="data", vm="linux", keys=()):
    """For the end of a configuration, or its beginning."""
    return "\n".join([f"[disk {name}]", f"vm = {vm}", f"medium = {medium}", *keys, ""])


def pvh_command(options, directory, config, files, emulator, icount=True, cpus=1):
    members = [("reprise.ini", config.encode())]
    for name, path in files.items():
        with open(path, "rb") as file:
            members.append((name, file.read()))
    return emulator.reprise_command(options, directory, qemu.cpio_newc(members), memory=1024,
                                    icount=icount, cpus=cpus)


def run_pvh(options, directory, notes, emulator, machine=(), more=""):
    # Bochs' console is to be quiet; the self-test prints the kernel's log in any case.
    cmdline = CMDLINE if emulator is qemu else CMDLINE + " quiet"
    config = configuration(
        cmdline + " reprise.disk reprise.rng reprise.hpet=on" + more, rtc_base=1704067200,
        host=[f"debug_exit = {emulator.DEBUG_EXIT}", "quit_on_exit = on"],
        machine=["rng = on", *machine]) + disk_section()
    command = pvh_command(options, directory, config, linux_files(options, directory), emulator)
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          LINUX_TIMEOUT * options.timeout_scale)
    problems = [] if result.status == 0 else [result.describe() + ", expected debug exit 0"]
    return report(options, result, problems, notes, emulator.DMESG_ALLOWED)


def run_smp(options, directory, cpus, notes, engine, vcpus=SMP_VCPUS, plane=None):
    """In QEMU one CPU counts instructions; several run at once, each in a thread of its own.
    `plane`: the CPU that serves the disk."""
    emulator = engines.EMULATORS[engine]
    # Time goes on while the build machine is busy: ticks may come too late for Linux to count.
    late = " reprise.shared_time no_timer_check" if cpus > 1 else ""
    if cpus > 1 and engine == "vmx":  # whose serial port is slow: not all messages twice
        late += " quiet"
    config = configuration(
        f"{CMDLINE} reprise.disk reprise.cpus={vcpus}{late}", rtc_base=1704067200,
        host=[f"debug_exit = {emulator.DEBUG_EXIT}", "quit_on_exit = on"],
        machine=[f"vcpus = {vcpus}"]) + disk_section(
            keys=() if plane is None else (f"dataplane = {plane}",))
    command = pvh_command(options, directory, config, linux_files(options, directory), emulator,
                          icount=cpus == 1, cpus=cpus)
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          LINUX_SLOW_TIMEOUT * options.timeout_scale)
    problems = [] if result.status == 0 else [result.describe() + ", expected debug exit 0"]
    return report(options, result, problems, notes, emulator.DMESG_ALLOWED, "dmesg.smp.allow")


def disk_image(options, directory, text, files, table=("--gpt",)):
    """The path of a disk image with Reprise, `text` as its configuration, and the files."""
    config = os.path.join(directory, "reprise.ini")
    with open(config, "w", encoding="ascii") as file:
        file.write(text)
    disk = os.path.join(directory, "esp.img")
    run_tool([os.path.join(options.top, "tools", "mkesp.sh"), *table, disk,
              os.path.join(options.build, "BOOTX64.EFI"), config] +
             [f"{name}={path}" for name, path in files.items()])
    return disk


def run_uefi(options, directory, notes, _):
    """Without debug_exit: Reprise must power the machine off by ACPI."""
    if not os.path.exists(FIRMWARE):
        raise qemu.MissingTool(f"{FIRMWARE}: not found (install ovmf or set OVMF)")
    disk = disk_image(options, directory, configuration(
        CMDLINE + " reprise.hpet=off", host=["quit_on_exit = on"], machine=["hpet = off"]),
                      linux_files(options, directory))
    # The firmware waits for whole seconds: eight nanoseconds an instruction shorten that.
    command = qemu.base_command(memory=1024, icount=False) + [
        "-icount", "shift=3,sleep=off", "-bios", FIRMWARE,
        "-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on",
        "-device", "ide-hd,drive=disk,bootindex=0"]
    result = qemu.run(command, os.path.join(directory, "serial.log"),
                      LINUX_TIMEOUT * options.timeout_scale)
    problems = [] if result.code == 0 else [result.describe() + ", expected a power-off"]
    return report(options, result, problems, notes, "dmesg.uefi.allow")


def run_uefi_bochs(options, directory, notes, emulator):
    """By U-Boot: Bochs has no ACPI, hence the debug exit."""
    text = configuration(CMDLINE, host=[f"debug_exit = {emulator.DEBUG_EXIT}", "quit_on_exit = on"])
    disk = disk_image(options, directory, text, linux_files(options, directory))
    command = emulator.disk_command(options, directory, disk, ips=emulator.LINUX_IPS)
    result = emulator.run(command, os.path.join(directory, "serial.log"),
                          LINUX_SLOW_TIMEOUT * options.timeout_scale)
    problems = [] if result.status == 0 else [result.describe() + ", expected status 0"]
    return report(options, result, problems, notes, emulator.DMESG_ALLOWED)


def run_boot(options, directory, way):
    """In Bochs, where there is no ACPI; the machine that is configured waits."""
    with open(os.path.join(options.build, "guest", "cpuid.elf"), "rb") as file:
        payload = file.read()
    text = (f"[reprise]\ndebug_exit = {bochs.DEBUG_EXIT}\nconsole = monitor\n[vm t]\n"
            "memory = 64M\nkernel = payload.elf\nautostart = off\n")
    if way == "pvh":
        archive = qemu.cpio_newc([("reprise.ini", text.encode()), ("payload.elf", payload)])
        command = bochs.reprise_command(options, directory, archive)
    else:
        path = os.path.join(directory, "payload.elf")
        with open(path, "wb") as file:
            file.write(payload)
        disk = disk_image(options, directory, text, {"payload.elf": path}, table=())
        command = bochs.disk_command(options, directory, disk, way)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             BOOT_TIMEOUT * options.timeout_scale, bochs) as terminal:
            terminal.expect(r"^reprise: Reprise \d", BOOT_TIMEOUT)
            terminal.expect(r"^reprise: warning: no ACPI tables")
            terminal.expect(r"^reprise: clock: TSC \d+ kHz, .* by the PIT")
            terminal.expect(monitor.PROMPT)
            path = "PVH" if way == "pvh" else "UEFI"
            monitor.command(terminal, "info version", f"booted by {path}")
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def report(options, result, problems, notes, *more_allowed):
    """None, or the text of the failure."""
    lines = result.guest_lines()
    problems = problems + result.errors + check_selftest(lines)
    folder = os.path.join(options.top, "tests", "system")
    allowed = payloads.read_differences(os.path.join(folder, "dmesg.allow"))
    for name in more_allowed:
        if name is not None:
            allowed += payloads.read_differences(os.path.join(folder, name))
    problems += check_dmesg(lines, allowed, notes)
    if not problems:
        return None
    return "\n".join(problems + ["the console ends with:"] + result.log_lines()[-10:] + lines[-10:])


def check_selftest(lines):
    said = [line[len(SELFTEST):] for line in lines if line.startswith(SELFTEST)]
    problems = [line for line in said if "FAIL" in line]
    begins = [line for line in said if line.startswith("begin")]
    if begins != ["begin, boot 1", "begin, boot 2"]:
        problems.append(f"expected two boots, the self-test began with {begins}")
    if said.count("ok") != 2:
        problems.append(f"the self-test passed {said.count('ok')} times, expected 2")
    return problems


def dmesg_lines(lines):
    """What stands between the markers, of all boots."""
    inside = False
    found = []
    for line in lines:
        if line == "=== dmesg begin":
            inside = True
        elif line == "=== dmesg end":
            inside = False
        elif inside:
            found.append(line)
    return found


def check_dmesg(lines, allowed, notes):
    used = set()
    problems = []
    messages = dmesg_lines(lines)
    if not messages:
        return ["no kernel messages between the markers"]
    for line in messages:
        match = DMESG_LINE.fullmatch(line)
        if match is None:
            problems.append("not a line of dmesg -r: " + line)
            continue
        if int(match.group(1)) & 7 > WARNING:
            continue
        hits = [i for i, (regex, _) in enumerate(allowed) if regex.fullmatch(match.group(2))]
        used.update(hits)
        if not hits:
            problems.append("kernel warning: " + match.group(2))
    notes += ["allowed, did not occur: " + regex.pattern
              for i, (regex, _) in enumerate(allowed) if i not in used]
    return problems


def run_monitor(options, directory, notes, emulator):
    files = linux_files(options, directory)
    if not any(os.path.basename(path) == "button.ko" for path in module_paths()):
        raise qemu.MissingTool("button.ko: not found (run tools/deps.sh guest)")
    config = configuration("console=ttyS0 cryptomgr.notests quiet",
                           host=[f"debug_exit = {emulator.DEBUG_EXIT}"],
                           machine=["balloon = on"]) + disk_section()
    command = pvh_command(options, directory, config, files, emulator, icount=False)
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             MONITOR_TIMEOUT * options.timeout_scale, emulator) as terminal:
            monitor.talk(terminal, notes)
    except console.ConsoleError as error:
        return str(error)
    return None


def run_hvc(options, directory, emulator):
    """What is typed reaches the virtio console, and what the guest prints there is seen."""
    config = configuration("console=ttyS0 cryptomgr.notests quiet reprise.script=hvc",
                           host=[f"debug_exit = {emulator.DEBUG_EXIT}", "quit_on_exit = on"],
                           machine=["console_device = virtio"])
    command = pvh_command(options, directory, config, linux_files(options, directory), emulator,
                          icount=False)
    long = "abcdefghij" * 20  # more than the device keeps
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             MONITOR_TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(r"^hvc: ready\r", monitor.BOOT_SECONDS)
            for line in ("something", long, "end"):
                terminal.send(line + "\r")
                terminal.expect(rf"^hvc: got {line}\r", 20)
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None
