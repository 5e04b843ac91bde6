/* SPDX-License-Identifier: MIT */
/*
 * A set of paths with flags: an array of entries and an open-addressing hash table of indexes.
 */
#include "hypervisor-stub/core/xenstore/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/xenstore/path.h"

static unsigned *find_slot(const struct xs_trace *t, const char *path, size_t len, uint32_t hash)
{
	unsigned mask = t->room * 2 - 1, i = hash & mask;
	const struct xs_trace_entry *e;

	for (; t->slot[i]; i = (i + 1) & mask) {
		e = &t->entry[t->slot[i] - 1];
		if (e->hash == hash && !strncmp(e->path, path, len) && !e->path[len])
			break;
	}
	return &t->slot[i];
}

static int grow(struct xs_trace *t)
{
	unsigned room = t->room ? t->room * 2 : 4, i;
	struct xs_trace_entry *entry = realloc(t->entry, room * sizeof(*entry));
	unsigned *changed, *slot;

	if (!entry)
		return -ENOMEM;
	t->entry = entry;
	changed = realloc(t->changed, room * sizeof(*changed));
	if (!changed)
		return -ENOMEM;
	t->changed = changed;
	slot = calloc(room * 2, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	free(t->slot);
	t->slot = slot;
	t->room = room;
	for (i = 0; i < t->nr; i++)
		*find_slot(t, entry[i].path, strlen(entry[i].path), entry[i].hash) = i + 1;
	return 0;
}

static int add(struct xs_trace *t, const char *path, size_t len, uint32_t hash)
{
	char *copy;
	int rc;

	if ((t->max_entries && t->nr >= t->max_entries) ||
	    (t->max_bytes && t->bytes + len > t->max_bytes))
		return -ENOSPC;
	if (t->nr == t->room) {
		rc = grow(t);
		if (rc)
			return rc;
	}
	copy = strndup(path, len);
	if (!copy)
		return -ENOMEM;
	t->entry[t->nr] = (struct xs_trace_entry){ .path = copy, .hash = hash };
	t->bytes += len;
	*find_slot(t, path, len, hash) = ++t->nr;
	return 0;
}

int xs_trace_note(struct xs_trace *t, const char *path, size_t len, unsigned flags)
{
	uint32_t hash = XS_HASH_START;
	struct xs_trace_entry *e;
	unsigned *slot = NULL;
	size_t i;
	int rc;

	for (i = 0; i < len; i++)
		hash = xs_hash_add(hash, path[i]);
	if (t->room)
		slot = find_slot(t, path, len, hash);
	if (!slot || !*slot) {
		rc = add(t, path, len, hash);
		if (rc)
			return rc;
		slot = find_slot(t, path, len, hash);
	}
	e = &t->entry[*slot - 1];
	if ((flags & XS_TRACE_CHANGED) && !(e->flags & XS_TRACE_CHANGED))
		t->changed[t->nr_changed++] = *slot - 1;
	e->flags |= flags;
	return 0;
}

void xs_trace_clear(struct xs_trace *t)
{
	unsigned i;

	for (i = 0; i < t->nr; i++)
		free(t->entry[i].path);
	free(t->entry);
	free(t->slot);
	free(t->changed);
	*t = (struct xs_trace){ .max_entries = t->max_entries, .max_bytes = t->max_bytes };
}
