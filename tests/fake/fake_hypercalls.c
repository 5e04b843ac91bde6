/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor for the guest library on the host. Safe for several threads, each of which plays one
 * vCPU; handlers are set before the threads start.
 */
#include "tests/fake/fake_hypercalls.h"

#include <string.h>

#include "abi/errno.h"
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define NUMBERS 64

_Thread_local struct pv_cpu *pv_test_cpu;
struct shared_info fake_shared_info;

static struct pv_cpu cpus[PV_MAX_CPUS];
static fake_hypercall_fn handlers[NUMBERS];
static unsigned int counts[NUMBERS];

long pv_test_hypercall(unsigned int nr, const unsigned long args[6])
{
	if (nr >= NUMBERS)
		return -XEN_ENOSYS;
	__atomic_fetch_add(&counts[nr], 1, __ATOMIC_SEQ_CST);
	return handlers[nr] ? handlers[nr](args) : -XEN_ENOSYS;
}

void fake_hypercall_set(unsigned int nr, fake_hypercall_fn fn)
{
	handlers[nr] = fn;
}

unsigned int fake_hypercall_count(unsigned int nr)
{
	return __atomic_load_n(&counts[nr], __ATOMIC_SEQ_CST);
}

void fake_vcpu_enter(unsigned int id)
{
	struct pv_cpu *cpu = &cpus[id];

	cpu->self = cpu;
	cpu->id = id;
	cpu->info = &fake_shared_info.vcpu_info[id];
	pv_cpus[id] = cpu;
	pv_test_cpu = cpu;
}

/* The mask alone. Nothing is delivered when it is cleared. */
static void irq_disable(void)
{
	pv_test_cpu->info->evtchn_upcall_mask = 1;
}

static void irq_enable(void)
{
	pv_test_cpu->info->evtchn_upcall_mask = 0;
}

static uint64_t irq_enabled(void)
{
	return !pv_test_cpu->info->evtchn_upcall_mask;
}

static uint64_t irq_save(void)
{
	bool enabled = irq_enabled();

	irq_disable();
	return enabled;
}

static void irq_restore(uint64_t enabled)
{
	if (enabled)
		irq_enable();
}

static const struct pv_irq_ops irq_ops = {
	.save = irq_save,
	.restore = irq_restore,
	.disable = irq_disable,
	.enable = irq_enable,
	.enabled = irq_enabled,
};

static int event_channel(int cmd, void *arg)
{
	return (int)pv_hc_event_channel_op(cmd, arg);
}

static void event_raised(void)
{
}

static int set_kernel_gs_base(uint64_t base)
{
	return (int)pv_hc_set_segment_base(SEGBASE_GS_KERNEL, base);
}

void fake_hypercalls_reset(void)
{
	memset(handlers, 0, sizeof(handlers));
	memset(counts, 0, sizeof(counts));
	memset(&fake_shared_info, 0, sizeof(fake_shared_info));
	memset(cpus, 0, sizeof(cpus));
	memset(pv_cpus, 0, sizeof(pv_cpus));
	pv_shared_info = &fake_shared_info;
	fake_vcpu_enter(0);
	pv_ops = (struct pv_ops){
		.name = "fake",
		.irq = irq_ops,
		.cpu.set_kernel_gs_base = set_kernel_gs_base,
		.event = { .channel = event_channel,
		           .raised = event_raised,
		           .sleep = pv_evtchn_poll },
	};
}
