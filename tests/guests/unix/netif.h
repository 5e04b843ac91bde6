/* SPDX-License-Identifier: MIT */
/*
 * The kernel's one network stack (net/), and the interface below it.
 */
#ifndef TESTS_GUESTS_UNIX_NETIF_H
#define TESTS_GUESTS_UNIX_NETIF_H

#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/net/net.h"

/*
 * The stack. It is made, and the first interface connected, when it is asked for first; later an
 * interface is looked for again as long as there is none. Waits. NULL: no memory.
 */
struct net *netif_stack(void);

/* The calls of the same names: 0 or -E*. */
int netif_info(struct unix_netinfo *info);
int netif_config(const struct unix_netaddr *addr);
/* Nanoseconds, or -E*. */
long netif_ping(uint32_t ip, unsigned int bytes, uint64_t limit_ns);

#endif /* TESTS_GUESTS_UNIX_NETIF_H */
