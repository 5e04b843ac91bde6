/* SPDX-License-Identifier: MIT */
/*
 * Machines, domains and vCPUs: how they are made, how a domain ends, and how all is given back.
 *
 * Invariant: the first call of hv_domain_end() decides why a domain ended; after it every vCPU's
 * thread leaves its loop by itself, and nothing of the domain is taken away before they are joined
 * and the last reference from outside is gone.
 *
 * Order of the teardown: threads, event channels, grants, page tables, engine, frames. Each step
 * needs what comes after it: page tables tell the engine what they drop, the engine maps the frames.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/mmu.h"

_Noreturn void hv_bug(const char *expr, const char *file, int line)
{
	fprintf(stderr, "paravane: internal error: %s is false at %s:%d\n", expr, file, line);
	abort();
}

void hv_log(const struct hv_domain *d, const char *fmt, ...)
{
	char line[400];
	int n = 0;
	va_list ap;

	if (d)
		n = snprintf(line, sizeof(line), "(d%u) ", d->domid);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	fprintf(stderr, "paravane: %s\n", line);
}

/* ---- the machine ---------------------------------------------------------------------------- */

int hv_machine_create(struct hv_machine **out, const struct hv_engine *engine, uint64_t max_frames)
{
	struct hv_machine *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	m->engine = engine;
	rc = hv_time_machine_init(m);
	if (rc)
		goto out_free;
	rc = hv_frames_machine_init(&m->pool, max_frames);
	if (rc)
		goto out_time;
	pthread_mutex_init(&m->domains_lock, NULL);
	pthread_mutex_init(&m->evtchn_lock, NULL);
	pthread_cond_init(&m->evtchn_idle, NULL);
	*out = m;
	return 0;

out_time:
	hv_time_machine_fini(m);
out_free:
	free(m);
	return rc;
}

void hv_machine_destroy(struct hv_machine *m)
{
	for (unsigned i = 0; i < HV_MAX_DOMAINS; i++)
		HV_ASSERT(!m->domains[i]);
	pthread_cond_destroy(&m->evtchn_idle);
	pthread_mutex_destroy(&m->evtchn_lock);
	pthread_mutex_destroy(&m->domains_lock);
	hv_frames_machine_fini(&m->pool);
	hv_time_machine_fini(m);
	free(m);
}

/* ---- locks and references ------------------------------------------------------------------- */

void hv_domain_lock(struct hv_domain *d)
{
	pthread_mutex_lock(&d->lock);
}

void hv_domain_unlock(struct hv_domain *d)
{
	pthread_mutex_unlock(&d->lock);
}

void hv_domains_lock(struct hv_domain *a, struct hv_domain *b)
{
	struct hv_domain *first = a->domid <= b->domid ? a : b;

	hv_domain_lock(first);
	if (a != b)
		hv_domain_lock(first == a ? b : a);
}

void hv_domains_unlock(struct hv_domain *a, struct hv_domain *b)
{
	hv_domain_unlock(a);
	if (a != b)
		hv_domain_unlock(b);
}

struct hv_domain *hv_domain_get(struct hv_machine *m, domid_t domid)
{
	struct hv_domain *d = NULL;

	pthread_mutex_lock(&m->domains_lock);
	if (domid < HV_MAX_DOMAINS)
		d = m->domains[domid];
	if (d)
		atomic_fetch_add(&d->refs, 1);
	pthread_mutex_unlock(&m->domains_lock);
	return d;
}

void hv_domain_put(struct hv_domain *d)
{
	HV_ASSERT(atomic_fetch_sub(&d->refs, 1) > 1);
}

/* Takes the domain out of the machine's list and waits until nobody else holds it: hypercalls of
 * other domains that looked it up, which are short. */
static void forget_domain(struct hv_domain *d)
{
	struct hv_machine *m = d->machine;

	pthread_mutex_lock(&m->domains_lock);
	m->domains[d->domid] = NULL;
	pthread_mutex_unlock(&m->domains_lock);
	while (atomic_load(&d->refs) != 1)
		sched_yield();
}

/* ---- making a domain ------------------------------------------------------------------------ */

static void free_vcpus(struct hv_domain *d)
{
	for (unsigned i = 0; i < HV_MAX_VCPUS; i++) {
		struct hv_vcpu *v = d->vcpu[i];

		if (!v)
			continue;
		d->machine->engine->vcpu_destroy(v);
		hv_sched_vcpu_fini(v);
		free(v);
		d->vcpu[i] = NULL;
	}
}

static int make_vcpu(struct hv_domain *d, unsigned id)
{
	struct hv_vcpu *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	v->domain = d;
	v->id = id;
	v->in_kernel = true;
	v->root_kernel = v->root_user = HV_MFN_NONE;
	v->info = &d->shared_info->vcpu_info[id];
	v->info_mfn = d->shared_info_mfn;
	v->info_offset = (unsigned)(id * sizeof(struct vcpu_info));
	hv_time_vcpu_init(v);
	hv_traps_vcpu_init(v);
	rc = hv_sched_vcpu_init(v);
	if (rc)
		goto out_free;
	rc = d->machine->engine->vcpu_create(v);
	if (rc)
		goto out_sched;
	d->vcpu[id] = v;
	return 0;

out_sched:
	hv_sched_vcpu_fini(v);
out_free:
	free(v);
	return rc;
}

static int make_vcpus(struct hv_domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		int rc = make_vcpu(d, i);

		if (rc) {
			free_vcpus(d);
			return rc;
		}
	}
	return 0;
}

/* The page that the domain and we share. Upcalls are masked on every vCPU, as Xen's builder has it. */
static int make_shared_info(struct hv_domain *d)
{
	int rc;

	hv_domain_lock(d);
	rc = hv_frame_alloc(d, HV_FRAME_SHARED, &d->shared_info_mfn);
	if (!rc)
		d->shared_info = hv_frame_ptr(d, d->shared_info_mfn);
	hv_domain_unlock(d);
	if (rc)
		return -ENOMEM;
	HV_ASSERT(d->shared_info != NULL);
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
	hv_time_update_wallclock(d);
	return 0;
}

/* Everything of a domain that can fail, in order; undone in reverse. */
static int make_parts(struct hv_domain *d, uint64_t nr_pages, uint64_t max_pages)
{
	const struct hv_engine *engine = d->machine->engine;
	int rc;

	rc = hv_frames_domain_init(d, nr_pages, max_pages);
	if (rc)
		return rc;
	rc = make_shared_info(d);
	if (rc)
		goto out_frames;
	rc = hv_evtchn_domain_init(d);
	if (rc)
		goto out_frames;
	rc = hv_gnttab_domain_init(d);
	if (rc)
		goto out_evtchn;
	rc = engine->domain_create(d);
	if (rc)
		goto out_gnttab;
	rc = make_vcpus(d);
	if (rc)
		goto out_engine;
	return 0;

out_engine:
	engine->domain_destroy(d);
out_gnttab:
	hv_gnttab_domain_fini(d);
out_evtchn:
	hv_evtchn_domain_fini(d);
out_frames:
	hv_memory_map_fini(d);
	hv_frames_domain_fini(d);
	return rc;
}

/* A number for the domain, and its place in the list. Domain 0 is the hypervisor's own. */
static int enlist(struct hv_machine *m, struct hv_domain *d)
{
	int rc = -ENOSPC;

	pthread_mutex_lock(&m->domains_lock);
	for (domid_t i = 1; i < HV_MAX_DOMAINS; i++) {
		if (!m->domains[i]) {
			d->domid = i;
			m->domains[i] = d;
			rc = 0;
			break;
		}
	}
	pthread_mutex_unlock(&m->domains_lock);
	return rc;
}

int hv_domain_create(struct hv_machine *m, const struct hv_domain_config *c, struct hv_domain **out)
{
	struct hv_domain *d;
	int rc;

	if (!c->nr_vcpus || c->nr_vcpus > HV_MAX_VCPUS || !c->nr_pages)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->machine = m;
	snprintf(d->name, sizeof(d->name), "%s", c->name ? c->name : "");
	d->nr_vcpus = c->nr_vcpus;
	d->end.reason = -1;
	d->sched.shutdown_code = -1;
	for (unsigned i = 0; i < HV_WATCHDOGS; i++)
		atomic_init(&d->sched.watchdog_ns[i], HV_TIME_NEVER);
	atomic_init(&d->refs, 1);
	pthread_mutex_init(&d->lock, NULL);
	rc = enlist(m, d);
	if (rc)
		goto out_free;
	rc = make_parts(d, c->nr_pages, c->max_pages ? c->max_pages : c->nr_pages);
	if (rc)
		goto out_list;
	*out = d;
	return 0;

out_list:
	forget_domain(d);
out_free:
	pthread_mutex_destroy(&d->lock);
	free(d);
	return rc;
}

int hv_domain_start(struct hv_domain *d)
{
	int rc = 0;

	hv_time_calibrate(d->machine);
	hv_time_update_wallclock(d);
	hv_domain_lock(d);
	for (unsigned i = 0; i < d->nr_vcpus && !rc; i++)
		if (d->vcpu[i]->is_initialised)
			rc = hv_vcpu_bring_up(d->vcpu[i]);
	hv_domain_unlock(d);
	return rc;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Tells the toolstack once: the domain has ended and none of its vCPUs runs. */
static void tell_end(struct hv_domain *d)
{
	if (!atomic_load(&d->ending) || atomic_load(&d->live_threads))
		return;
	if (atomic_exchange(&d->end_told, true))
		return;
	hv_console_flush(d);
	if (d->on_end)
		d->on_end(d, d->on_end_arg);
}

void hv_domain_thread_leaves(struct hv_domain *d)
{
	atomic_fetch_sub(&d->live_threads, 1);
	tell_end(d);
}

static void fill_end(struct hv_domain *d, const struct hv_vcpu *v, int reason)
{
	d->end.reason = reason;
	if (!v)
		return;
	d->end.vcpu = v->id;
	d->end.regs_valid = true;
	d->end.regs = v->regs;
	d->end.cr2 = v->traps.cr2;
	d->end.root = hv_vcpu_root(v);
	d->end.in_kernel = v->in_kernel;
}

void hv_domain_end(struct hv_domain *d, struct hv_vcpu *v, int reason, const char *fmt, ...)
{
	va_list ap;

	if (atomic_exchange(&d->end_claimed, true))
		return;
	/* As soon as the vCPUs have left, somebody may destroy the domain: not before we are through. */
	atomic_fetch_add(&d->refs, 1);
	fill_end(d, v, reason);
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(d->end.text, sizeof(d->end.text), fmt, ap);
		va_end(ap);
	}
	/* Publishes d->end: pairs with the load of `ending` by whoever reads it. */
	atomic_store(&d->ending, true);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->vcpu[i])
			hv_vcpu_poke(d->vcpu[i]);
	/* With threads the last of them tells; a caller that holds a lock has at least its own. */
	if (!atomic_load(&d->was_started))
		tell_end(d);
	hv_domain_put(d);
}

void hv_domain_destroy(struct hv_domain *d)
{
	const struct hv_engine *engine = d->machine->engine;

	hv_domain_end(d, NULL, SHUTDOWN_poweroff, NULL);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->vcpu[i]->has_thread)
			pthread_join(d->vcpu[i]->thread, NULL);
	/* First nobody finds it any more by a port or its number, then nobody holds it. */
	hv_evtchn_domain_fini(d);
	forget_domain(d);
	hv_gnttab_domain_fini(d);
	hv_mmu_domain_teardown(d);
	free_vcpus(d);
	engine->domain_destroy(d);
	hv_memory_map_fini(d);
	hv_frames_domain_fini(d);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
