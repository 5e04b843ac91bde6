/* SPDX-License-Identifier: MIT */
/*
 * Spin locks for kernels whose vCPUs may be pre-empted: a vCPU that has spun for a while sleeps in
 * the hypervisor until the lock is given up, instead of burning the core that the holder needs.
 */
#ifndef PVOPS_LOCK_H
#define PVOPS_LOCK_H

#include "pvops/pv_ops.h"

#define PV_SPINLOCK_INIT \
	{                \
		0        \
	}

/*
 * pv_spin_lock, pv_spin_trylock, pv_spin_unlock
 *
 * Context: any, but a lock that an event handler takes must be taken with events masked
 * everywhere: pv_spin_lock_irq(). Not recursive. No order of arrival is promised.
 */
void pv_spin_lock(struct pv_spinlock *lock);
bool pv_spin_trylock(struct pv_spinlock *lock);
void pv_spin_unlock(struct pv_spinlock *lock);

/* The same with events masked; the result of the first goes to the second. */
uint64_t pv_spin_lock_irq(struct pv_spinlock *lock);
void pv_spin_unlock_irq(struct pv_spinlock *lock, uint64_t state);

#endif /* PVOPS_LOCK_H */
