// SPDX-License-Identifier: BSD-2-Clause
// Frames that reach a machine whose position is kept: the recorder hears of each with its frame,
// one that it refuses is gone, and there are no more than there is room for.
#include "kernel/cpu.h"

#include "tests/unit/fake_env.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/crc32c.h"
#include "tests/unit/fake_blocks.h"
#include "vm/landing_internal.h"
#include "vmx/vcpu.h"

enum { DEVICE = 3 };

uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;
struct cpu fake_cpu;
static struct vm *vm;
static struct landing landing;
static struct vm_vcpu vcpu;
static struct vm_device devices[DEVICE + 1];
static struct nic nic;
static struct position place;
static struct outside_recorder recorder;
static enum status answer;
static unsigned told, signals;
static uint8_t content[DEVICE_FRAME_MAX];

uint64_t landing_now(const struct vm *of)
{
	return LANDING_TSC_BASE + of->landing->ticks;
}

struct position landing_position(const struct vm_vcpu *of)
{
	assert_ptr_equal(of, &vcpu);
	return place;
}

bool landing_end_wait(struct vm *of)
{
	assert_ptr_equal(of, vm);
	return false;
}

static bool is_pending(const struct vcpu *of)
{
	(void)of;
	return false;
}

struct vcpu_engine vcpu_engine = {.event_pending = is_pending};

void vm_events_changed(struct vm *of)
{
	assert_ptr_equal(of, vm);
	signals++;
}

void cpu_kick(struct cpu *cpu)
{
	(void)cpu;
	fail(); // it has no back ends
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

static void delivered(void *owner, const struct event *event, struct guest_time now)
{
	(void)now;
	assert_ptr_equal(owner, vm);
	assert_int_equal(event->kind, EVENT_PACKET);
	frame_ring_take(vm->packets);
}

static enum status hear(struct outside_recorder *of, struct vm *machine,
	const struct outside_place *at, const struct event *event)
{
	const struct device_frame frame = packet_of(machine, event);

	assert_ptr_equal(of, &recorder);
	assert_true(position_equal(&at->at, &place));
	assert_int_equal(event->device, DEVICE);
	assert_int_equal(frame.count, 60 + told);
	told++;
	return answer;
}

static int setup(void **state)
{
	(void)state;
	vm = calloc(1, sizeof(*vm));
	vm->packets = calloc(1, sizeof(*vm->packets));
	memset(&landing, 0, sizeof(landing));
	memset(devices, 0, sizeof(devices));
	memset(&nic, 0, sizeof(nic));
	vm->landing = &landing;
	vm->devices = devices;
	vm->device_count = DEVICE + 1;
	vm->config.nic_count = 1;
	vm->nics[0] = devices[DEVICE].nic = &nic;
	nic.device = DEVICE;
	vcpu = (struct vm_vcpu){.vm = vm};
	vm->vcpus[0] = &vcpu;
	vm->vcpu_count = 1;
	event_queue_init(&vm->queue, vm, delivered);
	recorder = (struct outside_recorder){.event = hear, .binds = true};
	vm->outside.recorder = &recorder;
	place = (struct position){100, 0x1000, 0};
	answer = STATUS_OK;
	told = signals = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(vm->packets);
	free(vm);
	return 0;
}

static void arrive(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct device_frame frame = {.bytes = content,
			.count = (uint16_t)(60 + told + i)};

		assert_true(frame_ring_put(&nic.to_guest, &frame));
	}
}

static void deliver(void)
{
	event_queue_deliver(&vm->queue, (struct guest_time){0});
}

static unsigned take_all(void)
{
	unsigned taken = 0;

	while (outside_take(&vcpu) == OUTSIDE_TAKEN)
		taken++;
	return taken;
}

static void the_recorder_hears(void **state)
{
	(void)state;
	assert_int_equal(outside_take(&vcpu), OUTSIDE_NONE);
	arrive(3);
	for (unsigned i = 1; i <= 3; i++) { // one at a time
		assert_int_equal(outside_take(&vcpu), OUTSIDE_TAKEN);
		assert_int_equal(told, i);
		assert_int_equal(vm->queue.fifo_count, i);
	}
	assert_int_equal(outside_take(&vcpu), OUTSIDE_NONE);
	assert_int_equal(frame_ring_count(vm->packets), 3);
	deliver();
	answer = STATUS_REFUSED;
	arrive(2);
	assert_int_equal(take_all(), 2);
	assert_int_equal(told, 5);
	assert_int_equal(vm->queue.fifo_count, 0);
	assert_false(packet_any(vm));
	answer = STATUS_BUSY;
	arrive(1);
	assert_int_equal(outside_take(&vcpu), OUTSIDE_LATER);
	assert_true(packet_any(vm));
	told--; // it comes again
	answer = STATUS_OK;
	assert_int_equal(take_all(), 1);
	assert_int_equal(vm->queue.fifo_count, 1);
}

static void no_more_than_there_is_room_for(void **state)
{
	(void)state;
	arrive(FRAME_RING_FRAMES);
	assert_int_equal(take_all(), FRAME_RING_FRAMES);
	arrive(1);
	assert_int_equal(take_all(), 0);
	deliver();
	assert_int_equal(take_all(), 1);
	assert_int_equal(told, FRAME_RING_FRAMES + 1);
}

static void a_replay_gives_itself(void **state)
{
	struct event event = {.kind = EVENT_PACKET, .device = DEVICE};
	const struct device_frame frame = packet_frame(&event, content, 60);

	(void)state;
	recorder.gives = true;
	arrive(5);
	assert_int_equal(outside_take(&vcpu), OUTSIDE_NONE);
	assert_false(packet_any(vm)); // what the switch brings is refused
	assert_int_equal(told, 0);
	assert_null(outside_problem(vm, &event, &frame));
	outside_give(vm, &event, &frame);
	assert_true(vm->outside.given);
	assert_int_equal(signals, 1);
	assert_int_equal(frame_ring_count(vm->packets), 1);
	deliver();
	event.device = 0;
	assert_non_null(outside_problem(vm, &event, &frame));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_recorder_hears),
		TEST(no_more_than_there_is_room_for),
		TEST(a_replay_gives_itself),
	};

	return cmocka_run_group_tests_name("outside_packet", tests, NULL, NULL);
}
