/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: sched_op(cmd, arg), and set_timer_op(deadline).
 *
 * set_timer_op arms the calling vCPU's timer for an absolute system time in nanoseconds (0 disarms);
 * VIRQ_TIMER is raised then, at once when the time has passed. It is the same timer that
 * VCPUOP_set_singleshot_timer arms.
 */
#ifndef ABI_SCHED_H
#define ABI_SCHED_H

#include "abi/base.h"
#include "abi/event_channel.h"
#include "abi/handle.h"

#define SCHEDOP_yield           0 /* no argument; let others run */
#define SCHEDOP_block           1 /* no argument; unmask upcalls, sleep until one is due */
#define SCHEDOP_shutdown        2 /* struct sched_shutdown; does not return, save from a suspend */
#define SCHEDOP_poll            3 /* struct sched_poll; sleep until a port is pending */
#define SCHEDOP_remote_shutdown 4 /* struct sched_remote_shutdown; privileged */
#define SCHEDOP_shutdown_code   5 /* struct sched_shutdown; set the reason without stopping */
#define SCHEDOP_watchdog        6 /* struct sched_watchdog; returns the timer's number or 0 */
#define SCHEDOP_pin_override    7 /* struct sched_pin_override; privileged */

/* sched_shutdown.reason */
#define SHUTDOWN_poweroff   0
#define SHUTDOWN_reboot     1
#define SHUTDOWN_suspend    2
#define SHUTDOWN_crash      3
#define SHUTDOWN_watchdog   4
#define SHUTDOWN_soft_reset 5
#define SHUTDOWN_MAX        5

#ifndef __ASSEMBLY__

struct sched_shutdown {
	unsigned int reason; /* in: SHUTDOWN_* */
};
typedef struct sched_shutdown sched_shutdown_t;
DEFINE_XEN_GUEST_HANDLE(sched_shutdown_t);

/* Returns at once when a listed port is pending already, masked or not. */
struct sched_poll {
	XEN_GUEST_HANDLE(evtchn_port_t) ports; /* in */
	unsigned int nr_ports;                 /* in: at most 128 */
	uint64_t timeout;                      /* in: system time in ns; 0 none */
};
typedef struct sched_poll sched_poll_t;
DEFINE_XEN_GUEST_HANDLE(sched_poll_t);

struct sched_remote_shutdown {
	domid_t domain_id;   /* in */
	unsigned int reason; /* in: SHUTDOWN_* */
};
typedef struct sched_remote_shutdown sched_remote_shutdown_t;
DEFINE_XEN_GUEST_HANDLE(sched_remote_shutdown_t);

/* A timer that shuts the domain down unless it is set again in time. */
struct sched_watchdog {
	uint32_t id;      /* in: 0 takes a free one */
	uint32_t timeout; /* in: seconds; 0 frees the timer */
};
typedef struct sched_watchdog sched_watchdog_t;
DEFINE_XEN_GUEST_HANDLE(sched_watchdog_t);

struct sched_pin_override {
	int32_t pcpu; /* in: physical processor, negative to unpin */
};
typedef struct sched_pin_override sched_pin_override_t;
DEFINE_XEN_GUEST_HANDLE(sched_pin_override_t);

PV_ABI_SIZE(struct sched_shutdown, 4);
PV_ABI_SIZE(struct sched_poll, 24);
PV_ABI_FIELD(struct sched_poll, nr_ports, 8);
PV_ABI_FIELD(struct sched_poll, timeout, 16);
PV_ABI_SIZE(struct sched_remote_shutdown, 8);
PV_ABI_FIELD(struct sched_remote_shutdown, reason, 4);
PV_ABI_SIZE(struct sched_watchdog, 8);
PV_ABI_FIELD(struct sched_watchdog, timeout, 4);
PV_ABI_SIZE(struct sched_pin_override, 4);

#endif /* __ASSEMBLY__ */

#endif /* ABI_SCHED_H */
