// SPDX-License-Identifier: BSD-2-Clause
// NMIs sent to oneself; blocked until IRET (SDM vol. 3, 6.7.1); waking HLT.
#include "lib/payload.h"

PAYLOAD("nmi");

enum { NMI_TO_SELF = 0x4400 }; // physical destination 0, delivery mode NMI

static volatile unsigned nmi_depth, nmi_deepest, nmi_resend;
static volatile uint64_t nmi_flags;

static void nmi_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	nmi_flags = read_flags();
	if (++nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	if (nmi_resend != 0) {
		nmi_resend--;
		lapic_send(0, NMI_TO_SELF);
		spin(5000);
		report("in_handler.count = %u", irq_count);
	}
	nmi_depth--;
}

static void nmi_send(void)
{
	lapic_send(0, NMI_TO_SELF);
	spin(5000);
}

// INT3 inside of the handler: its IRET unblocks NMIs although the handler has not ended.
static void nmi_breakpoint_hook(struct trap_frame *frame)
{
	(void)frame;
}

static void nmi_with_iret_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	if (irq_count != 1)
		return;
	lapic_send(0, NMI_TO_SELF);
	spin(5000);
	report("nested.before_iret = %u", irq_count);
	__asm__ volatile("int3");
	spin(100);
	report("nested.after_iret = %u", irq_count);
}

void payload_main(void)
{
	trap_set_hook(2, nmi_hook);
	nmi_send();
	report("with_interrupts_off = %u", irq_count);
	report("handler.if = %lu", nmi_flags >> 9 & 1);
	irq_clear();
	nmi_resend = 1;
	nmi_send();
	report("resent.count = %u", irq_count);
	report("resent.deepest = %u", nmi_deepest);
	irq_clear();
	trap_set_hook(3, nmi_breakpoint_hook);
	trap_set_hook(2, nmi_with_iret_hook);
	nmi_send();
	report("nested.total = %u", irq_count);
	irq_clear();
	// An NMI wakes HLT even with interrupts off: it comes through the timer's LVT.
	trap_set_hook(2, nmi_hook);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	lapic_write(LAPIC_LINT1, 0x400);
	report("lint1.mode = 0x%x", lapic_read(LAPIC_LINT1) & 0x700);
	// The PIT through the I/O APIC with delivery mode NMI.
	ioapic_route(2, 0x400, 0);
	pit_one_shot(100);
	__asm__ volatile("cli; hlt");
	report_irqs("hlt_with_cli.woke_by");
	ioapic_route(2, LAPIC_MASKED, 0);
}
