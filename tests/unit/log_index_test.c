// SPDX-License-Identifier: BSD-2-Clause
// The index: equal distances whatever the number of chunks, look-up, round trips, bad bytes.
#include <string.h>

#include "tests/unit/log_fake.h"

static struct log_index index_, copy;
static struct log_stop stop, stop_copy;
static uint8_t buffer[LOG_CHUNK_MAX];

static int setup(void **state)
{
	(void)state;
	memset(&index_, 0xa5, sizeof(index_));
	log_index_init(&index_);
	stop = (struct log_stop){.reason = LOG_STOP_FULL, .halted = true, .vcpu = 63,
		.position = {99, UINT64_MAX, 7}, .time = UINT64_MAX, .records = 12345,
		.text = "the store is full"};
	return 0;
}

static struct log_index_entry entry_of(uint32_t chunk)
{
	return (struct log_index_entry){.offset = 2048 + chunk * 65536ull,
		.first_ticks = chunk / 2 * 1000ull, .sequence = chunk + 1};
}

static void fill(uint32_t chunks)
{
	for (uint32_t i = (uint32_t)index_.chunks; i < chunks; i++) {
		struct log_index_entry entry = entry_of(i);

		log_index_add(&index_, &entry);
	}
}

static size_t encode(void)
{
	struct log_out out = {.at = buffer, .end = buffer + sizeof(buffer)};

	log_index_encode(&out, &index_, &stop, 512);
	assert_false(out.overflow);
	return (size_t)(out.at - buffer);
}

static bool decode(size_t bytes, uint64_t end)
{
	struct log_in in = {.at = buffer, .end = buffer + bytes};
	bool good;

	memset(&copy, 0xa5, sizeof(copy));
	stop_copy.position.ticks = stop.position.ticks;
	good = log_index_decode(&in, &copy, &stop_copy, 512, end);
	assert_int_equal(good, in.error == NULL);
	if (!good)
		assert_int_equal(copy.count, 0);
	return good;
}

static void entries_stay_at_equal_distances(void **state)
{
	(void)state;
	for (uint32_t chunks = 1; chunks < 5000; chunks++) {
		fill(chunks);
		assert_int_equal(index_.chunks, chunks);
		assert_int_equal(index_.count, (chunks - 1) / index_.stride + 1);
		assert_true(index_.stride == 1 || index_.count > LOG_INDEX_MAX / 2);
		for (uint32_t i = 0; i < index_.count; i += 17) {
			struct log_index_entry want = entry_of(i * index_.stride);

			assert_int_equal(index_.entries[i].offset, want.offset);
			assert_int_equal(index_.entries[i].first_ticks, want.first_ticks);
			assert_int_equal(index_.entries[i].sequence, want.sequence);
		}
	}
	assert_int_equal(index_.stride, 16);
}

static void a_chunk_is_added_once(void **state)
{
	struct log_index_entry entry = entry_of(3);

	(void)state;
	fill(10);
	log_index_add(&index_, &entry);
	assert_int_equal(index_.chunks, 10);
	assert_int_equal(index_.count, 10);
}

static void the_last_one_that_starts_before_is_found(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 3, 100, 511, 512, 513, 3000};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		fill(counts[i]);
		for (uint64_t ticks = 0; ticks < counts[i] * 500 + 2000; ticks += 250) {
			const struct log_index_entry *want = NULL;

			for (uint32_t j = 0; j < index_.count; j++)
				if (index_.entries[j].first_ticks < ticks)
					want = &index_.entries[j];
			assert_ptr_equal(log_index_find(&index_, ticks), want);
		}
	}
}

static void an_index_comes_back(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 511, 512, 513, 3000};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		fill(counts[i]);
		assert_true(encode() <= log_index_bytes_max(&index_, 0));
		assert_true(decode(encode(), UINT64_MAX / 2));
		assert_int_equal(copy.count, index_.count);
		assert_int_equal(copy.stride, index_.stride);
		assert_int_equal(copy.chunks, index_.chunks);
		for (uint32_t j = 0; j < index_.count; j++) {
			assert_int_equal(copy.entries[j].offset, index_.entries[j].offset);
			assert_int_equal(copy.entries[j].sequence, index_.entries[j].sequence);
			assert_int_equal(copy.entries[j].first_ticks,
				index_.entries[j].first_ticks);
		}
		assert_int_equal(stop_copy.reason, LOG_STOP_FULL);
		assert_true(stop_copy.halted);
		assert_int_equal(stop_copy.vcpu, 63);
		assert_true(position_equal(&stop_copy.position, &stop.position));
		assert_int_equal(stop_copy.time, stop.time);
		assert_int_equal(stop_copy.records, stop.records);
		assert_string_equal(stop_copy.text, stop.text);
	}
}

// Also when all numbers are as large as can be.
static void the_bound_holds(void **state)
{
	struct log_index_entry entry = {.offset = 0};

	(void)state;
	memset(stop.text, 'x', LOG_STOP_TEXT_MAX - 1);
	stop.text[LOG_STOP_TEXT_MAX - 1] = '\0';
	stop.reason = stop.records = stop.position.rcx = UINT64_MAX;
	for (uint32_t i = 0; i < LOG_INDEX_MAX; i++) {
		assert_true(encode() <= log_index_bytes_max(&index_, 0));
		assert_int_equal(log_index_bytes_max(&index_, 2),
			log_index_bytes_max(&index_, 0) +
				(i == LOG_INDEX_MAX - 1 ? 25 : 50));
		entry.offset += BIT(54);
		entry.first_ticks += BIT(54);
		entry.sequence += BIT(22);
		log_index_add(&index_, &entry);
	}
	assert_true(encode() <= log_index_bytes_max(&index_, 0));
	assert_true(decode(encode(), UINT64_MAX));
}

static void an_index_that_is_cut_off_is_refused(void **state)
{
	size_t bytes;

	(void)state;
	fill(20);
	bytes = encode();
	for (size_t cut = 0; cut < bytes; cut++)
		assert_false(decode(cut, UINT64_MAX / 2));
}

static void a_machine_has_64_vcpus(void **state)
{
	size_t bytes = encode();

	(void)state;
	assert_int_equal(buffer[2], 63); // behind reason and flag
	assert_true(decode(bytes, UINT64_MAX / 2));
	buffer[2] = 64;
	assert_false(decode(bytes, UINT64_MAX / 2));
}

static void entries_lie_before_the_index(void **state)
{
	struct log_index_entry last = entry_of(19);

	(void)state;
	fill(20);
	assert_true(decode(encode(), last.offset + 512));
	assert_false(decode(encode(), last.offset));
	assert_false(decode(encode(), 1024));
	assert_false(decode(encode(), 0));
}

static void random_bytes_are_refused_or_in_order(void **state)
{
	static struct sample random;
	uint8_t original[1024];
	size_t bytes;
	unsigned good = 0;

	(void)state;
	fill(20);
	bytes = encode();
	memcpy(original, buffer, bytes);
	sample_begin(&random, 6);
	for (unsigned i = 0; i < 50000; i++) {
		memcpy(buffer, original, bytes);
		for (unsigned j = 0; j < 3; j++)
			buffer[sample_random(&random) % bytes] = (uint8_t)sample_random(&random);
		if (!decode(bytes, 64 << 20))
			continue;
		good++;
		assert_true(copy.count <= LOG_INDEX_MAX);
		for (uint32_t j = 0; j < copy.count; j++) {
			const struct log_index_entry *entry = &copy.entries[j];

			assert_true(entry->offset % 512 == 0 && entry->offset < 64 << 20);
			assert_true(j == 0 || (entry->offset > entry[-1].offset &&
				entry->sequence > entry[-1].sequence &&
				entry->first_ticks >= entry[-1].first_ticks));
		}
	}
	assert_in_range(good, 1000, 49000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(entries_stay_at_equal_distances, setup),
		cmocka_unit_test_setup(a_chunk_is_added_once, setup),
		cmocka_unit_test_setup(the_last_one_that_starts_before_is_found, setup),
		cmocka_unit_test_setup(an_index_comes_back, setup),
		cmocka_unit_test_setup(the_bound_holds, setup),
		cmocka_unit_test_setup(an_index_that_is_cut_off_is_refused, setup),
		cmocka_unit_test_setup(a_machine_has_64_vcpus, setup),
		cmocka_unit_test_setup(entries_lie_before_the_index, setup),
		cmocka_unit_test_setup(random_bytes_are_refused_or_in_order, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
