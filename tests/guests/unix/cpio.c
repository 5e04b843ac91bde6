/* SPDX-License-Identifier: MIT */
/*
 * Archives in cpio's "newc" format: a header of hexadecimal numbers, the name, the data, each padded
 * to four bytes; the last entry is called TRAILER!!!. (Format: cpio(5).)
 *
 * Invariant: nothing outside the archive is read, whatever it says.
 */
#include <stdbool.h>

#include "pvops/lib/string.h"
#include "tests/guests/unix/fs.h"

#define HEADER      110
#define MAGIC       "070701"
#define MODE_FORMAT 0170000
#define MODE_FILE   0100000

/* Fields of eight digits each, behind the magic number. */
enum { MODE = 1, FILE_SIZE = 6, NAME_SIZE = 11 };

static bool number(const char *header, unsigned int field, uint64_t *value)
{
	const char *p = header + 6 + field * 8;
	unsigned int i;

	*value = 0;
	for (i = 0; i < 8; i++) {
		char c = p[i] | 0x20;

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static uint64_t round4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

int cpio_unpack(const void *archive, size_t len, int (*add)(const char *, const void *, size_t))
{
	const char *p = archive;
	uint64_t at = 0, mode, size, name_size;
	int files = 0, rc;

	while (len - at >= HEADER) {
		const char *h = p + at, *name = h + HEADER;

		if (memcmp(h, MAGIC, 6) || !number(h, MODE, &mode) ||
		    !number(h, FILE_SIZE, &size) || !number(h, NAME_SIZE, &name_size))
			return -EINVAL;
		/* The numbers are below 2^32, so the sums are exact. */
		at += round4(HEADER + name_size);
		if (!name_size || at + size > len || name[name_size - 1])
			return -EINVAL;
		if (!strcmp(name, "TRAILER!!!"))
			return files;
		if ((mode & MODE_FORMAT) == MODE_FILE) {
			rc = add(name, p + at, size);
			if (rc)
				return rc;
			files++;
		}
		at += round4(size);
		if (at > len)
			break;
	}
	return -EINVAL;
}
