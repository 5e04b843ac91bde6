/* SPDX-License-Identifier: MIT */
/*
 * physdev_op(cmd, arg): physical devices. There are none here; what is left is what a domain without
 * devices may ask, and numbers by which the rest can be refused by name.
 *
 * Invariant: nothing that these calls take has an effect outside the calling vCPU.
 */
#ifndef ABI_PHYSDEV_H
#define ABI_PHYSDEV_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define PHYSDEVOP_IRQ_UNMASK_NOTIFY 4  /* obsolete: accepted, without effect */
#define PHYSDEVOP_irq_status_query  5  /* struct physdev_irq_status_query */
#define PHYSDEVOP_set_iopl          6  /* struct physdev_set_iopl */
#define PHYSDEVOP_set_iobitmap      7  /* struct physdev_set_iobitmap */
#define PHYSDEVOP_eoi               12 /* struct physdev_eoi */
#define PHYSDEVOP_map_pirq          13 /* the rest: for owners of devices */
#define PHYSDEVOP_unmap_pirq        14
#define PHYSDEVOP_get_free_pirq     23

/* physdev_irq_status_query.flags */
#define _XENIRQSTAT_needs_eoi 0
#define XENIRQSTAT_needs_eoi  (xen_mk_uint(1) << _XENIRQSTAT_needs_eoi)
#define _XENIRQSTAT_shared    1
#define XENIRQSTAT_shared     (xen_mk_uint(1) << _XENIRQSTAT_shared)

#ifndef __ASSEMBLY__

struct physdev_eoi {
	uint32_t irq; /* in */
};
typedef struct physdev_eoi physdev_eoi_t;
DEFINE_XEN_GUEST_HANDLE(physdev_eoi_t);

struct physdev_irq_status_query {
	uint32_t irq;   /* in */
	uint32_t flags; /* out: XENIRQSTAT_* */
};
typedef struct physdev_irq_status_query physdev_irq_status_query_t;
DEFINE_XEN_GUEST_HANDLE(physdev_irq_status_query_t);

/* The I/O privilege level that the vCPU believes it has; EINVAL above 3. */
struct physdev_set_iopl {
	uint32_t iopl; /* in */
};
typedef struct physdev_set_iopl physdev_set_iopl_t;
DEFINE_XEN_GUEST_HANDLE(physdev_set_iopl_t);

/* Ports that user code may use: a bit map, clear bits allow. */
struct physdev_set_iobitmap {
	XEN_GUEST_HANDLE(uint8) bitmap; /* in */
	uint32_t nr_ports;              /* in: at most 65536 */
};
typedef struct physdev_set_iobitmap physdev_set_iobitmap_t;
DEFINE_XEN_GUEST_HANDLE(physdev_set_iobitmap_t);

PV_ABI_SIZE(struct physdev_eoi, 4);
PV_ABI_SIZE(struct physdev_irq_status_query, 8);
PV_ABI_FIELD(struct physdev_irq_status_query, flags, 4);
PV_ABI_SIZE(struct physdev_set_iopl, 4);
PV_ABI_SIZE(struct physdev_set_iobitmap, 16);
PV_ABI_FIELD(struct physdev_set_iobitmap, nr_ports, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_PHYSDEV_H */
