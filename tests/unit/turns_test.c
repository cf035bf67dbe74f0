// SPDX-License-Identifier: BSD-2-Clause
// Vcpus that take turns, time that goes on while none has anything to do, and input that waits for
// a boundary: vm/turns.c, vm/idle.c, vm/outside.c.
#include "kernel/cpu.h"

#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/acpi_pm.h"
#include "emul/lapic.h"
#include "tests/unit/fake_blocks.h"
#include "vm/landing_internal.h"
#include "vmx/vcpu.h"

enum { VCPUS = 3 };

uint64_t fake_cpu_tsc;
bool fake_cpu_interrupts;
struct cpu fake_cpu;
static struct vm *vm;
static struct landing landing;
static struct tick_source source = {.scale = 1};
const struct tick_source *position_source = &source;
struct vcpu_engine vcpu_engine;
static struct lapic lapics[VCPUS];
static struct vm_vcpu slots[VCPUS];
static uint64_t rip = 0x1000;
static bool event_pending;
static unsigned signals, disturbed;

void timer_set(struct timer *timer, uint64_t deadline)
{
	timer->deadline = deadline;
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

uint64_t landing_now(const struct vm *of)
{
	return LANDING_TSC_BASE + of->landing->ticks + of->landing->skipped;
}

void landing_disturb(const struct vm *of)
{
	assert_ptr_equal(of, vm);
	disturbed++;
}

struct position landing_position(const struct vm_vcpu *vcpu)
{
	return (struct position){vcpu->vm->landing->ticks, rip, vcpu->index};
}

// The deadline of all, as vm/vcpu.c finds it.
static uint64_t deadline = TIMER_NEVER;
void vm_vcpu_timer_update(struct vm_vcpu *vcpu)
{
	vcpu->timer.deadline = deadline;
}

void vm_events_changed(struct vm *of)
{
	assert_ptr_equal(of, vm);
	signals++;
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
	fail_msg("the device lock is taken already");
}

static bool model_event_pending(const struct vcpu *vcpu)
{
	(void)vcpu;
	return event_pending;
}

// All wait, and have looked at their local APIC.
static int setup(void **state)
{
	(void)state;
	fake_cpu = (struct cpu){.self = &fake_cpu};
	vcpu_engine.event_pending = model_event_pending;
	fake_cpu_tsc = 5000;
	event_pending = false;
	signals = 0;
	deadline = TIMER_NEVER;
	landing = (struct landing){.turn_end = LANDING_TURN_OPEN};
	vm = test_calloc(1, sizeof(*vm));
	vm->landing = &landing;
	vm->vcpu_count = VCPUS;
	event_queue_init(&vm->queue, vm, NULL);
	for (unsigned i = 0; i < VCPUS; i++) {
		struct vm_vcpu *vcpu = vm->vcpus[i] = &slots[i];

		memset(vcpu, 0, sizeof(*vcpu));
		memset(&lapics[i], 0, sizeof(lapics[i]));
		vcpu->vm = vm;
		vcpu->index = i;
		vcpu->lapic = &lapics[i].device;
		vcpu->halted = true;
		vcpu->idle = lapic_word(vcpu->lapic);
		vcpu->timer.deadline = TIMER_NEVER;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_free(vm);
	return 0;
}

static bool pass(void)
{
	return landing_pass_turn(landing_turn(vm));
}

void cpu_kick(struct cpu *cpu)
{
	(void)cpu; // no back end answers here
	fail();
}

static void who_has_work_is_next(void **state)
{
	(void)state;
	vm->vcpus[0]->halted = vm->vcpus[2]->halted = false;
	landing.ticks = 100;
	assert_true(pass());
	assert_int_equal(landing.turn, 2); // 1 waits
	assert_false(landing_turn_is_over(vm));
	assert_int_not_equal(landing.turn_end, LANDING_TURN_OPEN); // 0 has work too
	landing.ticks = landing.turn_end;
	assert_true(landing_turn_is_over(vm));
	assert_true(pass());
	assert_int_equal(landing.turn, 0);
}

static void a_turn_is_open_while_nobody_waits_for_it(void **state)
{
	(void)state;
	vm->vcpus[1]->halted = false;
	assert_true(pass());
	assert_int_equal(landing.turn, 1);
	assert_int_equal(landing.turn_end, LANDING_TURN_OPEN);
	landing.ticks = BIT(40);
	assert_false(landing_turn_is_over(vm));
	landing_wake(vm->vcpus[1]); // its own interrupt
	assert_int_equal(landing.turn_end, LANDING_TURN_OPEN);
	landing_wake(vm->vcpus[0]);
	assert_true(landing.turn_end > landing.ticks && landing.turn_end < BIT(41));
}

static void nobody_has_work(void **state)
{
	(void)state;
	assert_false(pass());
	assert_int_equal(landing.turn, 0);
	vm->vcpus[0]->halted = false; // its turn is over, but nobody else wants it
	landing_yield(vm);
	assert_true(landing_turn_is_over(vm));
	assert_false(pass());
	assert_int_equal(landing.turn, 0);
	assert_false(landing_turn_is_over(vm));
}

// What the host signals is nothing to the guest: who is next must not depend on it.
static void only_what_is_of_the_guest_is_work(void **state)
{
	(void)state;
	vm->vcpus[1]->signals = VM_SIGNAL_EVENTS | VM_SIGNAL_REST | VM_SIGNAL_TEST | VM_SIGNAL_MAIL;
	assert_false(pass());
	lapics[1].irr_highest = 0x30;
	assert_true(pass());
	assert_int_equal(landing.turn, 1);
	vm->vcpus[1]->idle = lapic_word(vm->vcpus[1]->lapic);
	vm->vcpus[2]->waits_for_startup = true;
	vm->vcpus[2]->signals = VM_SIGNAL_STARTUP;
	disturbed = 0;
	assert_true(pass());
	assert_true(disturbed > 0);
	assert_int_equal(landing.turn, 2);
}

static void a_pause_takes_time(void **state)
{
	uint64_t before;

	(void)state;
	before = landing_now(vm);
	disturbed = 0;
	landing_yield(vm);
	assert_true(landing_now(vm) > before);
	assert_true(disturbed > 0);
	assert_int_equal(landing.ticks, 0);
	before = landing_now(vm);
	vm->vcpu_count = 1; // where it exits for a step alone
	landing_yield(vm);
	assert_true(landing_now(vm) == before);
	vm->vcpu_count = VCPUS;
}

static bool idle(uint64_t until)
{
	vm->vcpus[0]->timer.deadline = until;
	return landing_idle(vm->vcpus[0]);
}

static void time_jumps_to_the_deadline(void **state)
{
	(void)state;
	assert_true(idle(LANDING_TSC_BASE + 700));
	assert_int_equal(landing.skipped, 700);
	assert_true(idle(LANDING_TSC_BASE + 600)); // over due: it stays
	assert_int_equal(landing.skipped, 700);
	assert_false(idle(TIMER_NEVER));
	assert_true(landing.waiting);
	assert_true(landing_end_wait(vm));
	assert_int_equal(landing.skipped, 700);
}

static void a_live_machine_waits(void **state)
{
	(void)state;
	landing_set_live(vm, true);
	assert_false(idle(LANDING_TSC_BASE + 700));
	assert_int_equal(landing.timer.deadline, 5700);
	fake_cpu_tsc = 5650;
	assert_false(idle(LANDING_TSC_BASE + 700));
	fake_cpu_tsc = 5700;
	assert_true(idle(LANDING_TSC_BASE + 700));
	assert_int_equal(landing.skipped, 700);
	// Behind by what the host took: no wait until it is even again.
	fake_cpu_tsc = 9000;
	assert_true(idle(LANDING_TSC_BASE + 800));
	assert_int_equal(landing.skipped, 800);
}

// What a recorder's hold takes does not count, and what was lost before is not forgotten.
static void who_was_behind_stays_behind(void **state)
{
	(void)state;
	landing_set_live(vm, true);
	fake_cpu_tsc = 5400; // the machine is at 0 still
	landing_pause(vm);
	fake_cpu_tsc = 90000;
	landing_resume(vm);
	assert_int_equal(landing_real_now(vm) - landing_now(vm), 400);
	fake_cpu_tsc += 100;
	assert_true(idle(LANDING_TSC_BASE + 450));
	assert_false(idle(LANDING_TSC_BASE + 550));
	landing_set_live(vm, true);
	assert_int_equal(landing_real_now(vm), landing_now(vm));
}

static void a_wait_begins_a_new_pace(void **state)
{
	(void)state;
	landing_set_live(vm, true);
	landing.pace.begun = true;
	landing.ticks = 300;
	landing.rate_due = 9000;
	fake_cpu_tsc = 8000; // behind: no wait
	assert_true(idle(LANDING_TSC_BASE + 700));
	assert_true(landing.pace.begun);
	assert_int_equal(landing.rate_due, 9000);
	assert_false(idle(LANDING_TSC_BASE + 7000));
	assert_false(landing.pace.begun);
	assert_int_equal(landing.rate_due, 300);
}

static void input_ends_a_wait(void **state)
{
	(void)state;
	landing_set_live(vm, true);
	assert_false(landing_end_wait(vm)); // it does not wait
	assert_false(idle(LANDING_TSC_BASE + 700));
	fake_cpu_tsc = 5300;
	assert_true(landing_end_wait(vm));
	assert_int_equal(landing.skipped, 300);
	assert_false(idle(LANDING_TSC_BASE + 700));
	fake_cpu_tsc = 7000; // late: time does not pass the deadline
	assert_true(landing_end_wait(vm));
	assert_int_equal(landing.skipped, 700);
}

static const struct position *landed;
static void land(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	static struct position at;

	(void)vcpu;
	(void)owner;
	at = *here;
	landed = &at;
}

// A replay stops where the recording's wait ended.
static void a_target_ends_a_wait(void **state)
{
	(void)state;
	landing.callback = land;
	landing.target = (struct landing_target){.at = {0, rip, 0},
		.time = LANDING_TSC_BASE + 250};
	assert_true(idle(LANDING_TSC_BASE + 700));
	assert_int_equal(landing.skipped, 250);
	landing.target.at.rip = 0x2000; // of another place
	assert_true(idle(LANDING_TSC_BASE + 700));
	assert_int_equal(landing.skipped, 700);
}

static void who_waits_for_a_place_that_never_comes_is_told(void **state)
{
	(void)state;
	landing.callback = land;
	landing.target = (struct landing_target){.at = {90, rip, 0}};
	landed = NULL;
	assert_false(idle(TIMER_NEVER));
	assert_non_null(landed);
	assert_int_equal(landed->ticks, 0);
	assert_null(landing.callback);
}

static struct {
	unsigned asked;
	enum status answer;
	struct outside_place place;
} told;

static enum status note(struct outside_recorder *recorder, struct vm *of,
	const struct outside_place *place, const struct event *event)
{
	assert_non_null(recorder);
	assert_ptr_equal(of, vm);
	assert_int_equal(event->kind, EVENT_LINE);
	told.asked++;
	told.place = *place;
	return told.answer;
}

static void input_waits_for_a_boundary(void **state)
{
	static struct outside_recorder recorder = {.event = note};
	const struct event events[2] = {{.kind = EVENT_LINE, .value = 1}, {.kind = EVENT_LINE}};

	(void)state;
	memset(&told, 0, sizeof(told));
	vm->outside.recorder = &recorder;
	vm->vcpus[0]->halted = vm->vcpus[0]->waits_for_startup = false;
	assert_int_equal(outside_post(vm, events, 2), STATUS_OK);
	assert_int_equal(signals, 1);
	assert_int_equal(vm->queue.fifo_count, 0);
	event_pending = true; // between injection and delivery
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_LATER);
	assert_int_equal(told.asked, 0);
	event_pending = false;
	told.answer = STATUS_BUSY;
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_LATER);
	assert_int_equal(vm->queue.fifo_count, 0);
	told.answer = STATUS_OK;
	landing.ticks = 77;
	landing.skipped = 3;
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_TAKEN);
	assert_int_equal(vm->queue.fifo_count, 1);
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_TAKEN);
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_NONE);
	assert_int_equal(told.asked, 3);
	assert_int_equal(told.place.at.ticks, 77);
	assert_int_equal(told.place.time, 80);
	assert_false(told.place.waiting);
	assert_int_equal(vm->queue.fifo_count, 2);
	assert_int_equal(event_fifo_at(&vm->queue, 0)->value, 1);
	assert_int_equal(event_fifo_at(&vm->queue, 1)->value, 0);
}

// Also where its wait was over before it could be taken.
static void a_place_in_a_halt_has_a_time(void **state)
{
	static struct outside_recorder recorder = {.event = note};
	const struct event event = {.kind = EVENT_LINE, .value = 1};

	(void)state;
	memset(&told, 0, sizeof(told));
	vm->outside.recorder = &recorder;
	vm->vcpus[0]->halted = true;
	landing.waiting = true;
	told.answer = STATUS_BUSY;
	assert_int_equal(outside_post(vm, &event, 1), STATUS_OK);
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_LATER);
	assert_true(told.place.waiting);
	told.answer = STATUS_OK;
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_TAKEN);
	assert_true(told.place.waiting);
	assert_int_equal(told.asked, 2);
}

static void input_can_be_refused(void **state)
{
	static struct outside_recorder recorder = {.event = note};
	const struct event event = {.kind = EVENT_LINE};

	(void)state;
	memset(&told, 0, sizeof(told));
	told.answer = STATUS_REFUSED;
	vm->outside.recorder = &recorder;
	assert_int_equal(outside_post(vm, &event, 1), STATUS_OK);
	assert_int_equal(outside_take(vm->vcpus[0]), OUTSIDE_TAKEN);
	assert_int_equal(vm->queue.fifo_count, 0);
}

static void all_or_none_is_taken(void **state)
{
	const struct event events[3] = {{.kind = EVENT_LINE}, {.kind = EVENT_LINE},
		{.kind = EVENT_LINE}};

	(void)state;
	while (outside_room(vm) >= 3)
		assert_int_equal(outside_post(vm, events, 3), STATUS_OK);
	assert_int_equal(outside_post(vm, events, 3), STATUS_BUSY);
	assert_int_equal(vm->outside.count, OUTSIDE_MAX - OUTSIDE_MAX % 3);
	vm->landing = NULL; // no position is kept: at once
	assert_int_equal(outside_post(vm, events, 3), STATUS_OK);
	assert_int_equal(vm->queue.fifo_count, 3);
}

static void only_what_outside_sends_is_given(void **state)
{
	struct device pm = {.id = 4}, uart = {.id = 5};
	const struct event good[] = {
		{.kind = EVENT_MACHINE, .index = DEVICE_REQUEST_RESET},
		{.kind = EVENT_MACHINE, .index = VM_EVENT_NMI, .value = VCPUS - 1},
		{.kind = EVENT_LINE, .device = 4, .index = ACPI_PM_INPUT_POWER_BUTTON, .value = 1},
		{.kind = EVENT_CHARACTERS, .device = 5, .index = VM_INPUT_PORT,
			.payload_bytes = EVENT_PAYLOAD_MAX},
		{.kind = EVENT_KEY, .payload_bytes = sizeof(struct device_input)},
	}, bad[] = {
		{.kind = EVENT_MACHINE, .index = DEVICE_REQUEST_EXIT},
		{.kind = EVENT_MACHINE, .index = VM_EVENT_NMI, .value = VCPUS},
		{.kind = EVENT_MACHINE, .index = VM_EVENT_NMI, .value = UINT64_MAX},
		{.kind = EVENT_LINE, .device = 5, .index = ACPI_PM_INPUT_POWER_BUTTON},
		{.kind = EVENT_LINE, .device = 4, .index = 9},
		{.kind = EVENT_LINE, .device = 4, .index = ACPI_PM_INPUT_POWER_BUTTON, .value = 2},
		{.kind = EVENT_CHARACTERS, .device = 4, .index = VM_INPUT_PORT,
			.payload_bytes = 1},
		{.kind = EVENT_CHARACTERS, .device = 5, .index = VM_INPUT_PORT},
		{.kind = EVENT_CHARACTERS, .device = 5, .index = VM_INPUT_PORT,
			.payload_bytes = EVENT_PAYLOAD_MAX + 1},
		{.kind = EVENT_USB},
		{.kind = 200},
	};

	(void)state;
	vm->acpi_pm = &pm;
	vm->input = &uart;
	for (unsigned i = 0; i < ARRAY_COUNT(good); i++)
		assert_null(outside_problem(vm, &good[i], NULL));
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		assert_string_equal(outside_problem(vm, &bad[i], NULL),
			"an event that nothing here takes");
	assert_string_equal(outside_problem(vm, &(struct event){.kind = EVENT_COMPLETION}, NULL),
		"a completion of what was not asked for");
	while (event_post(&vm->queue, &good[0]) == STATUS_OK)
		;
	assert_string_equal(outside_problem(vm, &good[0], NULL),
		"more events than there is room for");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_has_work_is_next),
		TEST(a_turn_is_open_while_nobody_waits_for_it),
		TEST(nobody_has_work),
		TEST(only_what_is_of_the_guest_is_work),
		TEST(a_pause_takes_time),
		TEST(time_jumps_to_the_deadline),
		TEST(a_live_machine_waits),
		TEST(who_was_behind_stays_behind),
		TEST(a_wait_begins_a_new_pace),
		TEST(input_ends_a_wait),
		TEST(a_target_ends_a_wait),
		TEST(who_waits_for_a_place_that_never_comes_is_told),
		TEST(input_waits_for_a_boundary),
		TEST(a_place_in_a_halt_has_a_time),
		TEST(input_can_be_refused),
		TEST(all_or_none_is_taken),
		TEST(only_what_outside_sends_is_given),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
