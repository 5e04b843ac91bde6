/* SPDX-License-Identifier: MIT */
/*
 * The domains of a machine and their lives; see machine.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/machine.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/vif.h"
#include "hypervisor-stub/toolstack/weight.h"

/* ---- statuses ------------------------------------------------------------------------------- */

static int status_of(int reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		return STATUS_POWEROFF;
	case SHUTDOWN_reboot:
	case SHUTDOWN_soft_reset:
		return STATUS_REBOOT;
	case SHUTDOWN_suspend:
		return STATUS_SUSPEND;
	case SHUTDOWN_watchdog:
		return STATUS_WATCHDOG;
	default:
		return STATUS_CRASH;
	}
}

int machine_status(const struct machine *m)
{
	static const int worst_first[] = { STATUS_OURS,    STATUS_CRASH,  STATUS_WATCHDOG,
		                           STATUS_SUSPEND, STATUS_REBOOT, STATUS_DESTROYED };

	for (size_t i = 0; i < sizeof(worst_first) / sizeof(worst_first[0]); i++)
		for (unsigned k = 0; k < m->nr; k++)
			if (m->seat[k].status == worst_first[i])
				return worst_first[i];
	return STATUS_POWEROFF;
}

/* ---- listeners ------------------------------------------------------------------------------ */

void machine_listen(struct machine *m, const struct machine_listener *l)
{
	for (unsigned i = 0; i < MACHINE_LISTENERS; i++) {
		if (!m->listener[i].arg) {
			m->listener[i] = *l;
			return;
		}
	}
	HV_ASSERT(!"too many listeners");
}

static void tell_ended(struct seat *s)
{
	for (unsigned i = 0; i < MACHINE_LISTENERS; i++)
		if (s->m->listener[i].ended)
			s->m->listener[i].ended(s->m->listener[i].arg, s);
}

static void tell_over(struct seat *s)
{
	for (unsigned i = 0; i < MACHINE_LISTENERS; i++)
		if (s->m->listener[i].over)
			s->m->listener[i].over(s->m->listener[i].arg, s);
}

static void tell_room(struct seat *s)
{
	for (unsigned i = 0; i < MACHINE_LISTENERS; i++)
		if (s->m->listener[i].room)
			s->m->listener[i].room(s->m->listener[i].arg, s);
}

static void tell_left(struct seat *s)
{
	for (unsigned i = 0; i < MACHINE_LISTENERS; i++)
		if (s->m->listener[i].left)
			s->m->listener[i].left(s->m->listener[i].arg, s);
}

/* ---- the end of a domain -------------------------------------------------------------------- */

static bool restarts(const struct seat *s)
{
	const struct guest_config *c = s->guest.config;

	if (s->m->is_closing || s->is_destroyed)
		return false;
	switch (s->status) {
	case STATUS_POWEROFF:
		return c->restart_on_poweroff;
	case STATUS_REBOOT:
		return c->restart_on_reboot;
	case STATUS_CRASH:
		return c->restart_on_crash;
	default:
		return false;
	}
}

/* For weight_call(). */
struct step {
	struct seat *s;
	char *why;
	size_t why_len;
};

static int do_build(void *arg)
{
	struct step *step = arg;
	struct seat *s = step->s;

	return guest_build(&s->guest, s->m->hv, s->m->store, step->why, step->why_len);
}

static int do_start(void *arg)
{
	struct step *step = arg;

	return guest_start(&step->s->guest);
}

static int build(struct seat *s, char *why, size_t why_len)
{
	struct step step = { s, why, why_len };
	unsigned weight = s->guest.config->cpu_weight;
	bool denied;
	int rc;

	why[0] = 0;
	rc = weight_call(weight, &s->group, do_build, &step, &denied);
	if (rc)
		return why[0] ? rc
		              : hv_why(why, why_len, rc, "%s: %s", s->guest.name, strerror(-rc));
	if (denied)
		fprintf(stderr,
		        "paravane: %s: a weight of %u takes leave to lower nice values (ulimit "
		        "-e); "
		        "256 counts\n",
		        s->guest.name, weight);
	s->guest.d->toolstack_priv = s;
	s->is_ended = false;
	return 0;
}

static int start(struct seat *s, char *why, size_t why_len)
{
	struct step step = { s, why, why_len };
	bool denied;
	int rc = weight_call(s->guest.config->cpu_weight, &s->group, do_start, &step, &denied);

	if (rc)
		return hv_why(why, why_len, rc,
		              "%s: its vCPUs cannot be started: %s; free some memory or processes",
		              s->guest.name, strerror(-rc));
	return 0;
}

/* Builds and starts it anew from the same files. */
static int restart(struct seat *s)
{
	char why[1024];
	int rc = build(s, why, sizeof(why));

	if (!rc) {
		rc = start(s, why, sizeof(why));
		if (rc)
			guest_destroy(&s->guest);
	}
	if (rc) {
		fprintf(stderr, "paravane: %s\n", why);
		s->status = STATUS_OURS;
	}
	return rc;
}

/* The domain has ended and its output is out. */
static void finish(struct seat *s)
{
	struct machine *m = s->m;

	s->status = s->is_destroyed ? STATUS_DESTROYED : status_of(s->guest.d->end.reason);
	tell_ended(s);
	stats_collect(&m->observe->stats, s->guest.d);
	guest_destroy(&s->guest);
	tell_left(s);
	if (restarts(s) && !restart(s))
		return;
	s->is_over = true;
	cgroup_remove(&s->group);
	m->left--;
	tell_over(s);
}

/* ---- news ----------------------------------------------------------------------------------- */

/* Passes the output of all on; as long as some waits, the loop watches for room. */
static void push_output(struct machine *m)
{
	bool waits = false;

	for (unsigned i = 0; i < m->nr; i++) {
		struct seat *s = &m->seat[i];
		bool this_waits;

		if (!s->guest.d)
			continue;
		this_waits = guest_output(&s->guest);
		if (s->is_ended && (!this_waits || s->is_destroyed))
			finish(s);
		else
			waits |= this_waits;
	}
	loop_set(&m->loop, m->out_watch, waits ? POLLOUT : 0);
}

static void on_room(void *arg, short revents)
{
	(void)revents;
	push_output(arg);
}

static void on_news(void *arg, short revents)
{
	struct seat *s = arg;
	unsigned news;

	(void)revents;
	/* The bell may ring for a domain that is not there any more. */
	if (!s->guest.d)
		return;
	news = guest_news(&s->guest);
	if (news & GUEST_ENDED)
		s->is_ended = true;
	if (news & (GUEST_ENDED | GUEST_OUTPUT))
		push_output(s->m);
	if ((news & GUEST_INPUT_ROOM) && s->guest.d)
		tell_room(s);
	if ((news & GUEST_DEVICES) && guest_sweep(&s->guest))
		tell_left(s);
}

/* HYPERVISOR_console_io: on the vCPU's thread, which waits for its reader like for a serial line. */
static void emergency_output(void *arg, struct hv_domain *d, const char *text, size_t len)
{
	struct seat *s = d->toolstack_priv;

	(void)arg;
	if (s)
		channel_put_line(&s->channel, text, len);
}

/* ---- orders --------------------------------------------------------------------------------- */

struct seat *machine_find(struct machine *m, const char *domain)
{
	for (unsigned i = 0; i < m->nr; i++) {
		struct seat *s = &m->seat[i];
		char number[16];

		if (!s->guest.d)
			continue;
		snprintf(number, sizeof(number), "%u", s->guest.d->domid);
		if (!strcmp(s->guest.name, domain) || !strcmp(number, domain))
			return s;
	}
	return NULL;
}

int seat_shutdown(struct seat *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", s->guest.d->domid);
	if (!xs_domain_watches(s->m->store, s->guest.d->domid, path))
		return -ENOENT;
	return xs_host_write(s->m->host, NULL, path, "poweroff", strlen("poweroff"));
}

void seat_destroy(struct seat *s)
{
	s->is_destroyed = true;
	channel_stop(&s->channel);
	hv_domain_end(s->guest.d, NULL, SHUTDOWN_poweroff, NULL);
	/* One that has ended already only waited for a reader. */
	if (s->is_ended)
		finish(s);
}

/* ---- making and unmaking -------------------------------------------------------------------- */

static enum channel_mode mode_of(const struct machine *m, unsigned i)
{
	if (m->plan->nr == 1)
		return CHANNEL_PLAIN;
	if (!m->plan->o->console)
		return CHANNEL_NAMED;
	return m->plan->console == i ? CHANNEL_PLAIN : CHANNEL_HIDDEN;
}

static int open_seat(struct machine *m, unsigned i, char *why, size_t why_len)
{
	struct seat *s = &m->seat[i];
	struct guest_sink sink = { channel_put, channel_flush, &s->channel };
	int rc = guest_load(&s->guest, &m->plan->guest[i], m->outlet, why, why_len);

	if (rc)
		return rc;
	s->m = m;
	channel_init(&s->channel, &m->screen, s->guest.name, mode_of(m, i));
	guest_set_sink(&s->guest, &sink);
	s->news_watch = loop_add(&m->loop, s->guest.news_fd, POLLIN, on_news, s);
	return 0;
}

int machine_open(struct machine *m, const struct plan *plan, struct outlet *outlet, char *why,
                 size_t why_len)
{
	/* Zero as it comes: half a megabyte for guests that are not there is not worth touching. */
	HV_ASSERT(!m->plan && !m->nr);
	m->plan = plan;
	m->outlet = outlet;
	loop_init(&m->loop);
	screen_init(&m->screen, outlet);
	m->out_watch = loop_add(&m->loop, outlet->fd, 0, on_room, m);
	vif_capture_all(plan->o->capture);
	for (; m->nr < plan->nr; m->nr++) {
		int rc = open_seat(m, m->nr, why, why_len);

		if (rc) {
			machine_close(m);
			return rc;
		}
	}
	m->left = m->nr;
	return 0;
}

void machine_close(struct machine *m)
{
	for (unsigned i = 0; i < m->nr; i++) {
		channel_fini(&m->seat[i].channel);
		guest_unload(&m->seat[i].guest);
	}
	screen_fini(&m->screen);
}

static int create_hv(struct machine *m, const struct hv_engine *engine, char *why, size_t why_len)
{
	uint64_t bytes = 0;
	int rc;

	for (unsigned i = 0; i < m->nr; i++)
		bytes += m->plan->guest[i].max_memory;
	rc = hv_machine_create(&m->hv, engine, bytes >> HV_PAGE_SHIFT);
	if (rc)
		goto out;
	m->hv->tracer = observe_tracer(m->observe);
	rc = xs_store_create(&m->store, NULL);
	if (rc)
		goto out_hv;
	rc = xs_host_open(m->store, &m->host);
	if (!rc)
		return 0;
	xs_store_destroy(m->store);
out_hv:
	hv_machine_destroy(m->hv);
out:
	return hv_why(why, why_len, rc,
	              "no machine of %llu MiB can be made: %s; give it less or free some memory",
	              (unsigned long long)(bytes >> 20), strerror(-rc));
}

static void remove_groups(struct machine *m)
{
	for (unsigned i = 0; i < m->nr; i++)
		cgroup_remove(&m->seat[i].group);
}

/* A cap is kept by the host where it lets us have a group for it, else by the core. */
static void keep_cap(struct seat *s)
{
	unsigned cap = s->guest.config->cpu_cap;

	s->guest.is_capped_by_host = cap &&
	                             !cgroup_make(&s->group, &cgroup_host, s->guest.name, cap);
}

int machine_create(struct machine *m, const struct hv_engine *engine, struct observe *observe,
                   char *why, size_t why_len)
{
	int rc;

	m->observe = observe;
	for (unsigned i = 0; i < m->nr; i++)
		keep_cap(&m->seat[i]);
	rc = create_hv(m, engine, why, why_len);
	if (rc) {
		remove_groups(m);
		return rc;
	}
	hv_console_set_sink(emergency_output, m);
	for (unsigned i = 0; i < m->nr && !rc; i++)
		rc = build(&m->seat[i], why, why_len);
	if (rc)
		machine_destroy(m);
	return rc;
}

int machine_start(struct machine *m, char *why, size_t why_len)
{
	int rc = 0;

	for (unsigned i = 0; i < m->nr && !rc; i++)
		rc = start(&m->seat[i], why, why_len);
	return rc;
}

void machine_destroy(struct machine *m)
{
	for (unsigned i = 0; i < m->nr; i++) {
		struct guest *g = &m->seat[i].guest;

		if (!g->d)
			continue;
		stats_collect(&m->observe->stats, g->d);
		guest_destroy(g);
	}
	xs_host_close(m->host);
	xs_store_destroy(m->store);
	hv_machine_destroy(m->hv);
	remove_groups(m);
}

void machine_stats_so_far(struct machine *m, FILE *out)
{
	struct stats now = m->observe->stats;

	for (unsigned i = 0; i < m->nr; i++)
		if (m->seat[i].guest.d)
			stats_collect(&now, m->seat[i].guest.d);
	stats_print(&now, out);
	fputs("\n", out);
	fflush(out);
}

void machine_device_stats(struct machine *m, FILE *out)
{
	for (unsigned i = 0; i < m->nr; i++) {
		struct guest *g = &m->seat[i].guest;

		for (struct device *dev = g->devices.first; dev; dev = dev->next)
			if (dev->kind->stats)
				dev->kind->stats(dev, g->name, out);
	}
	fflush(out);
}
