/* SPDX-License-Identifier: MIT */
/*
 * Code that does at ring 3 what an instruction of the kernel's does at ring 0, as bytes for the area
 * of patches.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_EMIT_H
#define HYPERVISOR_STUB_FULLVIRT_EMIT_H

#include "hypervisor-stub/core/x86/decode.h"

#define FV_EMIT_MAX 96 /* bytes that one instruction becomes, at most */

struct fv_emit {
	uint8_t *to; /* where the next byte goes, */
	uint64_t at; /* and its address in the guest */
	uint8_t *end;
	bool failed; /* no room, or it cannot be done */
};

/*
 * fv_emit_insn - the instruction at va, which goes on behind itself unless it leaves for good
 * Returns whether the code ends here: nothing behind it is reached.
 * e->failed: it cannot be done; what was written is of no use.
 */
bool fv_emit_insn(struct fv_emit *e, const struct x86_insn *insn, uint64_t va);
/* Whether ring 3 does it as ring 0 would, and it leaves the interrupt flag alone. */
bool fv_emit_is_plain(const struct x86_insn *insn);
/* Goes on at va. */
void fv_emit_jump(struct fv_emit *e, uint64_t va);

#endif
