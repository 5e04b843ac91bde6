/* SPDX-License-Identifier: MIT */
/*
 * What a call site of an operation costs (pvops/patch.h), three ways: as it was rewritten at boot, the
 * same work written by hand for the world that the kernel runs in, and through the table as it
 * was before. One line for each: "bench site NAME: REWRITTEN HAND TABLE", in thousandths of a
 * nanosecond, the least of many batches, the loop's own cost taken off.
 *
 * On an emulator whose clock counts instructions (QEMU -icount shift=0) these are thousandths of an
 * instruction.
 */
#include "tests/guests/bench/sites.h"

#include <stdint.h>

#include "pvops/cpu.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define BATCHES 61
#define LOOPS   2000

/* The least of many runs of a loop, in thousandths of a nanosecond for one turn. */
#define TIME(what)                                                   \
	({                                                           \
		uint64_t best = ~0ull, start;                        \
		unsigned int b, i;                                   \
		for (b = 0; b < BATCHES; b++) {                      \
			start = pv_now_ns();                         \
			for (i = 0; i < LOOPS; i++) {                \
				__asm__ volatile("" : : : "memory"); \
				what;                                \
			}                                            \
			start = pv_now_ns() - start;                 \
			if (start < best)                            \
				best = start;                        \
		}                                                    \
		best * 1000 / LOOPS;                                 \
	})

static uint64_t idle_turn;

static unsigned long long net(uint64_t time)
{
	return time > idle_turn ? time - idle_turn : 0;
}

static void line(const char *name, uint64_t rewritten, uint64_t hand, uint64_t table)
{
	pv_log("bench site %s: %llu %llu %llu\n", name, net(rewritten), net(hand), net(table));
}

/* ---- by hand: what a kernel for one world alone would say ---- */

static inline void native_off_and_on(void)
{
	__asm__ volatile("cli; sti" : : : "memory");
}

static inline void native_save_restore(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0; cli" : "=r"(flags) : : "memory");
	if (flags & PV_RFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static inline struct vcpu_info *own_info(void)
{
	struct vcpu_info *info;

	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(info) : "i"(PV_CPU_INFO));
	return info;
}

static inline void masked_on(void)
{
	volatile struct vcpu_info *info = own_info();

	info->evtchn_upcall_mask = 0;
	if (info->evtchn_upcall_pending)
		pv_irq_enable();
}

static inline void masked_off_and_on(void)
{
	((volatile struct vcpu_info *)own_info())->evtchn_upcall_mask = 1;
	masked_on();
}

static inline void masked_save_restore(void)
{
	volatile struct vcpu_info *info = own_info();
	uint8_t mask = info->evtchn_upcall_mask;

	info->evtchn_upcall_mask = 1;
	if (!mask)
		masked_on();
}

/* ---- the operations ---- */

static void measure_flag(void)
{
	uint64_t save = TIME(pv_irq_restore(pv_irq_save()));
	uint64_t off = TIME(({
		pv_irq_disable();
		pv_irq_enable();
	}));
	uint64_t save_table = TIME(pv_ops.irq.restore(pv_ops.irq.save()));
	uint64_t off_table = TIME(({
		pv_ops.irq.disable();
		pv_ops.irq.enable();
	}));

	if (pv_is_native()) {
		line("save and restore", save, TIME(native_save_restore()), save_table);
		line("disable and enable", off, TIME(native_off_and_on()), off_table);
	} else {
		line("save and restore", save, TIME(masked_save_restore()), save_table);
		line("disable and enable", off, TIME(masked_off_and_on()), off_table);
	}
}

static void measure_tables(void)
{
	const uint64_t *root = pv_pfn_to_virt(pv_mmu_boot_root().pfn);
	volatile uint64_t sink;
	uint64_t site = TIME(sink = PV_OP(mmu, read_entry, root, 0));
	uint64_t table = TIME(sink = pv_ops.mmu.read_entry(root, 0));
	uint64_t hand = pv_is_native() ? TIME(sink = *(const volatile uint64_t *)root)
	                               : TIME(sink = pv_mmu_read_entry(root, 0));

	(void)sink;
	line("read a page-table entry", site, hand, table);
	if (!pv_is_native())
		return;
	line("flush a page", TIME(PV_OP(mmu, flush_page, (uintptr_t)root)), TIME(({
		     __asm__ volatile("invlpg (%0)" : : "r"(root) : "memory");
	     })),
	     TIME(pv_ops.mmu.flush_page((uintptr_t)root)));
}

void measure_sites(void)
{
	idle_turn = TIME((void)0);
	measure_flag();
	measure_tables();
}
