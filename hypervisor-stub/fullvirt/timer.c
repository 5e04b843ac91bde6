/* SPDX-License-Identifier: MIT */
/*
 * The devices' timers (timer.h). They are few, so the earliest is found by looking at all.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/fullvirt/timer.h"

#define NS_PER_S 1000000000ull

struct fv_timers {
	pthread_mutex_t lock;
	pthread_t thread;
	int fd;
	struct fv_timer *first;
	struct fv_timer *running;
	pthread_cond_t ran;
	uint64_t armed; /* what the descriptor is set to; 0: nothing */
	bool stop;
};

uint64_t fv_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void set_descriptor(struct fv_timers *ts, uint64_t deadline)
{
	struct itimerspec its = { 0 };

	its.it_value.tv_sec = (time_t)(deadline / NS_PER_S);
	its.it_value.tv_nsec = (long)(deadline % NS_PER_S);
	ts->armed = deadline;
	timerfd_settime(ts->fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* Lock held. The descriptor may fire too early, never too late. */
static void arm(struct fv_timers *ts)
{
	uint64_t earliest = UINT64_MAX;

	for (struct fv_timer *t = ts->first; t; t = t->next)
		if (t->deadline && t->deadline < earliest)
			earliest = t->deadline;
	if (ts->stop)
		earliest = 1;
	if (earliest != UINT64_MAX && (!ts->armed || earliest < ts->armed))
		set_descriptor(ts, earliest);
}

/* Lock held; given up around the call. Returns whether one was due. */
static bool run_one(struct fv_timers *ts, uint64_t now)
{
	for (struct fv_timer *t = ts->first; t; t = t->next) {
		if (!t->deadline || t->deadline > now)
			continue;
		t->deadline = 0;
		ts->running = t;
		pthread_mutex_unlock(&ts->lock);
		t->fn(t->arg);
		pthread_mutex_lock(&ts->lock);
		ts->running = NULL;
		pthread_cond_broadcast(&ts->ran);
		return true;
	}
	return false;
}

static void *timer_thread(void *arg)
{
	struct fv_timers *ts = arg;
	uint64_t ticks, now;

	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&ts->lock);
	while (!ts->stop) {
		arm(ts);
		pthread_mutex_unlock(&ts->lock);
		if (read(ts->fd, &ticks, sizeof(ticks)) < 0 && errno != EINTR && errno != EAGAIN)
			abort(); /* a descriptor of our own that cannot be read: our bug */
		now = fv_now();
		pthread_mutex_lock(&ts->lock);
		ts->armed = 0;
		/* Those set anew by a call wait for the next round, so that none can starve another. */
		while (!ts->stop && run_one(ts, now))
			;
	}
	pthread_mutex_unlock(&ts->lock);
	return NULL;
}

static int start_thread(struct fv_timers *ts)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&ts->thread, NULL, timer_thread, ts);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

int fv_timers_create(struct fv_timers **out)
{
	struct fv_timers *ts = calloc(1, sizeof(*ts));
	int rc;

	if (!ts)
		return -ENOMEM;
	pthread_mutex_init(&ts->lock, NULL);
	pthread_cond_init(&ts->ran, NULL);
	ts->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	rc = ts->fd < 0 ? -errno : start_thread(ts);
	if (rc) {
		if (ts->fd >= 0)
			close(ts->fd);
		pthread_cond_destroy(&ts->ran);
		pthread_mutex_destroy(&ts->lock);
		free(ts);
		return rc;
	}
	*out = ts;
	return 0;
}

void fv_timers_destroy(struct fv_timers *ts)
{
	pthread_mutex_lock(&ts->lock);
	ts->stop = true;
	arm(ts);
	pthread_mutex_unlock(&ts->lock);
	pthread_join(ts->thread, NULL);
	close(ts->fd);
	pthread_cond_destroy(&ts->ran);
	pthread_mutex_destroy(&ts->lock);
	free(ts);
}

void fv_timer_init(struct fv_timer *t, struct fv_timers *timers, void (*fn)(void *arg), void *arg)
{
	*t = (struct fv_timer){ .fn = fn, .arg = arg, .timers = timers };
	pthread_mutex_lock(&timers->lock);
	t->next = timers->first;
	timers->first = t;
	pthread_mutex_unlock(&timers->lock);
}

void fv_timer_set(struct fv_timer *t, uint64_t deadline)
{
	struct fv_timers *ts = t->timers;

	pthread_mutex_lock(&ts->lock);
	t->deadline = deadline;
	if (!ts->armed || deadline < ts->armed)
		set_descriptor(ts, deadline);
	pthread_mutex_unlock(&ts->lock);
}

void fv_timer_stop(struct fv_timer *t)
{
	pthread_mutex_lock(&t->timers->lock);
	t->deadline = 0;
	pthread_mutex_unlock(&t->timers->lock);
}

void fv_timer_fini(struct fv_timer *t)
{
	struct fv_timers *ts = t->timers;
	struct fv_timer **at = &ts->first;

	pthread_mutex_lock(&ts->lock);
	while (ts->running == t)
		pthread_cond_wait(&ts->ran, &ts->lock);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	pthread_mutex_unlock(&ts->lock);
}
