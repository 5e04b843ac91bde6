/* SPDX-License-Identifier: MIT */
/*
 * Makes small ELF64 kernel images in memory; see elf_maker.h.
 *
 * Order in the file: header, program headers, notes, segments, symbols, strings, section headers.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/elfnote.h"
#include "tests/fake/elf_maker.h"

#define ROOM (4u << 20)

void elf_maker_init(struct elf_maker *m)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->ehdr.e_ident, ELFMAG, SELFMAG);
	m->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	m->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	m->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	m->ehdr.e_type = ET_EXEC;
	m->ehdr.e_machine = EM_X86_64;
	m->ehdr.e_version = EV_CURRENT;
	m->ehdr.e_entry = ELF_MAKER_BASE;
	m->ehdr.e_ehsize = sizeof(Elf64_Ehdr);
	m->ehdr.e_phentsize = sizeof(Elf64_Phdr);
	m->ehdr.e_shentsize = sizeof(Elf64_Shdr);
	m->nr_segments = 1;
	m->segment[0].paddr = ELF_MAKER_BASE;
	m->segment[0].filesz = m->segment[0].memsz = 8192;
	m->segment[0].flags = PF_R | PF_W | PF_X;
	m->segment[0].fill = 0x90;
	elf_maker_text(m, XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
	elf_maker_text(m, XEN_ELFNOTE_LOADER, "generic");
	elf_maker_text(m, XEN_ELFNOTE_GUEST_OS, "test");
	elf_maker_number(m, XEN_ELFNOTE_VIRT_BASE, 0);
	elf_maker_number(m, XEN_ELFNOTE_ENTRY, ELF_MAKER_BASE + 16);
	elf_maker_number(m, XEN_ELFNOTE_HYPERCALL_PAGE, ELF_MAKER_BASE + 4096);
}

void elf_maker_number(struct elf_maker *m, uint32_t type, uint64_t number)
{
	m->note[m->nr_notes++] =
		(struct elf_maker_note){ .type = type, .number = number, .size = 8 };
}

void elf_maker_text(struct elf_maker *m, uint32_t type, const char *text)
{
	m->note[m->nr_notes++] = (struct elf_maker_note){ .type = type, .text = text };
}

void elf_maker_drop(struct elf_maker *m, uint32_t type)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->nr_notes; i++) {
		if (m->note[i].type != type)
			m->note[kept++] = m->note[i];
	}
	m->nr_notes = kept;
}

static size_t append(struct elf_maker *m, const void *src, size_t len)
{
	size_t at = m->len;

	if (src)
		memcpy(m->bytes + at, src, len);
	m->len += (len + 7) / 8 * 8;
	return at;
}

static void append4(struct elf_maker *m, const void *src, size_t len)
{
	memcpy(m->bytes + m->len, src, len);
	m->len += (len + 3) / 4 * 4;
}

static void append_notes(struct elf_maker *m)
{
	for (unsigned i = 0; i < m->nr_notes; i++) {
		const struct elf_maker_note *n = &m->note[i];
		const char *owner = n->owner ? n->owner : "Xen";
		Elf64_Nhdr h = { (uint32_t)strlen(owner) + 1, 0, n->type };

		h.n_descsz = n->size ? n->size : (uint32_t)strlen(n->text) + 1;
		append4(m, &h, sizeof(h));
		append4(m, owner, h.n_namesz);
		if (n->size)
			append4(m, &n->number, n->size <= 8 ? n->size : 8);
		else
			append4(m, n->text, h.n_descsz);
	}
}

/* Sections: null, names, notes or the extra one, symbols, their names. */
static void append_sections(struct elf_maker *m, size_t notes_len)
{
	static const char names[] = "\0.shstrtab\0.note\0.symtab\0.strtab\0";
	Elf64_Shdr sh[6] = { { 0 } };
	char strtab[1024] = "", all_names[256];
	Elf64_Sym sym[ELF_MAKER_SYMBOLS + 1] = { { 0 } };
	size_t used = 1, names_len = sizeof(names) - 1;

	memcpy(all_names, names, names_len);
	if (m->extra_section) {
		strcpy(all_names + names_len, m->extra_section);
		names_len += strlen(m->extra_section) + 1;
	}
	for (unsigned i = 0; i < m->nr_symbols; i++) {
		sym[i + 1].st_name = (uint32_t)used;
		sym[i + 1].st_value = m->symbol[i].value;
		sym[i + 1].st_size = m->symbol[i].size;
		sym[i + 1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
		sym[i + 1].st_shndx = 1;
		strcpy(strtab + used, m->symbol[i].name);
		used += strlen(m->symbol[i].name) + 1;
	}
	sh[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_STRTAB, .sh_size = names_len };
	sh[1].sh_offset = append(m, all_names, names_len);
	sh[2] = (Elf64_Shdr){ .sh_name = 11,
		              .sh_type = m->notes_in_section ? SHT_NOTE : SHT_NOBITS };
	sh[2].sh_offset = m->note_off;
	sh[2].sh_size = notes_len;
	sh[3] = (Elf64_Shdr){ .sh_name = 17, .sh_type = SHT_SYMTAB, .sh_link = 4 };
	sh[3].sh_size = (m->nr_symbols + 1) * sizeof(sym[0]);
	sh[3].sh_entsize = sizeof(sym[0]);
	sh[3].sh_offset = append(m, sym, sh[3].sh_size);
	sh[4] = (Elf64_Shdr){ .sh_name = 25, .sh_type = SHT_STRTAB, .sh_size = used };
	sh[4].sh_offset = append(m, strtab, used);
	sh[5] = (Elf64_Shdr){ .sh_name = sizeof(names) - 1, .sh_type = SHT_PROGBITS };
	if (m->extra_text) {
		sh[5].sh_size = strlen(m->extra_text);
		sh[5].sh_offset = append(m, m->extra_text, sh[5].sh_size);
	}
	m->ehdr.e_shnum = m->extra_section ? 6 : 5;
	m->ehdr.e_shstrndx = 1;
	m->ehdr.e_shoff = append(m, sh, m->ehdr.e_shnum * sizeof(sh[0]));
}

void elf_make(struct elf_maker *m)
{
	Elf64_Phdr ph[ELF_MAKER_SEGMENTS + 1] = { { 0 } };
	unsigned nr = 0;
	size_t notes_len;

	free(m->bytes);
	m->bytes = calloc(1, ROOM);
	m->len = 0;
	append(m, NULL, sizeof(m->ehdr));
	m->phoff = append(m, NULL, sizeof(ph));
	m->note_off = m->len;
	append_notes(m);
	notes_len = m->len - m->note_off;
	m->len = (m->len + 7) / 8 * 8;
	if (!m->notes_in_section)
		ph[nr++] = (Elf64_Phdr){ .p_type = PT_NOTE,
			                 .p_offset = m->note_off,
			                 .p_filesz = notes_len };
	for (unsigned i = 0; i < m->nr_segments; i++) {
		ph[nr] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = m->segment[i].flags };
		ph[nr].p_paddr = ph[nr].p_vaddr = m->segment[i].paddr;
		ph[nr].p_filesz = m->segment[i].filesz;
		ph[nr].p_memsz = m->segment[i].memsz;
		ph[nr].p_offset = m->len;
		if (m->len + m->segment[i].filesz < ROOM / 2) {
			memset(m->bytes + m->len, m->segment[i].fill, m->segment[i].filesz);
			append(m, NULL, m->segment[i].filesz);
		}
		nr++;
	}
	append_sections(m, notes_len);
	m->ehdr.e_phoff = m->phoff;
	m->ehdr.e_phnum = (uint16_t)nr;
	memcpy(m->bytes, &m->ehdr, sizeof(m->ehdr));
	memcpy(m->bytes + m->phoff, ph, sizeof(ph));
}

void elf_maker_free(struct elf_maker *m)
{
	free(m->bytes);
	m->bytes = NULL;
}
