/* SPDX-License-Identifier: MIT */
/*
 * Disks behind the IDE function of a PIIX3: two channels of two drives at the usual ports (0x1f0 and
 * line 14, 0x170 and line 15), PIO and bus-master DMA, on the storage that block back-ends use.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_IDE_H
#define HYPERVISOR_STUB_FULLVIRT_IDE_H

#include "backends/blkstore.h"
#include "hypervisor-stub/fullvirt/pci.h"

#define FV_IDE_DRIVES 4 /* in QEMU's order: first channel 0 and 1, second channel 0 and 1 */

struct fv_ide;

struct fv_ide_stats {
	uint64_t reads, writes, flushes, errors; /* commands */
	uint64_t bytes_read, bytes_written;
	uint64_t waited; /* requests that the storage did not answer at once */
	uint64_t interrupts;
};

/*
 * fv_ide_create - stores: FV_IDE_DRIVES of them, NULL for no drive; they stay the caller's
 * Returns 0; -EINVAL for storage whose block is not 512 bytes; another negative errno.
 */
int fv_ide_create(struct fv_ide **out, struct fv_bus *bus, struct fv_pci *pci,
                  struct blkstore *const stores[FV_IDE_DRIVES]);
/* Waits for what the storage has, which is told to hurry. The CPU runs no more. */
void fv_ide_destroy(struct fv_ide *ide);
/* Any thread. */
void fv_ide_get_stats(struct fv_ide *ide, unsigned drive, struct fv_ide_stats *stats);

#endif
