/* SPDX-License-Identifier: MIT */
/*
 * A front-end of blkif for tests; blk_front.h tells what it does.
 */
#include "tests/fake/blk_front.h"

#include <stdio.h>
#include <string.h>

static void publish_queue(struct blk_front *b, unsigned i)
{
	struct blk_front_queue *q = &b->q[i];
	unsigned nr_pages = 1u << b->order, first = i * nr_pages;
	char node[64], folder[24] = "";

	if (b->nr_queues > 1)
		snprintf(folder, sizeof(folder), "queue-%u/", i);
	q->port = 1 + i;
	b->f->port[q->port].offered = true;
	q->sring = be_fake_page(b->f, first);
	XEN_FRONT_RING_INIT(&q->ring, q->sring, (size_t)nr_pages * BE_FAKE_PAGE);
	for (unsigned p = 0; p < nr_pages; p++) {
		snprintf(node, sizeof(node), b->order ? "%sring-ref%u" : "%sring-ref", folder, p);
		be_fake_setn(b->f, BE_FRONT, node, blk_front_ref(first + p));
	}
	snprintf(node, sizeof(node), "%sevent-channel", folder);
	be_fake_setn(b->f, BE_FRONT, node, q->port);
}

void blk_front_publish(struct blk_front *b, struct be_fake *f, unsigned nr_queues, unsigned order)
{
	b->f = f;
	b->nr_queues = nr_queues;
	b->order = order;
	b->data_page = nr_queues << order;
	memset(b->q, 0, sizeof(b->q));
	for (unsigned p = 0; p < f->nr_pages && blk_front_ref(p) < f->nr_grants; p++)
		be_fake_grant(f, blk_front_ref(p), p, false);
	for (unsigned i = 0; i < nr_queues; i++)
		publish_queue(b, i);
	if (nr_queues > 1)
		be_fake_setn(f, BE_FRONT, "multi-queue-num-queues", nr_queues);
	if (order)
		be_fake_setn(f, BE_FRONT, "ring-page-order", order);
	be_fake_setn(f, BE_FRONT, "feature-persistent", b->persistent);
	if (b->large_sectors)
		be_fake_setn(f, BE_FRONT, "feature-large-sector-size", 1);
	be_fake_set(f, BE_FRONT, "protocol", "x86_64-abi");
	be_fake_setn(f, BE_FRONT, "state", 3);
}

struct blkif_request *blk_front_next(struct blk_front *b, unsigned queue, uint64_t id)
{
	struct blkif_front_ring *r = &b->q[queue].ring;
	struct blkif_request *rq = RING_GET_REQUEST(r, r->req_prod_pvt++);

	memset(rq, 0, sizeof(*rq));
	rq->id = id;
	return rq;
}

static void whole_page(struct blk_front *b, struct blkif_request_segment *seg, unsigned page)
{
	seg->gref = blk_front_ref(b->data_page + page);
	seg->first_sect = 0;
	seg->last_sect = b->large_sectors ? 0 : 7;
}

void blk_front_rw(struct blk_front *b, unsigned queue, uint64_t id, uint8_t op, uint64_t sector,
                  unsigned page, unsigned nr)
{
	struct blkif_request *rq = blk_front_next(b, queue, id);

	rq->operation = op;
	rq->nr_segments = (uint8_t)nr;
	rq->sector_number = sector;
	for (unsigned i = 0; i < nr; i++)
		whole_page(b, &rq->seg[i], page + i);
}

void blk_front_indirect(struct blk_front *b, unsigned queue, uint64_t id, uint8_t op,
                        uint64_t sector, unsigned page, unsigned nr, unsigned list)
{
	struct blkif_request_indirect *in = (void *)blk_front_next(b, queue, id);
	struct blkif_request_segment *seg = blk_front_data(b, list);

	in->operation = BLKIF_OP_INDIRECT;
	in->indirect_op = op;
	in->nr_segments = (uint16_t)nr;
	in->id = id;
	in->sector_number = sector;
	for (unsigned i = 0; i * 512 < nr && i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
		in->indirect_grefs[i] = blk_front_ref(b->data_page + list + i);
	for (unsigned i = 0; i < nr; i++)
		whole_page(b, &seg[i], page + i);
}

bool blk_front_push(struct blk_front *b, unsigned queue, bool always)
{
	struct blk_front_queue *q = &b->q[queue];
	bool wanted;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->ring, wanted);
	if (wanted || always)
		be_fake_send(b->f, q->port);
	return wanted;
}

unsigned blk_front_poll(struct blk_front *b, unsigned queue)
{
	struct blk_front_queue *q = &b->q[queue];
	unsigned n = 0;
	bool more;

	do {
		RING_IDX prod = __atomic_load_n(&q->sring->rsp_prod, __ATOMIC_ACQUIRE);

		/* The test has written into the ring. */
		if (prod - q->ring.rsp_cons > RING_SIZE(&q->ring))
			q->ring.rsp_cons = prod;
		for (; q->ring.rsp_cons != prod; q->ring.rsp_cons++, n++) {
			struct blkif_response *r = RING_GET_RESPONSE(&q->ring, q->ring.rsp_cons);
			unsigned slot = r->id % BLK_FRONT_SLOTS;

			q->status[slot] = r->status;
			q->operation[slot] = r->operation;
			q->answered[slot]++;
		}
		RING_FINAL_CHECK_FOR_RESPONSES(&q->ring, more);
	} while (more);
	return n;
}
