/* SPDX-License-Identifier: MIT */
/*
 * States of a split device. Each half writes its own in the node "state" of its directory in
 * xenstore, as a decimal number, and watches the other's.
 */
#ifndef ABI_IO_XENBUS_H
#define ABI_IO_XENBUS_H

#ifndef __ASSEMBLY__

enum xenbus_state {
	XenbusStateUnknown = 0,       /* no such node, or not a number */
	XenbusStateInitialising = 1,  /* made by the toolstack; nothing said yet */
	XenbusStateInitWait = 2,      /* back-end: has said what it offers, waits for the other */
	XenbusStateInitialised = 3,   /* front-end: has published ring and event channel */
	XenbusStateConnected = 4,     /* requests flow */
	XenbusStateClosing = 5,       /* wants an end: no new requests */
	XenbusStateClosed = 6,        /* holds nothing of the other's any more */
	XenbusStateReconfiguring = 7, /* parameters change while connected */
	XenbusStateReconfigured = 8
};
typedef enum xenbus_state XenbusState;

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_XENBUS_H */
