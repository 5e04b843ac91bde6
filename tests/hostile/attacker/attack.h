/* SPDX-License-Identifier: MIT */
/*
 * What the families of attacks share: random numbers that a seed decides, values worth trying,
 * protection from one's own traps, and the one thing that must never be said.
 *
 * A family is a function that makes `budget` attempts and returns. What it breaks of its own domain
 * is its own affair: an end with a report is an honourable one. What it must never see is another
 * domain's memory, or a frame in two uses at once: then it calls at_breach().
 */
#ifndef TESTS_HOSTILE_ATTACKER_ATTACK_H
#define TESTS_HOSTILE_ATTACKER_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/grant_table.h"
#include "abi/xen.h"
#include "pvops/cpu.h"
#include "pvops/frame.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/traps.h"

#define AT_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- main.c ---- */

struct at_facts {
	uint64_t seed;
	unsigned int budget;         /* attempts */
	evtchn_port_t port;          /* the witness's, for us to bind; 0: there is none */
	grant_ref_t read, write, go; /* the witness's pages: to read, to write, comes and goes */
	domid_t witness, self;
	bool trace;                    /* say each attempt */
	unsigned int cpus;             /* vCPUs there are, ours included */
	uint64_t frame0;               /* our lowest frame's number, about */
	uint64_t foreign, foreign_end; /* the witness's frames */
	uint64_t shared_frame;         /* shared_info's */
	uint64_t grant_frame;          /* the first frame of our grant table */
};
extern struct at_facts at;

/* Ends the domain after a line that the harness looks for. */
__attribute__((format(printf, 1, 2), noreturn)) void at_breach(const char *fmt, ...);

/* Before each attempt: the harness reads the count, and with trace=1 the name. */
void at_attempt(const char *name);

/* ---- random.c ---- */

uint64_t at_random(void);
uint64_t at_below(uint64_t n);       /* 0 .. n - 1 */
bool at_chance(unsigned int one_in); /* true once in so many */
uint64_t at_value(void);             /* a number worth trying as an argument */
uint64_t at_address(void);           /* an address worth trying */
uint64_t at_frame(void);             /* a machine frame's number */
void at_noise(void *p, size_t len);  /* 8-byte words of at_value() and at_frame() */
void at_seed(uint64_t seed);

/* One page at AT_SCRATCH and the next one, zeroed at first; what noise is put into. */
extern uint8_t at_scratch[2 * 4096];

/* ---- traps ---- */

int at_protect(uint64_t *slot, void (*fn)(void *), void *arg);
extern char at_abort[], at_abort_end[];

/* Runs fn(arg); false when a trap ended it. Each vCPU has its own slot. */
bool at_try(void (*fn)(void *), void *arg);
extern unsigned int at_traps;   /* how many there were, about */
extern struct pv_frame at_last; /* the last one's frame */

/* What at_try() runs is ended by the clock after so long, when it lets events in; 0: no limit. */
void at_limit(uint64_t ns);

/* One byte at an address, in vain or not. */
bool at_read(uint64_t va, uint8_t *value);
bool at_write(uint64_t va, uint8_t value);

/* The page can be written, or is made so; false when it is lost. */
bool at_keep(void *page);

/* Traps, callbacks, stack, bases and mask as the library wants them, on vCPU 0. */
void at_restore(void);

/* The vCPUs 1 .. cpus - 1 call fn(number) again and again until at_helpers(NULL). */
void at_helpers(void (*fn)(unsigned int cpu));

/* Is it one of the witness's? */
static inline bool at_is_foreign(uint64_t mfn)
{
	return mfn >= at.foreign && mfn < at.foreign_end;
}

/* ---- registers for code that does not come back: run.S ---- */

struct at_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp;
};
__attribute__((noreturn)) void at_enter(struct at_regs *r);

/* ---- blobs.S: pieces of position-independent code; they end in ud2 ---- */

extern const char at_blobs[], at_blobs_end[];
extern const char at_blob_jump[], at_blob_syscall[], at_blob_int80[], at_blob_sysenter[],
	at_blob_call[], at_blob_far[], at_blob_store[], at_blob_forge[], at_blob_popf[],
	at_blob_xrstor[], at_blob_fxrstor[], at_blob_bases[], at_blob_stack[], at_blob_iret[],
	at_blob_segment[], at_blob_read[], at_blob_write[], at_blob_noise[];

/* engine.c: registers for one attack on the engine, for code at `at`. The name says which. */
const char *at_engine_attack(struct at_regs *r, uint64_t blobs, uint64_t data, uint64_t stack);

/* ---- families ---- */

void at_hypercalls(void);
void at_irets(void);
void at_contexts(void);
void at_tables(void);
void at_races(void);
void at_events(void);
void at_grants(void);
void at_store(void);
void at_engine(void);
void at_user(void);

#endif
