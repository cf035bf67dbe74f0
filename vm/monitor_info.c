// SPDX-License-Identifier: BSD-2-Clause
// info: what there is to know. Nothing here changes anything.
#include "vm/monitor.h"

#include <stdlib.h>

#include "kernel/clock.h"
#include "kernel/libc.h"
#include "kernel/mem.h"
#include "vm/machine.h"
#include "vm/slot.h"

typedef unsigned long long ull;

static void info_status(const struct monitor_call *call)
{
	const struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm == NULL)
		return;
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		monitor_printf("VM status: %s\n", vm_state_name(vm));
	else if (vm->state == VM_CREATED)
		monitor_puts("VM status: paused (prelaunch)\n");
	else if (vm->end == VM_END_DEBUG_EXIT)
		monitor_printf("VM status: paused (debug exit with status %u)\n", vm->end_status);
	else
		monitor_printf("VM status: paused (%s)\n", vm_state_name(vm));
}

struct exit_row {
	struct vm_exit_count exits;
	unsigned kind;
};

// Most frequent first; among equals the order of kinds.
static int exit_row_compare(const void *a, const void *b)
{
	const struct exit_row *left = a, *right = b;

	if (left->exits.count != right->exits.count)
		return left->exits.count < right->exits.count ? 1 : -1;
	return left->kind < right->kind ? -1 : 1;
}

static void exit_row_print(const char *name, const struct vm_exit_count *exits)
{
	monitor_printf("%-18s %14llu %12llu\n", name, (ull)exits->count,
		(ull)(exits->count == 0 ? 0 : clock_tsc_ns(exits->ticks) / exits->count));
}

static void info_exits(const struct monitor_call *call)
{
	const struct vm *vm = monitor_vm_need();
	struct exit_row rows[VMEXIT_KIND_COUNT];
	struct vm_exit_count total = {0, 0};

	(void)call;
	if (vm == NULL)
		return;
	for (unsigned i = 0; i < VMEXIT_KIND_COUNT; i++) {
		rows[i] = (struct exit_row){.kind = i};
		for (uint32_t n = 0; n < vm->vcpu_count; n++) {
			rows[i].exits.count += vm->vcpus[n]->exit_counts[i].count;
			rows[i].exits.ticks += vm->vcpus[n]->exit_counts[i].ticks;
		}
		total.count += rows[i].exits.count;
		total.ticks += rows[i].exits.ticks;
	}
	qsort(rows, VMEXIT_KIND_COUNT, sizeof(rows[0]), exit_row_compare);
	monitor_printf("%-18s %14s %12s\n", "exit", "count", "mean ns");
	for (unsigned i = 0; i < VMEXIT_KIND_COUNT && rows[i].exits.count != 0; i++)
		exit_row_print(vmexit_kind_name((enum vmexit_kind)rows[i].kind), &rows[i].exits);
	exit_row_print("total", &total);
}

static void size_print(const char *what, uint64_t bytes)
{
	monitor_printf("%-26s %10llu KiB\n", what, (ull)(bytes / KIB));
}

static void info_memory(const struct monitor_call *call)
{
	const struct mem_counts counts = mem_count();
	const struct machine *machine;

	(void)call;
	size_print("host memory", counts.total_bytes);
	size_print("  free",
		counts.free_blocks * LARGE_PAGE_BYTES + counts.free_pages * PAGE_BYTES);
	monitor_printf("    %llu whole blocks of 2 MiB, %llu pages of 4 KiB\n",
		(ull)counts.free_blocks, (ull)counts.free_pages);
	size_print("  whole blocks in use", counts.lent_blocks * LARGE_PAGE_BYTES);
	size_print("heap", libc_heap_bytes());
	size_print("image", monitor_config()->image_bytes);
	for (machine = machine_first(); machine != NULL; machine = machine->next) {
		if (machine->vm == NULL)
			continue;
		monitor_printf("machine %s\n", machine->vm->name);
		size_print("  guest memory", machine->vm->config.memory_bytes);
		size_print("  overhead", vm_overhead_bytes(machine->vm));
	}
}

static void regions_print(const struct vm *vm, const struct device *device)
{
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++) {
		const struct bus_region *region = &vm->bus.regions[i];
		ull first = region->base, end = region->base + region->bytes - 1;

		if (region->device != device || region->bytes == 0)
			continue;
		if (region->space == DEVICE_SPACE_PORT)
			monitor_printf("    port   0x%04llx-0x%04llx\n", first, end);
		else if (region->space == DEVICE_SPACE_PCI)
			monitor_printf("    PCI    00:%02llx.%llu\n", first >> 15, first >> 12 & 7);
		else
			monitor_printf("    memory 0x%016llx-0x%016llx\n", first, end);
	}
}

static void info_devices(const struct monitor_call *call)
{
	const struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm == NULL)
		return;
	for (uint32_t i = 0; i < vm->device_count; i++) {
		const struct device *device = vm->devices[i].device;

		monitor_printf("%2u %s: %s\n", device->id, device->model->name,
			device->model->description);
		if (!slot_is_on(&vm->devices[i]))
			monitor_puts("    unplugged\n");
		regions_print(vm, device);
	}
}

static void frequency_print(const char *what, uint64_t hz)
{
	monitor_printf("%s %llu.%03llu MHz", what, (ull)(hz / 1000000), (ull)(hz / 1000 % 1000));
}

static void info_version(const struct monitor_call *call)
{
	const struct monitor_config *config = monitor_config();
	const struct clock_calibration *clock = clock_calibration();
	char engine[160] = "";

	(void)call;
	monitor_printf("Reprise %s, booted by %s\n", config->version, config->boot_path);
	vcpu_engine_describe(engine, sizeof(engine));
	monitor_printf("engine: %s\n", engine);
	frequency_print("clock: TSC", clock->tsc_hz);
	frequency_print(", APIC timer", clock->apic_hz);
	monitor_printf(", measured by %s\n", clock->reference);
}

void monitor_info_register(void)
{
	static struct monitor_command own[] = {
		{.name = "status", .arguments = "", .handler = info_status,
			.description = "show whether the machine runs"},
		{.name = "exits", .arguments = "", .handler = info_exits,
			.description = "count exits by kind, and what handling one costs"},
		{.name = "memory", .arguments = "", .handler = info_memory,
			.description = "show how host memory is used"},
		{.name = "devices", .arguments = "", .handler = info_devices,
			.description = "list the machine's devices and where they answer"},
		{.name = "version", .arguments = "", .handler = info_version,
			.description = "show version, engine and clock"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_info_add(&own[i]);
}
