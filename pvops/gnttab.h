/* SPDX-License-Identifier: MIT */
/*
 * Grants: leave for a peer domain to map or copy one frame of ours, and mapping what a peer granted
 * to us.
 */
#ifndef PVOPS_GNTTAB_H
#define PVOPS_GNTTAB_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/grant_table.h"

enum pv_grant_access { PV_GRANT_RW, PV_GRANT_RO };

/*
 * pv_gnttab_grant - let one peer domain use one frame of ours
 *
 * peer:    domain that may use it
 * frame:   machine frame number (4 KiB units), not an address
 * access:  PV_GRANT_RO or PV_GRANT_RW
 * ref:     out: reference to send to the peer; unchanged on failure
 *
 * Context: any; never sleeps. Makes hypercalls and takes pages only when the table has to grow.
 * Returns  0; -XEN_EINVAL for a peer that is no ordinary domain and not DOMID_SELF, or a frame that
 *          version 1 cannot name; -XEN_ENOSPC when the table is full and cannot grow.
 * Undo:    pv_gnttab_revoke(), which may answer -XEN_EBUSY while the peer still maps the frame.
 * Source:  Xen public/grant_table.h (order of stores); Intel SDM vol. 3, "Memory Ordering".
 */
int pv_gnttab_grant(domid_t peer, uint64_t frame, enum pv_grant_access access, grant_ref_t *ref);

/*
 * pv_gnttab_revoke - take a grant back and free its reference
 *
 * Returns 0; -XEN_EBUSY while the peer has the frame mapped or is copying; -XEN_EINVAL for a
 * reference that was not granted by pv_gnttab_grant().
 */
int pv_gnttab_revoke(grant_ref_t ref);

/* Has the peer mapped the frame, or is it copying right now? */
bool pv_gnttab_in_use(grant_ref_t ref);

/*
 * How many references are in somebody's hands, and how many of them grant a frame now: for looking
 * whether something was forgotten. Reads the whole table. Context: any.
 */
void pv_gnttab_count(unsigned int *taken, unsigned int *granting);

/*
 * For a driver that grants and takes back in its innermost loop: references of its own, which it
 * keeps while they grant nothing, so that neither step takes a lock.
 *
 * take:  a reference that grants nothing; 0 or -XEN_ENOSPC. Undo: give().
 * set:   it grants a frame now. peer and frame are the caller's to check, as above.
 * clear: it grants nothing any more; false when the peer still uses it, and nothing has changed.
 * give:  back to all; it grants nothing.
 * Context: any. Each reference is in the hands of one caller at a time.
 */
int pv_gnttab_take(grant_ref_t *ref);
void pv_gnttab_set(grant_ref_t ref, domid_t peer, uint64_t frame, enum pv_grant_access access);
bool pv_gnttab_clear(grant_ref_t ref);
void pv_gnttab_give(grant_ref_t ref);

/* A peer's frame in our window. */
struct pv_gnttab_mapping {
	void *va;
	grant_handle_t handle;
};

/*
 * pv_gnttab_map - map a frame that a peer granted
 *
 * va:   page aligned, in the window (pv_mmu_window()); must not map anything
 * map:  out: what pv_gnttab_unmap() takes; unchanged on failure
 *
 * Returns 0, -XEN_EIO with *status (which may be NULL) at the hypervisor's GNTST_*, or the errno of
 * the call as a whole.
 */
int pv_gnttab_map(domid_t peer, grant_ref_t ref, enum pv_grant_access access, void *va,
                  struct pv_gnttab_mapping *map, int16_t *status);
int pv_gnttab_unmap(const struct pv_gnttab_mapping *map);

#endif /* PVOPS_GNTTAB_H */
