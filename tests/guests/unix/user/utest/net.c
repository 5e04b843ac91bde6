/* SPDX-License-Identifier: MIT */
/* Sockets, over the loop: no interface is needed. */
#include "tests/guests/unix/user/utest/test.h"

#define LOOP  0x7f000001u
#define BYTES 300000u

static struct unix_addr at_port(uint16_t port)
{
	return (struct unix_addr){ .ip = LOOP, .port = port };
}

static uint8_t pattern(unsigned int i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void datagrams_find_their_way_back(void)
{
	struct unix_addr to = at_port(2000), from, mine;
	int a = socket(SOCK_DGRAM), b = socket(SOCK_DGRAM);
	char buf[64];

	CHECK_EQ(bind(b, &to), 0);
	CHECK_EQ(sendto(a, "there", 5, &to), 5);
	CHECK_EQ(recvfrom(b, buf, sizeof(buf), &from), 5);
	CHECK(!memcmp(buf, "there", 5));
	CHECK_EQ(from.ip, LOOP);
	CHECK_EQ(sockname(a, &mine), 0);
	CHECK_EQ(from.port, mine.port);
	CHECK_EQ(sendto(b, "and back", 8, &from), 8);
	/* What does not fit is cut off; the next one is whole. */
	CHECK_EQ(sendto(b, "again", 5, &from), 5);
	CHECK_EQ(read(a, buf, 3), 3);
	CHECK_EQ(read(a, buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "again", 5));
	/* One that is connected needs no address. */
	CHECK_EQ(connect(a, &to), 0);
	CHECK_EQ(write(a, "short", 5), 5);
	CHECK_EQ(read(b, buf, sizeof(buf)), 5);
}

static void send_pattern(void)
{
	struct unix_addr to = at_port(2001);
	int fd = socket(SOCK_STREAM);
	uint8_t buf[999];
	unsigned int n = 0, i;

	CHECK_EQ(connect(fd, &to), 0);
	while (n < BYTES) {
		for (i = 0; i < sizeof(buf) && n < BYTES; i++, n++)
			buf[i] = pattern(n);
		CHECK_EQ(write(fd, buf, i), i);
	}
	CHECK_EQ(shutdown(fd), 0);
	/* The other way is still open. */
	CHECK_EQ(read(fd, buf, sizeof(buf)), 4);
	CHECK(!memcmp(buf, "done", 4));
	CHECK_EQ(read(fd, buf, sizeof(buf)), 0);
}

static void a_stream_arrives_in_order(void)
{
	int l = listen_at(2001), fd, pid;
	unsigned int n = 0;
	struct unix_addr who;
	uint8_t buf[777];
	long got, i;

	CHECK(l >= 0);
	pid = child(send_pattern);
	fd = accept(l, &who);
	CHECK(fd >= 0);
	CHECK_EQ(who.ip, LOOP);
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		for (i = 0; i < got; i++, n++)
			CHECK_EQ(buf[i], pattern(n));
	CHECK_EQ(got, 0);
	CHECK_EQ(n, BYTES);
	CHECK_EQ(write(fd, "done", 4), 4);
	close(fd);
	child_ends(pid, 0);
}

static void read_some(void)
{
	struct unix_addr to = at_port(2002);
	int fd = socket(SOCK_STREAM);
	char c[4];

	CHECK_EQ(connect(fd, &to), 0);
	CHECK_EQ(read(fd, c, sizeof(c)), 4);
}

/* Several at once, all answered by one listener. */
static void many_clients(void)
{
	int l = listen_at(2002), pid[5], fd;
	unsigned int i;

	CHECK(l >= 0);
	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(read_some);
	for (i = 0; i < COUNT(pid); i++) {
		fd = accept(l, NULL);
		CHECK(fd >= 0);
		CHECK_EQ(write(fd, "some", 4), 4);
		close(fd);
	}
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

static void nobody_is_there(void)
{
	CHECK_EQ(connect_to(LOOP, 2003), -ECONNREFUSED);
}

static void ports_are_taken_once(void)
{
	struct unix_addr a = at_port(2004);
	int l = listen_at(2004), u = socket(SOCK_DGRAM), u2 = socket(SOCK_DGRAM), l2;

	CHECK(l >= 0);
	CHECK_EQ(listen_at(2004), -EADDRINUSE);
	/* Datagrams have ports of their own. */
	CHECK_EQ(bind(u, &a), 0);
	CHECK_EQ(bind(u2, &a), -EADDRINUSE);
	close(l);
	close(u);
	CHECK_EQ(bind(u2, &a), 0);
	l2 = listen_at(2004);
	CHECK(l2 >= 0);
}

static void wrong_uses_are_refused(void)
{
	struct unix_addr a = at_port(2005), none = at_port(0);
	int s = socket(SOCK_STREAM), u = socket(SOCK_DGRAM);
	char c[8];

	CHECK_EQ(socket(3), -EINVAL);
	CHECK_EQ(connect(1, &a), -ENOTSOCK);
	CHECK_EQ(connect(15, &a), -EBADF);
	CHECK_EQ(listen(s), -EINVAL);
	CHECK_EQ(accept(s, NULL), -EINVAL);
	CHECK_EQ(read(s, c, 1), -ENOTCONN);
	CHECK_EQ(write(s, c, 1), -ENOTCONN);
	CHECK_EQ(shutdown(s), -ENOTCONN);
	CHECK_EQ(connect(s, &none), -EINVAL);
	CHECK_EQ(listen(u), -EOPNOTSUPP);
	CHECK_EQ(write(u, c, 1), -EDESTADDRREQ);
	CHECK_EQ(sendto(u, c, 1 << 20, &a), -EMSGSIZE);
	CHECK_EQ(bind(s, &a), 0);
	CHECK_EQ(bind(s, &a), -EINVAL);
	CHECK_EQ(connect(s, &a), -EOPNOTSUPP);
}

/* Addresses that are none, or the kernel's: an error, and nothing else. */
static void bad_pointers(void)
{
	static const unsigned long bad[] = { 8, 0x20000000000ul, 0xffff800000000000ul, -8ul };
	struct unix_addr a = at_port(2006);
	int u = socket(SOCK_DGRAM), s = socket(SOCK_STREAM);
	unsigned int i;

	CHECK_EQ(bind(u, &a), 0);
	for (i = 0; i < COUNT(bad); i++) {
		void *p = (void *)bad[i];

		CHECK_EQ(bind(s, p), -EFAULT);
		CHECK_EQ(connect(s, p), -EFAULT);
		CHECK_EQ(sendto(u, p, 8, &a), -EFAULT);
		CHECK_EQ(sendto(u, "x", 1, p), -EFAULT);
		CHECK_EQ(recvfrom(u, p, ~0ul, NULL), -EFAULT);
		CHECK_EQ(sockname(u, p), -EFAULT);
		CHECK_EQ(netinfo(p), -EFAULT);
		CHECK_EQ(netconfig(p), -EFAULT);
		CHECK_EQ(ping(p, 8, 1000), -EFAULT);
		CHECK_EQ(sendto(u, "x", 1, &a), 1);
		CHECK_EQ(recvfrom(u, p, 8, NULL), -EFAULT);
	}
}

static volatile int heard;

static void on_alarm(int sig, struct unix_sigframe *frame)
{
	(void)frame;
	heard = sig;
}

/* Who waits for a packet, or for a connection, is reached by a signal. */
static void signals_end_a_wait(void)
{
	struct unix_addr a = at_port(2007);
	int u = socket(SOCK_DGRAM), l = listen_at(2007);
	char c;

	CHECK_EQ(bind(u, &a), 0);
	sigaction(SIGALRM, on_alarm);
	alarm_ns(20 * MS);
	CHECK_EQ(read(u, &c, 1), -EINTR);
	CHECK_EQ(heard, SIGALRM);
	alarm_ns(20 * MS);
	CHECK_EQ(accept(l, NULL), -EINTR);
	alarm_ns(LIMIT_NS);
}

static void close_at_once(void)
{
	close(connect_to(LOOP, 2008));
}

/* Writing to one who has gone: a signal, as with a pipe. */
static void a_peer_that_has_gone(void)
{
	int l = listen_at(2008), fd, pid = child(close_at_once);
	static char buf[4096];
	long rc;

	sigaction(SIGPIPE, on_alarm);
	fd = accept(l, NULL);
	CHECK_EQ(read(fd, buf, 1), 0);
	child_ends(pid, 0);
	do {
		rc = write(fd, buf, sizeof(buf));
	} while (rc > 0);
	CHECK_EQ(rc, -EPIPE);
	CHECK_EQ(heard, SIGPIPE);
}

static int shared;

static void read_one(void)
{
	char c;

	CHECK_EQ(read(shared, &c, 1), 1);
}

/* A socket that several processes read from: each datagram comes once. */
static void readers_share(void)
{
	struct unix_addr a = at_port(2009);
	int s = socket(SOCK_DGRAM), pid[3];
	unsigned int i;

	shared = socket(SOCK_DGRAM);
	CHECK_EQ(bind(shared, &a), 0);
	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(read_one);
	sleep_ns(20 * MS);
	for (i = 0; i < COUNT(pid); i++)
		CHECK_EQ(sendto(s, "x", 1, &a), 1);
	for (i = 0; i < COUNT(pid); i++)
		child_ends(pid[i], 0);
}

static void pings_itself(void)
{
	struct unix_addr a = at_port(0);

	CHECK(ping(&a, 56, 1000 * MS) >= 0);
	CHECK_EQ(ping(&a, 1 << 20, 1000 * MS), -EMSGSIZE);
}

static void use_many(void)
{
	int l = listen_at(2010), fd, i;
	char c = 'x';

	for (i = 0; i < 5; i++) {
		int pid = fork();

		if (!pid) {
			fd = connect_to(LOOP, 2010);
			exit(fd < 0 || write(fd, &c, 1) != 1);
		}
		fd = accept(l, NULL);
		CHECK_EQ(read(fd, &c, 1), 1);
		close(fd);
		child_ends(pid, 0);
	}
}

/* Connections are remembered for a second after their end; then all that they took is given back. */
static void nothing_is_left_behind(void)
{
	struct unix_sysinfo before, after;
	unsigned int i;

	child_ends(child(use_many), 0); /* what is made once is made */
	sleep_ns(1500 * MS);
	sysinfo(&before);
	child_ends(child(use_many), 0);
	for (i = 0; i < 30; i++) {
		sleep_ns(100 * MS);
		sysinfo(&after);
		if (after.frames_free >= before.frames_free)
			break;
	}
	CHECK_EQ(after.files, before.files);
	CHECK(after.frames_free >= before.frames_free);
}

static const struct claim claims[] = {
	{ "datagrams-find-their-way-back", datagrams_find_their_way_back },
	{ "a-stream-arrives-in-order", a_stream_arrives_in_order },
	{ "many-clients", many_clients },
	{ "nobody-is-there", nobody_is_there },
	{ "ports-are-taken-once", ports_are_taken_once },
	{ "wrong-uses-are-refused", wrong_uses_are_refused },
	{ "bad-pointers", bad_pointers },
	{ "signals-end-a-wait", signals_end_a_wait },
	{ "a-peer-that-has-gone", a_peer_that_has_gone },
	{ "readers-share", readers_share },
	{ "pings-itself", pings_itself },
	{ "nothing-is-left-behind", nothing_is_left_behind },
};

FAMILY(net, claims);
