/* SPDX-License-Identifier: MIT */
/*
 * Event channels: event_channel_op(cmd, arg).
 *
 * A port is a domain's number for one end of a channel. Invariant: ports are free-running small
 * numbers from 1 on (0 is never valid), below EVTCHN_2L_NR_CHANNELS; a port is delivered on one
 * vCPU, vCPU 0 until it is moved.
 *
 * "in" fields are the guest's, "out" fields are written by the hypervisor on success only. Every
 * operation returns 0 or a negative XEN_E*: EINVAL for a port or number out of range or in the
 * wrong state, ENOSPC when there is no port left, ESRCH for an unknown domain, EPERM for another's,
 * EEXIST for a virtual interrupt that is bound already, ENOENT for an unknown vCPU, EFAULT for arg.
 */
#ifndef ABI_EVENT_CHANNEL_H
#define ABI_EVENT_CHANNEL_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define EVTCHNOP_bind_interdomain 0  /* struct evtchn_bind_interdomain */
#define EVTCHNOP_bind_virq        1  /* struct evtchn_bind_virq */
#define EVTCHNOP_bind_pirq        2  /* struct evtchn_bind_pirq; EPERM: there are no devices */
#define EVTCHNOP_close            3  /* struct evtchn_close */
#define EVTCHNOP_send             4  /* struct evtchn_send */
#define EVTCHNOP_status           5  /* struct evtchn_status */
#define EVTCHNOP_alloc_unbound    6  /* struct evtchn_alloc_unbound */
#define EVTCHNOP_bind_ipi         7  /* struct evtchn_bind_ipi */
#define EVTCHNOP_bind_vcpu        8  /* struct evtchn_bind_vcpu */
#define EVTCHNOP_unmask           9  /* struct evtchn_unmask */
#define EVTCHNOP_reset            10 /* struct evtchn_reset */
#define EVTCHNOP_init_control     11 /* FIFO delivery: ENOSYS */
#define EVTCHNOP_expand_array     12 /* FIFO delivery: ENOSYS */
#define EVTCHNOP_set_priority     13 /* FIFO delivery: ENOSYS */

/* evtchn_bind_pirq.flags */
#define BIND_PIRQ__WILL_SHARE 1

/* evtchn_status.status */
#define EVTCHNSTAT_closed      0 /* the port is free */
#define EVTCHNSTAT_unbound     1 /* waits for the remote domain */
#define EVTCHNSTAT_interdomain 2 /* connected to a remote port */
#define EVTCHNSTAT_pirq        3
#define EVTCHNSTAT_virq        4
#define EVTCHNSTAT_ipi         5

#ifndef __ASSEMBLY__

typedef uint32_t evtchn_port_t;
DEFINE_XEN_GUEST_HANDLE(evtchn_port_t);

/* Ports of a domain with two-level delivery: 64 words of 64 bits. */
#define EVTCHN_2L_NR_CHANNELS (sizeof(xen_ulong_t) * sizeof(xen_ulong_t) * 64)

/* A free port in dom that remote_dom may bind to. dom other than DOMID_SELF: privileged. */
struct evtchn_alloc_unbound {
	domid_t dom;        /* in */
	domid_t remote_dom; /* in: DOMID_SELF for a channel within the domain */
	evtchn_port_t port; /* out */
};
typedef struct evtchn_alloc_unbound evtchn_alloc_unbound_t;

/*
 * Connect to an unbound port that remote_dom holds for the caller. The new port becomes pending at
 * once, for a notification may have been lost before.
 */
struct evtchn_bind_interdomain {
	domid_t remote_dom;        /* in */
	evtchn_port_t remote_port; /* in */
	evtchn_port_t local_port;  /* out */
};
typedef struct evtchn_bind_interdomain evtchn_bind_interdomain_t;

/* A port for a virtual interrupt. One that belongs to a domain, not a vCPU, wants vcpu 0. */
struct evtchn_bind_virq {
	uint32_t virq;      /* in: VIRQ_* */
	uint32_t vcpu;      /* in */
	evtchn_port_t port; /* out */
};
typedef struct evtchn_bind_virq evtchn_bind_virq_t;

/* A port for a physical interrupt line. */
struct evtchn_bind_pirq {
	uint32_t pirq;      /* in */
	uint32_t flags;     /* in: BIND_PIRQ__* */
	evtchn_port_t port; /* out */
};
typedef struct evtchn_bind_pirq evtchn_bind_pirq_t;

/* A port that any vCPU may send to and that is delivered on vcpu, for good. */
struct evtchn_bind_ipi {
	uint32_t vcpu;      /* in */
	evtchn_port_t port; /* out */
};
typedef struct evtchn_bind_ipi evtchn_bind_ipi_t;

/* Free a port. The other end of an interdomain channel becomes unbound. */
struct evtchn_close {
	evtchn_port_t port; /* in */
};
typedef struct evtchn_close evtchn_close_t;

/* Raise the event at the other end. Accepted and without effect while the port is unbound. */
struct evtchn_send {
	evtchn_port_t port; /* in: the local port */
};
typedef struct evtchn_send evtchn_send_t;

/* What a port is bound to. dom other than DOMID_SELF: privileged. */
struct evtchn_status {
	domid_t dom;        /* in */
	evtchn_port_t port; /* in */
	uint32_t status;    /* out: EVTCHNSTAT_* */
	uint32_t vcpu;      /* out: where it is delivered */
	union {
		struct {
			domid_t dom;
		} unbound;
		struct {
			domid_t dom;
			evtchn_port_t port;
		} interdomain;
		uint32_t pirq;
		uint32_t virq;
	} u; /* out */
};
typedef struct evtchn_status evtchn_status_t;

/* Move a port's delivery; not that of an IPI nor of a virtual interrupt that belongs to a vCPU. */
struct evtchn_bind_vcpu {
	evtchn_port_t port; /* in */
	uint32_t vcpu;      /* in */
};
typedef struct evtchn_bind_vcpu evtchn_bind_vcpu_t;

/* Clear the mask bit, and deliver what had come meanwhile: needed for a port of another vCPU. */
struct evtchn_unmask {
	evtchn_port_t port; /* in */
};
typedef struct evtchn_unmask evtchn_unmask_t;

/* Close all ports of a domain. */
struct evtchn_reset {
	domid_t dom; /* in */
};
typedef struct evtchn_reset evtchn_reset_t;

/* Argument of the old entry __HYPERVISOR_event_channel_op_compat: command and argument in one. */
struct evtchn_op {
	uint32_t cmd;
	union {
		evtchn_alloc_unbound_t alloc_unbound;
		evtchn_bind_interdomain_t bind_interdomain;
		evtchn_bind_virq_t bind_virq;
		evtchn_bind_pirq_t bind_pirq;
		evtchn_bind_ipi_t bind_ipi;
		evtchn_close_t close;
		evtchn_send_t send;
		evtchn_status_t status;
		evtchn_bind_vcpu_t bind_vcpu;
		evtchn_unmask_t unmask;
	} u;
};
typedef struct evtchn_op evtchn_op_t;
DEFINE_XEN_GUEST_HANDLE(evtchn_op_t);

PV_ABI_SIZE(struct evtchn_alloc_unbound, 8);
PV_ABI_FIELD(struct evtchn_alloc_unbound, remote_dom, 2);
PV_ABI_FIELD(struct evtchn_alloc_unbound, port, 4);
PV_ABI_SIZE(struct evtchn_bind_interdomain, 12);
PV_ABI_FIELD(struct evtchn_bind_interdomain, remote_port, 4);
PV_ABI_FIELD(struct evtchn_bind_interdomain, local_port, 8);
PV_ABI_SIZE(struct evtchn_bind_virq, 12);
PV_ABI_FIELD(struct evtchn_bind_virq, vcpu, 4);
PV_ABI_FIELD(struct evtchn_bind_virq, port, 8);
PV_ABI_SIZE(struct evtchn_bind_pirq, 12);
PV_ABI_FIELD(struct evtchn_bind_pirq, flags, 4);
PV_ABI_FIELD(struct evtchn_bind_pirq, port, 8);
PV_ABI_SIZE(struct evtchn_bind_ipi, 8);
PV_ABI_FIELD(struct evtchn_bind_ipi, port, 4);
PV_ABI_SIZE(struct evtchn_close, 4);
PV_ABI_SIZE(struct evtchn_send, 4);
PV_ABI_SIZE(struct evtchn_status, 24);
PV_ABI_FIELD(struct evtchn_status, port, 4);
PV_ABI_FIELD(struct evtchn_status, status, 8);
PV_ABI_FIELD(struct evtchn_status, vcpu, 12);
PV_ABI_FIELD(struct evtchn_status, u, 16);
PV_ABI_SIZE(struct evtchn_bind_vcpu, 8);
PV_ABI_FIELD(struct evtchn_bind_vcpu, vcpu, 4);
PV_ABI_SIZE(struct evtchn_unmask, 4);
PV_ABI_SIZE(struct evtchn_reset, 2);
PV_ABI_SIZE(struct evtchn_op, 28);
PV_ABI_FIELD(struct evtchn_op, u, 4);

#endif /* __ASSEMBLY__ */

#endif /* ABI_EVENT_CHANNEL_H */
