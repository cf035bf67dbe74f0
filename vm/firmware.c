// SPDX-License-Identifier: BSD-2-Clause
// One allocation holds all: the items, and behind them what they refer to.
#include "vm/firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/ahci.h"
#include "emul/ide.h"
#include "emul/uhci.h"
#include "emul/pci_host.h"
#include "vm/acpi_loader.h"
#include "vm/acpi_tables.h"
#include "vm/pc.h"
#include "vm/pc_board.h"
#include "vm/vm.h"

enum {
	FILES_MAX = 8,
	E820_MAX = 4,
	BOOT_ORDER_MAX = VM_DISKS_MAX * 64,
	IRQ0_OVERRIDE = 0x8002, // key: IRQ 0 is pin 2 of the I/O APIC
	SERIAL_PORT = 0x3f8,
};

// As fw_cfg's etc/e820 has it: packed, little-endian.
struct e820_item {
	uint64_t base, bytes;
	uint32_t type;
} __attribute__((packed));

struct directory {
	uint32_t count; // big-endian
	struct fw_cfg_file files[FILES_MAX];
};

struct contents {
	struct firmware_info info; // first: it is what is given back
	uint32_t id;
	uint64_t ram_bytes;
	uint16_t cpus, one16, zero16, serial;
	uint8_t one8;
	struct e820_item e820[E820_MAX];
	char boot_order[BOOT_ORDER_MAX];
	struct acpi_image acpi;
	struct acpi_loader_entry loader[ACPI_LOADER_ENTRIES_MAX];
	struct directory directory;
	uint32_t file_count;
};

static void item_add(struct contents *contents, uint16_t key, const void *data, uint32_t bytes)
{
	struct firmware_info *info = &contents->info;

	ASSERT(info->item_count < FIRMWARE_ITEMS_MAX);
	info->items[info->item_count++] =
		(struct fw_cfg_item){.data = data, .bytes = bytes, .key = key};
}

// Firmware looks files up by name; QEMU sorts them, and so does the caller.
static void file_add(struct contents *contents, const char *name, const void *data, uint32_t bytes)
{
	uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + contents->file_count);
	struct fw_cfg_file *file = &contents->directory.files[contents->file_count++];

	ASSERT(contents->file_count <= FILES_MAX);
	file->bytes = __builtin_bswap32(bytes);
	file->key = __builtin_bswap16(key);
	strlcpy(file->name, name, sizeof(file->name));
	item_add(contents, key, data, bytes);
}

static uint32_t e820_fill(struct contents *contents, const struct vm *vm)
{
	const struct guest_ram *ram = &vm->ram;
	uint32_t count = 0;

	contents->e820[count++] = (struct e820_item){0, ram->low_bytes, E820_RAM};
	// Of a Q35's, firmware takes care itself.
	if (vm->config.machine == VM_MACHINE_PC)
		contents->e820[count++] =
			(struct e820_item){PC_ECAM_BASE, PCI_HOST_ECAM_BYTES, E820_RESERVED};
	if (ram->high_bytes != 0)
		contents->e820[count++] =
			(struct e820_item){GUEST_RAM_HIGH, ram->high_bytes, E820_RAM};
	return count * (uint32_t)sizeof(contents->e820[0]);
}

static uint32_t usb_path(const struct vm *vm, unsigned which, const char *before, char *to,
	uint32_t room)
{
	unsigned place = pc_usb_place(vm, which);

	return (uint32_t)snprintf(to, room,
		"%s/pci@i0cf8/usb@%s/%sstorage@%x/channel@0/disk@0,0", before,
		vm->config.machine == VM_MACHINE_Q35 ? "1d" : "1,2",
		place > UHCI_BEHIND_HUB ? "hub@2/" : "", place % UHCI_BEHIND_HUB);
}

// Open Firmware's paths of the disks, in the order of the configuration, with a line's end between
// two, and a zero.
static uint32_t boot_order_fill(struct contents *contents, const struct vm *vm)
{
	uint32_t at = 0;
	char ahci[8]; // its device and function

	snprintf(ahci, sizeof(ahci), pc_board(vm)->has_ahci ? "%x,2" : "%x", pc_ahci_device(vm));

	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		unsigned device = pc_disk_device(vm, i), drive = pc_ide_drive(vm, i);
		unsigned port = pc_ahci_port(vm, i);
		char *to = contents->boot_order + at;
		const char *before = at > 0 ? "\n" : "";

		if (device != 0)
			at += (uint32_t)snprintf(to, BOOT_ORDER_MAX - at,
				"%s/pci@i0cf8/scsi@%x/disk@0,0", before, device);
		else if (drive < IDE_DRIVES)
			at += (uint32_t)snprintf(to, BOOT_ORDER_MAX - at,
				"%s/pci@i0cf8/ide@1,1/drive@%x/disk@%x", before,
				drive / IDE_CHANNEL_DRIVES, drive % IDE_CHANNEL_DRIVES);
		else if (port < AHCI_PORTS)
			at += (uint32_t)snprintf(to, BOOT_ORDER_MAX - at,
				"%s/pci@i0cf8/pci8086,2922@%s/drive@%x/disk@0", before, ahci, port);
		else if (pc_usb_disk(vm, i) != UHCI_DEVICES)
			at += usb_path(vm, pc_usb_disk(vm, i), before, to, BOOT_ORDER_MAX - at);
	}
	return at + 1;
}

static void files_add(struct contents *contents, const struct vm *vm)
{
	uint32_t entries = acpi_loader_make(&contents->acpi, contents->loader);

	file_add(contents, "bootorder", contents->boot_order, boot_order_fill(contents, vm));
	for (unsigned i = 0; i < ACPI_BLOBS; i++) {
		struct acpi_span blob = acpi_image_blob(&contents->acpi, i);

		file_add(contents, acpi_loader_files[i], blob.bytes, blob.count);
	}
	file_add(contents, "etc/e820", contents->e820, e820_fill(contents, vm));
	file_add(contents, "etc/sercon-port", &contents->serial, sizeof(contents->serial));
	file_add(contents, "etc/table-loader", contents->loader,
		entries * (uint32_t)sizeof(contents->loader[0]));
	contents->directory.count = __builtin_bswap32(contents->file_count);
}

enum status firmware_info_create(const struct vm *vm, struct firmware_info **created)
{
	const struct acpi_config acpi = {.vcpus = vm->config.vcpus, .pm_base = vm->config.pm_base,
		.pci = true, .keyboard = true, .hpet = vm->config.hpet,
		.vga = vm->config.display == VM_DISPLAY_VGA,
		.q35 = vm->config.machine == VM_MACHINE_Q35, .pvpanic = true};
	struct contents *contents = calloc(1, sizeof(*contents));
	enum status status;

	if (contents == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	status = acpi_tables_make(&acpi, &contents->acpi);
	ASSERT(status == STATUS_OK); // a machine has fewer CPUs
	contents->id = FW_CFG_ID_TRADITIONAL | FW_CFG_ID_DMA;
	contents->ram_bytes = vm->config.memory_bytes;
	contents->cpus = (uint16_t)vm->config.vcpus;
	contents->one16 = contents->one8 = 1;
	contents->serial = SERIAL_PORT;
	item_add(contents, FW_CFG_SIGNATURE, "QEMU", 4);
	item_add(contents, FW_CFG_ID, &contents->id, sizeof(contents->id));
	item_add(contents, FW_CFG_RAM_SIZE, &contents->ram_bytes, sizeof(contents->ram_bytes));
	item_add(contents, FW_CFG_NOGRAPHIC, vm->config.display == VM_DISPLAY_NONE
		? &contents->one16 : &contents->zero16, sizeof(contents->one16));
	item_add(contents, FW_CFG_CPUS, &contents->cpus, sizeof(contents->cpus));
	item_add(contents, FW_CFG_BOOT_MENU, &contents->zero16, sizeof(contents->zero16));
	item_add(contents, FW_CFG_MAX_CPUS, &contents->cpus, sizeof(contents->cpus));
	item_add(contents, IRQ0_OVERRIDE, &contents->one8, sizeof(contents->one8));
	files_add(contents, vm);
	item_add(contents, FW_CFG_DIRECTORY, &contents->directory,
		(uint32_t)offsetof(struct directory, files) +
			contents->file_count * (uint32_t)sizeof(struct fw_cfg_file));
	*created = &contents->info;
	return STATUS_OK;
}

void firmware_info_destroy(struct firmware_info *info)
{
	free(info);
}
