// SPDX-License-Identifier: BSD-2-Clause
// Intel's engine: what its files share.
//   vmx.c         creation, loading, entry
//   vmx_detect.c  capabilities, and each CPU's start
//   vmx_run.S     the world switch
//   vmx_field.c   fields of the control structure by name
//   vmx_control.c CR0 and CR4
//   vmx_exit.c    from exit reasons to struct vmexit
//   vmx_event.c   injection, windows, stepping
//   vmx_state.c   registers; vmx_msr.c: MSRs
//   vmx_check.c   what a failed entry had wrong
//   nested.c      nested page tables
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/x86.h"
#include "vmx/engine.h"
#include "vmx/vmx_abi.h"
#include "vmx/vmx_insn.h"

// #DB and #AC: a guest that loops in their delivery would never leave the CPU. #MC is the host's.
#define VMX_EXCEPTIONS_INTERCEPTED ((uint32_t)(BIT(1) | BIT(17) | BIT(18)))

// Bits that a guest changes without an exit, where it may have them at all.
// None of them matters to the translation of addresses: see vmx_get_code.
#define VMX_CR0_GUEST (CR0_MP | CR0_EM | CR0_TS | CR0_AM)
#define VMX_CR4_GUEST (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_OSFXSR | \
	CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE)

// Fields that are read at most once an exit. The first are written back with the next entry.
enum vmx_cached {
	VMX_RFLAGS, VMX_INTERRUPTIBILITY, VMX_CACHED_WRITABLE,
	VMX_CR0 = VMX_CACHED_WRITABLE, VMX_CR3, VMX_CR4, VMX_CS_ACCESS, VMX_CS_BASE, VMX_SS_ACCESS,
	VMX_CACHED_COUNT
};

struct vmx_vcpu {
	struct vcpu vcpu; // first. `host`: what HOST_RSP holds
	uint64_t rip;     // written with every entry
	uint64_t rsp;     // that the control structure has: written when the guest's differs
	uint32_t have, dirty; // BIT(enum vmx_cached)
	uint64_t cached[VMX_CACHED_COUNT];
	union {
		struct {
			// Wanted for the next entry, cleared by every exit.
			bool interrupt_window, nmi_window, step;
			bool armed : 1;     // the controls have a window or a step
			bool counting : 1;  // vcpu_set_counting
			bool triple_fault;  // a fault during the delivery of #DF: shutdown
			bool has_event;     // `event` is valid
			bool flush;         // cached translations are void
			bool tpr_intercepted;
		};
		uint64_t special; // any of them: the entry is not a plain one
	};
	// What must be delivered with the next entry, in the form of ENTRY_EVENT.
	uint32_t event, event_error;
	uint8_t event_length; // of the instruction, for software events
	uint8_t icebp_length; // of INT1, whose #DB was the last exit; 0: it was not
	bool launched;        // VMRESUME, not VMLAUNCH
	bool stepped;         // the present entry is a step
	bool step_event;      // which delivered an event, and ran nothing
	bool failed;          // the last entry did not take place: INSTRUCTION_ERROR says why
	uint32_t reason;      // of the last exit
	uint32_t proc, entry; // controls, as the control structure has them
	uint32_t timer;       // and the preemption timer
	uint32_t stay;        // what that is at most
	uint32_t proc_always;      // of `proc`: what no window or step changes
	uint32_t proc2;            // as the guest's CPUID wants it; PAUSE adds to it
	uint32_t tpr_threshold;
	uint32_t limit; // of the preemption timer, for the next entry; 0: none
	uint64_t step_rip;
	uint8_t *vmcs, *virtual_apic; // a page each
	uint64_t cr0, cr4; // the guest's view; of bits that it changes by itself not up to date
	uint64_t cr4_guest; // those of CR4
	uint64_t efer, tsc_offset, tsc_ratio;
	// What the CPU's registers hold while it is loaded, and these while it is not.
	uint64_t cr2, dr6, star, lstar, cstar, sfmask, kernel_gs_base;
	// Where its VPID comes from; another core, or a later generation: it needs a new one.
	uint32_t vpid_core;
	uint16_t vpid;
	uint64_t vpid_generation;
};

static always_inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
	return (struct vmx_vcpu *)(uintptr_t)vcpu;
}

// What the CPU can do, and what is made of it: as found by vmx_detect.
struct vmx_features {
	uint64_t basic, ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint32_t pin, proc, proc2, exit, entry; // controls of every vcpu
	uint32_t proc2_hide; // instructions that can be made to exit: RDRAND, RDSEED
	uint8_t invept, invvpid;                // the type that is used
	bool mtf, timer, accessed_dirty, pause_loop;
	uint8_t timer_shift; // TSC ticks to counts of the preemption timer
	// VMX_STAY_NS and VMX_STAY_ALONE_NS in counts of the preemption timer.
	uint32_t stay, stay_alone;
	uint8_t physical_bits, linear_bits;
};
extern struct vmx_features vmx_features;

// As MSRs and the control structure have it: by the CPU's width, whatever CR4.LA57 says.
static inline bool vmx_is_canonical(uint64_t address)
{
	return x86_is_canonical(address, vmx_features.linear_bits);
}

// No entry lasts longer, where there is a preemption timer: of a vcpu that shares its core with
// others, and of one that does not. A host interrupt ends it, too, the end of a time slice among
// them: but not always in emulators, while the guest has interrupts off.
enum { VMX_STAY_NS = 1000000, VMX_STAY_ALONE_NS = 4000000 };

// So many ticks of PAUSE, none longer after the one before than the gap: a wait for somebody else.
enum { VMX_PAUSE_GAP = 512, VMX_PAUSE_WINDOW = 16384 };

// A field that cannot be read or written is a bug of ours: reports it and stops.
_Noreturn void vmx_access_failed(enum vmcs_field field, bool write);
const char *vmx_field_name(enum vmcs_field field);

// The fields of the control structure that is loaded on this core.
static always_inline uint64_t vmx_read(enum vmcs_field field)
{
	uint64_t value;

	if (unlikely(!vmread(field, &value)))
		vmx_access_failed(field, false);
	return value;
}

static always_inline void vmx_write(enum vmcs_field field, uint64_t value)
{
	if (unlikely(!vmwrite(field, value)))
		vmx_access_failed(field, true);
}

static always_inline enum vmcs_field vmx_segment_field(enum vmcs_field of_es, unsigned segment)
{
	return (enum vmcs_field)(of_es + segment * VMCS_SEGMENT_STEP);
}

static always_inline enum vmcs_field vmx_pdpte_field(unsigned number)
{
	return (enum vmcs_field)(VMCS_GUEST_PDPTE0 + number * VMCS_SEGMENT_STEP);
}

static always_inline enum vmcs_field vmx_cached_field(enum vmx_cached which)
{
	static const uint16_t fields[VMX_CACHED_COUNT] = {VMCS_GUEST_RFLAGS,
		VMCS_GUEST_INTERRUPTIBILITY, VMCS_GUEST_CR0, VMCS_GUEST_CR3, VMCS_GUEST_CR4,
		VMCS_GUEST_CS_ACCESS, VMCS_GUEST_CS_BASE, VMCS_GUEST_SS_ACCESS};

	return (enum vmcs_field)fields[which];
}

static always_inline uint64_t vmx_cached(const struct vcpu *vcpu, enum vmx_cached which)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if ((vmx->have & BIT(which)) == 0) {
		vmx->cached[which] = vmx_read(vmx_cached_field(which));
		vmx->have |= (uint32_t)BIT(which);
	}
	return vmx->cached[which];
}

static always_inline void vmx_cached_set(struct vcpu *vcpu, enum vmx_cached which, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->cached[which] = value;
	vmx->have |= (uint32_t)BIT(which);
	vmx->dirty |= (uint32_t)BIT(which);
}

static always_inline bool vmx_in_shadow(const struct vcpu *vcpu)
{
	return (vmx_cached(vcpu, VMX_INTERRUPTIBILITY) & VMX_BLOCKED_SHADOW) != 0;
}

static always_inline uint8_t vmx_tpr(const struct vmx_vcpu *vmx)
{
	enum { VIRTUAL_APIC_TPR = 0x80 };

	return vmx->virtual_apic[VIRTUAL_APIC_TPR] >> 4;
}

// Detection of vmx_detect.c.
must_check enum status vmx_cpu_init(const char **reason);
void vmx_describe(char *text, size_t bytes);

// The engine's operations: vmx/vcpu.h.
void vmx_reset(struct vcpu *vcpu);
uint64_t vmx_rip(const struct vcpu *vcpu);
uint64_t vmx_rflags(const struct vcpu *vcpu);
void vmx_set_rip(struct vcpu *vcpu, uint64_t rip);
void vmx_set_rflags(struct vcpu *vcpu, uint64_t rflags);
void vmx_advance(struct vcpu *vcpu, unsigned length);
void vmx_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags);
uint64_t vmx_dr7(const struct vcpu *vcpu);
void vmx_watch_dr7(struct vcpu *vcpu, bool watch);
struct vcpu_paging vmx_paging(const struct vcpu *vcpu);
void vmx_get_code(const struct vcpu *vcpu, struct vcpu_code *code);
struct vcpu_segment_state vmx_segment(const struct vcpu *vcpu, enum vcpu_segment segment);
unsigned vmx_cpl(const struct vcpu *vcpu);
unsigned vmx_code_bits(const struct vcpu *vcpu);
void vmx_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
must_check enum status vmx_set_state(struct vcpu *vcpu, const struct vcpu_state *state);
must_check enum status vmx_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
must_check enum status vmx_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
must_check enum status vmx_write_cr0(struct vcpu *vcpu, uint64_t value);
must_check enum status vmx_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed);
void vmx_set_tpr(struct vcpu *vcpu, uint8_t cr8);
void vmx_intercept_tpr(struct vcpu *vcpu, bool intercept);
void vmx_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which);
void vmx_set_tsc_offset(struct vcpu *vcpu, uint64_t offset);
uint64_t vmx_tsc_offset(const struct vcpu *vcpu);
uint64_t vmx_tsc_ratio(uint64_t wanted);
void vmx_set_tsc_ratio(struct vcpu *vcpu, uint64_t ratio);
bool vmx_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind);
bool vmx_event_pending(const struct vcpu *vcpu);
void vmx_inject_interrupt(struct vcpu *vcpu, uint8_t vector);
void vmx_inject_nmi(struct vcpu *vcpu);
void vmx_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code);
void vmx_set_cr2(struct vcpu *vcpu, uint64_t cr2);
uint64_t vmx_cr2(const struct vcpu *vcpu);
void vmx_request_interrupt_window(struct vcpu *vcpu);
void vmx_request_nmi_window(struct vcpu *vcpu);
void vmx_request_step(struct vcpu *vcpu);
must_check bool vmx_limit(struct vcpu *vcpu, uint64_t ticks);
void vmx_print_entry_failure(const struct vcpu *vcpu);
void vmx_spoil(struct vcpu *vcpu);

// Registers that go with the guest while it is loaded: vmx_state.c.
void vmx_registers_load(struct vmx_vcpu *vmx);
void vmx_registers_save(struct vmx_vcpu *vmx);
uint64_t vmx_dr6(const struct vmx_vcpu *vmx);
void vmx_set_dr6(struct vmx_vcpu *vmx, uint64_t value);

// CR0 and CR4 as the CPU is to have them, masks and shadows: vmx_control.c.
void vmx_controls_write(struct vmx_vcpu *vmx, uint64_t cr0, uint64_t cr4, uint64_t efer);
// PAE paging: the four entries that CR3 names, into the control structure. STATUS_FAULT: one has a
// reserved bit set.
must_check enum status vmx_pdptes_load(struct vcpu *vcpu, uint64_t cr3);
static always_inline void vmx_translations_flush(struct vcpu *vcpu)
{
	vmx_of(vcpu)->flush = true;
}

// Kinds of exits whose only detail is the instruction's length; 0: not one of them.
extern const uint8_t vmx_plain_kinds[VMX_REASON_COUNT];
// Fills `exit`; its `rip` and `tpr` are there. May answer that the guest shall be entered again at
// once.
must_check bool vmx_exit_decode(struct vcpu *vcpu, struct vmexit *exit);

// Before an entry that is not plain: event, windows, step, flush, TPR threshold.
// False: there is no entry, but a shutdown.
must_check bool vmx_event_prepare(struct vcpu *vcpu);
// After the exit of such an entry: what was wanted is done with.
void vmx_event_done(struct vcpu *vcpu);
// Keeps an event whose delivery the exit interrupted. `unblocked`: the exit tells that an IRET had
// ended the blocking of NMIs.
void vmx_event_collect(struct vcpu *vcpu, bool unblocked);

// What is to be delivered, for get_state; all zero: nothing. And for set_state, into the control
// structure too, as an entry would have it.
void vmx_event_get(const struct vcpu *vcpu, struct vcpu_event *event);
void vmx_event_restore(struct vcpu *vcpu, const struct vcpu_state *state);

// Names what an entry refuses of the guest's state, as SDM vol. 3, 27.3.1 has it, and the field
// that it is about; `report` may be NULL. The number of such things.
typedef void vmx_violation(const char *what, enum vmcs_field field);
unsigned vmx_guest_check(vmx_violation *report);

void vmx_msr_bitmap_init(uint8_t *bitmap);

#endif
