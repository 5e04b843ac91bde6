/* SPDX-License-Identifier: MIT */
/*
 * What one guest process has mapped: disjoint runs of pages, ordered by address.
 *
 * Invariant: everything that the process may have mapped is in here (more may be: a mapping that
 * failed, or that the mapper gave up), and the number of runs is at least that of the kernel's
 * mappings of guest pages.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_MAPTREE_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_MAPTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pe_maprun {
	uint64_t start, end; /* bytes, multiples of 4096; end is the first byte behind it */
	uint64_t offset;     /* of start, in the domain's memory */
	uint32_t prot;
	uint32_t priority;
	struct pe_maprun *left, *right;
};

struct pe_maptree {
	struct pe_maprun *root;
	size_t count;
	uint32_t seed;
};

/* Puts a run in, over whatever was there. False when memory ran out: then it is unchanged. */
bool pe_maptree_insert(struct pe_maptree *t, uint64_t start, uint64_t end, uint64_t offset,
                       uint32_t prot);
/* Takes [start, end) out. False when memory ran out: then it is unchanged. */
bool pe_maptree_remove(struct pe_maptree *t, uint64_t start, uint64_t end);
/* The lowest run that reaches into [start, end), or NULL. */
const struct pe_maprun *pe_maptree_find(const struct pe_maptree *t, uint64_t start, uint64_t end);
void pe_maptree_clear(struct pe_maptree *t);

#endif
