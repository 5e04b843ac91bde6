/* SPDX-License-Identifier: MIT */
/*
 * The few things of the host that have no function in libc, or want a check around them.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

uint64_t pe_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void pe_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ns / 1000000000u),
		               .tv_nsec = (long)(until_ns % 1000000000u) };

	/* The plain FUTEX_WAIT takes a span, this one an absolute time, so no clock is read twice. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, until_ns == UINT64_MAX ? NULL : &ts,
	        NULL, FUTEX_BITSET_MATCH_ANY);
}

void pe_futex_wake(_Atomic uint32_t *word, int how_many)
{
	syscall(SYS_futex, word, FUTEX_WAKE, how_many, NULL, NULL, 0);
}

bool pe_futex_move(_Atomic uint32_t *from, _Atomic uint32_t *to)
{
	return syscall(SYS_futex, from, FUTEX_CMP_REQUEUE, 0, 1ul, to, atomic_load(from)) > 0;
}

bool pe_has_ended(pid_t pid)
{
	siginfo_t si = { 0 };

	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL))
		return errno == ECHILD;
	return si.si_pid == pid;
}

bool pe_kick_is_pending(pid_t pid)
{
	const uint64_t kick = UINT64_C(1) << (PE_SIG_KICK - 1);
	char text[64], line[256];
	bool pending = true;
	FILE *f;

	snprintf(text, sizeof(text), "/proc/%d/status", (int)pid);
	f = fopen(text, "re");
	if (!f)
		return true;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "SigPnd:", 7))
			pending = strtoull(line + 7, NULL, 16) & kick;
	}
	fclose(f);
	return pending;
}

/* As /proc has it; 0 where the host does not tell. */
static char thread_state(pid_t tid)
{
	char text[64], stat[256] = "";
	const char *state;
	FILE *f;

	snprintf(text, sizeof(text), "/proc/%d/stat", (int)tid);
	f = fopen(text, "re");
	if (!f)
		return 0;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	state = strrchr(stat, ')'); /* behind its name */
	return state && state[1] == ' ' ? state[2] : 0;
}

bool pe_schedstat(pid_t tid, struct pe_schedstat *out)
{
	unsigned long long run, wait, runs;
	char text[96];
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), "/proc/%d/schedstat", (int)tid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	if (sscanf(text, "%llu %llu %llu", &run, &wait, &runs) != 3)
		return false;
	*out = (struct pe_schedstat){ .run_ns = run, .wait_ns = wait, .runs = runs };
	return true;
}

bool pe_sleeps_on(pid_t tid, uint64_t *runs)
{
	/* R: ready or running. D: it waits for memory, or for another thread to let go of the mappings. T: stopped. */
	bool sleeps = thread_state(tid) == 'S';
	struct pe_schedstat st = { 0 };
	bool since;

	if (!pe_schedstat(tid, &st))
		st.runs = 0;
	since = *runs == st.runs + 1;
	*runs = st.runs + 1;
	return sleeps && since;
}

size_t pe_max_mappings(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	size_t n = 65530;

	if (!f)
		return n;
	if (fscanf(f, "%zu", &n) != 1)
		n = 65530;
	fclose(f);
	return n;
}

static uint64_t find_xsave_mask(void)
{
	unsigned a, b, c, d, low, high;
	uint64_t mask = 0, enabled;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 0;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	enabled = (uint64_t)high << 32 | low;
	for (unsigned i = 0; i < 63; i++) {
		if (!(enabled >> i & 1))
			continue;
		if (i < 2) {
			mask |= UINT64_C(1) << i;
			continue;
		}
		__cpuid_count(0xd, i, a, b, c, d);
		if ((uint64_t)a + b <= PE_XSAVE_MAX)
			mask |= UINT64_C(1) << i;
	}
	return mask;
}

unsigned pe_xsave_size(void)
{
	static _Atomic unsigned size;
	uint64_t mask = pe_xsave_mask();
	unsigned a, b, c, d, n = atomic_load(&size);

	if (n)
		return n;
	n = 512 + 64;
	for (unsigned i = 2; i < 63; i++) {
		if (!(mask >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (a + b > n)
			n = a + b;
	}
	atomic_store(&size, n);
	return n;
}

uint64_t pe_xsave_mask(void)
{
	static _Atomic uint64_t mask; /* cpuid is slow where this machine is itself virtual */
	uint64_t m = atomic_load(&mask);

	if (!m) {
		m = find_xsave_mask();
		atomic_store(&mask, m);
	}
	return m;
}
