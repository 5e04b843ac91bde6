/* SPDX-License-Identifier: MIT */
/*
 * Operations on vCPUs: vcpu_op(cmd, vcpu, arg).
 *
 * A vCPU is brought up in two steps: VCPUOP_initialise once with its whole state, then VCPUOP_up.
 * The single-shot timer is the calling vCPU's own. Unknown vCPU: ENOENT.
 */
#ifndef ABI_VCPU_H
#define ABI_VCPU_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define VCPUOP_initialise                     0 /* struct vcpu_guest_context; EEXIST the 2nd time */
#define VCPUOP_up                             1 /* no argument; EINVAL before initialise */
#define VCPUOP_down                           2 /* no argument */
#define VCPUOP_is_up                          3 /* no argument; returns 1 or 0 */
#define VCPUOP_get_runstate_info              4 /* struct vcpu_runstate_info, out */
#define VCPUOP_register_runstate_memory_area  5 /* struct vcpu_register_runstate_memory_area */
#define VCPUOP_set_periodic_timer             6 /* struct vcpu_set_periodic_timer */
#define VCPUOP_stop_periodic_timer            7 /* no argument */
#define VCPUOP_set_singleshot_timer           8 /* struct vcpu_set_singleshot_timer */
#define VCPUOP_stop_singleshot_timer          9 /* no argument */
#define VCPUOP_register_vcpu_info             10 /* struct vcpu_register_vcpu_info */
#define VCPUOP_send_nmi                       11 /* no argument */
#define VCPUOP_get_physid                     12 /* struct vcpu_get_physid; privileged */
#define VCPUOP_register_vcpu_time_memory_area 13 /* struct vcpu_register_time_memory_area */

/* vcpu_runstate_info.state and the index of its time[] */
#define RUNSTATE_running  0 /* on a processor */
#define RUNSTATE_runnable 1 /* wants one */
#define RUNSTATE_blocked  2 /* sleeps */
#define RUNSTATE_offline  3 /* down or paused */

/* Set in state_entry_time while the hypervisor writes; VMASST_TYPE_runstate_update_flag. */
#define XEN_RUNSTATE_UPDATE (xen_mk_ullong(1) << 63)

/* vcpu_set_singleshot_timer.flags: answer ETIME, do not arm, when the time has passed. */
#define _VCPU_SSHOTTMR_future 0
#define VCPU_SSHOTTMR_future  (xen_mk_uint(1) << _VCPU_SSHOTTMR_future)

#ifndef __ASSEMBLY__

/* Where a vCPU's time went. The hypervisor writes it, on every change of state. */
struct vcpu_runstate_info {
	int state;                 /* RUNSTATE_* */
	uint64_t state_entry_time; /* system time in ns */
	uint64_t time[4];          /* ns in each state before that */
};
typedef struct vcpu_runstate_info vcpu_runstate_info_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_runstate_info_t);

/* An area of the guest's that follows the runstate; a virtual address of the kernel's root. */
struct vcpu_register_runstate_memory_area {
	union {
		XEN_GUEST_HANDLE(vcpu_runstate_info_t) h;
#ifndef PARAVANE_HOST_ABI
		struct vcpu_runstate_info *v;
#endif
		uint64_t p;
	} addr; /* in */
};
typedef struct vcpu_register_runstate_memory_area vcpu_register_runstate_memory_area_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_register_runstate_memory_area_t);

struct vcpu_set_periodic_timer {
	uint64_t period_ns; /* in: at least 1 ms */
};
typedef struct vcpu_set_periodic_timer vcpu_set_periodic_timer_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_set_periodic_timer_t);

struct vcpu_set_singleshot_timer {
	uint64_t timeout_abs_ns; /* in: system time */
	uint32_t flags;          /* in: VCPU_SSHOTTMR_* */
};
typedef struct vcpu_set_singleshot_timer vcpu_set_singleshot_timer_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_set_singleshot_timer_t);

/*
 * Move a vCPU's vcpu_info out of shared_info, once and for good: EINVAL the second time. The whole
 * structure lies in one frame; the contents are moved with it, and all ports are delivered anew.
 */
struct vcpu_register_vcpu_info {
	uint64_t mfn;    /* in */
	uint32_t offset; /* in: bytes, a multiple of 8 */
	uint32_t rsvd;   /* in: 0 */
};
typedef struct vcpu_register_vcpu_info vcpu_register_vcpu_info_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_register_vcpu_info_t);

struct vcpu_get_physid {
	uint64_t phys_id; /* out */
};
typedef struct vcpu_get_physid vcpu_get_physid_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_get_physid_t);

#define xen_vcpu_physid_to_x86_apicid(physid) ((uint32_t)(physid))
#define xen_vcpu_physid_to_x86_acpiid(physid) ((uint32_t)((physid) >> 32))

/* A second copy of the vCPU's clock, which a kernel may show to its user programs. */
struct vcpu_register_time_memory_area {
	union {
		XEN_GUEST_HANDLE(vcpu_time_info_t) h;
#ifndef PARAVANE_HOST_ABI
		struct vcpu_time_info *v;
#endif
		uint64_t p;
	} addr; /* in */
};
typedef struct vcpu_register_time_memory_area vcpu_register_time_memory_area_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_register_time_memory_area_t);

PV_ABI_SIZE(struct vcpu_runstate_info, 48);
PV_ABI_FIELD(struct vcpu_runstate_info, state_entry_time, 8);
PV_ABI_FIELD(struct vcpu_runstate_info, time, 16);
PV_ABI_SIZE(struct vcpu_register_runstate_memory_area, 8);
PV_ABI_SIZE(struct vcpu_set_periodic_timer, 8);
PV_ABI_SIZE(struct vcpu_set_singleshot_timer, 16);
PV_ABI_FIELD(struct vcpu_set_singleshot_timer, flags, 8);
PV_ABI_SIZE(struct vcpu_register_vcpu_info, 16);
PV_ABI_FIELD(struct vcpu_register_vcpu_info, offset, 8);
PV_ABI_FIELD(struct vcpu_register_vcpu_info, rsvd, 12);
PV_ABI_SIZE(struct vcpu_get_physid, 8);
PV_ABI_SIZE(struct vcpu_register_time_memory_area, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_VCPU_H */
