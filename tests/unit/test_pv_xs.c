/* SPDX-License-Identifier: MIT */
/*
 * The xenstore client of the guest library against the real server, and against servers that are
 * silent, late or wrong.
 */
#include "tests/unit/pv_xs_world.h"

Suite *pv_xs_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static char buf[XENSTORE_PAYLOAD_MAX + 1];

/* ---- nodes ----------------------------------------------------------------------------------- */

START_TEST(values_are_written_and_read)
{
	size_t len = 0;

	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", "b", "value", 5), 0);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/a/b"), "value");
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", "b", buf, sizeof(buf), &len), 0);
	ck_assert_str_eq(buf, "value");
	ck_assert_uint_eq(len, 5);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, "", 0), 0);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, NULL, "a", buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(pv_xs_printf(PV_XS_NO_TX, "a", "n", "%d-%s", -5, "x"), 0);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/a/n"), "-5-x");
}
END_TEST

static const struct {
	const char *dir, *name, *path;
} paths[] = {
	{ "a", "b", "/local/domain/1/a/b" },
	{ "a/b", "c", "/local/domain/1/a/b/c" },
	{ NULL, "b", "/local/domain/1/b" },
	{ "b", NULL, "/local/domain/1/b" },
	{ "/local/domain/1", "b", "/local/domain/1/b" },
};

START_TEST(a_folder_and_a_name_make_a_path)
{
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, paths[_i].dir, paths[_i].name, "v", 1), 0);
	ck_assert_str_eq(xsc_read(world.host, paths[_i].path), "v");
}
END_TEST

START_TEST(errors_arrive_as_numbers)
{
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "none", NULL, buf, sizeof(buf), NULL),
	                 -XEN_ENOENT);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "/", "tool", buf, sizeof(buf), NULL), -XEN_EACCES);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a//b", NULL, "v", 1), -XEN_EINVAL);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, buf, 3000), -XEN_ENOSPC);
	ck_assert_int_eq(pv_xs_end(77, true), -XEN_ENOENT);
}
END_TEST

START_TEST(long_messages_pass_in_pieces)
{
	static char value[4000];
	size_t len;

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = 'w';
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, value, 2048), 0);
	value[sizeof(value) - 1] = '\0';
	ck_assert_int_eq(xsc_write(world.host, "/local/domain/1/a", value), 0);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, sizeof(value) - 1);
	ck_assert_str_eq(buf, value);
}
END_TEST

START_TEST(folders_are_listed)
{
	const char *name = NULL;
	char all[64] = "";
	size_t len;

	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "d", "one"), 0);
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "d", "two"), 0);
	ck_assert_int_eq(pv_xs_directory(PV_XS_NO_TX, "d", NULL, buf, sizeof(buf), &len), 0);
	while ((name = pv_xs_next(buf, len, name)))
		strcat(strcat(all, name), " ");
	ck_assert_str_eq(all, "one two ");
	ck_assert_int_eq(pv_xs_rm(PV_XS_NO_TX, "d", "one"), 0);
	ck_assert_int_eq(pv_xs_directory(PV_XS_NO_TX, "d", "two", buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(pv_xs_next(buf, len, NULL));
}
END_TEST

START_TEST(permissions_are_set_and_read)
{
	struct pv_xs_perm set[] = { { 'n', 1 }, { 'r', 0 }, { 'b', 65535 } }, got[4];
	unsigned int nr = 4;

	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "p", NULL, "v", 1), 0);
	ck_assert_int_eq(pv_xs_set_perms(PV_XS_NO_TX, "p", NULL, set, 3), 0);
	ck_assert_int_eq(pv_xs_get_perms(PV_XS_NO_TX, "p", NULL, got, &nr), 0);
	ck_assert_uint_eq(nr, 3);
	ck_assert_int_eq(got[2].access, 'b');
	ck_assert_uint_eq(got[2].domid, 65535);
	nr = 2;
	ck_assert_int_eq(pv_xs_get_perms(PV_XS_NO_TX, "p", NULL, got, &nr), -XEN_E2BIG);
	ck_assert_int_eq(pv_xs_domain_path(12, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "/local/domain/12");
}
END_TEST

static const struct {
	const char *text;
	int rc;
	uint64_t value;
} numbers[] = {
	{ "0", 0, 0 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -XEN_EINVAL, 5 },
	{ "", -XEN_EINVAL, 5 },
	{ "1x", -XEN_EINVAL, 5 },
	{ "-1", -XEN_EINVAL, 5 },
	{ "0000000000000000000000000000000000001", -XEN_EINVAL, 5 },
};

START_TEST(a_number_is_read_strictly)
{
	uint64_t value = 5;

	ck_assert_int_eq(xsc_write(world.host, "/local/domain/1/n", numbers[_i].text), 0);
	ck_assert_int_eq(pv_xs_read_u64(PV_XS_NO_TX, NULL, "n", &value), numbers[_i].rc);
	ck_assert_uint_eq(value, numbers[_i].value);
}
END_TEST

/* ---- transactions ---------------------------------------------------------------------------- */

static int disturbed, times;

static int add_one(uint32_t tx, void *arg)
{
	uint64_t n;
	int rc = pv_xs_read_u64(tx, NULL, "n", &n);

	(void)arg;
	times++;
	if (rc)
		return rc;
	if (disturbed-- > 0)
		ck_assert_int_eq(xsc_write(world.host, "/local/domain/1/n", "100"), 0);
	return pv_xs_printf(tx, NULL, "n", "%u", (unsigned)n + 1);
}

START_TEST(a_transaction_is_repeated_until_nobody_disturbs_it)
{
	times = 0;
	disturbed = 2;
	ck_assert_int_eq(pv_xs_printf(PV_XS_NO_TX, NULL, "n", "%u", 1), 0);
	ck_assert_int_eq(pv_xs_transact(add_one, NULL), 0);
	ck_assert_int_eq(times, 3);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/n"), "101");
}
END_TEST

START_TEST(a_transaction_whose_function_fails_is_abandoned)
{
	unsigned i;

	for (i = 0; i < 50; i++) /* more often than there may be open ones */
		ck_assert_int_eq(pv_xs_transact(add_one, NULL), -XEN_ENOENT);
}
END_TEST

START_TEST(a_transaction_that_is_always_disturbed_ends_at_the_limit)
{
	times = 0;
	disturbed = 1 << 30;
	ck_assert_int_eq(pv_xs_printf(PV_XS_NO_TX, NULL, "n", "%u", 1), 0);
	pv_xs_set_limit(0);
	ck_assert_int_eq(pv_xs_transact(add_one, NULL), -XEN_EAGAIN);
	ck_assert_int_eq(times, 1);
}
END_TEST

/* ---- watches --------------------------------------------------------------------------------- */

struct seen {
	struct pv_xs_watch w;
	char text[256];
};

static void on_change(struct pv_xs_watch *w, const char *path)
{
	struct seen *seen = w->arg;

	strcat(strcat(seen->text, path), " ");
}

static void seen_begin(struct seen *seen, const char *path)
{
	memset(seen, 0, sizeof(*seen));
	seen->w.fn = on_change;
	seen->w.arg = seen;
	ck_assert_int_eq(pv_xs_watch(&seen->w, path), 0);
}

START_TEST(watches_are_told_of_changes_until_they_end)
{
	struct seen a, all;

	seen_begin(&a, "a");
	seen_begin(&all, "/local/domain/1");
	ck_assert_str_eq(a.text, "a ");
	ck_assert_str_eq(all.text, "/local/domain/1 ");
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", "x", "v", 1), 0);
	ck_assert_int_eq(xsc_write(world.host, "/local/domain/1/b", "v"), 0);
	ck_assert_str_eq(a.text, "a a/x ");
	ck_assert_str_eq(all.text, "/local/domain/1 /local/domain/1/a/x /local/domain/1/b ");
	ck_assert_int_eq(pv_xs_unwatch(&a.w), 0);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", "x", "v", 1), 0);
	ck_assert_str_eq(a.text, "a a/x ");
	ck_assert_int_eq(pv_xs_unwatch(&all.w), 0);
	ck_assert_int_eq(pv_xs_unwatch(&all.w), -XEN_ENOENT);
}
END_TEST

START_TEST(a_refused_watch_is_forgotten)
{
	struct seen seen = { .w = { .fn = on_change } };

	ck_assert_int_eq(pv_xs_watch(&seen.w, "a//b"), -XEN_EINVAL);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, "v", 1), 0);
}
END_TEST

START_TEST(a_reset_ends_what_an_earlier_kernel_left)
{
	static const char left[] = "a\0old";
	struct xsd_sockmsg hdr = { .type = XS_WATCH, .len = sizeof(left) };

	memcpy(world.page.ring.req + world.page.ring.req_prod, &hdr, sizeof(hdr));
	memcpy(world.page.ring.req + world.page.ring.req_prod + sizeof(hdr), left, sizeof(left));
	world.page.ring.req_prod += sizeof(hdr) + sizeof(left);
	ck_assert_int_eq(pv_xs_attach(&world.page.ring, PORT), 0);
	xs_guest_event(world.conn);
	ck_assert_int_eq(pv_xs_reset(), 0);
	world.sends = 0;
	ck_assert_int_eq(xsc_write(world.host, "/local/domain/1/a", "v"), 0);
	ck_assert_uint_eq(world.sends, 0); /* no event came */
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(what_does_not_fit_is_refused)
{
	static char big[XENSTORE_PAYLOAD_MAX];
	uint32_t prod = world.page.ring.req_prod;
	size_t len;

	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, big, sizeof(big)), -XEN_E2BIG);
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, big, SIZE_MAX), -XEN_E2BIG);
	ck_assert_uint_eq(world.page.ring.req_prod, prod); /* nothing was sent */
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, "12345", 5), 0);
	strcpy(buf, "old");
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, 5, &len), -XEN_E2BIG);
	ck_assert_str_eq(buf, "old");
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, 0, &len), -XEN_E2BIG);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, 6, &len), 0);
	ck_assert_str_eq(buf, "12345");
	ck_assert_int_eq(pv_xs_printf(PV_XS_NO_TX, "a", NULL, "%300d", 1), -XEN_E2BIG);
}
END_TEST

static void deaf(void)
{
}

START_TEST(a_silent_server_is_waited_for_only_so_long)
{
	uint64_t before = world.now_ns;

	world.server = deaf;
	pv_xs_set_limit(200000000);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL),
	                 -XEN_ETIMEDOUT);
	ck_assert_uint_ge(world.now_ns, before + 200000000);
	ck_assert_uint_le(world.now_ns, before + 210000000);
}
END_TEST

START_TEST(a_late_reply_finds_nobody_and_does_no_harm)
{
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, "v", 1), 0);
	world.server = deaf;
	strcpy(buf, "old");
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL),
	                 -XEN_ETIMEDOUT);
	world.server = NULL;
	xs_guest_event(world.conn); /* now it answers */
	ck_assert_str_eq(buf, "old");
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL), 0);
	ck_assert_str_eq(buf, "v");
}
END_TEST

/* The server stops in the middle of a message; who gave up does not spoil it for the next. */
START_TEST(a_message_that_was_half_sent_is_sent_to_its_end)
{
	static char value[2000];

	memset(value, 'v', sizeof(value) - 1);
	world.server = deaf;
	ck_assert_int_eq(pv_xs_write(PV_XS_NO_TX, "a", NULL, value, 1999), -XEN_ETIMEDOUT);
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "b", NULL), -XEN_ETIMEDOUT); /* not even begun */
	world.server = NULL;
	xs_guest_event(world.conn);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/a"), value);
	ck_assert_str_eq(xsc_read(world.host, "/local/domain/1/b"), "!ENOENT");
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "c", NULL), 0);
}
END_TEST

/* ---- hostile servers ------------------------------------------------------------------------- */

static struct xsd_sockmsg request; /* the last that a hand-made server took */
static const char *bad_payload;
static size_t bad_len;
static struct xsd_sockmsg bad_hdr;

static void put_rsp(const void *data, size_t len)
{
	struct xenstore_domain_interface *r = &world.page.ring;
	size_t i;

	for (i = 0; i < len; i++)
		r->rsp[MASK_XENSTORE_IDX(r->rsp_prod + i)] = ((const char *)data)[i];
	r->rsp_prod += (uint32_t)len;
}

/* Takes a request whole, and answers with bad_hdr (its id, if that is 0) and bad_payload. */
static void bad_server(void)
{
	struct xenstore_domain_interface *r = &world.page.ring;
	size_t i;

	if (r->req_prod - r->req_cons < sizeof(request))
		return;
	for (i = 0; i < sizeof(request); i++)
		((char *)&request)[i] = r->req[MASK_XENSTORE_IDX(r->req_cons + i)];
	r->req_cons = r->req_prod;
	if (!bad_hdr.req_id)
		bad_hdr.req_id = request.req_id;
	put_rsp(&bad_hdr, sizeof(bad_hdr));
	put_rsp(bad_payload, bad_len);
	to_guest(NULL);
}

static const struct {
	const char *what;
	uint32_t type, id, len;
	const char *payload;
	size_t payload_len;
	int rc;
} replies[] = {
	{ "honest", XS_READ, 0, 1, "v", 1, 0 },
	{ "of another type", XS_WRITE, 0, 3, "OK", 3, -XEN_EIO },
	{ "of a type that is none", 999, 0, 1, "v", 1, -XEN_EIO },
	{ "an event with an id", XS_WATCH_EVENT, 0, 4, "a\0t", 4, -XEN_ETIMEDOUT },
	{ "to somebody else", XS_READ, 4711, 1, "v", 1, -XEN_ETIMEDOUT },
	{ "an error without a name", XS_ERROR, 0, 0, "", 0, -XEN_EINVAL },
	{ "an error without a nul", XS_ERROR, 0, 6, "ENOENT", 6, -XEN_ENOENT },
	{ "an unknown error", XS_ERROR, 0, 6, "EWHAT", 6, -XEN_EINVAL },
	{ "an error that xenstored of old knew", XS_ERROR, 0, 7, "EQUOTA", 7, -XEN_ENOSPC },
	{ "too long", XS_READ, 0, 4097, "v", 1, -XEN_EIO },
	{ "far too long", XS_READ, 0, UINT32_MAX, "v", 1, -XEN_EIO },
	{ "not all there", XS_READ, 0, 100, "v", 1, -XEN_ETIMEDOUT },
	{ "an event without a token", XS_WATCH_EVENT, 1, 2, "a", 2, -XEN_ETIMEDOUT },
	{ "an event without a nul", XS_WATCH_EVENT, 1, 2, "aa", 2, -XEN_ETIMEDOUT },
	{ "an empty event", XS_WATCH_EVENT, 1, 0, "", 0, -XEN_ETIMEDOUT },
	{ "an event with half a token", XS_WATCH_EVENT, 1, 4, "a\0zz", 4, -XEN_ETIMEDOUT },
};

START_TEST(a_wrong_reply_is_an_error_or_no_reply)
{
	bad_hdr = (struct xsd_sockmsg){ .type = replies[_i].type,
		                        .req_id = replies[_i].id,
		                        .len = replies[_i].len };
	bad_payload = replies[_i].payload;
	bad_len = replies[_i].payload_len;
	world.server = bad_server;
	pv_xs_set_limit(20000000);
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL),
	                 replies[_i].rc);
}
END_TEST

static void liar(void)
{
	world.page.ring.rsp_prod += 5000;
	to_guest(NULL);
}

START_TEST(a_broken_ring_is_an_error_for_all_until_it_is_attached_anew)
{
	world.server = liar;
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL), -XEN_EIO);
	world.server = NULL;
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "a", NULL), -XEN_EIO);
	world.page.ring.connection = XENSTORE_RECONNECT;
	xs_guest_event(world.conn);
	ck_assert_int_eq(pv_xs_attach(&world.page.ring, PORT), 0);
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "a", NULL), 0);
}
END_TEST

START_TEST(a_server_that_gives_us_up_is_noticed)
{
	world.page.ring.req_prod += 2000; /* as if somebody else had written to our page */
	xs_guest_event(world.conn);
	ck_assert_uint_eq(world.page.ring.error, XENSTORE_ERROR_RINGIDX);
	ck_assert_int_eq(pv_xs_mkdir(PV_XS_NO_TX, "a", NULL), -XEN_EIO);
}
END_TEST

/* An event by hand, for the watch with that token; len: of the payload, less than it should be. */
static void put_event(const char *payload, size_t len)
{
	struct xsd_sockmsg hdr = { .type = XS_WATCH_EVENT, .len = (uint32_t)len };

	put_rsp(&hdr, sizeof(hdr));
	put_rsp(payload, len);
	to_guest(NULL);
}

START_TEST(what_an_earlier_message_left_is_not_taken_for_a_part_of_this_one)
{
	struct seen seen;
	char payload[32];

	seen_begin(&seen, "a");
	world.server = deaf;
	seen.text[0] = '\0';
	memset(payload, 0, sizeof(payload));
	strcpy(payload, "aa");
	strcpy(payload + 3, seen.w.token);
	put_event(payload, 3 + strlen(seen.w.token) + 1);
	ck_assert_str_eq(seen.text, "aa ");
	put_event("aa", 2); /* its nul and its token are missing */
	put_event("aa", 3);
	ck_assert_str_eq(seen.text, "aa ");
	put_event("ENOENT-and-more", 16);
	bad_hdr = (struct xsd_sockmsg){ .type = XS_ERROR, .len = 6 };
	bad_payload = "ENOENT";
	bad_len = 6;
	world.server = bad_server;
	ck_assert_int_eq(pv_xs_read(PV_XS_NO_TX, "a", NULL, buf, sizeof(buf), NULL), -XEN_ENOENT);
}
END_TEST

static unsigned storm_left, storm_calls;
static char storm_event[16];
static size_t storm_len;

/* Fills the page with events while there is room. */
static void storm(void)
{
	struct xsd_sockmsg hdr = { .type = XS_WATCH_EVENT, .len = (uint32_t)storm_len };
	struct xenstore_domain_interface *r = &world.page.ring;

	while (storm_left && r->rsp_prod - r->rsp_cons + 40 <= XENSTORE_RING_SIZE) {
		put_rsp(&hdr, sizeof(hdr));
		put_rsp(storm_event, storm_len);
		storm_left--;
	}
}

static void on_storm(struct pv_xs_watch *w, const char *path)
{
	(void)w;
	(void)path;
	storm_calls++;
	storm(); /* the server is as quick as we are */
}

/* Others get their turn in between, and nothing is lost. */
START_TEST(a_storm_of_events_is_taken_a_part_at_a_time)
{
	struct pv_xs_watch w = { .fn = on_storm };

	ck_assert_int_eq(pv_xs_watch(&w, "a"), 0);
	strcpy(storm_event, "a");
	strcpy(storm_event + 2, w.token);
	storm_len = 3 + strlen(w.token);
	world.server = deaf;
	storm_left = 1000;
	storm_calls = 0;
	storm();
	pv_xs_event(PORT, NULL);
	ck_assert_uint_eq(storm_calls, 64);
	ck_assert(is_pending()); /* by the handler's own doing */
	upcall();
	ck_assert_uint_eq(storm_left, 0);
	ck_assert_uint_eq(storm_calls, 1000);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

static void *thread_life(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, i;
	struct pv_cpu cpu = { .info = &world.info };
	char name[8], value[64], got[64];

	cpu.self = &cpu;
	pv_test_cpu = &cpu;
	snprintf(name, sizeof(name), "t%u", me);
	for (i = 0; i < 200; i++) {
		snprintf(value, sizeof(value), "%u-%u", me, i);
		if (pv_xs_write(PV_XS_NO_TX, "d", name, value, strlen(value)) ||
		    pv_xs_read(PV_XS_NO_TX, "d", name, got, sizeof(got), NULL) ||
		    strcmp(got, value))
			return "wrong";
	}
	return NULL;
}

START_TEST(threads_get_each_their_own_replies)
{
	pthread_t thread[3];
	struct seen seen;
	unsigned i;
	void *rc;

	world.real_clock = true;
	seen_begin(&seen, "none");
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
			pthread_create(&thread[i], NULL, thread_life, (void *)(uintptr_t)i), 0);
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &rc);
		ck_assert_ptr_null(rc);
	}
	ck_assert_int_eq(pv_xs_unwatch(&seen.w), 0);
}
END_TEST

static bool fn_inside, fn_may_leave, unwatched;

static void on_slow(struct pv_xs_watch *w, const char *path)
{
	(void)w;
	if (strcmp(path, "a/now"))
		return;
	__atomic_store_n(&fn_inside, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&fn_may_leave, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void *change_it(void *arg)
{
	pv_test_cpu = &world.cpu;
	xsc_write(world.host, "/local/domain/1/a/now", "v"); /* the upcall is in this thread */
	return arg;
}

static void *end_it(void *w)
{
	pv_test_cpu = &world.cpu;
	pv_xs_unwatch(w);
	__atomic_store_n(&unwatched, true, __ATOMIC_SEQ_CST);
	return NULL;
}

START_TEST(the_end_of_a_watch_waits_for_its_function)
{
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct pv_xs_watch w = { .fn = on_slow };
	pthread_t changer, ender;

	world.real_clock = true;
	fn_inside = fn_may_leave = unwatched = false;
	ck_assert_int_eq(pv_xs_watch(&w, "a"), 0);
	ck_assert_int_eq(pthread_create(&changer, NULL, change_it, NULL), 0);
	while (!__atomic_load_n(&fn_inside, __ATOMIC_SEQ_CST))
		sched_yield();
	pv_xs_set_limit(1000000); /* nor does it end before, when the server does not answer */
	ck_assert_int_eq(pthread_create(&ender, NULL, end_it, &w), 0);
	nanosleep(&pause, NULL);
	ck_assert_uint_eq(__atomic_load_n(&w.running, __ATOMIC_SEQ_CST), 1);
	ck_assert(!__atomic_load_n(&unwatched, __ATOMIC_SEQ_CST));
	__atomic_store_n(&fn_may_leave, true, __ATOMIC_SEQ_CST);
	pthread_join(changer, NULL);
	pthread_join(ender, NULL);
}
END_TEST

Suite *pv_xs_suite(void)
{
	Suite *s = suite_create("pv_xs");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, world_begin, world_end);
	tcase_add_checked_fixture(limits, world_begin, world_end);
	tcase_add_checked_fixture(hostile, world_begin, world_end);
	tcase_set_timeout(normal, 60);
	tcase_add_test(normal, values_are_written_and_read);
	tcase_add_loop_test(normal, a_folder_and_a_name_make_a_path, 0, ARRAY_LEN(paths));
	tcase_add_test(normal, errors_arrive_as_numbers);
	tcase_add_test(normal, long_messages_pass_in_pieces);
	tcase_add_test(normal, folders_are_listed);
	tcase_add_test(normal, permissions_are_set_and_read);
	tcase_add_loop_test(normal, a_number_is_read_strictly, 0, ARRAY_LEN(numbers));
	tcase_add_test(normal, a_transaction_is_repeated_until_nobody_disturbs_it);
	tcase_add_test(normal, a_transaction_whose_function_fails_is_abandoned);
	tcase_add_test(normal, watches_are_told_of_changes_until_they_end);
	tcase_add_test(normal, a_refused_watch_is_forgotten);
	tcase_add_test(normal, a_reset_ends_what_an_earlier_kernel_left);
	tcase_add_test(normal, threads_get_each_their_own_replies);
	tcase_add_test(normal, the_end_of_a_watch_waits_for_its_function);
	tcase_add_test(limits, a_transaction_that_is_always_disturbed_ends_at_the_limit);
	tcase_add_test(limits, what_does_not_fit_is_refused);
	tcase_add_test(limits, a_silent_server_is_waited_for_only_so_long);
	tcase_add_test(limits, a_late_reply_finds_nobody_and_does_no_harm);
	tcase_add_test(limits, a_message_that_was_half_sent_is_sent_to_its_end);
	tcase_add_loop_test(hostile, a_wrong_reply_is_an_error_or_no_reply, 0, ARRAY_LEN(replies));
	tcase_add_test(hostile, a_broken_ring_is_an_error_for_all_until_it_is_attached_anew);
	tcase_add_test(hostile, a_server_that_gives_us_up_is_noticed);
	tcase_add_test(hostile, what_an_earlier_message_left_is_not_taken_for_a_part_of_this_one);
	tcase_add_test(hostile, a_storm_of_events_is_taken_a_part_at_a_time);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
