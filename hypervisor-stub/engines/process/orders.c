/* SPDX-License-Identifier: MIT */
/*
 * The queue of orders to a process's mapper thread, and its confirmations.
 *
 * Orders are carried out in the order in which they were written. Those for a process that is about
 * to be resumed are only staged: publishing them with the resume saves a wake-up, for then the
 * mapper itself releases the vCPU thread.
 *
 * Two kinds of "done". The count of orders done lies in the process's state page: it says when a
 * slot of the ring may be used again, and forging it is the process's own end (trampoline.S). A
 * confirmation is a message through a pipe that only the mapper can write to: nothing that protects
 * anybody rests on less.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#define TELL_EVERY_NS  10000000000u
#define ORDER_LIMIT_NS 5000000000u /* so often a mapper that is silent is looked at */

struct order {
	_Atomic uint32_t seq;
	uint32_t op;
	uint64_t addr, len, offset;
	uint32_t prot, go, ack, pad[5];
};

_Static_assert(sizeof(struct order) == 1 << PE_ORDER_SHIFT, "order");
_Static_assert(offsetof(struct order, seq) == ORDER_SEQ && offsetof(struct order, op) == ORDER_OP &&
                       offsetof(struct order, addr) == ORDER_ADDR &&
                       offsetof(struct order, len) == ORDER_LEN &&
                       offsetof(struct order, offset) == ORDER_OFFSET &&
                       offsetof(struct order, prot) == ORDER_PROT &&
                       offsetof(struct order, go) == ORDER_GO &&
                       offsetof(struct order, ack) == ORDER_ACK,
               "order");
_Static_assert(CTL_ORDERS + PE_NR_ORDERS * sizeof(struct order) <= CTL_XSAVE, "ring of orders");

static struct order *slot_of(struct pe_proc *p, uint32_t number)
{
	struct order *ring = (void *)(p->ctl + CTL_ORDERS);

	return &ring[number & (PE_NR_ORDERS - 1)];
}

void pe_proc_kill(struct pe_proc *p)
{
	p->dead = true;
	kill(p->pid, SIGKILL);
}

/* A guest can bring this about as often as it likes: the log hears of it once in a while. */
static void tell_of_silent(struct pe_domain *pd, pid_t pid)
{
	uint64_t now = pe_now();

	if (pd->silent_told && now - pd->silent_told < TELL_EVERY_NS) {
		pd->silent_untold++;
		return;
	}
	if (pd->silent_untold)
		hv_log(pd->d,
		       "guest process %d does not carry out orders: ended; so were %u others",
		       (int)pid, pd->silent_untold);
	else
		hv_log(pd->d, "guest process %d does not carry out orders: ended", (int)pid);
	pd->silent_told = now;
	pd->silent_untold = 0;
}

static void kill_silent(struct pe_proc *p)
{
	if (p->dead)
		return;
	tell_of_silent(p->pd, p->pid);
	pe_proc_kill(p);
}

/* Orders that the process says it has not carried out yet. */
static uint32_t outstanding(struct pe_proc *p)
{
	return p->tail - pe_load(p->state, STATE_DONE);
}

/*
 * On a crowded host a mapper may be ready for long and not have a core. Its code obeys orders or sleeps
 * and nothing else, so one that is ready will get there, and time proves nothing. One look does not
 * either, for we may be those who did not have a core:
 *   1. the limit is over and there is no confirmation
 *   2. we lose the core; the mapper gets it, does everything, confirms, and sleeps
 *   3. we look: it sleeps
 * So it is one that sleeps and has had no core since the look before, between which and this one we
 * have looked for its confirmation.
 */
bool pe_order_is_to_blame(struct pe_proc *p)
{
	return pe_sleeps_on(p->mapper_tid, &p->mapper_runs) || atomic_load(&p->pd->d->ending);
}

/* Whether a limit, which begins now when it is 0, is over; then it begins anew. */
static bool is_over(uint64_t *limit)
{
	uint64_t now = pe_now();
	bool over = *limit && now >= *limit;

	if (!*limit || over)
		*limit = now + ORDER_LIMIT_NS;
	return over;
}

/* Waits until the ring has room for one more. */
static void wait_for_room(struct pe_proc *p)
{
	uint64_t limit = 0;

	while (outstanding(p) >= PE_NR_ORDERS) {
		pe_order_publish(p, 0);
		/* More done than there are is a lie that needs no waiting. */
		if (outstanding(p) > PE_NR_ORDERS || (is_over(&limit) && pe_order_is_to_blame(p)))
			kill_silent(p);
		if (p->dead || pe_has_ended(p->pid)) {
			p->dead = true;
			return;
		}
		/* The mapper may share our core. */
		sched_yield();
	}
}

static void write_order(struct pe_proc *p, uint32_t op, uint64_t addr, uint64_t len,
                        uint64_t offset, uint32_t prot)
{
	struct order *o;

	wait_for_room(p);
	if (p->dead)
		return;
	p->tail++;
	o = slot_of(p, p->tail);
	/* The number goes first and comes last: the mapper reads it before and after the rest. */
	atomic_store_explicit(&o->seq, 0, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	o->op = op;
	o->addr = addr;
	o->len = len;
	o->offset = offset;
	o->prot = prot;
	o->go = 0;
	o->ack = 0;
	atomic_store_explicit(&o->seq, p->tail, memory_order_release);
	atomic_store(&p->behind, true);
}

void pe_order_map(struct pe_proc *p, uint64_t addr, uint64_t len, uint64_t offset, uint32_t prot)
{
	write_order(p, PE_OP_MAP, addr, len, offset, prot);
}

void pe_order_foreign(struct pe_proc *p, uint64_t addr, uint64_t len, uint64_t offset,
                      uint32_t prot)
{
	write_order(p, PE_OP_FOREIGN, addr, len, offset, prot);
}

void pe_order_map_peer(struct pe_proc *p, unsigned place, const struct pe_proc *peer)
{
	uint64_t at = PE_FILE_SLOTS + (uint64_t)peer->slot * PE_SLOT_SIZE + PE_SLOT_STATE +
	              STATE_OUT;

	write_order(p, PE_OP_PEER, PE_PEER + place * PE_PEER_SIZE, PE_PEER_SIZE, at, PROT_READ);
	p->removed_at = p->tail; /* what was there before must be gone, too */
}

void pe_order_unmap(struct pe_proc *p, uint64_t addr, uint64_t len)
{
	write_order(p, PE_OP_UNMAP, addr, len, 0, 0);
	p->removed_at = p->tail;
}

void pe_order_unmap_all(struct pe_proc *p)
{
	pe_order_unmap(p, 0, PE_WINDOW);
}

void pe_order_publish(struct pe_proc *p, uint32_t go)
{
	bool ask;

	if (p->tail == p->published) {
		if (!go)
			return;
		write_order(p, PE_OP_NONE, 0, 0, 0, 0);
	}
	if (p->dead)
		return;
	if (go) {
		slot_of(p, p->tail)->go = go;
		atomic_store(&p->behind, false);
	}
	ask = slot_of(p, p->tail)->ack;
	p->published = p->tail;
	atomic_store(pe_word(p->ctl, CTL_TAIL), p->tail);
	/*
	 * Full barriers on both sides, so that one sees the other:
	 *   1. we write tail           1. the mapper writes "I wait"
	 *   2. we look who waits       2. it looks at tail again
	 * For a confirmation we do not rely on what the process says of itself.
	 */
	if (atomic_exchange(pe_word(p->state, STATE_MAPPER_WAITS), 0) || ask)
		pe_futex_wake(pe_word(p->ctl, CTL_TAIL), 1);
}

void pe_order_ask(struct pe_proc *p)
{
	if (p->dead) {
		/* It was killed, which takes a moment, and orders are not even written any more. */
		p->ack_pending = !pe_has_ended(p->pid);
		return;
	}
	if (p->removed_at == p->confirmed)
		return;
	/* The last order may carry the question, unless the mapper can see it already. */
	if (p->tail == p->published)
		write_order(p, PE_OP_NONE, 0, 0, 0, 0);
	if (p->dead)
		return;
	slot_of(p, p->tail)->ack = 1;
	p->ack_at = p->tail;
	p->ack_pending = true;
	pe_order_publish(p, 0);
}

static bool any_pending(struct pe_domain *pd, bool check)
{
	bool any = false;

	for (struct pe_proc *p = pd->procs; p; p = p->next) {
		if (!p->ack_pending)
			continue;
		if (check && pe_has_ended(p->pid)) {
			/* What is gone maps nothing. */
			p->dead = true;
			p->ack_pending = false;
			p->confirmed = p->removed_at;
			continue;
		}
		any = true;
	}
	return any;
}

static void take_confirmation(struct pe_domain *pd, uint64_t id)
{
	for (struct pe_proc *p = pd->procs; p; p = p->next) {
		if (p->ack_id != id || !p->ack_pending || p->dead)
			continue;
		p->ack_pending = false;
		p->confirmed = p->removed_at;
		if (p->ack_at == p->tail)
			atomic_store(&p->behind, false);
	}
}

void pe_order_wait_confirmed(struct pe_domain *pd)
{
	uint64_t limit = 0;
	uint64_t ids[64];

	while (any_pending(pd, false)) {
		struct pollfd pfd = { .fd = pd->ack_read, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, 20) > 0) {
			n = read(pd->ack_read, ids, sizeof(ids));
			for (ssize_t i = 0; i < n / (ssize_t)sizeof(ids[0]); i++)
				take_confirmation(pd, ids[i]);
			continue;
		}
		if (!any_pending(pd, true))
			break;
		if (!is_over(&limit))
			continue;
		for (struct pe_proc *p = pd->procs; p; p = p->next) {
			if (p->ack_pending && pe_order_is_to_blame(p))
				kill_silent(p);
		}
	}
}
