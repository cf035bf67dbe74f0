// SPDX-License-Identifier: BSD-2-Clause
// Part of monitor_fake.h: devices that the monitor can set something of.
#ifndef TESTS_UNIT_MONITOR_FAKE_DEVICES_H
#define TESTS_UNIT_MONITOR_FAKE_DEVICES_H

#include "drivers/region.h"
#include "emul/scsi.h"
#include "emul/uhci_internal.h"
#include "emul/virtio_balloon.h"
#include "vm/disk_backend.h"
#include "vm/input.h"
#include "vm/overlay.h"
#include "vm/pc.h"

static struct wire set_power = {.level = true};
static struct vm_device set_slot = {.function = 4 << 3, .power = &set_power};
static struct device set_device = {.id = 7, .owner = &set_slot};
static struct device set_hotplug = {.id = 3};
static struct uhci set_uhci;
static enum status set_answer;

struct device *pc_disk_find(const struct vm *vm, const char *name, uint32_t *index)
{
	assert_ptr_equal(vm, &machine);
	*index = 1;
	return strcmp(name, "data") == 0 ? &set_device : NULL;
}

// Disk 0 is a CD drive, disk 1 a disc that lies beside it, of port 5; disk 2 is a disk.
static struct scsi_unit set_cd = {.is_cd = true, .disc = 0};

bool pc_cd_find(const struct vm *vm, uint32_t index, struct pc_cd *cd)
{
	assert_ptr_equal(vm, &machine);
	*cd = (struct pc_cd){.device = &set_device, .unit = &set_cd, .drive = 2};
	return index == 0 && vm->config.disks[0].is_cd;
}

bool pc_disc_find(const struct vm *vm, uint32_t drive, uint32_t index, unsigned *port)
{
	(void)vm;
	*port = index == drive ? 2 : 5;
	return index < 2;
}

struct device *pc_balloon_find(const struct vm *vm)
{
	return vm->config.balloon ? &set_device : NULL;
}

struct device *pc_usb_find(const struct vm *vm)
{
	return vm->config.usb_count != 0 ? &set_uhci.pci.device : NULL;
}

const char *pc_usb_name(const struct vm *vm, unsigned which)
{
	(void)vm;
	return which < UHCI_DISK ? uhci_device_name(which) : which == UHCI_DISK ? "stick" : "";
}

void virtio_balloon_report(const struct device *device, struct virtio_balloon_report *report)
{
	assert_ptr_equal(device, &set_device);
	memset(report, 0xff, sizeof(*report));
	report->wanted = 8192;
	report->actual = 4096;
	report->stats[VIRTIO_BALLOON_FREE_MEMORY] = 100 * MIB + 5;
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
}

enum status outside_set(struct vm *vm, const struct device *device, enum device_setting setting,
	uint64_t value)
{
	char call[64];

	assert_ptr_equal(vm, &machine);
	if (device != &set_uhci.pci.device)
		assert_ptr_equal(device, setting == DEVICE_SETTING_PLUG ||
			setting == DEVICE_SETTING_UNPLUG ? &set_hotplug : &set_device);
	snprintf(call, sizeof(call), "set %u %llu ", setting, (unsigned long long)value);
	call_note(call);
	return set_answer;
}

// What is done at keyboard and mouse, and when. Two devices have a mouse.
static enum status input_answer;
static char input_calls[1024];
static const struct device_model tablet_model = {.name = "tablet"}, mouse_model = {.name = "mouse"};
static struct device input_tablet = {.model = &tablet_model, .id = 9},
		     input_mouse = {.model = &mouse_model, .id = 5};

enum status outside_input(struct vm *vm, const struct device_input *inputs, unsigned count)
{
	assert_ptr_equal(vm, &machine);
	assert_in_range(count, 1, OUTSIDE_INPUTS_MAX);
	if (input_answer != STATUS_OK)
		return input_answer;
	for (unsigned i = 0; i < count; i++) {
		const struct device_input *at = &inputs[i];
		size_t length = strlen(input_calls);
		char *end = input_calls + length;
		size_t room = sizeof(input_calls) - length;

		assert_true(room > 64);
		if (at->kind == DEVICE_INPUT_MOVE)
			snprintf(end, room, "%d,%d,%d ", at->x, at->y, at->wheel);
		else
			snprintf(end, room, "%s%x%c ", at->kind == DEVICE_INPUT_BUTTON ? "b" : "",
				at->code, at->down ? '+' : '-');
	}
	return STATUS_OK;
}

struct device *input_device(const struct vm *vm, enum device_input_kind kind,
	const struct device *before)
{
	assert_ptr_equal(vm, &machine);
	if (kind == DEVICE_INPUT_PLACE)
		return before == NULL ? &input_tablet : NULL;
	return before == NULL ? &input_tablet : before == &input_tablet ? &input_mouse : NULL;
}

// Overlays: parts that have to be written, and how each of these ends.
static struct {
	uint64_t parts, refused_at;
	enum status answer, claim;
	unsigned begun, homes; // how often the home was asked
	uint8_t use; // enum region_use
} overlaid = {.refused_at = UINT64_MAX};

void smp_call(struct cpu *home, void (*run)(void *argument), void *argument)
{
	(void)home;
	if (overlaid.homes++ == 1)
		machine.holds = 0; // whoever held it has released it
	run(argument);
}

void disk_backend_commit(struct disk_backend *disk, struct disk_backend_commit *commit)
{
	uint64_t part = commit->from / OVERLAY_PART_BYTES;

	(void)disk;
	assert_int_equal(machine.holds, 0);
	overlaid.begun++;
	commit->status = part == overlaid.refused_at ? overlaid.answer : STATUS_OK;
	commit->next = part == overlaid.refused_at ? commit->from
		: part == overlaid.parts ? UINT64_MAX : commit->from + OVERLAY_PART_BYTES;
	commit->done = true;
}

enum status region_claim(struct region *region, const char *owner, enum region_use use,
	char error[REGION_ERROR_MAX])
{
	(void)region;
	assert_string_equal(owner, "disk data");
	snprintf(error, REGION_ERROR_MAX, "some of it is read by disk other");
	if (use != REGION_READ && overlaid.claim != STATUS_OK)
		return overlaid.claim;
	overlaid.use = (uint8_t)use;
	return STATUS_OK;
}

uint64_t overlay_used_bytes(const struct overlay *overlay)
{
	(void)overlay;
	return 3 * KIB;
}

uint64_t overlay_limit_bytes(const struct overlay *overlay)
{
	(void)overlay;
	return MIB;
}

#endif
