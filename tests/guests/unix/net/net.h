/* SPDX-License-Identifier: MIT */
/*
 * A small IPv4 stack over one netdev: ARP, ICMP echo, UDP, a DHCP client, and TCP with segmentation
 * left to the device. What is sent to its own address or to 127.0.0.0/8 comes back at once. It is demonstration code: enough to fetch and serve a page, to answer a ping,
 * and to move data as fast as the device goes.
 *
 * Left out: IPv6, fragments, routing beyond one gateway, selective acknowledgement, and the keeping
 * of segments that come out of order (they are asked for again).
 *
 * Addresses and ports are numbers in host order. One lock guards a stack; the functions that wait
 * say so, the others may be called from any context with events masked or not.
 */
#ifndef TESTS_GUESTS_UNIX_NET_NET_H
#define TESTS_GUESTS_UNIX_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontends/netdev.h"

#define NET_IP(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))
#define NET_BROADCAST      UINT32_MAX
#define NET_EINTR          4 /* the ABI has no such number, for it interrupts nobody */

struct net;
struct net_udp;
struct net_tcp;

/* What the kernel supplies. */
struct net_env {
	void *(*page_alloc)(void); /* NULL when there is none; any context */
	void (*page_free)(void *page);
	uint64_t (*now_ns)(void);
	/* As in pv_hooks. */
	bool (*wait)(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns);
	void (*wake)(struct pv_waitq *q);
	/* Why did the caller's wait end before its time? True: a signal, say. NULL: never. */
	bool (*interrupted)(void);
	/* net_timer() is to be called at this time; a later call replaces it. Lock held. */
	void (*arm)(struct net *n, uint64_t deadline_ns);
};

struct net_config {
	uint32_t ip, mask, gateway, dns; /* gateway, dns 0: none */
};

struct net_figures {
	uint64_t received, sent, dropped, bad_checksum, retransmitted;
};

/*
 * net_create - a stack without an address
 * Its netdev is opened with net_client and the stack as arg, and given by net_attach().
 * Returns NULL when there is no memory.
 */
struct net *net_create(const struct net_env *env);
extern const struct netdev_client net_client;
void net_attach(struct net *n, struct netdev *dev);

void net_configure(struct net *n, const struct net_config *c);
void net_get_config(struct net *n, struct net_config *c);
/* Asks a DHCP server; waits. 0, -XEN_ETIMEDOUT. */
int net_dhcp(struct net *n, uint64_t limit_ns);
/* What is due: retransmissions. */
void net_timer(struct net *n);
/* Between the two, what is sent waits for the second to be told of: a batch is one notification. */
void net_hold(struct net *n);
void net_release(struct net *n);
void net_get_figures(struct net *n, struct net_figures *f);

/*
 * All that wait: a limit of 0 is without end; -XEN_ETIMEDOUT when it is over, -NET_EINTR when env says
 * that the caller was interrupted.
 */

/* Waits for the answer to an echo request; its time in rtt_ns. One caller at a time. */
int net_ping(struct net *n, uint32_t ip, unsigned len, uint64_t limit_ns, uint64_t *rtt_ns);

/* ---- UDP ---- */

/* port 0: any that is free. -XEN_ENOMEM, -XEN_EEXIST. */
int net_udp_open(struct net *n, uint16_t port, struct net_udp **out);
void net_udp_close(struct net_udp *u);
uint16_t net_udp_port(const struct net_udp *u);
/* len: up to 1472. 0; -XEN_EAGAIN when the device is full; -XEN_EMSGSIZE, -XEN_ENOMEM. */
int net_udp_send(struct net_udp *u, uint32_t ip, uint16_t port, const void *data, size_t len);
/* Waits. Bytes of the datagram, of which size at most are copied. */
long net_udp_receive(struct net_udp *u, void *data, size_t size, uint32_t *ip, uint16_t *port,
                     uint64_t limit_ns);

/* ---- TCP ---- */

/* Waits for the connection. 0; -XEN_ECONNREFUSED, -XEN_ENOMEM. */
int net_tcp_connect(struct net *n, uint32_t ip, uint16_t port, uint64_t limit_ns,
                    struct net_tcp **out);
int net_tcp_listen(struct net *n, uint16_t port, struct net_tcp **out);
/* Waits for somebody. 0; -XEN_EAGAIN when another caller was faster. */
int net_tcp_accept(struct net_tcp *listener, uint64_t limit_ns, struct net_tcp **out);
/* Wait for room, or for data. Bytes; 0 at the end of what the peer sends; -XEN_EIO after a reset. */
long net_tcp_write(struct net_tcp *t, const void *data, size_t len, uint64_t limit_ns);
long net_tcp_read(struct net_tcp *t, void *data, size_t size, uint64_t limit_ns);
void net_tcp_peer(const struct net_tcp *t, uint32_t *ip, uint16_t *port);
uint16_t net_tcp_port(const struct net_tcp *t);
/* Ends what we send; what was written still goes out. */
void net_tcp_shutdown(struct net_tcp *t);
/* The same, and the connection is not the caller's any more. */
void net_tcp_close(struct net_tcp *t);
/* Waits until the peer has confirmed all that was written. 0, -XEN_EIO. */
int net_tcp_drain(struct net_tcp *t, uint64_t limit_ns);

#endif
