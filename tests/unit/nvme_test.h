// SPDX-License-Identifier: BSD-2-Clause
// What the two tests of NVMe disks share: a controller with a disk, and the driver's view of it.
#ifndef TESTS_UNIT_NVME_TEST_H
#define TESTS_UNIT_NVME_TEST_H

#include "tests/unit/nvme_model.h"

static int setup(void **state)
{
	const char model[48] = "Reprise\xff test\n disk                       ";

	(void)state;
	fake_host_reset();
	fake_host.passes = device_passes;
	fake_host.mmio_in = mmio_in;
	fake_host.mmio_out = mmio_out;
	for (unsigned i = 0; i < NAMESPACES; i++)
		free(device.namespaces[i].medium);
	memset(&device, 0, sizeof(device));
	device.cap = BIT(37) | 4 << 24 | 1023; // 2 seconds to become ready
	device.vs = 0x10400;
	device.cc = 0x00460001; // as firmware left it
	device.csts = 1;
	memcpy(device.identity + 24, model, 40);
	device.identity[77] = 5; // 128 KiB
	put(device.identity + 516, 1, 4);
	device.identity[525] = 1;
	namespace_set(0, 1, 9);
	list_set();
	function = fake_function_add(0, 4, 0, 0x00101b36, 0x0108);
	fake_bar_set(function, 0, 4, BAR_BYTES, BAR);
	fake_config_set(function, PCI_COMMAND, 2, 6); // firmware's driver was at work
	return 0;
}

// How many disks came. What pci_init would have found is not freed: disks refer to it.
static unsigned probe_nth(unsigned nth)
{
	struct pci_function *found = malloc(sizeof(*found));
	unsigned before = disk_count(), came;

	*found = (struct pci_function){.at = function->at, .class = 0x0108, .interface = 2};
	pci_init(&fake_host.info);
	assert_true(nvme_probe(found, nth));
	disk = disk_behind(before);
	came = disk_count() - before;
	if (came == 0)
		free(found);
	return came;
}

static unsigned probe(void)
{
	return probe_nth(0);
}

static void check_refused(const char *reason)
{
	assert_int_equal(probe(), 0);
	assert_int_equal(fake_host.warnings, 1);
	assert_non_null(strstr(fake_host.log, reason));
	// What is refused does not reach memory.
	assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
}

static int teardown_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NAMESPACES; i++)
		free(device.namespaces[i].medium);
	return 0;
}

#endif
