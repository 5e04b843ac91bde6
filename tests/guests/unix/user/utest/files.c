/* SPDX-License-Identifier: MIT */
/* Files and pipes. */
#include "tests/guests/unix/user/utest/test.h"

static void write_then_read(void)
{
	int fd = open("/tmp/wr", O_RDWR | O_CREAT | O_TRUNC);
	char buf[16];

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "hello world", 11), 11);
	CHECK_EQ(seek(fd, 6), 6);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "world", 5));
	CHECK_EQ(read(fd, buf, sizeof(buf)), 0);
	CHECK_EQ(seek(fd, 0), 0);
	CHECK_EQ(write(fd, "J", 1), 1);
	CHECK_EQ(seek(fd, 0), 0);
	CHECK_EQ(read(fd, buf, 5), 5);
	CHECK(!memcmp(buf, "Jello", 5));
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(close(fd), -EBADF);
	CHECK_EQ(unlink("/tmp/wr"), 0);
	CHECK_EQ(open("/tmp/wr", O_RDONLY), -ENOENT);
}

static void across_pages(void)
{
	static uint8_t out[10000], in[10000];
	int fd = open("/tmp/pages", O_RDWR | O_CREAT | O_TRUNC);
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 31 + i / 256);
	CHECK_EQ(seek(fd, 4090), 4090);
	CHECK_EQ(write(fd, out, sizeof(out)), sizeof(out));
	CHECK_EQ(seek(fd, 4090), 4090);
	CHECK_EQ(read(fd, in, sizeof(in)), sizeof(in));
	CHECK(!memcmp(in, out, sizeof(in)));
	CHECK_EQ(seek(fd, 0), 0);
	CHECK_EQ(read(fd, in, 4090), 4090);
	for (i = 0; i < 4090; i++)
		CHECK_EQ(in[i], 0);
	CHECK_EQ(unlink("/tmp/pages"), 0);
	CHECK_EQ(seek(fd, 4090), 4090);
	CHECK_EQ(read(fd, in, 100), 100); /* open files live on */
	CHECK(!memcmp(in, out, 100));
}

static void appends_and_truncates(void)
{
	int fd = open("/tmp/at", O_WRONLY | O_CREAT | O_TRUNC);
	char buf[16];

	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(read(fd, buf, 1), -EBADF);
	close(fd);
	fd = open("/tmp/at", O_WRONLY | O_APPEND);
	CHECK_EQ(write(fd, "def", 3), 3);
	close(fd);
	fd = open("/tmp/at", O_RDONLY);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 6);
	CHECK(!memcmp(buf, "abcdef", 6));
	CHECK_EQ(write(fd, "x", 1), -EBADF);
	close(fd);
	fd = open("/tmp/at", O_RDWR | O_TRUNC);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 0);
	CHECK_EQ(unlink("/tmp/at"), 0);
}

/* A program that runs keeps its text, whatever becomes of its file. */
static void running_program_is_not_changed(void)
{
	char *argv[] = { "copy", "1", NULL };
	static char buf[20000];
	int in = open("/bin/sleep", O_RDONLY), out = open("/bin/copy", O_WRONLY | O_CREAT), pid;
	long n = read(in, buf, sizeof(buf));

	CHECK(n > 500);
	CHECK_EQ(write(out, buf, (size_t)n), n);
	close(out);
	pid = fork();
	if (pid == 0)
		exit(-exec("/bin/copy", argv));
	sleep_ns(50 * MS);
	out = open("/bin/copy", O_WRONLY);
	memset(buf, 0xcc, sizeof(buf));
	CHECK_EQ(write(out, buf, (size_t)n), n);
	child_ends(pid, 0);
	CHECK_EQ(unlink("/bin/copy"), 0);
}

static void limits_of_descriptors(void)
{
	int fd[UNIX_NR_FILES], n = 0, last;

	while ((last = dup2(0, -1)) >= 0 && n < UNIX_NR_FILES)
		fd[n++] = last;
	CHECK_EQ(last, -EMFILE);
	CHECK_EQ(pipe(fd), -EMFILE);
	CHECK_EQ(open("/bin/init", O_RDONLY), -EMFILE);
	CHECK_EQ(dup2(0, UNIX_NR_FILES), -EBADF);
	CHECK_EQ(dup2(-1, 1), -EBADF);
	CHECK_EQ(read(UNIX_NR_FILES, &n, 1), -EBADF);
	CHECK_EQ(read(-1, &n, 1), -EBADF);
}

/* ---- pipes ---- */

static int ends[2];

static void produce(void)
{
	static uint8_t buf[3000];
	unsigned int i, j, n = 0;

	close(ends[0]);
	for (i = 0; i < 40; i++) {
		for (j = 0; j < sizeof(buf); j++, n++)
			buf[j] = (uint8_t)(n * 7 + n / 251);
		CHECK_EQ(write(ends[1], buf, sizeof(buf)), sizeof(buf));
	}
}

/* Much more than a pipe holds, in order, in pieces of other sizes, to its end. */
static void bytes_arrive_in_order(void)
{
	uint8_t buf[777];
	unsigned int n = 0;
	long got, i;
	int pid;

	CHECK_EQ(pipe(ends), 0);
	pid = child(produce);
	close(ends[1]);
	while ((got = read(ends[0], buf, sizeof(buf))) > 0)
		for (i = 0; i < got; i++, n++)
			CHECK_EQ(buf[i], (uint8_t)(n * 7 + n / 251));
	CHECK_EQ(got, 0);
	CHECK_EQ(n, 120000);
	child_ends(pid, 0);
}

static void write_one_letter(void)
{
	char c = (char)('a' + getpid() % 26), buf[64];
	int i;

	memset(buf, c, sizeof(buf));
	for (i = 0; i < 100; i++)
		CHECK_EQ(write(ends[1], buf, sizeof(buf)), sizeof(buf));
}

/* Several writers: nothing is lost, whoever comes first. */
static void many_writers(void)
{
	long total = 0, got;
	char buf[500];
	int pid[4];
	unsigned int i;

	CHECK_EQ(pipe(ends), 0);
	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(write_one_letter);
	close(ends[1]);
	while ((got = read(ends[0], buf, sizeof(buf))) > 0)
		total += got;
	CHECK_EQ(total, 4 * 100 * 64);
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

static volatile int got_sigpipe;

static void on_sigpipe(int sig, struct unix_sigframe *frame)
{
	(void)frame;
	got_sigpipe = sig;
}

static void nobody_reads(void)
{
	int status, pid;

	CHECK_EQ(pipe(ends), 0);
	close(ends[0]);
	sigaction(SIGPIPE, on_sigpipe);
	CHECK_EQ(write(ends[1], "x", 1), -EPIPE);
	CHECK_EQ(got_sigpipe, SIGPIPE);
	pid = fork();
	if (pid == 0) {
		sigaction(SIGPIPE, (sighandler)SIG_DFL);
		write(ends[1], "x", 1);
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGPIPE));
}

static void read_until_end(void)
{
	char c;

	close(ends[1]);
	CHECK_EQ(read(ends[0], &c, 1), 0);
}

/* A reader that waits wakes when the last writer closes. */
static void end_wakes_readers(void)
{
	int pid, pid2;

	CHECK_EQ(pipe(ends), 0);
	pid = child(read_until_end);
	pid2 = child(read_until_end);
	sleep_ns(30 * MS);
	close(ends[1]);
	child_ends(pid, 0);
	child_ends(pid2, 0);
}

static const struct claim claims[] = {
	{ "write-then-read", write_then_read },
	{ "across-pages", across_pages },
	{ "appends-and-truncates", appends_and_truncates },
	{ "running-program-is-not-changed", running_program_is_not_changed },
	{ "limits-of-descriptors", limits_of_descriptors },
	{ "bytes-arrive-in-order", bytes_arrive_in_order },
	{ "many-writers", many_writers },
	{ "nobody-reads", nobody_reads },
	{ "end-wakes-readers", end_wakes_readers },
};

FAMILY(files, claims);
