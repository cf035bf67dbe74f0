// SPDX-License-Identifier: BSD-2-Clause
// Machines' disks: what info block says of them; commit, after QEMU's.
#include "vm/monitor.h"

#include <stdio.h>
#include <string.h>

#include "drivers/region.h"
#include "kernel/base/assert.h"
#include "kernel/smp.h"
#include "vm/disk_backend.h"
#include "vm/machine.h"
#include "vm/overlay.h"

typedef unsigned long long ull;

static const char *source_of(const struct vm_disk_config *disk)
{
	if (disk->region != NULL)
		return disk->region->source;
	if (disk->bytes == 0)
		return "no disc";
	return disk->image != NULL ? "an image in RAM" : "RAM";
}

// Numbers of another core, as they happen to be.
static void overlay_print(const struct overlay *overlay)
{
	monitor_printf(", snapshot (%llu of %llu KiB)", (ull)(overlay_used_bytes(overlay) / KIB),
		(ull)(overlay_limit_bytes(overlay) / KIB));
}

static void limit_print(const char *name, const struct throttle_limit *limit)
{
	if (limit->average == 0)
		return;
	monitor_printf(", %s=%llu", name, (ull)limit->average);
	if (limit->burst != 0)
		monitor_printf(" %s_max=%llu %s_max_length=%u", name, (ull)limit->burst, name,
			limit->burst_seconds);
}

static void disk_print(const struct machine *machine, uint32_t index)
{
	const struct vm_disk_config *disk = &machine->config.disks[index];
	const struct medium *medium = machine->vm != NULL ? &machine->vm->media[index] : NULL;

	monitor_printf("%s: %s, %s, %llu MiB%s", disk->name, machine->config.name,
		source_of(disk), (ull)((medium != NULL ? medium->bytes : disk->bytes) / MIB),
		disk->readonly ? ", read-only" : "");
	if (disk->kind == VM_DISK_DISC)
		monitor_printf(", a disc for %s", disk->drive);
	if (machine->vm != NULL)
		monitor_cd_print(machine->vm, index);
	if (medium != NULL && medium->overlay != NULL)
		overlay_print(medium->overlay);
	limit_print("bps", &disk->throttle.bytes);
	limit_print("iops", &disk->throttle.requests);
	monitor_puts("\n");
}

void monitor_disks_print(void)
{
	for (const struct machine *machine = machine_first(); machine != NULL;
		machine = machine->next)
		for (uint32_t i = 0; i < machine->config.disk_count; i++)
			disk_print(machine, i);
}

struct part_call {
	struct vm *vm;
	struct disk_backend *disk;
	struct disk_backend_commit *commit;
	bool begun;
};

// At home: a machine that is held, or about to be reset, is to have nothing under way.
static void part_begin(void *argument)
{
	struct part_call *call = argument;

	call->begun = call->vm->holds == 0 &&
		__atomic_load_n(&call->vm->requests, __ATOMIC_ACQUIRE) == 0;
	if (call->begun)
		disk_backend_commit(call->disk, call->commit);
}

static enum status part_commit(struct vm *vm, uint32_t index, struct disk_backend_commit *commit)
{
	struct part_call call = {vm, vm->disks[index], commit, false};

	while (!call.begun) {
		smp_call(vm_home(vm), part_begin, &call);
		if (!call.begun)
			monitor_pause();
	}
	while (!__atomic_load_n(&commit->done, __ATOMIC_ACQUIRE))
		monitor_pause();
	return commit->status;
}

// Whoever else reads what is below would see it change.
static bool base_claim(const struct vm_disk_config *disk, enum region_use use)
{
	char error[REGION_ERROR_MAX], owner[REGION_OWNER_MAX];

	if (disk->region == NULL)
		return true;
	snprintf(owner, sizeof(owner), "disk %s", disk->name);
	if (disk->region->region->read_only)
		monitor_printf("Error: disk %s: %s cannot be written\n", disk->name,
			disk->region->source);
	else if (region_claim(disk->region->region, owner, use, error) != STATUS_OK)
		monitor_printf("Error: disk %s: %s: %s\n", disk->name, disk->region->source, error);
	else
		return true;
	return false;
}

static void base_changes(struct vm_disk_region *region)
{
	if (region == NULL)
		return;
	region->hash_known = false;
	region->commits++;
}

static bool disk_commit(struct vm *vm, uint32_t index)
{
	const struct vm_disk_config *disk = &vm->config.disks[index];
	struct disk_backend_commit commit = {.from = 0};
	enum status status = STATUS_OK;
	bool claimed;

	if (!base_claim(disk, REGION_WRITE))
		return false;
	base_changes(disk->region);
	while (status == STATUS_OK && commit.next != UINT64_MAX && !monitor_interrupted()) {
		commit.from = commit.next;
		status = part_commit(vm, index, &commit);
	}
	claimed = base_claim(disk, REGION_READ);
	ASSERT(claimed);
	if (status != STATUS_OK)
		monitor_printf("Error: disk %s: %s in the part at %llu MiB; what has not been "
			"written is in the overlay still\n", disk->name, status_name(status),
			(ull)(commit.next / MIB));
	return status == STATUS_OK && !monitor_interrupted();
}

static void command_commit(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	bool all = strcmp(call->arguments[0], "all") == 0, any = false;

	if (vm == NULL)
		return;
	if (outside_is_bound(vm)) {
		monitor_puts("Error: the machine is being recorded or replayed\n");
		return;
	}
	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[i];

		if (disk->overlay_bytes == 0 ||
			(!all && strcmp(disk->name, call->arguments[0]) != 0))
			continue;
		any = true;
		if (!disk_commit(vm, i))
			return;
	}
	if (!any && !all)
		monitor_printf("Error: there is no disk '%s' with snapshot = on\n",
			call->arguments[0]);
}

void monitor_disks_register(void)
{
	static struct monitor_command own = {.name = "commit", .arguments = "device|all",
		.description = "write what a disk's overlay has to what is below, or all disks'",
		.arguments_min = 1, .arguments_max = 1, .handler = command_commit};

	monitor_command_add(&own);
}
