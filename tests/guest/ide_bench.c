// SPDX-License-Identifier: BSD-2-Clause
// Reads of 4 KiB from an IDE disk by DMA, one at a time, for tests/bench.py: with the accesses that
// Linux's driver of bus masters makes for each; `rounds` hundreds of them.
#include "emul/ata_abi.h"
#include "lib/dev.h"

PAYLOAD("ide_bench");

enum {
	MASTER = 0x540,
	FUNCTION = 0x80000000u | 1 << 11 | 1 << 8,
	VECTOR = 0x62,
	COMMAND = 0x1f0, CONTROL = 0x3f6,
	FEATURES = 1, COUNT, LOW, MIDDLE, HIGH, DEVICE, STATUS,
	BYTES = 4096, ROUNDS = 100,
	LAST = 1u << 31,
};

static struct {
	uint32_t at, bytes;
} table __attribute__((aligned(64)));
static uint8_t data[BYTES] __attribute__((aligned(4096)));
static volatile unsigned interrupts;
static uint8_t status;

static void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, FUNCTION | offset);
	outl(0xcfc, value);
}

static void hook(struct trap_frame *frame)
{
	uint8_t master;

	(void)frame;
	master = inb(MASTER + 2);
	outb(MASTER, (uint8_t)(inb(MASTER) & ~1)); // stopped
	(void)inb(CONTROL);
	status = inb(COMMAND + STATUS);
	outb(MASTER + 2, master);
	interrupts = interrupts + 1;
	lapic_write(LAPIC_EOI, 0);
}

static void read_one(uint32_t lba)
{
	unsigned count = interrupts;

	outl(MASTER + 4, (uint32_t)(uintptr_t)&table);
	outb(MASTER, (uint8_t)((inb(MASTER) & ~8) | 8));
	outb(COMMAND + FEATURES, 0);
	outb(COMMAND + COUNT, BYTES / ATA_SECTOR_BYTES);
	outb(COMMAND + LOW, (uint8_t)lba);
	outb(COMMAND + MIDDLE, (uint8_t)(lba >> 8));
	outb(COMMAND + HIGH, (uint8_t)(lba >> 16));
	outb(COMMAND + DEVICE, ATA_DEVICE_FIXED | ATA_DEVICE_LBA);
	outb(COMMAND + STATUS, ATA_READ_DMA);
	outb(MASTER, inb(MASTER) | 1);
	while (interrupts == count)
		pause();
}

void payload_main(void)
{
	const char *option = (const char *)read64((uintptr_t)payload_start_info + 24); // cmdline
	unsigned rounds = ROUNDS;

	for (; option != NULL && *option != 0; option++)
		if (option[0] == '=')
			rounds = ROUNDS * (unsigned)(option[1] - '0');
	config_write(0x40, 0x80008000);
	config_write(0x20, MASTER);
	config_write(4, 5);
	pic_init(0xff, 0xff);
	lapic_prepare();
	if (lapic_has_x2apic())
		lapic_enable_x2apic();
	trap_set_hook(VECTOR, hook);
	ioapic_route(14, VECTOR, 0);
	table.at = (uint32_t)(uintptr_t)data;
	table.bytes = BYTES | LAST;
	__asm__ volatile("sti");
	for (unsigned i = 0; i < rounds; i++)
		read_one(i % 32 * (BYTES / ATA_SECTOR_BYTES));
	__asm__ volatile("cli");
	report("status = 0x%x", status);
}
