/* SPDX-License-Identifier: MIT */
/*
 * Headers, checksums and segments of packets (backends/netpkt.c), against packets that are right,
 * cut short and contradictory. The checksum is held against a sum that is done byte by byte.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/netpkt.h"

Suite *netpkt_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TCP_LEN      32 /* with 12 bytes of options */
#define UDP_LEN      8

static uint8_t bytes[70000];
static struct netpkt pkt;

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

/* RFC 1071, the slow way. */
static uint32_t slow_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct kind {
	unsigned tags, version, protocol, ext; /* ext: bytes of IPv6 options */
};

/* Lays a packet into bytes[]; returns its length. */
static size_t lay(const struct kind *k, size_t payload)
{
	size_t l4_len = (k->protocol == 6 ? TCP_LEN : UDP_LEN) + payload;
	uint8_t *p = bytes + 12, *ip, *l4;

	memset(bytes, 0, sizeof(bytes));
	memset(bytes, 0x52, 12);
	for (unsigned i = 0; i < k->tags; i++, p += 4)
		put16(p, 0x8100);
	put16(p, k->version == 4 ? 0x0800 : 0x86dd);
	ip = p + 2;
	if (k->version == 4) {
		ip[0] = 0x45;
		put16(ip + 2, (unsigned)(20 + l4_len));
		put16(ip + 4, 0x1234);
		ip[9] = (uint8_t)k->protocol;
		memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
		l4 = ip + 20;
	} else {
		ip[0] = 0x60;
		put16(ip + 4, (unsigned)(k->ext + l4_len));
		ip[6] = k->ext ? 0 : (uint8_t)k->protocol;
		memset(ip + 8, 0xfd, 32);
		l4 = ip + 40 + k->ext;
		if (k->ext) {
			ip[40] = (uint8_t)k->protocol;
			ip[41] = (uint8_t)(k->ext / 8 - 1);
		}
	}
	if (k->protocol == 6) {
		l4[12] = TCP_LEN / 4 << 4;
		l4[13] = 0x99; /* FIN, PSH, ACK, CWR */
		memcpy(l4 + 4, "\xff\xff\xff\xf0", 4);
	} else {
		put16(l4 + 4, (unsigned)l4_len);
	}
	l4 += k->protocol == 6 ? TCP_LEN : UDP_LEN;
	for (size_t i = 0; i < payload; i++)
		l4[i] = (uint8_t)(i * 7 + (i >> 8));
	return (size_t)(l4 - bytes) + payload;
}

/* Cuts bytes[] into a head and pieces of piece bytes. */
static void cut(size_t len, size_t head, size_t piece)
{
	memset(&pkt, 0, sizeof(pkt));
	pkt.len = (uint32_t)len;
	pkt.iov[0] = (struct iovec){ bytes, len < head ? len : head };
	pkt.nr_iov = 1;
	for (size_t at = head; at < len; at += piece) {
		ck_assert_uint_lt(pkt.nr_iov, NETPKT_MAX_IOV);
		pkt.iov[pkt.nr_iov++] = (struct iovec){ bytes + at,
			                                len - at < piece ? len - at : piece };
	}
}

static const struct kind kinds[] = {
	{ 0, 4, 6, 0 }, { 0, 4, 17, 0 }, { 0, 6, 6, 0 },  { 0, 6, 17, 0 },
	{ 1, 4, 6, 0 }, { 2, 6, 17, 0 }, { 0, 6, 6, 16 }, { 1, 6, 17, 8 },
};

/* The sum of what the receiver checks: the pseudo-header and everything from l4 on. */
static uint32_t receiver_sum(const uint8_t *p, size_t len, const struct netpkt_headers *h)
{
	const uint8_t *ip = p + h->l3;
	uint32_t sum = h->ip_version == 4 ? slow_sum(0, ip + 12, 8) : slow_sum(0, ip + 8, 32);

	sum += (uint32_t)(len - h->l4) + h->protocol;
	return slow_sum(sum, p + h->l4, len - h->l4);
}

static unsigned pseudo(const uint8_t *p, size_t len, const struct netpkt_headers *h)
{
	const uint8_t *ip = p + h->l3;
	uint32_t sum = h->ip_version == 4 ? slow_sum(0, ip + 12, 8) : slow_sum(0, ip + 8, 32);

	return slow_sum(sum + (uint32_t)(len - h->l4) + h->protocol, NULL, 0);
}

START_TEST(headers_are_found_behind_tags_and_options)
{
	const struct kind *k = &kinds[_i];
	struct netpkt_headers h;
	size_t len = lay(k, 100), l3 = 14 + k->tags * 4;

	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), 0);
	ck_assert_uint_eq(h.l3, l3);
	ck_assert_uint_eq(h.ip_version, k->version);
	ck_assert_uint_eq(h.protocol, k->protocol);
	ck_assert_uint_eq(h.l4, l3 + (k->version == 4 ? 20 : 40 + k->ext));
	ck_assert_uint_eq(h.end, h.l4 + (k->protocol == 6 ? TCP_LEN : UDP_LEN));
}
END_TEST

START_TEST(a_checksum_is_what_the_receiver_expects)
{
	static const size_t payloads[] = { 0, 1, 2, 3, 99, 1000, 1459, 30001 };
	static const size_t pieces[] = { 4096, 2047, 3333 };
	const struct kind *k = &kinds[_i];

	for (size_t i = 0; i < ARRAY_LEN(payloads) * ARRAY_LEN(pieces); i++) {
		size_t len = lay(k, payloads[i / ARRAY_LEN(pieces)]);
		struct netpkt_headers h;

		cut(len, NETPKT_HEAD, pieces[i % ARRAY_LEN(pieces)]);
		ck_assert_int_eq(netpkt_headers(&pkt, &h), 0);
		put16(bytes + h.l4 + (k->protocol == 6 ? 16 : 6), pseudo(bytes, len, &h));
		pkt.meta.csum_partial = true;
		ck_assert_int_eq(netpkt_describe(&pkt), 0);
		ck_assert_uint_eq(pkt.meta.csum_start, h.l4);
		netpkt_fill_checksum(&pkt);
		ck_assert(!pkt.meta.csum_partial);
		ck_assert(pkt.meta.csum_valid);
		ck_assert_uint_eq(receiver_sum(bytes, len, &h), 0xffff);
	}
}
END_TEST

/* ---- segments ---- */

static uint8_t whole[70000]; /* the payloads of the segments, in order */
static size_t whole_len;
static unsigned nr_segments;
static unsigned max_payload;
static uint8_t last_flags, first_flags;

static void on_segment(void *arg, struct netpkt *s)
{
	const struct kind *k = arg;
	struct netpkt_headers h;
	uint8_t flat[70000];
	uint32_t seq;
	size_t n;

	ck_assert_int_eq(netpkt_headers(s, &h), 0);
	netpkt_copy_out(s, 0, flat, s->len);
	ck_assert_uint_eq(receiver_sum(flat, s->len, &h), 0xffff);
	if (k->version == 4) {
		ck_assert_uint_eq(slow_sum(0, flat + h.l3, 20), 0xffff);
		ck_assert_uint_eq(get16(flat + h.l3 + 2), s->len - h.l3);
		ck_assert_uint_eq(get16(flat + h.l3 + 4), 0x1234 + nr_segments);
	} else {
		ck_assert_uint_eq(get16(flat + h.l3 + 4), s->len - h.l3 - 40);
	}
	seq = (uint32_t)get16(flat + h.l4 + 4) << 16 | get16(flat + h.l4 + 6);
	ck_assert_uint_eq(seq, (uint32_t)(0xfffffff0 + whole_len));
	last_flags = flat[h.l4 + 13];
	if (!nr_segments)
		first_flags = last_flags;
	n = s->len - h.end;
	ck_assert_uint_le(n, max_payload);
	memcpy(whole + whole_len, flat + h.end, n);
	whole_len += n;
	nr_segments++;
}

START_TEST(segments_are_the_packet_again)
{
	static const struct {
		size_t payload;
		unsigned size, segments;
	} cases[] = { { 0, 1448, 1 },     { 1, 1448, 1 },     { 1448, 1448, 1 },
		      { 1449, 1448, 2 },  { 10000, 1448, 7 }, { 65000, 1460, 45 },
		      { 5000, 65535, 1 }, { 600, 1, 600 } };
	const struct kind *k = &kinds[_i];

	if (k->protocol != 6)
		return;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = lay(k, cases[i].payload), start = len - cases[i].payload;

		cut(len, NETPKT_HEAD, 4096);
		pkt.meta.csum_partial = true;
		pkt.meta.gso = k->version == 4 ? NETPKT_GSO_TCPV4 : NETPKT_GSO_TCPV6;
		pkt.meta.gso_size = (uint16_t)cases[i].size;
		ck_assert_int_eq(netpkt_describe(&pkt), 0);
		whole_len = nr_segments = 0;
		max_payload = cases[i].size;
		netpkt_segment(&pkt, on_segment, (void *)k);
		ck_assert_uint_eq(nr_segments, cases[i].segments);
		ck_assert_uint_eq(whole_len, cases[i].payload);
		ck_assert_mem_eq(whole, bytes + start, whole_len);
		/* FIN and PSH on the last, CWR on the first. */
		ck_assert_uint_eq(last_flags & 0x09, 0x09);
		ck_assert_uint_eq(first_flags & 0x80, 0x80);
		if (nr_segments > 1) {
			ck_assert_uint_eq(first_flags & 0x09, 0);
			ck_assert_uint_eq(last_flags & 0x80, 0);
		}
	}
}
END_TEST

/* ---- limits, hostile ---- */

START_TEST(headers_that_are_cut_short_are_refused)
{
	const struct kind *k = &kinds[_i];
	struct netpkt_headers h;
	size_t len = lay(k, 0);

	/* Each length that ends within a header: never believed, never read beyond. */
	for (size_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, bytes, n);
		memset(&pkt, 0, sizeof(pkt));
		pkt.iov[0] = (struct iovec){ copy, n };
		pkt.nr_iov = 1;
		pkt.len = (uint32_t)n;
		ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
		free(copy);
	}
}
END_TEST

START_TEST(lengths_within_headers_cannot_lead_outside)
{
	struct netpkt_headers h;
	size_t len;

	len = lay(&kinds[0], 0);
	bytes[14] = 0x44; /* IPv4 header of 16 bytes */
	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
	len = lay(&kinds[0], 0);
	bytes[14] = 0x4f; /* of 60: TCP's lies behind the end */
	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
	len = lay(&kinds[0], 0);
	bytes[14 + 20 + 12] = 0x40; /* TCP header of 16 */
	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
	len = lay(&kinds[0], 0);
	bytes[14 + 20 + 12] = 0xf0; /* of 60 */
	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
	len = lay(&kinds[6], 0);
	bytes[14 + 41] = 0xff; /* IPv6 options of 2048 */
	cut(len, NETPKT_HEAD, 4096);
	ck_assert_int_eq(netpkt_headers(&pkt, &h), -EINVAL);
}
END_TEST

START_TEST(what_cannot_be_asked_of_a_packet_is_refused)
{
	size_t len = lay(&kinds[1], 50); /* UDP */

	cut(len, NETPKT_HEAD, 4096);
	pkt.meta = (struct netpkt_meta){ .csum_partial = true,
		                         .gso = NETPKT_GSO_TCPV4,
		                         .gso_size = 9 };
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	len = lay(&kinds[0], 50);
	cut(len, NETPKT_HEAD, 4096);
	pkt.meta = (struct netpkt_meta){ .csum_partial = true, .gso = NETPKT_GSO_TCPV4 };
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	pkt.meta = (struct netpkt_meta){ .csum_partial = true,
		                         .gso = NETPKT_GSO_TCPV6,
		                         .gso_size = 9 };
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	pkt.meta = (struct netpkt_meta){ .gso = NETPKT_GSO_TCPV4, .gso_size = 9 };
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	/* A fragment of a datagram has no sum of its own. */
	put16(bytes + 14 + 6, 0x2000);
	pkt.meta = (struct netpkt_meta){ .csum_partial = true };
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	/* Neither has what is not IP. */
	put16(bytes + 12, 0x0806);
	ck_assert_int_eq(netpkt_describe(&pkt), -EINVAL);
	pkt.meta = (struct netpkt_meta){ 0 };
	ck_assert_int_eq(netpkt_describe(&pkt), 0);
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
	srandom(7);
	for (int i = 0; i < 20000; i++) {
		size_t len = lay(&kinds[random() % (long)ARRAY_LEN(kinds)],
		                 (size_t)(random() % 300));
		uint8_t *copy;

		for (int n = 0; n < 3; n++)
			bytes[random() % 90] = (uint8_t)random();
		len = (size_t)random() % (len + 1);
		copy = malloc(len + 1);
		memcpy(copy, bytes, len);
		memset(&pkt, 0, sizeof(pkt));
		pkt.len = (uint32_t)len;
		pkt.nr_iov = 1;
		pkt.iov[0] = (struct iovec){ copy, len < NETPKT_HEAD ? len : NETPKT_HEAD };
		if (len > NETPKT_HEAD)
			pkt.iov[pkt.nr_iov++] = (struct iovec){ copy + NETPKT_HEAD,
				                                len - NETPKT_HEAD };
		pkt.meta.csum_partial = true;
		if (i & 1) {
			pkt.meta.gso = i & 2 ? NETPKT_GSO_TCPV4 : NETPKT_GSO_TCPV6;
			pkt.meta.gso_size = (uint16_t)(random() % 1500);
		}
		if (!netpkt_describe(&pkt) && !pkt.meta.gso)
			netpkt_fill_checksum(&pkt);
		free(copy);
	}
}
END_TEST

Suite *netpkt_suite(void)
{
	Suite *s = suite_create("netpkt");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_loop_test(normal, headers_are_found_behind_tags_and_options, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(normal, a_checksum_is_what_the_receiver_expects, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(normal, segments_are_the_packet_again, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(limits, headers_that_are_cut_short_are_refused, 0, ARRAY_LEN(kinds));
	tcase_add_test(hostile, lengths_within_headers_cannot_lead_outside);
	tcase_add_test(hostile, what_cannot_be_asked_of_a_packet_is_refused);
	tcase_add_test(hostile, random_bytes_do_no_harm);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
