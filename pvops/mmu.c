/* SPDX-License-Identifier: MIT */
/*
 * Page tables of the kernel's own address space. How a table comes to be, in this order:
 *
 *   1. a page of the identity map is filled, while it is still ordinary memory
 *   2. its own mapping is made read-only
 *   3. an entry of the level above is made to point at it (or it is pinned): the hypervisor
 *      validates all of it and makes it a page table
 *
 * Invariant: the walk reads tables through the identity map, so every table lies in it.
 */
#include "pvops/mmu.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "pvops/p2m.h"

/* What an entry of a level above the first carries; rights are in the level-1 entries. */
#define TABLE_FLAGS (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define DATA_FLAGS  (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define RO_FLAGS    (PV_PTE_PRESENT | PV_PTE_ACCESSED)

#define TABLE_SPAN  (PV_PAGE_SIZE * PV_ENTRIES) /* bytes that one level-1 table maps */

/* The shared page is mapped in place of this one, whose own frame is then out of use. */
#ifndef PV_HOSTED_TEST
__attribute__((section(".bss.page_aligned")))
#endif
static uint8_t shared_slot[PV_PAGE_SIZE] __attribute__((aligned(4096)));

/*
 * The level-4 table of the boot, in the identity map. Address spaces made later share its kernel
 * slots, so it is where the kernel's part is looked up, whichever root is loaded.
 */
static const uint64_t *root;
static uint64_t window_next = PV_WINDOW;
static struct pv_spinlock window_lock = PV_SPINLOCK_INIT;

const uint64_t *pv_mmu_walk(uint64_t va, unsigned int level)
{
	const uint64_t *table = root;
	unsigned int l;

	for (l = 4; l > level; l--) {
		uint64_t e = table[pv_mmu_index(va, l)];
		uint64_t pfn;

		if (!(e & PV_PTE_PRESENT) || e & PV_PTE_LARGE)
			return NULL;
		pfn = pv_m2p(pv_pte_mfn(e));
		if (pfn == PV_NO_FRAME)
			return NULL;
		table = pv_pfn_to_virt(pfn);
	}
	return &table[pv_mmu_index(va, level)];
}

uint64_t pv_mmu_machine_address(const void *in_identity_map)
{
	return pv_virt_to_mfn(in_identity_map) << PV_PAGE_SHIFT |
	       ((uintptr_t)in_identity_map & ~PV_PAGE_MASK);
}

int pv_mmu_set_page(uint64_t va, uint64_t entry)
{
	return (int)pv_hc_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_ALL);
}

/* One page of the identity map, by the flags of its own mapping. Read-only must hold everywhere. */
static int remap_self(const void *page, uint64_t flags)
{
	return PV_OP(mmu, set_page, (uintptr_t)page, pv_pte(pv_virt_to_mfn(page), flags));
}

int pv_mmu_protect(void *page, unsigned int prot)
{
	uint64_t flags = PV_PTE_PRESENT | PV_PTE_ACCESSED;

	/*
	 * Without rights the entry is empty. One that is not present but names a frame is what an
	 * attack on the level-1 cache wants, and Xen ends a domain that writes it where the
	 * processor is open to that.
	 */
	if (!prot)
		return PV_OP(mmu, set_page, (uintptr_t)page, 0);
	if (prot & PV_PROT_WRITE)
		flags |= PV_PTE_WRITE | PV_PTE_DIRTY;
	if (prot & PV_PROT_USER)
		flags |= PV_PTE_USER;
	if (!(prot & PV_PROT_EXEC))
		flags |= PV_PTE_NX;
	return remap_self(page, flags);
}

/* Makes a filled page the table that `entry`, of the level above, points at. */
static int attach_table(const uint64_t *entry, void *table)
{
	struct pv_pt_write link = {
		.entry = (uint64_t *)(uintptr_t)entry,
		.value = pv_pte(pv_virt_to_pfn(table), TABLE_FLAGS),
	};
	int rc = pv_ops.mmu.is_direct ? 0 : remap_self(table, RO_FLAGS);

	if (rc)
		return rc;
	rc = PV_OP(mmu, write_entries, &link, 1, NULL);
	if (rc && !pv_ops.mmu.is_direct)
		remap_self(table, DATA_FLAGS);
	return rc;
}

/* All tables above va's level-1 entry exist afterwards. */
static int ensure_tables(uint64_t va)
{
	unsigned int level;
	int rc;

	for (level = 4; level > 1; level--) {
		const uint64_t *entry = pv_mmu_walk(va, level);
		void *table;

		if (!entry)
			return -XEN_EINVAL;
		if (*entry & PV_PTE_PRESENT)
			continue;
		table = pv_page_alloc();
		if (!table)
			return -XEN_ENOMEM;
		memset(table, 0, PV_PAGE_SIZE);
		rc = attach_table(entry, table);
		if (rc) {
			pv_page_free(table);
			return rc;
		}
	}
	return 0;
}

int pv_mmu_map_frame(uint64_t va, uint64_t mfn, uint64_t flags)
{
	const uint64_t *entry = pv_mmu_walk(va, 1);
	int rc;

	if (!entry) {
		if (!flags)
			return 0;
		rc = ensure_tables(va);
		if (rc)
			return rc;
	}
	return PV_OP(mmu, set_page, va, flags ? pv_pte(mfn, flags) : 0);
}

uint64_t pv_mmu_window(unsigned int pages)
{
	uint64_t irq = pv_spin_lock_irq(&window_lock);
	uint64_t va = window_next, at;
	int rc = 0;

	if ((PV_WINDOW + PV_WINDOW_SIZE - window_next) >> PV_PAGE_SHIFT < pages)
		rc = -XEN_ENOMEM;
	for (at = va; !rc && at < va + pages * PV_PAGE_SIZE; at += PV_PAGE_SIZE)
		rc = ensure_tables(at);
	if (!rc)
		window_next += pages * PV_PAGE_SIZE;
	pv_spin_unlock_irq(&window_lock, irq);
	return rc ? 0 : va;
}

/* ---- start ---- */

void pv_mmu_set_boot_root(const uint64_t *table)
{
	root = table;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t page_up(uint64_t a)
{
	return (a + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
}

/* The end of everything that the domain builder put into the boot region. */
static uint64_t end_of_boot_data(const struct start_info *start, uint64_t boot_end)
{
	uint64_t end = boot_end;
	uint64_t console = pv_m2p(start->console.domU.mfn), store = pv_m2p(start->store_mfn);

	end = max(end, (uintptr_t)start + sizeof(*start));
	end = max(end, start->pt_base + start->nr_pt_frames * PV_PAGE_SIZE);
	end = max(end, start->mfn_list + start->nr_pages * sizeof(uint64_t));
	if (start->mod_start && !(start->flags & SIF_MOD_START_PFN))
		end = max(end, start->mod_start + start->mod_len);
	if (console != PV_NO_FRAME)
		end = max(end, (console + 1) << PV_PAGE_SHIFT);
	if (store != PV_NO_FRAME)
		end = max(end, (store + 1) << PV_PAGE_SHIFT);
	return page_up(end);
}

/* The first address from `at` on that the boot tables do not map. */
static uint64_t end_of_mapping(uint64_t at, uint64_t limit)
{
	while (at < limit) {
		const uint64_t *entry = pv_mmu_walk(at, 1);

		if (!entry || !(*entry & PV_PTE_PRESENT))
			break;
		at += PV_PAGE_SIZE;
	}
	return at;
}

/* A stray NULL then faults; and hosts that cannot map these addresses are no different. */
static int unmap_low(void)
{
	struct mmu_update req[PV_LOWEST_ADDRESS / PV_PAGE_SIZE];
	unsigned int n = 0, i;

	for (i = 0; i < PV_LOWEST_ADDRESS / PV_PAGE_SIZE; i++) {
		const uint64_t *entry = pv_mmu_walk(i * PV_PAGE_SIZE, 1);

		if (!entry || !(*entry & PV_PTE_PRESENT))
			continue;
		req[n].ptr = pv_mmu_machine_address(entry) | MMU_NORMAL_PT_UPDATE;
		req[n].val = 0;
		n++;
	}
	if (!n)
		return 0;
	return (int)pv_hc_mmu_update(req, n, NULL, DOMID_SELF);
}

int pv_mmu_init(const struct start_info *start, uint64_t boot_end)
{
	long rc;

	pv_mmu_set_boot_root((const uint64_t *)start->pt_base);
	rc = pv_hc_update_va_mapping((uintptr_t)shared_slot,
	                             (start->shared_info & PV_PTE_FRAME) | DATA_FLAGS, UVMF_INVLPG);
	if (rc)
		return (int)rc;
	pv_shared_info = (struct shared_info *)shared_slot;
	rc = unmap_low();
	if (rc)
		return (int)rc;

	pv_boot.memory_end = start->nr_pages << PV_PAGE_SHIFT;
	pv_boot.free = end_of_boot_data(start, boot_end);
	pv_boot.mapped_end = end_of_mapping(pv_boot.free, pv_boot.memory_end);
	return 0;
}

/* Maps [at, end), which lies within one level-1 table that exists already. */
static int fill_present_table(uint64_t at, uint64_t end)
{
	struct mmu_update req[32];
	unsigned int n = 0;
	int rc = 0;

	while (at < end && !rc) {
		req[n].ptr = pv_mmu_machine_address(pv_mmu_walk(at, 1)) | MMU_NORMAL_PT_UPDATE;
		req[n].val = pv_pte(pv_p2m(at >> PV_PAGE_SHIFT), DATA_FLAGS);
		at += PV_PAGE_SIZE;
		n++;
		if (n == sizeof(req) / sizeof(req[0]) || at == end) {
			rc = (int)pv_hc_mmu_update(req, n, NULL, DOMID_SELF);
			n = 0;
		}
	}
	return rc;
}

/* Maps [at, end) by a new level-1 table: filled by plain stores, then attached. */
static int fill_new_table(uint64_t at, uint64_t end)
{
	const uint64_t *entry;
	uint64_t *table;
	uint64_t va;
	int rc = 0;

	/* The levels above; a level-3 or level-2 table covers more than all but huge domains have. */
	for (entry = pv_mmu_walk(at, 2); !entry && !rc; entry = pv_mmu_walk(at, 2))
		rc = ensure_tables(at);
	if (rc)
		return rc;
	if (*entry & PV_PTE_PRESENT)
		return fill_present_table(at, end);
	table = pv_page_alloc();
	if (!table)
		return -XEN_ENOMEM;
	memset(table, 0, PV_PAGE_SIZE);
	for (va = at; va < end; va += PV_PAGE_SIZE)
		table[pv_mmu_index(va, 1)] = pv_pte(pv_p2m(va >> PV_PAGE_SHIFT), DATA_FLAGS);
	rc = attach_table(entry, table);
	if (rc)
		pv_page_free(table);
	return rc;
}

int pv_mmu_map_memory(void)
{
	while (pv_boot.mapped_end < pv_boot.memory_end) {
		uint64_t at = pv_boot.mapped_end;
		uint64_t end = (at + TABLE_SPAN) & ~(TABLE_SPAN - 1);
		int rc;

		if (end > pv_boot.memory_end)
			end = pv_boot.memory_end;
		rc = pv_mmu_walk(at, 1) ? fill_present_table(at, end) : fill_new_table(at, end);
		if (rc)
			return rc;
		pv_boot.mapped_end = end;
	}
	return 0;
}

/* ---- operations on tables of any address space ---- */

static int ext_op(unsigned int cmd, uint64_t arg)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = arg;
	return (int)pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

int pv_mmu_load_root(pv_root_t new_root)
{
	return ext_op(MMUEXT_NEW_BASEPTR, pv_p2m(new_root.pfn));
}

int pv_mmu_load_user_root(pv_root_t new_root)
{
	return ext_op(MMUEXT_NEW_USER_BASEPTR, pv_p2m(new_root.pfn));
}

int pv_mmu_table_make(void *table, unsigned int level)
{
	int rc;

	if (level < 1 || level > 4)
		return -XEN_EINVAL;
	rc = remap_self(table, RO_FLAGS);
	if (rc)
		return rc;
	rc = ext_op(MMUEXT_PIN_L1_TABLE + level - 1, pv_virt_to_mfn(table));
	if (rc)
		remap_self(table, DATA_FLAGS);
	return rc;
}

int pv_mmu_table_drop(void *table, unsigned int level)
{
	int rc;

	if (level < 1 || level > 4)
		return -XEN_EINVAL;
	rc = ext_op(MMUEXT_UNPIN_TABLE, pv_virt_to_mfn(table));
	return rc ? rc : remap_self(table, DATA_FLAGS);
}

int pv_mmu_set_entries(uint64_t *table, unsigned int first, unsigned int count,
                       const uint64_t *entries)
{
	struct mmu_update req[32];
	unsigned int done, n, i;
	int rc;

	if (first > PV_ENTRIES || count > PV_ENTRIES - first)
		return -XEN_EINVAL;
	for (done = 0; done < count; done += n) {
		n = count - done < 32 ? count - done : 32;
		for (i = 0; i < n; i++) {
			uint64_t e = entries[done + i];

			req[i].ptr = pv_mmu_machine_address(&table[first + done + i]) |
			             MMU_NORMAL_PT_UPDATE;
			if (e & PV_PTE_PRESENT)
				e = pv_pte(pv_p2m(pv_pte_mfn(e)), e & ~PV_PTE_FRAME);
			req[i].val = e;
		}
		rc = (int)pv_hc_mmu_update(req, n, NULL, DOMID_SELF);
		if (rc)
			return rc;
	}
	return 0;
}

pv_root_t pv_mmu_boot_root(void)
{
	return (pv_root_t){ pv_virt_to_pfn(root) };
}

uint64_t pv_mmu_read_entry(const uint64_t *table, unsigned int index)
{
	uint64_t e = pv_load(&table[index]);

	if (!(e & PV_PTE_PRESENT))
		return e;
	return pv_pte(pv_m2p(pv_pte_mfn(e)) & (PV_PTE_FRAME >> PV_PAGE_SHIFT), e & ~PV_PTE_FRAME);
}

void pv_mmu_flush_page(uint64_t va)
{
	ext_op(MMUEXT_INVLPG_LOCAL, va);
}

void pv_mmu_flush_all(void)
{
	ext_op(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

void pv_mmu_flush_page_everywhere(uint64_t va)
{
	ext_op(MMUEXT_INVLPG_ALL, va);
}

void pv_mmu_flush_all_everywhere(void)
{
	ext_op(MMUEXT_TLB_FLUSH_ALL, 0);
}
