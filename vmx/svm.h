// SPDX-License-Identifier: BSD-2-Clause
// AMD's engine: what its files share.
//   svm.c         detection, creation, entry
//   svm_exit.c    from exit codes to struct vmexit
//   svm_event.c   injection, windows, shadows, stepping
//   svm_state.c   registers and MSRs
//   npt.c         nested page tables
#ifndef VMX_SVM_H
#define VMX_SVM_H

#include "vmx/svm_abi.h"
#include "vmx/vcpu.h"

// #DB and #AC: a guest that loops in their delivery would never leave the CPU. #MC is the host's.
#define SVM_EXCEPTIONS_INTERCEPTED ((uint32_t)(BIT(1) | BIT(17) | BIT(18)))

struct vcpu {
	uint64_t gpr[GPR_COUNT]; // first: vcpu_gpr(). RAX and RSP are copied at each entry and exit
	struct svm_vmcb *vmcb;
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
			uint8_t reserved;
		};
		uint64_t special; // any of them: neither entry nor exit is a plain one
	};
	bool step_over_iret;
	bool step_guest_tf;    // what TF was before
	uint64_t step_rip, step_dr6;
	uint64_t tsc_aux;
};

// Features that CPUID 8000000A lists, as found at vcpu_engine_init.
struct svm_features {
	uint32_t revision, asids, edx;
	bool next_rip; // EDX bit 3
	bool flush_by_asid; // EDX bit 6
};
extern struct svm_features svm_features;

// The kernel's own control block: what VMSAVE keeps. Constant after vcpu_engine_init.
extern struct svm_vmcb *svm_host_vmcb;

void svm_enter(uint64_t *gpr, struct svm_vmcb *guest);

static inline void svm_event_set(struct vcpu *vcpu, uint64_t event)
{
	vcpu->event = event;
	vcpu->has_event = event != 0;
}

// Marks what changed since the last entry: SVM_CLEAN_ bits.
static inline void svm_dirty(struct vcpu *vcpu, uint64_t bits)
{
	vcpu->vmcb->clean &= ~bits;
}

// Kinds of the exits from SVM_EXIT_INTR on that carry nothing else; 0: not one of them, or
// VMEXIT_INTERRUPT.
enum { SVM_PLAIN_KINDS = 0x2f };
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
static always_inline void svm_event_collect(struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = vcpu->vmcb;

	if (unlikely(vcpu->offered != 0 || vcpu->special != 0 ||
		    (vmcb->exit_interrupt_info & SVM_EVENT_VALID) != 0))
		svm_event_collect_slow(vcpu);
}

// Any exit while stepping: TF is the guest's again. True where the step was done: a #DB of ours.
bool svm_step_finish(struct vcpu *vcpu);
void svm_step_cancel(struct vcpu *vcpu); // before the entry that would have begun it
// An IRET exit: ends the blocking of NMIs after that IRET.
void svm_nmi_unblock(struct vcpu *vcpu);

void svm_msrpm_init(uint8_t *msrpm);
uint64_t nested_map_root(const struct nested_map *map);

#endif
