/* SPDX-License-Identifier: MIT */
/*
 * A page fault at ring 3 is one of these: the guest's own, a miss in the engine's mappings, a first
 * fetch from a page of the kernel's, a store to scanned code, or an access to a device.
 *
 * And the views: what the engine's processes may show of the guest's tables. The kernel's view stays
 * the same process through all loads of CR3 and loses what the new tables translate otherwise; each
 * CR3 under which user code has run has a process for it, brought up to date when it is loaded again.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/patch.h"

#define ROOT_KERNEL (UINT64_C(1) << 41) /* numbers that no frame has */
#define ROOT_USER   (UINT64_C(1) << 42)
#define MAX_NODES   4096 /* of one tree; then it begins anew */
#define RUN_PAGES   32   /* neighbours of a 4 KiB page that are mapped with it, each way */
#define RUN_LARGE   512  /* large pages that are mapped at once, at most */
#define HIGHEST_VA  UINT64_C(0x7ffec0000000) /* what the engine can map ends here */

/* ---- views ------------------------------------------------------------------------------------ */

void fv_drop(struct fv_cpu *c, mfn_t root, uint64_t va, uint64_t len)
{
	const struct hv_entry_change change = {
		.table = root, .level = 1, .root = root, .va = va, .len = len
	};

	hv_domain_lock(c->d);
	c->hv->engine->entry_changed(c->d, &change);
	hv_domain_unlock(c->d);
	c->dropped = true;
}

static void drop_kernel(void *arg, uint64_t va, uint64_t len)
{
	struct fv_cpu *c = arg;

	fv_drop(c, c->kernel_root, va, len);
}

static void drop_user(void *arg, uint64_t va, uint64_t len)
{
	struct fv_view *view = arg;

	fv_drop(view->cpu, view->root, va, len);
}

void fv_views_init(struct fv_cpu *c)
{
	c->kernel_root = c->v->root_kernel = (mfn_t){ ROOT_KERNEL };
	c->kernel.drop = drop_kernel;
	c->kernel.arg = c;
	for (unsigned i = 0; i < FV_MAX_VIEWS; i++) {
		c->view[i].root = HV_MFN_NONE;
		c->view[i].cpu = c;
		c->view[i].shadow.drop = drop_user;
		c->view[i].shadow.arg = &c->view[i];
	}
	c->v->root_user = (mfn_t){ ROOT_USER };
}

void fv_views_fini(struct fv_cpu *c)
{
	fv_shadow_clear(&c->kernel);
	for (unsigned i = 0; i < FV_MAX_VIEWS; i++)
		fv_shadow_clear(&c->view[i].shadow);
}

/* A view for the current CR3; the one that was used least recently goes when there are too many. */
static struct fv_view *new_view(struct fv_cpu *c)
{
	struct fv_view *view = &c->view[0];

	for (unsigned i = 0; i < FV_MAX_VIEWS; i++) {
		if (hv_mfn_is_none(c->view[i].root)) {
			view = &c->view[i];
			break;
		}
		if (c->view[i].used < view->used)
			view = &c->view[i];
	}
	fv_shadow_clear(&view->shadow);
	if (!hv_mfn_is_none(view->root)) {
		hv_domain_lock(c->d);
		c->hv->engine->root_gone(c->d, view->root);
		hv_domain_unlock(c->d);
	}
	/* A name that was never used: nothing of the old one's can be taken for its. */
	view->root = (mfn_t){ ROOT_USER + ++c->clock };
	view->cr3 = c->cr3 & PTE_ADDR;
	return view;
}

static void find_view(struct fv_cpu *c)
{
	uint64_t root = c->cr3 & PTE_ADDR;

	c->user = NULL;
	for (unsigned i = 0; i < FV_MAX_VIEWS && !c->user; i++)
		if (!hv_mfn_is_none(c->view[i].root) && c->view[i].cr3 == root)
			c->user = &c->view[i];
	if (c->user) {
		fv_shadow_sync(&c->user->shadow, &c->mem, c->cr3);
	} else {
		c->user = new_view(c);
	}
	c->user->used = ++c->clock;
	c->v->root_user = c->user->root;
}

static void trim(struct fv_cpu *c, struct fv_shadow *s, mfn_t root)
{
	if (s->nr_nodes <= MAX_NODES)
		return;
	fv_shadow_clear(s);
	fv_drop(c, root, 0, 0);
}

void fv_flush_all(struct fv_cpu *c)
{
	if (!(c->cr0 & CR0_PG))
		return;
	trim(c, &c->kernel, c->kernel_root);
	fv_shadow_sync(&c->kernel, &c->mem, c->cr3);
	if (c->user)
		trim(c, &c->user->shadow, c->user->root);
	find_view(c);
}

void fv_load_cr3(struct fv_cpu *c, uint64_t cr3)
{
	c->cr3 = cr3 & (PTE_ADDR | 0x18);
	c->page->cr3 = c->cr3;
	fv_flush_all(c);
}

void fv_flush_page(struct fv_cpu *c, uint64_t va)
{
	fv_shadow_sync_page(&c->kernel, &c->mem, c->cr3, va);
	if (c->user)
		fv_shadow_sync_page(&c->user->shadow, &c->mem, c->cr3, va);
}

/* ---- filling ---------------------------------------------------------------------------------- */

static bool in_kernel(const struct fv_cpu *c)
{
	return c->cpl != 3;
}

static bool hand_to_engine(struct fv_cpu *c, const struct hv_run_map *run)
{
	int rc;

	hv_domain_lock(c->d);
	/* What was dropped before must not take this away after. */
	if (c->dropped)
		c->hv->engine->sync(c->d, 1);
	c->dropped = false;
	rc = c->hv->engine->fill(c->v, run);
	hv_domain_unlock(c->d);
	if (rc && rc != -EFAULT)
		fv_end(c->m, FV_END_OURS, 0, "memory for mappings is short (%s)", strerror(-rc));
	return !rc;
}

/* What else of the tables goes on as this leaf does, and may be mapped with it. */
static bool goes_on(const struct fv_cpu *c, const struct fv_walk *w, const struct fv_walk *at,
                    int64_t offset)
{
	(void)c;
	return at->present && at->level == w->level && at->w == w->w && at->u == w->u &&
	       at->x == w->x && at->dirty == w->dirty && (at->entry[at->level] & PTE_A) &&
	       at->gpa == w->gpa + (uint64_t)offset;
}

/* One page of the run: memory, and in the kernel's view without a copy for code. */
static bool may_map(const struct fv_cpu *c, uint64_t gpa)
{
	return fv_is_ram(&c->mem, gpa) && !(in_kernel(c) && fv_code_at_gpa(c, gpa));
}

/* [*first, *last] around va within one leaf, by pages that may be mapped. */
static void grow_in_leaf(const struct fv_cpu *c, const struct fv_walk *w, uint64_t va,
                         uint64_t *first, uint64_t *last)
{
	uint64_t base = va & ~(w->size - 1), delta = w->gpa - va;

	while (*first > base && may_map(c, *first - FV_PAGE + delta))
		*first -= FV_PAGE;
	while (*last - base < w->size - FV_PAGE && may_map(c, *last + FV_PAGE + delta))
		*last += FV_PAGE;
}

/* Neighbouring leaves; each that is taken is noted. */
static void grow_over_leaves(struct fv_cpu *c, struct fv_shadow *s, const struct fv_walk *w,
                             uint64_t va, uint64_t *first, uint64_t *last)
{
	const struct fv_paging p = fv_paging(c);
	unsigned limit = w->level == 1 ? RUN_PAGES : RUN_LARGE;
	uint64_t base = va & ~(w->size - 1);

	for (int dir = -1; dir <= 1; dir += 2) {
		for (unsigned i = 1; i <= limit; i++) {
			uint64_t at = base + (uint64_t)dir * i * w->size, leaf = *last - *first;
			struct fv_walk n;

			/* Only when all of the leaf before was taken. */
			if (dir < 0 ? *first != at + w->size : *last + FV_PAGE != at)
				break;
			(void)leaf;
			fv_walk(&p, at, &n);
			if (at >= HIGHEST_VA || !goes_on(c, w, &n, (int64_t)(at - va)) ||
			    !may_map(c, n.gpa) || !fv_shadow_note(s, &c->mem, at, &n))
				break;
			if (dir < 0) {
				*first = at + w->size - FV_PAGE;
				if (!may_map(c, n.gpa + w->size - FV_PAGE)) {
					*first = at + w->size;
					break;
				}
				while (*first > at && may_map(c, n.gpa + (*first - at) - FV_PAGE))
					*first -= FV_PAGE;
			} else {
				*last = at;
				while (*last + FV_PAGE < at + w->size &&
				       may_map(c, n.gpa + (*last - at) + FV_PAGE))
					*last += FV_PAGE;
			}
		}
	}
}

/* Maps the data page at va, and neighbours. False: the engine cannot have a mapping there. */
static bool fill_data(struct fv_cpu *c, uint64_t va, const struct fv_walk *w)
{
	struct fv_shadow *s = in_kernel(c) ? &c->kernel : &c->user->shadow;
	bool write = w->dirty && (w->w || (in_kernel(c) && !(c->cr0 & CR0_WP)));
	uint64_t page = FV_PAGE_OF(va), first = page, last = page;
	struct hv_run_map run = {
		.root = in_kernel(c) ? c->kernel_root : c->user->root,
		.writable = write && !fv_code_at_gpa(c, w->gpa),
		.executable = !in_kernel(c) && w->x,
		.miss = va,
	};

	if (!fv_shadow_note(s, &c->mem, va, w))
		return false;
	/* Another address of a page that executes: by itself, and not to be written. */
	if (may_map(c, FV_PAGE_OF(w->gpa))) {
		struct fv_walk leaf = *w;

		leaf.gpa = FV_PAGE_OF(w->gpa);
		grow_in_leaf(c, &leaf, page, &first, &last);
		grow_over_leaves(c, s, &leaf, page, &first, &last);
	}
	run.va = first;
	run.nr = (last - first) / FV_PAGE + 1;
	run.mfn = (mfn_t){ c->d->mem.first.n +
		           ((FV_PAGE_OF(w->gpa) + first - page) >> FV_PAGE_SHIFT) };
	fv_count(c->m, FV_EXIT_MISS);
	return hand_to_engine(c, &run);
}

/* Where an instruction begins: at va, or behind one that began in the page before and goes over. */
static uint64_t entry_at(const struct fv_cpu *c, uint64_t va)
{
	uint64_t rip = c->v->regs.rip;
	const struct fv_code *before = fv_code_find(c, rip);
	struct x86_insn insn;

	if (FV_PAGE_OF(rip) + FV_PAGE != va || !before ||
	    !fv_code_decode(c, before, (unsigned)(rip % FV_PAGE), &insn))
		return va;
	return rip + insn.len;
}

static bool fill_code(struct fv_cpu *c, uint64_t va, const struct fv_walk *w)
{
	struct hv_run_map run = { .root = c->kernel_root, .nr = 1, .executable = true, .miss = va };
	struct fv_code *code;

	if (!fv_shadow_note(&c->kernel, &c->mem, va, w))
		return false;
	code = fv_code_enter(c, FV_PAGE_OF(va), FV_PAGE_OF(w->gpa), entry_at(c, va));
	if (!code) {
		fv_end(c->m, FV_END_OURS, 0, "memory for copies of code is short");
		return true;
	}
	run.va = FV_PAGE_OF(va);
	run.mfn = fv_code_mfn(c, code);
	return hand_to_engine(c, &run);
}

/* ---- a page fault ------------------------------------------------------------------------------ */

static bool in_area(uint64_t va)
{
	return va >= FV_AREA && va < FV_AREA_END;
}

/* The page of shared state and the patches, where the guest's tables leave that address free. */
static bool fill_area(struct fv_cpu *c, uint64_t va, const struct fv_walk *w)
{
	struct hv_run_map run = { .root = c->kernel_root, .nr = 1, .miss = va };

	if (!c->patches_on)
		return false;
	if (w->present && w->gpa != va) {
		/* The guest has other plans with it. */
		c->patches_on = false;
		fv_code_drop_all(c);
		fv_drop(c, c->kernel_root, FV_AREA, FV_AREA_END - FV_AREA);
		return false;
	}
	run.va = FV_PAGE_OF(va);
	run.mfn = (mfn_t){ c->d->mem.first.n + (run.va >> FV_PAGE_SHIFT) };
	run.writable = va < FV_PATCHES;
	run.executable = !run.writable;
	if (!run.writable)
		run.nr = (FV_AREA_END - run.va) >> FV_PAGE_SHIFT;
	return hand_to_engine(c, &run);
}

static void inject(struct fv_cpu *c, uint64_t va, uint32_t pfec)
{
	const struct x86_fault f = {
		.vector = X86_VECTOR_PF, .has_error = true, .error = pfec, .cr2 = va
	};

	fv_fault(c, &f);
}

void fv_miss(struct fv_cpu *c, uint64_t va, uint32_t error)
{
	unsigned access = (error & PFEC_W ? FV_WALK_WRITE : 0) |
	                  (error & PFEC_I ? FV_WALK_FETCH : 0) | (in_kernel(c) ? 0 : FV_WALK_USER);
	const struct fv_paging p = fv_paging(c);
	struct fv_walk w;
	uint32_t pfec;

	fv_walk(&p, va, &w);
	if (in_kernel(c) && in_area(va) && fill_area(c, va, &w))
		return;
	if (!fv_walk_allow(&p, &w, access, &pfec)) {
		inject(c, va, pfec);
		return;
	}
	if (!fv_is_ram(&c->mem, w.gpa)) {
		/* A device, or nothing. Code does not run from there. */
		if (access & FV_WALK_FETCH)
			fv_end(c->m, FV_END_CRASH, 0,
			       "the guest executes at %#llx, where there is no memory (%#llx)",
			       (unsigned long long)va, (unsigned long long)w.gpa);
		else
			fv_emulate(c);
		return;
	}
	if (in_kernel(c) && (access & FV_WALK_FETCH)) {
		if (!fill_code(c, va, &w))
			fv_end(c->m, FV_END_CRASH, 0,
			       "the kernel executes at %#llx, where this host lets "
			       "nobody map anything",
			       (unsigned long long)va);
		return;
	}
	if ((access & FV_WALK_WRITE) && fv_code_at_gpa(c, w.gpa)) {
		bool itself = fv_code_find(c, c->v->regs.rip) &&
		              FV_PAGE_OF(c->v->regs.rip) == FV_PAGE_OF(va);

		fv_code_drop_gpa(c, FV_PAGE_OF(w.gpa));
		/* To map it for writing would take the instruction itself away. */
		if (itself) {
			fv_emulate(c);
			return;
		}
	}
	if (!fill_data(c, va, &w))
		fv_emulate(c); /* where the engine maps nothing */
}

/*
 * Else the program would fault again, only for us to fill. Its fault may be another program's by now, or may
 * have been an offence: then nothing is filled, and it faults as it must.
 */
void fv_fill_missed(struct fv_cpu *c)
{
	const struct fv_paging p = fv_paging(c);
	unsigned access = FV_WALK_USER | (c->missed.error & PFEC_W ? FV_WALK_WRITE : 0);
	struct fv_walk w;
	uint32_t pfec;

	c->missed.is_set = false;
	fv_walk(&p, c->missed.va, &w);
	if (w.present && fv_is_ram(&c->mem, w.gpa) && fv_walk_allow(&p, &w, access, &pfec))
		fill_data(c, c->missed.va, &w);
}
