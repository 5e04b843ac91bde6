/* SPDX-License-Identifier: MIT */
/*
 * Headers, checksums and segments; see netpkt.h.
 *
 * Sources: RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 1071 (the sum), IEEE 802.1Q (tags).
 */
#include <errno.h>
#include <string.h>

#include "backends/netpkt.h"

#define ETH_LEN      14
#define TAG_LEN      4
#define TYPE_IPV4    0x0800
#define TYPE_IPV6    0x86dd
#define TYPE_VLAN    0x8100
#define TYPE_QINQ    0x88a8
#define PROTO_HOP    0
#define PROTO_TCP    6
#define PROTO_UDP    17
#define PROTO_ROUTE  43
#define PROTO_DEST   60
#define TCP_MIN      20
#define UDP_LEN      8
#define TCP_CSUM     16 /* of the checksum in the header */
#define UDP_CSUM     6
#define TCP_FIN_PSH  0x09
#define TCP_CWR      0x80
#define MAX_EXT_HDRS 8

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

/* ---- headers ---------------------------------------------------------------------------------- */

/* The next bytes of a head, if it has them. */
struct reader {
	const uint8_t *base;
	size_t len;
};

static const uint8_t *at(const struct reader *r, size_t offset, size_t len)
{
	return offset <= r->len && len <= r->len - offset ? r->base + offset : NULL;
}

static int ipv4_header(const struct reader *r, struct netpkt_headers *h)
{
	const uint8_t *ip = at(r, h->l3, 20);
	unsigned ihl;

	if (!ip || ip[0] >> 4 != 4)
		return -EINVAL;
	ihl = (ip[0] & 15) * 4u;
	if (ihl < 20 || !at(r, h->l3, ihl))
		return -EINVAL;
	h->ip_version = 4;
	h->l4 = (uint16_t)(h->l3 + ihl);
	/* A fragment but the first has no header of TCP or UDP; the first has not the whole sum. */
	h->protocol = get16(ip + 6) & 0x3fff ? 0 : ip[9];
	return 0;
}

static int ipv6_header(const struct reader *r, struct netpkt_headers *h)
{
	const uint8_t *ip = at(r, h->l3, 40);
	size_t offset = h->l3 + 40u;
	uint8_t next;

	if (!ip || ip[0] >> 4 != 6)
		return -EINVAL;
	h->ip_version = 6;
	next = ip[6];
	for (int i = 0; i < MAX_EXT_HDRS; i++) {
		const uint8_t *ext;

		if (next != PROTO_HOP && next != PROTO_ROUTE && next != PROTO_DEST)
			break;
		ext = at(r, offset, 8);
		if (!ext)
			return -EINVAL;
		next = ext[0];
		offset += (ext[1] + 1u) * 8;
	}
	if (offset > r->len)
		return -EINVAL;
	h->l4 = (uint16_t)offset;
	h->protocol = next;
	return 0;
}

static int l4_header(const struct reader *r, struct netpkt_headers *h)
{
	const uint8_t *l4;
	unsigned len = UDP_LEN;

	if (h->protocol != PROTO_TCP && h->protocol != PROTO_UDP) {
		h->protocol = 0;
		return 0;
	}
	l4 = at(r, h->l4, h->protocol == PROTO_TCP ? TCP_MIN : UDP_LEN);
	if (!l4)
		return -EINVAL;
	if (h->protocol == PROTO_TCP) {
		len = (l4[12] >> 4) * 4u;
		if (len < TCP_MIN || !at(r, h->l4, len))
			return -EINVAL;
	}
	h->end = (uint16_t)(h->l4 + len);
	return 0;
}

int netpkt_headers(const struct netpkt *p, struct netpkt_headers *h)
{
	struct reader r = { p->nr_iov ? p->iov[0].iov_base : NULL,
		            p->nr_iov ? p->iov[0].iov_len : 0 };
	const uint8_t *eth = at(&r, 0, ETH_LEN);
	uint16_t type;
	int rc = 0;

	memset(h, 0, sizeof(*h));
	if (!eth)
		return -EINVAL;
	type = get16(eth + 12);
	h->l3 = ETH_LEN;
	for (int tags = 0; tags < 2 && (type == TYPE_VLAN || type == TYPE_QINQ); tags++) {
		const uint8_t *tag = at(&r, h->l3, TAG_LEN);

		if (!tag)
			return -EINVAL;
		type = get16(tag + 2);
		h->l3 = (uint16_t)(h->l3 + TAG_LEN);
	}
	if (type == TYPE_IPV4)
		rc = ipv4_header(&r, h);
	else if (type == TYPE_IPV6)
		rc = ipv6_header(&r, h);
	else
		return 0;
	return rc ? rc : l4_header(&r, h);
}

int netpkt_describe(struct netpkt *p)
{
	struct netpkt_meta *m = &p->meta;
	struct netpkt_headers h;

	if (!m->csum_partial && m->gso == NETPKT_GSO_NONE)
		return 0;
	if (netpkt_headers(p, &h) || !h.protocol)
		return -EINVAL;
	if (m->gso != NETPKT_GSO_NONE) {
		if (h.protocol != PROTO_TCP || !m->gso_size || !m->csum_partial ||
		    h.ip_version != (m->gso == NETPKT_GSO_TCPV4 ? 4 : 6))
			return -EINVAL;
	}
	m->csum_start = h.l4;
	m->csum_offset = h.protocol == PROTO_TCP ? TCP_CSUM : UDP_CSUM;
	m->hdr_len = h.end;
	return 0;
}

/* ---- the sum ---------------------------------------------------------------------------------- */

/* A ones' complement sum over bytes that come in pieces of any length. */
struct sum {
	uint64_t value;
	bool odd; /* the next byte is the second of its pair */
};

static void sum_add(struct sum *s, const uint8_t *p, size_t len)
{
	if (s->odd && len) {
		s->value += *p++;
		len--;
		s->odd = false;
	}
	/* Four bytes at a time, in the machine's order of a network value: RFC 1071, part 2. */
	for (; len >= 4; p += 4, len -= 4)
		s->value += get32(p);
	if (len >= 2) {
		s->value += get16(p);
		p += 2;
		len -= 2;
	}
	if (len) {
		s->value += (uint32_t)*p << 8;
		s->odd = true;
	}
}

static uint16_t sum_fold(const struct sum *s)
{
	uint64_t v = s->value;

	while (v >> 16)
		v = (v & 0xffff) + (v >> 16);
	return (uint16_t)~v;
}

void netpkt_fill_checksum(struct netpkt *p)
{
	struct netpkt_meta *m = &p->meta;
	struct sum s = { 0 };
	uint32_t skip = m->csum_start;
	uint8_t *field = (uint8_t *)p->iov[0].iov_base + m->csum_start + m->csum_offset;
	uint16_t value;

	/* The field holds the pseudo-header's sum, which is part of what is summed. */
	for (unsigned i = 0; i < p->nr_iov; i++) {
		size_t len = p->iov[i].iov_len, from = skip < len ? skip : len;

		sum_add(&s, (const uint8_t *)p->iov[i].iov_base + from, len - from);
		skip -= (uint32_t)from;
	}
	value = sum_fold(&s);
	/* For UDP a sum of zero is written as its other form (RFC 768); for TCP they are equal. */
	put16(field, value ? value : 0xffff);
	m->csum_partial = false;
	m->csum_valid = true;
}

/* The pieces of a packet's bytes [offset, offset + len), as far as there is room; how many. */
static unsigned find_pieces(const struct netpkt *p, uint32_t offset, uint32_t len,
                            struct iovec *pieces, unsigned room)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < p->nr_iov && len && nr < room; i++) {
		size_t piece = p->iov[i].iov_len;

		if (offset >= piece) {
			offset -= (uint32_t)piece;
			continue;
		}
		piece -= offset;
		if (piece > len)
			piece = len;
		pieces[nr].iov_base = (uint8_t *)p->iov[i].iov_base + offset;
		pieces[nr++].iov_len = piece;
		len -= (uint32_t)piece;
		offset = 0;
	}
	return nr;
}

void netpkt_copy_out(const struct netpkt *p, uint32_t offset, void *to, uint32_t len)
{
	struct iovec piece[NETPKT_MAX_IOV];
	unsigned nr = find_pieces(p, offset, len, piece, NETPKT_MAX_IOV);
	uint8_t *out = to;

	for (unsigned i = 0; i < nr; i++) {
		memcpy(out, piece[i].iov_base, piece[i].iov_len);
		out += piece[i].iov_len;
	}
}

/* ---- segments --------------------------------------------------------------------------------- */

/* Lays the bytes [offset, offset + len) of a packet behind a segment's head. */
static void take_payload(const struct netpkt *p, uint32_t offset, uint32_t len, struct netpkt *seg)
{
	unsigned nr = find_pieces(p, offset, len, seg->iov + seg->nr_iov,
	                          NETPKT_MAX_IOV - seg->nr_iov);

	for (; nr; nr--)
		seg->len += (uint32_t)seg->iov[seg->nr_iov++].iov_len;
}

static void fix_ipv4(uint8_t *ip, uint32_t len, unsigned index)
{
	struct sum s = { 0 };

	put16(ip + 2, (uint16_t)len);
	put16(ip + 4, (uint16_t)(get16(ip + 4) + index));
	put16(ip + 10, 0);
	sum_add(&s, ip, (ip[0] & 15) * 4u);
	put16(ip + 10, sum_fold(&s));
}

/* The sum of the pseudo-header, not inverted, as csum_partial wants it. */
static uint16_t pseudo_sum(const uint8_t *ip, uint32_t l4_len, uint8_t protocol)
{
	struct sum s = { 0 };

	if (ip[0] >> 4 == 4)
		sum_add(&s, ip + 12, 8);
	else
		sum_add(&s, ip + 8, 32);
	s.value += l4_len + protocol;
	return (uint16_t)~sum_fold(&s);
}

/* head: the segment's own copy of the headers; rewritten for its place among the others. */
static void fix_head(uint8_t *head, const struct netpkt_headers *h, const struct netpkt *seg,
                     uint32_t done, unsigned index, bool last)
{
	uint8_t *ip = head + h->l3, *tcp = head + h->l4;
	uint32_t l4_len = seg->len - h->l4;

	if (h->ip_version == 4)
		fix_ipv4(ip, seg->len - h->l3, index);
	else
		put16(ip + 4, (uint16_t)(seg->len - h->l3 - 40));
	put32(tcp + 4, get32(tcp + 4) + done);
	if (!last)
		tcp[13] &= (uint8_t)~TCP_FIN_PSH;
	if (index)
		tcp[13] &= (uint8_t)~TCP_CWR; /* RFC 3168: on the first only */
	put16(tcp + TCP_CSUM, pseudo_sum(ip, l4_len, PROTO_TCP));
}

void netpkt_segment(struct netpkt *p, void (*emit)(void *arg, struct netpkt *segment), void *arg)
{
	struct netpkt_headers h;
	uint8_t head[NETPKT_HEAD * 2];
	uint32_t payload, done = 0;

	if (netpkt_headers(p, &h) || h.protocol != PROTO_TCP || !p->meta.gso_size ||
	    h.end > sizeof(head))
		return;
	payload = p->len - h.end;
	for (unsigned index = 0; done < payload || !index; index++) {
		uint32_t len = payload - done;
		struct netpkt seg = { .nr_iov = 1 };

		if (len > p->meta.gso_size)
			len = p->meta.gso_size;
		memcpy(head, p->iov[0].iov_base, h.end);
		seg.iov[0].iov_base = head;
		seg.iov[0].iov_len = seg.len = h.end;
		take_payload(p, h.end + done, len, &seg);
		fix_head(head, &h, &seg, done, index, done + len == payload);
		seg.meta = (struct netpkt_meta){ .csum_partial = true,
			                         .csum_start = h.l4,
			                         .csum_offset = TCP_CSUM,
			                         .hdr_len = h.end };
		netpkt_fill_checksum(&seg);
		emit(arg, &seg);
		done += len;
	}
}

/* ---- headers that were left to the hardware ----------------------------------------------------- */

void netpkt_fill_ip_checksum(struct netpkt *p)
{
	struct netpkt_headers h;
	uint8_t *ip;

	if (netpkt_headers(p, &h) || h.ip_version != 4)
		return;
	ip = (uint8_t *)p->iov[0].iov_base + h.l3;
	fix_ipv4(ip, get16(ip + 2), 0);
}

void netpkt_complete_gso(struct netpkt *p)
{
	struct netpkt_headers h;
	uint8_t *head = p->iov[0].iov_base, *ip;

	if (netpkt_headers(p, &h) || h.protocol != PROTO_TCP)
		return;
	ip = head + h.l3;
	if (h.ip_version == 4)
		fix_ipv4(ip, p->len - h.l3, 0);
	else
		put16(ip + 4, (uint16_t)(p->len - h.l3 - 40));
	put16(head + h.l4 + TCP_CSUM, pseudo_sum(ip, p->len - h.l4, PROTO_TCP));
}

/* ---- to a port ---------------------------------------------------------------------------------- */

struct plain_send {
	struct netport *port;
	unsigned queue, lost;
};

static void send_segment(void *arg, struct netpkt *segment)
{
	struct plain_send *to = arg;

	if (!to->port->ops->send(to->port, to->queue, segment, 1))
		to->lost++;
}

unsigned netpkt_send(struct netport *port, unsigned queue, struct netpkt *p, unsigned nr,
                     unsigned *lost)
{
	struct plain_send to = { port, queue, 0 };
	unsigned done = 0;

	if (port->offload)
		return port->ops->send(port, queue, p, nr);
	for (; done < nr; done++, p++) {
		if (p->meta.gso != NETPKT_GSO_NONE) {
			netpkt_segment(p, send_segment, &to);
			continue;
		}
		if (p->meta.csum_partial)
			netpkt_fill_checksum(p);
		if (!port->ops->send(port, queue, p, 1))
			break;
	}
	*lost += to.lost;
	return done;
}
