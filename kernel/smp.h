// SPDX-License-Identifier: BSD-2-Clause
// All CPUs of the machine: starting them, and what they say to each other.
//
// Each CPU runs an event loop of its own (kernel/loop.h) and owns its timers, fibers and tasks.
// CPUs share nothing else but what has a lock, and ask each other by message.
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include "kernel/boot_info.h"
#include "kernel/cpu.h"

// Who tells which CPUs there are.
enum smp_source {
	SMP_SOURCE_AUTO, // the first of the following that knows any
	SMP_SOURCE_ACPI, // the MADT
	SMP_SOURCE_MP,   // UEFI's MP Services
	SMP_SOURCE_PROBE // a start-up message to all, and a count of those who answer
};

struct smp_config {
	enum smp_source source;
	uint32_t limit; // CPUs to use at most, 1 to CPU_MAX
};

// Starts the other CPUs: on return each runs its event loop, or has been reported by its APIC id.
// On the boot CPU, once, after timer_init and before loop_run.
void smp_start(const struct boot_info *info, const struct smp_config *config);

// Has message->run(message) called in the event loop of `cpu`, after what was posted to it before.
// Does not wait. From any context; the message is kept alive until `run` is called.
void smp_post(struct cpu *cpu, struct cpu_message *message);

// Has run(argument) called in the event loop of `cpu` and waits for it; a plain call where that is
// the calling CPU. In a fiber, whose CPU goes on with others meanwhile, or before the boot CPU's
// loop_run. `run` must not wait for anything.
void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument);

#endif
