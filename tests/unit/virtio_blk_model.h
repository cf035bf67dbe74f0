// SPDX-License-Identifier: BSD-2-Clause
// A virtio block device over PCI, for tests: it has the numbers of the specification, not those of
// the driver, and can be told to lie.
#ifndef TESTS_UNIT_VIRTIO_BLK_MODEL_H
#define TESTS_UNIT_VIRTIO_BLK_MODEL_H

#include "tests/unit/host_disks.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/disk.h"
#include "drivers/virtio_blk.h"

enum {
	BAR = 0xfe000000, // of 16 KiB, with a page for each structure
	SECTORS = 64,
	QUEUE_MAX = 256,
};

enum fault {
	FAULT_NONE,
	FAULT_SILENT,       // never answers
	FAULT_TWICE,        // answers twice
	FAULT_BACK,         // the used index goes back
	FAULT_ID,           // another chain's head
	FAULT_ID_LARGE,
	FAULT_LONG,         // wrote more than there was room for
	FAULT_SHORT,        // wrote less, and says that all is well
	FAULT_NO_RESET,     // its status does not become 0
	FAULT_STUCK,        // silent, and then its status does not become 0
	FAULT_FEATURES,     // does not take the features
	FAULT_GENERATIONS,  // its configuration changes all the time
};

static struct {
	uint64_t features, driver_features;
	uint32_t feature_select, driver_select;
	uint8_t status, generation;
	uint16_t queue_select, queue_size, enabled, notify_off;
	uint64_t desc, avail, used;
	uint16_t avail_seen, used_index;
	uint8_t config[64];
	uint8_t *medium;
	enum fault fault;
	uint8_t answer;      // of a request
	unsigned delay;      // waits before it
	bool asked;
	unsigned resets, requests, flushes;
	unsigned generation_changes; // how often it still changes
} device;
static struct fake_function *function;
static struct disk *disk; // the latest

static uint8_t *memory(uint64_t address)
{
	return (uint8_t *)(uintptr_t)address;
}

static bool is_on(void)
{
	return (device.status & 4) != 0 && device.enabled == 1;
}

// One chain: header, data (not for a flush), status. Returns the bytes written.
static uint32_t chain_run(uint16_t head)
{
	const uint8_t *at = memory(device.desc) + 16 * (size_t)head, *header, *data = NULL;
	uint64_t sector, bytes = 0;
	uint32_t type, written = 1;

	assert_int_equal(get(at + 8, 4), 16);
	assert_int_equal(get(at + 12, 2), 1); // the device reads it, and there is more
	header = memory(get(at, 8));
	type = (uint32_t)get(header, 4);
	sector = get(header + 8, 8);
	at = memory(device.desc) + 16 * get(at + 14, 2);
	if (get(at + 12, 2) != 2) { // not the status yet
		data = memory(get(at, 8));
		bytes = get(at + 8, 4);
		assert_int_equal(get(at + 12, 2), type == 0 ? 3 : 1);
		at = memory(device.desc) + 16 * get(at + 14, 2);
	}
	assert_int_equal(get(at + 12, 2), 2);
	assert_int_equal(get(at + 8, 4), 1);
	*memory(get(at, 8)) = device.answer;
	device.requests++;
	device.flushes += type == 4;
	if (type == 4 || device.answer != 0)
		return written;
	assert_int_equal(bytes % 512, 0);
	assert_true(sector * 512 + bytes <= SECTORS * 512);
	if (type == 0) {
		memcpy(memory((uintptr_t)data), device.medium + sector * 512, bytes);
		written += (uint32_t)bytes;
	} else {
		assert_int_equal(type, 1);
		memcpy(device.medium + sector * 512, data, bytes);
	}
	return written;
}

static void used_add(uint32_t id, uint32_t written)
{
	uint8_t *element = memory(device.used) + 4 + 8 * (device.used_index % device.queue_size);

	put(element, id, 4);
	put(element + 4, written, 4);
	put(memory(device.used) + 2, ++device.used_index, 2);
}

static void device_answer(void)
{
	while (device.avail_seen != (uint16_t)get(memory(device.avail) + 2, 2)) {
		uint16_t place = device.avail_seen++ % device.queue_size;
		uint16_t head = (uint16_t)get(memory(device.avail) + 4 + 2 * place, 2);
		uint32_t written = chain_run(head);

		if (device.fault == FAULT_LONG)
			written++;
		else if (device.fault == FAULT_SHORT)
			written--;
		if (device.fault == FAULT_TWICE)
			used_add(head, written);
		else if (device.fault == FAULT_BACK)
			device.used_index = (uint16_t)(device.used_index - 2);
		used_add(device.fault == FAULT_ID ? 1U :
			device.fault == FAULT_ID_LARGE ? 0x10000U : head, written);
	}
	device.asked = false;
}

static void device_passes(void)
{
	if (device.fault == FAULT_SILENT || device.fault == FAULT_STUCK || !device.asked)
		return;
	if (device.delay-- <= 1)
		device_answer();
}

static void device_reset(void)
{
	if (device.fault != FAULT_NO_RESET && device.fault != FAULT_STUCK)
		device.status = 0;
	device.enabled = 0;
	device.driver_features = 0;
	device.avail_seen = device.used_index = 0;
	device.queue_size = QUEUE_MAX;
	device.asked = false;
	device.resets++;
}

static uint32_t common_read(unsigned offset)
{
	switch (offset) {
	case 4:
		return (uint32_t)(device.features >> (device.feature_select == 1 ? 32 : 0));
	case 20:
		return device.status;
	case 21:
		if (device.generation_changes > 0) {
			device.generation_changes--;
			device.generation++;
		}
		return device.generation;
	case 24:
		return device.queue_size;
	case 30:
		return device.notify_off;
	default:
		fail_msg("read of offset %u", offset);
		return 0;
	}
}

static void status_written(uint8_t value)
{
	if (value == 0) {
		device_reset();
		return;
	}
	assert_int_equal(value & device.status, device.status); // 2.1.1: bits are only set
	if ((value & 8) != 0 && (device.status & 8) == 0 && (device.fault == FAULT_FEATURES ||
			(device.driver_features & ~device.features) != 0))
		value &= (uint8_t)~8;
	if ((value & 4) != 0)
		assert_int_equal(value & 0xb, 0xb);
	device.status = value;
}

static void address_set(uint64_t *address, unsigned upper, uint32_t value)
{
	put((uint8_t *)address + upper, value, 4);
}

static void common_write(unsigned offset, unsigned bytes, uint32_t value)
{
	static const uint8_t widths[64] = {
		[0] = 4, [8] = 4, [12] = 4, [20] = 1, [22] = 2, [24] = 2, [28] = 2, [32] = 4,
		[36] = 4, [40] = 4, [44] = 4, [48] = 4, [52] = 4};

	assert_int_equal(bytes, widths[offset]); // 4.1.3.1: the width of the field
	if (offset == 0)
		device.feature_select = value;
	else if (offset == 8)
		device.driver_select = value;
	else if (offset == 12)
		put((uint8_t *)&device.driver_features + (device.driver_select == 1 ? 4 : 0), value,
			4);
	else if (offset == 20)
		status_written((uint8_t)value);
	else if (offset == 22)
		device.queue_select = (uint16_t)value;
	else if (offset == 24)
		device.queue_size = (uint16_t)value;
	else if (offset == 28)
		device.enabled = (uint16_t)value;
	else
		address_set(offset < 40 ? &device.desc : offset < 48 ? &device.avail : &device.used,
			offset & 4, value);
}

static uint32_t mmio_in(uint64_t address, unsigned bytes)
{
	uint64_t offset = address - BAR;

	// It answers while memory decoding is on.
	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	assert_int_equal(offset % bytes, 0);
	if (offset < 0x1000)
		return common_read((unsigned)offset);
	assert_true(offset >= 0x2000 && offset + bytes <= 0x2000 + sizeof(device.config));
	return (uint32_t)get(device.config + offset - 0x2000, bytes);
}

static void mmio_out(uint64_t address, unsigned bytes, uint32_t value)
{
	uint64_t offset = address - BAR;

	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	if (offset < 0x1000) {
		common_write((unsigned)offset, bytes, value);
		return;
	}
	assert_int_equal(offset, 0x3000 + 4 * device.notify_off);
	assert_int_equal(bytes, 2);
	assert_int_equal(value, 0);
	assert_true(is_on());
	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 4) != 0); // bus master
	device.asked = true;
	if (device.delay == 0 && device.fault != FAULT_SILENT && device.fault != FAULT_STUCK)
		device_answer();
}

static void capability(unsigned at, unsigned kind, unsigned bar, unsigned offset, unsigned length,
	unsigned next)
{
	fake_config_set(function, at, 4, 9 | next << 8 | 20 << 16 | kind << 24);
	fake_config_set(function, at + 4, 4, bar);
	fake_config_set(function, at + 8, 4, offset);
	fake_config_set(function, at + 12, 4, length);
}

#endif
