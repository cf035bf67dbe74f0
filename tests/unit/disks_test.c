// SPDX-License-Identifier: BSD-2-Clause
// What of a host's disk a log has a hash of.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"

#include "drivers/region.h"
#include "kernel/console.h"
#include "replay/hash.h"
#include "replay/session.h"

static uint8_t *held; // by the region
static uint64_t bytes_read;
static unsigned log_lines;
static enum status answer;

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
	log_lines++;
}

enum status region_read(struct region *region, uint64_t offset, void *buffer, uint64_t bytes)
{
	assert_true(bytes <= region->bytes && offset <= region->bytes - bytes);
	bytes_read += bytes;
	if (held == NULL)
		memset(buffer, 0, bytes);
	else
		memcpy(buffer, held + offset, bytes);
	return answer;
}

// From the first byte to the last, in order, and without a gap where there are not too many.
static void test_pieces(void **state)
{
	static const uint64_t sizes[] = {512, 65536, 65536 + 512, 10 << 20, 256 << 20,
		(256 << 20) + 512, UINT64_C(1) << 31, (UINT64_C(1) << 40) + 1536,
		(UINT64_C(1) << 62) + 512};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
		uint32_t count = disks_pieces(sizes[i]);

		assert_int_equal(disks_piece(sizes[i], 0), 0);
		assert_true(sizes[i] - disks_piece(sizes[i], count - 1) <= 65536 + 4096);
		for (uint32_t n = 1; n < count; n++) {
			uint64_t before = disks_piece(sizes[i], n - 1);
			uint64_t step = disks_piece(sizes[i], n) - before;

			assert_true(disks_piece(sizes[i], n) < sizes[i] && step > 0);
			assert_true(step == 65536 || sizes[i] > 256 << 20);
			assert_true(step <= sizes[i] / 4095 + 4096 || step == 65536);
		}
	}
}

static void test_identify(void **state)
{
	struct region region = {.bytes = 3 * 65536 + 512};
	struct vm_disk_region known = {.region = &region, .source = "disk:0"};
	static struct vm_config config = {.name = "m", .disk_count = 2};
	char error[VM_ERROR_MAX];

	(void)state;
	held = malloc(region.bytes);
	for (uint64_t i = 0; i < region.bytes; i++)
		held[i] = (uint8_t)(i * 3 + i / 512);
	config.disks[0] = (struct vm_disk_config){.name = "in RAM", .bytes = 512};
	config.disks[1] = (struct vm_disk_config){.name = "d", .region = &known};
	assert_int_equal(disks_identify(&config, error), STATUS_REFUSED);
	assert_string_equal(error, "disk d is written to disk:0: a replay would not find there "
		"what there was");
	config.disks[1].readonly = true;
	answer = STATUS_IO;
	assert_int_equal(disks_identify(&config, error), STATUS_IO);
	assert_false(known.hash_known);
	answer = STATUS_OK;
	bytes_read = 0;
	assert_int_equal(disks_identify(&config, error), STATUS_OK);
	assert_int_equal(bytes_read, region.bytes);
	assert_true(known.hash_known);
	assert_true(known.hash == hash_of(held, region.bytes));
	assert_int_equal(disks_identify(&config, error), STATUS_OK); // nothing is read again
	assert_int_equal(bytes_read, region.bytes);
	free(held);
	held = NULL;
}

// A large one does not take longer than one of 256 MiB, and says how far it is.
static void test_large(void **state)
{
	struct region region = {.bytes = UINT64_C(1) << 41};
	struct vm_disk_region known = {.region = &region, .source = "disk:0"};
	static struct vm_config config = {.name = "m", .disk_count = 1};
	char error[VM_ERROR_MAX];

	(void)state;
	config.disks[0] = (struct vm_disk_config){.name = "d", .region = &known, .readonly = true};
	bytes_read = log_lines = 0;
	assert_int_equal(disks_identify(&config, error), STATUS_OK);
	assert_int_equal(bytes_read, 256 << 20);
	assert_int_equal(log_lines, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_identify),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests_name("disks", tests, NULL, NULL);
}
