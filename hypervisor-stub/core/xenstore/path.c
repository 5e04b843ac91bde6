/* SPDX-License-Identifier: MIT */
/*
 * Paths of the store. Pure functions on strings; path.h states the invariant.
 */
#include "hypervisor-stub/core/xenstore/path.h"

#include <errno.h>
#include <string.h>

static bool is_path_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '/' || c == '_' || c == '@';
}

bool xs_path_is_relative(const char *in)
{
	return in[0] != '/' && in[0] != '@';
}

int xs_path_canonical(const char *base, const char *in, bool special, char *out)
{
	size_t in_len = strlen(in), base_len = 0, i;

	if (in_len == 0 || in_len > XENSTORE_ABS_PATH_MAX || (in[0] == '@' && !special))
		return -EINVAL;
	if (xs_path_is_relative(in)) {
		base_len = strlen(base);
		if (in_len > XENSTORE_REL_PATH_MAX || base_len + 1 + in_len > XENSTORE_ABS_PATH_MAX)
			return -EINVAL;
		memcpy(out, base, base_len);
		out[base_len++] = '/';
	}
	for (i = 0; i < in_len; i++)
		if (!is_path_char(in[i]) || (in[i] == '/' && in[i + 1] == '/'))
			return -EINVAL;
	if (in_len > 1 && in[in_len - 1] == '/')
		return -EINVAL;
	memcpy(out + base_len, in, in_len + 1);
	return 0;
}

bool xs_path_next(const char **cursor, struct xs_step *step)
{
	const char *p = *cursor, *end;

	if (!*p)
		return false;
	step->name = p;
	if (*p == '/') { /* only the first component starts with a slash */
		step->len = 1;
		*cursor = p + 1;
		return true;
	}
	end = strchrnul(p, '/');
	step->len = (size_t)(end - p);
	*cursor = *end ? end + 1 : end;
	return true;
}

size_t xs_path_parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (path[0] != '/' || path[1] == '\0')
		return 0;
	return slash == path ? 1 : (size_t)(slash - path);
}

uint32_t xs_path_hash(const char *path)
{
	uint32_t hash = XS_HASH_START;

	while (*path)
		hash = xs_hash_add(hash, *path++);
	return hash;
}
