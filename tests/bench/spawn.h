/* SPDX-License-Identifier: MIT */
/*
 * Running a program that prints figures: in a process group of its own, so that all of it can be ended;
 * read line by line with a limit of time; ended by its own id whatever happens, when we are ended, too.
 */
#ifndef TESTS_BENCH_SPAWN_H
#define TESTS_BENCH_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* CLOCK_MONOTONIC in seconds. */
double bench_now(void);

/* One running program. At most BENCH_RUNNING at once. */
#define BENCH_RUNNING 4
struct bench_run {
	pid_t pid;
	int out; /* its standard output; its errors go to /dev/null */
	size_t have, at;
	char buffer[65536];
};

/*
 * SIGINT, SIGTERM and SIGHUP end what runs, and us. clean, or NULL: removes our files; it is called in
 * the signal's handler.
 */
void bench_catch_signals(void (*clean)(void));
/* False when it cannot be started. argv[0] is found in the PATH. */
bool bench_start(struct bench_run *r, char *const argv[]);
/* The next line without its end; what does not fit is cut. False: its end, or the limit (bench_now()). */
bool bench_line(struct bench_run *r, char *line, size_t size, double limit);
/* Kills the group and waits for the program. */
void bench_end(struct bench_run *r);
/* Whether the PATH has such a program. */
bool bench_has_program(const char *name);

#endif /* TESTS_BENCH_SPAWN_H */
