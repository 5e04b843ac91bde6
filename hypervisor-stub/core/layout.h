/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a new PV domain lies: a plan, made before a byte is written.
 *
 * pfn 0 appears at VIRT_BASE, and from there on pfns and addresses rise together:
 *
 *   [hole] kernel  ramdisk  p2m  start_info  xenstore  console  page tables  boot stack  spare
 *
 * The initial mapping ends at a multiple of 4 MiB and holds at least 512 KiB of spare space behind
 * the stack. Two notes move things behind that end: MOD_START_PFN the ramdisk, which is then not
 * mapped at all, and INIT_P2M the p2m list, which is then mapped at an address of its own below
 * VIRT_BASE, by further page tables that lie right behind it.
 *
 * Invariant: a plan that was made fits in the domain's memory, and none of its ranges wraps.
 * Source: the layout is that of Xen's libxenguest.
 */
#ifndef HYPERVISOR_STUB_CORE_LAYOUT_H
#define HYPERVISOR_STUB_CORE_LAYOUT_H

#include "hypervisor-stub/core/image.h"
#include "hypervisor-stub/core/types.h"

/* A run of pages. */
struct hv_layout_run {
	uint64_t pfn, pages;
	uint64_t va; /* HV_IMAGE_UNSET: not mapped */
};

/* One mapped range and the tables that only it needs; [1] to [3] are levels, the rest is unused. */
struct hv_layout_map {
	uint64_t va, pages, pfn;
	struct {
		uint64_t first, count; /* blocks: an address shifted by what one table covers */
		uint64_t pfn;          /* of the table for block `first` */
	} level[4];
	uint64_t tables_pfn, tables; /* all its tables, in one run */
};

struct hv_layout {
	struct hv_layout_run kernel, ramdisk, p2m, tables, stack;
	uint64_t ramdisk_len; /* bytes, as Xen says them: whole pages when it is not mapped */
	pfn_t start_info, store, console;
	pfn_t root; /* the L4 table, first page of `tables` */
	struct hv_layout_map map[2];
	unsigned nr_maps;
	uint64_t virt_base, virt_end; /* the initial mapping; virt_end is not included */
	uint64_t pages_used;          /* pfns below this are spoken for */
	bool p2m_apart;               /* mapped where INIT_P2M says */
};

/*
 * hv_layout_plan - places an image and a ramdisk in a domain
 *
 * nr_pages:     memory of the domain, 4 KiB units
 * ramdisk_len:  bytes; 0: there is none
 * why:          out: fact and remedy, without the file's name
 *
 * Returns 0, or -ENOMEM when the memory is too small, or -EINVAL when it cannot be placed.
 */
int hv_layout_plan(struct hv_layout *l, const struct hv_image *img, uint64_t nr_pages,
                   uint64_t ramdisk_len, char *why, size_t why_len);

/* The table of a level (1 to 3) that translates va in the plan. va is one that a map covers. */
pfn_t hv_layout_table(const struct hv_layout *l, unsigned level, uint64_t va);
/* Whether a pfn of the plan holds a page table, which nobody may map writable. */
bool hv_layout_is_table(const struct hv_layout *l, uint64_t pfn);

#endif
