// SPDX-License-Identifier: BSD-2-Clause
// Commands about vcpus, and which of them other commands act on.
#include "vm/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

static const struct vm *selected_of; // whose vcpu it is
static uint32_t selected;

// Of the machine that is selected; the first if that is another than the vcpu was chosen for.
static uint32_t selected_index(const struct vm *vm)
{
	if (vm != selected_of || selected >= vm->vcpu_count) {
		selected_of = vm;
		selected = 0;
	}
	return selected;
}

struct vm_vcpu *monitor_vcpu_need(void)
{
	struct vm *vm = monitor_vm_need();

	return vm != NULL ? vm->vcpus[selected_index(vm)] : NULL;
}

// NULL: no number, or no such vcpu.
static struct vm_vcpu *vcpu_named(const struct vm *vm, const char *word)
{
	char *end;
	unsigned long index = strtoul(word, &end, 0);

	if (word[0] < '0' || word[0] > '9' || *end != '\0' || index >= vm->vcpu_count)
		return NULL;
	return vm->vcpus[index];
}

static void command_cpu(const struct monitor_call *call)
{
	const struct vm *vm = monitor_vm_need();
	const struct vm_vcpu *vcpu;

	if (vm == NULL)
		return;
	vcpu = vcpu_named(vm, call->arguments[0]);
	if (vcpu == NULL) {
		monitor_puts("invalid CPU index\n");
		return;
	}
	selected_of = vm;
	selected = vcpu->index;
}

static void registers_print(struct vm_vcpu *vcpu)
{
	char text[MONITOR_REGISTERS_MAX];
	struct vcpu_state state;

	vm_vcpu_state(vcpu, &state);
	monitor_registers_print(text, &state,
		state.segment[SEGMENT_SS].attributes >> 5 & 3, vcpu->halted);
	monitor_printf("\nCPU#%u\n", vcpu->index);
	monitor_puts(text);
}

static void info_registers(const struct monitor_call *call)
{
	struct vm_vcpu *vcpu = monitor_vcpu_need();

	if (vcpu == NULL)
		return;
	if (call->count > 0 && strcmp(call->arguments[0], "-a") == 0) {
		const struct vm *vm = vcpu->vm;

		for (uint32_t i = 0; i < vm->vcpu_count && !monitor_interrupted(); i++) {
			registers_print(vm->vcpus[i]);
			monitor_pause();
		}
		return;
	}
	if (call->count > 0)
		vcpu = vcpu_named(vcpu->vm, call->arguments[0]);
	if (vcpu == NULL)
		monitor_printf("CPU#%s not available\n", call->arguments[0]);
	else
		registers_print(vcpu);
}

static const char *activity(const struct vm_vcpu *vcpu)
{
	if (vcpu->waits_for_startup)
		return "waiting for STARTUP";
	if (vcpu->halted)
		return "halted";
	return vcpu->vm->state == VM_RUNNING ? "running" : "stopped";
}

static void info_cpus(const struct monitor_call *call)
{
	const struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm == NULL)
		return;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		monitor_printf("%c CPU #%u: %s, host CPU %u\n",
			i == selected_index(vm) ? '*' : ' ', i, activity(vm->vcpus[i]),
			vm->vcpus[i]->core->index);
}

// Of a machine that has begun and not ended; NULL, and a message: there is none.
static struct vm_vcpu *live_vcpu_need(void)
{
	struct vm_vcpu *vcpu = monitor_vcpu_need();

	if (vcpu == NULL || vcpu->vm->state == VM_RUNNING || vcpu->vm->state == VM_PAUSED)
		return vcpu;
	monitor_printf("Error: the machine is not running (%s)\n", vm_state_name(vcpu->vm));
	return NULL;
}

static void command_nmi(const struct monitor_call *call)
{
	struct vm_vcpu *vcpu = live_vcpu_need();

	(void)call;
	if (vcpu != NULL && vm_nmi(vcpu->vm, vcpu->index) != STATUS_OK)
		monitor_puts("Error: the machine does not take it now\n");
}

static void command_spoil_entry(const struct monitor_call *call)
{
	struct vm_vcpu *vcpu = live_vcpu_need();

	(void)call;
	if (vcpu != NULL && outside_is_bound(vcpu->vm))
		monitor_puts("Error: the machine is being recorded or replayed\n");
	else if (vcpu != NULL)
		vm_vcpu_spoil(vcpu);
}

void monitor_cpus_register(void)
{
	static struct monitor_command commands[] = {
		{.name = "cpu", .arguments = "index", .arguments_min = 1, .arguments_max = 1,
			.description = "set the default CPU", .handler = command_cpu},
		{.name = "nmi", .arguments = "",
			.description = "inject an NMI into the default CPU",
			.handler = command_nmi},
		{.name = "spoil_entry", .arguments = "",
			.description = "let the next entry of the default CPU fail (for tests)",
			.handler = command_spoil_entry},
	};
	static struct monitor_command infos[] = {
		{.name = "cpus", .arguments = "", .handler = info_cpus,
			.description = "show what each CPU does, and where"},
		{.name = "registers", .arguments = "[-a|vcpu]", .arguments_max = 1,
			.handler = info_registers,
			.description = "show the cpu registers (-a: of all CPUs)"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
		monitor_command_add(&commands[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(infos); i++)
		monitor_info_add(&infos[i]);
}
