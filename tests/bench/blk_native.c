/* SPDX-License-Identifier: MIT */
/*
 * See blk_native.h. AIO and io_uring by their system calls, without a library.
 */
#include "tests/bench/blk_native.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_FLIGHT 64

struct run {
	const struct load *l;
	int fd;
	uint64_t pieces, next, done;
	char *buf;
	double end;
};

static uint64_t seed = 88172645463325252ull;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Where the next piece lies; as blkbench chooses it. */
static uint64_t next_offset(struct run *r)
{
	if (r->l->sequential)
		return r->next++ % r->pieces * r->l->bytes;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % r->pieces * r->l->bytes;
}

/* A look at the clock costs: only now and then. */
static bool is_over(const struct run *r)
{
	return !(r->done & 15) && now_s() >= r->end;
}

static bool run_pread(struct run *r)
{
	do {
		uint64_t at = next_offset(r);
		ssize_t n = r->l->write ? pwrite(r->fd, r->buf, r->l->bytes, (off_t)at)
		                        : pread(r->fd, r->buf, r->l->bytes, (off_t)at);

		if (n != (ssize_t)r->l->bytes)
			return false;
		r->done++;
	} while (!is_over(r));
	return true;
}

/* ---- AIO ------------------------------------------------------------------------------------- */

static void fill_iocb(struct run *r, struct iocb *io, unsigned slot)
{
	*io = (struct iocb){ .aio_data = slot,
		             .aio_lio_opcode = r->l->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		             .aio_fildes = (uint32_t)r->fd,
		             .aio_buf = (uintptr_t)r->buf + (uint64_t)slot * r->l->bytes,
		             .aio_nbytes = r->l->bytes,
		             .aio_offset = (int64_t)next_offset(r) };
}

static bool aio_loop(struct run *r, aio_context_t ctx)
{
	struct io_event event[MAX_FLIGHT];
	struct iocb io[MAX_FLIGHT], *list[MAX_FLIGHT];
	unsigned i, todo = r->l->flight, under_way = 0;

	for (i = 0; i < todo; i++) {
		fill_iocb(r, &io[i], i);
		list[i] = &io[i];
	}
	while (todo || under_way) {
		long got;

		if (todo && syscall(SYS_io_submit, ctx, (long)todo, list) != (long)todo)
			return false;
		under_way += todo;
		todo = 0;
		got = syscall(SYS_io_getevents, ctx, 1L, (long)under_way, event, NULL);
		if (got < 1)
			return false;
		under_way -= (unsigned)got;
		for (i = 0; i < (unsigned)got; i++) {
			unsigned slot = (unsigned)event[i].data;

			if (event[i].res != (int64_t)r->l->bytes)
				return false;
			r->done++;
			if (now_s() >= r->end)
				continue;
			fill_iocb(r, &io[slot], slot);
			list[todo++] = &io[slot];
		}
	}
	return true;
}

static bool run_aio(struct run *r)
{
	aio_context_t ctx = 0;
	bool ok;

	if (syscall(SYS_io_setup, MAX_FLIGHT, &ctx))
		return false;
	ok = aio_loop(r, ctx);
	syscall(SYS_io_destroy, ctx);
	return ok;
}

/* ---- io_uring -------------------------------------------------------------------------------- */

struct uring {
	int fd;
	struct io_uring_params p;
	char *rings;
	struct io_uring_sqe *sqes;
	size_t rings_len, sqes_len;
};

static bool uring_open(struct uring *u)
{
	size_t sq, cq;

	memset(u, 0, sizeof(*u));
	u->fd = (int)syscall(SYS_io_uring_setup, MAX_FLIGHT, &u->p);
	if (u->fd < 0 || !(u->p.features & IORING_FEAT_SINGLE_MMAP))
		return false;
	sq = u->p.sq_off.array + u->p.sq_entries * sizeof(uint32_t);
	cq = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	u->rings_len = sq > cq ? sq : cq;
	u->sqes_len = u->p.sq_entries * sizeof(*u->sqes);
	u->rings = mmap(NULL, u->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
	                IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
	               IORING_OFF_SQES);
	return u->rings != MAP_FAILED && u->sqes != MAP_FAILED;
}

static void uring_close(struct uring *u)
{
	if (u->rings && u->rings != MAP_FAILED)
		munmap(u->rings, u->rings_len);
	if (u->sqes && u->sqes != MAP_FAILED)
		munmap(u->sqes, u->sqes_len);
	if (u->fd >= 0)
		close(u->fd);
}

static uint32_t *word(const struct uring *u, uint32_t offset)
{
	return (uint32_t *)(u->rings + offset);
}

static void uring_put(struct run *r, struct uring *u, unsigned slot)
{
	uint32_t tail = *word(u, u->p.sq_off.tail), at = tail & (u->p.sq_entries - 1);

	u->sqes[at] =
		(struct io_uring_sqe){ .opcode = r->l->write ? IORING_OP_WRITE : IORING_OP_READ,
		                       .fd = r->fd,
		                       .off = next_offset(r),
		                       .addr = (uintptr_t)r->buf + (uint64_t)slot * r->l->bytes,
		                       .len = r->l->bytes,
		                       .user_data = slot };
	word(u, u->p.sq_off.array)[at] = at;
	__atomic_store_n(word(u, u->p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
}

static bool uring_loop(struct run *r, struct uring *u)
{
	struct io_uring_cqe *cqes = (void *)(u->rings + u->p.cq_off.cqes);
	unsigned todo = r->l->flight, under_way = 0, i;
	uint32_t head = *word(u, u->p.cq_off.head), tail;

	for (i = 0; i < todo; i++)
		uring_put(r, u, i);
	while (todo || under_way) {
		if (syscall(SYS_io_uring_enter, u->fd, todo, 1, IORING_ENTER_GETEVENTS, NULL, 0) !=
		    (long)todo)
			return false;
		under_way += todo;
		todo = 0;
		tail = __atomic_load_n(word(u, u->p.cq_off.tail), __ATOMIC_ACQUIRE);
		for (; head != tail; head++) {
			const struct io_uring_cqe *c = &cqes[head & (u->p.cq_entries - 1)];

			if (c->res != (int)r->l->bytes)
				return false;
			under_way--;
			r->done++;
			if (now_s() >= r->end)
				continue;
			uring_put(r, u, (unsigned)c->user_data);
			todo++;
		}
		__atomic_store_n(word(u, u->p.cq_off.head), head, __ATOMIC_RELEASE);
	}
	return true;
}

static bool run_uring(struct run *r)
{
	struct uring u;
	bool ok = uring_open(&u) && uring_loop(r, &u);

	uring_close(&u);
	return ok;
}

double native_run(enum way way, const struct load *l, int fd, uint64_t size, void *buf, unsigned ms)
{
	static bool (*const ways[NR_WAYS])(struct run * r) = { run_pread, run_aio, run_uring };
	double start = now_s();
	struct run r = {
		.l = l, .fd = fd, .pieces = size / l->bytes, .buf = buf, .end = start + ms / 1000.0
	};

	if (!ways[way](&r) || !r.done)
		return 0;
	return (double)r.done / (now_s() - start);
}
