/* SPDX-License-Identifier: MIT */
/*
 * One IDE command: made of requests, begun, looked after, and the few that find out what a drive is.
 *
 * Each access to a port may be an exit to a hypervisor, so a command makes do with few: short
 * addresses where they suffice, the place of the descriptors told once, a drive selected only when
 * it is another one.
 *
 * Source: ATA/ATAPI-6 (T13/1410D); Programming Interface for Bus Master IDE Controller, revision
 * 1.0 (Intel, 1994).
 */
#include "frontends/native/ide.h"

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/native/native.h"
#include "pvops/time.h"

enum { DATA, FEATURE, COUNT, LBA0, LBA1, LBA2, DEVICE, COMMAND };
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };
enum { BM_START = 1, BM_TO_MEMORY = 8, BM_ERROR = 2, BM_INTERRUPT = 4 };
enum { CONTROL_NIEN = 2, CONTROL_RESET = 4 };
enum { DEVICE_LBA = 0x40, DEVICE_FIXED = 0xa0 };

#define PRD_LAST   0x80000000u
#define PRD_BORDER 65536u /* none crosses it */
#define LBA28_END  (1ull << 28)
#define WAIT_NS    5000000000ull /* for a drive that is told to listen */

/* ---- the data of requests --------------------------------------------------------------------- */

uint32_t ide_next_piece(struct ide_place *at, uint32_t max, void **va)
{
	const struct blkdev_seg *seg;
	uint32_t len;

	while (at->seg == at->req->nr_segs) {
		at->req = at->req->dev.next;
		at->seg = at->offset = 0;
	}
	seg = &at->req->segs[at->seg];
	*va = (uint8_t *)seg->va + at->offset;
	len = seg->len - at->offset < max ? seg->len - at->offset : max;
	at->offset += len;
	if (at->offset == seg->len) {
		at->seg++;
		at->offset = 0;
	}
	return len;
}

/* Joins a piece to the descriptors; how many bytes of it found room. */
static uint32_t add_piece(struct ide_channel *ch, uint64_t addr, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		struct ide_prd *last = ch->cmd.nr_prds ? &ch->prds[ch->cmd.nr_prds - 1] : NULL;
		uint32_t at = (uint32_t)addr + done;
		uint32_t n = PRD_BORDER - at % PRD_BORDER;

		if (n > len - done)
			n = len - done;
		if (last && last->addr + last->len == at && at % PRD_BORDER) {
			last->len += n;
		} else if (ch->cmd.nr_prds < IDE_PRDS) {
			ch->prds[ch->cmd.nr_prds++] = (struct ide_prd){ at, n };
		} else {
			break;
		}
		done += n;
	}
	return done;
}

/*
 * As much of a request as has room; true: all of what was left of it. PIO needs no descriptors.
 * What does not fit ends at a whole sector: pieces and borders are multiples of one.
 */
static bool add_request(struct ide_channel *ch, struct ide_place *at)
{
	const struct blkdev_req *req = at->req;

	while (at->seg < req->nr_segs && ch->cmd.sectors < IDE_MAX_SECTORS) {
		uint32_t max = (IDE_MAX_SECTORS - ch->cmd.sectors) * BLKDEV_SECTOR, len, done;
		struct ide_place before = *at;
		void *va;

		len = done = ide_next_piece(at, max, &va);
		if (ch->cmd.is_dma)
			done = add_piece(ch, pv_native_dma(va), len);
		ch->cmd.sectors += done / BLKDEV_SECTOR;
		if (done < len) {
			*at = before;
			at->offset += done;
			return false;
		}
	}
	return at->seg == req->nr_segs;
}

/* Whether a request can follow the command's data. */
static bool is_neighbour(const struct ide_channel *ch, const struct blkdev_req *req)
{
	return req && req->op == ch->cmd.op && req->dev.parts == ch->cmd.disk->unit &&
	       req->sector == ch->cmd.sector + ch->cmd.sectors;
}

/* The first request, or a part of it, and those behind it that are its neighbours. */
static void collect(struct ide_channel *ch)
{
	struct blkdev_req *req = ch->first;
	struct ide_place at = { req, req->dev.seg, req->dev.offset };

	ch->cmd.at = at;
	ch->cmd.sectors = ch->cmd.nr_prds = ch->cmd.nr_whole = 0;
	while (add_request(ch, &at)) {
		ch->cmd.nr_whole++;
		req = req->dev.next;
		if (!is_neighbour(ch, req))
			break;
		/* All of it, or it begins the next command. */
		if (req->nr_sectors > IDE_MAX_SECTORS - ch->cmd.sectors ||
		    ch->cmd.nr_prds + 2 * req->nr_segs + req->nr_sectors / 64 > IDE_PRDS)
			break;
		at = (struct ide_place){ req, 0, 0 };
	}
	ch->cmd.end = at;
	ch->cmd.left = ch->cmd.sectors;
	if (ch->cmd.is_dma)
		ch->prds[ch->cmd.nr_prds - 1].len |= PRD_LAST;
}

/* A length of 64 KiB is written as 0. */
static void finish_prds(struct ide_channel *ch)
{
	for (uint32_t i = 0; i < ch->cmd.nr_prds; i++)
		ch->prds[i].len &= 0xffff | PRD_LAST;
}

/* ---- a command -------------------------------------------------------------------------------- */

static uint8_t read_status(struct ide_channel *ch)
{
	return pv_in8(ch->task + COMMAND);
}

/* Until none of the bits is set; false: never, or an error. */
static bool wait_clear(struct ide_channel *ch, uint8_t bits)
{
	uint64_t end = pv_now_ns() + WAIT_NS;

	while (pv_in8(ch->control) & bits)
		if (pv_now_ns() > end)
			return false;
	return true;
}

static void select_unit(struct ide_channel *ch, uint8_t device)
{
	unsigned unit = device >> 4 & 1;

	if (ch->selected != unit) {
		/* The other one must be done, and takes 400 ns to listen: four reads. */
		pv_out8(ch->task + DEVICE, DEVICE_FIXED | (uint8_t)(unit << 4));
		for (unsigned i = 0; i < 4; i++)
			pv_in8(ch->control);
		wait_clear(ch, IDE_BSY | IDE_DRQ);
		ch->selected = (uint8_t)unit;
	}
	pv_out8(ch->task + DEVICE, device);
}

static void write_short(struct ide_channel *ch, uint64_t sector, uint32_t sectors)
{
	pv_out8(ch->task + COUNT, (uint8_t)sectors);
	pv_out8(ch->task + LBA0, (uint8_t)sector);
	pv_out8(ch->task + LBA1, (uint8_t)(sector >> 8));
	pv_out8(ch->task + LBA2, (uint8_t)(sector >> 16));
}

/* Chooses the command, and writes where and how much. */
static uint8_t write_address(struct ide_channel *ch)
{
	static const struct {
		uint8_t pio, multiple, dma;
	} code[2][2] = { /* write, long */
		         { { 0x20, 0xc4, 0xc8 }, { 0x24, 0x29, 0x25 } },
		         { { 0x30, 0xc5, 0xca }, { 0x34, 0x39, 0x35 } }
	};
	const struct ide_disk *d = ch->cmd.disk;
	uint64_t sector = ch->cmd.sector;
	bool is_long = ch->cmd.sectors > 256 || sector + ch->cmd.sectors > LBA28_END;
	unsigned write = ch->cmd.op == BLKDEV_WRITE;
	uint8_t device = DEVICE_FIXED | DEVICE_LBA | (uint8_t)(d->unit << 4);

	select_unit(ch, is_long ? device : device | (uint8_t)(sector >> 24 & 15));
	if (is_long)
		write_short(ch, sector >> 24, ch->cmd.sectors >> 8);
	write_short(ch, sector, ch->cmd.sectors);
	if (ch->cmd.is_dma)
		return code[write][is_long].dma;
	return d->multiple ? code[write][is_long].multiple : code[write][is_long].pio;
}

static void begin_dma(struct ide_channel *ch)
{
	uint8_t direction = ch->cmd.op == BLKDEV_READ ? BM_TO_MEMORY : 0;
	uint8_t code;

	finish_prds(ch);
	pv_compiler_barrier(); /* the table before the start; stores are seen in order */
	code = write_address(ch);
	pv_out8(ch->task + COMMAND, code);
	pv_out8(ch->bm + BM_COMMAND, direction | BM_START);
}

static void move_sectors(struct ide_channel *ch, uint32_t sectors)
{
	uint32_t left = sectors * BLKDEV_SECTOR;

	ch->cmd.left -= sectors;
	while (left) {
		void *va;
		uint32_t len = ide_next_piece(&ch->cmd.at, left, &va);

		if (ch->cmd.op == BLKDEV_READ)
			pv_ins16(ch->task + DATA, va, len / 2);
		else
			pv_outs16(ch->task + DATA, va, len / 2);
		left -= len;
	}
}

static uint32_t block_of(const struct ide_channel *ch)
{
	uint32_t block = ch->cmd.disk->multiple ? ch->cmd.disk->multiple : 1;

	return ch->cmd.left < block ? ch->cmd.left : block;
}

/* The first block of a write goes without an interrupt. */
static void begin_pio(struct ide_channel *ch)
{
	pv_out8(ch->task + COMMAND, write_address(ch));
	if (ch->cmd.op == BLKDEV_WRITE && wait_clear(ch, IDE_BSY) && pv_in8(ch->control) & IDE_DRQ)
		move_sectors(ch, block_of(ch));
}

void ide_begin(struct ide_channel *ch)
{
	struct blkdev_req *req = ch->first;
	struct ide_disk *d = &ch->disk[req->dev.parts];

	ch->busy = true;
	ch->cmd.op = req->op;
	ch->cmd.disk = d;
	d->stats.parts++;
	d->stats.notifications++;
	if (req->op == BLKDEV_FLUSH) {
		ch->cmd.is_dma = false;
		ch->cmd.nr_whole = 1;
		select_unit(ch, DEVICE_FIXED | DEVICE_LBA | (uint8_t)(d->unit << 4));
		pv_out8(ch->task + COMMAND, d->has_lba48 ? 0xea : 0xe7);
		return;
	}
	ch->cmd.is_dma = ch->bm && !ide_only_pio;
	ch->cmd.sector = req->sector + req->dev.sent;
	collect(ch);
	if (ch->cmd.is_dma)
		begin_dma(ch);
	else
		begin_pio(ch);
}

/* ---- looking after it ------------------------------------------------------------------------- */

static enum ide_step step_pio(struct ide_channel *ch, uint8_t status)
{
	if (ch->cmd.op == BLKDEV_FLUSH || (ch->cmd.op == BLKDEV_WRITE && !ch->cmd.left))
		return status & IDE_DRQ ? IDE_WORKS : IDE_DONE;
	if (!(status & IDE_DRQ))
		return IDE_WORKS;
	move_sectors(ch, block_of(ch));
	return ch->cmd.op == BLKDEV_READ && !ch->cmd.left ? IDE_DONE : IDE_WORKS;
}

enum ide_step ide_step(struct ide_channel *ch)
{
	uint8_t status = read_status(ch), bm_status = 0;
	bool failed;

	if (status & IDE_BSY)
		return IDE_WORKS;
	failed = status & (IDE_ERR | IDE_DF);
	if (!ch->cmd.is_dma)
		return failed ? IDE_FAILED : step_pio(ch, status);
	if (!failed && status & IDE_DRQ)
		return IDE_WORKS;
	/* Its status last: data is in memory when it says so. The error and interrupt bits go by ones. */
	bm_status = pv_in8(ch->bm + BM_STATUS);
	pv_out8(ch->bm + BM_COMMAND, 0);
	if (bm_status & (BM_INTERRUPT | BM_ERROR))
		pv_out8(ch->bm + BM_STATUS, bm_status);
	return failed || bm_status & BM_ERROR ? IDE_FAILED : IDE_DONE;
}

void ide_enable_irq(struct ide_channel *ch, bool on)
{
	if (ch->irq_on == on)
		return;
	ch->irq_on = on;
	pv_out8(ch->control, on ? 0 : CONTROL_NIEN);
}

void ide_reset(struct ide_channel *ch)
{
	uint64_t end = pv_now_ns() + 10000;

	if (ch->bm)
		pv_out8(ch->bm + BM_COMMAND, 0);
	pv_out8(ch->control, CONTROL_RESET | CONTROL_NIEN);
	while (pv_now_ns() < end)
		;
	pv_out8(ch->control, CONTROL_NIEN);
	ch->irq_on = false;
	wait_clear(ch, IDE_BSY);
	ch->selected = 0xff;
}

/* ---- what a drive is -------------------------------------------------------------------------- */

/* A command without data; whether the drive did it. */
static bool simple(struct ide_disk *d, uint8_t count, uint8_t code)
{
	struct ide_channel *ch = d->ch;

	pv_out8(ch->task + COUNT, count);
	pv_out8(ch->task + COMMAND, code);
	return wait_clear(ch, IDE_BSY) && !(read_status(ch) & (IDE_ERR | IDE_DF));
}

static int read_identity(struct ide_disk *d, uint16_t id[256])
{
	struct ide_channel *ch = d->ch;

	select_unit(ch, DEVICE_FIXED | (uint8_t)(d->unit << 4));
	pv_out8(ch->task + COUNT, 0x55);
	pv_out8(ch->task + LBA0, 0xaa);
	/* What is not there keeps nothing. */
	if (pv_in8(ch->task + COUNT) != 0x55 || pv_in8(ch->task + LBA0) != 0xaa)
		return -XEN_ENODEV;
	pv_out8(ch->task + COMMAND, 0xec);
	if (!read_status(ch) || !wait_clear(ch, IDE_BSY) ||
	    (read_status(ch) & (IDE_ERR | IDE_DF | IDE_DRQ)) != IDE_DRQ)
		return -XEN_ENODEV; /* none, or one for packets (CD-ROM) */
	pv_ins16(ch->task + DATA, id, 256);
	return 0;
}

int ide_identify(struct ide_disk *d)
{
	uint16_t id[256];
	int rc = read_identity(d, id);

	/* With LBA, and sectors of 512 bytes; words 100 and 106 are there when bits say so. */
	if (rc || !(id[49] & 0x200) || ((id[106] & 0xd000) == 0x5000))
		return -XEN_ENODEV;
	d->has_lba48 = (id[83] & 0xc400) == 0x4400;
	d->sectors = id[60] | (uint32_t)id[61] << 16;
	if (d->has_lba48)
		memcpy(&d->sectors, id + 100, sizeof(d->sectors));
	d->can_flush = (id[83] & 0xd000) == 0x5000;
	d->physical_sector = BLKDEV_SECTOR;
	if ((id[106] & 0xe000) == 0x6000)
		d->physical_sector <<= id[106] & 15;
	d->multiple = 0;
	if ((id[47] & 0xff) >= IDE_MULTIPLE && simple(d, IDE_MULTIPLE, 0xc6))
		d->multiple = IDE_MULTIPLE;
	return d->sectors ? 0 : -XEN_ENODEV;
}
