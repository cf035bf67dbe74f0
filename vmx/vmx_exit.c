// SPDX-License-Identifier: BSD-2-Clause
// From exit reasons to struct vmexit. SDM vol. 3, 28.2 and appendix C.
#include "vmx/vmx.h"

#include "kernel/base/assert.h"
#include "kernel/console.h"

const uint8_t vmx_plain_kinds[VMX_REASON_COUNT] = {
	[VMX_REASON_CPUID] = VMEXIT_CPUID,
	[VMX_REASON_GETSEC] = VMEXIT_UNDEFINED,
	[VMX_REASON_HLT] = VMEXIT_HLT,
	[VMX_REASON_INVD] = VMEXIT_CACHE,
	[VMX_REASON_RDPMC] = VMEXIT_RDPMC,
	[VMX_REASON_RDTSC] = VMEXIT_RDTSC,
	[VMX_REASON_RDTSCP] = VMEXIT_RDTSC,
	[VMX_REASON_VMCALL ... VMX_REASON_VMXON] = VMEXIT_UNDEFINED,
	[VMX_REASON_CR_ACCESS] = VMEXIT_CR_WRITE, // CR0 and CR4: no other access exits
	[VMX_REASON_RDMSR] = VMEXIT_MSR_READ,
	[VMX_REASON_WRMSR] = VMEXIT_MSR_WRITE,
	[VMX_REASON_MWAIT] = VMEXIT_MONITOR,
	[VMX_REASON_MONITOR] = VMEXIT_MONITOR,
	[VMX_REASON_PAUSE] = VMEXIT_PAUSE,
	[VMX_REASON_INVEPT] = VMEXIT_UNDEFINED,
	[VMX_REASON_INVVPID] = VMEXIT_UNDEFINED,
	[VMX_REASON_WBINVD] = VMEXIT_CACHE,
	[VMX_REASON_XSETBV] = VMEXIT_XSETBV,
	[VMX_REASON_RDRAND] = VMEXIT_UNDEFINED,
	[VMX_REASON_ENCLS] = VMEXIT_UNDEFINED,
	[VMX_REASON_RDSEED] = VMEXIT_UNDEFINED,
};

static void decode_io(struct vmexit *exit)
{
	uint64_t qualification = vmx_read(VMCS_QUALIFICATION);

	exit->kind = VMEXIT_IO;
	exit->length = (uint8_t)vmx_read(VMCS_EXIT_LENGTH);
	exit->io.port = (uint16_t)(qualification >> VMX_IO_PORT_SHIFT);
	exit->io.size = (uint8_t)((qualification & VMX_IO_SIZE) + 1);
	exit->io.in = (qualification & VMX_IO_IN) != 0;
	exit->io.string = (qualification & VMX_IO_STRING) != 0;
}

static void decode_memory(struct vcpu *vcpu, struct vmexit *exit)
{
	uint64_t qualification = vmx_read(VMCS_QUALIFICATION);

	exit->kind = VMEXIT_MEMORY;
	exit->length = 0;
	exit->memory.gpa.v = vmx_read(VMCS_GUEST_PHYSICAL);
	exit->memory.write = (qualification & VMX_EPT_WRITE) != 0;
	exit->memory.fetch = (qualification & VMX_EPT_FETCH) != 0;
	exit->memory.table = (qualification & (VMX_EPT_HAS_LINEAR | VMX_EPT_FINAL)) ==
		VMX_EPT_HAS_LINEAR;
	vmx_event_collect(vcpu, (qualification & VMX_EPT_NMI_UNBLOCKED) != 0);
}

// What the CPU would have done before it delivered #DB, had it not exited: 28.1.
static void debug_registers_set(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t found = vmx_read(VMCS_QUALIFICATION) &
		(VMX_DEBUG_BREAKPOINTS | VMX_DEBUG_BD | VMX_DEBUG_BS);

	vmx_set_dr6(vmx, (vmx_dr6(vmx) & ~VMX_DEBUG_BREAKPOINTS) | found);
	if ((found & VMX_DEBUG_BD) != 0) // GD
		vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) & ~BIT(13));
	vmx_write(VMCS_GUEST_DEBUGCTL, vmx_read(VMCS_GUEST_DEBUGCTL) & ~3ull); // LBR, BTF
}

// The step's own exit, or the end of an event's delivery.
static void decode_step(const struct vmx_vcpu *vmx, struct vmexit *exit)
{
	exit->kind = vmx->stepped && !vmx->step_event ? VMEXIT_STEP : VMEXIT_INTERRUPT;
}

// A trap of the guest's own comes before the preemption timer's exit: the instruction has run. A
// breakpoint on the instruction itself is a fault, before it has.
static void step_trap(struct vcpu *vcpu, struct vmexit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->step_event ||
		((vmx_dr6(vmx) & VMX_DEBUG_BS) == 0 && exit->rip == vmx->step_rip))
		return;
	vmx_inject_exception(vcpu, VECTOR_DB, false, 0);
	decode_step(vmx, exit);
}

// True: enter again at once.
static bool decode_exception(struct vcpu *vcpu, struct vmexit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t event = (uint32_t)vmx_read(VMCS_EXIT_EVENT);
	uint8_t vector = event & VMX_EVENT_VECTOR;

	exit->length = 0;
	if ((event & VMX_EVENT_TYPE) == VMX_EVENT_NMI) { // the host's; its IRET unblocks them
		host_nmi();
		exit->kind = VMEXIT_INTERRUPT;
		return false;
	}
	if (vector == VECTOR_MC) { // the host's handler takes it: it does not return
		host_machine_check();
		return true;
	}
	vmx_event_collect(vcpu, (event & VMX_EVENT_NMI_UNBLOCKED) != 0 && vector != VECTOR_DF);
	vmx->icebp_length = 0;
	if (vector == VECTOR_DB && (event & VMX_EVENT_TYPE) == VMX_EVENT_PRIVILEGED)
		vmx->icebp_length = (uint8_t)vmx_read(VMCS_EXIT_LENGTH); // DR6 stays: INT1
	else if (vector == VECTOR_DB)
		debug_registers_set(vcpu);
	// Its delivery ends a shadow; with TF an entry would want to know of a step: 27.3.1.5.
	if (vector == VECTOR_DB && vmx_in_shadow(vcpu))
		vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY,
			vmx_cached(vcpu, VMX_INTERRUPTIBILITY) & ~(uint64_t)VMX_BLOCKED_SHADOW);
	exit->kind = VMEXIT_EXCEPTION;
	exit->exception.vector = vector;
	exit->exception.has_error_code = (event & VMX_EVENT_HAS_ERROR) != 0;
	exit->exception.error_code = exit->exception.has_error_code
		? (uint32_t)vmx_read(VMCS_EXIT_EVENT_ERROR) : 0;
	if (unlikely(vmx->stepped) && vector == VECTOR_DB && vmx->icebp_length == 0)
		step_trap(vcpu, exit);
	return false;
}

// What the switch needs, and the event that a task gate is for: that is not delivered again.
static void decode_task_switch(struct vcpu *vcpu, struct vmexit *exit)
{
	uint64_t qualification = vmx_read(VMCS_QUALIFICATION);
	uint32_t vectoring = (uint32_t)vmx_read(VMCS_VECTORING), type = vectoring & VMX_EVENT_TYPE;

	exit->kind = VMEXIT_TASK_SWITCH;
	exit->length = 0;
	exit->task.selector = (uint16_t)qualification;
	exit->task.source = qualification >> VMX_TASK_SOURCE_SHIFT & 3;
	exit->task.vector = vectoring & VMX_EVENT_VECTOR;
	exit->task.has_error_code = false;
	exit->task.event = VCPU_EVENT_NONE;
	if (exit->task.source != VMEXIT_TASK_GATE || (vectoring & VMX_EVENT_VALID) == 0) {
		exit->length = (uint8_t)vmx_read(VMCS_EXIT_LENGTH);
		return;
	}
	// Software events: what is saved points behind their instruction.
	if (type >= VMX_EVENT_SOFTWARE_INTERRUPT)
		exit->length = (uint8_t)vmx_read(VMCS_EXIT_LENGTH);
	else
		exit->task.event = type == VMX_EVENT_INTERRUPT ? VCPU_EVENT_INTERRUPT
			: type == VMX_EVENT_NMI ? VCPU_EVENT_NMI : VCPU_EVENT_EXCEPTION;
	exit->task.has_error_code = (vectoring & VMX_EVENT_HAS_ERROR) != 0;
	exit->task.error_code = exit->task.has_error_code
		? (uint32_t)vmx_read(VMCS_VECTORING_ERROR) : 0;
	if (type == VMX_EVENT_NMI) // as if it were delivered
		vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY,
			vmx_cached(vcpu, VMX_INTERRUPTIBILITY) | VMX_BLOCKED_NMI);
}

static __attribute__((noinline)) bool decode_rare(struct vcpu *vcpu, struct vmexit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	exit->length = 0;
	switch (vmx->reason) {
	case VMX_REASON_INTERRUPT:
	case VMX_REASON_INIT:
	case VMX_REASON_SIPI:
	case VMX_REASON_IO_SMI:
	case VMX_REASON_SMI:
		exit->kind = VMEXIT_INTERRUPT;
		return false;
	case VMX_REASON_INTERRUPT_WINDOW:
	case VMX_REASON_NMI_WINDOW:
	case VMX_REASON_TPR:
		exit->kind = VMEXIT_INTERRUPT_WINDOW;
		return false;
	case VMX_REASON_EXCEPTION:
		return decode_exception(vcpu, exit);
	case VMX_REASON_TASK_SWITCH:
		decode_task_switch(vcpu, exit);
		return false;
	case VMX_REASON_DR_ACCESS: // runs now
		vmx_watch_dr7(vcpu, false);
		exit->kind = VMEXIT_INTERRUPT;
		return false;
	case VMX_REASON_TRIPLE_FAULT:
		exit->kind = VMEXIT_SHUTDOWN;
		return false;
	case VMX_REASON_MTF:
		decode_step(vmx, exit);
		return false;
	case VMX_REASON_TIMER:
		if (!vmx_features.mtf)
			decode_step(vmx, exit);
		else
			exit->kind = VMEXIT_INTERRUPT; // it stayed long enough
		return false;
	}
	exit->kind = VMEXIT_INVALID; // the entry failed, or an exit that nobody asked for
	return false;
}

bool vmx_exit_decode(struct vcpu *vcpu, struct vmexit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (likely(vmx->reason == VMX_REASON_IO)) {
		decode_io(exit);
		return false;
	}
	if (likely(vmx->reason == VMX_REASON_EPT_VIOLATION)) {
		decode_memory(vcpu, exit);
		return false;
	}
	return decode_rare(vcpu, exit);
}

static void violation_print(const char *what, enum vmcs_field field)
{
	log_error("  violated: %s: %s is %llx", what, vmx_field_name(field),
		(unsigned long long)vmx_read(field));
}

#define PRINT(field) \
	log_error("  %-24s %016llx", vmx_field_name(VMCS_##field), \
		(unsigned long long)vmx_read(VMCS_##field))

void vmx_print_entry_failure(const struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->failed) {
		log_error("VT-x refused the entry: VM-instruction error %u",
			(unsigned)vmx_read(VMCS_INSTRUCTION_ERROR));
		PRINT(PIN_CONTROLS);
		PRINT(PROC_CONTROLS);
		PRINT(PROC2_CONTROLS);
		PRINT(EXIT_CONTROLS);
	} else {
		log_error("VT-x exit reason %u%s, qualification %llx", vmx->reason & 0xffffu,
			(vmx->reason & VMX_REASON_ENTRY_FAILED) != 0 ? " (failed entry)" : "",
			(unsigned long long)vmx_read(VMCS_QUALIFICATION));
	}
	if (vmx->reason == VMX_REASON_EPT_MISCONFIGURED)
		PRINT(GUEST_PHYSICAL);
	(void)vmx_guest_check(violation_print);
	PRINT(ENTRY_CONTROLS);
	PRINT(ENTRY_EVENT);
	PRINT(GUEST_EFER);
	PRINT(GUEST_CR0);
	PRINT(GUEST_CR3);
	PRINT(GUEST_CR4);
	PRINT(GUEST_DR7);
	PRINT(GUEST_CS_ACCESS);
	PRINT(GUEST_SS_ACCESS);
	PRINT(GUEST_TR_ACCESS);
	PRINT(GUEST_INTERRUPTIBILITY);
	PRINT(GUEST_PENDING_DEBUG);
	PRINT(GUEST_RFLAGS);
	PRINT(GUEST_RIP);
}
