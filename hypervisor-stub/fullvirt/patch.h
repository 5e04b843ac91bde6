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
/* Gives all of them up. */
void fv_patch_forget_all(struct fv_cpu *c);
/* Whether rip lies in a patch. */
bool fv_patch_holds(uint64_t rip);
/* The guest has stopped, in a patch or in the bytes of a jump to one: carries it out to its end. */
void fv_patch_finish(struct fv_cpu *c);
/* The address of the guest's instruction that rip belongs to; the guest will see it, so it is one again. */
uint64_t fv_patch_expose(struct fv_cpu *c, uint64_t rip);
/* One instruction of a patch, by the emulator. False: the machine has ended. */
bool fv_emulate_patch(struct fv_cpu *c);

#endif
