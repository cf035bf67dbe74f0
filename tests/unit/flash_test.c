// SPDX-License-Identifier: BSD-2-Clause
// What keeps firmware's variables: what becomes of regions of all kinds, the order of what is
// written, disks that fail, and a power cut between any two writes.
#include "vm/flash.h"

#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/region.h"
#include "emul/pflash.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "tests/unit/fake_env.h"
#include "vm/vm.h"

enum {
	BLOCK = PFLASH_BLOCK_BYTES,
	BYTES = 4 * BLOCK,
	REGION_BYTES = 6 * BLOCK,
	WRITES_MAX = 80,
};

static struct cpu this_cpu;
static struct disk disk = {.sector_bytes = 512};
static uint8_t image[BYTES], medium[REGION_BYTES], durable[REGION_BYTES];
static uint64_t region_bytes;
static bool region_read_only, unflushed, loop_runs;
static enum status open_answer, write_answer, flush_answer;
static unsigned opened, flushes, writes;
static struct {
	uint64_t offset, bytes;
} written[WRITES_MAX];
static void (*fiber_entry)(void *argument);
static void *fiber_argument;
static jmp_buf nothing_left;
static struct backend backend;
static struct backend_request requests[DEVICE_IO_MAX];
static uint8_t data[DEVICE_IO_MAX][DEVICE_IO_BYTES_MAX];
static unsigned answers;
static enum status answered[WRITES_MAX];
static struct vm_device slot;
static struct vm *vm;
static struct flash *flash;
static char error[VM_ERROR_MAX];

enum status region_open(const char *name, struct region **region, char reason[REGION_ERROR_MAX])
{
	assert_string_equal(name, "partition:vars");
	if (open_answer != STATUS_OK) {
		snprintf(reason, REGION_ERROR_MAX, "no partition 'vars'");
		return open_answer;
	}
	*region = calloc(1, sizeof(**region));
	**region = (struct region){.disk = &disk, .bytes = region_bytes,
		.read_only = region_read_only};
	opened++;
	return STATUS_OK;
}

enum status region_claim(struct region *region, const char *owner, enum region_use use,
	char reason[REGION_ERROR_MAX])
{
	(void)reason;
	assert_string_equal(owner, "the flash of guest");
	region->use = (uint8_t)use;
	return STATUS_OK;
}

void region_close(struct region *region)
{
	opened--;
	free(region);
}

enum status region_read(struct region *region, uint64_t offset, void *buffer, uint64_t bytes)
{
	assert_true(offset <= region->bytes && bytes <= region->bytes - offset);
	memcpy(buffer, medium + offset, bytes);
	return STATUS_OK;
}

enum status region_write(struct region *region, uint64_t offset, const void *buffer,
	uint64_t bytes)
{
	assert_true(offset <= region->bytes && bytes <= region->bytes - offset);
	assert_true(offset % BLOCK == 0 && bytes % BLOCK == 0);
	assert_false(unflushed); // the one before is durable
	if (write_answer != STATUS_OK)
		return write_answer;
	assert_true(writes < WRITES_MAX);
	written[writes].offset = offset;
	written[writes++].bytes = bytes;
	memcpy(medium + offset, buffer, bytes);
	unflushed = true;
	return STATUS_OK;
}

enum status region_flush(struct region *region)
{
	(void)region;
	flushes++;
	if (flush_answer == STATUS_OK)
		memcpy(durable, medium, sizeof(durable));
	unflushed = false;
	return flush_answer;
}

void *mem_large_alloc(void)
{
	return malloc(LARGE_PAGE_BYTES);
}

void mem_large_free(void *block)
{
	free(block);
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

uint32_t cpu_count(void)
{
	return 1;
}

struct cpu *cpu_get(uint32_t index)
{
	assert_int_equal(index, 0);
	return &this_cpu;
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	(void)cpu;
	run(argument);
}

void smp_post(struct cpu *cpu, struct cpu_message *message)
{
	(void)cpu;
	message->run(message);
}

bool loop_is_running(void)
{
	return loop_runs;
}

void vm_wait_a_moment(void)
{
	if (setjmp(nothing_left) == 0)
		fiber_entry(fiber_argument);
}

struct fiber *fiber_create(const char *name, void (*entry)(void *argument), void *argument)
{
	(void)name;
	fiber_entry = entry;
	fiber_argument = argument;
	return (struct fiber *)&this_cpu;
}

void fiber_wake(struct fiber *fiber)
{
	(void)fiber;
}

void fiber_yield(void)
{
}

bool fiber_wait(uint64_t deadline)
{
	assert_true(deadline == TIMER_NEVER);
	longjmp(nothing_left, 1);
}

void backend_done(struct backend_request *request, enum status status)
{
	(void)request;
	assert_false(unflushed);
	answered[answers++] = status;
}

void backend_done_at_once(struct backend_request *request, enum status status)
{
	backend_done(request, status);
}

static void serve(void)
{
	if (setjmp(nothing_left) == 0)
		fiber_entry(fiber_argument);
}

static int setup(void **state)
{
	uint64_t length = BYTES;

	(void)state;
	this_cpu.self = &this_cpu;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &this_cpu);
	for (unsigned i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(i * 7 + i / BLOCK);
	memcpy(image + 32, &length, sizeof(length));
	memcpy(image + 40, "_FVH", 4);
	memset(medium, 0, sizeof(medium));
	memset(durable, 0, sizeof(durable));
	region_bytes = REGION_BYTES;
	region_read_only = unflushed = loop_runs = false;
	open_answer = write_answer = flush_answer = STATUS_OK;
	writes = flushes = answers = 0;
	vm = calloc(1, sizeof(*vm));
	vm->config = (struct vm_config){.name = "guest",
		.flash = {.image = image, .bytes = BYTES, .region = "partition:vars"}};
	vm->device_memory.block_count = 1;
	vm->device_memory.blocks[0] = calloc(1, LARGE_PAGE_BYTES);
	slot.vm = vm;
	backend.device = &slot;
	error[0] = '\0';
	flash = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_runs = true;
	flash_destroy(flash);
	assert_int_equal(opened, 0);
	free(vm->device_memory.blocks[0]);
	free(vm);
	return 0;
}

static enum status create(void)
{
	enum status status = flash_create(&vm->config, &flash, error);

	if (status == STATUS_OK) {
		vm->flash = flash;
		flash_fill(vm);
	}
	backend.owner = flash;
	return status;
}

static uint8_t *contents(void)
{
	return flash_contents(vm);
}

static void ask(unsigned number, uint64_t offset, uint64_t bytes)
{
	requests[number] = (struct backend_request){.backend = &backend, .data = data[number],
		.kind = DEVICE_IO_FLUSH, .offset = offset, .bytes = bytes};
	flash_submit(flash, &requests[number]);
}

static void refused(const char *why)
{
	uint8_t before[REGION_BYTES];

	memcpy(before, medium, sizeof(before));
	assert_int_not_equal(create(), STATUS_OK);
	assert_non_null(strstr(error, why));
	assert_memory_equal(medium, before, sizeof(before));
	assert_null(flash);
	assert_int_equal(opened, 0);
}

static void an_empty_region_gets_the_image(void **state)
{
	(void)state;
	medium[BYTES] = 0x77; // what lies behind is not its
	assert_int_equal(create(), STATUS_OK);
	assert_memory_equal(durable, image, BYTES);
	assert_int_equal(durable[BYTES], 0x77);
	assert_memory_equal(contents(), image, BYTES);
	assert_true(written[writes - 1].offset == 0 && written[writes - 1].bytes == BLOCK);
}

static void an_erased_one_too(void **state)
{
	(void)state;
	memset(medium, 0xff, sizeof(medium));
	assert_int_equal(create(), STATUS_OK);
	assert_memory_equal(durable, image, BYTES);
}

static void variables_are_kept(void **state)
{
	(void)state;
	memcpy(medium, image, BYTES);
	medium[3 * BLOCK + 5] ^= 0x55;
	assert_int_equal(create(), STATUS_OK);
	assert_int_equal(writes, 0);
	assert_memory_equal(contents(), medium, BYTES);
}

static void what_is_no_flash_is_refused(void **state)
{
	const uint64_t other = 2 * BLOCK;

	(void)state;
	medium[511] = 0xaa;
	refused("something else");
	memcpy(medium, image, BYTES);
	memcpy(medium + 32, &other, sizeof(other));
	refused("8192 bytes of them, expected 16384");
	memset(medium, 0, sizeof(medium));
	region_bytes = BYTES - BLOCK;
	refused("has 12288 bytes, expected at least 16384");
	region_bytes = BYTES;
	region_read_only = true;
	refused("cannot be written");
	region_read_only = false;
	write_answer = STATUS_IO;
	refused(status_name(STATUS_IO));
	write_answer = STATUS_OK;
	open_answer = STATUS_NOT_FOUND;
	refused("no partition 'vars'");
}

// A power cut while a region gets its image: the next start does it again.
static void half_an_image_is_none(void **state)
{
	(void)state;
	flush_answer = STATUS_IO; // the first one never becomes durable
	assert_int_not_equal(create(), STATUS_OK);
	assert_int_equal(writes, 1);
	assert_int_equal(written[0].offset, BLOCK);
	flush_answer = STATUS_OK;
	assert_int_equal(create(), STATUS_OK);
	assert_memory_equal(durable, image, BYTES);
}

// Each as it was when it was asked for, one behind the other, and durable before the next begins.
static void blocks_are_written_in_order(void **state)
{
	(void)state;
	assert_int_equal(create(), STATUS_OK);
	writes = flushes = 0;
	contents()[BLOCK] = 1;
	ask(0, BLOCK, BLOCK);
	contents()[BLOCK] = 2;
	contents()[0] = 3;
	ask(1, 0, BLOCK);
	assert_int_equal(answers, 0);
	assert_int_equal(writes, 0);
	serve();
	assert_int_equal(answers, 2);
	assert_int_equal(writes, 2);
	assert_int_equal(flushes, 2);
	assert_int_equal(written[0].offset, BLOCK);
	assert_int_equal(durable[BLOCK], 1);
	assert_int_equal(durable[0], 3);
	assert_memory_equal(durable + 2 * BLOCK, image + 2 * BLOCK, 2 * BLOCK);
	for (unsigned i = 0; i < DEVICE_IO_MAX; i++)
		ask(i, i % 4 * BLOCK, BLOCK);
	serve();
	assert_int_equal(answers, 2 + DEVICE_IO_MAX);
	assert_memory_equal(durable, contents(), BYTES);
}

static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	assert_int_equal(create(), STATUS_OK);
	writes = 0;
	ask(0, BYTES, BLOCK);
	ask(1, UINT64_MAX - BLOCK + 1, BLOCK);
	ask(2, 0, DEVICE_IO_BYTES_MAX + 1);
	requests[3] = (struct backend_request){.backend = &backend, .data = data[3],
		.kind = DEVICE_IO_WRITE, .bytes = BLOCK};
	flash_submit(flash, &requests[3]);
	serve();
	assert_int_equal(answers, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(answered[i], STATUS_RANGE);
	assert_int_equal(writes, 0);
}

// What failed is tried again when all of it is to be there.
static void a_failure_is_told(void **state)
{
	(void)state;
	assert_int_equal(create(), STATUS_OK);
	writes = 0;
	contents()[0] ^= 1;
	write_answer = STATUS_IO;
	ask(0, 0, BLOCK);
	serve();
	assert_int_equal(answered[0], STATUS_IO);
	write_answer = STATUS_OK;
	flash_sync(vm);
	assert_int_equal(writes, 1);
	assert_memory_equal(durable, contents(), BYTES);
	flash_sync(vm); // all is there
	assert_int_equal(writes, 1);
}

static void a_replay_leaves_the_region_alone(void **state)
{
	(void)state;
	vm->config.flash.detached = true;
	open_answer = STATUS_NOT_FOUND; // it need not even be there
	assert_int_equal(create(), STATUS_OK);
	assert_memory_equal(contents(), image, BYTES);
	contents()[0] ^= 1;
	ask(0, 0, BLOCK);
	assert_int_equal(answers, 1);
	assert_int_equal(answered[0], STATUS_OK);
	flash_sync(vm);
	assert_int_equal(writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_region_gets_the_image, setup, teardown),
		cmocka_unit_test_setup_teardown(an_erased_one_too, setup, teardown),
		cmocka_unit_test_setup_teardown(variables_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_flash_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(half_an_image_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_are_written_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_replay_leaves_the_region_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
