/* SPDX-License-Identifier: MIT */
/*
 * sched_op: yield, block, poll, shutdown, watchdog.
 *
 * A handler only marks the vCPU as resting; its thread sleeps after the handler has returned and no
 * lock is held (sched.c).
 */
#include <sched.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/hypercall.h"

#define POLL_MAX_PORTS 128
#define NS_PER_S       UINT64_C(1000000000)

/* Whether an upcall is due: the vCPU has no reason to sleep. */
static bool event_due(const struct hv_vcpu *v)
{
	return __atomic_load_n(&v->info->evtchn_upcall_pending, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&v->info->evtchn_upcall_mask, __ATOMIC_SEQ_CST);
}

static int64_t do_block(struct hv_vcpu *v)
{
	__atomic_store_n(&v->info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
	/* `blocked` first, then the look: a sender does it the other way round. */
	atomic_store(&v->sched.blocked, true);
	if (event_due(v))
		atomic_store(&v->sched.blocked, false);
	return 0;
}

/* ---- poll ----------------------------------------------------------------------------------- */

/* 1: a port is pending; 0: none is; else -XEN_E*. The last port looked at is left in *port. */
static int any_pending(struct hv_vcpu *v, const struct sched_poll *p, evtchn_port_t *port)
{
	for (unsigned i = 0; i < p->nr_ports; i++) {
		int rc;

		if (hv_guest_read(v, port, p->ports.va + i * sizeof(*port), sizeof(*port)))
			return -XEN_EFAULT;
		rc = hv_evtchn_is_pending(v->domain, *port);
		if (rc)
			return rc;
	}
	return 0;
}

static void stop_polling(struct hv_vcpu *v)
{
	atomic_fetch_and(&v->domain->sched.poll_mask, ~(1u << v->id));
	atomic_store(&v->sched.blocked, false);
	v->sched.poll_timeout_ns = 0;
}

static int64_t do_poll(struct hv_vcpu *v, uint64_t va)
{
	struct sched_poll p;
	evtchn_port_t port = 0;
	int rc;

	if (hv_guest_read(v, &p, va, sizeof(p)))
		return -XEN_EFAULT;
	if (p.nr_ports > POLL_MAX_PORTS)
		return -XEN_EINVAL;
	if (p.ports.va > UINT64_MAX - POLL_MAX_PORTS * sizeof(port))
		return -XEN_EFAULT;
	/*
	 * 1. We say that we poll, for any port; 2. we look at the pending bits. A sender does it in
	 * the other order, so that one of us sees the other.
	 */
	atomic_store(&v->sched.poll_port, HV_POLL_ANY_PORT);
	atomic_store(&v->sched.blocked, true);
	atomic_fetch_or(&v->domain->sched.poll_mask, 1u << v->id);
	rc = event_due(v) ? 1 : any_pending(v, &p, &port);
	if (rc) {
		stop_polling(v);
		return rc > 0 ? 0 : rc;
	}
	if (p.nr_ports == 1)
		atomic_store(&v->sched.poll_port, port);
	v->sched.poll_timeout_ns = p.timeout;
	return 0;
}

/* ---- shutdown and watchdog ------------------------------------------------------------------ */

static int64_t do_shutdown(struct hv_vcpu *v, uint32_t reason)
{
	struct hv_domain *d = v->domain;
	int code;

	hv_domain_lock(d);
	code = d->sched.shutdown_code;
	hv_domain_unlock(d);
	hv_domain_end(d, v, code >= 0 ? code : (int)(uint8_t)reason, NULL);
	return 0;
}

static int64_t set_shutdown_code(struct hv_vcpu *v, uint32_t reason)
{
	struct hv_domain *d = v->domain;

	hv_domain_lock(d);
	if (d->sched.shutdown_code < 0)
		d->sched.shutdown_code = (uint8_t)reason;
	hv_domain_unlock(d);
	return 0;
}

static int64_t remote_shutdown(struct hv_vcpu *v, uint64_t va)
{
	struct sched_remote_shutdown r;
	struct hv_domain *d;

	if (hv_guest_read(v, &r, va, sizeof(r)))
		return -XEN_EFAULT;
	if (r.domain_id == 0)
		return -XEN_EPERM;
	d = hv_domain_get(v->domain->machine, r.domain_id);
	if (!d)
		return -XEN_ESRCH;
	hv_domain_put(d);
	return -XEN_EPERM;
}

static void arm_watchdog(struct hv_domain *d, unsigned i, uint32_t seconds)
{
	uint64_t now = hv_time_now(d->machine);

	atomic_store(&d->sched.watchdog_ns[i],
	             now + seconds * NS_PER_S < now ? HV_TIME_NEVER : now + seconds * NS_PER_S);
	/* vCPU 0's thread keeps the time. */
	hv_vcpu_poke(d->vcpu[0]);
}

/* A free timer: its number from 1 on, or -XEN_ENOSPC. Lock: domain. */
static int take_watchdog(struct hv_domain *d)
{
	for (unsigned i = 0; i < HV_WATCHDOGS; i++) {
		if (!(d->sched.watchdogs_in_use & 1u << i)) {
			d->sched.watchdogs_in_use |= 1u << i;
			return (int)i + 1;
		}
	}
	return -XEN_ENOSPC;
}

/* Lock: domain. */
static int64_t set_watchdog(struct hv_domain *d, const struct sched_watchdog *w)
{
	int id = (int)w->id;

	if (w->id > HV_WATCHDOGS)
		return -XEN_EINVAL;
	if (!w->id) {
		id = take_watchdog(d);
		if (id > 0)
			arm_watchdog(d, (unsigned)id - 1, w->timeout);
		return id;
	}
	if (!(d->sched.watchdogs_in_use & 1u << (id - 1)))
		return -XEN_EINVAL;
	if (w->timeout) {
		arm_watchdog(d, (unsigned)id - 1, w->timeout);
	} else {
		atomic_store(&d->sched.watchdog_ns[id - 1], HV_TIME_NEVER);
		d->sched.watchdogs_in_use &= ~(1u << (id - 1));
	}
	return 0;
}

static int64_t do_watchdog(struct hv_vcpu *v, uint64_t va)
{
	struct sched_watchdog w;
	int64_t rc;

	if (hv_guest_read(v, &w, va, sizeof(w)))
		return -XEN_EFAULT;
	hv_domain_lock(v->domain);
	rc = set_watchdog(v->domain, &w);
	hv_domain_unlock(v->domain);
	return rc;
}

uint64_t hv_sched_watchdog(struct hv_domain *d, uint64_t now_ns)
{
	uint64_t first = HV_TIME_NEVER;

	for (unsigned i = 0; i < HV_WATCHDOGS; i++) {
		uint64_t ns = atomic_load(&d->sched.watchdog_ns[i]);

		if (ns < first)
			first = ns;
	}
	if (first <= now_ns) {
		hv_domain_end(d, NULL, SHUTDOWN_watchdog, NULL);
		return HV_TIME_NEVER;
	}
	return first;
}

/* ---- dispatch ------------------------------------------------------------------------------- */

int64_t hv_do_sched_op(struct hv_vcpu *v, const uint64_t *a)
{
	struct sched_shutdown s;

	switch ((uint32_t)a[0]) {
	case SCHEDOP_yield:
		sched_yield();
		return 0;
	case SCHEDOP_block:
		return do_block(v);
	case SCHEDOP_poll:
		return do_poll(v, a[1]);
	case SCHEDOP_shutdown:
	case SCHEDOP_shutdown_code:
		if (hv_guest_read(v, &s, a[1], sizeof(s)))
			return -XEN_EFAULT;
		return (uint32_t)a[0] == SCHEDOP_shutdown ? do_shutdown(v, s.reason)
		                                          : set_shutdown_code(v, s.reason);
	case SCHEDOP_remote_shutdown:
		return remote_shutdown(v, a[1]);
	case SCHEDOP_watchdog:
		return do_watchdog(v, a[1]);
	case SCHEDOP_pin_override:
		return -XEN_EPERM;
	default:
		return -XEN_ENOSYS;
	}
}

int64_t hv_do_sched_op_compat(struct hv_vcpu *v, const uint64_t *a)
{
	switch ((uint32_t)a[0]) {
	case SCHEDOP_yield:
		sched_yield();
		return 0;
	case SCHEDOP_block:
		return do_block(v);
	case SCHEDOP_shutdown:
		return do_shutdown(v, (uint32_t)a[1]);
	default:
		return -XEN_ENOSYS;
	}
}
