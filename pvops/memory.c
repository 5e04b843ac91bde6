/* SPDX-License-Identifier: MIT */
/*
 * Pages and waiting: the kernel's hooks, and what the library does where the kernel has none.
 *
 * Boot memory is a stack of freed pages on top of a mark that moves up through the mapped free
 * memory. Invariant: pv_boot.free is that mark, so what kernel_main() is told is free is free; a
 * kernel that takes this memory over must supply page_alloc.
 */
#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/evtchn.h"
#include "pvops/lock.h"
#include "pvops/memory.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

struct pv_boot pv_boot;

struct free_page {
	struct free_page *next;
};

static struct free_page *freed;
static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static bool kernel_runs;

void pv_memory_hand_over(void)
{
	kernel_runs = true;
}

void *pv_page_alloc(void)
{
	void *page = NULL;
	uint64_t irq;

	if (kernel_runs && pv_hooks.page_alloc)
		return pv_hooks.page_alloc();
	irq = pv_spin_lock_irq(&lock);
	if (freed) {
		page = freed;
		freed = freed->next;
	} else if (pv_boot.free < pv_boot.mapped_end) {
		page = (void *)pv_boot.free;
		pv_boot.free += PV_PAGE_SIZE;
	}
	pv_spin_unlock_irq(&lock, irq);
	return page;
}

void pv_page_free(void *page)
{
	struct free_page *f = page;
	uint64_t irq;

	if (kernel_runs && pv_hooks.page_free) {
		pv_hooks.page_free(page);
		return;
	}
	irq = pv_spin_lock_irq(&lock);
	f->next = freed;
	freed = f;
	pv_spin_unlock_irq(&lock, irq);
}

/*
 * Waiting for kernels without threads: the vCPU sleeps until any of its events. Masked between the
 * question and the sleep, so that the event which makes the answer true cannot slip in between.
 */
static bool wait_alone(bool (*ready)(void *arg), void *arg, uint64_t deadline_ns)
{
	uint64_t irq = pv_irq_save();
	bool is_ready;

	for (;;) {
		is_ready = ready(arg);
		if (is_ready || (deadline_ns && pv_now_ns() >= deadline_ns))
			break;
		pv_evtchn_sleep(deadline_ns);
		pv_event_main(NULL);
	}
	pv_irq_restore(irq);
	return is_ready;
}

bool pv_wait(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns)
{
	if (pv_hooks.wait)
		return pv_hooks.wait(q, ready, arg, deadline_ns);
	return wait_alone(ready, arg, deadline_ns);
}

void pv_wake(struct pv_waitq *q)
{
	if (pv_hooks.wake)
		pv_hooks.wake(q);
}
