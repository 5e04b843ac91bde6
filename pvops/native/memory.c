/* SPDX-License-Identifier: MIT */
/*
 * What the loader says: memory, command line, ramdisk.
 *
 * The kernel gets one run of memory: from the end of the image to the end of the RAM that the image
 * lies in, or to the ramdisk if that lies in between. (The loader puts it at one end or the other.)
 */
#include "pvops/lib/string.h"
#include "pvops/native/internal.h"
#include "pvops/pvguest.h"

#define CMDLINE_MAX 1024 /* as the paravirtual start page has it */
#define LOW_END     0x100000ull
#define MAP_END     0x40000000ull /* what head.S has mapped */

static uint64_t page_up(uint64_t a)
{
	return (a + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
}

uint64_t pv_native_ram_end(const struct hvm_memmap_table_entry *map, unsigned int count,
                           uint64_t at)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM && at >= map[i].addr &&
		    at - map[i].addr < map[i].size)
			return (map[i].addr + map[i].size) & PV_PAGE_MASK;
	return 0;
}

void pv_native_cut_out(uint64_t *start, uint64_t *end, uint64_t at, uint64_t len)
{
	uint64_t first = at & PV_PAGE_MASK, behind = page_up(at + len);

	if (behind <= *start || first >= *end)
		return;
	if (behind >= *end || first > *start + (*end - behind))
		*end = first < *start ? *start : first;
	else
		*start = behind;
}

#ifndef PV_HOSTED_TEST

extern char pv_image_end[];

static char cmdline[CMDLINE_MAX];
static struct start_info no_start_info;

void *pv_native_block(unsigned int pages)
{
	void *block = (void *)pv_boot.free;

	if (pv_boot.memory_end - pv_boot.free < pages * PV_PAGE_SIZE)
		pv_panic("native: no memory for tables");
	pv_boot.free += pages * PV_PAGE_SIZE;
	memset(block, 0, pages * PV_PAGE_SIZE);
	return block;
}

static void copy_cmdline(const char *from)
{
	size_t i;

	for (i = 0; from && i < CMDLINE_MAX - 1 && from[i]; i++)
		cmdline[i] = from[i];
	cmdline[i] = 0;
}

void pv_native_memory_init(const struct hvm_start_info *info)
{
	const struct hvm_modlist_entry *mod = (const void *)info->modlist_paddr;
	uint64_t start = page_up((uintptr_t)pv_image_end), end;

	if (info->magic != XEN_HVM_START_MAGIC_VALUE || info->version < 1)
		pv_panic("native: the loader's start information is of a version without a "
		         "memory map");
	copy_cmdline((const char *)info->cmdline_paddr);
	end = pv_native_ram_end((const void *)info->memmap_paddr, info->memmap_entries, LOW_END);
	if (end <= start)
		pv_panic("native: no memory behind the image");
	if (info->nr_modules) {
		pv_boot.ramdisk = (const void *)mod->paddr;
		pv_boot.ramdisk_len = mod->size;
		pv_native_cut_out(&start, &end, mod->paddr, mod->size);
	}
	pv_boot.cmdline = cmdline;
	/* Low memory is the firmware's and the loader's. */
	pv_boot.low_free = pv_boot.low_end = PV_LOWEST_ADDRESS;
	pv_boot.free = start;
	pv_boot.memory_end = end;
	pv_boot.mapped_end = end < MAP_END ? end : MAP_END;
	no_start_info.nr_pages = end >> PV_PAGE_SHIFT;
	pv_boot.start = &no_start_info;
}

#endif /* PV_HOSTED_TEST */
