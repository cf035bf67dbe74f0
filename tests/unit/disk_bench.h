// SPDX-License-Identifier: BSD-2-Clause
// A disk of a machine whose medium is a region of a host disk that takes its time, does several
// things at once and fails where it is told to. For one source of a test.
#ifndef TESTS_UNIT_DISK_BENCH_H
#define TESTS_UNIT_DISK_BENCH_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"
#include "tests/unit/fake_blocks.h"
#include "tests/unit/fake_fibers.h"

#include "drivers/region.h"
#include "drivers/region_find.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "vm/disk_backend.h"
#include "vm/vm.h"

enum { HOST_BYTES = 6 << 20, HOST_START = 64 << 10, NO_BYTES = -1 };

static struct host_disk {
	struct disk disk;
	uint8_t bytes[HOST_BYTES];  // as they will be read
	uint8_t medium[HOST_BYTES]; // and as a power cut leaves them
	uint64_t bad_sector;        // UINT64_MAX: none
	bool bad_flush;
	unsigned reads, writes, flushes, busy, busiest;
} host;

static struct vm machine;
static struct vm_disk_region medium_region;
static struct disk_backend *backend;
static uint64_t host_times; // a seed
static char last_log[256];
static unsigned log_lines;
uint64_t clock_tsc_to_ns = BIT(CLOCK_TSC_SHIFT);

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	vsnprintf(last_log, sizeof(last_log), format, arguments);
	va_end(arguments);
	log_lines++;
}

void *mem_pages_alloc(unsigned count)
{
	return calloc(count, PAGE_BYTES);
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

void cpu_kick(struct cpu *cpu)
{
	assert_ptr_equal(cpu, &fake_cpu);
}

bool loop_is_running(void)
{
	return true;
}

void vm_wait_a_moment(void)
{
	assert_true(fake_step());
}

static void host_takes_time(void)
{
	host.busy++;
	host.busiest = host.busy > host.busiest ? host.busy : host.busiest;
	for (uint64_t i = splitmix_next(&host_times) % 3; i > 0; i--)
		(void)fiber_wait(fake_cpu_tsc + splitmix_next(&host_times) % 100000);
	host.busy--;
}

// A byte of it that fails is in the last sector that was moved.
static enum status host_transfer(struct disk *disk, uint64_t sector, uint64_t count, void *to,
	const void *from)
{
	uint32_t unit = disk->sector_bytes;

	assert_ptr_equal(disk, &host.disk);
	assert_true(sector * unit >= HOST_START && (sector + count) * unit <= HOST_BYTES);
	host_takes_time();
	if (host.bad_sector >= sector && host.bad_sector < sector + count)
		return STATUS_IO;
	if (to != NULL)
		memcpy(to, host.bytes + sector * unit, count * unit);
	else
		memcpy(host.bytes + sector * unit, from, count * unit);
	return STATUS_OK;
}

enum status disk_read(struct disk *disk, uint64_t sector, uint64_t count, void *buffer)
{
	host.reads++;
	return host_transfer(disk, sector, count, buffer, NULL);
}

enum status disk_write(struct disk *disk, uint64_t sector, uint64_t count, const void *buffer)
{
	host.writes++;
	return host_transfer(disk, sector, count, NULL, buffer);
}

enum status disk_flush(struct disk *disk)
{
	assert_ptr_equal(disk, &host.disk);
	host_takes_time();
	if (host.bad_flush)
		return STATUS_IO;
	memcpy(host.medium, host.bytes, sizeof(host.medium));
	host.flushes++;
	return STATUS_OK;
}

struct disk *disk_find(const char *name)
{
	(void)name;
	return NULL;
}

enum status region_find_partition(const char *name, struct region **region,
	char error[REGION_ERROR_MAX])
{
	(void)name;
	(void)region;
	(void)error;
	return STATUS_NOT_FOUND;
}

enum status region_find_file(const char *path, struct region **region,
	char error[REGION_ERROR_MAX])
{
	return region_find_partition(path, region, error);
}

// As vm/backend.c has them.
struct asked {
	struct backend_request request;
	uint64_t answered_at;
	bool answered;
	uint8_t reserved[7];
	uint8_t data[DEVICE_IO_BYTES_MAX];
	uint8_t expected[DEVICE_IO_BYTES_MAX];
};
static struct backend port;

void backend_done_at_once(struct backend_request *request, enum status status)
{
	struct asked *asked = CONTAINER_OF(request, struct asked, request);

	assert_false(asked->answered);
	request->status = (uint8_t)status;
	asked->answered = true;
	asked->answered_at = fake_cpu_tsc;
	machine.requests_out.sent--;
}

void backend_done(struct backend_request *request, enum status status)
{
	backend_done_at_once(request, status);
}

static inline void ask(struct asked *asked, enum device_io_kind kind, uint64_t offset,
	uint64_t bytes)
{
	port.owner = backend;
	asked->request = (struct backend_request){.backend = &port, .data = asked->data,
		.offset = offset, .bytes = bytes, .kind = (uint8_t)kind};
	asked->answered = false;
	machine.requests_out.sent++;
	disk_backend_submit(backend, &asked->request);
}

static inline void all_answered(void)
{
	while (machine.requests_out.sent != 0)
		assert_true(fake_step());
}

static inline enum status ask_and_wait(struct asked *asked, enum device_io_kind kind,
	uint64_t offset, uint64_t bytes)
{
	ask(asked, kind, offset, bytes);
	all_answered();
	return asked->request.status;
}

// The machine's disk: what of the host's is behind HOST_START, in two pieces the wrong way round.
static inline void bench_begin(uint64_t seed, uint32_t sector_bytes)
{
	const uint64_t middle = 2 << 20;
	const struct region_extent extents[] = {{middle, HOST_BYTES - middle},
		{HOST_START, middle - HOST_START}};

	memset(&host, 0, sizeof(host));
	host.disk = (struct disk){.sector_bytes = sector_bytes, .transfer_max = 128,
		.sectors = HOST_BYTES / sector_bytes};
	host.bad_sector = UINT64_MAX;
	for (uint64_t i = 0; i < HOST_BYTES; i++)
		host.bytes[i] = (uint8_t)(i / 512 * 7 + i);
	memcpy(host.medium, host.bytes, sizeof(host.medium));
	host_times = fake_order = seed;
	fake_cpu_tsc = 1000000;
	log_lines = 0;
	assert_int_equal(region_create(&host.disk, extents, 2, &medium_region.region), STATUS_OK);
	memset(&machine, 0, sizeof(machine));
	machine.config.disk_count = 1;
	machine.config.disks[0] = (struct vm_disk_config){.name = "d",
		.region = &medium_region, .bytes = medium_region.region->bytes};
}

static inline void bench_end(void)
{
	all_answered();
	disk_backend_destroy(backend);
	medium_destroy(&machine.media[0]);
	region_close(medium_region.region);
	fake_fibers_free();
}

// Where a byte of the machine's disk is on the host's.
static inline uint64_t host_place(uint64_t offset)
{
	const struct region_extent *extents = medium_region.region->extents;

	return offset < extents[0].bytes ? extents[0].start + offset
					 : extents[1].start + offset - extents[0].bytes;
}

static inline void host_copy(uint8_t *model)
{
	const struct region *region = medium_region.region;

	for (uint32_t i = 0; i < region->extent_count; i++) {
		memcpy(model, host.bytes + region->extents[i].start, region->extents[i].bytes);
		model += region->extents[i].bytes;
	}
}

// Its disk holds this, and what is not its disk's is as it was.
static inline void host_holds(const uint8_t *model)
{
	const struct region *region = medium_region.region;

	for (uint32_t i = 0; i < region->extent_count; i++) {
		assert_memory_equal(host.bytes + region->extents[i].start, model,
			region->extents[i].bytes);
		model += region->extents[i].bytes;
	}
	for (uint64_t i = 0; i < HOST_START; i++)
		assert_int_equal(host.bytes[i], (uint8_t)(i / 512 * 7 + i));
}

// Random requests, against a model in which each is done when it is asked for.
enum { AT_ONCE = 24, SECTOR = 512 };

static uint8_t model[HOST_BYTES];
static uint64_t model_bytes, numbers;
static bool discards_zero; // what was discarded reads as zeros
static struct asked all[AT_ONCE];

static inline uint64_t below(uint64_t limit)
{
	return splitmix_next(&numbers) % limit;
}

static inline void model_begin(uint64_t seed)
{
	numbers = seed * 77 + 1;
	model_bytes = medium_region.region->bytes;
	host_copy(model);
}

// Near each other, so that many overlap.
static inline void random_one(struct asked *asked)
{
	static const enum device_io_kind kinds[] = {DEVICE_IO_READ, DEVICE_IO_READ,
		DEVICE_IO_WRITE, DEVICE_IO_WRITE, DEVICE_IO_WRITE, DEVICE_IO_ZERO,
		DEVICE_IO_DISCARD, DEVICE_IO_FLUSH};
	enum device_io_kind kind = kinds[below(ARRAY_COUNT(kinds))];
	uint64_t bytes = (below(16) + 1) * SECTOR, near = below(4) * (model_bytes / 4);
	uint64_t offset = ALIGN_DOWN(near + below(64) * SECTOR, SECTOR);

	if (kind == DEVICE_IO_ZERO && below(4) == 0)
		bytes *= 40; // more than is written at once
	if (kind == DEVICE_IO_FLUSH)
		offset = bytes = 0;
	if (kind == DEVICE_IO_READ)
		memcpy(asked->expected, model + offset, bytes);
	if (kind == DEVICE_IO_WRITE) {
		memset(asked->data, (int)below(256), bytes);
		memcpy(model + offset, asked->data, bytes);
	}
	if (kind == DEVICE_IO_ZERO || (kind == DEVICE_IO_DISCARD && discards_zero))
		memset(model + offset, 0, bytes);
	ask(asked, kind, offset, bytes);
}

static inline void all_are_right(void)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		assert_int_equal(all[i].request.status, STATUS_OK);
		if (all[i].request.kind == DEVICE_IO_READ)
			assert_memory_equal(all[i].data, all[i].expected, all[i].request.bytes);
	}
}

#endif
