/* SPDX-License-Identifier: MIT */
/*
 * The seam of full virtualization: a machine on one side (memory, devices behind bus.h, the guest's
 * image), one CPU on the other, run by trap-and-emulate on the process engine (ring3.c) or by a
 * hardware virtual machine (engines/kvm/hvm*.c).
 *
 *   1. the way's create() makes the CPU and the guest's memory, and fills m->ram
 *   2. the machine puts the memory and the devices on the bus, and loads the image (pvh.h)
 *   3. run() starts the CPU as a PVH entry asks for, and returns when the machine stops
 *
 * One CPU only. Everything that the guest's hardware would answer, the way asks of the bus: ports and
 * MMIO, whether an interrupt is pending, its vector. The way keeps registers, page tables, exceptions,
 * MSRs, CPUID.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_FV_H
#define HYPERVISOR_STUB_FULLVIRT_FV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct fv_bus;
struct fv_cpu;

/*
 * Memory as the guest finds it: RAM from 0 to FV_HOLE and from 1 MiB to ram_bytes; between them what
 * a PC has for its display and its ROMs. RAM ends below the devices' part of the first 4 GiB.
 */
#define FV_HOLE     0xa0000u
#define FV_HOLE_END 0x100000u
#define FV_MAX_RAM  0xc0000000u /* bytes */

/* Why the CPU stopped for good. */
enum fv_end {
	FV_END_NONE,     /* it runs, or may */
	FV_END_POWEROFF, /* by a device, or from outside */
	FV_END_RESET,
	FV_END_CODE,  /* the debug exit port; code says what was written there */
	FV_END_CRASH, /* a triple fault, or something that this way cannot execute; text says what */
	FV_END_OURS,  /* the host let us down; text says how */
	FV_END_STOPPED, /* fv_stop() from outside */
};

/* What --stats counts: exits of the CPU by kind. A way counts those that it has. */
enum fv_exit_kind {
	FV_EXIT_PORT,
	FV_EXIT_MMIO,
	FV_EXIT_HLT,
	FV_EXIT_PRIVILEGED,  /* another instruction that was emulated */
	FV_EXIT_SCAN,        /* code that was found and scanned (ring3) */
	FV_EXIT_TABLE_WRITE, /* a store to a page table (ring3) */
	FV_EXIT_ROOT,        /* a load of CR3 */
	FV_EXIT_INVLPG,
	FV_EXIT_MISS,      /* a miss in the cache of the guest's page tables (ring3) */
	FV_EXIT_FAULT,     /* a page fault given to the guest */
	FV_EXIT_EXCEPTION, /* another exception given to the guest */
	FV_EXIT_SYSCALL,   /* syscall and sysret that were not done in place (ring3) */
	FV_EXIT_INTERRUPT, /* an interrupt delivered */
	FV_EXIT_WINDOW,    /* the guest began to take interrupts, and one was waiting */
	FV_EXIT_KICK,
	FV_EXIT_OTHER,
	FV_NR_EXITS
};

struct fv_machine {
	/* Set by whoever makes it, before create(). */
	struct fv_bus *bus;
	uint64_t ram_bytes;  /* a multiple of 4 KiB, up to FV_MAX_RAM */
	uint32_t entry;      /* PVH: eip at the start, */
	uint32_t start_info; /* and ebx; both set after create() and before run() */

	/* By create(): guest-physical memory, ram_bytes of it, zero. The hole is backed but not RAM. */
	uint8_t *ram;
	struct fv_cpu *cpu;

	/* The end; fv.c. The first who says why is heard. */
	atomic_bool stop; /* the CPU must leave run() */
	atomic_int end;   /* enum fv_end */
	unsigned code;
	char text[256];

	/* fv_wait() and fv_wake(). */
	_Atomic uint32_t wakes;

	atomic_uint_least64_t exits[FV_NR_EXITS];
};

/*
 * A way to run the CPU. run() is called once, by the thread that is then the bus's CPU thread (bus.h),
 * with all signals blocked.
 */
struct fv_way {
	const char *name; /* of the engine */
	/* 0 when it works here; else negative and a sentence for the user. */
	int (*probe)(char *why, size_t why_len);
	/* Fills m->ram and m->cpu. 0, or negative and a sentence. */
	int (*create)(struct fv_machine *m, char *why, size_t why_len);
	void (*destroy)(struct fv_machine *m); /* gives m->ram back, too */
	/*
	 * Runs the guest until m->stop; whatever ends it from inside calls fv_end(). Looks at
	 * fv_irq_pending() before it enters the guest with interrupts on; a hlt ends in fv_wait().
	 */
	void (*run)(struct fv_machine *m);
	/* Any thread, any lock: the guest, if it runs, is stopped, and looks at m->stop and at
	 * fv_irq_pending() again. The caller has changed one of them before. */
	void (*kick)(struct fv_machine *m);
	/*
	 * A device has written [gpa, gpa + len) of memory (fv_bus_host.wrote). Any thread. NULL: the
	 * way does not mind. What was derived from there is gone before the guest runs on after the
	 * device has said that it is done.
	 */
	void (*wrote)(struct fv_machine *m, uint64_t gpa, uint64_t len);
	/* More lines for --stats; may be NULL. */
	void (*stats)(const struct fv_machine *m, FILE *out);
};

extern const struct fv_way fv_way_ring3; /* on the process engine; ring3.c */
extern const struct fv_way fv_way_hvm;   /* on KVM; engines/kvm/hvm.c */

static inline void fv_count(struct fv_machine *m, enum fv_exit_kind kind)
{
	atomic_fetch_add_explicit(&m->exits[kind], 1, memory_order_relaxed);
}

/* fv.c */

/* Ends the machine; the first reason stays. fmt: one sentence, or NULL. Any thread. The caller kicks
 * the CPU when it is not the CPU's thread. */
void fv_end(struct fv_machine *m, enum fv_end end, unsigned code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * For hlt: sleeps until m->stop or fv_irq_pending(), one of which may already hold. The CPU's thread.
 * Whoever makes one of them true calls fv_wake() behind it.
 */
void fv_wait(struct fv_machine *m);
void fv_wake(struct fv_machine *m);
/* Names of the exits, for --stats. */
const char *fv_exit_name(enum fv_exit_kind kind);

#endif
