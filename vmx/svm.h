// SPDX-License-Identifier: BSD-2-Clause
// AMD's engine: what its files share.
//   svm.c         detection, creation, entry
//   svm_run.S     the world switch
//   svm_control.c CR0 and CR4
//   svm_exit.c    from exit codes to struct vmexit
//   svm_event.c   injection, windows, shadows
//   svm_step.c    exactly one instruction
//   svm_state.c   registers and MSRs
//   nested.c      nested page tables
#ifndef VMX_SVM_H
#define VMX_SVM_H

#include "vmx/engine.h"
#include "vmx/svm_abi.h"

// #DB and #AC: a guest that loops in their delivery would never leave the CPU. #MC is the host's.
#define SVM_EXCEPTIONS_INTERCEPTED ((uint32_t)(BIT(1) | BIT(17) | BIT(18)))

// How often the instruction of a step has been begun, and why again.
enum svm_step_run {
	SVM_STEP_FIRST, SVM_STEP_PUSHF, SVM_STEP_POPF, SVM_STEP_IRET, SVM_STEP_SYSCALL,
};

// What was when the step began.
struct svm_step {
	uint64_t rip, dr6, tr_base, sfmask, r11;
	uint8_t tss_type;
	uint8_t run; // enum svm_step_run
	bool guest_tf, guest_sce;
	bool guest_pause; // PAUSE does not exit otherwise
	bool shadow;   // in an interrupt shadow
	bool software; // not a step: the delivery of INT n
};

// Bits of svm_vcpu.precise.
enum {
	SVM_PRECISE_STEP = 1,    // wanted for the next entry, cleared by every exit
	SVM_PRECISE_COUNT = 2,   // vcpu_set_counting
	SVM_PRECISE_DELIVER = 4, // this entry delivers an event and ends
	SVM_PRECISE_SHADOWED = 8, // the entry was in an interrupt shadow, at shadow_rip
};

struct svm_vcpu {
	struct vcpu vcpu; // first. RAX and RSP are copied at each entry and exit
	struct svm_vmcb *vmcb;
	uint64_t tsc_ratio; // vcpu_set_tsc_ratio
	// An event that must be delivered with the next entry, in the form of EVENTINJ; 0: none.
	uint64_t event;
	// A hardware interrupt offered through V_IRQ: 0, or the vector with SVM_EVENT_VALID. The
	// guest can take it, so it comes first of all, unless an exit comes before its first
	// instruction.
	uint64_t offered;
	union {
		struct {
			// Wanted for the next entry, cleared by every exit.
			bool interrupt_window, nmi_window;
			bool nmi_blocked;
			bool windows_armed; // the control block has intercepts for a window
			bool stepping;      // TF is ours: one instruction, then #DB
			bool triple_fault;  // a fault during the delivery of #DF: shutdown
			bool has_event;     // `event` is not 0
			uint8_t precise;    // SVM_PRECISE_ bits
		};
		uint64_t special; // any of them: neither entry nor exit is a plain one
	};
	struct svm_step step;
	uint64_t shadow_rip;     // of an entry in an interrupt shadow: SVM_PRECISE_SHADOWED
	uint64_t run_ticks;      // of this vcpu_enter, while counting
	bool tpr_wanted;         // vcpu_intercept_tpr
	uint32_t limit;          // of the next entry, for the host's timer; 0: none
	uint8_t software_length; // of the INT n that `event` is
	// Where its ASID comes from; another core, or a later generation: it needs a new one.
	uint32_t asid_core;
	uint64_t asid_generation;
};

// `special` of a vcpu that counts, and has nothing else beside plain entries.
#define SVM_SPECIAL_COUNT ((uint64_t)SVM_PRECISE_COUNT << 56)
_Static_assert(offsetof(struct svm_vcpu, precise) - offsetof(struct svm_vcpu, special) == 7, "");

static always_inline struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
	return (struct svm_vcpu *)(uintptr_t)vcpu;
}

// Features that CPUID 8000000A lists, as found at vcpu_engine_init.
struct svm_features {
	uint32_t revision, asids, edx;
	bool next_rip; // EDX bit 3
	bool flush_by_asid; // EDX bit 6
	bool pause_filter; // EDX bit 10
	bool pause_threshold; // EDX bit 12
	bool tsc_ratio;       // EDX bit 4
};
// So many times PAUSE, each within so many ticks of the one before: a wait for somebody else.
enum { SVM_PAUSE_COUNT = 1000, SVM_PAUSE_THRESHOLD = 512 };
extern struct svm_features svm_features;
// From the 48 bits behind a ratio's point to the MSR's 32.
enum { SVM_TSC_RATIO_SHIFT = 16 };

// Intercepts what the guest's CPU does not have and the host's has: svm_state.c.
void svm_instructions_hide(struct svm_vmcb *vmcb, const struct cpuid_offer *offer);

// vcpu->host: the core's own control block, which holds what VMSAVE keeps.
void svm_run(struct vcpu *vcpu, struct svm_vmcb *guest);

// The engine's operations: vmx/vcpu.h.
void svm_reset(struct vcpu *vcpu);
uint64_t svm_rip(const struct vcpu *vcpu);
uint64_t svm_rflags(const struct vcpu *vcpu);
void svm_set_rip(struct vcpu *vcpu, uint64_t rip);
void svm_set_rflags(struct vcpu *vcpu, uint64_t rflags);
void svm_advance(struct vcpu *vcpu, unsigned length);
void svm_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags);
uint64_t svm_dr7(const struct vcpu *vcpu);
void svm_watch_dr7(struct vcpu *vcpu, bool watch);
struct vcpu_paging svm_paging(const struct vcpu *vcpu);
void svm_get_code(const struct vcpu *vcpu, struct vcpu_code *code);
struct vcpu_segment_state svm_segment(const struct vcpu *vcpu, enum vcpu_segment segment);
unsigned svm_cpl(const struct vcpu *vcpu);
unsigned svm_code_bits(const struct vcpu *vcpu);
void svm_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
must_check enum status svm_set_state(struct vcpu *vcpu, const struct vcpu_state *state);
must_check enum status svm_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
must_check enum status svm_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
must_check enum status svm_write_cr0(struct vcpu *vcpu, uint64_t value);
must_check enum status svm_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed);
void svm_set_tpr(struct vcpu *vcpu, uint8_t cr8);
void svm_intercept_tpr(struct vcpu *vcpu, bool intercept);
// Writes of CR8 exit if that is wanted, or a window is open. See svm_event.c.
void svm_update_tpr_intercept(struct svm_vcpu *svm);
void svm_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which);
void svm_set_tsc_offset(struct vcpu *vcpu, uint64_t offset);
uint64_t svm_tsc_offset(const struct vcpu *vcpu);
uint64_t svm_tsc_ratio(uint64_t wanted);
void svm_set_tsc_ratio(struct vcpu *vcpu, uint64_t ratio);
// Into the core's MSR, which has `*present`; 0: nobody has written it yet.
void svm_tsc_ratio_load(const struct vcpu *vcpu, uint64_t *present);
bool svm_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind);
bool svm_event_pending(const struct vcpu *vcpu);
void svm_inject_interrupt(struct vcpu *vcpu, uint8_t vector);
void svm_inject_nmi(struct vcpu *vcpu);
void svm_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code);
void svm_set_cr2(struct vcpu *vcpu, uint64_t cr2);
void svm_request_interrupt_window(struct vcpu *vcpu);
void svm_request_nmi_window(struct vcpu *vcpu);
void svm_request_step(struct vcpu *vcpu);
void svm_inject_software_interrupt(struct vcpu *vcpu, uint8_t vector, unsigned length);
void svm_print_entry_failure(const struct vcpu *vcpu);
void svm_spoil(struct vcpu *vcpu);
void svm_forget_nested(struct vcpu *vcpu);

// Names what VMRUN refuses of the control block, and the field that it is about; `report` may be
// NULL. The number of such things.
typedef void svm_violation(const char *what, const char *field, uint64_t value);
unsigned svm_guest_check(const struct svm_vmcb *vmcb, svm_violation *report);

// `offered` as struct vcpu_state has it: 0, or VCPU_OFFERED | vector.
void svm_interrupt_offer(struct vcpu *vcpu, uint16_t offered);

static inline void svm_event_set(struct vcpu *vcpu, uint64_t event)
{
	svm_of(vcpu)->event = event;
	svm_of(vcpu)->has_event = event != 0;
}

// Marks what changed since the last entry: SVM_CLEAN_ bits.
static inline void svm_dirty(struct vcpu *vcpu, uint64_t bits)
{
	svm_of(vcpu)->vmcb->clean &= ~bits;
}

// Kinds of the exits from SVM_EXIT_INTR on that carry nothing else; 0: not one of them, or
// VMEXIT_INTERRUPT.
enum { SVM_PLAIN_KINDS = 0x43 };
extern const uint8_t svm_plain_kinds[SVM_PLAIN_KINDS];

static always_inline uint8_t svm_next_rip_length(const struct svm_vmcb *vmcb)
{
	uint64_t length;

	if (!svm_features.next_rip)
		return 0;
	length = vmcb->next_rip - vmcb->rip;
	return length <= 15 ? (uint8_t)length : 0;
}

// Fills `exit` from the control block. May answer that the guest shall be entered again at once.
bool svm_exit_decode(struct vcpu *vcpu, struct vmexit *exit);

// Before an entry that is not plain: moves step and windows into the control block.
void svm_event_prepare_slow(struct vcpu *vcpu);
// After an exit: keeps an event whose delivery was interrupted.
void svm_event_collect_slow(struct vcpu *vcpu);
// `special`: what the vcpu's was, where that alone is no reason for it.
static always_inline void svm_event_collect(struct vcpu *vcpu, const uint64_t special)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

	if (unlikely(svm_of(vcpu)->offered != 0 || svm_of(vcpu)->special != special ||
		    (vmcb->exit_interrupt_info & SVM_EVENT_VALID) != 0))
		svm_event_collect_slow(vcpu);
}

// The next entry runs one instruction under TF.
void svm_step_begin(struct vcpu *vcpu);
void svm_step_begin_iret(struct vcpu *vcpu); // the IRET that has just been intercepted
void svm_step_cancel(struct vcpu *vcpu); // before the entry that would have begun it
// Any exit while stepping. AGAIN: enter once more; REPORT: `exit` has a kind, the step is over;
// OTHER: so it is, by an exit that is to be decoded.
enum svm_step_result { SVM_STEP_AGAIN, SVM_STEP_REPORT, SVM_STEP_OTHER };
enum svm_step_result svm_step_exit(struct vcpu *vcpu, struct vmexit *exit);

// An entry that delivers the pending event, and ends before another instruction runs.
bool svm_delivery_wanted(const struct vcpu *vcpu);
void svm_delivery_begin(struct vcpu *vcpu);
void svm_delivery_cancel(struct vcpu *vcpu);
bool svm_delivery_exit(struct vcpu *vcpu, struct vmexit *exit);

void svm_msrpm_init(uint8_t *msrpm);

#endif
