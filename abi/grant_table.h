/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1: grant_table_op(cmd, list, count).
 *
 * A domain's table is an array of struct grant_entry_v1, shared with the hypervisor; the index of a
 * row is its reference. The guest grants by filling a row; others map or copy by reference.
 *
 * The order of stores is the protocol. To grant:
 *   1. frame and domid, while flags is GTF_invalid
 *   2. a store barrier
 *   3. flags: GTF_permit_access, GTF_readonly if wanted
 * To revoke:
 *   1. read flags; if GTF_reading or GTF_writing is set the frame is in use: come again later
 *   2. compare-and-exchange of the whole flags word with GTF_invalid; if it fails, again from 1
 * The hypervisor sets GTF_reading and GTF_writing by compare-and-exchange of the same word, so
 * either the revocation or the use wins.
 *
 * Each element of a list has a status of its own (GNTST_*); the call returns 0 when all of the list
 * was processed, whatever the statuses are. Version 2 of the table is not supported.
 */
#ifndef ABI_GRANT_TABLE_H
#define ABI_GRANT_TABLE_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

/* References that the domain builder fills; a guest takes its own from 8 on. */
#define GNTTAB_NR_RESERVED_ENTRIES 8
#define GNTTAB_RESERVED_CONSOLE    0
#define GNTTAB_RESERVED_XENSTORE   1

/* grant_entry_v1.flags: the type, written by the guest ... */
#define GTF_invalid         (xen_mk_uint(0) << 0)
#define GTF_permit_access   (xen_mk_uint(1) << 0) /* domid may map or copy */
#define GTF_accept_transfer (xen_mk_uint(2) << 0) /* domid may give a frame: not supported */
#define GTF_transitive      (xen_mk_uint(3) << 0) /* version 2 only: not supported */
#define GTF_type_mask       (xen_mk_uint(3) << 0)
/* ... limits on the access, written by the guest ... */
#define _GTF_readonly 2
#define GTF_readonly  (xen_mk_uint(1) << _GTF_readonly)
#define _GTF_PWT      5
#define GTF_PWT       (xen_mk_uint(1) << _GTF_PWT)
#define _GTF_PCD      6
#define GTF_PCD       (xen_mk_uint(1) << _GTF_PCD)
#define _GTF_PAT      7
#define GTF_PAT       (xen_mk_uint(1) << _GTF_PAT)
#define _GTF_sub_page 8
#define GTF_sub_page  (xen_mk_uint(1) << _GTF_sub_page) /* version 2 only: not supported */
/* ... and what is being done with it, written by the hypervisor. */
#define _GTF_reading 3
#define GTF_reading  (xen_mk_uint(1) << _GTF_reading)
#define _GTF_writing 4
#define GTF_writing  (xen_mk_uint(1) << _GTF_writing)
/* The same bits when the type is GTF_accept_transfer. */
#define _GTF_transfer_committed    2
#define GTF_transfer_committed     (xen_mk_uint(1) << _GTF_transfer_committed)
#define _GTF_transfer_completed    3
#define GTF_transfer_completed     (xen_mk_uint(1) << _GTF_transfer_completed)

#define GNTTABOP_map_grant_ref     0  /* struct gnttab_map_grant_ref */
#define GNTTABOP_unmap_grant_ref   1  /* struct gnttab_unmap_grant_ref */
#define GNTTABOP_setup_table       2  /* struct gnttab_setup_table */
#define GNTTABOP_dump_table        3  /* struct gnttab_dump_table */
#define GNTTABOP_transfer          4  /* struct gnttab_transfer: refused, per element */
#define GNTTABOP_copy              5  /* struct gnttab_copy */
#define GNTTABOP_query_size        6  /* struct gnttab_query_size */
#define GNTTABOP_unmap_and_replace 7  /* struct gnttab_unmap_and_replace */
#define GNTTABOP_set_version       8  /* struct gnttab_set_version: 1 is accepted */
#define GNTTABOP_get_status_frames 9  /* version 2 only */
#define GNTTABOP_get_version       10 /* struct gnttab_get_version: answers 1 */
#define GNTTABOP_swap_grant_ref    11 /* struct gnttab_swap_grant_ref */
#define GNTTABOP_cache_flush       12 /* struct gnttab_cache_flush: nothing to do here */

/* gnttab_copy.flags: this side is a grant reference, not a frame of the caller. */
#define _GNTCOPY_source_gref 0
#define GNTCOPY_source_gref  (1 << _GNTCOPY_source_gref)
#define _GNTCOPY_dest_gref   1
#define GNTCOPY_dest_gref    (1 << _GNTCOPY_dest_gref)

/* gnttab_cache_flush.op */
#define GNTTAB_CACHE_CLEAN       (xen_mk_uint(1) << 0)
#define GNTTAB_CACHE_INVAL       (xen_mk_uint(1) << 1)
#define GNTTAB_CACHE_SOURCE_GREF (xen_mk_uint(1) << 31) /* a.ref, not a.dev_bus_addr */

/* gnttab_map_grant_ref.flags */
#define _GNTMAP_device_map      0 /* for devices: accepted, dev_bus_addr is the machine address */
#define GNTMAP_device_map       (1 << _GNTMAP_device_map)
#define _GNTMAP_host_map        1 /* for the processor */
#define GNTMAP_host_map         (1 << _GNTMAP_host_map)
#define _GNTMAP_readonly        2
#define GNTMAP_readonly         (1 << _GNTMAP_readonly)
#define _GNTMAP_application_map 3 /* user mode may use the mapping */
#define GNTMAP_application_map  (1 << _GNTMAP_application_map)
#define _GNTMAP_contains_pte    4 /* host_addr is the machine address of a page-table entry */
#define GNTMAP_contains_pte     (1 << _GNTMAP_contains_pte)
#define _GNTMAP_guest_avail0    16 /* these bits go to the entry's bits free for software */

#define GNTST_okay              0
#define GNTST_general_error     (-1) /* anything else; a row that does not grant this */
#define GNTST_bad_domain        (-2) /* no such domain */
#define GNTST_bad_gntref        (-3) /* reference beyond the table */
#define GNTST_bad_handle        (-4) /* not a mapping of the caller's */
#define GNTST_bad_virt_addr     (-5) /* the list of frames cannot be written */
#define GNTST_bad_dev_addr      (-6)
#define GNTST_no_device_space   (-7)
#define GNTST_permission_denied (-8)  /* another domain's table or frame */
#define GNTST_bad_page          (-9)  /* the frame cannot be used so */
#define GNTST_bad_copy_arg      (-10) /* a copy that leaves its page */
#define GNTST_address_too_big   (-11)
#define GNTST_eagain            (-12) /* not done now; ask again */
#define GNTST_no_space          (-13) /* out of handles */

#ifndef __ASSEMBLY__

#define GNTMAP_guest_avail_mask ((uint32_t)~0 << _GNTMAP_guest_avail0)

typedef uint32_t grant_ref_t;
typedef uint32_t grant_handle_t; /* names a mapping, in the domain that made it */

/* A row of the table. */
struct grant_entry_v1 {
	uint16_t flags; /* GTF_*: both sides, by whole-word compare-and-exchange once valid */
	domid_t domid;  /* guest: who may */
	uint32_t frame; /* guest: the machine frame */
};
typedef struct grant_entry_v1 grant_entry_v1_t;

/*
 * Map a granted frame. host_addr: a virtual address whose page-table entry is replaced, or with
 * GNTMAP_contains_pte the machine address of an entry of an L1 table of the caller.
 */
struct gnttab_map_grant_ref {
	uint64_t host_addr;    /* in */
	uint32_t flags;        /* in: GNTMAP_* */
	grant_ref_t ref;       /* in */
	domid_t dom;           /* in: who granted */
	int16_t status;        /* out: GNTST_* */
	grant_handle_t handle; /* out */
	uint64_t dev_bus_addr; /* out: machine address of the frame */
};
typedef struct gnttab_map_grant_ref gnttab_map_grant_ref_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_map_grant_ref_t);

/* Undo a mapping: of the processor where host_addr is not 0, of devices where dev_bus_addr is not. */
struct gnttab_unmap_grant_ref {
	uint64_t host_addr;    /* in: as it was mapped */
	uint64_t dev_bus_addr; /* in */
	grant_handle_t handle; /* in */
	int16_t status;        /* out: GNTST_* */
};
typedef struct gnttab_unmap_grant_ref gnttab_unmap_grant_ref_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_unmap_grant_ref_t);

/* Have a table of at least nr_frames pages; their machine frames go to frame_list. It only grows. */
struct gnttab_setup_table {
	domid_t dom;                            /* in: DOMID_SELF */
	uint32_t nr_frames;                     /* in */
	int16_t status;                         /* out: GNTST_* */
	XEN_GUEST_HANDLE(xen_pfn_t) frame_list; /* in: nr_frames numbers are written there */
};
typedef struct gnttab_setup_table gnttab_setup_table_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_setup_table_t);

/* Print the table in the hypervisor's log. */
struct gnttab_dump_table {
	domid_t dom;    /* in */
	int16_t status; /* out: GNTST_* */
};
typedef struct gnttab_dump_table gnttab_dump_table_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_dump_table_t);

/* Give a frame away into another domain's GTF_accept_transfer row. */
struct gnttab_transfer {
	xen_pfn_t mfn;   /* in */
	domid_t domid;   /* in */
	grant_ref_t ref; /* in */
	int16_t status;  /* out: GNTST_* */
};
typedef struct gnttab_transfer gnttab_transfer_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_transfer_t);

/* One side of a copy: a reference of domid's table, or a frame of the caller with DOMID_SELF. */
struct gnttab_copy_ptr {
	union {
		grant_ref_t ref;
		xen_pfn_t gmfn;
	} u;
	domid_t domid;
	uint16_t offset; /* bytes from the start of the page */
};

/* Copy len bytes. Neither side may cross the end of its page. */
struct gnttab_copy {
	struct gnttab_copy_ptr source; /* in */
	struct gnttab_copy_ptr dest;   /* in */
	uint16_t len;                  /* in */
	uint16_t flags;                /* in: GNTCOPY_* */
	int16_t status;                /* out: GNTST_* */
};
typedef struct gnttab_copy gnttab_copy_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_copy_t);

/* How long the table is and may become, in pages. */
struct gnttab_query_size {
	domid_t dom;            /* in */
	uint32_t nr_frames;     /* out */
	uint32_t max_nr_frames; /* out */
	int16_t status;         /* out: GNTST_* */
};
typedef struct gnttab_query_size gnttab_query_size_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_query_size_t);

/* Unmap, and put the entry that maps new_addr in the place; new_addr is left unmapped. */
struct gnttab_unmap_and_replace {
	uint64_t host_addr;    /* in */
	uint64_t new_addr;     /* in */
	grant_handle_t handle; /* in */
	int16_t status;        /* out: GNTST_* */
};
typedef struct gnttab_unmap_and_replace gnttab_unmap_and_replace_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_unmap_and_replace_t);

/* Ask for a version of the table. */
struct gnttab_set_version {
	uint32_t version; /* in: what is wanted; out: what is in force */
};
typedef struct gnttab_set_version gnttab_set_version_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_set_version_t);

struct gnttab_get_version {
	domid_t dom; /* in */
	uint16_t pad;
	uint32_t version; /* out */
};
typedef struct gnttab_get_version gnttab_get_version_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_get_version_t);

/* Exchange the contents of two rows that nobody uses. */
struct gnttab_swap_grant_ref {
	grant_ref_t ref_a; /* in */
	grant_ref_t ref_b; /* in */
	int16_t status;    /* out: GNTST_* */
};
typedef struct gnttab_swap_grant_ref gnttab_swap_grant_ref_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_swap_grant_ref_t);

/* Make caches agree about a part of a frame that devices use. Memory is coherent on this machine. */
struct gnttab_cache_flush {
	union {
		uint64_t dev_bus_addr;
		grant_ref_t ref;
	} a;             /* in */
	uint16_t offset; /* in: bytes */
	uint16_t length; /* in: bytes */
	uint32_t op;     /* in: GNTTAB_CACHE_* */
};
typedef struct gnttab_cache_flush gnttab_cache_flush_t;
DEFINE_XEN_GUEST_HANDLE(gnttab_cache_flush_t);

PV_ABI_SIZE(struct grant_entry_v1, 8);
PV_ABI_FIELD(struct grant_entry_v1, domid, 2);
PV_ABI_FIELD(struct grant_entry_v1, frame, 4);
PV_ABI_SIZE(struct gnttab_map_grant_ref, 32);
PV_ABI_FIELD(struct gnttab_map_grant_ref, flags, 8);
PV_ABI_FIELD(struct gnttab_map_grant_ref, ref, 12);
PV_ABI_FIELD(struct gnttab_map_grant_ref, dom, 16);
PV_ABI_FIELD(struct gnttab_map_grant_ref, status, 18);
PV_ABI_FIELD(struct gnttab_map_grant_ref, handle, 20);
PV_ABI_FIELD(struct gnttab_map_grant_ref, dev_bus_addr, 24);
PV_ABI_SIZE(struct gnttab_unmap_grant_ref, 24);
PV_ABI_FIELD(struct gnttab_unmap_grant_ref, dev_bus_addr, 8);
PV_ABI_FIELD(struct gnttab_unmap_grant_ref, handle, 16);
PV_ABI_FIELD(struct gnttab_unmap_grant_ref, status, 20);
PV_ABI_SIZE(struct gnttab_setup_table, 24);
PV_ABI_FIELD(struct gnttab_setup_table, nr_frames, 4);
PV_ABI_FIELD(struct gnttab_setup_table, status, 8);
PV_ABI_FIELD(struct gnttab_setup_table, frame_list, 16);
PV_ABI_SIZE(struct gnttab_dump_table, 4);
PV_ABI_FIELD(struct gnttab_dump_table, status, 2);
PV_ABI_SIZE(struct gnttab_transfer, 24);
PV_ABI_FIELD(struct gnttab_transfer, domid, 8);
PV_ABI_FIELD(struct gnttab_transfer, ref, 12);
PV_ABI_FIELD(struct gnttab_transfer, status, 16);
PV_ABI_SIZE(struct gnttab_copy_ptr, 16);
PV_ABI_FIELD(struct gnttab_copy_ptr, domid, 8);
PV_ABI_FIELD(struct gnttab_copy_ptr, offset, 10);
PV_ABI_SIZE(struct gnttab_copy, 40);
PV_ABI_FIELD(struct gnttab_copy, dest, 16);
PV_ABI_FIELD(struct gnttab_copy, len, 32);
PV_ABI_FIELD(struct gnttab_copy, flags, 34);
PV_ABI_FIELD(struct gnttab_copy, status, 36);
PV_ABI_SIZE(struct gnttab_query_size, 16);
PV_ABI_FIELD(struct gnttab_query_size, nr_frames, 4);
PV_ABI_FIELD(struct gnttab_query_size, max_nr_frames, 8);
PV_ABI_FIELD(struct gnttab_query_size, status, 12);
PV_ABI_SIZE(struct gnttab_unmap_and_replace, 24);
PV_ABI_FIELD(struct gnttab_unmap_and_replace, new_addr, 8);
PV_ABI_FIELD(struct gnttab_unmap_and_replace, handle, 16);
PV_ABI_FIELD(struct gnttab_unmap_and_replace, status, 20);
PV_ABI_SIZE(struct gnttab_set_version, 4);
PV_ABI_SIZE(struct gnttab_get_version, 8);
PV_ABI_FIELD(struct gnttab_get_version, pad, 2);
PV_ABI_FIELD(struct gnttab_get_version, version, 4);
PV_ABI_SIZE(struct gnttab_cache_flush, 16);
PV_ABI_FIELD(struct gnttab_cache_flush, offset, 8);
PV_ABI_FIELD(struct gnttab_cache_flush, length, 10);
PV_ABI_FIELD(struct gnttab_cache_flush, op, 12);
PV_ABI_SIZE(struct gnttab_swap_grant_ref, 12);
PV_ABI_FIELD(struct gnttab_swap_grant_ref, ref_b, 4);
PV_ABI_FIELD(struct gnttab_swap_grant_ref, status, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_GRANT_TABLE_H */
