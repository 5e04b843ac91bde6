/* SPDX-License-Identifier: MIT */
/*
 * How the consoles of several domains share one standard output; see screen.h.
 */
#include <stdio.h>
#include <string.h>

#include "hypervisor-stub/toolstack/screen.h"

/* How soon somebody who waits for a reader sees that he shall not; there is no bell for one channel. */
#define LOOK_AGAIN_MS 100

void screen_init(struct screen *s, struct outlet *out)
{
	*s = (struct screen){ .out = out };
	pthread_mutex_init(&s->lock, NULL);
}

void screen_fini(struct screen *s)
{
	pthread_mutex_destroy(&s->lock);
}

/* ---- lines with a name ---------------------------------------------------------------------- */

/* Pushes the line that is on its way; true when it is out, or nobody reads any more. */
static bool push_line(struct screen *s)
{
	ssize_t n = outlet_try(s->out, s->line + s->done, s->len - s->done);

	s->done = n < 0 ? s->len : s->done + (size_t)n;
	return s->done == s->len;
}

/*
 * Takes over a line when the one before it is out: true. Only whole lines are taken, and one at a
 * time, so lines of two domains cannot run into each other.
 */
static bool take_line(struct screen *s, const char *name, const char *line, size_t len)
{
	bool is_free;

	pthread_mutex_lock(&s->lock);
	is_free = push_line(s);
	if (is_free) {
		if (len > CHANNEL_LINE)
			len = CHANNEL_LINE;
		s->len = (size_t)snprintf(s->line, sizeof(s->line), "%s: ", name);
		memcpy(s->line + s->len, line, len);
		s->len += len;
		s->line[s->len++] = '\n';
		s->done = 0;
		push_line(s);
	}
	pthread_mutex_unlock(&s->lock);
	return is_free;
}

static bool flush_screen(struct screen *s)
{
	bool is_out;

	pthread_mutex_lock(&s->lock);
	is_out = push_line(s);
	pthread_mutex_unlock(&s->lock);
	return is_out;
}

/*
 * Gathers bytes up to a newline. The byte that completes a line is taken only together with the
 * line, so that whoever feeds us knows that something waits.
 */
static size_t put_named(struct channel *c, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n' && c->part_len < sizeof(c->part)) {
			c->part[c->part_len++] = bytes[i];
			continue;
		}
		/* The name stands before the line; a carriage return would put the line over it. */
		while (c->part_len && c->part[c->part_len - 1] == '\r')
			c->part_len--;
		if (!take_line(c->screen, c->name, c->part, c->part_len))
			return i;
		c->part_len = 0;
		if (bytes[i] != '\n')
			c->part[c->part_len++] = bytes[i];
	}
	return len;
}

/* ---- viewers -------------------------------------------------------------------------------- */

static void show(struct viewer *v, const char *bytes, size_t len)
{
	if (len > VIEWER_ROOM) {
		bytes += len - VIEWER_ROOM;
		len = VIEWER_ROOM;
	}
	if (v->len + len > VIEWER_ROOM) {
		size_t lost = v->len + len - VIEWER_ROOM;

		v->from = (v->from + lost) % VIEWER_ROOM;
		v->len -= lost;
	}
	for (size_t i = 0; i < len; i++)
		v->bytes[(v->from + v->len + i) % VIEWER_ROOM] = bytes[i];
	v->len += len;
}

/* What was taken is remembered, and seen by everybody who looks. */
static void record(struct channel *c, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		c->backlog[c->written++ % CHANNEL_BACKLOG] = bytes[i];
	for (struct viewer *v = c->viewers; v && len; v = v->next) {
		show(v, bytes, len);
		v->ring(v->arg);
	}
}

void channel_watch(struct channel *c, struct viewer *v)
{
	size_t from;

	pthread_mutex_lock(&c->lock);
	v->from = v->len = 0;
	from = c->written > CHANNEL_BACKLOG ? c->written - CHANNEL_BACKLOG : 0;
	for (size_t i = from; i < c->written; i++)
		show(v, &c->backlog[i % CHANNEL_BACKLOG], 1);
	v->next = c->viewers;
	c->viewers = v;
	pthread_mutex_unlock(&c->lock);
}

void channel_unwatch(struct channel *c, struct viewer *v)
{
	struct viewer **link;

	pthread_mutex_lock(&c->lock);
	for (link = &c->viewers; *link != v; link = &(*link)->next)
		;
	*link = v->next;
	pthread_mutex_unlock(&c->lock);
}

size_t channel_view(struct channel *c, struct viewer *v, void *bytes, size_t len)
{
	char *out = bytes;

	pthread_mutex_lock(&c->lock);
	if (len > v->len)
		len = v->len;
	for (size_t i = 0; i < len; i++)
		out[i] = v->bytes[(v->from + i) % VIEWER_ROOM];
	v->from = (v->from + len) % VIEWER_ROOM;
	v->len -= len;
	pthread_mutex_unlock(&c->lock);
	return len;
}

/* ---- channels ------------------------------------------------------------------------------- */

void channel_init(struct channel *c, struct screen *s, const char *name, enum channel_mode mode)
{
	memset(c, 0, sizeof(*c));
	c->screen = s;
	c->mode = mode;
	snprintf(c->name, sizeof(c->name), "%s", name);
	pthread_mutex_init(&c->lock, NULL);
}

void channel_fini(struct channel *c)
{
	pthread_mutex_destroy(&c->lock);
}

/* The lock is held. A reader that is gone loses its copy; viewers may still look. */
static size_t put_locked(struct channel *c, const char *bytes, size_t len)
{
	ssize_t n = (ssize_t)len;

	if (c->mode == CHANNEL_PLAIN)
		n = outlet_try(c->screen->out, bytes, len);
	else if (c->mode == CHANNEL_NAMED)
		n = (ssize_t)put_named(c, bytes, len);
	if (n < 0)
		n = (ssize_t)len;
	record(c, bytes, (size_t)n);
	return (size_t)n;
}

ssize_t channel_put(void *channel, const void *bytes, size_t len)
{
	struct channel *c = channel;
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = put_locked(c, bytes, len);
	pthread_mutex_unlock(&c->lock);
	return (ssize_t)n;
}

bool channel_flush(void *channel, bool at_end)
{
	struct channel *c = channel;
	bool waits = false;

	if (c->mode != CHANNEL_NAMED)
		return false;
	pthread_mutex_lock(&c->lock);
	if (at_end && c->part_len) {
		waits = !take_line(c->screen, c->name, c->part, c->part_len);
		if (!waits)
			c->part_len = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return !flush_screen(c->screen) || waits;
}

/* Gives the screen a line, or what is left of it; true when it is out. */
static bool try_line(struct channel *c, const char **line, size_t *len)
{
	ssize_t n;

	if (c->mode == CHANNEL_NAMED)
		return take_line(c->screen, c->name, *line, *len ? *len - 1 : 0);
	n = c->mode == CHANNEL_PLAIN ? outlet_try(c->screen->out, *line, *len) : (ssize_t)*len;
	if (n < 0 || (size_t)n == *len)
		return true;
	*line += n;
	*len -= (size_t)n;
	return false;
}

void channel_put_line(struct channel *c, const char *line, size_t len)
{
	const char *rest = line;
	size_t rest_len = len;

	while (!try_line(c, &rest, &rest_len)) {
		if (atomic_load(&c->is_cut) || !outlet_wait(c->screen->out, LOOK_AGAIN_MS))
			break;
	}
	pthread_mutex_lock(&c->lock);
	record(c, line, len);
	pthread_mutex_unlock(&c->lock);
}

void channel_stop(struct channel *c)
{
	atomic_store(&c->is_cut, true);
}
