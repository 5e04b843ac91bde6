/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of user programs: making and unmaking them, changing what is mapped, switching.
 *
 * The kernel chooses what lies under which root (enum pv_roots).
 *
 * Changes go through a batch: they are collected and reach the page tables in as few hypercalls as
 * will do, the flush that they need with the last. A batch that is open has no effect that one can
 * rely on, nor has it none. pv_batch_end() settles it; a frame that was unmapped may be used for
 * something else after that, not before.
 *
 * Locking: the caller serializes changes of one address space. Different ones are independent.
 */
#ifndef PVOPS_ASPACE_H
#define PVOPS_ASPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/mmu.h"
#include "pvops/pv_ops.h"

/* Where user programs may have pages: level-4 slots 1 to 63. */
#define PV_USER_START 0x8000000000ul
#define PV_USER_END   PV_WINDOW

/*
 * Natively there is one root for both whichever is chosen, and the kernel sees all of the program; the
 * program is kept from the kernel's pages by the processor. Paravirtualized:
 *
 * In the first two a program's root holds the program's pages and nothing else: it has no address at
 * all for the kernel's memory.
 */
enum pv_roots {
	/*
	 * The kernel sees nothing of a program: all programs share the one root that the kernel
	 * booted with. A switch between programs leaves the kernel's translations alone. The kernel
	 * reaches a program's page by its frame (pv_aspace_entry(), then the identity map).
	 */
	PV_ROOTS_APART,
	/*
	 * The kernel sees all of it: a second root holds the same pages by the same tables, and the
	 * kernel besides (level-4 slot 0, the identity map, and the window), so that a system call's
	 * pointer means to the kernel what it means to the program. For kernels that were written
	 * for such machines.
	 */
	PV_ROOTS_TWO,
	/*
	 * One root serves both. Nothing protects the kernel from the program then, for both run
	 * with the same rights: for programs that are trusted as much as the kernel is.
	 */
	PV_ROOTS_ONE,
};

struct pv_aspace {
	uint64_t *user;   /* the roots: level-4 tables, in the identity map */
	uint64_t *kernel; /* NULL: the boot root; the same as `user`: one root */
	uint64_t cpus;    /* vCPUs that have it loaded, a bit each; atomic */
};

/*
 * pv_aspace_init - once, before any address space is made
 *
 * After pv_mmu_map_memory(): what the kernel's part of a root points at does not change later.
 * Returns 0 or a negative XEN_E*.
 */
int pv_aspace_init(void);

/*
 * pv_aspace_create - an empty address space
 *
 * as: out
 * Returns 0 or -XEN_ENOMEM.
 * Undo: pv_aspace_destroy()
 */
int pv_aspace_create(struct pv_aspace *as, enum pv_roots roots);

/*
 * pv_aspace_destroy - give back its tables
 *
 * Nothing is mapped in it any more, and no vCPU has it loaded.
 */
void pv_aspace_destroy(struct pv_aspace *as);

/*
 * pv_aspace_switch - load an address space on the calling vCPU
 *
 * as:           NULL: the kernel alone; then the other two are not looked at
 * kernel_stack: end of the stack on which the kernel is entered from this program
 * fs_base:      of the program
 *
 * Context: kernel mode, events masked, on a stack in the identity map.
 */
void pv_aspace_switch(struct pv_aspace *as, void *kernel_stack, uint64_t fs_base);

/*
 * pv_aspace_entry - the level-1 entry of a page, with a pfn in it
 *
 * va: between PV_USER_START and PV_USER_END. Returns 0 when nothing is mapped there.
 */
uint64_t pv_aspace_entry(const struct pv_aspace *as, uint64_t va);

/*
 * pv_aspace_next - the first page from `va` on, below `end`, that is mapped
 *
 * entry: out: its level-1 entry, with a pfn
 * Returns its address, or `end`. Skips what has no tables.
 */
uint64_t pv_aspace_next(const struct pv_aspace *as, uint64_t va, uint64_t end, uint64_t *entry);

/* Pages that serve as tables or wait to; and how many of them wait. */
void pv_aspace_count(uint64_t *tables, uint64_t *waiting);

/* Gives the waiting ones back to pv_page_free(). */
void pv_aspace_trim(void);

/* ---- changes ---- */

struct pv_batch {
	struct pv_aspace *as;
	uint64_t *l1; /* the table of the last change, and the first address it maps */
	uint64_t l1_va;
	uint64_t flush_start, flush_end; /* pages whose old translations must go */
	bool attached;                   /* an upper table's write is in the list */
	int error;                       /* the first that went wrong */
	unsigned int count;
	struct pv_pt_write list[PV_PT_WRITE_MAX];
};

void pv_batch_begin(struct pv_batch *b, struct pv_aspace *as);

/*
 * Queue one change of the page at va, which is page aligned and the user's.
 *
 * map:     pfn may be any of the domain's that is no table; prot: enum pv_prot without USER, which
 *          is understood. The page may be mapped already, for instance to another frame.
 * protect: the same frame with other rights; nothing when it is not mapped.
 * unmap:   nothing when it is not mapped.
 *
 * protect and unmap return the entry before, with a pfn, or 0. An error of map's shows at the end.
 */
void pv_batch_map(struct pv_batch *b, uint64_t va, uint64_t pfn, unsigned int prot);
uint64_t pv_batch_protect(struct pv_batch *b, uint64_t va, unsigned int prot);
uint64_t pv_batch_unmap(struct pv_batch *b, uint64_t va);

/*
 * pv_batch_end - everything queued is in force when it returns, on all vCPUs
 *
 * Returns 0; -XEN_ENOMEM when there was no page for a table: then that change and those after it
 * have not been made; or what the hypervisor answered. The batch can be used again.
 */
int pv_batch_end(struct pv_batch *b);

#endif /* PVOPS_ASPACE_H */
