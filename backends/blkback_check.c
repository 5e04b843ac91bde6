/* SPDX-License-Identifier: MIT */
/*
 * Whether a request makes sense: a function of the private copy and of what the device allows, with
 * nothing shared in it.
 *
 * Invariant: what passes lies on the disk, consists of whole blocks, and each of its segments lies in
 * its page; no sum of the guest's numbers is used before it is known not to overflow.
 */
#include <string.h>

#include "backends/blkback_priv.h"

_Static_assert(sizeof(struct blkif_request_discard) <= sizeof(struct blkif_request), "overlay");
_Static_assert(sizeof(struct blkif_request_indirect) <= sizeof(struct blkif_request), "overlay");

static int16_t refuse(struct blk_want *want, int16_t status, const char *why)
{
	want->complaint = why;
	return status;
}

/* Sectors of the ring into bytes; false: more than can be. */
static bool to_bytes(const struct blk_limits *l, uint64_t sectors, uint64_t *bytes)
{
	if (sectors > UINT64_MAX >> l->unit_shift)
		return false;
	*bytes = sectors << l->unit_shift;
	return true;
}

bool blk_check_range(const struct blk_limits *l, uint64_t offset, uint64_t len)
{
	uint64_t bytes = atomic_load_explicit(&l->bytes, memory_order_relaxed);

	return len <= bytes && offset <= bytes - len && !((offset | len) & (l->block - 1));
}

bool blk_check_segment(const struct blk_limits *l, const struct blkif_request_segment *seg,
                       unsigned *offset, unsigned *len)
{
	if (seg->first_sect > seg->last_sect || seg->last_sect >= BLKBACK_PAGE >> l->unit_shift)
		return false;
	*offset = (unsigned)seg->first_sect << l->unit_shift;
	*len = (unsigned)(seg->last_sect - seg->first_sect + 1) << l->unit_shift;
	return true;
}

static int16_t check_data(const struct blk_limits *l, struct blk_want *want, unsigned nr,
                          unsigned most, uint64_t sector)
{
	want->nr_segments = nr;
	if (want->write && l->readonly)
		return refuse(want, BLKIF_RSP_ERROR, "write to a read-only disk");
	if (nr > most || (!nr && want->kind == BLK_DATA))
		return refuse(want, BLKIF_RSP_ERROR, "impossible number of segments");
	/* A flush without data has no place. */
	if (nr && !to_bytes(l, sector, &want->offset))
		return refuse(want, BLKIF_RSP_ERROR, "sector beyond the end");
	return BLKIF_RSP_OKAY;
}

static int16_t check_indirect(const struct blk_limits *l, const struct blkif_request *rq,
                              struct blk_want *want)
{
	struct blkif_request_indirect in;

	memcpy(&in, rq, sizeof(in));
	/* Whoever sent it looks for the operation that is inside. */
	want->operation = in.indirect_op;
	want->indirect = true;
	if (in.indirect_op != BLKIF_OP_READ && in.indirect_op != BLKIF_OP_WRITE)
		return refuse(want, BLKIF_RSP_ERROR,
		              "indirect operation other than read and write");
	want->write = in.indirect_op == BLKIF_OP_WRITE;
	return check_data(l, want, in.nr_segments, BLKBACK_MAX_SEGMENTS, in.sector_number);
}

static int16_t check_discard(const struct blk_limits *l, const struct blkif_request *rq,
                             struct blk_want *want)
{
	struct blkif_request_discard d;

	memcpy(&d, rq, sizeof(d));
	want->kind = BLK_DISCARD;
	want->write = true;
	if (!l->can_discard)
		return refuse(want, BLKIF_RSP_EOPNOTSUPP, NULL);
	/* Copies may lie anywhere below us, so nobody here can promise that all are destroyed. */
	if (d.flag & BLKIF_DISCARD_SECURE)
		return refuse(want, BLKIF_RSP_EOPNOTSUPP, NULL);
	if (!to_bytes(l, d.sector_number, &want->offset) ||
	    !to_bytes(l, d.nr_sectors, &want->len) || !blk_check_range(l, want->offset, want->len))
		return refuse(want, BLKIF_RSP_ERROR, "discard beyond the end");
	return BLKIF_RSP_OKAY;
}

int16_t blk_check_head(const struct blk_limits *l, const struct blkif_request *rq,
                       struct blk_want *want)
{
	*want = (struct blk_want){ .operation = rq->operation };
	switch (rq->operation) {
	case BLKIF_OP_READ:
		break;
	case BLKIF_OP_WRITE:
		want->write = true;
		break;
	case BLKIF_OP_WRITE_BARRIER:
	case BLKIF_OP_FLUSH_DISKCACHE:
		if (!l->can_flush)
			return refuse(want, BLKIF_RSP_EOPNOTSUPP, NULL);
		want->kind = rq->operation == BLKIF_OP_WRITE_BARRIER ? BLK_BARRIER : BLK_FLUSH;
		want->write = rq->nr_segments != 0;
		break;
	case BLKIF_OP_DISCARD:
		return check_discard(l, rq, want);
	case BLKIF_OP_INDIRECT:
		return check_indirect(l, rq, want);
	default:
		return refuse(want, BLKIF_RSP_EOPNOTSUPP, "unknown operation");
	}
	return check_data(l, want, rq->nr_segments, BLKIF_MAX_SEGMENTS_PER_REQUEST,
	                  rq->sector_number);
}
