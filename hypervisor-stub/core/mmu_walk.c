/* SPDX-License-Identifier: MIT */
/*
 * Walking the guest's tables: what an address means, and what a page fault is about.
 *
 * The walk does what hardware does, and checks on the way what validation has promised: each table
 * is a validated table of the domain, each page the domain's own or mapped by a live grant. If that
 * is ever not so, the page counts as not present and the defect, ours, is logged.
 *
 * A fault that the tables allow is a miss in the engine's cache. It is filled with the longest run
 * around the address that has the same rights and frames in a row, for one mapping costs an engine
 * about the same whatever its length. As no hardware sets them, accessed and dirty are set here.
 */
#include <errno.h>

#include "hypervisor-stub/core/mmu_priv.h"

#define XEN_DIRECT_MAP UINT64_C(0xffff830000000000) /* of all memory, at its machine address */

/* The most pages of one run: a few L1 tables. */
#define RUN_MAX 2048u

static unsigned index_of(uint64_t va, unsigned level)
{
	return va >> (HV_PAGE_SHIFT + 9 * (level - 1)) & (HV_PTES - 1);
}

static bool is_canonical(uint64_t va)
{
	return va >> 47 == 0 || va >> 47 == 0x1ffff;
}

/* Our view of a table met on a walk. At level n it may be of type n or, by linear entries, above. */
static const uint64_t *table_at(struct hv_domain *d, mfn_t mfn, unsigned level)
{
	const struct hv_frame *f = hv_frame_own(d, mfn);

	if (f && hv_is_table(f->type) && f->type >= level && f->validated)
		return hv_frame_ptr(d, mfn);
	hv_log(d, "defect: a page-table walk met frame %#lx, which is no table",
	       (unsigned long)mfn.n);
	return NULL;
}

static void find_page(struct hv_domain *d, struct hv_walk *w)
{
	w->mfn = hv_pte_mfn(w->entry[1]);
	w->frame = hv_frame_own(d, w->mfn);
	if (w->frame)
		w->ptr = hv_frame_ptr(d, w->mfn);
	else
		w->ptr = hv_gnttab_entry_ptr(d, w->table[1], w->index[1], w->mfn);
	w->present = w->ptr != NULL;
	if (!w->present)
		hv_log(d, "defect: a page-table walk met frame %#lx of somebody else",
		       (unsigned long)w->mfn.n);
}

void hv_walk(struct hv_domain *d, mfn_t root, uint64_t va, struct hv_walk *w)
{
	mfn_t table = root;

	*w = (struct hv_walk){ .level = 4, .writable = true, .user = true, .executable = true };
	/* In Xen's part of a root there are entries of the engine's: nothing of the guest's. */
	if (!is_canonical(va) || !hv_addr_ok(va) || hv_mfn_is_none(root))
		return;
	for (unsigned level = 4; level >= 1; level--) {
		const uint64_t *t = table_at(d, table, level);
		unsigned i = index_of(va, level);
		uint64_t e;

		if (!t)
			return;
		w->level = level;
		w->table[level] = table;
		w->index[level] = i;
		/* By a linear entry a root may be met anywhere: its part of ours translates nothing. */
		e = hv_entry_slot_ok(hv_frame_own(d, table)->type, i) ? hv_pte_load(&t[i]) : 0;
		w->entry[level] = e;
		if (!(e & PTE_P))
			return;
		w->writable = w->writable && (e & PTE_W);
		w->user = w->user && (e & PTE_U);
		w->executable = w->executable && !(e & PTE_NX);
		table = hv_pte_mfn(e);
	}
	find_page(d, w);
}

/*
 * Without the lock: a table that is taken away while we look is still memory, and its loss is reported
 * after the entry above it has changed.
 */
static uint64_t entry_of(const struct hv_domain *d, mfn_t table, uint64_t va, unsigned level)
{
	const uint8_t *t;

	if (!hv_frame_in(d, table))
		return 0;
	t = d->mem.base + hv_frame_offset(d, table);
	return hv_pte_load((const uint64_t *)(const void *)t + index_of(va, level));
}

bool hv_roots_share(const struct hv_domain *d, mfn_t a, mfn_t b, uint64_t va, uint64_t *end)
{
	for (unsigned level = 4; level >= 2; level--) {
		uint64_t span = UINT64_C(1) << (HV_PAGE_SHIFT + 9 * (level - 1));
		uint64_t x = entry_of(d, a, va, level), y = entry_of(d, b, va, level);

		*end = (va & ~(span - 1)) + span;
		if ((x ^ y) & (PTE_P | PTE_W | PTE_U | PTE_NX))
			return false;
		if (!((x ^ y) & PTE_FRAME) || !(x & PTE_P))
			return x & PTE_P;
		a = hv_pte_mfn(x);
		b = hv_pte_mfn(y);
	}
	return false;
}

bool hv_walk_l1(struct hv_domain *d, mfn_t root, uint64_t va, mfn_t *table, unsigned *index)
{
	struct hv_walk w;

	if (!hv_addr_ok(va))
		return false;
	hv_walk(d, root, va, &w);
	if (w.level != 1)
		return false;
	*table = w.table[1];
	*index = w.index[1];
	return true;
}

/* ---- accessed and dirty ------------------------------------------------------------------------ */

static void set_bits(uint64_t *table, unsigned index, uint64_t bits)
{
	/* Atomic, for an engine on hardware page walks sets the same bits by itself. */
	if ((hv_pte_load(&table[index]) & bits) != bits)
		__atomic_fetch_or(&table[index], bits, __ATOMIC_RELAXED);
}

static void mark_path(struct hv_domain *d, const struct hv_walk *w, unsigned lowest)
{
	for (unsigned level = 4; level >= lowest; level--)
		set_bits(hv_frame_ptr(d, w->table[level]), w->index[level], PTE_A);
}

void hv_walk_mark(struct hv_domain *d, struct hv_walk *w, bool write)
{
	mark_path(d, w, 1);
	if (write)
		set_bits(hv_frame_ptr(d, w->table[1]), w->index[1], PTE_D);
}

/* ---- runs -------------------------------------------------------------------------------------- */

struct run {
	uint64_t *l2;     /* the L2 table of the fault */
	uint64_t l2_bits; /* rights of its entry there; neighbours must have the same */
	uint64_t want;    /* bits of an L1 entry, */
	uint64_t mask;    /* of these */
	bool not_both;    /* writable and dirty entries do not belong to the run */
	bool write;       /* filled writable: dirty is set */
	uint64_t lo, hi;  /* frames of the same owner */
	struct hv_domain *d;
};

/* The L1 table of the neighbouring entry of the L2 table, when it belongs to the run. */
static uint64_t *run_table(const struct run *r, unsigned l2_index)
{
	uint64_t e = hv_pte_load(&r->l2[l2_index]);
	const struct hv_frame *f;

	if (!(e & PTE_P) || ((e ^ r->l2_bits) & (PTE_W | PTE_NX)))
		return NULL;
	f = hv_frame_own(r->d, hv_pte_mfn(e));
	return f && f->type == HV_TYPE_L1 && f->validated ? hv_frame_ptr(r->d, hv_pte_mfn(e))
	                                                  : NULL;
}

static bool run_has(const struct run *r, uint64_t e, uint64_t mfn)
{
	return mfn >= r->lo && mfn < r->hi && !((e ^ (r->want | mfn << HV_PAGE_SHIFT)) & r->mask) &&
	       !(r->not_both && (e & (PTE_W | PTE_D)) == (PTE_W | PTE_D));
}

/*
 * How many entries from position pos (of the L2 table's 2^18 pages) in one direction belong to the
 * run, at most max; marks them.
 */
static uint64_t run_extend(const struct run *r, uint64_t pos, uint64_t mfn, int step, uint64_t max)
{
	uint64_t n = 0, bits = PTE_A | (r->write ? PTE_D : 0);
	uint64_t *table = NULL;

	for (; n < max; n++) {
		uint64_t at = pos + (uint64_t)((int64_t)(n + 1) * step);
		uint64_t frame = mfn + (uint64_t)((int64_t)(n + 1) * step);

		if (at >= (uint64_t)HV_PTES * HV_PTES)
			break;
		if (!table || at % HV_PTES == (step > 0 ? 0 : HV_PTES - 1))
			table = run_table(r, (unsigned)(at / HV_PTES));
		if (!table || !run_has(r, hv_pte_load(&table[at % HV_PTES]), frame))
			break;
		set_bits(table, at % HV_PTES, bits);
	}
	return n;
}

static void run_describe(struct hv_domain *d, const struct hv_walk *w, bool write, struct run *r)
{
	uint64_t e = w->entry[1];
	const struct hv_domain *owner = hv_frame_domain(d->machine, w->mfn);
	/* Without dirty a page is filled read-only until it is written: so dirty stays exact. */
	bool writable = w->writable && (write || (e & PTE_D));

	*r = (struct run){ .d = d, .write = writable && write };
	r->l2 = hv_frame_ptr(d, w->table[2]);
	r->l2_bits = w->entry[2];
	r->mask = PTE_P | PTE_NX | PTE_FRAME;
	if (writable)
		r->mask |= PTE_W | (write ? 0 : PTE_D);
	else
		r->not_both = w->entry[4] & w->entry[3] & w->entry[2] & PTE_W;
	r->want = e & r->mask & ~PTE_FRAME;
	if (owner) {
		r->lo = owner->mem.first.n;
		r->hi = r->lo + owner->mem.nr_frames;
	}
}

static int fill(struct hv_vcpu *v, mfn_t root, struct hv_walk *w, uint64_t va, bool write)
{
	struct hv_domain *d = v->domain;
	uint64_t pos = va >> HV_PAGE_SHIFT & ((uint64_t)HV_PTES * HV_PTES - 1), before, after;
	struct hv_run_map map = { .root = root, .executable = w->executable };
	struct run r;

	hv_walk_mark(d, w, write);
	run_describe(d, w, write, &r);
	map.writable = w->writable && (write || (w->entry[1] & PTE_D));
	/* By linear entries the "L1 table" may be a higher one: its neighbours are left alone. */
	if (hv_frame_own(d, w->table[2])->type != HV_TYPE_L2 ||
	    hv_frame_own(d, w->table[1])->type != HV_TYPE_L1)
		r.hi = r.lo;
	before = run_extend(&r, pos, w->mfn.n, -1, RUN_MAX / 2);
	after = run_extend(&r, pos, w->mfn.n, 1, RUN_MAX / 2);
	map.va = (va & ~(uint64_t)(HV_PAGE_SIZE - 1)) - (before << HV_PAGE_SHIFT);
	map.mfn.n = w->mfn.n - before;
	map.nr = before + 1 + after;
	map.miss = va & ~(uint64_t)(HV_PAGE_SIZE - 1);
	return d->machine->engine->fill(v, &map);
}

/* ---- faults ------------------------------------------------------------------------------------ */

/* A store of the guest kernel to one of its L1 tables, which it asked to have emulated. */
static bool is_table_write(const struct hv_vcpu *v, const struct hv_walk *w)
{
	const struct hv_domain *d = v->domain;

	return v->in_kernel && w->present && !(w->entry[1] & PTE_W) && w->frame &&
	       w->frame->type == HV_TYPE_L1 && w->frame->type_count &&
	       (d->vm_assist >> VMASST_TYPE_writable_pagetables & 1);
}

static bool is_m2p_read(const struct hv_vcpu *v, uint64_t va, uint32_t ec)
{
	return v->in_kernel && !(ec & (PFEC_W | PFEC_I)) && va >= MACH2PHYS_VIRT_START &&
	       (va - MACH2PHYS_VIRT_START) / sizeof(uint64_t) <
	               v->domain->machine->pool.m2p_entries;
}

/*
 * As Xen's pv_inject_event(): the user bit says the guest's mode (all of a guest runs at ring 3);
 * write and fetch are as the processor gave them; present as the tables say.
 */
static uint32_t guest_error_code(const struct hv_vcpu *v, uint32_t ec, bool present)
{
	return (ec & (PFEC_W | PFEC_I)) | (present ? PFEC_P : 0) | (v->in_kernel ? 0 : PFEC_U);
}

/*
 * What Xen has mapped in its part of the address space, where a guest can tell: its map of all memory,
 * and the machine-to-physical table, which kernels may read.
 */
static bool is_hypervisors(const struct hv_vcpu *v, uint64_t va)
{
	uint64_t entries = v->domain->machine->pool.m2p_entries;

	if (va >= XEN_DIRECT_MAP)
		return va < HYPERVISOR_VIRT_END && va - XEN_DIRECT_MAP < entries << HV_PAGE_SHIFT;
	return v->in_kernel && va >= MACH2PHYS_VIRT_START &&
	       (va - MACH2PHYS_VIRT_START) / sizeof(uint64_t) < entries;
}

static bool allows(const struct hv_walk *w, uint32_t ec)
{
	return w->present && w->user && !((ec & PFEC_W) && !w->writable) &&
	       !((ec & PFEC_I) && !w->executable);
}

/* *rc: what the engine said to a fill. */
static enum hv_fault_answer classify(struct hv_vcpu *v, uint64_t va, uint32_t *error_code, int *rc)
{
	uint32_t ec = *error_code;
	struct hv_walk w;

	if (is_m2p_read(v, va, ec)) {
		*error_code = guest_error_code(v, ec, false);
		return HV_FAULT_M2P_READ;
	}
	hv_walk(v->domain, hv_vcpu_root(v), va, &w);
	if (allows(&w, ec)) {
		*rc = fill(v, hv_vcpu_root(v), &w, va, ec & PFEC_W);
		if (*rc != -EFAULT)
			return HV_FAULT_RESUME;
		/* The host has no such address for guests: as if the entry were not present. */
		w.present = false;
	}
	*error_code = guest_error_code(v, ec, w.present || is_hypervisors(v, va));
	if ((ec & (PFEC_W | PFEC_I)) == PFEC_W && is_table_write(v, &w))
		return HV_FAULT_PT_WRITE;
	return HV_FAULT_GUEST;
}

enum hv_fault_answer hv_mmu_fault(struct hv_vcpu *v, uint64_t cr2, uint32_t *error_code)
{
	enum hv_fault_answer answer;
	int rc = 0;

	hv_domain_lock(v->domain);
	answer = classify(v, cr2, error_code, &rc);
	if (!v->in_kernel)
		v->missed = (struct hv_missed){ .is_set = answer == HV_FAULT_GUEST,
			                        .root = v->root_user,
			                        .va = cr2,
			                        .error_code = *error_code };
	hv_domain_unlock(v->domain);
	if (answer == HV_FAULT_RESUME && rc)
		hv_domain_crash(v->domain, v, "guest address %#lx cannot be mapped: %s",
		                (unsigned long)cr2,
		                rc == -ENOMEM ? "the host is out of memory"
		                              : "the engine refused the frame");
	return answer;
}

/*
 * A program's fault went to its kernel, which maps the page and returns to the instruction. Filling the
 * page as soon as the tables have it spares the second fault. Accessed and dirty are set a little
 * before that instruction sets them; nobody else can tell, unless the kernel does not return to it.
 */
void hv_mmu_fill_missed(struct hv_vcpu *v)
{
	struct hv_walk w;

	hv_domain_lock(v->domain);
	if (!hv_mfn_same(v->root_user, v->missed.root)) {
		v->missed.is_set = false;
	} else {
		hv_walk(v->domain, v->missed.root, v->missed.va, &w);
		if (allows(&w, v->missed.error_code)) {
			v->missed.is_set = false;
			/* If it fails, the fault that comes after all will tell. */
			fill(v, v->missed.root, &w, v->missed.va, v->missed.error_code & PFEC_W);
		}
	}
	hv_domain_unlock(v->domain);
}
