/* SPDX-License-Identifier: MIT */
/*
 * The answer to an exit: a hypercall is done, a fault is filled, emulated or handed to the guest's
 * kernel, a system call of user code goes to the registered callback.
 *
 * An exit is a claim of the guest's: what is checked here is that unprivileged code could have
 * caused it. A claim that it could not ends the domain when it comes from the kernel's root, and is
 * a #GP of the program when it comes from the user's.
 */
#include "hypervisor-stub/core/exits.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/core/x86/x86emu.h"

/* Error code of #GP: bit 0 external, bit 1 IDT, bit 2 LDT, the index above. */
#define EC_IDT_MASK 3u
#define EC_IDT      2u

/* Exceptions that code at ring 3 can cause. */
#define POSSIBLE_VECTORS                                                                  \
	(1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 10 | \
	 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 16 | 1u << 17 | 1u << 19)

static void trace_exception(struct hv_vcpu *v, const struct hv_exit *exit)
{
	const struct hv_tracer *t = v->domain->machine->tracer;

	if (t && t->exception)
		t->exception(t->arg, v, exit->vector, exit->error_code, exit->cr2);
}

/* The guest did what no honest one can do. */
static void forged(struct hv_vcpu *v, bool from_user, const char *what)
{
	if (from_user)
		hv_traps_exception(v, X86_VECTOR_GP, 0, 0);
	else
		hv_domain_crash(v->domain, v, "vCPU %u reported an impossible exit: %s", v->id,
		                what);
}

static void page_fault(struct hv_vcpu *v, const struct hv_exit *exit)
{
	uint32_t ec = exit->error_code;

	switch (hv_mmu_fault(v, exit->cr2, &ec)) {
	case HV_FAULT_RESUME:
		return;
	case HV_FAULT_PT_WRITE:
		if (hv_emulate_pt_write(v, exit->cr2))
			return;
		break;
	case HV_FAULT_M2P_READ:
		if (hv_emulate_m2p_read(v, exit->cr2))
			return;
		break;
	case HV_FAULT_GUEST:
		break;
	}
	hv_traps_exception(v, X86_VECTOR_PF, ec, exit->cr2);
}

/* An `int n` arrives as #GP(n * 8 + 2), for the host's own gates do not let it pass. */
static void software_interrupt(struct hv_vcpu *v, uint32_t error_code)
{
	unsigned vector = error_code >> 3;
	unsigned dpl_needed = v->in_kernel ? 1 : 3;

	if (vector < 256 && TI_GET_DPL(&v->traps.trap[vector]) >= dpl_needed) {
		v->regs.rip += 2;
		hv_traps_softint(v, (uint8_t)vector);
	} else {
		hv_traps_exception(v, X86_VECTOR_GP, error_code & 0xffff, 0);
	}
}

static void general_protection(struct hv_vcpu *v, uint32_t error_code)
{
	if ((error_code & EC_IDT_MASK) == EC_IDT) {
		software_interrupt(v, error_code);
		return;
	}
	if (error_code ? hv_emulate_selector(v, error_code) : hv_emulate_privileged(v))
		return;
	hv_traps_exception(v, X86_VECTOR_GP, error_code & 0xffff, 0);
}

static void exception(struct hv_vcpu *v, const struct hv_exit *exit)
{
	trace_exception(v, exit);
	if (exit->vector > 31 || !(POSSIBLE_VECTORS & 1u << exit->vector)) {
		forged(v, !v->in_kernel, "an exception that ring 3 cannot cause");
		return;
	}
	switch (exit->vector) {
	case X86_VECTOR_PF:
		page_fault(v, exit);
		return;
	case X86_VECTOR_GP:
		general_protection(v, exit->error_code);
		return;
	case X86_VECTOR_NP:
	case X86_VECTOR_SS:
		if (exit->error_code && hv_emulate_selector(v, exit->error_code))
			return;
		break;
	case X86_VECTOR_UD:
		if (hv_emulate_invalid(v))
			return;
		break;
	case X86_VECTOR_DB:
		if (v->regs.rflags & X86_FLAG_TF)
			v->traps.dr[6] |= 1u << 14; /* BS: single step */
		break;
	default:
		break;
	}
	hv_traps_exception(v, exit->vector, exit->error_code & 0xffff, 0);
}

/* `syscall` leaves flat selectors, whatever they were (Xen's lstar_enter and cstar_enter). */
static void forget_selectors(struct hv_vcpu *v)
{
	v->regs.cs = v->regs.cs == FLAT_USER_CS32 ? FLAT_USER_CS32 : FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
}

void hv_exit_handle(struct hv_vcpu *v, const struct hv_exit *exit)
{
	switch (exit->kind) {
	case HV_EXIT_HYPERCALL:
	case HV_EXIT_SYSCALL:
		forget_selectors(v);
		if (!v->in_kernel) {
			hv_traps_guest_syscall(v);
			return;
		}
		hv_hypercall_dispatch(v);
		if (v->missed.is_set)
			hv_mmu_fill_missed(v);
		return;
	case HV_EXIT_EXCEPTION:
		exception(v, exit);
		return;
	case HV_EXIT_KICKED:
		return;
	case HV_EXIT_DEAD:
		if (exit->from_user_root && !v->in_kernel)
			hv_traps_exception(v, X86_VECTOR_GP, 0, 0);
		else
			hv_domain_crash(v->domain, v, "vCPU %u cannot go on: %s", v->id,
			                exit->why ? exit->why : "its process died");
		return;
	}
	forged(v, !v->in_kernel, "an unknown kind");
}
