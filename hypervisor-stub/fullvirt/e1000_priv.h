/* SPDX-License-Identifier: MIT */
/*
 * The parts of the Ethernet card (e1000.h): what they share.
 *
 *   e1000.c        registers, interrupts and their moderation, PHY, EEPROM; making and unmaking
 *   e1000_tx.c     from the transmit ring to the port
 *   e1000_desc.c   one transmit packet from its descriptors
 *   e1000_rx.c     from the port to the receive ring
 *
 * Locks: tx_lock is held while the transmit ring is worked on, by the CPU's thread or by the port's
 * when there is room again; rx_lock over each step of the port's on the receive ring, never while the
 * port writes to the guest's buffers; irq_lock inside either, for causes and masks. Neither of
 * tx_lock and rx_lock is taken with the other held: with two cards on one switch each may be held by
 * one and wanted by the other.
 *
 * Invariant: head and tail of a ring that is worked on are below its number of descriptors. A
 * descriptor is copied once, then used; what it points to is memory of the guest's or the packet is
 * lost.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_E1000_PRIV_H
#define HYPERVISOR_STUB_FULLVIRT_E1000_PRIV_H

#include <pthread.h>

#include "backends/netpkt.h"
#include "hypervisor-stub/fullvirt/e1000.h"

#define E1000_TX_BATCH 32
#define E1000_MAX_RX   16384u /* bytes of a received packet at most */
#define E1000_ETH_MAX  1522u  /* without long packets */
#define E1000_FCS      4u

enum { E1000_ICR_TXDW = 0x01, E1000_ICR_TXQE = 0x02, E1000_ICR_LSC = 0x04 };
enum { E1000_ICR_RXDMT0 = 0x10, E1000_ICR_RXT0 = 0x80, E1000_ICR_MDAC = 0x200 };
enum { E1000_RCTL_EN = 0x02, E1000_RCTL_UPE = 0x08, E1000_RCTL_MPE = 0x10, E1000_RCTL_LPE = 0x20 };
enum { E1000_RCTL_BAM = 0x8000, E1000_RCTL_BSEX = 0x2000000, E1000_RCTL_SECRC = 0x4000000 };
enum { E1000_TCTL_EN = 0x02, E1000_RXCSUM_IP = 0x100, E1000_RXCSUM_TU = 0x200 };

/* A descriptor of either ring as four words. */
struct fv_e1000_desc {
	uint32_t word[4];
};

struct fv_e1000_ring {
	uint64_t base;
	uint32_t len; /* bytes */
	uint32_t head, tail;
};

/* What a context descriptor has set, for the packets behind it. */
struct fv_e1000_context {
	uint8_t ipcss, tucss, tucso;
	bool is_ipv4, is_tcp;
	uint16_t mss;
};

/* One transmit packet, as long as the port may still want it. */
struct fv_e1000_slot {
	uint8_t head[NETPKT_HEAD];
	uint32_t next;                   /* the descriptor behind it */
	struct fv_e1000_context context; /* as it is behind it */
};

struct fv_e1000 {
	struct fv_bus *bus;
	struct fv_pci_dev pci;
	struct fv_range mmio, io;
	struct netport *port;
	uint8_t mac[6];
	uint16_t eeprom[64];
	uint32_t io_address;

	/* The CPU's thread only. */
	uint32_t ctrl, ctrl_ext, eecd, eerd, mdic, tipg, pba, ledctl, manc, fc[4], delay[4];
	uint16_t phy[32];

	pthread_mutex_t tx_lock;
	struct fv_e1000_ring tx;
	uint32_t tctl, txdctl;
	struct fv_e1000_context context;
	struct netpkt pkt[E1000_TX_BATCH];
	struct fv_e1000_slot slot[E1000_TX_BATCH];
	bool tx_stopped; /* the port is full; room() goes on */

	pthread_mutex_t rx_lock;
	struct fv_e1000_ring rx;
	uint32_t rctl, rxdctl, rxcsum;
	uint32_t ra[32], mta[128], vfta[128];
	unsigned rx_generation; /* changes when the guest turns the ring around */
	bool rx_waiting;        /* a packet waits for descriptors: wake the port */
	bool rx_news;           /* committed since the last flush */
	struct {
		unsigned generation, nr;
		uint32_t size, room; /* of a buffer; of all for the packet */
		uint64_t addr[NETPKT_MAX_IOV];
		uint8_t *ptr[NETPKT_MAX_IOV];
	} lent;

	pthread_mutex_t irq_lock;
	uint32_t icr, ims, itr;
	bool line;
	atomic_bool link_up;
	uint64_t raised; /* ns: when the line went up last */
	struct fv_irq irq;
	struct fv_timer timer;

	atomic_uint_least64_t tx_packets, tx_bytes, tx_dropped, tx_gso;
	atomic_uint_least64_t rx_packets, rx_bytes, rx_dropped, interrupts;
};

#define E1000_COUNT(e, what, by) atomic_fetch_add_explicit(&(e)->what, (by), memory_order_relaxed)

/* Descriptors of a ring; 0: it cannot be used. */
static inline uint32_t fv_e1000_ring_size(const struct fv_e1000_ring *r)
{
	uint32_t n = r->len / sizeof(struct fv_e1000_desc);

	return r->head < n && r->tail < n ? n : 0;
}

static inline struct fv_e1000_desc *fv_e1000_desc_at(const struct fv_e1000 *e,
                                                     const struct fv_e1000_ring *r, uint32_t i)
{
	return fv_pci_dma(&e->pci, e->bus, r->base + (uint64_t)i * sizeof(struct fv_e1000_desc),
	                  sizeof(struct fv_e1000_desc));
}

/* e1000.c: adds causes, and raises the line when it may. Any lock but irq_lock held. */
void fv_e1000_cause(struct fv_e1000 *e, uint32_t causes);

/* e1000_tx.c: sends what is in the ring. tx_lock held. */
void fv_e1000_tx_work(struct fv_e1000 *e);
void fv_e1000_tx_room(struct fv_e1000 *e);

/*
 * e1000_desc.c: the next packet, from descriptor *at on, into slot i. Answers E1000_PACKET, or
 * E1000_NOTHING at the end of the ring. *at is moved behind what was used; what is no packet that
 * could be sent is skipped and counted.
 */
enum fv_e1000_next { E1000_PACKET, E1000_NOTHING };
enum fv_e1000_next fv_e1000_next_packet(struct fv_e1000 *e, unsigned i, uint32_t *at);

/* e1000_rx.c */
extern const struct netport_sink fv_e1000_sink;

#endif
