// SPDX-License-Identifier: BSD-2-Clause
// Which keys the sections of reprise.ini have, by their kinds. What they mean: boot/config.h.
#include "boot/config_keys.h"

#include "boot/config.h"

#define CONFIG_KEY(type, member, name_, parse_, required_)                                         \
	{                                                                                          \
		.name = (name_), .parse = (parse_), .offset = (uint32_t)offsetof(type, member),    \
		.bytes = (uint32_t)sizeof(((type *)0)->member), .is_required = (required_)         \
	}
#define CONFIG_HOST_KEY(member, name, parse)                                                       \
	CONFIG_KEY(struct config_host, member, name, parse, false)
#define CONFIG_VM_KEY(member, name, parse)                                                         \
	CONFIG_KEY(struct config_vm, member, name, parse, false)
#define CONFIG_VM_MUST(member, name, parse)                                                        \
	CONFIG_KEY(struct config_vm, member, name, parse, true)

static const struct config_key host_keys[] = {
	CONFIG_HOST_KEY(log_level, "log", config_parse_log),
	CONFIG_HOST_KEY(debug_exit, "debug_exit", config_parse_debug_exit),
	CONFIG_HOST_KEY(cpus, "cpus", config_parse_cpus),
	CONFIG_HOST_KEY(cpus_from, "cpus_from", config_parse_cpus_from),
	CONFIG_HOST_KEY(quit_on_exit, "quit_on_exit", config_parse_bool),
	CONFIG_HOST_KEY(start_in_monitor, "console", config_parse_console),
};

static const struct config_key vm_keys[] = {
	CONFIG_VM_MUST(memory_bytes, "memory", config_parse_memory),
	CONFIG_VM_KEY(vcpus, "vcpus", config_parse_vcpus),
	CONFIG_VM_KEY(tsc_khz, "tsc_khz", config_parse_tsc_khz),
	CONFIG_VM_KEY(pin, "pin", config_parse_pin),
	CONFIG_VM_KEY(machine, "machine", config_parse_machine),
	CONFIG_VM_KEY(firmware, "firmware", config_parse_firmware),
	CONFIG_VM_KEY(pflash, "pflash", config_parse_region),
	CONFIG_VM_KEY(kernel, "kernel", config_parse_path),
	CONFIG_VM_KEY(initrd, "initrd", config_parse_path),
	CONFIG_VM_KEY(cmdline, "cmdline", config_parse_text),
	CONFIG_VM_KEY(x2apic, "x2apic", config_parse_bool),
	CONFIG_VM_KEY(display, "display", config_parse_display),
	CONFIG_VM_KEY(debugcon, "debugcon", config_parse_debugcon),
	CONFIG_VM_KEY(debug_exit, "isa_debug_exit", config_parse_bool),
	CONFIG_VM_KEY(balloon, "balloon", config_parse_bool),
	CONFIG_VM_KEY(console_device, "console_device", config_parse_console_device),
	CONFIG_VM_KEY(rng, "rng", config_parse_bool),
	CONFIG_VM_KEY(hpet, "hpet", config_parse_bool),
	CONFIG_VM_KEY(usb, "usb", config_parse_usb),
	CONFIG_VM_KEY(rtc_base, "rtc_base", config_parse_rtc),
	CONFIG_VM_KEY(autostart, "autostart", config_parse_bool),
	CONFIG_VM_KEY(recordable, "recordable", config_parse_bool),
	CONFIG_VM_KEY(rr, "rr", config_parse_rr),
	CONFIG_VM_KEY(rrbeacon, "rrbeacon", config_parse_beacon),
	CONFIG_VM_KEY(rrfile, "rrfile", config_parse_rr_file),
	CONFIG_VM_KEY(step, "step", config_parse_step),
	CONFIG_VM_KEY(landing_test, "landing_test", config_parse_landing),
	CONFIG_VM_KEY(landing_trace, "landing_trace", config_parse_bool),
	CONFIG_VM_KEY(hardware_shaped, "hardware_shaped", config_parse_seed),
	CONFIG_VM_KEY(test_disk, "test_disk", config_parse_test_disk),
	CONFIG_VM_KEY(test_disk_delay, "test_disk_delay", config_parse_seed),
	CONFIG_VM_KEY(save_load, "test_save_load", config_parse_count),
	CONFIG_VM_KEY(save_load_memory, "test_save_load_memory", config_parse_count),
};

#define CONFIG_DISK_KEY(member, name, parse, required)                                             \
	CONFIG_KEY(struct config_disk, member, name, parse, required)
static const struct config_key disk_keys[] = {
	CONFIG_DISK_KEY(vm, "vm", config_parse_name, true),
	CONFIG_DISK_KEY(medium, "medium", config_parse_medium, false),
	CONFIG_DISK_KEY(media, "media", config_parse_media, false),
	CONFIG_DISK_KEY(drive, "drive", config_parse_name, false),
	CONFIG_DISK_KEY(interface, "interface", config_parse_interface, false),
	CONFIG_DISK_KEY(readonly, "readonly", config_parse_bool, false),
	CONFIG_DISK_KEY(plugged, "plugged", config_parse_bool, false),
	CONFIG_DISK_KEY(snapshot, "snapshot", config_parse_bool, false),
	CONFIG_DISK_KEY(snapshot_memory, "snapshot_memory", config_parse_overlay, false),
	CONFIG_DISK_KEY(bps.average, "bps", config_parse_rate, false),
	CONFIG_DISK_KEY(bps.burst, "bps_max", config_parse_rate, false),
	CONFIG_DISK_KEY(bps.burst_seconds, "bps_max_length", config_parse_burst, false),
	CONFIG_DISK_KEY(iops.average, "iops", config_parse_rate, false),
	CONFIG_DISK_KEY(iops.burst, "iops_max", config_parse_rate, false),
	CONFIG_DISK_KEY(iops.burst_seconds, "iops_max_length", config_parse_burst, false),
	CONFIG_DISK_KEY(dataplane, "dataplane", config_parse_dataplane, false),
	CONFIG_DISK_KEY(delay, "test_delay", config_parse_seed, false),
};

#define CONFIG_NIC_KEY(member, name, parse, required)                                              \
	CONFIG_KEY(struct config_nic, member, name, parse, required)
static const struct config_key nic_keys[] = {
	CONFIG_NIC_KEY(vm, "vm", config_parse_name, true),
	CONFIG_NIC_KEY(network, "switch", config_parse_name, false),
	CONFIG_NIC_KEY(mac, "mac", config_parse_mac, false),
	CONFIG_NIC_KEY(model, "model", config_parse_nic_model, false),
};

#define CONFIG_KEYS(kind)                                                                          \
	const struct config_keys config_##kind##_keys = {kind##_keys, ARRAY_COUNT(kind##_keys)};   \
	_Static_assert(ARRAY_COUNT(kind##_keys) <= CONFIG_KEYS_MAX, "lines")

CONFIG_KEYS(host);
CONFIG_KEYS(vm);
CONFIG_KEYS(disk);
CONFIG_KEYS(nic);
