// SPDX-License-Identifier: BSD-2-Clause
// Commands that set something of a device while the machine runs.
#include "vm/monitor.h"

#include "kernel/mem.h"
#include "vm/pc.h"
#include "vm/vm.h"

static void refusal_print(const struct vm *vm, enum status status)
{
	if (status == STATUS_REFUSED)
		monitor_printf("Error: the machine is not running (%s)\n", vm_state_name(vm));
	else if (status == STATUS_BUSY)
		monitor_puts("Error: the last change has not taken place yet\n");
	else if (status != STATUS_OK)
		monitor_printf("Error: %s\n", status_name(status));
}

// What it takes more of the host's.
static bool fits(const struct vm *vm, uint32_t disk, uint64_t bytes)
{
	uint64_t now = ALIGN_UP(vm->media[disk].bytes, LARGE_PAGE_BYTES);
	uint64_t then = ALIGN_UP(bytes, LARGE_PAGE_BYTES);

	return then <= now || (then - now) / LARGE_PAGE_BYTES <= mem_count().free_blocks;
}

static void command_block_resize(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct device *device;
	uint64_t bytes;
	uint32_t disk;
	enum status status;

	if (vm == NULL)
		return;
	device = pc_disk_find(vm, call->arguments[0], &disk);
	if (device == NULL) {
		monitor_printf("Error: Cannot find device '%s'\n", call->arguments[0]);
		return;
	}
	if (!monitor_size_parse(call->arguments[1], &bytes) || bytes == 0) {
		monitor_printf("Error: '%s' is not a size such as 512M\n", call->arguments[1]);
		return;
	}
	if (!fits(vm, disk, bytes)) {
		monitor_printf("Error: not so much memory is free: %llu MiB\n",
			(unsigned long long)(mem_count().free_blocks * LARGE_PAGE_BYTES / MIB));
		return;
	}
	status = outside_set(vm, device, DEVICE_SETTING_MEDIUM_BYTES, bytes);
	if (status == STATUS_INVALID)
		monitor_puts("Error: a disk's size is in steps of 512 bytes, up to 64G\n");
	else
		refusal_print(vm, status);
}

void monitor_devices_register(void)
{
	static struct monitor_command own[] = {
		{.name = "block_resize", .arguments = "device size",
			.description = "resize a disk in RAM; size as in 512M, else in MiB",
			.arguments_min = 2, .arguments_max = 2, .handler = command_block_resize},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
}
