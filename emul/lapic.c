// SPDX-License-Identifier: BSD-2-Clause
// Local APIC, in xAPIC and x2APIC mode. SDM vol. 3, chapter 11. Registers are in lapic_registers.c,
// the timer in lapic_timer.c.
//
// Version 0x14, six LVT entries. Left out on purpose: EOI-broadcast suppression and LVT CMCI (the
// version register denies them), remote read, focus processors and bus arbitration (not part of
// this version), sources for the thermal and performance entries.
//
// Where the SDM leaves room:
// - The ID is read-only. In xAPIC mode it is the low eight bits of the APIC id.
// - The page takes aligned 32-bit accesses at multiples of 16. A read of another size or place
//   yields the bytes of the register there, and zero for the twelve bytes after it; such a write is
//   ignored. Outside of xAPIC mode the page reads all ones and ignores writes.
// - An interrupt command that table 11-3 calls invalid is sent as written, a reserved delivery mode
//   is dropped. A Fixed or lowest-priority command with an illegal vector is not sent.
// - An illegal vector in an LVT entry counts as received when the source fires, not when written.
// - The error interrupt comes with the first error after each write to ESR.
// - Disabling the APIC through IA32_APIC_BASE brings its registers back to their reset state. The
//   pins then are the processor's INTR and NMI.
// - LINT1 has no level-triggered Fixed interrupts (11.5.1).
//
// The VM matches destinations (lapic_matches) and sends each message on to the instances that it
// names; a message that arrives here is for this one. Called by the bus, and by the run loop of the
// vcpu that owns the instance, under the device lock.
#include "emul/lapic.h"

#include <string.h>

#include "emul/lapic_internal.h"
#include "kernel/base/assert.h"

static void pulse(struct lapic *lapic, unsigned output)
{
	device_set_line(&lapic->device, output, true);
	device_set_line(&lapic->device, output, false);
}

// The highest vector of a set, looking from 64-bit word `word` down; 0: none.
static uint8_t highest_vector(const uint64_t set[4], unsigned word)
{
	for (unsigned i = word + 1; i-- > 0;)
		if (set[i] != 0)
			return (uint8_t)(64 * i + 63 - (unsigned)__builtin_clzll(set[i]));
	return 0;
}

void lapic_accept(struct lapic *lapic, uint8_t vector, bool level)
{
	uint64_t bit = BIT(vector & 63);
	unsigned word = vector >> 6;

	lapic->irr[word] |= bit;
	if (level)
		lapic->tmr[word] |= bit;
	else
		lapic->tmr[word] &= ~bit;
	if (vector > lapic->irr_highest) {
		lapic->irr_highest = vector;
		lapic_update_priority(lapic);
	}
}

// SDM 11.5.3.
void lapic_raise_error(struct lapic *lapic, uint32_t error)
{
	bool first = lapic->esr_pending == 0;
	uint32_t lvt = lapic->lvt[LVT_ERROR];

	lapic->esr_pending |= error;
	if (!first || (lvt & LVT_MASKED))
		return;
	if ((uint8_t)lvt >= LAPIC_VECTOR_FIRST)
		lapic_accept(lapic, (uint8_t)lvt, false);
	else
		lapic->esr_pending |= ESR_RECEIVED_ILLEGAL_VECTOR;
}

static void receive(struct lapic *lapic, uint8_t vector, bool level)
{
	if (likely(vector >= LAPIC_VECTOR_FIRST))
		lapic_accept(lapic, vector, level);
	else
		lapic_raise_error(lapic, ESR_RECEIVED_ILLEGAL_VECTOR);
}

void lapic_deliver_fixed(struct lapic *lapic, uint32_t lvt)
{
	if (!(lvt & LVT_MASKED))
		receive(lapic, (uint8_t)lvt, false);
}

static void signal_init(struct lapic *lapic)
{
	lapic->startup_pending = false;
	pulse(lapic, LAPIC_OUTPUT_INIT);
}

static bool lint_active(const struct lapic *lapic, unsigned pin)
{
	return lapic->lint[pin] != ((lapic->lvt[LVT_LINT0 + pin] & LVT_ACTIVE_LOW) != 0);
}

static bool lint_extint(const struct lapic *lapic, unsigned pin)
{
	uint32_t lvt = lapic->lvt[LVT_LINT0 + pin];

	return !(lvt & LVT_MASKED) && lapic_delivery_of(lvt) == INTERRUPT_EXTINT &&
	       lint_active(lapic, pin);
}

static void update_extint(struct lapic *lapic)
{
	if (lapic->mode == LAPIC_MODE_DISABLED)
		lapic->extint = lapic->lint[LAPIC_INPUT_LINT0];
	else
		lapic->extint = lapic->extint_latched || lint_extint(lapic, LAPIC_INPUT_LINT0) ||
				lint_extint(lapic, LAPIC_INPUT_LINT1);
}

// A level-triggered Fixed interrupt of LINT0: one at a time, remote IRR bars the next until EOI.
static void lint0_level(struct lapic *lapic)
{
	uint32_t *lvt = &lapic->lvt[LVT_LINT0];

	if ((*lvt & (LVT_MASKED | LVT_REMOTE_IRR | LVT_LEVEL)) != LVT_LEVEL ||
		lapic_delivery_of(*lvt) != INTERRUPT_FIXED ||
		!lint_active(lapic, LAPIC_INPUT_LINT0))
		return;
	if ((uint8_t)*lvt >= LAPIC_VECTOR_FIRST)
		*lvt |= LVT_REMOTE_IRR;
	receive(lapic, (uint8_t)*lvt, true);
}

// The pin went from inactive to active. SDM 11.5.1, delivery mode.
static void lint_edge(struct lapic *lapic, unsigned pin)
{
	uint32_t lvt = lapic->lvt[LVT_LINT0 + pin];

	if (lvt & LVT_MASKED)
		return;
	switch (lapic_delivery_of(lvt)) {
	case INTERRUPT_FIXED:
		if (pin == LAPIC_INPUT_LINT1 || !(lvt & LVT_LEVEL))
			receive(lapic, (uint8_t)lvt, false);
		break;
	case INTERRUPT_SMI:
		pulse(lapic, LAPIC_OUTPUT_SMI);
		break;
	case INTERRUPT_NMI:
		pulse(lapic, LAPIC_OUTPUT_NMI);
		break;
	case INTERRUPT_INIT:
		signal_init(lapic);
		break;
	default: // ExtINT is a level: update_extint
		break;
	}
}

static void lapic_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct lapic *lapic = lapic_of(device);
	bool was = lint_active(lapic, input), was_high = lapic->lint[input];

	(void)now;
	lapic->lint[input] = level;
	update_extint(lapic);
	if (lapic->mode == LAPIC_MODE_DISABLED) {
		if (input == LAPIC_INPUT_LINT1 && level && !was_high)
			pulse(lapic, LAPIC_OUTPUT_NMI);
		return;
	}
	if (!was && lint_active(lapic, input))
		lint_edge(lapic, input);
	if (input == LAPIC_INPUT_LINT0)
		lint0_level(lapic);
}

static void lapic_message(struct device *device, struct guest_time now,
	const struct interrupt_message *message)
{
	struct lapic *lapic = lapic_of(device);

	(void)now;
	if (lapic->mode == LAPIC_MODE_DISABLED)
		return;
	switch (message->delivery) {
	case INTERRUPT_FIXED:
	case INTERRUPT_LOWEST_PRIORITY:
		if (lapic_software_enabled(lapic))
			receive(lapic, message->vector, message->level);
		break;
	case INTERRUPT_SMI:
		pulse(lapic, LAPIC_OUTPUT_SMI);
		break;
	case INTERRUPT_NMI:
		pulse(lapic, LAPIC_OUTPUT_NMI);
		break;
	case INTERRUPT_INIT:
		if (message->assert)
			signal_init(lapic);
		break;
	case INTERRUPT_STARTUP:
		lapic->startup_pending = true;
		lapic->startup_vector = message->vector;
		break;
	case INTERRUPT_EXTINT:
		lapic->extint_latched |= lapic_software_enabled(lapic);
		update_extint(lapic);
		break;
	default:
		break;
	}
}

uint8_t lapic_acknowledge(struct device *device)
{
	struct lapic *lapic = lapic_of(device);
	unsigned word;
	uint64_t bit;
	uint8_t vector;

	if (unlikely(lapic->pending < 0))
		return (uint8_t)lapic->svr;
	vector = (uint8_t)lapic->pending;
	word = vector >> 6;
	bit = BIT(vector & 63);
	ASSERT(lapic->irr[word] & bit);
	lapic->irr[word] &= ~bit;
	lapic->isr[word] |= bit;
	lapic->irr_highest = highest_vector(lapic->irr, word);
	lapic->isr_highest = vector;
	lapic_update_priority(lapic);
	return vector;
}

void lapic_acknowledge_extint(struct device *device)
{
	struct lapic *lapic = lapic_of(device);

	lapic->extint_latched = false;
	update_extint(lapic);
}

bool lapic_take_startup(struct device *device, uint8_t *vector)
{
	struct lapic *lapic = lapic_of(device);
	bool pending = lapic->startup_pending;

	*vector = lapic->startup_vector;
	lapic->startup_pending = false;
	return pending;
}

static void end_level_interrupt(struct lapic *lapic, uint8_t vector)
{
	const struct interrupt_message eoi = {
		.vector = vector, .delivery = INTERRUPT_EOI, .assert = true};

	device_send_message(&lapic->device, &eoi);
	if ((lapic->lvt[LVT_LINT0] & LVT_REMOTE_IRR) && (uint8_t)lapic->lvt[LVT_LINT0] == vector) {
		lapic->lvt[LVT_LINT0] &= ~(uint32_t)LVT_REMOTE_IRR;
		lint0_level(lapic);
	}
}

// SDM 11.8.5.
void lapic_end_interrupt(struct lapic *lapic)
{
	uint8_t vector = lapic->isr_highest;
	unsigned word = vector >> 6;
	uint64_t bit = BIT(vector & 63);

	if (unlikely(vector == 0))
		return;
	lapic->isr[word] &= ~bit;
	lapic->isr_highest = highest_vector(lapic->isr, word);
	lapic_update_priority(lapic);
	if (unlikely(lapic->tmr[word] & bit))
		end_level_interrupt(lapic, vector);
}

void lapic_update_pins(struct lapic *lapic)
{
	update_extint(lapic);
	lint0_level(lapic);
}

enum lapic_mode lapic_mode_of_base(uint64_t base)
{
	if (!(base & LAPIC_BASE_ENABLE))
		return LAPIC_MODE_DISABLED;
	return base & LAPIC_BASE_X2APIC ? LAPIC_MODE_X2APIC : LAPIC_MODE_XAPIC;
}

static void update_derived(struct lapic *lapic)
{
	lapic->mode = (uint8_t)lapic_mode_of_base(lapic->base);
	lapic->irr_highest = highest_vector(lapic->irr, 3);
	lapic->isr_highest = highest_vector(lapic->isr, 3);
	lapic_update_priority(lapic);
	update_extint(lapic);
}

// SDM 11.4.7.1 and 11.4.7.3: all that reset and INIT have in common.
void lapic_reset_registers(struct lapic *lapic)
{
	memset(lapic->irr, 0, sizeof(lapic->irr));
	memset(lapic->isr, 0, sizeof(lapic->isr));
	memset(lapic->tmr, 0, sizeof(lapic->tmr));
	lapic->tpr = 0;
	lapic->icr = 0;
	lapic->ldr = 0;
	lapic->dfr = 0xffffffff;
	lapic->svr = 0xff;
	lapic->esr = 0;
	lapic->esr_pending = 0;
	for (unsigned i = 0; i < LAPIC_LVT_ENTRIES; i++)
		lapic->lvt[i] = LVT_MASKED;
	lapic->extint_latched = false;
	lapic_timer_reset(lapic);
	update_derived(lapic);
}

void lapic_init(struct device *device, struct guest_time now)
{
	(void)now;
	lapic_reset_registers(lapic_of(device));
}

void lapic_configure(struct device *device, uint32_t apic_id, uint64_t tsc_hz)
{
	struct lapic *lapic = lapic_of(device);

	ASSERT(tsc_hz >= 1 && tsc_hz <= LAPIC_TSC_HZ_MAX);
	lapic->apic_id = apic_id;
	lapic->tsc_hz = tsc_hz;
	lapic->tsc_offset = 0;
}

// An instance that was not configured is the bootstrap processor's, with a TSC of 1 GHz.
static void lapic_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct lapic *lapic = lapic_of(device);

	(void)now;
	(void)kind;
	if (lapic->tsc_hz < 1 || lapic->tsc_hz > LAPIC_TSC_HZ_MAX)
		lapic_configure(device, 0, NS_PER_SECOND);
	for (unsigned i = 0; i < LAPIC_INPUTS; i++)
		lapic->lint[i] = device_sample(device, i);
	lapic->startup_pending = false;
	lapic->startup_vector = 0;
	lapic->base = LAPIC_BASE_DEFAULT | LAPIC_BASE_ENABLE;
	if (lapic->apic_id == 0)
		lapic->base |= LAPIC_BASE_BSP;
	lapic_reset_registers(lapic);
	lapic_map_page(lapic);
}

static void lapic_timer(struct device *device, struct guest_time now, unsigned timer)
{
	(void)timer;
	lapic_timer_expire(lapic_of(device), now);
}

static bool lapic_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)device;
	(void)now;
	(void)output;
	return false; // all outputs are pulses
}

static void lapic_loaded(struct device *device, struct guest_time now)
{
	struct lapic *lapic = lapic_of(device);

	(void)now;
	lapic_timer_loaded(lapic);
	update_derived(lapic);
	lapic_map_page(lapic);
}

static const char *check_lvt(const struct lapic *lapic)
{
	const uint32_t lint0 = lapic->lvt[LVT_LINT0];

	for (unsigned i = 0; i < LAPIC_LVT_ENTRIES; i++) {
		uint32_t allowed = lapic_lvt_writable[i];

		if (i == LVT_LINT0)
			allowed |= LVT_REMOTE_IRR;
		if (lapic->lvt[i] & ~allowed)
			return "reserved bit set in an LVT entry";
		if (!lapic_software_enabled(lapic) && !(lapic->lvt[i] & LVT_MASKED))
			return "LVT entry unmasked in a software-disabled APIC";
	}
	if ((lint0 & LVT_REMOTE_IRR) &&
		(!(lint0 & LVT_LEVEL) || lapic_delivery_of(lint0) != INTERRUPT_FIXED))
		return "remote IRR of an entry that is not level-triggered";
	return NULL;
}

static const char *lapic_check(const void *instance)
{
	const struct lapic *lapic = instance;
	enum lapic_mode mode = lapic_mode_of_base(lapic->base);
	const char *reason = check_lvt(lapic);

	if (reason == NULL)
		reason = lapic_timer_check(lapic);
	if (reason != NULL)
		return reason;
	if (lapic->base & ~(LAPIC_BASE_ADDRESS | LAPIC_BASE_BSP | LAPIC_BASE_ENABLE |
			    LAPIC_BASE_X2APIC))
		return "reserved bit set in IA32_APIC_BASE";
	if (mode == LAPIC_MODE_DISABLED && (lapic->base & LAPIC_BASE_X2APIC))
		return "x2APIC mode in a disabled APIC";
	if ((lapic->irr[0] | lapic->isr[0] | lapic->tmr[0]) & (BIT(LAPIC_VECTOR_FIRST) - 1))
		return "illegal vector in IRR, ISR or TMR";
	if (mode == LAPIC_MODE_DISABLED &&
		(lapic_software_enabled(lapic) || lapic->timer_deadline_ns != UINT64_MAX ||
			highest_vector(lapic->irr, 3) != 0 || highest_vector(lapic->isr, 3) != 0))
		return "activity in a disabled APIC";
	if ((lapic->ldr & ~(uint32_t)LDR_WRITABLE) ||
		((uint32_t)lapic->icr & ~(uint32_t)ICR_WRITABLE) ||
		((lapic->esr | lapic->esr_pending) & ~(uint32_t)ESR_BITS))
		return "reserved bit set in LDR, ICR or ESR";
	return NULL;
}

static const struct state_field lapic_fields[] = {
	STATE_DERIVED(struct lapic, device),
	STATE_DERIVED(struct lapic, pending),
	STATE_DERIVED(struct lapic, extint),
	STATE_DERIVED(struct lapic, irr_highest),
	STATE_DERIVED(struct lapic, isr_highest),
	STATE_DERIVED(struct lapic, ppr),
	STATE_ANY(struct lapic, tpr),
	STATE_ARRAY_ANY(struct lapic, irr),
	STATE_ARRAY_ANY(struct lapic, isr),
	STATE_ARRAY_ANY(struct lapic, tmr),
	STATE_ANY(struct lapic, base),
	STATE_ANY(struct lapic, icr),
	STATE_VALUE(struct lapic, tsc_hz, 1, LAPIC_TSC_HZ_MAX),
	STATE_ANY(struct lapic, tsc_offset),
	STATE_ANY(struct lapic, tsc_deadline),
	STATE_ANY(struct lapic, timer_deadline_ns),
	STATE_ANY(struct lapic, timer_initial),
	STATE_VALUE(struct lapic, timer_divide, 0, 0xb),
	STATE_ANY(struct lapic, apic_id),
	STATE_ANY(struct lapic, ldr),
	STATE_VALUE(struct lapic, dfr, DFR_ONES, UINT32_MAX),
	STATE_VALUE(struct lapic, svr, 0, SVR_WRITABLE),
	STATE_VALUE(struct lapic, esr, 0, ESR_BITS),
	STATE_VALUE(struct lapic, esr_pending, 0, ESR_BITS),
	STATE_ARRAY(struct lapic, lvt, 0, 0x7ffff),
	STATE_ARRAY(struct lapic, lint, 0, 1),
	STATE_BOOL(struct lapic, extint_latched),
	STATE_BOOL(struct lapic, startup_pending),
	STATE_ANY(struct lapic, startup_vector),
	STATE_DERIVED(struct lapic, mode),
	STATE_DERIVED(struct lapic, timer_shift),
	STATE_DERIVED(struct lapic, reserved),
};

static const struct state_table lapic_state =
	STATE_TABLE("apic", 1, struct lapic, lapic_fields, lapic_check);

const struct device_model lapic_model = {
	.name = "apic",
	.description = "local APIC",
	.instance_bytes = sizeof(struct lapic),
	.timers = LAPIC_TIMERS,
	.inputs = LAPIC_INPUTS,
	.outputs = LAPIC_OUTPUTS,
	.state = &lapic_state,
	.reset = lapic_reset,
	.read = lapic_page_read,
	.write = lapic_page_write,
	.line = lapic_line,
	.message = lapic_message,
	.timer = lapic_timer,
	.level = lapic_level,
	.loaded = lapic_loaded,
};

DEVICE_MODEL_REGISTER(110, lapic_model);
