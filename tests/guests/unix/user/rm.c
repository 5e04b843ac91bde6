/* SPDX-License-Identifier: MIT */
/* rm FILE... */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	int i, failed = 0;

	for (i = 1; i < argc; i++) {
		if (unlink(argv[i]) < 0) {
			dprintf(2, "rm: no file %s\n", argv[i]);
			failed = 1;
		}
	}
	return failed;
}
