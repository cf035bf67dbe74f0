// SPDX-License-Identifier: BSD-2-Clause
// Keys and the pointer on their way to a machine: outside_input.
#include "kernel/cpu.h"

#include "tests/unit/fake_env.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/crc32c.h"
#include "tests/unit/fake_blocks.h"
#include "vm/input.h"
#include "vm/landing_internal.h"

uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;
struct cpu fake_cpu;
struct vcpu_engine vcpu_engine;
static struct vm *vm;
static unsigned signals;

uint64_t landing_now(const struct vm *of)
{
	(void)of;
	return LANDING_TSC_BASE;
}

struct position landing_position(const struct vm_vcpu *of)
{
	(void)of;
	return (struct position){0};
}

bool landing_end_wait(struct vm *of)
{
	(void)of;
	return false;
}

void vm_events_changed(struct vm *of)
{
	assert_ptr_equal(of, vm);
	signals++;
}

void cpu_kick(struct cpu *cpu)
{
	(void)cpu;
	fail();
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
	fail();
}

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count)
{
	(void)bytes;
	return crc + (uint32_t)count;
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = (struct cpu){.self = &fake_cpu};
	vm = calloc(1, sizeof(*vm));
	event_queue_init(&vm->queue, vm, NULL);
	vm->state = VM_RUNNING;
	signals = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vm);
	return 0;
}

static const struct device_input inputs[3] = {
	{.kind = DEVICE_INPUT_KEY, .code = 0x29, .down = true},
	{.kind = DEVICE_INPUT_BUTTON, .code = DEVICE_BUTTON_MIDDLE},
	{.kind = DEVICE_INPUT_MOVE, .x = -5, .y = 6, .wheel = -7},
};

static void expect_event(const struct event *event, unsigned index)
{
	assert_int_equal(event->kind, EVENT_KEY);
	assert_int_equal(event->payload_bytes, sizeof(inputs[0]));
	assert_memory_equal(event->payload, &inputs[index], sizeof(inputs[0]));
	assert_null(input_problem(event));
	assert_null(outside_problem(vm, event, NULL));
}

static void it_waits_in_the_event_queue(void **state)
{
	(void)state;
	assert_int_equal(outside_input(vm, inputs, 3), STATUS_OK);
	assert_int_equal(signals, 1);
	assert_int_equal(vm->queue.fifo_count, 3);
	for (unsigned i = 0; i < 3; i++)
		expect_event(event_fifo_at(&vm->queue, i), i);
}

static void it_waits_for_a_boundary_where_one_is_kept(void **state)
{
	static struct landing landing;

	(void)state;
	vm->landing = &landing;
	assert_int_equal(outside_input(vm, inputs, 2), STATUS_OK);
	assert_int_equal(vm->queue.fifo_count, 0);
	assert_int_equal(vm->outside.count, 2);
	for (unsigned i = 0; i < 2; i++)
		expect_event(&vm->outside.events[i], i);
}

static void it_is_refused(void **state)
{
	static struct outside_recorder recorder = {.gives = true};

	(void)state;
	vm->state = VM_PAUSED;
	assert_int_equal(outside_input(vm, inputs, 1), STATUS_REFUSED);
	vm->state = VM_RUNNING;
	vm->outside.recorder = &recorder;
	assert_int_equal(outside_input(vm, inputs, 1), STATUS_REFUSED);
	vm->outside.recorder = NULL;
	while (outside_room(vm) >= 3)
		assert_int_equal(outside_input(vm, inputs, 3), STATUS_OK);
	assert_int_equal(vm->queue.fifo_count, (EVENT_FIFO_MAX - EVENT_RESERVE) / 3 * 3);
	assert_int_equal(outside_input(vm, inputs, 3), STATUS_BUSY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_waits_in_the_event_queue),
		TEST(it_waits_for_a_boundary_where_one_is_kept),
		TEST(it_is_refused),
	};

	return cmocka_run_group_tests_name("outside_input", tests, NULL, NULL);
}
