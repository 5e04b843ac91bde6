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
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"

/* How long to sleep between looks at a full ring; the port ends the sleep earlier. */
#define FULL_SLEEP_NS 10000000ull

static struct xencons_interface *ring;
static evtchn_port_t port;

static size_t ring_room(void)
{
	/* Acquire: bytes are stored only after the reader said it was done with their place. */
	uint32_t used = ring->out_prod - pv_load_acquire(&ring->out_cons);

	return used > sizeof(ring->out) ? 0 : sizeof(ring->out) - used;
}

static size_t ring_put(const char *text, size_t len)
{
	size_t room = ring_room(), i;
	uint32_t prod;

	if (len > room)
		len = room;
	if (len) {
		prod = ring->out_prod;
		for (i = 0; i < len; i++, prod++)
			ring->out[MASK_XENCONS_IDX(prod, ring->out)] = text[i];
		pv_store_release(&ring->out_prod, prod); /* the bytes before the index */
	}
	return len;
}

static size_t ring_get(char *buf, size_t len)
{
	uint32_t cons = ring->in_cons, ready;
	size_t i;

	ready = pv_load_acquire(&ring->in_prod) - cons; /* the index before the bytes */
	if (ready > sizeof(ring->in))
		ready = 0;
	if (len > ready)
		len = ready;
	for (i = 0; i < len; i++, cons++)
		buf[i] = ring->in[MASK_XENCONS_IDX(cons, ring->in)];
	pv_mb(); /* the bytes are read before their place is given back */
	pv_store(&ring->in_cons, cons);
	return len;
}

static void ring_moved(void)
{
	pv_evtchn_send(port);
}

/*
 * Works with events masked: the hypervisor polls for us. The pending bit is taken, or the poll would
 * return at once for ever; who took one puts it back when it is done, for it may have told of input
 * too.
 */
static bool ring_sleep(void)
{
	struct sched_poll poll = { .nr_ports = 1, .timeout = pv_now_ns() + FULL_SLEEP_NS };

	set_xen_guest_handle(poll.ports, &port);
	pv_hc_sched_op(SCHEDOP_poll, &poll);
	return pv_evtchn_take(port);
}

static evtchn_port_t ring_port(void)
{
	return port;
}

void pv_console_init(const struct start_info *start)
{
	static const struct pv_console_device ring_device = {
		.size = sizeof(ring->out),
		.room = ring_room,
		.put = ring_put,
		.get = ring_get,
		.moved = ring_moved,
		.sleep = ring_sleep,
		.port = ring_port,
	};
	uint64_t pfn = pv_m2p(start->console.domU.mfn);

	if (pfn == PV_NO_FRAME)
		return;
	ring = pv_pfn_to_virt(pfn);
	port = start->console.domU.evtchn;
	pv_console_use(&ring_device);
}
