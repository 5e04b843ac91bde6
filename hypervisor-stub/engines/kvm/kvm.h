/* SPDX-License-Identifier: MIT */
/*
 * Inside the KVM engine: what its files share.
 *
 * A domain is one KVM virtual machine. Guest-physical addresses are machine addresses: frame n of
 * the machine is page n of the VM, so the guest's validated tables are used by KVM as they are.
 * Guest kernel and guest user run at ring 3; slot 256 of every root holds the shim (shim.c), pages
 * for the supervisor only, and slot 257 the machine-to-physical table, read-only.
 *
 * Invariant: nothing in the shim's pages is ever written by guest code, and no guest register is
 * used as an address while the shim's ring runs, but for the stack pointer that `syscall` leaves,
 * which the one instruction at its entry does not use.
 */
#ifndef HYPERVISOR_STUB_ENGINES_KVM_KVM_H
#define HYPERVISOR_STUB_ENGINES_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "hypervisor-stub/core/hv.h"

#define KV_MAX_CPUS    (HV_MAX_VCPUS + 1) /* the last is the janitor: it only touches tables */
#define KV_JANITOR     HV_MAX_VCPUS
#define KV_MAX_FOREIGN HV_MAX_DOMAINS

/* How a page-table entry that this process changed becomes what the guest sees. */
enum kv_coherence {
	KV_BY_FLUSH, /* the processor reads the guest's tables: a flush of its cache is enough */
	KV_BY_TOUCH, /* KVM keeps copies: it must see a write by the guest's processor, or lose the page */
};

/* Selectors of the shim's part of the descriptor table. It begins at 0xe000, as Xen's does. */
#define KV_CS0        0xe008u
#define KV_SS0        0xe010u
#define KV_TSS        0xe040u
#define KV_RING3_CS64 0xe033u
#define KV_RING3_CS32 0xe023u
#define KV_RING3_SS   0xe02bu

#define KV_PORT       0x71u /* of every OUT in the shim; nothing is connected to it */
/* CR4.PGE. KVM drops what it and the processor have cached when this bit changes in either way. */
#define KV_CR4_FLIP  0x80u
#define KV_MAX_TOUCH 64u

/* ---- vm.c: one virtual machine, its memory and its processors --------------------------------- */

/* Below 1 GiB there is no frame of a domain. */
#define KV_KVMS_PAGES UINT64_C(0x1000000)

struct kv_vm {
	int fd;
	size_t run_size;
	uint32_t max_slots;
	enum kv_coherence coherence;
	struct kvm_cpuid2 *cpuid;
	uint64_t xcr0;
	uint8_t *shim; /* our view of the shim's memory */
	size_t shim_size;
	uint64_t shim_gpa;
	/* The supervisor's view of the domain's own frames in slot 256. */
	uint64_t direct_gpa, direct_len;
	uint64_t m2p_l3; /* its table of level 3; 0: none */
};

/* struct kvm_msrs with room for some. */
struct kv_msrs {
	uint32_t nr, pad;
	struct kvm_msr_entry e[4];
};
_Static_assert(offsetof(struct kv_msrs, e) == offsetof(struct kvm_msrs, entries),
               "struct kvm_msrs");

struct kv_cpu {
	int fd; /* -1: not made yet */
	unsigned index;
	struct kv_vm *vm;
	struct kvm_run *run;
	uint8_t *page; /* our view of its page in the shim: task state, touch list, stack */
	int stats_fd;  /* KVM's own figures of it; -1: nobody wants to know, or this KVM has none */
	_Atomic uint64_t touches; /* times that it ran kv_cpu_touch() */
};

/* 0 or a negative errno; why gets a sentence when /dev/kvm cannot be used. */
int kv_open(char *why, size_t why_len);
/* kvms_pages: where four guest-physical pages are nobody's; KVM itself uses them on some processors. */
int kv_vm_create(struct kv_vm *vm, enum kv_coherence coherence, uint64_t kvms_pages);
void kv_vm_destroy(struct kv_vm *vm);
/* A run of the host's memory becomes guest-physical memory; len 0: none any more. 0 or negative errno. */
int kv_vm_map(struct kv_vm *vm, unsigned slot, uint64_t gpa, void *host, uint64_t len);
/* cpuid: what it answers; NULL: as the host's KVM would have it. */
int kv_cpu_create(struct kv_vm *vm, struct kv_cpu *c, unsigned index,
                  const struct kvm_cpuid2 *cpuid);
void kv_cpu_destroy(struct kv_cpu *c);
/* Code and stack segment; the privilege is that of the selectors. */
void kv_segments(struct kvm_sregs *s, uint16_t cs, uint16_t ss, bool is_32bit);
/* All features of the state on, where they can be chosen; elsewhere the guest has the host's. */
void kv_cpu_set_xcr0(struct kv_cpu *c);
/* Floating point becomes the initial state. */
int kv_cpu_reset_fpu(struct kv_cpu *c,
                     const uint8_t *image); /* as fxsave writes it; NULL: initial */
/* Runs in the shim's ring from `stub`, on the touch list, until its OUT. 0 or a negative errno. */
int kv_cpu_touch(struct kv_cpu *c, const uint64_t *va, unsigned nr, bool whole_table);
/* The processor's width of physical addresses, bits. */
unsigned kv_phys_bits(void);
/* What this KVM needs; found out once, by trying (probe.c). */
int kv_coherence(char *why, size_t why_len);

/* The half of kv_cpu_create() that knows nothing of the shim: the processor, its run page, its cpuid. */
int kv_cpu_open(struct kv_vm *vm, struct kv_cpu *c, unsigned index, const struct kvm_cpuid2 *cpuid);

/* ---- kick.c ------------------------------------------------------------------------------------ */

/* The calling thread will run this processor, and may be called out by the number returned. */
pid_t kv_kick_enter(struct kvm_run *run);
/* It will not any more; before the run page goes. */
void kv_kick_leave(void);
/* Ends that thread's KVM_RUN, or the next one before it begins. Any thread. */
void kv_kick(pid_t tid);
/* For a timer that does the same. */
void kv_kick_timer(struct sigevent *ev, pid_t tid);

/* ---- shim.c ------------------------------------------------------------------------------------ */

#define KV_SLOT_SHIM       256u
#define KV_SLOT_M2P        257u
#define KV_DIRECT          0xffff800000000000u
#define KV_M2P             0xffff808000000000u
#define KV_SHIM            0xffff807fffe00000u /* the last 2 MiB of slot 256 */
#define KV_GDTS            0xffff807fffa00000u /* and the 4 MiB below: 64 KiB for each processor */
#define KV_STUBS           (KV_SHIM + 0x0000u) /* one of 16 bytes for each vector */
#define KV_ENTRY           (KV_SHIM + 0x1000u) /* where `syscall` goes */
#define KV_TOUCH           (KV_SHIM + 0x1100u) /* a list of entries, */
#define KV_FORGET          (KV_SHIM + 0x1400u) /* a list of whole tables */
#define KV_IDT             (KV_SHIM + 0x2000u)
#define KV_CPU(i)          (KV_SHIM + 0x8000u + 0x1000u * (uint64_t)(i))
#define KV_GDT(i)          (KV_GDTS + 0x10000u * (uint64_t)(i))
#define KV_STACK_TOP       0x1000u /* in a processor's page */
#define KV_LIST            0x400u  /* likewise: the touch list */
#define KV_GUEST_GDT_PAGES 14u

struct kv_shim_plan {
	uint64_t direct_gpa, direct_len; /* bytes; of the domain's frames */
	uint64_t m2p_gpa, m2p_len;       /* bytes; len 0: no table */
};

size_t kv_shim_size(const struct kv_shim_plan *plan);
/* Fills vm->shim, which is zero and will be seen by the guest at vm->shim_gpa. */
void kv_shim_fill(struct kv_vm *vm, const struct kv_shim_plan *plan);
/* What every root has in a slot of Xen's part; 0: nothing. */
uint64_t kv_shim_root_entry(const struct kv_vm *vm, unsigned slot);
uint64_t kv_shim_root(const struct kv_vm *vm); /* CR3 of a root with only the shim in it */
/* Puts a frame (HV_MFN_NONE: none) into a page of a processor's descriptor table; the address of
 * the changed entry as the supervisor sees it. */
uint64_t kv_shim_set_gdt(struct kv_vm *vm, unsigned cpu, unsigned page, mfn_t frame);
uint8_t *kv_shim_cpu_page(struct kv_vm *vm, unsigned index);
/* Where the supervisor sees a frame of the domain. */
uint64_t kv_shim_direct(const struct kv_vm *vm, uint64_t gpa);

/* ---- kvm.c: domains and vCPUs ------------------------------------------------------------------ */

struct kv_foreign {
	struct hv_domain *owner;
	uint8_t *base;
	unsigned uses;
};

/* Which run of the host's memory is which in the VM. */
enum { KV_MEM_OWN, KV_MEM_SHIM, KV_MEM_M2P, KV_MEM_FOREIGN };

#define KV_PENDING 512u

struct kv_domain {
	struct hv_domain *d;
	struct kv_vm vm;
	uint8_t *base; /* the domain's memory as the VM maps it: dropping it here drops it there */
	size_t len;
	pthread_mutex_t lock; /* all below; taken inside of the domain's lock, and a leaf */
	struct kv_cpu janitor;
	bool has_janitor;
	_Atomic uint64_t seq; /* changes so far; also read without the lock */
	/* KV_BY_TOUCH: changes that are not in effect yet. */
	uint64_t entry[KV_PENDING]; /* machine addresses of table entries to touch */
	unsigned nr_entries;
	uint64_t table[KV_PENDING]; /* and of whole tables */
	unsigned nr_tables;
	uint64_t frame[KV_PENDING]; /* mfns of pages that lost something */
	unsigned nr_frames;
	struct kv_foreign foreign[KV_MAX_FOREIGN];
	unsigned nr_foreign;
};

/* What the engine counts itself, by vCPU. */
enum kv_figure { KV_ENTERED, KV_HYPERCALL, KV_SYSCALL, KV_EXCEPTION, KV_KICKED, KV_NR_FIGURES };

struct kv_vcpu {
	struct hv_vcpu *v;
	struct kv_domain *kd;
	struct kv_cpu cpu;
	bool entered; /* by the thread below */
	pthread_t thread;
	pid_t tid;
	timer_t timer;
	uint64_t timer_ns;
	atomic_bool kicked;       /* vcpu_kick() since hv_vcpu_tick() last ran */
	atomic_bool inside;       /* between the last look around and the end of KVM_RUN */
	_Atomic uint64_t flushed; /* KV_BY_FLUSH: the changes that it has entered the guest after */
	bool flush;               /* own thread: empty its cache in any case */
	atomic_bool reset_fpu;    /* to the image, or the initial state; both change before this */
	bool has_fpu_image;
	uint8_t fpu_image[512];
	mfn_t gdt[KV_GUEST_GDT_PAGES];
	uint64_t last_fault, last_rip; /* of a miss that the tables allowed */
	unsigned misses;
	_Atomic uint64_t figure[KV_NR_FIGURES];
};

static inline struct kv_domain *kv_of(const struct hv_domain *d)
{
	return d->engine_priv;
}

/* Maps a domain's memory into kd's VM; where we see that mapping goes to *base. 0 or negative errno. */
int kv_map_memory(struct kv_domain *kd, unsigned slot, struct hv_domain *owner, uint8_t **base);
void kv_unmap_memory(struct kv_domain *kd, unsigned slot, struct hv_domain *owner, uint8_t *base);

/* ---- run.c ------------------------------------------------------------------------------------- */

int kv_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit);
void kv_vcpu_kick(struct hv_vcpu *v);
/* The vCPU whose thread this is, or NULL. */
struct kv_vcpu *kv_current(void);

/* ---- figures.c ---------------------------------------------------------------------------------- */

void kv_figure_add(struct kv_vcpu *kv, enum kv_figure what);
/* Asks KVM for the descriptor of a processor's figures; from then on kv_figure() has them. */
void kv_figures_open(struct kv_cpu *c);
const char *kv_figure(const struct hv_vcpu *v, unsigned i, uint64_t *n);
/* KVM's figures alone, of one processor. */
const char *kv_kvm_figure(const struct kv_cpu *c, unsigned i, uint64_t *n);

/* ---- cache.c ----------------------------------------------------------------------------------- */

int kv_fill(struct hv_vcpu *v, const struct hv_run_map *run);
uint64_t kv_entry_changed(struct hv_domain *d, const struct hv_entry_change *c);
uint64_t kv_table_gone(struct hv_domain *d, mfn_t table);
void kv_sync(struct hv_domain *d, uint32_t vcpu_mask);
void kv_retire(struct hv_domain *d, uint64_t seq);
int kv_foreign_begin(struct hv_domain *d, struct hv_domain *owner);
void kv_foreign_end(struct hv_domain *d, struct hv_domain *owner);
/* Makes a change of an entry in the shim's own tables visible. From kv's thread. */
void kv_touch_shim(struct kv_vcpu *kv, uint64_t va);

#endif
