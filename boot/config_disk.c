// SPDX-License-Identifier: BSD-2-Clause
// Values of the keys of [disk NAME]: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

#define CONFIG_MEDIUM_STEP 512u
#define CONFIG_MEDIUM_MAX  (UINT64_C(64) << 30)
#define CONFIG_RATE_MAX    (UINT64_C(10) << 30)
#define CONFIG_BURST_MAX   3600u
#define CONFIG_OVERLAY_MIN (UINT64_C(1) << 20)

static const char *config_ram(struct ini_slice value, struct config_medium *medium)
{
	if (config_size(value, &medium->bytes) != NULL || medium->bytes == 0 ||
		medium->bytes % CONFIG_MEDIUM_STEP != 0 || medium->bytes > CONFIG_MEDIUM_MAX)
		return "ram: with a size in steps of 512, up to 64G";
	return NULL;
}

static const char *config_image(struct ini_slice value, struct config_medium *medium)
{
	medium->kind = CONFIG_MEDIUM_IMAGE;
	return config_parse_path(value, medium->path, sizeof(medium->path));
}

// What is behind the word goes behind it.
static const char *config_region(struct ini_slice value, const char *word,
	const char *expected, struct config_medium *medium)
{
	size_t length = strlen(word);

	medium->kind = CONFIG_MEDIUM_REGION;
	if (value.count == 0 || value.count >= sizeof(medium->region) - length)
		return expected;
	for (size_t i = 0; i < value.count; i++)
		if (value.bytes[i] < 0x20 || value.bytes[i] > 0x7e)
			return expected;
	memcpy(medium->region, word, length);
	memcpy(medium->region + length, value.bytes, value.count);
	medium->region[length + value.count] = '\0';
	return NULL;
}

static const char *config_whole_disk(struct ini_slice value, struct config_medium *medium)
{
	return config_region(value, "disk:", "disk: with the name or number of a disk", medium);
}

static const char *config_partition(struct ini_slice value, struct config_medium *medium)
{
	return config_region(value, "partition:",
		"partition: with a label or GUID of letters of ASCII", medium);
}

static const char *config_file(struct ini_slice value, struct config_medium *medium)
{
	char path[CONFIG_PATH_MAX];
	const char *expected = config_parse_path(value, path, sizeof(path));

	if (expected != NULL)
		return expected;
	return config_region((struct ini_slice){path, strlen(path)}, "file:",
		"file: with the path of a file", medium);
}

const char *config_parse_medium(struct ini_slice value, void *field, size_t capacity)
{
	static const struct {
		const char *word;
		const char *(*parse)(struct ini_slice value, struct config_medium *medium);
	} kinds[] = {{"ram:", config_ram}, {"image:", config_image},
		{"disk:", config_whole_disk}, {"partition:", config_partition},
		{"file:", config_file}};

	(void)capacity;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		size_t length = strlen(kinds[i].word);

		if (value.count >= length && memcmp(value.bytes, kinds[i].word, length) == 0)
			return kinds[i].parse((struct ini_slice){value.bytes + length,
				value.count - length}, field);
	}
	return "ram:SIZE, image:PATH, disk:NAME, partition:NAME or file:PATH";
}

const char *config_parse_overlay(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t bytes;

	(void)capacity;
	if (config_size(value, &bytes) != NULL || bytes < CONFIG_OVERLAY_MIN ||
		bytes > CONFIG_MEDIUM_MAX)
		return "a size from 1M to 64G";
	memcpy(field, &bytes, sizeof(bytes));
	return NULL;
}

const char *config_parse_rate(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t rate;

	(void)capacity;
	if (config_size(value, &rate) != NULL || rate == 0 || rate > CONFIG_RATE_MAX)
		return "so many a second, from 1 to 10G";
	memcpy(field, &rate, sizeof(rate));
	return NULL;
}

const char *config_parse_burst(struct ini_slice value, void *field, size_t capacity)
{
	(void)capacity;
	return config_number_between(value, 1, CONFIG_BURST_MAX, field)
		? NULL : "seconds, from 1 to 3600";
}

static const char *config_limit_problem(const struct config_limit *limit, const char *const *keys,
	const char **key)
{
	*key = keys[0];
	if (limit->burst != 0 && limit->burst < limit->average)
		return "no more than where it is allowed to burst to";
	if (limit->burst != 0 && limit->average == 0)
		return "this key beside its _max, got none";
	*key = keys[1];
	if (limit->burst_seconds != 0 && limit->burst == 0)
		return "this key beside its _length, got none";
	return NULL;
}

const char *config_disk_problem(const struct config_disk *disk, const char **key)
{
	static const char *const bps[] = {"bps", "bps_max"}, *const iops[] = {"iops", "iops_max"};
	const char *problem;

	*key = "snapshot";
	if (disk->snapshot && disk->readonly)
		return "off where readonly = on, got on";
	*key = "snapshot_memory";
	if (disk->snapshot_memory != 0 && !disk->snapshot)
		return "snapshot = on beside it";
	problem = config_limit_problem(&disk->bps, bps, key);
	return problem != NULL ? problem : config_limit_problem(&disk->iops, iops, key);
}

const char *config_parse_interface(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {[CONFIG_DISK_VIRTIO] = "virtio"};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "virtio";
}

const char *config_parse_dataplane(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t cpu;

	(void)capacity;
	if (!config_number_between(value, 0, CONFIG_CPUS_MAX - 1, &cpu))
		return "a host CPU, from 0 to 63";
	*(uint32_t *)field = (uint32_t)cpu + 1;
	return NULL;
}

const char *config_parse_name(struct ini_slice value, void *field, size_t capacity)
{
	if (value.count == 0 || value.count >= capacity)
		return "a name of 1 to 31 characters";
	memcpy(field, value.bytes, value.count);
	((char *)field)[value.count] = '\0';
	return NULL;
}
