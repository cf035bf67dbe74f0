// SPDX-License-Identifier: BSD-2-Clause
// The payload of a log's first chunk. A later version may add fields at the end, which this one
// passes over, if it says that this one is enough.
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_abi.h"
#include "replay/log_format.h"
#include "replay/log_header.h"

enum { SETTING_NUMBER, SETTING_TEXT };

static void settings_put(struct log_out *out, const struct log_header *header)
{
	log_put_varint(out, header->settings_count);
	for (uint32_t i = 0; i < header->settings_count; i++) {
		const struct log_setting *setting = &header->settings[i];

		log_put_text(out, setting->name);
		log_put_byte(out, setting->is_text ? SETTING_TEXT : SETTING_NUMBER);
		if (setting->is_text)
			log_put_text(out, log_setting_text(header, setting));
		else
			log_put_varint(out, setting->number);
	}
}

static void hashes_put(struct log_out *out, const struct log_header *header)
{
	log_put_varint(out, header->hashes_count);
	for (uint32_t i = 0; i < header->hashes_count; i++) {
		log_put_text(out, header->hashes[i].name);
		log_put_bytes(out, &header->hashes[i].value, sizeof(uint64_t));
	}
}

// How many bytes of a register are not zero, from the lowest: 0, 1, 2 or 4.
static unsigned register_bytes(unsigned code)
{
	ASSERT(code < 4);
	return code == 3 ? 4 : code;
}

static unsigned register_code(uint32_t value)
{
	return value == 0 ? 0 : value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 3;
}

static void leaves_put(struct log_out *out, const struct log_header *header)
{
	uint32_t last = 0;

	log_put_varint(out, header->leaves_count);
	for (uint32_t i = 0; i < header->leaves_count; i++) {
		const struct log_leaf *leaf = &header->leaves[i];
		unsigned codes = 0;

		log_put_varint(out, leaf->leaf - last);
		log_put_varint(out, leaf->subleaf);
		for (unsigned j = 0; j < ARRAY_COUNT(leaf->registers); j++)
			codes |= register_code(leaf->registers[j]) << 2 * j;
		log_put_byte(out, codes);
		for (unsigned j = 0; j < ARRAY_COUNT(leaf->registers); j++)
			log_put_bytes(out, &leaf->registers[j],
				register_bytes(codes >> 2 * j & 3));
		last = leaf->leaf;
	}
}

void log_header_encode(struct log_out *out, const struct log_header *header, uint32_t alignment)
{
	ASSERT(header->problem == NULL && log_alignment_is_valid(alignment));
	log_put_varint(out, header->version);
	log_put_varint(out, header->needs);
	log_put_varint(out, alignment);
	log_put_varint(out, header->part);
	log_put_text(out, header->tick_source);
	log_put_varint(out, header->scale);
	log_put_varint(out, header->tsc_hz);
	log_put_byte(out, header->start);
	log_put_varint(out, header->start_position.rip);
	log_put_varint(out, header->start_position.rcx);
	log_put_varint(out, header->start_time);
	settings_put(out, header);
	hashes_put(out, header);
	leaves_put(out, header);
}

// Adding checks a name, and that it comes once.

static void settings_get(struct log_in *in, struct log_header *header)
{
	uint32_t count = (uint32_t)log_get_limited(in, LOG_SETTINGS_MAX);

	while (count-- > 0 && in->error == NULL) {
		char name[LOG_NAME_MAX], *text = header->texts + header->texts_bytes;

		log_get_text(in, name, sizeof(name));
		switch (log_get_byte(in)) {
		case SETTING_NUMBER:
			log_header_add_number(header, name, log_get_varint(in));
			break;
		case SETTING_TEXT:
			// Where it stays.
			log_get_text(in, text, sizeof(header->texts) - header->texts_bytes);
			log_header_add_text(header, name, text);
			break;
		default:
			log_in_fail(in, "a setting of an unknown type");
		}
	}
}

static void hashes_get(struct log_in *in, struct log_header *header)
{
	uint32_t count = (uint32_t)log_get_limited(in, LOG_HASHES_MAX);

	while (count-- > 0 && in->error == NULL) {
		char name[LOG_NAME_MAX];
		const uint8_t *bytes;
		uint64_t value = 0;

		log_get_text(in, name, sizeof(name));
		bytes = log_get_bytes(in, sizeof(value));
		if (bytes != NULL)
			memcpy(&value, bytes, sizeof(value));
		log_header_add_hash(header, name, value);
	}
}

static void leaves_get(struct log_in *in, struct log_header *header)
{
	uint32_t count = (uint32_t)log_get_limited(in, LOG_LEAVES_MAX), last = 0;

	while (count-- > 0 && in->error == NULL) {
		struct log_leaf leaf = {.leaf = last};
		unsigned codes;

		leaf.leaf += (uint32_t)log_get_limited(in, UINT32_MAX - last);
		leaf.subleaf = (uint32_t)log_get_limited(in, UINT32_MAX);
		codes = log_get_byte(in);
		for (unsigned j = 0; j < ARRAY_COUNT(leaf.registers); j++) {
			unsigned width = register_bytes(codes >> 2 * j & 3);
			const uint8_t *bytes = log_get_bytes(in, width);

			if (bytes != NULL)
				memcpy(&leaf.registers[j], bytes, width);
		}
		log_header_add_leaf(header, &leaf);
		last = leaf.leaf;
	}
}

static void start_get(struct log_in *in, struct log_header *header)
{
	log_get_text(in, header->tick_source, sizeof(header->tick_source));
	header->scale = log_get_varint(in);
	header->tsc_hz = log_get_varint(in);
	header->start = log_get_byte(in);
	if (header->start >= LOG_STARTS)
		log_in_fail(in, "an unknown start");
	header->start_position.rip = log_get_varint(in);
	header->start_position.rcx = log_get_varint(in);
	header->start_time = log_get_varint(in);
}

bool log_header_decode(struct log_in *in, struct log_header *header)
{
	uint64_t log_id = header->log_id, ticks = header->start_position.ticks;

	log_header_init(header, log_id, "");
	header->start_position.ticks = ticks;
	header->version = (uint32_t)log_get_limited(in, UINT32_MAX);
	header->needs = (uint32_t)log_get_limited(in, UINT32_MAX);
	if (header->needs > LOG_VERSION) {
		log_in_fail(in, "it needs a later version to be read");
		return false;
	}
	if (header->version == 0 || header->needs == 0)
		log_in_fail(in, "a version of 0");
	header->alignment = (uint32_t)log_get_limited(in, LOG_ALIGNMENT_MAX);
	if (!log_alignment_is_valid(header->alignment))
		log_in_fail(in, "an impossible alignment");
	header->part = (uint32_t)log_get_limited(in, UINT32_MAX);
	start_get(in, header);
	settings_get(in, header);
	hashes_get(in, header);
	leaves_get(in, header);
	if (header->problem != NULL)
		log_in_fail(in, header->problem);
	return in->error == NULL;
}
