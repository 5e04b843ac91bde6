/* SPDX-License-Identifier: MIT */
/*
 * Every hypercall, with arguments that are random, on a boundary, or contradict each other.
 *
 * Behaviour: numbers 0 to 66; arguments are small numbers, edges, frames of anybody, or addresses
 * that are ours, end in the middle of a structure, or belong to the hypervisor; the structures that
 * they point at are noise of the same kind. Some calls come in a multicall, which may contain more.
 * Method: between two calls the vCPU's own handlers and stack are set right again, so that one
 * careless call does not end the run; what would only end or stop ourselves is left out mostly.
 * Breakage: the hypervisor's end, a witness that complains, counts that do not add up afterwards.
 */
#include "pvops/lib/format.h"
#include "tests/hostile/attacker/attack.h"

#define NUMBERS 67

static uint64_t pick_command(unsigned int nr)
{
	switch (nr) {
	case __HYPERVISOR_memory_op:
	case __HYPERVISOR_grant_table_op:
	case __HYPERVISOR_event_channel_op:
	case __HYPERVISOR_vcpu_op:
	case __HYPERVISOR_xen_version:
	case __HYPERVISOR_physdev_op:
	case __HYPERVISOR_callback_op:
	case __HYPERVISOR_sched_op:
		return at_chance(16) ? at_value() : at_below(32);
	case __HYPERVISOR_mmu_update:
	case __HYPERVISOR_mmuext_op:
	case __HYPERVISOR_multicall:
	case __HYPERVISOR_set_trap_table:
		/* shape() puts the list at the start. */
		return (uint64_t)at_scratch + (at_chance(8) ? at_below(512) * 8 : 0);
	default:
		return at_chance(2) ? at_value() : at_address();
	}
}

/* Sleeping for ever, leaving, and making one's vCPU go down prove nothing. */
static bool is_pointless(unsigned int nr, const uint64_t *a)
{
	uint32_t cmd = (uint32_t)a[0];

	if (nr == __HYPERVISOR_sched_op || nr == __HYPERVISOR_sched_op_compat)
		return cmd == SCHEDOP_block || cmd == SCHEDOP_poll || cmd == SCHEDOP_shutdown ||
		       cmd == SCHEDOP_watchdog;
	if (nr == __HYPERVISOR_vcpu_op)
		return (cmd == VCPUOP_down || cmd == VCPUOP_up) && !at_chance(64);
	if (nr == __HYPERVISOR_console_io)
		return !at_chance(16);
	if (nr == __HYPERVISOR_iret) /* frames.c */
		return true;
	return false;
}

static void arguments(unsigned int nr, uint64_t *a)
{
	a[0] = pick_command(nr);
	for (unsigned int i = 1; i < 5; i++) {
		a[i] = at_value();
		if (at_chance(2))
			a[i] = (uint64_t)at_scratch + at_below(1024) * 8;
	}
	if (nr == __HYPERVISOR_mmu_update || nr == __HYPERVISOR_mmuext_op ||
	    nr == __HYPERVISOR_multicall) {
		a[1] = at_chance(8) ? at_value() : at_below(40);
		if (nr != __HYPERVISOR_multicall)
			a[3] = at_chance(4) ? at_value() : DOMID_SELF;
	}
	if (nr == __HYPERVISOR_grant_table_op)
		a[2] = at_chance(8) ? at_value() : at_below(20);
}

/* Operations of a list get commands that exist, more often than noise would. */
static void shape(unsigned int nr)
{
	struct multicall_entry *call = (void *)at_scratch;
	struct mmuext_op *op = (void *)at_scratch;
	struct mmu_update *update = (void *)at_scratch;

	for (unsigned int i = 0; nr == __HYPERVISOR_multicall && i < 32; i++) {
		call[i].op = at_below(NUMBERS);
		arguments((unsigned int)call[i].op, (uint64_t *)call[i].args);
		if (is_pointless((unsigned int)call[i].op, (uint64_t *)call[i].args))
			call[i].op = __HYPERVISOR_xen_version;
	}
	for (unsigned int i = 0; nr == __HYPERVISOR_mmuext_op && i < 64; i++) {
		op[i].cmd = (unsigned int)at_below(22);
		op[i].arg1.mfn = at_chance(2) ? at_frame() : at_address();
	}
	for (unsigned int i = 0; nr == __HYPERVISOR_mmu_update && i < 64; i++) {
		update[i].ptr = at_frame() << PV_PAGE_SHIFT | at_below(512) << 3 | at_below(4);
		update[i].val = at_frame() << PV_PAGE_SHIFT | at_below(512);
	}
}

struct call {
	unsigned int nr;
	uint64_t a[5];
};

static void make(void *arg)
{
	const struct call *c = arg;

	pv_hypercall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4]);
}

static void describe(const struct call *c)
{
	char text[120] = "hypercall";

	if (at.trace)
		pv_snprintf(text, sizeof(text), "%u %lx %lx %lx %lx %lx", c->nr, c->a[0], c->a[1],
		            c->a[2], c->a[3], c->a[4]);
	at_attempt(text);
}

void at_hypercalls(void)
{
	struct call c;

	for (unsigned int i = 0; i < at.budget; i++) {
		c.nr = (unsigned int)at_below(NUMBERS);
		/* The page of stubs ends at number 127; the table behind it at 63. */
		if (at_chance(32))
			c.nr = (unsigned int)at_below(128);
		if (!at_keep(at_scratch) || !at_keep(at_scratch + 4096))
			return; /* given away, or a table now */
		at_noise(at_scratch, sizeof(at_scratch));
		arguments(c.nr, c.a);
		shape(c.nr);
		if (is_pointless(c.nr, c.a))
			continue;
		describe(&c);
		at_try(make, &c);
		pv_cpus[0]->info->evtchn_upcall_mask = 1;
		at_restore();
	}
}
