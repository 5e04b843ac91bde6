/* SPDX-License-Identifier: MIT */
/*
 * Devices of any kind that come to a domain, leave it, or are looked at, because somebody asked for
 * it over the control socket.
 *
 * A device that is to leave is waited for, for some time: the guest may be using it. When it does not
 * let go the one who asked is told so, and it leaves as soon as the guest does.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_DEVICE_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_DEVICE_H

#include "hypervisor-stub/toolstack/ctl_peer.h"

struct device;
struct device_kind;

/* A request, as ctl_do.c has them; words: itself, the domain, and what is said at each. */
typedef void ctl_device_fn(struct peer *p, const struct device_kind *kind, const char *const *word);

ctl_device_fn ctl_device_attach; /* a text about it, the caller's folder */
/* The peer is answered when it has gone, or does not go; with "force" it goes at once. */
ctl_device_fn ctl_device_detach;  /* its name, "force" or "" */
ctl_device_fn ctl_device_list;    /* nothing */
ctl_device_fn ctl_device_restart; /* its name */

/*
 * The device that a request names in its third word; NULL: there is none, and the peer has been
 * told. seat: out: whose it is; may be NULL.
 */
struct device *ctl_device_need(struct peer *p, const struct device_kind *kind,
                               const char *const *word, struct seat **seat);
/* Devices that were to leave that domain are gone: one of them may be the peer's. */
void ctl_device_left(struct peer *p, struct seat *s);
/* The peer waits for no device any more. */
void ctl_device_stop(struct peer *p);

#endif
