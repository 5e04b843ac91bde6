/* SPDX-License-Identifier: MIT */
/* Files, or its input, to its output. */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	int i, fd, failed = 0;

	if (argc == 1)
		return copy_all(0, 1) != 0;
	for (i = 1; i < argc; i++) {
		fd = open(argv[i], O_RDONLY);
		if (fd < 0) {
			dprintf(2, "cat: %s: error %d\n", argv[i], -fd);
			failed = 1;
			continue;
		}
		failed |= copy_all(fd, 1) != 0;
		close(fd);
	}
	return failed;
}
