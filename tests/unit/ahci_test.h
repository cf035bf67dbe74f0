// SPDX-License-Identifier: BSD-2-Clause
// What the two tests of AHCI disks share: a controller with a disk, and the driver's view of it.
#ifndef TESTS_UNIT_AHCI_TEST_H
#define TESTS_UNIT_AHCI_TEST_H

#include "tests/unit/ahci_model.h"

static int setup(void **state)
{
	(void)state;
	fake_host_reset();
	fake_host.passes = hba_passes;
	fake_host.mmio_in = mmio_in;
	fake_host.mmio_out = mmio_out;
	memset(&hba, 0, sizeof(hba));
	hba.cap = 0xc0000000 | (PORTS - 1);
	hba.pi = 0xb; // not the third
	hba.spin_up = 3000000;
	for (unsigned i = 0; i < PORTS; i++) {
		struct port *port = &hba.ports[i];

		port->sector_bytes = 512;
		port->bad_sector = UINT64_MAX;
		port->cmd = 0xc017; // as firmware left it
		for (unsigned n = 0; n < sizeof(port->medium); n++)
			port->medium[n] = (uint8_t)(n / 512 * 7 + n + i);
		identity_set(port, MEDIUM_SECTORS);
	}
	hba.ports[0].kind = DISK;
	function = fake_function_add(0, 5, 0, 0x29228086, 0x0106);
	fake_bar_set(function, 5, 0, BAR_BYTES, BAR);
	fake_config_set(function, PCI_COMMAND, 2, 6); // firmware's driver was at work
	return 0;
}

// How many disks came. What pci_init would have found is not freed: disks refer to it.
static unsigned probe_first(unsigned first, unsigned *names)
{
	struct pci_function *found = malloc(sizeof(*found));
	unsigned before = disk_count(), came;

	*found = (struct pci_function){.at = function->at, .class = 0x0106, .interface = 1};
	pci_init(&fake_host.info);
	*names = ahci_probe(found, first);
	disk = disk_behind(before);
	came = disk_count() - before;
	if (came == 0) {
		// What is refused does not reach memory.
		assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
		free(found);
	}
	return came;
}

static unsigned probe(void)
{
	unsigned names;

	return probe_first(0, &names);
}

static void check_refused(const char *reason)
{
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 1);
	assert_non_null(strstr(fake_host.log, reason));
}

#endif
