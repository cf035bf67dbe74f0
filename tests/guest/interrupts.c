// SPDX-License-Identifier: BSD-2-Clause
// The ways of an interrupt: PIC through LINT0, I/O APIC edge and level, priorities, self-IPIs.
#include "lib/payload.h"

PAYLOAD("interrupts");

enum { SELF = 0x40000, ASSERTED = 0x4000, LEVEL = 0x8000, PIN_PIT = 2, EXTINT = 0x700 };

static void pic_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	outb(PIC_MASTER, 0x20);
}

// SDM vol. 3, 11.5.1: ExtINT takes its vector from the 8259A.
static void interrupts_pic(void)
{
	trap_set_hook(PIC_VECTOR, pic_hook);
	lapic_write(LAPIC_LINT0, EXTINT);
	pic_init(0xfe, 0xff);
	pit_one_shot(100);
	report_check("pic.arrived", irq_wait(1));
	report_irqs("pic.vector");
	report("pic.lapic_isr = %u", lapic_isr(PIC_VECTOR));
	// Masked at the PIC it stays pending there.
	outb(PIC_MASTER + 1, 0xff);
	pit_one_shot(50);
	spin(200000);
	outb(PIC_MASTER, 0x0a);
	report("pic.irr_while_masked = 0x%x", inb(PIC_MASTER) & 1);
	irq_window();
	report_irqs("pic.masked");
	outb(PIC_MASTER + 1, 0xfe);
	irq_window();
	report_irqs("pic.unmasked");
	// Masked at LINT0.
	lapic_write(LAPIC_LINT0, EXTINT | LAPIC_MASKED);
	pit_one_shot(50);
	spin(200000);
	irq_window();
	report_irqs("lint0.masked");
	lapic_write(LAPIC_LINT0, EXTINT);
	irq_window();
	report_irqs("lint0.unmasked");
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	outb(0x43, 0x30);
	pic_init(0xff, 0xff);
}

static void interrupts_ioapic_edge(void)
{
	trap_set_hook(0x60, irq_hook);
	report("ioapic.entries = %u", (ioapic_read(1) >> 16 & 0xff) + 1);
	ioapic_route(PIN_PIT, 0x60, 0);
	report("ioapic.entry = 0x%x", ioapic_read(0x10 + 2 * PIN_PIT));
	pit_one_shot(100);
	report_check("edge.arrived", irq_wait(1));
	report_irqs("edge.vector");
	irq_window();
	report_irqs("edge.once"); // the line is still high
	// An edge while masked is lost. 82093AA, 3.2.4.
	ioapic_route(PIN_PIT, 0x60 | LAPIC_MASKED, 0);
	pit_one_shot(50);
	spin(200000);
	ioapic_route(PIN_PIT, 0x60, 0);
	irq_window();
	report_irqs("edge.masked_is_lost");
	ioapic_route(PIN_PIT, LAPIC_MASKED, 0);
	outb(0x43, 0x30);
}

static void level_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (irq_count == 3)
		pit_one_shot(0xffff); // takes the line down
	lapic_write(LAPIC_EOI, 0);
}

// A level-triggered entry asks again after each EOI while the line is high.
static void interrupts_ioapic_level(void)
{
	trap_set_hook(0x61, level_hook);
	ioapic_route(PIN_PIT, 0x61 | LEVEL | LAPIC_MASKED, 0);
	pit_one_shot(50);
	spin(200000);
	ioapic_write(0x10 + 2 * PIN_PIT, 0x61 | LEVEL);
	spin(2000);
	report("level.remote_irr = %u", ioapic_read(0x10 + 2 * PIN_PIT) >> 14 & 1);
	report("level.tmr = %u", lapic_read(LAPIC_TMR + 0x30) >> 1 & 1);
	irq_wait(3);
	irq_window();
	report_irqs("level.three_times");
	report("level.remote_irr_after = %u", ioapic_read(0x10 + 2 * PIN_PIT) >> 14 & 1);
	ioapic_route(PIN_PIT, LAPIC_MASKED, 0);
}

static void self(unsigned vector)
{
	lapic_send(0, SELF | ASSERTED | vector);
	spin(1000);
}

static void nested_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (frame->vector == 0x41) {
		self(0x51); // higher class: nests
		self(0x42); // same class: waits
		report("nested.before_sti isr 0x41 %u irr 0x51 %u irr 0x42 %u", lapic_isr(0x41),
			lapic_irr(0x51), lapic_irr(0x42));
		irq_window();
		report("nested.in_0x41 count = %u isr 0x51 %u", irq_count, lapic_isr(0x51));
	}
	lapic_write(LAPIC_EOI, 0);
}

// SDM vol. 3, 11.8.3: priorities.
static void interrupts_priorities(void)
{
	trap_set_hook(0x41, nested_hook);
	trap_set_hook(0x42, nested_hook);
	trap_set_hook(0x51, nested_hook);
	self(0x41);
	irq_window();
	report_irqs("nested.order");
	trap_set_hook(0x41, irq_hook);
	self(0x41);
	self(0x51);
	self(0x42);
	self(0x42); // one more of the same: merged
	irq_window();
	report_irqs("pending.order");
	write_cr8(5);
	report("ppr = 0x%x", lapic_read(LAPIC_PPR));
	self(0x51);
	irq_window();
	report_irqs("cr8_5.holds_0x51");
	self(0x60);
	irq_window();
	report_irqs("cr8_5.passes_0x60");
	sti();
	write_cr8(4);
	__asm__ volatile("nop");
	cli();
	report_irqs("cr8_4.releases_0x51");
	write_cr8(0);
}

static void no_eoi_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
}

static void interrupts_eoi(void)
{
	trap_set_hook(0x41, no_eoi_hook);
	self(0x41);
	irq_window();
	report("eoi.isr = %u ppr = 0x%x", lapic_isr(0x41), lapic_read(LAPIC_PPR));
	self(0x41);
	self(0x42);
	irq_window();
	report_irqs("eoi.withheld");
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("eoi.given");
	lapic_write(LAPIC_EOI, 0);
	trap_set_hook(0x41, irq_hook);
	irq_window();
	irq_clear();
	report("eoi.ppr_at_end = 0x%x", lapic_read(LAPIC_PPR));
}

// SDM vol. 3, 11.5.3 and 11.9: illegal vectors, the spurious-interrupt vector.
static void interrupts_errors(void)
{
	trap_set_hook(5, irq_hook_without_eoi); // must not come
	trap_set_hook(0xfe, irq_hook);
	trap_set_hook(LAPIC_SPURIOUS_VECTOR, irq_hook_without_eoi);
	lapic_write(LAPIC_ERROR, 0xfe);
	lapic_write(LAPIC_ESR, 0);
	self(5);
	lapic_write(LAPIC_ESR, 0);
	report("error.esr_send_illegal = %u", lapic_read(LAPIC_ESR) >> 5 & 1);
	irq_window();
	report_irqs("error.vector");
	lapic_write(LAPIC_ERROR, 0xfe | LAPIC_MASKED);
	// Software-disabled: self-IPIs are not accepted, LVT entries are masked.
	lapic_write(LAPIC_SVR, LAPIC_SPURIOUS_VECTOR);
	lapic_write(LAPIC_TIMER, 0x50);
	report("disabled.lvt_masked = %u", lapic_read(LAPIC_TIMER) >> 16 & 1);
	lapic_write(LAPIC_SVR, 0x100 | LAPIC_SPURIOUS_VECTOR);
	irq_window();
	report_irqs("disabled.nothing");
}

// A request that the PIC withdraws before INTA ends as IRQ 7, with no ISR bit set.
static void interrupts_spurious(void)
{
	trap_set_hook(PIC_VECTOR + 7, irq_hook_without_eoi);
	pic_init(0xfe, 0xff);
	report("spurious.pic_isr = 0x%x", (outb(PIC_MASTER, 0x0b), inb(PIC_MASTER)));
	outb(PIC_MASTER, 0x0c); // poll without a request
	report("spurious.poll = 0x%x", inb(PIC_MASTER) & 0x80);
	pic_init(0xff, 0xff);
}

static void interrupts_x2apic(void)
{
	if (!lapic_has_x2apic()) {
		report("x2apic = absent");
		return;
	}
	report("x2apic = present");
	lapic_enable_x2apic();
	report("x2apic.id = %u", lapic_read(LAPIC_ID));
	report("x2apic.ldr = 0x%x", lapic_read(LAPIC_LDR));
	wrmsr(0x83f, 0x41);
	self(0x42);
	irq_window();
	report_irqs("x2apic.self");
	lapic_enable_xapic();
	self(0x41);
	irq_window();
	report_irqs("xapic_again.self");
}

void payload_main(void)
{
	interrupts_pic();
	interrupts_ioapic_edge();
	interrupts_ioapic_level();
	interrupts_priorities();
	interrupts_eoi();
	interrupts_errors();
	interrupts_spurious();
	interrupts_x2apic();
}
