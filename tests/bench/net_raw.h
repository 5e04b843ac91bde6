/* SPDX-License-Identifier: MIT */
/*
 * What a TAP device itself costs: a program that writes and reads packets as they are, with no guest and no
 * network stack of its own. What a guest's back-end does for each packet cannot be cheaper than this.
 */
#ifndef TESTS_BENCH_NET_RAW_H
#define TESTS_BENCH_NET_RAW_H

#include "tests/bench/net_native.h"

/*
 * Makes the device "raw" with 10.1.0.1 for the host and a neighbour 10.1.0.2, which is this program. Its
 * descriptor; -1: it cannot be.
 */
int net_raw_open(void);

/* Round trips to the host's echo service. */
struct net_rtt net_raw_rtt(int fd, unsigned ms);
/* 64-byte packets a second: written, and read while a process sends them as fast as it can. */
double net_raw_out(int fd, unsigned ms);
double net_raw_in(int fd, unsigned ms);

#endif /* TESTS_BENCH_NET_RAW_H */
