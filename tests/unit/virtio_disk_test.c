// SPDX-License-Identifier: BSD-2-Clause
// A virtio block device with a driver that does as VIRTIO 1.2 says: emul/virtio_blk.c, and the
// queues below it.
#include "tests/unit/virtio_bench.h"

static const uint64_t split_kinds[] = {MODERN, MODERN | BIT(VIRTIO_F_RING_PACKED)};

// 3.1.1, 2.2: features are what both have.
static void negotiates(void **state)
{
	(void)state;
	assert_true(features_get() & MODERN);
	assert_false(features_get() & BIT(VIRTIO_BLK_F_RO));
	status_set(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	features_set(MODERN | BIT(60));
	status_set(OK_STATUS);
	assert_int_equal(status_get() & VIRTIO_STATUS_FEATURES_OK, 0);
	features_set(BIT(VIRTIO_BLK_F_FLUSH)); // not modern
	status_set(OK_STATUS);
	assert_int_equal(status_get() & VIRTIO_STATUS_FEATURES_OK, 0);
	features_set(MODERN);
	status_set(OK_STATUS);
	assert_int_equal(status_get(), OK_STATUS);
	features_set(MODERN | BIT(VIRTIO_BLK_F_FLUSH)); // too late
	common_set(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	assert_int_equal(common_get(VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_COUNT, 2), VIRTIO_QUEUES_MAX);
	fake_save_and_load(&env);
	status_set(0);
	assert_int_equal(status_get(), 0);
}

// 5.2.4
static void shows_its_configuration(void **state)
{
	(void)state;
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 8), SECTORS);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 12, 4), VIRTIO_BLK_PIECES_MAX);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 20, 4), 512);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 34, 2), VIRTIO_QUEUES_MAX);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 60, 4), 0);
	common_set(VIRTIO_DEVICE_AT, 4, 7); // nothing but writeback can be written, if negotiated
	common_set(VIRTIO_DEVICE_AT + 32, 1, 0);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 4), SECTORS);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 32, 1), 1);
	begin(MODERN | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	common_set(VIRTIO_DEVICE_AT + 32, 1, 0);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 32, 1), 0);
}

static void reads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(split_kinds); i++) {
		begin(split_kinds[i]);
		request(3, VIRTIO_BLK_T_IN, 7, DATA, 1024);
		assert_int_equal(env.submits, 1);
		assert_int_equal(env.io.kind, DEVICE_IO_READ);
		assert_int_equal(env.io.offset, 7 * 512);
		assert_int_equal(env.io.piece_count, 1);
		assert_int_equal(env.io_pieces[0].at.v, DATA);
		assert_int_equal(env.io_pieces[0].bytes, 1024);
		assert_false(env.line[0]);
		fake_save_and_load(&env);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
		expect_used(0, 3, 1025);
		assert_true(env.line[0]); // by the pin, until the ISR is read
		assert_int_equal(common_get(VIRTIO_ISR_AT, 1), VIRTIO_ISR_QUEUE);
		assert_false(env.line[0]);
		assert_int_equal(common_get(VIRTIO_ISR_AT, 1), 0);
		assert_false(needs_reset());
	}
}

static void writes_in_pieces(void **state)
{
	const struct part parts[] = {{HEADER, 8, 0}, {HEADER + 8, 8 + 24, 0}, {DATA, 1000, 0},
		{STATUS, 1, WRITE}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(split_kinds); i++) {
		begin(split_kinds[i]);
		header(VIRTIO_BLK_T_OUT, SECTORS - 2); // header and data as they come: 2.7.4
		chain(1, parts, 4);
		notify(0);
		assert_int_equal(env.io.kind, DEVICE_IO_WRITE);
		assert_int_equal(env.io.piece_count, 2);
		assert_int_equal(env.io_pieces[0].at.v, HEADER + 16);
		assert_int_equal(env.io_pieces[0].bytes, 24);
		assert_int_equal(env.io_pieces[1].bytes, 1000);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		expect_used(0, 1, 1);
		assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
	}
}

// What is more than a back end takes goes part by part.
static void large_requests_go_by_parts(void **state)
{
	(void)state;
	begin(MODERN);
	request(0, VIRTIO_BLK_T_IN, 0, 0x7000, 0x9000);
	assert_int_equal(env.io_pieces[0].bytes, DEVICE_IO_BYTES_MAX);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	assert_int_equal(env.submits, 2);
	assert_int_equal(env.io.offset, DEVICE_IO_BYTES_MAX);
	assert_int_equal(env.io_pieces[0].at.v, 0x7000 + DEVICE_IO_BYTES_MAX);
	assert_int_equal(env.io_pieces[0].bytes, 0x1000);
	assert_int_equal(used_count(), 0);
	fake_save_and_load(&env);
	fake_complete(&env, 0, 12345, STATUS_OK); // nobody's
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	expect_used(0, 0, 0x9001);
	assert_int_equal(used_count(), 1);
}

static void other_requests(void **state)
{
	const uint32_t range[] = {100, 0, 8, 1};

	(void)state;
	begin(MODERN | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(env.submits, 0);
	assert_string_equal((char *)env.ram + DATA, "a serial");
	expect_used(0, 0, 21);
	env.ram[DATA + 3] = 'x';
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 3); // as much as there is room for
	assert_int_equal(env.ram[DATA + 3], 'x');
	expect_used(1, 0, 4);
	request(0, VIRTIO_BLK_T_FLUSH, 0, DATA, 1);
	assert_int_equal(env.io.kind, DEVICE_IO_FLUSH);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
	put(DATA, range, sizeof(range));
	request(0, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16);
	assert_int_equal(env.io.kind, DEVICE_IO_ZERO);
	assert_int_equal(env.io.offset, 100 * 512);
	assert_int_equal(env.io.bytes, 8 * 512);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	expect_used(3, 0, 1);
	request(0, VIRTIO_BLK_T_DISCARD, 0, DATA, 16); // UNMAP is not for discards
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_UNSUPP);
	env.ram[DATA + 12] = 0;
	request(0, VIRTIO_BLK_T_DISCARD, 0, DATA, 16);
	assert_int_equal(env.io.kind, DEVICE_IO_DISCARD);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	request(0, 99, 0, DATA, 16);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(used_count(), 7);
	begin(MODERN); // without the features
	put(DATA, range, sizeof(range));
	request(0, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(env.submits, 0);
}

static void errors_reach_the_driver(void **state)
{
	(void)state;
	begin(MODERN);
	request(0, VIRTIO_BLK_T_IN, SECTORS - 1, DATA, 1024); // half of it is beyond
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	request(0, VIRTIO_BLK_T_IN, UINT64_MAX, DATA, 512);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 100); // no sectors
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	assert_int_equal(env.submits, 0);
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	fake_complete(&env, 0, env.io.request, STATUS_IO);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	expect_used(3, 0, 1);
	env.submit_answer = STATUS_RANGE; // memory that is not RAM
	request(0, VIRTIO_BLK_T_IN, 0, 0xfee00000, 512);
	env.submit_answer = STATUS_OK;
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	assert_int_equal(used_count(), 5);
	assert_false(needs_reset());
}

static void a_busy_back_end_is_asked_again(void **state)
{
	(void)state;
	begin(MODERN);
	env.submit_answer = STATUS_BUSY;
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	assert_int_equal(env.submits, 1);
	fake_save_and_load(&env);
	fake_advance(&env, 200000);
	assert_true(env.submits >= 2);
	env.submit_answer = STATUS_OK;
	fake_advance(&env, 200000);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	assert_int_equal(used_count(), 1);
	assert_int_equal(env.deadline[0].ns, UINT64_MAX);
}

// 2.7.10: the driver says from where on it wants to hear, and so does the device.
static void events_are_suppressed(void **state)
{
	(void)state;
	begin(MODERN | BIT(VIRTIO_F_EVENT_IDX));
	for (unsigned i = 0; i < 3; i++) {
		put16(DRIVER + 4 + 2 * QUEUE_SIZE, 2); // used_event: the third
		request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
		assert_int_equal(get16(DEVICE + 4 + 8 * QUEUE_SIZE), i + 1); // avail_event
		if (i == 0) // the first is always told
			(void)common_get(VIRTIO_ISR_AT, 1);
		else
			assert_int_equal(env.line[0], i == 2);
	}
	begin(MODERN);
	put16(DRIVER, VIRTIO_AVAILABLE_NO_INTERRUPT);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_false(env.line[0]);
	put16(DRIVER, 0);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_true(env.line[0]);
	begin(MODERN | BIT(VIRTIO_F_RING_PACKED));
	put16(DRIVER + 2, VIRTIO_EVENTS_OFF);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_false(env.line[0]);
	assert_int_equal(get16(DEVICE + 2), VIRTIO_EVENTS_ON);
	put16(DRIVER + 2, VIRTIO_EVENTS_ON);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_true(env.line[0]);
	begin(MODERN | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_EVENT_IDX));
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20); // descriptors 0 to 2
	(void)common_get(VIRTIO_ISR_AT, 1);
	put16(DRIVER, 0x8000 | 6);
	put16(DRIVER + 2, VIRTIO_EVENTS_AT);
	request(1, VIRTIO_BLK_T_GET_ID, 0, DATA, 20); // 3 to 5
	assert_false(env.line[0]);
	request(2, VIRTIO_BLK_T_GET_ID, 0, DATA, 20); // 6, 7, and 0 of the next round
	assert_true(env.line[0]);
	assert_int_equal(get16(DEVICE), 1); // the next, of the second round
	assert_int_equal(get16(DEVICE + 2), VIRTIO_EVENTS_AT);
}

// Round and round, with an indirect table: every place of the rings is used.
static void go_round(void)
{
	static const struct part table = {TABLE, 3 * 16, INDIRECT};
	static const struct part parts[] = {{HEADER, 16, NEXT}, {DATA, 20, WRITE | NEXT},
		{STATUS, 1, WRITE}};

	for (unsigned kind = 0; kind < ARRAY_COUNT(split_kinds); kind++) {
		begin(split_kinds[kind] | BIT(VIRTIO_F_INDIRECT_DESC));
		for (unsigned i = 0; i < 3; i++)
			split_descriptor(TABLE, i, &parts[i], (uint16_t)(i + 1));
		for (unsigned i = 0; i < 100; i++) {
			unsigned at = i % QUEUE_SIZE;

			header(VIRTIO_BLK_T_GET_ID, 0);
			chain((uint16_t)(i % QUEUE_SIZE), &table, 1);
			notify(0);
			assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
			expect_used(at, i % QUEUE_SIZE, 21);
			if (i % 7 == 0)
				fake_save_and_load(&env);
		}
		if (!packed)
			assert_int_equal(used_count(), 100);
		assert_int_equal(env.maps, env.refuses_maps ? 0 : VIRTIO_QUEUE_PARTS);
		status_set(0);
		assert_int_equal(env.maps, 0);
	}
}

static void rings_go_round(void **state)
{
	(void)state;
	go_round();
	env.refuses_maps = true; // each access by itself
	go_round();
}

// 2.4, 2.6.1: what is in flight is forgotten, and its memory left alone.
static void resets_drop_what_is_in_flight(void **state)
{
	uint64_t name;

	(void)state;
	begin(MODERN | BIT(VIRTIO_F_RING_RESET));
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	name = env.io.request;
	common_set(VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	assert_int_equal(env.drops, 1);
	assert_int_equal(env.dropped, name);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	fake_complete(&env, 0, name, STATUS_OK);
	assert_int_equal(used_count(), 0);
	memset(env.ram, 0, sizeof(env.ram));
	next = 0;
	queue_place(0, QUEUE_SIZE, RING, DRIVER, DEVICE);
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	assert_int_not_equal(env.io.request, name);
	status_set(0);
	assert_int_equal(env.drops, 2);
}

static void more_than_it_takes_waits(void **state)
{
	enum { SIZE = 128 };
	uint64_t first = 0;

	(void)state;
	begin_none(MODERN);
	queue_place(0, SIZE, RING, DRIVER, DEVICE);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	header(VIRTIO_BLK_T_FLUSH, 0);
	for (uint16_t i = 0; i < 40; i++) {
		split_descriptor(RING, 2u * i, &(const struct part){HEADER, 16, NEXT},
			(uint16_t)(2 * i + 1));
		split_descriptor(RING, 2u * i + 1, &(const struct part){STATUS, 1, WRITE}, 0);
		put16(DRIVER + 4 + 2u * i, (uint16_t)(2 * i));
	}
	put16(DRIVER + 2, 40);
	fake_clear(&env);
	notify(0);
	assert_int_equal(env.submits, VIRTIO_BLK_REQUESTS);
	first = env.io.request;
	fake_save_and_load(&env);
	fake_complete(&env, 0, first, STATUS_OK);
	assert_int_equal(env.submits, VIRTIO_BLK_REQUESTS + 1);
	assert_int_equal(used_count(), 1);
}

static void a_readonly_medium_is_not_written(void **state)
{
	(void)state;
	fake_destroy(&env);
	readonly = true;
	(void)fake_create(&env, &virtio_blk_model);
	assert_true(features_get() & BIT(VIRTIO_BLK_F_RO));
	assert_false(features_get() & BIT(VIRTIO_BLK_F_DISCARD));
	begin(MODERN | BIT(VIRTIO_BLK_F_RO));
	request(0, VIRTIO_BLK_T_OUT, 0, DATA, 512);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	assert_int_equal(env.submits, 0);
}

static void checks_state(void **state)
{
	struct virtio_blk *blk = virtio_blk_of(env.device);

	(void)state;
	fake_check_coverage(&virtio_blk_model);
	fake_check_ranges(&env);
	begin(MODERN);
	blk->virtio.queues[0].flying[1] = 1;
	assert_int_equal(state_check(virtio_blk_model.state, blk, NULL), STATUS_INVALID);
	blk->virtio.queues[0].flying[1] = 0;
	blk->virtio.queues[0].size = 7;
	assert_int_equal(state_check(virtio_blk_model.state, blk, NULL), STATUS_INVALID);
	blk->virtio.queues[0].size = 8;
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	blk->requests[0].queue = 1;
	assert_int_equal(state_check(virtio_blk_model.state, blk, NULL), STATUS_INVALID);
	blk->requests[0].queue = 0;
	assert_int_equal(state_check(virtio_blk_model.state, blk, NULL), STATUS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(negotiates),
		TEST(shows_its_configuration),
		TEST(reads),
		TEST(writes_in_pieces),
		TEST(large_requests_go_by_parts),
		TEST(other_requests),
		TEST(errors_reach_the_driver),
		TEST(a_busy_back_end_is_asked_again),
		TEST(events_are_suppressed),
		TEST(rings_go_round),
		TEST(resets_drop_what_is_in_flight),
		TEST(more_than_it_takes_waits),
		TEST(a_readonly_medium_is_not_written),
		TEST(checks_state),
	};

	return cmocka_run_group_tests_name("virtio_disk", tests, NULL, NULL);
}
