/* SPDX-License-Identifier: MIT */
/*
 * The hypercall table and its dispatcher; what --trace and --stats see.
 */
#ifndef HYPERVISOR_STUB_CORE_HYPERCALL_H
#define HYPERVISOR_STUB_CORE_HYPERCALL_H

#include "hypervisor-stub/core/hv.h"

/*
 * A handler: arguments a[0..5] as in rdi, rsi, rdx, r10, r8, r9; the result goes to rax.
 * It runs on the vCPU's thread, with the domain's lock unless the table says HV_HC_UNLOCKED.
 */
typedef int64_t hv_hypercall_fn(struct hv_vcpu *v, const uint64_t *a);

enum {
	HV_HC_UNLOCKED = 1,
	HV_HC_PRIVILEGED = 2, /* -XEN_EPERM for every guest here */
	HV_HC_REGS = 4,       /* the handler has written all registers, rax included */
};

struct hv_hypercall {
	const char *name;
	hv_hypercall_fn *fn;
	uint8_t nr_args;
	uint8_t flags;
};

/* NULL for a number that Xen does not know or that is not supported: -XEN_ENOSYS. */
const struct hv_hypercall *hv_hypercall_lookup(uint64_t number);
/* A number that a table row exists for, for --stats; its name. */
#define HV_NR_HYPERCALLS 64
/* Does the hypercall in v->regs and writes rax (iret and the like write all registers). */
void hv_hypercall_dispatch(struct hv_vcpu *v);

/* Guest memory from a handler that runs unlocked: takes the domain's lock. 0 or -XEN_EFAULT. */
int hv_guest_read(struct hv_vcpu *v, void *dst, uint64_t va, size_t len);
int hv_guest_write(struct hv_vcpu *v, uint64_t va, const void *src, size_t len);

int64_t hv_do_multicall(struct hv_vcpu *v, const uint64_t *a);

/* What is only counted. */
enum hv_traced {
	HV_TRACED_UPCALL, /* the guest's event or NMI handler was entered */
	HV_TRACED_KICK,   /* the guest was stopped for no reason of its own */
	HV_TRACED_SLEEP,  /* a vCPU's thread went to sleep */
	HV_NR_TRACED,
};

struct hv_tracer {
	/* After each hypercall; duration in ns. From vCPU threads, no lock held. */
	void (*hypercall)(void *arg, struct hv_vcpu *v, uint64_t nr, const uint64_t *a,
	                  int64_t result, uint64_t ns);
	void (*exception)(void *arg, struct hv_vcpu *v, uint8_t vector, uint32_t error_code,
	                  uint64_t cr2);
	void (*happened)(void *arg, struct hv_vcpu *v, enum hv_traced what);
	void *arg;
	bool every_call; /* engines must not answer in place */
};

#endif
