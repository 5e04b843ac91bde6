/* SPDX-License-Identifier: MIT */
/*
 * The guest of the micro-benchmarks: measures each primitive from inside and prints one line for it,
 * "bench NAME: MIN MEDIAN" in nanoseconds. tests/bench/micro.c reads the lines.
 *
 * With the command line "only=sites" it measures what sites.c says, natively too. With "only=event" it measures that alone, for tests/bench/workloads.c. With "idle" it prints one
 * line and then blocks for ever, without a timer: the guest at rest that the memory figure and
 * tests/integration/test_idle.sh look at. With "count" it says before and after each, and rests there, for
 * tests/bench/exits.c: "count begin NAME", "count end NAME: N NS".
 */
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"
#include "pvops/traps.h"
#include "tests/guests/bench/sites.h"

#define BATCHES 31
#define PAGES   64
#define REST_NS 300000000u

static uint64_t samples[BATCHES];

static bool is_counted;

static void report(const char *name, unsigned int n)
{
	unsigned int i, j;

	for (i = 1; i < n; i++) {
		uint64_t v = samples[i];

		for (j = i; j > 0 && samples[j - 1] > v; j--)
			samples[j] = samples[j - 1];
		samples[j] = v;
	}
	pv_log("bench %s: %llu %llu\n", name, (unsigned long long)samples[0],
	       (unsigned long long)samples[n / 2]);
}

/* Somebody outside looks at what the hypervisor has counted. */
static void rest(void)
{
	uint64_t end = pv_now_ns() + REST_NS;

	while (pv_now_ns() < end)
		__asm__ volatile("pause");
}

/* As measure(), between two rests and in one batch. */
static void count_exits(const char *name, unsigned int count, void (*once)(void))
{
	uint64_t start;
	unsigned int i;

	pv_log("count begin %s\n", name);
	rest();
	start = pv_now_ns();
	for (i = 0; i < count; i++)
		once();
	start = pv_now_ns() - start;
	pv_log("count end %s: %u %llu\n", name, count, (unsigned long long)(start / count));
	rest();
}

/* Times `count` calls of one function, BATCHES times, and reports nanoseconds a call. */
static void measure(const char *name, unsigned int count, void (*once)(void))
{
	unsigned int b, i;

	if (is_counted) {
		count_exits(name, count, once);
		return;
	}
	for (b = 0; b < BATCHES; b++) {
		uint64_t start = pv_now_ns();

		for (i = 0; i < count; i++)
			once();
		samples[b] = (pv_now_ns() - start) / count;
	}
	report(name, BATCHES);
}

static void in_place(void)
{
	pv_hc_set_segment_base(SEGBASE_FS, 0);
}

static void by_hypervisor(void)
{
	pv_hc_get_debugreg(0);
}

static struct multicall_entry calls[32];

static void multicall(void)
{
	unsigned int i;

	for (i = 0; i < 32; i++) {
		calls[i].op = __HYPERVISOR_get_debugreg;
		calls[i].args[0] = 0;
	}
	pv_hc_multicall(calls, 32);
}

static bool count_trap(struct pv_frame *frame)
{
	(void)frame;
	return true;
}

static void breakpoint(void)
{
	__asm__ volatile("int3" ::: "memory");
}

static evtchn_port_t loop_port;
static volatile unsigned int received;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	received++;
}

static void event(void)
{
	unsigned int before = received;

	pv_evtchn_send(loop_port);
	while (received == before)
		__asm__ volatile("pause");
}

static void measure_events(void)
{
	evtchn_port_t other;

	if (pv_evtchn_alloc_unbound(DOMID_SELF, on_event, NULL, &other) ||
	    pv_evtchn_bind_interdomain(DOMID_SELF, other, on_event, NULL, &loop_port))
		pv_panic("bench: no event channel\n");
	measure("event round trip", 500, event);
	pv_evtchn_close(loop_port);
	pv_evtchn_close(other);
}

static uint64_t timer_due;
static volatile uint64_t timer_late;

static void on_timer(evtchn_port_t port, void *arg)
{
	uint64_t now = pv_now_ns();

	(void)port;
	(void)arg;
	if (timer_due && now >= timer_due)
		timer_late = now - timer_due;
}

/* Lateness of a blocked vCPU's wake-up at the end of a 1 ms timer. */
static void measure_timer(void)
{
	unsigned int b;

	if (pv_timer_bind(0, on_timer, NULL))
		pv_panic("bench: no timer\n");
	for (b = 0; b < BATCHES; b++) {
		timer_late = ~0ull;
		timer_due = pv_now_ns() + 1000000;
		pv_timer_set(timer_due);
		while (timer_late == ~0ull) {
			pv_irq_disable();
			if (timer_late == ~0ull)
				pv_irq_wait();
			pv_irq_enable();
		}
		samples[b] = timer_late;
	}
	report("timer lateness", BATCHES);
}

/* Maps PAGES frames at va, in the order that step gives, and touches each page once. */
static uint64_t touch(uint64_t va, const uint64_t *mfns, bool backwards)
{
	uint64_t start, sum = 0;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		uint64_t mfn = mfns[backwards ? PAGES - 1 - i : i];

		if (pv_hc_update_va_mapping(va + i * PV_PAGE_SIZE,
		                            pv_pte(mfn, PV_PTE_PRESENT | PV_PTE_WRITE |
		                                                PV_PTE_USER | PV_PTE_ACCESSED |
		                                                PV_PTE_DIRTY),
		                            UVMF_NONE))
			pv_panic("bench: a page cannot be mapped\n");
	}
	start = pv_now_ns();
	for (i = 0; i < PAGES; i++)
		*(volatile uint8_t *)(va + i * PV_PAGE_SIZE);
	sum = (pv_now_ns() - start) / PAGES;
	for (i = 0; i < PAGES; i++)
		pv_hc_update_va_mapping(va + i * PV_PAGE_SIZE, 0, UVMF_INVLPG);
	return sum;
}

static void measure_faults(const struct pv_boot *boot)
{
	static uint64_t mfns[PAGES];
	uint64_t va = pv_mmu_window(PAGES), page = (boot->free + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
	unsigned int i, b;

	for (i = 0; i < PAGES; i++) {
		*(volatile uint8_t *)(page + i * PV_PAGE_SIZE) = 1;
		mfns[i] = pv_mmu_machine_address((void *)(page + i * PV_PAGE_SIZE)) >>
		          PV_PAGE_SHIFT;
		/* The tables for the window must be there: the first mapping makes them. */
		if (pv_mmu_map_frame(va + i * PV_PAGE_SIZE, mfns[i], PV_PTE_PRESENT | PV_PTE_WRITE))
			pv_panic("bench: no page table for the window\n");
	}
	for (b = 0; b < BATCHES; b++)
		samples[b] = touch(va, mfns, true);
	report("page fault fill", BATCHES);
	for (b = 0; b < BATCHES; b++)
		samples[b] = touch(va, mfns, false);
	report("page fault fill in runs", BATCHES);
}

void kernel_main(const struct pv_boot *boot)
{
	pv_irq_enable();
	if (!strcmp(boot->cmdline, "idle")) {
		pv_log("idle\n");
		for (;;) {
			pv_irq_disable();
			pv_irq_wait();
			pv_irq_enable();
		}
	}
	is_counted = !strcmp(boot->cmdline, "count");
	if (!strcmp(boot->cmdline, "only=sites") || pv_is_native()) {
		measure_sites();
		pv_shutdown(SHUTDOWN_poweroff);
	}
	if (!strcmp(boot->cmdline, "only=event")) {
		measure_events();
		pv_shutdown(SHUTDOWN_poweroff);
	}
	pv_trap_set(PV_VECTOR_BP, count_trap);
	measure("null hypercall", 2000, in_place);
	measure("hypervisor hypercall", 500, by_hypervisor);
	measure("multicall of 32", 50, multicall);
	measure("exception bounce", 300, breakpoint);
	measure_events();
	if (!is_counted) {
		measure_timer();
		measure_faults(boot);
	}
	pv_shutdown(SHUTDOWN_poweroff);
}
