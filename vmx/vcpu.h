// SPDX-License-Identifier: BSD-2-Clause
// The one seam between virtual machines and the CPU's virtualization: everything a run loop needs
// of a virtual CPU, in words that belong to neither vendor. Nothing outside vmx/ says VMCS or VMCB.
//
// Life of an entry: the run loop queues at most one event with vcpu_inject (or asks for a window),
// calls vcpu_enter, and handles the exit it gets. An event whose delivery an exit interrupted is
// kept by the engine and delivered with the next entry, before anything else: vcpu_can_inject
// answers false until then.
//
// A vcpu is loaded on one core at most, and a core has one vcpu loaded at most: vcpu_load. Only
// there may anything else be done with it, creation and destruction excepted. What the CPU's own
// registers hold of it (FPU and vectors, debug registers, XCR0) goes along.
//
// The operations are those of the engine that vcpu_engine_init found: vmx/engine.h.
//
// Owner of all of it: the core that has it loaded (v).
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "kernel/cpu.h"
#include "vmx/cpuid.h"
#include "vmx/nested.h"
#include "vmx/vcpu_state.h"

enum vmexit_kind {
	VMEXIT_INTERRUPT,        // a host interrupt or an attention: nothing happened in the guest
	VMEXIT_IO,
	VMEXIT_MEMORY,           // a guest-physical address without RAM behind it, or write to ROM
	VMEXIT_CPUID,
	VMEXIT_MSR_READ,
	VMEXIT_MSR_WRITE,
	VMEXIT_HLT,
	VMEXIT_PAUSE,            // that many in a row that the guest seems to wait
	VMEXIT_INTERRUPT_WINDOW, // RFLAGS.IF and no shadow: the window that was asked for
	VMEXIT_EXCEPTION,        // #DB or #AC of the guest's own: to be injected back
	VMEXIT_CR_WRITE,         // CR0 or CR4, by MOV, LMSW or CLTS: decode which
	VMEXIT_CR8_WRITE,
	VMEXIT_XSETBV,
	VMEXIT_CACHE,            // WBINVD, INVD: nothing to do but to advance
	VMEXIT_MONITOR,          // MONITOR, MWAIT: not offered in CPUID
	VMEXIT_UNDEFINED,        // an instruction that the guest's CPU does not have
	VMEXIT_RDPMC,
	VMEXIT_STEP,             // one instruction ran: vcpu_request_step, or to end a shadow
	VMEXIT_STEP_REPAIR,      // the same; the engine's TF shows in guest memory: `repair`
	VMEXIT_SOFTWARE_INTERRUPT, // INT n, INT3 or INTO is to be executed in software
	VMEXIT_DR_WRITE,         // so is MOV to DR6 (or DR4)
	VMEXIT_RDTSC,            // RDTSC or RDTSCP, while counting
	VMEXIT_TASK_SWITCH,      // to be done in software: the engine cannot
	VMEXIT_SHUTDOWN,         // triple fault
	VMEXIT_INVALID,          // the entry failed: vcpu_print_entry_failure says why
	VMEXIT_KIND_COUNT
};

// What asked for a task switch. SDM vol. 3, 8.3.
enum vmexit_task_source {
	VMEXIT_TASK_CALL, VMEXIT_TASK_IRET, VMEXIT_TASK_JMP,
	VMEXIT_TASK_GATE, // of an interrupt or exception
};

struct vmexit {
	uint8_t kind;   // enum vmexit_kind
	uint8_t length; // of the instruction; 0: unknown, to be decoded
	uint8_t tpr;    // CR8 as the guest left it
	uint64_t rip;   // at the exit
	// Only where the length could not be told by the engine: what finding the instruction's
	// bytes takes.
	uint64_t linear_rip, cr3;
	uint64_t ticks; // while counting: vcpu_set_counting
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
		struct {
			uint16_t selector; // of the TSS
			uint8_t source;    // enum vmexit_task_source
			uint8_t vector;    // of the event, with a gate
			uint8_t event;     // enum vcpu_event_kind; NONE: an instruction's
			bool has_error_code;
			uint32_t error_code; // the event's, to be pushed in the new task
		} task; // `length` is 0 where the saved EIP is that of the exit
		uint8_t cr8_gpr;   // source register of MOV to CR8; 0xff: unknown, to be decoded
		struct {
			bool pushed; // PUSHF ran: the image at the top of the stack
			// Else: a task was left, and its state segment has the image.
			bool tss_is_32bit;
			uint64_t tss; // linear address
		} repair;
	};
};

struct vcpu;

// Detects the engine, enables it on this CPU and makes what all vcpus share. On failure `reason`
// (never empty) names what is missing. STATUS_UNSUPPORTED: no usable engine. STATUS_NO_MEMORY.
must_check enum status vcpu_engine_init(const char **reason);
// On every other CPU that is to run guests. The same failures.
must_check enum status vcpu_engine_cpu_init(const char **reason);
// One line about the engine: revision, features. For `info version`.
void vcpu_engine_describe(char *text, size_t bytes);

// In the state after power-on (SDM vol. 3, table 9-1), not loaded. `offer`: of its CPUID, which may
// have less than the host's. STATUS_NO_MEMORY.
must_check enum status vcpu_create(struct nested_map *map, const struct cpuid_offer *offer,
	struct vcpu **vcpu);
void vcpu_destroy(struct vcpu *vcpu); // not loaded, or loaded here

// Loads it on this core; the vcpu that was loaded here is unloaded. It must not be loaded on
// another core.
void vcpu_load_slow(struct vcpu *vcpu);
static always_inline void vcpu_load(struct vcpu *vcpu)
{
	if (unlikely(cpu_self()->guest != vcpu))
		vcpu_load_slow(vcpu);
}
// If it is loaded here: it may then be loaded elsewhere.
void vcpu_unload(struct vcpu *vcpu);

// INIT keeps the FPU, XCR0, the caching bits of CR0 and the MSRs but EFER.
enum vcpu_reset_kind { VCPU_RESET_POWER, VCPU_RESET_INIT };
// SDM vol. 3, table 9-1.
void vcpu_reset(struct vcpu *vcpu, enum vcpu_reset_kind kind);

// FPU, SSE and AVX registers as XSAVE's standard format has them: SDM vol. 1, 13.4. Valid while
// the vcpu is not loaded. `bytes` of it count.
void *vcpu_fpu(struct vcpu *vcpu, size_t *bytes);
// Bits of MXCSR that this CPU has: SDM vol. 1, 11.6.6.
uint32_t vcpu_mxcsr_mask(void);

// General registers, live between exits: read and write them in place.
static always_inline uint64_t *vcpu_gpr(struct vcpu *vcpu)
{
	return (uint64_t *)(void *)vcpu; // first member: see vmx/engine.h
}

// What address translation and instruction execution need, without a whole vcpu_state.
struct vcpu_paging {
	uint64_t cr0, cr3, cr4, efer;
};

// What fetching and executing the instruction at RIP needs, in one go. Of CR0 and CR4 only what
// address translation takes: vcpu_paging has all of them.
struct vcpu_code {
	uint64_t rip, linear_rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint8_t bits; // 16, 32 or 64: the default operand and address size
	uint8_t cpl;
};

// Which PAUSEs exit: of LOOPS those of a guest that waits, where the CPU can tell, else each.
enum vcpu_pause { VCPU_PAUSE_NEVER, VCPU_PAUSE_LOOPS, VCPU_PAUSE_EACH };

// What an engine does. The functions below it are the way to call them.
struct vcpu_engine {
	const char *name; // "svm", "vmx"
	// A step that begins at MOV SS or POP SS, and may be at STI, would run the next instruction
	// too: the caller executes these in software.
	bool step_misses_shadow;
	bool limit_is_measured; // vmx/counting.h
	enum status (*cpu_init)(const char **reason);
	void (*describe)(char *text, size_t bytes);
	enum status (*create)(struct nested_map *map, const struct cpuid_offer *offer,
		struct vcpu **vcpu);
	void (*destroy)(struct vcpu *vcpu);
	void (*load)(struct vcpu *vcpu);
	void (*unload)(struct vcpu *vcpu);
	void (*reset)(struct vcpu *vcpu); // what set_state does not reach
	void (*enter)(struct vcpu *vcpu, struct vmexit *exit);
	uint64_t (*rip)(const struct vcpu *vcpu);
	uint64_t (*rflags)(const struct vcpu *vcpu);
	void (*set_rip)(struct vcpu *vcpu, uint64_t rip);
	void (*set_rflags)(struct vcpu *vcpu, uint64_t rflags);
	void (*advance)(struct vcpu *vcpu, unsigned length);
	void (*finish)(struct vcpu *vcpu, uint64_t rip, uint64_t rflags);
	uint64_t (*dr7)(const struct vcpu *vcpu);
	void (*watch_dr7)(struct vcpu *vcpu, bool watch); // vmx/breakpoint.h
	struct vcpu_paging (*paging)(const struct vcpu *vcpu);
	void (*get_code)(const struct vcpu *vcpu, struct vcpu_code *code);
	struct vcpu_segment_state (*segment)(const struct vcpu *vcpu, enum vcpu_segment segment);
	unsigned (*cpl)(const struct vcpu *vcpu);
	unsigned (*code_bits)(const struct vcpu *vcpu);
	void (*get_state)(const struct vcpu *vcpu, struct vcpu_state *state);
	enum status (*set_state)(struct vcpu *vcpu, const struct vcpu_state *state);
	enum status (*read_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	enum status (*write_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t value);
	enum status (*write_cr0)(struct vcpu *vcpu, uint64_t value);
	enum status (*write_cr4)(struct vcpu *vcpu, uint64_t value, uint64_t allowed);
	void (*set_tpr)(struct vcpu *vcpu, uint8_t cr8);
	void (*intercept_tpr)(struct vcpu *vcpu, bool intercept);
	void (*intercept_pause)(struct vcpu *vcpu, enum vcpu_pause which);
	void (*set_tsc_offset)(struct vcpu *vcpu, uint64_t offset);
	uint64_t (*tsc_offset)(const struct vcpu *vcpu);
	uint64_t (*tsc_ratio)(uint64_t wanted);
	void (*set_tsc_ratio)(struct vcpu *vcpu, uint64_t ratio);
	bool (*can_inject)(const struct vcpu *vcpu, enum vcpu_event_kind kind);
	bool (*event_pending)(const struct vcpu *vcpu);
	void (*inject_interrupt)(struct vcpu *vcpu, uint8_t vector);
	void (*inject_nmi)(struct vcpu *vcpu);
	void (*inject_exception)(struct vcpu *vcpu, uint8_t vector, bool has_error_code,
		uint32_t error_code);
	void (*set_cr2)(struct vcpu *vcpu, uint64_t cr2);
	void (*request_interrupt_window)(struct vcpu *vcpu);
	void (*request_nmi_window)(struct vcpu *vcpu);
	void (*request_step)(struct vcpu *vcpu);
	void (*inject_software_interrupt)(struct vcpu *vcpu, uint8_t vector, unsigned length);
	void (*set_counting)(struct vcpu *vcpu, unsigned how); // enum vcpu_counting
	void (*spoil)(struct vcpu *vcpu);
	void (*forget_nested)(struct vcpu *vcpu);
	bool (*limit)(struct vcpu *vcpu, uint64_t ticks); // NULL: as if it answered false
	void (*print_entry_failure)(const struct vcpu *vcpu);
};

// The one that vcpu_engine_init chose: constant afterwards.
extern struct vcpu_engine vcpu_engine;

// Runs the guest until the next exit. Returns with VMEXIT_INTERRUPT at once while the CPU's
// attention flag is set.
static always_inline void vcpu_enter(struct vcpu *vcpu, struct vmexit *exit)
{
	vcpu_engine.enter(vcpu, exit);
}

static always_inline uint64_t vcpu_rip(const struct vcpu *vcpu)
{
	return vcpu_engine.rip(vcpu);
}

static always_inline uint64_t vcpu_rflags(const struct vcpu *vcpu)
{
	return vcpu_engine.rflags(vcpu);
}

static always_inline void vcpu_set_rip(struct vcpu *vcpu, uint64_t rip)
{
	vcpu_engine.set_rip(vcpu, rip);
}

static always_inline void vcpu_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	vcpu_engine.set_rflags(vcpu, rflags);
}

// Past an instruction that was emulated: ends the interrupt shadow, and a single-step (TF) trap of
// the guest's own becomes pending.
static always_inline void vcpu_advance(struct vcpu *vcpu, unsigned length)
{
	vcpu_engine.advance(vcpu, length);
}

// The same for an instruction that was executed in software: where it left RIP and RFLAGS.
static always_inline void vcpu_finish(struct vcpu *vcpu, uint64_t rip, uint64_t rflags)
{
	vcpu_engine.finish(vcpu, rip, rflags);
}

static always_inline struct vcpu_paging vcpu_paging(const struct vcpu *vcpu)
{
	return vcpu_engine.paging(vcpu);
}

static always_inline void vcpu_get_code(const struct vcpu *vcpu, struct vcpu_code *code)
{
	vcpu_engine.get_code(vcpu, code);
}

static always_inline struct vcpu_segment_state vcpu_segment(const struct vcpu *vcpu,
	enum vcpu_segment segment)
{
	return vcpu_engine.segment(vcpu, segment);
}

static always_inline unsigned vcpu_cpl(const struct vcpu *vcpu)
{
	return vcpu_engine.cpl(vcpu);
}

// 16, 32 or 64: the default operand and address size of the code being run.
static always_inline unsigned vcpu_code_bits(const struct vcpu *vcpu)
{
	return vcpu_engine.code_bits(vcpu);
}

static always_inline void vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	vcpu_engine.get_state(vcpu, state);
}

// What get_state told, of this vcpu or of another, or a state that vcpu_state_check accepts
// (vmx/vcpu_check.h). STATUS_INVALID: the combination is one the CPU would refuse; nothing has
// changed then.
must_check static always_inline enum status vcpu_set_state(struct vcpu *vcpu,
	const struct vcpu_state *state)
{
	return vcpu_engine.set_state(vcpu, state);
}

// MSRs that are CPU state (EFER, STAR, PAT, ...), with the checks of the CPU. STATUS_NOT_FOUND: not
// one of them. STATUS_FAULT: the guest must take #GP(0).
must_check static always_inline enum status vcpu_read_msr(struct vcpu *vcpu, uint32_t msr,
	uint64_t *value)
{
	return vcpu_engine.read_msr(vcpu, msr, value);
}

must_check static always_inline enum status vcpu_write_msr(struct vcpu *vcpu, uint32_t msr,
	uint64_t value)
{
	return vcpu_engine.write_msr(vcpu, msr, value);
}

// Writes to CR0 and CR4 exit. `allowed`: the bits that the guest's CPUID offers. STATUS_FAULT:
// #GP(0).
must_check static always_inline enum status vcpu_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	return vcpu_engine.write_cr0(vcpu, value);
}

must_check static always_inline enum status vcpu_write_cr4(struct vcpu *vcpu, uint64_t value,
	uint64_t allowed)
{
	return vcpu_engine.write_cr4(vcpu, value, allowed);
}

// What the guest will read from CR8.
static always_inline void vcpu_set_tpr(struct vcpu *vcpu, uint8_t cr8)
{
	vcpu_engine.set_tpr(vcpu, cr8);
}

// MOV to CR8 exits while something waits for a lower priority.
static always_inline void vcpu_intercept_tpr(struct vcpu *vcpu, bool intercept)
{
	vcpu_engine.intercept_tpr(vcpu, intercept);
}

// Whether a guest that waits with PAUSE exits: many rounds later where the CPU can count them. One
// that does not has the core for itself.
static always_inline void vcpu_intercept_pause(struct vcpu *vcpu, enum vcpu_pause which)
{
	vcpu_engine.intercept_pause(vcpu, which);
}

// The guest's TSC is the host's times its ratio, plus `offset`. A ratio has 48 bits behind the
// point: SDM vol. 3, 26.6.5; APM vol. 2, 15.30.5.
#define VCPU_TSC_RATIO_ONE (UINT64_C(1) << 48)

static inline uint64_t vcpu_tsc_scale(uint64_t tsc, uint64_t ratio)
{
	return (uint64_t)((unsigned __int128)tsc * ratio >> 48);
}

// The ratio nearest to `wanted` below it that this CPU can do; 0: none.
static always_inline uint64_t vcpu_tsc_ratio(uint64_t wanted)
{
	return wanted == VCPU_TSC_RATIO_ONE ? wanted : vcpu_engine.tsc_ratio(wanted);
}

// One of vcpu_tsc_ratio's, while no core has the vcpu. Without it: VCPU_TSC_RATIO_ONE.
static always_inline void vcpu_set_tsc_ratio(struct vcpu *vcpu, uint64_t ratio)
{
	vcpu_engine.set_tsc_ratio(vcpu, ratio);
}

static always_inline void vcpu_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	vcpu_engine.set_tsc_offset(vcpu, offset);
}

static always_inline uint64_t vcpu_tsc_offset(const struct vcpu *vcpu)
{
	return vcpu_engine.tsc_offset(vcpu);
}

// Whether an event of this kind could be delivered with the next entry.
static always_inline bool vcpu_can_inject(const struct vcpu *vcpu, enum vcpu_event_kind kind)
{
	return vcpu_engine.can_inject(vcpu, kind);
}

// True while the engine holds an event that must be delivered first.
static always_inline bool vcpu_event_pending(const struct vcpu *vcpu)
{
	return vcpu_engine.event_pending(vcpu);
}

static always_inline void vcpu_inject_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	vcpu_engine.inject_interrupt(vcpu, vector);
}

static always_inline void vcpu_inject_nmi(struct vcpu *vcpu)
{
	vcpu_engine.inject_nmi(vcpu);
}

// A fault or trap of the current instruction. A second fault during delivery becomes #DF, a third
// the shutdown, as SDM vol. 3, table 6-5 has it. For #PF set CR2 first with vcpu_set_cr2.
static always_inline void vcpu_inject_exception(struct vcpu *vcpu, uint8_t vector,
	bool has_error_code, uint32_t error_code)
{
	vcpu_engine.inject_exception(vcpu, vector, has_error_code, error_code);
}

static always_inline void vcpu_set_cr2(struct vcpu *vcpu, uint64_t cr2)
{
	vcpu_engine.set_cr2(vcpu, cr2);
}

// Asks for an exit as soon as an interrupt (an NMI) could be delivered; holds for the next entry.
static always_inline void vcpu_request_interrupt_window(struct vcpu *vcpu)
{
	vcpu_engine.request_interrupt_window(vcpu);
}

static always_inline void vcpu_request_nmi_window(struct vcpu *vcpu)
{
	vcpu_engine.request_nmi_window(vcpu);
}

// The next entry runs exactly one guest instruction (of a REP one iteration) and exits with
// VMEXIT_STEP or VMEXIT_STEP_REPAIR, unless another exit comes first. The guest never sees the TF
// that does it; a #DB of its own that the instruction makes due is queued when the step is
// reported. The instruction of any other exit has not run: whoever handles that exit completes it,
// and counts it. An exception has not run it either. With an event to be delivered the entry
// ends when that is done, with VMEXIT_INTERRUPT and no instruction run. Windows that are asked for
// along with a step are not opened.
static always_inline void vcpu_request_step(struct vcpu *vcpu)
{
	vcpu_engine.request_step(vcpu);
}

// INT n of `length` bytes at RIP, for VMEXIT_SOFTWARE_INTERRUPT. The next entry delivers it and
// exits with VMEXIT_STEP before the handler's first instruction; a fault on the way is reported as
// the instruction's. The answer to vcpu_event_pending is true until then.
static always_inline void vcpu_inject_software_interrupt(struct vcpu *vcpu, uint8_t vector,
	unsigned length)
{
	vcpu_engine.inject_software_interrupt(vcpu, vector, length);
}

// Of a vcpu that no core has loaded: what CPUs remember of its nested map is void from its next
// entry on.
static always_inline void vcpu_forget_nested(struct vcpu *vcpu)
{
	vcpu_engine.forget_nested(vcpu);
}

// A bit of DR7 that must be clear is set: the next entry fails. For tests of what comes then.
static always_inline void vcpu_spoil(struct vcpu *vcpu)
{
	vcpu_engine.spoil(vcpu);
}

// After VMEXIT_INVALID or in a report: the engine's own words, to the log.
static always_inline void vcpu_print_entry_failure(const struct vcpu *vcpu)
{
	vcpu_engine.print_entry_failure(vcpu);
}

// XSETBV with the guest's ECX, EDX:EAX. STATUS_FAULT: #GP(0).
must_check enum status vcpu_xsetbv(struct vcpu *vcpu);
uint64_t vcpu_xcr0(const struct vcpu *vcpu);

const char *vmexit_kind_name(enum vmexit_kind kind);

#endif
