/* SPDX-License-Identifier: MIT */
/*
 * Page tables of a native kernel: tables are ordinary memory, frames are physical.
 *
 * The identity map is large pages, save the first 2 MiB, whose first pages are not mapped. It is the
 * same under every root and marked global, so a switch of roots leaves its translations alone; a
 * large page is taken apart when one of its pages is to have other rights. Upper levels let user mode
 * through, the entries of the kernel's pages do not.
 */
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/native/cpu.h"
#include "pvops/native/internal.h"
#include "pvops/native/native.h"
#include "pvops/pvguest.h"

#include "abi/errno.h"

#define TABLE_FLAGS (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define DATA_FLAGS  (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY | PV_PTE_GLOBAL)
#define MMIO_FLAGS                                                                               \
	(PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY | PV_PTE_WRITE_THROUGH | \
	 PV_PTE_UNCACHED | PV_PTE_GLOBAL | PV_PTE_NX)
#define LARGE 0x200000ull

/* Beyond this many pages it is cheaper to load the root again. */
#define FLUSH_PAGES_MAX 32

void pv_native_fill_l1(uint64_t *l1, uint64_t base, uint64_t hole, uint64_t flags)
{
	unsigned int i;

	for (i = 0; i < PV_ENTRIES; i++) {
		uint64_t at = base + i * PV_PAGE_SIZE;

		l1[i] = at < hole ? 0 : at | flags;
	}
}

unsigned int pv_native_fill_l2(uint64_t *l2, uint64_t base, uint64_t end, uint64_t flags)
{
	unsigned int i;

	for (i = 0; i < PV_ENTRIES && base + i * LARGE < end; i++)
		l2[i] = (base + i * LARGE) | flags | PV_PTE_LARGE;
	return i;
}

int pv_native_set_entries(uint64_t *table, unsigned int first, unsigned int count,
                          const uint64_t *entries)
{
	if (first > PV_ENTRIES || count > PV_ENTRIES - first)
		return -XEN_EINVAL;
	memcpy(&table[first], entries, count * sizeof(*entries));
	return 0;
}

#ifndef PV_HOSTED_TEST

void pv_native_paging_init(void)
{
	uint64_t *l4 = pv_native_block(1), *l3 = pv_native_block(1), *l1 = pv_native_block(1);
	uint64_t at, end = pv_boot.memory_end;
	uint64_t *l2 = NULL;

	if (pv_boot.ramdisk && (uintptr_t)pv_boot.ramdisk + pv_boot.ramdisk_len > end)
		end = (uintptr_t)pv_boot.ramdisk + pv_boot.ramdisk_len;
	l4[0] = (uintptr_t)l3 | TABLE_FLAGS;
	for (at = 0; at < end; at += LARGE * PV_ENTRIES) {
		l2 = pv_native_block(1);
		l3[pv_mmu_index(at, 3)] = (uintptr_t)l2 | TABLE_FLAGS;
		pv_native_fill_l2(l2, at, end, DATA_FLAGS);
		if (at == 0) {
			pv_native_fill_l1(l1, 0, PV_LOWEST_ADDRESS, DATA_FLAGS);
			l2[0] = (uintptr_t)l1 | TABLE_FLAGS;
		}
	}
	/* What head.S marked global stays cached, and is mapped the same: save the first page. */
	native_load_root((uintptr_t)l4);
	native_flush_page(0);
	pv_mmu_set_boot_root(l4);
	pv_boot.mapped_end = pv_boot.memory_end;
}

/* The large page that covers va becomes a table of small ones. */
static int take_apart(uint64_t va)
{
	uint64_t *l2 = (uint64_t *)(uintptr_t)pv_mmu_walk(va, 2);
	uint64_t *l1;

	if (!l2)
		return -XEN_EINVAL;
	if (!(*l2 & PV_PTE_LARGE))
		return 0;
	l1 = pv_page_alloc();
	if (!l1)
		return -XEN_ENOMEM;
	pv_native_fill_l1(l1, va & ~(LARGE - 1), 0, *l2 & ~(PV_PTE_FRAME | PV_PTE_LARGE));
	*l2 = (uintptr_t)l1 | TABLE_FLAGS;
	native_flush_page(va);
	return 0;
}

int pv_native_set_page(uint64_t va, uint64_t entry)
{
	int rc = take_apart(va);

	if (rc)
		return rc;
	*(uint64_t *)(uintptr_t)pv_mmu_walk(va, 1) = entry;
	native_flush_page(va);
	return 0;
}

/* Global ones stay: they change by set_page() alone. */
void pv_native_flush_all(void)
{
	native_load_root(native_root());
}

int pv_native_write_entries(struct pv_pt_write *list, unsigned int count,
                            const struct pv_flush *flush)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		*list[i].entry = list[i].value;
	if (!flush || !flush->cpus)
		return 0;
	if (flush->pages == 0 || flush->pages > FLUSH_PAGES_MAX)
		pv_native_flush_all();
	else
		for (i = 0; i < flush->pages; i++)
			native_flush_page(flush->va + i * PV_PAGE_SIZE);
	return 0;
}

int pv_native_switch_context(const struct pv_context *from, const struct pv_context *to)
{
	if (to->kernel_stack != from->kernel_stack)
		pv_native_set_kernel_stack(to->kernel_stack);
	if (to->fs_base != from->fs_base)
		native_write_msr(MSR_FS_BASE, to->fs_base);
	/* The user's root is the kernel's. */
	if (to->kernel_root.pfn != from->kernel_root.pfn)
		native_load_root(to->kernel_root.pfn << PV_PAGE_SHIFT);
	return 0;
}

volatile void *pv_native_map_mmio(uint64_t physical, size_t len)
{
	uint64_t first = physical & PV_PAGE_MASK;
	uint64_t pages = (physical + len - first + PV_PAGE_SIZE - 1) >> PV_PAGE_SHIFT, i;
	uint64_t va = pv_mmu_window((unsigned int)pages);

	for (i = 0; va && i < pages; i++)
		if (pv_mmu_map_frame(va + i * PV_PAGE_SIZE, (first >> PV_PAGE_SHIFT) + i,
		                     MMIO_FLAGS))
			return NULL;
	return va ? (volatile char *)va + (physical - first) : NULL;
}

#endif /* PV_HOSTED_TEST */
