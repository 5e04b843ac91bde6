/* SPDX-License-Identifier: MIT */
/*
 * Sockets: the stack (net/) as programs see it, by descriptors. Each call of abi.h's UNIX_NET_CALLS is
 * a function here; it gets the program's registers and returns what goes into rax.
 */
#ifndef TESTS_GUESTS_UNIX_SOCKET_H
#define TESTS_GUESTS_UNIX_SOCKET_H

#include "pvops/frame.h"
#include "tests/guests/unix/abi.h"

#define NET_CALL(name) long net_call_##name(struct pv_frame *f);
UNIX_NET_CALLS(NET_CALL)
#undef NET_CALL

#endif /* TESTS_GUESTS_UNIX_SOCKET_H */
