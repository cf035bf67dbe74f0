// SPDX-License-Identifier: BSD-2-Clause
#include "replay/beacon.h"

#include <stdio.h>
#include <string.h>

#include "kernel/crc32c.h"
#include "replay/hash.h"
#include "vm/snapshot.h"
#include "vm/vm.h"

enum { PIECE = 8 };

// A beacon's first byte.
enum { BEACON_FULL = 1, BEACON_FOLLOWS = 2 };

#define MIX UINT64_C(0x9e3779b97f4a7c15)

// 8 bits of up to 8 bytes; 0 of zeros.
static uint8_t check_of(const uint8_t *bytes, size_t count)
{
	uint64_t word = 0;

	memcpy(&word, bytes, count);
	word *= MIX;
	return (uint8_t)((word ^ word >> 32) >> 24);
}

// Walks the pieces of a machine's saved state: of each section its name and length, then the
// elements of its state table's fields, or 8 bytes at a time where it has none; of what a request
// has read, and of frames, which may be long, a CRC.
struct walk {
	struct vm *vm;
	struct snapshot_stream stream;
	uint8_t piece[PIECE];
	size_t bytes;  // of `piece`
	bool in_section; // and `piece` is of its content, but for its head
	bool is_head;  // it stands for the section itself
	bool is_bulk;  // the section is what a request has read, or a frame
	const struct state_table *table; // of the section, or NULL
	uint32_t field, element; // of `piece`
	uint64_t offset;         // of it, where there is no table
};

static enum status walk_begin(struct walk *walk, struct vm *vm)
{
	struct snapshot_cost cost;
	enum status status;

	memset(walk, 0, sizeof(*walk));
	walk->vm = vm;
	snapshot_stream_init(&walk->stream);
	status = snapshot_write(vm, false, &walk->stream, &cost);
	if (status != STATUS_OK) {
		snapshot_stream_free(&walk->stream);
		return status;
	}
	snapshot_rewind(&walk->stream);
	return STATUS_OK;
}

static bool head_next(struct walk *walk)
{
	const struct snapshot_section *section = &walk->stream.section;
	uint64_t head;

	if (snapshot_section_is(&walk->stream, "end", 0))
		return false;
	head = crc32c_update(section->instance, section->name, sizeof(section->name)) ^
		section->length << 32;
	memcpy(walk->piece, &head, sizeof(head));
	walk->bytes = sizeof(head);
	walk->in_section = walk->is_head = true;
	walk->table = snapshot_table(walk->vm, section);
	walk->is_bulk = strcmp(section->name, SNAPSHOT_REQUEST_DATA) == 0 ||
		strcmp(section->name, SNAPSHOT_FRAME) == 0;
	return true;
}

static bool is_saved(const struct state_field *field, const struct state_table *table)
{
	return field->kind == STATE_FIELD_SAVED && field->since <= table->version;
}

// Of what piece the next bytes are. The section has some left.
static void place_next(struct walk *walk)
{
	const struct state_table *table = walk->table;

	if (walk->is_head) {
		walk->field = walk->element = 0;
		walk->offset = 0;
	} else if (table == NULL) {
		walk->offset += PIECE;
	} else if (++walk->element == table->fields[walk->field].count) {
		walk->element = 0;
		walk->field++;
	}
	while (table != NULL && !is_saved(&table->fields[walk->field], table))
		walk->field++;
	walk->is_head = false;
}

// Of all that is left of the section.
static bool crc_take(struct walk *walk)
{
	struct snapshot_stream *stream = &walk->stream;
	uint32_t crc = 0;

	while (stream->left > 0) {
		uint8_t part[256];
		size_t bytes = stream->left < sizeof(part) ? (size_t)stream->left : sizeof(part);

		if (snapshot_get(stream, part, bytes) != STATUS_OK)
			return false;
		crc = crc32c_update(crc, part, bytes);
	}
	memcpy(walk->piece, &crc, sizeof(crc));
	walk->bytes = sizeof(crc);
	return true;
}

// False: that was all.
static bool walk_next(struct walk *walk)
{
	struct snapshot_stream *stream = &walk->stream;
	uint64_t width = PIECE;

	if (walk->in_section && stream->left == 0) {
		snapshot_section_next(stream);
		walk->in_section = false;
	}
	if (!walk->in_section)
		return head_next(walk);
	place_next(walk);
	if (walk->is_bulk)
		return crc_take(walk);
	if (walk->table != NULL)
		width = walk->table->fields[walk->field].width;
	walk->bytes = stream->left < width ? (size_t)stream->left : (size_t)width;
	return snapshot_get(stream, walk->piece, walk->bytes) == STATUS_OK;
}

static void walk_end(struct walk *walk)
{
	snapshot_stream_free(&walk->stream);
}

enum status beacon_take(struct vm *vm, bool full, struct memory_hash_cache *cache,
	struct beacon *beacon)
{
	struct hash hash;
	struct walk walk;
	enum status status = walk_begin(&walk, vm);

	if (status != STATUS_OK)
		return status;
	hash_begin(&hash);
	beacon->count = 0;
	beacon->full = full;
	while (walk_next(&walk)) {
		if (beacon->count == BEACON_CHECKS_MAX) {
			walk_end(&walk);
			return STATUS_FAIL(STATUS_RANGE);
		}
		hash_update(&hash, walk.piece, walk.bytes);
		beacon->checks[beacon->count++] = check_of(walk.piece, walk.bytes);
	}
	walk_end(&walk);
	beacon->state = hash_value(&hash);
	if (full)
		memory_hash_take(vm, cache, &beacon->memory);
	return STATUS_OK;
}

static uint8_t check_at(const struct beacon *beacon, uint32_t at)
{
	return beacon != NULL && at < beacon->count ? beacon->checks[at] : 0;
}

static bool is_kept(const struct beacon *beacon, const struct beacon *before, uint32_t at)
{
	return beacon->checks[at] == check_at(before, at);
}

static void put_u64(struct log_out *out, uint64_t value)
{
	log_put_bytes(out, &value, sizeof(value));
}

static void memory_put(struct log_out *out, const struct memory_hash *memory)
{
	for (unsigned i = 0; i < MEMORY_HASH_GROUPS; i++) {
		put_u64(out, memory->sum[i]);
		put_u64(out, memory->weighted[i]);
	}
	put_u64(out, memory->accessed);
	put_u64(out, memory->accessed_weighted);
}

// Runs of checks that stay and of those that change, in turn.
void beacon_encode(struct log_out *out, const struct beacon *beacon, const struct beacon *before)
{
	log_put_byte(out, (beacon->full ? BEACON_FULL : 0u) |
		(before != NULL ? BEACON_FOLLOWS : 0u));
	put_u64(out, beacon->state);
	if (beacon->full)
		memory_put(out, &beacon->memory);
	log_put_varint(out, beacon->count);
	for (uint32_t at = 0; at < beacon->count;) {
		uint32_t first = at, changed;

		while (at < beacon->count && is_kept(beacon, before, at))
			at++;
		log_put_varint(out, at - first);
		changed = at;
		// A single one that stays costs less within the run than between two.
		while (at < beacon->count && !(is_kept(beacon, before, at) &&
			(at + 1 == beacon->count || is_kept(beacon, before, at + 1))))
			at++;
		log_put_varint(out, at - changed);
		log_put_bytes(out, beacon->checks + changed, at - changed);
	}
}

static uint64_t get_u64(struct log_in *in)
{
	const uint8_t *bytes = log_get_bytes(in, sizeof(uint64_t));
	uint64_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

static void memory_get(struct log_in *in, struct memory_hash *memory)
{
	for (unsigned i = 0; i < MEMORY_HASH_GROUPS; i++) {
		memory->sum[i] = get_u64(in);
		memory->weighted[i] = get_u64(in);
	}
	memory->accessed = get_u64(in);
	memory->accessed_weighted = get_u64(in);
}

bool beacon_decode(struct log_in *in, struct beacon *beacon, const struct beacon *before)
{
	uint8_t flags = log_get_byte(in);

	if ((flags & BEACON_FOLLOWS) == 0)
		before = NULL;
	else if (before == NULL)
		log_in_fail(in, "a beacon that follows another, which is not there");
	beacon->full = (flags & BEACON_FULL) != 0;
	beacon->state = get_u64(in);
	if (beacon->full)
		memory_get(in, &beacon->memory);
	beacon->count = (uint32_t)log_get_limited(in, BEACON_CHECKS_MAX);
	for (uint32_t at = 0; at < beacon->count && in->error == NULL;) {
		uint32_t kept = (uint32_t)log_get_limited(in, beacon->count - at), changed;
		const uint8_t *bytes;

		for (; kept > 0; kept--, at++)
			beacon->checks[at] = check_at(before, at);
		changed = (uint32_t)log_get_limited(in, beacon->count - at);
		bytes = log_get_bytes(in, changed);
		if (bytes != NULL)
			memcpy(beacon->checks + at, bytes, changed);
		at += changed;
	}
	if (in->at != in->end)
		log_in_fail(in, "a beacon with something behind");
	return in->error == NULL;
}

static bool memory_equals(const struct beacon *a, const struct beacon *b)
{
	return !a->full || !b->full || memory_hash_equals(&a->memory, &b->memory);
}

bool beacon_equals(const struct beacon *a, const struct beacon *b)
{
	return a->state == b->state && memory_equals(a, b);
}

bool beacon_accessed_equals(const struct beacon *a, const struct beacon *b)
{
	return !a->full || !b->full || memory_hash_accessed_equals(&a->memory, &b->memory);
}

// The piece `wanted` in words.
static void piece_tell(struct vm *vm, uint32_t wanted, char text[BEACON_TEXT_MAX])
{
	const struct snapshot_section *section;
	const struct state_table *table;
	struct walk walk;
	uint64_t value = 0;
	uint32_t at = 0;
	bool found;

	if (walk_begin(&walk, vm) != STATUS_OK) {
		snprintf(text, BEACON_TEXT_MAX, "no memory to say where");
		return;
	}
	section = &walk.stream.section;
	while ((found = walk_next(&walk)) && at < wanted)
		at++;
	table = walk.table;
	memcpy(&value, walk.piece, walk.bytes);
	if (!found)
		snprintf(text, BEACON_TEXT_MAX, "state that is not there here");
	else if (walk.is_head)
		snprintf(text, BEACON_TEXT_MAX, "%s %u: not so in the recording", section->name,
			section->instance);
	else if (table == NULL)
		snprintf(text, BEACON_TEXT_MAX, "%s %u: bytes from %llu: 0x%llx here",
			section->name, section->instance, (unsigned long long)walk.offset,
			(unsigned long long)value);
	else
		snprintf(text, BEACON_TEXT_MAX, "%s %u: %s[%u]: 0x%llx here", section->name,
			section->instance, table->fields[walk.field].name, walk.element,
			(unsigned long long)value);
	walk_end(&walk);
}

static void memory_tell(const struct vm *vm, const struct beacon *here,
	const struct beacon *recorded, char text[BEACON_TEXT_MAX])
{
	uint64_t pages = vm_memory_blocks(vm) * (LARGE_PAGE_BYTES / PAGE_BYTES), page;
	bool accessed = memory_equals(here, recorded), found;

	if (accessed)
		found = memory_hash_find_accessed(&here->memory, &recorded->memory, pages, &page);
	else
		found = memory_hash_find(&here->memory, &recorded->memory, pages, &page);
	if (found)
		snprintf(text, BEACON_TEXT_MAX, "%s: the page at 0x%llx",
			accessed ? "accessed bits" : "memory",
			(unsigned long long)page * PAGE_BYTES);
	else
		snprintf(text, BEACON_TEXT_MAX, "%s: several pages",
			accessed ? "accessed bits" : "memory");
}

void beacon_difference(struct vm *vm, const struct beacon *here, const struct beacon *recorded,
	char text[BEACON_TEXT_MAX])
{
	uint32_t most = here->count > recorded->count ? here->count : recorded->count;

	if (here->state == recorded->state) {
		memory_tell(vm, here, recorded, text);
		return;
	}
	for (uint32_t at = 0; at < most; at++)
		if (check_at(here, at) != check_at(recorded, at)) {
			piece_tell(vm, at, text);
			return;
		}
	snprintf(text, BEACON_TEXT_MAX, "the hash of registers and devices alone");
}
