/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the guest library's console ring, and of the console front-end on top of it. The other
 * side of the ring is played here: slow, late, and lying about its indexes.
 *
 * The p2m is replaced at link time, since the ring is found through it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "abi/event_channel.h"
#include "abi/io/console.h"
#include "abi/sched.h"
#include "frontends/condev.h"
#include "pvops/console.h"
#include "pvops/evtchn.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"

#define PORT 2

Suite *pv_console_suite(void);

static struct {
	struct xencons_interface ring;
	char guard[4096 - sizeof(struct xencons_interface)];
} page __attribute__((aligned(4096)));

static char taken[65536]; /* what the other side has read */
static size_t n_taken;
static unsigned int notified;
static uint64_t now;
static size_t appetite; /* bytes the other side takes at each chance */

uint64_t pv_m2p(uint64_t mfn)
{
	return mfn == 7 ? (uintptr_t)&page >> 12 : PV_NO_FRAME;
}

static void other_side_reads(void)
{
	size_t i;

	for (i = 0; i < appetite && page.ring.out_cons != page.ring.out_prod; i++)
		taken[n_taken++] = page.ring.out[page.ring.out_cons++ % 2048];
	fake_shared_info.evtchn_pending[0] |= 1 << PORT;
}

static long event_channel_op(const unsigned long args[6])
{
	notified += args[0] == EVTCHNOP_send;
	return 0;
}

static long sched_op(const unsigned long args[6])
{
	ck_assert_uint_eq(args[0], SCHEDOP_poll);
	now += 1000000;
	other_side_reads();
	return 0;
}

static uint64_t fake_now(void)
{
	return now;
}

static void setup(void)
{
	const struct start_info start = { .console.domU = { .mfn = 7, .evtchn = PORT } };

	fake_hypercalls_reset();
	fake_hypercall_set(__HYPERVISOR_event_channel_op, event_channel_op);
	fake_hypercall_set(__HYPERVISOR_sched_op, sched_op);
	pv_ops.time.now_ns = fake_now;
	memset(&page, 0, sizeof(page));
	n_taken = 0;
	notified = 0;
	now = 1;
	appetite = 100;
	pv_evtchn_init();
	pv_console_init(&start);
}

static void teardown(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(page.guard); i++)
		ck_assert_int_eq(page.guard[i], 0);
}

START_TEST(words_reach_the_ring)
{
	pv_console_write("hello\n", 6);
	ck_assert_uint_eq(page.ring.out_prod, 6);
	ck_assert_mem_eq(page.ring.out, "hello\n", 6);
	ck_assert_uint_eq(notified, 1);
	ck_assert_uint_eq(pv_console_room(), 2042);
}
END_TEST

START_TEST(a_long_text_waits_for_room)
{
	static char text[10000];
	unsigned int i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	pv_console_write(text, sizeof(text));
	pv_console_drain(1000000000);
	ck_assert_uint_eq(n_taken, sizeof(text));
	ck_assert_mem_eq(taken, text, sizeof(text));
}
END_TEST

START_TEST(indexes_run_over_two_to_the_32)
{
	page.ring.out_prod = page.ring.out_cons = 0xfffffffd;
	page.ring.in_prod = page.ring.in_cons = 0xfffffffe;
	pv_console_write("around", 6);
	ck_assert_uint_eq(page.ring.out_prod, 3);
	other_side_reads();
	ck_assert_mem_eq(taken, "around", 6);
	memcpy(&page.ring.in[1022], "ab", 2);
	memcpy(&page.ring.in[0], "cd", 2);
	page.ring.in_prod += 4;
	{
		char buf[8];

		ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 4);
		ck_assert_mem_eq(buf, "abcd", 4);
	}
	ck_assert_uint_eq(page.ring.in_cons, 2);
}
END_TEST

START_TEST(a_full_ring_takes_what_fits)
{
	static char text[3000];

	memset(text, 'x', sizeof(text));
	ck_assert_uint_eq(pv_console_try_write(text, sizeof(text)), 2048);
	ck_assert_uint_eq(pv_console_try_write(text, 1), 0);
	ck_assert_uint_eq(pv_console_room(), 0);
}
END_TEST

START_TEST(a_dead_reader_does_not_keep_us_from_ending)
{
	appetite = 0;
	pv_console_try_write("unread", 6);
	pv_console_drain(50000000);
	ck_assert_uint_ge(now, 50000000);
}
END_TEST

static const uint32_t lies[] = { 1, 7, 2049, 4096, 0x80000000, 0xffffff00 };

START_TEST(impossible_indexes_are_not_followed)
{
	char buf[2048];

	/* A reader that claims to have read what was never written: full, not negative. */
	page.ring.out_cons = lies[_i];
	ck_assert_uint_eq(pv_console_try_write("x", 1), lies[_i] >= 0xfffff801 ? 1 : 0);
	/* A writer that claims more than its ring holds: nothing. */
	page.ring.in_prod = 1025;
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 0);
	page.ring.in_prod = lies[_i] > 1024 ? lies[_i] : 0xffffffff;
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 0);
	page.ring.in_prod = 1024;
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 1024);
}
END_TEST

/* ---- the front-end ---- */

static unsigned int device_events;

static void on_event(struct condev *dev, void *arg)
{
	(void)dev;
	(*(unsigned int *)arg)++;
}

/* The vCPU's upcall, as the hypervisor would make it. */
static void upcall(void)
{
	fake_shared_info.evtchn_pending[0] |= 1 << PORT;
	fake_shared_info.vcpu_info[0].evtchn_pending_sel |= 1;
	fake_shared_info.vcpu_info[0].evtchn_upcall_pending = 1;
	pv_event_main(NULL);
}

START_TEST(front_end_takes_more_than_the_ring)
{
	static char text[10000];
	struct condev *dev;
	unsigned int rounds;
	size_t first;

	ck_assert_int_eq(consfront_open(on_event, &device_events, &dev), 0);
	for (rounds = 0; rounds < sizeof(text); rounds++)
		text[rounds] = (char)('!' + rounds % 89); /* no divisor of the buffer */
	first = condev_write(dev, text, sizeof(text));
	ck_assert_uint_eq(first, 8192); /* its buffer; a quarter of it is in the ring by now */
	appetite = 1000;
	for (rounds = 0; n_taken < sizeof(text) && rounds < 20; rounds++) {
		first += condev_write(dev, text + first, sizeof(text) - first);
		other_side_reads();
		upcall();
	}
	ck_assert_uint_eq(n_taken, sizeof(text));
	ck_assert_mem_eq(taken, text, sizeof(text));
	ck_assert_uint_ge(device_events, 4);
	/* The port goes back, for the next test's fixture. */
	pv_evtchn_unbind(PORT);
}
END_TEST

START_TEST(front_end_reads_what_came)
{
	struct condev *dev;
	char buf[8];

	ck_assert_int_eq(consfront_open(on_event, &device_events, &dev), 0);
	ck_assert_uint_eq(condev_read(dev, buf, sizeof(buf)), 0);
	memcpy(page.ring.in, "key", 3);
	page.ring.in_prod = 3;
	device_events = 0;
	upcall();
	ck_assert_uint_eq(device_events, 1);
	ck_assert_uint_eq(condev_read(dev, buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "key", 3);
	pv_evtchn_unbind(PORT);
}
END_TEST

Suite *pv_console_suite(void)
{
	Suite *s = suite_create("pv_console");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, words_reach_the_ring);
	tcase_add_test(tc, a_long_text_waits_for_room);
	tcase_add_test(tc, front_end_takes_more_than_the_ring);
	tcase_add_test(tc, front_end_reads_what_came);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, indexes_run_over_two_to_the_32);
	tcase_add_test(tc, a_full_ring_takes_what_fits);
	tcase_add_test(tc, a_dead_reader_does_not_keep_us_from_ending);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, impossible_indexes_are_not_followed, 0, 6);
	suite_add_tcase(s, tc);
	return s;
}
