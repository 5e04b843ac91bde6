/* SPDX-License-Identifier: MIT */
/*
 * The parts of the IDE controller (ide.h): what they share.
 *
 *   ide.c          the ports of a channel, who has it, interrupts; making and unmaking
 *   ide_command.c  commands, and the data port
 *   ide_dma.c      the bus master: its registers, descriptor tables, the way of a transfer
 *
 * A channel executes one command at a time. Its lock is held by whoever works on it: the CPU's thread
 * or the storage's. While the storage has the channel's request (phase BUSY) the CPU's thread
 * changes nothing but `cancel`; so a guest that writes registers in the middle of a transfer is not
 * heard, as with a real drive. Storage is handed a request when the lock has been given up
 * (fv_ide_unlock()), for it may answer at once.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_IDE_PRIV_H
#define HYPERVISOR_STUB_FULLVIRT_IDE_PRIV_H

#include <pthread.h>

#include "hypervisor-stub/fullvirt/ide.h"

#define IDE_SECTOR   512u
#define IDE_MULTIPLE 16u /* sectors of a block of READ MULTIPLE, at most */
#define IDE_BUFFER   (IDE_MULTIPLE * IDE_SECTOR)
#define IDE_CHUNK    (1u << 20) /* bytes given to the storage at once */

enum { IDE_BSY = 0x80, IDE_DRDY = 0x40, IDE_DSC = 0x10, IDE_DRQ = 0x08, IDE_ERR = 0x01 };
enum { IDE_UNC = 0x40, IDE_IDNF = 0x10, IDE_ABRT = 0x04 };
enum { BM_START = 0x01, BM_TO_MEMORY = 0x08 };                   /* command */
enum { BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INTERRUPT = 0x04 }; /* status */

enum fv_ide_phase {
	IDE_IDLE,
	IDE_PIO_IN,   /* the guest reads the buffer, */
	IDE_PIO_OUT,  /* or fills it */
	IDE_DMA_WAIT, /* a command waits for the bus master to be started */
	IDE_BUSY,     /* the storage has the request */
};

enum fv_ide_cancel { IDE_GO_ON, IDE_STOP, IDE_RESET };

/* A place in a descriptor table. */
struct fv_ide_prd {
	uint32_t table; /* of the next descriptor */
	uint32_t addr, left;
	bool was_last;
};

struct fv_ide_drive {
	struct blkstore *store; /* NULL: none */
	uint8_t multiple;       /* sectors of a block; 0: not set */
	struct fv_ide_stats stats;
};

struct fv_ide_channel {
	struct fv_ide *ide;
	struct fv_bus *bus;
	pthread_mutex_t lock;
	pthread_cond_t settled; /* phase is no longer BUSY */
	struct fv_ide_drive drive[2];
	struct fv_irq irq;
	struct fv_range task_file, control_port;

	/* Task file. [1] is what was written before: the high halves of LBA48. */
	uint8_t feature, error, status, device, control;
	uint8_t count[2], lba[3][2];

	/* The command that is being executed. */
	enum fv_ide_phase phase;
	enum fv_ide_cancel cancel;
	bool to_submit; /* by fv_ide_unlock() */
	bool is_write, is_dma, is_pending;
	uint64_t sector;  /* next */
	uint32_t sectors; /* left */
	uint32_t block;   /* PIO: sectors between two interrupts */
	uint8_t buffer[IDE_BUFFER];
	uint32_t at, end; /* of the buffer */

	struct blkstore_req req;
	struct iovec iov[BLKSTORE_MAX_IOV];
	uint32_t req_sectors;

	/* Bus master. */
	uint8_t bm_command, bm_status;
	uint32_t bm_table;
	struct fv_ide_prd prd; /* where the next transfer goes on */
	struct { /* where iov lies in the guest's memory; the storage may change iov */
		uint32_t gpa, len;
	} piece[BLKSTORE_MAX_IOV];
	unsigned nr_pieces;
};

struct fv_ide {
	struct fv_bus *bus;
	struct fv_pci_dev pci;
	struct fv_range bm;
	struct fv_ide_channel ch[2];
};

static inline struct fv_ide_drive *fv_ide_selected(struct fv_ide_channel *ch)
{
	return &ch->drive[ch->device >> 4 & 1];
}

/* ide.c */
void fv_ide_lock(struct fv_ide_channel *ch);
void fv_ide_unlock(struct fv_ide_channel *ch);
void fv_ide_interrupt(struct fv_ide_channel *ch);
/* The command is over: error is 0 or bits of the error register. */
void fv_ide_finish(struct fv_ide_channel *ch, uint8_t error);
/* As after power-on or SRST. */
void fv_ide_reset(struct fv_ide_channel *ch);
/*
 * Gives the request, whose op, iov and nr_iov are set, to the storage for req_sectors from sector on.
 * 0: done; a negative errno: failed; -EINPROGRESS: ide_io_done() will go on, return to the caller.
 */
int fv_ide_io(struct fv_ide_channel *ch);

/* ide_command.c; lock held */
void fv_ide_command(struct fv_ide_channel *ch, uint8_t command);
void fv_ide_pio_done(struct fv_ide_channel *ch, int rc); /* the storage has answered */
void fv_ide_data_in(struct fv_ide_channel *ch, void *to, size_t len);
void fv_ide_data_out(struct fv_ide_channel *ch, const void *from, size_t len);

/* ide_dma.c; lock held */
void fv_ide_dma_begin(
	struct fv_ide_channel *ch); /* the command is there: go, if the master is started */
void fv_ide_dma_done(struct fv_ide_channel *ch, int rc);
extern const struct fv_range_ops fv_ide_bm_ops;

#endif
