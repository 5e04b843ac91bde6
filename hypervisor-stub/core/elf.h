/* SPDX-License-Identifier: MIT */
/*
 * A reader of ELF64 x86-64 files that lie in memory.
 *
 * Invariant: the file is hostile. Nothing of it is used before its place has been checked against
 * the length of the file, headers are handed out as copies, and no arithmetic on a number of the
 * file can overflow. Memory is never written.
 */
#ifndef HYPERVISOR_STUB_CORE_ELF_H
#define HYPERVISOR_STUB_CORE_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hv_elf {
	const uint8_t *data;
	size_t len;
	uint64_t entry; /* e_entry */
	uint64_t phoff, shoff;
	unsigned nr_phdrs, nr_shdrs;
	unsigned phentsize, shentsize; /* bytes; at least those of a header when there is one */
	unsigned shstrndx;
};

/* Writes a sentence's rest (fact, remedy) to why and returns rc, so that a check is one line. */
int hv_why(char *why, size_t why_len, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * hv_elf_open - checks the header and that both tables of headers lie in the file
 *
 * f:    out; refers to data, which must outlive it; undefined on failure
 * why:  out: "is ...; remedy", without the file's name
 *
 * Returns 0 or -EINVAL.
 * Source: System V ABI, "Object Files"; AMD64 supplement.
 */
int hv_elf_open(struct hv_elf *f, const void *data, size_t len, char *why, size_t why_len);

/* len bytes of the file from off on; NULL when they are not all there. */
const uint8_t *hv_elf_bytes(const struct hv_elf *f, uint64_t off, uint64_t len);
/* Header number i as a copy; false when there is none. */
bool hv_elf_phdr(const struct hv_elf *f, unsigned i, Elf64_Phdr *out);
bool hv_elf_shdr(const struct hv_elf *f, unsigned i, Elf64_Shdr *out);
/* The first section of that name; false when there is none. */
bool hv_elf_section(const struct hv_elf *f, const char *name, Elf64_Shdr *out);
/* The string at an offset of a string table; NULL unless it ends inside of the table. */
const char *hv_elf_string(const struct hv_elf *f, const Elf64_Shdr *table, uint64_t off);

struct hv_elf_note {
	const uint8_t *name; /* name_len bytes, the closing 0 among them */
	uint32_t name_len;
	uint32_t type;
	const uint8_t *desc;
	uint32_t desc_len;
};

/* The note at *pos of an area of notes. 1: *note is set and *pos behind it; 0: no more; -EINVAL. */
int hv_elf_note_next(const uint8_t *area, size_t len, size_t *pos, struct hv_elf_note *note);

#endif
