/* SPDX-License-Identifier: MIT */
/*
 * The memory of one program: regions, which say what may be where, and the pages that have been
 * brought in so far.
 *
 * Locking: none. A program's memory is changed by the process itself, or by its parent before it
 * runs for the first time.
 */
#ifndef TESTS_GUESTS_UNIX_VM_H
#define TESTS_GUESTS_UNIX_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/aspace.h"
#include "tests/guests/unix/fs.h"

/*
 * Where things are. What every program has, its image and its stack, lies below one level-1 table;
 * all of it below one level-2 table.
 */
#define VM_PROGRAM   0x10000000000ul
#define VM_STACK     (VM_PROGRAM + 0x100000ul) /* images end before this */
#define VM_STACK_END (VM_PROGRAM + 0x200000ul)
#define VM_HEAP      VM_STACK_END
#define VM_MMAP      (VM_PROGRAM + 0x10000000ul)
#define VM_END       (VM_PROGRAM + 0x40000000ul)

#define VM_REGIONS   24

struct vm_region {
	uint64_t start, end; /* page aligned */
	unsigned int prot;   /* enum pv_prot, without USER */
	struct node *node;   /* contents; NULL: zeroes */
	uint64_t offset;     /* in the file, of start */
	uint64_t file_end;   /* address where the contents end and zeroes begin */
	uint64_t next_fault; /* a fault here goes on where the last one ended... */
	unsigned int run;    /* ... and that one brought in so many pages */
};

struct vm {
	struct pv_aspace as;
	struct vm_region region[VM_REGIONS]; /* sorted by address */
	unsigned int nr_regions;
	uint64_t heap_end; /* of brk(); the region's end is this rounded up */
	uint64_t pages;    /* that are mapped */
};

/*
 * What lies under which root. The kernel has no use for a program's memory at the program's addresses,
 * so PV_ROOTS_APART; the others are there to be compared with it, by what they cost.
 */
extern enum pv_roots vm_roots;

/* An empty memory. 0 or -ENOMEM. */
int vm_init(struct vm *vm);

/* Unmaps everything and forgets all regions. The tables stay. */
void vm_clear(struct vm *vm);

/* The end of a memory that was cleared, and is loaded nowhere. */
void vm_destroy(struct vm *vm);

/*
 * vm_clone - the child sees what the parent sees; from now on each changes its own
 *
 * child:  a memory that was initialised just now
 * stacks: an address; its page is copied at once, for both are going to write it
 * Returns 0, or -ENOMEM, and then the child is to be cleared.
 */
int vm_clone(struct vm *child, struct vm *parent, uint64_t stacks);

/*
 * vm_add - a region
 *
 * node: NULL, or the file that holds its contents from `offset` on up to file_end; the region
 *       becomes a user of it
 * Returns 0; -EINVAL when it overlaps another or lies outside of what programs have; -ENOMEM.
 */
int vm_add(struct vm *vm, uint64_t start, uint64_t end, unsigned int prot, struct node *node,
           uint64_t offset, uint64_t file_end);

/* Free addresses from VM_MMAP on, or 0. */
uint64_t vm_find(const struct vm *vm, uint64_t bytes);

/* What is in [start, end) goes; or gets other rights. Regions are split. 0 or -E*. */
int vm_remove(struct vm *vm, uint64_t start, uint64_t end);
int vm_protect(struct vm *vm, uint64_t start, uint64_t end, unsigned int prot);

/* The end of the heap, after it has been moved there if that is possible. */
uint64_t vm_brk(struct vm *vm, uint64_t end);

/* Brings in a page that a program is going to need at once. Nothing happens when that fails. */
void vm_touch(struct vm *vm, uint64_t address, unsigned int access);

/*
 * vm_fault - bring in the page at an address, for reading, writing or running (enum pv_prot)
 *
 * Returns 0 when the access may be tried again; -EFAULT when the program has no right to it;
 * -ENOMEM.
 */
int vm_fault(struct vm *vm, uint64_t address, unsigned int access);

#endif /* TESTS_GUESTS_UNIX_VM_H */
