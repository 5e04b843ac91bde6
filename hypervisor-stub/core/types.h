/* SPDX-License-Identifier: MIT */
/*
 * Small types that every part of the hypervisor shares.
 *
 * Machine frames and pseudo-physical frames are different types, so that the compiler refuses a
 * mix-up.
 */
#ifndef HYPERVISOR_STUB_CORE_TYPES_H
#define HYPERVISOR_STUB_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/core/x86/regs.h"

#define HV_PAGE_SHIFT 12
#define HV_PAGE_SIZE  4096u
#define HV_MAX_VCPUS  32

typedef struct {
	uint64_t n;
} mfn_t; /* machine frame number, 4 KiB units */

typedef struct {
	uint64_t n;
} pfn_t; /* a domain's own frame number, 4 KiB units */

#define HV_MFN_NONE ((mfn_t){ ~UINT64_C(0) })

static inline bool hv_mfn_same(mfn_t a, mfn_t b)
{
	return a.n == b.n;
}

static inline bool hv_mfn_is_none(mfn_t m)
{
	return m.n == ~UINT64_C(0);
}

struct hv_machine;
struct hv_domain;
struct hv_vcpu;
struct hv_engine;

/* Our own invariant is broken: says where, and aborts. Never an answer to foreign input. */
_Noreturn void hv_bug(const char *expr, const char *file, int line);
#define HV_ASSERT(e) ((e) ? (void)0 : hv_bug(#e, __FILE__, __LINE__))

#endif
