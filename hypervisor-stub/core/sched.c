/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's thread: rests while the vCPU is blocked or down, else raises what is due, lets the
 * engine run the guest, and answers the exit.
 *
 * Invariants:
 *  - v->regs, v->in_kernel and vcpu_time_info are touched by this thread only, between runs.
 *  - A vCPU that rests wakes for an event, a timer of its own or an order of ours, never by itself:
 *    blocked without a timer it makes no context switch.
 *
 * How an order is not lost:
 *   1. hv_vcpu_poke() sets `attention`, then signals the thread and kicks the engine;
 *   2. the thread clears `attention` first and looks around after;
 *   3. the engine, once it has made itself visible to vcpu_kick(), asks hv_vcpu_upcall_due(), which
 *      sees `attention` and events alike.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "hypervisor-stub/core/exits.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/hv.h"

int hv_sched_vcpu_init(struct hv_vcpu *v)
{
	hv_rest_init(v);
	v->sched.runstate.state = RUNSTATE_offline;
	v->sched.runstate.state_entry_time = hv_time_now(v->domain->machine);
	return 0;
}

void hv_sched_vcpu_fini(struct hv_vcpu *v)
{
	hv_rest_fini(v);
}

/* ---- waking --------------------------------------------------------------------------------- */

void hv_vcpu_wake(struct hv_vcpu *v)
{
	const struct hv_machine *m = v->domain->machine;

	if (atomic_exchange(&v->sched.blocked, false)) {
		atomic_store(&v->sched.woken_ns, hv_time_now(v->domain->machine));
		hv_rest_end(v);
	} else if (hv_vcpu_upcall_due(v)) {
		m->engine->vcpu_kick(v);
	}
}

void hv_vcpu_poke(struct hv_vcpu *v)
{
	atomic_store(&v->sched.attention, true);
	hv_rest_end(v);
	v->domain->machine->engine->vcpu_kick(v);
}

uint32_t hv_sched_take_pollers(struct hv_domain *d, evtchn_port_t port)
{
	uint32_t mask = atomic_load(&d->sched.poll_mask), taken = 0;

	for (unsigned i = 0; mask && i < d->nr_vcpus; i++) {
		uint32_t wanted = atomic_load(&d->vcpu[i]->sched.poll_port);

		if ((mask >> i & 1) && (wanted == port || wanted == HV_POLL_ANY_PORT))
			taken |= UINT32_C(1) << i;
	}
	return taken ? atomic_fetch_and(&d->sched.poll_mask, ~taken) & taken : 0;
}

bool hv_vcpu_upcall_due(const struct hv_vcpu *v)
{
	const struct vcpu_info *info = __atomic_load_n(&v->info, __ATOMIC_SEQ_CST);

	if (atomic_load(&v->sched.attention))
		return true;
	return __atomic_load_n(&info->evtchn_upcall_pending, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&info->evtchn_upcall_mask, __ATOMIC_SEQ_CST);
}

static uint64_t timer_deadline(const struct hv_vcpu *v)
{
	return atomic_load_explicit(&v->time.deadline_mono_ns, memory_order_relaxed);
}

uint64_t hv_vcpu_deadline(const struct hv_vcpu *v)
{
	uint64_t timer = timer_deadline(v);

	return v->sched.slice_end_ns && v->sched.slice_end_ns < timer ? v->sched.slice_end_ns
	                                                              : timer;
}

bool hv_vcpu_tick(struct hv_vcpu *v)
{
	if (hv_vcpu_upcall_due(v) || atomic_load(&v->domain->ending))
		return true;
	if (hv_time_host_ns() < hv_vcpu_deadline(v))
		return false;
	if (hv_time_host_ns() < timer_deadline(v))
		return true; /* the slice of its domain's share is used up */
	/* The clock is rewritten and timers are raised only while the guest does not run. */
	v->time.dirty = true;
	return true;
}

/* ---- runstate ------------------------------------------------------------------------------- */

/* Books the time since the last change and enters a state. Lock: wake_lock. */
static void enter_state(struct hv_vcpu *v, int state, uint64_t now)
{
	struct vcpu_runstate_info *r = &v->sched.runstate;

	if (now > r->state_entry_time) {
		r->time[r->state] += now - r->state_entry_time;
		r->state_entry_time = now;
	}
	r->state = state;
}

void hv_sched_runstate_set(struct hv_vcpu *v, int state)
{
	uint64_t now = hv_time_now(v->domain->machine);
	uint64_t woken = atomic_exchange(&v->sched.woken_ns, 0);

	pthread_mutex_lock(&v->sched.wake_lock);
	/* From the wake-up on it wanted a processor and did not have one yet. */
	if (woken && state == RUNSTATE_running)
		enter_state(v, RUNSTATE_runnable, woken);
	if (v->sched.runstate.state != state)
		enter_state(v, state, now);
	pthread_mutex_unlock(&v->sched.wake_lock);
}

void hv_sched_runstate_get(struct hv_vcpu *v, struct vcpu_runstate_info *out)
{
	uint64_t now = hv_time_now(v->domain->machine);

	pthread_mutex_lock(&v->sched.wake_lock);
	*out = v->sched.runstate;
	if (now > out->state_entry_time)
		out->time[out->state] += now - out->state_entry_time;
	pthread_mutex_unlock(&v->sched.wake_lock);
}

void hv_sched_runstate_publish(struct hv_vcpu *v)
{
	struct hv_domain *d = v->domain;
	struct vcpu_runstate_info r;
	bool was_in_kernel = v->in_kernel;
	uint64_t va, entry;

	if (!v->sched.runstate_area_va)
		return;
	pthread_mutex_lock(&v->sched.wake_lock);
	r = v->sched.runstate;
	pthread_mutex_unlock(&v->sched.wake_lock);

	hv_domain_lock(d);
	va = v->sched.runstate_area_va;
	v->in_kernel = true; /* the address is one of the kernel's root */
	entry = va + offsetof(struct vcpu_runstate_info, state_entry_time);
	if (d->vm_assist & 1u << VMASST_TYPE_runstate_update_flag) {
		/* A reader that sees the flag before or after looks again. */
		r.state_entry_time |= XEN_RUNSTATE_UPDATE;
		hv_copy_to_guest(v, entry, &r.state_entry_time, sizeof(r.state_entry_time));
		hv_copy_to_guest(v, va, &r, sizeof(r));
		r.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
		hv_copy_to_guest(v, entry, &r.state_entry_time, sizeof(r.state_entry_time));
	} else {
		hv_copy_to_guest(v, va, &r, sizeof(r));
	}
	v->in_kernel = was_in_kernel;
	hv_domain_unlock(d);
}

/* ---- resting -------------------------------------------------------------------------------- */

/* A poll whose time has passed ends; one that was woken is over, too. */
static void check_poll(struct hv_vcpu *v)
{
	if (!v->sched.poll_timeout_ns || !atomic_load(&v->sched.blocked))
		return;
	if (hv_time_vcpu_now(v) >= v->sched.poll_timeout_ns)
		atomic_store(&v->sched.blocked, false);
}

static void rest(struct hv_vcpu *v)
{
	while (hv_rest_is_due(v)) {
		hv_sched_runstate_set(v,
		                      atomic_load(&v->is_up) ? RUNSTATE_blocked : RUNSTATE_offline);
		hv_time_service(v);
		if (!hv_rest_is_due(v))
			break;
		hv_rest(v, timer_deadline(v));
		check_poll(v);
	}
	atomic_fetch_and(&v->domain->sched.poll_mask, ~(1u << v->id));
	v->sched.poll_timeout_ns = 0;
	v->time.dirty = true; /* other deadlines hold for a vCPU that runs */
	hv_sched_runstate_set(v, RUNSTATE_running);
	hv_sched_runstate_publish(v);
}

/* ---- the cap -------------------------------------------------------------------------------- */

/*
 * Time is handed out in slices: a vCPU takes one before it runs, gives back what is left of it when it
 * rests, and owes what it ran beyond it. So the vCPUs of a domain share one budget, and each looks at
 * it only a few times in a period.
 */
#define SLICE_NS INT64_C(10000000)
#define NO_SLICE 1u /* a moment that has long passed */

void hv_sched_set_cap(struct hv_domain *d, unsigned percent)
{
	d->sched.cap.budget_ns = HV_CAP_PERIOD_NS / 100 * percent;
	pthread_mutex_init(&d->sched.cap.lock, NULL);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		d->vcpu[i]->sched.slice_end_ns = percent ? NO_SLICE : 0;
}

/* A new period: the budget is there again, less what is owed; what was not used is gone. */
static void renew(struct hv_cap *cap, uint64_t now)
{
	uint64_t period = now / HV_CAP_PERIOD_NS, passed = period - cap->period;
	int64_t budget = (int64_t)cap->budget_ns;

	for (cap->period = period; passed && cap->left_ns < budget; passed--)
		cap->left_ns += budget;
	if (cap->left_ns > budget)
		cap->left_ns = budget;
}

/* Settles the slice that v had, if it had one. Lock: cap. */
static void settle(struct hv_vcpu *v, struct hv_cap *cap, uint64_t now)
{
	if (v->sched.slice_end_ns != NO_SLICE)
		cap->left_ns += (int64_t)(v->sched.slice_end_ns - now);
	/* A host that let v wait all the while is not v's fault. */
	if (cap->left_ns < -(int64_t)HV_CAP_PERIOD_NS)
		cap->left_ns = -(int64_t)HV_CAP_PERIOD_NS;
	v->sched.slice_end_ns = NO_SLICE;
}

/* v does not run for a while. */
static void give_back(struct hv_vcpu *v)
{
	struct hv_cap *cap = &v->domain->sched.cap;

	if (!v->sched.slice_end_ns)
		return;
	pthread_mutex_lock(&cap->lock);
	settle(v, cap, hv_time_host_ns());
	pthread_mutex_unlock(&cap->lock);
}

/* Takes a slice: 0, or the host time at which there will be one again. */
static uint64_t take_slice(struct hv_vcpu *v)
{
	struct hv_cap *cap = &v->domain->sched.cap;
	uint64_t now = hv_time_host_ns(), until = 0;

	if (now < v->sched.slice_end_ns)
		return 0;
	pthread_mutex_lock(&cap->lock);
	settle(v, cap, now);
	renew(cap, now);
	if (cap->left_ns > 0) {
		int64_t slice = cap->left_ns < SLICE_NS ? cap->left_ns : SLICE_NS;

		cap->left_ns -= slice;
		v->sched.slice_end_ns = now + (uint64_t)slice;
	} else {
		until = (cap->period + 1) * HV_CAP_PERIOD_NS;
	}
	pthread_mutex_unlock(&cap->lock);
	return until;
}

/* Sleeps until then; only the end of the domain is heard meanwhile. */
static void stand_still(struct hv_vcpu *v, uint64_t host_ns)
{
	struct timespec ts = { (time_t)(host_ns / 1000000000), (long)(host_ns % 1000000000) };
	int rc = 0;

	hv_sched_runstate_set(v, RUNSTATE_runnable);
	pthread_mutex_lock(&v->sched.wake_lock);
	while (!atomic_load(&v->domain->ending) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&v->sched.wake_cond, &v->sched.wake_lock, &ts);
	pthread_mutex_unlock(&v->sched.wake_lock);
	v->time.dirty = true;
	hv_sched_runstate_set(v, RUNSTATE_running);
}

/* Whether v may run now. When not, it has slept, and its loop looks around again. */
static bool may_run(struct hv_vcpu *v)
{
	uint64_t until = v->sched.slice_end_ns ? take_slice(v) : 0;

	if (until)
		stand_still(v, until);
	return !until;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void trace(struct hv_vcpu *v, enum hv_traced what)
{
	const struct hv_tracer *t = v->domain->machine->tracer;

	if (t && t->happened)
		t->happened(t->arg, v, what);
}

static void run_once(struct hv_vcpu *v)
{
	struct hv_exit exit = { .kind = HV_EXIT_KICKED };
	int rc = v->domain->machine->engine->vcpu_run(v, &exit);

	if (rc)
		hv_domain_crash(v->domain, v, "vCPU %u cannot run: the engine gave error %d", v->id,
		                rc);
	else
		hv_exit_handle(v, &exit);
	if (exit.kind == HV_EXIT_KICKED)
		trace(v, HV_TRACED_KICK);
}

void *hv_vcpu_main(void *vcpu)
{
	struct hv_vcpu *v = vcpu;
	struct hv_domain *d = v->domain;

	/* A sleep may end a nanosecond late, not 50 us, which is the default of a thread. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	hv_sched_runstate_set(v, RUNSTATE_running);
	while (!atomic_load(&d->ending)) {
		if (atomic_load_explicit(&v->sched.attention, memory_order_relaxed)) {
			atomic_store(&v->sched.attention, false);
			v->time.dirty = true;
		}
		if (hv_rest_is_due(v)) {
			trace(v, HV_TRACED_SLEEP);
			give_back(v);
			rest(v);
			continue;
		}
		if (hv_time_is_due(v))
			hv_time_service(v);
		while (hv_traps_event(v))
			trace(v, HV_TRACED_UPCALL);
		if (!atomic_load(&d->ending) && may_run(v))
			run_once(v);
	}
	hv_sched_runstate_set(v, RUNSTATE_offline);
	hv_domain_thread_leaves(d);
	return NULL;
}
