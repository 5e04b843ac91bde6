/* SPDX-License-Identifier: MIT */
/*
 * Letting a guest process go on, and waiting for its next exit: in stages, so that neither a short
 * nor a long wait costs more than it must. First a few looks, then giving way (on one core the
 * guest, or we, run next), then sleep.
 *
 * While we give way, nothing wakes us before the guest's time slice ends; so we do it only when no
 * deadline is near, and a kick that comes then stops the guest itself. And when somebody else wants
 * the core, giving way gives it to him for a whole slice: so both sides look how long they were
 * away, and when it was too long we only sleep for a while.
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#define REKICK_NS 60000u    /* a kick can fall into the trampoline, which ignores it */
#define LOOK_NS   50000000u /* a sleep no longer than this: a guest that died cannot wake us */
#define SLICE_NS  5000000u  /* about what the host gives a busy thread at once */

/* Away for so long between "go on" and going on: somebody else had the core. TSC ticks, then ns. */
#define CROWDED_TICKS 1000000u
#define PAUSE_MIN_NS  10000000u
#define PAUSE_MAX_NS  1000000000u

/* Kicks that bring no exit: when to look at the guest's use of its core, and what is too much. */
#define DEAF_LOOK_NS 5000000u
#define DEAF_RUNS    200u
#define DEAF_RUN_NS  50000000u

void pe_go(struct pe_proc *p)
{
	pe_store(p->ctl, CTL_ANSWERED, p->seq);
	if (atomic_load(&p->staged)) {
		pthread_mutex_lock(&p->pd->lock);
		if (p->tail != p->published) {
			pe_order_publish(p, p->seq);
			pthread_mutex_unlock(&p->pd->lock);
			return;
		}
		pthread_mutex_unlock(&p->pd->lock);
	}
	/* A full barrier; pairs with the guest's between "I wait" and its last look at go. */
	atomic_exchange(pe_word(p->state, STATE_GO), p->seq);
	if (pe_load(p->state, STATE_WAITS))
		pe_futex_wake(pe_word(p->state, STATE_GO), 1);
}

static void stop_guest(struct pe_proc *p)
{
	pe_store(p->ctl, CTL_PENDING, 1);
	syscall(SYS_tgkill, p->pid, p->pid, PE_SIG_KICK);
}

/* What is known of a guest that was told to stop and has not. */
struct stop {
	bool wanted;
	uint64_t next_kick, next_look;
	struct pe_schedstat before;
};

/*
 * Whether the guest ran after kicks and yet did not report. Honest code is in the trampoline for an
 * instant only, and looks at the pending flag on its way; code that jumped into the trampoline to
 * sleep or loop there would make us wait for ever. A guest that has not had the core is just slow.
 */
static bool is_deaf(struct pe_proc *p, struct stop *s, uint64_t now)
{
	struct pe_schedstat st;

	if (now < s->next_look)
		return false;
	s->next_look = now + DEAF_LOOK_NS;
	if (!pe_schedstat(p->pid, &st))
		return false;
	if (!s->before.runs) {
		s->before = st;
		return false;
	}
	return st.runs - s->before.runs > DEAF_RUNS || st.run_ns - s->before.run_ns > DEAF_RUN_NS;
}

/* One round of stopping a guest. False when it must be ended instead. */
static bool press(struct pe_proc *p, struct stop *s, uint64_t now)
{
	if (!s->next_look)
		s->next_look = now + DEAF_LOOK_NS;
	if (now < s->next_kick)
		return true;
	if (is_deaf(p, s, now))
		return false;
	stop_guest(p);
	s->next_kick = now + REKICK_NS;
	return true;
}

/* Sleeps until the process rings, a kick comes, or the time is up. */
static void sleep_until(struct pe_vcpu *pv, struct pe_proc *p, uint32_t due, uint64_t until)
{
	uint32_t bell = pe_load(p->state, STATE_BELL);

	pe_store(p->ctl, CTL_HV_WAITS, 1);
	/* Full barriers here, in vcpu_kick() and before the guest looks whether we wait. */
	atomic_store(&pv->sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (pe_load(p->state, STATE_EXIT_SEQ) != due && !atomic_load(&pv->kicked))
		pe_futex_wait(pe_word(p->state, STATE_BELL), bell, until);
	atomic_store(&pv->sleeping, false);
	pe_store(p->ctl, CTL_HV_WAITS, 0);
}

static void give_way(struct pe_vcpu *pv)
{
	atomic_store(&pv->yielding, true);
	if (!atomic_load(&pv->kicked))
		sched_yield();
	atomic_store(&pv->yielding, false);
}

/* Whether a hand-over, from the one tick count to the other, took long; foreign numbers may be any. */
static bool took_long(uint64_t from, uint64_t to)
{
	return to - from > CROWDED_TICKS && to - from < UINT64_MAX / 2;
}

static void mind_the_crowd(struct pe_vcpu *pv, struct pe_proc *p, uint64_t went)
{
	uint64_t now;

	if (!took_long(went, pe_load64(p->state, STATE_RESUMED)) &&
	    !took_long(pe_load64(p->state, STATE_TSC), pe_ticks())) {
		return;
	}
	if (pe_place_spins(pv)) {
		pe_place_stop_spinning(pv);
		return;
	}
	now = pe_now();
	/* Soon after the last pause: the crowd is still there. */
	if (now - pv->yields_again < pv->yields_pause)
		pv->yields_pause = pv->yields_pause * 2 < PAUSE_MAX_NS ? pv->yields_pause * 2
		                                                       : PAUSE_MAX_NS;
	else
		pv->yields_pause = PAUSE_MIN_NS;
	pv->yields_again = now + pv->yields_pause;
	pv->yields = 0;
}

/* Looks for the next exit for a while, with a core to ourselves. */
static void spin(struct pe_vcpu *pv, struct pe_proc *p, uint32_t due)
{
	for (unsigned i = 0; i < PE_SPINS; i++) {
		if (pe_load(p->state, STATE_EXIT_SEQ) == due || atomic_load(&pv->kicked))
			break;
		__builtin_ia32_pause();
	}
}

bool pe_wait(struct pe_vcpu *pv, struct pe_proc *p)
{
	const uint32_t due = p->seq + 1;
	bool spins = pe_place_spins(pv);
	unsigned yields = spins ? 0 : pv->yields;
	uint64_t went = yields || spins ? pe_ticks() : 0;
	struct stop stop = { 0 };

	pe_go(p);
	if (spins)
		spin(pv, p, due);
	while (pe_load(p->state, STATE_EXIT_SEQ) != due) {
		uint64_t now = pe_now(), deadline = hv_vcpu_deadline(pv->v), until;

		if (!stop.wanted && (now >= deadline || atomic_load(&pv->kicked))) {
			atomic_store(&pv->kicked, false);
			stop.wanted = hv_vcpu_tick(pv->v);
			continue;
		}
		if (stop.wanted && !press(p, &stop, now))
			return false;
		if (!pv->yields && now >= pv->yields_again)
			pv->yields = PE_YIELDS;
		if (yields && !stop.wanted && deadline - now > SLICE_NS) {
			yields--;
			give_way(pv);
			continue;
		}
		until = now + LOOK_NS < deadline ? now + LOOK_NS : deadline;
		sleep_until(pv, p, due, stop.wanted ? stop.next_kick : until);
		if ((pe_now() >= now + LOOK_NS || stop.wanted) && pe_has_ended(p->pid))
			return false;
		pe_place_leave(pv); /* a guest that computes for long is looked at too */
		pe_place_enter(pv);
	}
	if (went)
		mind_the_crowd(pv, p, went);
	p->seq = due;
	pe_store(p->ctl, CTL_PENDING, 0);
	return true;
}

void pe_vcpu_kick(struct hv_vcpu *v)
{
	struct pe_vcpu *pv = v->engine_priv;

	if (!pv)
		return;
	/* Full barrier: we say so, then look what the vCPU's thread does; it does the reverse. */
	atomic_store(&pv->kicked, true);
	if (!atomic_load(&pv->sleeping) && !atomic_load(&pv->yielding))
		return;
	pthread_mutex_lock(&pv->kick_lock);
	if (pv->current) {
		if (atomic_load(&pv->yielding))
			stop_guest(pv->current);
		atomic_fetch_add(pe_word(pv->current->state, STATE_BELL), 1);
		pe_futex_wake(pe_word(pv->current->state, STATE_BELL), 1);
	}
	pthread_mutex_unlock(&pv->kick_lock);
}
