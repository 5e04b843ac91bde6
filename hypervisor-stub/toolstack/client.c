/* SPDX-License-Identifier: MIT */
/*
 * The other end of a machine's control socket; see client.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/client.h"
#include "hypervisor-stub/toolstack/ctl_path.h"

#define CONNECT_SEC 10

/* ---- finding -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool is_listed(const struct client_names *names, const char *name)
{
	for (unsigned i = 0; i < names->nr; i++)
		if (!strcmp(names->name[i], name))
			return true;
	return false;
}

/* A line of /proc/net/unix: the address is its last word, an abstract one with @ before it. */
static void look_at(struct client_names *names, const char *line, const char *prefix)
{
	const char *at = strstr(line, prefix);
	char name[OPTIONS_NAME_MAX + 2];

	if (!at || names->nr == CLIENT_MACHINES)
		return;
	snprintf(name, sizeof(name), "%s", at + strlen(prefix));
	name[strcspn(name, "\n")] = 0;
	/* Connections to a machine have its name, too. */
	if (options_is_name(name) && !is_listed(names, name))
		strcpy(names->name[names->nr++], name);
}

int client_find(struct client_names *names, uid_t uid)
{
	char line[512], prefix[64];
	FILE *f = fopen("/proc/net/unix", "re");

	names->nr = 0;
	if (!f)
		return -errno;
	snprintf(prefix, sizeof(prefix), " @" CTL_PREFIX "%u/", (unsigned)uid);
	while (fgets(line, sizeof(line), f))
		look_at(names, line, prefix);
	fclose(f);
	qsort(names->name, names->nr, sizeof(names->name[0]), by_name);
	return 0;
}

/* ---- asking --------------------------------------------------------------------------------- */

int client_connect(uid_t uid, const char *machine)
{
	struct sockaddr_un sun;
	bool is_path = ctl_is_path(machine);
	socklen_t len = is_path ? ctl_path_address(&sun, machine) : ctl_address(&sun, uid, machine);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), rc;
	struct timeval patience = { .tv_sec = CONNECT_SEC };

	if (fd < 0)
		return -errno;
	if (!len) {
		close(fd);
		return -ENAMETOOLONG;
	}
	/* A machine that is stopped takes no visitors, and its queue of them may be full. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sun, len)) {
		rc = errno == ECONNREFUSED ? -ENOENT : -errno;
		close(fd);
		return rc;
	}
	if (!ctl_trusts(fd, uid)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

int client_ask(int fd, const char *const *word, unsigned nr)
{
	char bytes[CTL_MAX_MESSAGE];
	size_t len = 0;

	bytes[len++] = CTL_REQUEST;
	for (unsigned i = 0; i < nr; i++) {
		size_t n = strlen(word[i]) + 1;

		if (n > sizeof(bytes) - len)
			return -E2BIG;
		memcpy(bytes + len, word[i], n);
		len += n;
	}
	if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return 0;
}

int client_answer(int fd, char *bytes, size_t *len, int limit_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char kind;
	ssize_t n;

	do
		n = poll(&p, 1, limit_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	do
		n = recv(fd, bytes, CTL_MAX_MESSAGE, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -ECONNRESET;
	kind = bytes[0];
	memmove(bytes, bytes + 1, (size_t)n - 1);
	bytes[n - 1] = 0;
	*len = (size_t)n - 1;
	if (kind != CTL_OUTPUT && kind != CTL_DONE && kind != CTL_ERROR)
		return -EPROTO;
	return kind;
}
