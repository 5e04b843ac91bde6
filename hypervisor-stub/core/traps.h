/* SPDX-License-Identifier: MIT */
/*
 * What a guest kernel registered for exceptions, events and system calls, and the frames it gets.
 */
#ifndef HYPERVISOR_STUB_CORE_TRAPS_H
#define HYPERVISOR_STUB_CORE_TRAPS_H

#include <stdatomic.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"

struct hv_callback {
	uint64_t va; /* 0: none */
	bool masks_events;
};

struct hv_vcpu_traps {
	struct hv_callback event, failsafe, syscall, syscall32, sysenter;
	struct trap_info trap[256]; /* the NMI's callback is row 2 */
	uint16_t kernel_ss; /* the engine may have changed these two in place (stack_switch) */
	uint64_t kernel_sp;
	mfn_t gdt_frame[16];
	unsigned gdt_entries;
	uint64_t ldt_base;
	unsigned ldt_entries;
	uint64_t cr0, cr4; /* as the guest sees them */
	uint64_t cr2;      /* also in arch_vcpu_info */
	uint64_t dr[8];
	unsigned iopl; /* 0 to 3 */
	uint32_t tsc_aux; /* kept; rdtscp and rdpid show the host's */
	uint64_t iobitmap_va;
	unsigned iobitmap_ports;
	atomic_bool nmi_pending;
	bool in_nmi; /* until the iret hypercall */
};

#define HV_VECTOR_NMI 2

void hv_traps_vcpu_init(struct hv_vcpu *v);

/*
 * All of these: v's thread, no lock held. They change v->regs and v->in_kernel so that the guest
 * kernel's handler runs next; when the frame cannot be written the domain crashes, as in Xen.
 */

/* The frame for an exception (vectors below 32; the error code counts where the vector has one). */
void hv_traps_exception(struct hv_vcpu *v, uint8_t vector, uint32_t error_code, uint64_t cr2);
/* The frame for `int vector`; rip is behind the instruction already. */
void hv_traps_softint(struct hv_vcpu *v, uint8_t vector);
/* The frame for a pending NMI or upcall when it is due; true when one was made. */
bool hv_traps_event(struct hv_vcpu *v);
/* A `syscall` of guest user code: to the registered callback. */
void hv_traps_guest_syscall(struct hv_vcpu *v);
/* The state that iret was to load is not loadable: to the failsafe callback. */
void hv_traps_failsafe(struct hv_vcpu *v);

/* CR4 as the guest gets it when it asks for `value`: bits that are the hypervisor's stay as they are. */
uint64_t hv_traps_guest_cr4(const struct hv_vcpu *v, uint64_t value);
/* set_debugreg for the hypercall and for mov to dr: 0, -XEN_ENODEV (#UD), else (#GP). */
int hv_traps_set_dr(struct hv_vcpu *v, unsigned reg, uint64_t value);
int hv_traps_get_dr(const struct hv_vcpu *v, unsigned reg, uint64_t *value);

static inline bool hv_is_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

int64_t hv_do_set_trap_table(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_callbacks(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_callback_op(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_stack_switch(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_iret(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_segment_base(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_fpu_taskswitch(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_set_debugreg(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_get_debugreg(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_nmi_op(struct hv_vcpu *v, const uint64_t *a);

#endif
