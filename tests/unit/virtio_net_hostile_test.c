// SPDX-License-Identifier: BSD-2-Clause
// A driver of a virtio network device that does what it must not: frames that are none are dropped,
// commands refused, and of what cannot be the device says so once, and does nothing any more.
#include "tests/unit/virtio_net_bench.h"

static const uint64_t kinds[] = {MODERN, PACKED};

static void drops_what_is_no_frame(void **state)
{
	(void)state;
	begin(MODERN | BIT(VIRTIO_NET_F_CSUM));
	(void)frame_make(bench_mac, 60);
	send(0, DEVICE_FRAME_MAX + 1);
	send(2, DEVICE_FRAME_MIN - 1);
	header_put(0, 1, 0, 0); // segments were not negotiated
	send(4, 60);
	header_put(VIRTIO_NET_HDR_NEEDS_CSUM, 0, 0, 0);
	send(6, 60);
	for (unsigned i = 0; i < 4; i++)
		expect_used(SEND, 2 * i, 0, 2);
	header_put(VIRTIO_NET_HDR_NEEDS_CSUM, 0, 34, 25); // its second byte is behind the end
	send(0, 60);
	header_put(VIRTIO_NET_HDR_NEEDS_CSUM, 0, UINT16_MAX, UINT16_MAX);
	send(2, 60);
	assert_int_equal(env.sends, 0);
	assert_int_equal(counts().send_dropped, 6);
	assert_false(needs_reset());
	header_put(VIRTIO_NET_HDR_NEEDS_CSUM, 0, 34, 24);
	send(4, 60);
	assert_int_equal(env.sends, 1);
	assert_int_equal(env.frame.checksum_start, 34);
	assert_int_equal(env.frame.checksum_offset, 24);
	begin(MODERN); // not negotiated: the flag says nothing
	header_put(VIRTIO_NET_HDR_NEEDS_CSUM, 0, 34, 24);
	send(0, 60);
	assert_int_equal(env.sends, 1);
	assert_int_equal(env.frame.checksum_start, 0);
}

static void wrong_commands(void **state)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, on = 1, two = 2;
	static const uint8_t lies[8] = {2, 0, 0, 0}, more[10] = {0xff, 0xff, 0xff, 0xff};
	uint16_t vlan = 4096;

	(void)state;
	begin(MODERN | CONTROLS);
	assert_int_equal(command(9, 0, &on, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_RX, 7, &on, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_RX, 0, &two, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 0, lies, 8), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 0, more, 10), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 1, group, 6), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 1, bench_mac, 5), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 2, bench_mac, 6), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_VLAN, 0, &vlan, 2), VIRTIO_NET_ERR);
	vlan = 1;
	assert_int_equal(command(VIRTIO_NET_CTRL_VLAN, 2, &vlan, 2), VIRTIO_NET_ERR);
	begin(MODERN); // nothing of it was negotiated
	assert_int_equal(command(VIRTIO_NET_CTRL_RX, 0, &on, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 1, bench_mac, 6), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_VLAN, 0, &vlan, 2), VIRTIO_NET_ERR);
	assert_false(needs_reset());
}

static void expect_broken(const char *reason)
{
	assert_true(needs_reset());
	assert_int_equal(env.reports, 1);
	assert_string_equal(env.report, reason);
	for (unsigned i = 0; i < VIRTIO_NET_QUEUES; i++)
		notify(i);
	fake_packet(&env, 0, &(struct device_frame){.bytes = content, .count = 60});
	assert_int_equal(env.sends, 0);
	assert_int_equal(env.reports, 1);
	fake_save_and_load(&env);
}

static void breaks(void **state)
{
	const struct device_frame frame = frame_make(bench_mac, 60);
	const uint64_t nowhere = FAKE_RAM_BYTES;
	const struct {
		const char *reason;
		unsigned queue, count;
		struct part parts[3];
	} rows[] = {
		{"a frame to be sent has no header", SEND, 1, {{HEADER, 11, 0}}},
		{"a frame to be sent has no header", SEND, 1, {{BUFFER, 100, WRITE}}},
		{"the header of a frame is not in memory", SEND, 1, {{nowhere, 100, 0}}},
		{"a frame to be sent is not in memory", SEND, 2,
			{{HEADER, 12, 0}, {nowhere - 10, 60, 0}}},
		{"memory to be read comes behind memory to be written", SEND, 2,
			{{BUFFER, 12, WRITE}, {HEADER, 60, 0}}},
		{"a descriptor has no bytes", SEND, 2, {{HEADER, 12, 0}, {HEADER, 0, 0}}},
		{"a buffer for frames cannot be written", RECEIVE, 1, {{BUFFER, 100, 0}}},
		{"a buffer for frames has no room for a header", RECEIVE, 1, {{BUFFER, 11, WRITE}}},
		{"a buffer for frames is not in memory", RECEIVE, 1, {{nowhere, 100, WRITE}}},
		{"a command has no room for an answer", CONTROL, 1, {{HEADER, 3, 0}}},
		{"a command is missing, or not in memory", CONTROL, 1, {{BUFFER, 1, WRITE}}},
		{"the answer to a command is not in memory", CONTROL, 2,
			{{HEADER, 3, 0}, {nowhere, 1, WRITE}}},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++)
		for (unsigned kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
			begin(kinds[kind]);
			chain(rows[i].queue, 0, rows[i].parts, rows[i].count);
			if (rows[i].queue != RECEIVE)
				notify(rows[i].queue);
			else
				fake_packet(&env, 0, &frame);
			expect_broken(rows[i].reason);
		}
}

enum { LARGE = 128 };

// Split, of the largest size, all of it available: descriptors of `bytes` each.
static void large_queue(unsigned queue, uint32_t bytes, uint16_t flags, uint16_t count)
{
	const struct virtio_descriptor descriptor = {DATA, bytes, flags, 0};

	begin(MODERN | MERGE | BIT(VIRTIO_F_RING_RESET));
	common_set(VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
	common_set(VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	common_set(VIRTIO_COMMON_QUEUE_SIZE, 2, LARGE);
	common_set(VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, ring_at(queue, 0));
	common_set(VIRTIO_COMMON_QUEUE_DRIVER, 8, ring_at(queue, 1));
	common_set(VIRTIO_COMMON_QUEUE_DEVICE, 8, ring_at(queue, 2));
	common_set(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	for (uint16_t i = 0; i < count; i++) {
		put(ring_at(queue, 0) + 16u * i, &descriptor, sizeof(descriptor));
		put16(ring_at(queue, 1) + 4 + 2u * i, i);
	}
	put16(ring_at(queue, 1) + 2, count);
}

// 16 buffers are as many as a frame gets, however small they are.
static void small_buffers_are_not_endless(void **state)
{
	struct device_frame frame = frame_make(bench_mac, 16 * 20 - HEADER_BYTES);

	(void)state;
	large_queue(RECEIVE, 20, WRITE, LARGE);
	fake_packet(&env, 0, &frame);
	assert_int_equal(get16(ring_at(RECEIVE, 2) + 2), 16);
	frame.count++;
	fake_packet(&env, 0, &frame);
	assert_int_equal(get16(ring_at(RECEIVE, 2) + 2), 16);
	assert_int_equal(counts().receive_dropped, 1);
	assert_false(needs_reset());
}

// One stimulus sends no more than so many; a bottom half goes on.
static void work_is_bounded(void **state)
{
	enum { COUNT = 100 };

	(void)state;
	large_queue(SEND, 72, 0, COUNT);
	notify(SEND);
	assert_int_equal(env.sends, 64);
	assert_true(env.bottom_half[0]);
	fake_save_and_load(&env);
	fake_run_bottom_halves(&env);
	assert_int_equal(env.sends, COUNT);
	assert_int_equal(get16(ring_at(SEND, 2) + 2), COUNT);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % limit;
}

static uint64_t random_address(unsigned i)
{
	static const uint64_t places[] = {HEADER, DATA, BUFFER, ANSWER, FAKE_RAM_BYTES - 8,
		UINT64_MAX - 4, RINGS};

	return places[random_below(ARRAY_COUNT(places))] + i;
}

// Chains of anything in all queues, frames of any length, registers written meanwhile.
static void withstands_random_drivers(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		begin(kinds[round % 2] | (random_below(2) ? MERGE : 0) | CONTROLS |
			(random_below(2) ? BIT(VIRTIO_NET_F_CSUM) : 0));
		for (unsigned i = 0; i < 40; i++) {
			const unsigned queue = random_below(VIRTIO_NET_QUEUES);
			struct part parts[3];
			struct device_frame frame = frame_make(bench_mac,
				(uint16_t)(DEVICE_FRAME_MIN + random_below(1505)));

			for (unsigned n = 0; n < 3; n++)
				parts[n] = (struct part){random_address(n), random_below(40) == 0
					? random_below(UINT32_MAX) : 1 + random_below(900),
					queue == RECEIVE || random_below(5) == 0 ? WRITE : 0};
			chain(queue, (uint16_t)random_below(QUEUE_SIZE), parts,
				1 + random_below(3));
			env.ram[HEADER + random_below(16)] = (uint8_t)random_below(256);
			notify(queue);
			fake_packet(&env, 0, &frame);
			fake_run_bottom_halves(&env);
			if (random_below(30) == 0)
				common_set(random_below(VIRTIO_COMMON_BYTES / 4) * 4, 4,
					random_below(256));
			if (random_below(30) == 0)
				fake_save_and_load(&env);
			assert_int_equal(state_check(virtio_net_model.state, env.device, NULL),
				STATUS_OK);
		}
		fake_clear(&env);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(drops_what_is_no_frame),
		TEST(wrong_commands),
		TEST(breaks),
		TEST(small_buffers_are_not_endless),
		TEST(work_is_bounded),
		TEST(withstands_random_drivers),
	};

	return cmocka_run_group_tests_name("virtio_net_hostile", tests, NULL, NULL);
}
