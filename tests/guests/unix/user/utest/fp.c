/* SPDX-License-Identifier: MIT */
/* Floating-point state and the FS base: each process its own, across calls, switches and signals. */
#include "tests/guests/unix/user/utest/test.h"

#define ROUNDS 300

struct state {
	uint64_t xmm[32];
	uint32_t mxcsr;
	uint16_t fcw, pad;
} __attribute__((aligned(16)));

/* Loads all sixteen registers, runs `middle` (which uses none of them), and stores them again. */
#define WITH_STATE(in, out, middle, ...)                                                         \
	__asm__ volatile("ldmxcsr 256(%[i])\n"                                                   \
	                 "fldcw 260(%[i])\n"                                                     \
	                 "movdqa 0(%[i]), %%xmm0\n"                                              \
	                 "movdqa 16(%[i]), %%xmm1\n"                                             \
	                 "movdqa 32(%[i]), %%xmm2\n"                                             \
	                 "movdqa 48(%[i]), %%xmm3\n"                                             \
	                 "movdqa 64(%[i]), %%xmm4\n"                                             \
	                 "movdqa 80(%[i]), %%xmm5\n"                                             \
	                 "movdqa 96(%[i]), %%xmm6\n"                                             \
	                 "movdqa 112(%[i]), %%xmm7\n"                                            \
	                 "movdqa 128(%[i]), %%xmm8\n"                                            \
	                 "movdqa 144(%[i]), %%xmm9\n"                                            \
	                 "movdqa 160(%[i]), %%xmm10\n"                                           \
	                 "movdqa 176(%[i]), %%xmm11\n"                                           \
	                 "movdqa 192(%[i]), %%xmm12\n"                                           \
	                 "movdqa 208(%[i]), %%xmm13\n"                                           \
	                 "movdqa 224(%[i]), %%xmm14\n"                                           \
	                 "movdqa 240(%[i]), %%xmm15\n" middle "stmxcsr 256(%[o])\n"              \
	                 "fnstcw 260(%[o])\n"                                                    \
	                 "movdqa %%xmm0, 0(%[o])\n"                                              \
	                 "movdqa %%xmm1, 16(%[o])\n"                                             \
	                 "movdqa %%xmm2, 32(%[o])\n"                                             \
	                 "movdqa %%xmm3, 48(%[o])\n"                                             \
	                 "movdqa %%xmm4, 64(%[o])\n"                                             \
	                 "movdqa %%xmm5, 80(%[o])\n"                                             \
	                 "movdqa %%xmm6, 96(%[o])\n"                                             \
	                 "movdqa %%xmm7, 112(%[o])\n"                                            \
	                 "movdqa %%xmm8, 128(%[o])\n"                                            \
	                 "movdqa %%xmm9, 144(%[o])\n"                                            \
	                 "movdqa %%xmm10, 160(%[o])\n"                                           \
	                 "movdqa %%xmm11, 176(%[o])\n"                                           \
	                 "movdqa %%xmm12, 192(%[o])\n"                                           \
	                 "movdqa %%xmm13, 208(%[o])\n"                                           \
	                 "movdqa %%xmm14, 224(%[o])\n"                                           \
	                 "movdqa %%xmm15, 240(%[o])\n"                                           \
	                 "ldmxcsr 256(%[d])\n"                                                   \
	                 "fldcw 260(%[d])\n"                                                     \
	                 : __VA_ARGS__                                                           \
	                 : [i] "r"(in), [o] "r"(out), [d] "r"(&fresh)                            \
	                 : "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", \
	                   "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",    \
	                   "xmm13", "xmm14", "xmm15")

static const struct state fresh = { .mxcsr = 0x1f80, .fcw = 0x37f };

static void fill(struct state *s, uint64_t seed)
{
	unsigned int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < 32; i++)
		s->xmm[i] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	s->mxcsr = 0x1f80 | (seed & 1 ? 0x6000 : 0x2000); /* rounding */
	s->fcw = 0x37f & ~(seed & 2 ? 0x300 : 0x200);     /* precision */
}

static void check_same(const struct state *a, const struct state *b)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		if (a->xmm[i] != b->xmm[i])
			fail("half %u of xmm%u became 0x%lx, not 0x%lx", i % 2, i / 2,
			     (unsigned long)b->xmm[i], (unsigned long)a->xmm[i]);
	CHECK_EQ(b->mxcsr, a->mxcsr);
	CHECK_EQ(b->fcw, a->fcw);
}

static void yields(void)
{
	struct state in, out;
	unsigned int i;
	long nr;

	for (i = 0; i < ROUNDS; i++) {
		fill(&in, (uint64_t)getpid() * ROUNDS + i);
		nr = SYS_yield;
		WITH_STATE(&in, &out, "syscall\n", "+a"(nr));
		check_same(&in, &out);
	}
}

static void across_calls(void)
{
	yields();
}

static void across_switches(void)
{
	int pid[4];
	unsigned int i;

	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(yields);
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

/* Long enough in one go that the timer strikes: nothing here asks for a switch. */
static void spins(void)
{
	struct state in, out;
	unsigned int i;
	long count;

	for (i = 0; i < 4; i++) {
		fill(&in, (uint64_t)getpid() * 1000 + i);
		count = 50000000;
		WITH_STATE(&in, &out, "1: dec %%rax\njnz 1b\n", "+a"(count));
		check_same(&in, &out);
	}
}

static void across_preemption(void)
{
	int pid[3];
	unsigned int i;

	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(spins);
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

static void across_faults(void)
{
	char *p = (char *)mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE);
	struct state in, out;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		long at = (long)(p + i * PAGE);

		fill(&in, i);
		WITH_STATE(&in, &out, "movb $1, (%%rax)\n", "+a"(at));
		check_same(&in, &out);
	}
}

static void on_signal(int sig, struct unix_sigframe *frame)
{
	struct state other, out;
	long nr = SYS_getpid;

	(void)sig;
	(void)frame;
	fill(&other, 99);
	WITH_STATE(&other, &out, "syscall\n", "+a"(nr));
}

/* The handler uses the registers for something else. */
static void across_signals(void)
{
	struct state in, out;
	long nr = SYS_kill, pid = getpid(), sig = SIGUSR1;

	sigaction(SIGUSR1, on_signal);
	fill(&in, 5);
	WITH_STATE(&in, &out, "syscall\n", "+a"(nr), "+D"(pid), "+S"(sig));
	check_same(&in, &out);
}

static void forked_child_has_the_parents(void)
{
	struct state in, out;
	long nr = SYS_fork;

	fill(&in, 77);
	WITH_STATE(&in, &out, "syscall\n", "+a"(nr));
	check_same(&in, &out);
	if (nr == 0)
		exit(0);
	child_ends((int)nr, 0);
}

/* A handler that spoils the saved state: the kernel must survive it, and the program gets an end. */
static void spoil(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	memset((void *)frame->fp, 0xff, 576); /* with the header of xsave's format */
}

static void spoilt_state_is_harmless(void)
{
	sigaction(SIGUSR1, spoil);
	kill(getpid(), SIGUSR1);
	/* Whatever it has become, other claims will tell if it is another process's. */
}

static double zero;

static void wait_for_x87(uint64_t arg)
{
	(void)arg;
	__asm__ volatile("fwait");
}

static void leave_one_pending(void)
{
	uint16_t fcw = 0x037b; /* division by zero is not masked */
	struct fault f;
	unsigned int i;

	__asm__ volatile("fldcw %0\n"
	                 "fld1\n"
	                 "fdivl %1\n"
	                 :
	                 : "m"(fcw), "m"(zero));
	for (i = 0; i < ROUNDS; i++)
		yield();
	/* It shows at the next instruction that waits, in the program that made it. */
	CHECK(faults(wait_for_x87, 0, &f));
	CHECK_EQ(f.sig, SIGFPE);
	CHECK_EQ(f.frame.trap, 16);
	__asm__ volatile("fnclex\nfninit");
}

static void pending_exceptions_stay_at_home(void)
{
	int pid = child(leave_one_pending);

	yields();
	child_ends(pid, 0);
}

/* ---- wider registers ---- */

static bool has_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if ((c & (3u << 27)) != 3u << 27)
		return false;
	c = 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(c));
	return (a & 6) == 6;
}

static void avx_yields(void)
{
	uint64_t in[4], out[4];
	unsigned int i;
	long nr;

	for (i = 0; i < ROUNDS; i++) {
		in[0] = in[1] = in[2] = in[3] = (uint64_t)getpid() << 32 | i;
		in[3] ^= ~0ull;
		nr = SYS_yield;
		__asm__ volatile("vmovdqu (%[i]), %%ymm7\n"
		                 "syscall\n"
		                 "vmovdqu %%ymm7, (%[o])\n"
		                 "vzeroupper\n"
		                 : "+a"(nr)
		                 : [i] "r"(in), [o] "r"(out)
		                 : "rcx", "r11", "memory", "xmm7");
		CHECK(!memcmp(in, out, sizeof(in)));
	}
}

static void upper_halves_too(void)
{
	int pid;

	if (!has_avx())
		skip("no AVX");
	pid = child(avx_yields);
	avx_yields();
	child_ends(pid, 0);
}

/* ---- the FS base ---- */

static uint64_t read_fs(void)
{
	uint64_t v;

	__asm__ volatile("mov %%fs:0, %0" : "=r"(v));
	return v;
}

static void fs_yields(void)
{
	uint64_t word = (uint64_t)getpid();
	unsigned int i;

	CHECK_EQ(setfs(&word), 0);
	for (i = 0; i < ROUNDS; i++) {
		CHECK_EQ(read_fs(), word);
		yield();
	}
}

static void fs_base_is_kept(void)
{
	int pid = child(fs_yields), pid2 = child(fs_yields);

	fs_yields();
	child_ends(pid, 0);
	child_ends(pid2, 0);
	CHECK_EQ(setfs((void *)0xffff800000000000), -EINVAL);
}

static const struct claim claims[] = {
	{ "across-calls", across_calls },
	{ "across-switches", across_switches },
	{ "across-preemption", across_preemption },
	{ "across-faults", across_faults },
	{ "across-signals", across_signals },
	{ "forked-child-has-the-parents", forked_child_has_the_parents },
	{ "spoilt-state-is-harmless", spoilt_state_is_harmless },
	{ "pending-exceptions-stay-at-home", pending_exceptions_stay_at_home },
	{ "upper-halves-too", upper_halves_too },
	{ "fs-base-is-kept", fs_base_is_kept },
};

FAMILY(fp, claims);
