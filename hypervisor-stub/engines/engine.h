/* SPDX-License-Identifier: MIT */
/*
 * The seam between the hypervisor's core and what runs guest code.
 *
 * An engine runs a vCPU's code under the guest's own page tables and says why it stopped; it
 * decides nothing about the guest. The core decides, and never asks which engine it is talking to.
 *
 * Invariants of the seam:
 *  - Between vcpu_run() calls the vCPU's architectural state is in v->regs (and v->in_kernel says
 * which root it runs under); during vcpu_run() it belongs to the engine.
 *  - An engine's mappings are a cache of the guest's page tables, like a TLB. fill() adds to it;
 * what entry_changed() named may stay until the next sync() or retire() that covers it, and is gone
 * after.
 *  - fill(), entry_changed(), sync() and retire() are called with the domain's lock held; so a fill
 * is ordered against every drop, and one that was computed before a drop is never applied after it.
 *  - An exit is a claim of the guest's, not a proof: an engine may only report what unprivileged
 * guest code could have caused, and the core checks it against the page tables.
 */
#ifndef HYPERVISOR_STUB_ENGINES_ENGINE_H
#define HYPERVISOR_STUB_ENGINES_ENGINE_H

#include "hypervisor-stub/core/types.h"

enum hv_exit_kind {
	HV_EXIT_HYPERCALL, /* by the hypercall page; regs.rax is the number, rip the return address
	                    */
	HV_EXIT_SYSCALL,   /* a `syscall` instruction elsewhere; rip behind it, rcx = rip, r11 =
	                      rflags */
	HV_EXIT_EXCEPTION, /* vector, error_code, cr2 as hardware would give; rip as hardware saves
	                      it */
	HV_EXIT_KICKED,    /* vcpu_kick(), a deadline, or nothing at all */
	HV_EXIT_DEAD,      /* this vCPU cannot run again; `why` says the reason */
};

struct hv_exit {
	enum hv_exit_kind kind;
	uint8_t vector;
	uint32_t error_code; /* #PF: bit 0 (present) is not to be trusted, the core recomputes it */
	uint64_t cr2;
	const char *why;     /* HV_EXIT_DEAD: a static sentence */
	bool from_user_root; /* HV_EXIT_DEAD: only the process of the user root died */
};

/* A run of translations that the core found in the guest's tables. Rights are those of every page
 * of it. */
struct hv_run_map {
	mfn_t root;  /* under which page-table root */
	uint64_t va; /* page-aligned */
	uint64_t nr; /* pages; frames are mfn, mfn+1, ... and all of one owner */
	mfn_t mfn;
	bool writable;
	bool executable;
	uint64_t miss; /* the page of the run that the guest wanted; an address */
};

/* An entry of a page table that was present lost rights, was replaced or was removed. */
struct hv_entry_change {
	mfn_t table;    /* the table's frame, */
	unsigned index; /* the entry in it, */
	unsigned level; /* 1 to 4 */
	uint64_t old, now;
	mfn_t root;       /* the one root under which it is reachable; HV_MFN_NONE: any root */
	uint64_t va, len; /* what it translates, bytes; len 0: unknown, anything may be stale */
};

struct hv_engine {
	const char *name; /* as in --engine=NAME */

	/* 0 when this engine works here; else negative and a sentence for the user in why. */
	int (*probe)(char *why, size_t why_len);
	/* 0 when guest addresses [lo, hi) can be used by a guest; else negative and a sentence. It
	 * tries. */
	int (*check_range)(uint64_t lo, uint64_t hi, char *why, size_t why_len);
	/* Where this engine maps the machine-to-physical table for guests, read-only; 0: nowhere.
	 */
	uint64_t (*m2p_address)(const struct hv_domain *d);

	int (*domain_create)(struct hv_domain *d); /* d->memfd, shared_info etc. exist */
	void (*domain_destroy)(struct hv_domain *d);
	void (*fill_hypercall_page)(struct hv_domain *d, uint8_t page[HV_PAGE_SIZE]);

	int (*vcpu_create)(struct hv_vcpu *v);
	void (*vcpu_destroy)(struct hv_vcpu *v);
	/*
	 * Runs v from v->regs under its current root until something happens; fills *exit and
	 * v->regs. Only from v's own thread, without the domain's lock. While the guest runs the
	 * engine calls hv_vcpu_tick(v) whenever hv_vcpu_deadline(v) has passed or vcpu_kick() was
	 * called, and stops the guest when that says so.
	 */
	int (*vcpu_run)(struct hv_vcpu *v, struct hv_exit *exit);
	/* Any thread, any lock: a running v calls hv_vcpu_tick() soon. No effect when v is not in
	 * vcpu_run(). */
	void (*vcpu_kick)(struct hv_vcpu *v);
	/* The floating-point state (XSAVE layout) becomes the initial one (FCW 0x37f, MXCSR
	 * 0x1f80). */
	void (*vcpu_reset_fpu)(struct hv_vcpu *v);
	/*
	 * The floating-point state becomes what fxsave wrote to image; of an image that fxrstor would
	 * refuse, the initial one. v does not run.
	 */
	void (*vcpu_set_fpu)(struct hv_vcpu *v, const uint8_t image[512]);

	/*
	 * v missed at run->miss, or will, and the guest's tables allow it. The engine maps that page,
	 * and as much of the run as it likes; under a root that v does not run under, or if it would
	 * have to wait, it may leave it to a later miss. Returns 0; -EFAULT when this host lets nobody map that page:
	 * the guest gets a page fault; another negative errno when memory ran out.
	 */
	int (*fill)(struct hv_vcpu *v, const struct hv_run_map *run);
	/* Returns a sequence number, rising by one a call, for retire(). */
	uint64_t (*entry_changed)(struct hv_domain *d, const struct hv_entry_change *c);
	/* Every change reported so far is in effect for what the vCPUs in the mask run now or next.
	 */
	void (*sync)(struct hv_domain *d, uint32_t vcpu_mask);
	/* No cache of this domain anywhere holds what changes up to seq took away. */
	void (*retire)(struct hv_domain *d, uint64_t seq);
	/* The frame stopped being a top-level table. */
	void (*root_gone)(struct hv_domain *d, mfn_t root);
	/*
	 * May be NULL. The frame stopped being a table of any level, and may be one again with other
	 * contents. A sequence number as of entry_changed(): once that is retired nothing of the
	 * table is kept.
	 */
	uint64_t (*table_gone)(struct hv_domain *d, mfn_t table);
	/*
	 * May be NULL: nothing. What an engine needs in a slot of Xen's part (256 to 271) of every
	 * top-level table; the core writes it there, never follows it, and lets no guest change it.
	 */
	uint64_t (*root_entry)(const struct hv_domain *d, unsigned slot);
	/*
	 * May be NULL, both: then this engine fills a domain's own frames only, and a guest's request
	 * to map another domain's frame is refused. Else fills of frames of `owner` may come for d
	 * from now on, until as many calls of foreign_end; by then every cache of d has dropped them.
	 * With the locks of both domains. 0 or negative errno.
	 */
	int (*foreign_begin)(struct hv_domain *d, struct hv_domain *owner);
	void (*foreign_end)(struct hv_domain *d, struct hv_domain *owner);

	/* Hypercalls that this engine answered in place, by number, since the start; for --stats.
	 */
	uint64_t (*local_hypercalls)(const struct hv_vcpu *v, unsigned nr);
	/*
	 * May be NULL. What else this engine counts of v since the start: the name of the i-th figure;
	 * NULL: there are no more. For --stats; v may be running meanwhile.
	 */
	const char *(*figure)(const struct hv_vcpu *v, unsigned i, uint64_t *n);
};

/* ---- what an engine may call in the core ------------------------------------------------------
 */

/* Host CLOCK_MONOTONIC nanoseconds at which hv_vcpu_tick() is due; UINT64_MAX: never. Any context.
 */
uint64_t hv_vcpu_deadline(const struct hv_vcpu *v);
/*
 * Does what is due for a running vCPU (timers, clock refinement) and says whether the guest must be
 * stopped: an event it has not masked, a pause, the end. From v's thread; takes and drops locks.
 */
bool hv_vcpu_tick(struct hv_vcpu *v);
/*
 * Whether two roots of d translate va by the very same table, so that what is cached for the one holds
 * for the other. *end: the first address for which the answer may be another. Reads the tables as they
 * are now; of a change that the engine has been told of it sees what was told. Any context.
 */
bool hv_roots_share(const struct hv_domain *d, mfn_t a, mfn_t b, uint64_t va, uint64_t *end);
/* Whether v has an upcall to take: pending and not masked. Reads shared memory only. */
bool hv_vcpu_upcall_due(const struct hv_vcpu *v);

/* The engines that were built in. */
extern const struct hv_engine hv_engine_process;
extern const struct hv_engine hv_engine_kvm;

#endif
