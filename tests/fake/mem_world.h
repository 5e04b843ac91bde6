/* SPDX-License-Identifier: MIT */
/*
 * A machine on the fake engine, with domains that have memory and a first set of page tables: what
 * the tests of frames, page tables, guest copies, grants and memory calls start from.
 *
 * Layout of each domain: pfn n is frame mem.first + n and is mapped at WORLD_BASE + n * 4096 by the
 * root of all its vCPUs; writable, but for the tables themselves, which lie at the end. Hypercall
 * arguments are put into the page WORLD_ARGS.
 */
#ifndef TESTS_FAKE_MEM_WORLD_H
#define TESTS_FAKE_MEM_WORLD_H

#include "hypervisor-stub/core/mmu_priv.h"
#include "tests/fake/fake_engine.h"

#define WORLD_BASE  UINT64_C(0x40000000)
#define WORLD_ARGS  0u /* pfn of the page for arguments */
#define WORLD_OUT   1u /* pfn of a page for results */
#define WORLD_FREE  8u /* pfns from here on are the test's, up to world_tables() */
#define WORLD_PAGES 600u
#define WORLD_VCPUS 3u
#define WORLD_MAX   3u /* domains */

#define WORLD_L1    (PTE_P | PTE_W | PTE_U | PTE_A)
#define WORLD_HIGH  (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

struct world {
	struct hv_machine *m;
	struct hv_domain *d; /* the first domain */
	struct hv_vcpu *v;   /* its vCPU 0 */
	struct hv_domain *all[WORLD_MAX];
	unsigned nr;
};

void world_init(struct world *w);
/* One more domain of the same shape. */
struct hv_domain *world_add(struct world *w);
/* All domains end: counts must come out at zero, and all memory goes. */
void world_fini(struct world *w);
/* One domain ends before the others. */
void world_end(struct world *w, struct hv_domain *d);

mfn_t world_mfn(const struct hv_domain *d, uint64_t pfn);
uint64_t world_va(uint64_t pfn);
uint64_t *world_page(struct hv_domain *d, uint64_t pfn);
struct hv_frame *world_frame(struct hv_domain *d, uint64_t pfn);
uint64_t world_entry(const struct hv_domain *d, uint64_t pfn, uint64_t flags);
/* pfns of the tables: the root, the L3 and the L2 table, and the L1 tables from the L2 one's on. */
uint64_t world_root(void);
uint64_t world_l3(void);
uint64_t world_l2(void);
uint64_t world_l1(unsigned n);
/* Machine address of entry i of the table that pfn is. */
uint64_t world_ptr(const struct hv_domain *d, uint64_t pfn, unsigned i);
/* The entry that maps a pfn at its place. */
uint64_t world_place(const struct hv_domain *d, uint64_t pfn);

/* ---- hypercalls, as a vCPU would make them; the table's flags say who locks ---------------------- */

int64_t world_call(struct hv_vcpu *v, unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2,
                   uint64_t a3);
/* One mmu_update of vCPU v: its result. */
int64_t world_update(struct hv_vcpu *v, uint64_t ptr, uint64_t val);
/* One mmuext_op. */
int64_t world_ext(struct hv_vcpu *v, unsigned cmd, uint64_t arg1, uint64_t arg2);
/* Where a page stands in the direct map: maps it again with other rights. */
int64_t world_protect(struct hv_vcpu *v, uint64_t pfn, uint64_t flags);
/* As the exit of a page fault: hv_mmu_fault() with the error code's bits. */
enum hv_fault_answer world_touch(struct hv_vcpu *v, uint64_t va, uint32_t ec);
/* Copies arguments into the argument page (at a byte offset); its guest address. */
uint64_t world_args(struct hv_vcpu *v, unsigned offset, const void *src, size_t len);
void world_read(struct hv_vcpu *v, uint64_t va, void *dst, size_t len);

/* hv_mmu_audit() and fake_cache_check() of all domains: how much is wrong. */
unsigned world_check(struct world *w);

#endif
