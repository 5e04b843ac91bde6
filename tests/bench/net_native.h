/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the network benchmark: a process with the services that tests/guests/netbench uses and
 * offers (UDP echo on port 7, UDP and TCP sinks on port 9, a TCP source on port 19), here or in a network
 * namespace of its own, and the same loads done by this process with plain sockets.
 *
 * Addresses are IPv4, in the host's byte order.
 */
#ifndef TESTS_BENCH_NET_NATIVE_H
#define TESTS_BENCH_NET_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a services' process has counted; shared memory. */
struct net_counts {
	uint64_t udp_packets, tcp_bytes;
	uint32_t ready;
};

struct net_services {
	pid_t pid;
	int go; /* a pipe: closed when its interfaces are there */
	struct net_counts *counts;
};

/*
 * Starts the process; apart: a command that makes the network of a namespace of its own, NULL: it stays in
 * ours. It serves from net_services_go() on. False: it cannot be.
 */
bool net_services_start(struct net_services *s, const char *apart);
bool net_services_go(struct net_services *s);
void net_services_end(struct net_services *s);

/* ---- loads, for so many ms ---- */

struct net_rtt {
	double min_ns, median_ns; /* 0: nothing came back */
};

/* Of n samples in ns, which it sorts. */
struct net_rtt net_rtt_of(double *samples, size_t n);

struct net_rtt net_native_rtt(uint32_t ip, unsigned ms);
/* 64-byte packets to port 9, as fast as they go; returns how many a second were sent, and may be lost. */
double net_native_flood(uint32_t ip, unsigned ms);
/* Bytes a second of a stream to port 9, or from port 19. */
double net_native_stream(uint32_t ip, bool out, unsigned ms);

/* The same over a unix socket pair, with a process at its other end. */
struct net_rtt net_pair_rtt(unsigned ms);
double net_pair_packets(unsigned ms);
double net_pair_stream(unsigned ms);

#endif /* TESTS_BENCH_NET_NATIVE_H */
