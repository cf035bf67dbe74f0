// SPDX-License-Identifier: BSD-2-Clause
// The value of usb, of a [vm NAME], and disks with interface = usb: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

enum { ROOT_PORTS = 2, DISKS_MAX = 4 };

static struct ini_slice trimmed(struct ini_slice word)
{
	while (word.count > 0 && (word.bytes[0] == ' ' || word.bytes[0] == '\t'))
		word = (struct ini_slice){word.bytes + 1, word.count - 1};
	while (word.count > 0 && (word.bytes[word.count - 1] == ' ' ||
		word.bytes[word.count - 1] == '\t'))
		word.count--;
	return word;
}

static bool has(const struct config_usb *usb, uint32_t device)
{
	for (uint32_t i = 0; i < usb->count; i++)
		if (usb->devices[i] == device)
			return true;
	return false;
}

const char *config_parse_usb(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[CONFIG_USB_DEVICES] = {[CONFIG_USB_KEYBOARD] = "usb-kbd",
		[CONFIG_USB_TABLET] = "usb-tablet", [CONFIG_USB_MOUSE] = "usb-mouse",
		[CONFIG_USB_HUB] = "usb-hub"};
	struct config_usb *usb = field;

	(void)capacity;
	usb->count = 0;
	for (size_t at = 0; at <= value.count; at++) {
		size_t from = at;
		uint32_t device;

		while (at < value.count && value.bytes[at] != ',')
			at++;
		if (!config_word(trimmed((struct ini_slice){value.bytes + from, at - from}), words,
			CONFIG_USB_DEVICES, &device))
			return "a list of usb-kbd, usb-tablet, usb-mouse and usb-hub";
		if (has(usb, device))
			return "each device once";
		usb->devices[usb->count++] = (uint8_t)device;
	}
	return usb->count <= ROOT_PORTS || has(usb, CONFIG_USB_HUB) ? NULL
		: "usb-hub among more than 2 devices";
}

const char *config_usb_problem(const struct config *config, uint32_t index, const char **key)
{
	const struct config_disk *disk = &config->disks[index];
	uint32_t vm = config_vm_index(config, disk->vm), before = 0;
	const struct config_usb *usb = &config->vms[vm % CONFIG_VMS_MAX].usb;

	*key = "plugged";
	if (!disk->plugged)
		return "on where interface = usb, got off";
	*key = "dataplane";
	if (disk->dataplane != 0)
		return "interface = virtio beside it";
	*key = "interface";
	for (uint32_t i = 0; i < index; i++)
		before += config->disks[i].interface == CONFIG_DISK_USB &&
			strcmp(config->disks[i].vm, disk->vm) == 0;
	if (before == DISKS_MAX)
		return "at most 4 disks of a VM with usb";
	return vm == config->vm_count || usb->count + before < ROOT_PORTS ||
		has(usb, CONFIG_USB_HUB) ? NULL : "usb-hub in usb beside more than 2 devices";
}
