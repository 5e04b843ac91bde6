/* SPDX-License-Identifier: MIT */
/*
 * What a PV kernel image says of itself: its notes, where it loads, where it is entered.
 *
 * Invariant: a struct hv_image that hv_image_parse() filled agrees with itself. Its segments lie in
 * the file, do not overlap, and span [kstart, kend) without a wrap; the entry, the hypercall page
 * and the place of the p2m do not contradict them. What depends on the domain's size is layout.h's.
 */
#ifndef HYPERVISOR_STUB_CORE_IMAGE_H
#define HYPERVISOR_STUB_CORE_IMAGE_H

#include "hypervisor-stub/core/elf.h"

#define HV_IMAGE_UNSET        (~UINT64_C(0)) /* an address that the image does not name */
#define HV_IMAGE_MAX_SEGMENTS 64

/* Bytes of the file that load to a virtual address; memsz >= filesz, the rest is zero. */
struct hv_image_segment {
	uint64_t va, offset, filesz, memsz;
};

/*
 * A kernel with the note BSD_SYMTAB finds its own symbol table behind its segments: 4 bytes of
 * length, a small ELF file's header with three section headers, then symbols and strings.
 */
#define HV_SYMTAB_HEADER (4 + 64 + 3 * 64)

struct hv_image_symtab {
	uint64_t va; /* 8-byte aligned; HV_IMAGE_UNSET: none is wanted, or there is none */
	Elf64_Shdr symbols, strings;     /* as in the file; both lie in it */
	uint64_t symbols_va, strings_va; /* where their contents go */
};

struct hv_image {
	struct hv_elf elf;
	struct hv_image_segment segment[HV_IMAGE_MAX_SEGMENTS];
	unsigned nr_segments;

	uint64_t virt_base;      /* address of pfn 0 in the initial mapping */
	uint64_t kstart, kend;   /* addresses; kstart is page-aligned, kend is not included */
	uint64_t entry;          /* address of the first instruction */
	uint64_t hypercall_page; /* address, or HV_IMAGE_UNSET */
	uint64_t init_p2m;       /* address, or HV_IMAGE_UNSET */
	struct hv_image_symtab symtab;
	bool mod_start_pfn; /* the ramdisk need not be mapped */
	bool suspend_cancel;
	uint32_t features;          /* bits XENFEAT_* that it can live with */
	uint32_t features_required; /* bits XENFEAT_* that it cannot live without */
	char guest_os[32], guest_version[32];
};

/*
 * hv_image_parse - reads and checks an image that lies in memory
 *
 * img:  out; refers to data, which must outlive it; undefined on failure
 * why:  out: fact and remedy, without the file's name
 *
 * Returns 0 or -EINVAL.
 * Source: Xen public/elfnote.h; the rules are those of Xen's libelf and domain builder.
 */
int hv_image_parse(struct hv_image *img, const void *data, size_t len, char *why, size_t why_len);

/* Writes what goes to img->symtab.va, when there is such a place. */
void hv_image_symtab_header(const struct hv_image *img, uint8_t out[HV_SYMTAB_HEADER]);

#endif
