// SPDX-License-Identifier: BSD-2-Clause
// A virtio network device (emul/virtio_net*.c): frames both ways, buffers that are merged,
// checksums, filters.
#include "tests/unit/virtio_net_bench.h"

static const uint64_t kinds[] = {MODERN, PACKED};

static void sends(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		(void)frame_make(bench_mac, 60);
		send(0, 60);
		assert_int_equal(env.sends, 1);
		assert_int_equal(env.frame.count, 60);
		assert_int_equal(env.frame.checksum_start, 0);
		assert_memory_equal(env.frame_bytes, content, 60);
		expect_used(SEND, 0, 0, 2);
		assert_true(env.line[0]);
		fake_save_and_load(&env);
		for (uint16_t round = 0; round < 20; round++) {
			send((uint16_t)(2 * round % QUEUE_SIZE), DEVICE_FRAME_MAX);
			expect_used(SEND, 2u * round % QUEUE_SIZE, 0, 2);
		}
		assert_int_equal(env.sends, 21);
		assert_int_equal(env.frame.count, DEVICE_FRAME_MAX);
		assert_memory_equal(env.frame_bytes, content, DEVICE_FRAME_MAX);
		assert_false(needs_reset());
	}
	assert_int_equal(counts().sent, 42);
}

// 2.7.4: any layout, header and frame in pieces as they come.
static void sends_in_pieces(void **state)
{
	const struct part parts[] = {{HEADER, 5, 0}, {HEADER + 5, 7, 0}, {DATA, 3, 0},
		{DATA + 3, 57, 0}};
	const struct part one = {HEADER, HEADER_BYTES + 100, 0};

	(void)state;
	begin(MODERN);
	(void)frame_make(bench_mac, 60);
	put(DATA, content, 60);
	chain(SEND, 0, parts, 4);
	notify(SEND);
	assert_int_equal(env.frame.count, 60);
	assert_memory_equal(env.frame_bytes, content, 60);
	put(HEADER + HEADER_BYTES, content, 100);
	chain(SEND, 4, &one, 1);
	notify(SEND);
	assert_int_equal(env.frame.count, 100);
	assert_memory_equal(env.frame_bytes, content, 100);
}

static void receives(void **state)
{
	struct device_frame frame;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		frame = frame_make(bench_mac, 700);
		fake_packet(&env, 0, &frame); // no buffer yet
		for (uint16_t round = 0; round < 20; round++) {
			memset(env.ram + BUFFER, 0xee, 0x800);
			buffer(round % QUEUE_SIZE, BUFFER, 0x800);
			fake_packet(&env, 0, &frame);
			expect_used(RECEIVE, round % QUEUE_SIZE, 712, 1);
			assert_int_equal(get16(BUFFER), 0);
			assert_int_equal(get16(BUFFER + 10), 1);
			assert_memory_equal(env.ram + BUFFER + HEADER_BYTES, content, 700);
			assert_int_equal(env.ram[BUFFER + 712], 0xee);
			assert_true(env.line[0]);
			(void)common_get(VIRTIO_ISR_AT, 1);
			if (round % 8 == 3)
				fake_save_and_load(&env);
		}
		assert_false(needs_reset());
	}
	assert_int_equal(counts().received, 40);
	assert_int_equal(counts().receive_dropped, 2);
}

// 5.1.6.4: what is too small stays for the next frame.
static void a_small_buffer_stays(void **state)
{
	struct device_frame frame = frame_make(bench_mac, 700);

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		buffer(0, BUFFER, 711);
		buffer(1, BUFFER, 0x800);
		frame.count = 700;
		fake_packet(&env, 0, &frame);
		assert_false(used_is_there(RECEIVE));
		assert_false(needs_reset());
		fake_save_and_load(&env);
		frame.count = 699;
		fake_packet(&env, 0, &frame);
		expect_used(RECEIVE, 0, 711, 1);
		assert_false(used_is_there(RECEIVE));
	}
	assert_int_equal(counts().receive_dropped, 2);
}

static void buffers_are_merged(void **state)
{
	struct device_frame frame = frame_make(bench_mac, 1000);

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i] | MERGE);
		for (uint16_t n = 0; n < 4; n++)
			buffer(n, BUFFER + n * 0x400u, 400);
		fake_packet(&env, 0, &frame);
		expect_used(RECEIVE, 0, 400, 1);
		expect_used(RECEIVE, 1, 400, 1);
		expect_used(RECEIVE, 2, 212, 1);
		assert_false(used_is_there(RECEIVE));
		assert_int_equal(get16(BUFFER + 10), 3);
		assert_memory_equal(env.ram + BUFFER + 12, content, 388);
		assert_memory_equal(env.ram + BUFFER + 0x400, content + 388, 400);
		assert_memory_equal(env.ram + BUFFER + 0x800, content + 788, 212);
		fake_packet(&env, 0, &frame); // one is left: it stays
		assert_false(used_is_there(RECEIVE));
		for (uint16_t n = 4; n < 7; n++)
			buffer(n, BUFFER + (n - 4) * 0x400u, 400);
		fake_packet(&env, 0, &frame);
		expect_used(RECEIVE, 3, 400, 1);
		expect_used(RECEIVE, 4, 400, 1);
		expect_used(RECEIVE, 5, 212, 1);
		assert_false(used_is_there(RECEIVE));
		assert_false(needs_reset());
	}
	assert_int_equal(counts().receive_dropped, 2);
}

// The header's last two bytes in two pieces.
static void headers_in_pieces(void **state)
{
	const struct part parts[] = {{BUFFER, 3, WRITE}, {BUFFER + 0x100, 8, WRITE},
		{BUFFER + 0x200, 20, WRITE}};
	struct device_frame frame = frame_make(bench_mac, 100);

	(void)state;
	begin(MODERN | MERGE);
	chain(RECEIVE, 0, parts, 3);
	buffer(3, BUFFER + 0x400, 100);
	fake_packet(&env, 0, &frame);
	expect_used(RECEIVE, 0, 31, 3);
	expect_used(RECEIVE, 3, 81, 1);
	assert_int_equal(env.ram[BUFFER + 0x107], 2);
	assert_int_equal(env.ram[BUFFER + 0x200], 0);
	assert_memory_equal(env.ram + BUFFER + 0x201, content, 19);
	assert_memory_equal(env.ram + BUFFER + 0x400, content + 19, 81);
}

// 5.1.6.4: a checksum is completed for who cannot, and left to who can.
static void checksums(void **state)
{
	struct device_frame frame = frame_make(bench_mac, 64);

	(void)state;
	memset(content + 34, 0, 30);
	content[34] = 0x12;
	content[35] = 0x34;
	content[63] = 0x01;
	content[40] = 0x00; // the field: a pseudo header's sum
	content[41] = 0x10;
	frame.checksum_start = 34;
	frame.checksum_offset = 6;
	begin(MODERN | BIT(VIRTIO_NET_F_GUEST_CSUM));
	buffer(0, BUFFER, 0x800);
	fake_packet(&env, 0, &frame);
	assert_int_equal(env.ram[BUFFER], VIRTIO_NET_HDR_NEEDS_CSUM);
	assert_int_equal(get16(BUFFER + 6), 34);
	assert_int_equal(get16(BUFFER + 8), 6);
	assert_memory_equal(env.ram + BUFFER + HEADER_BYTES, content, 64);
	begin(MODERN);
	buffer(0, BUFFER, 0x800);
	fake_packet(&env, 0, &frame);
	assert_int_equal(env.ram[BUFFER], 0);
	// 1234h + 0010h + 0001h = 1245h
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 40], 0xed);
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 41], 0xba);
	assert_int_equal(content[41], 0x10); // the frame is others' too
	frame.count = 63; // an odd number of bytes, with a carry
	content[34] = 0xff;
	content[35] = 0xf0;
	buffer(1, BUFFER, 0x800);
	fake_packet(&env, 0, &frame);
	// fff0h + 0010h = 10000h: 0001h
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 40], 0xff);
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 41], 0xfe);
	content[35] = 0xef; // all ones: 0 would be none
	buffer(2, BUFFER, 0x800);
	fake_packet(&env, 0, &frame);
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 40], 0xff);
	assert_int_equal(env.ram[BUFFER + HEADER_BYTES + 41], 0xff);
}

static bool is_received(const uint8_t *to, unsigned vlan)
{
	struct device_frame frame = frame_make(to, 100);
	uint64_t before = counts().received;

	if (vlan != 0) {
		content[12] = 0x81;
		content[13] = 0;
		content[14] = (uint8_t)(vlan >> 8 | 0xe0); // with a priority
		content[15] = (uint8_t)vlan;
	}
	fake_packet(&env, 0, &frame);
	return counts().received != before;
}

static void filters(void **state)
{
	static const uint8_t other[6] = {2, 9, 9, 9, 9, 9}, group[6] = {1, 0, 0x5e, 0, 0, 1};
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, on = 1, off = 0;
	uint8_t table[4 + 6 + 4 + 6] = {[0] = 1, [10] = 1};
	static uint8_t many[4 + 33 * 6 + 4] = {[0] = 33};
	uint16_t vlan = 5;

	(void)state;
	memcpy(table + 4, other, 6);
	memcpy(table + 14, group, 6);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i] | MERGE | CONTROLS);
		for (uint16_t n = 0; n < QUEUE_SIZE; n++) // never enough of them goes
			buffer(n, BUFFER + n * 0x100u, 0x100);
		assert_true(is_received(other, 0) && is_received(other, 5)); // as at first
		assert_int_equal(command(VIRTIO_NET_CTRL_RX, 0, &off, 1), VIRTIO_NET_OK);
		assert_true(is_received(bench_mac, 0) && is_received(all, 0));
		assert_false(is_received(other, 0) || is_received(group, 0));
		assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 0, table, sizeof(table)),
			VIRTIO_NET_OK);
		fake_save_and_load(&env);
		assert_true(is_received(other, 0) && is_received(group, 0));
		begin(kinds[i] | MERGE | CONTROLS); // a reset makes it receive everything
		for (uint16_t n = 0; n < QUEUE_SIZE; n++)
			buffer(n, BUFFER + n * 0x100u, 0x100);
		assert_true(is_received(other, 0));
		assert_int_equal(command(VIRTIO_NET_CTRL_RX, 0, &off, 1), VIRTIO_NET_OK);
		assert_false(is_received(bench_mac, 5));
		assert_int_equal(command(VIRTIO_NET_CTRL_VLAN, 0, &vlan, 2), VIRTIO_NET_OK);
		assert_true(is_received(bench_mac, 5));
		assert_int_equal(command(VIRTIO_NET_CTRL_VLAN, 1, &vlan, 2), VIRTIO_NET_OK);
		assert_false(is_received(bench_mac, 5));
		assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 1, other, 6), VIRTIO_NET_OK);
		assert_memory_equal(&(uint64_t){common_get(VIRTIO_DEVICE_AT, 8)}, other, 6);
		assert_true(is_received(other, 0) && !is_received(bench_mac, 0));
		assert_int_equal(command(VIRTIO_NET_CTRL_MAC, 0, many, sizeof(many)),
			VIRTIO_NET_OK);
		assert_true(is_received(bench_mac, 0) && !is_received(group, 0));
		assert_int_equal(command(VIRTIO_NET_CTRL_RX, 1, &on, 1), VIRTIO_NET_OK);
		assert_true(is_received(group, 0));
	}
}

// 4.1.4.10, 5.1.6.1: a header of 10 bytes, and an address that is written.
static void legacy_drivers_are_served(void **state)
{
	const struct virtio_descriptor to_send = {HEADER, 70, 0, 0};
	const uint64_t ring = 0x1000, driver = ring + 16 * VIRTIO_QUEUE_SIZE_MAX;

	(void)state;
	fake_write(&env, PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2, 7);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 3);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4,
		BIT(VIRTIO_NET_F_MAC));
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_SELECT, 2, SEND);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4, 1);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 7);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DEVICE + 5, 1), 0x55);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DEVICE + 5, 1, 0x66);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DEVICE + 5, 1), 0x66);
	assert_int_equal(fake_read(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DEVICE + 6, 2), 1);
	(void)frame_make(bench_mac, 60);
	put(HEADER + 10, content, 60);
	put(ring, &to_send, sizeof(to_send));
	put16(driver + 2, 1);
	fake_write(&env, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_NOTIFY, 2, SEND);
	assert_int_equal(env.frame.count, 60);
	assert_memory_equal(env.frame_bytes, content, 60);
	begin(MODERN); // modern ones cannot
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 5, 1), 0x55);
	common_set(VIRTIO_DEVICE_AT + 5, 1, 0x77);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 5, 1), 0x55);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 10, 2), 1500);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x10001af4);
}

// Before its driver is ready everything is lost, and nothing else happens.
static void without_a_driver(void **state)
{
	const struct device_frame frame = frame_make(bench_mac, 60);

	(void)state;
	fake_packet(&env, 0, &frame);
	assert_int_equal(counts().receive_dropped, 1);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(counts().receive_dropped, 0);
}

static void checks_state(void **state)
{
	struct virtio_net *net = virtio_net_of(env.device);

	(void)state;
	fake_check_coverage(&virtio_net_model);
	fake_check_ranges(&env);
	begin(MODERN);
	net->virtio.queues[3].size = 8; // it has three
	assert_int_equal(state_check(virtio_net_model.state, net, NULL), STATUS_INVALID);
	net->virtio.queues[3].size = 0;
	assert_int_equal(state_check(virtio_net_model.state, net, NULL), STATUS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sends),
		TEST(sends_in_pieces),
		TEST(receives),
		TEST(a_small_buffer_stays),
		TEST(buffers_are_merged),
		TEST(headers_in_pieces),
		TEST(checksums),
		TEST(filters),
		TEST(legacy_drivers_are_served),
		TEST(without_a_driver),
		TEST(checks_state),
	};

	return cmocka_run_group_tests_name("virtio_net", tests, NULL, NULL);
}
