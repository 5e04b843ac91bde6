/* SPDX-License-Identifier: MIT */
/*
 * The registers of the Ethernet card, its interrupt, and the few that stand for its PHY and EEPROM.
 *
 * The line is up while a cause is set that is not masked. ITR moderates as the card does: the line
 * does not go up sooner than ITR times 256 ns after it went up last.
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual,
 * chapters 5, 8, 13; IEEE 802.3, 22.2.4 (the PHY's registers).
 * Not handled: statistics (read as 0), the EEPROM by bits (EECD: there is EERD), flow control,
 * power management, accesses of other than 32 bits (read as part, writes ignored).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/e1000_priv.h"

enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EECD = 0x0010,
	EERD = 0x0014,
	CTRL_EXT = 0x0018,
	MDIC = 0x0020,
	FCAL = 0x0028,
	FCAH = 0x002c,
	FCT = 0x0030,
	ICR = 0x00c0,
	ITR = 0x00c4,
	ICS = 0x00c8,
	IMS = 0x00d0,
	IMC = 0x00d8,
	RCTL = 0x0100,
	FCTTV = 0x0170,
	TCTL = 0x0400,
	TIPG = 0x0410,
	LEDCTL = 0x0e00,
	PBA = 0x1000,
	RX_RING = 0x2800, /* base low and high, length, head, tail: 0, 4, 8, 0x10, 0x18 */
	RDTR = 0x2820,
	RXDCTL = 0x2828,
	RADV = 0x282c,
	TX_RING = 0x3800,
	TIDV = 0x3820,
	TXDCTL = 0x3828,
	TADV = 0x382c,
	RXCSUM = 0x5000,
	MTA = 0x5200,
	RA = 0x5400,
	VFTA = 0x5600,
	MANC = 0x5820,
};

enum { RING_BASE_LOW = 0, RING_BASE_HIGH = 4, RING_LEN = 8, RING_HEAD = 0x10, RING_TAIL = 0x18 };

#define MMIO_LEN     0x20000u
#define IO_LEN       64u
#define MMIO_AT      0xfeb80000u /* of slot 3; the next slots follow */
#define IO_AT        0xc000u
#define CTRL_RST     0x04000000u
#define STATUS_FIXED 0x80080781u /* full duplex, 1000 Mb/s, as the card shows it */
#define STATUS_LU    0x02u
#define EECD_REQ     0x40u
#define EECD_GNT     0x80u
#define EECD_PRES    0x100u
#define EERD_START   0x01u
#define EERD_DONE    0x10u
#define MDIC_WRITE   0x04000000u
#define MDIC_READ    0x08000000u
#define MDIC_READY   0x10000000u
#define MDIC_IRQ     0x20000000u
#define MDIC_ERROR   0x40000000u
#define ITR_NS       256u
#define PHY_LINK     0x24u /* link, and negotiation complete */

/* ---- interrupt -------------------------------------------------------------------------------- */

/* irq_lock held. */
static void update(struct fv_e1000 *e)
{
	bool wanted = e->icr & e->ims;
	uint64_t now, free_at;

	if (wanted == e->line)
		return;
	if (wanted && e->itr) {
		now = fv_now();
		free_at = e->raised + (uint64_t)e->itr * ITR_NS;
		if (now < free_at) {
			fv_timer_set(&e->timer, free_at);
			return;
		}
		e->raised = now;
	}
	e->line = wanted;
	if (wanted)
		E1000_COUNT(e, interrupts, 1);
	fv_irq_set(&e->irq, wanted);
}

static void on_timer(void *arg)
{
	struct fv_e1000 *e = arg;

	pthread_mutex_lock(&e->irq_lock);
	update(e);
	pthread_mutex_unlock(&e->irq_lock);
}

void fv_e1000_cause(struct fv_e1000 *e, uint32_t causes)
{
	pthread_mutex_lock(&e->irq_lock);
	e->icr |= causes;
	update(e);
	pthread_mutex_unlock(&e->irq_lock);
}

static uint32_t read_icr(struct fv_e1000 *e)
{
	uint32_t icr;

	pthread_mutex_lock(&e->irq_lock);
	icr = e->icr;
	e->icr = 0;
	update(e);
	pthread_mutex_unlock(&e->irq_lock);
	return icr;
}

static void write_irq(struct fv_e1000 *e, uint32_t reg, uint32_t value)
{
	pthread_mutex_lock(&e->irq_lock);
	switch (reg) {
	case ICR:
		e->icr &= ~value;
		break;
	case ICS:
		e->icr |= value;
		break;
	case IMS:
		e->ims |= value;
		break;
	case IMC:
		e->ims &= ~value;
		break;
	default:
		e->itr = value & 0xffff;
	}
	update(e);
	pthread_mutex_unlock(&e->irq_lock);
}

/* ---- PHY and EEPROM ---------------------------------------------------------------------------- */

static void fill_phy(struct fv_e1000 *e)
{
	static const uint16_t phy[32] = {
		[0] = 0x1140, /* negotiates, full duplex, 1000 */
		[1] = 0x7949,  [2] = 0x0141,  [3] = 0x0c20,  [4] = 0x0de1,
		[5] = 0xcde1,  [6] = 0x000f,  [9] = 0x0e00,  [10] = 0x3c00,
		[15] = 0x3000, [16] = 0x0360, [17] = 0xac00, [20] = 0x0d60,
	};

	memcpy(e->phy, phy, sizeof(phy));
}

static void fill_eeprom(struct fv_e1000 *e)
{
	uint16_t sum = 0;

	for (unsigned i = 0; i < 3; i++)
		e->eeprom[i] = (uint16_t)(e->mac[2 * i] | e->mac[2 * i + 1] << 8);
	e->eeprom[0x0b] = 0x1af4;
	e->eeprom[0x0c] = 0x1100;
	e->eeprom[0x0d] = 0x100e;
	e->eeprom[0x0e] = 0x8086;
	for (unsigned i = 0; i < 63; i++)
		sum = (uint16_t)(sum + e->eeprom[i]);
	e->eeprom[63] = (uint16_t)(0xbaba - sum);
}

static void write_mdic(struct fv_e1000 *e, uint32_t value)
{
	unsigned reg = value >> 16 & 31;

	e->mdic = value | MDIC_READY;
	if ((value >> 21 & 31) != 1) {
		e->mdic |= MDIC_ERROR;
	} else if (value & MDIC_READ) {
		e->mdic = (e->mdic & ~0xffffu) | e->phy[reg];
		if (reg == 1 && atomic_load(&e->link_up))
			e->mdic |= PHY_LINK;
	} else if (value & MDIC_WRITE && reg != 1 && reg != 2 && reg != 3) {
		/* A reset and a new negotiation are over at once. */
		e->phy[reg] = (uint16_t)value & (reg ? 0xffff : 0x7dff);
	}
	if (value & MDIC_IRQ)
		fv_e1000_cause(e, E1000_ICR_MDAC);
}

static void write_eerd(struct fv_e1000 *e, uint32_t value)
{
	e->eerd = value & ~EERD_DONE;
	if (value & EERD_START)
		e->eerd = (value & 0xff00) | EERD_DONE | (uint32_t)e->eeprom[value >> 8 & 63] << 16;
}

/* ---- reset ------------------------------------------------------------------------------------- */

static void reset_rx(struct fv_e1000 *e)
{
	pthread_mutex_lock(&e->rx_lock);
	memset(&e->rx, 0, sizeof(e->rx));
	e->rctl = e->rxdctl = e->rxcsum = 0;
	e->rx_generation++;
	memset(e->ra, 0, sizeof(e->ra));
	e->ra[0] = e->mac[0] | e->mac[1] << 8 | e->mac[2] << 16 | (uint32_t)e->mac[3] << 24;
	e->ra[1] = 0x80000000u | e->mac[4] | (uint32_t)e->mac[5] << 8;
	memset(e->mta, 0, sizeof(e->mta));
	memset(e->vfta, 0, sizeof(e->vfta));
	pthread_mutex_unlock(&e->rx_lock);
}

static void reset(struct fv_e1000 *e)
{
	pthread_mutex_lock(&e->tx_lock);
	memset(&e->tx, 0, sizeof(e->tx));
	memset(&e->context, 0, sizeof(e->context));
	e->tctl = e->txdctl = 0;
	pthread_mutex_unlock(&e->tx_lock);
	reset_rx(e);
	pthread_mutex_lock(&e->irq_lock);
	e->icr = e->ims = e->itr = 0;
	update(e);
	pthread_mutex_unlock(&e->irq_lock);
	e->ctrl = 0x00140240;
	e->ctrl_ext = e->eecd = e->mdic = e->tipg = e->ledctl = 0;
	e->eerd = 0;
	e->manc = 0;
	e->pba = 0x00100030;
	memset(e->fc, 0, sizeof(e->fc));
	memset(e->delay, 0, sizeof(e->delay));
	fill_phy(e);
}

/* ---- rings ------------------------------------------------------------------------------------- */

static void write_ring(struct fv_e1000_ring *r, uint32_t at, uint32_t value)
{
	switch (at) {
	case RING_BASE_LOW:
		r->base = (r->base & ~0xffffffffull) | (value & ~15u);
		break;
	case RING_BASE_HIGH:
		r->base = (r->base & 0xffffffffull) | (uint64_t)value << 32;
		break;
	case RING_LEN:
		r->len = value & 0xfff80;
		break;
	case RING_HEAD:
		r->head = value & 0xffff;
		break;
	case RING_TAIL:
		r->tail = value & 0xffff;
		break;
	}
}

static uint32_t read_ring(const struct fv_e1000_ring *r, uint32_t at)
{
	switch (at) {
	case RING_BASE_LOW:
		return (uint32_t)r->base;
	case RING_BASE_HIGH:
		return (uint32_t)(r->base >> 32);
	case RING_LEN:
		return r->len;
	case RING_HEAD:
		return r->head;
	case RING_TAIL:
		return r->tail;
	default:
		return 0;
	}
}

static void write_tx(struct fv_e1000 *e, uint32_t reg, uint32_t value)
{
	pthread_mutex_lock(&e->tx_lock);
	if (reg == TCTL)
		e->tctl = value;
	else if (reg == TXDCTL)
		e->txdctl = value;
	else
		write_ring(&e->tx, reg - TX_RING, value);
	if (reg == TCTL || reg == TX_RING + RING_TAIL)
		fv_e1000_tx_work(e);
	pthread_mutex_unlock(&e->tx_lock);
}

static void write_rx(struct fv_e1000 *e, uint32_t reg, uint32_t value)
{
	bool wake = false;

	pthread_mutex_lock(&e->rx_lock);
	if (reg == RCTL)
		e->rctl = value;
	else if (reg == RXDCTL)
		e->rxdctl = value;
	else if (reg == RXCSUM)
		e->rxcsum = value;
	else
		write_ring(&e->rx, reg - RX_RING, value);
	/* Where a packet that is under way belongs must not change under it. */
	if (reg != RX_RING + RING_TAIL)
		e->rx_generation++;
	if (reg == RCTL || reg == RX_RING + RING_TAIL) {
		wake = e->rx_waiting;
		e->rx_waiting = false;
	}
	pthread_mutex_unlock(&e->rx_lock);
	/* No lock held: the port may call begin() from here. */
	if (wake)
		e->port->ops->wake(e->port, 0);
}

static void write_filter(struct fv_e1000 *e, uint32_t reg, uint32_t value)
{
	uint32_t *table = reg >= VFTA ? e->vfta : reg >= RA ? e->ra : e->mta;
	uint32_t first = reg >= VFTA ? VFTA : reg >= RA ? RA : MTA;

	pthread_mutex_lock(&e->rx_lock);
	table[(reg - first) / 4] = value;
	pthread_mutex_unlock(&e->rx_lock);
}

static uint32_t read_filter(const struct fv_e1000 *e, uint32_t reg)
{
	if (reg >= VFTA)
		return e->vfta[(reg - VFTA) / 4];
	return reg >= RA ? e->ra[(reg - RA) / 4] : e->mta[(reg - MTA) / 4];
}

static bool is_filter(uint32_t reg)
{
	return (reg >= MTA && reg < MTA + 512) || (reg >= RA && reg < RA + 128) ||
	       (reg >= VFTA && reg < VFTA + 512);
}

static bool is_ring(uint32_t reg, uint32_t ring)
{
	return reg >= ring && reg <= ring + RING_TAIL;
}

static uint32_t read_locked(struct fv_e1000 *e, uint32_t reg)
{
	bool is_tx = is_ring(reg, TX_RING);
	pthread_mutex_t *lock = is_tx ? &e->tx_lock : &e->rx_lock;
	uint32_t value;

	pthread_mutex_lock(lock);
	value = is_tx ? read_ring(&e->tx, reg - TX_RING) : read_ring(&e->rx, reg - RX_RING);
	pthread_mutex_unlock(lock);
	return value;
}

/* ---- all registers ----------------------------------------------------------------------------- */

/* Those that only keep what is written. */
static uint32_t *plain(struct fv_e1000 *e, uint32_t reg)
{
	switch (reg) {
	case CTRL_EXT:
		return &e->ctrl_ext;
	case TIPG:
		return &e->tipg;
	case LEDCTL:
		return &e->ledctl;
	case PBA:
		return &e->pba;
	case MANC:
		return &e->manc;
	case FCAL:
		return &e->fc[0];
	case FCAH:
		return &e->fc[1];
	case FCT:
		return &e->fc[2];
	case FCTTV:
		return &e->fc[3];
	case RDTR:
		return &e->delay[0];
	case RADV:
		return &e->delay[1];
	case TIDV:
		return &e->delay[2];
	case TADV:
		return &e->delay[3];
	default:
		return NULL;
	}
}

static uint32_t read_register(struct fv_e1000 *e, uint32_t reg)
{
	const uint32_t *kept = plain(e, reg);

	if (kept)
		return *kept;
	if (is_ring(reg, TX_RING) || is_ring(reg, RX_RING))
		return read_locked(e, reg);
	if (is_filter(reg))
		return read_filter(e, reg);
	switch (reg) {
	case CTRL:
		return e->ctrl;
	case STATUS:
		return STATUS_FIXED | (atomic_load(&e->link_up) ? STATUS_LU : 0);
	case EECD:
		return EECD_PRES | e->eecd | (e->eecd & EECD_REQ ? EECD_GNT : 0);
	case EERD:
		return e->eerd;
	case MDIC:
		return e->mdic;
	case ICR:
		return read_icr(e);
	case ICS:
	case IMS:
		/* Both written by the CPU's thread only; ICS shows the causes, which others add to. */
		return reg == IMS ? e->ims : __atomic_load_n(&e->icr, __ATOMIC_RELAXED);
	case ITR:
		return e->itr;
	case RCTL:
		return e->rctl;
	case TCTL:
		return e->tctl;
	case RXDCTL:
		return e->rxdctl;
	case TXDCTL:
		return e->txdctl;
	case RXCSUM:
		return e->rxcsum;
	default:
		return 0;
	}
}

static void write_register(struct fv_e1000 *e, uint32_t reg, uint32_t value)
{
	uint32_t *kept = plain(e, reg);

	if (kept) {
		*kept = value;
		return;
	}
	if (is_filter(reg)) {
		write_filter(e, reg, value);
		return;
	}
	if (is_ring(reg, TX_RING) || reg == TCTL || reg == TXDCTL) {
		write_tx(e, reg, value);
		return;
	}
	if (is_ring(reg, RX_RING) || reg == RCTL || reg == RXDCTL || reg == RXCSUM) {
		write_rx(e, reg, value);
		return;
	}
	switch (reg) {
	case CTRL:
		e->ctrl = value & ~CTRL_RST;
		if (value & CTRL_RST)
			reset(e);
		break;
	case EECD:
		e->eecd = value & EECD_REQ;
		break;
	case EERD:
		write_eerd(e, value);
		break;
	case MDIC:
		write_mdic(e, value);
		break;
	case ICR:
	case ICS:
	case IMS:
	case IMC:
	case ITR:
		write_irq(e, reg, value);
		break;
	}
}

static uint32_t mmio_in(void *dev, uint32_t offset, unsigned size)
{
	uint32_t value = read_register(dev, offset & ~3u) >> 8 * (offset & 3);

	return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void mmio_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	if (size == 4 && !(offset & 3))
		write_register(dev, offset, value);
}

/* Two ports reach all registers: an address, and its data. */
static uint32_t io_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_e1000 *e = dev;

	if (size != 4 || offset > 4)
		return 0;
	return offset ? read_register(e, e->io_address) : e->io_address;
}

static void io_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_e1000 *e = dev;

	if (size == 4 && offset == 0)
		e->io_address = value & (MMIO_LEN - 4);
	else if (size == 4 && offset == 4)
		write_register(e, e->io_address, value);
}

static const struct fv_range_ops mmio_ops = { .in = mmio_in, .out = mmio_out };
static const struct fv_range_ops io_ops = { .in = io_in, .out = io_out };

/* ---- life -------------------------------------------------------------------------------------- */

static int add_function(struct fv_e1000 *e, struct fv_pci *pci, unsigned slot)
{
	static const struct fv_pci_id id = { 0x8086, 0x100e, 0x1af4, 0x1100, 0x020000, 3, true };
	int rc;

	e->mmio = (struct fv_range){ .ops = &mmio_ops, .dev = e, .len = MMIO_LEN, .is_mmio = true };
	e->io = (struct fv_range){ .ops = &io_ops, .dev = e, .len = IO_LEN };
	e->pci.bar[0] = &e->mmio;
	e->pci.bar[1] = &e->io;
	rc = fv_pci_add(pci, &e->pci, slot, 0, &id);
	if (rc)
		return rc;
	fv_pci_set_bar(&e->pci, 0, MMIO_AT + (slot - 3) * MMIO_LEN);
	fv_pci_set_bar(&e->pci, 1, IO_AT + 0x100 + (slot - 3) * IO_LEN);
	return fv_irq_init(&e->irq, e->bus, e->pci.line);
}

static void free_card(struct fv_e1000 *e)
{
	fv_timer_fini(&e->timer);
	if (e->pci.pci)
		fv_pci_remove(&e->pci);
	pthread_mutex_destroy(&e->tx_lock);
	pthread_mutex_destroy(&e->rx_lock);
	pthread_mutex_destroy(&e->irq_lock);
	free(e);
}

int fv_e1000_create(struct fv_e1000 **out, struct fv_bus *bus, struct fv_pci *pci,
                    struct fv_timers *timers, unsigned slot, struct netport *port,
                    const uint8_t mac[6])
{
	struct fv_e1000 *e = calloc(1, sizeof(*e));
	struct netport_sink sink = fv_e1000_sink;
	int rc;

	if (!e)
		return -ENOMEM;
	e->bus = bus;
	e->port = port;
	memcpy(e->mac, mac, sizeof(e->mac));
	pthread_mutex_init(&e->tx_lock, NULL);
	pthread_mutex_init(&e->rx_lock, NULL);
	pthread_mutex_init(&e->irq_lock, NULL);
	fv_timer_init(&e->timer, timers, on_timer, e);
	fill_eeprom(e);
	sink.arg = e;
	rc = add_function(e, pci, slot);
	if (!rc)
		reset(e);
	if (!rc)
		rc = port->ops->attach(port, &sink, 1);
	if (rc) {
		free_card(e);
		return rc;
	}
	*out = e;
	return 0;
}

void fv_e1000_destroy(struct fv_e1000 *e)
{
	e->port->ops->attach(e->port, NULL, 0);
	free_card(e);
}

void fv_e1000_get_stats(struct fv_e1000 *e, struct fv_e1000_stats *stats)
{
	*stats = (struct fv_e1000_stats){ .tx_packets = atomic_load(&e->tx_packets),
		                          .tx_bytes = atomic_load(&e->tx_bytes),
		                          .tx_dropped = atomic_load(&e->tx_dropped),
		                          .tx_gso = atomic_load(&e->tx_gso),
		                          .rx_packets = atomic_load(&e->rx_packets),
		                          .rx_bytes = atomic_load(&e->rx_bytes),
		                          .rx_dropped = atomic_load(&e->rx_dropped),
		                          .interrupts = atomic_load(&e->interrupts) };
}
