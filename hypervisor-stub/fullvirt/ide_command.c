/* SPDX-License-Identifier: MIT */
/*
 * IDE commands, by a table, and the data port of those that work by PIO; see ide_priv.h.
 *
 * A block of a PIO command passes through the channel's buffer: the storage fills it and the guest
 * empties it, or the other way round, with an interrupt between blocks.
 *
 * Invariant: at <= end <= sizeof(buffer). sector and sectors lie on the disk from the command on.
 *
 * Source: ATA/ATAPI-6 (T13/1410D), chapter 8.
 * Not handled: queued commands, host protected areas, security, power management beyond answering,
 * switching the write cache off (refused: there are flushes). An error does not say which sector.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/ide_priv.h"

#define HEADS       16u
#define TRACK       63u
#define DEVICE_LBA  0x40
#define READ_FAILED IDE_UNC

enum { EXT = 1, WRITE = 2, MULTIPLE = 4, DMA = 8, VERIFY = 16 };

struct command {
	uint8_t code;
	void (*run)(struct fv_ide_channel *ch, unsigned flags);
	unsigned flags;
};

/* ---- where and how much ---------------------------------------------------------------------- */

static uint64_t address(const struct fv_ide_channel *ch, bool ext)
{
	uint64_t low = ch->lba[0][0] | ch->lba[1][0] << 8 | ch->lba[2][0] << 16;
	uint64_t high = ch->lba[0][1] | ch->lba[1][1] << 8 | ch->lba[2][1] << 16;
	uint32_t cylinder = ch->lba[1][0] | (uint32_t)ch->lba[2][0] << 8;

	if (ext)
		return low | high << 24;
	if (ch->device & DEVICE_LBA)
		return low | (uint64_t)(ch->device & 15) << 24;
	if (!ch->lba[0][0] || ch->lba[0][0] > TRACK)
		return UINT64_MAX;
	return ((uint64_t)cylinder * HEADS + (ch->device & 15)) * TRACK + ch->lba[0][0] - 1;
}

/* Sets sector and sectors; false: not on the disk. */
static bool find_sectors(struct fv_ide_channel *ch, bool ext)
{
	struct blkstore *s = fv_ide_selected(ch)->store;
	uint64_t all = s->ops->size(s) / IDE_SECTOR;
	uint32_t n = ext ? ch->count[0] | (uint32_t)ch->count[1] << 8 : ch->count[0];

	if (!n)
		n = ext ? 65536 : 256;
	ch->sector = address(ch, ext);
	ch->sectors = n;
	return n <= all && ch->sector <= all - n;
}

/* ---- PIO ------------------------------------------------------------------------------------- */

/* The buffer is given to the guest: it is to be read or filled. */
static void offer(struct fv_ide_channel *ch, enum fv_ide_phase phase, uint32_t len)
{
	ch->phase = phase;
	ch->at = 0;
	ch->end = len;
	ch->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
}

static uint32_t block_sectors(const struct fv_ide_channel *ch)
{
	return ch->sectors < ch->block ? ch->sectors : ch->block;
}

static void move_block(struct fv_ide_channel *ch)
{
	int rc;

	ch->req_sectors = block_sectors(ch);
	ch->iov[0] = (struct iovec){ ch->buffer, ch->req_sectors * IDE_SECTOR };
	ch->req.op = ch->is_write ? BLKSTORE_WRITE : BLKSTORE_READ;
	ch->req.iov = ch->iov;
	ch->req.nr_iov = 1;
	rc = fv_ide_io(ch);
	if (rc != -EINPROGRESS)
		fv_ide_pio_done(ch, rc);
}

void fv_ide_pio_done(struct fv_ide_channel *ch, int rc)
{
	struct fv_ide_stats *stats = &fv_ide_selected(ch)->stats;
	uint32_t bytes = ch->req_sectors * IDE_SECTOR;

	if (rc || ch->req.op == BLKSTORE_FLUSH) {
		fv_ide_finish(ch, !rc ? 0 : ch->is_write ? IDE_ABRT : READ_FAILED);
		return;
	}
	ch->sector += ch->req_sectors;
	ch->sectors -= ch->req_sectors;
	if (!ch->is_write) {
		stats->bytes_read += bytes;
		offer(ch, IDE_PIO_IN, bytes);
		fv_ide_interrupt(ch);
		return;
	}
	stats->bytes_written += bytes;
	if (!ch->sectors) {
		fv_ide_finish(ch, 0);
		return;
	}
	offer(ch, IDE_PIO_OUT, block_sectors(ch) * IDE_SECTOR);
	fv_ide_interrupt(ch);
}

/* All of the buffer has been read or filled. */
static void buffer_done(struct fv_ide_channel *ch)
{
	if (ch->phase == IDE_PIO_OUT || ch->sectors) {
		move_block(ch);
		return;
	}
	ch->phase = IDE_IDLE;
	ch->status = IDE_DRDY | IDE_DSC;
}

/* How many bytes may move now, at most len. */
static size_t share(const struct fv_ide_channel *ch, enum fv_ide_phase phase, size_t len)
{
	size_t left = ch->phase == phase ? ch->end - ch->at : 0;

	return len < left ? len : left;
}

void fv_ide_data_in(struct fv_ide_channel *ch, void *to, size_t len)
{
	uint8_t *bytes = to;

	while (len) {
		size_t n = share(ch, IDE_PIO_IN, len);

		if (!n) { /* more than there is */
			memset(bytes, 0xff, len);
			return;
		}
		memcpy(bytes, ch->buffer + ch->at, n);
		ch->at += (uint32_t)n;
		bytes += n;
		len -= n;
		if (ch->at == ch->end)
			buffer_done(ch);
	}
}

void fv_ide_data_out(struct fv_ide_channel *ch, const void *from, size_t len)
{
	const uint8_t *bytes = from;

	while (len) {
		size_t n = share(ch, IDE_PIO_OUT, len);

		if (!n)
			return;
		memcpy(ch->buffer + ch->at, bytes, n);
		ch->at += (uint32_t)n;
		bytes += n;
		len -= n;
		if (ch->at == ch->end)
			buffer_done(ch);
	}
}

/* ---- reading and writing --------------------------------------------------------------------- */

static void cmd_transfer(struct fv_ide_channel *ch, unsigned flags)
{
	struct fv_ide_drive *d = fv_ide_selected(ch);

	ch->is_write = flags & WRITE;
	ch->is_dma = flags & DMA;
	ch->block = flags & MULTIPLE ? d->multiple : 1;
	if (!ch->block || (ch->is_write && d->store->readonly)) {
		fv_ide_finish(ch, IDE_ABRT);
		return;
	}
	if (!find_sectors(ch, flags & EXT)) {
		fv_ide_finish(ch, IDE_IDNF);
		return;
	}
	d->stats.reads += !ch->is_write;
	d->stats.writes += ch->is_write;
	if (flags & VERIFY)
		fv_ide_finish(ch, 0);
	else if (ch->is_dma)
		fv_ide_dma_begin(ch);
	else if (ch->is_write)
		offer(ch, IDE_PIO_OUT, block_sectors(ch) * IDE_SECTOR);
	else
		move_block(ch);
}

static void cmd_flush(struct fv_ide_channel *ch, unsigned flags)
{
	struct fv_ide_drive *d = fv_ide_selected(ch);
	int rc;

	(void)flags;
	d->stats.flushes++;
	if (!d->store->can_flush || d->store->readonly) {
		fv_ide_finish(ch, 0);
		return;
	}
	ch->is_write = true;
	ch->is_dma = false;
	ch->req_sectors = 0;
	ch->req.op = BLKSTORE_FLUSH;
	ch->req.nr_iov = 0;
	rc = fv_ide_io(ch);
	if (rc != -EINPROGRESS)
		fv_ide_pio_done(ch, rc);
}

/* ---- what a drive is ------------------------------------------------------------------------- */

/* Text of a drive: two characters a word, the first one above. */
static void put_text(uint8_t *at, const char *text, size_t len)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < len; i++)
		at[i ^ 1] = (uint8_t)(i < n ? text[i] : ' ');
}

static void put_word(uint8_t *id, unsigned word, uint64_t value, unsigned words)
{
	for (unsigned i = 0; i < 2 * words; i++)
		id[2 * word + i] = (uint8_t)(value >> 8 * i);
}

static void put_geometry(uint8_t *id, uint64_t sectors)
{
	uint64_t cylinders = sectors / (HEADS * TRACK);

	if (cylinders > 16383)
		cylinders = 16383;
	for (unsigned word = 1; word <= 54; word += 53) { /* default, and current */
		put_word(id, word, cylinders, 1);
		put_word(id, word == 1 ? 3 : 55, HEADS, 1);
		put_word(id, word == 1 ? 6 : 56, TRACK, 1);
	}
	put_word(id, 57, cylinders * HEADS * TRACK, 2);
	put_word(id, 60, sectors < 0x0fffffff ? sectors : 0x0fffffff, 2);
	put_word(id, 100, sectors, 4);
}

static void fill_identity(struct fv_ide_channel *ch)
{
	static const struct {
		uint8_t word;
		uint16_t value;
	} words[] = {
		{ 0, 0x0040 }, /* a fixed disk */
		{ 47, 0x8000 | IDE_MULTIPLE },
		{ 49, 0x0b00 }, /* LBA, DMA, IORDY */
		{ 50, 0x4000 },
		{ 51, 0x0200 },
		{ 52, 0x0200 },
		{ 53, 0x0007 }, /* words 54 to 58, 64 to 70, 88 are valid */
		{ 63, 0x0007 }, /* multiword DMA 0 to 2 */
		{ 64, 0x0003 },
		{ 65, 120 },
		{ 66, 120 },
		{ 67, 120 },
		{ 68, 120 },
		{ 80, 0x007e }, /* up to ATA/ATAPI-6 */
		{ 82, 0x4020 }, /* NOP, write cache */
		{ 83, 0x7400 }, /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
		{ 84, 0x4000 },
		{ 85, 0x4020 },
		{ 86, 0x3400 },
		{ 87, 0x4000 },
		{ 88, 0x203f }, /* Ultra DMA 0 to 5, the last one chosen */
		{ 93, 0x6001 }, /* a cable of 80 wires */
	};
	struct fv_ide_drive *d = fv_ide_selected(ch);
	struct blkstore *s = d->store;
	unsigned shift = 0;
	uint8_t *id = ch->buffer;
	char serial[] = "PV00001";

	memset(id, 0, IDE_SECTOR);
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		put_word(id, words[i].word, words[i].value, 1);
	serial[6] = (char)('1' + 2 * (ch == &ch->ide->ch[1]) + (d == &ch->drive[1]));
	put_text(id + 20, serial, 20);
	put_text(id + 46, "1.0", 8);
	put_text(id + 54, "PARAVANE HARDDISK", 40);
	put_geometry(id, s->ops->size(s) / IDE_SECTOR);
	if (d->multiple)
		put_word(id, 59, 0x100 | d->multiple, 1);
	while (shift < 15 && IDE_SECTOR << (shift + 1) <= s->physical_block)
		shift++;
	put_word(id, 106, 0x4000 | (shift ? 0x2000 | shift : 0), 1);
}

static void cmd_identify(struct fv_ide_channel *ch, unsigned flags)
{
	(void)flags;
	fill_identity(ch);
	ch->sectors = 0;
	offer(ch, IDE_PIO_IN, IDE_SECTOR);
	fv_ide_interrupt(ch);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void cmd_set_multiple(struct fv_ide_channel *ch, unsigned flags)
{
	uint8_t n = ch->count[0];
	bool good = n <= IDE_MULTIPLE && !(n & (n - 1));

	(void)flags;
	if (good)
		fv_ide_selected(ch)->multiple = n;
	fv_ide_finish(ch, good ? 0 : IDE_ABRT);
}

static void cmd_set_features(struct fv_ide_channel *ch, unsigned flags)
{
	(void)flags;
	switch (ch->feature) {
	case 0x02: /* write cache on: it is */
	case 0x03: /* transfer mode: all are the same to us */
	case 0x55: /* read-ahead off and on: without meaning */
	case 0xaa:
		fv_ide_finish(ch, 0);
		break;
	default:
		fv_ide_finish(ch, IDE_ABRT);
	}
}

static void cmd_diagnose(struct fv_ide_channel *ch, unsigned flags)
{
	(void)flags;
	fv_ide_reset(ch);
	fv_ide_interrupt(ch);
}

static void cmd_power_state(struct fv_ide_channel *ch, unsigned flags)
{
	(void)flags;
	ch->count[0] = 0xff; /* active */
	fv_ide_finish(ch, 0);
}

static void cmd_nothing(struct fv_ide_channel *ch, unsigned flags)
{
	(void)flags;
	fv_ide_finish(ch, 0);
}

static const struct command commands[] = {
	{ 0x10, cmd_nothing, 0 }, /* recalibrate */
	{ 0x20, cmd_transfer, 0 },
	{ 0x21, cmd_transfer, 0 },
	{ 0x24, cmd_transfer, EXT },
	{ 0x25, cmd_transfer, EXT | DMA },
	{ 0x29, cmd_transfer, EXT | MULTIPLE },
	{ 0x30, cmd_transfer, WRITE },
	{ 0x31, cmd_transfer, WRITE },
	{ 0x34, cmd_transfer, WRITE | EXT },
	{ 0x35, cmd_transfer, WRITE | EXT | DMA },
	{ 0x39, cmd_transfer, WRITE | EXT | MULTIPLE },
	{ 0x40, cmd_transfer, VERIFY },
	{ 0x41, cmd_transfer, VERIFY },
	{ 0x42, cmd_transfer, VERIFY | EXT },
	{ 0x70, cmd_nothing, 0 }, /* seek */
	{ 0x90, cmd_diagnose, 0 },
	{ 0x91, cmd_nothing, 0 }, /* geometry */
	{ 0xc4, cmd_transfer, MULTIPLE },
	{ 0xc5, cmd_transfer, WRITE | MULTIPLE },
	{ 0xc6, cmd_set_multiple, 0 },
	{ 0xc8, cmd_transfer, DMA },
	{ 0xc9, cmd_transfer, DMA },
	{ 0xca, cmd_transfer, WRITE | DMA },
	{ 0xcb, cmd_transfer, WRITE | DMA },
	{ 0xe0, cmd_nothing, 0 }, /* standby, idle: it stays awake */
	{ 0xe1, cmd_nothing, 0 },
	{ 0xe2, cmd_nothing, 0 },
	{ 0xe3, cmd_nothing, 0 },
	{ 0xe5, cmd_power_state, 0 },
	{ 0xe7, cmd_flush, 0 },
	{ 0xea, cmd_flush, EXT },
	{ 0xec, cmd_identify, 0 },
	{ 0xef, cmd_set_features, 0 },
};

void fv_ide_command(struct fv_ide_channel *ch, uint8_t code)
{
	ch->phase = IDE_IDLE; /* a new command ends what was being moved */
	ch->error = 0;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (commands[i].code == code) {
			commands[i].run(ch, commands[i].flags);
			return;
		}
	}
	fv_ide_finish(ch, IDE_ABRT);
}
