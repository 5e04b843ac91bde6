/* SPDX-License-Identifier: MIT */
/*
 * The start of a paravirtualized kernel, from the first C instruction to kernel_main().
 *
 * Each step needs those before it and nothing after it. The console comes as early as it can, so
 * that a failure of a later step has words.
 */
#include <stddef.h>

#include "abi/sched.h"
#include "pvops/boot/offsets.h"
#include "pvops/console.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/memory.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"
#include "pvops/traps.h"

#define LOW_END 0x100000ull /* where the image begins (guest.lds) */

_Static_assert(offsetof(struct pv_ops, cpu.frame_resume) == PV_OPS_FRAME_RESUME, "frame_resume");

static struct pv_cpu boot_cpu;

/* Stands in for the shared page until that is mapped: masked, and a clock that says 0. */
static struct vcpu_info early_info = { .evtchn_upcall_mask = 1 };

/* Called by xen_head.S. boot_sp: end of the page that was our stack when we were entered. */
void pv_start_xen(const struct start_info *start, uint64_t boot_sp);

static void must(int rc, const char *what)
{
	if (rc)
		pv_panic("cannot %s: error %d", what, rc);
}

static void record_boot(const struct start_info *start)
{
	pv_boot.start = start;
	pv_boot.cmdline = (const char *)start->cmd_line;
	pv_boot.low_free = PV_LOWEST_ADDRESS;
	pv_boot.low_end = LOW_END;
	if (start->mod_len && !(start->flags & SIF_MOD_START_PFN))
		pv_boot.ramdisk = (const void *)start->mod_start;
	pv_boot.ramdisk_len = start->mod_len;
}

void pv_start_xen(const struct start_info *start, uint64_t boot_sp)
{
	pv_ops = pv_ops_xen;
	record_boot(start);

	boot_cpu.info = &early_info;

	/* 1. Who we are: the kernel GS base. Everything below asks pv_cpu(). Then the call sites. */
	must(pv_cpu_install(&boot_cpu, 0), "set the segment base");
	pv_patch_apply(&pv_patch_set_xen);

	/* 2. The two tables between our frames and the machine's. */
	must(pv_p2m_init(start), "find the machine-to-physical table");

	/* 3. The console ring. From here on there is a log. */
	pv_console_init(start);

	/* 4. The shared page: event bits, clocks. What is free behind the boot region. */
	must(pv_mmu_init(start, boot_sp), "map the shared page");
	boot_cpu.info = &pv_shared_info->vcpu_info[0];
	pv_p2m_publish(pv_virt_to_mfn((const void *)start->pt_base));

	/* 5. Every port masked, then the ways in. Events stay masked as a whole. */
	pv_evtchn_init();
	must(pv_traps_init(), "install the trap table");

	/* 6. No tick that nobody asked for. */
	must(pv_time_init(), "stop the periodic timer");

	/* 7. The kernel. */
	pv_memory_hand_over();
	kernel_main(&pv_boot);
	pv_shutdown(SHUTDOWN_poweroff);
}
