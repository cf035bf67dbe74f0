// SPDX-License-Identifier: BSD-2-Clause
// What has been written to a disk that stays as it is comes back, and what cannot be is refused.
#include "vm/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "tests/unit/fake_blocks.h"
#include "vm/overlay.h"

enum {
	SECTOR = OVERLAY_SECTOR_BYTES,
	CLUSTER = OVERLAY_CLUSTER_BYTES,
	PART = OVERLAY_PART_BYTES,
	MEDIUM = 3 * PART + 3 * CLUSTER + SECTOR, // its last cluster has one sector
	LIMIT = 1 << 20,
};

static struct vm *vm;
static struct snapshot_stream stream;

void *mem_pages_alloc(unsigned count)
{
	return calloc(count, PAGE_BYTES);
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

static int setup(void **state)
{
	(void)state;
	vm = calloc(1, sizeof(*vm));
	vm->media[0].bytes = MEDIUM;
	snapshot_stream_init(&stream);
	return (int)overlay_create(MEDIUM, LIMIT, &vm->media[0].overlay);
}

static int teardown(void **state)
{
	(void)state;
	overlay_destroy(vm->media[0].overlay);
	snapshot_stream_free(&stream);
	free(vm);
	return 0;
}

static void fresh(uint64_t limit)
{
	overlay_destroy(vm->media[0].overlay);
	assert_int_equal(overlay_create(MEDIUM, limit, &vm->media[0].overlay), STATUS_OK);
}

static void save(struct snapshot_stream *into)
{
	snapshot_stream_init(into);
	snapshot_write_begin(into);
	snapshot_overlay_write(vm, 0, into);
	assert_int_equal(snapshot_write_end(into), STATUS_OK);
}

static enum status load(void)
{
	enum status status = snapshot_stream_verify(&stream);

	assert_int_equal(status, STATUS_OK);
	snapshot_rewind(&stream);
	status = snapshot_overlay_read(vm, 0, &stream);
	return status == STATUS_OK ? snapshot_section_expect(&stream, "end", 0) : status;
}

static void test_comes_back(void **state)
{
	struct overlay *overlay = vm->media[0].overlay;
	struct snapshot_stream again;
	uint8_t data[3 * CLUSTER];
	uint64_t used;

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 5 + i / 512);
	assert_int_equal(overlay_write(overlay, 3 * SECTOR, data, 9 * SECTOR), STATUS_OK);
	assert_int_equal(overlay_zero(overlay, 5 * SECTOR, SECTOR), STATUS_OK);
	assert_int_equal(overlay_zero(overlay, 80 * SECTOR, 21 * SECTOR), STATUS_OK);
	assert_int_equal(overlay_zero(overlay, PART, PART), STATUS_OK);
	assert_int_equal(overlay_zero(overlay, 2 * PART, PART), STATUS_OK);
	assert_int_equal(overlay_write(overlay, 2 * PART + CLUSTER, data, SECTOR), STATUS_OK);
	assert_int_equal(overlay_write(overlay, MEDIUM - 2 * SECTOR, data, 2 * SECTOR), STATUS_OK);
	used = overlay_used_bytes(overlay);
	save(&stream);
	fresh(LIMIT);
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(overlay_used_bytes(vm->media[0].overlay), used);
	save(&again);
	assert_true(snapshot_stream_equals(&stream, &again));
	snapshot_stream_free(&again);
	fresh(2 * CLUSTER);
	assert_int_equal(load(), STATUS_NO_MEMORY);
	assert_non_null(strstr(stream.error, "overlay 0: not enough memory"));
}

static void part_of_zeros_at_the_end(void **state)
{
	struct snapshot_stream again;

	(void)state;
	assert_int_equal(overlay_zero(vm->media[0].overlay, 3 * PART, MEDIUM - 3 * PART),
		STATUS_OK);
	assert_int_equal(overlay_used_bytes(vm->media[0].overlay), 0);
	save(&stream);
	fresh(LIMIT);
	assert_int_equal(load(), STATUS_OK);
	save(&again);
	assert_true(snapshot_stream_equals(&stream, &again));
	snapshot_stream_free(&again);
}

// As the section has it.
struct cluster {
	uint64_t offset;
	uint8_t valid, flags, reserved[6];
};

static void refuse(const struct cluster *clusters, unsigned count, uint32_t version,
	const char *said)
{
	static const uint8_t data[CLUSTER];
	uint64_t length = 0;

	for (unsigned i = 0; i < count; i++)
		length += sizeof(*clusters) + (clusters[i].flags == 1 ? CLUSTER : 0);
	snapshot_stream_init(&stream);
	snapshot_write_begin(&stream);
	snapshot_section_begin(&stream, "overlay", 0, version, length);
	for (unsigned i = 0; i < count; i++) {
		snapshot_put(&stream, &clusters[i], sizeof(clusters[i]));
		if (clusters[i].flags == 1)
			snapshot_put(&stream, data, sizeof(data));
	}
	snapshot_section_end(&stream);
	assert_int_equal(snapshot_write_end(&stream), STATUS_OK);
	fresh(LIMIT);
	assert_int_not_equal(load(), STATUS_OK);
	if (strstr(stream.error, said) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", said, stream.error);
	snapshot_stream_free(&stream);
}

static void test_hostile(void **state)
{
	static const struct cluster bad[] = {
		{.offset = 512, .valid = 1}, {.offset = MEDIUM, .valid = 1},
		{.offset = UINT64_MAX - 4095, .valid = 1}, {.offset = 0, .valid = 0},
		{.offset = 0, .valid = 1, .flags = 3}, {.offset = 0, .valid = 1, .flags = 4},
		{.offset = CLUSTER, .valid = 0xff, .flags = 2},
	};
	static const struct cluster back[] = {{.offset = CLUSTER, .valid = 1},
		{.offset = 0, .valid = 1}};
	static const struct cluster twice[] = {{.offset = CLUSTER, .valid = 1},
		{.offset = CLUSTER, .valid = 2, .flags = 1}};
	static const struct cluster in_part[] = {{.offset = PART, .valid = 0xff, .flags = 2},
		{.offset = PART + CLUSTER, .valid = 1, .flags = 1}};
	static const struct cluster beyond = {.offset = MEDIUM - SECTOR, .valid = 3, .flags = 1};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		refuse(&bad[i], 1, 1, "is not allowed");
	refuse(back, 2, 1, "a cluster at 0x0 is not allowed");
	refuse(twice, 2, 1, "a cluster at 0x1000 is not allowed");
	refuse(in_part, 2, 1, "a cluster at 0x201000 is not allowed");
	refuse(&beyond, 1, 1, "invalid");
	refuse(twice, 1, 2, "version");
}

// What is cut off in the middle of a cluster.
static void test_truncated(void **state)
{
	static const struct cluster one = {.offset = 0, .valid = 1, .flags = 1};

	(void)state;
	snapshot_stream_init(&stream);
	snapshot_write_begin(&stream);
	snapshot_section_begin(&stream, "overlay", 0, 1, sizeof(one) + 1);
	snapshot_put(&stream, &one, sizeof(one));
	snapshot_put(&stream, &one, 1);
	snapshot_section_end(&stream);
	assert_int_equal(snapshot_write_end(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_TRUNCATED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_comes_back),
		TEST(part_of_zeros_at_the_end),
		TEST(test_hostile),
		TEST(test_truncated),
	};

	return cmocka_run_group_tests_name("snapshot_overlay", tests, NULL, NULL);
}
