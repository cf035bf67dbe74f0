// SPDX-License-Identifier: BSD-2-Clause
// A virtual CPU's registers, and what is under way at an exit: what vcpu_get_state tells and
// vcpu_set_state takes (vmx/vcpu.h).
#ifndef VMX_VCPU_STATE_H
#define VMX_VCPU_STATE_H

#include "kernel/base/types.h"

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

enum vcpu_event_kind {
	VCPU_EVENT_NONE,
	VCPU_EVENT_INTERRUPT,
	VCPU_EVENT_NMI,
	VCPU_EVENT_EXCEPTION,
	VCPU_EVENT_SOFTWARE, // vcpu_inject_software_interrupt
	VCPU_EVENT_ICEBP,    // the #DB of INT1, where the engine tells it apart
};

// An event under way: injected and not yet delivered, or its delivery was interrupted by an exit.
// It is delivered with the next entry before anything else. The 8259 or the local APIC has been
// acknowledged for an interrupt, CR2 is set for a #PF. Where the delivery of a software interrupt,
// or of the exceptions of INT3 and INTO, was interrupted, nothing is under way: RIP still points to
// their instruction, which runs again.
struct vcpu_event {
	uint8_t kind; // enum vcpu_event_kind
	uint8_t vector;
	bool has_error_code;
	uint8_t length; // of the instruction at RIP, 1 to 15, for the last two kinds; else 0
	uint32_t error_code;
};

// Everything architectural that the engine holds for a vcpu, FPU and vector registers excepted.
// At an exit nothing else is in flight: get_state and set_state carry a vcpu to a fresh one.
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
	uint64_t pdpte[4]; // with has_pdptes: of PAE paging, as the CPU has loaded them
	struct vcpu_event event; // VCPU_EVENT_NONE: all zero
	// 0, or VCPU_OFFERED | vector: an acknowledged interrupt that the guest takes behind
	// `event` as soon as it can (RFLAGS.IF, no shadow). An engine that only injects has none;
	// to it, one that comes without an event is an event.
	uint16_t offered;
	// Traps that wait for the end of a shadow, or of an exit: B0 to B3, ENABLED, BS as SDM vol.
	// 3, table 25-4 has them. An engine that does not tell has none.
	uint16_t pending_debug;
	bool interrupt_shadow; // STI or MOV SS executed just before RIP
	bool stack_shadow;     // it was MOV SS or POP SS, where the engine tells them apart
	bool nmi_blocked;      // from an NMI's injection to the IRET
	bool triple_fault;     // the next entry answers VMEXIT_SHUTDOWN
	bool has_pdptes;       // else the engine takes them from memory, where it needs them
	uint8_t reserved[7];
};
enum { VCPU_OFFERED = 0x100 };

#endif
