/* SPDX-License-Identifier: MIT */
/*
 * One peer of the control socket, for the files that serve it: ctl.c moves messages, ctl_do.c does
 * what they ask for.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_PEER_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_PEER_H

#include "hypervisor-stub/toolstack/ctl.h"
#include "hypervisor-stub/toolstack/ctl_wire.h"

#define CTL_PEERS     16
#define CTL_MAX_QUEUE (256u * 1024) /* bytes of answers that wait for one peer */
#define CTL_MAX_PATHS 65536u        /* bytes of changed paths that wait for one peer */

struct ctl_out {
	struct ctl_out *next;
	size_t len;
	char bytes[];
};

/* Paths that changed, each with a nul behind it: written by the store's thread. */
struct ctl_paths {
	pthread_mutex_t lock;
	char *bytes; /* CTL_MAX_PATHS; NULL while nothing is watched */
	size_t len;
	bool is_cut; /* there was no room for some */
};

struct peer {
	struct ctl *ctl;
	int fd; /* -1: nobody */
	int handle;
	unsigned long age; /* who came first */
	struct ctl_out *out, **out_tail;
	size_t out_bytes;
	bool is_last; /* when what waits is sent, the connection ends */

	/* What it is doing; NULL or 0 otherwise. */
	bool has_asked;      /* at least once */
	struct seat *seat;   /* whose console it has, or whose end it waits for */
	struct viewer *view; /* console */
	char typed[CTL_MAX_MESSAGE];
	size_t typed_len;
	struct xs_host *host; /* watches the store */
	struct ctl_paths paths;
	int timer_fd, timer; /* -1; else a device is to leave `leaves` until then */
	struct seat *leaves;
	const struct device_kind *device_kind;
	unsigned device;
};

/* A message to the peer, or in its queue; a peer that has let too much pile up is cut off. */
void peer_send(struct peer *p, enum ctl_kind kind, const void *bytes, size_t len);
/* The end of an answer. */
void peer_done(struct peer *p);
void peer_fail(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes the main thread look after all peers. Any thread. */
void peer_ring(void *peer);
struct machine *peer_machine(const struct peer *p);

/* By its name or number; NULL: there is none, and the peer has been told. */
struct seat *peer_need_seat(struct peer *p, const char *domain);

/* ctl_do.c: a request of nr words. */
void ctl_do(struct peer *p, const char *const *word, unsigned nr);
/* Moves on what a console or a watch has for the peer, as long as the peer takes it. */
void ctl_do_more(struct peer *p);
/* Gives the guest what was typed, as much as it takes. */
void ctl_do_type(struct peer *p);
/* That seat's domain is over. */
void ctl_do_over(struct peer *p, struct seat *s);
/* Ends what the peer was doing. */
void ctl_do_stop(struct peer *p);

#endif
