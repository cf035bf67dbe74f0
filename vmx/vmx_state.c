// SPDX-License-Identifier: BSD-2-Clause
// Registers of a vcpu.
#include "vmx/vmx.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "vmx/breakpoint.h"

#define DR6_FIXED 0xffff0ff0ull
#define DEBUGCTL_BTF BIT(1)

uint64_t vmx_rip(const struct vcpu *vcpu)
{
	return vmx_of(vcpu)->rip;
}

uint64_t vmx_rflags(const struct vcpu *vcpu)
{
	return vmx_cached(vcpu, VMX_RFLAGS);
}

void vmx_set_rip(struct vcpu *vcpu, uint64_t rip)
{
	vmx_of(vcpu)->rip = rip;
}

void vmx_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	vmx_cached_set(vcpu, VMX_RFLAGS, rflags | RFLAGS_FIXED);
}

// The shadow ends. What MOV SS or POP SS held back until now becomes part of DR6, and is a trap if
// a breakpoint of it is enabled: SDM vol. 3, 6.8.3 and 27.3.1.5.
static __attribute__((noinline)) bool shadow_end(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t pending = vmx_read(VMCS_GUEST_PENDING_DEBUG);

	vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY,
		vmx_cached(vcpu, VMX_INTERRUPTIBILITY) & ~(uint64_t)VMX_BLOCKED_SHADOW);
	if (pending == 0)
		return false;
	vmx_write(VMCS_GUEST_PENDING_DEBUG, 0);
	if ((pending & VMX_DEBUG_ENABLED) == 0)
		return false;
	vmx_set_dr6(vmx, vmx_dr6(vmx) | (pending & VMX_DEBUG_BREAKPOINTS));
	return true;
}

uint64_t vmx_dr7(const struct vcpu *vcpu)
{
	(void)vcpu;
	return vmx_read(VMCS_GUEST_DR7);
}

void vmx_watch_dr7(struct vcpu *vcpu, bool watch)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vcpu->breakpoints_possible = !watch;
	vmx->proc = (vmx->proc & ~(uint32_t)VMX_PROC_MOV_DR) |
		(watch ? (uint32_t)VMX_PROC_MOV_DR : 0);
	vmx_write(VMCS_PROC_CONTROLS, vmx->proc);
}

// A single-step trap, a breakpoint that was held back, or one on an access made in software.
static __attribute__((noinline)) void trap_pend(struct vcpu *vcpu, bool breakpoint)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	unsigned hits = vcpu->breakpoint_hits;
	bool step = (vmx_cached(vcpu, VMX_RFLAGS) & RFLAGS_TF) != 0 &&
		(vmx_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0;

	vcpu->breakpoint_hits = 0;
	if (vmx->has_event || (!step && !breakpoint && hits == 0))
		return;
	if (hits != 0)
		vmx_set_dr6(vmx, vmx_dr6(vmx) | hits);
	if (step)
		vmx_set_dr6(vmx, vmx_dr6(vmx) | VMX_DEBUG_BS);
	vmx_inject_exception(vcpu, VECTOR_DB, false, 0);
}

static __attribute__((noinline)) void finish_slow(struct vcpu *vcpu)
{
	bool breakpoint = false;

	if (vmx_in_shadow(vcpu))
		breakpoint = shadow_end(vcpu);
	trap_pend(vcpu, breakpoint);
}

// The two flags that matter, without a copy where nobody has asked for the field yet.
static always_inline bool is_in_shadow(const struct vmx_vcpu *vmx)
{
	uint64_t blocked = unlikely((vmx->have & BIT(VMX_INTERRUPTIBILITY)) != 0)
		? vmx->cached[VMX_INTERRUPTIBILITY] : vmx_read(VMCS_GUEST_INTERRUPTIBILITY);

	return (blocked & VMX_BLOCKED_SHADOW) != 0;
}

void vmx_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->rip = rip;
	if (unlikely(vmx_cached(vcpu, VMX_RFLAGS) != rflags))
		vmx_cached_set(vcpu, VMX_RFLAGS, rflags);
	if (unlikely(((rflags & RFLAGS_TF) | vcpu->breakpoint_hits) != 0 || is_in_shadow(vmx)))
		finish_slow(vcpu);
}

// IP and EIP wrap at their width. The instruction is done: RF is clear.
static __attribute__((noinline)) void advance_slow(struct vcpu *vcpu, uint64_t rflags)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->rip > UINT32_MAX && vmx_code_bits(vcpu) != 64)
		vmx->rip = (uint32_t)vmx->rip;
	if ((rflags & RFLAGS_RF) != 0)
		vmx_cached_set(vcpu, VMX_RFLAGS, rflags & ~RFLAGS_RF);
	finish_slow(vcpu);
}

void vmx_advance(struct vcpu *vcpu, unsigned length)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t rflags = unlikely((vmx->have & BIT(VMX_RFLAGS)) != 0)
		? vmx->cached[VMX_RFLAGS] : vmx_read(VMCS_GUEST_RFLAGS);

	vmx->rip += length;
	if (unlikely(((rflags & (RFLAGS_RF | RFLAGS_TF)) | vcpu->breakpoint_hits) != 0 ||
		    vmx->rip >> 32 == 1 || is_in_shadow(vmx)))
		advance_slow(vcpu, rflags);
}

// A segment that cannot be used is one that is not present: a null selector was loaded. Its
// privilege level still counts, in SS. Table 25-2.
struct vcpu_segment_state vmx_segment(const struct vcpu *vcpu, enum vcpu_segment segment)
{
	uint64_t access;

	(void)vcpu;
	ASSERT(segment < SEGMENT_COUNT);
	access = vmx_read(vmx_segment_field(VMCS_GUEST_ES_ACCESS, segment));
	if ((access & VMX_ACCESS_UNUSABLE) != 0)
		access &= ~(uint64_t)SEGMENT_ATTRIBUTE_P;
	return (struct vcpu_segment_state){
		.selector = (uint16_t)vmx_read(
			vmx_segment_field(VMCS_GUEST_ES_SELECTOR, segment)),
		.attributes = (uint16_t)((access & 0xff) | (access >> 4 & 0xf00)),
		.limit = (uint32_t)vmx_read(vmx_segment_field(VMCS_GUEST_ES_LIMIT, segment)),
		.base = vmx_read(vmx_segment_field(VMCS_GUEST_ES_BASE, segment)),
	};
}

unsigned vmx_cpl(const struct vcpu *vcpu)
{
	return vmx_cached(vcpu, VMX_SS_ACCESS) >> 5 & 3;
}

unsigned vmx_code_bits(const struct vcpu *vcpu)
{
	uint64_t access = vmx_cached(vcpu, VMX_CS_ACCESS);

	if ((vmx_of(vcpu)->efer & EFER_LMA) != 0 && (access & VMX_ACCESS_L) != 0)
		return 64;
	return (access & VMX_ACCESS_DB) != 0 ? 32 : 16;
}

// The guest changes no bit that matters to translation without an exit, so the copies will do.
// The privilege level is that of SS; code that is not conforming has the same.
void vmx_get_code(const struct vcpu *vcpu, struct vcpu_code *code)
{
	enum { TYPE_CONFORMING = 0xc };
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t cs = vmx_cached(vcpu, VMX_CS_ACCESS);

	code->rip = code->linear_rip = vmx->rip;
	code->rflags = vmx_cached(vcpu, VMX_RFLAGS);
	code->cr0 = vmx->cr0;
	code->cr3 = vmx_cached(vcpu, VMX_CR3);
	code->cr4 = vmx->cr4;
	code->efer = vmx->efer;
	code->cpl = cs >> 5 & 3;
	if (unlikely((cs & TYPE_CONFORMING) == TYPE_CONFORMING))
		code->cpl = (uint8_t)vmx_cpl(vcpu);
	code->bits = 64;
	if (unlikely((vmx->efer & EFER_LMA) == 0 || (cs & VMX_ACCESS_L) == 0)) {
		code->bits = (cs & VMX_ACCESS_DB) != 0 ? 32 : 16;
		code->linear_rip = (uint32_t)(vmx->rip + vmx_cached(vcpu, VMX_CS_BASE));
	}
}

uint64_t vmx_cr2(const struct vcpu *vcpu)
{
	return vcpu_is_loaded(vcpu) ? cr2_read() : vmx_of(vcpu)->cr2;
}

void vmx_set_cr2(struct vcpu *vcpu, uint64_t cr2)
{
	vmx_of(vcpu)->cr2 = cr2;
	if (vcpu_is_loaded(vcpu))
		cr2_write(cr2);
}

uint64_t vmx_dr6(const struct vmx_vcpu *vmx)
{
	return vcpu_is_loaded(&vmx->vcpu) ? dr6_read() : vmx->dr6;
}

void vmx_set_dr6(struct vmx_vcpu *vmx, uint64_t value)
{
	vmx->dr6 = value;
	if (vcpu_is_loaded(&vmx->vcpu))
		dr6_write(value);
}

void vmx_registers_load(struct vmx_vcpu *vmx)
{
	cr2_write(vmx->cr2);
	dr6_write(vmx->dr6);
	wrmsr(MSR_STAR, vmx->star);
	wrmsr(MSR_LSTAR, vmx->lstar);
	wrmsr(MSR_CSTAR, vmx->cstar);
	wrmsr(MSR_SFMASK, vmx->sfmask);
	wrmsr(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
}

void vmx_registers_save(struct vmx_vcpu *vmx)
{
	vmx->cr2 = cr2_read();
	vmx->dr6 = dr6_read();
	vmx->star = rdmsr(MSR_STAR);
	vmx->lstar = rdmsr(MSR_LSTAR);
	vmx->cstar = rdmsr(MSR_CSTAR);
	vmx->sfmask = rdmsr(MSR_SFMASK);
	vmx->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
}

static bool is_pae(const struct vcpu_state *state)
{
	return (state->cr0 & CR0_PG) != 0 && (state->cr4 & CR4_PAE) != 0 &&
		(state->efer & EFER_LMA) == 0;
}

// The CPU uses those that it has loaded, whatever is in memory since: 4.4.1.
static void pdptes_get(struct vcpu_state *state)
{
	state->has_pdptes = is_pae(state);
	for (unsigned i = 0; state->has_pdptes && i < ARRAY_COUNT(state->pdpte); i++)
		state->pdpte[i] = vmx_read(vmx_pdpte_field(i));
}

static void event_get(const struct vcpu *vcpu, struct vcpu_state *state)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t blocked = vmx_cached(vcpu, VMX_INTERRUPTIBILITY);

	state->interrupt_shadow = vmx_in_shadow(vcpu);
	state->stack_shadow = (blocked & VMX_BLOCKED_MOV_SS) != 0;
	state->pending_debug = (uint16_t)vmx_read(VMCS_GUEST_PENDING_DEBUG);
	vmx_event_get(vcpu, &state->event);
	state->nmi_blocked = (blocked & VMX_BLOCKED_NMI) != 0 ||
		state->event.kind == VCPU_EVENT_NMI;
	state->triple_fault = vmx->triple_fault;
}

void vmx_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct vcpu_paging paging;

	ASSERT(vcpu_is_loaded(vcpu));
	vmx_registers_save(vmx);
	paging = vmx_paging(vcpu);
	memset(state, 0, sizeof(*state));
	vcpu_common_get_state(vcpu, state);
	state->rip = vmx->rip;
	state->rflags = vmx_rflags(vcpu);
	state->cr0 = paging.cr0;
	state->cr2 = vmx->cr2;
	state->cr3 = paging.cr3;
	state->cr4 = paging.cr4;
	state->cr8 = vmx_tpr(vmx);
	state->efer = paging.efer;
	state->dr6 = vmx->dr6;
	state->dr7 = vmx_read(VMCS_GUEST_DR7);
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state->segment[i] = vmx_segment(vcpu, i);
	state->gdtr_base = vmx_read(VMCS_GUEST_GDTR_BASE);
	state->gdtr_limit = (uint32_t)vmx_read(VMCS_GUEST_GDTR_LIMIT);
	state->idtr_base = vmx_read(VMCS_GUEST_IDTR_BASE);
	state->idtr_limit = (uint32_t)vmx_read(VMCS_GUEST_IDTR_LIMIT);
	state->star = vmx->star;
	state->lstar = vmx->lstar;
	state->cstar = vmx->cstar;
	state->sfmask = vmx->sfmask;
	state->kernel_gs_base = vmx->kernel_gs_base;
	state->sysenter_cs = vmx_read(VMCS_GUEST_SYSENTER_CS);
	state->sysenter_esp = vmx_read(VMCS_GUEST_SYSENTER_ESP);
	state->sysenter_eip = vmx_read(VMCS_GUEST_SYSENTER_EIP);
	state->pat = vmx_read(VMCS_GUEST_PAT);
	state->debugctl = vmx_read(VMCS_GUEST_DEBUGCTL);
	pdptes_get(state);
	event_get(vcpu, state);
}

// Limits and the granularity flag must agree, and a segment that was loaded is accessed: 27.3.1.2.
static void segment_write(unsigned number, const struct vcpu_segment_state *segment)
{
	uint32_t access = (segment->attributes & 0xffu) | (segment->attributes & 0xf00u) << 4;

	if ((access & SEGMENT_ATTRIBUTE_P) == 0)
		access |= (uint32_t)VMX_ACCESS_UNUSABLE;
	else if ((access & SEGMENT_ATTRIBUTE_S) != 0)
		access |= 1;
	if ((segment->limit & 0xfff) != 0xfff)
		access &= ~(uint32_t)VMX_ACCESS_G;
	if (segment->limit > 0xfffff)
		access |= (uint32_t)VMX_ACCESS_G;
	vmx_write(vmx_segment_field(VMCS_GUEST_ES_SELECTOR, number), segment->selector);
	vmx_write(vmx_segment_field(VMCS_GUEST_ES_ACCESS, number), access);
	vmx_write(vmx_segment_field(VMCS_GUEST_ES_LIMIT, number), segment->limit);
	vmx_write(vmx_segment_field(VMCS_GUEST_ES_BASE, number), segment->base);
}

static void tables_write(const struct vcpu_state *state)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		segment_write(i, &state->segment[i]);
	vmx_write(VMCS_GUEST_GDTR_BASE, state->gdtr_base);
	vmx_write(VMCS_GUEST_GDTR_LIMIT, state->gdtr_limit);
	vmx_write(VMCS_GUEST_IDTR_BASE, state->idtr_base);
	vmx_write(VMCS_GUEST_IDTR_LIMIT, state->idtr_limit);
	vmx_write(VMCS_GUEST_SYSENTER_CS, state->sysenter_cs);
	vmx_write(VMCS_GUEST_SYSENTER_ESP, state->sysenter_esp);
	vmx_write(VMCS_GUEST_SYSENTER_EIP, state->sysenter_eip);
	vmx_write(VMCS_GUEST_PAT, state->pat);
	vmx_write(VMCS_GUEST_DEBUGCTL, state->debugctl);
	vmx_write(VMCS_GUEST_DR7, state->dr7);
}

// A shadow and TF together say that the step of the instruction before is still to come: 27.3.1.5.
// An NMI that is to be delivered is what blocks others, not before.
static void shadow_write(struct vcpu *vcpu, const struct vcpu_state *state)
{
	bool held = (state->rflags & RFLAGS_TF) != 0 && (state->debugctl & DEBUGCTL_BTF) == 0;
	bool blocked = state->nmi_blocked && state->event.kind != VCPU_EVENT_NMI;
	// Blocking by STI needs IF; what else there is came from MOV SS.
	uint32_t shadow = (state->rflags & RFLAGS_IF) != 0 && !state->stack_shadow
		? VMX_BLOCKED_STI : VMX_BLOCKED_MOV_SS;
	uint64_t pending = state->pending_debug;

	if (state->interrupt_shadow)
		pending = (pending & ~VMX_DEBUG_BS) | (held ? VMX_DEBUG_BS : 0);
	vmx_cached_set(vcpu, VMX_INTERRUPTIBILITY, (state->interrupt_shadow ? shadow : 0u) |
			(blocked ? VMX_BLOCKED_NMI : 0u));
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY, vmx_cached(vcpu, VMX_INTERRUPTIBILITY));
	vmx_write(VMCS_GUEST_PENDING_DEBUG, pending);
}

static enum status pdptes_set(struct vcpu *vcpu, const struct vcpu_state *state)
{
	if (!is_pae(state))
		return STATUS_OK;
	if (!state->has_pdptes)
		return vmx_pdptes_load(vcpu, state->cr3);
	for (unsigned i = 0; i < ARRAY_COUNT(state->pdpte); i++)
		vmx_write(vmx_pdpte_field(i), state->pdpte[i]);
	return STATUS_OK;
}

static enum status state_write(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vcpu_common_set_state(vcpu, state);
	vmx->have = vmx->dirty = 0;
	vmx->rip = state->rip;
	vmx_set_rflags(vcpu, state->rflags);
	vmx_write(VMCS_GUEST_RIP, state->rip); // now, for vmx_guest_check
	vmx_write(VMCS_GUEST_RFLAGS, state->rflags | RFLAGS_FIXED);
	vmx_controls_write(vmx, state->cr0, state->cr4, state->efer);
	vmx_write(VMCS_GUEST_CR3, state->cr3);
	vmx_set_tpr(vcpu, (uint8_t)state->cr8);
	tables_write(state);
	shadow_write(vcpu, state);
	vmx->cr2 = state->cr2;
	vmx->dr6 = (state->dr6 & 0xe00full) | DR6_FIXED;
	vmx->star = state->star;
	vmx->lstar = state->lstar;
	vmx->cstar = state->cstar;
	vmx->sfmask = state->sfmask;
	vmx->kernel_gs_base = state->kernel_gs_base;
	vmx_registers_load(vmx);
	vmx_watch_dr7(vcpu, (state->dr7 & DR7_ENABLED) == 0);
	vmx_event_restore(vcpu, state);
	vmx->triple_fault = state->triple_fault;
	vmx_translations_flush(vcpu);
	return pdptes_set(vcpu, state);
}

// What the control structure cannot hold, or the CPU's own registers would refuse.
static bool state_is_possible(const struct vcpu_state *state)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++) // granularity: whole pages above 1 MiB
		if (state->segment[i].limit > 0xfffff && (state->segment[i].limit & 0xfff) != 0xfff)
			return false;
	if (state->offered != 0 && state->event.kind != VCPU_EVENT_NONE) // nothing waits behind
		return false;
	return ((state->cr0 & CR0_NW) == 0 || (state->cr0 & CR0_CD) != 0) &&
		state->cr0 <= UINT32_MAX && state->dr6 <= UINT32_MAX && state->dr7 <= UINT32_MAX &&
		vmx_is_canonical(state->lstar) && vmx_is_canonical(state->cstar) &&
		vmx_is_canonical(state->kernel_gs_base) && state->sfmask <= UINT32_MAX;
}

enum status vmx_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct vcpu_state before;
	enum status status;

	ASSERT(vcpu_is_loaded(vcpu));
	if (!state_is_possible(state))
		return STATUS_FAIL(STATUS_INVALID);
	vmx_get_state(vcpu, &before);
	status = state_write(vcpu, state);
	// The CPU would tell only when the guest is entered; for which the event is written then.
	if (status == STATUS_OK && vmx_guest_check(NULL) != 0)
		status = STATUS_FAIL(STATUS_INVALID);
	vmx_write(VMCS_ENTRY_EVENT, 0);
	if (status == STATUS_OK)
		return STATUS_OK;
	(void)!state_write(vcpu, &before);
	vmx_write(VMCS_ENTRY_EVENT, 0);
	return STATUS_FAIL(STATUS_INVALID);
}

void vmx_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->interrupt_window = vmx->nmi_window = vmx->step = false;
	vmx->limit = 0;
	vmx->cr4_guest = 0; // until a write tells again what is allowed
}

void vmx_set_tpr(struct vcpu *vcpu, uint8_t cr8)
{
	enum { VIRTUAL_APIC_TPR = 0x80 };

	vmx_of(vcpu)->virtual_apic[VIRTUAL_APIC_TPR] = (uint8_t)(cr8 << 4);
}

void vmx_intercept_tpr(struct vcpu *vcpu, bool intercept)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->tpr_intercepted = intercept;
	if (!intercept && vmx->tpr_threshold != 0) {
		vmx->tpr_threshold = 0;
		vmx_write(VMCS_TPR_THRESHOLD, 0);
	}
}

// 26.1.3: loops are told from single PAUSEs at privilege level 0 alone; elsewhere a time slice ends
// the wait. Without that each PAUSE exits. Who is waited for may be on the same core.
void vmx_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool loops = which == VCPU_PAUSE_LOOPS && vmx_features.pause_loop;
	uint32_t pause = which != VCPU_PAUSE_NEVER && !loops ? (uint32_t)VMX_PROC_PAUSE : 0;

	ASSERT(vcpu_is_loaded(vcpu));
	vmx->timer = vmx->stay = which == VCPU_PAUSE_NEVER ? vmx_features.stay_alone
							    : vmx_features.stay;
	if (vmx_features.timer)
		vmx_write(VMCS_PREEMPTION_TIMER, vmx->timer);
	if (vmx_features.pause_loop) {
		vmx_write(VMCS_PLE_GAP, VMX_PAUSE_GAP);
		vmx_write(VMCS_PLE_WINDOW, VMX_PAUSE_WINDOW);
		vmx_write(VMCS_PROC2_CONTROLS, vmx->proc2 | (loops ? VMX_PROC2_PAUSE_LOOP : 0));
	}
	vmx->proc_always = (vmx->proc_always & ~(uint32_t)VMX_PROC_PAUSE) | pause;
	vmx->proc = (vmx->proc & ~(uint32_t)VMX_PROC_PAUSE) | pause;
	vmx_write(VMCS_PROC_CONTROLS, vmx->proc);
}
