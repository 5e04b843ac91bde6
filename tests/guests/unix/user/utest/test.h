/* SPDX-License-Identifier: MIT */
/*
 * Claims that a program can check. Each runs in a process of its own, so it may fault, exhaust and
 * exit as it likes: it passes by returning. It fails by a CHECK, by a signal that it did not expect,
 * and by taking longer than LIMIT_NS.
 */
#ifndef TESTS_GUESTS_UNIX_USER_UTEST_H
#define TESTS_GUESTS_UNIX_USER_UTEST_H

#include "tests/guests/unix/user/lib/unix.h"

#define LIMIT_NS 60000000000ull
#define MS       1000000ull
#define PAGE     4096ul

struct claim {
	const char *name;
	void (*run)(void);
};

struct family {
	const char *name;
	const struct claim *claims;
	unsigned int count;
};

#define FAMILY(name, list) const struct family family_##name = { #name, list, COUNT(list) }

/* Ends the claim's process, or a child's of it. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
__attribute__((noreturn, format(printf, 1, 2))) void skip(const char *fmt, ...);

#define CHECK(cond)                                           \
	do {                                                  \
		if (!(cond))                                  \
			fail("line %d: %s", __LINE__, #cond); \
	} while (0)

#define CHECK_EQ(got, want)                                                                 \
	do {                                                                                \
		long check_got = (long)(got), check_want = (long)(want);                    \
		if (check_got != check_want)                                                \
			fail("line %d: %s is %ld (0x%lx), not %ld (0x%lx)", __LINE__, #got, \
			     check_got, (unsigned long)check_got, check_want,               \
			     (unsigned long)check_want);                                    \
	} while (0)

/* A child that runs fn and exits with 0; its pid. */
int child(void (*fn)(void));

/* Waits for that child: it must have ended with this status. */
void child_ends(int pid, int status);

/*
 * The next fault comes back here: true when fn was ended by a signal, with what the handler was told
 * in `fault`. SIGSEGV, SIGFPE, SIGILL, SIGTRAP and SIGBUS.
 */
struct fault {
	int sig;
	struct unix_sigframe frame;
};

bool faults(void (*fn)(uint64_t arg), uint64_t arg, struct fault *fault);

#endif /* TESTS_GUESTS_UNIX_USER_UTEST_H */
