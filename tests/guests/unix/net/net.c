/* SPDX-License-Identifier: MIT */
/*
 * The stack's middle: the device on one side, IP on the other, and whose address is whose (ARP).
 *
 * Invariant: every page that the device gives is freed or kept by one connection; every page that
 * the device takes comes back through sent(). Nothing from outside is believed beyond the bytes that
 * have come.
 *
 * Sources: RFC 826 (ARP), 791 (IP), 894 (Ethernet), 1071 (the sum).
 */
#include "tests/guests/unix/net/net_priv.h"

#define TYPE_IP    0x0800
#define TYPE_ARP   0x0806
#define ARP_LEN    28
#define ARP_ASK    1
#define ARP_ANSWER 2
#define ARP_AGE    (1000 * NS_PER_MS) /* between two questions for one address */
#define FIRST_PORT 49152

static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

/* ---- sums ---- */

uint32_t net_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	uint64_t s = sum;

	for (; len >= 4; p += 4, len -= 4)
		s += get32(p);
	if (len >= 2) {
		s += get16(p);
		p += 2;
		len -= 2;
	}
	if (len)
		s += (uint32_t)*p << 8;
	while (s >> 32)
		s = (s & UINT32_MAX) + (s >> 32);
	return (uint32_t)s;
}

uint16_t net_sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t net_pseudo(uint32_t from, uint32_t to, uint8_t protocol, uint32_t len)
{
	return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + protocol + len;
}

/* Behind a piece of odd length bytes have changed places: so has their sum. */
static uint32_t add_piece(uint32_t sum, const uint8_t *p, size_t len, bool *odd)
{
	uint32_t part = (uint16_t)~net_sum_end(net_sum(0, p, len));

	part = *odd ? (part << 8 & 0xff00) | part >> 8 : part;
	*odd ^= len & 1;
	return net_sum(sum + part, NULL, 0);
}

bool net_check(struct net *n, const struct net_in *in, uint8_t protocol)
{
	uint32_t sum = net_pseudo(in->from, in->to, protocol, in->l4_len);
	uint32_t left = in->l4_len - in->head_len;
	bool odd = false;

	if (in->checked)
		return true;
	sum = add_piece(sum, in->l4, in->head_len, &odd);
	for (unsigned i = 1; i < in->pkt->nr_frags && left; i++) {
		uint32_t len = in->pkt->frags[i].len < left ? in->pkt->frags[i].len : left;

		sum = add_piece(sum, in->pkt->frags[i].va, len, &odd);
		left -= len;
	}
	if (net_sum_end(sum) == 0)
		return true;
	n->figures.bad_checksum++;
	return false;
}

/* ---- outwards ---- */

uint8_t *net_page(struct net *n)
{
	uint8_t *page = n->env.page_alloc();

	if (page)
		tx_of(page)->tcp = NULL;
	return page;
}

/* Pieces of a send buffer belong to their connection; the header page is ours. */
void net_free_packet(struct net *n, struct netdev_packet *p)
{
	void *page = p->arg;

	if (tx_of(page)->tcp)
		tcp_sent(n, tx_of(page));
	n->env.page_free(page);
	p->nr_frags = 0;
}

static int to_device(struct net *n, struct netdev_packet *p, const uint8_t *mac)
{
	uint8_t *eth = p->frags[0].va;
	int rc;

	memcpy(eth, mac, 6);
	rc = n->dev ? netdev_send(n->dev, 0, p) : -XEN_ENODEV;
	if (rc) {
		n->figures.dropped++;
		net_free_packet(n, p);
		return rc;
	}
	n->figures.sent++;
	n->must_kick = true;
	return 0;
}

static void arp_say(struct net *n, unsigned what, uint32_t ip, const uint8_t *mac)
{
	struct netdev_packet p = { .nr_frags = 1, .len = ETH_LEN + ARP_LEN };
	uint8_t *page = net_page(n), *arp;

	if (!page)
		return;
	arp = page + ETH_LEN;
	p.frags[0] = (struct netdev_frag){ page, p.len };
	p.arg = page;
	memcpy(page + 6, n->info.mac, 6);
	put16(page + 12, TYPE_ARP);
	memcpy(arp, "\0\1\x08\0\6\4", 6);
	put16(arp + 6, what);
	memcpy(arp + 8, n->info.mac, 6);
	put32(arp + 14, n->config.ip);
	memcpy(arp + 18, what == ARP_ASK ? (const uint8_t *)"\0\0\0\0\0\0" : mac, 6);
	put32(arp + 24, ip);
	to_device(n, &p, mac);
}

/* The entry of an address; else the one that was used longest ago, emptied. */
static struct arp_entry *arp_entry(struct net *n, uint32_t ip)
{
	struct arp_entry *oldest = &n->arp[0];

	for (unsigned i = 0; i < ARP_ENTRIES; i++) {
		if (n->arp[i].ip == ip)
			return &n->arp[i];
		if (n->arp[i].used_ns < oldest->used_ns)
			oldest = &n->arp[i];
	}
	if (oldest->waiting.page)
		n->env.page_free(oldest->waiting.page);
	memset(oldest, 0, sizeof(*oldest));
	oldest->ip = ip;
	return oldest;
}

/*
 * One packet may wait for an address; a later one takes its place. One of several pieces does not: it
 * is TCP's, which sends it again.
 */
static int to_neighbour(struct net *n, struct netdev_packet *p, uint32_t ip)
{
	struct arp_entry *e = arp_entry(n, ip);
	uint64_t now = n->env.now_ns();

	e->used_ns = now;
	if (e->known)
		return to_device(n, p, e->mac);
	if (p->nr_frags == 1) {
		if (e->waiting.page)
			n->env.page_free(e->waiting.page);
		e->waiting.page = p->arg;
		e->waiting.len = p->len;
		e->waiting.csum = p->csum_partial;
	} else {
		net_free_packet(n, p);
	}
	if (!e->asked_ns || now - e->asked_ns > ARP_AGE) {
		e->asked_ns = now;
		arp_say(n, ARP_ASK, ip, everybody);
	}
	return 0;
}

static void send_waiting(struct net *n, struct arp_entry *e)
{
	struct netdev_packet p = { .nr_frags = 1,
		                   .frags = { { e->waiting.page, e->waiting.len } },
		                   .len = e->waiting.len,
		                   .csum_partial = e->waiting.csum,
		                   .arg = e->waiting.page };

	e->waiting.page = NULL;
	if (p.arg)
		to_device(n, &p, e->mac);
}

static uint32_t next_hop(const struct net *n, uint32_t to)
{
	if (((to ^ n->config.ip) & n->config.mask) && n->config.gateway)
		return n->config.gateway;
	return to;
}

static void lay_ip(struct net *n, uint8_t *ip, const struct net_out *out, uint32_t total)
{
	memset(ip, 0, IP_LEN);
	ip[0] = 0x45;
	put16(ip + 2, total);
	put16(ip + 4, n->ip_id++);
	ip[6] = 0x40; /* not to be cut */
	ip[8] = 64;
	ip[9] = out->protocol;
	put32(ip + 12, net_source(n, out->to));
	put32(ip + 16, out->to);
	put16(ip + 10, net_sum_end(net_sum(0, ip, IP_LEN)));
}

int net_send(struct net *n, uint8_t *page, const struct net_out *out)
{
	struct netdev_packet p = { .nr_frags = 1 + out->nr_more, .arg = page };
	uint8_t *ip = page + ETH_LEN, *l4 = ip + IP_LEN;
	uint32_t total = IP_LEN + out->len;

	p.frags[0] = (struct netdev_frag){ page, ETH_LEN + IP_LEN + out->len };
	for (unsigned i = 0; i < out->nr_more; i++) {
		p.frags[1 + i] = out->more[i];
		total += out->more[i].len;
	}
	p.len = ETH_LEN + total;
	lay_ip(n, ip, out, total);
	memcpy(page + 6, n->info.mac, 6);
	put16(page + 12, TYPE_IP);
	if (out->csum && n->info.csum_ipv4) {
		p.csum_partial = true;
	} else if (out->csum) {
		bool odd = false;
		uint32_t sum = add_piece(0, l4, out->len, &odd);

		for (unsigned i = 0; i < out->nr_more; i++)
			sum = add_piece(sum, out->more[i].va, out->more[i].len, &odd);
		put16(l4 + out->csum, net_sum_end(sum));
	}
	if (out->gso_size) {
		p.gso = NETDEV_GSO_TCPV4;
		p.gso_size = out->gso_size;
	}
	if (net_is_ours(n, out->to))
		return net_loop(n, &p);
	if (out->to == NET_BROADCAST)
		return to_device(n, &p, everybody);
	return to_neighbour(n, &p, next_hop(n, out->to));
}

/* ---- inwards ---- */

static void arp_input(struct net *n, const uint8_t *arp, size_t len)
{
	struct arp_entry *e = NULL;
	uint32_t ip;

	if (len < ARP_LEN || memcmp(arp, "\0\1\x08\0\6\4", 6))
		return;
	ip = get32(arp + 14);
	for (unsigned i = 0; i < ARP_ENTRIES; i++) {
		if (ip && n->arp[i].ip == ip)
			e = &n->arp[i];
	}
	/* Only who was asked for is remembered, so that nobody can fill the table. */
	if (e) {
		memcpy(e->mac, arp + 8, 6);
		e->known = true;
		send_waiting(n, e);
	}
	if (get16(arp + 6) == ARP_ASK && n->config.ip && get32(arp + 24) == n->config.ip)
		arp_say(n, ARP_ANSWER, ip, arp + 8);
}

static void ip_input(struct net *n, struct netdev_packet *pkt, const uint8_t *ip, size_t len)
{
	struct net_in in = { .pkt = pkt, .checked = pkt->csum_partial || pkt->csum_valid };
	uint32_t total, ihl, rest = pkt->len - pkt->frags[0].len;

	if (len < IP_LEN || ip[0] >> 4 != 4)
		return;
	ihl = (ip[0] & 15) * 4u;
	total = get16(ip + 2);
	/* Shorter packets are filled up to the least that a wire carries. */
	if (ihl < IP_LEN || ihl > len || total < ihl || total > len + rest ||
	    net_sum_end(net_sum(0, ip, ihl)) || (get16(ip + 6) & 0x3fff))
		return;
	in.from = get32(ip + 12);
	in.to = get32(ip + 16);
	if (net_is_loopback(in.from) != net_is_loopback(in.to))
		return;
	if (!net_is_ours(n, in.to) && in.to != NET_BROADCAST && n->config.ip &&
	    in.to != (n->config.ip | ~n->config.mask))
		return;
	in.l4 = ip + ihl;
	in.l4_len = total - ihl;
	in.head_len = (uint32_t)(len - ihl) < in.l4_len ? (uint32_t)(len - ihl) : in.l4_len;
	if (ip[9] == IP_TCP)
		tcp_input(n, &in);
	else if (ip[9] == IP_UDP)
		udp_input(n, &in);
	else if (ip[9] == IP_ICMP)
		icmp_input(n, &in);
}

void net_input(struct net *n, struct netdev_packet *pkt)
{
	const uint8_t *eth = pkt->frags[0].va;
	size_t len = pkt->frags[0].len;

	n->figures.received++;
	if (len > ETH_LEN && get16(eth + 12) == TYPE_IP)
		ip_input(n, pkt, eth + ETH_LEN, len - ETH_LEN);
	else if (len > ETH_LEN && get16(eth + 12) == TYPE_ARP)
		arp_input(n, eth + ETH_LEN, len - ETH_LEN);
	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		if (pkt->frags[i].va)
			n->env.page_free((void *)((uintptr_t)pkt->frags[i].va & PV_PAGE_MASK));
	}
}

/* Addresses of the loop are nobody's on a wire. */
static bool claims_loopback(const struct netdev_packet *pkt)
{
	const uint8_t *eth = pkt->frags[0].va;

	return pkt->frags[0].len >= ETH_LEN + IP_LEN && get16(eth + 12) == TYPE_IP &&
	       (net_is_loopback(get32(eth + ETH_LEN + 12)) ||
	        net_is_loopback(get32(eth + ETH_LEN + 16)));
}

static void on_receive(struct netdev *dev, unsigned queue, struct netdev_packet *pkt)
{
	struct net *n = dev->arg;
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	(void)queue;
	if (claims_loopback(pkt))
		pkt->frags[0].len = 0; /* nothing that is known */
	net_input(n, pkt);
	pv_spin_unlock_irq(&n->lock, irq);
}

static void on_sent(struct netdev *dev, unsigned queue, void *arg, bool ok)
{
	struct net *n = dev->arg;
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	(void)queue;
	(void)ok;
	if (tx_of(arg)->tcp)
		tcp_sent(n, tx_of(arg));
	pv_spin_unlock_irq(&n->lock, irq);
	n->env.page_free(arg);
}

void net_leave(struct net *n, uint64_t irq)
{
	net_loop_deliver(n);
	if (n->must_kick && n->dev && !n->held) {
		netdev_kick(n->dev, 0);
		n->must_kick = false;
	}
	pv_spin_unlock_irq(&n->lock, irq);
}

void net_hold(struct net *n)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	n->held = true;
	pv_spin_unlock_irq(&n->lock, irq);
}

void net_release(struct net *n)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	n->held = false;
	net_leave(n, irq);
}

/* The end of a batch, or room where there was none. */
static void on_done(struct netdev *dev, unsigned queue)
{
	struct net *n = dev->arg;
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	(void)queue;
	tcp_batch_end(n);
	net_rearm(n);
	net_leave(n, irq);
}

static void on_changed(struct netdev *dev)
{
	struct net *n = dev->arg;
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	netdev_get_info(dev, &n->info);
	pv_spin_unlock_irq(&n->lock, irq);
}

const struct netdev_client net_client = { .receive = on_receive,
	                                  .sent = on_sent,
	                                  .done = on_done,
	                                  .room = on_done,
	                                  .changed = on_changed };

/* ---- the stack ---- */

int net_wait(struct net *n, struct pv_waitq *q, bool (*ready)(void *), void *arg, uint64_t deadline)
{
	if (ready(arg) || n->env.wait(q, ready, arg, deadline))
		return 0;
	return n->env.interrupted && n->env.interrupted() ? -NET_EINTR : -XEN_ETIMEDOUT;
}

struct net *net_create(const struct net_env *env)
{
	struct net *n = env->page_alloc();

	_Static_assert(sizeof(*n) <= PV_PAGE_SIZE, "it lies in a page");
	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->env = *env;
	n->next_port = FIRST_PORT;
	return n;
}

void net_attach(struct net *n, struct netdev *dev)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	n->dev = dev;
	netdev_get_info(dev, &n->info);
	pv_spin_unlock_irq(&n->lock, irq);
}

void net_configure(struct net *n, const struct net_config *c)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	n->config = *c;
	pv_spin_unlock_irq(&n->lock, irq);
}

void net_get_config(struct net *n, struct net_config *c)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	*c = n->config;
	pv_spin_unlock_irq(&n->lock, irq);
}

void net_get_figures(struct net *n, struct net_figures *f)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	*f = n->figures;
	pv_spin_unlock_irq(&n->lock, irq);
}

uint16_t net_free_port(struct net *n)
{
	if (n->next_port < FIRST_PORT)
		n->next_port = FIRST_PORT;
	return n->next_port++;
}

void net_rearm(struct net *n)
{
	uint64_t at = tcp_next_deadline(n);

	if (at != UINT64_MAX)
		n->env.arm(n, at);
}

void net_timer(struct net *n)
{
	uint64_t irq = pv_spin_lock_irq(&n->lock);

	tcp_timer(n, n->env.now_ns());
	net_rearm(n);
	net_leave(n, irq);
}
