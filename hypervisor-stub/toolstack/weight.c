/* SPDX-License-Identifier: MIT */
/*
 * Weights of domains; see weight.h.
 *
 * Source: sched(7): one step of nice is a factor of 1.25; setpriority(2): on Linux a thread's own.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/weight.h"

#define USUAL 256

struct work {
	int nice;
	const struct cgroup *group;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool denied;
};

int weight_nice(unsigned weight)
{
	double ratio = (double)weight / USUAL;
	int nice = 0;

	/* Half a step is where rounding turns. */
	for (; ratio > 1.118 && nice > -20; nice--)
		ratio /= 1.25;
	for (; ratio < 0.894 && nice < 19; nice++)
		ratio *= 1.25;
	return nice;
}

static void *do_work(void *arg)
{
	struct work *w = arg;
	id_t self = (id_t)syscall(SYS_gettid);
	int now = getpriority(PRIO_PROCESS, self);

	w->denied = w->nice && setpriority(PRIO_PROCESS, self, now + w->nice) != 0;
	w->rc = w->group->dir[0] ? cgroup_join(w->group) : 0;
	if (!w->rc)
		w->rc = w->fn(w->arg);
	return NULL;
}

int weight_call(unsigned weight, const struct cgroup *group, int (*fn)(void *arg), void *arg,
                bool *denied)
{
	struct work w = { .group = group, .fn = fn, .arg = arg };
	pthread_t thread;

	w.nice = weight ? weight_nice(weight) : 0;
	*denied = false;
	if (!w.nice && !group->dir[0])
		return fn(arg);
	if (pthread_create(&thread, NULL, do_work, &w))
		return -EAGAIN;
	pthread_join(thread, NULL);
	*denied = w.denied;
	return w.rc;
}
