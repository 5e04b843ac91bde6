/* SPDX-License-Identifier: MIT */
/*
 * The user's and the kernel's process of a vCPU as a pair: a system call goes from the one to the
 * other, and an iret back, without our thread (trampoline.S has the hand-over itself).
 *
 * Each of the two writes registers, bases and the floating-point state into its own OUT pages, which
 * the other has mapped read-only, and takes the vCPU only while it waits for that. Who has the turn
 * is a word in the kernel's process: 1 while the kernel waits for its user. The kernel's trampoline
 * takes it to enter a system call, we take it when the user's process reports an exit to us; it is
 * taken by a compare and exchange, so an exit that user code makes up while its kernel runs, or a
 * system call that it makes up while we handle an exit of its own, finds the turn gone.
 *
 * A pair is made anew for every run, if nothing stands against it: no removal must be outstanding
 * for the partner, since it would go on without us.
 *
 * A user's process that is neither of the two must not run at all: its kernel may have taken pages
 * from it, which it drops only when it is used again. That it says so is no proof; that it sleeps in
 * the host's kernel is one, and moving it from the word that it sleeps on to one that only we wake
 * is how we know. One that cannot be moved runs on, and is ended; its state is the vCPU's anyway.
 * A sleeper wakes by himself neither by time, which the filter does not let him name, nor by a
 * signal, which only we send; but one of ours may still be on its way:
 *   1. a kick is sent to the user's process, which just then hands the vCPU to its kernel
 *   2. the kernel goes over to another user, and we move the first one, which seems to sleep
 *   3. the signal wakes it; and what the kernel hands to the other one, it takes as well
 * So it is told not to take anything (CTL_PEER), and nobody counts as asleep with a kick pending.
 */
#include <sched.h>
#include <string.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/engines/process/process.h"

#define FREEZE_TRIES 50 /* to see it asleep; it goes to sleep when it is given the core */

/* Whoever waits there goes to sleep when it has the core next. */
static void send_to_sleep(struct pe_proc *p)
{
	pe_store(p->ctl, CTL_SPINS, 0);
	pe_store(p->ctl, CTL_YIELDS, 0);
}

/* Nobody sends u a kick any more. True when none is on its way either. */
static bool kicks_have_arrived(struct pe_proc *u)
{
	if (atomic_load(&u->kicked) && pe_kick_is_pending(u->pid))
		return false;
	atomic_store(&u->kicked, false);
	return true;
}

static bool freeze(struct pe_proc *u)
{
	pe_store(u->ctl, CTL_PEER, 0);
	send_to_sleep(u);
	for (unsigned i = 0; i < FREEZE_TRIES; i++) {
		if (kicks_have_arrived(u) &&
		    pe_futex_move(pe_word(u->state, OUT_PARK), pe_word(u->ctl, CTL_FROZEN)))
			return true;
		sched_yield();
	}
	return false;
}

static void thaw(struct pe_proc *u)
{
	if (!u->is_frozen)
		return;
	u->is_frozen = false;
	if (!pe_futex_move(pe_word(u->ctl, CTL_FROZEN), pe_word(u->state, OUT_PARK)))
		pe_futex_wake(pe_word(u->ctl, CTL_FROZEN), 1);
}

/* From now on only p and q may run. Lock: pd. */
static void leave_user(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *q)
{
	struct pe_proc *u = pv->user;

	thaw(p);
	if (q)
		thaw(q);
	if (u && u != p && u != q) {
		pe_store(u->ctl, CTL_LEFT, pe_load(u->ctl, CTL_LEFT) + 1);
		u->is_frozen = freeze(u);
		if (!u->is_frozen)
			pe_cache_end(pv->pd, u);
	}
	pv->user = p->is_user ? p : q && q->is_user ? q : NULL;
}

/* Whether this vCPU's guest is one of two modes, and nobody wants to see every change between them. */
static bool has_two_modes(const struct hv_vcpu *v)
{
	const struct hv_tracer *tracer = v->domain->machine->tracer;

	return !hv_mfn_is_none(v->root_user) && v->traps.syscall.va &&
	       v->traps.syscall.va < PE_GUEST_END && !(tracer && tracer->every_call) &&
	       !v->traps.in_nmi && !v->traps.nmi_pending;
}

static bool is_wanted(const struct hv_vcpu *v)
{
	return has_two_modes(v) && !hv_mfn_same(v->root_user, v->root_kernel);
}

bool pe_pair_in_one(const struct hv_vcpu *v)
{
	return has_two_modes(v) && hv_mfn_same(v->root_user, v->root_kernel) && !v->native.is_on;
}

/*
 * p will have q's pages before it goes on. A user has but those of its kernel: its old kernel's, too,
 * would show it what is handed to others.
 */
static void see(struct pe_proc *p, struct pe_proc *q)
{
	unsigned places = p->is_user ? 1 : PE_PEERS, i;

	for (i = 0; i < places && p->peer[i] != q; i++)
		continue;
	if (i == places) {
		i = p->next_place++ % places;
		pe_order_map_peer(p, i, q);
		p->peer[i] = q;
	}
	pe_store64(p->ctl, CTL_PEER_AT, PE_PEER + i * PE_PEER_SIZE - STATE_OUT);
}

bool pe_pair_forget(struct pe_proc *p, const struct pe_proc *peer)
{
	bool knew = false;

	for (unsigned i = 0; i < PE_PEERS; i++) {
		if (p->peer[i] != peer)
			continue;
		p->peer[i] = NULL;
		knew = true;
	}
	if (p->told == peer)
		p->told = NULL;
	return knew;
}

/* The registers that a kernel has given to one user are not for the eyes of the next. */
static void forget_registers(struct pe_proc *k, const struct pe_proc *u)
{
	if (k->told == u)
		return;
	memset(k->state + OUT_FS_BASE, 0, OUT_REGS + STATE_REGS_RSP - STATE_REGS + 8 - OUT_FS_BASE);
	memset(k->state + OUT_XSAVE, 0, PE_XSAVE_MAX);
	k->told = u;
}

void pe_pair_tell_kernel(struct pe_vcpu *pv, struct pe_proc *k)
{
	const struct hv_vcpu *v = pv->v;

	pe_tell(k->ctl, CTL_USER_CS, v->native.is_on ? v->native.user_cs : pv->user_cs);
	pe_tell(k->ctl, CTL_USER_SS, v->native.is_on ? v->native.user_ss : pv->user_ss);
	pe_tell64(k->ctl, CTL_KERNEL_SP, v->traps.kernel_sp);
	pe_tell64(k->ctl, CTL_SYSCALL, v->traps.syscall.va);
	pe_tell(k->ctl, CTL_SYS_MASKS, v->traps.syscall.masks_events);
	pe_tell64(k->ctl, CTL_GS_USER, v->regs.gs_base_user);
	pe_tell(k->ctl, CTL_IS_USER, 0);
}

static void start_turns(struct pe_proc *p, struct pe_proc *q)
{
	/* Nothing that was given before counts. */
	pe_store(p->state, OUT_TAKEN, pe_load(q->state, OUT_SEQ));
	pe_store(q->state, OUT_TAKEN, pe_load(p->state, OUT_SEQ));
	p->given = pe_load(p->state, OUT_SEQ);
	q->given = pe_load(q->state, OUT_SEQ);
	pe_store(p->state, STATE_TURN, 0);
	pe_store(q->state, STATE_TURN, 1);
}

/* Whether q may be handed the vCPU by p. */
static bool make_ready(struct pe_vcpu *pv, struct pe_proc *q, struct pe_proc *p)
{
	const struct hv_vcpu *v = pv->v;

	/* A kernel that is handed the vCPU loads everything but these. */
	if (!q->is_user && (!hv_mfn_same(q->window, v->info_mfn) ||
	                    (!v->native.is_on && q->gs_base != v->regs.gs_base_kernel)))
		return false;
	/*
	 * It goes on without us, so nothing may be outstanding; and what a user's process may not
	 * see any more must really be gone.
	 */
	pe_apply_log(q);
	see(q, p);
	if (atomic_load(&q->behind) || (q->is_user && q->removed_at != q->confirmed)) {
		pe_order_ask(q);
		pe_order_wait_confirmed(q->pd);
		pe_order_publish(q, 0); /* what was only added it may find a little later */
	}
	return !q->dead;
}

struct pe_proc *pe_pair_up(struct pe_vcpu *pv, struct pe_proc *p)
{
	struct hv_vcpu *v = pv->v;
	struct pe_proc *q = NULL, *k;

	if (!v->in_kernel) {
		pv->user_cs = v->regs.cs;
		pv->user_ss = v->regs.ss;
	}
	if (!is_wanted(v) && !pv->partner && !pv->user && !p->is_user && !pe_load(p->ctl, CTL_PEER))
		return NULL; /* the usual case where there is no user mode, or it is in one with p */
	pthread_mutex_lock(&pv->pd->lock);
	if (is_wanted(v))
		q = pe_cache_find(pv, v->in_kernel ? v->root_user : v->root_kernel, v->in_kernel);
	if (q && !make_ready(pv, q, p))
		q = NULL;
	if (q) {
		see(p, q);
		k = p->is_user ? q : p;
		forget_registers(k, p->is_user ? p : q);
		pe_pair_tell_kernel(pv, k);
		pe_store(p->is_user ? p->ctl : q->ctl, CTL_IS_USER, 1);
		start_turns(p, q);
		q->used = ++pv->pd->clock;
	} else {
		pe_store(p->state, STATE_TURN, 0);
		if (p->is_user && p->peer[0])
			forget_registers(p->peer[0], p); /* it sees them all the same */
	}
	pe_store(p->ctl, CTL_PEER, q != NULL);
	if (q)
		pe_store(q->ctl, CTL_PEER, 1);
	pe_cache_set_current(pv, p, q);
	leave_user(pv, p, q);
	pthread_mutex_unlock(&pv->pd->lock);
	return q;
}

static uint64_t canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a ? a : 0;
}

void pe_pair_settle(struct pe_vcpu *pv, struct pe_proc *x, struct pe_proc *other)
{
	struct hv_vcpu *v = pv->v;
	bool was_in_kernel = v->in_kernel;

	v->in_kernel = !x->is_user;
	if (x->is_user) {
		v->regs.cs = pv->user_cs;
		v->regs.ss = pv->user_ss;
	} else if (!was_in_kernel || x->given != pe_load(x->state, OUT_SEQ)) {
		v->regs.cs = FLAT_KERNEL_CS;
		v->regs.ss = FLAT_KERNEL_SS;
	}
	if (other) {
		/* The one that waits keeps its registers; its bases we do not know any more. */
		other->fs_base = ~UINT64_C(0);
		if (!other->is_user && other->given != pe_load(other->state, OUT_SEQ))
			other->gs_base = canonical(pe_load64(other->state, STATE_GS_BASE));
		if (!other->is_user)
			v->regs.gs_base_kernel = other->gs_base;
		else
			other->gs_base = ~UINT64_C(0);
	}
	pthread_mutex_lock(&pv->pd->lock);
	pe_cache_set_current(pv, x, other);
	pthread_mutex_unlock(&pv->pd->lock);
}
