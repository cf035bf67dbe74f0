// SPDX-License-Identifier: BSD-2-Clause
// The paravirtual panic port (QEMU's docs/specs/pvpanic.txt, "ISA Interface"): a read answers the
// events that are understood, a write reports events. It has no state.
//
// Left out: the later shutdown event, which is therefore not announced.
//
// Called by the bus alone.
#include "emul/pvpanic.h"

enum {
	PVPANIC_SUPPORTED = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
};

struct pvpanic {
	struct device device;
};

static void pvpanic_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)device;
	(void)now;
	(void)kind;
}

static uint64_t pvpanic_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	(void)device;
	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	return PVPANIC_SUPPORTED;
}

static void pvpanic_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	uint32_t events = (uint32_t)value & PVPANIC_SUPPORTED;

	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	if (events != 0)
		device_request(device, DEVICE_REQUEST_PANICKED, events);
}

static const struct state_field pvpanic_fields[] = {
	STATE_DERIVED(struct pvpanic, device),
};

static const struct state_table pvpanic_state =
	STATE_TABLE("pvpanic", 1, struct pvpanic, pvpanic_fields, NULL);

const struct device_model pvpanic_model = {
	.name = "pvpanic",
	.description = "paravirtual panic port",
	.instance_bytes = sizeof(struct pvpanic),
	.state = &pvpanic_state,
	.reset = pvpanic_reset,
	.read = pvpanic_read,
	.write = pvpanic_write,
};

DEVICE_MODEL_REGISTER(230, pvpanic_model);
