/* SPDX-License-Identifier: MIT */
/*
 * TCP's segments as they come: RFC 9293, 3.10.7, with what comes out of order asked for again.
 */
#include "tests/guests/unix/net/tcp.h"

#define MIN_RTO      (50 * NS_PER_MS)
#define MAX_RTO      (4000 * NS_PER_MS)
#define FIN_ACKED(t) ((t)->fin_wanted && (t)->snd_una == (t)->snd_end + 1)

struct segment {
	uint32_t seq, ack, window, len; /* len: bytes of data */
	uint8_t flags;
	unsigned head; /* bytes of the header */
};

static struct net_tcp *find(struct net *n, uint32_t ip, uint16_t remote, uint16_t local)
{
	struct net_tcp *t, *listener = NULL;

	for (t = n->tcp; t; t = t->next) {
		if (t->local_port != local || t->state == TCP_CLOSED)
			continue;
		if (t->state == TCP_LISTEN)
			listener = t;
		else if (t->remote_ip == ip && t->remote_port == remote)
			return t;
	}
	return listener;
}

/* MSS and window scale; others are passed over. */
static void read_options(struct net_tcp *t, const uint8_t *p, unsigned len)
{
	t->mss = 536;
	t->snd_scale = 0;
	t->scaled = false;
	while (len && *p) {
		unsigned n = *p == 1 ? 1 : len > 1 ? p[1] : 0;

		if (!n || n > len || (*p != 1 && n < 2))
			break;
		if (*p == 2 && n == 4)
			t->mss = get16(p + 2);
		if (*p == 3 && n == 3) {
			t->snd_scale = p[2] > 14 ? 14 : p[2];
			t->scaled = true;
		}
		p += n;
		len -= n;
	}
	if (t->mss < 64)
		t->mss = 64;
	if (t->n->info.mtu && t->mss > t->n->info.mtu - IP_LEN - TCP_LEN)
		t->mss = t->n->info.mtu - IP_LEN - TCP_LEN;
	t->cwnd = 10 * t->mss;
}

/* ---- the beginning ---- */

static void on_listener(struct net_tcp *l, const struct net_in *in, const struct segment *s)
{
	struct net_tcp *t;

	if (s->flags & (TH_RST | TH_ACK)) {
		if (s->flags & TH_ACK && !(s->flags & TH_RST))
			tcp_reset(l->n, in);
		return;
	}
	if (!(s->flags & TH_SYN) || l->pending >= BACKLOG)
		return;
	t = tcp_new(l->n);
	if (!t)
		return;
	t->parent = l;
	l->pending++;
	t->local_port = l->local_port;
	t->remote_port = get16(in->l4);
	t->remote_ip = in->from;
	t->rcv_nxt = s->seq + 1;
	read_options(t, in->l4 + TCP_LEN, s->head - TCP_LEN);
	t->snd_wnd = s->window;
	t->state = TCP_SYN_RECEIVED;
	tcp_segment(t, TH_SYN | TH_ACK, t->iss, 0);
	t->snd_nxt = t->snd_max = t->iss + 1;
	tcp_start_timer(t);
}

static void on_syn_sent(struct net_tcp *t, const struct net_in *in, const struct segment *s)
{
	if (s->flags & TH_ACK && s->ack != t->iss + 1) {
		if (!(s->flags & TH_RST))
			tcp_reset(t->n, in);
		return;
	}
	if (s->flags & TH_RST) {
		if (s->flags & TH_ACK)
			tcp_end(t, -XEN_ECONNREFUSED);
		return;
	}
	if ((s->flags & (TH_SYN | TH_ACK)) != (TH_SYN | TH_ACK))
		return;
	t->rcv_nxt = s->seq + 1;
	t->snd_una = s->ack;
	read_options(t, in->l4 + TCP_LEN, s->head - TCP_LEN);
	t->snd_wnd = s->window;
	t->state = TCP_ESTABLISHED;
	t->deadline_ns = 0;
	t->tries = 0;
	t->must_ack = t->must_send = true;
	t->n->env.wake(&t->q);
}

/* ---- acknowledgements ---- */

static void measure(struct net_tcp *t)
{
	uint64_t rtt, now = t->n->env.now_ns();

	if (!t->timing || seq_diff(t->snd_una, t->timed_seq) < 0)
		return;
	t->timing = false;
	rtt = now - t->timed_at;
	if (!t->srtt_ns) {
		t->srtt_ns = rtt;
		t->rttvar_ns = rtt / 2;
	} else {
		uint64_t d = rtt > t->srtt_ns ? rtt - t->srtt_ns : t->srtt_ns - rtt;

		t->rttvar_ns = (3 * t->rttvar_ns + d) / 4;
		t->srtt_ns = (7 * t->srtt_ns + rtt) / 8;
	}
	t->rto_ns = t->srtt_ns + 4 * t->rttvar_ns;
	if (t->rto_ns < MIN_RTO)
		t->rto_ns = MIN_RTO;
	if (t->rto_ns > MAX_RTO)
		t->rto_ns = MAX_RTO;
}

static void on_duplicate(struct net_tcp *t)
{
	if (++t->dup_acks != 3 || seq_diff(t->snd_una, t->recover) < 0)
		return;
	/* One is lost, and what came behind it was thrown away: from there on again. */
	t->ssthresh = (t->snd_max - t->snd_una) / 2;
	if (t->ssthresh < 2 * t->mss)
		t->ssthresh = 2 * t->mss;
	t->cwnd = t->ssthresh;
	t->recover = t->snd_max;
	t->snd_nxt = t->snd_una;
	t->timing = false;
	t->must_send = true;
	t->n->figures.retransmitted++;
}

static void on_new_ack(struct net_tcp *t, uint32_t ack)
{
	uint32_t acked = ack - t->snd_una;

	t->snd_una = ack;
	if (seq_diff(t->snd_nxt, ack) < 0)
		t->snd_nxt = ack;
	t->dup_acks = 0;
	t->tries = 0;
	measure(t);
	if (t->cwnd < t->ssthresh)
		t->cwnd += acked;
	else
		t->cwnd += (uint32_t)((uint64_t)t->mss * acked / t->cwnd) + 1;
	if (t->cwnd > SND_PAGES * PV_PAGE_SIZE)
		t->cwnd = SND_PAGES * PV_PAGE_SIZE;
	t->deadline_ns = 0;
	if (t->snd_una != t->snd_max)
		tcp_start_timer(t);
	t->must_send = true;
	t->n->env.wake(&t->q);
}

static void on_ack(struct net_tcp *t, const struct segment *s)
{
	uint32_t window = s->window << (t->scaled ? t->snd_scale : 0);

	if (seq_diff(s->ack, t->snd_max) > 0) {
		t->must_ack = true;
		return;
	}
	if (seq_diff(s->ack, t->snd_una) > 0)
		on_new_ack(t, s->ack);
	else if (!window)
		t->tries = 0; /* shut, but there: it is asked for as long as it answers */
	else if (s->ack == t->snd_una && !s->len && window == t->snd_wnd &&
	         t->snd_una != t->snd_max && !(s->flags & TH_FIN))
		on_duplicate(t);
	if (window != t->snd_wnd && seq_diff(s->ack, t->snd_una) >= 0) {
		t->snd_wnd = window;
		t->must_send = true;
	}
}

/* Where our own end has arrived. */
static void after_ack(struct net_tcp *t)
{
	if (t->state == TCP_SYN_RECEIVED && seq_diff(t->snd_una, t->iss) > 0) {
		t->state = TCP_ESTABLISHED;
		if (t->parent)
			t->n->env.wake(&t->parent->q);
	}
	if (!FIN_ACKED(t))
		return;
	if (t->state == TCP_FIN_WAIT_1) {
		t->state = TCP_FIN_WAIT_2;
		tcp_start_timer(t);
	} else if (t->state == TCP_CLOSING) {
		t->state = TCP_TIME_WAIT;
		tcp_start_timer(t);
	} else if (t->state == TCP_LAST_ACK) {
		tcp_end(t, 0);
	}
}

/* ---- data ---- */

/* Keeps the pages of a segment's data: the first skip bytes are known already. */
static void keep(struct net_tcp *t, struct net_in *in, const struct segment *s, uint32_t skip)
{
	uint32_t left = s->len;
	uint8_t *at = (uint8_t *)in->l4 + s->head;
	uint32_t room = in->head_len - s->head;

	for (unsigned i = 0; left && i < in->pkt->nr_frags; i++) {
		uint32_t n = left < room ? left : room, drop = skip < n ? skip : n;

		if (n > drop) {
			*rcv_piece(t, t->rcv_tail++) = (struct rcv_piece){ at + drop, n - drop };
			t->rcv_bytes += n - drop;
			t->rcv_nxt += n - drop;
			in->pkt->frags[i].va = NULL; /* the page is ours now */
		}
		skip -= drop;
		left -= n;
		if (i + 1 < in->pkt->nr_frags) {
			at = in->pkt->frags[i + 1].va;
			room = in->pkt->frags[i + 1].len;
		}
	}
	t->n->env.wake(&t->q);
}

static bool takes_data(const struct net_tcp *t)
{
	return t->state == TCP_ESTABLISHED || t->state == TCP_FIN_WAIT_1 ||
	       t->state == TCP_FIN_WAIT_2;
}

static void on_data(struct net_tcp *t, struct net_in *in, const struct segment *s)
{
	int32_t skip = seq_diff(t->rcv_nxt, s->seq);

	t->must_ack = true;
	/* A gap before it, nothing new in it, or no room for it: the peer sends it again. */
	if (skip < 0 || (uint32_t)skip >= s->len || s->len - (uint32_t)skip > tcp_window(t))
		return;
	if (t->user_gone) {
		/* Nobody will ever read it (RFC 9293, 3.6.1). */
		tcp_segment(t, TH_RST | TH_ACK, t->snd_nxt, 0);
		tcp_end(t, -XEN_EIO);
		return;
	}
	keep(t, in, s, (uint32_t)skip);
}

static void on_fin(struct net_tcp *t, const struct segment *s)
{
	if (s->seq + s->len != t->rcv_nxt || t->fin_seen)
		return;
	t->rcv_nxt++;
	t->fin_seen = t->must_ack = true;
	if (t->state == TCP_ESTABLISHED) {
		t->state = TCP_CLOSE_WAIT;
	} else if (t->state == TCP_FIN_WAIT_1) {
		t->state = FIN_ACKED(t) ? TCP_TIME_WAIT : TCP_CLOSING;
	} else if (t->state == TCP_FIN_WAIT_2) {
		t->state = TCP_TIME_WAIT;
	}
	if (t->state == TCP_TIME_WAIT)
		tcp_start_timer(t);
	t->n->env.wake(&t->q);
}

static void on_segment(struct net_tcp *t, struct net_in *in, const struct segment *s)
{
	int32_t at = seq_diff(s->seq, t->rcv_nxt);

	/* RFC 5961: a reset has to be exact; anything outside the window is answered and dropped. */
	if (s->flags & TH_RST) {
		if (at == 0)
			tcp_end(t, -XEN_EIO);
		return;
	}
	if (at > (int32_t)RCV_WINDOW || at < -(int32_t)RCV_WINDOW || s->flags & TH_SYN) {
		t->must_ack = true;
		return;
	}
	if (!(s->flags & TH_ACK))
		return;
	on_ack(t, s);
	after_ack(t);
	if (s->len && takes_data(t))
		on_data(t, in, s);
	else if (s->len)
		t->must_ack = true;
	if (s->flags & TH_FIN && t->state >= TCP_ESTABLISHED)
		on_fin(t, s);
}

void tcp_input(struct net *n, struct net_in *in)
{
	const uint8_t *tcp = in->l4;
	struct segment s;
	struct net_tcp *t;

	if (in->head_len < TCP_LEN || !net_is_ours(n, in->to))
		return;
	s.head = (tcp[12] >> 4) * 4u;
	if (s.head < TCP_LEN || s.head > in->head_len || !net_check(n, in, IP_TCP))
		return;
	s.seq = get32(tcp + 4);
	s.ack = get32(tcp + 8);
	s.flags = tcp[13];
	s.window = get16(tcp + 14);
	s.len = in->l4_len - s.head;
	t = find(n, in->from, get16(tcp), get16(tcp + 2));
	if (!t) {
		if (!(s.flags & TH_RST))
			tcp_reset(n, in);
	} else if (t->state == TCP_LISTEN) {
		on_listener(t, in, &s);
	} else if (t->state == TCP_SYN_SENT) {
		on_syn_sent(t, in, &s);
	} else {
		on_segment(t, in, &s);
	}
}
