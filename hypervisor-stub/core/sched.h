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
#include "hypervisor-stub/core/rest.h"
#include "hypervisor-stub/core/types.h"

#define HV_WATCHDOGS     2
#define HV_POLL_ANY_PORT UINT32_MAX

struct hv_vcpu_sched {
	pthread_mutex_t wake_lock;
	pthread_cond_t wake_cond; /* CLOCK_MONOTONIC */
	struct hv_rest rest;
	/*
	 * Set by v's own thread when it asks to sleep (SCHEDOP_block, SCHEDOP_poll), cleared by
	 * whoever wakes it; while it is set the thread sleeps.
	 */
	atomic_bool blocked;
	atomic_bool attention; /* the loop must look around: the end, up or down, a new timer */
	atomic_uint_least32_t poll_port; /* one port, or HV_POLL_ANY_PORT */
	uint64_t poll_timeout_ns;        /* system time; 0: none, or not polling */
	atomic_uint_least64_t woken_ns; /* system time of the wake-up: the vCPU is runnable since */

	struct vcpu_runstate_info runstate; /* under wake_lock */
	uint64_t runstate_area_va;          /* 0: none; under domain->lock */

	/* Host time until which v may run before it asks for more of its domain's share; 0 without a
	 * cap. v's own thread's. */
	uint64_t slice_end_ns;
};

/* A domain's share of processor time, all its vCPUs together. */
struct hv_cap {
	pthread_mutex_t lock; /* a leaf */
	uint64_t budget_ns;   /* in each period; 0: no cap */
	uint64_t period;      /* number of the one that left_ns is for */
	int64_t left_ns;      /* negative: owed by those before */
};

struct hv_domain_sched {
	atomic_uint poll_mask; /* vCPUs in SCHEDOP_poll that an event may wake */
	int shutdown_code;     /* SCHEDOP_shutdown_code; -1: none. Under domain->lock */
	atomic_uint_least64_t watchdog_ns[HV_WATCHDOGS]; /* system time; HV_TIME_NEVER: stopped */
	unsigned watchdogs_in_use;                       /* bit mask; under domain->lock */
	struct hv_cap cap;
};

#define HV_CAP_PERIOD_NS UINT64_C(100000000)

/*
 * hv_sched_set_cap - bounds the processor time of a domain
 * percent: of one processor, for all its vCPUs together; 0: no bound
 * Before the domain is started. What counts is the time in which a vCPU wants to run, so on a busy
 * host a domain may get less than its cap, never more.
 */
void hv_sched_set_cap(struct hv_domain *d, unsigned percent);

int hv_sched_vcpu_init(struct hv_vcpu *v);
void hv_sched_vcpu_fini(struct hv_vcpu *v);
/* The body of a vCPU's thread. */
void *hv_vcpu_main(void *vcpu);

/* v has something to do: ends its sleep, or stops it when it runs and takes events. Any thread;
 * wake_lock must not be held. */
void hv_vcpu_wake(struct hv_vcpu *v);
/* v's loop must look around soon, whatever it does now. Any thread; wake_lock must not be held. */
void hv_vcpu_poke(struct hv_vcpu *v);
/* An event arrived on a port: a mask of the vCPUs that poll for it, which the caller wakes. Any
 * thread, after the bit was set. */
uint32_t hv_sched_take_pollers(struct hv_domain *d, evtchn_port_t port);

/* The vCPU's runstate now, times included. Takes wake_lock. */
void hv_sched_runstate_get(struct hv_vcpu *v, struct vcpu_runstate_info *out);
void hv_sched_runstate_set(struct hv_vcpu *v, int state);
/* Copies it to the area that the guest registered, if there is one. v's thread, no lock held. */
void hv_sched_runstate_publish(struct hv_vcpu *v);

int64_t hv_do_sched_op(struct hv_vcpu *v, const uint64_t *a);        /* schedop.c */
int64_t hv_do_sched_op_compat(struct hv_vcpu *v, const uint64_t *a); /* schedop.c */
/* The earliest watchdog of the domain; HV_TIME_NEVER: none. Ends the domain when one is due. */
uint64_t hv_sched_watchdog(struct hv_domain *d, uint64_t now_ns);

int64_t hv_do_vcpu_op(struct hv_vcpu *v, const uint64_t *a); /* vcpuop.c */
/* Gives a vCPU that has not started the state in ctx. Lock: domain. 0 or -XEN_E*. (vcpuop.c) */
int hv_vcpu_set_context(struct hv_vcpu *v, const struct vcpu_guest_context *ctx);
/* Makes an initialised vCPU run; its thread is started when it has none. Lock: domain. */
int hv_vcpu_bring_up(struct hv_vcpu *v);

#endif
