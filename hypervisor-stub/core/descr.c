/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: what a guest may have in its GDT and LDT.
 *
 * A frame of a GDT is of the descriptor type: its contents have been checked and it is mapped
 * writable nowhere, so that an engine could hand it to the processor as it is. The rules are those
 * of check_descriptor() in Xen's xen/arch/x86/pv/descriptor-tables.c for 64-bit guests.
 *
 * An LDT is an address. Its pages are read, and each descriptor checked, when one is used.
 */
#include "abi/errno.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* The high word of a descriptor. */
#define DESC_P       0x8000u
#define DESC_S       0x1000u /* code or data */
#define DESC_DPL     0x6000u
#define DESC_TYPE    0x0f00u
#define DESC_GATE    0x0c00u /* type of a call gate */
#define DESC_LOWBYTE 0x00ffu /* of a gate: parameter count, must be 0 */
#define GDT_FRAMES   16u
#define LDT_MAX      8192u

/* A selector that a call gate may lead to: the guest's GDT, its LDT, or Xen's flat kernel code. */
static bool gate_target_ok(uint16_t selector)
{
	return selector >> 3 < FIRST_RESERVED_GDT_ENTRY || selector == FLAT_KERNEL_CS ||
	       (selector & 4);
}

bool hv_descriptor_check(uint64_t *desc)
{
	uint32_t low = (uint32_t)*desc, high = (uint32_t)(*desc >> 32), dpl;
	uint16_t target;

	/* What is not present faults whenever it is used. */
	if (!(high & DESC_P))
		return true;
	/* Type 0 is the second half of a 16-byte gate, and kept as it is. */
	if (!(high & (DESC_S | DESC_TYPE)))
		return true;
	/* The guest's kernel is at ring 3, so nothing may ask for more. */
	dpl = 3;
	high |= DESC_DPL;
	if (high & DESC_S) { /* code and data */
		*desc = (uint64_t)high << 32 | low;
		return true;
	}
	if ((high & DESC_TYPE) != DESC_GATE)
		return false;
	target = (uint16_t)(low >> 16);
	if (!gate_target_ok(target) || (high & DESC_LOWBYTE))
		return false;
	/*
	 * A gate cannot lead from user to kernel where both are ring 3: DPL 0 makes its use a #GP
	 * that names it, and the DPL it had is kept as the target's RPL.
	 */
	high &= ~DESC_DPL;
	target = (uint16_t)((target & ~3u) | dpl);
	*desc = (uint64_t)high << 32 | (uint32_t)target << 16 | (low & 0xffff);
	return true;
}

/* ---- GDT --------------------------------------------------------------------------------------- */

void hv_gdt_clear(struct hv_vcpu *v)
{
	unsigned nr = (v->traps.gdt_entries + HV_PTES - 1) / HV_PTES;

	for (unsigned i = 0; i < nr; i++) {
		hv_type_put(v->domain, v->traps.gdt_frame[i]);
		v->traps.gdt_frame[i] = (mfn_t){ 0 };
	}
	v->traps.gdt_entries = 0;
}

int hv_gdt_set(struct hv_vcpu *v, const uint64_t *frames, unsigned entries)
{
	unsigned nr = (entries + HV_PTES - 1) / HV_PTES, i;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -XEN_EINVAL;
	for (i = 0; i < nr; i++) {
		if (hv_type_get(v->domain, (mfn_t){ frames[i] }, HV_TYPE_DESC))
			break;
	}
	if (i < nr) {
		while (i-- > 0)
			hv_type_put(v->domain, (mfn_t){ frames[i] });
		return -XEN_EINVAL;
	}
	hv_gdt_clear(v);
	for (i = 0; i < nr; i++)
		v->traps.gdt_frame[i].n = frames[i];
	v->traps.gdt_entries = entries;
	return 0;
}

int64_t hv_do_set_gdt(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t frames[GDT_FRAMES];
	uint32_t entries = (uint32_t)a[1];
	size_t nr;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -XEN_EINVAL;
	nr = (entries + HV_PTES - 1) / HV_PTES;
	if (hv_copy_from_guest(v, frames, a[0], nr * sizeof(frames[0])))
		return -XEN_EFAULT;
	return hv_gdt_set(v, frames, entries);
}

int64_t hv_do_update_descriptor(struct hv_vcpu *v, const uint64_t *a)
{
	struct hv_domain *d = v->domain;
	mfn_t mfn = { a[0] >> HV_PAGE_SHIFT };
	uint64_t desc = a[1], *page = hv_frame_ptr(d, mfn);
	struct hv_frame *f = hv_frame_own(d, mfn);
	enum hv_frame_type type;

	if (a[0] % sizeof(desc) || !f || !hv_descriptor_check(&desc))
		return -XEN_EINVAL;
	type = f->type == HV_TYPE_DESC ? HV_TYPE_DESC : HV_TYPE_WRITABLE;
	if (hv_type_get(d, mfn, type))
		return -XEN_EINVAL;
	__atomic_store_n(&page[(a[0] & (HV_PAGE_SIZE - 1)) / sizeof(desc)], desc, __ATOMIC_RELAXED);
	hv_type_put(d, mfn);
	return 0;
}

/* ---- LDT, and use of descriptors ---------------------------------------------------------------- */

int hv_ldt_set(struct hv_vcpu *v, uint64_t base, unsigned entries)
{
	if (entries > LDT_MAX)
		return -XEN_EINVAL;
	if (entries && ((base & (HV_PAGE_SIZE - 1)) || !hv_addr_ok(base)))
		return -XEN_EINVAL;
	v->traps.ldt_base = entries ? base : 0;
	v->traps.ldt_entries = entries;
	return 0;
}

int hv_descriptor_read(struct hv_vcpu *v, uint16_t selector, uint64_t *desc)
{
	unsigned i = selector >> 3;
	uint64_t found;

	if (selector & 4) {
		if (i >= v->traps.ldt_entries)
			return -XEN_EINVAL;
		if (hv_copy_from_guest(v, &found, v->traps.ldt_base + i * 8u, sizeof(found)))
			return -XEN_EFAULT;
	} else {
		const uint64_t *page;

		if (i >= v->traps.gdt_entries)
			return -XEN_EINVAL;
		page = hv_frame_ptr(v->domain, v->traps.gdt_frame[i / HV_PTES]);
		HV_ASSERT(page);
		found = hv_pte_load(&page[i % HV_PTES]);
	}
	if (!hv_descriptor_check(&found))
		return -XEN_EINVAL;
	*desc = found;
	return 0;
}
