/* SPDX-License-Identifier: MIT */
/*
 * The library's own data of each vCPU, and the page that all of them share with the hypervisor.
 */
#include "pvops/cpu.h"

#include "pvops/barrier.h"
#include "abi/errno.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

struct pv_cpu *pv_cpus[PV_MAX_CPUS];
struct shared_info *pv_shared_info;

unsigned pv_cpu_count(void)
{
	unsigned i, n = 0;

	for (i = 0; i < PV_MAX_CPUS; i++)
		n += pv_load(&pv_cpus[i]) != NULL;
	return n;
}

int pv_cpu_install(struct pv_cpu *cpu, uint32_t id)
{
	if (id >= PV_MAX_CPUS)
		return -XEN_EINVAL;
	cpu->self = cpu;
	cpu->id = id;
	pv_store_release(&pv_cpus[id], cpu);
	return PV_OP(cpu, set_kernel_gs_base, (unsigned long)cpu);
}
