/* SPDX-License-Identifier: MIT */
/*
 * Memory and string routines. Blocks are moved by the string instructions, which need no vector
 * registers and are fast for what a kernel moves (pages, ring entries).
 *
 * Invariant: DF is clear, as the ABI of C promises and the entry code makes sure of.
 */
#include "pvops/lib/string.h"

#include <stdint.h>

void *PV_LIB_NAME(memcpy)(void *restrict to, const void *restrict from, size_t len)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *PV_LIB_NAME(memmove)(void *to, const void *from, size_t len)
{
	unsigned char *d = to;
	const unsigned char *s = from;

	/* Upwards is wrong only when the target begins inside the source. */
	if ((uintptr_t)d - (uintptr_t)s >= len)
		return PV_LIB_NAME(memcpy)(to, from, len);
	while (len--)
		d[len] = s[len];
	return to;
}

void *PV_LIB_NAME(memset)(void *to, int byte, size_t len)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(byte) : "memory");
	return to;
}

int PV_LIB_NAME(memcmp)(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (; len; len--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

void *PV_LIB_NAME(memchr)(const void *from, int byte, size_t len)
{
	const unsigned char *s = from;

	for (; len; len--, s++)
		if (*s == (unsigned char)byte)
			return (void *)(uintptr_t)s;
	return NULL;
}

size_t PV_LIB_NAME(strnlen)(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t PV_LIB_NAME(strlen)(const char *s)
{
	return PV_LIB_NAME(strnlen)(s, SIZE_MAX);
}

int PV_LIB_NAME(strncmp)(const char *a, const char *b, size_t max)
{
	for (; max; max--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		if (!*a)
			break;
	}
	return 0;
}

int PV_LIB_NAME(strcmp)(const char *a, const char *b)
{
	return PV_LIB_NAME(strncmp)(a, b, SIZE_MAX);
}

char *PV_LIB_NAME(strchr)(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *PV_LIB_NAME(strstr)(const char *s, const char *what)
{
	size_t len = PV_LIB_NAME(strlen)(what);

	for (;; s++) {
		if (PV_LIB_NAME(strncmp)(s, what, len) == 0)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}
