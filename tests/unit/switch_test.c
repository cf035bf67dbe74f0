// SPDX-License-Identifier: BSD-2-Clause
// The switch: who gets which frame, what it learns and forgets, and its table when it is full.
#include "vm/switch.h"

#include "tests/unit/fake_env.h"

#include <string.h>

enum { PORTS = 4 };

static struct net_switch *lan;
static struct port {
	struct switch_port port;
	unsigned frames;
	bool full;
} ports[PORTS];
static uint64_t now;

static bool deliver(struct switch_port *port, const struct device_frame *frame)
{
	struct port *to = CONTAINER_OF(port, struct port, port);

	assert_int_equal(frame->count, 60);
	to->frames += !to->full;
	return !to->full;
}

static int setup(void **state)
{
	(void)state;
	lan = switch_get("lan");
	memset(ports, 0, sizeof(ports));
	for (unsigned i = 0; i < PORTS; i++) {
		ports[i].port.deliver = deliver;
		switch_attach(lan, &ports[i].port);
	}
	now = 1000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (struct switch_port *port = lan->ports; port != NULL; port = lan->ports)
		switch_detach(lan, port);
	switch_put(lan);
	return 0;
}

static void address_put(uint8_t *at, uint64_t address)
{
	for (unsigned i = 0; i < 6; i++)
		at[i] = (uint8_t)(address >> 8 * (5 - i));
}

static void send(unsigned port, uint64_t from, uint64_t to)
{
	uint8_t bytes[60] = {0};

	address_put(bytes, to);
	address_put(bytes + 6, from);
	for (unsigned i = 0; i < PORTS; i++)
		ports[i].frames = 0;
	switch_forward(lan, &ports[port].port, &(struct device_frame){.bytes = bytes, .count = 60},
		now);
}

// Bits: the ports that got the frame.
static unsigned got(void)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < PORTS; i++) {
		assert_in_range(ports[i].frames, 0, 1);
		bits |= ports[i].frames << i;
	}
	return bits;
}

#define A UINT64_C(0x020000000001)
#define B UINT64_C(0x020000000002)
#define ALL UINT64_C(0xffffffffffff)

static void learns(void **state)
{
	(void)state;
	send(0, A, B);
	assert_int_equal(got(), 0xe); // nobody knows
	send(1, B, A);
	assert_int_equal(got(), 0x1);
	send(0, A, B);
	assert_int_equal(got(), 0x2);
	send(2, A + 9, B);
	assert_int_equal(got(), 0x2);
	send(1, B + 9, B); // where it came from
	assert_int_equal(got(), 0);
	send(3, B, A); // it has moved
	assert_int_equal(got(), 0x1);
	send(0, A, B);
	assert_int_equal(got(), 0x8);
	assert_int_equal(ports[0].port.sent, 3);
	assert_int_equal(ports[0].port.received, 2);
}

static void groups_are_flooded(void **state)
{
	(void)state;
	send(0, A, ALL);
	assert_int_equal(got(), 0xe);
	send(1, ALL, UINT64_C(0x01005e000001)); // nobody has such an address: it is not learned
	assert_int_equal(got(), 0xd);
	send(2, B, ALL);
	assert_int_equal(got(), 0xb);
	send(2, B, UINT64_C(0x0180c2000001)); // between neighbours
	assert_int_equal(got(), 0);
	send(2, B, UINT64_C(0x0180c2000010));
	assert_int_equal(got(), 0xb);
}

static void forgets(void **state)
{
	(void)state;
	send(1, B, ALL);
	now += SWITCH_AGE_NS;
	send(0, A, B);
	assert_int_equal(got(), 0x2);
	now++;
	send(0, A, B);
	assert_int_equal(got(), 0xe);
	send(1, B, ALL);
	switch_detach(lan, &ports[1].port);
	send(0, A, B);
	assert_int_equal(got(), 0xc);
	switch_attach(lan, &ports[1].port);
}

// More addresses than there is room for: the oldest give way, and frames still arrive.
static void the_table_is_bounded(void **state)
{
	enum { MANY = 4 * SWITCH_SETS * SWITCH_WAYS };
	unsigned known = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		now++;
		send(i % 2, A + i, ALL);
	}
	for (unsigned i = 0; i < MANY; i++) {
		send(3, B | BIT(40) >> 1, A + i);
		assert_true((got() & 1u << i % 2) != 0);
		known += got() == 1u << i % 2;
	}
	assert_in_range(known, SWITCH_SETS, SWITCH_SETS * SWITCH_WAYS);
	send(3, B, A + MANY - 1);
	assert_int_equal(got(), 2);
}

static void who_has_no_room_loses_alone(void **state)
{
	(void)state;
	ports[1].full = true;
	send(0, A, ALL);
	assert_int_equal(got(), 0xc);
	assert_int_equal(ports[1].port.lost, 1);
	assert_int_equal(ports[1].port.received, 0);
	assert_int_equal(ports[2].port.received, 1);
}

static void switches_have_names(void **state)
{
	struct net_switch *same = switch_get("lan"), *other = switch_get("other");

	(void)state;
	assert_ptr_equal(same, lan);
	assert_ptr_not_equal(other, lan);
	switch_put(same);
	switch_put(other);
	assert_ptr_equal(switch_get("lan"), lan);
	switch_put(lan);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(learns),
		TEST(groups_are_flooded),
		TEST(forgets),
		TEST(the_table_is_bounded),
		TEST(who_has_no_room_loses_alone),
		TEST(switches_have_names),
	};

	return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
