// SPDX-License-Identifier: BSD-2-Clause
// The record of effects forgotten, and checks of a device's state table.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_env.h"

void fake_clear(struct fake_env *env)
{
	memset(env->line_rises, 0, sizeof(env->line_rises));
	env->line_calls = 0;
	env->region_calls = 0;
	env->messages = 0;
	env->output_bytes = 0;
	env->requests = 0;
	env->submits = 0;
	env->drops = 0;
	env->sends = 0;
	env->memory_writes = 0;
	env->reports = 0;
	env->kicks = 0;
}

static void check_refused(struct fake_env *env, const struct state_field *field, uint64_t value)
{
	const struct state_table *table = env->device->model->state;
	struct device *copy = malloc(table->struct_bytes);
	struct state_error error = {0};

	assert_non_null(copy);
	memcpy(copy, env->device, table->struct_bytes);
	state_field_set(field, copy, field->count - 1, value);
	assert_int_equal(state_check(table, copy, &error), STATUS_INVALID);
	assert_ptr_equal(error.field, field->name);
	assert_int_equal(error.index, field->count - 1);
	free(copy);
}

void fake_check_ranges(struct fake_env *env)
{
	const struct state_table *table = env->device->model->state;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED)
			continue;
		if (field->max < UINT64_MAX >> (64 - 8 * field->width))
			check_refused(env, field, field->max + 1);
		if (field->min > 0)
			check_refused(env, field, field->min - 1);
	}
}

void fake_check_coverage(const struct device_model *model)
{
	const struct state_table *table = model->state;
	uint8_t *covered = calloc(1, table->struct_bytes);

	assert_non_null(covered);
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		uint32_t width = field->width != 0 ? field->width : field->stride;

		for (uint32_t n = 0; n < field->count; n++)
			for (uint32_t byte = 0; byte < width; byte++) {
				uint32_t at = field->offset + n * field->stride + byte;

				assert_true(at < table->struct_bytes);
				if (covered[at]++ != 0)
					fail_msg("%s.%s stands in the table twice", table->name,
						field->name);
			}
	}
	for (uint32_t at = 0; at < table->struct_bytes; at++)
		if (covered[at] == 0)
			fail_msg("%s: byte %u of the struct is not in the state table", table->name,
				at);
	free(covered);
}

void fake_check_ports(struct fake_env *env, unsigned ports)
{
	const struct device_model *model = env->device->model;
	uint64_t seed = 7;

	fake_check_coverage(model);
	fake_check_ranges(env);
	for (unsigned i = 0; i < 1000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		fake_write(env, 0, seed >> 60 & (ports - 1), 1u << (seed >> 62), seed >> 20);
		(void)fake_read(env, 0, seed >> 60 & (ports - 1), 1u << (seed >> 62));
		fake_save_and_load(env);
		fake_reset(env, DEVICE_RESET_LINE);
		assert_int_equal(state_check(model->state, env->device, NULL), STATUS_OK);
	}
}
