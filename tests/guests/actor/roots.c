/* SPDX-License-Identifier: MIT */
/*
 * Many address spaces: more than an engine will keep ready at a time.
 *
 * Behaviour: each address space has one page of its own, at the same address in all, that holds its
 * number and a word for each vCPU. Every vCPU goes through all of them, again and again, writes its
 * word and finds it there the next time; or address spaces are made, used once and unmade, one after
 * the other.
 * Breakage: a word of another address space, or an old one; a vCPU that comes no further.
 */
#include "tests/guests/actor/actor.h"

#include "pvops/aspace.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/lib/string.h"
#include "pvops/memory.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/smp.h"

#define ROUNDS   2u
#define MAX_CPUS 32u
#define MAX_AS   1024u
#define STACK    8192u
#define WAIT_NS  240000000000ul

static struct {
	struct pv_aspace as;
	uint64_t *page;
} space[MAX_AS];
static unsigned int nr_spaces;
static unsigned int cpus_done, cpus_failed;
static char stacks[MAX_CPUS][STACK] __attribute__((aligned(16)));

static pv_root_t root_of(const struct pv_aspace *as)
{
	return (pv_root_t){ pv_virt_to_pfn(as->kernel) };
}

static void make(unsigned int i)
{
	struct pv_batch b;

	space[i].page = pv_page_alloc();
	if (!space[i].page || pv_aspace_create(&space[i].as, PV_ROOTS_ONE))
		pv_panic("roots: no memory for number %u", i);
	memset(space[i].page, 0, PV_PAGE_SIZE);
	space[i].page[0] = i;
	pv_batch_begin(&b, &space[i].as);
	pv_batch_map(&b, PV_USER_START, pv_virt_to_pfn(space[i].page),
	             PV_PROT_READ | PV_PROT_WRITE);
	if (pv_batch_end(&b))
		pv_panic("roots: number %u cannot be mapped", i);
}

static void unmake(unsigned int i)
{
	struct pv_batch b;

	pv_batch_begin(&b, &space[i].as);
	pv_batch_unmap(&b, PV_USER_START);
	if (pv_batch_end(&b))
		pv_panic("roots: number %u cannot be unmapped", i);
	pv_aspace_destroy(&space[i].as);
	pv_page_free(space[i].page);
}

/* Under root i: is it that one, and is our word the one that we wrote in the round before? */
static bool visit(unsigned int i, unsigned int cpu, uint64_t round)
{
	volatile uint64_t *page = (volatile uint64_t *)PV_USER_START;

	if (pv_mmu_load_root(root_of(&space[i].as)))
		return false;
	if (page[0] != i || page[1 + cpu] != (round ? round << 32 | i : 0))
		return false;
	page[1 + cpu] = (round + 1) << 32 | i;
	return page[1 + cpu] == space[i].page[1 + cpu];
}

static void visit_all(void)
{
	unsigned int cpu = pv_cpu()->id, failed = 0;

	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (unsigned int n = 0; n < nr_spaces; n++)
			failed += !visit((n + cpu * 7) % nr_spaces, cpu, round);
	}
	pv_mmu_load_root(pv_mmu_boot_root());
	__atomic_fetch_add(&cpus_failed, failed, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&cpus_done, 1, __ATOMIC_SEQ_CST);
}

static void other_cpu(void)
{
	visit_all();
	for (;;)
		pv_smp_stop();
}

static void all_cpus(unsigned int n)
{
	unsigned int cpus = pv_smp_possible();
	uint64_t end;

	nr_spaces = n < MAX_AS ? n : MAX_AS;
	cpus = cpus < MAX_CPUS ? cpus : MAX_CPUS;
	for (unsigned int i = 0; i < nr_spaces; i++)
		make(i);
	if (cpus > 1 && pv_smp_init(NULL))
		pv_panic("roots: no interrupts between vCPUs");
	for (unsigned int i = 1; i < cpus; i++) {
		if (pv_smp_start(i, stacks[i] + STACK, other_cpu))
			pv_panic("roots: vCPU %u does not start", i);
	}
	visit_all();
	end = pv_now_ns() + WAIT_NS;
	while (__atomic_load_n(&cpus_done, __ATOMIC_SEQ_CST) < cpus) {
		if (pv_now_ns() > end)
			pv_panic("roots: %u of %u vCPUs are through", cpus_done, cpus);
		sleep_ms(5);
	}
	if (cpus_failed)
		pv_panic("roots: %u times the wrong address space", cpus_failed);
	pv_log("roots: %u address spaces, %u vCPUs, all right\n", nr_spaces, cpus);
	for (unsigned int i = 0; i < nr_spaces; i++)
		unmake(i);
}

static void one_after_the_other(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		make(0);
		if (!visit(0, 0, 0))
			pv_panic("roots: the wrong address space after %u", i);
		pv_mmu_load_root(pv_mmu_boot_root());
		unmake(0);
	}
	pv_log("roots: %u made and unmade\n", n);
}

bool roots_act(const char *word, unsigned long n)
{
	static bool is_ready;

	if (strncmp(word, "roots=", 6) && strncmp(word, "cycle=", 6))
		return false;
	if (!is_ready && (pv_mmu_map_memory() || pv_aspace_init()))
		pv_panic("roots: no address spaces");
	is_ready = true;
	if (*word == 'r')
		all_cpus((unsigned int)n);
	else
		one_after_the_other((unsigned int)n);
	return true;
}
