// SPDX-License-Identifier: BSD-2-Clause
// Part of monitor_fake.h: devices that the monitor can set something of.
#ifndef TESTS_UNIT_MONITOR_FAKE_DEVICES_H
#define TESTS_UNIT_MONITOR_FAKE_DEVICES_H

#include "drivers/region.h"
#include "emul/scsi.h"
#include "emul/virtio_balloon.h"
#include "vm/disk_backend.h"
#include "vm/overlay.h"
#include "vm/pc.h"

static struct wire set_power = {.level = true};
static struct vm_device set_slot = {.function = 4 << 3, .power = &set_power};
static struct device set_device = {.id = 7, .owner = &set_slot};
static struct device set_hotplug = {.id = 3};
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
	assert_ptr_equal(device, setting == DEVICE_SETTING_PLUG ||
		setting == DEVICE_SETTING_UNPLUG ? &set_hotplug : &set_device);
	snprintf(call, sizeof(call), "set %u %llu ", setting, (unsigned long long)value);
	call_note(call);
	return set_answer;
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
