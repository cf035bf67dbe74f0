// SPDX-License-Identifier: BSD-2-Clause
// A virtio driver that does what it must not: the device says so once, sets NEEDS_RESET, does
// nothing any more, and works again after a reset. Nothing else is harmed.
#include "tests/unit/virtio_bench.h"

#define SPLIT  (MODERN | BIT(VIRTIO_F_INDIRECT_DESC))
#define PACKED (SPLIT | BIT(VIRTIO_F_RING_PACKED))

static const struct part good_header = {HEADER, 16, NEXT}, good_status = {STATUS, 1, WRITE};

static void good_request(void)
{
	uint16_t before = packed ? 0 : used_count();

	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
	if (!packed)
		assert_int_equal(used_count(), before + 1);
}

static void expect_broken(const char *reason)
{
	unsigned submits = env.submits;

	if (env.report == NULL || strcmp(env.report, reason) != 0)
		fail_msg("\"%s\", not \"%s\"", env.report != NULL ? env.report : "", reason);
	assert_true(needs_reset());
	assert_int_equal(env.reports, 1);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		notify(i);
	assert_int_equal(env.reports, 1);
	assert_int_equal(env.submits, submits);
	fake_save_and_load(&env);
	env.report = NULL;
	begin(packed ? PACKED : SPLIT);
	good_request();
}

static void place(uint16_t size, uint64_t ring, uint64_t driver, uint64_t device)
{
	fake_clear(&env);
	queue_place(0, size, ring, driver, device);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
}

static void queues_that_cannot_be(void **state)
{
	static const struct {
		uint64_t features;
		uint16_t size;
		uint64_t ring, driver, device;
		const char *reason;
	} rows[] = {
		{SPLIT, 0, RING, DRIVER, DEVICE, "a queue has no size, or one that is too large"},
		{SPLIT, 6, RING, DRIVER, DEVICE, "a queue's size is no power of two"},
		{SPLIT, 256, RING, DRIVER, DEVICE, "a queue's size is too large"},
		{PACKED, 0xffff, RING, DRIVER, DEVICE, "a queue's size is too large"},
		{SPLIT, 8, RING + 8, DRIVER, DEVICE, "a ring is misaligned"},
		{SPLIT, 8, RING, DRIVER + 1, DEVICE, "a ring is misaligned"},
		{SPLIT, 8, RING, DRIVER, DEVICE + 2, "a ring is misaligned"},
		{PACKED, 8, RING, DRIVER + 2, DEVICE, "a ring is misaligned"},
		{SPLIT, 8, FAKE_RAM_BYTES - 64, DRIVER, DEVICE, "a ring is not in memory"},
		{SPLIT, 8, RING, 0xfee00000, DEVICE, "a ring is not in memory"},
		{PACKED, 8, RING, DRIVER, 0x123456789000, "a ring is not in memory"},
		{SPLIT, 8, UINT64_MAX - 15, DRIVER, DEVICE, "a ring is not in memory"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		begin_none(rows[i].features);
		place(rows[i].size, rows[i].ring, rows[i].driver, rows[i].device);
		expect_broken(rows[i].reason);
	}
	begin_none(PACKED); // which may have any size
	queue_place(0, 6, RING, DRIVER, DEVICE);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
}

static void indexes_beyond_the_ring(void **state)
{
	(void)state;
	begin(SPLIT);
	put16(DRIVER + 2, QUEUE_SIZE + 1);
	notify(0);
	expect_broken("the available index jumps beyond its ring");
	begin(SPLIT);
	put16(DRIVER + 2, 0xffff); // backwards
	notify(0);
	expect_broken("the available index jumps beyond its ring");
	begin(SPLIT);
	split_offer(QUEUE_SIZE);
	notify(0);
	expect_broken("the head of a chain is beyond its table");
	begin(SPLIT);
	split_descriptor(RING, 0, &good_header, QUEUE_SIZE);
	split_offer(0);
	notify(0);
	expect_broken("a descriptor is beyond its table");
	begin(SPLIT);
	split_descriptor(RING, 0, &good_header, 0); // a loop
	split_offer(0);
	notify(0);
	expect_broken("a chain is longer than any may be, or a loop");
}

// One chain of these parts is broken in both kinds of rings.
static void expect_bad_chain(const struct part *parts, unsigned count, const char *reason)
{
	static const uint64_t kinds[] = {SPLIT, PACKED};

	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		header(VIRTIO_BLK_T_IN, 0);
		chain(0, parts, count);
		notify(0);
		expect_broken(reason);
	}
}

static void descriptors_that_cannot_be(void **state)
{
	const struct part mixed[] = {good_header, good_status, {DATA, 512, 0}};
	const struct part empty[] = {good_header, {DATA, 0, WRITE}, good_status};
	const struct part over[] = {good_header, {UINT64_MAX - 100, 512, WRITE}, good_status};

	(void)state;
	expect_bad_chain(mixed, 3, "memory to be read comes behind memory to be written");
	expect_bad_chain(empty, 3, "a descriptor has no bytes");
	expect_bad_chain(over, 3, "a descriptor passes the end of all addresses");
}

static void indirect_tables_that_cannot_be(void **state)
{
	static const char length[] = "an indirect table of an impossible length";
	static const char misplaced[] = "an indirect descriptor where none may be";
	struct part table = {TABLE, 0, INDIRECT};
	const struct part followed[] = {{TABLE, 48, INDIRECT}, good_status};

	(void)state;
	expect_bad_chain(&table, 1, length);
	table.bytes = 47;
	expect_bad_chain(&table, 1, length);
	table.bytes = 16 * (VIRTIO_CHAIN_MAX + 1);
	expect_bad_chain(&table, 1, length);
	table.bytes = UINT32_MAX & ~15u;
	expect_bad_chain(&table, 1, length);
	expect_bad_chain(followed, 2, misplaced);
	table = (struct part){0xfee00000, 48, INDIRECT};
	expect_bad_chain(&table, 1, "a table of descriptors is not in memory");
	for (unsigned kind = 0; kind < 2; kind++) { // nested
		begin(kind == 0 ? SPLIT : PACKED);
		table = (struct part){TABLE, 16, INDIRECT};
		put(TABLE, &(const struct virtio_descriptor){TABLE, 16, INDIRECT, 0}, 16);
		put16(TABLE + (kind == 0 ? 12 : 14), INDIRECT);
		chain(0, &table, 1);
		notify(0);
		expect_broken(misplaced);
	}
	for (unsigned kind = 0; kind < 2; kind++) { // not negotiated
		begin(MODERN | (kind != 0 ? BIT(VIRTIO_F_RING_PACKED) : 0));
		table = (struct part){TABLE, 48, INDIRECT};
		chain(0, &table, 1);
		notify(0);
		expect_broken(misplaced);
	}
}

static void chains_in_flight_again(void **state)
{
	const struct part parts[] = {good_header, good_status};

	(void)state;
	begin(SPLIT);
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	assert_int_equal(env.submits, 1);
	split_offer(0);
	notify(0);
	expect_broken("a chain in flight is made available again");
	begin(PACKED);
	request(5, VIRTIO_BLK_T_IN, 0, DATA, 512);
	packed_chain(5, parts, 2);
	notify(0);
	expect_broken("a buffer in flight is made available again");
	begin(PACKED);
	packed_chain(QUEUE_SIZE, parts, 2);
	notify(0);
	expect_broken("a buffer's id is beyond its ring");
}

static void wrap_counters_that_lie(void **state)
{
	struct part parts[QUEUE_SIZE];

	(void)state;
	begin(PACKED); // the second descriptor is not available
	packed_chain(0, &(const struct part){HEADER, 16, NEXT}, 1);
	notify(0);
	expect_broken("a chain goes on with a descriptor that is not available");
	begin(PACKED); // it goes on for ever
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		parts[i] = (struct part){HEADER, 16, NEXT};
	packed_chain(0, parts, QUEUE_SIZE);
	notify(0);
	expect_broken("a chain is longer than its ring");
	begin(PACKED); // over one that is in flight
	for (uint16_t i = 0; i < 3; i++)
		request(i, VIRTIO_BLK_T_IN, 0, DATA, 512);
	expect_broken("more is in flight than the ring holds");
	begin(PACKED); // of the other round: nothing is there
	next_wrap = false;
	packed_chain(0, parts, 1);
	notify(0);
	assert_false(needs_reset());
}

// The head comes back all the same.
static void requests_without_their_ends(void **state)
{
	static const uint64_t kinds[] = {SPLIT, PACKED};
	const struct part no_header[] = {{HEADER, 15, 0}, good_status};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		header(VIRTIO_BLK_T_IN, 0);
		chain(3, no_header, 2);
		notify(0);
		expect_used(0, 3, 0);
		expect_broken("a request has no header");
		begin(kinds[i]);
		header(VIRTIO_BLK_T_IN, 0);
		chain(4, &(const struct part){HEADER, 16, 0}, 1);
		notify(0);
		expect_used(0, 4, 0);
		expect_broken("a request has no status");
		begin(kinds[i]);
		header(VIRTIO_BLK_T_FLUSH, 0);
		chain(5, (const struct part[]){good_header, {0xfee00000, 1, WRITE}}, 2);
		notify(0);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		expect_used(0, 5, 1);
		expect_broken("a request's status is not in memory");
	}
}

static void status_out_of_order(void **state)
{
	(void)state;
	begin(SPLIT);
	status_set(VIRTIO_STATUS_ACKNOWLEDGE);
	expect_broken("its driver clears status bits without a reset");
	status_set(0);
	status_set(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	fake_clear(&env);
	status_set(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);
	expect_broken("its driver is ready before features are negotiated");
}

// 4.1.4.3.2: what is written to an enabled queue is not taken.
static void an_enabled_queue_stays(void **state)
{
	(void)state;
	begin(SPLIT);
	common_set(VIRTIO_COMMON_QUEUE_SIZE, 2, 4);
	common_set(VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, 0xdead0000);
	common_set(VIRTIO_COMMON_QUEUE_ENABLE, 2, 0);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_SIZE, 2), QUEUE_SIZE);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
	common_set(VIRTIO_COMMON_QUEUE_SELECT, 2, 500); // there is none
	common_set(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_SIZE, 2), 0);
	notify(500);
	good_request();
	assert_false(needs_reset());
}

// A function that is no master reads no memory, and one that nobody has set up neither.
static void nothing_is_touched_before_its_time(void **state)
{
	(void)state;
	begin(SPLIT);
	bus_master(false);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(used_count(), 0);
	bus_master(true);
	notify(0);
	assert_int_equal(used_count(), 1);
	begin_none(SPLIT);
	queue_place(0, QUEUE_SIZE, RING, DRIVER, DEVICE);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(used_count(), 0);
}

// A loaded state whose request has more bytes than its pieces fails, and does not go on for ever.
static void a_state_that_lies_comes_to_an_end(void **state)
{
	struct virtio_blk *blk = virtio_blk_of(env.device);

	(void)state;
	begin(SPLIT);
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	blk->requests[0].bytes = 4096;
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	assert_int_equal(used_count(), 1);
}

// Anything in the ring, the registers and the answers of the back end.
static void withstands_random_drivers(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		begin(round % 2 == 0 ? SPLIT | BIT(VIRTIO_F_EVENT_IDX)
				     : PACKED | BIT(VIRTIO_F_EVENT_IDX));
		for (unsigned i = 0; i < 200; i++) {
			uint64_t at;

			seed = seed * 6364136223846793005 + 1442695040888963407;
			at = seed >> 40;
			switch (seed >> 60) {
			case 0 ... 7: // mostly small numbers, where they matter
				env.ram[RING + at % 0x3000] = (uint8_t)(seed >> 30 & 7);
				break;
			case 8 ... 9:
				request(at % QUEUE_SIZE, seed >> 20 & 15, seed >> 30 & 4095,
					DATA, 512);
				break;
			case 10:
				fake_complete(&env, 0, env.io.request, seed >> 20 & 1
					? STATUS_OK : STATUS_IO);
				break;
			case 11:
				fake_write(&env, VIRTIO_BAR_MODERN, at % 0x3c, 1u << (seed & 1),
					seed >> 30 & 15);
				break;
			case 12:
				fake_write(&env, VIRTIO_BAR_LEGACY, at % 0x20, 1, seed >> 30 & 15);
				break;
			case 13:
				fake_advance(&env, 300000);
				break;
			default:
				notify((unsigned)at % 9);
				break;
			}
			if (env.messages > FAKE_MESSAGES / 2)
				fake_clear(&env);
			assert_int_equal(state_check(virtio_blk_model.state, env.device, NULL),
				STATUS_OK);
		}
		fake_save_and_load(&env);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(queues_that_cannot_be),
		TEST(indexes_beyond_the_ring),
		TEST(descriptors_that_cannot_be),
		TEST(indirect_tables_that_cannot_be),
		TEST(chains_in_flight_again),
		TEST(wrap_counters_that_lie),
		TEST(requests_without_their_ends),
		TEST(status_out_of_order),
		TEST(an_enabled_queue_stays),
		TEST(nothing_is_touched_before_its_time),
		TEST(a_state_that_lies_comes_to_an_end),
		TEST(withstands_random_drivers),
	};

	return cmocka_run_group_tests_name("virtio_hostile", tests, NULL, NULL);
}
