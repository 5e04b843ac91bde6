/* SPDX-License-Identifier: MIT */
/*
 * One named function per ordering rule and per atomic step, for memory that the hypervisor or
 * another vCPU reads and writes at the same time.
 *
 * The processor keeps stores in order and loads in order, so acquire and release cost nothing
 * there; they stop the compiler. Only a store that a later load must not overtake needs pv_mb().
 */
#ifndef PVOPS_BARRIER_H
#define PVOPS_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

/* Everything before is done before anything after. */
static inline void pv_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The compiler moves nothing across; the processor is not told. */
static inline void pv_compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void pv_cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Loads that nothing later overtakes. */
#define pv_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
/* Stores that overtake nothing earlier. */
#define pv_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* One access, never repeated or split by the compiler. */
#define pv_load(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define pv_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
/* Atomic exchange; a full barrier. */
#define pv_xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

/* Bit maps of 64-bit words that both sides change: locked, a full barrier each. */
static inline bool pv_bit_test(const uint64_t *map, unsigned int bit)
{
	return pv_load(&map[bit / 64]) >> (bit % 64) & 1;
}

static inline bool pv_bit_set(uint64_t *map, unsigned int bit)
{
	uint64_t one = 1ull << (bit % 64);

	return __atomic_fetch_or(&map[bit / 64], one, __ATOMIC_SEQ_CST) & one;
}

static inline bool pv_bit_clear(uint64_t *map, unsigned int bit)
{
	uint64_t one = 1ull << (bit % 64);

	return __atomic_fetch_and(&map[bit / 64], ~one, __ATOMIC_SEQ_CST) & one;
}

#endif /* PVOPS_BARRIER_H */
