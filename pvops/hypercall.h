/* SPDX-License-Identifier: MIT */
/*
 * One typed function per hypercall. Arguments, results and errors are those of the headers in abi/
 * that declare each call's structures; this file adds only the way in.
 *
 * Invariant: nothing else in the library or the front-ends enters the hypervisor (entry.S apart, for
 * the iret hypercall). Under PV_HOSTED_TEST the way in is pv_test_hypercall(), which the unit tests
 * supply.
 *
 * Context of all: kernel mode; any stack; events masked or not. A call may be pre-empted, and events
 * that became pending are delivered before it returns, when they are not masked.
 */
#ifndef PVOPS_HYPERCALL_H
#define PVOPS_HYPERCALL_H

#include "abi/callback.h"
#include "abi/errno.h"
#include "abi/event_channel.h"
#include "abi/grant_table.h"
#include "abi/memory.h"
#include "abi/mmu.h"
#include "abi/sched.h"
#include "abi/vcpu.h"
#include "abi/version.h"
#include "abi/xen.h"

#ifdef PV_HOSTED_TEST

/* nr: number of the hypercall; args: six words, the unused ones 0. */
long pv_test_hypercall(unsigned int nr, const unsigned long args[6]);

static inline long pv_hypercall(unsigned int nr, unsigned long a, unsigned long b, unsigned long c,
                                unsigned long d, unsigned long e)
{
	const unsigned long args[6] = { a, b, c, d, e, 0 };

	return pv_test_hypercall(nr, args);
}

#else

extern char pv_hypercall_page[4096];

/*
 * Rules of the call (abi/arch_x86_64.h): the result in rax; rcx and r11 are lost to the syscall
 * instruction behind it; argument registers may be lost too. Always inlined, so that a constant
 * number becomes a direct call and unused arguments cost nothing.
 */
#define PV_HYPERCALL_SCRATCH "rcx", "r11", "cc", "memory"

static inline __attribute__((always_inline)) long pv_hypercall(unsigned int nr, unsigned long a,
                                                               unsigned long b, unsigned long c,
                                                               unsigned long d, unsigned long e)
{
	register unsigned long r10 __asm__("r10") = d;
	register unsigned long r8 __asm__("r8") = e;
	long rc;

	if (__builtin_constant_p(nr))
		__asm__ volatile("call pv_hypercall_page + %c[entry]"
		                 : "=a"(rc), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		                 : [entry] "i"(nr * 32)
		                 : PV_HYPERCALL_SCRATCH);
	else
		__asm__ volatile("call *%%rax"
		                 : "=a"(rc), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		                 : "a"(pv_hypercall_page + nr * 32)
		                 : PV_HYPERCALL_SCRATCH);
	return rc;
}

#endif /* PV_HOSTED_TEST */

#define PV_HC(nr, a, b, c, d, e)                                                \
	pv_hypercall(__HYPERVISOR_##nr, (unsigned long)(a), (unsigned long)(b), \
	             (unsigned long)(c), (unsigned long)(d), (unsigned long)(e))

/* ---- traps, stacks, segments, registers ---- */

/* traps: ended by a row whose address is 0; NULL removes all handlers */
static inline long pv_hc_set_trap_table(const struct trap_info *traps)
{
	return PV_HC(set_trap_table, traps, 0, 0, 0, 0);
}

static inline long pv_hc_callback_op(int cmd, const void *arg)
{
	return PV_HC(callback_op, cmd, arg, 0, 0, 0);
}

static inline long pv_hc_set_callbacks(unsigned long event, unsigned long failsafe,
                                       unsigned long syscall)
{
	return PV_HC(set_callbacks, event, failsafe, syscall, 0, 0);
}

static inline long pv_hc_stack_switch(unsigned long ss, unsigned long sp)
{
	return PV_HC(stack_switch, ss, sp, 0, 0, 0);
}

/* which: SEGBASE_* */
static inline long pv_hc_set_segment_base(unsigned int which, unsigned long base)
{
	return PV_HC(set_segment_base, which, base, 0, 0, 0);
}

/* frames: machine frames, 512 descriptors each */
static inline long pv_hc_set_gdt(const xen_pfn_t *frames, unsigned int entries)
{
	return PV_HC(set_gdt, frames, entries, 0, 0, 0);
}

static inline long pv_hc_update_descriptor(uint64_t machine_address, uint64_t descriptor)
{
	return PV_HC(update_descriptor, machine_address, descriptor, 0, 0, 0);
}

static inline long pv_hc_set_debugreg(int reg, unsigned long value)
{
	return PV_HC(set_debugreg, reg, value, 0, 0, 0);
}

static inline unsigned long pv_hc_get_debugreg(int reg)
{
	return (unsigned long)PV_HC(get_debugreg, reg, 0, 0, 0, 0);
}

static inline long pv_hc_fpu_taskswitch(int set)
{
	return PV_HC(fpu_taskswitch, set, 0, 0, 0, 0);
}

static inline long pv_hc_nmi_op(unsigned int cmd, const void *arg)
{
	return PV_HC(nmi_op, cmd, arg, 0, 0, 0);
}

/* ---- memory ---- */

/* done: out, number of requests carried out; may be NULL */
static inline long pv_hc_mmu_update(const struct mmu_update *reqs, unsigned int count,
                                    unsigned int *done, unsigned int domid)
{
	return PV_HC(mmu_update, reqs, count, done, domid, 0);
}

static inline long pv_hc_mmuext_op(const struct mmuext_op *ops, unsigned int count,
                                   unsigned int *done, unsigned int domid)
{
	return PV_HC(mmuext_op, ops, count, done, domid, 0);
}

/* flags: UVMF_* */
static inline long pv_hc_update_va_mapping(unsigned long va, uint64_t entry, unsigned long flags)
{
	return PV_HC(update_va_mapping, va, entry, flags, 0, 0);
}

/* For an entry whose frame belongs to another domain: privileged, refused to others. */
static inline long pv_hc_update_va_mapping_otherdomain(unsigned long va, uint64_t entry,
                                                       unsigned long flags, domid_t domid)
{
	return PV_HC(update_va_mapping_otherdomain, va, entry, flags, domid, 0);
}

static inline long pv_hc_memory_op(unsigned int cmd, void *arg)
{
	return PV_HC(memory_op, cmd, arg, 0, 0, 0);
}

static inline long pv_hc_grant_table_op(unsigned int cmd, void *ops, unsigned int count)
{
	return PV_HC(grant_table_op, cmd, ops, count, 0, 0);
}

static inline long pv_hc_vm_assist(unsigned int cmd, unsigned int type)
{
	return PV_HC(vm_assist, cmd, type, 0, 0, 0);
}

/* ---- events, time, scheduling ---- */

static inline long pv_hc_event_channel_op(int cmd, void *arg)
{
	return PV_HC(event_channel_op, cmd, arg, 0, 0, 0);
}

static inline long pv_hc_sched_op(int cmd, const void *arg)
{
	return PV_HC(sched_op, cmd, arg, 0, 0, 0);
}

static inline long pv_hc_vcpu_op(int cmd, unsigned int vcpu, void *arg)
{
	return PV_HC(vcpu_op, cmd, vcpu, arg, 0, 0);
}

/* timeout_ns: absolute system time; 0 stops the timer */
static inline long pv_hc_set_timer_op(uint64_t timeout_ns)
{
	return PV_HC(set_timer_op, timeout_ns, 0, 0, 0, 0);
}

/* ---- the rest ---- */

static inline long pv_hc_xen_version(int cmd, void *arg)
{
	return PV_HC(xen_version, cmd, arg, 0, 0, 0);
}

static inline long pv_hc_console_io(int cmd, unsigned int count, char *buf)
{
	return PV_HC(console_io, cmd, count, buf, 0, 0);
}

static inline long pv_hc_multicall(struct multicall_entry *calls, unsigned int count)
{
	return PV_HC(multicall, calls, count, 0, 0, 0);
}

static inline long pv_hc_physdev_op(int cmd, void *arg)
{
	return PV_HC(physdev_op, cmd, arg, 0, 0, 0);
}

#undef PV_HC

#endif /* PVOPS_HYPERCALL_H */
