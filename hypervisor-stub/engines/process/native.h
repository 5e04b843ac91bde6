/* SPDX-License-Identifier: MIT */
/*
 * Kernels that believe to be at ring 0 (hypervisor-stub/fullvirt): what the process engine knows of
 * them. Usable from assembly.
 *
 * Such a vCPU has hv_vcpu.native.is_on. Its kernel is entered by a system call as a processor would, and
 * its sysretq and iretq may be carried out in the trampoline. vcpu_info, at the engine's window, is the
 * beginning of a page that patches in the kernel's code use, too: event mask and pending are there its
 * interrupt flag, turned round, and the request of its interrupt controllers.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_NATIVE_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_NATIVE_H

#define NATIVE_T1 0x130 /* u64: the guest's rcx, in that page, while ecx names an instruction */

#ifndef __ASSEMBLY__

#include <stdint.h>

/*
 * Where such code goes in the trampoline; all registers but rcx are the guest's, ecx is the address of the
 * instruction. The first comes to vcpu_run() as HV_EXIT_HYPERCALL, with that address in rip and rcx.
 */
struct pe_native_entries {
	uint64_t exit, iret, sysret;
};
void pe_native_entries(struct pe_native_entries *out);

#endif

#endif
