// SPDX-License-Identifier: BSD-2-Clause
// The debug console that Bochs introduced and QEMU's isa-debugcon follows: each byte written goes
// out, and a read answers 0xe9, by which a guest finds it. It has no input and no state.
//
// Called by the bus alone.
#include "emul/debugcon.h"

enum {
	DEBUGCON_SIGNATURE = 0xe9,
};

struct debugcon {
	struct device device;
};

static void debugcon_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)device;
	(void)now;
	(void)kind;
}

static uint64_t debugcon_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	(void)device;
	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	return DEBUGCON_SIGNATURE;
}

static void debugcon_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	uint8_t byte = (uint8_t)value;

	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	device_output(device, DEBUGCON_PORT_OUTPUT, &byte, 1);
}

static const struct state_field debugcon_fields[] = {
	STATE_DERIVED(struct debugcon, device),
};

static const struct state_table debugcon_state =
	STATE_TABLE("isa-debugcon", 1, struct debugcon, debugcon_fields, NULL);

const struct device_model debugcon_model = {
	.name = "isa-debugcon",
	.description = "debug console port",
	.instance_bytes = sizeof(struct debugcon),
	.state = &debugcon_state,
	.reset = debugcon_reset,
	.read = debugcon_read,
	.write = debugcon_write,
};

DEVICE_MODEL_REGISTER(210, debugcon_model);
