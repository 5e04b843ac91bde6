/* SPDX-License-Identifier: MIT */
/*
 * Split devices as the guest library sees them, with the toolstack and the back-end played through
 * the real store.
 */
#include "tests/unit/pv_xs_world.h"

#include "pvops/xenbus.h"

Suite *pv_xenbus_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FRONT        "/local/domain/1/device/vbd/768"
#define BACK         "/local/domain/0/backend/vbd/1/768"

static struct pv_xenbus x;

static void host_write(const char *path, const char *value)
{
	ck_assert_int_eq(xsc_write(world.host, path, value), 0);
}

/* What xl does for a new device. */
static void set_up(void)
{
	world_begin();
	ck_assert_int_eq(xsc_path(world.host, XS_MKDIR, BACK), 0);
	ck_assert_int_eq(xsc_set_perms(world.host, BACK, "n0,r1"), 0);
	host_write(BACK "/state", "1");
	host_write(FRONT "/backend", BACK);
	host_write(FRONT "/backend-id", "0");
	host_write(FRONT "/state", "1");
	memset(&x, 0, sizeof(x));
}

static void tear_down(void)
{
	world_end();
}

static unsigned steps;
static void (*next_step)(void);

/* While the front-end waits, the other end moves. */
static void on_wait(void)
{
	if (next_step)
		next_step();
}

/* ---- normal ---------------------------------------------------------------------------------- */

static int collect(const char *name, void *arg)
{
	strcat(strcat(arg, name), " ");
	return strstr(name, "stop") ? -XEN_EBUSY : 0;
}

START_TEST(devices_are_found)
{
	char names[256] = "";

	host_write("/local/domain/1/device/vbd/832/state", "1");
	ck_assert_int_eq(pv_xenbus_each("vbd", collect, names), 0);
	ck_assert_str_eq(names, "device/vbd/768 device/vbd/832 ");
	names[0] = '\0';
	ck_assert_int_eq(pv_xenbus_each("vif", collect, names), 0);
	ck_assert_str_eq(names, "");
	host_write("/local/domain/1/device/vbd/1-stop/state", "1");
	ck_assert_int_eq(pv_xenbus_each("vbd", collect, names), -XEN_EBUSY);
	ck_assert_str_eq(names, "device/vbd/1-stop ");
}
END_TEST

static unsigned changes;

static void on_change(struct pv_xenbus *dev)
{
	ck_assert_ptr_eq(dev, &x);
	changes++;
}

START_TEST(a_device_knows_its_other_end_and_hears_of_it)
{
	changes = 0;
	x.changed = on_change;
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	ck_assert_str_eq(x.otherend, BACK);
	ck_assert_uint_eq(x.otherend_id, 0);
	ck_assert_uint_eq(changes, 1);
	host_write(BACK "/sectors", "2048");
	ck_assert_uint_eq(changes, 2);
	ck_assert_int_eq(pv_xenbus_peer(&x), XenbusStateInitialising);
	pv_xenbus_close(&x);
	host_write(BACK "/sectors", "4096");
	ck_assert_uint_eq(changes, 2);
}
END_TEST

static void back_end_moves(void)
{
	static const char *const state[] = { "2", "3", "4" };

	if (steps < ARRAY_LEN(state))
		host_write(BACK "/state", state[steps++]);
}

START_TEST(a_front_end_waits_for_the_state_it_needs)
{
	enum xenbus_state seen = XenbusStateUnknown;

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	steps = 0;
	next_step = back_end_moves;
	world.at_wait = on_wait;
	world.server = NULL;
	ck_assert_int_eq(pv_xenbus_wait(&x, PV_XENBUS_STATE(XenbusStateConnected) | PV_XENBUS_GONE,
	                                1000000000, &seen),
	                 0);
	ck_assert_int_eq(seen, XenbusStateConnected);
	ck_assert_uint_eq(steps, 3);
	pv_xenbus_close(&x);
}
END_TEST

START_TEST(a_state_is_written_where_there_is_one)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	ck_assert_int_eq(pv_xenbus_switch(&x, XenbusStateInitialised), 0);
	ck_assert_str_eq(xsc_read(world.host, FRONT "/state"), "3");
	ck_assert_int_eq(xsc_path(world.host, XS_RM, FRONT), 0);
	ck_assert_int_eq(pv_xenbus_switch(&x, XenbusStateClosed), -XEN_ENOENT);
	ck_assert_str_eq(xsc_read(world.host, FRONT), "!ENOENT");
	pv_xenbus_close(&x);
}
END_TEST

START_TEST(an_error_is_told_where_people_look_for_it)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	pv_xenbus_error(&x, -XEN_EINVAL, "no ring of %d pages", 3);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/error/device/vbd/768/error"),
	                 "22 no ring of 3 pages");
	pv_xenbus_close(&x);
}
END_TEST

START_TEST(an_error_that_was_told_is_the_answer)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	ck_assert_int_eq(pv_xenbus_error(&x, -XEN_ENOSPC, "no room"), -XEN_ENOSPC);
	pv_xenbus_close(&x);
}
END_TEST

static uint32_t sum;

static int add_up(const char *name, uint32_t number, void *arg)
{
	ck_assert_ptr_eq(arg, &sum);
	ck_assert_str_eq(name, number == 768 ? "device/vbd/768" : "device/vbd/832");
	sum += number;
	return 0;
}

START_TEST(devices_that_are_numbered_are_found)
{
	host_write("/local/domain/1/device/vbd/832/state", "1");
	host_write("/local/domain/1/device/vbd/other/state", "1");
	sum = 0;
	ck_assert_int_eq(pv_xenbus_each_number("vbd", add_up, &sum), 0);
	ck_assert_uint_eq(sum, 768 + 832);
}
END_TEST

START_TEST(a_queue_has_a_folder_when_it_is_not_the_only_one)
{
	char dir[PV_XENBUS_DIR];

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	pv_xenbus_queue_dir(&x, 0, 1, dir);
	ck_assert_str_eq(dir, "device/vbd/768");
	pv_xenbus_queue_dir(&x, 0, 2, dir);
	ck_assert_str_eq(dir, "device/vbd/768/queue-0");
	pv_xenbus_queue_dir(&x, 4294967295u, 4294967295u, dir);
	ck_assert_str_eq(dir, "device/vbd/768/queue-4294967295");
	pv_xenbus_close(&x);
}
END_TEST

static const char *moves[4];

static void back_end_makes_moves(void)
{
	if (steps < ARRAY_LEN(moves) && moves[steps])
		host_write(BACK "/state", moves[steps++]);
}

static void let_it_move(const char *first, const char *second)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	moves[0] = first;
	moves[1] = second;
	steps = 0;
	next_step = back_end_makes_moves;
	world.at_wait = on_wait;
}

static const struct {
	const char *first, *second;
	uint32_t gone;
	int rc;
} awaited[] = {
	{ "2", NULL, 0, 0 },
	{ "6", "2", 0, 0 },
	{ "6", NULL, PV_XENBUS_GONE, -XEN_ENODEV },
	{ "3", "5", PV_XENBUS_GONE, -XEN_ENODEV },
	{ "4", NULL, PV_XENBUS_GONE, -XEN_ETIMEDOUT },
	{ "nonsense", NULL, 0, -XEN_ENODEV },
};

START_TEST(a_step_is_awaited)
{
	let_it_move(awaited[_i].first, awaited[_i].second);
	ck_assert_int_eq(pv_xenbus_await(&x, XenbusStateInitWait, awaited[_i].gone),
	                 awaited[_i].rc);
	pv_xenbus_close(&x);
}
END_TEST

START_TEST(both_ends_leave)
{
	let_it_move("5", "6");
	pv_xenbus_leave(&x);
	ck_assert_str_eq(xsc_read(world.host, FRONT "/state"), "6");
	ck_assert_str_eq(xsc_read(world.host, BACK "/state"), "6");
	ck_assert_uint_eq(steps, 2);
	ck_assert_uint_lt(world.now_ns, PV_XENBUS_ANSWER_NS);
	pv_xenbus_close(&x);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(a_wait_ends_at_its_limit)
{
	enum xenbus_state seen = XenbusStateUnknown;
	uint64_t before;

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	before = world.now_ns;
	ck_assert_int_eq(
		pv_xenbus_wait(&x, PV_XENBUS_STATE(XenbusStateConnected), 500000000, &seen),
		-XEN_ETIMEDOUT);
	ck_assert_int_eq(seen, XenbusStateInitialising);
	ck_assert_uint_ge(world.now_ns, before + 500000000);
	ck_assert_uint_le(world.now_ns, before + 600000000);
	pv_xenbus_close(&x);
}
END_TEST

static void back_end_vanishes(void)
{
	xsc_path(world.host, XS_RM, BACK);
}

START_TEST(an_other_end_that_vanishes_is_gone)
{
	enum xenbus_state seen = XenbusStateConnected;

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	next_step = back_end_vanishes;
	world.at_wait = on_wait;
	ck_assert_int_eq(pv_xenbus_wait(&x, PV_XENBUS_GONE, 0, &seen), 0);
	ck_assert_int_eq(seen, XenbusStateUnknown);
	world.at_wait = NULL;
	pv_xenbus_close(&x);
}
END_TEST

static void store_breaks(void)
{
	world.page.ring.rsp_prod += 5000;
	to_guest(NULL);
}

START_TEST(a_wait_without_end_ends_when_the_store_does)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	next_step = store_breaks;
	world.at_wait = on_wait;
	ck_assert_int_eq(pv_xenbus_wait(&x, PV_XENBUS_STATE(XenbusStateConnected), 0, NULL),
	                 -XEN_EIO);
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
	char name[PV_XENBUS_NAME + 1], path[256];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(pv_xenbus_open(&x, name), -XEN_E2BIG);
	snprintf(path, sizeof(path), "/local/domain/1/device/vbd/%s/state", name);
	host_write(path, "1");
	name[0] = '\0';
	ck_assert_int_eq(pv_xenbus_each("vbd", collect, path), -XEN_E2BIG);
}
END_TEST

START_TEST(an_other_end_that_will_not_go_is_left)
{
	let_it_move("4", NULL);
	pv_xenbus_leave(&x);
	ck_assert_str_eq(xsc_read(world.host, FRONT "/state"), "6");
	ck_assert_uint_ge(world.now_ns, 2 * PV_XENBUS_ANSWER_NS);
	ck_assert_uint_le(world.now_ns, 2 * PV_XENBUS_ANSWER_NS + 100000000);
	pv_xenbus_close(&x);
}
END_TEST

START_TEST(a_look_tells_a_store_in_trouble_from_an_other_end_that_is_gone)
{
	uint64_t state = 77;

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	xsc_path(world.host, XS_RM, BACK);
	ck_assert_int_eq(pv_xenbus_look(&x, &state), 0);
	ck_assert_uint_eq(state, XenbusStateUnknown);
	state = 77;
	store_breaks();
	ck_assert_int_eq(pv_xenbus_look(&x, &state), -XEN_EIO);
	ck_assert_uint_eq(state, 77);
}
END_TEST

static const struct {
	const char *name;
	int rc;
	uint32_t number;
} numbers[] = {
	{ "device/vbd/0", 0, 0 },
	{ "51712", 0, 51712 },
	{ "device/vbd/4294967295", 0, UINT32_MAX },
	{ "device/vbd/4294967296", -XEN_EINVAL, 77 },
	{ "device/vbd/99999999999999999999999999", -XEN_EINVAL, 77 },
	{ "device/vbd/", -XEN_EINVAL, 77 },
	{ "", -XEN_EINVAL, 77 },
	{ "device/vbd/-1", -XEN_EINVAL, 77 },
	{ "device/vbd/12a", -XEN_EINVAL, 77 },
};

START_TEST(a_number_is_one_of_32_bits)
{
	uint32_t number = 77;

	ck_assert_int_eq(pv_xenbus_number(numbers[_i].name, &number), numbers[_i].rc);
	ck_assert_uint_eq(number, numbers[_i].number);
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

static const struct {
	const char *backend, *id;
	int rc;
} ends[] = {
	{ "", "0", -XEN_EINVAL },
	{ "backend", "0", -XEN_EINVAL },
	{ BACK, "", -XEN_EINVAL },
	{ BACK, "-1", -XEN_EINVAL },
	{ BACK, "32752", -XEN_EINVAL },
	{ BACK, "65536", -XEN_EINVAL },
	{ BACK, "18446744073709551616", -XEN_EINVAL },
	{ "/not a path", "0", -XEN_EINVAL },
	{ NULL, "0", -XEN_ENOENT },
	{ BACK, NULL, -XEN_ENOENT },
};

START_TEST(a_folder_that_makes_no_sense_is_no_device)
{
	xsc_path(world.host, XS_RM, FRONT "/backend");
	xsc_path(world.host, XS_RM, FRONT "/backend-id");
	if (ends[_i].backend)
		host_write(FRONT "/backend", ends[_i].backend);
	if (ends[_i].id)
		host_write(FRONT "/backend-id", ends[_i].id);
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), ends[_i].rc);
}
END_TEST

START_TEST(a_path_with_a_nul_in_it_is_refused)
{
	static const char payload[] = FRONT "/backend\0/local\0/domain";

	ck_assert_int_eq(xsc_call(world.host, XS_WRITE, payload, sizeof(payload) - 1), 0);
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), -XEN_EINVAL);
}
END_TEST

static const struct {
	const char *text;
	enum xenbus_state state;
} states[] = {
	{ "1", XenbusStateInitialising },     { "8", XenbusStateReconfigured },
	{ "9", XenbusStateUnknown },          { "", XenbusStateUnknown },
	{ "x", XenbusStateUnknown },          { "-1", XenbusStateUnknown },
	{ "4294967300", XenbusStateUnknown },
};

START_TEST(a_state_that_is_none_is_unknown)
{
	host_write(BACK "/state", states[_i].text);
	ck_assert_int_eq(pv_xenbus_read_state(BACK), states[_i].state);
}
END_TEST

static const struct {
	const char *text;
	uint64_t state;
} looks[] = {
	{ "4", XenbusStateConnected }, { "9", 9 },
	{ "4294967300", 4294967300 },  { "", XenbusStateUnknown },
	{ "-1", XenbusStateUnknown },
};

START_TEST(a_look_says_what_is_written)
{
	uint64_t state = 77;

	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	host_write(BACK "/state", looks[_i].text);
	ck_assert_int_eq(pv_xenbus_look(&x, &state), 0);
	ck_assert_uint_eq(state, looks[_i].state);
	pv_xenbus_close(&x);
}
END_TEST

static const struct {
	const char *text;
	uint32_t most, number;
} offers[] = {
	{ "0", 10, 0 },   { "10", 10, 10 },
	{ "11", 10, 7 },  { "4294967295", UINT32_MAX, UINT32_MAX },
	{ "", 10, 7 },    { "4294967296", UINT32_MAX, 7 },
	{ "0x1", 10, 7 }, { "-1", UINT32_MAX, 7 },
	{ NULL, 10, 7 },
};

START_TEST(an_offer_out_of_range_is_none)
{
	ck_assert_int_eq(pv_xenbus_open(&x, "device/vbd/768"), 0);
	if (offers[_i].text)
		host_write(BACK "/queues", offers[_i].text);
	ck_assert_uint_eq(pv_xenbus_offer(&x, "queues", offers[_i].most, 7), offers[_i].number);
	if (offers[_i].number == 7)
		ck_assert_uint_eq(pv_xenbus_offers(&x, "queues"),
		                  offers[_i].text && offers[_i].most == 10 &&
		                          offers[_i].text[0] == '1');
	pv_xenbus_close(&x);
}
END_TEST

Suite *pv_xenbus_suite(void)
{
	Suite *s = suite_create("pv_xenbus");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_test(normal, devices_are_found);
	tcase_add_test(normal, a_device_knows_its_other_end_and_hears_of_it);
	tcase_add_test(normal, a_front_end_waits_for_the_state_it_needs);
	tcase_add_test(normal, a_state_is_written_where_there_is_one);
	tcase_add_test(normal, an_error_is_told_where_people_look_for_it);
	tcase_add_test(normal, an_error_that_was_told_is_the_answer);
	tcase_add_test(normal, devices_that_are_numbered_are_found);
	tcase_add_test(normal, a_queue_has_a_folder_when_it_is_not_the_only_one);
	tcase_add_loop_test(normal, a_step_is_awaited, 0, ARRAY_LEN(awaited));
	tcase_add_test(normal, both_ends_leave);
	tcase_add_test(limits, a_wait_ends_at_its_limit);
	tcase_add_test(limits, an_other_end_that_will_not_go_is_left);
	tcase_add_test(limits, a_look_tells_a_store_in_trouble_from_an_other_end_that_is_gone);
	tcase_add_loop_test(limits, a_number_is_one_of_32_bits, 0, ARRAY_LEN(numbers));
	tcase_add_test(limits, an_other_end_that_vanishes_is_gone);
	tcase_add_test(limits, a_wait_without_end_ends_when_the_store_does);
	tcase_add_test(limits, names_that_are_too_long_are_refused);
	tcase_add_loop_test(hostile, a_folder_that_makes_no_sense_is_no_device, 0, ARRAY_LEN(ends));
	tcase_add_test(hostile, a_path_with_a_nul_in_it_is_refused);
	tcase_add_loop_test(hostile, a_state_that_is_none_is_unknown, 0, ARRAY_LEN(states));
	tcase_add_loop_test(hostile, a_look_says_what_is_written, 0, ARRAY_LEN(looks));
	tcase_add_loop_test(hostile, an_offer_out_of_range_is_none, 0, ARRAY_LEN(offers));
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
