/* SPDX-License-Identifier: MIT */
/*
 * Time: the line from TSC to system time, how it gets better without ever stepping back, and the
 * timers of vCPUs.
 *
 * An ordinary user is not told the TSC's frequency. The first line comes from two readings of TSC
 * and CLOCK_MONOTONIC about a millisecond apart; better ones follow after 0.1, 1 and 10 seconds and
 * then every half minute, each measured over the time since the last. They are made when a vCPU
 * that runs has a deadline or a vCPU leaves a sleep: an idle machine is never woken for it.
 *
 * Invariant: no vCPU ever reads an earlier time after a later one.
 *   1. A rate is the lowest that its two readings allow, so a line falls behind the truth slowly
 *      rather than running ahead, and the next line, which starts at the truth, steps forward.
 *   2. Should a line be ahead all the same (the host's clock was slewed), the next one starts where
 *      the old one is and runs slower for a while.
 *   3. vcpu_time_info is rewritten by the vCPU's own thread while the vCPU does not run, by rules 1
 *      and 2 with the machine's line as the truth. Thus nobody reads the old line at a later moment
 *      than the new one.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>
#include <cpuid.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/hypercall.h"

#define NS_PER_S            UINT64_C(1000000000)
#define CALIBRATE_MIN_NS    300000
#define TIGHT_TICKS         2000
#define REFINE_STEADY_NS    (30 * NS_PER_S)
#define SLOWER_MAX_SHIFT    13 /* a line that is ahead runs slower by at most 1/8192 */
#define WALLCLOCK_JITTER_NS UINT64_C(1000000)
#define TIMER_FAR_NS        (UINT64_C(1) << 50)
#define TIMER_FAR_INSTEAD   (100 * UINT64_C(1000000))

typedef unsigned __int128 u128;

uint64_t hv_time_host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t hv_time_tsc(struct hv_machine *m)
{
	return m->clock.tsc_is_usable ? __rdtsc() : hv_time_host_ns();
}

/* ---- the line ------------------------------------------------------------------------------- */

uint64_t hv_time_line_ns(const struct hv_time_line *l, uint64_t tsc)
{
	uint64_t delta = tsc > l->tsc_base ? tsc - l->tsc_base : 0;

	delta = l->shift < 0 ? delta >> -l->shift : delta << l->shift;
	return l->ns_base + (uint64_t)((u128)delta * l->mul >> 32);
}

/* The first TSC at which the line has reached ns. */
static uint64_t line_tsc(const struct hv_time_line *l, uint64_t ns)
{
	u128 delta;

	if (ns <= l->ns_base)
		return l->tsc_base;
	delta = (((u128)(ns - l->ns_base) << 32) + l->mul - 1) / l->mul;
	if (l->shift < 0)
		delta = (delta + 1) << -l->shift;
	else
		delta = (delta + (UINT64_C(1) << l->shift) - 1) >> l->shift;
	return delta > UINT64_MAX - l->tsc_base ? UINT64_MAX : l->tsc_base + (uint64_t)delta;
}

bool hv_time_rate(const struct hv_time_sample *a, const struct hv_time_sample *b, uint32_t *mul,
                  int8_t *shift)
{
	uint64_t ns, ticks;
	u128 rate; /* nanoseconds per tick, 64 bits of fraction */
	int s = 0;

	if (b->ns <= a->ns || b->tsc_hi <= a->tsc_lo)
		return false;
	ns = b->ns - a->ns;
	ticks = b->tsc_hi - a->tsc_lo;
	rate = ((u128)ns << 64) / ticks;
	/* mul = rate * 2^(32 - shift) / 2^64 shall have its top bit set. */
	while (s < 31 && rate >> (32 + s) >= (u128)1 << 32)
		s++;
	while (s > -31 && rate >> (32 + s) < (u128)1 << 31)
		s--;
	rate >>= 32 + s;
	if (rate == 0 || rate >> 32)
		return false;
	*mul = (uint32_t)rate;
	*shift = (int8_t)s;
	return true;
}

void hv_time_line_next(struct hv_time_line *l, uint64_t tsc, uint64_t truth_ns, uint32_t mul,
                       int8_t shift)
{
	uint64_t now = hv_time_line_ns(l, tsc);
	uint64_t ahead, slower;

	*l = (struct hv_time_line){ tsc, truth_ns, mul, shift };
	if (now <= truth_ns)
		return;
	/* Ahead: gives the lead back within a second, but slows down by little. */
	ahead = now - truth_ns;
	slower = (uint64_t)((u128)mul * ahead / NS_PER_S) + 1;
	if (slower > mul >> SLOWER_MAX_SHIFT)
		slower = mul >> SLOWER_MAX_SHIFT;
	l->ns_base = now;
	l->mul = mul - (uint32_t)slower;
}

/* A reading of both clocks, the tightest of a few. */
static void take_sample(struct hv_time_sample *best)
{
	uint64_t width = UINT64_MAX;

	/* A few at least; more while something gets in between. */
	for (int i = 0; i < 4 || (i < 16 && width > TIGHT_TICKS); i++) {
		struct hv_time_sample s;

		s.tsc_lo = __rdtsc();
		s.ns = hv_time_host_ns();
		s.tsc_hi = __rdtsc();
		if (s.tsc_hi - s.tsc_lo < width) {
			width = s.tsc_hi - s.tsc_lo;
			*best = s;
		}
	}
}

/* When a line that was made at system time now is to be replaced. */
static uint64_t next_refinement(uint64_t now)
{
	if (now < NS_PER_S / 10)
		return NS_PER_S / 10;
	if (now < NS_PER_S)
		return NS_PER_S;
	if (now < 10 * NS_PER_S)
		return 10 * NS_PER_S;
	return now + REFINE_STEADY_NS;
}

void hv_time_refine(struct hv_clock *c, const struct hv_time_sample *s)
{
	uint64_t truth = s->ns - c->boot_ns;
	uint32_t mul = c->line.mul;
	int8_t shift = c->line.shift;

	/* A window that is too short says less than the line that is there. */
	if (s->ns - c->anchor.ns >= NS_PER_S / 20 || !c->is_calibrated) {
		hv_time_rate(&c->anchor, s, &mul, &shift);
		c->anchor = *s;
	}
	/* tsc_hi: the truth may be a little older than that, never younger. */
	if (c->is_calibrated)
		hv_time_line_next(&c->line, s->tsc_hi, truth, mul, shift);
	else
		c->line = (struct hv_time_line){ s->tsc_hi, truth, mul, shift };
	c->is_calibrated = true;
	/* The line may be ahead of the truth: what is due next is due on the line. */
	atomic_store(&c->refine_ns, next_refinement(hv_time_line_ns(&c->line, s->tsc_hi)));
	atomic_fetch_add(&c->generation, 1);
}

/* Whether the kernel itself trusts the TSC for its clock. */
static bool host_trusts_tsc(void)
{
	char name[32] = "";
	unsigned a, b, c, d;
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (f) {
		bool read = fgets(name, sizeof(name), f) != NULL;

		fclose(f);
		if (read)
			return strncmp(name, "tsc", 3) == 0;
	}
	/* No sysfs here: the processor's own word that the TSC neither stops nor changes pace. */
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

int hv_time_machine_init(struct hv_machine *m)
{
	struct hv_clock *c = &m->clock;

	pthread_mutex_init(&c->lock, NULL);
	c->tsc_is_usable = host_trusts_tsc();
	take_sample(&c->anchor);
	c->boot_ns = c->anchor.ns;
	atomic_init(&c->refine_ns, HV_TIME_NEVER);
	atomic_init(&c->generation, 1);
	if (!c->tsc_is_usable) {
		/* rdtsc reads CLOCK_MONOTONIC: one nanosecond a tick, exactly and for ever. */
		c->line = (struct hv_time_line){ c->boot_ns, 0, 0x80000000u, 1 };
		c->is_calibrated = true;
	}
	return 0;
}

void hv_time_machine_fini(struct hv_machine *m)
{
	pthread_mutex_destroy(&m->clock.lock);
}

void hv_time_calibrate(struct hv_machine *m)
{
	struct hv_clock *c = &m->clock;
	struct hv_time_sample s;

	pthread_mutex_lock(&c->lock);
	while (!c->is_calibrated) {
		take_sample(&s);
		if (s.ns - c->anchor.ns >= CALIBRATE_MIN_NS)
			hv_time_refine(c, &s);
	}
	pthread_mutex_unlock(&c->lock);
}

uint64_t hv_time_now(struct hv_machine *m)
{
	struct hv_clock *c = &m->clock;
	uint64_t ns;

	pthread_mutex_lock(&c->lock);
	ns = c->is_calibrated ? hv_time_line_ns(&c->line, hv_time_tsc(m))
	                      : hv_time_host_ns() - c->boot_ns;
	pthread_mutex_unlock(&c->lock);
	return ns;
}

uint64_t hv_time_vcpu_now(struct hv_vcpu *v)
{
	struct hv_machine *m = v->domain->machine;

	if (!v->time.generation)
		return hv_time_now(m);
	return hv_time_line_ns(&v->time.line, hv_time_tsc(m));
}

uint64_t hv_time_to_host(struct hv_vcpu *v, uint64_t system_ns)
{
	uint64_t host = hv_time_host_ns();
	uint64_t now = hv_time_vcpu_now(v);

	if (system_ns <= now)
		return host;
	return system_ns - now > UINT64_MAX - host ? HV_TIME_NEVER : host + (system_ns - now);
}

/* ---- what guests read ----------------------------------------------------------------------- */

/*
 * The version protocol of vcpu_time_info and of the wall clock: odd while the fields change. The
 * fences pair with the reader's own between its reads of the version and of the fields.
 */
static void version_begin(uint32_t *version)
{
	__atomic_store_n(version, (*version + 1) | 1u, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
}

static void version_end(uint32_t *version)
{
	__atomic_store_n(version, *version + 1, __ATOMIC_RELEASE);
}

/* The host's wall clock at system time 0, from the tightest of a few readings of both clocks. */
static uint64_t wallclock_base(struct hv_machine *m)
{
	uint64_t base = 0, width = UINT64_MAX;

	for (int i = 0; i < 4; i++) {
		struct timespec ts;
		uint64_t before = hv_time_now(m), after;

		clock_gettime(CLOCK_REALTIME, &ts);
		after = hv_time_now(m);
		if (after - before < width) {
			width = after - before;
			base = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - before -
			       width / 2;
		}
	}
	return base;
}

void hv_time_update_wallclock(struct hv_domain *d)
{
	struct shared_info *s = d->shared_info;
	uint64_t base = wallclock_base(d->machine) + (uint64_t)d->time.wallclock_offset_ns;
	uint64_t change = base - d->time.wallclock_base_ns;

	/* What differs by less is the inaccuracy of the readings. */
	if (change + WALLCLOCK_JITTER_NS < 2 * WALLCLOCK_JITTER_NS)
		return;
	d->time.wallclock_base_ns = base;
	version_begin(&s->wc_version);
	s->wc_sec = (uint32_t)(base / NS_PER_S);
	s->wc_sec_hi = (uint32_t)(base / NS_PER_S >> 32);
	s->wc_nsec = (uint32_t)(base % NS_PER_S);
	version_end(&s->wc_version);
}

static void put_line(struct vcpu_time_info *t, const struct hv_time_line *l)
{
	t->tsc_timestamp = l->tsc_base;
	t->system_time = l->ns_base;
	t->tsc_to_system_mul = l->mul;
	t->tsc_shift = l->shift;
}

/* The second copy, in the guest's own memory; other vCPUs may be reading it. */
static void publish_area(struct hv_vcpu *v)
{
	struct vcpu_time_info t;
	uint64_t va;
	bool was_in_kernel = v->in_kernel;

	hv_domain_lock(v->domain);
	va = v->time.area_va;
	if (va) {
		v->in_kernel = true; /* the address is one of the kernel's root */
		t = v->info->time;
		t.version |= 1u;
		hv_copy_to_guest(v, va, &t.version, sizeof(t.version));
		hv_copy_to_guest(v, va, &t, sizeof(t));
		t.version = v->info->time.version;
		hv_copy_to_guest(v, va, &t.version, sizeof(t.version));
		v->in_kernel = was_in_kernel;
	}
	hv_domain_unlock(v->domain);
}

void hv_time_update_vcpu(struct hv_vcpu *v)
{
	struct hv_machine *m = v->domain->machine;
	struct hv_clock *c = &m->clock;
	struct hv_vcpu_time *t = &v->time;
	struct hv_time_line machine;
	uint64_t tsc;

	pthread_mutex_lock(&c->lock);
	machine = c->line;
	t->generation = atomic_load(&c->generation);
	pthread_mutex_unlock(&c->lock);

	tsc = hv_time_tsc(m);
	if (t->line.mul && hv_time_line_ns(&t->line, tsc) > hv_time_line_ns(&machine, tsc))
		hv_time_line_next(&t->line, tsc, hv_time_line_ns(&machine, tsc), machine.mul,
		                  machine.shift);
	else
		t->line = machine;
	version_begin(&v->info->time.version);
	put_line(&v->info->time, &t->line);
	version_end(&v->info->time.version);
	t->dirty = true;
	if (t->area_va)
		publish_area(v);
}

/* ---- timers --------------------------------------------------------------------------------- */

void hv_time_vcpu_init(struct hv_vcpu *v)
{
	v->time.singleshot_ns = HV_TIME_NEVER;
	atomic_init(&v->time.periodic_ns, 10000000); /* Xen gives PV guests a tick of 100 Hz */
	v->time.deadline_tsc = HV_TIME_NEVER;
	atomic_init(&v->time.deadline_mono_ns, HV_TIME_NEVER);
	v->time.dirty = true;
}

bool hv_time_is_due(struct hv_vcpu *v)
{
	const struct hv_clock *c = &v->domain->machine->clock;

	if (v->time.dirty ||
	    v->time.generation != atomic_load_explicit(&c->generation, memory_order_relaxed))
		return true;
	return v->time.deadline_tsc != HV_TIME_NEVER &&
	       hv_time_tsc(v->domain->machine) >= v->time.deadline_tsc;
}

/* Refines the machine's line when that is due; whoever comes first does it for all. */
static void refine_if_due(struct hv_vcpu *v)
{
	struct hv_machine *m = v->domain->machine;
	struct hv_clock *c = &m->clock;
	struct hv_time_sample s;

	if (hv_time_vcpu_now(v) >= atomic_load(&c->refine_ns)) {
		pthread_mutex_lock(&c->lock);
		if (v->time.generation == atomic_load(&c->generation)) {
			take_sample(&s);
			hv_time_refine(c, &s);
		}
		pthread_mutex_unlock(&c->lock);
	}
	if (v->time.generation == atomic_load(&c->generation))
		return;
	hv_time_update_vcpu(v);
	/* The host's wall clock may have been set meanwhile. One thread of the domain looks. */
	if (v->id == 0)
		hv_time_update_wallclock(v->domain);
}

/* The 100 Hz tick and its kin run only while the vCPU does, as in Xen. Gives the next one. */
static uint64_t periodic_tick(struct hv_vcpu *v, uint64_t now)
{
	uint64_t period = atomic_load(&v->time.periodic_ns);

	if (!period || atomic_load(&v->sched.blocked))
		return HV_TIME_NEVER;
	if (now >= v->time.periodic_last_ns + period) {
		v->time.periodic_last_ns = now;
		hv_evtchn_raise_virq(v, VIRQ_TIMER);
	}
	/* Without a port nobody would see it; binding one sets `dirty`. */
	return hv_evtchn_virq_is_bound(v, VIRQ_TIMER) ? v->time.periodic_last_ns + period
	                                              : HV_TIME_NEVER;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void hv_time_service(struct hv_vcpu *v)
{
	struct hv_machine *m = v->domain->machine;
	bool sleeps = atomic_load(&v->sched.blocked) || !atomic_load(&v->is_up);
	uint64_t now, next;

	refine_if_due(v);
	if (atomic_exchange(&v->time.area_is_new, false))
		publish_area(v);
	v->time.dirty = false;
	now = hv_time_vcpu_now(v);
	if (now >= v->time.singleshot_ns) {
		v->time.singleshot_ns = HV_TIME_NEVER;
		hv_evtchn_raise_virq(v, VIRQ_TIMER);
	}
	next = earlier(v->time.singleshot_ns, periodic_tick(v, now));
	if (v->id == 0)
		next = earlier(next, hv_sched_watchdog(v->domain, now));
	if (sleeps && v->sched.poll_timeout_ns)
		next = earlier(next, v->sched.poll_timeout_ns);
	if (!sleeps)
		next = earlier(next, atomic_load(&m->clock.refine_ns));

	v->time.deadline_tsc = HV_TIME_NEVER;
	atomic_store(&v->time.deadline_mono_ns, HV_TIME_NEVER);
	if (next == HV_TIME_NEVER)
		return;
	v->time.deadline_tsc = line_tsc(&v->time.line, next);
	atomic_store(&v->time.deadline_mono_ns, hv_time_to_host(v, next));
}

int64_t hv_do_set_timer_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t timeout = a[0];

	v->time.dirty = true;
	if (timeout == 0) {
		v->time.singleshot_ns = HV_TIME_NEVER;
		return 0;
	}
	/* A time far ahead is taken for a mistake, and answered soon; Xen does the same. */
	if ((int64_t)timeout < 0 || ((int64_t)(timeout - hv_time_vcpu_now(v)) > 0 &&
	                             timeout - hv_time_vcpu_now(v) >= TIMER_FAR_NS))
		timeout = hv_time_vcpu_now(v) + TIMER_FAR_INSTEAD;
	v->time.singleshot_ns = timeout;
	return 0;
}
