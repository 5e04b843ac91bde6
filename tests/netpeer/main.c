/* SPDX-License-Identifier: MIT */
/*
 * netpeer: who sits at the other end of a guest's --vif unix:PATH when nobody else does.
 *
 *   netpeer PATH ADDRESS forward GUEST PORT   listens at a free port of the loopback, which it prints, and
 *                                             carries one connection after the other to the guest's port
 *   netpeer PATH ADDRESS serve GUEST          UDP to port 7 comes back; TCP to port 9 is thrown away, from
 *                                             port 19 comes data; and datagrams go to the guest's port 9
 *   netpeer PATH mute                         lets a stream's end connect, and never reads
 *   netpeer PATH mute-dgram                   is there for datagrams, and never reads
 *
 * The first two end when the guest hangs up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/errno.h"
#include "tests/netpeer/hostnet.h"

#define MASK     NET_IP(255, 255, 255, 0)
#define SECOND   UINT64_C(1000000000)
#define NO_WAIT  1
#define PIECE    (64 * 1024)
#define MAX_CONN 8
#define BURST    16 /* datagrams at a time */
#define GREET_NS (20 * SECOND)

static uint8_t buffer[PIECE];

static int fail(const char *what)
{
	fprintf(stderr, "netpeer: %s: %s\n", what, strerror(errno));
	return 1;
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1 ? ntohl(a.s_addr) : 0;
}

/* A socket at a path, for a stream's end to connect or for datagrams. Its descriptor, or -1. */
static int listen_on_path(const char *path, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int l = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (l < 0 || strlen(path) >= sizeof(a.sun_path))
		return -1;
	strcpy(a.sun_path, path);
	unlink(path); /* of one that was killed */
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(l, 1))) {
		close(l);
		return -1;
	}
	return l;
}

/* Waits for the guest's end. Its descriptor, or -1. */
static int await_guest(const char *path)
{
	int l = listen_on_path(path, SOCK_STREAM), fd;

	if (l < 0)
		return -1;
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	close(l);
	return fd;
}

/* ---- forward ---- */

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

/* Both ways until the guest has ended its side, or somebody is gone. */
static void carry(int client, struct net_tcp *t)
{
	bool is_open = true;
	long n = 1;

	while (n && hostnet_step(is_open ? client : -1, 10)) {
		ssize_t got = is_open ? recv(client, buffer, sizeof(buffer), MSG_DONTWAIT) : -1;

		if (got > 0 && net_tcp_write(t, buffer, (size_t)got, 10 * SECOND) != got)
			break;
		if (!got) {
			net_tcp_shutdown(t);
			is_open = false;
		}
		n = net_tcp_read(t, buffer, sizeof(buffer), NO_WAIT);
		if (n > 0 && !write_all(client, buffer, (size_t)n))
			break;
		if (n < 0 && n != -XEN_ETIMEDOUT)
			break;
	}
}

static int forward(struct net *net, int l, uint32_t guest, uint16_t port)
{
	while (hostnet_step(l, 1000)) {
		int client = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		struct net_tcp *t;

		if (client < 0)
			continue;
		if (!net_tcp_connect(net, guest, port, 10 * SECOND, &t)) {
			carry(client, t);
			net_tcp_close(t);
		}
		close(client);
	}
	return 0;
}

/* A port of the loopback that is free; it is told to whoever started this. */
static int listen_on_loopback(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 8) ||
	    getsockname(l, (struct sockaddr *)&a, &len))
		return -1;
	printf("port %u\n", ntohs(a.sin_port));
	fflush(stdout);
	return l;
}

/* ---- serve ---- */

static struct {
	struct net_tcp *t;
	bool is_source;
} conn[MAX_CONN];

static void accept_from(struct net_tcp *listener, bool is_source)
{
	for (unsigned i = 0; i < MAX_CONN; i++) {
		if (conn[i].t)
			continue;
		conn[i].is_source = is_source;
		if (net_tcp_accept(listener, NO_WAIT, &conn[i].t))
			conn[i].t = NULL;
		return;
	}
}

static void serve_streams(void)
{
	for (unsigned i = 0; i < MAX_CONN; i++) {
		long n;

		if (!conn[i].t)
			continue;
		n = conn[i].is_source ? net_tcp_write(conn[i].t, buffer, sizeof(buffer), NO_WAIT)
		                      : net_tcp_read(conn[i].t, buffer, sizeof(buffer), NO_WAIT);
		if (n > 0 || n == -XEN_ETIMEDOUT)
			continue;
		net_tcp_close(conn[i].t);
		conn[i].t = NULL;
	}
}

static int serve(struct net *net, uint32_t guest)
{
	struct net_tcp *discard, *source;
	struct net_udp *echo;
	uint64_t rtt;

	if (net_tcp_listen(net, 9, &discard) || net_tcp_listen(net, 19, &source) ||
	    net_udp_open(net, 7, &echo))
		return fail("ports");
	net_ping(net, guest, 8, GREET_NS, &rtt); /* its address is known then, or it is not there */
	while (hostnet_step(-1, 10)) {
		uint32_t ip;
		uint16_t port;
		long n;

		accept_from(discard, false);
		accept_from(source, true);
		serve_streams();
		while ((n = net_udp_receive(echo, buffer, 1472, &ip, &port, NO_WAIT)) >= 0)
			net_udp_send(echo, ip, port, buffer, (size_t)n);
		for (unsigned i = 0; i < BURST && !net_udp_send(echo, guest, 9, buffer, 1000); i++)
			;
	}
	return 0;
}

/* ---- mute ---- */

static int be_mute(const char *path, int type)
{
	int fd = listen_on_path(path, type);

	if (fd < 0)
		return fail(path);
	for (;;)
		pause();
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: netpeer PATH ADDRESS forward GUEST PORT | netpeer PATH ADDRESS serve "
	        "GUEST | netpeer PATH mute|mute-dgram\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool forwards = argc == 6 && !strcmp(argv[3], "forward");
	uint32_t ip = argc > 4 ? address(argv[2]) : 0, guest = argc > 4 ? address(argv[4]) : 0;
	struct net *net;
	int fd, l = -1;

	if (argc == 3 && !strncmp(argv[2], "mute", 4))
		return be_mute(argv[1], strcmp(argv[2], "mute") ? SOCK_DGRAM : SOCK_STREAM);
	if (!ip || !guest || (!forwards && (argc != 5 || strcmp(argv[3], "serve"))))
		return usage();
	if (forwards && (l = listen_on_loopback()) < 0)
		return fail("no port of the loopback");
	fd = await_guest(argv[1]);
	if (fd < 0)
		return fail(argv[1]);
	net = hostnet_open(fd, ip, MASK);
	if (!net)
		return fail("memory");
	return forwards ? forward(net, l, guest, (uint16_t)atoi(argv[5])) : serve(net, guest);
}
