// SPDX-License-Identifier: BSD-2-Clause
// A keyboard and a mouse, asked as drivers ask them: identification, LEDs, typematic rate, scan
// code sets; the mouse's status, rates, wheel and modes. Nobody types here, but at ps2_typed.
// IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)" and "Mouse".
#include "lib/i8042.h"

PAYLOAD("dev_ps2");

enum {
	VECTOR_KEYBOARD = 0x50,
	VECTOR_MOUSE = 0x51,
	PIN_MOUSE = 12,
	ANSWER_MAX = 8,
};

// What comes until nothing does: "fa ab 83", mouse's bytes with bit 9.
static void report_answer(const char *what)
{
	unsigned bytes[ANSWER_MAX], count = 0;

	while (count < ANSWER_MAX && (bytes[count] = i8042_take()) != I8042_NOTHING)
		count++;
	switch (count) {
	case 0:
		report("%s = none", what);
		break;
	case 1:
		report("%s = 0x%x", what, bytes[0]);
		break;
	case 2:
		report("%s = 0x%x 0x%x", what, bytes[0], bytes[1]);
		break;
	case 3:
		report("%s = 0x%x 0x%x 0x%x", what, bytes[0], bytes[1], bytes[2]);
		break;
	default:
		report("%s = 0x%x 0x%x 0x%x 0x%x, %u", what, bytes[0], bytes[1], bytes[2], bytes[3],
			count);
	}
}

static void keyboard(const char *what, uint8_t byte)
{
	i8042_data(byte);
	report_answer(what);
}

static void mouse(const char *what, uint8_t byte)
{
	i8042_to_mouse(byte);
	report_answer(what);
}

static void keyboard_commands(void)
{
	i8042_set(0x20); // no interrupt, no translation
	i8042_drain();
	keyboard("keyboard.reset", 0xff);
	keyboard("keyboard.id", 0xf2);
	keyboard("keyboard.echo", 0xee);
	keyboard("keyboard.leds", 0xed);
	keyboard("keyboard.leds.all", 0x07);
	keyboard("keyboard.typematic", 0xf3);
	keyboard("keyboard.typematic.fast", 0x00);
	keyboard("keyboard.disable", 0xf5);
	keyboard("keyboard.set", 0xf0);
	keyboard("keyboard.set.which", 0x00);
	keyboard("keyboard.set", 0xf0);
	keyboard("keyboard.set.3", 0x03);
	keyboard("keyboard.set", 0xf0);
	keyboard("keyboard.set.which", 0x00);
	keyboard("keyboard.defaults", 0xf6);
	keyboard("keyboard.set", 0xf0);
	keyboard("keyboard.set.which", 0x00);
	keyboard("keyboard.unknown", 0xef);
	i8042_set(0x60);
	keyboard("keyboard.id.translated", 0xf2);
	keyboard("keyboard.set.translated", 0xf0);
	keyboard("keyboard.set.which.translated", 0x00);
	keyboard("keyboard.enable", 0xf4);
}

static void rate_set(uint8_t rate)
{
	i8042_to_mouse(0xf3);
	i8042_drain();
	i8042_to_mouse(rate);
	i8042_drain();
}

static void mouse_commands(void)
{
	mouse("mouse.reset", 0xff);
	mouse("mouse.id", 0xf2);
	mouse("mouse.status", 0xe9);
	mouse("mouse.scale", 0xe7);
	mouse("mouse.resolution", 0xe8);
	mouse("mouse.resolution.3", 0x03);
	mouse("mouse.rate", 0xf3);
	mouse("mouse.rate.40", 40);
	mouse("mouse.enable", 0xf4);
	mouse("mouse.status", 0xe9);
	mouse("mouse.remote", 0xf0);
	mouse("mouse.status", 0xe9);
	mouse("mouse.read", 0xeb);
	mouse("mouse.wrap", 0xee);
	mouse("mouse.wrapped", 0xf2);
	mouse("mouse.unwrap", 0xec);
	mouse("mouse.defaults", 0xf6);
	mouse("mouse.status", 0xe9);
	rate_set(200);
	rate_set(100);
	rate_set(80);
	mouse("mouse.id.wheel", 0xf2);
	mouse("mouse.read.wheel", 0xeb);
	mouse("mouse.reset", 0xff);
	mouse("mouse.id", 0xf2);
	mouse("mouse.unknown", 0xe1);
}

static void ps2_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	lapic_write(LAPIC_EOI, 0);
}

// Each byte is an interrupt, and comes when the one before has been taken.
static void interrupts(void)
{
	trap_set_hook(VECTOR_KEYBOARD, ps2_hook);
	trap_set_hook(VECTOR_MOUSE, ps2_hook);
	ioapic_route(PIN_KEYBOARD, VECTOR_KEYBOARD, 0);
	ioapic_route(PIN_MOUSE, VECTOR_MOUSE, 0);
	i8042_set(0x03);
	i8042_data(0xf2);
	window_us(500);
	report_irqs("irq.keyboard");
	for (unsigned i = 0; i < 3; i++) {
		report("irq.keyboard.byte = 0x%x", inb(I8042_DATA));
		window_us(500);
		report_irqs("irq.keyboard.next");
	}
	i8042_to_mouse(0xf2);
	window_us(500);
	report_irqs("irq.mouse");
	for (unsigned i = 0; i < 2; i++) {
		report("irq.mouse.byte = 0x%x", inb(I8042_DATA));
		window_us(500);
		report_irqs("irq.mouse.next");
	}
	ioapic_route(PIN_KEYBOARD, RTE_MASKED, 0);
	ioapic_route(PIN_MOUSE, RTE_MASKED, 0);
	i8042_set(0x30);
	i8042_drain();
}

void payload_main(void)
{
	i8042_command(0xad);
	i8042_command(0xa7);
	i8042_drain();
	keyboard_commands();
	mouse_commands();
	interrupts();
}
