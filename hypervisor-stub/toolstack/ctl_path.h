/* SPDX-License-Identifier: MIT */
/*
 * A machine's control socket as a file, for those who ask for one (--control PATH): it can be put into a
 * container or another network namespace, where the abstract one is not seen.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_PATH_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hypervisor-stub/toolstack/janitor.h"

struct ctl_path {
	int fd; /* listens; -1: there is none */
	struct sockaddr_un sun;
	dev_t dev;
	ino_t ino; /* of our socket: another one at that path is left alone */
	struct janitor janitor;
};

/* Whether a text names a path, not a machine: it begins with / or ./ or ../ */
bool ctl_is_path(const char *text);
/* The address; 0 when the path is too long. */
socklen_t ctl_path_address(struct sockaddr_un *sun, const char *path);
/*
 * ctl_path_open - makes the socket, mode 0600, and listens; one that nobody listens at is replaced
 * p: out; it must stay where it is until it is closed. Returns 0 or a negative errno with a sentence in why.
 */
int ctl_path_open(struct ctl_path *p, const char *path, int backlog, char *why, size_t why_len);
void ctl_path_close(struct ctl_path *p);

#endif
