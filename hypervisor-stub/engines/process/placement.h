/* SPDX-License-Identifier: MIT */
/*
 * Which core a vCPU's group runs on: our thread that serves it and its guest processes.
 *
 * One per vCPU; touched by the vCPU's thread only.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_PLACEMENT_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#define PE_MAX_CORES 1024

/* What one look found: how much of its core the group wanted and got, ns. */
struct pe_share {
	uint64_t wanted, got;
};

enum pe_place_state {
	PE_PLACE_CALM,    /* it gets what it wants, or nothing better was found lately */
	PE_PLACE_CROWDED, /* it does not; after a moment of chance it tries another core */
	PE_PLACE_TRYING,  /* it has moved and sees whether that was good */
};

struct pe_place {
	int core;            /* -1: not known, not pinned */
	int guest_core;      /* where the guest's processes are, if both sides spin; -1: with us */
	uint64_t spin_again; /* spinning is not looked at before this time, ns */
	enum pe_place_state state;
	int came_from;        /* TRYING: the core before */
	unsigned share_there; /* and what it got there, in 1/1000 of what it wanted */
	uint64_t not_before;  /* CROWDED, CALM: no move before this time, ns */
	uint64_t patience;    /* how long the next failure keeps it from trying, ns */
	uint32_t chance;      /* state of a generator of random numbers */
	/* The window that is being measured. */
	uint64_t since_ns, since_ticks, wanted_ticks, cpu_ns;
	uint64_t look_ticks; /* when to look at it */
	uint64_t left_ticks; /* when vcpu_run() returned last */
};

/*
 * What to do after a look; pure, so that it can be tested without a crowd.
 * idle: of each core, the part of the window that it was idle, in 1/1000; NULL: not known.
 * Returns the core to go to, or p->core.
 */
int pe_place_decide(struct pe_place *p, const struct pe_share *s, uint64_t now, const bool *allowed,
                    const unsigned *idle, unsigned nr_cores);

#endif
