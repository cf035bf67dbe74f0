// SPDX-License-Identifier: BSD-2-Clause
// reprise.ini: the whole configuration, parsed and validated before anything starts.
#ifndef BOOT_CONFIG_H
#define BOOT_CONFIG_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum {
	CONFIG_NAME_MAX = 32,      // of a VM, with the terminating zero
	CONFIG_PATH_MAX = 128,
	CONFIG_REGION_MAX = CONFIG_PATH_MAX + 5, // file:PATH, or a shorter name
	CONFIG_CMDLINE_MAX = 2048, // Linux's limit on x86
	CONFIG_VCPUS_MAX = 64,
	CONFIG_VMS_MAX = 16,
	CONFIG_DISKS_MAX = 32,
	CONFIG_VM_DISKS_MAX = 8, // of one VM, the one for tests included
	CONFIG_NICS_MAX = 32,
	CONFIG_VM_NICS_MAX = 4, // of one VM
	CONFIG_MAC_BYTES = 6,
	CONFIG_CPUS_MAX = 64,
	CONFIG_ERROR_MAX = 512,
};

#define CONFIG_FILE_NAME "reprise.ini"

// rtc_base = host: the VM's clock starts with the host's.
#define CONFIG_RTC_HOST UINT64_MAX

enum config_log_level {
	CONFIG_LOG_ERROR,
	CONFIG_LOG_WARN,
	CONFIG_LOG_INFO,
	CONFIG_LOG_DEBUG,
};

// In the order of enum smp_source.
enum config_cpus_from {
	CONFIG_CPUS_AUTO,
	CONFIG_CPUS_ACPI,
	CONFIG_CPUS_MP,
	CONFIG_CPUS_PROBE,
};

// [reprise]
struct config_host {
	uint32_t log_level;  // log = error|warn|info|debug, enum config_log_level; default info
	uint32_t debug_exit; // debug_exit = PORT|bochs|0: as kernel/debug_exit.h; default none
	uint32_t cpus;       // cpus = N: to use at most, 1 to CONFIG_CPUS_MAX; default: the most
	uint32_t cpus_from;  // cpus_from = auto|acpi|mp|probe, enum config_cpus_from; default auto
	bool quit_on_exit;   // quit_on_exit = on|off: leave when the last VM has ended; default off
	bool start_in_monitor; // console = guest|monitor: what has it first; default guest
};

// pin = LIST
struct config_pin {
	uint32_t line;  // of the key, for messages
	uint32_t count; // of `cpus`: as many as the VM has vcpus; 0: no such key
	uint8_t cpus[CONFIG_VCPUS_MAX]; // host CPUs, below CONFIG_CPUS_MAX, by vcpu
};

enum { CONFIG_TEST_DISK_MAX = 1 << 20 }; // bytes

// FIRST:SECOND, two numbers.
struct config_pair {
	uint64_t first, second;
};
#define CONFIG_STEP_ALL ((struct config_pair){0, UINT64_MAX})

// rr = none|record|replay, in the order of enum vm_rr_mode.
enum config_rr { CONFIG_RR_NONE, CONFIG_RR_RECORD, CONFIG_RR_REPLAY };

// rrfile = ram:SIZE|disk:NAME|partition:NAME|file:PATH, in the order of enum vm_rr_sink.
enum config_rr_sink {
	CONFIG_RR_SINK_NONE, // no such key
	CONFIG_RR_SINK_RAM,
	CONFIG_RR_SINK_DISK,
	CONFIG_RR_SINK_PARTITION,
	CONFIG_RR_SINK_FILE,
};
struct config_rr_file {
	uint32_t sink; // enum config_rr_sink
	uint32_t disk; // its number, if there is no name
	uint64_t bytes;
	char name[CONFIG_PATH_MAX]; // the disk's, the partition's label or GUID, or the path
};

enum { CONFIG_DEBUGCON_PORT = 0xe9 };

enum config_firmware { CONFIG_FIRMWARE_NONE, CONFIG_FIRMWARE_SEABIOS, CONFIG_FIRMWARE_OVMF };

struct config_vm;

// The boot file that a machine's firmware is; NULL: none.
const char *config_firmware_path(const struct config_vm *vm);
// The one with the variables that a new flash has; NULL: it has no flash.
const char *config_flash_path(const struct config_vm *vm);
// Where it puts the ports of ACPI's power management; 0: none does, or where the board has them.
uint16_t config_firmware_pm_base(const struct config_vm *vm);

// usb = DEVICE, ..., in the order of enum vm_usb.
enum config_usb_device { CONFIG_USB_KEYBOARD, CONFIG_USB_TABLET, CONFIG_USB_MOUSE, CONFIG_USB_HUB,
	CONFIG_USB_DEVICES };
struct config_usb {
	uint32_t count;
	uint8_t devices[CONFIG_USB_DEVICES]; // enum config_usb_device, as they are listed
};

enum config_console { CONFIG_CONSOLE_UART, CONFIG_CONSOLE_VIRTIO };

enum config_machine { CONFIG_MACHINE_PC, CONFIG_MACHINE_Q35 };

enum config_display { CONFIG_DISPLAY_NONE, CONFIG_DISPLAY_VGA };

// The boot file with the display's BIOS, which SeaBIOS alone runs; NULL: none is needed.
const char *config_display_path(uint32_t display, uint32_t firmware);

// [vm NAME]. Paths are as path_normalize leaves them: the names of boot files.
struct config_vm {
	char name[CONFIG_NAME_MAX];
	uint32_t line;         // of the section header, for messages
	uint64_t memory_bytes; // memory = SIZE (K, M, G; 2 MiB steps); required
	uint32_t vcpus;        // vcpus = 1 to 64; default 1
	uint32_t tsc_khz;      // tsc_khz = 1000 to 10000000, or host (0); default host
	struct config_pin pin; // pin = host CPUs as in 0,2-3; default: spread
	uint32_t machine;  // machine = pc|q35, enum config_machine; default pc
	uint32_t firmware; // firmware = none|seabios|ovmf, enum config_firmware; default none
	char pflash[CONFIG_REGION_MAX]; // pflash = REGION, with ovmf alone; may be empty
	// kernel = PATH on the ESP: required without firmware; with it, none of these three.
	char kernel[CONFIG_PATH_MAX];
	char initrd[CONFIG_PATH_MAX]; // initrd = PATH; may be empty
	char cmdline[CONFIG_CMDLINE_MAX]; // cmdline = the rest of the line; may be empty
	bool x2apic;       // x2apic = on|off; default on
	uint32_t display;  // display = none|vga, enum config_display; default none
	uint32_t debugcon; // debugcon = on|off|PORT, to the VM's console; on: 0xE9; default off
	bool debug_exit;   // isa_debug_exit = on|off: port 0x501 ends the VM; default off
	uint32_t console_device; // console_device = uart|virtio, enum config_console; default uart
	bool balloon;      // balloon = on|off: a virtio memory balloon; default off
	bool rng;          // rng = on|off: a virtio entropy device; default off
	bool hpet;         // hpet = on|off: high precision event timers; default on
	struct config_usb usb; // usb = DEVICE, ...; default: no controller
	uint64_t rtc_base; // rtc_base = SECONDS since 1970, or host (CONFIG_RTC_HOST); default host
	bool autostart;    // autostart = on|off; default on
	bool recordable;   // recordable = on|off; default on where there is `rr`, else off
	uint32_t rr;       // enum config_rr; default none
	struct config_rr_file rrfile;
	uint64_t rrbeacon; // rrbeacon = TICKS between beacons; default 0: the recorder's
	// Test facilities. step = off, all or FROM:COUNT (ticks); default off.
	struct config_pair step; // all: CONFIG_STEP_ALL
	struct config_pair landing_test; // landing_test = SEED:COUNT; default none
	bool landing_trace;       // landing_trace = on|off; default off
	uint64_t hardware_shaped; // hardware_shaped = SEED from 1; default 0: off
	uint64_t test_disk;       // test_disk = SIZE up to 1M, 4K steps; default 0: none
	uint64_t test_disk_delay; // test_disk_delay = SEED from 1; default 0: none
	uint32_t save_load;        // test_save_load = N exits, 0: off; default 0
	uint32_t save_load_memory; // test_save_load_memory = every Nth time, 0: never; default 1
};

enum config_medium_kind {
	CONFIG_MEDIUM_RAM,    // zeros
	CONFIG_MEDIUM_IMAGE,  // what a file of the ESP holds, in RAM
	CONFIG_MEDIUM_REGION, // of a disk of the host
};

// medium = ram:SIZE|image:PATH|disk:NAME|partition:NAME|file:PATH
struct config_medium {
	uint32_t kind;  // enum config_medium_kind
	uint64_t bytes; // of ram:, in steps of 512
	char path[CONFIG_PATH_MAX];  // of image:
	char region[CONFIG_PATH_MAX + 8]; // as drivers/region.h has it: "partition:root"
};

// NAME = RATE a second, NAME_max, NAME_max_length = SECONDS; default 0: none
struct config_limit {
	uint64_t average, burst, burst_seconds;
};

enum config_media { CONFIG_MEDIA_DISK, CONFIG_MEDIA_CDROM };

enum config_disk_interface {
	CONFIG_DISK_VIRTIO,
	CONFIG_DISK_IDE,
	CONFIG_DISK_AHCI,
	CONFIG_DISK_USB,
	CONFIG_DISK_INTERFACES
};

// [disk NAME]
struct config_disk {
	char name[CONFIG_NAME_MAX];
	uint32_t line;            // of the section header, for messages
	char vm[CONFIG_NAME_MAX]; // vm = NAME: whose it is; required
	struct config_medium medium; // required, but for a CD drive: of ram and no bytes then
	uint32_t media;           // media = disk|cdrom: enum config_media; default disk
	char drive[CONFIG_NAME_MAX]; // drive = DISK, a CD drive: a disc that lies beside it
	// interface = virtio|ide|ahci|usb: config_disk_interface; default virtio
	uint32_t interface;
	bool readonly;            // readonly = on|off; default off
	bool plugged;             // plugged = on|off: when the machine is created; default on
	bool snapshot;            // snapshot = on|off: writes stay in memory; default off
	uint64_t snapshot_memory; // snapshot_memory = SIZE up to which they do; default 256M
	struct config_limit bps, iops;
	uint32_t dataplane;       // dataplane = CPU of the host, plus 1; default 0: none
	uint64_t delay;           // test_delay = SEED from 1; default 0: none
};

enum config_nic_model { CONFIG_NIC_VIRTIO };

// [nic NAME]
struct config_nic {
	char name[CONFIG_NAME_MAX];
	uint32_t line;            // of the section header, for messages
	char vm[CONFIG_NAME_MAX]; // vm = NAME: whose it is; required
	char network[CONFIG_NAME_MAX]; // switch = NAME; default "lan"
	// mac = XX:XX:XX:XX:XX:XX; default one that follows from the names of VM and NIC.
	uint8_t mac[CONFIG_MAC_BYTES];
	uint32_t model;           // model = virtio, enum config_nic_model; default virtio
};

struct config {
	struct config_host host;
	uint32_t vm_count;
	struct config_vm vms[CONFIG_VMS_MAX];
	uint32_t disk_count;
	struct config_disk disks[CONFIG_DISKS_MAX];
	uint32_t nic_count;
	struct config_nic nics[CONFIG_NICS_MAX];
};

// The configuration of this boot, for whichever code parses it: under UEFI first to learn which
// files to load, and again by the kernel.
extern struct config boot_config;

// The number of VMs: there is none of that name.
uint32_t config_vm_index(const struct config *config, const char *name);
// NULL, or what was expected of *key where keys of a [disk NAME] do not go together, or not with
// those of the disks before it.
const char *config_disk_problem(const struct config *config, uint32_t index, const char **key);

// Parses `text`. On failure `error` holds one line that names file, line, key and what was
// expected, like: reprise.ini:7: memory: expected a size such as 512M, got "lots"; *config then
// holds unspecified values. STATUS_BAD_FORMAT: not INI. STATUS_INVALID: anything else.
// It needs nothing of the kernel, not even a stack of more than a few hundred bytes.
must_check enum status config_parse(const char *file_name, const char *text, size_t bytes,
	struct config *config, char error[CONFIG_ERROR_MAX]);

#endif
