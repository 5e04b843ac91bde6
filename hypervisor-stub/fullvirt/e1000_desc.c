/* SPDX-License-Identifier: MIT */
/*
 * One packet from its transmit descriptors: legacy ones, or a context and data descriptors.
 *
 * The first bytes of a packet, which hold its headers, are copied; the rest stays in the guest's
 * memory and goes to the port by pointer. Where descriptors follow one another in memory their pieces
 * are one.
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual,
 * chapter 3.3.
 * Not handled: VLAN tags to be inserted; checksums of other protocols than TCP and UDP, whose
 * packets are sent as they are.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/e1000_priv.h"

enum { CMD_EOP = 0x01, CMD_IC = 0x04, CMD_TSE = 0x04, CMD_DEXT = 0x20 };
enum { POPTS_IXSM = 0x01, POPTS_TXSM = 0x02, TUCMD_TCP = 0x01, TUCMD_IPV4 = 0x02 };
#define DTYP_MASK 0xf00000u
#define DTYP_DATA 0x100000u
#define MAX_PLAIN 16384u /* bytes of a packet that is not to be segmented */

/* What the descriptors ask for. */
struct wish {
	bool segment, ip_sum, tu_sum, bad;
};

static void set_context(struct fv_e1000_context *c, const struct fv_e1000_desc *d)
{
	uint8_t tucmd = (uint8_t)(d->word[2] >> 24);

	c->ipcss = (uint8_t)d->word[0];
	c->tucss = (uint8_t)d->word[1];
	c->tucso = (uint8_t)(d->word[1] >> 8);
	c->is_tcp = tucmd & TUCMD_TCP;
	c->is_ipv4 = tucmd & TUCMD_IPV4;
	c->mss = (uint16_t)(d->word[3] >> 16);
}

/* Joins len bytes at ptr to the packet; false: it has too many pieces. */
static bool add_bytes(struct netpkt *p, uint8_t *ptr, uint32_t len)
{
	struct iovec *last = &p->iov[p->nr_iov - 1];
	uint32_t share = p->nr_iov == 1 ? NETPKT_HEAD - (uint32_t)last->iov_len : 0;

	if (share > len)
		share = len;
	memcpy((uint8_t *)p->iov[0].iov_base + p->iov[0].iov_len, ptr, share);
	p->iov[0].iov_len += share;
	p->len += len;
	ptr += share;
	len -= share;
	if (!len)
		return true;
	if (p->nr_iov > 1 && (uint8_t *)last->iov_base + last->iov_len == ptr) {
		last->iov_len += len;
		return true;
	}
	if (p->nr_iov == NETPKT_MAX_IOV)
		return false;
	p->iov[p->nr_iov++] = (struct iovec){ ptr, len };
	return true;
}

/* The bytes of one descriptor. */
static void add_desc(struct fv_e1000 *e, struct netpkt *p, const struct fv_e1000_desc *d,
                     struct wish *w)
{
	uint32_t len = d->word[2] & (d->word[2] >> 24 & CMD_DEXT ? 0xfffff : 0xffff);
	uint64_t addr = d->word[0] | (uint64_t)d->word[1] << 32;
	uint8_t *ptr;

	if (!len || w->bad)
		return;
	ptr = fv_pci_dma(&e->pci, e->bus, addr, len);
	if (!ptr || len > NETPKT_MAX_LEN - p->len || !add_bytes(p, ptr, len))
		w->bad = true;
}

static void read_wish(const struct fv_e1000_desc *d, struct wish *w)
{
	uint8_t cmd = (uint8_t)(d->word[2] >> 24), popts = (uint8_t)(d->word[3] >> 8);

	if (cmd & CMD_DEXT) {
		w->segment = cmd & CMD_TSE;
		w->ip_sum = popts & POPTS_IXSM;
		w->tu_sum = popts & POPTS_TXSM;
	} else {
		w->tu_sum = cmd & CMD_IC;
	}
}

/* The sum where the guest wants it, if that is where TCP or UDP has one. */
static void want_sum(struct netpkt *p, const struct fv_e1000_context *c)
{
	p->meta.csum_partial = true;
	if (netpkt_describe(p) || p->meta.csum_start != c->tucss ||
	    p->meta.csum_start + p->meta.csum_offset != c->tucso)
		memset(&p->meta, 0, sizeof(p->meta));
}

/* 0; negative: this is no packet that could be segmented. */
static int want_segments(struct netpkt *p, const struct fv_e1000_context *c)
{
	if (!c->is_tcp)
		return -1;
	p->meta.csum_partial = true;
	p->meta.gso = c->is_ipv4 ? NETPKT_GSO_TCPV4 : NETPKT_GSO_TCPV6;
	p->meta.gso_size = c->mss;
	if (netpkt_describe(p))
		return -1;
	netpkt_complete_gso(p);
	if (p->len - p->meta.hdr_len <= c->mss) { /* one segment: an ordinary packet */
		p->meta.gso = NETPKT_GSO_NONE;
		p->meta.gso_size = 0;
	}
	return 0;
}

/* All pieces are there: what is to be done to it. false: it cannot be sent. */
static bool finish(struct netpkt *p, const struct fv_e1000_context *c, const struct wish *w)
{
	if (w->bad || p->len < NETPKT_MIN_LEN || (!w->segment && p->len > MAX_PLAIN))
		return false;
	if (w->segment)
		return want_segments(p, c) == 0;
	if (w->ip_sum)
		netpkt_fill_ip_checksum(p);
	if (w->tu_sum)
		want_sum(p, c);
	return true;
}

static void begin(struct fv_e1000 *e, unsigned i)
{
	struct netpkt *p = &e->pkt[i];

	memset(&p->meta, 0, sizeof(p->meta));
	p->len = 0;
	p->nr_iov = 1;
	p->iov[0] = (struct iovec){ e->slot[i].head, 0 };
}

enum fv_e1000_next fv_e1000_next_packet(struct fv_e1000 *e, unsigned i, uint32_t *at)
{
	uint32_t size = fv_e1000_ring_size(&e->tx), pos = *at;
	struct wish wish = { 0 };
	bool is_first = true;

	begin(e, i);
	while (pos != e->tx.tail) {
		const struct fv_e1000_desc *in_guest = fv_e1000_desc_at(e, &e->tx, pos);
		struct fv_e1000_desc d;

		if (!in_guest)
			return E1000_NOTHING;
		memcpy(&d, in_guest, sizeof(d)); /* one snapshot */
		pos = pos + 1 == size ? 0 : pos + 1;
		if (d.word[2] >> 24 & CMD_DEXT && (d.word[2] & DTYP_MASK) != DTYP_DATA) {
			set_context(&e->context, &d);
			if (is_first)
				*at = pos;
			continue;
		}
		if (is_first)
			read_wish(&d, &wish);
		is_first = false;
		add_desc(e, &e->pkt[i], &d, &wish);
		if (!(d.word[2] >> 24 & CMD_EOP))
			continue;
		*at = pos;
		if (finish(&e->pkt[i], &e->context, &wish)) {
			e->slot[i].next = pos;
			e->slot[i].context = e->context;
			return E1000_PACKET;
		}
		E1000_COUNT(e, tx_dropped, 1);
		begin(e, i);
		wish = (struct wish){ 0 };
		is_first = true;
	}
	return E1000_NOTHING;
}
