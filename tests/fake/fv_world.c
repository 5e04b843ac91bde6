/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fake/fv_world.h"

static void kick(void *arg)
{
	atomic_fetch_add(&((struct fv_world *)arg)->kicks, 1);
}

static void power(void *arg, enum fv_power what, unsigned code)
{
	struct fv_world *w = arg;

	w->powers++;
	w->power = what;
	w->code = code;
}

static void wrote(void *arg, uint64_t gpa, uint64_t len)
{
	struct fv_world *w = arg;

	if (!fv_ram(w->bus, gpa, len))
		abort();
	atomic_fetch_add(&w->wrote, len);
}

static void complain(void *arg, const char *line)
{
	(void)line;
	atomic_fetch_add(&((struct fv_world *)arg)->complaints, 1);
}

static ssize_t put(void *arg, const void *bytes, size_t len)
{
	struct fv_world *w = arg;

	if (len > w->text_room)
		len = w->text_room;
	if (len > sizeof(w->text) - w->text_len)
		w->text_len = 0;
	if (len > sizeof(w->text))
		len = sizeof(w->text);
	memcpy(w->text + w->text_len, bytes, len);
	w->text_len += len;
	w->text_room -= len;
	return (ssize_t)len;
}

static void output_waits(void *arg)
{
	atomic_fetch_add(&((struct fv_world *)arg)->output_waits, 1);
}

static void input_room(void *arg)
{
	atomic_fetch_add(&((struct fv_world *)arg)->input_rooms, 1);
}

void fv_world_config(struct fv_world *w, struct fv_pc_config *config)
{
	memset(w, 0, sizeof(*w));
	w->low = calloc(1, FV_WORLD_LOW);
	w->high = calloc(1, FV_WORLD_HIGH);
	w->text_room = SIZE_MAX;
	*config = (struct fv_pc_config){
		.host = { kick, power, wrote, complain, w },
		.console = { put, w, output_waits, input_room, w },
		.ram = { { 0, FV_WORLD_LOW, w->low }, { FV_WORLD_AT, FV_WORLD_HIGH, w->high } },
		.nr_ram = 2,
	};
}

void fv_world_start(struct fv_world *w, const struct fv_pc_config *config)
{
	char why[256];

	if (!w->low || !w->high || fv_pc_create(&w->pc, config, why, sizeof(why)))
		abort();
	w->bus = w->pc->bus;
}

void fv_world_stop(struct fv_world *w)
{
	fv_pc_destroy(w->pc);
	free(w->low);
	free(w->high);
}

bool fv_world_wait_irq(struct fv_world *w)
{
	for (unsigned i = 0; i < 100000 && !fv_irq_pending(w->bus); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	return fv_irq_pending(w->bus);
}

void fv_world_open_pics(struct fv_world *w)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} setup[] = {
		{ 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0 },
		{ 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0 },
	};

	for (unsigned i = 0; i < sizeof(setup) / sizeof(*setup); i++)
		fv_port_out(w->bus, setup[i].port, 1, setup[i].value);
}

unsigned fv_world_take_irq(struct fv_world *w)
{
	unsigned line = fv_irq_ack(w->bus) - 0x20u;

	if (line >= 8)
		fv_port_out(w->bus, 0xa0, 1, 0x20);
	fv_port_out(w->bus, 0x20, 1, 0x20);
	return line;
}
