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
#define MAX_BUSES    8 /* looked at; what PCs and emulators have is fewer */

enum { ID = 0, COMMAND = 4, CLASS = 8, HEADER = 0x0c, BAR0 = 0x10, LINE = 0x3c };

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

int pci_each(int (*fn)(const struct pci_dev *dev, void *arg), void *arg)
{
	for (unsigned place = 0; place < MAX_BUSES * 32; place++) {
		for (unsigned function = 0; function < 8; function++) {
			struct pci_dev dev = { .bus = (uint8_t)(place / 32),
				               .slot = (uint8_t)(place % 32),
				               .function = (uint8_t)function };
			int rc;

			if (!look(&dev)) {
				if (function == 0)
					break;
				continue;
			}
			rc = fn(&dev, arg);
			if (rc)
				return rc;
			if (function == 0 && !(pci_read(&dev, HEADER) & 0x800000))
				break;
		}
	}
	return 0;
}
