/* SPDX-License-Identifier: MIT */
/*
 * See fake_vcpu.h.
 */
#include "tests/fake/fake_vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"

#define PTE_P    1u
#define PTE_W    2u
#define PTE_U    4u
#define L1_SLOT  (FAKE_PAGES)       /* entry that maps the L1 table itself */
#define ARG_PAGE (FAKE_VA + 0x3000) /* where fake_call_with() puts its structure */

struct fake_vcpu {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool kicked;
};

/* ---- the engine ----------------------------------------------------------------------------- */

static struct fake_guest *guest_of(const struct hv_domain *d)
{
	return d->toolstack_priv;
}

static int probe(char *why, size_t why_len)
{
	(void)why;
	(void)why_len;
	return 0;
}

static int check_range(uint64_t lo, uint64_t hi, char *why, size_t why_len)
{
	(void)lo;
	(void)hi;
	return probe(why, why_len);
}

static uint64_t m2p_address(const struct hv_domain *d)
{
	(void)d;
	return 0;
}

static int domain_create(struct hv_domain *d)
{
	(void)d;
	return 0;
}

static void domain_destroy(struct hv_domain *d)
{
	(void)d;
}

static void fill_hypercall_page(struct hv_domain *d, uint8_t page[HV_PAGE_SIZE])
{
	(void)d;
	memset(page, 0xcc, HV_PAGE_SIZE);
}

static int vcpu_create(struct hv_vcpu *v)
{
	struct fake_vcpu *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->cond, &attr);
	pthread_condattr_destroy(&attr);
	v->engine_priv = f;
	return 0;
}

static void vcpu_destroy(struct hv_vcpu *v)
{
	struct fake_vcpu *f = v->engine_priv;

	pthread_cond_destroy(&f->cond);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* Waits for a kick or the vCPU's deadline. */
static void wait_for_core(struct hv_vcpu *v)
{
	struct fake_vcpu *f = v->engine_priv;
	uint64_t ns = hv_vcpu_deadline(v);
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	while (!f->kicked && rc != ETIMEDOUT) {
		if (ns == UINT64_MAX)
			pthread_cond_wait(&f->cond, &f->lock);
		else
			rc = pthread_cond_timedwait(&f->cond, &f->lock, &ts);
	}
	f->kicked = false;
	pthread_mutex_unlock(&f->lock);
}

void fake_run_until_stopped(struct hv_vcpu *v)
{
	/* What a kick says that came before we looked is seen here. */
	while (!hv_vcpu_upcall_due(v)) {
		wait_for_core(v);
		if (hv_vcpu_tick(v))
			return;
	}
}

static int vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
	struct fake_guest *g = guest_of(v->domain);

	exit->kind = HV_EXIT_KICKED;
	atomic_fetch_add(&g->runs[v->id], 1);
	if (g->script[v->id])
		g->script[v->id](v, exit, g->arg[v->id]);
	else
		fake_run_until_stopped(v);
	return 0;
}

static void vcpu_kick(struct hv_vcpu *v)
{
	struct fake_vcpu *f = v->engine_priv;
	struct fake_guest *g = guest_of(v->domain);

	if (g)
		atomic_fetch_add(&g->kicks[v->id], 1);
	pthread_mutex_lock(&f->lock);
	f->kicked = true;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

static void vcpu_reset_fpu(struct hv_vcpu *v)
{
	struct fake_guest *g = guest_of(v->domain);

	if (g)
		memset(g->fpu[v->id], 0, sizeof(g->fpu[v->id]));
}

static void vcpu_set_fpu(struct hv_vcpu *v, const uint8_t image[512])
{
	struct fake_guest *g = guest_of(v->domain);

	if (g)
		memcpy(g->fpu[v->id], image, sizeof(g->fpu[v->id]));
}

static int fill(struct hv_vcpu *v, const struct hv_run_map *run)
{
	(void)v;
	(void)run;
	return 0;
}

static uint64_t entry_changed(struct hv_domain *d, const struct hv_entry_change *c)
{
	static atomic_uint_least64_t seq;

	(void)d;
	(void)c;
	return atomic_fetch_add(&seq, 1) + 1;
}

static void sync_vcpus(struct hv_domain *d, uint32_t vcpu_mask)
{
	(void)d;
	(void)vcpu_mask;
}

static void retire(struct hv_domain *d, uint64_t seq)
{
	(void)d;
	(void)seq;
}

static void root_gone(struct hv_domain *d, mfn_t root)
{
	(void)d;
	(void)root;
}

static uint64_t local_hypercalls(const struct hv_vcpu *v, unsigned nr)
{
	(void)v;
	(void)nr;
	return 0;
}

const struct hv_engine fake_vcpu_engine = {
	.name = "fake",
	.probe = probe,
	.check_range = check_range,
	.m2p_address = m2p_address,
	.domain_create = domain_create,
	.domain_destroy = domain_destroy,
	.fill_hypercall_page = fill_hypercall_page,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_run = vcpu_run,
	.vcpu_kick = vcpu_kick,
	.vcpu_reset_fpu = vcpu_reset_fpu,
	.vcpu_set_fpu = vcpu_set_fpu,
	.fill = fill,
	.entry_changed = entry_changed,
	.sync = sync_vcpus,
	.retire = retire,
	.root_gone = root_gone,
	.local_hypercalls = local_hypercalls,
};

/* ---- the guest ------------------------------------------------------------------------------ */

static void must(bool ok)
{
	if (!ok)
		abort();
}

static mfn_t take_frame(struct fake_guest *g, uint64_t *next)
{
	for (;; (*next)++) {
		mfn_t mfn = { g->d->mem.first.n + *next };
		const struct hv_frame *f = hv_frame_get(g->m, mfn);

		must(f && *next < g->d->mem.nr_frames);
		if (f->state == HV_FRAME_GUEST) {
			(*next)++;
			return mfn;
		}
	}
}

static uint64_t *table(struct fake_guest *g, mfn_t mfn)
{
	return hv_frame_ptr(g->d, mfn);
}

static uint64_t entry(mfn_t mfn, uint64_t flags)
{
	return mfn.n << HV_PAGE_SHIFT | flags;
}

static void make_tables(struct fake_guest *g)
{
	uint64_t next = 0;
	mfn_t l4 = take_frame(g, &next), l3 = take_frame(g, &next), l2 = take_frame(g, &next);

	g->root = l4;
	g->l1 = take_frame(g, &next);
	table(g, l4)[FAKE_VA >> 39 & 511] = entry(l3, PTE_P | PTE_W | PTE_U);
	table(g, l3)[FAKE_VA >> 30 & 511] = entry(l2, PTE_P | PTE_W | PTE_U);
	table(g, l2)[FAKE_VA >> 21 & 511] = entry(g->l1, PTE_P | PTE_W | PTE_U);
	for (unsigned i = 0; i < FAKE_PAGES; i++) {
		g->page[i] = take_frame(g, &next);
		table(g, g->l1)[i] = entry(g->page[i], PTE_P | PTE_W | PTE_U);
	}
	table(g, g->l1)[L1_SLOT] = entry(g->l1, PTE_P | PTE_U);
}

static void on_end(struct hv_domain *d, void *arg)
{
	struct fake_guest *g = arg;

	(void)d;
	atomic_fetch_add(&g->ended, 1);
}

void fake_vcpu_prepare(struct fake_guest *g, unsigned n)
{
	struct hv_vcpu *v = g->d->vcpu[n];

	hv_domain_lock(g->d);
	must(!hv_vcpu_set_root(v, g->root));
	must(!hv_vcpu_set_user_root(v, g->root));
	hv_domain_unlock(g->d);
	v->regs.rip = FAKE_VA;
	v->regs.rsp = FAKE_STACK - 0x108; /* aligned to 8 bytes only */
	v->regs.rflags = 0x202;
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
	v->traps.kernel_sp = FAKE_STACK;
	v->traps.kernel_ss = FLAT_KERNEL_SS;
	v->traps.event.va = FAKE_HANDLER(256);
	v->traps.failsafe.va = FAKE_HANDLER(257);
	v->traps.syscall.va = FAKE_HANDLER(258);
	for (unsigned i = 0; i < 256; i++)
		v->traps.trap[i] = (struct trap_info){ .vector = (uint8_t)i,
			                               .cs = FLAT_KERNEL_CS,
			                               .address = FAKE_HANDLER(i) };
	v->is_initialised = true;
}

static void make_domain(struct fake_guest *g, unsigned nr_vcpus)
{
	struct hv_domain_config c = { .name = "fake",
		                      .nr_pages = FAKE_PAGES + 16,
		                      .nr_vcpus = nr_vcpus };

	must(!hv_domain_create(g->m, &c, &g->d));
	g->d->toolstack_priv = g;
	g->d->on_end = on_end;
	g->d->on_end_arg = g;
	g->v = g->d->vcpu[0];
	make_tables(g);
	fake_vcpu_prepare(g, 0);
}

void fake_guest_make(struct fake_guest *g, unsigned nr_vcpus)
{
	memset(g, 0, sizeof(*g));
	must(!hv_machine_create(&g->m, &fake_vcpu_engine, 65536));
	make_domain(g, nr_vcpus);
}

void fake_guest_join(struct fake_guest *g, struct fake_guest *first, unsigned nr_vcpus)
{
	memset(g, 0, sizeof(*g));
	g->m = first->m;
	make_domain(g, nr_vcpus);
}

void fake_guest_destroy(struct fake_guest *g)
{
	hv_domain_destroy(g->d);
	for (unsigned i = 0; i < HV_MAX_DOMAINS; i++)
		if (g->m->domains[i])
			return;
	hv_machine_destroy(g->m);
}

void *fake_ptr(struct fake_guest *g, uint64_t va)
{
	uint64_t page = (va - FAKE_VA) / HV_PAGE_SIZE;

	must(va >= FAKE_VA && page < FAKE_PAGES);
	return (uint8_t *)hv_frame_ptr(g->d, g->page[page]) + va % HV_PAGE_SIZE;
}

uint64_t fake_l1_va(void)
{
	return FAKE_VA + L1_SLOT * HV_PAGE_SIZE;
}

/* ---- calls ---------------------------------------------------------------------------------- */

int64_t fake_call(struct hv_vcpu *v, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct hv_exit exit;

	fake_exit_hypercall(v, &exit, nr, a0, a1, a2);
	hv_hypercall_dispatch(v);
	return (int64_t)v->regs.rax;
}

int64_t fake_call_with(struct hv_vcpu *v, uint64_t nr, uint64_t cmd, void *arg, size_t len)
{
	void *there = fake_ptr(guest_of(v->domain), ARG_PAGE);
	int64_t rc;

	memcpy(there, arg, len);
	rc = fake_call(v, nr, cmd, ARG_PAGE, 0);
	memcpy(arg, there, len);
	return rc;
}

void fake_exit_hypercall(struct hv_vcpu *v, struct hv_exit *exit, uint64_t nr, uint64_t a0,
                         uint64_t a1, uint64_t a2)
{
	exit->kind = HV_EXIT_HYPERCALL;
	v->regs.rax = nr;
	v->regs.rdi = a0;
	v->regs.rsi = a1;
	v->regs.rdx = a2;
}

bool fake_wait(atomic_int *p, int value)
{
	for (int i = 0; i < 10000 && atomic_load(p) != value; i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	return atomic_load(p) == value;
}
