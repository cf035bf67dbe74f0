// SPDX-License-Identifier: BSD-2-Clause
// UEFI Platform Initialization 1.7, volume 2, 13.4: EFI_MP_SERVICES_PROTOCOL. Only its first two
// functions are used.
#include "boot/efi_mp.h"

#include <string.h>

enum {
	MP_ENABLED = 1 << 1,
	MP_HEALTHY = 1 << 2,
	MP_PROCESSORS_MAX = 4096, // a machine with more does not tell the truth
};

struct mp_processor {
	UINT64 id; // the APIC id
	UINT32 status;
	UINT32 location[3];
	UINT32 extended_location[6]; // later versions of the protocol fill it when asked
};
_Static_assert(sizeof(struct mp_processor) == 48, "EFI_PROCESSOR_INFORMATION");

struct mp_services {
	EFI_STATUS(EFIAPI *get_count)(struct mp_services *self, UINTN *count, UINTN *enabled);
	EFI_STATUS(EFIAPI *get_processor)(struct mp_services *self, UINTN index,
		struct mp_processor *processor);
	void *others[5];
};

static EFI_GUID mp_guid = {
	0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};

void efi_mp_read(EFI_BOOT_SERVICES *boot, struct boot_info *info)
{
	struct mp_services *services;
	UINTN count, enabled;

	if (boot->LocateProtocol(&mp_guid, NULL, (void **)&services) != EFI_SUCCESS ||
		services->get_count(services, &count, &enabled) != EFI_SUCCESS ||
		count > MP_PROCESSORS_MAX)
		return;
	for (UINTN i = 0; i < count && info->cpu_count < BOOT_CPUS_MAX; i++) {
		struct mp_processor processor;

		memset(&processor, 0, sizeof(processor));
		if (services->get_processor(services, i, &processor) != EFI_SUCCESS)
			continue;
		if ((processor.status & MP_ENABLED) == 0 || (processor.status & MP_HEALTHY) == 0 ||
			processor.id > UINT32_MAX)
			continue;
		info->cpu_apic_ids[info->cpu_count++] = (uint32_t)processor.id;
	}
}
