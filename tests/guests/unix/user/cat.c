/* SPDX-License-Identifier: MIT */
/* Files, or its input, to its output. */
#include "tests/guests/unix/user/lib/unix.h"

static int copy(int fd)
{
	static char buf[4096];
	long n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(1, buf, (size_t)n) != n)
			return 1;
	return n < 0;
}

int main(int argc, char **argv)
{
	int i, fd, failed = 0;

	if (argc == 1)
		return copy(0);
	for (i = 1; i < argc; i++) {
		fd = open(argv[i], O_RDONLY);
		if (fd < 0) {
			dprintf(2, "cat: %s: error %d\n", argv[i], -fd);
			failed = 1;
			continue;
		}
		failed |= copy(fd);
		close(fd);
	}
	return failed;
}
