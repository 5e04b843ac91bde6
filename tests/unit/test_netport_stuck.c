/* SPDX-License-Identifier: MIT */
/*
 * Ports of network back-ends whose other end blocks or dies, each kind in turn: sending never waits,
 * another port of the same process goes on, and nobody runs in circles. What each kind does with the
 * packets is told in docs/split-drivers.md, "The life of a packet".
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/netport_world.h"

Suite *netport_stuck_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FLOOD        3000
#define LEN          1500
#define TAP          "pvstuck0"

static const struct netport_name called = { "vif0", { 2, 0, 0, 0, 0, 9 } };

static struct guest stuck, other, listener;
static int other_end, far_end; /* of the other port; of the stuck one, where that is a socket */
static char folder[64], path[100];
static struct netlan *lan;
static bool is_our_network;

/* ---- what is stuck ---- */

static struct netport *socket_port(int type, const char *back)
{
	struct netport *port;
	char why[200] = "";
	int fds[2], rc;

	ck_assert_int_eq(socketpair(AF_UNIX, type, 0, fds), 0);
	far_end = fds[1];
	rc = type == SOCK_STREAM ? netport_open_stream(&port, fds[0], back, why, sizeof(why))
	                         : netport_open_dgram(&port, fds[0], back, why, sizeof(why));
	ck_assert_msg(!rc, "%s", why);
	return port;
}

static struct netport *stream_port(void)
{
	return socket_port(SOCK_STREAM, NULL);
}

static struct netport *dgram_port(void)
{
	return socket_port(SOCK_DGRAM, NULL);
}

/* A network of our own, where we may make devices. False: not here. */
static bool own_network(void)
{
	unsigned user = getuid();
	FILE *map;

	if (access("/dev/net/tun", W_OK) || unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	/* Root in there: so that a program that is run keeps the capabilities. */
	map = fopen("/proc/self/uid_map", "w");
	return map && fprintf(map, "0 %u 1\n", user) > 0 && !fclose(map);
}

static void set_link(const char *name, bool up)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(ifr.ifr_name, name);
	ck_assert_int_eq(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	ck_assert_int_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
}

static struct netport *tap_port(void)
{
	struct netport *port;
	char why[200] = "";

	if (!is_our_network)
		return NULL;
	ck_assert_msg(!netport_open_tap(&port, TAP, 1, why, sizeof(why)), "%s", why);
	return port; /* the device is down, as it was made */
}

/* The one who listens on the LAN has no buffers. */
static struct netport *lan_port(void)
{
	struct netport *port;

	ck_assert_int_eq(netlan_create(&lan, false), 0);
	ck_assert_int_eq(netlan_port(lan, &port), 0);
	join(&listener, port, 3);
	listener.room = 0;
	ck_assert_int_eq(netlan_port(lan, &port), 0);
	return port;
}

/* A LAN whose way out is a stream that nobody reads. */
static struct netport *uplink_port(void)
{
	struct netport *port;

	ck_assert_int_eq(netlan_create(&lan, false), 0);
	ck_assert_int_eq(netlan_uplink(lan, stream_port()), 0);
	ck_assert_int_eq(netlan_port(lan, &port), 0);
	return port;
}

/* What passes is written into a pipe that nobody reads. */
static struct netport *captured_port(void)
{
	struct netport *port;
	char why[200] = "";

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	far_end = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_ge(far_end, 0);
	ck_assert_int_eq(netlan_create(&lan, false), 0);
	ck_assert_int_eq(netlan_port(lan, &port), 0);
	ck_assert_msg(!netport_open_capture(&port, port, path, &called, why, sizeof(why)), "%s",
	              why);
	return port;
}

static const struct {
	const char *name;
	struct netport *(*open)(void);
	bool holds_back; /* else packets are lost */
} kinds[] = { { "stream", stream_port, true },  { "dgram", dgram_port, true },
	      { "tap", tap_port, false },       { "lan", lan_port, false },
	      { "uplink", uplink_port, false }, { "capture", captured_port, false } };

static void set_up(void)
{
	struct netport *port;
	char why[200];
	int fds[2];

	signal(SIGPIPE, SIG_IGN);       /* as the command does */
	is_our_network = own_network(); /* while there is one thread only */
	memset(&stuck, 0, sizeof(stuck));
	memset(&other, 0, sizeof(other));
	memset(&listener, 0, sizeof(listener));
	lan = NULL;
	far_end = -1;
	strcpy(folder, "/tmp/paravane-stuck-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/x", folder);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fds[0], NULL, why, sizeof(why)), 0);
	other_end = fds[1];
	join(&other, port, 2);
}

static void tear_down(void)
{
	if (stuck.port)
		leave(&stuck);
	if (listener.port)
		leave(&listener);
	if (lan)
		netlan_destroy(lan);
	leave(&other);
	close(other_end);
	if (far_end >= 0)
		close(far_end);
	unlink(path);
	rmdir(folder);
}

static bool make_stuck(unsigned i)
{
	struct netport *port = kinds[i].open();

	if (port)
		join(&stuck, port, 1);
	return port;
}

/* Both ways. */
static void the_other_goes_on(void)
{
	unsigned before = get(&other, &other.received);
	uint8_t c[LEN];

	ck_assert_uint_eq(say(&other, everybody, 100, 1), 1);
	ck_assert_int_eq(recv(other_end, c, sizeof(c), 0), 100);
	ck_assert_int_eq(send(other_end, c, 100, 0), 100);
	until(&other, &other.received, before + 1);
}

/* How many of a flood were taken. */
static unsigned flood(void)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < FLOOD; i++)
		taken += say(&stuck, everybody, LEN, (uint8_t)i);
	return taken;
}

/* Processor time of all threads, while nothing is to be done. */
static long idle_cpu_ms(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	sleep_ms(200);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

START_TEST(a_port_that_blocks_stops_nobody_else)
{
	unsigned taken;

	if (!make_stuck((unsigned)_i))
		return;
	taken = flood();
	if (kinds[_i].holds_back)
		ck_assert_uint_lt(taken, FLOOD);
	else
		ck_assert_uint_eq(taken, FLOOD);
	the_other_goes_on();
	ck_assert_int_lt(idle_cpu_ms(), 100);
}
END_TEST

START_TEST(a_port_that_dies_stops_nobody_else)
{
	if (!make_stuck((unsigned)_i))
		return;
	flood();
	if (far_end >= 0)
		close(far_end);
	far_end = -1;
	if (kinds[_i].holds_back)
		until(&stuck, &stuck.rooms, 1); /* who waited is told: its packets are lost now */
	ck_assert_uint_eq(flood(), FLOOD);
	the_other_goes_on();
	ck_assert_int_lt(idle_cpu_ms(), 100);
}
END_TEST

/* ---- what comes back ---- */

static void wait_for_link(bool up)
{
	bool is = !up;

	for (int ms = 0; ms < LIMIT_MS && is != up; ms++) {
		pthread_mutex_lock(&stuck.lock);
		is = stuck.up;
		pthread_mutex_unlock(&stuck.lock);
		sleep_ms(1);
	}
	ck_assert(is == up);
}

/* A packet of the host's to everybody on the device. */
static void send_by_host(void)
{
	const uint8_t frame[60] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 8, 0x88, 0xb5 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		                  .sll_ifindex = (int)if_nametoindex(TAP) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	ck_assert_int_eq(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
	                 sizeof(frame));
	close(fd);
}

START_TEST(a_tap_device_that_is_deleted_and_made_again)
{
	struct ifreq ifr = { .ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	char command[100];
	int fd;

	if (!make_stuck(2))
		return;
	set_link(TAP, true);
	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin ip link del %s 2>/dev/null",
	         TAP);
	if (system(command))
		return; /* no such program */
	wait_for_link(false);
	ck_assert_uint_eq(flood(), FLOOD);
	the_other_goes_on();
	ck_assert_int_lt(idle_cpu_ms(), 100);
	fd = open("/dev/net/tun", O_RDWR);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	set_link(TAP, true);
	wait_for_link(true);
	/* Whoever sends there reaches the guest again. */
	send_by_host();
	for (int ms = 0; ms < LIMIT_MS && !get(&stuck, &stuck.received); ms++)
		sleep_ms(1);
	ck_assert_uint_gt(get(&stuck, &stuck.received), 0);
}
END_TEST

static int bind_dgram(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(a.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

START_TEST(a_datagram_peer_that_comes_back_is_found)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), peer = bind_dgram();
	struct netport *port;
	char why[200];
	uint8_t c[LEN];

	strcpy(a.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(netport_open_dgram(&port, fd, path, why, sizeof(why)), 0);
	join(&stuck, port, 1);
	ck_assert_uint_eq(say(&stuck, everybody, 100, 1), 1);
	ck_assert_int_eq(recv(peer, c, sizeof(c), 0), 100);
	close(peer);
	ck_assert_uint_eq(flood(), FLOOD);
	peer = bind_dgram();
	ck_assert_uint_eq(say(&stuck, everybody, 101, 1), 1);
	ck_assert_int_eq(recv(peer, c, sizeof(c), 0), 101);
	close(peer);
}
END_TEST

/* A reader of a capture that is slow misses packets, never parts of them. */
START_TEST(a_slow_reader_of_a_capture_gets_whole_blocks)
{
	static uint32_t words[1 << 20];
	size_t have = 0, at = 0;
	unsigned packets = 0;
	ssize_t n;

	ck_assert(make_stuck(5));
	for (int round = 0; round < 5; round++) {
		flood();
		while ((n = read(far_end, (uint8_t *)words + have, sizeof(words) - have)) > 0)
			have += (size_t)n;
	}
	leave(&stuck);
	stuck.port = NULL;
	while ((n = read(far_end, (uint8_t *)words + have, sizeof(words) - have)) > 0)
		have += (size_t)n;
	while (at + 12 <= have) {
		uint32_t len = words[at / 4 + 1];

		ck_assert_uint_eq(len % 4, 0);
		ck_assert_uint_ge(len, 12);
		if (at + len > have)
			break; /* the last one, which the pipe had no room for at the end */
		ck_assert_uint_eq(words[(at + len) / 4 - 1], len);
		packets += words[at / 4] == 6;
		at += len;
	}
	ck_assert_uint_gt(packets, 10);
	ck_assert_uint_lt(packets, 5 * FLOOD);
}
END_TEST

Suite *netport_stuck_suite(void)
{
	Suite *s = suite_create("netport_stuck");
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, a_port_that_blocks_stops_nobody_else, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, a_port_that_dies_stops_nobody_else, 0, ARRAY_LEN(kinds));
	tcase_add_test(tc, a_tap_device_that_is_deleted_and_made_again);
	tcase_add_test(tc, a_datagram_peer_that_comes_back_is_found);
	tcase_add_test(tc, a_slow_reader_of_a_capture_gets_whole_blocks);
	suite_add_tcase(s, tc);
	return s;
}
