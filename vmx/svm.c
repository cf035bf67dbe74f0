// SPDX-License-Identifier: BSD-2-Clause
// AMD-V: detection, creation of vcpus, and the entry. APM vol. 2, chapter 15.
//
// The kernel runs with interrupts enabled. Around VMRUN the global interrupt flag is clear: an
// interrupt that comes between the check of `attention` and the guest's first instruction stays
// pending and ends the guest's run at once; one that ended it is taken by the kernel's own handler
// at STGI, before vcpu_enter returns.
#include "vmx/svm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/position.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vmx/counting.h"

enum { MSRPM_PAGES = 2, IOPM_PAGES = 3, HOST_PAGES = 2 };

struct svm_features svm_features;

// The same for every vcpu.
static uint8_t *msrpm, *iopm;

// Each core's own. `host` is its control block (what VMSAVE keeps), followed by the page that VMRUN
// itself uses. ASIDs are handed out in turn; when they have run out, a new generation begins with
// a full flush. Owner: the core.
static struct svm_core {
	struct svm_vmcb *host;
	uint64_t generation;
	uint32_t last_asid;
	uint64_t tsc_ratio; // svm_tsc_ratio_load
} svm_cores[VCPU_CORES_MAX];

enum status svm_detect(const char **reason)
{
	struct cpuid features = cpuid(0x80000001, 0), svm;

	if ((features.ecx & BIT(2)) == 0) {
		*reason = "this CPU has no AMD-V: CPUID 80000001 ECX bit 2 (SVM) is clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if ((rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
		*reason = "firmware has locked AMD-V: VM_CR (MSR C0010114) bit 4 (SVMDIS) is set";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	svm = cpuid(0x8000000a, 0);
	if ((svm.edx & BIT(0)) == 0) {
		*reason = "AMD-V without nested paging: CPUID 8000000A EDX bit 0 (NP) is clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	svm_features = (struct svm_features){.revision = svm.eax & 0xff, .asids = svm.ebx,
		.edx = svm.edx, .next_rip = (svm.edx & BIT(3)) != 0,
		.flush_by_asid = (svm.edx & BIT(6)) != 0,
		.pause_filter = (svm.edx & BIT(10)) != 0,
		.pause_threshold = (svm.edx & BIT(12)) != 0,
		.tsc_ratio = (svm.edx & BIT(4)) != 0};
	msrpm = mem_pages_alloc(MSRPM_PAGES + IOPM_PAGES);
	if (msrpm == NULL) {
		*reason = "no memory for the engine's tables";
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	iopm = msrpm + MSRPM_PAGES * PAGE_BYTES;
	memset(iopm, 0xff, IOPM_PAGES * PAGE_BYTES); // every port exits
	svm_msrpm_init(msrpm);
	nested_format_set(&nested_format_npt);
	return STATUS_OK;
}

static enum status svm_cpu_init(const char **reason)
{
	struct svm_core *core = &svm_cores[cpu_self()->index];
	uint8_t *pages;

	if ((rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
		*reason = "firmware has locked AMD-V: VM_CR (MSR C0010114) bit 4 (SVMDIS) is set";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	pages = mem_pages_alloc(HOST_PAGES);
	if (pages == NULL) {
		*reason = "no memory for the engine's tables";
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	core->host = (struct svm_vmcb *)(void *)pages;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, hpa_of(pages + PAGE_BYTES).v);
	__asm__ volatile("vmsave %0" : : "a"(core->host) : "memory");
	return STATUS_OK;
}

static void svm_describe(char *text, size_t bytes)
{
	snprintf(text, bytes, "AMD-V (SVM) revision %u, %u ASIDs, nested paging%s%s%s",
		svm_features.revision, svm_features.asids,
		svm_features.next_rip ? ", next RIP" : "",
		svm_features.flush_by_asid ? ", flush by ASID" : "",
		svm_features.tsc_ratio ? ", TSC scaling" : "");
}

static void vmcb_init(struct svm_vmcb *vmcb, const struct nested_map *map,
	const struct cpuid_offer *offer)
{
	vmcb->intercept_cr = SVM_INTERCEPT_CR0_WRITE | SVM_INTERCEPT_CR4_WRITE;
	vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	vmcb->intercept3 = SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI |
		SVM_INTERCEPT_INIT | SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_CPUID |
		SVM_INTERCEPT_INVD | SVM_INTERCEPT_HLT | SVM_INTERCEPT_INVLPGA |
		SVM_INTERCEPT_IOIO | SVM_INTERCEPT_MSR | SVM_INTERCEPT_FERR_FREEZE |
		(uint32_t)SVM_INTERCEPT_SHUTDOWN;
	vmcb->intercept4 = SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD |
		SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI |
		SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD | SVM_INTERCEPT_MONITOR |
		SVM_INTERCEPT_MWAIT | SVM_INTERCEPT_XSETBV | SVM_INTERCEPT_RDPRU;
	svm_instructions_hide(vmcb, offer);
	vmcb->iopm = hpa_of(iopm).v;
	vmcb->msrpm = hpa_of(msrpm).v;
	vmcb->virtual_interrupt = SVM_V_INTR_MASKING;
	vmcb->nested_control = 1;
	vmcb->nested_cr3 = nested_map_root(map);
}

static void svm_destroy(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	vcpu_common_destroy(vcpu);
	if (svm->vmcb != NULL)
		mem_pages_free(svm->vmcb, 1);
	free(svm);
}

static enum status svm_create(struct nested_map *map, const struct cpuid_offer *offer,
	struct vcpu **vcpu)
{
	struct svm_vcpu *svm = calloc(1, sizeof(*svm));

	if (svm == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	svm->tsc_ratio = VCPU_TSC_RATIO_ONE;
	svm->vmcb = mem_pages_alloc(1);
	if (svm->vmcb == NULL || vcpu_common_create(&svm->vcpu, map, offer) != STATUS_OK) {
		svm_destroy(&svm->vcpu);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	vmcb_init(svm->vmcb, map, offer);
	*vcpu = &svm->vcpu;
	return STATUS_OK;
}

// What a core remembers of an ASID ends with its generation, and what another core has made stale
// meanwhile is not known: so a vcpu keeps its ASID only where nobody else ran in between.
static void svm_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_core *core = &svm_cores[vcpu->core];

	vcpu->host = core->host;
	svm->vmcb->clean = 0; // this core may hold an older copy
	svm_tsc_ratio_load(vcpu, &core->tsc_ratio);
	if (svm->asid_core == vcpu->core && svm->asid_generation == core->generation &&
		svm->vmcb->asid != 0)
		return;
	svm->vmcb->tlb_control = SVM_TLB_KEEP;
	if (core->generation == 0 || core->last_asid + 1 >= svm_features.asids) {
		core->generation++;
		core->last_asid = 0;
		svm->vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	}
	svm->vmcb->asid = ++core->last_asid;
	svm->asid_core = vcpu->core;
	svm->asid_generation = core->generation;
}

static void svm_unload(struct vcpu *vcpu)
{
	vcpu->host = NULL;
}

// What every exit tells, whatever its kind.
static always_inline void exit_describe(const struct svm_vmcb *vmcb, struct vmexit *exit)
{
	exit->rip = exit->linear_rip = vmcb->rip;
	exit->cr3 = vmcb->cr3;
	exit->tpr = vmcb->virtual_interrupt & SVM_V_TPR_MASK;
	if (unlikely((vmcb->efer & EFER_LMA) == 0 ||
		    (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) == 0))
		exit->linear_rip = (uint32_t)(vmcb->rip + vmcb->cs.base);
}

static void exit_without_entry(struct vcpu *vcpu, struct vmexit *exit, enum vmexit_kind kind)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	exit->kind = (uint8_t)kind;
	exit->length = 0;
	if (svm->stepping) // not begun after all
		svm_step_cancel(vcpu);
	if ((svm->precise & SVM_PRECISE_DELIVER) != 0)
		svm_delivery_cancel(vcpu);
	svm->precise &= (uint8_t)~SVM_PRECISE_STEP;
	exit_describe(svm->vmcb, exit);
}

static always_inline bool exit_is_plain(uint64_t code, uint8_t *kind)
{
	if (code - SVM_EXIT_INTR >= SVM_PLAIN_KINDS)
		return false;
	*kind = svm_plain_kinds[code - SVM_EXIT_INTR];
	return *kind != 0;
}

static always_inline void shadow_note(struct svm_vcpu *svm)
{
	svm->precise |= SVM_PRECISE_SHADOWED;
	svm->shadow_rip = svm->vmcb->rip;
}

// What the world switch itself counts is taken off; GIF is clear, so nothing else runs between.
static void run_counted(struct vcpu *vcpu, struct svm_vmcb *vmcb)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t tsc = vcpu->tsc_at_entry + svm->run_ticks - vcpu_tsc_lead, before;

	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS); // the TSC's offset among them
	if (svm->limit != 0) {
		timer_start_for_entry(svm->limit);
		svm->limit = 0;
	}
	before = position_start();
	vmcb->tsc_offset = tsc - before;
	svm_run(vcpu, vmcb);
	svm->run_ticks += position_stop(before) - vcpu_counting_overhead;
}

// Everything that an entry may have beside running the guest. True: enter again at once.
static bool enter_specially(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	if (svm->triple_fault) {
		exit_without_entry(vcpu, exit, VMEXIT_SHUTDOWN);
		return false;
	}
	svm_event_prepare_slow(vcpu);
	if ((vmcb->interrupt_shadow & 1) != 0)
		shadow_note(svm);
	vmcb->rax = vcpu->gpr[GPR_RAX];
	vmcb->rsp = vcpu->gpr[GPR_RSP];
	__asm__ volatile("clgi" : : : "memory");
	if (unlikely(cpu_self()->attention)) {
		__asm__ volatile("stgi" : : : "memory");
		exit_without_entry(vcpu, exit, VMEXIT_INTERRUPT);
		return false;
	}
	if (unlikely((svm->precise & SVM_PRECISE_DELIVER) != 0))
		apic_interrupt_self();
	if (unlikely((svm->precise & SVM_PRECISE_COUNT) != 0))
		run_counted(vcpu, vmcb);
	else
		svm_run(vcpu, vmcb);
	__asm__ volatile("stgi" : : : "memory");
	vcpu->gpr[GPR_RAX] = vmcb->rax;
	vcpu->gpr[GPR_RSP] = vmcb->rsp;
	vmcb->clean = SVM_CLEAN_ALL;
	vmcb->tlb_control = SVM_TLB_KEEP;
	svm_event_collect(vcpu, 0);
	if (unlikely((svm->precise & SVM_PRECISE_DELIVER) != 0) &&
		svm_delivery_exit(vcpu, exit)) {
		exit_describe(vmcb, exit);
		return false;
	}
	exit_describe(vmcb, exit);
	return svm_exit_decode(vcpu, exit);
}

// `special`: the vcpu's, 0 or SVM_SPECIAL_COUNT. True: enter again at once.
static always_inline bool enter_plainly(struct vcpu *vcpu, struct vmexit *exit,
	const uint64_t special)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_vmcb *vmcb = svm->vmcb;

	if (unlikely((vmcb->interrupt_shadow & 1) != 0))
		shadow_note(svm);
	vmcb->rax = vcpu->gpr[GPR_RAX];
	vmcb->rsp = vcpu->gpr[GPR_RSP];
	__asm__ volatile("clgi" : : : "memory");
	if (unlikely(cpu_self()->attention)) {
		__asm__ volatile("stgi" : : : "memory");
		exit_without_entry(vcpu, exit, VMEXIT_INTERRUPT);
		return false;
	}
	if (special == SVM_SPECIAL_COUNT)
		run_counted(vcpu, vmcb);
	else
		svm_run(vcpu, vmcb);
	__asm__ volatile("stgi" : : : "memory");
	vcpu->gpr[GPR_RAX] = vmcb->rax;
	vcpu->gpr[GPR_RSP] = vmcb->rsp;
	vmcb->clean = SVM_CLEAN_ALL;
	vmcb->tlb_control = SVM_TLB_KEEP;
	svm_event_collect(vcpu, special);
	exit_describe(vmcb, exit);
	if (unlikely(svm->special != special || !exit_is_plain(vmcb->exit_code, &exit->kind)))
		return svm_exit_decode(vcpu, exit);
	exit->length = svm_next_rip_length(vmcb);
	return false;
}

static __attribute__((noinline)) void enter_slow(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	bool again = true;

	svm->run_ticks = 0;
	if (likely(svm->special == SVM_SPECIAL_COUNT))
		again = enter_plainly(vcpu, exit, SVM_SPECIAL_COUNT);
	while (again)
		again = enter_specially(vcpu, exit);
	svm->limit = 0;
	exit->ticks = svm->run_ticks;
}

static void svm_enter(struct vcpu *vcpu, struct vmexit *exit)
{
	if (unlikely(svm_of(vcpu)->special != 0 || enter_plainly(vcpu, exit, 0)))
		enter_slow(vcpu, exit);
}

// By the host's timer, which counts the TSC's ticks: what is between its start and the guest's
// first instruction is always the same. Where one of the host's own comes first, it is for that.
static bool svm_limit(struct vcpu *vcpu, uint64_t ticks)
{
	enum { LIMIT_MAX = 1 << 30 };
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t host = timer_left();

	if (vcpu_limit_lag == VCPU_LIMIT_NONE || !timer_counts_tsc() || ticks < 2)
		return false;
	if (host < ticks)
		ticks = host;
	svm->limit = (uint32_t)((ticks < LIMIT_MAX ? ticks : LIMIT_MAX) + vcpu_limit_lag);
	return true;
}

static void svm_set_counting(struct vcpu *vcpu, unsigned how)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->precise = (uint8_t)((svm->precise & ~SVM_PRECISE_COUNT) |
		(how != VCPU_COUNTING_OFF ? SVM_PRECISE_COUNT : 0));
	svm->vmcb->intercept3 &= ~(uint32_t)SVM_INTERCEPT_RDTSC;
	if (vcpu->offer.rdtscp)
		svm->vmcb->intercept4 &= ~(uint32_t)SVM_INTERCEPT_RDTSCP;
	if (how == VCPU_COUNTING) {
		svm->vmcb->intercept3 |= SVM_INTERCEPT_RDTSC;
		svm->vmcb->intercept4 |= SVM_INTERCEPT_RDTSCP;
	}
	svm_dirty(vcpu, SVM_CLEAN_INTERCEPTS);
}

const struct vcpu_engine svm_engine = {
	.name = "svm",
	.step_misses_shadow = true,
	.limit_is_measured = true,
	.cpu_init = svm_cpu_init,
	.describe = svm_describe,
	.create = svm_create,
	.destroy = svm_destroy,
	.load = svm_load,
	.unload = svm_unload,
	.reset = svm_reset,
	.enter = svm_enter,
	.rip = svm_rip,
	.rflags = svm_rflags,
	.set_rip = svm_set_rip,
	.set_rflags = svm_set_rflags,
	.advance = svm_advance,
	.finish = svm_finish,
	.dr7 = svm_dr7,
	.watch_dr7 = svm_watch_dr7,
	.paging = svm_paging,
	.get_code = svm_get_code,
	.segment = svm_segment,
	.cpl = svm_cpl,
	.code_bits = svm_code_bits,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.read_msr = svm_read_msr,
	.write_msr = svm_write_msr,
	.write_cr0 = svm_write_cr0,
	.write_cr4 = svm_write_cr4,
	.set_tpr = svm_set_tpr,
	.intercept_tpr = svm_intercept_tpr,
	.intercept_pause = svm_intercept_pause,
	.set_tsc_offset = svm_set_tsc_offset,
	.tsc_offset = svm_tsc_offset,
	.tsc_ratio = svm_tsc_ratio,
	.set_tsc_ratio = svm_set_tsc_ratio,
	.can_inject = svm_can_inject,
	.event_pending = svm_event_pending,
	.inject_interrupt = svm_inject_interrupt,
	.inject_nmi = svm_inject_nmi,
	.inject_exception = svm_inject_exception,
	.set_cr2 = svm_set_cr2,
	.request_interrupt_window = svm_request_interrupt_window,
	.request_nmi_window = svm_request_nmi_window,
	.request_step = svm_request_step,
	.inject_software_interrupt = svm_inject_software_interrupt,
	.set_counting = svm_set_counting,
	.limit = svm_limit,
	.spoil = svm_spoil,
	.forget_nested = svm_forget_nested,
	.print_entry_failure = svm_print_entry_failure,
};
