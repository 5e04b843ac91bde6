/* SPDX-License-Identifier: MIT */
/*
 * Page tables: what the hypervisor lets a guest do with them, and what it must not.
 *
 * Method: one page after another becomes a table, is attached, written by each of the ways, and is
 * memory again. The forbidden is tried at every step; what was refused must have had no effect.
 * Breakage: isolation between domains is exactly as good as these refusals.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define RW    (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define RO    (PV_PTE_PRESENT | PV_PTE_ACCESSED)
#define TABLE (RW | PV_PTE_USER)

static long update_va(void *va, uint64_t pte)
{
	return pv_hc_update_va_mapping((unsigned long)va, pte, UVMF_INVLPG);
}

static long self_rights(void *page, uint64_t flags)
{
	return update_va(page, pv_pte(pv_virt_to_mfn(page), flags));
}

static long update(uint64_t ptr, uint64_t val)
{
	struct mmu_update req = { .ptr = ptr, .val = val };

	return pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF);
}

static long ext(unsigned int cmd, uint64_t mfn)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = mfn;
	return pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static bool can_read(uint64_t va)
{
	return ST_TRAPS("movb (%0), %%al", : : "r"(va) : "rax", "memory") == 0;
}

static void mapping_is_changed_at_once(void)
{
	uint64_t va = st_window();
	uint64_t *a = st_page(), *b = st_page();

	a[0] = 1;
	b[0] = 2;
	ST_EQ(update_va((void *)va, pv_pte(pv_virt_to_mfn(a), RW)), 0);
	ST_EQ(*(volatile uint64_t *)va, 1);
	ST_EQ(update_va((void *)va, pv_pte(pv_virt_to_mfn(b), RW)), 0);
	ST_EQ(*(volatile uint64_t *)va, 2);
	ST_EQ(update_va((void *)va, 0), 0);
	ST_CHECK(!can_read(va), "still readable");
	st_page_free(a);
	st_page_free(b);
}

static void every_flush_flag_is_taken(void)
{
	static const unsigned long flags[] = { UVMF_NONE, UVMF_TLB_FLUSH | UVMF_LOCAL,
		                               UVMF_TLB_FLUSH | UVMF_ALL, UVMF_INVLPG | UVMF_LOCAL,
		                               UVMF_INVLPG | UVMF_ALL };
	uint64_t va = st_window(), mask = 1;
	uint64_t *page = st_page();
	unsigned int i;

	for (i = 0; i < ST_COUNT(flags); i++)
		ST_EQ(pv_hc_update_va_mapping(va, pv_pte(pv_virt_to_mfn(page), RW), flags[i]), 0);
	ST_EQ(pv_hc_update_va_mapping(va, 0, UVMF_TLB_FLUSH | UVMF_MULTI | (unsigned long)&mask),
	      0);
	ST_CHECK(!can_read(va), "still readable");
	st_page_free(page);
}

static void no_table_no_mapping(void)
{
	ST_EQ(update_va(ST_UNMAPPED, pv_pte(pv_p2m(0x100), RO)), -XEN_EINVAL);
}

static void frames_of_others_cannot_be_mapped(void)
{
	uint64_t va = st_window();

	ST_EQ(update_va((void *)va, pv_pte(1ul << 36, RO)), -XEN_EPERM);
	ST_EQ(update_va((void *)va, pv_pte(0, RO)), -XEN_EPERM);
	ST_CHECK(!can_read(va), "it was mapped");
}

/* Bits beyond the machine's addresses, caching that only owners of devices may choose. */
static void bad_bits_are_refused(void)
{
	uint64_t va = st_window();
	void *page = st_page();
	uint64_t pte = pv_pte(pv_virt_to_mfn(page), RO);

	ST_EQ(update_va((void *)va, pte | 1ul << 51), -XEN_EPERM);
	ST_EQ(update_va((void *)va, pte | 1ul << 7), -XEN_EINVAL);
	ST_EQ(update_va((void *)va, pte | 1ul << 4), -XEN_EINVAL);
	ST_CHECK(!can_read(va), "it was mapped");
	st_page_free(page);
}

static void bits_for_software_are_taken(void)
{
	uint64_t va = st_window();
	void *page = st_page();
	uint64_t pte = pv_pte(pv_virt_to_mfn(page), RO);

	ST_EQ(update_va((void *)va, pte | 7ul << 9), 0);
	ST_EQ(*pv_mmu_walk(va, 1) >> 9 & 7, 7);
	ST_EQ(update_va((void *)va, pte | 1ul << 53), 0);
	ST_EQ(update_va((void *)va, pte | 1ul << 62), 0);
	ST_EQ(update_va((void *)va, pte | 1ul << 8), 0);
	ST_EQ(update_va((void *)va, 0), 0);
	st_page_free(page);
}

static void page_tables_cannot_be_mapped_writable(void)
{
	void *table = (void *)pv_boot.start->pt_base;
	uint64_t va = st_window();

	ST_EQ(update_va((void *)va, pv_pte(pv_virt_to_mfn(table), RW)), -XEN_EBUSY);
	ST_EQ(self_rights(table, RW), -XEN_EBUSY);
	ST_CHECK(!can_read(va), "it was mapped");
	ST_EQ(update_va((void *)va, pv_pte(pv_virt_to_mfn(table), RO)), 0);
	ST_EQ(memcmp((void *)va, table, 2048), 0);
	ST_EQ(update_va((void *)va, 0), 0);
}

static void entries_change_by_machine_address(void)
{
	uint64_t va = st_window();
	uint64_t at = pv_mmu_machine_address(pv_mmu_walk(va, 1));
	uint64_t *page = st_page();

	page[0] = 77;
	ST_EQ(update(at | MMU_NORMAL_PT_UPDATE, pv_pte(pv_virt_to_mfn(page), RW)), 0);
	ST_EQ(*(volatile uint64_t *)va, 77);
	ST_EQ(*pv_mmu_walk(va, 1) & (PV_PTE_FRAME | PV_PTE_PRESENT | PV_PTE_WRITE),
	      pv_pte(pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_WRITE));
	ST_EQ(update(at | MMU_PT_UPDATE_PRESERVE_AD,
	             pv_pte(pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_WRITE)),
	      0);
	ST_EQ(*pv_mmu_walk(va, 1) & (PV_PTE_ACCESSED | PV_PTE_DIRTY),
	      PV_PTE_ACCESSED | PV_PTE_DIRTY);
	ST_EQ(update(at | MMU_PT_UPDATE_NO_TRANSLATE, pv_pte(pv_virt_to_mfn(page), RW)), 0);
	ST_EQ(update(at, 0), 0);
	pv_mmu_flush_page(va);
	ST_CHECK(!can_read(va), "still readable");
	st_page_free(page);
}

static void mapping_for_another_domain_is_denied(void)
{
	ST_EQ(pv_hc_update_va_mapping_otherdomain(st_window(), 0, UVMF_INVLPG, 0), -XEN_EPERM);
	ST_EQ(pv_hc_update_va_mapping_otherdomain(st_window(), 0, UVMF_INVLPG, 0x7000), -XEN_ESRCH);
	ST_EQ(pv_hc_update_va_mapping_otherdomain(st_window(), 0, UVMF_INVLPG, DOMID_SELF), 0);
}

static void ordinary_memory_is_written_too(void)
{
	uint64_t *page = st_page();

	ST_EQ(update(pv_mmu_machine_address(&page[5]), 0x123456789abcdef0), 0);
	ST_EQ(page[5], 0x123456789abcdef0);
	ST_EQ(page[4], 0);
	st_page_free(page);
}

static void list_stops_at_the_first_error(void)
{
	uint64_t va = st_window();
	uint64_t at = pv_mmu_machine_address(pv_mmu_walk(va, 1));
	void *page = st_page();
	struct mmu_update req[3] = {
		{ at, pv_pte(pv_virt_to_mfn(page), RO) },
		{ at + 8, pv_pte(1ul << 36, RO) },
		{ at, 0 },
	};
	unsigned int done = 99;

	ST_EQ(pv_hc_mmu_update(req, 3, &done, DOMID_SELF), -XEN_EPERM);
	ST_EQ(done, 1);
	ST_CHECK(can_read(va), "the first was undone");
	ST_EQ(update(at, 0), 0);
	pv_mmu_flush_page(va);
	st_page_free(page);
}

static void update_errors(void)
{
	uint64_t at = pv_mmu_machine_address(pv_mmu_walk(st_window(), 1));
	struct mmu_update req = { at, 0 };
	unsigned int done = 7;

	ST_EQ(update(at + 4, 0), -XEN_ENOSYS); /* not aligned: another command */
	ST_EQ(update(1ul << 50, 0), -XEN_EINVAL);
	ST_EQ(update(0, 0), -XEN_EINVAL);
	ST_EQ(pv_hc_mmu_update(ST_UNMAPPED, 1, NULL, DOMID_SELF), -XEN_EFAULT);
	ST_EQ(pv_hc_mmu_update(ST_HYPERVISOR, 1, NULL, DOMID_SELF), -XEN_EFAULT);
	ST_EQ(pv_hc_mmu_update(&req, 1, &done, 0), -XEN_EPERM);
	ST_EQ(pv_hc_mmu_update(&req, 1, &done, 0x7000), -XEN_ESRCH);
	ST_EQ(pv_hc_mmu_update(&req, 1, &done, DOMID_SELF | 1u << 16), -XEN_EPERM);
	ST_EQ(pv_hc_mmu_update(&req, 1, &done, DOMID_XEN), -XEN_EPERM);
	ST_EQ(pv_hc_mmu_update(&req, 1, &done, DOMID_IO), 0);
	ST_EQ(pv_hc_mmu_update(NULL, 0, &done, DOMID_SELF), 0);
	ST_EQ(pv_hc_mmu_update(&req, 1u << 30, &done, DOMID_SELF), -XEN_EINVAL);
}

/* The shared page is memory of ours in this respect. */
static void shared_page_is_written_too(void)
{
	uint64_t *last = (uint64_t *)((char *)pv_shared_info + PV_PAGE_SIZE - 8);

	ST_EQ(update(pv_boot.start->shared_info + PV_PAGE_SIZE - 8, 0x1234), 0);
	ST_EQ(*last, 0x1234);
	*last = 0;
}

static void hypervisor_slots_cannot_be_changed(void)
{
	const uint64_t *root = (const uint64_t *)pv_boot.start->pt_base;
	uint64_t ours = root[0];

	ST_EQ(update(pv_mmu_machine_address(&root[256]), ours), -XEN_EINVAL);
	ST_EQ(update(pv_mmu_machine_address(&root[271]), 0), -XEN_EINVAL);
	/* The slots above the hypervisor's are the guest's own. */
	ST_EQ(update(pv_mmu_machine_address(&root[272]), 0), 0);
	ST_EQ(update_va((void *)MACH2PHYS_VIRT_START, pv_pte(pv_p2m(0x100), RW)), -XEN_EINVAL);
	ST_EQ(update_va((void *)MACH2PHYS_VIRT_START, 0), -XEN_EINVAL);
}

static void large_pages_are_refused(void)
{
	uint64_t va = st_window() + (2ul << 20) * 16;
	const uint64_t *l2 = pv_mmu_walk(va, 2);

	ST_CHECK(l2, "no level-2 table");
	ST_EQ(update(pv_mmu_machine_address(l2),
	             pv_pte(pv_p2m(0x200) & ~511ul, TABLE | PV_PTE_LARGE)),
	      -XEN_EINVAL);
	ST_EQ(*l2, 0);
}

/* The rule of direct paging: a table, or writable, but never both. */
static void writable_page_cannot_become_a_table(void)
{
	void *page = st_page();
	const uint64_t *l2 = pv_mmu_walk(st_window() + (2ul << 20) * 16, 2);

	ST_EQ(update(pv_mmu_machine_address(l2), pv_pte(pv_virt_to_mfn(page), TABLE)), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, pv_virt_to_mfn(page)), -XEN_EINVAL);
	ST_EQ(*l2, 0);
	*(volatile uint64_t *)page = 1;
	ST_EQ(st_traps, 0);
	st_page_free(page);
}

static void table_is_pinned_and_unpinned(void)
{
	uint64_t *page = st_page();
	uint64_t mfn = pv_virt_to_mfn(page);

	page[3] = pv_pte(pv_p2m(0x100), RO);
	ST_EQ(self_rights(page, RO), 0);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn), 0);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_PIN_L2_TABLE, mfn), -XEN_EINVAL);
	ST_EQ(self_rights(page, RW), -XEN_EBUSY);
	ST_EQ(update(pv_mmu_machine_address(&page[4]), pv_pte(pv_p2m(0x100), RO)), 0);
	ST_EQ(page[4] & PV_PTE_FRAME, pv_pte(pv_p2m(0x100), 0));
	ST_EQ(ext(MMUEXT_UNPIN_TABLE, mfn), 0);
	ST_EQ(ext(MMUEXT_UNPIN_TABLE, mfn), -XEN_EINVAL);
	ST_EQ(self_rights(page, RW), 0);
	st_page_free(page);
}

static void table_with_a_bad_entry_is_refused(void)
{
	uint64_t *page = st_page();
	uint64_t mfn = pv_virt_to_mfn(page);

	page[3] = pv_pte(1ul << 36, RO);
	ST_EQ(self_rights(page, RO), 0);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EPERM);
	ST_EQ(self_rights(page, RW), 0);
	page[3] = pv_pte(mfn, RW); /* itself, writable */
	ST_EQ(self_rights(page, RO), 0);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn), -XEN_EBUSY);
	ST_EQ(self_rights(page, RW), 0);
	st_page_free(page);
}

static void attached_table_maps(void)
{
	uint64_t va = st_window() + (2ul << 20) * 16;
	const uint64_t *l2 = pv_mmu_walk(va, 2);
	uint64_t *table = st_page(), *data = st_page();

	data[0] = 4711;
	table[0] = pv_pte(pv_virt_to_mfn(data), RW);
	ST_EQ(self_rights(table, RO), 0);
	ST_EQ(update(pv_mmu_machine_address(l2), pv_pte(pv_virt_to_mfn(table), TABLE)), 0);
	ST_EQ(*(volatile uint64_t *)va, 4711);
	ST_EQ(self_rights(table, RW), -XEN_EBUSY);
	ST_EQ(update(pv_mmu_machine_address(l2), 0), 0);
	pv_mmu_flush_all();
	ST_CHECK(!can_read(va), "still readable");
	ST_EQ(self_rights(table, RW), 0);
	table[0] = 0;
	ST_EQ(st_traps, 1);
	st_page_free(table);
	st_page_free(data);
}

static void store_into_a_table_faults(void)
{
	uint64_t *entry = (uint64_t *)pv_mmu_walk(st_window(), 1);

	ST_EQ(ST_TRAPS("movq $0, (%0)", : : "r"(entry) : "memory"), 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(st_trap.error_code, PV_PF_WRITE | PV_PF_PRESENT);
}

static void store_into_a_table_is_emulated_on_request(void)
{
	uint64_t va = st_window();
	uint64_t *entry = (uint64_t *)pv_mmu_walk(va, 1);
	uint64_t *page = st_page();

	page[0] = 99;
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	ST_TRY("mov %1, (%0)", : : "r"(entry), "r"(pv_pte(pv_virt_to_mfn(page), RW)) : "memory");
	ST_EQ(st_traps, 0);
	ST_EQ(*(volatile uint64_t *)va, 99);
	ST_TRY("mov %1, (%0)", : : "r"(entry), "r"(pv_pte(1ul << 36, RW)) : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(st_trap.error_code, PV_PF_WRITE | PV_PF_PRESENT);
	ST_TRY("lock cmpxchg %1, (%0)", : : "r"(entry), "r"(0ul), "a"(*entry) : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(*entry, 0);
	ST_TRY("movq $0, (%0)", : : "r"(entry) : "memory");
	pv_mmu_flush_page(va);
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
	ST_CHECK(!can_read(va), "still readable");
	st_page_free(page);
}

static void flushes_are_taken(void)
{
	uint64_t mask = 1;
	struct mmuext_op op[6] = {
		{ .cmd = MMUEXT_TLB_FLUSH_LOCAL }, { .cmd = MMUEXT_INVLPG_LOCAL },
		{ .cmd = MMUEXT_TLB_FLUSH_MULTI }, { .cmd = MMUEXT_INVLPG_MULTI },
		{ .cmd = MMUEXT_TLB_FLUSH_ALL },   { .cmd = MMUEXT_INVLPG_ALL },
	};
	unsigned int done = 0;

	set_xen_guest_handle(op[2].arg2.vcpumask, &mask);
	set_xen_guest_handle(op[3].arg2.vcpumask, &mask);
	op[1].arg1.linear_addr = op[3].arg1.linear_addr = op[5].arg1.linear_addr = st_window();
	ST_EQ(pv_hc_mmuext_op(op, 6, &done, DOMID_SELF), 0);
	ST_EQ(done, 6);
	set_xen_guest_handle(op[2].arg2.vcpumask, ST_UNMAPPED);
	ST_EQ(pv_hc_mmuext_op(&op[2], 1, &done, DOMID_SELF), -XEN_EINVAL);
	/* To forget what cannot be there is no error. */
	ST_EQ(ext(MMUEXT_INVLPG_LOCAL, (uint64_t)ST_NONCANONICAL), 0);
	ST_EQ(ext(MMUEXT_INVLPG_LOCAL, (uint64_t)ST_HYPERVISOR), 0);
}

static void operations_for_owners_of_devices_are_denied(void)
{
	ST_EQ(ext(MMUEXT_FLUSH_CACHE, 0), -XEN_EACCES);
	ST_EQ(ext(MMUEXT_FLUSH_CACHE_GLOBAL, 0), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_MARK_SUPER, pv_p2m(0x200)), -XEN_EOPNOTSUPP);
}

static void extended_operation_errors(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };

	ST_EQ(ext(99, 0), -XEN_ENOSYS);
	ST_EQ(ext(MMUEXT_PIN_L1_TABLE, 1ul << 36), -XEN_EINVAL);
	ST_EQ(pv_hc_mmuext_op(ST_HYPERVISOR, 1, NULL, DOMID_SELF), -XEN_EFAULT);
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, 0), -XEN_EPERM);
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, 0x7000), -XEN_ESRCH);
}

static void roots_must_be_tables_of_level_four(void)
{
	ST_EQ(ext(MMUEXT_NEW_BASEPTR, pv_p2m(0x100)), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_NEW_BASEPTR, 1ul << 36), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_NEW_USER_BASEPTR, pv_p2m(0x100)), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
}

static void boot_root_is_pinned(void)
{
	uint64_t root = pv_virt_to_mfn((void *)pv_boot.start->pt_base);

	ST_EQ(ext(MMUEXT_PIN_L4_TABLE, root), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_UNPIN_TABLE, root), 0);
	ST_EQ(ext(MMUEXT_PIN_L4_TABLE, root), 0);
}

static void local_descriptor_table_is_checked_late(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_SET_LDT };

	op.arg1.linear_addr = st_window() + 8; /* not page aligned */
	op.arg2.nr_ents = 16;
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF), -XEN_EINVAL);
	op.arg1.linear_addr = 0;
	op.arg2.nr_ents = 0;
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
}

static void tables_cannot_be_cleared(void)
{
	ST_EQ(ext(MMUEXT_CLEAR_PAGE, pv_virt_to_mfn((void *)pv_boot.start->pt_base)), -XEN_EINVAL);
	ST_EQ(ext(MMUEXT_CLEAR_PAGE, 1ul << 36), -XEN_EINVAL);
}

static void pages_are_cleared_and_copied(void)
{
	uint64_t *a = st_page(), *b = st_page();
	struct mmuext_op op = { .cmd = MMUEXT_COPY_PAGE };

	memset(a, 0x3c, PV_PAGE_SIZE);
	op.arg1.mfn = pv_virt_to_mfn(b);
	op.arg2.src_mfn = pv_virt_to_mfn(a);
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
	ST_EQ(memcmp(a, b, PV_PAGE_SIZE), 0);
	ST_EQ(ext(MMUEXT_CLEAR_PAGE, pv_virt_to_mfn(b)), 0);
	ST_EQ(b[511], 0);
	st_page_free(a);
	st_page_free(b);
}

/* A second root with the same contents: load it, live in it, go back. */
static void another_root_can_be_loaded(void)
{
	uint64_t *root = (uint64_t *)pv_boot.start->pt_base;
	uint64_t *copy = st_page(), cr3 = 0;
	uint64_t old = pv_virt_to_mfn(root), new = pv_virt_to_mfn(copy);
	unsigned int i;

	for (i = 0; i < 256; i++)
		copy[i] = root[i];
	ST_EQ(self_rights(copy, RO), 0);
	ST_EQ(ext(MMUEXT_PIN_L4_TABLE, new), 0);
	ST_EQ(ext(MMUEXT_NEW_BASEPTR, new), 0);
	ST_TRY("mov %%cr3, %0", : "=r"(cr3) : : "memory");
	ST_EQ(ext(MMUEXT_NEW_BASEPTR, old), 0);
	ST_EQ(cr3, xen_pfn_to_cr3(new));
	ST_EQ(ext(MMUEXT_NEW_USER_BASEPTR, new), 0);
	ST_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0), 0);
	ST_EQ(ext(MMUEXT_UNPIN_TABLE, new), 0);
	ST_EQ(self_rights(copy, RW), 0);
	st_page_free(copy);
}

static void library_makes_and_fills_tables(void)
{
	uint64_t *table = st_page();
	uint64_t entries[3] = { 0x100ul << 12 | RO, 0, 0x101ul << 12 | RW };

	ST_EQ(PV_OP(mmu, table_make, table, 1), 0);
	ST_EQ(PV_OP(mmu, set_entries, table, 509, 3, entries), 0);
	ST_EQ(PV_OP(mmu, read_entry, table, 509) & (PV_PTE_FRAME | RW), entries[0]);
	ST_EQ(PV_OP(mmu, read_entry, table, 510), 0);
	ST_EQ(PV_OP(mmu, read_entry, table, 511) & (PV_PTE_FRAME | RW), entries[2]);
	ST_EQ(PV_OP(mmu, set_entries, table, 510, 3, entries), -XEN_EINVAL);
	ST_EQ(PV_OP(mmu, table_drop, table, 1), 0);
	table[0] = 1;
	ST_EQ(st_traps, 0);
	st_page_free(table);
}

static void library_protects_pages(void)
{
	volatile uint64_t *page = st_page();

	*page = 3;
	ST_EQ(pv_mmu_protect((void *)page, PV_PROT_READ), 0);
	ST_EQ(*page, 3);
	ST_EQ(ST_TRAPS("movq $4, (%0)", : : "r"(page) : "memory"), 1);
	ST_EQ(pv_mmu_protect((void *)page, 0), 0);
	ST_EQ(ST_TRAPS("movq $4, (%0)", : : "r"(page) : "memory"), 1);
	ST_EQ(pv_mmu_protect((void *)page, PV_PROT_READ | PV_PROT_WRITE), 0);
	ST_EQ(*page, 3);
	st_page_free((void *)page);
}

static void library_maps_all_memory(void)
{
	uint64_t va;

	ST_EQ(pv_mmu_map_memory(), 0);
	ST_EQ(pv_boot.mapped_end, pv_boot.memory_end);
	for (va = pv_boot.free; va < pv_boot.memory_end; va += PV_PAGE_SIZE)
		*(volatile uint64_t *)va = va ^ 0x5555;
	for (va = pv_boot.free; va < pv_boot.memory_end; va += PV_PAGE_SIZE)
		ST_EQ(*(volatile uint64_t *)va, va ^ 0x5555);
	ST_EQ(pv_mmu_map_memory(), 0);
}

static const struct st_claim claims[] = {
	ST_CLAIM(mapping_is_changed_at_once),
	ST_CLAIM(every_flush_flag_is_taken),
	ST_CLAIM(no_table_no_mapping),
	ST_CLAIM(frames_of_others_cannot_be_mapped),
	ST_CLAIM(bad_bits_are_refused),
	ST_CLAIM(bits_for_software_are_taken),
	ST_CLAIM(page_tables_cannot_be_mapped_writable),
	ST_CLAIM(entries_change_by_machine_address),
	ST_CLAIM(mapping_for_another_domain_is_denied),
	ST_CLAIM(ordinary_memory_is_written_too),
	ST_CLAIM(list_stops_at_the_first_error),
	ST_CLAIM(update_errors),
	ST_CLAIM(shared_page_is_written_too),
	ST_CLAIM(hypervisor_slots_cannot_be_changed),
	ST_CLAIM(large_pages_are_refused),
	ST_CLAIM(writable_page_cannot_become_a_table),
	ST_CLAIM(table_is_pinned_and_unpinned),
	ST_CLAIM(table_with_a_bad_entry_is_refused),
	ST_CLAIM(attached_table_maps),
	ST_CLAIM(store_into_a_table_faults),
	ST_CLAIM(store_into_a_table_is_emulated_on_request),
	ST_CLAIM(flushes_are_taken),
	ST_CLAIM(operations_for_owners_of_devices_are_denied),
	ST_CLAIM(extended_operation_errors),
	ST_CLAIM(roots_must_be_tables_of_level_four),
	ST_CLAIM(boot_root_is_pinned),
	ST_CLAIM(local_descriptor_table_is_checked_late),
	ST_CLAIM(tables_cannot_be_cleared),
	ST_CLAIM(pages_are_cleared_and_copied),
	ST_CLAIM(another_root_can_be_loaded),
	ST_GENERAL(library_makes_and_fills_tables),
	ST_GENERAL(library_protects_pages),
	ST_GENERAL(library_maps_all_memory),
};

ST_FAMILY(mmu, claims);
