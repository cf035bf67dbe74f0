// SPDX-License-Identifier: BSD-2-Clause
// The local APIC's registers as software reaches them: the xAPIC page (SDM vol. 3, 11.4.1), the
// x2APIC MSRs (11.12.1.2) and IA32_APIC_BASE (11.4.3, 11.12.1, 11.12.5). lapic.c says what is
// modelled, and how the page answers accesses that are not aligned 32-bit ones.
//
// Called by the bus (page) and by the run loop of the owning vcpu (MSRs), under the device lock.
#include "emul/lapic_internal.h"

enum {
	VERSION = 0x14 | (LAPIC_LVT_ENTRIES - 1) << 16,
	ICR_LOGICAL = 1 << 11,
	ICR_ASSERT = 1 << 14,
	ICR_LEVEL = 1 << 15,
	DELIVERY_RESERVED = 3,
};

// One bit per register number; there are none from 0x40 on.
#define VECTORS(first) (UINT64_C(0xff) << (first))
#define X2APIC_READABLE                                                                            \
	(BIT(LAPIC_ID) | BIT(LAPIC_VERSION) | BIT(LAPIC_TPR) | BIT(LAPIC_PPR) | BIT(LAPIC_LDR) |   \
		BIT(LAPIC_SVR) | VECTORS(LAPIC_ISR) | VECTORS(LAPIC_TMR) | VECTORS(LAPIC_IRR) |    \
		BIT(LAPIC_ESR) | BIT(LAPIC_ICR) | (UINT64_C(0x3f) << LAPIC_LVT_TIMER) |            \
		BIT(LAPIC_TIMER_INITIAL) | BIT(LAPIC_TIMER_CURRENT) | BIT(LAPIC_TIMER_DIVIDE))
#define XAPIC_REGISTERS                                                                            \
	(X2APIC_READABLE | BIT(LAPIC_APR) | BIT(LAPIC_EOI) | BIT(LAPIC_RRD) | BIT(LAPIC_DFR) |     \
		BIT(LAPIC_ICR_HIGH))

static bool register_in(uint64_t set, uint64_t index)
{
	return index < 64 && (set & BIT(index)) != 0;
}

// SDM 11.12.10.2 for x2APIC mode.
static uint32_t logical_id(const struct lapic *lapic)
{
	if (lapic->mode != LAPIC_MODE_X2APIC)
		return lapic->ldr;
	return (lapic->apic_id >> 4) << 16 | (uint32_t)1 << (lapic->apic_id & 15);
}

// A destination of eight bits, as xAPIC commands and MSIs have it, reaches an x2APIC with the upper
// bits zero.
static bool matches_physical(const struct lapic *lapic, uint32_t destination)
{
	uint32_t id = lapic->mode == LAPIC_MODE_X2APIC ? lapic->apic_id : lapic->apic_id & 0xff;

	return destination == id;
}

// SDM 11.6.2.2 and 11.12.10.1.
static bool matches_logical(const struct lapic *lapic, uint32_t destination)
{
	uint32_t ldr = logical_id(lapic);

	if (lapic->mode == LAPIC_MODE_X2APIC)
		return destination >> 16 == ldr >> 16 && (destination & ldr & 0xffff) != 0;
	ldr >>= 24;
	if (destination > 0xff)
		return false;
	if ((lapic->dfr & 0xf0000000) == 0xf0000000) // flat
		return (destination & ldr) != 0;
	return destination >> 4 == ldr >> 4 && (destination & ldr & 0xf) != 0;
}

bool lapic_matches(const struct device *device, const struct interrupt_message *message)
{
	const struct lapic *lapic = lapic_of_const(device);

	if (lapic->mode == LAPIC_MODE_DISABLED)
		return false;
	if (message->shorthand == INTERRUPT_TO_ALL ||
		message->destination == (message->x2apic ? 0xffffffff : 0xff))
		return true;
	if (message->logical)
		return matches_logical(lapic, message->destination);
	return matches_physical(lapic, message->destination);
}

unsigned lapic_priority(const struct device *device)
{
	const struct lapic *lapic = lapic_of_const(device);

	return lapic_software_enabled(lapic) ? lapic->ppr : 256;
}

// Arbitration priority as the P6 family computed it, SDM 11.6.2.4. Nothing but the register has it.
static uint32_t arbitration_priority(const struct lapic *lapic)
{
	uint8_t tpr = lapic->tpr & 0xf0, irr = lapic->irr_highest & 0xf0;
	uint8_t isr = lapic->isr_highest & 0xf0, higher = irr > isr ? irr : isr;

	if (tpr >= irr && tpr > isr)
		return lapic->tpr;
	return tpr > higher ? tpr : higher;
}

// 32 of a set's 256 bits; the sets of registers begin at multiples of eight.
static uint32_t vector_word(const uint64_t set[4], unsigned index)
{
	return (uint32_t)(set[(index & 7) / 2] >> (32 * (index & 1)));
}

// Of a register that exists in this mode.
static uint32_t register_read(const struct lapic *lapic, struct guest_time now, unsigned index)
{
	switch (index) {
	case LAPIC_ID:
		return lapic->mode == LAPIC_MODE_X2APIC ? lapic->apic_id : lapic->apic_id << 24;
	case LAPIC_VERSION:
		return VERSION;
	case LAPIC_TPR:
		return lapic->tpr;
	case LAPIC_APR:
		return arbitration_priority(lapic);
	case LAPIC_PPR:
		return lapic->ppr;
	case LAPIC_LDR:
		return logical_id(lapic);
	case LAPIC_DFR:
		return lapic->dfr;
	case LAPIC_SVR:
		return lapic->svr;
	case LAPIC_ISR ... LAPIC_ISR + 7:
		return vector_word(lapic->isr, index);
	case LAPIC_TMR ... LAPIC_TMR + 7:
		return vector_word(lapic->tmr, index);
	case LAPIC_IRR ... LAPIC_IRR + 7:
		return vector_word(lapic->irr, index);
	case LAPIC_ESR:
		return lapic->esr;
	case LAPIC_ICR:
		return (uint32_t)lapic->icr;
	case LAPIC_ICR_HIGH:
		return (uint32_t)(lapic->icr >> 32);
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		return lapic->lvt[index - LAPIC_LVT_TIMER];
	case LAPIC_TIMER_INITIAL:
		return lapic->timer_initial;
	case LAPIC_TIMER_CURRENT:
		return lapic_timer_current(lapic, now);
	case LAPIC_TIMER_DIVIDE:
		return lapic->timer_divide;
	default: // EOI, RRD
		return 0;
	}
}

static void send_self(struct lapic *lapic, uint8_t vector)
{
	if (unlikely(vector < LAPIC_VECTOR_FIRST))
		lapic_raise_error(lapic, ESR_SEND_ILLEGAL_VECTOR);
	else if (lapic_software_enabled(lapic))
		lapic_accept(lapic, vector, false);
}

// SDM 11.6.1 and 11.12.9. The trigger mode and level of a command matter to INIT alone.
static void send_command(struct lapic *lapic)
{
	uint32_t low = (uint32_t)lapic->icr, high = (uint32_t)(lapic->icr >> 32);
	unsigned delivery = lapic_delivery_of(low), shorthand = (low >> 18) & 3;
	bool x2apic = lapic->mode == LAPIC_MODE_X2APIC, init = delivery == INTERRUPT_INIT;
	struct interrupt_message message;

	if (delivery == INTERRUPT_FIXED && shorthand == INTERRUPT_TO_SELF) {
		send_self(lapic, (uint8_t)low);
		return;
	}
	if (delivery <= INTERRUPT_LOWEST_PRIORITY && (uint8_t)low < LAPIC_VECTOR_FIRST) {
		lapic_raise_error(lapic, ESR_SEND_ILLEGAL_VECTOR);
		return;
	}
	if (delivery == DELIVERY_RESERVED || delivery == INTERRUPT_EXTINT)
		return;
	message = (struct interrupt_message){
		.destination = x2apic ? high : high >> 24,
		.vector = (uint8_t)low,
		.delivery = (uint8_t)delivery,
		.shorthand = (uint8_t)shorthand,
		.logical = (low & ICR_LOGICAL) != 0,
		.level = init && (low & ICR_LEVEL),
		.assert = !init || !(low & ICR_LEVEL) || (low & ICR_ASSERT),
		.x2apic = x2apic,
	};
	device_send_message(&lapic->device, &message);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
	lapic->svr = value & SVR_WRITABLE;
	if (lapic_software_enabled(lapic))
		return;
	for (unsigned i = 0; i < LAPIC_LVT_ENTRIES; i++)
		lapic->lvt[i] |= LVT_MASKED;
	lapic_update_pins(lapic);
}

// SDM 11.5.1. Remote IRR outlives a write as long as the entry stays level-triggered.
static void write_lvt(struct lapic *lapic, struct guest_time now, unsigned entry, uint32_t value)
{
	value &= lapic_lvt_writable[entry];
	if (!lapic_software_enabled(lapic))
		value |= LVT_MASKED;
	if (entry == 0) {
		lapic_timer_write_lvt(lapic, now, value);
		return;
	}
	if (entry == LVT_LINT0 && (value & LVT_LEVEL) &&
		lapic_delivery_of(value) == INTERRUPT_FIXED)
		value |= lapic->lvt[entry] & LVT_REMOTE_IRR;
	lapic->lvt[entry] = value;
	lapic_update_pins(lapic);
}

// A register that is read-only or not there ignores the write. The ICR's high half has been set.
static void register_write(struct lapic *lapic, struct guest_time now, unsigned index,
	uint32_t value)
{
	switch (index) {
	case LAPIC_TPR:
		lapic_set_tpr(&lapic->device, (uint8_t)value);
		break;
	case LAPIC_EOI:
		lapic_end_interrupt(lapic);
		break;
	case LAPIC_LDR:
		lapic->ldr = value & (uint32_t)LDR_WRITABLE;
		break;
	case LAPIC_DFR:
		lapic->dfr = value | DFR_ONES;
		break;
	case LAPIC_SVR:
		write_svr(lapic, value);
		break;
	case LAPIC_ESR:
		lapic->esr = lapic->esr_pending;
		lapic->esr_pending = 0;
		break;
	case LAPIC_ICR:
		lapic->icr = (lapic->icr & ~(uint64_t)UINT32_MAX) | (value & ICR_WRITABLE);
		send_command(lapic);
		break;
	case LAPIC_ICR_HIGH:
		lapic->icr = (uint64_t)value << 32 | (uint32_t)lapic->icr;
		break;
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		write_lvt(lapic, now, index - LAPIC_LVT_TIMER, value);
		break;
	case LAPIC_TIMER_INITIAL:
		lapic_timer_write_initial(lapic, now, value);
		break;
	case LAPIC_TIMER_DIVIDE:
		lapic_timer_write_divide(lapic, now, value);
		break;
	default:
		break;
	}
}

uint64_t lapic_page_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct lapic *lapic = lapic_of(device);
	unsigned byte = offset & 15;

	(void)region;
	(void)size;
	if (lapic->mode != LAPIC_MODE_XAPIC)
		return UINT64_MAX;
	if (!register_in(XAPIC_REGISTERS, offset / 16)) {
		lapic_raise_error(lapic, ESR_ILLEGAL_REGISTER);
		return 0;
	}
	return byte < 4 ? register_read(lapic, now, (unsigned)offset / 16) >> (8 * byte) : 0;
}

void lapic_page_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct lapic *lapic = lapic_of(device);

	(void)region;
	if (lapic->mode != LAPIC_MODE_XAPIC || size != 4 || (offset & 15) != 0)
		return;
	if (register_in(XAPIC_REGISTERS, offset / 16))
		register_write(lapic, now, (unsigned)offset / 16, (uint32_t)value);
	else
		lapic_raise_error(lapic, ESR_ILLEGAL_REGISTER);
}

// SDM table 11-6 and 11.12.1.3. Read-only bits of LVT entries may be written with anything.
static bool msr_write_allowed(unsigned index, uint64_t value)
{
	switch (index) {
	case LAPIC_EOI:
	case LAPIC_ESR:
		return value == 0;
	case LAPIC_TIMER_INITIAL:
		return value <= UINT32_MAX;
	case LAPIC_SELF_IPI:
	case LAPIC_TPR:
		return value <= UINT8_MAX;
	case LAPIC_ICR:
		return ((uint32_t)value & ~(uint32_t)ICR_WRITABLE) == 0;
	case LAPIC_SVR:
		return (value & ~(uint64_t)SVR_WRITABLE) == 0;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		value &= ~(uint64_t)LVT_REMOTE_IRR;
		break;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERFORMANCE:
	case LAPIC_LVT_ERROR:
		break;
	case LAPIC_TIMER_DIVIDE:
		return (value & ~UINT64_C(0xb)) == 0;
	default:
		return false;
	}
	return (value & ~(uint64_t)(lapic_lvt_writable[index - LAPIC_LVT_TIMER] | LVT_STATUS)) == 0;
}

enum status lapic_msr_read(struct device *device, struct guest_time now, uint32_t msr,
	uint64_t *value)
{
	const struct lapic *lapic = lapic_of(device);
	uint32_t index = msr - LAPIC_MSR_FIRST;

	if (lapic->mode != LAPIC_MODE_X2APIC || !register_in(X2APIC_READABLE, index))
		return STATUS_FAIL(STATUS_FAULT);
	*value = index == LAPIC_ICR ? lapic->icr : register_read(lapic, now, index);
	return STATUS_OK;
}

enum status lapic_msr_write(struct device *device, struct guest_time now, uint32_t msr,
	uint64_t value)
{
	struct lapic *lapic = lapic_of(device);
	uint32_t index = msr - LAPIC_MSR_FIRST;

	if (lapic->mode != LAPIC_MODE_X2APIC || !msr_write_allowed(index, value))
		return STATUS_FAIL(STATUS_FAULT);
	if (index == LAPIC_SELF_IPI) {
		send_self(lapic, (uint8_t)value);
		return STATUS_OK;
	}
	if (index == LAPIC_ICR)
		lapic->icr = value;
	register_write(lapic, now, index, (uint32_t)value);
	return STATUS_OK;
}

void lapic_map_page(struct lapic *lapic)
{
	if (lapic->mode == LAPIC_MODE_XAPIC)
		device_map_region(&lapic->device, LAPIC_REGION_PAGE, DEVICE_SPACE_MMIO,
			lapic->base & LAPIC_BASE_ADDRESS, PAGE_BYTES);
	else
		device_unmap_region(&lapic->device, LAPIC_REGION_PAGE);
}

uint64_t lapic_base_read(const struct device *device)
{
	return lapic_of_const(device)->base;
}

// SDM figure 11-27: x2APIC mode is entered from xAPIC mode alone, and left by disabling alone.
static bool transition_allowed(enum lapic_mode from, uint64_t base)
{
	enum lapic_mode to = lapic_mode_of_base(base);

	if (to == LAPIC_MODE_DISABLED)
		return (base & LAPIC_BASE_X2APIC) == 0;
	if (to == LAPIC_MODE_X2APIC)
		return from != LAPIC_MODE_DISABLED;
	return from != LAPIC_MODE_X2APIC;
}

enum status lapic_base_write(struct device *device, struct guest_time now, uint64_t value)
{
	struct lapic *lapic = lapic_of(device);
	uint64_t writable = LAPIC_BASE_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
	enum lapic_mode from = lapic->mode;

	(void)now;
	if ((value & ~(writable | LAPIC_BASE_BSP)) || !transition_allowed(from, value))
		return STATUS_FAIL(STATUS_FAULT);
	value = (value & writable) | (lapic->base & LAPIC_BASE_BSP);
	if (value == lapic->base)
		return STATUS_OK;
	lapic->base = value;
	lapic->mode = (uint8_t)lapic_mode_of_base(value);
	if (lapic->mode == LAPIC_MODE_DISABLED && from != LAPIC_MODE_DISABLED)
		lapic_reset_registers(lapic);
	if (lapic->mode == LAPIC_MODE_X2APIC && from == LAPIC_MODE_XAPIC)
		lapic->icr = (uint32_t)lapic->icr; // 11.12.5.1: the high half is not preserved
	lapic_update_pins(lapic);
	lapic_map_page(lapic);
	return STATUS_OK;
}
