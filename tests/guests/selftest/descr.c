/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: a GDT page of the guest's own, checked by the hypervisor as page tables are.
 *
 * Method: a page with descriptors becomes a GDT page, is refused while it is writable or holds what
 * a guest may not have, is updated by hypercall, and is memory again. Breakage: a guest could load a
 * segment with the hypervisor's privilege.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define RW         (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define RO         (PV_PTE_PRESENT | PV_PTE_ACCESSED)

#define DATA_RING3 0x00cff3000000ffffull /* flat, writable, DPL 3, accessed */
#define DATA_RING0 0x00cf93000000ffffull
#define TASK_STATE 0x0000890000000067ull /* a TSS, which only the hypervisor may have */
#define ENTRY      3
#define SELECTOR   (ENTRY * 8 + 3)

static uint64_t *gdt;

static long set_gdt(unsigned int entries)
{
	xen_pfn_t frame = pv_virt_to_mfn(gdt);

	return pv_hc_set_gdt(&frame, entries);
}

static long rights(uint64_t flags)
{
	return pv_hc_update_va_mapping((unsigned long)gdt, pv_pte(pv_virt_to_mfn(gdt), flags),
	                               UVMF_INVLPG);
}

static void gdt_page_must_be_read_only(void)
{
	gdt = st_page();
	gdt[ENTRY] = DATA_RING3;
	ST_EQ(set_gdt(512), -XEN_EINVAL);
	ST_EQ(rights(RO), 0);
	ST_EQ(set_gdt(512), 0);
	ST_EQ(rights(RW), -XEN_EBUSY);
	ST_EQ(pv_hc_set_gdt(NULL, 0), 0);
	ST_EQ(rights(RW), 0);
	st_page_free(gdt);
}

static void own_segment_can_be_loaded(void)
{
	uint16_t es = 0;

	gdt = st_page();
	gdt[ENTRY] = DATA_RING3;
	ST_EQ(rights(RO), 0);
	ST_EQ(set_gdt(512), 0);
	ST_TRY("mov %1, %%es; mov %%es, %0", : "=r"(es) : "r"(SELECTOR) : "memory");
	ST_EQ(st_traps, 0);
	__asm__ volatile("mov %0, %%es" : : "r"(0));
	ST_EQ(pv_hc_set_gdt(NULL, 0), 0);
	ST_EQ(rights(RW), 0);
	st_page_free(gdt);
	ST_EQ(es, SELECTOR);
}

static void descriptors_change_by_hypercall(void)
{
	gdt = st_page();
	ST_EQ(rights(RO), 0);
	ST_EQ(set_gdt(512), 0);
	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address(&gdt[ENTRY]), DATA_RING3), 0);
	ST_EQ(gdt[ENTRY], DATA_RING3);
	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address(&gdt[ENTRY]), TASK_STATE),
	      -XEN_EINVAL);
	ST_EQ(gdt[ENTRY], DATA_RING3);
	/* Ring 0 becomes ring 3, where guests live. */
	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address(&gdt[ENTRY]), DATA_RING0), 0);
	ST_EQ(gdt[ENTRY], DATA_RING3);
	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address(&gdt[ENTRY]) + 4, 0), -XEN_EINVAL);
	ST_EQ(pv_hc_update_descriptor(1ul << 50, 0), -XEN_EINVAL);
	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address((void *)pv_boot.start->pt_base), 0),
	      -XEN_EINVAL);
	ST_EQ(pv_hc_set_gdt(NULL, 0), 0);
	ST_EQ(rights(RW), 0);
	st_page_free(gdt);
}

static void bad_descriptors_make_no_gdt(void)
{
	xen_pfn_t frame = 1ul << 36;

	gdt = st_page();
	gdt[ENTRY] = TASK_STATE;
	ST_EQ(rights(RO), 0);
	ST_EQ(set_gdt(512), -XEN_EINVAL);
	ST_EQ(rights(RW), 0);
	st_page_free(gdt);
	ST_EQ(pv_hc_set_gdt(&frame, 512), -XEN_EINVAL);
	ST_EQ(pv_hc_set_gdt(&frame, FIRST_RESERVED_GDT_ENTRY + 1), -XEN_EINVAL);
	ST_EQ(pv_hc_set_gdt(ST_HYPERVISOR, 512), -XEN_EFAULT);
}

static void ordinary_memory_takes_descriptors(void)
{
	uint64_t *page = st_page();

	ST_EQ(pv_hc_update_descriptor(pv_mmu_machine_address(&page[7]), DATA_RING3), 0);
	ST_EQ(page[7], DATA_RING3);
	st_page_free(page);
}

static const struct st_claim claims[] = {
	ST_CLAIM(gdt_page_must_be_read_only),        ST_CLAIM(own_segment_can_be_loaded),
	ST_CLAIM(descriptors_change_by_hypercall),   ST_CLAIM(bad_descriptors_make_no_gdt),
	ST_CLAIM(ordinary_memory_takes_descriptors),
};

ST_FAMILY(descr, claims);
