/* SPDX-License-Identifier: MIT */
/*
 * The transmit ring: packets are collected, given to the port together, and their descriptors
 * answered when the port has taken them.
 *
 * What the port does not take stays in the ring: head goes back to it, and so does the context that
 * packets inherit from the descriptors before them. It is collected again when there is room.
 *
 * Invariant: descriptors before head are answered, those from head to tail are not.
 */
#include "hypervisor-stub/fullvirt/e1000_priv.h"

#define CMD_RS    0x08000000u /* in word 2 */
#define STATUS_DD 0x01u       /* in word 3 */
#define STATUS_AT 12u

/* Answers the descriptors from head to end. */
static void complete(struct fv_e1000 *e, uint32_t end)
{
	uint32_t size = fv_e1000_ring_size(&e->tx), at = e->tx.head, causes = 0;

	while (at != end) {
		struct fv_e1000_desc *d = fv_e1000_desc_at(e, &e->tx, at);

		if (d && __atomic_load_n(&d->word[2], __ATOMIC_RELAXED) & CMD_RS) {
			/* Release: who sees it finds the buffer no longer used. */
			__atomic_fetch_or(&d->word[3], STATUS_DD, __ATOMIC_RELEASE);
			fv_ram_wrote(e->bus, e->tx.base + 16ull * at + STATUS_AT, 4);
			causes |= E1000_ICR_TXDW;
		}
		at = at + 1 == size ? 0 : at + 1;
	}
	e->tx.head = end;
	if (end == e->tx.tail)
		causes |= E1000_ICR_TXQE;
	if (causes)
		fv_e1000_cause(e, causes);
}

static void count(struct fv_e1000 *e, unsigned taken, const uint32_t *len, uint32_t gso)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < taken; i++) {
		bytes += len[i];
		E1000_COUNT(e, tx_gso, gso >> i & 1);
	}
	E1000_COUNT(e, tx_packets, taken);
	E1000_COUNT(e, tx_bytes, bytes);
}

/* One batch. false: the ring is empty, or the port full. */
static bool send_batch(struct fv_e1000 *e)
{
	struct fv_e1000_context before = e->context;
	uint32_t at = e->tx.head, len[E1000_TX_BATCH], gso = 0;
	unsigned nr = 0, taken, lost = 0;

	while (nr < E1000_TX_BATCH && fv_e1000_next_packet(e, nr, &at) == E1000_PACKET) {
		/* The port may change the packet. */
		len[nr] = e->pkt[nr].len;
		gso |= (e->pkt[nr].meta.gso != NETPKT_GSO_NONE ? 1u : 0) << nr;
		nr++;
	}
	taken = nr ? netpkt_send(e->port, 0, e->pkt, nr, &lost) : 0;
	count(e, taken, len, gso);
	E1000_COUNT(e, tx_dropped, lost);
	if (taken < nr) {
		e->tx_stopped = true;
		e->context = taken ? e->slot[taken - 1].context : before;
		at = taken ? e->slot[taken - 1].next : e->tx.head;
	}
	if (at != e->tx.head)
		complete(e, at);
	return nr == E1000_TX_BATCH && taken == nr;
}

void fv_e1000_tx_work(struct fv_e1000 *e)
{
	bool more = e->tctl & E1000_TCTL_EN;

	while (more && !e->tx_stopped && fv_e1000_ring_size(&e->tx))
		more = send_batch(e);
}

void fv_e1000_tx_room(struct fv_e1000 *e)
{
	pthread_mutex_lock(&e->tx_lock);
	e->tx_stopped = false;
	fv_e1000_tx_work(e);
	pthread_mutex_unlock(&e->tx_lock);
}
