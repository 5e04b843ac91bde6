/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1: a domain's leave for another to use one of its frames.
 *
 * Each row of the table in guest memory has a record here of who uses it now (an active entry); a
 * domain that maps others' frames has a record of each mapping, by handle. Back-ends in this
 * process are domain 0 and use the hv_gnttab_host_*() functions.
 *
 * Locks: rows and active entries belong to the granting domain's lock, mappings to the lock of the
 * domain that mapped; a call that needs both takes both (hv_domains_lock()).
 */
#ifndef HYPERVISOR_STUB_CORE_GNTTAB_H
#define HYPERVISOR_STUB_CORE_GNTTAB_H

#include "abi/grant_table.h"
#include "hypervisor-stub/core/types.h"

#define HV_GNTTAB_MAX_FRAMES 64
#define HV_GNTTAB_PER_FRAME  512u   /* rows in a page of the table */
#define HV_GNTTAB_MAX_MAPS   65536u /* mappings that one domain may have */

struct hv_gnttab_active; /* gnttab_priv.h: who uses a row */
struct hv_gnttab_map;    /* gnttab_priv.h: one live mapping of a foreign grant */

struct hv_domain_gnttab {
	unsigned nr_frames;
	mfn_t frame[HV_GNTTAB_MAX_FRAMES];
	struct grant_entry_v1 *shared[HV_GNTTAB_MAX_FRAMES];   /* our view */
	struct hv_gnttab_active *active[HV_GNTTAB_MAX_FRAMES]; /* rows of the same page */
	struct hv_gnttab_map *maps;                            /* [nr_maps], by handle */
	unsigned nr_maps;                                      /* handles ever used */
	unsigned free_map;                                     /* first free handle; ~0: none */
	uint32_t *by_entry;    /* hash heads: handle of a mapping by its page-table entry */
	unsigned nr_host_maps; /* by back-ends in this process */
};

/* A table of one page. 0 or negative errno. */
int hv_gnttab_domain_init(struct hv_domain *d);
/*
 * The domain dies: takes its frames away from domains that mapped them, gives back what it mapped
 * itself. Its vCPUs are gone, it is no longer in the machine's list, nobody holds a reference to it
 * (hv_domain_get()), back-ends have unmapped all, and the engine still answers. No lock held. Call
 * before hv_mmu_domain_teardown().
 */
void hv_gnttab_domain_fini(struct hv_domain *d);
int64_t hv_do_grant_table_op(struct hv_vcpu *v, const uint64_t *a); /* HV_HC_UNLOCKED */

/* ---- for the toolstack and back-ends in this process (domain 0); no lock held ------------------ */

/* Fills one of the reserved rows at start: leave for domain 0 to write this frame. 0 or -XEN_E*. */
int hv_gnttab_seed(struct hv_domain *d, grant_ref_t ref, mfn_t mfn);

typedef struct {
	grant_ref_t ref;
	mfn_t mfn;
	bool readonly;
	void *ptr; /* the page, until unmapped; NULL: not mapped */
} hv_gnttab_host_map_t;

/*
 * hv_gnttab_host_map - a back-end maps a page that the guest granted to domain 0
 * Returns 0, or a GNTST_* status (negative) with *out unchanged. The page may change under the
 * back-end's hands at any time; it stays mapped, whatever the guest does, until it is unmapped.
 */
int hv_gnttab_host_map(struct hv_domain *d, grant_ref_t ref, bool readonly,
                       hv_gnttab_host_map_t *out);
void hv_gnttab_host_unmap(struct hv_domain *d, hv_gnttab_host_map_t *map);
/*
 * hv_gnttab_host_copy - copies between host memory and a granted page, which is not mapped
 * to_guest: writes the page (the grant must allow it). offset + len stay inside the page.
 * Returns 0 or a GNTST_* status.
 */
int hv_gnttab_host_copy(struct hv_domain *d, grant_ref_t ref, unsigned offset, void *buf,
                        unsigned len, bool to_guest);

/* ---- for the rest of the memory half; lock: d -------------------------------------------------- */

/* An L1 entry of d that held another domain's frame is gone; the change had this number. */
void hv_gnttab_entry_gone(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn,
                          uint64_t seq);
/* Our view of the foreign frame that this entry of d maps by a live grant, or NULL. */
void *hv_gnttab_entry_ptr(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn);
/* For the audit: what grants hold on frames of d for others. */
typedef void hv_gnttab_held_fn(void *arg, mfn_t mfn, uint32_t refs, uint32_t types);
void hv_gnttab_each_held(struct hv_domain *d, hv_gnttab_held_fn *fn, void *arg);
/* For the audit: whether a live record of d names this entry and this frame. */
bool hv_gnttab_entry_known(struct hv_domain *d, mfn_t table, unsigned index, mfn_t mfn);

#endif
