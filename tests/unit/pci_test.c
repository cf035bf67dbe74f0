// SPDX-License-Identifier: BSD-2-Clause
// PCI Local Bus Specification 3.0: functions, base addresses (6.2.5.1), capabilities (6.7).
#include "tests/unit/fake_host.h"

#include <string.h>

enum { HEADER_MULTIFUNCTION = 0x80, BRIDGE = 1 };

static int setup(void **state)
{
	(void)state;
	fake_host_reset();
	return 0;
}

// pci_init adds to what an earlier test found: all are looked for in one.
static void test_functions(void **state)
{
	static const struct {
		uint8_t bus, slot, function;
	} expected[] = {{0, 0, 0}, {0, 1, 0}, {0, 1, 3}, {3, 0, 0}, {255, 31, 7}};
	const struct pci_function *at;
	struct fake_function *made;

	(void)state;
	(void)fake_function_add(0, 0, 0, 0x12378086, 0x0600);
	made = fake_function_add(0, 1, 0, 0x70008086, 0x0601);
	fake_config_set(made, PCI_HEADER, 1, HEADER_MULTIFUNCTION);
	made = fake_function_add(0, 1, 3, 0x71138086, 0x0680);
	fake_config_set(made, PCI_CLASS + 1, 1, 0x42);
	(void)fake_function_add(0, 2, 1, 0x11111111, 0x0200); // without a function 0: nobody
	made = fake_function_add(3, 0, 0, 0x22222222, 0x0604);
	fake_config_set(made, PCI_HEADER, 1, BRIDGE);
	(void)fake_function_add(3, 0, 1, 0x33333333, 0x0200); // of a device with one function
	made = fake_function_add(255, 31, 0, 0xffffffff, 0);
	fake_config_set(made, PCI_ID, 4, 0x44444444);
	fake_config_set(made, PCI_HEADER, 1, HEADER_MULTIFUNCTION);
	(void)fake_function_add(255, 31, 7, 0x55555555, 0x0100);
	pci_init(&fake_host.info);
	at = pci_first();
	for (unsigned i = 0; i < ARRAY_COUNT(expected); i++, at = at->next) {
		if (i == 4)
			at = at->next; // 255:31.0
		assert_non_null(at);
		assert_int_equal(at->at.bus, expected[i].bus);
		assert_int_equal(at->at.slot, expected[i].slot);
		assert_int_equal(at->at.function, expected[i].function);
	}
	assert_null(at);
	at = fake_pci(2);
	assert_int_equal(at->vendor, 0x8086);
	assert_int_equal(at->device, 0x7113);
	assert_int_equal(at->class, 0x0680);
	assert_int_equal(at->interface, 0x42);
	assert_int_equal(fake_pci(1)->header, 0);
	assert_int_equal(fake_pci(3)->header, BRIDGE);
}

// One function, as pci_init would have described it.
static struct pci_function function;

static struct fake_function *one_function(void)
{
	struct fake_function *made = fake_function_add(0, 5, 0, 0x10421af4, 0x0100);

	function = (struct pci_function){.at = made->at, .vendor = 0x1af4, .device = 0x1042};
	return made;
}

static void check_bar(unsigned index, enum pci_bar_kind kind, uint64_t start, uint64_t bytes)
{
	assert_int_equal(pci_bar_get(&function, index).kind, kind);
	assert_int_equal(pci_bar_get(&function, index).start, start);
	assert_int_equal(pci_bar_bytes(&function, index), bytes);
}

static void test_bars(void **state)
{
	struct fake_function *made = one_function();
	uint32_t before[FAKE_CONFIG_WORDS];

	(void)state;
	fake_config_set(made, PCI_COMMAND, 4, 0xffff0007); // status bits clear by writing ones
	fake_bar_set(made, 0, 1, 64, 0xc040);
	made->writable[PCI_BAR_0 / 4] &= 0xffff; // the upper half need not be there
	fake_bar_set(made, 1, 0, 4096, 0xfebf1000);
	fake_bar_set(made, 2, 0xc, 16 * KIB, 0x8000004000);
	fake_bar_set(made, 4, 0xc, 8 * GIB, 0x4000000000);
	memcpy(before, made->config, sizeof(before));
	check_bar(0, PCI_BAR_PORTS, 0xc040, 64);
	check_bar(1, PCI_BAR_MEMORY, 0xfebf1000, 4096);
	check_bar(2, PCI_BAR_MEMORY, 0x8000004000, 16 * KIB);
	check_bar(4, PCI_BAR_MEMORY, 0x4000000000, 8 * GIB);
	assert_true(pci_bar_get(&function, 2).is_64bit);
	assert_true(pci_bar_get(&function, 2).is_prefetchable);
	assert_false(pci_bar_get(&function, 1).is_64bit);
	assert_false(pci_bar_get(&function, 1).is_prefetchable);
	// Nothing has changed, and it answered to no half-written address.
	assert_memory_equal(before, made->config, sizeof(before));
	assert_int_equal(made->decoded_writes, 0);
	check_bar(6, PCI_BAR_NONE, 0, 0);
	// A 64-bit register in the last place has no upper half.
	fake_bar_set(made, 5, 4, 4096, 0xfe000000);
	assert_false(pci_bar_get(&function, 5).is_64bit);
	// A register that cannot be written: the lowest bit that is set says how it is aligned.
	made->writable[PCI_BAR_0 / 4 + 1] = 0;
	check_bar(1, PCI_BAR_MEMORY, 0xfebf1000, 4096);
	fake_config_set(made, PCI_BAR_0 + 4, 4, 0);
	check_bar(1, PCI_BAR_NONE, 0, 0);
	function.header = BRIDGE;
	check_bar(2, PCI_BAR_NONE, 0, 0);
	function.header = 2; // CardBus: not looked at
	check_bar(0, PCI_BAR_NONE, 0, 0);
}

static bool maps(struct fake_function *made, uint64_t size, uint64_t address, uint64_t offset,
	uint64_t bytes)
{
	volatile void *place;

	fake_bar_set(made, 4, 4, size, address);
	place = pci_bar_map(&function, 4, offset, bytes);
	if (place != NULL)
		assert_int_equal((uintptr_t)place, address + offset);
	return place != NULL;
}

static void test_map(void **state)
{
	struct fake_function *made = one_function();

	(void)state;
	pci_init(&fake_host.info);
	assert_true(maps(made, 16 * KIB, 0xfe000000, 0, 16 * KIB));
	assert_true(maps(made, 16 * KIB, 0xfe000000, 0x3ffc, 4));
	assert_false(maps(made, 16 * KIB, 0xfe000000, 0x3ffd, 4));
	assert_false(maps(made, 16 * KIB, 0xfe000000, UINT64_MAX, 4));
	assert_false(maps(made, 16 * KIB, 0xfe000000, 4, UINT64_MAX));
	assert_false(maps(made, 16 * KIB, 0, 0, 4)); // not assigned
	assert_false(maps(made, 16 * KIB, 128 * MIB, 0, 4)); // in RAM
	assert_true(maps(made, 256 * MIB, 256 * MIB, 0, 4)); // right behind it
	assert_false(maps(made, GIB, 4 * GIB, 0, 4)); // the image, where `maps` looks
	assert_true(maps(made, MIB, 0xf0000000, 0, 4)); // a window for devices
	assert_true(maps(made, MIB, 0xf0100000, 0, 4)); // the same, by other firmware
	assert_true(maps(made, GIB, 1023 * GIB, 0, 4));
	assert_false(maps(made, GIB, 1024 * GIB, 0, 4)); // behind 40 bits
	fake_host.address_bits = 52;
	assert_true(maps(made, GIB, BIT(47) - GIB, 0, 4));
	assert_false(maps(made, GIB, BIT(47), 0, 4)); // behind what page tables map
	fake_bar_set(made, 0, 1, 64, 0xc000);
	assert_null(pci_bar_map(&function, 0, 0, 4)); // ports
	assert_null(pci_bar_map(&function, 7, 0, 4));
}

static void capability(struct fake_function *made, unsigned at, unsigned id, unsigned next)
{
	fake_config_set(made, at, 1, id);
	fake_config_set(made, at + 1, 1, next);
}

static void test_capabilities(void **state)
{
	struct fake_function *made = one_function();

	(void)state;
	fake_config_set(made, PCI_CAPABILITIES, 1, 0x42); // the lowest bits are reserved
	capability(made, 0x40, 9, 0x60);
	capability(made, 0x60, 5, 0x53);
	capability(made, 0x50, 9, 0);
	assert_int_equal(pci_capability(&function, 9, 0), 0); // no bit in the status register
	fake_config_set(made, PCI_STATUS, 2, 0x10);
	assert_int_equal(pci_capability(&function, 9, 0), 0x40);
	assert_int_equal(pci_capability(&function, 9, 1), 0x50);
	assert_int_equal(pci_capability(&function, 9, 2), 0);
	assert_int_equal(pci_capability(&function, 5, 0), 0x60);
	assert_int_equal(pci_capability(&function, 7, 0), 0);
	// A list that leads back, and one that leads into the header.
	capability(made, 0x50, 9, 0x40);
	assert_int_equal(pci_capability(&function, 7, 0), 0);
	assert_int_equal(pci_capability(&function, 9, 1000), 0);
	capability(made, 0x40, 9, 0x10);
	assert_int_equal(pci_capability(&function, 9, 1), 0);
	capability(made, 0xfc, 9, 0);
	fake_config_set(made, PCI_CAPABILITIES, 1, 0xfc);
	assert_int_equal(pci_capability(&function, 9, 0), 0xfc);
}

static void test_command(void **state)
{
	struct fake_function *made = one_function();

	(void)state;
	fake_config_set(made, PCI_COMMAND, 4, 0x00100100);
	pci_enable(&function, PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	assert_int_equal(fake_config_get(made, PCI_COMMAND, 4), 0x00100504);
	pci_disable(&function, PCI_COMMAND_MASTER);
	assert_int_equal(fake_config_get(made, PCI_COMMAND, 4), 0x00100500);
	assert_int_equal(pci_read8(made->at, PCI_COMMAND + 1), 5);
	assert_int_equal(pci_read16(made->at, PCI_STATUS), 0x10);
	assert_int_equal(pci_read32(made->at, PCI_ID), 0x10421af4);
	made->writable[PCI_STATUS / 4] = UINT32_MAX;
	pci_write32(made->at, PCI_COMMAND, 0x12345678);
	assert_int_equal(fake_config_get(made, PCI_COMMAND, 4), 0x12345678);
	assert_int_equal(pci_read8((struct pci_address){9, 9, 1}, PCI_ID), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_functions, setup),
		cmocka_unit_test_setup(test_bars, setup),
		cmocka_unit_test_setup(test_map, setup),
		cmocka_unit_test_setup(test_capabilities, setup),
		cmocka_unit_test_setup(test_command, setup),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
