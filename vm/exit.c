// SPDX-License-Identifier: BSD-2-Clause
// Exits by kind. What happens to the guest is what a CPU would do; nothing that a guest does ends
// in an assertion.
#include "emul/lapic.h"
#include "kernel/console.h"
#include "kernel/x86.h"
#include "vm/landing.h"

void vm_inject_gp(struct vm_vcpu *vcpu)
{
	vcpu_inject_exception(vcpu->vcpu, VECTOR_GP, true, 0);
}

void vm_inject_ud(struct vm_vcpu *vcpu)
{
	vcpu_inject_exception(vcpu->vcpu, VECTOR_UD, false, 0);
}

void vm_inject_page_fault(struct vm_vcpu *vcpu, const struct paging_fault *fault)
{
	vcpu_set_cr2(vcpu->vcpu, fault->cr2);
	vcpu_inject_exception(vcpu->vcpu, VECTOR_PF, true, fault->error_code);
}

void vm_paging_update(struct vm_vcpu *vcpu)
{
	const struct vcpu_code *now = &vcpu->code;
	struct paging *paging = &vcpu->paging;

	vcpu_get_code(vcpu->vcpu, &vcpu->code);
	paging->rflags = now->rflags;
	if (likely(paging->cr3 == now->cr3 && paging->cr0 == now->cr0 && paging->cr4 == now->cr4 &&
		    paging->efer == now->efer))
		return;
	paging_set(paging, now->cr0, now->cr3, now->cr4, now->efer, vcpu->physical_bits,
		vcpu->gigabyte_pages);
	paging->rflags = now->rflags;
}

bool vm_fetch(struct vm_vcpu *vcpu, struct paging_code *code)
{
	enum status status;

	vm_paging_update(vcpu);
	status = paging_fetch(&vcpu->paging, &vcpu->vm->ram, (struct gva){vcpu->code.linear_rip},
		vcpu->code.cpl == 3 ? PAGING_USER : 0, code);
	if (likely(status == STATUS_OK))
		return true;
	if (status == STATUS_FAULT)
		vm_inject_page_fault(vcpu, &code->fault);
	else // nobody answers: the CPU reads all ones, which is no instruction
		vm_inject_ud(vcpu);
	return false;
}

static unsigned length_by_decoding(struct vm_vcpu *vcpu, const struct paging_code *code)
{
	struct insn insn = {.length = 0};

	(void)!decode_insn((enum decode_mode)vcpu->code.bits, code->bytes, code->available, &insn);
	if (insn.length == 0)
		vm_inject_ud(vcpu);
	return insn.length;
}

unsigned vm_exit_length_slow(struct vm_vcpu *vcpu, enum decode_known which)
{
	struct paging_code code;
	unsigned length;

	if (!vm_fetch(vcpu, &code))
		return 0;
	vcpu->code_memo = paging_code_memo(&vcpu->paging, vcpu->code.linear_rip);
	length = decode_length_known(code.bytes, code.available, which);
	return likely(length != 0) ? length : length_by_decoding(vcpu, &code);
}

static void exit_interrupt(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)vcpu;
	(void)exit;
	(void)tsc;
}

// Leaves with subleaves, and those with bits that mirror the CPU's state.
static __attribute__((noinline)) void cpuid_answer_slow(struct vm_vcpu *vcpu, uint32_t leaf,
	uint32_t subleaf)
{
	struct cpuid value = *cpuid_profile_query(&vcpu->cpuid, leaf, subleaf);
	uint64_t *gpr = vcpu_gpr(vcpu->vcpu);

	if (leaf == 0x0d && subleaf == 0)
		value.ebx = cpuid_xsave_bytes(vcpu_xcr0(vcpu->vcpu));
	if (leaf == 0x0b && value.ebx == 0) { // past the last level: SDM vol. 2, CPUID
		value.ecx = subleaf & 0xff;
		value.edx = cpuid_profile_query(&vcpu->cpuid, leaf, 0)->edx;
	}
	if (leaf == 1 && (vcpu_paging(vcpu->vcpu).cr4 & CR4_OSXSAVE) != 0)
		value.ecx |= (uint32_t)CPUID_1_ECX_OSXSAVE;
	if (leaf == 1 && (lapic_base_read(vcpu->lapic) & LAPIC_BASE_ENABLE) == 0)
		value.edx &= (uint32_t)~CPUID_1_EDX_APIC;
	gpr[GPR_RAX] = value.eax;
	gpr[GPR_RBX] = value.ebx;
	gpr[GPR_RCX] = value.ecx;
	gpr[GPR_RDX] = value.edx;
}

static void exit_cpuid(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_CPUID);
	uint64_t *gpr = vcpu_gpr(vcpu->vcpu);
	const struct cpuid *value;
	uint32_t leaf = (uint32_t)gpr[GPR_RAX];

	(void)tsc;
	if (unlikely(length == 0))
		return;
	value = cpuid_profile_simple(&vcpu->cpuid, leaf);
	if (unlikely(value == NULL)) {
		cpuid_answer_slow(vcpu, leaf, (uint32_t)gpr[GPR_RCX]);
	} else {
		gpr[GPR_RAX] = value->eax;
		gpr[GPR_RBX] = value->ebx;
		gpr[GPR_RCX] = value->ecx;
		gpr[GPR_RDX] = value->edx;
	}
	vcpu_advance(vcpu->vcpu, length);
}

static void exit_hlt(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_HLT);

	(void)tsc;
	if (length == 0)
		return;
	vcpu_advance(vcpu->vcpu, length);
	vcpu->halted = !vcpu_event_pending(vcpu->vcpu); // a single-step trap comes at once
	vcpu->quiet = VM_QUIET_NEVER;
}

// The guest waits, perhaps for a vcpu that waits for this core: let the others have it.
static void exit_pause(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_PAUSE);

	(void)tsc;
	if (length == 0)
		return;
	vcpu_advance(vcpu->vcpu, length);
	if (vcpu->vm->landing != NULL)
		landing_yield(vcpu->vm);
	else
		cpu_self()->attention = true;
}

static void exit_exception(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)tsc;
	vcpu_inject_exception(vcpu->vcpu, exit->exception.vector, exit->exception.has_error_code,
		exit->exception.error_code);
}

static void exit_cr8_write(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = exit->length, source = exit->cr8_gpr;
	uint64_t value;

	(void)tsc;
	if (length == 0 || source == 0xff) {
		struct paging_code code;

		if (!vm_fetch(vcpu, &code))
			return;
		length = decode_length_known(code.bytes, code.available,
			DECODE_KNOWN_WRITE_CONTROL);
		if (length < 3) {
			vm_inject_ud(vcpu);
			return;
		}
		// [REX] 0F 22 /8: ModRM.rm and REX.B name the register.
		source = (code.bytes[length - 1] & 7u) |
			(length > 3 && (code.bytes[length - 4] & 0xf1) == 0x41 ? 8u : 0);
	}
	value = vcpu_gpr(vcpu->vcpu)[source];
	if (value > 15) {
		vm_inject_gp(vcpu);
		return;
	}
	lapic_set_tpr(vcpu->lapic, (uint8_t)(value << 4));
	vcpu_advance(vcpu->vcpu, length);
}

static void exit_xsetbv(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_XSETBV);

	(void)tsc;
	if (length == 0)
		return;
	if (vcpu_xsetbv(vcpu->vcpu) != STATUS_OK)
		vm_inject_gp(vcpu);
	else
		vcpu_advance(vcpu->vcpu, length);
}

static void exit_cache(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	unsigned length = vm_exit_length(vcpu, exit, DECODE_KNOWN_WBINVD);

	(void)tsc;
	if (length != 0)
		vcpu_advance(vcpu->vcpu, length);
}

static void exit_undefined(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)exit;
	(void)tsc;
	vm_inject_ud(vcpu);
}

// No performance counters: #GP for any index.
static void exit_rdpmc(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)exit;
	(void)tsc;
	vm_inject_gp(vcpu);
}

// A PC's chip set answers the shutdown cycle of a triple fault with a reset.
static void exit_shutdown(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)exit;
	(void)tsc;
	if (vcpu->vm->resets < 16) // a guest that does nothing else would fill the log
		log_warn("%s: triple fault at RIP %llx", vcpu->vm->name,
			(unsigned long long)exit->rip);
	vm_request(vcpu->vm, DEVICE_REQUEST_RESET, 0);
}

static void exit_invalid(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc)
{
	(void)exit;
	(void)tsc;
	log_error("%s: the CPU refused to enter the guest; this machine stops", vcpu->vm->name);
	vcpu_print_entry_failure(vcpu->vcpu);
	vm_request(vcpu->vm, VM_REQUEST_FAILED, 0);
}

vm_exit_handler *const vm_exit_handlers[VMEXIT_KIND_COUNT] = {
	[VMEXIT_INTERRUPT] = exit_interrupt,
	[VMEXIT_IO] = vm_exit_io,
	[VMEXIT_MEMORY] = vm_exit_memory,
	[VMEXIT_CPUID] = exit_cpuid,
	[VMEXIT_MSR_READ] = vm_exit_msr_read,
	[VMEXIT_MSR_WRITE] = vm_exit_msr_write,
	[VMEXIT_HLT] = exit_hlt,
	[VMEXIT_PAUSE] = exit_pause,
	[VMEXIT_INTERRUPT_WINDOW] = exit_interrupt,
	[VMEXIT_EXCEPTION] = exit_exception,
	[VMEXIT_CR_WRITE] = vm_exit_cr_write,
	[VMEXIT_CR8_WRITE] = exit_cr8_write,
	[VMEXIT_XSETBV] = exit_xsetbv,
	[VMEXIT_CACHE] = exit_cache,
	[VMEXIT_MONITOR] = exit_undefined,
	[VMEXIT_UNDEFINED] = exit_undefined,
	[VMEXIT_RDPMC] = exit_rdpmc,
	[VMEXIT_STEP] = exit_interrupt, // it has all been done
	[VMEXIT_STEP_REPAIR] = vm_exit_step_repair,
	[VMEXIT_SOFTWARE_INTERRUPT] = vm_exit_software_interrupt,
	[VMEXIT_DR_WRITE] = vm_exit_dr_write,
	[VMEXIT_RDTSC] = vm_exit_rdtsc,
	[VMEXIT_TASK_SWITCH] = vm_exit_task_switch,
	[VMEXIT_SHUTDOWN] = exit_shutdown,
	[VMEXIT_INVALID] = exit_invalid,
};
