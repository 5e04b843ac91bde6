/* SPDX-License-Identifier: MIT */
/*
 * The network back-end: one virtual interface between a guest's netfront (Linux's, Mini-OS's, ours)
 * and a netport.
 *
 * It speaks netif: transmit and receive rings, scatter-gather, checksums and segmentation left to
 * the other side for IPv4 and IPv6 both ways, several queues, one event channel a queue or two, MAC
 * and MTU by the store, multicast filters politely refused, a rate limit, figures.
 *
 * Invariant: a slot is copied once, checked, and then only the copy is used; headers are copied
 * before anything is read from them, so what was checked is what is sent. Each transmit request is
 * answered once; receive responses use the buffer of their own index and no other. A malformed
 * packet is dropped and counted; a malformed ring shuts the interface with a complaint.
 */
#ifndef BACKENDS_NETBACK_H
#define BACKENDS_NETBACK_H

#include "backends/device.h"
#include "backends/netport.h"

struct netback;

struct netback_options {
	uint8_t mac[6];
	unsigned max_queues; /* 0: 4 */
	unsigned mtu;        /* 0: what the port says, else 1500 */
	uint64_t rate;       /* bytes a second out of the guest; 0: no limit */
};

/* What --stats shows; sums over queues since the device was made. */
struct netback_stats {
	uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors, tx_gso;
	uint64_t rx_packets, rx_bytes, rx_dropped, rx_gso;
	uint64_t events_in, events_out, stops; /* stops: times that send() took no more */
};

/*
 * netback_create - an interface that no front-end has seen yet
 * host: copied; port: stays the caller's, and outlives the back-end.
 * Returns 0 or -ENOMEM. Then the host drives it by netback_driver.
 */
int netback_create(struct netback **out, const struct be_host_dev *host, struct netport *port,
                   const struct netback_options *options);
/* Disconnected before. */
void netback_destroy(struct netback *b);
extern const struct be_driver netback_driver;

void netback_get_stats(struct netback *b, struct netback_stats *out);

#endif
