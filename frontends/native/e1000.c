/* SPDX-License-Identifier: MIT */
/*
 * The Ethernet card as a kernel sees it: what it calls, who serves the rings, interrupts.
 *
 * Sent packets are given back when somebody looks: at an interrupt for what came in, at a poll. An
 * interrupt for them alone is enabled only while a sender waits for room.
 *
 * The card's moderation of interrupts follows the load: few packets at a time are to be handled at
 * once, many together.
 */
#include "frontends/native/e1000.h"

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"
#include "pvops/native/native.h"
#include "pvops/time.h"

#define MAX_CARDS    4
#define VENDOR       0x8086
#define REGS_LEN     0x20000u
#define CTRL_RST     0x04000000u
#define CTRL_SLU     0x40u
#define STATUS_LU    0x02u
#define RCTL_ON      0x04008002u /* enabled, broadcast, no FCS, buffers of 2 KiB */
#define TCTL_ON      0x000400fau /* enabled, short ones filled up */
#define TIPG_COPPER  0x0060200au
#define RXCSUM_BOTH  0x300u
#define INTERRUPTS   (E1000_RXT0 | E1000_RXDMT0 | E1000_RXO | E1000_LSC)
#define EVENT_BUDGET 512u
#define RESET_NS     2000000u
#define ITR_QUICK    56u  /* times 256 ns: 70000 interrupts a second */
#define ITR_BULK     195u /* 20000 */
#define LOAD_BULK    (16u * 8)
#define LOAD_QUICK   (4u * 8)

static struct e1000 cards[MAX_CARDS];
static unsigned nr_cards;
static bool is_looked_for;

static struct e1000 *card_of(struct netdev *dev)
{
	return (struct e1000 *)dev; /* the first member */
}

/* ---- both ways; no lock held ------------------------------------------------------------------ */

static unsigned reap(struct e1000 *e)
{
	unsigned n = 0;

	for (;;) {
		uint64_t irq = pv_spin_lock_irq(&e->lock);
		bool has_left = e->is_up && e1000_has_left(e);
		void *arg = has_left ? e1000_take_sent(e) : NULL;

		pv_spin_unlock_irq(&e->lock, irq);
		if (!has_left)
			return n;
		n++;
		e->dev.client.sent(&e->dev, 0, arg, true);
	}
}

static unsigned receive(struct e1000 *e, unsigned budget, bool *more)
{
	struct netdev_packet pkt;
	unsigned n = 0;
	bool is_there = true;

	while (is_there && n < budget) {
		uint64_t irq = pv_spin_lock_irq(&e->lock);

		is_there = e->is_up && e1000_take(e, &pkt);
		if (is_there && pkt.nr_frags) {
			e->stats.rx_packets++;
			e->stats.rx_bytes += pkt.len;
		} else if (is_there) {
			e->stats.rx_dropped++;
		}
		if (e->is_up)
			e1000_post(e);
		pv_spin_unlock_irq(&e->lock, irq);
		if (is_there && pkt.nr_frags)
			e->dev.client.receive(&e->dev, 0, &pkt);
		n += is_there;
	}
	*more = is_there;
	return n;
}

/* A sender that found no room is told when there is some. */
static void unstall(struct e1000 *e)
{
	uint64_t irq = pv_spin_lock_irq(&e->lock);
	uint32_t used = (e->tx_tail - e->tx_head) % E1000_RING;
	bool tell = e->is_up && e->is_stalled && used < E1000_RING / 2;

	if (tell) {
		e->is_stalled = false;
		e1000_write(e, E1000_IMC, E1000_TXDW);
	}
	pv_spin_unlock_irq(&e->lock, irq);
	if (tell && e->dev.client.room)
		e->dev.client.room(&e->dev, 0);
}

/*
 * One at a time: who finds somebody at it leaves it to them to look again. So call-backs do not nest,
 * and packets stay in order.
 */
static unsigned serve(struct e1000 *e, unsigned budget, bool *more)
{
	const struct netdev_client *c = &e->dev.client;
	uint64_t irq = pv_spin_lock_irq(&e->lock);
	unsigned n = 0, sent = 0;

	*more = false;
	e->look_again = true;
	while (e->look_again && !e->is_polled) {
		e->look_again = false;
		e->is_polled = true;
		pv_spin_unlock_irq(&e->lock, irq);
		sent += reap(e);
		n += receive(e, n < budget ? budget - n : 0, more);
		if ((n || sent) && c->done)
			c->done(&e->dev, 0);
		unstall(e);
		irq = pv_spin_lock_irq(&e->lock);
		e->is_polled = false;
	}
	pv_spin_unlock_irq(&e->lock, irq);
	return n;
}

/* ---- interrupts ------------------------------------------------------------------------------- */

static void moderate(struct e1000 *e, unsigned packets)
{
	uint32_t itr = e->itr;

	e->load += packets - e->load / 8;
	if (e->load > LOAD_BULK)
		itr = ITR_BULK;
	else if (e->load < LOAD_QUICK)
		itr = ITR_QUICK;
	if (itr != e->itr)
		e1000_write(e, E1000_ITR, itr);
	e->itr = itr;
}

static void look_at_link(struct e1000 *e)
{
	bool up = e1000_read(e, E1000_STATUS) & STATUS_LU;

	if (up == e->link_up)
		return;
	e->link_up = up;
	if (e->dev.client.changed)
		e->dev.client.changed(&e->dev);
}

static void on_interrupt(void *arg)
{
	struct e1000 *e = arg;
	uint32_t causes = e1000_read(e, E1000_ICR); /* takes the request back */
	bool more;

	if (!causes || !e->is_up)
		return;
	e->stats.events++;
	if (causes & E1000_LSC)
		look_at_link(e);
	moderate(e, serve(e, EVENT_BUDGET, &more));
	/* Others have their turn; then we are called again. */
	if (more)
		e1000_write(e, E1000_ICS, E1000_RXT0);
}

/* ---- what a kernel calls ---------------------------------------------------------------------- */

static int check(const struct netdev_packet *pkt)
{
	uint32_t len = 0;

	if (!pkt->nr_frags || pkt->nr_frags > NETDEV_MAX_FRAGS || pkt->len > E1000_MAX_LEN ||
	    (!pkt->gso && pkt->len > E1000_MTU + 18))
		return -XEN_EINVAL;
	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		if (!pkt->frags[i].len || pkt->frags[i].len > PV_PAGE_SIZE)
			return -XEN_EINVAL;
		len += pkt->frags[i].len;
	}
	return len == pkt->len && (!pkt->gso || pkt->gso_size) ? 0 : -XEN_EINVAL;
}

/* Lock held. A packet that has left already brings no interrupt: it is asked for. */
static void stall(struct e1000 *e)
{
	e->is_stalled = true;
	e1000_push(e);
	e1000_write(e, E1000_IMS, E1000_TXDW);
	if (e1000_has_left(e))
		e1000_write(e, E1000_ICS, E1000_TXDW);
}

static int net_send(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt)
{
	struct e1000 *e = card_of(dev);
	int rc = check(pkt);
	uint64_t irq;

	(void)queue;
	if (rc)
		return rc;
	irq = pv_spin_lock_irq(&e->lock);
	rc = e->is_up ? e1000_put(e, pkt) : -XEN_ENODEV;
	if (rc == -XEN_EAGAIN && !e->is_stalled)
		stall(e);
	if (!rc) {
		e->stats.tx_packets++;
		e->stats.tx_bytes += pkt->len;
	}
	pv_spin_unlock_irq(&e->lock, irq);
	return rc;
}

static void net_kick(struct netdev *dev, unsigned queue)
{
	struct e1000 *e = card_of(dev);
	uint64_t irq = pv_spin_lock_irq(&e->lock);

	(void)queue;
	if (e->is_up)
		e1000_push(e);
	pv_spin_unlock_irq(&e->lock, irq);
}

static unsigned net_poll(struct netdev *dev, unsigned queue, unsigned budget)
{
	bool more;

	(void)queue;
	return serve(card_of(dev), budget, &more);
}

static void net_info(struct netdev *dev, struct netdev_info *info)
{
	const struct e1000 *e = card_of(dev);

	*info = (struct netdev_info){ .mtu = E1000_MTU,
		                      .queues = 1,
		                      .tx_depth = E1000_RING,
		                      .rx_depth = E1000_RING,
		                      .link_up = e->link_up,
		                      .csum_ipv4 = true,
		                      .csum_ipv6 = true,
		                      .gso_ipv4 = true,
		                      .gso_ipv6 = true,
		                      .sg = true };
	memcpy(info->mac, e->mac, sizeof(info->mac));
}

static void net_stats(struct netdev *dev, struct netdev_stats *stats)
{
	*stats = card_of(dev)->stats;
}

static void net_service(struct netdev *dev)
{
	(void)dev; /* nothing ever waits for it */
}

/* ---- beginning and end ------------------------------------------------------------------------ */

static void reset(struct e1000 *e)
{
	uint64_t end = pv_now_ns() + RESET_NS;

	e1000_write(e, E1000_IMC, UINT32_MAX);
	e1000_write(e, E1000_RCTL, 0);
	e1000_write(e, E1000_TCTL, 0);
	e1000_write(e, E1000_CTRL, e1000_read(e, E1000_CTRL) | CTRL_RST);
	/* A card takes a microsecond and must not be asked before; registers are lost. */
	while (pv_now_ns() < end)
		pv_cpu_relax();
	e1000_write(e, E1000_IMC, UINT32_MAX);
	e1000_read(e, E1000_ICR);
	e1000_write(e, E1000_CTRL, e1000_read(e, E1000_CTRL) | CTRL_SLU);
}

static void read_mac(struct e1000 *e)
{
	uint32_t low = e1000_read(e, E1000_RAL), high = e1000_read(e, E1000_RAH);

	memcpy(e->mac, &low, 4);
	memcpy(e->mac + 4, &high, 2);
}

static void set_up(struct e1000 *e)
{
	for (unsigned i = 0; i < 128; i++)
		e1000_write(e, E1000_MTA + 4 * i, 0);
	e1000_write(e, E1000_TDBAL, (uint32_t)pv_native_dma(e->tx));
	e1000_write(e, E1000_TDBAH, 0);
	e1000_write(e, E1000_TDLEN, E1000_RING * sizeof(struct e1000_desc));
	e1000_write(e, E1000_TDH, 0);
	e1000_write(e, E1000_TDT, 0);
	e1000_write(e, E1000_TIPG, TIPG_COPPER);
	e1000_write(e, E1000_TCTL, TCTL_ON);
	e1000_write(e, E1000_RDBAL, (uint32_t)pv_native_dma(e->rx));
	e1000_write(e, E1000_RDBAH, 0);
	e1000_write(e, E1000_RDLEN, E1000_RING * sizeof(struct e1000_desc));
	e1000_write(e, E1000_RDH, 0);
	e1000_write(e, E1000_RDT, E1000_RING - 1);
	e1000_write(e, E1000_RXCSUM, RXCSUM_BOTH);
	e->itr = ITR_QUICK;
	e1000_write(e, E1000_ITR, e->itr);
}

void e1000_start(struct netdev *dev)
{
	struct e1000 *e = card_of(dev);
	uint64_t irq = pv_spin_lock_irq(&e->lock);

	e->is_up = true;
	e->link_up = e1000_read(e, E1000_STATUS) & STATUS_LU;
	e1000_write(e, E1000_RCTL, RCTL_ON);
	e1000_write(e, E1000_IMS, INTERRUPTS);
	pv_spin_unlock_irq(&e->lock, irq);
}

static void net_close(struct netdev *dev)
{
	struct e1000 *e = card_of(dev);
	uint64_t irq = pv_spin_lock_irq(&e->lock);

	e->is_up = false;
	reset(e);
	pv_spin_unlock_irq(&e->lock, irq);
	pv_native_irq_release(e->pci.irq, on_interrupt, e);
	/* What was under way is lost, as on a wire. */
	while (e->tx_head != e->tx_tail)
		e->dev.client.sent(dev, 0, e1000_take_sent(e), false);
	e1000_free_rings(e);
	e->is_open = false;
}

static const struct netdev_ops e1000_ops = {
	.send = net_send,
	.kick = net_kick,
	.poll = net_poll,
	.info = net_info,
	.stats = net_stats,
	.service = net_service,
	.close = net_close,
};

/* 82540EM, as QEMU and we emulate it, and its sisters with the same rings. */
static int add(const struct pci_dev *dev, void *arg)
{
	static const uint16_t known[] = { 0x100e, 0x100f, 0x1004, 0x1015, 0x1016, 0x1017, 0x101e };

	(void)arg;
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (dev->vendor == VENDOR && dev->device == known[i])
			cards[nr_cards++].pci = *dev;
	return nr_cards == MAX_CARDS;
}

static void look(void)
{
	if (!is_looked_for)
		pci_each(add, NULL);
	is_looked_for = true;
}

int e1000_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg)
{
	int rc = 0;

	look();
	for (unsigned i = 0; i < nr_cards && !rc; i++) {
		char node[16];

		pv_snprintf(node, sizeof(node), "e1000-%u", i);
		rc = fn(node, i, arg);
	}
	return rc;
}

static int find_registers(struct e1000 *e)
{
	bool is_io;
	uint64_t bar;

	pci_enable(&e->pci);
	bar = pci_bar(&e->pci, 0, &is_io);
	if (is_io || !bar)
		return -XEN_ENODEV;
	if (!e->regs)
		e->regs = pv_native_map_mmio(bar, REGS_LEN);
	return e->regs ? 0 : -XEN_ENOMEM;
}

int e1000_open(const char *node, const struct netdev_client *client, void *arg, struct netdev **dev)
{
	unsigned i = (unsigned)(node[6] - '0');
	struct e1000 *e = &cards[i % MAX_CARDS];
	int rc;

	look();
	if (i >= nr_cards)
		return -XEN_ENODEV;
	if (e->is_open)
		return -XEN_EBUSY;
	rc = find_registers(e);
	if (rc)
		return rc;
	e->dev.ops = &e1000_ops;
	e->dev.client = *client;
	e->dev.arg = arg;
	pv_snprintf(e->dev.name, sizeof(e->dev.name), "eth%u", i);
	reset(e);
	read_mac(e);
	rc = e1000_make_rings(e);
	if (!rc) {
		set_up(e);
		rc = pv_native_irq_request(e->pci.irq, on_interrupt, e);
	}
	if (rc) {
		e1000_free_rings(e);
		return rc;
	}
	e->is_open = true;
	*dev = &e->dev;
	return 0;
}
