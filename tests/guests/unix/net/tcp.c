/* SPDX-License-Identifier: MIT */
/*
 * TCP's connections: what users ask of them, and their timers.
 */
#include "tests/guests/unix/net/tcp.h"

#define FIRST_RTO (200 * NS_PER_MS)
#define LAST_RTO  (8000 * NS_PER_MS)
#define QUIET     (1000 * NS_PER_MS)  /* an ended connection answers for so long */
#define HALF_OPEN (10000 * NS_PER_MS) /* a peer may take so long to end its side as well */
#define MAX_TRIES 10

/* ---- being there ---- */

struct net_tcp *tcp_new(struct net *n)
{
	struct net_tcp *t = n->env.page_alloc();
	unsigned i;

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	for (i = 0; i < RCV_PAGES; i++) {
		t->rcv[i] = n->env.page_alloc();
		if (!t->rcv[i])
			break;
	}
	if (i < RCV_PAGES) {
		while (i--)
			n->env.page_free(t->rcv[i]);
		n->env.page_free(t);
		return NULL;
	}
	t->n = n;
	t->iss = (uint32_t)(n->env.now_ns() >> 3);
	t->snd_una = t->snd_nxt = t->snd_max = t->iss;
	t->snd_end = t->iss + 1;
	t->recover = t->iss;
	t->rto_ns = FIRST_RTO;
	t->mss = 536;
	t->cwnd = 10 * t->mss;
	t->ssthresh = UINT32_MAX;
	t->next = n->tcp;
	n->tcp = t;
	return t;
}

static void free_received(struct net_tcp *t)
{
	for (; t->rcv_head != t->rcv_tail; t->rcv_head++)
		t->n->env.page_free(
			(void *)((uintptr_t)rcv_piece(t, t->rcv_head)->at & PV_PAGE_MASK));
}

/* Frees a connection that is over, that nobody holds, and of which the device holds nothing. */
static void maybe_free(struct net_tcp *t)
{
	struct net *n = t->n;
	struct net_tcp **at = &n->tcp;

	if (t->state != TCP_CLOSED || !t->user_gone || t->busy_total)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	free_received(t);
	for (unsigned i = 0; i < SND_PAGES; i++) {
		if (t->snd[i])
			n->env.page_free(t->snd[i]);
	}
	for (unsigned i = 0; i < RCV_PAGES; i++)
		n->env.page_free(t->rcv[i]);
	n->env.page_free(t);
}

void tcp_end(struct net_tcp *t, int error)
{
	t->state = TCP_CLOSED;
	t->error = error;
	t->deadline_ns = 0;
	t->must_ack = t->must_send = false;
	if (t->parent) {
		t->parent->pending--;
		t->parent = NULL;
		t->user_gone = true; /* it was never given to anybody */
	}
	t->n->env.wake(&t->q);
}

void tcp_sent(struct net *n, const struct tx *tx)
{
	struct net_tcp *t = tx->tcp;

	for (unsigned i = 0; i < tx->nr; i++)
		t->busy[(tx->first + i) % SND_PAGES]--;
	t->busy_total -= tx->nr;
	n->env.wake(&t->q);
}

/* ---- time ---- */

void tcp_start_timer(struct net_tcp *t)
{
	uint64_t wait = t->state == TCP_TIME_WAIT ? QUIET
	                                          : t->rto_ns << (t->tries < 6 ? t->tries : 6);

	if (wait > LAST_RTO)
		wait = LAST_RTO;
	t->deadline_ns = t->n->env.now_ns() + wait;
}

static void time_out(struct net_tcp *t)
{
	t->deadline_ns = 0;
	if (t->state == TCP_TIME_WAIT || t->state == TCP_FIN_WAIT_2) {
		/* A half-open connection whose user still reads goes on. */
		if (t->state == TCP_TIME_WAIT || t->user_gone)
			tcp_end(t, 0);
		return;
	}
	if (++t->tries > MAX_TRIES) {
		tcp_end(t, -XEN_ETIMEDOUT);
		return;
	}
	t->n->figures.retransmitted++;
	t->timing = false;
	t->dup_acks = 0;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED) {
		tcp_segment(t, t->state == TCP_SYN_SENT ? TH_SYN : TH_SYN | TH_ACK, t->iss, 0);
	} else if (!t->snd_wnd && seq_diff(t->snd_end, t->snd_una) > 0) {
		/* A byte beyond the window asks whether it has opened. */
		tcp_segment(t, TH_ACK, t->snd_una, 1);
		if (seq_diff(t->snd_una + 1, t->snd_max) > 0)
			t->snd_max = t->snd_una + 1;
		if (seq_diff(t->snd_una + 1, t->snd_nxt) > 0)
			t->snd_nxt = t->snd_una + 1;
	} else {
		t->ssthresh = (t->snd_max - t->snd_una) / 2;
		if (t->ssthresh < 2 * t->mss)
			t->ssthresh = 2 * t->mss;
		t->cwnd = t->mss;
		t->recover = t->snd_max;
		t->snd_nxt = t->snd_una;
		tcp_output(t);
	}
	tcp_start_timer(t);
}

void tcp_timer(struct net *n, uint64_t now)
{
	struct net_tcp *next;

	for (struct net_tcp *t = n->tcp; t; t = next) {
		next = t->next;
		if (t->deadline_ns && t->deadline_ns <= now)
			time_out(t);
		maybe_free(t);
	}
}

uint64_t tcp_next_deadline(struct net *n)
{
	uint64_t at = UINT64_MAX;

	for (struct net_tcp *t = n->tcp; t; t = t->next) {
		if (t->deadline_ns && t->deadline_ns < at)
			at = t->deadline_ns;
	}
	return at;
}

void tcp_batch_end(struct net *n)
{
	struct net_tcp *next;

	for (struct net_tcp *t = n->tcp; t; t = next) {
		next = t->next;
		if (t->must_send || t->must_ack)
			tcp_output(t);
		maybe_free(t);
	}
}

/* ---- users ---- */

static uint64_t enter(struct net_tcp *t)
{
	return pv_spin_lock_irq(&t->n->lock);
}

static void leave(struct net_tcp *t, uint64_t irq)
{
	net_rearm(t->n);
	net_leave(t->n, irq);
}

static int wait_for(struct net_tcp *t, bool (*ready)(void *), uint64_t limit_ns)
{
	return net_wait(t->n, &t->q, ready, t, net_deadline(t->n, limit_ns));
}

static bool is_connected(void *arg)
{
	const volatile struct net_tcp *t = arg;

	return t->state != TCP_SYN_SENT;
}

int net_tcp_connect(struct net *n, uint32_t ip, uint16_t port, uint64_t limit_ns,
                    struct net_tcp **out)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);
	struct net_tcp *t = tcp_new(n);
	int rc;

	if (!t) {
		net_leave(n, irq);
		return -XEN_ENOMEM;
	}
	t->remote_ip = ip;
	t->remote_port = port;
	t->local_port = net_free_port(n);
	t->state = TCP_SYN_SENT;
	tcp_segment(t, TH_SYN, t->iss, 0);
	t->snd_nxt = t->snd_max = t->iss + 1;
	tcp_start_timer(t);
	leave(t, irq);
	rc = wait_for(t, is_connected, limit_ns);
	irq = enter(t);
	if (!rc && t->state == TCP_CLOSED)
		rc = t->error ? t->error : -XEN_ECONNREFUSED;
	if (rc) {
		t->user_gone = true;
		t->state = TCP_CLOSED;
		maybe_free(t);
		net_leave(n, irq);
		return rc;
	}
	leave(t, irq);
	*out = t;
	return 0;
}

int net_tcp_listen(struct net *n, uint16_t port, struct net_tcp **out)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);
	struct net_tcp *t;
	int rc = 0;

	for (t = n->tcp; t && !rc; t = t->next) {
		if (t->state == TCP_LISTEN && t->local_port == port)
			rc = -XEN_EEXIST;
	}
	t = rc ? NULL : tcp_new(n);
	if (!rc && !t)
		rc = -XEN_ENOMEM;
	if (!rc) {
		t->local_port = port;
		t->state = TCP_LISTEN;
		*out = t;
	}
	net_leave(n, irq);
	return rc;
}

/* The lock may be held or not: the list of connections changes under it only. */
static struct net_tcp *waiting_child(struct net_tcp *l)
{
	for (struct net_tcp *t = l->n->tcp; t; t = t->next) {
		if (t->parent == l && t->state >= TCP_ESTABLISHED)
			return t;
	}
	return NULL;
}

static bool has_child(void *arg)
{
	struct net_tcp *l = arg;
	uint64_t irq = enter(l);
	bool has = waiting_child(l) != NULL;

	pv_spin_unlock_irq(&l->n->lock, irq);
	return has;
}

int net_tcp_accept(struct net_tcp *l, uint64_t limit_ns, struct net_tcp **out)
{
	struct net_tcp *t;
	uint64_t irq;
	int rc;

	rc = wait_for(l, has_child, limit_ns);
	if (rc)
		return rc;
	irq = enter(l);
	t = waiting_child(l);
	if (t) {
		t->parent = NULL;
		l->pending--;
		*out = t;
	}
	net_leave(l->n, irq);
	return t ? 0 : -XEN_EAGAIN;
}

/* The place of the next byte in the ring; NULL: there is no room. room: out: bytes from there. */
static uint8_t *room_at_end(struct net_tcp *t, uint32_t *room)
{
	uint32_t offset = t->snd_end - t->iss - 1, una = t->snd_una - t->iss;
	uint32_t page = offset / PV_PAGE_SIZE, in_page = offset % PV_PAGE_SIZE;
	unsigned place = page % SND_PAGES;

	/* snd_una stands on the SYN, before the first byte, until that is confirmed. */
	una = una ? una - 1 : 0;
	if (!in_page && (page - una / PV_PAGE_SIZE >= SND_PAGES || t->busy[place]))
		return NULL;
	if (!t->snd[place])
		t->snd[place] = t->n->env.page_alloc();
	*room = (uint32_t)PV_PAGE_SIZE - in_page;
	return t->snd[place] ? t->snd[place] + in_page : NULL;
}

static bool may_write(void *arg)
{
	struct net_tcp *t = arg;
	uint64_t irq = enter(t);
	uint32_t room;
	bool may = (t->state != TCP_ESTABLISHED && t->state != TCP_CLOSE_WAIT) ||
	           room_at_end(t, &room);

	pv_spin_unlock_irq(&t->n->lock, irq);
	return may;
}

/* What fits now. Lock held. */
static size_t put(struct net_tcp *t, const uint8_t *data, size_t len)
{
	size_t done = 0;
	uint32_t room;
	uint8_t *at;

	while (done < len && (at = room_at_end(t, &room))) {
		if (room > len - done)
			room = (uint32_t)(len - done);
		memcpy(at, data + done, room);
		t->snd_end += room;
		done += room;
	}
	tcp_output(t);
	return done;
}

long net_tcp_write(struct net_tcp *t, const void *data, size_t len, uint64_t limit_ns)
{
	size_t done = 0;
	int rc;

	while (done < len) {
		uint64_t irq = enter(t);
		bool open = t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT;

		if (open && !t->fin_wanted)
			done += put(t, (const uint8_t *)data + done, len - done);
		leave(t, irq);
		if (!open || t->fin_wanted)
			return done ? (long)done : -XEN_EIO;
		rc = done < len ? wait_for(t, may_write, limit_ns) : 0;
		if (rc)
			return done ? (long)done : rc;
	}
	return (long)done;
}

static bool may_read(void *arg)
{
	const volatile struct net_tcp *t = arg;

	return t->rcv_head != t->rcv_tail || t->fin_seen || t->state == TCP_CLOSED;
}

static size_t take(struct net_tcp *t, uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size && t->rcv_head != t->rcv_tail) {
		struct rcv_piece *p = rcv_piece(t, t->rcv_head);
		uint32_t n = p->len < size - done ? p->len : (uint32_t)(size - done);

		memcpy(data + done, p->at, n);
		done += n;
		t->rcv_bytes -= n;
		p->len -= n;
		if (!p->len) {
			t->n->env.page_free((void *)((uintptr_t)p->at & PV_PAGE_MASK));
			t->rcv_head++;
		} else {
			p->at += n;
		}
	}
	/* The peer learns of the room when there is a good deal more than it knows of. */
	if (t->state >= TCP_ESTABLISHED && !t->fin_seen &&
	    t->rcv_nxt + tcp_window(t) - t->rcv_edge >= RCV_WINDOW / 4)
		tcp_segment(t, TH_ACK, t->snd_nxt, 0);
	return done;
}

long net_tcp_read(struct net_tcp *t, void *data, size_t size, uint64_t limit_ns)
{
	bool over = false;
	size_t done = 0;
	int error = 0;

	/* More than once when another reader was faster. */
	while (size && !done && !over) {
		int rc = wait_for(t, may_read, limit_ns);
		uint64_t irq;

		if (rc)
			return rc;
		irq = enter(t);
		done = take(t, data, size);
		over = t->fin_seen || t->state == TCP_CLOSED;
		error = t->state == TCP_CLOSED ? t->error : 0;
		leave(t, irq);
	}
	return done ? (long)done : error;
}

static bool is_drained(void *arg)
{
	const volatile struct net_tcp *t = arg;

	return t->state == TCP_CLOSED || seq_diff(t->snd_una, t->snd_end) >= 0;
}

int net_tcp_drain(struct net_tcp *t, uint64_t limit_ns)
{
	int rc = wait_for(t, is_drained, limit_ns);

	if (rc)
		return rc;
	return seq_diff(t->snd_una, t->snd_end) >= 0 ? 0 : -XEN_EIO;
}

void net_tcp_peer(const struct net_tcp *t, uint32_t *ip, uint16_t *port)
{
	*ip = t->remote_ip;
	*port = t->remote_port;
}

uint16_t net_tcp_port(const struct net_tcp *t)
{
	return t->local_port;
}

void net_tcp_shutdown(struct net_tcp *t)
{
	uint64_t irq = enter(t);

	if (t->state != TCP_CLOSED) {
		t->fin_wanted = true;
		tcp_output(t);
	}
	leave(t, irq);
}

/* A listener takes those along that nobody has accepted. */
static void close_listener(struct net_tcp *l)
{
	for (struct net_tcp *t = l->n->tcp; t; t = t->next) {
		if (t->parent != l)
			continue;
		tcp_segment(t, TH_RST | TH_ACK, t->snd_nxt, 0);
		tcp_end(t, -XEN_EIO);
	}
	tcp_end(l, 0);
}

void net_tcp_close(struct net_tcp *t)
{
	struct net *n = t->n;
	uint64_t irq = enter(t);

	t->user_gone = true;
	if (t->state == TCP_LISTEN) {
		close_listener(t);
	} else if (t->state != TCP_CLOSED && t->rcv_head != t->rcv_tail) {
		/* Data that nobody will read: the peer is to know (RFC 9293, 3.6.1). */
		tcp_segment(t, TH_RST | TH_ACK, t->snd_nxt, 0);
		tcp_end(t, -XEN_EIO);
	} else if (t->state != TCP_CLOSED) {
		t->fin_wanted = true;
		tcp_output(t);
	}
	tcp_batch_end(n);
	net_rearm(n);
	net_leave(n, irq);
}
