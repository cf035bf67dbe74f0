// SPDX-License-Identifier: BSD-2-Clause
// Recording: what comes from outside goes to the log with its place, and a beacon now and then.
#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"
#include "replay/session.h"
#include "vm/snapshot.h"

enum {
	BEACON_TICKS = 1 << 28, // between two beacons
	FULL_EVERY = 32,        // how many of them there are to a full one
};

typedef unsigned long long ull;

static void pump(struct session *session)
{
	while (log_writer_pump(session->writer) == STATUS_AGAIN)
		fiber_yield();
}

static void beacon_due(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct session *session = owner;

	(void)vcpu;
	session->place = *here;
	session->beacon_wanted = true;
	session_hold(session);
}

static void beacon_arm(struct session *session, uint64_t after)
{
	const struct landing_target target = {.at = {
		.ticks = after + session->beacon_ticks, .rip = POSITION_ANY_RIP}};

	landing_set(session->vm, &target, beacon_due, session);
}

// The state of a machine that runs already goes into the log's front.
static enum status snapshot_log(struct session *session)
{
	const struct snapshot_block *at = NULL;
	struct snapshot_stream stream;
	struct snapshot_cost cost;
	const uint8_t *bytes;
	enum status status;
	size_t left;

	snapshot_stream_init(&stream);
	status = snapshot_write(session->vm, true, &stream, &cost);
	while (status == STATUS_OK && (left = snapshot_stream_piece(&stream, &at, &bytes)) > 0)
		while (status == STATUS_OK && left > 0) {
			size_t part = left < LOG_PAYLOAD_MAX ? left : LOG_PAYLOAD_MAX;

			status = log_writer_snapshot(session->writer, bytes, part);
			if (status == STATUS_BUSY) {
				pump(session);
				status = STATUS_OK;
				continue;
			}
			bytes += part;
			left -= part;
		}
	snapshot_stream_free(&stream);
	return status;
}

// A log from here on, in the sink's store.
static enum status log_begin(struct session *session, uint64_t log_id, uint32_t part,
	char error[VM_ERROR_MAX])
{
	const struct log_wake wake = session_wake(session);
	struct log_header *header = session->header;
	struct vm *vm = session->vm;
	enum status status;

	log_header_init(header, log_id, position_source->name);
	header_describe(vm, header);
	header->part = part;
	header->start = vm->state == VM_CREATED ? LOG_START_POWER_ON : LOG_START_SNAPSHOT;
	header->start_time = vm->paused_tsc;
	header->start_position = session_place(session);
	status = log_writer_create(session->writer, session->sink.store, header, &wake);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "rrfile: %s", header->problem != NULL
			? header->problem : status == STATUS_RANGE ? "too small for a log"
			: status_name(status));
		return status;
	}
	if (header->start == LOG_START_SNAPSHOT)
		status = snapshot_log(session);
	if (status != STATUS_OK)
		snprintf(error, VM_ERROR_MAX, "rrfile: no room for the machine's state: %s",
			status_name(status));
	session->before_valid = false;
	return status;
}

static void log_close(struct session *session, const struct log_stop *stop)
{
	struct log_writer *writer = session->writer;
	enum status status;

	log_writer_close(writer, stop);
	while ((status = log_writer_pump(writer)) == STATUS_AGAIN || status == STATUS_BUSY)
		fiber_yield();
	session->log_bytes += writer->next_offset;
}

// The ring's other half begins, with the machine as it is. False: there is none, or no room.
static bool log_turn(struct session *session)
{
	const struct log_stop stop = {.reason = LOG_STOP_CONTINUED,
		.position = session_place(session),
		.vcpu = (uint8_t)landing_turn(session->vm)->index};
	struct log_store *other = sink_other(&session->sink);
	char error[VM_ERROR_MAX];

	if (other == NULL || session->writer->state == LOG_WRITER_FAILED)
		return false;
	log_close(session, &stop);
	session->sink.store = other;
	if (log_begin(session, session->header->log_id + 1, session->header->part + 1, error) ==
		STATUS_OK)
		return true;
	log_warn("%s: %s", session->vm->name, error);
	return false;
}

enum status record_start(struct session *session, char error[VM_ERROR_MAX])
{
	struct vm *vm = session->vm;
	enum status status = sink_open(&session->sink, &vm->config.rr, SINK_WRITE, vm->name,
		error);

	session->log_bytes = 0;
	if (status == STATUS_OK)
		status = log_begin(session, rdtsc() ^ vm->config.rtc_epoch << 32, 0, error);
	if (status != STATUS_OK)
		return status;
	memory_hash_cache_destroy(session->cache);
	session->cache = NULL;
	if (memory_hash_cache_create(vm, &session->cache) != STATUS_OK)
		log_warn("%s: no memory to remember hashes: beacons take longer", vm->name);
	session_set_mode(session, REPLAY_RECORDING);
	session->beacon_ticks =
		vm->config.rr.beacon_ticks != 0 ? vm->config.rr.beacon_ticks : BEACON_TICKS;
	session->events = session->beacons = session->full_beacons = 0;
	session->place = session->header->start_position;
	beacon_arm(session, session->place.ticks);
	session->contents_wanted = contents_are_wanted(session);
	if (session->contents_wanted)
		session_hold(session); // until they are there
	log_info("%s: recording", vm->name);
	fiber_wake(session->fiber);
	return STATUS_OK;
}

// In the run loop. STATUS_BUSY: later, when the log has taken what it holds, or, where that cannot
// be, when the recording has ended.
static enum status record_append(struct session *session, const struct log_record *record)
{
	enum status status = log_writer_append(session->writer, record);

	if (status == STATUS_OK)
		return STATUS_OK;
	if (status == STATUS_BUSY || session->held)
		return STATUS_BUSY;
	session->place = record->position;
	session->stop_wanted = true;
	session->stop_reason = status == STATUS_RANGE ? LOG_STOP_FULL : LOG_STOP_FAILED;
	session_hold(session);
	return STATUS_BUSY;
}

enum status record_event(struct session *session, struct vm *vm,
	const struct outside_place *place, const struct event *event)
{
	struct log_record record = {.kind = event->kind, .halted = place->waiting,
		.vcpu = (uint8_t)place->vcpu,
		.device = event->device, .index = event->index, .position = place->at,
		.time = place->waiting ? place->time : 0, .sequence = vm->queue.sequence,
		.value = event->value, .payload = event->payload,
		.payload_bytes = event->payload_bytes};
	enum status status;

	if (event->kind == EVENT_PACKET) {
		const struct device_frame frame = packet_of(vm, event);

		record.payload = frame.bytes;
		record.payload_bytes = frame.count;
	}
	status = record_append(session, &record);
	if (status == STATUS_OK)
		session_remember(session, &record);
	return status;
}

enum status record_rate(struct session *session, const struct outside_place *place, uint64_t rate)
{
	const struct log_record record = {.kind = LOG_RATE, .vcpu = (uint8_t)place->vcpu,
		.position = place->at, .value = rate};

	return record_append(session, &record);
}

void record_pump(struct session *session)
{
	if (session->mode == REPLAY_RECORDING)
		pump(session);
}

static bool beacon_append(struct session *session, bool full, bool ended)
{
	struct log_out out = {session->payload, session->payload + LOG_PAYLOAD_MAX, false};
	struct log_record record = {.kind = LOG_BEACON, .position = session->place,
		.vcpu = (uint8_t)landing_turn(session->vm)->index,
		.value = ended, .payload = session->payload};
	bool follows = session->before_valid &&
		session->before_chunk == session->writer->next_sequence;
	struct beacon *taken = session->beacon;
	enum status status = session_beacon(session, full);

	if (status != STATUS_OK) {
		log_warn("%s: no beacon: %s", session->vm->name, status_name(status));
		return true;
	}
	beacon_encode(&out, taken, follows ? session->before : NULL);
	record.payload_bytes = (uint32_t)(out.at - session->payload);
	while ((status = log_writer_append(session->writer, &record)) == STATUS_BUSY)
		record_pump(session);
	if (status != STATUS_OK)
		return false;
	session->beacon = session->before;
	session->before = taken;
	session->before_valid = true;
	session->before_chunk = session->writer->next_sequence;
	session->beacons++;
	session->full_beacons += full;
	if (full) // what a power cut takes with it reaches back to here at most
		log_writer_flush(session->writer);
	return true;
}

void record_finish(struct session *session, enum log_stop_reason reason, const char *text)
{
	struct log_stop stop = {.reason = reason, .position = session_place(session),
		.vcpu = (uint8_t)landing_turn(session->vm)->index};

	landing_clear(session->vm);
	snprintf(stop.text, sizeof(stop.text), "%s", text);
	log_close(session, &stop);
	session_set_mode(session, REPLAY_NONE);
	memory_hash_cache_destroy(session->cache);
	session->cache = NULL;
	snprintf(session->text, sizeof(session->text), "recorded %llu ticks: %llu events, "
		"%llu beacons, %llu bytes: %s%s", (ull)stop.position.ticks, (ull)session->events,
		(ull)session->beacons, (ull)session->log_bytes, text,
		session->writer->state == LOG_WRITER_FAILED ? "; the log could not be written"
							    : "");
	log_info("%s: %s", session->vm->name, session->text);
}

static void stop_due(struct vm_vcpu *vcpu, const struct position *here, void *owner)
{
	struct session *session = owner;

	(void)vcpu;
	session->place = *here;
	session->stop_wanted = session->beacon_wanted = true;
	session->stop_reason = LOG_STOP_REQUESTED;
	session_hold(session);
}

void record_stop(struct session *session)
{
	const struct landing_target target = {.at = {.rip = POSITION_ANY_RIP,
		.ticks = landing_time(session->vm).ticks}};

	if (session->vm->state == VM_RUNNING)
		landing_set(session->vm, &target, stop_due, session);
	else
		record_finish(session, LOG_STOP_REQUESTED, "as asked for");
}

// In the log, or in the next one where this one is full.
static bool beacon_log(struct session *session, bool full, bool ended)
{
	return beacon_append(session, full, ended) ||
		(log_turn(session) && beacon_append(session, full, ended));
}

static void end_attend(struct session *session)
{
	session->place = session_place(session);
	if (beacon_log(session, true, true))
		record_finish(session, LOG_STOP_MACHINE, "the machine ended");
	else
		record_finish(session, LOG_STOP_FULL, "the log is full");
}

void record_attend(struct session *session)
{
	bool requested = session->stop_wanted && session->stop_reason == LOG_STOP_REQUESTED;
	bool logged = true;

	if (session->machine_ended) {
		end_attend(session);
		return;
	}
	if (session->contents_wanted) {
		session->contents_wanted = false;
		logged = contents_record(session);
	}
	if (session->beacon_wanted) {
		session->beacon_wanted = false;
		logged = beacon_log(session, requested ||
			session->beacons % FULL_EVERY == FULL_EVERY - 1, false);
	}
	if (session->stop_wanted && !requested)
		logged = log_turn(session);
	session->stop_wanted = false;
	if (requested && logged)
		record_finish(session, LOG_STOP_REQUESTED, "as asked for");
	else if (!logged)
		record_finish(session, LOG_STOP_FULL, "the log is full, or cannot be written");
	else
		beacon_arm(session, session->place.ticks);
}
