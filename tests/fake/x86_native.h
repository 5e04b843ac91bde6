/* SPDX-License-Identifier: MIT */
/*
 * Runs one instruction on the host's own processor, with given registers, to compare an emulator with.
 *
 * The instruction is put into a page at a fixed low address, between code that loads every register
 * from memory and code that stores it. Faults come back as a value. 32-bit code runs through the
 * host kernel's 32-bit code segment.
 */
#ifndef TESTS_FAKE_X86_NATIVE_H
#define TESTS_FAKE_X86_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "hypervisor-stub/core/x86/x86emu.h"

#define NATIVE_BASE  0x20000000ul
#define NATIVE_DATA  0x20010000ul /* readable and writable, NATIVE_PAGES pages; nothing behind */
#define NATIVE_PAGES 4
#define NATIVE_SIZE  (NATIVE_PAGES * 4096ul)

/* 0 when instructions can be run here; else a sentence why not. Call it first; maps the pages. */
const char *native_init(void);

/* Where the instruction lies: what rip must be, for rip-relative operands. */
uint64_t native_rip(unsigned mode);

/*
 * Executes the instruction with regs (general registers and flags) and with the vector state of
 * native_vector() when with_vectors; stores them back.
 * mode: X86_MODE_64 or X86_MODE_32. Returns true when it went through, false with *fault filled when not.
 */
bool native_run(struct hv_regs *regs, const uint8_t *code, unsigned len, unsigned mode,
                bool with_vectors, struct x86_fault *fault);

/* Vector state around native_run(): register nr of a kind, 64 or 8 bytes. */
bool native_has_vectors(void); /* AVX-512 with its masks, as the tests use it */
void native_vector_get(enum x86_vec_kind kind, unsigned nr, uint8_t out[64]);
void native_vector_set(enum x86_vec_kind kind, unsigned nr, const uint8_t in[64]);

#endif
