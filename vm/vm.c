// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/acpi_pm.h"
#include "emul/lapic.h"
#include "emul/uart16550.h"
#include "kernel/console.h"
#include "kernel/crash.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/acpi_tables.h"
#include "vm/direct_boot.h"
#include "vm/pc.h"

// Room in the queue that input from outside leaves for the devices' bottom halves.
enum { VM_FIFO_RESERVE = 64 };

// A guest can panic, or reset itself, as often as it likes; the log tells the first times only.
enum { REPORTS_MAX = 16 };

#define SEGMENT_CODE32 (struct vcpu_segment_state){DIRECT_BOOT_CODE_SELECTOR, 0xc9b, UINT32_MAX, 0}
#define SEGMENT_DATA32 (struct vcpu_segment_state){DIRECT_BOOT_DATA_SELECTOR, 0xc93, UINT32_MAX, 0}

static struct vm *machines;

// For whoever debugs us: newest exit last.
static void crash_print(void)
{
	for (const struct vm *vm = machines; vm != NULL; vm = vm->next) {
		const struct vm_vcpu *vcpu = vm->vcpu;
		uint64_t first = vcpu->exit_total > VM_LAST_EXITS ? vcpu->exit_total - VM_LAST_EXITS
								  : 0;

		log_error("machine %s: %s, %llu exits, the last:", vm->name, vm_state_name(vm),
			(unsigned long long)vcpu->exit_total);
		for (uint64_t i = first; i < vcpu->exit_total; i++) {
			const struct vm_last_exit *exit = &vcpu->last_exits[i % VM_LAST_EXITS];

			log_error("  rip %016llx  %s", (unsigned long long)exit->rip,
				vmexit_kind_name((enum vmexit_kind)exit->kind));
		}
	}
}

void vm_crash_section_init(void)
{
	static struct crash_section section = {.print = crash_print};

	crash_section_add(&section);
}

static void machines_remove(const struct vm *vm)
{
	for (struct vm **at = &machines; *at != NULL; at = &(*at)->next)
		if (*at == vm) {
			*at = vm->next;
			return;
		}
}

struct guest_time vm_now(const struct vm *vm)
{
	if (vm->state == VM_RUNNING)
		return vm_time(vm, rdtsc());
	return (struct guest_time){clock_tsc_ns(vm->paused_tsc)};
}

const char *vm_state_name(const struct vm *vm)
{
	static const char *const names[] = {
		[VM_CREATED] = "created", [VM_RUNNING] = "running", [VM_PAUSED] = "paused"};
	static const char *const ends[] = {[VM_END_NONE] = "ended",
		[VM_END_POWER_OFF] = "shutdown", [VM_END_DEBUG_EXIT] = "debug exit",
		[VM_END_FAILED] = "internal-error"};

	return vm->state == VM_ENDED ? ends[vm->end] : names[vm->state];
}

uint64_t vm_overhead_bytes(const struct vm *vm)
{
	uint64_t bytes = sizeof(*vm) + sizeof(*vm->vcpu) + PAGE_BYTES +
		vm->ram.block_count * sizeof(*vm->ram.blocks) +
		nested_map_table_bytes(vm->nested);

	for (uint32_t i = 0; i < vm->device_count; i++)
		bytes += vm->devices[i].device->model->instance_bytes;
	return bytes;
}

// Guest-physical address space: RAM up to 3 GiB, the rest from 4 GiB.
static enum status ram_create(struct vm *vm)
{
	struct guest_ram *ram = &vm->ram;
	uint64_t bytes = vm->config.memory_bytes, top;

	ram->low_bytes = bytes < GUEST_RAM_LOW_MAX ? bytes : GUEST_RAM_LOW_MAX;
	ram->high_bytes = bytes - ram->low_bytes;
	top = ram->high_bytes != 0 ? GUEST_RAM_HIGH + ram->high_bytes : ram->low_bytes;
	ram->block_count = top / LARGE_PAGE_BYTES;
	ram->blocks = calloc(ram->block_count, sizeof(*ram->blocks));
	if (ram->blocks == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint64_t i = 0; i < ram->block_count; i++) {
		uint64_t at = i * LARGE_PAGE_BYTES;

		if (at >= ram->low_bytes && at < GUEST_RAM_HIGH)
			continue;
		ram->blocks[i] = mem_large_alloc();
		if (ram->blocks[i] == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		memory_zero_words(ram->blocks[i], LARGE_PAGE_BYTES / 8);
	}
	return STATUS_OK;
}

static void ram_destroy(struct guest_ram *ram)
{
	for (uint64_t i = 0; ram->blocks != NULL && i < ram->block_count; i++)
		if (ram->blocks[i] != NULL)
			mem_large_free(ram->blocks[i]);
	free(ram->blocks);
	*ram = (struct guest_ram){0};
}

// The first block in parts: RAM, the VGA window left out, ROM read-only, RAM.
static enum status first_block_map(struct vm *vm)
{
	static const struct {
		uint64_t start, end;
		enum nested_access access;
	} parts[] = {
		{0, GUEST_VGA_START, NESTED_READ_WRITE},
		{GUEST_ROM_START, GUEST_ROM_END, NESTED_READ_ONLY},
		{GUEST_ROM_END, LARGE_PAGE_BYTES, NESTED_READ_WRITE},
	};
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < ARRAY_COUNT(parts) && status == STATUS_OK; i++)
		status = nested_map_add(vm->nested, (struct gpa){parts[i].start},
			(struct hpa){hpa_of(vm->ram.blocks[0]).v + parts[i].start},
			parts[i].end - parts[i].start, parts[i].access);
	return status;
}

static enum status memory_map(struct vm *vm)
{
	enum status status = nested_map_create(&vm->nested);

	if (status == STATUS_OK)
		status = first_block_map(vm);
	for (uint64_t i = 1; i < vm->ram.block_count && status == STATUS_OK; i++)
		if (vm->ram.blocks[i] != NULL)
			status = nested_map_add(vm->nested, (struct gpa){i * LARGE_PAGE_BYTES},
				hpa_of(vm->ram.blocks[i]), LARGE_PAGE_BYTES, NESTED_READ_WRITE);
	return status;
}

static enum status vcpu_part_create(struct vm *vm)
{
	const struct clock_calibration *clock = clock_calibration();
	const struct cpuid_config config = {.vcpus = 1, .x2apic = vm->config.x2apic,
		.tsc_khz = (uint32_t)(clock->tsc_hz / 1000), .apic_khz = 1000000};

	vm->vcpu = calloc(1, sizeof(*vm->vcpu));
	if (vm->vcpu == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	vm->vcpu->vm = vm;
	cpuid_profile_build(&config, &vm->vcpu->cpuid);
	vm->vcpu->physical_bits = (uint8_t)cpuid_profile_physical_bits(&vm->vcpu->cpuid);
	vm->vcpu->cr4_allowed = cpuid_profile_cr4_mask(&vm->vcpu->cpuid);
	vm->vcpu->gigabyte_pages = cpuid_profile_has_gigabyte_pages(&vm->vcpu->cpuid);
	return vcpu_create(vm->nested, &vm->vcpu->vcpu);
}

static enum status parts_create(struct vm *vm)
{
	enum status status = ram_create(vm);

	if (status == STATUS_OK)
		status = memory_map(vm);
	if (status == STATUS_OK)
		status = vcpu_part_create(vm);
	if (status == STATUS_OK)
		status = pc_create(vm);
	return status;
}

enum status vm_create(const struct vm_config *config, struct vm **created,
	char error[VM_ERROR_MAX])
{
	uint64_t free_bytes = mem_count().free_blocks * LARGE_PAGE_BYTES;
	struct vm *vm;
	enum status status;

	if (config->memory_bytes > free_bytes) {
		snprintf(error, VM_ERROR_MAX,
			"memory: %llu MiB asked for, %llu MiB free on this machine",
			(unsigned long long)(config->memory_bytes / MIB),
			(unsigned long long)(free_bytes / MIB));
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vm = calloc(1, sizeof(*vm));
	if (vm == NULL) {
		snprintf(error, VM_ERROR_MAX, "no memory for the machine itself");
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vm->config = *config;
	strlcpy(vm->name, config->name, sizeof(vm->name));
	vm->task.run = vm_run;
	vm->timer_for = GUEST_TIME_NEVER;
	timer_add(&vm->timer);
	event_queue_init(&vm->queue, vm, bus_deliver);
	status = parts_create(vm);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "cannot create the machine: %s",
			status_name(status));
		vm_destroy(vm);
		return status;
	}
	vm->next = machines;
	machines = vm;
	*created = vm;
	return STATUS_OK;
}

void vm_destroy(struct vm *vm)
{
	if (vm->state != VM_CREATED)
		loop_task_remove(&vm->task);
	machines_remove(vm);
	timer_remove(&vm->timer);
	pc_destroy(vm);
	if (vm->vcpu != NULL) {
		if (vm->vcpu->vcpu != NULL)
			vcpu_destroy(vm->vcpu->vcpu);
		free(vm->vcpu);
	}
	if (vm->nested != NULL)
		nested_map_destroy(vm->nested);
	ram_destroy(&vm->ram);
	free(vm);
}

static void vcpu_enter_kernel(struct vm *vm, const struct direct_boot_entry *entry)
{
	struct vcpu_state state;
	enum status status;

	vcpu_load(vm->vcpu->vcpu);
	vcpu_reset(vm->vcpu->vcpu, VCPU_RESET_POWER);
	vcpu_get_state(vm->vcpu->vcpu, &state);
	state.rip = entry->eip;
	state.cr0 = CR0_PE | CR0_ET;
	state.gpr[GPR_RAX] = entry->eax;
	state.gpr[GPR_RBX] = entry->ebx;
	state.gpr[GPR_RCX] = entry->ecx;
	state.gpr[GPR_RDX] = entry->edx;
	state.gpr[GPR_RSI] = entry->esi;
	state.gpr[GPR_RDI] = entry->edi;
	state.gpr[GPR_RSP] = entry->esp;
	state.gpr[GPR_RBP] = entry->ebp;
	state.segment[SEGMENT_CS] = SEGMENT_CODE32;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if (i != SEGMENT_CS)
			state.segment[i] = SEGMENT_DATA32;
	state.segment[SEGMENT_TR] =
		(struct vcpu_segment_state){DIRECT_BOOT_TASK_SELECTOR, 0x8b, 0x67, 0};
	state.gdtr_base = entry->gdt.v;
	state.gdtr_limit = DIRECT_BOOT_GDT_BYTES - 1;
	status = vcpu_set_state(vm->vcpu->vcpu, &state);
	ASSERT(status == STATUS_OK);
	vm->vcpu->halted = vm->vcpu->nmi_pending = false;
	vm->vcpu->tpr = 0;
	mtrr_reset(&vm->vcpu->mtrr, vm->vcpu->physical_bits);
	paging_forget(&vm->vcpu->paging);
	vm->vcpu->code_memo = NULL;
}

static enum status kernel_load(struct vm *vm, char error[VM_ERROR_MAX])
{
	const struct acpi_config acpi = {
		.vcpus = 1, .pci = true, .keyboard = false, .pvpanic = true};
	struct direct_boot_source source = {
		.kernel = vm->config.kernel,
		.kernel_bytes = vm->config.kernel_bytes,
		.initrd = vm->config.initrd,
		.initrd_bytes = vm->config.initrd_bytes,
		.cmdline = vm->config.cmdline,
	};
	struct direct_boot_entry entry;
	enum status status = acpi_tables_build(&vm->ram, &acpi, &source.rsdp);

	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "ACPI tables: %s", status_name(status));
		return status;
	}
	status = direct_boot_load(&vm->ram, &source, &entry, error);
	if (status == STATUS_OK) {
		vcpu_enter_kernel(vm, &entry);
		if (vm->resets <= REPORTS_MAX)
			log_info("%s: booting a %s kernel, %llu MiB of memory", vm->name,
				entry.protocol,
				(unsigned long long)(vm->config.memory_bytes / MIB));
	}
	return status;
}

static void tsc_offset_apply(struct vm *vm)
{
	vm->tsc_base = rdtsc() - vm->paused_tsc;
	vcpu_set_tsc_offset(vm->vcpu->vcpu, vm->vcpu->tsc_shift - vm->tsc_base);
	vm->timer_for = GUEST_TIME_NEVER; // the deadline's host time has changed
	timer_set(&vm->timer, TIMER_NEVER);
}

enum status vm_start(struct vm *vm, char error[VM_ERROR_MAX])
{
	enum status status;

	ASSERT(vm->state == VM_CREATED);
	pc_reset(vm, DEVICE_RESET_POWER);
	status = kernel_load(vm, error);
	if (status != STATUS_OK)
		return status;
	vm->state = VM_RUNNING;
	tsc_offset_apply(vm);
	loop_task_add(&vm->task);
	return STATUS_OK;
}

void vm_stop(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return;
	vm->paused_tsc = rdtsc() - vm->tsc_base;
	vm->state = VM_PAUSED;
	timer_set(&vm->timer, TIMER_NEVER);
}

void vm_continue(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return;
	vm->state = VM_RUNNING;
	tsc_offset_apply(vm);
}

void vm_end(struct vm *vm, enum vm_end end, uint32_t status)
{
	vm_stop(vm);
	vm->state = VM_ENDED;
	vm->end = end;
	vm->end_status = status;
	if (vm->config.ended != NULL)
		vm->config.ended(vm->config.owner);
}

static void reset_carry_out(struct vm *vm)
{
	char error[VM_ERROR_MAX];

	pc_reset(vm, DEVICE_RESET_LINE);
	vm->resets++;
	if (vm->resets <= REPORTS_MAX)
		log_info("%s: reset", vm->name);
	if (kernel_load(vm, error) != STATUS_OK) {
		log_error("%s: %s", vm->name, error);
		vm_end(vm, VM_END_FAILED, 0);
		return;
	}
	if (vm->state == VM_ENDED) {
		vm->state = VM_PAUSED;
		vm->end = VM_END_NONE;
		vm_continue(vm);
	}
}

void vm_carry_out_requests(struct vm *vm)
{
	uint32_t requests = vm->requests;

	vm->requests = 0;
	if ((requests & BIT(DEVICE_REQUEST_PANICKED)) != 0 && vm->panics++ < REPORTS_MAX)
		log_warn("%s: the guest reports a panic (pvpanic events 0x%x)", vm->name,
			vm->request_argument);
	if ((requests & BIT(DEVICE_REQUEST_EXIT)) != 0)
		vm_end(vm, VM_END_DEBUG_EXIT, vm->request_argument);
	else if ((requests & BIT(DEVICE_REQUEST_POWER_OFF)) != 0)
		vm_end(vm, VM_END_POWER_OFF, 0);
	else if ((requests & (BIT(DEVICE_REQUEST_RESET) | BIT(DEVICE_REQUEST_INIT))) != 0)
		reset_carry_out(vm);
}

enum status vm_reset_request(struct vm *vm)
{
	const struct event event = {.kind = EVENT_MACHINE, .index = DEVICE_REQUEST_RESET};

	if (vm->state == VM_CREATED)
		return STATUS_FAIL(STATUS_REFUSED);
	if (vm->state != VM_RUNNING) { // nothing is running that could be in the way
		vm->requests = (uint32_t)BIT(DEVICE_REQUEST_RESET);
		vm_carry_out_requests(vm);
		return STATUS_OK;
	}
	if (event_fifo_room(&vm->queue) <= VM_FIFO_RESERVE)
		return STATUS_FAIL(STATUS_BUSY);
	return event_post(&vm->queue, &event);
}

// A press is the rise; the button comes up at once.
enum status vm_power_button(struct vm *vm)
{
	struct event event = {.kind = EVENT_LINE, .device = vm->acpi_pm->id,
		.index = ACPI_PM_INPUT_POWER_BUTTON, .value = 1};
	enum status status;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return STATUS_FAIL(STATUS_REFUSED);
	if (event_fifo_room(&vm->queue) < VM_FIFO_RESERVE + 2) // both or none
		return STATUS_FAIL(STATUS_BUSY);
	status = event_post(&vm->queue, &event);
	event.value = 0;
	return status == STATUS_OK ? event_post(&vm->queue, &event) : status;
}

size_t vm_receive(struct vm *vm, const uint8_t *bytes, size_t count)
{
	const struct device *uart = vm->uart;
	size_t room, taken = 0;

	if (vm->state != VM_RUNNING || vm->receive_pending)
		return 0;
	room = uart->model->receive_room(uart, UART16550_PORT_CHARACTERS);
	if (room > count)
		room = count;
	while (taken < room && event_fifo_room(&vm->queue) > VM_FIFO_RESERVE) {
		size_t part = room - taken;
		struct event event = {.kind = EVENT_CHARACTERS, .device = uart->id,
			.index = UART16550_PORT_CHARACTERS};

		if (part > EVENT_PAYLOAD_MAX)
			part = EVENT_PAYLOAD_MAX;
		event.payload_bytes = (uint8_t)part;
		memcpy(event.payload, bytes + taken, part);
		if (event_post(&vm->queue, &event) != STATUS_OK)
			break;
		taken += part;
	}
	vm->receive_pending = taken > 0;
	return taken;
}
