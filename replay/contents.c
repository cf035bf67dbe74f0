// SPDX-License-Identifier: BSD-2-Clause
// What the flash with firmware's variables holds at power-on is an input of a machine that is
// recorded. It goes into the log, block by block, where it is not what the image for a new one has.
#include <string.h>

#include "emul/pflash.h"
#include "replay/session.h"
#include "vm/vm.h"

bool contents_are_wanted(const struct session *session)
{
	const struct vm *vm = session->vm;
	const struct vm_flash_config *config = &vm->config.flash;

	return config->image != NULL && session->header->start == LOG_START_POWER_ON &&
		memcmp(flash_contents(vm), config->image, config->bytes) != 0;
}

static enum status block_record(struct session *session, uint64_t offset)
{
	const struct log_record record = {.kind = LOG_CONTENTS, .value = offset,
		.position = session->header->start_position,
		.payload = flash_contents(session->vm) + offset,
		.payload_bytes = PFLASH_BLOCK_BYTES};
	enum status status;

	while ((status = log_writer_append(session->writer, &record)) == STATUS_BUSY)
		record_pump(session);
	return status;
}

bool contents_record(struct session *session)
{
	const struct vm *vm = session->vm;
	const struct vm_flash_config *config = &vm->config.flash;

	for (uint64_t at = 0; at < config->bytes; at += PFLASH_BLOCK_BYTES)
		if (memcmp(flash_contents(vm) + at, config->image + at, PFLASH_BLOCK_BYTES) != 0 &&
			block_record(session, at) != STATUS_OK)
			return false;
	return true;
}

// The machine has what a new one does until then, and has not begun.
static const char *contents_put(struct session *session)
{
	const struct log_record *record = &session->record;
	const struct log_header *header = &session->reader->header;
	struct vm *vm = session->vm;

	if (vm->config.flash.image == NULL)
		return "contents of a flash that the machine does not have";
	if (header->start != LOG_START_POWER_ON || session->events != 0 ||
		!position_equal(&record->position, &header->start_position))
		return "contents of a flash in the midst of a run";
	if (record->value > vm->config.flash.bytes ||
		record->payload_bytes > vm->config.flash.bytes - record->value)
		return "contents beyond the end of the flash";
	memcpy(flash_contents(vm) + record->value, record->payload, record->payload_bytes);
	vm->device_memory.written[vm->device_memory.block_count - 1] = 1;
	return NULL;
}

enum status contents_take(struct session *session, const char **problem)
{
	enum status status = log_reader_next(session->reader, &session->record);

	while (status == STATUS_OK && session->record.kind == LOG_CONTENTS) {
		*problem = contents_put(session);
		if (*problem != NULL)
			return STATUS_OK;
		status = log_reader_next(session->reader, &session->record);
	}
	return status;
}
