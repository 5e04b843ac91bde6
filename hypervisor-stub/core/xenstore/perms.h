/* SPDX-License-Identifier: MIT */
/*
 * Permissions: who may read and write a node, and how that is spelled in a message.
 *
 * A set is a list; its first entry names the owner and, in its access bits, what everybody may do
 * who has no entry of his own. A set is immutable once made and shared between nodes and versions
 * of the tree by a count; only code that holds the store's mutex touches the count.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_PERMS_H
#define HYPERVISOR_STUB_CORE_XENSTORE_PERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/core/xenstore/abi.h"

enum { XS_PERM_NONE = 0, XS_PERM_READ = 1, XS_PERM_WRITE = 2, XS_PERM_OWNER = 4 };

#define XS_PERMS_MAX 64 /* entries of one set, for anybody; guests have a quota below that */

struct xs_perm {
	domid_t domid;
	uint8_t access; /* XS_PERM_READ | XS_PERM_WRITE */
	bool stale;     /* the domain did not exist when the set was made: the entry never counts */
};

struct xs_perms {
	unsigned refs;
	unsigned nr; /* at least 1 */
	struct xs_perm entry[];
};

/* On whose behalf something is asked. */
struct xs_cred {
	bool privileged; /* the host itself: may do everything */
	domid_t domid;
	bool has_target; /* SET_TARGET: also has the rights of that domain */
	domid_t target;
};

struct xs_perms *xs_perms_make(const struct xs_perm *entries, unsigned nr); /* NULL: no memory */
struct xs_perms *xs_perms_get(const struct xs_perms *perms);
void xs_perms_put(struct xs_perms *perms); /* NULL is allowed */

static inline domid_t xs_perms_owner(const struct xs_perms *perms)
{
	return perms->entry[0].domid;
}

/* XS_PERM_* bits that the set gives to that client. */
unsigned xs_perms_access(const struct xs_perms *perms, const struct xs_cred *who);

/* The set of a new node: the parent's, but a guest owns what it makes. NULL: no memory. */
struct xs_perms *xs_perms_inherit(const struct xs_perms *parent, const struct xs_cred *who);

/* The set without the entries of a domain that is gone; the owner stays. NULL: no memory. */
struct xs_perms *xs_perms_without(const struct xs_perms *perms, domid_t gone);
bool xs_perms_mention(const struct xs_perms *perms, domid_t domid); /* beyond the owner */

/*
 * xs_perms_parse - read "n5\0r0\0..." as in SET_PERMS
 * entries: out: XS_PERMS_MAX of them; nr: out: how many
 * Returns 0; -EINVAL for bad syntax or no entry at all; -ENOSPC for more than XS_PERMS_MAX.
 */
int xs_perms_parse(const char *strings, size_t len, struct xs_perm *entries, unsigned *nr);
/* Writes the same form; returns its length, or -E2BIG when there is no room. */
int xs_perms_format(const struct xs_perms *perms, char *out, size_t room);

#endif
