// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clock.h"

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/pagetable.h"
#include "kernel/x86.h"

enum {
	CALIBRATION_MS = 10,
	CALIBRATION_PAUSE = 1000, // rounds of an empty loop
	PM_TIMER_HZ = 3579545,
	PIT_HZ = 1193182,
	NOMINAL_HZ = 100000,
};

#define FEMTOSECONDS_PER_SECOND 1000000000000000u

uint64_t clock_tsc_to_ns;
static struct clock_calibration calibration;

// A counter that goes up: `mask` is its width.
struct reference {
	const char *name;
	uint64_t hz, mask;
	uint64_t (*read)(void);
};

static volatile uint64_t *hpet;

static uint64_t hpet_counter(void)
{
	return hpet[0xf0 / 8];
}

static uint64_t pm_timer_counter(void)
{
	return inl(acpi_host()->pm_timer_port);
}

// Channel 2 counts down from 65536, its gate opened by port 0x61. 8254 data sheet.
static uint64_t pit_counter(void)
{
	uint8_t low;

	outb(0x43, 0x80);
	low = inb(0x42);
	return 0x10000u - (uint64_t)((unsigned)inb(0x42) << 8 | low);
}

static void pit_start(void)
{
	outb(0x61, (uint8_t)((inb(0x61) & ~2u) | 1u));
	outb(0x43, 0xb4); // channel 2, both bytes, mode 2
	outb(0x42, 0);
	outb(0x42, 0);
}

static struct reference reference_choose(void)
{
	const struct acpi_host *acpi = acpi_host();

	if (acpi->hpet.v != 0) {
		hpet = pagetable_map_device(acpi->hpet, PAGE_BYTES);
		uint64_t period = hpet[0] >> 32; // femtoseconds: IA-PC HPET 2.3.4

		if (period != 0 && period <= 100000000) {
			hpet[0x10 / 8] |= 1; // overall enable
			return (struct reference){"HPET", FEMTOSECONDS_PER_SECOND / period,
				(hpet[0] & BIT(13)) != 0 ? UINT64_MAX : UINT32_MAX, hpet_counter};
		}
	}
	if (acpi->pm_timer_port != 0)
		return (struct reference){"ACPI PM timer", PM_TIMER_HZ, 0xffffff, pm_timer_counter};
	pit_start();
	return (struct reference){"PIT", PIT_HZ, 0xffff, pit_counter};
}

// What the reference cannot tell from a multiple of 100 kHz is one: so the guests' time does not
// depend on when the measurement began.
static uint64_t frequency(uint64_t ticks, uint64_t elapsed, uint64_t hz)
{
	uint64_t measured = mul_div_u64(ticks, hz, elapsed);
	uint64_t nominal = (measured + NOMINAL_HZ / 2) / NOMINAL_HZ * NOMINAL_HZ;
	uint64_t error = measured > nominal ? measured - nominal : nominal - measured;

	return error <= measured / elapsed ? nominal : measured;
}

// Reading a device takes an emulator longer than the time that it counts for it: its clock stands
// still meanwhile, and people wait.
static void calibration_pause(void)
{
	for (unsigned i = 0; i < CALIBRATION_PAUSE; i++)
		__asm__ volatile("" ::: "memory");
}

// The reference when it has just changed.
static uint64_t reference_edge(const struct reference *reference)
{
	uint64_t before = reference->read(), now;

	do
		now = reference->read();
	while (now == before);
	return now;
}

void clock_init(void)
{
	struct reference reference = reference_choose();
	uint64_t wanted = reference.hz * CALIBRATION_MS / 1000;
	uint64_t start, elapsed, tsc, apic;

	start = reference_edge(&reference);
	tsc = rdtsc();
	apic_timer_start(UINT32_MAX);
	do
		calibration_pause();
	while (((reference.read() - start) & reference.mask) < wanted);
	elapsed = (reference_edge(&reference) - start) & reference.mask;
	tsc = rdtsc() - tsc;
	apic = UINT32_MAX - apic_timer_remaining();
	apic_timer_start(0);
	calibration = (struct clock_calibration){
		.reference = reference.name,
		.tsc_hz = frequency(tsc, elapsed, reference.hz),
		.apic_hz = frequency(apic, elapsed, reference.hz),
	};
	ASSERT(calibration.tsc_hz > 1000000 && calibration.apic_hz > 100000);
	clock_tsc_to_ns = mul_div_u64(NS_PER_SECOND, BIT(CLOCK_TSC_SHIFT), calibration.tsc_hz);
	log_info("clock: TSC %llu kHz, APIC timer %llu kHz, by the %s",
		(unsigned long long)(calibration.tsc_hz / 1000),
		(unsigned long long)(calibration.apic_hz / 1000), reference.name);
}

const struct clock_calibration *clock_calibration(void)
{
	return &calibration;
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	if (ns >= UINT64_MAX / calibration.tsc_hz * NS_PER_SECOND)
		return UINT64_MAX;
	return mul_div_u64(ns, calibration.tsc_hz, NS_PER_SECOND) + 1;
}

void clock_wait_us(uint32_t us)
{
	uint64_t end = rdtsc() + clock_ns_to_tsc((uint64_t)us * 1000);

	while (rdtsc() < end)
		cpu_relax();
}

static uint8_t cmos_read(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static uint32_t cmos_number(uint8_t index, bool bcd)
{
	uint8_t value = cmos_read(index);

	return bcd ? (value >> 4) * 10u + (value & 15u) : value;
}

// Days from 1970-01-01 of a date of the Gregorian calendar, for years from 1970 on.
static uint64_t days_of_date(uint32_t year, uint32_t month, uint32_t day)
{
	static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	uint32_t past = year - 1;
	uint64_t days = (year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - 477;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days + before[(month - 1) % 12] + (leap && month > 2) + day - 1;
}

uint64_t clock_rtc_seconds(void)
{
	uint8_t mode = cmos_read(0x0b);
	bool bcd = (mode & 4) == 0;
	uint32_t hour, year;

	for (unsigned i = 0; i < 2000 && (cmos_read(0x0a) & 0x80) != 0; i++)
		clock_wait_us(1); // an update is in progress
	hour = cmos_read(4);
	if ((mode & 2) == 0) { // 12-hour form, bit 7: afternoon
		bool afternoon = (hour & 0x80) != 0;

		hour &= 0x7f;
		hour = (bcd ? (hour >> 4) * 10 + (hour & 15) : hour) % 12 + (afternoon ? 12 : 0);
	} else {
		hour = cmos_number(4, bcd);
	}
	year = cmos_number(9, bcd);
	year += year < 70 ? 2000 : 1900;
	return (days_of_date(year, cmos_number(8, bcd), cmos_number(7, bcd)) * 24 + hour) * 3600 +
		cmos_number(2, bcd) * 60 + cmos_number(0, bcd);
}
