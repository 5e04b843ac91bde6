/* SPDX-License-Identifier: MIT */
/*
 * The objects of the process engine, and which file owns what of them.
 *
 *   process.c    the engine's table, domains and vCPUs, hypercall page
 *   probe.c      whether it works here
 *   pages.c      the file behind the groups (layout.h), its slots
 *   script.c     what a guest process does to become one; the constants page
 *   filter.c     its system-call filters
 *   nursery.c    making and ending guest processes: the keeper thread and the process that clones
 *   cache.c      which process runs which root, and which must go
 *   maptree.c    what a process has mapped
 *   orders.c     the queue to a process's mapper
 *   foreign.c    frames of other domains
 *   mappings.c   fill, the log of removals, sync, retire
 *   run.c        vcpu_run(): from the registers into the guest and back
 *   wait.c       waiting for an exit, kicks and deadlines
 *   fpu.c        the floating-point state on its way between processes
 *   pair.c       the user's and the kernel's process that hand the vCPU to each other
 *   placement.c  which core a vCPU's group runs on
 *
 * Locks: pe_domain.lock comes after the core's domain lock and protects everything of a pe_domain
 * and of its processes, except what is marked "vCPU thread": that belongs to the thread in
 * vcpu_run() of the vCPU that owns the process.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_PROCESS_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/engines/process/layout.h"
#include "hypervisor-stub/engines/process/maptree.h"
#include "hypervisor-stub/engines/process/options.h"
#include "hypervisor-stub/engines/process/placement.h"

#define PE_YIELDS     2 /* how often to give way before sleeping, on a core that nobody else wants */
#define PE_HABITS     32
#define PE_SPINS      2000 /* looks before sleeping, when both sides have a core of their own */
#define XSAVE_MXCSR   24   /* its offset in a saved floating-point state */
#define MXCSR_INITIAL 0x1f80u
#define PE_LOG_SIZE   4096 /* removals remembered; who lags more drops everything */

struct pe_domain;
struct pe_vcpu;

/* One guest process. */
struct pe_proc {
	struct pe_domain *pd;
	pid_t pid; /* also the vCPU thread's */
	pid_t mapper_tid;
	unsigned slot;
	uint8_t *ctl, *state; /* our view */
	bool dead;

	/* What it runs; set by cache.c. */
	struct pe_vcpu *owner; /* NULL: a spare one */
	mfn_t root;
	bool is_user;
	atomic_bool
		is_orphan; /* its root has gone: set under the lock, read without it by the vCPU thread */
	uint64_t used;                  /* for least recently used */
	struct pe_proc *peer[PE_PEERS]; /* whose pages are where, from PE_PEER on; pair.c */
	unsigned next_place;            /* for the next one that has none */
	const struct pe_proc *told;     /* the peer for whom its OUT pages were written last */
	bool is_frozen;                 /* sleeps where only we can wake it */
	atomic_bool kicked;             /* was sent a signal, which may not have arrived yet */
	struct pe_proc *next;

	/* orders.c */
	uint32_t tail;      /* orders written */
	uint32_t published; /* orders that the mapper may see */
	/* Some may not have been carried out: it is resumed by its mapper, behind them. */
	atomic_bool behind;  /* set under the lock, read without it by the vCPU thread */
	uint32_t removed_at; /* number of the last order that removed something */
	uint32_t confirmed;  /* the mapper has confirmed all orders up to this one */
	uint32_t ack_at;     /* number of the order that asks for a confirmation */
	bool ack_pending;
	uint64_t ack_id;      /* what its mapper writes as a confirmation; never used again */
	uint64_t mapper_runs; /* for pe_sleeps_on() */

	/* mappings.c */
	struct pe_maptree maps;
	uint64_t cursor; /* removals up to this one are in the queue */
	mfn_t window;    /* the frame mapped at PE_WINDOW */
	uint32_t failed; /* refused mappings seen so far, */
	unsigned failed_in_a_row;

	/* vCPU thread */
	uint32_t seq;              /* the last exit seen */
	uint32_t go;               /* how often it was told to go on */
	uint32_t given;            /* hand-overs that it had given when it went on last */
	uint64_t fs_base, gs_base; /* in its registers now */
	int core;                  /* pinned to; -1: nowhere */
	bool ran;                  /* since placement.c looked at its time, */
	uint64_t cpu_ns;           /* which was this */
	uint64_t local_seen[PE_NR_LOCAL];
};

struct pe_removal {
	mfn_t root;       /* HV_MFN_NONE: any */
	uint64_t va, len; /* len 0: everything */
};

/* A domain whose frames this one may map. */
struct pe_foreign {
	const struct hv_domain *owner;
	unsigned count; /* mappings by grants */
};

struct pe_domain {
	struct hv_domain *d;
	pthread_mutex_t lock;

	/* pages.c */
	int file;
	uint8_t *base; /* the whole file */
	unsigned nr_slots;
	unsigned *free_slots, nr_free_slots;

	/* nursery.c */
	pthread_t keeper;
	pid_t keeper_tid;
	pthread_cond_t keeper_cond; /* to the keeper: something to do */
	pthread_cond_t ready_cond;  /* from the keeper: a process is ready, or will not be */
	bool keeper_runs, stopping;
	pid_t self; /* our own pid, which guest processes compare with their parent's */
	pid_t nursery;
	bool nursery_is_up; /* or will never be: */
	int nursery_error;  /* why there is no nursery */
	unsigned wanted;    /* threads that wait for a process */
	unsigned spare_target;
	int create_error; /* of the last attempt */
	unsigned create_attempts;
	struct pe_proc *spare;
	struct pe_proc *doomed; /* killed, to be reaped */
	unsigned nr_procs;      /* alive or being made */
	int ack_read, ack_write;
	uint64_t births; /* processes made so far */

	/* foreign.c */
	int listener; /* for mappings to approve; -1: this host has no such thing */
	struct pe_foreign foreign[HV_MAX_DOMAINS]; /* by domid */

	/* cache.c */
	struct pe_proc *procs; /* all that have an owner */
	uint64_t clock;

	/* orders.c: when the log was told of a silent process last, and how often it was not since */
	uint64_t silent_told;
	unsigned silent_untold;

	/* mappings.c */
	struct pe_removal log[PE_LOG_SIZE];
	uint64_t log_head; /* removals so far */
};

enum pe_fp {
	PE_FP_INIT,  /* the initial state */
	PE_FP_LIVE,  /* in the registers of fp_proc's vCPU thread */
	PE_FP_FRAME, /* in fp_proc's signal frame, at fp_addr */
	PE_FP_COPY,  /* in fp_copy */
};

struct pe_vcpu {
	struct hv_vcpu *v;
	struct pe_domain *pd;
	/*
	 * The process that ran last or runs, and the one that it may hand the vCPU to and have it
	 * back from without us; NULL: none. Under pd->lock to change, vCPU thread to read.
	 */
	struct pe_proc *current, *partner;
	struct pe_proc
		*user; /* the process of user mode that ran last and is not frozen; or NULL */

	/* Kicks. The two change under kick_lock too, so a kicker with it may use the processes. */
	pthread_mutex_t kick_lock;
	atomic_bool kicked;   /* vcpu_kick() since hv_vcpu_tick() last ran */
	atomic_bool sleeping; /* the vCPU thread sleeps, or is about to, on the bell of `current` */
	atomic_bool yielding; /* it gives way instead: the guest itself must be stopped */
	_Atomic uint64_t next_kick; /* when a kicker may do that again in this run */

	_Atomic(_Atomic uint32_t *) bell; /* where it sleeps */

	/* vCPU thread */
	struct pe_proc *died; /* after pe_wait(), */
	const char *why;      /* and of what */
	bool entered;         /* this thread has been set up */
	pthread_t thread;
	enum pe_fp fp;
	struct pe_proc *fp_proc;
	uint64_t fp_addr;          /* as the guest process sees it */
	uint8_t *fp_copy;          /* PE_XSAVE_MAX bytes, aligned to 64 */
	uint64_t save_mask;        /* hypercalls that have changed the process: bit by number */
	uint16_t user_cs, user_ss; /* that it ran user mode with last */
	uint64_t version;          /* what xen_version(XENVER_version) answered; 0: not asked yet */
	uint64_t last_call;        /* number of the hypercall that stopped it last; ~0: none */
	uint64_t local[PE_NR_LOCAL];

	/* wait.c */
	unsigned yields;       /* how often both sides give way before they sleep; 0: not at all */
	uint64_t yields_again; /* when to try it again, ns */
	uint64_t yields_pause; /* how long it was given up last, ns */
	struct pe_habit {
		uint8_t sleeps; /* runs of a pair to sleep through without giving way first, */
		uint8_t next;   /* and how many it will be when that was right again */
	} habit[PE_HABITS];     /* by the hypercall that was answered */
	unsigned answered;      /* index of it */

	struct pe_place place; /* placement.c */
};

static inline _Atomic uint32_t *pe_word(uint8_t *page, unsigned offset)
{
	return (_Atomic uint32_t *)(void *)(page + offset);
}

static inline _Atomic uint64_t *pe_quad(uint8_t *page, unsigned offset)
{
	return (_Atomic uint64_t *)(void *)(page + offset);
}

static inline uint32_t pe_load(uint8_t *page, unsigned offset)
{
	return atomic_load_explicit(pe_word(page, offset), memory_order_acquire);
}

static inline void pe_store(uint8_t *page, unsigned offset, uint32_t value)
{
	atomic_store_explicit(pe_word(page, offset), value, memory_order_release);
}

static inline uint64_t pe_load64(uint8_t *page, unsigned offset)
{
	return atomic_load_explicit(pe_quad(page, offset), memory_order_relaxed);
}

static inline void pe_store64(uint8_t *page, unsigned offset, uint64_t value)
{
	atomic_store_explicit(pe_quad(page, offset), value, memory_order_relaxed);
}

/*
 * For what is told anew before each run and seldom differs: a line of memory that nobody writes stays in
 * the caches of both cores. Only where nobody else writes that word.
 */
static inline void pe_tell(uint8_t *page, unsigned offset, uint32_t value)
{
	if (pe_load(page, offset) != value)
		pe_store(page, offset, value);
}

static inline void pe_tell64(uint8_t *page, unsigned offset, uint64_t value)
{
	if (pe_load64(page, offset) != value)
		pe_store64(page, offset, value);
}

static inline struct pe_domain *pe_of(const struct hv_domain *d)
{
	return d->engine_priv;
}

/* host.c: the few system calls that libc has no function for, and time. */
uint64_t pe_now(void);                /* CLOCK_MONOTONIC, ns */
static inline uint64_t pe_ticks(void) /* cheap, of no known unit, and not the same on all cores */
{
	return __builtin_ia32_rdtsc();
}
/* Sleeps while *word is value, at most until the monotonic time given. */
void pe_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns);
void pe_futex_wake(_Atomic uint32_t *word, int how_many);
/* Has one who sleeps on a word sleep on another one. True when there was one. */
bool pe_futex_move(_Atomic uint32_t *from, _Atomic uint32_t *to);
/* Whether a child of ours has ended (it stays to be reaped). */
bool pe_has_ended(pid_t pid);
/* Whether a kick has been sent to it that has not arrived; true where the host does not tell. */
bool pe_kick_is_pending(pid_t pid);
/* What the scheduler says of a thread: time on a core, time waiting for one, and how often it ran. */
struct pe_schedstat {
	uint64_t run_ns, wait_ns, runs;
};
bool pe_schedstat(pid_t tid, struct pe_schedstat *out); /* false where the host does not tell */
/*
 * Whether a thread sleeps, and has slept since the call before with the same *runs (0 at first). One that
 * only gets no core, or is held up by the host or stopped by somebody, does not.
 */
bool pe_sleeps_on(pid_t tid, uint64_t *runs);
size_t pe_max_mappings(void); /* vm.max_map_count */
unsigned pe_xsave_size(void); /* bytes of a saved state with these */
uint64_t pe_xsave_mask(void); /* features of XCR0 whose state fits into PE_XSAVE_MAX */

/* probe.c: engine.h has the contracts */
int pe_probe(char *why, size_t why_len);
/* Below this the host lets nobody of our rights map anything (vm.mmap_min_addr); found by trying. */
uint64_t pe_lowest_address(void);
int pe_check_range(uint64_t lo, uint64_t hi, char *why, size_t why_len);

/* pages.c */
int pe_pages_create(struct pe_domain *pd, unsigned nr_slots);
void pe_pages_destroy(struct pe_domain *pd);
int pe_slot_get(struct pe_domain *pd); /* number, or -ENOSPC; zeroed. Lock: pd */
void pe_slot_put(struct pe_domain *pd, unsigned slot);
static inline uint8_t *pe_slot_ctl(struct pe_domain *pd, unsigned slot)
{
	return pd->base + PE_FILE_SLOTS + (size_t)slot * PE_SLOT_SIZE;
}
static inline uint8_t *pe_slot_state(struct pe_domain *pd, unsigned slot)
{
	return pe_slot_ctl(pd, slot) + PE_SLOT_STATE;
}

/* script.c: fills the constants page; and aims the clones' script at a slot. */
void pe_script_write(struct pe_domain *pd, uint64_t m2p_bytes);
void pe_script_aim(struct pe_domain *pd, unsigned slot);
uint64_t
pe_tramp_address(const char *label); /* where a label of the trampoline lies in a guest process */
extern const char pe_trampoline[], pe_tramp_hypercall[], pe_tramp_signal[], pe_tramp_vcpu[],
	pe_tramp_native_iret[], pe_tramp_native_sysret[], pe_tramp_mapper[], pe_tramp_script[],
	pe_tramp_nursery[], pe_tramp_end[];

/* filter.c: both write a struct sock_fprog at `to`, whose address in the process is `at`. */
void pe_filter_vcpu(uint8_t *to, uint64_t at);
void pe_filter_mapper(uint8_t *to, uint64_t at);
struct sock_filter;
#define PE_FOREIGN_INSNS 6
unsigned pe_filter_foreign(struct sock_filter *to); /* PE_FOREIGN_INSNS of them; returns how many */

/* nursery.c */
int pe_nursery_start(struct pe_domain *pd);
void pe_nursery_stop(struct pe_domain *pd); /* ends every process of the domain */
/* A process ready for use; may wait for the keeper. NULL with errno set when there can be none. Lock: pd */
struct pe_proc *pe_nursery_take(struct pe_domain *pd);
/* Ends a process, later. It must not be on any list. Lock: pd */
void pe_nursery_doom(struct pe_domain *pd, struct pe_proc *p);
/* Waits until all that were doomed before are gone, but for those that cannot run. Lock: pd */
void pe_nursery_wait_ended(struct pe_domain *pd);

/* cache.c */
/* Makes current the process of v's root. 0 or a negative errno. Takes pd->lock. */
int pe_cache_activate(struct pe_vcpu *pv);
/* One of v's processes has died: forget it. Takes pd->lock. */
void pe_cache_bury(struct pe_vcpu *pv, struct pe_proc *p);
struct pe_proc *pe_cache_find(struct pe_vcpu *pv, mfn_t root, bool is_user); /* Lock: pd */
void pe_cache_end(struct pe_domain *pd,
                  struct pe_proc *p); /* one that is nobody's current. Lock: pd */
void pe_cache_set_current(struct pe_vcpu *pv, struct pe_proc *p,
                          struct pe_proc *partner); /* Lock: pd */
void pe_cache_drop_root(struct pe_domain *pd, mfn_t root);
void pe_cache_drop_vcpu(struct pe_vcpu *pv);

/* orders.c; all with pd->lock */
void pe_order_map(struct pe_proc *p, uint64_t addr, uint64_t len, uint64_t offset, uint32_t prot);
void pe_order_foreign(struct pe_proc *p, uint64_t addr, uint64_t len, uint64_t offset,
                      uint32_t prot);
void pe_order_map_peer(struct pe_proc *p, unsigned place, const struct pe_proc *peer);
void pe_order_unmap(struct pe_proc *p, uint64_t addr, uint64_t len);
void pe_order_unmap_all(struct pe_proc *p);
/* Lets the mapper see what was written; go: the exit to release after the last of it, 0: none. */
void pe_order_publish(struct pe_proc *p, uint32_t go);
/* Asks for a confirmation of all that was ordered so far, if any removal has none yet. */
void pe_order_ask(struct pe_proc *p);
/*
 * Whether a mapper that has not carried out its orders for long is to blame, or nobody is to wait for it
 * any more. Say so only when it was asked before, and its confirmations have been looked for since.
 */
bool pe_order_is_to_blame(struct pe_proc *p);
/* Waits for all confirmations that were asked for; a process that gives none is ended. */
void pe_order_wait_confirmed(struct pe_domain *pd);
void pe_proc_kill(struct pe_proc *p); /* for what no honest process does */

/* foreign.c */
void pe_foreign_offer(int sock);  /* in the nursery: makes the listener, sends it */
int pe_foreign_receive(int sock); /* the listener, or -1 */
int pe_foreign_begin(struct hv_domain *d, struct hv_domain *owner);
void pe_foreign_end(struct hv_domain *d, struct hv_domain *owner);
/* Who owns a frame that pd's domain may map, or NULL. Lock: pd */
const struct hv_domain *pe_foreign_owner(const struct pe_domain *pd, mfn_t mfn);
struct pe_foreign_map {
	uint64_t addr, len, offset;
	uint32_t prot;
	int memfd; /* the owner's */
};
/* Has p map it, and lets it. Lock: pd */
void pe_foreign_map(struct pe_proc *p, const struct pe_foreign_map *m);

/* mappings.c */
int pe_fill(struct hv_vcpu *v, const struct hv_run_map *run);
uint64_t pe_entry_changed(struct hv_domain *d, const struct hv_entry_change *c);
void pe_sync(struct hv_domain *d, uint32_t vcpu_mask);
void pe_retire(struct hv_domain *d, uint64_t seq);
void pe_map_window(struct pe_proc *p); /* Lock: pd */
void pe_apply_log(struct pe_proc *p);  /* Lock: pd */
/* p, new, gets what `from` has mapped by tables that the roots of both share. Lock: pd */
void pe_inherit(struct pe_proc *p, struct pe_proc *from);

/* run.c, wait.c */
int pe_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit);
void pe_vcpu_kick(struct hv_vcpu *v);
/*
 * Lets p go on after the exit it stopped at and waits for the next one, of p or of the partner that it
 * may have handed the vCPU to. Returns who stopped, NULL when the one that ran died.
 * Calls hv_vcpu_tick() as vcpu_run() promises, and stops the guest when that says so.
 */
struct pe_proc *pe_wait(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *partner);
void pe_go(struct pe_proc *p);

/* fpu.c */
void pe_fpu_set(struct pe_vcpu *pv, const uint8_t image[512]); /* as fxsave writes it */
/* Brings the state out of the process that holds it, which may have to save it first. */
void pe_fpu_collect(struct pe_vcpu *pv);
/* What p must load before v runs in it; returns PE_DO_FP or 0. */
/* p handed it over with a system call that nobody took in place. */
void pe_fpu_is_in_out(struct pe_vcpu *pv, struct pe_proc *p);
uint32_t pe_fpu_load(struct pe_vcpu *pv, struct pe_proc *p);
/* Where the state is after an exit: live in p, or in its signal frame (fpstate, in the process). */
void pe_fpu_is_live(struct pe_vcpu *pv, struct pe_proc *p);
void pe_fpu_is_in_frame(struct pe_vcpu *pv, struct pe_proc *p, uint64_t fpstate);

/* pair.c; from the vCPU's thread */
/* The process that p, about to run, may hand the vCPU to, all set up for it; or NULL. Takes pd->lock. */
struct pe_proc *pe_pair_up(struct pe_vcpu *pv, struct pe_proc *p);
/* Whether user mode runs under the kernel's root, and may be entered and left in place. */
bool pe_pair_in_one(const struct hv_vcpu *v);
/* What k must know to enter the kernel for a system call, and to leave it for user mode. */
void pe_pair_tell_kernel(struct pe_vcpu *pv, struct pe_proc *k);
/* What p knows of a peer that is about to end. Whether it knew it. Lock: pd */
bool pe_pair_forget(struct pe_proc *p, const struct pe_proc *peer);
/* After an exit of x: what the two did meanwhile becomes v's state. other: NULL when it has died. */
void pe_pair_settle(struct pe_vcpu *pv, struct pe_proc *x, struct pe_proc *other);

/* placement.c; all from the vCPU's thread */
void pe_place_thread(struct pe_vcpu *pv);                  /* first thing in that thread */
void pe_place_proc(struct pe_vcpu *pv, struct pe_proc *p); /* before p runs */
void pe_place_stop_spinning(struct pe_vcpu *pv);
static inline bool pe_place_spins(const struct pe_vcpu *pv)
{
	return pv->place.guest_core >= 0;
}
void pe_place_enter(struct pe_vcpu *pv); /* around the time that the guest runs, */
void pe_place_leave(struct pe_vcpu *pv); /* and now and then within a long one */

#endif
