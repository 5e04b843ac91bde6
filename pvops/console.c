/* SPDX-License-Identifier: MIT */
/*
 * The console ring. We produce `out` and consume `in`; the other side may be slow, dead or wrong.
 *
 * Invariant: we write out_prod and in_cons only. An index of the other side that cannot be (more
 * than a ring away from ours) is taken as "full" or "empty": nothing outside the ring is touched,
 * nothing is believed.
 */
#include "pvops/console.h"

#include "abi/io/console.h"
#include "pvops/barrier.h"
#include "pvops/evtchn.h"
#include "pvops/hypercall.h"
#include "pvops/lock.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"

/* How long to sleep between looks at a full ring; the port ends the sleep earlier. */
#define FULL_SLEEP_NS 10000000ull
#define DRAIN_LOOKS   100000

static struct xencons_interface *ring;
static evtchn_port_t port;
static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static bool in_panic;

void pv_console_init(const struct start_info *start)
{
	uint64_t pfn = pv_m2p(start->console.domU.mfn);

	if (pfn == PV_NO_FRAME)
		return;
	ring = pv_pfn_to_virt(pfn);
	port = start->console.domU.evtchn;
}

evtchn_port_t pv_console_port(void)
{
	return port;
}

void pv_console_panic(void)
{
	in_panic = true;
}

static uint64_t take_lock(void)
{
	return in_panic ? 0 : pv_spin_lock_irq(&lock);
}

static void drop_lock(uint64_t irq)
{
	if (!in_panic)
		pv_spin_unlock_irq(&lock, irq);
}

size_t pv_console_room(void)
{
	uint32_t used;

	if (!ring)
		return 0;
	/* Acquire: bytes are stored only after the reader said it was done with their place. */
	used = ring->out_prod - pv_load_acquire(&ring->out_cons);
	return used > sizeof(ring->out) ? 0 : sizeof(ring->out) - used;
}

size_t pv_console_try_write(const char *text, size_t len)
{
	uint64_t irq = take_lock();
	size_t room = pv_console_room(), i;
	uint32_t prod;

	if (len > room)
		len = room;
	if (len) {
		prod = ring->out_prod;
		for (i = 0; i < len; i++, prod++)
			ring->out[MASK_XENCONS_IDX(prod, ring->out)] = text[i];
		pv_store_release(&ring->out_prod, prod); /* the bytes before the index */
	}
	drop_lock(irq);
	if (len)
		pv_evtchn_send(port);
	return len;
}

/*
 * Sleeps until the port rises or a moment has passed. Works with events masked: the hypervisor polls
 * for us. The pending bit is taken, or the poll would return at once for ever; who took one puts
 * it back when it is done, for it may have told of input too.
 */
static bool sleep_on_port(void)
{
	struct sched_poll poll = { .nr_ports = 1, .timeout = pv_now_ns() + FULL_SLEEP_NS };

	set_xen_guest_handle(poll.ports, &port);
	pv_hc_sched_op(SCHEDOP_poll, &poll);
	return pv_evtchn_take(port);
}

void pv_console_write(const char *text, size_t len)
{
	bool took_event = false;
	size_t n;

	if (!ring)
		return;
	while (len) {
		n = pv_console_try_write(text, len);
		text += n;
		len -= n;
		if (len)
			took_event |= sleep_on_port();
	}
	if (took_event)
		pv_evtchn_raise(port);
}

void pv_console_drain(uint64_t limit_ns)
{
	uint64_t deadline = pv_now_ns() + limit_ns;
	unsigned int looks;

	if (!ring)
		return;
	/* Counted too: in a panic before the shared page is mapped the clock stands still. */
	for (looks = 0; looks < DRAIN_LOOKS; looks++) {
		if (pv_console_room() == sizeof(ring->out) || pv_now_ns() >= deadline)
			return;
		sleep_on_port();
	}
}

size_t pv_console_read(char *buf, size_t len)
{
	uint64_t irq;
	uint32_t cons, ready;
	size_t i;

	if (!ring)
		return 0;
	irq = take_lock();
	cons = ring->in_cons;
	ready = pv_load_acquire(&ring->in_prod) - cons; /* the index before the bytes */
	if (ready > sizeof(ring->in))
		ready = 0;
	if (len > ready)
		len = ready;
	for (i = 0; i < len; i++, cons++)
		buf[i] = ring->in[MASK_XENCONS_IDX(cons, ring->in)];
	pv_mb(); /* the bytes are read before their place is given back */
	pv_store(&ring->in_cons, cons);
	drop_lock(irq);
	if (len)
		pv_evtchn_send(port);
	return len;
}
