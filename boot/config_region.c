// SPDX-License-Identifier: BSD-2-Clause
// A region of a host disk, as drivers/region.h names it: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

enum { CONFIG_REGION_NAME_MAX = 36 }; // of GPT: letters of a label, and of a GUID's text

static const char *config_name(struct ini_slice value, char *name)
{
	if (value.count == 0 || value.count > CONFIG_REGION_NAME_MAX)
		return "disk: or partition: with a name of 1 to 36 letters of ASCII";
	for (size_t i = 0; i < value.count; i++)
		if (value.bytes[i] < 0x20 || value.bytes[i] > 0x7e)
			return "disk: or partition: with a name of 1 to 36 letters of ASCII";
	memcpy(name, value.bytes, value.count);
	name[value.count] = '\0';
	return NULL;
}

const char *config_parse_region(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {"disk:", "partition:", "file:"};
	char *region = field;

	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		size_t length = strlen(words[i]);
		struct ini_slice rest = {value.bytes + length, value.count - length};

		if (value.count < length || memcmp(value.bytes, words[i], length) != 0)
			continue;
		memcpy(region, words[i], length);
		return words[i][0] == 'f'
			? config_parse_path(rest, region + length, capacity - length)
			: config_name(rest, region + length);
	}
	return "disk:NAME, partition:NAME or file:PATH";
}
