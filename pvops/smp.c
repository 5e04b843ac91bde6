/* SPDX-License-Identifier: MIT */
/*
 * Bringing vCPUs up and down.
 *
 * A new vCPU is given what it cannot do without (root, stack, segment base) by VCPUOP_initialise,
 * and sets up the rest itself, by the same calls as the boot vCPU.
 *
 *   starter                                     the new vCPU
 *   1. its struct pv_cpu, ports bound to it
 *   2. VCPUOP_initialise, VCPUOP_up             a. traps, callbacks, clock
 *                                               b. main(): events may be enabled from here on
 *
 * An event that comes for it before (b) stays pending: its mask is 1 from before step 2.
 */
#include "pvops/smp.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"
#include "pvops/traps.h"

static void (*ipi_handler)(void);
static void (*secondary_main)(void);
static evtchn_port_t ipi_port[PV_MAX_CPUS];

static void on_ipi(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	if (ipi_handler)
		ipi_handler();
}

/*
 * The port that ends a sleep for a lock is never unmasked: no upcall, no handler, only SCHEDOP_poll
 * looks at it.
 */
static int bind_ports(struct pv_cpu *cpu, uint32_t id)
{
	struct evtchn_bind_ipi kick = { .vcpu = id };
	long rc = PV_OP(event, channel, EVTCHNOP_bind_ipi, &kick);

	if (rc)
		return (int)rc;
	rc = pv_evtchn_bind_ipi(id, on_ipi, NULL, &ipi_port[id]);
	if (rc) {
		struct evtchn_close op = { .port = kick.port };

		PV_OP(event, channel, EVTCHNOP_close, &op);
		return (int)rc;
	}
	pv_store_release(&cpu->kick_port, kick.port);
	return 0;
}

int pv_smp_init(void (*handler)(void))
{
	ipi_handler = handler;
	return bind_ports(pv_cpu(), pv_cpu()->id);
}

unsigned int pv_smp_possible(void)
{
	unsigned int n = 1;

	while (n < PV_MAX_CPUS && pv_hc_vcpu_op(VCPUOP_is_up, n, NULL) >= 0)
		n++;
	return n;
}

bool pv_smp_is_up(uint32_t cpu)
{
	if (pv_is_native())
		return cpu == 0;
	return pv_hc_vcpu_op(VCPUOP_is_up, cpu, NULL) > 0;
}

void pv_smp_ipi(uint32_t cpu)
{
	if (cpu < PV_MAX_CPUS && ipi_port[cpu])
		pv_evtchn_send(ipi_port[cpu]);
}

void pv_smp_stop(void)
{
	pv_hc_vcpu_op(VCPUOP_down, pv_cpu()->id, NULL);
}

/* The first C code on a new vCPU. */
static void secondary_start(void)
{
	if (pv_traps_init() || pv_time_init())
		pv_panic("smp: vCPU %u cannot be set up", pv_cpu()->id);
	secondary_main();
	pv_panic("smp: vCPU %u has nothing left to do", pv_cpu()->id);
}

static int initialise(struct pv_cpu *cpu, uint32_t id, void *stack_top)
{
	static struct vcpu_guest_context ctx; /* too large for a stack; one caller at a time */
	uint64_t *sp = stack_top;

	*--sp = 0; /* as after a call, and back-traces end here */
	memset(&ctx, 0, sizeof(ctx));
	ctx.flags = VGCF_in_kernel;
	ctx.user_regs.rip = (uintptr_t)secondary_start;
	ctx.user_regs.rsp = (uintptr_t)sp;
	ctx.user_regs.rflags = PV_RFLAGS_IF;
	ctx.user_regs.cs = FLAT_KERNEL_CS;
	ctx.user_regs.ss = FLAT_KERNEL_SS;
	ctx.kernel_ss = FLAT_KERNEL_SS;
	ctx.kernel_sp = (uintptr_t)stack_top;
	ctx.ctrlreg[3] = xen_pfn_to_cr3(pv_p2m(pv_mmu_boot_root().pfn));
	ctx.gs_base_kernel = (uintptr_t)cpu;
	return (int)pv_hc_vcpu_op(VCPUOP_initialise, id, &ctx);
}

/* What the library keeps for a vCPU; it stays when the vCPU goes down. */
static struct pv_cpu *new_cpu(uint32_t id)
{
	struct pv_cpu *cpu;

	_Static_assert(sizeof(*cpu) <= PV_PAGE_SIZE, "one page holds it");
	cpu = pv_page_alloc();
	if (!cpu)
		return NULL;
	memset(cpu, 0, sizeof(*cpu));
	cpu->self = cpu;
	cpu->id = id;
	cpu->info = &pv_shared_info->vcpu_info[id];
	pv_store(&cpu->info->evtchn_upcall_mask, 1);
	return cpu;
}

int pv_smp_start(uint32_t id, void *stack_top, void (*main)(void))
{
	struct pv_cpu *cpu;
	long up;
	int rc;

	if (id >= PV_MAX_CPUS)
		return -XEN_ENOENT;
	up = pv_hc_vcpu_op(VCPUOP_is_up, id, NULL);
	if (up)
		return up < 0 ? (int)up : -XEN_EEXIST;
	if (pv_cpus[id])
		return (int)pv_hc_vcpu_op(VCPUOP_up, id, NULL);
	cpu = new_cpu(id);
	if (!cpu)
		return -XEN_ENOMEM;
	secondary_main = main;
	pv_store_release(&pv_cpus[id], cpu);
	rc = bind_ports(cpu, id);
	if (!rc)
		rc = initialise(cpu, id, stack_top);
	if (!rc)
		rc = (int)pv_hc_vcpu_op(VCPUOP_up, id, NULL);
	return rc;
}
