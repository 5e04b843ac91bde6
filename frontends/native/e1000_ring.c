/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of the Ethernet card.
 *
 * A packet whose sums or segments are the card's to make has a context descriptor before it, unless
 * the card has the same context from the packet before. Of one that is to be segmented the headers
 * are copied, for the card wants other values in them than stand there.
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual,
 * chapter 3.
 */
#include "abi/errno.h"
#include "frontends/native/e1000.h"
#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/native/native.h"

enum { EOP = 0x01000000, IFCS = 0x02000000, TSE = 0x04000000, RS = 0x08000000, DEXT = 0x20000000 };
enum { DATA = 0x00100000, TUCMD_TCP = 0x01000000, TUCMD_IPV4 = 0x02000000 };
enum { IXSM = 0x100, TXSM = 0x200 };
enum { TX_DD = 0x01, RX_DD = 0x01, RX_EOP = 0x02, RX_IXSM = 0x04, RX_TCPCS = 0x20 };
#define RX_ERRORS    0xff00u
#define POST_AT      64u /* free descriptors that are worth an access to the card */
#define ETH_LEN      14u
#define PROTO_TCP    6u
#define PROTO_UDP    17u
#define HEADS_A_PAGE (PV_PAGE_SIZE / E1000_HEAD)

static uint32_t next(uint32_t i)
{
	return (i + 1) % E1000_RING;
}

/* ---- memory ----------------------------------------------------------------------------------- */

int e1000_make_rings(struct e1000 *e)
{
	e->tx = pv_page_alloc();
	e->rx = pv_page_alloc();
	if (!e->tx || !e->rx)
		return -XEN_ENOMEM;
	memset(e->tx, 0, PV_PAGE_SIZE);
	memset(e->rx, 0, PV_PAGE_SIZE);
	for (unsigned i = 0; i < E1000_RING; i++) {
		e->page[i] = pv_page_alloc();
		if (!e->page[i])
			return -XEN_ENOMEM;
		e->rx[i].word[0] = (uint32_t)pv_native_dma(e->page[i]);
	}
	e->tx_head = e->tx_tail = e->tx_told = e->rx_next = e->rx_kept = 0;
	memset(&e->context, 0, sizeof(e->context));
	return 0;
}

static void free_page(void *page)
{
	if (page)
		pv_page_free(page);
}

void e1000_free_rings(struct e1000 *e)
{
	free_page(e->tx);
	free_page(e->rx);
	e->tx = e->rx = NULL;
	for (unsigned i = 0; i < E1000_RING; i++) {
		free_page(e->page[i]);
		e->page[i] = NULL;
	}
	for (unsigned i = 0; i < E1000_RING / HEADS_A_PAGE; i++) {
		free_page(e->heads[i]);
		e->heads[i] = NULL;
	}
}

/* The place for a copied head at a descriptor; NULL: no memory. */
static uint8_t *head_at(struct e1000 *e, uint32_t i)
{
	uint8_t **page = &e->heads[i / HEADS_A_PAGE];

	if (!*page)
		*page = pv_page_alloc();
	return *page ? *page + i % HEADS_A_PAGE * E1000_HEAD : NULL;
}

/* ---- what the card is to do ------------------------------------------------------------------- */

/* Where things are in a packet's head. */
struct layout {
	bool is_ipv4, is_tcp;
	uint32_t l4, end; /* bytes before TCP or UDP; bytes of all headers */
};

/* 0, or -XEN_EINVAL: neither TCP nor UDP, or headers that the first piece does not hold. */
static int find_headers(const struct netdev_packet *pkt, struct layout *l)
{
	const uint8_t *p = pkt->frags[0].va;
	uint32_t len = pkt->frags[0].len, protocol;

	if (len < ETH_LEN + 20)
		return -XEN_EINVAL;
	l->is_ipv4 = p[12] == 0x08 && p[13] == 0x00;
	if (!l->is_ipv4 && !(p[12] == 0x86 && p[13] == 0xdd && len >= ETH_LEN + 40))
		return -XEN_EINVAL;
	l->l4 = ETH_LEN + (l->is_ipv4 ? (p[ETH_LEN] & 15u) * 4 : 40);
	protocol = p[ETH_LEN + (l->is_ipv4 ? 9 : 6)];
	if (protocol != PROTO_TCP && protocol != PROTO_UDP)
		return -XEN_EINVAL;
	l->is_tcp = protocol == PROTO_TCP;
	if (len < l->l4 + (l->is_tcp ? 20 : 8))
		return -XEN_EINVAL;
	l->end = l->l4 + (l->is_tcp ? (p[l->l4 + 12] >> 4) * 4u : 8);
	return l->end > len || l->end > E1000_HEAD ? -XEN_EINVAL : 0;
}

static void make_context(const struct netdev_packet *pkt, const struct layout *l,
                         struct e1000_desc *d)
{
	uint32_t sum_at = l->l4 + (l->is_tcp ? 16 : 6);

	d->word[0] = ETH_LEN | (ETH_LEN + 10) << 8 | (l->l4 - 1) << 16;
	d->word[1] = l->l4 | sum_at << 8;
	d->word[2] = (uint32_t)DEXT | (l->is_tcp ? TUCMD_TCP : 0) | (l->is_ipv4 ? TUCMD_IPV4 : 0);
	d->word[3] = 0;
	if (pkt->gso) {
		d->word[2] |= TSE | (pkt->len - l->end);
		d->word[3] = l->end << 8 | (uint32_t)pkt->gso_size << 16;
	}
}

static uint32_t add_words(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/* The head as the card wants it: no lengths, and a pseudo-header's sum without one. */
static void copy_head(uint8_t *to, const struct netdev_packet *pkt, const struct layout *l)
{
	uint32_t sum;

	memcpy(to, pkt->frags[0].va, l->end);
	if (l->is_ipv4) {
		to[16] = to[17] = to[24] = to[25] = 0;
		sum = add_words(PROTO_TCP, to + 26, 8);
	} else {
		to[18] = to[19] = 0;
		sum = add_words(PROTO_TCP, to + 22, 32);
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	to[l->l4 + 16] = (uint8_t)(sum >> 8);
	to[l->l4 + 17] = (uint8_t)sum;
}

/* ---- transmit --------------------------------------------------------------------------------- */

static void put_desc(struct e1000 *e, uint64_t addr, uint32_t cmd, uint32_t options)
{
	struct e1000_desc *d = &e->tx[e->tx_tail];

	d->word[0] = (uint32_t)addr;
	d->word[1] = (uint32_t)(addr >> 32);
	d->word[2] = cmd;
	d->word[3] = options;
	e->tx_tail = next(e->tx_tail);
}

static void put_pieces(struct e1000 *e, const struct netdev_packet *pkt, uint32_t skip,
                       uint32_t cmd, uint32_t options)
{
	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		const struct netdev_frag *f = &pkt->frags[i];
		bool is_last = i + 1 == pkt->nr_frags;

		if (f->len > skip || is_last)
			put_desc(e, pv_native_dma(f->va) + skip,
			         cmd | (f->len - skip) | (is_last ? EOP | RS : 0), options);
		skip = 0;
	}
}

/* 0, -XEN_EINVAL or -XEN_ENOMEM; then nothing has been put. */
static int put_offloaded(struct e1000 *e, const struct netdev_packet *pkt)
{
	struct layout l;
	struct e1000_desc context;
	uint32_t cmd = DEXT | DATA | IFCS, options = TXSM, skip = 0;
	uint8_t *head = NULL;
	int rc = find_headers(pkt, &l);

	if (rc || (pkt->gso && !l.is_tcp))
		return -XEN_EINVAL;
	if (pkt->gso) {
		head = head_at(e, e->tx_tail);
		if (!head)
			return -XEN_ENOMEM;
		copy_head(head, pkt, &l);
		cmd |= TSE;
		options |= l.is_ipv4 ? IXSM : 0;
	}
	make_context(pkt, &l, &context);
	if (memcmp(&context, &e->context, sizeof(context))) {
		e->context = context;
		e->tx[e->tx_tail] = context;
		e->tx_tail = next(e->tx_tail);
	}
	if (head) {
		put_desc(e, pv_native_dma(head), cmd | l.end, options);
		skip = l.end;
	}
	put_pieces(e, pkt, skip, cmd, options);
	return 0;
}

int e1000_put(struct e1000 *e, const struct netdev_packet *pkt)
{
	uint32_t first = e->tx_tail, used = (e->tx_tail - e->tx_head) % E1000_RING;
	int rc = 0;

	/* A context and a copied head at most, and one stays free. */
	if (used + pkt->nr_frags + 2 >= E1000_RING)
		return -XEN_EAGAIN;
	if (pkt->csum_partial || pkt->gso)
		rc = put_offloaded(e, pkt);
	else
		put_pieces(e, pkt, 0, IFCS, 0);
	if (rc)
		return rc;
	e->sent[first] = (struct e1000_sent){ pkt->arg, (uint8_t)((e->tx_tail - 1) % E1000_RING) };
	return 0;
}

void e1000_push(struct e1000 *e)
{
	if (e->tx_told == e->tx_tail)
		return;
	pv_compiler_barrier(); /* descriptors before the tail; stores are seen in order */
	e->tx_told = e->tx_tail;
	e->stats.notifications++;
	e1000_write(e, E1000_TDT, e->tx_tail);
}

bool e1000_has_left(const struct e1000 *e)
{
	if (e->tx_head == e->tx_told)
		return false;
	return pv_load_acquire(&e->tx[e->sent[e->tx_head].last].word[3]) & TX_DD;
}

void *e1000_take_sent(struct e1000 *e)
{
	const struct e1000_sent *s = &e->sent[e->tx_head];

	e->tx_head = next(s->last);
	return s->arg;
}

/* ---- receive ---------------------------------------------------------------------------------- */

bool e1000_take(struct e1000 *e, struct netdev_packet *pkt)
{
	struct e1000_desc *d = &e->rx[e->rx_next];
	uint32_t status = pv_load_acquire(&d->word[3]), len = d->word[2] & 0xffff;
	void *fresh;

	if (!(status & RX_DD))
		return false;
	pkt->nr_frags = 0;
	fresh = pv_page_alloc();
	/* What lies in several buffers is longer than a link's packets: no packet for us. */
	if (fresh && status & RX_EOP && !(status & RX_ERRORS) && len >= ETH_LEN &&
	    len <= PV_PAGE_SIZE / 2) {
		*pkt = (struct netdev_packet){ .nr_frags = 1, .len = len };
		pkt->frags[0] = (struct netdev_frag){ e->page[e->rx_next], len };
		pkt->csum_valid = (status & (RX_IXSM | RX_TCPCS)) == RX_TCPCS;
		e->page[e->rx_next] = fresh;
		d->word[0] = (uint32_t)pv_native_dma(fresh);
	} else if (fresh) {
		pv_page_free(fresh);
	}
	d->word[3] = 0;
	e->rx_next = next(e->rx_next);
	e->rx_kept++;
	return true;
}

void e1000_post(struct e1000 *e)
{
	if (e->rx_kept < POST_AT)
		return;
	e->rx_kept = 0;
	pv_compiler_barrier(); /* descriptors before the tail */
	e->stats.notifications++;
	e1000_write(e, E1000_RDT, (e->rx_next - 1) % E1000_RING);
}
