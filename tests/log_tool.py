# SPDX-License-Identifier: BSD-2-Clause
"""The suite log-tool: reprise-log against logs that build/log_make writes, and against damage."""

import os
import re
import subprocess

import log_form

KINDS = {2: "characters", 3: "completion", 4: "line", 5: "machine", 6: "packet", 7: "key",
         8: "usb", 9: "audio", 16: "rate", 17: "beacon", 18: "stop",
         19: "contents"}
LOGS = ("closed", "open", "record", "ram", "snapshot", "machine")


class Failure(Exception):
    pass


def demand(condition, text):
    if not condition:
        raise Failure(text)


class Tool:
    """The program, and the logs that it is tried on."""

    def __init__(self, options, directory):
        self.program = os.path.join(options.build, "reprise-log")
        self.directory = directory
        subprocess.run([os.path.join(options.build, "log_make"), directory], check=True,
                       timeout=60)

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), "rb") as log:
            return log.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as log:
            log.write(data)
        return name

    def run(self, command, *names, status=0, extra=(), output=subprocess.PIPE):
        """What it prints; where the status is 2 on the error output."""
        arguments = [self.program, command, *(self.path(name) for name in names), *extra]
        result = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.PIPE, timeout=60, check=False)
        errors = result.stderr.decode()
        demand(result.returncode == status, f"{command} {names}: status {result.returncode}, "
               f"not {status}: {errors}")
        demand((errors != "") == (status == 2), f"{command} {names}: says {errors!r}")
        return errors if status == 2 else result.stdout.decode()


def line_of(number, record):
    """A line of `dump`."""
    line = (f"{number} @{record['ticks']} vcpu {record['vcpu']} rip {record['rip']:#x} "
            f"rcx {record['rcx']:#x}")
    line = line.replace(" 0x0", " 0")
    if record["time"] is not None:
        line += f" halted to {record['time']}"
    line += " " + KINDS[record["kind"]]
    payload = record["payload"]
    if record["kind"] == 18:
        return line + " machine ended: " + payload.decode()
    if record["kind"] <= log_form.EVENT_LAST:
        line += (f" device {record['device']} index {record['index']} "
                 f"sequence {record['sequence']}")
    line += f" value {record['value']}"
    if payload:
        line += f" [{len(payload)}] " + payload[:32].hex() + ("..." if len(payload) > 32 else "")
    return line


def records_are_printed(tool):
    for name in LOGS:
        log = log_form.Log(tool.read(name + ".log"))
        lines = tool.run("dump", name + ".log", status=int(name == "open")).splitlines()
        demand(len(log.records) == (300 if name == "open" else 301), f"{name}: records")
        for number, record in enumerate(log.records, 1):
            demand(lines[number - 1] == line_of(number, record),
                   f"{name}:\n{lines[number - 1]}\nis not\n{line_of(number, record)}")
        demand(len(lines) == len(log.records) + 1, f"{name}: {lines[-1]}")
        end = "torn at offset"
        if name != "open":
            demand(log.index["vcpu"] == log.records[-1]["vcpu"] == 5, f"{name}: the end's vcpu")
            end = f"machine ended at {log.records[-1]['ticks']} vcpu 5 rip "
        demand(lines[-1].startswith(end), lines[-1])


def a_part_is_printed(tool):
    log = log_form.Log(tool.read("closed.log"))
    ticks = log.records[100]["ticks"], log.records[200]["ticks"]
    for first, last in ((ticks[0], ticks[1]), (0, ticks[0]), (ticks[1], ticks[1])):
        wanted = [line_of(number, record) for number, record in enumerate(log.records, 1)
                  if first <= record["ticks"] <= last]
        text = tool.run("dump", "closed.log", extra=(str(first), hex(last)))
        demand(text.splitlines() == wanted, f"dump {first} {last}")


def the_header_is_printed(tool):
    for name in LOGS:
        log = log_form.Log(tool.read(name + ".log"))
        text = tool.run("info", name + ".log")
        header = log.header
        lines = [f"id:          {log.chunks[0].log_id:016x}",
                 f"alignment:   {header['alignment']}", f"tick source: {header['tick source']}",
                 f"TSC:         {header['tsc_hz']} Hz"]
        lines += [f"setting:     {key} = {value}" for key, value in header["settings"].items()]
        lines += [f"hash:        {key} = {value:016x}" for key, value in header["hashes"].items()]
        lines += [f"cpuid:       {leaf:08x}.{subleaf:x} = " +
                  " ".join(f"{value:08x}" for value in registers)
                  for leaf, subleaf, registers in header["leaves"]]
        demand(list(header["settings"]) == sorted(header["settings"]), "settings are sorted")
        demand(len(header["leaves"]) == 45, "leaves")
        for line in lines:
            demand(line + "\n" in text, f"{name}: {line}")
        demand(("end:         machine ended at" in text) == (name != "open"), text)
        demand(("start:       snapshot" in text) == (name == "snapshot"), text)


def good_logs_are_good(tool):
    for name in LOGS:
        log = log_form.Log(tool.read(name + ".log"))
        text = tool.run("verify", name + ".log", status=int(name == "open"))
        demand(f"{len(log.records)} records in {log.end} bytes" in text, text)
        demand(("good: " in text) == (name != "open"), text)
        if name == "snapshot":
            demand(f"a snapshot of {len(log.snapshot)} bytes" in text, text)
            demand(log.snapshot == b"a piece of it" * 5, "the snapshot")


def what_stands_behind_does_not_matter(tool):
    data = tool.read("closed.log")
    end = log_form.Log(data).end
    for tail in (b"", bytes(100000), bytes(range(256)) * 400, data[end - 5000:end]):
        tool.write("tail.log", data[:end] + tail)
        tool.run("verify", "tail.log")
        tool.run("diff", "closed.log", "tail.log")


def damage_is_found(tool):
    data = tool.read("ram.log")
    log = log_form.Log(data)
    first = log.chunks[1].offset
    for offset in list(range(first, log.end, 701)) + [log.end - 1]:
        changed = bytearray(data)
        changed[offset] ^= 0x10
        tool.write("changed.log", changed)
        inside = any(chunk.offset <= offset < chunk.offset + 40 + len(chunk.payload)
                     for chunk in log.chunks)
        text = tool.run("verify", "changed.log", status=int(inside))
        demand(("ends at offset" in text) == inside, text)
    for cut in range(first, log.end, 997):
        tool.write("cut.log", data[:cut])
        whole = [chunk for chunk in log.chunks if chunk.offset + 40 + len(chunk.payload) <= cut]
        count = sum(chunk.records for chunk in whole)
        text = tool.run("verify", "cut.log", status=1)
        demand(f"readable: {count} records" in text, text)


def differences_are_found(tool):
    def diff(a, b, status):
        return tool.run("diff", a, b, status=status).splitlines()

    for name in LOGS:
        demand(diff(name + ".log", name + ".log", 0) == [], f"{name} and itself")
    demand(diff("closed.log", "ram.log", 0) == [], "other chunks, the same records")
    lines = diff("closed.log", "record.log", 1)
    demand(len(lines) == 2 and lines[0].startswith("< 123 @") and lines[1].startswith("> 123 @"),
           f"record 123: {lines}")
    lines = diff("closed.log", "machine.log", 1)
    demand(len(lines) == 2 and lines[0].startswith("cmdline: ") and
           lines[1].startswith("CPUID 3.0 EBX: "), f"the machine: {lines}")
    lines = diff("closed.log", "open.log", 1)
    demand(len(lines) == 2 and lines[0].startswith("< 301 ") and
           "open.log ends after 300 records: torn" in lines[1], f"the end: {lines}")
    demand(diff("open.log", "closed.log", 1)[1].startswith("> 301 "), "the other way")


def all_bytes_are_counted(tool):
    for name in LOGS:
        log = log_form.Log(tool.read(name + ".log"))
        records, space = tool.run("stats", name + ".log").split("\n\n")[:2]
        rows = {line.split()[0]: [int(word) for word in line.split()[1:]]
                for line in records.splitlines()[1:]}
        for kind, (_, total, *fields) in rows.items():
            demand(total == sum(fields), f"{name}: {kind}")
        counts = {}
        for record in log.records:
            counts[KINDS[record["kind"]]] = counts.get(KINDS[record["kind"]], 0) + 1
        demand(counts == {kind: row[0] for kind, row in rows.items() if kind != "all"}, name)
        payload = sum(len(chunk.payload) for chunk in log.chunks
                      if chunk.type == log_form.RECORDS)
        demand(rows["all"][1] == payload, f"{name}: {rows['all']}, {payload}")
        sums = {line.split()[0]: int(line.split()[2]) for line in space.splitlines()[1:]}
        demand(sums.pop("all") == log.end == sum(sums.values()), f"{name}: {sums}, {log.end}")
        demand(sums["chunks"] == 40 * (len(log.chunks) + 1), f"{name}: {sums}")


def trouble_is_told(tool):
    tool.write("empty", b"")
    tool.write("text", b"This is no log.\n" * 100)
    for command in ("info", "dump", "verify", "stats"):
        demand("not a log" in tool.run(command, "text", status=2), command)
        demand("not a log" in tool.run(command, "empty", status=2), command)
        demand("No such file" in tool.run(command, "missing", status=2), command)
    demand("not a log" in tool.run("diff", "ram.log", "text", status=2), "diff")
    demand("not a log" in tool.run("diff", "text", "ram.log", status=2), "diff")
    data = bytearray(tool.read("ram.log"))
    data[60] ^= 1
    tool.write("header.log", data)
    demand("a wrong CRC" in tool.run("info", "header.log", status=2), "header")
    for arguments in ((), ("what", "x"), ("info",), ("info", "a", "b"), ("diff", "a")):
        result = subprocess.run([tool.program, *arguments], capture_output=True, timeout=60,
                                check=False)
        demand(result.returncode == 2 and result.stderr.startswith(b"usage: "), str(arguments))
    for ticks in ("x", "-1", "1x", "99999999999999999999"):
        demand("a number of ticks" in tool.run("dump", "ram.log", status=2, extra=(ticks,)), ticks)
    with open("/dev/full", "wb") as full:
        demand("writing" in tool.run("dump", "ram.log", status=2, output=full), "a full disk")


def a_later_version_is_told(tool):
    data = bytearray(tool.read("ram.log"))
    demand(data[40:42] == b"\x04\x04", "version, and what it needs")
    size = log_form.CHUNK.unpack_from(data, 0)[4]
    for version, needs, status in ((5, 5, 2), (5, 4, 0)):
        data[40:42] = version, needs
        data[36:40] = bytes(4)
        data[36:40] = log_form.crc32c(data[:40 + size]).to_bytes(4, "little")
        tool.write("later.log", data)
        text = tool.run("verify", "later.log", status=status)
        demand(status == 0 or "to be read by version 5 or later" in text, text)


def texts_are_escaped(tool):
    data = bytearray(tool.read("ram.log"))
    at = data.index(b"quiet")
    data[at:at + 2] = b"\xc2\x9b"  # a control character of some terminals
    size = log_form.CHUNK.unpack_from(data, 0)[4]
    data[36:40] = bytes(4)
    data[36:40] = log_form.crc32c(data[:40 + size]).to_bytes(4, "little")
    tool.write("escape.log", data)
    for text in (tool.run("info", "escape.log"),
                 tool.run("diff", "ram.log", "escape.log", status=1)):
        demand("\\xc2\\x9biet" in text, text)
        demand(re.search(r"[^\n -~]", text) is None, repr(text))


CASES = (records_are_printed, a_part_is_printed, the_header_is_printed, good_logs_are_good,
         what_stands_behind_does_not_matter, damage_is_found, differences_are_found,
         all_bytes_are_counted, trouble_is_told, a_later_version_is_told, texts_are_escaped)


def run(options, case, directory):
    try:
        case(Tool(options, directory))
    except (Failure, AssertionError, log_form.Malformed, subprocess.SubprocessError) as failure:
        return f"{type(failure).__name__}: {failure}"
    return None


def cases(options):
    for case in CASES:
        yield (case.__name__.replace("_", "-"),
               lambda directory, c=case: run(options, c, directory))
