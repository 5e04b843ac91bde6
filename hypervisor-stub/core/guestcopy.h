/* SPDX-License-Identifier: MIT */
/*
 * The only door to guest memory by virtual address.
 *
 * Every access walks the page tables of the vCPU's current root with the domain's lock held and
 * obeys their rights; what cannot be reached is -XEN_EFAULT, after however many bytes were copied.
 */
#ifndef HYPERVISOR_STUB_CORE_GUESTCOPY_H
#define HYPERVISOR_STUB_CORE_GUESTCOPY_H

#include "hypervisor-stub/core/hv.h"

int hv_copy_from_guest(struct hv_vcpu *v, void *dst, uint64_t va, size_t len);
int hv_copy_to_guest(struct hv_vcpu *v, uint64_t va, const void *src, size_t len);
/* As above, and in *fault_va and *pfec the first byte that failed and the #PF error code for it. */
int hv_access_guest(struct hv_vcpu *v, void *buf, uint64_t va, size_t len, bool write, bool fetch,
                    uint64_t *fault_va, uint32_t *pfec);
/* Element i of an array of guest structures: false when the address computation would overflow. */
bool hv_array_va(uint64_t base, uint64_t index, size_t size, uint64_t *va);

#endif
