/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses; see symbols.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/symbols.h"

#define MAX_NAME    200
#define MAX_LABELS  64    /* labels that may lie between a function's start and an address in it */
#define LABEL_REACH 65536 /* bytes behind a label that may still belong to it */
#define MAX_SYMBOLS (UINT64_C(1) << 22)

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	/* Of several at one place the longest wins a search, as it comes last. */
	return x->size < y->size ? -1 : x->size > y->size;
}

/* Something that an address can be in: a function, a table, a label of the assembler. */
static int is_place(const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE) &&
	       sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS && sym->st_name != 0;
}

static void read_table(struct symbols *s, const struct hv_elf *f, const Elf64_Shdr *table,
                       const Elf64_Shdr *names)
{
	size_t nr = table->sh_size / sizeof(Elf64_Sym);
	const uint8_t *at = hv_elf_bytes(f, table->sh_offset, table->sh_size);
	const uint8_t *text = hv_elf_bytes(f, names->sh_offset, names->sh_size);

	/* A string table ends with a 0, so that every name in it ends. */
	if (!at || !text || names->sh_size == 0 || text[names->sh_size - 1] != 0)
		return;
	if (nr > MAX_SYMBOLS)
		nr = MAX_SYMBOLS;
	s->list = calloc(nr + 1, sizeof(*s->list));
	for (size_t i = 0; s->list && i < nr; i++) {
		Elf64_Sym sym;

		memcpy(&sym, at + i * sizeof(sym), sizeof(sym));
		if (!is_place(&sym) || sym.st_name >= names->sh_size)
			continue;
		s->list[s->nr++] = (struct symbol){
			.addr = sym.st_value,
			.size = sym.st_size,
			.name = (const char *)text + sym.st_name,
		};
	}
	if (s->nr)
		qsort(s->list, s->nr, sizeof(*s->list), by_address);
}

void symbols_load(struct symbols *s, const void *elf, size_t len)
{
	Elf64_Shdr table, names;
	struct hv_elf f;
	char why[256];

	*s = (struct symbols){ NULL, 0 };
	if (hv_elf_open(&f, elf, len, why, sizeof(why)))
		return;
	for (unsigned i = 1; hv_elf_shdr(&f, i, &table); i++) {
		if (table.sh_type != SHT_SYMTAB || table.sh_entsize != sizeof(Elf64_Sym))
			continue;
		if (hv_elf_shdr(&f, table.sh_link, &names) && names.sh_type == SHT_STRTAB)
			read_table(s, &f, &table, &names);
		return;
	}
}

void symbols_free(struct symbols *s)
{
	free(s->list);
	*s = (struct symbols){ NULL, 0 };
}

/* How many symbols lie at or below addr. */
static size_t count_below(const struct symbols *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->list[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct symbol *symbols_find(const struct symbols *s, uint64_t addr)
{
	const struct symbol *label = NULL;
	size_t n = count_below(s, addr);

	for (size_t i = 0; i < MAX_LABELS && i < n; i++) {
		const struct symbol *sym = &s->list[n - 1 - i];

		if (sym->size && addr - sym->addr < sym->size)
			return sym;
		/* Behind the end of a sized symbol a label further down says nothing. */
		if (sym->size)
			break;
		if (!label && addr - sym->addr < LABEL_REACH)
			label = sym;
	}
	return label;
}

const char *symbols_name(const struct symbols *s, uint64_t addr, char *text, size_t size)
{
	const struct symbol *sym = symbols_find(s, addr);
	char name[MAX_NAME + 1];
	size_t n;

	text[0] = 0;
	if (!sym)
		return text;
	for (n = 0; n < MAX_NAME && sym->name[n]; n++)
		name[n] = sym->name[n] > ' ' && sym->name[n] < 0x7f ? sym->name[n] : '?';
	name[n] = 0;
	if (sym->size)
		snprintf(text, size, "%s+0x%llx/0x%llx", name,
		         (unsigned long long)(addr - sym->addr), (unsigned long long)sym->size);
	else
		snprintf(text, size, "%s+0x%llx", name, (unsigned long long)(addr - sym->addr));
	return text;
}
