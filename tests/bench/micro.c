/* SPDX-License-Identifier: MIT */
/*
 * The micro-benchmarks: a guest's primitives beside the best native way to do the same, in one run.
 *
 *   micro PARAVANE GUEST_DIR [ROUNDS [TSV]]
 *
 * Each round runs every native measurement, then the guest `bench`, which prints one line a measurement
 * ("bench NAME MIN MEDIAN" in nanoseconds). Rounds are interleaved so that a drift of the machine meets both.
 * A figure is the median of the rounds' medians, with the smallest minimum beside it. Native measurements
 * run pinned to one core, like the guest's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <dirent.h>
#include <unistd.h>

#define MAX_ROUNDS 32
#define MAX_ROWS   64
#define LIMIT_S    60

struct row {
	char name[40];
	const char *native_what; /* NULL: the guest's only */
	double guest_min, guest_med[MAX_ROUNDS];
	double native_min, native_med[MAX_ROUNDS];
	int nr_guest, nr_native;
};

static struct row rows[MAX_ROWS];
static int nr_rows;
static const char *paravane, *guests;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return n ? v[n / 2] : 0;
}

static struct row *row_named(const char *name)
{
	int i;

	for (i = 0; i < nr_rows; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	if (nr_rows == MAX_ROWS) {
		fprintf(stderr, "micro: more than %d rows\n", MAX_ROWS);
		exit(1);
	}
	snprintf(rows[nr_rows].name, sizeof(rows[0].name), "%s", name);
	return &rows[nr_rows++];
}

static void add_native(const char *name, const char *what, double *samples, int n)
{
	struct row *r = row_named(name);
	double med = median(samples, n);

	r->native_what = what;
	if (!r->nr_native || samples[0] < r->native_min)
		r->native_min = samples[0];
	if (r->nr_native < MAX_ROUNDS)
		r->native_med[r->nr_native++] = med;
}

static void add_guest(const char *name, double min, double med)
{
	struct row *r = row_named(name);

	if (!r->nr_guest || min < r->guest_min)
		r->guest_min = min;
	if (r->nr_guest < MAX_ROUNDS)
		r->guest_med[r->nr_guest++] = med;
}

/* ---- native counterparts ---------------------------------------------------------------------- */

#define BATCHES 31

static void native_syscall(void)
{
	double s[BATCHES], m[BATCHES];
	int b, i;

	for (b = 0; b < BATCHES; b++) {
		uint64_t t = now_ns();

		for (i = 0; i < 20000; i++)
			syscall(SYS_getppid);
		s[b] = (double)(now_ns() - t) / 20000;
		m[b] = s[b] * 32;
	}
	add_native("null hypercall", "getppid()", s, BATCHES);
	add_native("multicall of 32", "32 getppid()", m, BATCHES);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
}

static void native_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	double s[BATCHES];
	int b, i;

	sigaction(SIGTRAP, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (b = 0; b < BATCHES; b++) {
		uint64_t t = now_ns();

		for (i = 0; i < 2000; i++)
			__asm__ volatile("int3");
		s[b] = (double)(now_ns() - t) / 2000;
	}
	add_native("exception bounce", "int3 to a signal handler", s, BATCHES);
	for (b = 0; b < BATCHES; b++) {
		uint64_t t = now_ns();

		for (i = 0; i < 2000; i++)
			raise(SIGUSR1);
		s[b] = (double)(now_ns() - t) / 2000;
	}
	add_native("event round trip", "raise() to a signal handler", s, BATCHES);
}

static void native_faults(void)
{
	double s[BATCHES];
	int b, i, fd = memfd_create("micro", 0);
	size_t len = 512 * 4096;

	if (fd < 0 || ftruncate(fd, (off_t)len))
		return;
	for (b = 0; b < BATCHES; b++) {
		volatile char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		uint64_t t;

		madvise((void *)p, len, MADV_RANDOM);
		t = now_ns();
		for (i = 0; i < 512; i += 32)
			p[(size_t)i * 4096] = 1;
		s[b] = (double)(now_ns() - t) / 16;
		munmap((void *)p, len);
	}
	close(fd);
	add_native("page fault fill", "first touch of a mapped shared page", s + 1, BATCHES - 1);
}

static void native_timer(void)
{
	double s[BATCHES];
	int b;

	for (b = 0; b < BATCHES; b++) {
		struct timespec t;
		uint64_t due = now_ns() + 1000000;

		t.tv_sec = (time_t)(due / 1000000000u);
		t.tv_nsec = (long)(due % 1000000000u);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		s[b] = (double)(now_ns() - due);
	}
	add_native("timer lateness", "clock_nanosleep() of 1 ms", s, BATCHES);
}

static void ping_pong(volatile uint32_t *mine, volatile uint32_t *theirs, int rounds, bool first)
{
	int i;

	for (i = 1; i <= rounds; i++) {
		if (first) {
			*theirs = (uint32_t)i;
			while (*mine != (uint32_t)i)
				sched_yield();
		} else {
			while (*mine != (uint32_t)i)
				sched_yield();
			*theirs = (uint32_t)i;
		}
	}
}

/* Two processes on one core that hand over by sched_yield: what a hypercall to another process must cost. */
static void native_switch(void)
{
	enum { PER_BATCH = 500 };
	volatile uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                            -1, 0);
	double s[BATCHES];
	pid_t p;
	int b;

	p = fork();
	if (p < 0)
		return;
	for (b = 0; b < BATCHES; b++) {
		uint64_t t = now_ns();

		if (p == 0) {
			ping_pong(&w[16], &w[0], PER_BATCH, false);
			while (w[32] != (uint32_t)b + 1)
				sched_yield();
			continue;
		}
		ping_pong(&w[0], &w[16], PER_BATCH, true);
		s[b] = (double)(now_ns() - t) / PER_BATCH;
		w[0] = w[16] = 0;
		w[32] = (uint32_t)b + 1;
	}
	if (p == 0)
		_exit(0);
	waitpid(p, NULL, 0);
	munmap((void *)w, 4096);
	add_native("hypervisor hypercall", "two processes, one core, sched_yield", s, BATCHES);
}

/* ---- guests ----------------------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int out;
};

static struct child start(char *const argv[])
{
	struct child c = { -1, -1 };
	int p[2], in;

	if (pipe2(p, O_CLOEXEC))
		return c;
	c.pid = fork();
	if (c.pid == 0) {
		in = open("/dev/null", O_RDONLY);
		dup2(in, 0);
		dup2(p[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	c.out = p[0];
	return c;
}

/* 1 when there is something to read (or the end) within the limit. */
static int readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LIMIT_S * 1000);
}

static void end(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->out);
}

static void guest_round(void)
{
	char kernel[4096], line[256];
	char *const argv[] = { (char *)paravane,    (char *)"run", kernel,
		               (char *)"--timeout", (char *)"60",  NULL };
	struct child c;
	FILE *f;

	snprintf(kernel, sizeof(kernel), "%s/bench", guests);
	c = start(argv);
	f = fdopen(c.out, "r");
	while (f && readable(c.out) == 1 && fgets(line, sizeof(line), f)) {
		char name[40];
		double min, med;

		if (sscanf(line, "bench %39[^:]: %lf %lf", name, &min, &med) == 3)
			add_guest(name, min, med);
	}
	kill(c.pid, SIGKILL);
	waitpid(c.pid, NULL, 0);
	if (f)
		fclose(f);
}

static double first_byte(char *const argv[])
{
	uint64_t t = now_ns();
	struct child c = start(argv);
	char b;
	double d = 0;

	if (readable(c.out) == 1 && read(c.out, &b, 1) == 1)
		d = (double)(now_ns() - t);
	while (readable(c.out) == 1 && read(c.out, &b, 1) == 1)
		;
	end(&c);
	return d;
}

static void starts(void)
{
	enum { N = 15 };
	char kernel[4096];
	char *const guest[] = { (char *)paravane, (char *)"run", kernel, NULL };
	char *const native[] = { (char *)"/bin/echo", (char *)"hello", NULL };
	double g[N], n[N];
	int i;

	snprintf(kernel, sizeof(kernel), "%s/hello", guests);
	for (i = 0; i < N; i++) {
		n[i] = first_byte(native);
		g[i] = first_byte(guest);
	}
	add_native("start to first line", "/bin/echo", n, N);
	qsort(g, N, sizeof(*g), compare);
	add_guest("start to first line", g[0], g[N / 2]);
}

/* ---- memory of an idle guest ------------------------------------------------------------------ */

static long pss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Blocks of the guests' own memory: the memfds that paravane names paravane-domain-N. */
static long guest_kib(pid_t pid)
{
	char path[600], link[256];
	struct dirent *e;
	struct stat st;
	long kib = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = 0;
		if (strstr(link, "memfd:paravane-domain") && !stat(path, &st))
			kib += (long)st.st_blocks / 2;
	}
	if (d)
		closedir(d);
	return kib;
}

static long tree_pss_kib(pid_t root)
{
	char path[64], text[65536], *p;
	long sum = pss_kib(root);
	FILE *f;
	size_t n;
	DIR *d;
	struct dirent *e;

	snprintf(path, sizeof(path), "/proc/%d/task", root);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char kids[400];

		snprintf(kids, sizeof(kids), "/proc/%d/task/%s/children", root, e->d_name);
		f = fopen(kids, "r");
		if (!f)
			continue;
		n = fread(text, 1, sizeof(text) - 1, f);
		text[n] = 0;
		fclose(f);
		for (p = strtok(text, " "); p; p = strtok(NULL, " "))
			sum += pss_kib(atoi(p));
	}
	if (d)
		closedir(d);
	return sum;
}

static void idle_memory(void)
{
	char kernel[4096], b;
	char *const argv[] = { (char *)paravane, (char *)"run",
		               kernel,           (char *)"--cmdline",
		               (char *)"idle",   (char *)"--memory",
		               (char *)"64M",    NULL };
	double v[3];
	int i;

	snprintf(kernel, sizeof(kernel), "%s/bench", guests);
	for (i = 0; i < 3; i++) {
		struct child c = start(argv);

		if (readable(c.out) == 1 && read(c.out, &b, 1) == 1)
			usleep(300000);
		v[i] = (double)(tree_pss_kib(c.pid) - guest_kib(c.pid)) * 1024;
		end(&c);
	}
	qsort(v, 3, sizeof(*v), compare);
	add_guest("idle memory beyond the guest's (bytes)", v[0], v[1]);
}

/* ---- the table -------------------------------------------------------------------------------- */

static void print_row(FILE *tsv, struct row *r)
{
	double g = median(r->guest_med, r->nr_guest), n = median(r->native_med, r->nr_native);
	bool noisy = r->nr_native && n > 1.5 * r->native_min;

	printf("%-40s", r->name);
	if (r->nr_guest)
		printf(" %12.0f %12.0f", r->guest_min, g);
	else
		printf(" %12s %12s", "-", "-");
	if (r->nr_native)
		printf(" %12.0f %12.0f  %s%s\n", r->native_min, n, r->native_what,
		       noisy ? " (noisy)" : "");
	else
		printf(" %12s %12s\n", "-", "-");
	if (tsv)
		fprintf(tsv, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%s\n", r->name, r->guest_min, g,
		        r->native_min, n, r->native_what ? r->native_what : "");
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 5, i;
	FILE *tsv = argc > 4 ? fopen(argv[4], "w") : NULL;
	cpu_set_t all, one;

	if (argc < 3 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: micro PARAVANE GUEST_DIR [ROUNDS(1-%d) [TSV]]\n",
		        MAX_ROUNDS);
		return 2;
	}
	paravane = argv[1];
	guests = argv[2];
	sched_getaffinity(0, sizeof(all), &all);
	for (i = 0; i < rounds; i++) {
		CPU_ZERO(&one);
		CPU_SET((unsigned)sched_getcpu(), &one);
		sched_setaffinity(0, sizeof(one), &one);
		native_syscall();
		native_switch();
		native_signals();
		native_faults();
		native_timer();
		sched_setaffinity(0, sizeof(all), &all);
		guest_round();
		starts();
		if (isatty(2))
			fprintf(stderr, "\rround %d of %d", i + 1, rounds);
	}
	idle_memory();
	if (isatty(2))
		fprintf(stderr, "\r                \r");
	printf("%-40s %12s %12s %12s %12s\n", "nanoseconds unless said otherwise", "guest min",
	       "median", "native min", "median");
	for (i = 0; i < nr_rows; i++)
		print_row(tsv, &rows[i]);
	if (tsv)
		fclose(tsv);
	return 0;
}
