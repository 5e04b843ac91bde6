/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers as Xen shows them to a PV guest: a few that are the guest's own, a few
 * that have a fixed answer, and #GP for the rest.
 */
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/core/x86/x86emu.h"

#define MSR_TSC              0x00000010u
#define MSR_APIC_BASE        0x0000001bu
#define MSR_PATCH_LEVEL      0x0000008bu
#define MSR_PLATFORM_INFO    0x000000ceu
#define MSR_MPERF            0x000000e7u
#define MSR_APERF            0x000000e8u
#define MSR_MISC_FEATURES    0x00000140u
#define MSR_THERM_CONTROL    0x0000019au
#define MSR_MISC_ENABLE      0x000001a0u
#define MSR_ENERGY_PERF_BIAS 0x000001b0u
#define MSR_PAT              0x00000277u
#define MSR_PERF_CAPS        0x00000345u
#define MSR_HYPERCALL_PAGE   0x40000000u
#define MSR_EFER             0xc0000080u
#define MSR_FS_BASE          0xc0000100u
#define MSR_GS_BASE          0xc0000101u
#define MSR_KERNEL_GS_BASE   0xc0000102u
#define MSR_TSC_AUX          0xc0000103u
#define MSR_AMD_HWCR         0xc0010015u
#define MSR_AMD_NB_CFG       0xc001001fu
#define MSR_AMD_DE_CFG       0xc0011029u

#define EFER_VALUE           UINT64_C(0xd01) /* SCE, LME, LMA, NX */
#define PAT_VALUE            UINT64_C(0x050100070406)
#define APIC_BASE_VALUE      UINT64_C(0xfee00800) /* enabled, where it always is */
#define APIC_BASE_BSP        UINT64_C(0x100)
/* Fast strings; branch trace, PEBS and task priority messages not available, no counters. */
#define MISC_ENABLE_VALUE UINT64_C(0x801801)
#define HWCR_VALUE        UINT64_C(0x1000000) /* the TSC counts at the P0 frequency */
#define DE_CFG_VALUE      UINT64_C(0x2)       /* LFENCE serialises */

/* Machine check: two banks that never report anything. */
#define MSR_MC_ADDR       0x00000000u /* of the first Pentium, and its type */
#define MSR_MC_TYPE       0x00000001u
#define MSR_MCG_CAP       0x00000179u
#define MSR_MCG_STATUS    0x0000017au
#define MSR_MCG_CTL       0x0000017bu
#define MSR_MC_FIRST      0x00000400u /* per bank: control, status, address, misc */
#define MSR_MC_LAST       0x0000047fu
#define MSR_MC_CMCI_FIRST 0x00000280u
#define MSR_MC_CMCI_LAST  0x0000029fu
#define MC_BANKS          2u

struct msr_range {
	uint32_t first, last;
};

/* Read as 0 and ignored when written: counters, which are switched off, and power states. */
static const struct msr_range quiet_intel[] = {
	{ 0x0c1, 0x0c8 }, { 0x186, 0x189 }, { 0x309, 0x30b }, { 0x38d, 0x390 }
};
static const struct msr_range quiet_amd[] = {
	{ 0xc0010000, 0xc0010007 },
	{ 0xc0010041, 0xc0010042 },
	{ 0xc0010061, 0xc001006b },
	{ 0xc0010200, 0xc001020b },
};

static bool in_ranges(uint32_t index, const struct msr_range *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (index >= r[i].first && index <= r[i].last)
			return true;
	return false;
}

static bool is_quiet(uint32_t index)
{
	if (hv_cpu_is_amd())
		return index == MSR_AMD_NB_CFG ||
		       in_ranges(index, quiet_amd, sizeof(quiet_amd) / sizeof(quiet_amd[0]));
	return in_ranges(index, quiet_intel, sizeof(quiet_intel) / sizeof(quiet_intel[0]));
}

static bool is_machine_check(uint32_t index)
{
	return (index >= MSR_MCG_CAP && index <= MSR_MCG_CTL) ||
	       (index >= MSR_MC_CMCI_FIRST && index <= MSR_MC_CMCI_LAST) ||
	       (index >= MSR_MC_FIRST && index <= MSR_MC_LAST);
}

static uint64_t read_machine_check(uint32_t index)
{
	if (index == MSR_MCG_CAP)
		return MC_BANKS;
	if (index >= MSR_MC_FIRST && index % 4 == 0 && (index - MSR_MC_FIRST) / 4 < MC_BANKS)
		return UINT64_MAX; /* control: every kind of error would be reported */
	return 0;
}

/* Registers that only one of the makers has. */
static bool read_by_maker(uint32_t index, uint64_t *value)
{
	bool amd = hv_cpu_is_amd();

	switch (index) {
	case MSR_MISC_ENABLE:
		*value = MISC_ENABLE_VALUE;
		return !amd;
	case MSR_AMD_HWCR:
		*value = HWCR_VALUE;
		return amd;
	case MSR_AMD_DE_CFG:
		*value = DE_CFG_VALUE;
		return amd;
	default:
		return false;
	}
}

/* Registers that every vCPU has, its own state first. */
static bool read_common(struct hv_vcpu *v, uint32_t index, uint64_t *value)
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
	case MSR_TSC_AUX:
		*value = v->traps.tsc_aux;
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
	case MSR_MC_ADDR:
	case MSR_MC_TYPE:
	case MSR_PATCH_LEVEL:
	case MSR_PLATFORM_INFO:
	case MSR_MISC_FEATURES:
	case MSR_PERF_CAPS:
	case MSR_HYPERCALL_PAGE:
		*value = 0;
		return true;
	default:
		return false;
	}
}

bool hv_rdmsr(struct hv_vcpu *v, uint32_t index, uint64_t *value)
{
	*value = 0;
	if (read_common(v, index, value))
		return true;
	if (is_machine_check(index)) {
		*value = read_machine_check(index);
		return true;
	}
	if (is_quiet(index) || read_by_maker(index, value))
		return true;
	/* A kernel that cannot take a #GP yet is spared it. */
	*value = 0;
	return !v->traps.trap[X86_VECTOR_GP].address && index >> 16 != MSR_HYPERCALL_PAGE >> 16;
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

/* Writes that have no effect here and no error there. */
static bool is_ignored(uint32_t index)
{
	bool amd = hv_cpu_is_amd();

	switch (index) {
	case MSR_MPERF:
	case MSR_APERF:
		return true;
	case MSR_THERM_CONTROL:
	case MSR_ENERGY_PERF_BIAS:
	case MSR_MISC_ENABLE:
		return !amd;
	case MSR_AMD_HWCR:
	case MSR_AMD_DE_CFG:
		return amd;
	default:
		return is_quiet(index) || is_machine_check(index);
	}
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
	case MSR_TSC_AUX:
		if (value >> 32)
			return false;
		v->traps.tsc_aux = (uint32_t)value;
		return true;
	case MSR_MISC_FEATURES:
		return value == 0; /* no feature of it is there to be switched on */
	case MSR_HYPERCALL_PAGE:
		return write_hypercall_page(v, value);
	default:
		/* What a bank has reported can be cleared, and nothing else. */
		if (value && index >= MSR_MC_FIRST && index <= MSR_MC_LAST && index % 4 &&
		    (index - MSR_MC_FIRST) / 4 < MC_BANKS)
			return false;
		return is_ignored(index);
	}
}
