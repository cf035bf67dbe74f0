// SPDX-License-Identifier: BSD-2-Clause
// An AHCI controller with two disks, between a guest and back ends that do anything, or loaded from
// anything. Input: how many requests a back end takes at once, whether a driver has set it up, and
// whether it is loaded (a byte), and steps, each of a byte that says what and the bytes it needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be.
#include "emul/ahci.h"
#include "tests/fuzz/device_env.h"

#include <string.h>

enum {
	BEGIN_LOADED = 0x80,
	BEGIN_SET_UP = 0x40,
	BEGIN_ROOM = 0x3f,
	REQUESTS = 64, // of all ports
	SECTORS = 5000,
	PORTS = 2, // with a disk
	LIST = 0x400, // of both
	FRAMES = 0x800,
	TABLES = 0x1000,
	TABLE_BYTES = 0x100,
	RUNS = AHCI_CMD_START | AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP,
};

static struct {
	struct {
		unsigned port;
		uint64_t name;
		bool dropped;
	} requests[REQUESTS];
	unsigned count, room;
	bool lied; // a state was loaded that says anything
} medium;

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	uint64_t bytes = 0;

	(void)device;
	demand(port < AHCI_PORTS && io->kind < DEVICE_IO_KINDS && io->kind != DEVICE_IO_ZERO);
	demand(io->piece_count <= DEVICE_IO_PIECES_MAX);
	for (unsigned i = 0; i < io->piece_count; i++) {
		bytes += io->pieces[i].bytes;
		if (!in_ram(io->pieces[i].at, io->pieces[i].bytes))
			return STATUS_RANGE;
	}
	if (io->piece_count == 0)
		bytes = io->bytes;
	demand(bytes <= DEVICE_IO_BYTES_MAX || io->kind == DEVICE_IO_DISCARD);
	demand(bytes != 0 || io->kind == DEVICE_IO_FLUSH);
	demand(io->kind != DEVICE_IO_WRITE || io->piece_count != 0);
	for (unsigned i = 0; i < medium.count; i++)
		if (medium.requests[i].port == port && medium.requests[i].name == io->request) {
			demand(medium.lied);
			return STATUS_EXISTS;
		}
	if (medium.count == medium.room)
		return STATUS_BUSY;
	medium.requests[medium.count].port = port;
	medium.requests[medium.count].name = io->request;
	medium.requests[medium.count++].dropped = false;
	return STATUS_OK;
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	for (unsigned i = 0; i < medium.count; i++)
		if (medium.requests[i].port == port && medium.requests[i].name == request)
			medium.requests[i].dropped = true;
}

static const struct device_env ops = {ENV_COMMON, .submit = env_submit, .drop = env_drop};

static void configure(struct device *device)
{
	static const struct ahci_disk_config disks[AHCI_PORTS] = {
		{.sectors = SECTORS, .serial = "fuzz"}, {.sectors = SECTORS}};

	ahci_configure(device, disks);
}

static void complete(unsigned index, enum status status)
{
	unsigned port = medium.requests[index].port;
	uint64_t name = medium.requests[index].name;
	bool dropped = medium.requests[index].dropped;

	medium.requests[index] = medium.requests[--medium.count];
	if (!dropped)
		env.model->complete(env.device, env.now, port, name, status);
}

static void port_write(unsigned port, unsigned reg, uint32_t value)
{
	env_write(AHCI_REGION_REGISTERS, AHCI_PORT_FIRST + port * AHCI_PORT_BYTES + reg, 4, value);
}

static void set_up(void)
{
	env_write(PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2,
		PCIDEV_COMMAND_MEMORY | PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER);
	env_write(AHCI_REGION_REGISTERS, AHCI_GHC, 4, AHCI_GHC_INTERRUPTS);
	for (unsigned i = 0; i < PORTS; i++) {
		port_write(i, AHCI_CLB, LIST);
		port_write(i, AHCI_FB, FRAMES + i * AHCI_FRAMES_BYTES);
		port_write(i, AHCI_IE, AHCI_INTERRUPTS);
		port_write(i, AHCI_CMD, RUNS);
	}
}

static void access(struct input *input, uint8_t step)
{
	static const unsigned regions[] = {AHCI_REGION_REGISTERS, AHCI_REGION_REGISTERS,
		AHCI_REGION_INDEX, PCIDEV_REGION_CONFIG};
	unsigned region = regions[step & 3], size = step & 0x20 ? 1u << (step >> 2 & 3) : 4;
	uint64_t offset = take(input, 1);

	if (region == PCIDEV_REGION_CONFIG && size > 4)
		size = 4;
	if (region == AHCI_REGION_REGISTERS)
		offset *= 4;
	else
		offset %= region == AHCI_REGION_INDEX ? 32 - size + 1 : 256 - size + 1;
	if (step & 0x20)
		offset += step >> 4 & 1;
	if (region == PCIDEV_REGION_CONFIG && offset + size > PCIDEV_CONFIG_BYTES)
		offset = PCIDEV_CONFIG_BYTES - size;
	if (step & 0x40)
		env_write(region, offset, size, take(input, size));
	else
		(void)env_read(region, offset, size);
}

// A command with all that it needs: its frame, and entries of the table, as many as follow.
static void command(struct input *input, uint8_t step)
{
	unsigned port = step & 1, slot = (unsigned)take(input, 1) % AHCI_SLOTS;
	uint8_t *table = env.ram + TABLES + slot * TABLE_BYTES;
	struct ahci_header header = {.flags = (uint16_t)take(input, 2),
		.table = TABLES + slot * TABLE_BYTES};
	struct ahci_frame frame = {.kind = AHCI_KIND_COMMAND, .device = ATA_DEVICE_LBA};
	unsigned entries = (unsigned)take(input, 1);

	frame.flags = (uint8_t)take(input, 1);
	frame.command = (uint8_t)take(input, 1);
	frame.features = (uint8_t)take(input, 1);
	frame.count = (uint8_t)take(input, 1);
	for (unsigned i = 0; i < 3; i++)
		frame.lba[i] = (uint8_t)take(input, 1);
	if (step & 2) {
		frame.lba_high[0] = frame.count_high = frame.features_high =
			(uint8_t)take(input, 1);
		frame.device = frame.control = (uint8_t)take(input, 1);
	}
	header.entries = (uint16_t)entries;
	memcpy(env.ram + LIST + slot * AHCI_HEADER_BYTES, &header, sizeof(header));
	memcpy(table, &frame, sizeof(frame));
	for (unsigned i = 0; i < entries && i < 8; i++) {
		struct ahci_entry entry = {.at = take(input, 2), .bytes = (uint32_t)take(input, 2)};

		memcpy(table + AHCI_TABLE_ENTRIES + i * sizeof(entry), &entry, sizeof(entry));
	}
	if (step & 4)
		port_write(port, AHCI_SACT, (uint32_t)1 << slot);
	port_write(port, AHCI_CI, (uint32_t)1 << slot);
}

// The machine waits for its back ends.
static void reset(enum device_reset kind)
{
	medium.count = 0;
	env_reset(kind);
}

static void step(struct input *input)
{
	uint8_t what = (uint8_t)take(input, 1);

	if (what < 0x80) {
		access(input, what);
	} else if (what < 0xa0) {
		command(input, what);
	} else if (what < 0xc0) {
		if (medium.count > 0)
			complete((what >> 2 & 7) % medium.count, what & 2 ? STATUS_OK
				: what & 1 ? STATUS_IO : STATUS_RANGE);
	} else if (what < 0xe0) {
		env_ram_write(input);
	} else if (what < 0xf0) {
		env_time_pass(take(input, 3));
	} else if (what < 0xf8) {
		env_save_and_load();
	} else if (what < 0xfe) {
		medium.lied = true;
		env_load_altered(input);
	} else {
		reset(what & 1 ? DEVICE_RESET_POWER : DEVICE_RESET_LINE);
	}
	env_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t begin = (uint8_t)take(&input, 1);

	medium.count = 0;
	medium.room = 1 + (begin & BEGIN_ROOM);
	medium.lied = begin & BEGIN_LOADED;
	env_start(&ahci_model, &ops, configure);
	if (begin & BEGIN_LOADED)
		env_load_any(&input, 16);
	if (begin & BEGIN_SET_UP)
		set_up();
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
