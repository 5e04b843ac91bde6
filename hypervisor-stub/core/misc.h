/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls that a domain without devices and without privilege may make, and is mostly refused.
 */
#ifndef HYPERVISOR_STUB_CORE_MISC_H
#define HYPERVISOR_STUB_CORE_MISC_H

#include "hypervisor-stub/core/hv.h"

int64_t hv_do_physdev_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_physdev_op_compat(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_vm_assist(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_hvm_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_dm_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_xenoprof_op(struct hv_vcpu *v, const uint64_t *a);
/* For a toolstack; refused after a look at the interface's version, as Xen does. */
int64_t hv_do_sysctl(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_domctl(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_platform_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_paging_domctl(struct hv_vcpu *v, const uint64_t *a);
/* Services that are switched off: -XEN_EOPNOTSUPP. */
int64_t hv_do_not_offered(struct hv_vcpu *v, const uint64_t *a);

#endif
