// SPDX-License-Identifier: BSD-2-Clause
// USB devices: info usb, and how they are plugged in and unplugged.
#include "vm/monitor.h"

#include <string.h>

#include "emul/uhci.h"
#include "vm/pc.h"
#include "vm/vm.h"

static bool describe(struct vm *vm, unsigned which, struct uhci_device_info *info)
{
	struct device *usb = pc_usb_find(vm);
	bool there;

	if (usb == NULL)
		return false;
	bus_enter(&vm->bus);
	there = uhci_device_describe(usb, which, info);
	bus_unlock(&vm->bus);
	return there;
}

static void line_print(const struct uhci_device_info *info, const char *name)
{
	monitor_printf("  Device 0.%u, Port ", info->address);
	if (info->hub_port != 0)
		monitor_printf("%u.", info->hub_port);
	monitor_printf("%u, Speed 12 Mb/s, Product %s, ID: %s\n", info->port, info->product, name);
}

static void command_info_usb(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct uhci_device_info info;

	(void)call;
	if (vm == NULL)
		return;
	if (pc_usb_find(vm) == NULL)
		monitor_puts("USB support not enabled\n");
	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		if (describe(vm, i, &info))
			line_print(&info, pc_usb_name(vm, i));
}

static unsigned device_named(const struct vm *vm, const char *name)
{
	unsigned i = 0;

	while (i < UHCI_DEVICES && strcmp(pc_usb_name(vm, i), name) != 0)
		i++;
	return i;
}

bool monitor_usb_has(const struct vm *vm, const char *name)
{
	return device_named(vm, name) != UHCI_DEVICES;
}

void monitor_usb_set(struct vm *vm, const char *name, bool plug)
{
	unsigned which = device_named(vm, name);
	struct device *usb = pc_usb_find(vm);
	enum device_setting setting = plug ? DEVICE_SETTING_PLUG : DEVICE_SETTING_UNPLUG;
	struct uhci_device_info info;
	enum status status;

	if (!plug && !describe(vm, which, &info)) {
		monitor_printf("Error: Device '%s' not found\n", name);
		return;
	}
	status = usb != NULL ? outside_set(vm, usb, setting, which) : STATUS_INVALID;
	if (status == STATUS_INVALID && describe(vm, which, &info))
		monitor_printf("Error: Duplicate device ID '%s'\n", name);
	else if (status == STATUS_INVALID)
		monitor_printf("Error: no device '%s' in the configuration\n", name);
	else
		monitor_refusal_print(vm, status);
}

void monitor_usb_register(void)
{
	static struct monitor_command info = {.name = "usb", .arguments = "",
		.description = "show the USB devices", .handler = command_info_usb};

	monitor_info_add(&info);
}
