/* SPDX-License-Identifier: MIT */
/*
 * The page that the guest's kernel processes and we share while a guest is run natively (as if at
 * ring 0): what of the CPU's state code in the guest's processes reads and writes in place.
 *
 * It begins with the engine's vcpu_info: its "pending" is the request of the interrupt controllers,
 * its "mask" is the interrupt flag turned round, and so a kick stops a guest that takes interrupts and
 * leaves alone one that does not. The page lies at PE_WINDOW, and once more at FV_AREA, near the
 * kernel's code, before the patches (patch.c). Its guest-physical page is in the hole where a PC has
 * the ROMs of its cards.
 *
 * The guest's kernel can write all of it: nothing here is believed, it harms itself.
 * Usable from assembly.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_NATIVE_PAGE_H
#define HYPERVISOR_STUB_FULLVIRT_NATIVE_PAGE_H

#include "hypervisor-stub/engines/process/native.h"

#define FV_AREA        0xc7000 /* guest-physical, and virtual where the tables leave it free */
#define FV_AREA_END    0xf0000
#define FV_PATCHES     0xc8000

#define NATIVE_PENDING 0x000 /* u8, u8: of struct vcpu_info */
#define NATIVE_MASK    0x001
#define NATIVE_KGS     0x100 /* u64: MSR_KERNEL_GS_BASE */
#define NATIVE_CR0     0x108 /* u64: what reads in place show */
#define NATIVE_CR2     0x110
#define NATIVE_CR3     0x118
#define NATIVE_CR4     0x120
#define NATIVE_RIP     0x128 /* u64: the instruction that an exit or a return in place is about */
/* NATIVE_T1 of native.h: u64, u64, u64: of a patch under way; the first is rcx on its way out. */
#define NATIVE_T2     0x138
#define NATIVE_T3     0x140
#define NATIVE_EXIT   0x148 /* u64: addresses in the trampoline, that patches jump through */
#define NATIVE_IRET   0x150
#define NATIVE_SYSRET 0x158

#ifndef __ASSEMBLY__

#include <stddef.h>
#include <stdint.h>

#include "abi/xen.h"

struct fv_native {
	struct vcpu_info info;
	uint8_t pad[NATIVE_KGS - sizeof(struct vcpu_info)];
	uint64_t kernel_gs;
	uint64_t cr0, cr2, cr3, cr4;
	uint64_t rip;
	uint64_t scratch[3];
	uint64_t exit, iret, sysret;
};

_Static_assert(offsetof(struct fv_native, info.evtchn_upcall_pending) == NATIVE_PENDING, "pending");
_Static_assert(offsetof(struct fv_native, info.evtchn_upcall_mask) == NATIVE_MASK, "mask");
_Static_assert(offsetof(struct fv_native, kernel_gs) == NATIVE_KGS, "kernel_gs");
_Static_assert(offsetof(struct fv_native, cr2) == NATIVE_CR2, "cr2");
_Static_assert(offsetof(struct fv_native, cr4) == NATIVE_CR4, "cr4");
_Static_assert(offsetof(struct fv_native, rip) == NATIVE_RIP, "rip");
_Static_assert(offsetof(struct fv_native, scratch) == NATIVE_T1, "scratch");
_Static_assert(NATIVE_T1 + 8 == NATIVE_T2, "scratch");
_Static_assert(offsetof(struct fv_native, exit) == NATIVE_EXIT, "exit");
_Static_assert(offsetof(struct fv_native, sysret) == NATIVE_SYSRET, "sysret");

#endif

#endif
