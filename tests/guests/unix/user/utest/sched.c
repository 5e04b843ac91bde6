/* SPDX-License-Identifier: MIT */
/* Time and vCPUs. */
#include "tests/guests/unix/user/utest/test.h"

static void sleeps_are_long_enough(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		uint64_t ns = (i * 7 + 1) * MS, t = clock_ns();

		CHECK_EQ(sleep_ns(ns), 0);
		CHECK(clock_ns() - t >= ns);
	}
	CHECK_EQ(sleep_ns(~0ull), -EINVAL);
}

static void watch_clock(void)
{
	uint64_t last = 0, now;
	int i;

	for (i = 0; i < 5000; i++) {
		now = clock_ns();
		CHECK(now >= last);
		last = now;
		if (i % 64 == 0)
			yield();
	}
}

/* On several vCPUs, and while it is moved between them. */
static void clock_never_goes_back(void)
{
	int pid[4];
	unsigned int i;

	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(watch_clock);
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

static void wall_clock_runs(void)
{
	uint64_t a = (uint64_t)CALL(clock, 1, 0, 0), b;

	CHECK(a > 1000000000ull * 1000000000ull); /* after 2001 */
	sleep_ns(10 * MS);
	b = (uint64_t)CALL(clock, 1, 0, 0);
	CHECK(b - a >= 10 * MS);
}

static void spin(void)
{
	for (;;)
		;
}

/* As many programs that never stop as there are vCPUs, and one more: we still get our turn. */
static void spinning_programs_are_preempted(void)
{
	struct unix_sysinfo s;
	int pid[33], status, i;

	sysinfo(&s);
	for (i = 0; i <= (int)s.cpus; i++)
		pid[i] = child(spin);
	for (i = 0; i < 5; i++)
		sleep_ns(10 * MS);
	for (i = 0; i <= (int)s.cpus; i++) {
		CHECK_EQ(kill(pid[i], SIGKILL), 0);
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
	}
}

static int ends[2];

static void tell_where(void)
{
	uint64_t told = 0;

	for (;;) {
		uint8_t cpu = (uint8_t)getcpu();

		if (!(told >> cpu & 1))
			write(ends[1], &cpu, 1);
		told |= 1ull << cpu;
	}
}

static void all_cpus_are_used(void)
{
	struct unix_sysinfo s;
	uint64_t seen = 0;
	uint8_t cpu;
	int i, n, pid[64], status;

	sysinfo(&s);
	if (s.cpus == 1)
		skip("one vCPU");
	n = (int)s.cpus * 2;
	CHECK_EQ(pipe(ends), 0);
	for (i = 0; i < n; i++)
		pid[i] = child(tell_where);
	while (seen != (1ull << s.cpus) - 1) {
		CHECK_EQ(read(ends[0], &cpu, 1), 1);
		CHECK(cpu < s.cpus);
		seen |= 1ull << cpu;
	}
	for (i = 0; i < n; i++) {
		kill(pid[i], SIGKILL);
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
	}
}

static void count_a_while(void)
{
	uint64_t end = clock_ns() + 300 * MS, n = 0;

	while (clock_ns() < end)
		n++;
	write(ends[1], &n, sizeof(n));
}

/* Four that want all they can get: none is left with next to nothing. */
static void time_is_shared(void)
{
	uint64_t n, least = ~0ull, most = 0;
	int i, status;

	CHECK_EQ(pipe(ends), 0);
	for (i = 0; i < 4; i++)
		child(count_a_while);
	for (i = 0; i < 4; i++) {
		CHECK_EQ(read(ends[0], &n, sizeof(n)), sizeof(n));
		least = n < least ? n : least;
		most = n > most ? n : most;
		CHECK(waitpid(-1, &status, 0) > 0);
	}
	CHECK(least > most / 20);
}

static void answer(void)
{
	char c;

	close(ends[1]);
	while (read(ends[0], &c, 1) == 1)
		;
}

/* Waking and sleeping in quick succession, on all vCPUs: no wake-up is lost. */
static void no_wake_up_is_lost(void)
{
	int i, pid;

	CHECK_EQ(pipe(ends), 0);
	pid = child(answer);
	close(ends[0]);
	for (i = 0; i < 3000; i++)
		CHECK_EQ(write(ends[1], "x", 1), 1);
	close(ends[1]);
	child_ends(pid, 0);
}

static int back[2];

static void echo_back(void)
{
	char c;

	while (read(ends[0], &c, 1) == 1)
		CHECK_EQ(write(back[1], &c, 1), 1);
}

static void ping_pong(void)
{
	int i, pid;
	char c;

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(pipe(back), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		close(back[0]);
		echo_back();
		exit(0);
	}
	close(ends[0]);
	close(back[1]);
	for (i = 0; i < 2000; i++) {
		c = (char)i;
		CHECK_EQ(write(ends[1], &c, 1), 1);
		c = 0;
		CHECK_EQ(read(back[0], &c, 1), 1);
		CHECK_EQ(c, (char)i);
	}
	close(ends[1]);
	child_ends(pid, 0);
}

static const struct claim claims[] = {
	{ "sleeps-are-long-enough", sleeps_are_long_enough },
	{ "clock-never-goes-back", clock_never_goes_back },
	{ "wall-clock-runs", wall_clock_runs },
	{ "spinning-programs-are-preempted", spinning_programs_are_preempted },
	{ "all-cpus-are-used", all_cpus_are_used },
	{ "time-is-shared", time_is_shared },
	{ "no-wake-up-is-lost", no_wake_up_is_lost },
	{ "ping-pong", ping_pong },
};

FAMILY(sched, claims);
