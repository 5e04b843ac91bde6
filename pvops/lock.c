/* SPDX-License-Identifier: MIT */
/*
 * Spin locks that sleep when spinning has not helped.
 *
 * The lock is one word: 0 free, 1 held, 2 held and somebody may sleep. Who has spun in vain writes
 * 2 and sleeps; who finds 2 at unlocking wakes. No wake-up is lost:
 *
 *   waiter                                       holder
 *   1. exchanges 2 into the word
 *      (got 0: the lock is its own)
 *   2. publishes "I wait for this lock"          a. exchanges 0 into the word
 *   3. reads the word; not 2: back to 1          b. was it 2? kicks all who wait for this lock
 *   4. sleeps until kicked; back to 1
 *
 * If step 3 reads 2, then a comes later, sees 2, and b finds what step 2 published: 2 and 3 are a
 * store and a load with a full barrier between them, a and b the other way round. A kick is an
 * event: one that comes before step 4 leaves its port pending, and the sleep ends at once. Steps 2 to
 * 4 are the operation `wait`, step b is `kick`.
 */
#include "pvops/lock.h"

#include "pvops/barrier.h"

/* About as long as a short critical section. Longer holders have lost their core. */
#define SPINS 1000

bool pv_spin_trylock(struct pv_spinlock *lock)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&lock->state, &free, 1, false, __ATOMIC_ACQUIRE,
	                                   __ATOMIC_RELAXED);
}

static void lock_slowly(struct pv_spinlock *lock)
{
	unsigned int i;

	for (i = 0; i < SPINS; i++) {
		if (pv_load(&lock->state) == 0 && pv_spin_trylock(lock))
			return;
		pv_cpu_relax();
	}
	/* From here the word says 2 while we hold it: there may be other sleepers. */
	while (pv_xchg(&lock->state, 2) != 0)
		PV_OP(lock, wait, lock);
}

void pv_spin_lock(struct pv_spinlock *lock)
{
	if (!pv_spin_trylock(lock))
		lock_slowly(lock);
}

void pv_spin_unlock(struct pv_spinlock *lock)
{
	if (pv_xchg(&lock->state, 0) == 2)
		PV_OP(lock, kick, lock);
}

uint64_t pv_spin_lock_irq(struct pv_spinlock *lock)
{
	uint64_t state = pv_irq_save();

	pv_spin_lock(lock);
	return state;
}

void pv_spin_unlock_irq(struct pv_spinlock *lock, uint64_t state)
{
	pv_spin_unlock(lock);
	pv_irq_restore(state);
}
