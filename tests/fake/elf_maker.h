/* SPDX-License-Identifier: MIT */
/*
 * Makes small ELF64 kernel images in memory, good ones and broken ones.
 *
 * A maker starts as a correct image of one segment (8 KiB at 1 MiB) with the notes that a PV kernel
 * needs; a test changes fields, then calls elf_make(). What is changed after that, in the bytes
 * themselves, is the test's own affair.
 */
#ifndef TESTS_FAKE_ELF_MAKER_H
#define TESTS_FAKE_ELF_MAKER_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_MAKER_SEGMENTS 8
#define ELF_MAKER_NOTES    32
#define ELF_MAKER_SYMBOLS  16

struct elf_maker_note {
	const char *owner; /* NULL: "Xen" */
	uint32_t type;
	const char *text; /* a string note when not NULL */
	uint64_t number;
	unsigned size; /* bytes of a number; 0: the string */
};

struct elf_maker {
	Elf64_Ehdr ehdr;
	struct {
		uint64_t paddr, filesz, memsz;
		uint32_t flags;
		uint8_t fill; /* every byte of it in the file */
	} segment[ELF_MAKER_SEGMENTS];
	unsigned nr_segments;
	struct elf_maker_note note[ELF_MAKER_NOTES];
	unsigned nr_notes;
	int notes_in_section;      /* SHT_NOTE instead of PT_NOTE */
	const char *extra_section; /* a section of that name */
	const char *extra_text;    /* what it holds, without a closing 0; NULL: nothing */
	struct {
		const char *name;
		uint64_t value, size;
	} symbol[ELF_MAKER_SYMBOLS];
	unsigned nr_symbols;

	uint8_t *bytes; /* out */
	size_t len;
	size_t phoff, note_off; /* out: where they lie in bytes */
};

#define ELF_MAKER_BASE UINT64_C(0x100000)

void elf_maker_init(struct elf_maker *m);
void elf_maker_number(struct elf_maker *m, uint32_t type, uint64_t number);
void elf_maker_text(struct elf_maker *m, uint32_t type, const char *text);
void elf_maker_drop(struct elf_maker *m, uint32_t type); /* notes of that type */
void elf_make(struct elf_maker *m);
void elf_maker_free(struct elf_maker *m);

#endif
