/* SPDX-License-Identifier: MIT */
/*
 * The states of a split device, from the back-end's side (bus.h has the contract).
 *
 *   front-end writes      we, when we are in
 *   Initialising          InitWait  from Closed (it comes back); from Connected, Closing: disconnect
 *                                   first (it was started anew without closing)
 *   Initialised, Connected  connect, Connected  from InitWait or Closed
 *   Closing               Closing   from InitWait, Connected; requests still flow, since a front-end
 *                                   whose disk is in use says so and goes on (Linux)
 *   Closed, or no node    disconnect, Closed
 *
 * Invariant: connect only when not connected, disconnect only when connected, and a state is written
 * after what it says is true: Connected after connect, Closed after disconnect.
 *
 * Source: Xen public/io/xenbus.h and io/blkif.h (state diagrams); the transitions are those that
 * Linux's xen-blkback makes, with the ones added that it leaves to the toolstack.
 */
#include "backends/bus.h"

#include <errno.h>
#include <string.h>

static void set_state(struct be_bus *b, enum xenbus_state state)
{
	if (b->state == state)
		return;
	b->state = state;
	be_printf(&b->host, "state", "%d", (int)state);
}

static void disconnect(struct be_bus *b)
{
	if (b->connected)
		b->driver->disconnect(b->device);
	b->connected = false;
}

/* Init may be run again: after a restart the folder is filled anew. A failure is for good. */
static int offer(struct be_bus *b)
{
	int rc = b->driver->init(b->device);

	if (rc) {
		be_fail(&b->host, rc, "%s: cannot be offered (error %d)", b->driver->kind, -rc);
		b->going = true;
	}
	set_state(b, rc ? XenbusStateClosed : XenbusStateInitWait);
	return rc;
}

static void connect(struct be_bus *b)
{
	int rc = b->driver->connect(b->device);

	if (rc) {
		/* The driver has said what was wrong; the front-end answers with Closed. */
		set_state(b, XenbusStateClosing);
		return;
	}
	b->connected = true;
	set_state(b, XenbusStateConnected);
}

static void front_begins(struct be_bus *b)
{
	b->stale = 0;
	if (b->going || b->state == XenbusStateInitWait)
		return;
	disconnect(b);
	set_state(b, XenbusStateInitWait);
}

/* Which of its connections the front-end speaks of; 0: it knows of one only. */
static uint64_t generation(const struct be_bus *b)
{
	return be_read_number_or(&b->host, BE_FRONT, "feature-reconnect", 0);
}

static void front_is_ready(struct be_bus *b, enum xenbus_state front)
{
	if (b->going || b->connected || b->state == XenbusStateClosing)
		return;
	/*
	 * A network front-end comes back by Initialising and then Connected, and may have written both before
	 * we look once: what tells its new Connected from the old one is that it counts its connections.
	 */
	if (b->stale && front == XenbusStateConnected && generation(b) == b->stale)
		return;
	b->stale = 0;
	connect(b);
}

static void front_is_closing(struct be_bus *b)
{
	b->stale = 0;
	if (b->state != XenbusStateClosed)
		set_state(b, XenbusStateClosing);
}

static void front_is_gone(struct be_bus *b)
{
	b->stale = 0;
	disconnect(b);
	set_state(b, XenbusStateClosed);
}

static enum xenbus_state front_state(const struct be_bus *b)
{
	uint64_t state;

	if (be_read_number(&b->host, BE_FRONT, "state", &state))
		return XenbusStateUnknown;
	return state <= XenbusStateReconfigured ? (enum xenbus_state)state : XenbusStateUnknown;
}

int be_bus_start(struct be_bus *b, const struct be_driver *driver, void *device,
                 const struct be_host_dev *host)
{
	memset(b, 0, sizeof(*b));
	b->driver = driver;
	b->device = device;
	b->host = *host;
	return offer(b);
}

void be_bus_front_changed(struct be_bus *b)
{
	enum xenbus_state front = front_state(b);

	switch (front) {
	case XenbusStateInitialising:
		front_begins(b);
		break;
	case XenbusStateInitialised:
	case XenbusStateConnected:
		front_is_ready(b, front);
		break;
	case XenbusStateClosing:
		front_is_closing(b);
		break;
	case XenbusStateUnknown:
	case XenbusStateClosed:
		front_is_gone(b);
		break;
	default:
		/* InitWait is not the front-end's to say; Reconfiguring is for other buses. */
		break;
	}
}

void be_bus_close(struct be_bus *b)
{
	b->going = true;
	be_printf(&b->host, "online", "0");
	if (b->state != XenbusStateClosed)
		set_state(b, XenbusStateClosing);
	if (!b->connected)
		set_state(b, XenbusStateClosed);
}

bool be_bus_closed(const struct be_bus *b)
{
	return b->going && b->state == XenbusStateClosed;
}

void be_bus_drop(struct be_bus *b)
{
	b->going = true;
	disconnect(b);
	set_state(b, XenbusStateClosed);
}

/*
 * A front-end that does not know how to connect again (Linux's does not look at InitWait while it is
 * connected) finds the same rings served as before: nothing was taken from them that has not been
 * answered. It is told Connected once more, so that it looks at the size.
 */
static void take_over(struct be_bus *b)
{
	b->state = XenbusStateInitWait;
	if (!b->driver->init(b->device))
		connect(b);
	else
		set_state(b, XenbusStateClosing);
}

void be_bus_restart(struct be_bus *b)
{
	uint64_t knows = generation(b);
	bool was_connected = b->connected;

	if (b->going || b->state == XenbusStateClosing)
		return;
	disconnect(b);
	if (was_connected && !knows) {
		take_over(b);
		return;
	}
	b->stale = knows;
	offer(b);
	/* One that had just published its rings, and used none yet, will not say so again. */
	be_bus_front_changed(b);
}
