// SPDX-License-Identifier: BSD-2-Clause
// The AHCI function: registers, link, interrupts and commands that are not queued. AHCI 1.3.1.
#include "tests/unit/ahci_bench.h"

// 3.1, 2.4; 15.1 of the ICH9's data sheet.
static void the_controller_says_what_it_has(void **state)
{
	(void)state;
	assert_int_equal(get(AHCI_CAP), 0xe9241f05);
	assert_int_equal(get(AHCI_GHC), AHCI_GHC_ENABLE | AHCI_GHC_INTERRUPTS);
	assert_int_equal(get(AHCI_PI), 0x3f);
	assert_int_equal(get(AHCI_VS), 0x10200);
	for (unsigned i = 0x14; i < AHCI_PORT_FIRST; i += 4)
		assert_int_equal(get(i), 0);
	assert_int_equal(get(0xffc), 0);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 8, 4), 0x01060102);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, PCIDEV_CAPABILITIES, 1), 0xa8);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0xa8, 4), 0x0010b012);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0xac, 4), 0x48);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0xb0, 2), PCIDEV_MSI_CAPABILITY);
}

// 10.12: the same registers, at ports.
static void registers_are_reached_by_an_index(void **state)
{
	(void)state;
	fake_write(&env, AHCI_REGION_INDEX, AHCI_INDEX_PORT, 4, AHCI_PI | 0xf003);
	assert_int_equal(fake_read(&env, AHCI_REGION_INDEX, AHCI_INDEX_PORT, 4), AHCI_PI);
	assert_int_equal(fake_read(&env, AHCI_REGION_INDEX, AHCI_DATA_PORT, 4), 0x3f);
	fake_write(&env, AHCI_REGION_INDEX, AHCI_INDEX_PORT, 4, at_port(0, AHCI_IE));
	fake_write(&env, AHCI_REGION_INDEX, AHCI_DATA_PORT, 4, 0xffffffff);
	assert_int_equal(in(AHCI_IE), AHCI_INTERRUPTS);
	fake_write(&env, AHCI_REGION_INDEX, AHCI_DATA_PORT, 2, 0);
	assert_int_equal(in(AHCI_IE), AHCI_INTERRUPTS);
	assert_int_equal(fake_read(&env, AHCI_REGION_INDEX, 0, 4), 0);
}

// 3: of 32 bits each.
static void accesses_of_other_widths_do_little(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, AHCI_REGION_REGISTERS, AHCI_VS + 1, 2), 0x102);
	assert_int_equal(fake_read(&env, AHCI_REGION_REGISTERS, AHCI_PI, 8),
		UINT64_C(0x102000000003f));
	fake_write(&env, AHCI_REGION_REGISTERS, at_port(0, AHCI_CLB), 8, UINT64_C(0x1234567fff));
	assert_int_equal(in(AHCI_CLB), 0x34567c00);
	assert_int_equal(in(AHCI_CLB + 4), 0x12);
	fake_write(&env, AHCI_REGION_REGISTERS, at_port(0, AHCI_CLB) + 1, 1, 0);
	assert_int_equal(in(AHCI_CLB), 0x34567c00);
	out(AHCI_FB, UINT32_MAX);
	out(AHCI_FB + 4, 7);
	assert_int_equal(in(AHCI_FB), 0xffffff00);
	assert_int_equal(in(AHCI_FB + 4), 7);
	set(at_port(AHCI_PORTS, AHCI_CLB), 1); // there is no such port
	assert_int_equal(get(at_port(AHCI_PORTS, AHCI_CLB)), 0);
}

// 10.1.2, 10.10.1, 3.3.8 to 3.3.12.
static void a_link_comes_up_when_it_is_spun_up(void **state)
{
	(void)state;
	assert_int_equal(get(at_port(OTHER, AHCI_SSTS)), 0);
	assert_int_equal(get(at_port(OTHER, AHCI_TFD)), 0x7f);
	assert_int_equal(get(at_port(OTHER, AHCI_SIG)), UINT32_MAX);
	assert_int_equal(get(at_port(OTHER, AHCI_CMD)), AHCI_CMD_POWER);
	set(at_port(OTHER, AHCI_FB), FRAMES + 0x400);
	set(at_port(OTHER, AHCI_CMD), AHCI_CMD_RECEIVE);
	set(at_port(OTHER, AHCI_CMD), AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP);
	assert_int_equal(get(at_port(OTHER, AHCI_CMD)), AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP |
		AHCI_CMD_POWER | AHCI_CMD_RECEIVES);
	assert_int_equal(get(at_port(OTHER, AHCI_SSTS)), 0x123);
	assert_int_equal(get(at_port(OTHER, AHCI_TFD)), READY | 0x100);
	assert_int_equal(get(at_port(OTHER, AHCI_SIG)), 0x101);
	assert_int_equal(env.ram[FRAMES + 0x400 + AHCI_FRAME_REGISTER], AHCI_KIND_REGISTER);
	assert_int_equal(env.ram[FRAMES + 0x400 + AHCI_FRAME_REGISTER + 2], READY);
	assert_int_equal(get(at_port(OTHER, AHCI_SERR)), AHCI_SERR_PHY | AHCI_SERR_EXCHANGED);
	assert_int_equal(get(at_port(OTHER, AHCI_PXIS)), AHCI_INTERRUPT_BY_ERROR);
	set(at_port(OTHER, AHCI_PXIS), UINT32_MAX); // the errors have to be cleared
	assert_int_equal(get(at_port(OTHER, AHCI_PXIS)), AHCI_INTERRUPT_BY_ERROR);
	set(at_port(OTHER, AHCI_SERR), AHCI_SERR_PHY);
	assert_int_equal(get(at_port(OTHER, AHCI_PXIS)), AHCI_INTERRUPT_CONNECTED);
	set(at_port(1, AHCI_CMD), AHCI_CMD_SPIN_UP); // nobody is there
	assert_int_equal(get(at_port(1, AHCI_SSTS)), 0);
	assert_int_equal(get(at_port(1, AHCI_SERR)), 0);
}

// 10.4.2
static void a_link_is_reset(void **state)
{
	(void)state;
	command(ATA_READ_DMA_EXT, 5, 1);
	out(AHCI_SCTL, AHCI_SCTL_RESET | 0x10);
	assert_int_equal(env.drops, 1);
	assert_int_equal(env.dropped, env.io.request);
	assert_int_equal(in(AHCI_SSTS), 0);
	assert_int_equal(task(), 0x7f);
	assert_int_equal(in(AHCI_SIG), UINT32_MAX);
	complete(STATUS_OK); // it would not come
	assert_int_equal(in(AHCI_CI), 1);
	fake_save_and_load(&env);
	out(AHCI_SCTL, 0x10);
	assert_int_equal(in(AHCI_SSTS), 0x113); // no faster than that
	assert_int_equal(task(), READY | 0x100);
	assert_int_equal(in(AHCI_SIG), 0x101);
	out(AHCI_SERR, UINT32_MAX);
	set(AHCI_IS, 1);
	list_restart();
	command(ATA_FLUSH_CACHE, 0, 0);
	complete(STATUS_OK);
	env.submits = 0;
	expect_done();
	out(AHCI_SCTL, AHCI_SCTL_OFF | 0xff0);
	assert_int_equal(in(AHCI_SSTS), AHCI_SSTS_OFF);
	assert_int_equal(in(AHCI_SCTL), 0xff4);
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_SPIN_UP);
	out(AHCI_SCTL, 0);
	assert_int_equal(in(AHCI_SSTS), 0);
}

// 10.4.3
static void the_controller_is_reset(void **state)
{
	(void)state;
	command(ATA_WRITE_DMA_EXT, 5, 1);
	set(AHCI_GHC, AHCI_GHC_RESET);
	assert_int_equal(env.drops, 1);
	assert_int_equal(get(AHCI_GHC), AHCI_GHC_ENABLE);
	assert_int_equal(get(AHCI_IS), 0);
	assert_int_equal(in(AHCI_CLB), LIST); // these stay
	assert_int_equal(in(AHCI_FB), FRAMES);
	assert_int_equal(in(AHCI_IE), 0);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(in(AHCI_CMD), AHCI_CMD_POWER);
	assert_int_equal(in(AHCI_SSTS), 0);
	fake_save_and_load(&env);
	port_start(0);
	set(AHCI_GHC, AHCI_GHC_INTERRUPTS);
	command(ATA_READ_DMA_EXT, 5, 1);
	assert_int_equal(env.submits, 1);
}

// 10.7.1: PxIS, IS, the pin.
static void interrupts_reach_the_pin(void **state)
{
	(void)state;
	out(AHCI_IE, 0);
	command(ATA_IDLE, 0, 0);
	assert_int_equal(in(AHCI_PXIS), AHCI_INTERRUPT_REGISTER);
	assert_int_equal(get(AHCI_IS), 0);
	out(AHCI_IE, AHCI_INTERRUPT_REGISTER);
	assert_int_equal(get(AHCI_IS), 1);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	set(AHCI_IS, 1); // its cause is there
	assert_int_equal(get(AHCI_IS), 1);
	set(AHCI_GHC, 0);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
	set(AHCI_GHC, AHCI_GHC_INTERRUPTS);
	fake_save_and_load(&env);
	out(AHCI_PXIS, AHCI_INTERRUPT_REGISTER);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	set(AHCI_IS, 1);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
}

// 10.7.2
static void interrupts_are_messages(void **state)
{
	(void)state;
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_ADDRESS, 4, 0xfee00000);
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_DATA, 2, 0x41);
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_CONTROL, 2, PCIDEV_MSI_ENABLE);
	command(ATA_IDLE, 0, 0);
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].vector, 0x41);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
	command(ATA_IDLE, 0, 0); // it has been told
	assert_int_equal(env.messages, 0);
	set(AHCI_IS, 1); // and again, for there is something left
	assert_int_equal(env.messages, 1);
	out(AHCI_PXIS, UINT32_MAX);
	set(AHCI_IS, 1);
	assert_int_equal(env.messages, 1);
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_MASK, 4, 1);
	command(ATA_IDLE, 0, 0);
	assert_int_equal(env.messages, 0);
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_MASK, 4, 0);
	assert_int_equal(env.messages, 1);
	config_write(AHCI_MSI_CAPABILITY + PCIDEV_MSI_CONTROL, 2, 0);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
}

static void a_reset_forgets_all(void **state)
{
	(void)state;
	command(ATA_READ_DMA_EXT, 5, 1);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in(AHCI_CLB), 0);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(get(AHCI_GHC), AHCI_GHC_ENABLE);
}

static void the_state_is_all_of_it(void **state)
{
	(void)state;
	fake_check_coverage(&ahci_model);
	fake_check_ranges(&env);
	assert_true(state_saved_bytes(&ahci_state, 1) <= 12288);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_controller_says_what_it_has),
		TEST(registers_are_reached_by_an_index),
		TEST(accesses_of_other_widths_do_little),
		TEST(a_link_comes_up_when_it_is_spun_up),
		TEST(a_link_is_reset),
		TEST(the_controller_is_reset),
		TEST(interrupts_reach_the_pin),
		TEST(interrupts_are_messages),
		TEST(a_reset_forgets_all),
		TEST(the_state_is_all_of_it),
	};

	return cmocka_run_group_tests_name("ich9_ahci", tests, NULL, NULL);
}
