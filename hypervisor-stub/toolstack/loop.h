/* SPDX-License-Identifier: MIT */
/*
 * The main thread's loop: it sleeps until a descriptor is ready and calls whoever asked for that.
 *
 * All of it belongs to one thread. A watcher may remove itself or others while it is called.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_LOOP_H
#define HYPERVISOR_STUB_TOOLSTACK_LOOP_H

#include <stdbool.h>

#define LOOP_MAX_WATCHERS 128

typedef void loop_fn(void *arg, short revents);

struct loop_watcher {
	int fd; /* -1: a free place */
	short events;
	loop_fn *fn;
	void *arg;
};

struct loop {
	struct loop_watcher watcher[LOOP_MAX_WATCHERS];
	bool stop;
};

void loop_init(struct loop *l);
/* events: POLLIN, POLLOUT or 0 for a while of neither. Returns a handle, or -1 when there is no room. */
int loop_add(struct loop *l, int fd, short events, loop_fn *fn, void *arg);
void loop_set(struct loop *l, int handle, short events);
void loop_remove(struct loop *l, int handle);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
