/* SPDX-License-Identifier: MIT */
/*
 * A host for back-ends out of plain memory; be_fake.h tells what it offers.
 */
#include "tests/fake/be_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "be_fake: %s\n", what);
	abort();
}

/* ---- grants ---------------------------------------------------------------------------------- */

static int map(void *arg, grant_ref_t ref, bool readonly, struct be_page *page)
{
	struct be_fake *f = arg;
	struct be_fake_grant *g;
	int rc = GNTST_okay;

	if (f->meanwhile)
		f->meanwhile(f, ref);
	pthread_mutex_lock(&f->lock);
	g = ref < f->nr_grants ? &f->grant[ref] : NULL;
	if (!g || !g->valid)
		rc = GNTST_bad_gntref;
	else if (g->readonly && !readonly)
		rc = GNTST_general_error;
	if (!rc) {
		g->maps++;
		*page = (struct be_page){ .ptr = be_fake_page(f, g->page),
			                  .ref = ref,
			                  .readonly = readonly,
			                  .host = { g->page, ~(uint64_t)ref } };
	}
	pthread_mutex_unlock(&f->lock);
	if (!rc)
		atomic_fetch_add(&f->maps, 1);
	return rc;
}

static void unmap(void *arg, struct be_page *page)
{
	struct be_fake *f = arg;
	struct be_fake_grant *g;

	pthread_mutex_lock(&f->lock);
	must(page->ptr && page->ref < f->nr_grants, "unmap of what is no mapping");
	g = &f->grant[page->ref];
	must(g->maps > 0, "unmap of a grant that is not mapped");
	must(page->host[1] == ~(uint64_t)page->ref, "the host's part of a mapping was changed");
	g->maps--;
	page->ptr = NULL;
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_add(&f->unmaps, 1);
}

static int copy(void *arg, grant_ref_t ref, unsigned offset, void *buf, unsigned len, bool to_guest)
{
	struct be_fake *f = arg;
	struct be_page page;
	int rc = map(arg, ref, !to_guest, &page);

	if (rc)
		return rc;
	must(offset <= BE_FAKE_PAGE && len <= BE_FAKE_PAGE - offset, "copy beyond a page");
	if (to_guest)
		memcpy((char *)page.ptr + offset, buf, len);
	else
		memcpy(buf, (char *)page.ptr + offset, len);
	unmap(f, &page);
	return 0;
}

void be_fake_grant(struct be_fake *f, grant_ref_t ref, unsigned page, bool readonly)
{
	must(ref < f->nr_grants && page < f->nr_pages, "grant out of range");
	pthread_mutex_lock(&f->lock);
	must(f->grant[ref].maps == 0, "a grant is given anew while it is mapped");
	f->grant[ref] = (struct be_fake_grant){ .valid = true, .readonly = readonly, .page = page };
	pthread_mutex_unlock(&f->lock);
}

void be_fake_revoke(struct be_fake *f, grant_ref_t ref)
{
	pthread_mutex_lock(&f->lock);
	f->grant[ref].valid = false;
	pthread_mutex_unlock(&f->lock);
}

unsigned be_fake_mapped(struct be_fake *f)
{
	unsigned n = 0;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < f->nr_grants; i++)
		n += f->grant[i].maps;
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* ---- event channels -------------------------------------------------------------------------- */

static int bind_port(void *arg, evtchn_port_t port, void (*event)(void *event_arg), void *event_arg)
{
	struct be_fake *f = arg;
	int rc = -EINVAL;

	pthread_mutex_lock(&f->lock);
	if (port < BE_FAKE_PORTS && f->port[port].offered && !f->port[port].bound) {
		f->port[port].bound = true;
		f->port[port].event = event;
		f->port[port].arg = event_arg;
		rc = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static void unbind_port(void *arg, evtchn_port_t port)
{
	struct be_fake *f = arg;

	pthread_mutex_lock(&f->lock);
	must(port < BE_FAKE_PORTS && f->port[port].bound, "unbind of a port that is not bound");
	f->port[port].bound = false;
	while (f->port[port].running)
		pthread_cond_wait(&f->idle, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void notify(void *arg, evtchn_port_t port)
{
	struct be_fake *f = arg;

	must(port < BE_FAKE_PORTS && f->port[port].bound, "event to a port that is not bound");
	atomic_fetch_add(&f->port[port].notified, 1);
	if (f->told)
		f->told(f, port);
}

bool be_fake_send(struct be_fake *f, evtchn_port_t port)
{
	struct be_fake_port *p = &f->port[port];
	bool bound;

	pthread_mutex_lock(&f->lock);
	bound = p->bound;
	p->running += bound;
	pthread_mutex_unlock(&f->lock);
	if (!bound)
		return false;
	p->event(p->arg);
	pthread_mutex_lock(&f->lock);
	p->running--;
	pthread_cond_broadcast(&f->idle);
	pthread_mutex_unlock(&f->lock);
	return true;
}

/* ---- folders --------------------------------------------------------------------------------- */

/* Lock held. */
static struct be_fake_node *find(struct be_fake *f, enum be_side side, const char *node)
{
	for (unsigned i = 0; i < f->nr_nodes; i++) {
		if (f->node[i].side == side && !strcmp(f->node[i].name, node))
			return &f->node[i];
	}
	return NULL;
}

void be_fake_set(struct be_fake *f, enum be_side side, const char *node, const char *value)
{
	struct be_fake_node *n;

	pthread_mutex_lock(&f->lock);
	n = find(f, side, node);
	if (!n && value) {
		must(f->nr_nodes < BE_FAKE_NODES, "too many nodes");
		n = &f->node[f->nr_nodes++];
		n->side = side;
		snprintf(n->name, sizeof(n->name), "%s", node);
	}
	if (value)
		snprintf(n->value, sizeof(n->value), "%s", value);
	else if (n)
		*n = f->node[--f->nr_nodes];
	pthread_mutex_unlock(&f->lock);
}

void be_fake_setn(struct be_fake *f, enum be_side side, const char *node, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	be_fake_set(f, side, node, text);
}

const char *be_fake_get(struct be_fake *f, enum be_side side, const char *node)
{
	struct be_fake_node *n;

	pthread_mutex_lock(&f->lock);
	n = find(f, side, node);
	pthread_mutex_unlock(&f->lock);
	return n ? n->value : NULL;
}

static int read_node(void *arg, enum be_side side, const char *node, char *value, size_t size)
{
	struct be_fake *f = arg;
	struct be_fake_node *n;
	int rc = -ENOENT;

	pthread_mutex_lock(&f->lock);
	n = find(f, side, node);
	if (n) {
		rc = strlen(n->value) < size ? (int)strlen(n->value) : -E2BIG;
		if (rc >= 0)
			strcpy(value, n->value);
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static int write_node(void *arg, const char *node, const char *value)
{
	struct be_fake *f = arg;

	if (f->writes_refused) {
		f->writes_refused--;
		return -ENOSPC;
	}
	be_fake_set(f, BE_BACK, node, value);
	if (f->written)
		f->written(f, node, value);
	return 0;
}

static void complain(void *arg, const char *line)
{
	struct be_fake *f = arg;

	pthread_mutex_lock(&f->lock);
	f->complaints++;
	snprintf(f->complaint, sizeof(f->complaint), "%s", line);
	pthread_mutex_unlock(&f->lock);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct be_host_ops ops = { .map = map,
	                                .unmap = unmap,
	                                .copy = copy,
	                                .bind = bind_port,
	                                .unbind = unbind_port,
	                                .notify = notify,
	                                .read = read_node,
	                                .write = write_node,
	                                .complain = complain };

void be_fake_init(struct be_fake *f, unsigned nr_pages, unsigned nr_grants)
{
	memset(f, 0, sizeof(*f));
	f->host = (struct be_host_dev){ &ops, f };
	f->nr_pages = nr_pages;
	f->nr_grants = nr_grants;
	f->memory = aligned_alloc(BE_FAKE_PAGE, (size_t)nr_pages * BE_FAKE_PAGE);
	f->grant = calloc(nr_grants, sizeof(*f->grant));
	must(f->memory && f->grant, "no memory");
	memset(f->memory, 0, (size_t)nr_pages * BE_FAKE_PAGE);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->idle, NULL);
}

void be_fake_fini(struct be_fake *f)
{
	must(be_fake_mapped(f) == 0, "a page is still mapped at the end");
	for (unsigned i = 0; i < BE_FAKE_PORTS; i++)
		must(!f->port[i].bound, "a port is still bound at the end");
	pthread_cond_destroy(&f->idle);
	pthread_mutex_destroy(&f->lock);
	free(f->grant);
	free(f->memory);
}
