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

/* Kicks that bring no exit: when to look whether they arrive, and how often is too much. */
#define DEAF_LOOK_NS   5000000u
#define DEAF_LOOKS     20u

#define HABIT_MAX      64 /* runs; then we look again */

#define MAPPER_LOOK_NS 50000000u /* when orders before a guest goes on take long */

/* ---- the one or two processes that may run ----------------------------------------------------- */

/* While we wait: b is the partner of a, or NULL; k is the kernel's of them, u the other one. */
struct runners {
	struct pe_proc *k, *u;
};

static struct runners runners(struct pe_proc *a, struct pe_proc *b)
{
	if (b && a->is_user)
		return (struct runners){ .k = b, .u = a };
	return (struct runners){ .k = a, .u = b };
}

static bool has_exit(struct pe_proc *p)
{
	return pe_load(p->state, STATE_EXIT_SEQ) != p->seq;
}

/* Takes the turn from a kernel that waits for its user (pair.c). */
static bool take_turn(struct pe_proc *k)
{
	uint32_t waits = 1;

	return atomic_compare_exchange_strong(pe_word(k->state, STATE_TURN), &waits, 0);
}

static struct pe_proc *who_stopped(const struct runners *r)
{
	if (has_exit(r->k))
		return r->k;
	if (!r->u || !has_exit(r->u))
		return NULL;
	if (take_turn(r->k))
		return r->u;
	/* Its kernel runs: user code has made this up, and gets no answer. */
	r->u->seq = pe_load(r->u->state, STATE_EXIT_SEQ);
	return NULL;
}

/* Whom a kick should find. What a user's process has given counts as taken: it only waits. */
static struct pe_proc *who_runs(const struct runners *r)
{
	if (!r->u || !pe_load(r->k->state, STATE_TURN) ||
	    pe_load(r->u->state, OUT_SEQ) != pe_load(r->k->state, OUT_TAKEN))
		return r->k;
	return r->u;
}

/* Where we sleep: both know the word, and only the kernel's process and we can write it. */
static void set_bell(struct pe_vcpu *pv, const struct runners *r)
{
	atomic_store_explicit(&pv->bell, pe_word(r->k->state, OUT_HV), memory_order_relaxed);
	pe_tell64(r->k->ctl, CTL_BELL, PE_STATE + OUT_HV);
	if (r->u)
		pe_tell64(r->u->ctl, CTL_BELL, pe_load64(r->u->ctl, CTL_PEER_AT) + OUT_HV);
}

/* ---- going on and stopping --------------------------------------------------------------------- */

static void make_it_look(struct pe_proc *p)
{
	/* A full barrier; pairs with the guest's between "I wait" and its last look. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!pe_load(p->state, OUT_WAITS))
		return;
	atomic_fetch_add(pe_word(p->state, OUT_PARK), 1);
	pe_futex_wake(pe_word(p->state, OUT_PARK), 1);
}

void pe_go(struct pe_proc *p)
{
	pe_store(p->ctl, CTL_ANSWERED, p->seq);
	if (!++p->go)
		p->go = 1;
	/*
	 * That all orders are published says nothing: another vCPU may have done that just now.
	 *   1. we order that a page be unmapped, and leave it to our resume to publish that
	 *   2. their retire() or sync() asks us for a confirmation, publishes it, and waits
	 *   3. we resume our guest, and it finds the page: the mapper has not had the core yet
	 */
	if (atomic_load(&p->behind)) {
		pthread_mutex_lock(&p->pd->lock);
		if (atomic_load(&p->behind)) {
			pe_order_publish(p, p->go);
			pthread_mutex_unlock(&p->pd->lock);
			return;
		}
		pthread_mutex_unlock(&p->pd->lock);
	}
	pe_store(p->state, STATE_GO, p->go);
	make_it_look(p);
}

static void set_pending(const struct runners *r)
{
	pe_store(r->k->ctl, CTL_PENDING, 1);
	if (r->u)
		pe_store(r->u->ctl, CTL_PENDING, 1);
}

/* Returns whom it sent a kick. */
static pid_t stop_guest(const struct runners *r)
{
	struct pe_proc *p = who_runs(r);

	set_pending(r);
	atomic_store(&p->kicked, true);
	syscall(SYS_tgkill, p->pid, p->pid, PE_SIG_KICK);
	return p->pid;
}

/* What is known of a guest that was told to stop and has not. */
struct stop {
	bool wanted;
	const struct pe_proc *went_on; /* in this run; its mapper releases it */
	uint64_t mapper_runs;          /* for pe_sleeps_on(), */
	uint64_t next_look_at_mapper;  /* which is asked then */
	uint64_t next_kick, next_look;
	pid_t kicked;   /* who was sent the last one (it may have died since), */
	unsigned heard; /* and looks at which that had arrived */
};

/*
 * Whether the guest got kicks and yet did not report. Honest code is in the trampoline for an instant
 * only, and looks at the pending flag on its way; code that jumped into the trampoline to sleep or loop
 * there would make us wait for ever. A guest that has no core gets no kick, so it is just slow. How long
 * it had one says nothing: the host counts as used what was taken from it, by its own hypervisor or
 * for a page fault that waits for memory.
 */
static bool is_deaf(struct stop *s, uint64_t now)
{
	if (now < s->next_look)
		return false;
	s->next_look = now + DEAF_LOOK_NS;
	if (!s->kicked || pe_kick_is_pending(s->kicked))
		return false;
	return ++s->heard > DEAF_LOOKS;
}

/*
 * Whether the guest cannot run yet, for its mapper still has orders to carry out. Kicks would only
 * take the core from the mapper. The guest can pretend so, but a mapper that sleeps has none.
 */
static bool is_held_back(struct stop *s, uint64_t now)
{
	const struct pe_proc *p = s->went_on;

	if (!p || pe_load(p->state, STATE_GO) == p->go)
		return false;
	if (now < s->next_look_at_mapper)
		return true;
	s->next_look_at_mapper = now + MAPPER_LOOK_NS;
	if (pe_sleeps_on(p->mapper_tid, &s->mapper_runs))
		s->went_on = NULL;
	return s->went_on;
}

/* One round of stopping a guest. False when it must be ended instead. */
static bool press(const struct runners *r, struct stop *s, uint64_t now)
{
	if (!s->next_look)
		s->next_look = now + DEAF_LOOK_NS;
	if (now < s->next_kick)
		return true;
	s->next_kick = now + REKICK_NS;
	if (is_held_back(s, now)) {
		set_pending(r);
		return true;
	}
	if (is_deaf(s, now))
		return false;
	s->kicked = stop_guest(r);
	return true;
}

/*
 * Sleeps until one of them rings, a kick comes, or the time is up. Whoever rings and wakes nobody
 * tries again until we sleep or the word is 0 (trampoline.S), so nothing is missed.
 */
static void sleep_until(struct pe_vcpu *pv, const struct runners *r, uint64_t until)
{
	_Atomic uint32_t *bell = atomic_load_explicit(&pv->bell, memory_order_relaxed);

	/* Full barriers here, in vcpu_kick() and before the guest looks whether we wait. */
	atomic_store(bell, 1);
	atomic_store(&pv->sleeping, true);
	if (!has_exit(r->k) && !(r->u && has_exit(r->u)) && !atomic_load(&pv->kicked))
		pe_futex_wait(bell, 1, until);
	atomic_store(&pv->sleeping, false);
	atomic_store(bell, 0);
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

static void mind_the_crowd(struct pe_vcpu *pv, struct pe_proc *went_on, struct pe_proc *stopped,
                           uint64_t went)
{
	uint64_t now;

	/* Of a pair, the one that went on may have been resumed by the other since. */
	if (!(went_on && took_long(went, pe_load64(went_on->state, STATE_RESUMED))) &&
	    !took_long(pe_load64(stopped->state, STATE_TSC), pe_ticks()))
		return;
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
static void spin(struct pe_vcpu *pv, const struct runners *r)
{
	for (unsigned i = 0; i < PE_SPINS; i++) {
		if (has_exit(r->k) || (r->u && has_exit(r->u)) || atomic_load(&pv->kicked))
			break;
		__builtin_ia32_pause();
	}
}

/*
 * A pair may run for long without us, and while we give way we get the core in between for nothing; when
 * it stops soon, being woken costs more. What it does after a hypercall of one kind it is likely to do
 * after the next one of that kind.
 */
static unsigned yields_for_pair(struct pe_vcpu *pv)
{
	struct pe_habit *h = &pv->habit[pv->answered];

	if (!h->sleeps)
		return pv->yields;
	h->sleeps--;
	return 0;
}

/* slept: giving way was not enough. */
static void learn_habit(struct pe_vcpu *pv, bool slept)
{
	struct pe_habit *h = &pv->habit[pv->answered];

	if (!slept) {
		h->next = 0;
		return;
	}
	h->next = h->next ? (uint8_t)(h->next * 2 > HABIT_MAX ? HABIT_MAX : h->next * 2) : 2;
	h->sleeps = h->next;
}

/* After a long silence: true when whoever had the vCPU has died. */
static bool look_for_death(struct pe_vcpu *pv, struct runners *r)
{
	pv->why = "its Linux process was killed: by its own use of the stack pointer, by the host "
		  "for lack of memory, or from outside";
	if (pe_has_ended(r->k->pid)) {
		pv->died = r->k;
		return true;
	}
	if (!r->u)
		return false;
	if (!pe_has_ended(r->u->pid)) {
		make_it_look(r->k);
		make_it_look(r->u);
		return false;
	}
	if (take_turn(r->k)) {
		pv->died = r->u;
		return true;
	}
	/* The kernel runs and has nobody to hand over to any more. */
	pe_store(r->k->ctl, CTL_PEER, 0);
	pe_cache_bury(pv, r->u);
	r->u = NULL;
	return false;
}

struct pe_proc *pe_wait(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *partner)
{
	struct runners r = runners(p, partner);
	bool spins = pe_place_spins(pv);
	unsigned tries = spins ? 0 : partner ? yields_for_pair(pv) : pv->yields, yields = tries;
	uint64_t went = yields || spins ? pe_ticks() : 0;
	uint64_t served = 0; /* the deadline that hv_vcpu_tick() has seen */
	struct stop stop = { .went_on = p };
	bool slept = false;
	struct pe_proc *stopped;

	set_bell(pv, &r);
	atomic_store(&pv->next_kick, 0);
	pe_go(p);
	if (spins)
		spin(pv, &r);
	while (!(stopped = who_stopped(&r))) {
		uint64_t now = pe_now(), deadline = hv_vcpu_deadline(pv->v), until;

		if (deadline == served)
			deadline = UINT64_MAX;
		if (!stop.wanted && (now >= deadline || atomic_load(&pv->kicked))) {
			if (now >= deadline)
				served = deadline;
			atomic_store(&pv->kicked, false);
			stop.wanted = hv_vcpu_tick(pv->v);
			continue;
		}
		if (stop.wanted && !press(&r, &stop, now)) {
			pv->died = who_runs(&r);
			if (pv->died == r.u)
				take_turn(r.k); /* nobody gives it anything any more */
			pv->why = "its Linux process ignores orders to stop";
			return NULL;
		}
		if (!pv->yields && now >= pv->yields_again)
			pv->yields = PE_YIELDS;
		if (yields && !stop.wanted && deadline - now > SLICE_NS) {
			yields--;
			give_way(pv);
			continue;
		}
		until = now + LOOK_NS < deadline ? now + LOOK_NS : deadline;
		slept = true;
		sleep_until(pv, &r, stop.wanted ? stop.next_kick : until);
		if ((pe_now() >= now + LOOK_NS || stop.wanted) && look_for_death(pv, &r))
			return NULL;
		if (stop.went_on != r.k && stop.went_on != r.u)
			stop.went_on = NULL; /* it has died */
		pe_place_leave(pv);          /* a guest that computes for long is looked at too */
		pe_place_enter(pv);
	}
	if (tries && partner)
		learn_habit(pv, slept);
	if (went)
		mind_the_crowd(pv, partner ? NULL : p, stopped, went);
	stopped->seq = pe_load(stopped->state, STATE_EXIT_SEQ);
	pe_tell(r.k->ctl, CTL_PENDING, 0);
	if (r.u)
		pe_tell(r.u->ctl, CTL_PENDING, 0);
	return stopped;
}

void pe_vcpu_kick(struct hv_vcpu *v)
{
	struct pe_vcpu *pv = v->engine_priv;
	_Atomic uint32_t *bell;

	if (!pv)
		return;
	/* Full barrier: we say so, then look what the vCPU's thread does; it does the reverse. */
	atomic_store(&pv->kicked, true);
	if (atomic_load(&pv->yielding)) {
		pthread_mutex_lock(&pv->kick_lock);
		if (pv->current && pe_now() >= atomic_load(&pv->next_kick)) {
			struct runners r = runners(pv->current, pv->partner);

			/*
			 * One signal stops it. Where the host is crowded it may take the guest longer to be given
			 * one than us to send the next, and each takes its room on the signal stack.
			 */
			atomic_store(&pv->next_kick, pe_now() + REKICK_NS);
			stop_guest(&r);
		}
		pthread_mutex_unlock(&pv->kick_lock);
	}
	if (atomic_load(&pv->sleeping)) {
		/* The page stays mapped as long as the domain lives, whatever becomes of the process. */
		bell = atomic_load(&pv->bell);
		atomic_store(bell, 0);
		pe_futex_wake(bell, 1);
	}
}
