/* SPDX-License-Identifier: MIT */
/*
 * Inside the block back-end. A device has queues; a queue has a ring, and jobs: one for each request
 * that has been taken and not answered yet.
 *
 *   blkback.c        life of the device, size, figures
 *   blkback_xs.c     what is offered and agreed upon in the store
 *   blkback_ring.c   the shared ring: indexes, entries, responses
 *   blkback_check.c  whether a request makes sense
 *   blkback_map.c    granted pages, persistent or for one request
 *   blkback_io.c     a job's way through the storage to its response; the barrier
 *   blkback_queue.c  who serves a ring, when, and for how long
 *
 * Who may touch what: fields of a queue marked "server" belong to the thread that serves it (one at a
 * time, see blkback_queue.c); those marked "lock" to whoever holds queue->lock, which is taken for a
 * few stores only and never while storage or the store's try() runs. The order of locks is
 * queue->lock, then blkback->worker_lock.
 */
#ifndef BACKENDS_BLKBACK_PRIV_H
#define BACKENDS_BLKBACK_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "abi/io/blkif.h"
#include "backends/blkback.h"

#define BLKBACK_MAX_QUEUES   16
#define BLKBACK_MAX_ORDER    4
#define BLKBACK_MAX_SEGMENTS 256u /* of an indirect request: 1 MiB */
#define BLKBACK_PAGE         4096u

/* ---- blkback_ring.c -------------------------------------------------------------------------- */

struct blk_ring {
	struct be_page page[1 << BLKBACK_MAX_ORDER]; /* apart from each other here */
	unsigned nr_pages;
	uint32_t nr_ents;          /* a power of two */
	uint32_t req_cons;         /* server */
	_Atomic uint32_t rsp_prod; /* lock; written but maybe not pushed. The server looks, too */
	uint32_t rsp_pushed;       /* lock */
};

/* A response to be. */
struct blk_answer {
	uint64_t id;
	uint8_t operation;
	int16_t status; /* BLKIF_RSP_* */
};

/*
 * Maps the pages. clean: of the last connection nothing was left unanswered.
 * 0; a GNTST_* with *bad, the reference; -EINVAL: indexes that cannot be.
 */
int blk_ring_attach(struct blk_ring *r, const struct be_host_dev *host, const grant_ref_t *refs,
                    unsigned nr_pages, bool clean, grant_ref_t *bad);
/* Whether all that was taken has been answered. Nobody serves any more. */
bool blk_ring_is_clean(const struct blk_ring *r);
void blk_ring_detach(struct blk_ring *r, const struct be_host_dev *host);
/* How many requests wait; above nr_ents: *prod is an index that cannot be. Server. */
uint32_t blk_ring_waiting(const struct blk_ring *r, uint32_t *prod);
/* A private copy of the next request, which is consumed. Server. */
void blk_ring_take(struct blk_ring *r, struct blkif_request *rq);
/* Asks for an event at the next request; true: there is one already. Server. */
bool blk_ring_final_check(struct blk_ring *r);
void blk_ring_answer(struct blk_ring *r, const struct blk_answer *a); /* lock */
/* Shows the front-end what was answered; true: it wants an event. Lock. */
bool blk_ring_push(struct blk_ring *r);

/* ---- blkback_check.c ------------------------------------------------------------------------- */

/* What the device allows; constant while connected, but for bytes. */
struct blk_limits {
	_Atomic uint64_t bytes;
	unsigned
		unit_shift; /* of sector numbers on the ring: 9, or 12 with feature-large-sector-size */
	unsigned block;     /* bytes: requests consist of whole ones */
	bool readonly, can_flush, can_discard;
};

enum blk_kind { BLK_DATA, BLK_FLUSH, BLK_BARRIER, BLK_DISCARD };

/* A request whose head makes sense. */
struct blk_want {
	enum blk_kind kind;
	bool write;            /* to the disk */
	bool indirect;         /* the segments are in pages of their own */
	unsigned nr_segments;  /* 0 to 11; indirect: 1 to BLKBACK_MAX_SEGMENTS */
	uint64_t offset, len;  /* bytes; len of a discard only */
	uint8_t operation;     /* for the response */
	const char *complaint; /* why it was refused */
};

/* BLKIF_RSP_OKAY, or how the request is to be answered; id-independent. */
int16_t blk_check_head(const struct blk_limits *l, const struct blkif_request *rq,
                       struct blk_want *want);
/* One segment: where in its page, and how many bytes. False: it makes no sense. */
bool blk_check_segment(const struct blk_limits *l, const struct blkif_request_segment *seg,
                       unsigned *offset, unsigned *len);
/* Whether len bytes at offset are on the disk and consist of whole blocks. */
bool blk_check_range(const struct blk_limits *l, uint64_t offset, uint64_t len);

/* ---- jobs ------------------------------------------------------------------------------------ */

/* Room for a large request; stays with its job. */
struct blk_large {
	struct be_page page[BLKBACK_MAX_SEGMENTS];
	struct iovec iov[BLKBACK_MAX_SEGMENTS];
};

struct blk_job {
	struct blkstore_req io; /* first: done() finds the job by it */
	struct blk_queue *q;
	struct blk_job *next; /* free ones */
	struct blk_answer answer;
	uint64_t offset, len; /* bytes, of the data or discard */
	uint8_t step[3];      /* enum blkstore_op, one after the other */
	unsigned nr_steps, at;
	unsigned nr_pages, nr_iov; /* mapped for this job only; pieces of memory */
	struct be_page *page;      /* small_page, or large->page */
	struct iovec *iov;
	struct blk_large *large; /* NULL until needed */
	struct be_page small_page[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	struct iovec small_iov[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

/* ---- queues ---------------------------------------------------------------------------------- */

#define BLK_CHUNKS     256u /* persistent grants: references below 256 * 512 */
#define BLK_PER_CHUNK  512u
#define BLK_ANSWERS    16u /* answers that are pushed together, at most */
#define BLK_COMPLAINTS 4u  /* of a queue's requests; further ones are only counted */

enum blk_barrier { BLK_NO_BARRIER, BLK_BARRIER_WAITS, BLK_BARRIER_RUNS };

/* Figures that one thread at a time adds to, and any may read. */
struct blk_figures {
	uint64_t reads, writes, flushes, discards, errors;
	uint64_t sectors_read, sectors_written;
	uint64_t inline_done, handed_over, events_in, events_out;
	uint64_t grants_mapped, grants_persistent;
};

struct blk_queue {
	struct blkback *b;
	unsigned index;
	evtchn_port_t port;
	bool bound;
	struct blk_ring ring;
	atomic_int state; /* blkback_queue.c: who serves */
	_Atomic uint64_t events_meanwhile;

	/* server */
	struct blk_job *spare; /* in hand, for the next request; may be NULL */
	struct blk_answer answers[BLK_ANSWERS];
	unsigned nr_answers;
	uint64_t unpushed_bytes; /* moved for those answers */
	uint64_t round_bytes;    /* moved in this round */
	bool unkicked;           /* jobs were submitted, the store waits for a kick */
	bool broken;             /* the ring: nothing is taken any more */
	unsigned complaints;
	enum blk_barrier barrier;
	struct blk_job *barrier_job; /* while it waits */
	struct blkif_request_segment segments[BLKBACK_MAX_SEGMENTS];
	struct be_page *chunk[BLK_CHUNKS]; /* persistent grants, by reference */
	struct blk_figures served;

	/* lock */
	pthread_mutex_t lock;
	pthread_cond_t drained;
	unsigned in_flight; /* jobs that the storage has */
	struct blk_job *free;
	bool wake_at_zero; /* a barrier waits for in_flight */
	bool silent;       /* the port is being given up: no event */
	struct blk_figures done;

	/* of the device, worker_lock */
	bool poked;  /* the worker is to look */
	bool handed; /* the worker is the one who serves */
};

struct blkback {
	struct be_host_dev host;
	struct blkstore *store;
	struct blkback_options options;
	char *serial;
	struct blk_limits limits;
	bool connected;
	bool clean; /* the last connection ended with everything answered that had been taken */
	bool persistent;
	unsigned nr_queues;
	struct blk_queue *queues; /* [nr_queues], while connected */

	pthread_mutex_t figures_lock; /* queues come and go; past */
	struct blk_figures past;      /* of queues that are gone */

	pthread_mutex_t worker_lock;
	pthread_cond_t worker_wake;
	pthread_t worker;
	bool has_worker;
	bool leave; /* worker_lock */
};

/* Only one thread adds, so no locked instruction is needed; others read it whole. */
static inline void blk_count(uint64_t *figure, uint64_t n)
{
	__atomic_store_n(figure, *figure + n, __ATOMIC_RELAXED);
}

/* ---- blkback_xs.c ---------------------------------------------------------------------------- */

/* What a front-end has chosen. */
struct blk_choice {
	unsigned nr_queues, nr_pages;
	bool persistent, large_sectors;
	struct {
		evtchn_port_t port;
		grant_ref_t ref[1 << BLKBACK_MAX_ORDER];
	} queue[BLKBACK_MAX_QUEUES];
};

int blk_xs_offer(struct blkback *b);
/* 0, or a negative errno that has been told. */
int blk_xs_read(struct blkback *b, struct blk_choice *c);
int blk_xs_describe(struct blkback *b);
int blk_xs_write_size(struct blkback *b);

/* ---- blkback_map.c --------------------------------------------------------------------------- */

/*
 * The page of a reference. own: filled in when the mapping is for this request only, and then
 * *is_own. Server. 0 or a GNTST_*.
 */
int blk_map(struct blk_queue *q, grant_ref_t ref, bool readonly, struct be_page *own, bool *is_own,
            void **ptr);
/* The segments of an indirect request into q->segments. Server. 0 or a GNTST_*. */
int blk_fetch_segments(struct blk_queue *q, const struct blkif_request_indirect *rq, unsigned nr);
void blk_unmap_job(struct blk_job *job);
void blk_unmap_persistent(struct blk_queue *q);

/* ---- blkback_io.c ---------------------------------------------------------------------------- */

/* One request, copied. Server. */
void blk_serve_request(struct blk_queue *q, const struct blkif_request *rq);
/* Answers so far into the ring, the store kicked. Server. */
void blk_settle(struct blk_queue *q);
/* False: a barrier is under way, nothing may be taken. Server. */
bool blk_barrier_passes(struct blk_queue *q);
/* Nothing comes any more: waits for the storage, frees all jobs. */
void blk_drain(struct blk_queue *q);

/* ---- blkback_queue.c ------------------------------------------------------------------------- */

void blk_queue_event(void *queue);
/* Serves what is there without an event. Any thread. */
void blk_queue_look(struct blk_queue *q);
/* The worker is to serve the queue. Any thread; q->lock may be held. */
void blk_queue_poke(struct blk_queue *q);
int blk_worker_start(struct blkback *b);
void blk_worker_stop(struct blkback *b);

#endif
