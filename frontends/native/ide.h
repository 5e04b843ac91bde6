/* SPDX-License-Identifier: MIT */
/*
 * IDE disks of a natively running kernel: two channels of two drives at the usual ports, DMA by the
 * bus master of the PCI function, PIO where there is none or where it is wished. Kernels use
 * blkdev.h.
 *
 *   ide.c          requests: their queue, commands made of them, interrupts, waiting
 *   ide_command.c  one command: descriptors or PIO, and what a drive says of itself
 *   ide_find.c     channels and drives, opening and closing
 *
 * A channel executes one command at a time, so all requests for its drives wait in one list, in the
 * order in which they came. A command takes as many of the first ones as are neighbours on the disk;
 * a request that is too long for one command is done in several.
 *
 * Locking: a channel's lock, events masked, guards all of it. No call-back is made and nobody woken
 * with it held.
 *
 * Invariant: while busy, the first nr_whole requests of the list are in the command as a whole, or,
 * when that is 0, a part of the first one is.
 */
#ifndef FRONTENDS_NATIVE_IDE_H
#define FRONTENDS_NATIVE_IDE_H

#include "frontends/blkdev.h"
#include "pvops/lock.h"
#include "pvops/pvguest.h"

#define IDE_PRDS        (PV_PAGE_SIZE / 8)
#define IDE_MAX_SECTORS 2048u /* of a command: 1 MiB */
#define IDE_MULTIPLE    16u   /* sectors between two interrupts of PIO */

enum { IDE_BSY = 0x80, IDE_DF = 0x20, IDE_DRQ = 0x08, IDE_ERR = 0x01 };

/* A place in the data of a list of requests. */
struct ide_place {
	struct blkdev_req *req;
	uint32_t seg, offset;
};

struct ide_channel;

struct ide_disk {
	struct blkdev dev; /* the first member */
	struct ide_channel *ch;
	uint8_t unit; /* 0 or 1 on its channel */
	bool is_open, can_flush, has_lba48;
	uint8_t multiple; /* sectors of a block of PIO; 0: not set */
	uint64_t sectors;
	uint32_t physical_sector; /* bytes */
	struct blkdev_stats stats;
};

struct ide_prd {
	uint32_t addr;
	uint32_t len; /* 16 bits, 0: 64 KiB; bit 31: the last one */
};

struct ide_channel {
	struct pv_spinlock lock;
	uint16_t task, control, bm; /* ports; bm 0: no bus master */
	unsigned irq;
	bool is_found;
	struct ide_disk disk[2];
	struct ide_prd *prds; /* a page */
	uint8_t selected;     /* unit that listens, or 0xff */

	struct blkdev_req *first, *last;
	struct blkdev_req *finished; /* to be delivered when the lock is given up */
	bool busy;
	struct {
		enum blkdev_op op;
		struct ide_disk *disk;
		uint64_t sector;
		uint32_t sectors, nr_prds;
		unsigned nr_whole;
		struct ide_place end; /* where the command's data ends */
		struct ide_place at;  /* PIO: what comes next */
		uint32_t left;        /* PIO: sectors */
		bool is_dma;
	} cmd;

	uint32_t call_backs; /* requests that have one: interrupts are wanted */
	uint32_t sleepers;
	bool irq_on;                 /* the drives' interrupt is enabled */
	bool is_drained;             /* by somebody, who looks again when told so, */
	bool look_again, look_drive; /* and at the drive, too */
	uint32_t irq_for;            /* commands that shall interrupt: looking was in vain */
	struct pv_waitq q;
};

/* Once, before the first disk is opened: no DMA, for the sake of comparison. */
extern bool ide_only_pio;

/* As blkfront_each() and blkfront_open(); the nodes are "ide0" to "ide3". */
int ide_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg);
int ide_open(const char *node, struct blkdev **dev);

/* ide.c */
extern const struct blkdev_ops ide_ops;
void ide_interrupt(void *channel);
/* Everything that waits fails with -XEN_EIO. */
void ide_fail_all(struct ide_channel *ch);

/* ide_command.c; the lock held */

/* The next piece of memory, at most max bytes, and moves behind it. Returns its length. */
uint32_t ide_next_piece(struct ide_place *at, uint32_t max, void **va);
/* The command for ch->cmd is made from the first requests of the list, and begun. */
void ide_begin(struct ide_channel *ch);
enum ide_step { IDE_WORKS, IDE_DONE, IDE_FAILED };
/* Looks at the command under way; PIO: moves data. */
enum ide_step ide_step(struct ide_channel *ch);
/* Whether interrupts of the drives come. */
void ide_enable_irq(struct ide_channel *ch, bool on);
void ide_reset(struct ide_channel *ch);
/* Reads what a drive is; 0 or -XEN_ENODEV. Interrupts of the channel off. */
int ide_identify(struct ide_disk *disk);

#endif /* FRONTENDS_NATIVE_IDE_H */
