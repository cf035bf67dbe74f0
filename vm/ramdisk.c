// SPDX-License-Identifier: BSD-2-Clause
// Requests come to the core as messages, wait in a list there until their time, and are done by
// the fiber. The list, the random numbers and the end are that core's alone.
#include "vm/ramdisk.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/splitmix.h"
#include "vm/vm.h"

struct ramdisk {
	struct vm *vm;
	uint32_t index; // of the machine's disks
	struct cpu *core;
	struct fiber *fiber;
	struct cpu_message leave; // the fiber shall end, and free this
	bool left;
	bool *gone; // where it says that it has; NULL: nobody waits
	uint64_t seed, random;
	struct backend_request *waiting[DEVICE_IO_MAX + 1]; // and BACKEND_RESIZE
	uint32_t waiting_count;
};

static bool is_readonly(const struct ramdisk *disk)
{
	return disk->vm->config.disks[disk->index].readonly;
}

static enum status request_do(const struct ramdisk *disk, const struct backend_request *request)
{
	struct medium *medium = &disk->vm->media[disk->index];

	if (request->kind == DEVICE_IO_FLUSH)
		return STATUS_OK;
	if (!medium_has(medium, request->offset, request->bytes))
		return STATUS_RANGE;
	if (is_readonly(disk) && request->kind != DEVICE_IO_READ)
		return STATUS_REFUSED;
	switch (request->kind) {
	case DEVICE_IO_READ:
		medium_read(medium, request->offset, request->data, request->bytes);
		break;
	case DEVICE_IO_WRITE:
		medium_write(medium, request->offset, request->data, request->bytes);
		break;
	default: // discarded, or zeros: zeros are the same in every replay
		medium_zero(medium, request->offset, request->bytes);
		break;
	}
	return STATUS_OK;
}

static void resize(const struct ramdisk *disk, const struct backend_request *request)
{
	const struct vm *vm = disk->vm;

	if (medium_resize(&disk->vm->media[disk->index], request->size, fiber_yield) != STATUS_OK)
		log_warn("%s: disk %s: no memory for %llu bytes: the rest of it fails", vm->name,
			vm->config.disks[disk->index].name, (unsigned long long)request->size);
}

// The first of all that are due; NULL: none is, and *next is when one will be.
static struct backend_request *due_take(struct ramdisk *disk, uint64_t now, uint64_t *next)
{
	uint32_t nearest = 0;
	struct backend_request *taken;

	*next = TIMER_NEVER;
	if (disk->waiting_count == 0)
		return NULL;
	for (uint32_t i = 1; i < disk->waiting_count; i++)
		if (disk->waiting[i]->due < disk->waiting[nearest]->due)
			nearest = i;
	taken = disk->waiting[nearest];
	*next = taken->due;
	if (taken->due > now)
		return NULL;
	disk->waiting[nearest] = disk->waiting[--disk->waiting_count];
	return taken;
}

static void serve(void *argument)
{
	struct ramdisk *disk = argument;
	bool *gone;

	while (!disk->left) {
		uint64_t next;
		struct backend_request *request = due_take(disk, rdtsc(), &next);

		if (request == NULL) {
			(void)fiber_wait(next);
			continue;
		}
		if (request->kind == BACKEND_RESIZE)
			resize(disk, request);
		backend_done(request, request->kind == BACKEND_RESIZE ? STATUS_OK
			: request_do(disk, request));
		fiber_yield();
	}
	gone = disk->gone;
	free(disk);
	if (gone != NULL)
		__atomic_store_n(gone, true, __ATOMIC_RELEASE);
}

static bool overlap(const struct backend_request *one, const struct backend_request *other)
{
	return one->offset - other->offset < other->bytes ||
		other->offset - one->offset < one->bytes;
}

// On the disk's core.
static void request_arrived(struct cpu_message *message)
{
	struct backend_request *request = CONTAINER_OF(message, struct backend_request, message);
	struct ramdisk *disk = request->backend->owner;

	request->due = rdtsc();
	if (disk->seed != 0)
		request->due += splitmix_next(&disk->random) %
			clock_ns_to_tsc(RAMDISK_DELAY_MAX_NS);
	for (uint32_t i = 0; i < disk->waiting_count; i++)
		if (overlap(request, disk->waiting[i]) && request->due <= disk->waiting[i]->due)
			request->due = disk->waiting[i]->due + 1;
	disk->waiting[disk->waiting_count++] = request;
	fiber_wake(disk->fiber);
}

// Memory takes no time to wait for: on the disk's own core it is done at once.
static bool is_instant(const struct ramdisk *disk)
{
	return disk->seed == 0 && disk->core == cpu_self() && disk->waiting_count == 0;
}

static void piece_copy(const struct medium *medium, uint64_t offset,
	const struct device_io_piece *piece, const struct backend_copy *copy)
{
	for (uint64_t done = 0, part; done < piece->bytes; done += part) {
		struct gpa at = {piece->at.v + done};
		enum status status;
		uint8_t *on_medium;

		part = piece->bytes - done;
		on_medium = medium_part(medium, offset + done, &part);
		status = copy->write ? guest_ram_read(copy->ram, at, on_medium, part)
				     : guest_ram_write(copy->ram, at, on_medium, part);
		ASSERT(status == STATUS_OK);
	}
}

enum status ramdisk_copy(void *owner, const struct backend_copy *copy)
{
	const struct ramdisk *disk = owner;
	const struct medium *medium = &disk->vm->media[disk->index];
	uint64_t offset = copy->offset;

	if (!is_instant(disk))
		return STATUS_AGAIN;
	if (!medium_has(medium, offset, copy->bytes))
		return STATUS_RANGE;
	if (copy->write && is_readonly(disk))
		return STATUS_REFUSED;
	for (unsigned i = 0; i < copy->piece_count; i++) {
		piece_copy(medium, offset, &copy->pieces[i], copy);
		offset += copy->pieces[i].bytes;
	}
	return STATUS_OK;
}

void ramdisk_submit(void *owner, struct backend_request *request)
{
	struct ramdisk *disk = owner;

	if (is_instant(disk) && !backend_is_resizing(request->backend)) {
		backend_done_at_once(request, request_do(disk, request));
		return;
	}
	request->message.run = request_arrived;
	smp_post(disk->core, &request->message);
}

static void fiber_begin(void *argument)
{
	struct ramdisk *disk = argument;

	disk->fiber = fiber_create("ramdisk", serve, disk);
}

enum status ramdisk_create(struct vm *vm, uint32_t index, uint32_t core, struct ramdisk **created)
{
	struct ramdisk *disk = calloc(1, sizeof(*disk));

	if (disk == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	disk->vm = vm;
	disk->core = cpu_get(core);
	disk->index = index;
	disk->seed = disk->random = vm->config.disks[index].seed;
	smp_call(disk->core, fiber_begin, disk);
	if (disk->fiber == NULL) {
		free(disk);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	*created = disk;
	return STATUS_OK;
}

// On the disk's core: who wakes the fiber from elsewhere might find it gone.
static void leave(struct cpu_message *message)
{
	struct ramdisk *disk = CONTAINER_OF(message, struct ramdisk, leave);

	disk->left = true;
	fiber_wake(disk->fiber);
}

void ramdisk_destroy(struct ramdisk *disk)
{
	// Before the event loop begins its fiber cannot end, and does so when it can.
	bool gone = false, waits;

	if (disk == NULL)
		return;
	waits = loop_is_running() || disk->core != cpu_self();
	disk->gone = waits ? &gone : NULL;
	disk->leave.run = leave;
	smp_post(disk->core, &disk->leave);
	while (waits && !__atomic_load_n(&gone, __ATOMIC_ACQUIRE))
		vm_wait_a_moment();
}
