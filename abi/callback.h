/* SPDX-License-Identifier: MIT */
/*
 * Entry points of the guest kernel: callback_op(cmd, arg), and the older
 * set_callbacks(event, failsafe, syscall).
 *
 * An address is a virtual address of the kernel's root, canonical; 0 clears it. They belong to the
 * calling vCPU.
 */
#ifndef ABI_CALLBACK_H
#define ABI_CALLBACK_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define CALLBACKOP_register   0 /* struct callback_register */
#define CALLBACKOP_unregister 1 /* struct callback_unregister */

/* callback_register.type */
#define CALLBACKTYPE_event               0 /* an event is pending and upcalls are not masked */
#define CALLBACKTYPE_failsafe            1 /* a selector of the way out could not be loaded */
#define CALLBACKTYPE_syscall             2 /* syscall from 64-bit user code */
#define CALLBACKTYPE_sysenter_deprecated 3
#define CALLBACKTYPE_nmi                 4 /* VCPUOP_send_nmi; flags must be 0 */
#define CALLBACKTYPE_sysenter            5 /* sysenter from user code */
#define CALLBACKTYPE_syscall32           7 /* syscall from 32-bit user code */

/* callback_register.flags: mask upcalls on entry (an event upcall always does). */
#define _CALLBACKF_mask_events 0
#define CALLBACKF_mask_events  (xen_mk_uint(1) << _CALLBACKF_mask_events)

#ifndef __ASSEMBLY__

struct callback_register {
	uint16_t type;          /* in: CALLBACKTYPE_* */
	uint16_t flags;         /* in: CALLBACKF_* */
	xen_callback_t address; /* in */
};
typedef struct callback_register callback_register_t;
DEFINE_XEN_GUEST_HANDLE(callback_register_t);

/* EINVAL for event, failsafe and syscall: a kernel cannot do without them. */
struct callback_unregister {
	uint16_t type; /* in: CALLBACKTYPE_* */
	uint16_t _unused;
};
typedef struct callback_unregister callback_unregister_t;
DEFINE_XEN_GUEST_HANDLE(callback_unregister_t);

PV_ABI_SIZE(struct callback_register, 16);
PV_ABI_FIELD(struct callback_register, flags, 2);
PV_ABI_FIELD(struct callback_register, address, 8);
PV_ABI_SIZE(struct callback_unregister, 4);
PV_ABI_FIELD(struct callback_unregister, _unused, 2);

#endif /* __ASSEMBLY__ */

#endif /* ABI_CALLBACK_H */
