// SPDX-License-Identifier: BSD-2-Clause
// The Gregorian calendar of the real-time clock, and the forms in which its bytes hold it.
#ifndef EMUL_MC146818_CALENDAR_H
#define EMUL_MC146818_CALENDAR_H

#include "kernel/base/types.h"

enum {
	CALENDAR_DAY_SECONDS = 86400,
	CALENDAR_DAYS = 25 * 146097,    // in the years 0 to 9999: 25 cycles of 400 years
	CALENDAR_DAYS_TO_1970 = 719528, // from the first of January of year 0

	RTC_HOUR_PM = 0x80,
	RTC_NOT_A_VALUE = 0xff,
};

struct calendar {
	uint32_t year, month, day; // 0-9999, 1-12, 1-31
	uint32_t weekday;          // 1-7
	uint32_t second;           // of the day
};

static inline bool calendar_year_is_leap(uint32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline uint32_t calendar_days_in_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && calendar_year_is_leap(year) ? 1U : 0U);
}

// Days from the first of January of year 0 to that of `year`. Year 0 is a leap year.
static inline uint32_t calendar_days_before_year(uint32_t year)
{
	return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static inline uint32_t calendar_day_number(const struct calendar *calendar)
{
	uint32_t days = calendar_days_before_year(calendar->year) + calendar->day - 1;

	for (uint32_t month = 1; month < calendar->month; month++)
		days += calendar_days_in_month(calendar->year, month);
	return days;
}

static inline void calendar_set_day_number(struct calendar *calendar, uint32_t days)
{
	// The mean length of a year puts the estimate one year off at most.
	calendar->year = (uint32_t)((uint64_t)days * 400 / 146097);
	while (calendar_days_before_year(calendar->year) > days)
		calendar->year--;
	while (calendar_days_before_year(calendar->year + 1) <= days)
		calendar->year++;
	days -= calendar_days_before_year(calendar->year);
	for (calendar->month = 1; days >= calendar_days_in_month(calendar->year, calendar->month);
		calendar->month++)
		days -= calendar_days_in_month(calendar->year, calendar->month);
	calendar->day = days + 1;
}

static inline void calendar_advance(struct calendar *calendar, uint64_t seconds)
{
	uint64_t total = calendar->second + seconds;
	uint64_t days = total / CALENDAR_DAY_SECONDS;

	calendar->second = (uint32_t)(total % CALENDAR_DAY_SECONDS);
	if (days == 0)
		return;
	calendar->weekday = (uint32_t)((calendar->weekday - 1 + days) % 7) + 1;
	calendar_set_day_number(calendar,
		(uint32_t)((calendar_day_number(calendar) + days) % CALENDAR_DAYS));
}

// A byte as its value; RTC_NOT_A_VALUE where it is no BCD number.
static inline uint32_t rtc_byte_decode(uint8_t byte, bool binary)
{
	if (binary)
		return byte;
	if ((byte & 0x0f) > 9 || byte >> 4 > 9)
		return RTC_NOT_A_VALUE;
	return (byte >> 4) * 10U + (byte & 0x0f);
}

static inline uint8_t rtc_byte_encode(uint32_t value, bool binary)
{
	return (uint8_t)(binary ? value : value / 10 << 4 | value % 10);
}

// 0 to 23; something above where the byte is no hour.
static inline uint32_t rtc_hour_decode(uint8_t byte, bool binary, bool hours_24)
{
	uint32_t hour;

	if (hours_24)
		return rtc_byte_decode(byte, binary);
	hour = rtc_byte_decode(byte & (RTC_HOUR_PM - 1), binary);
	if (hour < 1 || hour > 12)
		return RTC_NOT_A_VALUE;
	return hour % 12 + (byte & RTC_HOUR_PM ? 12U : 0U);
}

static inline uint8_t rtc_hour_encode(uint32_t hour, bool binary, bool hours_24)
{
	if (hours_24)
		return rtc_byte_encode(hour, binary);
	return (uint8_t)(rtc_byte_encode((hour + 11) % 12 + 1, binary) |
		(hour >= 12 ? RTC_HOUR_PM : 0));
}

#endif
