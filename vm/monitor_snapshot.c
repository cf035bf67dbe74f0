// SPDX-License-Identifier: BSD-2-Clause
// savevm, loadvm, delvm, info snapshots: after QEMU's. Snapshots are kept in memory, by machine and
// tag, until they are deleted.
#include <stdlib.h>
#include <string.h>

#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/machine.h"
#include "vm/monitor.h"
#include "vm/snapshot.h"

typedef unsigned long long ull;

enum { TAG_MAX = 64 };

struct snapshot {
	struct snapshot *next; // in the order in which they were made
	const struct machine *machine;
	uint32_t id;
	char tag[TAG_MAX];
	uint64_t seconds; // since 1970, when it was made
	struct guest_time time;
	uint32_t commits; // of what is below its overlays
	struct snapshot_stream stream;
};

static struct snapshot *snapshots;
static uint32_t last_id;

static struct snapshot **snapshot_find(const struct machine *machine, const char *tag)
{
	struct snapshot **at = &snapshots;

	while (*at != NULL && ((*at)->machine != machine || strcmp((*at)->tag, tag) != 0))
		at = &(*at)->next;
	return at;
}

static void snapshot_remove(struct snapshot **at)
{
	struct snapshot *snapshot = *at;

	*at = snapshot->next;
	snapshot_stream_free(&snapshot->stream);
	free(snapshot);
}

static uint32_t commits_of(const struct machine *machine)
{
	uint32_t commits = 0;

	for (uint32_t i = 0; i < machine->config.disk_count; i++)
		if (machine->config.disks[i].region != NULL)
			commits += machine->config.disks[i].region->commits;
	return commits;
}

static void cost_log(const char *what, const struct vm *vm, const struct snapshot_cost *cost)
{
	log_debug("%s: %s in %llu TSC ticks, and %llu for memory", vm->name, what,
		(ull)cost->ticks, (ull)cost->memory_ticks);
}

static void refusal_print(const struct vm *vm, enum status status)
{
	const struct vm_disk_config *disk = vm_disk_not_kept(&vm->config);

	if (status == STATUS_UNSUPPORTED)
		monitor_printf("Error: disk %s is written to %s, which no snapshot keeps\n",
			disk->name, disk->region->source);
	else if (status == STATUS_REFUSED)
		monitor_puts("Error: the machine has not been started\n");
	else
		monitor_printf("Error: not enough memory: %llu MiB free\n",
			(ull)(mem_count().free_blocks * LARGE_PAGE_BYTES / MIB));
}

// One of the same name goes, but not before the new one is there.
static void command_savevm(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct snapshot *snapshot, **at;
	struct snapshot_cost cost;
	enum status status;
	size_t length;

	if (vm == NULL)
		return;
	length = strlen(call->arguments[0]);
	if (length >= TAG_MAX) {
		monitor_printf("Error: a tag has at most %u characters\n", TAG_MAX - 1);
		return;
	}
	snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL) {
		monitor_puts("Error: no memory\n");
		return;
	}
	memcpy(snapshot->tag, call->arguments[0], length + 1);
	snapshot->machine = monitor_machine();
	snapshot->seconds = clock_rtc_seconds();
	snapshot->commits = commits_of(snapshot->machine);
	snapshot_stream_init(&snapshot->stream);
	status = snapshot_save(vm, &snapshot->stream, &cost, &snapshot->time);
	if (status != STATUS_OK) {
		free(snapshot);
		refusal_print(vm, status);
		return;
	}
	at = snapshot_find(snapshot->machine, snapshot->tag);
	if (*at != NULL)
		snapshot_remove(at);
	snapshot->id = ++last_id;
	for (at = &snapshots; *at != NULL; at = &(*at)->next)
		;
	*at = snapshot;
	cost_log("saved", vm, &cost);
}

// The snapshot that a command names; NULL: there is none, and the user has been told.
static struct snapshot **snapshot_need(const char *tag)
{
	const struct machine *machine = monitor_machine_need();
	struct snapshot **at;

	if (machine == NULL)
		return NULL;
	at = snapshot_find(machine, tag);

	if (*at != NULL)
		return at;
	monitor_printf("Error: Snapshot '%s' does not exist\n", tag);
	return NULL;
}

static void command_loadvm(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();
	struct snapshot **at = vm != NULL ? snapshot_need(call->arguments[0]) : NULL;
	struct snapshot_cost cost;

	if (at == NULL)
		return;
	if (outside_is_bound(vm))
		monitor_puts("Error: the machine is being recorded or replayed\n");
	else if ((*at)->commits != commits_of((*at)->machine))
		monitor_puts("Error: what is below its disks is not what it was: there was a "
			"commit since\n");
	else if (snapshot_load(vm, &(*at)->stream, &cost) != STATUS_OK)
		monitor_printf("Error: %s\n", (*at)->stream.error);
	else
		cost_log("loaded", vm, &cost);
}

static void command_delvm(const struct monitor_call *call)
{
	struct snapshot **at = snapshot_need(call->arguments[0]);

	if (at != NULL)
		snapshot_remove(at);
}

// Days since 1970 to a date: years begin in March, so the leap day is their last.
static void date_print(uint64_t seconds)
{
	uint64_t days = seconds / 86400 + 719468, second = seconds % 86400;
	uint64_t era = days / 146097, of_era = days % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t day = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * day + 2) / 153;

	day -= (153 * month + 2) / 5;
	day++;
	month = month < 10 ? month + 3 : month - 9;
	year += era * 400 + (month <= 2);
	monitor_printf(" %04llu-%02llu-%02llu %02llu:%02llu:%02llu",
		(ull)year, (ull)month, (ull)day,
		(ull)(second / 3600), (ull)(second / 60 % 60), (ull)(second % 60));
}

static void clock_print(struct guest_time time)
{
	uint64_t seconds = time.ns / NS_PER_SECOND;

	monitor_printf("%6llu:%02llu:%02llu.%03llu\n", (ull)(seconds / 3600),
		(ull)(seconds / 60 % 60), (ull)(seconds % 60),
		(ull)(time.ns / 1000000 % 1000));
}

static void info_snapshots(const struct monitor_call *call)
{
	const struct machine *machine = monitor_machine_need();
	bool any = false;

	(void)call;
	if (machine == NULL)
		return;
	for (const struct snapshot *at = snapshots; at != NULL; at = at->next) {
		uint64_t tenths = at->stream.bytes * 10 / MIB;

		if (at->machine != machine)
			continue;
		if (!any)
			monitor_printf("%-10s%-17s%12s%20s%16s\n", "ID", "TAG", "VM SIZE", "DATE",
				"VM CLOCK");
		any = true;
		monitor_printf("%-10u%-17s%6llu.%llu MiB", at->id, at->tag, (ull)(tenths / 10),
			(ull)(tenths % 10));
		date_print(at->seconds);
		clock_print(at->time);
	}
	if (!any)
		monitor_puts("There is no snapshot available.\n");
}

void monitor_snapshot_register(void)
{
	static struct monitor_command own[] = {
		{.name = "savevm", .arguments = "tag", .arguments_min = 1, .arguments_max = 1,
			.description = "save a VM snapshot in memory, instead of one of that tag",
			.handler = command_savevm},
		{.name = "loadvm", .arguments = "tag", .arguments_min = 1, .arguments_max = 1,
			.description = "restore a VM snapshot from its tag",
			.handler = command_loadvm},
		{.name = "delvm", .arguments = "tag", .arguments_min = 1, .arguments_max = 1,
			.description = "delete a VM snapshot from its tag",
			.handler = command_delvm},
	};
	static struct monitor_command info = {.name = "snapshots", .arguments = "",
		.description = "show the VM snapshots", .handler = info_snapshots};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
	monitor_info_add(&info);
}
