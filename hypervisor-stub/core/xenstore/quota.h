/* SPDX-License-Identifier: MIT */
/*
 * What one guest may take of the store. The host itself has no quota.
 *
 * The numbers are xenstored's where it has one. All memory that a guest can make the store hold is
 * bounded by them; docs/xenstore.md does the sum.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_QUOTA_H
#define HYPERVISOR_STUB_CORE_XENSTORE_QUOTA_H

#include "hypervisor-stub/core/xenstore/tree.h"

struct xs_quota {
	unsigned nodes;        /* owned by the domain; beyond: ENOSPC */
	unsigned bytes;        /* of all its nodes, by the weights of tree.h; beyond: ENOSPC */
	unsigned value_bytes;  /* of one node; beyond: ENOSPC */
	unsigned perms;        /* entries of one node; beyond: ENOSPC */
	unsigned watches;      /* beyond: E2BIG */
	unsigned transactions; /* open at one time; beyond: ENOSPC */
	unsigned tx_nodes;     /* paths that one transaction may touch; beyond: ENOSPC */
	unsigned tx_bytes;     /* of all those paths; beyond: ENOSPC */
	unsigned replies;      /* waiting to be read; at the limit no request is taken */
	unsigned events;       /* waiting to be read; beyond: one event per watch stands for more */
};

extern const struct xs_quota xs_quota_default;

/* 0, or -ENOSPC when `now` goes beyond the quota and beyond what the domain had before. */
int xs_quota_check(const struct xs_quota *q, const struct xs_account *before,
                   const struct xs_account *now);

#endif
