/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space by mechanism 1, and who is there.
 *
 * An address register and a data register serve all: both are used with events masked.
 *
 * Source: PCI Local Bus Specification 2.2, chapters 3.2.2.3 and 6.
 */
#include "frontends/native/pci.h"

#include "pvops/native/native.h"
#include "pvops/pv_ops.h"

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
#define ENABLE       0x80000000u
#define MAX_BUSES    32 /* looked at; what PCs and emulators have is fewer */
#define CLASS_BRIDGE 0x0604

enum { ID = 0, COMMAND = 4, CLASS = 8, HEADER = 0x0c, BAR0 = 0x10, BUSES = 0x18, LINE = 0x3c };

static uint32_t address_of(const struct pci_dev *dev, unsigned reg)
{
	return ENABLE | (uint32_t)dev->bus << 16 | (uint32_t)dev->slot << 11 |
	       (uint32_t)dev->function << 8 | (reg & 0xfc);
}

uint32_t pci_read(const struct pci_dev *dev, unsigned reg)
{
	uint64_t irq = pv_irq_save();
	uint32_t value;

	pv_out32(ADDRESS_PORT, address_of(dev, reg));
	value = pv_in32(DATA_PORT);
	pv_irq_restore(irq);
	return value;
}

void pci_write(const struct pci_dev *dev, unsigned reg, uint32_t value)
{
	uint64_t irq = pv_irq_save();

	pv_out32(ADDRESS_PORT, address_of(dev, reg));
	pv_out32(DATA_PORT, value);
	pv_irq_restore(irq);
}

uint64_t pci_bar(const struct pci_dev *dev, unsigned n, bool *is_io)
{
	uint32_t low = pci_read(dev, BAR0 + 4 * n);

	*is_io = low & 1;
	if (*is_io)
		return low & ~3u;
	if ((low & 6) == 4 && n < 5)
		return (uint64_t)pci_read(dev, BAR0 + 4 * n + 4) << 32 | (low & ~15u);
	return low & ~15u;
}

void pci_enable(const struct pci_dev *dev)
{
	/* The upper half is the status register, where ones clear bits. */
	pci_write(dev, COMMAND, (pci_read(dev, COMMAND) & 0xffff) | 7);
}

/* Fills dev in; false: nobody is there. */
static bool look(struct pci_dev *dev)
{
	uint32_t id = pci_read(dev, ID);

	if ((id & 0xffff) == 0xffff || !id)
		return false;
	dev->vendor = (uint16_t)id;
	dev->device = (uint16_t)(id >> 16);
	dev->class_code = pci_read(dev, CLASS) >> 8;
	dev->irq = (uint8_t)pci_read(dev, LINE);
	return true;
}

/* Header types: more functions than the first; a bridge, with the number of the bus behind it. */
static bool has_functions(const struct pci_dev *dev)
{
	return pci_read(dev, HEADER) & 0x800000;
}

static unsigned bus_behind(const struct pci_dev *dev)
{
	if (dev->class_code >> 8 != CLASS_BRIDGE)
		return 0;
	return pci_read(dev, BUSES) >> 8 & 0xff;
}

/* The functions of one slot; buses: a bit is set for each bus that is found behind one. */
static int each_function(struct pci_dev *dev, int (*fn)(const struct pci_dev *dev, void *arg),
                         void *arg, uint32_t *buses)
{
	unsigned nr = 1, behind;
	int rc = 0;

	for (unsigned function = 0; function < nr && !rc; function++) {
		dev->function = (uint8_t)function;
		if (!look(dev))
			continue;
		if (function == 0 && has_functions(dev))
			nr = 8;
		behind = bus_behind(dev);
		if (behind < MAX_BUSES)
			*buses |= 1u << behind;
		rc = fn(dev, arg);
	}
	return rc;
}

/* A look at a place where nobody is costs two accesses to ports, so only buses that are there count. */
int pci_each(int (*fn)(const struct pci_dev *dev, void *arg), void *arg)
{
	uint32_t buses = 1;
	int rc = 0;

	for (unsigned bus = 0; bus < MAX_BUSES; bus++) {
		if (!(buses & 1u << bus))
			continue;
		for (unsigned slot = 0; slot < 32 && !rc; slot++) {
			struct pci_dev dev = { .bus = (uint8_t)bus, .slot = (uint8_t)slot };

			rc = each_function(&dev, fn, arg, &buses);
		}
	}
	return rc;
}
