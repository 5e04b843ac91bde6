/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the stack share: net.c (device, addresses, IP), loop.c, icmp.c, udp.c, dhcp.c,
 * and tcp.c with tcp_in.c and tcp_out.c.
 *
 * A packet on its way out is a page with its headers (and small data) and, for TCP, pages of the
 * connection's send buffer. The record of both, struct tx, lies at the end of the header page, so
 * that nothing else has to be allocated and sent() finds all it needs.
 */
#ifndef TESTS_GUESTS_UNIX_NET_NET_PRIV_H
#define TESTS_GUESTS_UNIX_NET_NET_PRIV_H

#include "abi/errno.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "tests/guests/unix/net/net.h"

#define ETH_LEN   14u
#define IP_LEN    20u
#define UDP_LEN   8u
#define TCP_LEN   20u
#define IP_ICMP   1
#define IP_TCP    6
#define IP_UDP    17
#define NS_PER_MS UINT64_C(1000000)

/* Bytes of a header page that a packet may use; the record is behind them. */
#define TX_ROOM (PV_PAGE_SIZE - sizeof(struct tx))

struct tx {
	struct net_tcp *tcp; /* whose pages it carries; NULL: none */
	unsigned first, nr;  /* places in its send buffer */
};

static inline struct tx *tx_of(void *page)
{
	return (struct tx *)((char *)page + TX_ROOM);
}

struct arp_entry {
	uint32_t ip; /* 0: free */
	uint8_t mac[6];
	bool known;
	uint64_t asked_ns, used_ns;
	/* A packet of one piece that waits for the address; page NULL: none. */
	struct {
		uint8_t *page;
		uint32_t len;
		bool csum;
	} waiting;
};

#define ARP_ENTRIES 16

struct looped;

struct net {
	struct net_env env;
	struct netdev *dev;
	struct netdev_info info;
	struct pv_spinlock lock;
	struct net_config config;
	struct net_figures figures;
	struct arp_entry arp[ARP_ENTRIES];
	struct net_udp *udp;
	struct net_tcp *tcp;
	uint16_t next_port, ip_id;
	bool must_kick, held;
	struct looped *loop_first, *loop_last; /* what we sent to ourselves */
	unsigned nr_looped;
	/* The echo request that somebody waits for. */
	struct pv_waitq ping_q;
	uint16_t ping_seq;
	bool ping_answered;
};

/* ---- numbers in network order ---- */

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Ones' complement: a sum to go on with, and its end. Pieces but the last are of even length. */
uint32_t net_sum(uint32_t sum, const uint8_t *p, size_t len);
uint16_t net_sum_end(uint32_t sum);
uint32_t net_pseudo(uint32_t from, uint32_t to, uint8_t protocol, uint32_t len);

/* ---- net.c; lock held ---- */

/* A header page to be filled from its first byte; NULL: none. */
uint8_t *net_page(struct net *n);
/*
 * Sends what was laid at page + ETH_LEN: an IP header goes in front of what lies behind it.
 * len: bytes of the page behind the two headers; more: further pieces, nr of them (TCP's data).
 * csum: the field of the checksum is at this offset behind the IP header, and holds the
 * pseudo-header's sum; 0: it is filled in.
 * The page is used up in any case. 0; -XEN_EAGAIN, -XEN_ENETUNREACH...
 */
struct net_out {
	uint32_t to;
	uint8_t protocol;
	unsigned len;
	const struct netdev_frag *more;
	unsigned nr_more;
	unsigned csum;
	uint16_t gso_size; /* 0: one segment */
};
int net_send(struct net *n, uint8_t *page, const struct net_out *out);
void net_free_packet(struct net *n, struct netdev_packet *p);
/* The next port of those that are given to who does not care. */
uint16_t net_free_port(struct net *n);
/* A packet that has come; its pages are freed or kept. */
void net_input(struct net *n, struct netdev_packet *pkt);

static inline bool net_is_loopback(uint32_t ip)
{
	return ip >> 24 == 127;
}

static inline bool net_is_ours(const struct net *n, uint32_t ip)
{
	return net_is_loopback(ip) || (ip && ip == n->config.ip);
}

/* The address that we have for that neighbour. */
static inline uint32_t net_source(const struct net *n, uint32_t to)
{
	return net_is_loopback(to) ? to : n->config.ip;
}

/* loop.c: takes a packet as a device does; and lets those come in that were taken. */
int net_loop(struct net *n, struct netdev_packet *p);
void net_loop_deliver(struct net *n);

/* Not held. 0, -XEN_ETIMEDOUT, -NET_EINTR. deadline 0: none. */
int net_wait(struct net *n, struct pv_waitq *q, bool (*ready)(void *), void *arg,
             uint64_t deadline);

static inline uint64_t net_deadline(const struct net *n, uint64_t limit_ns)
{
	return limit_ns ? n->env.now_ns() + limit_ns : 0;
}

void net_rearm(struct net *n);
/* Tells the device of what was sent, gives the lock back. */
void net_leave(struct net *n, uint64_t irq);

/* ---- a packet that has come, behind its IP header; lock held ---- */

struct net_in {
	uint32_t from, to;
	const uint8_t *l4;         /* in the first piece */
	uint32_t l4_len;           /* of the datagram; may go on in further pieces */
	uint32_t head_len;         /* of it in the first piece */
	struct netdev_packet *pkt; /* its pages; who keeps one takes it out (sets va NULL) */
	bool checked;              /* its checksum is right, or need not be */
};

void icmp_input(struct net *n, const struct net_in *in);
void udp_input(struct net *n, const struct net_in *in);
void tcp_input(struct net *n, struct net_in *in);
void tcp_sent(struct net *n, const struct tx *tx);
/* A series of packets has come: acknowledgements, and what the window now lets out. */
void tcp_batch_end(struct net *n);
void tcp_timer(struct net *n, uint64_t now);
uint64_t tcp_next_deadline(struct net *n);
/* False: a checksum over the whole of in is wrong. */
bool net_check(struct net *n, const struct net_in *in, uint8_t protocol);

#endif
