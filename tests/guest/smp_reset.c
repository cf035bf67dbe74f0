// SPDX-License-Identifier: BSD-2-Clause
// Resets that CPUs other than the first bring about: a triple fault (SDM vol. 3, 6.15), the reset
// port, an INIT of the boot CPU, and requests of all CPUs at the same moment. After each the
// machine is as after power-on: the others wait for STARTUP.
#include "lib/smp.h"

PAYLOAD("smp_reset");

enum { STAGE = 0x50, MARK = 0xb0, CPUS = 4 };

static void triple_fault(void *argument)
{
	static const uint16_t no_idt[5];

	(void)argument;
	__asm__ volatile("lidt (%0); int3" : : "r"(no_idt) : "memory");
}

static void reset_port(void *argument)
{
	(void)argument;
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	spin(400000000);
}

static void init_of_boot_cpu(void *argument)
{
	(void)argument;
	lapic_send(0, ICR_INIT | ICR_ASSERT);
	spin(400000000);
}

static void all_at_once(void *argument)
{
	static struct smp_barrier barrier;

	smp_barrier(&barrier, CPUS);
	if (smp_self()->index % 2 != 0)
		triple_fault(argument);
	reset_port(argument);
}

static void on_another(smp_function *function)
{
	smp_run(2, function, NULL);
	(void)smp_wait_done(2);
}

void payload_main(void)
{
	static const char *const names[] = {"triple_fault", "reset_port", "init_of_boot_cpu",
		"all_at_once", "end"};
	unsigned stage = cmos_read(STAGE);

	stage = stage >= MARK && stage <= MARK + 4 ? stage - MARK : 0;
	report("stage %u = %s", stage, names[stage]);
	smp_init();
	report("starts = %u", smp_cpus[2].starts);
	smp_start_all();
	report("apic_base = 0x%lx", rdmsr(MSR_APIC_BASE));
	if (stage == 4) {
		cmos_write(STAGE, 0);
		return;
	}
	cmos_write(STAGE, (uint8_t)(MARK + stage + 1));
	switch (stage) {
	case 0:
		on_another(triple_fault);
		break;
	case 1:
		on_another(reset_port);
		break;
	case 2:
		on_another(init_of_boot_cpu);
		break;
	default:
		(void)smp_run_all(CPUS, all_at_once, NULL);
	}
	report("reset = WRONG");
}
