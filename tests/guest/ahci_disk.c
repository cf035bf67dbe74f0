// SPDX-License-Identifier: BSD-2-Clause
// Disks of an AHCI controller (emul/ahci.c): at its ports 0 and 1. Commands one by one and queued,
// bad lists and tables, resets in mid-transfer. What depends on how long a request takes is not
// printed.
#include "lib/ahci.h"

PAYLOAD("ahci_disk");

enum {
	DISKS = 2,
	VECTOR = 0x50,
	SECTOR = ATA_SECTOR_BYTES,
	DISK_SECTORS = 128,
	BYTES = 8192,
	QUEUED_BYTES = 2048,
	QUEUED_SECTORS = QUEUED_BYTES / SECTOR,
	MSI = 0xb0, // in configuration space
};

static struct ahci_area areas[DISKS];
static uint8_t buffers[DISKS][BYTES] __attribute__((aligned(4096)));
static uint8_t many[AHCI_SLOTS][QUEUED_BYTES] __attribute__((aligned(4096)));

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

static bool run(unsigned port)
{
	ahci_out(port, AHCI_CI, 1);
	return ahci_await(port, AHCI_CI, 1) &&
		(ahci_in(port, AHCI_TFD) & (AHCI_BUSY | ATA_STATUS_ERR)) == 0;
}

static void identify(unsigned port, const char *what)
{
	ahci_prepare(&areas[port], 0, ATA_IDENTIFY_DEVICE, 0, 1, buffers[port]);
	if (!run(port)) {
		report("%s = none, 0x%x", what, ahci_in(port, AHCI_TFD));
		return;
	}
	report("%s = %u sectors, depth %u, 0x%x", what,
		buffers[port][120] | buffers[port][121] << 8, buffers[port][150] + 1u,
		ahci_in(port, AHCI_PXIS));
	ahci_out(port, AHCI_PXIS, UINT32_MAX);
}

static void link_tell(unsigned port, const char *what)
{
	report("%s = 0x%x, 0x%x, 0x%x", what, ahci_in(port, AHCI_SSTS), ahci_in(port, AHCI_SIG),
		ahci_in(port, AHCI_TFD));
}

// Three pieces of odd sizes.
static void table_make(unsigned port, unsigned command)
{
	uintptr_t at = (uintptr_t)buffers[port];

	ahci_prepare(&areas[port], 0, command, 40, BYTES / SECTOR, buffers[port]);
	ahci_entry_set(&areas[port], 0, 0, at, 510);
	ahci_entry_set(&areas[port], 0, 1, at + 510, 2);
	ahci_entry_set(&areas[port], 0, 2, at + 512, BYTES - 512);
	ahci_header_set(&areas[port], 0, command == ATA_WRITE_DMA_EXT ? AHCI_FLAG_WRITES : 0, 3);
}

static bool moved(unsigned port, unsigned seed)
{
	bool good;

	fill(buffers[port], BYTES, seed);
	table_make(port, ATA_WRITE_DMA_EXT);
	good = run(port);
	fill(buffers[port], BYTES, 0);
	table_make(port, ATA_READ_DMA_EXT);
	good &= run(port);
	return good && is_filled(buffers[port], BYTES, seed) &&
		read32((uintptr_t)areas[port].list + 4) == BYTES;
}

// All of the queue at once.
static bool queue_run(unsigned port, unsigned command)
{
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		ahci_prepare(&areas[port], i, command, i * QUEUED_SECTORS, QUEUED_SECTORS, many[i]);
	ahci_out(port, AHCI_SACT, UINT32_MAX);
	ahci_out(port, AHCI_CI, UINT32_MAX);
	return ahci_await(port, AHCI_SACT, UINT32_MAX) &&
		ahci_in(port, AHCI_TFD) == AHCI_READY && ahci_in(port, AHCI_CI) == 0;
}

static void queued(unsigned port)
{
	bool good;

	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		fill(many[i], QUEUED_BYTES, 50 + i + port);
	good = queue_run(port, ATA_WRITE_FPDMA_QUEUED);
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		fill(many[i], QUEUED_BYTES, 0);
	good &= queue_run(port, ATA_READ_FPDMA_QUEUED);
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		good &= is_filled(many[i], QUEUED_BYTES, 50 + i + port);
	report("queued = %s", good ? "ok" : "WRONG");
}

static void by_interrupt(unsigned device)
{
	ahci_out(0, AHCI_IE, AHCI_INTERRUPT_REGISTER);
	ahci_out(0, AHCI_PXIS, UINT32_MAX);
	ahci_set(AHCI_IS, UINT32_MAX);
	trap_set_hook(VECTOR, irq_hook);
	ahci_config_write(device, MSI + 4, 0xfee00000u);
	ahci_config_write(device, MSI + 12, VECTOR);
	ahci_config_write(device, MSI, 1 << 16);
	ahci_set(AHCI_GHC, AHCI_GHC_INTERRUPTS);
	table_make(0, ATA_READ_DMA_EXT);
	ahci_out(0, AHCI_CI, 1);
	while (irq_count == 0)
		sti_hlt_cli();
	report("message = %u, 0x%x, 0x%x", irq_count, ahci_get(AHCI_IS), ahci_in(0, AHCI_PXIS));
	ahci_config_write(device, MSI, 0);
	ahci_out(0, AHCI_PXIS, UINT32_MAX);
	ahci_set(AHCI_IS, UINT32_MAX);
	report("then = 0x%x, 0x%x", ahci_get(AHCI_IS), ahci_in(0, AHCI_PXIS));
	ahci_set(AHCI_GHC, 0);
	irq_clear();
}

// As drivers do when a port has failed: 6.2.2, and a link that comes up anew.
static void port_restart(unsigned port)
{
	ahci_out(port, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
	ahci_out(port, AHCI_SCTL, AHCI_SCTL_RESET);
	ahci_out(port, AHCI_SCTL, 0);
	ahci_out(port, AHCI_SERR, UINT32_MAX);
	ahci_out(port, AHCI_PXIS, UINT32_MAX);
	ahci_out(port, AHCI_CMD, AHCI_RUNS);
}

// Until something has failed, or nothing is issued any more.
static void report_failed(const char *what)
{
	unsigned i = 0;

	while (i++ < AHCI_POLLS && ahci_in(0, AHCI_CI) != 0 &&
		(ahci_in(0, AHCI_PXIS) & ~(uint32_t)AHCI_INTERRUPT_DMA) == 0)
		idle();
	report("%s = 0x%x, 0x%x", what, ahci_in(0, AHCI_TFD), ahci_in(0, AHCI_PXIS));
	port_restart(0);
}

static void fails(const char *what, unsigned command, unsigned lba, uint64_t at)
{
	ahci_prepare(&areas[0], 0, command, lba, 1, buffers[0]);
	if (at != 0)
		ahci_entry_set(&areas[0], 0, 0, at, SECTOR);
	if (command == ATA_READ_FPDMA_QUEUED)
		ahci_out(0, AHCI_SACT, 1);
	ahci_out(0, AHCI_CI, 1);
	report_failed(what);
}

static void refused(void)
{
	fails("beyond", ATA_READ_DMA_EXT, DISK_SECTORS, 0);
	fails("unknown", 0xff, 0, 0);
	fails("vga_window", ATA_READ_DMA_EXT, 0, 0xa0000);
	fails("local_apic", ATA_WRITE_DMA_EXT, 0, LAPIC_BASE);
	fails("nowhere", ATA_READ_DMA_EXT, 0, UINT64_C(1) << 45);
	fails("queued_beyond", ATA_READ_FPDMA_QUEUED, DISK_SECTORS, 0);
	fails("queued_nowhere", ATA_READ_FPDMA_QUEUED, 0, LAPIC_BASE);
	ahci_prepare(&areas[0], 0, ATA_READ_DMA_EXT, 0, 2, buffers[0]);
	ahci_entry_set(&areas[0], 0, 0, (uintptr_t)buffers[0], SECTOR);
	ahci_out(0, AHCI_CI, 1);
	report_failed("short_table");
	ahci_prepare(&areas[0], 0, ATA_READ_DMA_EXT, 0, 1, buffers[0]);
	areas[0].list[0] = 3; // words
	ahci_out(0, AHCI_CI, 1);
	report_failed("short_frame");
	ahci_out(0, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
	ahci_out(0, AHCI_CLB, LAPIC_BASE);
	ahci_out(0, AHCI_CMD, AHCI_RUNS);
	ahci_out(0, AHCI_CI, 1);
	report_failed("bad_list");
	ahci_out(0, AHCI_CLB, (uint32_t)(uintptr_t)areas[0].list);
}

// A queue of which one fails, and the log that says which.
static void queue_failed(void)
{
	const uint8_t *log = buffers[0];
	bool good;

	for (unsigned i = 0; i < 4; i++)
		ahci_prepare(&areas[0], i, ATA_READ_FPDMA_QUEUED, i == 3 ? DISK_SECTORS : i, 1,
			many[i]);
	ahci_out(0, AHCI_SACT, 0xf);
	ahci_out(0, AHCI_CI, 0xf);
	(void)ahci_await(0, AHCI_TFD, 0); // it fails at once
	report("queue_failed = 0x%x", ahci_in(0, AHCI_TFD));
	ahci_out(0, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
	ahci_out(0, AHCI_CMD, AHCI_RUNS);
	ahci_prepare(&areas[0], 0, ATA_READ_LOG_EXT, ATA_LOG_QUEUE_ERROR, 1, buffers[0]);
	good = run(0);
	report("log = %s, %u, 0x%x, 0x%x, %u", good ? "ok" : "WRONG", log[0], log[2], log[3],
		log[4]);
	ahci_out(0, AHCI_PXIS, UINT32_MAX);
}

// 10.4.1
static void software_reset(void)
{
	bool good;

	ahci_prepare(&areas[0], 0, 0, 0, 0, buffers[0]);
	ahci_frame_of(&areas[0], 0)->flags = 0;
	ahci_frame_of(&areas[0], 0)->control = ATA_CONTROL_SRST;
	ahci_header_set(&areas[0], 0, AHCI_HEADER_CLEARS, 0);
	ahci_out(0, AHCI_CI, 1);
	good = ahci_await(0, AHCI_CI, 1);
	ahci_frame_of(&areas[0], 0)->control = 0;
	ahci_header_set(&areas[0], 0, 0, 0);
	ahci_out(0, AHCI_CI, 1);
	good &= ahci_await(0, AHCI_CI, 1);
	report("software_reset = %s, 0x%x", good ? "ok" : "WRONG", ahci_in(0, AHCI_TFD));
}

// A way to forget what is under way.
static void forget(unsigned way)
{
	switch (way % 4) {
	case 0:
		ahci_out(0, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
		ahci_out(0, AHCI_CMD, (AHCI_RUNS & ~AHCI_CMD_START) | AHCI_CMD_OVERRIDE);
		ahci_out(0, AHCI_CMD, AHCI_RUNS);
		break;
	case 1:
		ahci_out(0, AHCI_SCTL, AHCI_SCTL_RESET);
		ahci_out(0, AHCI_SCTL, 0);
		port_restart(0);
		break;
	case 2:
		ahci_set(AHCI_GHC, AHCI_GHC_RESET);
		for (unsigned i = 0; i < DISKS; i++)
			ahci_port_start(i, &areas[i]);
		break;
	default:
		ahci_out(0, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
		ahci_out(0, AHCI_CMD, AHCI_RUNS | AHCI_CMD_OVERRIDE);
		ahci_out(0, AHCI_CMD, AHCI_RUNS & ~AHCI_CMD_START);
		ahci_out(0, AHCI_CMD, (AHCI_RUNS & ~AHCI_CMD_START) | AHCI_CMD_OVERRIDE);
		ahci_out(0, AHCI_CMD, AHCI_RUNS);
		break;
	}
}

// Whatever was under way, nothing of it comes behind.
static void reset_in_the_middle(void)
{
	bool quiet = true;

	for (unsigned i = 0; i < 24; i++) {
		bool is_queued = i % 3 == 0;
		uint8_t seen[8];

		for (unsigned n = 0; n < (is_queued ? 8u : 1u); n++)
			ahci_prepare(&areas[0], n, is_queued ? ATA_READ_FPDMA_QUEUED
				: i % 2 != 0 ? ATA_READ_DMA_EXT : ATA_WRITE_DMA_EXT, 64 + n * 4, 4,
				many[n]);
		if (is_queued)
			ahci_out(0, AHCI_SACT, 0xff);
		ahci_out(0, AHCI_CI, is_queued ? 0xff : 1);
		for (unsigned n = 0; n < i; n++)
			idle();
		forget(i);
		for (unsigned n = 0; n < sizeof(seen); n++)
			seen[n] = many[n][0] ^= 0x5a;
		wait_us(300);
		for (unsigned n = 0; n < sizeof(seen); n++)
			quiet &= many[n][0] == seen[n];
		quiet &= (ahci_in(0, AHCI_CI) | ahci_in(0, AHCI_SACT)) == 0;
	}
	report("quiet = %s", quiet ? "ok" : "WRONG");
	report("after = %s", moved(0, 5) ? "ok" : "WRONG");
}

void payload_main(void)
{
	unsigned device = ahci_find();

	pic_init(0xff, 0xff);
	lapic_prepare();
	if (device == 0) {
		report("controller = none");
		return;
	}
	report("controller = 0x%x, 0x%x", ahci_get(AHCI_CAP), ahci_get(AHCI_VS));
	link_tell(0, "before");
	for (unsigned i = 0; i < DISKS; i++)
		ahci_port_start(i, &areas[i]);
	link_tell(0, "first");
	link_tell(1, "second");
	ahci_out(2, AHCI_CMD, AHCI_CMD_SPIN_UP);
	link_tell(2, "third");
	identify(0, "first");
	identify(1, "second");
	for (unsigned i = 0; i < DISKS; i++)
		report("dma = %s", moved(i, i + 1) ? "ok" : "WRONG");
	for (unsigned i = 0; i < DISKS; i++)
		queued(i);
	by_interrupt(device);
	refused();
	queue_failed();
	software_reset();
	reset_in_the_middle();
}
