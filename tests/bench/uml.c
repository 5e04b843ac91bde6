/* SPDX-License-Identifier: MIT */
/*
 * User-mode Linux as a peer; see uml.h.
 */
#include "tests/bench/uml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *uml_program(void)
{
	return getenv("UML") ? getenv("UML") : "linux.uml";
}

static void pad(FILE *f, long len)
{
	for (; len % 4; len++)
		fputc(0, f);
}

/* An entry of an archive in cpio's newc format, which is what the kernel unpacks as its root. */
static void entry(FILE *f, const char *name, unsigned mode, const char *data, long size)
{
	long name_len = (long)strlen(name) + 1;

	fprintf(f, "070701%08X%08X%08X%08X%08X%08X%08lX%08X%08X%08X%08X%08lX%08X", 1, mode, 0, 0, 1,
	        0, size, 0, 0, 0, 0, name_len, 0);
	fwrite(name, 1, (size_t)name_len, f);
	pad(f, 110 + name_len);
	if (size)
		fwrite(data, 1, (size_t)size, f);
	pad(f, size);
}

void uml_clean(const char *folder)
{
	static const char *const left[] = { UML_ROOT, UML_ID "/pid", UML_ID "/mconsole" };
	char path[256];
	unsigned i;

	for (i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/" UML_ID, folder);
	rmdir(path);
}

bool uml_make_root(const char *init, const char *folder)
{
	char path[256];
	FILE *in = fopen(init, "rb"), *out;
	char *data = NULL;
	long size = 0;

	snprintf(path, sizeof(path), "%s/" UML_ROOT, folder);
	out = fopen(path, "wb");
	if (in && !fseek(in, 0, SEEK_END))
		size = ftell(in);
	if (size > 0)
		data = malloc((size_t)size);
	if (data && out && !fseek(in, 0, SEEK_SET) &&
	    fread(data, 1, (size_t)size, in) == (size_t)size) {
		entry(out, "init", 0100755, data, size);
		entry(out, "TRAILER!!!", 0, NULL, 0);
	} else {
		size = 0;
	}
	free(data);
	if (in)
		fclose(in);
	if (out && fclose(out))
		size = 0;
	return size > 0;
}
