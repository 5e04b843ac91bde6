/* SPDX-License-Identifier: MIT */
/*
 * Running a program that prints figures; see spawn.h.
 */
#include "tests/bench/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void (*clean_up)(void);
static volatile pid_t running[BENCH_RUNNING]; /* leaders of groups, or 0 */

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_end(int sig)
{
	int i;

	for (i = 0; i < BENCH_RUNNING; i++)
		if (running[i])
			kill(-running[i], SIGKILL);
	if (clean_up)
		clean_up();
	signal(sig, SIG_DFL);
	raise(sig);
}

void bench_catch_signals(void (*clean)(void))
{
	clean_up = clean;
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
}

static void remember(pid_t old, pid_t new)
{
	int i;

	for (i = 0; i < BENCH_RUNNING; i++)
		if (running[i] == old) {
			running[i] = new;
			return;
		}
}

bool bench_start(struct bench_run *r, char *const argv[])
{
	int p[2], null;

	r->have = r->at = 0;
	if (pipe2(p, O_CLOEXEC))
		return false;
	r->pid = fork();
	if (r->pid == 0) {
		setpgid(0, 0);
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(p[1], 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	if (r->pid < 0) {
		close(p[0]);
		return false;
	}
	setpgid(r->pid, r->pid); /* so that the group is there before anybody ends it */
	remember(0, r->pid);
	r->out = p[0];
	return true;
}

/* More of its output, in time. */
static bool fill(struct bench_run *r, double limit)
{
	struct pollfd p = { .fd = r->out, .events = POLLIN };
	double left = limit - bench_now();
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) != 1)
		return false;
	n = read(r->out, r->buffer, sizeof(r->buffer));
	if (n <= 0)
		return false;
	r->have = (size_t)n;
	r->at = 0;
	return true;
}

bool bench_line(struct bench_run *r, char *line, size_t size, double limit)
{
	size_t len = 0;
	char c;

	for (;;) {
		if (r->at == r->have && !fill(r, limit))
			return false;
		c = r->buffer[r->at++];
		if (c == '\n')
			break;
		if (c != '\r' && len < size - 1)
			line[len++] = c;
	}
	line[len] = 0;
	return true;
}

void bench_end(struct bench_run *r)
{
	kill(-r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	remember(r->pid, 0);
	close(r->out);
}

bool bench_has_program(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char full[4096];

	if (strchr(name, '/'))
		return !access(name, X_OK);
	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(full, sizeof(full), "%.*s/%s", (int)(end - path), path, name);
		if (!access(full, X_OK))
			return true;
	}
	return false;
}
