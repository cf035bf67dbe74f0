// SPDX-License-Identifier: BSD-2-Clause
// A vcpu with its local APIC.
#include <string.h>

#include "emul/lapic.h"
#include "kernel/base/assert.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/local_apic.h"
#include "vm/snapshot.h"
#include "vmx/vcpu_check.h"

enum { FPU_VERSION = 1 };

// What the run loop keeps of a vcpu between an exit and the next entry.
struct run {
	uint64_t tsc_shift;
	struct vm_mailbox mailbox;
	uint32_t signals;
	struct mtrr mtrr;
	bool halted, waits_for_startup, nmi_pending;
	bool idle; // it waits, and has found nothing that would wake it
	uint8_t reserved[4];
};

#define SIGNALS_KEPT (VM_SIGNAL_NMI | VM_SIGNAL_INIT | VM_SIGNAL_STARTUP)
#define MAIL_OTHERS                                                                                \
	((uint32_t)(BIT(INTERRUPT_SMI) | BIT(INTERRUPT_NMI) | BIT(INTERRUPT_INIT) |                \
		BIT(INTERRUPT_STARTUP) | BIT(INTERRUPT_EXTINT)))

static const char *run_check(const void *instance)
{
	const struct run *run = instance;

	if ((run->signals & ~(uint32_t)SIGNALS_KEPT) != 0)
		return "signals: not of the guest's";
	if ((run->mailbox.others & ~MAIL_OTHERS) != 0)
		return "mailbox: no such message";
	if (run->mailbox.lint0 == VM_LINT0_HIGH)
		return "mailbox: a wire that is high and has not changed";
	return NULL;
}

static const struct state_field run_fields[] = {
	STATE_ANY(struct run, tsc_shift),
	STATE_ARRAY_ANY(struct run, mailbox.edge),
	STATE_ARRAY_ANY(struct run, mailbox.level),
	STATE_ANY(struct run, mailbox.others),
	STATE_VALUE(struct run, mailbox.startup, 0, 255),
	STATE_VALUE(struct run, mailbox.lint0, 0, VM_LINT0_HIGH | VM_LINT0_CHANGED),
	STATE_ANY(struct run, signals),
	STATE_FIELD_(struct run, mtrr.variable, mtrr.variable[0][0], 8, 2 * MTRR_VARIABLE, 0,
		UINT64_MAX, 1),
	STATE_ARRAY_ANY(struct run, mtrr.fixed),
	STATE_ANY(struct run, mtrr.default_type),
	STATE_BOOL(struct run, halted),
	STATE_BOOL(struct run, waits_for_startup),
	STATE_BOOL(struct run, nmi_pending),
	STATE_BOOL(struct run, idle),
	STATE_PAD(struct run, reserved),
};

const struct state_table snapshot_run_table =
	STATE_TABLE("run", 1, struct run, run_fields, run_check);

struct call {
	struct vm_vcpu *vcpu;
	struct vcpu_state *state;
	enum status status;
};

// Some engines answer for a vcpu only while it is loaded.
static void state_get(void *argument)
{
	const struct call *call = argument;

	vcpu_load(call->vcpu->vcpu);
	vcpu_get_state(call->vcpu->vcpu, call->state);
	vcpu_unload(call->vcpu->vcpu);
}

static void state_set(void *argument)
{
	struct call *call = argument;

	vcpu_load(call->vcpu->vcpu);
	call->status = vcpu_set_state(call->vcpu->vcpu, call->state);
	vcpu_unload(call->vcpu->vcpu);
}

static void run_get(const struct vm_vcpu *vcpu, struct run *run)
{
	memset(run, 0, sizeof(*run));
	run->tsc_shift = vcpu->tsc_shift;
	run->mailbox = vcpu->mailbox;
	run->signals = vcpu->signals & (uint32_t)SIGNALS_KEPT;
	run->mtrr = vcpu->mtrr;
	run->halted = vcpu->halted;
	run->waits_for_startup = vcpu->waits_for_startup;
	run->nmi_pending = vcpu->nmi_pending;
	run->idle = vcpu->vm->landing != NULL && (vcpu->halted || vcpu->waits_for_startup) &&
		vcpu->idle == lapic_word(vcpu->lapic);
}

// What is derived from these starts anew: fresh values of struct vm_vcpu.
static void run_set(struct vm_vcpu *vcpu, const struct run *run, const struct vcpu_state *state)
{
	vcpu->tsc_shift = run->tsc_shift;
	vcpu->mailbox = run->mailbox;
	vcpu->signals = run->signals | (uint32_t)(VM_SIGNAL_MAIL | VM_SIGNAL_EVENTS);
	vcpu->mtrr = run->mtrr;
	vcpu->halted = run->halted;
	vcpu->waits_for_startup = run->waits_for_startup;
	vcpu->nmi_pending = run->nmi_pending;
	if (run->idle)
		vcpu->idle = lapic_word(vcpu->lapic);
	vcpu->tpr = (uint8_t)state->cr8;
}

void snapshot_vcpu_write(struct vm_vcpu *vcpu, struct snapshot_stream *stream)
{
	struct vcpu_state state;
	struct call call = {vcpu, &state, STATUS_OK};
	const void *fpu;
	struct run run;
	size_t bytes;

	ASSERT(vcpu->resting && vcpu->message_count == 0);
	smp_call(vcpu->core, state_get, &call);
	run_get(vcpu, &run);
	snapshot_write_table(stream, "vcpu", vcpu->index, &vcpu_state_table, &state);
	snapshot_write_table(stream, "run", vcpu->index, &snapshot_run_table, &run);
	fpu = vcpu_fpu(vcpu->vcpu, &bytes);
	snapshot_section_begin(stream, "fpu", vcpu->index, FPU_VERSION, bytes);
	snapshot_put(stream, fpu, bytes);
	snapshot_section_end(stream);
	snapshot_write_table(stream, "lapic", vcpu->index, vcpu->lapic->model->state, vcpu->lapic);
}

static void limits_fill(const struct vm_vcpu *vcpu, struct vcpu_limits *limits)
{
	const struct cpuid_offer offer = cpuid_profile_offer(&vcpu->cpuid);

	*limits = (struct vcpu_limits){
		.cr4 = vcpu->cr4_allowed,
		.efer = offer.efer,
		.xcr0 = offer.xcr0,
		.mxcsr = vcpu_mxcsr_mask(),
		.physical_bits = vcpu->physical_bits,
	};
}

static enum status fpu_read(struct vm_vcpu *vcpu, const struct vcpu_limits *limits,
	struct snapshot_stream *stream)
{
	enum status status = snapshot_section_expect(stream, "fpu", vcpu->index);
	struct state_error error;
	size_t bytes;
	uint8_t *area;

	if (status != STATUS_OK)
		return status;
	area = vcpu_fpu(vcpu->vcpu, &bytes);
	if (stream->section.version != FPU_VERSION || stream->section.length != bytes)
		return snapshot_fail(stream, STATUS_INVALID,
			"fpu %u: length: %llu is not allowed (%llu to %llu)", vcpu->index,
			(unsigned long long)stream->section.length, (unsigned long long)bytes,
			(unsigned long long)bytes);
	status = snapshot_get(stream, area, bytes);
	if (status != STATUS_OK)
		return status;
	status = vcpu_fpu_check(area, bytes, limits, &error);
	if (status != STATUS_OK)
		return snapshot_refuse(stream, "fpu", vcpu->index, &error);
	snapshot_section_next(stream);
	return STATUS_OK;
}

// What the parts say about each other.
static const char *vcpu_check(const struct vm_vcpu *vcpu, const struct vcpu_state *state,
	const struct run *run)
{
	if (run->waits_for_startup && vcpu->index == 0)
		return "waits_for_startup: never of the bootstrap processor";
	if (run->waits_for_startup &&
		((state->cr0 & CR0_PE) != 0 || state->event.kind != VCPU_EVENT_NONE))
		return "waits_for_startup: not as INIT leaves it";
	if (!mtrr_is_valid(&run->mtrr, vcpu->physical_bits))
		return "mtrr: reserved bits or no memory type";
	return NULL;
}

// What is the vcpu's as well, or does not change.
static enum status lapic_agrees(const struct vm_vcpu *vcpu, const struct run *run,
	struct snapshot_stream *stream)
{
	const struct lapic *lapic = lapic_of_const(vcpu->lapic);
	const struct {
		const char *field;
		uint64_t value, wanted;
	} pairs[] = {
		{"tsc_offset", lapic->tsc_offset, run->tsc_shift},
		{"tsc_hz", lapic->tsc_hz, vcpu->vm->tsc_hz},
		{"apic_id", lapic->apic_id, vcpu->index},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(pairs); i++) {
		const struct state_error error = {.field = pairs[i].field,
			.value = pairs[i].value, .min = pairs[i].wanted, .max = pairs[i].wanted,
			.reason = "not this vcpu's"};

		if (pairs[i].value != pairs[i].wanted)
			return snapshot_refuse(stream, "lapic", vcpu->index, &error);
	}
	return STATUS_OK;
}

enum status snapshot_vcpu_read(struct vm_vcpu *vcpu, struct snapshot_stream *stream)
{
	struct vcpu_state state;
	struct call call = {vcpu, &state, STATUS_OK};
	struct vcpu_limits limits;
	struct state_error error = {.field = NULL};
	struct run run;
	enum status status;

	memset(&state, 0, sizeof(state));
	memset(&run, 0, sizeof(run));
	limits_fill(vcpu, &limits);
	status = snapshot_read_table(stream, "vcpu", vcpu->index, &vcpu_state_table, &state);
	if (status != STATUS_OK)
		return status;
	if (vcpu_state_check(&state, &limits, &error) != STATUS_OK)
		return snapshot_refuse(stream, "vcpu", vcpu->index, &error);
	status = snapshot_read_table(stream, "run", vcpu->index, &snapshot_run_table, &run);
	if (status != STATUS_OK)
		return status;
	error.reason = vcpu_check(vcpu, &state, &run);
	if (error.reason != NULL)
		return snapshot_refuse(stream, "run", vcpu->index, &error);
	smp_call(vcpu->core, state_set, &call);
	if (call.status != STATUS_OK)
		return snapshot_fail(stream, STATUS_INVALID,
			"vcpu %u: this CPU does not take these registers together", vcpu->index);
	status = fpu_read(vcpu, &limits, stream);
	if (status == STATUS_OK)
		status = snapshot_read_table(stream, "lapic", vcpu->index,
			vcpu->lapic->model->state, vcpu->lapic);
	if (status == STATUS_OK)
		status = lapic_agrees(vcpu, &run, stream);
	if (status == STATUS_OK)
		run_set(vcpu, &run, &state);
	return status;
}
