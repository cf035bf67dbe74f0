// SPDX-License-Identifier: BSD-2-Clause
// For payloads that talk to a keyboard and a mouse.
#ifndef TESTS_GUEST_I8042_H
#define TESTS_GUEST_I8042_H

#include "dev.h"

enum {
	I8042_DATA = 0x60,
	I8042_COMMAND = 0x64,
	I8042_FULL = 1,
	I8042_BUSY = 2,
	I8042_AUXILIARY = 0x20,
	I8042_NOTHING = 0x100, // beside a byte's values; of the mouse's, they have bit 9
	I8042_MOUSE = 0x200,
};

static inline void i8042_wait(void)
{
	for (unsigned i = 0; i < 1000 && (inb(I8042_COMMAND) & I8042_BUSY) != 0; i++)
		wait_us(10);
}

static inline void i8042_command(uint8_t value)
{
	i8042_wait();
	outb(I8042_COMMAND, value);
}

static inline void i8042_data(uint8_t value)
{
	i8042_wait();
	outb(I8042_DATA, value);
}

static inline void i8042_to_mouse(uint8_t value)
{
	i8042_command(0xd4);
	i8042_data(value);
}

static inline void i8042_set(uint8_t command_byte)
{
	i8042_command(0x60);
	i8042_data(command_byte);
	i8042_wait();
}

// The byte in the output buffer, or I8042_NOTHING where none comes.
static inline unsigned i8042_take(void)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned status = inb(I8042_COMMAND);

		if (status & I8042_FULL)
			return inb(I8042_DATA) | (status & I8042_AUXILIARY ? I8042_MOUSE : 0);
		wait_us(20);
	}
	return I8042_NOTHING;
}

static inline void i8042_drain(void)
{
	for (unsigned i = 0; i < 64 && i8042_take() != I8042_NOTHING; i++)
		;
}

#endif
