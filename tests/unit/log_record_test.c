// SPDX-License-Identifier: BSD-2-Clause
// Records and numbers: round trips, boundary values, bytes that are not there, sizes.
#include <string.h>

#include "kernel/event.h"
#include "tests/unit/log_fake.h"

static uint8_t buffer[LOG_RECORD_MAX + LOG_PAYLOAD_MAX];
static struct log_codec encoder, decoder;
static uint8_t payload[LOG_PAYLOAD_MAX];

static int setup(void **state)
{
	(void)state;
	log_codec_init(&encoder, 0);
	log_codec_init(&decoder, 0);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 11);
	return 0;
}

static size_t encode(const struct log_record *record)
{
	struct log_out out = {.at = buffer, .end = buffer + sizeof(buffer)};

	log_record_encode(&encoder, &out, record);
	assert_false(out.overflow);
	return (size_t)(out.at - buffer);
}

// Bytes that the record takes.
static size_t round_trip(const struct log_record *record)
{
	struct log_in in = {.at = buffer};
	struct log_record read;
	size_t bytes = encode(record), spent = 0;

	memset(&read, 0xa5, sizeof(read));
	in.end = buffer + bytes;
	assert_true(log_record_decode(&decoder, &in, &read));
	assert_ptr_equal(in.at, in.end);
	assert_true(log_fake_records_equal(record, &read));
	for (unsigned i = 0; i < LOG_FIELDS; i++)
		spent += decoder.spent[i];
	assert_int_equal(spent, bytes);
	return bytes;
}

static uint64_t number_round_trip(uint64_t value, size_t *bytes)
{
	uint8_t varint[LOG_VARINT_MAX];
	struct log_out out = {.at = varint, .end = varint + sizeof(varint)};
	struct log_in in = {.at = varint};

	log_put_varint(&out, value);
	assert_false(out.overflow);
	*bytes = (size_t)(out.at - varint);
	in.end = out.at;
	value = log_get_varint(&in);
	assert_null(in.error);
	assert_ptr_equal(in.at, in.end);
	return value;
}

static void numbers_take_seven_bits_a_byte(void **state)
{
	size_t bytes;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		for (uint64_t value = BIT(bit) - 1; value <= BIT(bit); value++) {
			unsigned bits = value == 0 ? 1 : 64 - (unsigned)__builtin_clzll(value);

			assert_int_equal(number_round_trip(value, &bytes), value);
			assert_int_equal(bytes, (bits + 6) / 7);
			assert_int_equal(log_unzigzag(log_zigzag(value)), value);
			assert_int_equal(log_unzigzag(log_zigzag(0 - value)), 0 - value);
		}
	assert_int_equal(number_round_trip(UINT64_MAX, &bytes), UINT64_MAX);
	assert_int_equal(bytes, LOG_VARINT_MAX);
	for (uint64_t i = 0; i < 64; i++) { // small ones stay small, either way
		assert_true(log_zigzag(i) < 128);
		assert_true(log_zigzag(0 - i - 1) < 128);
	}
}

static void expect_bad_number(const uint8_t *bytes, size_t count)
{
	struct log_in in = {.at = bytes, .end = bytes + count};

	assert_int_equal(log_get_varint(&in), 0);
	assert_non_null(in.error);
	assert_int_equal(log_get_varint(&in), 0);
	assert_int_equal(log_get_byte(&in), 0);
	assert_null(log_get_bytes(&in, 1));
}

static void numbers_beyond_64_bits_are_refused(void **state)
{
	uint8_t bytes[12];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	expect_bad_number(bytes, sizeof(bytes));
	for (size_t i = 0; i < 10; i++) // cut off
		expect_bad_number(bytes, i);
	bytes[9] = 2; // bit 64
	expect_bad_number(bytes, 10);
	bytes[9] = 0x81; // one more byte follows
	expect_bad_number(bytes, 11);
}

static void texts_are_checked(void **state)
{
	static const uint8_t good[] = {3, 'a', ' ', 0xc3}, control[] = {2, 'a', 0x1b},
		delete[] = {1, 0x7f}, zero[] = {1, 0}, cut[] = {3, 'a', 'b'};
	static const struct log_in bad[] = {{control, control + sizeof(control), NULL},
		{delete, delete + sizeof(delete), NULL}, {zero, zero + sizeof(zero), NULL},
		{cut, cut + sizeof(cut), NULL}};
	struct log_in in = {.at = good, .end = good + sizeof(good)};
	char text[4], small[3];

	(void)state;
	log_get_text(&in, text, sizeof(text));
	assert_null(in.error);
	assert_string_equal(text, "a \xc3");
	in = (struct log_in){.at = good, .end = good + sizeof(good)};
	log_get_text(&in, small, sizeof(small)); // it is longer than that
	assert_non_null(in.error);
	assert_string_equal(small, "");
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		in = bad[i];
		log_get_text(&in, text, sizeof(text));
		assert_non_null(in.error);
		assert_string_equal(text, "");
	}
}

static void writing_stays_within_bounds(void **state)
{
	uint8_t bytes[4] = {1, 2, 3, 0xee};
	struct log_out out = {.at = bytes, .end = bytes + 3};

	(void)state;
	log_put_bytes(&out, "abcd", 4);
	assert_true(out.overflow);
	assert_ptr_equal(out.at, bytes);
	out.overflow = false;
	log_put_varint(&out, UINT64_MAX);
	assert_true(out.overflow);
	assert_int_equal(bytes[3], 0xee);
}

static void extremes_come_back(void **state)
{
	struct log_record record = {.kind = EVENT_PACKET, .halted = true, .device = UINT16_MAX,
		.index = UINT16_MAX, .position = {UINT64_MAX, UINT64_MAX, UINT64_MAX},
		.time = UINT64_MAX, .sequence = UINT64_MAX, .value = UINT64_MAX,
		.payload = payload, .payload_bytes = LOG_PAYLOAD_MAX};

	(void)state;
	assert_true(round_trip(&record) <= LOG_RECORD_MAX + LOG_PAYLOAD_MAX);
	record.position.rip = record.position.rcx = record.sequence = record.value = 0;
	record.device = record.index = 0;
	record.payload_bytes = 0;
	assert_true(round_trip(&record) <= LOG_RECORD_MAX);
	record.position.rip = BIT(63);
	record.position.rcx = BIT(63) - 1;
	record.sequence = BIT(63);
	round_trip(&record);
	record.halted = false;
	record.time = 0;
	round_trip(&record);
}

static void payloads_of_all_lengths_come_back(void **state)
{
	struct log_record record = {.kind = LOG_BEACON, .payload = payload};
	size_t bytes;

	(void)state;
	for (uint32_t count = 0; count <= 300; count++) {
		record.payload_bytes = count;
		bytes = round_trip(&record);
		assert_int_equal(bytes - count, count < 7 ? 3 : count < 128 ? 4 : 5);
	}
}

static void random_records_come_back(void **state)
{
	static struct sample sample;

	(void)state;
	sample_begin(&sample, 1);
	for (unsigned i = 0; i < 100000; i++) {
		sample_next(&sample);
		round_trip(&sample.record);
	}
}

// No record is longer than is said, so whoever asks for as much room has enough.
static void no_record_is_longer_than_the_bound(void **state)
{
	struct log_record record = {.kind = EVENT_COMPLETION, .halted = true,
		.device = UINT16_MAX, .index = UINT16_MAX,
		.position = {UINT64_MAX, BIT(63), BIT(63)}, .time = UINT64_MAX,
		.vcpu = LOG_VCPUS_MAX - 1, .sequence = BIT(63) + 7, .value = UINT64_MAX};

	(void)state;
	assert_in_range(round_trip(&record), LOG_RECORD_MAX - 3, LOG_RECORD_MAX);
}

// The bound of the design: an event without payload at the same RIP as the one before takes at most
// 8 bytes: here with up to 2^28 ticks, 128 devices, 128 values between.
static void an_event_at_the_same_rip_takes_eight_bytes(void **state)
{
	static const uint8_t kinds[] = {EVENT_COMPLETION, EVENT_LINE, EVENT_MACHINE, EVENT_KEY};
	struct log_record record = {.position = {.ticks = 5, .rip = 0xffffffff81234567, .rcx = 9}};
	static struct sample random;
	uint64_t sequences[128] = {0};
	size_t bytes;

	(void)state;
	sample_begin(&random, 2);
	record.kind = EVENT_KEY;
	for (uint16_t i = 0; i < LOG_CODEC_SLOTS; i++) { // the first ones cost more
		record.device = i;
		record.sequence = sequences[i] = 1000 + i;
		round_trip(&record);
	}
	for (unsigned i = 0; i < 10000; i++) {
		record.kind = kinds[sample_random(&random) % ARRAY_COUNT(kinds)];
		record.device = (uint16_t)(sample_random(&random) % LOG_CODEC_SLOTS);
		record.sequence = ++sequences[record.device];
		record.value = sample_random(&random) % (record.kind == EVENT_LINE ? 2 : 128);
		record.position.ticks += sample_random(&random) % (1 << 28);
		bytes = round_trip(&record);
		assert_true(bytes <= 8);
	}
	// The same device with no value, soon after.
	record.sequence++;
	record.value = 0;
	record.position.ticks += 100;
	assert_int_equal(round_trip(&record), 3);
	// While halted, the time comes in addition.
	record.sequence++;
	record.halted = true;
	record.time = 1ull << 20;
	round_trip(&record);
	record.sequence++;
	record.position.ticks += 100;
	record.time += (1ull << 28) - 1;
	assert_int_equal(round_trip(&record), 7);
}

// Nothing where it is that of the record before, else one byte.
static void another_vcpu_takes_a_byte(void **state)
{
	struct log_record record = {.kind = EVENT_KEY};

	(void)state;
	for (unsigned i = 0; i < LOG_VCPUS_MAX; i++) {
		record.vcpu = (uint8_t)(i * 5 % LOG_VCPUS_MAX); // 0 at first, as is expected
		record.kind = LOG_BEACON; // it is not the events' alone
		record.sequence = 0;
		assert_int_equal(round_trip(&record), i == 0 ? 3 : 4);
		assert_int_equal(decoder.spent[LOG_FIELD_VCPU], i == 0 ? 0 : 1);
		record.kind = EVENT_KEY;
		record.sequence = i;
		assert_int_equal(round_trip(&record), 3);
		assert_int_equal(decoder.spent[LOG_FIELD_VCPU], 0);
	}
}

static void a_machine_has_64_vcpus(void **state)
{
	struct log_record record = {.kind = EVENT_KEY, .vcpu = LOG_VCPUS_MAX - 1}, read;
	struct log_in in = {.at = buffer};

	(void)state;
	in.end = buffer + encode(&record);
	assert_int_equal(buffer[3], LOG_VCPUS_MAX - 1);
	buffer[3]++;
	assert_false(log_record_decode(&decoder, &in, &read));
	record.vcpu++;
	expect_assert_failure(encode(&record));
}

static void a_record_that_is_cut_off_is_refused(void **state)
{
	static struct sample sample;

	(void)state;
	sample_begin(&sample, 3);
	for (unsigned i = 0; i < 2000; i++) {
		size_t bytes;

		sample_next(&sample);
		bytes = encode(&sample.record);
		for (size_t cut = 0; cut < bytes; cut++) {
			struct log_codec codec = decoder;
			struct log_in in = {.at = buffer, .end = buffer + cut};
			struct log_record record;

			assert_false(log_record_decode(&codec, &in, &record));
			assert_non_null(in.error);
		}
		decoder = encoder;
	}
}

// Whatever decodes, encodes and decodes to the same.
static void random_bytes_are_refused_or_well_formed(void **state)
{
	static struct sample random;
	unsigned good = 0;

	(void)state;
	sample_begin(&random, 4);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t bytes[64];
		struct log_in in = {.at = bytes, .end = bytes + sizeof(bytes)};
		struct log_record record;

		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)(sample_random(&random) >>
				(sample_random(&random) % 8));
		log_codec_init(&decoder, 0);
		if (!log_record_decode(&decoder, &in, &record))
			continue;
		good++;
		assert_true(in.at <= in.end);
		log_codec_init(&encoder, 0);
		log_codec_init(&decoder, 0);
		round_trip(&record);
	}
	assert_true(good > 1000);
}

static void ticks_and_times_do_not_wrap(void **state)
{
	struct log_record record = {.kind = EVENT_KEY, .position.ticks = 10}, read;
	struct log_in in = {.at = buffer};

	(void)state;
	in.end = buffer + encode(&record);
	log_codec_init(&decoder, UINT64_MAX - 9);
	assert_false(log_record_decode(&decoder, &in, &read));
	log_codec_init(&encoder, 0);
	record.halted = true;
	record.time = 10;
	in = (struct log_in){.at = buffer, .end = buffer + encode(&record)};
	log_codec_init(&decoder, 0);
	decoder.last_time = UINT64_MAX - 9;
	assert_false(log_record_decode(&decoder, &in, &read));
}

static void timers_and_bottom_halves_are_never_recorded(void **state)
{
	(void)state;
	assert_int_equal(EVENT_TIMER, 0); // so zeros are no records
	assert_int_equal(EVENT_BOTTOM_HALF, 1);
	for (unsigned kind = 0; kind < 2; kind++) {
		uint8_t bytes[3] = {(uint8_t)kind};
		struct log_in in = {.at = bytes, .end = bytes + sizeof(bytes)};
		struct log_record record;

		assert_false(log_kind_is_known(kind));
		assert_false(log_record_decode(&decoder, &in, &record));
	}
}

static void kinds_have_names(void **state)
{
	(void)state;
	assert_string_equal(log_kind_name(EVENT_CHARACTERS), "characters");
	assert_string_equal(log_kind_name(EVENT_AUDIO), "audio");
	assert_string_equal(log_kind_name(LOG_STOP), "stop");
	assert_string_equal(log_kind_name(LOG_CONTENTS), "contents");
	assert_string_equal(log_kind_name(LOG_CONTENTS + 1), "unknown");
	assert_string_equal(log_kind_name(1000), "unknown");
}

static void records_that_cannot_be_have_a_problem(void **state)
{
	struct log_record record = {.kind = EVENT_LINE, .value = 1, .payload = payload};

	(void)state;
	assert_null(log_record_problem(&record));
	record.value = 2;
	assert_non_null(log_record_problem(&record));
	record = (struct log_record){.kind = LOG_RATE};
	assert_non_null(log_record_problem(&record));
	record.value = 1;
	assert_null(log_record_problem(&record));
	record = (struct log_record){.kind = EVENT_COMPLETION, .payload = payload,
		.payload_bytes = EVENT_PAYLOAD_MAX};
	assert_null(log_record_problem(&record));
	record.payload_bytes++;
	assert_non_null(log_record_problem(&record));
	record.kind = EVENT_PACKET;
	record.payload_bytes = LOG_PAYLOAD_MAX;
	assert_null(log_record_problem(&record));
	record.payload_bytes++;
	assert_non_null(log_record_problem(&record));
	record = (struct log_record){.kind = LOG_STOP, .payload = (const uint8_t *)"ok\x1b",
		.payload_bytes = 2};
	assert_null(log_record_problem(&record));
	record.payload_bytes++;
	assert_non_null(log_record_problem(&record));
	record = (struct log_record){.kind = EVENT_KEY, .payload = payload,
		.payload_bytes = EVENT_PAYLOAD_MAX};
	assert_null(log_record_problem(&record));
	record.payload_bytes++;
	assert_non_null(log_record_problem(&record));
	record = (struct log_record){.kind = EVENT_KEY, .vcpu = LOG_VCPUS_MAX - 1};
	assert_null(log_record_problem(&record));
	record.vcpu++;
	assert_non_null(log_record_problem(&record));
	record = (struct log_record){.kind = LOG_STOP + 1};
	assert_non_null(log_record_problem(&record));
}

static void going_back_is_a_bug(void **state)
{
	struct log_record record = {.kind = EVENT_KEY, .position.ticks = 10};

	(void)state;
	encode(&record);
	record.position.ticks = 9;
	expect_assert_failure(encode(&record));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(numbers_take_seven_bits_a_byte, setup),
		cmocka_unit_test_setup(numbers_beyond_64_bits_are_refused, setup),
		cmocka_unit_test_setup(texts_are_checked, setup),
		cmocka_unit_test_setup(writing_stays_within_bounds, setup),
		cmocka_unit_test_setup(extremes_come_back, setup),
		cmocka_unit_test_setup(payloads_of_all_lengths_come_back, setup),
		cmocka_unit_test_setup(random_records_come_back, setup),
		cmocka_unit_test_setup(no_record_is_longer_than_the_bound, setup),
		cmocka_unit_test_setup(an_event_at_the_same_rip_takes_eight_bytes, setup),
		cmocka_unit_test_setup(another_vcpu_takes_a_byte, setup),
		cmocka_unit_test_setup(a_machine_has_64_vcpus, setup),
		cmocka_unit_test_setup(a_record_that_is_cut_off_is_refused, setup),
		cmocka_unit_test_setup(random_bytes_are_refused_or_well_formed, setup),
		cmocka_unit_test_setup(ticks_and_times_do_not_wrap, setup),
		cmocka_unit_test_setup(timers_and_bottom_halves_are_never_recorded, setup),
		cmocka_unit_test_setup(kinds_have_names, setup),
		cmocka_unit_test_setup(records_that_cannot_be_have_a_problem, setup),
		cmocka_unit_test_setup(going_back_is_a_bug, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
