// SPDX-License-Identifier: BSD-2-Clause
// Disks of an IDE controller (emul/ide.c): two of the first channel, one of the second. PIO and
// DMA, both channels at once, bad tables, resets in mid-transfer. What depends on how long a
// request takes is not printed.
#include "lib/ide.h"

PAYLOAD("ide_disk");

enum {
	DISK_SECTORS = 128,
	BYTES = 8192,
};

static struct entry table[CHANNELS][4] __attribute__((aligned(64)));
static uint8_t buffers[CHANNELS][BYTES] __attribute__((aligned(4096)));
static uint8_t page[SECTOR];

static void block_in(unsigned channel, uint8_t *to)
{
	unsigned count = SECTOR / 2;

	__asm__ volatile("cld; rep insw" : "+D"(to), "+c"(count) : "d"(ports[channel]) : "memory");
}

static void block_out(unsigned channel, const uint8_t *from)
{
	unsigned count = SECTOR / 2;

	__asm__ volatile("cld; rep outsw" : "+S"(from), "+c"(count) : "d"(ports[channel]) :
		"memory");
}

static uint8_t pattern(unsigned seed, unsigned at)
{
	return (uint8_t)(seed * 37 + at * 11 + (at >> 8) + 1);
}

static void fill(uint8_t *bytes, unsigned count, unsigned seed)
{
	for (unsigned i = 0; i < count; i++)
		bytes[i] = pattern(seed, i);
}

static bool is_filled(const uint8_t *bytes, unsigned count, unsigned seed)
{
	for (unsigned i = 0; i < count; i++)
		if (bytes[i] != pattern(seed, i))
			return false;
	return true;
}

static void identify(unsigned channel, unsigned drive, const char *what)
{
	start(channel, drive, ATA_IDENTIFY_DEVICE, 0, 0);
	if (!await(channel, BUSY, ATA_STATUS_DRQ)) {
		report("%s = none, 0x%x", what, status(channel));
		return;
	}
	block_in(channel, page);
	report("%s = %u sectors, 0x%x", what, page[120] | page[121] << 8, in(channel, STATUS));
}

static void by_pio(unsigned channel, unsigned drive)
{
	bool good = true;

	fill(buffers[channel], 4 * SECTOR, drive + 1);
	start(channel, drive, ATA_WRITE_SECTORS, 9, 4);
	for (unsigned i = 0; i < 4; i++) {
		good &= await(channel, BUSY, ATA_STATUS_DRQ);
		block_out(channel, buffers[channel] + i * SECTOR);
	}
	good &= await(channel, BUSY, 0);
	start(channel, drive, ATA_FLUSH_CACHE, 0, 0);
	good &= await(channel, BUSY, 0);
	start(channel, drive, ATA_READ_MULTIPLE, 9, 4); // a block of several, the last shorter
	good &= await(channel, BUSY, ATA_STATUS_DRQ);
	for (unsigned i = 0; i < 4; i++) {
		block_in(channel, page);
		for (unsigned n = 0; n < SECTOR; n++)
			good &= page[n] == pattern(drive + 1, i * SECTOR + n);
	}
	report("pio = %s, 0x%x", good ? "ok" : "WRONG", in(channel, STATUS));
}

static void dma_begin(unsigned channel, unsigned drive, unsigned command, unsigned lba,
	unsigned count)
{
	bool reads = command == ATA_READ_DMA;

	outb(master(channel, 0), 0);
	outb(master(channel, 2), FAILED | INTERRUPT);
	outl(master(channel, 4), (uint32_t)(uintptr_t)table[channel]);
	start(channel, drive, command, lba, count);
	outb(master(channel, 0), START | (reads ? TO_MEMORY : 0));
}

static bool dma_end(unsigned channel)
{
	bool good = await(channel, BUSY, 0);

	good &= (in(channel, STATUS) & ATA_STATUS_ERR) == 0;
	outb(master(channel, 0), 0);
	return good;
}

// Three pieces of odd sizes.
static void table_make(unsigned channel, unsigned bytes)
{
	uint32_t at = (uint32_t)(uintptr_t)buffers[channel];

	table[channel][0] = (struct entry){at, 510};
	table[channel][1] = (struct entry){at + 510, 2};
	table[channel][2] = (struct entry){at + 512, (bytes - 512) | LAST};
}

static bool moved(unsigned channel, unsigned drive, unsigned seed)
{
	bool good;

	table_make(channel, BYTES);
	fill(buffers[channel], BYTES, seed);
	dma_begin(channel, drive, ATA_WRITE_DMA, 40, BYTES / SECTOR);
	good = dma_end(channel);
	fill(buffers[channel], BYTES, 0);
	dma_begin(channel, drive, ATA_READ_DMA, 40, BYTES / SECTOR);
	good &= dma_end(channel);
	return good && is_filled(buffers[channel], BYTES, seed) &&
		master_status(channel) == INTERRUPT;
}

static void both_at_once(void)
{
	bool good = true;

	for (unsigned i = 0; i < 10; i++) {
		for (unsigned c = 0; c < CHANNELS; c++) {
			table_make(c, BYTES);
			fill(buffers[c], BYTES, 10 + i + c);
			dma_begin(c, 0, ATA_WRITE_DMA, 8 * i, BYTES / SECTOR);
		}
		for (unsigned c = 0; c < CHANNELS; c++)
			good &= dma_end(c);
		for (unsigned c = 0; c < CHANNELS; c++) {
			fill(buffers[c], BYTES, 0);
			dma_begin(c, 0, ATA_READ_DMA, 8 * i, BYTES / SECTOR);
		}
		for (unsigned c = CHANNELS; c-- > 0;)
			good &= dma_end(c) && is_filled(buffers[c], BYTES, 10 + i + c);
	}
	report("both = %s", good ? "ok" : "WRONG");
}

static void by_interrupt(void)
{
	trap_set_hook(VECTOR, irq_hook);
	ioapic_route(14, VECTOR, 0);
	table_make(0, BYTES);
	dma_begin(0, 0, ATA_READ_DMA, 0, BYTES / SECTOR);
	while (irq_count == 0)
		sti_hlt_cli();
	report("interrupt = %u, 0x%x", irq_count, master_status(0));
	report("then = %s", dma_end(0) ? "ok" : "WRONG");
	ioapic_route(14, LAPIC_MASKED, 0);
	irq_clear();
}

static void trimmed(void)
{
	uint64_t range = UINT64_C(8) << 48 | 40;

	for (unsigned i = 0; i < SECTOR; i++)
		buffers[0][i] = 0;
	__builtin_memcpy(buffers[0], &range, sizeof(range));
	table[0][0] = (struct entry){(uint32_t)(uintptr_t)buffers[0], SECTOR | LAST};
	out(0, ERROR, 0);
	out(0, ERROR, ATA_TRIM);
	out(0, COUNT, 0);
	dma_begin(0, 0, ATA_DATA_SET_MANAGEMENT, 0, 1);
	report("trimmed = %s", dma_end(0) ? "ok" : "WRONG");
}

static void report_failed(const char *what, unsigned channel)
{
	bool ended = await(channel, ATA_STATUS_BSY, 0);

	report("%s = 0x%x, 0x%x, 0x%x%s", what, in(channel, STATUS), in(channel, ERROR),
		master_status(channel), ended ? "" : ", busy");
}

static void soft_reset(unsigned channel)
{
	outb(controls[channel], ATA_CONTROL_SRST);
	outb(controls[channel], 0);
}

static void refused(void)
{
	start(0, 0, ATA_READ_SECTORS, DISK_SECTORS, 1);
	report_failed("beyond", 0);
	start(0, SECOND, ATA_READ_SECTORS, DISK_SECTORS - 1, 2);
	report_failed("over_end", 0);
	start(0, 0, 0xff, 0, 1);
	report_failed("unknown", 0);
	start(1, SECOND, ATA_READ_SECTORS, 0, 1);
	report_failed("nobody", 1);
	table[0][0] = (struct entry){0xa0000, SECTOR | LAST};
	dma_begin(0, 0, ATA_READ_DMA, 0, 1);
	report_failed("vga_window", 0);
	table[0][0] = (struct entry){LAPIC_BASE, SECTOR | LAST};
	dma_begin(0, 0, ATA_WRITE_DMA, 0, 1);
	report_failed("local_apic", 0);
	outb(master(0, 0), 0);
	outb(master(0, 2), FAILED | INTERRUPT);
	outl(master(0, 4), LAPIC_BASE); // the table itself
	start(0, 0, ATA_READ_DMA, 0, 1);
	outb(master(0, 0), START | TO_MEMORY);
	report_failed("bad_table", 0);
	soft_reset(0);
	table[0][0] = (struct entry){(uint32_t)(uintptr_t)buffers[0], SECTOR | LAST};
	dma_begin(0, 0, ATA_READ_DMA, 0, 2);
	(void)await(0, BUSY, ATA_STATUS_DRQ);
	report_failed("short_table", 0);
	soft_reset(0);
	report("reset = 0x%x", status(0));
}

// Whatever was under way, nothing of it comes behind the reset.
static void reset_in_the_middle(void)
{
	bool quiet = true;

	for (unsigned i = 0; i < 20; i++) {
		uint8_t seen[16];

		table_make(0, BYTES);
		dma_begin(0, 0, i % 2 != 0 ? ATA_READ_DMA : ATA_WRITE_DMA, 64, BYTES / SECTOR);
		for (unsigned n = 0; n < i; n++)
			idle();
		soft_reset(0);
		for (unsigned n = 0; n < sizeof(seen); n++) {
			seen[n] = buffers[0][n * 512];
			buffers[0][n * 512] = seen[n] ^= 0x5a;
		}
		wait_us(300);
		for (unsigned n = 0; n < sizeof(seen); n++)
			quiet &= buffers[0][n * 512] == seen[n];
		quiet &= status(0) == (ATA_STATUS_DRDY | ATA_STATUS_DSC);
	}
	report("quiet = %s", quiet ? "ok" : "WRONG");
	report("after = %s", moved(0, 0, 5) ? "ok" : "WRONG");
}

void payload_main(void)
{
	place();
	pic_init(0xff, 0xff);
	lapic_prepare();
	identify(0, 0, "first");
	identify(0, SECOND, "second");
	identify(1, 0, "third");
	identify(1, SECOND, "fourth");
	by_pio(0, 0);
	by_pio(0, SECOND);
	by_pio(1, 0);
	report("dma = %s", moved(0, 0, 1) ? "ok" : "WRONG");
	report("dma = %s", moved(0, SECOND, 2) ? "ok" : "WRONG");
	report("dma = %s", moved(1, 0, 3) ? "ok" : "WRONG");
	both_at_once();
	by_interrupt();
	trimmed();
	refused();
	reset_in_the_middle();
}
