// SPDX-License-Identifier: BSD-2-Clause
// The VGA: registers, the window in all its modes against what is in video memory, the Bochs
// interface, and video memory itself, which the guest reaches without being stopped, wherever it
// puts it. What random guests leave is compared by hashes with what QEMU's device is left with.
//
// IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem"; QEMU's
// docs/specs/standard-vga.rst; PCI 3.0, 6.2.5.
#include "lib/dev.h"

PAYLOAD("dev_vga");

enum {
	MEMORY = 0xe0000000, ELSEWHERE = 0xe8000000, MEMORY_BYTES = 16 << 20,
	MMIO = 0xe4000000,
	WINDOW = 0xa0000, TEXT = 0xb8000, PLANES_BYTES = 256 << 10,
	FUNCTION = 0x80000000 | 2 << 11,
	DIRECT = 20000,   // writes that are timed
	DIRECT_TICKS = 60, // for each: an exit costs hundreds
	FRAME_US = 40000,
};

static uint32_t config_read(unsigned offset)
{
	outl(0xcf8, FUNCTION | offset);
	return inl(0xcfc);
}

static void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, FUNCTION | offset);
	outl(0xcfc, value);
}

static uint32_t seed;

static uint32_t next(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

// FNV-1a, over words.
static uint32_t hash_of(uint32_t at, uint32_t bytes)
{
	uint32_t hash = 2166136261;

	for (uint32_t i = 0; i < bytes; i += 4)
		hash = (hash ^ read32(at + i)) * 16777619;
	return hash;
}

static void indexed_write(uint16_t port, unsigned index, unsigned value)
{
	outb(port, (uint8_t)index);
	outb((uint16_t)(port + 1), (uint8_t)value);
}

static uint8_t indexed_read(uint16_t port, unsigned index)
{
	outb(port, (uint8_t)index);
	return inb((uint16_t)(port + 1));
}

static void dispi_write(unsigned index, unsigned value)
{
	outw(0x1ce, (uint16_t)index);
	outw(0x1cf, (uint16_t)value);
}

static unsigned dispi_read(unsigned index)
{
	outw(0x1ce, (uint16_t)index);
	return inw(0x1cf);
}

static void memory_clear(void)
{
	for (uint32_t i = 0; i < PLANES_BYTES; i += 4)
		write32(MEMORY + i, 0);
}

static uint32_t sized(unsigned offset, uint32_t value)
{
	uint32_t mask;

	config_write(offset, 0xffffffff);
	mask = config_read(offset);
	config_write(offset, value);
	return mask;
}

static void function(void)
{
	report("ids = 0x%x", config_read(0));
	report("class = 0x%x", config_read(8) >> 8);
	report("subsystem = 0x%x", config_read(0x2c));
	config_write(4, 0);
	report("bar0 = 0x%x", sized(0x10, MEMORY));
	report("bar1 = 0x%x", sized(0x14, 0));
	report("bar2 = 0x%x", sized(0x18, MMIO));
	report("rom = 0x%x", sized(0x30, 0));
	config_write(4, 3);
}

static void planar_mode(void)
{
	indexed_write(0x3c4, 2, 0x0f);
	indexed_write(0x3c4, 4, 0x06);
	for (unsigned i = 0; i < 8; i++)
		indexed_write(0x3ce, i, 0);
	indexed_write(0x3ce, 6, 0x05);
	indexed_write(0x3ce, 7, 0x0f);
	indexed_write(0x3ce, 8, 0xff);
}

static const struct {
	uint16_t port;
	uint8_t count;
} sets[] = {{0x3c4, 5}, {0x3ce, 9}, {0x3d4, 25}};

// Firmware has been here, or nobody has.
static void registers_clear(void)
{
	indexed_write(0x3d4, 0x11, 0);
	for (unsigned set = 0; set < 3; set++)
		for (unsigned i = 0; i < sets[set].count; i++)
			indexed_write(sets[set].port, i, 0);
	inb(0x3da);
	for (unsigned i = 0; i < 21; i++) {
		outb(0x3c0, (uint8_t)i);
		outb(0x3c0, 0);
	}
	outb(0x3c7, 0);
	outb(0x3c8, 0);
	for (unsigned i = 0; i < 768; i++)
		outb(0x3c9, 0);
}

// All registers that nothing else depends on, written with anything and read back.
static void registers(void)
{
	uint32_t hash = 2166136261;

	registers_clear();
	seed = 1;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned set = next() % 3, index = next() % sets[set].count, value;

		indexed_write(sets[set].port, index, next());
		value = indexed_read(sets[set].port, next() % sets[set].count);
		hash = (hash ^ value) * 16777619;
	}
	indexed_write(0x3d4, 0x11, 0);
	report("registers = 0x%x", hash);
	hash = 2166136261;
	for (unsigned i = 0; i < 500; i++) {
		inb(0x3da);
		outb(0x3c0, (uint8_t)(next() & 0x1f));
		outb(0x3c0, (uint8_t)next());
		hash = (hash ^ inb(0x3c1)) * 16777619;
		hash = (hash ^ inb(0x3c0)) * 16777619;
	}
	report("attributes = 0x%x", hash);
	hash = 2166136261;
	for (unsigned i = 0; i < 3000; i++) {
		unsigned what = next() % 16;

		if (what < 2)
			outb((uint16_t)(0x3c7 + what), (uint8_t)next());
		else if (what < 8)
			outb(0x3c9, (uint8_t)(next() & 0x3f));
		else
			hash = (hash ^ inb((uint16_t)(0x3c7 + what % 3))) * 16777619;
	}
	report("palette = 0x%x", hash);
	outb(0x3c6, 0xff);
	report("mask = 0x%x", inb(0x3c6));
}

static void text(void)
{
	static const char words[] = "Hi, display";

	memory_clear();
	planar_mode();
	indexed_write(0x3c4, 2, 0x03);
	indexed_write(0x3c4, 4, 0x02);
	indexed_write(0x3ce, 5, 0x10);
	indexed_write(0x3ce, 6, 0x0e);
	for (unsigned i = 0; i + 1 < sizeof(words); i++)
		write16(TEXT + 2 * i, (uint16_t)(0x0700 | words[i]));
	report("text.window = 0x%x", read32(TEXT));
	report("text.memory = 0x%x 0x%x", read32(MEMORY), read32(MEMORY + 4));
	report("text.elsewhere = 0x%x", read16(WINDOW));
	report("text.hash = 0x%x", hash_of(MEMORY, PLANES_BYTES));
}

// Each mode of writing and reading, with registers that are anything.
static void window(const char *name, unsigned memory_mode, unsigned pairs, unsigned rounds)
{
	uint32_t hash = 2166136261;

	memory_clear();
	planar_mode();
	seed = 7 + memory_mode + pairs;
	indexed_write(0x3c4, 4, memory_mode);
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t at = WINDOW + next() % 0x10000;

		if (i % 4 == 0) {
			indexed_write(0x3ce, next() % 5, next());
			indexed_write(0x3ce, 5, (next() & 0x0b) | pairs);
			indexed_write(0x3ce, 7 + next() % 2, next());
			indexed_write(0x3c4, 2, next());
		}
		hash = (hash ^ read8(at)) * 16777619;
		write8(WINDOW + next() % 0x1000, (uint8_t)next());
		write32((WINDOW + next() % 0x1000) & ~3u, next());
	}
	report("%s.read = 0x%x", name, hash);
	report("%s.memory = 0x%x", name, hash_of(MEMORY, PLANES_BYTES));
}

static void dispi(void)
{
	planar_mode();
	report("dispi.id = 0x%x", dispi_read(0));
	report("dispi.memory = %u", dispi_read(10));
	write32(MEMORY + 0x1000, 0x12345678);
	dispi_write(4, 0);
	dispi_write(1, 1024);
	dispi_write(2, 768);
	dispi_write(3, 32);
	dispi_write(4, 0xc1);
	report("dispi.kept = 0x%x", read32(MEMORY + 0x1000));
	dispi_write(4, 0);
	dispi_write(4, 0x41);
	report("dispi.cleared = 0x%x", read32(MEMORY + 0x1000));
	report("dispi.virtual = %u %u", dispi_read(6), dispi_read(7));
	dispi_write(6, 1280);
	dispi_write(8, 64);
	dispi_write(9, 100);
	report("dispi.offsets = %u %u %u", dispi_read(6), dispi_read(8), dispi_read(9));
	dispi_write(9, 5000);
	report("dispi.beyond = %u %u", dispi_read(8), dispi_read(9));
	dispi_write(5, 37);
	write32(WINDOW + 0x100, 0xcafe0037);
	report("dispi.bank = 0x%x", read32(MEMORY + 37 * 0x10000 + 0x100));
	report("dispi.crtc = %u %u", indexed_read(0x3d4, 1), indexed_read(0x3d4, 0x12));
	report("mmio.dispi = %u %u", read16(MMIO + 0x502), read16(MMIO + 0x504));
	write16(MMIO + 0x506, 16);
	report("mmio.bits = %u", dispi_read(3));
	write8(MMIO + 0x405, 5);
	report("mmio.order = 0x%x 0x%x", read32(MMIO + 0x600), read32(MMIO + 0x604));
	report("mmio.edid = 0x%x 0x%x", read32(MMIO), read32(MMIO + 4));
	dispi_write(4, 2);
	report("dispi.most = %u %u %u", dispi_read(1), dispi_read(2), dispi_read(3));
	dispi_write(4, 0);
}

static bool both_seen(uint8_t bit)
{
	uint32_t start = pm_now();
	bool high = false, low = false;

	while (!(high && low) && pm_since(start) < FRAME_US / 1000 * PM_TICKS_PER_MS)
		if (inb(0x3da) & bit)
			high = true;
		else
			low = true;
	return high && low;
}

// Video memory does not stop the guest, and it may be moved and hidden.
static void memory(void)
{
	volatile uint32_t *at = (volatile uint32_t *)(uintptr_t)MEMORY;
	uint64_t start = rdtsc(), ticks;

	for (unsigned i = 0; i < DIRECT; i++)
		at[i * 37] = i;
	ticks = rdtsc() - start;
	report_check("memory.direct", ticks < (uint64_t)DIRECT * DIRECT_TICKS);
	config_write(4, 1);
	report("memory.hidden = 0x%x", read32(MEMORY + 37 * 4));
	config_write(0x10, ELSEWHERE);
	config_write(4, 3);
	report("memory.moved = %u 0x%x", read32(ELSEWHERE + 37 * 4), read32(MEMORY + 37 * 4));
	write32(ELSEWHERE + MEMORY_BYTES - 4, 0x600dcafe);
	config_write(0x10, LAPIC_BASE & ~(MEMORY_BYTES - 1u)); // over the interrupt controllers
	report("memory.below = 0x%x", read32((LAPIC_BASE & ~(MEMORY_BYTES - 1u)) + 37 * 4));
	report_check("memory.lapic", lapic_read(LAPIC_VERSION) != 37 &&
		lapic_read(LAPIC_SVR) == 0x1ff);
	config_write(0x10, MEMORY);
	report("memory.back = 0x%x", read32(MEMORY + MEMORY_BYTES - 4));
	report("memory.hash = 0x%x", hash_of(MEMORY, MEMORY_BYTES / 4));
}

void payload_main(void)
{
	outb(0x3c2, 0x67);
	indexed_write(0x3d4, 0x11, 0);
	function();
	for (uint32_t i = 0; i < MEMORY_BYTES; i += 4)
		write32(MEMORY + i, 0);
	registers();
	text();
	window("planes", 0x06, 0, 3000);
	window("pairs", 0x02, 0x10, 1000);
	window("chain", 0x0e, 0, 1000);
	dispi();
	report("retrace = %u %u", both_seen(8), both_seen(1));
	memory();
}
