/* SPDX-License-Identifier: MIT */
/*
 * The library's own data of each vCPU.
 */
#include "pvops/cpu.h"

#include "pvops/barrier.h"
#include "pvops/hypercall.h"

struct pv_cpu *pv_cpus[PV_MAX_CPUS];

int pv_cpu_install(struct pv_cpu *cpu, uint32_t id)
{
	if (id >= PV_MAX_CPUS)
		return -XEN_EINVAL;
	cpu->self = cpu;
	cpu->id = id;
	pv_store_release(&pv_cpus[id], cpu);
	return (int)pv_hc_set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)cpu);
}
