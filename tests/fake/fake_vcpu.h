/* SPDX-License-Identifier: MIT */
/*
 * A domain on an engine that runs no code: what "the guest" does is a function of the test.
 *
 * The core is the real one, page tables included. Guest memory from FAKE_VA on is mapped page by
 * page, so that pointers of the test and addresses of the guest translate by fake_ptr().
 *
 * Two ways to use it: call the core directly from the test's thread (fake_call() makes a hypercall of
 * a vCPU that has no thread), or give vCPUs a script and start the domain.
 */
#ifndef TESTS_FAKE_FAKE_VCPU_H
#define TESTS_FAKE_FAKE_VCPU_H

#include "hypervisor-stub/core/hv.h"

#define FAKE_VA         UINT64_C(0x10000000)
#define FAKE_PAGES      64u                             /* writable data pages */
#define FAKE_STACK      (FAKE_VA + 32 * 4096)           /* top of the kernel's stack */
#define FAKE_HANDLER(n) (UINT64_C(0x20000000) + (n)*16) /* where handlers are said to be */

/*
 * One run of a vCPU: fills *exit (kind is HV_EXIT_KICKED before the call) and may change v->regs, as
 * guest code would. On the vCPU's thread.
 */
typedef void fake_script_fn(struct hv_vcpu *v, struct hv_exit *exit, void *arg);

struct fake_guest {
	struct hv_machine *m;
	struct hv_domain *d;
	struct hv_vcpu *v;      /* vCPU 0 */
	mfn_t root;             /* L4; user and kernel alike */
	mfn_t l1;               /* the L1 table of FAKE_VA, mapped read-only at fake_l1_va() */
	mfn_t page[FAKE_PAGES]; /* frames of the data pages */
	fake_script_fn *script[HV_MAX_VCPUS]; /* NULL: idle until stopped */
	void *arg[HV_MAX_VCPUS];
	atomic_uint kicks[HV_MAX_VCPUS];
	uint8_t fpu[HV_MAX_VCPUS][512]; /* vcpu_set_fpu(); zero after vcpu_reset_fpu() */
	atomic_uint runs[HV_MAX_VCPUS];
	/* The end, as on_end saw it. */
	atomic_int ended; /* times on_end was called */
};

/* A machine with one domain; vCPU 0 has roots, a kernel stack and handlers, and has not started. */
void fake_guest_make(struct fake_guest *g, unsigned nr_vcpus);
/* A second domain in the machine of the first. */
void fake_guest_join(struct fake_guest *g, struct fake_guest *first, unsigned nr_vcpus);
void fake_guest_destroy(struct fake_guest *g); /* the machine too, when it was the last */
/* Gives vCPU n what vCPU 0 has, so that it can be started. */
void fake_vcpu_prepare(struct fake_guest *g, unsigned n);

/* Our view of a guest address in the data pages. */
void *fake_ptr(struct fake_guest *g, uint64_t va);
/* Where the L1 table itself is mapped, read-only. */
uint64_t fake_l1_va(void);

/* A hypercall of v from kernel mode, on this thread; the result. */
int64_t fake_call(struct hv_vcpu *v, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2);
/* The same with a structure as argument number `pos`, copied in before and out after. */
int64_t fake_call_with(struct hv_vcpu *v, uint64_t nr, uint64_t cmd, void *arg, size_t len);

/* For scripts: as if guest code ran until the core stops it. */
void fake_run_until_stopped(struct hv_vcpu *v);
/* For scripts: fills *exit and registers for a hypercall. */
void fake_exit_hypercall(struct hv_vcpu *v, struct hv_exit *exit, uint64_t nr, uint64_t a0,
                         uint64_t a1, uint64_t a2);
/* Waits until *p has the value or ten seconds are over; true when it has. */
bool fake_wait(atomic_int *p, int value);

extern const struct hv_engine fake_vcpu_engine;

#endif
