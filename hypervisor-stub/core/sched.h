/* SPDX-License-Identifier: MIT */
/*
 * vCPU threads: the loop that runs a vCPU, how it sleeps and how it is woken.
 *
 * An event sets bits in shared memory first, then hv_vcpu_wake(): a sleeping vCPU's thread is
 * signalled, a running vCPU that has not masked events is kicked.
 */
#ifndef HYPERVISOR_STUB_CORE_SCHED_H
#define HYPERVISOR_STUB_CORE_SCHED_H

#include <pthread.h>
#include <stdatomic.h>

#include "abi/sched.h"
#include "abi/vcpu.h"
#include "hypervisor-stub/core/types.h"

struct hv_vcpu_sched {
	pthread_mutex_t wake_lock;
	pthread_cond_t wake_cond; /* CLOCK_MONOTONIC */
	bool wake_flag;           /* set by hv_vcpu_wake() while asleep; under wake_lock */
	atomic_bool asleep;
	bool wants_block;         /* set by a handler: sleep once locks are dropped */
	bool polling;             /* SCHEDOP_poll: also woken by the polled ports */
	uint64_t poll_timeout_ns; /* system time; 0: none */
	evtchn_port_t poll_port;  /* one port; 0 when several */
	struct vcpu_runstate_info runstate;
	uint64_t runstate_area_va;
};

/* Any thread; wake_lock must not be held. */
void hv_vcpu_wake(struct hv_vcpu *v);
/* The body of a vCPU's thread. */
void *hv_vcpu_main(void *vcpu);

int64_t hv_do_sched_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_sched_op_compat(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_vcpu_op(struct hv_vcpu *v, const uint64_t *a); /* vcpu.c */

#endif
