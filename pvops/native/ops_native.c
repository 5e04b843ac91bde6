/* SPDX-License-Identifier: MIT */
/*
 * The operations of a native kernel.
 */
#include "abi/cpuid.h"
#include "pvops/barrier.h"
#include "pvops/mmu.h"
#include "pvops/native/cpu.h"
#include "pvops/native/internal.h"
#include "pvops/pv_ops.h"
#include "pvops/time.h"

#ifndef PV_HOSTED_TEST

/* What careful entries compare the register with. */
extern uint64_t pv_native_gs_base;
uint64_t pv_native_gs_base;

/* patch_native.S */
uint64_t pv_native_irq_save(void);
void pv_native_irq_restore(uint64_t state);
void pv_native_irq_disable(void);
void pv_native_irq_enable(void);
uint64_t pv_native_irq_enabled(void);
void pv_native_irq_wait(void);
uint64_t pv_native_fault_address(void);
uint64_t pv_native_read_entry(const uint64_t *table, unsigned int index);
void pv_native_flush_page(uint64_t va);
int pv_native_load_root(pv_root_t root);
int pv_native_nothing(void);
/* entry.S */
void pv_native_frame_resume(struct pv_frame *frame);

static void native_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
	                 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
	                 : "a"(leaf), "c"(subleaf));
}

static void native_set_fs_base(uint64_t base)
{
	native_write_msr(MSR_FS_BASE, base);
}

/* In kernel mode the program's base waits for swapgs. */
static void native_set_user_gs_base(uint64_t base)
{
	native_write_msr(MSR_KERNEL_GS_BASE, base);
}

static int native_set_kernel_gs_base(uint64_t base)
{
	pv_native_gs_base = base;
	native_write_msr(MSR_GS_BASE, base);
	return 0;
}

static int native_set_xcr0(uint64_t mask)
{
	native_set_cr4_bits(CR4_OSXSAVE);
	native_set_xcr0_register(mask);
	return 0;
}

static int native_load_user_root(pv_root_t root)
{
	(void)root;
	return 0;
}

static int native_table_made(void *table, unsigned int level)
{
	(void)table;
	(void)level;
	return 0;
}

/* One processor, and no lock is held where another thread of it could want it. */
static void native_lock_wait(struct pv_spinlock *lock)
{
	(void)lock;
	pv_cpu_relax();
}

static void native_lock_kick(struct pv_spinlock *lock)
{
	(void)lock;
}

const struct pv_ops pv_ops_native = {
	.name = "native",
	.is_native = true,
	.cpu = {
		.cpuid = native_cpuid,
		.set_kernel_stack = pv_native_set_kernel_stack,
		.set_fs_base = native_set_fs_base,
		.set_user_gs_base = native_set_user_gs_base,
		.set_kernel_gs_base = native_set_kernel_gs_base,
		.set_xcr0 = native_set_xcr0,
		.shutdown = pv_native_shutdown,
		.switch_context = pv_native_switch_context,
		.fault_address = pv_native_fault_address,
		.frame_resume = pv_native_frame_resume,
	},
	.mmu = {
		.is_direct = true,
		.set_page = pv_native_set_page,
		.load_root = pv_native_load_root,
		.load_user_root = native_load_user_root,
		.table_make = native_table_made,
		.table_drop = native_table_made,
		.set_entries = pv_native_set_entries,
		.write_entries = pv_native_write_entries,
		.read_entry = pv_native_read_entry,
		.flush_page = pv_native_flush_page,
		.flush_all = pv_native_flush_all,
		.flush_page_everywhere = pv_native_flush_page,
		.flush_all_everywhere = pv_native_flush_all,
	},
	.irq = {
		.save = pv_native_irq_save,
		.restore = pv_native_irq_restore,
		.disable = pv_native_irq_disable,
		.enable = pv_native_irq_enable,
		.enabled = pv_native_irq_enabled,
		.wait = pv_native_irq_wait,
	},
	.event = {
		.channel = pv_native_channel,
		.raised = pv_native_raised,
		.sleep = pv_native_sleep,
	},
	.time = {
		.now_ns = pv_time_now_ns,
		.wall_ns = pv_time_wall_ns,
		.set_timer = pv_native_set_timer,
	},
	.lock = {
		.wait = native_lock_wait,
		.kick = native_lock_kick,
	},
};

#define CODE(op_name, code)                                                                 \
	{                                                                                   \
		offsetof(struct pv_ops, op_name), (const uint8_t *)(code), code##_end, NULL \
	}

extern const uint8_t pv_native_irq_save_end[], pv_native_irq_restore_end[],
	pv_native_irq_disable_end[], pv_native_irq_enable_end[], pv_native_irq_enabled_end[],
	pv_native_irq_wait_end[], pv_native_fault_address_end[], pv_native_read_entry_end[],
	pv_native_flush_page_end[], pv_native_load_root_end[], pv_native_nothing_end[];

static const struct pv_patch_code native_codes[] = {
	CODE(irq.save, pv_native_irq_save),
	CODE(irq.restore, pv_native_irq_restore),
	CODE(irq.disable, pv_native_irq_disable),
	CODE(irq.enable, pv_native_irq_enable),
	CODE(irq.enabled, pv_native_irq_enabled),
	CODE(irq.wait, pv_native_irq_wait),
	CODE(cpu.fault_address, pv_native_fault_address),
	CODE(mmu.read_entry, pv_native_read_entry),
	CODE(mmu.flush_page, pv_native_flush_page),
	CODE(mmu.flush_page_everywhere, pv_native_flush_page),
	CODE(mmu.load_root, pv_native_load_root),
	CODE(mmu.load_user_root, pv_native_nothing),
	CODE(mmu.table_make, pv_native_nothing),
	CODE(mmu.table_drop, pv_native_nothing),
};

const struct pv_patch_set pv_patch_set_native = {
	.codes = native_codes,
	.nr_codes = sizeof(native_codes) / sizeof(native_codes[0]),
	.table = &pv_ops_native,
};

#endif /* PV_HOSTED_TEST */
