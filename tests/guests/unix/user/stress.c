/* SPDX-License-Identifier: MIT */
/*
 * stress [SECONDS [WORKERS [REST]]]: forks, programs, exits, page faults, pipes and signals on all vCPUs,
 * and then a look at what is left: pages in use, processes and open files, before and after. A
 * difference is a leak, and its exit status 1. A worker count of 0 means two for each vCPU. After each
 * look it rests for REST seconds, so that somebody can count outside of the machine as well.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define PAGE    4096ul
#define PAGES   24
#define WARM_NS 300000000ull

enum { ROUNDS, BYTES, CHECKED, NR_COUNTS };

static const char *const count_names[] = { "children", "bytes through pipes", "pages checked" };

static uint64_t seed;

static unsigned int random_below(unsigned int n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(seed >> 33) % n;
}

__attribute__((noreturn)) static void broken(const char *what)
{
	dprintf(2, "stress: %s\n", what);
	exit(2);
}

static void fill(char *p, unsigned int pages, unsigned int value)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		*(unsigned int *)(p + i * PAGE) = value + i;
}

static void check(const char *p, unsigned int pages, unsigned int value)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		if (*(const unsigned int *)(p + i * PAGE) != value + i)
			broken("a page is not what it was");
}

/* What a child does before it ends: pages of the parent's and of its own, written and looked at. */
static void child_faults(char *shared, unsigned int value)
{
	unsigned int pages = 1 + random_below(PAGES);
	char *own = (char *)mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE);

	if ((long)own < 0)
		broken("no memory");
	check(shared, PAGES, value);
	fill(own, pages, 7);
	fill(shared, pages, 9);
	check(own, pages, 7);
	check(shared, pages, 9);
	if (random_below(2) && munmap(own, pages * PAGE))
		broken("munmap");
}

static void become_nothing(void)
{
	char *argv[] = { "stress", "nothing", NULL };

	exec("/bin/stress", argv);
	broken("no exec");
}

static void one_child(char *shared, unsigned int value)
{
	int status = 0, how = (int)random_below(4), pid = fork();

	if (pid < 0)
		broken("no process");
	if (pid == 0) {
		seed += (uint64_t)getpid();
		child_faults(shared, value);
		if (how == 0)
			become_nothing();
		while (how == 1)
			pause();
		if (how == 2 && fork() == 0)
			exit(0); /* an orphan, perhaps */
		exit(how);
	}
	if (how == 1)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		broken("a child got lost");
	if (status != UNIX_STATUS(how == 1 ? 0 : how, how == 1 ? SIGKILL : 0)) {
		dprintf(2, "stress: status 0x%x, kind %d\n", (unsigned int)status, how);
		broken("a child ended in another way than it should");
	}
}

static void one_pipe(uint64_t *bytes)
{
	char buf[600];
	int fd[2], pid, status;
	long n, total = 0;

	if (pipe(fd) < 0)
		broken("no pipe");
	pid = fork();
	if (pid == 0) {
		memset(buf, 'x', sizeof(buf));
		for (n = 0; n < 10; n++)
			if (write(fd[1], buf, sizeof(buf)) != sizeof(buf))
				broken("a pipe breaks");
		exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], buf, sizeof(buf))) > 0)
		total += n;
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid || status || total != 6000) {
		dprintf(2, "stress: status 0x%x, %ld bytes\n", (unsigned int)status, total);
		broken("a pipe lost something");
	}
	*bytes += (uint64_t)total;
}

static void work(uint64_t end_ns, int result)
{
	char *shared = (char *)mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE);
	uint64_t count[NR_COUNTS] = { 0 };
	unsigned int value = 0;

	seed = (uint64_t)getpid() * 2654435761u;
	if ((long)shared < 0)
		broken("no memory");
	while (clock_ns() < end_ns) {
		fill(shared, PAGES, ++value);
		one_child(shared, value);
		check(shared, PAGES, value);
		count[ROUNDS]++;
		count[CHECKED] += PAGES;
		if (random_below(4) == 0)
			one_pipe(&count[BYTES]);
	}
	write(result, count, sizeof(count));
	exit(0);
}

/* One run; the sums of what the workers did. False when one of them failed. */
static bool round_of(uint64_t ns, unsigned int workers, uint64_t sum[NR_COUNTS])
{
	uint64_t count[NR_COUNTS], end = clock_ns() + ns;
	unsigned int i, j;
	bool good = true;
	int fd[2], status;

	memset(sum, 0, NR_COUNTS * sizeof(*sum));
	if (pipe(fd) < 0)
		return false;
	for (i = 0; i < workers; i++)
		if (fork() == 0)
			work(end, fd[1]);
	close(fd[1]);
	while (read(fd[0], count, sizeof(count)) == sizeof(count))
		for (j = 0; j < NR_COUNTS; j++)
			sum[j] += count[j];
	close(fd[0]);
	for (i = 0; i < workers; i++)
		if (waitpid(-1, &status, 0) < 0 || status)
			good = false;
	return good;
}

/* Orphans are init's to bury: it may take a moment. */
static void await_processes(uint32_t processes)
{
	struct unix_sysinfo s;
	unsigned int i;

	for (i = 0; i < 200 && (sysinfo(&s), s.processes > processes); i++)
		sleep_ns(10000000);
}

int main(int argc, char **argv)
{
	uint64_t seconds = (uint64_t)number(argc > 1 ? argv[1] : NULL, 3), sum[NR_COUNTS];
	uint64_t rest_ns = (uint64_t)number(argc > 3 ? argv[3] : NULL, 0) * 1000000000;
	unsigned int workers = (unsigned int)number(argc > 2 ? argv[2] : NULL, 0), i;
	struct unix_sysinfo before, after;
	bool good, same;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	sysinfo(&before);
	workers = workers ? workers : before.cpus * 2;
	/* Once for warming up: what this program and the pools of the kernel need is there then. */
	good = round_of(WARM_NS, workers, sum);
	await_processes(before.processes);
	sysinfo(&before);
	count_say("stress", "before", &before);
	sleep_ns(rest_ns);
	good = round_of(seconds * 1000000000, workers, sum) && good;
	count_settled(&after, &before);
	for (i = 0; i < NR_COUNTS; i++)
		if (sum[i])
			printf("stress: %lu %s\n", (unsigned long)sum[i], count_names[i]);
	count_say("stress", "after", &after);
	sleep_ns(rest_ns);
	same = count_is_same(&before, &after);
	printf("stress: %s\n", !good  ? "a worker failed"
	                       : same ? "nothing is left behind"
	                              : "DIFFERENT");
	return good && same ? 0 : 1;
}
