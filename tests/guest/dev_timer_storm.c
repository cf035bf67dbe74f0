// SPDX-License-Identifier: BSD-2-Clause
// Timers programmed as fast as they go: the PIT with periods of 1 (illegal, 8254 data sheet, modes
// 2 and 3) and 2 ticks, the LAPIC's timer with a period of one count (SDM vol. 3, 11.5.4). With
// interrupts off they cost the processor nothing: the program goes on, and one interrupt waits.
#include "lib/dev.h"

PAYLOAD("dev_timer_storm");

enum { PIT_VECTOR = 0x50, LAPIC_VECTOR = 0x60, ROUNDS = 100000 };

static unsigned work(void)
{
	volatile unsigned done = 0;

	for (unsigned i = 0; i < ROUNDS; i++)
		done = done + 1;
	return done;
}

void payload_main(void)
{
	trap_set_hook(PIT_VECTOR, irq_hook);
	trap_set_hook(LAPIC_VECTOR, irq_hook);
	for (unsigned mode = 2; mode <= 3; mode++) {
		for (unsigned count = 1; count <= 4; count++) {
			ioapic_route(PIN_PIT, PIT_VECTOR, 0);
			pit_program(0, mode, count);
			unsigned done = work();
			pit_stop();
			ioapic_route(PIN_PIT, RTE_MASKED, 0);
			irq_window();
			report("pit.mode%u.count%u: work %u interrupts %u", mode, count,
				done == ROUNDS, irq_count);
			irq_clear();
		}
	}
	for (unsigned count = 1; count <= 4; count++) {
		lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | LAPIC_VECTOR);
		lapic_write(LAPIC_TMICT, count);
		unsigned done = work();
		lapic_write(LAPIC_TIMER, LAPIC_MASKED);
		lapic_write(LAPIC_TMICT, 0);
		irq_window();
		report("lapic.count%u: work %u interrupts %u", count, done == ROUNDS, irq_count);
		irq_clear();
	}
}
