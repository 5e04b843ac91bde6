/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus of the virtual PC: configuration space through ports 0xcf8 and 0xcfc, base addresses
 * that the guest may move, and the host and ISA bridges of an i440FX board.
 *
 * Devices come as firmware would leave them: base addresses and interrupt lines are set, decoding
 * and bus mastering are off.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PCI_H
#define HYPERVISOR_STUB_FULLVIRT_PCI_H

#include "hypervisor-stub/fullvirt/bus.h"

#define FV_PCI_SLOTS     32
#define FV_PCI_FUNCTIONS 8
#define FV_PCI_BARS      6

struct fv_pci;

struct fv_pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; /* class, subclass, interface: 24 bits */
	uint8_t revision;
	bool has_interrupt; /* pin A */
};

struct fv_pci_dev {
	struct fv_pci *pci;
	uint8_t config[256];
	uint8_t writable[256];             /* bits that the guest may change */
	struct fv_range *bar[FV_PCI_BARS]; /* NULL: none. Its len is a power of two, from 16 on */
	uint8_t line;                      /* of its interrupt */
	/* Written by the CPU's thread, read by any. */
	atomic_bool is_master;
};

/* After fv_pic_create(). 0 or a negative errno. */
int fv_pci_create(struct fv_pci **out, struct fv_bus *bus);
/* The devices have been removed before. */
void fv_pci_destroy(struct fv_pci *pci);

/* dev: zeroed but for its ranges in bar[]; stays the caller's. 0; -EBUSY: the place is taken. */
int fv_pci_add(struct fv_pci *pci, struct fv_pci_dev *dev, unsigned slot, unsigned function,
               const struct fv_pci_id *id);
/* Gives a base address before the guest runs, as firmware does. */
void fv_pci_set_bar(struct fv_pci_dev *dev, unsigned bar, uint32_t address);
void fv_pci_remove(struct fv_pci_dev *dev);

/*
 * fv_pci_dma - guest memory for a device that may master the bus
 * NULL when it may not, or as fv_ram(). Any thread.
 */
static inline void *fv_pci_dma(const struct fv_pci_dev *dev, const struct fv_bus *bus, uint64_t gpa,
                               uint64_t len)
{
	return atomic_load_explicit(&dev->is_master, memory_order_relaxed) ? fv_ram(bus, gpa, len)
	                                                                   : NULL;
}

#endif
