// SPDX-License-Identifier: BSD-2-Clause
// System control port B of a PC, the NMI status and control register (Intel ICH9 datasheet
// 316972, 13.7.1, NMI_SC): gate and data of the speaker, and the timer's output.
//
// Left out: the NMI sources. Nothing raises SERR# or IOCHK#, so bits 6 and 7 read 0 and the
// enables in bits 2 and 3 are only kept.
//
// Called by the bus alone.
#include "emul/port61.h"

enum {
	PORT61_GATE2 = 0x01,
	PORT61_SPEAKER = 0x02,
	PORT61_KEPT = 0x0f,
	PORT61_REFRESH = 0x10,
	PORT61_OUT2 = 0x20,

	// Bit 4 toggles with each memory refresh: 18 ticks of the 1.193182 MHz timer.
	PORT61_REFRESH_NS = 15085,
};

struct port61 {
	struct device device;
	uint8_t control; // bits 0 to 3 as written
	uint8_t reserved[7];
};

static void port61_drive(struct port61 *port, uint8_t changed)
{
	if ((changed & PORT61_GATE2) != 0)
		device_set_line(&port->device, PORT61_OUTPUT_GATE2,
			(port->control & PORT61_GATE2) != 0);
	if ((changed & PORT61_SPEAKER) != 0)
		device_set_line(&port->device, PORT61_OUTPUT_SPEAKER,
			(port->control & PORT61_SPEAKER) != 0);
}

static void port61_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)now;
	(void)kind;
	CONTAINER_OF(device, struct port61, device)->control = 0;
}

static uint64_t port61_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	const struct port61 *port = CONTAINER_OF(device, struct port61, device);
	uint8_t value = port->control;

	(void)region;
	(void)offset;
	(void)size;
	if (now.ns / PORT61_REFRESH_NS % 2 != 0)
		value |= PORT61_REFRESH;
	if (device_sample(device, PORT61_INPUT_OUT2))
		value |= PORT61_OUT2;
	return value;
}

static void port61_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct port61 *port = CONTAINER_OF(device, struct port61, device);
	uint8_t control = (uint8_t)value & PORT61_KEPT;
	uint8_t changed = port->control ^ control;

	(void)now;
	(void)region;
	(void)offset;
	(void)size;
	port->control = control;
	port61_drive(port, changed);
}

static bool port61_level(const struct device *device, struct guest_time now, unsigned output)
{
	const struct port61 *port = CONTAINER_OF(device, struct port61, device);

	(void)now;
	return (port->control &
		(output == PORT61_OUTPUT_GATE2 ? PORT61_GATE2 : PORT61_SPEAKER)) != 0;
}

static void port61_loaded(struct device *device, struct guest_time now)
{
	struct port61 *port = CONTAINER_OF(device, struct port61, device);

	(void)now;
	port61_drive(port, port->control);
}

static const struct state_field port61_fields[] = {
	STATE_DERIVED(struct port61, device),
	STATE_VALUE(struct port61, control, 0, PORT61_KEPT),
	STATE_PAD(struct port61, reserved),
};

static const struct state_table port61_state =
	STATE_TABLE("isa-port61", 1, struct port61, port61_fields, NULL);

const struct device_model port61_model = {
	.name = "isa-port61",
	.description = "system control port B",
	.instance_bytes = sizeof(struct port61),
	.inputs = PORT61_INPUTS,
	.outputs = PORT61_OUTPUTS,
	.state = &port61_state,
	.reset = port61_reset,
	.read = port61_read,
	.write = port61_write,
	.level = port61_level,
	.loaded = port61_loaded,
};

DEVICE_MODEL_REGISTER(140, port61_model);
