/* SPDX-License-Identifier: MIT */
/*
 * What the ports that end in a descriptor have in common: a thread for each queue that waits for
 * packets from outside and for room to send.
 *
 * A kind says how one packet is read into buffers and how one is written; waiting, back-pressure and
 * the end are here.
 *
 * Invariant: a thread waits for what it needs and for nothing else: for the descriptor when the
 * guest has buffers, for the guest's wake() when it has none. So a guest that does not read costs
 * no time, and packets wait (or are lost) where they come from.
 */
#ifndef BACKENDS_NETPORT_FD_H
#define BACKENDS_NETPORT_FD_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/netport.h"

#define FDPORT_MAX_QUEUES 8

struct fdport;

struct fdport_kind {
	/*
	 * Reads one packet into the pieces, which have room for most bytes. Its length; 0: nothing
	 * more now; negative errno: the descriptor is of no more use (down() follows).
	 */
	int (*read)(struct fdport *p, unsigned queue, struct iovec *iov, unsigned nr,
	            struct netpkt_meta *meta);
	/* 0: taken (sent, or lost); -EAGAIN: there is no room now. */
	int (*write)(struct fdport *p, unsigned queue, struct netpkt *pkt);
	/* Room came: writes what is left of a packet that went out in part. As write. May be NULL. */
	int (*go_on)(struct fdport *p, unsigned queue);
	/* A guest with these abilities is there from now on. May be NULL. */
	int (*configure)(struct fdport *p, bool csum, bool gso4, bool gso6, unsigned nr_queues);
	/* Tries to make one that failed usable again: 0 or negative. May be NULL. */
	int (*revive)(struct fdport *p, unsigned queue);
	void (*release)(struct fdport *p); /* closes descriptors, frees all */
	bool may_lend; /* its descriptors stay what they are while it is attached */
};

struct fdport_queue {
	struct fdport *p;
	unsigned index;
	int fd;              /* non-blocking; -1: down */
	int bell;            /* eventfd: wake(), want_room or stop has changed */
	atomic_bool is_lost; /* fd is of no use until it is revived; written by the thread */
	pthread_t thread;
	bool running;
	atomic_bool no_buffers, want_room;
	/* Who reads: the thread, or whoever the descriptor was lent to. */
	pthread_mutex_t rx_lock;
	int watch; /* an epoll that holds fd, exclusively: what the thread waits for; -1: fd itself */
	int lent; /* the sink's number for it; negative: not lent */
};

struct fdport {
	struct netport port; /* first */
	const struct fdport_kind *kind;
	struct netport_sink sink;
	unsigned nr_fds, nr_queues; /* descriptors that there are; those in use now */
	uint32_t most;              /* bytes of the longest packet that may come */
	atomic_bool stop;
	struct fdport_queue queue[FDPORT_MAX_QUEUES];
};

extern const struct netport_ops fdport_ops;
/* fds become the port's. 0 or negative errno. */
int fdport_init(struct fdport *p, const struct fdport_kind *kind, const int *fds, unsigned nr);
void fdport_fini(struct fdport *p); /* for release(): closes all descriptors */

#endif
