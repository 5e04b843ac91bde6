/* SPDX-License-Identifier: MIT */
/*
 * Console front-end: the console ring as a device. What does not fit into the ring waits in a buffer
 * here, and goes out when the other side says that it has read.
 *
 * Invariant: while the buffer holds bytes nothing passes it, so order is kept. (The log writes to the
 * ring directly and may come between two writes, never inside what the ring took in one piece.)
 */
#include "frontends/condev.h"

#include <stdbool.h>

#include "abi/errno.h"
#include "pvops/console.h"
#include "pvops/evtchn.h"
#include "pvops/lock.h"

#define BUFFER 8192 /* a power of two: the indexes run freely */

static struct {
	struct condev dev;
	struct pv_spinlock lock;
	uint32_t in, out; /* bytes put in and taken out so far */
	char bytes[BUFFER];
	bool is_open;
} front;

/* From the buffer to the ring, as much as fits. The lock is held. */
static void push(void)
{
	while (front.in != front.out) {
		uint32_t at = front.out % BUFFER, len = front.in - front.out;
		size_t sent;

		if (len > BUFFER - at)
			len = BUFFER - at;
		sent = pv_console_try_write(&front.bytes[at], len);
		if (!sent)
			return;
		front.out += (uint32_t)sent;
	}
}

static size_t cons_write(struct condev *dev, const char *text, size_t len)
{
	uint64_t irq = pv_spin_lock_irq(&front.lock);
	size_t taken;

	(void)dev;
	push();
	for (taken = 0; taken < len && front.in - front.out < BUFFER; taken++)
		front.bytes[front.in++ % BUFFER] = text[taken];
	push();
	pv_spin_unlock_irq(&front.lock, irq);
	return taken;
}

static size_t cons_read(struct condev *dev, char *buf, size_t len)
{
	(void)dev;
	return pv_console_read(buf, len);
}

static size_t cons_waiting(struct condev *dev)
{
	uint64_t irq = pv_spin_lock_irq(&front.lock);
	size_t n;

	(void)dev;
	push();
	n = front.in - front.out;
	pv_spin_unlock_irq(&front.lock, irq);
	return n;
}

static void on_port(evtchn_port_t port, void *arg)
{
	struct condev *dev = arg;

	(void)port;
	if (cons_waiting(dev) == 0)
		pv_wake(&dev->idle);
	if (dev->on_event)
		dev->on_event(dev, dev->arg);
}

static const struct condev_ops cons_ops = {
	.write = cons_write,
	.read = cons_read,
	.waiting = cons_waiting,
};

int consfront_open(condev_fn fn, void *arg, struct condev **dev)
{
	int rc;

	if (!pv_console_port())
		return -XEN_ENODEV;
	front.dev.ops = &cons_ops;
	front.dev.on_event = fn;
	front.dev.arg = arg;
	if (!front.is_open) {
		rc = pv_evtchn_bind(pv_console_port(), 0, on_port, &front.dev);
		if (rc)
			return rc;
		front.is_open = true;
	}
	*dev = &front.dev;
	return 0;
}
