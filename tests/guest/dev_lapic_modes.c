// SPDX-License-Identifier: BSD-2-Clause
// IA32_APIC_BASE and the modes of the local APIC: disabled, xAPIC, x2APIC, the ways from one to
// another, the state after each, and the rules of the x2APIC's MSRs. SDM vol. 3, 11.4.3, 11.4.4,
// 11.4.7 and 11.12.
#include "lib/dev.h"

PAYLOAD("dev_lapic_modes");

enum { ENABLE = 1 << 11, X2APIC = 1 << 10, BSP = 1 << 8 };

struct msr_write {
	uint32_t msr;
	uint64_t value;
};

static void do_wrmsr(void *argument)
{
	const struct msr_write *write = argument;

	wrmsr(write->msr, write->value);
}

static void do_rdmsr(void *argument)
{
	rdmsr(*(uint32_t *)argument);
}

static void try_write(const char *what, uint32_t msr, uint64_t value)
{
	struct msr_write write = {msr, value};

	report_trap(what, do_wrmsr, &write);
}

static void try_base(const char *what, uint64_t flags)
{
	try_write(what, MSR_APIC_BASE, LAPIC_BASE | BSP | flags);
}

static void report_base(const char *what)
{
	report("%s = 0x%lx cpuid.apic = %u", what, rdmsr(MSR_APIC_BASE), cpuid(1, 0).edx >> 9 & 1);
}

static void prepare(void)
{
	lapic_write(LAPIC_SVR, 0x100 | LAPIC_SPURIOUS_VECTOR);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
}

static void modes_reserved(void)
{
	report_base("base");
	try_base("base.bit_0", ENABLE | 1);
	try_base("base.bit_7", ENABLE | 0x80);
	try_base("base.bit_9", ENABLE | 0x200);
	try_base("base.bit_62", ENABLE | 1ull << 62);
	report_base("base.unchanged");
	// BSP is set by hardware: software cannot take it away.
	wrmsr(MSR_APIC_BASE, LAPIC_BASE | ENABLE);
	report_base("base.bsp_is_kept");
}

// 11.4.7.1 and 11.4.3: after a global disable the registers are those of power-up.
static void modes_disabled(void)
{
	lapic_write(LAPIC_TPR, 0x30);
	lapic_write(LAPIC_LDR, 0x05000000);
	lapic_write(LAPIC_DFR, 0x0fffffff);
	lapic_write(LAPIC_LINT1, 0x400);
	lapic_write(LAPIC_TDCR, 0xb);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED | 0x50);
	lapic_write(LAPIC_TMICT, 0xffffffff);
	self_ipi(0x22);
	try_base("disable", 0);
	report_base("disabled");
	report("disabled.page = 0x%x", read32(LAPIC_BASE + LAPIC_VERSION));
	try_base("disabled.to_x2apic", ENABLE | X2APIC);
	try_base("disabled.x2apic_without_enable", X2APIC);
	try_base("enable", ENABLE);
	report_base("enabled");
	report("reset.svr = 0x%x", lapic_read(LAPIC_SVR));
	report("reset.tpr = 0x%x ppr = 0x%x", lapic_read(LAPIC_TPR), lapic_read(LAPIC_PPR));
	report("reset.ldr = 0x%x dfr = 0x%x", lapic_read(LAPIC_LDR), lapic_read(LAPIC_DFR));
	for (unsigned offset = LAPIC_TIMER; offset <= LAPIC_ERROR; offset += 16)
		report("reset.lvt 0x%x = 0x%x", offset, lapic_read(offset));
	report("reset.irr = 0x%x isr = 0x%x", lapic_read(LAPIC_IRR + 0x10),
		lapic_read(LAPIC_ISR + 0x10));
	report("reset.icr = 0x%x 0x%x esr = 0x%x", lapic_read(LAPIC_ICR),
		lapic_read(LAPIC_ICR_HIGH), lapic_read(LAPIC_ESR));
	report("reset.timer = %u %u 0x%x", lapic_read(LAPIC_TMICT), lapic_read(LAPIC_TMCCT),
		lapic_read(LAPIC_TDCR));
	report("reset.id = 0x%x", lapic_read(LAPIC_ID));
	irq_window();
	report_irqs("reset.interrupts");
	prepare();
	self_ipi(0x23);
	irq_window();
	report_irqs("enabled.self");
}

// 11.4.3: without the LAPIC the PIC's INTR goes to the processor itself.
static void pic_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	outb(PIC_MASTER, 0x20);
}

static void modes_disabled_intr(void)
{
	trap_set_hook(PIC_VECTOR, pic_hook);
	pic_init(0xfe, 0xff);
	pit_rise();
	irq_window();
	report_irqs("intr.lint0_masked");
	wrmsr(MSR_APIC_BASE, LAPIC_BASE | BSP);
	irq_window();
	report_irqs("intr.disabled");
	pit_stop();
	pic_init(0xff, 0xff);
	wrmsr(MSR_APIC_BASE, LAPIC_BASE | BSP | ENABLE);
	trap_set_hook(PIC_VECTOR, irq_hook);
	prepare();
}

// 11.4.4: the page moves.
static void modes_relocation(void)
{
	uint32_t other = LAPIC_BASE + 0x10000;

	wrmsr(MSR_APIC_BASE, other | BSP | ENABLE);
	report("moved.version = 0x%x svr = 0x%x", read32(other + LAPIC_VERSION),
		read32(other + LAPIC_SVR));
	report("moved.old_page_answers = %u", read32(LAPIC_BASE + LAPIC_VERSION) == 0x50014);
	wrmsr(MSR_APIC_BASE, LAPIC_BASE | BSP | ENABLE);
	report("moved_back.version = 0x%x", lapic_read(LAPIC_VERSION));
}

// Table 11-6: what can be read, what can be written.
static void modes_msr_rules(void)
{
	uint64_t readable = 0;

	for (uint32_t i = 0; i < 0x40; i++) {
		uint32_t msr = MSR_X2APIC + i;

		if (!trap_catch(do_rdmsr, &msr))
			readable |= 1ull << i;
	}
	report("x2apic.readable = 0x%lx", readable);
	try_write("x2apic.write.id", 0x802, 0);
	try_write("x2apic.write.version", 0x803, 0);
	try_write("x2apic.write.tpr", 0x808, 0x20);
	try_write("x2apic.write.tpr.bit_8", 0x808, 0x100);
	try_write("x2apic.write.ppr", 0x80a, 0);
	try_write("x2apic.write.eoi", 0x80b, 0);
	try_write("x2apic.write.eoi.not_0", 0x80b, 1);
	try_write("x2apic.write.ldr", 0x80d, 1);
	try_write("x2apic.write.dfr", 0x80e, 0xffffffff);
	try_write("x2apic.write.svr", 0x80f, 0x1ff);
	try_write("x2apic.write.svr.bit_13", 0x80f, 0x21ff);
	try_write("x2apic.write.isr", 0x810, 0);
	try_write("x2apic.write.irr", 0x820, 0);
	try_write("x2apic.write.esr", 0x828, 0);
	try_write("x2apic.write.esr.not_0", 0x828, 1);
	try_write("x2apic.write.icr.bit_20", 0x830, 0x100000);
	try_write("x2apic.write.icr_high", 0x831, 0);
	try_write("x2apic.write.timer.bit_20", 0x832, 0x110000);
	try_write("x2apic.write.timer.bit_32", 0x832, 0x100010000);
	try_write("x2apic.write.lint0.masked", 0x835, LAPIC_MASKED);
	try_write("x2apic.write.initial.bit_32", 0x838, 0x100000000);
	try_write("x2apic.write.current", 0x839, 0);
	try_write("x2apic.write.divide", 0x83e, 0xb);
	try_write("x2apic.write.divide.bit_2", 0x83e, 4);
	try_write("x2apic.write.self.bit_8", 0x83f, 0x120);
	try_write("x2apic.write.beyond", 0x840, 0);
	wrmsr(0x808, 0);
}

static void modes_x2apic_ipis(void)
{
	wrmsr(0x83f, 0x31);
	irq_window();
	report_irqs("x2apic.self_ipi");
	lapic_send(0, IPI_PHYSICAL | 0x32);
	irq_window();
	report_irqs("x2apic.physical");
	lapic_send(0xff, IPI_PHYSICAL | 0x33); // an id of 32 bits: no broadcast
	irq_window();
	report_irqs("x2apic.physical_0xff");
	lapic_send(0xffffffff, IPI_PHYSICAL | 0x34);
	irq_window();
	report_irqs("x2apic.broadcast");
	report("x2apic.icr = 0x%lx", rdmsr(0x830));
	lapic_send(1, IPI_LOGICAL | 0x35);
	irq_window();
	report_irqs("x2apic.logical");
	lapic_send(2, IPI_LOGICAL | 0x36);
	lapic_send(0x10001, IPI_LOGICAL | 0x37);
	irq_window();
	report_irqs("x2apic.logical.others");
	wrmsr(0x828, 0);
	wrmsr(0x83f, 7);
	wrmsr(0x828, 0);
	report("x2apic.self_ipi.illegal = 0x%lx", rdmsr(0x828));
	wrmsr(0x828, 0);
	// An MSI or I/O APIC entry has eight bits of destination.
	ioapic_route(PIN_PIT, 0x38, 0);
	pit_rise();
	irq_window();
	report_irqs("x2apic.ioapic");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
}

// Figure 11-27: the transitions.
static void modes_x2apic(void)
{
	uint32_t msr = 0x803;

	if (!lapic_has_x2apic()) {
		report("x2apic = absent");
		return;
	}
	lapic_write(LAPIC_TPR, 0x20);
	lapic_write(LAPIC_LDR, 0x05000000);
	self_ipi(0x25);
	try_base("xapic.to_x2apic", ENABLE | X2APIC);
	lapic_x2apic = true;
	report_base("x2apic.base");
	report("x2apic.page = 0x%x", read32(LAPIC_BASE + LAPIC_VERSION));
	report("x2apic.keeps tpr = 0x%x svr = 0x%x irr = %u", lapic_read(LAPIC_TPR),
		lapic_read(LAPIC_SVR), lapic_irr(0x25));
	report("x2apic.id = 0x%x ldr = 0x%x", lapic_read(LAPIC_ID), lapic_read(LAPIC_LDR));
	lapic_write(LAPIC_TPR, 0);
	irq_window();
	report_irqs("x2apic.pending");
	modes_msr_rules();
	modes_x2apic_ipis();
	try_base("x2apic.to_x2apic", ENABLE | X2APIC);
	try_base("x2apic.to_xapic", ENABLE);
	try_base("x2apic.to_x2apic_without_enable", X2APIC);
	report_base("x2apic.still");
	try_base("x2apic.to_disabled", 0);
	report_base("x2apic.disabled");
	report_trap("disabled.msr", do_rdmsr, &msr);
	try_base("disabled.to_x2apic_again", ENABLE | X2APIC);
	try_base("disabled.to_xapic", ENABLE);
	lapic_x2apic = false;
	report_trap("xapic.msr", do_rdmsr, &msr);
	report("xapic.svr = 0x%x ldr = 0x%x", lapic_read(LAPIC_SVR), lapic_read(LAPIC_LDR));
	prepare();
	self_ipi(0x26);
	irq_window();
	report_irqs("xapic.self");
}

void payload_main(void)
{
	for (unsigned vector = 0x20; vector < 0x40; vector++)
		trap_set_hook(vector, irq_hook);
	// The emulator never enables a LAPIC again that was disabled, and cannot move it.
	if (cpu_is_bare_emulator()) {
		report("skipped");
		return;
	}
	modes_reserved();
	modes_disabled();
	modes_disabled_intr();
	modes_relocation();
	modes_x2apic();
}
