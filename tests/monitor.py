# SPDX-License-Identifier: BSD-2-Clause
"""A conversation with the monitor, beside a Linux guest that has a shell on its console."""

import re

import console

PROMPT = r"\(reprise\) \x1b\[K"  # with nothing typed behind it
SHELL = r"guest:\S*# \x1b\[6n"  # the shell asks where the cursor is, and can wait for the answer
BOOT_SECONDS = 120


def command(terminal, text, pattern=None, timeout=20):
    """Types a command; its output, up to the next prompt. `pattern` must be in it."""
    terminal.send(text + "\r")
    match = terminal.expect(r"(?s)[\r\n](.*?)" + PROMPT, timeout)
    output = match.group(1).decode("ascii", "backslashreplace").replace("\r", "")
    if pattern is not None and re.search(pattern, output, re.MULTILINE) is None:
        terminal.fail(f"{text}: expected {pattern!r} in {output!r}")
    return output


def shell(terminal, text, pattern, timeout=20):
    """Types a command at the guest's shell and waits for its output and the prompt."""
    terminal.send(text + "\r")
    terminal.expect(pattern, timeout)
    terminal.expect(SHELL, timeout)


def to_monitor(terminal):
    terminal.send(console.ESCAPE)
    terminal.expect(PROMPT, 10)


def to_guest(terminal):
    """The shell answers an empty line with another prompt."""
    terminal.send(console.ESCAPE)
    terminal.send("\r")
    terminal.expect(SHELL, 20)


def check_stopped(terminal):
    """A stopped guest does not move."""
    command(terminal, "stop")
    command(terminal, "info status", r"paused")
    first = command(terminal, "info registers", r"RIP=[0-9a-f]{16}")
    if command(terminal, "info registers") != first:
        terminal.fail("the registers of a stopped guest changed")
    rip = re.search(r"RIP=([0-9a-f]{16})", first).group(1)
    command(terminal, "xp /4xw 0xf0000", r"0x20445352 0x20525450")  # "RSD PTR "
    command(terminal, f"x /4xb 0x{rip}", r":( 0x[0-9a-f]{2}){4}")
    command(terminal, "cont")
    command(terminal, "info status", r"running")


def check_resize(terminal):
    """The guest hears of its disk's new size, and it is there."""
    command(terminal, "block_resize data 6M")
    command(terminal, "savevm large", timeout=120)
    to_guest(terminal)
    shell(terminal, "cat /sys/block/vda/size", r"^12288\r")
    shell(terminal, "echo some''thing | dd of=/dev/vda bs=512 seek=12287 conv=fsync; echo do''ne",
          r"^done\r")
    to_monitor(terminal)
    command(terminal, "block_resize data 1M")
    command(terminal, "block_resize data 100G", "Error: not so much memory is free")
    command(terminal, "block_resize other 1M", "Error: Cannot find device 'other'")
    to_guest(terminal)
    shell(terminal, "cat /sys/block/vda/size", r"^2048\r")
    to_monitor(terminal)
    command(terminal, "loadvm large", timeout=120)  # with the size of then
    to_guest(terminal)
    shell(terminal, "cat /sys/block/vda/size", r"^12288\r")
    shell(terminal, "dd if=/dev/vda bs=512 skip=12287 2>/dev/null | wc -c", r"^512\r")
    to_monitor(terminal)


def check_balloon(terminal):
    """The guest gives up memory, and takes it back."""
    for size, word in ((224, "inflate"), (256, "deflate")):
        command(terminal, f"balloon {size}")
        to_guest(terminal)
        shell(terminal, f"while ! grep 'balloon_{word} 8192' /proc/vmstat; do :; done",
              rf"^balloon_{word} 8192\r", 60)
        to_monitor(terminal)
        command(terminal, "info balloon",
                rf"balloon: actual={size} wanted={size} total_mem=\d+ free_mem=\d+")


def talk(terminal, notes):
    terminal.expect(SHELL, BOOT_SECONDS)
    shell(terminal, "echo $((6 * 7))", r"^42\r")
    to_monitor(terminal)
    command(terminal, "info status", r"running")
    command(terminal, "info registers", r"RIP=[0-9a-f]{16}")
    notes += command(terminal, "info exits", r"^total +[1-9]").strip().splitlines()
    command(terminal, "no-such-command", r"no-such-command")
    check_stopped(terminal)
    to_guest(terminal)
    shell(terminal, "echo $((7 * 8))", r"^56\r")
    to_monitor(terminal)
    check_resize(terminal)
    check_balloon(terminal)
    command(terminal, "system_reset")
    terminal.send(console.ESCAPE)
    terminal.expect(r"Welcome to the Linux guest", BOOT_SECONDS)
    terminal.expect(SHELL, 20)
    shell(terminal, "echo $((8 * 9))", r"^72\r")
    to_monitor(terminal)
    command(terminal, "system_powerdown")
    terminal.send(console.ESCAPE)
    terminal.expect(r"The power button was pressed", 20)
    terminal.expect(PROMPT, 30)  # the last guest has ended
    command(terminal, "info status", r"shutdown|powered off")
    terminal.send("quit\r")
    terminal.check_left()
