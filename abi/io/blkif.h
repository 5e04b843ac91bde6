/* SPDX-License-Identifier: MIT */
/*
 * The block protocol: entries of a ring (abi/io/ring.h) between blkfront and blkback. What is agreed
 * through xenstore before the first request is in docs/split-drivers.md.
 *
 * Units: a sector is 512 bytes, unless the front-end has written feature-large-sector-size: then it
 * is the back-end's sector-size, in every field named here.
 *
 * Invariant: each request gets exactly one response with its id; responses come in any order.
 */
#ifndef ABI_IO_BLKIF_H
#define ABI_IO_BLKIF_H

#include "abi/base.h"
#include "abi/grant_table.h"
#include "abi/io/ring.h"

/* blkif_request.operation; those after WRITE need the feature that the back-end's directory names */
#define BLKIF_OP_READ                        0
#define BLKIF_OP_WRITE                       1
#define BLKIF_OP_WRITE_BARRIER               2 /* feature-barrier */
#define BLKIF_OP_FLUSH_DISKCACHE             3 /* feature-flush-cache: all that was answered is durable */
#define BLKIF_OP_RESERVED_1                  4
#define BLKIF_OP_DISCARD                     5 /* feature-discard; struct blkif_request_discard */
#define BLKIF_OP_INDIRECT                    6 /* struct blkif_request_indirect */

#define BLKIF_MAX_SEGMENTS_PER_REQUEST       11
#define BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST 8

/* blkif_request_discard.flag: destroy all copies; needs discard-secure */
#define BLKIF_DISCARD_SECURE (1 << 0)

/* blkif_response.status */
#define BLKIF_RSP_EOPNOTSUPP -2 /* the operation is not known here */
#define BLKIF_RSP_ERROR      -1
#define BLKIF_RSP_OKAY       0

/* Bits of the back-end's node "info" */
#define VDISK_CDROM     0x1
#define VDISK_REMOVABLE 0x2
#define VDISK_READONLY  0x4

#ifndef __ASSEMBLY__

#define blkif_vdev_t   uint16_t
#define blkif_sector_t uint64_t

/* A part of one page: sectors first_sect to last_sect, both included, counted from its start. */
struct blkif_request_segment {
	grant_ref_t gref;
	uint8_t first_sect, last_sect;
};

struct blkif_request {
	uint8_t operation;            /* BLKIF_OP_* */
	uint8_t nr_segments;          /* at most BLKIF_MAX_SEGMENTS_PER_REQUEST */
	blkif_vdev_t handle;          /* virtual device; not used by the back-end */
	uint64_t id;                  /* the front-end's, echoed */
	blkif_sector_t sector_number; /* of the disk, where the first segment goes */
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
typedef struct blkif_request blkif_request_t;

struct blkif_request_discard {
	uint8_t operation; /* BLKIF_OP_DISCARD */
	uint8_t flag;      /* BLKIF_DISCARD_SECURE or 0 */
	blkif_vdev_t handle;
	uint64_t id;
	blkif_sector_t sector_number;
	uint64_t nr_sectors;
};
typedef struct blkif_request_discard blkif_request_discard_t;

/* The segments lie in granted pages, 512 in each. */
struct blkif_request_indirect {
	uint8_t operation;   /* BLKIF_OP_INDIRECT */
	uint8_t indirect_op; /* BLKIF_OP_READ or BLKIF_OP_WRITE */
	uint16_t nr_segments;
	uint64_t id;
	blkif_sector_t sector_number;
	blkif_vdev_t handle;
	grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};
typedef struct blkif_request_indirect blkif_request_indirect_t;

struct blkif_response {
	uint64_t id;       /* of the request */
	uint8_t operation; /* of the request */
	int16_t status;    /* BLKIF_RSP_* */
};
typedef struct blkif_response blkif_response_t;

DEFINE_RING_TYPES(blkif, struct blkif_request, struct blkif_response);

PV_ABI_SIZE(struct blkif_request_segment, 8);
PV_ABI_FIELD(struct blkif_request_segment, first_sect, 4);
PV_ABI_FIELD(struct blkif_request_segment, last_sect, 5);
PV_ABI_SIZE(struct blkif_request, 112);
PV_ABI_FIELD(struct blkif_request, nr_segments, 1);
PV_ABI_FIELD(struct blkif_request, handle, 2);
PV_ABI_FIELD(struct blkif_request, id, 8);
PV_ABI_FIELD(struct blkif_request, sector_number, 16);
PV_ABI_FIELD(struct blkif_request, seg, 24);
PV_ABI_SIZE(struct blkif_request_discard, 32);
PV_ABI_FIELD(struct blkif_request_discard, flag, 1);
PV_ABI_FIELD(struct blkif_request_discard, handle, 2);
PV_ABI_FIELD(struct blkif_request_discard, id, 8);
PV_ABI_FIELD(struct blkif_request_discard, sector_number, 16);
PV_ABI_FIELD(struct blkif_request_discard, nr_sectors, 24);
PV_ABI_SIZE(struct blkif_request_indirect, 64);
PV_ABI_FIELD(struct blkif_request_indirect, indirect_op, 1);
PV_ABI_FIELD(struct blkif_request_indirect, nr_segments, 2);
PV_ABI_FIELD(struct blkif_request_indirect, id, 8);
PV_ABI_FIELD(struct blkif_request_indirect, sector_number, 16);
PV_ABI_FIELD(struct blkif_request_indirect, handle, 24);
PV_ABI_FIELD(struct blkif_request_indirect, indirect_grefs, 28);
PV_ABI_SIZE(struct blkif_response, 16);
PV_ABI_FIELD(struct blkif_response, operation, 8);
PV_ABI_FIELD(struct blkif_response, status, 10);
PV_ABI_SIZE(union blkif_sring_entry, 112);
PV_ABI_SIZE(struct blkif_sring, 176);
PV_ABI_SIZE(struct blkif_front_ring, 24);
PV_ABI_SIZE(struct blkif_back_ring, 24);

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_BLKIF_H */
