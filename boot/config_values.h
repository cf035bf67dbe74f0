// SPDX-License-Identifier: BSD-2-Clause
// The values of configuration keys, by type.
#ifndef BOOT_CONFIG_VALUES_H
#define BOOT_CONFIG_VALUES_H

#include "boot/ini.h"
#include "kernel/base/types.h"

// Writes the value to `field` of `capacity` bytes. Returns NULL, or what was expected instead.
typedef const char *config_parse_value(struct ini_slice value, void *field, size_t capacity);

config_parse_value config_parse_bool, config_parse_console, config_parse_console_device,
	config_parse_count, config_parse_cpus, config_parse_cpus_from, config_parse_debug_exit,
	config_parse_debugcon, config_parse_display, config_parse_firmware,
	 config_parse_log, config_parse_machine, config_parse_memory,
	config_parse_path, config_parse_pin, config_parse_rtc, config_parse_test_disk,
	config_parse_text, config_parse_tsc_khz, config_parse_vcpus;
// Of recording: config_rr.c.
config_parse_value config_parse_rr, config_parse_rr_file, config_parse_beacon;
// Of whatever is kept on a host disk: config_region.c.
config_parse_value config_parse_region;
// Of disks: config_disk.c.
config_parse_value config_parse_burst, config_parse_dataplane, config_parse_interface,
	config_parse_media, config_parse_medium, config_parse_name, config_parse_overlay,
	config_parse_rate;
// Of USB devices: config_usb.c.
config_parse_value config_parse_usb;
// Of network devices: config_nic.c.
config_parse_value config_parse_mac, config_parse_nic_model;
// Of the test facilities for positions: config_landing.c.
config_parse_value config_parse_step, config_parse_landing, config_parse_seed;

struct config;
struct config_nic;

// As config_disk_problem, of a disk with interface = usb.
const char *config_usb_problem(const struct config *config, uint32_t index, const char **key);

// Gives a NIC that has no address one of its own: locally administered, and the same in every boot.
void config_nic_address(struct config_nic *nic);

// The number at the start of `value`, decimal or 0x...; *count receives its length, 0 where there
// is none or it does not fit.
uint64_t config_number(struct ini_slice value, size_t *count);

// Whether the whole of `value` is a number from min to max, which *number receives then.
bool config_number_between(struct ini_slice value, uint64_t min, uint64_t max, uint64_t *number);

// Writes the index of `value` in `words` to a field of 32 bits where it is among them.
bool config_word(struct ini_slice value, const char *const *words, uint32_t count, void *field);

// A number with K, M or G, or none of them. Returns NULL, or what was expected instead.
const char *config_size(struct ini_slice value, uint64_t *bytes);

#endif
