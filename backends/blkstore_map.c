/* SPDX-License-Identifier: MIT */
/*
 * A file in memory, mapped; see blkstore_map.h.
 */
#include "backends/blkstore_map.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE      4096u
#define MAY_GROW  (UINT64_C(16) << 30) /* bytes of address space beyond the size at opening */
#define WORD_BITS 64u

struct blkmap {
	int fd;
	char *base;
	uint64_t len;
	_Atomic uint64_t *marks; /* a bit for each page that is no hole */
};

/* ---- accesses that find no page ------------------------------------------------------------------ */

/* Where a copy that is under way in this thread goes on when it fails; NULL: none is. */
static _Thread_local sigjmp_buf *volatile way_out;
static _Thread_local bool is_ready;
static struct sigaction before;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	if (way_out)
		siglongjmp(*way_out, 1);
	/* Somebody else's: as if we were not here. */
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		signal(SIGBUS, SIG_DFL); /* the access is tried again, and ends us */
}

static void install(void)
{
	/* SA_NODEFER: the handler is left by a jump, which does not give the mask back. */
	struct sigaction sa = { .sa_sigaction = on_sigbus,
		                .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigaction(SIGBUS, &sa, &before);
}

/* Threads that block all signals would be ended by this one. */
static void make_ready(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	is_ready = true;
}

static __attribute__((noinline)) void copy_pieces(char *at, const struct blkstore_req *req)
{
	for (unsigned i = 0; i < req->nr_iov; i++) {
		if (req->op == BLKSTORE_WRITE)
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		else
			memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
}

/* Apart, so that nothing lives in registers over the jump. */
static __attribute__((noinline)) bool copy_guarded(char *at, const struct blkstore_req *req)
{
	sigjmp_buf here;

	if (!is_ready)
		make_ready();
	if (sigsetjmp(here, 0)) {
		way_out = NULL;
		return false;
	}
	way_out = &here;
	/* The handler runs in this thread: the compiler's order is all that matters. */
	atomic_signal_fence(memory_order_seq_cst);
	copy_pieces(at, req);
	atomic_signal_fence(memory_order_seq_cst);
	way_out = NULL;
	return true;
}

/* ---- marks --------------------------------------------------------------------------------------- */

static bool is_inside(const struct blkmap *m, uint64_t offset, uint64_t len)
{
	return len && offset < m->len && len <= m->len - offset;
}

static bool all_marked(struct blkmap *m, uint64_t offset, uint64_t len)
{
	for (uint64_t page = offset / PAGE; page <= (offset + len - 1) / PAGE; page++)
		if (!(atomic_load_explicit(&m->marks[page / WORD_BITS], memory_order_relaxed) >>
		              page % WORD_BITS &
		      1))
			return false;
	return true;
}

/*
 * Whether a page is no hole. SEEK_HOLE would be one call for many pages, but it walks on to the next
 * hole, which is mostly the end of the file.
 */
static bool has_data(const struct blkmap *m, uint64_t page)
{
	return lseek(m->fd, (off_t)(page * PAGE), SEEK_DATA) == (off_t)(page * PAGE);
}

void blkmap_learn(struct blkmap *m, const struct blkstore_req *req)
{
	if (!is_inside(m, req->offset, req->len))
		return;
	for (uint64_t at = req->offset / PAGE; at <= (req->offset + req->len - 1) / PAGE; at++)
		/* What was written is there; what was read may be a hole. */
		if (req->op == BLKSTORE_WRITE || has_data(m, at))
			atomic_fetch_or_explicit(&m->marks[at / WORD_BITS],
			                         UINT64_C(1) << at % WORD_BITS,
			                         memory_order_relaxed);
}

void blkmap_forget(struct blkmap *m, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;

	if (offset >= m->len || !len)
		return;
	if (end > m->len)
		end = m->len;
	for (uint64_t page = offset / PAGE; page <= (end - 1) / PAGE; page++)
		atomic_fetch_and_explicit(&m->marks[page / WORD_BITS],
		                          ~(UINT64_C(1) << page % WORD_BITS), memory_order_relaxed);
}

bool blkmap_transfer(struct blkmap *m, const struct blkstore_req *req)
{
	if (!is_inside(m, req->offset, req->len) || !all_marked(m, req->offset, req->len))
		return false;
	if (copy_guarded(m->base + req->offset, req))
		return true;
	blkmap_forget(m, req->offset, req->len);
	return false;
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct blkmap *blkmap_open(int fd, uint64_t size, bool readonly)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct blkmap *m = calloc(1, sizeof(*m));
	uint64_t pages;

	if (!m || size > SIZE_MAX / 4)
		goto none;
	m->fd = fd;
	m->len = (size + MAY_GROW) & ~(uint64_t)(PAGE - 1);
	pages = m->len / PAGE;
	/* Zero as it comes: what is never asked for is never touched. */
	m->marks = calloc(pages / WORD_BITS + 1, sizeof(*m->marks));
	if (!m->marks)
		goto none;
	m->base = mmap(NULL, m->len, PROT_READ | (readonly ? 0 : PROT_WRITE),
	               MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (m->base == MAP_FAILED)
		goto none;
	/* Children get nothing of it. */
	madvise(m->base, m->len, MADV_DONTFORK);
	pthread_once(&once, install);
	return m;
none:
	if (m)
		free((void *)m->marks);
	free(m);
	return NULL;
}

void blkmap_close(struct blkmap *m)
{
	munmap(m->base, m->len);
	free((void *)m->marks);
	free(m);
}
