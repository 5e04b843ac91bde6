/* SPDX-License-Identifier: MIT */
/*
 * utest: checks from user mode what the kernel, and the hypervisor below it, promise a program.
 *
 * One line for each claim, as the self-test kernel does: PASS name | SKIP name: why | FAIL name: why;
 * and at the end: utest: N passed, N failed, N skipped. Its status is the number of failures.
 *
 * utest [FAMILY[/CLAIM]]: only those. The family "lan" needs a peer, and is run only when it is named.
 */
#include "tests/guests/unix/user/utest/test.h"

#define FAMILIES(x) \
	x(calls) x(faults) x(memory) x(fp) x(files) x(process) x(signals) x(sched) x(net) x(lan)

#define DECLARE(name) extern const struct family family_##name;
#define LIST(name)    &family_##name,

FAMILIES(DECLARE)

static const struct family *const families[] = { FAMILIES(LIST) };

enum verdict { PASS, FAIL, SKIP };

static const char *const words[] = { "PASS", "FAIL", "SKIP" };

/* Where a claim, or its child, leaves its reason: a pipe to the parent. */
static int reason_fd;

static void say_and_exit(int code, const char *fmt, va_list ap)
{
	char text[200];
	int len = pv_vsnprintf(text, sizeof(text), fmt, ap);

	write(reason_fd, text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
	exit(code);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_and_exit(FAIL, fmt, ap);
	va_end(ap);
	exit(FAIL);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_and_exit(SKIP, fmt, ap);
	va_end(ap);
	exit(SKIP);
}

int child(void (*fn)(void))
{
	int pid = fork();

	if (pid < 0)
		fail("no process: error %d", -pid);
	if (pid == 0) {
		alarm_ns(LIMIT_NS);
		fn();
		exit(PASS);
	}
	return pid;
}

void child_ends(int pid, int status)
{
	int got = -1, rc;

	do {
		rc = waitpid(pid, &got, 0);
	} while (rc == -EINTR);
	if (rc != pid)
		fail("waiting for process %d: %d", pid, rc);
	if (got == UNIX_STATUS(FAIL, 0) && status != got)
		exit(FAIL); /* it has said why */
	if (got != status)
		fail("a child ended with status 0x%x, not 0x%x", (unsigned int)got,
		     (unsigned int)status);
}

/* ---- faults ---- */

static void *landing[5]; /* of __builtin_setjmp */
static struct fault caught;

static void on_fault(int sig, struct unix_sigframe *frame)
{
	caught.sig = sig;
	caught.frame = *frame;
	/* The handler does not return, so the signal's place in the mask is given back here. */
	sigmask((uint32_t)frame->old_mask);
	__builtin_longjmp(landing, 1);
}

__attribute__((noinline)) static bool run_until_fault(void (*fn)(uint64_t arg), uint64_t arg)
{
	if (__builtin_setjmp(landing))
		return true;
	fn(arg);
	return false;
}

bool faults(void (*fn)(uint64_t arg), uint64_t arg, struct fault *fault)
{
	static const int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS };
	unsigned int i;
	bool rc;

	for (i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], on_fault);
	rc = run_until_fault(fn, arg);
	for (i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], (sighandler)SIG_DFL);
	if (fault)
		*fault = caught;
	return rc;
}

/* ---- the run ---- */

static enum verdict run_claim(const struct claim *claim, char *why, size_t size)
{
	int fd[2], status = 0, pid;
	long len;

	if (pipe(fd) < 0)
		return FAIL;
	reason_fd = fd[1];
	pid = child(claim->run);
	close(fd[1]);
	waitpid(pid, &status, 0);
	/* Not to the end: a child that the claim has left behind keeps the pipe open. */
	why[0] = 0;
	if (status) {
		len = read(fd[0], why, size - 1);
		why[len > 0 ? len : 0] = 0;
	}
	close(fd[0]);
	if (status & 0x7f) {
		pv_snprintf(why, size, "ended by signal %d%s", status & 0x7f,
		            (status & 0x7f) == SIGALRM ? ": it took too long" : "");
		return FAIL;
	}
	return status >> 8 <= SKIP ? (enum verdict)(status >> 8) : FAIL;
}

static bool is_wanted(const char *only, const char *family, const char *claim)
{
	char name[100];

	if (!only)
		return strcmp(family, "lan");
	pv_snprintf(name, sizeof(name), "%s/%s", family, claim);
	return !strncmp(name, only, strlen(only));
}

int main(int argc, char **argv)
{
	unsigned int count[3] = { 0 }, i, j;
	char why[256];

	for (i = 0; i < COUNT(families); i++) {
		const struct family *f = families[i];

		for (j = 0; j < f->count; j++) {
			enum verdict v;

			if (!is_wanted(argc > 1 ? argv[1] : NULL, f->name, f->claims[j].name))
				continue;
			v = run_claim(&f->claims[j], why, sizeof(why));
			count[v]++;
			printf("%s %s/%s%s%s\n", words[v], f->name, f->claims[j].name,
			       v == PASS ? "" : ": ", v == PASS ? "" : why);
		}
	}
	printf("utest: %u passed, %u failed, %u skipped\n", count[PASS], count[FAIL], count[SKIP]);
	return (int)count[FAIL];
}
