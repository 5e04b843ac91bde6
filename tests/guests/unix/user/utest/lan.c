/* SPDX-License-Identifier: MIT */
/*
 * The network interface, with a peer at the gateway's address that sends back what comes to its port 7
 * (tests/tools/real-xen/netcheck.c), and then asks the same of us. Only run when it is named.
 */
#include "tests/guests/unix/user/utest/test.h"

#define ECHO     7
#define BYTES    500000u
#define PATIENCE (20000 * MS)

static struct unix_addr peer(void)
{
	struct unix_addr a = { .port = ECHO };
	struct unix_netinfo n;

	CHECK_EQ(netinfo(&n), 0);
	if (!n.name[0])
		skip("there is no network interface");
	if (!n.addr.gateway)
		skip("net ADDRESS via PEER has not been said");
	a.ip = n.addr.gateway;
	return a;
}

static uint8_t pattern(unsigned int i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void pings_the_peer(void)
{
	struct unix_addr to = peer();
	unsigned int len;

	CHECK(ping(&to, 56, PATIENCE) >= 0);
	for (len = 0; len <= 1472; len += 368)
		CHECK(ping(&to, len, PATIENCE) >= 0);
}

static void on_alarm(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	(void)frame;
}

/* One may be lost; five are not. */
static bool comes_back(int fd, const struct unix_addr *to, const uint8_t *data, long len)
{
	static uint8_t back[2048];
	int i;

	for (i = 0; i < 5; i++) {
		CHECK_EQ(sendto(fd, data, (size_t)len, to), len);
		alarm_ns(2000 * MS);
		if (read(fd, back, sizeof(back)) == len && !memcmp(back, data, (size_t)len))
			return true;
	}
	return false;
}

static void datagrams(void)
{
	struct unix_addr to = peer();
	int fd = socket(SOCK_DGRAM);
	static uint8_t data[1472];
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	sigaction(SIGALRM, on_alarm);
	for (i = 1; i < sizeof(data); i *= 2)
		CHECK(comes_back(fd, &to, data, i));
	CHECK(comes_back(fd, &to, data, sizeof(data)));
	CHECK_EQ(sendto(fd, data, sizeof(data) + 1, &to), -EMSGSIZE);
	alarm_ns(LIMIT_NS);
}

static int stream_fd;

static void write_stream(void)
{
	uint8_t buf[3000];
	unsigned int n = 0, i;

	while (n < BYTES) {
		for (i = 0; i < sizeof(buf) && n < BYTES; i++, n++)
			buf[i] = pattern(n);
		CHECK_EQ(write_all(stream_fd, buf, i), 0);
	}
	CHECK_EQ(shutdown(stream_fd), 0);
}

/* There and back again at the same time. */
static void stream(void)
{
	unsigned int n = 0;
	uint8_t buf[4096];
	long got, i;
	int pid;

	stream_fd = connect_to(peer().ip, ECHO);
	CHECK(stream_fd >= 0);
	pid = child(write_stream);
	while ((got = read(stream_fd, buf, sizeof(buf))) > 0)
		for (i = 0; i < got; i++, n++)
			CHECK_EQ(buf[i], pattern(n));
	CHECK_EQ(got, 0);
	CHECK_EQ(n, BYTES);
	child_ends(pid, 0);
}

static int listener;

static void echo_one_stream(void)
{
	int fd = accept(listener, NULL);

	CHECK(fd >= 0);
	CHECK_EQ(copy_all(fd, fd), 0);
}

/* The peer's turn: a stream, datagrams, and "stop" at the end. */
static void serves_the_peer(void)
{
	struct unix_addr from = { .port = ECHO };
	int fd = socket(SOCK_DGRAM), pid;
	static char buf[2048];
	long n;

	peer();
	CHECK_EQ(bind(fd, &from), 0);
	listener = listen_at(ECHO);
	CHECK(listener >= 0);
	pid = child(echo_one_stream);
	do {
		n = recvfrom(fd, buf, sizeof(buf), &from);
		CHECK(n >= 0);
		CHECK_EQ(sendto(fd, buf, (size_t)n, &from), n);
	} while (n != 4 || memcmp(buf, "stop", 4));
	child_ends(pid, 0);
	sleep_ns(200 * MS); /* for the last answer to leave */
}

static const struct claim claims[] = {
	{ "ping", pings_the_peer },
	{ "datagrams", datagrams },
	{ "stream", stream },
	{ "serves-the-peer", serves_the_peer },
};

FAMILY(lan, claims);
