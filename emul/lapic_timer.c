// SPDX-License-Identifier: BSD-2-Clause
// The timer of the local APIC: one-shot, periodic and TSC-deadline mode. SDM vol. 3, 11.5.4.
//
// The timer's clock runs at exactly 1 GHz, so a count at divide 1 is a nanosecond of guest time.
// What is kept is the time of the next expiry; the current count follows from it.
//
// Where the SDM leaves room:
// - A change between one-shot and periodic mode lets the count run on; only a change to or from
//   TSC-deadline mode disarms the timer. (Processors do so; what the count does when it reaches
//   zero is decided by the mode it then finds.)
// - A write to the divide register changes the rate of the present count from then on.
// - A periodic timer shorter than 1 us expires on every n-th of its own deadlines only, n being the
//   least that makes 1 us of it. The vectors in between would have met their own bit in the IRR.
//
// Called by lapic.c, and for the TSC by the vcpu's run loop (vm/), under the device lock.
#include "emul/lapic_internal.h"

#include "kernel/base/assert.h"

enum {
	EXPIRY_MIN_NS = 1000,
};

static void timer_arm(struct lapic *lapic, uint64_t deadline_ns)
{
	lapic->timer_deadline_ns = deadline_ns;
	device_arm_timer(&lapic->device, LAPIC_TIMER, (struct guest_time){deadline_ns});
}

static void timer_stop(struct lapic *lapic)
{
	timer_arm(lapic, GUEST_TIME_NEVER.ns);
}

static uint32_t timer_mode(const struct lapic *lapic)
{
	return lapic->lvt[0] & LVT_TIMER_MODE;
}

static uint64_t period_ns(const struct lapic *lapic)
{
	return (uint64_t)lapic->timer_initial << lapic->timer_shift;
}

// Divide configuration: bits 3, 1 and 0 count 2, 4, ..., 128, 1. SDM figure 11-10.
static uint8_t divide_shift(uint32_t divide)
{
	return (uint8_t)((((divide & 3) | ((divide >> 1) & 4)) + 1) & 7);
}

void lapic_timer_reset(struct lapic *lapic)
{
	lapic->timer_initial = 0;
	lapic->timer_divide = 0;
	lapic->timer_shift = divide_shift(0);
	lapic->tsc_deadline = 0;
	timer_stop(lapic);
}

void lapic_timer_loaded(struct lapic *lapic)
{
	lapic->timer_shift = divide_shift(lapic->timer_divide);
	timer_arm(lapic, lapic->timer_deadline_ns);
}

// No drift: the next deadline follows from the last, not from `now`.
static uint64_t next_periodic(const struct lapic *lapic, struct guest_time now)
{
	uint64_t step = period_ns(lapic), late = now.ns - lapic->timer_deadline_ns;

	ASSERT(step != 0);
	if (step < EXPIRY_MIN_NS)
		step *= (EXPIRY_MIN_NS + step - 1) / step;
	ASSERT(step >= EXPIRY_MIN_NS);
	if (likely(late < step))
		return lapic->timer_deadline_ns + step;
	return lapic->timer_deadline_ns + step * (late / step + 1);
}

void lapic_timer_expire(struct lapic *lapic, struct guest_time now)
{
	if (lapic->timer_deadline_ns > now.ns) { // nothing is due: keep what was armed
		timer_arm(lapic, lapic->timer_deadline_ns);
		return;
	}
	if (timer_mode(lapic) == LVT_TIMER_PERIODIC) {
		timer_arm(lapic, next_periodic(lapic, now));
	} else {
		lapic->tsc_deadline = 0;
		timer_stop(lapic);
	}
	lapic_deliver_fixed(lapic, lapic->lvt[0]);
}

// A write that comes between a deadline and its expiry does not swallow the interrupt.
static void timer_catch_up(struct lapic *lapic, struct guest_time now)
{
	if (unlikely(lapic->timer_deadline_ns <= now.ns))
		lapic_timer_expire(lapic, now);
}

// Time left of the present period. More than one may lie before a shortened timer's deadline.
static uint64_t remaining_ns(const struct lapic *lapic, struct guest_time now)
{
	uint64_t left, period = period_ns(lapic);

	if (lapic->timer_deadline_ns == GUEST_TIME_NEVER.ns || period == 0)
		return 0;
	if (timer_mode(lapic) != LVT_TIMER_PERIODIC) {
		left = lapic->timer_deadline_ns > now.ns ? lapic->timer_deadline_ns - now.ns : 0;
		return left < period ? left : period;
	}
	if (lapic->timer_deadline_ns > now.ns)
		return (lapic->timer_deadline_ns - now.ns - 1) % period + 1;
	return period - (now.ns - lapic->timer_deadline_ns) % period;
}

uint32_t lapic_timer_current(const struct lapic *lapic, struct guest_time now)
{
	uint64_t round_up = BIT(lapic->timer_shift) - 1;

	if (lapic->lvt[0] & LVT_TIMER_DEADLINE)
		return 0;
	return (uint32_t)((remaining_ns(lapic, now) + round_up) >> lapic->timer_shift);
}

void lapic_timer_write_initial(struct lapic *lapic, struct guest_time now, uint32_t value)
{
	timer_catch_up(lapic, now);
	if (unlikely(lapic->lvt[0] & LVT_TIMER_DEADLINE))
		return;
	lapic->timer_initial = value;
	if (value == 0)
		timer_stop(lapic);
	else
		timer_arm(lapic, now.ns + period_ns(lapic));
}

void lapic_timer_write_divide(struct lapic *lapic, struct guest_time now, uint32_t value)
{
	uint64_t count;

	timer_catch_up(lapic, now);
	count = lapic_timer_current(lapic, now);
	lapic->timer_divide = value & 0xb;
	lapic->timer_shift = divide_shift(value);
	if (count != 0)
		timer_arm(lapic, now.ns + (count << lapic->timer_shift));
}

void lapic_timer_write_lvt(struct lapic *lapic, struct guest_time now, uint32_t value)
{
	uint32_t changed;
	uint64_t left;

	timer_catch_up(lapic, now);
	changed = (lapic->lvt[0] ^ value) & LVT_TIMER_MODE;
	left = remaining_ns(lapic, now);
	lapic->lvt[0] = value;
	if (changed == 0)
		return;
	if (changed == LVT_TIMER_PERIODIC && !(value & LVT_TIMER_DEADLINE)) {
		if (left != 0)
			timer_arm(lapic, now.ns + left);
		return;
	}
	lapic->timer_initial = 0;
	lapic->tsc_deadline = 0;
	timer_stop(lapic);
}

// TSC ticks in guest time. Split at the second so that nothing overflows short of the TSC itself,
// which wraps.
static uint64_t tsc_of_time(const struct lapic *lapic, struct guest_time now)
{
	uint64_t seconds = now.ns / NS_PER_SECOND, rest = now.ns % NS_PER_SECOND;

	return seconds * lapic->tsc_hz + rest * lapic->tsc_hz / NS_PER_SECOND;
}

// The first nanosecond at which tsc_of_time() has reached `ticks`.
static uint64_t time_of_tsc(const struct lapic *lapic, uint64_t ticks)
{
	uint64_t seconds = ticks / lapic->tsc_hz, rest = ticks % lapic->tsc_hz;

	if (seconds >= GUEST_TIME_NEVER.ns / NS_PER_SECOND)
		return GUEST_TIME_NEVER.ns;
	return seconds * NS_PER_SECOND + (rest * NS_PER_SECOND + lapic->tsc_hz - 1) / lapic->tsc_hz;
}

uint64_t lapic_guest_tsc(const struct device *device, struct guest_time now)
{
	const struct lapic *lapic = lapic_of_const(device);

	return tsc_of_time(lapic, now) + lapic->tsc_offset;
}

// Arms for the deadline in force; one that has passed expires here and now. SDM 11.5.4.1.
static void deadline_arm(struct lapic *lapic, struct guest_time now)
{
	uint64_t ticks = tsc_of_time(lapic, now), tsc = ticks + lapic->tsc_offset, ahead;

	if (lapic->tsc_deadline <= tsc) {
		lapic->timer_deadline_ns = now.ns;
		lapic_timer_expire(lapic, now);
		return;
	}
	ahead = lapic->tsc_deadline - tsc;
	timer_arm(lapic, ticks + ahead < ticks ? GUEST_TIME_NEVER.ns :
						 time_of_tsc(lapic, ticks + ahead));
}

uint64_t lapic_tsc_deadline_read(const struct device *device)
{
	return lapic_of_const(device)->tsc_deadline;
}

void lapic_tsc_deadline_write(struct device *device, struct guest_time now, uint64_t value)
{
	struct lapic *lapic = lapic_of(device);

	if (timer_mode(lapic) != LVT_TIMER_DEADLINE)
		return;
	timer_catch_up(lapic, now);
	lapic->tsc_deadline = value;
	if (value != 0)
		deadline_arm(lapic, now);
	else
		timer_stop(lapic);
}

void lapic_set_tsc_offset(struct device *device, struct guest_time now, int64_t offset)
{
	struct lapic *lapic = lapic_of(device);

	if (lapic->tsc_deadline != 0)
		timer_catch_up(lapic, now);
	lapic->tsc_offset = (uint64_t)offset;
	if (lapic->tsc_deadline != 0)
		deadline_arm(lapic, now);
}

const char *lapic_timer_check(const struct lapic *lapic)
{
	bool armed = lapic->timer_deadline_ns != GUEST_TIME_NEVER.ns;

	if (lapic->timer_divide & ~(uint32_t)0xb)
		return "reserved bit set in the timer's divide configuration";
	if (timer_mode(lapic) != LVT_TIMER_DEADLINE && lapic->tsc_deadline != 0)
		return "TSC deadline outside of TSC-deadline mode";
	if ((lapic->lvt[0] & LVT_TIMER_DEADLINE) && lapic->timer_initial != 0)
		return "initial count in TSC-deadline mode";
	if (armed && lapic->timer_initial == 0 && lapic->tsc_deadline == 0)
		return "timer armed with neither a count nor a TSC deadline";
	return NULL;
}
