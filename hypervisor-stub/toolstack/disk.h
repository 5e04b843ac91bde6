/* SPDX-License-Identifier: MIT */
/*
 * Disks as devices of a guest: what was written about one, its opened storage, its back-end.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_DISK_H
#define HYPERVISOR_STUB_TOOLSTACK_DISK_H

#include "backends/blkback.h"
#include "hypervisor-stub/toolstack/device.h"
#include "hypervisor-stub/toolstack/disk_spec.h"

struct disk {
	struct device dev; /* first */
	struct disk_spec spec;
	struct blkstore *store;
	struct blkback_stats past; /* of back-ends that are no more */
};

extern const struct device_kind disk_kind;

static inline struct disk *disk_of(struct device *dev)
{
	return (struct disk *)dev;
}

/*
 * disk_resize - the storage has, or shall have, another size
 * bytes: of a raw file; 0: it has been changed by somebody else
 * Returns 0, or a negative errno with a sentence in why.
 */
int disk_resize(struct disk *disk, uint64_t bytes, char *why, size_t why_len);

#endif
