/* SPDX-License-Identifier: MIT */
/*
 * The three objects of the hypervisor: machine, domain, vCPU; and the rules of locking.
 *
 * Locks, in the order in which they are taken:
 *   0. vcpu->rest.lent_lock    while a resting vCPU's thread works for a back-end; before all others
 *   1. machine->domains_lock   the list of domains
 *   2. domain->lock            the domain's frames, page tables, grants, vCPU set-up. Two domains:
 * the lower domid first (hv_domains_lock()).
 *   3. machine->evtchn_lock    all event-channel bindings of the machine; short, a leaf but for 4
 *   4. vcpu->wake_lock         only what a sleeping vCPU waits for; a leaf
 *   5. machine->clock.lock     the line from TSC to system time; a leaf
 * The hypercall dispatcher takes the caller's domain lock around a handler unless the table says
 * that the handler does it itself. Nobody sleeps, writes to a console or runs guest code with a
 * lock held.
 *
 * Each module keeps its part of a domain or vCPU in a struct that its own header declares.
 */
#ifndef HYPERVISOR_STUB_CORE_HV_H
#define HYPERVISOR_STUB_CORE_HV_H

#include <pthread.h>
#include <stdatomic.h>

#ifndef PARAVANE_HOST_ABI
#define PARAVANE_HOST_ABI 1
#endif
#include "abi/xen.h"
#include "abi/vcpu.h"
#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/engines/engine.h"
#include "hypervisor-stub/core/frames.h"
#include "hypervisor-stub/core/evtchn.h"
#include "hypervisor-stub/core/gnttab.h"
#include "hypervisor-stub/core/time.h"
#include "hypervisor-stub/core/traps.h"
#include "hypervisor-stub/core/sched.h"

#define HV_MAX_DOMAINS 64

struct hv_machine {
	const struct hv_engine *engine;
	struct hv_frame_pool
		pool;          /* frames.h: all machine frames, and the machine-to-physical table */
	struct hv_clock clock; /* time.h */
	pthread_mutex_t domains_lock;
	struct hv_domain *domains[HV_MAX_DOMAINS]; /* by domid; 0 is ours and stays empty */
	pthread_mutex_t evtchn_lock;
	pthread_cond_t evtchn_idle;     /* evtchn.c: a host port's notify function has returned */
	const struct hv_tracer *tracer; /* hypercall.h: --trace and --stats; may be NULL */
};

/* Why a domain stopped; what the toolstack shows of a crash. */
struct hv_end {
	int reason;     /* SHUTDOWN_*, or -1 while it runs */
	unsigned vcpu;  /* who did it */
	char text[256]; /* for a crash: one sentence of ours; may be empty */
	bool regs_valid;
	struct hv_regs regs; /* of that vCPU at that moment */
	uint64_t cr2;
	mfn_t root;     /* under which it ran */
	bool in_kernel; /* guest kernel, or guest user mode */
};

/* What a domain wrote by console_io and did not end with a newline yet. Under domain->lock. */
struct hv_console_line {
	char text[256];
	unsigned len;
};

struct hv_domain {
	struct hv_machine *machine;
	domid_t domid;
	char name[64];
	uint8_t uuid[16];
	pthread_mutex_t lock;

	struct hv_domain_mem mem; /* frames.h: memfd, mapping, free frames, counts */
	mfn_t shared_info_mfn;
	struct shared_info *shared_info; /* our view of it */

	struct hv_domain_evtchn evtchn;
	struct hv_domain_gnttab gnttab;
	struct hv_domain_time time;
	struct hv_memory_map {
		void *rows;
		uint32_t nr;
		bool is_set; /* by the domain itself */
	} memory_map;        /* memmap.c */
	uint64_t vm_assist;  /* bits VMASST_TYPE_* */
	/* The two ports that Xen keeps for a domain without devices: PCI address, CMOS index. */
	_Atomic uint32_t pci_cf8;
	_Atomic uint8_t cmos_index;

	struct hv_domain_sched sched;        /* sched.h: watchdog, polling vCPUs, shutdown code */
	struct hv_console_line console_line; /* console_io text that has no newline yet */

	unsigned nr_vcpus; /* possible ones; fixed at creation */
	struct hv_vcpu *vcpu[HV_MAX_VCPUS];
	atomic_uint live_threads;
	atomic_uint refs; /* hv_domain_get(); the machine's own is one of them */

	/*
	 * The end. end_claimed is taken by the first who ends the domain, who then writes `end` and
	 * after it `ending`: whoever has seen `ending` may read `end`, from any thread.
	 */
	atomic_bool end_claimed;
	atomic_bool ending; /* vCPUs must leave their loops */
	atomic_bool end_told;
	atomic_bool was_started; /* a vCPU's thread was made */
	struct hv_end end;
	/*
	 * Toolstack's, may be NULL. Called once, when the domain has ended and no vCPU runs any
	 * more: by the last vCPU's thread, or inside hv_domain_end() when no thread was ever
	 * started. No lock is held. It must not destroy the domain itself.
	 */
	void (*on_end)(struct hv_domain *d, void *arg);
	void *on_end_arg;

	void *engine_priv;
	void *toolstack_priv;
};

struct hv_vcpu {
	struct hv_domain *domain;
	unsigned id;
	struct hv_regs regs;
	bool in_kernel;    /* guest kernel mode (runs under root_kernel), else user mode */
	mfn_t root_kernel; /* holds a type and a reference count while set */
	mfn_t root_user;   /* HV_MFN_NONE when none was given */
	struct hv_missed {
		bool is_set;
		mfn_t root; /* the user root, under which */
		uint64_t va;
		uint32_t error_code;
	} missed;          /* a program's fault that its kernel has not mapped a page for yet */
	struct hv_native { /* a kernel that believes to be at ring 0 (fullvirt/); the core never looks */
		bool is_on;
		bool asks;                            /* its next iretq to user mode comes to us */
		uint16_t kernel_cs, user_cs, user_ss; /* as its own tables have them */
		uint32_t fmask;                       /* flags that a system call clears */
	} native;
	atomic_bool is_up; /* changes under domain->lock */
	bool is_initialised;

	struct hv_vcpu_traps
		traps; /* traps.h: trap table, callbacks, kernel stack, descriptor tables, cr, dr */
	struct hv_vcpu_time time;   /* time.h: timers, time info */
	struct hv_vcpu_sched sched; /* sched.h: blocked, polling, runstate, wake-up */

	struct vcpu_info
		*info; /* our view of it, in shared_info or where the guest registered it */
	mfn_t info_mfn;
	unsigned info_offset;   /* bytes, in that frame */
	unsigned pending_words; /* unused outside evtchn.c */

	pthread_t thread;
	bool has_thread;
	void *engine_priv;
};

/* domain.c ------------------------------------------------------------------------------------ */

/*
 * hv_machine_create - an empty machine on one engine
 * max_frames: the most 4 KiB frames that all its domains together may ever hold
 * Returns 0 or a negative errno.
 */
int hv_machine_create(struct hv_machine **out, const struct hv_engine *engine, uint64_t max_frames);
void hv_machine_destroy(struct hv_machine *m); /* all domains must have been destroyed */

struct hv_domain_config {
	const char *name;
	uint64_t nr_pages;  /* memory at start, 4 KiB units */
	uint64_t max_pages; /* it may grow to this; 0: nr_pages */
	unsigned nr_vcpus;
};

/* A domain with memory, shared_info and vCPUs that are down. Returns 0 or a negative errno. */
int hv_domain_create(struct hv_machine *m, const struct hv_domain_config *c,
                     struct hv_domain **out);
/*
 * Starts the domain: a thread for every vCPU that has been initialised and every one brought up
 * later. Returns 0 or a negative errno.
 */
int hv_domain_start(struct hv_domain *d);
/* From outside of the domain's threads: makes them leave, joins them, gives everything back. */
void hv_domain_destroy(struct hv_domain *d);
/*
 * Ends the domain with a SHUTDOWN_* reason; the first call wins. Any thread; v may be NULL.
 * fmt: one sentence for the user, for crashes; NULL for an orderly end.
 */
void hv_domain_end(struct hv_domain *d, struct hv_vcpu *v, int reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The last act of a vCPU's thread (sched.c). */
void hv_domain_thread_leaves(struct hv_domain *d);
#define hv_domain_crash(d, v, ...) hv_domain_end(d, v, SHUTDOWN_crash, __VA_ARGS__)

/*
 * The domain of that number with a reference, or NULL; to be given back by hv_domain_put(). While a
 * reference is held the domain's memory stays. Takes domains_lock: no other lock may be held.
 */
struct hv_domain *hv_domain_get(struct hv_machine *m, domid_t domid);
void hv_domain_put(struct hv_domain *d);

void hv_domain_lock(struct hv_domain *d);
void hv_domain_unlock(struct hv_domain *d);
void hv_domains_lock(struct hv_domain *a, struct hv_domain *b); /* a == b is allowed */
void hv_domains_unlock(struct hv_domain *a, struct hv_domain *b);

static inline mfn_t hv_vcpu_root(const struct hv_vcpu *v)
{
	return v->in_kernel ? v->root_kernel : v->root_user;
}

/* One line to the log: what, with the domain's number in front. */
void hv_log(const struct hv_domain *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
