// SPDX-License-Identifier: BSD-2-Clause
// The keyboard controller of a PC, with a PS/2 keyboard (ps2_keyboard.c) and a PS/2 mouse
// (ps2_mouse.c), and the reset and A20 lines of its output port.
//
// Specification: Intel UPI-41/42 programmed as in the IBM PS/2 Hardware Interface Technical
// Reference, "Keyboard and Auxiliary Device Controller".
//
// The controller takes each byte at once: the input buffer is never full. A device's byte comes
// when the output buffer is empty and the device's interface is not disabled, the keyboard's before
// the mouse's, and without a pause behind the one before. A reply of the controller's takes the
// place of one that was not read; a device's byte whose place it takes comes again behind it, so
// that no key is lost to a driver that asks for something meanwhile. Writing to a device enables
// its interface.
//
// Left out on purpose: the time that serial transmission takes, passwords, the gate of A20 itself
// (the bits are stored; A20 is always enabled).
//
// Entered by the VM's bus only.
#include "emul/i8042.h"

#include "emul/ps2.h"

enum {
	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04,        // derived from the command byte
	STATUS_COMMAND = 0x08,       // the last write was to port 0x64
	STATUS_NOT_INHIBITED = 0x10, // constant: the key switch is open
	STATUS_AUXILIARY = 0x20,     // the byte in the output buffer is the auxiliary port's
	STATUS_OF_BYTE = STATUS_OUTPUT_FULL | STATUS_AUXILIARY,
	STATUS_STORED = STATUS_OF_BYTE | STATUS_COMMAND,

	COMMAND_BYTE = 0, // in ram; its bits:
	KEYBOARD_INTERRUPT = 0x01,
	AUXILIARY_INTERRUPT = 0x02,
	SYSTEM_FLAG = 0x04,
	KEYBOARD_DISABLE = 0x10,
	AUXILIARY_DISABLE = 0x20,
	TRANSLATE = 0x40, // what the keyboard sends, from set 2 to set 1

	PORT_NOT_RESET = 0x01, // low resets the machine
	PORT_KEYBOARD_FULL = 0x10,  // derived, as is the next
	PORT_AUXILIARY_FULL = 0x20,
	PORT_STORED = 0xcf, // A20 included: bit 1

	INPUT_PORT_NOT_INHIBITED = 0x80,

	TEST_KEYBOARD_CLOCK = 0x01, // high where the interface is not disabled
	TEST_AUXILIARY_CLOCK = 0x02,

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
	REPLY_INTERFACE_PASSED = 0x00,
};

enum { TIMER_REPEAT, TIMERS }; // a key is held

struct i8042 {
	struct device device;
	uint8_t output_buffer;
	uint8_t status;      // STATUS_STORED
	uint8_t command;     // whose data byte is awaited at port 0x60, or 0
	uint8_t output_port; // PORT_STORED
	bool replied;        // the byte in the output buffer is the controller's own
	uint8_t aside;       // a device's byte whose place that has taken
	uint8_t aside_status; // its STATUS_OF_BYTE; 0: there is none
	uint8_t reserved;
	uint8_t ram[RAM_BYTES]; // the command byte first
	struct ps2_keyboard keyboard;
	struct ps2_mouse mouse;
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

static void output_fill(struct i8042 *controller, uint8_t byte, unsigned of_byte)
{
	controller->output_buffer = byte;
	controller->status &= (uint8_t)~STATUS_OF_BYTE;
	controller->status |= (uint8_t)of_byte;
}

// A reply of the controller's. `flags`: STATUS_AUXILIARY.
static void reply(struct i8042 *controller, uint8_t byte, unsigned flags)
{
	if ((controller->status & STATUS_OUTPUT_FULL) && !controller->replied) {
		controller->aside = controller->output_buffer;
		controller->aside_status = controller->status & STATUS_OF_BYTE;
	}
	controller->replied = true;
	output_fill(controller, byte, STATUS_OUTPUT_FULL | flags);
}

// A byte of a device's, where there is room for one.
static void devices_ask(struct i8042 *controller)
{
	uint8_t enabled = controller->ram[COMMAND_BYTE], byte;

	if (controller->status & STATUS_OUTPUT_FULL)
		return;
	if (!(enabled & KEYBOARD_DISABLE) &&
		ps2_keyboard_send(&controller->keyboard, enabled & TRANSLATE, &byte))
		output_fill(controller, byte, STATUS_OUTPUT_FULL);
	else if (!(enabled & AUXILIARY_DISABLE) && ps2_mouse_send(&controller->mouse, &byte))
		output_fill(controller, byte, STATUS_OUTPUT_FULL | STATUS_AUXILIARY);
}

// Behind each stimulus. A byte that follows another is an edge of its own.
static void controller_update(struct i8042 *controller)
{
	devices_ask(controller);
	outputs_update(controller);
	device_arm_timer(&controller->device, TIMER_REPEAT, controller->keyboard.repeat_at);
}

static uint8_t data_read(struct i8042 *controller)
{
	uint8_t byte = controller->output_buffer;

	controller->status &= (uint8_t)~STATUS_OF_BYTE;
	controller->replied = false;
	outputs_update(controller);
	if (controller->aside_status != 0)
		output_fill(controller, controller->aside, controller->aside_status);
	controller->aside_status = 0;
	return byte;
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

static uint8_t test_inputs_read(const struct i8042 *controller)
{
	uint8_t disabled = controller->ram[COMMAND_BYTE];

	return (uint8_t)((disabled & KEYBOARD_DISABLE ? 0 : TEST_KEYBOARD_CLOCK) |
		(disabled & AUXILIARY_DISABLE ? 0 : TEST_AUXILIARY_CLOCK));
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
		reply(controller, ram[command % RAM_BYTES], 0);
		break;
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + RAM_BYTES - 1:
	case COMMAND_WRITE_OUTPUT_PORT ... COMMAND_TO_AUXILIARY:
		controller->command = command;
		break;
	case COMMAND_TEST_AUXILIARY:
	case COMMAND_TEST_KEYBOARD:
		reply(controller, REPLY_INTERFACE_PASSED, 0);
		break;
	case COMMAND_SELF_TEST:
		ram[COMMAND_BYTE] |= SYSTEM_FLAG;
		reply(controller, REPLY_SELF_TEST_PASSED, 0);
		break;
	case COMMAND_READ_INPUT_PORT:
		reply(controller, INPUT_PORT_NOT_INHIBITED, 0);
		break;
	case COMMAND_READ_OUTPUT_PORT:
		reply(controller, output_port_read(controller), 0);
		break;
	case COMMAND_READ_TEST_INPUTS:
		reply(controller, test_inputs_read(controller), 0);
		break;
	case COMMAND_PULSE ... 0xff: // pulses low those of bits 0 to 3 that are 0
		if (!(command & PORT_NOT_RESET))
			device_request(&controller->device, DEVICE_REQUEST_RESET, 0);
		break;
	default:
		interface_command(controller, command);
	}
}

// A byte for the data port is the awaited one of a command, or goes to the keyboard.
static void data_write(struct i8042 *controller, uint8_t byte)
{
	uint8_t command = controller->command;

	controller->status &= (uint8_t)~STATUS_COMMAND;
	controller->command = 0;
	switch (command) {
	case 0:
		controller->ram[COMMAND_BYTE] &= (uint8_t)~KEYBOARD_DISABLE;
		ps2_keyboard_write(&controller->keyboard, byte);
		break;
	case COMMAND_WRITE_OUTPUT_PORT:
		output_port_write(controller, byte);
		break;
	case COMMAND_LOOP_KEYBOARD:
	case COMMAND_LOOP_AUXILIARY:
		reply(controller, byte, command == COMMAND_LOOP_AUXILIARY ? STATUS_AUXILIARY : 0);
		break;
	case COMMAND_TO_AUXILIARY:
		controller->ram[COMMAND_BYTE] &= (uint8_t)~AUXILIARY_DISABLE;
		ps2_mouse_write(&controller->mouse, byte);
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
	controller_update(controller);
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
	controller_update(controller);
}

static void i8042_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct i8042 *controller = i8042_of(device);

	(void)timer;
	ps2_keyboard_repeat(&controller->keyboard, now);
	controller_update(controller);
}

static bool i8042_takes_input(const struct device *device, enum device_input_kind kind)
{
	(void)device;
	return kind == DEVICE_INPUT_KEY || kind == DEVICE_INPUT_BUTTON || kind == DEVICE_INPUT_MOVE;
}

static void i8042_input(struct device *device, struct guest_time now,
	const struct device_input *input)
{
	struct i8042 *controller = i8042_of(device);

	if (input->kind == DEVICE_INPUT_KEY)
		ps2_keyboard_key(&controller->keyboard, input->code, input->down, now);
	else if (input->kind == DEVICE_INPUT_BUTTON)
		ps2_mouse_button(&controller->mouse, input->code, input->down);
	else
		ps2_mouse_move(&controller->mouse, input);
	controller_update(controller);
}

static void i8042_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct i8042 *controller = i8042_of(device);

	(void)now;
	(void)kind;
	*controller = (struct i8042){
		.device = *device,
		.output_port = PORT_STORED,
		.ram[COMMAND_BYTE] = KEYBOARD_DISABLE | AUXILIARY_DISABLE | TRANSLATE,
	};
	ps2_keyboard_reset(&controller->keyboard);
	ps2_mouse_reset(&controller->mouse);
	outputs_update(controller);
}

static void i8042_loaded(struct device *device, struct guest_time now)
{
	struct i8042 *controller = i8042_of(device);

	(void)now;
	outputs_update(controller);
	device_arm_timer(device, TIMER_REPEAT, controller->keyboard.repeat_at);
}

static const char *i8042_check(const void *instance)
{
	const struct i8042 *controller = instance;
	uint8_t status = controller->status, command = controller->command;
	const char *problem = ps2_keyboard_check(&controller->keyboard);

	if (problem == NULL)
		problem = ps2_mouse_check(&controller->mouse);
	if (problem != NULL)
		return problem;
	if (status & ~STATUS_STORED)
		return "status holds derived or reserved bits";
	if ((status & STATUS_OF_BYTE) && !(status & STATUS_OUTPUT_FULL))
		return "status describes a byte, but the output buffer is empty";
	if (controller->replied && !(status & STATUS_OUTPUT_FULL))
		return "a reply of the controller's, but the output buffer is empty";
	if (controller->aside_status != 0 && (!controller->replied ||
		(controller->aside_status & (STATUS_OUTPUT_FULL | ~STATUS_OF_BYTE)) !=
		STATUS_OUTPUT_FULL))
		return "a byte is set aside, but for no reply";
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
	STATE_BOOL(struct i8042, replied),
	STATE_ANY(struct i8042, aside),
	STATE_VALUE(struct i8042, aside_status, 0, STATUS_STORED),
	STATE_PAD(struct i8042, reserved),
	STATE_ARRAY_ANY(struct i8042, ram),
	PS2_KEYBOARD_STATE(struct i8042, keyboard),
	PS2_MOUSE_STATE(struct i8042, mouse),
};

static const struct state_table i8042_state =
	STATE_TABLE("i8042", 2, struct i8042, i8042_fields, i8042_check);

const struct device_model i8042_model = {
	.name = "i8042",
	.description = "PS/2 controller with keyboard and mouse",
	.instance_bytes = sizeof(struct i8042),
	.timers = TIMERS,
	.outputs = I8042_OUTPUTS,
	.state = &i8042_state,
	.reset = i8042_reset,
	.read = i8042_read,
	.write = i8042_write,
	.timer = i8042_timer,
	.input = i8042_input,
	.takes_input = i8042_takes_input,
	.loaded = i8042_loaded,
};

DEVICE_MODEL_REGISTER(180, i8042_model);
