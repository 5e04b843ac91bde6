/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of clocks, without the hardware.
 */
#ifndef PVOPS_NATIVE_CLOCK_H
#define PVOPS_NATIVE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define PV_PIT_HZ 1193182u

/*
 * pv_clock_scale - numbers for pv_time_scale() that turn ticks of `hz` into nanoseconds
 *
 * hz: not 0, below 2^40. Exact to 30 bits.
 */
void pv_clock_scale(uint64_t hz, uint32_t *mul, int8_t *shift);

/* The frequency of a counter that made `ticks`, below 2^43, while the PIT made `pit`, not 0. */
uint64_t pv_clock_hz(uint64_t ticks, uint32_t pit);

/* What the PIT is to count down from to strike in `ns`, not before: 1 to 65535. */
uint16_t pv_clock_pit_count(uint64_t ns);

/* Registers of the real-time clock, as they are read. */
struct pv_rtc {
	uint8_t second, minute, hour, day, month, year, century;
	bool is_binary, is_24h; /* else BCD; else the upper bit of hour is "afternoon" */
};

/* Seconds since 1970, of a date in UTC. */
uint64_t pv_clock_rtc_seconds(const struct pv_rtc *rtc);

#endif /* PVOPS_NATIVE_CLOCK_H */
