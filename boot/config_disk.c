// SPDX-License-Identifier: BSD-2-Clause
// Values of the keys of [disk NAME]: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

#define CONFIG_MEDIUM_STEP 512u
#define CONFIG_MEDIUM_MAX  (UINT64_C(64) << 30)

static const char *config_ram(struct ini_slice value, struct config_medium *medium)
{
	if (config_size(value, &medium->bytes) != NULL || medium->bytes == 0 ||
		medium->bytes % CONFIG_MEDIUM_STEP != 0 || medium->bytes > CONFIG_MEDIUM_MAX)
		return "ram: with a size in steps of 512, up to 64G";
	return NULL;
}

const char *config_parse_medium(struct ini_slice value, void *field, size_t capacity)
{
	static const char ram[] = "ram:", image[] = "image:";
	struct config_medium *medium = field;

	(void)capacity;
	if (value.count >= sizeof(ram) - 1 && memcmp(value.bytes, ram, sizeof(ram) - 1) == 0)
		return config_ram((struct ini_slice){value.bytes + sizeof(ram) - 1,
			value.count - (sizeof(ram) - 1)}, medium);
	if (value.count >= sizeof(image) - 1 && memcmp(value.bytes, image, sizeof(image) - 1) == 0)
		return config_parse_path((struct ini_slice){value.bytes + sizeof(image) - 1,
			value.count - (sizeof(image) - 1)}, medium->path, sizeof(medium->path));
	return "ram:SIZE or image:PATH";
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
