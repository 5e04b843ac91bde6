/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor for the guest library on the host: the seam of pvops/hypercall.h, one vCPU per thread,
 * and a shared page. A test supplies the hypercalls it needs; all others answer ENOSYS.
 */
#ifndef TESTS_FAKE_FAKE_HYPERCALLS_H
#define TESTS_FAKE_FAKE_HYPERCALLS_H

#ifndef PV_HOSTED_TEST
#define PV_HOSTED_TEST
#endif

#include "abi/xen.h"
#include "pvops/cpu.h"

/* A hypercall of the test's: args are the six words. */
typedef long (*fake_hypercall_fn)(const unsigned long args[6]);

/*
 * Forgets all handlers and counts, zeroes the shared page, masks nothing, puts vCPU 0 on this thread.
 * pv_ops has operations on the event mask and nothing else; a test that wants the library's own says
 * pv_ops = pv_ops_xen afterwards.
 */
void fake_hypercalls_reset(void);

/* fn: NULL for ENOSYS again. */
void fake_hypercall_set(unsigned int nr, fake_hypercall_fn fn);

/* How often a number was called since the reset. */
unsigned int fake_hypercall_count(unsigned int nr);

/* A further vCPU, which the calling thread plays from now on. */
void fake_vcpu_enter(unsigned int id);

extern struct shared_info fake_shared_info;

#endif /* TESTS_FAKE_FAKE_HYPERCALLS_H */
