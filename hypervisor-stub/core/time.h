/* SPDX-License-Identifier: MIT */
/*
 * Time: the clock that guests read without a hypercall, wall clock, and per-vCPU timers.
 *
 * System time counts nanoseconds since the machine was created. It is a straight line over the TSC,
 * replaced from time to time by a better one; see time.c for why no reader ever sees it step back.
 */
#ifndef HYPERVISOR_STUB_CORE_TIME_H
#define HYPERVISOR_STUB_CORE_TIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "hypervisor-stub/core/types.h"

#define HV_TIME_NEVER UINT64_MAX

/* ns = ns_base + (shifted(tsc - tsc_base) * mul >> 32), as in vcpu_time_info. */
struct hv_time_line {
	uint64_t tsc_base, ns_base;
	uint32_t mul;
	int8_t shift;
};

/* One reading of both clocks: CLOCK_MONOTONIC said ns at a TSC in [tsc_lo, tsc_hi]. */
struct hv_time_sample {
	uint64_t tsc_lo, tsc_hi, ns;
};

struct hv_clock {
	pthread_mutex_t lock;
	uint64_t boot_ns;                /* CLOCK_MONOTONIC at machine start: system time 0 */
	bool is_calibrated;              /* `line` is in use */
	struct hv_time_line line;        /* the machine's best line so far */
	struct hv_time_sample anchor;    /* start of the window that measures the next rate */
	atomic_uint_least64_t refine_ns; /* system time when a better line is due */
	atomic_uint generation;          /* rises whenever `line` changes */
	bool tsc_is_usable;              /* else engines trap rdtsc, and it reads CLOCK_MONOTONIC */
};

struct hv_domain_time {
	int64_t wallclock_offset_ns; /* the domain's wall clock is the host's and this */
	uint64_t wallclock_base_ns;  /* as published: wall clock at system time 0 */
};

struct hv_vcpu_time {
	uint64_t singleshot_ns;            /* system time of expiry; HV_TIME_NEVER: off */
	atomic_uint_least64_t periodic_ns; /* period; 0: off. Any vCPU may set it */
	uint64_t periodic_last_ns;
	struct hv_time_line line; /* what vcpu_time_info says */
	uint32_t generation;      /* of the machine's line that it was made from; 0: none */
	bool dirty;               /* a timer changed: the two below are out of date */
	uint64_t deadline_tsc;    /* when hv_time_service() has work; HV_TIME_NEVER: never */
	atomic_uint_least64_t deadline_mono_ns; /* the same on CLOCK_MONOTONIC */
	uint64_t area_va;                       /* VCPUOP_register_vcpu_time_memory_area; 0: none */
	atomic_bool area_is_new; /* another vCPU registered it: v's thread has to fill it */
};

int hv_time_machine_init(struct hv_machine *m);
void hv_time_machine_fini(struct hv_machine *m);
void hv_time_vcpu_init(struct hv_vcpu *v);
/* The first line, from whatever time has passed since hv_time_machine_init() (at least 0.3 ms). */
void hv_time_calibrate(struct hv_machine *m);

uint64_t hv_time_host_ns(void);             /* CLOCK_MONOTONIC */
uint64_t hv_time_tsc(struct hv_machine *m); /* what rdtsc gives a guest */
uint64_t hv_time_now(struct hv_machine *m); /* system time, ns since machine start */
/* System time as v's own vcpu_time_info gives it. v's thread. */
uint64_t hv_time_vcpu_now(struct hv_vcpu *v);
/* Writes shared_info when the wall clock differs. vCPU 0's thread, or before it is started. */
void hv_time_update_wallclock(struct hv_domain *d);
/* Writes vcpu_time_info when it is out of date. v's thread, or v has not started. */
void hv_time_update_vcpu(struct hv_vcpu *v);

/* Whether hv_time_service() has something to do: cheap, for every turn of the vCPU's loop. */
bool hv_time_is_due(struct hv_vcpu *v);
/* Refines the clock, brings vcpu_time_info up to date, raises timers. v's thread, no lock held. */
void hv_time_service(struct hv_vcpu *v);
/* CLOCK_MONOTONIC at which a vCPU that sleeps until a system time must wake. */
uint64_t hv_time_to_host(struct hv_vcpu *v, uint64_t system_ns);

/* The straight line itself; time.c, and its tests. */
uint64_t hv_time_line_ns(const struct hv_time_line *l, uint64_t tsc);
/* The next line after *l: from a TSC on where the truth was truth_ns, at a rate, never back. */
void hv_time_line_next(struct hv_time_line *l, uint64_t tsc, uint64_t truth_ns, uint32_t mul,
                       int8_t shift);
/* The lowest rate that two readings allow. False when they are too close. */
bool hv_time_rate(const struct hv_time_sample *a, const struct hv_time_sample *b, uint32_t *mul,
                  int8_t *shift);
/* Takes a reading into account: new line, new generation. Lock: clock->lock. */
void hv_time_refine(struct hv_clock *c, const struct hv_time_sample *s);

int64_t hv_do_set_timer_op(struct hv_vcpu *v, const uint64_t *a);

#endif
