/* SPDX-License-Identifier: MIT */
/*
 * Several vCPUs: bringing them up and down, interrupts between them, and what each must see of what
 * the others do.
 *
 * Method: every other vCPU runs a loop that takes orders: a function and its argument. With one vCPU
 * the family is skipped.
 * Breakage: a lost wake-up hangs a kernel, a lost flush corrupts it, both seldom.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/fp.h"
#include "pvops/lock.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/smp.h"
#include "pvops/time.h"

#define LIMIT_NS     20000000000ull
#define STACK_PAGES  2
#define FIRST_WORKER 1

static unsigned int nr_cpus; /* all of them; 0: not looked yet */

/* ---- workers ---- */

static struct worker {
	void (*order)(void *arg); /* NULL: none; written by us, cleared by the worker */
	void *arg;
	uint32_t is_up;
} workers[PV_MAX_CPUS];

static uint8_t stacks[PV_MAX_CPUS][STACK_PAGES * PV_PAGE_SIZE] __attribute__((aligned(16)));
static uint32_t ipis[PV_MAX_CPUS];

static void on_ipi(void)
{
	__atomic_fetch_add(&ipis[pv_cpu()->id], 1, __ATOMIC_SEQ_CST);
}

static void worker_main(void)
{
	struct worker *w = &workers[pv_cpu()->id];

	pv_fp_init(PV_XCR0_AVX);
	pv_store(&w->is_up, 1);
	pv_irq_enable();
	for (;;) {
		void (*order)(void *) = pv_load_acquire(&w->order);

		if (order) {
			order(w->arg);
			pv_store_release(&w->order, NULL);
			continue;
		}
		/* The order comes with an interrupt: look once more with events masked, then sleep. */
		pv_irq_disable();
		if (!pv_load_acquire(&w->order))
			pv_irq_wait();
		pv_irq_enable();
	}
}

static bool wait_for(const uint32_t *word, uint32_t value)
{
	uint64_t end = pv_now_ns() + LIMIT_NS;

	while (pv_load_acquire(word) != value) {
		if (pv_now_ns() > end)
			return false;
		pv_hc_sched_op(SCHEDOP_yield, NULL);
	}
	return true;
}

static void start_order(unsigned int cpu, void (*order)(void *), void *arg)
{
	workers[cpu].arg = arg;
	pv_store_release(&workers[cpu].order, order);
	pv_smp_ipi(cpu);
}

static bool order_is_done(unsigned int cpu)
{
	uint64_t end = pv_now_ns() + LIMIT_NS;

	while (pv_load_acquire(&workers[cpu].order)) {
		if (pv_now_ns() > end)
			return false;
		pv_hc_sched_op(SCHEDOP_yield, NULL);
	}
	return true;
}

/* All other vCPUs are up and take orders. 0, or a message has been left. */
static int bring_up(void)
{
	unsigned int i;
	int rc;

	if (nr_cpus == 1) {
		st_skip("one vCPU");
		return -1;
	}
	if (nr_cpus)
		return 0;
	nr_cpus = pv_smp_possible();
	if (nr_cpus == 1)
		return bring_up();
	rc = pv_smp_init(on_ipi);
	for (i = FIRST_WORKER; !rc && i < nr_cpus; i++)
		rc = pv_smp_start(i, stacks[i] + sizeof(stacks[i]), worker_main);
	for (i = FIRST_WORKER; !rc && i < nr_cpus; i++)
		if (!wait_for(&workers[i].is_up, 1))
			rc = -XEN_ETIME;
	if (rc)
		st_fail("vCPUs do not come up: %d", rc);
	return rc;
}

/* ---- up and down ---- */

static void vcpus_are_down_at_first(void)
{
	unsigned int i, n;

	if (nr_cpus > 1)
		ST_SKIP("they are up");
	n = pv_smp_possible();
	if (n == 1)
		ST_SKIP("one vCPU");
	for (i = 1; i < n; i++) {
		ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, i, NULL), 0);
		ST_EQ(pv_hc_vcpu_op(VCPUOP_up, i, NULL), -XEN_EINVAL);
	}
	ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, n, NULL), -XEN_ENOENT);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_up, n, NULL), -XEN_ENOENT);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_down, n, NULL), -XEN_ENOENT);
}

static void bad_contexts_are_refused(void)
{
	static struct vcpu_guest_context ctx;
	unsigned int n = pv_smp_possible();

	if (n == 1 || nr_cpus)
		ST_SKIP("no vCPU to try it on");
	memset(&ctx, 0, sizeof(ctx));
	ctx.flags = VGCF_in_kernel;
	ctx.user_regs.cs = FLAT_KERNEL_CS;
	ctx.user_regs.ss = FLAT_KERNEL_SS;
	ctx.kernel_ss = FLAT_KERNEL_SS;
	/* No root; a root that is no table; a pointer that leads nowhere. */
	ctx.ctrlreg[3] = xen_pfn_to_cr3(pv_virt_to_mfn(stacks));
	ST_EQ(pv_hc_vcpu_op(VCPUOP_initialise, 1, &ctx), -XEN_EINVAL);
	ctx.ctrlreg[3] = xen_pfn_to_cr3(pv_p2m(pv_mmu_boot_root().pfn));
	ctx.user_regs.rip = (uint64_t)ST_NONCANONICAL;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_initialise, 1, &ctx), -XEN_EINVAL);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_initialise, 1, ST_UNMAPPED), -XEN_EFAULT);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
}

static void vcpus_come_up(void)
{
	unsigned int i;

	if (bring_up())
		return;
	for (i = 0; i < nr_cpus; i++) {
		ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, i, NULL), 1);
		ST_EQ(pv_cpus[i]->id, i);
	}
	ST_EQ(pv_smp_start(1, stacks[1] + sizeof(stacks[1]), worker_main), -XEN_EEXIST);
	ST_EQ(pv_smp_start(nr_cpus, stacks[0], worker_main), -XEN_ENOENT);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_up, 1, NULL), 0); /* already */
}

static void note_id(void *arg)
{
	*(uint32_t *)arg = pv_cpu()->id + 100;
}

static void every_vcpu_knows_itself(void)
{
	uint32_t id[PV_MAX_CPUS] = { 0 };
	unsigned int i;

	if (bring_up())
		return;
	for (i = FIRST_WORKER; i < nr_cpus; i++)
		start_order(i, note_id, &id[i]);
	for (i = FIRST_WORKER; i < nr_cpus; i++) {
		ST_CHECK(order_is_done(i), "vCPU %u does not answer", i);
		ST_EQ(id[i], i + 100);
	}
}

static uint32_t came_back;

static void stop_and_come_back(void *arg)
{
	(void)arg;
	pv_irq_disable();
	pv_smp_stop();
	pv_irq_enable();
	__atomic_fetch_add(&came_back, 1, __ATOMIC_SEQ_CST);
}

static void vcpu_goes_down_and_up_again(void)
{
	unsigned int round, cpu;
	uint64_t end;

	if (bring_up())
		return;
	cpu = nr_cpus - 1;
	for (round = 1; round <= 5; round++) {
		start_order(cpu, stop_and_come_back, NULL);
		for (end = pv_now_ns() + LIMIT_NS; pv_smp_is_up(cpu);)
			ST_CHECK(pv_now_ns() < end, "it does not go down");
		st_spin_ns(2000000);
		ST_EQ(came_back, round - 1);
		/* An interrupt does not wake it: it is down, not asleep. */
		pv_smp_ipi(cpu);
		st_spin_ns(2000000);
		ST_EQ(pv_smp_is_up(cpu), 0);
		ST_EQ(pv_smp_start(cpu, NULL, NULL), 0);
		ST_CHECK(order_is_done(cpu), "it does not come back");
		ST_EQ(came_back, round);
		ST_EQ(pv_smp_is_up(cpu), 1);
	}
	came_back = 0;
}

static void down_shows_in_the_runstate(void)
{
	struct vcpu_runstate_info info;
	unsigned int cpu;
	uint64_t end;

	if (bring_up())
		return;
	cpu = nr_cpus - 1;
	start_order(cpu, stop_and_come_back, NULL);
	for (end = pv_now_ns() + LIMIT_NS; pv_smp_is_up(cpu);)
		ST_CHECK(pv_now_ns() < end, "it does not go down");
	st_spin_ns(5000000);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_get_runstate_info, cpu, &info), 0);
	ST_EQ(info.state, RUNSTATE_offline);
	ST_EQ(pv_smp_start(cpu, NULL, NULL), 0);
	ST_CHECK(order_is_done(cpu), "it does not come back");
	came_back = 0;
}

/* ---- interrupts ---- */

static void interrupts_arrive(void)
{
	unsigned int i, n;

	if (bring_up())
		return;
	for (n = 0; n < 200; n++) {
		for (i = FIRST_WORKER; i < nr_cpus; i++) {
			uint32_t before = pv_load_acquire(&ipis[i]);
			uint64_t end = pv_now_ns() + LIMIT_NS;

			pv_smp_ipi(i);
			while (pv_load_acquire(&ipis[i]) == before)
				ST_CHECK(pv_now_ns() < end, "interrupt %u of vCPU %u is lost", n,
				         i);
		}
	}
}

static void send_back(void *arg)
{
	(void)arg;
	pv_smp_ipi(0);
}

static void interrupts_go_both_ways(void)
{
	uint32_t before = pv_load(&ipis[0]);
	uint64_t end = pv_now_ns() + LIMIT_NS;

	if (bring_up())
		return;
	start_order(1, send_back, NULL);
	while (pv_load_acquire(&ipis[0]) == before)
		ST_CHECK(pv_now_ns() < end, "none came");
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
}

static uint32_t go_on, masked_ipis;

static void wait_masked(void *arg)
{
	uint32_t before;

	(void)arg;
	pv_irq_disable();
	before = pv_load(&ipis[pv_cpu()->id]);
	pv_store_release(&go_on, 1);
	wait_for(&go_on, 2);
	st_spin_ns(1000000);
	pv_store(&masked_ipis, pv_load(&ipis[pv_cpu()->id]) - before);
	pv_irq_enable();
	pv_store_release(&go_on, 3);
}

static void masked_vcpu_is_not_interrupted(void)
{
	uint32_t before;

	if (bring_up())
		return;
	go_on = 0;
	start_order(1, wait_masked, NULL);
	ST_CHECK(wait_for(&go_on, 1), "vCPU 1 hangs");
	before = pv_load(&ipis[1]);
	pv_smp_ipi(1);
	pv_store_release(&go_on, 2);
	ST_CHECK(wait_for(&go_on, 3), "vCPU 1 hangs");
	ST_EQ(masked_ipis, 0);
	ST_EQ(ipis[1], before + 1); /* it came when it was let */
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
}

static uint32_t handled_on = ~0u;

static void note_cpu(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	pv_store_release(&handled_on, pv_cpu()->id);
}

/* A port of a channel belongs to the vCPU that it is bound to. */
static void moved_port_is_served_elsewhere(void)
{
	evtchn_port_t near, far;
	unsigned int i;

	if (bring_up())
		return;
	ST_EQ(pv_evtchn_alloc_unbound(DOMID_SELF, note_cpu, NULL, &far), 0);
	ST_EQ(pv_evtchn_bind_interdomain(DOMID_SELF, far, note_cpu, NULL, &near), 0);
	for (i = 0; i < nr_cpus; i++) {
		ST_EQ(pv_evtchn_set_cpu(far, i), 0);
		st_spin_ns(1000000); /* binding may raise one by itself */
		pv_store(&handled_on, ~0u);
		ST_EQ(pv_evtchn_send(near), 0);
		ST_CHECK(wait_for(&handled_on, i), "vCPU %u: handled on %u", i, handled_on);
	}
	ST_EQ(pv_evtchn_close(near), 0);
	ST_EQ(pv_evtchn_close(far), 0);
}

/* ---- timers ---- */

static uint64_t timer_at[PV_MAX_CPUS];

static void note_time(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	pv_store_release(&timer_at[pv_cpu()->id], pv_now_ns());
}

static void arm_timer(void *arg)
{
	pv_timer_set(*(uint64_t *)arg);
}

static void every_vcpu_has_a_timer(void)
{
	uint64_t due[PV_MAX_CPUS], end;
	evtchn_port_t port[PV_MAX_CPUS];
	unsigned int i;

	if (bring_up())
		return;
	for (i = FIRST_WORKER; i < nr_cpus; i++) {
		pv_store(&timer_at[i], 0ul);
		ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, i, note_time, NULL, &port[i]), 0);
		due[i] = pv_now_ns() + 3000000 * i;
		start_order(i, arm_timer, &due[i]);
	}
	for (i = FIRST_WORKER; i < nr_cpus; i++) {
		for (end = pv_now_ns() + LIMIT_NS; !pv_load_acquire(&timer_at[i]);)
			ST_CHECK(pv_now_ns() < end, "vCPU %u: no timer", i);
		ST_CHECK(timer_at[i] + 1000 >= due[i], "vCPU %u: early by %ld", i,
		         (long)(due[i] - timer_at[i]));
		ST_CHECK(order_is_done(i), "vCPU %u hangs", i);
		ST_EQ(pv_evtchn_close(port[i]), 0);
	}
	/* A timer is its vCPU's own to set. */
	ST_EQ(pv_hc_vcpu_op(VCPUOP_stop_singleshot_timer, 1, NULL), -XEN_EINVAL);
}

static void read_clocks(void *arg)
{
	uint64_t *last = arg, now;
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		uint64_t seen = pv_load_acquire(last);

		now = pv_now_ns();
		if (now < seen)
			pv_store(&go_on, 99);
		while (now > seen &&
		       !__atomic_compare_exchange_n(last, &seen, now, false, __ATOMIC_SEQ_CST,
		                                    __ATOMIC_RELAXED))
			;
	}
}

static void clocks_agree(void)
{
	static uint64_t last;
	unsigned int i;

	if (bring_up())
		return;
	go_on = 0;
	for (i = FIRST_WORKER; i < nr_cpus; i++)
		start_order(i, read_clocks, &last);
	read_clocks(&last);
	for (i = FIRST_WORKER; i < nr_cpus; i++)
		ST_CHECK(order_is_done(i), "vCPU %u hangs", i);
	ST_EQ(go_on, 0);
}

/* ---- flushes ---- */

struct watch {
	uint64_t va;
	uint32_t seen, stop;
};

/* Reads the page over and over: its translation is in use all the time. */
static void watch_page(void *arg)
{
	struct watch *w = arg;

	while (!pv_load_acquire(&w->stop))
		pv_store_release(&w->seen, *(volatile uint32_t *)w->va);
}

static int map_numbered(uint64_t va, void *page, unsigned long flush)
{
	return (int)pv_hc_update_va_mapping(
		va, pv_pte(pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_ACCESSED), flush);
}

/*
 * After a change with a flush of all vCPUs has returned, no other vCPU reads by the old entry: the
 * value that it publishes next (it may have read one before, not two) is the new page's.
 */
static void flush_reaches(unsigned long flush, unsigned int rounds)
{
	struct watch w = { .va = st_window() };
	uint32_t *page[2] = { st_page(), st_page() };
	unsigned int i;

	page[0][0] = 1;
	page[1][0] = 2;
	ST_EQ(map_numbered(w.va, page[0], UVMF_INVLPG | UVMF_ALL), 0);
	start_order(1, watch_page, &w);
	ST_CHECK(wait_for(&w.seen, 1), "vCPU 1 does not watch");
	for (i = 1; i < rounds; i++) {
		uint32_t *now = page[i & 1], *old = page[~i & 1];

		ST_EQ(map_numbered(w.va, now, flush), 0);
		/* The old page is somebody else's now. */
		old[0] = 1000 + i;
		ST_CHECK(wait_for(&w.seen, 1 + (i & 1)), "round %u: it reads %u", i, w.seen);
		st_spin_ns(20000);
		ST_EQ(w.seen, 1 + (i & 1));
		old[0] = 1 + (~i & 1);
	}
	pv_store_release(&w.stop, 1);
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
	ST_EQ(pv_hc_update_va_mapping(w.va, 0, UVMF_INVLPG | UVMF_ALL), 0);
	st_page_free(page[0]);
	st_page_free(page[1]);
}

static void flushes_reach_other_vcpus(void)
{
	static const unsigned long all_vcpus = ~0ul;

	if (bring_up())
		return;
	flush_reaches(UVMF_INVLPG | UVMF_ALL, 100);
	flush_reaches(UVMF_TLB_FLUSH | UVMF_ALL, 20);
	flush_reaches(UVMF_INVLPG | (unsigned long)&all_vcpus, 20);
	flush_reaches(UVMF_TLB_FLUSH | (unsigned long)&all_vcpus, 20);
}

static bool only_kernel_faults(struct pv_frame *frame)
{
	(void)frame;
	return false; /* the exception table decides */
}

static uint32_t read_fault(uint64_t va)
{
	uint32_t ok = 1;

	__asm__ volatile("1: movb (%1), %%al\n"
	                 "jmp 3f\n"
	                 "2: xor %0, %0\n"
	                 "3:\n" PV_EXTABLE("1b", "2b")
	                 : "+r"(ok)
	                 : "r"(va)
	                 : "rax", "memory");
	return ok;
}

static void watch_until_gone(void *arg)
{
	struct watch *w = arg;

	while (read_fault(w->va))
		pv_store_release(&w->seen, 1);
	pv_store_release(&w->seen, 2);
}

static void unmapped_page_is_gone_everywhere(void)
{
	struct watch w = { .va = st_window() };
	void *page = st_page();

	if (bring_up())
		return;
	st_on_trap = only_kernel_faults;
	ST_EQ(map_numbered(w.va, page, UVMF_INVLPG | UVMF_ALL), 0);
	start_order(1, watch_until_gone, &w);
	ST_CHECK(wait_for(&w.seen, 1), "vCPU 1 does not watch");
	ST_EQ(pv_hc_update_va_mapping(w.va, 0, UVMF_INVLPG | UVMF_ALL), 0);
	ST_CHECK(wait_for(&w.seen, 2), "vCPU 1 still reads it");
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
	st_page_free(page);
}

/*
 * A page becomes a page table while another vCPU writes to it all the time: from then on no write
 * may succeed, or the validation was for nothing.
 */
static void write_until_fault(void *arg)
{
	struct watch *w = arg;
	uint32_t ok = 1;
	uint64_t n = 0;

	while (ok) {
		n += 2; /* never a present entry */
		__asm__ volatile("1: mov %2, (%1)\n"
		                 "jmp 3f\n"
		                 "2: xor %0, %0\n"
		                 "3:\n" PV_EXTABLE("1b", "2b")
		                 : "+r"(ok)
		                 : "r"(w->va), "r"(n)
		                 : "memory");
		pv_store_release(&w->seen, 1);
	}
	pv_store_release(&w->seen, 2);
}

static void table_is_written_by_nobody(void)
{
	struct watch w = { 0 };
	uint64_t *page = st_page(), value;
	unsigned int i;

	if (bring_up())
		return;
	st_on_trap = only_kernel_faults;
	w.va = (uint64_t)page;
	start_order(1, write_until_fault, &w);
	ST_CHECK(wait_for(&w.seen, 1), "vCPU 1 does not write");
	ST_EQ(pv_mmu_table_make(page, 1), 0);
	value = pv_load(&page[0]);
	for (i = 0; i < 1000; i++)
		ST_EQ(pv_load(&page[0]), value);
	ST_CHECK(wait_for(&w.seen, 2), "vCPU 1 writes on");
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
	ST_EQ(pv_mmu_table_drop(page, 1), 0);
	page[0] = 0;
	st_page_free(page);
}

/* ---- locks ---- */

static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static uint64_t guarded;

static void count_guarded(void *arg)
{
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		uint64_t irq = pv_spin_lock_irq(&lock), n = guarded;

		pv_cpu_relax();
		guarded = n + 1;
		pv_spin_unlock_irq(&lock, irq);
	}
	(void)arg;
}

static void locks_exclude(void)
{
	unsigned int i;

	if (bring_up())
		return;
	guarded = 0;
	for (i = FIRST_WORKER; i < nr_cpus; i++)
		start_order(i, count_guarded, NULL);
	count_guarded(NULL);
	for (i = FIRST_WORKER; i < nr_cpus; i++)
		ST_CHECK(order_is_done(i), "vCPU %u hangs", i);
	ST_EQ(guarded, 20000ull * nr_cpus);
}

static void take_lock(void *arg)
{
	(void)arg;
	pv_store_release(&go_on, 1);
	pv_spin_lock(&lock);
	pv_spin_unlock(&lock);
	pv_store_release(&go_on, 2);
}

/* Who waits for a lock for long sleeps in the hypervisor. */
static void waiting_for_a_lock_is_sleep(void)
{
	struct vcpu_runstate_info info;
	bool slept = false;
	uint64_t end;

	if (bring_up())
		return;
	go_on = 0;
	pv_irq_disable();
	pv_spin_lock(&lock);
	start_order(1, take_lock, NULL);
	ST_CHECK(wait_for(&go_on, 1), "vCPU 1 hangs");
	for (end = pv_now_ns() + LIMIT_NS; !slept && pv_now_ns() < end;) {
		ST_EQ(pv_hc_vcpu_op(VCPUOP_get_runstate_info, 1, &info), 0);
		slept = info.state == RUNSTATE_blocked;
	}
	pv_spin_unlock(&lock);
	pv_irq_enable();
	ST_CHECK(slept, "it spins on and on");
	ST_CHECK(wait_for(&go_on, 2), "it was not woken");
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
}

/* ---- NMI ---- */

static uint32_t nmis;

static bool count_nmi(struct pv_frame *frame)
{
	if (frame->vector != PV_VECTOR_NMI)
		return false;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_SEQ_CST);
	return true;
}

static void spin_masked(void *arg)
{
	(void)arg;
	pv_irq_disable();
	pv_store_release(&go_on, 1);
	wait_for(&nmis, 1);
	pv_irq_enable();
}

static void nmi_reaches_a_masked_vcpu(void)
{
	if (bring_up())
		return;
	nmis = go_on = 0;
	st_on_trap = count_nmi;
	start_order(1, spin_masked, NULL);
	ST_CHECK(wait_for(&go_on, 1), "vCPU 1 hangs");
	ST_EQ(pv_hc_vcpu_op(VCPUOP_send_nmi, 1, NULL), 0);
	ST_CHECK(wait_for(&nmis, 1), "no NMI");
	ST_CHECK(order_is_done(1), "vCPU 1 hangs");
	ST_EQ(nmis, 1);
}

/* ---- its part of the shared page ---- */

static void register_info(void *arg)
{
	struct vcpu_register_vcpu_info reg = { .mfn = pv_virt_to_mfn(arg), .offset = 64 };
	struct vcpu_info *moved = (struct vcpu_info *)((char *)arg + 64);
	long rc;

	pv_irq_disable();
	rc = pv_hc_vcpu_op(VCPUOP_register_vcpu_info, pv_cpu()->id, &reg);
	if (!rc)
		pv_cpu()->info = moved;
	pv_store(&go_on, (uint32_t)-rc);
	pv_irq_enable();
}

/* Once for each vCPU, and after that the events come by the new place. The last claim: it stays. */
static void info_can_be_moved(void)
{
	struct vcpu_register_vcpu_info reg = { 0 };
	void *page = st_page();
	unsigned int cpu;
	uint32_t before;
	uint64_t end;

	if (bring_up())
		return;
	cpu = nr_cpus - 1;
	reg.mfn = pv_virt_to_mfn(page);
	reg.offset = 4096 - 8;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_vcpu_info, cpu, &reg), -XEN_ENXIO);
	start_order(cpu, register_info, page);
	ST_CHECK(order_is_done(cpu), "vCPU %u hangs", cpu);
	ST_EQ(go_on, 0);
	before = pv_load(&ipis[cpu]);
	pv_smp_ipi(cpu);
	for (end = pv_now_ns() + LIMIT_NS; pv_load_acquire(&ipis[cpu]) == before;)
		ST_CHECK(pv_now_ns() < end, "no interrupt by the new place");
	reg.offset = 64;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_vcpu_info, cpu, &reg), -XEN_EINVAL);
}

static const struct st_claim claims[] = {
	ST_CLAIM(vcpus_are_down_at_first),
	ST_CLAIM(bad_contexts_are_refused),
	ST_CLAIM(vcpus_come_up),
	ST_CLAIM(every_vcpu_knows_itself),
	ST_CLAIM(vcpu_goes_down_and_up_again),
	ST_CLAIM(down_shows_in_the_runstate),
	ST_CLAIM(interrupts_arrive),
	ST_CLAIM(interrupts_go_both_ways),
	ST_CLAIM(masked_vcpu_is_not_interrupted),
	ST_CLAIM(moved_port_is_served_elsewhere),
	ST_CLAIM(every_vcpu_has_a_timer),
	ST_CLAIM(clocks_agree),
	ST_CLAIM(flushes_reach_other_vcpus),
	ST_CLAIM(unmapped_page_is_gone_everywhere),
	ST_CLAIM(table_is_written_by_nobody),
	ST_CLAIM(locks_exclude),
	ST_CLAIM(waiting_for_a_lock_is_sleep),
	ST_CLAIM(nmi_reaches_a_masked_vcpu),
	ST_CLAIM(info_can_be_moved),
};

ST_FAMILY(smp, claims);
