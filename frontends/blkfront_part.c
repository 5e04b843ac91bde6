/* SPDX-License-Identifier: MIT */
/*
 * One ring entry of the block front-end: from a piece of a request to segments and grants, and back.
 *
 * Data is granted where it lies, for the time of the entry; or, when grants persist, copied through
 * pages that the back-end keeps mapped. A list of segments (indirect descriptors) lies in a page
 * that stays granted; without copies read-only for the back-end, so that it can be read back here.
 *
 * Invariant: a reference in q->refs grants nothing.
 */
#include "abi/errno.h"
#include "frontends/blkfront.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"

/* ---- references, pages, parts ---------------------------------------------------------------- */

static bool have_refs(struct blkfront_queue *q, unsigned n)
{
	while (q->nr_refs < n) {
		if (pv_gnttab_take(&q->refs[q->nr_refs]))
			return false;
		q->nr_refs++;
	}
	return true;
}

static void put_ref(struct blkfront_queue *q, grant_ref_t ref)
{
	if (q->nr_refs < BLKFRONT_REF_CACHE)
		q->refs[q->nr_refs++] = ref;
	else
		pv_gnttab_give(ref);
}

/* A page more for a use, which keeps it: it goes into that use's list when it is free. */
static uint16_t make_page(struct blkfront_queue *q, enum pv_grant_access access)
{
	unsigned n = q->nr_pages, table = n / BLKFRONT_PAGES_PER_PAGE;
	struct blkfront_page page = { .next = BLKFRONT_NONE };

	if (table >= BLKFRONT_PAGE_PAGES)
		return BLKFRONT_NONE;
	if (!q->page_page[table])
		q->page_page[table] = pv_page_alloc();
	if (!q->page_page[table])
		return BLKFRONT_NONE;
	page.va = pv_page_alloc();
	if (!page.va)
		return BLKFRONT_NONE;
	memset(page.va, 0, PV_PAGE_SIZE); /* nothing that lay there before is for the back-end */
	if (pv_gnttab_grant(q->front->bus.otherend_id, pv_virt_to_mfn(page.va), access,
	                    &page.ref)) {
		pv_page_free(page.va);
		return BLKFRONT_NONE;
	}
	*blkfront_page(q, n) = page;
	q->nr_pages++;
	return (uint16_t)n;
}

static uint16_t get_page(struct blkfront_queue *q, uint16_t *unused, enum pv_grant_access access)
{
	uint16_t n = *unused;

	if (n == BLKFRONT_NONE)
		return make_page(q, access);
	*unused = blkfront_page(q, n)->next;
	return n;
}

static void put_page(struct blkfront_queue *q, uint16_t *unused, uint16_t n)
{
	blkfront_page(q, n)->next = *unused;
	*unused = n;
}

unsigned blkfront_drop_pages(struct blkfront_queue *q)
{
	unsigned n, held = 0;

	for (n = 0; n < q->nr_pages; n++) {
		struct blkfront_page *page = blkfront_page(q, n);

		if (pv_gnttab_revoke(page->ref))
			held++; /* the page is lost with its grant */
		else
			pv_page_free(page->va);
	}
	for (n = 0; n < BLKFRONT_PAGE_PAGES; n++) {
		if (q->page_page[n])
			pv_page_free(q->page_page[n]);
		q->page_page[n] = NULL;
	}
	q->nr_pages = 0;
	q->free_list = q->free_copy = BLKFRONT_NONE;
	while (q->nr_refs)
		pv_gnttab_give(q->refs[--q->nr_refs]);
	return held;
}

/* ---- a place in a request's memory ----------------------------------------------------------- */

struct place {
	const struct blkdev_req *req;
	uint32_t seg, offset;
};

/* The piece at the place that lies in one page: its address and length. */
static uint32_t piece_at(const struct place *p, void **va)
{
	const struct blkdev_seg *seg = &p->req->segs[p->seg];
	uintptr_t at = (uintptr_t)seg->va + p->offset;
	uint32_t left = seg->len - p->offset;
	uint32_t in_page = (uint32_t)(PV_PAGE_SIZE - at % PV_PAGE_SIZE);

	*va = (void *)at;
	return left < in_page ? left : in_page;
}

static void go_on(struct place *p, uint32_t bytes)
{
	p->offset += bytes;
	if (p->offset == p->req->segs[p->seg].len) {
		p->seg++;
		p->offset = 0;
	}
}

/* How many pieces, and bytes in them, the next part will have. */
static unsigned measure(struct place p, unsigned max, uint32_t sector_size, uint32_t *bytes)
{
	unsigned nr = 0;
	void *va;

	*bytes = 0;
	while (nr < max && p.seg < p.req->nr_segs) {
		uint32_t n = piece_at(&p, &va);

		*bytes += n;
		go_on(&p, n);
		nr++;
	}
	*bytes -= *bytes % sector_size;
	return nr;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* A page for the copy of a piece, added to the part's chain behind `last`. */
static uint16_t add_copy(struct blkfront_queue *q, struct blkfront_part *part, uint16_t last)
{
	uint16_t n = get_page(q, &q->free_copy, PV_GRANT_RW);

	if (n == BLKFRONT_NONE)
		return n;
	blkfront_page(q, n)->next = BLKFRONT_NONE;
	if (last == BLKFRONT_NONE)
		part->copies = n;
	else
		blkfront_page(q, last)->next = n;
	return n;
}

static void put_copies(struct blkfront_queue *q, struct blkfront_part *part)
{
	uint16_t n, next;

	for (n = part->copies; n != BLKFRONT_NONE; n = next) {
		next = blkfront_page(q, n)->next;
		put_page(q, &q->free_copy, n);
	}
	part->copies = BLKFRONT_NONE;
}

/* As many pages for copies as there are pieces. */
static bool get_copies(struct blkfront_queue *q, struct blkfront_part *part, unsigned nr)
{
	uint16_t last = BLKFRONT_NONE;

	while (nr--) {
		last = add_copy(q, part, last);
		if (last == BLKFRONT_NONE) {
			put_copies(q, part);
			return false;
		}
	}
	return true;
}

/*
 * Linux's back-end maps all that persists for writing, lists too (and refuses what it may only read).
 * Then a list cannot be read back; nor need it be, for there are copies.
 */
static enum pv_grant_access list_access(const struct blkfront_queue *q)
{
	return q->front->terms.persistent ? PV_GRANT_RW : PV_GRANT_RO;
}

/* Everything that a part of nr pieces needs, before anything is written. */
static bool provide(struct blkfront_queue *q, struct blkfront_part *part, unsigned nr)
{
	part->list = part->copies = BLKFRONT_NONE;
	if (nr > BLKFRONT_DIRECT) {
		part->list = get_page(q, &q->free_list, list_access(q));
		if (part->list == BLKFRONT_NONE)
			return false;
	}
	if (q->front->terms.persistent ? get_copies(q, part, nr) : have_refs(q, nr))
		return true;
	if (part->list != BLKFRONT_NONE)
		put_page(q, &q->free_list, part->list);
	return false;
}

static grant_ref_t share(struct blkfront_queue *q, const struct blkdev_req *req, void *va)
{
	grant_ref_t ref = q->refs[--q->nr_refs];

	pv_gnttab_set(ref, q->front->bus.otherend_id, pv_virt_to_mfn(va),
	              req->op == BLKDEV_WRITE ? PV_GRANT_RO : PV_GRANT_RW);
	return ref;
}

/* Writes the segments of the part's pieces; returns how many. */
static unsigned write_segments(struct blkfront_queue *q, struct blkfront_part *part,
                               struct place *p, uint32_t bytes, struct blkif_request_segment *seg)
{
	uint16_t copy = part->copies;
	unsigned nr = 0;

	while (bytes) {
		void *va;
		uint32_t n = piece_at(p, &va), at;
		grant_ref_t ref;

		if (n > bytes)
			n = bytes;
		at = (uint32_t)((uintptr_t)va % PV_PAGE_SIZE);
		if (copy == BLKFRONT_NONE) {
			ref = share(q, p->req, va);
		} else {
			struct blkfront_page *page = blkfront_page(q, copy);

			if (p->req->op == BLKDEV_WRITE)
				memcpy((char *)page->va + at, va, n);
			ref = page->ref;
			copy = page->next;
		}
		if (part->list == BLKFRONT_NONE)
			part->ref[nr] = ref;
		seg[nr].gref = ref;
		seg[nr].first_sect = (uint8_t)(at / BLKDEV_SECTOR);
		seg[nr].last_sect = (uint8_t)((at + n) / BLKDEV_SECTOR - 1);
		nr++;
		bytes -= n;
		go_on(p, n);
	}
	return nr;
}

static void write_transfer(struct blkfront_queue *q, struct blkfront_part *part, unsigned id,
                           struct blkif_request *rq, struct place *p, uint32_t bytes)
{
	const struct blkdev_req *req = p->req;
	uint8_t op = req->op == BLKDEV_WRITE ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	uint64_t sector = req->sector + req->dev.sent;

	if (part->list == BLKFRONT_NONE) {
		part->nr_segs = (uint16_t)write_segments(q, part, p, bytes, rq->seg);
		rq->operation = op;
		rq->nr_segments = (uint8_t)part->nr_segs;
		rq->handle = 0;
		rq->id = id;
		rq->sector_number = sector;
	} else {
		struct blkif_request_indirect *ind = (void *)rq;
		struct blkfront_page *list = blkfront_page(q, part->list);

		part->nr_segs = (uint16_t)write_segments(q, part, p, bytes, list->va);
		ind->operation = BLKIF_OP_INDIRECT;
		ind->indirect_op = op;
		ind->nr_segments = part->nr_segs;
		ind->id = id;
		ind->sector_number = sector;
		ind->handle = 0;
		ind->indirect_grefs[0] = list->ref;
	}
}

static void write_other(const struct blkfront *f, const struct blkdev_req *req, unsigned id,
                        struct blkif_request *rq)
{
	struct blkif_request_discard *d = (void *)rq;

	if (req->op == BLKDEV_DISCARD) {
		d->operation = BLKIF_OP_DISCARD;
		d->flag = 0;
		d->handle = 0;
		d->id = id;
		d->sector_number = req->sector;
		d->nr_sectors = req->nr_sectors;
	} else {
		rq->operation = f->terms.flush ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;
		rq->nr_segments = 0;
		rq->handle = 0;
		rq->id = id;
		rq->sector_number = 0;
	}
}

enum blkfront_sent blkfront_send_part(struct blkfront_queue *q, struct blkdev_req *req)
{
	struct place p = { req, req->dev.seg, req->dev.offset };
	bool transfers = req->op <= BLKDEV_WRITE;
	uint16_t id = q->free_part;
	struct blkfront_part *part;
	struct blkif_request *rq;
	uint32_t bytes = 0;
	unsigned nr = 0;

	if (id == BLKFRONT_NONE || RING_FULL(&q->ring))
		return BLKFRONT_NO_ROOM;
	part = blkfront_part(q, id);
	if (transfers)
		nr = measure(p, q->front->terms.max_segments, q->front->terms.sector_size, &bytes);
	if (!provide(q, part, nr))
		return BLKFRONT_NO_MEMORY;
	q->free_part = part->next;
	part->req = req;
	part->seg = req->dev.seg;
	part->offset = req->dev.offset;
	part->bytes = bytes;
	part->nr_segs = 0;
	rq = RING_GET_REQUEST(&q->ring, q->ring.req_prod_pvt);
	if (transfers)
		write_transfer(q, part, id, rq, &p, bytes);
	else
		write_other(q->front, req, id, rq);
	q->ring.req_prod_pvt++;
	q->stats.parts++;
	req->dev.seg = p.seg;
	req->dev.offset = p.offset;
	req->dev.sent = transfers ? req->dev.sent + bytes / BLKDEV_SECTOR : req->nr_sectors;
	req->dev.parts++;
	return BLKFRONT_SENT;
}

/* ---- taking back ----------------------------------------------------------------------------- */

/* From the copies to where the caller wants what was read. */
static void deliver_copies(struct blkfront_queue *q, const struct blkfront_part *part)
{
	struct place p = { part->req, part->seg, part->offset };
	uint32_t left = part->bytes, len;
	uint16_t n;
	void *va;

	for (n = part->copies; left; n = blkfront_page(q, n)->next, left -= len) {
		len = piece_at(&p, &va);
		if (len > left)
			len = left;
		memcpy(va, (char *)blkfront_page(q, n)->va + (uintptr_t)va % PV_PAGE_SIZE, len);
		go_on(&p, len);
	}
}

/* A reference that has been taken back is 0 in its place: 0 is never ours. */
static bool end_grant(struct blkfront_queue *q, grant_ref_t *place)
{
	if (!*place)
		return true;
	if (!pv_gnttab_clear(*place))
		return false;
	put_ref(q, *place);
	*place = 0;
	return true;
}

static bool end_grants(struct blkfront_queue *q, struct blkfront_part *part)
{
	struct blkif_request_segment *seg;
	bool ended = true;
	unsigned i;

	if (part->list == BLKFRONT_NONE) {
		for (i = 0; i < part->nr_segs; i++)
			ended &= end_grant(q, &part->ref[i]);
	} else {
		seg = blkfront_page(q, part->list)->va;
		for (i = 0; i < part->nr_segs; i++)
			ended &= end_grant(q, &seg[i].gref);
	}
	return ended;
}

bool blkfront_take_part(struct blkfront_queue *q, unsigned id, bool ok)
{
	struct blkfront_part *part = blkfront_part(q, id);

	if (part->copies != BLKFRONT_NONE) {
		if (ok && part->req->op == BLKDEV_READ)
			deliver_copies(q, part);
		put_copies(q, part);
	} else if (!end_grants(q, part)) {
		return false;
	}
	if (part->list != BLKFRONT_NONE)
		put_page(q, &q->free_list, part->list);
	part->req = NULL;
	part->next = q->free_part;
	q->free_part = (uint16_t)id;
	return true;
}
