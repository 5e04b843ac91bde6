/* SPDX-License-Identifier: MIT */
/*
 * The start of a native kernel, from the first C instruction to kernel_main(). What init.c is for the
 * paravirtual one.
 *
 * Natively the library plays the hypervisor's part in the shared page: the same structures hold event
 * bits and clocks, so all that reads them is one code for both.
 */
#include "abi/sched.h"
#include "pvops/cpu.h"
#include "pvops/lib/string.h"
#include "pvops/memory.h"
#include "pvops/native/cpu.h"
#include "pvops/native/internal.h"
#include "pvops/native/pic.h"
#include "pvops/p2m.h"
#include "pvops/patch.h"
#include "pvops/pvguest.h"

#ifndef PV_HOSTED_TEST

static struct pv_cpu boot_cpu;
static struct vcpu_info early_info;

/* Called by head.S. */
void pv_start_native(const struct hvm_start_info *info);

/* Who makes a hypercall all the same, such as the client of a store that is not there, learns so. */
static void refuse_hypercalls(void)
{
	extern char pv_hypercall_page[PV_PAGE_SIZE];
	/* mov $-XEN_ENOSYS, %rax; ret */
	static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, 0xc3 };
	size_t at;

	for (at = 0; at < PV_PAGE_SIZE; at += 32)
		memcpy(pv_hypercall_page + at, code, sizeof(code));
}

void pv_start_native(const struct hvm_start_info *info)
{
	uint64_t rsdp = info->rsdp_paddr; /* where info lies is not mapped later */

	/* 1. Operations, direct code at their call sites, words. */
	pv_ops = pv_ops_native;
	boot_cpu.info = &early_info;
	pv_cpu_install(&boot_cpu, 0);
	pv_native_uart_early();
	pv_patch_apply(&pv_patch_set_native);
	refuse_hypercalls();

	/* 2. What the loader says, while everything below 1 GiB is mapped. */
	pv_native_memory_init(info);

	/* 3. Our own tables. From here on a fault is reported, and NULL is one. */
	pv_native_tables_init();
	pv_native_paging_init();
	pv_native_power_init(rsdp);
	pv_p2m_init_identity(pv_boot.memory_end >> PV_PAGE_SHIFT);

	/* 4. Events, interrupts, clocks; interrupts stay off as a whole. */
	pv_native_event_init();
	boot_cpu.info = &pv_shared_info->vcpu_info[0];
	pv_pic_init();
	pv_native_clock_init();
	pv_native_uart_init();

	/* 5. The kernel. */
	pv_memory_hand_over();
	kernel_main(&pv_boot);
	pv_shutdown(SHUTDOWN_poweroff);
}

#endif /* PV_HOSTED_TEST */
