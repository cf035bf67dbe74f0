// SPDX-License-Identifier: BSD-2-Clause
// Commands that act on the machine.
#include "vm/monitor.h"

#include "vm/vm.h"

static void command_stop(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm != NULL)
		vm_stop(vm);
}

void monitor_vm_continue(struct vm *vm)
{
	char error[VM_ERROR_MAX];

	if (vm->state == VM_ENDED)
		monitor_puts("Error: Resetting the Virtual Machine is required\n");
	else if (vm->state != VM_CREATED)
		vm_continue(vm);
	else if (vm_start(vm, error) != STATUS_OK)
		monitor_printf("Error: %s\n", error);
}

static void command_cont(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm != NULL)
		monitor_vm_continue(vm);
}

// A refusal says in which state the machine cannot do that.
static void refusal_print(const struct vm *vm, enum status status)
{
	if (status == STATUS_REFUSED)
		monitor_printf("Error: the machine is not running (%s)\n", vm_state_name(vm));
	else if (status != STATUS_OK)
		monitor_printf("Error: %s\n", status_name(status));
}

static void command_system_reset(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm != NULL)
		refusal_print(vm, vm_reset_request(vm));
}

static void command_system_powerdown(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm != NULL)
		refusal_print(vm, vm_power_button(vm));
}

void monitor_machine_register(void)
{
	static struct monitor_command own[] = {
		{.name = "stop", .alias = "s", .arguments = "",
			.description = "stop emulation", .handler = command_stop},
		{.name = "cont", .alias = "c", .arguments = "",
			.description = "resume emulation", .handler = command_cont},
		{.name = "system_reset", .arguments = "", .description = "reset the system",
			.handler = command_system_reset},
		{.name = "system_powerdown", .arguments = "",
			.description = "press the power button",
			.handler = command_system_powerdown},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
}
