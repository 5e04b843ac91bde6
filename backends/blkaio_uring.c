/* SPDX-License-Identifier: MIT */
/*
 * Storage work by io_uring, through the kernel's header and raw calls; see blkaio.h.
 *
 * One thread owns the ring: it alone fills entries, enters, and reaps. The kernel finishes a request
 * in the context of the thread that submitted it; were that a vCPU's, its sleep would be disturbed
 * for every block that arrives. So a submitter only puts the request on a list, and wakes the owner
 * when that sleeps:
 *   owner:      sleeping = true; take the list; empty: enter and wait for the bell or a completion
 *   submitter:  put on the list (lock); if sleeping was true: false, ring the bell
 * The list's lock orders both: a request that the owner did not see finds `sleeping` set.
 *
 * Source: io_uring(7), io_uring_setup(2), io_uring_enter(2).
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backends/blkaio.h"

#define DEPTH 256u /* requests in the ring at once; the completion ring has twice as many places */

/* Flags that only make it cheaper; in the order in which older kernels do not know them. */
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

struct ring {
	int fd;
	void *rings, *entries; /* mappings */
	size_t rings_len, entries_len;
	unsigned *sq_tail, *sq_array, sq_mask;
	unsigned *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned filled; /* entries that the kernel has not been told of */
};

struct uring {
	struct blkaio a;
	struct ring ring; /* the owner's */
	int bell_fd;
	uint64_t bell;            /* what is read from it */
	unsigned in_flight;       /* the owner's: requests, without the bell */
	struct blkstore_req *own; /* taken, waiting for a place; by link[0] */
	struct blkaio *others;    /* does what is not io_uring's; made when needed */

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t started;
	int start_rc; /* 1: not yet known */
	struct blkstore_req *head, **tail;
	bool closing;
	atomic_bool sleeping;
};

static struct uring *uring_of(struct blkaio *a)
{
	return (struct uring *)a;
}

/* ---- the ring --------------------------------------------------------------------------------- */

static int setup(struct io_uring_params *p)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		0,
	};
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(flags) / sizeof(flags[0]); i++) {
		memset(p, 0, sizeof(*p));
		p->flags = flags[i];
		fd = (int)syscall(SYS_io_uring_setup, DEPTH, p);
		if (fd < 0 && errno != EINVAL)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static void ring_close(struct ring *r)
{
	if (r->entries)
		munmap(r->entries, r->entries_len);
	if (r->rings)
		munmap(r->rings, r->rings_len);
	close(r->fd);
}

static int ring_map(struct ring *r, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	char *base;

	r->rings_len = sq > cq ? sq : cq;
	r->rings = mmap(NULL, r->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
	                r->fd, IORING_OFF_SQ_RING);
	if (r->rings == MAP_FAILED)
		r->rings = NULL;
	r->entries_len = p->sq_entries * sizeof(struct io_uring_sqe);
	r->entries = mmap(NULL, r->entries_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
	                  r->fd, IORING_OFF_SQES);
	if (r->entries == MAP_FAILED)
		r->entries = NULL;
	if (!r->rings || !r->entries)
		return -ENOMEM;
	base = r->rings;
	r->sq_tail = (unsigned *)(base + p->sq_off.tail);
	r->sq_mask = *(unsigned *)(base + p->sq_off.ring_mask);
	r->sq_array = (unsigned *)(base + p->sq_off.array);
	r->cq_head = (unsigned *)(base + p->cq_off.head);
	r->cq_tail = (unsigned *)(base + p->cq_off.tail);
	r->cq_mask = *(unsigned *)(base + p->cq_off.ring_mask);
	r->cqe = (struct io_uring_cqe *)(base + p->cq_off.cqes);
	r->sqe = r->entries;
	return 0;
}

/* 0 or a negative errno; -ENOSYS also for kernels whose io_uring cannot do all that we need (5.6). */
static int ring_open(struct ring *r)
{
	struct io_uring_params p;
	int rc = setup(&p);

	if (rc < 0)
		return rc;
	*r = (struct ring){ .fd = rc };
	rc = -ENOSYS;
	if ((p.features & IORING_FEAT_SINGLE_MMAP) && (p.features & IORING_FEAT_NODROP) &&
	    (p.features & IORING_FEAT_RW_CUR_POS))
		rc = ring_map(r, &p);
	if (rc)
		ring_close(r);
	return rc;
}

/* A fresh entry. There are always places: DEPTH - 1 requests and the bell at most are in the ring. */
static struct io_uring_sqe *next_entry(struct ring *r)
{
	unsigned i = (*r->sq_tail + r->filled) & r->sq_mask;

	r->sq_array[i] = i;
	r->filled++;
	memset(&r->sqe[i], 0, sizeof(r->sqe[i]));
	return &r->sqe[i];
}

/* Hands over what was filled, and waits for a completion. */
static void ring_enter(struct ring *r)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned n = r->filled;
	long rc;

	/* The kernel must see the entries before the index: it reads that with acquire. */
	__atomic_store_n(r->sq_tail, *r->sq_tail + n, __ATOMIC_RELEASE);
	r->filled = 0;
	rc = syscall(SYS_io_uring_enter, r->fd, n, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	while (rc < 0 || (unsigned)rc < n) {
		/* Short of memory, or of room for completions that we have not looked at: later. */
		if (rc > 0)
			n -= (unsigned)rc;
		else if (errno != EINTR)
			nanosleep(&pause, NULL);
		if (!n)
			return;
		rc = syscall(SYS_io_uring_enter, r->fd, n, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	}
}

/* ---- requests --------------------------------------------------------------------------------- */

static uint64_t moved(const struct blkstore_req *req)
{
	return (uintptr_t)req->link[1];
}

static void fill_transfer(struct io_uring_sqe *e, const struct blkstore_req *req)
{
	bool is_write = req->op == BLKSTORE_WRITE;

	e->off = req->offset + moved(req);
	if (req->nr_iov == 1) {
		e->opcode = is_write ? IORING_OP_WRITE : IORING_OP_READ;
		e->addr = (uintptr_t)req->iov->iov_base;
		e->len = (unsigned)req->iov->iov_len;
	} else {
		e->opcode = is_write ? IORING_OP_WRITEV : IORING_OP_READV;
		e->addr = (uintptr_t)req->iov;
		e->len = req->nr_iov;
	}
}

static void fill(struct uring *u, struct blkstore_req *req)
{
	struct io_uring_sqe *e = next_entry(&u->ring);

	e->fd = u->a.target.fd;
	e->user_data = (uintptr_t)req;
	u->in_flight++;
	switch (req->op) {
	case BLKSTORE_READ:
	case BLKSTORE_WRITE:
		fill_transfer(e, req);
		break;
	case BLKSTORE_FLUSH:
		e->opcode = IORING_OP_FSYNC;
		e->fsync_flags = IORING_FSYNC_DATASYNC;
		break;
	default:
		e->opcode = IORING_OP_FALLOCATE;
		e->len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		e->off = req->offset;
		e->addr = req->len;
	}
}

/* What io_uring cannot do. Without threads for it, here: late is better than never. */
static void give_away(struct uring *u, struct blkstore_req *req)
{
	if (!u->others)
		blkaio_open_threads(&u->others, &u->a.target);
	if (u->others)
		u->others->ops->submit(u->others, req, false);
	else
		blkaio_done(&u->a, req, u->a.target.perform(u->a.target.arg, req));
}

/* Leaves out the first n bytes of what is to be moved. */
static void advance(struct blkstore_req *req, size_t n)
{
	req->link[1] = (void *)(uintptr_t)(moved(req) + n);
	while (req->nr_iov && n >= req->iov->iov_len) {
		n -= req->iov->iov_len;
		req->iov++;
		req->nr_iov--;
	}
	if (req->nr_iov) {
		req->iov->iov_base = (char *)req->iov->iov_base + n;
		req->iov->iov_len -= n;
	}
}

static void put_back(struct uring *u, struct blkstore_req *req)
{
	req->link[0] = u->own;
	u->own = req;
}

static void complete(struct uring *u, struct blkstore_req *req, int res)
{
	bool is_transfer = req->op == BLKSTORE_READ || req->op == BLKSTORE_WRITE;

	u->in_flight--;
	if (res == -EINTR) {
		put_back(u, req);
		return;
	}
	if (res == -EAGAIN) {
		give_away(u, req);
		return;
	}
	if (res >= 0 && is_transfer) {
		/* Nothing moved: the file is shorter than we were told, or takes no more. */
		if (res == 0) {
			blkaio_done(&u->a, req, -EIO);
			return;
		}
		advance(req, (size_t)res);
		if (req->nr_iov) {
			put_back(u, req);
			return;
		}
	}
	blkaio_done(&u->a, req, res < 0 ? res : 0);
}

/* ---- the owner -------------------------------------------------------------------------------- */

static void arm_bell(struct uring *u)
{
	struct io_uring_sqe *e = next_entry(&u->ring);

	e->opcode = IORING_OP_READ;
	e->fd = u->bell_fd;
	e->addr = (uintptr_t)&u->bell;
	e->len = sizeof(u->bell);
	e->user_data = 0;
}

static void reap(struct uring *u)
{
	struct ring *r = &u->ring;
	unsigned head = *r->cq_head;

	/* Acquire: the kernel wrote the entry before the index. */
	while (head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
		struct io_uring_cqe c = r->cqe[head & r->cq_mask];

		__atomic_store_n(r->cq_head, ++head, __ATOMIC_RELEASE);
		if (c.user_data)
			complete(u, (struct blkstore_req *)(uintptr_t)c.user_data, c.res);
		else
			arm_bell(u);
	}
}

/* What was submitted, behind what still waits. True: it is time to go. */
static bool take(struct uring *u)
{
	struct blkstore_req **end = &u->own;
	bool closing;

	while (*end)
		end = (struct blkstore_req **)&(*end)->link[0];
	pthread_mutex_lock(&u->lock);
	*end = u->head;
	u->head = NULL;
	u->tail = &u->head;
	closing = u->closing;
	pthread_mutex_unlock(&u->lock);
	return closing && !u->own && !u->in_flight;
}

static void fill_all(struct uring *u)
{
	while (u->own && u->in_flight < DEPTH - 1) {
		struct blkstore_req *req = u->own;

		u->own = req->link[0];
		if (u->a.target.is_special(u->a.target.arg, req))
			give_away(u, req);
		else
			fill(u, req);
	}
}

static void run(struct uring *u)
{
	bool over = false;

	arm_bell(u);
	while (!over) {
		atomic_store(&u->sleeping, true);
		over = take(u);
		fill_all(u);
		/* The bell or a completion comes: what waits for a place waits for one of those. */
		if (!over)
			ring_enter(&u->ring);
		atomic_store(&u->sleeping, false);
		reap(u);
	}
}

static void *owner(void *arg)
{
	struct uring *u = arg;
	int rc = ring_open(&u->ring);

	pthread_mutex_lock(&u->lock);
	u->start_rc = rc;
	pthread_cond_signal(&u->started);
	pthread_mutex_unlock(&u->lock);
	if (rc)
		return NULL;
	run(u);
	ring_close(&u->ring);
	return NULL;
}

/* ---- for submitters ----------------------------------------------------------------------------- */

static void wake(struct uring *u)
{
	if (atomic_exchange(&u->sleeping, false))
		eventfd_write(u->bell_fd, 1);
}

static void submit(struct blkaio *a, struct blkstore_req *req, bool batch)
{
	struct uring *u = uring_of(a);

	req->link[0] = NULL;
	req->link[1] = NULL;
	pthread_mutex_lock(&u->lock);
	*u->tail = req;
	u->tail = (struct blkstore_req **)&req->link[0];
	pthread_mutex_unlock(&u->lock);
	if (!batch)
		wake(u);
}

static void kick(struct blkaio *a)
{
	wake(uring_of(a));
}

static void release(struct uring *u)
{
	close(u->bell_fd);
	pthread_cond_destroy(&u->started);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static void close_uring(struct blkaio *a)
{
	struct uring *u = uring_of(a);

	pthread_mutex_lock(&u->lock);
	u->closing = true;
	pthread_mutex_unlock(&u->lock);
	eventfd_write(u->bell_fd, 1);
	pthread_join(u->thread, NULL);
	if (u->others)
		u->others->ops->close(u->others);
	release(u);
}

static const struct blkaio_ops uring_ops = { submit, kick, close_uring };

/* The owner's thread, with a ring. Signals are the main thread's. */
static int start(struct uring *u)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&u->thread, NULL, owner, u);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return -rc;
	pthread_mutex_lock(&u->lock);
	while (u->start_rc > 0)
		pthread_cond_wait(&u->started, &u->lock);
	rc = u->start_rc;
	pthread_mutex_unlock(&u->lock);
	if (rc)
		pthread_join(u->thread, NULL);
	return rc;
}

int blkaio_open_uring(struct blkaio **out, const struct blkaio_target *target)
{
	struct uring *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return -ENOMEM;
	u->a = (struct blkaio){ &uring_ops, "io_uring", *target };
	u->tail = &u->head;
	u->start_rc = 1;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->started, NULL);
	u->bell_fd = eventfd(0, EFD_CLOEXEC);
	rc = u->bell_fd < 0 ? -errno : start(u);
	if (rc)
		release(u);
	else
		*out = &u->a;
	return rc;
}
