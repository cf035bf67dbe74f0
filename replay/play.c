// SPDX-License-Identifier: BSD-2-Clause
// Replaying: the machine lands where the log has something, is given events, and is compared with
// beacons. Whatever is not as recorded ends it, with the machine paused there.
#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "replay/session.h"
#include "vm/setting.h"
#include "vm/snapshot.h"

typedef unsigned long long ull;

static void record_next(struct session *session);

// Of a ring, whose newest log is in the present store: the older one, where that continues it.
static struct log_store *first_part(struct session *session)
{
	struct log_store *newest = session->sink.store, *other = sink_other(&session->sink);
	uint64_t id;

	if (other == NULL || log_reader_open(session->reader, other, NULL) != STATUS_OK)
		return newest;
	id = session->reader->header.log_id;
	if (log_reader_open(session->reader, newest, NULL) != STATUS_OK)
		return other;
	return session->reader->header.log_id == id + 1 ? other : newest;
}

// False: the next part is not there.
static bool next_part(struct session *session)
{
	const struct log_wake wake = session_wake(session);
	struct log_reader *reader = session->reader;
	uint64_t id = reader->header.log_id + 1;
	struct log_store *newest = session->sink.store;
	const uint8_t *bytes;
	enum status status;
	size_t count;

	if (reader->store == newest || log_reader_open(reader, newest, &wake) != STATUS_OK ||
		reader->header.log_id != id)
		return false;
	do // the machine is like that already
		status = log_reader_snapshot(reader, &bytes, &count);
	while (status == STATUS_OK);
	session->before_valid = false;
	session->record_there = false;
	session->record_awaited = true;
	return status == STATUS_NOT_FOUND;
}

enum status play_prepare(struct session *session, struct vm_config *config,
	char error[VM_ERROR_MAX])
{
	const struct log_wake wake = session_wake(session);
	const struct log_setting *base, *rdtsc;
	char reason[CPUID_REASON_MAX];
	enum status status = sink_open(&session->sink, &config->rr, SINK_READ, config->name,
		error);

	if (status != STATUS_OK)
		return status;
	status = log_reader_open(session->reader, first_part(session), &wake);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "rrfile: %s", session->reader->end.reason != NULL
			? session->reader->end.reason : status_name(status));
		return status;
	}
	if (!header_cpu(&session->reader->header, &session->cpu, reason)) {
		snprintf(error, VM_ERROR_MAX, "rrfile: %s", reason);
		return STATUS_FAIL(STATUS_BAD_FORMAT);
	}
	config->cpu = &session->cpu;
	header_seed(&session->reader->header, &config->random_seed);
	rdtsc = log_header_setting(&session->reader->header, "rdtsc_ns");
	config->rdtsc = rdtsc != NULL && rdtsc->number != 0 ? VM_RDTSC_TAKES_TIME : VM_RDTSC_FREE;
	base = log_header_setting(&session->reader->header, "rtc_base");
	if (base != NULL && !base->is_text)
		config->rtc_epoch = base->number;
	config->flash.detached = true;
	config->flash.hash = header_flash(&session->reader->header);
	return STATUS_OK;
}

// The record at hand is not where the machine comes to it.
static void diverge(struct session *session, const struct position *here, const char *why)
{
	const struct position *at = &session->record.position;

	snprintf(session->text, sizeof(session->text), "replay diverged at ticks %llu rip %llx "
		"rcx %llx: %s; the log has %s at ticks %llu rip %llx rcx %llx; the last beacon "
		"that matched is at ticks %llu", (ull)here->ticks, (ull)here->rip, (ull)here->rcx,
		why, log_kind_name(session->record.kind), (ull)at->ticks, (ull)at->rip,
		(ull)at->rcx, (ull)session->last_match.ticks);
	session->place = *here;
	session->diverged = session->stop_wanted = true;
	if (!session->held)
		session_hold(session);
}

// False: it is none of a machine's. The payload of a packet is its frame.
static bool event_of(const struct log_record *record, struct event *event)
{
	*event = (struct event){.kind = record->kind, .device = record->device,
		.index = record->index, .value = record->value};
	if (record->kind == EVENT_PACKET)
		return true;
	if (record->payload_bytes > EVENT_PAYLOAD_MAX)
		return false;
	event->payload_bytes = (uint8_t)record->payload_bytes;
	if (record->payload_bytes > 0)
		memcpy(event->payload, record->payload, record->payload_bytes);
	return true;
}

// NULL, or why this machine cannot be given what the log has. It has been, but where the back
// end has yet to answer: a machine that is held has waited for that.
static const char *give(struct session *session)
{
	const struct log_record *record = &session->record;
	const char *problem;
	struct device_frame frame;
	struct event event;

	if (!event_of(record, &event))
		return "an event too long";
	if (record->sequence != session->vm->queue.sequence)
		return "another number of events so far";
	if ((record->kind == EVENT_COMPLETION && backend_is_awaited(session->vm, &event)) ||
		setting_is_awaited(session->vm, &event)) {
		session->data_wanted = true;
		session_hold(session);
		return NULL;
	}
	frame = packet_frame(&event, record->payload, record->payload_bytes);
	problem = outside_problem(session->vm, &event, &frame);
	if (problem != NULL)
		return problem;
	outside_give(session->vm, &event, &frame);
	session_remember(session, record);
	session->record_there = false;
	record_next(session);
	return NULL;
}

// The same of the rate of time.
static const char *rate_set(struct session *session)
{
	const char *problem = landing_rate_problem(session->vm, session->record.value);

	if (problem != NULL)
		return problem;
	landing_set_rate(session->vm, session->record.value);
	session->record_there = false;
	record_next(session);
	return NULL;
}

// A recording may have been stopped at a place that cannot be found again: the first one at its
// ticks stands for it.
static bool is_here(const struct log_record *record, const struct position *here)
{
	return record->kind == LOG_STOP ? here->ticks == record->position.ticks
					: position_equal(here, &record->position);
}

// The machine's end, and what the log has of it, comes by itself.
static bool is_of_end(const struct log_record *record)
{
	return (record->kind == LOG_BEACON && record->value != 0) ||
		(record->kind == LOG_STOP && record->value == LOG_STOP_MACHINE);
}

static void landed(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct session *session = owner;
	const struct log_record *record = &session->record;
	const char *problem = NULL;

	(void)vcpu;
	if (is_of_end(record)) {
		diverge(session, here, "the recorded machine had ended");
		return;
	}
	if (!is_here(record, here)) {
		diverge(session, here, "it never was at the next place");
		return;
	}
	session->place = *here;
	if (record->kind == LOG_BEACON) {
		session->beacon_wanted = true;
		session_hold(session);
	} else if (record->kind == LOG_STOP && record->value == LOG_STOP_CONTINUED) {
		session->part_wanted = true;
		session_hold(session);
	} else if (record->kind == LOG_STOP) {
		session->stop_wanted = true;
		snprintf(session->text, sizeof(session->text), "replayed all of it: %llu events, "
			"%llu beacons (%llu of them full) were the same", (ull)session->events,
			(ull)session->beacons, (ull)session->full_beacons);
		session_hold(session);
	} else {
		problem = record->kind == LOG_RATE ? rate_set(session) : give(session);
		if (problem != NULL)
			diverge(session, here, problem);
	}
}

static void break_reached(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct session *session = owner;

	(void)vcpu;
	session->place = *here;
	session->break_wanted = true;
	session_hold(session);
}

// A breakpoint that comes before the log's next place.
static bool break_set(struct session *session)
{
	const struct landing_target target = {.at = {.ticks = session->break_ticks,
		.rip = POSITION_ANY_RIP}, .vcpu = LANDING_ANY_VCPU};

	if (session->break_ticks < landing_time(session->vm).ticks)
		session->break_ticks = UINT64_MAX; // passed
	if (session->break_ticks == UINT64_MAX ||
		(!is_of_end(&session->record) &&
			session->record.position.ticks < session->break_ticks))
		return false;
	landing_set(session->vm, &target, break_reached, session);
	return true;
}

static void target_set(struct session *session)
{
	const struct log_record *record = &session->record;
	struct landing_target target = {.at = record->position,
		.time = record->halted ? LANDING_TSC_BASE + record->time : 0,
		.sequence = record->kind < LOG_RATE ? record->sequence : 0,
		.vcpu = record->kind < LOG_RATE ? record->vcpu : LANDING_ANY_VCPU};

	session->record_there = true;
	landing_clear(session->vm);
	if (break_set(session))
		return;
	if (record->position.ticks < landing_time(session->vm).ticks) {
		const struct position here = session_place(session);

		diverge(session, &here, "it is past the next place");
		return;
	}
	if (is_of_end(record)) // and not behind that
		target = (struct landing_target){.at = {.ticks = record->position.ticks + 1,
			.rip = POSITION_ANY_RIP}, .vcpu = LANDING_ANY_VCPU};
	else if (record->kind == LOG_STOP)
		target.at.rip = POSITION_ANY_RIP;
	landing_set(session->vm, &target, landed, session);
}

// Takes the next record, and goes on from there when it is one of a known kind.
static void record_next(struct session *session)
{
	const char *problem = NULL;
	enum status status = contents_take(session, &problem);

	if (problem != NULL) {
		const struct position here = session_place(session);

		diverge(session, &here, problem);
		return;
	}
	session->record_awaited = status == STATUS_AGAIN;
	if (status == STATUS_OK) {
		target_set(session);
		return;
	}
	session->place = session_place(session);
	if (status != STATUS_AGAIN) {
		snprintf(session->text, sizeof(session->text), "the log ends here, at offset "
			"%llu, without a word: %s; %llu events and %llu beacons were the same",
			(ull)session->reader->end.offset, session->reader->end.reason != NULL
			? session->reader->end.reason : status_name(status), (ull)session->events,
			(ull)session->beacons);
		session->stop_wanted = true;
	}
	if (!session->held)
		session_hold(session);
}

void play_pump(struct session *session)
{
	if (session->mode != REPLAY_REPLAYING)
		return;
	while (log_reader_pump(session->reader) == STATUS_AGAIN)
		fiber_yield();
}

enum status play_start(struct session *session, char error[VM_ERROR_MAX])
{
	struct log_header *here = session->header;
	uint32_t place = 0;

	log_header_init(here, 0, position_source->name);
	header_describe(session->vm, here);
	if (log_header_difference(&session->reader->header, here, &place, "in the log", "here",
		error)) {
		session_set_mode(session, REPLAY_NONE);
		return STATUS_FAIL(STATUS_REFUSED);
	}
	session->last_match = session->reader->header.start_position;
	session->load_wanted = session->reader->header.start == LOG_START_SNAPSHOT;
	log_info("%s: replaying", session->vm->name);
	session->record_awaited = true;
	session_hold(session); // until the first records are there
	return STATUS_OK;
}

static void pause(struct vm *vm)
{
	if (vm->state == VM_RUNNING)
		vm->state = VM_PAUSED;
}

static void recent_tell(const struct session *session)
{
	uint64_t first = session->events > SESSION_RECENT ? session->events - SESSION_RECENT : 0;

	for (uint64_t i = first; i < session->events; i++) {
		const struct session_event *event = &session->recent[i % SESSION_RECENT];

		log_info("%s: event %llu: %s at ticks %llu rip %llx", session->vm->name, (ull)i,
			log_kind_name(event->kind), (ull)event->position.ticks,
			(ull)event->position.rip);
	}
}

static void finish(struct session *session, bool good)
{
	landing_clear(session->vm);
	session->stop_wanted = session->beacon_wanted = false;
	session_set_mode(session, REPLAY_ENDED);
	pause(session->vm);
	if (good) {
		log_info("%s: %s", session->vm->name, session->text);
		return;
	}
	log_error("%s: %s", session->vm->name, session->text);
	recent_tell(session);
}

// True: as recorded.
static bool beacon_compare(struct session *session)
{
	const struct log_record *record = &session->record;
	struct log_in in = {record->payload, record->payload + record->payload_bytes, NULL};
	struct beacon *recorded = session->recorded;
	char text[BEACON_TEXT_MAX];

	if (!beacon_decode(&in, recorded, session->before_valid ? session->before : NULL)) {
		diverge(session, &session->place, in.error);
		return false;
	}
	if (session_beacon(session, recorded->full) != STATUS_OK) {
		diverge(session, &session->place, "no memory for a beacon");
		return false;
	}
	if (!beacon_equals(session->beacon, recorded)) {
		beacon_difference(session->vm, session->beacon, recorded, text);
		diverge(session, &session->place, text);
		return false;
	}
	if (!beacon_accessed_equals(session->beacon, recorded)) {
		beacon_difference(session->vm, session->beacon, recorded, text);
		if (session->accessed_beacons++ == 0)
			log_warn("%s: not as recorded at ticks %llu: %s", session->vm->name,
				(ull)session->place.ticks, text);
	}
	session->recorded = session->before;
	session->before = recorded;
	session->before_valid = true;
	session->beacons++;
	session->full_beacons += recorded->full;
	session->last_match = session->place;
	session->record_there = false;
	return true;
}

// The machine has ended by itself: the log has that too.
static void end_attend(struct session *session)
{
	session->place = session_place(session);
	if (!session->record_there || !is_of_end(&session->record) ||
		!position_equal(&session->place, &session->record.position)) {
		diverge(session, &session->place, "the machine ended");
		finish(session, false);
		return;
	}
	if (session->record.kind == LOG_BEACON && !beacon_compare(session)) {
		finish(session, false);
		return;
	}
	snprintf(session->text, sizeof(session->text), "replayed to the machine's end: "
		"%llu events, %llu beacons (%llu of them full) were the same", (ull)session->events,
		(ull)session->beacons, (ull)session->full_beacons);
	finish(session, true);
}

// The machine becomes what it was when the recording began. False: it cannot.
static bool load(struct session *session)
{
	struct snapshot_stream stream;
	struct snapshot_cost cost;
	const uint8_t *bytes;
	enum status status;
	size_t count;

	snapshot_stream_init(&stream);
	do
		status = log_reader_snapshot(session->reader, &bytes, &count);
	while (status == STATUS_OK &&
		(status = snapshot_stream_append(&stream, bytes, count)) == STATUS_OK);
	if (status == STATUS_NOT_FOUND) // that was all
		status = snapshot_load(session->vm, &stream, &cost);
	if (status != STATUS_OK) {
		session->stop_wanted = true;
		snprintf(session->text, sizeof(session->text),
			"the machine's state in the log cannot be loaded: %s",
			stream.error[0] != '\0' ? stream.error : status_name(status));
	}
	snapshot_stream_free(&stream);
	return status == STATUS_OK;
}

void play_break(struct session *session, uint64_t ticks)
{
	session->break_ticks = ticks;
	if (session->mode == REPLAY_REPLAYING && session->record_there)
		target_set(session);
}

void play_attend(struct session *session)
{
	if (session->load_wanted) {
		session->load_wanted = false;
		(void)load(session);
	}
	if (session->break_wanted) {
		session->break_wanted = false;
		session->break_ticks = UINT64_MAX;
		pause(session->vm);
		log_info("%s: paused at ticks %llu rip %llx", session->vm->name,
			(ull)session->place.ticks, (ull)session->place.rip);
		target_set(session);
	}
	if (session->beacon_wanted && !session->machine_ended) {
		session->beacon_wanted = false;
		if (beacon_compare(session))
			record_next(session);
	}
	if (session->data_wanted) { // the same place once more
		session->data_wanted = false;
		target_set(session);
	}
	if (session->part_wanted) {
		session->part_wanted = false;
		if (!next_part(session)) {
			session->stop_wanted = true;
			snprintf(session->text, sizeof(session->text), "the recording goes on in a "
				"log that is not there; %llu events and %llu beacons were the same",
				(ull)session->events, (ull)session->beacons);
		}
	}
	// play_stop may come while that waits.
	while (session->record_awaited && !session->stop_wanted &&
		session->mode == REPLAY_REPLAYING) {
		play_pump(session);
		if (session->mode == REPLAY_REPLAYING)
			record_next(session);
	}
	if (session->mode != REPLAY_REPLAYING)
		return;
	if (session->stop_wanted)
		finish(session, session->record_there && session->record.kind == LOG_STOP &&
			is_here(&session->record, &session->place));
	else if (session->machine_ended)
		end_attend(session);
}

void play_stop(struct session *session)
{
	landing_clear(session->vm);
	landing_set_live(session->vm, true);
	session->beacon_wanted = session->break_wanted = session->stop_wanted = false;
	session->part_wanted = session->data_wanted = session->record_awaited = false;
	session->load_wanted = false;
	session_set_mode(session, REPLAY_NONE);
}
