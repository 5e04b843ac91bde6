/* SPDX-License-Identifier: MIT */
/*
 * References and types of frames: Xen's page types.
 *
 * A reference keeps a frame in the domain. A type count says how the frame is used: as a table of
 * one level, as a descriptor table, or as memory that someone may write. The first count of a type
 * changes the frame's type: every cache must have dropped the old use (engine->retire()), and then
 * a table's contents are checked, entry by entry, each taking what it needs. The last count of a
 * table gives all that back.
 *
 * Invariant: a frame with a table or descriptor type and a count is mapped writable nowhere: not in
 * any table and not in any cache.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/mmu_priv.h"

void hv_retire_seq(struct hv_domain *d, uint64_t seq)
{
	if (seq <= d->mem.retired_seq)
		return;
	/* All there is at once: the next frames of the same batch then find nothing to wait for. */
	seq = hv_max64(seq, d->mem.last_seq);
	d->machine->engine->retire(d, seq);
	d->mem.retired_seq = seq;
}

void hv_frame_retire(struct hv_domain *d, struct hv_frame *f)
{
	hv_retire_seq(d, f->removal_seq);
}

/* ---- references ------------------------------------------------------------------------------- */

static struct hv_frame *ref_take(struct hv_domain *d, mfn_t mfn)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	/* A frame whose last reference is gone is free; one at the limit cannot take more. */
	if (!f || !f->ref_count || f->ref_count == UINT32_MAX)
		return NULL;
	f->ref_count++;
	return f;
}

static void ref_drop(struct hv_domain *d, mfn_t mfn, struct hv_frame *f)
{
	HV_ASSERT(f->ref_count > 0);
	if (--f->ref_count)
		return;
	HV_ASSERT(f->state == HV_FRAME_GUEST && !f->type_count && !f->allocated);
	/* Nobody may still see the frame when its number is handed out again. */
	hv_frame_retire(d, f);
	hv_frame_free(d, mfn);
}

int hv_ref_get(struct hv_domain *d, mfn_t mfn)
{
	return ref_take(d, mfn) ? 0 : -XEN_EINVAL;
}

void hv_ref_put_seq(struct hv_domain *d, mfn_t mfn, uint64_t seq)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	HV_ASSERT(f);
	f->removal_seq = hv_max64(f->removal_seq, seq);
	ref_drop(d, mfn, f);
}

void hv_ref_put(struct hv_domain *d, mfn_t mfn)
{
	hv_ref_put_seq(d, mfn, 0);
}

void hv_frame_give_up(struct hv_domain *d, mfn_t mfn, struct hv_frame *f)
{
	/* As in Xen, giving up twice what is still mapped somewhere is no error. */
	if (!f->allocated)
		return;
	f->allocated = false;
	ref_drop(d, mfn, f);
}

/* ---- contents of tables ----------------------------------------------------------------------- */

static uint64_t *entries_of(struct hv_domain *d, mfn_t table)
{
	uint64_t *e = hv_frame_ptr(d, table);

	HV_ASSERT(e);
	return e;
}

static void put_entries(struct hv_domain *d, mfn_t table, unsigned level, unsigned below,
                        uint64_t seq)
{
	const uint64_t *e = entries_of(d, table);

	while (below-- > 0) {
		uint64_t entry = hv_pte_load(&e[below]);

		if ((entry & PTE_P) && hv_entry_slot_ok(level, below))
			hv_entry_put(d, table, level, below, entry, seq);
	}
}

/* Xen's part of a root is the engine's: whatever the guest left there must translate nothing. */
static void fill_xen_slots(const struct hv_domain *d, uint64_t *e)
{
	const struct hv_engine *engine = d->machine->engine;

	for (unsigned i = XEN_SLOT_FIRST; i <= XEN_SLOT_LAST; i++)
		__atomic_store_n(&e[i], engine->root_entry ? engine->root_entry(d, i) : 0,
		                 __ATOMIC_RELAXED);
}

static int check_table(struct hv_domain *d, mfn_t table, unsigned level)
{
	uint64_t *e = entries_of(d, table);

	/* A dying domain need not finish a long validation. */
	if (atomic_load(&d->ending))
		return -XEN_EINVAL;
	for (unsigned i = 0; i < HV_PTES; i++) {
		uint64_t entry = hv_pte_load(&e[i]), adjusted;
		int rc;

		if (!(entry & PTE_P) || !hv_entry_slot_ok(level, i))
			continue;
		adjusted = hv_entry_adjust(level, entry);
		rc = hv_entry_get(d, table, level, i, adjusted, HV_PG_SELF);
		if (rc) {
			put_entries(d, table, level, i, 0);
			return rc;
		}
		if (adjusted != entry)
			__atomic_store_n(&e[i], adjusted, __ATOMIC_RELAXED);
	}
	if (level == 4)
		fill_xen_slots(d, e);
	return 0;
}

static int check_descriptors(struct hv_domain *d, mfn_t table)
{
	uint64_t *e = entries_of(d, table);

	for (unsigned i = 0; i < HV_PTES; i++) {
		uint64_t desc = hv_pte_load(&e[i]);

		if (!hv_descriptor_check(&desc))
			return -XEN_EINVAL;
		__atomic_store_n(&e[i], desc, __ATOMIC_RELAXED);
	}
	return 0;
}

static void empty_table(struct hv_domain *d, mfn_t table, struct hv_frame *f)
{
	const struct hv_engine *engine = d->machine->engine;
	unsigned level = f->type;

	f->validated = false;
	if (level == 4) {
		/*
		 * Whatever was cached under this root. The frames that its tables map get the
		 * number by put_entries(), which passes it on downwards.
		 */
		struct hv_entry_change c = { .table = table, .level = 4, .root = table };

		f->removal_seq = hv_max64(f->removal_seq, hv_tell_engine(d, &c));
	}
	put_entries(d, table, level, HV_PTES, f->removal_seq);
	HV_ASSERT(f->nr_hooks == 0 && f->linear == 0);
	if (level == 4)
		engine->root_gone(d, table);
	if (engine->table_gone) {
		d->mem.last_seq = hv_max64(d->mem.last_seq, engine->table_gone(d, table));
		f->removal_seq = d->mem.last_seq;
	}
}

/* ---- types ------------------------------------------------------------------------------------ */

static int first_count(struct hv_domain *d, mfn_t mfn, struct hv_frame *f, enum hv_frame_type type)
{
	int rc = 0;

	/*
	 * 1. The last mapping of the old kind left the tables, some time ago.
	 * 2. Here every cache confirms that it dropped it; a fill cannot bring it back, for it
	 *    reads the tables under the same lock.
	 * 3. Only now the contents are read: nobody can change them any more.
	 * The way back (table to writable) waits too: hardware caches tables while it walks.
	 */
	if (f->type != type && f->type != HV_TYPE_NONE)
		hv_frame_retire(d, f);
	f->type = (uint8_t)type;
	f->type_count = 1;
	if (hv_is_table(type)) {
		f->parent_kind = HV_PARENT_NONE;
		f->nr_hooks = 0;
		f->linear = 0;
		rc = check_table(d, mfn, type);
		f->validated = !rc;
	} else if (type == HV_TYPE_DESC) {
		rc = check_descriptors(d, mfn);
	}
	if (rc) {
		f->type = HV_TYPE_NONE;
		f->type_count = 0;
	}
	return rc;
}

int hv_type_only_get(struct hv_domain *d, mfn_t mfn, struct hv_frame *f, enum hv_frame_type type)
{
	if (f->type_count == 0)
		return first_count(d, mfn, f, type);
	if (f->type != type || f->type_count == UINT32_MAX)
		return -XEN_EINVAL;
	/* Being checked right now: it contains itself. */
	if (hv_is_table(type) && !f->validated)
		return -XEN_EINVAL;
	f->type_count++;
	return 0;
}

void hv_type_only_put(struct hv_domain *d, mfn_t mfn, struct hv_frame *f)
{
	HV_ASSERT(f->type_count > 0);
	/* The count stays while the table is emptied: its own entries must find it as it was. */
	if (f->type_count == 1 && hv_is_table(f->type))
		empty_table(d, mfn, f);
	f->type_count--;
}

int hv_type_get(struct hv_domain *d, mfn_t mfn, enum hv_frame_type type)
{
	struct hv_frame *f = ref_take(d, mfn);
	int rc;

	if (!f)
		return -XEN_EINVAL;
	rc = hv_type_only_get(d, mfn, f, type);
	if (rc)
		ref_drop(d, mfn, f);
	return rc;
}

void hv_type_put_seq(struct hv_domain *d, mfn_t mfn, uint64_t seq)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	HV_ASSERT(f);
	f->removal_seq = hv_max64(f->removal_seq, seq);
	hv_type_only_put(d, mfn, f);
	ref_drop(d, mfn, f);
}

void hv_type_put(struct hv_domain *d, mfn_t mfn)
{
	hv_type_put_seq(d, mfn, 0);
}
