/* SPDX-License-Identifier: MIT */
/* kill [-SIGNAL] PID...: sends a signal, SIGTERM unless another number is given. */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	int i = 1, sig = SIGTERM, failed = argc < 2;

	if (argc > 1 && argv[1][0] == '-') {
		sig = (int)number(argv[1] + 1, -1);
		i++;
	}
	for (; i < argc; i++) {
		if (kill((int)number(argv[i], 0), sig) < 0) {
			dprintf(2, "kill: no process %s, or no such signal\n", argv[i]);
			failed = 1;
		}
	}
	return failed;
}
