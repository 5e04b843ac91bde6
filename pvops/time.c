/* SPDX-License-Identifier: MIT */
/*
 * Clocks by vcpu_time_info: the processor's counter, scaled by numbers that the hypervisor keeps up
 * to date in shared memory under a version.
 *
 * Invariant: two calls of pv_time_now_ns(), on whatever vCPUs, the second begun after the first
 * ended, do not see time go back. Where the hypervisor says that the counters of all processors
 * agree, they see to that; elsewhere a common high-water mark does.
 */
#include "pvops/time.h"

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/hypercall.h"
#include "pvops/pvguest.h"

#define NS_PER_S 1000000000ull

static uint64_t high_water;

/* The fence keeps the counter from being read before what came earlier in the program. */
static uint64_t read_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

uint64_t pv_time_scale(uint64_t ticks, uint32_t mul, int shift)
{
	if (shift < 0)
		ticks >>= -shift;
	else
		ticks <<= shift;
	return (uint64_t)((unsigned __int128)ticks * mul >> 32);
}

void pv_time_snapshot(const struct vcpu_time_info *shared, struct vcpu_time_info *copy)
{
	uint32_t version;

	for (;;) {
		version = pv_load_acquire(&shared->version);
		if (version & 1) {
			pv_cpu_relax();
			continue;
		}
		copy->tsc_timestamp = pv_load(&shared->tsc_timestamp);
		copy->system_time = pv_load(&shared->system_time);
		copy->tsc_to_system_mul = pv_load(&shared->tsc_to_system_mul);
		copy->tsc_shift = pv_load(&shared->tsc_shift);
		copy->flags = pv_load(&shared->flags);
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the fields before the second look */
		if (pv_load(&shared->version) == version)
			break;
	}
	copy->version = version;
}

uint64_t pv_time_at(const struct vcpu_time_info *copy, uint64_t tsc)
{
	/* The counter may seem to lie behind the stamp when another processor wrote it. */
	if (tsc < copy->tsc_timestamp)
		return copy->system_time;
	return copy->system_time +
	       pv_time_scale(tsc - copy->tsc_timestamp, copy->tsc_to_system_mul, copy->tsc_shift);
}

static uint64_t at_least_high_water(uint64_t now)
{
	uint64_t seen = pv_load(&high_water);

	while (now > seen)
		if (__atomic_compare_exchange_n(&high_water, &seen, now, false, __ATOMIC_SEQ_CST,
		                                __ATOMIC_RELAXED))
			return now;
	return seen;
}

uint64_t pv_time_now_ns(void)
{
	const struct vcpu_time_info *shared = &pv_cpu()->info->time;
	struct vcpu_time_info copy;
	uint64_t now;

	/*
	 * The counter is read inside the loop of versions: were the vCPU moved or suspended between
	 * the copy and the reading, the two would not belong together.
	 */
	do {
		pv_time_snapshot(shared, &copy);
		now = pv_time_at(&copy, read_tsc());
		pv_compiler_barrier();
	} while (pv_load_acquire(&shared->version) != copy.version);
	return copy.flags & XEN_PVCLOCK_TSC_STABLE_BIT ? now : at_least_high_water(now);
}

uint64_t pv_time_wall_ns(void)
{
	const struct shared_info *s = pv_shared_info;
	uint32_t version, sec, sec_hi, nsec;

	do {
		version = pv_load_acquire(&s->wc_version);
		sec = pv_load(&s->wc_sec);
		sec_hi = pv_load(&s->wc_sec_hi);
		nsec = pv_load(&s->wc_nsec);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || pv_load(&s->wc_version) != version);
	return ((uint64_t)sec_hi << 32 | sec) * NS_PER_S + nsec + pv_time_now_ns();
}

int pv_time_init(void)
{
	return (int)pv_hc_vcpu_op(VCPUOP_stop_periodic_timer, pv_cpu()->id, NULL);
}

int pv_timer_bind(uint32_t cpu, pv_evtchn_fn fn, void *arg)
{
	evtchn_port_t port;

	return pv_evtchn_bind_virq(VIRQ_TIMER, cpu, fn, arg, &port);
}

int pv_time_set_timer(uint64_t deadline_ns)
{
	return (int)pv_hc_set_timer_op(deadline_ns);
}
