// SPDX-License-Identifier: BSD-2-Clause
// Intel VT-x: creation of vcpus, loading and the entry. SDM vol. 3, chapters 24 to 32.
//
// The kernel runs with interrupts enabled, and enters a guest with interrupts off: one that comes
// between the check of `attention` and the guest's first instruction stays pending and ends the
// guest's run at once (external-interrupt exiting, not acknowledged); it is taken by the kernel's
// own handler at STI, before vcpu_enter returns.
//
// Of the guest's registers some have no place in the control structure: CR2, DR0 to DR3, DR6 and
// the MSRs of SYSCALL. The kernel uses none of them, so the CPU holds the guest's while it is
// loaded.
#include "vmx/vmx.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/position.h"
#include "vmx/counting.h"

enum { VPID_MAX = UINT16_MAX };

// The same for every vcpu.
static uint8_t *msr_bitmap;

// VPIDs are handed out in turn; when they have run out, a new generation begins with a full flush.
// Owner: the core.
static struct vmx_core {
	uint64_t generation;
	uint16_t last_vpid;
} vmx_cores[VCPU_CORES_MAX];

extern const uint8_t vmx_exit_entry[]; // vmx_run.S

static uint64_t ept_pointer(const struct nested_map *map)
{
	return nested_map_root(map) | EPTP_WB | EPTP_WALK_4 |
		(vmx_features.accessed_dirty ? EPTP_ACCESSED_DIRTY : 0);
}

static void vmx_destroy(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vcpu_common_destroy(vcpu);
	if (vmx->vmcs != NULL)
		mem_pages_free(vmx->vmcs, 2);
	free(vmx);
}

static enum status vmx_create(struct nested_map *map, const struct cpuid_offer *offer,
	struct vcpu **vcpu)
{
	struct vmx_vcpu *vmx = calloc(1, sizeof(*vmx));

	if (vmx == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	if (msr_bitmap == NULL) {
		msr_bitmap = mem_pages_alloc(1);
		if (msr_bitmap != NULL)
			vmx_msr_bitmap_init(msr_bitmap);
	}
	vmx->tsc_ratio = VCPU_TSC_RATIO_ONE;
	vmx->vmcs = mem_pages_alloc(2);
	if (msr_bitmap == NULL || vmx->vmcs == NULL ||
		vcpu_common_create(&vmx->vcpu, map, offer) != STATUS_OK) {
		vmx_destroy(&vmx->vcpu);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vmx->virtual_apic = vmx->vmcs + PAGE_BYTES;
	*(uint32_t *)(void *)vmx->vmcs = (uint32_t)vmx_features.basic & 0x7fffffff;
	*vcpu = &vmx->vcpu;
	return STATUS_OK;
}

// What the guest's CPU does not have is undefined, where a control does that.
static uint32_t proc2_controls(const struct cpuid_offer *offer)
{
	uint32_t controls = vmx_features.proc2;

	if (!offer->rdtscp && !offer->rdpid)
		controls &= ~(uint32_t)VMX_PROC2_RDTSCP;
	if (!offer->invpcid)
		controls &= ~(uint32_t)VMX_PROC2_INVPCID;
	if (!offer->rdrand)
		controls |= vmx_features.proc2_hide & (uint32_t)VMX_PROC2_RDRAND;
	if (!offer->rdseed)
		controls |= vmx_features.proc2_hide & (uint32_t)VMX_PROC2_RDSEED;
	return controls;
}

static void control_fields_write(struct vmx_vcpu *vmx)
{
	vmx->proc = vmx->proc_always = vmx_features.proc;
	vmx->proc2 = proc2_controls(&vmx->vcpu.offer);
	vmx->entry = vmx_features.entry;
	vmx->timer = vmx->stay = vmx_features.stay_alone;
	if (vmx_features.timer)
		vmx_write(VMCS_PREEMPTION_TIMER, vmx->timer);
	vmx_write(VMCS_PIN_CONTROLS, vmx_features.pin);
	vmx_write(VMCS_PROC_CONTROLS, vmx->proc);
	vmx_write(VMCS_PROC2_CONTROLS, vmx->proc2);
	vmx_write(VMCS_EXIT_CONTROLS, vmx_features.exit);
	vmx_write(VMCS_ENTRY_CONTROLS, vmx->entry);
	vmx_write(VMCS_EXCEPTION_BITMAP, VMX_EXCEPTIONS_INTERCEPTED);
	vmx_write(VMCS_PAGE_FAULT_MASK, 0);
	vmx_write(VMCS_PAGE_FAULT_MATCH, 0);
	vmx_write(VMCS_CR3_TARGETS, 0);
	vmx_write(VMCS_EXIT_MSR_STORES, 0);
	vmx_write(VMCS_EXIT_MSR_LOADS, 0);
	vmx_write(VMCS_ENTRY_MSR_LOADS, 0);
	vmx_write(VMCS_ENTRY_EVENT, 0);
	vmx_write(VMCS_TPR_THRESHOLD, 0);
	vmx_write(VMCS_MSR_BITMAP, hpa_of(msr_bitmap).v);
	vmx_write(VMCS_VIRTUAL_APIC, hpa_of(vmx->virtual_apic).v);
	vmx_write(VMCS_EPT_POINTER, ept_pointer(vmx->vcpu.map));
	if ((vmx_features.proc2 & VMX_PROC2_ENCLS) != 0)
		vmx_write(VMCS_ENCLS_BITMAP, UINT64_MAX);
	vmx_write(VMCS_GUEST_LINK, UINT64_MAX);
	vmx_write(VMCS_GUEST_ACTIVITY, 0);
	vmx_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmx_write(VMCS_GUEST_DEBUGCTL, 0);
}

// Everything of the host's that differs from core to core, and the rest with it.
static void host_fields_write(void)
{
	const struct cpu *cpu = cpu_self();

	vmx_write(VMCS_HOST_ES_SELECTOR, SELECTOR_DATA);
	vmx_write(VMCS_HOST_CS_SELECTOR, SELECTOR_CODE);
	vmx_write(VMCS_HOST_SS_SELECTOR, SELECTOR_DATA);
	vmx_write(VMCS_HOST_DS_SELECTOR, SELECTOR_DATA);
	vmx_write(VMCS_HOST_FS_SELECTOR, 0);
	vmx_write(VMCS_HOST_GS_SELECTOR, 0);
	vmx_write(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
	vmx_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmx_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmx_write(VMCS_HOST_SYSENTER_CS, 0);
	vmx_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmx_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmx_write(VMCS_HOST_CR0, cr0_read());
	vmx_write(VMCS_HOST_CR3, cr3_read());
	vmx_write(VMCS_HOST_CR4, cr4_read());
	vmx_write(VMCS_HOST_FS_BASE, 0);
	vmx_write(VMCS_HOST_GS_BASE, hpa_of(cpu).v);
	vmx_write(VMCS_HOST_TR_BASE, hpa_of(&cpu->desc.tss).v);
	vmx_write(VMCS_HOST_GDTR_BASE, hpa_of(cpu->desc.gdt).v);
	vmx_write(VMCS_HOST_IDTR_BASE, host_idt_base());
	vmx_write(VMCS_HOST_RIP, hpa_of(vmx_exit_entry).v);
}

// What a core remembers of a VPID ends with its generation, and what another core has made stale
// meanwhile is not known: so a vcpu keeps its VPID only where it ran last. A new one comes with a
// flush of what the core remembers of the nested tables: another map may have lain there.
static void vpid_give(struct vmx_vcpu *vmx)
{
	struct vmx_core *core = &vmx_cores[vmx->vcpu.core];
	bool done;

	if (vmx->vpid != 0 && vmx->vpid_core == vmx->vcpu.core &&
		vmx->vpid_generation == core->generation)
		return;
	if (core->generation == 0 || core->last_vpid == VPID_MAX) {
		core->generation++;
		core->last_vpid = 0;
		done = invvpid(VMX_INVALIDATE_ALL, 0);
		ASSERT(done);
	}
	vmx->vpid = ++core->last_vpid;
	vmx->vpid_core = vmx->vcpu.core;
	vmx->vpid_generation = core->generation;
	vmx_write(VMCS_VPID, vmx->vpid);
	done = invept(vmx_features.invept, ept_pointer(vmx->vcpu.map));
	ASSERT(done);
	vmx->flush = false;
}

static void vmx_forget_nested(struct vcpu *vcpu)
{
	ASSERT(!vcpu_is_loaded(vcpu));
	vmx_of(vcpu)->vpid_generation = 0; // none: it is given another
}

static void vmx_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t vmcs = hpa_of(vmx->vmcs).v;
	bool fresh = vmx->vpid == 0, done;

	// Cleared since it was last loaded, or never yet: 25.11.3.
	done = !fresh || vmclear(vmcs);
	ASSERT(done);
	done = vmptrld(vmcs);
	ASSERT(done);
	vcpu->host = NULL; // HOST_RSP is of another stack
	vmx->launched = false;
	if (fresh)
		control_fields_write(vmx);
	host_fields_write();
	vpid_give(vmx);
	vmx_write(VMCS_TSC_OFFSET, vmx->tsc_offset);
	if ((vmx_features.proc2 & VMX_PROC2_TSC_SCALE) != 0)
		vmx_write(VMCS_TSC_MULTIPLIER, vmx->tsc_ratio);
	vmx_registers_load(vmx);
}

static void vmx_unload(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool done;

	vmx_registers_save(vmx);
	done = vmclear(hpa_of(vmx->vmcs).v);
	ASSERT(done);
	vcpu->host = NULL;
}

static __attribute__((noinline)) void exit_without_entry(struct vmx_vcpu *vmx,
	struct vmexit *exit, enum vmexit_kind kind)
{
	vmx->step = false;
	vmx->limit = 0;
	exit->kind = (uint8_t)kind;
	exit->length = 0;
	exit->tpr = vmx_tpr(vmx);
	exit->rip = vmx->rip;
	exit->ticks = 0;
}

// The guest's registers that changed since the exit.
static always_inline void registers_write(struct vmx_vcpu *vmx)
{
	vmx_write(VMCS_GUEST_RIP, vmx->rip);
	if (unlikely(vmx->vcpu.gpr[GPR_RSP] != vmx->rsp))
		vmx_write(VMCS_GUEST_RSP, vmx->vcpu.gpr[GPR_RSP]);
	if (unlikely(vmx->dirty != 0)) {
		for (unsigned i = 0; i < VMX_CACHED_WRITABLE; i++)
			if ((vmx->dirty & BIT(i)) != 0)
				vmx_write(vmx_cached_field(i), vmx->cached[i]);
		vmx->dirty = 0;
	}
}

// VMRESUME or VMLAUNCH found a control that it does not like: 27.1 and 27.2.
static __attribute__((cold, noinline)) void entry_refused(struct vmx_vcpu *vmx,
	struct vmexit *exit)
{
	interrupts_enable();
	vmx->failed = true;
	exit_without_entry(vmx, exit, VMEXIT_INVALID);
}

// What the world switch itself counts is taken off; it is always the same: HOST_RSP is written each
// time. Interrupts are off, so nothing else runs between.
static __attribute__((noinline)) bool run_counted(struct vmx_vcpu *vmx, struct vmexit *exit)
{
	uint64_t tsc = vmx->vcpu.tsc_at_entry - vcpu_tsc_lead, before;
	bool entered;

	vmx->vcpu.host = NULL;
	before = position_start();
	vmx_write(VMCS_TSC_OFFSET, tsc - before);
	entered = vmx_run_guest(&vmx->vcpu, vmx->launched);
	exit->ticks = position_stop(before) - vcpu_counting_overhead;
	return entered;
}

static always_inline bool run_specially(struct vmx_vcpu *vmx, struct vmexit *exit)
{
	return vmx->counting ? run_counted(vmx, exit) : vmx_run_guest(&vmx->vcpu, vmx->launched);
}

static void vmx_enter(struct vcpu *vcpu, struct vmexit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	do {
		const struct cpu *cpu = cpu_self();

		interrupts_disable();
		if (unlikely(cpu->attention)) {
			interrupts_enable();
			exit_without_entry(vmx, exit, VMEXIT_INTERRUPT);
			return;
		}
		if (likely(vmx->special == 0)) {
			registers_write(vmx);
			if (unlikely(!vmx_run_guest(vcpu, vmx->launched))) {
				entry_refused(vmx, exit);
				return;
			}
		} else if (vmx_event_prepare(vcpu)) {
			registers_write(vmx);
			if (unlikely(!run_specially(vmx, exit))) {
				entry_refused(vmx, exit);
				return;
			}
		} else {
			interrupts_enable();
			exit_without_entry(vmx, exit, VMEXIT_SHUTDOWN);
			return;
		}
		interrupts_enable();
		vmx->launched = true;
		vmx->have = 0;
		vmx->reason = (uint32_t)vmx_read(VMCS_EXIT_REASON);
		vmx->rip = exit->rip = vmx_read(VMCS_GUEST_RIP);
		vcpu->gpr[GPR_RSP] = vmx->rsp = vmx_read(VMCS_GUEST_RSP);
		exit->tpr = vmx_tpr(vmx);
		if (unlikely(vmx->special != 0))
			vmx_event_done(vcpu);
		if (likely(vmx->reason < VMX_REASON_COUNT && vmx_plain_kinds[vmx->reason] != 0)) {
			exit->kind = vmx_plain_kinds[vmx->reason];
			exit->length = (uint8_t)vmx_read(VMCS_EXIT_LENGTH);
			return;
		}
	} while (vmx_exit_decode(vcpu, exit));
}

static void vmx_set_counting(struct vcpu *vcpu, unsigned how)
{
	const bool on = how != VCPU_COUNTING_OFF;
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	const uint32_t proc = (uint32_t)VMX_PROC_RDTSC;

	vmx->proc_always = (vmx->proc_always & ~proc) | (how == VCPU_COUNTING ? proc : 0);
	vmx->counting = on;
	vmx->armed = true; // the controls are written with the next entry
}

const struct vcpu_engine vmx_engine = {
	.name = "vmx",
	.step_misses_shadow = true,
	.cpu_init = vmx_cpu_init,
	.describe = vmx_describe,
	.create = vmx_create,
	.destroy = vmx_destroy,
	.load = vmx_load,
	.unload = vmx_unload,
	.reset = vmx_reset,
	.enter = vmx_enter,
	.rip = vmx_rip,
	.rflags = vmx_rflags,
	.set_rip = vmx_set_rip,
	.set_rflags = vmx_set_rflags,
	.advance = vmx_advance,
	.finish = vmx_finish,
	.dr7 = vmx_dr7,
	.watch_dr7 = vmx_watch_dr7,
	.paging = vmx_paging,
	.get_code = vmx_get_code,
	.segment = vmx_segment,
	.cpl = vmx_cpl,
	.code_bits = vmx_code_bits,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.read_msr = vmx_read_msr,
	.write_msr = vmx_write_msr,
	.write_cr0 = vmx_write_cr0,
	.write_cr4 = vmx_write_cr4,
	.set_tpr = vmx_set_tpr,
	.intercept_tpr = vmx_intercept_tpr,
	.intercept_pause = vmx_intercept_pause,
	.set_tsc_offset = vmx_set_tsc_offset,
	.tsc_offset = vmx_tsc_offset,
	.tsc_ratio = vmx_tsc_ratio,
	.set_tsc_ratio = vmx_set_tsc_ratio,
	.can_inject = vmx_can_inject,
	.event_pending = vmx_event_pending,
	.inject_interrupt = vmx_inject_interrupt,
	.inject_nmi = vmx_inject_nmi,
	.inject_exception = vmx_inject_exception,
	.set_cr2 = vmx_set_cr2,
	.request_interrupt_window = vmx_request_interrupt_window,
	.request_nmi_window = vmx_request_nmi_window,
	.request_step = vmx_request_step,
	.spoil = vmx_spoil,
	.forget_nested = vmx_forget_nested,
	.set_counting = vmx_set_counting,
	.limit = vmx_limit,
	.print_entry_failure = vmx_print_entry_failure,
};
