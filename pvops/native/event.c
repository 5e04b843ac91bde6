/* SPDX-License-Identifier: MIT */
/*
 * Event channels of a native kernel: the hypervisor's part of the shared page, played by the library.
 * The bits are where they are under Xen, and evtchn.c dispatches them; interrupts set them.
 *
 * There are few ports: the console, the timer, and those that the kernel makes to interrupt itself.
 *
 * Invariant: when an unmasked port becomes pending, either an interrupt handler is running, which
 * looks at the ports before it returns, or one will run as soon as interrupts are enabled.
 */
#include "abi/errno.h"
#include "abi/event_channel.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/native/internal.h"
#include "pvops/native/irq.h"
#include "pvops/pvguest.h"

#define NR_PORTS 64 /* one word of the bitmap */

enum use { UNUSED, FIXED, TIMER, IPI };

static uint8_t use_of[NR_PORTS] = { [0] = FIXED, [PV_NATIVE_CONSOLE_PORT] = FIXED };
static bool in_interrupt;

void pv_native_event_set(unsigned int port)
{
	struct vcpu_info *info = pv_cpu()->info;

	pv_bit_set(pv_shared_info->evtchn_pending, port);
	if (pv_bit_test(pv_shared_info->evtchn_mask, port))
		return;
	info->evtchn_pending_sel |= 1;
	pv_store(&info->evtchn_upcall_pending, 1);
}

/* With interrupts on the handlers have run when this returns. */
void pv_native_raised(void)
{
	if (pv_irq_enabled()) {
		pv_irq_disable();
		pv_event_main(NULL);
		pv_irq_enable();
	} else if (!in_interrupt && !pv_cpu()->upcall_depth) {
		pv_native_interrupt_soon();
	}
}

static int send(unsigned int port)
{
	uint64_t irq = pv_irq_save();

	pv_native_event_set(port);
	pv_irq_restore(irq);
	pv_native_raised();
	return 0;
}

/* A new port, or negative XEN_E*. */
static int allocate(enum use use)
{
	unsigned int port;

	for (port = PV_NATIVE_TIMER_PORT + 1; port < NR_PORTS; port++) {
		if (use_of[port] != UNUSED)
			continue;
		use_of[port] = (uint8_t)use;
		pv_bit_clear(pv_shared_info->evtchn_pending, port);
		return (int)port;
	}
	return -XEN_ENOSPC;
}

static int bind_virq(struct evtchn_bind_virq *op)
{
	if (op->virq != VIRQ_TIMER || op->vcpu)
		return -XEN_EINVAL;
	if (use_of[PV_NATIVE_TIMER_PORT] != UNUSED)
		return -XEN_EEXIST;
	use_of[PV_NATIVE_TIMER_PORT] = TIMER;
	op->port = PV_NATIVE_TIMER_PORT;
	return 0;
}

static int bind_ipi(struct evtchn_bind_ipi *op)
{
	int port = op->vcpu ? -XEN_ENOENT : allocate(IPI);

	if (port < 0)
		return port;
	op->port = (evtchn_port_t)port;
	return 0;
}

static bool is_open(evtchn_port_t port)
{
	return port && port < NR_PORTS && use_of[port] != UNUSED;
}

static int close_port(evtchn_port_t port)
{
	if (!is_open(port) || use_of[port] == FIXED)
		return -XEN_EINVAL;
	use_of[port] = UNUSED;
	return 0;
}

static int unmask(evtchn_port_t port)
{
	if (!is_open(port))
		return -XEN_EINVAL;
	if (pv_bit_clear(pv_shared_info->evtchn_mask, port) &&
	    pv_bit_test(pv_shared_info->evtchn_pending, port))
		return send(port);
	return 0;
}

static int status(struct evtchn_status *st)
{
	static const uint8_t meaning[] = { [UNUSED] = EVTCHNSTAT_closed,
		                           [FIXED] = EVTCHNSTAT_pirq,
		                           [TIMER] = EVTCHNSTAT_virq,
		                           [IPI] = EVTCHNSTAT_ipi };

	if (!st->port || st->port >= NR_PORTS)
		return -XEN_EINVAL;
	st->status = meaning[use_of[st->port]];
	st->vcpu = 0;
	return 0;
}

int pv_native_channel(int cmd, void *arg)
{
	switch (cmd) {
	case EVTCHNOP_bind_virq:
		return bind_virq(arg);
	case EVTCHNOP_bind_ipi:
		return bind_ipi(arg);
	case EVTCHNOP_close:
		return close_port(((struct evtchn_close *)arg)->port);
	case EVTCHNOP_unmask:
		return unmask(((struct evtchn_unmask *)arg)->port);
	case EVTCHNOP_send: {
		evtchn_port_t port = ((struct evtchn_send *)arg)->port;

		return is_open(port) && use_of[port] == IPI ? send(port) : -XEN_EINVAL;
	}
	case EVTCHNOP_status:
		return status(arg);
	case EVTCHNOP_bind_vcpu:
		return ((struct evtchn_bind_vcpu *)arg)->vcpu ? -XEN_ENOENT : 0;
	default:
		return -XEN_ENOSYS;
	}
}

#ifndef PV_HOSTED_TEST

static struct shared_info shared __attribute__((aligned(64)));

void pv_native_event_init(void)
{
	pv_shared_info = &shared;
	/* Versioned structures are valid from here on: version 0, a clock that says 0. */
	shared.vcpu_info[0].time.flags = XEN_PVCLOCK_TSC_STABLE_BIT;
	pv_evtchn_init();
}

void pv_native_interrupt(struct pv_frame *frame)
{
	in_interrupt = true;
	pv_native_irq_run(frame->error_code);
	in_interrupt = false;
	pv_event_main(frame);
}

/* Interrupt handlers deliver what comes. Between sti and hlt none is taken. */
void pv_native_sleep(uint64_t deadline_ns)
{
	if (pv_load(&pv_cpu()->info->evtchn_upcall_pending))
		return;
	pv_native_wake_at(deadline_ns);
	pv_irq_wait();
	pv_irq_disable();
	pv_native_wake_at(0);
}

#endif /* PV_HOSTED_TEST */
