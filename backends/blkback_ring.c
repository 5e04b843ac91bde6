/* SPDX-License-Identifier: MIT */
/*
 * The shared ring of a queue, whose pages are apart from each other here.
 *
 * Invariant: of what lies in shared memory only req_prod, rsp_event and the requests are read, each
 * once. The consumer index and the index of responses are ours; what the front-end does to its copy
 * of them hurts only itself.
 */
#include <errno.h>
#include <string.h>

#include "backends/blkback_priv.h"

#define RING_HEAD  offsetof(struct blkif_sring, ring)
#define ENTRY_SIZE sizeof(union blkif_sring_entry)

static struct blkif_sring *shared(const struct blk_ring *r)
{
	return r->page[0].ptr;
}

static uint32_t largest_power_of_two(uint32_t n)
{
	while (n & (n - 1))
		n &= n - 1;
	return n;
}

static uint8_t *at(const struct blk_ring *r, size_t offset)
{
	return (uint8_t *)r->page[offset / BLKBACK_PAGE].ptr + offset % BLKBACK_PAGE;
}

static size_t entry(const struct blk_ring *r, uint32_t index)
{
	return RING_HEAD + (size_t)(index & (r->nr_ents - 1)) * ENTRY_SIZE;
}

/*
 * A ring that was used before goes on where its responses end. Requests may lie there only when all
 * that was taken has been answered (clean): answers do not come in order, and they lie in the slots of
 * requests, so otherwise we cannot know which were.
 */
static int take_up(struct blk_ring *r, bool clean)
{
	uint32_t rsp = PV_ABI_RING_GET(shared(r)->rsp_prod);
	uint32_t waiting = PV_ABI_RING_GET(shared(r)->req_prod) - rsp;

	if (waiting > r->nr_ents || (rsp && waiting && !clean))
		return -EINVAL;
	r->req_cons = r->rsp_pushed = rsp;
	atomic_store(&r->rsp_prod, rsp);
	return 0;
}

bool blk_ring_is_clean(const struct blk_ring *r)
{
	return atomic_load(&r->rsp_prod) == r->req_cons;
}

int blk_ring_attach(struct blk_ring *r, const struct be_host_dev *host, const grant_ref_t *refs,
                    unsigned nr_pages, bool clean, grant_ref_t *bad)
{
	int rc = 0;

	memset(r, 0, sizeof(*r));
	while (!rc && r->nr_pages < nr_pages) {
		*bad = refs[r->nr_pages];
		rc = host->ops->map(host->arg, *bad, false, &r->page[r->nr_pages]);
		r->nr_pages += !rc;
	}
	if (!rc) {
		r->nr_ents = largest_power_of_two(
			(uint32_t)((nr_pages * BLKBACK_PAGE - RING_HEAD) / ENTRY_SIZE));
		rc = take_up(r, clean);
	}
	if (rc)
		blk_ring_detach(r, host);
	return rc;
}

void blk_ring_detach(struct blk_ring *r, const struct be_host_dev *host)
{
	while (r->nr_pages)
		host->ops->unmap(host->arg, &r->page[--r->nr_pages]);
}

uint32_t blk_ring_waiting(const struct blk_ring *r, uint32_t *prod)
{
	uint32_t rsp;

	/* Pairs with the front-end's barrier between a request and its index. */
	*prod = __atomic_load_n(&shared(r)->req_prod, __ATOMIC_ACQUIRE);
	/*
	 * Read after req_prod: an honest front-end has seen the responses that made room for its
	 * requests, so this value cannot be older than what it went by. In flight is at most
	 * nr_ents then, so the difference to req_cons is, too.
	 */
	rsp = atomic_load_explicit(&r->rsp_prod, memory_order_acquire);
	if (*prod - rsp > r->nr_ents || *prod - r->req_cons > r->nr_ents)
		return UINT32_MAX;
	return *prod - r->req_cons;
}

void blk_ring_take(struct blk_ring *r, struct blkif_request *rq)
{
	size_t offset = entry(r, r->req_cons), first = BLKBACK_PAGE - offset % BLKBACK_PAGE;

	if (first >= sizeof(*rq)) {
		memcpy(rq, at(r, offset), sizeof(*rq));
	} else {
		memcpy(rq, at(r, offset), first);
		memcpy((uint8_t *)rq + first, at(r, offset + first), sizeof(*rq) - first);
	}
	/* The compiler must not read the ring again where the copy is used. */
	__asm__ volatile("" ::: "memory");
	r->req_cons++;
}

bool blk_ring_final_check(struct blk_ring *r)
{
	uint32_t prod;

	if (blk_ring_waiting(r, &prod))
		return true;
	PV_ABI_RING_SET(shared(r)->req_event, r->req_cons + 1);
	/* Pairs with the front-end's barrier between its store of req_prod and load of req_event. */
	xen_mb();
	return blk_ring_waiting(r, &prod) != 0;
}

void blk_ring_answer(struct blk_ring *r, const struct blk_answer *a)
{
	uint32_t index = atomic_load_explicit(&r->rsp_prod, memory_order_relaxed);
	struct blkif_response rsp;

	memset(&rsp, 0, sizeof(rsp)); /* nothing of ours in the bytes between */
	rsp.id = a->id;
	rsp.operation = a->operation;
	rsp.status = a->status;
	/* An entry is aligned to 16 bytes, so a response lies in one page. */
	memcpy(at(r, entry(r, index)), &rsp, sizeof(rsp));
	atomic_store_explicit(&r->rsp_prod, index + 1, memory_order_release);
}

bool blk_ring_push(struct blk_ring *r)
{
	uint32_t now = atomic_load_explicit(&r->rsp_prod, memory_order_relaxed);
	uint32_t before = r->rsp_pushed;

	if (now == before)
		return false;
	r->rsp_pushed = now;
	/* Pairs with the front-end's barrier between its load of rsp_prod and of a response. */
	__atomic_store_n(&shared(r)->rsp_prod, now, __ATOMIC_RELEASE);
	/* Pairs with the one between its store of rsp_event and its last look at rsp_prod. */
	xen_mb();
	return now - PV_ABI_RING_GET(shared(r)->rsp_event) < now - before;
}
