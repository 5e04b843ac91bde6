/* SPDX-License-Identifier: MIT */
/*
 * flood A.B.C.D PORT [MILLISECONDS]: datagrams as fast as the interface takes them; says how many it took
 * and how often it had no room.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define MS 1000000ull

int main(int argc, char **argv)
{
	static char data[1400];
	struct unix_addr to = { 0 };
	const char *rest = argc > 2 ? parse_ip(argv[1], &to.ip) : NULL;
	uint64_t end = clock_ns() + (uint64_t)number(argc > 3 ? argv[3] : NULL, 1000) * MS;
	unsigned long taken = 0, refused = 0;
	int fd = socket(SOCK_DGRAM);

	to.port = rest && !*rest ? parse_port(argv[2]) : 0;
	if (!to.port || fd < 0) {
		dprintf(2, "flood: say \"flood A.B.C.D PORT [MILLISECONDS]\"\n");
		return 2;
	}
	while (clock_ns() < end) {
		if (sendto(fd, data, sizeof(data), &to) > 0) {
			taken++;
		} else {
			refused++;
			sleep_ns(MS);
		}
	}
	printf("flood: %lu taken, %lu times no room\n", taken, refused);
	return 0;
}
