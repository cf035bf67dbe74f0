// SPDX-License-Identifier: BSD-2-Clause
// An image of its own: the kernel, the host's disks, and this instead of boot/main.c and machines.
// The command line of the configuration's machine says what to do, as in
//
//	write partition:log|error disk:vda 51200|refuse file:none
//
// write REGION        fill it with a pattern that tests/disk.py knows, and read it back
// error REGION BYTE   the sector there must fail, and the ones beside it not
// refuse REGION       it must not open
// read_only REGION    it must open, and not be written
//
// It prints a line "disk_test: COMMAND REGION = RESULT" for each, and leaves by the debug exit.
#include <stdlib.h>
#include <string.h>

#include "boot/enter.h"
#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/debug_exit.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/smp.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "tests/kernel/start.h"

enum {
	BUFFER_BYTES = 192 << 10, // more than a driver moves at once
	PATTERN_BYTES = 512,
	ODD_READS = 40,
	ODD_BYTES = 1500,
	TURN_BYTES = 256 << 10, // of a region that is written and read: the guest has a turn
	WRITERS = 2,
};

#define SLICE_NS       UINT64_C(1000000)
#define PATTERN_FACTOR UINT64_C(0x9e3779b97f4a7c15)

static struct config config;
static struct fiber *main_fiber;
static uint32_t pending;     // (a) writers
static uint32_t failures;    // (a)
static uint32_t failed_line; // of the first
static uint64_t turns;       // of what stands for a guest
static struct timer slice;   // the same

#define CHECK(condition) check(condition, __LINE__)

static bool check(bool good, uint32_t line)
{
	if (!good && __atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST) == 0)
		failed_line = line;
	return good;
}

static void report(const char *command, const char *name)
{
	if (failures == 0)
		log_info("disk_test: %s %s = ok", command, name);
	else
		log_info("disk_test: %s %s = %u failures, the first in line %u", command, name,
			failures, failed_line);
	failures = 0;
}

// Each 512 bytes of a region hold their number times the factor, again and again.
static uint64_t pattern_word(uint64_t offset)
{
	return (offset / PATTERN_BYTES + 1) * PATTERN_FACTOR;
}

static void pattern_fill(uint64_t offset, uint8_t *buffer, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = pattern_word(offset + i);

		memcpy(buffer + i, &word, sizeof(word));
	}
}

static bool pattern_is(uint64_t offset, const uint8_t *buffer, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (buffer[i] != (uint8_t)(pattern_word(offset + i) >> (offset + i) % 8 * 8))
			return false;
	return true;
}

// A half of the region each.
struct writer {
	struct region *region;
	uint64_t start, end;
	uint8_t *buffer;
};

static void writer_main(void *argument)
{
	struct writer *writer = argument;
	uint32_t step = writer->region->disk->sector_bytes;

	for (uint64_t at = writer->start; at < writer->end;) {
		uint64_t left = writer->end - at, bytes = left < step ? left : step;

		pattern_fill(at, writer->buffer, bytes);
		CHECK(region_write(writer->region, at, writer->buffer, bytes) == STATUS_OK);
		at += bytes;
		step = step * 3 <= BUFFER_BYTES ? step * 3 : BUFFER_BYTES;
	}
	if (__atomic_sub_fetch(&pending, 1, __ATOMIC_SEQ_CST) == 0)
		fiber_wake(main_fiber);
}

static void writer_start(void *argument)
{
	CHECK(fiber_create("writer", writer_main, argument) != NULL);
}

// Two at once, on two CPUs where there are two.
static void region_fill(struct region *region)
{
	static struct writer writers[WRITERS];
	uint64_t middle = ALIGN_DOWN(region->bytes / 2, (uint64_t)region->disk->sector_bytes);

	__atomic_store_n(&pending, WRITERS, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){region, i == 0 ? 0 : middle,
			i == 0 ? middle : region->bytes, malloc(BUFFER_BYTES)};
		ASSERT(writers[i].buffer != NULL);
		smp_call(cpu_get(i % cpu_count()), writer_start, &writers[i]);
	}
	while (__atomic_load_n(&pending, __ATOMIC_SEQ_CST) != 0)
		(void)fiber_wait(TIMER_NEVER);
	for (uint32_t i = 0; i < WRITERS; i++)
		free(writers[i].buffer);
}

static void region_compare(struct region *region, uint8_t *buffer)
{
	for (uint64_t at = 0; at < region->bytes; at += BUFFER_BYTES) {
		uint64_t left = region->bytes - at;
		uint64_t bytes = left < BUFFER_BYTES ? left : BUFFER_BYTES;

		memset(buffer, 0, bytes);
		CHECK(region_read(region, at, buffer, bytes) == STATUS_OK);
		CHECK(pattern_is(at, buffer, bytes));
	}
}

// Any offset, any length, and nothing written beside the buffer.
static void odd_reads(struct region *region, uint8_t *buffer)
{
	uint64_t random = 1, most = region->bytes < ODD_BYTES ? region->bytes : ODD_BYTES;

	for (unsigned i = 0; i < ODD_READS; i++) {
		uint64_t bytes, at;

		random = random * 6364136223846793005u + 1442695040888963407u;
		bytes = (random >> 40) % most + 1;
		at = (random >> 20) % (region->bytes - bytes + 1);
		if (i == 0)
			at = region->bytes - bytes;
		memset(buffer, 0xa5, bytes + 16);
		CHECK(region_read(region, at, buffer + 8, bytes) == STATUS_OK);
		CHECK(pattern_is(at, buffer + 8, bytes));
		CHECK(buffer[7] == 0xa5 && buffer[bytes + 8] == 0xa5);
	}
}

static void limits(struct region *region, uint8_t *buffer)
{
	uint32_t sector = region->disk->sector_bytes;

	CHECK(region_read(region, region->bytes, buffer, 0) == STATUS_OK);
	CHECK(region_read(region, region->bytes, buffer, 1) == STATUS_RANGE);
	CHECK(region_read(region, region->bytes - 1, buffer, 2) == STATUS_RANGE);
	CHECK(region_read(region, UINT64_MAX, buffer, 2) == STATUS_RANGE);
	CHECK(region_write(region, region->bytes - sector, buffer, 2 * sector) == STATUS_RANGE);
	CHECK(region_write(region, UINT64_MAX - sector + 1, buffer, sector) == STATUS_RANGE);
	CHECK(region_write(region, 1, buffer, sector) == STATUS_INVALID);
	CHECK(region_write(region, 0, buffer, sector - 1) == STATUS_INVALID);
	CHECK(disk_read(region->disk, region->disk->sectors, 1, buffer) == STATUS_RANGE);
	CHECK(disk_write(region->disk, region->disk->sectors - 1, 2, buffer) == STATUS_RANGE);
}

// As a guest would: on and on, until somebody asks for attention, or for a millisecond. Without
// PAUSE, at which an emulator that counts instructions looks around: that takes it longer than all
// the rest.
static bool guest_run(struct loop_task *task)
{
	(void)task;
	turns++;
	timer_set(&slice, rdtsc() + clock_ns_to_tsc(SLICE_NS));
	timer_program();
	while (!cpu_self()->attention)
		__asm__ volatile("");
	return true;
}

static struct region *opened(const char *command, const char *name)
{
	char error[REGION_ERROR_MAX];
	struct region *region;

	if (region_open(name, &region, error) == STATUS_OK)
		return region;
	log_info("disk_test: %s %s = %s", command, name, error);
	return NULL;
}

static void command_write(const char *name, uint8_t *buffer)
{
	static struct loop_task guest = {.run = guest_run, .runs_long = true};
	struct region *region = opened("write", name);

	if (region == NULL)
		return;
	log_info("disk_test: %s: %llu bytes in %u pieces on %s", name,
		(unsigned long long)region->bytes, region->extent_count, region->disk->name);
	turns = 0;
	loop_task_add(&guest);
	region_fill(region);
	CHECK(region_flush(region) == STATUS_OK);
	fiber_wake(main_fiber); // is not lost to those who wait for the disk
	region_compare(region, buffer);
	loop_task_remove(&guest);
	timer_set(&slice, TIMER_NEVER);
	// Programmed I/O takes the CPU; another disk may answer before anyone need wait.
	CHECK(region->disk->name[0] != 'h' || turns >= region->bytes / TURN_BYTES);
	CHECK(fiber_wait(rdtsc() + clock_ns_to_tsc(NS_PER_SECOND)));
	odd_reads(region, buffer);
	limits(region, buffer);
	region_close(region);
	report("write", name);
}

static void command_error(const char *name, uint64_t at, uint8_t *buffer)
{
	struct region *region = opened("error", name);
	uint32_t sector;

	if (region == NULL)
		return;
	sector = region->disk->sector_bytes;
	for (unsigned i = 0; i < 2; i++) { // it goes on failing, and it goes on working
		CHECK(region_read(region, at, buffer, sector) == STATUS_IO);
		CHECK(region_read(region, at - sector, buffer, 2 * sector) == STATUS_IO);
		CHECK(region_read(region, at - sector, buffer, sector) == STATUS_OK);
		CHECK(region_read(region, at + sector, buffer, sector) == STATUS_OK);
		CHECK(region_write(region, at + sector, buffer, sector) == STATUS_OK);
	}
	region_close(region);
	report("error", name);
}

static void command_read_only(const char *name, uint8_t *buffer)
{
	struct region *region = opened("read_only", name);

	if (region == NULL)
		return;
	CHECK(region->read_only);
	CHECK(region_write(region, 0, buffer, region->disk->sector_bytes) == STATUS_REFUSED);
	CHECK(region_read(region, 0, buffer, region->disk->sector_bytes) == STATUS_OK);
	CHECK(region_flush(region) == STATUS_OK);
	region_close(region);
	report("read_only", name);
}

static void command_refuse(const char *name)
{
	struct region *region = opened("refuse", name);

	if (region == NULL)
		return;
	log_info("disk_test: refuse %s = opened", name);
	region_close(region);
}

static void command_run(char *line, uint8_t *buffer)
{
	char *name = strchr(line, ' '), *number;

	ASSERT(name != NULL);
	*name++ = '\0';
	if (strcmp(line, "write") == 0) {
		command_write(name, buffer);
	} else if (strcmp(line, "error") == 0) {
		number = strchr(name, ' ');
		ASSERT(number != NULL);
		*number++ = '\0';
		command_error(name, strtoul(number, NULL, 10), buffer);
	} else if (strcmp(line, "read_only") == 0) {
		command_read_only(name, buffer);
	} else if (strcmp(line, "refuse") == 0) {
		command_refuse(name);
	} else {
		ASSERT_UNREACHABLE("a command that there is not");
	}
}

static void test_main(void *argument)
{
	uint8_t *buffer = malloc(BUFFER_BYTES);
	char *commands = config.vms[0].cmdline, *next, *rest;

	(void)argument;
	ASSERT(buffer != NULL);
	main_fiber = fiber_self();
	timer_add(&slice);
	for (next = strtok_r(commands, "|", &rest); next != NULL; next = strtok_r(NULL, "|", &rest))
		command_run(next, buffer);
	log_info("disk_test: done");
	debug_exit_leave(0);
}

// Before the event loop there are no fibers: disks can be used all the same.
static void test_before_loop(void)
{
	uint8_t *buffer = malloc(DISK_SECTOR_BYTES_MAX);

	ASSERT(buffer != NULL);
	for (struct disk *disk = disk_first(); disk != NULL; disk = disk->next)
		CHECK(disk_read(disk, 0, 1, buffer) == STATUS_OK &&
			disk_read(disk, disk->sectors - 1, 1, buffer) == STATUS_OK);
	free(buffer);
	report("before", "the loop");
}

void boot_main(struct boot_info *info)
{
	static const struct smp_config smp = {.source = SMP_SOURCE_AUTO, .limit = CPU_MAX};

	test_kernel_start(info, &config);
	pci_init(info);
	smp_start(info, &smp);
	disk_init();
	region_init(info);
	test_before_loop();
	if (fiber_create("test", test_main, NULL) == NULL)
		ASSERT_UNREACHABLE("no memory");
	loop_run();
}
