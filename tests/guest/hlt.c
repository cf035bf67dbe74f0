// SPDX-License-Identifier: BSD-2-Clause
// HLT: what wakes it, in which order things happen, and the shadow of STI. SDM vol. 2, HLT, STI.
#include "lib/payload.h"

PAYLOAD("hlt");

enum { VECTOR_TIMER = 0x50, VECTOR_PIT = 0x60, VECTOR_IPI = 0x70 };

static volatile uint64_t hlt_rip_after;

static void hlt_hook(struct trap_frame *frame)
{
	hlt_rip_after = frame->rip;
	irq_hook(frame);
}

// The interrupt is taken after HLT: the return address is that of the next instruction.
static bool hlt_and_check(void)
{
	uint64_t after;

	__asm__ volatile("lea 1f(%%rip), %0; sti; hlt; 1: cli" : "=r"(after) : : "memory");
	return hlt_rip_after == after;
}

static void hlt_lapic(void)
{
	lapic_write(LAPIC_TIMER, VECTOR_TIMER);
	lapic_write(LAPIC_TMICT, 50000);
	report_check("lapic.return_address", hlt_and_check());
	report_irqs("lapic.woke_by");
	report("lapic.count_left = %u", lapic_read(LAPIC_TMCCT));
	for (unsigned i = 0; i < 3; i++) {
		lapic_write(LAPIC_TMICT, 20000);
		sti_hlt_cli();
	}
	report_irqs("lapic.three_times");
	// A masked interrupt flag does not lose the interrupt.
	lapic_write(LAPIC_TMICT, 1000);
	spin(20000);
	report("lapic.while_cli = %u", irq_count);
	report("lapic.irr = %u", lapic_irr(VECTOR_TIMER));
	sti_hlt_cli();
	report_irqs("lapic.pending_wakes_sti_hlt");
}

static void hlt_pit(void)
{
	ioapic_route(2, VECTOR_PIT, 0);
	pit_one_shot(100);
	report_check("pit.return_address", hlt_and_check());
	report_irqs("pit.woke_by");
	pit_periodic(2000); // 1.7 ms: the host may be slow
	for (unsigned i = 0; i < 3; i++)
		sti_hlt_cli();
	outb(0x43, 0x30);
	report_irqs("pit.three_times");
	ioapic_route(2, LAPIC_MASKED, 0);
	irq_window(); // where time is short, one more came before the PIT stopped
	irq_clear();
}

// Nothing is delivered between STI and the next instruction.
static void hlt_shadow(void)
{
	uint64_t before = 1, after = 1;

	lapic_send(0, 0x40000 | VECTOR_IPI);
	spin(2000);
	report("shadow.pending = %u", lapic_irr(VECTOR_IPI));
	__asm__ volatile("sti; mov %2, %0; mov %2, %1; cli"
			 : "=&r"(before), "=&r"(after) : "m"(irq_count) : "memory");
	report("shadow.count_in_shadow = %lu", before & 0xffffffff);
	report("shadow.count_after = %lu", after & 0xffffffff);
	irq_clear();
	// STI; CLI leaves no room.
	lapic_send(0, 0x40000 | VECTOR_IPI);
	spin(2000);
	__asm__ volatile("sti; cli; nop" : : : "memory");
	report_irqs("shadow.sti_cli");
	// With the flag already set, STI casts no shadow; POPF casts none either.
	__asm__ volatile("pushfq; orl $0x200, (%%rsp); popfq; mov %1, %0; cli"
			 : "=r"(before) : "m"(irq_count) : "memory");
	report("shadow.popf = %lu", before & 0xffffffff);
	irq_clear();
}

static void hlt_priority(void)
{
	lapic_send(0, 0x40000 | VECTOR_IPI);
	lapic_write(LAPIC_TIMER, VECTOR_TIMER);
	lapic_write(LAPIC_TMICT, 100);
	spin(20000);
	sti_hlt_cli();
	irq_window();
	report_irqs("two_pending_highest_first");
	// TPR holds back the lower class; the timer later lets nothing through but 0x70.
	lapic_write(LAPIC_TPR, 0x50);
	lapic_write(LAPIC_TMICT, 100);
	spin(20000);
	lapic_send(0, 0x40000 | VECTOR_IPI);
	sti_hlt_cli();
	report_irqs("tpr_0x50");
	lapic_write(LAPIC_TPR, 0);
	irq_window();
	report_irqs("tpr_0");
}

void payload_main(void)
{
	trap_set_hook(VECTOR_TIMER, hlt_hook);
	trap_set_hook(VECTOR_PIT, hlt_hook);
	trap_set_hook(VECTOR_IPI, hlt_hook);
	hlt_lapic();
	hlt_pit();
	hlt_shadow();
	hlt_priority();
}
