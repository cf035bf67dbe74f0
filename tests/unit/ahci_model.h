// SPDX-License-Identifier: BSD-2-Clause
// An AHCI controller with four ports, for tests: it has the numbers of the specification, not those
// of the driver, holds the driver to its rules, and can be told to lie.
#ifndef TESTS_UNIT_AHCI_MODEL_H
#define TESTS_UNIT_AHCI_MODEL_H

#include "tests/unit/host_disks.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/ahci.h"
#include "drivers/disk.h"

enum {
	BAR = 0xfe000000,
	BAR_BYTES = 4096,
	PORTS = 4,
	MEDIUM_SECTORS = 700,
};

enum kind { ABSENT, DISK, CDROM, MULTIPLIER, STRANGE, NO_LINK, NEVER_READY };

enum fault {
	FAULT_NONE,
	FAULT_SILENT,  // never ends
	FAULT_STUCK,   // nor does the port stop
	FAULT_PULLED,  // the disk goes with the command
	FAULT_GONE,    // the controller goes
	FAULT_SHORT,   // moves less, and says that all is well
	FAULT_LONG,    // says that it moved more
	FAULT_DEAD,    // fails, and is not there behind the reset that follows
};

struct port {
	enum kind kind;
	uint16_t identity[256];
	uint32_t sector_bytes;
	uint64_t medium_start; // sector of the disk that medium[0] is
	uint8_t medium[MEDIUM_SECTORS * 512];
	// Registers.
	uint64_t clb, fb;
	uint32_t is, cmd, tfd, sig, detection, sctl, serr, ci;
	uint64_t reset_began;
	uint64_t ready_at; // when the first frame comes; 0: it has come
	// Faults: of commands with this sector.
	uint64_t bad_sector;
	uint32_t bad_causes;
	uint8_t bad_status, bad_error;
	enum fault fault;
	bool is_asked, is_halted; // by an error, until it is stopped
	unsigned commands, flushes, resets;
	uint8_t flush_command; // the latest
};

static struct {
	uint32_t cap, ghc, pi, cap2, bohc;
	uint64_t bios_ends; // when it lets go
	bool is_stuck;      // does not reset
	bool is_gone;
	unsigned resets, delay, left; // waits before an answer
	uint64_t spin_up; // time to become ready
	struct port ports[PORTS];
} hba;
static struct fake_function *function;
static struct disk *disk; // the first of the latest

static uint8_t *memory(uint64_t address)
{
	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 4) != 0); // bus master
	assert_true((hba.cap & BIT(31)) != 0 || address < 4 * GIB);
	return (uint8_t *)(uintptr_t)address;
}

static bool is_device(const struct port *port)
{
	return port->kind != ABSENT && port->kind != NO_LINK;
}

// 4.2.3.3: regions of even length, at even addresses. Returns the bytes.
static uint32_t regions_move(const uint8_t *header, uint8_t *data, uint32_t bytes, bool to_host)
{
	const uint8_t *at = memory(get(header + 8, 8)) + 128;
	uint32_t moved = 0;

	for (unsigned i = 0; i < get(header + 2, 2); i++, at += 16) {
		uint64_t address = get(at, 8);
		uint32_t length = (uint32_t)get(at + 12, 4) + 1;

		assert_true(address % 2 == 0 && length % 2 == 0 && length <= 4 << 20);
		if (length > bytes - moved)
			length = bytes - moved;
		memcpy(to_host ? memory(address) : data + moved,
			to_host ? data + moved : memory(address), length);
		(void)memory(address + length - 1);
		moved += length;
	}
	return moved;
}

static void command_fail(struct port *port, uint32_t causes, uint8_t status, uint8_t error)
{
	port->tfd = status | (uint32_t)error << 8;
	port->is |= causes | ((status & 1) != 0 ? BIT(30) : 0);
	port->is_halted = port->is >> 24 != 0;
	if (!port->is_halted)
		port->ci = 0;
}

// As many as the port says.
static void moved_put(const struct port *port, uint8_t *header, uint32_t moved)
{
	moved += port->fault == FAULT_LONG ? 2 : 0;
	put(header + 4, moved - (port->fault == FAULT_SHORT ? 2 : 0), 4);
}

static void transfer(struct port *port, uint8_t *header, const uint8_t *frame, bool is_write)
{
	uint64_t sector = get(frame + 4, 3) | get(frame + 8, 3) << 24;
	uint32_t count = (uint32_t)get(frame + 12, 2), bytes, moved;
	uint8_t *data = port->medium + (sector - port->medium_start) * port->sector_bytes;

	assert_int_equal(frame[7] & 0x50, 0x40); // LBA
	bytes = (count != 0 ? count : 65536) * port->sector_bytes;
	if (sector <= port->bad_sector && port->bad_sector < sector + count) {
		command_fail(port, port->bad_causes, port->bad_status, port->bad_error);
		return;
	}
	assert_true(sector >= port->medium_start && (uint64_t)(data - port->medium) + bytes <=
		sizeof(port->medium));
	moved = regions_move(header, data, bytes, !is_write);
	assert_int_equal(moved, bytes);
	moved_put(port, header, moved);
	port->ci = 0;
}

static bool fault_acts(struct port *port)
{
	switch (port->fault) {
	case FAULT_SILENT:
	case FAULT_STUCK:
		port->tfd = 0x80;
		return true;
	case FAULT_PULLED:
		port->kind = ABSENT;
		port->detection = 0;
		port->serr |= BIT(16);
		return true;
	case FAULT_GONE:
		hba.is_gone = true;
		return true;
	case FAULT_DEAD:
		port->kind = ABSENT;
		command_fail(port, BIT(27), 0x80, 0);
		return true;
	default:
		return false;
	}
}

static void command_run(struct port *port)
{
	uint8_t *header = memory(port->clb);
	const uint8_t *frame = memory(get(header + 8, 8));

	port->commands++;
	port->is_asked = false;
	assert_int_equal(get(header, 2) & ~0x40U, 5); // a frame of five words, and the direction
	assert_int_equal(get(header + 4, 4), 0);
	assert_int_equal(get(header + 8, 8) % 128, 0);
	assert_int_equal(get(frame, 2), 0x8027);
	if (fault_acts(port))
		return;
	port->tfd = 0x50;
	port->is |= 3; // frames came
	switch (frame[2]) {
	case 0xec:
		moved_put(port, header, regions_move(header, (uint8_t *)port->identity, 512, true));
		port->ci = 0;
		break;
	case 0xe7:
	case 0xea:
		assert_int_equal(get(header + 2, 2), 0);
		port->flushes++;
		port->flush_command = frame[2];
		if (port->bad_status != 0)
			command_fail(port, port->bad_causes, port->bad_status, port->bad_error);
		else
			port->ci = 0;
		break;
	case 0x25:
	case 0x35:
		assert_int_equal((get(header, 2) & 0x40) != 0, frame[2] == 0x35);
		transfer(port, header, frame, frame[2] == 0x35);
		break;
	default:
		fail_msg("command %02x", frame[2]);
	}
}

// First frames, 10.4.2: they need a place.
static void frames_come(void)
{
	static const uint32_t signatures[] = {[DISK] = 0x101, [CDROM] = 0xeb140101,
		[MULTIPLIER] = 0x96690101, [STRANGE] = 0xc33c0101};

	for (unsigned i = 0; i < PORTS; i++) {
		struct port *port = &hba.ports[i];

		if (port->ready_at == 0 || port->kind == NEVER_READY || !is_device(port) ||
			fake_host.now < port->ready_at)
			continue;
		(void)memory(port->fb);
		port->ready_at = 0;
		port->tfd = port->kind == CDROM ? 0x00 : 0x50;
		port->sig = signatures[port->kind];
	}
}

static void hba_passes(void)
{
	if (hba.delay == 0 || --hba.left > 0)
		return;
	for (unsigned i = 0; i < PORTS; i++)
		if (hba.ports[i].is_asked)
			command_run(&hba.ports[i]);
}

static void cmd_write(struct port *port, uint32_t value)
{
	uint32_t changed = value ^ port->cmd;

	if ((changed & 1) != 0 && (value & 1) != 0) { // 10.3.1
		assert_true((port->cmd & 0xc010) == 0x4010 && (value & 0x10) != 0);
		assert_int_equal(port->tfd & 0x88, 0);
		assert_int_equal(port->detection, 3);
		assert_int_equal(port->clb % 1024, 0);
		value |= 0x8000;
	} else if ((changed & 1) != 0) {
		port->ci = 0;
		port->is_asked = port->is_halted = false;
		if (port->fault != FAULT_STUCK)
			value &= ~0x8000U;
	}
	if ((changed & 0x10) != 0 && (value & 0x10) != 0) {
		assert_true(port->fb != 0 && port->fb % 256 == 0);
		(void)memory(port->fb);
		value |= 0x4000;
	} else if ((changed & 0x10) != 0) { // 10.3.2
		assert_int_equal(port->cmd & 0x8001, 0);
		value &= ~0x4000U;
	}
	port->cmd = value;
}

// 10.4.2
static void sctl_write(struct port *port, uint32_t value)
{
	uint32_t before = port->sctl & 15;

	assert_true((value & 15) <= 1);
	port->sctl = value;
	if ((value & 15) == 1) {
		assert_int_equal(port->cmd & 0x8001, 0);
		port->reset_began = fake_host.now;
		port->detection = 0;
		port->tfd = 0x7f;
	} else if (before == 1) {
		assert_true(fake_host.now - port->reset_began >= 1000000);
		port->resets++;
		port->detection = is_device(port) ? 3 : port->kind == NO_LINK ? 1 : 0;
		if (is_device(port)) {
			assert_int_equal(port->cmd & 0x12, 0x12); // frames can come
			port->serr |= BIT(26) | BIT(16);
			port->tfd = 0x80;
			port->ready_at = fake_host.now + hba.spin_up;
		}
	}
}

static uint32_t causes(const struct port *port)
{
	return port->is | ((port->serr & BIT(26)) != 0 ? BIT(6) : 0) |
		((port->serr & BIT(16)) != 0 ? BIT(22) : 0);
}

static uint32_t port_read(const struct port *port, unsigned offset)
{
	switch (offset) {
	case 0x10:
		return causes(port);
	case 0x18:
		return port->cmd;
	case 0x20:
		return port->tfd;
	case 0x24:
		return port->sig;
	case 0x28:
		return port->detection | (port->detection == 3 ? 0x120 : 0);
	case 0x30:
		return port->serr;
	case 0x38:
		return port->ci;
	default:
		fail_msg("read of a port's offset %u", offset);
		return 0;
	}
}

static void port_write(struct port *port, unsigned offset, uint32_t value)
{
	switch (offset) {
	case 0x00:
	case 0x04:
		assert_int_equal(port->cmd & 1, 0);
		put((uint8_t *)&port->clb + offset, value, 4);
		break;
	case 0x08:
	case 0x0c:
		assert_int_equal(port->cmd & 0x10, 0);
		put((uint8_t *)&port->fb + offset - 8, value, 4);
		break;
	case 0x10:
		port->is &= ~value;
		break;
	case 0x14:
		assert_int_equal(value, 0); // no interrupts
		break;
	case 0x18:
		cmd_write(port, value);
		break;
	case 0x2c:
		sctl_write(port, value);
		break;
	case 0x30:
		port->serr &= ~value;
		break;
	case 0x38:
		assert_int_equal(value, 1);
		assert_int_equal(port->cmd & 0x8001, 0x8001);
		assert_false(port->is_halted);
		assert_int_equal(port->tfd & 0x88, 0);
		port->ci |= value;
		port->is_asked = true;
		hba.left = hba.delay;
		if (hba.delay == 0)
			command_run(port);
		break;
	default:
		fail_msg("write of a port's offset %u", offset);
	}
}

static void hba_reset(void)
{
	// What firmware had set up must not reach memory until then.
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
	hba.resets++;
	hba.ghc = hba.is_stuck ? 0x80000001 : 0x80000000;
	for (unsigned i = 0; i < PORTS; i++) {
		struct port *port = &hba.ports[i];

		port->cmd = port->is = port->ci = port->serr = port->sctl = 0;
		port->detection = 0;
		port->tfd = 0x7f;
		port->sig = UINT32_MAX;
		port->ready_at = 0;
	}
}

static struct port *port_at(uint64_t offset)
{
	assert_true(offset >= 0x100 && (hba.pi >> ((offset - 0x100) / 0x80) & 1) != 0);
	assert_true((hba.ghc & BIT(31)) != 0);
	assert_true((offset - 0x100) / 0x80 < PORTS);
	return &hba.ports[(offset - 0x100) / 0x80];
}

static uint32_t mmio_in(uint64_t address, unsigned bytes)
{
	uint64_t offset = address - BAR;

	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	assert_int_equal(bytes, 4);
	if (hba.is_gone)
		return UINT32_MAX;
	if (fake_host.now >= hba.bios_ends && hba.bios_ends != 0 && (hba.bohc & 2) != 0)
		hba.bohc = 2;
	switch (offset) {
	case 0x00:
		return hba.cap;
	case 0x04:
		return hba.ghc;
	case 0x0c:
		return hba.pi;
	case 0x24:
		return hba.cap2;
	case 0x28:
		return hba.bohc;
	default:
		frames_come();
		return port_read(port_at(offset), (unsigned)offset % 0x80);
	}
}

static void mmio_out(uint64_t address, unsigned bytes, uint32_t value)
{
	uint64_t offset = address - BAR;

	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	assert_int_equal(bytes, 4);
	if (hba.is_gone)
		return;
	if (offset == 0x28) {
		hba.bohc = (hba.bohc & 0x11) | (value & 2);
	} else if (offset == 0x04) {
		assert_int_equal(value & 2, 0); // no interrupts
		if ((value & 1) != 0)
			hba_reset();
		else
			hba.ghc = value;
	} else {
		port_write(port_at(offset), (unsigned)offset % 0x80, value);
	}
}

static void identity_set(struct port *port, uint64_t sectors)
{
	const char model[] = "eRrpsi eetts\1\xff" "idks                          ";
	uint32_t low = sectors < BIT(28) ? (uint32_t)sectors : (uint32_t)BIT(28) - 1;

	memset(port->identity, 0, sizeof(port->identity));
	port->identity[0] = 0x0040;
	memcpy(&port->identity[27], model, 40);
	port->identity[49] = 1 << 9;
	memcpy(&port->identity[60], &low, 4);
	port->identity[83] = 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10;
	memcpy(&port->identity[100], &sectors, 8);
}

#endif
