// SPDX-License-Identifier: BSD-2-Clause
// In three rounds, so that an error in one machine's section is found before another runs: what the
// sections name is looked for, then all machines are created and started on hold, then let go.
#include "boot/machines.h"

#include <string.h>

#include "boot/config.h"
#include "boot/disk_regions.h"
#include "drivers/region.h"
#include "emul/pflash.h"
#include "emul/scsi_abi.h"
#include "emul/vga.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/console.h"
#include "vm/core.h"
#include "vm/flash.h"
#include "vm/machine.h"

enum { DISK_SECTOR_BYTES = 512, OVERLAY_BYTES = 256 << 20 };

const struct boot_file *boot_file_find(const struct boot_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->file_count; i++)
		if (strcmp(info->files[i].name, name) == 0)
			return &info->files[i];
	return NULL;
}

static bool file_exists(const struct boot_info *info, const struct config_vm *vm, const char *key,
	const char *name)
{
	if (boot_file_find(info, name) != NULL)
		return true;
	log_error("%s: [vm %s] (line %u): %s: no such file: %s", CONFIG_FILE_NAME, vm->name,
		vm->line, key, name);
	return false;
}

// Whether any disk's data plane has that CPU.
static bool is_of_a_plane(uint32_t cpu)
{
	for (uint32_t i = 0; i < boot_config.disk_count; i++)
		if (boot_config.disks[i].dataplane == cpu + 1)
			return true;
	return false;
}

static bool planes_are_possible(void)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < cpu_count(); i++) {
		cores[i].reserved = is_of_a_plane(i);
		left += cores[i].usable && !cores[i].reserved;
	}
	for (uint32_t i = 0; i < boot_config.disk_count; i++) {
		const struct config_disk *disk = &boot_config.disks[i];

		if (disk->dataplane <= cpu_count() && (disk->dataplane == 0 || left != 0))
			continue;
		log_error("%s: [disk %s] (line %u): dataplane: expected a host CPU below %u, and "
			"another one for guests, got %u", CONFIG_FILE_NAME, disk->name, disk->line,
			cpu_count(), disk->dataplane - 1);
		return false;
	}
	return true;
}

static bool pin_is_possible(const struct config_vm *vm)
{
	for (uint32_t i = 0; i < vm->pin.count; i++) {
		uint32_t cpu = vm->pin.cpus[i];

		if (cpu >= cpu_count()) {
			log_error("%s:%u: pin: expected host CPUs below %u, as many as are in "
				"use, got %u", CONFIG_FILE_NAME, vm->pin.line, cpu_count(), cpu);
			return false;
		}
		if (cores[cpu].reserved) {
			log_error("%s:%u: pin: expected host CPUs that are no disk's dataplane, "
				"got %u", CONFIG_FILE_NAME, vm->pin.line, cpu);
			return false;
		}
		if (!cores[cpu].usable) {
			log_error("%s:%u: pin: expected host CPUs that can run guests, got %u",
				CONFIG_FILE_NAME, vm->pin.line, cpu);
			return false;
		}
	}
	return true;
}

static bool disk_check(const struct boot_info *info, const struct config_disk *disk)
{
	const struct boot_file *file;

	if (disk->medium.kind != CONFIG_MEDIUM_IMAGE)
		return true;
	file = boot_file_find(info, disk->medium.path);
	if (file != NULL && file->bytes != 0)
		return true;
	log_error("%s: [disk %s] (line %u): medium: %s: %s", CONFIG_FILE_NAME, disk->name,
		disk->line, file == NULL ? "no such file" : "an empty file", disk->medium.path);
	return false;
}

// What a guest begins with.
static bool firmware_check(const struct boot_info *info, const struct config_vm *vm)
{
	const char *path = config_firmware_path(vm);
	const struct boot_file *file;

	if (path == NULL)
		return file_exists(info, vm, "kernel", vm->kernel);
	if (!file_exists(info, vm, "firmware", path))
		return false;
	file = boot_file_find(info, path);
	if (vm_firmware_fits(file->bytes))
		return true;
	log_error("%s: [vm %s] (line %u): firmware: %s: expected a multiple of 4 KiB from 128 KiB "
		"to 8 MiB, got %llu bytes", CONFIG_FILE_NAME, vm->name, vm->line, path,
		(unsigned long long)file->bytes);
	return false;
}

// What a new flash with firmware's variables has in it; and whose that is.
static bool flash_check(const struct boot_info *info, const struct config_vm *vm)
{
	const char *path = config_flash_path(vm);
	const struct boot_file *file;
	uint64_t volume = 0;

	if (path == NULL)
		return true;
	for (const struct config_vm *other = boot_config.vms; other < vm; other++)
		if (strcmp(other->pflash, vm->pflash) == 0) {
			log_error("%s: [vm %s] (line %u): pflash: expected a region that no other "
				"machine has, got %s", CONFIG_FILE_NAME, vm->name, vm->line,
				vm->pflash);
			return false;
		}
	if (!file_exists(info, vm, "pflash", path))
		return false;
	file = boot_file_find(info, path);
	if (file->bytes != 0 && file->bytes % PFLASH_BLOCK_BYTES == 0 &&
		file->bytes <= PFLASH_MEMORY_BYTES &&
		flash_is_volume(file->data, file->bytes, &volume) && volume == file->bytes)
		return true;
	log_error("%s: [vm %s] (line %u): pflash: %s: expected a firmware volume of at most 2 MiB, "
		"as OVMF has it, got something else", CONFIG_FILE_NAME, vm->name, vm->line, path);
	return false;
}

static bool display_check(const struct boot_info *info, const struct config_vm *vm)
{
	const char *path = config_display_path(vm->display, vm->firmware);
	const struct boot_file *file;

	if (path == NULL)
		return true;
	if (!file_exists(info, vm, "display", path))
		return false;
	file = boot_file_find(info, path);
	if (file->bytes != 0 && file->bytes <= VGA_ROM_BYTES)
		return true;
	log_error("%s: [vm %s] (line %u): display: %s: expected at most 64 KiB, got %llu bytes",
		CONFIG_FILE_NAME, vm->name, vm->line, path, (unsigned long long)file->bytes);
	return false;
}

static bool section_check(const struct boot_info *info, const struct config_vm *vm)
{
	return firmware_check(info, vm) && flash_check(info, vm) && display_check(info, vm) &&
		(vm->initrd[0] == '\0' || file_exists(info, vm, "initrd", vm->initrd)) &&
		pin_is_possible(vm);
}

_Static_assert((int)CONFIG_RR_REPLAY == (int)VM_RR_REPLAY, "order");
_Static_assert((int)CONFIG_RR_SINK_FILE == (int)VM_RR_SINK_FILE, "order");

_Static_assert((int)CONFIG_MACHINE_Q35 == (int)VM_MACHINE_Q35, "order");
_Static_assert((int)CONFIG_VM_DISKS_MAX == (int)VM_DISKS_MAX, "bounds");

static struct throttle_limit limit_of(const struct config_limit *limit)
{
	return (struct throttle_limit){.average = limit->average, .burst = limit->burst,
		.burst_seconds = limit->burst_seconds != 0 ? (uint32_t)limit->burst_seconds : 1};
}

static uint8_t disk_kind_of(const struct config_disk *disk)
{
	static const uint8_t kinds[] = {[CONFIG_DISK_VIRTIO] = VM_DISK_VIRTIO,
		[CONFIG_DISK_IDE] = VM_DISK_IDE, [CONFIG_DISK_AHCI] = VM_DISK_AHCI,
		[CONFIG_DISK_USB] = VM_DISK_USB};

	return disk->drive[0] != '\0' ? (uint8_t)VM_DISK_DISC : kinds[disk->interface];
}

static struct vm_disk_config disk_of(const struct boot_info *info, uint32_t index)
{
	const struct config_disk *disk = &boot_config.disks[index];
	const struct boot_file *file = boot_file_find(info, disk->medium.path);
	struct vm_disk_config made = {
		.name = disk->name,
		.bytes = disk->medium.bytes,
		.seed = disk->delay,
		.kind = disk_kind_of(disk),
		.is_cd = disk->media == CONFIG_MEDIA_CDROM,
		.drive = disk->drive,
		.plane = disk->dataplane != 0 ? (uint8_t)(disk->dataplane - 1) : VM_PIN_ANY,
		.readonly = disk->readonly || disk->media == CONFIG_MEDIA_CDROM,
		.unplugged = !disk->plugged,
		.region = disk_region_of(index),
		.throttle = {limit_of(&disk->bps), limit_of(&disk->iops)},
	};

	if (disk->snapshot)
		made.overlay_bytes = disk->snapshot_memory != 0 ? disk->snapshot_memory
								: OVERLAY_BYTES;

	if (made.region != NULL) {
		made.bytes = made.region->region->bytes;
		made.readonly |= made.region->region->read_only && !disk->snapshot;
	}
	if (disk->medium.kind != CONFIG_MEDIUM_IMAGE)
		return made;
	made.image = file->data;
	made.image_bytes = file->bytes;
	made.bytes = ALIGN_UP(file->bytes, made.is_cd ? SCSI_CD_BLOCK_BYTES : DISK_SECTOR_BYTES);
	return made;
}

static void disks_add(const struct boot_info *info, const struct config_vm *vm,
	struct vm_config *config)
{
	if (vm->test_disk != 0)
		config->disks[config->disk_count++] = (struct vm_disk_config){.name = "test",
			.bytes = vm->test_disk, .seed = vm->test_disk_delay, .kind = VM_DISK_TEST,
			.plane = VM_PIN_ANY};
	for (uint32_t i = 0; i < boot_config.disk_count; i++)
		if (strcmp(boot_config.disks[i].vm, vm->name) == 0)
			config->disks[config->disk_count++] = disk_of(info, i);
}

_Static_assert((int)CONFIG_USB_HUB == (int)VM_USB_HUB, "order");
_Static_assert((int)CONFIG_USB_DEVICES == (int)VM_USB_DEVICES, "bounds");

static void usb_add(const struct config_vm *vm, struct vm_config *config)
{
	config->usb_count = (uint8_t)vm->usb.count;
	memcpy(config->usb, vm->usb.devices, sizeof(config->usb));
}

_Static_assert((int)CONFIG_VM_NICS_MAX == (int)VM_NICS_MAX, "bounds");
_Static_assert((int)CONFIG_NAME_MAX == (int)SWITCH_NAME_MAX, "bounds");

static void nics_add(const struct config_vm *vm, struct vm_config *config)
{
	for (uint32_t i = 0; i < boot_config.nic_count; i++) {
		const struct config_nic *nic = &boot_config.nics[i];
		struct vm_nic_config made = {.name = nic->name, .network = nic->network};

		if (strcmp(nic->vm, vm->name) != 0)
			continue;
		memcpy(made.mac, nic->mac, sizeof(made.mac));
		config->nics[config->nic_count++] = made;
	}
}

_Static_assert((int)CONFIG_DISPLAY_VGA == (int)VM_DISPLAY_VGA, "order");

static void display_add(const struct boot_info *info, const struct config_vm *vm,
	struct vm_config *config)
{
	const char *path = config_display_path(vm->display, vm->firmware);
	const struct boot_file *rom = path != NULL ? boot_file_find(info, path) : NULL;

	config->display = (uint8_t)vm->display;
	config->display_rom = rom != NULL ? rom->data : NULL;
	config->display_rom_bytes = rom != NULL ? rom->bytes : 0;
}

static void flash_add(const struct boot_info *info, const struct config_vm *vm,
	struct vm_config *config)
{
	const char *path = config_flash_path(vm);
	const struct boot_file *image = path != NULL ? boot_file_find(info, path) : NULL;

	if (image != NULL)
		config->flash = (struct vm_flash_config){.image = image->data,
			.bytes = image->bytes, .region = vm->pflash};
}

static bool section_add(const struct boot_info *info, const struct config_vm *vm)
{
	const char *firmware_path = config_firmware_path(vm);
	const struct boot_file *firmware =
		firmware_path != NULL ? boot_file_find(info, firmware_path) : NULL;
	const struct boot_file *kernel = boot_file_find(info, vm->kernel);
	const struct boot_file *initrd = boot_file_find(info, vm->initrd);
	struct vm_config config = {
		.name = vm->name,
		.memory_bytes = vm->memory_bytes,
		.firmware = firmware != NULL ? firmware->data : NULL,
		.firmware_bytes = firmware != NULL ? firmware->bytes : 0,
		.firmware_name = firmware_path,
		.pm_base = config_firmware_pm_base(vm),
		.kernel = kernel != NULL ? kernel->data : NULL,
		.kernel_bytes = kernel != NULL ? kernel->bytes : 0,
		.initrd = initrd != NULL ? initrd->data : NULL,
		.initrd_bytes = initrd != NULL ? initrd->bytes : 0,
		.cmdline = vm->cmdline,
		.vcpus = vm->vcpus,
		.tsc_hz = vm->tsc_khz * UINT64_C(1000),
		.x2apic = vm->x2apic,
		.machine = (uint8_t)vm->machine,
		.debugcon = (uint16_t)vm->debugcon,
		.debug_exit = vm->debug_exit,
		.balloon = vm->balloon,
		.rng = vm->rng,
		.virtio_console = vm->console_device == CONFIG_CONSOLE_VIRTIO,
		.hpet = vm->hpet,
		.rtc_epoch = vm->rtc_base,
		.recordable = vm->recordable,
		.rr = {
			.mode = (uint8_t)vm->rr,
			.sink = (uint8_t)vm->rrfile.sink,
			.disk = vm->rrfile.disk,
			.bytes = vm->rrfile.bytes,
			.name = vm->rrfile.name,
			.beacon_ticks = vm->rrbeacon,
		},
		.save_load_exits = vm->save_load,
		.save_load_memory = vm->save_load_memory,
		.landing = {
			.step_all = vm->step.second == CONFIG_STEP_ALL.second,
			.step_from = vm->step.first,
			.step_count = vm->step.second,
			.test_seed = vm->landing_test.first,
			.test_count = vm->landing_test.second,
			.shape_seed = vm->hardware_shaped,
			.trace = vm->landing_trace,
		},
	};

	flash_add(info, vm, &config);
	display_add(info, vm, &config);
	disks_add(info, vm, &config);
	nics_add(vm, &config);
	usb_add(vm, &config);
	memset(config.pin, VM_PIN_ANY, sizeof(config.pin));
	memcpy(config.pin, vm->pin.cpus, vm->pin.count);
	if (machine_add(&config, vm->rtc_base == CONFIG_RTC_HOST) != NULL)
		return true;
	log_error("%s: no memory for its console", vm->name);
	return false;
}

static bool machine_start(const struct config_vm *vm)
{
	struct machine *machine = machine_find(vm->name);
	char error[VM_ERROR_MAX];
	enum status status = machine_create(machine, error);

	if (status == STATUS_OK) {
		vm_hold(machine->vm);
		if (vm->autostart)
			status = vm_start(machine->vm, error);
	}
	if (status != STATUS_OK)
		log_error("%s: [vm %s] (line %u): %s", CONFIG_FILE_NAME, vm->name, vm->line,
			error);
	return status == STATUS_OK;
}

// What it took to get here: for tests/bench.py, and for whoever wonders.
static void start_report(const struct boot_info *info, uint64_t entry_tsc)
{
	uint64_t used = mem_used_bytes();

	for (uint32_t i = 0; i < boot_config.vm_count; i++)
		used -= boot_config.vms[i].memory_bytes;
	for (uint32_t i = 0; i < info->file_count; i++) // kernels and initrds are the user's
		used -= info->files[i].bytes < used ? info->files[i].bytes : used;
	for (struct machine *machine = machine_first(); machine != NULL; machine = machine->next)
		log_info("%s: started %llu TSC ticks after the image; %llu KiB in use beside "
			"guests' memory", machine->vm->name,
			(unsigned long long)(rdtsc() - entry_tsc),
			(unsigned long long)(used / KIB));
}

static void machines_release(void)
{
	for (struct machine *machine = machine_first(); machine != NULL; machine = machine->next)
		vm_release(machine->vm);
}

static void machines_destroy(void)
{
	for (struct machine *machine = machine_first(); machine != NULL; machine = machine->next)
		if (machine->vm != NULL)
			machine_destroy(machine);
}

bool machines_start(const struct boot_info *info, uint64_t entry_tsc)
{
	const struct config_vm *vms = boot_config.vms;
	bool good = planes_are_possible();

	for (uint32_t i = 0; i < boot_config.vm_count; i++)
		good &= section_check(info, &vms[i]);
	for (uint32_t i = 0; i < boot_config.disk_count; i++)
		good &= disk_check(info, &boot_config.disks[i]);
	good = good && disk_regions_open();
	for (uint32_t i = 0; i < boot_config.vm_count && good; i++)
		good = section_add(info, &vms[i]);
	for (uint32_t i = 0; i < boot_config.vm_count && good; i++)
		good = machine_start(&vms[i]);
	if (!good) {
		machines_destroy();
		return false;
	}
	start_report(info, entry_tsc);
	if (!boot_config.host.start_in_monitor)
		console_show_guest(machine_first()->console);
	machines_release();
	return true;
}
