/* SPDX-License-Identifier: MIT */
/*
 * Clocks of a native kernel: the processor's counter, measured once against the 8254's third channel;
 * the 8254's first channel as the one-shot timer; the date from the real-time clock.
 *
 * The numbers go where a hypervisor would write them, and time.c reads both clocks from there.
 *
 * Invariant: while a deadline is set, the timer strikes no later than that, or in steps of 54 ms until
 * it is near.
 */
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/native/clock.h"
#include "pvops/native/internal.h"
#include "pvops/native/native.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"

#define PIT_LINE       0
#define PIT_CHANNEL0   0x40
#define PIT_CHANNEL2   0x42
#define PIT_COMMAND    0x43
#define PIT_ONE_SHOT0  0x30 /* channel 0, low and high byte, mode 0 */
#define PIT_COUNT2     0xb0 /* channel 2, likewise */
#define PIT_LATCH2     0x80
#define GATE           0x61
#define GATE_ON        1 /* channel 2 counts; the loudspeaker stays off */
#define GATE_MASK      3
#define MEASURE_COUNTS 11932 /* 10 ms */

#define RTC_INDEX      0x70
#define RTC_DATA       0x71
#define RTC_STATUS_A   0x0a
#define RTC_UPDATING   0x80
#define RTC_STATUS_B   0x0b
#define RTC_BINARY     4
#define RTC_24H        2
#define RTC_CENTURY    0x32
#define NS_PER_S       1000000000ull

static uint64_t timer_deadline, wake_deadline; /* 0: none */
static uint64_t armed;                         /* when the hardware strikes; 0: it does not */

static uint64_t read_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* ---- measuring ---- */

struct sample {
	uint64_t tsc, width;
	uint16_t count;
};

/*
 * One look at both counters. Who runs below us may take the processor away in between: of a few looks
 * the one that took the least time is the one to believe.
 */
static struct sample look(void)
{
	struct sample best = { .width = ~0ull }, s;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		uint64_t before = read_tsc();

		pv_out8(PIT_COMMAND, PIT_LATCH2);
		s.width = read_tsc() - before;
		s.tsc = before + s.width / 2;
		s.count = pv_in8(PIT_CHANNEL2);
		s.count |= (uint16_t)(pv_in8(PIT_CHANNEL2) << 8);
		if (s.width < best.width)
			best = s;
	}
	return best;
}

static uint64_t measure_hz(void)
{
	struct sample first, last;
	unsigned int tries;
	uint16_t passed;

	pv_out8(GATE, (uint8_t)((pv_in8(GATE) & ~GATE_MASK) | GATE_ON));
	pv_out8(PIT_COMMAND, PIT_COUNT2);
	pv_out8(PIT_CHANNEL2, 0xff);
	pv_out8(PIT_CHANNEL2, 0xff);
	first = look();
	for (tries = 0; tries < 1000000; tries++) {
		last = look();
		passed = (uint16_t)(first.count - last.count);
		if (passed >= MEASURE_COUNTS && last.tsc > first.tsc)
			return pv_clock_hz(last.tsc - first.tsc, passed);
	}
	pv_panic("native: the timer chip does not count");
}

/* ---- date ---- */

static uint8_t rtc_read(uint8_t reg)
{
	pv_out8(RTC_INDEX, reg);
	return pv_in8(RTC_DATA);
}

static struct pv_rtc rtc_registers(void)
{
	uint8_t b = rtc_read(RTC_STATUS_B);

	return (struct pv_rtc){ .second = rtc_read(0),
		                .minute = rtc_read(2),
		                .hour = rtc_read(4),
		                .day = rtc_read(7),
		                .month = rtc_read(8),
		                .year = rtc_read(9),
		                .century = rtc_read(RTC_CENTURY),
		                .is_binary = b & RTC_BINARY,
		                .is_24h = b & RTC_24H };
}

/* Read twice with the same result, and not while the clock is at it. */
static uint64_t rtc_now(void)
{
	uint64_t a = 0, b = 1;
	unsigned int tries;

	for (tries = 0; tries < 100 && a != b; tries++) {
		struct pv_rtc rtc;
		unsigned int waits = 100000;

		while (rtc_read(RTC_STATUS_A) & RTC_UPDATING && --waits)
			;
		rtc = rtc_registers();
		a = pv_clock_rtc_seconds(&rtc);
		rtc = rtc_registers();
		b = pv_clock_rtc_seconds(&rtc);
	}
	return b;
}

/* ---- the timer ---- */

static void arm(void)
{
	uint64_t due = timer_deadline, now;
	uint16_t count;

	if (wake_deadline && (!due || wake_deadline < due))
		due = wake_deadline;
	if (!due || (armed && armed <= due))
		return;
	now = pv_now_ns();
	count = pv_clock_pit_count(due > now ? due - now : 0);
	/* A new count begins a new shot; the mode stays. */
	pv_out8(PIT_CHANNEL0, (uint8_t)count);
	pv_out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
	armed = due;
	if (count == 65535)
		armed = now + 54900000;
}

static void on_pit(void *arg)
{
	uint64_t now = pv_now_ns();

	(void)arg;
	armed = 0;
	if (timer_deadline && now >= timer_deadline) {
		timer_deadline = 0;
		pv_native_event_set(PV_NATIVE_TIMER_PORT);
	}
	if (wake_deadline && now >= wake_deadline)
		wake_deadline = 0;
	arm();
}

int pv_native_set_timer(uint64_t deadline_ns)
{
	uint64_t irq = pv_irq_save();

	timer_deadline = deadline_ns;
	arm();
	pv_irq_restore(irq);
	return 0;
}

void pv_native_wake_at(uint64_t deadline_ns)
{
	wake_deadline = deadline_ns;
	arm();
}

void pv_native_interrupt_soon(void)
{
	armed = 0;
	wake_deadline = 1;
	arm();
}

void pv_native_clock_init(void)
{
	struct vcpu_time_info *time = &pv_cpu()->info->time;
	uint64_t wall;

	pv_clock_scale(measure_hz(), &time->tsc_to_system_mul, &time->tsc_shift);
	time->tsc_timestamp = read_tsc();
	time->system_time = 0;
	wall = rtc_now();
	pv_shared_info->wc_sec = (uint32_t)wall;
	pv_shared_info->wc_sec_hi = (uint32_t)(wall >> 32);
	pv_out8(PIT_COMMAND, PIT_ONE_SHOT0);
	pv_native_irq_request(PIT_LINE, on_pit, NULL);
}
