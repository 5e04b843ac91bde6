/* SPDX-License-Identifier: MIT */
/*
 * Xenstore: the client of the library against whatever store the hypervisor has.
 *
 * Method: the domain's own folder is read, and data/ in it, which belongs to the domain, is written.
 * Every claim needs the connection that the first one makes. Breakage: requests that are never
 * answered, events that do not come, transactions that see what they must not see.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/xs.h"

#define S 1000000000ull

static bool is_connected;
static char buf[XENSTORE_PAYLOAD_MAX + 1];

static void connection_is_made(void)
{
	int rc = pv_xs_init(pv_boot.start);

	if (rc == -XEN_ENODEV)
		ST_SKIP("this domain was given no store");
	ST_EQ(rc, 0);
	pv_xs_set_limit(20 * S);
	is_connected = true;
	ST_EQ(pv_xs_reset(), 0);
}

#define NEEDS_STORE()                                      \
	do {                                               \
		if (!is_connected)                         \
			ST_SKIP("there is no connection"); \
	} while (0)

static void own_folder_is_readable(void)
{
	uint64_t domid;

	NEEDS_STORE();
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, NULL, "domid", &domid), 0);
	ST_EQ(domid, st_own_domid());
	ST_EQ(pv_xs_domain_path(st_own_domid(), buf, sizeof(buf)), 0);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, buf, "domid", &domid), 0); /* the same, absolute */
	ST_EQ(domid, st_own_domid());
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "cpu/0", "availability", buf, sizeof(buf), NULL), 0);
	ST_CHECK(!strcmp(buf, "online"), "cpu/0/availability is \"%s\"", buf);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, "memory", "target", &domid), 0);
}

static void toolstacks_nodes_are_not_ours(void)
{
	NEEDS_STORE();
	ST_EQ(pv_xs_write(PV_XS_NO_TX, NULL, "name", "other", 5), -XEN_EACCES);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, NULL, "name"), -XEN_EACCES);
	ST_EQ(pv_xs_mkdir(PV_XS_NO_TX, NULL, "new"), -XEN_EACCES);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "/", "none", buf, sizeof(buf), NULL), -XEN_EACCES);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "/local/domain/0", "name", buf, sizeof(buf), NULL),
	      -XEN_EACCES);
}

static void values_are_kept(void)
{
	static const char bytes[] = { 'a', 0, 'b', 0 };
	size_t len, i;

	NEEDS_STORE();
	ST_EQ(pv_xs_write(PV_XS_NO_TX, "data/st/deep", "er", bytes, sizeof(bytes)), 0);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data/st/deep", "er", buf, sizeof(buf), &len), 0);
	ST_EQ(len, sizeof(bytes));
	ST_EQ(memcmp(buf, bytes, sizeof(bytes)), 0);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data/st", "deep", buf, sizeof(buf), &len), 0);
	ST_EQ(len, 0);
	for (i = 0; i < 1800; i++) /* longer than the ring */
		buf[i] = (char)('a' + i % 26);
	ST_EQ(pv_xs_write(PV_XS_NO_TX, "data/st", "long", buf, 1800), 0);
	memset(buf, 0, sizeof(buf));
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data/st", "long", buf, sizeof(buf), &len), 0);
	ST_EQ(len, 1800);
	for (i = 0; i < len; i++)
		ST_EQ(buf[i], 'a' + i % 26);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data/st", "long", buf, sizeof(buf), NULL), -XEN_ENOENT);
}

static void folders_are_listed(void)
{
	const char *name = NULL;
	unsigned int found = 0;
	size_t len;

	NEEDS_STORE();
	ST_EQ(pv_xs_mkdir(PV_XS_NO_TX, "data/st", "x"), 0);
	ST_EQ(pv_xs_mkdir(PV_XS_NO_TX, "data/st", "y"), 0);
	ST_EQ(pv_xs_directory(PV_XS_NO_TX, "data", "st", buf, sizeof(buf), &len), 0);
	while ((name = pv_xs_next(buf, len, name)))
		found += !strcmp(name, "x") ? 1 : !strcmp(name, "y") ? 10 : 100;
	ST_EQ(found, 11);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
}

static void nonsense_is_refused(void)
{
	NEEDS_STORE();
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data//x", NULL, buf, sizeof(buf), NULL), -XEN_EINVAL);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "da ta", NULL, buf, sizeof(buf), NULL), -XEN_EINVAL);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, "data", "none", buf, sizeof(buf), NULL), -XEN_ENOENT);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data/none", "none"), -XEN_ENOENT);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "none"), 0);
	ST_EQ(pv_xs_end(4711, true), -XEN_ENOENT);
}

static void permissions_are_ours_to_give(void)
{
	struct pv_xs_perm perms[2] = { { 'n', st_own_domid() }, { 'r', 0 } }, got[4];
	unsigned int nr = 4;

	NEEDS_STORE();
	ST_EQ(pv_xs_write(PV_XS_NO_TX, "data", "st", "v", 1), 0);
	ST_EQ(pv_xs_set_perms(PV_XS_NO_TX, "data", "st", perms, 2), 0);
	ST_EQ(pv_xs_get_perms(PV_XS_NO_TX, "data", "st", got, &nr), 0);
	ST_EQ(nr, 2);
	ST_EQ(got[0].domid, st_own_domid());
	ST_EQ(got[1].access, 'r');
	perms[0].domid = 0;
	ST_EQ(pv_xs_set_perms(PV_XS_NO_TX, "data", "st", perms, 1), -XEN_EPERM);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
}

static void transactions_are_apart(void)
{
	uint64_t n;
	uint32_t tx;

	NEEDS_STORE();
	ST_EQ(pv_xs_printf(PV_XS_NO_TX, "data", "st", "1"), 0);
	ST_EQ(pv_xs_begin(&tx), 0);
	ST_EQ(pv_xs_printf(tx, "data", "st", "2"), 0);
	ST_EQ(pv_xs_read_u64(tx, "data", "st", &n), 0);
	ST_EQ(n, 2);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, "data", "st", &n), 0);
	ST_EQ(n, 1);
	ST_EQ(pv_xs_end(tx, true), 0);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, "data", "st", &n), 0);
	ST_EQ(n, 2);
	ST_EQ(pv_xs_begin(&tx), 0);
	ST_EQ(pv_xs_printf(tx, "data", "st", "3"), 0);
	ST_EQ(pv_xs_end(tx, false), 0);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, "data", "st", &n), 0);
	ST_EQ(n, 2);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
}

static void conflict_is_found(void)
{
	uint64_t n;
	uint32_t tx;

	NEEDS_STORE();
	ST_EQ(pv_xs_printf(PV_XS_NO_TX, "data", "st", "1"), 0);
	ST_EQ(pv_xs_begin(&tx), 0);
	ST_EQ(pv_xs_read_u64(tx, "data", "st", &n), 0);
	ST_EQ(pv_xs_printf(tx, "data", "st", "2"), 0);
	ST_EQ(pv_xs_printf(PV_XS_NO_TX, "data", "st", "3"), 0);
	ST_EQ(pv_xs_end(tx, true), -XEN_EAGAIN);
	ST_EQ(pv_xs_read_u64(PV_XS_NO_TX, "data", "st", &n), 0);
	ST_EQ(n, 3);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
}

/* ---- watches ---- */

static volatile unsigned int events;
static char last[64];

static void on_event(struct pv_xs_watch *w, const char *path)
{
	size_t len = strlen(path);

	(void)w;
	if (len < sizeof(last))
		memcpy(last, path, len + 1);
	events++;
}

static bool has_events(void *want)
{
	return events >= *(unsigned int *)want;
}

/* Waits until so many events have come in all. */
static bool await(unsigned int want)
{
	struct pv_waitq q = { { NULL, NULL } };

	return pv_wait(&q, has_events, &want, pv_now_ns() + 20 * S);
}

static void changes_are_told(void)
{
	struct pv_xs_watch w = { .fn = on_event };

	NEEDS_STORE();
	events = 0;
	ST_EQ(pv_xs_watch(&w, "data/st"), 0);
	ST_CHECK(await(1), "no first event");
	ST_CHECK(!strcmp(last, "data/st"), "first event at \"%s\"", last);
	ST_EQ(pv_xs_write(PV_XS_NO_TX, "data/st", "x", "v", 1), 0);
	ST_CHECK(await(2), "no event of a write");
	ST_CHECK(!strcmp(last, "data/st/x"), "event of a write at \"%s\"", last);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
	ST_CHECK(await(3), "no event of a removal");
	ST_CHECK(!strcmp(last, "data/st"), "event of a removal at \"%s\"", last);
	ST_EQ(pv_xs_unwatch(&w), 0);
	ST_EQ(pv_xs_write(PV_XS_NO_TX, "data", "st", "v", 1), 0);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
	ST_EQ(events, 3);
}

static void transaction_tells_at_its_end(void)
{
	struct pv_xs_watch w = { .fn = on_event };
	uint32_t tx;

	NEEDS_STORE();
	events = 0;
	ST_EQ(pv_xs_watch(&w, "data/st"), 0);
	ST_CHECK(await(1), "no first event");
	ST_EQ(pv_xs_begin(&tx), 0);
	ST_EQ(pv_xs_write(tx, "data", "st", "v", 1), 0);
	ST_EQ(pv_xs_read(PV_XS_NO_TX, NULL, "domid", buf, sizeof(buf), NULL), 0);
	ST_EQ(events, 1);
	ST_EQ(pv_xs_end(tx, true), 0);
	ST_CHECK(await(2), "no event of the commit");
	ST_EQ(pv_xs_unwatch(&w), 0);
	ST_EQ(pv_xs_rm(PV_XS_NO_TX, "data", "st"), 0);
}

static const struct st_claim claims[] = {
	ST_CLAIM(connection_is_made),
	ST_CLAIM(own_folder_is_readable),
	ST_CLAIM(toolstacks_nodes_are_not_ours),
	ST_CLAIM(values_are_kept),
	ST_CLAIM(folders_are_listed),
	ST_CLAIM(nonsense_is_refused),
	ST_CLAIM(permissions_are_ours_to_give),
	ST_CLAIM(transactions_are_apart),
	ST_CLAIM(conflict_is_found),
	ST_CLAIM(changes_are_told),
	ST_CLAIM(transaction_tells_at_its_end),
};

ST_FAMILY(store, claims);
