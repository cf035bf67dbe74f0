// SPDX-License-Identifier: BSD-2-Clause
// Local APIC: one instance per vcpu. See lapic.c for what is modelled.
//
// Besides its stimuli the device has child-bus operations, called by vm/ for the vcpu that owns the
// instance, under the device lock. Those that take a non-const device may have effects, and are to
// be wrapped as stimuli are; lapic_set_tpr alone has none and may be called bare. struct lapic is
// public for the sake of the few inline queries that stand before every guest entry; nothing
// outside lapic*.c touches its members.
#ifndef EMUL_LAPIC_H
#define EMUL_LAPIC_H

#include "emul/device.h"

extern const struct device_model lapic_model;

enum lapic_region {
	LAPIC_REGION_PAGE, // 4 KiB, mapped by the model itself at the base of IA32_APIC_BASE
};

enum lapic_input {
	LAPIC_INPUT_LINT0, // INTR of the 8259 pair
	LAPIC_INPUT_LINT1, // NMI
	LAPIC_INPUTS
};

// All three are pulses: high, then low, within one stimulus.
enum lapic_output {
	LAPIC_OUTPUT_NMI,
	LAPIC_OUTPUT_SMI,
	LAPIC_OUTPUT_INIT, // the vcpu calls lapic_init when it takes it
	LAPIC_OUTPUTS
};

enum lapic_timer_number {
	LAPIC_TIMER,
	LAPIC_TIMERS
};

// Registers: MMIO offset / 16, and MSR - 0x800. SDM vol. 3, tables 11-1 and 11-6.
enum lapic_register {
	LAPIC_ID = 0x02,
	LAPIC_VERSION = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09, // xAPIC only
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_RRD = 0x0c, // xAPIC only; reads zero
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e, // xAPIC only
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10, // eight each
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_ICR = 0x30,
	LAPIC_ICR_HIGH = 0x31, // xAPIC only
	LAPIC_LVT_TIMER = 0x32,
	LAPIC_LVT_THERMAL = 0x33,
	LAPIC_LVT_PERFORMANCE = 0x34,
	LAPIC_LVT_LINT0 = 0x35,
	LAPIC_LVT_LINT1 = 0x36,
	LAPIC_LVT_ERROR = 0x37,
	LAPIC_TIMER_INITIAL = 0x38,
	LAPIC_TIMER_CURRENT = 0x39,
	LAPIC_TIMER_DIVIDE = 0x3e,
	LAPIC_SELF_IPI = 0x3f, // x2APIC only
};

enum {
	LAPIC_LVT_ENTRIES = 6,
	LAPIC_MSR_FIRST = 0x800,
	LAPIC_MSR_LAST = 0xbff,
};

// IA32_APIC_BASE, SDM vol. 3, 11.4.4 and 11.12.1.
#define LAPIC_BASE_BSP     BIT(8)
#define LAPIC_BASE_X2APIC  BIT(10)
#define LAPIC_BASE_ENABLE  BIT(11)
#define LAPIC_BASE_ADDRESS UINT64_C(0x000ffffffffff000)
#define LAPIC_BASE_DEFAULT UINT64_C(0xfee00000)

#define LAPIC_TSC_HZ_MAX UINT64_C(10000000000)

struct lapic {
	struct device device;
	// Interrupts: one bit per vector. Vectors 0 to 15 are never set, so 0 stands for "none" in
	// the three cached members.
	// These make up the word of lapic_word.
	int16_t pending;     // derived: highest vector above PPR, or -1
	bool extint;         // derived: what lapic_extint_pending answers
	uint8_t irr_highest; // derived
	uint8_t isr_highest; // derived
	uint8_t ppr;         // derived
	uint8_t tpr;
	uint8_t mode;        // derived from base: enum lapic_mode
	uint64_t irr[4];
	uint64_t isr[4];
	uint64_t tmr[4];
	uint64_t base;   // IA32_APIC_BASE
	uint64_t icr;    // ICR: high half above low half in both modes
	uint64_t tsc_hz; // (c) frequency of the guest's TSC
	uint64_t tsc_offset; // guest TSC - TSC ticks in guest time, modulo 2^64
	uint64_t tsc_deadline;
	uint64_t timer_deadline_ns; // UINT64_MAX: the timer stands still
	uint32_t timer_initial;
	uint32_t timer_divide;
	uint32_t apic_id; // (c)
	uint32_t ldr;     // of xAPIC mode
	uint32_t dfr;
	uint32_t svr;
	uint32_t esr;         // as last latched by a write
	uint32_t esr_pending; // collected since
	uint32_t lvt[LAPIC_LVT_ENTRIES];
	bool lint[LAPIC_INPUTS]; // levels of the wires
	bool extint_latched;     // an ExtINT message waits for its INTA cycle
	bool startup_pending;
	uint8_t startup_vector;
	uint8_t timer_shift; // derived from timer_divide
	uint8_t reserved[2];
};

enum lapic_mode {
	LAPIC_MODE_DISABLED,
	LAPIC_MODE_XAPIC,
	LAPIC_MODE_X2APIC,
};

static inline struct lapic *lapic_of(struct device *device)
{
	return CONTAINER_OF(device, struct lapic, device);
}

static inline const struct lapic *lapic_of_const(const struct device *device)
{
	return CONTAINER_OF(device, const struct lapic, device);
}

// Before the power-on reset. The instance with id 0 is the bootstrap processor's. `tsc_hz`: 1 to
// LAPIC_TSC_HZ_MAX. The TSC offset becomes 0; resets leave it alone, since the TSC is the vcpu's.
void lapic_configure(struct device *device, uint32_t apic_id, uint64_t tsc_hz);

// State after INIT, SDM 11.4.7.3 and 11.12.5.1: mode, base and identity stay, and so does a STARTUP
// that arrived after the INIT.
void lapic_init(struct device *device, struct guest_time now);

// RDMSR and WRMSR of LAPIC_MSR_FIRST to LAPIC_MSR_LAST. STATUS_FAULT: #GP(0).
must_check enum status lapic_msr_read(struct device *device, struct guest_time now, uint32_t msr,
	uint64_t *value);
must_check enum status lapic_msr_write(struct device *device, struct guest_time now, uint32_t msr,
	uint64_t value);

// IA32_APIC_BASE (MSR 0x1b). STATUS_FAULT: #GP(0). Address bits above the guest's MAXPHYADDR are
// the caller's to refuse.
uint64_t lapic_base_read(const struct device *device);
must_check enum status lapic_base_write(struct device *device, struct guest_time now,
	uint64_t value);

// IA32_TSC_DEADLINE (MSR 0x6e0), in guest TSC ticks. Never faults: SDM 11.5.4.1.
uint64_t lapic_tsc_deadline_read(const struct device *device);
void lapic_tsc_deadline_write(struct device *device, struct guest_time now, uint64_t value);

// Guest TSC = now * tsc_hz + offset. A pending TSC deadline moves with the offset.
void lapic_set_tsc_offset(struct device *device, struct guest_time now, int64_t offset);
uint64_t lapic_guest_tsc(const struct device *device, struct guest_time now);

// Does the message's destination name this local APIC? Shorthands other than "all" are the
// caller's, who knows the sender.
bool lapic_matches(const struct device *device, const struct interrupt_message *message);
// For lowest-priority arbitration: the lowest answer wins. 256: takes no fixed interrupts at all.
unsigned lapic_priority(const struct device *device);

// INTA cycle of the vector that lapic_pending_vector named. With none pending: the spurious vector,
// and nothing changes (SDM 11.9).
uint8_t lapic_acknowledge(struct device *device);
// The vcpu ran the 8259's INTA cycle: an ExtINT message, if that was the cause, is done with.
void lapic_acknowledge_extint(struct device *device);
// Takes the STARTUP that came last, if any since INIT. To be asked after each message.
bool lapic_take_startup(struct device *device, uint8_t *vector);

// Recomputes PPR and the deliverable vector. SDM 11.8.3.1. Internal.
static inline void lapic_update_priority(struct lapic *lapic)
{
	uint8_t in_service = lapic->isr_highest & 0xf0, highest = lapic->irr_highest;

	lapic->ppr = (lapic->tpr & 0xf0) >= in_service ? lapic->tpr : in_service;
	lapic->pending = (highest & 0xf0) > (lapic->ppr & 0xf0) ? highest : -1;
}

// The highest vector that the vcpu may take now, RFLAGS.IF aside, or -1.
static inline int lapic_pending_vector(const struct device *device)
{
	return lapic_of_const(device)->pending;
}

// Is an interrupt requested that only waits for a lower priority (TPR, or EOI of another)?
static inline bool lapic_is_blocked(const struct device *device)
{
	const struct lapic *lapic = lapic_of_const(device);

	return lapic->pending < 0 && lapic->irr_highest != 0;
}

// Everything that what stands before a guest entry depends on, in one word: as long as it is the
// same, so are lapic_pending_vector, lapic_extint_pending, lapic_is_blocked and lapic_get_tpr.
static inline uint64_t lapic_word(const struct device *device)
{
	const struct lapic *lapic = lapic_of_const(device);
	uint64_t word;

	_Static_assert(offsetof(struct lapic, mode) - offsetof(struct lapic, pending) == 7,
		"one word");
	__builtin_memcpy(&word, &lapic->pending, sizeof(word));
	return word;
}

// Does the vcpu see its INTR pin asserted by the 8259 pair? i8259_acknowledge has the vector.
static inline bool lapic_extint_pending(const struct device *device)
{
	return lapic_of_const(device)->extint;
}

// The whole TPR; CR8 is its upper half: tpr >> 4, and cr8 << 4 is what MOV to CR8 sets.
static inline uint8_t lapic_get_tpr(const struct device *device)
{
	return lapic_of_const(device)->tpr;
}

static inline void lapic_set_tpr(struct device *device, uint8_t tpr)
{
	struct lapic *lapic = lapic_of(device);

	lapic->tpr = tpr;
	lapic_update_priority(lapic);
}

#endif
