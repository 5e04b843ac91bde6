/* SPDX-License-Identifier: MIT */
/*
 * The processor that a PV guest is shown: CPUID leaves and MSRs.
 */
#ifndef HYPERVISOR_STUB_CORE_CPU_H
#define HYPERVISOR_STUB_CORE_CPU_H

#include "hypervisor-stub/core/hv.h"

/* One leaf as v may see it: out is eax, ebx, ecx, edx. (cpuid.c) */
void hv_cpuid(struct hv_vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* XCR0 of the host, 0 when there is none. */
uint64_t hv_host_xcr0(void);

/* AMD and its kin; else Intel's rules hold. */
bool hv_cpu_is_amd(void);

/* False: #GP. (msr.c) v's thread, no lock held. */
bool hv_rdmsr(struct hv_vcpu *v, uint32_t index, uint64_t *value);
bool hv_wrmsr(struct hv_vcpu *v, uint32_t index, uint64_t value);
/* FS, GS and kernel GS base: they lie in v->regs, and any canonical value may be written. */
bool hv_msr_is_base(uint32_t index);

#endif
