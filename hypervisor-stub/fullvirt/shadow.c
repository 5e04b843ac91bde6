/* SPDX-License-Identifier: MIT */
/*
 * Shadow page tables, as a virtual TLB that outlives the loads of CR3.
 *
 * The mappings of a guest process were made from entries of the guest's tables. Here is written down
 * which: a tree with the shape of the tables, in each node the values of those entries that a mapping
 * was made from. Nothing is write-protected: a guest may write its tables as it likes, and as on
 * hardware nothing follows before a load of CR3 or an invlpg. Then the tree is compared with the
 * tables; where an entry differs the range that it translates is dropped, and all below it forgotten.
 *
 * So to change a table entry costs the guest nothing, a new entry where none was present costs a miss
 * when it is first used, and a load of CR3 costs the comparison: eight bytes for each entry of the
 * tables that the tree knows. One tree can be compared with the tables of any root: the kernel's view
 * is one tree, and going over to another address space drops just what differs.
 *
 * Invariant: for every mapping that was not dropped, all entries on its way are in the tree with the
 * values that it was made from; 0 is an entry that nothing was made from.
 */
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/ring3.h"

struct fv_node {
	uint64_t entry[512];
	struct fv_node *child[512];
	unsigned nr_children;
};

static uint64_t span(unsigned level)
{
	return UINT64_C(1) << (FV_PAGE_SHIFT + 9 * (level - 1));
}

static void free_node(struct fv_shadow *s, struct fv_node *n)
{
	if (!n)
		return;
	for (unsigned i = 0; n->nr_children && i < 512; i++) {
		if (!n->child[i])
			continue;
		free_node(s, n->child[i]);
		n->nr_children--;
	}
	free(n);
	s->nr_nodes--;
}

static struct fv_node *new_node(struct fv_shadow *s)
{
	struct fv_node *n = calloc(1, sizeof(*n));

	if (n)
		s->nr_nodes++;
	return n;
}

bool fv_shadow_note(struct fv_shadow *s, const struct fv_mem *mem, uint64_t va,
                    const struct fv_walk *w)
{
	struct fv_node **at = &s->top, *parent = NULL;

	(void)mem;
	for (unsigned level = 4; level >= w->level; level--) {
		unsigned i = (unsigned)(va / span(level) & 511);

		if (!*at) {
			*at = new_node(s);
			if (!*at)
				return false;
			if (parent)
				parent->nr_children++;
		}
		/* It had another value, and no flush came since: what was made from that is stale. */
		if ((*at)->entry[i] && (*at)->entry[i] != w->entry[level] &&
		    (((*at)->entry[i] ^ w->entry[level]) & ~(uint64_t)(PTE_A | PTE_D))) {
			uint64_t len = span(level);

			s->drop(s->arg, va & ~(len - 1), len);
			if ((*at)->child[i]) {
				free_node(s, (*at)->child[i]);
				(*at)->child[i] = NULL;
				(*at)->nr_children--;
			}
		}
		(*at)->entry[i] = w->entry[level];
		parent = *at;
		at = &(*at)->child[i];
	}
	return true;
}

static const uint64_t *table_at(const struct fv_mem *mem, uint64_t gpa)
{
	return fv_is_ram(mem, gpa) ? (const uint64_t *)(const void *)(mem->ram + gpa) : NULL;
}

/* Whether an entry still says what a mapping was made from: D may have come, nothing else. */
static bool holds(uint64_t then, uint64_t now)
{
	return !((then ^ now) & ~(uint64_t)PTE_D) && (now & PTE_D) >= (then & PTE_D);
}

static void forget(struct fv_shadow *s, struct fv_node *n, unsigned i)
{
	n->entry[i] = 0;
	if (n->child[i]) {
		free_node(s, n->child[i]);
		n->child[i] = NULL;
		n->nr_children--;
	}
}

/* Neighbours whose translation has changed are dropped together. */
struct run {
	uint64_t va, len;
};

static void flush_run(struct fv_shadow *s, struct run *r)
{
	if (r->len)
		s->drop(s->arg, r->va, r->len);
	r->len = 0;
}

static void sync_node(struct fv_shadow *s, const struct fv_mem *mem, struct fv_node *n,
                      uint64_t gpa, unsigned level, uint64_t base)
{
	const uint64_t *t = table_at(mem, gpa);
	struct run run = { 0 };

	for (unsigned i = 0; i < 512; i++) {
		uint64_t then = n->entry[i], now, va;

		if (!then)
			continue;
		va = base + i * span(level);
		now = t ? __atomic_load_n(&t[i], __ATOMIC_RELAXED) : 0;
		if (then == now || holds(then, now)) {
			if (n->child[i])
				sync_node(s, mem, n->child[i], now & PTE_ADDR, level - 1, va);
			continue;
		}
		if (run.len && run.va + run.len != va)
			flush_run(s, &run);
		if (!run.len)
			run.va = va;
		run.len += span(level);
		forget(s, n, i);
	}
	flush_run(s, &run);
}

void fv_shadow_sync(struct fv_shadow *s, const struct fv_mem *mem, uint64_t cr3)
{
	if (s->top)
		sync_node(s, mem, s->top, cr3 & PTE_ADDR, 4, 0);
}

void fv_shadow_sync_page(struct fv_shadow *s, const struct fv_mem *mem, uint64_t cr3, uint64_t va)
{
	struct fv_node *n = s->top;
	uint64_t gpa = cr3 & PTE_ADDR;

	for (unsigned level = 4; n && level >= 1; level--) {
		unsigned i = (unsigned)(va / span(level) & 511);
		const uint64_t *t = table_at(mem, gpa);
		uint64_t now = t ? __atomic_load_n(&t[i], __ATOMIC_RELAXED) : 0;

		if (!n->entry[i])
			return;
		if (!holds(n->entry[i], now)) {
			s->drop(s->arg, va & ~(span(level) - 1), span(level));
			forget(s, n, i);
			return;
		}
		gpa = now & PTE_ADDR;
		n = n->child[i];
	}
}

void fv_shadow_clear(struct fv_shadow *s)
{
	free_node(s, s->top);
	s->top = NULL;
}
