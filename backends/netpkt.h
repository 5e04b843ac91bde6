/* SPDX-License-Identifier: MIT */
/*
 * What network back-ends and ports do to packets themselves: find the headers, fill a checksum in,
 * cut a large TCP packet into segments.
 *
 * Invariant: only the packet's own head (the first piece, our memory) is believed; bytes in guests'
 * pages are summed and copied, never looked at to decide.
 */
#ifndef BACKENDS_NETPKT_H
#define BACKENDS_NETPKT_H

#include "backends/netport.h"

/* Bytes of a packet that its first piece holds at the least, if it is that long: room for Ethernet,
 * two tags, IPv6 with options, and TCP with options. */
#define NETPKT_HEAD 192

/* Where things are in a packet. Offsets from its first byte. */
struct netpkt_headers {
	uint16_t l3, l4, end; /* end: first byte of the payload */
	uint8_t ip_version;   /* 4, 6; 0: neither */
	uint8_t protocol;     /* 6 TCP, 17 UDP; else 0: l4 and end are not set */
};

/* Returns 0; -EINVAL when a header says more than the packet holds. */
int netpkt_headers(const struct netpkt *p, struct netpkt_headers *h);

/*
 * netpkt_describe - sets csum_start, csum_offset and hdr_len of meta, for what csum_partial and gso
 * ask
 * Returns 0; -EINVAL when the packet is not such a one: no TCP or UDP, a GSO of the other family or
 * of size 0, headers beyond the head, a fragment of a datagram.
 */
int netpkt_describe(struct netpkt *p);

/* csum_partial: sums and stores; then csum_valid. The meta is one that netpkt_describe() made. */
void netpkt_fill_checksum(struct netpkt *p);

/*
 * netpkt_segment - cuts a packet with gso into packets of gso_size payload, checksums filled in
 * emit: gets each, valid during the call. p->iov is used up.
 */
void netpkt_segment(struct netpkt *p, void (*emit)(void *arg, struct netpkt *segment), void *arg);

/*
 * For packets whose sender leaves the IPv4 header's checksum, or with gso also the lengths in the
 * headers, to the hardware: fills in what ports and guests expect to find. The meta is one that
 * netpkt_describe() made; the head is our own copy.
 */
void netpkt_fill_ip_checksum(struct netpkt *p);
void netpkt_complete_gso(struct netpkt *p);

/*
 * netpkt_send - to a port, what it does not do itself being done before
 * lost: counts segments that found no room; half a packet cannot be taken
 * Returns how many packets were taken. One call at a time for each queue.
 */
unsigned netpkt_send(struct netport *port, unsigned queue, struct netpkt *p, unsigned nr,
                     unsigned *lost);

/* Copies from a packet's bytes; offset + len within it. */
void netpkt_copy_out(const struct netpkt *p, uint32_t offset, void *to, uint32_t len);

#endif
