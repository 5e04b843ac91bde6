/* SPDX-License-Identifier: MIT */
/*
 * Choosing the core of a vCPU's group, and moving it when others want the same core.
 *
 * A hand-over between two threads on one core costs a context switch; between two cores it costs a
 * wake-up of a sleeping core, ten times as much. So the group stays together, pinned; and what the
 * host's scheduler would do for it, it does itself: while it runs, and only then, it compares now
 * and then the processor time that it wanted with what it got. When that is clearly less, it tries
 * another core after a random moment (so that not all of a crowd run away at once), and comes back
 * when it got no more there; each such failure makes it more patient.
 *
 * An idle vCPU looks at nothing: there is no timer behind this.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#define WINDOW_NS       100000000u
#define FIRST_WINDOW_NS 20000000u
#define ENOUGH          850u  /* of 1000 wanted */
#define BETTER          1100u /* a new core's share by the old one's, in 1/1000, to stay there */
#define IDLE_ENOUGH     300u  /* a core this idle is worth going to */
#define JITTER_NS       200000000u
#define PATIENCE_NS     500000000u
#define PATIENCE_MAX_NS 30000000000u
#define SPIN_IDLE       900u /* a core this idle may be spent on spinning */
#define SPIN_PAUSE_NS   2000000000u
#define SHORT_GAP_TICKS 200000u /* between two runs: the core's own work, not a guest that blocks */

/* ---- the decision ------------------------------------------------------------------------------ */

static uint32_t chance(struct pe_place *p)
{
	uint32_t x = p->chance ? p->chance : 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	p->chance = x;
	return x;
}

/* The idlest other core; when none is known to be idle, any one. */
static int choose(struct pe_place *p, const bool *allowed, const unsigned *idle, unsigned nr_cores)
{
	unsigned others = 0, skip;
	int best = -1;

	for (unsigned c = 0; c < nr_cores; c++) {
		if (!allowed[c] || (int)c == p->core)
			continue;
		others++;
		if (idle && (best < 0 || idle[c] > idle[best]))
			best = (int)c;
	}
	if (!others)
		return p->core;
	if (best >= 0 && idle[best] >= IDLE_ENOUGH)
		return best;
	skip = chance(p) % others;
	for (unsigned c = 0;; c++) {
		if (allowed[c] && (int)c != p->core && !skip--)
			return (int)c;
	}
}

static void be_patient(struct pe_place *p, uint64_t now)
{
	p->patience = p->patience ? p->patience * 2 : PATIENCE_NS;
	if (p->patience > PATIENCE_MAX_NS)
		p->patience = PATIENCE_MAX_NS;
	p->not_before = now + p->patience + chance(p) % PATIENCE_NS;
	p->state = PE_PLACE_CALM;
}

int pe_place_decide(struct pe_place *p, const struct pe_share *s, uint64_t now, const bool *allowed,
                    const unsigned *idle, unsigned nr_cores)
{
	unsigned share = s->wanted ? (unsigned)(s->got * 1000 / s->wanted) : 1000;

	switch (p->state) {
	case PE_PLACE_TRYING:
		if (share >= ENOUGH || share * 1000 >= p->share_there * BETTER) {
			p->state = PE_PLACE_CALM;
			p->patience = 0;
			p->not_before = now;
			return p->core;
		}
		be_patient(p, now);
		return p->came_from;
	case PE_PLACE_CALM:
		if (share < ENOUGH && now >= p->not_before) {
			p->state = PE_PLACE_CROWDED;
			p->not_before = now + chance(p) % JITTER_NS;
		}
		return p->core;
	case PE_PLACE_CROWDED:
		if (share >= ENOUGH) {
			p->state = PE_PLACE_CALM;
			p->not_before = now;
			return p->core;
		}
		if (now < p->not_before)
			return p->core;
		p->state = PE_PLACE_TRYING;
		p->came_from = p->core;
		p->share_there = share;
		return choose(p, allowed, idle, nr_cores);
	}
	return p->core;
}

/* ---- what the host says ------------------------------------------------------------------------ */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Processor time of the group since the last time it was asked for. */
static uint64_t group_time(struct pe_vcpu *pv)
{
	uint64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID), sum = own - pv->place.cpu_ns;
	clockid_t id;

	pv->place.cpu_ns = own;
	pthread_mutex_lock(&pv->pd->lock);
	for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
		uint64_t t;

		if (p->owner != pv || !p->ran || clock_getcpuclockid(p->pid, &id))
			continue;
		t = clock_ns(id);
		if (t > p->cpu_ns) {
			sum += t - p->cpu_ns;
			p->cpu_ns = t;
		}
		p->ran = p == pv->current;
	}
	pthread_mutex_unlock(&pv->pd->lock);
	return sum;
}

struct core_times {
	uint64_t idle[PE_MAX_CORES], all[PE_MAX_CORES];
	unsigned nr;
};

static bool read_core_times(struct core_times *t)
{
	char line[512];
	FILE *f = fopen("/proc/stat", "re");

	memset(t, 0, sizeof(*t));
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f) && !strncmp(line, "cpu", 3)) {
		unsigned long long v[8] = { 0 };
		unsigned core;

		if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &core, &v[0],
		           &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 5 ||
		    core >= PE_MAX_CORES)
			continue;
		t->idle[core] = v[3] + v[4];
		for (unsigned i = 0; i < 8; i++)
			t->all[core] += v[i];
		if (core >= t->nr)
			t->nr = core + 1;
	}
	fclose(f);
	return t->nr > 0;
}

/* How idle each core was since the call before, by this machine's vCPUs together. */
static bool idle_cores(unsigned *idle)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct core_times before, now;
	bool ok;

	pthread_mutex_lock(&lock);
	before = now;
	ok = read_core_times(&now) && before.nr;
	for (unsigned c = 0; ok && c < now.nr; c++) {
		uint64_t all = now.all[c] - before.all[c];

		idle[c] = all ? (unsigned)((now.idle[c] - before.idle[c]) * 1000 / all) : 0;
	}
	pthread_mutex_unlock(&lock);
	return ok;
}

/* The keeper thread is never pinned: it has what the user gave us, and what he changed since. */
static unsigned allowed_cores(const struct pe_domain *pd, bool *allowed)
{
	cpu_set_t *set = CPU_ALLOC(PE_MAX_CORES);
	size_t size = CPU_ALLOC_SIZE(PE_MAX_CORES);
	unsigned nr = 0;

	memset(allowed, 0, PE_MAX_CORES * sizeof(*allowed));
	if (set && pd->keeper_tid && !sched_getaffinity(pd->keeper_tid, size, set)) {
		for (unsigned c = 0; c < PE_MAX_CORES; c++) {
			if (CPU_ISSET_S(c, size, set)) {
				allowed[c] = true;
				nr = c + 1;
			}
		}
	}
	CPU_FREE(set);
	return nr;
}

static bool pin(pid_t tid, int core)
{
	size_t size = CPU_ALLOC_SIZE(PE_MAX_CORES);
	cpu_set_t *set = CPU_ALLOC(PE_MAX_CORES);
	bool ok = false;

	if (set) {
		CPU_ZERO_S(size, set);
		CPU_SET_S((unsigned)core, size, set);
		ok = !sched_setaffinity(tid, size, set);
		CPU_FREE(set);
	}
	return ok;
}

/* ---- for vcpu_run() ---------------------------------------------------------------------------- */

static void begin_window(struct pe_place *p, uint64_t len_ns)
{
	uint64_t now = pe_now(), ticks = pe_ticks();
	/* Ticks per ns, from the window that ended; before the first one a guess on the short side. */
	double rate = p->since_ns && now > p->since_ns
	                      ? (double)(ticks - p->since_ticks) / (double)(now - p->since_ns)
	                      : 1.0;

	p->since_ns = now;
	p->since_ticks = ticks;
	p->wanted_ticks = 0;
	p->look_ticks = ticks + (uint64_t)(rate * (double)len_ns);
}

void pe_place_thread(struct pe_vcpu *pv)
{
	struct pe_place *p = &pv->place;

	/* Where the host put this thread just now is where it found the most room. */
	p->core = sched_getcpu();
	if (p->core < 0 || p->core >= PE_MAX_CORES || !pin(0, p->core))
		p->core = -1;
	p->guest_core = -1;
	p->chance = (uint32_t)pe_ticks() | 1;
	if (process_options.spin)
		idle_cores(&(unsigned[PE_MAX_CORES]){ 0 }[0]); /* from now on it is known */
	p->state = PE_PLACE_CALM;
	p->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	begin_window(p, FIRST_WINDOW_NS);
	p->left_ticks = p->since_ticks;
	pv->thread = pthread_self();
	pv->entered = true;
	prctl(PR_SET_TIMERSLACK, 1);
}

void pe_place_proc(struct pe_vcpu *pv, struct pe_proc *p)
{
	int core = pv->place.guest_core >= 0 ? pv->place.guest_core : pv->place.core;

	p->ran = true;
	if (p->core == core || core < 0)
		return;
	p->core = core;
	pin(p->pid, p->core);
	pin(p->mapper_tid, p->core);
}

void pe_place_stop_spinning(struct pe_vcpu *pv)
{
	pv->place.guest_core = -1;
	pv->place.spin_again = pe_now() + SPIN_PAUSE_NS;
	if (pv->current)
		pe_place_proc(pv, pv->current);
}

/* Gives the guest a core of its own when there is one that nobody uses. */
static void look_for_room_to_spin(struct pe_vcpu *pv, uint64_t now)
{
	struct pe_place *p = &pv->place;
	bool allowed[PE_MAX_CORES];
	unsigned idle[PE_MAX_CORES], nr;

	if (!process_options.spin || p->core < 0 || p->guest_core >= 0 || now < p->spin_again ||
	    !idle_cores(idle))
		return;
	nr = allowed_cores(pv->pd, allowed);
	for (unsigned c = 0; c < nr && p->guest_core < 0; c++) {
		if (allowed[c] && (int)c != p->core && idle[c] >= SPIN_IDLE)
			p->guest_core = (int)c;
	}
	if (p->guest_core < 0)
		p->spin_again = now + SPIN_PAUSE_NS;
	else if (pv->current)
		pe_place_proc(pv, pv->current);
}

static void look(struct pe_vcpu *pv)
{
	struct pe_place *p = &pv->place;
	bool allowed[PE_MAX_CORES];
	unsigned idle[PE_MAX_CORES], nr;
	uint64_t now = pe_now(), ticks = pe_ticks();
	struct pe_share s = { .got = group_time(pv) };
	bool know_idle;
	int core;

	if (ticks > p->since_ticks)
		s.wanted = (uint64_t)((double)p->wanted_ticks * (double)(now - p->since_ns) /
		                      (double)(ticks - p->since_ticks));
	/* One that wants little is not worth a move, nor does it tell anything. */
	if (p->core < 0 || s.wanted < (now - p->since_ns) / 5)
		goto done;
	look_for_room_to_spin(pv, now);
	if (p->guest_core >= 0)
		goto done; /* two cores are used: the numbers below mean something else */
	know_idle = (s.got * 1000 < s.wanted * ENOUGH || p->state != PE_PLACE_CALM) &&
	            idle_cores(idle);
	nr = allowed_cores(pv->pd, allowed);
	core = pe_place_decide(p, &s, now, allowed, know_idle ? idle : NULL, nr);
	if (core != p->core && pin(0, core)) {
		p->core = core;
		if (pv->current)
			pe_place_proc(pv, pv->current);
	}
done:
	begin_window(p, WINDOW_NS);
}

void pe_place_enter(struct pe_vcpu *pv)
{
	uint64_t ticks = pe_ticks();

	if (ticks - pv->place.left_ticks < SHORT_GAP_TICKS)
		pv->place.wanted_ticks += ticks - pv->place.left_ticks;
	pv->place.left_ticks = ticks;
	if (ticks >= pv->place.look_ticks)
		look(pv);
}

void pe_place_leave(struct pe_vcpu *pv)
{
	uint64_t ticks = pe_ticks();

	pv->place.wanted_ticks += ticks - pv->place.left_ticks;
	pv->place.left_ticks = ticks;
}
