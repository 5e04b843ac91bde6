/* SPDX-License-Identifier: MIT */
/*
 * Quotas: the numbers, and the one test that is more than a comparison.
 */
#include "hypervisor-stub/core/xenstore/quota.h"

#include <errno.h>

const struct xs_quota xs_quota_default = {
	.nodes = 1000,
	.bytes = 1024 * 1024,
	.value_bytes = 2048,
	.perms = 5,
	.watches = 128,
	.transactions = 10,
	.tx_nodes = 1024,
	.tx_bytes = 256 * 1024,
	.replies = 20,
	.events = 256,
};

int xs_quota_check(const struct xs_quota *q, const struct xs_account *before,
                   const struct xs_account *now)
{
	/* A domain that the host has put over its limit may still write, remove and shrink. */
	if ((now->nodes > q->nodes && now->nodes > before->nodes) ||
	    (now->bytes > q->bytes && now->bytes > before->bytes))
		return -ENOSPC;
	return 0;
}
