// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/base/state.h"

#include <string.h>

#include "kernel/base/assert.h"

// An element, wherever it lies.
#define load(type, at)                                                                             \
	({                                                                                         \
		type loaded_;                                                                      \
		__builtin_memcpy(&loaded_, at, sizeof(loaded_));                                   \
		loaded_;                                                                           \
	})

uint64_t state_field_get(const struct state_field *field, const void *instance, uint32_t index)
{
	const uint8_t *at =
		(const uint8_t *)instance + field->offset + (size_t)index * field->stride;

	ASSERT(field->kind == STATE_FIELD_SAVED && index < field->count);
	switch (field->width) {
	case 1:
		return *at;
	case 2:
		return load(uint16_t, at);
	case 4:
		return load(uint32_t, at);
	default:
		ASSERT(field->width == 8);
		return load(uint64_t, at);
	}
}

void state_field_set(const struct state_field *field, void *instance, uint32_t index,
	uint64_t value)
{
	ASSERT(field->kind == STATE_FIELD_SAVED && index < field->count && field->width <= 8);
	memcpy((uint8_t *)instance + field->offset + (size_t)index * field->stride, &value,
		field->width);
}

// Elements without gaps between them: they are copied and compared in one go.
static bool is_dense(const struct state_field *field)
{
	return field->stride == field->width || field->count == 1;
}

static size_t field_bytes(const struct state_field *field)
{
	return (size_t)field->width * field->count;
}

static bool takes_any_value(const struct state_field *field)
{
	return field->min == 0 && field->max == UINT64_MAX >> (64 - 8 * field->width);
}

static bool state_field_is_in(const struct state_field *field, uint32_t version)
{
	return field->kind == STATE_FIELD_SAVED && field->since <= version;
}

size_t state_saved_bytes(const struct state_table *table, uint32_t version)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < table->field_count; i++)
		if (state_field_is_in(&table->fields[i], version))
			bytes += field_bytes(&table->fields[i]);
	return bytes;
}

enum status state_save(const struct state_table *table, const void *instance, uint8_t *buffer,
	size_t capacity)
{
	if (capacity < state_saved_bytes(table, table->version))
		return STATUS_FAIL(STATUS_RANGE);
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (!state_field_is_in(field, table->version))
			continue;
		if (is_dense(field)) {
			memcpy(buffer, (const uint8_t *)instance + field->offset,
				field_bytes(field));
			buffer += field_bytes(field);
			continue;
		}
		for (uint32_t n = 0; n < field->count; n++, buffer += field->width) {
			uint64_t value = state_field_get(field, instance, n);

			memcpy(buffer, &value, field->width);
		}
	}
	return STATUS_OK;
}

static enum status state_refuse(struct state_error *error, const struct state_table *table,
	const struct state_field *field, uint32_t index, uint64_t value, const char *reason)
{
	if (error != NULL)
		*error = (struct state_error){
			.table = table->name,
			.field = field != NULL ? field->name : NULL,
			.index = index,
			.value = value,
			.min = field != NULL ? field->min : 0,
			.max = field != NULL ? field->max : 0,
			.reason = reason,
		};
	return STATUS_FAIL(STATUS_INVALID);
}

enum status state_check(const struct state_table *table, const void *instance,
	struct state_error *error)
{
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED || takes_any_value(field))
			continue;
		for (uint32_t n = 0; n < field->count; n++) {
			uint64_t value = state_field_get(field, instance, n);

			if (value < field->min || value > field->max)
				return state_refuse(error, table, field, n, value, "out of range");
		}
	}
	if (table->check != NULL) {
		const char *reason = table->check(instance);

		if (reason != NULL)
			return state_refuse(error, table, NULL, 0, 0, reason);
	}
	return STATUS_OK;
}

enum status state_load(const struct state_table *table, uint32_t version, const uint8_t *buffer,
	size_t bytes, void *instance, struct state_error *error)
{
	if (version == 0 || version > table->version) {
		(void)state_refuse(error, table, NULL, 0, version, "unknown version");
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if (bytes != state_saved_bytes(table, version)) {
		(void)state_refuse(error, table, NULL, 0, bytes, "wrong length");
		return STATUS_FAIL(STATUS_TRUNCATED);
	}
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (!state_field_is_in(field, version))
			continue;
		if (is_dense(field)) {
			memcpy((uint8_t *)instance + field->offset, buffer, field_bytes(field));
			buffer += field_bytes(field);
			continue;
		}
		for (uint32_t n = 0; n < field->count; n++, buffer += field->width) {
			uint64_t value = 0;

			memcpy(&value, buffer, field->width);
			state_field_set(field, instance, n, value);
		}
	}
	return state_check(table, instance, error);
}

const struct state_field *state_first_difference(const struct state_table *table, const void *a,
	const void *b, uint32_t *index)
{
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED ||
			(is_dense(field) && memcmp((const uint8_t *)a + field->offset,
				(const uint8_t *)b + field->offset, field_bytes(field)) == 0))
			continue;
		for (uint32_t n = 0; n < field->count; n++) {
			if (state_field_get(field, a, n) == state_field_get(field, b, n))
				continue;
			if (index != NULL)
				*index = n;
			return field;
		}
	}
	return NULL;
}

uint32_t state_field_at(const struct state_table *table, uint64_t offset, uint32_t *index)
{
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		uint64_t bytes = field_bytes(field);

		if (!state_field_is_in(field, table->version))
			continue;
		if (offset < bytes) {
			*index = (uint32_t)(offset / field->width);
			return i;
		}
		offset -= bytes;
	}
	ASSERT_UNREACHABLE("behind the last field");
}
