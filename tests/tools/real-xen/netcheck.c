/* SPDX-License-Identifier: MIT */
/*
 * netcheck GUEST SECONDS: the host's half of utest's family "lan". It runs in the dom0 of real Xen, and
 * beside our hypervisor with a TAP device.
 *
 * Port 7 sends back what comes, by UDP and TCP. When the guest has opened its own port 7 the same is
 * asked of it, and a ping; a line for each claim, as the guest's: PASS name, or FAIL name: why. Then it is
 * told "stop". For so long at most.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT      7
#define STREAM    500000u
#define TRIES     5
#define ANSWER_MS 1000

static struct sockaddr_in guest = { .sin_family = AF_INET };
static uint8_t out[STREAM], in[65536];

static struct sockaddr_in any(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT) };
}

static int open_socket(int type, int protocol)
{
	const struct timeval limit = { .tv_sec = ANSWER_MS / 1000,
		                       .tv_usec = ANSWER_MS % 1000 * 1000 };
	int fd = socket(AF_INET, type, protocol);

	if (fd < 0) {
		perror("netcheck: socket");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* of connect(), too */
	return fd;
}

static void claim(const char *name, bool holds, const char *why)
{
	printf(holds ? "PASS %s\n" : "FAIL %s: %s\n", name, why);
	fflush(stdout);
}

/* ---- what the guest asks of us ---- */

static void serve_datagrams(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = any(), from;
	ssize_t n;

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		exit(1);
	for (;;) {
		socklen_t len = sizeof(from);

		n = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len);
		if (n >= 0)
			sendto(fd, in, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static void serve_streams(void)
{
	int l = socket(AF_INET, SOCK_STREAM, 0), yes = 1, fd;
	struct sockaddr_in a = any();
	ssize_t n;

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 4))
		exit(1);
	while ((fd = accept(l, NULL, NULL)) >= 0) {
		do {
			n = recv(fd, in, sizeof(in), 0);
		} while (n > 0 && write_all(fd, in, (size_t)n));
		close(fd);
	}
}

/* ---- what we ask of the guest ---- */

static bool is_echoed(int fd, const void *data, size_t len)
{
	for (int i = 0; i < TRIES; i++) {
		ssize_t n;

		sendto(fd, data, len, 0, (struct sockaddr *)&guest, sizeof(guest));
		n = recv(fd, in, sizeof(in), 0);
		if (n == (ssize_t)len && !memcmp(in, data, len))
			return true;
	}
	return false;
}

static void check_datagrams(void)
{
	int fd = open_socket(SOCK_DGRAM, 0);
	bool good = true;

	for (size_t len = 1; len <= 1472 && good;
	     len = len * 2 < 1472 || len == 1472 ? len * 2 : 1472)
		good = is_echoed(fd, out, len);
	claim("host/datagrams", good, "they do not come back as they went");
	close(fd);
}

static uint16_t sum(const uint8_t *p, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void check_ping(void)
{
	uint8_t echo[64] = { ICMP_ECHO, 0, 0, 0, 'p', 'v' };
	int fd = open_socket(SOCK_RAW, IPPROTO_ICMP);
	struct sockaddr_in to = guest;
	bool good = false;
	uint16_t s;

	to.sin_port = 0;
	memcpy(echo + 8, out, sizeof(echo) - 8);
	s = htons(sum(echo, sizeof(echo)));
	memcpy(echo + 2, &s, 2);
	for (int i = 0; i < TRIES && !good; i++) {
		sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to));
		/* Behind the IP header; others' answers may come first. */
		for (int k = 0; k < 10 && !good; k++)
			good = recv(fd, in, sizeof(in), 0) == 20 + (ssize_t)sizeof(echo) &&
			       in[20] == ICMP_ECHOREPLY &&
			       !memcmp(in + 28, echo + 8, sizeof(echo) - 8);
	}
	claim("host/ping", good, "no answer");
	close(fd);
}

/*
 * -1: it does not come. The guest serves one connection: so one that has begun is waited for, not given up
 * for another, however late the answer.
 */
static int connect_to_guest(int seconds)
{
	int fd = open_socket(SOCK_STREAM, 0);
	time_t end = time(NULL) + seconds;

	while (connect(fd, (struct sockaddr *)&guest, sizeof(guest)) && errno != EISCONN) {
		if (time(NULL) >= end) {
			close(fd);
			return -1;
		}
		if (errno == EINPROGRESS || errno == EALREADY || errno == EAGAIN)
			continue; /* it goes on, and connect() waits for it again */
		close(fd);
		sleep(1);
		fd = open_socket(SOCK_STREAM, 0);
	}
	return fd;
}

static void check_stream(int fd)
{
	const struct timeval limit = { .tv_sec = 30 };
	size_t got = 0;
	bool good = true;
	ssize_t n;
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	pid = fork();
	if (!pid) {
		good = write_all(fd, out, sizeof(out));
		shutdown(fd, SHUT_WR);
		_exit(!good);
	}
	while (good && (n = recv(fd, in, sizeof(in), 0)) > 0) {
		good = got + (size_t)n <= sizeof(out) && !memcmp(in, out + got, (size_t)n);
		got += (size_t)n;
	}
	claim("host/stream", good && got == sizeof(out), "it does not come back as it went");
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(1);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int seconds = argc == 3 ? atoi(argv[2]) : 0, fd, datagrams;
	pid_t server[2];

	if (seconds < 1 || inet_pton(AF_INET, argv[1], &guest.sin_addr) != 1) {
		fprintf(stderr, "usage: netcheck GUEST SECONDS\n");
		return 2;
	}
	guest.sin_port = htons(PORT);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	server[0] = start(serve_datagrams);
	server[1] = start(serve_streams);
	fd = connect_to_guest(seconds);
	if (fd >= 0) {
		check_stream(fd);
		check_datagrams();
		check_ping();
		datagrams = open_socket(SOCK_DGRAM, 0);
		claim("host/stop", is_echoed(datagrams, "stop", 4), "it does not hear");
	}
	for (int i = 0; i < 2; i++) {
		kill(server[i], SIGKILL);
		waitpid(server[i], NULL, 0);
	}
	return fd < 0;
}
