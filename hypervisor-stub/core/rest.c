/* SPDX-License-Identifier: MIT */
/*
 * Resting; see rest.h.
 *
 * Being woken costs more than a short rest is long: when the last rests were short, this one begins by
 * looking. A look gives the core to whoever wants it, and when that takes long there is a crowd, which is
 * left alone for a while, and for longer when it is still there afterwards. A guest with a bounded share pays for what it uses, so it does not look.
 *
 * How an end is not lost: whoever ends a rest has written why before hv_rest_end() takes wake_lock. The
 * sleeper holds that lock from its last look until it has said how it sleeps, so either the look sees why,
 * or the other one sees how.
 */
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/hv.h"

#define LOOK_MIN_NS  10000u
#define LOOK_MAX_NS  50000u
#define CROWDED_NS   200000u /* a look that took so long */
#define BELL         1u      /* in the events of an epoll; 0: something that was lent */
#define PAUSE_MIN_NS 10000000u
#define PAUSE_MAX_NS 1000000000u

void hv_rest_init(struct hv_vcpu *v)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&v->sched.wake_lock, NULL);
	pthread_mutex_init(&v->sched.rest.lent_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->sched.wake_cond, &attr);
	pthread_condattr_destroy(&attr);
	v->sched.rest.epoll = v->sched.rest.bell = -1;
}

void hv_rest_fini(struct hv_vcpu *v)
{
	struct hv_rest *r = &v->sched.rest;

	if (r->bell >= 0)
		close(r->bell);
	if (r->epoll >= 0)
		close(r->epoll);
	pthread_cond_destroy(&v->sched.wake_cond);
	pthread_mutex_destroy(&r->lent_lock);
	pthread_mutex_destroy(&v->sched.wake_lock);
}

bool hv_rest_is_due(struct hv_vcpu *v)
{
	if (atomic_load(&v->domain->ending))
		return false;
	return !atomic_load(&v->is_up) || atomic_load(&v->sched.blocked);
}

static bool is_over(struct hv_vcpu *v)
{
	return !hv_rest_is_due(v) || atomic_load(&v->sched.attention);
}

void hv_rest_end(struct hv_vcpu *v)
{
	struct hv_rest *r = &v->sched.rest;
	int how;

	pthread_mutex_lock(&v->sched.wake_lock);
	how = r->how;
	pthread_mutex_unlock(&v->sched.wake_lock);
	if (how == HV_REST_ON_EPOLL)
		eventfd_write(r->bell, 1);
	else
		pthread_cond_signal(&v->sched.wake_cond);
}

/* ---- what was lent ---------------------------------------------------------------------------- */

static int timed_epoll(int epoll, struct epoll_event *e, int nr, uint64_t host_ns)
{
	uint64_t now = hv_time_host_ns(), ns = host_ns > now ? host_ns - now : 0;
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	return (int)syscall(SYS_epoll_pwait2, epoll, e, nr, host_ns == HV_TIME_NEVER ? NULL : &ts,
	                    NULL, 0ul);
}

/* Lock: lent_lock. Both descriptors are made with the first thing that is lent. */
static int prepare(struct hv_rest *r)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = BELL };

	if (r->epoll >= 0)
		return 0;
	r->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->bell >= 0 && r->epoll >= 0 && !epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->bell, &e) &&
	    timed_epoll(r->epoll, &e, 1, 0) == 0)
		return 0;
	if (r->bell >= 0)
		close(r->bell);
	if (r->epoll >= 0)
		close(r->epoll);
	r->bell = r->epoll = -1;
	return -ENOSYS;
}

int hv_rest_lend(struct hv_vcpu *v, int fd, void (*ready)(void *arg), void *arg)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	struct hv_rest *r = &v->sched.rest;
	int rc, n = 0;

	pthread_mutex_lock(&r->lent_lock);
	rc = prepare(r);
	while (!rc && n < HV_REST_LENT && r->lent[n].ready)
		n++;
	if (n == HV_REST_LENT)
		rc = -ENOSPC;
	if (!rc && epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &e))
		rc = -errno;
	if (!rc) {
		r->lent[n] = (struct hv_lent){ ready, arg, fd };
		atomic_fetch_add(&r->nr_lent, 1);
	}
	pthread_mutex_unlock(&r->lent_lock);
	if (rc)
		return rc;
	/* One that sleeps as if it had nothing to look after sleeps anew. */
	hv_vcpu_poke(v);
	return n;
}

void hv_rest_take_back(struct hv_vcpu *v, int number)
{
	struct hv_rest *r = &v->sched.rest;

	pthread_mutex_lock(&r->lent_lock);
	epoll_ctl(r->epoll, EPOLL_CTL_DEL, r->lent[number].fd, NULL);
	r->lent[number].ready = NULL;
	atomic_fetch_sub(&r->nr_lent, 1);
	pthread_mutex_unlock(&r->lent_lock);
}

static void serve_lent(struct hv_vcpu *v)
{
	struct hv_rest *r = &v->sched.rest;

	pthread_mutex_lock(&r->lent_lock);
	for (unsigned i = 0; i < HV_REST_LENT; i++) {
		if (r->lent[i].ready)
			r->lent[i].ready(r->lent[i].arg);
	}
	pthread_mutex_unlock(&r->lent_lock);
}

/* ---- resting ---------------------------------------------------------------------------------- */

static void avoid_crowd(struct hv_rest *r, uint64_t now)
{
	bool again = now - r->looks_again_ns < r->pause_ns;

	r->pause_ns = again ? r->pause_ns * 2 : PAUSE_MIN_NS;
	if (r->pause_ns > PAUSE_MAX_NS)
		r->pause_ns = PAUSE_MAX_NS;
	r->looks_again_ns = now + r->pause_ns;
	r->look_ns = 0;
}

/* host_ns: when a timer is due. */
static void look_around(struct hv_vcpu *v, uint64_t start, uint64_t host_ns)
{
	struct hv_rest *r = &v->sched.rest;
	uint64_t now = start, before;

	if (v->domain->sched.cap.budget_ns || start < r->looks_again_ns)
		return;
	while (!is_over(v) && now - start < r->look_ns && now < host_ns) {
		if (atomic_load(&r->nr_lent))
			serve_lent(v);
		if (is_over(v))
			break;
		before = now;
		sched_yield();
		now = hv_time_host_ns();
		if (now - before > CROWDED_NS)
			avoid_crowd(r, now);
	}
}

/* took_ns: of the whole rest. */
static void learn(struct hv_vcpu *v, uint64_t took_ns)
{
	uint64_t *look = &v->sched.rest.look_ns;

	if (took_ns > LOOK_MAX_NS)
		*look = 0;
	else if (took_ns > *look)
		*look = *look ? LOOK_MAX_NS : LOOK_MIN_NS;
}

static void sleep_on_cond(struct hv_vcpu *v, uint64_t host_ns)
{
	struct timespec ts = { (time_t)(host_ns / 1000000000), (long)(host_ns % 1000000000) };
	struct hv_vcpu_sched *s = &v->sched;
	int rc = 0;

	pthread_mutex_lock(&s->wake_lock);
	s->rest.how = HV_REST_ON_COND;
	while (!is_over(v) && rc != ETIMEDOUT) {
		if (host_ns == HV_TIME_NEVER)
			pthread_cond_wait(&s->wake_cond, &s->wake_lock);
		else
			rc = pthread_cond_timedwait(&s->wake_cond, &s->wake_lock, &ts);
	}
	s->rest.how = HV_REST_AWAKE;
	pthread_mutex_unlock(&s->wake_lock);
}

static void sleep_on_epoll(struct hv_vcpu *v, uint64_t host_ns)
{
	struct epoll_event e[HV_REST_LENT + 1];
	struct hv_vcpu_sched *s = &v->sched;
	bool lent = false;
	eventfd_t n;
	int nr;

	pthread_mutex_lock(&s->wake_lock);
	if (is_over(v)) {
		pthread_mutex_unlock(&s->wake_lock);
		return;
	}
	s->rest.how = HV_REST_ON_EPOLL;
	pthread_mutex_unlock(&s->wake_lock);
	nr = timed_epoll(s->rest.epoll, e, HV_REST_LENT + 1, host_ns);
	pthread_mutex_lock(&s->wake_lock);
	s->rest.how = HV_REST_AWAKE;
	pthread_mutex_unlock(&s->wake_lock);
	for (int i = 0; i < nr; i++) {
		if (e[i].data.u32 == BELL)
			eventfd_read(s->rest.bell, &n);
		else
			lent = true;
	}
	if (lent)
		serve_lent(v);
}

void hv_rest(struct hv_vcpu *v, uint64_t host_ns)
{
	uint64_t start = hv_time_host_ns();

	look_around(v, start, host_ns);
	if (!is_over(v)) {
		if (atomic_load(&v->sched.rest.nr_lent))
			sleep_on_epoll(v, host_ns);
		else
			sleep_on_cond(v, host_ns);
	}
	atomic_store(&v->sched.attention, false);
	learn(v, hv_time_host_ns() - start);
}
