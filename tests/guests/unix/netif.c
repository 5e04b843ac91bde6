/* SPDX-License-Identifier: MIT */
/*
 * The network stack in this kernel: who waits, who wakes, and a process of the kernel's that does what
 * is due at a time and what the device wants.
 *
 * Locking: the stack's lock is taken before sched_lock (a packet that comes wakes somebody). So what
 * a waiter waits for, which looks under the stack's lock, is never asked with sched_lock held: the
 * waiter asks before it sleeps, and sleeps until somebody was woken at all.
 */
#include "tests/guests/unix/netif.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "pvops/time.h"
#include "tests/guests/unix/mutex.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/store.h"

#define DHCP_NS 10000000000ull

static struct net *net;
static struct netdev *dev;
static struct mutex lock;      /* of the two above while they are made */
static struct mutex ping_lock; /* the stack waits for one answer at a time */

/* ---- waiting ---- */

static uint32_t wakes; /* so far, of anybody */

static bool has_moved(void *arg)
{
	return pv_load_acquire(&wakes) != *(uint32_t *)arg;
}

/*
 *  1. the count is read
 *  2. ready() says no; somebody makes it say yes, counts and wakes: nobody sleeps yet
 *  3. has_moved() is asked before the sleep, sees another count, and ready() is asked again
 */
static bool wait(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns)
{
	for (;;) {
		uint32_t seen = pv_load_acquire(&wakes);

		if (ready(arg))
			return true;
		if (sched_sleep(q, has_moved, &seen, deadline_ns, true))
			return ready(arg);
	}
}

static void wake(struct pv_waitq *q)
{
	__atomic_fetch_add(&wakes, 1, __ATOMIC_SEQ_CST);
	sched_wake(q);
}

static bool interrupted(void)
{
	bool is;

	pv_spin_lock(&sched_lock);
	is = signal_waits(current());
	pv_spin_unlock(&sched_lock);
	return is;
}

/* ---- what is due, and what the device wants ---- */

static struct pv_waitq work_q;
static uint64_t due_ns = UINT64_MAX, sleeps_until = UINT64_MAX;
static uint32_t device_calls;

/* The store is before the look: either the sleeper sees it, or it is seen how long it sleeps. */
static void arm(struct net *n, uint64_t deadline_ns)
{
	(void)n;
	pv_xchg(&due_ns, deadline_ns);
	if (deadline_ns < pv_load(&sleeps_until))
		sched_wake(&work_q);
}

static void on_attention(struct netdev *d)
{
	(void)d;
	pv_store_release(&device_calls, 1);
	sched_wake(&work_q);
}

static bool has_work(void *arg)
{
	(void)arg;
	return pv_load_acquire(&device_calls) || pv_load(&due_ns) < pv_load(&sleeps_until);
}

static void serve_net(void)
{
	for (;;) {
		uint64_t until = pv_load(&due_ns);

		pv_xchg(&sleeps_until, until);
		sched_sleep(&work_q, has_work, NULL, until == UINT64_MAX ? 0 : until, false);
		if (pv_xchg(&device_calls, 0) && pv_load_acquire(&dev))
			netdev_service(dev);
		if (pv_load(&due_ns) <= pv_now_ns()) {
			pv_xchg(&due_ns, UINT64_MAX); /* net_timer() says what comes next */
			net_timer(net);
		}
	}
}

/* ---- the beginning ---- */

static struct netdev_client client;

static int open_device(const char *node, unsigned int handle, void *arg)
{
	(void)handle;
	return netdev_open(node, &client, net, arg) ? 0 : 1;
}

static void find_device(void)
{
	struct netdev *found;

	if ((!pv_is_native() && !store_is_there()) || netdev_each(open_device, &found) <= 0)
		return;
	net_attach(net, found);
	netdev_start(found);
	pv_store_release(&dev, found);
	on_attention(dev); /* what it wanted before there was anything to serve */
}

struct net *netif_stack(void)
{
	static const struct net_env env = { .page_alloc = page_alloc,
		                            .page_free = page_put,
		                            .now_ns = pv_now_ns,
		                            .wait = wait,
		                            .wake = wake,
		                            .interrupted = interrupted,
		                            .arm = arm };

	mutex_lock(&lock);
	if (!net) {
		client = net_client;
		client.attention = on_attention;
		net = net_create(&env);
		if (net)
			proc_start_kernel("net", serve_net);
	}
	if (net && !dev)
		find_device();
	mutex_unlock(&lock);
	return net;
}

/* ---- calls ---- */

int netif_info(struct unix_netinfo *info)
{
	struct net *n = netif_stack();
	struct netdev_info d;
	struct net_config c;
	struct net_figures f;

	if (!n)
		return -ENOMEM;
	memset(info, 0, sizeof(*info));
	if (dev) {
		netdev_get_info(dev, &d);
		memcpy(info->name, dev->name, sizeof(info->name));
		memcpy(info->mac, d.mac, sizeof(info->mac));
		info->link_up = d.link_up;
		info->mtu = d.mtu;
	}
	net_get_config(n, &c);
	info->addr = (struct unix_netaddr){ c.ip, c.mask, c.gateway, c.dns };
	net_get_figures(n, &f);
	info->sent = f.sent;
	info->received = f.received;
	info->dropped = f.dropped;
	info->bad_checksum = f.bad_checksum;
	info->retransmitted = f.retransmitted;
	return 0;
}

int netif_config(const struct unix_netaddr *addr)
{
	const struct net_config c = { addr->ip, addr->mask, addr->gateway, addr->dns };
	struct net *n = netif_stack();

	if (!n)
		return -ENOMEM;
	if (!addr->ip)
		return net_dhcp(n, DHCP_NS);
	net_configure(n, &c);
	return 0;
}

long netif_ping(uint32_t ip, unsigned int bytes, uint64_t limit_ns)
{
	struct net *n = netif_stack();
	uint64_t rtt;
	int rc;

	if (!n)
		return -ENOMEM;
	mutex_lock(&ping_lock);
	rc = net_ping(n, ip, bytes, limit_ns ? limit_ns : 1, &rtt);
	mutex_unlock(&ping_lock);
	return rc ? rc : (long)rtt;
}
