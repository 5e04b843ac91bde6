/* SPDX-License-Identifier: MIT */
/*
 * Which process runs which root: one for every (vCPU, root, mode) that has run lately, so that
 * changing the root costs a hand-over and no mapping is lost. When there are too many, the one that
 * was used least recently goes; a vCPU's current one never does.
 */
#include <errno.h>

#include "hypervisor-stub/engines/process/process.h"

static bool wants_user(const struct hv_vcpu *v)
{
	return !v->in_kernel && !hv_mfn_same(v->root_user, v->root_kernel);
}

static struct pe_proc *find(struct pe_vcpu *pv, mfn_t root, bool is_user)
{
	for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
		if (p->owner == pv && hv_mfn_same(p->root, root) && p->is_user == is_user)
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

static void end_proc(struct pe_domain *pd, struct pe_proc *p)
{
	for (unsigned i = 0; i < PE_NR_LOCAL; i++)
		p->owner->local[i] += pe_load(p->state, STATE_LOCAL + 4 * i);
	unlink_proc(pd, p);
	pe_nursery_doom(pd, p);
}

static bool evict_one(struct pe_domain *pd)
{
	struct pe_proc *victim = NULL;

	for (struct pe_proc *p = pd->procs; p; p = p->next) {
		if (p != p->owner->current && (!victim || p->used < victim->used))
			victim = p;
	}
	if (!victim)
		return false;
	end_proc(pd, victim);
	return true;
}

/* A process for a root that has none yet; others must go when there is no room. */
static struct pe_proc *adopt(struct pe_vcpu *pv, mfn_t root, bool is_user)
{
	struct pe_domain *pd = pv->pd;
	struct pe_proc *p;

	if (!pd->spare && pd->nr_procs >= process_options.max_processes)
		evict_one(pd);
	do {
		p = pe_nursery_take(pd);
	} while (!p && !pd->stopping && evict_one(pd));
	if (!p)
		return NULL;
	p->owner = pv;
	p->root = root;
	p->is_user = is_user;
	p->cursor = pd->log_head; /* it has nothing mapped */
	p->next = pd->procs;
	pd->procs = p;
	return p;
}

static void set_current(struct pe_vcpu *pv, struct pe_proc *p)
{
	pthread_mutex_lock(&pv->kick_lock);
	pv->current = p;
	pthread_mutex_unlock(&pv->kick_lock);
}

int pe_cache_activate(struct pe_vcpu *pv)
{
	struct pe_domain *pd = pv->pd;
	mfn_t root = hv_vcpu_root(pv->v);
	bool is_user = wants_user(pv->v);
	struct pe_proc *p;
	int rc = 0;

	pthread_mutex_lock(&pd->lock);
	p = find(pv, root, is_user);
	if (!p)
		p = adopt(pv, root, is_user);
	if (p) {
		p->used = ++pd->clock;
		pe_apply_log(p);
		set_current(pv, p);
	} else {
		rc = errno ? -errno : -EAGAIN;
	}
	pthread_mutex_unlock(&pd->lock);
	return rc;
}

void pe_cache_bury(struct pe_vcpu *pv)
{
	struct pe_domain *pd = pv->pd;
	struct pe_proc *p = pv->current;

	pthread_mutex_lock(&pd->lock);
	set_current(pv, NULL);
	if (pv->fp_proc == p) {
		pv->fp = PE_FP_INIT;
		pv->fp_proc = NULL;
	}
	end_proc(pd, p);
	pthread_mutex_unlock(&pd->lock);
}

void pe_cache_drop_root(struct pe_domain *pd, mfn_t root)
{
	struct pe_proc *p, *next;

	pthread_mutex_lock(&pd->lock);
	for (p = pd->procs; p; p = next) {
		next = p->next;
		if (hv_mfn_same(p->root, root) && p != p->owner->current)
			end_proc(pd, p);
	}
	pthread_mutex_unlock(&pd->lock);
}

void pe_cache_drop_vcpu(struct pe_vcpu *pv)
{
	struct pe_domain *pd = pv->pd;
	struct pe_proc *p, *next;

	pthread_mutex_lock(&pd->lock);
	set_current(pv, NULL);
	for (p = pd->procs; p; p = next) {
		next = p->next;
		if (p->owner == pv)
			end_proc(pd, p);
	}
	pthread_mutex_unlock(&pd->lock);
}
