// SPDX-License-Identifier: BSD-2-Clause
// Two cores and a machine with a disk, for dataplane_threads_test.c: what the device and
// vm/dataplane.c call. Each may come between the other's steps anywhere.
#ifndef TESTS_UNIT_DATAPLANE_BENCH_H
#define TESTS_UNIT_DATAPLANE_BENCH_H

#include "tests/unit/threads.h"

#include "emul/virtio_blk_internal.h"
#include "kernel/console.h"
#include "kernel/smp.h"
#include "tests/unit/fake_blocks.h"
#include "vm/dataplane.h"
#include "vm/env.h"

enum {
	SEEDS = 12, ROUNDS = 150, SIZE = 16, CHAINS = SIZE / 2,
	RING = 0x1000, DRIVER = 0x2000, DEVICE = 0x3000, HEADERS = 0x4000,
	ROOMS = 0x100000, ROOM_BYTES = 0x20000, // of a chain: data, and a status behind them
	READ_BYTES = 3 * DEVICE_IO_BYTES_MAX,
	ANSWER_POLLS_MAX = 2000000,
};

static struct cpu cores[2]; // the vcpu's, and the one that serves
static struct vm machine;
static struct vm_device slots[1];
static struct virtio_blk *blk;
static struct loop_task *task;
static bool attention, ends; // (a) of the serving core
static uint8_t *memory, written;
static bool bottom_half, is_packed, wrap;
static unsigned interrupts; // under the device lock
static uint16_t offered, seen;
static uint64_t status_at[CHAINS];
static unsigned flying; // chains of the driver, a bit each
static unsigned at_next, at_seen; // descriptors of a packed ring
static bool seen_wrap;

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns / 16;
}

struct guest_time vm_now(const struct vm *vm)
{
	(void)vm;
	return (struct guest_time){1};
}

void vm_events_changed(struct vm *vm)
{
	(void)vm;
}

void cpu_kick(struct cpu *cpu)
{
	if (cpu == &cores[1])
		__atomic_store_n(&attention, true, __ATOMIC_SEQ_CST);
	wait_somewhat();
}

// What the report says.
static unsigned served;

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;

	(void)level;
	(void)format;
	va_start(arguments, format);
	(void)va_arg(arguments, const char *);
	(void)va_arg(arguments, unsigned);
	(void)va_arg(arguments, const char *);
	served = (unsigned)va_arg(arguments, unsigned long long);
	va_end(arguments);
}

uint32_t cpu_count(void)
{
	return 2;
}

struct cpu *cpu_get(uint32_t index)
{
	return &cores[index];
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	assert_ptr_equal(cpu, &cores[1]);
	run(argument);
}

void loop_task_add(struct loop_task *added)
{
	task = added;
}

void loop_task_remove(struct loop_task *removed)
{
	assert_ptr_equal(removed, task);
}

void bus_enter_wait(struct bus *bus)
{
	struct cpu *nobody;

	do {
		sched_yield();
		nobody = NULL;
	} while (!__atomic_compare_exchange_n(&bus->owner, &nobody, cpu_self(), false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

void bus_leave(struct vm *vm, struct guest_time now)
{
	(void)now;
	wait_somewhat();
	bus_unlock(&vm->bus);
}

void *mem_pages_alloc(unsigned count)
{
	return calloc(count, PAGE_BYTES);
}

// The guest's memory, byte by byte and in the order of the program: so the sanitizer knows of what
// a driver and a device say to each other with it, and of nothing else.
static uint8_t get8(uint64_t at)
{
	return __atomic_load_n(&memory[at], __ATOMIC_ACQUIRE);
}

static void put8(uint64_t at, uint8_t value)
{
	__atomic_store_n(&memory[at], value, __ATOMIC_RELEASE);
}

// What has 16 bits is read and written as such.
static enum status env_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	(void)device;
	if (from.v + bytes > LARGE_PAGE_BYTES)
		return STATUS_RANGE;
	wait_somewhat();
	if (bytes == 2)
		*(uint16_t *)to = __atomic_load_n((uint16_t *)(memory + from.v), __ATOMIC_SEQ_CST);
	else
		for (size_t i = 0; i < bytes; i++)
			((uint8_t *)to)[i] = get8(from.v + i);
	return STATUS_OK;
}

static enum status env_write(struct device *device, struct gpa to, const void *from, size_t bytes)
{
	(void)device;
	if (to.v + bytes > LARGE_PAGE_BYTES)
		return STATUS_RANGE;
	wait_somewhat();
	if (bytes == 2)
		__atomic_store_n((uint16_t *)(memory + to.v), *(const uint16_t *)from,
			__ATOMIC_SEQ_CST);
	else
		for (size_t i = 0; i < bytes; i++)
			put8(to.v + i, ((const uint8_t *)from)[i]);
	return STATUS_OK;
}

static enum status env_dma_map(struct device *device, struct gpa at, size_t bytes, bool writable,
	struct device_dma_map *map)
{
	(void)device;
	if (at.v + bytes > LARGE_PAGE_BYTES)
		return STATUS_RANGE;
	*map = (struct device_dma_map){.address = memory + at.v, .gpa = at, .bytes = bytes,
		.writable = writable};
	return STATUS_OK;
}

static void env_dma_unmap(struct device *device, struct device_dma_map *map, size_t bytes)
{
	(void)device;
	(void)bytes;
	map->address = NULL;
}

static void env_dma_written(struct device *device, const struct device_dma_map *map,
	uint64_t offset, size_t bytes)
{
	(void)device;
	(void)map;
	(void)offset;
	(void)bytes;
	wait_somewhat();
}

// On either thread: cmocka's asserts are for the first one.
static void lock_is_held(void)
{
	if (__atomic_load_n(&machine.bus.owner, __ATOMIC_RELAXED) != cpu_self())
		assert_fail("the device lock is held", __FILE__, __LINE__);
}

static void env_set_line(struct device *device, unsigned output, bool level)
{
	(void)device;
	(void)output;
	lock_is_held();
	interrupts += level;
}

static void env_bottom_half(struct device *device, unsigned half)
{
	(void)device;
	(void)half;
	lock_is_held();
	bottom_half = true;
}

static void env_map(struct device *device, unsigned region, enum device_space space, uint64_t base,
	uint64_t bytes)
{
	(void)device;
	(void)region;
	(void)space;
	(void)base;
	(void)bytes;
}

static void env_unmap(struct device *device, unsigned region)
{
	(void)device;
	(void)region;
}

static void env_arm(struct device *device, unsigned timer, struct guest_time deadline)
{
	(void)device;
	(void)timer;
	(void)deadline;
}

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	return backend_submit(device->owner, port, io);
}

static void env_drop(struct device *device, unsigned port, uint64_t request)
{
	backend_drop(device->owner, port, request);
}

static enum status env_give(struct device *device)
{
	(void)device;
	return dataplane_give(machine.planes[0]);
}

static void env_take(struct device *device)
{
	(void)device;
	wait_somewhat();
	dataplane_take(machine.planes[0]);
}

static void env_kick(struct device *device)
{
	(void)device;
	dataplane_kick(machine.planes[0]);
}

static void env_report(struct device *device, const char *what)
{
	(void)device;
	assert_fail(what, __FILE__, __LINE__);
}

static const struct device_env env = {.set_line = env_set_line, .dma_read = env_read,
	.dma_write = env_write, .dma_map = env_dma_map, .dma_unmap = env_dma_unmap,
	.dma_written = env_dma_written, .map_region = env_map, .unmap_region = env_unmap,
	.arm_timer = env_arm, .schedule_bottom_half = env_bottom_half, .submit = env_submit,
	.drop = env_drop, .give_queues = env_give, .take_queues = env_take,
	.kick_queues = env_kick, .report = env_report};

// The back end: a request is done at once, or some looks of the serving core later.
static struct backend_request *waiting[DEVICE_IO_MAX];
static unsigned waiting_count;
static pthread_mutex_t waiting_lock = PTHREAD_MUTEX_INITIALIZER;

static void submit(void *owner, struct backend_request *request)
{
	(void)owner;
	if (splitmix_next(&wait_seed) % 2 == 0) {
		backend_done_at_once(request, STATUS_OK);
		return;
	}
	pthread_mutex_lock(&waiting_lock);
	waiting[waiting_count++] = request;
	pthread_mutex_unlock(&waiting_lock);
	__atomic_store_n(&attention, true, __ATOMIC_SEQ_CST);
}

// Whether any is left.
static bool some_are_done(void)
{
	bool left;

	pthread_mutex_lock(&waiting_lock);
	while (waiting_count > 0 && splitmix_next(&wait_seed) % 4 != 0)
		backend_done(waiting[--waiting_count], STATUS_OK);
	left = waiting_count > 0;
	pthread_mutex_unlock(&waiting_lock);
	return left;
}

static void *serving_core(void *argument)
{
	bool busy = false, left = false;

	wait_seed = (uintptr_t)argument;
	thread_is(&cores[1]);
	while (!__atomic_load_n(&ends, __ATOMIC_SEQ_CST)) {
		bool called = __atomic_exchange_n(&attention, false, __ATOMIC_SEQ_CST);

		if (!called && !busy && !left) {
			sched_yield();
			continue;
		}
		left = some_are_done();
		busy = task->run(task);
	}
	return NULL;
}

#endif
