/* SPDX-License-Identifier: MIT */
/*
 * An input that is a list of steps: one byte that says what, one byte of length, and so many bytes for that
 * step; of the last one there may be fewer.
 */
#ifndef TESTS_FUZZ_STEPS_H
#define TESTS_FUZZ_STEPS_H

#include <stddef.h>
#include <stdint.h>

typedef void fuzz_step(void *world, uint8_t what, const uint8_t *bytes, size_t len);

static inline void fuzz_steps(void *world, fuzz_step *step, const uint8_t *data, size_t len)
{
	size_t at = 0, n;

	while (at + 2 <= len) {
		n = data[at + 1];
		if (n > len - at - 2)
			n = len - at - 2;
		step(world, data[at], data + at + 2, n);
		at += 2 + n;
	}
}

#endif
