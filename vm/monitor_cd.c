// SPDX-License-Identifier: BSD-2-Clause
// CD drives: eject and change, after QEMU's; what info block says of them.
#include "vm/monitor.h"

#include <string.h>

#include "emul/scsi.h"
#include "vm/machine.h"
#include "vm/pc.h"
#include "vm/vm.h"

static uint32_t disk_named(const struct vm *vm, const char *name)
{
	uint32_t i = 0;

	while (i < vm->config.disk_count && strcmp(vm->config.disks[i].name, name) != 0)
		i++;
	return i;
}

// False: there is no such drive, and the user has been told.
static bool cd_need(const struct vm *vm, const char *name, uint32_t *index, struct pc_cd *cd)
{
	*index = disk_named(vm, name);
	if (*index == vm->config.disk_count)
		monitor_printf("Error: Device '%s' not found\n", name);
	else if (!pc_cd_find(vm, *index, cd))
		monitor_printf("Error: Device '%s' is not removable\n", name);
	else
		return true;
	return false;
}

static void tray_set(struct vm *vm, const struct pc_cd *cd, enum device_setting setting,
	unsigned disc, bool force, const char *name)
{
	bool locked;
	enum status status;

	bus_enter(&vm->bus);
	locked = cd->unit->locked && !cd->unit->tray_open;
	bus_unlock(&vm->bus);
	status = outside_set(vm, cd->device, setting, device_disc(cd->drive, disc, force));
	if (status == STATUS_REFUSED)
		monitor_printf("Error: the machine is not running (%s)\n", vm_state_name(vm));
	else if (status == STATUS_BUSY)
		monitor_puts("Error: the last change has not taken place yet\n");
	else if (status != STATUS_OK)
		monitor_printf("Error: %s\n", status_name(status));
	else if (locked && !force)
		monitor_printf("Error: Device '%s' is locked and force was not specified, wait for "
			"tray to open and try again\n", name);
}

// Of "[-f] REST...": whether there is -f, and *first is the argument behind it.
static bool is_forced(const struct monitor_call *call, unsigned *first)
{
	*first = strcmp(call->arguments[0], "-f") == 0;
	return *first != 0;
}

static void command_eject(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct pc_cd cd;
	unsigned first;
	uint32_t index;
	bool force = is_forced(call, &first);

	if (vm == NULL)
		return;
	if (call->count != first + 1)
		monitor_puts("Error: eject [-f] device\n");
	else if (cd_need(vm, call->arguments[first], &index, &cd))
		tray_set(vm, &cd, DEVICE_SETTING_EJECT, 0, force, call->arguments[first]);
}

static void command_change(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct pc_cd cd;
	unsigned first, port;
	uint32_t drive, disc;
	bool force = is_forced(call, &first);

	if (vm == NULL)
		return;
	if (call->count != first + 2) {
		monitor_puts("Error: change [-f] device disc\n");
		return;
	}
	if (!cd_need(vm, call->arguments[first], &drive, &cd))
		return;
	disc = disk_named(vm, call->arguments[first + 1]);
	if (disc == vm->config.disk_count || !pc_disc_find(vm, drive, disc, &port))
		monitor_printf("Error: there is no disc '%s' for drive '%s' in the configuration\n",
			call->arguments[first + 1], call->arguments[first]);
	else
		tray_set(vm, &cd, DEVICE_SETTING_INSERT, port, force, call->arguments[first]);
}

// The disc's name: that of its section, which for a drive's own is the drive's.
static const char *disc_name(const struct vm *vm, uint32_t drive, unsigned disc)
{
	unsigned port;

	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		if (pc_disc_find(vm, drive, i, &port) && port == disc)
			return vm->config.disks[i].name;
	return "not inserted";
}

void monitor_cd_print(struct vm *vm, uint32_t index)
{
	struct pc_cd cd;
	struct scsi_unit unit;

	if (!pc_cd_find(vm, index, &cd))
		return;
	bus_enter(&vm->bus);
	unit = *cd.unit;
	bus_unlock(&vm->bus);
	monitor_printf(", removable: %s, %s, tray %s", disc_name(vm, index, unit.disc),
		unit.locked ? "locked" : "not locked", unit.tray_open ? "open" : "closed");
}

void monitor_cd_register(void)
{
	static struct monitor_command own[] = {
		{.name = "eject", .arguments = "[-f] device",
			.description = "take the disc out of a CD drive",
			.arguments_min = 1, .arguments_max = 2, .handler = command_eject},
		{.name = "change", .arguments = "[-f] device disc",
			.description = "put another disc of the configuration into a CD drive",
			.arguments_min = 2, .arguments_max = 3, .handler = command_change},
	};

	for (size_t i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
}
