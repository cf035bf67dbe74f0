// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_index.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_abi.h"

enum {
	// Reason, flag, vcpu, RIP, RCX, time, records, the text and its length, chunks, stride,
	// count.
	FIXED_BYTES_MAX = 11 * LOG_VARINT_MAX + LOG_STOP_TEXT_MAX,
	ENTRY_BYTES_MAX = 2 * LOG_VARINT_MAX + 5, // offset, ticks, sequence of 32 bits
};

void log_index_init(struct log_index *index)
{
	index->chunks = 0;
	index->count = 0;
	index->stride = 1;
	index->last_sequence = 0;
}

// Those that are multiples of twice the stride stay.
static void index_thin(struct log_index *index)
{
	for (uint32_t i = 0; 2 * i < index->count; i++)
		index->entries[i] = index->entries[2 * i];
	index->count = (index->count + 1) / 2;
	index->stride *= 2;
}

void log_index_add(struct log_index *index, const struct log_index_entry *entry)
{
	if (index->chunks > 0 && entry->sequence <= index->last_sequence)
		return;
	index->last_sequence = entry->sequence;
	if (index->chunks++ % index->stride != 0)
		return;
	if (index->count == LOG_INDEX_MAX) {
		index_thin(index);
		ASSERT((index->chunks - 1) % index->stride == 0); // it is even
	}
	index->entries[index->count++] = *entry;
}

const struct log_index_entry *log_index_find(const struct log_index *index, uint64_t ticks)
{
	uint32_t low = 0, high = index->count; // those below `low` start before, from `high` on not

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (index->entries[middle].first_ticks < ticks)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &index->entries[low - 1] : NULL;
}

uint64_t log_index_bytes_max(const struct log_index *index, uint32_t more)
{
	uint64_t entries = (uint64_t)index->count + more;

	if (entries > LOG_INDEX_MAX)
		entries = LOG_INDEX_MAX;
	return FIXED_BYTES_MAX + entries * ENTRY_BYTES_MAX;
}

void log_index_encode(struct log_out *out, const struct log_index *index,
	const struct log_stop *stop, uint32_t alignment)
{
	struct log_index_entry last = {0};

	log_put_varint(out, stop->reason);
	log_put_byte(out, stop->halted);
	log_put_varint(out, stop->vcpu);
	log_put_varint(out, stop->position.rip);
	log_put_varint(out, stop->position.rcx);
	log_put_varint(out, stop->time);
	log_put_varint(out, stop->records);
	log_put_text(out, stop->text);
	log_put_varint(out, index->chunks);
	log_put_varint(out, index->stride);
	log_put_varint(out, index->count);
	for (uint32_t i = 0; i < index->count; i++) {
		const struct log_index_entry *entry = &index->entries[i];

		ASSERT(entry->offset % alignment == 0 && entry->offset > last.offset);
		log_put_varint(out, (entry->offset - last.offset) / alignment);
		log_put_varint(out, entry->first_ticks - last.first_ticks);
		log_put_varint(out, entry->sequence - last.sequence);
		last = *entry;
	}
}

// Behind the last one, and before `end`.
static void entry_get(struct log_in *in, struct log_index_entry *entry, uint32_t alignment,
	uint64_t end)
{
	uint64_t units = log_get_limited(in, (end - entry->offset) / alignment);
	uint64_t ticks = entry->first_ticks + log_get_varint(in);
	uint64_t sequence = entry->sequence + log_get_limited(in, UINT32_MAX);

	if (units == 0 || ticks < entry->first_ticks || sequence > UINT32_MAX ||
		sequence == entry->sequence)
		log_in_fail(in, "an index out of order");
	entry->offset += units * alignment;
	entry->first_ticks = ticks;
	entry->sequence = (uint32_t)sequence;
	if (entry->offset >= end)
		log_in_fail(in, "an index that leads behind itself");
}

static void stop_get(struct log_in *in, struct log_stop *stop)
{
	stop->reason = log_get_varint(in);
	stop->halted = log_get_limited(in, 1) != 0;
	stop->vcpu = (uint8_t)log_get_limited(in, LOG_VCPUS_MAX - 1);
	stop->position.rip = log_get_varint(in);
	stop->position.rcx = log_get_varint(in);
	stop->time = log_get_varint(in);
	stop->records = log_get_varint(in);
	log_get_text(in, stop->text, sizeof(stop->text));
}

bool log_index_decode(struct log_in *in, struct log_index *index, struct log_stop *stop,
	uint32_t alignment, uint64_t end)
{
	struct log_index_entry entry = {0};
	uint32_t count;

	log_index_init(index);
	stop_get(in, stop);
	index->chunks = log_get_varint(in);
	index->stride = (uint32_t)log_get_limited(in, UINT32_MAX);
	count = (uint32_t)log_get_limited(in, LOG_INDEX_MAX);
	for (; index->count < count && in->error == NULL; index->count++) {
		entry_get(in, &entry, alignment, end);
		index->entries[index->count] = entry;
	}
	index->last_sequence = entry.sequence;
	if (in->error != NULL)
		log_index_init(index);
	return in->error == NULL;
}
