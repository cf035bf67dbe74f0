// SPDX-License-Identifier: BSD-2-Clause
// Values of the keys of recording and replaying: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"
#include "boot/path.h"

enum {
	CONFIG_DISK_MAX = 255,
	CONFIG_DISK_NAME_MAX = 19, // of drivers/disk.h
	CONFIG_PARTITION_NAME_MAX = 36, // of GPT: letters of a label, and of a GUID's text
};
#define CONFIG_RING_MIN   (256 * KIB)
#define CONFIG_BEACON_MIN UINT64_C(10000)
#define CONFIG_BEACON_MAX BIT(40)

const char *config_parse_rr(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_RR_NONE] = "none",
		[CONFIG_RR_RECORD] = "record",
		[CONFIG_RR_REPLAY] = "replay",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ?
		NULL : "none, record or replay";
}

const char *config_parse_beacon(struct ini_slice value, void *field, size_t capacity)
{
	(void)capacity;
	return config_number_between(value, CONFIG_BEACON_MIN, CONFIG_BEACON_MAX, field) ?
		NULL : "ticks, 10000 to 1099511627776";
}

static const char *config_ring(struct ini_slice value, struct config_rr_file *file)
{
	if (config_size(value, &file->bytes) != NULL || file->bytes < CONFIG_RING_MIN)
		return "ram: with a size of at least 256K";
	return NULL;
}

// A name begins with a letter, as in "nvme0n1".
static bool config_is_disk_name(struct ini_slice value)
{
	if (value.count == 0 || value.count > CONFIG_DISK_NAME_MAX || value.bytes[0] < 'a')
		return false;
	for (size_t i = 0; i < value.count; i++)
		if ((value.bytes[i] < 'a' || value.bytes[i] > 'z') &&
			(value.bytes[i] < '0' || value.bytes[i] > '9'))
			return false;
	return true;
}

static const char *config_disk(struct ini_slice value, struct config_rr_file *file)
{
	size_t letters = config_is_disk_name(value) ? value.count : 0;
	uint64_t number = 0;

	if (letters == 0 && !config_number_between(value, 0, CONFIG_DISK_MAX, &number))
		return "disk: with a name such as vda, or a number from 0 to 255";
	memcpy(file->name, value.bytes, letters);
	file->name[letters] = '\0';
	file->disk = (uint32_t)number;
	return NULL;
}

static const char *config_partition(struct ini_slice value, struct config_rr_file *file)
{
	const char *expected = "partition: with a label or GUID of 1 to 36 letters of ASCII";

	if (value.count == 0 || value.count > CONFIG_PARTITION_NAME_MAX)
		return expected;
	for (size_t i = 0; i < value.count; i++)
		if (value.bytes[i] < 0x20 || value.bytes[i] > 0x7e)
			return expected;
	memcpy(file->name, value.bytes, value.count);
	file->name[value.count] = '\0';
	return NULL;
}

static const char *config_file(struct ini_slice value, struct config_rr_file *file)
{
	return config_parse_path(value, file->name, sizeof(file->name));
}

const char *config_parse_rr_file(struct ini_slice value, void *field, size_t capacity)
{
	static const struct {
		const char *word;
		uint32_t sink;
		const char *(*parse)(struct ini_slice value, struct config_rr_file *file);
	} sinks[] = {
		{"ram:", CONFIG_RR_SINK_RAM, config_ring},
		{"disk:", CONFIG_RR_SINK_DISK, config_disk},
		{"partition:", CONFIG_RR_SINK_PARTITION, config_partition},
		{"file:", CONFIG_RR_SINK_FILE, config_file},
	};
	struct config_rr_file *file = field;

	(void)capacity;
	for (size_t i = 0; i < ARRAY_COUNT(sinks); i++) {
		size_t length = strlen(sinks[i].word);

		if (value.count < length || memcmp(value.bytes, sinks[i].word, length) != 0)
			continue;
		file->sink = sinks[i].sink;
		return sinks[i].parse((struct ini_slice){value.bytes + length,
			value.count - length}, file);
	}
	return "ram:SIZE, disk:NAME, partition:NAME or file:PATH";
}
