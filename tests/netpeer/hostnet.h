/* SPDX-License-Identifier: MIT */
/*
 * The small network stack of the guests (tests/guests/unix/net) in a process of the host, on the other
 * end of a guest's stream port. One thread; whoever waits in the stack does the work meanwhile.
 */
#ifndef TESTS_NETPEER_HOSTNET_H
#define TESTS_NETPEER_HOSTNET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/unix/net/net.h"

/* A stack with this address on a connected stream socket, for the life of the process. */
struct net *hostnet_open(int fd, uint32_t ip, uint32_t mask);

/*
 * Carries what has come and what can leave; waits up to timeout_ms for something to do, also on other_fd
 * (-1: none) for something to read. False: the guest's side has hung up.
 */
bool hostnet_step(int other_fd, int timeout_ms);

#endif /* TESTS_NETPEER_HOSTNET_H */
