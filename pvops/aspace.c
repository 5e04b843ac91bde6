/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of user programs.
 *
 * A table costs more to make than to use: its page loses its writable mapping everywhere, and the
 * hypervisor looks at all 512 entries. So tables are kept when their address space goes: empty, but
 * still tables of their level, and pinned. A new address space takes them as they are.
 *
 * Invariants:
 *   - a table in the pool holds no entry, save the kernel's slots of a kernel root
 *   - where there are two roots, they have the same level-3 tables in slots 1 to 63
 *   - a root's bit in pv_aspace.cpus is set before it is loaded, and cleared after another is
 */
#include "pvops/aspace.h"

#include <stddef.h>

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "pvops/p2m.h"

#define TABLE_FLAGS (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY)
#define L1_SPAN     (PV_PAGE_SIZE * PV_ENTRIES)
#define FIRST_SLOT  (PV_USER_START >> 39)
#define END_SLOT    (PV_USER_END >> 39)

/* Kinds of table: levels 1 to 3, the user's root, the kernel's root. */
enum kind { L1 = 1, L2, L3, USER_ROOT, KERNEL_ROOT, NR_KINDS };

#define POOL_MAX 128

static struct {
	void *page[POOL_MAX];
	unsigned int count;
} pool[NR_KINDS];

static uint64_t nr_tables; /* in use or in the pool */
static struct pv_spinlock pool_lock = PV_SPINLOCK_INIT;

/* ---- tables ---- */

static unsigned int level_of(enum kind kind)
{
	return kind == KERNEL_ROOT ? 4 : (unsigned int)kind;
}

static void *new_table(enum kind kind)
{
	uint64_t *table = pv_page_alloc();
	const uint64_t *boot;

	if (!table)
		return NULL;
	memset(table, 0, PV_PAGE_SIZE);
	if (kind == KERNEL_ROOT) {
		boot = pv_pfn_to_virt(pv_mmu_boot_root().pfn);
		table[0] = pv_load(&boot[0]);
		table[END_SLOT] = pv_load(&boot[END_SLOT]);
	}
	if (PV_OP(mmu, table_make, table, level_of(kind))) {
		pv_page_free(table);
		return NULL;
	}
	__atomic_fetch_add(&nr_tables, 1, __ATOMIC_RELAXED);
	return table;
}

static void *get_table(enum kind kind)
{
	uint64_t irq = pv_spin_lock_irq(&pool_lock);
	void *table = NULL;

	if (pool[kind].count)
		table = pool[kind].page[--pool[kind].count];
	pv_spin_unlock_irq(&pool_lock, irq);
	return table ? table : new_table(kind);
}

static void drop_table(enum kind kind, void *table)
{
	if (PV_OP(mmu, table_drop, table, level_of(kind)))
		pv_panic("aspace: a table is still in use");
	__atomic_fetch_sub(&nr_tables, 1, __ATOMIC_RELAXED);
	pv_page_free(table);
}

/* table is empty. */
static void put_table(enum kind kind, void *table)
{
	uint64_t irq = pv_spin_lock_irq(&pool_lock);
	bool kept = pool[kind].count < POOL_MAX;

	if (kept)
		pool[kind].page[pool[kind].count++] = table;
	pv_spin_unlock_irq(&pool_lock, irq);
	if (!kept)
		drop_table(kind, table);
}

void pv_aspace_count(uint64_t *tables, uint64_t *waiting)
{
	uint64_t irq = pv_spin_lock_irq(&pool_lock);
	unsigned int kind;

	*tables = nr_tables;
	*waiting = 0;
	for (kind = L1; kind < NR_KINDS; kind++)
		*waiting += pool[kind].count;
	pv_spin_unlock_irq(&pool_lock, irq);
}

void pv_aspace_trim(void)
{
	unsigned int kind;

	for (kind = L1; kind < NR_KINDS; kind++) {
		void *table;

		do {
			uint64_t irq = pv_spin_lock_irq(&pool_lock);

			table = pool[kind].count ? pool[kind].page[--pool[kind].count] : NULL;
			pv_spin_unlock_irq(&pool_lock, irq);
			if (table)
				drop_table(kind, table);
		} while (table);
	}
}

/* ---- walks ---- */

/* The table that an entry points at; NULL when there is none. */
static uint64_t *table_at(const uint64_t *table, unsigned int index)
{
	uint64_t e = PV_OP(mmu, read_entry, table, index);

	return e & PV_PTE_PRESENT ? pv_pfn_to_virt(pv_pte_mfn(e)) : NULL;
}

/* The level-1 table for va. When there is none: NULL, and *span is what is empty around va. */
static uint64_t *find_l1(const struct pv_aspace *as, uint64_t va, uint64_t *span)
{
	uint64_t *table = as->user;
	unsigned int level;

	*span = L1_SPAN;
	for (level = 4; table && level > 1; level--) {
		*span = PV_PAGE_SIZE << 9 * (level - 1);
		table = table_at(table, pv_mmu_index(va, level));
	}
	return table;
}

uint64_t pv_aspace_entry(const struct pv_aspace *as, uint64_t va)
{
	uint64_t span;
	const uint64_t *l1 = find_l1(as, va, &span);

	return l1 ? PV_OP(mmu, read_entry, l1, pv_mmu_index(va, 1)) : 0;
}

uint64_t pv_aspace_next(const struct pv_aspace *as, uint64_t va, uint64_t end, uint64_t *entry)
{
	while (va < end) {
		uint64_t span, stop;
		const uint64_t *l1 = find_l1(as, va, &span);

		stop = (va | (span - 1)) + 1;
		if (stop > end)
			stop = end;
		for (; l1 && va < stop; va += PV_PAGE_SIZE) {
			if (!(pv_load(&l1[pv_mmu_index(va, 1)]) & PV_PTE_PRESENT))
				continue;
			*entry = PV_OP(mmu, read_entry, l1, pv_mmu_index(va, 1));
			return va;
		}
		va = stop;
	}
	return end;
}

/* ---- batches ---- */

void pv_batch_begin(struct pv_batch *b, struct pv_aspace *as)
{
	b->as = as;
	b->l1 = NULL;
	b->flush_start = b->flush_end = 0;
	b->attached = false;
	b->error = 0;
	b->count = 0;
}

static void send(struct pv_batch *b, const struct pv_flush *flush)
{
	int rc = PV_OP(mmu, write_entries, b->list, b->count, flush);

	if (rc && !b->error)
		b->error = rc;
	b->count = 0;
	b->attached = false;
}

static void queue(struct pv_batch *b, uint64_t *entry, uint64_t value)
{
	if (b->count == PV_PT_WRITE_MAX)
		send(b, NULL);
	b->list[b->count].entry = entry;
	b->list[b->count].value = value;
	b->count++;
}

/* Queues the entry, or at level 4 the entries, that make `child` the table for va at level - 1. */
static void attach(struct pv_batch *b, uint64_t *table, unsigned int level, uint64_t va,
                   uint64_t *child)
{
	uint64_t value = child ? pv_pte(pv_virt_to_pfn(child), TABLE_FLAGS) : 0;
	unsigned int index = pv_mmu_index(va, level);

	queue(b, &table[index], value);
	if (level == 4 && b->as->kernel && b->as->kernel != b->as->user)
		queue(b, &b->as->kernel[index], value);
}

/*
 * The level-1 table for va, made when missing. A table whose attachment is still in the list is not
 * to be found by a walk, so that list goes out before the next walk.
 */
static uint64_t *need_l1(struct pv_batch *b, uint64_t va)
{
	uint64_t *table = b->as->user, *child;
	unsigned int level;

	if (b->l1 && b->l1_va == (va & ~(L1_SPAN - 1)))
		return b->l1;
	if (b->attached)
		send(b, NULL);
	for (level = 4; level > 1; level--, table = child) {
		child = b->attached ? NULL : table_at(table, pv_mmu_index(va, level));
		if (child)
			continue;
		child = get_table((enum kind)(level - 1));
		if (!child) {
			b->error = b->error ? b->error : -XEN_ENOMEM;
			return NULL;
		}
		attach(b, table, level, va, child);
		b->attached = true;
	}
	b->l1 = table;
	b->l1_va = va & ~(L1_SPAN - 1);
	return table;
}

static void note_flush(struct pv_batch *b, uint64_t va)
{
	if (b->flush_start == b->flush_end) {
		b->flush_start = va;
		b->flush_end = va + PV_PAGE_SIZE;
		return;
	}
	if (va < b->flush_start)
		b->flush_start = va;
	if (va >= b->flush_end)
		b->flush_end = va + PV_PAGE_SIZE;
}

static uint64_t flags_of(unsigned int prot)
{
	uint64_t flags = PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_ACCESSED;

	if (prot & PV_PROT_WRITE)
		flags |= PV_PTE_WRITE | PV_PTE_DIRTY;
	if (!(prot & PV_PROT_EXEC))
		flags |= PV_PTE_NX;
	return flags;
}

void pv_batch_map(struct pv_batch *b, uint64_t va, uint64_t pfn, unsigned int prot)
{
	uint64_t *l1 = b->error ? NULL : need_l1(b, va);
	unsigned int index = pv_mmu_index(va, 1);

	if (!l1)
		return;
	if (pv_load(&l1[index]) & PV_PTE_PRESENT)
		note_flush(b, va);
	queue(b, &l1[index], pv_pte(pfn, flags_of(prot)));
}

/* The present entry of va with the table it lies in; 0 when there is none. */
static uint64_t present_entry(struct pv_batch *b, uint64_t va, uint64_t **l1)
{
	uint64_t span;

	if (!b->l1 || b->l1_va != (va & ~(L1_SPAN - 1))) {
		if (b->attached)
			send(b, NULL);
		b->l1 = find_l1(b->as, va, &span);
		b->l1_va = va & ~(L1_SPAN - 1);
	}
	*l1 = b->l1;
	if (!b->l1 || !(pv_load(&b->l1[pv_mmu_index(va, 1)]) & PV_PTE_PRESENT))
		return 0;
	return PV_OP(mmu, read_entry, b->l1, pv_mmu_index(va, 1));
}

uint64_t pv_batch_protect(struct pv_batch *b, uint64_t va, unsigned int prot)
{
	uint64_t *l1, old = present_entry(b, va, &l1), now;

	if (!old)
		return 0;
	now = pv_pte(pv_pte_mfn(old), flags_of(prot));
	/* Only rights that shrink leave something stale; who gained some faults at worst once. */
	if ((old & PV_PTE_WRITE && !(now & PV_PTE_WRITE)) ||
	    (now & PV_PTE_NX && !(old & PV_PTE_NX)))
		note_flush(b, va);
	if (now != old)
		queue(b, &l1[pv_mmu_index(va, 1)], now);
	return old;
}

uint64_t pv_batch_unmap(struct pv_batch *b, uint64_t va)
{
	uint64_t *l1, old = present_entry(b, va, &l1);

	if (!old)
		return 0;
	note_flush(b, va);
	queue(b, &l1[pv_mmu_index(va, 1)], 0);
	return old;
}

int pv_batch_end(struct pv_batch *b)
{
	struct pv_flush flush = {
		.cpus = pv_load(&b->as->cpus),
		.va = b->flush_start,
		.pages = (unsigned int)((b->flush_end - b->flush_start) >> PV_PAGE_SHIFT),
	};
	bool stale = b->flush_start != b->flush_end && flush.cpus;
	int rc;

	if (b->flush_end - b->flush_start > L1_SPAN)
		flush.pages = 0;
	if (b->count || stale)
		send(b, stale ? &flush : NULL);
	rc = b->error;
	pv_batch_begin(b, b->as);
	return rc;
}

/* ---- whole address spaces ---- */

int pv_aspace_init(void)
{
	/* The window's level-3 table must be there before its slot is copied into roots. */
	return pv_mmu_window(1) ? 0 : -XEN_ENOMEM;
}

int pv_aspace_create(struct pv_aspace *as, enum pv_roots roots)
{
	uint64_t *kernel, *user;

	if (pv_ops.mmu.is_direct) /* the entries keep the two apart */
		roots = PV_ROOTS_ONE;
	kernel = roots == PV_ROOTS_APART ? NULL : get_table(KERNEL_ROOT);
	user = roots == PV_ROOTS_ONE ? kernel : get_table(USER_ROOT);
	if (!user || (!kernel && roots != PV_ROOTS_APART)) {
		if (user)
			put_table(USER_ROOT, user);
		if (kernel)
			put_table(KERNEL_ROOT, kernel);
		return -XEN_ENOMEM;
	}
	as->user = user;
	as->kernel = kernel;
	as->cpus = 0;
	return 0;
}

/* Tables that have been taken out of a tree; they go to the pool once the hypervisor knows. */
struct pruning {
	struct pv_batch batch;
	struct {
		enum kind kind;
		void *table;
	} out[32];
	unsigned int count;
};

static void prune_settle(struct pruning *p)
{
	unsigned int i;
	int rc = pv_batch_end(&p->batch);

	if (rc)
		pv_panic("aspace: a table cannot be taken out: error %d", rc);
	for (i = 0; i < p->count; i++)
		put_table(p->out[i].kind, p->out[i].table);
	p->count = 0;
}

static void check_empty(const uint64_t *l1)
{
	unsigned int i;

	for (i = 0; i < PV_ENTRIES; i++)
		if (pv_load(&l1[i]))
			pv_panic("aspace: destroyed while a page is mapped");
}

/* Takes what entry `index` of a table of `level` points at out of the tree, its children first. */
static void prune(struct pruning *p, uint64_t *table, unsigned int level, unsigned int index)
{
	uint64_t *child = table_at(table, index);
	unsigned int i;

	if (!child)
		return;
	if (level == 2)
		check_empty(child);
	else
		for (i = 0; i < PV_ENTRIES; i++)
			prune(p, child, level - 1, i);
	attach(&p->batch, table, level, (uint64_t)index << (PV_PAGE_SHIFT + 9 * (level - 1)), NULL);
	p->out[p->count].kind = (enum kind)(level - 1);
	p->out[p->count++].table = child;
	if (p->count == sizeof(p->out) / sizeof(p->out[0]))
		prune_settle(p);
}

void pv_aspace_destroy(struct pv_aspace *as)
{
	struct pruning p = { .count = 0 };
	unsigned int slot;

	if (pv_load(&as->cpus))
		pv_panic("aspace: destroyed while it is loaded");
	pv_batch_begin(&p.batch, as);
	for (slot = FIRST_SLOT; slot < END_SLOT; slot++)
		prune(&p, as->user, 4, slot);
	prune_settle(&p);
	if (as->kernel)
		put_table(KERNEL_ROOT, as->kernel);
	if (as->kernel != as->user)
		put_table(USER_ROOT, as->user);
	as->kernel = as->user = NULL;
}

void pv_aspace_switch(struct pv_aspace *as, void *kernel_stack, uint64_t fs_base)
{
	struct pv_cpu *cpu = pv_cpu();
	struct pv_aspace *old = cpu->aspace;
	uint64_t me = 1ull << cpu->id;
	struct pv_context to;
	int rc;

	if (!cpu->context.kernel_root.pfn)
		cpu->context.kernel_root = pv_mmu_boot_root();
	to = cpu->context;
	to.kernel_root = pv_mmu_boot_root();
	if (as) {
		if (as->kernel)
			to.kernel_root.pfn = pv_virt_to_pfn(as->kernel);
		to.user_root.pfn = pv_virt_to_pfn(as->user);
		to.kernel_stack = kernel_stack;
		to.fs_base = fs_base;
		__atomic_fetch_or(&as->cpus, me, __ATOMIC_SEQ_CST);
	} else {
		to.user_root.pfn = 0;
	}
	rc = PV_OP(cpu, switch_context, &cpu->context, &to);
	if (rc)
		pv_panic("aspace: the switch was refused: error %d", rc);
	cpu->context = to;
	cpu->aspace = as;
	if (old && old != as)
		__atomic_fetch_and(&old->cpus, ~me, __ATOMIC_SEQ_CST);
}
