/* SPDX-License-Identifier: MIT */
/*
 * The ports of network back-ends (backends/netport.h): the switch, sockets with honest, slow, lying
 * and vanishing peers, and the capture.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/netport_world.h"

Suite *netport_suite(void);

/* ---- the switch ---- */

static struct netlan *lan;
static struct guest g[4];

static void make_lan(bool isolated)
{
	ck_assert_int_eq(netlan_create(&lan, isolated), 0);
	memset(g, 0, sizeof(g));
	for (unsigned i = 0; i < 3; i++) {
		struct netport *port;

		ck_assert_int_eq(netlan_port(lan, &port), 0);
		join(&g[i], port, i);
	}
}

static void end_lan(void)
{
	for (unsigned i = 0; i < 3; i++)
		leave(&g[i]);
	netlan_destroy(lan);
}

START_TEST(a_switch_learns_where_everybody_is)
{
	make_lan(false);
	say(&g[0], g[1].mac, 100, 1); /* not known yet: to all but the sender */
	ck_assert_uint_eq(g[0].received, 0);
	ck_assert_uint_eq(g[1].received, 1);
	ck_assert_uint_eq(g[2].received, 1);
	say(&g[1], g[0].mac, 3000, 2); /* known */
	ck_assert_uint_eq(g[0].received, 1);
	ck_assert_uint_eq(g[0].last_len, 3000);
	ck_assert_uint_eq(g[0].last[2999], 2);
	ck_assert_uint_eq(g[2].received, 1);
	ck_assert_uint_eq(g[0].flushes, 1);
	say(&g[2], everybody, 60, 3);
	ck_assert_uint_eq(g[0].received, 2);
	ck_assert_uint_eq(g[1].received, 2);
	/* An address that moves is found at its new place. */
	memcpy(g[2].mac, g[0].mac, 6);
	say(&g[2], everybody, 60, 3);
	say(&g[1], g[0].mac, 60, 4);
	ck_assert_uint_eq(g[0].received, 3);
	ck_assert_uint_eq(g[2].received, 2);
	end_lan();
}
END_TEST

START_TEST(an_isolated_guest_sees_no_other)
{
	struct netport *out;
	int s[2];
	char c[2000];

	make_lan(true);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	ck_assert_int_eq(netport_open_dgram(&out, s[0], NULL, c, sizeof(c)), 0);
	ck_assert_int_eq(netlan_uplink(lan, out), 0);
	say(&g[0], everybody, 100, 1);
	say(&g[0], g[1].mac, 100, 1);
	ck_assert_uint_eq(g[1].received + g[2].received, 0);
	/* But all reach the outside, and it reaches them. */
	ck_assert_int_eq(recv(s[1], c, sizeof(c), 0), 100);
	ck_assert_int_eq(recv(s[1], c, sizeof(c), 0), 100);
	memcpy(c, g[0].mac, 6);
	memcpy(c + 6, "\x02\0\0\0\1", 6);
	ck_assert_int_eq(send(s[1], c, 77, 0), 77);
	until(&g[0], &g[0].received, 1);
	ck_assert_uint_eq(g[0].last_len, 77);
	ck_assert_uint_eq(g[1].received + g[2].received, 0);
	end_lan();
	close(s[1]);
}
END_TEST

START_TEST(who_has_no_buffers_loses_packets_and_stops_nobody)
{
	make_lan(false);
	g[1].room = 2;
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(say(&g[0], everybody, 100, 1), 1);
	ck_assert_uint_eq(g[1].received, 2);
	ck_assert_uint_eq(g[1].lost, 8);
	ck_assert_uint_eq(g[2].received, 10);
	end_lan();
}
END_TEST

START_TEST(a_guest_that_claims_every_address_takes_few_places)
{
	make_lan(false);
	for (unsigned i = 0; i < 5000; i++) {
		g[0].mac[3] = (uint8_t)(i >> 8);
		g[0].mac[4] = (uint8_t)i;
		say(&g[0], everybody, 60, 0);
	}
	/* Another one is still learned. */
	say(&g[1], everybody, 60, 0);
	g[2].received = 0;
	g[1].received = 0;
	say(&g[0], g[1].mac, 60, 0);
	ck_assert_uint_eq(g[1].received, 1);
	ck_assert_uint_eq(g[2].received, 0);
	end_lan();
}
END_TEST

START_TEST(a_guest_that_leaves_is_forgotten)
{
	struct netport *port;

	make_lan(false);
	say(&g[1], everybody, 60, 0);
	leave(&g[1]);
	g[2].received = 0;
	say(&g[0], g[1].mac, 60, 0); /* to all again */
	ck_assert_uint_eq(g[2].received, 1);
	ck_assert_int_eq(netlan_port(lan, &port), 0);
	memset(&g[1], 0, sizeof(g[1]));
	join(&g[1], port, 1);
	say(&g[0], g[1].mac, 60, 0);
	ck_assert_uint_eq(g[1].received, 1);
	end_lan();
}
END_TEST

/* ---- streams ---- */

static int peer;
static struct guest s;

static void make_stream(void)
{
	struct netport *port;
	char why[200];
	int fds[2];

	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer = fds[1];
	ck_assert_int_eq(netport_open_stream(&port, fds[0], NULL, why, sizeof(why)), 0);
	join(&s, port, 9);
}

static void end_stream(void)
{
	leave(&s);
	if (peer >= 0)
		close(peer);
}

static void read_all(int fd, uint8_t *to, size_t len)
{
	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		ck_assert_int_eq(poll(&p, 1, LIMIT_MS), 1);
		n = read(fd, to, len);
		ck_assert_int_gt(n, 0);
		to += n;
		len -= (size_t)n;
	}
}

START_TEST(frames_come_out_of_any_pieces)
{
	static const size_t pieces[] = { 1, 3, 5, 100, 20000 };
	uint8_t wire[20000];
	size_t len = 0;

	/* Ten packets of 60 to 1500 bytes, written in pieces that respect no border. */
	for (unsigned i = 0; i < 10; i++) {
		unsigned n = 60 + i * 160;

		wire[len++] = 0;
		wire[len++] = 0;
		wire[len++] = (uint8_t)(n >> 8);
		wire[len++] = (uint8_t)n;
		memset(wire + len, (int)i, n);
		len += n;
	}
	for (size_t at = 0; at < len;) {
		size_t n = pieces[_i] < len - at ? pieces[_i] : len - at;

		ck_assert_int_eq(write(peer, wire + at, n), (ssize_t)n);
		at += n;
	}
	until(&s, &s.received, 10);
	ck_assert_uint_eq(s.last_len, 60 + 9 * 160);
	ck_assert_uint_eq(s.last[1000], 9);
}
END_TEST

START_TEST(a_stream_carries_packets_of_any_length)
{
	static uint8_t frame[4 + 65535];
	const uint32_t lens[] = { 1515, 9014, 65535 };

	for (unsigned i = 0; i < 3; i++) {
		uint32_t len = lens[i];

		memset(frame, (int)i, sizeof(frame));
		memcpy(frame, (uint8_t[]){ 0, 0, (uint8_t)(len >> 8), (uint8_t)len }, 4);
		make_stream();
		ck_assert_int_eq(send(peer, frame, len + 4, 0), len + 4);
		until(&s, &s.received, 1);
		ck_assert_uint_eq(s.last_len, len);
		ck_assert_mem_eq(s.last, frame + 4, len);
		end_stream();
	}
}
END_TEST

START_TEST(packets_go_out_in_frames)
{
	uint8_t wire[4 + 1000];

	ck_assert_uint_eq(say(&s, everybody, 1000, 0x5a), 1);
	read_all(peer, wire, sizeof(wire));
	ck_assert_mem_eq(wire, "\0\0\x03\xe8", 4);
	ck_assert_uint_eq(wire[1003], 0x5a);
}
END_TEST

START_TEST(a_peer_that_does_not_read_holds_the_sender_back)
{
	unsigned sent = 0;

	while (say(&s, everybody, 60000, (uint8_t)sent)) {
		sent++;
		ck_assert_uint_lt(sent, 10000);
	}
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_eq(get(&s, &s.rooms), 0);
	/* It reads: everything that was taken comes, whole and in order; and there is room again. */
	for (unsigned i = 0; i < sent; i++) {
		static uint8_t wire[4 + 60000];

		read_all(peer, wire, sizeof(wire));
		ck_assert_mem_eq(wire, "\0\0\xea\x60", 4);
		ck_assert_uint_eq(wire[4 + 59999], i & 0xff);
	}
	until(&s, &s.rooms, 1);
	ck_assert_uint_eq(say(&s, everybody, 60, 0), 1);
}
END_TEST

START_TEST(a_peer_that_lies_about_lengths_is_cut_off)
{
	static const char *const lies[] = { "\0\0\0\0", "\xff\xff\xff\xff", "\0\1\0\x0f" };
	char c;

	ck_assert_int_eq(write(peer, lies[_i], 4), 4);
	ck_assert_int_eq(read(peer, &c, 1), 0);
	/* Sending goes on, into the void. */
	ck_assert_uint_eq(say(&s, everybody, 60, 0), 1);
	/* The carrier's end is told behind the connection's. */
	for (int ms = 0; ms < LIMIT_MS && s.up; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(!s.up);
}
END_TEST

START_TEST(a_peer_that_goes_takes_the_carrier_along)
{
	for (int ms = 0; ms < LIMIT_MS && !s.up; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(s.up);
	close(peer);
	peer = -1;
	for (int ms = 0; ms < LIMIT_MS && s.up; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(!s.up);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(say(&s, everybody, 1000, 0), 1);
}
END_TEST

START_TEST(frames_wait_until_the_guest_has_buffers)
{
	uint8_t wire[4 + 100] = { 0, 0, 0, 100 };

	s.room = 0;
	s.port->ops->wake(s.port, 0);
	ck_assert_int_eq(write(peer, wire, sizeof(wire)), (ssize_t)sizeof(wire));
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	ck_assert_uint_eq(get(&s, &s.received), 0);
	s.room = 1;
	s.port->ops->wake(s.port, 0);
	until(&s, &s.received, 1);
}
END_TEST

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(a_stream_with_a_path_connects_again)
{
	char path[] = "/tmp/paravane-port-XXXXXX", sock[64], why[200];
	struct netport *port;
	int fds[2], l, c;
	uint8_t wire[4 + 100] = { 0, 0, 0, 100 };

	ck_assert_ptr_nonnull(mkdtemp(path));
	snprintf(sock, sizeof(sock), "%s/s", path);
	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_stream(&port, fds[0], sock, why, sizeof(why)), 0);
	join(&s, port, 9);
	l = listen_at(sock);
	close(fds[1]);
	c = accept(l, NULL, NULL);
	ck_assert_int_ge(c, 0);
	ck_assert_int_eq(write(c, wire, sizeof(wire)), (ssize_t)sizeof(wire));
	until(&s, &s.received, 1);
	ck_assert(s.up);
	leave(&s);
	close(c);
	close(l);
	unlink(sock);
	rmdir(path);
}
END_TEST

START_TEST(datagrams_are_packets)
{
	struct netport *port;
	char c[2000], why[200];
	int fds[2];

	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	port->mtu = 1500;
	join(&s, port, 9);
	ck_assert_uint_eq(say(&s, everybody, 333, 1), 1);
	ck_assert_int_eq(recv(fds[1], c, sizeof(c), 0), 333);
	ck_assert_int_eq(send(fds[1], c, 5, 0), 5);       /* no packet */
	ck_assert_int_eq(send(fds[1], c, 1600, 0), 1600); /* longer than the link's */
	ck_assert_int_eq(send(fds[1], c, 200, 0), 200);
	until(&s, &s.received, 1);
	ck_assert_uint_eq(s.last_len, 200);
	leave(&s);
	close(fds[1]);
}
END_TEST

/* ---- capture ---- */

static const struct netport_name called = { "vif0", { 2, 0, 0, 0, 0, 7 } };

START_TEST(a_descriptor_is_lent_to_whoever_runs_the_guest)
{
	struct netport *port;
	char c[100], why[200];
	int fds[2];

	memset(&s, 0, sizeof(s));
	memset(c, 1, sizeof(c));
	s.borrows = true;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	join(&s, port, 9);
	ck_assert_ptr_nonnull(s.ready);
	/* The guest runs: what comes is the port's thread's. */
	for (unsigned i = 1; i <= 100; i++) {
		ck_assert_int_eq(send(fds[1], c, sizeof(c), 0), sizeof(c));
		if (i % 2)
			s.ready(s.ready_arg); /* or both at once */
		until(&s, &s.received, i);
	}
	/* Without buffers it waits for those, whoever looks. */
	pthread_mutex_lock(&s.lock);
	s.room = 0;
	pthread_mutex_unlock(&s.lock);
	ck_assert_int_eq(send(fds[1], c, sizeof(c), 0), sizeof(c));
	s.ready(s.ready_arg);
	s.ready(s.ready_arg);
	ck_assert_uint_eq(get(&s, &s.received), 100);
	pthread_mutex_lock(&s.lock);
	s.room = -1;
	pthread_mutex_unlock(&s.lock);
	port->ops->wake(port, 0);
	until(&s, &s.received, 101);
	/* More than one look takes is left to the thread. */
	for (unsigned i = 0; i < 80; i++)
		ck_assert_int_eq(send(fds[1], c, sizeof(c), 0), sizeof(c));
	s.ready(s.ready_arg);
	until(&s, &s.received, 181);
	leave(&s);
	ck_assert_ptr_null(s.ready);
	close(fds[1]);
}
END_TEST

START_TEST(a_capture_has_every_packet_and_its_direction)
{
	char path[] = "/tmp/paravane-cap-XXXXXX", why[200];
	struct netport *port, *cap;
	static uint32_t file[1000];
	unsigned in = 0, out = 0;
	FILE *fp;
	size_t n, at = 0;
	int fds[2], fd = mkstemp(path);

	close(fd);
	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	ck_assert_int_eq(netport_open_capture(&cap, port, path, &called, why, sizeof(why)), 0);
	join(&s, cap, 9);
	ck_assert_uint_eq(say(&s, everybody, 333, 1), 1);
	ck_assert_uint_eq(say(&s, everybody, 64, 1), 1);
	ck_assert_int_eq(send(fds[1], file, 201, 0), 201);
	until(&s, &s.received, 1);
	leave(&s);
	close(fds[1]);
	fp = fopen(path, "rb");
	ck_assert_ptr_nonnull(fp);
	n = fread(file, 1, sizeof(file), fp);
	fclose(fp);
	unlink(path);
	ck_assert_uint_eq(file[0], 0x0a0d0d0a);
	for (unsigned block = 0; at < n; block++) {
		const uint32_t *b = file + at / 4;

		ck_assert_uint_eq(b[1] % 4, 0);
		ck_assert_uint_eq(b[b[1] / 4 - 1], b[1]); /* the length stands at both ends */
		if (b[0] == 6) {
			uint32_t flags = b[b[1] / 4 - 3];

			in += flags == 1 && b[5] == 201;
			out += flags == 2 && (b[5] == 333 || b[5] == 64);
		}
		at += b[1];
	}
	ck_assert_uint_eq(at, n);
	ck_assert_uint_eq(in, 1);
	ck_assert_uint_eq(out, 2);
}
END_TEST

/* Both say what they are; what passes one does not count for the other. */
START_TEST(two_ports_share_a_file)
{
	const struct netport_name other = { "name-of-sixteen.", { 2, 0, 0, 0, 0, 8 } };
	char path[] = "/tmp/paravane-cap-XXXXXX", why[200], c[100];
	struct netport *port[2], *cap[2];
	static struct guest t;
	static uint32_t file[1000];
	unsigned of[2] = { 0 }, described = 0;
	int fds[2][2], fd = mkstemp(path);
	size_t n;

	ck_assert_int_eq(write(fd, file, sizeof(file)), sizeof(file)); /* of an earlier run */
	memset(&s, 0, sizeof(s));
	memset(&t, 0, sizeof(t));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds[i]), 0);
		ck_assert_int_eq(netport_open_dgram(&port[i], fds[i][0], NULL, why, sizeof(why)),
		                 0);
		ck_assert_int_eq(netport_open_capture(&cap[i], port[i], path, i ? &other : &called,
		                                      why, sizeof(why)),
		                 0);
	}
	join(&s, cap[0], 9);
	join(&t, cap[1], 10);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(say(i ? &t : &s, everybody, 64, 1), 1);
		ck_assert_int_eq(recv(fds[!!i][1], c, sizeof(c), 0), 64);
	}
	leave(&s);
	ck_assert_uint_eq(say(&t, everybody, 64, 1), 1); /* one less, and it goes on */
	leave(&t);
	n = (size_t)pread(fd, file, sizeof(file), 0);
	for (const uint32_t *b = file; b < file + n / 4; b += b[1] / 4) {
		if (b[0] == 1) {
			ck_assert_uint_eq(b[4] >> 16, described ? 16 : 4);
			ck_assert_mem_eq(b + 5, described++ ? other.text : called.text, 4);
		} else if (b[0] == 6) {
			ck_assert_uint_lt(b[2], 2);
			of[b[2]]++;
		}
	}
	ck_assert_uint_eq(described, 2);
	ck_assert_uint_eq(of[0], 1);
	ck_assert_uint_eq(of[1], 3);
	close(fds[0][1]);
	close(fds[1][1]);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(a_capture_on_a_full_disk_ends_and_packets_go_on)
{
	char why[200], c[100];
	struct netport *port, *cap;
	int fds[2];

	if (access("/dev/full", W_OK))
		return;
	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	ck_assert_int_eq(netport_open_capture(&cap, port, "/dev/full", &called, why, sizeof(why)),
	                 0);
	join(&s, cap, 9);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(say(&s, everybody, 64, 1), 1);
		ck_assert_int_eq(recv(fds[1], c, sizeof(c), 0), 64);
	}
	leave(&s);
	close(fds[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	ck_assert_int_eq(
		netport_open_capture(&cap, port, "/no/such/place", &called, why, sizeof(why)),
		-ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "/no/such/place"));
	port->ops->close(port);
	close(fds[1]);
}
END_TEST

Suite *netport_suite(void)
{
	Suite *suite = suite_create("netport");
	TCase *normal = tcase_create("normal"), *streams = tcase_create("streams");

	tcase_set_timeout(normal, 60);
	tcase_set_timeout(streams, 60);
	tcase_add_checked_fixture(streams, make_stream, end_stream);
	tcase_add_test(normal, a_switch_learns_where_everybody_is);
	tcase_add_test(normal, an_isolated_guest_sees_no_other);
	tcase_add_test(normal, who_has_no_buffers_loses_packets_and_stops_nobody);
	tcase_add_test(normal, a_guest_that_claims_every_address_takes_few_places);
	tcase_add_test(normal, a_guest_that_leaves_is_forgotten);
	tcase_add_loop_test(streams, frames_come_out_of_any_pieces, 0, 5);
	tcase_add_test(normal, a_stream_carries_packets_of_any_length);
	tcase_add_test(streams, packets_go_out_in_frames);
	tcase_add_test(streams, a_peer_that_does_not_read_holds_the_sender_back);
	tcase_add_loop_test(streams, a_peer_that_lies_about_lengths_is_cut_off, 0, 3);
	tcase_add_test(streams, a_peer_that_goes_takes_the_carrier_along);
	tcase_add_test(streams, frames_wait_until_the_guest_has_buffers);
	tcase_add_test(normal, a_stream_with_a_path_connects_again);
	tcase_add_test(normal, datagrams_are_packets);
	tcase_add_test(normal, a_descriptor_is_lent_to_whoever_runs_the_guest);
	tcase_add_test(normal, a_capture_has_every_packet_and_its_direction);
	tcase_add_test(normal, two_ports_share_a_file);
	tcase_add_test(normal, a_capture_on_a_full_disk_ends_and_packets_go_on);
	suite_add_tcase(suite, normal);
	suite_add_tcase(suite, streams);
	return suite;
}
