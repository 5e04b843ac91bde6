/* SPDX-License-Identifier: MIT */
/*
 * Floating-point state by xsave, or by fxsave where there is no more than x87 and SSE.
 *
 * Invariant: what the entry code needs (pv_fp_size_on_entry, pv_fp_mask, pv_fp_has_xsave) is set
 * before the first is made non-zero.
 */
#include "pvops/fp.h"

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"

#define LEGACY_SIZE         512
#define HEADER_SIZE         64
#define MXCSR_INIT          0x1f80
#define FCW_INIT            0x037f

#define CPUID_1_ECX_XSAVE (1u << 26)

/* Read by entry.S. */
uint32_t pv_fp_size_on_entry; /* bytes to save on each entry; 0: nothing */
uint64_t pv_fp_mask = PV_XCR0_X87 | PV_XCR0_SSE;
uint8_t pv_fp_has_xsave;

static size_t area_size = LEGACY_SIZE;

uint64_t pv_fp_init(uint64_t wanted)
{
	uint32_t r[4];
	uint64_t supported, mask;

	pv_cpuid(1, 0, r);
	/* OSXSAVE is not looked at: it says that this vCPU has switched xsave on, which comes below. */
	if (!(r[2] & CPUID_1_ECX_XSAVE))
		return pv_fp_mask;
	pv_cpuid(0xd, 0, r);
	supported = (uint64_t)r[3] << 32 | r[0];
	mask = (wanted & supported) | PV_XCR0_X87 | PV_XCR0_SSE;
	if ((mask & PV_XCR0_AVX512) != PV_XCR0_AVX512 || !(mask & PV_XCR0_AVX))
		mask &= ~PV_XCR0_AVX512;
	if (PV_OP(cpu, set_xcr0, mask))
		return pv_fp_mask;
	pv_fp_mask = mask;
	pv_fp_has_xsave = 1;
	/* ebx: the size for the states that are on now. */
	pv_cpuid(0xd, 0, r);
	area_size = (r[1] + 63u) & ~63u;
	if (area_size < LEGACY_SIZE + HEADER_SIZE)
		area_size = LEGACY_SIZE + HEADER_SIZE;
	return mask;
}

uint64_t pv_fp_states(void)
{
	return pv_fp_mask;
}

size_t pv_fp_size(void)
{
	return area_size;
}

/*
 * A hypervisor may load the state of a vCPU only when it is used, which it learns by #NM. xsave and
 * xrstor raise that, but not in QEMU's emulated processor (10.0), where the hypervisor would then
 * keep another vCPU's state for ours. This instruction raises it everywhere; it does not wait for
 * pending exceptions, and costs a nanosecond.
 */
static void claim_registers(void)
{
	__asm__ volatile("fnstsw %%ax" : : : "ax");
}

void pv_fp_save(void *area)
{
	claim_registers();
	if (pv_fp_has_xsave)
		__asm__ volatile("xsave64 (%0)"
		                 :
		                 : "r"(area), "a"((uint32_t)pv_fp_mask),
		                   "d"((uint32_t)(pv_fp_mask >> 32))
		                 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void pv_fp_load(const void *area)
{
	claim_registers();
	if (pv_fp_has_xsave)
		__asm__ volatile("xrstor64 (%0)"
		                 :
		                 : "r"(area), "a"((uint32_t)pv_fp_mask),
		                   "d"((uint32_t)(pv_fp_mask >> 32))
		                 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void pv_fp_fresh(void *area)
{
	uint16_t fcw = FCW_INIT;
	uint32_t mxcsr = MXCSR_INIT;

	/*
	 * A header of 0 tells xrstor to initialize every state itself, save mxcsr, which it always
	 * takes from the area.
	 */
	memset(area, 0, area_size);
	memcpy(area, &fcw, sizeof(fcw));
	memcpy((char *)area + 24, &mxcsr, sizeof(mxcsr));
}

void pv_fp_save_on_entry(bool on)
{
	pv_store(&pv_fp_size_on_entry, on ? (uint32_t)area_size : 0);
}
