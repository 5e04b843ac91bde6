/* SPDX-License-Identifier: MIT */
/*
 * Storms of events.
 *
 * Behaviour: as many ports as there are; every operation on them in any order; interrupts between all
 * vCPUs as fast as they go; the neighbour's port rung without end; timers that are due at once, or in
 * a nanosecond; the shared bits, masks and selectors overwritten with noise, masked and unmasked.
 * Method: the vCPUs run with events on and count; the budget bounds each kind.
 * Breakage: this domain's own end, for nothing here is worth a death; a neighbour whose clock or
 * memory suffers; a hypervisor that is busy for ever.
 */
#include "abi/event_channel.h"
#include "abi/vcpu.h"
#include "pvops/evtchn.h"
#include "pvops/smp.h"
#include "tests/hostile/attacker/attack.h"

static evtchn_port_t bound;

static void operate(void)
{
	union {
		struct evtchn_alloc_unbound alloc;
		struct evtchn_bind_interdomain inter;
		struct evtchn_bind_virq virq;
		struct evtchn_bind_ipi ipi;
		struct evtchn_bind_vcpu vcpu;
		struct evtchn_status status;
		uint32_t word[6];
		uint64_t space[8];
	} u;
	int cmd = (int)at_below(13);

	for (unsigned int i = 0; i < 6; i++)
		u.word[i] = (uint32_t)(at_chance(8) ? at_value()
		                                    : at_below(at_chance(2) ? 8 : 4096));
	if (cmd == EVTCHNOP_alloc_unbound) {
		u.alloc.dom = DOMID_SELF;
		u.alloc.remote_dom = (domid_t)(at_chance(2) ? DOMID_SELF : at_below(4));
	}
	if (cmd == EVTCHNOP_bind_interdomain)
		u.inter.remote_dom = (domid_t)(at_chance(2) ? DOMID_SELF : at.witness);
	/* The library's own ports, the console's among them, are worth more alive. */
	if ((cmd == EVTCHNOP_close || cmd == EVTCHNOP_bind_vcpu) && u.word[0] < 32)
		u.word[0] += 32;
	if (cmd == EVTCHNOP_reset)
		u.word[0] = at_chance(2) ? at.witness : 0x1234;
	pv_hc_event_channel_op(cmd, &u);
}

static void timers(void)
{
	struct vcpu_set_periodic_timer p = { .period_ns = at_chance(2) ? at_below(2000000)
		                                                       : at_value() };
	struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = at_chance(2) ? pv_now_ns()
		                                                              : at_value(),
		                               .flags = (uint32_t)at_below(4) };

	pv_hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &p);
	pv_hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &s);
	pv_hc_set_timer_op(at_chance(2) ? at_value() : pv_now_ns());
}

static void scribble(void)
{
	struct shared_info *s = pv_shared_info;
	struct vcpu_info *v = &s->vcpu_info[at_below(XEN_LEGACY_MAX_VCPUS)];

	/* The first words hold ports that our own handlers need. */
	s->evtchn_pending[1 + at_below(62)] = at_random();
	s->evtchn_mask[1 + at_below(62)] = at_random();
	v->evtchn_pending_sel = at_random();
	v->evtchn_upcall_pending = (uint8_t)at_random();
	if (v != &s->vcpu_info[0])
		v->arch.cr2 = at_random();
}

static void sleep_a_little(void)
{
	evtchn_port_t ports[8];
	struct sched_poll poll = { .nr_ports = (unsigned int)(at_chance(8) ? at_value()
		                                                           : at_below(8)),
		                   .timeout = pv_now_ns() + at_below(50000) };

	for (unsigned int i = 0; i < 8; i++)
		ports[i] = (evtchn_port_t)(at_chance(8) ? at_value() : at_below(64));
	set_xen_guest_handle(poll.ports, ports);
	pv_hc_sched_op(SCHEDOP_poll, &poll);
}

static void ring(unsigned int cpu)
{
	for (unsigned int i = 0; i < 64; i++) {
		pv_smp_ipi((uint32_t)at_below(at.cpus));
		if (cpu && bound)
			pv_evtchn_send(bound);
	}
}

static void bind_neighbour(void)
{
	struct evtchn_bind_interdomain b = { .remote_dom = at.witness, .remote_port = at.port };

	if (at.port && !pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &b))
		bound = b.local_port;
}

void at_events(void)
{
	static void (*const moves[])(void) = { operate, operate, timers, scribble, sleep_a_little };

	bind_neighbour();
	pv_irq_enable();
	at_helpers(ring);
	for (unsigned int i = 0; i < at.budget; i++) {
		at_attempt("event");
		moves[at_below(AT_COUNT(moves))]();
		ring(0);
		pv_cpus[0]->info->evtchn_upcall_mask = at_chance(2);
	}
	at_helpers(NULL);
	pv_log("attacker: bound port %u\n", bound);
}
