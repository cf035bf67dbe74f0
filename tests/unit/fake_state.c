// SPDX-License-Identifier: BSD-2-Clause
// Checks of a device's state table alone.
#include <stdlib.h>

#include "tests/unit/fake_env.h"

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
