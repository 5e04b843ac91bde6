/* SPDX-License-Identifier: MIT */
/*
 * What a split device's back-end asks of the program that it lives in: the guest's pages through
 * grants, its event channels, the two folders of the device in the store, and a voice.
 *
 * A back-end knows nothing of domains, frames or the store's implementation; another monitor than
 * ours can link it, and a test stands in for one (tests/fake/). One table serves every kind of
 * device; consback.h, which is older than the store, needs two of these calls only (host.h).
 *
 * Context: every call may be made from any thread with the back-end's own locks held. None calls
 * back into the back-end, save that unbind() waits for a running event(). None blocks, save
 * unbind() and the store's, which wait for a short lock.
 */
#ifndef BACKENDS_DEVICE_H
#define BACKENDS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/event_channel.h"
#include "abi/grant_table.h"
#include "abi/io/xenbus.h"

/* A granted page, mapped here. The guest can change its contents at any moment. */
struct be_page {
	void *ptr; /* NULL: not mapped */
	grant_ref_t ref;
	bool readonly;
	uint64_t host[2]; /* the host's own */
};

/* Which of the device's two folders in the store. */
enum be_side { BE_BACK, BE_FRONT };

struct be_host_ops {
	/* Returns 0, or a GNTST_* (negative) with *page unchanged. */
	int (*map)(void *arg, grant_ref_t ref, bool readonly, struct be_page *page);
	void (*unmap)(void *arg, struct be_page *page);
	/* Between our memory and a granted page that is not mapped; offset + len stay in the page. */
	int (*copy)(void *arg, grant_ref_t ref, unsigned offset, void *buf, unsigned len,
	            bool to_guest);

	/*
	 * bind: the guest offers an unbound port. event() is called on the thread of whoever sends,
	 * no lock held; several may run at once. 0 or negative errno.
	 * unbind: returns when no event() runs nor will; never from within event().
	 */
	int (*bind)(void *arg, evtchn_port_t port, void (*event)(void *event_arg), void *event_arg);
	void (*unbind)(void *arg, evtchn_port_t port);
	void (*notify)(void *arg, evtchn_port_t port);

	/*
	 * read: the value with a nul behind it; its length; -ENOENT; -E2BIG when it does not fit.
	 * write: into the back-end's folder; 0 or negative errno.
	 */
	int (*read)(void *arg, enum be_side side, const char *node, char *value, size_t size);
	int (*write)(void *arg, const char *node, const char *value);

	/* One line for the person who runs the machine: what the peer did wrong, with the value. */
	void (*complain)(void *arg, const char *line);

	/*
	 * May be NULL, both. lend: somebody who sleeps until the guest has something to do watches fd
	 * for input meanwhile, edge-triggered and exclusively, and calls ready(), which reads what
	 * there is: so no thread of the back-end's has to be woken first. Whoever watches fd beside
	 * it begins later, with EPOLLEXCLUSIVE. vcpu: whom it is likely to be for.
	 * Returns a number for take_back, or negative errno: nobody does.
	 * take_back: when it returns ready() does not run, nor will it; never from within ready().
	 */
	int (*lend)(void *arg, unsigned vcpu, int fd, void (*ready)(void *ready_arg),
	            void *ready_arg);
	void (*take_back)(void *arg, unsigned vcpu, int number);
};

struct be_host_dev {
	const struct be_host_ops *ops;
	void *arg;
};

/*
 * A back-end as its host drives it. All calls of one device come from one thread at a time.
 *
 * The host (or backends/bus.c, which does it for every host) runs the states of abi/io/xenbus.h:
 *   init        our folder is there; write what we offer. Then InitWait.
 *   connect     the front-end is Initialised or Connected: read what it chose, map, bind. Then
 *               Connected. An error is written to the store, and the device closes.
 *   disconnect  the front-end is going or gone: nothing of the guest's is mapped, bound, or in
 *               flight when this returns. It may wait for storage. Harmless when not connected.
 */
struct be_driver {
	const char *kind; /* as in device/KIND: "vbd", "vif" */
	int (*init)(void *device);
	int (*connect)(void *device);
	void (*disconnect)(void *device);
};

/* ---- device.c: the host's calls in the form in which back-ends use them ----------------------- */

#define BE_TEXT 256 /* bytes of a value or line, with its nul */

/* A decimal number of digits only. 0; -ENOENT; -EINVAL for anything else; *value unchanged then. */
int be_read_number(const struct be_host_dev *h, enum be_side side, const char *node,
                   uint64_t *value);
/* The same, but any failure gives otherwise. */
uint64_t be_read_number_or(const struct be_host_dev *h, enum be_side side, const char *node,
                           uint64_t otherwise);
int be_printf(const struct be_host_dev *h, const char *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void be_complain(const struct be_host_dev *h, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* For init and connect: complains, writes the same into the node "error", returns rc (negative). */
int be_fail(const struct be_host_dev *h, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
