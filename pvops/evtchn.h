/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports with a handler each, masks, and the dispatch of upcalls.
 *
 * A handler runs on the vCPU that its port is bound to, with events masked, and the pending bit
 * already cleared: an event that comes while it runs calls it again. Handlers may send, mask, unmask,
 * bind and close (their own port too); they do not wait.
 */
#ifndef PVOPS_EVTCHN_H
#define PVOPS_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/event_channel.h"
#include "pvops/frame.h"

typedef void (*pv_evtchn_fn)(evtchn_port_t port, void *arg);

/* Masks every port. Before the first upcall. */
void pv_evtchn_init(void);

/*
 * pv_evtchn_bind - give a port that exists already its handler, and unmask it
 *
 * The port must be bound to the vCPU `cpu` (those in start_info are bound to vCPU 0).
 * Returns 0; -XEN_EINVAL for a port outside the table; -XEN_EEXIST when it has a handler.
 * Undo: pv_evtchn_unbind(), which leaves the port open, or pv_evtchn_close().
 */
int pv_evtchn_bind(evtchn_port_t port, uint32_t cpu, pv_evtchn_fn fn, void *arg);
void pv_evtchn_unbind(evtchn_port_t port);

/*
 * New ports, each with its handler and unmasked; on the calling vCPU unless `cpu` is given.
 *
 * port:  out: the new port; unchanged on failure
 * Return 0, or a negative XEN_E* of the hypervisor's.
 * Undo:  pv_evtchn_close()
 */
int pv_evtchn_alloc_unbound(domid_t peer, pv_evtchn_fn fn, void *arg, evtchn_port_t *port);
int pv_evtchn_bind_interdomain(domid_t peer, evtchn_port_t peer_port, pv_evtchn_fn fn, void *arg,
                               evtchn_port_t *port);
int pv_evtchn_bind_virq(uint32_t virq, uint32_t cpu, pv_evtchn_fn fn, void *arg,
                        evtchn_port_t *port);
int pv_evtchn_bind_ipi(uint32_t cpu, pv_evtchn_fn fn, void *arg, evtchn_port_t *port);

/*
 * Masks the port, takes its handler away, closes it. No new call of the handler begins afterwards;
 * one that runs on another vCPU may still be running. Returns 0 or a negative XEN_E*.
 */
int pv_evtchn_close(evtchn_port_t port);

/* Tells the other end. Any context. Returns 0 or a negative XEN_E*. */
int pv_evtchn_send(evtchn_port_t port);

/*
 * mask:    no upcall for this port until it is unmasked; its pending bit still rises.
 * unmask:  and if it is pending, the handler runs (at once when events are enabled here).
 * Any context, any vCPU.
 */
void pv_evtchn_mask(evtchn_port_t port);
void pv_evtchn_unmask(evtchn_port_t port);

/* Takes the pending bit: true when it was set. For those who poll a port. */
bool pv_evtchn_take(evtchn_port_t port);

/*
 * As if the peer had sent an event to a port of the calling vCPU: for who took a pending bit and
 * must not keep it from the handler. The handler runs when events are enabled next.
 */
void pv_evtchn_raise(evtchn_port_t port);

/* Moves a port to another vCPU. Returns 0 or a negative XEN_E*. */
int pv_evtchn_set_cpu(evtchn_port_t port, uint32_t cpu);

/*
 * Sleeps, natively delivering what comes, else without delivering anything, until one of this vCPU's unmasked ports is pending or system
 * time reaches deadline_ns (0: none). Events masked by the caller. May return early.
 */
void pv_evtchn_sleep(uint64_t deadline_ns);
void pv_evtchn_poll(uint64_t deadline_ns); /* the paravirtual way */

/* Runs the handlers of all that is pending for this vCPU. Events masked by the caller. */
void pv_evtchn_dispatch(void);

/*
 * The upcall, called by entry.S with the interrupted state; with NULL by pv_irq_enable() when it
 * finds events that came while they were masked. Events masked.
 */
void pv_event_main(struct pv_frame *frame);

#endif /* PVOPS_EVTCHN_H */
