// SPDX-License-Identifier: BSD-2-Clause
// Values of the keys of [disk NAME]: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

#define CONFIG_MEDIUM_STEP 512u
#define CONFIG_MEDIUM_MAX  (UINT64_C(64) << 30)
#define CONFIG_RATE_MAX    (UINT64_C(10) << 30)
#define CONFIG_BURST_MAX   3600u
#define CONFIG_DISCS_MAX 4u // beside the CD drives of a VM
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

const char *config_parse_medium(struct ini_slice value, void *field, size_t capacity)
{
	static const struct {
		const char *word;
		const char *(*parse)(struct ini_slice value, struct config_medium *medium);
	} kinds[] = {{"ram:", config_ram}, {"image:", config_image}};
	static const char *const regions[] = {"disk:", "partition:", "file:"};
	struct config_medium *medium = field;

	(void)capacity;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		size_t length = strlen(kinds[i].word);

		if (value.count >= length && memcmp(value.bytes, kinds[i].word, length) == 0)
			return kinds[i].parse((struct ini_slice){value.bytes + length,
				value.count - length}, field);
	}
	for (size_t i = 0; i < ARRAY_COUNT(regions); i++)
		if (value.count >= strlen(regions[i]) &&
			memcmp(value.bytes, regions[i], strlen(regions[i])) == 0) {
			medium->kind = CONFIG_MEDIUM_REGION;
			return config_parse_region(value, medium->region, sizeof(medium->region));
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

static bool config_is_q35(const struct config *config, const char *name)
{
	uint32_t vm = config_vm_index(config, name);

	return vm < config->vm_count && config->vms[vm].machine == CONFIG_MACHINE_Q35;
}

// What the disks of a controller cannot be.
static const char *config_controller_problem(const struct config *config, uint32_t index,
	const char **key)
{
	const struct config_disk *disk = &config->disks[index];
	bool is_ide = disk->interface == CONFIG_DISK_IDE;
	unsigned before = 0;

	*key = "interface";
	if (is_ide && config_is_q35(config, disk->vm))
		return "virtio or ahci where the machine is a q35, got ide";
	*key = "readonly";
	if (disk->readonly && disk->media == CONFIG_MEDIA_DISK)
		return "off where interface = ide or ahci, got on";
	*key = "plugged";
	if (!disk->plugged)
		return "on where interface = ide or ahci, got off";
	*key = "dataplane";
	if (disk->dataplane != 0)
		return "interface = virtio beside it";
	for (uint32_t i = 0; i < index; i++)
		before += config->disks[i].interface == disk->interface &&
			strcmp(config->disks[i].vm, disk->vm) == 0;
	*key = "interface";
	if (before < (is_ide ? 4u : 6u))
		return NULL;
	return is_ide ? "at most 4 disks of a VM with ide" : "at most 6 disks of a VM with ahci";
}

static const struct config_disk *config_disk_find(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->disk_count; i++)
		if (strcmp(config->disks[i].name, name) == 0)
			return &config->disks[i];
	return NULL;
}

// What a disc beside a CD drive cannot be.
static const char *config_disc_problem(const struct config *config, uint32_t index,
	const char **key)
{
	const struct config_disk *disc = &config->disks[index];
	const struct config_disk *drive = config_disk_find(config, disc->drive);
	unsigned before = 0;

	*key = "interface";
	if (disc->interface != CONFIG_DISK_VIRTIO)
		return "no such key beside drive, got one";
	for (uint32_t i = 0; i < index; i++)
		before += config->disks[i].drive[0] != '\0' &&
			strcmp(config->disks[i].vm, disc->vm) == 0;
	*key = "drive";
	if (before >= CONFIG_DISCS_MAX)
		return "at most 4 discs beside the drives of a VM";
	return drive != NULL && drive->media == CONFIG_MEDIA_CDROM && drive->drive[0] == '\0' &&
		strcmp(drive->vm, disc->vm) == 0 ? NULL
		: "the name of a [disk NAME] of the same VM with media = cdrom";
}

// What a CD drive, or a disc, cannot be.
static const char *config_cdrom_problem(const struct config *config, uint32_t index,
	const char **key)
{
	static const char *const problems[CONFIG_DISK_INTERFACES] = {
		[CONFIG_DISK_VIRTIO] = "ide where media = cdrom, got virtio",
		[CONFIG_DISK_AHCI] = "ide where media = cdrom, got ahci",
		[CONFIG_DISK_USB] = "ide where media = cdrom, got usb"};
	const struct config_disk *disk = &config->disks[index];

	*key = "media";
	if (disk->media != CONFIG_MEDIA_CDROM)
		return "cdrom beside drive, got disk";
	*key = "snapshot";
	if (disk->snapshot)
		return "off where media = cdrom, got on";
	*key = "plugged";
	if (!disk->plugged)
		return "on where media = cdrom, got off";
	*key = "dataplane";
	if (disk->dataplane != 0)
		return "no such key where media = cdrom, got one";
	if (disk->drive[0] != '\0')
		return config_disc_problem(config, index, key);
	*key = "interface";
	return problems[disk->interface];
}

const char *config_disk_problem(const struct config *config, uint32_t index, const char **key)
{
	static const char *const bps[] = {"bps", "bps_max"}, *const iops[] = {"iops", "iops_max"};
	const struct config_disk *disk = &config->disks[index];
	const char *problem;

	*key = "medium";
	if (disk->medium.kind == CONFIG_MEDIUM_RAM && disk->medium.bytes == 0 &&
		(disk->media != CONFIG_MEDIA_CDROM || disk->drive[0] != '\0'))
		return "this key in the section, got none";
	problem = disk->media == CONFIG_MEDIA_CDROM || disk->drive[0] != '\0'
		? config_cdrom_problem(config, index, key) : NULL;
	if (problem == NULL && disk->interface == CONFIG_DISK_USB)
		problem = config_usb_problem(config, index, key);
	else if (problem == NULL && disk->interface != CONFIG_DISK_VIRTIO)
		problem = config_controller_problem(config, index, key);
	if (problem != NULL)
		return problem;
	*key = "snapshot";
	if (disk->snapshot && disk->readonly)
		return "off where readonly = on, got on";
	*key = "snapshot_memory";
	if (disk->snapshot_memory != 0 && !disk->snapshot)
		return "snapshot = on beside it";
	problem = config_limit_problem(&disk->bps, bps, key);
	return problem != NULL ? problem : config_limit_problem(&disk->iops, iops, key);
}

uint32_t config_vm_index(const struct config *config, const char *name)
{
	uint32_t vm = 0;

	while (vm < config->vm_count && strcmp(config->vms[vm].name, name) != 0)
		vm++;
	return vm;
}

const char *config_parse_media(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {[CONFIG_MEDIA_DISK] = "disk",
		[CONFIG_MEDIA_CDROM] = "cdrom"};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "disk or cdrom";
}

const char *config_parse_interface(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {[CONFIG_DISK_VIRTIO] = "virtio",
		[CONFIG_DISK_IDE] = "ide", [CONFIG_DISK_AHCI] = "ahci", [CONFIG_DISK_USB] = "usb"};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL
		: "virtio, ide, ahci or usb";
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
