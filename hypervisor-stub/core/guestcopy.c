/* SPDX-License-Identifier: MIT */
/*
 * The only door to guest memory by virtual address.
 *
 * Page by page: walk, check the right, copy through our own view of the frame, so that nothing a
 * guest can name is ever used as a pointer. An address that wraps around the top of the address
 * space meets the lower half again, as it does on the processor; nothing overflows.
 *
 * Invariant: what is written is a page that the guest's tables map writable; such a page has the
 * writable type and so is no table.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

static uint32_t code_of(const struct hv_vcpu *v, const struct hv_walk *w, bool write, bool fetch)
{
	return (w->present ? PFEC_P : 0) | (write ? PFEC_W : 0) | (fetch ? PFEC_I : 0) |
	       (v->in_kernel ? 0 : PFEC_U);
}

int hv_access_guest(struct hv_vcpu *v, void *buf, uint64_t va, size_t len, bool write, bool fetch,
                    uint64_t *fault_va, uint32_t *pfec)
{
	struct hv_domain *d = v->domain;
	uint8_t *mine = buf;

	while (len) {
		size_t off = va & (HV_PAGE_SIZE - 1), n = HV_PAGE_SIZE - off;
		struct hv_walk w;

		if (n > len)
			n = len;
		hv_walk(d, hv_vcpu_root(v), va, &w);
		if (!w.present || !w.user || (write && !w.writable) || (fetch && !w.executable)) {
			*fault_va = va;
			*pfec = code_of(v, &w, write, fetch);
			return -XEN_EFAULT;
		}
		hv_walk_mark(d, &w, write);
		if (write)
			memcpy((uint8_t *)w.ptr + off, mine, n);
		else
			memcpy(mine, (uint8_t *)w.ptr + off, n);
		mine += n;
		va += n;
		len -= n;
	}
	return 0;
}

int hv_copy_from_guest(struct hv_vcpu *v, void *dst, uint64_t va, size_t len)
{
	uint64_t fault_va;
	uint32_t pfec;

	return hv_access_guest(v, dst, va, len, false, false, &fault_va, &pfec);
}

int hv_copy_to_guest(struct hv_vcpu *v, uint64_t va, const void *src, size_t len)
{
	uint64_t fault_va;
	uint32_t pfec;

	/* Not changed: the copy goes the other way. */
	return hv_access_guest(v, (void *)(uintptr_t)src, va, len, true, false, &fault_va, &pfec);
}

bool hv_array_va(uint64_t base, uint64_t index, size_t size, uint64_t *va)
{
	uint64_t off;

	return !__builtin_mul_overflow(index, (uint64_t)size, &off) &&
	       !__builtin_add_overflow(base, off, va);
}
