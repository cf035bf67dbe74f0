// SPDX-License-Identifier: BSD-2-Clause
#include "vm/machine.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/crash.h"
#include "kernel/smp.h"
#include "vm/console.h"
#include "vm/dataplane.h"

static struct machine *machines;
static void (*all_ended)(uint32_t status);
static const struct machine_hooks *hooks;

void machine_hooks_set(const struct machine_hooks *set)
{
	hooks = set;
}

void machine_all_ended_set(void (*call)(uint32_t status))
{
	all_ended = call;
}

struct machine *machine_first(void)
{
	return machines;
}

struct machine *machine_find(const char *name)
{
	struct machine *machine = machines;

	while (machine != NULL && strcmp(machine->config.name, name) != 0)
		machine = machine->next;
	return machine;
}

// Or has ended, and nobody has been told yet.
static bool any_goes_on(void)
{
	for (const struct machine *machine = machines; machine != NULL; machine = machine->next)
		if (machine->vm != NULL &&
			(__atomic_load_n(&machine->vm->state, __ATOMIC_ACQUIRE) != VM_ENDED ||
				machine->ends_told != machine->vm->ends))
			return true;
	return false;
}

// For tests/bench.py, and for whoever wonders.
static void work_report(const struct vm *vm)
{
	uint64_t exits = 0, ticks = vm->delivered;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		for (unsigned kind = 0; kind < VMEXIT_KIND_COUNT; kind++) {
			exits += vm->vcpus[i]->exit_counts[kind].count;
			ticks += vm->vcpus[i]->exit_counts[kind].ticks;
		}
	log_info("%s: its CPU worked for %llu TSC ticks meanwhile; %llu exits, and events, took "
		"%llu", vm->name, (unsigned long long)vm->home_worked, (unsigned long long)exits,
		(unsigned long long)ticks);
	dataplanes_report(vm);
}

// It may have been reset or destroyed since.
static void ended_arrived(struct cpu_message *message)
{
	struct machine *machine = CONTAINER_OF(message, struct machine, ended);
	const struct vm *vm = machine->vm;

	__atomic_store_n(&machine->ended_posted, false, __ATOMIC_RELEASE);
	if (vm == NULL || vm->state != VM_ENDED)
		return;
	console_guest_flush(machine->console);
	log_info("%s: ended: %s", vm->name, vm_state_name(vm));
	work_report(vm);
	machine->ends_told = vm->ends;
	if (all_ended != NULL && !any_goes_on())
		all_ended(vm->end_status);
	if (console_guest_is_shown(machine->console))
		console_show_monitor();
}

// On the machine's home.
static void ended(void *owner)
{
	struct machine *machine = owner;

	if (!__atomic_exchange_n(&machine->ended_posted, true, __ATOMIC_ACQ_REL))
		smp_post(cpu_get(0), &machine->ended);
}

static void output(void *owner, const uint8_t *bytes, size_t count)
{
	const struct machine *machine = owner;

	console_guest_output(machine->console, bytes, count);
}

struct machine *machine_add(const struct vm_config *config, bool rtc_from_host)
{
	struct machine *machine = calloc(1, sizeof(*machine)), **at = &machines;

	if (machine == NULL)
		return NULL;
	ASSERT(machine_find(config->name) == NULL);
	machine->console = console_guest_add(config->name);
	if (machine->console == NULL) {
		free(machine);
		return NULL;
	}
	machine->config = *config;
	machine->config.output = output;
	machine->config.ended = ended;
	machine->config.owner = machine;
	machine->rtc_from_host = rtc_from_host;
	machine->ended.run = ended_arrived;
	while (*at != NULL)
		at = &(*at)->next;
	*at = machine;
	return machine;
}

enum status machine_create(struct machine *machine, char error[VM_ERROR_MAX])
{
	struct vm_config config = machine->config;
	struct vm *vm;
	enum status status = STATUS_OK;

	ASSERT(machine->vm == NULL);
	if (machine->rtc_from_host)
		config.rtc_epoch = clock_rtc_seconds();
	if (hooks != NULL)
		status = hooks->prepare(machine, &config, error);
	if (status == STATUS_OK)
		status = vm_create(&config, &vm, error);
	if (status != STATUS_OK)
		return status;
	machine->vm = vm;
	machine->ends_told = 0;
	console_guest_attach(machine->console, vm);
	if (hooks != NULL)
		status = hooks->created(machine, error);
	if (status != STATUS_OK)
		machine_destroy(machine);
	return status;
}

// Nobody finds it any more when its parts begin to go.
void machine_destroy(struct machine *machine)
{
	struct vm *vm = machine->vm;

	ASSERT(vm != NULL);
	if (hooks != NULL)
		hooks->gone(machine);
	machine->vm = NULL;
	console_guest_attach(machine->console, NULL);
	vm_destroy(vm);
}

// For whoever debugs us: newest exit last.
static void vcpu_crash_print(const struct vm_vcpu *vcpu)
{
	uint64_t total = vcpu->exit_total;
	uint64_t first = total > VM_LAST_EXITS ? total - VM_LAST_EXITS : 0;

	log_error("machine %s, vcpu %u: %s, %llu exits, the last:", vcpu->vm->name, vcpu->index,
		vm_state_name(vcpu->vm), (unsigned long long)total);
	for (uint64_t i = first; i < total; i++) {
		const struct vm_last_exit *exit = &vcpu->last_exits[i % VM_LAST_EXITS];

		log_error("  rip %016llx  %s", (unsigned long long)exit->rip,
			vmexit_kind_name((enum vmexit_kind)exit->kind));
	}
}

static void crash_print(void)
{
	for (const struct machine *machine = machines; machine != NULL; machine = machine->next)
		for (uint32_t i = 0; machine->vm != NULL && i < machine->vm->vcpu_count; i++)
			vcpu_crash_print(machine->vm->vcpus[i]);
}

void machine_crash_section_init(void)
{
	static struct crash_section section = {.print = crash_print};

	crash_section_add(&section);
}
