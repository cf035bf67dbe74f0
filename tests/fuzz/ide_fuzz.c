// SPDX-License-Identifier: BSD-2-Clause
// An IDE controller with three disks and a CD drive, between a guest and back ends that do
// anything, or loaded from anything. Input: how many requests a back end takes at once, and whether
// it is loaded (a byte), and steps, each of a byte that says what and the bytes it needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be.
#include "emul/ide.h"
#include "tests/fuzz/device_env.h"

#include <string.h>

enum {
	BEGIN_LOADED = 0x80,
	BEGIN_ROOM = 3,
	REQUESTS = 8, // of all ports
	SECTORS = 5000,
	CD = 3, // a drive, and the disc in it
	CD_BLOCKS = 700,
	OTHER = 6, // disc
	DATA_BYTES = 2, // that a step moves at a time
	REGISTER_FEATURES = 1,
	REGISTER_COMMAND = 7,
};

static const struct {
	unsigned region;
	uint32_t bytes;
} regions[] = {
	{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES}, {IDE_REGION_BUS_MASTER, 16},
	{IDE_REGION_COMMAND, 8}, {IDE_REGION_COMMAND + 1, 8},
	{IDE_REGION_CONTROL, 1}, {IDE_REGION_CONTROL + 1, 1},
};

static struct {
	struct {
		unsigned port;
		uint64_t name;
		bool dropped;
	} requests[REQUESTS];
	unsigned count, room;
	bool lied; // a state was loaded that says anything
	uint8_t byte; // what is read
} medium;

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	uint64_t bytes = 0;

	(void)device;
	demand((port <= CD || port == OTHER) && io->kind < DEVICE_IO_KINDS &&
		io->kind != DEVICE_IO_ZERO);
	demand(port < CD || io->kind == DEVICE_IO_READ);
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
	for (unsigned i = 0; i < medium.count; i++)
		if (medium.requests[i].port == port && medium.requests[i].name == io->request) {
			demand(medium.lied);
			return STATUS_EXISTS;
		}
	if (medium.count == medium.room)
		return STATUS_BUSY;
	if (io->kind == DEVICE_IO_WRITE && io->piece_count == 0) // all of it is there
		for (uint64_t i = 0; i < bytes; i++)
			medium.byte = (uint8_t)(medium.byte + ((const uint8_t *)io->data)[i]);
	medium.requests[medium.count].port = port;
	medium.requests[medium.count].name = io->request;
	medium.requests[medium.count++].dropped = false;
	return STATUS_OK;
}

static void env_take_data(struct device *device, unsigned port, void *to, size_t bytes)
{
	(void)device;
	demand((port <= CD || port == OTHER) && bytes <= DEVICE_IO_BYTES_MAX);
	memset(to, medium.byte++, bytes);
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	(void)device;
	for (unsigned i = 0; i < medium.count; i++)
		if (medium.requests[i].port == port && medium.requests[i].name == request)
			medium.requests[i].dropped = true;
}

static const struct device_env ops = {ENV_COMMON, .submit = env_submit, .drop = env_drop,
	.take_data = env_take_data};

static void configure(struct device *device)
{
	static const struct ide_drive_config drives[IDE_DRIVES] = {
		{.sectors = SECTORS, .serial = "fuzz"}, {.sectors = SECTORS}, {.sectors = SECTORS},
		{.is_cd = true, .serial = "cd"}};
	static const struct scsi_disc discs[IDE_PORTS] = {
		[CD] = {.blocks = CD_BLOCKS, .drive = CD},
		[OTHER] = {.blocks = 500000, .drive = CD}};

	ide_configure(device, drives, discs);
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

static void access(struct input *input, uint8_t step)
{
	unsigned which = step % ARRAY_COUNT(regions), size = 1u << (step / 8 & 3);
	uint32_t bytes = regions[which].bytes;
	uint64_t offset;

	while (size > bytes || (which == 0 && size > 4))
		size /= 2;
	offset = take(input, 1) % (bytes - size + 1);
	if (step & 0x40)
		env_write(regions[which].region, offset, size, take(input, size));
	else
		(void)env_read(regions[which].region, offset, size);
}

// A command with all its registers, which are written from features to device.
static void command(struct input *input, unsigned region)
{
	uint8_t value = (uint8_t)take(input, 1);

	for (unsigned reg = REGISTER_FEATURES; reg < REGISTER_COMMAND; reg++)
		env_write(region, reg, 1, take(input, 1));
	env_write(region, REGISTER_COMMAND, 1, value);
}

// A packet's command: its device, and what is in it.
static void packet(struct input *input, unsigned region)
{
	env_write(region, REGISTER_FEATURES, 1, take(input, 1));
	for (unsigned reg = REGISTER_FEATURES + 1; reg < REGISTER_COMMAND - 1; reg++)
		env_write(region, reg, 1, 0xf0);
	env_write(region, REGISTER_COMMAND - 1, 1, 0x10);
	env_write(region, REGISTER_COMMAND, 1, ATA_PACKET);
	for (unsigned i = 0; i < ATAPI_PACKET_BYTES; i += DATA_BYTES)
		env_write(region, 0, DATA_BYTES, take(input, DATA_BYTES));
}

static void set(struct input *input, uint8_t what)
{
	enum device_setting setting = what & 1 ? DEVICE_SETTING_EJECT : DEVICE_SETTING_INSERT;
	uint64_t value = device_disc((unsigned)take(input, 1) & 7, (unsigned)take(input, 1) & 7,
		what & 2);

	if (env.model->accepts(env.device, setting, value))
		env.model->set(env.device, env.now, setting, value);
}

static void data_move(unsigned region, unsigned count, bool write)
{
	for (unsigned i = 0; i < count; i++)
		if (write)
			env_write(region, 0, DATA_BYTES, i);
		else
			(void)env_read(region, 0, DATA_BYTES);
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
	unsigned channel = IDE_REGION_COMMAND + (what & 1);

	if (what < 0x80) {
		access(input, what);
	} else if (what < 0x98) {
		command(input, channel);
	} else if (what < 0x9c) {
		packet(input, IDE_REGION_COMMAND + 1);
	} else if (what < 0xa0) {
		set(input, what);
	} else if (what < 0xb0) {
		data_move(channel, (unsigned)take(input, 1) * 16, what & 2);
	} else if (what < 0xc0 && medium.count > 0) {
		complete((what >> 2 & 3) % medium.count, what & 2 ? STATUS_OK
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
	medium.byte = 0;
	medium.room = 1 + (begin & BEGIN_ROOM);
	medium.lied = begin & BEGIN_LOADED;
	env_start(&ide_model, &ops, configure);
	if (begin & BEGIN_LOADED)
		env_load_any(&input, 16);
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
