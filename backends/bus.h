/* SPDX-License-Identifier: MIT */
/*
 * The states of a split device (abi/io/xenbus.h), seen from the back-end's side: one machine of
 * states for every kind of device, so that block and net differ in their rings only.
 *
 * Invariant: the front-end's state is a claim. Whatever sequence it writes, the driver sees init,
 * then connect and disconnect in turn, and nothing of the guest's stays mapped or bound after the
 * device has closed.
 */
#ifndef BACKENDS_BUS_H
#define BACKENDS_BUS_H

#include "backends/device.h"

struct be_bus {
	const struct be_driver *driver;
	void *device;
	struct be_host_dev host;
	enum xenbus_state state; /* ours, as last written */
	bool connected;
	bool going; /* be_bus_close() or be_bus_drop(): no new connection */
	/*
	 * Since be_bus_restart(): the front-end's "feature-reconnect" at that time. Its Connected is of the
	 * time before for as long as it says the same. 0: it is not in doubt.
	 */
	uint64_t stale;
};

/*
 * All functions: one thread at a time for each bus, and never from within a device's event(): a
 * disconnect waits for the storage.
 */

/*
 * Fills in *b, runs init and goes to InitWait. 0 or negative errno, which is in the store, too;
 * the state is Closed then.
 */
int be_bus_start(struct be_bus *b, const struct be_driver *driver, void *device,
                 const struct be_host_dev *host);
/* Something in the front-end's folder may have changed, its node "state" above all. */
void be_bus_front_changed(struct be_bus *b);
/*
 * Asks the front-end to close (unplug), which be_bus_front_changed() hears; the end is reached when
 * be_bus_closed() says so, which is at once when no front-end is connected.
 */
void be_bus_close(struct be_bus *b);
bool be_bus_closed(const struct be_bus *b);
/* The guest is gone, or nobody waits for it any longer: disconnects and closes at once. */
void be_bus_drop(struct be_bus *b);
/*
 * The back-end starts anew under a front-end that goes on: disconnects, and offers itself again
 * (InitWait); a front-end that has written feature-reconnect connects again and sends again what was
 * not answered. Under any other the back-end takes up the rings as they are. Nothing is done to a
 * device that is closing.
 */
void be_bus_restart(struct be_bus *b);

#endif
