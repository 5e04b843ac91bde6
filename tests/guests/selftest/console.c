/* SPDX-License-Identifier: MIT */
/*
 * The console: the ring as a device with a buffer of its own, and what happens when it is full.
 *
 * Method: more is written than the ring holds, then waited for. The text is numbered lines, so that a
 * reader of the console sees what is missing. Breakage: lines are lost, or the kernel hangs because
 * nobody told it that there was room again.
 */
#include "tests/guests/selftest/test.h"

#include "frontends/condev.h"
#include "pvops/console.h"
#include "pvops/lib/format.h"

#define S 1000000000ull

static volatile unsigned int events;

static void on_event(struct condev *dev, void *arg)
{
	(void)dev;
	(void)arg;
	events++;
}

static void device_opens(void)
{
	struct condev *dev;

	ST_EQ(consfront_open(on_event, NULL, &dev), 0);
}

static void more_than_the_ring_is_taken(void)
{
	struct condev *dev;
	unsigned int i;
	size_t room;

	ST_EQ(consfront_open(on_event, NULL, &dev), 0);
	pv_console_drain(20 * S);
	room = pv_console_room();
	ST_CHECK(room == 2048 || pv_is_native(), "a ring of %lu bytes", room);
	events = 0;
	for (i = 0; i < 80; i++) { /* 80 lines of 64: two and a half rings */
		char line[65];

		pv_snprintf(line, sizeof(line), "# console line %2u of 80 %38s#\n", i + 1, "");
		ST_EQ(strlen(line), 64);
		ST_EQ(condev_write(dev, line, 64), 64);
	}
	ST_EQ(condev_flush(dev, pv_now_ns() + 20 * S), 0);
	pv_console_drain(20 * S);
	ST_EQ(pv_console_room(), room);
}

static void reader_says_that_it_has_read(void)
{
	struct condev *dev;
	uint64_t end = pv_now_ns() + 20 * S;

	ST_EQ(consfront_open(on_event, NULL, &dev), 0);
	events = 0;
	ST_EQ(condev_write(dev, "# one line\n", 11), 11);
	while (!events && pv_now_ns() < end)
		pv_hc_sched_op(SCHEDOP_yield, NULL);
	ST_CHECK(events, "no event came");
}

static void no_input_is_no_input(void)
{
	struct condev *dev;
	char buf[16];

	ST_EQ(consfront_open(on_event, NULL, &dev), 0);
	ST_CHECK(condev_read(dev, buf, sizeof(buf)) <= sizeof(buf), "more than asked for");
}

static const struct st_claim claims[] = {
	ST_GENERAL(device_opens),
	ST_GENERAL(more_than_the_ring_is_taken),
	ST_CLAIM(reader_says_that_it_has_read),
	ST_GENERAL(no_input_is_no_input),
};

ST_FAMILY(console, claims);
