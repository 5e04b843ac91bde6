/* SPDX-License-Identifier: MIT */
/*
 * TCP's segments on their way out.
 */
#include "tests/guests/unix/net/tcp.h"

#define MAX_PIECES  16u
#define MAX_PAYLOAD (60u * 1024) /* of one packet that the device cuts */

uint32_t tcp_window(const struct net_tcp *t)
{
	uint32_t used = t->rcv_bytes, pieces = t->rcv_tail - t->rcv_head;

	if (used >= RCV_WINDOW || pieces + RCV_PIECES / 4 >= RCV_PIECES)
		return 0;
	return RCV_WINDOW - used;
}

/* The bytes [offset, offset + len) of the ring; a count for each page. */
static unsigned lay_pieces(struct net_tcp *t, struct tx *tx, uint32_t offset, uint32_t len,
                           struct netdev_frag *pieces)
{
	unsigned nr = 0;

	tx->first = offset / PV_PAGE_SIZE % SND_PAGES;
	while (len && nr < MAX_PIECES) {
		uint32_t in_page = offset % PV_PAGE_SIZE, room = (uint32_t)PV_PAGE_SIZE - in_page;
		unsigned place = offset / PV_PAGE_SIZE % SND_PAGES;
		uint32_t n = len < room ? len : room;

		pieces[nr++] = (struct netdev_frag){ t->snd[place] + in_page, n };
		t->busy[place]++;
		t->busy_total++;
		offset += n;
		len -= n;
	}
	tx->tcp = nr ? t : NULL;
	tx->nr = nr;
	return nr;
}

static unsigned lay_options(const struct net_tcp *t, uint8_t *p, uint8_t flags)
{
	unsigned mtu = t->n->info.mtu ? t->n->info.mtu : 1500;

	if (!(flags & TH_SYN))
		return 0;
	memcpy(p, (const uint8_t[]){ 2, 4, 0, 0, 1, 3, 3, RCV_SCALE }, 8);
	put16(p + 2, mtu - IP_LEN - TCP_LEN);
	return 8;
}

void tcp_segment(struct net_tcp *t, uint8_t flags, uint32_t seq, uint32_t len)
{
	struct net *n = t->n;
	struct netdev_frag pieces[MAX_PIECES];
	struct net_out out = { .to = t->remote_ip, .protocol = IP_TCP, .more = pieces, .csum = 16 };
	uint32_t window = tcp_window(t);
	uint8_t *page = net_page(n), *tcp;

	if (!page)
		return;
	tcp = page + ETH_LEN + IP_LEN;
	out.len = TCP_LEN + lay_options(t, tcp + TCP_LEN, flags);
	put16(tcp, t->local_port);
	put16(tcp + 2, t->remote_port);
	put32(tcp + 4, seq);
	put32(tcp + 8, flags & TH_ACK ? t->rcv_nxt : 0);
	tcp[12] = (uint8_t)(out.len / 4 << 4);
	tcp[13] = flags;
	t->rcv_edge = t->rcv_nxt + window;
	if (t->scaled && !(flags & TH_SYN))
		window >>= RCV_SCALE;
	put16(tcp + 14, window > 0xffff ? 0xffff : window);
	put16(tcp + 18, 0);
	if (len)
		out.nr_more = lay_pieces(t, tx_of(page), seq - t->iss - 1, len, pieces);
	put16(tcp + 16, (uint16_t)~net_sum_end(net_pseudo(net_source(n, t->remote_ip), t->remote_ip,
	                                                  IP_TCP, out.len + len)));
	if (len > t->mss)
		out.gso_size = (uint16_t)t->mss;
	if (flags & TH_ACK)
		t->must_ack = false;
	net_send(n, page, &out);
}

void tcp_reset(struct net *n, const struct net_in *in)
{
	const uint8_t *from = in->l4;
	const struct net_out out = {
		.to = in->from, .protocol = IP_TCP, .len = TCP_LEN, .csum = 16
	};
	uint8_t *page = net_page(n), *tcp;

	if (!page)
		return;
	tcp = page + ETH_LEN + IP_LEN;
	memset(tcp, 0, TCP_LEN);
	put16(tcp, get16(from + 2));
	put16(tcp + 2, get16(from));
	tcp[12] = TCP_LEN / 4 << 4;
	if (from[13] & TH_ACK) {
		put32(tcp + 4, get32(from + 8));
		tcp[13] = TH_RST;
	} else {
		put32(tcp + 8,
		      get32(from + 4) + in->l4_len - (from[12] >> 4) * 4u + !!(from[13] & TH_SYN));
		tcp[13] = TH_RST | TH_ACK;
	}
	put16(tcp + 16, (uint16_t)~net_sum_end(
				net_pseudo(net_source(n, in->from), in->from, IP_TCP, TCP_LEN)));
	net_send(n, page, &out);
}

/* How many bytes from snd_nxt on may leave in one packet now. */
static uint32_t sendable(const struct net_tcp *t)
{
	uint32_t window = t->snd_wnd < t->cwnd ? t->snd_wnd : t->cwnd;
	uint32_t flying = t->snd_nxt - t->snd_una;
	uint32_t left = t->snd_end - t->snd_nxt;
	uint32_t most = t->n->info.gso_ipv4 && t->n->info.sg ? MAX_PAYLOAD : t->mss;
	uint32_t n;

	if (flying >= window)
		return 0;
	n = left < window - flying ? left : window - flying;
	if (n > most)
		n = most;
	/* With a large packet under way its confirmation comes soon, or more to send: large ones cost less. */
	if (n < most && flying >= most)
		return 0;
	/* Whole segments while more is to come; a small rest waits only for what is under way. */
	if (n < left && n > t->mss)
		n -= n % t->mss;
	if (n < t->mss && n < left && flying)
		return 0;
	return n;
}

static bool may_send(const struct net_tcp *t)
{
	switch (t->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT_1:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return true;
	default:
		return false;
	}
}

static void note_sent(struct net_tcp *t)
{
	if (!t->timing && seq_diff(t->snd_nxt, t->snd_max) > 0) {
		t->timing = true;
		t->timed_seq = t->snd_nxt;
		t->timed_at = t->n->env.now_ns();
	}
	if (seq_diff(t->snd_nxt, t->snd_max) > 0)
		t->snd_max = t->snd_nxt;
	if (!t->deadline_ns)
		tcp_start_timer(t);
}

/* The end of what we send: a number of its own behind the last byte. */
static void send_fin(struct net_tcp *t)
{
	if (!t->fin_wanted || t->snd_nxt != t->snd_end)
		return;
	tcp_segment(t, TH_FIN | TH_ACK, t->snd_nxt, 0);
	t->snd_nxt++;
	if (t->state == TCP_ESTABLISHED)
		t->state = TCP_FIN_WAIT_1;
	else if (t->state == TCP_CLOSE_WAIT)
		t->state = TCP_LAST_ACK;
	note_sent(t);
}

void tcp_output(struct net_tcp *t)
{
	uint32_t n;

	t->must_send = false;
	while (may_send(t) && seq_diff(t->snd_end, t->snd_nxt) > 0 && (n = sendable(t))) {
		bool last = t->snd_nxt + n == t->snd_end;

		tcp_segment(t, (uint8_t)(TH_ACK | (last ? TH_PSH : 0)), t->snd_nxt, n);
		t->snd_nxt += n;
		note_sent(t);
	}
	if (may_send(t))
		send_fin(t);
	/* Shut out by the peer with nothing under way: the timer asks. */
	if (may_send(t) && !t->deadline_ns && seq_diff(t->snd_end, t->snd_una) > 0)
		tcp_start_timer(t);
	if (t->must_ack)
		tcp_segment(t, TH_ACK, t->snd_nxt, 0);
}
