/* SPDX-License-Identifier: MIT */
/*
 * The frame of the self-test: claims, verdicts, and traps that a claim expects.
 *
 * A claim is a function. It ends with PASS by returning, with FAIL or SKIP by the macros below,
 * which return. A trap that it does not expect, and a claim that runs longer than the harness
 * outside allows, are failures too. Claims run with events enabled, and leave everything as they
 * found it.
 */
#ifndef TESTS_GUESTS_SELFTEST_TEST_H
#define TESTS_GUESTS_SELFTEST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvops/frame.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/traps.h"

struct st_claim {
	const char *name;
	void (*run)(void);
	bool is_general;
};

struct st_family {
	const char *name;
	const struct st_claim *claims;
	unsigned int count;
};

/*
 * A claim in its family's list, with the name of its function. A general one is about the library or
 * the processor, not about a hypervisor, and runs natively too.
 */
#define ST_CLAIM(claim)              \
	{                            \
#claim, claim, false \
	}
#define ST_GENERAL(claim)           \
	{                           \
#claim, claim, true \
	}

#define ST_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* At the end of each family's file: the family's name and its list of claims. */
#define ST_FAMILY(family, list) \
	const struct st_family st_family_##family = { #family, list, ST_COUNT(list) }

__attribute__((format(printf, 1, 2))) void st_fail(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void st_skip(const char *fmt, ...);

/* The claim has failed unless the condition holds. */
#define ST_CHECK(cond, ...)                   \
	do {                                  \
		if (!(cond)) {                \
			st_fail(__VA_ARGS__); \
			return;               \
		}                             \
	} while (0)

/* Two integers are the same; both are printed, as signed numbers and in hexadecimal. */
#define ST_EQ(got, want)                                                                         \
	do {                                                                                     \
		long st_got = (long)(got), st_want = (long)(want);                               \
		if (st_got != st_want) {                                                         \
			st_fail("line %d: %s is %ld (0x%lx), not %ld (0x%lx)", __LINE__, #got,   \
			        st_got, (unsigned long)st_got, st_want, (unsigned long)st_want); \
			return;                                                                  \
		}                                                                                \
	} while (0)

#define ST_SKIP(...)                  \
	do {                          \
		st_skip(__VA_ARGS__); \
		return;               \
	} while (0)

/* ---- traps ---- */

/* The last trap, and how many there were since the claim began. */
extern struct pv_frame st_trap;
extern unsigned int st_traps;

/*
 * Called with each trap first, when not NULL; taken away at the claim's end. True: it has seen to
 * the frame itself; false: the exception table decides.
 */
extern bool (*st_on_trap)(struct pv_frame *frame);

/* Called at the end of each upcall, when not NULL; taken away at the claim's end. */
extern void (*st_on_upcall)(struct pv_frame *frame);

/*
 * One instruction that may trap, with operands like those of asm. Execution goes on behind it,
 * whether the frame's rip is the instruction's own (a fault) or the next one's (a trap).
 */
#define ST_TRY(insn, ...)                                                           \
	do {                                                                        \
		__asm__ volatile("" : : : "memory");                                \
		__asm__ volatile("661: " insn "\n662:\n" PV_EXTABLE("661b", "662b") \
		                         PV_EXTABLE("662b", "662b") __VA_ARGS__);   \
		__asm__ volatile("" : : : "memory");                                \
	} while (0)

/* The same, and how many traps it made. */
#define ST_TRAPS(insn, ...)                        \
	({                                         \
		unsigned int st_before = st_traps; \
		ST_TRY(insn, __VA_ARGS__);         \
		st_traps - st_before;              \
	})

/* ---- things that claims share ---- */

/* A page of memory in the identity map, zeroed; never NULL. st_page_free() gives it back. */
void *st_page(void);
void st_page_free(void *page);

/* Two pages of addresses in the window, unmapped, with tables above them. */
uint64_t st_window(void);

/* The domain's own number. */
domid_t st_own_domid(void);

/* Addresses that no guest may use, and one that nobody has mapped. */
#define ST_UNMAPPED     ((void *)0x1f0000000000ul)
#define ST_NONCANONICAL ((void *)0x8000000000000000ul)
#define ST_HYPERVISOR   ((void *)0xffff830000000000ul)

/* Busy until system time has advanced so far. */
void st_spin_ns(uint64_t ns);

/*
 * Until *count is n, or a while has passed. An event that was held back by the mask comes as the mask
 * goes from a hypervisor, and natively a few microseconds later, when the timer chip strikes.
 */
void st_settle(const volatile unsigned int *count, unsigned int n);

#endif /* TESTS_GUESTS_SELFTEST_TEST_H */
