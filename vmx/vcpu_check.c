// SPDX-License-Identifier: BSD-2-Clause
// SDM vol. 3, 26.3.1 (checks on the guest state area) and APM vol. 2, 15.5.1 (VMRUN), as far as
// they speak of architectural state.
#include "vmx/vcpu_check.h"

#include <string.h>

#include "kernel/x86.h"

#define CR0_BITS                                                                                   \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
		CR0_PG)
#define RFLAGS_BITS UINT64_C(0x3f7fd7) // SDM vol. 1, 3.4.3

#define PENDING_DEBUG_BITS 0x500fu // SDM vol. 3, table 25-4
#define PDPTE_RESERVED     0x1e6u  // SDM vol. 3, 4.4.1

enum {
	FPU_MXCSR = 24, // SDM vol. 1, 10.5.1 and 13.4
	FPU_XSTATE_BV = 512, FPU_XCOMP_BV = 520, FPU_HEADER_END = 576,
	SEGMENT_TYPE_MASK = 15,
	TYPE_TSS_16 = 1, TYPE_TSS_32 = 9, TYPE_BUSY = 2,
};

static const struct state_field fields[] = {
	STATE_ARRAY_ANY(struct vcpu_state, gpr),
	STATE_ANY(struct vcpu_state, rip),
	STATE_VALUE(struct vcpu_state, rflags, 2, RFLAGS_BITS),
	STATE_VALUE(struct vcpu_state, cr0, 0, UINT32_MAX),
	STATE_ANY(struct vcpu_state, cr2),
	STATE_ANY(struct vcpu_state, cr3),
	STATE_ANY(struct vcpu_state, cr4),
	STATE_VALUE(struct vcpu_state, cr8, 0, 15),
	STATE_ANY(struct vcpu_state, efer),
	STATE_ARRAY_ANY(struct vcpu_state, dr),
	STATE_VALUE(struct vcpu_state, dr6, 0, UINT32_MAX),
	STATE_VALUE(struct vcpu_state, dr7, 0, UINT32_MAX),
	STATE_EACH_ANY(struct vcpu_state, segment, selector),
	STATE_EACH(struct vcpu_state, segment, attributes, 0, 0xfff),
	STATE_EACH_ANY(struct vcpu_state, segment, limit),
	STATE_EACH_ANY(struct vcpu_state, segment, base),
	STATE_ANY(struct vcpu_state, gdtr_base),
	STATE_ANY(struct vcpu_state, idtr_base),
	STATE_VALUE(struct vcpu_state, gdtr_limit, 0, 0xffff),
	STATE_VALUE(struct vcpu_state, idtr_limit, 0, 0xffff),
	STATE_ANY(struct vcpu_state, star),
	STATE_ANY(struct vcpu_state, lstar),
	STATE_ANY(struct vcpu_state, cstar),
	STATE_ANY(struct vcpu_state, sfmask),
	STATE_ANY(struct vcpu_state, kernel_gs_base),
	STATE_ANY(struct vcpu_state, sysenter_cs),
	STATE_ANY(struct vcpu_state, sysenter_esp),
	STATE_ANY(struct vcpu_state, sysenter_eip),
	STATE_ANY(struct vcpu_state, pat),
	STATE_VALUE(struct vcpu_state, tsc_aux, 0, UINT32_MAX),
	STATE_VALUE(struct vcpu_state, debugctl, 0, 3),
	STATE_ANY(struct vcpu_state, xcr0),
	STATE_ARRAY_ANY(struct vcpu_state, pdpte),
	STATE_VALUE(struct vcpu_state, event.kind, 0, VCPU_EVENT_ICEBP),
	STATE_ANY(struct vcpu_state, event.vector),
	STATE_BOOL(struct vcpu_state, event.has_error_code),
	STATE_VALUE(struct vcpu_state, event.length, 0, 15),
	STATE_VALUE(struct vcpu_state, event.error_code, 0, 0xffff),
	STATE_VALUE(struct vcpu_state, offered, 0, VCPU_OFFERED | 0xff),
	STATE_VALUE(struct vcpu_state, pending_debug, 0, PENDING_DEBUG_BITS),
	STATE_BOOL(struct vcpu_state, interrupt_shadow),
	STATE_BOOL(struct vcpu_state, stack_shadow),
	STATE_BOOL(struct vcpu_state, nmi_blocked),
	STATE_BOOL(struct vcpu_state, triple_fault),
	STATE_BOOL(struct vcpu_state, has_pdptes),
	STATE_PAD(struct vcpu_state, reserved),
};

const struct state_table vcpu_state_table =
	STATE_TABLE("vcpu", 1, struct vcpu_state, fields, NULL);

static enum status refuse(struct state_error *error, const char *field, uint32_t index,
	uint64_t value, uint64_t max, const char *reason)
{
	if (error != NULL)
		*error = (struct state_error){.table = vcpu_state_table.name, .field = field,
			.index = index, .value = value, .max = max, .reason = reason};
	return STATUS_FAIL(STATUS_INVALID);
}

static enum status refuse_combination(struct state_error *error, const char *reason)
{
	return refuse(error, NULL, 0, 0, 0, reason);
}

static enum status check_bits(const struct vcpu_state *state, const struct vcpu_limits *limits,
	struct state_error *error)
{
	const uint64_t cr3 = UINT64_MAX >> (64 - limits->physical_bits);
	const struct {
		const char *field;
		uint64_t value, allowed;
	} bits[] = {
		{"rflags", state->rflags, RFLAGS_BITS}, {"cr0", state->cr0, CR0_BITS},
		{"cr3", state->cr3, cr3}, {"cr4", state->cr4, limits->cr4},
		{"efer", state->efer, limits->efer | EFER_LMA},
		{"xcr0", state->xcr0, limits->xcr0},
		{"pending_debug", state->pending_debug, PENDING_DEBUG_BITS},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(bits); i++)
		if ((bits[i].value & ~bits[i].allowed) != 0)
			return refuse(error, bits[i].field, 0, bits[i].value, bits[i].allowed,
				"reserved bit set");
	for (unsigned i = 0; i < 8; i++) { // SDM vol. 3, 12.12.2: memory types of the PAT
		uint64_t type = state->pat >> 8 * i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return refuse(error, "pat", 0, state->pat, 7, "not a memory type");
	}
	for (unsigned i = 0; i < ARRAY_COUNT(state->pdpte); i++) {
		uint64_t entry = state->pdpte[i];

		if ((entry & 1) != 0 && (entry & (~cr3 | PDPTE_RESERVED)) != 0)
			return refuse(error, "pdpte", i, entry, cr3 & ~(uint64_t)PDPTE_RESERVED,
				"reserved bit set");
	}
	if ((state->xcr0 & 1) == 0 || (state->xcr0 & 6) == 4)
		return refuse(error, "xcr0", 0, state->xcr0, limits->xcr0, "x87 and SSE missing");
	return STATUS_OK;
}

// Of 57 bits wherever the vcpu's CR4 may have LA57, as registers have it: SDM vol. 1, 3.3.7.1.
static enum status check_addresses(const struct vcpu_state *state, const struct vcpu_limits *limits,
	struct state_error *error)
{
	const unsigned linear_bits = (limits->cr4 & CR4_LA57) != 0 ? 57 : 48;
	const uint64_t highest = (UINT64_C(1) << (linear_bits - 1)) - 1;
	const struct {
		const char *field;
		uint64_t value;
	} addresses[] = {
		{"gdtr_base", state->gdtr_base}, {"idtr_base", state->idtr_base},
		{"lstar", state->lstar}, {"cstar", state->cstar},
		{"kernel_gs_base", state->kernel_gs_base},
		{"sysenter_esp", state->sysenter_esp}, {"sysenter_eip", state->sysenter_eip},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(addresses); i++)
		if (!x86_is_canonical(addresses[i].value, linear_bits))
			return refuse(error, addresses[i].field, 0, addresses[i].value, highest,
				"not canonical");
	for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
		uint64_t base = state->segment[i].base;

		if (i <= SEGMENT_DS && base > UINT32_MAX)
			return refuse(error, "segment.base", i, base, UINT32_MAX, "too high");
		if (!x86_is_canonical(base, linear_bits))
			return refuse(error, "segment.base", i, base, highest, "not canonical");
	}
	return STATUS_OK;
}

static const char *modes_check(const struct vcpu_state *state)
{
	bool paging = (state->cr0 & CR0_PG) != 0, lma = (state->efer & EFER_LMA) != 0;
	uint16_t code = state->segment[SEGMENT_CS].attributes;
	bool is_64_bit = lma && (code & SEGMENT_ATTRIBUTE_L) != 0;
	int64_t rip = (int64_t)state->rip;

	if ((state->rflags & RFLAGS_FIXED) == 0)
		return "rflags: bit 1 is clear";
	if ((state->cr0 & CR0_NW) != 0 && (state->cr0 & CR0_CD) == 0)
		return "cr0: NW without CD";
	if (paging && (state->cr0 & CR0_PE) == 0)
		return "cr0: PG without PE";
	if (lma != (paging && (state->efer & EFER_LME) != 0))
		return "efer: LMA is not LME with paging";
	if (lma && (state->cr4 & CR4_PAE) == 0)
		return "cr4: long mode without PAE";
	if (!lma && (state->cr4 & CR4_PCIDE) != 0)
		return "cr4: PCIDE outside of long mode";
	if (lma && (state->rflags & RFLAGS_VM) != 0)
		return "rflags: VM in long mode";
	if (is_64_bit && (code & SEGMENT_ATTRIBUTE_DB) != 0)
		return "segment: 64-bit code with D set";
	if (!is_64_bit && state->rip > UINT32_MAX)
		return "rip: above 4 GiB outside of 64-bit mode";
	if (is_64_bit && rip >> 48 != 0 && rip >> 48 != -1)
		return "rip: not canonical";
	return NULL;
}

static const char *shadow_check(const struct vcpu_state *state)
{
	if (state->stack_shadow && !state->interrupt_shadow)
		return "stack_shadow: without a shadow";
	if (state->has_pdptes)
		return NULL;
	for (unsigned i = 0; i < ARRAY_COUNT(state->pdpte); i++)
		if (state->pdpte[i] != 0)
			return "pdpte: not said to be loaded";
	return NULL;
}

static const char *segments_check(const struct vcpu_state *state)
{
	uint16_t code = state->segment[SEGMENT_CS].attributes;
	uint16_t task = state->segment[SEGMENT_TR].attributes;
	uint16_t table = state->segment[SEGMENT_LDTR].attributes;
	unsigned type = task & SEGMENT_TYPE_MASK & ~(unsigned)TYPE_BUSY;

	if ((code & SEGMENT_ATTRIBUTE_P) == 0 || (code & SEGMENT_ATTRIBUTE_S) == 0)
		return "segment: CS is not a segment";
	if ((task & SEGMENT_ATTRIBUTE_P) != 0 &&
		((task & SEGMENT_ATTRIBUTE_S) != 0 || (type != TYPE_TSS_16 && type != TYPE_TSS_32)))
		return "segment: TR is not a task";
	if ((table & SEGMENT_ATTRIBUTE_P) != 0 && (table & SEGMENT_ATTRIBUTE_S) != 0)
		return "segment: LDTR is not a table";
	return NULL;
}

static bool has_error_code(unsigned vector)
{
	return (BIT(vector) & (BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) |
		BIT(VECTOR_GP) | BIT(VECTOR_PF) | BIT(VECTOR_AC) | BIT(21))) != 0;
}

// Only what can be under way, and what both VMRUN and a VM entry take: APM vol. 2, 15.20, SDM vol.
// 3, 26.2.1.3.
static const char *event_check(const struct vcpu_state *state)
{
	const struct vcpu_event *event = &state->event;
	bool is_64_bit = (state->efer & EFER_LMA) != 0 &&
		(state->segment[SEGMENT_CS].attributes & SEGMENT_ATTRIBUTE_L) != 0;

	if (event->kind != VCPU_EVENT_EXCEPTION && event->has_error_code)
		return "event: an error code without an exception";
	if ((event->length != 0) != (event->kind > VCPU_EVENT_EXCEPTION))
		return "event: a length that is not its instruction's";
	if (!event->has_error_code && event->error_code != 0)
		return "event: an error code that is not delivered";
	if (state->triple_fault && event->kind != VCPU_EVENT_NONE)
		return "event: behind a triple fault";
	if (state->offered != 0 && (state->offered & VCPU_OFFERED) == 0)
		return "offered: not an interrupt";
	switch (event->kind) {
	case VCPU_EVENT_NONE:
		return event->vector != 0 ? "event: a vector without an event" : NULL;
	case VCPU_EVENT_INTERRUPT:
		return (state->rflags & RFLAGS_IF) == 0 ? "event: interrupts are off" : NULL;
	case VCPU_EVENT_NMI:
		if (event->vector != VECTOR_NMI)
			return "event: an NMI has vector 2";
		return !state->nmi_blocked ? "event: an NMI that blocks no other" : NULL;
	case VCPU_EVENT_SOFTWARE:
		return NULL;
	case VCPU_EVENT_ICEBP:
		return event->vector != VECTOR_DB ? "event: INT1 has vector 1" : NULL;
	default:
		if (event->vector >= 32 || event->vector == VECTOR_NMI)
			return "event: not an exception";
		if (is_64_bit && (event->vector == VECTOR_OF || event->vector == VECTOR_BR))
			return "event: an exception that 64-bit code does not have";
		if (event->has_error_code &&
			(!has_error_code(event->vector) || (state->cr0 & CR0_PE) == 0))
			return "event: an exception without an error code";
		return NULL;
	}
}

enum status vcpu_state_check(const struct vcpu_state *state, const struct vcpu_limits *limits,
	struct state_error *error)
{
	static const char *(*const checks[])(const struct vcpu_state *) = {
		modes_check, segments_check, shadow_check, event_check};
	enum status status = state_check(&vcpu_state_table, state, error);

	if (status == STATUS_OK)
		status = check_bits(state, limits, error);
	if (status == STATUS_OK)
		status = check_addresses(state, limits, error);
	for (unsigned i = 0; i < ARRAY_COUNT(checks) && status == STATUS_OK; i++) {
		const char *reason = checks[i](state);

		if (reason != NULL)
			return refuse_combination(error, reason);
	}
	return status;
}

// SDM vol. 1, 13.8.1: what makes XRSTOR fault.
enum status vcpu_fpu_check(const void *area, size_t bytes, const struct vcpu_limits *limits,
	struct state_error *error)
{
	const uint8_t *from = area;
	uint64_t components, word;
	uint32_t mxcsr;

	memcpy(&mxcsr, from + FPU_MXCSR, sizeof(mxcsr));
	if ((mxcsr & ~limits->mxcsr) != 0)
		return refuse(error, "mxcsr", 0, mxcsr, limits->mxcsr, "reserved bit set");
	if (bytes < FPU_HEADER_END) // without XSAVE
		return STATUS_OK;
	memcpy(&components, from + FPU_XSTATE_BV, sizeof(components));
	if ((components & ~limits->xcr0) != 0)
		return refuse(error, "xstate_bv", 0, components, limits->xcr0,
			"a component that is not there");
	for (unsigned at = FPU_XCOMP_BV; at < FPU_HEADER_END; at += sizeof(word)) {
		memcpy(&word, from + at, sizeof(word));
		if (word != 0)
			return refuse(error, at == FPU_XCOMP_BV ? "xcomp_bv" : "xsave_header",
				(at - FPU_XCOMP_BV) / 8, word, 0, "reserved");
	}
	return STATUS_OK;
}
