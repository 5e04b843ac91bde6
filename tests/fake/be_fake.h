/* SPDX-License-Identifier: MIT */
/*
 * A host for back-ends out of plain memory (backends/device.h): pages with a table of grants, event
 * channels, the device's two folders, and a list of complaints. A test plays the front-end on it.
 *
 * Threads: everything may be called from any thread, but for setting up. be_fake_fini() fails loudly
 * (abort) when something of the guest's is still mapped or bound.
 */
#ifndef TESTS_FAKE_BE_FAKE_H
#define TESTS_FAKE_BE_FAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/device.h"

#define BE_FAKE_PAGE  4096
#define BE_FAKE_PORTS 16
#define BE_FAKE_NODES 128

struct be_fake_grant {
	bool valid, readonly;
	unsigned page;
	unsigned maps; /* now */
};

struct be_fake_port {
	bool offered; /* the guest has left it unbound for us */
	bool bound;
	unsigned running; /* event() calls under way */
	void (*event)(void *arg);
	void *arg;
	atomic_uint notified;
};

struct be_fake_node {
	enum be_side side;
	char name[64], value[256];
};

struct be_fake {
	struct be_host_dev host; /* to be given to the back-end */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	uint8_t *memory; /* nr_pages pages */
	unsigned nr_pages, nr_grants;
	struct be_fake_grant *grant;
	struct be_fake_port port[BE_FAKE_PORTS];
	struct be_fake_node node[BE_FAKE_NODES];
	unsigned nr_nodes;
	unsigned complaints;
	char complaint[256];     /* the last one */
	unsigned writes_refused; /* so many calls of write() fail, from now on */
	atomic_ulong maps;       /* calls of map() that were granted, and of unmap() */
	atomic_ulong unmaps;
	/* Called by map() and copy() before they do anything: a guest that changes its mind meanwhile. */
	void (*meanwhile)(struct be_fake *f, grant_ref_t ref);
	/* Called by write(): to see the order of things. */
	void (*written)(struct be_fake *f, const char *node, const char *value);
	/* Called by notify(), the lock not held. */
	void (*told)(struct be_fake *f, evtchn_port_t port);
	void *test; /* the test's own */
};

void be_fake_init(struct be_fake *f, unsigned nr_pages, unsigned nr_grants);
void be_fake_fini(struct be_fake *f);

static inline void *be_fake_page(struct be_fake *f, unsigned page)
{
	return f->memory + (size_t)page * BE_FAKE_PAGE;
}

void be_fake_grant(struct be_fake *f, grant_ref_t ref, unsigned page, bool readonly);
void be_fake_revoke(struct be_fake *f, grant_ref_t ref);
/* Mappings that exist now. */
unsigned be_fake_mapped(struct be_fake *f);

/* A node of either folder; value NULL removes it. */
void be_fake_set(struct be_fake *f, enum be_side side, const char *node, const char *value);
void be_fake_setn(struct be_fake *f, enum be_side side, const char *node, uint64_t value);
/* Its value, or NULL. */
const char *be_fake_get(struct be_fake *f, enum be_side side, const char *node);

/* The guest sends: event() runs on this thread. False: nobody is bound. */
bool be_fake_send(struct be_fake *f, evtchn_port_t port);

#endif
