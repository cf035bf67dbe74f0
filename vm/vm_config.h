// SPDX-License-Identifier: BSD-2-Clause
// What a machine is made of: the configuration's, as vm/ takes it.
#ifndef VM_VM_CONFIG_H
#define VM_VM_CONFIG_H

#include "kernel/base/types.h"
#include "vm/guest_ram.h"
#include "vm/random_seed.h"
#include "vm/throttle.h"

enum {
	VM_NAME_MAX = 32,
	VM_VCPUS_MAX = 64,
	VM_DEVICES_MAX = 40,
	VM_DISKS_MAX = 8,
	VM_NICS_MAX = 4,
	VM_DEVICE_TIMERS_MAX = 4,
	VM_LAST_EXITS = 16,
	VM_REPORTS_MAX = 16,
	VM_RESETS_TOLD = 16, // a guest can reset itself, or panic, as often as it likes
};

enum { VM_PIN_ANY = 0xff };

// Test facilities that keep a machine's position: docs/configuration.md.
struct landing_config {
	bool step_all;                  // every instruction is a single step
	uint64_t step_from, step_count; // those between these ticks are
	uint64_t test_seed, test_count; // stops at random positions
	uint64_t shape_seed;            // not 0: as hardware counts, with skid
	bool trace;                     // tells each of those positions
};

// Recording and replaying. The names and their meanings are QEMU's where it has them.
enum vm_rr_mode { VM_RR_NONE, VM_RR_RECORD, VM_RR_REPLAY };
enum vm_rr_sink {
	VM_RR_SINK_NONE,
	VM_RR_SINK_RAM,       // the last `bytes`
	VM_RR_SINK_DISK,      // all of host disk `disk`, or `name` where it has one
	VM_RR_SINK_PARTITION, // `name`: the label or GUID of a GPT partition
	VM_RR_SINK_FILE,      // `name`: a path on the ESP
};
struct vm_rr {
	uint8_t mode; // enum vm_rr_mode
	uint8_t sink; // enum vm_rr_sink
	uint32_t disk;
	uint64_t bytes;
	uint64_t beacon_ticks; // from one to the next; 0: as the recorder likes
	const char *name;
};

// What the machine has before its medium.
enum vm_disk_kind {
	VM_DISK_TEST,   // emul/test_disk.h: one at most
	VM_DISK_VIRTIO, // emul/virtio_blk.h
	VM_DISK_IDE,    // emul/ide.h: IDE_DRIVES at most, not readonly but for CD drives
	VM_DISK_AHCI,   // emul/ahci.h: AHCI_PORTS at most, not readonly
	VM_DISK_DISC,   // nothing: it lies beside a CD drive
	VM_DISK_USB,    // emul/usb_storage.h: UHCI_DISKS at most
};

// A region that is some disk's medium. It outlives machines.
struct vm_disk_region {
	struct region *region;
	const char *source; // as the configuration has it: "partition:root"
	uint64_t hash;      // of what it holds, as logs have it
	bool hash_known;    // it is that, and nobody has written since
	uint32_t commits;   // so often an overlay has been written there
};

struct vm_disk_config {
	const char *name;
	struct vm_disk_region *region; // NULL: the medium is in RAM
	uint64_t bytes; // a multiple of 512; the region's; 0: of a CD drive with no disc in it
	const uint8_t *image; // what it holds at the machine's creation, and zeros behind it
	uint64_t image_bytes;
	uint64_t overlay_bytes; // what is written stays in memory, up to so much; 0: it does not
	struct throttle_config throttle;
	uint64_t seed;        // of the times that requests take; 0: none
	uint8_t kind;         // enum vm_disk_kind
	uint8_t plane;        // the core of its data plane; VM_PIN_ANY: none
	bool readonly;
	bool unplugged;       // of VM_DISK_VIRTIO: its slot is empty at first
	bool is_cd;           // a CD drive and the disc that is in it at first, or a disc; readonly
	const char *drive;    // of VM_DISK_DISC: the disk that is the drive it lies beside
};

// The flash with firmware's variables, below the firmware; the firmware's is one too then.
struct vm_flash_config {
	const uint8_t *image; // what a new one holds; NULL: there is none
	uint64_t bytes;
	const char *region; // what keeps it: a name for region_open
	bool detached;      // a replay: the region is left alone
	uint64_t hash;      // of such a one: of what the log has in it at first
};

// Nothing that is done there is waited for.
static inline bool vm_disk_is_memory(const struct vm_disk_config *disk)
{
	return disk->region == NULL && disk->overlay_bytes == 0;
}

struct vm_nic_config {
	const char *name;
	const char *network; // the name of its switch, shorter than SWITCH_NAME_MAX
	uint8_t mac[6];
};

// Whether RDTSC takes some of the machine's time, beside its tick: it does where it exits, for who
// waits by it would go round very often else. A replay has to do as the recording did.
enum vm_rdtsc { VM_RDTSC_AS_IT_EXITS, VM_RDTSC_FREE, VM_RDTSC_TAKES_TIME };

// Its board: vm/pc_board.h.
enum vm_machine { VM_MACHINE_PC, VM_MACHINE_Q35 };

// What the machine shows its text and pictures on.
enum vm_display { VM_DISPLAY_NONE, VM_DISPLAY_VGA };

// The order is that of enum uhci_device.
enum vm_usb { VM_USB_KEYBOARD, VM_USB_TABLET, VM_USB_MOUSE, VM_USB_HUB, VM_USB_DEVICES };

// Pointers must stay valid as long as the machine: a reset loads the kernel again.
struct vm_config {
	const char *name;
	uint64_t memory_bytes; // multiple of 2 MiB
	// What the guest begins with: the image of a firmware, vm_firmware_fits, or else a kernel.
	const uint8_t *firmware; // NULL: none
	uint64_t firmware_bytes;
	const char *firmware_name;
	uint16_t pm_base; // where it puts the ports of power management; 0: ACPI_PM_BASE
	const uint8_t *kernel;
	uint64_t kernel_bytes;
	const uint8_t *initrd; // NULL: none
	uint64_t initrd_bytes;
	const char *cmdline;
	uint32_t vcpus;    // 1 to VM_VCPUS_MAX
	uint64_t tsc_hz;   // of the guest's TSC, at most LAPIC_TSC_HZ_MAX; 0: as the host's
	// The core of each vcpu, below cpu_count(); VM_PIN_ANY: the one with the fewest vcpus.
	uint8_t pin[VM_VCPUS_MAX];
	bool x2apic;
	uint8_t machine; // enum vm_machine
	uint8_t display; // enum vm_display
	const uint8_t *display_rom; // its BIOS; NULL: none
	uint64_t display_rom_bytes; // at most VGA_ROM_BYTES
	uint16_t debugcon; // port of a debug console; 0: none
	bool debug_exit; // isa-debug-exit at port 0x501
	bool rng;        // emul/virtio_rng.h
	// Behind emul/uhci.h, enum vm_usb, each once, and more than 2 with a hub; 0: none of it.
	uint8_t usb_count, usb[VM_USB_DEVICES];
	bool balloon;    // emul/virtio_balloon.h
	bool virtio_console; // emul/virtio_console.h, which typed characters go to
	bool hpet;           // emul/hpet.h
	uint64_t rtc_epoch; // seconds since 1970 at creation
	// Its execution can be repeated to the instruction: its time is its position, and its CPU
	// has nothing that would not be the same again (docs/replay_determinism.md). `rr` and
	// `landing` imply it: vm_config_keeps_position.
	bool recordable;
	const struct cpuid_frozen *cpu; // of a recordable one: what its CPU is; NULL: the host's
	struct vm_rr rr;
	struct landing_config landing;
	struct vm_flash_config flash;
	uint32_t disk_count;
	struct vm_disk_config disks[VM_DISKS_MAX];
	uint32_t nic_count;
	struct vm_nic_config nics[VM_NICS_MAX];
	struct random_seed random_seed; // vm_create makes one where there is none
	uint8_t rdtsc; // enum vm_rdtsc, of a machine whose position is kept
	// A test facility: see vm/save_load_test.h. 0: not used.
	uint32_t save_load_exits;  // after how many exits the machine is saved and loaded
	uint32_t save_load_memory; // every how many of these times its memory is too; 0: never
	// Characters of the guest's serial port and debug console. On any core, under the device
	// lock.
	void (*output)(void *owner, const uint8_t *bytes, size_t count);
	// The machine ended. On its home, which must not be made to wait. May be NULL.
	void (*ended)(void *owner);
	void *owner;
};

// Nor is a request delayed.
static inline bool vm_disk_is_at_once(const struct vm_disk_config *disk)
{
	return vm_disk_is_memory(disk) && !throttle_is_there(&disk->throttle);
}

// A disk that goes on changing whatever becomes of the machine, so that no snapshot can keep it and
// no log begin with it; NULL: there is none.
static inline const struct vm_disk_config *vm_disk_not_kept(const struct vm_config *config)
{
	for (uint32_t i = 0; i < config->disk_count; i++)
		if (config->disks[i].region != NULL && !config->disks[i].readonly &&
			config->disks[i].overlay_bytes == 0)
			return &config->disks[i];
	return NULL;
}

// Whole pages, from what is seen below 1 MiB up.
static inline bool vm_firmware_fits(uint64_t bytes)
{
	return bytes % PAGE_BYTES == 0 && bytes >= GUEST_ROM_END - GUEST_BIOS_START &&
		bytes <= GUEST_FIRMWARE_MAX;
}

#endif
