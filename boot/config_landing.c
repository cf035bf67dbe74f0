// SPDX-License-Identifier: BSD-2-Clause
// Values of the test facilities for exact positions: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

// FIRST:SECOND. Returns false where it is not.
static bool config_pair(struct ini_slice value, struct config_pair *pair)
{
	size_t digits;

	pair->first = config_number(value, &digits);
	if (digits == 0 || digits == value.count || value.bytes[digits] != ':')
		return false;
	value.bytes += digits + 1;
	value.count -= digits + 1;
	pair->second = config_number(value, &digits);
	return digits != 0 && digits == value.count;
}

const char *config_parse_step(struct ini_slice value, void *field, size_t capacity)
{
	struct config_pair pair = {0, 0};

	(void)capacity;
	if (ini_slice_equals(value, "all"))
		pair = CONFIG_STEP_ALL;
	else if (!ini_slice_equals(value, "off") && !config_pair(value, &pair))
		return "off, all, or FROM:COUNT in ticks";
	memcpy(field, &pair, sizeof(pair));
	return NULL;
}

const char *config_parse_landing(struct ini_slice value, void *field, size_t capacity)
{
	struct config_pair pair;

	(void)capacity;
	if (!config_pair(value, &pair) || pair.second == 0)
		return "SEED:COUNT, two numbers";
	memcpy(field, &pair, sizeof(pair));
	return NULL;
}

const char *config_parse_seed(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t number;

	(void)capacity;
	if (!config_number_between(value, 0, UINT64_MAX, &number))
		return "a number, 0 for off";
	memcpy(field, &number, sizeof(number));
	return NULL;
}
