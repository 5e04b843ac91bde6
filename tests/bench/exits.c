/* SPDX-License-Identifier: MIT */
/*
 * What one operation of a guest costs in exits: how often the hypervisor was entered for it, by what, and
 * what KVM counted besides.
 *
 *   exits TITLE PARAVANE run --stats ...
 *
 * Runs that command. The guest's programs say "count begin NAME" and "count end NAME: N NS" and rest after each
 * (tests/guests/bench, tests/guests/unix/user/bench.c, os_measure.c); in the rest SIGUSR1 makes `paravane` print
 * its table, whose rows are read twice and divided by N. Prints one line for each NAME. With the engine `process`,
 * which has no such rows, only hypercalls and exceptions are shown. Status 1: there was nothing to count.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 900

/* The rows of --stats that are shown, and over which column. */
static const struct {
	const char *row, *column;
} shown[] = {
	{ "entered by KVM_RUN", "entries" },
	{ "hypercalls out of it", "hypercalls" },
	{ "system calls out of it", "syscalls" },
	{ "exceptions out of it", "exceptions" },
	{ "kicked out of it", "kicks" },
	{ "shim run for changed tables", "shim" },
	{ "KVM: exits", "KVM exits" },
};
#define COLUMNS (sizeof(shown) / sizeof(shown[0]))

struct counts {
	double n[COLUMNS];
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t child;
static double limit; /* when all waiting ends */

static void on_end(int sig)
{
	if (child)
		kill(child, SIGKILL);
	_exit(128 + sig);
}

/* A line without its end; false at the end of file or of patience. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		double left = limit - now_s();

		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) != 1 ||
		    read(fd, line + len, 1) != 1)
			return false;
		if (line[len] == '\n')
			break;
		if (len < size - 2)
			len++;
	}
	line[len] = 0;
	return true;
}

/* Asks for the table, and reads it to its empty line. */
static bool snapshot(int err, struct counts *c)
{
	char line[512];

	memset(c, 0, sizeof(*c));
	kill(child, SIGUSR1);
	while (read_line(err, line, sizeof(line))) {
		if (!line[0])
			return true;
		for (size_t i = 0; i < COLUMNS; i++) {
			size_t len = strlen(shown[i].row);

			if (!strncmp(line, shown[i].row, len) && line[len] == ' ')
				c->n[i] = atof(line + len);
		}
	}
	return false;
}

static void print_head(const char *title)
{
	printf("%-30s %8s", title, "of each");
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %10s", shown[i].column);
	printf(" %10s\n", "us");
}

static void print_row(const char *name, unsigned long times, double ns, const struct counts *a,
                      const struct counts *b)
{
	printf("%-30s %8lu", name, times);
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %10.2f", (b->n[i] - a->n[i]) / (double)times);
	printf(" %10.1f\n", ns / 1e3);
	fflush(stdout);
}

/* Returns how many rows were printed. */
static int count(int out, int err)
{
	struct counts before = { 0 }, after;
	unsigned long times;
	char line[512], name[64];
	double ns;
	int rows = 0;

	while (read_line(out, line, sizeof(line))) {
		const char *at = strstr(line, "count ");

		if (at && !strncmp(at, "count begin ", 12)) {
			if (!snapshot(err, &before))
				break;
		} else if (at && sscanf(at, "count end %63[^:]: %lu %lf", name, &times, &ns) == 3) {
			if (!times || !snapshot(err, &after))
				break;
			print_row(name, times, ns, &before, &after);
			rows++;
		}
	}
	return rows;
}

static pid_t start(char *const argv[], int *out, int *err)
{
	int o[2], e[2];
	pid_t pid;

	if (pipe2(o, O_CLOEXEC) || pipe2(e, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		int in = open("/dev/null", O_RDONLY);

		dup2(in, 0);
		dup2(o[1], 1);
		dup2(e[1], 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(o[1]);
	close(e[1]);
	*out = o[0];
	*err = e[0];
	return pid;
}

int main(int argc, char **argv)
{
	int out, err, rows;

	if (argc < 3) {
		fprintf(stderr, "usage: exits TITLE PARAVANE run --stats ...\n");
		return 2;
	}
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	limit = now_s() + LIMIT_S;
	child = start(argv + 2, &out, &err);
	if (child < 0)
		return 1;
	print_head(argv[1]);
	rows = count(out, err);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!rows)
		fprintf(stderr, "exits: %s counted nothing\n", argv[1]);
	return rows ? 0 : 1;
}
