/* SPDX-License-Identifier: MIT */
/* A network port whose other end is the test: it keeps the last packet, and sends what it is told. */
#ifndef TESTS_FAKE_FV_WIRE_H
#define TESTS_FAKE_FV_WIRE_H

#include "backends/netpkt.h"

struct fv_wire {
	struct netport p; /* the first member */
	struct netport_sink sink;
	uint8_t last[70000];
	uint32_t last_len;
	struct netpkt_meta last_meta;
	unsigned sent, room, wakes; /* room: packets taken before it is full */
};

void fv_wire_open(struct fv_wire *wire, bool offload);
/* A packet from outside; how many of its bytes found room. */
uint32_t fv_wire_come(struct fv_wire *wire, const void *bytes, uint32_t len, bool csum_valid);
/* Whether IPv4's and TCP's or UDP's sums of the last packet are right. */
bool fv_wire_sums_are_right(const struct fv_wire *wire);
/* The sum of RFC 1071, not inverted. */
uint16_t fv_wire_sum(const uint8_t *p, size_t len, uint32_t start);

#endif
