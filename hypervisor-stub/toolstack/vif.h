/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces as devices of a guest: what was written about one, its port, its back-end.
 *
 * LANs belong to the machine: one is made when its name is used first, and goes with its last
 * interface. All functions are the main thread's.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_VIF_H
#define HYPERVISOR_STUB_TOOLSTACK_VIF_H

#include <sys/types.h>

#include "backends/netback.h"
#include "hypervisor-stub/toolstack/device.h"
#include "hypervisor-stub/toolstack/vif_spec.h"

struct vif_lan;

struct vif {
	struct device dev; /* first */
	struct vif_spec spec;
	struct netport *port;
	struct vif_lan *lan; /* NULL: on none */
	pid_t passt;         /* the program that was started for it; 0: none */
	struct netback_stats past;
};

extern const struct device_kind vif_kind;

/*
 * Interfaces that are opened from now on write what passes into this file, unless they name another.
 * NULL: no longer. The text stays the caller's. Shorter than VIF_TEXT.
 */
void vif_capture_all(const char *path);

static inline struct vif *vif_of(struct device *dev)
{
	return (struct vif *)dev;
}

#endif
