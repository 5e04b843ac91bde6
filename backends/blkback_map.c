/* SPDX-License-Identifier: MIT */
/*
 * Granted pages of a queue.
 *
 * With persistent grants a page stays mapped from its first use to the end of the connection, and is
 * found by its reference in a table of two levels: two loads instead of a look into the guest's grant
 * table under the domain's lock. Without them a page is mapped for its request and unmapped before
 * the response, so that the front-end may take its grant back then. There is no cache between the two:
 * a page that is still mapped is a grant that its owner cannot end.
 *
 * Invariant: each page that map() gave is in the table or in exactly one job, and given back once.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/blkback_priv.h"

/* Where a persistent mapping of ref is or will be; NULL: not kept (out of range, no memory). */
static struct be_page *place(struct blk_queue *q, grant_ref_t ref)
{
	uint32_t chunk = ref / BLK_PER_CHUNK;

	if (!q->b->persistent || chunk >= BLK_CHUNKS)
		return NULL;
	if (!q->chunk[chunk])
		q->chunk[chunk] = calloc(BLK_PER_CHUNK, sizeof(struct be_page));
	return q->chunk[chunk] ? &q->chunk[chunk][ref % BLK_PER_CHUNK] : NULL;
}

/*
 * The first use. Always with leave to write, whatever the request: the next one with the same page
 * may go the other way. A chunk for a reference that is not granted costs the guest's tables nothing,
 * but us 16 KiB: so first the mapping, then the place.
 */
static struct be_page *keep(struct blk_queue *q, grant_ref_t ref)
{
	const struct be_host_dev *h = &q->b->host;
	struct be_page page, *p;

	if (ref / BLK_PER_CHUNK >= BLK_CHUNKS || h->ops->map(h->arg, ref, false, &page))
		return NULL;
	p = place(q, ref);
	if (!p) {
		h->ops->unmap(h->arg, &page);
		return NULL;
	}
	*p = page;
	blk_count(&q->served.grants_mapped, 1);
	blk_count(&q->served.grants_persistent, 1);
	return p;
}

static struct be_page *find(struct blk_queue *q, grant_ref_t ref)
{
	uint32_t chunk = ref / BLK_PER_CHUNK;

	if (chunk < BLK_CHUNKS && q->chunk[chunk] && q->chunk[chunk][ref % BLK_PER_CHUNK].ptr)
		return &q->chunk[chunk][ref % BLK_PER_CHUNK];
	return keep(q, ref);
}

int blk_map(struct blk_queue *q, grant_ref_t ref, bool readonly, struct be_page *own, bool *is_own,
            void **ptr)
{
	const struct be_host_dev *h = &q->b->host;
	struct be_page *kept = q->b->persistent ? find(q, ref) : NULL;
	int rc;

	*is_own = !kept;
	if (kept) {
		*ptr = kept->ptr;
		return 0;
	}
	rc = h->ops->map(h->arg, ref, readonly, own);
	if (rc)
		return rc;
	blk_count(&q->served.grants_mapped, 1);
	*ptr = own->ptr;
	return 0;
}

int blk_fetch_segments(struct blk_queue *q, const struct blkif_request_indirect *rq, unsigned nr)
{
	const struct be_host_dev *h = &q->b->host;
	const unsigned per_page = BLKBACK_PAGE / sizeof(struct blkif_request_segment);

	for (unsigned i = 0; i < nr; i += per_page) {
		unsigned n = nr - i < per_page ? nr - i : per_page;
		grant_ref_t ref = rq->indirect_grefs[i / per_page];
		struct be_page *kept = q->b->persistent ? find(q, ref) : NULL;
		size_t len = n * sizeof(struct blkif_request_segment);
		int rc;

		if (kept) {
			memcpy(q->segments + i, kept->ptr, len);
			__asm__ volatile("" ::: "memory");
			continue;
		}
		rc = h->ops->copy(h->arg, ref, 0, q->segments + i, (unsigned)len, false);
		if (rc)
			return rc;
	}
	return 0;
}

void blk_unmap_job(struct blk_job *job)
{
	const struct be_host_dev *h = &job->q->b->host;

	while (job->nr_pages)
		h->ops->unmap(h->arg, &job->page[--job->nr_pages]);
}

void blk_unmap_persistent(struct blk_queue *q)
{
	const struct be_host_dev *h = &q->b->host;

	for (unsigned c = 0; c < BLK_CHUNKS; c++) {
		for (unsigned i = 0; q->chunk[c] && i < BLK_PER_CHUNK; i++) {
			if (q->chunk[c][i].ptr)
				h->ops->unmap(h->arg, &q->chunk[c][i]);
		}
		free(q->chunk[c]);
		q->chunk[c] = NULL;
	}
}
