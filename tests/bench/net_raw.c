/* SPDX-License-Identifier: MIT */
/*
 * See net_raw.h.
 */
#include "tests/bench/net_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/spawn.h"

#define VNET_LEN 10
#define ETH_LEN  14
#define IP_LEN   20
#define PACKET   64
#define OUR_IP   0x0a010002u
#define SAMPLES  100000

static uint8_t host_mac[6];
static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 2 };

int net_raw_open(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	strcpy(ifr.ifr_name, "raw");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, SIOCGIFHWADDR, &ifr) ||
	    system("ip addr add 10.1.0.1/24 dev raw && ip link set raw up && "
	           "ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev raw")) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	memcpy(host_mac, ifr.ifr_hwaddr.sa_data, 6);
	return fd;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A UDP packet to the host, checksum left out as IPv4 allows, with the header that says so. */
static void lay(uint8_t *p, unsigned port)
{
	uint8_t *eth = p + VNET_LEN, *ip = eth + ETH_LEN, *udp = ip + IP_LEN;
	uint32_t sum = 0;

	memset(p, 0, VNET_LEN + PACKET);
	memcpy(eth, host_mac, 6);
	memcpy(eth + 6, our_mac, 6);
	put16(eth + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, PACKET - ETH_LEN);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, (uint8_t[]){ 10, 1, 0, 2, 10, 1, 0, 1 }, 8);
	for (int i = 0; i < IP_LEN; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)));
	put16(udp, 50000);
	put16(udp + 2, port);
	put16(udp + 4, PACKET - ETH_LEN - IP_LEN);
}

/* The next packet for us; false: none came in time. The host sends others, too. */
static bool next(int fd, double limit)
{
	uint8_t p[2048];

	for (;;) {
		ssize_t n = read(fd, p, sizeof(p));
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (n > VNET_LEN + ETH_LEN + IP_LEN && p[VNET_LEN + ETH_LEN + 9] == 17 &&
		    !memcmp(p + VNET_LEN, our_mac, 6))
			return true;
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0 && poll(&pfd, 1, 200) <= 0 && bench_now() > limit)
			return false;
	}
}

struct net_rtt net_raw_rtt(int fd, unsigned ms)
{
	static double sample[SAMPLES];
	double end = bench_now() + ms / 1000.0;
	uint8_t p[VNET_LEN + PACKET];
	size_t n = 0;

	/* What an earlier load has left. */
	while (read(fd, p, sizeof(p)) > 0)
		;
	lay(p, 7);
	while (n < SAMPLES && bench_now() < end) {
		double start = bench_now();

		if (write(fd, p, sizeof(p)) != sizeof(p) || !next(fd, end))
			break;
		sample[n++] = (bench_now() - start) * 1e9;
	}
	return net_rtt_of(sample, n);
}

double net_raw_out(int fd, unsigned ms)
{
	double start = bench_now(), end = start + ms / 1000.0;
	uint8_t p[VNET_LEN + PACKET];
	uint64_t n = 0;

	lay(p, 9);
	while (bench_now() < end) {
		for (int i = 0; i < 32; i++)
			n += write(fd, p, sizeof(p)) == sizeof(p);
	}
	return (double)n / (bench_now() - start);
}

double net_raw_in(int fd, unsigned ms)
{
	double start = bench_now(), end = start + ms / 1000.0;
	uint64_t n = 0;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		net_native_flood(OUR_IP, ms);
		_exit(0);
	}
	while (bench_now() < end && next(fd, end))
		n++;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return (double)n / (bench_now() - start);
}
