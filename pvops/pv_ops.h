/* SPDX-License-Identifier: MIT */
/*
 * The operations that differ between a paravirtualized and a native kernel, as one table with two
 * sets: `xen` (ops_xen.c), and `native` for the same image entered at ring 0.
 *
 * Invariant: a kernel written against this header and never against the hypercalls runs in both
 * worlds. The set is chosen once, before any operation is used, and never changes.
 *
 * Calls by PV_OP() and the functions at the end of this header are recorded when they are compiled and
 * rewritten once, at boot, into direct code of the set in force (patch.h). Before that, and where a
 * call is made through the table itself, they are indirect and do the same.
 */
#ifndef PVOPS_PV_OPS_H
#define PVOPS_PV_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/frame.h"
#include "pvops/patch.h"

#define PV_PT_WRITE_MAX 64

/* A page-table root: the frame number (pfn) of a level-4 table. */
typedef struct {
	uint64_t pfn;
} pv_root_t;

/* What may be done with a mapped page. */
enum pv_prot {
	PV_PROT_READ = 1,
	PV_PROT_WRITE = 2,
	PV_PROT_EXEC = 4,
	PV_PROT_USER = 8, /* for user mode too */
};

/* One entry of a table, to be written; the frame in `value` is a pfn. */
struct pv_pt_write {
	uint64_t *entry;
	uint64_t value;
};

/* The translations that a list of writes made stale. */
struct pv_flush {
	uint64_t cpus;      /* bit per vCPU that may hold them */
	uint64_t va;        /* the first page */
	unsigned int pages; /* how many from there on; 0: all that there are */
};

/* What a vCPU has loaded to run one user program, or kernel code alone. */
struct pv_context {
	pv_root_t kernel_root;
	pv_root_t user_root; /* pfn 0: none, there is no way to user mode */
	void *kernel_stack;  /* on which the kernel is entered from user mode */
	uint64_t fs_base;
};

struct pv_spinlock {
	uint32_t state; /* 0 free, 1 held, 2 held and somebody may be asleep for it */
};

struct pv_cpu_ops {
	/* out: eax, ebx, ecx, edx as this kernel should see them */
	void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
	/* The stack on which the kernel is entered from user mode. */
	void (*set_kernel_stack)(void *top);
	void (*set_fs_base)(uint64_t base);
	/* The GS base that user mode will have; the kernel's own is the library's. */
	void (*set_user_gs_base)(uint64_t base);
	/* The library's. 0 or negative XEN_E*. */
	int (*set_kernel_gs_base)(uint64_t base);
	/* Extended states that xsave is to handle; 0 or negative XEN_E*. */
	int (*set_xcr0)(uint64_t mask);
	/* Ends this machine; reason: SHUTDOWN_*. */
	void (*shutdown)(unsigned int reason);
	/*
	 * From one context to another, in one step; what is equal in both is left alone. The kernel
	 * code that calls is mapped in both. 0 or negative XEN_E*; then the old context is in force.
	 */
	int (*switch_context)(const struct pv_context *from, const struct pv_context *to);
	/* The address of the last #PF. */
	uint64_t (*fault_address)(void);
	/* pv_frame_resume(), see pvguest.h. */
	void (*frame_resume)(struct pv_frame *frame);
};

struct pv_mmu_ops {
	/*
	 * Tables are ordinary memory, and user mode is kept out of the kernel's pages by their
	 * entries: so one root serves both, and table_make() and table_drop() do nothing.
	 */
	bool is_direct;
	/*
	 * The level-1 entry of an address of the kernel's, whose tables exist, with a machine frame in
	 * it; no old translation is left on any vCPU. 0 or negative XEN_E*.
	 */
	int (*set_page)(uint64_t va, uint64_t entry);
	/* The kernel's table, loaded at once; the user's, in force from the next return to user. */
	int (*load_root)(pv_root_t root);
	int (*load_user_root)(pv_root_t root);
	/*
	 * A page becomes a table of this level (1 to 4), or ceases to be one. Between the two calls
	 * it is only read, and written by set_entries alone.
	 */
	int (*table_make)(void *table, unsigned int level);
	int (*table_drop)(void *table, unsigned int level);
	/* Writes entries first to first + count - 1 of a table; frames in them are pfns. */
	int (*set_entries)(uint64_t *table, unsigned int first, unsigned int count,
	                   const uint64_t *entries);
	/*
	 * A list of writes to any tables, in order and in one step, and then the flush (NULL: none).
	 * The list is used up. At most PV_PT_WRITE_MAX. 0 or negative XEN_E*; then some are done.
	 */
	int (*write_entries)(struct pv_pt_write *list, unsigned int count,
	                     const struct pv_flush *flush);
	/* The entry as the kernel wrote it: with a pfn. */
	uint64_t (*read_entry)(const uint64_t *table, unsigned int index);
	/* This vCPU's, and every vCPU's, cached translations. */
	void (*flush_page)(uint64_t va);
	void (*flush_all)(void);
	void (*flush_page_everywhere)(uint64_t va);
	void (*flush_all_everywhere)(void);
};

/*
 * save to enabled are called by code that expects rax, rcx and the flags to be lost, and nothing else:
 * they are written in assembly.
 */
struct pv_irq_ops {
	/* save: disables, and returns what restore() takes to bring the old state back. */
	uint64_t (*save)(void);
	void (*restore)(uint64_t state);
	void (*disable)(void);
	void (*enable)(void);
	uint64_t (*enabled)(void); /* 0 or 1 */
	/* Enables, and waits for an event, without a gap between the two. Returns enabled. */
	void (*wait)(void);
};

struct pv_event_ops {
	/* EVTCHNOP_*, with its argument; 0 or negative XEN_E*. */
	int (*channel)(int cmd, void *arg);
	/* The kernel has made an event pending itself: delivered now, or when events are enabled. */
	void (*raised)(void);
	/* Events masked: returns when one may be pending, at deadline_ns (0: none), or early. */
	void (*sleep)(uint64_t deadline_ns);
};

struct pv_time_ops {
	/* Nanoseconds since start; never goes back, on any vCPU. */
	uint64_t (*now_ns)(void);
	/* Nanoseconds since 1970. */
	uint64_t (*wall_ns)(void);
	/* This vCPU's one timer, at a system time in ns; 0 stops it. */
	int (*set_timer)(uint64_t deadline_ns);
};

struct pv_lock_ops {
	/* Sleeps while *lock is held by somebody else; may return early. Events masked. */
	void (*wait)(struct pv_spinlock *lock);
	/* The lock has just been given up, and somebody may be in wait(). */
	void (*kick)(struct pv_spinlock *lock);
};

struct pv_ops {
	const char *name;
	bool is_native; /* ring 0 on a machine, real or emulated; else there is a hypervisor */
	struct pv_cpu_ops cpu;
	struct pv_mmu_ops mmu;
	struct pv_irq_ops irq;
	struct pv_event_ops event;
	struct pv_time_ops time;
	struct pv_lock_ops lock;
};

/* The set in force. */
extern struct pv_ops pv_ops;

static inline bool pv_is_native(void)
{
	return pv_ops.is_native;
}

/* The sets. */
extern const struct pv_ops pv_ops_xen;

extern const struct pv_ops pv_ops_native;

#ifdef PV_HOSTED_TEST

#define PV_OP(group, op, ...) (pv_ops.group.op(__VA_ARGS__))

static inline uint64_t pv_irq_save(void)
{
	return pv_ops.irq.save();
}

static inline void pv_irq_restore(uint64_t state)
{
	pv_ops.irq.restore(state);
}

static inline void pv_irq_disable(void)
{
	pv_ops.irq.disable();
}

static inline void pv_irq_enable(void)
{
	pv_ops.irq.enable();
}

static inline bool pv_irq_enabled(void)
{
	return pv_ops.irq.enabled();
}

#else

/* Up to four arguments, words or pointers; the result is void, an integer of 32 bits or more, or a
 * pointer. */
#define PV_OP(group, op, ...)                                                                  \
	({                                                                                     \
		uint64_t pv_result = PV_PATCH_CALL(__builtin_offsetof(struct pv_ops, group.op) \
		                                           __VA_OPT__(, ) __VA_ARGS__);        \
		(__typeof__(pv_ops.group.op(__VA_ARGS__)))pv_result;                           \
	})

static inline uint64_t pv_irq_save(void)
{
	uint64_t state;

	__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_SAVE)
	                 : "=a"(state)
	                 : [op_offset] "i"(__builtin_offsetof(struct pv_ops, irq.save))
	                 : "rcx", "cc", "memory");
	return state;
}

static inline void pv_irq_restore(uint64_t state)
{
	__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_RESTORE)
	                 :
	                 : [op_offset] "i"(__builtin_offsetof(struct pv_ops, irq.restore)),
	                   "D"(state)
	                 : "rax", "rcx", "cc", "memory");
}

static inline void pv_irq_disable(void)
{
	__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_DISABLE)
	                 :
	                 : [op_offset] "i"(__builtin_offsetof(struct pv_ops, irq.disable))
	                 : "rax", "rcx", "cc", "memory");
}

static inline void pv_irq_enable(void)
{
	__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_ENABLE)
	                 :
	                 : [op_offset] "i"(__builtin_offsetof(struct pv_ops, irq.enable))
	                 : "rax", "rcx", "cc", "memory");
}

static inline bool pv_irq_enabled(void)
{
	uint64_t enabled;

	__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_ENABLED)
	                 : "=a"(enabled)
	                 : [op_offset] "i"(__builtin_offsetof(struct pv_ops, irq.enabled))
	                 : "rcx", "cc", "memory");
	return enabled;
}

#endif /* PV_HOSTED_TEST */

static inline void pv_irq_wait(void)
{
	PV_OP(irq, wait);
}

static inline uint64_t pv_now_ns(void)
{
	return PV_OP(time, now_ns);
}

static inline uint64_t pv_wall_ns(void)
{
	return PV_OP(time, wall_ns);
}

static inline int pv_timer_set(uint64_t deadline_ns)
{
	return PV_OP(time, set_timer, deadline_ns);
}

static inline void pv_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	PV_OP(cpu, cpuid, leaf, subleaf, out);
}

#endif /* PVOPS_PV_OPS_H */
