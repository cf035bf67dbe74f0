// SPDX-License-Identifier: BSD-2-Clause
// Host time: the time-stamp counter, calibrated at boot against the HPET, the ACPI PM timer or the
// PIT, whichever is there, best first.
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include "kernel/base/types.h"

struct clock_calibration {
	const char *reference; // name of the clock that measured
	uint64_t tsc_hz;
	uint64_t apic_hz; // LAPIC timer at divide 1
};

// Nanoseconds = ticks * mult >> shift, exact to 1e-9; one multiplication.
struct clock_scale {
	uint64_t mult;
	uint32_t shift;
};

// Nanoseconds of the TSC: ticks * clock_tsc_to_ns >> CLOCK_TSC_SHIFT. Constant after clock_init.
#define CLOCK_TSC_SHIFT 48
extern uint64_t clock_tsc_to_ns;

void clock_init(void);
const struct clock_calibration *clock_calibration(void);

static always_inline uint64_t clock_scale_apply(struct clock_scale scale, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * scale.mult >> scale.shift);
}

static always_inline uint64_t clock_tsc_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * clock_tsc_to_ns >> CLOCK_TSC_SHIFT);
}

// Ticks that take at least `ns`.
uint64_t clock_ns_to_tsc(uint64_t ns);

// The first ticks of which clock_tsc_ns() makes `ns` or more; of less than 2^62 ticks.
static inline uint64_t clock_ns_first_tsc(uint64_t ns)
{
	uint64_t ticks = mul_div_u64(ns, BIT(CLOCK_TSC_SHIFT), clock_tsc_to_ns);

	return clock_tsc_ns(ticks) >= ns ? ticks : ticks + 1;
}

// Busy-waits; for boot only.
void clock_wait_us(uint32_t us);

// Seconds since 1970 by the host's RTC, taken as UTC. Waits for at most 2 ms.
uint64_t clock_rtc_seconds(void);

#endif
