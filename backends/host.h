/* SPDX-License-Identifier: MIT */
/*
 * What a back-end asks of the program that it lives in.
 *
 * A back-end knows nothing of domains, event channels or terminals: it reaches all of them through
 * these calls, so that another monitor than ours can link it, and a test can stand in for one.
 *
 * Context: a back-end calls them from whatever thread called the back-end, with the back-end's own
 * lock held. They must not call back into the back-end, and they must not block.
 */
#ifndef BACKENDS_HOST_H
#define BACKENDS_HOST_H

struct be_host {
	/* Sends the event of this device to the guest. */
	void (*notify)(void *arg);
	/* One line for the person who runs the machine: what the peer did wrong, with the value. */
	void (*complain)(void *arg, const char *line);
	void *arg;
};

#endif
