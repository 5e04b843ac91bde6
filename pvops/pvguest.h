/* SPDX-License-Identifier: MIT */
/*
 * What a kernel that links libpvguest.a supplies, and what it is told when it starts.
 *
 * The library owns the entry point. It brings up the hypervisor's interfaces in the order that
 * init.c shows and then calls kernel_main() on the boot vCPU, with events masked, on a stack of
 * 16 KiB. Everything the library needs from the kernel is in the one table `pv_hooks`; a kernel that
 * has nothing to say leaves it out, and the library's own (hooks.c) serves: pages from the boot
 * memory, waiting by blocking the vCPU, the log on the console.
 */
#ifndef PVOPS_PVGUEST_H
#define PVOPS_PVGUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/sched.h"
#include "abi/xen.h"
#include "pvops/frame.h"

#define PV_PAGE_SHIFT 12
#define PV_PAGE_SIZE  4096ul
#define PV_PAGE_MASK  (~(PV_PAGE_SIZE - 1))

/* Addresses below this are never mapped by the library: some hosts cannot map them at all. */
#define PV_LOWEST_ADDRESS 0x10000ul

/* ---- supplied by the kernel ---- */

/* A place to wait at. Zeroed by its owner; the words belong to whoever implements the hooks. */
struct pv_waitq {
	void *kernel[2];
};

struct pv_hooks {
	/*
	 * One page of memory, in the identity map, writable, any contents; NULL when there is none.
	 * Called with events masked or not; must not wait. Not called before kernel_main().
	 */
	void *(*page_alloc)(void);
	void (*page_free)(void *page);

	/*
	 * wait: return true as soon as ready(arg) says true, false when system time has reached
	 * deadline_ns first (0: no deadline). ready() is cheap and has no effect of its own; it is
	 * asked before sleeping and again after each wake(q).
	 * wake: called from event handlers.
	 */
	bool (*wait)(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns);
	void (*wake)(struct pv_waitq *q);

	/* A line of the library's, or a piece of one. Any context, a panic included. */
	void (*log)(const char *text, size_t len);

	/*
	 * The last call of every outermost upcall, events masked: the place to switch threads. It may
	 * return much later. May be NULL.
	 */
	void (*upcall_done)(struct pv_frame *frame);
};

/* Left out by the kernel, or with members that are NULL: the library's own serve instead. */
extern const struct pv_hooks pv_hooks;

/*
 * What the kernel may use and how it was called. Addresses are virtual = pseudo-physical.
 *
 * Free memory is [low_free, low_end) and [free, memory_end). The part of it that is mapped when
 * kernel_main() begins ends at mapped_end; pv_mmu_map_memory() maps the rest and moves mapped_end.
 */
struct pv_boot {
	const char *cmdline; /* ends with a 0 */
	const void *ramdisk; /* NULL: none */
	size_t ramdisk_len;
	uint64_t low_free, low_end;
	uint64_t free, mapped_end, memory_end;
	const struct start_info *start; /* the domain builder's own words */
};

extern struct pv_boot pv_boot;

/* The kernel. When it returns, the domain is powered off. */
void kernel_main(const struct pv_boot *boot);

/* ---- for the kernel's use ---- */

/* The shared page of the domain; valid from kernel_main() on. */
extern struct shared_info *pv_shared_info;

/* One page, by the kernel's hook or from the boot memory; NULL when there is none. */
void *pv_page_alloc(void);
void pv_page_free(void *page);

/* Waits as the kernel's hook does; false when deadline_ns (system time, 0: none) came first. */
bool pv_wait(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns);
void pv_wake(struct pv_waitq *q);

/* printf to the log. Lines longer than 255 characters are cut. Any context. */
__attribute__((format(printf, 1, 2))) void pv_log(const char *fmt, ...);

/* Says why on the log and crashes the domain. Any context. */
__attribute__((format(printf, 1, 2), noreturn)) void pv_panic(const char *fmt, ...);

/* reason: SHUTDOWN_*. Waits until the console has taken what was written to it. */
__attribute__((noreturn)) void pv_shutdown(unsigned int reason);

/*
 * pv_frame_resume - leave through a frame, as if a handler had just returned to it
 *
 * frame: one that an entry made, or that the kernel filled in itself: all registers, rip, cs, rflags
 *        (IF: events enabled), rsp, ss; fp, kernel and vector 0. To enter a user program, cs and ss
 *        are FLAT_USER_CS and FLAT_USER_SS.
 * Context: kernel mode, events masked. The current stack is given up.
 */
__attribute__((noreturn)) void pv_frame_resume(struct pv_frame *frame);

#endif /* PVOPS_PVGUEST_H */
