/* SPDX-License-Identifier: MIT */
/*
 * A machine with one domain for tests of an engine, without the core: guest memory is a memfd, the
 * guest's page tables are a list of runs, and a miss is answered from that list.
 *
 * It defines the functions that an engine calls in the core, so it is included by exactly one file
 * of a program.
 */
#ifndef TESTS_FAKE_ENGINE_WORLD_H
#define TESTS_FAKE_ENGINE_WORLD_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/hv.h"

#define WORLD_FRAMES    4096u
#define WORLD_FIRST_MFN 1536u
#define WORLD_MAX_RUNS  512
#define WORLD_VCPUS     4

#define WORLD_CODE      0x100000u /* guest code, one page per blob */
#define WORLD_HCALL     0x200000u /* hypercall page */
#define WORLD_STACK     0x300000u /* 16 pages; the stack starts at their end */
#define WORLD_DATA      0x400000u /* 64 pages, writable */

/*
 * Guest code: what is written here is copied into guest memory (world_code()), so it may name
 * absolute addresses and labels of its own only. WORLD_CALL: hypercall nr by the hypercall page.
 */
#define WORLD_BLOB(name, text)                  \
	extern const char name[], name##_end[]; \
	__asm__(".section .rodata\n.balign 16\n" #name ":\n" text "\n" #name "_end:\n.previous\n")
#define WORLD_CALL(nr) " mov $0x200000 + 32 * " #nr ", %r11\n call *%r11\n"

struct world {
	struct hv_machine machine;
	struct hv_domain domain;
	struct hv_vcpu vcpu[WORLD_VCPUS];
	struct hv_run_map run[WORLD_MAX_RUNS];
	unsigned nr_runs;
	uint64_t next_frame;
	unsigned nr_fills;
	atomic_uint nr_ticks;
	_Atomic uint64_t deadline;
	atomic_bool stop_at_tick;
	uint64_t code_next;              /* where the next blob goes */
	uint64_t shared_from, shared_to; /* what all roots translate by the same tables */
};

static struct world *the_world;
static atomic_uint world_logs; /* lines so far */

/* ---- what the core would do ------------------------------------------------------------------- */

uint64_t hv_vcpu_deadline(const struct hv_vcpu *v)
{
	(void)v;
	return atomic_load(&the_world->deadline);
}

bool hv_vcpu_tick(struct hv_vcpu *v)
{
	(void)v;
	atomic_fetch_add(&the_world->nr_ticks, 1);
	return atomic_load(&the_world->stop_at_tick);
}

bool hv_vcpu_upcall_due(const struct hv_vcpu *v)
{
	return v->info && v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask;
}

bool hv_roots_share(const struct hv_domain *d, mfn_t a, mfn_t b, uint64_t va, uint64_t *end)
{
	bool shared = va >= the_world->shared_from && va < the_world->shared_to;

	(void)d;
	*end = shared ? the_world->shared_to : (va & ~UINT64_C(0x1fffff)) + 0x200000;
	return shared || hv_mfn_same(a, b);
}

uint64_t hv_frame_offset(const struct hv_domain *d, mfn_t mfn)
{
	return (mfn.n - d->mem.first.n) * HV_PAGE_SIZE;
}

void hv_log(const struct hv_domain *d, const char *fmt, ...)
{
	va_list ap;

	(void)d;
	atomic_fetch_add(&world_logs, 1);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

_Noreturn void hv_bug(const char *expr, const char *file, int line)
{
	fprintf(stderr, "bug: %s (%s:%d)\n", expr, file, line);
	abort();
}

/* ---- setting up -------------------------------------------------------------------------------- */

static inline uint8_t *world_frame(struct world *w, mfn_t mfn)
{
	return w->domain.mem.base + hv_frame_offset(&w->domain, mfn);
}

static inline mfn_t world_alloc(struct world *w, uint64_t nr)
{
	mfn_t m = { w->next_frame };

	w->next_frame += nr;
	HV_ASSERT(w->next_frame <= WORLD_FIRST_MFN + WORLD_FRAMES);
	return m;
}

/* Adds a translation; frames are made when mfn is HV_MFN_NONE. Returns the first frame. */
static inline mfn_t world_map(struct world *w, mfn_t root, uint64_t va, uint64_t nr, mfn_t mfn,
                              const char *rights)
{
	HV_ASSERT(w->nr_runs < WORLD_MAX_RUNS);
	if (hv_mfn_is_none(mfn))
		mfn = world_alloc(w, nr);
	w->run[w->nr_runs++] = (struct hv_run_map){ .root = root,
		                                    .va = va,
		                                    .nr = nr,
		                                    .mfn = mfn,
		                                    .writable = strchr(rights, 'w') != NULL,
		                                    .executable = strchr(rights, 'x') != NULL };
	return mfn;
}

static inline struct hv_run_map *world_find(struct world *w, mfn_t root, uint64_t va)
{
	for (unsigned i = w->nr_runs; i-- > 0;) {
		struct hv_run_map *r = &w->run[i];

		if (hv_mfn_same(r->root, root) && va >= r->va && va - r->va < r->nr * HV_PAGE_SIZE)
			return r;
	}
	return NULL;
}

static inline uint8_t *world_at(struct world *w, mfn_t root, uint64_t va)
{
	struct hv_run_map *r = world_find(w, root, va);

	return r ? world_frame(w, r->mfn) + (va - r->va) : NULL;
}

/* The usual regions under a root. */
static inline void world_layout(struct world *w, mfn_t root)
{
	mfn_t hcall;

	world_map(w, root, WORLD_CODE, 16, HV_MFN_NONE, "x");
	hcall = world_map(w, root, WORLD_HCALL, 1, HV_MFN_NONE, "x");
	world_map(w, root, WORLD_STACK, 16, HV_MFN_NONE, "w");
	world_map(w, root, WORLD_DATA, 64, HV_MFN_NONE, "w");
	w->machine.engine->fill_hypercall_page(&w->domain, world_frame(w, hcall));
}

/* Puts machine code under a root; returns its guest address. */
static inline uint64_t world_code(struct world *w, mfn_t root, const char *from, const char *to)
{
	uint64_t va = w->code_next;

	memcpy(world_at(w, root, va), from, (size_t)(to - from));
	w->code_next += ((uint64_t)(to - from) + 15) & ~UINT64_C(15);
	return va;
}

static inline void world_enter_at(struct world *w, unsigned i, uint64_t rip)
{
	struct hv_vcpu *v = &w->vcpu[i];

	memset(&v->regs, 0, sizeof(v->regs));
	v->regs.rip = rip;
	v->regs.rsp = WORLD_STACK + 16 * HV_PAGE_SIZE;
	v->regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
	v->in_kernel = true;
}

static inline struct world *world_create(const struct hv_engine *engine)
{
	struct world *w = calloc(1, sizeof(*w));
	struct hv_domain *d = &w->domain;

	the_world = w;
	atomic_store(&w->deadline, UINT64_MAX);
	w->machine.engine = engine;
	w->machine.clock.tsc_is_usable = true;
	w->machine.pool.m2p_entries = WORLD_FIRST_MFN + WORLD_FRAMES;
	w->machine.pool.m2p_fd = memfd_create("m2p", MFD_CLOEXEC);
	HV_ASSERT(!ftruncate(w->machine.pool.m2p_fd, (off_t)w->machine.pool.m2p_entries * 8));
	d->machine = &w->machine;
	d->domid = 1;
	d->nr_vcpus = WORLD_VCPUS;
	d->mem.memfd = memfd_create("guest", MFD_CLOEXEC);
	HV_ASSERT(!ftruncate(d->mem.memfd, WORLD_FRAMES * HV_PAGE_SIZE));
	d->mem.base = mmap(NULL, WORLD_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
	                   d->mem.memfd, 0);
	HV_ASSERT(d->mem.base != MAP_FAILED);
	d->mem.first.n = WORLD_FIRST_MFN;
	d->mem.nr_frames = WORLD_FRAMES;
	w->next_frame = WORLD_FIRST_MFN;
	w->code_next = WORLD_CODE;
	pthread_mutex_init(&d->lock, NULL);
	d->shared_info_mfn = world_alloc(w, 1);
	d->shared_info = (struct shared_info *)(void *)world_frame(w, d->shared_info_mfn);
	HV_ASSERT(engine->domain_create(d) == 0);
	for (unsigned i = 0; i < WORLD_VCPUS; i++) {
		struct hv_vcpu *v = &w->vcpu[i];

		v->domain = d;
		v->id = i;
		v->root_kernel = world_alloc(w, 1);
		v->root_user = HV_MFN_NONE;
		v->in_kernel = true;
		v->info = &d->shared_info->vcpu_info[i];
		v->info_mfn = d->shared_info_mfn;
		v->info_offset = i * (unsigned)sizeof(struct vcpu_info);
		d->vcpu[i] = v;
		HV_ASSERT(engine->vcpu_create(v) == 0);
	}
	return w;
}

static inline void world_destroy(struct world *w)
{
	for (unsigned i = 0; i < WORLD_VCPUS; i++)
		w->machine.engine->vcpu_destroy(&w->vcpu[i]);
	w->machine.engine->domain_destroy(&w->domain);
	munmap(w->domain.mem.base, WORLD_FRAMES * HV_PAGE_SIZE);
	close(w->domain.mem.memfd);
	close(w->machine.pool.m2p_fd);
	free(w);
}

/* Answers a page fault from the list; false when it is the guest's own. */
static inline bool world_miss(struct world *w, unsigned i, const struct hv_exit *e)
{
	struct hv_run_map *r;
	int rc = 0;

	if (e->kind != HV_EXIT_EXCEPTION || e->vector != 14)
		return false;
	pthread_mutex_lock(&w->domain.lock);
	r = world_find(w, hv_vcpu_root(&w->vcpu[i]), e->cr2);
	if (r && (r->writable || !(e->error_code & 2)) &&
	    (r->executable || !(e->error_code & 16))) {
		w->nr_fills++;
		r->miss = e->cr2 & ~(uint64_t)(HV_PAGE_SIZE - 1);
		rc = w->machine.engine->fill(&w->vcpu[i], r);
		HV_ASSERT(rc == 0);
	} else {
		r = NULL;
	}
	pthread_mutex_unlock(&w->domain.lock);
	return r != NULL;
}

/* Runs until something happens that is no miss. Returns what vcpu_run() returned. */
static inline int world_run(struct world *w, unsigned i, struct hv_exit *e)
{
	int rc;

	do {
		rc = w->machine.engine->vcpu_run(&w->vcpu[i], e);
	} while (rc == 0 && world_miss(w, i, e));
	if (e->kind == HV_EXIT_KICKED)
		atomic_store(&w->deadline, UINT64_MAX); /* what was due is done */
	return rc;
}

#endif
