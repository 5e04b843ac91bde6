/* SPDX-License-Identifier: MIT */
/*
 * The NBD store's limits, for who wants others than the usual ones.
 */
#ifndef BACKENDS_BLKSTORE_NBD_H
#define BACKENDS_BLKSTORE_NBD_H

#include "backends/blkstore.h"

struct blkstore_nbd_limits {
	unsigned connect_ms; /* to connect and negotiate, at opening and each time later */
	unsigned lost_ms;    /* without a server, requests wait so long before they fail */
	unsigned reply_ms;   /* a request without a reply for so long: the server is lost */
	uint64_t log_bytes;  /* of unflushed writes that are kept; see blkstore_nbd.c */
};

extern const struct blkstore_nbd_limits blkstore_nbd_usual;

int blkstore_open_nbd_with(struct blkstore **out, const char *uri, bool readonly,
                           const struct blkstore_nbd_limits *limits, char *why, size_t why_len);

#endif
