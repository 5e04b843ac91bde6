/* SPDX-License-Identifier: MIT */
/*
 * Clocks: system time (nanoseconds since the domain's start, never going back on any vCPU), wall
 * time, and each vCPU's one-shot timer.
 */
#ifndef PVOPS_TIME_H
#define PVOPS_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/xen.h"
#include "pvops/evtchn.h"

/*
 * pv_time_scale - (ticks shifted by `shift`) * mul / 2^32, without overflow in between
 *
 * shift: left when positive, right when negative; -63 to 63
 */
uint64_t pv_time_scale(uint64_t ticks, uint32_t mul, int shift);

/*
 * pv_time_snapshot - one consistent copy of a clock that the hypervisor may be writing
 *
 * Waits while an update is in progress. Pairs with the writer's order: odd version, fields, even.
 */
void pv_time_snapshot(const struct vcpu_time_info *shared, struct vcpu_time_info *copy);

/* System time of this vCPU at the value `tsc` of its counter. */
uint64_t pv_time_at(const struct vcpu_time_info *copy, uint64_t tsc);

/* The two clocks of pv_time_ops. */
uint64_t pv_time_now_ns(void);
uint64_t pv_time_wall_ns(void);

/*
 * Stops the hypervisor's periodic tick on this vCPU, which nobody asked for.
 * Returns 0 or a negative XEN_E*.
 */
int pv_time_init(void);

/*
 * The handler that runs on `cpu` when the timer armed by pv_timer_set() expires there. It may be
 * called early by a few ns of rounding, and once too often after the timer was moved.
 * Returns 0 or a negative XEN_E*; -XEN_EEXIST when that vCPU has one already.
 */
int pv_timer_bind(uint32_t cpu, pv_evtchn_fn fn, void *arg);

int pv_time_set_timer(uint64_t deadline_ns);

#endif /* PVOPS_TIME_H */
