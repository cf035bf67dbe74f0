// SPDX-License-Identifier: BSD-2-Clause
// The hot-plug controller: what an operator asks for and what a guest does, in every order.
#include "emul/pci_hotplug.h"

#include "tests/unit/fake_env.h"

#include <string.h>

enum { FIRST = 3, SECOND = 4, FIXED = 5, LAST = 31 };
#define REMOVABLE (BIT(FIRST) | BIT(SECOND) | BIT(LAST))

static struct fake_env env;

static void configure(struct device *device)
{
	pci_hotplug_configure(device, (uint32_t)REMOVABLE, (uint32_t)(BIT(FIRST) | BIT(FIXED)));
}

static int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	fake_create(&env, &pci_hotplug_model);
	fake_clear(&env);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static uint32_t in(unsigned offset)
{
	return (uint32_t)fake_read(&env, PCI_HOTPLUG_REGION_REGISTERS, offset, 4);
}

static void out(unsigned offset, uint64_t value)
{
	fake_write(&env, PCI_HOTPLUG_REGION_REGISTERS, offset, 4, value);
}

static bool accepts(enum device_setting setting, uint64_t slot)
{
	return env.device->model->accepts(env.device, setting, slot);
}

static bool is_on(unsigned slot)
{
	return env.line[PCI_HOTPLUG_OUTPUT_SLOT + slot - 1];
}

// Events since the last time.
static unsigned events(void)
{
	unsigned count = env.line_rises[PCI_HOTPLUG_OUTPUT_EVENT];

	assert_false(env.line[PCI_HOTPLUG_OUTPUT_EVENT]);
	fake_clear(&env);
	return count;
}

static void begins_as_configured(void **state)
{
	(void)state;
	for (unsigned slot = 1; slot < PCI_HOTPLUG_SLOTS; slot++)
		assert_int_equal(is_on(slot), slot == FIRST);
	assert_int_equal(in(PCI_HOTPLUG_UP), 0);
	assert_int_equal(in(PCI_HOTPLUG_DOWN), 0);
	assert_int_equal(in(PCI_HOTPLUG_EJECT), 0);
	assert_int_equal(in(PCI_HOTPLUG_RMV), REMOVABLE);
	assert_int_equal(in(PCI_HOTPLUG_SELECT), 0);
	assert_int_equal(fake_read(&env, 0, PCI_HOTPLUG_RMV, 2), 0xffff);
	assert_int_equal(fake_read(&env, 0, PCI_HOTPLUG_RMV + 2, 4), 0xffffffff);
	assert_true(accepts(DEVICE_SETTING_PLUG, SECOND) && accepts(DEVICE_SETTING_PLUG, LAST));
	assert_false(accepts(DEVICE_SETTING_PLUG, FIRST));
	assert_true(accepts(DEVICE_SETTING_UNPLUG, FIRST));
	assert_false(accepts(DEVICE_SETTING_UNPLUG, SECOND));
	assert_false(accepts(DEVICE_SETTING_PLUG, FIXED) || accepts(DEVICE_SETTING_UNPLUG, FIXED));
	assert_false(accepts(DEVICE_SETTING_PLUG, 32 + SECOND));
	assert_false(accepts(DEVICE_SETTING_MEDIUM_BYTES, SECOND));
	assert_int_equal(events(), 0);
}

static void is_plugged(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_PLUG, SECOND);
	fake_set(&env, DEVICE_SETTING_PLUG, LAST);
	assert_int_equal(events(), 2);
	assert_true(is_on(SECOND) && is_on(LAST));
	fake_save_and_load(&env);
	assert_int_equal(in(PCI_HOTPLUG_UP), BIT(SECOND) | BIT(LAST));
	assert_int_equal(in(PCI_HOTPLUG_UP), 0); // told once
	fake_set(&env, DEVICE_SETTING_PLUG, SECOND); // it is there by now
	assert_int_equal(events(), 0);
	assert_int_equal(in(PCI_HOTPLUG_UP), 0);
}

static void is_given_up(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_UNPLUG, FIRST);
	assert_int_equal(events(), 1);
	assert_true(is_on(FIRST)); // until the guest does
	fake_save_and_load(&env);
	assert_int_equal(in(PCI_HOTPLUG_DOWN), BIT(FIRST));
	assert_int_equal(in(PCI_HOTPLUG_DOWN), BIT(FIRST));
	fake_set(&env, DEVICE_SETTING_UNPLUG, FIRST); // asked again
	assert_int_equal(events(), 1);
	fake_write(&env, 0, PCI_HOTPLUG_EJECT, 2, BIT(FIRST));
	out(PCI_HOTPLUG_EJECT, BIT(SECOND) | BIT(FIXED));
	assert_true(is_on(FIRST));
	out(PCI_HOTPLUG_EJECT, BIT(FIRST));
	assert_false(is_on(FIRST));
	assert_int_equal(in(PCI_HOTPLUG_DOWN), 0);
	assert_int_equal(events(), 0);
	fake_save_and_load(&env);
	fake_set(&env, DEVICE_SETTING_UNPLUG, FIRST); // it has gone by now
	assert_int_equal(events(), 0);
	assert_int_equal(in(PCI_HOTPLUG_DOWN), 0);
	assert_true(accepts(DEVICE_SETTING_PLUG, FIRST));
}

// Of its own accord, before it has heard of the device, or several at once.
static void is_ejected_unasked(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_PLUG, SECOND);
	out(PCI_HOTPLUG_EJECT, 0xffffffff);
	assert_false(is_on(FIRST) || is_on(SECOND));
	assert_int_equal(in(PCI_HOTPLUG_UP), 0);
}

static void other_buses_have_no_slots(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_PLUG, SECOND);
	fake_set(&env, DEVICE_SETTING_UNPLUG, FIRST);
	out(PCI_HOTPLUG_SELECT, 0x12345678);
	fake_save_and_load(&env);
	assert_int_equal(in(PCI_HOTPLUG_SELECT), 0x12345678);
	for (unsigned offset = 0; offset < PCI_HOTPLUG_SELECT; offset += 4)
		assert_int_equal(in(offset), 0);
	out(PCI_HOTPLUG_EJECT, 0xffffffff);
	assert_true(is_on(FIRST) && is_on(SECOND));
	out(PCI_HOTPLUG_SELECT, 0);
	assert_int_equal(in(PCI_HOTPLUG_UP), BIT(SECOND));
}

// What was asked for is done; what is there stays, also if it was not at power-on.
static void a_reset_ejects(void **state)
{
	(void)state;
	fake_set(&env, DEVICE_SETTING_PLUG, SECOND);
	fake_set(&env, DEVICE_SETTING_UNPLUG, FIRST);
	out(PCI_HOTPLUG_SELECT, 7);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_false(is_on(FIRST));
	assert_true(is_on(SECOND));
	assert_int_equal(in(PCI_HOTPLUG_SELECT), 0);
	assert_int_equal(in(PCI_HOTPLUG_UP), 0);
	assert_int_equal(in(PCI_HOTPLUG_DOWN), 0);
	fake_reset(&env, DEVICE_RESET_POWER);
	assert_true(is_on(FIRST));
	assert_false(is_on(SECOND));
}

static void refuse(const char *name, uint32_t value)
{
	const struct state_table *table = pci_hotplug_model.state;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		uint64_t kept;

		if (field->kind != STATE_FIELD_SAVED || strcmp(field->name, name) != 0)
			continue;
		kept = state_field_get(field, env.device, 0);
		state_field_set(field, env.device, 0, value);
		assert_int_equal(state_check(table, env.device, NULL), STATUS_INVALID);
		state_field_set(field, env.device, 0, kept);
		assert_int_equal(state_check(table, env.device, NULL), STATUS_OK);
		return;
	}
	fail();
}

static void state_is_whole(void **state)
{
	(void)state;
	fake_check_coverage(&pci_hotplug_model);
	fake_check_ranges(&env);
	refuse("present", (uint32_t)BIT(FIXED));
	refuse("up", (uint32_t)BIT(SECOND));
	refuse("down", (uint32_t)BIT(SECOND));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(begins_as_configured),
		TEST(is_plugged),
		TEST(is_given_up),
		TEST(is_ejected_unasked),
		TEST(other_buses_have_no_slots),
		TEST(a_reset_ejects),
		TEST(state_is_whole),
	};

	return cmocka_run_group_tests_name("pci_hotplug", tests, NULL, NULL);
}
