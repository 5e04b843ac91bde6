/* SPDX-License-Identifier: MIT */
/*
 * A TCP connection, shared by tcp.c (calls of users, timers), tcp_in.c and tcp_out.c.
 *
 * Sequence numbers are compared by their difference. Bytes to send lie in a ring of pages, by their
 * distance from the first byte of the connection; bytes that have come lie in the pages in which
 * they came.
 *
 * Invariant: a page of the ring is written anew only when all its bytes are confirmed and the device
 * has given it back (busy is 0).
 *
 * Sources: RFC 9293, 7323 (window scale), 5681 and 6582 (congestion), 6298 (time-out).
 */
#ifndef TESTS_GUESTS_UNIX_NET_TCP_H
#define TESTS_GUESTS_UNIX_NET_TCP_H

#include "tests/guests/unix/net/net_priv.h"

#define SND_PAGES  256u
#define RCV_PAGES  4u
#define RCV_PER    (PV_PAGE_SIZE / sizeof(struct rcv_piece))
#define RCV_PIECES (RCV_PAGES * RCV_PER)
#define RCV_WINDOW (768u * 1024)
#define RCV_SCALE  5
#define BACKLOG    16

#define TH_FIN     0x01
#define TH_SYN     0x02
#define TH_RST     0x04
#define TH_PSH     0x08
#define TH_ACK     0x10

enum tcp_state {
	TCP_CLOSED,
	TCP_LISTEN,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
};

struct rcv_piece {
	uint8_t *at; /* in its page */
	uint32_t len;
};

struct net_tcp {
	struct net *n;
	struct net_tcp *next;
	struct pv_waitq q;
	enum tcp_state state;
	int error;      /* why it is closed: -XEN_E*, 0: orderly */
	bool user_gone; /* nobody holds it: freed when it is closed */
	uint16_t local_port, remote_port;
	uint32_t remote_ip;
	/* A listener's connections that wait to be accepted; a connection's listener until then. */
	struct net_tcp *parent;
	unsigned pending;

	uint32_t iss, snd_una, snd_nxt, snd_max; /* snd_max: behind all that was ever sent */
	uint32_t snd_end;                        /* behind all that was written */
	uint32_t snd_wnd, mss;
	uint8_t snd_scale;
	bool scaled, fin_wanted;
	uint32_t cwnd, ssthresh, recover;
	unsigned dup_acks;

	uint32_t rcv_nxt, rcv_edge; /* rcv_edge: end of the window that was told last */
	bool fin_seen, must_ack, must_send;

	uint64_t rto_ns, srtt_ns, rttvar_ns, deadline_ns; /* deadline 0: none */
	uint64_t timed_at;
	uint32_t timed_seq;
	bool timing;
	unsigned tries;

	unsigned busy_total;
	uint8_t busy[SND_PAGES];
	uint8_t *snd[SND_PAGES];
	uint32_t rcv_head, rcv_tail, rcv_bytes;
	struct rcv_piece *rcv[RCV_PAGES];
};

_Static_assert(sizeof(struct net_tcp) <= PV_PAGE_SIZE, "it lies in a page");

static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline struct rcv_piece *rcv_piece(struct net_tcp *t, uint32_t i)
{
	i %= RCV_PIECES;
	return &t->rcv[i / RCV_PER][i % RCV_PER];
}

/* tcp.c; lock held */
struct net_tcp *tcp_new(struct net *n);
void tcp_start_timer(struct net_tcp *t);
/* Everything of it is over; waiters find out. */
void tcp_end(struct net_tcp *t, int error);

/* tcp_out.c; lock held */
void tcp_output(
	struct net_tcp *t); /* what the windows let out, and an acknowledgement if it is due */
void tcp_segment(struct net_tcp *t, uint8_t flags, uint32_t seq, uint32_t len);
void tcp_reset(struct net *n, const struct net_in *in); /* to somebody whom nobody knows */
uint32_t tcp_window(const struct net_tcp *t);

#endif
