/* SPDX-License-Identifier: MIT */
/*
 * The ports of the two IDE channels, and what a channel does when it begins and ends a command; see
 * ide_priv.h.
 *
 * Source: ATA/ATAPI-6 (T13/1410D), chapters 7 to 9; Intel 82371SB (PIIX3) data sheet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/ide_priv.h"

enum { REG_DATA, REG_ERROR, REG_COUNT, REG_LBA0, REG_LBA1, REG_LBA2, REG_DEVICE, REG_STATUS };
enum { CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80 };

#define BM_PORT 0xc040

/* ---- the channel ----------------------------------------------------------------------------- */

void fv_ide_lock(struct fv_ide_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
}

void fv_ide_unlock(struct fv_ide_channel *ch)
{
	struct blkstore *s = fv_ide_selected(ch)->store;
	bool submit = ch->to_submit;

	ch->to_submit = false;
	pthread_mutex_unlock(&ch->lock);
	/* Phase BUSY keeps everything as it is until the storage has answered. */
	if (submit)
		s->ops->submit(s, &ch->req, false);
}

static void set_line(struct fv_ide_channel *ch, bool pending)
{
	ch->is_pending = pending;
	fv_irq_set(&ch->irq, pending && !(ch->control & CONTROL_NIEN));
}

void fv_ide_interrupt(struct fv_ide_channel *ch)
{
	fv_ide_selected(ch)->stats.interrupts++;
	if (!(ch->control & CONTROL_NIEN))
		ch->bm_status |= BM_INTERRUPT; /* which follows the line */
	/* The line is edge triggered: a request that nobody took must not swallow the next one. */
	set_line(ch, false);
	set_line(ch, true);
}

void fv_ide_finish(struct fv_ide_channel *ch, uint8_t error)
{
	ch->phase = IDE_IDLE;
	ch->error = error;
	ch->status = IDE_DRDY | IDE_DSC | (error ? IDE_ERR : 0);
	if (error)
		fv_ide_selected(ch)->stats.errors++;
	fv_ide_interrupt(ch);
}

void fv_ide_reset(struct fv_ide_channel *ch)
{
	ch->phase = IDE_IDLE;
	ch->cancel = IDE_GO_ON;
	ch->error = 1; /* diagnostics passed */
	ch->status = IDE_DRDY | IDE_DSC;
	ch->device = 0;
	memset(ch->count, 0, sizeof(ch->count));
	memset(ch->lba, 0, sizeof(ch->lba));
	ch->count[0] = ch->lba[0][0] = 1; /* the signature of a disk */
	ch->drive[0].multiple = ch->drive[1].multiple = 0;
	ch->bm_command &= (uint8_t)~BM_START;
	ch->bm_status &= (uint8_t)~BM_ACTIVE;
	set_line(ch, false);
}

static void go_on(struct fv_ide_channel *ch, int rc)
{
	enum fv_ide_cancel cancel = ch->cancel;

	ch->cancel = IDE_GO_ON;
	if (cancel == IDE_RESET) {
		fv_ide_reset(ch);
	} else if (cancel == IDE_STOP) {
		ch->phase = IDE_IDLE;
		ch->error = IDE_ABRT;
		ch->status = IDE_DRDY | IDE_DSC | IDE_ERR;
	} else if (ch->is_dma) {
		fv_ide_dma_done(ch, rc);
	} else {
		fv_ide_pio_done(ch, rc);
	}
}

/* The storage's answer, on any thread. */
static void io_done(struct blkstore_req *req, int rc)
{
	struct fv_ide_channel *ch =
		(struct fv_ide_channel *)((char *)req - offsetof(struct fv_ide_channel, req));

	fv_ide_lock(ch);
	go_on(ch, rc);
	if (ch->phase != IDE_BUSY)
		pthread_cond_broadcast(&ch->settled);
	fv_ide_unlock(ch);
}

static bool is_on_disk(struct blkstore *s, uint64_t sector, uint64_t sectors)
{
	uint64_t all = s->ops->size(s) / IDE_SECTOR;

	return sectors <= all && sector <= all - sectors;
}

int fv_ide_io(struct fv_ide_channel *ch)
{
	struct blkstore *s = fv_ide_selected(ch)->store;
	bool is_flush = ch->req.op == BLKSTORE_FLUSH;
	int rc;

	/* It may have become smaller since the command began. */
	if (!is_flush && !is_on_disk(s, ch->sector, ch->req_sectors))
		return -EIO;
	ch->req.offset = is_flush ? 0 : ch->sector * IDE_SECTOR;
	ch->req.len = is_flush ? 0 : (uint64_t)ch->req_sectors * IDE_SECTOR;
	ch->req.done = io_done;
	rc = s->ops->try(s, &ch->req);
	if (rc != -EAGAIN)
		return rc;
	fv_ide_selected(ch)->stats.waited++;
	ch->phase = IDE_BUSY;
	ch->status = IDE_BSY;
	ch->to_submit = true;
	return -EINPROGRESS;
}

/* ---- the task file --------------------------------------------------------------------------- */

static uint32_t read_register(struct fv_ide_channel *ch, uint32_t reg)
{
	unsigned high = ch->control & CONTROL_HOB ? 1 : 0;

	switch (reg) {
	case REG_ERROR:
		return ch->error;
	case REG_COUNT:
		return ch->count[high];
	case REG_LBA0:
	case REG_LBA1:
	case REG_LBA2:
		return ch->lba[reg - REG_LBA0][high];
	case REG_DEVICE:
		return ch->device | 0xa0;
	default:
		set_line(ch, false);
		return ch->status;
	}
}

static void write_register(struct fv_ide_channel *ch, uint32_t reg, uint8_t value)
{
	/* A drive that works does not listen. */
	if (ch->phase == IDE_BUSY)
		return;
	ch->control &= (uint8_t)~CONTROL_HOB;
	switch (reg) {
	case REG_ERROR:
		ch->feature = value;
		break;
	case REG_COUNT:
		ch->count[1] = ch->count[0];
		ch->count[0] = value;
		break;
	case REG_LBA0:
	case REG_LBA1:
	case REG_LBA2:
		ch->lba[reg - REG_LBA0][1] = ch->lba[reg - REG_LBA0][0];
		ch->lba[reg - REG_LBA0][0] = value;
		break;
	case REG_DEVICE:
		/* Another drive than the one whose command is not over: that command is lost. */
		if ((ch->device ^ value) & 0x10 && ch->phase != IDE_IDLE)
			fv_ide_finish(ch, IDE_ABRT);
		ch->device = value;
		break;
	default:
		set_line(ch, false);
		if (fv_ide_selected(ch)->store)
			fv_ide_command(ch, value);
	}
}

static uint32_t task_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_ide_channel *ch = dev;
	uint32_t value = 0;

	fv_ide_lock(ch);
	if (offset == REG_DATA)
		fv_ide_data_in(ch, &value, size);
	else if (fv_ide_selected(ch)->store)
		for (unsigned i = 0; i < size; i++)
			value |= read_register(ch, (offset + i) & 7) << 8 * i;
	fv_ide_unlock(ch);
	return value;
}

static void task_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_ide_channel *ch = dev;

	fv_ide_lock(ch);
	if (offset == REG_DATA)
		fv_ide_data_out(ch, &value, size);
	else
		for (unsigned i = 0; i < size; i++)
			write_register(ch, (offset + i) & 7, (uint8_t)(value >> 8 * i));
	fv_ide_unlock(ch);
}

static void task_ins(void *dev, uint32_t offset, unsigned size, void *to, size_t count)
{
	struct fv_ide_channel *ch = dev;

	fv_ide_lock(ch);
	if (offset == REG_DATA)
		fv_ide_data_in(ch, to, count * size);
	else
		memset(to, 0xff, count * size);
	fv_ide_unlock(ch);
}

static void task_outs(void *dev, uint32_t offset, unsigned size, const void *from, size_t count)
{
	struct fv_ide_channel *ch = dev;

	fv_ide_lock(ch);
	if (offset == REG_DATA)
		fv_ide_data_out(ch, from, count * size);
	fv_ide_unlock(ch);
}

/* Status without taking the interrupt back. */
static uint32_t control_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_ide_channel *ch = dev;
	uint32_t value;

	(void)offset;
	(void)size;
	fv_ide_lock(ch);
	value = fv_ide_selected(ch)->store ? ch->status : 0;
	fv_ide_unlock(ch);
	return value;
}

static void control_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_ide_channel *ch = dev;
	bool was_reset = ch->control & CONTROL_SRST;

	(void)offset;
	(void)size;
	fv_ide_lock(ch);
	ch->control = (uint8_t)value;
	if (ch->phase == IDE_BUSY && value & CONTROL_SRST)
		ch->cancel = IDE_RESET; /* when the storage has answered */
	else if (ch->phase != IDE_BUSY && value & CONTROL_SRST && !was_reset)
		fv_ide_reset(ch);
	set_line(ch, ch->is_pending);
	fv_ide_unlock(ch);
}

static const struct fv_range_ops task_ops = {
	.in = task_in, .out = task_out, .ins = task_ins, .outs = task_outs
};
static const struct fv_range_ops control_ops = { .in = control_in, .out = control_out };

/* ---- life ------------------------------------------------------------------------------------ */

static int make_channel(struct fv_ide *ide, unsigned nr, struct blkstore *const stores[2])
{
	static const uint16_t task[2] = { 0x1f0, 0x170 }, control[2] = { 0x3f6, 0x376 };
	struct fv_ide_channel *ch = &ide->ch[nr];
	int rc;

	ch->ide = ide;
	ch->bus = ide->bus;
	ch->task_file = (struct fv_range){ .ops = &task_ops, .dev = ch, .len = 8 };
	ch->control_port =
		(struct fv_range){ .ops = &control_ops, .dev = ch, .len = 1, .bytes = true };
	for (unsigned i = 0; i < 2; i++) {
		if (!stores[i])
			continue;
		if (stores[i]->block != IDE_SECTOR)
			return -EINVAL;
		ch->drive[i].store = stores[i];
		ch->bm_status |= (uint8_t)(0x20u << i); /* can do DMA */
	}
	rc = fv_irq_init(&ch->irq, ide->bus, 14 + nr);
	if (!rc)
		rc = fv_range_map(ide->bus, &ch->task_file, task[nr]);
	if (!rc)
		rc = fv_range_map(ide->bus, &ch->control_port, control[nr]);
	if (!rc)
		fv_ide_reset(ch);
	return rc;
}

static int add_function(struct fv_ide *ide, struct fv_pci *pci)
{
	static const struct fv_pci_id id = { 0x8086, 0x7010, 0x1af4, 0x1100, 0x010180, 0, false };
	int rc;

	ide->bm = (struct fv_range){ .ops = &fv_ide_bm_ops, .dev = ide, .len = 16 };
	ide->pci.bar[4] = &ide->bm;
	rc = fv_pci_add(pci, &ide->pci, 1, 1, &id);
	if (rc)
		return rc;
	ide->pci.config[0x41] = ide->pci.config[0x43] = 0x80; /* both channels decode their ports */
	fv_pci_set_bar(&ide->pci, 4, BM_PORT);
	return 0;
}

int fv_ide_create(struct fv_ide **out, struct fv_bus *bus, struct fv_pci *pci,
                  struct blkstore *const stores[FV_IDE_DRIVES])
{
	struct fv_ide *ide = calloc(1, sizeof(*ide));
	int rc;

	if (!ide)
		return -ENOMEM;
	ide->bus = bus;
	for (unsigned i = 0; i < 2; i++) {
		pthread_mutex_init(&ide->ch[i].lock, NULL);
		pthread_cond_init(&ide->ch[i].settled, NULL);
	}
	rc = make_channel(ide, 0, stores);
	if (!rc)
		rc = make_channel(ide, 1, stores + 2);
	if (!rc)
		rc = add_function(ide, pci);
	if (rc) {
		fv_ide_destroy(ide);
		return rc;
	}
	*out = ide;
	return 0;
}

/* Storage that waits for what may never come (a server that has gone) fails it instead. */
static void hurry(struct fv_ide_channel *ch, bool on)
{
	for (unsigned i = 0; i < 2; i++) {
		struct blkstore *s = ch->drive[i].store;

		if (s && s->ops->hurry)
			s->ops->hurry(s, on);
	}
}

static void drain(struct fv_ide_channel *ch)
{
	hurry(ch, true);
	fv_ide_lock(ch);
	if (ch->phase == IDE_BUSY)
		ch->cancel = IDE_STOP;
	while (ch->phase == IDE_BUSY)
		pthread_cond_wait(&ch->settled, &ch->lock);
	pthread_mutex_unlock(&ch->lock);
	hurry(ch, false);
}

void fv_ide_destroy(struct fv_ide *ide)
{
	if (ide->pci.pci)
		fv_pci_remove(&ide->pci);
	for (unsigned i = 0; i < 2; i++) {
		struct fv_ide_channel *ch = &ide->ch[i];

		drain(ch);
		fv_range_unmap(ide->bus, &ch->task_file);
		fv_range_unmap(ide->bus, &ch->control_port);
		pthread_cond_destroy(&ch->settled);
		pthread_mutex_destroy(&ch->lock);
	}
	free(ide);
}

void fv_ide_get_stats(struct fv_ide *ide, unsigned drive, struct fv_ide_stats *stats)
{
	struct fv_ide_channel *ch = &ide->ch[drive / 2 & 1];

	fv_ide_lock(ch);
	*stats = ch->drive[drive & 1].stats;
	pthread_mutex_unlock(&ch->lock);
}
