/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of clocks.
 */
#include "pvops/native/clock.h"

#define NS_PER_S 1000000000ull

void pv_clock_scale(uint64_t hz, uint32_t *mul, int8_t *shift)
{
	/* ns = ticks * 2^shift * mul / 2^32, the quotient below between a half and one. */
	uint64_t over = NS_PER_S, under = hz;
	int s = 0;

	for (; under <= over; under <<= 1)
		s++;
	for (; under > 2 * over; over <<= 1)
		s--;
	for (; over >> 32; over >>= 1) /* very fast counters: nothing that matters is lost */
		under >>= 1;
	*mul = (uint32_t)((over << 32) / under);
	*shift = (int8_t)s;
}

uint64_t pv_clock_hz(uint64_t ticks, uint32_t pit)
{
	return (ticks * PV_PIT_HZ + pit / 2) / pit;
}

uint16_t pv_clock_pit_count(uint64_t ns)
{
	uint64_t count;

	/* 65535 counts are 54.9 ms. */
	if (ns > 54000000)
		return 65535;
	count = (ns * PV_PIT_HZ + NS_PER_S - 1) / NS_PER_S;
	return (uint16_t)(count ? count : 1);
}

static unsigned int number(const struct pv_rtc *rtc, uint8_t value)
{
	return rtc->is_binary ? value : (value >> 4) * 10u + (value & 15);
}

/* Days since 1970; the year begins in March, so that the odd day is its last. */
static uint64_t days(unsigned int year, unsigned int month, unsigned int day)
{
	if (month <= 2) {
		month += 12;
		year--;
	}
	return 365ull * year + year / 4 - year / 100 + year / 400 + (153 * month - 457) / 5 + day -
	       719469;
}

uint64_t pv_clock_rtc_seconds(const struct pv_rtc *rtc)
{
	unsigned int hour = number(rtc, rtc->is_24h ? rtc->hour : rtc->hour & 0x7f);
	unsigned int century = number(rtc, rtc->century);
	unsigned int year = number(rtc, rtc->year);

	if (!rtc->is_24h)
		hour = hour % 12 + (rtc->hour & 0x80 ? 12 : 0);
	year += century >= 19 && century < 30 ? century * 100 : 2000;
	return ((days(year, number(rtc, rtc->month), number(rtc, rtc->day)) * 24 + hour) * 60 +
	        number(rtc, rtc->minute)) *
	               60 +
	       number(rtc, rtc->second);
}
