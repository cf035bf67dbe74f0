// SPDX-License-Identifier: BSD-2-Clause
// The UEFI entry: loads the configuration and the files that it names from the ESP, leaves boot
// services and enters the kernel. gnu-efi's start code has relocated the image and calls efi_main.
//
// Errors of the configuration are not fatal here: the kernel parses it again and reports them on
// its own console. What is printed here is for people at the machine's screen.
#include "boot/efi.h"

#include <string.h>

#include "boot/config.h"
#include "boot/efi_console.h"
#include "boot/efi_exit.h"
#include "boot/efi_files.h"
#include "boot/efi_mp.h"
#include "boot/efi_screen.h"
#include "boot/efi_volume.h"
#include "boot/enter.h"
#include "boot/quiesce.h"
#include "boot/text.h"
#include "kernel/x86.h"

extern const char image_start[], image_end[]; // linker.ld

static struct boot_info efi_boot_info;
static EFI_GUID efi_loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;

// Checks what the table points to: some firmware (U-Boot) publishes an entry without an RSDP.
// ACPI 6.4 section 5.2.5.3.
static bool efi_is_rsdp(const uint8_t *rsdp)
{
	uint8_t sum = 0;

	if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0)
		return false;
	for (size_t i = 0; i < 20; i++)
		sum = (uint8_t)(sum + rsdp[i]);
	return sum == 0;
}

static uint64_t efi_find_rsdp(const EFI_SYSTEM_TABLE *system)
{
	static const EFI_GUID guids[] = {ACPI_20_TABLE_GUID, ACPI_TABLE_GUID};

	for (size_t g = 0; g < ARRAY_COUNT(guids); g++)
		for (UINTN i = 0; i < system->NumberOfTableEntries; i++) {
			const EFI_CONFIGURATION_TABLE *table = &system->ConfigurationTable[i];

			if (memcmp(&table->VendorGuid, &guids[g], sizeof(EFI_GUID)) == 0 &&
				efi_is_rsdp(table->VendorTable))
				return (uintptr_t)table->VendorTable;
		}
	return 0;
}

// Load options are whatever the boot entry carries: taken only where they are text in ASCII.
static void efi_read_command_line(const EFI_LOADED_IMAGE_PROTOCOL *image, struct boot_info *info)
{
	const CHAR16 *options = image->LoadOptions;
	size_t count = image->LoadOptionsSize / sizeof(CHAR16), i;

	for (i = 0; options != NULL && i < count && options[i] != 0; i++) {
		if (i == BOOT_COMMAND_LINE_MAX - 1)
			break;
		if (options[i] < 0x20 || options[i] >= 0x7f) {
			info->command_line[0] = '\0';
			return;
		}
		info->command_line[i] = (char)options[i];
		info->command_line[i + 1] = '\0';
	}
}

// The configuration first, then what it names.
static void efi_load_files(EFI_BOOT_SERVICES *boot, EFI_FILE_PROTOCOL *root,
	struct boot_info *info)
{
	char error[CONFIG_ERROR_MAX];

	efi_files_load(boot, root, CONFIG_FILE_NAME, info);
	if (info->file_count == 0)
		return;
	if (config_parse(CONFIG_FILE_NAME, info->files[0].data, info->files[0].bytes, &boot_config,
		error) != STATUS_OK) {
		efi_console_print(error);
		efi_console_print("\n");
		return;
	}
	for (uint32_t i = 0; i < boot_config.vm_count; i++) {
		const struct config_vm *vm = &boot_config.vms[i];

		if (config_firmware_path(vm) != NULL)
			efi_files_load(boot, root, config_firmware_path(vm), info);
		if (config_flash_path(vm) != NULL)
			efi_files_load(boot, root, config_flash_path(vm), info);
		if (config_display_path(vm->display, vm->firmware) != NULL)
			efi_files_load(boot, root, config_display_path(vm->display, vm->firmware),
				info);
		if (vm->kernel[0] != '\0')
			efi_files_load(boot, root, vm->kernel, info);
		if (vm->initrd[0] != '\0')
			efi_files_load(boot, root, vm->initrd, info);
	}
	for (uint32_t i = 0; i < boot_config.disk_count; i++)
		if (boot_config.disks[i].medium.kind == CONFIG_MEDIUM_IMAGE)
			efi_files_load(boot, root, boot_config.disks[i].medium.path, info);
}

static void efi_load(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system, struct boot_info *info)
{
	EFI_BOOT_SERVICES *boot = system->BootServices;
	EFI_LOADED_IMAGE_PROTOCOL *image;
	EFI_FILE_PROTOCOL *root = NULL;
	EFI_HANDLE volume;
	struct text text;

	info->path = BOOT_PATH_UEFI;
	info->image_start.v = (uintptr_t)image_start;
	info->image_bytes = (uint64_t)(image_end - image_start);
	info->rsdp.v = efi_find_rsdp(system);
	efi_mp_read(boot, info);
	efi_screen_read(boot, info);
	if (boot->HandleProtocol(handle, &efi_loaded_image, (void **)&image) == EFI_SUCCESS) {
		efi_read_command_line(image, info);
		volume = image->DeviceHandle;
		root = efi_files_open_volume(boot, &volume, CONFIG_FILE_NAME);
	}
	if (root != NULL) {
		efi_volume_read(boot, volume, info);
		efi_load_files(boot, root, info);
		root->Close(root);
		return;
	}
	text_init(&text, info->problem, sizeof(info->problem));
	text_add(&text, "no volume with " CONFIG_FILE_NAME " found");
	efi_console_print("Reprise: ");
	efi_console_print(info->problem);
	efi_console_print("\n");
}

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system)
{
	struct boot_info *info = &efi_boot_info;
	EFI_STATUS status;

	efi_console_init(system);
	efi_console_print("Reprise: starting\n");
	if ((cr4_read() & CR4_LA57) != 0 && (uintptr_t)image_end > UINT32_MAX) {
		// boot/enter.S turns it off, for which it must lie below 4 GiB.
		efi_console_print("Reprise: five-level paging is on, and the image above 4 GiB\n");
		return EFI_UNSUPPORTED;
	}
	// Firmware resets the machine five minutes after it has started us, unless told not to.
	system->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
	efi_load(handle, system, info);
	status = efi_exit_boot_services(handle, system->BootServices, info);
	if (status != EFI_SUCCESS) {
		// Still in firmware's hands, or in nobody's; the console is the only thing to try.
		efi_console_print("Reprise: cannot leave boot services, status ");
		efi_console_print_number(status & ~BIT(63));
		efi_console_print("\n");
		return status;
	}
	quiesce_pci();
	boot_enter(info);
}
