// SPDX-License-Identifier: BSD-2-Clause
// A Q35: ECAM where PCIEXBAR says, power management in the LPC bridge, PCI's interrupts at the I/O
// APIC's inputs from 16 on. Intel 316966, 5.1.16 (PCIEXBAR); 316972, 13.1.
#include "emul/test_disk.h"
#include "lib/dev.h"

PAYLOAD("q35_board");

enum {
	VECTOR = 0x50,
	LPC = 31, // devices of bus 0
	CARD = 3,
	CARD_PIN = 16 + 4 + CARD % 4,
	ECAM_BUS = 1 << 20,
	ELSEWHERE = 0xd0000000,
	PORT = 0x540, // the card's
	UNKNOWN = 3,
	IRQ = 11,
};

static uint32_t config_read(unsigned device, unsigned offset)
{
	outl(0xcf8, 0x80000000u | device << 11 | offset);
	return inl(0xcfc);
}

static void config_write(unsigned device, unsigned offset, uint32_t value)
{
	outl(0xcf8, 0x80000000u | device << 11 | offset);
	outl(0xcfc, value);
}

static uint32_t ecam_read(uint32_t base, unsigned device, unsigned offset)
{
	return read32(base + (device << 15) + offset);
}

static void board_ecam(uint32_t base)
{
	uint8_t last;

	report("bridge = 0x%x 0x%x", config_read(0, 0), config_read(LPC, 0));
	report("ecam = 0x%x 0x%x", ecam_read(base, 0, 0), ecam_read(base, LPC, 0));
	report("ecam.nobody = 0x%x 0x%x", ecam_read(base, 30, 0), ecam_read(base, 0, 0x100));
	report("ecam.bus_1 = 0x%x bus_255 0x%x", read32(base + ECAM_BUS),
		read32(base + 255u * ECAM_BUS));
	write32(base + (LPC << 15) + 0x84, 0x000c0281);
	report("ecam.written = 0x%x", config_read(LPC, 0x84));
	last = *(volatile uint8_t *)(uintptr_t)(base + 3);
	report("ecam.byte = 0x%x", last);
	config_write(0, 0x60, ELSEWHERE | 2 << 1 | 1); // 64 MiB
	report("moved: 0x%x here 0x%x", ecam_read(ELSEWHERE, 0, 0), ecam_read(base, 0, 0));
	report("moved.bus_64 = 0x%x", read32(ELSEWHERE + 64u * ECAM_BUS));
	config_write(0, 0x60, ELSEWHERE);
	report("off = 0x%x", ecam_read(ELSEWHERE, 0, 0));
	config_write(0, 0x60, base | 1);
}

static void board_pm(void)
{
	uint32_t base = config_read(LPC, 0x40);

	report("pmbase = 0x%x control 0x%x", base, config_read(LPC, 0x44) & 0xff);
	config_write(LPC, 0x40, 0xb000);
	report("pm.moved = %u", inl(0xb008) != 0xffffffff && inl(PM_TIMER_PORT) == 0xffffffff);
	config_write(LPC, 0x40, base);
	report("pm.back = %u", inl(PM_TIMER_PORT) != 0xffffffff);
	report("rcrb = 0x%x 0x%x", read32(0xfed1c000 + 0x3140), read32(0xfed1c000 + 0x3410));
}

static void card_write(unsigned number, uint32_t value)
{
	outl((uint16_t)(PORT + 4 * number), value);
}

static uint32_t card_completed(void)
{
	return inl(PORT + 4 * TEST_DISK_COMPLETED);
}

static void card_hook(struct trap_frame *frame)
{
	(void)card_completed();
	irq_hook(frame);
}

static unsigned slave_requests(void)
{
	outb(PIC_SLAVE, 0x0a); // IRR
	return inb(PIC_SLAVE);
}

// A command that there is not is completed at once.
static void card_interrupts(void)
{
	card_write(TEST_DISK_COMMAND, UNKNOWN);
}

static void board_interrupts(void)
{
	report("card = 0x%x", config_read(CARD, 0));
	config_write(CARD, 0x10, PORT);
	config_write(CARD, 4, 5);
	card_write(TEST_DISK_TAG, 0);
	card_write(TEST_DISK_INTERRUPT, 1);
	trap_set_hook(VECTOR, card_hook);
	for (unsigned pin = 16; pin < 24; pin++)
		ioapic_route(pin, (VECTOR + pin - CARD_PIN) | RTE_LEVEL, 0);
	card_interrupts();
	irq_window();
	report_irqs("pin");
	// PIRQH# to interrupt 11 of the 8259 pair, too.
	ioapic_route(CARD_PIN, RTE_MASKED, 0);
	config_write(LPC, 0x68, 0x80808080);
	outb(0x4d1, 1 << (IRQ - 8));
	card_interrupts();
	report("8259.no_route = 0x%x", slave_requests());
	config_write(LPC, 0x68, 0x00808080 | (uint32_t)IRQ << 24);
	report("8259.route = 0x%x", slave_requests());
	(void)card_completed();
	report("8259.completed = 0x%x", slave_requests());
}

void payload_main(void)
{
	board_ecam(0xb0000000);
	board_pm();
	board_interrupts();
}
