// SPDX-License-Identifier: BSD-2-Clause
// What the machine's devices hold: every port, the registers behind index ports, and those in
// memory. None of them is the host's.
#include "lib/det.h"
#include "lib/dev.h"

PAYLOAD("det_devices");

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PCI_FUNCTIONS = 256, IOAPIC_REGISTERS = 0x40,
	CMOS_BYTES = 128 };

static void pci_report(void)
{
	for (uint32_t function = 0; function < PCI_FUNCTIONS; function++)
		for (uint32_t offset = 0; offset < 256; offset += 4) {
			uint32_t value;

			outl(PCI_ADDRESS, 0x80000000 | function << 8 | offset);
			value = inl(PCI_DATA);
			if (value == 0xffffffff && offset == 0)
				break;
			if (value != 0)
				report("pci %x.%x = 0x%x", function, offset, value);
		}
}

static void ports_report(void)
{
	uint64_t hash = DET_HASH_START;

	for (uint32_t port = 0; port < 0x10000; port++) {
		uint8_t value = inb((uint16_t)port);

		hash = det_hash(hash, value);
		if (value != 0xff)
			report("port %x = 0x%x at %lu", port, value, rdtsc());
	}
	report("ports = 0x%lx", hash);
}

static void registers_report(void)
{
	for (unsigned i = 0; i < CMOS_BYTES; i++)
		if (cmos_read(i) != 0)
			report("cmos %x = 0x%x", i, cmos_read(i));
	for (unsigned i = 0; i < IOAPIC_REGISTERS; i++)
		report("ioapic %x = 0x%x", i, ioapic_read(i));
	for (unsigned offset = 0x20; offset < 0x400; offset += 0x10)
		report("lapic %x = 0x%x", offset, lapic_read(offset));
}

void payload_main(void)
{
	pci_report();
	registers_report();
	ports_report();
	registers_report();
	report("tsc = %lu", rdtsc());
}
