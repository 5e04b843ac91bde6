/* SPDX-License-Identifier: MIT */
/*
 * What the files of the network front-end share; kernels use netdev.h.
 *
 *   netfront.c        what a kernel calls, and who serves a queue
 *   netfront_tx.c     the transmit ring
 *   netfront_rx.c     the receive ring
 *   netfront_queue.c  the memory, references and ports of a queue
 *   netfront_xs.c     the store: finding, agreeing, connecting, changes, closing
 *
 * A transmit slot and a receive slot have a grant reference each that stays theirs. A packet's slots
 * are linked to its first, which counts those that are not answered and holds what the kernel gave.
 *
 * Locking: a queue's lock, events masked, guards both of its rings. No call-back is made and no
 * event sent with it held. One thread at a time talks to the store (front.h).
 *
 * The rings are shared with a back-end that is not trusted: indexes and responses are read once and
 * checked, and nothing of what was asked is read back from them.
 */
#ifndef FRONTENDS_NETFRONT_H
#define FRONTENDS_NETFRONT_H

#include "abi/io/netif.h"
#include "frontends/front.h"
#include "frontends/netdev.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/gnttab.h"
#include "pvops/lock.h"
#include "pvops/xenbus.h"

#define NETFRONT_SLOTS      256 /* of a ring of one page; ids are bytes */
#define NETFRONT_MAX_QUEUES 8

struct netfront;

/* Each table is a page. */
struct netfront_tx_slots {
	void *arg[NETFRONT_SLOTS];       /* of a first slot: the kernel's */
	grant_ref_t ref[NETFRONT_SLOTS]; /* 0: none yet */
	uint8_t first[NETFRONT_SLOTS];   /* of the packet */
	uint8_t left[NETFRONT_SLOTS]; /* of a first slot: answers that are missing; 0: not in use */
	uint8_t next[NETFRONT_SLOTS]; /* in the list of free ones */
	uint8_t state[NETFRONT_SLOTS]; /* NETFRONT_* */
};

enum { NETFRONT_FREE, NETFRONT_UNDER_WAY, NETFRONT_ANSWERED };

/* A packet that was answered, until the kernel is given it back. */
struct netfront_done {
	void *arg;
	bool ok;
};

struct netfront_rx_slots {
	void *page[NETFRONT_SLOTS]; /* NULL: not posted */
	grant_ref_t ref[NETFRONT_SLOTS];
};

struct netfront_queue {
	struct pv_spinlock lock;
	struct netfront *front;
	unsigned index;
	bool is_up;
	bool is_polled; /* by somebody, who looks again when told so */
	bool look_again;
	bool is_stalled; /* a sender found no room, and is told when there is some */
	struct netif_tx_front_ring tx;
	struct netif_rx_front_ring rx;
	struct netfront_tx_slots *tx_slots;
	struct netfront_rx_slots *rx_slots;
	RING_IDX pushed; /* req_prod as the back-end was told */
	/* A page: [head, tail), added to under the lock, taken from by who serves. */
	struct netfront_done *done;
	uint32_t done_head, done_tail;
	unsigned free_tx; /* slots in the list that begins at first_free */
	uint8_t first_free;
	evtchn_port_t tx_port, rx_port; /* the same, unless they are split */
	void *tx_page, *rx_page;
	grant_ref_t tx_ref, rx_ref;
	bool tx_granted, rx_granted;
	struct netdev_stats stats;
};

struct netfront {
	struct netdev dev;
	struct front common;
	struct pv_xenbus bus;
	struct netdev_info info;
	bool split, multi_queue;
	struct netfront_queue *queue[NETFRONT_MAX_QUEUES];
	unsigned nr_queues;
	bool is_gone, is_open;
	unsigned generation; /* of the connection: the back-end tells a new one by it */
};

extern const struct netdev_ops netfront_ops;

static inline bool netfront_has_done_room(const struct netfront_queue *q)
{
	return q->done_tail - pv_load_acquire(&q->done_head) < NETFRONT_SLOTS;
}

/* ---- netfront.c ---- */

/* Looks at all that has come and gone, up to budget packets; more: out: some are left. */
unsigned netfront_serve(struct netfront_queue *q, unsigned budget, bool *more);
/* Gives the back-end empty pages. No lock held. */
void netfront_refill(struct netfront_queue *q);
/* Of either port. */
void netfront_event(evtchn_port_t port, void *queue);

/* ---- netfront_tx.c; the queue's lock is held ---- */

/* 0, or -XEN_EINVAL: no such packet can be sent. Needs no lock. */
int netfront_tx_check(const struct netfront *f, const struct netdev_packet *pkt);
void netfront_tx_put(struct netfront_queue *q, const struct netdev_packet *pkt);
/* A slot that is not in use goes to the free ones. */
void netfront_tx_free(struct netfront_queue *q, unsigned id);
/* Takes what has been answered to the list of what is done, as far as that has room. */
void netfront_tx_answers(struct netfront_queue *q);
/*
 * Whether there is room for any packet. If not, an event comes when there may be, and the queue is
 * stalled; serve: out: no event will, the queue has to be served.
 */
bool netfront_tx_room(struct netfront_queue *q, bool *serve);
/* What was put becomes the back-end's; true: it wants an event. */
bool netfront_tx_push(struct netfront_queue *q);

/* ---- netfront_rx.c; the queue's lock is held ---- */

enum netfront_taken { NETFRONT_TAKEN_NONE, NETFRONT_TAKEN_BAD, NETFRONT_TAKEN_PACKET };

/* Posts empty pages for as many slots as are free; true: the back-end wants an event for them. */
bool netfront_rx_post(struct netfront_queue *q);
/* The next packet that is there as a whole. */
enum netfront_taken netfront_rx_take(struct netfront_queue *q, struct netdev_packet *pkt);
/* Nothing was there: asks for an event; true: something has come meanwhile. */
bool netfront_rx_rest(struct netfront_queue *q);

/* ---- netfront_queue.c ---- */

/* The queue's memory, rings, grants and ports; not used before it is opened. 0 or -XEN_E*. */
int netfront_queue_up(struct netfront *f, unsigned n, uint32_t cpu);
void netfront_queue_open(struct netfront_queue *q);
/* Nothing of the rings is looked at any more. */
void netfront_queue_stop(struct netfront_queue *q);
/* Ports closed, rings taken back, packets under way given back to the kernel as lost. */
void netfront_queue_down(struct netfront_queue *q);

/* ---- netfront_xs.c ---- */

void netfront_service(struct netdev *dev);
void netfront_close(struct netdev *dev);
/* The back-end has done what it must not: once a line in the log; the device will be closed. */
__attribute__((format(printf, 2, 3))) void netfront_accuse(struct netfront *f, const char *fmt,
                                                           ...);

#endif /* FRONTENDS_NETFRONT_H */
