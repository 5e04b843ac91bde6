/* SPDX-License-Identifier: MIT */
/*
 * UDP (RFC 768): ports, and the datagrams that wait at them.
 *
 * A datagram waits in the page in which it came; a port keeps a bounded number, later ones are lost.
 */
#include "tests/guests/unix/net/net_priv.h"

#define MAX_WAITING 128

struct waiting {
	uint8_t *data; /* in its page */
	uint32_t ip;
	uint16_t len, port;
};

struct net_udp {
	struct net *n;
	struct net_udp *next;
	uint16_t port;
	struct pv_waitq q;
	uint32_t head, tail; /* waiting[i % MAX_WAITING] */
	struct waiting waiting[MAX_WAITING];
};

_Static_assert(sizeof(struct net_udp) <= PV_PAGE_SIZE, "it lies in a page");

static struct net_udp *find(struct net *n, uint16_t port)
{
	struct net_udp *u = n->udp;

	while (u && u->port != port)
		u = u->next;
	return u;
}

int net_udp_open(struct net *n, uint16_t port, struct net_udp **out)
{
	struct net_udp *u = n->env.page_alloc();
	uint64_t irq;
	int rc = 0;

	if (!u)
		return -XEN_ENOMEM;
	memset(u, 0, sizeof(*u));
	u->n = n;
	irq = pv_spin_lock_irq(&n->lock);
	while (!port || (port >= 49152 && find(n, port)))
		port = net_free_port(n);
	if (find(n, port)) {
		rc = -XEN_EEXIST;
	} else {
		u->port = port;
		u->next = n->udp;
		n->udp = u;
		*out = u;
	}
	net_leave(n, irq);
	if (rc)
		n->env.page_free(u);
	return rc;
}

static void drop_first(struct net_udp *u)
{
	struct waiting *w = &u->waiting[u->head++ % MAX_WAITING];

	u->n->env.page_free((void *)((uintptr_t)w->data & PV_PAGE_MASK));
}

void net_udp_close(struct net_udp *u)
{
	struct net *n = u->n;
	uint64_t irq = pv_spin_lock_irq(&n->lock);
	struct net_udp **at = &n->udp;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	while (u->head != u->tail)
		drop_first(u);
	net_leave(n, irq);
	n->env.page_free(u);
}

uint16_t net_udp_port(const struct net_udp *u)
{
	return u->port;
}

int net_udp_send(struct net_udp *u, uint32_t ip, uint16_t port, const void *data, size_t len)
{
	const struct net_out out = {
		.to = ip, .protocol = IP_UDP, .len = (unsigned)(UDP_LEN + len), .csum = 6
	};
	struct net *n = u->n;
	uint8_t *page, *udp;
	uint64_t irq;
	int rc;

	if (len + IP_LEN + UDP_LEN > (n->info.mtu ? n->info.mtu : 1500) ||
	    ETH_LEN + IP_LEN + UDP_LEN + len > TX_ROOM)
		return -XEN_EMSGSIZE;
	page = net_page(n);
	if (!page)
		return -XEN_ENOMEM;
	udp = page + ETH_LEN + IP_LEN;
	memcpy(udp + UDP_LEN, data, len);
	put16(udp, u->port);
	put16(udp + 2, port);
	put16(udp + 4, out.len);
	irq = pv_spin_lock_irq(&n->lock);
	put16(udp + 6, (uint16_t)~net_sum_end(net_pseudo(net_source(n, ip), ip, IP_UDP, out.len)));
	rc = net_send(n, page, &out);
	net_leave(n, irq);
	return rc;
}

void udp_input(struct net *n, const struct net_in *in)
{
	const uint8_t *udp = in->l4;
	struct net_udp *u;
	struct waiting *w;
	unsigned len;

	if (in->head_len < UDP_LEN)
		return;
	len = get16(udp + 4);
	u = find(n, get16(udp + 2));
	if (!u || len < UDP_LEN || len > in->head_len || u->tail - u->head == MAX_WAITING ||
	    (get16(udp + 6) && !net_check(n, in, IP_UDP))) {
		n->figures.dropped++;
		return;
	}
	w = &u->waiting[u->tail++ % MAX_WAITING];
	w->data = (uint8_t *)udp + UDP_LEN;
	w->len = (uint16_t)(len - UDP_LEN);
	w->ip = in->from;
	w->port = get16(udp);
	in->pkt->frags[0].va = NULL; /* the page is the port's now */
	n->env.wake(&u->q);
}

static bool has_some(void *arg)
{
	struct net_udp *u = arg;

	return __atomic_load_n(&u->tail, __ATOMIC_ACQUIRE) != u->head;
}

long net_udp_receive(struct net_udp *u, void *data, size_t size, uint32_t *ip, uint16_t *port,
                     uint64_t limit_ns)
{
	struct net *n = u->n;
	uint64_t irq, deadline = net_deadline(n, limit_ns);
	struct waiting *w;
	long len;

	for (;;) {
		len = net_wait(n, &u->q, has_some, u, deadline);
		if (len)
			return len;
		irq = pv_spin_lock_irq(&n->lock);
		if (has_some(u))
			break;
		net_leave(n, irq); /* somebody else has it */
	}
	w = &u->waiting[u->head % MAX_WAITING];
	len = w->len;
	memcpy(data, w->data, w->len < size ? w->len : size);
	if (ip)
		*ip = w->ip;
	if (port)
		*port = w->port;
	drop_first(u);
	net_leave(n, irq);
	return len;
}
