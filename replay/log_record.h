// SPDX-License-Identifier: BSD-2-Clause
// One record: what came from outside, or was decided, and the place in the machine's run. Records
// are coded by their differences to the one before; a codec holds what is needed of that, and
// starts anew with each chunk.
//
// Every kind has the same form, so that a reader passes over a kind that it does not know. Kinds up
// to LOG_EVENT_LAST are events and have the numbers of enum event_kind: their device, index and
// sequence are coded by what is expected of the device, so that they usually cost one byte or none.
#ifndef REPLAY_LOG_RECORD_H
#define REPLAY_LOG_RECORD_H

#include "kernel/position.h"
#include "replay/log_bytes.h"

enum log_kind {
	// EVENT_CHARACTERS (2) to EVENT_AUDIO (9); timers and bottom halves follow from them.
	LOG_EVENT_LAST = 15,
	LOG_RATE = 16, // value: from here on, in 1,024ths of a machine tick a tick
	LOG_BEACON,    // payload: see who makes it
	LOG_STOP,      // the last one. value: enum log_stop_reason; payload: text for people
	LOG_CONTENTS,  // of the flash at power-on, from `value` on; before all else
	LOG_KINDS = 32,
};

struct log_record {
	uint8_t kind; // enum event_kind or log_kind
	bool halted;  // all vcpus: the position does not tell when, `time` does
	uint8_t vcpu; // whose position it is: its index, below LOG_VCPUS_MAX
	uint16_t device, index;
	struct position position;
	uint64_t time; // machine ticks, where halted; else 0
	uint64_t sequence, value;
	const uint8_t *payload; // may be NULL where there is none
	uint32_t payload_bytes;
};

// What the bytes of a record are spent on.
enum log_field {
	LOG_FIELD_TAGS, // the two bytes that say what follows
	LOG_FIELD_TICKS,
	LOG_FIELD_RIP,
	LOG_FIELD_RCX,
	LOG_FIELD_TIME,
	LOG_FIELD_VCPU,
	LOG_FIELD_IDS, // device, index, sequence
	LOG_FIELD_VALUE,
	LOG_FIELD_PAYLOAD, // with its length
	LOG_FIELDS
};

enum { LOG_CODEC_SLOTS = 16 };

struct log_codec {
	struct position last;
	uint64_t last_time;
	uint8_t last_vcpu;
	uint16_t last_device; // of the last event
	// What is expected of the devices with number modulo LOG_CODEC_SLOTS.
	struct log_codec_slot {
		uint64_t next_sequence;
		uint16_t index;
	} slots[LOG_CODEC_SLOTS];
	uint32_t spent[LOG_FIELDS]; // bytes of the last record that was decoded
};

// Two tags, ten bytes for each of ticks, RIP, RCX, time, sequence and value, one for the vcpu, and
// three for each of device, index and length of the payload.
enum { LOG_RECORD_MAX = 2 + 6 * LOG_VARINT_MAX + 1 + 3 * 3 }; // bytes without the payload

// `first_ticks`: of the chunk.
void log_codec_init(struct log_codec *codec, uint64_t first_ticks);

// The record must have no problem, and not be before the last one. It needs at most LOG_RECORD_MAX
// bytes and those of its payload.
void log_record_encode(struct log_codec *codec, struct log_out *out,
	const struct log_record *record);
// True: *record is well-formed, its payload lies within what is read, and log_record_problem has
// still to be asked. False: in->error says what is wrong.
bool log_record_decode(struct log_codec *codec, struct log_in *in, struct log_record *record);

// Whether this version knows the kind; in logs of later ones there are others.
bool log_kind_is_known(unsigned kind);
// For messages: "characters"; "unknown".
const char *log_kind_name(unsigned kind);
// NULL, or why no record of a known kind can be such.
const char *log_record_problem(const struct log_record *record);

#endif
