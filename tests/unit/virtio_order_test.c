// SPDX-License-Identifier: BSD-2-Clause
// VIRTIO 1.2, 2.7.9 and 2.8.9: IN_ORDER, with a disk whose back end answers in whatever order.
#include "tests/unit/virtio_bench.h"

#define ORDERED (MODERN | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_INDIRECT_DESC))
static const uint64_t kinds[] = {ORDERED, ORDERED | BIT(VIRTIO_F_RING_PACKED)};

// Request `n` of those that fit into the ring: two descriptors each, a status of its own.
static void flush(uint16_t n, uint32_t type)
{
	const struct part parts[] = {{HEADER, 16, 0}, {STATUS + n, 1, WRITE}};

	header(type, 0);
	env.ram[STATUS + n] = 0xee;
	chain(packed ? n : (uint16_t)(2 * n), parts, 2);
	notify(0);
}

static void expect_back(unsigned n)
{
	expect_used(packed ? 2 * n : n, packed ? n : 2 * n, 1);
	assert_int_equal(env.ram[STATUS + n], VIRTIO_BLK_S_OK);
}

static bool is_back(unsigned n)
{
	if (!packed)
		return used_count() > n;
	return (get16(RING + 2 * n * 16 + 14) & VIRTIO_DESCRIPTOR_USED) != 0;
}

static void chains_come_back_as_they_went(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
		uint64_t names[3];

		begin(kinds[kind]);
		for (uint16_t n = 0; n < 3; n++) {
			flush(n, VIRTIO_BLK_T_FLUSH);
			names[n] = env.io.request;
		}
		fake_complete(&env, 0, names[2], STATUS_OK);
		assert_int_equal(env.ram[STATUS + 2], VIRTIO_BLK_S_OK);
		fake_save_and_load(&env);
		flush(3, 99); // the device's own answer waits as well
		assert_false(is_back(0));
		assert_false(env.line[0]);
		fake_complete(&env, 0, names[0], STATUS_OK);
		assert_true(env.line[0]);
		(void)common_get(VIRTIO_ISR_AT, 1);
		expect_back(0);
		assert_false(is_back(1));
		fake_save_and_load(&env);
		fake_complete(&env, 0, names[2], STATUS_OK); // again: nobody's
		assert_false(is_back(1));
		fake_complete(&env, 0, names[1], STATUS_IO);
		assert_int_equal(env.ram[STATUS + 1], VIRTIO_BLK_S_IOERR);
		expect_back(2);
		assert_true(is_back(3));
		assert_int_equal(env.ram[STATUS + 3], VIRTIO_BLK_S_UNSUPP);
		assert_true(env.line[0]);
		assert_false(needs_reset());
	}
}

// What was read is no longer under way while its chain waits.
static void a_read_that_waits_is_saved(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
		uint64_t first;

		begin(kinds[kind]);
		request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
		first = env.io.request;
		request(3, VIRTIO_BLK_T_IN, 1, DATA + 512, 512);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		fake_save_and_load(&env);
		assert_false(env.line[0]);
		fake_complete(&env, 0, first, STATUS_OK);
		fake_save_and_load(&env);
		assert_true(env.line[0]);
		expect_used(0, 0, 513);
		expect_used(packed ? 3 : 1, 3, 513);
	}
}

// And without the feature as they are done.
static void chains_come_back_as_they_are_done(void **state)
{
	uint64_t first;

	(void)state;
	begin(MODERN);
	flush(0, VIRTIO_BLK_T_FLUSH);
	first = env.io.request;
	flush(1, VIRTIO_BLK_T_FLUSH);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	expect_used(0, 2, 1);
	fake_complete(&env, 0, first, STATUS_OK);
	expect_used(1, 0, 1);
}

// A place that holds an answer back is none for another request.
static void more_than_it_takes_waits(void **state)
{
	enum { SIZE = 128, MANY = 40 };
	uint64_t names[MANY];
	unsigned sent = 0;

	(void)state;
	begin_none(ORDERED);
	queue_place(0, SIZE, RING, DRIVER, DEVICE);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	fake_clear(&env);
	header(VIRTIO_BLK_T_FLUSH, 0);
	for (uint16_t i = 0; i < MANY; i++) {
		split_descriptor(RING, 2u * i, &(const struct part){HEADER, 16, NEXT},
			(uint16_t)(2 * i + 1));
		split_descriptor(RING, 2u * i + 1, &(const struct part){STATUS, 1, WRITE}, 0);
		put16(DRIVER + 4 + 2u * i, (uint16_t)(2 * i));
	}
	for (uint16_t i = 1; i <= MANY; i++) {
		put16(DRIVER + 2, i);
		notify(0);
		if (env.submits > sent)
			names[sent++] = env.io.request;
	}
	assert_int_equal(sent, VIRTIO_BLK_REQUESTS);
	for (unsigned i = VIRTIO_BLK_REQUESTS - 1; i > 0; i--)
		fake_complete(&env, 0, names[i], STATUS_OK);
	assert_int_equal(env.submits, VIRTIO_BLK_REQUESTS);
	assert_int_equal(used_count(), 0);
	fake_complete(&env, 0, names[0], STATUS_OK);
	assert_int_equal(used_count(), VIRTIO_BLK_REQUESTS);
	assert_int_equal(env.submits, MANY);
	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++)
		expect_used(i, 2 * i, 1);
}

static void resets_forget_what_is_held(void **state)
{
	uint64_t first;

	(void)state;
	begin(ORDERED | BIT(VIRTIO_F_RING_RESET));
	flush(0, VIRTIO_BLK_T_FLUSH);
	first = env.io.request;
	flush(1, VIRTIO_BLK_T_FLUSH);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	common_set(VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	assert_int_equal(env.drops, 1); // of what the back end has
	assert_int_equal(env.dropped, first);
	memset(env.ram, 0, sizeof(env.ram));
	next = 0;
	queue_place(0, QUEUE_SIZE, RING, DRIVER, DEVICE);
	flush(0, 99);
	assert_int_equal(used_count(), 1);
}

static void expect_broken(const char *reason)
{
	assert_string_equal(env.report, reason);
	assert_true(needs_reset());
	assert_int_equal(used_count(), 0);
	fake_save_and_load(&env);
	begin(ORDERED);
	flush(0, 99);
	assert_int_equal(used_count(), 1);
}

// 2.7.5.3: descriptors of a chain follow each other in the table, round its end.
static void tables_are_in_order(void **state)
{
	const struct part head = {HEADER, 16, NEXT}, status = {STATUS, 1, WRITE};
	const struct part table = {TABLE, 48, INDIRECT};

	(void)state;
	begin(ORDERED);
	header(VIRTIO_BLK_T_FLUSH, 0);
	split_descriptor(RING, 0, &head, 2);
	split_descriptor(RING, 2, &status, 0);
	split_offer(0);
	notify(0);
	expect_broken("a chain is not in the order of its table");
	header(VIRTIO_BLK_T_FLUSH, 0);
	begin(ORDERED);
	split_descriptor(RING, 3, &head, 3); // a loop is found at once
	split_offer(3);
	notify(0);
	expect_broken("a chain is not in the order of its table");
	begin(ORDERED);
	header(99, 0);
	split_descriptor(RING, QUEUE_SIZE - 1, &head, QUEUE_SIZE); // not 0
	split_offer(QUEUE_SIZE - 1);
	notify(0);
	expect_broken("a chain is not in the order of its table");
	begin(ORDERED);
	header(99, 0);
	split_descriptor(RING, QUEUE_SIZE - 1, &head, 0);
	split_descriptor(RING, 0, &status, 0);
	split_offer(QUEUE_SIZE - 1);
	notify(0);
	expect_used(0, QUEUE_SIZE - 1, 1);
	split_descriptor(TABLE, 0, &head, 2); // indirect tables have any order
	split_descriptor(TABLE, 2, &status, 0);
	split_descriptor(RING, 1, &table, 0);
	split_offer(1);
	notify(0);
	expect_used(1, 1, 1);
	assert_false(needs_reset());
}

static void headless_chains_are_not_given_back(void **state)
{
	const struct part status = {STATUS, 1, WRITE};

	(void)state;
	for (unsigned kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
		begin(kinds[kind]);
		flush(0, VIRTIO_BLK_T_FLUSH);
		chain(2, &status, 1);
		notify(0);
		assert_string_equal(env.report, "a request has no header");
		assert_false(is_back(0));
	}
}

// Of a loaded state that lies: nothing is lost but the driver's order.
static void states_that_lie(void **state)
{
	struct virtio_blk *blk;

	(void)state;
	begin(ORDERED);
	flush(0, VIRTIO_BLK_T_FLUSH);
	flush(1, VIRTIO_BLK_T_FLUSH);
	blk = virtio_blk_of(env.device);
	blk->requests[0].order = blk->requests[1].order;
	blk->requests[1].state = VIRTIO_BLK_DONE;
	blk->requests[1].id = 5; // was not in flight
	fake_complete(&env, 0, blk->requests[0].name, STATUS_OK);
	expect_used(0, 0, 1);
	assert_string_equal(env.report, "a chain comes back that was not in flight");
	assert_true(needs_reset());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(chains_come_back_as_they_went),
		TEST(a_read_that_waits_is_saved),
		TEST(chains_come_back_as_they_are_done),
		TEST(more_than_it_takes_waits),
		TEST(resets_forget_what_is_held),
		TEST(tables_are_in_order),
		TEST(headless_chains_are_not_given_back),
		TEST(states_that_lie),
	};

	return cmocka_run_group_tests_name("virtio_order", tests, NULL, NULL);
}
