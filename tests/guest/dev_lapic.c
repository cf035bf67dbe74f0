// SPDX-License-Identifier: BSD-2-Clause
// The local APIC in xAPIC mode: registers, errors, priorities, commands, LINT0. SDM vol. 3,
// chapter 11; sections are named beside the tests.
#include "lib/dev.h"

PAYLOAD("dev_lapic");

enum { ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVE_ILLEGAL = 0x40, ESR_ILLEGAL_REGISTER = 0x80 };

static void hooks(trap_hook *hook)
{
	for (unsigned vector = 0x20; vector < 0x100; vector++)
		trap_set_hook(vector, hook);
}

// 11.4.6, 11.4.8, 11.5.1, 11.6.2.2, 11.9: which bits are there.
static void lapic_registers(void)
{
	static const char *const lvt_names[] = {"timer", "thermal", "performance", "lint0",
		"lint1", "error"};

	report("id = 0x%x", lapic_read(LAPIC_ID));
	lapic_write(LAPIC_VERSION, 0);
	report("version = 0x%x", lapic_read(LAPIC_VERSION));
	lapic_write(LAPIC_TPR, 0xffffff5a);
	report("tpr = 0x%x ppr = 0x%x", lapic_read(LAPIC_TPR), lapic_read(LAPIC_PPR));
	lapic_write(LAPIC_PPR, 0);
	report("ppr.after_write = 0x%x", lapic_read(LAPIC_PPR));
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LDR, 0xffffffff);
	report("ldr = 0x%x", lapic_read(LAPIC_LDR));
	lapic_write(LAPIC_DFR, 0);
	report("dfr = 0x%x", lapic_read(LAPIC_DFR));
	lapic_write(LAPIC_DFR, 0xf0000000);
	report("dfr.flat = 0x%x", lapic_read(LAPIC_DFR));
	lapic_write(LAPIC_SVR, 0xfffffdff);
	report("svr = 0x%x", lapic_read(LAPIC_SVR));
	lapic_write(LAPIC_SVR, 0x100 | LAPIC_SPURIOUS_VECTOR);
	for (unsigned i = 0; i < 6; i++) {
		lapic_write(LAPIC_TIMER + 16 * i, 0xffffffff);
		report("lvt.%s.ones = 0x%x", lvt_names[i], lapic_read(LAPIC_TIMER + 16 * i));
		lapic_write(LAPIC_TIMER + 16 * i, LAPIC_MASKED);
		report("lvt.%s = 0x%x", lvt_names[i], lapic_read(LAPIC_TIMER + 16 * i));
	}
	lapic_write(LAPIC_ICR_HIGH, 0xffffffff);
	report("icr_high.destination = 0x%x", lapic_read(LAPIC_ICR_HIGH) >> 24);
	lapic_write(LAPIC_ICR_HIGH, 0);
	lapic_write(LAPIC_TDCR, 0xffffffff);
	report("tdcr = 0x%x", lapic_read(LAPIC_TDCR));
	lapic_write(LAPIC_TDCR, 0xb);
	lapic_write(LAPIC_IRR + 0x20, 0xffffffff);
	lapic_write(LAPIC_ISR + 0x20, 0xffffffff);
	lapic_write(LAPIC_TMR + 0x20, 0xffffffff);
	report("vectors.after_write = 0x%x 0x%x 0x%x", lapic_read(LAPIC_IRR + 0x20),
		lapic_read(LAPIC_ISR + 0x20), lapic_read(LAPIC_TMR + 0x20));
}

static uint32_t esr_take(void)
{
	lapic_write(LAPIC_ESR, 0);
	return lapic_read(LAPIC_ESR);
}

// 11.5.3: a write latches what has come since the last one.
static void lapic_errors(void)
{
	esr_take();
	report("esr.clear = 0x%x", esr_take());
	self_ipi(5);
	report("esr.before_latch = 0x%x", lapic_read(LAPIC_ESR));
	report("esr.send_illegal = 0x%x", esr_take());
	report("esr.kept = 0x%x", lapic_read(LAPIC_ESR));
	report("esr.again = 0x%x", esr_take());
	lapic_read(0x3f0);
	report("esr.illegal_register.read = 0x%x", esr_take());
	lapic_write(0x40, 0);
	report("esr.illegal_register.write = 0x%x", esr_take());
	lapic_read(0x400);
	lapic_read(0xff0);
	report("esr.illegal_register.beyond = 0x%x", esr_take());
	ioapic_route(PIN_PIT, 5, 0);
	pit_rise();
	report("esr.receive_illegal = 0x%x", esr_take());
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
	lapic_send(0, IPI_PHYSICAL | 0xf);
	report("esr.send_physical = 0x%x", esr_take());
	// One interrupt for the errors between two latches.
	lapic_write(LAPIC_ERROR, 0xe0);
	self_ipi(1);
	irq_window();
	self_ipi(2);
	lapic_read(0x3f0);
	irq_window();
	report("error.first_latch.interrupts = %u", irq_count);
	report("error.collected = 0x%x", esr_take());
	irq_clear();
	self_ipi(3);
	irq_window();
	report_irqs("error.second_latch");
	lapic_write(LAPIC_ERROR, LAPIC_MASKED | 0xe0);
	esr_take();
	self_ipi(4);
	irq_window();
	report_irqs("error.masked");
	esr_take();
}

// 11.8.3, 11.8.4: the highest vector first.
static void lapic_order(void)
{
	static const uint8_t vectors[] = {0x71, 0x31, 0xf0, 0x11 + 0x10, 0xe1, 0x51, 0xc1, 0x41,
		0x91, 0x61, 0xb1, 0xd1, 0x81, 0xa1, 0xe2};

	for (unsigned i = 0; i < sizeof(vectors); i++)
		self_ipi(vectors[i]);
	for (unsigned i = 1; i < 8; i++)
		report("order.irr%u = 0x%x", i, lapic_read(LAPIC_IRR + 16 * i));
	report("order.tmr7 = 0x%x", lapic_read(LAPIC_TMR + 0x70));
	irq_window();
	report_irqs("order");
	for (unsigned tpr = 0; tpr < 0x100; tpr += 0x11) {
		unsigned passed;

		lapic_write(LAPIC_TPR, tpr);
		for (unsigned i = 0; i < sizeof(vectors); i++)
			self_ipi(vectors[i]);
		irq_window();
		passed = irq_count;
		lapic_write(LAPIC_TPR, 0);
		irq_window();
		report("order.tpr 0x%x passed %u of %u", tpr, passed, irq_count);
		irq_clear();
	}
	self_ipi(0x40);
	self_ipi(0x4f);
	lapic_write(LAPIC_TPR, 0x40);
	irq_window();
	report_irqs("tpr_0x40.class_4");
	lapic_write(LAPIC_TPR, 0x3f);
	irq_window();
	report_irqs("tpr_0x3f.class_4");
	lapic_write(LAPIC_TPR, 0);
}

static uint8_t ppr_seen[8];
static unsigned depth, deepest;

static void nest_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	ppr_seen[depth & 7] = (uint8_t)lapic_read(LAPIC_PPR);
	if (++depth > deepest)
		deepest = depth;
	if (frame->vector < 0x80 && frame->vector % 2 == 0) {
		self_ipi((unsigned)frame->vector + 1); // its own class waits
		self_ipi((unsigned)frame->vector + 0x20);
		irq_window();
	}
	depth--;
	lapic_write(LAPIC_EOI, 0);
}

// A handler with interrupts on is interrupted by higher classes alone.
static void lapic_nesting(void)
{
	hooks(nest_hook);
	self_ipi(0x22);
	irq_window();
	report("nesting.deepest = %u", deepest);
	report("nesting.ppr = 0x%x 0x%x 0x%x 0x%x", ppr_seen[0], ppr_seen[1], ppr_seen[2],
		ppr_seen[3]);
	report_irqs("nesting.order");
	report("nesting.ppr_at_end = 0x%x", lapic_read(LAPIC_PPR));
	hooks(irq_hook);
}

static volatile uint32_t isr_in[3];

static void pair_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (frame->vector != 0x35)
		return;
	self_ipi(0x75);
	irq_window(); // 0x75 comes and leaves its EOI to us
	isr_in[0] = lapic_isr(0x35) | (uint32_t)lapic_isr(0x75) << 1;
	lapic_write(LAPIC_EOI, 0);
	isr_in[1] = lapic_isr(0x35) | (uint32_t)lapic_isr(0x75) << 1;
	lapic_write(LAPIC_EOI, 0);
	isr_in[2] = lapic_isr(0x35) | (uint32_t)lapic_isr(0x75) << 1;
	lapic_write(LAPIC_EOI, 0); // nothing in service: no effect
}

// 11.8.5: an EOI ends the highest one in service. One more of each vector can wait, 11.8.4.
static void lapic_eoi(void)
{
	hooks(pair_hook);
	self_ipi(0x35);
	irq_window();
	report("eoi.in_service = %u then %u then %u", isr_in[0], isr_in[1], isr_in[2]);
	report_irqs("eoi.order");
	self_ipi(0x36);
	irq_window();
	self_ipi(0x36);
	self_ipi(0x36);
	self_ipi(0x36);
	report("depth.isr %u irr %u", lapic_isr(0x36), lapic_irr(0x36));
	hooks(irq_hook);
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("depth.merged");
	report("eoi.ppr_at_end = 0x%x", lapic_read(LAPIC_PPR));
}

// 11.8.6: CR8 is the upper half of TPR.
static void lapic_cr8(void)
{
	lapic_write(LAPIC_TPR, 0xab);
	report("cr8.of_tpr = 0x%lx", read_cr8());
	write_cr8(9);
	report("tpr.of_cr8 = 0x%x ppr = 0x%x", lapic_read(LAPIC_TPR), lapic_read(LAPIC_PPR));
	self_ipi(0x95);
	self_ipi(0xa5);
	irq_window();
	report_irqs("cr8_9.passes");
	write_cr8(15);
	lapic_write(LAPIC_TPR, 0x8f);
	report("cr8.after_mmio = 0x%lx", read_cr8());
	irq_window();
	report_irqs("tpr_0x8f.releases");
	write_cr8(0);
	report("tpr.cleared = 0x%x", lapic_read(LAPIC_TPR));
}

static void try_ipi(const char *what, uint32_t destination, uint32_t command)
{
	lapic_send(destination, command);
	irq_window();
	report_irqs(what);
}

// 11.6.1: destinations by APIC id, shorthands, delivery modes.
static void lapic_commands(void)
{
	try_ipi("ipi.self", 0x55, IPI_SELF | 0x50);
	report("ipi.icr = 0x%x", lapic_read(LAPIC_ICR));
	try_ipi("ipi.physical", 0, IPI_PHYSICAL | 0x51);
	try_ipi("ipi.physical.other", 5, IPI_PHYSICAL | 0x52);
	try_ipi("ipi.physical.broadcast", 0xff, IPI_PHYSICAL | 0x53);
	try_ipi("ipi.all", 5, 0x84000 | 0x54);
	try_ipi("ipi.all_but_self", 0, 0xc4000 | 0x55);
	try_ipi("ipi.lowest", 0, IPI_PHYSICAL | 0x100 | 0x56);
	try_ipi("ipi.nmi", 0, IPI_PHYSICAL | 0x400);
	try_ipi("ipi.nmi.vector_ignored", 0, IPI_PHYSICAL | 0x400 | 0x57);
	try_ipi("ipi.nmi.other", 5, IPI_PHYSICAL | 0x400);
	try_ipi("ipi.startup_of_running_cpu", 0, IPI_PHYSICAL | 0x600 | 0x10);
	try_ipi("ipi.reserved_mode", 0, IPI_PHYSICAL | 0x300 | 0x58);
	try_ipi("ipi.edge_without_assert", 0, 0x59);
	lapic_write(LAPIC_ICR_HIGH, 0);
	irq_window();
	report_irqs("ipi.high_half_sends");
}

static void try_logical(uint32_t ldr, uint32_t destination, unsigned vector)
{
	lapic_write(LAPIC_LDR, ldr << 24);
	lapic_send(destination, IPI_LOGICAL | vector);
	irq_window();
	report("logical.ldr 0x%x destination 0x%x = %u", ldr, destination, irq_count);
	irq_clear();
}

// 11.6.2.2: flat and cluster model.
static void lapic_logical(void)
{
	static const uint8_t flat[][2] = {{0x01, 0x01}, {0x01, 0x02}, {0x01, 0x03}, {0x01, 0xfe},
		{0x60, 0x20}, {0x60, 0x40}, {0x60, 0x10}, {0x00, 0x01}, {0x00, 0xff}, {0x01, 0x00}};
	static const uint8_t cluster[][2] = {{0x12, 0x12}, {0x12, 0x16}, {0x12, 0x11},
		{0x12, 0x22}, {0x12, 0x1f}, {0x12, 0x02}, {0x12, 0xff}, {0x02, 0x02}, {0x12, 0x10}};

	lapic_write(LAPIC_DFR, 0xffffffff);
	for (unsigned i = 0; i < sizeof(flat) / 2; i++)
		try_logical(flat[i][0], flat[i][1], 0x60);
	lapic_write(LAPIC_DFR, 0x0fffffff);
	for (unsigned i = 0; i < sizeof(cluster) / 2; i++)
		try_logical(cluster[i][0], cluster[i][1], 0x61);
	lapic_write(LAPIC_DFR, 0xffffffff);
	lapic_write(LAPIC_LDR, 0x01000000);
	try_ipi("logical.lowest", 1, IPI_LOGICAL | 0x100 | 0x62);
	try_ipi("logical.lowest.other", 2, IPI_LOGICAL | 0x100 | 0x63);
	try_ipi("logical.nmi", 1, IPI_LOGICAL | 0x400);
	lapic_write(LAPIC_LDR, 0);
}

// 11.4.7.2: what waits is kept, what comes is not taken, NMIs are.
static void lapic_software_disabled(void)
{
	lapic_write(LAPIC_ERROR, 0xe0);
	self_ipi(0x65);
	lapic_write(LAPIC_SVR, LAPIC_SPURIOUS_VECTOR);
	report("disabled.irr_kept = %u", lapic_irr(0x65));
	report("disabled.error_lvt = 0x%x", lapic_read(LAPIC_ERROR));
	lapic_write(LAPIC_TIMER, 0x66);
	report("disabled.timer_lvt = 0x%x", lapic_read(LAPIC_TIMER));
	lapic_send(0, IPI_PHYSICAL | 0x67);
	self_ipi(0x68);
	report("disabled.irr = %u %u", lapic_irr(0x67), lapic_irr(0x68));
	lapic_send(0, IPI_PHYSICAL | 0x400);
	spin(1000);
	report_irqs("disabled.nmi");
	lapic_write(LAPIC_SVR, 0x100 | LAPIC_SPURIOUS_VECTOR);
	report("enabled.timer_lvt = 0x%x", lapic_read(LAPIC_TIMER));
	irq_window();
	report_irqs("enabled.delivers");
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
}

static void lint_level_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (irq_count == 3)
		outb(PIC_MASTER + 1, 0xff); // withdraws INTR
	lapic_write(LAPIC_EOI, 0);
}

// 11.5.1: the PIC's INTR at LINT0, with a vector of the LVT's own, as NMI, and masked.
static void lapic_lint0(void)
{
	pic_init(0xff, 0xff);
	pit_rise(); // the PIC holds the request
	lapic_write(LAPIC_LINT0, 0x6a);
	outb(PIC_MASTER + 1, 0xfe);
	irq_window();
	report_irqs("lint0.edge");
	irq_window();
	report_irqs("lint0.edge.once");
	outb(PIC_MASTER + 1, 0xff);
	lapic_write(LAPIC_LINT0, 0x6b | RTE_LEVEL | LAPIC_MASKED);
	outb(PIC_MASTER + 1, 0xfe);
	hooks(lint_level_hook);
	lapic_write(LAPIC_LINT0, 0x6b | RTE_LEVEL);
	spin(1000);
	report("lint0.level.lvt = 0x%x", lapic_read(LAPIC_LINT0));
	irq_window();
	report_irqs("lint0.level");
	report("lint0.level.lvt_after = 0x%x", lapic_read(LAPIC_LINT0));
	hooks(irq_hook);
	lapic_write(LAPIC_LINT0, 0x400);
	outb(PIC_MASTER + 1, 0xfe);
	spin(1000);
	report_irqs("lint0.nmi");
	outb(PIC_MASTER + 1, 0xff);
	lapic_write(LAPIC_LINT0, 0x6c | LAPIC_MASKED);
	outb(PIC_MASTER + 1, 0xfe);
	irq_window();
	report_irqs("lint0.masked");
	outb(PIC_MASTER + 1, 0xff);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	pit_stop();
	pic_init(0xff, 0xff);
}

void payload_main(void)
{
	hooks(irq_hook);
	for (unsigned vector = 1; vector < 6; vector++) // illegal ones do come on the emulator
		trap_set_hook(vector, irq_hook_without_eoi);
	trap_set_hook(0xf, irq_hook_without_eoi);
	lapic_registers();
	lapic_order();
	lapic_nesting();
	lapic_eoi();
	lapic_cr8();
	lapic_commands();
	lapic_logical();
	lapic_software_disabled();
	lapic_lint0();
	lapic_errors();
}
