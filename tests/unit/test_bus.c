/* SPDX-License-Identifier: MIT */
/*
 * The states of a split device against front-ends that are orderly, hasty or mad (backends/bus.c).
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/bus.h"
#include "tests/fake/be_fake.h"

Suite *bus_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct be_fake f;
static struct be_bus bus;
static unsigned inits, connects, disconnects;
static int init_rc, connect_rc;
static bool connected;
static char states[256]; /* every state that was written, in order */

static int on_init(void *device)
{
	ck_assert_ptr_eq(device, &inits);
	ck_assert(!connected);
	inits++;
	return init_rc;
}

static int on_connect(void *device)
{
	ck_assert_ptr_eq(device, &inits);
	ck_assert(!connected);
	ck_assert_uint_gt(inits, 0);
	connects++;
	connected = connect_rc == 0;
	if (connect_rc)
		be_fail(&f.host, connect_rc, "the front-end wants %d rings", 7);
	return connect_rc;
}

static void on_disconnect(void *device)
{
	ck_assert_ptr_eq(device, &inits);
	ck_assert(connected);
	disconnects++;
	connected = false;
}

static const struct be_driver driver = { "vbd", on_init, on_connect, on_disconnect };

/* A state is written after what it says is true. */
static void on_write(struct be_fake *fake, const char *node, const char *value)
{
	(void)fake;
	if (strcmp(node, "state"))
		return;
	strcat(states, value);
	if (!strcmp(value, "4"))
		ck_assert(connected);
	if (!strcmp(value, "2") || !strcmp(value, "6"))
		ck_assert(!connected);
}

static void front(unsigned state)
{
	be_fake_setn(&f, BE_FRONT, "state", state);
	be_bus_front_changed(&bus);
}

static void set_up(void)
{
	be_fake_init(&f, 1, 1);
	f.written = on_write;
	inits = connects = disconnects = 0;
	init_rc = connect_rc = 0;
	connected = false;
	states[0] = 0;
	be_fake_setn(&f, BE_FRONT, "state", 1);
	ck_assert_int_eq(be_bus_start(&bus, &driver, &inits, &f.host), 0);
	ck_assert_str_eq(states, "2");
}

static void tear_down(void)
{
	be_bus_drop(&bus);
	ck_assert(!connected);
	ck_assert_uint_eq(connects, disconnects);
	be_fake_fini(&f);
}

/* ---- normal ---------------------------------------------------------------------------------- */

static const struct {
	const char *what;
	const char *front; /* states that it writes, one after the other */
	const char *back;  /* all that we write */
} sequences[] = {
	{ "Linux", "13456", "2456" },
	{ "a reader that waits for nothing", "4", "24" },
	{ "GRUB: Closed at once, then from the start, and Linux", "36134", "24624" },
	{ "Mini-OS: each step", "1345613456", "24562456" },
	{ "it says Closing, goes on, and closes later", "34556", "2456" },
	{ "started anew without closing", "341", "242" },
	{ "started anew after Closing", "3451", "2452" },
	{ "the same state told twice", "1133444", "24" },
	{ "states that are not the front-end's", "1207834", "264" },
};

START_TEST(each_front_end_is_followed)
{
	for (const char *p = sequences[_i].front; *p; p++)
		front((unsigned)(*p - '0'));
	ck_assert_msg(!strcmp(states, sequences[_i].back), "%s: %s instead of %s",
	              sequences[_i].what, states, sequences[_i].back);
}
END_TEST

START_TEST(a_device_is_unplugged_when_the_front_end_has_closed)
{
	front(3);
	front(4);
	be_bus_close(&bus);
	ck_assert_str_eq(states, "245");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "online"), "0");
	ck_assert(!be_bus_closed(&bus));
	ck_assert(connected);
	front(5);
	ck_assert(!be_bus_closed(&bus));
	front(6);
	ck_assert(be_bus_closed(&bus));
	ck_assert_str_eq(states, "2456");
	front(1);
	front(3);
	ck_assert_str_eq(states, "2456");
	ck_assert_uint_eq(connects, 1);
}
END_TEST

START_TEST(a_device_that_nobody_uses_is_unplugged_at_once)
{
	be_bus_close(&bus);
	ck_assert(be_bus_closed(&bus));
	ck_assert_str_eq(states, "256");
}
END_TEST

START_TEST(a_dead_guest_is_not_waited_for)
{
	front(4);
	be_bus_drop(&bus);
	ck_assert(be_bus_closed(&bus));
	ck_assert(!connected);
	ck_assert_str_eq(states, "246");
}
END_TEST

START_TEST(after_a_restart_only_a_new_connection_counts)
{
	be_fake_set(&f, BE_FRONT, "feature-reconnect", "1");
	front(4);
	be_bus_restart(&bus);
	ck_assert(!connected);
	ck_assert_uint_eq(inits, 2);
	be_bus_front_changed(&bus); /* still 4, of the time before */
	ck_assert(!connected);
	front(3);
	ck_assert(connected);
	front(4);
	ck_assert_str_eq(states, "2424");
}
END_TEST

/* As netfront does: 1, 4, 2, 1 of ours and 4 again, of which we come to see the last. */
START_TEST(a_new_connection_counts_however_late_we_look)
{
	be_fake_set(&f, BE_FRONT, "feature-reconnect", "1");
	front(4);
	be_bus_restart(&bus);
	be_bus_front_changed(&bus);
	ck_assert(!connected);
	be_fake_set(&f, BE_FRONT, "feature-reconnect", "2");
	front(4);
	ck_assert(connected);
	ck_assert_str_eq(states, "2424");
}
END_TEST

/* Its rings are new and not used yet; nothing more would come from it. */
START_TEST(a_restart_while_the_front_end_connects_connects_again)
{
	be_fake_set(&f, BE_FRONT, "feature-reconnect", "1");
	front(3);
	be_bus_restart(&bus);
	ck_assert(connected);
	ck_assert_uint_eq(connects, 2);
	front(4);
	ck_assert_str_eq(states, "2424");
}
END_TEST

START_TEST(a_front_end_that_cannot_reconnect_is_taken_over)
{
	front(4);
	be_bus_restart(&bus);
	ck_assert(connected);
	ck_assert_uint_eq(inits, 2);
	ck_assert_uint_eq(connects, 2);
	ck_assert_str_eq(states, "244");
	connect_rc = -EINVAL;
	be_bus_restart(&bus);
	ck_assert(!connected);
	ck_assert_str_eq(states, "2445");
	/* One that is closing is left alone. */
	be_bus_restart(&bus);
	ck_assert_str_eq(states, "2445");
	connects = disconnects;
}
END_TEST

START_TEST(a_restart_finds_a_front_end_that_is_already_there)
{
	be_fake_set(&f, BE_FRONT, "feature-reconnect", "1");
	front(4);
	be_bus_restart(&bus);
	front(1);
	front(4);
	ck_assert_str_eq(states, "2424");
	be_bus_close(&bus);
	be_bus_restart(&bus);
	ck_assert_uint_eq(inits, 2);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(a_device_that_cannot_be_offered_stays_closed)
{
	be_bus_drop(&bus);
	init_rc = -EIO;
	states[0] = 0;
	ck_assert_int_eq(be_bus_start(&bus, &driver, &inits, &f.host), -EIO);
	ck_assert_str_eq(states, "6");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "error"), "5 vbd: cannot be offered (error 5)");
	front(1);
	front(3);
	ck_assert_str_eq(states, "6");
}
END_TEST

START_TEST(a_connection_that_fails_closes_and_may_be_tried_again)
{
	connect_rc = -EINVAL;
	front(3);
	ck_assert_str_eq(states, "25");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "error"), "22 the front-end wants 7 rings");
	ck_assert_str_eq(f.complaint, "the front-end wants 7 rings");
	front(3);
	front(4);
	ck_assert_uint_eq(connects, 1);
	connects = 0;
	front(6);
	connect_rc = 0;
	front(1);
	front(3);
	ck_assert_str_eq(states, "25624");
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

static const char *const no_states[] = { "",   "x",  " 4",         "4 ", "4x",
	                                 "-4", "+4", "4294967300", "9",  "18446744073709551620" };

START_TEST(what_is_no_state_is_no_front_end)
{
	be_fake_set(&f, BE_FRONT, "state", no_states[_i]);
	be_bus_front_changed(&bus);
	ck_assert_str_eq(states, "26");
	front(4);
	be_fake_set(&f, BE_FRONT, "state", NULL);
	be_bus_front_changed(&bus);
	ck_assert_str_eq(states, "2646");
}
END_TEST

START_TEST(whatever_the_order_connect_and_disconnect_take_turns)
{
	unsigned seed = 1000u + (unsigned)_i;

	for (unsigned i = 0; i < 500; i++) {
		states[0] = 0;
		switch (rand_r(&seed) % 16) {
		case 0:
			be_bus_restart(&bus);
			break;
		case 1:
			connect_rc = rand_r(&seed) % 2 ? -EIO : 0;
			front(3);
			connect_rc = 0;
			connects = disconnects + connected;
			break;
		case 2:
			f.writes_refused = (unsigned)rand_r(&seed) % 3;
			front(4);
			f.writes_refused = 0;
			break;
		default:
			front((unsigned)rand_r(&seed) % 10);
		}
		ck_assert(bus.connected == connected);
	}
}
END_TEST

Suite *bus_suite(void)
{
	Suite *s = suite_create("bus");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, each_front_end_is_followed, 0, ARRAY_LEN(sequences));
	tcase_add_test(tc, a_device_is_unplugged_when_the_front_end_has_closed);
	tcase_add_test(tc, a_device_that_nobody_uses_is_unplugged_at_once);
	tcase_add_test(tc, a_dead_guest_is_not_waited_for);
	tcase_add_test(tc, after_a_restart_only_a_new_connection_counts);
	tcase_add_test(tc, a_restart_while_the_front_end_connects_connects_again);
	tcase_add_test(tc, a_new_connection_counts_however_late_we_look);
	tcase_add_test(tc, a_front_end_that_cannot_reconnect_is_taken_over);
	tcase_add_test(tc, a_restart_finds_a_front_end_that_is_already_there);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_device_that_cannot_be_offered_stays_closed);
	tcase_add_test(tc, a_connection_that_fails_closes_and_may_be_tried_again);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, what_is_no_state_is_no_front_end, 0, ARRAY_LEN(no_states));
	tcase_add_loop_test(tc, whatever_the_order_connect_and_disconnect_take_turns, 0, 8);
	suite_add_tcase(s, tc);
	return s;
}
