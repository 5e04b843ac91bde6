/* SPDX-License-Identifier: MIT */
/*
 * The parts of the network back-end (netback.h): what they share.
 *
 *   netback.c     the device: what is offered, what the front-end chose, queues made and unmade
 *   netback_tx.c  from the guest to the port
 *   netback_rx.c  from the port to the guest
 *
 * Locks: a queue's tx_lock is held while its transmit ring is worked on, by whoever got the event
 * or was told of room. The receive side belongs to the port, which serves one packet of a queue at
 * a time; the guest's event only reads rx_waiting.
 */
#ifndef BACKENDS_NETBACK_PRIV_H
#define BACKENDS_NETBACK_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "abi/io/netif.h"
#include "backends/netback.h"
#include "backends/netpkt.h"

#define NETBACK_PAGE       4096u
#define NETBACK_MAX_QUEUES 8
#define NETBACK_TX_BATCH   32
#define NETBACK_TX_SLOTS   21 /* of one packet; more than Linux's front-ends ever use */
#define NETBACK_RX_WINDOW  64 /* buffers held mapped ahead; a power of two, above a packet's slots */

/* What belongs to a packet between its ring and the port. */
struct netback_tx {
	uint8_t head[NETPKT_HEAD];
	struct be_page page[NETBACK_TX_SLOTS];
	unsigned nr_pages;
	uint16_t id[NETBACK_TX_SLOTS]; /* of each slot with data */
	unsigned nr_ids, nr_extra;
};

/* A buffer of the guest's that waits for a packet. */
struct netback_rx_slot {
	struct be_page page; /* not mapped when its grant was bad */
	uint16_t id;
};

struct netback_queue {
	struct netback *nb;
	unsigned index;
	evtchn_port_t tx_port, rx_port;
	bool split, bound_tx, bound_rx;
	struct be_page tx_page, rx_page;
	atomic_bool broken;

	pthread_mutex_t tx_lock;
	struct netif_tx_back_ring tx;
	/* Packets that the port has not taken, in order: the pair of the same index. */
	struct netpkt pkt[NETBACK_TX_BATCH];
	struct netback_tx slots[NETBACK_TX_BATCH];
	unsigned batch_first, batch_end;
	bool stopped; /* the port takes no more until room() */

	struct netif_rx_back_ring rx;
	struct netback_rx_slot window[NETBACK_RX_WINDOW];
	uint32_t win_head, win_tail; /* taken from the ring and not answered: [head, tail) */
	unsigned lent;               /* slots given out by the last begin() */
	bool lent_gap;               /* the second is kept for the description of a GSO */
	atomic_bool rx_waiting;

	/* Counted by the side that works; read by anybody. */
	struct {
		atomic_ullong tx_packets, tx_bytes, tx_dropped, tx_errors, tx_gso;
		atomic_ullong rx_packets, rx_bytes, rx_dropped, rx_gso;
		atomic_ullong events_in, events_out, stops;
	} n;
};

struct netback {
	struct be_host_dev host;
	struct netport *port;
	struct netback_options opt;
	/* What the front-end can; constant while connected. */
	bool fe_sg, fe_gso4, fe_gso6, fe_csum4, fe_csum6;
	unsigned nr_queues;
	struct netback_queue *queue; /* NULL: not connected */
	struct netback_stats past;   /* of queues that are gone; main lock */
	pthread_mutex_t lock;

	/* The rate: credit in bytes, filled by time; rate_thread exists when there is one. */
	pthread_mutex_t rate_lock;
	pthread_cond_t rate_cond;
	pthread_t rate_thread;
	bool rate_running, rate_stop, rate_dry;
	int64_t credit;
	uint64_t credit_at; /* ns */
};

#define NETBACK_COUNT(q, what, by) \
	atomic_fetch_add_explicit(&(q)->n.what, (by), memory_order_relaxed)

__attribute__((format(printf, 2, 3))) void netback_complain(struct netback_queue *q,
                                                            const char *fmt, ...);
/* The queue is shut until the front-end connects anew. */
void netback_break(struct netback_queue *q);

/* Whether a packet may leave now; if not, netback_tx_room() follows when one may. */
bool netback_rate_open(struct netback *nb);
void netback_rate_spend(struct netback *nb, uint32_t len);

void netback_tx_event(struct netback_queue *q);
void netback_tx_room(struct netback_queue *q);
void netback_tx_drain(struct netback_queue *q); /* no event comes any more */

extern const struct netport_sink netback_sink;
void netback_rx_event(struct netback_queue *q);
void netback_rx_drain(struct netback_queue *q);

#endif
