/* SPDX-License-Identifier: MIT */
/* sleep SECONDS */
#include "tests/guests/unix/user/lib/unix.h"

int main(int argc, char **argv)
{
	return argc < 2 || sleep_ns((uint64_t)number(argv[1], 0) * 1000000000) < 0;
}
