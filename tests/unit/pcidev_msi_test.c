// SPDX-License-Identifier: BSD-2-Clause
// MSI of a function, as a driver sees it: PCI 3.0, 6.8.1 and 6.8.3.
#include "emul/pcidev_msi.h"

#include "tests/unit/fake_env.h"

enum { AT = 0x50, NEXT = 0x70, VECTORS = 8, DATA = 0x4140 };

static const struct pcidev_register registers[] = {
	PCIDEV_MSI_REGISTERS(AT, NEXT, VECTORS),
};

static const struct pcidev_info info = {
	.vendor = 0x1af4, .device = 0x10f1, .class_code = 0x010802,
	.command = PCIDEV_COMMAND_MASTER, .pin = 1, .capabilities = AT,
	.registers = registers, .register_count = ARRAY_COUNT(registers),
};

struct function {
	struct pcidev pci;
};

static uint64_t function_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	(void)now;
	assert_int_equal(region, PCIDEV_REGION_CONFIG);
	return pcidev_read(pcidev_of(device), offset, size);
}

static void function_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	(void)now;
	assert_int_equal(region, PCIDEV_REGION_CONFIG);
	pcidev_write(pcidev_of(device), offset, size, value);
	pcidev_msi_update(pcidev_of(device), AT);
}

// The test's way to have it send, or withdraw, a message.
static void function_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	(void)now;
	if (level)
		pcidev_msi_send(pcidev_of(device), AT, input);
	else
		pcidev_msi_withdraw(pcidev_of(device), AT, input);
}

static void function_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)now;
	(void)kind;
	pcidev_reset(pcidev_of(device));
}

static void function_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
}

static const char *function_check(const void *instance)
{
	return pcidev_check(&((const struct function *)instance)->pci, &info);
}

static const struct state_field fields[] = {PCIDEV_STATE(struct function)};
static const struct state_table table =
	STATE_TABLE("function", 1, struct function, fields, function_check);

static const struct device_model model = {
	.name = "function", .instance_bytes = sizeof(struct function), .inputs = VECTORS,
	.outputs = 1, .state = &table, .pci = &info, .reset = function_reset,
	.read = function_read, .write = function_write, .line = function_line,
	.loaded = function_loaded,
};

static struct fake_env env;

static uint64_t in(unsigned offset, unsigned size)
{
	return fake_read(&env, PCIDEV_REGION_CONFIG, offset, size);
}

static void out(unsigned offset, unsigned size, uint64_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, size, value);
}

static void control(unsigned given, unsigned enabled)
{
	out(AT + PCIDEV_MSI_CONTROL, 2, given << PCIDEV_MSI_ENABLED_SHIFT | enabled);
}

// On, with 2^given messages to APIC 5.
static int setup(void **state)
{
	(void)state;
	fake_create(&env, &model);
	out(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MASTER);
	out(AT + PCIDEV_MSI_ADDRESS, 4, 0xfee05000);
	out(AT + PCIDEV_MSI_DATA, 2, DATA | 7);
	control(2, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void shows_its_capability(void **state)
{
	(void)state;
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(PCIDEV_STATUS, 2), PCIDEV_STATUS_CAPABILITIES);
	assert_int_equal(in(AT, 4), 0x01867005); // 8 messages, 64 bits, masks
	for (unsigned at = 4; at < PCIDEV_MSI_CAPABILITY_BYTES; at += 4)
		assert_int_equal(in(AT + at, 4), 0);
	for (unsigned at = 0; at < PCIDEV_MSI_CAPABILITY_BYTES; at += 4)
		out(AT + at, 4, 0xffffffff);
	assert_int_equal(in(AT, 4), 0x01f77005);
	assert_int_equal(in(AT + PCIDEV_MSI_ADDRESS, 4), 0xfffffffc);
	assert_int_equal(in(AT + PCIDEV_MSI_ADDRESS_HIGH, 4), 0xffffffff);
	assert_int_equal(in(AT + PCIDEV_MSI_DATA, 4), 0x0000ffff);
	assert_int_equal(in(AT + PCIDEV_MSI_MASK, 4), 0x000000ff);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0);
	fake_save_and_load(&env);
	assert_int_equal(in(AT, 4), 0x01f77005);
}

static void expect_message(unsigned index, unsigned vector)
{
	assert_int_equal(env.messages, index + 1);
	assert_int_equal(env.message[index].vector, vector);
	assert_int_equal(env.message[index].destination, 5);
	assert_int_equal(env.message[index].delivery, INTERRUPT_LOWEST_PRIORITY);
}

// 6.8.3.1
static void counts_in_the_data(void **state)
{
	struct pcidev *pci = pcidev_of(env.device);

	(void)state;
	assert_true(pcidev_msi_is_on(pci, AT));
	assert_int_equal(pcidev_msi_vectors(pci, AT), 4);
	fake_line(&env, 2, true);
	expect_message(0, 0x46);
	fake_line(&env, 0, true);
	expect_message(1, 0x44);
	control(0, 1); // one message: the data as it is
	assert_int_equal(pcidev_msi_vectors(pci, AT), 1);
	out(AT + PCIDEV_MSI_DATA, 2, DATA | 3);
	fake_line(&env, 0, true);
	expect_message(2, 0x43);
}

// 6.8.1.3: more than it wants, and reserved numbers.
static void gets_no_more_than_it_wants(void **state)
{
	(void)state;
	for (unsigned given = 3; given < 8; given++) {
		control(given, 1);
		assert_int_equal(pcidev_msi_vectors(pcidev_of(env.device), AT), VECTORS);
	}
	control(7, 1);
	fake_line(&env, 5, true);
	expect_message(0, 0x45);
}

// 6.8.3.4
static void waits_while_masked(void **state)
{
	(void)state;
	out(AT + PCIDEV_MSI_MASK, 4, 0x0a);
	fake_line(&env, 1, true);
	fake_line(&env, 3, true);
	fake_line(&env, 1, true);
	assert_int_equal(env.messages, 0);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0x0a);
	out(AT + PCIDEV_MSI_PENDING, 4, 0xff); // read-only
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0x0a);
	fake_save_and_load(&env);
	fake_line(&env, 0, true);
	expect_message(0, 0x44);
	out(AT + PCIDEV_MSI_MASK, 1, 0x08);
	expect_message(1, 0x45);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0x08);
	fake_line(&env, 3, false);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0);
	out(AT + PCIDEV_MSI_MASK, 1, 0);
	assert_int_equal(env.messages, 2);
}

static void waits_while_off(void **state)
{
	(void)state;
	out(AT + PCIDEV_MSI_MASK, 4, 0x09);
	fake_line(&env, 0, true);
	fake_line(&env, 3, true);
	control(2, 0);
	assert_false(pcidev_msi_is_on(pcidev_of(env.device), AT));
	out(AT + PCIDEV_MSI_MASK, 4, 0);
	assert_int_equal(env.messages, 0);
	control(1, 1); // message 3 is not its any more
	expect_message(0, 0x46);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0x08);
}

static void sends_to_local_apics_alone(void **state)
{
	(void)state;
	out(AT + PCIDEV_MSI_ADDRESS, 4, 0xfed05000);
	fake_line(&env, 0, true);
	out(AT + PCIDEV_MSI_ADDRESS, 4, 0xfee05000);
	out(AT + PCIDEV_MSI_ADDRESS_HIGH, 4, 1);
	fake_line(&env, 0, true);
	out(AT + PCIDEV_MSI_ADDRESS_HIGH, 4, 0);
	out(PCIDEV_COMMAND, 2, 0); // no master
	fake_line(&env, 0, true);
	assert_int_equal(env.messages, 0);
	assert_int_equal(in(AT + PCIDEV_MSI_PENDING, 4), 0);
	out(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MASTER);
	fake_line(&env, 0, true);
	assert_int_equal(env.messages, 1);
}

static void state_is_whole(void **state)
{
	struct pcidev *pci = pcidev_of(env.device);

	(void)state;
	fake_check_coverage(&model);
	pci->config[AT + PCIDEV_MSI_PENDING] = 0xff;
	assert_int_equal(state_check(&table, pci, NULL), STATUS_OK);
	pci->config[AT + PCIDEV_MSI_PENDING + 1] = 1; // there is no such vector
	assert_int_equal(state_check(&table, pci, NULL), STATUS_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(shows_its_capability),
		TEST(counts_in_the_data),
		TEST(gets_no_more_than_it_wants),
		TEST(waits_while_masked),
		TEST(waits_while_off),
		TEST(sends_to_local_apics_alone),
		TEST(state_is_whole),
	};

	return cmocka_run_group_tests_name("pcidev_msi", tests, NULL, NULL);
}
