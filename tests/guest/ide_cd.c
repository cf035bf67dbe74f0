// SPDX-License-Identifier: BSD-2-Clause
// A CD drive of an IDE controller (emul/ide_packet.c, emul/scsi_cd.c), with a disc of zeros in it:
// packets by PIO and DMA, the tray, bad tables, resets in mid-transfer. What depends on how long a
// request takes is not printed.
#include "emul/scsi_abi.h"
#include "lib/ide.h"

PAYLOAD("ide_cd");

enum { BLOCK = SCSI_CD_BLOCK_BYTES, DISC_BLOCKS = 32, BLOCKS = 6, LIMIT = 0x600 };

static struct entry table[4] __attribute__((aligned(64)));
static uint8_t buffer[BLOCKS * BLOCK] __attribute__((aligned(4096)));

// The packet is written as soon as it is asked for. False: it never is.
static bool packet(unsigned features, const char *cdb)
{
	out(0, DEVICE, 0);
	out(0, ERROR, features);
	out(0, MIDDLE, LIMIT & 0xff);
	out(0, HIGH, LIMIT >> 8);
	out(0, STATUS, ATA_PACKET);
	if (!await(0, BUSY, ATA_STATUS_DRQ) || in(0, COUNT) != ATAPI_REASON_COMMAND)
		return false;
	for (unsigned i = 0; i < ATAPI_PACKET_BYTES; i += 2)
		outw(ports[0], (uint16_t)((uint8_t)cdb[i] | (uint8_t)cdb[i + 1] << 8));
	return true;
}

// Reads what there is; its bytes.
static unsigned data_in(uint8_t *to)
{
	unsigned got = 0;

	while (await(0, ATA_STATUS_BSY, 0) && (in(0, STATUS) & ATA_STATUS_DRQ) != 0) {
		unsigned part = in(0, MIDDLE) | in(0, HIGH) << 8;

		for (unsigned i = 0; i < part; i += 2, got += 2) {
			uint16_t word = inw(ports[0]);

			to[got] = (uint8_t)word;
			to[got + 1] = (uint8_t)(word >> 8);
		}
	}
	return got;
}

static void report_end(const char *what)
{
	bool ended = await(0, BUSY, 0);

	report("%s = 0x%x, 0x%x, 0x%x%s", what, in(0, STATUS), in(0, ERROR), in(0, COUNT),
		ended ? "" : ", busy");
}

static void report_page(const char *what, const char *cdb, unsigned first)
{
	unsigned bytes = packet(0, cdb) ? data_in(buffer) : 0;

	report("%s = %u bytes, 0x%x", what, bytes, scsi_get(buffer + first, 4));
}

static void report_command(const char *what, const char *cdb)
{
	(void)packet(0, cdb);
	report_end(what);
}

static void fill(void)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = 0xa5;
}

static bool is_filled(unsigned from, unsigned to, uint8_t value)
{
	while (from < to && buffer[from] == value)
		from++;
	return from == to;
}

static void identify(void)
{
	out(0, DEVICE, 0);
	report("signature = 0x%x", in(0, MIDDLE) | in(0, HIGH) << 8);
	out(0, STATUS, ATA_IDENTIFY_DEVICE);
	report_end("identify");
	out(0, STATUS, ATA_IDENTIFY_PACKET_DEVICE);
	(void)await(0, BUSY, ATA_STATUS_DRQ);
	for (unsigned i = 0; i < SECTOR; i += 2) {
		uint16_t word = inw(ports[0]);

		buffer[i] = (uint8_t)word;
		buffer[i + 1] = (uint8_t)(word >> 8);
	}
	report("packet_device = 0x%x", buffer[0] | buffer[1] << 8);
}

static void pages(void)
{
	report_command("ready", "\0\0\0\0\0\0\0\0\0\0\0\0"); // the reset is told
	report_page("sense", "\x03\0\0\0\x12\0\0\0\0\0\0\0", 10);
	report_command("ready", "\0\0\0\0\0\0\0\0\0\0\0\0");
	report_page("inquiry", "\x12\0\0\0\x24\0\0\0\0\0\0\0", 8);
	report_page("capacity", "\x25\0\0\0\0\0\0\0\0\0\0\0", 0);
	report_page("contents", "\x43\0\0\0\0\0\0\0\xff\0\0\0", 16);
	report_page("mode", "\x5a\0\x2a\0\0\0\0\0\xff\0\0\0", 8);
	report_page("features", "\x46\0\0\0\0\0\0\0\xff\0\0\0", 4);
}

static bool by_pio(void)
{
	fill();
	return packet(0, "\x28\0\0\0\0\x05\0\0\x05\0\0\0") && data_in(buffer) == 5 * BLOCK &&
		is_filled(0, 5 * BLOCK, 0) && is_filled(5 * BLOCK, sizeof(buffer), 0xa5);
}

static bool dma(const char *cdb)
{
	bool good;

	outb(master(0, 0), 0);
	outb(master(0, 2), FAILED | INTERRUPT);
	outl(master(0, 4), (uint32_t)(uintptr_t)table);
	good = packet(ATAPI_DMA, cdb);
	outb(master(0, 0), START | TO_MEMORY);
	return good;
}

static bool dma_end(void)
{
	bool good = await(0, BUSY, 0) && (in(0, STATUS) & ATA_STATUS_ERR) == 0;

	outb(master(0, 0), 0);
	return good;
}

// Three pieces of odd sizes.
static bool by_dma(void)
{
	uint32_t at = (uint32_t)(uintptr_t)buffer;

	table[0] = (struct entry){at + 2, 510};
	table[1] = (struct entry){at + 512, 2};
	table[2] = (struct entry){at + 514, (4 * BLOCK - 512) | LAST};
	fill();
	return dma("\xa8\0\0\0\0\x07\0\0\0\x04\0\0") && dma_end() &&
		master_status(0) == INTERRUPT && is_filled(0, 2, 0xa5) &&
		is_filled(2, 4 * BLOCK + 2, 0) && is_filled(4 * BLOCK + 2, sizeof(buffer), 0xa5);
}

static void page_by_dma(void)
{
	table[0] = (struct entry){(uint32_t)(uintptr_t)buffer, 36 | LAST};
	fill();
	(void)dma("\x12\0\0\0\x24\0\0\0\0\0\0\0");
	report("page = %s, 0x%x", dma_end() ? "ok" : "WRONG", scsi_get(buffer + 8, 4));
}

static void refused(void)
{
	report_command("beyond", "\x28\0\0\0\0\x1f\0\0\x02\0\0\0");
	report_page("sense", "\x03\0\0\0\x12\0\0\0\0\0\0\0", 10);
	report_command("unknown", "\xff\0\0\0\0\0\0\0\0\0\0\0");
	report_command("write", "\x2a\0\0\0\0\0\0\0\x01\0\0\0");
	table[0] = (struct entry){0xa0000, BLOCK | LAST};
	(void)dma("\x28\0\0\0\0\0\0\0\x01\0\0\0");
	report_end("vga_window");
	report("master = 0x%x", master_status(0));
	(void)dma("\x12\0\0\0\x24\0\0\0\0\0\0\0");
	report_end("page_nowhere");
	table[0] = (struct entry){(uint32_t)(uintptr_t)buffer, 512 | LAST};
	(void)dma("\x28\0\0\0\0\0\0\0\x01\0\0\0");
	(void)await(0, BUSY, ATA_STATUS_DRQ);
	report_end("short_table");
	out(0, STATUS, ATA_DEVICE_RESET);
	report("reset = 0x%x", in(0, STATUS));
}

static void tray(void)
{
	report_command("lock", "\x1e\0\0\0\x01\0\0\0\0\0\0\0");
	report_command("eject", "\x1b\0\0\0\x02\0\0\0\0\0\0\0");
	report_command("unlock", "\x1e\0\0\0\0\0\0\0\0\0\0\0");
	report_command("eject", "\x1b\0\0\0\x02\0\0\0\0\0\0\0");
	report_command("open", "\x28\0\0\0\0\0\0\0\x01\0\0\0");
	report_page("event", "\x4a\x01\0\0\x10\0\0\0\x08\0\0\0", 4);
	report_command("close", "\x1b\0\0\0\x03\0\0\0\0\0\0\0");
	report_page("event", "\x4a\x01\0\0\x10\0\0\0\x08\0\0\0", 4);
	report_command("changed", "\0\0\0\0\0\0\0\0\0\0\0\0");
	report_command("ready", "\0\0\0\0\0\0\0\0\0\0\0\0");
}

// Whatever was under way, nothing of it comes behind the reset.
static void reset_in_the_middle(void)
{
	bool quiet = true;

	table[0] = (struct entry){(uint32_t)(uintptr_t)buffer, (BLOCKS * BLOCK) | LAST};
	for (unsigned i = 0; i < 10; i++) {
		quiet &= dma("\x28\0\0\0\0\x02\0\0\x06\0\0\0");
		for (unsigned n = 0; n < i; n++)
			idle();
		out(0, STATUS, ATA_DEVICE_RESET);
		fill();
		wait_us(300);
		quiet &= is_filled(0, sizeof(buffer), 0xa5) && status(0) == 0;
	}
	report("quiet = %s", quiet ? "ok" : "WRONG");
	report("after = %s", by_dma() ? "ok" : "WRONG");
}

static void by_interrupt(void)
{
	trap_set_hook(VECTOR, irq_hook);
	ioapic_route(14, VECTOR, 0);
	table[0] = (struct entry){(uint32_t)(uintptr_t)buffer, (4 * BLOCK) | LAST};
	(void)dma("\xa8\0\0\0\0\x07\0\0\0\x04\0\0");
	while (irq_count == 0)
		sti_hlt_cli();
	report("interrupt = %u, 0x%x", irq_count, master_status(0));
	report("then = %s", dma_end() ? "ok" : "WRONG");
	ioapic_route(14, LAPIC_MASKED, 0);
	irq_clear();
}

void payload_main(void)
{
	place();
	pic_init(0xff, 0xff);
	lapic_prepare();
	identify();
	pages();
	report("pio = %s", by_pio() ? "ok" : "WRONG");
	report("dma = %s", by_dma() ? "ok" : "WRONG");
	page_by_dma();
	by_interrupt();
	refused();
	tray();
	reset_in_the_middle();
}
