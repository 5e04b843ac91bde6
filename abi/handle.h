/* SPDX-License-Identifier: MIT */
/*
 * Guest handles: addresses of guest memory that stand inside a structure of the ABI.
 *
 * The guest sees a typed pointer (member p). The hypervisor, which must never follow such a
 * pointer, defines PARAVANE_HOST_ABI before the first header of this folder and sees an inert
 * number (member va) that only its guest-copy functions accept.
 *
 * Invariant: both forms are eight bytes with the same alignment, so a structure has one layout on
 * both sides.
 */
#ifndef ABI_HANDLE_H
#define ABI_HANDLE_H

#include "abi/base.h"

#ifndef __ASSEMBLY__

#ifdef PARAVANE_HOST_ABI

#define ___DEFINE_XEN_GUEST_HANDLE(name, type) \
	typedef struct {                       \
		uint64_t va;                   \
	} __guest_handle_##name

/* The guest virtual address as a number; usable in code that is compiled for either side. */
#define xen_guest_handle_va(hnd) ((uint64_t)(hnd).va)

/* Only for code that plays the guest in a test of the hypervisor. */
#define set_xen_guest_handle(hnd, val)                 \
	do {                                           \
		(hnd).va = (uint64_t)(uintptr_t)(val); \
	} while (0)

#else

#define ___DEFINE_XEN_GUEST_HANDLE(name, type) \
	typedef struct {                       \
		type *p;                       \
	} __guest_handle_##name

#define xen_guest_handle_va(hnd) ((uint64_t)(uintptr_t)(hnd).p)

#define set_xen_guest_handle(hnd, val) \
	do {                           \
		(hnd).p = (val);       \
	} while (0)

#endif /* PARAVANE_HOST_ABI */

#define __DEFINE_XEN_GUEST_HANDLE(name, type)   \
	___DEFINE_XEN_GUEST_HANDLE(name, type); \
	___DEFINE_XEN_GUEST_HANDLE(const_##name, const type)
#define DEFINE_XEN_GUEST_HANDLE(name) __DEFINE_XEN_GUEST_HANDLE(name, name)

#define __XEN_GUEST_HANDLE(name)      __guest_handle_##name
#define XEN_GUEST_HANDLE(name)        __XEN_GUEST_HANDLE(name)

DEFINE_XEN_GUEST_HANDLE(char);
DEFINE_XEN_GUEST_HANDLE(int);
DEFINE_XEN_GUEST_HANDLE(void);
DEFINE_XEN_GUEST_HANDLE(uint64_t);
__DEFINE_XEN_GUEST_HANDLE(uchar, unsigned char);
__DEFINE_XEN_GUEST_HANDLE(uint, unsigned int);
__DEFINE_XEN_GUEST_HANDLE(uint8, uint8_t);
__DEFINE_XEN_GUEST_HANDLE(uint16, uint16_t);
__DEFINE_XEN_GUEST_HANDLE(uint32, uint32_t);
__DEFINE_XEN_GUEST_HANDLE(uint64, uint64_t);

#endif /* __ASSEMBLY__ */

#endif /* ABI_HANDLE_H */
