/* SPDX-License-Identifier: MIT */
/*
 * Where network benchmarks happen: a network namespace of this process's own, inside a user namespace
 * unless we are root, so that nothing of the machine's network is touched and nothing stays. In it a TAP
 * device for a guest, and a veth pair to a second namespace for what is native.
 */
#ifndef TESTS_BENCH_NET_PLACE_H
#define TESTS_BENCH_NET_PLACE_H

#include "tests/bench/net_native.h"

#define NET_TAP      "t0"
#define NET_GUEST_IP 0x0a000002u /* 10.0.0.2, behind the TAP device; we are 10.0.0.1 there */
#define NET_PEER_IP  0x0a020002u /* 10.2.0.2, behind the veth pair */

struct net_place {
	struct net_services host, peer; /* what serves here, and behind the veth pair */
	bool has_tap, has_veth;
};

/* This process, and what it starts from now on. False, with errno, when no namespace can be made. */
bool net_place_enter(void);
/* The devices and the services. False when not even the services here can be started. */
bool net_place_make(struct net_place *p);
void net_place_end(struct net_place *p);

#endif /* TESTS_BENCH_NET_PLACE_H */
