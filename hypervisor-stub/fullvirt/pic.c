/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259s.
 *
 * Devices raise and lower lines from any thread; the CPU programs the chips and takes vectors. One
 * lock keeps the chips whole. After each change the outcome is stored in bus->intr, and the host is
 * told when that becomes true, the lock given up.
 *
 * The second chip's output is not stored in the first: it is asked for whenever the first decides,
 * so it can neither be lost nor stay behind.
 *
 * Source: Intel 8259A data sheet; registers 0x4d0 and 0x4d1 as in the PIIX3 (82371SB) data sheet.
 * Not handled: the 8080 mode and buffered mode; effect: none on a PC.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "hypervisor-stub/fullvirt/pic.h"

#define CASCADE  2u
#define SPURIOUS 7u
#define NONE     8u

enum init_step { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

struct chip {
	uint8_t lines; /* as they are now */
	uint8_t irr, imr, isr;
	uint8_t level; /* bit: level triggered (0x4d0) */
	uint8_t base;  /* vector of line 0 */
	uint8_t first; /* the line of highest priority */
	bool read_isr, poll, special_mask, special_nested, auto_eoi, rotate_auto, wants_icw4;
	bool all_level; /* ICW1.LTIM */
	enum init_step step;
};

struct fv_pic {
	struct fv_bus *bus;
	pthread_mutex_t lock;
	struct chip chip[2];
	uint32_t sources[FV_IRQ_LINES]; /* who holds the line high */
	uint32_t taken[FV_IRQ_LINES];
	struct fv_range port[2], elcr;
};

/* ---- deciding -------------------------------------------------------------------------------- */

/* The place in the order, 0 the highest, of the first line in mask; NONE. */
static unsigned priority(const struct chip *c, unsigned mask)
{
	unsigned place;

	for (place = 0; place < NONE; place++)
		if (mask & 1u << ((c->first + place) & 7))
			break;
	return place;
}

/* The line that the chip asks for; NONE. */
static unsigned wanted(const struct fv_pic *pic, unsigned nr)
{
	const struct chip *c = &pic->chip[nr];
	unsigned requests = c->irr, serving = c->isr, place;

	if (nr == 0 && wanted(pic, 1) != NONE)
		requests |= 1u << CASCADE;
	if (c->special_mask)
		serving &= (unsigned)~c->imr;
	if (nr == 0 && c->special_nested)
		serving &= ~(1u << CASCADE);
	place = priority(c, requests & (unsigned)~c->imr);
	if (place == NONE || place >= priority(c, serving))
		return NONE;
	return (c->first + place) & 7;
}

static bool is_level(const struct chip *c, unsigned line)
{
	return c->all_level || c->level >> line & 1;
}

/* The CPU takes the line's interrupt. */
static void take(struct chip *c, unsigned line)
{
	if (!c->auto_eoi)
		c->isr |= (uint8_t)(1u << line);
	else if (c->rotate_auto)
		c->first = (uint8_t)((line + 1) & 7);
	if (!is_level(c, line))
		c->irr &= (uint8_t) ~(1u << line);
}

/* Lock held; returns whether the host is to be told when it has been given up. */
static bool decide(struct fv_pic *pic)
{
	bool asks = wanted(pic, 0) != NONE;

	/* Release: who sees it sees what the device did before; acquire in fv_irq_pending(). */
	return !atomic_exchange(&pic->bus->intr, asks) && asks;
}

static void unlock_and_tell(struct fv_pic *pic)
{
	struct fv_bus *bus = pic->bus;
	bool tell = decide(pic);

	pthread_mutex_unlock(&pic->lock);
	if (tell && bus->host.kick)
		bus->host.kick(bus->host.arg);
}

uint8_t fv_irq_ack(struct fv_bus *bus)
{
	struct fv_pic *pic = bus->pic;
	unsigned nr = 0, line;

	pthread_mutex_lock(&pic->lock);
	line = wanted(pic, 0);
	if (line == CASCADE) {
		take(&pic->chip[0], CASCADE);
		nr = 1;
		line = wanted(pic, 1);
	}
	if (line == NONE)
		line = SPURIOUS;
	else
		take(&pic->chip[nr], line);
	line += pic->chip[nr].base;
	unlock_and_tell(pic);
	return (uint8_t)line;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void set_line(struct chip *c, unsigned line, bool high)
{
	uint8_t bit = (uint8_t)(1u << line);

	if (high && (is_level(c, line) || !(c->lines & bit)))
		c->irr |= bit;
	else if (!high && is_level(c, line))
		c->irr &= (uint8_t)~bit;
	c->lines = high ? c->lines | bit : c->lines & (uint8_t)~bit;
}

void fv_irq_set(const struct fv_irq *irq, bool level)
{
	struct fv_pic *pic = irq->bus->pic;
	uint32_t *sources = &pic->sources[irq->line];
	bool was;

	pthread_mutex_lock(&pic->lock);
	was = *sources;
	*sources = level ? *sources | irq->source : *sources & ~irq->source;
	if (was == (*sources != 0)) {
		pthread_mutex_unlock(&pic->lock);
		return;
	}
	set_line(&pic->chip[irq->line / 8], irq->line % 8, !was);
	unlock_and_tell(pic);
}

int fv_irq_init(struct fv_irq *irq, struct fv_bus *bus, unsigned line)
{
	uint32_t *taken;

	if (line >= FV_IRQ_LINES || line == CASCADE)
		return -EINVAL;
	taken = &bus->pic->taken[line];
	if (*taken == UINT32_MAX)
		return -ENOSPC;
	irq->bus = bus;
	irq->line = (uint8_t)line;
	irq->source = ~*taken & (*taken + 1);
	*taken |= irq->source;
	return 0;
}

void fv_pic_set_level_triggered(struct fv_bus *bus, unsigned line)
{
	bus->pic->chip[line / 8].level |= (uint8_t)(1u << line % 8);
}

/* ---- registers ------------------------------------------------------------------------------- */

static void begin_init(struct chip *c, uint8_t icw1)
{
	uint8_t lines = c->lines, level = c->level;

	*c = (struct chip){ .lines = lines, .level = level };
	c->all_level = icw1 & 8;
	c->wants_icw4 = icw1 & 1;
	c->step = WANT_ICW2;
	/* An edge must come anew; a level that is there counts. */
	for (unsigned line = 0; line < 8; line++)
		if (is_level(c, line))
			c->irr |= lines & (uint8_t)(1u << line);
}

/* OCW2: the end of an interrupt, and the rotation of priorities. */
static void end_interrupt(struct chip *c, uint8_t ocw2)
{
	unsigned place = priority(c, c->isr), line = ocw2 & 7;
	bool rotate = ocw2 & 0x80, specific = ocw2 & 0x40, eoi = ocw2 & 0x20;

	if (!eoi && !specific) {
		c->rotate_auto = rotate;
		return;
	}
	if (!specific) {
		if (place == NONE)
			return;
		line = (c->first + place) & 7;
	} else if (!eoi && !rotate) {
		return; /* no operation */
	}
	if (eoi)
		c->isr &= (uint8_t) ~(1u << line);
	if (rotate)
		c->first = (uint8_t)((line + 1) & 7);
}

static void command(struct chip *c, uint8_t value)
{
	if (value & 0x10) {
		begin_init(c, value);
	} else if (!(value & 0x08)) {
		end_interrupt(c, value);
	} else {
		if (value & 0x04)
			c->poll = true;
		if (value & 0x02)
			c->read_isr = value & 1;
		if (value & 0x40)
			c->special_mask = value & 0x20;
	}
}

static void data(struct chip *c, unsigned nr, uint8_t value)
{
	switch (c->step) {
	case READY:
		c->imr = value;
		break;
	case WANT_ICW2:
		c->base = value & 0xf8;
		c->step = WANT_ICW3;
		break;
	case WANT_ICW3: /* how the chips are wired is no choice */
		c->step = c->wants_icw4 ? WANT_ICW4 : READY;
		break;
	case WANT_ICW4:
		c->special_nested = nr == 0 && value & 0x10;
		c->auto_eoi = value & 0x02;
		c->step = READY;
		break;
	}
}

static void pic_write(struct fv_pic *pic, unsigned nr, uint32_t offset, uint8_t value)
{
	struct chip *c = &pic->chip[nr];

	pthread_mutex_lock(&pic->lock);
	if (offset)
		data(c, nr, value);
	else
		command(c, value);
	unlock_and_tell(pic);
}

static uint32_t poll(struct fv_pic *pic, unsigned nr)
{
	struct chip *c = &pic->chip[nr];
	unsigned line = wanted(pic, nr);

	c->poll = false;
	if (line == NONE)
		return 0;
	take(c, line);
	return 0x80 | line;
}

static uint32_t pic_read(struct fv_pic *pic, unsigned nr, uint32_t offset)
{
	struct chip *c = &pic->chip[nr];
	uint32_t value;

	pthread_mutex_lock(&pic->lock);
	if (c->poll)
		value = poll(pic, nr);
	else if (offset)
		value = c->imr;
	else
		value = c->read_isr ? c->isr : c->irr;
	unlock_and_tell(pic);
	return value;
}

/* ---- ports ----------------------------------------------------------------------------------- */

static uint32_t in_first(void *dev, uint32_t offset, unsigned size)
{
	(void)size;
	return pic_read(dev, 0, offset);
}

static uint32_t in_second(void *dev, uint32_t offset, unsigned size)
{
	(void)size;
	return pic_read(dev, 1, offset);
}

static void out_first(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	(void)size;
	pic_write(dev, 0, offset, (uint8_t)value);
}

static void out_second(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	(void)size;
	pic_write(dev, 1, offset, (uint8_t)value);
}

static uint32_t in_elcr(void *dev, uint32_t offset, unsigned size)
{
	struct fv_pic *pic = dev;

	(void)size;
	return pic->chip[offset & 1].level;
}

/* Timer, keyboard, cascade, clock and coprocessor are edge triggered for good. */
static void out_elcr(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	static const uint8_t may[2] = { 0xf8, 0xde };
	struct fv_pic *pic = dev;

	(void)size;
	pthread_mutex_lock(&pic->lock);
	pic->chip[offset & 1].level = (uint8_t)value & may[offset & 1];
	unlock_and_tell(pic);
}

static const struct fv_range_ops first_ops = { .in = in_first, .out = out_first };
static const struct fv_range_ops second_ops = { .in = in_second, .out = out_second };
static const struct fv_range_ops elcr_ops = { .in = in_elcr, .out = out_elcr };

int fv_pic_create(struct fv_bus *bus)
{
	struct fv_pic *pic = calloc(1, sizeof(*pic));

	if (!pic)
		return -ENOMEM;
	pthread_mutex_init(&pic->lock, NULL);
	pic->bus = bus;
	pic->chip[0].imr = pic->chip[1].imr = 0xff;
	pic->port[0] = (struct fv_range){ .ops = &first_ops, .dev = pic, .len = 2, .bytes = true };
	pic->port[1] = (struct fv_range){ .ops = &second_ops, .dev = pic, .len = 2, .bytes = true };
	pic->elcr = (struct fv_range){ .ops = &elcr_ops, .dev = pic, .len = 2, .bytes = true };
	bus->pic = pic;
	fv_range_map(bus, &pic->port[0], 0x20);
	fv_range_map(bus, &pic->port[1], 0xa0);
	fv_range_map(bus, &pic->elcr, 0x4d0);
	return 0;
}

void fv_pic_destroy(struct fv_bus *bus)
{
	struct fv_pic *pic = bus->pic;

	fv_range_unmap(bus, &pic->port[0]);
	fv_range_unmap(bus, &pic->port[1]);
	fv_range_unmap(bus, &pic->elcr);
	pthread_mutex_destroy(&pic->lock);
	bus->pic = NULL;
	free(pic);
}
