// SPDX-License-Identifier: BSD-2-Clause
// For tests of the monitor's commands, against a machine that is not there: the real monitor, table
// of machines, page-table walks and guest memory; console, fibers and the run loop are fakes.
#ifndef TESTS_UNIT_MONITOR_FAKE_H
#define TESTS_UNIT_MONITOR_FAKE_H

#include "tests/unit/fake_ram.h"

#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "emul/virtio_net.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/crash.h"
#include "kernel/fiber.h"
#include "kernel/libc.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "vm/dataplane.h"
#include "vm/console.h"
#include "vm/machine.h"
#include "vm/monitor.h"
#include "vm/snapshot.h"

static struct cpu cpu = {.self = &cpu};
static struct vm machine;
static struct vm_vcpu machine_vcpu = {
	.vm = &machine, .core = &cpu, .physical_bits = 40, .gigabyte_pages = true};
static struct vm_vcpu second_vcpu = {.vm = &machine, .core = &cpu, .index = 1};
static struct machine *first, *second; // of the configuration
static struct vcpu_state registers;
static char screen[65536];
static size_t screen_bytes;
static bool monitor_shown = true, prompt_due;
static const struct console_monitor_ops *ops;
static char calls[256]; // of the machine's functions
static unsigned pauses, interrupt_at_pause;
static bool bound; // by a recorder
static uint64_t guest_ns = 12345678901, guest_ns_of_pause; // a pause lasts so long for the guest

uint64_t clock_tsc_to_ns = BIT(CLOCK_TSC_SHIFT - 1); // half a nanosecond a tick

// One fiber, as a context of its own.
static ucontext_t test_context, fiber_context;
static void (*fiber_entry)(void *argument);
static bool fiber_woken, in_fiber;

static void fiber_main(void)
{
	fiber_entry(NULL);
	abort();
}

struct fiber *fiber_create(const char *name, void (*entry)(void *argument), void *argument)
{
	static char stack[256 * 1024];

	(void)name;
	(void)argument;
	fiber_entry = entry;
	getcontext(&fiber_context);
	fiber_context.uc_stack.ss_sp = stack;
	fiber_context.uc_stack.ss_size = sizeof(stack);
	makecontext(&fiber_context, fiber_main, 0);
	return (struct fiber *)(void *)&fiber_context;
}

struct fiber *fiber_self(void)
{
	return in_fiber ? (struct fiber *)(void *)&fiber_context : NULL;
}

static void typed(const char *text)
{
	ops->input((const uint8_t *)text, strlen(text));
}

bool fiber_wait(uint64_t deadline)
{
	if (deadline != TIMER_NEVER) {
		guest_ns += guest_ns_of_pause;
		if (++pauses == interrupt_at_pause)
			typed("\x03");
	}
	if (deadline == TIMER_NEVER && !fiber_woken) {
		in_fiber = false;
		swapcontext(&fiber_context, &test_context);
		in_fiber = true;
	}
	fiber_woken = false;
	return true;
}

void fiber_wake(struct fiber *fiber)
{
	assert_ptr_equal(fiber, &fiber_context);
	fiber_woken = true;
}

// The event loop.
static inline void loop(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (prompt_due && monitor_shown) {
			prompt_due = false;
			ops->show();
		}
		if (fiber_woken) {
			in_fiber = true;
			swapcontext(&test_context, &fiber_context);
		}
	}
}

void console_monitor_set(const struct console_monitor_ops *set)
{
	ops = set;
}

void console_monitor_write(const char *text, size_t bytes)
{
	assert_true(screen_bytes + bytes < sizeof(screen));
	memcpy(screen + screen_bytes, text, bytes);
	screen_bytes += bytes;
	screen[screen_bytes] = '\0';
}

bool console_monitor_is_shown(void)
{
	return monitor_shown;
}

void console_prompt_due(void)
{
	prompt_due = true;
}

static void call_note(const char *name)
{
	strcat(calls, name);
}

void dataplanes_report(const struct vm *vm)
{
	(void)vm;
}

void vm_stop(struct vm *vm)
{
	vm->state = VM_PAUSED;
	call_note("stop ");
}

void vm_continue(struct vm *vm)
{
	vm->state = VM_RUNNING;
	call_note("continue ");
}

enum status vm_start(struct vm *vm, char error[VM_ERROR_MAX])
{
	(void)vm;
	snprintf(error, VM_ERROR_MAX, "no kernel");
	return STATUS_INVALID;
}

enum status vm_reset_request(struct vm *vm)
{
	(void)vm;
	call_note("reset ");
	return STATUS_OK;
}

enum status vm_power_button(struct vm *vm)
{
	return vm->state == VM_ENDED ? STATUS_REFUSED : STATUS_BUSY;
}

const char *vm_state_name(const struct vm *vm)
{
	static const char *const names[] = {"created", "running", "paused", "shutdown"};

	return names[vm->state];
}

uint64_t vm_overhead_bytes(const struct vm *vm)
{
	(void)vm;
	return 600 * KIB;
}

struct mem_counts mem_count(void)
{
	return (struct mem_counts){GIB, GIB, 3, 100, 200};
}

size_t libc_heap_bytes(void)
{
	return 64 * KIB;
}

const struct clock_calibration *clock_calibration(void)
{
	static const struct clock_calibration clock = {"HPET", 2400007000, 1000000000};

	return &clock;
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

const char *vmexit_kind_name(enum vmexit_kind kind)
{
	return kind == VMEXIT_IO ? "io" : kind == VMEXIT_HLT ? "hlt" : "other";
}

void vcpu_engine_describe(char *text, size_t bytes)
{
	snprintf(text, bytes, "an engine");
}

void vm_vcpu_spoil(struct vm_vcpu *vcpu)
{
	call_note(vcpu->index == 0 ? "spoil 0 " : "spoil 1 ");
}

void vm_vcpu_state(struct vm_vcpu *vcpu, struct vcpu_state *state)
{
	*state = registers;
	if (vcpu != &machine_vcpu)
		state->gpr[GPR_RAX] = 0x111;
}

// What the table of machines needs.
static struct vm_config created; // what vm_create was given last
static struct cpu_message *posted;
static unsigned logged;

struct console_guest *console_guest_add(const char *name)
{
	(void)name;
	return calloc(1, 1);
}

void console_guest_attach(struct console_guest *guest, struct vm *vm)
{
	(void)guest;
	call_note(vm != NULL ? "attach " : "detach ");
}

void console_guest_output(struct console_guest *guest, const uint8_t *bytes, size_t count)
{
	assert_ptr_equal(guest, first->console);
	assert_int_equal(count, 1);
	assert_int_equal(bytes[0], 'x');
	call_note("output ");
}

void console_guest_flush(struct console_guest *guest)
{
	(void)guest;
	call_note("flush ");
}

bool console_guest_is_shown(const struct console_guest *guest)
{
	return guest == first->console;
}

void console_show_guest(struct console_guest *guest)
{
	call_note(guest == first->console ? "show-first " : "show-second ");
}

void console_show_monitor(void)
{
	call_note("show-monitor ");
}

enum status vm_create(const struct vm_config *config, struct vm **vm, char error[VM_ERROR_MAX])
{
	created = *config;
	call_note("create ");
	if (strcmp(config->name, "two") == 0) {
		snprintf(error, VM_ERROR_MAX, "no memory");
		return STATUS_NO_MEMORY;
	}
	machine.state = VM_CREATED;
	*vm = &machine;
	return STATUS_OK;
}

void vm_destroy(struct vm *vm)
{
	assert_ptr_equal(vm, &machine);
	assert_null(first->vm); // nobody finds it any more
	call_note("destroy ");
}

enum status vm_nmi(struct vm *vm, uint32_t vcpu)
{
	assert_in_range(vcpu, 0, vm->vcpu_count - 1);
	call_note(vcpu == 0 ? "nmi0 " : "nmi1 ");
	return STATUS_OK;
}

bool outside_is_bound(const struct vm *vm)
{
	return vm == &machine && bound;
}

struct guest_time vm_now(const struct vm *vm)
{
	(void)vm;
	return (struct guest_time){guest_ns};
}

uint64_t clock_rtc_seconds(void)
{
	return 1700000000;
}

struct cpu *cpu_get(uint32_t index)
{
	assert_int_equal(index, 0);
	return &cpu;
}

void smp_post(struct cpu *to, struct cpu_message *message)
{
	assert_ptr_equal(to, &cpu);
	assert_null(posted); // one at a time
	posted = message;
}

static inline void post_arrives(void)
{
	struct cpu_message *message = posted;

	assert_non_null(message);
	posted = NULL;
	message->run(message);
}

void crash_section_add(struct crash_section *section)
{
	(void)section;
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)format;
	assert_true(level == LOG_INFO || level == LOG_DEBUG);
	logged += level == LOG_INFO;
}

static inline void all_ended(uint32_t status)
{
	assert_int_equal(status, 6);
	call_note("all-ended ");
}

// Snapshots without contents.
static unsigned streams; // that hold something
static enum status save_answer, load_answer;

void snapshot_stream_init(struct snapshot_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

void snapshot_stream_free(struct snapshot_stream *stream)
{
	streams -= stream->bytes != 0;
	snapshot_stream_init(stream);
}

enum status snapshot_save(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost, struct guest_time *time)
{
	assert_ptr_equal(vm, &machine);
	*cost = (struct snapshot_cost){0, 0};
	*time = (struct guest_time){3723004 * UINT64_C(1000000)};
	if (save_answer != STATUS_OK)
		return save_answer;
	stream->bytes = 5 * MIB / 2;
	streams++;
	call_note("save ");
	return STATUS_OK;
}

enum status snapshot_load(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost)
{
	assert_ptr_equal(vm, &machine);
	assert_int_not_equal(stream->bytes, 0);
	*cost = (struct snapshot_cost){0, 0};
	snprintf(stream->error, sizeof(stream->error), "vcpu 0: bad");
	call_note("load ");
	return load_answer;
}

void monitor_host_register(void)
{
}

#include "tests/unit/monitor_fake_devices.h"

static void quit(void)
{
	call_note("quit ");
}

static inline void machines_add(void)
{
	first = machine_add(&(struct vm_config){.name = "one", .vcpus = 2,
		.memory_bytes = 256 * MIB, .rtc_epoch = 5}, true);
	second = machine_add(&(struct vm_config){.name = "two", .vcpus = 1,
		.memory_bytes = 64 * MIB, .rtc_epoch = 5}, false);
	assert_true(first != NULL && second != NULL);
}

static int setup(void **state)
{
	static const struct monitor_config config = {.version = "1.2",
		.boot_path = "UEFI", .image_bytes = 512 * KIB, .quit = quit};

	(void)state;
	if (ops == NULL) {
		syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu);
		assert_int_equal(monitor_init(&config), STATUS_OK);
		fiber_woken = true;
		loop();
	}
	memset(&machine, 0, sizeof(machine));
	memset(&registers, 0, sizeof(registers));
	strcpy(machine.name, "one");
	machine.state = VM_RUNNING;
	machine.vcpus[0] = &machine_vcpu;
	machine.vcpu_count = 1;
	machine.config.memory_bytes = 256 * MIB;
	machine.vcpus[1] = &second_vcpu;
	machine_vcpu.waits_for_startup = second_vcpu.waits_for_startup = false;
	machine_vcpu.halted = second_vcpu.halted = false;
	if (first != NULL)
		first->vm = &machine;
	monitor_machine_select(first);
	(void)ops->hide();
	screen_bytes = 0;
	calls[0] = '\0';
	pauses = interrupt_at_pause = 0;
	bound = false;
	return 0;
}

void virtio_net_count(const struct device *device, struct virtio_net_counts *counts)
{
	assert_ptr_equal(device, machine.devices[0].device);
	*counts = (struct virtio_net_counts){.send_dropped = 7, .receive_dropped = 8};
}

// Runs a command and compares what it prints.
static void check(const char *command, const char *expected)
{
	char line[256];

	screen_bytes = 0;
	screen[0] = '\0';
	snprintf(line, sizeof(line), "%s", command);
	monitor_execute(line);
	assert_string_equal(screen, expected);
}

static void check_contains(const char *command, const char *expected)
{
	char line[256];

	screen_bytes = 0;
	snprintf(line, sizeof(line), "%s", command);
	monitor_execute(line);
	if (strstr(screen, expected) == NULL)
		fail_msg("%s: no \"%s\" in:\n%s", command, expected, screen);
}

#endif
