/* SPDX-License-Identifier: MIT */
/*
 * Inside the grant tables: records of use, shared by gnttab.c, gnttab_map.c and gnttab_copy.c.
 */
#ifndef HYPERVISOR_STUB_CORE_GNTTAB_PRIV_H
#define HYPERVISOR_STUB_CORE_GNTTAB_PRIV_H

#include "hypervisor-stub/core/gnttab.h"
#include "hypervisor-stub/core/hv.h"

/* Who uses a row of a domain's table now. Lock: the domain that granted. */
struct hv_gnttab_active {
	mfn_t mfn;        /* while there is a pin */
	domid_t domid;    /* who pinned it */
	uint16_t readers; /* mappings that only read */
	uint16_t writers;
	uint32_t held_refs, held_types; /* on the frame, on behalf of others */
};

#define HV_GNTTAB_NO_MAP UINT32_MAX

/*
 * A mapping, by handle. Lock: the domain that mapped. A foreign frame's counts are held by this
 * record, not by the page-table entry, so that losing the entry needs nobody else's lock; a mapping
 * of one's own frame is counted like any entry.
 */
struct hv_gnttab_map {
	uint8_t live;    /* GNTMAP_host_map, GNTMAP_device_map: which mappings exist */
	uint8_t pending; /* those that are unmapped, with the counts not yet given back */
	bool readonly;
	bool contains_pte;
	bool own;     /* the frame is the mapping domain's own */
	bool revoked; /* the granting domain is gone: nothing is held any more */
	bool in_use;  /* the handle */
	bool has_entry;
	uint16_t index; /* the entry, when has_entry: in this table */
	domid_t dom;
	grant_ref_t ref;
	mfn_t mfn;
	mfn_t table;
	struct hv_domain *peer; /* who granted; valid until revoked */
	uint64_t seq;           /* engine sequence of the loss of the entry */
	uint32_t next;          /* free list, or hash chain by entry */
};

static inline bool hv_gnttab_is_pinned(const struct hv_gnttab_active *act)
{
	return act->readers || act->writers;
}

/*
 * The status where an owner that is not there is named. Domain 0 is the hypervisor's own process: it
 * has a table in which nothing is granted to anybody.
 */
static inline int hv_gnttab_no_owner(domid_t dom, grant_ref_t ref)
{
	if (dom)
		return GNTST_bad_domain;
	return ref < HV_GNTTAB_MAX_FRAMES * (HV_PAGE_SIZE / sizeof(struct grant_entry_v1))
	               ? GNTST_general_error
	               : GNTST_bad_gntref;
}

/* The row and its record, or false when there is no such row. */
bool hv_gnttab_row(struct hv_domain *d, grant_ref_t ref, struct grant_entry_v1 **row,
                   struct hv_gnttab_active **act);
/*
 * Marks a row as being read (or written) by domain `who`, as Xen's _set_status_v1(): for a row that
 * is not in use yet its type and domain are checked. 0 or GNTST_general_error.
 */
int hv_gnttab_mark(struct grant_entry_v1 *row, const struct hv_gnttab_active *act, bool readonly,
                   bool map, domid_t who);
/* Takes back marks that no pin needs. */
void hv_gnttab_unmark(struct grant_entry_v1 *row, const struct hv_gnttab_active *act,
                      bool readonly);
/* Room for nr_frames pages of table. Lock: d. 0 or -XEN_ENOMEM. */
int hv_gnttab_grow(struct hv_domain *d, unsigned nr_frames);

/* gnttab_map.c, gnttab_copy.c: the operations, one element each; no lock held. */
int64_t hv_gnttab_map_refs(struct hv_vcpu *v, uint64_t list, uint32_t count);
int64_t hv_gnttab_unmap_refs(struct hv_vcpu *v, uint64_t list, uint32_t count, bool replace);
int64_t hv_gnttab_copies(struct hv_vcpu *v, uint64_t list, uint32_t count);
/* The dying domain gives up what it mapped, and takes its frames away from others. No lock held. */
void hv_gnttab_drop_maps(struct hv_domain *d);

#endif
