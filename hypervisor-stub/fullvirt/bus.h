/* SPDX-License-Identifier: MIT */
/*
 * One virtual PC's port and MMIO space, its memory as devices see it, and its interrupt lines.
 *
 * The CPU's side (an engine that runs a guest fully virtualized) hands each port and MMIO access to
 * the bus, which finds the device. Devices reach memory by guest-physical address and get a pointer,
 * so that storage and ports of the network copy straight to and from the guest. Interrupt lines
 * end in a pair of 8259s (pic.h); whether they ask for an interrupt is one load for the CPU's side.
 *
 * Threads and locks:
 *   - One thread at a time is the CPU: it alone calls fv_port_*(), fv_mmio_*(), fv_irq_ack(), and
 *     from within these the devices map and unmap their ranges. So the tables of ranges have no lock.
 *   - Memory is added before the guest runs and never taken away: no lock.
 *   - Devices' threads (storage, network, timers) call fv_ram(), fv_ram_wrote(), fv_irq_set() and
 *     fv_complain() at any time. Each device has a lock of its own.
 *   - Order: a device's lock, then the timers' or the PICs'. The host's calls below are made
 *     with the lock of a device held, maybe, never with the PICs'; so they must not call the bus,
 *     save fv_irq_pending(), and must not wait.
 *
 * Invariant: no guest-physical range outside the guest's memory becomes a pointer. What a guest
 * does to a device harms that device only.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_BUS_H
#define HYPERVISOR_STUB_FULLVIRT_BUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_BUS_MAX_RAM    4
#define FV_BUS_MAX_RANGES 64 /* of ports */
#define FV_BUS_MAX_MMIO   8
#define FV_BUS_COMPLAINTS 32 /* lines about one guest */
#define FV_IRQ_LINES      16

enum fv_power { FV_POWER_OFF, FV_POWER_RESET, FV_POWER_DEBUG_EXIT, FV_POWER_PANIC };

/* What the CPU's side and the toolstack do for the devices. arg goes to each; any may be NULL. */
struct fv_bus_host {
	/*
	 * fv_irq_pending() has become true: a guest that runs or halts shall be stopped and given its
	 * interrupt. Any thread, also the CPU's own from within a port access; may be spurious. The
	 * CPU's side looks at fv_irq_pending() before it enters the guest and before it sleeps:
	 *
	 *   CPU: running = true;  full barrier;  pending? do not enter
	 *   kick: (pending is set);  full barrier;  running? signal the thread
	 */
	void (*kick)(void *arg);
	/* The guest switched the machine off or asked for a reset; code: of DEBUG_EXIT, else 0. On the
	 * CPU's thread, from within fv_port_out(); the guest shall not run on. */
	void (*power)(void *arg, enum fv_power what, unsigned code);
	/*
	 * A device has written [gpa, gpa + len) of the guest's memory, all within it; the guest has not
	 * been told yet. For what the CPU's side derived from memory: scanned code, shadow tables.
	 */
	void (*wrote)(void *arg, uint64_t gpa, uint64_t len);
	/* One line for the person who runs the machine. */
	void (*complain)(void *arg, const char *line);
	void *arg;
};

/* size is 1, 2 or 4; offset + size lies within the range. On the CPU's thread. */
struct fv_range_ops {
	uint32_t (*in)(void *dev, uint32_t offset, unsigned size);
	void (*out)(void *dev, uint32_t offset, unsigned size, uint32_t value);
	/*
	 * count accesses of size bytes each, to or from the guest's memory at once; NULL: done one by
	 * one. Memory may change while it is read.
	 */
	void (*ins)(void *dev, uint32_t offset, unsigned size, void *to, size_t count);
	void (*outs)(void *dev, uint32_t offset, unsigned size, const void *from, size_t count);
};

/* A device's stretch of ports or of MMIO. The device keeps it for as long as the bus lives. */
struct fv_range {
	const struct fv_range_ops *ops;
	void *dev;
	uint32_t len;
	bool is_mmio;
	bool bytes; /* its registers are bytes: a wider access is made byte by byte */
	/* The bus's own. */
	bool is_mapped;
	uint64_t base;
};

struct fv_pic;

struct fv_bus {
	struct fv_bus_host host;
	struct {
		uint64_t gpa, len;
		uint8_t *ptr;
	} ram[FV_BUS_MAX_RAM];
	unsigned nr_ram;
	struct fv_range *range[FV_BUS_MAX_RANGES + 1]; /* [0] stays NULL: nobody's */
	struct fv_range *mmio[FV_BUS_MAX_MMIO];
	uint8_t owner[65536]; /* index of range by port */
	struct fv_pic *pic;   /* set by fv_pic_create() */
	atomic_bool intr;     /* the PICs ask for an interrupt */
	atomic_uint complaints;
};

/* host is copied. 0 or a negative errno. */
int fv_bus_create(struct fv_bus **out, const struct fv_bus_host *host);
/* All devices have been destroyed before. */
void fv_bus_destroy(struct fv_bus *bus);

/* ---- memory ---------------------------------------------------------------------------------- */

/*
 * fv_bus_add_ram - ptr is the guest's memory at gpa, len bytes, for as long as the bus lives
 * Pieces are page aligned and do not overlap. 0; -EINVAL; -ENOSPC.
 */
int fv_bus_add_ram(struct fv_bus *bus, uint64_t gpa, void *ptr, uint64_t len);

/*
 * fv_ram - guest-physical memory as a pointer
 * NULL unless all of [gpa, gpa + len) lies in one piece of memory; len 0 is never inside. The guest
 * may change the bytes at any time. Who writes there says so afterwards: fv_ram_wrote().
 */
static inline void *fv_ram(const struct fv_bus *bus, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < bus->nr_ram; i++) {
		uint64_t at = gpa - bus->ram[i].gpa;

		/* at is huge when gpa lies below; len is compared with what is left, so no sum can wrap. */
		if (at < bus->ram[i].len && len && len <= bus->ram[i].len - at)
			return bus->ram[i].ptr + at;
	}
	return NULL;
}

static inline void fv_ram_wrote(const struct fv_bus *bus, uint64_t gpa, uint64_t len)
{
	if (bus->host.wrote)
		bus->host.wrote(bus->host.arg, gpa, len);
}

/* ---- the devices' side ----------------------------------------------------------------------- */

/*
 * fv_range_map - from now on accesses at base reach the range
 * Ports that another range has stay that one's; a range that is mapped is moved.
 * Returns 0; -EINVAL when it does not fit into its space; -ENOSPC.
 */
int fv_range_map(struct fv_bus *bus, struct fv_range *range, uint64_t base);
void fv_range_unmap(struct fv_bus *bus, struct fv_range *range);

void fv_complain(struct fv_bus *bus, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void fv_power(struct fv_bus *bus, enum fv_power what, unsigned code)
{
	if (bus->host.power)
		bus->host.power(bus->host.arg, what, code);
}

/* One device's end of an interrupt line; several may share a line, which is high while one is. */
struct fv_irq {
	struct fv_bus *bus;
	uint8_t line;
	uint32_t source; /* one bit */
};

/*
 * fv_irq_init - line: 0 to 15, not 2. Returns 0; -EINVAL; -ENOSPC (32 on one line).
 * fv_irq_set: any thread. (pic.c)
 */
int fv_irq_init(struct fv_irq *irq, struct fv_bus *bus, unsigned line);
void fv_irq_set(const struct fv_irq *irq, bool level);

/* ---- the CPU's side -------------------------------------------------------------------------- */

/*
 * size: 1, 2 or 4; the upper bits of a value are 0 and ignored. Where nothing answers all bits are
 * 1. An access that leaves its range is made byte by byte.
 */
uint32_t fv_port_in(struct fv_bus *bus, uint16_t port, unsigned size);
void fv_port_out(struct fv_bus *bus, uint16_t port, unsigned size, uint32_t value);
/* rep ins and outs, forwards: count times size bytes. The pointer is to memory of the guest's, or
 * to a copy of it; fv_ram_wrote() is not called for it. */
void fv_port_ins(struct fv_bus *bus, uint16_t port, unsigned size, void *to, size_t count);
void fv_port_outs(struct fv_bus *bus, uint16_t port, unsigned size, const void *from, size_t count);

/* size: 1, 2, 4 or 8 (two of 4). false: no device there; *value has all bits set. */
bool fv_mmio_read(struct fv_bus *bus, uint64_t gpa, unsigned size, uint64_t *value);
bool fv_mmio_write(struct fv_bus *bus, uint64_t gpa, unsigned size, uint64_t value);
/* Whether a device answers at gpa. */
bool fv_is_mmio(const struct fv_bus *bus, uint64_t gpa);

/* Whether an interrupt waits for a CPU that takes interrupts. Any thread. */
static inline bool fv_irq_pending(const struct fv_bus *bus)
{
	return atomic_load_explicit(&bus->intr, memory_order_acquire);
}

/*
 * fv_irq_ack - the CPU takes the interrupt: its vector
 * To be called only when the vector is then delivered. A request that has gone meanwhile gives the
 * spurious one (the 7th of its chip). (pic.c)
 */
uint8_t fv_irq_ack(struct fv_bus *bus);

#endif
