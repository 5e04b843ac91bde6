/* SPDX-License-Identifier: MIT */
/* Says hello. */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	(void)argc;
	printf("hello from %s, process %d\n", argv[0], getpid());
	return 0;
}
