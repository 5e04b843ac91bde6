/* SPDX-License-Identifier: MIT */
/*
 * The shared page: requests come out of it, replies and watch events go into it.
 *
 * The guest may write anything anywhere in the page at any time. So: the two indexes that are ours
 * are kept here and only shown in the page; each of the guest's two is read once per step, checked,
 * and then used; bytes are copied out before they are looked at.
 *
 * Back-pressure: a message leaves the connection's queue only when the one before it is in the page
 * entirely, and while too many replies wait no request is read. So what a guest that does not read
 * can make us hold is bounded, and it stops itself only.
 *
 * An index that cannot be, or a length beyond the protocol's limit, ends the conversation: `error`
 * in the page says why, watches and transactions go, and nothing is served until the guest asks for
 * a new beginning by `connection`.
 *
 * Source: Xen docs/misc/xenstore-ring.txt, public/io/xs_wire.h.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/*
 * Requests per event. The page holds no more than this many at one time, and the guest sends an
 * event behind each that it adds, so none is forgotten; and a guest that adds them as fast as they
 * are read keeps nobody here for ever.
 */
#define REQUESTS_PER_EVENT (XENSTORE_RING_SIZE / sizeof(struct xsd_sockmsg))

struct message {
	union {
		struct xsd_sockmsg hdr;
		char bytes[MESSAGE_MAX];
	};
	size_t done; /* bytes that have been moved */
};

struct xs_ring {
	struct xenstore_domain_interface *page;
	uint32_t req_cons, rsp_prod; /* ours: the page only shows them */
	struct message in, out;
	size_t out_len; /* of the message in out; 0: there is none */
	bool moved;     /* an index has moved that the guest may wait for */
};

static uint32_t load_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_release(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* An empty page on which a conversation can begin. */
static void begin(struct xs_ring *r)
{
	r->req_cons = r->rsp_prod = 0;
	r->in.done = 0;
	r->out_len = 0;
	store_release(&r->page->req_cons, 0);
	store_release(&r->page->req_prod, 0);
	store_release(&r->page->rsp_cons, 0);
	store_release(&r->page->rsp_prod, 0);
	store_release(&r->page->error, XENSTORE_ERROR_NONE);
	store_release(&r->page->server_features,
	              XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	/* Last: when the guest sees this, it may use all of the above. */
	store_release(&r->page->connection, XENSTORE_CONNECTED);
}

static void stop(struct xs_conn *conn, uint32_t error)
{
	xs_conn_reset(conn);
	conn->dead = true;
	conn->ring->out_len = 0;
	conn->ring->in.done = 0;
	store_release(&conn->ring->page->error, error);
	conn->ring->moved = true;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* Takes the next message from the queue; false when there is none. */
static bool load_out(struct xs_conn *conn)
{
	struct xs_ring *r = conn->ring;
	struct xs_out *m = xs_conn_take(conn);

	if (!m)
		return false;
	xs_out_format(m, &r->out.hdr, r->out.bytes + sizeof(r->out.hdr));
	free(m);
	r->out_len = sizeof(r->out.hdr) + r->out.hdr.len;
	r->out.done = 0;
	return true;
}

/* Copies what there is room for; false when the page is full, or the guest broke the rules. */
static bool push_some(struct xs_conn *conn)
{
	struct xs_ring *r = conn->ring;
	uint32_t at = MASK_XENSTORE_IDX(r->rsp_prod);
	/* Acquire: the guest has read the old bytes before we write new ones over them; pairs with
	 * its release of rsp_cons. */
	uint32_t used = r->rsp_prod - load_acquire(&r->page->rsp_cons);
	size_t n;

	if (used > XENSTORE_RING_SIZE) {
		stop(conn, XENSTORE_ERROR_RINGIDX);
		return false;
	}
	n = smaller(r->out_len - r->out.done, XENSTORE_RING_SIZE - used);
	n = smaller(n, XENSTORE_RING_SIZE - at);
	if (!n)
		return false;
	memcpy(r->page->rsp + at, r->out.bytes + r->out.done, n);
	r->out.done += n;
	r->rsp_prod += (uint32_t)n;
	store_release(&r->page->rsp_prod, r->rsp_prod); /* pairs with the guest's acquire */
	r->moved = true;
	return true;
}

/* Moves messages into the page until there are none or it is full. */
static void push(struct xs_conn *conn)
{
	struct xs_ring *r = conn->ring;

	while (!conn->dead && (r->out_len || load_out(conn))) {
		if (!push_some(conn))
			return;
		if (r->out.done == r->out_len)
			r->out_len = 0;
	}
}

/* ---- in -------------------------------------------------------------------------------------- */

/* Copies bytes of the request until it has `want`; false when the page has no more. */
static bool pull_until(struct xs_conn *conn, size_t want)
{
	struct xs_ring *r = conn->ring;
	uint32_t avail, at;
	size_t n;

	while (r->in.done < want) {
		avail = load_acquire(&r->page->req_prod) - r->req_cons;
		if (avail > XENSTORE_RING_SIZE) {
			stop(conn, XENSTORE_ERROR_RINGIDX);
			return false;
		}
		at = MASK_XENSTORE_IDX(r->req_cons);
		n = smaller(smaller(want - r->in.done, avail), XENSTORE_RING_SIZE - at);
		if (!n)
			return false;
		memcpy(r->in.bytes + r->in.done, r->page->req + at, n);
		r->in.done += n;
		r->req_cons += (uint32_t)n;
		/* Release: the bytes have been read before the guest may write over them. */
		store_release(&r->page->req_cons, r->req_cons);
		r->moved = true;
	}
	return true;
}

/* Reads on in the current request; true when it is complete. */
static bool pull(struct xs_conn *conn)
{
	struct message *in = &conn->ring->in;

	if (!pull_until(conn, sizeof(in->hdr)))
		return false;
	if (in->hdr.len > XENSTORE_PAYLOAD_MAX) {
		stop(conn, XENSTORE_ERROR_PROTO);
		return false;
	}
	return pull_until(conn, sizeof(in->hdr) + in->hdr.len);
}

/* ---- seams ----------------------------------------------------------------------------------- */

static bool ring_pump(struct xs_conn *conn)
{
	bool moved;

	push(conn);
	moved = conn->ring->moved;
	conn->ring->moved = false;
	return moved;
}

void xs_ring_serve(struct xs_conn *conn)
{
	struct xs_ring *r = conn->ring;
	unsigned left = REQUESTS_PER_EVENT;

	if (load_acquire(&r->page->connection) == XENSTORE_RECONNECT) {
		xs_conn_reset(conn);
		conn->dead = false;
		begin(r);
		r->moved = true;
	}
	for (push(conn); !conn->dead && left; left--) {
		if (conn->nr_replies >= conn->store->quota.replies || !pull(conn))
			break;
		r->in.done = 0;
		xs_wire_request(conn, &r->in.hdr, r->in.bytes + sizeof(r->in.hdr));
		push(conn);
	}
	if (conn->dead && load_acquire(&r->page->error) == XENSTORE_ERROR_NONE)
		stop(conn, XENSTORE_ERROR_COMM); /* no memory for a reply */
}

int xs_ring_attach(struct xs_conn *conn, void *page)
{
	struct xs_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->page = page;
	conn->ring = r;
	conn->pump = ring_pump;
	begin(r);
	return 0;
}

void xs_ring_detach(struct xs_conn *conn)
{
	free(conn->ring);
	conn->ring = NULL;
	conn->pump = NULL;
}
