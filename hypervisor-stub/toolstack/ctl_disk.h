/* SPDX-License-Identifier: MIT */
/*
 * What a machine does with its guests' disks, and with no other devices, for those who ask over its
 * control socket.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_DISK_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_DISK_H

#include "hypervisor-stub/toolstack/ctl_device.h"

ctl_device_fn ctl_disk_resize; /* its name, a size or "" */

#endif
