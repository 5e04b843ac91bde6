/* SPDX-License-Identifier: MIT */
/*
 * The operations of a paravirtualized kernel.
 *
 * Invariant of the event mask: a vCPU that clears its mask looks at the pending flag afterwards and
 * handles what came meanwhile itself, without a hypercall; nobody else would.
 */
#include "abi/cpuid.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/mmu.h"
#include "pvops/pv_ops.h"
#include "pvops/time.h"
#include "pvops/traps.h"

#define CR4_OSXSAVE 0x40000

/* Called by patch_xen.S. */
void pv_xen_irq_enable_slowly(void);

/* ---- cpu ---- */

static void xen_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
#ifdef PV_HOSTED_TEST
	/* The prefix is an invalid opcode where no hypervisor looks after it. */
	__asm__ volatile("cpuid"
	                 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
	                 : "a"(leaf), "c"(subleaf));
#else
	/* Without the prefix the processor may answer, in place of the hypervisor. */
	__asm__ volatile(XEN_CPUID
	                 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
	                 : "a"(leaf), "c"(subleaf));
#endif
}

static void xen_set_kernel_stack(void *top)
{
	pv_hc_stack_switch(FLAT_KERNEL_SS, (unsigned long)top);
}

static void xen_set_fs_base(uint64_t base)
{
	pv_hc_set_segment_base(SEGBASE_FS, base);
}

static void xen_set_user_gs_base(uint64_t base)
{
	pv_hc_set_segment_base(SEGBASE_GS_USER, base);
}

static int xen_set_kernel_gs_base(uint64_t base)
{
	return (int)pv_hc_set_segment_base(SEGBASE_GS_KERNEL, base);
}

static uint64_t xen_fault_address(void)
{
	return pv_cpu()->info->arch.cr2;
}

/*
 * Both instructions are privileged and emulated. The hypervisor wants CR4.OSXSAVE set first, and
 * answers with a trap when it does not know a state: then the old mask stays.
 */
static int xen_set_xcr0(uint64_t mask)
{
	int ok = 1;

#ifndef PV_HOSTED_TEST
	uint64_t tmp;

	__asm__ volatile("1: mov %%cr4, %[tmp]\n"
	                 "or %[osxsave], %[tmp]\n"
	                 "2: mov %[tmp], %%cr4\n"
	                 "3: xsetbv\n"
	                 "jmp 5f\n"
	                 "4: xor %[ok], %[ok]\n"
	                 "5:\n" PV_EXTABLE("1b", "4b") PV_EXTABLE("2b", "4b") PV_EXTABLE("3b", "4b")
	                 : [ok] "+r"(ok), [tmp] "=&r"(tmp)
	                 : [osxsave] "i"(CR4_OSXSAVE), "a"((uint32_t)mask),
	                   "d"((uint32_t)(mask >> 32)), "c"(0)
	                 : "memory", "cc");
#else
	(void)mask;
#endif
	return ok ? 0 : -XEN_EINVAL;
}

static void xen_shutdown(unsigned int reason)
{
	struct sched_shutdown op = { .reason = reason };

	pv_hc_sched_op(SCHEDOP_shutdown, &op);
}

/* ---- events ---- */

/*
 * What patch_xen.S does when it finds that something came while the mask was set, and the whole of
 * enabling:
 *
 * 1. clear the mask   2. look at pending   3. set: mask again, handle, from 1.
 * An event between 1 and 2 makes an upcall, which clears pending; one before 1 did not, and is found.
 */
void pv_xen_irq_enable_slowly(void)
{
	struct vcpu_info *info = pv_cpu()->info;

	for (;;) {
		pv_compiler_barrier(); /* the critical section before the store */
		pv_store(&info->evtchn_upcall_mask, 0);
		pv_compiler_barrier();
		if (!pv_load(&info->evtchn_upcall_pending))
			return;
		pv_store(&info->evtchn_upcall_mask, 1);
		pv_compiler_barrier();
		pv_event_main(NULL);
		/* The kernel may have gone on elsewhere meanwhile and come back on another vCPU. */
		info = pv_cpu()->info;
	}
}

#ifdef PV_HOSTED_TEST

static void pv_xen_irq_disable(void)
{
	pv_store(&pv_cpu()->info->evtchn_upcall_mask, 1);
}

static uint64_t pv_xen_irq_enabled(void)
{
	return !pv_load(&pv_cpu()->info->evtchn_upcall_mask);
}

static uint64_t pv_xen_irq_save(void)
{
	uint64_t mask = pv_load(&pv_cpu()->info->evtchn_upcall_mask);

	pv_xen_irq_disable();
	return mask;
}

static void pv_xen_irq_restore(uint64_t mask)
{
	if (!mask)
		pv_xen_irq_enable_slowly();
}

#define pv_xen_irq_enable pv_xen_irq_enable_slowly

static void pv_xen_frame_resume(struct pv_frame *frame)
{
	(void)frame;
}

#else

/* patch_xen.S */
uint64_t pv_xen_irq_save(void);
void pv_xen_irq_restore(uint64_t mask);
void pv_xen_irq_disable(void);
void pv_xen_irq_enable(void);
uint64_t pv_xen_irq_enabled(void);
/* entry.S */
void pv_xen_frame_resume(struct pv_frame *frame);

#define CODE(op_name, name, relative_to)                                                           \
	{                                                                                          \
		offsetof(struct pv_ops, op_name), (const uint8_t *)(name), name##_end, relative_to \
	}

extern const uint8_t pv_xen_irq_save_end[], pv_xen_irq_restore_end[], pv_xen_irq_disable_end[],
	pv_xen_irq_enable_end[], pv_xen_irq_enabled_end[], pv_xen_irq_enable_relative[],
	pv_xen_irq_restore_relative[];

static const struct pv_patch_code xen_codes[] = {
	CODE(irq.save, pv_xen_irq_save, NULL),
	CODE(irq.restore, pv_xen_irq_restore, pv_xen_irq_restore_relative),
	CODE(irq.disable, pv_xen_irq_disable, NULL),
	CODE(irq.enable, pv_xen_irq_enable, pv_xen_irq_enable_relative),
	CODE(irq.enabled, pv_xen_irq_enabled, NULL),
};

const struct pv_patch_set pv_patch_set_xen = {
	.codes = xen_codes,
	.nr_codes = sizeof(xen_codes) / sizeof(xen_codes[0]),
	.table = &pv_ops_xen,
};

#endif /* PV_HOSTED_TEST */

/* The hypervisor clears the mask and sleeps in one step, unless something is pending already. */
static void xen_irq_wait(void)
{
	pv_hc_sched_op(SCHEDOP_block, NULL);
}

static int xen_channel(int cmd, void *arg)
{
	return (int)pv_hc_event_channel_op(cmd, arg);
}

/* Who enables events looks at what is pending. */
static void xen_raised(void)
{
}

/* ---- locks ---- */

static void xen_lock_wait(struct pv_spinlock *lock)
{
	struct pv_cpu *cpu = pv_cpu();
	evtchn_port_t port = cpu->kick_port;
	struct sched_poll poll = { .nr_ports = 1 };

	if (!port) { /* before this vCPU has its port: let the holder run instead */
		pv_hc_sched_op(SCHEDOP_yield, NULL);
		return;
	}
	pv_store(&cpu->waiting, (const void *)lock);
	pv_mb(); /* pairs with the exchange in pv_spin_unlock(): see lock.c, steps 2 and 3 */
	if (pv_load(&lock->state) == 2) {
		set_xen_guest_handle(poll.ports, &port);
		pv_hc_sched_op(SCHEDOP_poll, &poll);
	}
	pv_store(&cpu->waiting, NULL);
	pv_evtchn_take(port);
}

static void xen_lock_kick(struct pv_spinlock *lock)
{
	unsigned int i;

	for (i = 0; i < PV_MAX_CPUS; i++) {
		struct pv_cpu *cpu = pv_load(&pv_cpus[i]);

		if (cpu && pv_load(&cpu->waiting) == (const void *)lock)
			pv_evtchn_send(cpu->kick_port);
	}
}

const struct pv_ops pv_ops_xen = {
	.name = "xen",
	.cpu = {
		.cpuid = xen_cpuid,
		.set_kernel_stack = xen_set_kernel_stack,
		.set_fs_base = xen_set_fs_base,
		.set_user_gs_base = xen_set_user_gs_base,
		.set_kernel_gs_base = xen_set_kernel_gs_base,
		.set_xcr0 = xen_set_xcr0,
		.shutdown = xen_shutdown,
		.switch_context = pv_mmu_switch_context,
		.fault_address = xen_fault_address,
		.frame_resume = pv_xen_frame_resume,
	},
	.mmu = {
		.set_page = pv_mmu_set_page,
		.load_root = pv_mmu_load_root,
		.load_user_root = pv_mmu_load_user_root,
		.table_make = pv_mmu_table_make,
		.table_drop = pv_mmu_table_drop,
		.set_entries = pv_mmu_set_entries,
		.write_entries = pv_mmu_write_entries,
		.read_entry = pv_mmu_read_entry,
		.flush_page = pv_mmu_flush_page,
		.flush_all = pv_mmu_flush_all,
		.flush_page_everywhere = pv_mmu_flush_page_everywhere,
		.flush_all_everywhere = pv_mmu_flush_all_everywhere,
	},
	.irq = {
		.save = pv_xen_irq_save,
		.restore = pv_xen_irq_restore,
		.disable = pv_xen_irq_disable,
		.enable = pv_xen_irq_enable,
		.enabled = pv_xen_irq_enabled,
		.wait = xen_irq_wait,
	},
	.event = {
		.channel = xen_channel,
		.raised = xen_raised,
		.sleep = pv_evtchn_poll,
	},
	.time = {
		.now_ns = pv_time_now_ns,
		.wall_ns = pv_time_wall_ns,
		.set_timer = pv_time_set_timer,
	},
	.lock = {
		.wait = xen_lock_wait,
		.kick = xen_lock_kick,
	},
};
