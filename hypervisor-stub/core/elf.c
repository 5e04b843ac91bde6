/* SPDX-License-Identifier: MIT */
/*
 * A reader of ELF64 x86-64 files that lie in memory; see elf.h for what it promises.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"

int hv_why(char *why, size_t why_len, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return rc;
}

const uint8_t *hv_elf_bytes(const struct hv_elf *f, uint64_t off, uint64_t len)
{
	if (off > f->len || len > f->len - off)
		return NULL;
	return f->data + off;
}

static bool has_magic(const struct hv_elf *f, uint64_t off, const char *magic, size_t len)
{
	const uint8_t *p = hv_elf_bytes(f, off, len);

	return p && !memcmp(p, magic, len);
}

/* Names the formats that people hand over instead of an ELF file. */
static int not_elf(const struct hv_elf *f, char *why, size_t why_len)
{
	static const struct {
		uint64_t off;
		const char *magic;
		size_t len;
		const char *what;
	} kinds[] = {
		{ 0x202, "HdrS", 4, "a bzImage" },
		{ 0, "\x1f\x8b", 2, "compressed by gzip" },
		{ 0,
		  "\xfd"
		  "7zXZ\0",
		  6, "compressed by xz" },
		{ 0, "\x28\xb5\x2f\xfd", 4, "compressed by zstd" },
		{ 0, "\x02\x21\x4c\x18", 4, "compressed by lz4" },
		{ 0, "BZh", 3, "compressed by bzip2" },
	};

	if (f->len == 0)
		return hv_why(why, why_len, -EINVAL, "is empty; build or copy it again");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (has_magic(f, kinds[i].off, kinds[i].magic, kinds[i].len))
			return hv_why(why, why_len, -EINVAL,
			              "is %s; unpack the ELF kernel in it first (Linux's "
			              "scripts/extract-vmlinux does it) and give that file",
			              kinds[i].what);
	}
	return hv_why(why, why_len, -EINVAL,
	              "is not an ELF file; give an ELF64 x86-64 kernel image");
}

static int check_kind(const Elf64_Ehdr *e, char *why, size_t why_len)
{
	if (e->e_ident[EI_CLASS] != ELFCLASS64)
		return hv_why(why, why_len, -EINVAL,
		              "is an ELF file of class %u, not 64-bit; build the kernel for x86-64",
		              e->e_ident[EI_CLASS]);
	if (e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_ident[EI_VERSION] != EV_CURRENT)
		return hv_why(why, why_len, -EINVAL,
		              "is not a little-endian ELF file of version 1; build the kernel for "
		              "x86-64");
	if (e->e_machine != EM_X86_64)
		return hv_why(why, why_len, -EINVAL,
		              "is for machine %u, not for x86-64 (%u); build the kernel for x86-64",
		              e->e_machine, EM_X86_64);
	if (e->e_type != ET_EXEC && e->e_type != ET_DYN)
		return hv_why(why, why_len, -EINVAL,
		              "is an ELF file of type %u, not an executable; link it", e->e_type);
	return 0;
}

/* One table of headers: its entries must be large enough and all in the file. */
static int check_table(const struct hv_elf *f, const char *what, uint64_t off, unsigned nr,
                       unsigned size, size_t least, char *why, size_t why_len)
{
	if (nr == 0)
		return 0;
	if (size < least)
		return hv_why(why, why_len, -EINVAL,
		              "has %s headers of %u bytes, less than %zu; build it again", what,
		              size, least);
	if (!hv_elf_bytes(f, off, (uint64_t)nr * size))
		return hv_why(why, why_len, -EINVAL,
		              "is truncated: %u %s headers at byte 0x%llx do not fit in a file of "
		              "%zu bytes; build or copy it again",
		              nr, what, (unsigned long long)off, f->len);
	return 0;
}

int hv_elf_open(struct hv_elf *f, const void *data, size_t len, char *why, size_t why_len)
{
	Elf64_Ehdr e;
	int rc;

	*f = (struct hv_elf){ .data = data, .len = len };
	if (!has_magic(f, 0, ELFMAG, SELFMAG))
		return not_elf(f, why, why_len);
	if (len < EI_NIDENT + 4)
		return hv_why(why, why_len, -EINVAL,
		              "is truncated in the ELF header; build or copy it again");
	memset(&e, 0, sizeof(e));
	memcpy(&e, data, len < sizeof(e) ? len : sizeof(e));
	rc = check_kind(&e, why, why_len);
	if (rc)
		return rc;
	if (len < sizeof(e))
		return hv_why(why, why_len, -EINVAL,
		              "is truncated in the ELF header; build or copy it again");

	f->entry = e.e_entry;
	f->phoff = e.e_phoff;
	f->phentsize = e.e_phentsize;
	f->nr_phdrs = e.e_phoff ? e.e_phnum : 0;
	f->shoff = e.e_shoff;
	f->shentsize = e.e_shentsize;
	f->nr_shdrs = e.e_shoff ? e.e_shnum : 0;
	f->shstrndx = e.e_shstrndx;
	rc = check_table(f, "program", f->phoff, f->nr_phdrs, f->phentsize, sizeof(Elf64_Phdr), why,
	                 why_len);
	if (rc)
		return rc;
	return check_table(f, "section", f->shoff, f->nr_shdrs, f->shentsize, sizeof(Elf64_Shdr),
	                   why, why_len);
}

bool hv_elf_phdr(const struct hv_elf *f, unsigned i, Elf64_Phdr *out)
{
	if (i >= f->nr_phdrs)
		return false;
	memcpy(out, f->data + f->phoff + (uint64_t)i * f->phentsize, sizeof(*out));
	return true;
}

bool hv_elf_shdr(const struct hv_elf *f, unsigned i, Elf64_Shdr *out)
{
	if (i >= f->nr_shdrs)
		return false;
	memcpy(out, f->data + f->shoff + (uint64_t)i * f->shentsize, sizeof(*out));
	return true;
}

const char *hv_elf_string(const struct hv_elf *f, const Elf64_Shdr *table, uint64_t off)
{
	const uint8_t *all;

	if (table->sh_type != SHT_STRTAB || off >= table->sh_size)
		return NULL;
	all = hv_elf_bytes(f, table->sh_offset, table->sh_size);
	if (!all || !memchr(all + off, 0, table->sh_size - off))
		return NULL;
	return (const char *)all + off;
}

bool hv_elf_section(const struct hv_elf *f, const char *name, Elf64_Shdr *out)
{
	Elf64_Shdr strings, s;

	if (!hv_elf_shdr(f, f->shstrndx, &strings))
		return false;
	for (unsigned i = 1; hv_elf_shdr(f, i, &s); i++) {
		const char *own = hv_elf_string(f, &strings, s.sh_name);

		if (own && !strcmp(own, name)) {
			*out = s;
			return true;
		}
	}
	return false;
}

static uint64_t round4(uint64_t n)
{
	return (n + 3) & ~UINT64_C(3);
}

int hv_elf_note_next(const uint8_t *area, size_t len, size_t *pos, struct hv_elf_note *note)
{
	uint64_t left = len - *pos, need;
	Elf64_Nhdr h;

	if (left < sizeof(h))
		return 0;
	memcpy(&h, area + *pos, sizeof(h));
	need = sizeof(h) + round4(h.n_namesz) + (uint64_t)h.n_descsz;
	if (need > left)
		return -EINVAL;
	note->name = area + *pos + sizeof(h);
	note->name_len = h.n_namesz;
	note->type = h.n_type;
	note->desc = note->name + round4(h.n_namesz);
	note->desc_len = h.n_descsz;
	need = sizeof(h) + round4(h.n_namesz) + round4(h.n_descsz);
	*pos += need < left ? need : left;
	return 1;
}
