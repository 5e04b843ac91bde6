/* SPDX-License-Identifier: MIT */
/*
 * Where a page table hangs, and so which addresses an entry of it translates.
 *
 * An engine drops cached translations by root and address, but an entry is named by its table. So
 * each table remembers the entry of the higher table that points to it (mmu_priv.h,
 * enum hv_parent_kind), and a change climbs from there to the root. A table with two parents is
 * kept exactly: a guest process's kernel and user root share the tables of the user half. With more
 * the index alone is kept, which is enough below a root: the kernel half is shared by all roots.
 *
 * Invariant: what is remembered covers every place where the table hangs; when it cannot be told,
 * the answer is "anywhere". Linear entries (a table used as one of a lower level) are not parents:
 * while the domain has any, each change above L1 counts as "anywhere".
 */
#include "hypervisor-stub/core/mmu_priv.h"

struct place {
	bool reachable;
	bool known;  /* the address is known */
	uint64_t va; /* of the table's first entry */
	mfn_t root[2];
	unsigned nr_roots; /* 0: any root */
	uint64_t seq;      /* last removal on the way up, for a table that hangs nowhere */
};

void hv_table_hook(struct hv_frame *child, mfn_t parent, unsigned index)
{
	child->nr_hooks++;
	switch (child->parent_kind) {
	case HV_PARENT_NONE:
		child->parent_kind = HV_PARENT_ONE;
		child->parent[0] = (uint32_t)parent.n;
		child->parent_index = (uint16_t)index;
		break;
	case HV_PARENT_ONE:
		child->parent_kind = HV_PARENT_TWO;
		child->parent[1] = (uint32_t)parent.n;
		break;
	case HV_PARENT_TWO:
		child->parent_kind = HV_PARENT_MANY_AT;
		break;
	}
	if (child->parent_index != index)
		child->parent_kind = HV_PARENT_ANYWHERE;
}

void hv_table_unhook(struct hv_frame *child, mfn_t parent, unsigned index)
{
	HV_ASSERT(child->nr_hooks > 0);
	child->nr_hooks--;
	(void)index;
	if (child->nr_hooks == 0) {
		child->parent_kind = HV_PARENT_NONE;
	} else if (child->parent_kind == HV_PARENT_TWO) {
		child->parent_kind = HV_PARENT_ONE;
		if (child->parent[0] == parent.n)
			child->parent[0] = child->parent[1];
	}
}

static uint64_t canonical(uint64_t va)
{
	return va >> 47 & 1 ? va | UINT64_C(0xffff000000000000) : va;
}

static unsigned entry_shift(unsigned level)
{
	return HV_PAGE_SHIFT + 9 * (level - 1);
}

/* One table below a root, or several roots: the walk up ends here. */
static void end_at_l3(const struct hv_frame *f, struct place *p)
{
	p->known = f->parent_kind != HV_PARENT_ANYWHERE;
	p->va += (uint64_t)f->parent_index << entry_shift(4);
	if (f->parent_kind == HV_PARENT_TWO) {
		p->root[0].n = f->parent[0];
		p->root[1].n = f->parent[1];
		p->nr_roots = 2;
	}
}

static void climb(struct hv_domain *d, mfn_t table, unsigned level, struct place *p)
{
	*p = (struct place){ .reachable = true, .known = true };
	for (; level < 4; level++) {
		const struct hv_frame *f = hv_frame_own(d, table);

		HV_ASSERT(f);
		p->seq = hv_max64(p->seq, f->removal_seq);
		if (f->parent_kind == HV_PARENT_NONE) {
			p->reachable = false;
			return;
		}
		if (f->parent_kind != HV_PARENT_ONE) {
			p->known = false;
			if (level == 3)
				end_at_l3(f, p);
			return;
		}
		p->va += (uint64_t)f->parent_index << entry_shift(level + 1);
		table.n = f->parent[0];
	}
	p->root[0] = table;
	p->nr_roots = 1;
}

uint64_t hv_tell_engine(struct hv_domain *d, const struct hv_entry_change *c)
{
	d->mem.last_seq = hv_max64(d->mem.last_seq, d->machine->engine->entry_changed(d, c));
	return d->mem.last_seq;
}

uint64_t hv_entry_changed(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                          uint64_t old, uint64_t now)
{
	struct hv_entry_change c = {
		.table = table,
		.index = index,
		.level = level,
		.old = old,
		.now = now,
		.root = HV_MFN_NONE,
	};
	uint64_t seq = 0;
	struct place p;

	climb(d, table, level, &p);
	if (level > 1 && d->mem.nr_linear)
		p = (struct place){ .reachable = true };
	if (!p.reachable)
		return p.seq;
	if (p.known) {
		c.va = canonical(p.va + ((uint64_t)index << entry_shift(level)));
		c.len = UINT64_C(1) << entry_shift(level);
	}
	for (unsigned i = 0; i < (p.nr_roots ? p.nr_roots : 1); i++) {
		c.root = p.nr_roots ? p.root[i] : HV_MFN_NONE;
		seq = hv_max64(seq, hv_tell_engine(d, &c));
	}
	return seq;
}
