// SPDX-License-Identifier: BSD-2-Clause
// MC146818 real-time clock as a PC has it: index port 0x70, data port 0x71, 128 bytes of CMOS.
//
// Specification: Motorola MC146818 data sheet ("Register A" to "Register D", "Update Cycle"), and
// Intel 82371AB (PIIX4) for 128 bytes, the index port and its NMI mask.
//
// The clock is lazy. Its time bytes and flags are those of guest time `settled`; every stimulus
// first moves them to `now` by arithmetic, whatever the distance. Seconds end at guest times equal
// to `phase_ns` modulo one second, and the divider's taps, which make the periodic interrupt, are
// counted from there. A timer is armed only while an enabled interrupt has yet to come: an idle
// clock costs nothing, and one whose interrupt the guest leaves unanswered costs nothing either.
// The shortest period, 122 us, is the hardware's own and needs no clamp.
//
// Time bytes are kept as the guest wrote them until the next update; one out of range then counts
// as the nearest value in range. Changing the data mode does not convert them (data sheet, "Time,
// Calendar, and Alarm Locations"). The century byte is counted in the same data mode.
//
// Left out: the square-wave pin (SQWE is stored), daylight saving (DSE is stored), the divider's
// settings other than 32.768 kHz (they stop the clock), the 1984 us of the update cycle itself
// (the new time appears at its end). NMI starts unmasked, as firmware leaves it.
//
// Entered by the VM's bus only; mc146818_configure and mc146818_set_cmos by vm/ at creation.
#include "emul/mc146818.h"

#include <string.h>

#include "emul/mc146818_calendar.h"
#include "kernel/base/assert.h"

enum {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	WEEKDAY = 0x06, // 1 is Sunday
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REGISTER_A = 0x0a,
	REGISTER_B = 0x0b,
	REGISTER_C = 0x0c,
	REGISTER_D = 0x0d,
	CMOS_MEMORY = 0x0e, // first byte of plain memory

	A_UIP = 0x80, // derived, never stored
	A_DIVIDER = 0x70,
	A_DIVIDER_RUN = 0x20,
	A_RATE = 0x0f,

	B_SET = 0x80,
	B_PIE = 0x40,
	B_AIE = 0x20,
	B_UIE = 0x10,
	B_SQWE = 0x08,
	B_BINARY = 0x04,
	B_24_HOURS = 0x02,

	C_IRQF = 0x80, // derived, never stored
	C_PF = 0x40,
	C_AF = 0x20,
	C_UF = 0x10,
	C_FLAGS = C_PF | C_AF | C_UF, // each in the place of its enable bit in register B

	D_VRT = 0x80, // the battery is good

	ALARM_ANY = 0xc0, // both bits set: this field of the alarm always matches
	INDEX_MASK = 0x7f,
	INDEX_NMI_MASK = 0x80,

	DIVIDER_HZ = 32768,
};

#define UIP_NS         ((uint64_t)244000) // "Update Cycle": UIP precedes the update by 244 us
#define FIRST_HALF_NS  (NS_PER_SECOND / 2) // from the divider's release to the first update
#define ALARM_NEVER    UINT64_MAX

struct mc146818 {
	struct device device;
	struct guest_time settled; // up to when time bytes and flags are accounted for
	uint32_t phase_ns;         // guest time of the updates modulo one second
	uint8_t index;
	uint8_t nmi_masked;
	uint8_t reserved[2];
	uint8_t cmos[MC146818_CMOS_BYTES]; // registers and time included
};

static struct mc146818 *mc146818_of(struct device *device)
{
	return CONTAINER_OF(device, struct mc146818, device);
}

// ---- Bytes and their data modes (data sheet, table 3)

static uint32_t byte_decode(const struct mc146818 *rtc, uint8_t byte)
{
	return rtc_byte_decode(byte, (rtc->cmos[REGISTER_B] & B_BINARY) != 0);
}

static uint8_t byte_encode(const struct mc146818 *rtc, uint32_t value)
{
	return rtc_byte_encode(value, (rtc->cmos[REGISTER_B] & B_BINARY) != 0);
}

static uint32_t hour_decode(const struct mc146818 *rtc, uint8_t byte)
{
	return rtc_hour_decode(byte, (rtc->cmos[REGISTER_B] & B_BINARY) != 0,
		(rtc->cmos[REGISTER_B] & B_24_HOURS) != 0);
}

static uint8_t hour_encode(const struct mc146818 *rtc, uint32_t hour)
{
	return rtc_hour_encode(hour, (rtc->cmos[REGISTER_B] & B_BINARY) != 0,
		(rtc->cmos[REGISTER_B] & B_24_HOURS) != 0);
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

static uint32_t field_decode(const struct mc146818 *rtc, unsigned index, uint32_t low,
	uint32_t high)
{
	return clamp(byte_decode(rtc, rtc->cmos[index]), low, high);
}

static void calendar_load(const struct mc146818 *rtc, struct calendar *calendar)
{
	calendar->year = field_decode(rtc, MC146818_CENTURY, 0, 99) * 100 +
		field_decode(rtc, YEAR, 0, 99);
	calendar->month = field_decode(rtc, MONTH, 1, 12);
	calendar->day = field_decode(rtc, DAY, 1,
		calendar_days_in_month(calendar->year, calendar->month));
	calendar->weekday = field_decode(rtc, WEEKDAY, 1, 7);
	calendar->second = clamp(hour_decode(rtc, rtc->cmos[HOURS]), 0, 23) * 3600 +
		field_decode(rtc, MINUTES, 0, 59) * 60 + field_decode(rtc, SECONDS, 0, 59);
}

static void calendar_store(struct mc146818 *rtc, const struct calendar *calendar)
{
	rtc->cmos[SECONDS] = byte_encode(rtc, calendar->second % 60);
	rtc->cmos[MINUTES] = byte_encode(rtc, calendar->second / 60 % 60);
	rtc->cmos[HOURS] = hour_encode(rtc, calendar->second / 3600);
	rtc->cmos[WEEKDAY] = byte_encode(rtc, calendar->weekday);
	rtc->cmos[DAY] = byte_encode(rtc, calendar->day);
	rtc->cmos[MONTH] = byte_encode(rtc, calendar->month);
	rtc->cmos[YEAR] = byte_encode(rtc, calendar->year % 100);
	rtc->cmos[MC146818_CENTURY] = byte_encode(rtc, calendar->year / 100);
}

// Updates from the present time to the next one at which the alarm matches: 1 to 86400, or
// ALARM_NEVER where an alarm byte is neither a time nor "any".
static uint64_t alarm_distance(const struct mc146818 *rtc)
{
	const uint8_t *cmos = rtc->cmos;
	bool any_second = (cmos[SECONDS_ALARM] & ALARM_ANY) == ALARM_ANY;
	bool any_minute = (cmos[MINUTES_ALARM] & ALARM_ANY) == ALARM_ANY;
	bool any_hour = (cmos[HOURS_ALARM] & ALARM_ANY) == ALARM_ANY;
	uint32_t second = byte_decode(rtc, cmos[SECONDS_ALARM]);
	uint32_t minute = byte_decode(rtc, cmos[MINUTES_ALARM]);
	uint32_t hour = hour_decode(rtc, cmos[HOURS_ALARM]);
	struct calendar calendar;
	uint32_t at;

	if ((!any_second && second > 59) || (!any_minute && minute > 59) ||
		(!any_hour && hour > 23))
		return ALARM_NEVER;
	calendar_load(rtc, &calendar);
	// From the coarsest field that differs, leap to where it matches. A finer field then starts
	// at 0 and its leap cannot carry, so this ends after six leaps at most.
	for (at = calendar.second + 1;;) {
		if (!any_hour && at / 3600 % 24 != hour)
			at = (at / 3600 + (hour + 24 - at / 3600 % 24) % 24) * 3600;
		else if (!any_minute && at / 60 % 60 != minute)
			at = (at / 60 + (minute + 60 - at / 60 % 60) % 60) * 60;
		else if (!any_second && at % 60 != second)
			at += (second + 60 - at % 60) % 60;
		else
			return at - calendar.second;
	}
}

// ---- The divider

static bool divider_runs(const struct mc146818 *rtc)
{
	return (rtc->cmos[REGISTER_A] & A_DIVIDER) == A_DIVIDER_RUN;
}

static bool updates_run(const struct mc146818 *rtc)
{
	return divider_runs(rtc) && !(rtc->cmos[REGISTER_B] & B_SET);
}

// Time since an update that lies up to one second before guest time 0, so that nothing is negative.
static uint64_t phase_time(const struct mc146818 *rtc, struct guest_time at)
{
	return at.ns + NS_PER_SECOND - rtc->phase_ns;
}

static struct guest_time next_update(const struct mc146818 *rtc, struct guest_time after)
{
	return (struct guest_time){
		after.ns + NS_PER_SECOND - phase_time(rtc, after) % NS_PER_SECOND};
}

// Divider ticks from one periodic interrupt to the next, or 0 (data sheet, table 5: 32.768 kHz).
static uint32_t period_ticks(const struct mc146818 *rtc)
{
	uint32_t rate = rtc->cmos[REGISTER_A] & A_RATE;

	if (rate == 0)
		return 0;
	return rate < 3 ? 64U << rate : 1U << (rate - 1);
}

// Whole divider ticks in a part of a second: one is 1953125 / 64 ns.
static uint32_t ticks_of_ns(uint64_t ns)
{
	return (uint32_t)(ns * 64 / 1953125);
}

// Number of periodic interrupts from an arbitrary origin to `at`.
static uint64_t periods_until(const struct mc146818 *rtc, struct guest_time at, uint32_t period)
{
	uint64_t time = phase_time(rtc, at);

	return time / NS_PER_SECOND * (DIVIDER_HZ / period) +
		ticks_of_ns(time % NS_PER_SECOND) / period;
}

static struct guest_time next_period(const struct mc146818 *rtc, struct guest_time after,
	uint32_t period)
{
	uint64_t fraction = phase_time(rtc, after) % NS_PER_SECOND;
	uint64_t tick = (ticks_of_ns(fraction) / period + 1) * (uint64_t)period;

	return (struct guest_time){after.ns + (tick * 1953125 + 63) / 64 - fraction};
}

// Moves time bytes and flags on to `now`.
static void clock_settle(struct mc146818 *rtc, struct guest_time now)
{
	struct guest_time from = rtc->settled;
	uint32_t period = period_ticks(rtc);
	struct calendar calendar;
	uint64_t updates;

	if (now.ns <= from.ns)
		return;
	rtc->settled = now;
	if (!divider_runs(rtc))
		return;
	if (period != 0 && periods_until(rtc, now, period) != periods_until(rtc, from, period))
		rtc->cmos[REGISTER_C] |= C_PF;
	updates = phase_time(rtc, now) / NS_PER_SECOND - phase_time(rtc, from) / NS_PER_SECOND;
	if (updates == 0 || !updates_run(rtc))
		return;
	rtc->cmos[REGISTER_C] |= C_UF;
	if (alarm_distance(rtc) <= updates)
		rtc->cmos[REGISTER_C] |= C_AF;
	calendar_load(rtc, &calendar);
	calendar_advance(&calendar, updates);
	calendar_store(rtc, &calendar);
}

// ---- Outputs and timers

static bool interrupt_pending(const struct mc146818 *rtc)
{
	return (rtc->cmos[REGISTER_B] & rtc->cmos[REGISTER_C] & C_FLAGS) != 0;
}

// Drives the outputs and arms the timers, from the state alone.
static void outputs_update(struct mc146818 *rtc)
{
	struct device *device = &rtc->device;
	bool pending = interrupt_pending(rtc);
	uint32_t enabled = pending || !divider_runs(rtc) ? 0 : rtc->cmos[REGISTER_B];
	struct guest_time periodic = GUEST_TIME_NEVER, alarm = GUEST_TIME_NEVER;
	struct guest_time update = GUEST_TIME_NEVER;

	if ((enabled & B_PIE) && period_ticks(rtc) != 0)
		periodic = next_period(rtc, rtc->settled, period_ticks(rtc));
	if (!updates_run(rtc))
		enabled = 0;
	if (enabled & B_UIE)
		update = next_update(rtc, rtc->settled);
	if (enabled & B_AIE) {
		uint64_t distance = alarm_distance(rtc);

		if (distance != ALARM_NEVER)
			alarm.ns = next_update(rtc, rtc->settled).ns +
				(distance - 1) * NS_PER_SECOND;
	}
	device_arm_timer(device, MC146818_TIMER_PERIODIC, periodic);
	device_arm_timer(device, MC146818_TIMER_ALARM, alarm);
	device_arm_timer(device, MC146818_TIMER_UPDATE, update);
	device_set_line(device, MC146818_OUTPUT_IRQ, pending);
	device_set_line(device, MC146818_OUTPUT_NMI_MASK, rtc->nmi_masked != 0);
}

// ---- Registers

static uint8_t register_c_read(struct mc146818 *rtc)
{
	uint8_t value = rtc->cmos[REGISTER_C];

	value |= interrupt_pending(rtc) ? C_IRQF : 0;
	rtc->cmos[REGISTER_C] = 0;
	return value;
}

static bool update_is_near(const struct mc146818 *rtc, struct guest_time now)
{
	return updates_run(rtc) && next_update(rtc, now).ns - now.ns <= UIP_NS;
}

static uint8_t cmos_read(struct mc146818 *rtc, struct guest_time now)
{
	if (rtc->index >= CMOS_MEMORY && rtc->index != MC146818_CENTURY)
		return rtc->cmos[rtc->index];
	clock_settle(rtc, now);
	if (rtc->index == REGISTER_A)
		return (uint8_t)(rtc->cmos[REGISTER_A] | (update_is_near(rtc, now) ? A_UIP : 0));
	if (rtc->index == REGISTER_C)
		return register_c_read(rtc);
	return rtc->cmos[rtc->index];
}

static void register_a_write(struct mc146818 *rtc, struct guest_time now, uint8_t value)
{
	bool ran = divider_runs(rtc);

	rtc->cmos[REGISTER_A] = (uint8_t)(value & ~A_UIP);
	if (!ran && divider_runs(rtc))
		rtc->phase_ns = (uint32_t)((now.ns + FIRST_HALF_NS) % NS_PER_SECOND);
}

static void cmos_write(struct mc146818 *rtc, struct guest_time now, uint8_t value)
{
	clock_settle(rtc, now);
	switch (rtc->index) {
	case REGISTER_A:
		register_a_write(rtc, now, value);
		break;
	case REGISTER_B:
		// "Register B": UIE is cleared when SET goes high.
		rtc->cmos[REGISTER_B] = (uint8_t)(value & B_SET ? value & ~B_UIE : value);
		break;
	case REGISTER_C:
	case REGISTER_D:
		break;
	default:
		rtc->cmos[rtc->index] = value;
	}
}

static uint64_t mc146818_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct mc146818 *rtc = mc146818_of(device);
	uint64_t value;

	(void)region;
	if (offset + size <= 1)
		return UINT64_MAX; // the index port is write-only
	value = cmos_read(rtc, now);
	outputs_update(rtc);
	return offset == 1 ? value : value << 8 | 0xff;
}

// A 16-bit write reaches the index first, as the bus splits it.
static void mc146818_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct mc146818 *rtc = mc146818_of(device);

	(void)region;
	if (offset == 0) {
		rtc->index = value & INDEX_MASK;
		rtc->nmi_masked = (value & INDEX_NMI_MASK) != 0;
		device_set_line(device, MC146818_OUTPUT_NMI_MASK, rtc->nmi_masked != 0);
		value >>= 8;
	}
	if (offset + size > 1) {
		cmos_write(rtc, now, (uint8_t)value);
		outputs_update(rtc);
	}
}

static void mc146818_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct mc146818 *rtc = mc146818_of(device);

	(void)timer;
	clock_settle(rtc, now);
	outputs_update(rtc);
}

// Time, registers A and D, the data mode and CMOS are on the battery. "RESET": interrupt enables,
// SQWE and flags are cleared.
static void mc146818_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct mc146818 *rtc = mc146818_of(device);

	(void)kind;
	// Only a clock that was never set stands outside of these.
	rtc->phase_ns %= (uint32_t)NS_PER_SECOND;
	rtc->cmos[REGISTER_A] &= (uint8_t)~A_UIP;
	clock_settle(rtc, now);
	rtc->settled = now;
	rtc->cmos[REGISTER_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->cmos[REGISTER_C] = 0;
	rtc->cmos[REGISTER_D] = D_VRT;
	rtc->index = 0;
	rtc->nmi_masked = 0;
	memset(rtc->reserved, 0, sizeof(rtc->reserved));
	outputs_update(rtc);
}

static void mc146818_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	outputs_update(mc146818_of(device));
}

void mc146818_configure(struct device *device, uint64_t epoch_seconds_at_zero)
{
	struct mc146818 *rtc = mc146818_of(device);
	uint64_t days = epoch_seconds_at_zero / CALENDAR_DAY_SECONDS;
	struct calendar calendar = {
		.second = (uint32_t)(epoch_seconds_at_zero % CALENDAR_DAY_SECONDS),
		.weekday = (uint32_t)((days + 4) % 7) + 1, // 1970 began on a Thursday
	};

	days = (CALENDAR_DAYS_TO_1970 + days % CALENDAR_DAYS) % CALENDAR_DAYS;
	calendar_set_day_number(&calendar, (uint32_t)days);
	rtc->settled.ns = 0;
	rtc->phase_ns = 0;
	memset(rtc->cmos, 0, CMOS_MEMORY);
	rtc->cmos[REGISTER_A] = A_DIVIDER_RUN | 6; // 1024 Hz, as every PC's firmware sets it
	rtc->cmos[REGISTER_B] = B_24_HOURS;
	rtc->cmos[REGISTER_D] = D_VRT;
	calendar_store(rtc, &calendar);
}

void mc146818_set_cmos(struct device *device, uint8_t index, uint8_t value)
{
	ASSERT(index >= CMOS_MEMORY && index < MC146818_CMOS_BYTES && index != MC146818_CENTURY);
	mc146818_of(device)->cmos[index] = value;
}

static const char *mc146818_check(const void *instance)
{
	const struct mc146818 *rtc = instance;
	const uint8_t *cmos = rtc->cmos;

	if (cmos[REGISTER_A] & A_UIP)
		return "register A holds the derived bit UIP";
	if ((cmos[REGISTER_B] & B_SET) && (cmos[REGISTER_B] & B_UIE))
		return "register B has SET and UIE, which SET clears";
	if (cmos[REGISTER_C] & ~C_FLAGS)
		return "register C holds more than the three flags";
	if (cmos[REGISTER_D] != D_VRT)
		return "register D is read-only";
	return NULL;
}

static const struct state_field mc146818_fields[] = {
	STATE_DERIVED(struct mc146818, device),
	STATE_VALUE(struct mc146818, settled.ns, 0, INT64_MAX),
	STATE_VALUE(struct mc146818, phase_ns, 0, NS_PER_SECOND - 1),
	STATE_VALUE(struct mc146818, index, 0, INDEX_MASK),
	STATE_BOOL(struct mc146818, nmi_masked),
	STATE_PAD(struct mc146818, reserved),
	STATE_ARRAY_ANY(struct mc146818, cmos),
};

static const struct state_table mc146818_state =
	STATE_TABLE("mc146818rtc", 1, struct mc146818, mc146818_fields, mc146818_check);

const struct device_model mc146818_model = {
	.name = "mc146818rtc",
	.description = "MC146818 real-time clock and CMOS memory",
	.instance_bytes = sizeof(struct mc146818),
	.timers = MC146818_TIMERS,
	.outputs = MC146818_OUTPUTS,
	.state = &mc146818_state,
	.reset = mc146818_reset,
	.read = mc146818_read,
	.write = mc146818_write,
	.timer = mc146818_timer,
	.loaded = mc146818_loaded,
};

DEVICE_MODEL_REGISTER(150, mc146818_model);
