# SPDX-License-Identifier: BSD-2-Clause
"""Bochs as the machine that tests run on, for its VMX: beside qemu.py, with the same functions.

With count=1 the TSC advances once an instruction, and two runs are identical. An image boots
  reprise_command, bare_command  without firmware: memory is filled before the first instruction
                                 (tests/guest/lib/rom.S)
  disk_command                   by firmware, from a disk
Bochs' own screen is a terminal that nobody looks at. Debian's build has the debugger, which `-rc`
tells to run on. The machine ends itself through port 0x8900, a panic or a triple fault end Bochs.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import time

import qemu

BOCHS = os.environ.get("BOCHS", "bochs-bin")
FIRMWARES = {
    "ovmf": os.environ.get("OVMF", "/usr/share/ovmf/OVMF.fd"),
    "u-boot": "u-boot.rom",  # in the folder of built files
}
VGA_ROM = "/usr/share/bochs/VGABIOS-lgpl-latest"
DEBUG_EXIT = "bochs"  # the value of reprise.ini's debug_exit
DMESG_ALLOWED = "dmesg.vmx.allow"  # beside dmesg.allow
CAN_POWER_OFF = False  # no firmware here publishes ACPI tables
INSTRUCTIONS_PER_SECOND = 100_000_000  # of the machine's time: the TSC's frequency too
LINUX_IPS = INSTRUCTIONS_PER_SECOND  # below firmware: fewer, and it cannot measure the TSC
FIRMWARE_IPS = 3_000_000  # firmware waits for whole seconds
CONNECT_SECONDS = 20
EPOCH = 1704067200  # 2024-01-01, as in qemu.py
ELSEWHERE_EPOCH = 1935817689
ELSEWHERE_MIB = 126
LEFT = "Shutdown port: shutdown requested"
STATUS = re.compile(rb"^reprise: exit status (\d+)\r?$", re.MULTILINE)
PANIC = re.compile(r">>PANIC<< (.*)")

# tests/guest/lib/rom.S
ENTRY, START_INFO = 0xff8, 0x1000
MODULES, MEMORY_MAP = START_INFO + 0x100, START_INFO + 0x200
COMMAND_LINE = START_INFO + 0x300
PVH_MAGIC, PVH_VERSION, PVH_RAM, PVH_RESERVED = 0x336ec578, 1, 1, 2
PVH_ENTRY_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY
HOLE, HOLE_END = 0xa0000, 0x100000  # not RAM
LOW_RAM_END = 0x9f000
MIB = 1 << 20


class Result(qemu.Result):
    """What a run left behind. `status` is what Reprise said it left with; None: Bochs was ended by
    something else than port 0x8900."""

    def __init__(self, serial, process_code, timed_out, seconds, panics):
        super().__init__(serial, process_code, timed_out, seconds,
                         [f"Bochs: {text}" for text in panics if text != LEFT])
        said = STATUS.findall(serial)
        left = LEFT in panics and not timed_out
        self.status = (int(said[-1]) if said else 0) if left else None
        self.left = left

    def describe(self):
        if self.timed_out:
            return super().describe()
        return f"left with status {self.status}" if self.left else f"exit code {self.code}"


def memory_mib(memory):
    return int(memory) + 18 * int(os.environ.get("QEMU_SEED", "0"))


def elf_image(path):
    """(address, bytes, PVH entry point) of an ELF64 executable."""
    with open(path, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = []
    entry = None
    for i in range(count):
        kind, _, at, _, physical, in_file, in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", data, offset + i * size)
        if kind == 1:
            segments.append((physical, data[at:at + in_file].ljust(in_memory, b"\0")))
        elif kind == 4:
            entry = entry or elf_note(data[at:at + in_file])
    start = min(address for address, _ in segments)
    image = bytearray(max(address + len(text) for address, text in segments) - start)
    for address, text in segments:
        image[address - start:address - start + len(text)] = text
    return start, bytes(image), entry


def elf_note(notes):
    while len(notes) >= 12:
        name_size, size, kind = struct.unpack_from("<III", notes)
        at = 12 + (name_size + 3 & ~3)
        if kind == PVH_ENTRY_NOTE:
            return int.from_bytes(notes[at:at + size], "little")
        notes = notes[at + (size + 3 & ~3):]
    return None


def pvh_memory(image, module, memory_bytes, command_line=""):
    """The bytes of RAM from address 0 on, as a PVH loader leaves them; there is no hole in them."""
    address, text, entry = elf_image(image)
    end = address + len(text)
    module_at = end + 0xfff & ~0xfff
    if module is not None:
        end = module_at + len(module)
    if end > memory_bytes:
        raise ValueError(f"{end} bytes do not fit into {memory_bytes}")
    memory = bytearray(end)
    memory[address:address + len(text)] = text
    struct.pack_into("<II", memory, ENTRY, entry, end)
    struct.pack_into("<IIIIQQQQII", memory, START_INFO, PVH_MAGIC, PVH_VERSION, 0,
                     int(module is not None), MODULES, COMMAND_LINE, 0, MEMORY_MAP, 3, 0)
    text = command_line.encode("ascii") + b"\0"
    memory[COMMAND_LINE:COMMAND_LINE + len(text)] = text
    ranges = ((0, LOW_RAM_END, PVH_RAM), (HOLE_END, memory_bytes - HOLE_END, PVH_RAM),
              (HOLE, HOLE_END - HOLE, PVH_RESERVED))
    for i, (start, size, kind) in enumerate(ranges):
        struct.pack_into("<QQII", memory, MEMORY_MAP + 24 * i, start, size, kind, 0)
    if module is not None:
        struct.pack_into("<QQQQ", memory, MODULES, module_at, len(module), 0, 0)
        memory[module_at:] = module
    return bytes(memory[:HOLE] + memory[HOLE_END:])


CHANNELS = {
    "ata0": "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
    "ata1": "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15",
}


def disk_lines(disks):
    """Of {place: (path, mode)}, as in {"ata0-master": ("a.img", "flat")}."""
    used = {place.partition("-")[0] for place in disks}
    return ([CHANNELS[channel] for channel in sorted(used)] +
            [f"{place}: type=disk, path={path}, mode={mode}"
             for place, (path, mode) in disks.items()])


def write_machine(directory, memory, ips, lines, cpus=1, resets=False, epoch=EPOCH):
    """Bochs' command line; its files are in the folder. `resets`: at a triple fault, which ends
    Bochs otherwise."""
    def path(name):
        return os.path.join(directory, name)

    with open(path("bochs.rc"), "w", encoding="ascii") as file:
        file.write("c\n" * (2 if resets else 1))  # the debugger stops after a triple fault
    with open(path("bochsrc"), "w", encoding="ascii") as file:
        file.write("\n".join([
            f"megs: {memory}",
            f"cpu: model=corei7_skylake_x, count={cpus}, ips={ips}, "
            f"reset_on_triple_fault={int(resets)}",
            "pci: enabled=1, chipset=i440fx",
            "display_library: term",
            f"clock: sync=none, time0={epoch}",
            "sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
            f"log: {path('bochs.log')}",
            "panic: action=fatal", "error: action=ignore", "info: action=ignore",
            "debug: action=ignore", "debugger_log: -", *lines, ""]))
    return [qemu.require(BOCHS, "install bochs and bochs-term, or set BOCHS"), "-q", "-unlock",
            "-f", path("bochsrc"), "-rc", path("bochs.rc")]


def pvh_command(options, directory, image, module, memory, ips, cpus=1, resets=False,
                command_line="", epoch=EPOCH, disks=None):
    rom = os.path.join(options.build, "guest", "pvh.rom")
    for path in (rom, image):
        if not os.path.exists(path):
            raise FileNotFoundError(2, "no such file", path)
    loaded = os.path.join(directory, "memory.bin")
    mib = memory_mib(memory)
    with open(loaded, "wb") as file:
        file.write(pvh_memory(image, module, mib * MIB, command_line))
    return write_machine(directory, mib, ips, [
        f"romimage: file={rom}", f"optramimage1: file={loaded}, address=0",
        *disk_lines(disks or {})], cpus, resets, epoch)


def reprise_command(options, directory, archive, memory=512, icount=True, cpus=1,
                    elsewhere=False, disks=None):
    """Reprise by PVH with `archive` (bytes) as its module, or None. Time is always counted.
    `elsewhere`: another machine, with other memory, on another day."""
    del icount
    return pvh_command(options, directory, options.image, archive,
                       int(memory) + (ELSEWHERE_MIB if elsewhere else 0), INSTRUCTIONS_PER_SECOND,
                       cpus, epoch=ELSEWHERE_EPOCH if elsewhere else EPOCH, disks=disks)


def bare_command(options, directory, image, memory=64, icount=True, cpus=1):
    del icount
    return pvh_command(options, directory, image, None, memory, INSTRUCTIONS_PER_SECOND, cpus,
                       resets=True)


def disk_command(options, directory, disk, firmware="u-boot", memory=1024, ips=FIRMWARE_IPS,
                 disks=None):
    """Boots a disk image by firmware; nothing is written to the image, unless `disks` says so."""
    rom = os.path.join(options.build, FIRMWARES[firmware])
    for path in (rom, VGA_ROM):
        if not os.path.exists(path):
            raise qemu.MissingTool(f"{path}: not found (see tools/packages.txt)")
    places = {"ata0-master": (disk, "volatile")}
    # U-Boot waits long for each of the four disks that is not there.
    for i, place in enumerate(("ata0-slave", "ata1-master", "ata1-slave")):
        empty = os.path.join(directory, f"empty{i}.img")
        with open(empty, "wb") as file:
            file.truncate(MIB)
        places[place] = (empty, "flat")
    return write_machine(directory, memory_mib(memory), ips, [
        f"romimage: file={rom}", f"vgaromimage: file={VGA_ROM}", "boot: disk",
        *disk_lines({**places, **(disks or {})})])


def environment():
    """Bochs reads the clock's start as local time, and needs a terminal that it knows."""
    return {**os.environ, "TERM": "vt100", "TZ": "UTC"}


def spawn(command, serial, output):
    return subprocess.Popen(command + [f"com1: enabled=1, {serial}"], stdin=subprocess.DEVNULL,
                            stdout=output, stderr=output, env=environment(),
                            start_new_session=True)


def spawn_with_socket(command, output):
    """(process, socket): the other end of COM1 is the socket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.settimeout(CONNECT_SECONDS)
        process = spawn(command, f"mode=socket-client, dev=127.0.0.1:{listener.getsockname()[1]}",
                        output)
        try:
            connection, _ = listener.accept()
        except OSError:
            end(process)
            raise
    connection.settimeout(None)
    return process, connection


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_panics(directory):
    """Of Bochs' log, each text once."""
    try:
        with open(os.path.join(directory, "bochs.log"), encoding="ascii", errors="replace") as log:
            return list(dict.fromkeys(PANIC.findall(log.read())))
    except FileNotFoundError:
        return ["it left no log"]


def left_cleanly(code, output):
    """Whether Reprise left with status 0, from Bochs' exit code and COM1's output."""
    del code  # 1 in any case
    return STATUS.findall(output)[-1:] == [b"0"]


def run(command, serial_path, timeout, until=None):
    """Runs Bochs with COM1 to a file. `until`: bytes whose appearance ends the run early."""
    start = time.monotonic()
    directory = os.path.dirname(command[command.index("-f") + 1])
    open(serial_path, "wb").close()
    with open(serial_path + ".stderr", "wb") as output:
        process = spawn(command, f"mode=file, dev={serial_path}", output)
        timed_out, ended = qemu.watch(process, serial_path, start + timeout, until)
    with open(serial_path, "rb") as file:
        serial = file.read()
    panics = [] if ended or timed_out else read_panics(directory)
    return Result(serial, None if ended else process.returncode, timed_out,
                  time.monotonic() - start, panics)
