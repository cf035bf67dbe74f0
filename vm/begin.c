// SPDX-License-Identifier: BSD-2-Clause
// Where a guest begins: at the reset vector where there is firmware, else at a kernel's entry.
#include <stdio.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"
#include "vm/acpi_tables.h"
#include "vm/direct_boot.h"
#include "vm/vm.h"

#define SEGMENT_CODE32 (struct vcpu_segment_state){DIRECT_BOOT_CODE_SELECTOR, 0xc9b, UINT32_MAX, 0}
#define SEGMENT_DATA32 (struct vcpu_segment_state){DIRECT_BOOT_DATA_SELECTOR, 0xc93, UINT32_MAX, 0}

static void vcpu_enter_kernel(struct vm_vcpu *vcpu, const struct direct_boot_entry *entry)
{
	struct vcpu_state state;
	enum status status;

	vcpu_load(vcpu->vcpu);
	vcpu_get_state(vcpu->vcpu, &state);
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
	status = vcpu_set_state(vcpu->vcpu, &state);
	ASSERT(status == STATUS_OK);
	vcpu_unload(vcpu->vcpu);
}

static enum status kernel_load(struct vm *vm, char error[VM_ERROR_MAX])
{
	const struct acpi_config acpi = {
		.vcpus = vm->vcpu_count, .pci = true, .keyboard = true, .hpet = vm->config.hpet,
		.vga = vm->config.display == VM_DISPLAY_VGA,
		.q35 = vm->config.machine == VM_MACHINE_Q35, .pvpanic = true};
	struct direct_boot_source source = {
		.kernel = vm->config.kernel,
		.kernel_bytes = vm->config.kernel_bytes,
		.initrd = vm->config.initrd,
		.initrd_bytes = vm->config.initrd_bytes,
		.cmdline = vm->config.cmdline,
	};
	uint8_t seed[RANDOM_SEED_BYTES];
	struct direct_boot_entry entry;
	enum status status = acpi_tables_build(&vm->ram, &acpi, &source.rsdp);

	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "ACPI tables: %s", status_name(status));
		return status;
	}
	if (vm->config.random_seed.is_there) {
		random_seed_bytes(&vm->config.random_seed, vm->resets, seed);
		source.random_seed = seed;
	}
	status = direct_boot_load(&vm->ram, &source, &entry, error);
	if (status != STATUS_OK)
		return status;
	vcpu_enter_kernel(vm->vcpus[0], &entry);
	if (vm->resets <= VM_RESETS_TOLD)
		log_info("%s: booting a %s kernel, %llu MiB of memory", vm->name, entry.protocol,
			(unsigned long long)(vm->config.memory_bytes / MIB));
	return STATUS_OK;
}

enum status vm_begin(struct vm *vm, char error[VM_ERROR_MAX])
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vm_vcpu_reset(vm->vcpus[i]);
	if (vm->config.firmware == NULL)
		return kernel_load(vm, error);
	if (vm->resets <= VM_RESETS_TOLD)
		log_info("%s: booting %s, %llu MiB of memory", vm->name,
			vm->config.firmware_name,
			(unsigned long long)(vm->config.memory_bytes / MIB));
	return STATUS_OK;
}
