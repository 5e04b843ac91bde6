/* SPDX-License-Identifier: MIT */
/*
 * Words of a guest's command line: KEY followed by a number or a text. A key is searched for as it
 * stands, so it brings what has to be in front of it (" s=").
 */
#ifndef TESTS_GUESTS_WORDS_H
#define TESTS_GUESTS_WORDS_H

#include "pvops/lib/string.h"
#include "pvops/pvguest.h"

/* What stands behind a key; NULL when it is not there. */
static inline const char *word_after(const char *key)
{
	const char *at = strstr(pv_boot.cmdline, key);

	return at ? at + strlen(key) : NULL;
}

/* The decimal number at *at, 0 when there are no digits; *at is moved behind it. */
static inline uint64_t word_digits(const char **at)
{
	uint64_t n = 0;

	while (**at >= '0' && **at <= '9')
		n = n * 10 + (uint64_t)(*(*at)++ - '0');
	return n;
}

static inline uint64_t word_number(const char *key, uint64_t otherwise)
{
	const char *at = word_after(key);

	return at ? word_digits(&at) : otherwise;
}

#endif
