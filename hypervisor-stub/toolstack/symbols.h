/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses, from a kernel's own ELF symbol table.
 *
 * The table is as hostile as the rest of the file: what is wrong in it costs names, never more.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_SYMBOLS_H
#define HYPERVISOR_STUB_TOOLSTACK_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct symbol {
	uint64_t addr, size; /* size 0: up to the next one */
	const char *name;    /* in the file */
};

struct symbols {
	struct symbol *list; /* by address */
	size_t nr;
};

/* Reads them from an ELF image in memory, which must outlive s. Without a table s is empty. */
void symbols_load(struct symbols *s, const void *elf, size_t len);
void symbols_free(struct symbols *s);
/*
 * The symbol that covers addr: the nearest one below it whose size reaches it; else the nearest label
 * (a symbol without a size). NULL when there is none.
 */
const struct symbol *symbols_find(const struct symbols *s, uint64_t addr);
/* "name+0x12/0x40", or "" when no symbol covers addr. Only printable characters. Returns text. */
const char *symbols_name(const struct symbols *s, uint64_t addr, char *text, size_t size);

#endif
