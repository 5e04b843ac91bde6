/* SPDX-License-Identifier: MIT */
/*
 * What is on the PCI bus of a natively running kernel: configuration mechanism 1, bus 0 and those
 * behind bridges that firmware has numbered.
 */
#ifndef FRONTENDS_NATIVE_PCI_H
#define FRONTENDS_NATIVE_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct pci_dev {
	uint8_t bus, slot, function;
	uint8_t irq; /* line, as firmware wrote it; 0 or 255: none */
	uint16_t vendor, device;
	uint32_t class_code; /* class, subclass, interface: 24 bits */
};

/*
 * pci_each - calls fn for each function; a value other than 0 of its ends it and is returned
 * Returns 0 at the end, and when there is no PCI. Context: any.
 */
int pci_each(int (*fn)(const struct pci_dev *dev, void *arg), void *arg);

/* reg: a multiple of 4, below 256 */
uint32_t pci_read(const struct pci_dev *dev, unsigned reg);
void pci_write(const struct pci_dev *dev, unsigned reg, uint32_t value);

/*
 * The n-th base address (n below 6): 0 when there is none. is_io: out: ports, not memory. Of a
 * 64-bit one both halves.
 */
uint64_t pci_bar(const struct pci_dev *dev, unsigned n, bool *is_io);

/* Turns on decoding of ports and memory, and bus mastering. */
void pci_enable(const struct pci_dev *dev);

#endif /* FRONTENDS_NATIVE_PCI_H */
