// SPDX-License-Identifier: BSD-2-Clause
// What a log says of the machine that was recorded, and a replay demands of the one here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "replay/hash.h"
#include "replay/session.h"

enum { HEX_WORD = 16, HEX_BYTES = RANDOM_SEED_WORDS * HEX_WORD + 1 };

static const char seed_name[] = "rng_seed";

static void seed_describe(const struct random_seed *seed, struct log_header *header)
{
	char hex[HEX_BYTES];

	for (unsigned i = 0; i < RANDOM_SEED_WORDS; i++)
		snprintf(hex + i * HEX_WORD, HEX_WORD + 1, "%016llx",
			(unsigned long long)seed->words[i]);
	if (seed->is_there)
		log_header_add_text(header, seed_name, hex);
}

void header_seed(const struct log_header *header, struct random_seed *seed)
{
	const struct log_setting *setting = log_header_setting(header, seed_name);
	char word[HEX_WORD + 1] = "";
	const char *hex;

	seed->is_there = false;
	if (setting == NULL || !setting->is_text)
		return;
	hex = &header->texts[setting->text];
	if (strlen(hex) != HEX_BYTES - 1)
		return;
	for (unsigned i = 0; i < RANDOM_SEED_WORDS; i++) {
		memcpy(word, hex + i * HEX_WORD, HEX_WORD);
		seed->words[i] = strtoull(word, NULL, 16);
	}
	seed->is_there = true;
}

// The disk that is the drive of a disc, counted from 1; 0: it is none.
static uint32_t drive_of(const struct vm_config *config, const struct vm_disk_config *disk)
{
	for (uint32_t i = 0; i < config->disk_count && disk->kind == VM_DISK_DISC; i++)
		if (strcmp(config->disks[i].name, disk->drive) == 0)
			return i + 1;
	return 0;
}

// What a disk held at first is as much an input as the kernel.
static void disks_describe(const struct vm_config *config, struct log_header *header)
{
	for (uint32_t i = 0; i < config->disk_count; i++) {
		const struct vm_disk_config *disk = &config->disks[i];
		char name[LOG_NAME_MAX];

		snprintf(name, sizeof(name), "disk%u", (unsigned)i);
		log_header_add_number(header, name, disk->bytes);
		snprintf(name, sizeof(name), "disk%u_kind", (unsigned)i);
		log_header_add_number(header, name, disk->kind |
			(uint64_t)disk->readonly << 8 | (uint64_t)disk->unplugged << 9 |
			(uint64_t)(disk->overlay_bytes != 0) << 10 | (uint64_t)disk->is_cd << 11 |
			(uint64_t)drive_of(config, disk) << 12);
		if (disk->region != NULL) {
			ASSERT(disk->region->hash_known); // disks_identify
			snprintf(name, sizeof(name), "disk%u_base", (unsigned)i);
			log_header_add_hash(header, name, disk->region->hash);
		}
		if (disk->image == NULL)
			continue;
		snprintf(name, sizeof(name), "disk%u_image", (unsigned)i);
		log_header_add_hash(header, name, hash_of(disk->image, disk->image_bytes));
	}
}

static void nics_describe(const struct vm_config *config, struct log_header *header)
{
	for (uint32_t i = 0; i < config->nic_count; i++) {
		char name[LOG_NAME_MAX];
		uint64_t mac = 0;

		for (unsigned n = 0; n < sizeof(config->nics[i].mac); n++)
			mac = mac << 8 | config->nics[i].mac[n];
		snprintf(name, sizeof(name), "nic%u_mac", (unsigned)i);
		log_header_add_number(header, name, mac);
	}
}

static const char flash_name[] = "flash";

uint64_t header_flash(const struct log_header *header)
{
	const struct log_hash *hash = log_header_hash(header, flash_name);

	return hash != NULL ? hash->value : 0;
}

// A new one has the image. What this one has at first is in the log; who replays is told.
static void flash_describe(const struct vm *vm, struct log_header *header)
{
	const struct vm_flash_config *config = &vm->config.flash;

	if (config->image == NULL)
		return;
	log_header_add_number(header, flash_name, config->bytes);
	log_header_add_hash(header, "flash_image", hash_of(config->image, config->bytes));
	log_header_add_hash(header, flash_name, config->detached ? config->hash
		: hash_of(flash_contents(vm), config->bytes));
}

// The devices as they are listed: four bits each, from the lowest on.
static uint64_t usb_number(const struct vm_config *config)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < config->usb_count; i++)
		number |= (uint64_t)(config->usb[i] + 1) << 4 * i;
	return number;
}

void header_describe(const struct vm *vm, struct log_header *header)
{
	const struct vm_config *config = &vm->config;

	header->scale = position_source->scale;
	header->tsc_hz = vm->tsc_hz;
	for (uint32_t i = 0; i < vm->cpu.count; i++) {
		const struct cpuid_entry *entry = &vm->cpu.entries[i];
		const struct log_leaf leaf = {entry->leaf, entry->subleaf, {entry->value.eax,
			entry->value.ebx, entry->value.ecx, entry->value.edx}};

		log_header_add_leaf(header, &leaf);
	}
	log_header_add_number(header, "memory", config->memory_bytes);
	log_header_add_number(header, "vcpus", config->vcpus);
	log_header_add_number(header, "rtc_base", config->rtc_epoch);
	log_header_add_number(header, "x2apic", config->x2apic);
	log_header_add_number(header, "debugcon", config->debugcon);
	log_header_add_number(header, "isa_debug_exit", config->debug_exit);
	if (config->rng)
		log_header_add_number(header, "rng", 1);
	if (config->machine != VM_MACHINE_PC)
		log_header_add_number(header, "machine", config->machine);
	if (config->hpet)
		log_header_add_number(header, "hpet", 1);
	if (config->usb_count != 0)
		log_header_add_number(header, "usb", usb_number(config));
	if (config->balloon)
		log_header_add_number(header, "balloon", 1);
	if (config->virtio_console)
		log_header_add_number(header, "virtio_console", 1);
	if (config->display != VM_DISPLAY_NONE)
		log_header_add_number(header, "display", config->display);
	if (config->display_rom != NULL)
		log_header_add_hash(header, "display_rom",
			hash_of(config->display_rom, config->display_rom_bytes));
	flash_describe(vm, header);
	disks_describe(config, header);
	nics_describe(config, header);
	log_header_add_number(header, "rdtsc_ns", landing_rdtsc_ns(vm));
	log_header_add_text(header, "cmdline", config->cmdline);
	seed_describe(&config->random_seed, header);
	if (config->firmware != NULL)
		log_header_add_hash(header, "firmware",
			hash_of(config->firmware, config->firmware_bytes));
	else
		log_header_add_hash(header, "kernel",
			hash_of(config->kernel, config->kernel_bytes));
	if (config->initrd != NULL)
		log_header_add_hash(header, "initrd",
			hash_of(config->initrd, config->initrd_bytes));
}

bool header_cpu(const struct log_header *header, struct cpuid_frozen *cpu,
	char reason[CPUID_REASON_MAX])
{
	struct cpuid_entry entries[CPUID_FROZEN_MAX];

	if (header->leaves_count > CPUID_FROZEN_MAX) {
		snprintf(reason, CPUID_REASON_MAX, "too many leaves of CPUID");
		return false;
	}
	for (uint32_t i = 0; i < header->leaves_count; i++) {
		const struct log_leaf *leaf = &header->leaves[i];

		entries[i] = (struct cpuid_entry){leaf->leaf, leaf->subleaf, {leaf->registers[0],
			leaf->registers[1], leaf->registers[2], leaf->registers[3]}};
	}
	return cpuid_frozen_import(entries, header->leaves_count, cpu, reason) == STATUS_OK;
}
