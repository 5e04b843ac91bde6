/* SPDX-License-Identifier: MIT */
/*
 * Several vCPUs: bringing them up and taking them down, and interrupts between them.
 *
 * Remote flushes of translations need nothing from here: pv_mmu_ops has them.
 */
#ifndef PVOPS_SMP_H
#define PVOPS_SMP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * pv_smp_init - on the boot vCPU, before anything else of this header
 *
 * on_ipi: runs on a vCPU that was sent a pv_smp_ipi(), as event handlers do; may be NULL
 *
 * Gives the vCPU its port for interrupts and the one that ends its sleep for a lock.
 * Returns 0 or a negative XEN_E*.
 */
int pv_smp_init(void (*on_ipi)(void));

/* vCPUs that this domain can have, the running one included; at most PV_MAX_CPUS. Natively 1. */
unsigned int pv_smp_possible(void);

/* Is it up? Asks the hypervisor, if there is one. */
bool pv_smp_is_up(uint32_t cpu);

/*
 * pv_smp_start - bring up a vCPU that has never run, or one that called pv_smp_stop()
 *
 * stack_top: end of a stack in the identity map, aligned to 16; not looked at the second time
 * main:      runs on the new vCPU, events masked, under the boot root, with traps and events set up
 *            as on the caller; it does not return. The second time it is not called: pv_smp_stop()
 *            returns instead.
 *
 * Returns 0; -XEN_ENOMEM; -XEN_ENOENT when the domain has no such vCPU; -XEN_EEXIST when it is up;
 * or another negative XEN_E*. Context: one caller at a time.
 */
int pv_smp_start(uint32_t cpu, void *stack_top, void (*main)(void));

/*
 * pv_smp_stop - take the calling vCPU down
 *
 * Its ports stay bound to it: who wants them served moves them first, and stops its timer. Returns
 * when pv_smp_start() has brought it up again. Context: events masked; the boot root loaded.
 */
void pv_smp_stop(void);

/* Interrupts a vCPU that has been started. Any context. */
void pv_smp_ipi(uint32_t cpu);

#endif /* PVOPS_SMP_H */
