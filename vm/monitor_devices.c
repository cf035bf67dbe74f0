// SPDX-License-Identifier: BSD-2-Clause
// Commands that set something of a device while the machine runs.
#include "vm/monitor.h"

#include "emul/virtio_balloon.h"
#include "kernel/mem.h"
#include "vm/pc.h"
#include "vm/vm.h"

void monitor_refusal_print(const struct vm *vm, enum status status)
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
	if (!vm_disk_is_memory(&vm->config.disks[disk])) {
		monitor_printf("Error: the size of disk '%s' is that of what is below\n",
			call->arguments[0]);
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
		monitor_refusal_print(vm, status);
}

static struct device *balloon_need(const struct vm *vm)
{
	struct device *device = pc_balloon_find(vm);

	if (device == NULL)
		monitor_puts("Error: No balloon device has been activated\n");
	return device;
}

static void command_balloon(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct device *device = vm != NULL ? balloon_need(vm) : NULL;
	uint64_t bytes;

	if (device == NULL)
		return;
	if (!monitor_size_parse(call->arguments[0], &bytes) || bytes == 0 ||
		bytes > vm->config.memory_bytes) {
		monitor_printf("Error: '%s' is not a size such as 512M, up to the machine's "
			"memory\n", call->arguments[0]);
		return;
	}
	monitor_refusal_print(vm, outside_set(vm, device, DEVICE_SETTING_BALLOON_PAGES,
		(vm->config.memory_bytes - bytes) / PAGE_BYTES));
}

static void command_info_balloon(const struct monitor_call *call)
{
	static const struct {
		uint8_t stat;
		const char *name;
	} told[] = {{VIRTIO_BALLOON_TOTAL_MEMORY, "total_mem"},
		{VIRTIO_BALLOON_FREE_MEMORY, "free_mem"},
		{VIRTIO_BALLOON_AVAILABLE_MEMORY, "available_mem"},
		{VIRTIO_BALLOON_DISK_CACHES, "disk_caches"}};
	struct vm *vm = monitor_vm_need();
	struct device *device = vm != NULL ? balloon_need(vm) : NULL;
	struct virtio_balloon_report report;
	uint64_t pages;

	(void)call;
	if (device == NULL)
		return;
	bus_enter(&vm->bus);
	virtio_balloon_report(device, &report);
	bus_unlock(&vm->bus);
	pages = vm->config.memory_bytes / PAGE_BYTES;
	monitor_printf("balloon: actual=%llu wanted=%llu", // as the guest says: it may lie
		(unsigned long long)(report.actual < pages ? pages - report.actual : 0) *
			PAGE_BYTES / MIB,
		(unsigned long long)(pages - report.wanted) * PAGE_BYTES / MIB);
	for (unsigned i = 0; i < ARRAY_COUNT(told); i++)
		if (report.stats[told[i].stat] != UINT64_MAX)
			monitor_printf(" %s=%llu", told[i].name,
				(unsigned long long)(report.stats[told[i].stat] / MIB));
	monitor_puts("\n");
}

void monitor_devices_register(void)
{
	static struct monitor_command info = {.name = "balloon", .arguments = "",
		.description = "show what memory the guest works with, in MiB",
		.handler = command_info_balloon};
	static struct monitor_command own[] = {
		{.name = "balloon", .arguments = "target",
			.description = "ask the guest to work with so much memory",
			.arguments_min = 1, .arguments_max = 1, .handler = command_balloon},
		{.name = "block_resize", .arguments = "device size",
			.description = "resize a disk in RAM; size as in 512M, else in MiB",
			.arguments_min = 2, .arguments_max = 2, .handler = command_block_resize},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
	monitor_info_add(&info);
}
