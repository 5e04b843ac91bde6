/* SPDX-License-Identifier: MIT */
/*
 * The main thread's loop; see loop.h.
 */
#include <errno.h>
#include <poll.h>

#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/toolstack/loop.h"

void loop_init(struct loop *l)
{
	l->stop = false;
	for (int i = 0; i < LOOP_MAX_WATCHERS; i++)
		l->watcher[i].fd = -1;
}

int loop_add(struct loop *l, int fd, short events, loop_fn *fn, void *arg)
{
	for (int i = 0; i < LOOP_MAX_WATCHERS; i++) {
		if (l->watcher[i].fd >= 0)
			continue;
		l->watcher[i] = (struct loop_watcher){ fd, events, fn, arg };
		return i;
	}
	return -1;
}

void loop_set(struct loop *l, int handle, short events)
{
	l->watcher[handle].events = events;
}

void loop_remove(struct loop *l, int handle)
{
	l->watcher[handle].fd = -1;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

/*
 * One round. Whom nobody wants to hear (events 0) is left out of the poll altogether: a descriptor
 * that has hung up would otherwise wake the loop for ever.
 */
static void loop_once(struct loop *l)
{
	struct pollfd p[LOOP_MAX_WATCHERS];
	int who[LOOP_MAX_WATCHERS];
	nfds_t nr = 0;

	for (int i = 0; i < LOOP_MAX_WATCHERS; i++) {
		const struct loop_watcher *w = &l->watcher[i];

		if (w->fd < 0 || !w->events)
			continue;
		p[nr] = (struct pollfd){ .fd = w->fd, .events = w->events };
		who[nr++] = i;
	}
	if (poll(p, nr, -1) < 0) {
		HV_ASSERT(errno == EINTR || errno == ENOMEM);
		return;
	}
	for (nfds_t i = 0; i < nr && !l->stop; i++) {
		const struct loop_watcher *w = &l->watcher[who[i]];

		/* It may have been removed, or replaced, by one that was called before it. */
		if (p[i].revents && w->fd == p[i].fd && w->events)
			w->fn(w->arg, p[i].revents);
	}
}

void loop_run(struct loop *l)
{
	while (!l->stop)
		loop_once(l);
}
