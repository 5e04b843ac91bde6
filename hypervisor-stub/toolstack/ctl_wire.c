/* SPDX-License-Identifier: MIT */
/*
 * What both ends of a control socket need; see ctl_wire.h.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor-stub/toolstack/ctl_wire.h"

socklen_t ctl_address(struct sockaddr_un *sun, uid_t uid, const char *machine)
{
	int len;

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	/* The first byte is 0: abstract. */
	len = snprintf(sun->sun_path + 1, sizeof(sun->sun_path) - 1, CTL_PREFIX "%u/%s",
	               (unsigned)uid, machine);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

bool ctl_trusts(int fd, uid_t uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || len != sizeof(peer))
		return false;
	return peer.uid == uid || peer.uid == 0;
}

unsigned ctl_split(const char *text, size_t len, const char *word[CTL_MAX_WORDS])
{
	unsigned nr = 0;

	if (!len || text[len - 1])
		return 0;
	for (const char *at = text; at < text + len; at += strlen(at) + 1) {
		if (nr == CTL_MAX_WORDS)
			return 0;
		word[nr++] = at;
	}
	return nr;
}
