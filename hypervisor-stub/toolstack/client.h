/* SPDX-License-Identifier: MIT */
/*
 * The other end of a machine's control socket: finding machines, asking one, reading the answer.
 *
 * A machine's name could have been taken by somebody else, so an answer is believed only from a
 * socket of the user that was asked for, or of root.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CLIENT_H
#define HYPERVISOR_STUB_TOOLSTACK_CLIENT_H

#include "hypervisor-stub/toolstack/ctl_wire.h"

#define CLIENT_MACHINES 256

struct client_names {
	unsigned nr;
	char name[CLIENT_MACHINES][OPTIONS_NAME_MAX + 1];
};

/* The machines of a user, sorted. Returns 0 or a negative errno. */
int client_find(struct client_names *names, uid_t uid);

/* Connects; machine may be a path. A descriptor, or a negative errno: -ENOENT when no such machine runs, -EPERM when the
 * name is somebody else's. */
int client_connect(uid_t uid, const char *machine);

/* Sends a request of nr words. 0 or a negative errno; -E2BIG when they are too long. */
int client_ask(int fd, const char *const *word, unsigned nr);

/*
 * client_answer - the next message of an answer
 * bytes: room for CTL_MAX_MESSAGE; a nul is put behind the last one
 * Returns its kind, with its length without the kind in *len; -ETIMEDOUT when nothing came for that
 * long (-1: no limit), or another negative errno: -ECONNRESET when the machine has gone.
 */
int client_answer(int fd, char *bytes, size_t *len, int limit_ms);

#endif
