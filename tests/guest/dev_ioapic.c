// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC: registers, edges and levels, masks, destinations, delivery modes, EOI. Intel
// 82093AA data sheet (290566), section 3; ICH9 data sheet, 13.5, for the EOI register. The lines
// that a guest can hold high: the PIT's output (pin 2), the RTC's (8), the keyboard
// controller's (1).
#include "lib/dev.h"

PAYLOAD("dev_ioapic");

enum { EDGE = 0x60, LEVEL_VECTOR = 0x61, OTHER = 0x62, IOAPIC_EOI_REGISTER = 0x40, PINS = 24 };

static void ioapic_registers(void)
{
	uint32_t low = 0, high = 0;

	report("id = 0x%x", ioapic_read(0));
	ioapic_write(0, 0xffffffff);
	report("id.ones = 0x%x", ioapic_read(0));
	report("arbitration = 0x%x", ioapic_read(2));
	ioapic_write(0, 0);
	report("version = 0x%x", ioapic_read(1));
	ioapic_write(1, 0xffffffff);
	report("version.after_write = 0x%x", ioapic_read(1));
	ioapic_write(0x10 + 2 * PINS, 0x12345);
	report("beyond = 0x%x 0x%x", ioapic_read(0x0f), ioapic_read(0x10 + 2 * PINS));
	for (unsigned pin = 0; pin < PINS; pin++) { // all alike
		low |= ioapic_read(0x10 + 2 * pin) ^ RTE_MASKED;
		high |= ioapic_read(0x11 + 2 * pin);
	}
	report("entries.others = 0x%x 0x%x", low, high);
	// Masked edge-triggered: delivery status and remote IRR are read-only.
	ioapic_write(0x11 + 2 * 20, 0xffffffff);
	ioapic_write(0x10 + 2 * 20, 0xffff7fff);
	report("entry.ones = 0x%x 0x%x", ioapic_read(0x11 + 2 * 20), rte_get(20));
	ioapic_write(0x10 + 2 * 20, RTE_MASKED);
	ioapic_write(0x11 + 2 * 20, 0);
	report("entry.zeros = 0x%x 0x%x", ioapic_read(0x11 + 2 * 20), rte_get(20));
	// The index register holds eight bits, and reads back.
	write32(IOAPIC_BASE, 0xffffff01);
	report("ioregsel = 0x%x", read32(IOAPIC_BASE));
	report("iowin = 0x%x", read32(IOAPIC_BASE + 0x10));
}

static void ioapic_edges(void)
{
	ioapic_route(PIN_PIT, EDGE, 0);
	pit_rise();
	irq_window();
	report_irqs("edge");
	rte_set(PIN_PIT, RTE_MASKED | EDGE);
	rte_set(PIN_PIT, EDGE);
	irq_window();
	report_irqs("edge.high_when_unmasked");
	pit_rise();
	pit_rise();
	irq_window();
	report_irqs("edge.two_while_cli");
	rte_set(PIN_PIT, RTE_MASKED | EDGE);
	pit_rise();
	rte_set(PIN_PIT, EDGE);
	irq_window();
	report_irqs("edge.while_masked");
	// The vector is that of the moment of the edge: what is in the LAPIC stays there.
	pit_rise();
	rte_set(PIN_PIT, RTE_MASKED | OTHER);
	irq_window();
	report_irqs("edge.then_masked");
	pit_stop();
	// Active low: the falling edge asserts.
	rte_set(PIN_PIT, RTE_MASKED | RTE_ACTIVE_LOW | EDGE);
	pit_rise();
	rte_set(PIN_PIT, RTE_ACTIVE_LOW | EDGE);
	irq_window();
	report_irqs("edge.active_low.high");
	pit_stop();
	irq_window();
	report_irqs("edge.active_low.fell");
	pit_rise();
	irq_window();
	report_irqs("edge.active_low.rose");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
}

static void level_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (irq_count == 4)
		pit_stop();
	lapic_write(LAPIC_EOI, 0);
}

static unsigned remote_irr(unsigned pin)
{
	return (rte_get(pin) & RTE_REMOTE_IRR) != 0;
}

static void level_up(uint32_t flags)
{
	ioapic_route(PIN_PIT, RTE_MASKED | RTE_LEVEL | LEVEL_VECTOR, 0);
	pit_rise();
	rte_set(PIN_PIT, flags | RTE_LEVEL | LEVEL_VECTOR);
	spin(1000);
}

static void ioapic_levels(void)
{
	trap_set_hook(LEVEL_VECTOR, level_hook);
	level_up(0);
	report("level.remote_irr = %u tmr = 0x%x", remote_irr(PIN_PIT),
		lapic_read(LAPIC_TMR + 0x30));
	irq_window();
	irq_window();
	report_irqs("level.until_low");
	report("level.remote_irr_after = %u", remote_irr(PIN_PIT));
	// A level that goes away before it is served is served all the same: it is in the LAPIC.
	level_up(0);
	pit_stop();
	report("level.gone.irr = %u", lapic_irr(LEVEL_VECTOR));
	irq_window();
	report_irqs("level.gone");
	report("level.gone.remote_irr = %u", remote_irr(PIN_PIT));
	// Masked while in service: the EOI ends it, nothing follows until unmasked.
	trap_set_hook(LEVEL_VECTOR, irq_hook_without_eoi);
	level_up(0);
	irq_window();
	rte_set(PIN_PIT, RTE_MASKED | RTE_LEVEL | LEVEL_VECTOR);
	report("level.masked_in_service.remote_irr = %u", remote_irr(PIN_PIT));
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("level.masked_in_service");
	report("level.masked.remote_irr = %u", remote_irr(PIN_PIT));
	rte_set(PIN_PIT, RTE_LEVEL | LEVEL_VECTOR);
	irq_window();
	report_irqs("level.unmasked");
	// While remote IRR is set nothing more is sent, whatever the line does.
	pit_stop();
	pit_rise();
	irq_window();
	report_irqs("level.in_service");
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("level.high_after_eoi");
	pit_stop();
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("level.low_after_eoi");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
}

// An EOI reaches the entries of its vector alone; the EOI register does so without the LAPIC.
static void ioapic_eoi(void)
{
	trap_set_hook(LEVEL_VECTOR, irq_hook_without_eoi);
	level_up(0);
	irq_window();
	write32(IOAPIC_BASE + IOAPIC_EOI_REGISTER, OTHER);
	report("eoi_register.other_vector = %u", remote_irr(PIN_PIT));
	pit_stop();
	write32(IOAPIC_BASE + IOAPIC_EOI_REGISTER, LEVEL_VECTOR);
	report("eoi_register.vector = %u", remote_irr(PIN_PIT));
	report("eoi_register.lapic_isr = %u", lapic_isr(LEVEL_VECTOR));
	lapic_write(LAPIC_EOI, 0);
	irq_clear();
	// The vector is changed in service: the EOI of the old one no longer matches.
	level_up(0);
	irq_window();
	rte_set(PIN_PIT, RTE_LEVEL | OTHER);
	pit_stop();
	lapic_write(LAPIC_EOI, 0);
	report("eoi.vector_changed.remote_irr = %u", remote_irr(PIN_PIT));
	// Edge-triggered and back clears remote IRR, as software does without an EOI register.
	rte_set(PIN_PIT, RTE_MASKED | OTHER);
	rte_set(PIN_PIT, RTE_MASKED | RTE_LEVEL | OTHER);
	report("eoi.by_trigger_mode.remote_irr = %u", remote_irr(PIN_PIT));
	irq_clear();
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	// An EOI of an edge-triggered interrupt is not broadcast.
	trap_set_hook(LEVEL_VECTOR, irq_hook_without_eoi);
	level_up(0);
	irq_window();
	irq_clear();
	trap_set_hook(OTHER, irq_hook);
	lapic_write(LAPIC_TPR, 0);
	trap_set_hook(0x72, irq_hook);
	self_ipi(0x72); // above it, and its EOI is the LAPIC's first
	irq_window();
	report_irqs("eoi.of_an_edge");
	report("eoi.of_an_edge.remote_irr = %u", remote_irr(PIN_PIT));
	pit_stop();
	lapic_write(LAPIC_EOI, 0);
	report("eoi.of_the_level.remote_irr = %u", remote_irr(PIN_PIT));
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
}

// The RTC's interrupt as a level: high until register C is read.
static void rtc_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (irq_count == 3)
		cmos_read(0xc);
	lapic_write(LAPIC_EOI, 0);
}

static void ioapic_rtc(void)
{
	trap_set_hook(0x63, rtc_hook);
	ioapic_route(PIN_RTC, RTE_MASKED | RTE_LEVEL | 0x63, 0);
	cmos_read(0xc);
	cmos_write(0xa, 0x26);
	cmos_write(0xb, 0x42);
	wait_us(5000);
	cmos_write(0xa, 0x20); // no more periods
	rte_set(PIN_RTC, RTE_LEVEL | 0x63);
	irq_window();
	irq_window();
	report_irqs("rtc.level.until_read");
	cmos_write(0xb, 0x02);
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
	cmos_write(0xa, 0x26);
}

static void try_destination(const char *what, uint32_t low, uint32_t destination)
{
	ioapic_route(PIN_PIT, low, destination << 24);
	pit_rise();
	irq_window();
	report_irqs(what);
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
}

static void ioapic_destinations(void)
{
	try_destination("destination.physical", EDGE, 0);
	try_destination("destination.physical.other", EDGE, 3);
	try_destination("destination.physical.broadcast", EDGE, 0xff);
	lapic_write(LAPIC_DFR, 0xffffffff);
	lapic_write(LAPIC_LDR, 0x04000000);
	try_destination("destination.flat", RTE_LOGICAL | EDGE, 0x04);
	try_destination("destination.flat.several", RTE_LOGICAL | EDGE, 0x0f);
	try_destination("destination.flat.other", RTE_LOGICAL | EDGE, 0x03);
	try_destination("destination.flat.lowest", RTE_LOGICAL | 0x100 | EDGE, 0xff);
	lapic_write(LAPIC_DFR, 0x0fffffff);
	lapic_write(LAPIC_LDR, 0x32000000);
	try_destination("destination.cluster", RTE_LOGICAL | EDGE, 0x33);
	try_destination("destination.cluster.other", RTE_LOGICAL | EDGE, 0x23);
	lapic_write(LAPIC_DFR, 0xffffffff);
	lapic_write(LAPIC_LDR, 0);
	try_destination("delivery.lowest", 0x100 | EDGE, 0);
	try_destination("delivery.nmi", 0x400 | EDGE, 0);
	try_destination("delivery.nmi.other", 0x400 | EDGE, 3);
	try_destination("delivery.nmi.level_bit_is_ignored", 0x400 | RTE_LEVEL | EDGE, 0);
}

// 3.2.4: ExtINT leads to the 8259A's vector.
static void pic_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	outb(PIC_MASTER, 0x20);
}

static void ioapic_extint(void)
{
	trap_set_hook(PIC_VECTOR, pic_hook);
	trap_set_hook(PIC_VECTOR + 7, irq_hook_without_eoi);
	pic_init(0xfe, 0xff);
	try_destination("delivery.extint", 0x700 | EDGE, 0);
	irq_window();
	report_irqs("delivery.extint.once");
	pic_init(0xff, 0xff);
}

// Several pins with one vector, and several vectors at once.
static void ioapic_sharing(void)
{
	trap_set_hook(0x63, irq_hook);
	trap_set_hook(OTHER, irq_hook);
	ioapic_route(PIN_RTC, OTHER, 0);
	ioapic_route(PIN_PIT, EDGE, 0);
	cmos_read(0xc);
	cmos_write(0xb, 0x42);
	wait_us(5000); // an edge of the RTC, which is not read
	pit_rise();
	irq_window();
	report_irqs("two_pins");
	cmos_read(0xc);
	cmos_write(0xb, 0x02);
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
}

void payload_main(void)
{
	trap_set_hook(2, irq_hook_without_eoi);
	trap_set_hook(EDGE, irq_hook);
	trap_set_hook(OTHER, irq_hook);
	ioapic_registers();
	ioapic_edges();
	ioapic_levels();
	ioapic_eoi();
	ioapic_rtc();
	ioapic_destinations();
	ioapic_extint();
	ioapic_sharing();
}
