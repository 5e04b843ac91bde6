/* SPDX-License-Identifier: MIT */
/*
 * Floating-point state (x87, SSE, AVX and what else xsave handles).
 *
 * The library itself is compiled without such registers. A kernel whose handlers use them, or which
 * switches between threads or user programs that do, saves eagerly: nothing may be left to a #NM that
 * some hosts cannot raise.
 */
#ifndef PVOPS_FP_H
#define PVOPS_FP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PV_XCR0_X87    0x01ull
#define PV_XCR0_SSE    0x02ull
#define PV_XCR0_AVX    0x04ull
#define PV_XCR0_AVX512 0xe0ull

#define PV_FP_ALIGN    64

/*
 * pv_fp_init - find out what there is, and switch on the states of `wanted` that exist
 *
 * wanted: PV_XCR0_*; x87 and SSE are always on
 * Returns the states that are on. On every vCPU, with the same argument.
 */
uint64_t pv_fp_init(uint64_t wanted);

/* The states that are on. */
uint64_t pv_fp_states(void);

/* Bytes of an area that holds all states that are on; a multiple of 64. */
size_t pv_fp_size(void);

/* area: pv_fp_size() bytes, aligned to PV_FP_ALIGN; zeroed once before its first use. */
void pv_fp_save(void *area);
void pv_fp_load(const void *area);

/* Makes `area` hold the state of a new thread: all registers in their initial configuration. */
void pv_fp_fresh(void *area);

/*
 * pv_fp_save_on_entry - shall every trap and event save the state, and its return load it?
 *
 * For kernels whose handlers use floating point. Costs an xsave and an xrstor each time, and
 * pv_fp_size() bytes of stack. Context: events masked; not from a handler.
 */
void pv_fp_save_on_entry(bool on);

#endif /* PVOPS_FP_H */
