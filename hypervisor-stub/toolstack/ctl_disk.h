/* SPDX-License-Identifier: MIT */
/*
 * What a machine does with its guests' disks for those who ask over its control socket.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_DISK_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_DISK_H

#include "hypervisor-stub/toolstack/ctl_peer.h"

/* Requests, as ctl_do.c has them; words: itself, the domain, and */
void ctl_disk_attach(struct peer *p, const char *const *word);  /* a disk, the caller's folder */
void ctl_disk_detach(struct peer *p, const char *const *word);  /* its name, "force" or "" */
void ctl_disk_list(struct peer *p, const char *const *word);    /* nothing */
void ctl_disk_resize(struct peer *p, const char *const *word);  /* its name, a size or "" */
void ctl_disk_restart(struct peer *p, const char *const *word); /* its name */

#endif
