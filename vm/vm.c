// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/acpi_pm.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/dataplane.h"
#include "vm/firmware.h"
#include "vm/landing.h"
#include "vm/local_apic.h"
#include "vm/nic.h"
#include "vm/pc.h"
#include "vm/disk_backend.h"
#include "vm/save_load_test.h"

struct guest_time vm_now(const struct vm *vm)
{
	if (!vm->time_stands)
		return vm_time(vm, vm->landing != NULL ? landing_now(vm) : rdtsc());
	return (struct guest_time){clock_tsc_ns(vm->paused_tsc)};
}

const char *vm_state_name(const struct vm *vm)
{
	static const char *const names[] = {
		[VM_CREATED] = "created", [VM_RUNNING] = "running", [VM_PAUSED] = "paused"};
	static const char *const ends[] = {[VM_END_NONE] = "ended",
		[VM_END_POWER_OFF] = "shutdown", [VM_END_DEBUG_EXIT] = "debug exit",
		[VM_END_FAILED] = "internal-error"};

	return vm->state == VM_ENDED ? ends[vm->end] : names[vm->state];
}

// Beside the machine, where there are several cores.
static uint32_t disk_core(const struct vm_disk_config *disk)
{
	return disk->plane != VM_PIN_ANY ? disk->plane : cpu_count() - 1;
}

static enum status disks_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.disk_count && status == STATUS_OK; i++)
		status = disk_backend_create(vm, i, disk_core(&vm->config.disks[i]), &vm->disks[i]);
	return status;
}

// Where the machine's position is kept, that core is the back end's alone. So it is where a disk is
// waited for: whoever takes the queues back waits for what is under way, and holds the device lock.
static enum status planes_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->device_count && status == STATUS_OK; i++) {
		uint32_t disk = vm->devices[i].disk;
		uint8_t core = disk != 0 ? vm->config.disks[disk - 1].plane : VM_PIN_ANY;

		if (core == VM_PIN_ANY || vm_config_keeps_position(&vm->config) ||
			!vm_disk_is_at_once(&vm->config.disks[disk - 1]))
			continue;
		status = dataplane_create(vm, i, core, &vm->planes[disk - 1]);
		vm->has_planes = true;
	}
	return status;
}

static enum status nics_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.nic_count && status == STATUS_OK; i++)
		status = nic_create(vm, i, &vm->nics[i]);
	return status;
}

static enum status parts_create(struct vm *vm)
{
	enum status status = memory_create(vm);

	if (status == STATUS_OK)
		status = vcpus_create(vm);
	if (status == STATUS_OK)
		status = disks_create(vm);
	if (status == STATUS_OK)
		status = nics_create(vm);
	if (status == STATUS_OK && vm->flash != NULL)
		flash_fill(vm);
	if (status == STATUS_OK && vm->config.firmware != NULL)
		status = firmware_info_create(vm, &vm->firmware);
	if (status == STATUS_OK)
		status = pc_create(vm);
	if (status == STATUS_OK)
		status = planes_create(vm);
	if (status == STATUS_OK && vm_config_keeps_position(&vm->config))
		status = landing_create(vm);
	if (status == STATUS_OK && vm->config.save_load_exits != 0)
		status = save_load_create(vm);
	return status;
}

// No vcpu is on a core.
static void parts_destroy(struct vm *vm)
{
	for (uint32_t i = 0; i < VM_DISKS_MAX; i++)
		dataplane_destroy(vm->planes[i]);
	for (uint32_t i = 0; i < VM_DISKS_MAX; i++)
		disk_backend_destroy(vm->disks[i]);
	for (uint32_t i = 0; i < VM_NICS_MAX; i++)
		nic_destroy(vm->nics[i]);
	save_load_destroy(vm);
	landing_destroy(vm);
	vcpus_destroy(vm);
	pc_destroy(vm);
	memory_destroy(vm);
	firmware_info_destroy(vm->firmware);
	flash_destroy(vm->flash);
	mem_pages_free(vm, PAGES_OF(*vm));
}

// Of a machine that was recorded elsewhere: whether its CPU is to be had here.
static enum status cpu_check(const struct vm_config *config, char error[VM_ERROR_MAX])
{
	char reason[CPUID_REASON_MAX];

	if (config->cpu == NULL)
		return STATUS_OK;
	if (!cpuid_frozen_compatible(config->cpu, reason)) {
		snprintf(error, VM_ERROR_MAX, "the machine needs %s", reason);
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (reason[0] != '\0')
		log_warn("%s: it had %s", config->name, reason);
	return STATUS_OK;
}

// Whether positions can be kept of a machine that needs them.
static enum status position_check(const struct vm_config *config, char error[VM_ERROR_MAX])
{
	ASSERT(config->cpu == NULL || vm_config_keeps_position(config));
	if (!vm_config_keeps_position(config))
		return STATUS_OK;
	if (position_source == NULL) {
		snprintf(error, VM_ERROR_MAX, "cannot create the machine: it must be repeatable, "
			"and nothing on this host counts positions exactly");
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (vcpus_tsc_ratio(config->tsc_hz) != VCPU_TSC_RATIO_ONE) {
		snprintf(error, VM_ERROR_MAX, "tsc_khz: a machine that must be repeatable has the "
			"host's frequency, %llu kHz",
			(unsigned long long)(clock_calibration()->tsc_hz / 1000));
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	return cpu_check(config, error);
}

// What is asked for, and what there is.
static enum status config_check(const struct vm_config *config, char error[VM_ERROR_MAX])
{
	uint64_t free_bytes = mem_count().free_blocks * LARGE_PAGE_BYTES;

	if (config->memory_bytes > free_bytes) {
		snprintf(error, VM_ERROR_MAX,
			"memory: %llu MiB asked for, %llu MiB free on this machine",
			(unsigned long long)(config->memory_bytes / MIB),
			(unsigned long long)(free_bytes / MIB));
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	if (vcpus_tsc_ratio(config->tsc_hz) == 0) {
		snprintf(error, VM_ERROR_MAX,
			"tsc_khz: this CPU does not scale the TSC from %llu to %llu kHz",
			(unsigned long long)(clock_calibration()->tsc_hz / 1000),
			(unsigned long long)(config->tsc_hz / 1000));
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	return position_check(config, error);
}

static void seed_choose(struct vm_config *config)
{
	if (config->random_seed.is_there)
		return;
	config->random_seed = landing_config_is_on(&config->landing)
		? random_seed_repeat(config->rtc_epoch) : random_seed_make();
}

enum status vm_create(const struct vm_config *config, struct vm **created,
	char error[VM_ERROR_MAX])
{
	enum status status = config_check(config, error);
	struct vm *vm;

	ASSERT(config->vcpus >= 1 && config->vcpus <= VM_VCPUS_MAX);
	if (status != STATUS_OK)
		return status;
	vm = mem_pages_alloc(PAGES_OF(*vm));
	if (vm == NULL) {
		snprintf(error, VM_ERROR_MAX, "no memory for the machine itself");
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vm->config = *config;
	seed_choose(&vm->config);
	if (config->rng && !vm->config.random_seed.is_there) {
		mem_pages_free(vm, PAGES_OF(*vm));
		snprintf(error, VM_ERROR_MAX, "rng: this CPU has no RDRAND, and nothing else here "
			"is random");
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (config->flash.image != NULL &&
		(status = flash_create(config, &vm->flash, error)) != STATUS_OK) {
		mem_pages_free(vm, PAGES_OF(*vm));
		return status;
	}
	strlcpy(vm->name, config->name, sizeof(vm->name));
	vm->time_stands = true;
	event_queue_init(&vm->queue, vm, bus_deliver);
	status = parts_create(vm);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "cannot create the machine: %s",
			status_name(status));
		parts_destroy(vm);
		return status;
	}
	vcpus_attach(vm); // from here on its cores look at it
	landing_attach(vm);
	*created = vm;
	return STATUS_OK;
}

void vm_destroy(struct vm *vm)
{
	vm_hold(vm);
	flash_sync(vm);
	landing_detach(vm);
	vcpus_detach(vm); // and from here on no more
	parts_destroy(vm);
}

// A flash's block may have been programmed a moment ago.
void vm_settle(struct vm *vm)
{
	vm_hold(vm);
	flash_sync(vm);
	vm_release(vm);
}

static uint64_t worked_here(void)
{
	return rdtsc() - cpu_self()->slept;
}

// What it asks of the machine is done at once.
static void board_reset(struct vm *vm, enum device_reset kind)
{
	pc_reset(vm, kind);
	memory_map_update(vm);
	__atomic_fetch_and(&vm->requests, ~(uint32_t)BIT(VM_REQUEST_MAP), __ATOMIC_RELAXED);
}

struct start_call {
	struct vm *vm;
	char *error;
	enum status status;
};

static void start(void *argument)
{
	struct start_call *call = argument;
	struct vm *vm = call->vm;

	board_reset(vm, DEVICE_RESET_POWER);
	call->status = vm_begin(vm, call->error);
	if (call->status != STATUS_OK)
		return;
	vm->home_worked = worked_here();
	vm->state = VM_RUNNING;
	vm_run_update(vm);
}

enum status vm_start(struct vm *vm, char error[VM_ERROR_MAX])
{
	struct start_call call = {vm, error, STATUS_OK};

	ASSERT(vm->state == VM_CREATED);
	smp_call(vm_home(vm), start, &call);
	return call.status;
}

static void stop(void *argument)
{
	struct vm *vm = argument;

	if (vm->state != VM_RUNNING)
		return;
	vm->state = VM_PAUSED;
	vm_run_update(vm);
}

void vm_stop(struct vm *vm)
{
	smp_call(vm_home(vm), stop, vm);
	while (!vm->time_stands)
		vm_wait_a_moment();
}

static void go_on(void *argument)
{
	struct vm *vm = argument;

	if (vm->state != VM_PAUSED || !vm->time_stands)
		return;
	vm->state = VM_RUNNING;
	vm_run_update(vm);
}

void vm_continue(struct vm *vm)
{
	smp_call(vm_home(vm), go_on, vm);
}

static void end(struct vm *vm, enum vm_end how, uint32_t status)
{
	vm->ends++;
	vm->end = (uint8_t)how;
	vm->end_status = status;
	__atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_RELEASE);
	vm->home_worked = worked_here() - vm->home_worked;
	vm_time_stop(vm);
	if (vm->outside.recorder != NULL)
		vm->outside.recorder->ended(vm->outside.recorder, vm);
	else if (vm->config.ended != NULL)
		vm->config.ended(vm->config.owner);
}

static void reset_carry_out(struct vm *vm)
{
	char error[VM_ERROR_MAX];

	board_reset(vm, DEVICE_RESET_LINE);
	vm->resets++;
	if (vm->resets <= VM_RESETS_TOLD)
		log_info("%s: reset", vm->name);
	if (vm_begin(vm, error) != STATUS_OK) {
		log_error("%s: %s", vm->name, error);
		end(vm, VM_END_FAILED, 0);
		return;
	}
	if (vm->state == VM_ENDED) {
		vm->state = VM_RUNNING;
		vm->end = VM_END_NONE;
	}
}

void vm_carry_out_requests(struct vm *vm)
{
	uint32_t requests = __atomic_exchange_n(&vm->requests, 0, __ATOMIC_ACQUIRE);

	ASSERT(vcpus_rest(vm));
	if ((requests & BIT(DEVICE_REQUEST_PANICKED)) != 0 && vm->panics++ < VM_RESETS_TOLD)
		log_warn("%s: the guest reports a panic (pvpanic events 0x%x)", vm->name,
			vm->panic_argument);
	if ((requests & BIT(VM_REQUEST_FAILED)) != 0)
		end(vm, VM_END_FAILED, 0);
	else if ((requests & BIT(DEVICE_REQUEST_EXIT)) != 0)
		end(vm, VM_END_DEBUG_EXIT, vm->request_argument);
	else if ((requests & BIT(DEVICE_REQUEST_POWER_OFF)) != 0)
		end(vm, VM_END_POWER_OFF, 0);
	else if ((requests & (BIT(DEVICE_REQUEST_RESET) | BIT(DEVICE_REQUEST_INIT))) != 0)
		reset_carry_out(vm);
	else if ((requests & BIT(VM_REQUEST_MAP)) != 0)
		memory_map_update(vm);
}

// Where the vcpus take turns, whoever runs looks.
void vm_events_changed(struct vm *vm)
{
	uint32_t lookers = vm->landing != NULL ? vm->vcpu_count : 1;

	for (uint32_t i = 0; i < lookers; i++)
		vm_vcpu_signal(vm->vcpus[i], VM_SIGNAL_EVENTS);
}

// Requests may come from several vcpus before the home carries them out. Those with an argument
// come under the device lock.
void vm_request(struct vm *vm, unsigned request, uint32_t argument)
{
	uint32_t before = __atomic_load_n(&vm->requests, __ATOMIC_RELAXED);

	if (request == DEVICE_REQUEST_PANICKED)
		vm->panic_argument = argument;
	else if (request == DEVICE_REQUEST_EXIT && (before & BIT(DEVICE_REQUEST_EXIT)) == 0)
		vm->request_argument = argument; // the first one's
	__atomic_fetch_or(&vm->requests, (uint32_t)BIT(request), __ATOMIC_RELEASE);
	vm_vcpu_signal(vm->vcpus[0], VM_SIGNAL_EVENTS);
	// Whoever asks is in its run loop, and shall look before it goes on.
	for (uint32_t i = 1; i < vm->vcpu_count; i++)
		if (vm_vcpu_is_here(vm->vcpus[i]) && vm->vcpus[i]->in_run)
			vm_vcpu_signal(vm->vcpus[i], VM_SIGNAL_REST);
}

static void reset_resting(void *argument)
{
	struct vm *vm = argument;

	if (vm->state == VM_RUNNING || vm->state == VM_CREATED || !vm->time_stands)
		return;
	vm->requests = (uint32_t)BIT(DEVICE_REQUEST_RESET);
	if (!backend_all_done(&vm->requests_out))
		return; // vm_vcpu_rest comes when they are
	vm_carry_out_requests(vm);
	vm_run_update(vm);
}

enum status vm_reset_request(struct vm *vm)
{
	const struct event event = {.kind = EVENT_MACHINE, .index = DEVICE_REQUEST_RESET};

	if (vm->state == VM_CREATED)
		return STATUS_FAIL(STATUS_REFUSED);
	if (vm->state == VM_RUNNING || outside_is_bound(vm))
		return outside_post(vm, &event, 1);
	smp_call(vm_home(vm), reset_resting, vm); // nothing is running that could be in the way
	return STATUS_OK;
}

enum status vm_nmi(struct vm *vm, uint32_t vcpu)
{
	const struct event event = {.kind = EVENT_MACHINE, .index = VM_EVENT_NMI, .value = vcpu};

	ASSERT(vcpu < vm->vcpu_count);
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return STATUS_FAIL(STATUS_REFUSED);
	return outside_post(vm, &event, 1);
}

// A press is the rise; the button comes up at once.
enum status vm_power_button(struct vm *vm)
{
	struct event events[2] = {{.kind = EVENT_LINE, .device = vm->acpi_pm->id,
		.index = ACPI_PM_INPUT_POWER_BUTTON, .value = 1}};

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return STATUS_FAIL(STATUS_REFUSED);
	events[1] = events[0];
	events[1].value = 0;
	return outside_post(vm, events, 2);
}

size_t vm_receive(struct vm *vm, const uint8_t *bytes, size_t count)
{
	const struct device *input = vm->input;
	size_t room, taken = 0;

	if (vm->state != VM_RUNNING || vm->receive_pending || vm->outside.count != 0)
		return 0;
	// Who has the lock may be waiting for this CPU to take output: see console_guest_output.
	if (!bus_try_enter(&vm->bus))
		return 0;
	room = input->model->receive_room(input, VM_INPUT_PORT);
	if (room > count)
		room = count;
	while (taken < room && outside_room(vm) > 0) {
		size_t part = room - taken;
		struct event event = {.kind = EVENT_CHARACTERS, .device = input->id,
			.index = VM_INPUT_PORT};

		if (part > EVENT_PAYLOAD_MAX)
			part = EVENT_PAYLOAD_MAX;
		event.payload_bytes = (uint8_t)part;
		memcpy(event.payload, bytes + taken, part);
		outside_add(vm, &event);
		taken += part;
	}
	vm->receive_pending = taken > 0 && vm->landing == NULL; // there it waits outside
	bus_unlock(&vm->bus);
	if (taken > 0)
		vm_events_changed(vm);
	return taken;
}
