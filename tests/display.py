# SPDX-License-Identifier: BSD-2-Clause
"""A guest's display: what the monitor says that it shows.

seabios   SeaBIOS' banner, by the VGA BIOS of the ESP: as text, and as a picture
host      what the display shows is in the middle of the host's own screen
ovmf      the prompt of UEFI's shell, in the mode that the display's EDID prefers
"""

import json
import os
import re
import socket
import sys
import time

import console
import engines
import monitor
import qemu
import system

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import screendump  # noqa: E402

TIMEOUT = 180
FIRMWARE = {
    "seabios": ["/usr/share/seabios/bios-256k.bin", "/usr/share/seabios/vgabios-stdvga.bin"],
    "ovmf": ["/usr/share/ovmf/OVMF.fd"],
}
BANNER = r"^SeaBIOS \(version "
PICTURE = r"(?s)screendump begin.*?screendump end\r?\n"


def cases(options, engine):
    yield "seabios", lambda directory: talk(options, directory, engine, "seabios", run_seabios)
    if engine == "svm":  # in Bochs it would take many minutes
        yield "host", lambda directory: run_host(options, directory)
        yield "ovmf", lambda directory: talk(options, directory, engine, "ovmf", run_ovmf)


def configuration(emulator, firmware):
    return "\n".join(["[reprise]", f"debug_exit = {emulator.DEBUG_EXIT}", "console = monitor",
                      "[vm t]", "memory = 128M", f"firmware = {firmware}", "display = vga",
                      "rtc_base = 1704067200", ""])


def firmware_members(firmware):
    for path in FIRMWARE[firmware]:
        if not os.path.exists(path):
            raise qemu.MissingTool(f"{path}: not found (install {firmware})")
        with open(path, "rb") as file:
            yield "firmware/" + os.path.basename(path), file.read()


def talk(options, directory, engine, firmware, run):
    emulator = engines.EMULATORS[engine]
    archive = qemu.cpio_newc([("reprise.ini", configuration(emulator, firmware).encode()),
                              *firmware_members(firmware)])
    command = emulator.reprise_command(options, directory, archive)
    if firmware == "ovmf":  # which waits for whole seconds
        command[command.index("shift=0,sleep=off")] = "shift=4,sleep=off"
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale, emulator) as terminal:
            terminal.expect(monitor.PROMPT)
            run(terminal)
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def wait_for_text(terminal, pattern, tries=60):
    """The display's text, in which `pattern` is to be found in the end."""
    for _ in range(tries):
        text = monitor.command(terminal, "info screen")
        if re.search(pattern, text, re.MULTILINE):
            return text
    return terminal.fail(f"the display never showed {pattern!r}, but {text!r}")


def picture(terminal):
    terminal.send("screendump\r")
    match = terminal.expect(PICTURE, TIMEOUT)
    terminal.expect(monitor.PROMPT)
    return list(screendump.pictures(match.group(0)))[0]


def run_seabios(terminal):
    text = wait_for_text(terminal, "No bootable device")
    if not text.lstrip().startswith("text, 80x25\n") or not re.search(BANNER, text, re.MULTILINE):
        terminal.fail(f"expected SeaBIOS' banner in {text!r}")
    width, height, pixels = picture(terminal)
    colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
    if (width, height) != (720, 400) or colours != {b"\0\0\0", b"\xaa\xaa\xaa"}:
        terminal.fail(f"expected grey text on black, got {width}x{height} with {colours}")


def host_picture(path):
    """The host's screen: QEMU writes it."""
    picture_path = path + ".ppm"
    with socket.socket(socket.AF_UNIX) as qmp:
        qmp.connect(path)
        with qmp.makefile("rw", encoding="utf-8") as file:
            file.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "screendump", "arguments": {"filename": picture_path}}):
                file.write(json.dumps(command) + "\n")
                file.flush()
                while "return" not in json.loads(file.readline()):
                    pass
    with open(picture_path, "rb") as file:
        _, size, _, pixels = file.read().split(b"\n", 3)
    width, height = map(int, size.split())
    return width, height, pixels


def middle(width, height, pixels, inner_width, inner_height):
    """A part of a picture, and whether all around it is black."""
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    rows = [pixels[3 * width * y:3 * width * (y + 1)] for y in range(height)]
    inner = [row[3 * left:3 * (left + inner_width)] for row in rows[top:top + inner_height]]
    beside = rows[:top] + rows[top + inner_height:] + [
        row[:3 * left] + row[3 * (left + inner_width):] for row in rows[top:top + inner_height]]
    return b"".join(inner), not any(map(any, beside))


def run_host(options, directory):
    """Reprise is booted by UEFI, on a machine with a screen, and the guest has the console."""
    text = configuration(qemu, "seabios").replace("console = monitor\n", "")
    files = {"firmware/" + os.path.basename(path): path for path in FIRMWARE["seabios"]}
    disk = system.disk_image(options, directory, text, files)
    qmp = os.path.join(directory, "qmp")
    command = qemu.base_command(memory=512, icount=False) + [
        "-icount", "shift=3,sleep=off", "-bios", system.FIRMWARE, "-vga", "std",
        *qemu.debug_exit(qemu.HOST_EXIT_PORT), "-qmp", f"unix:{qmp},server=on,wait=off",
        "-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on",
        "-device", "ide-hd,drive=disk,bootindex=0"]
    try:
        with console.Console(command, os.path.join(directory, "serial.log"),
                             TIMEOUT * options.timeout_scale) as terminal:
            terminal.expect(r"reprise: screen: \d+x\d+", TIMEOUT)
            terminal.expect("No bootable device", 60)
            time.sleep(3)
            width, height, pixels = host_picture(qmp)
            terminal.send(console.ESCAPE)
            terminal.expect(monitor.PROMPT)
            inner_width, inner_height, wanted = picture(terminal)
            inner, is_alone = middle(width, height, pixels, inner_width, inner_height)
            if inner != wanted or not is_alone:
                terminal.fail("the host's screen does not show the guest's display")
            terminal.send("quit\r")
            terminal.check_left()
    except console.ConsoleError as error:
        return str(error)
    return None


def run_ovmf(terminal):
    """The shell's prompt is yellow, and its greeting is not."""
    for _ in range(60):
        time.sleep(2)
        width, height, pixels = picture(terminal)
        colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
        if (width, height) == (1280, 800) and b"\xff\xff\0" in colours:
            return
    terminal.fail(f"the display never showed a prompt, but {width}x{height} with {colours}")
