// SPDX-License-Identifier: BSD-2-Clause
// A machine and its disk's core, by real threads under the thread sanitizer. Where one could come
// between the other's steps, a seed says how long each waits: what is written is read again, each
// completion is announced after what it speaks of, and a disk that goes has done all.
#include "tests/unit/threads.h"

#include "tests/unit/fake_blocks.h"
#include "kernel/event.c"
#include "vm/backend.c"
#include "vm/guest_ram.c"
#include "vm/disk_backend.c"
#include "vm/medium.c"
#include "vm/medium_request.c"

enum { SEEDS = 24, ROUNDS = 60, PART = 64, MEDIUM_BYTES = 65536 };

struct fiber {
	void (*entry)(void *argument);
	void *argument;
	bool woken; // (a)
	pthread_t thread;
};

static struct cpu cores[2]; // the machine's, and the disk's
static struct message_queue inbox;
static struct fiber server;
static struct vm machine;
static struct vm_device slot;
static uint8_t *block, written;
static uint32_t changes; // (a)

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

// Shorter delays: there are many.
uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns / 10;
}

void vm_events_changed(struct vm *vm)
{
	assert_ptr_equal(vm, &machine);
	wait_somewhat();
	__atomic_fetch_or(&vm->vcpus[0]->signals, VM_SIGNAL_EVENTS, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
	wait_somewhat();
}

void cpu_kick(struct cpu *cpu)
{
	assert_ptr_equal(cpu, &cores[0]);
	wait_somewhat();
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

// Its disk is in memory.
enum status region_read(struct region *region, uint64_t offset, void *buffer, uint64_t bytes)
{
	(void)region;
	(void)offset;
	(void)buffer;
	(void)bytes;
	abort();
}

enum status region_write(struct region *region, uint64_t offset, const void *buffer,
	uint64_t bytes)
{
	(void)region;
	(void)offset;
	(void)buffer;
	(void)bytes;
	abort();
}

enum status region_flush(struct region *region)
{
	(void)region;
	abort();
}

void vm_wait_a_moment(void)
{
	sched_yield();
}

bool loop_is_running(void)
{
	return true;
}

struct cpu *cpu_get(uint32_t index)
{
	return &cores[index];
}

void smp_post(struct cpu *cpu, struct cpu_message *message)
{
	assert_ptr_equal(cpu, &cores[1]);
	wait_somewhat();
	message_put(&inbox, message);
	wait_somewhat();
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	assert_ptr_equal(cpu, &cores[1]);
	run(argument);
}

static void *core_thread(void *argument)
{
	wait_seed = (uintptr_t)argument;
	thread_is(&cores[1]);
	server.entry(server.argument);
	return NULL;
}

struct fiber *fiber_create(const char *name, void (*entry)(void *argument), void *argument)
{
	(void)name;
	server.entry = entry;
	server.argument = argument;
	return &server; // it begins with the test
}

void fiber_wake(struct fiber *fiber)
{
	__atomic_store_n(&fiber->woken, true, __ATOMIC_SEQ_CST);
}

static void messages_run(void)
{
	struct cpu_message *message = message_take_all(&inbox), *next;

	for (; message != NULL; message = next) {
		next = message->next;
		message->run(message);
	}
}

void fiber_yield(void)
{
	wait_somewhat();
	messages_run();
}

bool fiber_wait(uint64_t deadline)
{
	while (!__atomic_exchange_n(&server.woken, false, __ATOMIC_SEQ_CST)) {
		messages_run();
		if (rdtsc() >= deadline)
			return false;
		sched_yield();
	}
	return true;
}

static uint32_t completed; // requests, a bit each
static unsigned failures;

static void probe_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	(void)device;
	(void)now;
	assert_int_equal(port, 0);
	assert_int_equal(completed >> request & 1, 0);
	completed |= 1u << request;
	failures += status != STATUS_OK;
}

static const struct device_model model = {.name = "probe", .complete = probe_complete};
static struct device probe = {.model = &model, .owner = &slot};

static void submit(uint64_t name, enum device_io_kind kind, uint64_t offset)
{
	const struct device_io_piece piece = {{name * PART}, PART};
	const struct device_io io = {.request = name, .kind = (uint8_t)kind, .offset = offset,
		.piece_count = 1, .pieces = &piece};

	wait_somewhat();
	assert_int_equal(backend_submit(&slot, 0, &io), STATUS_OK);
}

// As the run loop does: look where something has changed, and take what is there.
static void take_all(uint32_t names)
{
	struct event event;

	completed = 0;
	while (completed != names) {
		if (__atomic_exchange_n(&changes, 0, __ATOMIC_SEQ_CST) == 0) {
			sched_yield();
			continue;
		}
		while (backend_completion(&machine, &event)) {
			wait_somewhat();
			assert_null(backend_problem(&machine, &event));
			backend_take(&machine, &event);
			backend_deliver(&slot, &event, (struct guest_time){0});
		}
	}
}

static void one_round(unsigned round)
{
	enum { NAMES = 16 };
	uint8_t value = (uint8_t)(round * 7 + 1);

	for (unsigned i = 0; i < NAMES; i++)
		memset(block + i * PART, (uint8_t)(value + i), PART);
	for (uint64_t i = 0; i < NAMES; i++)
		submit(i, DEVICE_IO_WRITE, (i + round) % NAMES * PART);
	memset(block, 0, NAMES * PART);
	take_all(UINT16_MAX);
	for (uint64_t i = 0; i < NAMES; i++)
		submit(i, DEVICE_IO_READ, (i + round) % NAMES * PART);
	take_all(UINT16_MAX);
	for (unsigned i = 0; i < NAMES * PART; i++)
		if (block[i] != (uint8_t)(value + i / PART))
			fail_msg("round %u: byte %u is 0x%x", round, i, block[i]);
}

// What overlaps on the medium is done in order.
static void one_behind_another(unsigned round)
{
	uint8_t before = (uint8_t)round, after = (uint8_t)(round + 1);

	memset(block, before, PART);
	submit(0, DEVICE_IO_WRITE, 0);
	take_all(1);
	memset(block, after, PART);
	memset(block + PART, 0, PART);
	submit(0, DEVICE_IO_WRITE, PART / 2);
	submit(1, DEVICE_IO_READ, 0);
	take_all(3);
	assert_int_equal(block[PART], before);
	assert_int_equal(block[2 * PART - 1], after);
}

// And what came before a change of its size before that, what came behind it behind.
static void resized_between(void)
{
	const uint64_t last = MEDIUM_BYTES - PART;

	memset(block, 0x5a, PART);
	submit(0, DEVICE_IO_WRITE, last);
	submit(1, DEVICE_IO_READ, last);
	backend_resize(&slot, last);
	submit(2, DEVICE_IO_READ, last); // is not there
	submit(3, DEVICE_IO_READ, 0);
	take_all(15);
	assert_int_equal(failures, 1);
	failures = 0;
	assert_int_equal(block[PART], 0x5a);
	backend_resize(&slot, 3 * LARGE_PAGE_BYTES);
	submit(0, DEVICE_IO_READ, last);
	submit(1, DEVICE_IO_READ, 3 * LARGE_PAGE_BYTES - PART);
	take_all(3);
	assert_int_equal(block[0], 0); // and not what was cut off
	backend_resize(&slot, MEDIUM_BYTES);
	submit(0, DEVICE_IO_READ, last);
	take_all(1);
	assert_false(backend_is_resizing(slot.backend));
}

static void run_with_seed(uint64_t delay_seed)
{
	struct disk_backend *disk;

	wait_seed = delay_seed + 1;
	machine.vcpus[0] = calloc(1, sizeof(*machine.vcpus[0]));
	machine.vcpus[0]->core = &cores[0];
	machine.config.disks[0].seed = delay_seed % 2 == 0 ? 0 : delay_seed;
	assert_int_equal(disk_backend_create(&machine, 0, 1, &disk), STATUS_OK);
	assert_int_equal(backend_create(&slot, 0, disk_backend_submit, disk), STATUS_OK);
	assert_int_equal(pthread_create(&server.thread, NULL, core_thread,
		(void *)(uintptr_t)(wait_seed << 8)), 0);
	for (unsigned round = 0; round < ROUNDS; round++)
		one_round(round);
	for (unsigned round = 0; round < ROUNDS; round++)
		one_behind_another(round);
	for (unsigned round = 0; round < ROUNDS / 30; round++)
		resized_between();
	// When all are done the vcpus may go: as vm_hold waits, and a loaded machine has others.
	submit(0, DEVICE_IO_READ, 0);
	while (!backend_all_done(&machine.requests_out))
		sched_yield();
	free(machine.vcpus[0]);
	disk_backend_destroy(disk);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	backend_reset(&slot);
	assert_int_equal(machine.requests_out.done, 0);
	backend_destroy(&slot);
	assert_int_equal(failures, 0);
}

static void a_disk_on_another_core(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		cores[i].self = &cores[i];
	thread_is(&cores[0]);
	block = calloc(1, LARGE_PAGE_BYTES);
	machine.ram = (struct guest_ram){.blocks = &block, .written = &written, .block_count = 1,
		.low_bytes = LARGE_PAGE_BYTES};
	machine.config.disk_count = 1;
	assert_int_equal(medium_create(&machine.media[0], MEDIUM_BYTES, NULL, 0), STATUS_OK);
	machine.devices = &slot;
	machine.device_count = 1;
	slot.vm = &machine;
	slot.device = &probe;
	for (uint64_t i = 0; i < SEEDS; i++)
		run_with_seed(i);
	medium_destroy(&machine.media[0]);
	free(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_disk_on_another_core)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
