// SPDX-License-Identifier: BSD-2-Clause
// A record in its chunk, each part but the first and the form only where its flag or the form says
// so:
//
//   tag          kind, flags LOG_TAG_*
//   ticks        varint, difference to the last record's
//   RIP, RCX     folded differences
//   time         varint, difference to the last record's that had one
//   form         flags LOG_FORM_*, length of the payload or LOG_FORM_PAYLOAD_LONG
//   vcpu, device, index, sequence (folded difference to the expected one), value: varints
//   length of the payload, the payload
#include "replay/log_record.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/event.h"
#include "replay/log_abi.h"

_Static_assert(EVENT_CHARACTERS == 2 && EVENT_COMPLETION == 3 && EVENT_LINE == 4 &&
	EVENT_MACHINE == 5 && EVENT_PACKET == 6 && EVENT_KEY == 7 && EVENT_USB == 8 &&
	EVENT_AUDIO == 9, "numbers in logs: other ones are another LOG_VERSION");

static const char *const kind_names[] = {
	[EVENT_CHARACTERS] = "characters",
	[EVENT_COMPLETION] = "completion",
	[EVENT_LINE] = "line",
	[EVENT_MACHINE] = "machine",
	[EVENT_PACKET] = "packet",
	[EVENT_KEY] = "key",
	[EVENT_USB] = "usb",
	[EVENT_AUDIO] = "audio",
	[LOG_RATE] = "rate",
	[LOG_BEACON] = "beacon",
	[LOG_STOP] = "stop",
	[LOG_CONTENTS] = "contents",
};

bool log_kind_is_known(unsigned kind)
{
	return kind < ARRAY_COUNT(kind_names) && kind_names[kind] != NULL;
}

const char *log_kind_name(unsigned kind)
{
	return log_kind_is_known(kind) ? kind_names[kind] : "unknown";
}

const char *log_record_problem(const struct log_record *record)
{
	if (!log_kind_is_known(record->kind))
		return "an unknown kind";
	if (record->vcpu >= LOG_VCPUS_MAX)
		return "an impossible vcpu";
	if (record->payload_bytes > LOG_PAYLOAD_MAX)
		return "a payload is too long";
	if ((record->kind <= EVENT_MACHINE || record->kind == EVENT_KEY) &&
		record->payload_bytes > EVENT_PAYLOAD_MAX)
		return "a payload is too long for an event";
	if (record->kind == EVENT_LINE && record->value > 1)
		return "a line has two levels";
	if (record->kind == LOG_RATE && record->value == 0)
		return "time would stand still";
	if (record->kind == LOG_CONTENTS && record->payload_bytes == 0)
		return "contents of nothing";
	if (record->kind == LOG_STOP)
		for (uint32_t i = 0; i < record->payload_bytes; i++)
			if (!log_character_is_printable((char)record->payload[i]))
				return "a text with control characters";
	return NULL;
}

void log_codec_init(struct log_codec *codec, uint64_t first_ticks)
{
	memset(codec, 0, sizeof(*codec));
	codec->last.ticks = first_ticks;
}

static struct log_codec_slot *slot_of(struct log_codec *codec, uint16_t device)
{
	return &codec->slots[device % LOG_CODEC_SLOTS];
}

// The next event of the device is expected to be the next one.
static void expect_next(struct log_codec *codec, const struct log_record *record)
{
	struct log_codec_slot *slot = slot_of(codec, record->device);

	slot->next_sequence = record->sequence + 1;
	slot->index = record->index;
	codec->last_device = record->device;
}

static void place_encode(struct log_codec *codec, struct log_out *out,
	const struct log_record *record)
{
	const struct position *place = &record->position, *last = &codec->last;
	unsigned tag = record->kind;

	if (place->rip != last->rip)
		tag |= LOG_TAG_RIP;
	if (place->rcx != last->rcx)
		tag |= LOG_TAG_RCX;
	if (record->halted)
		tag |= LOG_TAG_HALTED;
	log_put_byte(out, tag);
	log_put_varint(out, place->ticks - last->ticks);
	if ((tag & LOG_TAG_RIP) != 0)
		log_put_varint(out, log_zigzag(place->rip - last->rip));
	if ((tag & LOG_TAG_RCX) != 0)
		log_put_varint(out, log_zigzag(place->rcx - last->rcx));
	if (record->halted) {
		log_put_varint(out, record->time - codec->last_time);
		codec->last_time = record->time;
	}
	codec->last = *place;
}

static unsigned form_of(const struct log_record *record, uint8_t vcpu, uint16_t device,
	const struct log_codec_slot *slot)
{
	uint32_t bytes = record->payload_bytes;
	unsigned form;

	form = bytes < LOG_FORM_PAYLOAD_LONG ? bytes : LOG_FORM_PAYLOAD_LONG;
	form <<= LOG_FORM_PAYLOAD_SHIFT;
	if (record->vcpu != vcpu)
		form |= LOG_FORM_VCPU;
	if (record->device != device)
		form |= LOG_FORM_DEVICE;
	if (record->index != slot->index)
		form |= LOG_FORM_INDEX;
	if (record->sequence != slot->next_sequence)
		form |= LOG_FORM_SEQUENCE;
	if (record->value != 0)
		form |= LOG_FORM_VALUE;
	return form;
}

void log_record_encode(struct log_codec *codec, struct log_out *out,
	const struct log_record *record)
{
	static const struct log_codec_slot nothing;
	bool is_event = record->kind <= LOG_EVENT_LAST;
	const struct log_codec_slot *slot =
		is_event ? slot_of(codec, record->device) : &nothing;
	unsigned form =
		form_of(record, codec->last_vcpu, is_event ? codec->last_device : 0, slot);

	ASSERT(record->kind < LOG_KINDS && record->payload_bytes <= LOG_PAYLOAD_MAX);
	ASSERT(record->vcpu < LOG_VCPUS_MAX);
	ASSERT(record->position.ticks >= codec->last.ticks);
	ASSERT(!record->halted || record->time >= codec->last_time);
	place_encode(codec, out, record);
	log_put_byte(out, form);
	if ((form & LOG_FORM_VCPU) != 0)
		log_put_varint(out, record->vcpu);
	codec->last_vcpu = record->vcpu;
	if ((form & LOG_FORM_DEVICE) != 0)
		log_put_varint(out, record->device);
	if ((form & LOG_FORM_INDEX) != 0)
		log_put_varint(out, record->index);
	if ((form & LOG_FORM_SEQUENCE) != 0)
		log_put_varint(out, log_zigzag(record->sequence - slot->next_sequence));
	if ((form & LOG_FORM_VALUE) != 0)
		log_put_varint(out, record->value);
	if (form >> LOG_FORM_PAYLOAD_SHIFT == LOG_FORM_PAYLOAD_LONG)
		log_put_varint(out, record->payload_bytes);
	log_put_bytes(out, record->payload, record->payload_bytes);
	if (is_event)
		expect_next(codec, record);
}

// Counts what was read since *from as spent on the field.
static void spend(struct log_codec *codec, enum log_field field, const struct log_in *in,
	const uint8_t **from)
{
	codec->spent[field] += (uint32_t)(in->at - *from);
	*from = in->at;
}

static void place_decode(struct log_codec *codec, struct log_in *in, struct log_record *record)
{
	const uint8_t *from = in->at;
	unsigned tag = log_get_byte(in);
	uint64_t before = codec->last.ticks, time = codec->last_time;

	record->kind = tag & LOG_TAG_KIND;
	record->halted = (tag & LOG_TAG_HALTED) != 0;
	record->time = 0;
	spend(codec, LOG_FIELD_TAGS, in, &from);
	codec->last.ticks += log_get_varint(in);
	spend(codec, LOG_FIELD_TICKS, in, &from);
	if ((tag & LOG_TAG_RIP) != 0)
		codec->last.rip += log_unzigzag(log_get_varint(in));
	spend(codec, LOG_FIELD_RIP, in, &from);
	if ((tag & LOG_TAG_RCX) != 0)
		codec->last.rcx += log_unzigzag(log_get_varint(in));
	spend(codec, LOG_FIELD_RCX, in, &from);
	if (record->halted)
		record->time = codec->last_time += log_get_varint(in);
	spend(codec, LOG_FIELD_TIME, in, &from);
	record->position = codec->last;
	if (codec->last.ticks < before || codec->last_time < time)
		log_in_fail(in, "ticks or time beyond 64 bits");
}

static void ids_decode(struct log_codec *codec, struct log_in *in, unsigned form,
	struct log_record *record)
{
	static const struct log_codec_slot nothing;
	bool is_event = record->kind <= LOG_EVENT_LAST;
	const struct log_codec_slot *slot;

	record->device = is_event ? codec->last_device : 0;
	if ((form & LOG_FORM_DEVICE) != 0)
		record->device = (uint16_t)log_get_limited(in, UINT16_MAX);
	slot = is_event ? slot_of(codec, record->device) : &nothing;
	record->index = slot->index;
	if ((form & LOG_FORM_INDEX) != 0)
		record->index = (uint16_t)log_get_limited(in, UINT16_MAX);
	record->sequence = slot->next_sequence;
	if ((form & LOG_FORM_SEQUENCE) != 0)
		record->sequence += log_unzigzag(log_get_varint(in));
	if (is_event)
		expect_next(codec, record);
}

bool log_record_decode(struct log_codec *codec, struct log_in *in, struct log_record *record)
{
	const uint8_t *from;
	unsigned form;

	memset(codec->spent, 0, sizeof(codec->spent));
	place_decode(codec, in, record);
	from = in->at;
	form = log_get_byte(in);
	spend(codec, LOG_FIELD_TAGS, in, &from);
	if ((form & LOG_FORM_VCPU) != 0)
		codec->last_vcpu = (uint8_t)log_get_limited(in, LOG_VCPUS_MAX - 1);
	record->vcpu = codec->last_vcpu;
	spend(codec, LOG_FIELD_VCPU, in, &from);
	ids_decode(codec, in, form, record);
	spend(codec, LOG_FIELD_IDS, in, &from);
	record->value = (form & LOG_FORM_VALUE) != 0 ? log_get_varint(in) : 0;
	spend(codec, LOG_FIELD_VALUE, in, &from);
	record->payload_bytes = form >> LOG_FORM_PAYLOAD_SHIFT;
	if (record->payload_bytes == LOG_FORM_PAYLOAD_LONG)
		record->payload_bytes = (uint32_t)log_get_limited(in, LOG_PAYLOAD_MAX);
	record->payload = log_get_bytes(in, record->payload_bytes);
	spend(codec, LOG_FIELD_PAYLOAD, in, &from);
	if (record->kind < EVENT_CHARACTERS)
		log_in_fail(in, "a kind that is never recorded");
	return in->error == NULL;
}
