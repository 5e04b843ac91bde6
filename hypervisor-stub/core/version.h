/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor says of itself: xen_version.
 */
#ifndef HYPERVISOR_STUB_CORE_VERSION_H
#define HYPERVISOR_STUB_CORE_VERSION_H

#include "hypervisor-stub/core/hv.h"

#define HV_XEN_MAJOR 4
#define HV_XEN_MINOR 17

int64_t hv_do_xen_version(struct hv_vcpu *v, const uint64_t *a);

#endif
