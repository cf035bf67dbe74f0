// SPDX-License-Identifier: BSD-2-Clause
#include "boot/quiesce.h"

#include "kernel/pci.h"

static void quiesce_stop(struct pci_address at)
{
	uint16_t command;

	// A bridge masters the bus for those behind it, and for the processor.
	if (pci_read8(at, PCI_CLASS + 3) == PCI_CLASS_BASE_BRIDGE)
		return;
	command = pci_read16(at, PCI_COMMAND);
	if ((command & PCI_COMMAND_MASTER) != 0)
		pci_write16(at, PCI_COMMAND, (uint16_t)(command & ~PCI_COMMAND_MASTER));
}

void quiesce_pci(void)
{
	pci_visit(quiesce_stop);
}
