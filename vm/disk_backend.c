// SPDX-License-Identifier: BSD-2-Clause
// Requests come to the core as messages, wait in a list there until their time, and are done by
// its fibers. The list, the random numbers and the end are that core's alone.
#include "vm/disk_backend.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/medium_request.h"
#include "vm/overlay.h"
#include "vm/splitmix.h"
#include "vm/vm.h"

enum { WAITING_MAX = DEVICE_IO_MAX + 2 }; // and BACKEND_RESIZE, and a commit

struct server {
	struct disk_backend *disk;
	struct fiber *fiber; // NULL: it has ended
	struct backend_request *request; // that it is at; NULL: none
	bool idle; // it waits to be woken
};

struct disk_backend {
	struct vm *vm;
	uint32_t index; // of the machine's disks
	struct cpu *core;
	struct cpu *at_once; // (c) core, where nothing is waited for; NULL: something is
	uint32_t pending; // requests that are waiting, or a fiber's
	struct server servers[DISK_BACKEND_FIBERS];
	uint32_t server_count;
	struct cpu_message leave; // the fibers shall end, and the last frees this
	bool left;
	bool *gone; // where it says that it has; NULL: nobody waits
	uint64_t seed, random;
	uint64_t order; // of the last that came
	struct backend_request *waiting[WAITING_MAX];
	uint32_t waiting_count;
	bool is_throttled; // (c)
	struct throttle throttle;
	struct cpu_message hurry;
	bool hurries; // (a) the message is under way
	bool full_told; // since the overlay was committed last
	struct backend_request part; // of the overlay, which is committed
	struct disk_backend_commit *commit;
};

static struct medium *medium_of(const struct disk_backend *disk)
{
	return &disk->vm->media[disk->index];
}

static bool is_readonly(const struct disk_backend *disk)
{
	return disk->vm->config.disks[disk->index].readonly;
}

// `pause`: see medium_request.
static enum status request_do(const struct disk_backend *disk,
	const struct backend_request *request, void (*pause)(void))
{
	struct medium *medium = medium_of(disk);

	if (request->kind == DEVICE_IO_FLUSH)
		return medium_flush(medium);
	if (!medium_has(medium, request->offset, request->bytes))
		return STATUS_RANGE;
	if (is_readonly(disk) && request->kind != DEVICE_IO_READ)
		return STATUS_REFUSED;
	if (request->has_no_room)
		return STATUS_NO_MEMORY;
	return medium_request(medium, request, pause);
}

static void commit_answer(struct disk_backend *disk, enum status status, uint64_t next)
{
	struct disk_backend_commit *commit = disk->commit;
	struct cpu *home = vm_home(disk->vm);

	if (status == STATUS_OK)
		disk->full_told = false;
	commit->status = status;
	commit->next = next;
	__atomic_fetch_sub(&disk->vm->requests_out.sent, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&commit->done, true, __ATOMIC_RELEASE);
	cpu_kick(home); // which may wait for that
}

static void commit_do(struct disk_backend *disk)
{
	struct backend_request *part = &disk->part;
	enum status status = medium_commit(medium_of(disk), part->offset, part->bytes, fiber_yield);

	commit_answer(disk, status, status == STATUS_OK ? part->offset + part->bytes
							: part->offset);
}

static void resize(const struct disk_backend *disk, const struct backend_request *request)
{
	const struct vm *vm = disk->vm;

	if (medium_resize(medium_of(disk), request->size, fiber_yield) != STATUS_OK)
		log_warn("%s: disk %s: no memory for %llu bytes: the rest of it fails", vm->name,
			vm->config.disks[disk->index].name, (unsigned long long)request->size);
}

static uint64_t last_byte(const struct backend_request *request)
{
	uint64_t last = request->offset + request->bytes - 1;

	return last < request->offset ? UINT64_MAX : last;
}

// Parts of the same unit are no two: one is written with what was beside it.
static bool overlap(const struct disk_backend *disk, const struct backend_request *one,
	const struct backend_request *other)
{
	uint64_t unit = medium_unit(medium_of(disk));

	return one->bytes != 0 && other->bytes != 0 &&
		one->offset / unit <= last_byte(other) / unit &&
		other->offset / unit <= last_byte(one) / unit;
}

// What overlaps with it came before, and is not done.
static bool is_behind_another(const struct disk_backend *disk,
	const struct backend_request *request)
{
	for (uint32_t i = 0; i < disk->server_count; i++)
		if (disk->servers[i].request != NULL &&
			overlap(disk, request, disk->servers[i].request))
			return true;
	for (uint32_t i = 0; i < disk->waiting_count; i++)
		if (disk->waiting[i]->order < request->order &&
			overlap(disk, request, disk->waiting[i]))
			return true;
	return false;
}

// The first of all that can be done now; NULL: none can, and *next is when one may be. Who has done
// what another waits for looks again.
static struct backend_request *due_take(struct disk_backend *disk, uint64_t now, uint64_t *next)
{
	struct backend_request *taken = NULL;
	uint32_t place = 0;

	*next = TIMER_NEVER;
	for (uint32_t i = 0; i < disk->waiting_count; i++) {
		struct backend_request *request = disk->waiting[i];

		if (request->due > now) {
			*next = request->due < *next ? request->due : *next;
			continue;
		}
		if ((taken != NULL && (request->due > taken->due || (request->due == taken->due &&
			request->order > taken->order))) || is_behind_another(disk, request))
			continue;
		taken = request;
		place = i;
	}
	if (taken != NULL)
		disk->waiting[place] = disk->waiting[--disk->waiting_count];
	return taken;
}

static void idle_wake(struct disk_backend *disk)
{
	for (uint32_t i = 0; i < disk->server_count; i++)
		if (disk->servers[i].idle) {
			disk->servers[i].idle = false;
			fiber_wake(disk->servers[i].fiber);
			return;
		}
}

static void server_end(struct server *server)
{
	struct disk_backend *disk = server->disk;
	bool *gone = disk->gone;

	server->fiber = NULL;
	for (uint32_t i = 0; i < disk->server_count; i++)
		if (disk->servers[i].fiber != NULL)
			return;
	free(disk);
	if (gone != NULL)
		__atomic_store_n(gone, true, __ATOMIC_RELEASE);
}

static void request_serve(struct disk_backend *disk, struct server *server)
{
	struct backend_request *request = server->request;
	enum status status = STATUS_OK;

	if (request == &disk->part)
		commit_do(disk);
	else if (request->kind == BACKEND_RESIZE)
		resize(disk, request);
	else
		status = request_do(disk, request, fiber_yield);
	server->request = NULL;
	disk->pending--;
	if (request != &disk->part)
		backend_done(request, status);
}

static void serve(void *argument)
{
	struct server *server = argument;
	struct disk_backend *disk = server->disk;

	while (!disk->left) {
		uint64_t next;
		struct backend_request *request = due_take(disk, rdtsc(), &next);

		if (request == NULL) {
			server->idle = true;
			(void)fiber_wait(next);
			server->idle = false;
			continue;
		}
		server->request = request;
		if (disk->waiting_count != 0)
			idle_wake(disk);
		request_serve(disk, server);
		fiber_yield();
	}
	server_end(server);
}

static void request_add(struct disk_backend *disk, struct backend_request *request)
{
	request->order = ++disk->order;
	ASSERT(disk->waiting_count < WAITING_MAX);
	disk->waiting[disk->waiting_count++] = request;
	disk->pending++;
	idle_wake(disk);
}

static void part_arrived(struct cpu_message *message)
{
	struct disk_backend *disk = CONTAINER_OF(message, struct disk_backend, part.message);

	disk->part.offset = disk->commit->from;
	disk->part.due = disk->part.soonest = rdtsc();
	if (medium_commit_next(medium_of(disk), &disk->part.offset, &disk->part.bytes))
		request_add(disk, &disk->part);
	else
		commit_answer(disk, STATUS_OK, UINT64_MAX);
}

void disk_backend_commit(struct disk_backend *disk, struct disk_backend_commit *commit)
{
	ASSERT(vm_home(disk->vm) == cpu_self() && disk->vm->holds == 0);
	__atomic_fetch_add(&disk->vm->requests_out.sent, 1, __ATOMIC_RELAXED);
	commit->done = false;
	disk->commit = commit;
	disk->part.message.run = part_arrived;
	smp_post(disk->core, &disk->part.message);
}

static void room_take(struct disk_backend *disk, struct backend_request *request)
{
	const struct vm_disk_config *config = &disk->vm->config.disks[disk->index];

	request->has_no_room = !config->readonly && medium_reserve(medium_of(disk), request) !=
		STATUS_OK;
	if (!request->has_no_room || disk->full_told)
		return;
	disk->full_told = true;
	log_warn("%s: disk %s: no more room in its overlay (%llu of %llu MiB): what is written "
		"fails", disk->vm->name, config->name,
		(unsigned long long)(overlay_used_bytes(medium_of(disk)->overlay) / MIB),
		(unsigned long long)(config->overlay_bytes / MIB));
}

// TSC ticks.
static uint64_t throttled_for(struct disk_backend *disk, const struct backend_request *request,
	uint64_t now)
{
	uint64_t ns = clock_tsc_ns(now), bytes = request->bytes;

	if (request->kind == DEVICE_IO_FLUSH)
		return 0;
	if (request->kind == DEVICE_IO_DISCARD || !medium_has(medium_of(disk), 0, bytes))
		bytes = 0;
	return clock_ns_to_tsc(throttle_pass(&disk->throttle, ns, bytes, 1) - ns);
}

// On the disk's core.
static void request_arrived(struct cpu_message *message)
{
	struct backend_request *request = CONTAINER_OF(message, struct backend_request, message);
	struct disk_backend *disk = request->backend->owner;
	uint64_t now = rdtsc();

	request->soonest = now;
	if (disk->seed != 0)
		request->soonest += splitmix_next(&disk->random) %
			clock_ns_to_tsc(DISK_BACKEND_DELAY_MAX_NS);
	request->due = request->soonest;
	if (disk->is_throttled && request->kind < DEVICE_IO_KINDS)
		request->due += throttled_for(disk, request, now);
	room_take(disk, request);
	request_add(disk, request);
}

static void hurry(struct cpu_message *message)
{
	struct disk_backend *disk = CONTAINER_OF(message, struct disk_backend, hurry);

	__atomic_store_n(&disk->hurries, false, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < disk->waiting_count; i++)
		disk->waiting[i]->due = disk->waiting[i]->soonest;
	idle_wake(disk);
}

void disk_backend_hurry(struct disk_backend *disk)
{
	if (!disk->is_throttled || __atomic_exchange_n(&disk->hurries, true, __ATOMIC_ACQUIRE))
		return;
	disk->hurry.run = hurry;
	smp_post(disk->core, &disk->hurry);
}

// Memory takes no time to wait for: on the disk's own core it is done at once.
static bool is_instant(const struct disk_backend *disk)
{
	return disk->at_once == cpu_self() && disk->pending == 0;
}

static void piece_copy(const struct medium *medium, uint64_t offset,
	const struct device_io_piece *piece, bool write, struct guest_ram *ram)
{
	for (uint64_t done = 0, part; done < piece->bytes; done += part) {
		struct gpa at = {piece->at.v + done};
		enum status status;
		uint8_t *on_medium;

		part = piece->bytes - done;
		on_medium = medium_part(medium, offset + done, &part);
		status = write ? guest_ram_read(ram, at, on_medium, part)
			       : guest_ram_write(ram, at, on_medium, part);
		ASSERT(status == STATUS_OK);
	}
}

enum status disk_backend_copy(void *owner, const struct backend_slot *slot,
	struct guest_ram *ram)
{
	const struct disk_backend *disk = owner;
	const struct medium *medium = medium_of(disk);
	bool write = slot->request.kind == DEVICE_IO_WRITE;
	uint64_t offset = slot->request.offset;

	if (!is_instant(disk))
		return STATUS_AGAIN;
	if (!medium_has(medium, offset, slot->request.bytes))
		return STATUS_RANGE;
	if (write && is_readonly(disk))
		return STATUS_REFUSED;
	for (unsigned i = 0; i < slot->piece_count; i++) {
		piece_copy(medium, offset, &slot->pieces[i], write, ram);
		offset += slot->pieces[i].bytes;
	}
	return STATUS_OK;
}

void disk_backend_submit(void *owner, struct backend_request *request)
{
	struct disk_backend *disk = owner;

	if (is_instant(disk) && request->bytes <= MEDIUM_PAUSE_BYTES &&
		!backend_is_resizing(request->backend)) {
		backend_done_at_once(request, request_do(disk, request, NULL));
		return;
	}
	request->message.run = request_arrived;
	// An overlay takes memory, which nobody may behind an exit.
	if (disk->core == cpu_self() && medium_of(disk)->overlay == NULL)
		request_arrived(&request->message);
	else
		smp_post(disk->core, &request->message);
}

static void servers_begin(void *argument)
{
	struct disk_backend *disk = argument;
	bool is_memory = vm_disk_is_memory(&disk->vm->config.disks[disk->index]);
	uint32_t wanted = is_memory ? 1 : DISK_BACKEND_FIBERS;

	// With fewer it takes longer.
	while (disk->server_count < wanted) {
		struct server *server = &disk->servers[disk->server_count];

		server->disk = disk;
		server->fiber = fiber_create("disk", serve, server);
		if (server->fiber == NULL)
			break;
		disk->server_count++;
	}
}

enum status disk_backend_create(struct vm *vm, uint32_t index, uint32_t core,
	struct disk_backend **created)
{
	struct disk_backend *disk = calloc(1, sizeof(*disk));

	if (disk == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	disk->vm = vm;
	disk->core = cpu_get(core);
	disk->index = index;
	disk->seed = disk->random = vm->config.disks[index].seed;
	if (vm_disk_is_at_once(&vm->config.disks[index]) && disk->seed == 0)
		disk->at_once = disk->core;
	disk->is_throttled = throttle_is_there(&vm->config.disks[index].throttle);
	throttle_init(&disk->throttle, &vm->config.disks[index].throttle);
	smp_call(disk->core, servers_begin, disk);
	if (disk->server_count == 0) {
		free(disk);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	*created = disk;
	return STATUS_OK;
}

// On the disk's core: who wakes a fiber from elsewhere might find it gone.
static void leave(struct cpu_message *message)
{
	struct disk_backend *disk = CONTAINER_OF(message, struct disk_backend, leave);

	disk->left = true;
	for (uint32_t i = 0; i < disk->server_count; i++)
		fiber_wake(disk->servers[i].fiber);
}

void disk_backend_destroy(struct disk_backend *disk)
{
	// Before the event loop begins its fibers cannot end, and do so when they can.
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
