/* SPDX-License-Identifier: MIT */
/*
 * Devices of any kind that leave a domain because somebody asked for it over the control socket.
 *
 * A device that is to leave is waited for, for some time: the guest may be using it. When it does not
 * let go the one who asked is told so, and it leaves as soon as the guest does.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_DEVICE_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_DEVICE_H

#include "hypervisor-stub/toolstack/ctl_peer.h"

struct device;

/* The peer is answered when it has gone, or does not go. force: at once. */
void ctl_device_detach(struct peer *p, struct seat *s, struct device *dev, bool force);
/* Devices that were to leave that domain are gone: one of them may be the peer's. */
void ctl_device_left(struct peer *p, struct seat *s);
/* The peer waits for no device any more. */
void ctl_device_stop(struct peer *p);

#endif
