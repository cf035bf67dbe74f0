// SPDX-License-Identifier: BSD-2-Clause
// What this CPU's VT-x can do, and turning it on. SDM vol. 3, 24.6 to 24.8 and appendix A.
#include "vmx/vmx.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"

struct vmx_features vmx_features;

enum { REASON_BYTES = 160 };

// Messages must outlive their maker.
static char reason_text[REASON_BYTES];

static enum status missing(const char **reason, const char *what)
{
	*reason = what;
	return STATUS_FAIL(STATUS_UNSUPPORTED);
}

// One set of controls: those that must be 1, those that are taken where the CPU has them, and
// those that must be 0. The capability MSR has what may be 0 in its lower half, what may be 1 in
// its upper one.
struct control_set {
	const char *name;
	uint32_t msr; // of the newer four
	uint64_t needed, wanted, unwanted;
	uint32_t *chosen;
};

static const struct control_set control_sets[] = {
	{"pin-based", MSR_VMX_TRUE_PIN, VMX_PIN_INTERRUPT | VMX_PIN_NMI | VMX_PIN_VIRTUAL_NMI,
		VMX_PIN_TIMER, 0, &vmx_features.pin},
	{"processor-based", MSR_VMX_TRUE_PIN + 1,
		VMX_PROC_INTERRUPT_WINDOW | VMX_PROC_NMI_WINDOW | VMX_PROC_TSC_OFFSET |
			VMX_PROC_HLT | VMX_PROC_MWAIT | VMX_PROC_RDPMC | VMX_PROC_RDTSC |
			VMX_PROC_TPR_SHADOW | VMX_PROC_MOV_DR | VMX_PROC_IO |
			VMX_PROC_MSR_BITMAP | VMX_PROC_MONITOR | VMX_PROC_PAUSE |
			VMX_PROC_SECONDARY,
		0, VMX_PROC_INVLPG | VMX_PROC_CR3_LOAD | VMX_PROC_CR3_STORE | VMX_PROC_MTF,
		&vmx_features.proc},
	{"exit", MSR_VMX_TRUE_PIN + 2,
		VMX_EXIT_SAVE_DEBUG | VMX_EXIT_HOST_64 | VMX_EXIT_SAVE_PAT | VMX_EXIT_LOAD_PAT |
			VMX_EXIT_LOAD_EFER,
		0, VMX_EXIT_ACKNOWLEDGE, &vmx_features.exit},
	{"entry", MSR_VMX_TRUE_PIN + 3,
		VMX_ENTRY_LOAD_DEBUG | VMX_ENTRY_IA32E | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER,
		0, 0, &vmx_features.entry},
	{"secondary processor-based", MSR_VMX_PROC2,
		VMX_PROC2_EPT | VMX_PROC2_VPID | VMX_PROC2_WBINVD | VMX_PROC2_UNRESTRICTED,
		VMX_PROC2_RDTSCP | VMX_PROC2_INVPCID | VMX_PROC2_ENCLS |
			VMX_PROC2_TSC_SCALE, 0, &vmx_features.proc2},
};

static unsigned lowest_bit(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

static enum status controls_choose(const struct control_set *set, const char **reason)
{
	uint32_t msr = set->msr;
	uint64_t capability;
	uint32_t always, possible;

	if (msr >= MSR_VMX_TRUE_PIN && (vmx_features.basic & VMX_BASIC_TRUE_CTLS) == 0)
		msr = msr - MSR_VMX_TRUE_PIN + MSR_VMX_PIN;
	capability = rdmsr(msr);
	always = (uint32_t)capability;
	possible = (uint32_t)(capability >> 32);
	if ((set->needed & ~possible) != 0) {
		snprintf(reason_text, sizeof(reason_text),
			"VT-x without what is needed: %s control bit %u cannot be set (MSR %x)",
			set->name, lowest_bit(set->needed & ~possible), msr);
		return missing(reason, reason_text);
	}
	if ((set->unwanted & always) != 0) {
		snprintf(reason_text, sizeof(reason_text),
			"VT-x without what is needed: %s control bit %u cannot be cleared (MSR %x)",
			set->name, lowest_bit(set->unwanted & always), msr);
		return missing(reason, reason_text);
	}
	*set->chosen = (uint32_t)(always | set->needed | (set->wanted & possible));
	return STATUS_OK;
}

// What of EPT and VPID must be there. Appendix A.10.
static enum status memory_check(uint64_t capability, const char **reason)
{
	static const struct {
		uint64_t any; // of these one must be set
		const char *what;
	} needs[] = {
		{EPT_CAP_WALK_4, "EPT without a walk of 4 levels: MSR 48c bit 6 is clear"},
		{EPT_CAP_WB, "EPT without write-back tables: MSR 48c bit 14 is clear"},
		{EPT_CAP_2M, "EPT without 2 MiB pages: MSR 48c bit 16 is clear"},
		{EPT_CAP_INVEPT, "EPT without INVEPT: MSR 48c bit 20 is clear"},
		{EPT_CAP_INVEPT_CONTEXT | EPT_CAP_INVEPT_ALL,
			"INVEPT without types: MSR 48c bits 25 and 26 are clear"},
		{EPT_CAP_INVVPID, "VPIDs without INVVPID: MSR 48c bit 32 is clear"},
		// All-context too: for VPIDs that are handed out a second time.
		{EPT_CAP_INVVPID_ALL, "INVVPID without all contexts: MSR 48c bit 42 is clear"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(needs); i++)
		if ((capability & needs[i].any) == 0)
			return missing(reason, needs[i].what);
	vmx_features.ept_vpid = capability;
	vmx_features.accessed_dirty = (capability & EPT_CAP_ACCESSED_DIRTY) != 0;
	vmx_features.invept = (capability & EPT_CAP_INVEPT_CONTEXT) != 0 ? VMX_INVALIDATE_CONTEXT
									  : VMX_INVALIDATE_ALL;
	vmx_features.invvpid = (capability & EPT_CAP_INVVPID_CONTEXT) != 0
		? VMX_INVALIDATE_CONTEXT : VMX_INVALIDATE_ALL;
	return STATUS_OK;
}

// Firmware locks the register, on some machines with VT-x off. An unlocked one is ours to set.
static enum status feature_control_set(const char **reason)
{
	uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

	if ((control & FEATURE_CONTROL_LOCK) == 0) {
		wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON);
		control = rdmsr(MSR_FEATURE_CONTROL);
	}
	if ((control & FEATURE_CONTROL_VMXON) == 0)
		return missing(reason,
			"firmware has locked VT-x: IA32_FEATURE_CONTROL (MSR 3a) bit 2 is clear");
	return STATUS_OK;
}

static void timers_detect(void)
{
	uint32_t possible = (uint32_t)(rdmsr(vmx_features.basic & VMX_BASIC_TRUE_CTLS
		? MSR_VMX_TRUE_PIN + 1 : MSR_VMX_PIN + 1) >> 32);

	vmx_features.mtf = (possible & VMX_PROC_MTF) != 0;
	vmx_features.timer = (vmx_features.pin & VMX_PIN_TIMER) != 0;
	vmx_features.proc2_hide = (uint32_t)(rdmsr(MSR_VMX_PROC2) >> 32 &
		(VMX_PROC2_RDRAND | VMX_PROC2_RDSEED));
	if (!vmx_features.timer)
		return;
	// Counts once in so many ticks of the TSC: A.6.
	vmx_features.timer_shift = (uint8_t)(rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
	vmx_features.stay = (uint32_t)(clock_ns_to_tsc(VMX_STAY_NS) >> vmx_features.timer_shift);
	vmx_features.stay_alone =
		(uint32_t)(clock_ns_to_tsc(VMX_STAY_ALONE_NS) >> vmx_features.timer_shift);
}

// Instructions that guests may execute only where a control says so: CPUID must not offer more.
static enum status instructions_check(const char **reason)
{
	if ((cpuid(0x80000001, 0).edx & BIT(27)) != 0 &&
		(vmx_features.proc2 & VMX_PROC2_RDTSCP) == 0)
		return missing(reason,
			"VT-x without RDTSCP for guests: MSR 48b does not allow bit 3");
	if ((cpuid(7, 0).ebx & BIT(10)) != 0 && (vmx_features.proc2 & VMX_PROC2_INVPCID) == 0)
		return missing(reason,
			"VT-x without INVPCID for guests: MSR 48b does not allow bit 12");
	return STATUS_OK;
}

enum status vmx_detect(const char **reason)
{
	enum status status;

	if ((cpuid(1, 0).ecx & BIT(5)) == 0)
		return missing(reason, "this CPU has no VT-x: CPUID 1 ECX bit 5 (VMX) is clear");
	status = feature_control_set(reason);
	if (status != STATUS_OK)
		return status;
	vmx_features = (struct vmx_features){.basic = rdmsr(MSR_VMX_BASIC),
		.cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0), .cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1),
		.cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0), .cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1)};
	for (unsigned i = 0; i < ARRAY_COUNT(control_sets); i++) {
		status = controls_choose(&control_sets[i], reason);
		if (status != STATUS_OK)
			return status;
	}
	vmx_features.proc &= ~(uint32_t)(VMX_PROC_INTERRUPT_WINDOW | VMX_PROC_NMI_WINDOW |
		VMX_PROC_PAUSE | VMX_PROC_RDTSC);
	vmx_features.pause_loop = (rdmsr(MSR_VMX_PROC2) >> 32 & VMX_PROC2_PAUSE_LOOP) != 0;
	vmx_features.entry &= ~(uint32_t)VMX_ENTRY_IA32E; // as the guest's EFER says
	// Unrestricted guests may be without paging and protection: 24.8.
	vmx_features.cr0_fixed0 &= ~(CR0_PE | CR0_PG);
	vmx_features.physical_bits = 36;
	vmx_features.linear_bits = 48;
	if (cpuid(0x80000000, 0).eax >= 0x80000008) {
		vmx_features.physical_bits = cpuid(0x80000008, 0).eax & 0xff;
		vmx_features.linear_bits = cpuid(0x80000008, 0).eax >> 8 & 0xff;
	}
	status = instructions_check(reason);
	if (status != STATUS_OK)
		return status;
	timers_detect();
	nested_format_set(vmx_features.accessed_dirty ? &nested_format_ept
						      : &nested_format_ept_silent);
	return memory_check(rdmsr(MSR_VMX_EPT_VPID_CAP), reason);
}

// No guest is offered transactions, and no control takes XBEGIN away. Where they succeed depends on
// all that the CPU does besides: so each shall abort at once. SDM vol. 1, 16.3; vol. 4, table 2-2.
static void transactions_disable(void)
{
	uint32_t features = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).edx : 0;

	if ((features & BIT(29)) != 0 &&
		(rdmsr(MSR_ARCH_CAPABILITIES) & ARCH_CAPABILITIES_TSX_CTRL) != 0)
		wrmsr(MSR_TSX_CTRL, rdmsr(MSR_TSX_CTRL) | TSX_CTRL_RTM_DISABLE);
	else if ((features & BIT(13)) != 0)
		wrmsr(MSR_TSX_FORCE_ABORT, rdmsr(MSR_TSX_FORCE_ABORT) | TSX_FORCE_ABORT_RTM);
}

enum status vmx_cpu_init(const char **reason)
{
	uint64_t cr0 = cr0_read(), cr4 = cr4_read() | CR4_VMXE;
	uint32_t *region;
	enum status status = feature_control_set(reason);

	if (status != STATUS_OK)
		return status;
	if (((cr0 & vmx_features.cr0_fixed0) ^ vmx_features.cr0_fixed0) != 0)
		cr0_write(cr0 | vmx_features.cr0_fixed0);
	if ((cr4 & ~vmx_features.cr4_fixed1) != 0)
		return missing(reason, "VT-x forbids a bit of CR4 that is in use: MSR 489");
	cr4_write(cr4 | vmx_features.cr4_fixed0);
	region = mem_pages_alloc(1); // for ever: one a core
	if (region == NULL) {
		*reason = "no memory for the engine's tables";
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	*region = (uint32_t)vmx_features.basic & 0x7fffffff;
	if (!vmxon(hpa_of(region).v)) {
		mem_pages_free(region, 1);
		return missing(reason, "VMXON failed: VT-x is in use already");
	}
	transactions_disable();
	// Nothing may be left of whoever used VT-x before.
	if (!invept(VMX_INVALIDATE_ALL, 0) && !invept(VMX_INVALIDATE_CONTEXT, 0))
		return missing(reason, "INVEPT failed");
	return STATUS_OK;
}

void vmx_describe(char *text, size_t bytes)
{
	snprintf(text, bytes, "VT-x (VMX) revision %x, EPT%s, VPID, unrestricted guest%s%s%s",
		(unsigned)vmx_features.basic & 0x7fffffff,
		vmx_features.accessed_dirty ? " with A/D flags" : "",
		vmx_features.mtf ? ", monitor trap flag" : "",
		vmx_features.timer ? ", preemption timer" : "",
		(vmx_features.proc2 & VMX_PROC2_TSC_SCALE) != 0 ? ", TSC scaling" : "");
}
