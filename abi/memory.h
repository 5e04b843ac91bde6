/* SPDX-License-Identifier: MIT */
/*
 * A domain's memory: memory_op(cmd, arg).
 *
 * An extent is 2^extent_order contiguous frames. Calls that work a list return the number of extents
 * done, which is short of nr_extents when one could not be; the list is worked in order.
 *
 * Invariant: a domain never has more frames than its maximum reservation, and no frame leaves it
 * while it is mapped, granted and in use, or typed.
 */
#ifndef ABI_MEMORY_H
#define ABI_MEMORY_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define XENMEM_increase_reservation     0  /* struct xen_memory_reservation: mfns come out */
#define XENMEM_decrease_reservation     1  /* struct xen_memory_reservation: mfns go in */
#define XENMEM_maximum_ram_page         2  /* no argument; returns the highest mfn plus one */
#define XENMEM_current_reservation      3  /* struct xen_memory_domain; returns frames */
#define XENMEM_maximum_reservation      4  /* struct xen_memory_domain; returns frames */
#define XENMEM_machphys_mfn_list        5  /* struct xen_machphys_mfn_list */
#define XENMEM_populate_physmap         6  /* struct xen_memory_reservation: pfns in, mfns out */
#define XENMEM_add_to_physmap           7  /* translated guests only */
#define XENMEM_memory_map               9  /* struct xen_memory_map: one row, all RAM */
#define XENMEM_machine_memory_map       10 /* privileged */
#define XENMEM_exchange                 11 /* struct xen_memory_exchange */
#define XENMEM_machphys_mapping         12 /* struct xen_machphys_mapping */
#define XENMEM_set_memory_map           13 /* struct xen_foreign_memory_map */
#define XENMEM_maximum_gpfn             14 /* struct xen_memory_domain; returns the highest pfn */
#define XENMEM_remove_from_physmap      15 /* translated guests only */
#define XENMEM_set_pod_target           16 /* hardware VMs only */
#define XENMEM_get_pod_target           17 /* hardware VMs only */
#define XENMEM_add_to_physmap_batch     23 /* translated guests only */
#define XENMEM_machphys_compat_mfn_list 25 /* struct xen_machphys_mfn_list; for 32-bit guests */
#define XENMEM_get_vnumainfo            26 /* no NUMA: EOPNOTSUPP */
#define XENMEM_acquire_resource         28 /* privileged */

/* xen_memory_reservation.mem_flags; 0 will do */
#define XENMEMF_address_bits(x)     (x) /* machine addresses must fit into so many bits; 0 any */
#define XENMEMF_get_address_bits(x) ((x)&xen_mk_uint(0xff))
#define XENMEMF_node(x)             (((x) + 1) << 8) /* on this NUMA node; a hint */
#define XENMEMF_get_node(x)         ((((x) >> 8) - 1) & xen_mk_uint(0xff))
#define XENMEMF_populate_on_demand  (1 << 16)
#define XENMEMF_exact_node_request  (1 << 17)
#define XENMEMF_exact_node(n)       (XENMEMF_node(n) | XENMEMF_exact_node_request)
#define XENMEMF_vnode               (1 << 18)

#ifndef __ASSEMBLY__

/*
 * increase_reservation  extent_start receives the first mfn of each new extent; the frames are in no
 *                       pfn's place
 * decrease_reservation  extent_start lists the first mfn of each extent to give back; a frame leaves
 *                       when its last use ends
 * populate_physmap      extent_start lists pfns and receives mfns; the machine-to-physical entries
 *                       are set
 */
struct xen_memory_reservation {
	XEN_GUEST_HANDLE(xen_pfn_t) extent_start; /* in and out */
	xen_ulong_t nr_extents;                   /* in */
	unsigned int extent_order;                /* in */
	unsigned int mem_flags;                   /* in: XENMEMF_* */
	domid_t domid;                            /* in: DOMID_SELF */
};
typedef struct xen_memory_reservation xen_memory_reservation_t;
DEFINE_XEN_GUEST_HANDLE(xen_memory_reservation_t);

/*
 * Give frames back and get as many others. in: the mfns given, out: the pfns for the new ones, which
 * receive the new mfns. Both sides must name the same number of frames.
 */
struct xen_memory_exchange {
	struct xen_memory_reservation in;
	struct xen_memory_reservation out;
	xen_ulong_t nr_exchanged; /* in: 0; out: frames done, in extents of "in" */
};
typedef struct xen_memory_exchange xen_memory_exchange_t;
DEFINE_XEN_GUEST_HANDLE(xen_memory_exchange_t);

struct xen_memory_domain {
	domid_t domid; /* in: DOMID_SELF */
};

/* The frames of the machine-to-physical table, one for each 2 MiB of it; 0 where there is none. */
struct xen_machphys_mfn_list {
	unsigned int max_extents;                 /* in: room in the list */
	XEN_GUEST_HANDLE(xen_pfn_t) extent_start; /* out */
	unsigned int nr_extents;                  /* out: how many were written */
};
typedef struct xen_machphys_mfn_list xen_machphys_mfn_list_t;
DEFINE_XEN_GUEST_HANDLE(xen_machphys_mfn_list_t);

/*
 * Where the machine-to-physical table can be read: an array of pfns by mfn, [v_start, v_end), with
 * entries up to max_mfn. A guest that asks may not assume the fixed address.
 */
struct xen_machphys_mapping {
	xen_ulong_t v_start, v_end; /* out */
	xen_ulong_t max_mfn;        /* out */
};
typedef struct xen_machphys_mapping xen_machphys_mapping_t;
DEFINE_XEN_GUEST_HANDLE(xen_machphys_mapping_t);

/* The pseudo-physical memory map, in rows of the PC firmware's form (20 bytes each, packed). */
struct xen_memory_map {
	unsigned int nr_entries;       /* in: room; out: rows written */
	XEN_GUEST_HANDLE(void) buffer; /* in */
};
typedef struct xen_memory_map xen_memory_map_t;
DEFINE_XEN_GUEST_HANDLE(xen_memory_map_t);

/* XENMEM_set_memory_map: what XENMEM_memory_map tells from then on. */
struct xen_foreign_memory_map {
	domid_t domid; /* in: DOMID_SELF */
	struct xen_memory_map map;
};
typedef struct xen_foreign_memory_map xen_foreign_memory_map_t;
DEFINE_XEN_GUEST_HANDLE(xen_foreign_memory_map_t);

PV_ABI_SIZE(struct xen_memory_reservation, 32);
PV_ABI_FIELD(struct xen_memory_reservation, nr_extents, 8);
PV_ABI_FIELD(struct xen_memory_reservation, extent_order, 16);
PV_ABI_FIELD(struct xen_memory_reservation, mem_flags, 20);
PV_ABI_FIELD(struct xen_memory_reservation, domid, 24);
PV_ABI_SIZE(struct xen_memory_exchange, 72);
PV_ABI_FIELD(struct xen_memory_exchange, out, 32);
PV_ABI_FIELD(struct xen_memory_exchange, nr_exchanged, 64);
PV_ABI_SIZE(struct xen_memory_domain, 2);
PV_ABI_SIZE(struct xen_machphys_mfn_list, 24);
PV_ABI_FIELD(struct xen_machphys_mfn_list, extent_start, 8);
PV_ABI_FIELD(struct xen_machphys_mfn_list, nr_extents, 16);
PV_ABI_SIZE(struct xen_machphys_mapping, 24);
PV_ABI_FIELD(struct xen_machphys_mapping, v_end, 8);
PV_ABI_FIELD(struct xen_machphys_mapping, max_mfn, 16);
PV_ABI_SIZE(struct xen_memory_map, 16);
PV_ABI_FIELD(struct xen_memory_map, buffer, 8);
PV_ABI_SIZE(struct xen_foreign_memory_map, 24);
PV_ABI_FIELD(struct xen_foreign_memory_map, map, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_MEMORY_H */
