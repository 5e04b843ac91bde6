/* SPDX-License-Identifier: MIT */
/*
 * A virtual PC without a processor, as the tests of its devices need it: memory with a hole, a
 * console that remembers, counters of what the devices told.
 */
#ifndef TESTS_FAKE_FV_WORLD_H
#define TESTS_FAKE_FV_WORLD_H

#include "hypervisor-stub/fullvirt/pc.h"

#define FV_WORLD_LOW  (1u << 20) /* bytes at 0 */
#define FV_WORLD_HIGH (1u << 20) /* bytes at 4 GiB */
#define FV_WORLD_AT   (1ull << 32)

struct fv_world {
	struct fv_pc *pc;
	struct fv_bus *bus; /* pc's */
	uint8_t *low, *high;
	char text[8192];            /* on the console */
	atomic_size_t text_len;
	size_t text_room; /* bytes that the sink takes now */
	atomic_uint kicks, output_waits, input_rooms, complaints;
	atomic_ullong wrote; /* bytes */
	unsigned powers;
	enum fv_power power;
	unsigned code;
};

/* Fills a configuration, which the caller may change. */
void fv_world_config(struct fv_world *w, struct fv_pc_config *config);
void fv_world_start(struct fv_world *w, const struct fv_pc_config *config);
void fv_world_stop(struct fv_world *w);

/* Waits, at most ten seconds, until an interrupt is asked for; false: in vain. */
bool fv_world_wait_irq(struct fv_world *w);
/* The PICs as an operating system sets them: vectors 0x20 and 0x28, all lines open. */
void fv_world_open_pics(struct fv_world *w);
/* Takes the interrupt and ends it at both chips; its line. */
unsigned fv_world_take_irq(struct fv_world *w);

#endif
