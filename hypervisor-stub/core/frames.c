/* SPDX-License-Identifier: MIT */
/*
 * Machine frames: numbers, memory, and which of them are in use.
 *
 * The numbers are handed to domains in chunks of 512, which a destroyed domain gives back. Inside a
 * domain GUEST frames are taken from the low end and SHARED ones from the high end, so that guest
 * memory stays in one run as long as possible (a run is one mapping in an engine).
 *
 * Invariant: a free frame is a hole in the memfd, so a frame that is handed out reads as zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/frames.h"
#include "hypervisor-stub/core/hv.h"

#define CHUNK     512u
#define WORD_BITS 64u
#define NO_FRAME  UINT64_MAX

/* Not 0: no guest's pfn equals its mfn by accident, and mfn 0 is nobody's. */
#define FIRST_MFN UINT64_C(0x40000)
/* Grant tables hold 32-bit frame numbers. */
#define MAX_FRAMES (UINT64_C(1) << 31)

/* ---- the machine ----------------------------------------------------------------------------- */

/* Zeroed address space that costs memory only where it is touched. */
static void *sparse(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int make_m2p(struct hv_frame_pool *pool)
{
	size_t bytes = pool->m2p_entries * sizeof(uint64_t);

	pool->m2p_fd = memfd_create("paravane-m2p", MFD_CLOEXEC);
	if (pool->m2p_fd < 0)
		return -errno;
	if (ftruncate(pool->m2p_fd, (off_t)bytes))
		return -errno;
	pool->m2p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pool->m2p_fd, 0);
	if (pool->m2p == MAP_FAILED) {
		pool->m2p = NULL;
		return -errno;
	}
	return 0;
}

int hv_frames_machine_init(struct hv_frame_pool *pool, uint64_t max_frames)
{
	int rc;

	if (!max_frames || max_frames > MAX_FRAMES)
		return -EINVAL;
	memset(pool, 0, sizeof(*pool));
	pool->m2p_fd = -1;
	pool->first = FIRST_MFN;
	/* Every domain is rounded up to whole chunks and has shared frames beside its own. */
	pool->max = (max_frames + CHUNK - 1) / CHUNK * CHUNK + HV_MAX_DOMAINS * 2 * CHUNK;
	pool->m2p_entries = pool->first + pool->max;
	pthread_mutex_init(&pool->lock, NULL);
	pool->table = sparse(pool->max * sizeof(*pool->table));
	pool->chunks = calloc(pool->max / CHUNK, sizeof(struct hv_domain *));
	rc = pool->table && pool->chunks ? make_m2p(pool) : -ENOMEM;
	if (rc)
		hv_frames_machine_fini(pool);
	return rc;
}

void hv_frames_machine_fini(struct hv_frame_pool *pool)
{
	if (pool->m2p)
		munmap(pool->m2p, pool->m2p_entries * sizeof(uint64_t));
	if (pool->m2p_fd >= 0)
		close(pool->m2p_fd);
	if (pool->table)
		munmap(pool->table, pool->max * sizeof(*pool->table));
	free(pool->chunks);
	pthread_mutex_destroy(&pool->lock);
	memset(pool, 0, sizeof(*pool));
	pool->m2p_fd = -1;
}

/* A run of free chunks for nr frames; its first frame's offset in the pool, or NO_FRAME. */
static uint64_t take_chunks(struct hv_frame_pool *pool, struct hv_domain *d, uint64_t nr)
{
	uint64_t want = nr / CHUNK, run = 0, found = NO_FRAME;

	pthread_mutex_lock(&pool->lock);
	for (uint64_t i = 0; i < pool->max / CHUNK && found == NO_FRAME; i++) {
		run = pool->chunks[i] ? 0 : run + 1;
		if (run == want)
			found = i + 1 - want;
	}
	for (uint64_t i = 0; found != NO_FRAME && i < want; i++)
		__atomic_store_n(&pool->chunks[found + i], d, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&pool->lock);
	return found == NO_FRAME ? NO_FRAME : found * CHUNK;
}

static void drop_chunks(struct hv_frame_pool *pool, uint64_t offset, uint64_t nr)
{
	pthread_mutex_lock(&pool->lock);
	for (uint64_t i = offset / CHUNK; i < (offset + nr) / CHUNK; i++)
		__atomic_store_n(&pool->chunks[i], NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&pool->lock);
}

struct hv_domain *hv_frame_domain(struct hv_machine *m, mfn_t mfn)
{
	struct hv_frame_pool *pool = &m->pool;
	uint64_t i = mfn.n - pool->first;

	if (mfn.n < pool->first || i >= pool->max)
		return NULL;
	return __atomic_load_n(&pool->chunks[i / CHUNK], __ATOMIC_ACQUIRE);
}

void hv_m2p_set(struct hv_machine *m, mfn_t mfn, uint64_t pfn)
{
	if (mfn.n < m->pool.m2p_entries)
		__atomic_store_n(&m->pool.m2p[mfn.n], pfn, __ATOMIC_RELAXED);
}

/* ---- a domain's memory ------------------------------------------------------------------------ */

static bool is_used(const struct hv_domain_mem *mem, uint64_t off)
{
	return mem->used[off / WORD_BITS] >> off % WORD_BITS & 1;
}

static void set_used(struct hv_domain_mem *mem, uint64_t off, bool used)
{
	uint64_t bit = UINT64_C(1) << off % WORD_BITS;

	if (used)
		mem->used[off / WORD_BITS] |= bit;
	else
		mem->used[off / WORD_BITS] &= ~bit;
	if (!used && off < mem->hint)
		mem->hint = off;
}

static int map_memory(struct hv_domain_mem *mem)
{
	size_t bytes = mem->nr_frames << HV_PAGE_SHIFT;

	mem->memfd = memfd_create("paravane-domain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem->memfd < 0 || ftruncate(mem->memfd, (off_t)bytes))
		return -errno;
	/* Nobody who holds the descriptor may take pages away from under another. */
	if (fcntl(mem->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	mem->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, mem->memfd, 0);
	if (mem->base == MAP_FAILED) {
		mem->base = NULL;
		return -errno;
	}
	return 0;
}

static void release_memory(struct hv_domain_mem *mem)
{
	if (mem->base)
		munmap(mem->base, mem->nr_frames << HV_PAGE_SHIFT);
	if (mem->memfd >= 0)
		close(mem->memfd);
	free(mem->used);
	memset(mem, 0, sizeof(*mem));
	mem->memfd = -1;
}

int hv_frames_domain_init(struct hv_domain *d, uint64_t nr_pages, uint64_t max_pages)
{
	struct hv_frame_pool *pool = &d->machine->pool;
	struct hv_domain_mem *mem = &d->mem;
	uint64_t at;
	int rc;

	memset(mem, 0, sizeof(*mem));
	mem->memfd = -1;
	if (!nr_pages || nr_pages > max_pages || max_pages > pool->max)
		return -EINVAL;
	mem->nr_frames = (max_pages + HV_SHARED_FRAMES + CHUNK - 1) / CHUNK * CHUNK;
	mem->max_pages = max_pages;
	mem->tot_pages = nr_pages;
	mem->used = calloc(mem->nr_frames / WORD_BITS, sizeof(uint64_t));
	rc = mem->used ? map_memory(mem) : -ENOMEM;
	if (rc) {
		release_memory(mem);
		return rc;
	}
	for (uint64_t i = 0; i < nr_pages; i++)
		set_used(mem, i, true);
	mem->hint = nr_pages;
	at = take_chunks(pool, d, mem->nr_frames);
	if (at == NO_FRAME) {
		release_memory(mem);
		return -ENOMEM;
	}
	mem->first.n = pool->first + at;
	for (uint64_t i = nr_pages; i < mem->nr_frames; i++)
		hv_m2p_set(d->machine, (mfn_t){ mem->first.n + i }, ~UINT64_C(0));
	return 0;
}

void hv_frames_domain_fini(struct hv_domain *d)
{
	struct hv_frame_pool *pool = &d->machine->pool;
	struct hv_domain_mem *mem = &d->mem;
	uint64_t at = mem->first.n - pool->first, nr = mem->nr_frames;

	if (!mem->base)
		return;
	for (uint64_t i = 0; i < nr; i++) {
		/* Descriptors that were never filled in stay untouched. */
		if (pool->table[at + i].state != HV_FRAME_UNUSED)
			memset(&pool->table[at + i], 0, sizeof(pool->table[at + i]));
		if (is_used(mem, i))
			hv_m2p_set(d->machine, (mfn_t){ mem->first.n + i }, ~UINT64_C(0));
	}
	release_memory(mem);
	drop_chunks(pool, at, nr);
}

/* ---- single frames ---------------------------------------------------------------------------- */

bool hv_frame_in(const struct hv_domain *d, mfn_t mfn)
{
	return mfn.n - d->mem.first.n < d->mem.nr_frames;
}

uint64_t hv_frame_offset(const struct hv_domain *d, mfn_t mfn)
{
	HV_ASSERT(hv_frame_in(d, mfn));
	return (mfn.n - d->mem.first.n) << HV_PAGE_SHIFT;
}

static void fill_in(struct hv_frame *f, domid_t owner, enum hv_frame_state state)
{
	memset(f, 0, sizeof(*f));
	f->owner = owner;
	f->state = (uint8_t)state;
	f->ref_count = 1;
	f->allocated = true;
	if (state == HV_FRAME_SHARED) {
		/* Like Xen's own pages in a guest: writable for ever, so never a page table. */
		f->type = HV_TYPE_WRITABLE;
		f->type_count = 1;
		f->ref_count = 2;
	}
}

struct hv_frame *hv_frame_own(struct hv_domain *d, mfn_t mfn)
{
	struct hv_frame *f;

	if (!hv_frame_in(d, mfn) || !is_used(&d->mem, mfn.n - d->mem.first.n))
		return NULL;
	f = &d->machine->pool.table[mfn.n - d->machine->pool.first];
	if (f->state == HV_FRAME_UNUSED)
		fill_in(f, d->domid, HV_FRAME_GUEST);
	return f;
}

struct hv_frame *hv_frame_get(struct hv_machine *m, mfn_t mfn)
{
	struct hv_frame *f = NULL;
	struct hv_domain *d = hv_frame_domain(m, mfn);

	if (d)
		f = hv_frame_own(d, mfn);
	if (!f && mfn.n - m->pool.first < m->pool.max)
		f = &m->pool.table[mfn.n - m->pool.first];
	return f;
}

void *hv_frame_ptr(struct hv_domain *d, mfn_t mfn)
{
	uint64_t off = mfn.n - d->mem.first.n;

	if (!hv_frame_in(d, mfn) || !is_used(&d->mem, off))
		return NULL;
	return d->mem.base + (off << HV_PAGE_SHIFT);
}

static uint64_t lowest_free(struct hv_domain_mem *mem)
{
	for (uint64_t w = mem->hint / WORD_BITS; w < mem->nr_frames / WORD_BITS; w++) {
		if (~mem->used[w])
			return w * WORD_BITS + (unsigned)__builtin_ctzll(~mem->used[w]);
	}
	return NO_FRAME;
}

static uint64_t highest_free(const struct hv_domain_mem *mem)
{
	for (uint64_t w = mem->nr_frames / WORD_BITS; w-- > 0;) {
		if (~mem->used[w])
			return w * WORD_BITS + 63 - (unsigned)__builtin_clzll(~mem->used[w]);
	}
	return NO_FRAME;
}

static void start_use(struct hv_domain *d, uint64_t off, enum hv_frame_state state)
{
	struct hv_frame *f = &d->machine->pool.table[d->mem.first.n + off - d->machine->pool.first];

	set_used(&d->mem, off, true);
	fill_in(f, d->domid, state);
}

int hv_frame_alloc(struct hv_domain *d, enum hv_frame_state state, mfn_t *out)
{
	struct hv_domain_mem *mem = &d->mem;
	uint64_t off;

	if (state == HV_FRAME_GUEST && mem->tot_pages >= mem->max_pages)
		return -XEN_ENOMEM;
	off = state == HV_FRAME_GUEST ? lowest_free(mem) : highest_free(mem);
	if (off == NO_FRAME)
		return -XEN_ENOMEM;
	start_use(d, off, state);
	if (state == HV_FRAME_GUEST) {
		mem->tot_pages++;
		mem->hint = off + 1;
	}
	out->n = mem->first.n + off;
	return 0;
}

static bool all_free(const struct hv_domain_mem *mem, uint64_t off, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		if (is_used(mem, off + i))
			return false;
	}
	return true;
}

int hv_frame_alloc_extent(struct hv_domain *d, unsigned order, mfn_t *out)
{
	struct hv_domain_mem *mem = &d->mem;
	uint64_t nr = UINT64_C(1) << order, off;

	if (order == 0)
		return hv_frame_alloc(d, HV_FRAME_GUEST, out);
	if (order > 9 || nr > mem->max_pages || mem->tot_pages > mem->max_pages - nr)
		return -XEN_ENOMEM;
	/* mem.first is a multiple of 512, so an aligned offset is an aligned number. */
	for (off = mem->hint / nr * nr; off < mem->nr_frames; off += nr) {
		if (all_free(mem, off, nr))
			break;
	}
	if (off >= mem->nr_frames)
		return -XEN_ENOMEM;
	for (uint64_t i = 0; i < nr; i++)
		start_use(d, off + i, HV_FRAME_GUEST);
	mem->tot_pages += nr;
	out->n = mem->first.n + off;
	return 0;
}

void hv_frame_punch(struct hv_domain *d, mfn_t mfn, uint64_t nr)
{
	off_t at = (off_t)hv_frame_offset(d, mfn);

	if (fallocate(d->mem.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
	              (off_t)(nr << HV_PAGE_SHIFT)))
		memset(d->mem.base + at, 0, nr << HV_PAGE_SHIFT);
}

void hv_frame_set_used(struct hv_domain *d, mfn_t mfn, bool used)
{
	set_used(&d->mem, mfn.n - d->mem.first.n, used);
}

void hv_frame_free(struct hv_domain *d, mfn_t mfn)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	HV_ASSERT(f && f->state == HV_FRAME_GUEST && d->mem.tot_pages > 0);
	hv_frame_punch(d, mfn, 1);
	hv_m2p_set(d->machine, mfn, ~UINT64_C(0));
	memset(f, 0, sizeof(*f));
	set_used(&d->mem, mfn.n - d->mem.first.n, false);
	d->mem.tot_pages--;
}
