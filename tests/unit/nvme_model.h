// SPDX-License-Identifier: BSD-2-Clause
// An NVMe controller over PCI, for tests: it has the numbers of the specification, not those of the
// driver, holds the driver to its rules, and can be told to lie.
#ifndef TESTS_UNIT_NVME_MODEL_H
#define TESTS_UNIT_NVME_MODEL_H

#include "tests/unit/host_disks.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/disk.h"
#include "drivers/nvme.h"

enum {
	BAR = 0xfe000000,
	BAR_BYTES = 64 << 10,
	MEDIUM_BYTES = 1 << 20, // of each namespace
	NAMESPACES = 4,
	PAGE = 4096,
};

enum fault {
	FAULT_NONE,
	FAULT_SILENT,      // never answers
	FAULT_STUCK,       // nor does it reset then
	FAULT_NO_RESET,    // stays ready
	FAULT_NO_READY,    // never is
	FAULT_FATAL_READY, // is, and says that it has failed
	FAULT_FATAL,       // fails with a command
	FAULT_GONE,        // reads all ones from a command on
	FAULT_STOPS,       // is not ready any more
	FAULT_TWICE,       // answers twice
	FAULT_PHASE,       // the phase does not flip
	FAULT_ID,          // of another command
	FAULT_QUEUE,       // of another queue
	FAULT_HEAD,        // took another command
	FAULT_HEAD_LARGE,  // took what is behind the ring
};

struct ring {
	uint64_t address;
	unsigned entries; // 0: there is none
	unsigned head, tail;
	unsigned phase;
};

struct namespace {
	uint32_t id; // 0: none
	uint8_t identity[4096];
	uint8_t *medium;
};

static struct {
	uint64_t cap;
	uint32_t vs, cc, csts, aqa, mask;
	uint64_t asq, acq;
	struct ring commands[2], answers[2];
	uint8_t identity[4096];
	uint8_t list[4096]; // of active namespaces
	struct namespace namespaces[NAMESPACES];
	enum fault fault;
	unsigned fault_after; // admin commands, that are answered well
	uint16_t answer;      // of an I/O command: type and code
	uint16_t identify_answer[3]; // by CNS
	unsigned delay;       // waits before it
	bool asked;
	unsigned resets, requests, flushes, pages_max;
} device;
static struct fake_function *function;
static struct disk *disk; // the first of the latest

static uint8_t *memory(uint64_t address)
{
	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 4) != 0); // bus master
	return (uint8_t *)(uintptr_t)address;
}

static struct namespace *namespace_of(uint32_t id)
{
	for (unsigned i = 0; i < NAMESPACES; i++)
		if (id != 0 && device.namespaces[i].id == id)
			return &device.namespaces[i];
	return NULL;
}

// 4.3: data in pages, the first of which may begin anywhere in its page, at 4 bytes' alignment.
static void pages_copy(const uint8_t *command, uint8_t *data, uint64_t bytes, bool to_host)
{
	uint64_t at = get(command + 24, 8), second = get(command + 32, 8);
	unsigned pages = 0;

	assert_int_equal(at % 4, 0);
	while (bytes > 0) {
		uint64_t room = PAGE - at % PAGE, now = bytes < room ? bytes : room;

		memcpy(to_host ? memory(at) : data, to_host ? data : memory(at), now);
		data += now;
		bytes -= now;
		if (++pages == 1 && bytes > 0 && bytes <= PAGE) {
			assert_int_equal(second % PAGE, 0);
			at = second;
		} else if (bytes > 0) {
			assert_int_equal(second % 8, 0);
			// The last of a page would lead to another list.
			assert_true(second % PAGE + 8 < PAGE || bytes <= PAGE);
			at = get(memory(second), 8);
			assert_int_equal(at % PAGE, 0);
			second += 8;
		}
	}
	if (pages > device.pages_max)
		device.pages_max = pages;
}

static uint16_t io_run(const uint8_t *command)
{
	struct namespace *namespace = namespace_of((uint32_t)get(command + 4, 4));
	unsigned opcode = command[0], shift;
	uint64_t block = get(command + 40, 8), count = get(command + 48, 2) + 1, bytes;

	assert_non_null(namespace);
	device.requests++;
	if (opcode == 0) {
		device.flushes++;
		return device.answer;
	}
	assert_true(opcode == 1 || opcode == 2);
	shift = namespace->identity[128 + 4 * (namespace->identity[26] & 15) + 2];
	bytes = count << shift;
	assert_true(device.identity[77] == 0 || device.identity[77] > 20 ||
		bytes <= (uint64_t)PAGE << device.identity[77]);
	if (device.answer != 0)
		return device.answer;
	assert_true((block << shift) + bytes <= MEDIUM_BYTES);
	assert_int_equal(get(command + 50, 2), 0);
	pages_copy(command, namespace->medium + (block << shift), bytes, opcode == 2);
	return 0;
}

static uint16_t identify(const uint8_t *command)
{
	static uint8_t zeros[4096];
	unsigned kind = (unsigned)get(command + 40, 4);
	const struct namespace *namespace = namespace_of((uint32_t)get(command + 4, 4));

	assert_true(kind < 3);
	if (device.identify_answer[kind] != 0)
		return device.identify_answer[kind];
	if (kind == 0)
		pages_copy(command, namespace != NULL ? (uint8_t *)(uintptr_t)namespace->identity
						      : zeros, 4096, true);
	else
		pages_copy(command, kind == 1 ? device.identity : device.list, 4096, true);
	return 0;
}

// 5.3, 5.4: of the one pair of queues.
static void queue_create(const uint8_t *command, struct ring *ring)
{
	assert_int_equal(get(command + 40, 2), 1); // its number
	assert_int_equal(get(command + 24, 8) % PAGE, 0);
	assert_int_equal(get(command + 44, 2), 1); // contiguous, no interrupts
	assert_int_equal(ring->entries, 0);
	*ring = (struct ring){.address = get(command + 24, 8),
		.entries = (unsigned)get(command + 42, 2) + 1, .phase = 1};
	assert_true(ring->entries >= 2 && ring->entries <= (device.cap & 0xffff) + 1);
}

static uint16_t admin_run(const uint8_t *command)
{
	switch (command[0]) {
	case 1:
		assert_true(device.answers[1].entries > 0);
		assert_int_equal(get(command + 46, 2), 1); // its completions' queue
		queue_create(command, &device.commands[1]);
		return 0;
	case 5:
		queue_create(command, &device.answers[1]);
		return 0;
	case 6:
		return identify(command);
	case 9:
		assert_int_equal(get(command + 40, 4), 7);
		assert_int_equal(device.answers[1].entries, 0);
		return 0;
	default:
		fail_msg("admin command %u", command[0]);
		return 0;
	}
}

static void answer_write(unsigned queue, uint16_t id, uint16_t failed, bool is_lie)
{
	struct ring *ring = &device.answers[queue];
	uint8_t *entry = memory(ring->address) + 16 * (size_t)ring->tail;
	unsigned head = device.commands[queue].head, phase = ring->phase;
	enum fault fault = is_lie ? device.fault : FAULT_NONE;

	put(entry, 0x5a5a5a5a, 4);
	put(entry + 8, fault == FAULT_HEAD ? (head + 1) % ring->entries :
		fault == FAULT_HEAD_LARGE ? ring->entries : head, 2);
	put(entry + 10, fault == FAULT_QUEUE ? queue + 1 : queue, 2);
	put(entry + 12, fault == FAULT_ID ? id + 1U : id, 2);
	put(entry + 14, (uint64_t)failed << 1 | (fault == FAULT_PHASE ? 1 - phase : phase), 2);
	if (++ring->tail == ring->entries) {
		ring->tail = 0;
		ring->phase ^= 1;
	}
}

static bool is_lying(unsigned queue)
{
	if (device.fault_after > 0 && queue == 0)
		return false;
	return device.fault != FAULT_NONE;
}

// One command of a queue.
static void command_answer(unsigned queue)
{
	struct ring *ring = &device.commands[queue];
	bool is_lie = is_lying(queue);
	const uint8_t *command = memory(ring->address) + 64 * (size_t)ring->head;
	uint16_t id = (uint16_t)get(command + 2, 2), failed;

	assert_int_equal(command[1], 0); // no fusing, pages
	if (queue == 0 && device.fault_after > 0)
		device.fault_after--;
	ring->head = (ring->head + 1) % ring->entries;
	if (is_lie && device.fault == FAULT_FATAL)
		device.csts |= 2;
	else if (is_lie && device.fault == FAULT_STOPS)
		device.csts &= ~1U;
	if (is_lie && (device.fault == FAULT_FATAL || device.fault == FAULT_STOPS ||
			device.fault == FAULT_SILENT || device.fault == FAULT_STUCK ||
			device.fault == FAULT_GONE))
		return;
	failed = queue == 0 ? admin_run(command) : io_run(command);
	answer_write(queue, id, failed, is_lie);
	if (is_lie && device.fault == FAULT_TWICE)
		answer_write(queue, id, failed, false);
}

static void device_answer(void)
{
	device.asked = false;
	for (unsigned i = 0; i < 2; i++)
		while (device.commands[i].entries > 0 &&
			device.commands[i].head != device.commands[i].tail)
			command_answer(i);
}

static void device_passes(void)
{
	if (device.asked && device.delay-- <= 1)
		device_answer();
}

static void cc_write(uint32_t value)
{
	uint32_t changed = value ^ device.cc;

	if ((device.cc & 1) != 0)
		assert_int_equal(changed & ~0xc001U, 0); // 3.1.5: but EN and SHN
	device.cc = value;
	if ((changed & 1) == 0)
		return;
	if ((value & 1) == 0) {
		// What firmware had set up must not reach memory until then.
		if (device.resets++ == 0)
			assert_int_equal(fake_config_get(function, PCI_COMMAND, 2) & 4, 0);
		if (device.fault != FAULT_NO_RESET && device.fault != FAULT_STUCK)
			device.csts = 0;
		memset(device.commands, 0, sizeof(device.commands));
		memset(device.answers, 0, sizeof(device.answers));
		device.asked = false;
		return;
	}
	assert_int_equal(device.csts & 1, 0);
	assert_int_equal(value, 0x00460001); // entries of 64 and 16 bytes, pages of 4 KiB
	assert_true(device.asq % PAGE == 0 && device.acq % PAGE == 0);
	device.commands[0] = (struct ring){
		.address = device.asq, .entries = (device.aqa & 0xfff) + 1};
	device.answers[0] = (struct ring){
		.address = device.acq, .entries = (device.aqa >> 16 & 0xfff) + 1, .phase = 1};
	if (device.fault == FAULT_FATAL_READY)
		device.csts = 3;
	else if (device.fault != FAULT_NO_READY)
		device.csts = 1;
}

static void doorbell(uint64_t offset, uint32_t value)
{
	uint64_t stride = 4U << (device.cap >> 32 & 15);
	unsigned index = (unsigned)(offset / stride), queue = index / 2;

	assert_int_equal(offset % stride, 0);
	assert_true(index < 4);
	if (index % 2 == 1) { // one more has been seen
		struct ring *ring = &device.answers[queue];

		ring->head = (ring->head + 1) % ring->entries;
		assert_int_equal(value, ring->head);
		return;
	}
	assert_int_equal(value, (device.commands[queue].tail + 1) % device.commands[queue].entries);
	device.commands[queue].tail = value;
	device.asked = true;
	if (device.delay == 0)
		device_answer();
}

static bool is_gone(void)
{
	return device.fault == FAULT_GONE && device.fault_after == 0 && device.commands[0].entries;
}

static uint32_t mmio_in(uint64_t address, unsigned bytes)
{
	uint64_t offset = address - BAR;

	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	assert_int_equal(bytes, 4);
	if (is_gone())
		return UINT32_MAX;
	switch (offset) {
	case 0:
		return (uint32_t)device.cap;
	case 4:
		return (uint32_t)(device.cap >> 32);
	case 8:
		return device.vs;
	case 0x14:
		return device.cc;
	case 0x1c:
		return device.csts;
	default:
		fail_msg("read of offset %u", (unsigned)offset);
		return 0;
	}
}

static void mmio_out(uint64_t address, unsigned bytes, uint32_t value)
{
	uint64_t offset = address - BAR;

	assert_true((fake_config_get(function, PCI_COMMAND, 2) & 2) != 0);
	assert_int_equal(bytes, 4);
	if (is_gone())
		return;
	if (offset >= 0x1000)
		doorbell(offset - 0x1000, value);
	else if (offset == 0x14)
		cc_write(value);
	else if (offset == 0x0c)
		device.mask = value;
	else if (offset == 0x24)
		device.aqa = value;
	else if (offset == 0x28 || offset == 0x2c)
		put((uint8_t *)&device.asq + (offset & 4), value, 4);
	else if (offset == 0x30 || offset == 0x34)
		put((uint8_t *)&device.acq + (offset & 4), value, 4);
	else
		fail_msg("write of offset %u", (unsigned)offset);
}

// Of 2^shift bytes a block.
static void namespace_set(unsigned index, uint32_t id, unsigned shift)
{
	struct namespace *namespace = &device.namespaces[index];

	namespace->id = id;
	memset(namespace->identity, 0, sizeof(namespace->identity));
	put(namespace->identity, MEDIUM_BYTES >> shift, 8);
	namespace->identity[25] = 1; // formats, less 1
	namespace->identity[26] = 1;
	put(namespace->identity + 128, 0x90008, 4); // with metadata
	put(namespace->identity + 132, shift << 16, 4);
	free(namespace->medium);
	namespace->medium = malloc(MEDIUM_BYTES);
	for (unsigned i = 0; i < MEDIUM_BYTES; i++)
		namespace->medium[i] = (uint8_t)(i / 512 * 7 + i + index);
}

static void list_set(void)
{
	memset(device.list, 0, sizeof(device.list));
	for (unsigned i = 0; i < NAMESPACES; i++)
		put(device.list + 4 * (size_t)i, device.namespaces[i].id, 4);
}

#endif
