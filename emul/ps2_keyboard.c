// SPDX-License-Identifier: BSD-2-Clause
// A PS/2 keyboard with 101 keys and some more. IBM PS/2 Hardware Interface Technical Reference,
// "Keyboards (101- and 102-Key)".
//
// It answers commands at once, and before the keys that wait. A key's codes are in the buffer all
// of them or none: where there is no room, the overrun code tells so. The key that was pressed last
// repeats while it is held (typematic), by guest time.
//
// Left out on purpose: the time that a byte and the self-test take; the shift codes that sets 1 and
// 2 put around the keys between the two blocks where shift or num lock is on, which is the
// system's to know; LEDs, which nobody sees.
//
// Entered by its controller (i8042.c) only.
#include "emul/ps2.h"

#include <string.h>

enum {
	COMMAND_SET_LEDS = 0xed,
	COMMAND_ECHO = 0xee,
	COMMAND_SELECT_SET = 0xf0,
	COMMAND_READ_ID = 0xf2,
	COMMAND_SET_TYPEMATIC = 0xf3,
	COMMAND_ENABLE = 0xf4,
	COMMAND_DISABLE = 0xf5, // and sets defaults
	COMMAND_SET_DEFAULTS = 0xf6,
	COMMAND_ALL_TYPES = 0xf7, // to 0xfa; they act on set 3
	COMMAND_KEY_TYPES = 0xfb, // to 0xfd; codes follow
	COMMAND_KEY_TYPES_LAST = 0xfd,
	COMMAND_RESEND = 0xfe,
	COMMAND_RESET = 0xff,

	REPLY_SELF_TEST_PASSED = 0xaa,
	REPLY_ACK = 0xfa,
	REPLY_RESEND = 0xfe,
	ID_FIRST = 0xab,
	ID_SECOND = 0x83,

	CODE_EXTENDED = 0xe0,
	CODE_BREAK = 0xf0,
	CODE_OVERRUN = 0x00,
	CODE_OVERRUN_SET1 = 0xff,

	TYPEMATIC_DEFAULT = 0x2b, // 500 ms, 10.9 a second
	DELAY_NS = 250000000,
	RATE_NS = 1000000000 / 240,

	USAGE_ESCAPE = 0x29,
	USAGE_CAPS_LOCK = 0x39,
	USAGE_DELETE = 0x4c,
	USAGE_RIGHT = 0x4f, // to up
	USAGE_UP = 0x52,
	USAGE_KEYPAD_PLUS = 0x57,
	USAGE_BESIDE_SHIFT = 0x64,

	MODIFIERS_CONTROL = 0x11,
	MODIFIERS_SHIFT = 0x22,
	MODIFIERS_ALT = 0x44,

	SEQUENCE_MAX = 8,
};

// Of set 3.
enum ps2_type {
	TYPE_MAKE,
	TYPE_REPEATS, // "typematic"
	TYPE_BREAKS,  // "make/break"
	TYPE_REPEATS_AND_BREAKS,
};

// What COMMAND_ALL_TYPES and COMMAND_KEY_TYPES, and the commands behind them, make of keys.
static const uint8_t command_types[] = {TYPE_REPEATS, TYPE_BREAKS, TYPE_MAKE,
	TYPE_REPEATS_AND_BREAKS};

struct sequence {
	uint8_t bytes[SEQUENCE_MAX];
	unsigned count;
};

static void sequence_add(struct sequence *sequence, unsigned code)
{
	if (code > 0xff)
		sequence->bytes[sequence->count++] = (uint8_t)(code >> 8);
	sequence->bytes[sequence->count++] = (uint8_t)code;
}

static enum ps2_type type_get(const struct ps2_keyboard *keyboard, uint8_t code)
{
	return keyboard->types[code / PS2_TYPES_PER_BYTE] >> 2 * (code % PS2_TYPES_PER_BYTE) & 3;
}

static void type_set(struct ps2_keyboard *keyboard, uint8_t code, enum ps2_type type)
{
	uint8_t *byte = &keyboard->types[code / PS2_TYPES_PER_BYTE];
	unsigned shift = 2 * (code % PS2_TYPES_PER_BYTE);

	*byte = (uint8_t)((*byte & ~(3u << shift)) | (unsigned)type << shift);
}

// "Scan code set 3": its default types.
static enum ps2_type type_default(uint8_t usage)
{
	unsigned modifier = usage - PS2_USAGE_MODIFIERS;

	if (usage >= PS2_USAGE_MODIFIERS) // right control and alt have a make code alone
		return modifier <= 2 || modifier == 5 ? TYPE_BREAKS : TYPE_MAKE;
	if (usage == USAGE_CAPS_LOCK)
		return TYPE_BREAKS;
	if (usage == USAGE_ESCAPE)
		return TYPE_MAKE;
	return usage < USAGE_CAPS_LOCK || usage == USAGE_DELETE ||
		(usage >= USAGE_RIGHT && usage <= USAGE_UP) || usage == USAGE_KEYPAD_PLUS ||
		usage == USAGE_BESIDE_SHIFT ? TYPE_REPEATS : TYPE_MAKE;
}

static void queue_clear(struct ps2_keyboard *keyboard)
{
	keyboard->queue_count = 0;
	keyboard->repeating = 0;
	keyboard->repeat_at = GUEST_TIME_NEVER;
}

static void defaults_set(struct ps2_keyboard *keyboard)
{
	queue_clear(keyboard);
	keyboard->typematic = TYPEMATIC_DEFAULT;
	keyboard->set = 2;
	memset(keyboard->types, 0, sizeof(keyboard->types));
	for (unsigned usage = 0; usage <= UINT8_MAX; usage++) {
		uint8_t code = ps2_code3((uint8_t)usage);

		if (code != 0)
			type_set(keyboard, code, type_default((uint8_t)usage));
	}
}

// Modifiers that are down stay so.
void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
	*keyboard = (struct ps2_keyboard){.modifiers = keyboard->modifiers};
	defaults_set(keyboard);
	keyboard->scanning = true;
}

static void reply(struct ps2_keyboard *keyboard, uint8_t byte)
{
	if (keyboard->reply_count < PS2_REPLY_BYTES)
		keyboard->replies[keyboard->reply_count++] = byte;
}

static void command_write(struct ps2_keyboard *keyboard, uint8_t command)
{
	uint8_t last = keyboard->last;

	keyboard->reply_count = 0;
	switch (command) {
	case COMMAND_ECHO:
		reply(keyboard, COMMAND_ECHO);
		return;
	case COMMAND_RESEND:
		reply(keyboard, last);
		return;
	case COMMAND_SELECT_SET:
		queue_clear(keyboard);
		keyboard->command = command;
		break;
	case COMMAND_SET_LEDS:
	case COMMAND_SET_TYPEMATIC:
	case COMMAND_KEY_TYPES ... COMMAND_KEY_TYPES_LAST:
		keyboard->command = command;
		break;
	case COMMAND_READ_ID:
		break;
	case COMMAND_ENABLE:
		queue_clear(keyboard);
		keyboard->scanning = true;
		break;
	case COMMAND_DISABLE:
	case COMMAND_SET_DEFAULTS:
		defaults_set(keyboard);
		keyboard->scanning = command == COMMAND_SET_DEFAULTS;
		break;
	case COMMAND_ALL_TYPES ... COMMAND_KEY_TYPES - 1:
		for (unsigned code = 0; code < PS2_SET3_CODES; code++)
			type_set(keyboard, (uint8_t)code,
				command_types[command - COMMAND_ALL_TYPES]);
		break;
	case COMMAND_RESET:
		ps2_keyboard_reset(keyboard);
		break;
	default:
		reply(keyboard, REPLY_RESEND);
		return;
	}
	reply(keyboard, REPLY_ACK);
	if (command == COMMAND_READ_ID) {
		reply(keyboard, ID_FIRST);
		reply(keyboard, ID_SECOND);
	} else if (command == COMMAND_RESET) {
		reply(keyboard, REPLY_SELF_TEST_PASSED);
	}
}

// Whether the byte is one that the command may have; a refused one is awaited again.
static bool option_take(struct ps2_keyboard *keyboard, uint8_t command, uint8_t option)
{
	switch (command) {
	case COMMAND_SET_LEDS:
		if (option > 7)
			return false;
		keyboard->leds = option;
		break;
	case COMMAND_SET_TYPEMATIC:
		if (option > 0x7f)
			return false;
		keyboard->typematic = option;
		break;
	case COMMAND_SELECT_SET:
		if (option > 3)
			return false;
		if (option != 0)
			keyboard->set = option;
		break;
	default:
		if (option >= PS2_SET3_CODES)
			return false;
		type_set(keyboard, option, command_types[command - COMMAND_KEY_TYPES]);
	}
	return true;
}

// What could be a command is one, and ends the one that awaits its option.
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte)
{
	uint8_t command = keyboard->command;

	keyboard->command = 0;
	if (command == 0 || byte >= COMMAND_SET_LEDS) {
		command_write(keyboard, byte);
		return;
	}
	keyboard->reply_count = 0;
	if (!option_take(keyboard, command, byte)) {
		keyboard->command = command;
		reply(keyboard, REPLY_RESEND);
		return;
	}
	if (command >= COMMAND_KEY_TYPES) // until a command comes
		keyboard->command = command;
	reply(keyboard, REPLY_ACK);
	if (command == COMMAND_SELECT_SET && byte == 0)
		reply(keyboard, keyboard->set);
}

// Of sets 1 and 2. Print Screen is a shifted key on a keyboard with fewer keys, and SysRq with alt.
static void print_screen_make(const struct ps2_keyboard *keyboard, bool down, bool again,
	struct sequence *to)
{
	uint8_t modifiers = keyboard->modifiers;
	bool shifted = (modifiers & (MODIFIERS_SHIFT | MODIFIERS_CONTROL)) != 0;

	if ((modifiers & MODIFIERS_ALT) != 0) {
		sequence_add(to, down ? 0x84 : 0xf084);
	} else if (down) {
		if (!shifted && !again)
			sequence_add(to, 0xe012);
		sequence_add(to, 0xe07c);
	} else {
		sequence_add(to, CODE_EXTENDED);
		sequence_add(to, 0xf07c);
		if (!shifted) {
			sequence_add(to, CODE_EXTENDED);
			sequence_add(to, 0xf012);
		}
	}
}

// Pause is made and released when it is pressed. With control it is Break.
static void pause_make(const struct ps2_keyboard *keyboard, bool down, struct sequence *to)
{
	if (!down)
		return;
	if ((keyboard->modifiers & MODIFIERS_CONTROL) != 0) {
		sequence_add(to, 0xe07e);
		sequence_add(to, CODE_EXTENDED);
		sequence_add(to, 0xf07e);
	} else {
		sequence_add(to, 0xe114);
		sequence_add(to, 0x77);
		sequence_add(to, 0xe1f0);
		sequence_add(to, 0x14);
		sequence_add(to, 0xf077);
	}
}

// Bytes of set 2 become those of set 1: a break is bit 7.
static void sequence_translate(struct sequence *sequence)
{
	unsigned count = 0;
	uint8_t released = 0;

	for (unsigned i = 0; i < sequence->count; i++) {
		uint8_t byte = sequence->bytes[i];

		if (byte == CODE_BREAK) {
			released = 0x80;
			continue;
		}
		sequence->bytes[count++] = ps2_translate(byte) | released;
		released = 0;
	}
	sequence->count = count;
}

// What the key sends. `again`: it repeats. Nothing: there is no such key, or it sends nothing then.
static struct sequence sequence_of(const struct ps2_keyboard *keyboard, uint8_t usage, bool down,
	bool again)
{
	struct sequence sequence = {.count = 0};
	uint16_t code = ps2_code2(usage);

	if (keyboard->set == 3) {
		uint8_t code3 = ps2_code3(usage);

		if (code3 != 0 && (down || (type_get(keyboard, code3) & TYPE_BREAKS) != 0))
			sequence_add(&sequence, down ? code3 : (unsigned)CODE_BREAK << 8 | code3);
		return sequence;
	}
	if (usage == PS2_USAGE_PRINT_SCREEN) {
		print_screen_make(keyboard, down, again, &sequence);
	} else if (usage == PS2_USAGE_PAUSE) {
		pause_make(keyboard, down, &sequence);
	} else if (code != 0) {
		if (code >= PS2_EXTENDED)
			sequence_add(&sequence, CODE_EXTENDED);
		if (!down)
			sequence_add(&sequence, CODE_BREAK);
		sequence_add(&sequence, code & 0xff);
	}
	if (keyboard->set == 1)
		sequence_translate(&sequence);
	return sequence;
}

static void queue_add(struct ps2_keyboard *keyboard, const struct sequence *sequence)
{
	uint8_t overrun = keyboard->set == 1 ? CODE_OVERRUN_SET1 : CODE_OVERRUN;
	uint8_t count = keyboard->queue_count;

	if (count + sequence->count <= PS2_KEYBOARD_BYTES) {
		memcpy(keyboard->queue + count, sequence->bytes, sequence->count);
		keyboard->queue_count = (uint8_t)(count + sequence->count);
	} else if (count <= PS2_KEYBOARD_BYTES && keyboard->queue[count - 1] != overrun) {
		keyboard->queue[keyboard->queue_count++] = overrun;
	}
}

static bool repeats(const struct ps2_keyboard *keyboard, uint8_t usage)
{
	if (keyboard->set == 3)
		return (type_get(keyboard, ps2_code3(usage)) & TYPE_REPEATS) != 0;
	return usage != PS2_USAGE_PAUSE;
}

void ps2_keyboard_key(struct ps2_keyboard *keyboard, uint8_t usage, bool down,
	struct guest_time now)
{
	unsigned modifier = usage - PS2_USAGE_MODIFIERS;
	struct sequence sequence = {.count = 0};

	if (keyboard->scanning)
		sequence = sequence_of(keyboard, usage, down, false);
	if (usage >= PS2_USAGE_MODIFIERS && modifier < 8)
		keyboard->modifiers = (uint8_t)((keyboard->modifiers & ~BIT(modifier)) |
			(unsigned)down << modifier);
	if (down || usage == keyboard->repeating) {
		keyboard->repeating = 0;
		keyboard->repeat_at = GUEST_TIME_NEVER;
	}
	if (sequence.count == 0)
		return;
	queue_add(keyboard, &sequence);
	if (!down || !repeats(keyboard, usage))
		return;
	keyboard->repeating = usage;
	keyboard->repeat_at.ns = now.ns + ((keyboard->typematic >> 5) + 1ull) * DELAY_NS;
}

// "Set typematic rate/delay": the period is (8 + A) * 2^B / 240 s, with A in bits 2:0 and B in 4:3.
void ps2_keyboard_repeat(struct ps2_keyboard *keyboard, struct guest_time now)
{
	uint8_t rate = keyboard->typematic;
	struct sequence sequence = sequence_of(keyboard, keyboard->repeating, true, true);

	queue_add(keyboard, &sequence);
	keyboard->repeat_at.ns = now.ns + ((8ull + (rate & 7)) << (rate >> 3 & 3)) * RATE_NS;
}

static void bytes_drop(uint8_t *bytes, uint8_t *count, unsigned dropped)
{
	*count = (uint8_t)(*count - dropped);
	memmove(bytes, bytes + dropped, *count);
}

bool ps2_keyboard_send(struct ps2_keyboard *keyboard, bool translated, uint8_t *byte)
{
	bool released = translated && keyboard->reply_count == 0 && keyboard->queue_count > 1 &&
		keyboard->queue[0] == CODE_BREAK;

	if (keyboard->reply_count == 0 && keyboard->queue_count == 0)
		return false;
	if (keyboard->reply_count != 0) {
		keyboard->last = keyboard->replies[0];
		bytes_drop(keyboard->replies, &keyboard->reply_count, 1);
	} else {
		keyboard->last = keyboard->queue[released];
		bytes_drop(keyboard->queue, &keyboard->queue_count, 1u + released);
	}
	*byte = keyboard->last;
	if (translated)
		*byte = ps2_translate(*byte) | (released ? 0x80 : 0);
	return true;
}

const char *ps2_keyboard_check(const struct ps2_keyboard *keyboard)
{
	uint8_t command = keyboard->command;

	if (command != 0 && command != COMMAND_SET_LEDS && command != COMMAND_SELECT_SET &&
		command != COMMAND_SET_TYPEMATIC &&
		(command < COMMAND_KEY_TYPES || command > COMMAND_KEY_TYPES_LAST))
		return "the keyboard's command that awaits an option has none";
	if ((keyboard->repeating == 0) != (keyboard->repeat_at.ns == GUEST_TIME_NEVER.ns))
		return "a key repeats at no time, or a time has no key";
	return NULL;
}
