/* SPDX-License-Identifier: MIT */
/*
 * ELF notes by which a kernel image tells the domain builder what it is. The name of each note is
 * "Xen"; numbers have 4 or 8 bytes, strings end with a 0.
 *
 * Notes are looked for in segments of type PT_NOTE; where there is none, in sections of type
 * SHT_NOTE.
 */
#ifndef ABI_ELFNOTE_H
#define ABI_ELFNOTE_H

#define XEN_ELFNOTE_INFO               0  /* string of name=value pairs; ignored */
#define XEN_ELFNOTE_ENTRY              1  /* address: the PV entry; else the ELF header's */
#define XEN_ELFNOTE_HYPERCALL_PAGE     2  /* address: page to be filled with hypercall entries */
#define XEN_ELFNOTE_VIRT_BASE          3  /* address at which pfn 0 is to appear; 0 */
#define XEN_ELFNOTE_PADDR_OFFSET       4  /* number: p_paddr minus this is pseudo-physical; 0 */
#define XEN_ELFNOTE_XEN_VERSION        5  /* string: "xen-3.0" */
#define XEN_ELFNOTE_GUEST_OS           6  /* string */
#define XEN_ELFNOTE_GUEST_VERSION      7  /* string */
#define XEN_ELFNOTE_LOADER             8  /* string: "generic" */
#define XEN_ELFNOTE_PAE_MODE           9  /* string; 32-bit kernels only */
#define XEN_ELFNOTE_FEATURES           10 /* string: names joined by '|', '!' marks a needed one */
#define XEN_ELFNOTE_BSD_SYMTAB         11 /* string "yes": load the symbol table after the image */
#define XEN_ELFNOTE_HV_START_LOW       12 /* address: the hypervisor may begin as low as this */
#define XEN_ELFNOTE_L1_MFN_VALID       13 /* pairs mask, value: L1 entries that hold an mfn */
#define XEN_ELFNOTE_SUSPEND_CANCEL     14 /* number: SHUTDOWN_suspend may return; 0 */
#define XEN_ELFNOTE_INIT_P2M           15 /* address: where the initial p2m is to be mapped */
#define XEN_ELFNOTE_MOD_START_PFN      16 /* number: the ramdisk need not be mapped; 0 */
#define XEN_ELFNOTE_SUPPORTED_FEATURES 17 /* number: bit per XENFEAT_*, added to FEATURES */
#define XEN_ELFNOTE_PHYS32_ENTRY       18 /* address: physical, of the PVH entry (abi/pvh.h) */
#define XEN_ELFNOTE_MAX                XEN_ELFNOTE_PHYS32_ENTRY

/* Notes in dumps. */
#define XEN_ELFNOTE_CRASH_INFO              0x1000001
#define XEN_ELFNOTE_CRASH_REGS              0x1000002
#define XEN_ELFNOTE_DUMPCORE_NONE           0x2000000
#define XEN_ELFNOTE_DUMPCORE_HEADER         0x2000001
#define XEN_ELFNOTE_DUMPCORE_XEN_VERSION    0x2000002
#define XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION 0x2000003

#endif /* ABI_ELFNOTE_H */
