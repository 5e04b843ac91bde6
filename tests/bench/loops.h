/* SPDX-License-Identifier: MIT */
/*
 * The loops that need nothing but the processor and its memory: the same source for a guest's program and
 * for a native one, so that both are compiled to the same code. No library, no header of a host.
 */
#ifndef TESTS_BENCH_LOOPS_H
#define TESTS_BENCH_LOOPS_H

#include <stdint.h>

#define LOOP_STEPS 10000
#define LOOP_BYTES \
	(4ul << 20) /* of each half of the memory loop: more than a core's own caches hold */

/* Shifts, a multiplication, a table that is looked into, a branch that nobody can predict. */
static __attribute__((noinline)) uint64_t loop_integer(uint64_t seed)
{
	static uint32_t table[1024];
	uint64_t x = seed | 1, sum = 0;
	unsigned i;

	for (i = 0; i < LOOP_STEPS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x & 1)
			sum += table[x >> 54]++;
		else
			sum = sum * 0x9e3779b97f4a7c15ull + x;
	}
	return sum;
}

/* A point of the Mandelbrot set, and a division in each step. */
static __attribute__((noinline)) double loop_floating(double c)
{
	double x = 0, y = 0, sum = 0, t;
	unsigned i;

	for (i = 0; i < LOOP_STEPS; i++) {
		t = x * x - y * y + c;
		y = 2 * x * y + c / 3;
		x = t;
		sum += x / (y * y + 1);
	}
	return sum;
}

/* One half to the other; memory: of 2 * LOOP_BYTES. */
static __attribute__((noinline)) void loop_memory(void *memory)
{
	void *to = (char *)memory + LOOP_BYTES, *from = memory;
	unsigned long n = LOOP_BYTES / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

#endif /* TESTS_BENCH_LOOPS_H */
