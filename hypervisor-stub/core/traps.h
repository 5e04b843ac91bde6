/* SPDX-License-Identifier: MIT */
/*
 * What a guest kernel registered for exceptions, events and system calls, and the frames it gets.
 */
#ifndef HYPERVISOR_STUB_CORE_TRAPS_H
#define HYPERVISOR_STUB_CORE_TRAPS_H

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"

struct hv_callback {
	uint64_t va; /* 0: none */
	bool masks_events;
};

struct hv_vcpu_traps {
	struct hv_callback event, failsafe, syscall, syscall32, sysenter, nmi;
	struct trap_info trap[256];
	uint16_t kernel_ss; /* the engine may have changed these two in place (stack_switch) */
	uint64_t kernel_sp;
	mfn_t gdt_frame[16];
	unsigned gdt_entries;
	uint64_t ldt_base;
	unsigned ldt_entries;
	uint64_t cr0, cr4; /* as the guest sees them */
	uint64_t cr2;      /* also in arch_vcpu_info */
	uint64_t dr[8];
	unsigned iopl;
	bool nmi_pending;
};

/* The frame for an exception on the guest's stack; a failure crashes the domain (as Xen does). */
void hv_traps_exception(struct hv_vcpu *v, uint8_t vector, uint32_t error_code, uint64_t cr2);
/* The frame for a pending upcall when it is due; true when one was made. */
bool hv_traps_event(struct hv_vcpu *v);
/* A `syscall` of guest user code: to the registered callback. */
void hv_traps_guest_syscall(struct hv_vcpu *v);

int64_t hv_do_set_trap_table(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_callbacks(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_callback_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_stack_switch(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_iret(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_segment_base(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_fpu_taskswitch(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_debugreg(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_get_debugreg(struct hv_vcpu *v, const uint64_t *a);

#endif
