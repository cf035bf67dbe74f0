# SPDX-License-Identifier: BSD-2-Clause
"""A Debian on a disk (tools/mkdebian.sh) boots by its machine's firmware, and keeps what it has
promised to keep when the power goes.

debian       by SeaBIOS: menu, login, files written until the power is cut; the check of the file
             system finds nothing, all that was synced is there; power-off; a boot recorded and
             replayed
debian-more  (nightly) the same by OVMF and with two vcpus, cut several times; while the machine is
             saved and loaded; brought back to a snapshot; recorded and replayed through a power
             cut; by OVMF with its variables in a partition, where what Linux puts there is after
             a restart

`ide`: the disk is one of an IDE controller, and is what hdparm and smartctl say. `q35`: the board
is one.

Each line of the check's log must be one of FSCK; Linux's warnings as in system.py.
"""

import hashlib
import mmap
import os
import random
import re
import time

import console
import flash
import monitor
import payloads
import qemu
import replay
import system

FIRMWARE = {"seabios": [("firmware/bios-256k.bin", "/usr/share/seabios/bios-256k.bin")],
            "ovmf": [("firmware/OVMF.fd", os.environ.get("OVMF", "/usr/share/ovmf/OVMF.fd"))],
            "pflash": [("firmware/" + name, os.path.join(flash.FOLDER, name))
                       for name in flash.FIRMWARE]}
# OVMF waits for whole seconds, for a keyboard above all: there an instruction takes eight
# nanoseconds, as in linux-uefi.
SHIFT = {"seabios": 0, "ovmf": 3, "pflash": 3}
EFIVARS = "/sys/firmware/efi/efivars"
# QEMU keeps what it has translated of a page until it is written, and looks at all of it with each
# write. A kernel that is loaded over another one takes minutes where there is much of that; when so
# much is full, all is forgotten.
TRANSLATED_MIB = 64
MIB = 1 << 20
MEMORY_MIB = 256  # of the guest
HOST_MIB = 96     # beside guests and images
MENU = r"The highlighted entry will be executed automatically"
SHELL = r"root@reprise:\S*# "
BOOT_SECONDS = 600
TIMEOUT = 1800
CHECKED = "f"  # the key of the menu's entry that checks the file system
KEPT = 40      # files, by the script `workload` of the image
SYNCED = re.compile(rb"^synced (\d+) ([0-9a-f]{64})\r", re.MULTILINE)
SUM = re.compile(r"^([0-9a-f]{64})  (\d+)$", re.MULTILINE)
# What the check may say after a power cut. The first and the last line must be there.
FSCK = (r"reprise-root: recovering journal",
        r"reprise-root: (Clearing orphaned inode \d+ .*|Orphan file .*)",
        r"reprise-root: Setting free (inodes|blocks) count to \d+ \(was \d+\)",
        r"reprise-root: \d+/\d+ files \(\d+\.\d% non-contiguous\), \d+/\d+ blocks")
# Status 1: something was mended, the superblock's counts at the least.
FSCK_FRAME = (r"|-+|Log of fsck .*|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}|"
              r"fsck exited with status code 1")
LOG_BYTES = 64 * MIB
DISK = "root"  # its name, and its serial number
IDE = ("interface = ide",)
Q35 = ("machine = q35",)
# Later than systemd's own date, which it would set the clock to.
EPOCH, EPOCH_ELSEWHERE = 1900000000, 1950000000


def cases(options, suite):
    """(name, function that runs it, its notes)"""

    def case(name, run, *arguments, **keys):
        notes = []
        return f"{suite}/{name}", lambda directory: run(options, directory, notes, *arguments,
                                                        **keys), notes

    if suite == "debian":
        yield case("seabios", run_cuts, "seabios", 1)
        yield case("replay", run_replay, "seabios", cut=False)
        yield case("ide", run_cuts, "seabios", 1, disk=IDE)
        yield case("q35", run_cuts, "seabios", 1, keys=Q35)
        return
    yield case("ovmf", run_cuts, "ovmf", 2)
    yield case("seabios-2", run_cuts, "seabios", 3, vcpus=2)
    yield case("ovmf-2", run_cuts, "ovmf", 2, vcpus=2)
    yield case("save-load", run_cuts, "seabios", 1, keys=["test_save_load = 300",
                                                          "test_save_load_memory = 100"],
               host_mib=2300)
    yield case("loadvm", run_loadvm, host_mib=2300)
    yield case("variables", run_variables)
    yield case("replay", run_replay, "seabios", cut=True)
    yield case("ovmf-replay", run_replay, "ovmf", cut=False)
    yield case("ide-ovmf", run_cuts, "ovmf", 2, vcpus=2, disk=IDE)
    yield case("ide-save-load", run_cuts, "seabios", 1, keys=["test_save_load = 300",
                                                              "test_save_load_memory = 100"],
               host_mib=2300, disk=IDE)
    yield case("ide-replay", run_replay, "seabios", cut=True, disk=IDE)
    yield case("q35-ovmf", run_cuts, "ovmf", 2, vcpus=2, keys=Q35)
    yield case("q35-save-load", run_cuts, "seabios", 1, keys=[
        *Q35, "test_save_load = 300", "test_save_load_memory = 100"], host_mib=2300)
    yield case("q35-replay", run_replay, "seabios", cut=True, machine=Q35)


def image_path():
    path = os.path.join(system.cache_directory(), "debian", "disk.img")
    if not os.path.exists(path):
        raise qemu.MissingTool(f"{path}: not found (tools/mkdebian.sh makes it)")
    return path


def mapped(path):
    if not os.path.exists(path):
        raise qemu.MissingTool(f"{path}: not found (run tools/deps.sh install)")
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def command(options, directory, firmware, host=(), machine=(), image=None, memory=MEMORY_MIB,
            host_mib=HOST_MIB, rtc_base=EPOCH, elsewhere=False, shift=None, disk=()):
    """Reprise with one machine, whose only disk is a copy of the image, with the keys `disk`.
    Instructions are counted, so that a busy build machine is no slow guest; an idle guest waits for
    somebody who types."""
    files = [(name, mapped(path)) for name, path in FIRMWARE[firmware]]
    config = "\n".join(["[reprise]", f"debug_exit = {qemu.DEBUG_EXIT}", *host, "[vm guest]",
                        f"memory = {memory}M", f"rtc_base = {rtc_base}",
                        f"firmware = {'seabios' if firmware == 'seabios' else 'ovmf'}",
                        *machine,
                        system.disk_section("image:disk.img", DISK, "guest", disk)])
    content = mapped(image or image_path())
    os.makedirs(directory, exist_ok=True)
    archive = os.path.join(directory, "esp.cpio")
    with open(archive, "wb") as file:
        for part in qemu.cpio_parts([("reprise.ini", config.encode()), *files,
                                     ("disk.img", content)]):
            file.write(part)
    # The image is there twice: in the archive, and as the disk.
    memory += 2 * len(content) // MIB + host_mib
    text = qemu.reprise_command(options, directory, None, memory=memory, icount=False,
                                elsewhere=elsewhere)
    text[text.index("-accel") + 1] += f",tb-size={TRANSLATED_MIB}"
    return text + [
        "-initrd", archive,
        "-icount", f"shift={SHIFT[firmware] if shift is None else shift},sleep=on"]


def terminal(options, directory, text, timeout=TIMEOUT):
    return console.Console(text, os.path.join(directory, "serial.log"),
                           timeout * options.timeout_scale)


def shell(line, text, seconds=60):
    """Types a command; what it printed."""
    line.send(text + "\r")
    line.expect(re.escape(text) + r"\r\n", seconds)
    begin = line.position
    end = line.expect(SHELL, seconds).start()
    return line.output[begin:end].decode("ascii", "backslashreplace").replace("\r", "")


def boot(line, key):
    """From the menu's entry to root's shell."""
    line.expect(MENU, BOOT_SECONDS)
    line.send(key)
    line.expect(r"login: ", BOOT_SECONDS)
    line.send("root\r")
    line.expect(r"Password: ")
    line.send("reprise\r")
    line.expect(SHELL, 60)


def dmesg_lines(line):
    """Of a message in several lines, dmesg pads all but the first."""
    lines, prefix = [], ""
    for text in shell(line, "dmesg -r").splitlines():
        match = re.match(r"<\d+>\[ *\d+\.\d+\] ", text)
        if match is not None:
            prefix = match.group()
        elif text.startswith(" " * len(prefix)):
            text = prefix + text[len(prefix):]
        lines.append(text)
    return lines


def check_dmesg(options, line, firmware, notes):
    folder = os.path.join(options.top, "tests", "system")
    names = ["dmesg.allow", "dmesg.smp.allow"] + ["dmesg.uefi.allow"] * (SHIFT[firmware] > 0)
    allowed = [difference for name in names
               for difference in payloads.read_differences(os.path.join(folder, name))]
    problems = system.check_dmesg(["=== dmesg begin", *dmesg_lines(line), "=== dmesg end"],
                                  allowed, [])
    failed = shell(line, "systemctl --failed --no-legend --plain").strip()
    if failed:
        problems.append("units that failed: " + failed)
    if problems:
        raise console.ConsoleError("\n".join(problems))
    notes.append(shell(line, "systemd-analyze | head -n 1").strip())


def content_hash(seed, number):
    """Of a file of the image's script `workload`."""
    size = (number * 7919 + seed * 104729) % 200000 + 1
    text = f"{seed} {number}\n".encode()
    return hashlib.sha256((text * (size // len(text) + 1))[:size]).hexdigest()


def promises(output, seed):
    """The highest number that was synced."""
    found = [(int(number), value.decode()) for number, value in SYNCED.findall(output)]
    if not found:
        raise console.ConsoleError("nothing was synced")
    for number, value in found:
        if value != content_hash(seed, number):
            raise console.ConsoleError(f"the file {number} had the hash {value} when it was new")
    return max(number for number, _ in found)


def write_a_while(line, rng, seed):
    """Starts the script, and comes back at a random moment."""
    line.send(f"workload {seed}\r")
    line.expect(rf"^synced {rng.randint(3, 60)} ", 300)
    time.sleep(rng.random())


def cut_power(line):
    monitor.to_monitor(line)
    monitor.command(line, "system_reset")
    line.send(console.ESCAPE)


def check_fsck(line):
    said = [text for text in shell(line, "cat /run/initramfs/fsck.log").splitlines()
            if not re.fullmatch(FSCK_FRAME, text)]
    odd = [text for text in said if not any(re.fullmatch(regex, text) for regex in FSCK)]
    if odd or len(said) < 2 or not re.fullmatch(FSCK[0], said[0]) or \
            not re.fullmatch(FSCK[-1], said[-1]):
        raise console.ConsoleError("\n".join(["the check of the file system says:", *said]))


def check_files(line, seed, last):
    """One file more may be on the way, and its line on the way to the console."""
    said = shell(line, "cd /srv/files; sha256sum *; cd", 120)
    sums = {int(number): value for value, number in SUM.findall(said)}
    for number in range(max(1, last - KEPT + 3), last + 1):
        if sums.get(number) != content_hash(seed, number):
            raise console.ConsoleError(f"the file {number} of {last} was synced, and now has the "
                                       f"hash {sums.get(number)}; there are {sorted(sums)}")


def power_off(line):
    line.send("poweroff\r")
    line.expect(monitor.PROMPT, 60)
    monitor.command(line, "info status", r"shutdown|powered off")
    line.send("quit\r")
    line.check_left()


def cut_and_check(line, rng, notes):
    """In a shell at the beginning and at the end."""
    seed = rng.randint(1, 999)
    begin = len(line.output)
    write_a_while(line, rng, seed)
    cut_power(line)
    boot(line, CHECKED)
    last = promises(line.output[begin:], seed)
    check_fsck(line)
    check_files(line, seed, last)
    notes.append(f"seed {seed}: cut behind file {last}")


def random_of(name):
    """QEMU_SEED changes it, as it changes QEMU's circumstances."""
    return random.Random(f"{name} {os.environ.get('QEMU_SEED', '0')}")


def check_ide(line):
    """What Linux's tools read is what the configuration says, and it can be trimmed."""
    sectors = os.path.getsize(image_path()) // 512
    wanted = {"hdparm -I /dev/sda": [f"Serial Number: +{DISK} *\n", "Checksum: correct",
                                     rf"LBA48 +user addressable sectors: +{sectors}\n",
                                     r"\*\s+Data Set Management TRIM"],
              "hdparm -W 0 /dev/sda; hdparm -W 1 /dev/sda": ["write-caching =  0 ",
                                                             "write-caching =  1 "],
              "smartctl -a /dev/sda": ["self-assessment test result: PASSED", "No Errors Logged",
                                       rf"Serial Number: +{DISK} *\n",
                                       r"SMART support is: Enabled"],
              "smartctl -t short /dev/sda; smartctl -l selftest /dev/sda": [
                  r"# 1\s+Short offline\s+Completed without error"],
              "fstrim -v /": ["bytes. trimmed"],
              "dmesg | grep ata1": [r"PATA max MWDMA2 cmd 0x1f0 ctl 0x3f6 .* irq 14",
                                    rf"ata1\.00: {sectors} sectors, multi \d+: LBA48"]}
    for text, regexes in wanted.items():
        said = shell(line, text)
        for regex in regexes:
            if re.search(regex, said) is None:
                raise console.ConsoleError(f"{text}: no {regex!r} in\n{said}")


def run_cuts(options, directory, notes, firmware, cuts, vcpus=1, keys=(), host_mib=HOST_MIB,
             disk=()):
    rng = random_of(f"{firmware} {vcpus} {keys} {disk}" if disk else f"{firmware} {vcpus} {keys}")
    text = command(options, directory, firmware, machine=[f"vcpus = {vcpus}", *keys],
                   host_mib=host_mib, disk=disk)
    with terminal(options, directory, text, TIMEOUT * (1 + cuts) * (4 if keys else 1)) as line:
        boot(line, "d")
        check_dmesg(options, line, firmware, notes)
        if shell(line, "nproc").strip() != str(vcpus):
            return f"the guest does not have {vcpus} CPUs"
        if disk:
            check_ide(line)
        for _ in range(cuts):
            cut_and_check(line, rng, notes)
        power_off(line)
    return None


def run_variables(options, directory, notes):
    """What Linux writes through efivarfs outlives Reprise. The disk, in RAM, does not."""
    disk = flash.disk_make(directory)
    text = command(options, directory, "pflash", machine=["pflash = partition:vars"]) + \
        flash.drive("vars", disk[0])
    name = f"{EFIVARS}/Reprise-{flash.GUID}"
    with terminal(options, directory, text) as line:
        boot(line, "d")
        check_dmesg(options, line, "pflash", notes)
        shell(line, f"mountpoint -q {EFIVARS} || mount -t efivarfs efivarfs {EFIVARS}")
        said = shell(line, f"printf '\\007\\0\\0\\0kept' >{name}; echo status $?")
        if said.strip() != "status 0":
            line.fail(f"Linux could not write a variable: {said}")
        flash.demand_kept(disk, "Reprise", "kept")
        flash.leave(line)
    with terminal(options, directory, text) as line:
        boot(line, "d")
        shell(line, f"mountpoint -q {EFIVARS} || mount -t efivarfs efivarfs {EFIVARS}")
        if shell(line, f"tail -c 4 {name}; echo").strip() != "kept":
            line.fail("the variable is gone")
        power_off(line)
    return None


def run_loadvm(options, directory, notes, host_mib):
    """The disk's contents come back with the machine's memory."""
    rng = random_of("loadvm")
    text = command(options, directory, "seabios", host_mib=host_mib)
    with terminal(options, directory, text) as line:
        boot(line, "d")
        seed = rng.randint(1, 999)
        write_a_while(line, rng, seed)
        monitor.to_monitor(line)
        monitor.command(line, "savevm here", timeout=120)
        begin = len(line.output)
        line.send(console.ESCAPE)
        line.expect(r"^synced (\d+) ", 60)
        time.sleep(5)
        monitor.to_monitor(line)
        monitor.command(line, "loadvm here", timeout=120)
        first = promises(line.output[begin:], seed)
        begin = len(line.output)
        line.send(console.ESCAPE)
        line.expect(r"^synced (\d+) ", 60)
        time.sleep(rng.random())
        cut_power(line)
        boot(line, CHECKED)
        last = promises(line.output[begin:], seed)
        check_fsck(line)
        check_files(line, seed, last)
        notes.append(f"came to file {first}, went back, and was cut behind file {last}")
        power_off(line)
    return None


def replay_command(options, directory, firmware, mode, log, machine=(), **keys):
    """Positions are ticks of an instruction each."""
    return command(options, directory, firmware, shift=0,
                   machine=[*machine, f"rr = {mode}", "rrfile = disk:0"], **keys) + [
        "-drive", f"file={log},format=raw,if=none,id=log,cache=unsafe",
        "-device", "virtio-blk-pci,drive=log"]


def record_and_replay(options, directory, notes, firmware, talk, **keys):
    """Of `talk`, with the guest from its power-on, and whether it is off in the end."""
    log = os.path.join(directory, "log.img")
    with open(log, "wb") as file:
        file.truncate(LOG_BYTES)
    here = os.path.join(directory, "record")
    text = replay_command(options, here, firmware, "record", log, **keys)
    with terminal(options, here, text) as line:
        if talk(line):
            line.expect(replay.RECORDED + "the machine ended", 120)
        else:
            monitor.to_monitor(line)
            monitor.command(line, "record stop", "recorded", 120)
        recorded = re.search(replay.RECORDED + "(as asked for|the machine ended)",
                             line.output.decode("ascii", "replace"))
    failure = replay.verify(options, log)
    if failure is not None:
        return failure
    here = os.path.join(directory, "replay")
    text = replay_command(options, here, firmware, "replay", log, elsewhere=True,
                          **keys | {"rtc_base": EPOCH_ELSEWHERE})
    with terminal(options, here, text) as line:
        line.expect(replay.REPLAYED + "|the last beacon that matched[^\r]*", TIMEOUT)
        match = re.search(replay.REPLAYED, line.output.decode("ascii", "replace"))
        if match is None or match.groups()[:2] != recorded.groups()[1:3]:
            line.fail(f"it was not replayed; recorded {recorded.group(0)}")
    notes.append(f"{recorded.group(1)} ticks, {recorded.group(2)} events, "
                 f"{recorded.group(4)} bytes; {match.group(3)} equal full hashes")
    return None


def run_replay(options, directory, notes, firmware, cut, disk=(), machine=()):
    """From power-on to the shell, or through a power cut to the shell behind it."""
    rng = random_of("replay")

    def talk(line):
        boot(line, "d")
        if cut:
            cut_and_check(line, rng, notes)
        else:
            write_a_while(line, rng, rng.randint(1, 999))

    return record_and_replay(options, directory, notes, firmware, talk, disk=disk,
                             machine=machine)
