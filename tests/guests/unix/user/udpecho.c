/* SPDX-License-Identifier: MIT */
/*
 * udpecho PORT: sends every datagram back; "stop" ends it.
 * udpecho A.B.C.D PORT [TEXT]: sends one and shows what comes back.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define SIZE     1472
#define PATIENCE 3000000000ull

static char buf[SIZE];

static int serve(int fd, uint16_t port)
{
	struct unix_addr a = { .port = port };
	int rc = bind(fd, &a);
	long n;

	if (rc) {
		dprintf(2, "udpecho: port %u: error %d\n", port, -rc);
		return 1;
	}
	printf("udpecho: port %u\n", port);
	while ((n = recvfrom(fd, buf, sizeof(buf), &a)) >= 0) {
		sendto(fd, buf, (size_t)n, &a);
		if (n == 4 && !memcmp(buf, "stop", 4))
			return 0;
	}
	return 1;
}

static int ask(int fd, const struct unix_addr *a, const char *text)
{
	long n = sendto(fd, text, strlen(text), a);

	alarm_ns(PATIENCE);
	if (n >= 0)
		n = recvfrom(fd, buf, sizeof(buf) - 1, NULL);
	if (n < 0) {
		dprintf(2, "udpecho: error %ld\n", -n);
		return 1;
	}
	buf[n] = 0;
	printf("%s\n", buf);
	return 0;
}

int main(int argc, char **argv)
{
	struct unix_addr a = { 0 };
	const char *end = argc > 2 ? parse_ip(argv[1], &a.ip) : NULL;
	int fd = socket(SOCK_DGRAM);

	if (fd < 0)
		return 1;
	if (argc == 2 && parse_port(argv[1]))
		return serve(fd, parse_port(argv[1]));
	a.port = argc > 2 ? parse_port(argv[2]) : 0;
	if (!end || *end || !a.port) {
		dprintf(2, "udpecho: say \"udpecho PORT\" or \"udpecho A.B.C.D PORT [TEXT]\"\n");
		return 2;
	}
	return ask(fd, &a, argc > 3 ? argv[3] : "hello");
}
