// SPDX-License-Identifier: BSD-2-Clause
// The keyboard controller of a PC, with nothing plugged in: enough for an OS to probe it and find
// at once that there is neither keyboard nor mouse, and the reset and A20 lines of its output port.
//
// Specification: Intel UPI-41/42 programmed as in the IBM PS/2 Hardware Interface Technical
// Reference, "Keyboard and Auxiliary Device Controller".
//
// Both interface tests answer "clock line stuck low". A byte for a device is answered with 0xfe and
// the status bit of a time-out, as the controller does when no device takes the byte; here without
// the wait. The auxiliary port is not there: the loop-back command 0xd3 answers without the
// auxiliary status bit, as controllers with a keyboard port alone do.
//
// The controller takes each byte at once: the input buffer is never full. A reply takes the place
// of a byte that was not read. A keyboard or mouse will be a child, whose bytes vm/ brings as
// characters on its port while the output buffer is empty and its interface is not disabled; `ram`,
// the output buffer and `status` are the controller's whole state then too.
//
// Left out on purpose: devices, scan code translation (the bit is stored), passwords, the gate of
// A20 itself (the bits are stored; A20 is always enabled).
//
// Entered by the VM's bus only.
#include "emul/i8042.h"

enum {
	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04,        // derived from the command byte
	STATUS_COMMAND = 0x08,       // the last write was to port 0x64
	STATUS_NOT_INHIBITED = 0x10, // constant: the key switch is open
	STATUS_AUXILIARY = 0x20,     // the byte in the output buffer is the auxiliary port's
	STATUS_TIMEOUT = 0x40,       // the byte reports that a device did not answer
	STATUS_OF_BYTE = STATUS_OUTPUT_FULL | STATUS_AUXILIARY | STATUS_TIMEOUT,
	STATUS_STORED = STATUS_OF_BYTE | STATUS_COMMAND,

	COMMAND_BYTE = 0, // in ram; its bits:
	KEYBOARD_INTERRUPT = 0x01,
	AUXILIARY_INTERRUPT = 0x02,
	SYSTEM_FLAG = 0x04,
	KEYBOARD_DISABLE = 0x10,
	AUXILIARY_DISABLE = 0x20,

	PORT_NOT_RESET = 0x01, // low resets the machine
	PORT_KEYBOARD_FULL = 0x10,  // derived, as is the next
	PORT_AUXILIARY_FULL = 0x20,
	PORT_STORED = 0xcf, // A20 included: bit 1

	INPUT_PORT_NOT_INHIBITED = 0x80,

	RAM_BYTES = 32,
};

enum {
	COMMAND_READ_RAM = 0x20,  // to 0x3f
	COMMAND_WRITE_RAM = 0x60, // to 0x7f
	COMMAND_DISABLE_AUXILIARY = 0xa7,
	COMMAND_ENABLE_AUXILIARY = 0xa8,
	COMMAND_TEST_AUXILIARY = 0xa9,
	COMMAND_SELF_TEST = 0xaa,
	COMMAND_TEST_KEYBOARD = 0xab,
	COMMAND_DISABLE_KEYBOARD = 0xad,
	COMMAND_ENABLE_KEYBOARD = 0xae,
	COMMAND_READ_INPUT_PORT = 0xc0,
	COMMAND_READ_OUTPUT_PORT = 0xd0,
	COMMAND_WRITE_OUTPUT_PORT = 0xd1,
	COMMAND_LOOP_KEYBOARD = 0xd2,
	COMMAND_LOOP_AUXILIARY = 0xd3,
	COMMAND_TO_AUXILIARY = 0xd4,
	COMMAND_READ_TEST_INPUTS = 0xe0,
	COMMAND_PULSE = 0xf0, // to 0xff

	REPLY_SELF_TEST_PASSED = 0x55,
	REPLY_CLOCK_STUCK_LOW = 0x01,
	REPLY_RESEND = 0xfe,
};

struct i8042 {
	struct device device;
	uint8_t output_buffer;
	uint8_t status;      // STATUS_STORED
	uint8_t command;     // whose data byte is awaited at port 0x60, or 0
	uint8_t output_port; // PORT_STORED
	uint8_t reserved[4];
	uint8_t ram[RAM_BYTES]; // the command byte first
};

static struct i8042 *i8042_of(struct device *device)
{
	return CONTAINER_OF(device, struct i8042, device);
}

static void outputs_update(struct i8042 *controller)
{
	uint8_t status = controller->status, enabled = controller->ram[COMMAND_BYTE];
	bool full = (status & STATUS_OUTPUT_FULL) != 0;
	bool auxiliary = (status & STATUS_AUXILIARY) != 0;

	device_set_line(&controller->device, I8042_OUTPUT_KEYBOARD,
		full && !auxiliary && (enabled & KEYBOARD_INTERRUPT));
	device_set_line(&controller->device, I8042_OUTPUT_AUXILIARY,
		full && auxiliary && (enabled & AUXILIARY_INTERRUPT));
}

// `flags`: STATUS_AUXILIARY, STATUS_TIMEOUT.
static void output_fill(struct i8042 *controller, uint8_t byte, unsigned flags)
{
	controller->output_buffer = byte;
	controller->status &= (uint8_t)~STATUS_OF_BYTE;
	controller->status |= (uint8_t)(STATUS_OUTPUT_FULL | flags);
}

static uint8_t data_read(struct i8042 *controller)
{
	controller->status &= (uint8_t)~STATUS_OF_BYTE;
	return controller->output_buffer;
}

static uint8_t status_read(const struct i8042 *controller)
{
	uint8_t status = controller->status | STATUS_NOT_INHIBITED;

	if (controller->ram[COMMAND_BYTE] & SYSTEM_FLAG)
		status |= STATUS_SYSTEM;
	return status;
}

static uint8_t output_port_read(const struct i8042 *controller)
{
	uint8_t port = controller->output_port;

	if (controller->status & STATUS_OUTPUT_FULL)
		port |= controller->status & STATUS_AUXILIARY ? PORT_AUXILIARY_FULL :
								PORT_KEYBOARD_FULL;
	return port;
}

static void output_port_write(struct i8042 *controller, uint8_t value)
{
	controller->output_port = value & PORT_STORED;
	if (!(value & PORT_NOT_RESET))
		device_request(&controller->device, DEVICE_REQUEST_RESET, 0);
}

static void interface_command(struct i8042 *controller, uint8_t command)
{
	uint8_t *byte = &controller->ram[COMMAND_BYTE];

	switch (command) {
	case COMMAND_DISABLE_AUXILIARY:
		*byte |= AUXILIARY_DISABLE;
		break;
	case COMMAND_ENABLE_AUXILIARY:
		*byte &= (uint8_t)~AUXILIARY_DISABLE;
		break;
	case COMMAND_DISABLE_KEYBOARD:
		*byte |= KEYBOARD_DISABLE;
		break;
	case COMMAND_ENABLE_KEYBOARD:
		*byte &= (uint8_t)~KEYBOARD_DISABLE;
		break;
	default: // no command
		break;
	}
}

static void command_write(struct i8042 *controller, uint8_t command)
{
	uint8_t *ram = controller->ram;

	controller->status |= STATUS_COMMAND;
	controller->command = 0;
	switch (command) {
	case COMMAND_READ_RAM ... COMMAND_READ_RAM + RAM_BYTES - 1:
		output_fill(controller, ram[command % RAM_BYTES], 0);
		break;
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + RAM_BYTES - 1:
	case COMMAND_WRITE_OUTPUT_PORT ... COMMAND_TO_AUXILIARY:
		controller->command = command;
		break;
	case COMMAND_TEST_AUXILIARY:
	case COMMAND_TEST_KEYBOARD:
		output_fill(controller, REPLY_CLOCK_STUCK_LOW, 0);
		break;
	case COMMAND_SELF_TEST:
		ram[COMMAND_BYTE] |= SYSTEM_FLAG;
		output_fill(controller, REPLY_SELF_TEST_PASSED, 0);
		break;
	case COMMAND_READ_INPUT_PORT:
		output_fill(controller, INPUT_PORT_NOT_INHIBITED, 0);
		break;
	case COMMAND_READ_OUTPUT_PORT:
		output_fill(controller, output_port_read(controller), 0);
		break;
	case COMMAND_READ_TEST_INPUTS: // both clocks low, as the interface tests say
		output_fill(controller, 0, 0);
		break;
	case COMMAND_PULSE ... 0xff: // pulses low those of bits 0 to 3 that are 0
		if (!(command & PORT_NOT_RESET))
			device_request(&controller->device, DEVICE_REQUEST_RESET, 0);
		break;
	default:
		interface_command(controller, command);
	}
}

// A byte for the data port is the awaited one of a command, or goes to the keyboard, which enables
// its interface.
static void data_write(struct i8042 *controller, uint8_t byte)
{
	uint8_t command = controller->command;

	controller->status &= (uint8_t)~STATUS_COMMAND;
	controller->command = 0;
	switch (command) {
	case 0:
		controller->ram[COMMAND_BYTE] &= (uint8_t)~KEYBOARD_DISABLE;
		output_fill(controller, REPLY_RESEND, STATUS_TIMEOUT);
		break;
	case COMMAND_WRITE_OUTPUT_PORT:
		output_port_write(controller, byte);
		break;
	case COMMAND_LOOP_KEYBOARD:
	case COMMAND_LOOP_AUXILIARY:
		output_fill(controller, byte, 0);
		break;
	case COMMAND_TO_AUXILIARY:
		output_fill(controller, REPLY_RESEND, STATUS_AUXILIARY | STATUS_TIMEOUT);
		break;
	default: // COMMAND_WRITE_RAM
		controller->ram[command % RAM_BYTES] = byte;
	}
}

static uint64_t i8042_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct i8042 *controller = i8042_of(device);
	uint8_t byte;

	(void)now;
	(void)offset;
	(void)size;
	if (region == I8042_REGION_COMMAND)
		return status_read(controller);
	byte = data_read(controller);
	outputs_update(controller);
	return byte;
}

static void i8042_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *controller = i8042_of(device);

	(void)now;
	(void)offset;
	(void)size;
	if (region == I8042_REGION_COMMAND)
		command_write(controller, (uint8_t)value);
	else
		data_write(controller, (uint8_t)value);
	outputs_update(controller);
}

static void i8042_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct i8042 *controller = i8042_of(device);

	(void)now;
	(void)kind;
	*controller = (struct i8042){
		.device = *device,
		.output_port = PORT_STORED,
		.ram[COMMAND_BYTE] = KEYBOARD_DISABLE | AUXILIARY_DISABLE,
	};
	outputs_update(controller);
}

static void i8042_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	outputs_update(i8042_of(device));
}

static const char *i8042_check(const void *instance)
{
	const struct i8042 *controller = instance;
	uint8_t status = controller->status, command = controller->command;

	if (status & ~STATUS_STORED)
		return "status holds derived or reserved bits";
	if ((status & STATUS_OF_BYTE) && !(status & STATUS_OUTPUT_FULL))
		return "status describes a byte, but the output buffer is empty";
	if (controller->output_port & ~PORT_STORED)
		return "the output port holds derived bits";
	if (command != 0 && (command < COMMAND_WRITE_OUTPUT_PORT) &&
		(command < COMMAND_WRITE_RAM || command >= COMMAND_WRITE_RAM + RAM_BYTES))
		return "the command that awaits data takes none";
	if (command != 0 && !(status & STATUS_COMMAND))
		return "a command awaits data, but the last write was not a command";
	return NULL;
}

static const struct state_field i8042_fields[] = {
	STATE_DERIVED(struct i8042, device),
	STATE_ANY(struct i8042, output_buffer),
	STATE_VALUE(struct i8042, status, 0, STATUS_STORED),
	STATE_VALUE(struct i8042, command, 0, COMMAND_TO_AUXILIARY),
	STATE_VALUE(struct i8042, output_port, 0, PORT_STORED),
	STATE_PAD(struct i8042, reserved),
	STATE_ARRAY_ANY(struct i8042, ram),
};

static const struct state_table i8042_state =
	STATE_TABLE("i8042", 1, struct i8042, i8042_fields, i8042_check);

const struct device_model i8042_model = {
	.name = "i8042",
	.description = "Keyboard controller without keyboard",
	.instance_bytes = sizeof(struct i8042),
	.outputs = I8042_OUTPUTS,
	.state = &i8042_state,
	.reset = i8042_reset,
	.read = i8042_read,
	.write = i8042_write,
	.loaded = i8042_loaded,
};

DEVICE_MODEL_REGISTER(180, i8042_model);
