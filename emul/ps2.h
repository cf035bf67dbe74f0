// SPDX-License-Identifier: BSD-2-Clause
// A PS/2 keyboard and a PS/2 mouse, as parts of the state of the controller that they are plugged
// into. See ps2_keyboard.c, ps2_mouse.c.
#ifndef EMUL_PS2_H
#define EMUL_PS2_H

#include "emul/device.h"

enum {
	PS2_KEYBOARD_BYTES = 16, // of keys, that wait for the system; behind them the overrun code
	PS2_REPLY_BYTES = 4,
	PS2_SET3_CODES = 0x90,
	PS2_TYPES_PER_BYTE = 4,
	PS2_MOUSE_BYTES = 16,
	PS2_PACKET_BYTES = 4, // at most
	PS2_BUTTONS = (1 << DEVICE_BUTTONS) - 1,
};

struct ps2_keyboard {
	struct guest_time repeat_at; // when `repeating` is sent again; GUEST_TIME_NEVER: it is not
	uint8_t queue[PS2_KEYBOARD_BYTES + 1];
	uint8_t replies[PS2_REPLY_BYTES]; // come before what is in the queue
	uint8_t queue_count, reply_count;
	uint8_t command;   // whose option is awaited; 0: none
	uint8_t set;       // of scan codes: 1 to 3
	uint8_t leds;      // 0: scroll lock, 1: num lock, 2: caps lock
	uint8_t typematic; // 6:5: delay, 4:0: rate
	uint8_t modifiers; // that are down: a bit a usage, from 0xe0 on
	uint8_t repeating; // usage of the key that was pressed last, and is held; 0: none
	uint8_t last;      // byte that was sent
	bool scanning;
	uint8_t types[PS2_SET3_CODES / PS2_TYPES_PER_BYTE]; // of set 3, 2 bits a code
	uint8_t reserved[5];
};

struct ps2_mouse {
	int16_t x, y, wheel; // moved and not told yet: right, down, towards the user
	uint8_t queue[PS2_MOUSE_BYTES];
	uint8_t packet[PS2_PACKET_BYTES]; // that was sent last: for RESEND
	uint8_t queue_count, packet_count;
	uint8_t command;    // whose argument is awaited; 0: none
	uint8_t buttons;    // that are down: BIT(enum device_button)
	uint8_t told;       // of these, as the system knows
	uint8_t rate;       // samples a second
	uint8_t resolution; // 0 to 3: 1 to 8 counts a millimetre
	uint8_t id;         // 0, or PS2_MOUSE_WHEEL
	uint8_t knocks;     // rates that were set in the order which asks for the wheel
	bool reporting;     // of itself, in stream mode
	bool remote;        // not in stream mode
	bool wrap;          // echoes what it is sent
	bool doubles;       // scaling 2:1
	bool lost_x, lost_y; // it moved farther than it can tell
	bool refused;       // the last byte was none that it knows
	uint8_t reserved[6];
};
enum { PS2_MOUSE_WHEEL = 3 };

// The members of either, for the controller's state table.
#define PS2_KEYBOARD_STATE(type, member)                                                           \
	STATE_ANY(type, member.repeat_at.ns), STATE_ARRAY_ANY(type, member.queue),                 \
		STATE_ARRAY_ANY(type, member.replies),                                             \
		STATE_VALUE(type, member.queue_count, 0, PS2_KEYBOARD_BYTES + 1),                  \
		STATE_VALUE(type, member.reply_count, 0, PS2_REPLY_BYTES),                         \
		STATE_ANY(type, member.command), STATE_VALUE(type, member.set, 1, 3),              \
		STATE_VALUE(type, member.leds, 0, 7),                                              \
		STATE_VALUE(type, member.typematic, 0, 0x7f), STATE_ANY(type, member.modifiers),   \
		STATE_ANY(type, member.repeating), STATE_ANY(type, member.last),                   \
		STATE_BOOL(type, member.scanning), STATE_ARRAY_ANY(type, member.types),            \
		STATE_PAD(type, member.reserved)
#define PS2_MOUSE_STATE(type, member)                                                              \
	STATE_ANY(type, member.x), STATE_ANY(type, member.y), STATE_ANY(type, member.wheel),       \
		STATE_ARRAY_ANY(type, member.queue), STATE_ARRAY_ANY(type, member.packet),         \
		STATE_VALUE(type, member.queue_count, 0, PS2_MOUSE_BYTES),                         \
		STATE_VALUE(type, member.packet_count, 0, PS2_PACKET_BYTES),                       \
		STATE_ANY(type, member.command),                                                   \
		STATE_VALUE(type, member.buttons, 0, PS2_BUTTONS),                                 \
		STATE_VALUE(type, member.told, 0, PS2_BUTTONS), STATE_ANY(type, member.rate),      \
		STATE_VALUE(type, member.resolution, 0, 3),                                        \
		STATE_VALUE(type, member.id, 0, PS2_MOUSE_WHEEL),                                  \
		STATE_VALUE(type, member.knocks, 0, 2), STATE_BOOL(type, member.reporting),        \
		STATE_BOOL(type, member.remote), STATE_BOOL(type, member.wrap),                    \
		STATE_BOOL(type, member.doubles), STATE_BOOL(type, member.lost_x),                 \
		STATE_BOOL(type, member.lost_y), STATE_BOOL(type, member.refused),                 \
		STATE_PAD(type, member.reserved)

// Power-on, when the self-test's result has been taken.
void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
// A byte from the system.
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);
void ps2_keyboard_key(struct ps2_keyboard *keyboard, uint8_t usage, bool down,
	struct guest_time now);
// At repeat_at.
void ps2_keyboard_repeat(struct ps2_keyboard *keyboard, struct guest_time now);
// Its next byte for the system, as it is or `translated` to set 1. False: there is none.
must_check bool ps2_keyboard_send(struct ps2_keyboard *keyboard, bool translated, uint8_t *byte);
// NULL, or what a loaded state cannot be.
const char *ps2_keyboard_check(const struct ps2_keyboard *keyboard);

// The same of a mouse.
void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
void ps2_mouse_button(struct ps2_mouse *mouse, enum device_button button, bool down);
void ps2_mouse_move(struct ps2_mouse *mouse, const struct device_input *input);
must_check bool ps2_mouse_send(struct ps2_mouse *mouse, uint8_t *byte);
const char *ps2_mouse_check(const struct ps2_mouse *mouse);

// ps2_codes.c. Usages are those of page 7 (HID Usage Tables 1.12, 10).

// A key's code of set 2, with PS2_EXTENDED where 0xe0 comes before it; 0: there is no such key.
// Print Screen's is that of its last byte; Pause has none.
enum { PS2_EXTENDED = 0xe000 };
uint16_t ps2_code2(uint8_t usage);
// Of set 3; 0: there is no such key. All are below PS2_SET3_CODES.
uint8_t ps2_code3(uint8_t usage);
// The byte of set 1 for one of set 2.
uint8_t ps2_translate(uint8_t byte);
// The key of a code of set 1, 0x01 to 0x7f, with bit 7 where 0xe0 comes before it; 0: there is
// none.
uint8_t ps2_usage(uint8_t code1);

enum {
	PS2_USAGE_PRINT_SCREEN = 0x46,
	PS2_USAGE_PAUSE = 0x48,
	PS2_USAGE_MODIFIERS = 0xe0, // to 0xe7: control, shift, alt, GUI; left ones first
};

#endif
