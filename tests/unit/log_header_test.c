// SPDX-License-Identifier: BSD-2-Clause
// The header: round trips, its size, limits, bytes that are not there or others, differences.
#include <stdio.h>
#include <string.h>

#include "tests/unit/log_fake.h"

static struct log_header header, copy;
static uint8_t buffer[16384];

static int setup(void **state)
{
	(void)state;
	sample_header(&header, LOG_FAKE_ID);
	assert_null(header.problem);
	return 0;
}

static size_t encode(const struct log_header *from)
{
	struct log_out out = {.at = buffer, .end = buffer + sizeof(buffer)};

	log_header_encode(&out, from, 512);
	assert_false(out.overflow);
	return (size_t)(out.at - buffer);
}

static const char *decode(size_t bytes)
{
	struct log_in in = {.at = buffer, .end = buffer + bytes};
	bool good;

	memset(&copy, 0xa5, sizeof(copy));
	copy.log_id = header.log_id;
	copy.start_position.ticks = header.start_position.ticks;
	good = log_header_decode(&in, &copy);
	assert_int_equal(good, in.error == NULL);
	return in.error;
}

static const char *difference(uint32_t *place)
{
	static char text[LOG_DIFFERENCE_MAX];

	return log_header_difference(&header, &copy, place, "in the log", "here", text) ? text :
		NULL;
}

static void expect_difference(const char *text)
{
	uint32_t place = 0;

	assert_string_equal(difference(&place), text);
	assert_null(difference(&place));
}

static void expect_same(void)
{
	uint32_t place = 0;

	assert_null(difference(&place));
	assert_int_equal(copy.alignment, 512);
	assert_int_equal(copy.version, header.version);
	assert_int_equal(copy.part, header.part);
	assert_int_equal(copy.start, header.start);
	assert_int_equal(copy.start_time, header.start_time);
	assert_true(position_equal(&copy.start_position, &header.start_position));
}

static void a_header_comes_back(void **state)
{
	(void)state;
	header.part = 3;
	header.start = LOG_START_SNAPSHOT;
	header.start_position = (struct position){UINT64_MAX, UINT64_MAX, 77};
	header.start_time = UINT64_MAX;
	header.tsc_hz = UINT64_MAX;
	header.scale = UINT64_MAX;
	assert_null(decode(encode(&header)));
	expect_same();
	assert_int_equal(log_header_setting(&copy, "memory")->number, 128 * MIB);
	assert_string_equal(log_setting_text(&copy, log_header_setting(&copy, "cmdline")),
		"console=ttyS0 quiet panic=-1 root=/dev/sda1");
	assert_non_null(log_header_hash(&copy, "disk0"));
	assert_null(log_header_setting(&copy, "disk0"));
	assert_null(log_header_hash(&copy, "zzz"));
	assert_int_equal(copy.leaves_count, SAMPLE_LEAVES);
	assert_string_equal(copy.tick_source, "tsc");
}

// With all registers of 45 CPUID leaves in use.
static void a_usual_header_takes_less_than_1200_bytes(void **state)
{
	(void)state;
	assert_true(LOG_CHUNK_HEADER_BYTES + encode(&header) < 1200);
	for (uint32_t i = 0; i < header.leaves_count; i++)
		header.leaves[i].registers[i % 4] |= 0xff000000;
	assert_true(LOG_CHUNK_HEADER_BYTES + encode(&header) < 1200);
}

static void the_order_of_adding_does_not_matter(void **state)
{
	static struct log_header other;
	uint8_t bytes[4096];
	size_t count = encode(&header);

	(void)state;
	memcpy(bytes, buffer, count);
	sample_header(&other, LOG_FAKE_ID);
	other.settings_count = other.hashes_count = other.leaves_count = other.texts_bytes = 0;
	for (uint32_t i = header.settings_count; i-- > 0;)
		if (header.settings[i].is_text)
			log_header_add_text(&other, header.settings[i].name,
				log_setting_text(&header, &header.settings[i]));
		else
			log_header_add_number(&other, header.settings[i].name,
				header.settings[i].number);
	for (uint32_t i = 0; i < header.hashes_count; i++)
		log_header_add_hash(&other, header.hashes[i].name, header.hashes[i].value);
	for (uint32_t i = header.leaves_count; i-- > 0;)
		log_header_add_leaf(&other, &header.leaves[i]);
	assert_null(other.problem);
	assert_int_equal(encode(&other), count);
	assert_memory_equal(bytes, buffer, count);
}

static void registers_of_all_widths_come_back(void **state)
{
	static const uint32_t values[] = {0, 1, 0xff, 0x100, 0xffff, 0x10000, UINT32_MAX};

	(void)state;
	log_header_init(&header, LOG_FAKE_ID, "branch counter");
	for (uint32_t i = 0; i < 100; i++) {
		struct log_leaf leaf = {.leaf = i % 3 == 0 ? UINT32_MAX : i, .subleaf = i * i};

		for (uint32_t j = 0; j < 4; j++)
			leaf.registers[j] = values[(i * (j + 1) + i / 7) % ARRAY_COUNT(values)];
		log_header_add_leaf(&header, &leaf);
	}
	assert_null(header.problem);
	assert_null(decode(encode(&header)));
	assert_int_equal(copy.leaves_count, 100);
	assert_memory_equal(copy.leaves, header.leaves, 100 * sizeof(header.leaves[0]));
	expect_same();
}

static void what_does_not_fit_is_a_problem(void **state)
{
	static const char *const bad_names[] = {"", "two words", "a\x1b", "\xc3\xa4",
		"a-name-of-thirty-two-characters-"};
	static char long_text[LOG_TEXTS_MAX + 1];
	char name[LOG_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad_names); i++) {
		log_header_init(&header, 1, "tsc");
		log_header_add_number(&header, bad_names[i], 1);
		assert_non_null(header.problem);
		log_header_init(&header, 1, "tsc");
		log_header_add_hash(&header, bad_names[i], 1);
		assert_non_null(header.problem);
	}
	log_header_init(&header, 1, "tsc");
	for (unsigned i = 0; i <= LOG_SETTINGS_MAX; i++) {
		assert_null(header.problem);
		snprintf(name, sizeof(name), "a-name-of-thirty-one-characters");
		name[0] = (char)('A' + i);
		log_header_add_number(&header, name, i);
	}
	assert_non_null(header.problem);
	log_header_init(&header, 1, "tsc");
	for (uint32_t i = 0; i <= LOG_HASHES_MAX; i++) {
		assert_null(header.problem);
		snprintf(name, sizeof(name), "disk%u", i);
		log_header_add_hash(&header, name, i);
	}
	assert_non_null(header.problem);
	log_header_init(&header, 1, "tsc");
	for (uint32_t i = 0; i <= LOG_LEAVES_MAX; i++) {
		assert_null(header.problem);
		log_header_add_leaf(&header, &(struct log_leaf){.leaf = i});
	}
	assert_non_null(header.problem);
	memset(long_text, 'x', LOG_TEXTS_MAX - 2);
	log_header_init(&header, 1, "tsc");
	log_header_add_text(&header, "cmdline", long_text);
	assert_null(header.problem);
	log_header_add_text(&header, "b", "");
	assert_non_null(header.problem);
}

static void names_come_once(void **state)
{
	(void)state;
	log_header_add_text(&header, "vcpus", "x");
	assert_non_null(header.problem);
	setup(state);
	log_header_add_hash(&header, "kernel", 1);
	assert_non_null(header.problem);
	setup(state);
	log_header_add_leaf(&header, &header.leaves[7]);
	assert_non_null(header.problem);
}

static void control_characters_do_not_come_in(void **state)
{
	(void)state;
	log_header_add_text(&header, "text", "a\tb\x1b[31m\x7f\xc3\xa4");
	assert_null(decode(encode(&header)));
	assert_string_equal(log_setting_text(&copy, log_header_setting(&copy, "text")),
		"a?b?[31m?\xc3\xa4");
}

static void the_fullest_header_comes_back(void **state)
{
	static char text[LOG_TEXTS_MAX];
	char name[LOG_NAME_MAX];

	(void)state;
	log_header_init(&header, UINT64_MAX, "a-tick-source-of-31-characters-");
	memset(text, 'y', 100);
	for (uint32_t i = 0; i < LOG_SETTINGS_MAX; i++) {
		snprintf(name, sizeof(name), "a-name-of-thirty-characters-%03u", i);
		log_header_add_text(&header, name, text);
	}
	for (uint32_t i = 0; i < LOG_HASHES_MAX; i++) {
		snprintf(name, sizeof(name), "a-name-of-thirty-characters-%03u", i);
		log_header_add_hash(&header, name, UINT64_MAX - i);
	}
	for (uint32_t i = 0; i < LOG_LEAVES_MAX; i++)
		log_header_add_leaf(&header, &(struct log_leaf){.leaf = UINT32_MAX - i,
			.subleaf = UINT32_MAX, .registers = {~i, ~i, ~i, ~i}});
	assert_null(header.problem);
	assert_null(decode(encode(&header)));
	expect_same();
	assert_int_equal(copy.settings_count, LOG_SETTINGS_MAX);
}

static void a_header_that_is_cut_off_is_refused(void **state)
{
	size_t bytes = encode(&header);

	(void)state;
	for (size_t cut = 0; cut < bytes; cut++)
		assert_non_null(decode(cut));
	assert_null(decode(bytes));
	assert_null(decode(bytes + 100)); // fields of later versions
}

static void headers_of_random_bytes_are_refused_or_sound(void **state)
{
	static struct sample random;
	uint8_t original[4096];
	size_t bytes = encode(&header);
	unsigned good = 0;

	(void)state;
	memcpy(original, buffer, bytes);
	sample_begin(&random, 5);
	for (unsigned i = 0; i < 4000; i++) {
		memcpy(buffer, original, bytes);
		for (uint64_t j = sample_random(&random) % 4; j < 4; j++)
			buffer[sample_random(&random) % bytes] =
				(uint8_t)(sample_random(&random) >> j);
		if (decode(bytes) != NULL)
			continue;
		good++;
		assert_null(copy.problem);
		assert_true(copy.settings_count <= LOG_SETTINGS_MAX);
		assert_true(copy.hashes_count <= LOG_HASHES_MAX);
		assert_true(copy.leaves_count <= LOG_LEAVES_MAX);
		header = copy;
		assert_null(decode(encode(&header)));
		expect_same();
	}
	assert_in_range(good, 200, 3800);
}

static void versions_are_told(void **state)
{
	(void)state;
	header.version = 9;
	assert_null(decode(encode(&header))); // it says that this one can read it
	assert_int_equal(copy.version, 9);
	header.needs = LOG_VERSION + 1;
	assert_string_equal(decode(encode(&header)), "it needs a later version to be read");
	assert_int_equal(copy.needs, LOG_VERSION + 1);
	header.needs = 0;
	assert_non_null(decode(encode(&header)));
	header.needs = 1;
	header.version = 0;
	assert_non_null(decode(encode(&header)));
}

static void impossible_values_are_refused(void **state)
{
	enum { ALIGNMENT_AT = 2, START_AT = 10 }; // behind a tick source of three letters
	static const struct {
		uint8_t place, value;
	} changes[] = {{ALIGNMENT_AT, 0}, {ALIGNMENT_AT, 4}, {ALIGNMENT_AT, 24},
		{START_AT, LOG_STARTS}};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
		struct log_out out = {.at = buffer, .end = buffer + sizeof(buffer)};

		log_header_init(&header, 1, "tsc");
		header.scale = header.tsc_hz = 1;
		log_header_encode(&out, &header, LOG_ALIGNMENT_MIN);
		assert_int_equal(buffer[ALIGNMENT_AT], LOG_ALIGNMENT_MIN);
		assert_int_equal(buffer[START_AT], LOG_START_POWER_ON);
		assert_null(decode((size_t)(out.at - buffer)));
		buffer[changes[i].place] = changes[i].value;
		assert_non_null(decode((size_t)(out.at - buffer)));
	}
}

static void the_same_machine_has_no_differences(void **state)
{
	uint32_t place = 0;

	(void)state;
	copy = header;
	copy.log_id++;
	copy.version++;
	copy.part++;
	copy.start_time++;
	copy.start_position.ticks++;
	copy.alignment = 4096;
	assert_null(difference(&place));
}

static void differences_are_named(void **state)
{
	(void)state;
	copy = header;
	copy.settings[log_header_setting(&copy, "vcpus") - copy.settings].number = 2;
	expect_difference("vcpus: 64 in the log, 2 here");
	copy = header;
	strcpy(copy.tick_source, "branch counter");
	expect_difference("tick source: tsc in the log, branch counter here");
	copy = header;
	copy.tsc_hz--;
	expect_difference("tsc_hz: 1000000000 in the log, 999999999 here");
	copy = header;
	copy.scale = 8;
	expect_difference("scale: 1 in the log, 8 here");
	copy = header;
	header.hashes[0].value = 0xabc;
	copy.hashes[0].value = UINT64_MAX;
	expect_difference(
		"hash of disk0: 0000000000000abc in the log, ffffffffffffffff here");
	copy = header;
	header.leaves[16].registers[2] = 0x12;
	copy.leaves[16].registers[2] = 0xffffffff;
	expect_difference("CPUID 40000001.0 ECX: 00000012 in the log, ffffffff here");
}

static void what_one_has_alone_is_a_difference(void **state)
{
	(void)state;
	copy = header;
	log_header_add_number(&copy, "hpet", 1);
	expect_difference("hpet: none in the log, 1 here");
	header = copy;
	log_header_add_text(&header, "machine", "microvm");
	expect_difference("machine: \"microvm\" in the log, none here");
	copy = header;
	log_header_add_hash(&copy, "disk1", 0);
	expect_difference("hash of disk1: none in the log, 0000000000000000 here");
	header = copy;
	log_header_add_leaf(&header, &(struct log_leaf){.leaf = 0x1f, .subleaf = 3});
	copy = header;
	log_header_add_leaf(&copy, &(struct log_leaf){.leaf = 0x20}); // zeros are what none answers
	assert_int_equal(copy.leaves_count, header.leaves_count + 1);
	log_header_add_leaf(&copy, &(struct log_leaf){.leaf = 0x21, .registers = {0, 1}});
	expect_difference("CPUID 21.0 EBX: 00000000 in the log, 00000001 here");
}

// A text that is longer than what is shown.
static void long_texts_differ_too(void **state)
{
	char text[128];

	(void)state;
	copy = header;
	memset(text, 'x', sizeof(text));
	text[100] = '\0';
	log_header_add_text(&header, "text", text);
	text[99] = 'y';
	log_header_add_text(&copy, "text", text);
	expect_difference("text: the ends of two long texts");
}

static void all_differences_come_in_order(void **state)
{
	uint32_t place = 0;

	(void)state;
	copy = header;
	copy.scale++;
	copy.settings[0].number++; // cmdline is a text: the number says nothing
	copy.settings[1].number++;
	copy.hashes[2].value++;
	copy.leaves[44].registers[3]++;
	assert_memory_equal(difference(&place), "scale: ", 7);
	assert_memory_equal(difference(&place), "debugcon: ", 10);
	assert_memory_equal(difference(&place), "hash of kernel: ", 16);
	assert_memory_equal(difference(&place), "CPUID 8000000e.0 EDX: ", 22);
	assert_null(difference(&place));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_header_comes_back, setup),
		cmocka_unit_test_setup(a_usual_header_takes_less_than_1200_bytes, setup),
		cmocka_unit_test_setup(the_order_of_adding_does_not_matter, setup),
		cmocka_unit_test_setup(registers_of_all_widths_come_back, setup),
		cmocka_unit_test_setup(what_does_not_fit_is_a_problem, setup),
		cmocka_unit_test_setup(names_come_once, setup),
		cmocka_unit_test_setup(control_characters_do_not_come_in, setup),
		cmocka_unit_test_setup(the_fullest_header_comes_back, setup),
		cmocka_unit_test_setup(a_header_that_is_cut_off_is_refused, setup),
		cmocka_unit_test_setup(headers_of_random_bytes_are_refused_or_sound, setup),
		cmocka_unit_test_setup(versions_are_told, setup),
		cmocka_unit_test_setup(impossible_values_are_refused, setup),
		cmocka_unit_test_setup(the_same_machine_has_no_differences, setup),
		cmocka_unit_test_setup(differences_are_named, setup),
		cmocka_unit_test_setup(what_one_has_alone_is_a_difference, setup),
		cmocka_unit_test_setup(long_texts_differ_too, setup),
		cmocka_unit_test_setup(all_differences_come_in_order, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
