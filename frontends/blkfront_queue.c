/* SPDX-License-Identifier: MIT */
/*
 * The memory of a queue of the block front-end, and its event channel.
 *
 * The pages of a ring lie anywhere and are mapped in a row in the window, where they stay until the
 * device is closed, so that whoever glances at the ring without a lock finds one. A page that the
 * back-end does not let go of is replaced, and lost.
 *
 * Invariant: memory that a late call of the event handler may look at, on another vCPU, stays what
 * it is: a queue's page is never given back, but kept for the next device (blkfront_xs.c).
 */
#include "abi/errno.h"
#include "frontends/blkfront.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define RING_PTE (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY)

/* ---- parts ----------------------------------------------------------------------------------- */

/* All of them free, in a list; those whose pages the back-end holds are not there any more. */
static int make_parts(struct blkfront_queue *q, unsigned nr)
{
	unsigned i;

	for (i = 0; i * BLKFRONT_PARTS_PER_PAGE < nr; i++) {
		if (!q->part_page[i])
			q->part_page[i] = pv_page_alloc();
		if (!q->part_page[i])
			return -XEN_ENOMEM;
	}
	q->free_part = BLKFRONT_NONE;
	for (i = nr; i-- > 0;) {
		struct blkfront_part *part = blkfront_part(q, i);

		part->req = NULL;
		part->next = q->free_part;
		q->free_part = (uint16_t)i;
	}
	return 0;
}

/* ---- the ring -------------------------------------------------------------------------------- */

static int place_page(struct blkfront_queue *q, unsigned n)
{
	void *page = pv_page_alloc();
	int rc;

	if (!page)
		return -XEN_ENOMEM;
	rc = pv_mmu_map_frame(q->window + n * PV_PAGE_SIZE, pv_virt_to_mfn(page), RING_PTE);
	if (rc) {
		pv_page_free(page);
		return rc;
	}
	q->ring_page[n] = page;
	return 0;
}

static int make_ring(struct blkfront_queue *q, unsigned pages)
{
	struct blkif_sring *sring;
	int rc = 0;

	if (!q->window)
		q->window = pv_mmu_window(BLKFRONT_MAX_PAGES);
	if (!q->window)
		return -XEN_ENOMEM;
	for (q->nr_ring_pages = 0; q->nr_ring_pages < pages; q->nr_ring_pages++) {
		unsigned n = q->nr_ring_pages;

		if (!q->ring_page[n])
			rc = place_page(q, n);
		if (!rc) {
			memset(q->ring_page[n], 0, PV_PAGE_SIZE);
			rc = pv_gnttab_grant(q->front->bus.otherend_id,
			                     pv_virt_to_mfn(q->ring_page[n]), PV_GRANT_RW,
			                     &q->ring_ref[n]);
		}
		if (rc)
			return rc;
	}
	sring = (struct blkif_sring *)q->window;
	XEN_FRONT_RING_INIT(&q->ring, sring, pages * PV_PAGE_SIZE);
	sring->rsp_event = 0; /* nobody needs events yet */
	q->pushed = 0;
	return 0;
}

static void drop_ring(struct blkfront_queue *q)
{
	while (q->nr_ring_pages) {
		unsigned n = --q->nr_ring_pages;

		if (!pv_gnttab_revoke(q->ring_ref[n]))
			continue;
		pv_log("%s: a page of the ring stays in use by the other side and is lost\n",
		       q->front->bus.name);
		q->ring_page[n] = NULL; /* still mapped, until another takes its place */
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct blkfront_queue *make_queue(struct blkfront *f)
{
	struct blkfront_queue *q = pv_page_alloc();

	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->front = f;
	q->free_list = q->free_copy = BLKFRONT_NONE;
	return q;
}

static int make_port(struct blkfront_queue *q, uint32_t cpu)
{
	int rc = pv_evtchn_alloc_unbound(q->front->bus.otherend_id, blkfront_event, q, &q->port);

	if (rc)
		q->port = 0;
	else if (cpu != pv_cpu()->id)
		rc = pv_evtchn_set_cpu(q->port, cpu);
	return rc;
}

int blkfront_queue_up(struct blkfront *f, unsigned n, uint32_t cpu)
{
	unsigned pages = 1u << f->terms.order;
	int rc;

	if (!f->queue[n])
		f->queue[n] = make_queue(f);
	if (!f->queue[n])
		return -XEN_ENOMEM;
	if (f->nr_queues <= n)
		f->nr_queues = n + 1;
	rc = make_ring(f->queue[n], pages);
	if (!rc)
		rc = make_parts(f->queue[n], RING_SIZE(&f->queue[n]->ring));
	if (!rc)
		rc = make_port(f->queue[n], cpu);
	return rc;
}

void blkfront_queue_open(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);

	q->is_retired = false;
	q->is_masked = false;
	q->idle_events = 0;
	q->is_up = true;
	pv_spin_unlock_irq(&q->lock, irq);
}

void blkfront_queue_stop(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);

	q->is_up = false;
	pv_spin_unlock_irq(&q->lock, irq);
}

void blkfront_queue_down(struct blkfront_queue *q)
{
	if (q->port)
		pv_evtchn_close(q->port);
	q->port = 0;
	drop_ring(q);
}

void blkfront_queue_free(struct blkfront_queue *q)
{
	unsigned n;

	for (n = 0; n < BLKFRONT_MAX_PAGES; n++) {
		if (!q->ring_page[n])
			continue;
		pv_mmu_map_frame(q->window + n * PV_PAGE_SIZE, 0, 0);
		pv_page_free(q->ring_page[n]);
		q->ring_page[n] = NULL;
	}
	for (n = 0; n < BLKFRONT_PART_PAGES; n++) {
		if (q->part_page[n])
			pv_page_free(q->part_page[n]);
		q->part_page[n] = NULL;
	}
	if (blkfront_drop_pages(q))
		pv_log("%s: pages stay in use by the other side and are lost\n",
		       q->front->bus.name);
}
