/* SPDX-License-Identifier: MIT */
/*
 * Which device answers at a port or an address.
 *
 * Ports are found by one look into a table of 65536 bytes, MMIO by going through the few ranges that
 * there are.
 *
 * Invariant: owner[port] is the index of a mapped range that has the port, or 0.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/bus.h"

#define PAGE_MASK 4095u

int fv_bus_create(struct fv_bus **out, const struct fv_bus_host *host)
{
	struct fv_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return -ENOMEM;
	bus->host = *host;
	*out = bus;
	return 0;
}

void fv_bus_destroy(struct fv_bus *bus)
{
	free(bus);
}

int fv_bus_add_ram(struct fv_bus *bus, uint64_t gpa, void *ptr, uint64_t len)
{
	if (!len || (gpa | len) & PAGE_MASK || gpa + len < gpa)
		return -EINVAL;
	for (unsigned i = 0; i < bus->nr_ram; i++)
		if (gpa < bus->ram[i].gpa + bus->ram[i].len && bus->ram[i].gpa < gpa + len)
			return -EINVAL;
	if (bus->nr_ram == FV_BUS_MAX_RAM)
		return -ENOSPC;
	bus->ram[bus->nr_ram].gpa = gpa;
	bus->ram[bus->nr_ram].len = len;
	bus->ram[bus->nr_ram].ptr = ptr;
	bus->nr_ram++;
	return 0;
}

void fv_complain(struct fv_bus *bus, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!bus->host.complain || atomic_fetch_add(&bus->complaints, 1) >= FV_BUS_COMPLAINTS)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	bus->host.complain(bus->host.arg, line);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static unsigned find_slot(struct fv_range **slots, unsigned from, unsigned to,
                          const struct fv_range *range)
{
	while (from < to && slots[from] != range)
		from++;
	return from;
}

static int map_ports(struct fv_bus *bus, struct fv_range *range, uint64_t base)
{
	unsigned slot;

	if (base >= 65536 || range->len > 65536 - base)
		return -EINVAL;
	slot = find_slot(bus->range, 1, FV_BUS_MAX_RANGES + 1, NULL);
	if (slot > FV_BUS_MAX_RANGES)
		return -ENOSPC;
	bus->range[slot] = range;
	for (uint32_t i = 0; i < range->len; i++)
		if (!bus->owner[base + i])
			bus->owner[base + i] = (uint8_t)slot;
	return 0;
}

static int map_mmio(struct fv_bus *bus, struct fv_range *range, uint64_t base)
{
	unsigned slot = find_slot(bus->mmio, 0, FV_BUS_MAX_MMIO, NULL);

	if (base + range->len < base)
		return -EINVAL;
	if (slot == FV_BUS_MAX_MMIO)
		return -ENOSPC;
	bus->mmio[slot] = range;
	return 0;
}

int fv_range_map(struct fv_bus *bus, struct fv_range *range, uint64_t base)
{
	int rc;

	fv_range_unmap(bus, range);
	rc = range->is_mmio ? map_mmio(bus, range, base) : map_ports(bus, range, base);
	if (rc)
		return rc;
	range->base = base;
	range->is_mapped = true;
	return 0;
}

void fv_range_unmap(struct fv_bus *bus, struct fv_range *range)
{
	unsigned slot;

	if (!range->is_mapped)
		return;
	range->is_mapped = false;
	if (range->is_mmio) {
		slot = find_slot(bus->mmio, 0, FV_BUS_MAX_MMIO, range);
		bus->mmio[slot] = NULL;
		return;
	}
	slot = find_slot(bus->range, 1, FV_BUS_MAX_RANGES + 1, range);
	bus->range[slot] = NULL;
	for (uint32_t i = 0; i < range->len; i++)
		if (bus->owner[range->base + i] == slot)
			bus->owner[range->base + i] = 0;
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* The range that answers the access as a whole, or NULL. */
static struct fv_range *port_range(const struct fv_bus *bus, uint16_t port, unsigned size)
{
	unsigned owner = bus->owner[port];

	if (!owner || port + size > 65536u || bus->owner[port + size - 1] != owner)
		return NULL;
	if (size > 1 && bus->range[owner]->bytes)
		return NULL;
	return bus->range[owner];
}

/* Whether it is worth trying the bytes of an access that no range answers as a whole. */
static bool is_split(const struct fv_bus *bus, uint16_t port, unsigned size)
{
	for (unsigned i = 0; size > 1 && i < size; i++)
		if (bus->owner[(uint16_t)(port + i)])
			return true;
	return false;
}

uint32_t fv_port_in(struct fv_bus *bus, uint16_t port, unsigned size)
{
	const struct fv_range *r = port_range(bus, port, size);
	uint32_t value = 0;

	if (r)
		return r->ops->in(r->dev, (uint32_t)(port - r->base), size);
	if (!is_split(bus, port, size))
		return size == 4 ? UINT32_MAX : (1u << (8 * size)) - 1;
	for (unsigned i = 0; i < size; i++)
		value |= fv_port_in(bus, (uint16_t)(port + i), 1) << (8 * i);
	return value;
}

void fv_port_out(struct fv_bus *bus, uint16_t port, unsigned size, uint32_t value)
{
	const struct fv_range *r = port_range(bus, port, size);

	if (size < 4)
		value &= (1u << (8 * size)) - 1;
	if (r)
		r->ops->out(r->dev, (uint32_t)(port - r->base), size, value);
	else if (is_split(bus, port, size))
		for (unsigned i = 0; i < size; i++)
			fv_port_out(bus, (uint16_t)(port + i), 1, value >> (8 * i) & 0xff);
}

void fv_port_ins(struct fv_bus *bus, uint16_t port, unsigned size, void *to, size_t count)
{
	const struct fv_range *r = port_range(bus, port, size);
	uint8_t *at = to;

	if (r && r->ops->ins) {
		r->ops->ins(r->dev, (uint32_t)(port - r->base), size, to, count);
		return;
	}
	for (; count; count--, at += size) {
		uint32_t value = fv_port_in(bus, port, size);

		memcpy(at, &value, size);
	}
}

void fv_port_outs(struct fv_bus *bus, uint16_t port, unsigned size, const void *from, size_t count)
{
	const struct fv_range *r = port_range(bus, port, size);
	const uint8_t *at = from;

	if (r && r->ops->outs) {
		r->ops->outs(r->dev, (uint32_t)(port - r->base), size, from, count);
		return;
	}
	for (; count; count--, at += size) {
		uint32_t value = 0;

		memcpy(&value, at, size);
		fv_port_out(bus, port, size, value);
	}
}

/* ---- MMIO ------------------------------------------------------------------------------------ */

static struct fv_range *mmio_range(const struct fv_bus *bus, uint64_t gpa, unsigned size)
{
	for (unsigned i = 0; i < FV_BUS_MAX_MMIO; i++) {
		struct fv_range *r = bus->mmio[i];

		if (r && gpa - r->base < r->len && size <= r->len - (gpa - r->base))
			return r;
	}
	return NULL;
}

bool fv_is_mmio(const struct fv_bus *bus, uint64_t gpa)
{
	return mmio_range(bus, gpa, 1);
}

bool fv_mmio_read(struct fv_bus *bus, uint64_t gpa, unsigned size, uint64_t *value)
{
	const struct fv_range *r = mmio_range(bus, gpa, size);
	uint32_t offset;

	*value = UINT64_MAX;
	if (!r)
		return false;
	offset = (uint32_t)(gpa - r->base);
	*value = r->ops->in(r->dev, offset, size == 8 ? 4 : size);
	if (size == 8)
		*value |= (uint64_t)r->ops->in(r->dev, offset + 4, 4) << 32;
	return true;
}

bool fv_mmio_write(struct fv_bus *bus, uint64_t gpa, unsigned size, uint64_t value)
{
	const struct fv_range *r = mmio_range(bus, gpa, size);
	uint32_t offset;

	if (!r)
		return false;
	offset = (uint32_t)(gpa - r->base);
	if (size < 4)
		value &= (1u << (8 * size)) - 1;
	r->ops->out(r->dev, offset, size == 8 ? 4 : size, (uint32_t)value);
	/* The first half may have unmapped the range. */
	if (size == 8 && r->is_mapped)
		r->ops->out(r->dev, offset + 4, 4, (uint32_t)(value >> 32));
	return true;
}
