/* SPDX-License-Identifier: MIT */
/*
 * How changes of the guest's page tables reach what KVM and the processor keep of them.
 *
 * Two ways, and the probe finds out which one this host needs (probe.c):
 *   - the processor reads the guest's tables itself: its cache is flushed before the vCPU runs on,
 *   - KVM keeps copies (shadow pages). It takes note of a write that it emulates, so the shim writes
 *     nothing to a changed entry; and it forgets a page of memory that this process drops from its
 *     own mapping, which is cheaper and enough for an entry that maps a page.
 * New rights need nothing: who has none in a cache looks into the tables.
 *
 * A frame that is no table any more is forgotten as a whole, before it can become anything else: an
 * old copy must not come back with it when it is a table again.
 *
 * Invariant: what is queued here is in effect before sync() or retire() returns.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hypervisor-stub/engines/kvm/kvm.h"

#define PTE_P     UINT64_C(1)
#define PTE_FRAME UINT64_C(0x000ffffffffff000)

/* A miss that the tables allow is KVM's business; so many in a row at one place are a defect. */
#define MAX_MISSES 10000u

static uint64_t direct(const struct kv_domain *kd, uint64_t maddr)
{
	return kv_shim_direct(&kd->vm, maddr);
}

/* ---- touching ------------------------------------------------------------------------------------ */

/* Who may run the shim: the calling vCPU's own processor, which stands still, or the janitor. */
static struct kv_cpu *toucher(struct kv_domain *kd)
{
	struct kv_vcpu *kv = kv_current();

	if (kv && kv->kd == kd && !atomic_load(&kv->inside))
		return &kv->cpu;
	return &kd->janitor;
}

/* Lock: kd. A change that cannot be made known would break isolation: nothing else may go on. */
static void touch(struct kv_domain *kd, const uint64_t *maddr, unsigned nr, bool whole_table)
{
	uint64_t va[KV_MAX_TOUCH];
	unsigned done = 0;

	while (done < nr) {
		unsigned n = nr - done < KV_MAX_TOUCH ? nr - done : KV_MAX_TOUCH;

		for (unsigned i = 0; i < n; i++)
			va[i] = direct(kd, maddr[done + i]);
		HV_ASSERT(!kv_cpu_touch(toucher(kd), va, n, whole_table));
		done += n;
	}
}

void kv_touch_shim(struct kv_vcpu *kv, uint64_t va)
{
	if (kv->kd->vm.coherence == KV_BY_FLUSH) {
		kv->flush = true;
		return;
	}
	pthread_mutex_lock(&kv->kd->lock);
	HV_ASSERT(!kv_cpu_touch(&kv->cpu, &va, 1, false));
	pthread_mutex_unlock(&kv->kd->lock);
}

/* ---- dropping pages ------------------------------------------------------------------------------ */

static uint8_t *view_of(struct kv_domain *kd, uint64_t mfn)
{
	uint64_t first = kd->d->mem.first.n;

	if (mfn - first < kd->d->mem.nr_frames)
		return kd->base + ((mfn - first) << HV_PAGE_SHIFT);
	for (unsigned i = 0; i < kd->nr_foreign; i++) {
		const struct kv_foreign *f = &kd->foreign[i];

		first = f->owner->mem.first.n;
		if (f->uses && mfn - first < f->owner->mem.nr_frames)
			return f->base + ((mfn - first) << HV_PAGE_SHIFT);
	}
	return NULL;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted, each run of neighbours by one call. */
static void drop_frames(struct kv_domain *kd)
{
	uint64_t *f = kd->frame;
	unsigned n = kd->nr_frames, i = 0;

	if (n > 1)
		qsort(f, n, sizeof(*f), by_number);
	while (i < n) {
		uint8_t *at = view_of(kd, f[i]);
		unsigned last = i;

		while (last + 1 < n && f[last + 1] <= f[last] + 1 && at &&
		       view_of(kd, f[last + 1]) == at + ((f[last + 1] - f[i]) << HV_PAGE_SHIFT))
			last++;
		if (at)
			HV_ASSERT(
				!madvise(at, (f[last] - f[i] + 1) << HV_PAGE_SHIFT, MADV_DONTNEED));
		i = last + 1;
	}
	kd->nr_frames = 0;
}

/* ---- the queue ----------------------------------------------------------------------------------- */

/* Lock: kd. */
static void drain(struct kv_domain *kd)
{
	if (kd->nr_frames)
		drop_frames(kd);
	if (kd->nr_entries)
		touch(kd, kd->entry, kd->nr_entries, false);
	kd->nr_entries = 0;
	if (kd->nr_tables)
		touch(kd, kd->table, kd->nr_tables, true);
	kd->nr_tables = 0;
}

static void push(struct kv_domain *kd, uint64_t *queue, unsigned *nr, uint64_t what)
{
	for (unsigned i = *nr; i > 0 && i + 8 > *nr; i--) {
		if (queue[i - 1] == what)
			return;
	}
	if (*nr == KV_PENDING)
		drain(kd);
	queue[(*nr)++] = what;
}

uint64_t kv_entry_changed(struct hv_domain *d, const struct hv_entry_change *c)
{
	struct kv_domain *kd = kv_of(d);
	uint64_t entry = (c->table.n << HV_PAGE_SHIFT) + c->index * sizeof(uint64_t), seq;

	pthread_mutex_lock(&kd->lock);
	seq = ++kd->seq;
	if (kd->vm.coherence == KV_BY_TOUCH && (c->old & PTE_P)) {
		uint64_t mfn = (c->old & PTE_FRAME) >> HV_PAGE_SHIFT;

		if (c->level == 1 && view_of(kd, mfn))
			push(kd, kd->frame, &kd->nr_frames, mfn);
		else
			push(kd, kd->entry, &kd->nr_entries, entry);
	}
	pthread_mutex_unlock(&kd->lock);
	return seq;
}

uint64_t kv_table_gone(struct hv_domain *d, mfn_t table)
{
	struct kv_domain *kd = kv_of(d);
	uint64_t seq;

	pthread_mutex_lock(&kd->lock);
	seq = ++kd->seq;
	if (kd->vm.coherence == KV_BY_TOUCH)
		push(kd, kd->table, &kd->nr_tables, table.n << HV_PAGE_SHIFT);
	pthread_mutex_unlock(&kd->lock);
	return seq;
}

/* ---- flushing ------------------------------------------------------------------------------------ */

/* A vCPU that stays inside is kicked again after so many looks. */
#define LOOKS 200u

/*
 * A vCPU that enters the guest empties its cache when there were changes since it last did. One that
 * is inside is called out:
 *   1. the change raised `seq`, and here `inside` is read;
 *   2. a vCPU sets `inside`, then reads `seq`: either it sees the change, or we see it inside.
 */
static void flush_vcpus(struct hv_domain *d, uint32_t mask)
{
	const struct kv_vcpu *self = kv_current();
	uint64_t seq = atomic_load(&kv_of(d)->seq);

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct kv_vcpu *kv = d->vcpu[i] ? d->vcpu[i]->engine_priv : NULL;

		if (!kv || !(mask >> i & 1) || kv == self)
			continue;
		for (unsigned n = 0; atomic_load(&kv->inside) && atomic_load(&kv->flushed) < seq;
		     n++) {
			if (n % LOOKS == 0)
				kv_vcpu_kick(kv->v);
			sched_yield();
		}
	}
}

void kv_sync(struct hv_domain *d, uint32_t vcpu_mask)
{
	struct kv_domain *kd = kv_of(d);

	if (kd->vm.coherence == KV_BY_FLUSH) {
		flush_vcpus(d, vcpu_mask);
		return;
	}
	pthread_mutex_lock(&kd->lock);
	drain(kd);
	pthread_mutex_unlock(&kd->lock);
}

void kv_retire(struct hv_domain *d, uint64_t seq)
{
	(void)seq;
	kv_sync(d, UINT32_MAX);
}

/* ---- misses -------------------------------------------------------------------------------------- */

int kv_fill(struct hv_vcpu *v, const struct hv_run_map *run)
{
	struct kv_vcpu *kv = v->engine_priv;
	struct kv_domain *kd = kv->kd;

	/* Not a miss, but one that is expected: hardware has no old answer to forget. */
	if (!hv_mfn_same(run->root, hv_vcpu_root(v)))
		return 0;
	if (run->miss == kv->last_fault && v->regs.rip == kv->last_rip)
		kv->misses++;
	else
		kv->misses = 0;
	kv->last_fault = run->miss;
	kv->last_rip = v->regs.rip;
	if (kv->misses > MAX_MISSES)
		return -EIO;
	/* What KVM found was older than the tables: after this it looks again. */
	if (kd->vm.coherence == KV_BY_FLUSH) {
		kv->flush = true;
		return 0;
	}
	pthread_mutex_lock(&kd->lock);
	for (uint64_t i = 0; i < run->nr; i++) {
		if (run->va + (i << HV_PAGE_SHIFT) == run->miss && view_of(kd, run->mfn.n + i))
			push(kd, kd->frame, &kd->nr_frames, run->mfn.n + i);
	}
	drain(kd);
	pthread_mutex_unlock(&kd->lock);
	return 0;
}

/* ---- other domains' frames ----------------------------------------------------------------------- */

static struct kv_foreign *foreign_of(struct kv_domain *kd, const struct hv_domain *owner)
{
	for (unsigned i = 0; i < kd->nr_foreign; i++) {
		if (kd->foreign[i].owner == owner && kd->foreign[i].uses)
			return &kd->foreign[i];
	}
	return NULL;
}

int kv_foreign_begin(struct hv_domain *d, struct hv_domain *owner)
{
	struct kv_domain *kd = kv_of(d);
	struct kv_foreign *f;
	int rc = 0;

	pthread_mutex_lock(&kd->lock);
	f = foreign_of(kd, owner);
	if (f) {
		f->uses++;
		goto out;
	}
	for (unsigned i = 0; i < KV_MAX_FOREIGN && !f; i++) {
		if (!kd->foreign[i].uses)
			f = &kd->foreign[i];
	}
	rc = -ENOSPC;
	if (f)
		rc = kv_map_memory(kd, KV_MEM_FOREIGN + (unsigned)(f - kd->foreign), owner,
		                   &f->base);
	if (rc)
		goto out;
	f->owner = owner;
	f->uses = 1;
	if (kd->nr_foreign <= (unsigned)(f - kd->foreign))
		kd->nr_foreign = (unsigned)(f - kd->foreign) + 1;
out:
	pthread_mutex_unlock(&kd->lock);
	return rc;
}

void kv_foreign_end(struct hv_domain *d, struct hv_domain *owner)
{
	struct kv_domain *kd = kv_of(d);
	struct kv_foreign *f;

	pthread_mutex_lock(&kd->lock);
	f = foreign_of(kd, owner);
	HV_ASSERT(f);
	if (--f->uses == 0) {
		drain(kd);
		kv_unmap_memory(kd, KV_MEM_FOREIGN + (unsigned)(f - kd->foreign), owner, f->base);
		f->owner = NULL;
	}
	pthread_mutex_unlock(&kd->lock);
}
