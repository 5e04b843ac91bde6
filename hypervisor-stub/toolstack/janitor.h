/* SPDX-License-Identifier: MIT */
/*
 * What must not be left behind however we end, a kill included: a process of its own waits for our end
 * and takes it away.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_JANITOR_H
#define HYPERVISOR_STUB_TOOLSTACK_JANITOR_H

#include <sys/types.h>

struct janitor {
	int fd;    /* while it is open the janitor waits */
	pid_t pid; /* 0: there is none */
};

/*
 * janitor_start - from now on clean(what) is called, in another process, when we end or ask for it
 * To be called before there is any memory of guests: that process keeps what is mapped now.
 * Returns 0 or a negative errno.
 */
int janitor_start(struct janitor *j, void (*clean)(const void *what), const void *what);
/* Has it cleaned now, and waits for it. */
void janitor_end(struct janitor *j);

#endif
