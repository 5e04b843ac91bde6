/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers as Xen shows them to a PV guest: a few that are the guest's own, a few
 * that have a fixed answer, and #GP for the rest.
 */
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/core/mmu.h"

#define MSR_TSC            0x00000010u
#define MSR_APIC_BASE      0x0000001bu
#define MSR_MISC_ENABLE    0x000001a0u
#define MSR_PAT            0x00000277u
#define MSR_PERF_CAPS      0x00000345u
#define MSR_HYPERCALL_PAGE 0x40000000u
#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u

#define EFER_VALUE         UINT64_C(0xd01) /* SCE, LME, LMA, NX */
#define PAT_VALUE          UINT64_C(0x050100070406)
#define APIC_BASE_VALUE    UINT64_C(0xfee00800) /* enabled, where it always is */
#define APIC_BASE_BSP      UINT64_C(0x100)
/* Branch trace and PEBS not available, performance monitoring not either. */
#define MISC_ENABLE_VALUE UINT64_C(0x1801)

bool hv_rdmsr(struct hv_vcpu *v, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_FS_BASE:
		*value = v->regs.fs_base;
		return true;
	case MSR_GS_BASE:
		*value = v->regs.gs_base_kernel;
		return true;
	case MSR_KERNEL_GS_BASE:
		*value = v->regs.gs_base_user;
		return true;
	case MSR_TSC:
		*value = hv_time_tsc(v->domain->machine);
		return true;
	case MSR_EFER:
		*value = EFER_VALUE;
		return true;
	case MSR_PAT:
		*value = PAT_VALUE;
		return true;
	case MSR_APIC_BASE:
		*value = APIC_BASE_VALUE | (v->id == 0 ? APIC_BASE_BSP : 0);
		return true;
	case MSR_MISC_ENABLE:
		*value = MISC_ENABLE_VALUE;
		return true;
	case MSR_TSC_AUX:
	case MSR_PERF_CAPS:
	case MSR_HYPERCALL_PAGE:
		*value = 0;
		return true;
	default:
		return false;
	}
}

/* The guest names a frame of its own, which becomes its hypercall page. */
static bool write_hypercall_page(struct hv_vcpu *v, uint64_t value)
{
	struct hv_domain *d = v->domain;
	mfn_t mfn = { value >> HV_PAGE_SHIFT };
	bool ok = false;
	uint8_t *page;

	if (value & (HV_PAGE_SIZE - 1)) /* there is but one page */
		return false;
	hv_domain_lock(d);
	if (!hv_type_get(d, mfn, HV_TYPE_WRITABLE)) {
		page = hv_frame_ptr(d, mfn);
		HV_ASSERT(page != NULL);
		d->machine->engine->fill_hypercall_page(d, page);
		hv_type_put(d, mfn);
		ok = true;
	}
	hv_domain_unlock(d);
	return ok;
}

bool hv_msr_is_base(uint32_t index)
{
	return index == MSR_FS_BASE || index == MSR_GS_BASE || index == MSR_KERNEL_GS_BASE;
}

bool hv_wrmsr(struct hv_vcpu *v, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
		if (!hv_is_canonical(value))
			return false;
		if (index == MSR_FS_BASE)
			v->regs.fs_base = value;
		else if (index == MSR_GS_BASE)
			v->regs.gs_base_kernel = value;
		else
			v->regs.gs_base_user = value;
		return true;
	case MSR_EFER:
		return value == EFER_VALUE;
	case MSR_PAT:
		return value == PAT_VALUE;
	case MSR_MISC_ENABLE:
		return value == MISC_ENABLE_VALUE;
	case MSR_HYPERCALL_PAGE:
		return write_hypercall_page(v, value);
	default:
		return false;
	}
}
