/* SPDX-License-Identifier: MIT */
/* Its arguments, as a line. */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		printf("%s%s", i > 1 ? " " : "", argv[i]);
	printf("\n");
	return 0;
}
