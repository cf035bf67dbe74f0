// SPDX-License-Identifier: BSD-2-Clause
#include "replay/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"

enum { SHAPE_SEED = 1 };

static struct session *sessions;

static struct session *session_find(const struct machine *machine)
{
	struct session *session = sessions;

	while (session != NULL && session->machine != machine)
		session = session->next;
	return session;
}

struct session *session_of(const struct vm *vm)
{
	return vm->landing != NULL ? session_find(vm->config.owner) : NULL;
}

void session_set_mode(struct session *session, enum replay_mode mode)
{
	session->mode = mode;
	session->recorder.binds = mode == REPLAY_RECORDING || mode == REPLAY_REPLAYING;
	session->recorder.gives = mode == REPLAY_REPLAYING;
	if (session->vm != NULL) // what was not taken while it was replayed
		vm_events_changed(session->vm);
}

void session_hold(struct session *session)
{
	struct vm *vm = session->vm;

	ASSERT(!session->held);
	session->held = true;
	vm->holds++;
	vm_run_update(vm);
	fiber_wake(session->fiber);
}

enum status session_beacon(struct session *session, bool full)
{
	uint64_t began = rdtsc();
	enum status status = beacon_take(session->vm, full, session->cache, session->beacon);

	session->beacon_tsc[full] = rdtsc() - began;
	return status;
}

void session_remember(struct session *session, const struct log_record *record)
{
	session->recent[session->events++ % SESSION_RECENT] =
		(struct session_event){record->position, record->kind};
}

struct position session_place(const struct session *session)
{
	return landing_position(landing_turn(session->vm));
}

static unsigned pages_of(size_t bytes)
{
	return (unsigned)((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
}

static struct session *session_create(const struct machine *machine)
{
	struct session *session = calloc(1, sizeof(*session));
	const struct {
		void **place;
		size_t bytes;
	} buffers[] = {
		{(void **)&session->beacon, sizeof(*session->beacon)},
		{(void **)&session->before, sizeof(*session->before)},
		{(void **)&session->recorded, sizeof(*session->recorded)},
		{(void **)&session->payload, LOG_PAYLOAD_MAX},
		{(void **)&session->header, sizeof(*session->header)},
		{(void **)&session->writer, sizeof(*session->writer)},
		{(void **)&session->reader, sizeof(*session->reader)},
	};

	if (session == NULL)
		return NULL;
	session->machine = machine;
	for (unsigned i = 0; i < ARRAY_COUNT(buffers); i++) {
		*buffers[i].place = mem_pages_alloc(pages_of(buffers[i].bytes));
		if (*buffers[i].place != NULL)
			continue;
		while (i-- > 0)
			mem_pages_free(*buffers[i].place, pages_of(buffers[i].bytes));
		free(session);
		return NULL;
	}
	session->next = sessions;
	sessions = session;
	return session;
}

// The run loop has left something to do, with the machine on its way to rest.
static void held_attend(struct session *session)
{
	struct vm *vm = session->vm;

	// What is loaded comes in the place of what the machine is started with.
	while (session->load_wanted && vm->state == VM_CREATED && !session->destroyed)
		vm_wait_a_moment();
	vm_hold(vm);
	if (session->mode == REPLAY_RECORDING)
		record_attend(session);
	else if (session->mode == REPLAY_REPLAYING)
		play_attend(session);
	session->held = false;
	vm_release(vm);
	vm_release(vm); // the run loop's
}

static void start_attend(struct session *session)
{
	enum status status = STATUS_OK;

	vm_hold(session->vm);
	session->error[0] = '\0';
	if (session->mode == REPLAY_NONE)
		status = record_start(session, session->error);
	if (status == STATUS_OK)
		landing_set_live(session->vm, true);
	vm_release(session->vm);
	session->start_wanted = false;
}

static void fiber_main(void *argument)
{
	struct session *session = argument;

	while (!session->destroyed && session->vm != NULL) {
		if (session->held)
			held_attend(session);
		if (session->start_wanted)
			start_attend(session);
		record_pump(session);
		play_pump(session);
		// When it came while the log was waited for, the replay has to see it first.
		if (session->machine_ended && !session->held &&
			session->mode != REPLAY_RECORDING) {
			session->machine_ended = false;
			session->vm->config.ended(session->vm->config.owner);
		}
		if (!session->held && !session->start_wanted)
			(void)fiber_wait(TIMER_NEVER);
	}
	if (session->vm != NULL && session->mode == REPLAY_RECORDING) {
		vm_hold(session->vm);
		record_finish(session, LOG_STOP_REQUESTED, "the machine was destroyed");
		vm_release(session->vm);
	}
	session_set_mode(session, REPLAY_NONE);
	if (session->vm != NULL)
		session->vm->outside.recorder = NULL;
	session->vm = NULL;
	session->fiber = NULL;
}

static void wake(void *owner)
{
	struct session *session = owner;

	if (session->fiber != NULL)
		fiber_wake(session->fiber);
}

struct log_wake session_wake(struct session *session)
{
	return (struct log_wake){wake, session};
}

// At the machine's home.
static void recorder_ended(struct outside_recorder *recorder, struct vm *vm)
{
	struct session *session = CONTAINER_OF(recorder, struct session, recorder);

	(void)vm;
	session->machine_ended = true;
	session_hold(session);
}

static enum status recorder_event(struct outside_recorder *recorder, struct vm *vm,
	const struct outside_place *place, const struct event *event)
{
	struct session *session = CONTAINER_OF(recorder, struct session, recorder);

	if (session->mode == REPLAY_RECORDING)
		return record_event(session, vm, place, event);
	if (session->mode == REPLAY_REPLAYING)
		return STATUS_REFUSED;
	return STATUS_OK;
}

static enum status recorder_rate(struct outside_recorder *recorder, struct vm *vm,
	const struct outside_place *place, uint64_t rate)
{
	struct session *session = CONTAINER_OF(recorder, struct session, recorder);

	(void)vm;
	if (session->mode == REPLAY_RECORDING)
		return record_rate(session, place, rate);
	return session->mode == REPLAY_REPLAYING ? STATUS_REFUSED : STATUS_OK;
}

struct begin_call {
	struct session *session;
	char *error;
	enum status status;
};

// At the machine's home.
static void begin(void *argument)
{
	struct begin_call *call = argument;
	struct session *session = call->session;
	struct vm *vm = session->vm;

	session->fiber = fiber_create("replay", fiber_main, session);
	if (session->fiber == NULL) {
		snprintf(call->error, VM_ERROR_MAX, "no memory for recording");
		call->status = STATUS_FAIL(STATUS_NO_MEMORY);
		return;
	}
	if (session->mode == REPLAY_REPLAYING)
		call->status = play_start(session, call->error);
	else if (vm->config.rr.mode == VM_RR_RECORD)
		call->status = record_start(session, call->error);
	landing_set_live(vm, session->mode != REPLAY_REPLAYING);
}

static enum status created(struct machine *machine, char error[VM_ERROR_MAX])
{
	struct session *session = session_find(machine);
	struct vm *vm = machine->vm;
	struct begin_call call = {session, error, STATUS_OK};

	if (session == NULL || vm->landing == NULL)
		return STATUS_OK;
	session->vm = vm;
	session->destroyed = session->held = session->machine_ended = false;
	session->beacon_wanted = session->stop_wanted = session->before_valid = false;
	session->break_wanted = session->load_wanted = session->start_wanted = false;
	session->part_wanted = session->data_wanted = session->contents_wanted = false;
	session->break_ticks = session->replay_next ? session->break_next : UINT64_MAX;
	session->events = session->beacons = session->full_beacons = 0;
	session->accessed_beacons = 0;
	session->diverged = false;
	session->text[0] = '\0';
	session->recorder.event = recorder_event;
	session->recorder.rate = recorder_rate;
	session->recorder.ended = recorder_ended;
	vm->outside.recorder = &session->recorder;
	smp_call(vm_home(vm), begin, &call);
	return call.status;
}

static enum status prepare(struct machine *machine, struct vm_config *config,
	char error[VM_ERROR_MAX])
{
	struct session *session = session_find(machine);
	enum status status = STATUS_OK;

	if (!config->recordable && config->rr.mode == VM_RR_NONE)
		return STATUS_OK;
	if (session == NULL)
		session = session_create(machine);
	if (session == NULL) {
		snprintf(error, VM_ERROR_MAX, "no memory for recording");
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	if (session->mode == REPLAY_ENDED)
		session_set_mode(session, REPLAY_NONE);
	if (session->replay_otherwise)
		config->landing.shape_seed = config->landing.shape_seed == 0 ? SHAPE_SEED : 0;
	if (config->rr.mode != VM_RR_NONE || session->replay_next)
		status = disks_identify(config, error);
	if (status != STATUS_OK) {
		session_set_mode(session, REPLAY_NONE);
	} else if (config->rr.mode == VM_RR_REPLAY || session->replay_next) {
		status = play_prepare(session, config, error);
		session_set_mode(session, status == STATUS_OK ? REPLAY_REPLAYING : REPLAY_NONE);
	} else if (config->rr.mode == VM_RR_RECORD) { // which may wait for a disk
		status = sink_open(&session->sink, &config->rr, SINK_WRITE, config->name, error);
	}
	return status;
}

static void gone(struct machine *machine)
{
	struct session *session = session_find(machine);

	if (session == NULL)
		return;
	session->destroyed = true;
	// Before this CPU's event loop begins its fibers cannot end, and do so when they can.
	if (session->fiber == NULL || (!loop_is_running() && vm_home(session->vm) == cpu_self())) {
		session->vm = NULL;
		return;
	}
	fiber_wake(session->fiber);
	while (session->fiber != NULL)
		vm_wait_a_moment();
}

void session_init(const struct boot_info *info)
{
	static const struct machine_hooks hooks = {prepare, created, gone};

	sink_init(info);
	machine_hooks_set(&hooks);
}
