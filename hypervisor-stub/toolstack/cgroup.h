/* SPDX-License-Identifier: MIT */
/*
 * A control group of its own for a domain with a cap, below the one that we are in, where the host lets
 * us make one: `cpu.max` of version 2 (a delegated group), or the quota of version 1.
 *
 * Threads and processes are made in the group of the thread that makes them, so what builds and starts
 * the domain joins the group and everything else of the domain comes after it. The group is removed by
 * a process of its own that waits for our end, so it goes with us however we end.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CGROUP_H
#define HYPERVISOR_STUB_TOOLSTACK_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "hypervisor-stub/toolstack/janitor.h"

struct cgroup {
	char dir[1024]; /* empty: there is none */
	bool is_v2;
	struct janitor janitor; /* removes it */
};

/* Where the host says what groups there are. */
struct cgroup_host {
	const char *self;   /* /proc/self/cgroup */
	const char *mounts; /* /proc/self/mountinfo */
};
extern const struct cgroup_host cgroup_host;

/*
 * cgroup_find - our own group of the cpu controller
 * dir: out: its directory. Returns 2 or 1, the version, or -ENOENT.
 */
int cgroup_find(const struct cgroup_host *h, char *dir, size_t size);
/*
 * cgroup_make - a group below ours with a cap of `percent` of one processor
 * g: out; unchanged when it fails. To be called before there is any memory of guests, for a process is forked.
 * Returns 0, or a negative errno when this host lets us have none: nothing is left behind then.
 */
int cgroup_make(struct cgroup *g, const struct cgroup_host *h, const char *name, unsigned percent);
/* The calling thread goes into it. 0 or a negative errno. */
int cgroup_join(const struct cgroup *g);
/* Removes it, once nobody is in it any more. */
void cgroup_remove(struct cgroup *g);

#endif
