/* SPDX-License-Identifier: MIT */
/* Memory: fresh pages, copies after fork, the heap, ranges that come, change and go. */
#include "tests/guests/unix/user/utest/test.h"

#define PAGES 64

static char *map(unsigned long pages)
{
	long at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE);

	if (at <= 0)
		fail("mmap of %lu pages: %ld", pages, at);
	return (char *)at;
}

static bool is_all(const char *p, unsigned long len, char c)
{
	unsigned long i;

	for (i = 0; i < len; i++)
		if (p[i] != c)
			return false;
	return true;
}

static void read_at(uint64_t at)
{
	(void)*(volatile uint8_t *)at;
}

static void write_at(uint64_t at)
{
	*(volatile uint8_t *)at = 1;
}

static int initialised = 42;
static int zeroed[3000];

static void program_data(void)
{
	CHECK_EQ(initialised, 42);
	CHECK(is_all((char *)zeroed, sizeof(zeroed), 0));
	initialised = 43;
	zeroed[2999] = 1;
	CHECK_EQ(initialised, 43);
}

/* Pages come zeroed, whatever was in them: the same frames are used over and over. */
static void fresh_pages_are_zero(void)
{
	int i;

	for (i = 0; i < 50; i++) {
		char *p = map(PAGES);

		CHECK(is_all(p, PAGES * PAGE, 0));
		memset(p, 0xa5, PAGES * PAGE);
		CHECK_EQ(munmap(p, PAGES * PAGE), 0);
	}
}

static char *shared;

/* ---- fork ---- */

static void change_all(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		CHECK(is_all(shared + i * PAGE, PAGE, (char)(i + 1)));
	memset(shared, 0x77, PAGES * PAGE);
	sleep_ns(20 * MS);
	CHECK(is_all(shared, PAGES * PAGE, 0x77));
}

static void fill(void)
{
	unsigned int i;

	shared = map(PAGES);
	for (i = 0; i < PAGES; i++)
		memset(shared + i * PAGE, (int)(i + 1), PAGE);
}

static void child_does_not_change_the_parent(void)
{
	unsigned int i;
	int pid;

	fill();
	pid = child(change_all);
	child_ends(pid, 0);
	for (i = 0; i < PAGES; i++)
		CHECK(is_all(shared + i * PAGE, PAGE, (char)(i + 1)));
}

static void look_later(void)
{
	unsigned int i;

	sleep_ns(50 * MS);
	for (i = 0; i < PAGES; i++)
		CHECK(is_all(shared + i * PAGE, PAGE, (char)(i + 1)));
}

static void parent_does_not_change_the_child(void)
{
	int pid;

	fill();
	pid = child(look_later);
	memset(shared, 0x55, PAGES * PAGE);
	child_ends(pid, 0);
	CHECK(is_all(shared, PAGES * PAGE, 0x55));
}

/* A line of descendants, each of which changes the same page. */
static void descend(int depth)
{
	int pid;

	if (!depth)
		return;
	shared[0] = (char)depth;
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(shared[0], depth);
		descend(depth - 1);
		CHECK_EQ(shared[0], depth > 1 ? depth - 1 : depth);
		exit(0);
	}
	child_ends(pid, 0);
	CHECK_EQ(shared[0], depth);
}

static void every_generation_has_its_own(void)
{
	shared = map(1);
	descend(8);
}

/* What the kernel writes for the child must not reach the parent either. */
static void kernel_copies_too(void)
{
	int fd[2], pid;

	shared = map(1);
	memset(shared, 'p', PAGE);
	CHECK_EQ(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		CHECK_EQ(write(fd[1], "child", 5), 5);
		CHECK_EQ(read(fd[0], shared + 10, 5), 5);
		CHECK(!memcmp(shared + 8, "ppchildpp", 9));
		exit(0);
	}
	child_ends(pid, 0);
	CHECK(is_all(shared, PAGE, 'p'));
}

/* ---- the heap ---- */

static void heap_grows_and_shrinks(void)
{
	char *start = brk(NULL), *p;

	CHECK_EQ(brk(start + 10 * PAGE), start + 10 * PAGE);
	CHECK(is_all(start, 10 * PAGE, 0));
	memset(start, 1, 10 * PAGE);
	CHECK_EQ(brk(start + 2 * PAGE), start + 2 * PAGE);
	CHECK(is_all(start, 2 * PAGE, 1));
	CHECK(faults(read_at, (uint64_t)start + 2 * PAGE, NULL));
	CHECK_EQ(brk(start + 4 * PAGE), start + 4 * PAGE);
	p = start + 2 * PAGE;
	CHECK(is_all(p, 2 * PAGE, 0));
	CHECK_EQ(brk(start - PAGE), start + 4 * PAGE);
	CHECK_EQ(brk((void *)0x100000), start + 4 * PAGE);
	CHECK_EQ(brk(start), start);
	CHECK(faults(read_at, (uint64_t)start, NULL));
}

/* ---- ranges ---- */

static void holes_can_be_made(void)
{
	char *p = map(10);
	unsigned int i;

	memset(p, 3, 10 * PAGE);
	CHECK_EQ(munmap(p + 4 * PAGE, 2 * PAGE), 0);
	for (i = 0; i < 10; i++)
		CHECK_EQ(faults(read_at, (uint64_t)p + i * PAGE, NULL), i == 4 || i == 5);
	CHECK_EQ(mmap(p + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE), p + 4 * PAGE);
	CHECK(is_all(p + 4 * PAGE, PAGE, 0));
	CHECK(is_all(p + 6 * PAGE, 4 * PAGE, 3));
	CHECK_EQ(mmap(p, PAGE, PROT_READ), -EINVAL); /* there is something */
	CHECK_EQ(munmap(p, 10 * PAGE), 0);
	CHECK_EQ(munmap(p, 10 * PAGE), 0); /* there is nothing: no error */
	CHECK(faults(read_at, (uint64_t)p, NULL));
}

static void rights_can_change(void)
{
	char *p = map(4);

	memset(p, 9, 4 * PAGE);
	CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	CHECK(faults(write_at, (uint64_t)p + PAGE, NULL));
	CHECK_EQ(p[PAGE], 9);
	CHECK(!faults(write_at, (uint64_t)p, NULL));
	CHECK(!faults(write_at, (uint64_t)p + 2 * PAGE, NULL));
	CHECK_EQ(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE), 0);
	CHECK(!faults(write_at, (uint64_t)p + PAGE, NULL));
}

static void code_can_be_made(void)
{
	static const uint8_t code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
	uint8_t *p = (uint8_t *)map(1);

	memcpy(p, code, sizeof(code));
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(((int (*)(void))(uintptr_t)p)(), 42);
	CHECK(faults(write_at, (uint64_t)p, NULL));
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
	p[1] = 43;
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(((int (*)(void))(uintptr_t)p)(), 43);
}

/* Read-only, shared after a fork, then writable again: the copy must still be made. */
static void rights_and_copies(void)
{
	int pid;

	shared = map(1);
	shared[0] = 1;
	CHECK_EQ(mprotect(shared, PAGE, PROT_READ), 0);
	pid = fork();
	if (pid == 0) {
		CHECK_EQ(mprotect(shared, PAGE, PROT_READ | PROT_WRITE), 0);
		shared[0] = 2;
		exit(0);
	}
	child_ends(pid, 0);
	CHECK_EQ(shared[0], 1);
	CHECK_EQ(mprotect(shared, PAGE, PROT_READ | PROT_WRITE), 0);
	shared[0] = 3;
}

static unsigned int use_stack(unsigned int depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)depth;
	return depth ? use_stack(depth - 1) + (frame[0] == (char)depth) : 0;
}

static void stack_grows(void)
{
	CHECK_EQ(use_stack(200), 200);
}

/* Pages far apart, each below tables of its own; touched in an order that is no run. */
static void scattered_pages(void)
{
	enum { N = 40, STEP = 4 << 20 };
	char *p = map((unsigned long)N * STEP / PAGE);
	unsigned int i;

	for (i = 0; i < N; i++)
		*(unsigned int *)(p + (unsigned long)(i * 7 % N) * STEP) = i * 7 % N + 1;
	for (i = 0; i < N; i++)
		CHECK_EQ(*(unsigned int *)(p + (unsigned long)i * STEP), i + 1);
	CHECK_EQ(munmap(p, (unsigned long)N * STEP), 0);
}

static void take_everything(void)
{
	unsigned long i, pages = 60000;
	char *p = map(pages);

	for (i = 0; i < pages; i++)
		p[i * PAGE] = 1;
}

/* Who asks for more than there is ends; the others go on, and get all of it back. */
static void memory_may_run_out(void)
{
	struct unix_sysinfo before, after;
	int pid, status;

	sysinfo(&before);
	if (before.frames >= 60000)
		skip("too much memory: %lu pages", (unsigned long)before.frames);
	shared = map(1);
	shared[0] = 5;
	pid = fork();
	if (pid == 0) {
		alarm_ns(LIMIT_NS);
		take_everything();
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGKILL));
	CHECK_EQ(shared[0], 5);
	sysinfo(&after);
	CHECK(after.frames_free + after.tables_free + 64 >= before.frames_free);
}

static const struct claim claims[] = {
	{ "program-data", program_data },
	{ "fresh-pages-are-zero", fresh_pages_are_zero },
	{ "child-does-not-change-the-parent", child_does_not_change_the_parent },
	{ "parent-does-not-change-the-child", parent_does_not_change_the_child },
	{ "every-generation-has-its-own", every_generation_has_its_own },
	{ "kernel-copies-too", kernel_copies_too },
	{ "heap-grows-and-shrinks", heap_grows_and_shrinks },
	{ "holes-can-be-made", holes_can_be_made },
	{ "rights-can-change", rights_can_change },
	{ "code-can-be-made", code_can_be_made },
	{ "rights-and-copies", rights_and_copies },
	{ "stack-grows", stack_grows },
	{ "scattered-pages", scattered_pages },
	{ "memory-may-run-out", memory_may_run_out },
};

FAMILY(memory, claims);
