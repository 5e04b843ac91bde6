/* SPDX-License-Identifier: MIT */
/*
 * The loop: packets that the stack sends to itself.
 *
 * They are copied into pages of their own and come in when the lock is about to be given back: so
 * nothing is called from within itself, and a sender's pages are its own again at once, as with a
 * device that is infinitely fast. A bounded number waits; of more the senders are told that there is
 * no room.
 */
#include "tests/guests/unix/net/net_priv.h"

#define MAX_LOOPED 256u
#define AT_ONCE    1024u /* come in before others may have the lock */

/* At the end of the first page of a packet. */
struct looped {
	struct looped *next;
	struct netdev_packet pkt;
};

#define FIRST_ROOM (PV_PAGE_SIZE - sizeof(struct looped))

static void free_copies(struct net *n, struct netdev_packet *p)
{
	while (p->nr_frags)
		n->env.page_free(p->frags[--p->nr_frags].va);
}

/* The record of a copy, or NULL: no memory. */
static struct looped *copy(struct net *n, const struct netdev_packet *p)
{
	struct netdev_packet c = { .csum_partial = p->csum_partial, .len = p->len };
	struct looped *l;

	if (p->frags[0].len > FIRST_ROOM)
		return NULL;
	for (unsigned i = 0; i < p->nr_frags; i++) {
		void *page = n->env.page_alloc();

		if (!page) {
			free_copies(n, &c);
			return NULL;
		}
		memcpy(page, p->frags[i].va, p->frags[i].len);
		c.frags[c.nr_frags++] = (struct netdev_frag){ page, p->frags[i].len };
	}
	l = (struct looped *)((char *)c.frags[0].va + FIRST_ROOM);
	l->next = NULL;
	l->pkt = c;
	return l;
}

int net_loop(struct net *n, struct netdev_packet *p)
{
	struct looped *l = n->nr_looped < MAX_LOOPED ? copy(n, p) : NULL;

	if (l) {
		if (n->loop_first)
			n->loop_last->next = l;
		else
			n->loop_first = l;
		n->loop_last = l;
		n->nr_looped++;
		n->figures.sent++;
	} else {
		n->figures.dropped++;
	}
	net_free_packet(n, p);
	return l ? 0 : -XEN_EAGAIN;
}

void net_loop_deliver(struct net *n)
{
	unsigned i = 0;

	if (!n->loop_first)
		return;
	while (n->loop_first && i++ < AT_ONCE) {
		struct netdev_packet pkt = n->loop_first->pkt;

		n->loop_first = n->loop_first->next;
		n->nr_looped--;
		net_input(n, &pkt);
		if (!n->loop_first)
			tcp_batch_end(n); /* which may send more */
	}
	net_rearm(n);
	if (n->loop_first)
		n->env.arm(n, n->env.now_ns());
}
