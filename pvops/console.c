/* SPDX-License-Identifier: MIT */
/*
 * The console as bytes in and out, on whatever device there is: the ring of the paravirtual machine
 * (console_ring.c) or a serial port (native/uart.c).
 *
 * Lock: the device's put and get are called with it held; in a panic without.
 */
#include "pvops/console.h"

#include "pvops/evtchn.h"
#include "pvops/lock.h"
#include "pvops/pv_ops.h"

#define DRAIN_LOOKS 100000

static const struct pv_console_device *device;
static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static bool in_panic;

void pv_console_use(const struct pv_console_device *dev)
{
	device = dev;
}

evtchn_port_t pv_console_port(void)
{
	return device ? device->port() : 0;
}

void pv_console_panic(void)
{
	in_panic = true;
}

static uint64_t take_lock(void)
{
	return in_panic ? 0 : pv_spin_lock_irq(&lock);
}

static void drop_lock(uint64_t irq)
{
	if (!in_panic)
		pv_spin_unlock_irq(&lock, irq);
}

size_t pv_console_room(void)
{
	return device ? device->room() : 0;
}

size_t pv_console_try_write(const char *text, size_t len)
{
	uint64_t irq;

	if (!device)
		return 0;
	irq = take_lock();
	len = device->put(text, len);
	drop_lock(irq);
	if (len)
		device->moved();
	return len;
}

void pv_console_write(const char *text, size_t len)
{
	bool took_event = false;
	size_t n;

	if (!device)
		return;
	while (len) {
		n = pv_console_try_write(text, len);
		text += n;
		len -= n;
		if (len)
			took_event |= device->sleep();
	}
	if (took_event)
		pv_evtchn_raise(device->port());
}

void pv_console_drain(uint64_t limit_ns)
{
	uint64_t deadline = pv_now_ns() + limit_ns;
	unsigned int looks;

	if (!device)
		return;
	/* Counted too: in a panic before the shared page is mapped the clock stands still. */
	for (looks = 0; looks < DRAIN_LOOKS; looks++) {
		if (pv_console_room() == device->size || pv_now_ns() >= deadline)
			return;
		device->sleep();
	}
}

size_t pv_console_read(char *buf, size_t len)
{
	uint64_t irq;

	if (!device)
		return 0;
	irq = take_lock();
	len = device->get(buf, len);
	drop_lock(irq);
	if (len)
		device->moved();
	return len;
}
