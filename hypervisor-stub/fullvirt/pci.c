/* SPDX-License-Identifier: MIT */
/*
 * Configuration space by mechanism 1, on the CPU's thread only, so without a lock.
 *
 * Invariant: a range is mapped on the bus exactly while its kind of decoding is on in the command
 * register and its base address is not 0.
 *
 * Source: PCI Local Bus Specification 2.2, chapters 3.2.2.3 and 6; Intel 82441FX and 82371SB data
 * sheets.
 * Not handled: other buses, expansion ROMs, capabilities, status bits of errors; the routing
 * registers of the ISA bridge (0x60 to 0x63) show the lines and are read-only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/pci.h"
#include "hypervisor-stub/fullvirt/pic.h"

#define ADDRESS_PORT 0xcf8
#define ENABLE       0x80000000u
#define RESET_CPU    0x04 /* port 0xcf9 */

enum { COMMAND = 0x04, CLASS = 0x08, HEADER = 0x0e, BAR0 = 0x10, SUBSYSTEM = 0x2c, LINE = 0x3c };
enum { COMMAND_IO = 1, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };

struct fv_pci {
	struct fv_bus *bus;
	struct fv_range ports;
	uint32_t address;
	struct fv_pci_dev *dev[FV_PCI_SLOTS][FV_PCI_FUNCTIONS];
	struct fv_pci_dev host_bridge, isa_bridge;
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value);
	put16(at + 2, value >> 16);
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- base addresses -------------------------------------------------------------------------- */

static void update_bar(struct fv_pci_dev *dev, unsigned bar)
{
	struct fv_range *range = dev->bar[bar];
	uint32_t base = get32(dev->config + BAR0 + 4 * bar) & ~(range->len - 1);
	uint8_t needed = range->is_mmio ? COMMAND_MEMORY : COMMAND_IO;

	if (base && dev->config[COMMAND] & needed) {
		if (range->is_mapped && range->base == base)
			return;
		/* Where it cannot be, nothing answers. */
		fv_range_map(dev->pci->bus, range, base);
	} else {
		fv_range_unmap(dev->pci->bus, range);
	}
}

static void update(struct fv_pci_dev *dev)
{
	for (unsigned i = 0; i < FV_PCI_BARS; i++)
		if (dev->bar[i])
			update_bar(dev, i);
	atomic_store_explicit(&dev->is_master, dev->config[COMMAND] & COMMAND_MASTER,
	                      memory_order_relaxed);
}

void fv_pci_set_bar(struct fv_pci_dev *dev, unsigned bar, uint32_t address)
{
	put32(dev->config + BAR0 + 4 * bar, address | (dev->bar[bar]->is_mmio ? 0 : 1));
	update(dev);
}

/* ---- devices --------------------------------------------------------------------------------- */

/* The lines of the four PCI interrupts, as QEMU's firmware routes them. */
static uint8_t line_of(unsigned slot)
{
	return (slot + 3) % 4 < 2 ? 10 : 11;
}

static void fill_config(struct fv_pci_dev *dev, const struct fv_pci_id *id, unsigned slot)
{
	uint8_t *c = dev->config;

	put16(c, id->vendor);
	put16(c + 2, id->device);
	put32(c + CLASS, id->class_code << 8 | id->revision);
	put16(c + SUBSYSTEM, id->subsystem_vendor);
	put16(c + SUBSYSTEM + 2, id->subsystem);
	put16(dev->writable + COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
	dev->writable[LINE] = 0xff;
	dev->writable[0x0c] = 0xff; /* cache line size, */
	dev->writable[0x0d] = 0xff; /* latency: without meaning here */
	if (id->has_interrupt) {
		dev->line = line_of(slot);
		c[LINE] = dev->line;
		c[LINE + 1] = 1;
	}
	for (unsigned i = 0; i < FV_PCI_BARS; i++) {
		if (!dev->bar[i])
			continue;
		put32(c + BAR0 + 4 * i, dev->bar[i]->is_mmio ? 0 : 1);
		put32(dev->writable + BAR0 + 4 * i, ~(dev->bar[i]->len - 1));
	}
}

int fv_pci_add(struct fv_pci *pci, struct fv_pci_dev *dev, unsigned slot, unsigned function,
               const struct fv_pci_id *id)
{
	if (slot >= FV_PCI_SLOTS || function >= FV_PCI_FUNCTIONS || pci->dev[slot][function])
		return -EBUSY;
	dev->pci = pci;
	fill_config(dev, id, slot);
	if (id->has_interrupt)
		fv_pic_set_level_triggered(pci->bus, dev->line);
	pci->dev[slot][function] = dev;
	if (function && pci->dev[slot][0])
		pci->dev[slot][0]->config[HEADER] = 0x80;
	return 0;
}

void fv_pci_remove(struct fv_pci_dev *dev)
{
	for (unsigned i = 0; i < FV_PCI_BARS; i++)
		if (dev->bar[i])
			fv_range_unmap(dev->pci->bus, dev->bar[i]);
	for (unsigned i = 0; i < FV_PCI_SLOTS * FV_PCI_FUNCTIONS; i++)
		if (dev->pci->dev[i / FV_PCI_FUNCTIONS][i % FV_PCI_FUNCTIONS] == dev)
			dev->pci->dev[i / FV_PCI_FUNCTIONS][i % FV_PCI_FUNCTIONS] = NULL;
}

/* ---- ports ----------------------------------------------------------------------------------- */

static struct fv_pci_dev *selected(const struct fv_pci *pci)
{
	uint32_t a = pci->address;

	if (!(a & ENABLE) || a >> 16 & 0xff)
		return NULL;
	return pci->dev[a >> 11 & 31][a >> 8 & 7];
}

static uint32_t config_in(void *arg, uint32_t offset, unsigned size)
{
	struct fv_pci *pci = arg;
	struct fv_pci_dev *dev = selected(pci);
	uint32_t all = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1, value;

	if (offset < 4) {
		if (size == 4)
			return pci->address;
		return offset == 1 ? 0 : all;
	}
	if (!dev)
		return all;
	/* The range ends at 0xcff, so the access stays within the four bytes. */
	value = get32(dev->config + (pci->address & 0xfc));
	return value >> 8 * (offset & 3) & all;
}

static void write_config(struct fv_pci_dev *dev, unsigned at, uint8_t value)
{
	uint8_t w = dev->writable[at];

	dev->config[at] = (uint8_t)((dev->config[at] & ~w) | (value & w));
}

static void config_out(void *arg, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_pci *pci = arg;
	struct fv_pci_dev *dev = selected(pci);

	if (offset < 4) {
		if (size == 4)
			pci->address = value & ~3u;
		else if (offset == 1 && size == 1 && value & RESET_CPU)
			fv_power(pci->bus, FV_POWER_RESET, 0);
		return;
	}
	if (!dev)
		return;
	for (unsigned i = 0; i < size; i++)
		write_config(dev, (pci->address & 0xfc) + (offset & 3) + i,
		             (uint8_t)(value >> 8 * i));
	update(dev);
}

static const struct fv_range_ops config_ops = { .in = config_in, .out = config_out };

static int add_bridges(struct fv_pci *pci)
{
	static const struct fv_pci_id host = { 0x8086, 0x1237, 0x1af4, 0x1100, 0x060000, 2, false };
	static const struct fv_pci_id isa = { 0x8086, 0x7000, 0x1af4, 0x1100, 0x060100, 0, false };
	int rc = fv_pci_add(pci, &pci->host_bridge, 0, 0, &host);

	if (!rc)
		rc = fv_pci_add(pci, &pci->isa_bridge, 1, 0, &isa);
	for (unsigned i = 0; i < 4; i++)
		pci->isa_bridge.config[0x60 + i] = line_of(i + 1);
	return rc;
}

int fv_pci_create(struct fv_pci **out, struct fv_bus *bus)
{
	struct fv_pci *pci = calloc(1, sizeof(*pci));
	int rc;

	if (!pci)
		return -ENOMEM;
	pci->bus = bus;
	pci->ports = (struct fv_range){ .ops = &config_ops, .dev = pci, .len = 8 };
	rc = add_bridges(pci);
	if (!rc)
		rc = fv_range_map(bus, &pci->ports, ADDRESS_PORT);
	if (rc) {
		free(pci);
		return rc;
	}
	*out = pci;
	return 0;
}

void fv_pci_destroy(struct fv_pci *pci)
{
	fv_range_unmap(pci->bus, &pci->ports);
	free(pci);
}
