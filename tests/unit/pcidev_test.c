// SPDX-License-Identifier: BSD-2-Clause
// A PCI function with every kind of base address register, as an OS finds it: PCI 3.0, chapter 6.
#include "tests/unit/fake_env.h"

#include "emul/pcidev.h"

enum { PORTS = 0, MEMORY = 1, MEMORY64 = 2, PREFETCHABLE = 4 };

static const struct pcidev_register registers[] = {
	{.offset = 0x40, .bytes = 4, .reset = 0x12345678, .writable = 0x0000ffff,
		.clears = 0x00ff0000},
	{.offset = 0x4a, .bytes = 1, .writable = 0xff},
};

static const struct pcidev_info info = {
	.vendor = 0x1af4,
	.device = 0x10f0,
	.subsystem_vendor = 0x8086,
	.subsystem = 0x4321,
	.class_code = 0x010802,
	.command = PCIDEV_COMMAND_MASTER | PCIDEV_COMMAND_SERR,
	.status = 0x0080,
	.revision = 7,
	.pin = 1,
	.capabilities = 0x40,
	.rom_bytes = 64 * KIB,
	.bars = {
		[PORTS] = {.kind = PCIDEV_BAR_PORTS, .bytes = 64},
		[MEMORY] = {.kind = PCIDEV_BAR_MEMORY, .bytes = 4096},
		[MEMORY64] = {.kind = PCIDEV_BAR_MEMORY64, .bytes = 1 << 20, .prefetchable = true},
		[PREFETCHABLE] = {.kind = PCIDEV_BAR_MEMORY, .bytes = 16, .prefetchable = true},
	},
	.registers = registers,
	.register_count = ARRAY_COUNT(registers),
};

struct function {
	struct pcidev pci;
	uint32_t requested;
	uint32_t reserved;
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
}

// The test's way to have it request its interrupt.
static void function_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct function *function = CONTAINER_OF(device, struct function, pci.device);

	(void)now;
	(void)input;
	function->requested = level;
	pcidev_intx(&function->pci, level);
}

static void function_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct function *function = CONTAINER_OF(device, struct function, pci.device);

	(void)now;
	(void)kind;
	function->requested = 0;
	pcidev_reset(&function->pci);
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

static const struct state_field fields[] = {
	PCIDEV_STATE(struct function),
	STATE_BOOL(struct function, requested),
	STATE_PAD(struct function, reserved),
};
static const struct state_table table =
	STATE_TABLE("function", 1, struct function, fields, function_check);

static const struct device_model model = {
	.name = "function", .instance_bytes = sizeof(struct function), .inputs = 1, .outputs = 1,
	.state = &table, .pci = &info, .reset = function_reset, .read = function_read,
	.write = function_write, .line = function_line, .loaded = function_loaded,
};

static uint64_t in(struct fake_env *env, unsigned offset, unsigned size)
{
	return fake_read(env, PCIDEV_REGION_CONFIG, offset, size);
}

static void out(struct fake_env *env, unsigned offset, unsigned size, uint64_t value)
{
	fake_write(env, PCIDEV_REGION_CONFIG, offset, size, value);
}

// 6.1, 6.2.1, 6.2.4.
static void shows_its_header(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &model);
	assert_int_equal(in(&env, 0x00, 4), 0x10f01af4);
	assert_int_equal(in(&env, 0x04, 4), 0x00900000);
	assert_int_equal(in(&env, 0x08, 4), 0x01080207);
	assert_int_equal(in(&env, 0x2c, 4), 0x43218086);
	assert_int_equal(in(&env, 0x34, 1), 0x40);
	assert_int_equal(in(&env, 0x3c, 4), 0x00000100);
	assert_int_equal(in(&env, 0x40, 4), 0x12345678);
	for (unsigned offset = 0; offset < 256; offset += 4)
		if (offset < 0x10 || offset > 0x27)
			out(&env, offset, 4, 0xffffffff);
	assert_int_equal(in(&env, 0x00, 4), 0x10f01af4);
	assert_int_equal(in(&env, 0x04, 4), 0x00900507); // ports, memory, master, SERR, INTx off
	assert_int_equal(in(&env, 0x08, 4), 0x01080207);
	assert_int_equal(in(&env, 0x0c, 4), 0x0000f8ff);
	assert_int_equal(in(&env, 0x2c, 4), 0x43218086);
	assert_int_equal(in(&env, 0x34, 4), 0x40);
	assert_int_equal(in(&env, 0x3c, 4), 0x000001ff);
	assert_int_equal(in(&env, 0x40, 4), 0x1200ffff); // kept, cleared by ones, written
	assert_int_equal(in(&env, 0x44, 4), 0);
	assert_int_equal(in(&env, 0x48, 4), 0x00ff0000);
	assert_int_equal(in(&env, 0x4a, 2), 0x00ff);
	fake_save_and_load(&env);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(&env, 0x04, 4), 0x00900000);
	assert_int_equal(in(&env, 0x40, 4), 0x12345678);
	fake_destroy(&env);
}

// `fixed`: the bits that tell the kind.
static void check_size(struct fake_env *env, unsigned offset, uint32_t answer, uint32_t fixed)
{
	out(env, offset, 4, 0xffffffff);
	assert_int_equal(in(env, offset, 4), answer);
	for (unsigned i = 0; i < 4; i++) // byte by byte it is the same
		out(env, offset + i, 1, 0);
	assert_int_equal(in(env, offset, 4), fixed);
	for (unsigned i = 0; i < 4; i++)
		out(env, offset + i, 1, 0xff);
	assert_int_equal(in(env, offset, 4), answer);
}

// 6.2.5.1, 6.2.5.2. What software writes to find the sizes places nothing.
static void tells_the_sizes_of_its_regions(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &model);
	out(&env, PCIDEV_COMMAND, 2, 7);
	fake_clear(&env);
	check_size(&env, 0x10, 0xffffffc1, 1);
	check_size(&env, 0x14, 0xfffff000, 0);
	check_size(&env, 0x18, 0xfff0000c, 0xc);
	check_size(&env, 0x1c, 0xffffffff, 0);
	check_size(&env, 0x20, 0xfffffff8, 8);
	check_size(&env, 0x24, 0, 0);
	check_size(&env, 0x30, 0xffff0001, 0);
	fake_destroy(&env);
}

static void expect_region(const struct fake_env *env, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	assert_int_equal(env->region[region].bytes, bytes);
	if (bytes != 0) {
		assert_int_equal(env->region[region].space, space);
		assert_true(env->region[region].base == base);
	}
}

static void places_its_regions(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &model);
	out(&env, 0x10, 4, 0xc040);
	out(&env, 0x14, 4, 0xfebf1000);
	out(&env, 0x18, 4, 0x00300000);
	out(&env, 0x1c, 4, 0x00000012);
	out(&env, 0x20, 4, 0xfebf2010);
	out(&env, 0x30, 4, 0xfeb00000);
	assert_int_equal(env.region_calls, 0); // nothing is decoded yet
	out(&env, PCIDEV_COMMAND, 1, PCIDEV_COMMAND_PORT);
	expect_region(&env, PORTS, DEVICE_SPACE_PORT, 0xc040, 64);
	assert_int_equal(env.region_calls, 1);
	out(&env, PCIDEV_COMMAND, 1, PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MEMORY);
	expect_region(&env, MEMORY, DEVICE_SPACE_MMIO, 0xfebf1000, 4096);
	expect_region(&env, MEMORY64, DEVICE_SPACE_MMIO, 0x1200300000, 1 << 20);
	expect_region(&env, PREFETCHABLE, DEVICE_SPACE_MMIO, 0xfebf2010, 16);
	expect_region(&env, PCIDEV_REGION_ROM, 0, 0, 0);
	assert_int_equal(env.region_calls, 4);
	out(&env, 0x30, 1, 1); // the ROM has an enable of its own
	expect_region(&env, PCIDEV_REGION_ROM, DEVICE_SPACE_MMIO, 0xfeb00000, 64 * KIB);
	fake_save_and_load(&env);
	out(&env, 0x14, 4, 0xd0000000);
	expect_region(&env, MEMORY, DEVICE_SPACE_MMIO, 0xd0000000, 4096);
	out(&env, 0x10, 4, 0x1ffc0); // beyond the last port
	expect_region(&env, PORTS, 0, 0, 0);
	out(&env, 0x10, 4, 0xffc0);
	expect_region(&env, PORTS, DEVICE_SPACE_PORT, 0xffc0, 64);
	out(&env, PCIDEV_COMMAND, 1, PCIDEV_COMMAND_PORT);
	expect_region(&env, MEMORY64, 0, 0, 0);
	expect_region(&env, PCIDEV_REGION_ROM, 0, 0, 0);
	fake_save_and_load(&env);
	fake_destroy(&env);
}

// 2.2.6, 6.2.2 (interrupt disable), 6.2.3 (interrupt status).
static void requests_its_interrupt(void **state)
{
	struct fake_env env;

	(void)state;
	fake_create(&env, &model);
	fake_line(&env, 0, true);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	assert_int_equal(in(&env, PCIDEV_STATUS, 2), 0x0098);
	out(&env, PCIDEV_STATUS, 2, 0xffff);
	assert_int_equal(in(&env, PCIDEV_STATUS, 2), 0x0098);
	fake_save_and_load(&env);
	out(&env, PCIDEV_COMMAND, 2, PCIDEV_COMMAND_INTX_OFF);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
	assert_int_equal(in(&env, PCIDEV_STATUS, 2), 0x0098); // it still wants one
	fake_save_and_load(&env);
	out(&env, PCIDEV_COMMAND, 2, 0);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	fake_line(&env, 0, false);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
	assert_int_equal(in(&env, PCIDEV_STATUS, 2), 0x0090);
	fake_destroy(&env);
}

static void checks_state(void **state)
{
	struct state_error error;
	struct fake_env env;
	struct pcidev *pci;

	(void)state;
	fake_check_coverage(&model);
	fake_create(&env, &model);
	fake_check_ranges(&env);
	pci = pcidev_of(env.device);
	pci->config[0x41] = 0xee;
	assert_int_equal(state_check(&table, pci, &error), STATUS_OK);
	pci->config[0x43] ^= 1;
	assert_int_equal(state_check(&table, pci, &error), STATUS_INVALID);
	assert_null(error.field);
	pci->config[0x43] ^= 1;
	pci->config[0x10] |= 2;
	assert_int_equal(state_check(&table, pci, &error), STATUS_INVALID);
	fake_destroy(&env);
}

static void withstands_random_accesses(void **state)
{
	struct fake_env env;
	uint64_t seed = 1;

	(void)state;
	fake_create(&env, &model);
	for (unsigned i = 0; i < 50000; i++) {
		unsigned size, offset;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		size = 1U << (seed >> 61) % 3;
		offset = (unsigned)(seed >> 50) % (PCIDEV_CONFIG_BYTES + 1 - size);
		if (seed >> 49 & 1)
			offset %= 0x44;
		if (seed >> 48 & 1)
			out(&env, offset, size, seed >> 8 & 0xffffffff);
		else
			(void)in(&env, offset, size);
		if ((seed >> 40 & 7) == 0)
			fake_line(&env, 0, seed >> 39 & 1);
		assert_int_equal(state_check(&table, env.device, NULL), STATUS_OK);
		if (i % 500 == 0)
			fake_save_and_load(&env);
	}
	fake_destroy(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_its_header),
		cmocka_unit_test(tells_the_sizes_of_its_regions),
		cmocka_unit_test(places_its_regions),
		cmocka_unit_test(requests_its_interrupt),
		cmocka_unit_test(checks_state),
		cmocka_unit_test(withstands_random_accesses),
	};

	return cmocka_run_group_tests_name("pcidev", tests, NULL, NULL);
}
