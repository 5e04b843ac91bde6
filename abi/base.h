/* SPDX-License-Identifier: MIT */
/*
 * What every other header of the ABI stands on: how numbers are written so that C, C++ and the
 * assembler accept them, and how a layout is pinned.
 *
 * Invariant: nothing here names a thing of the ABI itself, and nothing outside <stdint.h> and
 * <stddef.h> is needed. A header of this folder may be included alone, in any order, any number of
 * times.
 */
#ifndef ABI_BASE_H
#define ABI_BASE_H

#ifndef __ASSEMBLY__

#include <stddef.h>
#include <stdint.h>

/* A number with the type suffix that C wants. */
#define xen_mk_uint(x)      PV_ABI_PASTE(x, U)
#define xen_mk_ulong(x)     PV_ABI_PASTE(x, UL)
#define xen_mk_ullong(x)    PV_ABI_PASTE(x, ULL)

#define PV_ABI_PASTE2(a, b) a##b
#define PV_ABI_PASTE(a, b)  PV_ABI_PASTE2(a, b)

/* Last member of a structure whose length is known only at run time. */
#ifdef __cplusplus
#define XEN_FLEX_ARRAY_DIM 0
#else
#define XEN_FLEX_ARRAY_DIM
#endif

/* Pins: the size of a shared type, and the offset of one of its fields, both in bytes. */
#ifdef __cplusplus
#define PV_ABI_ASSERT(cond, text) static_assert(cond, text)
#else
#define PV_ABI_ASSERT(cond, text) _Static_assert(cond, text)
#endif
#define PV_ABI_SIZE(type, size) PV_ABI_ASSERT(sizeof(type) == (size), "size of " #type)
#define PV_ABI_FIELD(type, field, bytes) \
	PV_ABI_ASSERT(offsetof(type, field) == (bytes), #type "." #field)

#else

/* The assembler knows no suffixes. */
#define xen_mk_uint(x)   x
#define xen_mk_ulong(x)  x
#define xen_mk_ullong(x) x

#endif /* __ASSEMBLY__ */

#endif /* ABI_BASE_H */
