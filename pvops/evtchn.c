/* SPDX-License-Identifier: MIT */
/*
 * Event channels by the two-level bitmap: vcpu_info.evtchn_pending_sel says which words of
 * shared_info.evtchn_pending have news.
 *
 * Invariant: a port that has no handler is masked, so nothing can be pending for nobody.
 *
 * Two vCPUs may scan one word of the bitmap at the same time, for it can hold ports of both. Each
 * takes only those in its own pv_cpu.ports.
 */
#include "pvops/evtchn.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "abi/errno.h"
#include "pvops/hypercall.h"
#include "pvops/lock.h"
#include "pvops/pvguest.h"

#define NR_PORTS      EVTCHN_2L_NR_CHANNELS
#define MAX_POLL      128 /* of SCHEDOP_poll */
#define BITS_PER_WORD 64

static struct {
	pv_evtchn_fn fn;
	void *arg;
	uint32_t cpu;
} table[NR_PORTS];

/* Guards the table and the masks that follow from it; events masked while it is held. */
static struct pv_spinlock table_lock = PV_SPINLOCK_INIT;

void pv_evtchn_init(void)
{
	unsigned int i;

	for (i = 0; i < PV_EVTCHN_WORDS; i++)
		pv_store(&pv_shared_info->evtchn_mask[i], ~0ul);
}

int pv_evtchn_bind(evtchn_port_t port, uint32_t cpu, pv_evtchn_fn fn, void *arg)
{
	uint64_t irq;

	if (port >= NR_PORTS || cpu >= PV_MAX_CPUS || !pv_cpus[cpu])
		return -XEN_EINVAL;
	irq = pv_spin_lock_irq(&table_lock);
	if (table[port].fn) {
		pv_spin_unlock_irq(&table_lock, irq);
		return -XEN_EEXIST;
	}
	table[port].arg = arg;
	table[port].cpu = cpu;
	table[port].fn = fn;
	pv_bit_set(pv_cpus[cpu]->ports, port); /* orders the three stores before it */
	pv_spin_unlock_irq(&table_lock, irq);
	pv_evtchn_unmask(port);
	return 0;
}

void pv_evtchn_unbind(evtchn_port_t port)
{
	uint64_t irq;

	if (port >= NR_PORTS)
		return;
	pv_evtchn_mask(port);
	irq = pv_spin_lock_irq(&table_lock);
	if (table[port].fn)
		pv_bit_clear(pv_cpus[table[port].cpu]->ports, port);
	table[port].fn = NULL;
	table[port].arg = NULL;
	pv_spin_unlock_irq(&table_lock, irq);
}

int pv_evtchn_close(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	pv_evtchn_unbind(port);
	return (int)PV_OP(event, channel, EVTCHNOP_close, &op);
}

/* The second half of every allocation: a port that cannot get its handler is closed again. */
static int adopt(evtchn_port_t new_port, uint32_t cpu, pv_evtchn_fn fn, void *arg,
                 evtchn_port_t *port)
{
	int rc = pv_evtchn_bind(new_port, cpu, fn, arg);

	if (rc) {
		struct evtchn_close op = { .port = new_port };

		PV_OP(event, channel, EVTCHNOP_close, &op);
		return rc;
	}
	*port = new_port;
	return 0;
}

/* Ports between domains are born on vCPU 0, whoever asked for them. */
static int adopt_here(evtchn_port_t new_port, pv_evtchn_fn fn, void *arg, evtchn_port_t *port)
{
	int rc = adopt(new_port, 0, fn, arg, port);

	if (rc == 0 && pv_cpu()->id != 0)
		rc = pv_evtchn_set_cpu(new_port, pv_cpu()->id);
	return rc;
}

int pv_evtchn_alloc_unbound(domid_t peer, pv_evtchn_fn fn, void *arg, evtchn_port_t *port)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = peer };
	long rc = PV_OP(event, channel, EVTCHNOP_alloc_unbound, &op);

	return rc ? (int)rc : adopt_here(op.port, fn, arg, port);
}

int pv_evtchn_bind_interdomain(domid_t peer, evtchn_port_t peer_port, pv_evtchn_fn fn, void *arg,
                               evtchn_port_t *port)
{
	struct evtchn_bind_interdomain op = { .remote_dom = peer, .remote_port = peer_port };
	long rc = PV_OP(event, channel, EVTCHNOP_bind_interdomain, &op);

	return rc ? (int)rc : adopt_here(op.local_port, fn, arg, port);
}

int pv_evtchn_bind_virq(uint32_t virq, uint32_t cpu, pv_evtchn_fn fn, void *arg,
                        evtchn_port_t *port)
{
	struct evtchn_bind_virq op = { .virq = virq, .vcpu = cpu };
	long rc = PV_OP(event, channel, EVTCHNOP_bind_virq, &op);

	return rc ? (int)rc : adopt(op.port, cpu, fn, arg, port);
}

int pv_evtchn_bind_ipi(uint32_t cpu, pv_evtchn_fn fn, void *arg, evtchn_port_t *port)
{
	struct evtchn_bind_ipi op = { .vcpu = cpu };
	long rc = PV_OP(event, channel, EVTCHNOP_bind_ipi, &op);

	return rc ? (int)rc : adopt(op.port, cpu, fn, arg, port);
}

int pv_evtchn_send(evtchn_port_t port)
{
	struct evtchn_send op = { .port = port };

	return (int)PV_OP(event, channel, EVTCHNOP_send, &op);
}

void pv_evtchn_mask(evtchn_port_t port)
{
	if (port < NR_PORTS)
		pv_bit_set(pv_shared_info->evtchn_mask, port);
}

/*
 * An event that rose while the port was masked made no upcall, and clearing the mask bit makes none
 * either; the hypervisor does it in one step, but only if it finds the mask bit set. So:
 *
 *   1. pending already: leave the mask as it is and ask the hypervisor.
 *   2. else clear the mask.
 *   3. pending now? It rose between 1 and 2 and made no upcall, or after 2 and did make one. Mask
 *      again and ask: one call of the handler too many does no harm, one too few does.
 */
void pv_evtchn_unmask(evtchn_port_t port)
{
	struct evtchn_unmask op = { .port = port };

	if (port >= NR_PORTS)
		return;
	if (!pv_bit_test(pv_shared_info->evtchn_pending, port)) {
		pv_bit_clear(pv_shared_info->evtchn_mask, port); /* a full barrier */
		if (!pv_bit_test(pv_shared_info->evtchn_pending, port))
			return;
		pv_bit_set(pv_shared_info->evtchn_mask, port);
	}
	PV_OP(event, channel, EVTCHNOP_unmask, &op);
}

bool pv_evtchn_take(evtchn_port_t port)
{
	return port < NR_PORTS && pv_bit_test(pv_shared_info->evtchn_pending, port) &&
	       pv_bit_clear(pv_shared_info->evtchn_pending, port);
}

void pv_evtchn_raise(evtchn_port_t port)
{
	struct pv_cpu *cpu = pv_cpu();
	uint64_t irq;

	if (port >= NR_PORTS)
		return;
	/* Masked, so that an upcall in between cannot find half of it; restore() looks for more. */
	irq = pv_irq_save();
	pv_bit_set(pv_shared_info->evtchn_pending, port);
	__atomic_fetch_or(&cpu->info->evtchn_pending_sel, 1ull << (port / BITS_PER_WORD),
	                  __ATOMIC_SEQ_CST);
	pv_store(&cpu->info->evtchn_upcall_pending, 1);
	pv_irq_restore(irq);
	PV_OP(event, raised);
}

int pv_evtchn_set_cpu(evtchn_port_t port, uint32_t cpu)
{
	struct evtchn_bind_vcpu op = { .port = port, .vcpu = cpu };
	bool was_masked;
	uint64_t irq;
	long rc;

	if (port >= NR_PORTS || cpu >= PV_MAX_CPUS || !pv_cpus[cpu])
		return -XEN_EINVAL;
	/*
	 * Masked meanwhile: an event that the old vCPU was told of and has not yet taken would be
	 * lost when the port leaves its set. Unmasking tells the new one.
	 */
	was_masked = pv_bit_set(pv_shared_info->evtchn_mask, port);
	rc = PV_OP(event, channel, EVTCHNOP_bind_vcpu, &op);
	if (rc == 0) {
		irq = pv_spin_lock_irq(&table_lock);
		if (table[port].fn) {
			pv_bit_clear(pv_cpus[table[port].cpu]->ports, port);
			pv_bit_set(pv_cpus[cpu]->ports, port);
		}
		table[port].cpu = cpu;
		pv_spin_unlock_irq(&table_lock, irq);
	}
	if (!was_masked)
		pv_evtchn_unmask(port);
	return (int)rc;
}

void pv_evtchn_sleep(uint64_t deadline_ns)
{
	PV_OP(event, sleep, deadline_ns);
}

void pv_evtchn_poll(uint64_t deadline_ns)
{
	evtchn_port_t ports[MAX_POLL];
	struct sched_poll poll = { .timeout = deadline_ns };
	struct pv_cpu *cpu = pv_cpu();
	unsigned int w;
	uint64_t bits;

	for (w = 0; w < PV_EVTCHN_WORDS; w++) {
		bits = cpu->ports[w] & ~pv_load(&pv_shared_info->evtchn_mask[w]);
		for (; bits; bits &= bits - 1) {
			if (poll.nr_ports == MAX_POLL) { /* too many to list: do not sleep */
				pv_hc_sched_op(SCHEDOP_yield, NULL);
				return;
			}
			ports[poll.nr_ports++] = w * BITS_PER_WORD +
			                         (unsigned int)__builtin_ctzll(bits);
		}
	}
	set_xen_guest_handle(poll.ports, ports);
	pv_hc_sched_op(SCHEDOP_poll, &poll);
}

static void handle_port(evtchn_port_t port)
{
	pv_evtchn_fn fn;
	void *arg;

	/* An earlier handler of the same look may have masked it: the event waits for its unmasking. */
	if (pv_bit_test(pv_shared_info->evtchn_mask, port))
		return;
	/* Cleared first: what comes from here on is a new event, and calls the handler again. */
	pv_bit_clear(pv_shared_info->evtchn_pending, port);
	fn = pv_load_acquire(&table[port].fn);
	arg = table[port].arg;
	if (fn)
		fn(port, arg);
}

/* One look at a word: what rises meanwhile waits for the next look, so no port starves another. */
static void scan_word(struct pv_cpu *cpu, unsigned int word)
{
	uint64_t bits = pv_load(&pv_shared_info->evtchn_pending[word]) &
	                ~pv_load(&pv_shared_info->evtchn_mask[word]) & cpu->ports[word];

	for (; bits; bits &= bits - 1)
		handle_port(word * BITS_PER_WORD + (unsigned int)__builtin_ctzll(bits));
}

/*
 * Order of the steps, against a hypervisor that sets pending, then the selector bit, then the
 * upcall's pending byte:
 *
 *   1. clear the byte    2. take the whole selector    3. look at the words it names
 *
 * An event that sets its bits after step 2 sets the byte again after step 1, and the loop goes on.
 */
void pv_evtchn_dispatch(void)
{
	struct pv_cpu *cpu = pv_cpu();

	while (pv_load(&cpu->info->evtchn_upcall_pending)) {
		uint64_t sel;

		pv_store(&cpu->info->evtchn_upcall_pending, 0);
		sel = pv_xchg(&cpu->info->evtchn_pending_sel, 0ul); /* a full barrier: 1 before 2 */
		for (; sel; sel &= sel - 1)
			scan_word(cpu, (unsigned int)__builtin_ctzll(sel));
	}
}

void pv_event_main(struct pv_frame *frame)
{
	struct pv_cpu *cpu = pv_cpu();

	cpu->upcall_depth++;
	pv_evtchn_dispatch();
	cpu->upcall_depth--;
	if (cpu->upcall_depth == 0 && pv_hooks.upcall_done)
		pv_hooks.upcall_done(frame);
}
