/* SPDX-License-Identifier: MIT */
/* Names and sizes of files; of those whose names begin with an argument when there is one. */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	const char *prefix = argc > 1 ? argv[1] : "";
	struct unix_dirent e;
	uint64_t i;

	while (*prefix == '/')
		prefix++;
	for (i = 0; readdir(i, &e) == 0; i++)
		if (!strncmp(e.name, prefix, strlen(prefix)))
			printf("%8lu %s\n", (unsigned long)e.size, e.name);
	return 0;
}
