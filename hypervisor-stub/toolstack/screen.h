/* SPDX-License-Identifier: MIT */
/*
 * How the consoles of several domains share one standard output, and who else looks at them.
 *
 * A channel is what one domain's console writes to. On the screen it is shown as it is, or line by
 * line with the domain's name in front, or not at all. Whatever is shown has its reader's pace: when
 * the screen is full the channel takes nothing. Beside the screen a channel keeps its last bytes for
 * those who come later (`paravane console`), and gives a copy to each viewer; a viewer that is slow
 * loses the oldest bytes that it has not seen, and delays nobody.
 *
 * Any thread may write. Locks: channel, then screen, then outlet.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_SCREEN_H
#define HYPERVISOR_STUB_TOOLSTACK_SCREEN_H

#include <stdatomic.h>

#include "hypervisor-stub/toolstack/options.h"
#include "hypervisor-stub/toolstack/outlet.h"

#define CHANNEL_BACKLOG 16384u /* bytes kept for those who come later */
#define CHANNEL_LINE    512u   /* a longer line is shown in pieces */
#define VIEWER_ROOM     65536u

struct screen {
	struct outlet *out;
	pthread_mutex_t lock;
	char line[CHANNEL_LINE + OPTIONS_NAME_MAX + 4]; /* on its way out */
	size_t len, done;
};

struct viewer {
	struct viewer *next;
	void (*ring)(void *arg); /* there is something; any thread, must not wait */
	void *arg;
	char bytes[VIEWER_ROOM];
	size_t from, len;
};

enum channel_mode { CHANNEL_PLAIN, CHANNEL_NAMED, CHANNEL_HIDDEN };

struct channel {
	struct screen *screen;
	enum channel_mode mode;
	char name[OPTIONS_NAME_MAX + 1];
	pthread_mutex_t lock;
	char part[CHANNEL_LINE]; /* of a line; CHANNEL_NAMED only */
	size_t part_len;
	char backlog[CHANNEL_BACKLOG];
	size_t written; /* into the backlog, in all */
	struct viewer *viewers;
	atomic_bool is_cut; /* nobody waits for the screen any more */
};

void screen_init(struct screen *s, struct outlet *out);
void screen_fini(struct screen *s);

void channel_init(struct channel *c, struct screen *s, const char *name, enum channel_mode mode);
void channel_fini(struct channel *c);
/* As consback_sink_fn has it: how many bytes were taken, or a negative errno. */
ssize_t channel_put(void *channel, const void *bytes, size_t len);
/*
 * Moves on what the screen holds back; with at_end also a line that has no end yet.
 * Returns true when something has to wait for room on the screen.
 */
bool channel_flush(void *channel, bool at_end);
/* A whole line with its newline, waiting for room as long as it takes, or until one of the stops. */
void channel_put_line(struct channel *c, const char *line, size_t len);
/* From now on nobody waits in channel_put_line(). Any thread. */
void channel_stop(struct channel *c);

/* v: ring and arg set; it gets the backlog first. */
void channel_watch(struct channel *c, struct viewer *v);
void channel_unwatch(struct channel *c, struct viewer *v);
/* Takes up to len bytes of what v has not seen; their number. */
size_t channel_view(struct channel *c, struct viewer *v, void *bytes, size_t len);

#endif
