/* SPDX-License-Identifier: MIT */
/*
 * The services of backends/device.h for a struct device, which is their argument.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_DEVICE_HOST_H
#define HYPERVISOR_STUB_TOOLSTACK_DEVICE_HOST_H

#include "hypervisor-stub/toolstack/device.h"

extern const struct be_host_ops device_host_ops;

#endif
