/* SPDX-License-Identifier: MIT */
/*
 * nmi_op(cmd, arg): the older way to register the NMI entry point (see abi/callback.h for the
 * other), and the reasons that arch_shared_info.nmi_reason may hold.
 */
#ifndef ABI_NMI_H
#define ABI_NMI_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define XENNMI_register_callback   0 /* struct xennmi_callback */
#define XENNMI_unregister_callback 1 /* no argument */

#define _XEN_NMIREASON_io_error    0
#define XEN_NMIREASON_io_error     (xen_mk_ulong(1) << _XEN_NMIREASON_io_error)
#define _XEN_NMIREASON_pci_serr    1
#define XEN_NMIREASON_pci_serr     (xen_mk_ulong(1) << _XEN_NMIREASON_pci_serr)
#define _XEN_NMIREASON_unknown     2
#define XEN_NMIREASON_unknown      (xen_mk_ulong(1) << _XEN_NMIREASON_unknown)

#ifndef __ASSEMBLY__

struct xennmi_callback {
	unsigned long handler_address; /* in */
	unsigned long pad;
};
typedef struct xennmi_callback xennmi_callback_t;
DEFINE_XEN_GUEST_HANDLE(xennmi_callback_t);

PV_ABI_SIZE(struct xennmi_callback, 16);
PV_ABI_FIELD(struct xennmi_callback, pad, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_NMI_H */
