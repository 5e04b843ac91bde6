/* SPDX-License-Identifier: MIT */
/*
 * Physical to machine and back. The first table is our own memory, filled by the domain builder;
 * the second is the hypervisor's, one for all domains, and read-only.
 *
 * Natively there is neither: the two numbers are the same, and p2m is NULL.
 *
 * Invariant: pv_m2p() answers a pfn only when the first table agrees, so a foreign frame, whose
 * entry means something to another domain, is never taken for one of ours.
 */
#include "pvops/p2m.h"

#include "pvops/barrier.h"
#include "pvops/hypercall.h"

static uint64_t *p2m;
static uint64_t p2m_size;
static const uint64_t *m2p;
static uint64_t m2p_size;

int pv_p2m_init(const struct start_info *start)
{
	struct xen_machphys_mapping map;
	long rc = pv_hc_memory_op(XENMEM_machphys_mapping, &map);

	if (rc)
		return (int)rc;
	p2m = (uint64_t *)start->mfn_list;
	p2m_size = start->nr_pages;
	m2p = (const uint64_t *)map.v_start;
	m2p_size = map.max_mfn + 1;
	return 0;
}

void pv_p2m_init_identity(uint64_t pages)
{
	p2m_size = pages;
}

void pv_p2m_publish(uint64_t root_mfn)
{
	struct arch_shared_info *arch = &pv_shared_info->arch;

	arch->max_pfn = p2m_size;
	arch->p2m_generation = 0;
	arch->p2m_vaddr = (unsigned long)p2m;
	arch->pfn_to_mfn_frame_list_list = ~0ul; /* only the linear table is kept */
	pv_store_release(&arch->p2m_cr3, xen_pfn_to_cr3(root_mfn));
}

uint64_t pv_p2m_size(void)
{
	return p2m_size;
}

uint64_t pv_p2m(uint64_t pfn)
{
	if (pfn >= p2m_size)
		return PV_NO_FRAME;
	return p2m ? pv_load(&p2m[pfn]) : pfn;
}

uint64_t pv_m2p(uint64_t mfn)
{
	uint64_t pfn;

	if (!p2m)
		return mfn < p2m_size ? mfn : PV_NO_FRAME;
	if (mfn >= m2p_size)
		return PV_NO_FRAME;
	pfn = pv_load(&m2p[mfn]);
	return pv_p2m(pfn) == mfn ? pfn : PV_NO_FRAME;
}

void pv_p2m_set(uint64_t pfn, uint64_t mfn)
{
	if (p2m && pfn < p2m_size)
		pv_store(&p2m[pfn], mfn);
}
