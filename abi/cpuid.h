/* SPDX-License-Identifier: MIT */
/*
 * How a guest finds the hypervisor: CPUID leaves from 0x40000000 on, and the prefix that makes CPUID
 * ask the hypervisor although the instruction does not trap.
 *
 * Invariant: the leaves are the same ones under the prefix and, where the engine can intercept
 * CPUID, without it. A guest that wants to be told the truth uses the prefix.
 *
 *   leaf        eax                       ebx               ecx              edx
 *   0x40000000  highest leaf              "XenV"            "MMXe"           "nVMM"
 *   0x40000001  major << 16 | minor       0                 0                0
 *   0x40000002  hypercall pages: 1        base of MSRs      FEAT1            0
 *   0x40000003  see docs/abi.md: the TSC, by sub-leaf
 *   0x40000004  hardware VMs only
 *   0x40000005  highest sub-leaf          address width     0                0
 */
#ifndef ABI_CPUID_H
#define ABI_CPUID_H

#include "abi/base.h"

#define XEN_CPUID_FIRST_LEAF    0x40000000
#define XEN_CPUID_LEAF(i)       (XEN_CPUID_FIRST_LEAF + (i))

#define XEN_CPUID_SIGNATURE_EBX 0x566e6558
#define XEN_CPUID_SIGNATURE_ECX 0x65584d4d
#define XEN_CPUID_SIGNATURE_EDX 0x4d4d566e

/* Leaf 2, ecx. */
#define _XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD 0
#define XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD  (xen_mk_uint(1) << 0)

/* Leaf 4, eax: hardware VMs only. */
#define XEN_HVM_CPUID_APIC_ACCESS_VIRT (xen_mk_uint(1) << 0)
#define XEN_HVM_CPUID_X2APIC_VIRT      (xen_mk_uint(1) << 1)
#define XEN_HVM_CPUID_IOMMU_MAPPINGS   (xen_mk_uint(1) << 2)
#define XEN_HVM_CPUID_VCPU_ID_PRESENT  (xen_mk_uint(1) << 3)
#define XEN_HVM_CPUID_DOMID_PRESENT    (xen_mk_uint(1) << 4)
#define XEN_HVM_CPUID_EXT_DEST_ID      (xen_mk_uint(1) << 5)
#define XEN_HVM_CPUID_UPCALL_VECTOR    (xen_mk_uint(1) << 6)

/* Leaf 5, ebx. */
#define XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK 0xff

#define XEN_CPUID_MAX_NUM_LEAVES             5

/* ud2, then "xen": in front of cpuid it is an order to the hypervisor. */
#ifdef __ASSEMBLY__
#define XEN_EMULATE_PREFIX .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e;
#define XEN_CPUID          XEN_EMULATE_PREFIX cpuid
#else
#define XEN_EMULATE_PREFIX ".byte 0x0f,0x0b,0x78,0x65,0x6e ; "
#define XEN_CPUID          XEN_EMULATE_PREFIX "cpuid"
#endif

/* Port to which hardware VMs write characters for the hypervisor's console. */
#define XEN_HVM_DEBUGCONS_IOPORT 0xe9

#endif /* ABI_CPUID_H */
