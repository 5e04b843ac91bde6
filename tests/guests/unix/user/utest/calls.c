/* SPDX-License-Identifier: MIT */
/* System calls as such: registers, numbers, pointers. */
#include "tests/guests/unix/user/utest/test.h"

/*
 * Every register but rax, rcx, r11 (and rsp) is as it was. Done a number of times, with another
 * process that makes calls of its own meanwhile.
 */
struct regs {
	uint64_t rbx, rbp, rdi, rsi, rdx, r8, r9, r10, r12, r13, r14, r15;
};

static void call_with(struct regs *r, long nr)
{
	__asm__ volatile("sub $128, %%rsp\n" /* what is below the stack pointer is the compiler's */
	                 "push %%rbp\n"
	                 "push %[r]\n"
	                 "mov 0(%[r]), %%rbx\n"
	                 "mov 16(%[r]), %%rdi\n"
	                 "mov 24(%[r]), %%rsi\n"
	                 "mov 32(%[r]), %%rdx\n"
	                 "mov 40(%[r]), %%r8\n"
	                 "mov 48(%[r]), %%r9\n"
	                 "mov 56(%[r]), %%r10\n"
	                 "mov 64(%[r]), %%r12\n"
	                 "mov 72(%[r]), %%r13\n"
	                 "mov 80(%[r]), %%r14\n"
	                 "mov 88(%[r]), %%r15\n"
	                 "mov 8(%[r]), %%rbp\n"
	                 "syscall\n"
	                 "xchg %%rax, (%%rsp)\n" /* the result is not looked at */
	                 "mov %%rbx, 0(%%rax)\n"
	                 "mov %%rbp, 8(%%rax)\n"
	                 "mov %%rdi, 16(%%rax)\n"
	                 "mov %%rsi, 24(%%rax)\n"
	                 "mov %%rdx, 32(%%rax)\n"
	                 "mov %%r8, 40(%%rax)\n"
	                 "mov %%r9, 48(%%rax)\n"
	                 "mov %%r10, 56(%%rax)\n"
	                 "mov %%r12, 64(%%rax)\n"
	                 "mov %%r13, 72(%%rax)\n"
	                 "mov %%r14, 80(%%rax)\n"
	                 "mov %%r15, 88(%%rax)\n"
	                 "pop %%rax\n"
	                 "pop %%rbp\n"
	                 "add $128, %%rsp\n"
	                 : "+a"(nr), [r] "+c"(r)
	                 :
	                 : "rbx", "rdi", "rsi", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
	                   "r14", "r15", "memory", "cc");
}

static void call_often(void)
{
	int i;

	for (i = 0; i < 2000; i++)
		yield();
}

static void registers_survive(void)
{
	uint64_t seed = 0x123456789abcdef1;
	int pid = child(call_often), i;
	unsigned int j;

	for (i = 0; i < 2000; i++) {
		union {
			struct regs r;
			uint64_t word[12];
		} before, after;

		for (j = 0; j < 12; j++)
			before.word[j] = seed = seed * 6364136223846793005ull + 1;
		after = before;
		call_with(&after.r, i & 1 ? SYS_yield : SYS_getpid);
		for (j = 0; j < 12; j++)
			if (after.word[j] != before.word[j])
				fail("register %u became 0x%lx, not 0x%lx", j,
				     (unsigned long)after.word[j], (unsigned long)before.word[j]);
	}
	child_ends(pid, 0);
}

static void flags_survive(void)
{
	uint64_t flags;

	__asm__ volatile("sub $128, %%rsp\n"
	                 "push $0xcd5\n" /* CF PF AF ZF SF DF OF */
	                 "popf\n"
	                 "syscall\n"
	                 "pushf\n"
	                 "pop %0\n"
	                 "cld\n"
	                 "add $128, %%rsp\n"
	                 : "=r"(flags)
	                 : "a"(SYS_getpid)
	                 : "rcx", "r11", "memory", "cc");
	CHECK_EQ(flags & 0xcd5, 0xcd5);
}

/* rcx and r11 hold where the program goes on and its flags: that is what `syscall` does. */
static void rcx_is_the_return_address(void)
{
	uint64_t rcx, here;

	__asm__ volatile("lea 1f(%%rip), %1\n"
	                 "syscall\n"
	                 "1: mov %%rcx, %0\n"
	                 : "=r"(rcx), "=&r"(here)
	                 : "a"(SYS_getpid)
	                 : "rcx", "r11", "memory", "cc");
	CHECK_EQ(rcx, here);
}

static void unknown_numbers_are_refused(void)
{
	CHECK_EQ(unix_call((enum unix_call)0, 0, 0, 0), -ENOSYS);
	CHECK_EQ(unix_call(UNIX_NR_CALLS, 0, 0, 0), -ENOSYS);
	CHECK_EQ(unix_call((enum unix_call) - 1, 0, 0, 0), -ENOSYS);
	CHECK_EQ(unix_call((enum unix_call)0x7fffffff, 0, 0, 0), -ENOSYS);
}

static const uint64_t bad_pointers[] = {
	0,
	1,
	0x100000,           /* the kernel's image */
	0x200000000000,     /* its window */
	0x7ffffffff000,     /* the end of the lower half */
	0x8000000000000000, /* no address at all */
	0xffff800000000000,
	0xffffffffffffffff,
	0x1fffffffffff, /* the last byte of what programs may have: not mapped */
};

static void bad_pointers_are_refused(void)
{
	unsigned int i;
	int fd[2];

	CHECK_EQ(pipe(fd), 0);
	for (i = 0; i < COUNT(bad_pointers); i++) {
		void *bad = (void *)bad_pointers[i];

		CHECK_EQ(write(fd[1], bad, 8), -EFAULT);
		CHECK_EQ(open(bad, O_RDONLY), -EFAULT);
		CHECK_EQ(pipe(bad), -EFAULT);
		CHECK_EQ(exec(bad, bad), -EFAULT);
		CHECK_EQ(sysinfo(bad), -EFAULT);
		CHECK_EQ(readdir(0, bad), -EFAULT);
	}
	CHECK_EQ(write(fd[1], "x", 1), 1);
	CHECK_EQ(read(fd[0], (void *)0x100000, 1), -EFAULT);
}

static void read_only_memory_stays_so(void)
{
	static const char text[] = "constant";
	int fd[2];

	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(write(fd[1], "changed!", 8), 8);
	CHECK_EQ(read(fd[0], (void *)(uintptr_t)text, 8), -EFAULT);
	CHECK(!memcmp(text, "constant", 8));
}

/* A range that begins well and ends badly, and one that is longer than everything. */
static void lengths_are_checked(void)
{
	char *page = (char *)mmap(NULL, PAGE, PROT_READ | PROT_WRITE);
	int fd = open("/tmp/lengths", O_RDWR | O_CREAT);

	CHECK((long)page > 0);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, page + PAGE - 4, 8), -EFAULT);
	CHECK_EQ(write(fd, page, ~0ul), -EFAULT);
	CHECK_EQ(write(fd, page, 1ul << 62), -EFAULT);
	CHECK_EQ(munmap(page, ~0ul - 4096), -EINVAL);
	CHECK_EQ(munmap(page + 1, PAGE), -EINVAL);
	CHECK_EQ(mmap(NULL, ~0ul, PROT_READ), -EINVAL);
	CHECK_EQ(mmap((void *)0x100000, PAGE, PROT_READ), -EINVAL);
	CHECK_EQ(mprotect((void *)0x100000, PAGE, PROT_READ | PROT_WRITE), -EINVAL);
	CHECK_EQ(unlink("/tmp/lengths"), 0);
}

static void only_init_switches_off(void)
{
	CHECK_EQ(CALL(poweroff, 0, 0, 0), -EPERM);
}

static const struct claim claims[] = {
	{ "registers-survive", registers_survive },
	{ "flags-survive", flags_survive },
	{ "rcx-is-the-return-address", rcx_is_the_return_address },
	{ "unknown-numbers-are-refused", unknown_numbers_are_refused },
	{ "bad-pointers-are-refused", bad_pointers_are_refused },
	{ "read-only-memory-stays-so", read_only_memory_stays_so },
	{ "lengths-are-checked", lengths_are_checked },
	{ "only-init-switches-off", only_init_switches_off },
};

FAMILY(calls, claims);
