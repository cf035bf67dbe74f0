// SPDX-License-Identifier: BSD-2-Clause
// State tables: one description of a struct from which save, range check, load, comparison, JSON
// and fuzzing derive.
//
// Every member of a described struct is a field, or is named as derived (recomputed after a load,
// or a matter of the host alone). tests/unit/state_coverage_test.c proves that no byte is left
// out; emul/ is compiled with -Wpadded, so padding is a member too (STATE_PAD).
//
// Saved form: each field's elements in table order, each little-endian in its own width, with no
// padding. The name and version of the table stand in a header of the caller's.
#ifndef KERNEL_BASE_STATE_H
#define KERNEL_BASE_STATE_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum state_field_kind {
	STATE_FIELD_SAVED,
	STATE_FIELD_DERIVED, // recomputed by the model's loaded(), or host-only
};

// One field: `count` unsigned elements of `width` bytes, each `stride` bytes after the last.
// Arrays of structs are described member by member, with the struct's size as stride.
struct state_field {
	const char *name;
	uint32_t offset;
	uint32_t stride; // bytes from one element to the next
	uint32_t count;
	uint8_t width; // 1, 2, 4 or 8; any size for a derived field
	uint8_t kind;  // enum state_field_kind
	uint16_t since; // version of the table in which the field appeared
	uint64_t min, max;
};

// What a refused load names.
struct state_error {
	const char *table;
	const char *field; // NULL where the cross-field check or the length refused
	uint32_t index;
	uint32_t reserved;
	uint64_t value, min, max;
	const char *reason; // never NULL
};

struct state_table {
	const char *name;
	uint32_t version;
	uint32_t struct_bytes;
	const struct state_field *fields;
	uint32_t field_count;
	uint32_t reserved;
	// Cross-field check of a whole instance, before any live state is touched. Returns NULL,
	// or the reason for which the state is impossible. May be NULL.
	const char *(*check)(const void *instance);
};

#define STATE_FIELD_(type, member, first, stride_, count_, low, high, version)                     \
	{                                                                                          \
		.name = #member, .offset = (uint32_t)offsetof(type, first),                        \
		.stride = (uint32_t)(stride_), .count = (uint32_t)(count_),                        \
		.width = (uint8_t)sizeof(((type *)0)->first), .kind = STATE_FIELD_SAVED,           \
		.since = (version), .min = (low), .max = (high)                                    \
	}

// A single unsigned member with its allowed range, and the version in which it appeared.
#define STATE_VALUE_SINCE(version, type, member, low, high)                                        \
	STATE_FIELD_(type, member, member, sizeof(((type *)0)->member), 1, low, high, version)
#define STATE_VALUE(type, member, low, high) STATE_VALUE_SINCE(1, type, member, low, high)

// A single unsigned member, any value of its width.
#define STATE_ANY(type, member)                                                                    \
	STATE_VALUE(type, member, 0, UINT64_MAX >> (64 - 8 * sizeof(((type *)0)->member)))
#define STATE_BOOL(type, member) STATE_VALUE(type, member, 0, 1)

// An array of unsigned elements.
#define STATE_ARRAY(type, member, low, high)                                                       \
	STATE_FIELD_(type, member, member[0], sizeof(((type *)0)->member[0]),                      \
		ARRAY_COUNT(((type *)0)->member), low, high, 1)
#define STATE_ARRAY_ANY(type, member)                                                              \
	STATE_ARRAY(type, member, 0, UINT64_MAX >> (64 - 8 * sizeof(((type *)0)->member[0])))

// One member of every element of an array of structs.
#define STATE_EACH_SINCE(version, type, array, member, low, high)                                  \
	STATE_FIELD_(type, array.member, array[0].member, sizeof(((type *)0)->array[0]),           \
		ARRAY_COUNT(((type *)0)->array), low, high, version)
#define STATE_EACH(type, array, member, low, high)                                                 \
	STATE_EACH_SINCE(1, type, array, member, low, high)
#define STATE_EACH_ANY(type, array, member)                                                        \
	STATE_EACH(type, array, member, 0,                                                         \
		UINT64_MAX >> (64 - 8 * sizeof(((type *)0)->array[0].member)))

// A member that is not saved: derived from others by loaded(), or a matter of the host alone.
#define STATE_DERIVED(type, member)                                                                \
	{                                                                                          \
		.name = #member, .offset = (uint32_t)offsetof(type, member),                       \
		.stride = (uint32_t)sizeof(((type *)0)->member), .count = 1, .width = 0,           \
		.kind = STATE_FIELD_DERIVED, .since = 1                                            \
	}
// The same for one member of every element of an array of structs.
#define STATE_EACH_DERIVED(type, array, member)                                                    \
	{                                                                                          \
		.name = #array "." #member, .offset = (uint32_t)offsetof(type, array[0].member),   \
		.stride = (uint32_t)sizeof(((type *)0)->array[0]),                                 \
		.count = (uint32_t)ARRAY_COUNT(((type *)0)->array),                                \
		.width = (uint8_t)sizeof(((type *)0)->array[0].member),                            \
		.kind = STATE_FIELD_DERIVED, .since = 1                                            \
	}
// The same for a pointer.
#define STATE_EACH_POINTER(type, array, member)                                                    \
	{                                                                                          \
		.name = #array "." #member, .offset = (uint32_t)offsetof(type, array[0].member),   \
		.stride = (uint32_t)sizeof(((type *)0)->array[0]),                                 \
		.count = (uint32_t)ARRAY_COUNT(((type *)0)->array),                                \
		.width = (uint8_t)sizeof(void *), .kind = STATE_FIELD_DERIVED, .since = 1          \
	}
#define STATE_PAD(type, member) STATE_DERIVED(type, member)

#define STATE_TABLE(name_, version_, type, fields_, check_)                                        \
	{                                                                                          \
		.name = (name_), .version = (version_), .struct_bytes = (uint32_t)sizeof(type),    \
		.fields = (fields_), .field_count = (uint32_t)ARRAY_COUNT(fields_),                \
		.check = (check_)                                                                  \
	}

// Bytes that state_save writes for a table of the given version (1 to table->version).
size_t state_saved_bytes(const struct state_table *table, uint32_t version);

// Writes the saved form; `capacity` must be at least state_saved_bytes(table, table->version).
// STATUS_RANGE: the buffer is too small.
must_check enum status state_save(const struct state_table *table, const void *instance,
	uint8_t *buffer, size_t capacity);

// Loads into `instance`, which must be fresh (reset): fields newer than `version` keep its
// values. Every range and then the cross-field check is verified; on failure `instance` holds
// unspecified values and must be thrown away, and *error (may be NULL) says why.
// STATUS_TRUNCATED: wrong length. STATUS_INVALID: a value is refused. STATUS_UNSUPPORTED: version.
must_check enum status state_load(const struct state_table *table, uint32_t version,
	const uint8_t *buffer, size_t bytes, void *instance, struct state_error *error);

// Verifies ranges and the cross-field check of an instance.
must_check enum status state_check(const struct state_table *table, const void *instance,
	struct state_error *error);

// First saved field that differs, or NULL. *index (may be NULL) receives the element.
const struct state_field *state_first_difference(const struct state_table *table, const void *a,
	const void *b, uint32_t *index);

// The field, and *index the element, that the byte at `offset` of the saved form belongs to; the
// offset is below state_saved_bytes(table, table->version).
uint32_t state_field_at(const struct state_table *table, uint64_t offset, uint32_t *index);

// Element `index` of a saved field.
uint64_t state_field_get(const struct state_field *field, const void *instance, uint32_t index);
void state_field_set(const struct state_field *field, void *instance, uint32_t index,
	uint64_t value);

#endif
