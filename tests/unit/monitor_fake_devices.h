// SPDX-License-Identifier: BSD-2-Clause
// Part of monitor_fake.h: devices that the monitor can set something of.
#ifndef TESTS_UNIT_MONITOR_FAKE_DEVICES_H
#define TESTS_UNIT_MONITOR_FAKE_DEVICES_H

#include "emul/virtio_balloon.h"
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
	assert_ptr_equal(device, setting >= DEVICE_SETTING_PLUG ? &set_hotplug : &set_device);
	snprintf(call, sizeof(call), "set %u %llu ", setting, (unsigned long long)value);
	call_note(call);
	return set_answer;
}

#endif
