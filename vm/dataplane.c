// SPDX-License-Identifier: BSD-2-Clause
#include "vm/dataplane.h"

#include <stdlib.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/core.h"

enum {
	POLL_NS_MIN = 4000,
	POLL_NS_MAX = 2048000,
};

struct dataplane {
	struct loop_task task; // first: task.run finds it
	struct vm *vm;         // (c)
	struct cpu *core;      // (c)
	uint32_t device;       // (c) index in the machine
	bool given;            // (a) under the device lock; see vm/dataplane.h
	bool busy;             // (a) of its core
	bool kicked;           // (a) set by who holds the device lock, taken by its core
	// Of its core.
	bool listens;          // has asked for a notification since it last had work
	uint64_t poll_ticks;   // how long it polls without work
	uint64_t poll_end;     // TSC
	uint64_t slept_at;     // TSC
	// For docs and figures.
	struct {
		uint64_t served; // rounds that had something to do
		uint64_t ticks;  // TSC, of these
		uint64_t slept;  // times that it has stopped polling
	} counts;
};

static struct vm_device *slot_of(const struct dataplane *plane)
{
	return &plane->vm->devices[plane->device];
}

static bool is_given(const struct dataplane *plane)
{
	return __atomic_load_n(&plane->given, __ATOMIC_SEQ_CST);
}

// Interrupts, and errors. Left to who takes the queues, if that is why the lock is not to be had.
static void notes_carry_out(struct dataplane *plane)
{
	struct device *device = slot_of(plane)->device;
	struct vm *vm = plane->vm;
	struct guest_time now;

	while (!bus_try_enter(&vm->bus)) {
		if (!is_given(plane))
			return;
		cpu_relax();
	}
	now = vm_now(vm);
	device->model->served(device, now);
	bus_leave(vm, now);
}

// One look at queues and back end. True: there was something to do.
static bool serve(struct dataplane *plane, bool last)
{
	struct vm_device *slot = slot_of(plane);
	uint64_t start = rdtsc();
	unsigned served = slot->device->model->serve(slot->device, last);

	if (backend_serve(slot, vm_now(plane->vm)))
		served |= DEVICE_SERVED_WORK | DEVICE_SERVED_NOTE;
	if (served & DEVICE_SERVED_NOTE)
		notes_carry_out(plane);
	if (!(served & DEVICE_SERVED_WORK))
		return false;
	plane->counts.served++;
	plane->counts.ticks += rdtsc() - start;
	return true;
}

static void poll_begin(struct dataplane *plane, uint64_t now)
{
	plane->poll_end = now + plane->poll_ticks;
}

static void poll_for_longer(struct dataplane *plane)
{
	if (plane->poll_ticks < clock_ns_to_tsc(POLL_NS_MAX))
		plane->poll_ticks *= 2;
}

// A notification that came soon would have come in time for a longer poll; one that came late would
// have for none.
static void woken(struct dataplane *plane, uint64_t now)
{
	if (now - plane->slept_at < clock_ns_to_tsc(POLL_NS_MAX))
		poll_for_longer(plane);
	else
		plane->poll_ticks = clock_ns_to_tsc(POLL_NS_MIN);
	plane->listens = false;
	poll_begin(plane, now);
}

// True: look again. It polls no longer than it shall, then asks for a notification, and looks once
// more. What is at the back end kicks this core when it is done.
static bool poll(struct dataplane *plane)
{
	uint64_t now = rdtsc();
	bool last;

	if (__atomic_exchange_n(&plane->kicked, false, __ATOMIC_ACQUIRE) && plane->listens)
		woken(plane, now);
	if (plane->listens && slot_of(plane)->backend->used == 0)
		return false;
	last = now >= plane->poll_end;
	if (serve(plane, last)) {
		if (last && !plane->listens) // it came while the notification was asked for
			poll_for_longer(plane);
		plane->listens = false;
		poll_begin(plane, rdtsc());
		return true;
	}
	if (!last) {
		cpu_relax();
		return true;
	}
	if (plane->listens)
		return false;
	plane->listens = true;
	plane->slept_at = now;
	plane->counts.slept++;
	return false;
}

static bool run(struct loop_task *task)
{
	struct dataplane *plane = CONTAINER_OF(task, struct dataplane, task);
	struct vm *vm = plane->vm;
	bool again = false, begun = plane->busy; // with what is at the back end still

	if (!is_given(plane) && !begun)
		return false;
	__atomic_store_n(&plane->busy, true, __ATOMIC_SEQ_CST);
	// Else they have been taken back just now.
	if (is_given(plane) || begun) {
		if (is_given(plane) && __atomic_load_n(&vm->run, __ATOMIC_SEQ_CST))
			again = poll(plane);
		else // what is delivered may have led to another part of it, done by now
			again = backend_serve(slot_of(plane), vm_now(vm));
		if (slot_of(plane)->backend->used != 0)
			return again;
	}
	__atomic_store_n(&plane->busy, false, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&vm->run, __ATOMIC_SEQ_CST))
		cpu_kick(vm_home(vm)); // which may wait for it
	return again;
}

static void attach(void *argument)
{
	struct dataplane *plane = argument;

	loop_task_add(&plane->task);
}

static void detach(void *argument)
{
	struct dataplane *plane = argument;

	loop_task_remove(&plane->task);
}

enum status dataplane_create(struct vm *vm, uint32_t device, uint32_t core,
	struct dataplane **created)
{
	struct dataplane *plane = calloc(1, sizeof(*plane));

	if (plane == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	ASSERT(core < cpu_count() && vm->devices[device].backend != NULL);
	plane->task.run = run;
	plane->task.runs_long = true;
	plane->vm = vm;
	plane->core = cpu_get(core);
	plane->device = device;
	plane->poll_ticks = clock_ns_to_tsc(POLL_NS_MIN);
	smp_call(plane->core, attach, plane);
	*created = plane;
	return STATUS_OK;
}

void dataplane_destroy(struct dataplane *plane)
{
	if (plane == NULL)
		return;
	ASSERT(!plane->given);
	smp_call(plane->core, detach, plane);
	free(plane);
}

enum status dataplane_give(struct dataplane *plane)
{
	struct backend *backend = slot_of(plane)->backend;

	ASSERT(!plane->given);
	if (backend->used != 0) // what has been dropped is under way
		return STATUS_BUSY;
	backend->plane = plane->core;
	// The other side reads these once it sees that it has the queues.
	plane->listens = false;
	plane->poll_end = 0;
	__atomic_store_n(&plane->given, true, __ATOMIC_SEQ_CST);
	dataplane_kick(plane);
	return STATUS_OK;
}

void dataplane_take(struct dataplane *plane)
{
	if (!plane->given)
		return;
	ASSERT(plane->core != cpu_self());
	__atomic_store_n(&plane->given, false, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&plane->busy, __ATOMIC_SEQ_CST))
		cpu_relax();
	ASSERT(slot_of(plane)->backend->used == 0);
	slot_of(plane)->backend->plane = NULL;
}

void dataplane_kick(struct dataplane *plane)
{
	__atomic_store_n(&plane->kicked, true, __ATOMIC_RELEASE);
	cpu_kick(plane->core);
}

bool dataplanes_rest(const struct vm *vm)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++)
		if (vm->planes[i] != NULL &&
			__atomic_load_n(&vm->planes[i]->busy, __ATOMIC_SEQ_CST))
			return false;
	return true;
}

void dataplanes_wake(const struct vm *vm)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++)
		if (vm->planes[i] != NULL && is_given(vm->planes[i]))
			cpu_kick(vm->planes[i]->core);
}

void dataplanes_recall(struct vm *vm)
{
	struct guest_time now = vm_now(vm);

	bus_enter(&vm->bus);
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		struct dataplane *plane = vm->planes[i];
		struct device *device;

		if (plane == NULL || !plane->given)
			continue;
		device = slot_of(plane)->device;
		dataplane_take(plane);
		device->model->recall(device, now);
	}
	bus_leave(vm, now);
}

void dataplanes_report(const struct vm *vm)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		const struct dataplane *plane = vm->planes[i];

		if (plane != NULL)
			log_info("%s: CPU %u served disk %s in %llu rounds, %llu TSC ticks; it "
				"stopped polling %llu times", vm->name, plane->core->index,
				vm->config.disks[i].name, (unsigned long long)plane->counts.served,
				(unsigned long long)plane->counts.ticks,
				(unsigned long long)plane->counts.slept);
	}
}
