/* SPDX-License-Identifier: MIT */
/*
 * A machine as the toolstack sees it: its domains, each in its seat, from their files to their ends.
 *
 * A seat lasts as long as the machine; the domain in it may end and be built anew. All of this is the
 * main thread's. Who wants to know what happens to the domains is a listener.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_MACHINE_H
#define HYPERVISOR_STUB_TOOLSTACK_MACHINE_H

#include "hypervisor-stub/toolstack/guest.h"
#include "hypervisor-stub/toolstack/cgroup.h"
#include "hypervisor-stub/toolstack/loop.h"
#include "hypervisor-stub/toolstack/observe.h"
#include "hypervisor-stub/toolstack/plan.h"
#include "hypervisor-stub/toolstack/screen.h"

#define MACHINE_LISTENERS 2

struct machine;

struct seat {
	struct machine *m;
	struct guest guest; /* guest.d is NULL when there is no domain */
	struct channel channel;
	int news_watch;
	struct cgroup group; /* keeps its cap, where the host has such a thing */
	bool is_ended;       /* no vCPU runs; its last output may be on its way */
	bool is_destroyed;   /* from outside */
	bool is_over;        /* for good; status says how */
	int status;
};

/* Each may be NULL. */
struct machine_listener {
	/* A domain has ended and its output is out; its memory is still there. s->status is set. */
	void (*ended)(void *arg, struct seat *s);
	/* There will be no domain in that seat any more. */
	void (*over)(void *arg, struct seat *s);
	/* The guest has room for what is typed. */
	void (*room)(void *arg, struct seat *s);
	/* Devices that were to leave that domain are gone, or it is. */
	void (*left)(void *arg, struct seat *s);
	void *arg;
};

struct machine {
	const struct plan *plan;
	struct hv_machine *hv;
	struct xs_store *store;
	struct xs_host *host; /* ours, to the store */
	struct loop loop;
	struct screen screen;
	struct outlet *outlet;
	struct observe *observe;
	struct seat seat[OPTIONS_MAX_DOMAINS];
	unsigned nr;   /* seats */
	unsigned left; /* of them not over */
	int out_watch;
	bool is_closing; /* nothing is restarted any more */
	struct machine_listener listener[MACHINE_LISTENERS];
};

/*
 * machine_open - reads all files; machine_create - the machine and its domains, none of which runs
 * m: all zero. Each returns 0 or a negative errno with a sentence in why. Undo: machine_close(), machine_destroy().
 */
int machine_open(struct machine *m, const struct plan *plan, struct outlet *outlet, char *why,
                 size_t why_len);
int machine_create(struct machine *m, const struct hv_engine *engine, struct observe *observe,
                   char *why, size_t why_len);
/* Starts the domains. Returns 0 or a negative errno with a sentence. */
int machine_start(struct machine *m, char *why, size_t why_len);
/* Ends what still runs. */
void machine_destroy(struct machine *m);
void machine_close(struct machine *m);

void machine_listen(struct machine *m, const struct machine_listener *l);
/* By name or number; NULL when there is none, or no more. */
struct seat *machine_find(struct machine *m, const char *domain);
/* --stats: the table as of now, and an empty line. */
void machine_stats_so_far(struct machine *m, FILE *out);
/* --stats: the lines of all devices. */
void machine_device_stats(struct machine *m, FILE *out);
/* The worst status of all seats. */
int machine_status(const struct machine *m);

/*
 * Asks the guest to shut down (control/shutdown). Returns 0; -ENOENT when it does not watch that
 * node and so would not hear of it; another negative errno.
 */
int seat_shutdown(struct seat *s);
/* Ends the domain from outside; it is over soon, or already when this returns. */
void seat_destroy(struct seat *s);

#endif
