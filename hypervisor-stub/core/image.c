/* SPDX-License-Identifier: MIT */
/*
 * What a PV kernel image says of itself: first the segments, then the notes, then whether the two
 * agree. The order matters: the checks at the end rely on both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/elfnote.h"
#include "abi/features.h"
#include "hypervisor-stub/core/image.h"
#include "hypervisor-stub/core/image_string.h"

#define PAGE_MASK UINT64_C(0xfff)
/* A file of a few MiB can hold a million notes; nobody needs more than these. */
#define MAX_NOTES 65536

typedef unsigned long long ull;

/* What the notes said, before it is checked. */
struct notes {
	uint64_t number[XEN_ELFNOTE_MAX + 1];
	bool has[XEN_ELFNOTE_MAX + 1];
	char loader[32], xen_version[32], bsd_symtab[8];
	unsigned seen; /* notes of any owner */
	unsigned xen;  /* notes of ours */
	bool old;      /* there were none, but the string that came before them */
};

struct parser {
	struct hv_image *img;
	struct notes n;
	uint64_t pstart, pend; /* as p_paddr counts */
	char *why;
	size_t why_len;
};

#define REFUSE(p, ...) hv_why((p)->why, (p)->why_len, -EINVAL, __VA_ARGS__)

/* ---- segments ------------------------------------------------------------------------------- */

static int check_segment(struct parser *p, unsigned i, const Elf64_Phdr *h)
{
	if (h->p_filesz > h->p_memsz)
		return REFUSE(p,
		              "has more bytes in segment %u (0x%llx) than its memory (0x%llx); "
		              "link it again",
		              i, (ull)h->p_filesz, (ull)h->p_memsz);
	if (!hv_elf_bytes(&p->img->elf, h->p_offset, h->p_filesz))
		return REFUSE(p,
		              "is truncated: segment %u needs 0x%llx bytes from byte 0x%llx on, "
		              "the file has 0x%zx; build or copy it again",
		              i, (ull)h->p_filesz, (ull)h->p_offset, p->img->elf.len);
	if (h->p_memsz > UINT64_MAX - PAGE_MASK - h->p_paddr)
		return REFUSE(p,
		              "has a segment %u that wraps around the end of memory (0x%llx bytes "
		              "at 0x%llx); link it again",
		              i, (ull)h->p_memsz, (ull)h->p_paddr);
	return 0;
}

/* Keeps physical addresses in segment[].va until the notes are known. */
static int add_segment(struct parser *p, unsigned i, const Elf64_Phdr *h)
{
	struct hv_image *img = p->img;

	if (img->nr_segments == HV_IMAGE_MAX_SEGMENTS)
		return REFUSE(p, "has more than %u loadable segments; link it into fewer",
		              HV_IMAGE_MAX_SEGMENTS);
	for (unsigned j = 0; j < img->nr_segments; j++) {
		const struct hv_image_segment *s = &img->segment[j];

		if (h->p_paddr < s->va + s->memsz && s->va < h->p_paddr + h->p_memsz)
			return REFUSE(p,
			              "has overlapping segments: segment %u (0x%llx bytes at "
			              "physical 0x%llx) runs into the one at 0x%llx; link it again",
			              i, (ull)h->p_memsz, (ull)h->p_paddr, (ull)s->va);
	}
	img->segment[img->nr_segments++] = (struct hv_image_segment){
		.va = h->p_paddr,
		.offset = h->p_offset,
		.filesz = h->p_filesz,
		.memsz = h->p_memsz,
	};
	if (h->p_paddr < p->pstart)
		p->pstart = h->p_paddr;
	if (h->p_paddr + h->p_memsz > p->pend)
		p->pend = h->p_paddr + h->p_memsz;
	return 0;
}

static int read_segments(struct parser *p)
{
	Elf64_Phdr h;
	int rc;

	p->pstart = UINT64_MAX;
	p->pend = 0;
	for (unsigned i = 0; hv_elf_phdr(&p->img->elf, i, &h); i++) {
		/* Xen loads only segments that somebody may access. */
		if (h.p_type != PT_LOAD || !(h.p_flags & (PF_R | PF_W | PF_X)) || h.p_memsz == 0)
			continue;
		rc = check_segment(p, i, &h);
		if (!rc)
			rc = add_segment(p, i, &h);
		if (rc)
			return rc;
	}
	if (p->img->nr_segments == 0)
		return REFUSE(p, "has no loadable segment; give a linked kernel image");
	return 0;
}

/* ---- notes ---------------------------------------------------------------------------------- */

/* Names in FEATURES, and which of them this hypervisor can promise to a PV domain. */
static const struct {
	const char *name;
	unsigned bit;
	bool have;
} features[] = {
	{ "writable_page_tables", XENFEAT_writable_page_tables, true },
	{ "writable_descriptor_tables", XENFEAT_writable_descriptor_tables, false },
	{ "auto_translated_physmap", XENFEAT_auto_translated_physmap, false },
	{ "supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel, false },
	{ "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb, true },
	{ "hvm_callback_vector", XENFEAT_hvm_callback_vector, false },
	{ "dom0", XENFEAT_dom0, false },
};

static int one_feature(struct parser *p, const char *name, size_t len)
{
	bool required = len > 0 && name[0] == '!';

	name += required;
	len -= required;
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (strlen(features[i].name) != len || memcmp(features[i].name, name, len))
			continue;
		p->img->features |= 1u << features[i].bit;
		if (!required)
			return 0;
		p->img->features_required |= 1u << features[i].bit;
		if (features[i].have)
			return 0;
		return REFUSE(p,
		              "requires the feature %s, which a PV domain does not get here; "
		              "build the kernel without that need",
		              features[i].name);
	}
	if (required)
		return REFUSE(p,
		              "requires the unknown feature '%.*s'; build the kernel without "
		              "that need",
		              len > 40 ? 40 : (int)len, name);
	return 0;
}

/* "a|!b|c": names joined by '|', a '!' marks what the kernel cannot do without. */
static int parse_features(struct parser *p, const struct hv_elf_note *note)
{
	const char *s = (const char *)note->desc;
	size_t len = strnlen(s, note->desc_len), at = 0;

	while (at < len) {
		const char *bar = memchr(s + at, '|', len - at);
		size_t n = bar ? (size_t)(bar - s) - at : len - at;
		int rc = one_feature(p, s + at, n);

		if (rc)
			return rc;
		at += n + 1;
	}
	return 0;
}

/* A printable copy of a string note, cut to size. */
static void copy_string(char *dst, size_t size, const struct hv_elf_note *note)
{
	size_t len = strnlen((const char *)note->desc, note->desc_len);

	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		dst[i] = note->desc[i] >= ' ' && note->desc[i] < 0x7f ? (char)note->desc[i] : '?';
	dst[len] = 0;
}

enum note_kind { NOTE_OTHER, NOTE_NUMBER, NOTE_STRING };

static const struct {
	const char *name;
	enum note_kind kind;
} note_kinds[XEN_ELFNOTE_MAX + 1] = {
	[XEN_ELFNOTE_INFO] = { "INFO", NOTE_OTHER },
	[XEN_ELFNOTE_ENTRY] = { "ENTRY", NOTE_NUMBER },
	[XEN_ELFNOTE_HYPERCALL_PAGE] = { "HYPERCALL_PAGE", NOTE_NUMBER },
	[XEN_ELFNOTE_VIRT_BASE] = { "VIRT_BASE", NOTE_NUMBER },
	[XEN_ELFNOTE_PADDR_OFFSET] = { "PADDR_OFFSET", NOTE_NUMBER },
	[XEN_ELFNOTE_XEN_VERSION] = { "XEN_VERSION", NOTE_STRING },
	[XEN_ELFNOTE_GUEST_OS] = { "GUEST_OS", NOTE_STRING },
	[XEN_ELFNOTE_GUEST_VERSION] = { "GUEST_VERSION", NOTE_STRING },
	[XEN_ELFNOTE_LOADER] = { "LOADER", NOTE_STRING },
	[XEN_ELFNOTE_PAE_MODE] = { "PAE_MODE", NOTE_OTHER },
	[XEN_ELFNOTE_FEATURES] = { "FEATURES", NOTE_STRING },
	[XEN_ELFNOTE_BSD_SYMTAB] = { "BSD_SYMTAB", NOTE_STRING },
	[XEN_ELFNOTE_HV_START_LOW] = { "HV_START_LOW", NOTE_NUMBER },
	[XEN_ELFNOTE_L1_MFN_VALID] = { "L1_MFN_VALID", NOTE_OTHER },
	[XEN_ELFNOTE_SUSPEND_CANCEL] = { "SUSPEND_CANCEL", NOTE_NUMBER },
	[XEN_ELFNOTE_INIT_P2M] = { "INIT_P2M", NOTE_NUMBER },
	[XEN_ELFNOTE_MOD_START_PFN] = { "MOD_START_PFN", NOTE_NUMBER },
	[XEN_ELFNOTE_SUPPORTED_FEATURES] = { "SUPPORTED_FEATURES", NOTE_NUMBER },
	[XEN_ELFNOTE_PHYS32_ENTRY] = { "PHYS32_ENTRY", NOTE_NUMBER },
};

static int number_note(struct parser *p, const struct hv_elf_note *note)
{
	const char *name = note_kinds[note->type].name;
	uint64_t v = 0;

	if (note->desc_len != 4 && note->desc_len != 8)
		return REFUSE(p,
		              "has a note %s of %u bytes where a number has 4 or 8; build it again",
		              name, note->desc_len);
	memcpy(&v, note->desc, note->desc_len);
	if (p->n.has[note->type] && p->n.number[note->type] != v)
		return REFUSE(p,
		              "has two notes %s that contradict each other (0x%llx and 0x%llx); "
		              "leave one",
		              name, (ull)p->n.number[note->type], (ull)v);
	p->n.number[note->type] = v;
	return 0;
}

static int string_note(struct parser *p, const struct hv_elf_note *note)
{
	switch (note->type) {
	case XEN_ELFNOTE_FEATURES:
		return parse_features(p, note);
	case XEN_ELFNOTE_LOADER:
		copy_string(p->n.loader, sizeof(p->n.loader), note);
		break;
	case XEN_ELFNOTE_XEN_VERSION:
		copy_string(p->n.xen_version, sizeof(p->n.xen_version), note);
		break;
	case XEN_ELFNOTE_BSD_SYMTAB:
		copy_string(p->n.bsd_symtab, sizeof(p->n.bsd_symtab), note);
		break;
	case XEN_ELFNOTE_GUEST_OS:
		copy_string(p->img->guest_os, sizeof(p->img->guest_os), note);
		break;
	case XEN_ELFNOTE_GUEST_VERSION:
		copy_string(p->img->guest_version, sizeof(p->img->guest_version), note);
		break;
	default:
		break;
	}
	return 0;
}

static int one_note(struct parser *p, const struct hv_elf_note *note)
{
	int rc = 0;

	if (note->name_len != 4 || memcmp(note->name, "Xen", 4) || note->type > XEN_ELFNOTE_MAX)
		return 0;
	p->n.xen++;
	if (note_kinds[note->type].kind == NOTE_NUMBER)
		rc = number_note(p, note);
	else if (note_kinds[note->type].kind == NOTE_STRING)
		rc = string_note(p, note);
	p->n.has[note->type] = true;
	return rc;
}

static int read_note_area(struct parser *p, uint64_t off, uint64_t len)
{
	const uint8_t *area = hv_elf_bytes(&p->img->elf, off, len);
	struct hv_elf_note note;
	size_t pos = 0;
	int rc;

	if (!area)
		return REFUSE(p,
		              "is truncated: 0x%llx bytes of notes at byte 0x%llx are not in the "
		              "file; build or copy it again",
		              (ull)len, (ull)off);
	while ((rc = hv_elf_note_next(area, len, &pos, &note)) == 1) {
		if (++p->n.seen > MAX_NOTES)
			return REFUSE(p, "has more than %u notes; link it with fewer", MAX_NOTES);
		rc = one_note(p, &note);
		if (rc)
			return rc;
	}
	if (rc)
		return REFUSE(p,
		              "has a note that runs past the end of its %llu bytes of notes; "
		              "build it again",
		              (ull)len);
	return 0;
}

/* A pair of the old string, as the note that says the same. */
static int one_pair(struct parser *p, const struct hv_image_pair *pair)
{
	struct hv_elf_note note = { .name = (const uint8_t *)"Xen",
		                    .name_len = 4,
		                    .desc = (const uint8_t *)pair->value,
		                    .desc_len = (uint32_t)strlen(pair->value) };
	bool is_page = false;
	int type = hv_image_pair_type(pair, &is_page);
	uint64_t number;

	if (type < 0)
		return 0;
	note.type = (uint32_t)type;
	if (note_kinds[type].kind == NOTE_NUMBER) {
		number = strtoull(pair->value, NULL, 0);
		if (is_page)
			number = (number << 12) + p->n.number[XEN_ELFNOTE_VIRT_BASE];
		note.desc = (const uint8_t *)&number;
		note.desc_len = sizeof(number);
	} else if (type == XEN_ELFNOTE_BSD_SYMTAB) {
		note.desc = (const uint8_t *)"yes"; /* here the name alone asks for it */
		note.desc_len = 3;
	}
	return one_note(p, &note);
}

static int read_old_string(struct parser *p, const Elf64_Shdr *sh)
{
	const uint8_t *s = hv_elf_bytes(&p->img->elf, sh->sh_offset, sh->sh_size);
	struct hv_image_pair pair;
	size_t pos = 0;
	int rc = 0;

	if (!s)
		return REFUSE(p, "is truncated: its section __xen_guest is not in the file; build "
		                 "or copy it again");
	p->n.old = true;
	while (!rc && hv_image_pair_next(s, sh->sh_size, &pos, &pair)) {
		if (++p->n.seen > MAX_NOTES)
			return REFUSE(p, "says more than %u things in __xen_guest; build it again",
			              MAX_NOTES);
		rc = one_pair(p, &pair);
	}
	return rc;
}

/* Segments of notes, or sections when no segment had a note of ours, or the string before notes. */
static int read_notes(struct parser *p)
{
	Elf64_Phdr ph;
	Elf64_Shdr sh;
	int rc;

	for (unsigned i = 0; hv_elf_phdr(&p->img->elf, i, &ph); i++) {
		/* Some linkers leave a note segment without a place in the file. */
		if (ph.p_type != PT_NOTE || ph.p_offset == 0)
			continue;
		rc = read_note_area(p, ph.p_offset, ph.p_filesz);
		if (rc)
			return rc;
	}
	for (unsigned i = 1; p->n.xen == 0 && hv_elf_shdr(&p->img->elf, i, &sh); i++) {
		if (sh.sh_type != SHT_NOTE)
			continue;
		rc = read_note_area(p, sh.sh_offset, sh.sh_size);
		if (rc)
			return rc;
	}
	if (p->n.xen)
		return 0;
	if (hv_elf_section(&p->img->elf, "__xen_guest", &sh))
		return read_old_string(p, &sh);
	return REFUSE(p, "has no Xen ELF notes, so it is no PV kernel; link it with the guest "
	                 "library (docs/porting.md)");
}

/* ---- do they agree? ------------------------------------------------------------------------- */

static int check_identity(struct parser *p)
{
	const struct notes *n = &p->n;

	if (strncmp(n->loader, "generic", 7) && strncmp(p->img->guest_os, "linux", 5)) {
		if (n->has[XEN_ELFNOTE_PHYS32_ENTRY] && !n->has[XEN_ELFNOTE_LOADER])
			return REFUSE(p, "can only be entered by PVH (PHYS32_ENTRY), not as a PV "
			                 "kernel; build it with its PV entry");
		return REFUSE(p,
		              "names the loader '%s' in its notes, not 'generic'; set the note "
		              "LOADER",
		              n->loader);
	}
	if (strncmp(n->xen_version, "xen-3.0", 7))
		return REFUSE(p,
		              "is for the interface '%s', not 'xen-3.0'; set the note XEN_VERSION",
		              n->xen_version);
	return 0;
}

/* Turns physical addresses into virtual ones. */
static int place(struct parser *p)
{
	struct hv_image *img = p->img;
	uint64_t offset = p->n.number[XEN_ELFNOTE_PADDR_OFFSET];

	img->virt_base = p->n.number[XEN_ELFNOTE_VIRT_BASE];
	/* Kernels of the old string have virtual addresses in p_paddr unless they say otherwise. */
	if (p->n.old && !p->n.has[XEN_ELFNOTE_PADDR_OFFSET])
		offset = img->virt_base;
	if (p->n.has[XEN_ELFNOTE_PADDR_OFFSET] && !p->n.has[XEN_ELFNOTE_VIRT_BASE])
		return REFUSE(p, "has the note PADDR_OFFSET but not VIRT_BASE; add VIRT_BASE");
	if (img->virt_base & PAGE_MASK)
		return REFUSE(p,
		              "has a VIRT_BASE (0x%llx) inside a page; set it to a page boundary",
		              (ull)img->virt_base);
	if (offset > p->pstart)
		return REFUSE(p,
		              "has a PADDR_OFFSET (0x%llx) above its lowest segment (0x%llx): the "
		              "notes contradict the segments; correct one of them",
		              (ull)offset, (ull)p->pstart);
	if ((p->pstart - offset) & PAGE_MASK)
		return REFUSE(p, "begins inside a page (0x%llx); link it at a page boundary",
		              (ull)(p->pstart - offset));
	if (p->pend - offset > UINT64_MAX - PAGE_MASK - img->virt_base)
		return REFUSE(p,
		              "ends beyond the address space (VIRT_BASE 0x%llx, last byte at "
		              "0x%llx behind it); link it lower",
		              (ull)img->virt_base, (ull)(p->pend - offset));
	for (unsigned i = 0; i < img->nr_segments; i++)
		img->segment[i].va += img->virt_base - offset;
	img->kstart = p->pstart - offset + img->virt_base;
	img->kend = p->pend - offset + img->virt_base;
	return 0;
}

static int check_addresses(struct parser *p)
{
	struct hv_image *img = p->img;
	const struct notes *n = &p->n;
	const uint64_t *number = n->number;

	img->entry = n->has[XEN_ELFNOTE_ENTRY] ? number[XEN_ELFNOTE_ENTRY] : img->elf.entry;
	if (img->entry < img->kstart || img->entry >= img->kend)
		return REFUSE(p,
		              "has its entry (0x%llx, from %s) outside of what it loads (0x%llx to "
		              "0x%llx); correct the note ENTRY, VIRT_BASE or the link address",
		              (ull)img->entry,
		              n->has[XEN_ELFNOTE_ENTRY] ? "the note ENTRY" : "the ELF header",
		              (ull)img->kstart, (ull)img->kend);

	img->hypercall_page = HV_IMAGE_UNSET;
	if (n->has[XEN_ELFNOTE_HYPERCALL_PAGE]) {
		img->hypercall_page = number[XEN_ELFNOTE_HYPERCALL_PAGE];
		if ((img->hypercall_page & PAGE_MASK) || img->hypercall_page < img->kstart ||
		    img->hypercall_page >= img->kend)
			return REFUSE(p,
			              "has a HYPERCALL_PAGE (0x%llx) that is no page of what it "
			              "loads (0x%llx to 0x%llx); correct the note",
			              (ull)img->hypercall_page, (ull)img->kstart, (ull)img->kend);
	}

	img->init_p2m = HV_IMAGE_UNSET;
	if (n->has[XEN_ELFNOTE_INIT_P2M]) {
		img->init_p2m = number[XEN_ELFNOTE_INIT_P2M];
		if (img->init_p2m >= img->kstart && img->init_p2m < img->kend)
			return REFUSE(
				p,
				"has an INIT_P2M (0x%llx) inside of what it loads (0x%llx to "
				"0x%llx): the notes contradict the segments; correct the note",
				(ull)img->init_p2m, (ull)img->kstart, (ull)img->kend);
	}
	return 0;
}

/* ---- BSD_SYMTAB ----------------------------------------------------------------------------- */

static uint64_t round8(uint64_t n)
{
	return (n + 7) & ~UINT64_C(7);
}

static bool find_symtab(const struct hv_elf *f, struct hv_image_symtab *t)
{
	for (unsigned i = 1; hv_elf_shdr(f, i, &t->symbols); i++) {
		if (t->symbols.sh_type != SHT_SYMTAB)
			continue;
		return hv_elf_shdr(f, t->symbols.sh_link, &t->strings) &&
		       t->strings.sh_type == SHT_STRTAB &&
		       hv_elf_bytes(f, t->symbols.sh_offset, t->symbols.sh_size) &&
		       hv_elf_bytes(f, t->strings.sh_offset, t->strings.sh_size);
	}
	return false;
}

/* Makes room for it behind the segments. A file without a table gets none, as with Xen. */
static int place_symtab(struct parser *p)
{
	struct hv_image_symtab *t = &p->img->symtab;
	uint64_t end;

	t->va = HV_IMAGE_UNSET;
	if (strcmp(p->n.bsd_symtab, "yes") || !find_symtab(&p->img->elf, t))
		return 0;
	/* Sizes are those of parts of a file in memory: their sum cannot wrap, the address could. */
	end = round8(HV_SYMTAB_HEADER) + round8(t->symbols.sh_size) + round8(t->strings.sh_size);
	if (end > UINT64_MAX - 2 * PAGE_MASK - p->img->kend)
		return REFUSE(p,
		              "has no room for its symbol table (BSD_SYMTAB) below the end of the "
		              "address space; link it lower");
	t->va = round8(p->img->kend);
	t->symbols_va = t->va + round8(HV_SYMTAB_HEADER);
	t->strings_va = t->symbols_va + round8(t->symbols.sh_size);
	p->img->kend = t->va + end;
	return 0;
}

void hv_image_symtab_header(const struct hv_image *img, uint8_t out[HV_SYMTAB_HEADER])
{
	const struct hv_image_symtab *t = &img->symtab;
	uint64_t elf_va = t->va + 4;
	uint32_t len = (uint32_t)(t->strings_va + t->strings.sh_size - elf_va);
	Elf64_Shdr section[3] = { { 0 }, t->symbols, t->strings };
	Elf64_Ehdr e;

	memcpy(&e, img->elf.data, sizeof(e));
	e.e_version = EV_CURRENT;
	e.e_ehsize = sizeof(e);
	e.e_phoff = 0;
	e.e_phnum = e.e_phentsize = 0;
	e.e_shoff = sizeof(e);
	e.e_shnum = 3;
	e.e_shentsize = sizeof(section[0]);
	e.e_shstrndx = 0;
	section[1].sh_offset = t->symbols_va - elf_va;
	section[1].sh_link = 2;
	section[2].sh_offset = t->strings_va - elf_va;
	memcpy(out, &len, sizeof(len));
	memcpy(out + 4, &e, sizeof(e));
	memcpy(out + 4 + sizeof(e), section, sizeof(section));
}

int hv_image_parse(struct hv_image *img, const void *data, size_t len, char *why, size_t why_len)
{
	struct parser p = { .img = img, .why = why, .why_len = why_len };
	int rc;

	memset(img, 0, sizeof(*img));
	rc = hv_elf_open(&img->elf, data, len, why, why_len);
	if (!rc)
		rc = read_segments(&p);
	if (!rc)
		rc = read_notes(&p);
	if (!rc)
		rc = check_identity(&p);
	if (!rc)
		rc = place(&p);
	if (!rc)
		rc = check_addresses(&p);
	if (!rc)
		rc = place_symtab(&p);
	if (rc)
		return rc;
	img->mod_start_pfn = p.n.number[XEN_ELFNOTE_MOD_START_PFN] != 0;
	img->suspend_cancel = p.n.number[XEN_ELFNOTE_SUSPEND_CANCEL] != 0;
	img->features |= (uint32_t)p.n.number[XEN_ELFNOTE_SUPPORTED_FEATURES];
	return 0;
}
