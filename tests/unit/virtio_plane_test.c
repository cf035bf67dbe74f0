// SPDX-License-Identifier: BSD-2-Clause
// Queues of a virtio disk that another core serves, one step after the other: emul/virtio_plane.c.
// With threads: dataplane_threads_test.c.
#include "tests/unit/virtio_bench.h"

static const uint64_t kinds[] = {MODERN, MODERN | BIT(VIRTIO_F_RING_PACKED),
	MODERN | BIT(VIRTIO_F_EVENT_IDX),
	MODERN | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED)};

static struct virtio_blk *blk(void)
{
	return virtio_blk_of(env.device);
}

static void begin_away(uint64_t features)
{
	env.give_answer = STATUS_OK;
	begin(features);
	assert_true(env.given && blk()->virtio.away);
}

// Whether the device asks its driver to notify.
static bool is_asked(uint64_t features)
{
	if (features & BIT(VIRTIO_F_RING_PACKED))
		return get16(DEVICE + 2) != VIRTIO_EVENTS_OFF;
	if (features & BIT(VIRTIO_F_EVENT_IDX))
		return get16(DEVICE + 4 + 8 * QUEUE_SIZE) == next;
	return (get16(DEVICE) & VIRTIO_USED_NO_NOTIFY) == 0;
}

// A notification leads there, what is served there is answered there; interrupts come from here.
static void serves_elsewhere(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_away(kinds[i]);
		request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
		assert_int_equal(env.kicks, 1);
		assert_int_equal(env.submits, 0);
		assert_true(fake_serve(&env, false));
		assert_int_equal(env.submits, 1);
		if (kinds[i] & (BIT(VIRTIO_F_RING_PACKED)))
			assert_false(is_asked(kinds[i]));
		assert_false(fake_serve(&env, false));
		assert_false(env.line[PCIDEV_OUTPUT_INTX]);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		assert_false(env.line[PCIDEV_OUTPUT_INTX]);
		assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
		expect_used(0, 0, 513);
		assert_false(fake_serve(&env, false)); // its note is carried out
		assert_true(env.line[PCIDEV_OUTPUT_INTX]);
		assert_int_equal(common_get(VIRTIO_ISR_AT, 1), 1);
		assert_false(fake_serve(&env, true));
		assert_true(is_asked(kinds[i]));
		assert_true(env.given);
		fake_reset(&env, DEVICE_RESET_LINE);
		assert_false(env.given);
	}
}

// What came between the last look and the wish to be notified is found.
static void looks_once_more(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_away(kinds[i]);
		assert_false(fake_serve(&env, false));
		request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
		assert_true(fake_serve(&env, true));
		assert_int_equal(env.submits, 1);
		fake_reset(&env, DEVICE_RESET_LINE);
	}
}

// What concerns the queues brings them back, and they go again.
static void comes_back_for_registers(void **state)
{
	(void)state;
	begin_away(MODERN);
	common_set(VIRTIO_COMMON_QUEUE_VECTOR, 2, 1);
	assert_true(env.given);
	env.give_answer = STATUS_BUSY;
	common_set(VIRTIO_COMMON_QUEUE_VECTOR, 2, 1);
	assert_false(env.given);
	assert_true(env.bottom_half[0]); // whatever was not looked at there
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_int_equal(env.submits, 1);
	fake_save_and_load(&env);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	assert_int_equal(used_count(), 1);
	env.give_answer = STATUS_OK;
	request(3, VIRTIO_BLK_T_IN, 8, DATA, 512); // nothing is in flight: they go
	assert_true(env.given);
	assert_int_equal(env.kicks, 1);
	assert_true(fake_serve(&env, false));
	status_set(0); // and what is in flight there is gone
	assert_false(env.given);
	assert_int_equal(status_get(), 0);
}

// They stay where there is no such core, and it is asked once.
static void stays_alone(void **state)
{
	(void)state;
	begin(MODERN);
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_int_equal(env.submits, 1);
	assert_true(blk()->virtio.stays);
	assert_false(env.bottom_half[0]);
}

// A machine that is to be saved has them, and a bottom half looks at what nobody did.
static void is_recalled(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_away(kinds[i]);
		assert_false(fake_serve(&env, false));
		request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
		fake_recall(&env);
		assert_true(env.bottom_half[0]);
		fake_save_and_load(&env);
		fake_run_bottom_halves(&env);
		assert_int_equal(env.submits, 1);
		assert_true(is_asked(kinds[i]));
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_OK);
		fake_reset(&env, DEVICE_RESET_LINE);
	}
}

// A lie is told by who has the lock, and heals with a reset.
static void notes_a_lie(void **state)
{
	(void)state;
	begin_away(MODERN);
	put16(DRIVER + 2, QUEUE_SIZE + 1);
	notify(0);
	assert_false(needs_reset());
	assert_int_equal(env.reports, 0);
	assert_false(fake_serve(&env, false));
	assert_true(needs_reset());
	assert_int_equal(env.reports, 1);
	assert_false(fake_serve(&env, false));
	assert_int_equal(env.reports, 1);
	begin_away(MODERN);
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_true(fake_serve(&env, false));
}

// Seeds that do anything, in any order.
static void withstands_any_order(void **state)
{
	uint64_t seed = 11;

	(void)state;
	env.give_answer = STATUS_OK;
	begin(MODERN);
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		env.give_answer = seed >> 60 == 0 ? STATUS_BUSY : STATUS_OK;
		switch (seed >> 40 & 15) {
		case 0:
			begin(kinds[seed >> 50 & 3]);
			break;
		case 1:
			env.ram[RING + (seed >> 44 & 0x1fff)] = (uint8_t)(seed >> 36);
			break;
		case 2:
			common_set(seed >> 44 & 0x3f, 1u << (seed >> 51 & 3), seed >> 20);
			break;
		case 3:
			if (env.given)
				fake_recall(&env);
			break;
		case 4:
			fake_run_bottom_halves(&env);
			break;
		case 5:
			if (!env.given)
				fake_save_and_load(&env);
			break;
		case 6 ... 9:
			fake_complete(&env, 0, blk()->requests[seed >> 44 & 31].name,
				seed >> 50 & 1 ? STATUS_OK : STATUS_IO);
			break;
		default:
			notify(0);
			if (env.given)
				(void)fake_serve(&env, seed >> 50 & 1);
			break;
		}
		assert_int_equal(env.given, blk()->virtio.away);
		assert_null(state_check(virtio_blk_model.state, env.device, NULL) == STATUS_OK
			? NULL : "state");
	}
}

// Its queues come back, and its next request has a name that none had before: the back end may be
// at those still.
static void is_ejected(void **state)
{
	uint64_t name;

	(void)state;
	begin_away(MODERN);
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_true(fake_serve(&env, false));
	name = env.io.request;
	fake_reset(&env, DEVICE_RESET_SLOT);
	assert_false(env.given);
	assert_true(blk()->virtio.status == 0 && blk()->used == 0);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2), 0);
	env.give_answer = STATUS_UNSUPPORTED;
	begin(MODERN);
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_true(env.io.request > name);
	fake_reset(&env, DEVICE_RESET_LINE); // nothing is under way then
	begin(MODERN);
	request(0, VIRTIO_BLK_T_IN, 8, DATA, 512);
	assert_true(env.io.request == name);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(serves_elsewhere),
		TEST(looks_once_more),
		TEST(comes_back_for_registers),
		TEST(is_ejected),
		TEST(stays_alone),
		TEST(is_recalled),
		TEST(notes_a_lie),
		TEST(withstands_any_order),
	};

	return cmocka_run_group_tests_name("virtio_plane", tests, NULL, NULL);
}
