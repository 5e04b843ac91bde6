/* SPDX-License-Identifier: MIT */
/* ping A.B.C.D [COUNT]: fails when none of them is answered. */
#include "tests/guests/unix/user/lib/unix.h"

#define BYTES 56
#define LIMIT 3000000000ull

int main(int argc, char **argv)
{
	struct unix_addr a = { 0 };
	const char *end = argc > 1 ? parse_ip(argv[1], &a.ip) : NULL;
	long n = number(argc > 2 ? argv[2] : NULL, 3), i, answered = 0;

	if (!end || *end) {
		dprintf(2, "ping: say \"ping A.B.C.D [COUNT]\"\n");
		return 2;
	}
	for (i = 0; i < n; i++) {
		long ns = ping(&a, BYTES, LIMIT);

		if (ns == -EINTR)
			break;
		if (ns < 0) {
			printf("%s: no answer: error %ld\n", argv[1], -ns);
			continue;
		}
		printf("%s: %d bytes, %ld.%03ld us\n", argv[1], BYTES, ns / 1000, ns % 1000);
		answered++;
	}
	printf("%ld of %ld answered\n", answered, i);
	return !answered;
}
