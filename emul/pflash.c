// SPDX-License-Identifier: BSD-2-Clause
// emul/pflash.h. Called by the bus alone.
//
// After JEDEC JESD68.01 (CFI), Intel's command set 0x0001 as the 28F640J3's data sheet has it, and
// QEMU's chip in that which software counts on: one chip, 8 bits wide, blocks of 4 KiB, all of the
// status register cleared by its command, no identifiers, locks that are accepted and hold nothing.
//
// Left out: suspending, which there is no time for; protection registers; configuration. As a
// chip, and not as QEMU's, it erases at the confirmation, and a program turns no 0 into a 1.
#include "emul/pflash.h"

#include <string.h>

#include "kernel/base/assert.h"

enum {
	COMMAND_ARRAY = 0x00, // of the state; READ_ARRAY and others lead to it
	COMMAND_LOCK_SET = 0x01,
	COMMAND_PROGRAM = 0x10,
	COMMAND_ERASE = 0x20,
	COMMAND_PROGRAM_OTHER = 0x40,
	COMMAND_CLEAR_STATUS = 0x50,
	COMMAND_LOCK = 0x60,
	COMMAND_READ_STATUS = 0x70,
	COMMAND_READ_ID = 0x90,
	COMMAND_QUERY = 0x98,
	COMMAND_CONFIRM = 0xd0,
	COMMAND_BUFFER = 0xe8,
	COMMAND_READ_ARRAY = 0xff,
};

enum {
	SR_PROGRAM_ERROR = 0x10,
	SR_ERASE_ERROR = 0x20,
	SR_SEQUENCE_ERROR = SR_PROGRAM_ERROR | SR_ERASE_ERROR,
	SR_READY = 0x80,
};

// Cycles of a command: which write to the chip comes next.
enum { CYCLE_COMMAND, CYCLE_SECOND, CYCLE_DATA, CYCLE_CONFIRM };

enum {
	BUFFER_BYTES_LOG2 = 8,
	BUFFER_BYTES = 1 << BUFFER_BYTES_LOG2,
	TIMER_STORE = 0,
	STORE_NS = 10000000, // a block that is changed no more is on its way after that
	BLOCKS_MAX = PFLASH_MEMORY_BYTES / PFLASH_BLOCK_BYTES, // of one that is written
};

struct pflash {
	struct device device;
	uint32_t bytes; // (c)
	bool read_only; // (c)
	uint8_t reserved[3];
	uint64_t deadline_ns; // of the timer, where a block is dirty
	uint64_t requests;    // so far
	uint32_t dirty;       // the block that is not on its way yet, counted from 1; 0: none
	uint8_t dirty_erased; // it was erased
	uint8_t command, cycle, status;
	uint32_t buffer_at; // where the buffer's first byte belongs
	uint16_t left;      // writes that fill the buffer, behind the next one
	uint8_t under_way;  // requests
	uint8_t reserved2;
	uint8_t buffer[BUFFER_BYTES];
};

// JESD68.01, 2.2: from 0x10 on. What depends on the size is filled in by query_byte.
enum { QUERY_FIRST = 0x10, QUERY_SIZE = 0x27, QUERY_BLOCKS = 0x2d, QUERY_BLOCK_SIZE = 0x2f };
static const uint8_t query[] = {
	[0x10 - QUERY_FIRST] = 'Q', 'R', 'Y',
	[0x13 - QUERY_FIRST] = 0x01, 0x00, // Intel's command set
	[0x15 - QUERY_FIRST] = 0x31, 0x00, // its table
	[0x1b - QUERY_FIRST] = 0x45, 0x55, // supply voltage, tenths of volts in BCD: 4.5 to 5.5
	[0x1f - QUERY_FIRST] = 7, 7, 10, 0, // usual times, logarithms: byte, buffer us; erase ms
	[0x23 - QUERY_FIRST] = 4, 4, 4, 0,  // how many times that at most, too
	[0x28 - QUERY_FIRST] = 2, 0,        // 8 and 16 bits
	[0x2a - QUERY_FIRST] = BUFFER_BYTES_LOG2, 0,
	[0x2c - QUERY_FIRST] = 1, // a region of equal blocks: their number less one, size / 256
	[0x31 - QUERY_FIRST] = 'P', 'R', 'I', '1', '0', // no features
	[0x3f - QUERY_FIRST] = 1,
};

static struct pflash *pflash_of(struct device *device)
{
	return CONTAINER_OF(device, struct pflash, device);
}

void pflash_configure(struct device *device, uint32_t bytes, bool read_only)
{
	struct pflash *flash = pflash_of(device);

	ASSERT(bytes != 0 && bytes % PFLASH_BLOCK_BYTES == 0 && bytes <= PFLASH_BYTES_MAX);
	ASSERT(read_only || bytes <= PFLASH_MEMORY_BYTES);
	flash->bytes = bytes;
	flash->read_only = read_only;
}

// The logarithm of the smallest power of two that holds all of it.
static uint8_t size_log2(uint32_t bytes)
{
	uint8_t log2 = 0;

	while ((UINT32_C(1) << log2) < bytes)
		log2++;
	return log2;
}

static uint8_t query_byte(const struct pflash *flash, uint64_t offset)
{
	uint32_t blocks = flash->bytes / PFLASH_BLOCK_BYTES - 1, at = offset & 0xff;

	switch (at) {
	case QUERY_SIZE:
		return size_log2(flash->bytes);
	case QUERY_BLOCKS:
	case QUERY_BLOCKS + 1:
		return (uint8_t)(blocks >> 8 * (at - QUERY_BLOCKS));
	case QUERY_BLOCK_SIZE:
		return PFLASH_BLOCK_BYTES / 256;
	default:
		return at - QUERY_FIRST < sizeof(query) ? query[at - QUERY_FIRST] : 0;
	}
}

static void drive(struct pflash *flash)
{
	device_set_line(&flash->device, PFLASH_OUTPUT_ARRAY, flash->command == COMMAND_ARRAY);
}

static void timer_arm(struct pflash *flash, uint64_t deadline_ns)
{
	flash->deadline_ns = deadline_ns;
	device_arm_timer(&flash->device, TIMER_STORE, (struct guest_time){deadline_ns});
}

// The dirty block goes on its way. False: not now.
static bool store(struct pflash *flash)
{
	const struct device_io io = {
		.request = flash->requests << 1 | flash->dirty_erased,
		.offset = (flash->dirty - UINT64_C(1)) * PFLASH_BLOCK_BYTES,
		.kind = DEVICE_IO_FLUSH,
		.bytes = PFLASH_BLOCK_BYTES,
	};
	enum status status;

	if (flash->dirty == 0)
		return true;
	status = io.offset < flash->bytes ? device_submit(&flash->device, PFLASH_PORT_STORE, &io)
					  : STATUS_UNSUPPORTED; // of a loaded state
	if (status != STATUS_OK && status != STATUS_UNSUPPORTED)
		return false;
	device_cancel_timer(&flash->device, TIMER_STORE);
	flash->dirty = 0;
	flash->dirty_erased = 0;
	if (status != STATUS_OK)
		return true; // nobody keeps it
	flash->requests++;
	if (flash->under_way < DEVICE_IO_MAX) // or the loaded state was wrong
		flash->under_way++;
	device_request(&flash->device, DEVICE_REQUEST_SETTLE, 0);
	return true;
}

// The block is about to change. False: the one before cannot go on its way.
static bool block_change(struct pflash *flash, struct guest_time now, uint64_t offset)
{
	uint32_t block = (uint32_t)(offset / PFLASH_BLOCK_BYTES) + 1;

	if (flash->dirty == block)
		return true;
	if (!store(flash))
		return false;
	flash->dirty = block;
	timer_arm(flash, now.ns + STORE_NS);
	return true;
}

// Of one block.
static void program(struct pflash *flash, struct guest_time now, uint64_t offset,
	const uint8_t *bytes, uint32_t count)
{
	uint64_t left = PFLASH_BLOCK_BYTES - offset % PFLASH_BLOCK_BYTES;
	uint8_t there[BUFFER_BYTES];

	flash->status |= SR_READY;
	if (count > left)
		count = (uint32_t)left;
	if (flash->read_only || offset >= flash->bytes || !block_change(flash, now, offset)) {
		flash->status |= SR_PROGRAM_ERROR;
		return;
	}
	device_memory_read(&flash->device, offset, there, count);
	for (uint32_t i = 0; i < count; i++)
		there[i] &= bytes[i];
	device_memory_write(&flash->device, offset, there, count);
}

static void erase(struct pflash *flash, struct guest_time now, uint64_t offset)
{
	uint64_t block = offset - offset % PFLASH_BLOCK_BYTES;
	uint8_t erased[BUFFER_BYTES];

	flash->status |= SR_READY;
	if (flash->read_only || !block_change(flash, now, block)) {
		flash->status |= SR_ERASE_ERROR;
		return;
	}
	flash->dirty_erased = 1;
	memset(erased, 0xff, sizeof(erased));
	for (unsigned i = 0; i < PFLASH_BLOCK_BYTES; i += BUFFER_BYTES)
		device_memory_write(&flash->device, block + i, erased, sizeof(erased));
}

// What was programmed or erased goes on its way, for nobody may come back to it.
static void array_show(struct pflash *flash)
{
	flash->command = COMMAND_ARRAY;
	flash->cycle = CYCLE_COMMAND;
	(void)store(flash);
}

// One that is not understood ends the command.
static void sequence_fail(struct pflash *flash)
{
	flash->status |= SR_SEQUENCE_ERROR;
	array_show(flash);
}

static void command_write(struct pflash *flash, uint8_t command)
{
	switch (command) {
	case COMMAND_BUFFER:
		flash->status |= SR_READY;
		memset(flash->buffer, 0xff, sizeof(flash->buffer));
		break;
	case COMMAND_PROGRAM:
	case COMMAND_PROGRAM_OTHER:
	case COMMAND_ERASE:
	case COMMAND_LOCK:
	case COMMAND_QUERY:
		break;
	case COMMAND_READ_STATUS:
	case COMMAND_READ_ID:
		flash->command = command;
		return;
	case COMMAND_CLEAR_STATUS:
		flash->status = 0;
		array_show(flash);
		return;
	default: // COMMAND_READ_ARRAY, and what is none
		array_show(flash);
		return;
	}
	flash->command = command;
	flash->cycle = CYCLE_SECOND;
}

static void second_write(struct pflash *flash, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	uint8_t bytes[sizeof(value)], command = (uint8_t)value;

	memcpy(bytes, &value, sizeof(bytes));
	switch (flash->command) {
	case COMMAND_PROGRAM:
	case COMMAND_PROGRAM_OTHER:
		program(flash, now, offset, bytes, size);
		flash->cycle = CYCLE_COMMAND;
		return;
	case COMMAND_BUFFER: // how many, less one
		flash->left = command;
		flash->cycle = CYCLE_DATA;
		flash->buffer_at = UINT32_MAX;
		return;
	case COMMAND_ERASE:
	case COMMAND_LOCK:
		if (command == COMMAND_CONFIRM && flash->command == COMMAND_ERASE)
			erase(flash, now, offset);
		else if (flash->command == COMMAND_LOCK &&
			(command == COMMAND_CONFIRM || command == COMMAND_LOCK_SET))
			flash->status |= SR_READY;
		else
			break;
		flash->cycle = CYCLE_COMMAND;
		return;
	case COMMAND_QUERY:
		if (command != COMMAND_READ_ARRAY)
			return;
		break;
	}
	if (command == COMMAND_READ_ARRAY)
		array_show(flash);
	else
		sequence_fail(flash);
}

// All bytes lie in the part of the flash that the first one is in.
static void buffer_write(struct pflash *flash, uint64_t offset, unsigned size, uint64_t value)
{
	uint32_t at = (uint32_t)offset % BUFFER_BYTES;

	if (flash->buffer_at == UINT32_MAX)
		flash->buffer_at = (uint32_t)offset - at;
	if (flash->buffer_at != offset - at || at + size > BUFFER_BYTES)
		flash->status |= SR_SEQUENCE_ERROR;
	else
		memcpy(&flash->buffer[at], &value, size);
	if (flash->left-- == 0) {
		flash->left = 0;
		flash->cycle = CYCLE_CONFIRM;
	}
}

static void confirm_write(struct pflash *flash, struct guest_time now, uint8_t command)
{
	if (flash->command != COMMAND_BUFFER || command != COMMAND_CONFIRM) {
		sequence_fail(flash);
		return;
	}
	if ((flash->status & SR_SEQUENCE_ERROR) == 0)
		program(flash, now, flash->buffer_at, flash->buffer, BUFFER_BYTES);
	flash->status |= SR_READY;
	flash->cycle = CYCLE_COMMAND;
}

static void chip_write(struct pflash *flash, struct guest_time now, uint64_t offset, unsigned size,
	uint64_t value)
{
	switch (flash->cycle) {
	case CYCLE_COMMAND:
		command_write(flash, (uint8_t)value);
		break;
	case CYCLE_SECOND:
		second_write(flash, now, offset, size, value);
		break;
	case CYCLE_DATA:
		buffer_write(flash, offset, size, value);
		break;
	default:
		confirm_write(flash, now, (uint8_t)value);
		break;
	}
}

// The chip's bus is 32 bits wide at most.
static void pflash_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct pflash *flash = pflash_of(device);

	(void)region;
	if (size == 8) {
		chip_write(flash, now, offset, 4, (uint32_t)value);
		chip_write(flash, now, offset + 4, 4, value >> 32);
	} else {
		chip_write(flash, now, offset, size, value);
	}
	drive(flash);
}

// Who asks whether the chip is ready waits for what it has changed to be durable.
static uint8_t status_read(struct pflash *flash)
{
	bool stored = store(flash);

	return stored && flash->under_way == 0 ? flash->status
					       : flash->status & (uint8_t)~SR_READY;
}

static uint32_t chip_read(struct pflash *flash, uint64_t offset, unsigned size)
{
	uint32_t value = 0;

	switch (flash->command) {
	case COMMAND_ARRAY:
		if (flash->read_only) // somebody raced who shows it
			return flash->status;
		device_memory_read(&flash->device, offset, &value, size);
		return value;
	case COMMAND_READ_ID:
		return 0;
	case COMMAND_QUERY:
		return query_byte(flash, offset);
	default:
		value = status_read(flash);
		return size > 2 ? value | value << 16 : value; // as QEMU has it
	}
}

static uint64_t pflash_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct pflash *flash = pflash_of(device);
	uint64_t low;

	(void)now;
	(void)region;
	if (size < 8)
		return chip_read(flash, offset, size);
	low = chip_read(flash, offset, 4);
	return low | (uint64_t)chip_read(flash, offset + 4, 4) << 32;
}

static void pflash_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct pflash *flash = pflash_of(device);

	(void)timer;
	if (!store(flash))
		timer_arm(flash, now.ns + STORE_NS);
}

static void pflash_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	struct pflash *flash = pflash_of(device);

	(void)now;
	(void)port;
	if (flash->under_way != 0)
		flash->under_way--;
	if (status != STATUS_OK)
		flash->status |= (request & 1) != 0 ? SR_ERASE_ERROR : SR_PROGRAM_ERROR;
}

// Back ends have answered before. What is dirty stays so: a chip keeps its contents.
static void pflash_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct pflash *flash = pflash_of(device);
	size_t first = kind == DEVICE_RESET_POWER ? offsetof(struct pflash, deadline_ns)
						  : offsetof(struct pflash, command);

	memset((uint8_t *)flash + first, 0, sizeof(*flash) - first);
	flash->status = SR_READY;
	if (flash->dirty != 0)
		timer_arm(flash, now.ns + STORE_NS);
	drive(flash);
}

static void pflash_loaded(struct device *device, struct guest_time now)
{
	struct pflash *flash = pflash_of(device);

	(void)now;
	if (flash->dirty != 0)
		timer_arm(flash, flash->deadline_ns);
	drive(flash);
}

static const char *pflash_check(const void *instance)
{
	const struct pflash *flash = instance;

	return flash->command == COMMAND_ARRAY && flash->cycle != CYCLE_COMMAND
		? "cycle: of no command" : NULL;
}

static const struct state_field pflash_fields[] = {
	STATE_DERIVED(struct pflash, device),
	STATE_DERIVED(struct pflash, bytes),
	STATE_DERIVED(struct pflash, read_only),
	STATE_PAD(struct pflash, reserved),
	STATE_VALUE(struct pflash, deadline_ns, 0, INT64_MAX),
	STATE_ANY(struct pflash, requests),
	STATE_VALUE(struct pflash, dirty, 0, BLOCKS_MAX),
	STATE_VALUE(struct pflash, dirty_erased, 0, 1),
	STATE_ANY(struct pflash, command),
	STATE_VALUE(struct pflash, cycle, 0, CYCLE_CONFIRM),
	STATE_ANY(struct pflash, status),
	STATE_ANY(struct pflash, buffer_at),
	STATE_VALUE(struct pflash, left, 0, BUFFER_BYTES - 1),
	STATE_VALUE(struct pflash, under_way, 0, DEVICE_IO_MAX),
	STATE_PAD(struct pflash, reserved2),
	STATE_ARRAY_ANY(struct pflash, buffer),
};

static const struct state_table pflash_state =
	STATE_TABLE("cfi.pflash01", 1, struct pflash, pflash_fields, pflash_check);

const struct device_model pflash_model = {
	.name = "cfi.pflash01",
	.description = "flash chip",
	.instance_bytes = sizeof(struct pflash),
	.timers = 1,
	.outputs = PFLASH_OUTPUTS,
	.memory_bytes = PFLASH_MEMORY_BYTES,
	.memory_region = PFLASH_REGIONS, // none of them, but the machine: PFLASH_OUTPUT_ARRAY
	.state = &pflash_state,
	.reset = pflash_reset,
	.read = pflash_read,
	.write = pflash_write,
	.timer = pflash_timer,
	.complete = pflash_complete,
	.loaded = pflash_loaded,
};

DEVICE_MODEL_REGISTER(238, pflash_model);
