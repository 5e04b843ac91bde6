/* SPDX-License-Identifier: MIT */
/*
 * The loads of blkbench, done by this process on the file itself, in every way that Linux has.
 */
#ifndef TESTS_BENCH_BLK_NATIVE_H
#define TESTS_BENCH_BLK_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load {
	const char *name; /* as tests/guests/blkbench says it */
	bool write, sequential;
	unsigned bytes, flight;
};

enum way { PREAD, AIO, URING, NR_WAYS };

/*
 * Requests per second of a load, for so many ms; 0: this way does not exist here.
 * buf: flight * bytes, aligned to pages.
 */
double native_run(enum way way, const struct load *l, int fd, uint64_t size, void *buf,
                  unsigned ms);

#endif
