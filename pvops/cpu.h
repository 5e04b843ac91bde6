/* SPDX-License-Identifier: MIT */
/*
 * What the library keeps for each vCPU, and how the running one is found: its kernel GS base
 * points at its own struct pv_cpu. Offsets are usable from assembly.
 *
 * Invariant: from the first call of pv_cpu_install() on a vCPU, %gs:0 is that vCPU's own address
 * whenever kernel code runs. (Xen swaps the GS bases itself on the way from and to user mode.)
 */
#ifndef PVOPS_CPU_H
#define PVOPS_CPU_H

#define PV_CPU_SELF 0
#define PV_CPU_INFO 8
#define PV_CPU_ID   16

/* Offsets in struct vcpu_info that the entry code needs. */
#define PV_INFO_PENDING 0
#define PV_INFO_MASK    1

#define PV_MAX_CPUS     32

#ifndef __ASSEMBLY__

#include <stddef.h>
#include <stdint.h>

#include "abi/xen.h"
#include "pvops/pv_ops.h"

#define PV_EVTCHN_WORDS 64

struct pv_aspace;

struct pv_cpu {
	struct pv_cpu *self;
	struct vcpu_info *info; /* events, fault address and clock of this vCPU */
	uint32_t id;            /* as the hypervisor numbers vCPUs */
	uint32_t flags;         /* reserved, 0 */
	/*
	 * Ports that this vCPU serves: a word of evtchn_pending may hold ports of several vCPUs,
	 * and each of them takes its own only.
	 */
	uint64_t ports[PV_EVTCHN_WORDS];
	uint32_t upcall_depth;        /* upcalls being handled on this vCPU */
	const void *volatile waiting; /* lock that this vCPU sleeps for, or NULL (lock.c) */
	uint32_t kick_port;           /* the port that ends such a sleep; 0: none yet */
	struct pv_context context;    /* what this vCPU has loaded (aspace.c) */
	struct pv_aspace *aspace;     /* whose roots those are; NULL: the boot root */
	void *kernel; /* for the kernel's own per-CPU data; the library never looks */
};

_Static_assert(offsetof(struct pv_cpu, self) == PV_CPU_SELF, "pv_cpu.self");
_Static_assert(offsetof(struct pv_cpu, info) == PV_CPU_INFO, "pv_cpu.info");
_Static_assert(offsetof(struct pv_cpu, id) == PV_CPU_ID, "pv_cpu.id");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_pending) == PV_INFO_PENDING, "pending");
_Static_assert(offsetof(struct vcpu_info, evtchn_upcall_mask) == PV_INFO_MASK, "mask");

/* By vCPU number; NULL where the library has not brought one up. Entry 0 exists from the start. */
extern struct pv_cpu *pv_cpus[PV_MAX_CPUS];

/* How many there are now. */
unsigned pv_cpu_count(void);

#ifdef PV_HOSTED_TEST
/* A test decides which vCPU a thread plays. */
extern _Thread_local struct pv_cpu *pv_test_cpu;
static inline struct pv_cpu *pv_cpu(void)
{
	return pv_test_cpu;
}
#else
static inline struct pv_cpu *pv_cpu(void)
{
	struct pv_cpu *cpu;

	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(cpu) : "i"(PV_CPU_SELF));
	return cpu;
}
#endif

/*
 * pv_cpu_install - make `cpu` the running vCPU's own
 *
 * Fills in self and id, points the kernel GS base at it. `info` must be set by the caller before
 * the first event can arrive.
 *
 * Context: on the vCPU itself, before its traps and events are on.
 * Returns 0 or a negative XEN_E*.
 */
int pv_cpu_install(struct pv_cpu *cpu, uint32_t id);

#endif /* __ASSEMBLY__ */

#endif /* PVOPS_CPU_H */
