/* SPDX-License-Identifier: MIT */
/*
 * Processes: the table, and what happens in a process's life. When it runs is sched.h's business.
 *
 * Locking: sched_lock may be taken while a pipe's, the console's or a file system's lock is held,
 * not the other way round.
 * Fields marked (s) are guarded by sched_lock; the others are used by the process itself, or by its
 * parent while it does not run.
 */
#ifndef TESTS_GUESTS_UNIX_PROC_H
#define TESTS_GUESTS_UNIX_PROC_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/cpu.h"
#include "pvops/frame.h"
#include "pvops/pvguest.h"
#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/vm.h"

#define KERNEL_STACK (2 * PV_PAGE_SIZE)

enum proc_state { FREE, NEW, READY, RUNNING, SLEEPING, DEAD };

struct file;

struct proc {
	enum proc_state state; /* (s) */
	int pid, group;        /* (s) */
	struct proc *parent;   /* (s) */
	int status;            /* (s) of a dead one: UNIX_STATUS() */
	bool is_idle;          /* a vCPU's, which has no program */
	char name[24];

	/* Where it goes on: kept by sched.c. */
	void *sp;           /* of a process that does not run */
	void *stack;        /* KERNEL_STACK bytes */
	void (*main)(void); /* of one that begins in the kernel */
	void *fp;           /* floating-point state of its program, while it does not run */
	uint64_t fs_base;
	uint32_t cpu;                /* (s) where it runs, or ran last */
	uint64_t cpu_ns, started_ns; /* (s) */
	struct proc *next;           /* (s) in the run queue or in a wait queue */
	struct pv_waitq *waits_in;   /* (s) */
	uint64_t deadline_ns;        /* (s) of its sleep; 0: none */
	bool can_interrupt;          /* (s) a signal ends its sleep */
	struct proc *next_sleeper;   /* (s) */
	bool has_memory;
	struct vm vm;

	struct file *files[UNIX_NR_FILES];
	struct pv_waitq children; /* wait() waits here */

	uint32_t pending; /* (s) signals, a bit each */
	uint32_t mask;    /* those that are not delivered now */
	uint64_t handler[NR_SIGNALS], restorer;
	uint64_t alarm_ns;      /* (s) 0: none */
	uint64_t fault_address; /* of the last exception that became a signal */
	uint32_t trap, trap_error;
};

/* The whole table; entries that are FREE are not in use. */
extern struct proc *proc_table;
extern unsigned int proc_table_len;

/* The program's registers: where every entry from user mode leaves them. */
static inline struct pv_frame *proc_frame(const struct proc *p)
{
	return (struct pv_frame *)((char *)p->stack + KERNEL_STACK) - 1;
}

/* Room for as many processes as the memory is good for. */
void proc_init(uint64_t memory_bytes);

/* The first process: main runs in it, in the kernel, until it calls exec(). */
void proc_start_first(void (*main)(void));

/* One that stays in the kernel: main does not return. False: there is no room for it. */
bool proc_start_kernel(const char *name, void (*main)(void));

/* The calls of the same names. -E* on failure. */
int proc_fork(void);
int proc_wait(int pid, int *status, int flags);
__attribute__((noreturn)) void proc_exit(int status);
int proc_set_group(int pid, int group);

/* The process of that number that is alive, or NULL; with sched_lock held. */
struct proc *proc_find(int pid);

/* 0, or -ENOENT beyond the last. */
int proc_info(uint64_t index, struct unix_procinfo *info);
unsigned int proc_count(void);

#endif /* TESTS_GUESTS_UNIX_PROC_H */
