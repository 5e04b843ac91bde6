/* SPDX-License-Identifier: MIT */
/* Processes: fork, exec, exit, wait. */
#include "tests/guests/unix/user/utest/test.h"

static void exit_17(void)
{
	exit(17);
}

static void statuses_arrive(void)
{
	int status, pid = child(exit_17);

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(17, 0));
	CHECK_EQ(waitpid(pid, &status, 0), -ECHILD);
	CHECK_EQ(waitpid(-1, &status, 0), -ECHILD);
	CHECK_EQ(waitpid(1, &status, 0), -ECHILD); /* not ours */
}

static void sleep_a_little(void)
{
	sleep_ns(50 * MS);
}

static void waiting_need_not_wait(void)
{
	int status, pid = child(sleep_a_little);

	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	child_ends(pid, 0);
}

static void any_child_will_do(void)
{
	int pid[5], status, i, j, got, seen = 0;

	for (i = 0; i < 5; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			exit(i);
	}
	for (i = 0; i < 5; i++) {
		got = waitpid(-1, &status, 0);
		for (j = 0; j < 5; j++)
			if (pid[j] == got && status == UNIX_STATUS(j, 0))
				seen |= 1 << j;
	}
	CHECK_EQ(seen, 31);
}

static void numbers_are_told(void)
{
	int me = getpid(), pid = fork();

	CHECK(me > 1);
	if (pid == 0) {
		CHECK(getpid() != me);
		CHECK_EQ(getppid(), me);
		exit(0);
	}
	CHECK(pid > me);
	child_ends(pid, 0);
}

static int fds[2];

static void leave_an_orphan(void)
{
	int pid = fork(), ppid;

	if (pid)
		exit(0);
	sleep_ns(30 * MS); /* the parent has gone by then */
	ppid = getppid();
	write(fds[1], &ppid, sizeof(ppid));
	exit(0);
}

static void orphans_go_to_init(void)
{
	int pid, ppid = 0;

	CHECK_EQ(pipe(fds), 0);
	pid = child(leave_an_orphan);
	child_ends(pid, 0);
	CHECK_EQ(read(fds[0], &ppid, sizeof(ppid)), sizeof(ppid));
	CHECK_EQ(ppid, 1);
}

/* ---- exec ---- */

/* The output of a program, as a string. */
static void output_of(char *const argv[], char *buf, size_t size)
{
	int fd[2], pid;
	long n, len = 0;
	char path[UNIX_NAME_MAX];

	CHECK_EQ(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 1);
		close(fd[0]);
		close(fd[1]);
		exit(-exec(program_path(argv[0], path), argv));
	}
	close(fd[1]);
	while ((n = read(fd[0], buf + len, size - 1 - (size_t)len)) > 0)
		len += n;
	buf[len] = 0;
	close(fd[0]);
	child_ends(pid, 0);
}

static void arguments_arrive(void)
{
	char *argv[] = { "echo", "one", "", "three words here", NULL };
	char buf[100];

	output_of(argv, buf, sizeof(buf));
	CHECK(!strcmp(buf, "one  three words here\n"));
}

static void exec_can_fail(void)
{
	char *none[] = { NULL }, *argv[66];
	static char large[4000];
	int i, fd;

	CHECK_EQ(exec("/bin/nothing", none), -ENOENT);
	CHECK_EQ(exec("", none), -ENOENT);
	fd = open("/tmp/script", O_WRONLY | O_CREAT);
	CHECK_EQ(exec("/tmp/script", none), -ENOEXEC); /* empty */
	CHECK_EQ(write(fd, "#!/bin/sh\n", 10), 10);
	CHECK_EQ(exec("/tmp/script", none), -ENOEXEC);
	CHECK_EQ(unlink("/tmp/script"), 0);
	for (i = 0; i < 65; i++)
		argv[i] = "x";
	argv[65] = NULL;
	CHECK_EQ(exec("/bin/echo", argv), -E2BIG);
	memset(large, 'x', sizeof(large) - 1);
	argv[0] = large;
	argv[1] = NULL;
	CHECK_EQ(exec("/bin/echo", argv), -E2BIG);
	/* After all that we are still who we were. */
	CHECK_EQ(argv[0][10], 'x');
}

/* Headers that lie: a program whose segments would lie in the kernel, overlap, or wrap around. */
static void spoilt_programs_are_refused(void)
{
	static const struct {
		unsigned int offset; /* in the file: of a program header's field */
		uint64_t value;
	} spoil[] = {
		{ 0x10, 0x3e0003 },           /* type: shared object */
		{ 0x12, 3 },                  /* machine */
		{ 0x36, 1 },                  /* size of a program header */
		{ 0x20, 1ull << 40 },         /* where they are */
		{ 0x50, 0x100000 },           /* vaddr of the first */
		{ 0x50, 0xfffffffffffff000 }, /* */
		{ 0x68, 1ull << 50 },         /* memsz */
		{ 0x60, 1ull << 60 },         /* filesz */
		{ 0x48, 1ull << 40 },         /* offset */
	};
	char *argv[] = { "spoilt", NULL };
	static char buf[20000];
	unsigned int i;
	long n;
	int fd = open("/bin/echo", O_RDONLY);

	n = read(fd, buf, sizeof(buf));
	for (i = 0; i < COUNT(spoil); i++) {
		uint64_t saved;
		int rc;

		memcpy(&saved, buf + spoil[i].offset, 8);
		memcpy(buf + spoil[i].offset, &spoil[i].value, 8);
		fd = open("/tmp/spoilt", O_WRONLY | O_CREAT | O_TRUNC);
		CHECK_EQ(write(fd, buf, (size_t)n), n);
		close(fd);
		rc = exec("/tmp/spoilt", argv);
		if (rc != -ENOEXEC)
			fail("spoilt program %u: %d", i, rc);
		memcpy(buf + spoil[i].offset, &saved, 8);
	}
	CHECK_EQ(unlink("/tmp/spoilt"), 0);
}

/* ---- many ---- */

static void wait_for_end(void)
{
	char c;

	close(fds[1]);
	read(fds[0], &c, 1);
}

#define MANY 60

static void many_at_once(void)
{
	static int pid[MANY];
	int i;

	CHECK_EQ(pipe(fds), 0);
	for (i = 0; i < MANY; i++)
		pid[i] = child(wait_for_end);
	close(fds[1]);
	for (i = 0; i < MANY; i++)
		child_ends(pid[i], 0);
}

/* More than there is room for: fork says so, and everything can be given back. */
static void too_many(void)
{
	int pid = 0, status, n = 0;

	CHECK_EQ(pipe(fds), 0);
	while (n < 2000) {
		pid = fork();
		if (pid == 0) {
			wait_for_end();
			exit(0);
		}
		if (pid < 0)
			break;
		n++;
	}
	CHECK(pid == -EAGAIN || pid == -ENOMEM);
	CHECK(n >= MANY);
	close(fds[1]);
	while (n--)
		CHECK(waitpid(-1, &status, 0) > 0);
	child_ends(child(sleep_a_little), 0);
}

/* At rest: nobody else runs. */
static uint64_t pages_in_use(uint32_t processes)
{
	struct unix_sysinfo s;

	do {
		sleep_ns(MS);
		sysinfo(&s);
	} while (s.processes > processes); /* orphans are init's to bury */
	return s.frames - s.frames_free - s.tables_free;
}

static uint64_t unused_pages(void)
{
	struct unix_sysinfo s;

	sysinfo(&s);
	return s.frames_free;
}

#define MARGIN 200 /* more than the tables and the last run of faults can be */

/*
 * Takes all memory but so many pages: by runs of faults first, then downwards from the other end, where
 * each fault brings one page.
 */
static void take_all_but(uint64_t left)
{
	uint64_t bytes = unused_pages() * PAGE, i;
	char *p = (char *)mmap(NULL, bytes, PROT_READ | PROT_WRITE), *end = p + bytes;

	CHECK((long)p > 0);
	for (i = 0; i + left + MARGIN < bytes / PAGE; i++)
		*(volatile char *)(p + i * PAGE) = 1;
	while (unused_pages() > left) {
		end -= PAGE;
		*(volatile char *)end = 1;
	}
}

/* Exits with 1 when fork failed as it should. Writes to nothing but its stack once memory is short. */
static void fork_until_it_fails(uint64_t left)
{
	int pid = 0, n;

	take_all_but(left);
	for (n = 0; pid >= 0 && n < 1000; n++) {
		pid = fork();
		if (pid == 0) {
			wait_for_end();
			exit(0);
		}
	}
	exit(pid == -ENOMEM ? 1 : 3);
}

/* Wherever it was when there was no page: all that it had taken is given back. */
static void failed_fork_leaves_nothing(void)
{
	struct unix_sysinfo s;
	uint64_t before, left;
	int pid, status;

	sysinfo(&s);
	if (s.frames >= 60000)
		skip("too much memory: %lu pages", (unsigned long)s.frames);
	*(volatile int *)fds = 0; /* our copy of its page is made now */
	for (left = 0; left < 5; left++) {
		before = pages_in_use(s.processes);
		CHECK_EQ(pipe(fds), 0);
		pid = fork();
		if (pid == 0)
			fork_until_it_fails(left);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, UNIX_STATUS(1, 0));
		close(fds[1]);
		close(fds[0]);
		CHECK_EQ(pages_in_use(s.processes), before);
	}
}

static const struct claim claims[] = {
	{ "statuses-arrive", statuses_arrive },
	{ "waiting-need-not-wait", waiting_need_not_wait },
	{ "any-child-will-do", any_child_will_do },
	{ "numbers-are-told", numbers_are_told },
	{ "orphans-go-to-init", orphans_go_to_init },
	{ "arguments-arrive", arguments_arrive },
	{ "exec-can-fail", exec_can_fail },
	{ "spoilt-programs-are-refused", spoilt_programs_are_refused },
	{ "many-at-once", many_at_once },
	{ "too-many", too_many },
	{ "failed-fork-leaves-nothing", failed_fork_leaves_nothing },
};

FAMILY(process, claims);
