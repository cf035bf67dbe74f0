// SPDX-License-Identifier: BSD-2-Clause
// Reads of 4 KiB from an AHCI disk by queued commands, for tests/bench.py: `depth` of them at once
// (1: one, 2: 32), answered by one message; `rounds` hundreds of that. With the accesses that
// Linux's driver makes for each, or, with `batch` 1, one for all.
#include "lib/ahci.h"

PAYLOAD("ahci_bench");

enum { BYTES = 4096, COUNT = BYTES / ATA_SECTOR_BYTES, VECTOR = 0x62, ROUNDS = 100, MSI = 0xb0 };

static struct ahci_area area;
static uint8_t data[AHCI_SLOTS][BYTES] __attribute__((aligned(4096)));
static volatile uint32_t active; // commands that have not been seen to end
static uint32_t status;
static bool batches;

static void hook(struct trap_frame *frame)
{
	uint32_t pending = ahci_get(AHCI_IS);

	(void)frame;
	ahci_out(0, AHCI_PXIS, ahci_in(0, AHCI_PXIS));
	active = ahci_in(0, AHCI_SACT);
	if (!batches)
		active |= ahci_in(0, AHCI_CI);
	ahci_set(AHCI_IS, pending);
	lapic_write(LAPIC_EOI, 0);
}

static unsigned option(const char *name, unsigned otherwise)
{
	const char *at = (const char *)read64((uintptr_t)payload_start_info + 24); // cmdline

	for (; at != NULL && *at != 0; at++) {
		size_t i = 0;

		while (name[i] != 0 && at[i] == name[i])
			i++;
		if (name[i] == 0 && at[i] == '=')
			return (unsigned)(at[i + 1] - '0');
	}
	return otherwise;
}

// As under a lock that keeps interrupts away.
static void read_all(uint32_t slots)
{
	__asm__ volatile("cli");
	active = slots;
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		if ((slots & BIT(i)) != 0) {
			ahci_prepare(&area, i, ATA_READ_FPDMA_QUEUED, i * COUNT, COUNT, data[i]);
			if (batches)
				continue;
			ahci_out(0, AHCI_SACT, (uint32_t)BIT(i));
			ahci_out(0, AHCI_CI, (uint32_t)BIT(i));
		}
	if (batches) {
		ahci_out(0, AHCI_SACT, slots);
		ahci_out(0, AHCI_CI, slots);
	}
	__asm__ volatile("sti");
	while (active != 0)
		pause();
}

void payload_main(void)
{
	uint32_t slots = option("depth", 1) == 1 ? 1 : UINT32_MAX;
	unsigned rounds = ROUNDS * option("rounds", 1), device = ahci_find();

	batches = option("batch", 0) != 0;
	pic_init(0xff, 0xff);
	lapic_prepare();
	if (lapic_has_x2apic())
		lapic_enable_x2apic();
	trap_set_hook(VECTOR, hook);
	ahci_port_start(0, &area);
	ahci_out(0, AHCI_IE, AHCI_INTERRUPT_BITS | AHCI_INTERRUPT_TASK | AHCI_INTERRUPT_BUS);
	ahci_config_write(device, MSI + 4, 0xfee00000u);
	ahci_config_write(device, MSI + 12, VECTOR);
	ahci_config_write(device, MSI, 1 << 16);
	ahci_set(AHCI_GHC, AHCI_GHC_INTERRUPTS);
	for (unsigned i = 0; i < rounds; i++)
		read_all(slots);
	__asm__ volatile("cli");
	status = ahci_in(0, AHCI_TFD);
	report("status = 0x%x", status);
}
