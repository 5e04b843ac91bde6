/* SPDX-License-Identifier: MIT */
/*
 * Pipes: a page of bytes between those who write and those who read.
 *
 * Invariant: tail - head is the number of bytes in it; both only grow. Its page goes back when both
 * ends are closed.
 */
#include <stdbool.h>
#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/usercopy.h"

/* The pipe itself lies in the same page as its bytes. */
struct pipe {
	struct pv_spinlock lock; /* of all below */
	uint32_t head, tail;
	bool has_reader, has_writer;
	struct pv_waitq data, room; /* readers wait for data, writers for room */
	char bytes[];
};

#define PIPE_SIZE 2048u
_Static_assert(offsetof(struct pipe, bytes) + PIPE_SIZE <= PV_PAGE_SIZE, "a page holds a pipe");

static bool can_read(void *arg)
{
	const struct pipe *p = arg;

	return pv_load(&p->tail) != pv_load(&p->head) || !pv_load(&p->has_writer);
}

static bool can_write(void *arg)
{
	const struct pipe *p = arg;

	return pv_load(&p->tail) - pv_load(&p->head) < PIPE_SIZE || !pv_load(&p->has_reader);
}

/* Bytes to or from the ring, in at most two pieces. */
static void ring_copy(struct pipe *p, uint32_t at, char *buf, uint32_t len, bool out)
{
	while (len) {
		uint32_t place = at % PIPE_SIZE, piece = PIPE_SIZE - place;

		if (piece > len)
			piece = len;
		if (out)
			memcpy(buf, p->bytes + place, piece);
		else
			memcpy(p->bytes + place, buf, piece);
		at += piece;
		buf += piece;
		len -= piece;
	}
}

#define PIECE 512u /* what is copied at a time, by way of the stack */

static uint32_t take(struct pipe *p, char *buf, uint32_t len)
{
	uint32_t there;

	pv_spin_lock(&p->lock);
	there = p->tail - p->head;
	if (len > there)
		len = there;
	ring_copy(p, p->head, buf, len, true);
	pv_store(&p->head, p->head + len);
	pv_spin_unlock(&p->lock);
	return len;
}

/* How many there was room for. A short piece goes in whole or not at all. */
static uint32_t give(struct pipe *p, char *buf, uint32_t len)
{
	uint32_t room;

	pv_spin_lock(&p->lock);
	room = PIPE_SIZE - (p->tail - p->head);
	if (len > room)
		len = room;
	ring_copy(p, p->tail, buf, len, false);
	pv_store(&p->tail, p->tail + len);
	pv_spin_unlock(&p->lock);
	return len;
}

/* Returns as soon as there is something, and 0 when nobody can write any more. */
static long pipe_read(struct file *f, uint64_t to, uint64_t len)
{
	struct pipe *p = f->data;
	char buf[PIECE];
	uint64_t done = 0;
	uint32_t n;
	int rc;

	while (!done && len) {
		rc = sched_sleep(&p->data, can_read, p, 0, true);
		if (rc)
			return rc;
		while (done < len) {
			n = take(p, buf, len - done < PIECE ? (uint32_t)(len - done) : PIECE);
			if (!n)
				break;
			if (copy_out(to + done, buf, n))
				return -EFAULT;
			done += n;
		}
		if (!done && !pv_load_acquire(&p->has_writer) && p->tail == p->head)
			break;
	}
	if (done)
		sched_wake(&p->room);
	return (long)done;
}

static long pipe_write(struct file *f, uint64_t from, uint64_t len)
{
	struct pipe *p = f->data;
	char buf[PIECE];
	uint64_t done = 0;
	uint32_t n;
	int rc;

	while (done < len) {
		rc = sched_sleep(&p->room, can_write, p, 0, true);
		if (rc)
			return done ? (long)done : rc;
		if (!pv_load_acquire(&p->has_reader)) {
			signal_send(current()->pid, SIGPIPE);
			return -EPIPE;
		}
		n = len - done < PIECE ? (uint32_t)(len - done) : PIECE;
		if (copy_in(buf, from + done, n))
			return -EFAULT;
		done += give(p, buf, n);
		sched_wake(&p->data);
	}
	return (long)done;
}

/* The waking is done with the lock held: after that the other end may free the page. */
static void close_end(struct pipe *p, bool *has_end, struct pv_waitq *others)
{
	bool last;

	pv_spin_lock(&p->lock);
	pv_store(has_end, false);
	last = !p->has_reader && !p->has_writer;
	sched_wake(others);
	pv_spin_unlock(&p->lock);
	if (last)
		page_put(p);
}

static void close_read(struct file *f)
{
	struct pipe *p = f->data;

	close_end(p, &p->has_reader, &p->room);
}

static void close_write(struct file *f)
{
	struct pipe *p = f->data;

	close_end(p, &p->has_writer, &p->data);
}

static const struct file_ops read_ops = { pipe_read, NULL, close_read };
static const struct file_ops write_ops = { NULL, pipe_write, close_write };

/* Both descriptors or none. */
static int install_both(struct file *r, struct file *w, int fd[2])
{
	fd[0] = file_install(r);
	if (fd[0] < 0) {
		file_put(r);
		file_put(w);
		return -EMFILE;
	}
	fd[1] = file_install(w);
	if (fd[1] < 0) {
		file_close((unsigned int)fd[0]);
		file_put(w);
		return -EMFILE;
	}
	return 0;
}

int pipe_open(int fd[2])
{
	struct pipe *p = page_alloc();
	struct file *r, *w;

	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->has_reader = p->has_writer = true;
	r = file_new(&read_ops, O_RDONLY, p);
	w = file_new(&write_ops, O_WRONLY, p);
	if (r && w)
		return install_both(r, w, fd);
	if (!r)
		p->has_reader = false;
	if (!w)
		p->has_writer = false;
	if (r)
		file_put(r);
	if (w)
		file_put(w);
	if (!r && !w)
		page_put(p);
	return -ENFILE;
}
