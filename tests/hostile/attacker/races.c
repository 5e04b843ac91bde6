/* SPDX-License-Identifier: MIT */
/*
 * One vCPU changes what another one's hypercall is reading.
 *
 * Behaviour and method, one after the other:
 *   lists     noise goes into argument structures while calls of all kinds read them
 *   pinned    a vCPU stores an entry for the neighbour's frame into a page, another makes the page a
 *             table: whatever was checked must be what stands there
 *   freed     a vCPU stores into a page by a mapping that another takes away before it gives the
 *             page back and takes a page anew: no store may arrive there
 *   grants    a vCPU rewrites the row of a grant while another maps it
 *   vcpus     two vCPUs take a third up and down
 * Breakage: an entry that was never checked; a store that arrives in a page after its mapping was
 * confirmed gone; the hypervisor's end; the harness's audit.
 */
#include "abi/vcpu.h"
#include "pvops/barrier.h"
#include "tests/hostile/attacker/attack.h"

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t window, other;
static volatile bool may_store;

/* Eight bytes to an address that may not be there. */
static bool poke(volatile uint64_t *p, uint64_t value)
{
	uint32_t ok = 1;

	__asm__ volatile("1: mov %1, (%2)\n"
	                 "jmp 3f\n"
	                 "2: xor %0, %0\n"
	                 "3:\n" PV_EXTABLE("1b", "2b")
	                 : "+r"(ok)
	                 : "r"(value), "r"(p)
	                 : "memory");
	return ok;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void spoil_lists(unsigned int cpu)
{
	uint64_t *w = (uint64_t *)at_scratch;

	for (unsigned int i = 0; i < 64; i++)
		w[at_below(at_chance(2) ? 32 : 1024)] = at_chance(2) ? at_value() : at_below(64);
	(void)cpu;
}

/* ---- pinned --------------------------------------------------------------------------------- */

static uint64_t bad_entry(void)
{
	return at.foreign << PV_PAGE_SHIFT | 7;
}

static void store_bad(unsigned int cpu)
{
	volatile uint64_t *p = (volatile uint64_t *)page;

	for (unsigned int i = 0; i < 512; i++) {
		poke(&p[cpu * 8 + (i & 7)], bad_entry());
		poke(&p[cpu * 8 + (i & 7)], 0);
	}
}

static void check_pinned(void)
{
	const volatile uint64_t *p = (const volatile uint64_t *)page;

	for (unsigned int k = 0; k < 64; k++)
		for (unsigned int i = 0; i < 40; i++)
			if ((p[i] & PV_PTE_PRESENT) && at_is_foreign(pv_pte_mfn(p[i])))
				at_breach("an unchecked entry in a pinned table: %lx", p[i]);
}

static void pinned(unsigned int times)
{
	struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE };
	uint64_t frame = pv_p2m((uint64_t)page >> PV_PAGE_SHIFT);
	unsigned int pins = 0;

	at_helpers(store_bad);
	for (unsigned int i = 0; i < times; i++) {
		at_attempt("pinned");
		pv_hc_update_va_mapping((uint64_t)page, frame << PV_PAGE_SHIFT | 0x25, at_below(8));
		op.cmd = MMUEXT_PIN_L1_TABLE;
		op.arg1.mfn = frame;
		if (!pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF)) {
			pins++;
			check_pinned();
			op.cmd = MMUEXT_UNPIN_TABLE;
			pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
		}
		if (pv_hc_update_va_mapping((uint64_t)page, frame << PV_PAGE_SHIFT | 0x67,
		                            at_below(8)))
			pv_panic("attacker: a page stays read-only");
	}
	at_helpers(NULL);
	pv_log("attacker: pinned %u of %u\n", pins, times);
}

/* ---- freed ---------------------------------------------------------------------------------- */

#define TAG 0x5703e5703e57ull

static void store_window(unsigned int cpu)
{
	volatile uint64_t *p = (volatile uint64_t *)window;

	for (unsigned int i = 0; i < 256; i++)
		poke(&p[cpu * 8 + (i & 7)], TAG);
}

static void freed(unsigned int times)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	uint64_t pfn = (uint64_t)page >> PV_PAGE_SHIFT;
	xen_pfn_t frame = pv_p2m(pfn);
	const volatile uint64_t *p = (const volatile uint64_t *)other;
	unsigned int frees = 0;

	set_xen_guest_handle(r.extent_start, &frame);
	pv_hc_update_va_mapping((uint64_t)page, 0, UVMF_INVLPG | UVMF_ALL);
	at_helpers(store_window);
	for (unsigned int i = 0; i < times; i++) {
		at_attempt("freed");
		uint64_t old = frame;

		pv_hc_update_va_mapping(window, frame << PV_PAGE_SHIFT | 0x67, 0);
		for (unsigned int k = (unsigned int)at_below(200); k; k--)
			pv_hc_xen_version(XENVER_version, NULL);
		/* No flush asked for: the hypervisor has to see to it. */
		pv_hc_update_va_mapping(window, 0, 0);
		if (pv_hc_memory_op(XENMEM_decrease_reservation, &r) != 1)
			continue;
		frame = pfn;
		if (pv_hc_memory_op(XENMEM_populate_physmap, &r) != 1)
			pv_panic("attacker: a page does not come back");
		frees++;
		if (at_is_foreign(frame))
			at_breach("was given the neighbour's frame %lx", (uint64_t)frame);
		pv_hc_update_va_mapping(other, frame << PV_PAGE_SHIFT | 0x67, UVMF_INVLPG);
		for (unsigned int k = 0; k < 64; k++)
			for (unsigned int n = 0; n < 64; n++)
				if (p[n])
					at_breach("a store into frame %lx (was %lx) after it was "
					          "freed: %lx",
					          (uint64_t)frame, old, p[n]);
		pv_hc_update_va_mapping(other, 0, UVMF_INVLPG | UVMF_ALL);
	}
	at_helpers(NULL);
	pv_hc_update_va_mapping((uint64_t)page, frame << PV_PAGE_SHIFT | 0x67, UVMF_INVLPG);
	pv_log("attacker: freed %u of %u\n", frees, times);
}

/* ---- grants --------------------------------------------------------------------------------- */

static struct grant_entry_v1 *table;

static void rewrite_rows(unsigned int cpu)
{
	(void)cpu;
	for (unsigned int i = 0; i < 256; i++) {
		struct grant_entry_v1 e = {
			.flags = (uint16_t)(GTF_permit_access | at_below(2) * 4),
			.domid = (domid_t)(at.witness + at_below(2)),
			.frame = (uint32_t)(at_chance(2) ? at.foreign : at.frame0)
		};
		uint64_t word;

		memcpy(&word, &e, 8);
		__atomic_store_n((uint64_t *)&table[8 + at_below(4)], word, __ATOMIC_SEQ_CST);
	}
}

static void granted(unsigned int times)
{
	unsigned int maps = 0, status[16] = { 0 };

	if (!at.grant_frame || pv_mmu_map_frame(other, at.grant_frame, 0x67))
		return;
	table = (struct grant_entry_v1 *)other;
	at_helpers(rewrite_rows);
	for (unsigned int i = 0; i < times; i++) {
		at_attempt("granted");
		struct gnttab_map_grant_ref m = { .host_addr = window,
			                          .flags = GNTMAP_host_map |
			                                   (at_chance(2) ? GNTMAP_readonly : 0),
			                          .ref = 8 + (grant_ref_t)at_below(4),
			                          .dom = at.self };
		struct gnttab_unmap_grant_ref u = { .host_addr = window };

		if (pv_hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1) || m.status) {
			status[-m.status & 15]++;
			continue;
		}
		maps++;
		if (at_is_foreign(m.dev_bus_addr >> PV_PAGE_SHIFT))
			at_breach("mapped the neighbour's frame by a grant of ours");
		u.handle = m.handle;
		pv_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1);
		if (u.status)
			at_breach("a grant mapping does not go: %d", u.status);
	}
	at_helpers(NULL);
	memset(table + 8, 0, 4 * sizeof(*table));
	pv_hc_update_va_mapping(other, 0, UVMF_INVLPG | UVMF_ALL);
	pv_log("attacker: mapped %u of %u, general error %u, bad page %u\n", maps, times,
	       status[-GNTST_general_error], status[-GNTST_bad_page]);
}

/* ---- vcpus ---------------------------------------------------------------------------------- */

static void toggle(void)
{
	uint32_t cpu = at.cpus - 1;
	static struct vcpu_runstate_info info;

	switch (at_below(5)) {
	case 0:
		pv_hc_vcpu_op(VCPUOP_down, cpu, NULL);
		break;
	case 1:
		pv_hc_vcpu_op(VCPUOP_send_nmi, cpu, NULL);
		break;
	case 2:
		pv_hc_vcpu_op(VCPUOP_get_runstate_info, cpu, &info);
		break;
	default:
		pv_hc_vcpu_op(VCPUOP_up, cpu, NULL);
	}
}

static void toggle_many(unsigned int cpu)
{
	for (unsigned int i = 0; i < 64 && cpu == 1; i++)
		toggle();
}

static void vcpus(unsigned int times)
{
	at_helpers(toggle_many);
	for (unsigned int i = 0; i < times; i++) {
		at_attempt("vcpus");
		toggle();
	}
	at_helpers(NULL);
}

void at_races(void)
{
	window = pv_mmu_window(2);
	other = pv_mmu_window(2);
	if (at.cpus < 2)
		pv_panic("attacker: races need two vCPUs");
	pinned(at.budget);
	freed(at.budget);
	granted(at.budget);
	if (at.cpus > 2)
		vcpus(at.budget);
	at_helpers(spoil_lists);
	at_hypercalls();
	at_helpers(NULL);
}
