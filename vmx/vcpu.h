// SPDX-License-Identifier: BSD-2-Clause
// The one seam between virtual machines and the CPU's virtualization: everything a run loop needs
// of a virtual CPU, in words that belong to neither vendor. Nothing outside vmx/ says VMCS or VMCB.
//
// Life of an entry: the run loop queues at most one event with vcpu_inject (or asks for a window),
// calls vcpu_enter, and handles the exit it gets. An event whose delivery an exit interrupted is
// kept by the engine and delivered with the next entry, before anything else: vcpu_can_inject
// answers false until then.
//
// Owner of all of it: the vcpu's core (v).
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "vmx/nested.h"

// General registers in the order of their encoding.
enum vcpu_gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT
};

enum vcpu_segment {
	SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS,
	SEGMENT_LDTR, SEGMENT_TR,
	SEGMENT_COUNT
};

// Attributes as in a descriptor's bytes 5 and 6: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10,
// G 11. `limit` is in bytes, granularity applied.
struct vcpu_segment_state {
	uint16_t selector;
	uint16_t attributes;
	uint32_t limit;
	uint64_t base;
};
enum {
	SEGMENT_ATTRIBUTE_CODE = 1 << 3,
	SEGMENT_ATTRIBUTE_S = 1 << 4,
	SEGMENT_ATTRIBUTE_P = 1 << 7,
	SEGMENT_ATTRIBUTE_L = 1 << 9,
	SEGMENT_ATTRIBUTE_DB = 1 << 10,
	SEGMENT_ATTRIBUTE_G = 1 << 11,
};

// Everything architectural that the engine holds for a vcpu, FPU and vector registers excepted.
struct vcpu_state {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t efer;
	uint64_t dr[4], dr6, dr7;
	struct vcpu_segment_state segment[SEGMENT_COUNT];
	uint64_t gdtr_base, idtr_base;
	uint32_t gdtr_limit, idtr_limit;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, tsc_aux, debugctl, xcr0;
	bool interrupt_shadow; // STI or MOV SS executed just before RIP
	bool nmi_blocked;      // from an NMI's delivery to the IRET
};

enum vmexit_kind {
	VMEXIT_INTERRUPT,        // a host interrupt or an attention: nothing happened in the guest
	VMEXIT_IO,
	VMEXIT_MEMORY,           // a guest-physical address without RAM behind it, or write to ROM
	VMEXIT_CPUID,
	VMEXIT_MSR_READ,
	VMEXIT_MSR_WRITE,
	VMEXIT_HLT,
	VMEXIT_INTERRUPT_WINDOW, // RFLAGS.IF and no shadow: the window that was asked for
	VMEXIT_EXCEPTION,        // #DB or #AC of the guest's own: to be injected back
	VMEXIT_CR_WRITE,         // CR0 or CR4, by MOV, LMSW or CLTS: decode which
	VMEXIT_CR8_WRITE,
	VMEXIT_XSETBV,
	VMEXIT_CACHE,            // WBINVD, INVD: nothing to do but to advance
	VMEXIT_MONITOR,          // MONITOR, MWAIT: not offered in CPUID
	VMEXIT_UNDEFINED,        // an instruction that the guest's CPU does not have
	VMEXIT_RDPMC,
	VMEXIT_STEP,             // one instruction ran under the engine's TF, to end a shadow
	VMEXIT_SHUTDOWN,         // triple fault
	VMEXIT_INVALID,          // the entry failed: vcpu_print_entry_failure says why
	VMEXIT_KIND_COUNT
};

struct vmexit {
	uint8_t kind;   // enum vmexit_kind
	uint8_t length; // of the instruction; 0: unknown, to be decoded
	uint8_t tpr;    // CR8 as the guest left it
	uint64_t rip;   // at the exit
	// Where the length is not known: what finding the instruction's bytes takes.
	uint64_t linear_rip, cr3;
	union {
		struct {
			uint16_t port;
			uint8_t size; // 1, 2, 4
			bool in, string; // string forms are decoded
		} io;
		struct {
			struct gpa gpa;
			bool write, fetch;
			bool table; // `gpa` is of a page table, not of the access itself
		} memory;
		struct {
			uint8_t vector;
			bool has_error_code;
			uint32_t error_code;
		} exception;
		uint8_t cr8_gpr;   // source register of MOV to CR8; 0xff: unknown, to be decoded
		uint64_t step_rip; // of the instruction that ran; if PUSHF, its image shows TF
	};
};

enum vcpu_event_kind {
	VCPU_EVENT_NONE,
	VCPU_EVENT_INTERRUPT,
	VCPU_EVENT_NMI,
	VCPU_EVENT_EXCEPTION,
};

struct vcpu;

// Detects and enables the engine on this CPU. On failure `reason` (never empty) names what is
// missing. STATUS_UNSUPPORTED: no usable engine.
must_check enum status vcpu_engine_init(const char **reason);
const char *vcpu_engine_name(void); // "svm"
// One line about the engine: revision, features. For `info version`.
void vcpu_engine_describe(char *text, size_t bytes);

// In the state after power-on (SDM vol. 3, table 9-1). STATUS_NO_MEMORY.
must_check enum status vcpu_create(struct nested_map *map, struct vcpu **vcpu);
void vcpu_destroy(struct vcpu *vcpu);
void vcpu_reset(struct vcpu *vcpu);

// General registers, live between exits: read and write them in place.
static always_inline uint64_t *vcpu_gpr(struct vcpu *vcpu)
{
	return (uint64_t *)(void *)vcpu; // first member: see vmx/svm.h
}

uint64_t vcpu_rip(const struct vcpu *vcpu);
uint64_t vcpu_rflags(const struct vcpu *vcpu);
void vcpu_set_rip(struct vcpu *vcpu, uint64_t rip);
void vcpu_set_rflags(struct vcpu *vcpu, uint64_t rflags);
// Past an instruction that was emulated: ends the interrupt shadow, and a single-step (TF) trap of
// the guest's own becomes pending.
void vcpu_advance(struct vcpu *vcpu, unsigned length);

// The same for an instruction that was executed in software: where it left RIP and RFLAGS.
void vcpu_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags);

// What address translation and instruction execution need, without a whole vcpu_state.
struct vcpu_paging {
	uint64_t cr0, cr3, cr4, efer;
};
struct vcpu_paging vcpu_paging(const struct vcpu *vcpu);

// What fetching and executing the instruction at RIP needs, in one go.
struct vcpu_code {
	uint64_t rip, linear_rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint8_t bits; // 16, 32 or 64: the default operand and address size
	uint8_t cpl;
};
void vcpu_get_code(const struct vcpu *vcpu, struct vcpu_code *code);

struct vcpu_segment_state vcpu_segment(const struct vcpu *vcpu, enum vcpu_segment segment);
unsigned vcpu_cpl(const struct vcpu *vcpu);
// 16, 32 or 64: the default operand and address size of the code being run.
unsigned vcpu_code_bits(const struct vcpu *vcpu);

void vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
// STATUS_INVALID: the combination is one the CPU would refuse.
must_check enum status vcpu_set_state(struct vcpu *vcpu, const struct vcpu_state *state);

// MSRs that are CPU state (EFER, STAR, PAT, ...), with the checks of the CPU. STATUS_NOT_FOUND: not
// one of them. STATUS_FAULT: the guest must take #GP(0).
must_check enum status vcpu_read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
must_check enum status vcpu_write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
// Writes to CR0 and CR4 exit. `allowed`: the bits that the guest's CPUID offers. STATUS_FAULT:
// #GP(0).
must_check enum status vcpu_write_cr0(struct vcpu *vcpu, uint64_t value);
must_check enum status vcpu_write_cr4(struct vcpu *vcpu, uint64_t value, uint64_t allowed);
// XSETBV with the guest's ECX, EDX:EAX. STATUS_FAULT: #GP(0).
must_check enum status vcpu_xsetbv(struct vcpu *vcpu);

// What the guest will read from CR8.
void vcpu_set_tpr(struct vcpu *vcpu, uint8_t cr8);
// MOV to CR8 exits while something waits for a lower priority.
void vcpu_intercept_tpr(struct vcpu *vcpu, bool intercept);

// The guest's TSC is the host's plus `offset`.
void vcpu_set_tsc_offset(struct vcpu *vcpu, uint64_t offset);
uint64_t vcpu_tsc_offset(const struct vcpu *vcpu);

uint64_t vcpu_xcr0(const struct vcpu *vcpu);

// Whether an event of this kind could be delivered with the next entry.
bool vcpu_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind);
// True while the engine holds an event that must be delivered first.
bool vcpu_event_pending(const struct vcpu *vcpu);
void vcpu_inject_interrupt(struct vcpu *vcpu, uint8_t vector);
void vcpu_inject_nmi(struct vcpu *vcpu);
// A fault or trap of the current instruction. A second fault during delivery becomes #DF, a third
// the shutdown, as SDM vol. 3, table 6-5 has it. For #PF set CR2 first with vcpu_set_cr2.
void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
	uint32_t error_code);
void vcpu_set_cr2(struct vcpu *vcpu, uint64_t cr2);
// Asks for an exit as soon as an interrupt (an NMI) could be delivered; holds for the next entry.
void vcpu_request_interrupt_window(struct vcpu *vcpu);
void vcpu_request_nmi_window(struct vcpu *vcpu);

// Runs the guest until the next exit. Returns with VMEXIT_INTERRUPT at once while the CPU's
// attention flag is set.
void vcpu_enter(struct vcpu *vcpu, struct vmexit *exit);

const char *vmexit_kind_name(enum vmexit_kind kind);
// After VMEXIT_INVALID or in a report: the engine's own words, to the log.
void vcpu_print_entry_failure(const struct vcpu *vcpu);

#endif
