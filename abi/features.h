/* SPDX-License-Identifier: MIT */
/*
 * Feature bits: of the answer to XENVER_get_features, and by name in XEN_ELFNOTE_FEATURES.
 *
 * Invariant: a bit number is never used again for something else.
 */
#ifndef ABI_FEATURES_H
#define ABI_FEATURES_H

#define XENFEAT_writable_page_tables       0 /* guests write their page tables themselves */
#define XENFEAT_writable_descriptor_tables 1 /* and their descriptor tables */
#define XENFEAT_auto_translated_physmap    2 /* frame numbers in page tables are pfns */
#define XENFEAT_supervisor_mode_kernel     3 /* the kernel runs in ring 0 */
#define XENFEAT_pae_pgdir_above_4gb        4 /* 32-bit: top tables may lie anywhere */
#define XENFEAT_mmu_pt_update_preserve_ad  5 /* MMU_PT_UPDATE_PRESERVE_AD works */
#define XENFEAT_highmem_assist             6 /* MMUEXT_CLEAR_PAGE and _COPY_PAGE work */
#define XENFEAT_gnttab_map_avail_bits      7 /* GNTMAP_guest_avail_mask is heeded */
#define XENFEAT_hvm_callback_vector        8 /* the next three: hardware VMs only */
#define XENFEAT_hvm_safe_pvclock           9
#define XENFEAT_hvm_pirqs                  10
#define XENFEAT_dom0                       11 /* in a kernel's notes: can be the privileged domain */
#define XENFEAT_memory_op_vnode_supported  13 /* XENMEMF_vnode works */
#define XENFEAT_ARM_SMCCC_supported        14
#define XENFEAT_linux_rsdp_unrestricted    15 /* in a kernel's notes: PVH tables may lie anywhere */
#define XENFEAT_not_direct_mapped          16 /* pfns and mfns differ */
#define XENFEAT_direct_mapped              17 /* pfns and mfns are equal */

#define XENFEAT_NR_SUBMAPS                 1

#endif /* ABI_FEATURES_H */
