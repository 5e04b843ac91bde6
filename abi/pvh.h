/* SPDX-License-Identifier: MIT */
/*
 * What a kernel finds when it is entered by XEN_ELFNOTE_PHYS32_ENTRY: 32-bit protected mode, no
 * paging, flat segments, interrupts off, ebx holding the physical address of a struct
 * hvm_start_info. Whoever loads the image writes it all; the kernel only reads.
 *
 * All addresses are physical; 0 means that there is none.
 */
#ifndef ABI_PVH_H
#define ABI_PVH_H

#include "abi/base.h"

#define XEN_HVM_START_MAGIC_VALUE 0x336ec578

/* hvm_memmap_table_entry.type, as in the memory map of a PC's firmware */
#define XEN_HVM_MEMMAP_TYPE_RAM      1
#define XEN_HVM_MEMMAP_TYPE_RESERVED 2
#define XEN_HVM_MEMMAP_TYPE_ACPI     3
#define XEN_HVM_MEMMAP_TYPE_NVS      4
#define XEN_HVM_MEMMAP_TYPE_UNUSABLE 5
#define XEN_HVM_MEMMAP_TYPE_DISABLED 6
#define XEN_HVM_MEMMAP_TYPE_PMEM     7

#ifndef __ASSEMBLY__

struct hvm_start_info {
	uint32_t magic;   /* XEN_HVM_START_MAGIC_VALUE */
	uint32_t version; /* 1; in version 0 the structure ends before memmap_paddr */
	uint32_t flags;   /* SIF_* */
	uint32_t nr_modules;
	uint64_t modlist_paddr; /* array of struct hvm_modlist_entry */
	uint64_t cmdline_paddr; /* string */
	uint64_t rsdp_paddr;    /* ACPI root */
	uint64_t memmap_paddr;  /* array of struct hvm_memmap_table_entry */
	uint32_t memmap_entries;
	uint32_t reserved; /* 0 */
};

struct hvm_modlist_entry {
	uint64_t paddr;
	uint64_t size; /* bytes */
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct hvm_memmap_table_entry {
	uint64_t addr;
	uint64_t size;     /* bytes */
	uint32_t type;     /* XEN_HVM_MEMMAP_TYPE_* */
	uint32_t reserved; /* 0 */
};

PV_ABI_SIZE(struct hvm_start_info, 56);
PV_ABI_FIELD(struct hvm_start_info, version, 4);
PV_ABI_FIELD(struct hvm_start_info, flags, 8);
PV_ABI_FIELD(struct hvm_start_info, nr_modules, 12);
PV_ABI_FIELD(struct hvm_start_info, modlist_paddr, 16);
PV_ABI_FIELD(struct hvm_start_info, cmdline_paddr, 24);
PV_ABI_FIELD(struct hvm_start_info, rsdp_paddr, 32);
PV_ABI_FIELD(struct hvm_start_info, memmap_paddr, 40);
PV_ABI_FIELD(struct hvm_start_info, memmap_entries, 48);
PV_ABI_FIELD(struct hvm_start_info, reserved, 52);
PV_ABI_SIZE(struct hvm_modlist_entry, 32);
PV_ABI_FIELD(struct hvm_modlist_entry, size, 8);
PV_ABI_FIELD(struct hvm_modlist_entry, cmdline_paddr, 16);
PV_ABI_FIELD(struct hvm_modlist_entry, reserved, 24);
PV_ABI_SIZE(struct hvm_memmap_table_entry, 24);
PV_ABI_FIELD(struct hvm_memmap_table_entry, size, 8);
PV_ABI_FIELD(struct hvm_memmap_table_entry, type, 16);
PV_ABI_FIELD(struct hvm_memmap_table_entry, reserved, 20);

#endif /* __ASSEMBLY__ */

#endif /* ABI_PVH_H */
