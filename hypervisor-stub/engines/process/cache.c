/* SPDX-License-Identifier: MIT */
/*
 * Which process runs which root: one for every (vCPU, root, mode) that has run lately, so that
 * changing the root costs a hand-over and no mapping is lost. When there are too many, the one that
 * was used least recently goes; a vCPU's current one only for that vCPU's own next one, when nothing
 * else is left. A new one begins with the mappings of a relation where both share page tables.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/engines/process/process.h"

static bool wants_user(const struct hv_vcpu *v)
{
	return !v->in_kernel && !hv_mfn_same(v->root_user, v->root_kernel);
}

struct pe_proc *pe_cache_find(struct pe_vcpu *pv, mfn_t root, bool is_user)
{
	for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
		if (p->owner == pv && hv_mfn_same(p->root, root) && p->is_user == is_user &&
		    !atomic_load(&p->is_orphan))
			return p;
	}
	return NULL;
}

static void unlink_proc(struct pe_domain *pd, struct pe_proc *victim)
{
	for (struct pe_proc **at = &pd->procs; *at; at = &(*at)->next) {
		if (*at == victim) {
			*at = victim->next;
			return;
		}
	}
}

void pe_cache_end(struct pe_domain *pd, struct pe_proc *p)
{
	struct pe_proc *user, *next;

	if (p->owner->user == p)
		p->owner->user = NULL;

	/* Its pages will be another process's; no user's process may have them then. */
	for (user = pd->procs; user; user = next) {
		next = user->next;
		if (!pe_pair_forget(user, p))
			continue;
		if (user->is_user && user != user->owner->current) {
			pe_cache_end(pd, user);
			next = pd->procs;
		}
	}
	for (unsigned i = 0; i < PE_NR_LOCAL; i++)
		p->owner->local[i] += pe_load(p->state, STATE_LOCAL + 4 * i);
	unlink_proc(pd, p);
	pe_nursery_doom(pd, p);
}

static bool evict_one(struct pe_domain *pd)
{
	struct pe_proc *victim = NULL;

	for (struct pe_proc *p = pd->procs; p; p = p->next) {
		if (p != p->owner->current && p != p->owner->partner &&
		    (!victim || p->used < victim->used))
			victim = p;
	}
	if (!victim)
		return false;
	pe_cache_end(pd, victim);
	return true;
}

/*
 * The process whose mappings are most likely those that a new one will want: the same root on another
 * vCPU, else the root that this vCPU comes from, else what this vCPU ran last in that mode.
 */
static struct pe_proc *find_parent(const struct pe_vcpu *pv, const struct pe_proc *child)
{
	struct pe_proc *last = NULL;

	for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
		if (p == child || p->dead || p->is_user != child->is_user ||
		    atomic_load(&p->is_orphan))
			continue;
		/* Others' queues are left alone: they must have nothing to take note of. */
		if (p->owner != pv && p->cursor != pv->pd->log_head)
			continue;
		if (hv_mfn_same(p->root, child->root))
			return p;
		if (p->owner == pv && (!last || p->used > last->used))
			last = p;
	}
	return pv->current && pv->current->is_user == child->is_user ? pv->current : last;
}

/*
 * The last resort: the vCPU's own process, which it is about to leave. Its state is out of it, or it
 * must stay.
 */
static bool give_up_current(struct pe_vcpu *pv)
{
	struct pe_proc *p = pv->current;

	if (!p || pv->fp_proc == p)
		return false;
	pe_cache_set_current(pv, NULL, NULL);
	pe_cache_end(pv->pd, p);
	return true;
}

/* A process for a root that has none yet; others must go when there is no room. */
static struct pe_proc *adopt(struct pe_vcpu *pv, mfn_t root, bool is_user)
{
	struct pe_domain *pd = pv->pd;
	struct pe_proc *p, *parent;

	if (!pd->spare && pd->nr_procs >= pd->nr_slots - 1)
		evict_one(pd);
	do {
		p = pe_nursery_take(pd);
	} while (!p && !pd->stopping && (evict_one(pd) || give_up_current(pv)));
	if (!p) {
		int error = errno;

		hv_log(pd->d,
		       "no process can be made for vCPU %u: %s (limits are `ulimit -u`, a cgroup's "
		       "pids.max and --processes)",
		       pv->v->id, strerror(error));
		errno = error;
		return NULL;
	}
	p->owner = pv;
	p->root = root;
	p->is_user = is_user;
	p->cursor = pd->log_head; /* it has nothing mapped */
	p->next = pd->procs;
	pd->procs = p;
	parent = find_parent(pv, p);
	if (parent)
		pe_inherit(p, parent);
	return p;
}

void pe_cache_set_current(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *partner)
{
	pthread_mutex_lock(&pv->kick_lock);
	pv->current = p;
	pv->partner = partner;
	pthread_mutex_unlock(&pv->kick_lock);
}

int pe_cache_activate(struct pe_vcpu *pv)
{
	struct pe_domain *pd = pv->pd;
	mfn_t root = hv_vcpu_root(pv->v);
	bool is_user = wants_user(pv->v);
	struct pe_proc *p, *left;
	int rc = 0;

	pthread_mutex_lock(&pd->lock);
	p = pe_cache_find(pv, root, is_user);
	if (!p)
		p = adopt(pv, root, is_user);
	if (p) {
		p->used = ++pd->clock;
		pe_apply_log(p);
		left = pv->current;
		pe_cache_set_current(pv, p, NULL);
		if (left && atomic_load(&left->is_orphan) && pv->fp_proc != left)
			pe_cache_end(pd, left);
	} else {
		rc = errno ? -errno : -EAGAIN;
	}
	pthread_mutex_unlock(&pd->lock);
	return rc;
}

void pe_cache_bury(struct pe_vcpu *pv, struct pe_proc *p)
{
	struct pe_domain *pd = pv->pd;

	pthread_mutex_lock(&pd->lock);
	pe_cache_set_current(pv, p == pv->current ? NULL : pv->current, NULL);
	if (pv->fp_proc == p) {
		pv->fp = PE_FP_INIT;
		pv->fp_proc = NULL;
	}
	pe_cache_end(pd, p);
	pthread_mutex_unlock(&pd->lock);
}

/*
 * A vCPU's current one may be of that root still, when the vCPU has not run since it left it; and it must
 * not be taken for one of another root that is made of the same frame before it does:
 *   1. a multicall loads root B instead of A, and A stops being a root
 *   2. its frame is filled anew, becomes a root again, and is loaded
 *   3. the process seems to be of the root that is loaded, and nothing makes it drop what A had mapped
 */
void pe_cache_drop_root(struct pe_domain *pd, mfn_t root)
{
	struct pe_proc *p, *next;

	pthread_mutex_lock(&pd->lock);
	for (p = pd->procs; p; p = next) {
		next = p->next;
		if (!hv_mfn_same(p->root, root))
			continue;
		if (p == p->owner->current) {
			atomic_store(&p->is_orphan, true);
			continue;
		}
		if (p == p->owner->partner)
			pe_cache_set_current(p->owner, p->owner->current, NULL);
		pe_cache_end(pd, p);
		next = pd->procs;
	}
	pthread_mutex_unlock(&pd->lock);
}

void pe_cache_drop_vcpu(struct pe_vcpu *pv)
{
	struct pe_domain *pd = pv->pd;
	struct pe_proc *p, *next;

	pthread_mutex_lock(&pd->lock);
	pe_cache_set_current(pv, NULL, NULL);
	for (p = pd->procs; p; p = next) {
		next = p->next;
		if (p->owner == pv) {
			pe_cache_end(pd, p);
			next = pd->procs;
		}
	}
	pthread_mutex_unlock(&pd->lock);
}
