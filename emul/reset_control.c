// SPDX-License-Identifier: BSD-2-Clause
// The chipset's reset ports: port 0x92 (fast INIT, A20) and the reset control register, port 0xCF9,
// which the FADT names as ACPI's reset register.
//
// Specification: Intel 82801 (ICH) data sheets, "PORT92: Fast A20 and Init Register" and "RST_CNT:
// Reset Control Register"; ACPI 6.5, 4.8.3.6 (Reset Register).
//
// Left out on purpose: the A20 gate masks nothing. Its bit is stored and reads back, set at reset
// as A20 is always enabled.
//
// Entered by the VM's bus only.
#include "emul/reset_control.h"

#include <string.h>

enum {
	FAST_INIT = 0x01,
	FAST_A20 = 0x02,
	FAST_MASK = FAST_INIT | FAST_A20,

	RESET_SYSTEM = 0x02, // SYS_RST: a hard reset, not an INIT
	RESET_CPU = 0x04,    // RST_CPU: 0 to 1 resets
	RESET_FULL = 0x08,   // FULL_RST: with a power cycle
	RESET_MASK = RESET_SYSTEM | RESET_CPU | RESET_FULL,
};

struct reset_control {
	struct device device;
	uint8_t fast, reset; // as they read back
	uint8_t reserved[6];
};

static struct reset_control *reset_control_of(struct device *device)
{
	return CONTAINER_OF(device, struct reset_control, device);
}

static uint64_t reset_control_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	const struct reset_control *control = reset_control_of(device);

	(void)now;
	(void)offset;
	(void)size;
	return region == RESET_CONTROL_REGION_FAST ? control->fast : control->reset;
}

static void fast_write(struct reset_control *control, uint8_t value)
{
	uint8_t rising = value & (uint8_t)~control->fast;

	control->fast = value & FAST_MASK;
	if (rising & FAST_INIT)
		device_request(&control->device, DEVICE_REQUEST_INIT, 0);
}

static void reset_write(struct reset_control *control, uint8_t value)
{
	uint8_t rising = value & (uint8_t)~control->reset;

	control->reset = value & RESET_MASK;
	if (rising & RESET_CPU)
		device_request(&control->device,
			value & (RESET_SYSTEM | RESET_FULL) ? DEVICE_REQUEST_RESET :
							      DEVICE_REQUEST_INIT,
			0);
}

static void reset_control_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	(void)now;
	(void)offset;
	(void)size;
	if (region == RESET_CONTROL_REGION_FAST)
		fast_write(reset_control_of(device), (uint8_t)value);
	else
		reset_write(reset_control_of(device), (uint8_t)value);
}

static void reset_control_reset(struct device *device, struct guest_time now,
	enum device_reset kind)
{
	struct reset_control *control = reset_control_of(device);

	(void)now;
	(void)kind;
	control->fast = FAST_A20;
	control->reset = 0;
	memset(control->reserved, 0, sizeof(control->reserved));
}

static const char *reset_control_check(const void *instance)
{
	const struct reset_control *control = instance;

	if (control->reset & ~RESET_MASK)
		return "the reset control register has reserved bits";
	return NULL;
}

static const struct state_field reset_control_fields[] = {
	STATE_DERIVED(struct reset_control, device),
	STATE_VALUE(struct reset_control, fast, 0, FAST_MASK),
	STATE_VALUE(struct reset_control, reset, 0, RESET_MASK),
	STATE_PAD(struct reset_control, reserved),
};

static const struct state_table reset_control_state = STATE_TABLE("reset-control", 1,
	struct reset_control, reset_control_fields, reset_control_check);

const struct device_model reset_control_model = {
	.name = "reset-control",
	.description = "Reset ports 0x92 and 0xCF9",
	.instance_bytes = sizeof(struct reset_control),
	.state = &reset_control_state,
	.reset = reset_control_reset,
	.read = reset_control_read,
	.write = reset_control_write,
};

DEVICE_MODEL_REGISTER(170, reset_control_model);
