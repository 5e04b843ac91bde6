/* SPDX-License-Identifier: MIT */
/*
 * Split devices in xenstore.
 *
 * Whoever waits for the other end's state counts changes: the event handler adds one for each event
 * of the watch on the other end's folder. A change between the look at the state and the sleep has
 * been counted, so the sleep does not begin.
 */
#include "pvops/xenbus.h"

#include <stdarg.h>

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"

#define LIST_MAX 1024 /* bytes of names of one kind's devices */

/* ---- finding --------------------------------------------------------------------------------- */

int pv_xenbus_each(const char *kind, int (*fn)(const char *name, void *arg), void *arg)
{
	char list[LIST_MAX], name[PV_XENBUS_NAME];
	const char *dev = NULL;
	size_t len;
	int rc;

	rc = pv_xs_directory(PV_XS_NO_TX, "device", kind, list, sizeof(list), &len);
	if (rc)
		return rc == -XEN_ENOENT ? 0 : rc;
	while ((dev = pv_xs_next(list, len, dev))) {
		rc = pv_snprintf(name, sizeof(name), "device/%s/%s", kind, dev);
		if (rc < 0 || (size_t)rc >= sizeof(name))
			return -XEN_E2BIG;
		rc = fn(name, arg);
		if (rc)
			return rc;
	}
	return 0;
}

int pv_xenbus_number(const char *name, uint32_t *number)
{
	const char *c, *digits = name;
	uint64_t n = 0;

	for (c = name; *c; c++)
		if (*c == '/')
			digits = c + 1;
	if (!*digits)
		return -XEN_EINVAL;
	for (c = digits; *c; c++) {
		if (*c < '0' || *c > '9' || n > UINT32_MAX)
			return -XEN_EINVAL;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	if (n > UINT32_MAX)
		return -XEN_EINVAL;
	*number = (uint32_t)n;
	return 0;
}

struct each {
	int (*fn)(const char *name, uint32_t number, void *arg);
	void *arg;
};

static int visit(const char *name, void *arg)
{
	const struct each *e = arg;
	uint32_t number;

	return pv_xenbus_number(name, &number) ? 0 : e->fn(name, number, e->arg);
}

int pv_xenbus_each_number(const char *kind, int (*fn)(const char *name, uint32_t number, void *arg),
                          void *arg)
{
	struct each e = { fn, arg };

	return pv_xenbus_each(kind, visit, &e);
}

static void on_change(struct pv_xs_watch *w, const char *path)
{
	struct pv_xenbus *x = w->arg;

	(void)path;
	__atomic_fetch_add(&x->changes, 1, __ATOMIC_RELEASE);
	pv_wake(&x->q);
	if (x->changed)
		x->changed(x);
}

int pv_xenbus_open(struct pv_xenbus *x, const char *name)
{
	size_t len = strlen(name);
	uint64_t id;
	int rc;

	if (len >= sizeof(x->name))
		return -XEN_E2BIG;
	memcpy(x->name, name, len + 1);
	rc = pv_xs_read(PV_XS_NO_TX, name, "backend", x->otherend, sizeof(x->otherend), &len);
	if (!rc)
		rc = pv_xs_read_u64(PV_XS_NO_TX, name, "backend-id", &id);
	if (rc)
		return rc;
	if (strlen(x->otherend) != len || x->otherend[0] != '/' || id >= DOMID_FIRST_RESERVED)
		return -XEN_EINVAL;
	x->otherend_id = (domid_t)id;
	x->watch.fn = on_change;
	x->watch.arg = x;
	return pv_xs_watch(&x->watch, x->otherend);
}

void pv_xenbus_close(struct pv_xenbus *x)
{
	pv_xs_unwatch(&x->watch);
}

/* ---- states ---------------------------------------------------------------------------------- */

static int read_state(uint32_t tx, const char *dir, enum xenbus_state *state)
{
	uint64_t n;
	int rc = pv_xs_read_u64(tx, dir, "state", &n);

	*state = !rc && n <= XenbusStateReconfigured ? (enum xenbus_state)n : XenbusStateUnknown;
	return rc;
}

enum xenbus_state pv_xenbus_read_state(const char *dir)
{
	enum xenbus_state state;

	read_state(PV_XS_NO_TX, dir, &state);
	return state;
}

enum xenbus_state pv_xenbus_peer(const struct pv_xenbus *x)
{
	return pv_xenbus_read_state(x->otherend);
}

struct switching {
	const char *dir;
	enum xenbus_state to;
};

/* Looked at and written in one transaction: a node removed in between is not made again. */
static int write_state(uint32_t tx, void *arg)
{
	const struct switching *s = arg;
	enum xenbus_state now;
	int rc = read_state(tx, s->dir, &now);

	if (rc && rc != -XEN_EINVAL)
		return rc;
	return now == s->to ? 0 : pv_xs_printf(tx, s->dir, "state", "%u", (unsigned int)s->to);
}

int pv_xenbus_switch(struct pv_xenbus *x, enum xenbus_state state)
{
	struct switching s = { .dir = x->name, .to = state };

	return pv_xs_transact(write_state, &s);
}

/* Nobody is there to tell us anything: it says nothing of the node that was asked for. */
static bool is_store_in_trouble(int rc)
{
	return rc == -XEN_EIO || rc == -XEN_ENODEV || rc == -XEN_ETIMEDOUT;
}

struct waiting {
	struct pv_xenbus *x;
	uint32_t changes;
};

static bool has_changed(void *arg)
{
	const struct waiting *w = arg;

	return pv_load_acquire(&w->x->changes) != w->changes;
}

int pv_xenbus_wait(struct pv_xenbus *x, uint32_t states, uint64_t limit_ns, enum xenbus_state *seen)
{
	uint64_t deadline_ns = limit_ns ? pv_now_ns() + limit_ns : 0;
	struct waiting w = { .x = x };
	enum xenbus_state state;
	bool in_time = true;
	int rc;

	for (;;) {
		w.changes = pv_load_acquire(&x->changes);
		rc = read_state(PV_XS_NO_TX, x->otherend, &state);
		if (seen)
			*seen = state;
		if (is_store_in_trouble(rc))
			return rc;
		if (states & PV_XENBUS_STATE(state))
			return 0;
		if (!in_time)
			return -XEN_ETIMEDOUT;
		in_time = pv_wait(&x->q, has_changed, &w, deadline_ns);
	}
}

int pv_xenbus_await(struct pv_xenbus *x, enum xenbus_state state, uint32_t gone)
{
	enum xenbus_state seen = XenbusStateUnknown;
	int rc = pv_xenbus_wait(x, PV_XENBUS_STATE(state) | gone, PV_XENBUS_ANSWER_NS, &seen);

	if (rc == -XEN_ETIMEDOUT && seen == XenbusStateUnknown)
		return -XEN_ENODEV;
	return rc ? rc : seen == state ? 0 : -XEN_ENODEV;
}

int pv_xenbus_look(const struct pv_xenbus *x, uint64_t *state)
{
	uint64_t n;
	int rc = pv_xs_read_u64(PV_XS_NO_TX, x->otherend, "state", &n);

	if (is_store_in_trouble(rc))
		return rc;
	*state = rc ? XenbusStateUnknown : n;
	return 0;
}

void pv_xenbus_leave(struct pv_xenbus *x)
{
	if (!pv_xenbus_switch(x, XenbusStateClosing))
		pv_xenbus_wait(x, PV_XENBUS_GONE, PV_XENBUS_ANSWER_NS, NULL);
	if (!pv_xenbus_switch(x, XenbusStateClosed))
		pv_xenbus_wait(
			x, PV_XENBUS_STATE(XenbusStateClosed) | PV_XENBUS_STATE(XenbusStateUnknown),
			PV_XENBUS_ANSWER_NS, NULL);
}

/* ---- what is agreed upon --------------------------------------------------------------------- */

uint32_t pv_xenbus_offer(const struct pv_xenbus *x, const char *node, uint32_t most,
                         uint32_t otherwise)
{
	uint64_t n;

	if (pv_xs_read_u64(PV_XS_NO_TX, x->otherend, node, &n) || n > most)
		return otherwise;
	return (uint32_t)n;
}

bool pv_xenbus_offers(const struct pv_xenbus *x, const char *node)
{
	return pv_xenbus_offer(x, node, UINT32_MAX, 0) != 0;
}

void pv_xenbus_queue_dir(const struct pv_xenbus *x, unsigned queue, unsigned nr_queues,
                         char dir[PV_XENBUS_DIR])
{
	pv_snprintf(dir, PV_XENBUS_DIR, nr_queues > 1 ? "%s/queue-%u" : "%s", x->name, queue);
}

/* ---- failure --------------------------------------------------------------------------------- */

int pv_xenbus_error(struct pv_xenbus *x, int err, const char *fmt, ...)
{
	char text[160], dir[PV_XENBUS_NAME + 8];
	va_list ap;

	va_start(ap, fmt);
	pv_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pv_log("%s: %s (error %d)\n", x->name, text, err);
	pv_snprintf(dir, sizeof(dir), "error/%s", x->name);
	pv_xs_printf(PV_XS_NO_TX, dir, "error", "%d %s", err < 0 ? -err : err, text);
	return err;
}
