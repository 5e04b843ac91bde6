/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory and a CPU for the parts of full virtualization that need no engine: page tables,
 * shadow, code pages and patches. What would be dropped from mappings is counted.
 *
 * The memory can be shown at the addresses that the guest has it at, so that what was made of code
 * can be executed by the test itself.
 */
#ifndef TESTS_FAKE_FV_CPU_WORLD_H
#define TESTS_FAKE_FV_CPU_WORLD_H

#include "hypervisor-stub/fullvirt/patch.h"

#define WORLD_RAM  (4u << 20)
#define WORLD_CR3  0x10000u /* tables: 0x10000 to 0x13fff map the first 2 MiB by pages, one to one */
#define WORLD_CODE 0x180000u /* a page for code */

struct fv_cpu_world {
	struct fv_cpu *c;
	uint8_t *ram; /* WORLD_RAM bytes, and the copies of code behind */
	unsigned drops;
	uint64_t last_va, last_len;
};

void fv_cpu_world_init(struct fv_cpu_world *w);
void fv_cpu_world_fini(struct fv_cpu_world *w);
/* The one-to-one entry of a page. */
uint64_t *fv_cpu_world_entry(struct fv_cpu_world *w, uint64_t va);
/*
 * Shows the patches, the shared page and the copy of a code page where the guest has them. False: this
 * process cannot have something there. Undo: fv_cpu_world_hide().
 */
bool fv_cpu_world_show(struct fv_cpu_world *w, const struct fv_code *code);
void fv_cpu_world_hide(struct fv_cpu_world *w, const struct fv_code *code);

#endif
