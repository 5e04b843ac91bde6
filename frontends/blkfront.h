/* SPDX-License-Identifier: MIT */
/*
 * What the files of the block front-end share; kernels use blkdev.h.
 *
 *   blkfront.c        requests and responses, events, waiting: what runs for each request
 *   blkfront_part.c   one ring entry: its segments and grants, made and taken apart
 *   blkfront_queue.c  the memory and the event channel of a queue
 *   blkfront_xs.c     the store: finding, agreeing, connecting, changes, closing
 *
 * A queue is a ring, an event channel, and a list of all requests that the queue has, in order of
 * submission: [answered in part or not at all ... | unsent: not wholly sent ...]. A request is sent
 * as one or more parts, each one ring entry.
 *
 * Locking: a queue's lock, events masked, guards all of the queue. No call-back is made, no event
 * sent, nobody woken with it held. One thread at a time talks to the store (front.h).
 *
 * The ring is shared with a back-end that is not trusted: its indexes and responses are read once
 * and checked. What it was told in the past is kept here, in parts; nothing is read back from the
 * ring's requests.
 */
#ifndef FRONTENDS_BLKFRONT_H
#define FRONTENDS_BLKFRONT_H

#include "abi/io/blkif.h"
#include "frontends/blkdev.h"
#include "frontends/front.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/gnttab.h"
#include "pvops/lock.h"
#include "pvops/xenbus.h"

#define BLKFRONT_MAX_QUEUES   8
#define BLKFRONT_MAX_ORDER    4
#define BLKFRONT_MAX_PAGES    (1u << BLKFRONT_MAX_ORDER)
#define BLKFRONT_MAX_PARTS    512 /* entries of a ring of so many pages */
#define BLKFRONT_MAX_SEGMENTS 256
#define BLKFRONT_DIRECT       BLKIF_MAX_SEGMENTS_PER_REQUEST
#define BLKFRONT_NONE         0xffffu

/* A page of ours that the back-end may keep: a list of segments, or copied data. */
struct blkfront_page {
	void *va;
	grant_ref_t ref;
	uint16_t next;
};

/* A ring entry that is under way. */
struct blkfront_part {
	struct blkdev_req *req; /* NULL: none */
	uint32_t seg, offset;   /* where in req it begins */
	uint32_t bytes;
	uint16_t nr_segs;
	uint16_t next;                    /* in the list of free ones */
	uint16_t list;                    /* page that lists its segments, or NONE */
	uint16_t copies;                  /* first page of its copied data, or NONE */
	grant_ref_t ref[BLKFRONT_DIRECT]; /* of a part without a list */
};

#define BLKFRONT_PARTS_PER_PAGE (PV_PAGE_SIZE / sizeof(struct blkfront_part))
#define BLKFRONT_PART_PAGES \
	((BLKFRONT_MAX_PARTS + BLKFRONT_PARTS_PER_PAGE - 1) / BLKFRONT_PARTS_PER_PAGE)
#define BLKFRONT_PAGES_PER_PAGE (PV_PAGE_SIZE / sizeof(struct blkfront_page))
#define BLKFRONT_PAGE_PAGES     8
#define BLKFRONT_REF_CACHE      512

struct blkfront;

struct blkfront_queue {
	struct pv_spinlock lock;
	bool is_up;      /* connected: the ring may be used */
	bool is_retired; /* the back-end wants fewer queues now: queue 0 takes its requests */
	struct blkif_front_ring ring;
	RING_IDX pushed; /* req_prod as the back-end was told */
	evtchn_port_t port;
	struct blkdev_req *first, *last, *unsent; /* all requests; the first not wholly sent */
	bool is_drained;                          /* by somebody, who looks again when told so */
	bool look_again;
	struct blkdev_req *finished; /* to be delivered when the lock is given up */
	uint32_t with_call_back;     /* requests that have one: events are wanted */
	uint16_t free_part;
	uint16_t free_list, free_copy; /* pages of each use */
	uint16_t nr_pages;             /* made so far */
	uint32_t idle_events;          /* in a row, that brought nothing */
	bool is_masked;                /* an event storm: until events are wanted again */
	uint32_t nr_refs;              /* references that are ours and not in use */
	struct blkfront *front;
	struct blkdev_stats stats;
	uint64_t window; /* where the ring's pages are mapped in a row; 0: nowhere yet */
	void *ring_page[BLKFRONT_MAX_PAGES];
	grant_ref_t ring_ref[BLKFRONT_MAX_PAGES];
	unsigned nr_ring_pages; /* that are granted */
	struct blkfront_part *part_page[BLKFRONT_PART_PAGES];
	struct blkfront_page *page_page[BLKFRONT_PAGE_PAGES];
	grant_ref_t refs[BLKFRONT_REF_CACHE];
};

_Static_assert(sizeof(struct blkfront_queue) <= PV_PAGE_SIZE, "a queue lies in one page");

/* What was agreed upon, or read from the back-end's folder. */
struct blkfront_terms {
	uint64_t sectors;
	uint32_t sector_size, physical_sector;
	uint32_t info;         /* VDISK_* */
	uint32_t max_segments; /* of a part */
	unsigned nr_queues, order;
	bool multi_queue; /* the back-end knows of queues */
	bool flush, barrier, discard, persistent;
	bool refuses_flush; /* which it offered */
	uint32_t discard_granularity;
};

struct blkfront {
	struct blkdev dev;
	struct front common;
	struct pv_xenbus bus;
	struct blkfront_options options;
	struct blkfront_terms terms;
	struct blkfront_queue *queue[BLKFRONT_MAX_QUEUES];
	unsigned nr_queues; /* that have been made; the first terms.nr_queues are in use */
	uint8_t queue_of[PV_MAX_CPUS];
	uint32_t sleepers; /* in blkdev_wait() */
	uint32_t poll_ns;  /* for how long waiting polls now */
	bool is_told;      /* those who wait know of it */
	bool is_open;      /* the store's watch is there */
};

static inline struct blkfront_part *blkfront_part(struct blkfront_queue *q, unsigned id)
{
	return &q->part_page[id / BLKFRONT_PARTS_PER_PAGE][id % BLKFRONT_PARTS_PER_PAGE];
}

static inline struct blkfront_page *blkfront_page(struct blkfront_queue *q, unsigned n)
{
	return &q->page_page[n / BLKFRONT_PAGES_PER_PAGE][n % BLKFRONT_PAGES_PER_PAGE];
}

/* ---- blkfront.c ---- */

extern const struct blkdev_ops blkfront_ops;

/* Sends what can be sent, tells the back-end, completes what is answered. */
void blkfront_run(struct blkfront_queue *q);
/* Completes what has been answered; returns how many requests. */
unsigned blkfront_drain(struct blkfront_queue *q);
/* Port of a queue. */
void blkfront_event(evtchn_port_t port, void *queue);
/*
 * All parts under way are forgotten, their grants taken back; all requests are as if they had not
 * been sent. The back-end has let go. Returns how many pages it still holds nevertheless.
 */
unsigned blkfront_rewind(struct blkfront_queue *q);
/* Every request that the queue has fails with -XEN_EIO. */
void blkfront_fail_all(struct blkfront_queue *q);

/* ---- blkfront_part.c; all with the queue's lock held ---- */

enum blkfront_sent { BLKFRONT_SENT, BLKFRONT_NO_ROOM, BLKFRONT_NO_MEMORY };

/* Sends the next part of a request that is not wholly sent and has no error. */
enum blkfront_sent blkfront_send_part(struct blkfront_queue *q, struct blkdev_req *req);
/*
 * Takes a part back: grants ended, copied data delivered if `ok`, part free.
 * false: the back-end still uses one of its pages; nothing has changed for those that it does.
 */
bool blkfront_take_part(struct blkfront_queue *q, unsigned id, bool ok);
/* Pages that stay granted, given back at the end. Returns how many the back-end still holds. */
unsigned blkfront_drop_pages(struct blkfront_queue *q);

/* ---- blkfront_queue.c ---- */

/*
 * The queue's ring, grants and port, for f->terms; not used before it is opened. Its memory comes
 * with the first call. 0 or -XEN_E*; then blkfront_queue_down() undoes what was done.
 */
int blkfront_queue_up(struct blkfront *f, unsigned n, uint32_t cpu);
/* From now on the ring is used: what waits is sent. */
void blkfront_queue_open(struct blkfront_queue *q);
/* Nothing of the ring is looked at any more. */
void blkfront_queue_stop(struct blkfront_queue *q);
/* Closes the port, takes the ring's grants back: the back-end has let go of it, or it is replaced. */
void blkfront_queue_down(struct blkfront_queue *q);
/* Gives all memory back but what the back-end holds. Stopped and down, without requests. */
void blkfront_queue_free(struct blkfront_queue *q);

/* ---- blkfront_xs.c ---- */

void blkfront_service(struct blkdev *dev);
void blkfront_close(struct blkdev *dev);
/* There is something to do for blkfront_service(): tells whoever could call it. No lock held. */
void blkfront_attend(struct blkfront *f);
/* The back-end has done what it must not: once a line in the log; the device will be closed. */
__attribute__((format(printf, 2, 3))) void blkfront_accuse(struct blkfront *f, const char *fmt,
                                                           ...);

#endif /* FRONTENDS_BLKFRONT_H */
