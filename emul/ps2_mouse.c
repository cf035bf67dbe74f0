// SPDX-License-Identifier: BSD-2-Clause
// A PS/2 mouse with three buttons, and a wheel for drivers that ask for it by three sample rates.
// IBM PS/2 Hardware Interface Technical Reference, "Mouse"; the wheel as in Microsoft's
// IntelliMouse.
//
// Movement is told when there is no byte on its way any more, buttons at once; what did not fit
// into a packet is in the next one. The overflow bits say that it moved farther than it could
// remember.
//
// Left out on purpose: sampling at the rate that was set, and what the resolution does to counts,
// which are what moved it says; the fourth and the fifth button.
//
// Entered by its controller (i8042.c) only.
#include "emul/ps2.h"

#include <string.h>

enum {
	COMMAND_SCALE_1 = 0xe6,
	COMMAND_SCALE_2 = 0xe7,
	COMMAND_SET_RESOLUTION = 0xe8,
	COMMAND_STATUS = 0xe9,
	COMMAND_STREAM = 0xea,
	COMMAND_READ_DATA = 0xeb,
	COMMAND_RESET_WRAP = 0xec,
	COMMAND_SET_WRAP = 0xee,
	COMMAND_REMOTE = 0xf0,
	COMMAND_READ_ID = 0xf2,
	COMMAND_SET_RATE = 0xf3,
	COMMAND_ENABLE = 0xf4,
	COMMAND_DISABLE = 0xf5,
	COMMAND_SET_DEFAULTS = 0xf6,
	COMMAND_RESEND = 0xfe,
	COMMAND_RESET = 0xff,

	REPLY_SELF_TEST_PASSED = 0xaa,
	REPLY_ACK = 0xfa,
	REPLY_ERROR = 0xfc,
	REPLY_RESEND = 0xfe,

	PACKET_ONE = 0x08, // bit 3 is constant
	PACKET_X_NEGATIVE = 0x10,
	PACKET_Y_NEGATIVE = 0x20,
	PACKET_X_OVERFLOW = 0x40,
	PACKET_Y_OVERFLOW = 0x80,

	STATUS_RIGHT = 0x01,
	STATUS_MIDDLE = 0x02,
	STATUS_LEFT = 0x04,
	STATUS_SCALED = 0x10,
	STATUS_ENABLED = 0x20,
	STATUS_REMOTE = 0x40,

	RATE_DEFAULT = 100,
	RESOLUTION_DEFAULT = 2,
	COUNT_MAX = 255, // of a packet: nine bits with the sign
	COUNT_DOUBLED_MAX = 127,
	WHEEL_MIN = -8, // four bits
	WHEEL_MAX = 7,
};

static void queue_add(struct ps2_mouse *mouse, uint8_t byte)
{
	if (mouse->queue_count < PS2_MOUSE_BYTES)
		mouse->queue[mouse->queue_count++] = byte;
}

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

// "Set scaling 2:1": of what is told in stream mode.
static int scale(int count)
{
	static const uint8_t few[] = {0, 1, 1, 3, 6, 9};
	int size = count < 0 ? -count : count;

	size = size < (int)ARRAY_COUNT(few) ? few[size] : 2 * size;
	return count < 0 ? -size : size;
}

// The most of what moved that a packet can tell is taken.
static int count_take(int16_t *moved, bool doubled)
{
	int most = doubled ? COUNT_DOUBLED_MAX : COUNT_MAX;
	int count = clamp(*moved, -most, most);

	*moved = (int16_t)(*moved - count);
	return doubled ? scale(count) : count;
}

static void packet_add(struct ps2_mouse *mouse)
{
	bool doubled = mouse->doubles && !mouse->remote;
	int x = count_take(&mouse->x, doubled), y = -count_take(&mouse->y, doubled);
	unsigned first = PACKET_ONE | mouse->buttons;
	int wheel = clamp(mouse->wheel, WHEEL_MIN, WHEEL_MAX);

	mouse->wheel = (int16_t)(mouse->wheel - wheel);
	first |= x < 0 ? PACKET_X_NEGATIVE : 0;
	first |= y < 0 ? PACKET_Y_NEGATIVE : 0;
	first |= mouse->lost_x ? PACKET_X_OVERFLOW : 0;
	first |= mouse->lost_y ? PACKET_Y_OVERFLOW : 0;
	mouse->lost_x = mouse->lost_y = false;
	mouse->told = mouse->buttons;
	mouse->packet[0] = (uint8_t)first;
	mouse->packet[1] = (uint8_t)x;
	mouse->packet[2] = (uint8_t)y;
	mouse->packet[3] = (uint8_t)wheel;
	mouse->packet_count = mouse->id == PS2_MOUSE_WHEEL ? 4 : 3;
	if (mouse->id != PS2_MOUSE_WHEEL)
		mouse->wheel = 0;
	for (unsigned i = 0; i < mouse->packet_count; i++)
		queue_add(mouse, mouse->packet[i]);
}

static void report(struct ps2_mouse *mouse)
{
	bool pressed = mouse->buttons != mouse->told;
	bool moved = mouse->x != 0 || mouse->y != 0 ||
		(mouse->wheel != 0 && mouse->id == PS2_MOUSE_WHEEL);

	if (!mouse->reporting || mouse->remote || mouse->wrap || mouse->command != 0)
		return;
	if ((moved && mouse->queue_count == 0) ||
		(pressed && mouse->queue_count <= PS2_MOUSE_BYTES - PS2_PACKET_BYTES))
		packet_add(mouse);
}

static void movement_clear(struct ps2_mouse *mouse)
{
	mouse->x = mouse->y = mouse->wheel = 0;
	mouse->lost_x = mouse->lost_y = false;
	mouse->told = mouse->buttons;
}

static void defaults_set(struct ps2_mouse *mouse)
{
	movement_clear(mouse);
	mouse->rate = RATE_DEFAULT;
	mouse->resolution = RESOLUTION_DEFAULT;
	mouse->doubles = mouse->remote = mouse->reporting = mouse->wrap = false;
}

// Buttons that are down stay so.
void ps2_mouse_reset(struct ps2_mouse *mouse)
{
	*mouse = (struct ps2_mouse){.buttons = mouse->buttons};
	defaults_set(mouse);
}

// Data behind an acknowledgement: RESEND brings it again.
static void data_add(struct ps2_mouse *mouse, const uint8_t *bytes, uint8_t count)
{
	memcpy(mouse->packet, bytes, count);
	mouse->packet_count = count;
	for (unsigned i = 0; i < count; i++)
		queue_add(mouse, bytes[i]);
}

static void status_add(struct ps2_mouse *mouse)
{
	static const uint8_t buttons[] = {[DEVICE_BUTTON_LEFT] = STATUS_LEFT,
		[DEVICE_BUTTON_RIGHT] = STATUS_RIGHT, [DEVICE_BUTTON_MIDDLE] = STATUS_MIDDLE};
	uint8_t status = (uint8_t)((mouse->doubles ? STATUS_SCALED : 0) |
		(mouse->reporting ? STATUS_ENABLED : 0) | (mouse->remote ? STATUS_REMOTE : 0));

	for (unsigned i = 0; i < DEVICE_BUTTONS; i++)
		status |= mouse->buttons >> i & 1 ? buttons[i] : 0;
	data_add(mouse, (const uint8_t[]){status, mouse->resolution, mouse->rate}, 3);
}

static bool rate_is_valid(uint8_t rate)
{
	return rate == 10 || rate == 20 || rate == 40 || rate == 60 || rate == 80 ||
		rate == 100 || rate == 200;
}

// 200, 100, 80: a driver that knows wheels.
static void knock(struct ps2_mouse *mouse, uint8_t rate)
{
	if (mouse->knocks == 2 && rate == 80)
		mouse->id = PS2_MOUSE_WHEEL;
	if (mouse->knocks == 1 && rate == 100)
		mouse->knocks = 2;
	else
		mouse->knocks = rate == 200;
}

// An unknown byte is refused, and in error when it comes again.
static void refuse(struct ps2_mouse *mouse)
{
	queue_add(mouse, mouse->refused ? REPLY_ERROR : REPLY_RESEND);
	mouse->refused = !mouse->refused;
}

static void argument_write(struct ps2_mouse *mouse, uint8_t command, uint8_t argument)
{
	if (command == COMMAND_SET_RESOLUTION ? argument > 3 : !rate_is_valid(argument)) {
		mouse->command = mouse->refused ? 0 : command; // again
		refuse(mouse);
		return;
	}
	mouse->refused = false;
	if (command == COMMAND_SET_RESOLUTION) {
		mouse->resolution = argument;
	} else {
		mouse->rate = argument;
		knock(mouse, argument);
	}
	queue_add(mouse, REPLY_ACK);
}

// False: it is no command.
static bool command_do(struct ps2_mouse *mouse, uint8_t command)
{
	switch (command) {
	case COMMAND_SCALE_1:
	case COMMAND_SCALE_2:
		mouse->doubles = command == COMMAND_SCALE_2;
		break;
	case COMMAND_SET_RESOLUTION:
	case COMMAND_SET_RATE:
		mouse->command = command;
		break;
	case COMMAND_STREAM:
	case COMMAND_REMOTE:
		movement_clear(mouse);
		mouse->remote = command == COMMAND_REMOTE;
		break;
	case COMMAND_SET_WRAP:
	case COMMAND_RESET_WRAP:
		movement_clear(mouse);
		mouse->wrap = command == COMMAND_SET_WRAP;
		break;
	case COMMAND_ENABLE:
	case COMMAND_DISABLE:
		movement_clear(mouse);
		mouse->reporting = command == COMMAND_ENABLE;
		break;
	case COMMAND_SET_DEFAULTS:
		defaults_set(mouse);
		break;
	case COMMAND_RESET:
		ps2_mouse_reset(mouse);
		break;
	case COMMAND_STATUS:
	case COMMAND_READ_DATA:
	case COMMAND_READ_ID:
		break;
	default:
		return false;
	}
	return true;
}

static void command_write(struct ps2_mouse *mouse, uint8_t command)
{
	if (command == COMMAND_RESEND) {
		for (unsigned i = 0; i < mouse->packet_count; i++)
			queue_add(mouse, mouse->packet[i]);
		return;
	}
	if (!command_do(mouse, command)) {
		refuse(mouse);
		return;
	}
	mouse->refused = false;
	queue_add(mouse, REPLY_ACK);
	if (command == COMMAND_STATUS)
		status_add(mouse);
	else if (command == COMMAND_READ_DATA)
		packet_add(mouse);
	else if (command == COMMAND_READ_ID)
		data_add(mouse, &mouse->id, 1);
	else if (command == COMMAND_RESET)
		data_add(mouse, (const uint8_t[]){REPLY_SELF_TEST_PASSED, 0}, 2);
}

// A byte from the system ends the packet that is on its way.
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
	uint8_t command = mouse->command;

	mouse->queue_count = 0;
	mouse->command = 0;
	if (mouse->wrap && byte != COMMAND_RESET_WRAP && byte != COMMAND_RESET)
		queue_add(mouse, byte);
	else if (command != 0)
		argument_write(mouse, command, byte);
	else
		command_write(mouse, byte);
}

static void accumulate(int16_t *moved, int16_t by, bool *lost)
{
	int sum = *moved + by, kept = clamp(sum, INT16_MIN, INT16_MAX);

	*lost = *lost || kept != sum;
	*moved = (int16_t)kept;
}

void ps2_mouse_move(struct ps2_mouse *mouse, const struct device_input *input)
{
	bool lost_wheel = false;

	if ((!mouse->reporting && !mouse->remote) || mouse->wrap)
		return;
	accumulate(&mouse->x, input->x, &mouse->lost_x);
	accumulate(&mouse->y, input->y, &mouse->lost_y);
	accumulate(&mouse->wheel, input->wheel, &lost_wheel);
	report(mouse);
}

void ps2_mouse_button(struct ps2_mouse *mouse, enum device_button button, bool down)
{
	mouse->buttons = (uint8_t)((mouse->buttons & ~BIT(button)) | (unsigned)down << button);
	if (!mouse->reporting)
		mouse->told = mouse->buttons;
	report(mouse);
}

bool ps2_mouse_send(struct ps2_mouse *mouse, uint8_t *byte)
{
	if (mouse->queue_count == 0)
		report(mouse);
	if (mouse->queue_count == 0)
		return false;
	*byte = mouse->queue[0];
	memmove(mouse->queue, mouse->queue + 1, --mouse->queue_count);
	return true;
}

const char *ps2_mouse_check(const struct ps2_mouse *mouse)
{
	if (mouse->command != 0 && mouse->command != COMMAND_SET_RESOLUTION &&
		mouse->command != COMMAND_SET_RATE)
		return "the mouse's command that awaits an argument has none";
	if (!rate_is_valid(mouse->rate))
		return "the mouse has no such rate";
	if (mouse->id != 0 && mouse->id != PS2_MOUSE_WHEEL)
		return "there is no such mouse";
	return NULL;
}
