/* SPDX-License-Identifier: MIT */
/*
 * The workloads of `make bench`: each runs one system once and adds what it measured to the round.
 */
#ifndef TESTS_BENCH_WORKLOADS_H
#define TESTS_BENCH_WORKLOADS_H

#include "tests/bench/figures.h"
#include "tests/bench/net_place.h"
#include "tests/bench/spawn.h"
#include "tests/bench/systems.h"

/* A row of the table. */
struct row_def {
	const char *name, *unit, *group;
	bool more_is_better;
	double scale; /* from what is measured (ns, or a number a second) to the unit */
	const char *what;
};

/* Ends with a name of NULL. */
extern const struct row_def row_defs[];

struct bench {
	struct places places;
	struct figures figures;
	bool quick;
	const char *image; /* of a disk, or NULL when none could be made */
	void *buffer;      /* for the native disk loads */
	bool has_net;      /* net is there */
	struct net_place net;
};

/* Adds a figure to the row of that name, if there is one; best and median before scaling. */
bool bench_add(struct bench *b, enum system s, const char *row, double best, double median);

/* Each returns whether it measured anything. */
bool run_programs(struct bench *b, enum system s);
bool run_events(struct bench *b, enum system s);
bool run_console(struct bench *b, enum system s);
bool run_boot(struct bench *b, enum system s);
bool run_idle(struct bench *b, enum system s);
bool run_disk(struct bench *b, enum system s);
bool run_net(struct bench *b, enum system s);

/* For workloads: starts one; when to stop waiting for it (bench_now()). */
bool bench_launch(struct bench *b, enum system s, const struct launch *l, struct bench_run *r);
double bench_limit(const struct bench *b);

/* A raw image for the disk loads, and the buffer; false when it cannot be made. */
bool make_disk(struct bench *b, const char *path);

#endif /* TESTS_BENCH_WORKLOADS_H */
