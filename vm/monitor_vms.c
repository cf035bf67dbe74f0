// SPDX-License-Identifier: BSD-2-Clause
// Commands about machines as a whole, and which of them other commands act on.
#include "vm/monitor.h"

#include <string.h>

#include "vm/console.h"
#include "vm/machine.h"

static struct machine *selected; // NULL: nobody has chosen, the first

struct machine *monitor_machine(void)
{
	return selected != NULL ? selected : machine_first();
}

void monitor_machine_select(struct machine *machine)
{
	selected = machine;
}

struct machine *monitor_machine_need(void)
{
	struct machine *machine = monitor_machine();

	if (machine == NULL)
		monitor_puts("no machine\n");
	return machine;
}

static struct vm *created_need(const struct machine *machine)
{
	if (machine->vm == NULL)
		monitor_printf("Error: machine '%s' is not created\n", machine->config.name);
	return machine->vm;
}

struct vm *monitor_vm_need(void)
{
	const struct machine *machine = monitor_machine_need();

	return machine != NULL ? created_need(machine) : NULL;
}

static struct machine *named_need(const char *name)
{
	struct machine *machine = machine_find(name);

	if (machine == NULL)
		monitor_printf("Error: machine '%s' not found\n", name);
	return machine;
}

static void vm_print(const struct machine *machine)
{
	const struct vm *vm = machine->vm;
	uint64_t exits = 0, ms;

	monitor_printf("%c %-16s ", machine == monitor_machine() ? '*' : ' ', machine->config.name);
	if (vm == NULL) {
		monitor_printf("%-15s %5u %7llu\n", "not created", machine->config.vcpus,
			(unsigned long long)(machine->config.memory_bytes / MIB));
		return;
	}
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		exits += vm->vcpus[i]->exit_total;
	ms = vm_now(vm).ns / 1000000;
	monitor_printf("%-15s %5u %7llu %10llu.%03llu %14llu\n", vm_state_name(vm), vm->vcpu_count,
		(unsigned long long)(vm->config.memory_bytes / MIB),
		(unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
		(unsigned long long)exits);
}

static void list(struct machine *unused)
{
	(void)unused;
	monitor_printf("  %-16s %-15s %5s %7s %14s %14s\n", "name", "state", "vcpus", "MiB",
		"seconds run", "exits");
	for (const struct machine *at = machine_first(); at != NULL; at = at->next)
		vm_print(at);
}

static void create(struct machine *machine)
{
	char error[VM_ERROR_MAX];

	if (machine->vm != NULL)
		monitor_printf("Error: machine '%s' exists already\n", machine->config.name);
	else if (machine_create(machine, error) != STATUS_OK)
		monitor_printf("Error: %s\n", error);
}

static void destroy(struct machine *machine)
{
	if (created_need(machine) != NULL)
		machine_destroy(machine);
}

static void start(struct machine *machine)
{
	struct vm *vm = created_need(machine);

	if (vm != NULL)
		monitor_vm_continue(vm);
}

static void stop(struct machine *machine)
{
	struct vm *vm = created_need(machine);

	if (vm != NULL)
		vm_stop(vm);
}

static void command_vm(const struct monitor_call *call)
{
	static const struct {
		const char *word;
		void (*run)(struct machine *machine);
		bool named;
	} words[] = {{"list", list, false}, {"create", create, true}, {"destroy", destroy, true},
		{"start", start, true}, {"stop", stop, true},
		{"select", monitor_machine_select, true}};
	struct machine *machine = NULL;
	unsigned i = 0;

	while (i < ARRAY_COUNT(words) && strcmp(words[i].word, call->arguments[0]) != 0)
		i++;
	if (i == ARRAY_COUNT(words) || words[i].named != (call->count == 2)) {
		monitor_puts("vm: expected list, or create, destroy, start, stop or select and a "
			"name\n");
		return;
	}
	if (words[i].named) {
		machine = named_need(call->arguments[1]);
		if (machine == NULL)
			return;
	}
	words[i].run(machine);
}

static void command_console(const struct monitor_call *call)
{
	struct machine *machine = call->count == 0 ? monitor_machine_need()
						   : named_need(call->arguments[0]);

	if (machine != NULL)
		console_show_guest(machine->console);
}

static void info_name(const struct monitor_call *call)
{
	const struct machine *machine = monitor_machine_need();

	(void)call;
	if (machine != NULL)
		monitor_printf("%s\n", machine->config.name);
}

void monitor_vms_register(void)
{
	static struct monitor_command commands[] = {
		{.name = "vm", .arguments = "list|create|destroy|start|stop|select [name]",
			.arguments_min = 1, .arguments_max = 2, .handler = command_vm,
			.description = "list machines; create, destroy, start or stop one; select "
				       "the one that commands act on"},
		{.name = "console", .arguments = "[name]", .arguments_max = 1,
			.description = "give the console to a machine; Ctrl-] leads back",
			.handler = command_console},
	};
	static struct monitor_command infos[] = {
		{.name = "name", .arguments = "", .handler = info_name,
			.description = "show the name of the machine that commands act on"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
		monitor_command_add(&commands[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(infos); i++)
		monitor_info_add(&infos[i]);
}
