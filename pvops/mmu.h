/* SPDX-License-Identifier: MIT */
/*
 * Page tables of the kernel's own address space, kept under the rules of direct paging: entries hold
 * machine frames, tables are mapped read-only, and every change is a hypercall. (Natively machine
 * frames are pfns, tables are ordinary memory, and most of the identity map is large pages.)
 *
 * Layout of the kernel's address space (level-4 slot 0 and the window):
 *
 *   [64 KiB, memory_end)                identity map: virtual = pseudo-physical
 *   [PV_WINDOW, PV_WINDOW + 512 GiB)    the window: foreign frames, grant tables
 *
 * Nothing is mapped below 64 KiB. Level-4 slots 1 to 63 belong to user programs
 * (aspace.h).
 */
#ifndef PVOPS_MMU_H
#define PVOPS_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/mmu.h"
#include "abi/xen.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define PV_PTE_PRESENT       0x001ull
#define PV_PTE_WRITE         0x002ull
#define PV_PTE_USER          0x004ull
#define PV_PTE_WRITE_THROUGH 0x008ull
#define PV_PTE_UNCACHED      0x010ull
#define PV_PTE_ACCESSED      0x020ull
#define PV_PTE_DIRTY         0x040ull
#define PV_PTE_LARGE         0x080ull
#define PV_PTE_GLOBAL        0x100ull
#define PV_PTE_NX            (1ull << 63)
#define PV_PTE_FRAME         0x000ffffffffff000ull

/* Level-4 slot 64. */
#define PV_WINDOW      0x200000000000ul
#define PV_WINDOW_SIZE 0x8000000000ul

#define PV_ENTRIES     512

static inline uint64_t pv_pte(uint64_t mfn, uint64_t flags)
{
	return mfn << PV_PAGE_SHIFT | flags;
}

static inline uint64_t pv_pte_mfn(uint64_t pte)
{
	return (pte & PV_PTE_FRAME) >> PV_PAGE_SHIFT;
}

/* Index of va's entry in its table of a level, 1 to 4. */
static inline unsigned int pv_mmu_index(uint64_t va, unsigned int level)
{
	return va >> (PV_PAGE_SHIFT + 9 * (level - 1)) & (PV_ENTRIES - 1);
}

/*
 * pv_mmu_init - learn the boot page tables, find the shared page and the free memory
 *
 * start:    the domain builder's page
 * boot_end: end of the highest thing in the boot region that start does not name (the boot stack)
 *
 * Fills in pv_shared_info and the memory part of pv_boot.
 * Returns 0 or a negative XEN_E*.
 */
int pv_mmu_init(const struct start_info *start, uint64_t boot_end);

/*
 * pv_mmu_walk - find va's page-table entry
 *
 * level: the level to stop at, 1 to 4
 * Returns the entry (read-only memory), or NULL when a table above it is absent or a large page
 * covers va.
 */
const uint64_t *pv_mmu_walk(uint64_t va, unsigned int level);

/* Machine address of an entry that pv_mmu_walk() returned. */
uint64_t pv_mmu_machine_address(const void *in_identity_map);

/*
 * pv_mmu_map_memory - complete the identity map: all of the domain's memory
 *
 * Moves pv_boot.mapped_end to pv_boot.memory_end. Tables come from pv_page_alloc().
 * Returns 0; -XEN_ENOMEM, with mapped_end at what was done, or another XEN_E*.
 */
int pv_mmu_map_memory(void);

/*
 * pv_mmu_map_frame - put one machine frame at an address, or take it away
 *
 * va:    page aligned, in the window or where the kernel likes; not in the identity map
 * flags: PV_PTE_* without the frame; 0 unmaps
 *
 * Returns 0; -XEN_ENOMEM when a table is missing and there is no page for it; or what the
 * hypervisor answered. Context: any; the caller serializes changes to one address.
 */
int pv_mmu_map_frame(uint64_t va, uint64_t mfn, uint64_t flags);

/* Rights of a page of the identity map; enum pv_prot. Returns 0 or a negative XEN_E*. */
int pv_mmu_protect(void *page, unsigned int prot);

/*
 * pv_mmu_window - take addresses in the window, `pages` in a row; they are not given back
 *
 * The tables above them exist when it returns, so that a grant can be mapped there.
 * Returns the first address, or 0 when there is no memory for tables.
 */
uint64_t pv_mmu_window(unsigned int pages);

/* The start-up code's: the root below. */
void pv_mmu_set_boot_root(const uint64_t *table);

/* The root that the kernel booted with: nothing but the kernel is mapped under it, ever. */
pv_root_t pv_mmu_boot_root(void);

/* The operations of pv_mmu_ops and pv_cpu_ops; see there. */
int pv_mmu_set_page(uint64_t va, uint64_t entry);
int pv_mmu_load_root(pv_root_t root);
int pv_mmu_load_user_root(pv_root_t root);
int pv_mmu_table_make(void *table, unsigned int level);
int pv_mmu_table_drop(void *table, unsigned int level);
int pv_mmu_set_entries(uint64_t *table, unsigned int first, unsigned int count,
                       const uint64_t *entries);
int pv_mmu_write_entries(struct pv_pt_write *list, unsigned int count,
                         const struct pv_flush *flush);
int pv_mmu_switch_context(const struct pv_context *from, const struct pv_context *to);
uint64_t pv_mmu_read_entry(const uint64_t *table, unsigned int index);
void pv_mmu_flush_page(uint64_t va);
void pv_mmu_flush_all(void);
void pv_mmu_flush_page_everywhere(uint64_t va);
void pv_mmu_flush_all_everywhere(void);

#endif /* PVOPS_MMU_H */
