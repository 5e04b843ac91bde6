/* SPDX-License-Identifier: MIT */
/*
 * The attacker: a kernel whose only aim is to harm the hypervisor, the host or its neighbour.
 *
 * Behaviour: one family of attacks, chosen by the first word of the command line, with as many
 * attempts as `budget` says and numbers that follow from `seed`.
 * Method: see each family's file. What it needs to know of its neighbour the harness tells it.
 * Breakage: the line "attacker: BREACH ..."; or what the harness sees: the hypervisor's end, a
 * witness that complains, counts that do not add up, something left behind.
 *
 *   FAMILY seed=N budget=N [port=N read=N write=N go=N foreign=N foreign_end=N] [trace=1]
 */
#include "tests/hostile/attacker/attack.h"

#include <stdarg.h>

#include "pvops/barrier.h"
#include "pvops/lib/format.h"
#include "pvops/smp.h"
#include "pvops/time.h"

#define STACK_PAGES 4

struct at_facts at;
unsigned int at_traps;
struct pv_frame at_last;

/* [0]: where vCPU 0 is entered from user mode; the others run on theirs. */
static uint8_t stacks[PV_MAX_CPUS][STACK_PAGES * PV_PAGE_SIZE] __attribute__((aligned(16)));
static uint64_t slots[PV_MAX_CPUS];
static uint64_t at_deadline;
static void (*helper)(unsigned int cpu);
static unsigned int helpers_busy;

static const struct {
	const char *name;
	void (*run)(void);
} families[] = {
	{ "hypercalls", at_hypercalls }, { "irets", at_irets },
	{ "contexts", at_contexts },     { "tables", at_tables },
	{ "races", at_races },           { "events", at_events },
	{ "grants", at_grants },         { "store", at_store },
	{ "engine", at_engine },         { "user", at_user },
};

void at_breach(const char *fmt, ...)
{
	char text[200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = pv_snprintf(text, sizeof(text), "attacker: BREACH ");
	n += pv_vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = (int)strlen(text);
	text[n] = '\n';
	pv_hc_console_io(CONSOLEIO_write, (unsigned int)n + 1, text);
	for (;;)
		pv_shutdown(SHUTDOWN_crash);
}

void at_attempt(const char *name)
{
	static uint64_t attempts;
	char text[160];

	attempts++;
	/* A field of the shared page that nobody else uses while we run; the page may be gone. */
	__asm__ volatile("1: mov %0, (%1)\n"
	                 "2:\n" PV_EXTABLE("1b", "2b")
	                 :
	                 : "r"(attempts), "r"(&pv_shared_info->arch.max_pfn)
	                 : "memory");
	if (at.trace)
		pv_hc_console_io(
			CONSOLEIO_write,
			(unsigned int)pv_snprintf(text, sizeof(text), "%lu %s\n", attempts, name),
			text);
}

/* ---- traps ---------------------------------------------------------------------------------- */

static void leave(struct pv_frame *frame, uint64_t slot)
{
	frame->rip = (uint64_t)at_abort;
	frame->cs = FLAT_KERNEL_CS & ~3; /* as an iret takes it: kernel mode */
	frame->ss = FLAT_KERNEL_SS;
	frame->rsp = slot;
	frame->rflags = 2;
	frame->saved_upcall_mask = 1;
}

static bool on_trap(struct pv_frame *frame)
{
	uint64_t slot = slots[pv_cpu()->id];

	at_traps++;
	at_last = *frame;
	/* Our own way back is broken: an attack that ran on has spoilt its stack. */
	if (frame->rip >= (uint64_t)at_abort && frame->rip < (uint64_t)at_abort_end)
		return false;
	if (frame->vector == PV_VECTOR_NMI || pv_trap_fix_up(frame))
		return true;
	if (!slot)
		return false;
	leave(frame, slot);
	return true;
}

/* The clock's tick: code that would run for ever has run long enough. */
static void upcall_done(struct pv_frame *frame)
{
	uint64_t slot = slots[pv_cpu()->id];

	if (at_deadline && frame && slot && pv_now_ns() > at_deadline)
		leave(frame, slot);
}

const struct pv_hooks pv_hooks = { .upcall_done = upcall_done };

static void no_more(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
}

void at_limit(uint64_t ns)
{
	struct vcpu_set_periodic_timer timer = { .period_ns = 1000000 };
	static bool bound;

	at_deadline = ns ? pv_now_ns() + ns : 0;
	if (!ns)
		return;
	if (!bound)
		bound = !pv_timer_bind(0, no_more, NULL);
	pv_hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &timer);
}

bool at_try(void (*fn)(void *), void *arg)
{
	return !at_protect(&slots[pv_cpu()->id], fn, arg);
}

bool at_read(uint64_t va, uint8_t *value)
{
	return pv_probe_read((void *)va, value);
}

bool at_write(uint64_t va, uint8_t value)
{
	return pv_probe_write((void *)va, value);
}

void at_restore(void)
{
	pv_hc_set_segment_base(SEGBASE_GS_KERNEL, (uintptr_t)pv_cpus[0]);
	pv_traps_init();
	pv_hc_stack_switch(FLAT_KERNEL_SS, (uintptr_t)stacks[0] + sizeof(stacks[0]));
	pv_hc_fpu_taskswitch(0);
}

bool at_keep(void *page)
{
	uint64_t entry = pv_p2m(pv_virt_to_pfn(page)) << PV_PAGE_SHIFT | 0x67;
	uint8_t byte;

	if (at_read((uint64_t)page, &byte) && at_write((uint64_t)page, byte))
		return true;
	pv_hc_update_va_mapping((uint64_t)page, entry, UVMF_INVLPG | UVMF_ALL);
	return at_read((uint64_t)page, &byte) && at_write((uint64_t)page, byte);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static void helper_main(void)
{
	unsigned int id = pv_cpu()->id;

	pv_irq_enable();
	for (;;) {
		void (*fn)(unsigned int) = __atomic_load_n(&helper, __ATOMIC_ACQUIRE);

		if (!fn) {
			pv_hc_sched_op(SCHEDOP_yield, NULL);
			continue;
		}
		__atomic_add_fetch(&helpers_busy, 1, __ATOMIC_ACQ_REL);
		fn(id);
		__atomic_sub_fetch(&helpers_busy, 1, __ATOMIC_ACQ_REL);
	}
}

void at_helpers(void (*fn)(unsigned int cpu))
{
	static bool started;

	if (!started && fn) {
		started = true;
		pv_smp_init(NULL);
		for (unsigned int i = 1; i < at.cpus; i++) {
			if (pv_smp_start(i, stacks[i] + sizeof(stacks[i]), helper_main))
				pv_panic("attacker: vCPU %u does not start", i);
		}
	}
	__atomic_store_n(&helper, fn, __ATOMIC_RELEASE);
	while (!fn && __atomic_load_n(&helpers_busy, __ATOMIC_ACQUIRE)) {
		/* One of them may have taken another down. */
		for (unsigned int i = 1; i < at.cpus; i++)
			pv_hc_vcpu_op(VCPUOP_up, i, NULL);
		pv_hc_sched_op(SCHEDOP_yield, NULL);
	}
}

/* ---- start ---------------------------------------------------------------------------------- */

static uint64_t fact(const char *cmdline, const char *name)
{
	const char *p = strstr(cmdline, name);
	uint64_t n = 0;

	if (!p)
		return 0;
	for (p += strlen(name); *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	return n;
}

static void learn(const struct pv_boot *boot)
{
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	static xen_pfn_t frames[1];

	at.seed = fact(boot->cmdline, "seed=");
	at.budget = (unsigned int)fact(boot->cmdline, "budget=");
	at.port = (evtchn_port_t)fact(boot->cmdline, "port=");
	at.read = (grant_ref_t)fact(boot->cmdline, "read=");
	at.write = (grant_ref_t)fact(boot->cmdline, "write=");
	at.go = (grant_ref_t)fact(boot->cmdline, "go=");
	at.foreign = fact(boot->cmdline, "foreign=");
	at.foreign_end = fact(boot->cmdline, "foreign_end=");
	at.trace = fact(boot->cmdline, "trace=");
	at.witness = 1;
	at.self = 2;
	at.cpus = pv_smp_possible();
	at.frame0 = pv_p2m(0);
	at.shared_frame = boot->start->shared_info >> PV_PAGE_SHIFT;
	set_xen_guest_handle(setup.frame_list, frames);
	if (!pv_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1) && !setup.status)
		at.grant_frame = frames[0];
	at_seed(at.seed);
}

void kernel_main(const struct pv_boot *boot)
{
	for (unsigned int i = 0; i < PV_NR_VECTORS; i++)
		if (i != PV_VECTOR_EVENT)
			pv_trap_set(i, on_trap);
	if (pv_mmu_map_memory())
		pv_panic("attacker: no memory");
	learn(boot);
	for (unsigned int i = 0; i < AT_COUNT(families); i++) {
		if (strncmp(boot->cmdline, families[i].name, strlen(families[i].name)))
			continue;
		pv_log("attacker: %s seed %lu\n", families[i].name, at.seed);
		families[i].run();
		at_helpers(NULL);
		at_restore();
		pv_log("attacker: done, %u traps\n", at_traps);
		return;
	}
	pv_panic("attacker: no such family: %s", boot->cmdline);
}
