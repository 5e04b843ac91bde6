/* SPDX-License-Identifier: MIT */
/*
 * What a machine does with its guests' network interfaces for those who ask over its control socket.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_VIF_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_VIF_H

#include "hypervisor-stub/toolstack/ctl_peer.h"

/* Requests, as ctl_do.c has them; words: itself, the domain, and */
void ctl_vif_attach(struct peer *p,
                    const char *const *word); /* an interface, the caller's folder */
void ctl_vif_detach(struct peer *p, const char *const *word);  /* its number, "force" or "" */
void ctl_vif_list(struct peer *p, const char *const *word);    /* nothing */
void ctl_vif_restart(struct peer *p, const char *const *word); /* its number */

#endif
