/* SPDX-License-Identifier: MIT */
/* Counts the lines, words and bytes of its input. */
#include "tests/guests/unix/user/lib/unix.h"

int main(void)
{
	static char buf[4096];
	unsigned long lines = 0, words = 0, bytes = 0;
	bool in_word = false;
	long n, i;

	while ((n = read(0, buf, sizeof(buf))) > 0) {
		for (i = 0; i < n; i++) {
			bool blank = buf[i] == ' ' || buf[i] == '\n' || buf[i] == '\t';

			lines += buf[i] == '\n';
			words += !blank && !in_word;
			in_word = !blank;
		}
		bytes += (unsigned long)n;
	}
	printf("%lu %lu %lu\n", lines, words, bytes);
	return n < 0;
}
