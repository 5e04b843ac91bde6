/* SPDX-License-Identifier: MIT */
/*
 * What an operation or a transaction looked at, and what it changed: a set of paths with flags.
 *
 * Invariant: a path stands in the set once; the changed ones are also kept in the order in which
 * each was changed for the first time, which is the order of their watch events.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_TRACE_H
#define HYPERVISOR_STUB_CORE_XENSTORE_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum {
	XS_TRACE_READ = 1,    /* depends on the node's value, permissions or list of children */
	XS_TRACE_CHANGED = 2, /* created, written, removed, or permissions set */
	XS_TRACE_REMOVED = 4, /* removed with all below it, if only for a while */
};

struct xs_trace_entry {
	char *path;
	unsigned flags;
	uint32_t hash;
};

struct xs_trace {
	struct xs_trace_entry *entry;
	unsigned nr, room;
	unsigned *slot; /* hash table: index into entry plus 1; 0: empty; room * 2 slots */
	unsigned *changed;
	unsigned nr_changed;
	size_t bytes; /* of all paths */
	/* Limits, set by the owner; 0: none. */
	unsigned max_entries;
	size_t max_bytes;
};

/* Adds flags to the entry of the path's first len bytes. 0, -ENOMEM, or -ENOSPC at a limit. */
int xs_trace_note(struct xs_trace *t, const char *path, size_t len, unsigned flags);
/* Empties it; the limits stay. */
void xs_trace_clear(struct xs_trace *t);

#endif
