/* SPDX-License-Identifier: MIT */
/*
 * The network front-end and the store: finding an interface, agreeing with its back-end, and all that
 * happens to the connection afterwards.
 *
 *   ours                          the back-end's
 *                                 InitWait: what it can do
 *   rings, ports, features
 *   Connected
 *                                 Connected: packets flow
 *
 * Later: InitWait: the back-end has started again; its old self has let go of everything, packets
 * that were under way are lost. Closing or gone: the link is down, for good.
 *
 * Invariant: everything here runs in a thread that may wait, and in one at a time (`serving`). The
 * store's event only says that there is something to look at.
 */
#include <stdarg.h>

#include "abi/errno.h"
#include "frontends/netfront.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"

#define MAX_MTU (XEN_NETIF_MAX_TX_SIZE - 14u)
#define STD_MTU 1500u

/* ---- what is agreed --------------------------------------------------------------------------- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int read_mac(struct netfront *f)
{
	uint8_t mac[6];
	char text[24];
	unsigned i;

	if (pv_xs_read(PV_XS_NO_TX, f->bus.name, "mac", text, sizeof(text), NULL) &&
	    pv_xs_read(PV_XS_NO_TX, f->bus.otherend, "mac", text, sizeof(text), NULL))
		return -XEN_ENOENT;
	if (strlen(text) != 17)
		return -XEN_EINVAL;
	for (i = 0; i < 6; i++) {
		int high = digit(text[i * 3]), low = digit(text[i * 3 + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':'))
			return -XEN_EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(f->info.mac, mac, sizeof(mac));
	return 0;
}

static int agree(struct netfront *f)
{
	struct netdev_info *info = &f->info;
	unsigned queues = pv_xenbus_offer(&f->bus, "multi-queue-max-queues", UINT32_MAX, 0);
	unsigned cpus = pv_cpu_count();

	f->multi_queue = queues != 0;
	info->queues = queues > 1 ? queues : 1;
	if (info->queues > cpus)
		info->queues = cpus;
	if (info->queues > NETFRONT_MAX_QUEUES)
		info->queues = NETFRONT_MAX_QUEUES;
	info->tx_depth = info->rx_depth = NETFRONT_SLOTS;
	f->split = pv_xenbus_offers(&f->bus, "feature-split-event-channels");
	info->sg = pv_xenbus_offers(&f->bus, "feature-sg");
	info->gso_ipv4 = info->sg && pv_xenbus_offers(&f->bus, "feature-gso-tcpv4");
	info->gso_ipv6 = info->sg && pv_xenbus_offers(&f->bus, "feature-gso-tcpv6");
	info->csum_ipv4 = true; /* every back-end does; there is no key for it */
	info->csum_ipv6 = pv_xenbus_offers(&f->bus, "feature-ipv6-csum-offload");
	info->mtu = pv_xenbus_offer(&f->bus, "mtu", MAX_MTU, STD_MTU);
	if (info->mtu < 68)
		info->mtu = STD_MTU;
	if (!pv_xenbus_offers(&f->bus, "feature-rx-copy"))
		return -XEN_EOPNOTSUPP;
	return read_mac(f);
}

/* ---- connecting ------------------------------------------------------------------------------- */

static int publish_queue(uint32_t tx, const struct netfront *f, const struct netfront_queue *q,
                         const char *dir)
{
	int rc = pv_xs_printf(tx, dir, "tx-ring-ref", "%u", q->tx_ref);

	if (!rc)
		rc = pv_xs_printf(tx, dir, "rx-ring-ref", "%u", q->rx_ref);
	if (!rc && !f->split)
		rc = pv_xs_printf(tx, dir, "event-channel", "%u", q->tx_port);
	if (!rc && f->split)
		rc = pv_xs_printf(tx, dir, "event-channel-tx", "%u", q->tx_port);
	if (!rc && f->split)
		rc = pv_xs_printf(tx, dir, "event-channel-rx", "%u", q->rx_port);
	return rc;
}

static int publish(uint32_t tx, void *arg)
{
	static const char *const features[] = { "request-rx-copy",   "feature-rx-notify",
		                                "feature-sg",        "feature-gso-tcpv4",
		                                "feature-gso-tcpv6", "feature-ipv6-csum-offload" };
	const struct netfront *f = arg;
	char dir[PV_XENBUS_DIR];
	unsigned i;
	int rc = 0;

	for (i = 0; !rc && i < sizeof(features) / sizeof(features[0]); i++)
		rc = pv_xs_printf(tx, f->bus.name, features[i], "1");
	if (!rc)
		rc = pv_xs_printf(tx, f->bus.name, "feature-reconnect", "%u", f->generation);
	if (!rc && f->multi_queue)
		rc = pv_xs_printf(tx, f->bus.name, "multi-queue-num-queues", "%u", f->info.queues);
	for (i = 0; !rc && i < f->info.queues; i++) {
		pv_xenbus_queue_dir(&f->bus, i, f->info.queues, dir);
		rc = publish_queue(tx, f, f->queue[i], dir);
	}
	return rc;
}

/* A queue for each vCPU, as far as there are any. */
static int make_queues(struct netfront *f)
{
	unsigned cpu, k = 0;
	int rc = 0;

	for (cpu = 0; !rc && cpu < PV_MAX_CPUS && k < f->info.queues; cpu++) {
		if (pv_cpus[cpu])
			rc = netfront_queue_up(f, k++, cpu);
	}
	return rc;
}

static void drop_queues(struct netfront *f)
{
	unsigned i;

	for (i = 0; i < f->nr_queues; i++)
		netfront_queue_stop(f->queue[i]);
	for (i = 0; i < f->nr_queues; i++)
		netfront_queue_down(f->queue[i]);
}

static int connect(struct netfront *f)
{
	int rc = pv_xenbus_switch(&f->bus, XenbusStateInitialising);

	if (!rc)
		rc = pv_xenbus_await(&f->bus, XenbusStateInitWait, 0);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "waiting for the back-end");
	rc = agree(f);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "reading what the back-end offers");
	rc = make_queues(f);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "making the rings");
	f->generation++;
	rc = pv_xs_transact(publish, f);
	if (!rc)
		rc = pv_xenbus_switch(&f->bus, XenbusStateConnected);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "publishing the rings");
	rc = pv_xenbus_await(&f->bus, XenbusStateConnected, PV_XENBUS_GONE);
	return rc ? pv_xenbus_error(&f->bus, rc, "waiting for the connection") : 0;
}

static void open_queues(struct netfront *f)
{
	unsigned i;

	f->info.link_up = pv_xenbus_offer(&f->bus, "carrier", 1, 1);
	for (i = 0; i < f->info.queues; i++)
		netfront_queue_open(f->queue[i]);
}

/* ---- what happens meanwhile, and the end ------------------------------------------------------ */

static void say_changed(struct netfront *f)
{
	if (f->dev.client.changed)
		f->dev.client.changed(&f->dev);
}

/* Both sides go; whatever the back-end does, this ends. */
static void disconnect(struct netfront *f)
{
	unsigned i;

	for (i = 0; i < f->nr_queues; i++)
		netfront_queue_stop(f->queue[i]);
	pv_xenbus_leave(&f->bus);
	drop_queues(f);
}

static void end(struct netfront *f, const char *why)
{
	pv_log("%s: %s\n", f->dev.name, why);
	pv_store_release(&f->is_gone, true);
	disconnect(f);
	f->info.link_up = false;
	say_changed(f);
}

static void reconnect(struct netfront *f)
{
	drop_queues(f);
	if (connect(f)) {
		end(f, "the back-end did not come back: closed");
		return;
	}
	f->queue[0]->stats.reconnects++;
	open_queues(f);
	say_changed(f);
}

static void look_at_link(struct netfront *f)
{
	bool up = pv_xenbus_offer(&f->bus, "carrier", 1, 1);

	if (up == f->info.link_up)
		return;
	f->info.link_up = up;
	say_changed(f);
}

static void look(void *arg)
{
	struct netfront *f = arg;
	uint64_t state;

	if (pv_load(&f->is_gone))
		return;
	if (pv_load(&f->common.is_broken)) {
		end(f, "closed, for its back-end is not to be trusted");
		return;
	}
	if (pv_xenbus_look(&f->bus, &state))
		return; /* the rings may go on without the store */
	switch (state) {
	case XenbusStateConnected:
		look_at_link(f);
		break;
	case XenbusStateInitWait:
		reconnect(f);
		break;
	case XenbusStateClosing:
		end(f, "closed by the back-end");
		break;
	case XenbusStateUnknown:
	case XenbusStateClosed:
		end(f, "the back-end has gone");
		break;
	default:
		break; /* it is on its way, or talks nonsense */
	}
}

void netfront_service(struct netdev *dev)
{
	front_service(&((struct netfront *)dev)->common, look, dev);
}

static void attend(struct netfront *f)
{
	front_attend(&f->common);
	if (f->dev.client.attention)
		f->dev.client.attention(&f->dev);
}

static void on_change(struct pv_xenbus *bus)
{
	attend(bus->arg);
}

/* From the data path, with a queue's lock held: said at once, acted upon by a thread. */
void netfront_accuse(struct netfront *f, const char *fmt, ...)
{
	va_list ap;
	bool is_new;

	va_start(ap, fmt);
	is_new = front_accuse(&f->common, &f->bus, fmt, ap);
	va_end(ap);
	if (is_new)
		attend(f);
}

/* ---- opening and closing ---------------------------------------------------------------------- */

static struct front_spares spares = FRONT_SPARES_INIT;

static struct netfront *take_front(void)
{
	struct front *spare = front_take_spare(&spares);
	struct netfront_queue *queue[NETFRONT_MAX_QUEUES];
	struct netfront *f;
	unsigned nr;

	_Static_assert(sizeof(*f) <= PV_PAGE_SIZE, "a device lies in one page");
	if (!spare) {
		f = pv_page_alloc();
		if (f)
			memset(f, 0, sizeof(*f));
		return f;
	}
	f = (struct netfront *)((char *)spare - offsetof(struct netfront, common));
	memcpy(queue, f->queue, sizeof(queue));
	nr = f->nr_queues;
	memset(f, 0, sizeof(*f));
	memcpy(f->queue, queue, sizeof(queue));
	f->nr_queues = nr;
	return f;
}

static void put_front(struct netfront *f)
{
	if (f->is_open)
		pv_xenbus_close(&f->bus);
	front_put_spare(&spares, &f->common);
}

void netfront_close(struct netdev *dev)
{
	struct netfront *f = (struct netfront *)dev;

	front_retire(&f->common);
	if (!f->is_gone) {
		pv_store_release(&f->is_gone, true);
		disconnect(f);
	}
	put_front(f);
}

int netfront_open(const char *node, const struct netdev_client *client, void *arg,
                  struct netdev **dev)
{
	struct netfront *f = take_front();
	unsigned handle;
	int rc;

	if (!f)
		return -XEN_ENOMEM;
	f->dev.ops = &netfront_ops;
	f->dev.client = *client;
	f->dev.arg = arg;
	f->bus.changed = on_change;
	f->bus.arg = f;
	rc = pv_xenbus_number(node, &handle);
	if (!rc)
		pv_snprintf(f->dev.name, sizeof(f->dev.name), "eth%u", handle);
	if (!rc)
		rc = pv_xenbus_open(&f->bus, node);
	f->is_open = !rc;
	if (!rc)
		rc = connect(f);
	if (rc) {
		if (f->is_open)
			disconnect(f);
		put_front(f);
		return rc == -XEN_ENOENT ? -XEN_ENODEV : rc;
	}
	*dev = &f->dev;
	return 0;
}

void netfront_start(struct netdev *dev)
{
	open_queues((struct netfront *)dev);
}

int netfront_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg)
{
	return pv_xenbus_each_number("vif", fn, arg);
}
