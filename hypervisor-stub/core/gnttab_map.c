/* SPDX-License-Identifier: MIT */
/*
 * Mapping granted frames: GNTTABOP_map_grant_ref, unmap_grant_ref, unmap_and_replace, and the
 * mappings of back-ends in this process.
 *
 * The life of a mapping of another domain's frame:
 *   1. Both domains locked: the row is marked, its pin counted, the frame's counts taken for the
 *      record, an L1 entry of the mapping domain written.
 *   2. Unmapped: the entry is cleared, with the mapping domain's lock alone.
 *   3. Once no cache of the mapping domain holds the frame (retire), with both locks: counts and pin
 *      are given back, and the mark when it was the last.
 * An entry that the guest overwrites without an unmap leaves the record as it is: as in Xen, that
 * unmap then fails, and the grant stays in use until the mapping domain dies.
 *
 * Invariant: an L1 entry holds a foreign frame only while a live record names that very entry.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/gnttab_priv.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

#define HASH_HEADS  1024u
#define UNMAP_BATCH 32u
#define NO_MAP      HV_GNTTAB_NO_MAP
#define BOTH_MAPS   (GNTMAP_host_map | GNTMAP_device_map)

/* ---- handles ------------------------------------------------------------------------------------ */

static int grow_maps(struct hv_domain_gnttab *g)
{
	uint32_t now = g->nr_maps, want = now ? now * 2 : 64;
	struct hv_gnttab_map *maps;

	if (want > HV_GNTTAB_MAX_MAPS)
		return -XEN_ENOMEM;
	if (!g->by_entry) {
		g->by_entry = malloc(HASH_HEADS * sizeof(*g->by_entry));
		if (!g->by_entry)
			return -XEN_ENOMEM;
		memset(g->by_entry, 0xff, HASH_HEADS * sizeof(*g->by_entry));
	}
	maps = realloc(g->maps, want * sizeof(*maps));
	if (!maps)
		return -XEN_ENOMEM;
	memset(maps + now, 0, (want - now) * sizeof(*maps));
	g->maps = maps;
	for (uint32_t i = want; i-- > now;) {
		maps[i].next = g->free_map;
		g->free_map = i;
	}
	g->nr_maps = want;
	return 0;
}

static uint32_t take_handle(struct hv_domain_gnttab *g)
{
	uint32_t handle;

	if (g->free_map == NO_MAP && grow_maps(g))
		return NO_MAP;
	handle = g->free_map;
	g->free_map = g->maps[handle].next;
	g->maps[handle] = (struct hv_gnttab_map){ .in_use = true, .next = NO_MAP };
	return handle;
}

static void free_handle(struct hv_domain_gnttab *g, uint32_t handle)
{
	g->maps[handle] = (struct hv_gnttab_map){ .next = g->free_map };
	g->free_map = handle;
}

/* ---- records by page-table entry ------------------------------------------------------------------ */

static uint32_t *head_of(struct hv_domain_gnttab *g, mfn_t table, unsigned index)
{
	uint64_t key = table.n * HV_PTES + index;

	return &g->by_entry[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static struct hv_gnttab_map *find_entry(struct hv_domain *d, mfn_t table, unsigned index)
{
	struct hv_domain_gnttab *g = &d->gnttab;
	uint32_t i;

	if (!g->by_entry)
		return NULL;
	for (i = *head_of(g, table, index); i != NO_MAP; i = g->maps[i].next) {
		if (hv_mfn_same(g->maps[i].table, table) && g->maps[i].index == index)
			return &g->maps[i];
	}
	return NULL;
}

static void set_entry(struct hv_domain *d, struct hv_gnttab_map *map, mfn_t table, unsigned index)
{
	uint32_t *head = head_of(&d->gnttab, table, index);

	map->has_entry = true;
	map->table = table;
	map->index = (uint16_t)index;
	map->next = *head;
	*head = (uint32_t)(map - d->gnttab.maps);
}

static void clear_entry(struct hv_domain *d, struct hv_gnttab_map *map)
{
	uint32_t *at = head_of(&d->gnttab, map->table, map->index);
	uint32_t handle = (uint32_t)(map - d->gnttab.maps);

	while (*at != handle)
		at = &d->gnttab.maps[*at].next;
	*at = map->next;
	map->next = NO_MAP;
	map->has_entry = false;
}

void hv_gnttab_entry_gone(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn, uint64_t seq)
{
	struct hv_gnttab_map *map = find_entry(d, table, index);

	HV_ASSERT(map && hv_mfn_same(map->mfn, mfn));
	clear_entry(d, map);
	map->seq = hv_max64(map->seq, seq);
}

bool hv_gnttab_entry_known(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn)
{
	const struct hv_gnttab_map *map = find_entry(d, table, index);

	return map && hv_mfn_same(map->mfn, mfn);
}

void *hv_gnttab_entry_ptr(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn)
{
	const struct hv_gnttab_map *map = find_entry(d, table, index);

	/* The peer cannot go away under our lock: it takes its frames back first. */
	if (!map || !hv_mfn_same(map->mfn, mfn))
		return NULL;
	return hv_frame_ptr(map->peer, mfn);
}

/* ---- the page-table entry of a mapping ------------------------------------------------------------ */

static uint64_t make_entry(const struct gnttab_map_grant_ref *op, mfn_t mfn)
{
	uint64_t e = mfn.n << HV_PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX;

	if (!(op->flags & GNTMAP_readonly))
		e |= PTE_W;
	if (op->flags & GNTMAP_application_map)
		e |= PTE_U;
	e |= (uint64_t)(op->flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;
	return hv_entry_adjust(1, e);
}

/* The validated L1 table and index that host_addr names. */
static bool find_place(struct hv_vcpu *v, uint64_t addr, bool contains_pte, mfn_t *table,
                       unsigned *index)
{
	const struct hv_frame *f;

	if (contains_pte) {
		if (addr % sizeof(uint64_t))
			return false;
		table->n = addr >> HV_PAGE_SHIFT;
		*index = (addr & (HV_PAGE_SIZE - 1)) / sizeof(uint64_t);
	} else if (!hv_walk_l1(v->domain, hv_vcpu_root(v), addr, table, index)) {
		return false;
	}
	f = hv_frame_own(v->domain, *table);
	return f && f->type == HV_TYPE_L1 && f->type_count && f->validated;
}

static uint64_t read_entry(struct hv_domain *d, mfn_t table, unsigned index)
{
	return hv_pte_load((const uint64_t *)hv_frame_ptr(d, table) + index);
}

/* Writes the entry and puts what was there; the new one's counts are the caller's. */
static uint64_t put_entry(struct hv_domain *d, mfn_t table, unsigned index, uint64_t now)
{
	uint64_t old = read_entry(d, table, index);
	uint64_t seq = hv_entry_write(d, table, 1, index, old, now);

	hv_entry_put(d, table, 1, index, old, seq);
	return seq;
}

/* ---- counts ----------------------------------------------------------------------------------------- */

static int frame_get(struct hv_domain *owner, mfn_t mfn, bool readonly)
{
	if (readonly)
		return hv_ref_get(owner, mfn);
	return hv_type_get(owner, mfn, HV_TYPE_WRITABLE);
}

static void frame_put(struct hv_domain *owner, mfn_t mfn, bool readonly)
{
	if (readonly)
		hv_ref_put(owner, mfn);
	else
		hv_type_put(owner, mfn);
}

static int held_get(struct hv_domain *owner, struct hv_gnttab_active *act, bool readonly)
{
	int rc = frame_get(owner, act->mfn, readonly);

	if (rc)
		return rc;
	act->held_refs++;
	act->held_types += !readonly;
	return 0;
}

static void held_put(struct hv_domain *owner, struct hv_gnttab_active *act, bool readonly)
{
	HV_ASSERT(act->held_refs > 0 && act->held_types >= !readonly);
	act->held_refs--;
	act->held_types -= !readonly;
	frame_put(owner, act->mfn, readonly);
}

/* ---- rows ------------------------------------------------------------------------------------------- */

/* Marks the row and counts a pin of domain `who`; the record then says which frame. */
static int pin_row(struct hv_domain *owner, grant_ref_t ref, bool readonly, domid_t who,
                   unsigned pins)
{
	struct hv_gnttab_active *act;
	struct grant_entry_v1 *row;
	bool fresh;
	int rc;

	if (!hv_gnttab_row(owner, ref, &row, &act))
		return GNTST_bad_gntref;
	fresh = !hv_gnttab_is_pinned(act);
	if (!fresh &&
	    (act->domid != who || act->readers > UINT16_MAX - 2 || act->writers > UINT16_MAX - 2))
		return GNTST_general_error;
	if (fresh || (!readonly && !act->writers)) {
		rc = hv_gnttab_mark(row, act, readonly, true, who);
		if (rc)
			return rc;
	}
	if (fresh) {
		mfn_t mfn = { __atomic_load_n(&row->frame, __ATOMIC_RELAXED) };
		const struct hv_frame *f = hv_frame_own(owner, mfn);

		if (!f || !f->ref_count) {
			hv_gnttab_unmark(row, act, readonly);
			return GNTST_bad_page;
		}
		act->mfn = mfn;
		act->domid = who;
	}
	if (readonly)
		act->readers += pins;
	else
		act->writers += pins;
	return 0;
}

static void unpin_row(struct hv_domain *owner, grant_ref_t ref, bool readonly, unsigned pins)
{
	struct hv_gnttab_active *act;
	struct grant_entry_v1 *row;

	bool exists = hv_gnttab_row(owner, ref, &row, &act);

	HV_ASSERT(exists && (readonly ? act->readers : act->writers) >= pins);
	if (readonly)
		act->readers -= pins;
	else
		act->writers -= pins;
	hv_gnttab_unmark(row, act, readonly);
}

static struct hv_gnttab_active *active_of(struct hv_domain *owner, grant_ref_t ref)
{
	return &owner->gnttab.active[ref / HV_GNTTAB_PER_FRAME][ref % HV_GNTTAB_PER_FRAME];
}

/* ---- map -------------------------------------------------------------------------------------------- */

/* What a host mapping holds, for the entry (own frames) or for the record. 0 or GNTST_*. */
static int host_get(struct hv_domain *d, struct hv_domain *rd, const struct hv_gnttab_map *map)
{
	const struct hv_engine *engine = d->machine->engine;

	if (map->own)
		return frame_get(d, map->mfn, map->readonly) ? GNTST_general_error : 0;
	if (!engine->foreign_begin || engine->foreign_begin(d, rd))
		return GNTST_general_error;
	if (!held_get(rd, active_of(rd, map->ref), map->readonly))
		return 0;
	engine->foreign_end(d, rd);
	return GNTST_general_error;
}

static void host_put(struct hv_domain *d, struct hv_domain *rd, const struct hv_gnttab_map *map)
{
	held_put(rd, active_of(rd, map->ref), map->readonly);
	d->machine->engine->foreign_end(d, rd);
}

/* The entry for a host mapping. */
static int map_host(struct hv_vcpu *v, const struct gnttab_map_grant_ref *op,
                    struct hv_gnttab_map *map, struct hv_domain *rd)
{
	struct hv_domain *d = v->domain;
	unsigned index;
	mfn_t table;
	int rc = host_get(d, rd, map);

	if (rc)
		return rc;
	if (!find_place(v, op->host_addr, map->contains_pte, &table, &index)) {
		if (map->own)
			frame_put(d, map->mfn, map->readonly);
		else
			host_put(d, rd, map);
		return GNTST_general_error;
	}
	/* The old entry goes first: it may be a mapping that has a record of this very place. */
	put_entry(d, table, index, 0);
	if (!map->own)
		set_entry(d, map, table, index);
	hv_entry_write(d, table, 1, index, 0, make_entry(op, map->mfn));
	map->live |= GNTMAP_host_map;
	return 0;
}

static int map_parts(struct hv_vcpu *v, const struct gnttab_map_grant_ref *op,
                     struct hv_gnttab_map *map, struct hv_domain *rd)
{
	struct hv_gnttab_active *act = active_of(rd, map->ref);
	int rc = 0;

	if (op->flags & GNTMAP_device_map) {
		if (held_get(rd, act, map->readonly))
			return GNTST_general_error;
		map->live |= GNTMAP_device_map;
	}
	if (op->flags & GNTMAP_host_map)
		rc = map_host(v, op, map, rd);
	if (rc && (map->live & GNTMAP_device_map))
		held_put(rd, act, map->readonly);
	return rc;
}

static unsigned pins_of(unsigned flags)
{
	return !!(flags & GNTMAP_host_map) + !!(flags & GNTMAP_device_map);
}

static int map_locked(struct hv_vcpu *v, struct hv_domain *rd, struct gnttab_map_grant_ref *op)
{
	struct hv_domain *d = v->domain;
	uint32_t handle = take_handle(&d->gnttab);
	bool readonly = op->flags & GNTMAP_readonly;
	struct hv_gnttab_map *map;
	int rc;

	if (handle == NO_MAP)
		return GNTST_no_space;
	rc = pin_row(rd, op->ref, readonly, d->domid, pins_of(op->flags));
	if (!rc) {
		map = &d->gnttab.maps[handle];
		map->readonly = readonly;
		map->contains_pte = op->flags & GNTMAP_contains_pte;
		map->own = rd == d;
		map->dom = rd->domid;
		map->ref = op->ref;
		map->peer = rd;
		map->mfn = active_of(rd, op->ref)->mfn;
		rc = map_parts(v, op, map, rd);
		if (rc)
			unpin_row(rd, op->ref, readonly, pins_of(op->flags));
	}
	if (rc) {
		free_handle(&d->gnttab, handle);
		return rc;
	}
	op->handle = handle;
	op->dev_bus_addr = d->gnttab.maps[handle].mfn.n << HV_PAGE_SHIFT;
	return GNTST_okay;
}

static int map_one(struct hv_vcpu *v, struct gnttab_map_grant_ref *op)
{
	struct hv_domain *d = v->domain, *rd;
	int rc;

	if (!(op->flags & BOTH_MAPS))
		return GNTST_bad_gntref;
	rd = hv_domain_get(d->machine, op->dom);
	if (!rd)
		return hv_gnttab_no_owner(op->dom, op->ref);
	hv_domains_lock(d, rd);
	rc = map_locked(v, rd, op);
	hv_domains_unlock(d, rd);
	hv_domain_put(rd);
	return rc;
}

static int copy_in(struct hv_vcpu *v, void *op, size_t size, uint64_t list, uint64_t i,
                   uint64_t *va)
{
	int rc = -XEN_EFAULT;

	hv_domain_lock(v->domain);
	if (hv_array_va(list, i, size, va))
		rc = hv_copy_from_guest(v, op, *va, size);
	hv_domain_unlock(v->domain);
	return rc;
}

static int copy_out(struct hv_vcpu *v, uint64_t va, const void *src, size_t size)
{
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_copy_to_guest(v, va, src, size);
	hv_domain_unlock(v->domain);
	return rc;
}

int64_t hv_gnttab_map_refs(struct hv_vcpu *v, uint64_t list, uint32_t count)
{
	for (uint32_t i = 0; i < count && !atomic_load(&v->domain->ending); i++) {
		struct gnttab_map_grant_ref op;
		uint64_t va = 0;
		int rc = copy_in(v, &op, sizeof(op), list, i, &va);

		if (rc)
			return rc;
		op.status = (int16_t)map_one(v, &op);
		rc = copy_out(v, va, &op, sizeof(op));
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- unmap ------------------------------------------------------------------------------------------ */

struct unmap {
	uint64_t host_addr, dev_bus_addr, new_addr;
	grant_handle_t handle;
};

/* Takes the entry that maps new_addr away from its place (classic unmap_and_replace). */
static bool steal(struct hv_vcpu *v, uint64_t va, uint64_t *entry, struct hv_gnttab_map **foreign)
{
	struct hv_domain *d = v->domain;
	struct hv_frame *f;
	unsigned index;
	uint64_t seq;
	mfn_t table;

	if (!find_place(v, va, false, &table, &index))
		return false;
	*entry = read_entry(d, table, index);
	*foreign = *entry & PTE_P ? find_entry(d, table, index) : NULL;
	seq = hv_entry_write(d, table, 1, index, *entry, 0);
	if (*foreign) {
		clear_entry(d, *foreign);
		(*foreign)->seq = hv_max64((*foreign)->seq, seq);
	} else if (*entry & PTE_P) {
		/* Its counts go on at the new place, the caches of the old one must be remembered. */
		f = hv_frame_own(d, hv_pte_mfn(*entry));
		f->removal_seq = hv_max64(f->removal_seq, seq);
	}
	return true;
}

/* A stolen entry that found no new place: what it held is given back. */
static void drop_stolen(struct hv_domain *d, uint64_t entry, const struct hv_gnttab_map *foreign)
{
	/* A foreign frame's counts stay with the record. */
	if (!foreign && (entry & PTE_P))
		hv_entry_put(d, HV_MFN_NONE, 1, 0, entry, 0);
}

/*
 * The record whose entry this is becomes `map`, when both map the same frame. Returns the record that
 * had it, which may be map itself; NULL: none.
 */
static struct hv_gnttab_map *own_entry(struct hv_domain *d, struct hv_gnttab_map *map, mfn_t table,
                                       unsigned index)
{
	struct hv_gnttab_map *other = find_entry(d, table, index);
	bool had = map->has_entry;
	mfn_t old_table = map->table;
	unsigned old_index = map->index;

	if (!other || other == map)
		return other;
	clear_entry(d, other);
	if (had) {
		clear_entry(d, map);
		set_entry(d, other, old_table, old_index);
	}
	set_entry(d, map, table, index);
	return other;
}

/* Clears (or replaces by `now`) the entry of a host mapping, when it is what the record says. */
static int clear_host(struct hv_vcpu *v, struct hv_gnttab_map *map, uint64_t addr, uint64_t now,
                      struct hv_gnttab_map *now_foreign)
{
	struct hv_domain *d = v->domain;
	struct hv_gnttab_map *had;
	unsigned index;
	uint64_t old;
	mfn_t table;

	if (!find_place(v, addr, map->contains_pte, &table, &index))
		return GNTST_general_error;
	old = read_entry(d, table, index);
	if (!(old & PTE_P) || !hv_mfn_same(hv_pte_mfn(old), map->mfn) ||
	    !(old & PTE_W) != map->readonly)
		return GNTST_general_error;
	if (!map->own) {
		had = own_entry(d, map, table, index);
		if (!had)
			return GNTST_general_error;
		clear_entry(d, map);
		/* The entry that comes here was map's own, of the same frame: they change places. */
		if (now_foreign == map)
			now_foreign = had;
	}
	map->seq = hv_max64(map->seq, hv_entry_write(d, table, 1, index, old, now));
	if (map->own)
		hv_entry_put(d, table, 1, index, old, map->seq);
	if (now_foreign)
		set_entry(d, now_foreign, table, index);
	return 0;
}

static int unmap_host(struct hv_vcpu *v, struct hv_gnttab_map *map, const struct unmap *op)
{
	struct hv_gnttab_map *foreign = NULL;
	uint64_t entry = 0;
	int rc;

	if (op->new_addr && (map->contains_pte || !steal(v, op->new_addr, &entry, &foreign)))
		return GNTST_general_error;
	rc = clear_host(v, map, op->host_addr, entry, foreign);
	if (rc)
		drop_stolen(v->domain, entry, foreign);
	return rc;
}

/* Step 2 of a mapping's life, with the mapping domain's lock. */
static int unmap_entry(struct hv_vcpu *v, const struct unmap *op)
{
	struct hv_domain_gnttab *g = &v->domain->gnttab;
	struct hv_gnttab_map *map;
	int rc;

	if (op->handle >= g->nr_maps)
		return GNTST_bad_handle;
	map = &g->maps[op->handle];
	if (!map->in_use || !(map->live || map->revoked))
		return GNTST_bad_handle;
	if (map->revoked)
		return GNTST_okay;
	if (op->dev_bus_addr && (map->live & GNTMAP_device_map) &&
	    op->dev_bus_addr != map->mfn.n << HV_PAGE_SHIFT)
		return GNTST_bad_dev_addr;
	if (op->host_addr && (map->live & GNTMAP_host_map)) {
		rc = unmap_host(v, map, op);
		if (rc)
			return rc;
		map->live &= (uint8_t)~GNTMAP_host_map;
		map->pending |= GNTMAP_host_map;
	}
	if (op->dev_bus_addr && (map->live & GNTMAP_device_map)) {
		map->live &= (uint8_t)~GNTMAP_device_map;
		map->pending |= GNTMAP_device_map;
	}
	return GNTST_okay;
}

/* Step 3, with both locks: counts and pins of what is pending. */
static void give_back(struct hv_domain *d, struct hv_domain *rd, struct hv_gnttab_map *map)
{
	struct hv_gnttab_active *act = active_of(rd, map->ref);

	hv_retire_seq(d, map->seq);
	if (map->pending & GNTMAP_device_map)
		held_put(rd, act, map->readonly);
	if ((map->pending & GNTMAP_host_map) && !map->own)
		host_put(d, rd, map);
	unpin_row(rd, map->ref, map->readonly, pins_of(map->pending));
	map->pending = 0;
}

static void finish_locked(struct hv_domain *d, struct hv_domain *rd, uint32_t handle)
{
	struct hv_gnttab_map *map = &d->gnttab.maps[handle];

	if (!map->in_use)
		return;
	/*
	 * Between the steps the handle may have passed to another mapping, and the number of a peer
	 * that is on its way out to a new domain; the old one then takes care of the record itself.
	 */
	if (rd && map->peer == rd && map->pending)
		give_back(d, rd, map);
	if (!map->live && !map->pending)
		free_handle(&d->gnttab, handle);
}

static void finish_unmap(struct hv_domain *d, uint32_t handle, domid_t dom)
{
	struct hv_domain *rd = hv_domain_get(d->machine, dom);

	hv_domains_lock(d, rd ? rd : d);
	finish_locked(d, rd, handle);
	hv_domains_unlock(d, rd ? rd : d);
	if (rd)
		hv_domain_put(rd);
}

static int read_unmap(struct hv_vcpu *v, uint64_t list, uint64_t i, bool replace, struct unmap *op,
                      uint64_t *status_va)
{
	struct gnttab_unmap_and_replace r;
	struct gnttab_unmap_grant_ref u;
	uint64_t va = 0;
	int rc;

	if (replace) {
		rc = copy_in(v, &r, sizeof(r), list, i, &va);
		*op = (struct unmap){ .host_addr = r.host_addr,
			              .new_addr = r.new_addr,
			              .handle = r.handle };
		*status_va = va + offsetof(struct gnttab_unmap_and_replace, status);
	} else {
		rc = copy_in(v, &u, sizeof(u), list, i, &va);
		*op = (struct unmap){ .host_addr = u.host_addr,
			              .dev_bus_addr = u.dev_bus_addr,
			              .handle = u.handle };
		*status_va = va + offsetof(struct gnttab_unmap_grant_ref, status);
	}
	return rc;
}

struct unmapped {
	uint32_t handle;
	domid_t dom;
};

/* One element up to step 2; *done tells whether step 3 is due. */
static int unmap_one(struct hv_vcpu *v, uint64_t list, uint64_t i, bool replace,
                     struct unmapped *out, bool *done)
{
	uint64_t status_va;
	struct unmap op;
	int16_t status;
	int rc = read_unmap(v, list, i, replace, &op, &status_va);

	*done = false;
	if (rc)
		return rc;
	hv_domain_lock(v->domain);
	status = (int16_t)unmap_entry(v, &op);
	if (status == GNTST_okay) {
		out->handle = op.handle;
		out->dom = v->domain->gnttab.maps[op.handle].dom;
		*done = true;
	}
	rc = hv_copy_to_guest(v, status_va, &status, sizeof(status));
	hv_domain_unlock(v->domain);
	return rc;
}

int64_t hv_gnttab_unmap_refs(struct hv_vcpu *v, uint64_t list, uint32_t count, bool replace)
{
	struct unmapped todo[UNMAP_BATCH];
	int rc = 0;

	for (uint64_t i = 0; i < count && !rc && !atomic_load(&v->domain->ending);) {
		unsigned n = 0;

		/* In batches: one wait for the caches then serves all of them. */
		for (unsigned k = 0; k < UNMAP_BATCH && i < count && !rc; k++, i++) {
			bool done;

			rc = unmap_one(v, list, i, replace, &todo[n], &done);
			n += done;
		}
		for (unsigned k = 0; k < n; k++)
			finish_unmap(v->domain, todo[k].handle, todo[k].dom);
	}
	return rc;
}

/* ---- back-ends in this process ---------------------------------------------------------------------- */

int hv_gnttab_host_map(struct hv_domain *d, grant_ref_t ref, bool readonly,
                       hv_gnttab_host_map_t *out)
{
	int rc;

	hv_domain_lock(d);
	rc = pin_row(d, ref, readonly, 0, 1);
	if (!rc && held_get(d, active_of(d, ref), readonly)) {
		unpin_row(d, ref, readonly, 1);
		rc = GNTST_general_error;
	}
	if (!rc) {
		out->ref = ref;
		out->readonly = readonly;
		out->mfn = active_of(d, ref)->mfn;
		out->ptr = hv_frame_ptr(d, out->mfn);
		d->gnttab.nr_host_maps++;
	}
	hv_domain_unlock(d);
	return rc;
}

void hv_gnttab_host_unmap(struct hv_domain *d, hv_gnttab_host_map_t *map)
{
	if (!map->ptr)
		return;
	hv_domain_lock(d);
	held_put(d, active_of(d, map->ref), map->readonly);
	unpin_row(d, map->ref, map->readonly, 1);
	d->gnttab.nr_host_maps--;
	hv_domain_unlock(d);
	map->ptr = NULL;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

/* Ends a mapping by force, with both locks: its entry, if any, becomes empty. */
static void revoke(struct hv_domain *d, struct hv_domain *rd, struct hv_gnttab_map *map)
{
	if (map->has_entry) {
		mfn_t table = map->table;
		unsigned index = map->index;
		uint64_t old = read_entry(d, table, index);

		clear_entry(d, map);
		map->seq = hv_max64(map->seq, hv_entry_write(d, table, 1, index, old, 0));
	}
	map->pending |= map->live;
	map->live = 0;
	if (map->pending)
		give_back(d, rd, map);
	map->revoked = true;
	map->peer = NULL;
}

static void revoke_between(struct hv_domain *mapper, struct hv_domain *granter)
{
	hv_domains_lock(mapper, granter);
	for (unsigned i = 0; i < mapper->gnttab.nr_maps; i++) {
		struct hv_gnttab_map *map = &mapper->gnttab.maps[i];

		if (map->in_use && !map->revoked && map->peer == granter)
			revoke(mapper, granter, map);
	}
	hv_domains_unlock(mapper, granter);
}

void hv_gnttab_drop_maps(struct hv_domain *d)
{
	struct hv_machine *m = d->machine;

	revoke_between(d, d);
	for (domid_t i = 1; i < HV_MAX_DOMAINS; i++) {
		struct hv_domain *other = hv_domain_get(m, i);

		if (!other)
			continue;
		if (other != d) {
			revoke_between(d, other);
			revoke_between(other, d);
		}
		hv_domain_put(other);
	}
}
