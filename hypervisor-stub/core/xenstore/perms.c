/* SPDX-License-Identifier: MIT */
/*
 * Permissions of nodes. perms.h states what a set is; who asks for which right is for ops.c.
 */
#include "hypervisor-stub/core/xenstore/perms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xs_perms *xs_perms_make(const struct xs_perm *entries, unsigned nr)
{
	struct xs_perms *perms = malloc(sizeof(*perms) + nr * sizeof(*entries));

	if (!perms)
		return NULL;
	perms->refs = 1;
	perms->nr = nr;
	memcpy(perms->entry, entries, nr * sizeof(*entries));
	return perms;
}

struct xs_perms *xs_perms_get(const struct xs_perms *perms)
{
	struct xs_perms *p = (struct xs_perms *)perms; /* only the count changes */

	p->refs++;
	return p;
}

void xs_perms_put(struct xs_perms *perms)
{
	if (perms && --perms->refs == 0)
		free(perms);
}

static bool is_for(domid_t domid, const struct xs_cred *who)
{
	return domid == who->domid || (who->has_target && domid == who->target);
}

unsigned xs_perms_access(const struct xs_perms *perms, const struct xs_cred *who)
{
	unsigned i;

	if (who->privileged || is_for(perms->entry[0].domid, who))
		return XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
	for (i = 1; i < perms->nr; i++)
		if (!perms->entry[i].stale && is_for(perms->entry[i].domid, who))
			return perms->entry[i].access;
	return perms->entry[0].access;
}

struct xs_perms *xs_perms_inherit(const struct xs_perms *parent, const struct xs_cred *who)
{
	struct xs_perms *perms;

	if (who->privileged || parent->entry[0].domid == who->domid)
		return xs_perms_get(parent);
	perms = xs_perms_make(parent->entry, parent->nr);
	if (perms)
		perms->entry[0].domid = who->domid;
	return perms;
}

bool xs_perms_mention(const struct xs_perms *perms, domid_t domid)
{
	unsigned i;

	for (i = 1; i < perms->nr; i++)
		if (perms->entry[i].domid == domid)
			return true;
	return false;
}

struct xs_perms *xs_perms_without(const struct xs_perms *perms, domid_t gone)
{
	struct xs_perms *left = xs_perms_make(perms->entry, perms->nr);
	unsigned i, nr = 1;

	if (!left)
		return NULL;
	for (i = 1; i < perms->nr; i++)
		if (perms->entry[i].domid != gone)
			left->entry[nr++] = perms->entry[i];
	left->nr = nr;
	return left;
}

/* One entry, a letter and a decimal domain number; returns the bytes it took with its nul, or 0. */
static size_t parse_entry(const char *s, size_t len, struct xs_perm *entry)
{
	static const char letters[] = { 'n', 'r', 'w', 'b' }; /* index: access bits */
	const char *letter;
	uint32_t domid = 0;
	size_t i;

	letter = len ? memchr(letters, s[0], sizeof(letters)) : NULL;
	if (!letter)
		return 0;
	for (i = 1; i < len && s[i] >= '0' && s[i] <= '9' && i <= 5; i++)
		domid = domid * 10 + (uint32_t)(s[i] - '0');
	if (i == 1 || i >= len || s[i] != '\0' || domid > UINT16_MAX)
		return 0;
	*entry = (struct xs_perm){ .domid = (domid_t)domid, .access = (uint8_t)(letter - letters) };
	return i + 1;
}

int xs_perms_parse(const char *strings, size_t len, struct xs_perm *entries, unsigned *nr)
{
	unsigned n = 0;
	size_t used;

	while (len) {
		if (n == XS_PERMS_MAX)
			return -ENOSPC;
		used = parse_entry(strings, len, &entries[n]);
		if (!used)
			return -EINVAL;
		n++;
		strings += used;
		len -= used;
	}
	if (!n)
		return -EINVAL;
	*nr = n;
	return 0;
}

int xs_perms_format(const struct xs_perms *perms, char *out, size_t room)
{
	size_t used = 0;
	unsigned i;
	int len;

	for (i = 0; i < perms->nr; i++) {
		len = snprintf(out + used, room - used, "%c%u", "nrwb"[perms->entry[i].access],
		               perms -> entry[i].domid);
		if (len < 0 || (size_t)len >= room - used)
			return -E2BIG;
		used += (size_t)len + 1;
	}
	return (int)used;
}
