/* SPDX-License-Identifier: MIT */
/*
 * See net_native.h.
 */
#include "tests/bench/net_native.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/spawn.h"

#define PAYLOAD 22 /* 64 bytes on the wire: 14 of Ethernet, 28 of IP and UDP, and these */
#define BATCH   32
#define PIECE   (64 * 1024)
#define SAMPLES 100000

static char piece[PIECE];

static struct sockaddr_in address(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		                     .sin_port = htons(port),
		                     .sin_addr.s_addr = htonl(ip) };
}

/* type: SOCK_DGRAM, SOCK_STREAM. A limit for every wait; -1: it cannot be. */
static int open_socket(int type, bool listens, uint32_t ip, uint16_t port)
{
	const struct timeval limit = { .tv_sec = 1 };
	struct sockaddr_in a = address(ip, port);
	int s = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, rc;

	if (s < 0)
		return -1;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!listens) {
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	rc = listens ? bind(s, (struct sockaddr *)&a, sizeof(a))
	             : connect(s, (struct sockaddr *)&a, sizeof(a));
	if (!rc && listens && type == SOCK_STREAM)
		rc = listen(s, 8);
	if (rc) {
		close(s);
		return -1;
	}
	return s;
}

/* ---- services --------------------------------------------------------------------------------- */

static struct net_counts *counts; /* of this process */

static void count(uint64_t *what, uint64_t by)
{
	__atomic_store_n(what, *what + by, __ATOMIC_RELAXED);
}

static void *echo_main(void *arg)
{
	int s = open_socket(SOCK_DGRAM, true, INADDR_ANY, 7);
	struct sockaddr_in from;
	char data[2048];

	(void)arg;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(s, data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		if (n < 0 || sendto(s, data, (size_t)n, 0, (struct sockaddr *)&from, len) < 0)
			continue;
	}
	return NULL;
}

static void *sink_main(void *arg)
{
	int s = open_socket(SOCK_DGRAM, true, INADDR_ANY, 9);
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	char data[BATCH][64];

	(void)arg;
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (;;) {
		int n = recvmmsg(s, msg, BATCH, MSG_WAITFORONE, NULL);

		if (n > 0)
			count(&counts->udp_packets, (uint64_t)n);
	}
	return NULL;
}

static void *discard_main(void *arg)
{
	static char data[4 * PIECE];
	int s = open_socket(SOCK_STREAM, true, INADDR_ANY, 9);

	(void)arg;
	for (;;) {
		int c = accept(s, NULL, NULL);
		ssize_t n;

		while (c >= 0 && (n = recv(c, data, sizeof(data), 0)) > 0)
			count(&counts->tcp_bytes, (uint64_t)n);
		close(c);
	}
	return NULL;
}

static void *source_main(void *arg)
{
	int s = open_socket(SOCK_STREAM, true, INADDR_ANY, 19);

	(void)arg;
	for (;;) {
		int c = accept(s, NULL, NULL);

		while (c >= 0 && send(c, piece, sizeof(piece), MSG_NOSIGNAL) > 0)
			;
		close(c);
	}
	return NULL;
}

static void serve(int go, const char *apart)
{
	void *(*const mains[])(void *) = { echo_main, sink_main, discard_main, source_main };
	char c;
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!read(go, &c, 1);
	if (apart && system(apart))
		_exit(2);
	for (size_t i = 0; i < sizeof(mains) / sizeof(mains[0]); i++) {
		if (pthread_create(&t, NULL, mains[i], NULL))
			_exit(2);
	}
	__atomic_store_n(&counts->ready, 2, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static bool until_ready(const struct net_services *s, uint32_t ready)
{
	double end = bench_now() + 5;

	while (__atomic_load_n(&s->counts->ready, __ATOMIC_ACQUIRE) < ready && bench_now() < end)
		usleep(1000);
	return __atomic_load_n(&s->counts->ready, __ATOMIC_ACQUIRE) >= ready;
}

bool net_services_start(struct net_services *s, const char *apart)
{
	int p[2];

	s->counts = mmap(NULL, sizeof(*s->counts), PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->counts == MAP_FAILED || pipe(p))
		return false;
	s->pid = fork();
	if (!s->pid) {
		close(p[1]);
		counts = s->counts;
		if (apart && unshare(CLONE_NEWNET))
			_exit(2);
		__atomic_store_n(&counts->ready, 1, __ATOMIC_RELEASE);
		serve(p[0], apart);
	}
	close(p[0]);
	s->go = p[1];
	return s->pid > 0 && until_ready(s, 1);
}

bool net_services_go(struct net_services *s)
{
	bool ready;

	close(s->go);
	ready = until_ready(s, 2);
	usleep(20000); /* its threads are at their sockets */
	return ready;
}

void net_services_end(struct net_services *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* ---- loads ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct net_rtt net_rtt_of(double *samples, size_t n)
{
	struct net_rtt r = { 0 };

	if (!n)
		return r;
	qsort(samples, n, sizeof(samples[0]), compare);
	r.min_ns = samples[0];
	r.median_ns = samples[n / 2];
	return r;
}

/* Round trips on a connected socket, whose other end echoes. */
static struct net_rtt round_trips(int s, unsigned ms)
{
	static double sample[SAMPLES];
	double end = bench_now() + ms / 1000.0;
	char data[64] = { 0 };
	size_t n = 0;

	while (n < SAMPLES && bench_now() < end) {
		double start = bench_now();

		if (send(s, data, 32, 0) != 32)
			break;
		if (recv(s, data, sizeof(data), 0) == 32)
			sample[n++] = (bench_now() - start) * 1e9;
	}
	return net_rtt_of(sample, n);
}

struct net_rtt net_native_rtt(uint32_t ip, unsigned ms)
{
	int s = open_socket(SOCK_DGRAM, false, ip, 7);
	struct net_rtt r = { 0 };

	if (s < 0)
		return r;
	r = round_trips(s, ms);
	close(s);
	return r;
}

static double send_packets(int s, unsigned ms)
{
	double start = bench_now(), end = start + ms / 1000.0;
	struct iovec iov = { piece, PAYLOAD };
	struct mmsghdr msg[BATCH] = { 0 };
	uint64_t n = 0;

	for (int i = 0; i < BATCH; i++)
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	while (bench_now() < end) {
		int sent = sendmmsg(s, msg, BATCH, 0);

		n += sent > 0 ? (uint64_t)sent : 0;
	}
	return (double)n / (bench_now() - start);
}

double net_native_flood(uint32_t ip, unsigned ms)
{
	int s = open_socket(SOCK_DGRAM, false, ip, 9);
	double rate;

	if (s < 0)
		return 0;
	rate = send_packets(s, ms);
	close(s);
	return rate;
}

static double send_stream(int s, unsigned ms)
{
	double start = bench_now(), end = start + ms / 1000.0;
	uint64_t bytes = 0;
	ssize_t n = 1;

	while (n > 0 && bench_now() < end) {
		n = send(s, piece, sizeof(piece), MSG_NOSIGNAL);
		bytes += n > 0 ? (uint64_t)n : 0;
	}
	return (double)bytes / (bench_now() - start);
}

static double receive_stream(int s, unsigned ms)
{
	static char data[4 * PIECE];
	double start = bench_now(), end = start + ms / 1000.0;
	uint64_t bytes = 0;
	ssize_t n = 1;

	while (n > 0 && bench_now() < end) {
		n = recv(s, data, sizeof(data), 0);
		bytes += n > 0 ? (uint64_t)n : 0;
	}
	return (double)bytes / (bench_now() - start);
}

double net_native_stream(uint32_t ip, bool out, unsigned ms)
{
	int s = open_socket(SOCK_STREAM, false, ip, out ? 9 : 19);
	double rate;

	if (s < 0)
		return 0;
	rate = out ? send_stream(s, ms) : receive_stream(s, ms);
	close(s);
	return rate;
}

/* ---- a socket pair ---------------------------------------------------------------------------- */

/* The other end echoes, or reads and throws away. */
static int start_pair(int type, bool echoes, pid_t *pid)
{
	static char data[4 * PIECE];
	int s[2];

	if (socketpair(AF_UNIX, type, 0, s))
		return -1;
	*pid = fork();
	if (!*pid) {
		ssize_t n;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(s[0]);
		while ((n = recv(s[1], data, sizeof(data), 0)) > 0) {
			if (echoes && send(s[1], data, (size_t)n, MSG_NOSIGNAL) < 0)
				break;
		}
		_exit(0);
	}
	close(s[1]);
	return s[0];
}

static void end_pair(int s, pid_t pid)
{
	close(s);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct net_rtt net_pair_rtt(unsigned ms)
{
	struct net_rtt r = { 0 };
	pid_t pid;
	int s = start_pair(SOCK_DGRAM, true, &pid);

	if (s < 0)
		return r;
	r = round_trips(s, ms);
	end_pair(s, pid);
	return r;
}

static double pair_rate(int type, double (*load)(int s, unsigned ms), unsigned ms)
{
	pid_t pid;
	int s = start_pair(type, false, &pid);
	double rate;

	if (s < 0)
		return 0;
	rate = load(s, ms);
	end_pair(s, pid);
	return rate;
}

double net_pair_packets(unsigned ms)
{
	return pair_rate(SOCK_DGRAM, send_packets, ms);
}

double net_pair_stream(unsigned ms)
{
	return pair_rate(SOCK_STREAM, send_stream, ms);
}
