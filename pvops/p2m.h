/* SPDX-License-Identifier: MIT */
/*
 * The tables between pseudo-physical frames (pfn: what the kernel counts in) and machine frames
 * (mfn: what page tables, grants and the hypervisor want).
 */
#ifndef PVOPS_P2M_H
#define PVOPS_P2M_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/xen.h"
#include "pvops/pvguest.h"

#define PV_NO_FRAME (~0ull)

/*
 * pv_p2m_init - find both tables
 *
 * Returns 0, or what the hypervisor answered when asked for the machine-to-physical table.
 */
int pv_p2m_init(const struct start_info *start);

/* Of a native kernel: both numbers are one, below `pages`. */
void pv_p2m_init_identity(uint64_t pages);

/*
 * Tells the tools outside where the table is, so that they can save the domain; root_mfn is the
 * kernel's level-4 table, under which the table's address is valid.
 */
void pv_p2m_publish(uint64_t root_mfn);

/* Number of entries of the table: pfns are below it. */
uint64_t pv_p2m_size(void);

/* The machine frame behind a pfn; PV_NO_FRAME when there is none. */
uint64_t pv_p2m(uint64_t pfn);

/* The pfn of one of our own machine frames; PV_NO_FRAME when the frame is not ours. */
uint64_t pv_m2p(uint64_t mfn);

/* The kernel's side of a frame that came, went or changed: mfn may be PV_NO_FRAME. */
void pv_p2m_set(uint64_t pfn, uint64_t mfn);

/* Of an address in the identity map. */
static inline uint64_t pv_virt_to_pfn(const volatile void *p)
{
	return (uintptr_t)p >> PV_PAGE_SHIFT;
}

static inline uint64_t pv_virt_to_mfn(const volatile void *p)
{
	return pv_p2m(pv_virt_to_pfn(p));
}

static inline void *pv_pfn_to_virt(uint64_t pfn)
{
	return (void *)(pfn << PV_PAGE_SHIFT);
}

#endif /* PVOPS_P2M_H */
