// SPDX-License-Identifier: BSD-2-Clause
// The pair of 8259As: initialisation, masks, priorities, every form of EOI, rotation, special mask
// mode, poll, automatic EOI, the cascade, ELCR, spurious interrupts. Intel 8259A data sheet
// (231468); PIIX3 data sheet, 2.5, for ELCR.
//
// Three lines can be raised: IRQ 0 (the PIT), IRQ 1 (the keyboard controller) and IRQ 8 (the RTC).
// Interrupts are acknowledged by poll commands, except where the processor's INTA cycle is meant.
#include "lib/dev.h"

PAYLOAD("dev_pic");

enum {
	MASTER = 0x20,
	SLAVE = 0xa0,
	ELCR = 0x4d0,
	READ_IRR = 0x0a,
	READ_ISR = 0x0b,
	POLL = 0x0c,
	EOI = 0x20,
};

static uint8_t read_reg(uint16_t port, uint8_t which)
{
	outb(port, which);
	return inb(port);
}

static uint8_t poll(uint16_t port)
{
	outb(port, POLL);
	return inb(port);
}

static void report_poll(const char *what)
{
	uint8_t master = poll(MASTER), slave = master == 0x82 ? poll(SLAVE) : 0;

	report("%s = 0x%x slave = 0x%x", what, master, slave);
}

static void report_request(const char *what)
{
	uint8_t irr = read_reg(MASTER, READ_IRR);

	report("%s.irr = 0x%x poll = 0x%x", what, irr & 1, poll(MASTER));
}

static void state(const char *what)
{
	report("%s: irr 0x%x 0x%x isr 0x%x 0x%x", what, read_reg(MASTER, READ_IRR),
		read_reg(SLAVE, READ_IRR), read_reg(MASTER, READ_ISR), read_reg(SLAVE, READ_ISR));
}

// ICW1 to ICW4 with everything unmasked.
static void init(uint8_t icw4)
{
	outb(MASTER, 0x11);
	outb(MASTER + 1, PIC_VECTOR);
	outb(MASTER + 1, 4);
	outb(MASTER + 1, icw4);
	outb(SLAVE, 0x11);
	outb(SLAVE + 1, PIC_VECTOR + 8);
	outb(SLAVE + 1, 2);
	outb(SLAVE + 1, icw4);
}

// The three lines. IRQ 0: an edge.
static void irq0_raise(void)
{
	pit_rise();
}

static void irq0_lower(void)
{
	pit_stop();
}

static void keyboard_wait(uint8_t bit, uint8_t value)
{
	for (unsigned i = 0; i < 1000 && (inb(0x64) & bit) != value; i++)
		wait_us(10);
}

static void keyboard_command(uint8_t command)
{
	keyboard_wait(2, 0);
	outb(0x64, command);
}

static void irq1_raise(void)
{
	keyboard_command(0xd2); // as if the keyboard had sent a byte
	keyboard_wait(2, 0);
	outb(0x60, 0x5a);
	keyboard_wait(1, 1);
}

static void irq1_lower(void)
{
	keyboard_wait(1, 1);
	inb(0x60);
	wait_us(100);
}

static void irq8_raise(void)
{
	cmos_read(0xc);
	cmos_write(0xa, 0x26);
	cmos_write(0xb, 0x42);
	wait_us(5000);
	cmos_write(0xa, 0x20);
}

static void irq8_lower(void)
{
	cmos_write(0xb, 0x02);
	cmos_read(0xc);
}

static void lower_all(void)
{
	irq0_lower();
	irq1_lower();
	irq8_lower();
}

static void pic_registers(void)
{
	init(1);
	report("init.mask = 0x%x 0x%x", inb(MASTER + 1), inb(SLAVE + 1));
	outb(MASTER + 1, 0xa5);
	outb(SLAVE + 1, 0x5a);
	report("ocw1 = 0x%x 0x%x", inb(MASTER + 1), inb(SLAVE + 1));
	state("init");
	// ICW1 clears the mask and selects IRR; ICW2 to ICW4 are not masks.
	outb(MASTER, READ_ISR);
	init(1);
	report("init_again.mask = 0x%x 0x%x", inb(MASTER + 1), inb(SLAVE + 1));
	irq0_raise();
	report("init.reads_irr = 0x%x", inb(MASTER) & 1);
	outb(MASTER, READ_ISR);
	report("ocw3.isr = 0x%x", inb(MASTER));
	report("ocw3.stays = 0x%x", inb(MASTER));
	outb(MASTER, 0x08); // neither
	report("ocw3.none = 0x%x", inb(MASTER));
	outb(MASTER, READ_IRR);
	report("ocw3.irr = 0x%x", inb(MASTER) & 1);
	// The mask hides a request from INT, not from IRR.
	outb(MASTER + 1, 0xff);
	report_request("masked");
	// ICW1 forgets the edge: it takes a new one.
	init(1);
	report("init.forgets_the_edge = 0x%x", read_reg(MASTER, READ_IRR) & 1);
	irq0_lower();
	// A request whose line falls before it is acknowledged is withdrawn.
	outb(MASTER + 1, 0xfe);
	irq0_raise();
	irq0_lower();
	report_request("withdrawn");
}

// Fully nested: 0 above 1 above the slave's. All EOIs.
static void pic_nested(void)
{
	init(1);
	irq8_raise();
	irq1_raise();
	irq0_raise();
	state("three");
	report("nested.first = 0x%x", poll(MASTER));
	report("nested.above_0 = 0x%x", poll(MASTER));
	state("nested.in_service");
	outb(MASTER, EOI);
	report("nested.second = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	report_poll("nested.third");
	state("nested.slave_in_service");
	// Both chips need an EOI.
	outb(SLAVE, EOI);
	state("nested.slave_ended");
	outb(MASTER, EOI);
	state("nested.ended");
	lower_all();
	// A higher request interrupts, a lower one waits; the specific EOI ends what it names.
	irq1_raise();
	report("interrupted.first = 0x%x", poll(MASTER));
	irq8_raise();
	report("interrupted.lower = 0x%x", poll(MASTER));
	irq0_raise();
	report("interrupted.higher = 0x%x", poll(MASTER));
	state("interrupted");
	outb(MASTER, 0x61); // specific EOI of 1
	state("specific_eoi");
	outb(MASTER, EOI); // non-specific: the highest, 0
	state("non_specific_eoi");
	report_poll("interrupted.last");
	outb(SLAVE, EOI);
	outb(MASTER, EOI);
	lower_all();
	outb(MASTER, EOI); // nothing in service
	state("eoi_of_nothing");
	outb(MASTER, 0x40); // no operation
	state("no_operation");
}

static void pic_rotation(void)
{
	init(1);
	irq0_raise();
	irq1_raise();
	report("rotate.first = 0x%x", poll(MASTER));
	outb(MASTER, 0xa0); // rotate on non-specific EOI: 0 becomes the lowest
	irq0_lower();
	irq0_raise();
	report("rotate.second = 0x%x", poll(MASTER));
	report("rotate.0_is_lowest = 0x%x", poll(MASTER) & 0x80);
	outb(MASTER, 0xe1); // rotate on specific EOI: 1 becomes the lowest
	report("rotate.third = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	irq0_lower();
	irq1_lower();
	// Set priority: 0 is the lowest, then 7.
	irq0_raise();
	irq1_raise();
	outb(MASTER, 0xc0);
	report("set_priority_0 = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	outb(MASTER, 0xc7);
	report("set_priority_7 = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	irq0_lower();
	irq1_lower();
	// ICW1 makes 7 the lowest again.
	outb(MASTER, 0xc0);
	init(1);
	irq0_raise();
	irq1_raise();
	report("init.priority = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	poll(MASTER);
	outb(MASTER, EOI);
	irq0_lower();
	irq1_lower();
}

// In special mask mode what is masked in service blocks nothing.
static void pic_special_mask(void)
{
	init(1);
	irq0_raise();
	report("special.first = 0x%x", poll(MASTER));
	irq1_raise();
	outb(MASTER + 1, 0x01);
	report("special.off = 0x%x", poll(MASTER) & 0x80);
	outb(MASTER, 0x68);
	report("special.on = 0x%x", poll(MASTER));
	state("special");
	outb(MASTER, EOI); // non-specific: ends no masked one
	state("special.eoi");
	outb(MASTER, 0x60);
	state("special.specific_eoi");
	outb(MASTER, 0x48);
	outb(MASTER + 1, 0);
	irq0_lower();
	irq1_lower();
}

static void pic_auto_eoi(void)
{
	init(3);
	irq0_raise();
	irq1_raise();
	report("auto.first = 0x%x", poll(MASTER));
	state("auto");
	report("auto.second = 0x%x", poll(MASTER));
	irq0_lower();
	irq1_lower();
	outb(MASTER, 0x80); // rotate in automatic EOI mode
	irq0_raise();
	report("auto.rotate.first = 0x%x", poll(MASTER));
	irq0_lower();
	irq0_raise();
	irq1_raise();
	report("auto.rotate.second = 0x%x", poll(MASTER));
	report("auto.rotate.third = 0x%x", poll(MASTER));
	outb(MASTER, 0x00);
	irq0_lower();
	irq1_lower();
	init(1);
}

static void pic_elcr(void)
{
	outb(ELCR, 0xff);
	outb(ELCR + 1, 0xff);
	report("elcr.ones = 0x%x 0x%x", inb(ELCR), inb(ELCR + 1));
	outb(ELCR, 0);
	outb(ELCR + 1, 0);
	report("elcr.zeros = 0x%x 0x%x", inb(ELCR), inb(ELCR + 1));
	// ICW1's LTIM has no effect: IRQ 0 stays edge-triggered.
	outb(MASTER, 0x19);
	outb(MASTER + 1, PIC_VECTOR);
	outb(MASTER + 1, 4);
	outb(MASTER + 1, 1);
	irq0_raise();
	report("ltim.first = 0x%x", poll(MASTER));
	outb(MASTER, EOI);
	report("ltim.still_high = 0x%x", poll(MASTER) & 0x80);
	irq0_lower();
	init(1);
}

static void hook_all(trap_hook *hook)
{
	for (unsigned vector = 0x20; vector < 0x30; vector++)
		trap_set_hook(vector, hook);
	for (unsigned vector = 0xa8; vector < 0xb0; vector++)
		trap_set_hook(vector, hook);
}

static void eoi_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if ((frame->vector & 0xff) >= PIC_VECTOR + 8)
		outb(SLAVE, EOI);
	outb(MASTER, EOI);
}

// INTA cycles through the LAPIC's LINT0 as ExtINT.
static void pic_inta(void)
{
	hook_all(eoi_hook);
	lapic_write(LAPIC_LINT0, LVT_EXTINT);
	init(1);
	irq8_raise();
	irq1_raise();
	irq0_raise();
	irq_window();
	report_irqs("inta.order");
	state("inta.after");
	lower_all();
	// Another base: its low three bits do not count.
	outb(MASTER, 0x11);
	outb(MASTER + 1, 0xaf);
	outb(MASTER + 1, 4);
	outb(MASTER + 1, 1);
	irq0_raise();
	irq_window();
	report_irqs("inta.base");
	irq0_lower();
	// Without EOI the same and the lower wait; the higher comes.
	init(1);
	hook_all(irq_hook_without_eoi);
	irq1_raise();
	irq_window();
	irq8_raise();
	irq_window();
	report_irqs("inta.without_eoi.lower_waits");
	irq0_raise();
	irq_window();
	report_irqs("inta.without_eoi.higher_comes");
	outb(MASTER, EOI);
	outb(MASTER, EOI);
	irq_window();
	report_irqs("inta.after_eoi");
	outb(SLAVE, EOI);
	outb(MASTER, EOI);
	lower_all();
	// Automatic EOI: an edge is served once.
	init(3);
	irq0_raise();
	irq_window();
	irq_window();
	report_irqs("inta.auto_eoi");
	state("inta.auto_eoi");
	irq0_lower();
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	init(1);
}

// A request that goes away between INTR and INTA ends as IRQ 7 with no bit of ISR. The LAPIC's
// latched ExtINT of an I/O APIC pin makes the cycle without a request.
static void pic_spurious(void)
{
	hook_all(irq_hook_without_eoi);
	init(1);
	outb(MASTER + 1, 0xff);
	ioapic_route(PIN_PIT, 0x700, 0);
	irq0_raise();
	irq_window();
	report_irqs("spurious");
	state("spurious");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	irq0_lower();
}

void payload_main(void)
{
	keyboard_command(0x60);
	keyboard_wait(2, 0);
	outb(0x60, 0x21); // IRQ 1 enabled
	while (inb(0x64) & 1)
		inb(0x60);
	pic_registers();
	pic_nested();
	pic_rotation();
	pic_special_mask();
	pic_auto_eoi();
	pic_elcr();
	pic_inta();
	pic_spurious();
	pic_init(0xff, 0xff);
}
