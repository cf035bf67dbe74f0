// SPDX-License-Identifier: BSD-2-Clause
// The keys of each kind of section: where a value goes, and who parses it.
#ifndef BOOT_CONFIG_KEYS_H
#define BOOT_CONFIG_KEYS_H

#include "boot/config_values.h"
#include "kernel/base/types.h"

enum { CONFIG_KEYS_MAX = 48 }; // per section

struct config_key {
	const char *name;
	config_parse_value *parse;
	uint32_t offset; // in the section's struct
	uint32_t bytes;
	bool is_required;
};

struct config_keys {
	const struct config_key *first;
	size_t count;
};

extern const struct config_keys config_host_keys, config_vm_keys, config_disk_keys, config_nic_keys;

#endif
