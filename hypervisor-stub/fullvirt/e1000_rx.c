/* SPDX-License-Identifier: MIT */
/*
 * The receive ring: begin() lends the buffers of the next descriptors to the port, commit() answers
 * those that a packet has filled.
 *
 * Unlike a real card, which loses what finds no descriptor, this one lets the port wait until the
 * guest has made room: whatever is behind the port holds back or loses packets itself.
 *
 * Between begin() and commit() no lock is held. A guest that turns its ring around meanwhile finds
 * the packet in memory that was its own, and no descriptor answered (rx_generation).
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual,
 * chapter 3.2.
 * Not handled: delays of RDTR and RADV (ITR moderates), packet splitting, VLAN filters and the
 * stripping of tags.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/e1000_priv.h"

#define STATUS_DD    0x01u
#define STATUS_EOP   0x02u
#define STATUS_IXSM  0x04u /* sums were not looked at */
#define STATUS_TCPCS 0x20u
#define STATUS_IPCS  0x40u
#define MIN_FRAME    60u
#define RA_VALID     0x80000000u

static uint32_t buffer_size(uint32_t rctl)
{
	static const uint16_t small[4] = { 2048, 1024, 512, 256 };
	uint32_t size = small[rctl >> 16 & 3];

	return rctl & E1000_RCTL_BSEX && size != 2048 ? size * 16 : size;
}

static uint32_t free_descs(const struct fv_e1000_ring *r, uint32_t size)
{
	return r->tail >= r->head ? r->tail - r->head : r->tail + size - r->head;
}

/* Lends nr buffers from head on; false: one of them is no memory. */
static bool lend(struct fv_e1000 *e, unsigned nr, uint32_t ring)
{
	e->lent.size = buffer_size(e->rctl);
	for (unsigned i = 0; i < nr; i++) {
		const struct fv_e1000_desc *in_guest = fv_e1000_desc_at(e, &e->rx,
		                                                        (e->rx.head + i) % ring);
		uint32_t addr[2];

		if (!in_guest)
			return false;
		memcpy(addr, in_guest, sizeof(addr));
		e->lent.addr[i] = addr[0] | (uint64_t)addr[1] << 32;
		e->lent.ptr[i] = fv_pci_dma(&e->pci, e->bus, e->lent.addr[i], e->lent.size);
		if (!e->lent.ptr[i])
			return false;
	}
	e->lent.nr = nr;
	e->lent.generation = e->rx_generation;
	return true;
}

/* Buffers for as much of want bytes as the card takes; how many. rx_lock held. */
static unsigned find_room(struct fv_e1000 *e, uint32_t want)
{
	uint32_t size = buffer_size(e->rctl), ring = fv_e1000_ring_size(&e->rx), nr;
	uint32_t most = e->rctl & E1000_RCTL_LPE ? E1000_MAX_RX : E1000_ETH_MAX;

	e->lent.nr = 0;
	if (!(e->rctl & E1000_RCTL_EN) || !ring)
		return 0;
	if (most > NETPKT_MAX_IOV * size - E1000_FCS)
		most = NETPKT_MAX_IOV * size - E1000_FCS;
	e->lent.room = want < most ? want : most;
	nr = (e->lent.room + E1000_FCS + size - 1) / size;
	if (e->lent.room < MIN_FRAME)
		nr = 1;
	return nr <= free_descs(&e->rx, ring) && lend(e, nr, ring) ? nr : 0;
}

static unsigned begin(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov)
{
	struct fv_e1000 *e = arg;
	uint32_t left;
	unsigned nr, pieces = 0;

	(void)queue;
	pthread_mutex_lock(&e->rx_lock);
	nr = len ? find_room(e, len) : 0;
	e->rx_waiting = !nr && wait;
	left = e->lent.room;
	for (unsigned i = 0; i < nr && left; i++) {
		uint32_t piece = left < e->lent.size ? left : e->lent.size;

		iov[pieces++] = (struct iovec){ e->lent.ptr[i], piece };
		left -= piece;
	}
	pthread_mutex_unlock(&e->rx_lock);
	return pieces;
}

/* ---- whether a packet is for this guest ------------------------------------------------------- */

static bool is_own(const struct fv_e1000 *e, const uint8_t *mac)
{
	uint32_t low = mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24;
	uint32_t high = mac[4] | (uint32_t)mac[5] << 8;

	for (unsigned i = 0; i < 32; i += 2)
		if (e->ra[i + 1] & RA_VALID && e->ra[i] == low && (e->ra[i + 1] & 0xffff) == high)
			return true;
	return false;
}

static bool is_for_us(const struct fv_e1000 *e, const uint8_t *mac)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t shift[4] = { 4, 3, 2, 0 };
	uint32_t hash;

	if (!(mac[0] & 1))
		return e->rctl & E1000_RCTL_UPE || is_own(e, mac);
	if (e->rctl & E1000_RCTL_MPE || is_own(e, mac))
		return true;
	if (!memcmp(mac, all, 6))
		return e->rctl & E1000_RCTL_BAM;
	hash = (uint32_t)(mac[4] | mac[5] << 8) >> shift[e->rctl >> 12 & 3] & 0xfff;
	return e->mta[hash >> 5] >> (hash & 31) & 1;
}

/* ---- answers ----------------------------------------------------------------------------------- */

static uint32_t packet_status(const struct fv_e1000 *e, const struct netpkt_meta *meta)
{
	uint32_t status = STATUS_EOP;

	if (!meta->csum_valid || !(e->rxcsum & E1000_RXCSUM_TU))
		return status | STATUS_IXSM;
	return status | STATUS_TCPCS | (e->rxcsum & E1000_RXCSUM_IP ? STATUS_IPCS : 0);
}

/* Answers as many descriptors as len bytes fill. rx_lock held. */
static void answer(struct fv_e1000 *e, uint32_t len, uint32_t last_status)
{
	uint32_t ring = fv_e1000_ring_size(&e->rx);

	for (unsigned i = 0; len && i < e->lent.nr; i++) {
		struct fv_e1000_desc *d = fv_e1000_desc_at(e, &e->rx, e->rx.head);
		uint32_t piece = len < e->lent.size ? len : e->lent.size;

		len -= piece;
		fv_ram_wrote(e->bus, e->lent.addr[i], piece);
		if (d) {
			uint32_t status = STATUS_DD | (len ? 0 : last_status);

			d->word[2] = piece;
			/* Release: who sees DD finds the packet and its length. */
			__atomic_store_n(&d->word[3], status, __ATOMIC_RELEASE);
			fv_ram_wrote(e->bus, e->rx.base + 16ull * e->rx.head, 16);
		}
		e->rx.head = e->rx.head + 1 == ring ? 0 : e->rx.head + 1;
	}
}

/* rx_lock held; false: the packet is lost. */
static bool take(struct fv_e1000 *e, const struct netpkt_meta *meta, uint32_t len)
{
	uint8_t mac[6];

	if (!e->lent.nr || e->lent.generation != e->rx_generation || len > e->lent.room ||
	    len < NETPKT_MIN_LEN || !fv_e1000_ring_size(&e->rx))
		return false;
	memcpy(mac, e->lent.ptr[0], sizeof(mac));
	if (!is_for_us(e, mac))
		return false;
	if (len < MIN_FRAME) { /* as it would have come over a wire */
		memset(e->lent.ptr[0] + len, 0, MIN_FRAME - len);
		len = MIN_FRAME;
	}
	E1000_COUNT(e, rx_packets, 1);
	E1000_COUNT(e, rx_bytes, len);
	answer(e, len + (e->rctl & E1000_RCTL_SECRC ? 0 : E1000_FCS), packet_status(e, meta));
	return true;
}

static void commit(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len)
{
	struct fv_e1000 *e = arg;

	(void)queue;
	pthread_mutex_lock(&e->rx_lock);
	if (take(e, meta, len))
		e->rx_news = true;
	else
		E1000_COUNT(e, rx_dropped, 1);
	e->lent.nr = 0;
	pthread_mutex_unlock(&e->rx_lock);
}

static void flush(void *arg, unsigned queue)
{
	struct fv_e1000 *e = arg;
	uint32_t causes = 0, ring;

	(void)queue;
	pthread_mutex_lock(&e->rx_lock);
	ring = fv_e1000_ring_size(&e->rx);
	if (e->rx_news) {
		causes = E1000_ICR_RXT0;
		if (ring && free_descs(&e->rx, ring) <= ring >> (1 + (e->rctl >> 8 & 3)))
			causes |= E1000_ICR_RXDMT0;
	}
	e->rx_news = false;
	if (causes)
		fv_e1000_cause(e, causes);
	pthread_mutex_unlock(&e->rx_lock);
}

static void room(void *arg, unsigned queue)
{
	(void)queue;
	fv_e1000_tx_room(arg);
}

static void carrier(void *arg, bool up)
{
	struct fv_e1000 *e = arg;
	bool was = atomic_exchange(&e->link_up, up);

	if (was != up)
		fv_e1000_cause(e, E1000_ICR_LSC);
}

/* The wire carries whole packets with whole sums. */
static bool takes(void *arg, const struct netpkt_meta *meta)
{
	(void)arg;
	return !meta->csum_partial && meta->gso == NETPKT_GSO_NONE;
}

const struct netport_sink fv_e1000_sink = { .begin = begin,
	                                    .commit = commit,
	                                    .flush = flush,
	                                    .room = room,
	                                    .carrier = carrier,
	                                    .takes = takes,
	                                    .max_len = E1000_MAX_RX };
