/* SPDX-License-Identifier: MIT */
/*
 * How a vCPU's thread rests while its vCPU is blocked or down: it looks around for a moment when rests have
 * been short, then sleeps; and it serves descriptors that back-ends have lent to it, so that what arrives
 * for a sleeping guest wakes one thread, which then runs the guest.
 */
#ifndef HYPERVISOR_STUB_CORE_REST_H
#define HYPERVISOR_STUB_CORE_REST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hv_vcpu;

#define HV_REST_LENT 4 /* descriptors for one vCPU */

struct hv_lent {
	void (*ready)(void *arg); /* NULL: not in use */
	void *arg;
	int fd;
};

struct hv_rest {
	/* How the thread sleeps now; under wake_lock. */
	enum { HV_REST_AWAKE, HV_REST_ON_COND, HV_REST_ON_EPOLL } how;
	/* How long a rest looks before it sleeps, by what the last ones were like. The thread's own. */
	uint64_t look_ns, looks_again_ns, pause_ns;

	pthread_mutex_t lent_lock; /* held while a ready() runs; before any other lock of ours */
	struct hv_lent lent[HV_REST_LENT];
	atomic_uint nr_lent;
	int epoll, bell; /* -1: nothing was ever lent */
};

void hv_rest_init(struct hv_vcpu *v);
void hv_rest_fini(struct hv_vcpu *v);

/* Whether v has nothing to run. Any thread. */
bool hv_rest_is_due(struct hv_vcpu *v);
/* Until v has something to do or look at, or a moment of CLOCK_MONOTONIC; or sooner. v's thread. */
void hv_rest(struct hv_vcpu *v, uint64_t host_ns);
/* v has something to do or to look at, which has been written already. Any thread; not wake_lock. */
void hv_rest_end(struct hv_vcpu *v);

/*
 * hv_rest_lend - v's thread looks after a descriptor while it rests
 *
 * fd:    watched for input, edge-triggered and exclusively: of several that watch it so, the first one that
 *        sleeps is woken, and this comes before those that begin to watch later
 * ready: called by v's thread, while it rests, when there may be input: reads what there is. It may make v run.
 * Returns a number for hv_rest_take_back(); -ENOSPC; -ENOSYS: this host cannot.
 */
int hv_rest_lend(struct hv_vcpu *v, int fd, void (*ready)(void *arg), void *arg);
/* ready() does not run when this returns, nor will it. Not from within. */
void hv_rest_take_back(struct hv_vcpu *v, int number);

#endif
