/* SPDX-License-Identifier: MIT */
/*
 * The switch that joins the guests of one machine, and maybe one port to the outside.
 *
 * A packet is carried by the thread that sends it: from the sender's pages straight into the
 * receiver's buffers, which are told of it once a batch. Nothing is queued here. A receiver without
 * buffers loses the packet, as on any switch; so a guest that does not read holds up nobody.
 *
 * Addresses are learned from what is sent, a bounded number of each port, and forgotten with the
 * port. An isolated switch carries packets between guests and the outside only.
 *
 * Locks, in this order: the switch's (read to carry, written to change the ports), the address
 * table's (a leaf), a member's queue (while a packet is put into it; one at a time).
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backends/netpkt.h"

#define MAX_MEMBERS 64
#define MAX_QUEUES  8
#define TABLE_SIZE  1024 /* addresses; a power of two */
#define TABLE_WALK  8    /* places where an address may be */
#define PER_MEMBER  64   /* addresses of one guest */
#define MAC_LEN     6

struct member {
	struct netport port; /* first: the port is the member */
	struct netlan *lan;
	unsigned index;
	struct netport_sink sink; /* begin NULL: detached */
	unsigned nr_queues;
	bool takes_csum, takes_gso4, takes_gso6;
	pthread_mutex_t queue[MAX_QUEUES];
	atomic_uint learned;
};

struct address {
	uint8_t mac[MAC_LEN];
	uint8_t member; /* index + 1; 0: free */
};

struct netlan {
	pthread_rwlock_t lock;
	bool isolated;
	struct member *member[MAX_MEMBERS];
	pthread_mutex_t table_lock;
	struct address table[TABLE_SIZE];

	/* The way out: packets from there are put together here first. */
	struct netport *uplink;
	pthread_mutex_t uplink_lock;
	uint8_t *inbound;
};

#define FROM_UPLINK MAX_MEMBERS

/* ---- addresses -------------------------------------------------------------------------------- */

static unsigned hash(const uint8_t *mac)
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < MAC_LEN; i++)
		h = (h ^ mac[i]) * 16777619u;
	return h % TABLE_SIZE;
}

static struct address *find(struct netlan *lan, const uint8_t *mac)
{
	unsigned h = hash(mac);

	for (unsigned i = 0; i < TABLE_WALK; i++) {
		struct address *a = &lan->table[(h + i) % TABLE_SIZE];

		if (a->member && !memcmp(a->mac, mac, MAC_LEN))
			return a;
	}
	return NULL;
}

/* An address that shows up elsewhere has moved. One too many is not learned: it is flooded to. */
static void learn(struct netlan *lan, const uint8_t *mac, unsigned from)
{
	struct member *m = from < MAX_MEMBERS ? lan->member[from] : NULL;
	unsigned h = hash(mac);
	struct address *a;

	if (mac[0] & 1)
		return;
	pthread_mutex_lock(&lan->table_lock);
	a = find(lan, mac);
	if (a && a->member == from + 1)
		goto out;
	if (m && atomic_load(&m->learned) >= PER_MEMBER)
		goto out;
	for (unsigned i = 0; !a && i < TABLE_WALK; i++) {
		struct address *place = &lan->table[(h + i) % TABLE_SIZE];

		if (!place->member)
			a = place;
	}
	if (!a)
		goto out;
	if (a->member && a->member <= MAX_MEMBERS && lan->member[a->member - 1])
		atomic_fetch_sub(&lan->member[a->member - 1]->learned, 1);
	memcpy(a->mac, mac, MAC_LEN);
	a->member = (uint8_t)(from + 1);
	if (m)
		atomic_fetch_add(&m->learned, 1);
out:
	pthread_mutex_unlock(&lan->table_lock);
}

/* Index of the member, FROM_UPLINK, or -1: nobody known. */
static int lookup(struct netlan *lan, const uint8_t *mac)
{
	struct address *a;
	int to = -1;

	if (mac[0] & 1)
		return -1;
	pthread_mutex_lock(&lan->table_lock);
	a = find(lan, mac);
	if (a)
		to = a->member - 1;
	pthread_mutex_unlock(&lan->table_lock);
	return to;
}

static void forget(struct netlan *lan, unsigned index)
{
	pthread_mutex_lock(&lan->table_lock);
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		if (lan->table[i].member == index + 1)
			lan->table[i].member = 0;
	}
	pthread_mutex_unlock(&lan->table_lock);
}

/* ---- carrying --------------------------------------------------------------------------------- */

/* Into a member's buffers. Lock: the member's queue. */
static void put(struct member *m, unsigned queue, const struct netpkt *p)
{
	struct iovec iov[NETPKT_MAX_IOV];
	unsigned nr = m->sink.begin(m->sink.arg, queue, p->len, false, iov);
	uint32_t done = 0;

	/* commit() counts a packet that found no room. */
	for (unsigned i = 0; i < nr && done < p->len; i++) {
		netpkt_copy_out(p, done, iov[i].iov_base, (uint32_t)iov[i].iov_len);
		done += (uint32_t)iov[i].iov_len;
	}
	m->sink.commit(m->sink.arg, queue, &p->meta, nr ? p->len : 0);
}

struct plain_put {
	struct member *m;
	unsigned queue;
};

static void put_segment(void *arg, struct netpkt *segment)
{
	struct plain_put *to = arg;

	put(to->m, to->queue, segment);
}

/* As the receiver takes it: what the sender left to others may have to be done here. */
static void deliver(struct member *m, unsigned queue, struct netpkt *p)
{
	bool gso = p->meta.gso == NETPKT_GSO_TCPV4   ? m->takes_gso4
	           : p->meta.gso == NETPKT_GSO_TCPV6 ? m->takes_gso6
	                                             : true;

	if (!gso) {
		struct plain_put to = { m, queue };

		netpkt_segment(p, put_segment, &to);
		return;
	}
	if (p->meta.csum_partial && !m->takes_csum && p->meta.gso == NETPKT_GSO_NONE) {
		struct netpkt copy = *p;
		uint8_t head[NETPKT_HEAD];

		/* Others may get the same packet: its head stays as it is. */
		memcpy(head, p->iov[0].iov_base, p->iov[0].iov_len);
		copy.iov[0].iov_base = head;
		netpkt_fill_checksum(&copy);
		put(m, queue, &copy);
		return;
	}
	put(m, queue, p);
}

static void deliver_to(struct netlan *lan, unsigned to, unsigned queue, struct netpkt *p)
{
	struct member *m = lan->member[to];

	if (!m)
		return;
	queue %= m->nr_queues ? m->nr_queues : 1;
	pthread_mutex_lock(&m->queue[queue]);
	if (m->sink.begin)
		deliver(m, queue, p);
	pthread_mutex_unlock(&m->queue[queue]);
}

static void uplink_segment(void *arg, struct netpkt *segment)
{
	struct netport *up = arg;

	up->ops->send(up, 0, segment, 1);
}

static void deliver_out(struct netlan *lan, struct netpkt *p)
{
	struct netport *up = lan->uplink;
	struct netpkt copy = *p;
	uint8_t head[NETPKT_HEAD];

	if (!up)
		return;
	/* A port may change what it is given, and others may get the same packet. */
	memcpy(head, p->iov[0].iov_base, p->iov[0].iov_len);
	copy.iov[0].iov_base = head;
	pthread_mutex_lock(&lan->uplink_lock);
	if (!up->offload && copy.meta.gso != NETPKT_GSO_NONE) {
		netpkt_segment(&copy, uplink_segment, up);
	} else {
		if (!up->offload && copy.meta.csum_partial)
			netpkt_fill_checksum(&copy);
		up->ops->send(up, 0, &copy, 1);
	}
	pthread_mutex_unlock(&lan->uplink_lock);
}

/* touched: a bit for each member that got something. Lock: the switch's, to read. */
static void carry(struct netlan *lan, unsigned from, unsigned queue, struct netpkt *p,
                  uint64_t *touched)
{
	const uint8_t *dst = p->iov[0].iov_base;
	int to = lookup(lan, dst);

	learn(lan, dst + MAC_LEN, from);
	if (to == (int)from)
		return;
	if (to == FROM_UPLINK) {
		deliver_out(lan, p);
		return;
	}
	for (unsigned i = 0; i < MAX_MEMBERS; i++) {
		if (i == from || !lan->member[i] || (to >= 0 && i != (unsigned)to) ||
		    (lan->isolated && from != FROM_UPLINK))
			continue;
		deliver_to(lan, i, queue, p);
		*touched |= UINT64_C(1) << i;
	}
	if (to < 0 && from != FROM_UPLINK)
		deliver_out(lan, p);
}

static void tell(struct netlan *lan, uint64_t touched, unsigned queue)
{
	while (touched) {
		struct member *m = lan->member[__builtin_ctzll(touched)];
		unsigned q = queue % (m && m->nr_queues ? m->nr_queues : 1);

		touched &= touched - 1;
		if (!m)
			continue;
		pthread_mutex_lock(&m->queue[q]);
		if (m->sink.begin)
			m->sink.flush(m->sink.arg, q);
		pthread_mutex_unlock(&m->queue[q]);
	}
}

/* ---- a guest's port --------------------------------------------------------------------------- */

static unsigned member_send(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	struct member *m = (struct member *)p;
	struct netlan *lan = m->lan;
	uint64_t touched = 0;

	pthread_rwlock_rdlock(&lan->lock);
	for (unsigned i = 0; i < nr; i++)
		carry(lan, m->index, queue, &pkts[i], &touched);
	tell(lan, touched, queue);
	pthread_rwlock_unlock(&lan->lock);
	return nr;
}

static int member_attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	struct member *m = (struct member *)p;
	const struct netpkt_meta csum = { .csum_partial = true };
	const struct netpkt_meta gso4 = { .csum_partial = true, .gso = NETPKT_GSO_TCPV4 };
	const struct netpkt_meta gso6 = { .csum_partial = true, .gso = NETPKT_GSO_TCPV6 };

	/* To write: nobody carries meanwhile, so nobody is in the old sink. */
	pthread_rwlock_wrlock(&m->lan->lock);
	memset(&m->sink, 0, sizeof(m->sink));
	m->nr_queues = nr_queues < MAX_QUEUES ? nr_queues : MAX_QUEUES;
	if (sink) {
		m->sink = *sink;
		m->takes_csum = sink->takes(sink->arg, &csum);
		m->takes_gso4 = sink->takes(sink->arg, &gso4);
		m->takes_gso6 = sink->takes(sink->arg, &gso6);
	}
	pthread_rwlock_unlock(&m->lan->lock);
	return 0;
}

static void member_wake(struct netport *p, unsigned queue)
{
	/* Nothing waits here. */
	(void)p;
	(void)queue;
}

static void member_close(struct netport *p)
{
	struct member *m = (struct member *)p;
	struct netlan *lan = m->lan;

	pthread_rwlock_wrlock(&lan->lock);
	lan->member[m->index] = NULL;
	forget(lan, m->index);
	pthread_rwlock_unlock(&lan->lock);
	for (unsigned i = 0; i < MAX_QUEUES; i++)
		pthread_mutex_destroy(&m->queue[i]);
	free(m);
}

static const struct netport_ops member_ops = {
	.attach = member_attach, .send = member_send, .wake = member_wake, .close = member_close
};

int netlan_port(struct netlan *lan, struct netport **out)
{
	struct member *m = calloc(1, sizeof(*m));
	int rc = -ENOSPC;

	if (!m)
		return -ENOMEM;
	m->port.ops = &member_ops;
	m->port.kind = "lan";
	m->port.offload = true;
	m->port.max_queues = MAX_QUEUES;
	m->lan = lan;
	for (unsigned i = 0; i < MAX_QUEUES; i++)
		pthread_mutex_init(&m->queue[i], NULL);
	pthread_rwlock_wrlock(&lan->lock);
	for (unsigned i = 0; i < MAX_MEMBERS; i++) {
		if (lan->member[i])
			continue;
		m->index = i;
		lan->member[i] = m;
		rc = 0;
		break;
	}
	pthread_rwlock_unlock(&lan->lock);
	if (rc)
		free(m);
	else
		*out = &m->port;
	return rc;
}

/* ---- the way out ------------------------------------------------------------------------------ */

static unsigned inbound_begin(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov)
{
	struct netlan *lan = arg;

	(void)queue;
	(void)wait;
	if (len > NETPKT_MAX_LEN)
		return 0;
	iov[0].iov_base = lan->inbound;
	iov[0].iov_len = len;
	return 1;
}

static void inbound_commit(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len)
{
	struct netlan *lan = arg;
	uint32_t head = len < NETPKT_HEAD ? len : NETPKT_HEAD;
	struct netpkt p = { .meta = *meta, .len = len, .nr_iov = 1 };
	uint64_t touched = 0;

	if (len < NETPKT_MIN_LEN)
		return;
	p.iov[0].iov_base = lan->inbound;
	p.iov[0].iov_len = head;
	if (len > head) {
		p.iov[1].iov_base = lan->inbound + head;
		p.iov[1].iov_len = len - head;
		p.nr_iov = 2;
	}
	pthread_rwlock_rdlock(&lan->lock);
	carry(lan, FROM_UPLINK, queue, &p, &touched);
	tell(lan, touched, queue);
	pthread_rwlock_unlock(&lan->lock);
}

static void inbound_flush(void *arg, unsigned queue)
{
	(void)arg;
	(void)queue;
}

static void inbound_carrier(void *arg, bool up)
{
	(void)arg;
	(void)up;
}

static bool inbound_takes(void *arg, const struct netpkt_meta *meta)
{
	(void)arg;
	(void)meta;
	return true;
}

int netlan_uplink(struct netlan *lan, struct netport *outside)
{
	const struct netport_sink sink = { .begin = inbound_begin,
		                           .commit = inbound_commit,
		                           .flush = inbound_flush,
		                           .room = inbound_flush,
		                           .carrier = inbound_carrier,
		                           .takes = inbound_takes,
		                           .arg = lan,
		                           .max_len = NETPKT_MAX_LEN };
	int rc;

	if (lan->uplink)
		return -EEXIST;
	lan->inbound = malloc(NETPKT_MAX_LEN);
	if (!lan->inbound)
		return -ENOMEM;
	pthread_rwlock_wrlock(&lan->lock);
	lan->uplink = outside;
	pthread_rwlock_unlock(&lan->lock);
	rc = outside->ops->attach(outside, &sink, 1);
	if (rc) {
		pthread_rwlock_wrlock(&lan->lock);
		lan->uplink = NULL;
		pthread_rwlock_unlock(&lan->lock);
		free(lan->inbound);
		lan->inbound = NULL;
	}
	return rc;
}

int netlan_create(struct netlan **out, bool isolated)
{
	struct netlan *lan = calloc(1, sizeof(*lan));

	if (!lan)
		return -ENOMEM;
	lan->isolated = isolated;
	pthread_rwlock_init(&lan->lock, NULL);
	pthread_mutex_init(&lan->table_lock, NULL);
	pthread_mutex_init(&lan->uplink_lock, NULL);
	*out = lan;
	return 0;
}

void netlan_destroy(struct netlan *lan)
{
	if (lan->uplink) {
		lan->uplink->ops->attach(lan->uplink, NULL, 0);
		lan->uplink->ops->close(lan->uplink);
	}
	free(lan->inbound);
	pthread_mutex_destroy(&lan->uplink_lock);
	pthread_mutex_destroy(&lan->table_lock);
	pthread_rwlock_destroy(&lan->lock);
	free(lan);
}
