// SPDX-License-Identifier: BSD-2-Clause
// A UHCI controller with its USB devices, between a guest, back ends and an operator that do
// anything, or loaded from anything. Input: where devices are, how many requests a back end takes,
// and whether it is loaded (a byte), and steps, each of a byte that says what and the bytes it
// needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be.
#include "emul/uhci_internal.h"
#include "tests/fuzz/device_env.h"

#include <string.h>

enum {
	BEGIN_LOADED = 0x80,
	BEGIN_HUB = 0x01, // all but the keyboard behind it
	LIST = 0x1000, QUEUE = 0x2000, TDS = 0x2010, DATA = 0x3000, // of a driver with a queue
	PACKETS = 4, // of a transfer at most, beside SETUP and the status
	REGISTERS = 0x20,
	RUN_NS = 1000000,
	REQUESTS = 4, // of all ports
	BLOCKS = 64,
};

static uint8_t begin;

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
	(void)device;
	demand(port < UHCI_DISKS && io->kind <= DEVICE_IO_FLUSH && io->piece_count == 0);
	demand((io->bytes == 0) == (io->kind == DEVICE_IO_FLUSH));
	demand(io->bytes <= DEVICE_IO_BYTES_MAX);
	for (unsigned i = 0; i < medium.count; i++)
		if (medium.requests[i].port == port && medium.requests[i].name == io->request) {
			demand(medium.lied);
			return STATUS_EXISTS;
		}
	if (medium.count == medium.room)
		return STATUS_BUSY;
	if (io->kind == DEVICE_IO_WRITE) // all of it is there
		for (uint64_t i = 0; i < io->bytes; i++)
			medium.byte = (uint8_t)(medium.byte + ((const uint8_t *)io->data)[i]);
	medium.requests[medium.count].port = port;
	medium.requests[medium.count].name = io->request;
	medium.requests[medium.count++].dropped = false;
	return STATUS_OK;
}

static void env_take_data(struct device *device, unsigned port, void *to, size_t bytes)
{
	(void)device;
	demand(port < UHCI_DISKS && bytes <= USB_STORAGE_BUFFER_BYTES);
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

static void complete(unsigned index, enum status status)
{
	unsigned port = medium.requests[index].port;
	uint64_t name = medium.requests[index].name;
	bool dropped = medium.requests[index].dropped;

	medium.requests[index] = medium.requests[--medium.count];
	if (!dropped)
		env.model->complete(env.device, env.now, port, name, status);
}

static void configure(struct device *device)
{
	static const struct uhci_config behind = {
		.places = {[UHCI_KEYBOARD] = 1, [UHCI_HUB] = 2, [UHCI_TABLET] = UHCI_BEHIND_HUB + 1,
			[UHCI_MOUSE] = UHCI_BEHIND_HUB + 8, [UHCI_DISK] = UHCI_BEHIND_HUB + 3,
			[UHCI_DISK + 3] = UHCI_BEHIND_HUB + 4},
		.disks = {{.blocks = BLOCKS, .serial = "fuzz"},
			[3] = {.blocks = BLOCKS, .readonly = true}},
	};
	static const struct uhci_config alone = {.places = {[UHCI_TABLET] = 1, [UHCI_MOUSE] = 2}};

	uhci_configure(device, begin & BEGIN_HUB ? &behind : &alone);
}

static void access(struct input *input, uint8_t step)
{
	bool config = step & 1;
	unsigned size = 1u << (step >> 1 & 3);
	uint64_t offset;

	if (config && size > 4)
		size = 4;
	offset = take(input, 1) % ((config ? PCIDEV_CONFIG_BYTES : REGISTERS) - size + 1);
	if (step & 0x10)
		env_write(config ? PCIDEV_REGION_CONFIG : UHCI_REGION_REGISTERS, offset, size,
			take(input, size));
	else
		(void)env_read(config ? PCIDEV_REGION_CONFIG : UHCI_REGION_REGISTERS, offset, size);
}

static void put32(uint32_t at, uint32_t value)
{
	memcpy(env.ram + at, &value, 4);
}

static void td(unsigned index, uint32_t token, unsigned bytes, bool last)
{
	uint32_t at = TDS + 16 * index;

	put32(at, last ? 1 : (at + 16) | 4);
	put32(at + 4, 0x198007ff); // active, three errors, an interrupt
	put32(at + 8, token | ((bytes - 1) & 0x7ff) << 21);
	put32(at + 12, DATA + 64 * index);
}

static void frame_run(void)
{
	put32(QUEUE, 1);
	put32(QUEUE + 4, TDS);
	for (unsigned i = 0; i < UHCI_FRAME_ENTRIES; i++)
		put32(LIST + 4 * i, QUEUE | 2);
	env_write(UHCI_REGION_REGISTERS, 0x08, 4, LIST);
	env_write(UHCI_REGION_REGISTERS, 0x00, 2, UHCI_COMMAND_RUN);
	env_time_pass(RUN_NS);
}

// A control transfer to the address, with the SETUP packet and the data of the input.
static void transfer(struct input *input, uint32_t address)
{
	uint8_t setup[USB_SETUP_BYTES] = {0};
	unsigned packets;
	bool reads;

	setup[0] = (uint8_t)take(input, 1);
	setup[1] = (uint8_t)take(input, 1);
	setup[2] = (uint8_t)take(input, 1);
	setup[3] = (uint8_t)take(input, 1);
	setup[4] = (uint8_t)take(input, 1);
	setup[6] = (uint8_t)take(input, 1);
	memcpy(env.ram + DATA, setup, sizeof(setup));
	reads = setup[0] & USB_TYPE_READ;
	packets = ((unsigned)setup[6] + 7) / 8;
	if (packets > PACKETS)
		packets = PACKETS;
	td(0, USB_PID_SETUP | address << 8, 8, false);
	for (unsigned i = 0; i < packets; i++) {
		unsigned left = setup[6] - 8 * i;
		uint64_t data = reads ? 0 : take(input, 1);

		memcpy(env.ram + DATA + 64 * (i + 1), &data, 8);
		td(i + 1, (reads ? USB_PID_IN : USB_PID_OUT) | address << 8, left < 8 ? left : 8,
			false);
	}
	td(packets + 1, (reads && packets != 0 ? USB_PID_OUT : USB_PID_IN) | address << 8, 0, true);
	frame_run();
}

static void packet(struct input *input)
{
	uint32_t token = (uint32_t)take(input, 2); // address and endpoint

	td(0, (token & 0x8000 ? USB_PID_OUT : USB_PID_IN) | (token & 0x7fff) << 8,
		(unsigned)take(input, 1) & 0x7f, true);
	frame_run();
}

// A command block to the disk that has the address, and packets of its data and its status.
static void command(struct input *input, uint32_t address)
{
	uint8_t block[31] = {'U', 'S', 'B', 'C', [12] = (uint8_t)take(input, 1)};
	unsigned packets = (block[12] >> 2 & 7) + 1;
	uint32_t length = (uint32_t)take(input, 2);

	memcpy(block + 8, &length, 4);
	block[14] = (uint8_t)take(input, 1);
	for (unsigned i = 15; i < 25; i++)
		block[i] = (uint8_t)take(input, 1);
	memcpy(env.ram + DATA, block, sizeof(block));
	td(0, USB_PID_OUT | address << 8 | 2 << 15, 31, false);
	for (unsigned i = 1; i <= packets; i++)
		td(i, (block[12] & 0x80 ? USB_PID_IN | 1 << 15 : USB_PID_OUT | 2 << 15) |
			address << 8, 64, i == packets);
	frame_run();
	if (medium.count != 0 && (block[12] & 1) != 0)
		complete(0, STATUS_OK);
}

// More of its data, or its status.
static void command_go_on(uint8_t what, uint32_t address)
{
	for (unsigned i = 0; i < 8; i++)
		td(i, (what & 8 ? USB_PID_OUT | 2 << 15 : USB_PID_IN | 1 << 15) | address << 8, 64,
			i == 7);
	frame_run();
	if (medium.count != 0)
		complete(0, what & 16 ? STATUS_IO : STATUS_OK);
}

static void input_do(struct input *input)
{
	struct device_input what = {.kind = (uint8_t)(take(input, 1) % DEVICE_INPUT_KINDS)};

	what.code = (uint8_t)take(input, 1);
	what.down = what.code & 1;
	what.x = (int16_t)take(input, 2);
	what.y = (int16_t)(what.x >> 1);
	what.wheel = (int16_t)(int8_t)take(input, 1);
	if (env.model->takes_input(env.device, what.kind))
		env.model->input(env.device, env.now, &what);
}

static void plug(struct input *input, enum device_setting setting)
{
	uint64_t which = take(input, 1);

	if (env.model->accepts(env.device, setting, which))
		env.model->set(env.device, env.now, setting, which);
}

static void describe(void)
{
	struct uhci_device_info info;

	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		if (uhci_device_describe(env.device, i, &info))
			demand(info.product != NULL && uhci_device_name(i) != NULL);
}

static void load_altered(struct input *input)
{
	medium.lied = true;
	env_load_altered(input);
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

	if (what < 0x40)
		access(input, what);
	else if (what < 0x50)
		transfer(input, what & 7);
	else if (what < 0x60)
		command(input, what & 7);
	else if (what < 0x80)
		command_go_on(what, what & 7);
	else if (what < 0x90)
		packet(input);
	else if (what < 0xa0)
		input_do(input);
	else if (what < 0xb0)
		plug(input, what & 1 ? DEVICE_SETTING_PLUG : DEVICE_SETTING_UNPLUG);
	else if (what < 0xd0)
		env_ram_write(input);
	else if (what < 0xe8)
		env_time_pass(take(input, 3));
	else if (what < 0xf0)
		env_save_and_load();
	else if (what < 0xf8)
		load_altered(input);
	else if (what < 0xfc)
		describe();
	else
		reset(what & 1 ? DEVICE_RESET_POWER : DEVICE_RESET_LINE);
	env_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	begin = (uint8_t)take(&input, 1);
	medium.count = 0;
	medium.byte = 0;
	medium.room = 1 + (begin >> 1 & 3);
	medium.lied = begin & BEGIN_LOADED;
	env_start(&uhci_model, &ops, configure);
	if (begin & BEGIN_LOADED)
		env_load_any(&input, 16);
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
