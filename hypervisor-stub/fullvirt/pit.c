/* SPDX-License-Identifier: MIT */
/*
 * The 8254, computed: a channel is its count and the moment when it was loaded; what the counter
 * shows and what its output is follow from the clock. Only channel 0 has a timer, for its
 * interrupt.
 *
 * A periodic tick whose moment has passed while the host did something else is not made up for: the
 * next one comes when it is due, in step with the others.
 *
 * Source: Intel 8254 data sheet; port 0x61 as in the PIIX3 (82371SB) data sheet.
 * Not handled: counting in decimal (BCD); effect: it counts in binary. The gate starts channel 2
 * anew in all modes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "hypervisor-stub/fullvirt/pit.h"

#define NS_PER_S 1000000000ull
#define MIN_NS   20000u /* a faster tick would be nothing but interrupts, for host and guest */

enum access { LATCHED, LOW, HIGH, BOTH };

struct channel {
	uint8_t mode, access;
	uint32_t count;  /* 1 to 65536 */
	uint64_t loaded; /* ns */
	bool gate, is_counting;
	bool second_write, second_read; /* of BOTH */
	uint8_t low;                    /* first byte of a count that is being written */
	uint16_t latch;
	uint8_t latched; /* bytes of latch that are still to be read */
	bool status_latched;
	uint8_t status;
};

struct fv_pit {
	struct fv_bus *bus;
	pthread_mutex_t lock;
	struct channel ch[3];
	struct fv_irq irq;
	struct fv_timer timer;
	uint64_t due; /* of the timer; 0: not set */
	uint8_t port61;
	struct fv_range range, gate;
};

static bool is_periodic(const struct channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint64_t ticks_of(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * FV_PIT_HZ / NS_PER_S);
}

/* The first moment at which so many ticks have passed. */
static uint64_t ns_of(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * NS_PER_S + FV_PIT_HZ - 1) / FV_PIT_HZ);
}

static uint64_t passed(const struct channel *c)
{
	return c->is_counting ? ticks_of(fv_now() - c->loaded) : 0;
}

static uint16_t counter(const struct channel *c)
{
	uint64_t t = passed(c);

	if (c->mode == 2)
		return (uint16_t)(c->count - t % c->count);
	if (c->mode == 3) /* counts in twos, twice */
		return (uint16_t)(c->count - 2 * t % c->count);
	return (uint16_t)(c->count - t);
}

static bool output(const struct channel *c)
{
	uint64_t t = passed(c);

	switch (c->mode) {
	case 0:
		return c->is_counting && t >= c->count;
	case 1:
		return !c->is_counting || t >= c->count;
	case 2:
		return t % c->count != c->count - 1;
	case 3:
		return t % c->count < (c->count + 1) / 2;
	default: /* 4 and 5: low for one tick */
		return t != c->count;
	}
}

/* ---- the interrupt of channel 0 -------------------------------------------------------------- */

/* Sets the timer to the next rise of the output, which comes after now. */
static void set_timer(struct fv_pit *p, uint64_t now)
{
	const struct channel *c = &p->ch[0];
	uint64_t ticks = c->count;

	if (is_periodic(c)) {
		uint64_t least = ticks_of(MIN_NS) / c->count + 1;
		uint64_t periods = ticks_of(now - c->loaded) / c->count;

		ticks = (periods + (c->count < ticks_of(MIN_NS) ? least : 1)) * c->count;
	}
	p->due = c->loaded + ns_of(ticks);
	fv_timer_set(&p->timer, p->due);
}

static void on_timer(void *arg)
{
	struct fv_pit *p = arg;
	uint64_t now = fv_now();

	pthread_mutex_lock(&p->lock);
	/* It may have been set anew since it fired. */
	if (p->due && p->due <= now) {
		p->due = 0;
		if (is_periodic(&p->ch[0])) {
			fv_irq_set(&p->irq, false);
			set_timer(p, now);
		}
		fv_irq_set(&p->irq, true);
	}
	pthread_mutex_unlock(&p->lock);
}

static void load(struct fv_pit *p, unsigned nr, uint32_t count)
{
	struct channel *c = &p->ch[nr];

	c->count = count ? count : 65536;
	c->loaded = fv_now();
	c->is_counting = c->gate && c->mode != 1 && c->mode != 5;
	if (nr == 0) {
		fv_irq_set(&p->irq, false);
		set_timer(p, c->loaded);
	}
}

/* ---- ports 0x40 to 0x43 ---------------------------------------------------------------------- */

static void latch_counter(struct channel *c)
{
	if (c->latched)
		return;
	c->latch = counter(c);
	c->latched = c->access == BOTH ? 2 : 1;
	if (c->access == HIGH)
		c->latch >>= 8;
}

static void latch_status(struct channel *c)
{
	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (uint8_t)((output(c) ? 0x80 : 0) | c->access << 4 | c->mode << 1);
}

static void set_mode(struct fv_pit *p, unsigned nr, uint8_t value)
{
	struct channel *c = &p->ch[nr];

	c->access = value >> 4 & 3;
	c->mode = value >> 1 & 7;
	if (c->mode > 5)
		c->mode -= 4;
	c->second_write = c->second_read = false;
	c->latched = 0;
	c->status_latched = false;
	c->is_counting = false;
	if (nr == 0) {
		fv_irq_set(&p->irq, c->mode != 0);
		p->due = 0;
		fv_timer_stop(&p->timer);
	}
}

static void control(struct fv_pit *p, uint8_t value)
{
	unsigned nr = value >> 6;

	if (nr < 3) {
		if ((value >> 4 & 3) == LATCHED)
			latch_counter(&p->ch[nr]);
		else
			set_mode(p, nr, value);
		return;
	}
	for (nr = 0; nr < 3; nr++) {
		if (!(value >> 1 & 1u << nr))
			continue;
		if (!(value & 0x20))
			latch_counter(&p->ch[nr]);
		if (!(value & 0x10))
			latch_status(&p->ch[nr]);
	}
}

static void write_count(struct fv_pit *p, unsigned nr, uint8_t value)
{
	struct channel *c = &p->ch[nr];

	if (c->access == LOW) {
		load(p, nr, value);
	} else if (c->access == HIGH) {
		load(p, nr, (uint32_t)value << 8);
	} else if (c->second_write) {
		c->second_write = false;
		load(p, nr, (uint32_t)value << 8 | c->low);
	} else {
		c->second_write = true;
		c->low = value;
	}
}

static uint8_t read_count(struct channel *c)
{
	uint8_t value;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		value = (uint8_t)c->latch;
		c->latch >>= 8;
		c->latched--;
		return value;
	}
	if (c->access == BOTH)
		c->second_read = !c->second_read;
	if (c->access == HIGH || (c->access == BOTH && !c->second_read))
		return (uint8_t)(counter(c) >> 8);
	return (uint8_t)counter(c);
}

static uint32_t pit_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_pit *p = dev;
	uint32_t value = 0xff;

	(void)size;
	if (offset == 3)
		return value;
	pthread_mutex_lock(&p->lock);
	value = read_count(&p->ch[offset]);
	pthread_mutex_unlock(&p->lock);
	return value;
}

static void pit_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_pit *p = dev;

	(void)size;
	pthread_mutex_lock(&p->lock);
	if (offset == 3)
		control(p, (uint8_t)value);
	else
		write_count(p, offset, (uint8_t)value);
	pthread_mutex_unlock(&p->lock);
}

/* ---- port 0x61 ------------------------------------------------------------------------------- */

static uint32_t gate_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_pit *p = dev;
	uint32_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&p->lock);
	p->port61 ^= 0x10; /* memory refresh, which software has used to measure time */
	value = p->port61 | (output(&p->ch[2]) ? 0x20u : 0);
	pthread_mutex_unlock(&p->lock);
	return value;
}

static void gate_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_pit *p = dev;
	struct channel *c = &p->ch[2];

	(void)offset;
	(void)size;
	pthread_mutex_lock(&p->lock);
	p->port61 = (uint8_t)((p->port61 & 0x10) | (value & 3));
	if (value & 1 && !c->gate) {
		c->loaded = fv_now();
		c->is_counting = true;
	}
	c->gate = value & 1;
	if (!c->gate && c->mode != 1 && c->mode != 5)
		c->is_counting = false;
	pthread_mutex_unlock(&p->lock);
}

static const struct fv_range_ops pit_ops = { .in = pit_in, .out = pit_out };
static const struct fv_range_ops gate_ops = { .in = gate_in, .out = gate_out };

int fv_pit_create(struct fv_pit **out, struct fv_bus *bus, struct fv_timers *timers)
{
	struct fv_pit *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->bus = bus;
	for (unsigned i = 0; i < 3; i++)
		p->ch[i] = (struct channel){ .access = BOTH, .count = 65536, .gate = i != 2 };
	p->range = (struct fv_range){ .ops = &pit_ops, .dev = p, .len = 4, .bytes = true };
	p->gate = (struct fv_range){ .ops = &gate_ops, .dev = p, .len = 1, .bytes = true };
	rc = fv_irq_init(&p->irq, bus, 0);
	if (!rc)
		rc = fv_range_map(bus, &p->range, 0x40);
	if (!rc)
		rc = fv_range_map(bus, &p->gate, 0x61);
	if (rc) {
		fv_range_unmap(bus, &p->range);
		free(p);
		return rc;
	}
	pthread_mutex_init(&p->lock, NULL);
	fv_timer_init(&p->timer, timers, on_timer, p);
	*out = p;
	return 0;
}

void fv_pit_destroy(struct fv_pit *p)
{
	fv_timer_fini(&p->timer);
	fv_range_unmap(p->bus, &p->range);
	fv_range_unmap(p->bus, &p->gate);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
