/* SPDX-License-Identifier: MIT */
/*
 * Between scan.c and patch.c: code pages and what is written over their instructions.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PATCH_H
#define HYPERVISOR_STUB_FULLVIRT_PATCH_H

#include "hypervisor-stub/fullvirt/ring3.h"

/* The instruction at an offset of the page, as the guest wrote it. False: none can be decoded. */
bool fv_code_decode(const struct fv_cpu *c, const struct fv_code *code, unsigned at,
                    struct x86_insn *insn);
/* Decodes from an offset on, along the control flow. */
void fv_code_scan(struct fv_cpu *c, struct fv_code *code, unsigned entry);

/*
 * The instruction at va has trapped, or will: it is replaced by a jump to code that does the same
 * without a trap, if that can be had and nothing else jumps into the bytes that it takes.
 */
void fv_patch(struct fv_cpu *c, uint64_t va);
/* The jump over this byte goes; its instructions trap again. */
void fv_patch_undo(struct fv_cpu *c, struct fv_code *code, unsigned at);
/* Whether rip lies in a patch; then *va is the guest's instruction that it belongs to. */
bool fv_patch_find(const struct fv_cpu *c, uint64_t rip, uint64_t *va);

#endif
