/* SPDX-License-Identifier: MIT */
/*
 * The bus master of the IDE controller: a transfer goes straight between the guest's memory and the
 * storage, by pointers, in pieces of up to IDE_CHUNK bytes.
 *
 * A descriptor (PRD) is 8 bytes: address, length (16 bits, 0 is 64 KiB), and in the last one bit 31
 * of the second half. A table is read while it is used, each descriptor once: the guest may change
 * it, loop it or let it point anywhere, and gets what hardware would give it, an error or wrong
 * data of its own. The number of sectors bounds the transfer; a table whose descriptors say
 * nothing but small lengths costs time by the sector, all of it the guest's.
 *
 * Invariant: pieces in iov lie in the guest's memory, and are whole sectors together.
 *
 * Source: Programming Interface for Bus Master IDE Controller, revision 1.0 (Intel, 1994).
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/ide_priv.h"

#define TABLE_MASK   0xfffffffcu
#define LAST         0x80000000u
#define TABLE_SIZE   65536u /* a table does not cross such a border: addresses in it wrap */
#define BM_WRITABLE  (BM_START | BM_TO_MEMORY)
#define BM_CAPABLE   0x60
#define END_OF_TABLE 1 /* of next_prd() */

/* ---- descriptors ----------------------------------------------------------------------------- */

/* The next descriptor: 0, END_OF_TABLE, or -EFAULT. */
static int next_prd(struct fv_ide_channel *ch)
{
	struct fv_ide_prd *p = &ch->prd;
	const void *at = fv_pci_dma(&ch->ide->pci, ch->bus, p->table, 8);
	uint32_t prd[2];

	if (p->was_last)
		return END_OF_TABLE;
	if (!at)
		return -EFAULT;
	memcpy(prd, at, sizeof(prd)); /* one snapshot */
	p->addr = prd[0] & ~1u;
	p->left = prd[1] & 0xfffe;
	if (!p->left)
		p->left = 65536;
	p->was_last = prd[1] & LAST;
	p->table = (p->table & ~(TABLE_SIZE - 1)) | ((p->table + 8) & (TABLE_SIZE - 1));
	return 0;
}

/* Joins n bytes at gpa to the pieces; false: there are too many. */
static bool add_piece(struct fv_ide_channel *ch, uint8_t *ptr, uint32_t gpa, uint32_t n)
{
	unsigned nr = ch->nr_pieces;
	struct iovec *last = nr ? &ch->iov[nr - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == ptr &&
	    ch->piece[nr - 1].gpa + ch->piece[nr - 1].len == gpa) {
		last->iov_len += n;
		ch->piece[nr - 1].len += n;
		return true;
	}
	if (nr == BLKSTORE_MAX_IOV)
		return false;
	ch->iov[nr] = (struct iovec){ ptr, n };
	ch->piece[nr].gpa = gpa;
	ch->piece[nr].len = n;
	ch->nr_pieces++;
	return true;
}

/* Up to want bytes as pieces of memory; how many there are, or -EFAULT. */
static int64_t gather(struct fv_ide_channel *ch, uint32_t want)
{
	struct fv_ide_prd *p = &ch->prd;
	uint32_t got = 0;

	ch->nr_pieces = 0;
	while (got < want) {
		int rc = p->left ? 0 : next_prd(ch);
		uint32_t n = p->left < want - got ? p->left : want - got;
		uint8_t *ptr;

		if (rc)
			return rc == END_OF_TABLE ? (int64_t)got : rc;
		ptr = fv_pci_dma(&ch->ide->pci, ch->bus, p->addr, n);
		if (!ptr)
			return -EFAULT;
		if (!add_piece(ch, ptr, p->addr, n))
			break;
		p->addr += n;
		p->left -= n;
		got += n;
	}
	return got;
}

/*
 * The next pieces, whole sectors together: their bytes; 0 at the end of the table; -EFAULT. What came
 * out uneven is gathered again, from the same place and with that many bytes as the limit.
 */
static int64_t next_chunk(struct fv_ide_channel *ch)
{
	const struct fv_ide_prd begun = ch->prd;
	uint32_t want = ch->sectors < IDE_CHUNK / IDE_SECTOR ? ch->sectors * IDE_SECTOR : IDE_CHUNK;
	int64_t got = gather(ch, want);

	if (got <= 0 || got % IDE_SECTOR == 0)
		return got;
	want = (uint32_t)got & ~(IDE_SECTOR - 1);
	ch->prd = begun;
	got = want ? gather(ch, want) : 0;
	/* The guest may have changed the table meanwhile. */
	return got > 0 && got != want ? -EFAULT : got;
}

/* ---- the transfer ---------------------------------------------------------------------------- */

/* Nothing more will be moved for this command. */
static void stop(struct fv_ide_channel *ch, uint8_t error)
{
	ch->bm_status &= (uint8_t)~BM_ACTIVE;
	if (error)
		ch->bm_status |= BM_ERROR;
	fv_ide_finish(ch, error);
}

/* The table ended before the transfer did: the master goes idle, and the drive waits in vain. */
static void starve(struct fv_ide_channel *ch)
{
	ch->bm_status &= (uint8_t)~BM_ACTIVE;
	ch->phase = IDE_IDLE;
	ch->status = IDE_DRDY | IDE_DSC;
}

static void tell_memory(struct fv_ide_channel *ch)
{
	for (unsigned i = 0; i < ch->nr_pieces; i++)
		fv_ram_wrote(ch->bus, ch->piece[i].gpa, ch->piece[i].len);
}

/* What the storage answered; true: there is more to do. */
static bool account(struct fv_ide_channel *ch, int rc)
{
	struct fv_ide_stats *stats = &fv_ide_selected(ch)->stats;

	/* A read that failed may have changed some of it. */
	if (!ch->is_write)
		tell_memory(ch);
	if (rc) {
		stop(ch, ch->is_write ? IDE_ABRT : IDE_UNC);
		return false;
	}
	*(ch->is_write ? &stats->bytes_written : &stats->bytes_read) += ch->req.len;
	ch->sector += ch->req_sectors;
	ch->sectors -= ch->req_sectors;
	if (ch->sectors)
		return true;
	/* A table that is longer than the transfer leaves the master active. */
	if (ch->prd.was_last && !ch->prd.left)
		ch->bm_status &= (uint8_t)~BM_ACTIVE;
	fv_ide_finish(ch, 0);
	return false;
}

static void run(struct fv_ide_channel *ch)
{
	int rc;

	do {
		int64_t got = next_chunk(ch);

		if (got == 0) {
			starve(ch);
			return;
		}
		if (got < 0) {
			stop(ch, IDE_ABRT);
			return;
		}
		ch->req_sectors = (uint32_t)got / IDE_SECTOR;
		ch->req.op = ch->is_write ? BLKSTORE_WRITE : BLKSTORE_READ;
		ch->req.iov = ch->iov;
		ch->req.nr_iov = ch->nr_pieces;
		rc = fv_ide_io(ch);
	} while (rc != -EINPROGRESS && account(ch, rc));
}

void fv_ide_dma_done(struct fv_ide_channel *ch, int rc)
{
	if (account(ch, rc))
		run(ch);
}

void fv_ide_dma_begin(struct fv_ide_channel *ch)
{
	ch->phase = IDE_DMA_WAIT;
	ch->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	if (ch->bm_command & BM_START)
		run(ch);
}

/* ---- registers ------------------------------------------------------------------------------- */

static void write_command(struct fv_ide_channel *ch, uint8_t value)
{
	bool was = ch->bm_command & BM_START;

	ch->bm_command = value & BM_WRITABLE;
	if (!was && value & BM_START) {
		ch->bm_status |= BM_ACTIVE;
		if (ch->phase == IDE_BUSY)
			return;
		ch->prd = (struct fv_ide_prd){ .table = ch->bm_table };
		if (ch->phase == IDE_DMA_WAIT)
			run(ch);
	} else if (was && !(value & BM_START)) {
		ch->bm_status &= (uint8_t)~BM_ACTIVE;
		if (ch->phase == IDE_BUSY && ch->is_dma && ch->cancel == IDE_GO_ON)
			ch->cancel = IDE_STOP;
	}
}

/* One byte of a channel's eight. */
static void write_byte(struct fv_ide_channel *ch, uint32_t reg, uint8_t value)
{
	unsigned shift = 8 * (reg & 3);

	if (reg == 0) {
		write_command(ch, value);
	} else if (reg == 2) {
		ch->bm_status &= (uint8_t) ~(value & (BM_ERROR | BM_INTERRUPT));
		ch->bm_status = (uint8_t)((ch->bm_status & ~BM_CAPABLE) | (value & BM_CAPABLE));
	} else if (reg >= 4) {
		ch->bm_table = ((ch->bm_table & ~(0xffu << shift)) | (uint32_t)value << shift) &
		               TABLE_MASK;
	}
}

static uint8_t read_byte(const struct fv_ide_channel *ch, uint32_t reg)
{
	if (reg == 0)
		return ch->bm_command;
	if (reg == 2)
		return ch->bm_status;
	return reg < 4 ? 0 : (uint8_t)(ch->bm_table >> 8 * (reg & 3));
}

static uint32_t bm_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_ide *ide = dev;
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		struct fv_ide_channel *ch = &ide->ch[(offset + i) >> 3 & 1];

		fv_ide_lock(ch);
		value |= (uint32_t)read_byte(ch, (offset + i) & 7) << 8 * i;
		fv_ide_unlock(ch);
	}
	return value;
}

static void bm_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_ide *ide = dev;

	for (unsigned i = 0; i < size; i++) {
		struct fv_ide_channel *ch = &ide->ch[(offset + i) >> 3 & 1];

		fv_ide_lock(ch);
		write_byte(ch, (offset + i) & 7, (uint8_t)(value >> 8 * i));
		fv_ide_unlock(ch);
	}
}

const struct fv_range_ops fv_ide_bm_ops = { .in = bm_in, .out = bm_out };
