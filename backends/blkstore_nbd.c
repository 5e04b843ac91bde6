/* SPDX-License-Identifier: MIT */
/*
 * An NBD server as storage; see blkstore.h.
 *
 * Requests are sent by whoever submits them, as far as the socket takes them; the owner, a thread of
 * the store's, reads replies, sends what did not fit, and reconnects. Only the owner finishes
 * requests, and only it opens and closes the connection.
 *
 * A server that vanishes:
 *   1. What it had not answered is sent again on the next connection: the same bytes to the same
 *      place do no harm twice.
 *   2. What it had answered, but not flushed, it may have lost. So answered writes are kept (log)
 *      until a flush that was sent after them is answered, and written anew, one after the other,
 *      before anything else. When much is kept we flush by ourselves.
 *   3. Without a server for lost_ms, requests fail, one by one, and so do later ones until it is
 *      back. A write of the log that fails, or did not fit: then no flush succeeds any more.
 *
 * Invariant: a place (struct slot) belongs to one request from the moment its first byte is sent to
 * its last reply, and a reply counts only for the place that its cookie names, with the generation of
 * this use of it. So no reply, late or false, reaches memory that was not given for it.
 */
#include "backends/blkstore_nbd.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "backends/nbd_client.h"

#define SLOTS        64u
#define MAX_REQUEST  (BLKSTORE_MAX_IOV * 4096u)
#define TRIM_PIECE   (UINT64_C(1) << 30) /* longer discards go in pieces of so much */
#define RETRY_MS     100u                /* between attempts to connect */
#define TICK_MS      500u                /* between looks whether a reply is late */
#define HURRY_MS     1000u               /* reply_ms when nobody has time to wait */

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct slot {
	struct blkstore_req *req; /* NULL with in_use: a flush of our own */
	bool in_use;
	uint32_t generation;
	uint32_t len; /* bytes of this piece of a READ, WRITE or DISCARD */
	uint32_t got; /* bytes of a READ */
	int error;
	uint64_t sent_ns;
	uint64_t log_seq; /* of a flush: all writes kept up to this number are covered */
};

/* A write or discard that was answered and is not flushed. */
struct kept {
	struct kept *next;
	uint64_t seq, offset, len;
	bool is_discard;
	char bytes[];
};

struct nbd_store {
	struct blkstore s;
	struct nbd_address address;
	struct nbd_export export;
	struct blkstore_nbd_limits limits;
	bool uses_fua; /* no flush, but writes that are durable when answered */
	int bell_fd;   /* wakes the owner */
	int stop_fd;   /* readable: no time to wait for a connection */
	/*
	 * Ticks while something is sent and not answered, so that the owner, who may be asleep when a
	 * submitter sends, looks whether it is late; arming it costs less than waking the owner.
	 */
	int timer_fd;
	pthread_t thread;
	_Atomic uint64_t size;
	atomic_bool hurried;

	pthread_mutex_t
		lock; /* all below; the owner changes slots and fd alone when it is not held */
	int fd;       /* -1: no connection */
	struct blkstore_req *head, **tail; /* not sent, or not wholly; by link[0] */
	struct slot slot[SLOTS];
	unsigned nr_sent;
	/* The message that is under way: its head, and how much of head and payload is out. */
	char out[NBD_REQUEST_LEN];
	struct slot *sending;
	uint32_t out_done;
	bool wants_room; /* the socket took no more: the owner waits for room */
	bool own_flush;  /* one is to be sent */
	bool own_sent;   /* and one is under way */
	bool is_ticking;
	bool closing;
	/* The owner's. A server that connects and then breaks the protocol is none, either. */
	uint64_t lost_ns; /* since when requests wait and none is answered; 0: the last one was */
	uint64_t next_try_ns; /* to connect */

	struct kept *log, **log_tail;
	uint64_t log_bytes, log_seq;
	int flush_error; /* for ever */
};

static struct nbd_store *nbd_of(struct blkstore *s)
{
	return (struct nbd_store *)s;
}

static void ring_bell(struct nbd_store *n)
{
	eventfd_write(n->bell_fd, 1);
}

/* ---- what was answered and is not flushed ------------------------------------------------------- */

/* Lock: n. */
static void keep(struct nbd_store *n, const struct blkstore_req *req)
{
	bool is_discard = req->op == BLKSTORE_DISCARD;
	struct kept *k;
	char *at;

	if (!n->s.can_flush || n->uses_fua)
		return;
	k = malloc(sizeof(*k) + (is_discard ? 0 : req->len));
	if (!k) {
		n->flush_error = -EIO;
		return;
	}
	*k = (struct kept){ .seq = ++n->log_seq,
		            .offset = req->offset,
		            .len = req->len,
		            .is_discard = is_discard };
	at = k->bytes;
	for (unsigned i = 0; i < req->nr_iov && !is_discard; i++) {
		memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	*n->log_tail = k;
	n->log_tail = &k->next;
	n->log_bytes += sizeof(*k) + (is_discard ? 0 : k->len);
	if (n->log_bytes > n->limits.log_bytes / 4 && !n->own_sent)
		n->own_flush = true;
}

/* Lock: n. */
static void forget(struct nbd_store *n, uint64_t seq)
{
	while (n->log && n->log->seq <= seq) {
		struct kept *k = n->log;

		n->log = k->next;
		n->log_bytes -= sizeof(*k) + (k->is_discard ? 0 : k->len);
		free(k);
	}
	if (!n->log)
		n->log_tail = &n->log;
}

/* ---- sending ----------------------------------------------------------------------------------- */

static unsigned command_of(const struct nbd_store *n, const struct blkstore_req *req)
{
	if (!req)
		return NBD_CMD_FLUSH;
	switch (req->op) {
	case BLKSTORE_READ:
		return NBD_CMD_READ;
	case BLKSTORE_WRITE:
		return NBD_CMD_WRITE;
	case BLKSTORE_FLUSH:
		return NBD_CMD_FLUSH;
	default:
		return n->export.flags & NBD_SEND_TRIM ? NBD_CMD_TRIM : NBD_CMD_ZEROES;
	}
}

/* How much of a discard is done; of others nothing is before all is. */
static uint64_t progress(const struct blkstore_req *req)
{
	return (uintptr_t)req->link[1];
}

static struct slot *free_slot(struct nbd_store *n)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (!n->slot[i].in_use)
			return &n->slot[i];
	return NULL;
}

/* Lock: n. */
static void tick(struct nbd_store *n)
{
	unsigned ms = n->limits.reply_ms < TICK_MS ? n->limits.reply_ms : TICK_MS;
	struct itimerspec t = { .it_value = { ms / 1000, ms % 1000 * 1000000L } };

	if (!n->is_ticking)
		timerfd_settime(n->timer_fd, 0, &t, NULL);
	n->is_ticking = true;
}

/* A place for a request (NULL: a flush of our own), and the head of its message. Lock: n. */
static void begin(struct nbd_store *n, struct slot *s, struct blkstore_req *req)
{
	unsigned command = command_of(n, req), flags = 0;
	uint64_t offset = 0, len = 0;
	char *at = n->out;

	if (req && req->op != BLKSTORE_FLUSH) {
		offset = req->offset + progress(req);
		len = req->len - progress(req);
	}
	if (len > TRIM_PIECE)
		len = TRIM_PIECE;
	if (n->uses_fua && (command != NBD_CMD_READ))
		flags = NBD_CMD_FUA;
	*s = (struct slot){ .req = req,
		            .in_use = true,
		            .generation = s->generation + 1,
		            .len = (uint32_t)len,
		            .sent_ns = nbd_now_ns(),
		            .log_seq = n->log_seq };
	n->nr_sent++;
	tick(n);
	at = nbd_put16(nbd_put16(nbd_put32(at, NBD_REQUEST), (uint16_t)flags), (uint16_t)command);
	at = nbd_put64(at, (uint64_t)s->generation << 32 | (uint64_t)(s - n->slot));
	nbd_put32(nbd_put64(at, offset), (uint32_t)len);
	n->sending = s;
	n->out_done = 0;
}

/* What is left of the message: head, then payload. Returns the number of pieces. */
static unsigned rest_of(struct nbd_store *n, struct iovec iov[BLKSTORE_MAX_IOV + 1])
{
	const struct blkstore_req *req = n->sending->req;
	uint32_t skip = n->out_done;
	unsigned nr = 0;

	if (skip < NBD_REQUEST_LEN)
		iov[nr++] = (struct iovec){ n->out + skip, NBD_REQUEST_LEN - skip };
	skip = skip < NBD_REQUEST_LEN ? 0 : skip - NBD_REQUEST_LEN;
	for (unsigned i = 0; req && req->op == BLKSTORE_WRITE && i < req->nr_iov; i++) {
		size_t len = req->iov[i].iov_len;

		if (skip < len)
			iov[nr++] = (struct iovec){ (char *)req->iov[i].iov_base + skip,
				                    len - skip };
		skip = skip < len ? 0 : skip - (uint32_t)len;
	}
	return nr;
}

/* Whether the message that is under way is out. Lock: n. */
static bool send_rest(struct nbd_store *n)
{
	struct iovec iov[BLKSTORE_MAX_IOV + 1];
	struct msghdr m = { .msg_iov = iov };
	uint32_t left = NBD_REQUEST_LEN - n->out_done;
	ssize_t sent;

	if (n->sending->req && n->sending->req->op == BLKSTORE_WRITE)
		left += n->sending->len;
	m.msg_iovlen = rest_of(n, iov);
	do
		sent = sendmsg(n->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		/* Another error is the owner's to find: it reads from the same connection. */
		n->wants_room = true;
		return false;
	}
	n->out_done += (uint32_t)sent;
	n->wants_room = (uint32_t)sent < left;
	if (!n->wants_room)
		n->sending = NULL;
	return !n->wants_room;
}

/* What is to be sent next gets its place; false: nothing, or no place. Lock: n. */
static bool begin_next(struct nbd_store *n)
{
	bool is_write = n->head && n->head->op != BLKSTORE_READ && n->head->op != BLKSTORE_FLUSH;
	struct slot *s = free_slot(n);
	struct blkstore_req *req = n->head;

	if (!s)
		return false;
	if (n->own_flush && !n->own_sent) {
		n->own_flush = false;
		n->own_sent = true;
		begin(n, s, NULL);
		return true;
	}
	/* More is kept than there shall be: writes wait for the flush. */
	if (!req || (is_write && n->log_bytes > n->limits.log_bytes))
		return false;
	n->head = req->link[0];
	if (!n->head)
		n->tail = &n->head;
	begin(n, s, req);
	return true;
}

/* As much as the socket takes. Lock: n. Returns whether the owner has to wait for room. */
static bool push_out(struct nbd_store *n)
{
	while (n->fd >= 0) {
		if (!n->sending && !begin_next(n))
			return false;
		if (!send_rest(n))
			return true;
	}
	return false;
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	struct nbd_store *n = nbd_of(s);
	bool ring = false;

	req->link[0] = req->link[1] = NULL;
	pthread_mutex_lock(&n->lock);
	*n->tail = req;
	n->tail = (struct blkstore_req **)&req->link[0];
	/* Also without a connection: it is the owner who fails what cannot be sent. */
	if (!batch)
		ring = n->fd < 0 || push_out(n);
	pthread_mutex_unlock(&n->lock);
	if (ring)
		ring_bell(n);
}

static void kick(struct blkstore *s)
{
	struct nbd_store *n = nbd_of(s);
	bool ring;

	pthread_mutex_lock(&n->lock);
	ring = n->fd < 0 || push_out(n);
	pthread_mutex_unlock(&n->lock);
	if (ring)
		ring_bell(n);
}

/* ---- finishing (the owner) ---------------------------------------------------------------------- */

static void finish(struct nbd_store *n, struct blkstore_req *req, int rc)
{
	if (req->op == BLKSTORE_FLUSH && !rc) {
		pthread_mutex_lock(&n->lock);
		rc = n->flush_error;
		pthread_mutex_unlock(&n->lock);
	}
	req->done(req, rc);
}

/* Everything that waits, whether sent or not. */
static void fail_all(struct nbd_store *n, int rc)
{
	struct blkstore_req *list;

	pthread_mutex_lock(&n->lock);
	list = n->head;
	n->head = NULL;
	n->tail = &n->head;
	pthread_mutex_unlock(&n->lock);
	while (list) {
		struct blkstore_req *req = list;

		list = req->link[0];
		finish(n, req, rc);
	}
}

/* A slot has its last reply. Its place is free before done() is called. */
static void complete(struct nbd_store *n, struct slot *s)
{
	struct blkstore_req *req = s->req;
	int rc = s->error;
	bool again = false;

	n->lost_ns = 0;
	n->next_try_ns = 0;
	if (!rc && req && req->op == BLKSTORE_READ && s->got != s->len)
		rc = -EIO;
	pthread_mutex_lock(&n->lock);
	if (!rc && command_of(n, req) == NBD_CMD_FLUSH)
		forget(n, s->log_seq);
	if (!req) {
		n->own_sent = false;
		if (rc)
			n->flush_error = rc;
	} else if (!rc && req->op == BLKSTORE_DISCARD && progress(req) + s->len < req->len) {
		req->link[1] = (void *)(uintptr_t)(progress(req) + s->len);
		again = true;
		req->link[0] = n->head;
		if (!n->head)
			n->tail = (struct blkstore_req **)&req->link[0];
		n->head = req;
	} else if (!rc && (req->op == BLKSTORE_WRITE || req->op == BLKSTORE_DISCARD)) {
		keep(n, req);
	}
	s->in_use = false;
	n->nr_sent--;
	pthread_mutex_unlock(&n->lock);
	if (req && !again)
		finish(n, req, rc);
}

/* ---- losing and finding the server ---------------------------------------------------------------- */

/* What was sent and not answered goes back to the head of the list. */
static void lose(struct nbd_store *n)
{
	struct blkstore_req *list = NULL, **end = &list;

	pthread_mutex_lock(&n->lock);
	close(n->fd);
	n->fd = -1;
	n->sending = NULL;
	n->wants_room = false;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &n->slot[i];

		if (!s->in_use)
			continue;
		s->in_use = false;
		if (s->req) {
			s->req->link[0] = NULL;
			*end = s->req;
			end = (struct blkstore_req **)&s->req->link[0];
		}
	}
	n->nr_sent = 0;
	n->own_flush |= n->own_sent;
	n->own_sent = false;
	if (list) {
		*end = n->head;
		if (!n->head)
			n->tail = end;
		n->head = list;
	}
	pthread_mutex_unlock(&n->lock);
}

/* One command and its simple or structured reply, with nothing else under way. */
static int exchange(struct nbd_store *n, int fd, unsigned command, uint64_t offset, uint64_t len,
                    const char *payload)
{
	uint64_t until = nbd_now_ns() + (uint64_t)n->limits.reply_ms * 1000000;
	char head[NBD_REQUEST_LEN], reply[NBD_CHUNK_LEN], *at = head;
	int rc;

	at = nbd_put16(nbd_put16(nbd_put32(at, NBD_REQUEST), 0), (uint16_t)command);
	nbd_put32(nbd_put64(nbd_put64(at, UINT64_MAX), offset), (uint32_t)len);
	rc = nbd_write(fd, head, sizeof(head), until, -1);
	if (!rc && payload)
		rc = nbd_write(fd, payload, len, until, -1);
	if (!rc)
		rc = nbd_read(fd, reply, NBD_SIMPLE_LEN, until, -1);
	if (rc)
		return rc;
	if (nbd_get64(reply + 8) != UINT64_MAX)
		return -EPROTO;
	if (nbd_get32(reply) == NBD_SIMPLE)
		return nbd_get32(reply + 4) ? -EREMOTEIO : 0;
	rc = nbd_read(fd, reply + NBD_SIMPLE_LEN, NBD_CHUNK_LEN - NBD_SIMPLE_LEN, until, -1);
	if (rc || nbd_get32(reply) != NBD_STRUCTURED)
		return rc ? rc : -EPROTO;
	/* Anything but the bare end is an error; what follows it belongs to nobody any more. */
	return nbd_get16(reply + 6) == NBD_CHUNK_NONE && !nbd_get32(reply + 16) ? 0 : -EREMOTEIO;
}

static int rewrite_one(struct nbd_store *n, int fd, const struct kept *k)
{
	struct blkstore_req like = { .op = k->is_discard ? BLKSTORE_DISCARD : BLKSTORE_WRITE };
	uint64_t at = 0, piece;
	int rc = 0;

	for (; at < k->len && !rc; at += piece) {
		piece = k->len - at < TRIM_PIECE ? k->len - at : TRIM_PIECE;
		rc = exchange(n, fd, command_of(n, &like), k->offset + at, piece,
		              k->is_discard ? NULL : k->bytes);
	}
	return rc;
}

/* Writes anew what the old server may have lost. The log is the owner's while nothing is sent. */
static int rewrite(struct nbd_store *n, int fd)
{
	int rc = 0;

	for (const struct kept *k = n->log; k && !rc; k = k->next) {
		rc = rewrite_one(n, fd, k);
		if (rc == -EREMOTEIO) {
			/* This server does not take it: what was promised can't be kept. */
			n->flush_error = -EIO;
			rc = 0;
		}
	}
	return rc;
}

static bool fits(const struct nbd_store *n, const struct nbd_export *e)
{
	return e->size == n->export.size && e->max_payload >= n->export.max_payload &&
	       (e->flags & n->export.flags) == n->export.flags && e->min_block <= n->s.block;
}

/* One attempt. False: there is no server, or not the same one. */
static bool find(struct nbd_store *n)
{
	uint64_t until = nbd_now_ns() + (uint64_t)n->limits.connect_ms * 1000000;
	struct nbd_export e;
	char why[256];
	int fd = nbd_connect(&n->address, &e, until, n->stop_fd, why, sizeof(why)), rc;

	if (fd < 0)
		return false;
	rc = fits(n, &e) ? rewrite(n, fd) : -EPROTO;
	if (rc) {
		close(fd);
		return false;
	}
	pthread_mutex_lock(&n->lock);
	n->export.structured = e.structured;
	n->fd = fd;
	push_out(n);
	pthread_mutex_unlock(&n->lock);
	return true;
}

/* Whether requests have waited for long enough. */
static bool has_waited(struct nbd_store *n)
{
	return atomic_load(&n->hurried) ||
	       (n->lost_ns && nbd_now_ns() - n->lost_ns >= (uint64_t)n->limits.lost_ms * 1000000);
}

/* Requests wait and there is no server: an attempt, or their end. */
static void look_for_server(struct nbd_store *n)
{
	uint64_t now = nbd_now_ns();
	bool any;

	pthread_mutex_lock(&n->lock);
	any = n->head != NULL;
	pthread_mutex_unlock(&n->lock);
	if (!any)
		return;
	if (!n->lost_ns)
		n->lost_ns = now;
	if (now >= n->next_try_ns && !atomic_load(&n->hurried)) {
		if (find(n))
			return;
		now = nbd_now_ns();
		n->next_try_ns = now + (uint64_t)RETRY_MS * 1000000;
	}
	if (atomic_load(&n->hurried) || now - n->lost_ns >= (uint64_t)n->limits.lost_ms * 1000000)
		fail_all(n, -EIO);
}

/* ---- replies (the owner) -------------------------------------------------------------------------- */

/* The place that a cookie names, when that is in use and all of its message was sent; or NULL. */
static struct slot *slot_of(struct nbd_store *n, uint64_t cookie)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&n->lock);
	if ((uint32_t)cookie < SLOTS)
		s = &n->slot[(uint32_t)cookie];
	if (s && (!s->in_use || s->generation != cookie >> 32 || s == n->sending))
		s = NULL;
	pthread_mutex_unlock(&n->lock);
	return s;
}

static uint64_t message_end(const struct nbd_store *n)
{
	return nbd_now_ns() + (uint64_t)n->limits.reply_ms * 1000000;
}

static int receive(struct nbd_store *n, void *to, size_t len)
{
	return nbd_read(n->fd, to, len, message_end(n), n->stop_fd);
}

/* The pieces of a request's memory that hold len bytes from `skip` on; the range is inside. */
static unsigned cut(const struct blkstore_req *req, uint32_t skip, uint32_t len,
                    struct iovec iov[BLKSTORE_MAX_IOV])
{
	unsigned nr = 0;

	for (unsigned i = 0; i < req->nr_iov && len; i++) {
		uint32_t have = (uint32_t)req->iov[i].iov_len, take;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		take = have - skip < len ? have - skip : len;
		iov[nr++] = (struct iovec){ (char *)req->iov[i].iov_base + skip, take };
		skip = 0;
		len -= take;
	}
	return nr;
}

static bool is_read(const struct slot *s)
{
	return s->req && s->req->op == BLKSTORE_READ;
}

/* Whether len bytes from `offset` of the disk belong to the read, and it still lacks so many. */
static bool has_range(const struct slot *s, uint64_t offset, uint32_t len)
{
	return is_read(s) && offset >= s->req->offset && offset - s->req->offset <= s->len &&
	       len <= s->len - (offset - s->req->offset) && len <= s->len - s->got;
}

static int receive_data(struct nbd_store *n, struct slot *s, uint64_t offset, uint32_t len)
{
	struct iovec iov[BLKSTORE_MAX_IOV];
	unsigned nr;

	if (!has_range(s, offset, len))
		return -EPROTO;
	nr = cut(s->req, (uint32_t)(offset - s->req->offset), len, iov);
	s->got += len;
	return nbd_readv(n->fd, iov, nr, message_end(n), n->stop_fd);
}

static int receive_hole(struct nbd_store *n, struct slot *s, uint32_t len)
{
	struct iovec iov[BLKSTORE_MAX_IOV];
	uint64_t offset;
	uint32_t hole;
	char body[12];
	unsigned nr;
	int rc = len == sizeof(body) ? receive(n, body, sizeof(body)) : -EPROTO;

	if (rc)
		return rc;
	offset = nbd_get64(body);
	hole = nbd_get32(body + 8);
	if (!has_range(s, offset, hole))
		return -EPROTO;
	nr = cut(s->req, (uint32_t)(offset - s->req->offset), hole, iov);
	for (unsigned i = 0; i < nr; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	s->got += hole;
	return 0;
}

/* An error of the protocol's as one of ours. Its end is no answer: the request is sent again. */
static int set_error(struct slot *s, uint32_t error)
{
	static const int known[] = { EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP };

	if (error == NBD_ESHUTDOWN)
		return -ECONNRESET;
	s->error = -EIO;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if ((uint32_t)known[i] == error)
			s->error = -known[i];
	return 0;
}

static int receive_error(struct nbd_store *n, struct slot *s, uint32_t len)
{
	char body[6], rest[4096];
	int rc;

	if (len < sizeof(body) || len - sizeof(body) > sizeof(rest))
		return -EPROTO;
	rc = receive(n, body, sizeof(body));
	if (!rc)
		rc = receive(n, rest, len - sizeof(body));
	return rc ? rc : set_error(s, nbd_get32(body));
}

static int receive_simple(struct nbd_store *n, const char *head)
{
	struct slot *s = slot_of(n, nbd_get64(head + 8));
	uint32_t error = nbd_get32(head + 4);
	int rc = 0;

	if (!s || (is_read(s) && n->export.structured))
		return -EPROTO;
	if (error)
		rc = set_error(s, error);
	else if (is_read(s))
		rc = receive_data(n, s, s->req->offset, s->len);
	if (!rc)
		complete(n, s);
	return rc;
}

static int receive_chunk(struct nbd_store *n, const char *head)
{
	struct slot *s = slot_of(n, nbd_get64(head + 8));
	uint16_t flags = nbd_get16(head + 4), type = nbd_get16(head + 6);
	uint32_t len = nbd_get32(head + 16);
	char offset[8];
	int rc = -EPROTO;

	if (!s || !n->export.structured)
		return -EPROTO;
	if (type == NBD_CHUNK_NONE) {
		rc = len || !(flags & NBD_CHUNK_DONE) ? -EPROTO : 0;
	} else if (type == NBD_CHUNK_DATA && len > sizeof(offset)) {
		rc = receive(n, offset, sizeof(offset));
		if (!rc)
			rc = receive_data(n, s, nbd_get64(offset), len - (uint32_t)sizeof(offset));
	} else if (type == NBD_CHUNK_HOLE) {
		rc = receive_hole(n, s, len);
	} else if (type & NBD_CHUNK_ERROR) {
		rc = receive_error(n, s, len);
	}
	if (!rc && (flags & NBD_CHUNK_DONE))
		complete(n, s);
	return rc;
}

/* One message. 1: there is none now; 0; or a negative errno: the server is lost. */
static int receive_one(struct nbd_store *n)
{
	char head[NBD_CHUNK_LEN];
	ssize_t have = recv(n->fd, head, NBD_SIMPLE_LEN, MSG_DONTWAIT);
	int rc;

	if (have < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	if (have == 0)
		return -ECONNRESET;
	rc = receive(n, head + have, NBD_SIMPLE_LEN - (size_t)have);
	if (rc)
		return rc;
	if (nbd_get32(head) == NBD_SIMPLE)
		return receive_simple(n, head);
	if (nbd_get32(head) != NBD_STRUCTURED)
		return -EPROTO;
	rc = receive(n, head + NBD_SIMPLE_LEN, NBD_CHUNK_LEN - NBD_SIMPLE_LEN);
	return rc ? rc : receive_chunk(n, head);
}

/* Whether a request has waited for its reply for too long. */
static bool is_late(struct nbd_store *n)
{
	uint64_t limit = atomic_load(&n->hurried) ? HURRY_MS : n->limits.reply_ms;
	uint64_t now = nbd_now_ns();
	bool late = false;

	pthread_mutex_lock(&n->lock);
	for (unsigned i = 0; i < SLOTS; i++)
		late |= n->slot[i].in_use && now - n->slot[i].sent_ns > limit * 1000000;
	pthread_mutex_unlock(&n->lock);
	return late;
}

static void serve_connection(struct nbd_store *n)
{
	int rc;

	do
		rc = receive_one(n);
	while (!rc);
	if (rc < 0 || is_late(n)) {
		lose(n);
		if (has_waited(n))
			fail_all(n, -EIO);
		look_for_server(n);
		return;
	}
	pthread_mutex_lock(&n->lock);
	push_out(n);
	pthread_mutex_unlock(&n->lock);
}

/* ---- the owner ------------------------------------------------------------------------------------ */

/* Until there is something to do. False: it is time to go. */
static bool wait_for_work(struct nbd_store *n)
{
	struct pollfd p[3] = { { .fd = n->bell_fd, .events = POLLIN },
		               { .fd = n->fd, .events = POLLIN },
		               { .fd = n->timer_fd, .events = POLLIN } };
	eventfd_t rung;
	bool over;
	int ms;

	pthread_mutex_lock(&n->lock);
	over = n->closing && !n->head && !n->nr_sent;
	if (n->wants_room)
		p[1].events |= POLLOUT;
	ms = n->fd < 0 && n->head ? (int)RETRY_MS : -1;
	pthread_mutex_unlock(&n->lock);
	if (over)
		return false;
	poll(p, 3, ms);
	if (p[0].revents)
		eventfd_read(n->bell_fd, &rung);
	if (p[2].revents && eventfd_read(n->timer_fd, &rung) == 0) {
		pthread_mutex_lock(&n->lock);
		n->is_ticking = false;
		if (n->nr_sent)
			tick(n);
		pthread_mutex_unlock(&n->lock);
	}
	return true;
}

static void *owner(void *arg)
{
	struct nbd_store *n = arg;

	while (wait_for_work(n)) {
		if (n->fd >= 0)
			serve_connection(n);
		else
			look_for_server(n);
	}
	return NULL;
}

/* ---- the interface -------------------------------------------------------------------------------- */

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	if (s->readonly && (req->op == BLKSTORE_WRITE || req->op == BLKSTORE_DISCARD))
		return -EROFS;
	/* A server that knows no flush, or is sent no write that would need one. */
	if (req->op == BLKSTORE_FLUSH && (!s->can_flush || nbd_of(s)->uses_fua))
		return 0;
	return -EAGAIN;
}

static uint64_t size(struct blkstore *s)
{
	return atomic_load(&nbd_of(s)->size);
}

/* The protocol tells the size once a connection. */
static int refresh(struct blkstore *s)
{
	(void)s;
	return 0;
}

static void hurry(struct blkstore *s, bool on)
{
	struct nbd_store *n = nbd_of(s);
	eventfd_t rung;

	atomic_store(&n->hurried, on);
	if (on)
		eventfd_write(n->stop_fd, 1);
	else
		eventfd_read(n->stop_fd, &rung);
	ring_bell(n);
}

static void release(struct nbd_store *n)
{
	forget(n, UINT64_MAX);
	if (n->fd >= 0)
		close(n->fd);
	if (n->bell_fd >= 0)
		close(n->bell_fd);
	if (n->stop_fd >= 0)
		close(n->stop_fd);
	if (n->timer_fd >= 0)
		close(n->timer_fd);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static void close_nbd(struct blkstore *s)
{
	struct nbd_store *n = nbd_of(s);
	char bye[NBD_REQUEST_LEN] = "";

	pthread_mutex_lock(&n->lock);
	n->closing = true;
	pthread_mutex_unlock(&n->lock);
	ring_bell(n);
	pthread_join(n->thread, NULL);
	if (n->fd >= 0) {
		nbd_put16(nbd_put16(nbd_put32(bye, NBD_REQUEST), 0), NBD_CMD_DISC);
		nbd_write(n->fd, bye, sizeof(bye), nbd_now_ns(), -1);
	}
	release(n);
}

static const struct blkstore_ops nbd_ops = {
	.try = try_now,
	.submit = submit,
	.kick = kick,
	.size = size,
	.refresh = refresh,
	.hurry = hurry,
	.close = close_nbd,
};

/* ---- opening -------------------------------------------------------------------------------------- */

struct opening {
	const char *uri;
	char *why;
	size_t why_len;
};

static int refuse(const struct opening *o, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(const struct opening *o, int rc, const char *fmt, ...)
{
	int len = snprintf(o->why, o->why_len, "disk %.200s: ", o->uri);
	va_list ap;

	va_start(ap, fmt);
	if (len >= 0 && (size_t)len < o->why_len)
		vsnprintf(o->why + len, o->why_len - (size_t)len, fmt, ap);
	va_end(ap);
	return rc;
}

static int set_features(struct nbd_store *n, bool readonly, const struct opening *o)
{
	const struct nbd_export *e = &n->export;

	if ((e->flags & NBD_READ_ONLY) && !readonly)
		return refuse(o, -EROFS, "the server lets nobody write it; add ,ro");
	if (e->min_block > 4096 || e->max_payload < MAX_REQUEST)
		return refuse(
			o, -EINVAL,
			"its requests have %u to %u bytes; %u at least and %u at most are wanted",
			e->min_block, e->max_payload, 4096, MAX_REQUEST);
	n->s.block = e->min_block > 512 ? 4096 : 512;
	n->s.physical_block = 4096;
	n->s.discard_granularity = 4096;
	n->s.readonly = readonly;
	n->s.can_discard = !readonly && (e->flags & (NBD_SEND_TRIM | NBD_SEND_ZEROES));
	n->s.can_flush = e->flags & (NBD_SEND_FLUSH | NBD_SEND_FUA);
	n->uses_fua = !(e->flags & NBD_SEND_FLUSH) && (e->flags & NBD_SEND_FUA);
	if (e->size / n->s.block == 0 || e->size > INT64_MAX)
		return refuse(o, -EINVAL, "its size is %llu bytes; that is no disk",
		              (unsigned long long)e->size);
	n->export.max_payload = MAX_REQUEST;
	atomic_store(&n->size, e->size - e->size % n->s.block);
	return 0;
}

static int connect_first(struct nbd_store *n, bool readonly, const struct opening *o)
{
	uint64_t until = nbd_now_ns() + (uint64_t)n->limits.connect_ms * 1000000;
	char why[256];
	int rc = nbd_connect(&n->address, &n->export, until, -1, why, sizeof(why));

	if (rc < 0)
		return refuse(o, rc, "%s", why);
	n->fd = rc;
	return set_features(n, readonly, o);
}

/* Signals are the main thread's. */
static int start_owner(struct nbd_store *n, const struct opening *o)
{
	sigset_t all, old;
	int rc;

	n->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (n->bell_fd < 0 || n->stop_fd < 0 || n->timer_fd < 0)
		return refuse(o, -errno, "descriptors are short; allow more (ulimit -n)");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&n->thread, NULL, owner, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? refuse(o, -rc, "no thread can be made for it; allow more processes") : 0;
}

int blkstore_open_nbd_with(struct blkstore **out, const char *uri, bool readonly,
                           const struct blkstore_nbd_limits *limits, char *why, size_t why_len)
{
	struct opening o = { uri, why, why_len };
	struct nbd_store *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return refuse(&o, -ENOMEM, "memory is short; free some");
	n->s = (struct blkstore){ .ops = &nbd_ops, .kind = "nbd" };
	n->fd = n->bell_fd = n->stop_fd = n->timer_fd = -1;
	n->tail = &n->head;
	n->log_tail = &n->log;
	n->limits = *limits;
	pthread_mutex_init(&n->lock, NULL);
	rc = nbd_parse(&n->address, uri, why, why_len);
	if (!rc)
		rc = connect_first(n, readonly, &o);
	if (!rc)
		rc = start_owner(n, &o);
	if (rc)
		release(n);
	else
		*out = &n->s;
	return rc;
}

const struct blkstore_nbd_limits blkstore_nbd_usual = {
	.connect_ms = 5000, .lost_ms = 30000, .reply_ms = 60000, .log_bytes = 64u << 20
};

int blkstore_open_nbd(struct blkstore **out, const char *uri, bool readonly, char *why,
                      size_t why_len)
{
	return blkstore_open_nbd_with(out, uri, readonly, &blkstore_nbd_usual, why, why_len);
}
