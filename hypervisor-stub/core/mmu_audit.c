/* SPDX-License-Identifier: MIT */
/*
 * The audit: all counts of a domain's frames, counted again from scratch.
 *
 * What may hold a frame: the domain itself (while allocated), entries of validated tables, pins,
 * roots, descriptor tables, a registered vcpu_info, grants for others. A difference is a defect of
 * ours, whatever the guest did. Tests call this after each step; nothing in a running machine does.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "hypervisor-stub/core/mmu_priv.h"

struct tally {
	struct hv_domain *d;
	struct count {
		uint64_t refs, types, hooks;
		int64_t linear;
		bool writable; /* some entry maps it so */
	} * count;
	uint64_t nr_linear;
	unsigned differences;
};

static void differ(struct tally *t, mfn_t mfn, const char *what, uint64_t have, uint64_t want)
{
	t->differences++;
	hv_log(t->d, "audit: frame %#" PRIx64 ": %s is %" PRIu64 ", should be %" PRIu64, mfn.n,
	       what, have, want);
}

static struct count *count_of(struct tally *t, mfn_t mfn)
{
	return hv_frame_own(t->d, mfn) ? &t->count[mfn.n - t->d->mem.first.n] : NULL;
}

static void hold(void *arg, mfn_t mfn, uint32_t refs, uint32_t types)
{
	struct tally *t = arg;
	struct count *c = count_of(t, mfn);

	if (!c) {
		differ(t, mfn, "held frame in use", 0, 1);
		return;
	}
	c->refs += refs;
	c->types += types;
}

/* ---- what the entries of a table hold ---------------------------------------------------------- */

static void tally_l1(struct tally *t, mfn_t table, unsigned index, uint64_t e)
{
	mfn_t mfn = hv_pte_mfn(e);
	struct count *c;

	if (!hv_frame_in(t->d, mfn)) {
		if (!hv_gnttab_entry_known(t->d, table, index, mfn))
			differ(t, mfn, "foreign entry known", 0, 1);
		return;
	}
	hold(t, mfn, 1, !!(e & PTE_W));
	c = count_of(t, mfn);
	if (c && (e & PTE_W))
		c->writable = true;
}

static void tally_high(struct tally *t, mfn_t table, unsigned level, uint64_t e)
{
	mfn_t mfn = hv_pte_mfn(e);
	const struct hv_frame *f = hv_frame_own(t->d, mfn);
	struct count *c = count_of(t, mfn);

	if (!f || !hv_is_table(f->type) || !f->validated) {
		differ(t, mfn, "table below is validated", 0, 1);
		return;
	}
	if (f->type == level) {
		t->nr_linear++;
		if (e & PTE_W)
			differ(t, mfn, "linear entry writable", 1, 0);
		if (hv_mfn_same(mfn, table))
			return;
		count_of(t, table)->linear++;
		c->linear--;
	} else if (f->type == level - 1) {
		c->hooks++;
	} else {
		differ(t, mfn, "type of table below", f->type, level - 1);
	}
	hold(t, mfn, 1, 1);
}

/* Xen's part of a root holds what the engine put there, and nothing else. */
static void tally_reserved(struct tally *t, mfn_t table, unsigned slot, uint64_t entry)
{
	const struct hv_engine *engine = t->d->machine->engine;
	uint64_t want = engine->root_entry ? engine->root_entry(t->d, slot) : 0;

	if ((entry ^ want) & ~PTE_A)
		differ(t, table, "entry in Xen's part", entry, want);
}

static void tally_table(struct tally *t, mfn_t table, unsigned level)
{
	const uint64_t *e = hv_frame_ptr(t->d, table);

	for (unsigned i = 0; i < HV_PTES; i++) {
		if (!(e[i] & PTE_P))
			continue;
		if (!hv_entry_slot_ok(level, i))
			tally_reserved(t, table, i, e[i]);
		else if (e[i] & (level == 1 ? L1_DISALLOW : LX_DISALLOW))
			differ(t, table, "bad bits in entry", i, 0);
		else if (level == 1)
			tally_l1(t, table, i, e[i]);
		else
			tally_high(t, table, level, e[i]);
	}
}

/* ---- all that holds ---------------------------------------------------------------------------- */

static void tally_vcpu(struct tally *t, const struct hv_vcpu *v)
{
	if (!hv_mfn_is_none(v->root_kernel))
		hold(t, v->root_kernel, 1, 1);
	if (!hv_mfn_is_none(v->root_user))
		hold(t, v->root_user, 1, 1);
	if (!hv_mfn_same(v->info_mfn, t->d->shared_info_mfn))
		hold(t, v->info_mfn, 1, 1);
	for (unsigned i = 0; i < (v->traps.gdt_entries + HV_PTES - 1) / HV_PTES; i++)
		hold(t, v->traps.gdt_frame[i], 1, 1);
}

static void tally_frame(struct tally *t, mfn_t mfn, const struct hv_frame *f, uint64_t *guest)
{
	*guest += f->state == HV_FRAME_GUEST;
	if (f->allocated)
		hold(t, mfn, 1, 0);
	if (f->state == HV_FRAME_SHARED || f->pinned)
		hold(t, mfn, 1, 1);
	if (hv_is_table(f->type) && f->type_count) {
		if (!f->validated)
			differ(t, mfn, "validated", 0, 1);
		tally_table(t, mfn, f->type);
	}
}

static void compare(struct tally *t, mfn_t mfn, const struct hv_frame *f, const struct count *c)
{
	if (f->ref_count != c->refs)
		differ(t, mfn, "reference count", f->ref_count, c->refs);
	if (f->type_count != c->types)
		differ(t, mfn, "type count", f->type_count, c->types);
	if (c->writable && f->type != HV_TYPE_WRITABLE)
		differ(t, mfn, "type of a frame mapped writable", f->type, HV_TYPE_WRITABLE);
	if (!hv_is_table(f->type) || !f->type_count)
		return;
	if (f->nr_hooks != c->hooks)
		differ(t, mfn, "hooks", f->nr_hooks, c->hooks);
	if (f->linear != c->linear)
		differ(t, mfn, "linear uses", (uint64_t)(int64_t)f->linear, (uint64_t)c->linear);
	if ((f->parent_kind == HV_PARENT_NONE) != (c->hooks == 0))
		differ(t, mfn, "parent kind", f->parent_kind, c->hooks);
}

unsigned hv_mmu_audit(struct hv_domain *d)
{
	struct tally t = { .d = d };
	uint64_t guest = 0;

	t.count = calloc(d->mem.nr_frames, sizeof(*t.count));
	HV_ASSERT(t.count);
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		if (d->vcpu[i])
			tally_vcpu(&t, d->vcpu[i]);
	}
	hv_gnttab_each_held(d, hold, &t);
	for (uint64_t i = 0; i < d->mem.nr_frames; i++) {
		mfn_t mfn = { d->mem.first.n + i };
		const struct hv_frame *f = hv_frame_own(d, mfn);

		if (f)
			tally_frame(&t, mfn, f, &guest);
	}
	for (uint64_t i = 0; i < d->mem.nr_frames; i++) {
		mfn_t mfn = { d->mem.first.n + i };
		const struct hv_frame *f = hv_frame_own(d, mfn);

		if (f)
			compare(&t, mfn, f, &t.count[i]);
	}
	if (guest != d->mem.tot_pages)
		differ(&t, d->mem.first, "tot_pages", d->mem.tot_pages, guest);
	if (t.nr_linear != d->mem.nr_linear)
		differ(&t, d->mem.first, "nr_linear", d->mem.nr_linear, t.nr_linear);
	free(t.count);
	return t.differences;
}
