// SPDX-License-Identifier: BSD-2-Clause
// The AHCI function: native command queuing. Serial ATA 2.6, 13.6; AHCI 1.3.1, 5.5.
#include "tests/unit/ahci_bench.h"

static uint64_t names[AHCI_SLOTS];

static void queue_all(uint32_t slots)
{
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		if ((slots & BIT(i)) != 0)
			queue(i, i % 2 != 0 ? ATA_WRITE_FPDMA_QUEUED : ATA_READ_FPDMA_QUEUED,
				8 * i, 8);
	out(AHCI_SACT, slots);
	for (unsigned i = 0; i < AHCI_SLOTS; i++)
		if ((slots & BIT(i)) != 0) {
			issue(i);
			expect_asked(i % 2 != 0 ? DEVICE_IO_WRITE : DEVICE_IO_READ, 4096 * i, 4096);
			names[i] = env.io.request;
		}
}

static void end(unsigned slot, enum status status)
{
	fake_complete(&env, 0, names[slot], status);
}

// 13.6.4: each is accepted, and its end is told by a bit.
static void commands_end_in_any_order(void **state)
{
	(void)state;
	queue_all(UINT32_MAX);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(in(AHCI_SACT), UINT32_MAX);
	assert_int_equal(task(), READY);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[0], AHCI_KIND_REGISTER);
	assert_int_equal(frames(AHCI_FRAME_REGISTER)[1], 0); // it interrupts nobody
	assert_int_equal(frames(AHCI_FRAME_DMA)[0], AHCI_KIND_DMA_SETUP);
	assert_int_equal(frames(AHCI_FRAME_DMA)[4], 31);
	assert_int_equal(frames(AHCI_FRAME_DMA)[21], 0x10); // of 4096 bytes
	assert_int_equal(in(AHCI_PXIS), 0);
	for (unsigned i = 0; i < AHCI_SLOTS; i++) {
		uint32_t slot = i * 13 % AHCI_SLOTS;
		uint32_t before = in(AHCI_SACT);

		if (i % 5 == 0)
			fake_save_and_load(&env);
		end(slot, STATUS_OK);
		assert_int_equal(in(AHCI_SACT), before & ~BIT(slot));
		assert_int_equal(frames(AHCI_FRAME_BITS)[0], AHCI_KIND_BITS);
		assert_int_equal(frames(AHCI_FRAME_BITS)[4 + slot / 8], BIT(slot % 8));
		expect_interrupt(AHCI_INTERRUPT_BITS);
	}
	assert_int_equal(in(AHCI_SACT), 0);
}

// 7.22 of ACS-3: 0 is 65536, and it goes in parts while others do.
static void long_ones_go_in_parts(void **state)
{
	uint64_t first;

	(void)state;
	queue(4, ATA_READ_FPDMA_QUEUED, 16, 0);
	entry(4, 0, MEMORY, 0x3fffff);
	header(4, 0, 1);
	out(AHCI_SACT, 1 << 4);
	issue(4);
	expect_asked(DEVICE_IO_READ, 16 * 512, DEVICE_IO_BYTES_MAX);
	first = env.io.request;
	queue(5, ATA_WRITE_FPDMA_QUEUED, 9, 1);
	frame_of(5)->device |= ATA_DEVICE_FUA;
	out(AHCI_SACT, 1 << 5);
	issue(5);
	expect_asked(DEVICE_IO_WRITE, 9 * 512, 512);
	complete(STATUS_OK); // it is durable
	expect_asked(DEVICE_IO_FLUSH, 0, 0);
	complete(STATUS_OK);
	assert_int_equal(in(AHCI_SACT), 1 << 4);
	fake_complete(&env, 0, first, STATUS_OK);
	expect_asked(DEVICE_IO_READ, 16 * 512 + DEVICE_IO_BYTES_MAX, DEVICE_IO_BYTES_MAX);
}

static void log_read(uint8_t *page)
{
	prepare(0, ATA_READ_LOG_EXT, ATA_LOG_QUEUE_ERROR, 1);
	issue(0);
	expect_interrupt(AHCI_INTERRUPT_PIO);
	memcpy(page, env.ram + MEMORY, ATA_SECTOR_BYTES);
}

// 13.6.3, and log 10h: all end when one fails.
static void one_that_fails_ends_them_all(void **state)
{
	uint8_t page[ATA_SECTOR_BYTES], sum = 0;

	(void)state;
	queue_all(0xf0);
	end(5, STATUS_OK);
	out(AHCI_PXIS, UINT32_MAX);
	set(AHCI_IS, 1);
	fake_clear(&env);
	end(6, STATUS_IO);
	assert_int_equal(task(), FAILED | ATA_ERROR_UNC << 8);
	assert_int_equal(in(AHCI_SACT), 0xd0);
	assert_int_equal(env.drops, 2);
	expect_interrupt(AHCI_INTERRUPT_BITS | AHCI_INTERRUPT_TASK);
	end(7, STATUS_OK); // it would not come
	assert_int_equal(in(AHCI_SACT), 0xd0);
	fake_save_and_load(&env);
	list_restart();
	queue(1, ATA_READ_FPDMA_QUEUED, 1, 1); // not before the log has been read
	issue(1);
	assert_int_equal(task(), FAILED | ATA_ERROR_ABRT << 8);
	expect_interrupt(AHCI_INTERRUPT_REGISTER | AHCI_INTERRUPT_TASK);
	list_restart();
	log_read(page);
	for (unsigned i = 0; i < sizeof(page); i++)
		sum = (uint8_t)(sum + page[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(page[0], 6);
	assert_int_equal(page[2], FAILED);
	assert_int_equal(page[3], ATA_ERROR_UNC);
	assert_int_equal(page[4], 48);
	queue_all(2);
	end(1, STATUS_OK);
	expect_interrupt(AHCI_INTERRUPT_BITS);
}

static void expect_refused(uint8_t error, uint8_t tag)
{
	uint8_t page[ATA_SECTOR_BYTES];

	assert_int_equal(task(), (uint32_t)(FAILED | error << 8));
	expect_interrupt(AHCI_INTERRUPT_REGISTER | AHCI_INTERRUPT_TASK);
	list_restart();
	log_read(page);
	assert_int_equal(page[0], tag);
	assert_int_equal(page[3], error);
}

// 13.6.3.1: nothing else comes between; a tag is one command's, and its slot's number.
static void what_cannot_be_queued_is_refused(void **state)
{
	(void)state;
	queue_all(0x30);
	fake_clear(&env);
	prepare(0, ATA_READ_DMA_EXT, 1, 1);
	issue(0);
	assert_int_equal(env.drops, 2);
	expect_refused(ATA_ERROR_ABRT, 0x80);
	queue_all(0x10);
	queue(4, ATA_READ_FPDMA_QUEUED, 8, 1);
	issue(4);
	expect_refused(ATA_ERROR_ABRT, 0x80);
	queue(2, ATA_READ_FPDMA_QUEUED, 8, 1);
	frame_of(2)->count = 3 << 3;
	issue(2);
	expect_refused(ATA_ERROR_ABRT, 3);
	queue(2, ATA_READ_FPDMA_QUEUED, SECTORS - 1, 2);
	issue(2);
	expect_refused(ATA_ERROR_IDNF, 2);
	queue(2, ATA_READ_FPDMA_QUEUED, 1, 1);
	frame_of(2)->device = 0;
	issue(2);
	expect_refused(ATA_ERROR_ABRT, 2);
}

static void resets_drop_them(void **state)
{
	(void)state;
	queue_all(0xff);
	fake_clear(&env);
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	assert_int_equal(env.drops, 8);
	assert_int_equal(in(AHCI_SACT), 0);
	assert_int_equal(task(), READY);
	end(3, STATUS_OK);
	assert_int_equal(in(AHCI_PXIS), 0);
	out(AHCI_CMD, RUNNING);
	queue_all(0xff);
	fake_clear(&env);
	out(AHCI_SCTL, AHCI_SCTL_RESET);
	assert_int_equal(env.drops, 8);
	out(AHCI_SCTL, 0);
	list_restart();
	queue_all(3);
	fake_clear(&env);
	fake_save_and_load(&env);
	fake_reset(&env, DEVICE_RESET_POWER);
	assert_int_equal(get(AHCI_GHC), AHCI_GHC_ENABLE);
}

// 6.1.4: what is in flight is not heard of any more.
static void memory_that_is_not_there_stops_them(void **state)
{
	(void)state;
	queue_all(0x0f);
	fake_clear(&env);
	env.submit_answer = STATUS_RANGE;
	queue(9, ATA_READ_FPDMA_QUEUED, 1, 1);
	issue(9);
	assert_int_equal(env.drops, 4);
	assert_int_equal(in(AHCI_PXIS), AHCI_INTERRUPT_BUS);
	assert_int_equal(in(AHCI_SACT), 0x0f);
	fake_save_and_load(&env);
	out(AHCI_PXIS, UINT32_MAX);
	set(AHCI_IS, 1);
	list_restart();
	env.submit_answer = STATUS_BUSY;
	queue(9, ATA_READ_FPDMA_QUEUED, 1, 1);
	issue(9);
	queue(10, ATA_READ_FPDMA_QUEUED, 1, 1);
	issue(10);
	fake_save_and_load(&env);
	env.submit_answer = STATUS_OK;
	fake_clear(&env);
	fake_advance(&env, 100000);
	assert_int_equal(env.submits, 2);
	out(AHCI_FB + 4, 1);
	queue(11, ATA_READ_FPDMA_QUEUED, 1, 1); // it cannot be accepted in words
	issue(11);
	assert_int_equal(env.submits, 0);
	assert_int_equal(in(AHCI_PXIS), AHCI_INTERRUPT_BUS);
}

// A state that contradicts itself is refused, or does no harm.
static void states_that_cannot_be(void **state)
{
	struct ahci *ahci = CONTAINER_OF(env.device, struct ahci, pci.device);
	struct ahci_port *of = &ahci->ports[0];

	(void)state;
	queue_all(3);
	assert_null(ahci_state.check(ahci));
	ahci->slots[0].done = ahci->slots[0].bytes + 1;
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[0].done = 0;
	ahci->slots[0].lba = SECTORS;
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[0].lba = 0;
	ahci->slots[0].asked = DEVICE_IO_WRITE;
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[0].asked = DEVICE_IO_READ;
	ahci->slots[0].name = names[1];
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[0].name = names[0];
	of->queued = 1;
	assert_non_null(ahci_state.check(ahci));
	of->queued = 3;
	of->command &= ~(uint32_t)AHCI_CMD_START;
	assert_non_null(ahci_state.check(ahci));
	of->command |= AHCI_CMD_START;
	of->taken = 8;
	assert_non_null(ahci_state.check(ahci));
	of->taken = 0;
	ahci->slots[1].state = AHCI_SLOT_WAITS;
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[1].state = AHCI_SLOT_SENT;
	ahci->slots[1].entry = 2;
	assert_non_null(ahci_state.check(ahci));
	ahci->slots[1].entry = 1;
	assert_null(ahci_state.check(ahci));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(commands_end_in_any_order),
		TEST(long_ones_go_in_parts),
		TEST(one_that_fails_ends_them_all),
		TEST(what_cannot_be_queued_is_refused),
		TEST(resets_drop_them),
		TEST(memory_that_is_not_there_stops_them),
		TEST(states_that_cannot_be),
	};

	return cmocka_run_group_tests_name("ich9_ahci_queue", tests, NULL, NULL);
}
