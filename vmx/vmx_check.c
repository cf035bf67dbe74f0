// SPDX-License-Identifier: BSD-2-Clause
// What an entry demands of the guest's state, so that a failed one can say which field was wrong.
// SDM vol. 3, 27.3.1 (26.3.1 in older editions), for unrestricted guests with EPT.
#include "vmx/vmx.h"

#include "kernel/base/assert.h"

#define RFLAGS_RESERVED (~0x3f7fd7ull)
#define CODE_TYPES      (BIT(9) | BIT(11) | BIT(13) | BIT(15))

struct check {
	vmx_violation *report;
	unsigned violations;
	uint64_t cr0, cr4, efer, rflags;
	uint32_t interruptibility, event;
	bool long_mode, v8086;
};

// `field` is the one whose value tells most.
static void demand(struct check *check, bool holds, enum vmcs_field field, const char *what)
{
	if (holds)
		return;
	check->violations++;
	if (check->report != NULL)
		check->report(what, field);
}

static bool pat_is_valid(uint64_t pat)
{
	for (unsigned i = 0; i < 8; i++) {
		uint8_t type = (uint8_t)(pat >> 8 * i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

// 27.3.1.1.
static void check_registers(struct check *c)
{
	uint64_t dr7 = vmx_read(VMCS_GUEST_DR7), cr3 = vmx_read(VMCS_GUEST_CR3);
	bool paging = (c->cr0 & CR0_PG) != 0;

	demand(c, (c->cr0 & vmx_features.cr0_fixed0) == vmx_features.cr0_fixed0 &&
			(c->cr0 & ~vmx_features.cr0_fixed1) == 0, VMCS_GUEST_CR0,
			"CR0 has a fixed bit wrong");
	demand(c, !paging || (c->cr0 & CR0_PE) != 0, VMCS_GUEST_CR0, "CR0.PG without PE");
	demand(c, (c->cr4 & vmx_features.cr4_fixed0) == vmx_features.cr4_fixed0 &&
			(c->cr4 & ~vmx_features.cr4_fixed1) == 0, VMCS_GUEST_CR4,
			"CR4 has a fixed bit wrong");
	demand(c, (vmx_read(VMCS_GUEST_DEBUGCTL) & ~3ull) == 0, VMCS_GUEST_DEBUGCTL,
		"DEBUGCTL: reserved bits");
	demand(c, !c->long_mode || (paging && (c->cr4 & CR4_PAE) != 0),
		VMCS_ENTRY_CONTROLS, "long mode without CR0.PG and CR4.PAE");
	demand(c, c->long_mode || (c->cr4 & CR4_PCIDE) == 0, VMCS_GUEST_CR4,
		"CR4.PCIDE without long mode");
	demand(c, cr3 >> vmx_features.physical_bits == 0, VMCS_GUEST_CR3,
		"CR3 beyond the physical address width");
	demand(c, dr7 <= UINT32_MAX, VMCS_GUEST_DR7, "DR7: upper half is not zero");
	demand(c, vmx_is_canonical(vmx_read(VMCS_GUEST_SYSENTER_ESP)), VMCS_GUEST_SYSENTER_ESP,
		"SYSENTER_ESP is not canonical");
	demand(c, vmx_is_canonical(vmx_read(VMCS_GUEST_SYSENTER_EIP)), VMCS_GUEST_SYSENTER_EIP,
		"SYSENTER_EIP is not canonical");
	demand(c, pat_is_valid(vmx_read(VMCS_GUEST_PAT)), VMCS_GUEST_PAT,
		"PAT: a type that does not exist");
	demand(c, (c->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) == 0,
		VMCS_GUEST_EFER, "EFER: reserved bits");
	demand(c, ((c->efer & EFER_LMA) != 0) == c->long_mode,
		VMCS_GUEST_EFER, "EFER.LMA is not as the entry control IA-32e");
	demand(c, !paging || ((c->efer & EFER_LMA) != 0) == ((c->efer & EFER_LME) != 0),
		VMCS_GUEST_EFER, "EFER.LME and LMA differ with paging on");
}

struct segment {
	uint32_t access, limit;
	uint16_t selector;
	uint64_t base;
	uint8_t type, dpl;
	bool usable;
};

static struct segment segment_read(enum vcpu_segment number)
{
	struct segment s = {
		.access = (uint32_t)vmx_read(vmx_segment_field(VMCS_GUEST_ES_ACCESS, number)),
		.limit = (uint32_t)vmx_read(vmx_segment_field(VMCS_GUEST_ES_LIMIT, number)),
		.selector = (uint16_t)vmx_read(vmx_segment_field(VMCS_GUEST_ES_SELECTOR, number)),
		.base = vmx_read(vmx_segment_field(VMCS_GUEST_ES_BASE, number)),
	};

	s.type = s.access & 15;
	s.dpl = s.access >> 5 & 3;
	s.usable = (s.access & VMX_ACCESS_UNUSABLE) == 0;
	return s;
}

static bool granularity_is_right(const struct segment *s)
{
	bool pages = (s->access & VMX_ACCESS_G) != 0;

	return ((s->limit & 0xfff) == 0xfff || !pages) && (s->limit >> 20 == 0 || pages);
}

static bool rights_are_plain(const struct segment *s, bool code_or_data)
{
	return ((s->access & SEGMENT_ATTRIBUTE_S) != 0) == code_or_data &&
		(s->access & SEGMENT_ATTRIBUTE_P) != 0 && (s->access & 0xf00) == 0 &&
		s->access >> 17 == 0 && granularity_is_right(s);
}

// 27.3.1.2, virtual-8086 mode: every segment is as in real mode.
static void check_v8086(struct check *c)
{
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		struct segment s = segment_read(i);

		demand(c, s.base == (uint64_t)s.selector << 4,
			vmx_segment_field(VMCS_GUEST_ES_BASE, i),
			"virtual-8086: base of a segment");
		demand(c, s.limit == 0xffff, vmx_segment_field(VMCS_GUEST_ES_LIMIT, i),
			"virtual-8086: limit of a segment");
		demand(c, s.access == 0xf3, vmx_segment_field(VMCS_GUEST_ES_ACCESS, i),
			"virtual-8086: access rights of a segment");
	}
}

static void check_code_and_stack(struct check *c)
{
	struct segment cs = segment_read(SEGMENT_CS), ss = segment_read(SEGMENT_SS);
	bool real = (c->cr0 & CR0_PE) == 0;

	demand(c, cs.usable && rights_are_plain(&cs, true), VMCS_GUEST_CS_ACCESS,
		"CS: access rights or limit");
	demand(c, (BIT(cs.type) & (CODE_TYPES | BIT(3))) != 0, VMCS_GUEST_CS_ACCESS, "CS: type");
	demand(c, cs.type == 3 ? cs.dpl == 0
		: (cs.type & 4) != 0 ? cs.dpl <= ss.dpl : cs.dpl == ss.dpl,
		VMCS_GUEST_CS_ACCESS, "CS: privilege level against that of SS");
	demand(c, !c->long_mode || (cs.access & VMX_ACCESS_L) == 0 ||
			(cs.access & VMX_ACCESS_DB) == 0, VMCS_GUEST_CS_ACCESS,
			"CS: L and D together");
	demand(c, cs.base <= UINT32_MAX, VMCS_GUEST_CS_BASE, "CS: base");
	demand(c, (!real && cs.type != 3) || ss.dpl == 0, VMCS_GUEST_SS_ACCESS,
		"SS: privilege level in real mode");
	if (!ss.usable)
		return;
	demand(c, rights_are_plain(&ss, true), VMCS_GUEST_SS_ACCESS, "SS: access rights or limit");
	demand(c, ss.type == 3 || ss.type == 7, VMCS_GUEST_SS_ACCESS, "SS: type");
	demand(c, ss.base <= UINT32_MAX, VMCS_GUEST_SS_BASE, "SS: base");
}

static void check_data(struct check *c)
{
	static const char *const names[SEGMENT_COUNT] = {
		[SEGMENT_ES] = "ES: access rights or limit",
		[SEGMENT_DS] = "DS: access rights or limit",
		[SEGMENT_FS] = "FS: access rights or limit",
		[SEGMENT_GS] = "GS: access rights or limit",
	};

	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		struct segment s = segment_read(i);

		if (names[i] == NULL)
			continue;
		if (i >= SEGMENT_FS)
			demand(c, vmx_is_canonical(s.base),
				vmx_segment_field(VMCS_GUEST_ES_BASE, i),
				"FS or GS: base is not canonical");
		else
			demand(c, !s.usable || s.base <= UINT32_MAX,
				vmx_segment_field(VMCS_GUEST_ES_BASE, i),
				"ES or DS: base");
		demand(c, !s.usable || (rights_are_plain(&s, true) && (s.type & 1) != 0 &&
			((s.type & 8) == 0 || (s.type & 2) != 0)),
			vmx_segment_field(VMCS_GUEST_ES_ACCESS, i), names[i]);
	}
}

static void check_system_segments(struct check *c)
{
	struct segment tr = segment_read(SEGMENT_TR), ldtr = segment_read(SEGMENT_LDTR);

	demand(c, (tr.selector & 4) == 0 && vmx_is_canonical(tr.base), VMCS_GUEST_TR_BASE,
		"TR: selector or base");
	demand(c, tr.usable && rights_are_plain(&tr, false), VMCS_GUEST_TR_ACCESS,
		"TR: access rights or limit");
	demand(c, tr.type == 11 || (tr.type == 3 && !c->long_mode), VMCS_GUEST_TR_ACCESS,
		"TR: not a busy TSS");
	demand(c, !ldtr.usable || ((ldtr.selector & 4) == 0 && vmx_is_canonical(ldtr.base)),
		VMCS_GUEST_LDTR_BASE, "LDTR: selector or base");
	demand(c, !ldtr.usable || (rights_are_plain(&ldtr, false) && ldtr.type == 2),
		VMCS_GUEST_LDTR_ACCESS, "LDTR: access rights or limit");
	demand(c, vmx_is_canonical(vmx_read(VMCS_GUEST_GDTR_BASE)), VMCS_GUEST_GDTR_BASE,
		"GDTR: base is not canonical");
	demand(c, vmx_is_canonical(vmx_read(VMCS_GUEST_IDTR_BASE)), VMCS_GUEST_IDTR_BASE,
		"IDTR: base is not canonical");
	demand(c, vmx_read(VMCS_GUEST_GDTR_LIMIT) <= 0xffff, VMCS_GUEST_GDTR_LIMIT,
		"GDTR: limit");
	demand(c, vmx_read(VMCS_GUEST_IDTR_LIMIT) <= 0xffff, VMCS_GUEST_IDTR_LIMIT,
		"IDTR: limit");
}

// 27.3.1.4.
static void check_flow(struct check *c)
{
	uint64_t rip = vmx_read(VMCS_GUEST_RIP), cs = vmx_read(VMCS_GUEST_CS_ACCESS);
	bool code_64 = c->long_mode && (cs & VMX_ACCESS_L) != 0;

	demand(c, code_64 ? vmx_is_canonical(rip) : rip <= UINT32_MAX, VMCS_GUEST_RIP, "RIP");
	demand(c, (c->rflags & RFLAGS_RESERVED) == 0 && (c->rflags & RFLAGS_FIXED) != 0,
		VMCS_GUEST_RFLAGS, "RFLAGS: reserved bits");
	demand(c, !c->v8086 || (!c->long_mode && (c->cr0 & CR0_PE) != 0), VMCS_GUEST_RFLAGS,
		"RFLAGS.VM");
	demand(c, (c->event & (VMX_EVENT_VALID | VMX_EVENT_TYPE)) !=
			(VMX_EVENT_VALID | VMX_EVENT_INTERRUPT) || (c->rflags & RFLAGS_IF) != 0,
		VMCS_GUEST_RFLAGS, "RFLAGS.IF is clear, and an interrupt is injected");
}

// 27.3.1.5.
static void check_interruptibility(struct check *c)
{
	uint32_t blocked = c->interruptibility, event = c->event & VMX_EVENT_TYPE;
	uint64_t pending = vmx_read(VMCS_GUEST_PENDING_DEBUG);
	bool injects = (c->event & VMX_EVENT_VALID) != 0, step;

	demand(c, (blocked & VMX_BLOCKED_SHADOW) != VMX_BLOCKED_SHADOW,
		VMCS_GUEST_INTERRUPTIBILITY, "interruptibility: blocked by STI and by MOV SS");
	demand(c, (blocked & VMX_BLOCKED_STI) == 0 || (c->rflags & RFLAGS_IF) != 0,
		VMCS_GUEST_INTERRUPTIBILITY,
		"interruptibility: blocked by STI, and RFLAGS.IF is clear");
	demand(c, (blocked & ~(VMX_BLOCKED_SHADOW | VMX_BLOCKED_NMI)) == 0,
		VMCS_GUEST_INTERRUPTIBILITY, "interruptibility: reserved bits");
	demand(c, !injects || event != VMX_EVENT_INTERRUPT || (blocked & VMX_BLOCKED_SHADOW) == 0,
		VMCS_GUEST_INTERRUPTIBILITY,
		"interruptibility: a shadow, and an interrupt is injected");
	demand(c, !injects || event != VMX_EVENT_NMI ||
			(blocked & (VMX_BLOCKED_NMI | VMX_BLOCKED_MOV_SS)) == 0,
		VMCS_GUEST_INTERRUPTIBILITY,
		"interruptibility: NMIs are blocked, and one is injected");
	if ((blocked & VMX_BLOCKED_SHADOW) == 0)
		return;
	step = (c->rflags & RFLAGS_TF) != 0 && (vmx_read(VMCS_GUEST_DEBUGCTL) & 2) == 0;
	demand(c, ((pending & VMX_DEBUG_BS) != 0) == step,
		VMCS_GUEST_PENDING_DEBUG,
		"pending debug exceptions: BS is not as a shadow and RFLAGS.TF demand");
}

unsigned vmx_guest_check(vmx_violation *report)
{
	struct check check = {
		.report = report,
		.cr0 = vmx_read(VMCS_GUEST_CR0),
		.cr4 = vmx_read(VMCS_GUEST_CR4),
		.efer = vmx_read(VMCS_GUEST_EFER),
		.rflags = vmx_read(VMCS_GUEST_RFLAGS),
		.interruptibility = (uint32_t)vmx_read(VMCS_GUEST_INTERRUPTIBILITY),
		.event = (uint32_t)vmx_read(VMCS_ENTRY_EVENT),
		.long_mode = (vmx_read(VMCS_ENTRY_CONTROLS) & VMX_ENTRY_IA32E) != 0,
	};

	check.v8086 = (check.rflags & RFLAGS_VM) != 0;
	check_registers(&check);
	if (check.v8086) {
		check_v8086(&check);
	} else {
		check_code_and_stack(&check);
		check_data(&check);
	}
	check_system_segments(&check);
	check_flow(&check);
	check_interruptibility(&check);
	demand(&check, vmx_read(VMCS_GUEST_ACTIVITY) == 0, VMCS_GUEST_ACTIVITY,
		"activity state is not active");
	demand(&check, vmx_read(VMCS_GUEST_LINK) == UINT64_MAX, VMCS_GUEST_LINK, "link pointer");
	return check.violations;
}

void vmx_spoil(struct vcpu *vcpu)
{
	ASSERT(vcpu_is_loaded(vcpu));
	vmx_write(VMCS_GUEST_DR7, vmx_read(VMCS_GUEST_DR7) | BIT(32));
}
