// SPDX-License-Identifier: BSD-2-Clause
// The registers of a virtio device, as drivers find and use them: emul/virtio_pci.c, with MSI-X.
// VIRTIO 1.2, 4.1.
#include "tests/unit/virtio_bench.h"

// 4.1.2, 4.1.4: where a driver finds what.
static void shows_its_capabilities(void **state)
{
	static const uint8_t kinds[] = {VIRTIO_PCI_COMMON, VIRTIO_PCI_ISR, VIRTIO_PCI_DEVICE,
		VIRTIO_PCI_NOTIFY, VIRTIO_PCI_NOTIFY, VIRTIO_PCI_ACCESS};
	unsigned at = (unsigned)fake_read(&env, PCIDEV_REGION_CONFIG, PCIDEV_CAPABILITIES, 1);

	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x10011af4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x2c, 4), 0x00021af4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at, 1), PCIDEV_MSIX_CAPABILITY);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 2, 2), VIRTIO_VECTORS - 1);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 8, 4), 2048 | VIRTIO_BAR_MSIX);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		at = (unsigned)fake_read(&env, PCIDEV_REGION_CONFIG, at + 1, 1);
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at, 1), 9);
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 3, 1), kinds[i]);
		if (i != 3)
			continue;
		// 4.1.4.4: a port for all queues, before the modern registers.
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 4, 1),
			VIRTIO_BAR_LEGACY);
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 8, 4),
			VIRTIO_LEGACY_NOTIFY);
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 12, 4), 2);
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 16, 4), 0);
	}
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 1, 1), 0);
}

static void a_modern_driver_notifies_by_the_port(void **state)
{
	static const struct part parts[] = {{HEADER, 16, NEXT}, {DATA, 20, WRITE | NEXT},
		{STATUS, 1, WRITE}};

	(void)state;
	begin(MODERN);
	header(VIRTIO_BLK_T_GET_ID, 0);
	chain(0, parts, ARRAY_COUNT(parts));
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_NOTIFY, 2, 1); // another queue
	assert_int_equal(used_count(), 0);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_NOTIFY, 2, 0);
	assert_int_equal(used_count(), 1);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(status_get(), OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
}

// PCI 3.0, 6.8.2, 6.8.3.
static void messages_instead_of_the_pin(void **state)
{
	(void)state;
	begin(MODERN);
	fake_write(&env, VIRTIO_BAR_MSIX, 16, 8, 0xfee03000);
	fake_write(&env, VIRTIO_BAR_MSIX, 24, 4, 0x41);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_MSIX, 28, 4), 1);
	msix_on(false);
	common_set(VIRTIO_COMMON_QUEUE_VECTOR, 2, 99);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
	common_set(VIRTIO_COMMON_QUEUE_VECTOR, 2, 1);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(env.messages, 0); // masked: pending
	assert_int_equal(fake_read(&env, VIRTIO_BAR_MSIX, VIRTIO_MSIX_PENDING_AT, 8), 2);
	fake_save_and_load(&env);
	fake_write(&env, VIRTIO_BAR_MSIX, 28, 4, 0);
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].vector, 0x41);
	assert_int_equal(env.message[0].destination, 3);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_MSIX, VIRTIO_MSIX_PENDING_AT, 8), 0);
	msix_on(true);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(env.messages, 1);
	msix_on(false);
	assert_int_equal(env.messages, 2);
	assert_false(env.line[0]);
	assert_int_equal(common_get(VIRTIO_ISR_AT, 1), 0);
}

// 4.1.4.10
static void legacy_drivers_are_served(void **state)
{
	(void)state;
	memset(env.ram, 0, sizeof(env.ram));
	bus_master(true);
	packed = false;
	next = 0;
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 3);
	assert_true(fake_read(&env, VIRTIO_BAR_LEGACY, 0, 4) & BIT(VIRTIO_F_ANY_LAYOUT));
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4, 0xffffffff);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4),
		fake_read(&env, VIRTIO_BAR_LEGACY, 0, 4));
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_SIZE, 2),
		VIRTIO_QUEUE_SIZE_MAX);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4, 1);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4), 1);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 7);
	fake_save_and_load(&env);
	header(VIRTIO_BLK_T_GET_ID, 0);
	for (unsigned i = 0; i < 3; i++)
		split_descriptor(0x1000, i, &((const struct part[]){{HEADER, 16, NEXT},
			{DATA, 20, WRITE | NEXT}, {STATUS, 1, WRITE}}[i]), (uint16_t)(i + 1));
	put16(0x1000 + 16 * VIRTIO_QUEUE_SIZE_MAX + 4, 0);
	put16(0x1000 + 16 * VIRTIO_QUEUE_SIZE_MAX + 2, 1);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_NOTIFY, 2, 0);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(get16(0x2000 + 2), 1); // a page of its own
	assert_true(env.line[0]);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_ISR, 1), 1);
	assert_false(env.line[0]);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DEVICE, 4), SECTORS);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 0);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4), 0);
}

// 4.1.4.9: firmware reaches the registers so.
static void configuration_space_is_a_window(void **state)
{
	const unsigned at = VIRTIO_CAPABILITY_ACCESS;

	(void)state;
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 4, 1, VIRTIO_BAR_MODERN);
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 8, 4, VIRTIO_COMMON_STATUS);
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 12, 4, 1);
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 16, 1, 3);
	assert_int_equal(status_get(), 3);
	status_set(0);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, at + 16, 1), 0);
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 12, 4, 3); // no access has three bytes
	fake_write(&env, PCIDEV_REGION_CONFIG, at + 16, 4, 7);
	assert_int_equal(status_get(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(shows_its_capabilities),
		TEST(a_modern_driver_notifies_by_the_port),
		TEST(messages_instead_of_the_pin),
		TEST(legacy_drivers_are_served),
		TEST(configuration_space_is_a_window),
	};

	return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}
