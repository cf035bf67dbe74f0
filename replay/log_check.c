// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_check.h"

#include "replay/log_reader_internal.h"

static enum status snapshot_check(struct log_reader *reader, struct log_check *check)
{
	const uint8_t *bytes;
	enum status status;
	size_t count;

	while ((status = log_reader_snapshot(reader, &bytes, &count)) == STATUS_OK)
		check->snapshot_bytes += count;
	return status == STATUS_NOT_FOUND || status == STATUS_TRUNCATED ? STATUS_OK : status;
}

static enum status records_check(struct log_reader *reader, struct log_check *check,
	struct log_record *last)
{
	struct log_record record;
	enum status status;

	for (;;) {
		status = log_reader_next(reader, &record);
		if (status == STATUS_OK) {
			check->records++;
			*last = record;
		} else if (status == STATUS_AGAIN) {
			status = log_reader_pump(reader);
		}
		if (status != STATUS_OK && status != STATUS_AGAIN)
			break;
	}
	check->records += reader->skipped_records;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

// What a log that was closed says of itself.
static const char *end_problem(const struct log_reader *reader, const struct log_check *check,
	const struct log_record *last)
{
	const struct log_stop *stop = &reader->stop;

	if (stop->records != check->records)
		return "another number of records than at the end";
	if (last->kind != LOG_STOP)
		return "no record of the end";
	if (!position_equal(&last->position, &stop->position) || last->vcpu != stop->vcpu ||
		last->value != stop->reason)
		return "two different ends";
	return NULL;
}

static enum status index_check(struct log_reader *reader, struct log_check *check)
{
	for (uint32_t i = 0; i < reader->index.count; i++) {
		bool right;
		enum status status = log_load_index_check(reader, &reader->index.entries[i],
			&right);

		if (status != STATUS_OK)
			return status;
		if (!right) {
			check->problem = "the index names a chunk that is not there";
			check->offset = reader->index.entries[i].offset;
		}
	}
	return STATUS_OK;
}

enum status log_check(struct log_reader *reader, struct log_store *store, struct log_check *check)
{
	struct log_record last = {0};
	enum status status = log_reader_open(reader, store, NULL);

	*check = (struct log_check){0};
	if (status == STATUS_OK)
		status = snapshot_check(reader, check);
	if (status == STATUS_OK)
		status = records_check(reader, check, &last);
	if (status != STATUS_OK)
		return status;
	check->good_bytes = reader->next_offset;
	check->offset = reader->end.offset;
	check->problem = reader->end.reason;
	if (reader->end.kind != LOG_END_CLEAN)
		return STATUS_OK;
	check->problem = end_problem(reader, check, &last);
	return index_check(reader, check);
}
