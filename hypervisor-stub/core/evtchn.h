/* SPDX-License-Identifier: MIT */
/*
 * Event channels, 2-level ABI.
 *
 * A port's binding is changed under machine->evtchn_lock; its pending and mask bits live in guest
 * memory and change atomically. A port may be bound to a back-end that lives in this process (a
 * "host port").
 */
#ifndef HYPERVISOR_STUB_CORE_EVTCHN_H
#define HYPERVISOR_STUB_CORE_EVTCHN_H

#include "abi/event_channel.h"
#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"

struct hv_evtchn_port; /* evtchn.c */

struct hv_domain_evtchn {
	struct hv_evtchn_port *ports; /* [EVTCHN_2L_NR_CHANNELS] */
	unsigned nr_valid;            /* ports below this exist: it grows in steps, as in Xen */
	uint16_t virq_port[HV_MAX_VCPUS][NR_VIRQS]; /* 0: not bound; per-domain ones at vCPU 0 */
};

int hv_evtchn_domain_init(struct hv_domain *d);
void hv_evtchn_domain_fini(struct hv_domain *d);

/*
 * A back-end in this process takes the remote end of a new port of d.
 * notify: called when the guest sends; on the sending vCPU's thread, no lock held.
 */
typedef void hv_host_notify_fn(void *arg);
int hv_evtchn_bind_host(struct hv_domain *d, hv_host_notify_fn *notify, void *arg,
                        evtchn_port_t *port);
/* A back-end binds to a port that the guest left unbound for it (remote domid 0). 0 or -XEN_E*. */
int hv_evtchn_accept_host(struct hv_domain *d, evtchn_port_t port, hv_host_notify_fn *notify,
                          void *arg);
/*
 * The back-end gives its end up. Until it has done so a port number is not used again, even when
 * the guest has closed its own end. When this returns, notify is not running and will not be
 * called again; so it must not be called from notify.
 */
void hv_evtchn_close_host(struct hv_domain *d, evtchn_port_t port);
/* The back-end sends to the guest. Any thread, no lock held. */
void hv_evtchn_notify_guest(struct hv_domain *d, evtchn_port_t port);

/* Raises a virq on a vCPU (VIRQ_TIMER, VIRQ_DEBUG...). Any context but evtchn_lock held. */
void hv_evtchn_raise_virq(struct hv_vcpu *v, unsigned virq);
/* Whether v has a port for it; a glance without a lock. */
bool hv_evtchn_virq_is_bound(const struct hv_vcpu *v, unsigned virq);
/* SCHEDOP_poll: 1 when the port is pending, 0 when not, -XEN_EINVAL when there is no such port. */
int hv_evtchn_is_pending(struct hv_domain *d, evtchn_port_t port);
/* Can a struct vcpu_info lie at this offset of a page? */
bool hv_evtchn_info_fits(unsigned offset);

/*
 * Moves vcpu_info elsewhere (VCPUOP_register_vcpu_info): pending bits are not lost. v is the caller
 * or is down. 0 or -XEN_E*. Lock: domain.
 */
int hv_evtchn_move_vcpu_info(struct hv_vcpu *v, mfn_t mfn, unsigned offset);

int64_t hv_do_event_channel_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_event_channel_op_compat(struct hv_vcpu *v, const uint64_t *a);

#endif
