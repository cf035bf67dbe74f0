// SPDX-License-Identifier: BSD-2-Clause
// A port that ends the machine, as QEMU's isa-debug-exit with iosize 4 does: a write of v asks for
// exit status 2 v + 1, which is never 0. Reads answer 0. It has no state.
//
// Called by the bus alone.
#include "emul/debug_exit.h"

struct debug_exit {
	struct device device;
};

static void debug_exit_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)device;
	(void)now;
	(void)kind;
}

static uint64_t debug_exit_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	(void)device;
	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	return 0;
}

static void debug_exit_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	(void)now;
	(void)region;
	(void)offset;
	if (size < 4)
		value &= BIT(8 * size) - 1;
	device_request(device, DEVICE_REQUEST_EXIT, (uint32_t)value << 1 | 1);
}

static const struct state_field debug_exit_fields[] = {
	STATE_DERIVED(struct debug_exit, device),
};

static const struct state_table debug_exit_state =
	STATE_TABLE("isa-debug-exit", 1, struct debug_exit, debug_exit_fields, NULL);

const struct device_model debug_exit_model = {
	.name = "isa-debug-exit",
	.description = "port that ends the machine",
	.instance_bytes = sizeof(struct debug_exit),
	.state = &debug_exit_state,
	.reset = debug_exit_reset,
	.read = debug_exit_read,
	.write = debug_exit_write,
};

DEVICE_MODEL_REGISTER(220, debug_exit_model);
