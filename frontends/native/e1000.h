/* SPDX-License-Identifier: MIT */
/*
 * Intel's 82540EM Ethernet card, of a natively running kernel. Kernels use netdev.h.
 *
 *   e1000.c       what a kernel calls, who serves the rings, interrupts, finding and starting
 *   e1000_ring.c  descriptors: packets put and taken
 *
 * Locking: the card's lock, events masked, guards its rings. No call-back is made with it held.
 *
 * Invariant: transmit descriptors [tx_head, tx_tail) are in use; those before tx_told are the card's.
 * Receive descriptors all have a page; all but the one before rx_next, at least, are the card's.
 */
#ifndef FRONTENDS_NATIVE_E1000_H
#define FRONTENDS_NATIVE_E1000_H

#include "frontends/native/pci.h"
#include "frontends/netdev.h"
#include "pvops/lock.h"

#define E1000_RING    256u /* descriptors: a page */
#define E1000_HEAD    256u /* bytes of a copied head */
#define E1000_MTU     1500u
#define E1000_MAX_LEN 65535u

enum { E1000_TXDW = 0x01, E1000_LSC = 0x04, E1000_RXDMT0 = 0x10, E1000_RXO = 0x40 };
enum { E1000_RXT0 = 0x80 };
enum {
	E1000_CTRL = 0x0000,
	E1000_STATUS = 0x0008,
	E1000_ICR = 0x00c0,
	E1000_ITR = 0x00c4,
	E1000_ICS = 0x00c8,
	E1000_IMS = 0x00d0,
	E1000_IMC = 0x00d8,
	E1000_RCTL = 0x0100,
	E1000_TCTL = 0x0400,
	E1000_TIPG = 0x0410,
	E1000_RDBAL = 0x2800,
	E1000_RDBAH = 0x2804,
	E1000_RDLEN = 0x2808,
	E1000_RDH = 0x2810,
	E1000_RDT = 0x2818,
	E1000_TDBAL = 0x3800,
	E1000_TDBAH = 0x3804,
	E1000_TDLEN = 0x3808,
	E1000_TDH = 0x3810,
	E1000_TDT = 0x3818,
	E1000_RXCSUM = 0x5000,
	E1000_MTA = 0x5200,
	E1000_RAL = 0x5400,
	E1000_RAH = 0x5404,
};

struct e1000_desc {
	uint32_t word[4];
};

/* A packet's first descriptor tells. */
struct e1000_sent {
	void *arg;
	uint8_t last; /* descriptor of the packet */
};

struct e1000 {
	struct netdev dev; /* the first member */
	struct pci_dev pci;
	volatile uint8_t *regs;
	uint8_t mac[6];
	bool is_open, is_up;
	bool link_up;
	struct pv_spinlock lock;

	struct e1000_desc *tx, *rx; /* a page each */
	struct e1000_sent sent[E1000_RING];
	uint8_t *heads[E1000_RING * E1000_HEAD / PV_PAGE_SIZE]; /* pages; NULL: not needed yet */
	uint32_t tx_head, tx_tail, tx_told;
	struct e1000_desc context; /* that the card has */
	bool is_stalled;           /* a sender found no room, and is told when there is some */

	void *page[E1000_RING]; /* of receive descriptors */
	uint32_t rx_next;       /* the next one to be filled */
	uint32_t rx_kept;       /* free ones that the card has not been told of */

	bool is_polled; /* by somebody, who looks again when told so */
	bool look_again;
	uint32_t load; /* packets of an interrupt, on average, times 8 */
	uint32_t itr;
	struct netdev_stats stats;
};

#ifdef PV_HOSTED_TEST
/* A unit test supplies the card. */
uint32_t pv_test_mmio_in(uint64_t address);
void pv_test_mmio_out(uint64_t address, uint32_t value);

static inline uint32_t e1000_read(const struct e1000 *e, uint32_t reg)
{
	return pv_test_mmio_in((uintptr_t)e->regs + reg);
}

static inline void e1000_write(const struct e1000 *e, uint32_t reg, uint32_t value)
{
	pv_test_mmio_out((uintptr_t)e->regs + reg, value);
}
#else
static inline uint32_t e1000_read(const struct e1000 *e, uint32_t reg)
{
	return *(const volatile uint32_t *)(e->regs + reg);
}

static inline void e1000_write(const struct e1000 *e, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(e->regs + reg) = value;
}
#endif

/* As netfront_each(), netfront_open() and netfront_start(); the nodes are "e1000-0" and so on. */
int e1000_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg);
int e1000_open(const char *node, const struct netdev_client *client, void *arg,
               struct netdev **dev);
void e1000_start(struct netdev *dev);

/* ---- e1000_ring.c; the lock held ---- */

/* Memory of both rings, and a page for each receive descriptor. 0 or -XEN_ENOMEM. */
int e1000_make_rings(struct e1000 *e);
void e1000_free_rings(struct e1000 *e);
/* 0; -XEN_EAGAIN: no room; -XEN_EINVAL; -XEN_ENOMEM. */
int e1000_put(struct e1000 *e, const struct netdev_packet *pkt);
/* What was put becomes the card's. */
void e1000_push(struct e1000 *e);
/* Whether the oldest packet has left. */
bool e1000_has_left(const struct e1000 *e);
/* Takes it: what it was sent with. */
void *e1000_take_sent(struct e1000 *e);
/* A packet that has come; false: there is none. nr_frags 0: one that was lost. */
bool e1000_take(struct e1000 *e, struct netdev_packet *pkt);
/* Gives descriptors back to the card, when they are many. */
void e1000_post(struct e1000 *e);

#endif /* FRONTENDS_NATIVE_E1000_H */
