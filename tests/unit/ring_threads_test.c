// SPDX-License-Identifier: BSD-2-Clause
// The ring of bytes between two CPUs, here threads under a sanitizer: nothing is lost, nothing
// comes twice, and a consumer that sleeps until it is woken is woken.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <pthread.h>
#include <sched.h>

#include "vm/byte_ring.h"

enum { CAPACITY = 64, TOTAL = 200000 };

static uint8_t bytes[CAPACITY];
static struct byte_ring ring = {.bytes = bytes, .capacity = CAPACITY};
static bool awake; // (a)

static uint8_t value_at(uint64_t index)
{
	return (uint8_t)(index * 7 + index / 256);
}

static void *produce(void *unused)
{
	uint64_t sent = 0;

	(void)unused;
	while (sent < TOTAL) {
		uint8_t part[24];
		size_t count = sent % sizeof(part) + 1, put;
		bool wake;

		if (count > TOTAL - sent)
			count = TOTAL - sent;
		for (size_t i = 0; i < count; i++)
			part[i] = value_at(sent + i);
		put = byte_ring_put(&ring, part, count, &wake);
		if (wake)
			__atomic_store_n(&awake, true, __ATOMIC_SEQ_CST);
		if (put == 0)
			sched_yield();
		sent += put;
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	pthread_t producer;
	uint64_t got = 0;

	(void)state;
	assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
	while (got < TOTAL) {
		const uint8_t *at;
		size_t count;

		// Asleep; a wake that does not come hangs here.
		while (!__atomic_exchange_n(&awake, false, __ATOMIC_SEQ_CST))
			sched_yield();
		while ((count = byte_ring_peek(&ring, &at)) > 0) {
			for (size_t i = 0; i < count; i++)
				assert_int_equal(at[i], value_at(got + i));
			got += count;
			byte_ring_take(&ring, count);
		}
	}
	assert_int_equal(pthread_join(producer, NULL), 0);
	assert_int_equal(got, TOTAL);
}

static void test_full(void **state)
{
	uint8_t many[CAPACITY + 1] = {1, 2, 3};
	const uint8_t *at;
	bool wake;

	(void)state;
	ring.put = ring.taken = 0;
	assert_int_equal(byte_ring_put(&ring, many, 10, &wake), 10);
	assert_true(wake);
	assert_int_equal(byte_ring_put(&ring, many, sizeof(many), &wake), CAPACITY - 10);
	assert_false(wake);
	assert_int_equal(byte_ring_put(&ring, many, 1, &wake), 0);
	assert_false(wake);
	assert_int_equal(byte_ring_peek(&ring, &at), CAPACITY);
	byte_ring_take(&ring, 60);
	assert_int_equal(byte_ring_put(&ring, many, 3, &wake), 3);
	assert_false(wake);
	assert_int_equal(byte_ring_peek(&ring, &at), 4); // up to the ring's end
	byte_ring_take(&ring, 4);
	assert_int_equal(byte_ring_peek(&ring, &at), 3);
	assert_int_equal(at[2], 3);
	byte_ring_take(&ring, 3);
	assert_int_equal(byte_ring_peek(&ring, &at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("ring_threads", tests, NULL, NULL);
}
