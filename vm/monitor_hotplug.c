// SPDX-License-Identifier: BSD-2-Clause
// device_add, device_del: disks of the configuration are plugged in, and given up by the guest;
// USB devices are plugged in, and unplugged.
#include "vm/monitor.h"

#include <string.h>

#include "vm/pc.h"
#include "vm/slot.h"

// The driver, and of its properties those that name the disk. NULL: not there.
struct wanted {
	char *driver, *drive, *id;
};

// Of "DRIVER,PROPERTY=VALUE,...", which is changed. NULL, or the property that nobody has.
static const char *wanted_parse(char *text, struct wanted *wanted)
{
	char *comma = strchr(text, ',');

	*wanted = (struct wanted){.driver = text};
	while (comma != NULL) {
		char *property = comma + 1;

		*comma = '\0';
		comma = strchr(property, ',');
		if (strncmp(property, "drive=", 6) == 0)
			wanted->drive = property + 6;
		else if (strncmp(property, "id=", 3) == 0)
			wanted->id = property + 3;
		else
			return property;
	}
	return NULL;
}

static void ask(struct vm *vm, const struct device *disk, enum device_setting setting)
{
	unsigned slot = ((const struct vm_device *)disk->owner)->function >> 3u;

	monitor_refusal_print(vm, outside_set(vm, vm->hotplug, setting, slot));
}

static void command_device_add(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct device *disk;
	struct wanted wanted;
	const char *unknown;
	uint32_t index;

	if (vm == NULL)
		return;
	unknown = wanted_parse(call->arguments[0], &wanted);
	if (unknown == NULL && wanted.drive == NULL && monitor_usb_has(vm, wanted.driver)) {
		monitor_usb_set(vm, wanted.driver, true);
		return;
	}
	if (unknown == NULL && wanted.drive != NULL && strcmp(wanted.driver, "usb-storage") == 0 &&
		monitor_usb_has(vm, wanted.drive)) {
		monitor_usb_set(vm, wanted.drive, true);
		return;
	}
	if (strcmp(wanted.driver, "virtio-blk-pci") != 0) {
		monitor_printf("Error: '%s' is not a valid device model name\n", wanted.driver);
		return;
	}
	if (unknown != NULL) {
		monitor_printf("Error: Property '%s' not found\n", unknown);
		return;
	}
	if (wanted.drive == NULL) {
		monitor_puts("Error: drive property not set\n");
		return;
	}
	disk = pc_disk_find(vm, wanted.drive, &index);
	if (disk == NULL)
		monitor_printf("Error: no disk '%s' in the configuration\n", wanted.drive);
	else if (wanted.id != NULL && strcmp(wanted.id, wanted.drive) != 0)
		monitor_printf("Error: the id of this disk is '%s'\n", wanted.drive);
	else if (slot_is_on(disk->owner))
		monitor_printf("Error: Duplicate device ID '%s'\n", wanted.drive);
	else
		ask(vm, disk, DEVICE_SETTING_PLUG);
}

static void command_device_del(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct device *disk;
	uint32_t index;

	if (vm == NULL)
		return;
	disk = pc_disk_find(vm, call->arguments[0], &index);
	if (disk == NULL && monitor_usb_has(vm, call->arguments[0])) {
		monitor_usb_set(vm, call->arguments[0], false);
		return;
	}
	if (disk == NULL || !slot_is_on(disk->owner))
		monitor_printf("Error: Device '%s' not found\n", call->arguments[0]);
	else
		ask(vm, disk, DEVICE_SETTING_UNPLUG);
}

void monitor_hotplug_register(void)
{
	static struct monitor_command own[] = {
		{.name = "device_add", .arguments = "driver[,prop=value][,...]",
			.description = "plug in a disk (virtio-blk-pci,drive=NAME) or a USB device",
			.arguments_min = 1, .arguments_max = 1, .handler = command_device_add},
		{.name = "device_del", .arguments = "device",
			.description = "ask the guest to give up a disk, or unplug a USB device",
			.arguments_min = 1, .arguments_max = 1, .handler = command_device_del},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
}
