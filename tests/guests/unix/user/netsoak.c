/* SPDX-License-Identifier: MIT */
/*
 * netsoak A.B.C.D [SECONDS]: streams and datagrams to a peer and from it, all at once, for so long; the
 * peer may come and go meanwhile (tests/netpeer: ports 7, 9 and 19, and datagrams to our port 9). What
 * is in use is counted before and after, at rest; a difference fails, and so does a kind of load that
 * never got through.
 *
 * After each of the two looks it waits for a line on its input, so that the host can look, too.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define MS        1000000ull
#define WARM_NS   (1500 * MS)
#define REST_NS   (1500 * MS) /* connections are remembered for a second */
#define TRY_NS    (20 * MS)   /* between two tries to connect */
#define STALL_NS  (300 * MS)
#define ANSWER_NS (100 * MS)
#define BURST     8

static uint32_t peer;
static bool is_over;

/* What one worker has done; written to the parent when it ends. */
struct work {
	uint64_t kind, bytes, connections;
};

static struct work work;
static char buf[4096];

/* ---- workers ---- */

static void on_end(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	(void)frame;
	is_over = true;
}

static void on_alarm(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	(void)frame;
}

/*
 * Until nothing moves, and then again; out: writes, else reads. A peer that was killed says nothing,
 * and who only reads would never hear of it.
 */
static void stream(uint16_t port, bool out)
{
	while (!is_over) {
		long n = 1;
		int fd;

		alarm_ns(STALL_NS);
		fd = connect_to(peer, port);
		if (fd < 0) {
			sleep_ns(TRY_NS);
			continue;
		}
		work.connections++;
		while (n > 0 && !is_over) {
			alarm_ns(STALL_NS);
			n = out ? write(fd, buf, sizeof(buf)) : read(fd, buf, sizeof(buf));
			work.bytes += n > 0 ? (uint64_t)n : 0;
		}
		close(fd);
	}
}

static void stream_out(void)
{
	stream(9, true);
}

static void stream_in(void)
{
	stream(19, false);
}

/* A device without room says so: the others have a turn then. */
static void datagrams_out(void)
{
	const struct unix_addr to = { .ip = peer, .port = 9 };
	int fd = socket(SOCK_DGRAM), i;

	while (!is_over) {
		for (i = 0; i < BURST; i++) {
			long n = sendto(fd, buf, 1000, &to);

			work.bytes += n > 0 ? (uint64_t)n : 0;
		}
		sleep_ns(MS);
	}
}

static void datagrams_in(void)
{
	struct unix_addr at = { .port = 9 };
	int fd = socket(SOCK_DGRAM);

	bind(fd, &at);
	while (!is_over) {
		long n = read(fd, buf, sizeof(buf));

		work.bytes += n > 0 ? (uint64_t)n : 0;
	}
}

static void echoes(void)
{
	const struct unix_addr to = { .ip = peer, .port = 7 };
	int fd = socket(SOCK_DGRAM);

	while (!is_over) {
		sendto(fd, buf, 100, &to);
		alarm_ns(ANSWER_NS); /* it may be lost with the peer */
		if (read(fd, buf, sizeof(buf)) == 100)
			work.bytes += 100;
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = { { "by streams out", stream_out },
	      { "by streams in", stream_in },
	      { "by datagrams out", datagrams_out },
	      { "by datagrams in", datagrams_in },
	      { "by echoes", echoes } };

static void run_worker(unsigned int kind, int result)
{
	sigaction(SIGTERM, on_end);
	sigaction(SIGALRM, on_alarm);
	sigaction(SIGPIPE, (sighandler)SIG_IGN);
	work.kind = kind;
	kinds[kind].run();
	alarm_ns(0);
	write(result, &work, sizeof(work));
	exit(0);
}

/* ---- the run ---- */

/*
 * A worker that is about to wait when the signal comes waits all the same, so it is told until it has
 * ended.
 */
static void end_workers(const int *pid)
{
	unsigned int i;
	int status;

	for (i = 0; i < COUNT(kinds); i++) {
		while (waitpid(pid[i], &status, WNOHANG) == 0) {
			kill(pid[i], SIGTERM);
			sleep_ns(MS);
		}
	}
}

static bool load(uint64_t ns, struct work done[COUNT(kinds)])
{
	int fd[2], pid[COUNT(kinds)];
	unsigned int i;
	struct work w;

	if (pipe(fd) < 0)
		return false;
	for (i = 0; i < COUNT(kinds); i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			run_worker(i, fd[1]);
		if (pid[i] < 0)
			return false;
	}
	close(fd[1]);
	sleep_ns(ns);
	end_workers(pid);
	while (read(fd[0], &w, sizeof(w)) == sizeof(w))
		done[w.kind] = w;
	close(fd[0]);
	return true;
}

static void show_and_wait(const char *when, const struct unix_sysinfo *s)
{
	count_say("netsoak", when, s);
	read(0, buf, sizeof(buf));
}

int main(int argc, char **argv)
{
	static struct work done[COUNT(kinds)];
	uint64_t ns = (uint64_t)number(argc > 2 ? argv[2] : NULL, 5) * 1000 * MS;
	const char *end = argc > 1 ? parse_ip(argv[1], &peer) : NULL;
	struct unix_sysinfo before, after;
	bool good, same;
	unsigned int i;

	if (!end || *end) {
		dprintf(2, "netsoak: say \"netsoak A.B.C.D [SECONDS]\"\n");
		return 2;
	}
	/* Once for warming up: rings are full of buffers, and pools have what they need. */
	good = load(WARM_NS, done);
	sleep_ns(REST_NS);
	sysinfo(&before);
	show_and_wait("before", &before);
	printf("netsoak: begins\n");
	memset(done, 0, sizeof(done));
	good = load(ns, done) && good;
	printf("netsoak: rests\n");
	sleep_ns(REST_NS);
	count_settled(&after, &before);
	for (i = 0; i < COUNT(kinds); i++) {
		printf("netsoak: %lu KiB %s, %lu connections\n",
		       (unsigned long)done[i].bytes / 1024, kinds[i].name,
		       (unsigned long)done[i].connections);
		good = good && done[i].bytes;
	}
	show_and_wait("after", &after);
	same = count_is_same(&before, &after);
	printf("netsoak: %s\n", !good  ? "some of it never got through"
	                        : same ? "nothing is left behind"
	                               : "DIFFERENT");
	return good && same ? 0 : 1;
}
