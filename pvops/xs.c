/* SPDX-License-Identifier: MIT */
/*
 * The xenstore client.
 *
 * There is one message being sent (`tx`) and one being received (`rx`). A request is built in tx,
 * put on the list of those that wait for a reply, and pushed into the ring as there is room, by its
 * sender at first and by the event handler from then on; so a sender that gives up leaves no half
 * message behind. The event handler takes replies to their requests, found by number, and events to
 * their watches, found by token.
 *
 * Invariant: a request is on the list exactly while its sender waits; with the lock held, a request
 * on the list has a live sender. So a late reply finds nobody and is dropped.
 *
 * Lock: xs.lock, events masked; pv_wake() is called with it held, so that a sender, which takes it
 * before it returns, does not vanish under the hand that wakes it.
 */
#include "pvops/xs.h"

#include <stdarg.h>

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/evtchn.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/xsring.h"

#define MESSAGE_MAX        (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)
#define DEFAULT_LIMIT_NS   5000000000ull
#define MESSAGES_PER_EVENT 64 /* then others get a turn */
#define MAX_PIECES         6
#define PRINTF_MAX         256

struct message {
	union {
		struct xsd_sockmsg hdr;
		char bytes[MESSAGE_MAX + 1]; /* and a nul of ours */
	};
	size_t done; /* bytes that have been moved */
};

struct request {
	struct request *next;
	uint32_t id, type;
	char *buf; /* for the reply's payload */
	size_t size;
	size_t len; /* of the reply's payload, even when it did not fit */
	int result;
	bool done;
	struct pv_waitq q;
};

struct piece {
	const void *data;
	size_t len;
};

static struct {
	struct pv_spinlock lock;
	struct pv_xsring ring;
	evtchn_port_t port;
	bool is_attached, is_broken;
	uint64_t limit_ns;
	uint32_t next_id, next_token;
	struct request *requests;
	struct pv_xs_watch *watches;

	struct message tx;
	size_t tx_len;    /* of the message in tx; 0: it is not complete yet */
	bool tx_is_taken; /* somebody builds one, or it is being pushed */
	struct pv_waitq tx_free;

	struct message rx;
} xs = { .limit_ns = DEFAULT_LIMIT_NS };

/* ---- errors ---------------------------------------------------------------------------------- */

static int error_by_name(const char *name)
{
	static const struct {
		const char *name;
		int err;
	} errors[] = {
		{ "EINVAL", XEN_EINVAL },   { "EACCES", XEN_EACCES },
		{ "EEXIST", XEN_EEXIST },   { "EISDIR", XEN_EISDIR },
		{ "ENOENT", XEN_ENOENT },   { "ENOMEM", XEN_ENOMEM },
		{ "ENOSPC", XEN_ENOSPC },   { "EQUOTA", XEN_ENOSPC },
		{ "EIO", XEN_EIO },         { "ENOTEMPTY", XEN_ENOTEMPTY },
		{ "ENOSYS", XEN_ENOSYS },   { "EROFS", XEN_EROFS },
		{ "EBUSY", XEN_EBUSY },     { "EAGAIN", XEN_EAGAIN },
		{ "EISCONN", XEN_EISCONN }, { "E2BIG", XEN_E2BIG },
		{ "EPERM", XEN_EPERM },
	};
	unsigned int i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(errors[i].name, name))
			return -errors[i].err;
	return -XEN_EINVAL;
}

/* ---- the event handler's side; lock held ----------------------------------------------------- */

static void complete(struct request *rq, int result)
{
	rq->result = result;
	pv_store_release(&rq->done, true);
	pv_wake(&rq->q);
}

/* The server broke the protocol, or has given us up: everybody who waits learns it. */
static void break_off(void)
{
	struct request *rq;

	pv_store_release(&xs.is_broken, true);
	while ((rq = xs.requests)) {
		xs.requests = rq->next;
		complete(rq, -XEN_EIO);
	}
	pv_wake(&xs.tx_free);
}

/* Pushes what there is room for; true when anything was. */
static bool push(void)
{
	size_t n;

	if (!xs.tx_len || xs.is_broken)
		return false;
	if (pv_xsring_put(&xs.ring, xs.tx.bytes + xs.tx.done, xs.tx_len - xs.tx.done, &n)) {
		break_off();
		return false;
	}
	xs.tx.done += n;
	if (xs.tx.done == xs.tx_len) {
		xs.tx_len = 0;
		pv_store_release(&xs.tx_is_taken, false);
		pv_wake(&xs.tx_free);
	}
	return n > 0;
}

/* Receives until rx holds `want` bytes; false when there are no more. */
static bool pull_until(size_t want, bool *moved)
{
	size_t n;

	while (xs.rx.done < want) {
		if (pv_xsring_get(&xs.ring, xs.rx.bytes + xs.rx.done, want - xs.rx.done, &n)) {
			break_off();
			return false;
		}
		if (!n)
			return false;
		xs.rx.done += n;
		*moved = true;
	}
	return true;
}

/* True when rx holds a whole message. */
static bool pull(bool *moved)
{
	if (xs.is_broken || !pull_until(sizeof(xs.rx.hdr), moved))
		return false;
	if (xs.rx.hdr.len > XENSTORE_PAYLOAD_MAX) {
		break_off();
		return false;
	}
	return pull_until(sizeof(xs.rx.hdr) + xs.rx.hdr.len, moved);
}

static const char *rx_payload(void)
{
	return xs.rx.bytes + sizeof(xs.rx.hdr);
}

static void take_reply(void)
{
	struct request **link, *rq;
	size_t len = xs.rx.hdr.len;

	for (link = &xs.requests; *link && (*link)->id != xs.rx.hdr.req_id; link = &(*link)->next)
		;
	rq = *link;
	if (!rq)
		return; /* its sender has given up */
	*link = rq->next;
	if (xs.rx.hdr.type == XS_ERROR) {
		complete(rq, error_by_name(rx_payload()));
		return;
	}
	if (xs.rx.hdr.type != rq->type) {
		complete(rq, -XEN_EIO);
		return;
	}
	rq->len = len;
	if (len <= rq->size)
		memcpy(rq->buf, rx_payload(), len);
	complete(rq, len <= rq->size ? 0 : -XEN_E2BIG);
}

/* The watch that an event is for, and the event's path; NULL when there is none such. */
static struct pv_xs_watch *event_watch(void)
{
	const char *token = rx_payload() + strlen(rx_payload()) + 1;
	struct pv_xs_watch *w;

	/* Two strings; a nul of ours ends the payload, so a missing one leaves token behind it. */
	if (token >= rx_payload() + xs.rx.hdr.len)
		return NULL;
	for (w = xs.watches; w; w = w->next)
		if (!strcmp(w->token, token))
			return w;
	return NULL;
}

/* Calls a watch's function, without the lock; forget() waits for it. */
static uint64_t tell(struct pv_xs_watch *w, const char *path, uint64_t irq)
{
	__atomic_fetch_add(&w->running, 1, __ATOMIC_RELAXED);
	pv_spin_unlock_irq(&xs.lock, irq);
	irq = pv_irq_save();
	w->fn(w, path);
	pv_irq_restore(irq);
	irq = pv_spin_lock_irq(&xs.lock);
	__atomic_fetch_sub(&w->running, 1, __ATOMIC_RELEASE);
	return irq;
}

/* Whoever waits for a change that cannot come any more gets to look once again. */
static uint64_t tell_of_the_end(uint64_t irq)
{
	struct pv_xs_watch *w = xs.watches;

	while (w) {
		if (w->is_told) {
			w = w->next;
			continue;
		}
		w->is_told = true;
		irq = tell(w, w->path, irq);
		w = xs.watches; /* the list may be another by now */
	}
	return irq;
}

static uint64_t take_event(uint64_t irq)
{
	struct pv_xs_watch *w = event_watch();

	return w ? tell(w, rx_payload(), irq) : irq; /* rx is the handler's: the path stays */
}

void pv_xs_event(evtchn_port_t port, void *unused)
{
	bool moved = false, more = true;
	unsigned int i;
	uint64_t irq;

	(void)unused;
	irq = pv_spin_lock_irq(&xs.lock);
	for (i = 0; i < MESSAGES_PER_EVENT && more; i++) {
		moved |= push();
		more = pull(&moved);
		if (!more)
			break;
		xs.rx.bytes[xs.rx.done] = '\0';
		xs.rx.done = 0; /* read in full: the next one starts over */
		if (xs.rx.hdr.type == XS_WATCH_EVENT)
			irq = take_event(irq);
		else
			take_reply();
	}
	if (xs.is_broken)
		irq = tell_of_the_end(irq);
	pv_spin_unlock_irq(&xs.lock, irq);
	if (moved)
		pv_evtchn_send(port);
	if (more)
		pv_evtchn_raise(port);
}

/* ---- the asking side ------------------------------------------------------------------------- */

static bool tx_is_free(void *unused)
{
	(void)unused;
	return !pv_load_acquire(&xs.tx_is_taken) || pv_load(&xs.is_broken);
}

static bool is_done(void *rq)
{
	return pv_load_acquire(&((struct request *)rq)->done);
}

/* Makes xs.tx the caller's. */
static int take_tx(uint64_t deadline_ns)
{
	bool taken = false;
	uint64_t irq;

	for (;;) {
		irq = pv_spin_lock_irq(&xs.lock);
		if (xs.is_broken || !xs.is_attached) {
			pv_spin_unlock_irq(&xs.lock, irq);
			return xs.is_attached ? -XEN_EIO : -XEN_ENODEV;
		}
		taken = !xs.tx_is_taken;
		pv_store(&xs.tx_is_taken, true);
		pv_spin_unlock_irq(&xs.lock, irq);
		if (taken)
			return 0;
		if (!pv_wait(&xs.tx_free, tx_is_free, NULL, deadline_ns))
			return -XEN_ETIMEDOUT;
	}
}

static void give_tx_back(void)
{
	uint64_t irq = pv_spin_lock_irq(&xs.lock);

	pv_store_release(&xs.tx_is_taken, false);
	pv_wake(&xs.tx_free);
	pv_spin_unlock_irq(&xs.lock, irq);
}

/* Builds the message in xs.tx, which is the caller's. */
static int build(uint32_t type, uint32_t tx, const struct piece *piece, unsigned int nr)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (piece[i].len > XENSTORE_PAYLOAD_MAX - len)
			return -XEN_E2BIG;
		memcpy(xs.tx.bytes + sizeof(xs.tx.hdr) + len, piece[i].data, piece[i].len);
		len += piece[i].len;
	}
	xs.tx.hdr = (struct xsd_sockmsg){ .type = type, .tx_id = tx, .len = (uint32_t)len };
	xs.tx.done = 0;
	return 0;
}

/* Sends the message in xs.tx; the request is on the list before the server can see it. */
static void launch(struct request *rq)
{
	uint64_t irq = pv_spin_lock_irq(&xs.lock);

	if (++xs.next_id == 0)
		xs.next_id = 1; /* 0 is for events */
	rq->id = xs.tx.hdr.req_id = xs.next_id;
	rq->type = xs.tx.hdr.type;
	rq->next = xs.requests;
	xs.requests = rq;
	xs.tx_len = sizeof(xs.tx.hdr) + xs.tx.hdr.len;
	push();
	if (xs.is_broken) {
		break_off();
		irq = tell_of_the_end(irq);
	}
	pv_spin_unlock_irq(&xs.lock, irq);
	pv_evtchn_send(xs.port);
}

/* Takes the request off the list if it is still there; false when it was, so there is no reply. */
static bool land(struct request *rq)
{
	struct request **link;
	uint64_t irq = pv_spin_lock_irq(&xs.lock);

	for (link = &xs.requests; *link && *link != rq; link = &(*link)->next)
		;
	if (*link)
		*link = rq->next;
	pv_spin_unlock_irq(&xs.lock, irq);
	return rq->done;
}

/* One request and its reply. rq->buf and rq->size are the caller's. */
static int ask(struct request *rq, uint32_t type, uint32_t tx, const struct piece *piece,
               unsigned int nr)
{
	uint64_t deadline_ns = pv_now_ns() + xs.limit_ns;
	int rc = take_tx(deadline_ns);

	if (rc)
		return rc;
	rc = build(type, tx, piece, nr);
	if (rc) {
		give_tx_back();
		return rc;
	}
	launch(rq);
	pv_wait(&rq->q, is_done, rq, deadline_ns);
	return land(rq) ? rq->result : -XEN_ETIMEDOUT;
}

/* The pieces of a path and its nul; returns how many. */
static unsigned int path_pieces(struct piece *piece, const char *dir, const char *name)
{
	unsigned int n = 0;

	if (dir)
		piece[n++] = (struct piece){ dir, strlen(dir) };
	if (dir && name && strcmp(dir, "/") != 0)
		piece[n++] = (struct piece){ "/", 1 };
	if (name)
		piece[n++] = (struct piece){ name, strlen(name) };
	piece[n++] = (struct piece){ "", 1 };
	return n;
}

/* A request about a path, whose reply goes to buf. */
static int ask_path(struct request *rq, uint32_t type, uint32_t tx, const char *dir,
                    const char *name)
{
	struct piece piece[MAX_PIECES];

	return ask(rq, type, tx, piece, path_pieces(piece, dir, name));
}

/* The same for those that are only acknowledged. */
static int order_path(uint32_t type, uint32_t tx, const char *dir, const char *name)
{
	char ok[8];
	struct request rq = { .buf = ok, .size = sizeof(ok) };

	return ask_path(&rq, type, tx, dir, name);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

int pv_xs_read(uint32_t tx, const char *dir, const char *name, char *buf, size_t size, size_t *len)
{
	struct request rq = { .buf = buf, .size = size ? size - 1 : 0 };
	int rc;

	if (!size)
		return -XEN_E2BIG;
	rc = ask_path(&rq, XS_READ, tx, dir, name);
	if (rc)
		return rc;
	buf[rq.len] = '\0';
	if (len)
		*len = rq.len;
	return 0;
}

static int parse_u64(const char *text, size_t len, uint64_t *value)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			return -XEN_EINVAL;
	if (!len)
		return -XEN_EINVAL;
	*value = n;
	return 0;
}

int pv_xs_read_u64(uint32_t tx, const char *dir, const char *name, uint64_t *value)
{
	char text[24];
	size_t len;
	int rc = pv_xs_read(tx, dir, name, text, sizeof(text), &len);

	if (rc == -XEN_E2BIG)
		return -XEN_EINVAL;
	return rc ? rc : parse_u64(text, len, value);
}

int pv_xs_write(uint32_t tx, const char *dir, const char *name, const void *value, size_t len)
{
	struct piece piece[MAX_PIECES];
	unsigned int n = path_pieces(piece, dir, name);
	char ok[8];
	struct request rq = { .buf = ok, .size = sizeof(ok) };

	piece[n++] = (struct piece){ value, len };
	return ask(&rq, XS_WRITE, tx, piece, n);
}

int pv_xs_printf(uint32_t tx, const char *dir, const char *name, const char *fmt, ...)
{
	char text[PRINTF_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = pv_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		return -XEN_E2BIG;
	return pv_xs_write(tx, dir, name, text, (size_t)len);
}

int pv_xs_mkdir(uint32_t tx, const char *dir, const char *name)
{
	return order_path(XS_MKDIR, tx, dir, name);
}

int pv_xs_rm(uint32_t tx, const char *dir, const char *name)
{
	return order_path(XS_RM, tx, dir, name);
}

int pv_xs_directory(uint32_t tx, const char *dir, const char *name, char *buf, size_t size,
                    size_t *len)
{
	struct request rq = { .buf = buf, .size = size };
	int rc = ask_path(&rq, XS_DIRECTORY, tx, dir, name);

	if (rc)
		return rc;
	if (rq.len && buf[rq.len - 1] != '\0')
		return -XEN_EIO;
	*len = rq.len;
	return 0;
}

const char *pv_xs_next(const char *buf, size_t len, const char *prev)
{
	const char *p = prev ? prev + strlen(prev) + 1 : buf;

	return p < buf + len ? p : NULL;
}

int pv_xs_get_perms(uint32_t tx, const char *dir, const char *name, struct pv_xs_perm *perms,
                    unsigned int *nr)
{
	char text[256];
	struct request rq = { .buf = text, .size = sizeof(text) };
	const char *p = NULL;
	unsigned int n = 0;
	uint64_t domid;
	int rc = ask_path(&rq, XS_GET_PERMS, tx, dir, name);

	if (rc)
		return rc;
	if (!rq.len || text[rq.len - 1] != '\0')
		return -XEN_EIO;
	while ((p = pv_xs_next(text, rq.len, p))) {
		if (n == *nr)
			return -XEN_E2BIG;
		if (!p[0] || parse_u64(p + 1, strlen(p + 1), &domid) || domid > UINT16_MAX)
			return -XEN_EIO;
		perms[n++] = (struct pv_xs_perm){ .access = p[0], .domid = (domid_t)domid };
	}
	*nr = n;
	return 0;
}

int pv_xs_set_perms(uint32_t tx, const char *dir, const char *name, const struct pv_xs_perm *perms,
                    unsigned int nr)
{
	struct piece piece[MAX_PIECES];
	unsigned int n = path_pieces(piece, dir, name), i;
	char text[256], ok[8];
	struct request rq = { .buf = ok, .size = sizeof(ok) };
	size_t used = 0;

	for (i = 0; i < nr; i++) {
		if (sizeof(text) - used < 8)
			return -XEN_E2BIG;
		used += 1 + (size_t)pv_snprintf(text + used, sizeof(text) - used, "%c%u",
		                                perms[i].access, perms[i].domid);
	}
	piece[n++] = (struct piece){ text, used };
	return ask(&rq, XS_SET_PERMS, tx, piece, n);
}

int pv_xs_domain_path(domid_t domid, char *buf, size_t size)
{
	struct request rq = { .buf = buf, .size = size };
	char text[8];
	int rc;

	pv_snprintf(text, sizeof(text), "%u", domid);
	rc = ask_path(&rq, XS_GET_DOMAIN_PATH, PV_XS_NO_TX, text, NULL);
	if (!rc && (!rq.len || buf[rq.len - 1] != '\0'))
		rc = -XEN_EIO;
	return rc;
}

/* ---- transactions ---------------------------------------------------------------------------- */

int pv_xs_begin(uint32_t *tx)
{
	char text[16];
	struct request rq = { .buf = text, .size = sizeof(text) };
	uint64_t id;
	int rc = ask_path(&rq, XS_TRANSACTION_START, PV_XS_NO_TX, NULL, NULL);

	if (rc)
		return rc;
	if (!rq.len || text[rq.len - 1] || parse_u64(text, rq.len - 1, &id) || !id ||
	    id > UINT32_MAX)
		return -XEN_EIO;
	*tx = (uint32_t)id;
	return 0;
}

int pv_xs_end(uint32_t tx, bool commit)
{
	return order_path(XS_TRANSACTION_END, tx, commit ? "T" : "F", NULL);
}

int pv_xs_transact(int (*fn)(uint32_t tx, void *arg), void *arg)
{
	uint64_t deadline_ns = pv_now_ns() + xs.limit_ns;
	uint32_t tx;
	int rc;

	do {
		rc = pv_xs_begin(&tx);
		if (rc)
			return rc;
		rc = fn(tx, arg);
		if (rc) {
			pv_xs_end(tx, false);
			return rc;
		}
		rc = pv_xs_end(tx, true);
	} while (rc == -XEN_EAGAIN && pv_now_ns() < deadline_ns);
	return rc;
}

/* ---- watches --------------------------------------------------------------------------------- */

/* WATCH or UNWATCH: path and token. */
static int order_watch(uint32_t type, const struct pv_xs_watch *w)
{
	struct piece piece[MAX_PIECES];
	unsigned int n = path_pieces(piece, w->path, NULL);
	char ok[8];
	struct request rq = { .buf = ok, .size = sizeof(ok) };

	piece[n++] = (struct piece){ w->token, strlen(w->token) + 1 };
	return ask(&rq, type, PV_XS_NO_TX, piece, n);
}

/* Off the list, and its function not running. */
static void forget(struct pv_xs_watch *w)
{
	struct pv_xs_watch **link;
	uint64_t irq = pv_spin_lock_irq(&xs.lock);

	for (link = &xs.watches; *link && *link != w; link = &(*link)->next)
		;
	if (*link)
		*link = w->next;
	pv_spin_unlock_irq(&xs.lock, irq);
	while (pv_load_acquire(&w->running)) /* on another vCPU, and it does not wait */
		pv_cpu_relax();
}

int pv_xs_watch(struct pv_xs_watch *w, const char *path)
{
	uint64_t irq = pv_spin_lock_irq(&xs.lock);
	int rc;

	/* On the list first: the first event may be here before the reply has been looked at. */
	pv_snprintf(w->token, sizeof(w->token), "%x", ++xs.next_token);
	w->path = path;
	w->is_told = false;
	w->next = xs.watches;
	xs.watches = w;
	pv_spin_unlock_irq(&xs.lock, irq);
	rc = order_watch(XS_WATCH, w);
	if (rc)
		forget(w);
	return rc;
}

int pv_xs_unwatch(struct pv_xs_watch *w)
{
	forget(w);
	return order_watch(XS_UNWATCH, w);
}

int pv_xs_reset(void)
{
	return order_path(XS_RESET_WATCHES, PV_XS_NO_TX, NULL, NULL);
}

/* ---- beginning ------------------------------------------------------------------------------- */

void pv_xs_set_limit(uint64_t limit_ns)
{
	xs.limit_ns = limit_ns;
}

/* Somebody asked for a new beginning, and the server has not made it yet (xenstore-ring.txt). */
static bool is_connected(void *page)
{
	return pv_load_acquire(&((struct xenstore_domain_interface *)page)->connection) ==
	       XENSTORE_CONNECTED;
}

int pv_xs_attach(struct xenstore_domain_interface *page, evtchn_port_t port)
{
	bool can_reconnect = pv_load(&page->server_features) & XENSTORE_SERVER_FEATURE_RECONNECTION;
	struct pv_waitq q = { { NULL, NULL } };

	if (can_reconnect && !pv_wait(&q, is_connected, page, pv_now_ns() + xs.limit_ns))
		return -XEN_ETIMEDOUT;
	pv_xsring_init(&xs.ring, page);
	xs.port = port;
	xs.tx_len = xs.tx.done = xs.rx.done = 0;
	xs.tx_is_taken = false;
	xs.is_broken = false;
	xs.is_attached = true;
	return 0;
}

int pv_xs_init(const struct start_info *start)
{
	uint64_t pfn;
	int rc;

	if (!start->store_evtchn)
		return -XEN_ENODEV;
	pfn = pv_m2p(start->store_mfn);
	if (pfn == PV_NO_FRAME)
		return -XEN_ENODEV;
	rc = pv_xs_attach(pv_pfn_to_virt(pfn), start->store_evtchn);
	if (rc)
		return rc;
	rc = pv_evtchn_bind(start->store_evtchn, 0, pv_xs_event, NULL);
	if (rc)
		xs.is_attached = false;
	return rc;
}
