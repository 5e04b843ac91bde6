/* SPDX-License-Identifier: MIT */
/*
 * Paths of the store: which ones are allowed, and how one is walked.
 *
 * Invariant: a path that came out of xs_path_canonical() is absolute ("/a/b") or special ("@name"),
 * has only permitted characters, no empty component, and at most XENSTORE_ABS_PATH_MAX bytes.
 * Every other file of this folder sees such paths only.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_PATH_H
#define HYPERVISOR_STUB_CORE_XENSTORE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/core/xenstore/abi.h"

#define XS_PATH_BUF (XENSTORE_ABS_PATH_MAX + 1)

/* One component: "/" for the root, then a name at a time. Not terminated by a nul. */
struct xs_step {
	const char *name;
	size_t len;
};

/*
 * xs_path_canonical - check a path that a client sent and make it absolute
 *
 * base:    what a relative path starts from, absolute, without a slash at its end
 * in:      the path as sent
 * special: whether "@name" is allowed here
 * out:     XS_PATH_BUF bytes; undefined on failure
 *
 * Returns 0, or -EINVAL for a path that breaks a rule of docs/misc/xenstore.txt.
 */
int xs_path_canonical(const char *base, const char *in, bool special, char *out);

/* Is this path, as sent, relative to the client's own folder? */
bool xs_path_is_relative(const char *in);

/*
 * xs_path_next - the next component of a canonical path
 * cursor: at first the path itself; moves on
 * Returns false when there is none left.
 */
bool xs_path_next(const char **cursor, struct xs_step *step);

/* Length of the parent's path, which is a prefix of this one; 0 for "/" and for special paths. */
size_t xs_path_parent_len(const char *path);

/* A hash that can be continued: the hash of a prefix is a step on the way (FNV-1a, 32 bits). */
#define XS_HASH_START 2166136261u
static inline uint32_t xs_hash_add(uint32_t hash, char c)
{
	return (hash ^ (unsigned char)c) * 16777619u;
}
uint32_t xs_path_hash(const char *path);

#endif
