/* SPDX-License-Identifier: MIT */
/*
 * Time: the clock that guests read without a hypercall, wall clock, and per-vCPU timers.
 */
#ifndef HYPERVISOR_STUB_CORE_TIME_H
#define HYPERVISOR_STUB_CORE_TIME_H

#include "hypervisor-stub/core/types.h"

struct hv_clock {
	/* TSC to nanoseconds as known now; refined while running, never with a step back. time.c */
	pthread_mutex_t lock;
	uint64_t boot_ns; /* CLOCK_MONOTONIC at machine start: guests' system time 0 */
	uint64_t tsc_base, ns_base;
	uint64_t first_tsc, first_ns;
	uint32_t mul;
	int8_t shift;
	uint32_t generation; /* rises whenever the scale changes */
	bool tsc_is_usable;
};

struct hv_domain_time {
	int64_t wallclock_offset_ns; /* system time + this = wall clock */
};

struct hv_vcpu_time {
	uint64_t singleshot_ns; /* system time of expiry; UINT64_MAX: off */
	uint64_t set_timer_ns;  /* HYPERVISOR_set_timer_op */
	uint64_t periodic_ns;   /* period; 0: off */
	uint64_t periodic_next_ns;
	uint32_t generation; /* of the scale that vcpu_time_info shows */
};

int hv_time_machine_init(struct hv_machine *m);
uint64_t hv_time_now(struct hv_machine *m);         /* system time, ns since machine start */
void hv_time_update_wallclock(struct hv_domain *d); /* writes shared_info */
void hv_time_update_vcpu(struct hv_vcpu *v); /* writes vcpu_time_info when it is out of date */
uint64_t hv_time_next_deadline(const struct hv_vcpu *v); /* system time; UINT64_MAX: none */
void hv_time_fire(struct hv_vcpu *v);                    /* raises what is due */

int64_t hv_do_set_timer_op(struct hv_vcpu *v, const uint64_t *a);

#endif
