/* SPDX-License-Identifier: MIT */
/*
 * What a machine does for those who ask over its control socket. One table says which requests there
 * are; a new one is a row and a function.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/ctl_disk.h"
#include "hypervisor-stub/toolstack/ctl_peer.h"
#include "hypervisor-stub/toolstack/disk.h"
#include "hypervisor-stub/toolstack/vif.h"

#define PIECE 4096u /* of an answer in one message */

/* ---- domains -------------------------------------------------------------------------------- */

struct seat *peer_need_seat(struct peer *p, const char *domain)
{
	struct seat *s = machine_find(peer_machine(p), domain);

	if (!s)
		peer_fail(p, "there is no domain '%.64s' in machine %s; paravane list shows them",
		          domain, peer_machine(p)->plan->machine);
	return s;
}

/* The state in xl's letters: it runs, all its vCPUs are blocked, or it has ended. */
static const char *state_of(const struct seat *s, uint64_t *ns, unsigned *online)
{
	struct hv_domain *d = s->guest.d;
	bool runs = false;

	*ns = 0;
	*online = 0;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu_runstate_info r;

		hv_sched_runstate_get(d->vcpu[i], &r);
		*ns += r.time[RUNSTATE_running];
		*online += atomic_load(&d->vcpu[i]->is_up);
		runs |= r.state == RUNSTATE_running || r.state == RUNSTATE_runnable;
	}
	return s->is_ended ? "---s--" : runs ? "r-----" : "-b----";
}

static void do_list(struct peer *p, const char *const *word)
{
	struct machine *m = peer_machine(p);

	(void)word;
	for (unsigned i = 0; i < m->nr; i++) {
		const struct seat *s = &m->seat[i];
		unsigned online;
		uint64_t ns;
		const char *state;
		char row[256];
		int n;

		if (!s->guest.d)
			continue;
		state = state_of(s, &ns, &online);
		n = snprintf(row, sizeof(row), "%s\t%u\t%" PRIu64 "\t%u\t%s\t%" PRIu64,
		             s->guest.name, s->guest.d->domid,
		             s->guest.d->mem.tot_pages >> (20 - HV_PAGE_SHIFT), online, state,
		             ns / 100000000);
		peer_send(p, CTL_OUTPUT, row, (size_t)n);
	}
	peer_done(p);
}

static void do_shutdown(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	int rc;

	if (!s)
		return;
	rc = seat_shutdown(s);
	if (rc == -ENOENT)
		peer_fail(p, "%s does not listen for a shutdown; paravane destroy %s ends it",
		          s->guest.name, s->guest.name);
	else if (rc)
		peer_fail(p, "%s cannot be asked: %s", s->guest.name, strerror(-rc));
	else
		peer_done(p);
}

static void do_destroy(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);

	if (!s)
		return;
	/* The answer is given when the domain is gone: ctl_do_over(). */
	p->seat = s;
	seat_destroy(s);
}

struct vcpu_set {
	const struct seat *s;
	unsigned nr;
};

static int write_availability(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	const struct vcpu_set *set = arg;
	const struct hv_domain *d = set->s->guest.d;
	int rc = 0;

	for (unsigned i = 0; i < d->nr_vcpus && !rc; i++) {
		const char *wanted = i < set->nr ? "online" : "offline";
		char path[64], *now = NULL;

		snprintf(path, sizeof(path), "/local/domain/%u/cpu/%u/availability", d->domid, i);
		/* Each write is an event for the guest: only what changes. */
		if (!xs_host_read(h, tx, path, &now, NULL) && !strcmp(now, wanted)) {
			free(now);
			continue;
		}
		free(now);
		rc = xs_host_write(h, tx, path, wanted, strlen(wanted));
	}
	return rc;
}

static void do_vcpu_set(struct peer *p, const char *const *word)
{
	struct vcpu_set set = { .s = peer_need_seat(p, word[1]) };
	unsigned long nr;
	char *end;
	int rc;

	if (!set.s)
		return;
	nr = strtoul(word[2], &end, 10);
	if (word[2][0] < '0' || word[2][0] > '9' || *end || nr < 1 ||
	    nr > set.s->guest.d->nr_vcpus) {
		peer_fail(p, "'%.64s' is out of range; %s can have 1 to %u vCPUs", word[2],
		          set.s->guest.name, set.s->guest.d->nr_vcpus);
		return;
	}
	set.nr = (unsigned)nr;
	rc = xs_host_transact(peer_machine(p)->host, write_availability, &set);
	if (rc)
		peer_fail(p, "%s cannot be told: %s", set.s->guest.name, strerror(-rc));
	else
		peer_done(p);
}

/* ---- console -------------------------------------------------------------------------------- */

static void do_console(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);

	if (!s)
		return;
	p->view = malloc(sizeof(*p->view));
	if (!p->view) {
		peer_fail(p, "memory is short");
		return;
	}
	p->seat = s;
	p->view->ring = peer_ring;
	p->view->arg = p;
	channel_watch(&s->channel, p->view);
	ctl_do_more(p);
}

static void more_console(struct peer *p)
{
	char bytes[PIECE];

	while (p->fd >= 0 && !p->out) {
		size_t n = channel_view(&p->seat->channel, p->view, bytes, sizeof(bytes));

		if (n) {
			peer_send(p, CTL_OUTPUT, bytes, n);
			continue;
		}
		if (p->seat->is_over) {
			p->is_last = true;
			peer_done(p);
		}
		return;
	}
}

void ctl_do_type(struct peer *p)
{
	struct seat *s = p->seat;
	size_t n = p->typed_len;

	/* What is typed for a domain that has ended is lost. */
	if (s && s->guest.d && !s->is_ended)
		n = guest_type(&s->guest, p->typed, p->typed_len);
	memmove(p->typed, p->typed + n, p->typed_len - n);
	p->typed_len -= n;
}

/* ---- the store ------------------------------------------------------------------------------ */

/* The remedy is the user's: a path or a value. */
static void fail_store(struct peer *p, const char *path, int rc)
{
	peer_fail(p, "%.*s: %s", 1000 - 64, path,
	          rc == -ENOENT   ? "there is no such node"
	          : rc == -EINVAL ? "that is no path"
	          : rc == -E2BIG  ? "the value is too long"
	                          : strerror(-rc));
}

static void send_all(struct peer *p, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += PIECE)
		peer_send(p, CTL_OUTPUT, bytes + at, len - at < PIECE ? len - at : PIECE);
	peer_done(p);
}

static void do_read(struct peer *p, const char *const *word)
{
	char *value;
	size_t len;
	int rc = xs_host_read(peer_machine(p)->host, NULL, word[1], &value, &len);

	if (rc) {
		fail_store(p, word[1], rc);
		return;
	}
	send_all(p, value, len);
	free(value);
}

static void do_write(struct peer *p, const char *const *word)
{
	int rc = xs_host_write(peer_machine(p)->host, NULL, word[1], word[2], strlen(word[2]));

	if (rc)
		fail_store(p, word[1], rc);
	else
		peer_done(p);
}

/* The names of a node's children, each with a nul behind it. */
static void do_directory(struct peer *p, const char *const *word)
{
	char **name;
	unsigned nr;
	size_t len;
	int rc = xs_host_directory(peer_machine(p)->host, NULL, word[1], &name, &nr);

	if (rc) {
		fail_store(p, word[1], rc);
		return;
	}
	/* In one block, one behind the other (xs_host_directory()). */
	len = nr ? (size_t)(name[nr - 1] + strlen(name[nr - 1]) + 1 - name[0]) : 0;
	send_all(p, nr ? name[0] : NULL, len);
	if (nr)
		free(name);
}

/* On the store's thread: keeps the path, rings, does not wait. */
static void on_change(void *arg, const char *path)
{
	struct peer *p = arg;
	struct ctl_paths *c = &p->paths;
	size_t len = strlen(path) + 1;

	pthread_mutex_lock(&c->lock);
	if (c->len + len <= CTL_MAX_PATHS) {
		memcpy(c->bytes + c->len, path, len);
		c->len += len;
	} else {
		c->is_cut = true;
	}
	pthread_mutex_unlock(&c->lock);
	peer_ring(p);
}

static void do_watch(struct peer *p, const char *const *word)
{
	struct xs_host_watch *w;
	int rc;

	p->paths.bytes = malloc(CTL_MAX_PATHS);
	rc = p->paths.bytes ? xs_host_open(peer_machine(p)->store, &p->host) : -ENOMEM;
	if (rc)
		p->host = NULL;
	if (!rc)
		rc = xs_host_watch(p->host, word[1], on_change, p, &w);
	if (rc) {
		fail_store(p, word[1], rc);
		ctl_do_stop(p);
	}
}

static void more_watch(struct peer *p)
{
	struct ctl_paths *c = &p->paths;
	char piece[PIECE];

	while (p->fd >= 0 && !p->out) {
		size_t n;
		bool is_cut;

		pthread_mutex_lock(&c->lock);
		/* A path is shorter than a piece: at least one fits. */
		n = c->len < PIECE ? c->len : PIECE;
		while (n && c->bytes[n - 1])
			n--;
		memcpy(piece, c->bytes, n);
		memmove(c->bytes, c->bytes + n, c->len - n);
		c->len -= n;
		is_cut = c->is_cut && !c->len;
		c->is_cut &= !is_cut;
		pthread_mutex_unlock(&c->lock);
		if (n)
			peer_send(p, CTL_OUTPUT, piece, n);
		if (is_cut) {
			p->is_last = true;
			peer_fail(p, "changes came faster than they were read, and some are lost");
		}
		if (!n)
			return;
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned words; /* itself included */
	void (*fn)(struct peer *p, const char *const *word);
	ctl_device_fn *device_fn; /* instead, for devices of a kind */
	const struct device_kind *kind;
} request[] = {
	{ "list", 1, do_list, NULL, NULL },
	{ "console", 2, do_console, NULL, NULL },
	{ "shutdown", 2, do_shutdown, NULL, NULL },
	{ "destroy", 2, do_destroy, NULL, NULL },
	{ "vcpu-set", 3, do_vcpu_set, NULL, NULL },
	{ "store-read", 2, do_read, NULL, NULL },
	{ "store-write", 3, do_write, NULL, NULL },
	{ "store-directory", 2, do_directory, NULL, NULL },
	{ "store-watch", 2, do_watch, NULL, NULL },
	{ "block-attach", 4, NULL, ctl_device_attach, &disk_kind },
	{ "block-detach", 4, NULL, ctl_device_detach, &disk_kind },
	{ "block-list", 2, NULL, ctl_device_list, &disk_kind },
	{ "block-resize", 4, NULL, ctl_disk_resize, &disk_kind },
	{ "block-restart", 3, NULL, ctl_device_restart, &disk_kind },
	{ "network-attach", 4, NULL, ctl_device_attach, &vif_kind },
	{ "network-detach", 4, NULL, ctl_device_detach, &vif_kind },
	{ "network-list", 2, NULL, ctl_device_list, &vif_kind },
	{ "network-restart", 3, NULL, ctl_device_restart, &vif_kind },
};

void ctl_do(struct peer *p, const char *const *word, unsigned nr)
{
	for (size_t i = 0; i < sizeof(request) / sizeof(request[0]); i++) {
		if (strcmp(word[0], request[i].name) || nr != request[i].words)
			continue;
		if (request[i].fn)
			request[i].fn(p, word);
		else
			request[i].device_fn(p, request[i].kind, word);
		return;
	}
	peer_fail(p, "machine %s does not know that request; is it of another version?",
	          peer_machine(p)->plan->machine);
}

void ctl_do_more(struct peer *p)
{
	if (p->view)
		more_console(p);
	else if (p->host)
		more_watch(p);
}

void ctl_do_over(struct peer *p, struct seat *s)
{
	if (p->seat != s)
		return;
	if (p->view) {
		more_console(p);
		return;
	}
	p->seat = NULL;
	peer_done(p);
}

void ctl_do_stop(struct peer *p)
{
	if (p->view)
		channel_unwatch(&p->seat->channel, p->view);
	free(p->view);
	p->view = NULL;
	p->seat = NULL;
	ctl_device_stop(p);
	/* Its thread has ended when this returns: nobody rings for this peer any more. */
	if (p->host)
		xs_host_close(p->host);
	p->host = NULL;
	free(p->paths.bytes);
	p->paths.bytes = NULL;
	p->paths.len = 0;
}
