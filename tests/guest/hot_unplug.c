// SPDX-License-Identifier: BSD-2-Clause
// A guest ejects a virtio disk whose requests are under way, its pin asserted: by the registers of
// emul/pci_hotplug.h. Nothing of it is on the bus afterwards, nothing of the requests arrives, and
// a reset of the machine does not bring it back.
#include "lib/dev.h"

#define VIRTIO_MANY 16
#include "lib/virtio.h"

PAYLOAD("hot_unplug");

enum {
	MANY = 16,
	PART = 2048, // bytes of a request
	UP = 0xae00, DOWN = 0xae04, EJECT = 0xae08, RMV = 0xae0c, SELECT = 0xae10,
	GPE0_STATUS = 0x620,
	LEGACY = 0xc000, // its ports
	FLAG_INDEX = 0x50, FLAG = 0xa7,
	MARK = 0x5a,
};

static uint8_t in[MANY * PART] __attribute__((aligned(4096)));

static unsigned slot_of(uint32_t address)
{
	return address >> 11 & 31;
}

static void registers(void)
{
	report("rmv = %u", inl(RMV) == 1u << slot_of(function));
	report("up, down, features = 0x%x 0x%x 0x%x", inl(UP), inl(DOWN), inl(EJECT));
	report("gpe0 = 0x%x", inw(GPE0_STATUS));
	report("narrow = 0x%x", inb(RMV));
	// Of another bus nothing is here.
	outl(SELECT, 1);
	report("select = %u", inl(SELECT));
	report("other.rmv = 0x%x", inl(RMV));
	outl(EJECT, 0xffffffff);
	outl(SELECT, 0);
	report("other.ejected = %u", config_read(0) == 0xffffffff);
	// Nor can other devices be ejected.
	outl(EJECT, ~(1u << slot_of(function)));
	report("there = %u", config_read(0) == 0x10011af4);
}

// IRQ 8 to 15 whose line is high, by level: the slave's IRR.
static bool line_is_high(unsigned irq)
{
	outb(0xa0, 0x0a);
	return (inb(0xa0) >> (irq - 8) & 1) != 0;
}

static void transfers_begin(void)
{
	begin(0, 0, false);
	for (unsigned n = 0; n < MANY; n++)
		offer(n, 3 * n, IN, n * (PART / 512), in + n * PART, PART);
	write16(NOTIFY, 0);
}

static void eject(void)
{
	unsigned irq = config_read(0x3c) & 0xff;

	config_write(0x10, LEGACY);
	config_write(4, 7);
	begin(0, 0, false);
	offer(0, 0, FLUSH, 0, in, 1);
	write16(NOTIFY, 0);
	wait_all();
	while (!line_is_high(irq))
		pause();
	report("line = %u", line_is_high(irq));
	report("ports = 0x%x", inb(LEGACY + 0x12)); // the status
	transfers_begin();
	outl(EJECT, 1u << slot_of(function));
	report("ejected.line = %u", line_is_high(irq));
	report("ejected.id = 0x%x", config_read(0));
	config_write(4, 7);
	report("ejected.command = 0x%x", config_read(4));
	report("ejected.memory = 0x%x 0x%x", read32(COMMON), read32(MSIX));
	report("ejected.ports = 0x%x", inb(LEGACY + 0x12));
	report("ejected.others = 0x%x", (outl(0xcf8, 0x80000000), inl(0xcfc)));
	write16(NOTIFY, 0);
	outl(EJECT, 1u << slot_of(function)); // again: there is nothing
}

// Nobody writes any more, whatever back ends have still been at.
static void quiet(void)
{
	uint16_t used = device[1];

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = MARK;
	wait_us(10000);
	for (unsigned i = 0; i < sizeof(in); i++)
		if (in[i] != MARK) {
			report("quiet.memory = WRONG at %u", i);
			return;
		}
	report("quiet.memory = ok");
	report("quiet.used = %s", device[1] == used ? "ok" : "WRONG");
}

void payload_main(void)
{
	if (cmos_read(FLAG_INDEX) == FLAG) {
		cmos_write(FLAG_INDEX, 0);
		report("reset.found = %u", find());
		report("reset.down = 0x%x", inl(DOWN));
		return;
	}
	pic_init(0xff, 0xff);
	if (!find()) {
		report("found = WRONG");
		return;
	}
	registers();
	eject();
	quiet();
	cmos_write(FLAG_INDEX, FLAG);
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	spin(100000000);
	report("reset = WRONG");
}
